//! Settings, checked before anything is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::api::cache::Cache;
use crate::engine::settings::Settings;
#[cfg(feature = "redis")]
use crate::format::stamps::epoch_key;
use crate::ground::clock::Clock;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::observe::event::Observer;
use crate::store::memory::{DEFAULT_CAPACITY, MemoryStore};
#[cfg(feature = "redis")]
use crate::store::redis::{RedisConfig, RedisStore};
use crate::store::{AnyStore, Store};
#[cfg(feature = "redis")]
use crate::store::{BreakerConfig, BreakerStore};

mod beside;
#[cfg(feature = "redis")]
mod connections;
mod env;
mod freshness;
#[cfg(feature = "redis")]
mod guard;
#[cfg(feature = "redis")]
mod login;
#[cfg(feature = "reports")]
mod reports;
#[cfg(feature = "sealed")]
mod sealed;
mod times;
mod values;
mod variables;

/// Which store a cache uses.
#[derive(Clone)]
enum Choice {
    /// Redis where a URL is known, else memory.
    Auto,
    Memory,
    #[cfg(feature = "redis")]
    Redis,
    Given(AnyStore),
}

/// Builds a [`Cache`]. Setters take any value; [`build`](Self::build) checks them.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::Cache;
/// use std::time::Duration;
///
/// let cache = Cache::builder()
///     .memory()
///     .namespace("shop")
///     .ttl(Duration::from_secs(60))
///     .jitter(10)
///     .build()?;
/// # Ok::<(), cachemacro::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct CacheBuilder {
    settings: Settings,
    choice: Choice,
    capacity: usize,
    #[cfg(feature = "redis")]
    redis: RedisSettings,
}

#[cfg(feature = "redis")]
#[derive(Clone)]
struct RedisSettings {
    url: Option<String>,
    /// The variable that gave it.
    url_from: Option<&'static str>,
    /// All but the URL.
    config: RedisConfig,
    breaker: BreakerConfig,
    unguarded: bool,
}

impl fmt::Debug for CacheBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheBuilder").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Default for CacheBuilder {
    fn default() -> Self {
        Self {
            settings: Settings::default(),
            choice: Choice::Auto,
            capacity: DEFAULT_CAPACITY,
            #[cfg(feature = "redis")]
            redis: RedisSettings {
                url: None,
                url_from: None,
                config: RedisConfig::new(""),
                breaker: BreakerConfig::new(),
                unguarded: false,
            },
        }
    }
}

impl CacheBuilder {
    /// Keeps entries in this process.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::builder().memory().build()?;
    /// assert_eq!(cache.health().await?.store.name, "memory");
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory(mut self) -> Self {
        self.choice = Choice::Memory;
        self
    }

    /// Keeps entries in the Redis or Valkey at `url`: `redis://[user[:password]@]host[:port][/db]`, with TLS `rediss://`, by way of
    /// Sentinel `redis+sentinel://host,host/name`, or `unix:///path`. See
    /// [the guide](https://github.com/cachemacro/cachemacro/blob/main/docs/providers.md).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let cache = cachemacro::Cache::builder().redis("redis://localhost/2").namespace("shop").build()?;
    /// assert!(format!("{cache:?}").contains("redis")); // no connection was opened yet
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[cfg(feature = "redis")]
    pub fn redis(mut self, url: impl Into<String>) -> Self {
        self.choice = Choice::Redis;
        self.redis.url = Some(url.into());
        self.redis.url_from = None;
        self
    }

    /// Keeps entries in a store of your own. It comes with its own settings: `capacity`,
    /// `clock`, and those of connections, are for the stores that the builder makes.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, store::memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(MemoryStore::new());
    /// let (one, other) = (Cache::builder().store(store.clone()), Cache::builder().store(store));
    /// one.build()?.set("n", 1, &7).await?;
    /// assert_eq!(other.build()?.get::<i32>("n", 1).await?, Some(7), "they share what is stored");
    /// # Ok(())
    /// # }
    /// ```
    pub fn store(mut self, store: Arc<dyn Store>) -> Self {
        self.choice = Choice::Given(AnyStore::of(store));
        self
    }

    /// What separates this application's entries from those of others in the same server. Default: nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::builder().memory().namespace("shop").build()?;
    /// assert_eq!(cache.health().await?.namespace, "shop");
    /// # Ok(())
    /// # }
    /// ```
    pub fn namespace(mut self, namespace: &str) -> Self {
        self.settings.namespace = Key::escape(namespace);
        self
    }

    /// The clock of the in-memory store, of sync functions and of local copies, for tests that move it; without effect on a server's time.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Clock};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual();
    /// let cache = Cache::builder().memory().clock(clock.clone()).ttl(Duration::from_secs(60)).build()?;
    /// cache.set("n", 1, &7).await?;
    /// clock.advance(Duration::from_secs(61));
    /// assert_eq!(cache.get::<i32>("n", 1).await?, None, "expired");
    /// # Ok(())
    /// # }
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.settings.clock = clock;
        self
    }

    /// Tells `observer` of each event as it happens, with its site and how long it took. It runs on the task of the call and
    /// must not block; see [`Observer`]. Several can be added.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Observation, Observer};
    ///
    /// struct Print;
    ///
    /// impl Observer for Print {
    ///     fn event(&self, seen: &Observation<'_>) {
    ///         println!("{}", seen.event.as_str());
    ///     }
    /// }
    ///
    /// let cache = Cache::builder().memory().observer(Print).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn observer(mut self, observer: impl Observer) -> Self {
        self.settings.observers.add(observer);
        self
    }

    /// Turns caching off: functions run, nothing is read or stored. Evicts are sent all the same, because other processes
    /// may use what is stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::builder().memory().disabled(true).build()?;
    /// cache.set("n", 1, &7).await?;
    /// assert_eq!(cache.get::<i32>("n", 1).await?, None);
    /// assert_eq!(cache.get_or_load("n", 1, async || 8).await, 8);
    /// # Ok(())
    /// # }
    /// ```
    pub fn disabled(mut self, disabled: bool) -> Self {
        self.settings.disabled = disabled;
        self
    }

    /// What stands in for a cache where the environment gives none: functions run, and no evict is reported as done.
    pub(crate) fn unresolved(error: &Error) -> Self {
        let mut builder = Self::default().memory().disabled(true);
        builder.settings.unresolved = Some(error.to_string());
        // What it is told to evict can be delivered by another process of its namespace.
        if let Ok(namespace) = std::env::var("CACHEMACRO_NAMESPACE") {
            builder.settings.namespace = Key::escape(namespace.trim());
        }
        builder.settings.unread = variables::unread(std::env::vars_os());
        builder
    }

    /// Checks the settings and makes the cache. Returns at once; connecting is lazy
    /// ([`Cache::connect`] awaits it).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, ErrorKind};
    ///
    /// let cache = Cache::builder().memory().namespace("shop").build()?;
    /// let error = Cache::builder().memory().capacity(0).build().unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::Config);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a setting is not acceptable.
    pub fn build(self) -> Result<Cache> {
        let cache = self.build_silently()?;
        cache.announce();
        Ok(cache)
    }

    /// The cache, with nothing logged yet.
    pub(crate) fn build_silently(self) -> Result<Cache> {
        let settings = &self.settings;
        if settings.jitter > 100 {
            return Err(wrong("jitter is a percentage from 0 to 100"));
        }
        if settings.lease < Duration::from_millis(30) {
            return Err(wrong("a lease lives 30 ms at least"));
        }
        if settings.deadline.is_some_and(|deadline| deadline.is_zero()) {
            return Err(wrong("the deadline must not be zero"));
        }
        if settings.lease_limit.is_zero() {
            return Err(wrong("the lease limit must not be zero"));
        }
        if settings.max_value == 0 || settings.max_value > MAX_VALUE {
            return Err(wrong("the largest value is between 1 byte and 256 MiB"));
        }
        if !settings.ttl.stores() {
            return Err(wrong("the default TTL is 1 ms at least; `disabled` turns caching off"));
        }
        if settings.freshness.max_age.is_some_and(|age| age < Duration::from_millis(1)) {
            return Err(wrong("the greatest age is 1 ms at least"));
        }
        if settings.freshness.refresh.is_some_and(|percent| !(1..=100).contains(&percent)) {
            return Err(wrong("a refresh is due after a percentage from 1 to 100 of the TTL"));
        }
        #[cfg(feature = "sealed")]
        if let Some(sealing) = &settings.seals.sealing {
            sealing.check()?;
        }
        if self.capacity == 0 {
            return Err(wrong("the capacity is 1 byte at least"));
        }
        if settings.local_capacity == 0 {
            return Err(wrong("the local capacity is 1 byte at least; `disabled` turns caching off"));
        }
        if settings.local_max_value == Some(0) {
            return Err(wrong(
                "the largest value with a local copy has 1 byte at least; `local` turns copies off",
            ));
        }
        #[cfg(feature = "reports")]
        if !self.reports_in_time() {
            return Err(wrong("reports follow each other after 1 ms at least and 15 s at most"));
        }
        #[cfg(feature = "redis")]
        self.redis.breaker.check()?;
        let store = self.open()?;
        #[cfg(feature = "cluster")]
        let clustered = self.redis_config().is_ok_and(|config| config.is_cluster());
        let mut settings = self.settings;
        // Another store has no server whose id it keeps.
        #[cfg_attr(not(feature = "redis"), expect(unused_mut, reason = "Redis is the one that has"))]
        let mut is_redis = false;
        #[cfg(feature = "redis")]
        if matches!(self.choice, Choice::Auto | Choice::Redis) && store.about().shared {
            is_redis = true;
            settings.deadline = settings.deadline.or(Some(self.redis.config.command_timeout));
        }
        settings.epoch &= is_redis;
        #[cfg(feature = "cluster")]
        {
            settings.clustered = settings.epoch && clustered;
        }
        Ok(Cache::with_store(store, settings))
    }

    #[cfg_attr(not(feature = "redis"), expect(clippy::unnecessary_wraps, reason = "opening Redis can fail"))]
    fn open(&self) -> Result<AnyStore> {
        let memory = || {
            let store =
                MemoryStore::builder().capacity(self.capacity).clock(self.settings.clock.clone()).build();
            AnyStore::Memory(Arc::new(store))
        };
        match &self.choice {
            Choice::Given(store) => Ok(store.clone()),
            Choice::Memory => Ok(memory()),
            #[cfg(feature = "redis")]
            Choice::Auto if self.redis.url.is_some() => self.open_redis(),
            Choice::Auto => Ok(memory()),
            #[cfg(feature = "redis")]
            Choice::Redis => self.open_redis(),
        }
    }

    #[cfg(feature = "redis")]
    fn open_redis(&self) -> Result<AnyStore> {
        let config = self.redis_config()?;
        let breaker = self.redis.breaker.slow_or(config.command_timeout / 2);
        let store = Arc::new(RedisStore::new(config)?);
        Ok(AnyStore::Other(if self.redis.unguarded {
            store
        } else {
            Arc::new(BreakerStore::new(store, breaker)?)
        }))
    }

    #[cfg(feature = "redis")]
    fn redis_config(&self) -> Result<RedisConfig> {
        let RedisSettings { url, url_from, config, .. } = &self.redis;
        let Some(url) = url else {
            return Err(wrong(
                "the store is Redis, but neither CACHEMACRO_REDIS_URL nor REDIS_URL gives its URL",
            ));
        };
        let mut config = config.clone().at(url.clone());
        if self.settings.epoch {
            config = config.with_epoch(epoch_key(&self.settings.namespace));
        }
        if let (Some(name), Err(error)) = (url_from, config.check_url()) {
            return Err(Error::new(ErrorKind::Config, format!("{name}: {}", error.context())));
        }
        Ok(config)
    }
}

/// The largest limit that may be set for one value.
pub(crate) const MAX_VALUE: usize = 256 << 20;

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::Config, what)
}

impl Cache {
    /// A builder with the defaults: in memory, unless a Redis URL is given.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let cache = cachemacro::Cache::builder().namespace("shop").jitter(10).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn builder() -> CacheBuilder {
        CacheBuilder::default()
    }

    /// A cache as the environment describes it ([all variables](https://github.com/cachemacro/cachemacro/blob/main/docs/configuration.md)):
    /// Redis where `CACHEMACRO_REDIS_URL` or `REDIS_URL` is set, else in memory. Opens no connection yet.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let cache = cachemacro::Cache::from_env()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config), naming the variable and what it accepts.
    pub fn from_env() -> Result<Self> {
        CacheBuilder::default().env()?.build()
    }

    /// A new, empty cache in this process, with default settings: 64 MiB, values fresh for 5 minutes. It follows the
    /// same protocol as one on Redis, which makes it fit for tests.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let (one, other) = (Cache::memory(), Cache::memory());
    /// one.set("n", 1, &7).await?;
    /// assert_eq!(one.clone().get::<i32>("n", 1).await?, Some(7), "clones are the same cache");
    /// assert_eq!(other.get::<i32>("n", 1).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory() -> Self {
        CacheBuilder::default().memory().build().expect("the defaults are acceptable")
    }
}
