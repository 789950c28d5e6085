//! Which cache a call uses when its attribute names none: the scoped one, else the global one.

use std::future::Future;

use once_cell::sync::OnceCell;

use crate::api::builder::CacheBuilder;
use crate::api::cache::Cache;

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
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Cache, set_global};
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
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cachemacro::{Cache, current, scope};
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
/// caching is off and evicts fail, since nobody knows where to send them.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, current, scope};
///
/// scope(Cache::memory(), async {
///     current().set("n", &1, &7).await?;
///     assert_eq!(current().get::<i32>("n", &1).await?, Some(7));
///     Ok::<(), cachemacro::Error>(())
/// }).await?;
/// # Ok(())
/// # }
/// ```
pub fn current() -> Cache {
    SCOPED.try_with(Clone::clone).unwrap_or_else(|_| global().clone())
}

fn global() -> &'static Cache {
    GLOBAL.get_or_init(|| match Cache::from_env() {
        Ok(cache) => cache,
        Err(error) => {
            tracing::error!(%error, "the environment does not give a cache: caching is off");
            CacheBuilder::unresolved().build().expect("the defaults are acceptable")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ground::error::ErrorKind;

    #[tokio::test]
    async fn without_a_cache_functions_run_and_no_evict_is_reported_as_done() {
        let cache = CacheBuilder::unresolved().build().expect("the defaults are acceptable");
        let entry = cache.entry::<u32>("n", &1).with_tags(["t"]);
        assert_eq!(entry.get_or_load(async || 1).await, 1);
        assert_eq!(entry.get_or_load(async || 2).await, 2);
        assert_eq!(entry.delete().await.expect_err("from where?").kind(), ErrorKind::Config);
        assert_eq!(cache.evict_tags(["t"]).await.expect_err("from where?").kind(), ErrorKind::Config);
        cache.core().evict_later(crate::engine::removals::Removals::key("n:1"), None);
        cache.shutdown().await;
        let total = cache.stats().total;
        assert_eq!((total.failed_evicts, total.evicts), (3, 0));
    }
}
