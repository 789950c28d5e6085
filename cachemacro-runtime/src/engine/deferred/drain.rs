//! The deeds: what is queued is sent, and reads wait for it.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::time::Instant;

use super::queue::{Claim, Deferred, Evicting, Line, Merged, Release, by_site, count_failed};
use crate::engine::core::Core;
use crate::engine::evict::log_failed;
use crate::engine::removals::Removals;
use crate::engine::spending;
use crate::engine::targets::Targets;
use crate::format::ids::Token;
use crate::ground::clock::NEVER;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync::lock;
use crate::observe::event::Event;
use crate::observe::stats::Counters;
use crate::store::{HeldLease, Keep};

/// How many leases may be queued before they are left to lapse.
const MOST_RELEASES: usize = 1024;

/// How many leases are given back at once.
const RELEASES_AT_ONCE: usize = 64;

/// After how long it is tried again to give leases back.
const RELEASE_AGAIN: Duration = Duration::from_millis(100);

/// How many evicts are sent before those who wait for them are told.
const EVICTS_AT_ONCE: usize = 4_096;

/// How long a read waits for the evicts of cancelled calls before it counts as failed.
const SETTLE: Duration = Duration::from_secs(1);

/// After how long a read that waits starts a task of its own: the one that drains may be in a runtime that nobody polls.
const STALLED: Duration = Duration::from_millis(100);

/// After how many events of one kind others are let in.
const EVENTS_AT_ONCE: u64 = 256;

/// Which queue of evicts a task drains.
#[derive(Clone, Copy)]
enum Drain {
    Evicts,
    Scans,
}

impl Core {
    /// Does what is queued. An evict that fails is counted, logged and kept.
    pub(crate) async fn drain(self: &Arc<Self>) {
        tokio::join!(
            self.evict_queued(self.line(Drain::Evicts)),
            self.evict_queued(self.line(Drain::Scans)),
            self.release_queued()
        );
    }

    fn line(&self, drain: Drain) -> &Line<Self> {
        match drain {
            Drain::Evicts => &self.deferred.evicts.named,
            Drain::Scans => &self.deferred.evicts.scans,
        }
    }

    /// Sends what is queued, in the order in which it came, as one evict for each site of each cache.
    async fn evict_queued(self: &Arc<Self>, line: &Line<Core>) {
        let _turn = line.queue.turn.lock().await;
        let mut batch = line.queue.take();
        // While the store does not answer, reads wait for one timeout, and not for one each: what was queued before an evict of
        // the same cache was sent that had no answer has failed with it.
        let mut unanswered = HashMap::new();
        while !batch.jobs.is_empty() {
            let count = batch.jobs.len().min(EVICTS_AT_ONCE);
            for merged in by_site(batch.jobs.iter().take(count)) {
                self.evict_merged(merged, batch.jobs.iter().take(count), &mut unanswered).await;
            }
            line.finish(&mut batch, count);
            self.deferred.evicts.settled.notify_waiters();
        }
    }

    /// Sends the evicts of one site, and counts each of them that failed.
    async fn evict_merged(
        self: &Arc<Self>,
        mut merged: Merged<Core>,
        evicts: impl Iterator<Item = &Evicting<Core>>,
        unanswered: &mut HashMap<u64, Error>,
    ) {
        let own = merged.core.upgrade();
        let core = own.as_ref().unwrap_or(self);
        let site = merged.site.clone();
        let site = site.as_deref();
        let (error, failed) = if let Some(error) = unanswered.get(&core.id) {
            core.keep(vec![std::mem::take(&mut merged.targets)]);
            (error.clone(), merged.count)
        } else {
            let sent = core.send(std::mem::take(&mut merged.targets).parts(), site).await;
            core.count_sent(&sent, site);
            let Some(error) = sent.error else { return };
            if error.is_unanswered() {
                unanswered.insert(core.id, error.clone());
            }
            let failed = count_failed(evicts, &merged, &sent.failed);
            core.keep(sent.failed);
            (error, failed)
        };
        log_failed(site, &error, failed);
        for count in 1..=failed {
            core.record_at(site, Event::FailedEvict(error.kind()));
            if count % EVENTS_AT_ONCE == 0 {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Gives leases back. Tells whether any could not be: those stay queued as long as they live.
    async fn release_queued(&self) -> bool {
        let queue = &self.deferred.releases;
        let _turn = queue.turn.lock().await;
        let mut batch = queue.take();
        let now = Instant::now();
        batch.jobs.retain(|release| release.until > now);
        let mut end = batch.jobs.len();
        while end > 0 {
            let some = end.saturating_sub(RELEASES_AT_ONCE)..end;
            end = some.start;
            let leases: Vec<_> =
                batch.jobs.range(some.clone()).map(|lease| HeldLease::new(&lease.key, lease.token)).collect();
            match self.timed("keep", self.store.keep(&leases, Keep::Release)).await {
                Ok(_) => drop(batch.jobs.drain(some)),
                // G9: a lease that was not given back would keep others from loading until it lapses.
                Err(error) => {
                    tracing::debug!(kind = %error.kind(), "leases could not be given back yet");
                    if error.is_unanswered() {
                        break;
                    }
                }
            }
        }
        !batch.jobs.is_empty()
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
        let Deferred { evicts, .. } = &self.deferred;
        let evicting = |targets, site| Evicting { core: Arc::downgrade(self), targets, site };
        if !targets.is_empty() {
            let at_once = self.evict_now(&targets, site.as_deref());
            self.detach(&targets);
            if !at_once {
                evicts.named.push(evicting(targets, site.clone()));
                self.start(Drain::Evicts);
            }
        }
        if !scans.is_empty() {
            self.detach(&scans);
            evicts.scans.push(evicting(scans, site));
            self.start(Drain::Scans);
        }
    }

    /// Gives a lease back from a destructor.
    pub(crate) fn release_later(self: &Arc<Self>, key: String, token: Token) {
        let until = Instant::now() + self.settings.lease.min(NEVER);
        let mut jobs = lock(&self.deferred.releases.jobs);
        if jobs.len() >= MOST_RELEASES {
            // The store does not keep up. A lease that is not given back lapses, this one first.
            jobs.pop_front();
        }
        jobs.push_back(Release { key, token, until });
        drop(jobs);
        self.start_releasing();
    }

    /// Waits until no evict of a call that was dropped before is outstanding that may be about one of these keys.
    ///
    /// # Errors
    /// Where that takes too long: what is read may be what one of them was to remove. Not counted.
    pub(crate) async fn settle(self: &Arc<Self>, keys: &[&str]) -> Result<()> {
        self.unless_kept(keys)?;
        let evicts = &self.deferred.evicts;
        let (named, scanned) = (evicts.named.before(keys), evicts.scans.before(keys));
        if named.is_none() && scanned.is_none() {
            return Ok(());
        }
        let all_done = async {
            loop {
                let woken = evicts.settled.notified();
                let left = || {
                    [(&evicts.named, named, Drain::Evicts), (&evicts.scans, scanned, Drain::Scans)]
                        .into_iter()
                        .filter(|(line, before, _)| before.is_some_and(|count| !line.is_done(count)))
                        .map(|(_, _, drain)| drain)
                };
                if left().map(|drain| self.start(drain)).count() == 0 {
                    return;
                }
                if tokio::time::timeout(STALLED, woken).await.is_err() {
                    left().for_each(|drain| self.spawn(drain, None));
                }
            }
        };
        // On the heap, so that reads that wait for nothing do not pay for its size.
        let began = Instant::now();
        let patience = spending::left().map_or(SETTLE, |left| left.min(SETTLE));
        let settled = Box::pin(tokio::time::timeout(patience, all_done)).await;
        spending::spend(began.elapsed());
        settled
            .map_err(|_| Error::new(ErrorKind::Timeout, "evicts of cancelled calls are still outstanding"))?;
        // Those that were waited for may have failed.
        self.unless_kept(keys)
    }

    /// Has a task drain a queue of evicts, unless one does.
    fn start(self: &Arc<Self>, drain: Drain) {
        if let Some(claim) = self.line(drain).queue.claim() {
            self.spawn(drain, Some(claim));
        }
    }

    /// Has a task drain a queue of evicts.
    fn spawn(self: &Arc<Self>, drain: Drain, mut claim: Option<Claim<Evicting<Self>>>) {
        let core = self.clone();
        self.go_on(async move {
            loop {
                core.evict_queued(core.line(drain)).await;
                claim = claim.and_then(Claim::renew);
                if claim.is_none() {
                    return;
                }
            }
        });
    }

    /// Has a task give leases back.
    fn start_releasing(self: &Arc<Self>) {
        let core = self.clone();
        match Handle::try_current() {
            // On the caller's runtime what it asks for next goes on the same connection, behind what is given back.
            Ok(runtime) => {
                let unless_done = Releasing { core, done: false };
                drop(runtime.spawn(async move {
                    // Whole, not only its fields.
                    let mut unless_done = unless_done;
                    unless_done.core.release().await;
                    unless_done.done = true;
                }));
            }
            Err(_) => self.go_on(async move { core.release().await }),
        }
    }

    /// Gives leases back, and has a task go on with what could not be.
    async fn release(self: &Arc<Self>) {
        if !self.release_queued().await {
            return;
        }
        // Where a task goes on already, it takes these too.
        let Some(mut claim) = self.deferred.releases.claim() else { return };
        let core = self.clone();
        self.go_on(async move {
            loop {
                tokio::time::sleep(RELEASE_AGAIN).await;
                if core.release_queued().await {
                    continue;
                }
                match claim.renew() {
                    Some(renewed) => claim = renewed,
                    None => return,
                }
            }
        });
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
            self.core.background.spawn(async move { core.release().await });
        }
    }
}
