//! What a dropped or panicked call left to do at the store: evicts, and leases to give back.
//!
//! A destructor cannot wait, may run outside a runtime, and what it spawns during shutdown never runs. So it
//! queues, and a task drains: its own if there is a runtime, else the next call's. Reads wait until no evict is
//! queued, so this process never reads what a cancelled write was to remove. A call never drains by itself: it might
//! not be polled to the end, and others would wait for it.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::cache::{Cache, Core};
use crate::error::{Error, ErrorKind, Result};
use crate::evict::{Targets, log_failed};
use crate::store::Token;

/// How many jobs may be queued before leases are left to lapse.
const MOST_RELEASES: usize = 1024;

/// How long a read waits for the evicts of cancelled calls before it counts as failed.
const SETTLE: Duration = Duration::from_secs(1);

/// Something to do at the store.
#[derive(Debug)]
enum Job {
    /// The evicts of so many calls.
    Evict(Targets, usize),
    Release {
        key: String,
        token: Token,
    },
}

/// The queue.
#[derive(Default)]
pub(crate) struct Pending {
    jobs: Mutex<Vec<Job>>,
    /// Evicts queued or under way.
    evicts: AtomicUsize,
    /// Woken when no evict is left.
    settled: tokio::sync::Notify,
    /// Held by who drains.
    turn: tokio::sync::Mutex<()>,
}

impl fmt::Debug for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pending").field("evicts", &self.evicts).finish_non_exhaustive()
    }
}

impl Pending {
    fn push(&self, job: Job) {
        let mut jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        if let Job::Evict(_, calls) = &job {
            self.evicts.fetch_add(*calls, Ordering::SeqCst);
        } else if jobs.len() >= MOST_RELEASES {
            // The store does not keep up. A lease that is not given back lapses.
            return;
        }
        jobs.push(job);
    }

    /// All jobs, the evicts as one: while the store does not answer, reads wait for one timeout, not for one each.
    fn take(&self) -> Vec<Job> {
        let jobs = std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner));
        let mut taken = Vec::with_capacity(jobs.len());
        let (mut all, mut calls) = (Targets::default(), 0);
        for job in jobs {
            match job {
                Job::Evict(targets, of) => {
                    all.extend(targets);
                    calls += of;
                }
                release @ Job::Release { .. } => taken.push(release),
            }
        }
        if calls > 0 {
            // Done first, from the end.
            taken.push(Job::Evict(all, calls));
        }
        taken
    }
}

/// Jobs being done. Those not done when it is dropped go back into the queue.
struct Batch<'a> {
    pending: &'a Pending,
    jobs: Vec<Job>,
}

impl Batch<'_> {
    fn done(&mut self, at: usize) {
        if let Job::Evict(_, calls) = self.jobs.swap_remove(at)
            && self.pending.evicts.fetch_sub(calls, Ordering::SeqCst) == calls
        {
            self.pending.settled.notify_waiters();
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        if !self.jobs.is_empty() {
            self.pending.jobs.lock().unwrap_or_else(PoisonError::into_inner).append(&mut self.jobs);
        }
    }
}

impl Core {
    /// Does what is queued. An evict that fails is counted and logged, and not tried again.
    pub(crate) async fn drain(&self) {
        let _turn = self.pending.turn.lock().await;
        let mut batch = Batch { pending: &self.pending, jobs: self.pending.take() };
        let mut releasing = true;
        while let Some(job) = batch.jobs.last() {
            match job {
                Job::Evict(targets, _) => {
                    if let Err(error) = self.evict(targets).await {
                        log_failed(&error);
                    }
                }
                Job::Release { key, token } if releasing => {
                    if let Err(error) = self.timed(self.store.release(key, *token)).await {
                        tracing::debug!(kind = %error.kind(), "a lease could not be given back; it lapses");
                        releasing = false;
                    }
                }
                Job::Release { .. } => {}
            }
            batch.done(batch.jobs.len() - 1);
        }
    }
}

impl Cache {
    /// Evicts from a destructor.
    pub(crate) fn evict_later(&self, targets: Targets) {
        let core = self.core();
        if targets.is_empty() {
            return;
        }
        if targets.prefixes.is_empty() && core.store.evict_now(&targets.keys, &targets.tags) {
            core.detach(&targets);
            return;
        }
        core.detach(&targets);
        core.pending.push(Job::Evict(targets, 1));
        self.schedule();
    }

    /// Gives a lease back from a destructor.
    pub(crate) fn release_later(&self, key: String, token: Token) {
        self.core().pending.push(Job::Release { key, token });
        self.schedule();
    }

    /// Waits until no evict of a dropped call is outstanding.
    ///
    /// # Errors
    /// Where that takes too long: what is read may be what one of them was to remove.
    pub(crate) async fn settle(&self) -> Result<()> {
        let pending = &self.core().pending;
        if pending.evicts.load(Ordering::SeqCst) == 0 {
            return Ok(());
        }
        let settled = async {
            loop {
                let woken = pending.settled.notified();
                if pending.evicts.load(Ordering::SeqCst) == 0 {
                    return;
                }
                self.schedule();
                woken.await;
            }
        };
        tokio::time::timeout(SETTLE, settled).await.map_err(|_| {
            let error = Error::new(ErrorKind::Timeout, "evicts of cancelled calls are still outstanding");
            self.core().failed(&error);
            error
        })
    }

    /// Has a task drain the queue, if there is a runtime to run it.
    fn schedule(&self) {
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let cache = self.clone();
            runtime.spawn(async move { cache.core().drain().await });
        }
    }
}
