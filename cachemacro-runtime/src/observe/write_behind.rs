//! What became of the writes of a queue.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// What a queue holds, and what became of the writes that this process had to do with, from [`WriteBehind::stats`](crate::WriteBehind::stats).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// assert_eq!(cachemacro::QueueStats::default().depth, 0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueStats {
    /// How many writes wait in all partitions, whichever process accepted them.
    pub depth: u64,
    /// How long the oldest of them has waited.
    pub oldest: Option<Duration>,
    /// How many dead letters there are.
    pub dead: u64,
    /// Accepted by this process.
    pub accepted: u64,
    /// Turned down by this process because the queue was full.
    pub refused: u64,
    /// Applied by this process, the newest of each key of a batch.
    pub applied: u64,
    /// Not applied by this process because a newer write of their key was.
    pub coalesced: u64,
    /// Attempts of this process that failed, of a batch or a part of one.
    pub retried: u64,
    /// Put among the dead letters by this process.
    pub died: u64,
}

/// The same, while it goes on.
#[derive(Debug, Default)]
pub(crate) struct QueueCounts {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) coalesced: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) died: AtomicU64,
}

impl QueueCounts {
    pub(crate) fn snapshot(&self) -> QueueStats {
        let count = |count: &AtomicU64| count.load(Ordering::Relaxed);
        QueueStats {
            accepted: count(&self.accepted),
            refused: count(&self.refused),
            applied: count(&self.applied),
            coalesced: count(&self.coalesced),
            retried: count(&self.retried),
            died: count(&self.died),
            ..QueueStats::default()
        }
    }
}
