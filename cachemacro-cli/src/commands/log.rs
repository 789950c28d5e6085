//! `log`: what was flushed by hand.

use std::env;
use std::time::{Duration, SystemTime};

use cachemacro::inspect::tag_hash;
use serde::{Deserialize, Serialize};

use super::shown::nothing;
use crate::args::{Args, FlushArgs};
use crate::failure::Done;
use crate::place::Place;
use crate::table::{Cell, Table};

/// One flush, as it is recorded. Other programs can write to the log too, so every field may be missing or wrong.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
struct Line {
    who: String,
    what: String,
    reason: Option<String>,
    /// How many entries the plan found.
    entries: u64,
    /// Whether the plan is from a sample.
    sample: bool,
}

pub(crate) async fn log(args: &Args, limit: usize) -> Done {
    let place = Place::new(&args.place)?;
    let mut table = Table::new(&["when", "who", "what", "entries", "reason"]);
    for (when, line) in place.inspector.logged().await?.into_iter().take(limit) {
        let Ok(line) = serde_json::from_slice::<Line>(&line) else { continue };
        // Dates after the year 9999 have no form.
        let when = Duration::from_millis(when.millis().min(253_402_300_799_000));
        let when = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + when);
        let (mut what, mut reason) = (line.what, line.reason);
        if args.output.redact {
            what = redacted(&what);
            reason = reason.map(|_| "(hidden)".to_owned());
        }
        let entries =
            if line.sample { format!("{} of a sample", line.entries).into() } else { line.entries.into() };
        table.row([
            Cell::from(when.to_string()),
            line.who.into(),
            what.into(),
            entries,
            reason.map_or(Cell::None, Cell::from),
        ]);
    }
    table.write(&args.output)?;
    nothing(&table.rows)
}

/// The selectors' names without their values.
fn redacted(what: &str) -> String {
    what.split(' ').filter(|word| word.starts_with("--")).collect::<Vec<_>>().join(" ")
}

/// Records a flush. A failure is only told on standard error: what was evicted stays evicted.
pub(crate) async fn record(place: &Place, what: &FlushArgs, entries: u64, sample: bool) {
    let line =
        Line { who: who(), what: selectors(place, what), reason: what.reason.clone(), entries, sample };
    let recorded = match serde_json::to_vec(&line) {
        Ok(line) => place.inspector.log(line).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(why) = recorded {
        eprintln!("cachemacro: the flush is not in the log: {}", crate::text::shown(&why));
    }
}

fn who() -> String {
    let first =
        |names: &[&str]| names.iter().find_map(|name| env::var(name).ok().filter(|value| !value.is_empty()));
    let user = first(&["USER", "LOGNAME", "USERNAME"]).unwrap_or_else(|| "somebody".to_owned());
    let machine =
        std::fs::read_to_string("/proc/sys/kernel/hostname").ok().map(|name| name.trim().to_owned());
    match machine.or_else(|| first(&["HOSTNAME", "COMPUTERNAME"])) {
        Some(machine) => format!("{user}@{machine}"),
        None => user,
    }
}

/// The selectors as they were given. Where entries are sealed, keys and tags stand as the server knows them anyway; `flush` takes those
/// too.
fn selectors(place: &Place, what: &FlushArgs) -> String {
    let has_seals = place.inspector.has_seals();
    let tag = |tag: &String| {
        if has_seals && !tag.starts_with('#') { format!("#{:016x}", tag_hash(tag)) } else { tag.clone() }
    };
    let keys = what.key.iter().map(|key| place.inspector.name_of(key));
    let mut words = Vec::new();
    words.extend(what.tag.iter().map(|given| format!("--tag {}", tag(given))));
    words.extend(what.prefix.iter().map(|prefix| format!("--prefix {prefix}")));
    words.extend(keys.map(|key| format!("--key {key}")));
    words.extend(what.all.then(|| "--all".to_owned()));
    words.join(" ")
}
