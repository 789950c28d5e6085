//! One entry in one call, by prefix and key: short for what its [`Entry`] does.

use std::future::Future;
use std::time::Duration;

use serde::Serialize;

use crate::api::cache::Cache;
use crate::api::lookup::Lookup;
use crate::engine::entry::Entry;
use crate::ground::error::Result;
use crate::policy::outcome::Value;

impl Cache {
    /// The value under `prefix` and `key`, if it is fresh.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 42, &"Ada".to_owned()).await?;
    /// assert_eq!(cache.get::<String>("user", 42).await?.as_deref(), Some("Ada"));
    /// assert_eq!(cache.get::<String>("user", 43).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or `key` cannot be a key.
    pub async fn get<T: Value>(&self, prefix: &str, key: impl Serialize) -> Result<Option<T>> {
        self.entry(prefix, key).get().await
    }

    /// The value under `prefix` and `key`; where there is none, `load` runs once for all callers in the fleet and
    /// its value is stored. Whatever breaks in the cache, `load` runs. For other TTLs, tags and loads that can fail, see
    /// [`entry`](Self::entry).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let area = async |width: u32, height: u32| width * height; // expensive
    ///
    /// assert_eq!(cache.get_or_load("area", (3, 4), || area(3, 4)).await, 12);
    /// assert_eq!(cache.get::<u32>("area", (3, 4)).await?, Some(12));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_or_load<T: Value, F: Future<Output = T>>(
        &self,
        prefix: &str,
        key: impl Serialize,
        load: impl FnOnce() -> F,
    ) -> T {
        self.entry(prefix, key).get_or_load(load).await
    }

    /// The value under `prefix` and `key`, or the right to store one: for cache-aside by hand; see
    /// [`Entry::lookup`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let cache = Cache::memory();
    /// let square = match cache.lookup::<u32>("square", 12).await? {
    ///     Lookup::Hit(square) => square.into_value(),
    ///     Lookup::Vacant(vacancy) => {
    ///         let square = 12 * 12; // expensive
    ///         assert!(vacancy.fill(&square).await?.is_stored(), "nobody came between");
    ///         square
    ///     }
    /// };
    /// assert_eq!(cache.get("square", 12).await?, Some(square));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the entry could not be read, or `key` cannot be a key.
    pub async fn lookup<T: Value>(&self, prefix: &str, key: impl Serialize) -> Result<Lookup<T>> {
        self.entry(prefix, key).lookup().await
    }

    /// Whether a fresh value of type `T` is under `prefix` and `key`, without decoding it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// assert!(!cache.has::<String>("user", 42).await?);
    /// cache.set("user", 42, &"Ada".to_owned()).await?;
    /// assert!(cache.has::<String>("user", 42).await?);
    /// assert!(!cache.has::<u64>("user", 42).await?, "it is no number");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or `key` cannot be a key.
    pub async fn has<T: Value>(&self, prefix: &str, key: impl Serialize) -> Result<bool> {
        self.entry::<T>(prefix, key).has().await
    }

    /// How long the value of type `T` under `prefix` and `key` stays fresh, to the millisecond; `None` where there
    /// is none.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder().memory().ttl(Duration::from_secs(60)).build()?;
    /// cache.set("user", 42, &"Ada".to_owned()).await?;
    /// let left = cache.ttl::<String>("user", 42).await?.expect("it was stored");
    /// assert!(left > Duration::ZERO && left <= Duration::from_secs(60));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or `key` cannot be a key.
    pub async fn ttl<T: Value>(&self, prefix: &str, key: impl Serialize) -> Result<Option<Duration>> {
        self.entry::<T>(prefix, key).ttl().await
    }

    /// Stores a value, whatever was there. The value counts as loaded at the call: a value that was read from
    /// elsewhere before may be older than an evict in between. Use [`get_or_load`](Self::get_or_load) or
    /// [`lookup`](Self::lookup) for cache-aside.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 42, &"Ada".to_owned()).await?;
    /// cache.set("user", 42, &"Ada Lovelace".to_owned()).await?;
    /// assert_eq!(cache.get::<String>("user", 42).await?.as_deref(), Some("Ada Lovelace"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or the value cannot be encoded or is too large.
    pub async fn set<T: Value>(&self, prefix: &str, key: impl Serialize, value: &T) -> Result<()> {
        self.entry(prefix, key).set(value).await
    }

    /// Replaces the value by what `change` makes of it (`None`: there is none), atomically, and returns what was
    /// stored; see [`Entry::update`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let add_tea = |items: Option<Vec<String>>| {
    ///     let mut items = items.unwrap_or_default();
    ///     items.push("tea".to_owned());
    ///     items
    /// };
    /// cache.update("cart", 7, add_tea).await?;
    /// assert_eq!(cache.update("cart", 7, add_tea).await?, ["tea", "tea"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Entry::update`]: the store failed, the value cannot be encoded, others were faster 100 times, or the
    /// cache is disabled.
    pub async fn update<T: Value>(
        &self,
        prefix: &str,
        key: impl Serialize,
        change: impl FnMut(Option<T>) -> T,
    ) -> Result<T> {
        self.entry(prefix, key).update(change).await
    }

    /// Adds `by` to the number under `prefix` and `key`, atomically, creating it with `by` where it is missing.
    /// Returns the sum. The TTL counts from the creation; see [`Entry::increment`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// assert_eq!(cache.increment("visits", "home", 1).await?, 1);
    /// assert_eq!(cache.increment("visits", "home", 2).await?, 3);
    /// assert_eq!(cache.get::<i64>("visits", "home").await?, Some(3));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Entry::increment`]: the store failed, the entry was not made by `increment`, the sum is no `i64`,
    /// others changed the entry's tags 100 times, or the cache is disabled.
    pub async fn increment(&self, prefix: &str, key: impl Serialize, by: i64) -> Result<i64> {
        let number: Entry<i64> = self.entry(prefix, key);
        number.increment(by).await
    }

    /// Evicts an entry. Tells whether a value was there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 42, &"Ada".to_owned()).await?;
    /// assert!(cache.evict_key("user", 42).await?);
    /// assert!(!cache.evict_key("user", 42).await?, "it is gone already");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entry may still be there.
    pub async fn evict_key(&self, prefix: &str, key: impl Serialize) -> Result<bool> {
        Ok(self.evict().key(prefix, key).run().await? > 0)
    }
}
