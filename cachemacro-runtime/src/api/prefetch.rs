//! One load ahead of use, behind its caller.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::runtime::Handle;
use tokio::time::timeout;
use tracing::Instrument as _;

use crate::api::cache::Cache;
use crate::engine::entry::Entry;
use crate::engine::raw::RawEntry;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;

/// How many prefetches of a cache are under way at once.
const MOST: usize = 64;

/// A place among them, until it is dropped.
struct Place(Arc<AtomicUsize>);

impl Place {
    fn among(taken: &Arc<AtomicUsize>) -> Option<Self> {
        let one_more = |taken| (taken < MOST).then_some(taken + 1);
        taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).ok()?;
        Some(Self(taken.clone()))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: Value> Entry<T> {
    /// Loads the entry in a task of its own, unless a fresh value is there, and stores it under an ordinary lease: for what will
    /// probably be asked for next. It counts as `warmed`, neither as a hit nor as a miss. At most 64 of a cache are under way at
    /// once; tells whether this one was begun, which it is not outside of a runtime either. A load that takes longer than its
    /// [lease limit](crate::Policy#structfield.lease_limit), after which it could not be stored, is dropped.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let next = cache.entry::<u32>("page", 2);
    /// assert!(next.prefetch(async || 42));
    /// while !next.has().await? {
    ///     tokio::task::yield_now().await;
    /// }
    /// assert_eq!(cache.stats().total.warmed, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prefetch<F>(&self, load: impl FnOnce() -> F + Send + 'static) -> bool
    where
        F: Future<Output = T> + Send + 'static,
    {
        let entry = self.clone();
        self.behind(async move { drop(entry.get_or_load(load).await) })
    }

    /// [`prefetch`](Self::prefetch) with a load that can fail. An `Err` is counted, and told to nobody.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let port = cachemacro::Cache::memory().entry::<u16>("port", "http");
    /// assert!(port.try_prefetch(async || "80".parse::<u16>()));
    /// # }
    /// ```
    pub fn try_prefetch<E, F>(&self, load: impl FnOnce() -> F + Send + 'static) -> bool
    where
        E: Send + 'static,
        F: Future<Output = std::result::Result<T, E>> + Send + 'static,
    {
        let entry = self.clone();
        self.behind(async move { drop(entry.try_get_or_load(load).await) })
    }

    fn behind(&self, load: impl Future<Output = ()> + Send + 'static) -> bool {
        let Ok(runtime) = Handle::try_current() else { return false };
        let core = self.core();
        // What a transaction wrote is not to be loaded by another task.
        if core.is_bypassed() {
            return false;
        }
        let Some(place) = Place::among(&core.prefetches) else { return false };
        // G9: a load that hangs does not keep its place for good.
        let longest = self.raw().map_or(core.settings.lease_limit, RawEntry::lease_limit);
        let load = Cache::with_scoped(Mode::Warm.scope(load));
        runtime.spawn(
            async move {
                if timeout(longest, load).await.is_err() {
                    tracing::debug!("a prefetch has taken too long and was dropped");
                }
                drop(place);
            }
            .in_current_span(),
        );
        true
    }
}
