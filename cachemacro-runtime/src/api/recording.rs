//! What a load read besides cached calls: told by whoever reads it, to all who gather what the task's calls depend on.

use std::future::Future;

use crate::format::stamps::tag_hash;
use crate::key::typed::Tag;
use crate::policy::gather;

/// Tells that the current load has read what these tags are about. A function with `recorded`, and an entry whose
/// [policy](crate::Policy::recorded) says so, stores its value under them: it is gone once one of them is evicted, also in the middle of
/// the load. All loads hear of it that are under way in this task, and all that [`gather`](crate::Cache::gather); outside of them it does
/// nothing.
///
/// For code that every load goes through, such as a connection to a database. Tags that a function knows itself are its `tags`.
///
/// ```
/// # mod cachemacro {
/// #     pub use cachemacro_derive::cached;
/// #     pub use cachemacro_runtime::*;
/// # }
/// use cachemacro::{Cache, cached, record};
///
/// /// Runs a statement.
/// async fn count(table: &str) -> u32 {
///     record([table]);
///     7
/// }
///
/// #[cached(prefix = "statistics", recorded, crate = cachemacro)]
/// async fn statistics() -> (u32, u32) {
///     (count("users").await, count("orders").await)
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// statistics().await;
/// statistics().await;
/// Cache::current().evict_tags(["orders"]).await?;
/// statistics().await;
/// assert_eq!(Cache::current().stats().total.loads, 2);
/// # Ok(())
/// # }
/// ```
pub fn record<T: Tag>(tags: impl IntoIterator<Item = T>) {
    if gather::is_on() {
        let hashes: Vec<u64> = tags.into_iter().map(|tag| tag_hash(&tag.text())).collect();
        gather::reads(&hashes);
    }
}

/// Tells that the current load has read what no tag is known for, or as it was at another time, such as in the snapshot of a
/// transaction. What is recorded of it is not all, so it is not stored.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Policy};
///
/// let entry = Cache::memory().entry::<u32>("count", ()).with_policy(Policy::new().recorded(true));
/// let load = async || {
///     cachemacro::record(["users"]);
///     cachemacro::record_unknown(); // and a file
///     7
/// };
/// assert_eq!(entry.get_or_load(load).await, 7);
/// assert!(!entry.has().await?);
/// # Ok(())
/// # }
/// ```
pub fn record_unknown() {
    gather::unknown();
}

/// Whether anybody wants to know what the current task reads, so that telling it is worth the work.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cache = cachemacro::Cache::memory();
/// assert!(!cachemacro::is_recording());
/// assert!(cache.gather(async { cachemacro::is_recording() }).await.0);
/// # }
/// ```
pub fn is_recording() -> bool {
    gather::is_on()
}

/// Has what `future` reads in a task of its own told to who listens in this one. It counts as far as the load waits for it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cache = cachemacro::Cache::memory();
/// let load = async {
///     let counted = tokio::spawn(cachemacro::recording(async {
///         cachemacro::record(["users"]); // SELECT COUNT(*) FROM users
///         7
///     }));
///     counted.await.unwrap()
/// };
/// let (count, gathered) = cache.gather(load).await;
/// assert_eq!((count, gathered.len()), (7, 1));
/// # }
/// ```
pub fn recording<F: Future>(future: F) -> impl Future<Output = F::Output> {
    gather::carried(future)
}
