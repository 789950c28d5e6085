//! What a call and a look that it makes elsewhere before it loads tell each other. The look is made where the function runs, whose time is its own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

/// Time without a bound.
const UNBOUNDED: u64 = u64::MAX;

/// What both know.
#[derive(Debug)]
pub(crate) struct Beforehand {
    doubtful: AtomicBool,
    /// How long the look may wait for the store, in nanoseconds.
    left: AtomicU64,
    /// How long it did.
    took: AtomicU64,
}

impl Beforehand {
    /// Of a call that may wait for the store for so long in all.
    pub(crate) fn new(deadline: Option<Duration>) -> Self {
        let left = AtomicU64::new(deadline.map_or(UNBOUNDED, nanos));
        Self { doubtful: AtomicBool::default(), left, took: AtomicU64::default() }
    }

    /// What is loaded may be older than what was written: it is not stored. Where that is known before the look, none is made.
    pub(crate) fn doubt(&self) {
        self.doubtful.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_doubtful(&self) -> bool {
        self.doubtful.load(Ordering::Relaxed)
    }

    /// The call is about to load, and has so much of its time left.
    pub(crate) fn loads(&self, left: Option<Duration>) {
        self.left.store(left.map_or(UNBOUNDED, nanos), Ordering::Relaxed);
    }

    /// How long the look took.
    pub(crate) fn took(&self) -> Duration {
        Duration::from_nanos(self.took.load(Ordering::Relaxed))
    }

    /// How long the look may take.
    pub(crate) fn left(&self) -> Option<Duration> {
        Some(self.left.load(Ordering::Relaxed)).filter(|left| *left != UNBOUNDED).map(Duration::from_nanos)
    }

    /// The look took so long.
    pub(crate) fn looked(&self, took: Duration) {
        self.took.store(nanos(took), Ordering::Relaxed);
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(UNBOUNDED)
}
