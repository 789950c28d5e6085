//! Which cache a call uses when its attribute names none: the scoped one, else the global one.

use std::future::Future;

use once_cell::sync::OnceCell;

use crate::builder::CacheBuilder;
use crate::cache::Cache;

static GLOBAL: OnceCell<Cache> = OnceCell::new();

tokio::task_local! {
    static SCOPED: Cache;
}

/// Makes `cache` the one that attributed functions use.
///
/// # Errors
/// Gives `cache` back where a global cache is set already, or was made from the environment by an earlier call.
///
/// ```
/// use cachemacro_runtime::{Cache, set_global};
///
/// assert!(set_global(Cache::memory()).is_ok());
/// assert!(set_global(Cache::memory()).is_err());
/// ```
pub fn set_global(cache: Cache) -> std::result::Result<(), Cache> {
    GLOBAL.set(cache)
}

/// Runs `future` with `cache` as the one that attributed functions use, so that tests run side by side, each with
/// its own. Tasks spawned inside it do not inherit it; wrap them too.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cachemacro_runtime::{Cache, current, scope};
///
/// let cache = Cache::memory();
/// scope(cache.clone(), async {
///     current().entry::<u32>("n", &1).set(&7).await.expect("memory does not fail");
/// }).await;
/// assert_eq!(cache.entry::<u32>("n", &1).get().await.expect("memory does not fail"), Some(7));
/// # }
/// ```
pub async fn scope<F: Future>(cache: Cache, future: F) -> F::Output {
    SCOPED.scope(cache, future).await
}

/// The cache that attributed functions use here: the scoped one, else the global one, which is made from the
/// environment at first use where nobody set it. Where the environment is wrong, the error is logged once and
/// caching is off.
pub fn current() -> Cache {
    SCOPED.try_with(Clone::clone).unwrap_or_else(|_| global().clone())
}

fn global() -> &'static Cache {
    GLOBAL.get_or_init(|| match Cache::from_env() {
        Ok(cache) => cache,
        Err(error) => {
            tracing::error!(%error, "the environment does not give a cache: caching is off");
            CacheBuilder::default().memory().disabled(true).build().expect("the defaults are acceptable")
        }
    })
}
