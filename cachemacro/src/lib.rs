// The README's links lead to files of the repository, which docs.rs does not have: what is defined first wins.
#![doc = "[keys]: https://github.com/cachemacro/cachemacro/blob/main/docs/keys.md"]
#![doc = "[tags]: https://github.com/cachemacro/cachemacro/blob/main/docs/tags.md"]
#![doc = "[consistency]: https://github.com/cachemacro/cachemacro/blob/main/docs/consistency.md"]
#![doc = "[testing]: https://github.com/cachemacro/cachemacro/blob/main/docs/testing.md"]
#![doc = "[operations]: https://github.com/cachemacro/cachemacro/blob/main/docs/operations.md"]
#![doc = "[migrating]: https://github.com/cachemacro/cachemacro/blob/main/docs/migrating.md"]
#![doc = "[changelog]: https://github.com/cachemacro/cachemacro/blob/main/CHANGELOG.md"]
#![doc = "[contributing]: https://github.com/cachemacro/cachemacro/blob/main/CONTRIBUTING.md"]
#![doc = "[security]: https://github.com/cachemacro/cachemacro/blob/main/SECURITY.md"]
#![doc = "[mit]: https://github.com/cachemacro/cachemacro/blob/main/LICENSE-MIT"]
#![doc = "[apache]: https://github.com/cachemacro/cachemacro/blob/main/LICENSE-APACHE"]
#![doc = ""]
#![doc = include_str!("../README.md")]

/// Puts a cache in front of an async function; every option is in the [table](crate#cached).
///
/// ```
/// use cachemacro::cached;
///
/// #[cached(prefix = "area", ttl = "1h", unless = |area| *area == 0, entry = area_entry)]
/// async fn area(width: u32, height: u32) -> u32 {
///     width * height // expensive
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// area(3, 4).await;
/// assert_eq!(area(3, 4).await, 12); // without running the body
/// assert_eq!(area_entry(3, 4).get().await?, Some(12));
/// # Ok(())
/// # }
/// ```
pub use cachemacro_derive::cached;

/// Writes what a function returns to the cache when it succeeds; every option is in the [table](crate#writes).
///
/// ```
/// use cachemacro::{cache_put, cached};
///
/// #[cached(prefix = "name", key = "{id}", entry = name_entry)]
/// async fn name(id: u64) -> Option<String> {
///     None // SELECT
/// }
///
/// #[cache_put(entry = name_entry(id))]
/// async fn rename(id: u64, to: &str) -> Result<String, std::fmt::Error> {
///     Ok(to.to_owned()) // UPDATE
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::fmt::Error> {
/// rename(7, "Ada").await?;
/// assert_eq!(name(7).await.as_deref(), Some("Ada")); // from the cache
/// # Ok(())
/// # }
/// ```
pub use cachemacro_derive::cache_put;

/// Evicts when a function succeeds: entries, tags or a prefix; every option is in the [table](crate#writes).
///
/// ```
/// use cachemacro::{cache_evict, cached};
///
/// #[cached(prefix = "stock", tags = ["stock", "shelf:{shelf}"])]
/// async fn stock(shelf: &str, article: u64) -> u32 {
///     5 // SELECT
/// }
///
/// #[cache_evict(tags = ["shelf:{shelf}"])]
/// async fn refill(shelf: &str) -> Result<(), std::fmt::Error> {
///     Ok(()) // UPDATE
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), std::fmt::Error> {
/// stock("A1", 7).await;
/// refill("A1").await?;
/// stock("A1", 7).await; // loads again
/// assert_eq!(cachemacro::current().stats().total.loads, 2);
/// # Ok(())
/// # }
/// ```
pub use cachemacro_derive::cache_evict;

/// Sets defaults for the attributes inside an `impl` or trait; see [its section](crate#cache_config).
///
/// ```
/// use cachemacro::{Cache, cache_config, cached};
///
/// struct Users {
///     cache: Cache,
/// }
///
/// #[cache_config(cache = self.cache, ttl = "1m")]
/// impl Users {
///     #[cached(prefix = "user")]
///     async fn name(&self, id: u64) -> String {
///         format!("user {id}")
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let users = Users { cache: Cache::memory() };
/// users.name(7).await;
/// users.name(7).await;
/// assert_eq!(users.cache.stats().total.hits, 1);
/// # }
/// ```
pub use cachemacro_derive::cache_config;

/// ```
/// use cachemacro::{CacheSchema, schema};
/// use serde::{Deserialize, Serialize};
///
/// #[derive(Clone, Serialize, Deserialize, CacheSchema)]
/// #[serde(tag = "type")]
/// enum Event {
///     Created { id: u64 },
///     Renamed { id: u64, name: String },
/// }
///
/// assert_eq!(schema::described::<Event>().unseen(), None); // the walk alone would not see inside
/// assert!(schema::fingerprint_of::<Event>().unseen().is_some());
/// ```
///
pub use cachemacro_derive::CacheSchema;

#[doc(inline)]
pub use cachemacro_runtime::*;

#[doc(hidden)]
pub use cachemacro_runtime::private as __private;
