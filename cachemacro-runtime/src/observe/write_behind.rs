//! What became of the writes of queues.

use std::collections::BTreeMap;
use std::fmt;
#[cfg(feature = "write-behind")]
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, Weak};
use std::time::Duration;

use crate::ground::sync::lock;

/// What a queue of writes holds, and what became of those that this process had to do with, from `WriteBehind::stats` (feature `write-behind`) and
/// [`CacheStats::queues`](crate::CacheStats::queues).
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

impl QueueStats {
    /// Two queues of one name in one process: what they hold is the same.
    fn and(self, other: Self) -> Self {
        Self {
            depth: self.depth.max(other.depth),
            oldest: self.oldest.max(other.oldest),
            dead: self.dead.max(other.dead),
            accepted: self.accepted + other.accepted,
            refused: self.refused + other.refused,
            applied: self.applied + other.applied,
            coalesced: self.coalesced + other.coalesced,
            retried: self.retried + other.retried,
            died: self.died + other.died,
        }
    }
}

/// Who tells the name of a queue, and its figures as they were last seen.
pub(crate) trait TellsOfQueue: Send + Sync {
    fn told(&self) -> (String, QueueStats);
}

/// The queues that a process has of a cache.
#[derive(Default)]
pub(crate) struct AllQueues(Mutex<Vec<Weak<dyn TellsOfQueue>>>);

impl fmt::Debug for AllQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllQueues").field("count", &lock(&self.0).len()).finish()
    }
}

impl AllQueues {
    #[cfg(feature = "write-behind")]
    pub(crate) fn add(&self, queue: Weak<dyn TellsOfQueue>) {
        let mut all = lock(&self.0);
        all.retain(|queue| queue.strong_count() > 0);
        all.push(queue);
    }

    /// Those that there are still, by name.
    pub(crate) fn snapshot(&self) -> Vec<(String, QueueStats)> {
        let queues: Vec<_> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        let mut all: BTreeMap<String, QueueStats> = BTreeMap::new();
        for (name, stats) in queues.iter().map(|queue| queue.told()) {
            let before = all.remove(&name).unwrap_or_default();
            all.insert(name, before.and(stats));
        }
        all.into_iter().collect()
    }
}

/// The figures, while it goes on.
#[cfg(feature = "write-behind")]
#[derive(Debug, Default)]
pub(crate) struct QueueCounts {
    pub(crate) accepted: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) applied: AtomicU64,
    pub(crate) coalesced: AtomicU64,
    pub(crate) retried: AtomicU64,
    pub(crate) died: AtomicU64,
}

#[cfg(feature = "write-behind")]
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
