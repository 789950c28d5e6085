//! What became of the writes of queues.

#[cfg(feature = "write-behind")]
use std::collections::BTreeMap;
#[cfg(feature = "write-behind")]
use std::fmt;
#[cfg(feature = "write-behind")]
use std::sync::atomic::{AtomicU64, Ordering};
#[cfg(feature = "write-behind")]
use std::sync::{Arc, Mutex, Weak};
use std::time::Duration;

#[cfg(feature = "write-behind")]
use tokio::time::Instant;

#[cfg(feature = "write-behind")]
use crate::ground::sync::lock;

/// What a queue of writes holds, and what became of those that this process had to do with, from `WriteBehind::stats` (feature `write-behind`) and
/// [`CacheStats::queues`](crate::CacheStats::queues). Queues of one name on one cache count together, also after their end.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// let none = cachemacro::QueueStats::default();
/// assert_eq!((none.seen, none.depth), (None, 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct QueueStats {
    /// How long ago it was seen what the queue holds. `None`: that is not known now, and `depth`, `oldest` and `dead` say nothing; the server has not answered
    /// for a quarter of a minute, or the queue was shut down.
    pub seen: Option<Duration>,
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

#[cfg(feature = "write-behind")]
impl QueueStats {
    /// With what the queue holds, unless a later look is known.
    pub(crate) fn with(self, held: Held) -> Self {
        let seen = held.at.elapsed();
        if self.seen.is_some_and(|latest| latest <= seen) {
            return self;
        }
        Self { seen: Some(seen), depth: held.depth, oldest: held.oldest, dead: held.dead, ..self }
    }
}

/// What a queue held when that was last seen.
#[cfg(feature = "write-behind")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held {
    depth: u64,
    oldest: Option<Duration>,
    dead: u64,
    at: Instant,
}

#[cfg(feature = "write-behind")]
impl Held {
    /// It was asked for at this time.
    pub(crate) const fn new(at: Instant, depth: u64, oldest: Option<Duration>, dead: u64) -> Self {
        Self { depth, oldest, dead, at }
    }

    /// Whether it was seen longer ago than this.
    pub(crate) fn is_older(&self, than: Duration) -> bool {
        self.at.elapsed() > than
    }
}

/// Who tells the name of a queue, and what it holds where that is known.
#[cfg(feature = "write-behind")]
pub(crate) trait TellsOfQueue: Send + Sync {
    fn told(&self) -> (&str, Option<Held>);
}

/// How many names are known of queues. Beyond that those are forgotten of which no queue is left, the one that was first to start first.
#[cfg(feature = "write-behind")]
const MOST_NAMES: usize = 100;

/// The queues that a process has of a cache, and had.
#[cfg(feature = "write-behind")]
#[derive(Default)]
pub(crate) struct AllQueues(Mutex<All>);

#[cfg(feature = "write-behind")]
#[derive(Default)]
struct All {
    running: Vec<Weak<dyn TellsOfQueue>>,
    /// By name. They go on where a queue of that name starts again: a counter never falls.
    counts: Vec<(String, Arc<QueueCounts>)>,
}

#[cfg(feature = "write-behind")]
impl fmt::Debug for AllQueues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllQueues").field("count", &lock(&self.0).running.len()).finish()
    }
}

#[cfg(feature = "write-behind")]
impl AllQueues {
    /// What queues of this name count in.
    pub(crate) fn counts(&self, name: &str) -> Arc<QueueCounts> {
        let mut all = lock(&self.0);
        let counts = &mut all.counts;
        if let Some((_, known)) = counts.iter().find(|(known, _)| known == name) {
            return Arc::clone(known);
        }
        while counts.len() >= MOST_NAMES
            && let Some(at) = counts.iter().position(|(_, counts)| Arc::strong_count(counts) == 1)
        {
            counts.remove(at);
        }
        let new = Arc::<QueueCounts>::default();
        counts.push((name.to_owned(), Arc::clone(&new)));
        new
    }

    pub(crate) fn add(&self, queue: Weak<dyn TellsOfQueue>) {
        let mut all = lock(&self.0);
        all.running.retain(|queue| queue.strong_count() > 0);
        all.running.push(queue);
    }

    /// All that there are and were, by name.
    pub(crate) fn snapshot(&self) -> Vec<(String, QueueStats)> {
        let (queues, mut all) = {
            let known = lock(&self.0);
            let queues: Vec<_> = known.running.iter().filter_map(Weak::upgrade).collect();
            let counts = known.counts.iter().map(|(name, counts)| (name.clone(), counts.snapshot()));
            (queues, counts.collect::<BTreeMap<_, _>>())
        };
        for (name, held) in queues.iter().map(|queue| queue.told()) {
            if let (Some(held), Some(stats)) = (held, all.get_mut(name)) {
                *stats = stats.with(held);
            }
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
