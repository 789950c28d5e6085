//! What a dropped or panicked call left to do at the store: evicts, and leases to give back.
//!
//! A destructor cannot wait, may run outside a runtime, and what it spawns during shutdown never runs. So it
//! queues, and whoever comes next drains: a task if there is a runtime, else the next call. Reads wait until no
//! evict is queued, so this process never reads what a cancelled write was to remove.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::cache::{Cache, Core};
use crate::evict::{Targets, log_failed};
use crate::store::Token;

/// How many jobs may be queued before leases are left to lapse.
const MOST_RELEASES: usize = 1024;

/// Something to do at the store.
#[derive(Debug)]
enum Job {
    Evict(Targets),
    Release { key: String, token: Token },
}

/// The queue.
#[derive(Default)]
pub(crate) struct Pending {
    jobs: Mutex<Vec<Job>>,
    /// Evicts queued or under way.
    evicts: AtomicUsize,
    /// Whether a task is on its way to drain the queue.
    scheduled: AtomicBool,
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
        if matches!(job, Job::Evict(_)) {
            self.evicts.fetch_add(1, Ordering::SeqCst);
        } else if jobs.len() >= MOST_RELEASES {
            // The store does not keep up. A lease that is not given back lapses.
            return;
        }
        jobs.push(job);
    }

    fn take(&self) -> Vec<Job> {
        std::mem::take(&mut *self.jobs.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Jobs being done. Those not done when it is dropped go back into the queue.
struct Batch<'a> {
    pending: &'a Pending,
    jobs: Vec<Job>,
}

impl Batch<'_> {
    fn done(&mut self, at: usize) {
        if matches!(self.jobs.swap_remove(at), Job::Evict(_)) {
            self.pending.evicts.fetch_sub(1, Ordering::SeqCst);
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
    /// Waits until no evict of a dropped call is outstanding.
    pub(crate) async fn settle(&self) {
        if self.pending.evicts.load(Ordering::SeqCst) > 0 {
            self.drain().await;
        }
    }

    /// Does what is queued. An evict that fails is counted and logged, and not tried again.
    pub(crate) async fn drain(&self) {
        let _turn = self.pending.turn.lock().await;
        self.pending.scheduled.store(false, Ordering::SeqCst);
        let mut batch = Batch { pending: &self.pending, jobs: self.pending.take() };
        let mut releasing = true;
        while let Some(job) = batch.jobs.last() {
            match job {
                Job::Evict(targets) => {
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
        core.pending.push(Job::Evict(targets));
        self.schedule();
    }

    /// Gives a lease back from a destructor.
    pub(crate) fn release_later(&self, key: String, token: Token) {
        self.core().pending.push(Job::Release { key, token });
        self.schedule();
    }

    fn schedule(&self) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        if !self.core().pending.scheduled.swap(true, Ordering::SeqCst) {
            let cache = self.clone();
            runtime.spawn(async move { cache.core().drain().await });
        }
    }
}
