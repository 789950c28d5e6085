//! How long each operation of the store took, whatever site it was for.

use std::time::Duration;

use crate::observe::histogram::{AtomicHistogram, Histogram};

/// The operations, by the names under which they are timed.
const OPERATIONS: [&str; 9] =
    ["read", "versions", "capture", "lease", "keep", "write", "increment", "evict", "pending"];

/// A histogram for each.
#[derive(Debug, Default)]
pub(crate) struct RoundTrips([AtomicHistogram; OPERATIONS.len()]);

impl RoundTrips {
    pub(crate) fn record(&self, operation: &str, took: Duration) {
        let at = OPERATIONS.iter().position(|known| *known == operation);
        debug_assert!(at.is_some(), "{operation} is none of them");
        if let Some(histogram) = at.and_then(|at| self.0.get(at)) {
            histogram.record(took);
        }
    }

    /// Those that were asked for.
    pub(crate) fn snapshot(&self) -> Vec<(&'static str, Histogram)> {
        let all = OPERATIONS.into_iter().zip(&self.0).map(|(name, times)| (name, times.snapshot()));
        all.filter(|(_, times)| times.count() > 0).collect()
    }
}
