//! What became of the events of a subscription.

use std::sync::atomic::{AtomicU64, Ordering};

/// What became of the events that a subscription was to handle in this process, from [`Subscription::stats`](crate::Subscription::stats).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// assert_eq!(cachemacro::SubscriptionStats::default().handled, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct SubscriptionStats {
    /// Handled.
    pub handled: u64,
    /// Attempts that failed.
    pub failed: u64,
    /// Could not be decoded, and were skipped.
    pub undecodable: u64,
    /// Were not kept until the subscription came to them, at least.
    pub missed: u64,
    /// Put aside after their last attempt.
    pub dead: u64,
}

/// The same, while it goes on.
#[derive(Debug, Default)]
pub(crate) struct SubscriptionCounts {
    pub(crate) handled: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) undecodable: AtomicU64,
    pub(crate) missed: AtomicU64,
    pub(crate) dead: AtomicU64,
}

impl SubscriptionCounts {
    pub(crate) fn snapshot(&self) -> SubscriptionStats {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        SubscriptionStats {
            handled: count(&self.handled),
            failed: count(&self.failed),
            undecodable: count(&self.undecodable),
            missed: count(&self.missed),
            dead: count(&self.dead),
        }
    }
}
