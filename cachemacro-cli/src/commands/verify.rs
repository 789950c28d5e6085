//! `verify`: whether every entry is whole and where it belongs.

use std::collections::HashSet;

use cachemacro::MissReason;
use cachemacro::inspect::Expects;

use super::shown::shown_key;
use crate::args::Args;
use crate::failure::{Done, Failure};
use crate::place::Place;
use crate::sweep::sweep_and;
use crate::table::{Cell, Table};

pub(crate) async fn verify(args: &Args) -> Done {
    let place = Place::new(&args.place)?;
    let mut table = Table::new(&["key", "finding", "bytes"]);
    let mut looked = 0_u64;
    let mut wrong = HashSet::new();
    sweep_and(&place, &args.place, "", async |found| {
        let look = place.inspector.look(&found.key, &Expects::new()).await?;
        looked += 1;
        let finding = match look.reason {
            Some(reason @ (MissReason::Malformed | MissReason::OtherKey | MissReason::Undecodable)) => {
                reason.as_str()
            }
            // A cache always sets an expiry, so a key without one was written by something else.
            _ if look.header.is_some() && look.left.is_none() => "never_expires",
            _ => return Ok(true),
        };
        let key = Cell::from(shown_key(&found.key, &args.output));
        if wrong.insert(found.key) {
            table.row([key, finding.into(), Cell::Bytes(look.length as u64)]);
        }
        Ok(true)
    })
    .await?;
    let wrong = wrong.len();
    table.write(&args.output)?;
    eprintln!("cachemacro: {looked} entries were looked at, {wrong} are not as they should be");
    if wrong > 0 { Err(Failure::Shown) } else { Ok(()) }
}
