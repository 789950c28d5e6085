//! `verify`: whether every entry is whole and where it belongs, and what processes found that look whether what they serve is true.

use std::collections::BTreeMap;

use cachemacro::MissReason;
use cachemacro::inspect::Expects;
use cachemacro::report::Finding;

use super::shown::{fleet_if_any, shown_key};
use crate::args::Args;
use crate::failure::{Done, Failure};
use crate::fleet::Fleet;
use crate::place::Place;
use crate::sweep::sweep_and;
use crate::table::{Cell, Table};
use crate::text;

/// How many entries are shown that are not as they should be; all are counted.
const MOST_SHOWN: usize = 10_000;

pub(crate) async fn verify(args: &Args) -> Done {
    let place = Place::new(&args.place)?;
    let untrue = untrue(&fleet_if_any(&place).await);
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    let mut table = Table::new(&["key", "finding", "bytes", "detail"]);
    let mut looked = 0_u64;
    let mut wrong = 0_u64;
    sweep_and(&place, &args.place, "", async |found| {
        let look = place.inspector.look(&found.key, &Expects::new()).await?;
        looked += 1;
        if let Some(hash) = look.header.map(|header| header.key_hash).filter(|hash| untrue.contains_key(hash))
        {
            names.insert(hash, found.key.clone());
        }
        let finding = match look.reason {
            Some(reason @ (MissReason::Malformed | MissReason::OtherKey | MissReason::Undecodable)) => {
                reason.as_str()
            }
            // A cache always sets an expiry, so a key without one was written by something else.
            _ if look.header.is_some() && look.left.is_none() => "never_expires",
            _ => return Ok(true),
        };
        wrong += 1;
        if table.rows.len() < MOST_SHOWN {
            let key = Cell::from(shown_key(&found.key, &args.output));
            table.row([key, finding.into(), Cell::Bytes(look.length as u64), Cell::None]);
        }
        Ok(true)
    })
    .await?;
    for (hash, finding) in &untrue {
        let key = names.get(hash).map(|key| shown_key(key, &args.output));
        let key = key.unwrap_or_else(|| format!("#{hash:016x}"));
        table.row([Cell::from(key), "inconsistent".into(), Cell::None, detail(finding).into()]);
    }
    table.write(&args.output)?;
    text::tell(&format!("{looked} entries were looked at, {wrong} are not as they should be"));
    if !untrue.is_empty() {
        text::tell(&format!(
            "of {} keys, processes found values that are not what their functions return",
            untrue.len()
        ));
    }
    if wrong > 0 || !untrue.is_empty() { Err(Failure::Shown) } else { Ok(()) }
}

/// What processes found, of each key what was found last.
fn untrue(fleet: &Fleet) -> BTreeMap<u64, Finding> {
    let mut untrue: BTreeMap<u64, Finding> = BTreeMap::new();
    for finding in fleet.reports.iter().flat_map(|report| &report.findings) {
        let Ok(hash) = u64::from_str_radix(&finding.key, 16) else { continue };
        let known = untrue.entry(hash).or_insert_with(|| finding.clone());
        if known.found_at < finding.found_at {
            *known = finding.clone();
        }
    }
    untrue
}

fn detail(finding: &Finding) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a time that is shown")]
    let time = |millis: u64| text::time(millis as f64 / 1_000.0);
    let site = if finding.site.is_empty() { "an entry by hand" } else { &finding.site };
    format!(
        "{site}: {} differs, stored {} before; first seen {} before that",
        finding.paths.join(", "),
        time(finding.age_millis),
        time(finding.after_millis)
    )
}
