//! `log`: what was flushed by hand.

use std::env;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::nothing;
use crate::Done;
use crate::args::{Args, FlushArgs};
use crate::place::Place;
use crate::table::{Cell, Table};

/// One flush. Others may write anything there.
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
        // Beyond the year 9999 nothing can be written.
        let when = Duration::from_millis(when.millis().min(253_402_300_799_000));
        let when = humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + when);
        let what = if args.output.redact { redacted(&line.what) } else { line.what };
        let entries =
            if line.sample { format!("{} of a sample", line.entries).into() } else { line.entries.into() };
        table.row([
            Cell::from(when.to_string()),
            line.who.into(),
            what.into(),
            entries,
            line.reason.map_or(Cell::None, Cell::from),
        ]);
    }
    table.write(&args.output)?;
    nothing(&table.rows)
}

/// The selectors without what they name.
fn redacted(what: &str) -> String {
    what.split(' ').filter(|word| word.starts_with("--")).collect::<Vec<_>>().join(" ")
}

/// Records a flush. Where that fails, it is said: what was evicted is evicted.
pub(crate) async fn record(place: &Place, what: &FlushArgs, entries: u64, sample: bool) {
    let line = Line { who: who(), what: selectors(what), reason: what.reason.clone(), entries, sample };
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

/// As they were given.
fn selectors(what: &FlushArgs) -> String {
    let mut words = Vec::new();
    for (option, values) in [("--tag", &what.tag), ("--prefix", &what.prefix), ("--key", &what.key)] {
        words.extend(values.iter().map(|value| format!("{option} {value}")));
    }
    words.extend(what.all.then(|| "--all".to_owned()));
    words.join(" ")
}
