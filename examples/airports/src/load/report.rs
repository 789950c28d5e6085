//! What a load measured, for people to read.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{Kept, Load, Request};

/// What one run measured.
#[derive(Debug)]
pub struct Run {
    /// Where the cache kept its entries.
    pub store: &'static str,
    /// How often the handler of a page ran.
    pub runs: u64,
    /// Statements that the database ran.
    pub queries: u64,
    /// Reads that the cache answered.
    pub hits: u64,
    /// Reads that it did not.
    pub misses: u64,
    /// How long each request took, the shortest first.
    pub times: Vec<Duration>,
}

impl Run {
    /// The time within which this part of the requests was answered.
    #[must_use]
    pub fn quantile(&self, percent: usize) -> Duration {
        let rank = (self.times.len() * percent).div_ceil(100).max(1);
        self.times.get(rank - 1).copied().unwrap_or_default()
    }

    /// Hits among all reads of the cache, in percent.
    #[must_use]
    pub fn hit_rate(&self) -> f64 {
        100.0 * count(self.hits) / count((self.hits + self.misses).max(1))
    }
}

/// Both runs.
#[derive(Debug)]
pub struct Report {
    /// What was asked for.
    pub load: Load,
    /// The time between two requests.
    pub gap: Duration,
    /// The requests, the same for both.
    pub requests: Arc<[Request]>,
    /// With caching off.
    pub off: Run,
    /// With caching on.
    pub on: Run,
    /// What a rename leaves.
    pub kept: Kept,
}

impl Report {
    /// Database queries that caching saved, in percent.
    #[must_use]
    pub fn saved(&self) -> f64 {
        100.0 * (1.0 - count(self.on.queries) / count(self.off.queries))
    }

    fn mix(&self) -> String {
        let kinds = ["lookup", "search", "near", "statistics", "rename", "delete"];
        let share = |kind| {
            let of_kind = self.requests.iter().filter(|request| request.kind() == kind).count();
            let percent = 100.0 * count(of_kind as u64) / count(self.requests.len() as u64);
            format!("{kind} {percent:.1} %")
        };
        kinds.map(share).join(", ")
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Load { callers, skew, seed, .. } = &self.load;
        let requests = self.requests.len();
        let pace = 1.0 / self.gap.as_secs_f64();
        writeln!(f, "{requests} requests over HTTP on loopback, {pace:.0} a second from {callers} callers,")?;
        writeln!(
            f,
            "after some seconds of warming up; Zipf's law with exponent {skew} over the airports with"
        )?;
        writeln!(f, "an IATA code, seed {seed}; cache in {}", self.on.store)?;
        writeln!(f, "{}\n", self.mix())?;
        let mut row = |name: &str, off: String, on: String| writeln!(f, "{name:<20}{off:>14}{on:>14}");
        row("", "caching off".to_owned(), "caching on".to_owned())?;
        row("handler runs", self.off.runs.to_string(), self.on.runs.to_string())?;
        row("database queries", self.off.queries.to_string(), self.on.queries.to_string())?;
        row("p50", millis(self.off.quantile(50)), millis(self.on.quantile(50)))?;
        row("p99", millis(self.off.quantile(99)), millis(self.on.quantile(99)))?;
        row("hit rate", "-".to_owned(), format!("{:.1} %", self.on.hit_rate()))?;
        writeln!(f, "\ndatabase queries saved: {:.1} %", self.saved())?;
        let Kept { airports, by_row, by_table } = self.kept;
        writeln!(f, "of {airports} cached airports a rename left {by_row} by row, {by_table} by table")?;
        if cfg!(debug_assertions) {
            writeln!(
                f,
                "(a debug build: its times mean little, and its pace is slower; --release gives real ones)"
            )?;
        }
        Ok(())
    }
}

fn millis(time: Duration) -> String {
    format!("{:.2} ms", time.as_secs_f64() * 1_000.0)
}

#[expect(clippy::cast_precision_loss, reason = "counts that were counted one by one are under 2^53")]
fn count(number: u64) -> f64 {
    number as f64
}
