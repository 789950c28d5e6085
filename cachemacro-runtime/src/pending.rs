//! What a dropped or panicked call left to do at the store: evicts, and leases to give back.
//!
//! A destructor cannot wait, may run outside a runtime, and what it spawns during shutdown never runs. So it
//! queues, and a task drains: its own if there is a runtime, else the next call's. A read waits until no evict is
//! queued that may concern its entry, so this process never reads what a cancelled write was to remove. A call never
//! drains by itself: it might not be polled to the end, and others would wait for it.
//!
//! There are three queues, and none waits for another: evicts of keys and tags, which take one round trip; evicts of
//! prefixes, which scan; and leases, for which no read waits.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::join_all;

use crate::cache::{Cache, Core};
use crate::error::{Error, ErrorKind, Result};
use crate::evict::{Targets, log_failed};
use crate::locks::lock;
use crate::stats::Counters;
use crate::store::Token;

/// How many leases may be queued before they are left to lapse.
const MOST_RELEASES: usize = 1024;

/// How many leases are given back at once.
const RELEASES_AT_ONCE: usize = 64;

/// How long a read waits for the evicts of cancelled calls before it counts as failed.
const SETTLE: Duration = Duration::from_secs(1);

/// What is left to do.
#[derive(Default)]
pub(crate) struct Pending {
    /// Evicts of keys and tags.
    evicts: Evicts,
    /// Evicts of prefixes.
    scans: Evicts,
    releases: Queue<(String, Token)>,
    /// Woken whenever evicts are done.
    settled: tokio::sync::Notify,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let evicts = self.evicts.outstanding() + self.scans.outstanding();
        f.debug_struct("Pending").field("evicts", &evicts).finish_non_exhaustive()
    }
}

/// Jobs of one kind.
struct Queue<J> {
    jobs: Mutex<Vec<J>>,
    /// Held by who drains.
    turn: tokio::sync::Mutex<()>,
}

impl<J> Default for Queue<J> {
    fn default() -> Self {
        Self { jobs: Mutex::default(), turn: tokio::sync::Mutex::default() }
    }
}

impl<J> Queue<J> {
    /// All jobs, for who has the turn.
    fn take(&self) -> Batch<'_, J> {
        Batch { queue: self, jobs: std::mem::take(&mut *lock(&self.jobs)) }
    }
}

/// Jobs being done. Those not done when it is dropped go back into the queue.
struct Batch<'a, J> {
    queue: &'a Queue<J>,
    jobs: Vec<J>,
}

impl<J> Drop for Batch<'_, J> {
    fn drop(&mut self) {
        if !self.jobs.is_empty() {
            lock(&self.queue.jobs).append(&mut self.jobs);
        }
    }
}

/// What one call was to evict, and the site where that counts.
struct Evicting {
    targets: Targets,
    site: Option<Arc<Counters>>,
}

/// Evicts that are queued or under way.
///
/// Whoever has the turn does all that are queued, so they are done in the order in which they came: as many as there
/// were at some moment are done when `done` has reached what `pushed` was.
#[derive(Default)]
struct Evicts {
    queue: Queue<Evicting>,
    about: Mutex<About>,
    pushed: AtomicU64,
    done: AtomicU64,
}

impl Evicts {
    fn push(&self, evict: Evicting) {
        let mut about = lock(&self.about);
        about.add(&evict.targets);
        lock(&self.queue.jobs).push(evict);
        self.pushed.fetch_add(1, Ordering::SeqCst);
    }

    fn done(&self, batch: &mut Batch<'_, Evicting>) {
        let mut about = lock(&self.about);
        batch.jobs.iter().for_each(|evict| about.remove(&evict.targets));
        self.done.fetch_add(batch.jobs.len() as u64, Ordering::SeqCst);
        batch.jobs.clear();
    }

    fn outstanding(&self) -> u64 {
        let done = self.done.load(Ordering::SeqCst);
        self.pushed.load(Ordering::SeqCst) - done
    }

    /// How many must be done before these keys may be read; `None` where nothing is outstanding that concerns them.
    fn before(&self, keys: &[&str]) -> Option<u64> {
        let pushed = self.pushed.load(Ordering::SeqCst);
        if self.is_done(pushed) {
            return None;
        }
        let about = lock(&self.about);
        keys.iter().any(|key| about.concerns(key)).then_some(pushed)
    }

    fn is_done(&self, count: u64) -> bool {
        self.done.load(Ordering::SeqCst) >= count
    }
}

/// What evicts are about, each as often as evicts are.
#[derive(Default)]
struct About {
    keys: HashMap<String, usize>,
    prefixes: HashMap<String, usize>,
    tags: usize,
}

impl About {
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
fn by_site(evicts: &[Evicting]) -> Vec<Evicting> {
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

/// Which queue a task drains.
#[derive(Clone, Copy)]
enum Drain {
    Evicts,
    Scans,
    Releases,
}

impl Core {
    /// Does what is queued. An evict that fails is counted and logged, and not tried again.
    pub(crate) async fn drain(&self) {
        let Pending { evicts, scans, .. } = &self.pending;
        tokio::join!(self.evict_queued(evicts), self.evict_queued(scans), self.release_queued());
    }

    /// All evicts at once, as one for each site: while the store does not answer, reads wait for one timeout, not for
    /// one each.
    async fn evict_queued(&self, evicts: &Evicts) {
        let _turn = evicts.queue.turn.lock().await;
        let mut batch = evicts.queue.take();
        if batch.jobs.is_empty() {
            return;
        }
        let merged = by_site(&batch.jobs);
        let sent = merged.iter().map(|Evicting { targets, site }| self.evict(targets, site.as_deref()));
        for error in join_all(sent).await.into_iter().filter_map(Result::err) {
            log_failed(&error);
        }
        evicts.done(&mut batch);
        self.pending.settled.notify_waiters();
    }

    /// Gives leases back. After a failure the others are left to lapse.
    async fn release_queued(&self) {
        let queue = &self.pending.releases;
        let _turn = queue.turn.lock().await;
        let mut batch = queue.take();
        while !batch.jobs.is_empty() {
            let at = batch.jobs.len().saturating_sub(RELEASES_AT_ONCE);
            let releases =
                batch.jobs[at..].iter().map(|(key, token)| self.timed(self.store.release(key, *token)));
            let failed = join_all(releases).await.into_iter().find_map(Result::err);
            batch.jobs.truncate(at);
            if let Some(error) = failed {
                tracing::debug!(kind = %error.kind(), "a lease could not be given back; it lapses");
                batch.jobs.clear();
            }
        }
    }
}

impl Cache {
    /// Evicts from a destructor, counting for a site too.
    pub(crate) fn evict_later(&self, mut targets: Targets, site: Option<Arc<Counters>>) {
        let core = self.core();
        let scans = Targets { prefixes: std::mem::take(&mut targets.prefixes), ..Targets::default() };
        if !targets.is_empty() {
            let at_once = core.evict_now(&targets, site.as_deref());
            core.detach(&targets);
            if !at_once {
                core.pending.evicts.push(Evicting { targets, site: site.clone() });
                self.spawn(Drain::Evicts);
            }
        }
        if !scans.is_empty() {
            core.detach(&scans);
            core.pending.scans.push(Evicting { targets: scans, site });
            self.spawn(Drain::Scans);
        }
    }

    /// Gives a lease back from a destructor.
    pub(crate) fn release_later(&self, key: String, token: Token) {
        let mut jobs = lock(&self.core().pending.releases.jobs);
        if jobs.len() >= MOST_RELEASES {
            // The store does not keep up. A lease that is not given back lapses.
            return;
        }
        jobs.push((key, token));
        drop(jobs);
        self.spawn(Drain::Releases);
    }

    /// Waits until no evict of a call that was dropped before is outstanding that may be about one of these keys.
    ///
    /// # Errors
    /// Where that takes too long: what is read may be what one of them was to remove. Not counted.
    pub(crate) async fn settle(&self, keys: &[&str]) -> Result<()> {
        let Pending { evicts, scans, settled, .. } = &self.core().pending;
        let (evicted, scanned) = (evicts.before(keys), scans.before(keys));
        if evicted.is_none() && scanned.is_none() {
            return Ok(());
        }
        let all_done = async {
            loop {
                let woken = settled.notified();
                let left = [(evicts, evicted, Drain::Evicts), (scans, scanned, Drain::Scans)]
                    .into_iter()
                    .filter(|(queue, before, _)| before.is_some_and(|count| !queue.is_done(count)));
                if left.map(|(_, _, drain)| self.spawn(drain)).count() == 0 {
                    return;
                }
                woken.await;
            }
        };
        tokio::time::timeout(SETTLE, all_done)
            .await
            .map_err(|_| Error::new(ErrorKind::Timeout, "evicts of cancelled calls are still outstanding"))
    }

    /// Has a task drain a queue, if there is a runtime to run it.
    fn spawn(&self, drain: Drain) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let cache = self.clone();
            runtime.spawn(async move {
                let core = cache.core();
                match drain {
                    Drain::Evicts => core.evict_queued(&core.pending.evicts).await,
                    Drain::Scans => core.evict_queued(&core.pending.scans).await,
                    Drain::Releases => core.release_queued().await,
                }
            });
        }
    }
}
