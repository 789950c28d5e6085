//! All entries under one prefix, defined once: typed keys, typed values, TTL, tags, codec and rules.

use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;

use serde::Serialize;

use crate::api::cache::Cache;
use crate::api::lookup::Lookup;
use crate::calls::batch::get_many;
use crate::engine::entry::Entry;
use crate::format::codec::Codec;
use crate::ground::error::Result;
use crate::key::typed::Tag;
use crate::policy::outcome::Value;
use crate::policy::rules::EntryRules;
use crate::policy::ttl::{Policy, Ttl};

/// All entries under one prefix, for keys `K` and values `V`, from [`Cache::keyspace`]. Cheap to clone.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::Cache;
/// use std::time::Duration;
///
/// let cache = Cache::memory();
/// let users = cache
///     .keyspace::<u64, String>("user")
///     .ttl(Duration::from_secs(60))
///     .tags(|id| ["users".to_owned(), format!("shard:{}", id % 8)]);
///
/// assert_eq!(users.get_or_load(&7, async || "Ada".to_owned()).await, "Ada");
/// assert_eq!(users.get(&7).await?.as_deref(), Some("Ada"));
/// cache.evict_tags(["shard:7"]).await?;
/// assert_eq!(users.get(&7).await?, None);
/// # Ok(())
/// # }
/// ```
///
/// Text keys are `str`: `cache.keyspace::<str, u64>("visits").get("home")`.
pub struct Keyspace<K: ?Sized, V> {
    cache: Cache,
    prefix: Arc<str>,
    define: Arc<Define<K, V>>,
}

/// What is done to the bare entry of a key.
type Define<K, V> = dyn Fn(&K, Entry<V>) -> Entry<V> + Send + Sync;

impl<K: ?Sized, V> Clone for Keyspace<K, V> {
    fn clone(&self) -> Self {
        Self { cache: self.cache.clone(), prefix: self.prefix.clone(), define: self.define.clone() }
    }
}

impl<K: ?Sized, V> fmt::Debug for Keyspace<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyspace").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

impl Cache {
    /// All entries under `prefix`, for keys `K` and values `V`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let prices = cache.keyspace::<(&str, u64), u64>("price");
    /// prices.put(&("CHF", 7), &1200).await?;
    /// assert_eq!(cache.get::<u64>("price", ("CHF", 7)).await?, Some(1200), "the same entry");
    /// # Ok(())
    /// # }
    /// ```
    pub fn keyspace<K: Serialize + ?Sized + 'static, V: Value>(&self, prefix: &str) -> Keyspace<K, V> {
        Keyspace { cache: self.clone(), prefix: prefix.into(), define: Arc::new(|_, entry| entry) }
    }
}

impl<K: Serialize + ?Sized + 'static, V: Value> Keyspace<K, V> {
    /// The same keyspace, whose entries are changed further.
    fn then(self, change: impl Fn(&K, Entry<V>) -> Entry<V> + Send + Sync + 'static) -> Self {
        let Self { cache, prefix, define } = self;
        Self { cache, prefix, define: Arc::new(move |key, entry| change(key, define(key, entry))) }
    }

    /// How long values stay fresh; see [`Entry::with_ttl`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use std::time::Duration;
    ///
    /// let users = cachemacro::Cache::memory().keyspace::<u64, u64>("n").ttl(Duration::from_secs(30));
    /// users.put(&1, &7).await?;
    /// assert!(users.entry(&1).ttl().await? <= Some(Duration::from_secs(30)));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn ttl(self, ttl: impl Into<Ttl>) -> Self {
        let ttl = ttl.into();
        self.then(move |_, entry| entry.with_ttl(ttl))
    }

    /// The tags of the entry of each key, besides those given before: `.tags(|_| ["users"])` for all the same.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let pages = cache.keyspace::<u64, u64>("page").tags(|_| ["pages"]).tags(|id| [format!("page:{id}")]);
    /// pages.put(&7, &1).await?;
    /// cache.evict_tags(["page:7"]).await?;
    /// assert_eq!(pages.get(&7).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn tags<S, I>(self, tags: impl Fn(&K) -> I + Send + Sync + 'static) -> Self
    where
        S: Tag,
        I: IntoIterator<Item = S>,
    {
        self.then(move |key, entry| entry.with_tags(tags(key)))
    }

    /// Another codec than the cache's; see [`Entry::with_codec`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, codec::Json};
    ///
    /// let users = Cache::memory().keyspace::<u64, String>("user").codec::<Json>();
    /// users.put(&7, &"Ada".to_owned()).await?;
    /// assert_eq!(users.get(&7).await?.as_deref(), Some("Ada"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn codec<C: Codec>(self) -> Self {
        self.then(|_, entry| entry.with_codec::<C>())
    }

    /// Rules about the values; see [`Entry::with_rules`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, EntryRules};
    ///
    /// let rules = EntryRules::none().unless(Vec::is_empty);
    /// let pages = Cache::memory().keyspace::<u64, Vec<u64>>("page").rules(rules);
    /// pages.get_or_load(&1, async || vec![]).await;
    /// assert_eq!(pages.get(&1).await?, None, "an empty page is not stored");
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn rules(self, rules: EntryRules<V>) -> Self {
        self.then(move |_, entry| entry.with_rules(rules))
    }

    /// Further options; see [`Entry::with_policy`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Policy};
    ///
    /// let users = Cache::memory().keyspace::<u64, String>("user").policy(Policy::new().jitter(10));
    /// assert!(users.entry(&7).check().is_ok());
    /// ```
    #[must_use]
    pub fn policy(self, policy: Policy) -> Self {
        self.then(move |_, entry| entry.with_policy(policy))
    }

    /// The handle to the entry of one key, for what has no short form here.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let visits = cachemacro::Cache::memory().keyspace::<str, i64>("visits");
    /// assert_eq!(visits.entry("home").key().map(|key| key.as_str()), Some("visits:home"));
    /// ```
    pub fn entry(&self, key: &K) -> Entry<V> {
        (self.define)(key, self.cache.entry(&self.prefix, key))
    }

    /// The value of one key, if it is there and fresh.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let visits = cachemacro::Cache::memory().keyspace::<str, u64>("visits");
    /// assert_eq!(visits.get("home").await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Entry::get`].
    pub async fn get(&self, key: &K) -> Result<Option<V>> {
        self.entry(key).get().await
    }

    /// The value of one key; where there is none, `load` runs once for all callers; see [`Entry::get_or_load`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let squares = cachemacro::Cache::memory().keyspace::<u64, u64>("square");
    /// assert_eq!(squares.get_or_load(&12, async || 144).await, 144);
    /// # }
    /// ```
    pub async fn get_or_load<F: Future<Output = V>>(&self, key: &K, load: impl FnOnce() -> F) -> V {
        self.entry(key).get_or_load(load).await
    }

    /// [`get_or_load`](Self::get_or_load) with a load that can fail; see [`Entry::try_get_or_load`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let ports = cachemacro::Cache::memory().keyspace::<str, u16>("port");
    /// assert_eq!(ports.try_get_or_load("http", async || "80".parse::<u16>()).await, Ok(80));
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `load` returned; the cache has none of its own.
    pub async fn try_get_or_load<E, F>(&self, key: &K, load: impl FnOnce() -> F) -> Result<V, E>
    where
        F: Future<Output = Result<V, E>>,
    {
        self.entry(key).try_get_or_load(load).await
    }

    /// The value of one key, or the right to store one; see [`Entry::lookup`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let squares = Cache::memory().keyspace::<u64, u64>("square");
    /// let Lookup::Vacant(vacancy) = squares.lookup(&12).await? else { panic!("nothing was stored") };
    /// assert!(vacancy.fill(&144).await?.is_stored());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Entry::lookup`].
    pub async fn lookup(&self, key: &K) -> Result<Lookup<V>> {
        self.entry(key).lookup().await
    }

    /// Stores a value, whatever was there; see [`Entry::set`]. It counts as loaded at the call, so what was read from
    /// elsewhere before may be older than an evict in between.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let users = cachemacro::Cache::memory().keyspace::<u64, String>("user");
    /// users.put(&7, &"Ada".to_owned()).await?;
    /// assert_eq!(users.get(&7).await?.as_deref(), Some("Ada"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Those of [`Entry::set`].
    pub async fn put(&self, key: &K, value: &V) -> Result<()> {
        self.entry(key).set(value).await
    }

    /// Evicts the entry of one key. Tells whether a value was there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let users = cachemacro::Cache::memory().keyspace::<u64, String>("user");
    /// users.put(&7, &"Ada".to_owned()).await?;
    /// assert!(users.evict(&7).await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entry may still be there.
    pub async fn evict(&self, key: &K) -> Result<bool> {
        self.entry(key).evict().await
    }

    /// Evicts all entries under the prefix and tells how many there were. Scans the server's keys: costs time in
    /// proportion to all of them; a tag costs nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let users = cachemacro::Cache::memory().keyspace::<u64, String>("user");
    /// users.put(&7, &"Ada".to_owned()).await?;
    /// assert_eq!(users.evict_all().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: some entries may still be there.
    pub async fn evict_all(&self) -> Result<u64> {
        self.cache.evict_prefix(&self.prefix).await
    }
}

impl<K: Serialize + Eq + Hash + Clone + 'static, V: Value> Keyspace<K, V> {
    /// The values of many keys that are there and fresh, from one round trip for about 256 of them. What cannot be
    /// read is not in the map; the failure is counted.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let users = cachemacro::Cache::memory().keyspace::<u64, String>("user");
    /// users.put(&7, &"Ada".to_owned()).await?;
    /// let found = users.get_many([7, 8]).await;
    /// assert_eq!((found[&7].as_str(), found.len()), ("Ada", 1));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn get_many(&self, keys: impl IntoIterator<Item = K>) -> HashMap<K, V> {
        get_many(self.cache.core(), keys, |key| self.entry(key)).await
    }

    /// The values of many keys; `load` is called with those that are missing. See
    /// [`Cache::get_or_load_many`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::collections::HashMap;
    ///
    /// let squares = cachemacro::Cache::memory().keyspace::<u64, u64>("square");
    /// let load = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id * id)).collect::<HashMap<_, _>>();
    /// assert_eq!(squares.get_or_load_many([2, 3], load).await[&3], 9);
    /// # }
    /// ```
    pub async fn get_or_load_many<F>(
        &self,
        keys: impl IntoIterator<Item = K>,
        mut load: impl FnMut(Vec<K>) -> F,
    ) -> HashMap<K, V>
    where
        F: Future<Output = HashMap<K, V>>,
    {
        let load = |keys| {
            let loaded = load(keys);
            async move { Ok::<_, std::convert::Infallible>(loaded.await) }
        };
        match self.try_get_or_load_many(keys, load).await {
            Ok(values) => values,
            Err(never) => match never {},
        }
    }

    /// [`get_or_load_many`](Self::get_or_load_many) with a load that can fail.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::collections::HashMap;
    ///
    /// let users = cachemacro::Cache::memory().keyspace::<u64, String>("user");
    /// let load = async |_: Vec<u64>| Err::<HashMap<u64, String>, _>("the database is away");
    /// assert!(users.try_get_or_load_many([7, 8], load).await.is_err());
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `load` returned; the cache has none of its own.
    pub async fn try_get_or_load_many<E, F>(
        &self,
        keys: impl IntoIterator<Item = K>,
        load: impl FnMut(Vec<K>) -> F,
    ) -> Result<HashMap<K, V>, E>
    where
        F: Future<Output = Result<HashMap<K, V>, E>>,
    {
        self.cache.try_get_or_load_many(keys, |key| self.entry(key), load).await
    }
}
