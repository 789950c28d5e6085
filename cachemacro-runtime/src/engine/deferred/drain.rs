//! The deeds: what is queued is sent, and reads wait for it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::runtime::Handle;

use super::queue::{Deferred, Evicting, Evicts, by_site};
use crate::engine::core::Core;
use crate::engine::evict::{Attempt, log_failed};
use crate::engine::removals::Removals;
use crate::engine::targets::Targets;
use crate::format::ids::Token;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync::lock;
use crate::observe::stats::Counters;
use crate::store::{HeldLease, Keep};

/// How many leases may be queued before they are left to lapse.
const MOST_RELEASES: usize = 1024;

/// How many leases are given back at once.
const RELEASES_AT_ONCE: usize = 64;

/// How long a read waits for the evicts of cancelled calls before it counts as failed.
const SETTLE: Duration = Duration::from_secs(1);

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
        let Deferred { evicts, scans, .. } = &self.deferred;
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
        let sent = merged
            .iter()
            .map(|Evicting { targets, site }| self.remove(targets, site.as_deref(), Attempt::Final));
        for error in join_all(sent).await.into_iter().filter_map(Result::err) {
            log_failed(&error);
        }
        evicts.done(&mut batch);
        self.deferred.settled.notify_waiters();
    }

    /// Gives leases back. After a failure the others are left to lapse.
    async fn release_queued(&self) {
        let queue = &self.deferred.releases;
        let _turn = queue.turn.lock().await;
        let mut batch = queue.take();
        while !batch.jobs.is_empty() {
            let at = batch.jobs.len().saturating_sub(RELEASES_AT_ONCE);
            let leases: Vec<_> =
                batch.jobs[at..].iter().map(|(key, token)| HeldLease::new(key, *token)).collect();
            let released = self.timed(self.store.keep(&leases, Keep::Release)).await;
            batch.jobs.truncate(at);
            if let Err(error) = released {
                tracing::debug!(kind = %error.kind(), "a lease could not be given back; it lapses");
                batch.jobs.clear();
            }
        }
    }
}

impl Core {
    /// Evicts from a destructor, counting at a site; where the task collects evicts, adds to those.
    pub(crate) fn evict_later(self: &Arc<Self>, removals: &Removals, site: Option<Arc<Counters>>) {
        if self.collects(removals) {
            return;
        }
        let mut targets = self.targets(removals);
        let scans = Targets { prefixes: std::mem::take(&mut targets.prefixes), ..Targets::default() };
        if !targets.is_empty() {
            let at_once = self.evict_now(&targets, site.as_deref());
            self.detach(&targets);
            if !at_once {
                self.deferred.evicts.push(Evicting { targets, site: site.clone() });
                self.spawn(Drain::Evicts);
            }
        }
        if !scans.is_empty() {
            self.detach(&scans);
            self.deferred.scans.push(Evicting { targets: scans, site });
            self.spawn(Drain::Scans);
        }
    }

    /// Gives a lease back from a destructor.
    pub(crate) fn release_later(self: &Arc<Self>, key: String, token: Token) {
        let mut jobs = lock(&self.deferred.releases.jobs);
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
    pub(crate) async fn settle(self: &Arc<Self>, keys: &[&str]) -> Result<()> {
        let Deferred { evicts, scans, settled, .. } = &self.deferred;
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

    /// Has a task drain a queue.
    fn spawn(self: &Arc<Self>, drain: Drain) {
        let core = self.clone();
        let drained = async move {
            match drain {
                Drain::Evicts => core.evict_queued(&core.deferred.evicts).await,
                Drain::Scans => core.evict_queued(&core.deferred.scans).await,
                Drain::Releases => core.release_queued().await,
            }
        };
        match (drain, Handle::try_current()) {
            // On the caller's runtime what it asks for next goes on the same connection, behind what is given back.
            (Drain::Releases, Ok(runtime)) => {
                let unless_done = Releasing { core: self.clone(), done: false };
                drop(runtime.spawn(async move {
                    let mut unless_done = unless_done;
                    drained.await;
                    unless_done.done = true;
                }));
            }
            _ => self.go_on(drained),
        }
    }
}

/// Leases being given back on a runtime, which may end before they are.
struct Releasing {
    core: Arc<Core>,
    done: bool,
}

impl Drop for Releasing {
    fn drop(&mut self) {
        if !self.done {
            let core = Arc::clone(&self.core);
            self.core.background.spawn(async move { core.release_queued().await });
        }
    }
}
