//! What the current task collects instead of evicting: the evicts of a transaction that has not committed yet.
//!
//! Once a cache has collected something in a scope, or an attributed function that writes has begun in it, what the task loads may show changes that nobody else sees and
//! that may be rolled back. So from then on nothing is read from that cache, stored in it or shared through it; see
//! `Core::is_bypassed`, and for what began before that, `Core::has_written`.

use std::future::Future;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use crate::engine::removals::Removals;
use crate::ground::sync::lock;

/// One scope, in which the evicts of one cache are collected.
pub(crate) struct Collecting {
    /// The number of the cache.
    cache: u64,
    removals: Mutex<Removals>,
    /// Something was collected in this scope, or in one within it.
    written: AtomicBool,
    outer: Option<Arc<Collecting>>,
}

tokio::task_local! {
    static COLLECTING: Arc<Collecting>;
}

impl Collecting {
    /// A scope for this cache, within those that the task is in.
    pub(crate) fn new(cache: u64) -> Arc<Self> {
        let outer = COLLECTING.try_with(Clone::clone).ok();
        Arc::new(Self { cache, removals: Mutex::default(), written: AtomicBool::new(false), outer })
    }

    /// The innermost scope of the task that collects for this cache.
    #[inline]
    fn of(cache: u64) -> Option<Arc<Self>> {
        COLLECTING.try_with(|innermost| innermost.scopes(cache).next().cloned()).ok().flatten()
    }

    /// This scope and those around it, from the inside out, as far as they are this cache's.
    fn scopes(self: &Arc<Self>, cache: u64) -> impl Iterator<Item = &Arc<Self>> {
        std::iter::successors(Some(self), |scope| scope.outer.as_ref())
            .filter(move |scope| scope.cache == cache)
    }

    /// Whether the task collects what is to be evicted from this cache.
    pub(crate) fn is_on(cache: u64) -> bool {
        Self::of(cache).is_some()
    }

    /// Whether the task has collected something of this cache, so that what it loads may not be committed.
    #[inline]
    pub(crate) fn has_written(cache: u64) -> bool {
        Self::of(cache).is_some_and(|scope| scope.written.load(Ordering::Relaxed))
    }

    /// The task is about to write what this cache holds.
    pub(crate) fn begin_writing(cache: u64) {
        if let Some(innermost) = Self::of(cache) {
            for scope in innermost.scopes(cache) {
                scope.written.store(true, Ordering::Relaxed);
            }
        }
    }

    /// Takes what is to be evicted from this cache, if the task collects that; tells whether it does.
    pub(crate) fn collect(cache: u64, removals: &Removals) -> bool {
        let Some(innermost) = Self::of(cache) else { return false };
        lock(&innermost.removals).add_all(removals.clone());
        if removals.has_any() {
            Self::begin_writing(cache);
        }
        true
    }

    /// What was collected and not taken yet.
    pub(crate) fn take(&self) -> Removals {
        std::mem::take(&mut *lock(&self.removals))
    }

    /// Runs `body` in this scope.
    pub(crate) async fn scope<F: Future>(self: Arc<Self>, body: F) -> F::Output {
        COLLECTING.scope(self, body).await
    }
}
