//! How the cached calls of one task behave, whatever their attributes say.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use crate::policy::gathered::Gathering;

/// How cached calls behave inside [`scope`](Self::scope). It is about values that can be loaded again: `update` and `increment` work
/// on what is stored whatever the mode.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Mode};
///
/// let cache = Cache::memory();
/// cache.set("n", 1, &7).await?;
/// assert_eq!(Mode::Bypass.scope(cache.get::<i32>("n", 1)).await?, None);
/// assert_eq!(cache.get::<i32>("n", 1).await?, Some(7));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Mode {
    /// Calls do as their attributes say.
    #[default]
    Normal,
    /// The cache is neither read nor written; evicts and puts still evict.
    Bypass,
    /// What is stored is not read, but loaded anew and stored: `get` finds nothing, `lookup` gives a vacancy.
    Refresh,
    /// Calls that load do so ahead of use: they find what is stored, or load it under an ordinary lease, and count neither as a hit nor
    /// as a miss; what was loaded counts as `warmed`. What only reads, and sync functions, do as ever. [`Cache::warm`](crate::Cache::warm) runs its loads so.
    Warm,
    /// A value is read only if it was stored no longer ago than this; else it is loaded anew and stored.
    MaxAge(Duration),
}

/// What the cached calls of a task go by besides their attributes, in one place, so that a hit reads one.
#[derive(Clone, Default)]
struct Ambient {
    mode: Mode,
    gathering: Option<Arc<Gathering>>,
    /// Who wants to know what a warm-up's call came to.
    warming: Option<Arc<Came>>,
}

/// What a call under [`Mode::Warm`] came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CameTo {
    /// No call was made.
    Nothing,
    /// A value that was there.
    Found,
    /// A value, an error or the knowledge that there is none, loaded by this call.
    Loaded,
    /// The load failed, or the store.
    Failed,
}

/// Where it is told.
#[derive(Debug, Default)]
pub(crate) struct Came(AtomicU8);

impl Came {
    /// What the call that ended last came to: of calls within calls the outermost.
    pub(crate) fn to(&self) -> CameTo {
        match self.0.load(Ordering::Relaxed) {
            1 => CameTo::Found,
            2 => CameTo::Loaded,
            3 => CameTo::Failed,
            _ => CameTo::Nothing,
        }
    }
}

tokio::task_local! {
    static AMBIENT: Ambient;
}

impl Mode {
    /// Runs `future` with its cached calls in this mode. Tasks spawned inside it are not affected.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{Cache, Mode};
    ///
    /// let cache = Cache::memory();
    /// let entry = cache.entry::<u32>("n", 1);
    /// entry.get_or_load(async || 1).await;
    /// assert_eq!(Mode::Refresh.scope(entry.get_or_load(async || 2)).await, 2);
    /// assert_eq!(entry.get_or_load(async || 3).await, 2);
    /// # }
    /// ```
    pub fn scope<F: Future>(self, future: F) -> impl Future<Output = F::Output> + use<F> {
        // What is gathered is known when it runs, not where the scope was made. Boxed: it would be held once more.
        let future = Box::pin(future);
        async move { AMBIENT.scope(self.ambient(), future).await }
    }

    /// Runs `function` with its cached calls in this mode, on this thread and without a runtime.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// # }
    /// use cachemacro::{Cache, Mode, cached};
    ///
    /// #[cached(crate = cachemacro)]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let cache = Cache::memory();
    /// cache.scope_sync(|| square(7) + Mode::Refresh.scope_sync(|| square(7)));
    /// assert_eq!(cache.stats().total.loads, 2);
    /// ```
    pub fn scope_sync<R>(self, function: impl FnOnce() -> R) -> R {
        AMBIENT.sync_scope(self.ambient(), function)
    }

    /// The greatest age at which a value may be read.
    pub(crate) fn max_age(self) -> Option<Duration> {
        if let Mode::MaxAge(age) = self { Some(age) } else { None }
    }

    /// The mode of the current task.
    pub(crate) fn current() -> Self {
        AMBIENT.try_with(|ambient| ambient.mode).unwrap_or_default()
    }

    fn ambient(self) -> Ambient {
        Ambient { mode: self, gathering: gathering(), warming: None }
    }
}

/// Whether the current task has neither a mode nor anybody who wants to know what its calls depend on: then a value is as good as any
/// copy of it.
#[inline]
pub(crate) fn is_plain() -> bool {
    AMBIENT.try_with(|ambient| ambient.mode == Mode::Normal && ambient.gathering.is_none()).unwrap_or(true)
}

/// The scope of the current task in which it is gathered what its calls depend on.
pub(crate) fn gathering() -> Option<Arc<Gathering>> {
    AMBIENT.try_with(|ambient| ambient.gathering.clone()).ok().flatten()
}

/// Runs `future` in such a scope.
pub(crate) fn gather<F: Future>(gathering: Arc<Gathering>, future: F) -> impl Future<Output = F::Output> {
    AMBIENT.scope(Ambient { mode: Mode::current(), gathering: Some(gathering), warming: None }, future)
}

/// Runs `future` with its cached calls past the cache, and as no part of what the current task gathers.
pub(crate) fn apart<F: Future>(future: F) -> impl Future<Output = F::Output> {
    AMBIENT.scope(Ambient { mode: Mode::Bypass, gathering: None, warming: None }, future)
}

/// Runs `future` under [`Mode::Warm`], and has told what its calls come to.
pub(crate) fn warm<F: Future>(told: Arc<Came>, future: F) -> impl Future<Output = F::Output> {
    AMBIENT.scope(Ambient { mode: Mode::Warm, gathering: None, warming: Some(told) }, future)
}

/// Tells what a call of the current task's warm-up came to.
pub(crate) fn came_to(what: CameTo) {
    let tell = |ambient: &Ambient| {
        if let Some(told) = &ambient.warming {
            told.0.store(what as u8, Ordering::Relaxed);
        }
    };
    // Outside of a warm-up nobody asks.
    let _ = AMBIENT.try_with(tell);
}
