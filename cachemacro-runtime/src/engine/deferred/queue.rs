//! The queues of what dropped calls left to do: data, no deeds.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, Weak};

use tokio::time::Instant;

use super::kept::Kept;
use crate::engine::targets::Targets;
use crate::format::ids::Token;
use crate::ground::sync::lock;
use crate::observe::stats::Counters;
use crate::store::{AnyStore, shared};

/// What is left to do by caches of type `C`.
pub(crate) struct Deferred<C> {
    /// Those of all caches of this process on one namespace of one store.
    pub(super) evicts: Arc<Evicts<C>>,
    /// Leases of this cache to give back.
    pub(super) releases: Arc<Queue<Release>>,
}

impl<C> Deferred<C> {
    /// What a cache on this namespace of this store leaves to do. Its evicts are known to all caches of the process that are
    /// on the same: what one of them left to evict, the others do not read either.
    pub(crate) fn of(store: &AnyStore, namespace: &str) -> Self
    where
        C: Send + Sync + 'static,
    {
        Self { evicts: shared(store, namespace, Evicts::default), releases: Arc::default() }
    }

    /// Whether no evict is outstanding.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        let Evicts { named, scans, kept, .. } = &*self.evicts;
        named.outstanding() == 0 && scans.outstanding() == 0 && kept.count() == 0
    }
}

impl<C> fmt::Debug for Deferred<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Evicts { named, scans, .. } = &*self.evicts;
        let evicts = named.outstanding() + scans.outstanding();
        f.debug_struct("Deferred")
            .field("evicts", &evicts)
            .field("kept", &self.evicts.kept.count())
            .finish_non_exhaustive()
    }
}

/// Jobs of one kind, in the order in which they came.
pub(super) struct Queue<J> {
    pub(super) jobs: Mutex<VecDeque<J>>,
    /// Held by who drains.
    pub(super) turn: tokio::sync::Mutex<()>,
    /// Whether a task drains; of leases, one that goes on after a failure.
    drained: AtomicBool,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self { jobs: Mutex::default(), turn: tokio::sync::Mutex::default(), drained: AtomicBool::new(false) }
    }
}

impl<J> Queue<J> {
    /// All jobs, for who has the turn.
    pub(super) fn take(&self) -> Batch<'_, J> {
        Batch { queue: self, jobs: std::mem::take(&mut *lock(&self.jobs)) }
    }

    /// The right to drain, where no task has it: that one takes what comes meanwhile.
    pub(super) fn claim(self: &Arc<Self>) -> Option<Claim<J>> {
        (!self.drained.swap(true, Ordering::SeqCst)).then(|| Claim(self.clone()))
    }
}

/// The right to drain a queue. A task that is dropped with its runtime loses it.
pub(super) struct Claim<J>(Arc<Queue<J>>);

impl<J> Claim<J> {
    /// Gives the right back, unless there are jobs: one that came just now was left to this task.
    pub(super) fn renew(self) -> Option<Self> {
        let queue = self.0.clone();
        drop(self);
        if lock(&queue.jobs).is_empty() { None } else { queue.claim() }
    }
}

impl<J> Drop for Claim<J> {
    fn drop(&mut self) {
        self.0.drained.store(false, Ordering::SeqCst);
    }
}

/// Jobs being done. Those not done when it is dropped go back into the queue, before those that came meanwhile.
pub(super) struct Batch<'a, J> {
    queue: &'a Queue<J>,
    pub(super) jobs: VecDeque<J>,
}

impl<J> Drop for Batch<'_, J> {
    fn drop(&mut self) {
        if !self.jobs.is_empty() {
            let mut jobs = lock(&self.queue.jobs);
            self.jobs.append(&mut jobs);
            *jobs = std::mem::take(&mut self.jobs);
        }
    }
}

/// A lease to give back.
pub(super) struct Release {
    pub(super) key: String,
    pub(super) token: Token,
    /// When it has lapsed, so that nothing is left to give back.
    pub(super) until: Instant,
}

/// What one call was to evict.
pub(super) struct Evicting<C> {
    /// The cache that it goes through. Where that is gone, another cache of the process sends it.
    pub(super) core: Weak<C>,
    pub(super) targets: Targets,
    /// Where it counts; `None`: at no site.
    pub(super) site: Option<Arc<Counters>>,
}

/// The evicts that all caches of this process on one namespace of one store left to do.
pub(super) struct Evicts<C> {
    /// Of keys and tags.
    pub(super) named: Line<C>,
    /// Of prefixes.
    pub(super) scans: Line<C>,
    /// Woken whenever evicts are done.
    pub(super) settled: tokio::sync::Notify,
    /// Those that the store did not acknowledge.
    pub(super) kept: Kept,
}

impl<C> Default for Evicts<C> {
    fn default() -> Self {
        Self {
            named: Line::default(),
            scans: Line::default(),
            settled: tokio::sync::Notify::new(),
            kept: Kept::default(),
        }
    }
}

/// Evicts that are queued or under way.
///
/// They are done in the order in which they came: as many as there were at some moment are done when `done` has reached what
/// `pushed` was.
pub(super) struct Line<C> {
    pub(super) queue: Arc<Queue<Evicting<C>>>,
    about: Mutex<Outstanding>,
    pushed: AtomicU64,
    done: AtomicU64,
}

impl<C> Default for Line<C> {
    fn default() -> Self {
        Self {
            queue: Arc::default(),
            about: Mutex::default(),
            pushed: AtomicU64::default(),
            done: AtomicU64::default(),
        }
    }
}

impl<C> Line<C> {
    pub(super) fn push(&self, evict: Evicting<C>) {
        let mut about = lock(&self.about);
        about.add(&evict.targets);
        lock(&self.queue.jobs).push_back(evict);
        self.pushed.fetch_add(1, Ordering::SeqCst);
    }

    /// The first so many are done.
    pub(super) fn finish(&self, batch: &mut Batch<'_, Evicting<C>>, count: usize) {
        let mut about = lock(&self.about);
        for evict in batch.jobs.drain(..count) {
            about.remove(&evict.targets);
        }
        self.done.fetch_add(count as u64, Ordering::SeqCst);
    }

    pub(super) fn outstanding(&self) -> u64 {
        let done = self.done.load(Ordering::SeqCst);
        self.pushed.load(Ordering::SeqCst) - done
    }

    /// How many must be done before these keys may be read; `None` where nothing is outstanding that concerns them.
    pub(super) fn before(&self, keys: &[&str]) -> Option<u64> {
        let pushed = self.pushed.load(Ordering::SeqCst);
        if self.is_done(pushed) {
            return None;
        }
        let about = lock(&self.about);
        keys.iter().any(|key| about.concerns(key)).then_some(pushed)
    }

    pub(super) fn is_done(&self, count: u64) -> bool {
        self.done.load(Ordering::SeqCst) >= count
    }
}

/// How many outstanding evicts touch each key, each prefix, and any tag.
#[derive(Default)]
struct Outstanding {
    keys: HashMap<String, usize>,
    prefixes: HashMap<String, usize>,
    tags: usize,
}

impl Outstanding {
    fn add(&mut self, targets: &Targets) {
        for (counts, names) in [(&mut self.keys, &targets.keys), (&mut self.prefixes, &targets.prefixes)] {
            for name in names {
                *counts.entry(name.clone()).or_default() += 1;
            }
        }
        self.tags += targets.tags.len();
    }

    fn remove(&mut self, targets: &Targets) {
        for (counts, names) in [(&mut self.keys, &targets.keys), (&mut self.prefixes, &targets.prefixes)] {
            for name in names {
                match counts.get_mut(name) {
                    Some(count) if *count > 1 => *count -= 1,
                    _ => drop(counts.remove(name)),
                }
            }
        }
        self.tags -= targets.tags.len();
    }

    /// Whether the entry of this key may have to go. Which tags it carries is not known before it is read.
    fn concerns(&self, key: &str) -> bool {
        self.tags > 0
            || self.keys.contains_key(key)
            || self.prefixes.keys().any(|prefix| key.starts_with(prefix))
    }
}

/// The evicts of one site of one cache, in one.
pub(super) struct Merged<C> {
    pub(super) core: Weak<C>,
    pub(super) site: Option<Arc<Counters>>,
    pub(super) targets: Targets,
    /// How many they are.
    pub(super) count: u64,
}

impl<C> Merged<C> {
    fn is_of(&self, evict: &Evicting<C>) -> bool {
        let id = |site: &Option<Arc<Counters>>| site.as_ref().map(Arc::as_ptr);
        self.core.ptr_eq(&evict.core) && id(&self.site) == id(&evict.site)
    }
}

/// These evicts by cache and site, each name once.
pub(super) fn by_site<'a, C: 'a>(evicts: impl Iterator<Item = &'a Evicting<C>>) -> Vec<Merged<C>> {
    let mut merged: Vec<Merged<C>> = Vec::new();
    for evict in evicts {
        let at = merged.iter().position(|merged| merged.is_of(evict)).unwrap_or_else(|| {
            let (core, site) = (evict.core.clone(), evict.site.clone());
            merged.push(Merged { core, site, targets: Targets::default(), count: 0 });
            merged.len() - 1
        });
        merged[at].targets.extend(evict.targets.clone());
        merged[at].count += 1;
    }
    for merged in &mut merged {
        merged.targets.dedup();
    }
    merged
}

/// How many of these evicts, as far as they are in `merged`, name something of what failed.
pub(super) fn count_failed<'a, C: 'a>(
    evicts: impl Iterator<Item = &'a Evicting<C>>,
    merged: &Merged<C>,
    failed: &[Targets],
) -> u64 {
    let names = |targets: &'a Targets| {
        let tags = targets.tags.iter().map(|tag| &tag.tag.text);
        tags.chain(&targets.keys).chain(&targets.prefixes)
    };
    let mut failures: HashSet<&str> = HashSet::new();
    for targets in failed {
        failures.extend(targets.tags.iter().map(|tag| tag.tag.text.as_str()));
        failures.extend(targets.keys.iter().chain(&targets.prefixes).map(String::as_str));
    }
    let own = evicts.filter(|evict| merged.is_of(evict));
    own.filter(|evict| names(&evict.targets).any(|name| failures.contains(name.as_str()))).count() as u64
}
