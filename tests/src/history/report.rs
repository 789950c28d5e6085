//! What the processes of a history tell the test.

use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The time in microseconds, by the clock that all processes of a machine share.
pub fn micros() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}

/// How often what was done.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Calls of any sort.
    pub calls: u64,
    /// Calls that were dropped before they returned.
    pub dropped: u64,
    /// Values that were returned and checked.
    pub reads: u64,
    /// Reads answered from the store.
    pub hits: u64,
    /// Fills that a fence refused.
    pub refused: u64,
    /// Evicts and puts that were acknowledged.
    pub evicts: u64,
    /// Calls whose query the database refused, as it was to do.
    pub failed_loads: u64,
    /// Reads that returned what they may not.
    pub stale: u64,
    /// The longest call, in microseconds.
    pub slowest: u64,
    /// Reads answered by a local copy.
    pub local: u64,
    /// Local reads of what another process had evicted.
    pub late: u64,
    /// How long after the acknowledgement of the evict the latest of them began, in microseconds.
    pub latest: u64,
}

/// What a process uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Resident memory, in KiB.
    pub memory: u64,
    /// Tasks of its runtime.
    pub tasks: usize,
    /// Open descriptors.
    pub descriptors: usize,
    /// Threads.
    pub threads: usize,
}

impl Used {
    /// What this process uses now, with so many tasks; zeros where the system does not tell.
    pub fn now(tasks: usize) -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
        };
        Self {
            memory: field("VmRSS:"),
            tasks,
            descriptors: std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count),
            threads: usize::try_from(field("Threads:")).unwrap_or(0),
        }
    }
}

/// A call that somebody may want to know of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Incident {
    /// What was called.
    pub call: String,
    /// What it was about.
    pub about: String,
    /// When the call began, by [`micros`].
    pub began: u64,
    /// When it ended, by [`micros`].
    pub ended: u64,
    /// What came of it.
    pub outcome: String,
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = (self.ended - self.began) / 1_000;
        write!(f, "{} of {} in {millis} ms: {}", self.call, self.about, self.outcome)
    }
}

/// All that is to be known of a history.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How often what was done.
    pub counts: Counts,
    /// Reads that returned a value whose load began before an acknowledged evict was called.
    pub stale: Vec<Incident>,
    /// Values of another row or type.
    pub strange: Vec<Incident>,
    /// Counters that lost or repeated a change.
    pub miscounted: Vec<Incident>,
    /// Calls that failed although none of their sort may.
    pub errors: Vec<Incident>,
    /// Calls by hand that failed as they may where the store does.
    pub refusals: Vec<Incident>,
    /// Evicts that were reported as failed.
    pub failed_evicts: Vec<Incident>,
    /// Calls that took long.
    pub slow: Vec<Incident>,
    /// The messages of all panics.
    pub panics: Vec<String>,
    /// How many evicted names the store had not acknowledged when the process was shut down, with a server that is well.
    pub undelivered: usize,
}

impl Counts {
    /// With what another process counted.
    pub fn add(&mut self, other: &Self) {
        self.calls += other.calls;
        self.dropped += other.dropped;
        self.reads += other.reads;
        self.hits += other.hits;
        self.refused += other.refused;
        self.evicts += other.evicts;
        self.failed_loads += other.failed_loads;
        self.stale += other.stale;
        self.slowest = self.slowest.max(other.slowest);
        self.local += other.local;
        self.late += other.late;
        self.latest = self.latest.max(other.latest);
    }
}

impl Report {
    /// How many reads were stale, and how long after the first of them the last one ended.
    pub fn stale_window(&self) -> (usize, Duration) {
        let began = self.stale.iter().map(|read| read.began).min().unwrap_or_default();
        let ended = self.stale.iter().map(|read| read.ended).max().unwrap_or_default();
        (self.stale.len(), Duration::from_micros(ended - began))
    }

    /// How much was done, and how many of the reads were stale.
    pub fn summary(&self) -> String {
        format!(
            "{} reads, {} hits, {} evicts, {} of them failed, {} stale reads",
            self.counts.reads,
            self.counts.hits,
            self.counts.evicts,
            self.failed_evicts.len(),
            self.stale.len(),
        )
    }

    /// With what another process reported.
    pub fn add(&mut self, other: Self) {
        self.counts.add(&other.counts);
        self.stale.extend(other.stale);
        self.undelivered += other.undelivered;
        self.strange.extend(other.strange);
        self.miscounted.extend(other.miscounted);
        self.errors.extend(other.errors);
        self.refusals.extend(other.refusals);
        self.failed_evicts.extend(other.failed_evicts);
        self.slow.extend(other.slow);
        self.panics.extend(other.panics);
    }
}
