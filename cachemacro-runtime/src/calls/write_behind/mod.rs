//! Writes that are applied later: accepted into a partition of a queue, found there by who misses, and applied by whoever owns the partition.
//!
//! Accepted is in the stream and among the pending writes, then the entry is evicted. From there on a read misses, and looks into the pending
//! writes before it loads. The owner applies, evicts, and settles, in this order: what was loaded before the apply is gone before the write is
//! pending no more. What will never be applied is taken from the pending writes first, then evicted, and leaves the stream last, as a dead letter.
//! `tests/protocol/model/pending` plays all orders. Nothing here knows a value's type.

pub(crate) mod owner;
pub(crate) mod pending;
pub(crate) mod record;

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{BoxFuture, try_join_all};
use tokio::runtime::Handle;
use tokio::sync::{Notify, watch};
use tokio::time::sleep;
use xxhash_rust::xxh3::xxh3_64;

use self::record::{Record, tags_of};
use crate::engine::core::Core;
use crate::engine::evict::log_failed;
use crate::engine::raw::RawEntry;
use crate::engine::removals::Removals;
use crate::format::ids::Token;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::spread;
use crate::ground::sync::lock;
use crate::key::Key;
use crate::observe::stats::Counters;
use crate::observe::write_behind::{Held, QueueCounts, QueueStats, TellsOfQueue};
use crate::store::{Accepted, Dead, Depth, Queued, Queues, are_one};

/// How many partitions a queue has. It is part of where writes lie: another number would look elsewhere for those that are there.
pub(crate) const PARTITIONS: u8 = 16;
/// The pause between two attempts at a partition that is full.
const PAUSE: Duration = Duration::from_millis(20);
/// How often it is seen what the partitions hold.
const LOOK: Duration = Duration::from_secs(5);
/// After how many looks without an answer that is not known any more.
const MOST_LOOKS: u32 = 3;

/// What a queue is told when it starts.
#[derive(Debug, Clone)]
pub(crate) struct Limits {
    /// How many writes are read at once.
    pub(crate) batch: usize,
    pub(crate) every: Duration,
    /// How many writes a partition may hold.
    pub(crate) capacity: usize,
    /// How long a caller waits while it is full.
    pub(crate) wait: Duration,
    pub(crate) attempts: u32,
    pub(crate) backoff: Duration,
    pub(crate) lease: Duration,
}

/// What is applied in one go.
pub(crate) struct Piece {
    pub(crate) writes: Vec<Queued>,
    pub(crate) partition: u8,
    pub(crate) fence: u64,
    /// All that was read so far: up to this number.
    pub(crate) up_to: u64,
    /// What of that is not applied yet.
    pub(crate) left: BTreeSet<u64>,
    /// What of it will never be applied.
    pub(crate) gone: Vec<u64>,
}

/// Begins to apply a piece.
///
/// # Errors
/// The places of writes that could not be decoded.
pub(crate) type Apply =
    Arc<dyn Fn(Piece) -> Result<BoxFuture<'static, Result<(), String>>, Vec<usize>> + Send + Sync>;

/// How a queue is to go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Runs,
    /// Until nothing is there that can be applied.
    Drains,
    Ends,
}

/// A queue that runs.
pub(crate) struct Queue {
    pub(crate) core: Arc<Core>,
    /// Percent-encoded.
    pub(crate) name: String,
    pub(crate) limits: Limits,
    /// Tells this process from others.
    owner: String,
    /// `None`: this process only accepts.
    apply: Option<Apply>,
    pub(crate) counts: Arc<QueueCounts>,
    /// What all partitions held when that was last seen; `None` before that, and once it has ended.
    held: Mutex<Option<Held>>,
    phase: watch::Sender<Phase>,
    /// How many partitions have a task that has not ended.
    tasks: watch::Sender<usize>,
    /// There is something to apply.
    accepted: Notify,
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Queue {
    /// Has tasks apply what is accepted, on the caller's runtime, if they are to.
    pub(crate) fn start(core: Arc<Core>, name: String, limits: Limits, apply: Option<Apply>) -> Arc<Self> {
        let owner = format!("{:016x}", Token::random().get());
        let partitions = if apply.is_some() { PARTITIONS } else { 0 };
        let counts = core.queues.counts(&name);
        let queue = Arc::new(Self {
            core,
            name,
            limits,
            owner,
            apply,
            counts,
            held: Mutex::default(),
            phase: watch::Sender::new(Phase::Runs),
            tasks: watch::Sender::new(partitions.into()),
            accepted: Notify::new(),
        });
        queue.core.queues.add(Arc::downgrade(&queue) as Weak<dyn TellsOfQueue>);
        for partition in 0..partitions {
            tokio::spawn(Arc::clone(&queue).partition(partition));
        }
        if Handle::try_current().is_ok() {
            tokio::spawn(looking(Arc::downgrade(&queue), queue.phase.subscribe()));
        }
        queue
    }

    pub(crate) fn queues(&self) -> Result<&dyn Queues> {
        queues(&self.core)
    }

    /// The key of a partition. No entry's begins with a brace.
    pub(crate) fn key_of(&self, partition: u8) -> String {
        let (namespace, name) = (self.core.namespace(), &self.name);
        let colon = if namespace.is_empty() { "" } else { ":" };
        format!("{{{namespace}{colon}behind:{name}:{partition:02}}}")
    }

    /// Whether it takes entries of this cache: it evicts in its own namespace and store alone, and what is pending there says nothing of another's.
    fn takes(&self, core: &Core) -> Result<()> {
        let own = &*self.core;
        let is_own =
            core.id == own.id || (core.namespace() == own.namespace() && are_one(&core.store, &own.store));
        if is_own {
            return Ok(());
        }
        let what = "the entry is in another namespace or store than the queue, which evicts in its own";
        Err(Error::new(ErrorKind::Config, what))
    }

    /// Accepts a write of an entry: `value` is what it holds from now on, `None` where it is removed; these tags are evicted once it was applied.
    pub(crate) async fn accept(&self, raw: &RawEntry, value: Option<&[u8]>, tags: &[String]) -> Result<()> {
        if raw.is_sealed() || raw.policy.sealed {
            let what = "a queue's writes are not sealed, and the entry is to be";
            return Err(Error::new(ErrorKind::Config, what));
        }
        self.takes(&raw.core)?;
        if *self.phase.borrow() != Phase::Runs {
            return Err(Error::new(ErrorKind::Refused, "the queue of writes was shut down"));
        }
        let write: Bytes = Record { value, tags }.encode()?.into();
        let partition = self.key_of(partition_of(raw.key.as_str()));
        let began = Instant::now();
        // G7: also of a caller that goes away meanwhile, as the write may have been accepted.
        let mut unseen = Unseen { raw, done: false };
        loop {
            let most = self.limits.capacity;
            let accepted = self.queues()?.accept(&partition, raw.key.as_str(), write.clone(), most).await;
            match accepted {
                Ok(Accepted::As(_)) => break,
                Ok(Accepted::Full) if began.elapsed() >= self.limits.wait => {
                    unseen.done = true;
                    self.counts.refused.fetch_add(1, Ordering::Relaxed);
                    let what = format!("the queue of writes has been full for {:?}", self.limits.wait);
                    return Err(Error::new(ErrorKind::Full, what));
                }
                Ok(Accepted::Full) => {
                    self.accepted.notify_waiters();
                    sleep(spread(PAUSE)).await;
                }
                Err(error) => {
                    self.core.failed(&error);
                    return Err(error);
                }
            }
        }
        self.counts.accepted.fetch_add(1, Ordering::Relaxed);
        // Read your writes: from here on everybody misses, and looks into the pending writes.
        if let Err(error) = raw.core.evict(&Removals::of(&raw.key), raw.counters()).await {
            log_failed(raw.counters(), &error, 1);
        }
        unseen.done = true;
        Ok(())
    }

    /// What is pending of the entry of this key in this cache, whose store is asked: `Some(None)` where it is to be removed. Errors are counted.
    pub(crate) async fn pending(
        &self,
        core: &Core,
        site: Option<&Counters>,
        key: &Key,
    ) -> Result<Option<Option<Bytes>>> {
        let failed = |error: &Error| core.failed_at(site, error);
        self.takes(core).inspect_err(failed)?;
        let partition = self.key_of(partition_of(key.as_str()));
        let asked = queues(core).inspect_err(failed)?.pending(&partition, key.as_str());
        let Some(write) = core.timed_at(site, "pending", asked).await? else { return Ok(None) };
        let wrong = || Error::new(ErrorKind::Decode, "a pending write is of another version of this crate");
        record::value_of(&write).ok_or_else(wrong).inspect_err(failed).map(Some)
    }

    /// What all partitions hold, and what became of what this process had to do with.
    pub(crate) async fn stats(&self) -> Result<QueueStats> {
        let depth = async |partition| self.queues()?.depth(&self.key_of(partition)).await;
        let asked = tokio::time::Instant::now();
        let depths = try_join_all((0..PARTITIONS).map(depth)).await?;
        let mut all = Depth::default();
        for depth in depths {
            all.count += depth.count;
            all.oldest = all.oldest.max(depth.oldest);
            all.dead += depth.dead;
        }
        let held = Held::new(asked, all.count, all.oldest, all.dead);
        if *self.phase.borrow() != Phase::Ends {
            *lock(&self.held) = Some(held);
        }
        Ok(self.counts.snapshot().with(held))
    }

    /// What was put aside, with its partition.
    pub(crate) async fn dead(&self, most: usize) -> Result<Vec<(u8, Dead)>> {
        let mut all = Vec::new();
        for partition in 0..PARTITIONS {
            let dead = self.queues()?.dead(&self.key_of(partition), most - all.len()).await?;
            all.extend(dead.into_iter().map(|dead| (partition, dead)));
            if all.len() >= most {
                break;
            }
        }
        Ok(all)
    }

    /// Accepts what was put aside once more, as the newest write of its key, and forgets that it was.
    pub(crate) async fn replay(&self, partition: u8, dead: &Dead) -> Result<bool> {
        let Queued { key: of, write, .. } = &dead.write;
        // First: where this process ends in between, it is there twice and not gone.
        let key = self.key_of(partition);
        if self.queues()?.accept(&key, of, write.clone(), usize::MAX >> 16).await? == Accepted::Full {
            return Ok(false);
        }
        self.core.evict(&removals_of(of, write), None).await?;
        self.forget(partition, &dead.id).await
    }

    /// Forgets what was put aside.
    pub(crate) async fn forget(&self, partition: u8, id: &str) -> Result<bool> {
        self.queues()?.forget(&self.key_of(partition), id).await
    }

    /// Applies what is there for so long, then leaves the rest to others. Tells whether nothing was left that could be applied.
    pub(crate) async fn shutdown(&self, deadline: Duration) -> bool {
        self.phase.send_if_modified(|phase| {
            *phase == Phase::Runs && {
                *phase = Phase::Drains;
                true
            }
        });
        self.accepted.notify_waiters();
        let mut tasks = self.tasks.subscribe();
        let drained = tokio::time::timeout(deadline, tasks.wait_for(|tasks| *tasks == 0)).await.is_ok();
        self.end();
        if !drained {
            let _ = self.tasks.subscribe().wait_for(|tasks| *tasks == 0).await;
        }
        drained
    }

    pub(crate) fn end(&self) {
        self.phase.send_replace(Phase::Ends);
        // Nobody looks any more.
        *lock(&self.held) = None;
    }
}

impl TellsOfQueue for Queue {
    fn told(&self) -> (&str, Option<Held>) {
        (&self.name, lock(&self.held).filter(|held| !held.is_older(MOST_LOOKS * LOOK)))
    }
}

/// Sees now and then what the partitions hold, for whoever asks for figures without waiting.
async fn looking(queue: Weak<Queue>, mut phase: watch::Receiver<Phase>) {
    loop {
        let Some(looks) = queue.upgrade() else { return };
        if let Err(error) = looks.stats().await {
            tracing::debug!(queue = looks.name, %error, "what a queue of writes holds could not be seen");
        }
        drop(looks);
        tokio::select! {
            _ = phase.wait_for(|phase| *phase == Phase::Ends) => return,
            () = sleep(spread(LOOK)) => {}
        }
    }
}

/// What is evicted once this was applied.
fn removals_of(key: &str, write: &[u8]) -> Removals {
    let mut removals = Removals::default();
    removals.keys.insert(key.to_owned());
    removals.tags.extend(tags_of(write));
    removals
}

/// Who keeps queues.
pub(crate) fn queues(core: &Core) -> Result<&dyn Queues> {
    if core.settings.unresolved.is_some() {
        return Err(Error::new(ErrorKind::Config, "the environment does not give a store to keep writes in"));
    }
    let none = || Error::new(ErrorKind::Config, "this store keeps no queues of writes");
    core.store.queues().ok_or_else(none)
}

/// The partition of a key: all writes of one key are in one, in their order.
pub(crate) fn partition_of(key: &str) -> u8 {
    u8::try_from(xxh3_64(key.as_bytes()) % u64::from(PARTITIONS)).unwrap_or(0)
}

/// An entry whose write may have been accepted and that was not evicted yet.
struct Unseen<'a> {
    raw: &'a RawEntry,
    done: bool,
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        if !self.done {
            let site = self.raw.site.as_ref().map(|(_, counters)| Arc::clone(counters));
            self.raw.core.evict_later(&Removals::of(&self.raw.key), site);
        }
    }
}

fn count(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}
