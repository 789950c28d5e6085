//! Which cache a call uses when its attribute names none: the scoped one, else the global one.

use std::future::Future;

use once_cell::sync::OnceCell;

use crate::api::builder::CacheBuilder;
use crate::api::cache::Cache;

static GLOBAL: OnceCell<Cache> = OnceCell::new();

tokio::task_local! {
    static SCOPED: Cache;
}

impl Cache {
    /// Makes `cache` the one that attributed functions use.
    ///
    /// # Errors
    /// Gives `cache` back where a global cache is set already, or was made from the environment by an earlier call.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// assert!(Cache::set_global(Cache::memory()).is_ok());
    /// assert!(Cache::set_global(Cache::memory()).is_err());
    /// ```
    pub fn set_global(cache: Self) -> std::result::Result<(), Self> {
        GLOBAL.set(cache)
    }

    /// Runs `future` with this cache as the one that attributed functions use, so that tests run side by side, each with
    /// its own. Tasks spawned inside it do not inherit it; wrap them too.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::memory();
    /// cache.scope(async {
    ///     Cache::current().entry::<u32>("n", 1).set(&7).await.expect("memory does not fail");
    /// }).await;
    /// assert_eq!(cache.entry::<u32>("n", 1).get().await.expect("memory does not fail"), Some(7));
    /// # }
    /// ```
    pub fn scope<F: Future>(&self, future: F) -> impl Future<Output = F::Output> + use<F> {
        SCOPED.scope(self.clone(), future)
    }

    /// The future with the cache that is scoped here, wherever it is polled.
    pub(crate) fn with_scoped<F: Future>(future: F) -> impl Future<Output = F::Output> + use<F> {
        let scoped = SCOPED.try_with(Self::clone).ok();
        async move {
            match scoped {
                Some(cache) => cache.scope(future).await,
                None => future.await,
            }
        }
    }

    /// Runs `function` with this cache as the one that attributed functions use on this thread, without a runtime: what
    /// [`scope`](Self::scope) is to a future.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// # }
    /// use cachemacro::{Cache, cached};
    ///
    /// #[cached(crate = cachemacro)]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let cache = Cache::memory();
    /// assert_eq!(cache.scope_sync(|| square(7) + square(7)), 98);
    /// assert_eq!(cache.stats().total.loads, 1);
    /// ```
    pub fn scope_sync<R>(&self, function: impl FnOnce() -> R) -> R {
        SCOPED.sync_scope(self.clone(), function)
    }

    /// The cache that attributed functions use here: the scoped one, else the global one, which is made from the
    /// environment at first use where nobody set it. Where the environment is wrong, the error is logged once and
    /// caching is off and evicts fail, since nobody knows where to send them.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// Cache::memory().scope(async {
    ///     Cache::current().set("n", 1, &7).await?;
    ///     assert_eq!(Cache::current().get::<i32>("n", 1).await?, Some(7));
    ///     Ok::<(), cachemacro::Error>(())
    /// }).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn current() -> Self {
        Self::with_current(Clone::clone)
    }

    /// Does something with the cache that attributed functions use here.
    #[inline]
    pub(crate) fn with_current<R>(use_: impl Fn(&Self) -> R) -> R {
        SCOPED.try_with(&use_).unwrap_or_else(|_| use_(global()))
    }
}

#[inline]
fn global() -> &'static Cache {
    GLOBAL.get().unwrap_or_else(|| global_in(&GLOBAL))
}

/// The cache in `cell`, which is made from the environment if nobody set it. Nothing is logged before the cell is full, because
/// whoever is told may ask for the cache.
fn global_in(cell: &OnceCell<Cache>) -> &Cache {
    let mut made = None;
    let cache = cell.get_or_init(|| {
        let built = CacheBuilder::default().env().and_then(CacheBuilder::build_silently);
        let (cache, problem) = match built {
            Ok(cache) => (cache, None),
            Err(error) => {
                let cache = CacheBuilder::unresolved(&error).build_silently();
                (cache.expect("the defaults are acceptable"), Some(error))
            }
        };
        made = Some(problem);
        cache
    });
    if let Some(problem) = made {
        if let Some(error) = problem {
            tracing::error!(%error, "the environment does not give a cache: caching is off");
        }
        cache.announce();
    }
    cache
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::{Arc, mpsc};
    use std::time::Duration;

    use tracing::Event;

    use super::*;
    use crate::ground::error::{Error, ErrorKind};
    use crate::ground::told::hearing;
    use crate::observe::warning::Warning;

    static ASKED: OnceCell<Cache> = OnceCell::new();

    #[test]
    fn a_subscriber_that_asks_for_the_global_cache_is_given_it_while_that_is_announced() {
        let events = Arc::new(AtomicUsize::new(0));
        let (told, (done, ended)) = (events.clone(), mpsc::channel());
        std::thread::spawn(move || {
            let ask = move |_: &Event<'_>| {
                told.fetch_add(1, Ordering::Relaxed);
                global_in(&ASKED);
            };
            hearing(ask, || global_in(&ASKED));
            let _ = done.send(());
        });
        ended.recv_timeout(Duration::from_secs(20)).expect("the first call must not wait for itself");
        assert!(events.load(Ordering::Relaxed) > 0, "nothing was logged");
    }

    #[tokio::test]
    async fn without_a_cache_functions_run_and_no_evict_is_reported_as_done() {
        let error = Error::new(ErrorKind::Config, "CACHEMACRO_TTL is not accepted");
        let cache = CacheBuilder::unresolved(&error).build().expect("the defaults are acceptable");
        let entry = cache.entry::<u32>("n", 1).with_tags(["t"]);
        assert_eq!(entry.get_or_load(async || 1).await, 1);
        assert_eq!(entry.get_or_load(async || 2).await, 2);
        assert_eq!(entry.evict().await.expect_err("from where?").kind(), ErrorKind::Config);
        assert_eq!(cache.evict_tags(["t"]).await.expect_err("from where?").kind(), ErrorKind::Config);
        let key = entry.key().expect("a number can be a key");
        cache.core().evict_later(&crate::engine::removals::Removals::of(key), None);
        let undelivered = cache.shutdown().await.expect_err("nothing was delivered");
        assert_eq!((undelivered.count(), undelivered.why()), (2, Some(ErrorKind::Config)), "{undelivered}");
        let total = cache.stats().total;
        assert_eq!((total.failed_evicts, total.evicts), (3, 0));
        let warnings = cache.warnings();
        assert_eq!(warnings[0], Warning::Unresolved("config: CACHEMACRO_TTL is not accepted".to_owned()));
        let failed = Warning::FailedEvicts { count: 3, last: ErrorKind::Config };
        assert_eq!(warnings[1..], [failed, Warning::KeptEvicts { count: 2, all: false }]);
    }
}
