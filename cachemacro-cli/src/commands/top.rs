//! `top`: the entries, or prefixes, with most bytes, age, time to live or load time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::shown::{fleet_if_any, nothing, shown_key};
use crate::args::{Args, Top};
use crate::failure::{Done, Failure};
use crate::place::Place;
use crate::sweep::{Found, sweep};
use crate::table::{Cell, Table};
use crate::text;

/// How many prefixes are told apart.
const MOST_PREFIXES: usize = 10_000;
/// How many hits a sample stands for.
const SAMPLE: u64 = 1_024;

pub(crate) async fn top(args: &Args, by: Top, limit: usize) -> Done {
    let place = Place::new(&args.place)?;
    let table = match by {
        Top::Prefix => prefixes(args, &place, limit).await?,
        Top::Hot => hot(args, &place, limit).await?,
        _ => entries(args, &place, by, limit).await?,
    };
    table.write(&args.output)?;
    nothing(&table.rows)
}

/// The figure by which an entry is ranked, in milliseconds or bytes, the largest first; `None` where the entry has none.
fn weight(found: &Found, by: Top, now: cachemacro::Timestamp) -> Option<u64> {
    let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
    let header = found.head.header.filter(|header| header.stored_at.millis() > 0);
    match by {
        Top::Bytes | Top::Prefix => Some(found.head.length as u64),
        Top::Age => Some(millis(now.since(header?.stored_at))),
        Top::Ttl => Some(u64::MAX - millis(found.head.left?)),
        Top::LoadTime => Some(u64::from(header?.load_millis)),
        Top::Hot => None,
    }
}

async fn entries(args: &Args, place: &Place, by: Top, limit: usize) -> Result<Table, Failure> {
    let now = place.inspector.time().await?;
    // No more than what is shown is kept; ties are broken by the key, so that a key that comes twice is one.
    let mut best: BTreeSet<(Reverse<u64>, String)> = BTreeSet::new();
    sweep(place, &args.place, "", |found| {
        if let Some(weight) = weight(&found, by, now) {
            best.insert((Reverse(weight), found.key));
            if best.len() > limit {
                best.pop_last();
            }
        }
        true
    })
    .await?;
    let column = match by {
        Top::Bytes | Top::Prefix | Top::Hot => "bytes",
        Top::Age => "age",
        Top::Ttl => "ttl",
        Top::LoadTime => "load_time",
    };
    let mut table = Table::new(&["key", column]);
    let seconds = |millis: u64| Cell::Seconds(Duration::from_millis(millis).as_secs_f64());
    for (Reverse(weight), key) in best {
        let cell = match by {
            Top::Bytes | Top::Prefix | Top::Hot => Cell::Bytes(weight),
            Top::Age | Top::LoadTime => seconds(weight),
            Top::Ttl => seconds(u64::MAX - weight),
        };
        table.row([Cell::from(shown_key(&key, &args.output)), cell]);
    }
    Ok(table)
}

async fn prefixes(args: &Args, place: &Place, limit: usize) -> Result<Table, Failure> {
    let mut prefixes: BTreeMap<String, (u64, u64)> = BTreeMap::new();
    sweep(place, &args.place, "", |found| {
        let mut prefix = found.key.split(':').next().unwrap_or_default();
        // Of other applications' keys each may have one of its own.
        if prefixes.len() >= MOST_PREFIXES && !prefixes.contains_key(prefix) {
            prefix = "(others)";
        }
        let (entries, bytes) = prefixes.entry(prefix.to_owned()).or_default();
        *entries += 1;
        *bytes += found.head.length as u64;
        true
    })
    .await?;
    let mut prefixes: Vec<_> = prefixes.into_iter().collect();
    prefixes.sort_by_key(|(prefix, (_, bytes))| (Reverse(*bytes), prefix.clone()));
    let mut table = Table::new(&["prefix", "entries", "bytes"]);
    for (prefix, (entries, bytes)) in prefixes.into_iter().take(limit) {
        table.row([Cell::from(shown_key(&prefix, &args.output)), entries.into(), Cell::Bytes(bytes)]);
    }
    Ok(table)
}

/// The keys that are hit most, by the samples of all processes: of hashes, which a look at all keys gives names.
async fn hot(args: &Args, place: &Place, limit: usize) -> Result<Table, Failure> {
    let fleet = fleet_if_any(place).await;
    let mut samples: BTreeMap<u64, u64> = BTreeMap::new();
    for key in fleet.reports.iter().flat_map(|report| &report.sites).flat_map(|site| &site.hot) {
        if let Ok(hash) = u64::from_str_radix(&key.key, 16) {
            let all = samples.entry(hash).or_default();
            *all = all.saturating_add(key.samples);
        }
    }
    let mut hottest: Vec<(u64, u64)> = samples.into_iter().collect();
    hottest.sort_by_key(|(hash, samples)| (Reverse(*samples), *hash));
    hottest.truncate(limit);
    if hottest.is_empty() {
        text::tell("no process sampled which keys are hit: CACHEMACRO_HOT_KEYS=1 has it do so");
    }
    let mut names: BTreeMap<u64, String> = BTreeMap::new();
    if !hottest.is_empty() {
        sweep(place, &args.place, "", |found| {
            if let Some(header) = found.head.header
                && hottest.iter().any(|(hash, _)| *hash == header.key_hash)
            {
                names.insert(header.key_hash, found.key);
            }
            names.len() < hottest.len()
        })
        .await?;
    }
    let mut table = Table::new(&["key", "hits_about"]);
    for (hash, samples) in hottest {
        let name = names.get(&hash).map(|key| shown_key(key, &args.output));
        let name = name.unwrap_or_else(|| format!("#{hash:016x}"));
        table.row([Cell::from(name), samples.saturating_mul(SAMPLE).into()]);
    }
    Ok(table)
}
