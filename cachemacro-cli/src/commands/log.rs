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
use crate::text;

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
    /// Whether it failed, and may have evicted a part.
    failed: bool,
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
        let entries = match (line.sample, line.failed) {
            (false, false) => line.entries.into(),
            (true, false) => format!("{} of a sample", line.entries).into(),
            (false, true) => format!("{}, failed", line.entries).into(),
            (true, true) => format!("{} of a sample, failed", line.entries).into(),
        };
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

/// The selectors' names without their values, which may look like some.
fn redacted(what: &str) -> String {
    let is_selector = |word: &&str| matches!(*word, "--tag" | "--prefix" | "--key" | "--all");
    what.split(' ').filter(is_selector).collect::<Vec<_>>().join(" ")
}

/// Records a flush. A failure is only told on standard error: what was evicted stays evicted.
pub(crate) async fn record(place: &Place, what: &FlushArgs, entries: u64, sample: bool, failed: bool) {
    let (who, selectors, reason) = (who(), selectors(place, what), what.reason.clone());
    let line = Line { who, what: selectors, reason, entries, sample, failed };
    let recorded = match serde_json::to_vec(&line) {
        Ok(line) => place.inspector.log(line).await.map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(why) = recorded {
        text::tell(&format!("the flush is not in the log: {why}"));
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_what_was_named_nothing_is_left_that_looks_like_a_selector() {
        assert_eq!(redacted("--tag a --secret b --prefix --canary --key k"), "--tag --prefix --key");
    }

    #[test]
    fn a_line_of_an_older_release_is_read() {
        let line: Line = serde_json::from_str(r#"{"who":"a@b","what":"--all","entries":7}"#).expect("a line");
        assert!(!line.failed && line.entries == 7);
    }
}
