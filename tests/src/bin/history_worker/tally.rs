//! What happened in this process.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use cachemacro::Cache;
use cachemacro_tests::history::{Incident, Report, micros};

/// Calls that take so long are reported, in microseconds.
const SLOW: u64 = 250_000;

/// The report so far.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Report>);

/// A call that is under way.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    /// What is called.
    pub(crate) name: &'static str,
    /// What it is about.
    pub(crate) about: String,
    began: u64,
}

impl Call {
    /// It begins.
    pub(crate) fn begin(name: &'static str, about: String) -> Self {
        Self { name, about, began: micros() }
    }

    /// How old what began then was when the call did.
    pub(crate) fn age_of(&self, at: u64) -> Duration {
        Duration::from_micros(self.began.saturating_sub(at))
    }

    /// What came of it, now that it ended.
    pub(crate) fn incident(&self, outcome: &(impl ToString + ?Sized)) -> Incident {
        Incident {
            call: self.name.to_owned(),
            about: self.about.clone(),
            began: self.began,
            ended: micros(),
            outcome: outcome.to_string(),
        }
    }
}

impl Tally {
    /// Adds to the report.
    pub(crate) fn note(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call ended, or was dropped.
    pub(crate) fn ended(&self, call: &Call, dropped: bool) {
        let mut report = self.note();
        report.counts.calls += 1;
        report.counts.dropped += u64::from(dropped);
        let took = micros().saturating_sub(call.began);
        report.counts.slowest = report.counts.slowest.max(took);
        if took >= SLOW {
            report.slow.push(call.incident(if dropped { "dropped" } else { "slow" }));
        }
    }

    /// Notes every panic, also one that somebody catches.
    pub(crate) fn watch_panics(self: &Arc<Self>) {
        let (tally, usual) = (Arc::clone(self), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            tally.note().panics.push(panic.to_string());
            usual(panic);
        }));
    }

    /// The report, with what the cache counted.
    pub(crate) fn report(&self, cache: &Cache) -> Report {
        let mut report = self.note().clone();
        let stats = cache.stats().total;
        report.counts.hits = stats.hits;
        report.counts.local = stats.local_hits;
        report.counts.refused = stats.refused_fills;
        report.counts.stale = report.stale.len() as u64;
        report
    }
}
