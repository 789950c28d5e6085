//! `verify`: whether every entry is whole and where it belongs.

use std::collections::HashSet;

use cachemacro::MissReason;
use cachemacro::inspect::Expects;

use super::shown_key;
use crate::args::Args;
use crate::place::Place;
use crate::sweep::sweep;
use crate::table::{Cell, Table};
use crate::{Done, Failure};

pub(crate) async fn verify(args: &Args) -> Done {
    let place = Place::new(&args.place)?;
    let mut keys = HashSet::new();
    sweep(&place, &args.place, "", |found| {
        keys.insert(found.key);
        true
    })
    .await?;
    let mut table = Table::new(&["key", "finding", "bytes"]);
    let (mut looked, mut wrong) = (0_u64, 0_u64);
    for key in &keys {
        let look = place.inspector.look(key, &Expects::new()).await?;
        looked += 1;
        let finding = match look.reason {
            Some(reason @ (MissReason::Malformed | MissReason::OtherKey | MissReason::Undecodable)) => {
                reason.as_str()
            }
            // A key that outlives its entry by far was not written by a cache.
            _ if look.header.is_some() && look.left.is_none() => "never_expires",
            _ => continue,
        };
        wrong += 1;
        table.row([
            Cell::from(shown_key(key, &args.output)),
            finding.into(),
            Cell::Bytes(look.length as u64),
        ]);
    }
    table.write(&args.output)?;
    eprintln!("cachemacro: {looked} entries were looked at, {wrong} are not as they should be");
    if wrong > 0 { Err(Failure::Shown) } else { Ok(()) }
}
