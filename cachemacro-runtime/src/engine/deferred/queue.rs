//! The queues of what dropped calls left to do: data, no deeds.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crate::engine::targets::Targets;
use crate::format::ids::Token;
use crate::ground::sync::lock;
use crate::observe::stats::Counters;

/// What is left to do.
#[derive(Default)]
pub(crate) struct Deferred {
    /// Evicts of keys and tags.
    pub(super) evicts: Evicts,
    /// Evicts of prefixes.
    pub(super) scans: Evicts,
    pub(super) releases: Queue<(String, Token)>,
    /// Woken whenever evicts are done.
    pub(super) settled: tokio::sync::Notify,
}

impl Deferred {
    /// Whether no evict is outstanding.
    #[inline]
    pub(crate) fn is_idle(&self) -> bool {
        self.evicts.outstanding() == 0 && self.scans.outstanding() == 0
    }
}

impl fmt::Debug for Deferred {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evicts = self.evicts.outstanding() + self.scans.outstanding();
        f.debug_struct("Deferred").field("evicts", &evicts).finish_non_exhaustive()
    }
}

/// Jobs of one kind.
pub(super) struct Queue<J> {
    pub(super) jobs: Mutex<Vec<J>>,
    /// Held by who drains.
    pub(super) turn: tokio::sync::Mutex<()>,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self { jobs: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<J> Queue<J> {
    /// All jobs, for who has the turn.
    pub(super) fn take(&self) -> Batch<'_, J> {
        Batch { queue: self, jobs: std::mem::take(&mut *lock(&self.jobs)) }
    }
}

/// Jobs being done. Those not done when it is dropped go back into the queue.
pub(super) struct Batch<'a, J> {
    pub(super) queue: &'a Queue<J>,
    pub(super) jobs: Vec<J>,
}

impl<J> Drop for Batch<'_, J> {
    fn drop(&mut self) {
        if !self.jobs.is_empty() {
            lock(&self.queue.jobs).append(&mut self.jobs);
        }
    }
}

/// What one call was to evict, and the site where that counts.
pub(super) struct Evicting {
    pub(super) targets: Targets,
    pub(super) site: Option<Arc<Counters>>,
}

/// Evicts that are queued or under way.
///
/// Whoever has the turn does all that are queued, so they are done in the order in which they came: as many as there
/// were at some moment are done when `done` has reached what `pushed` was.
#[derive(Default)]
pub(super) struct Evicts {
    pub(super) queue: Queue<Evicting>,
    pub(super) about: Mutex<Outstanding>,
    pub(super) pushed: AtomicU64,
    pub(super) done: AtomicU64,
}

impl Evicts {
    pub(super) fn push(&self, evict: Evicting) {
        let mut about = lock(&self.about);
        about.add(&evict.targets);
        lock(&self.queue.jobs).push(evict);
        self.pushed.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn done(&self, batch: &mut Batch<'_, Evicting>) {
        let mut about = lock(&self.about);
        batch.jobs.iter().for_each(|evict| about.remove(&evict.targets));
        self.done.fetch_add(batch.jobs.len() as u64, Ordering::SeqCst);
        batch.jobs.clear();
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
pub(super) struct Outstanding {
    pub(super) keys: HashMap<String, usize>,
    pub(super) prefixes: HashMap<String, usize>,
    pub(super) tags: usize,
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

/// One evict for each site.
pub(super) fn by_site(evicts: &[Evicting]) -> Vec<Evicting> {
    let mut merged: Vec<Evicting> = Vec::new();
    for Evicting { targets, site } in evicts {
        let id = |site: &Option<Arc<Counters>>| site.as_ref().map(Arc::as_ptr);
        match merged.iter_mut().find(|other| id(&other.site) == id(site)) {
            Some(other) => other.targets.extend(targets.clone()),
            None => merged.push(Evicting { targets: targets.clone(), site: site.clone() }),
        }
    }
    for Evicting { targets, .. } in &mut merged {
        targets.prefixes.sort_unstable();
        targets.prefixes.dedup();
    }
    merged
}
