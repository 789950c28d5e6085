//! Settings, checked before anything is opened.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::api::cache::Cache;
use crate::engine::settings::Settings;
use crate::format::codec::BuiltinCodec;
use crate::format::header::LONGEST_LEASE;
use crate::ground::clock::Clock;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::observe::event::Observer;
use crate::policy::ttl::Ttl;
use crate::store::memory::{DEFAULT_CAPACITY, MemoryStore};
#[cfg(feature = "redis")]
use crate::store::redis::{COMMAND_TIMEOUT, RedisConfig, RedisStore};
use crate::store::{AnyStore, Store};
#[cfg(feature = "redis")]
use crate::store::{BreakerConfig, BreakerStore};

mod env;
mod freshness;
#[cfg(feature = "reports")]
mod reports;

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
#[derive(Clone, Default)]
struct RedisSettings {
    url: Option<String>,
    /// The variable that gave it.
    url_from: Option<&'static str>,
    connect_timeout: Option<Duration>,
    command_timeout: Option<Duration>,
    pool_wait: Option<Duration>,
    pool_size: Option<usize>,
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
            redis: RedisSettings::default(),
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

    /// Keeps entries in the Redis or Valkey at `url`: `redis://[user[:password]@]host[:port][/db]`.
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

    /// How long values stay fresh where their site does not say. Default: 5 minutes.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Ttl};
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder().memory().ttl(Duration::from_secs(60)).build()?;
    /// cache.set("n", 1, &7).await?;
    /// assert!(cache.ttl::<i32>("n", 1).await?.is_some_and(|left| left <= Duration::from_secs(60)));
    ///
    /// let endless = Cache::builder().memory().ttl(Ttl::Never).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.settings.ttl = ttl.into();
        self
    }

    /// By how many percent of themselves TTLs are spread, up and down, 0 to 100. Default: 0.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder().memory().ttl(Duration::from_secs(100)).jitter(10).build()?;
    /// cache.set("n", 1, &7).await?;
    /// let ttl = cache.ttl::<i32>("n", 1).await?.expect("it was stored");
    /// assert!((80..=110).contains(&ttl.as_secs()));
    /// assert!(Cache::builder().memory().jitter(101).build().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn jitter(mut self, percent: u8) -> Self {
        self.settings.jitter = percent;
        self
    }

    /// How long calls wait for another caller's load before one of them loads for all, without storing. A load in this
    /// process that takes longer gets one more beside it then, the next after twice as long, and so on. Zero: other
    /// processes' loads are not waited for; those of this process are, for 10 seconds. Default: 10 seconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder()
    ///     .memory()
    /// #   .clock(cachemacro::Clock::manual())
    ///     .wait(Duration::ZERO)
    ///     .build()?;
    /// let first = cache.lookup::<u32>("n", 1).await?; // holds the right to fill
    /// let Lookup::Vacant(second) = cache.lookup::<u32>("n", 1).await? else { panic!("nothing is there") };
    /// assert!(!second.fill(&7).await?.is_stored(), "not waited, not stored");
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(mut self, wait: Duration) -> Self {
        self.settings.wait = wait;
        self
    }

    /// How long a load may keep its lease, and so keep others from loading. It does not end the load: after it others may
    /// load too, and the late value may not be stored. Default: 60 seconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// // No load of this application takes longer than five seconds.
    /// let cache = Cache::builder().memory().lease_limit(Duration::from_secs(5)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn lease_limit(mut self, limit: Duration) -> Self {
        self.settings.lease_limit = limit;
        self
    }

    /// How long a lease lives unless it is renewed, which happens three times in that span while the load is
    /// polled. Default: 3 seconds; a minute at most. Shorter: a loader that died is replaced sooner, and more renewals are sent.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder().memory().lease(Duration::from_secs(1)).build()?;
    /// assert!(Cache::builder().memory().lease(Duration::from_millis(29)).build().is_err());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.min(LONGEST_LEASE);
        self
    }

    /// How long a cached call may wait for the store in all, beyond the time of its function and [`wait`](Self::wait): one that reads,
    /// asks for a lease and fills, or a put with its evicts. What is not done by then is not done: a value is not stored, and an
    /// evict counts as failed and is sent again later. The first request of a call is bounded by the store's own timeouts. Direct
    /// calls but `get_or_load`, and batches, are not bounded in all. Default: as long as one command to
    /// [`redis`](Self::redis) may take, which is 250 ms; no bound for other stores.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().deadline(Duration::from_millis(100)).build().is_ok());
    /// assert!(redis.deadline(Duration::ZERO).build().is_err());
    /// ```
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = Some(deadline);
        self
    }

    /// How values become bytes where their site does not say. Default: bincode.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{BuiltinCodec, Cache};
    ///
    /// let cache = Cache::builder().memory().codec(BuiltinCodec::Json).build()?;
    /// let user = cache.entry::<String>("user", 7);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert_eq!(user.meta().await?.map(|meta| meta.size), Some(r#""Ada""#.len()));
    /// # Ok(())
    /// # }
    /// ```
    pub fn codec(mut self, codec: BuiltinCodec) -> Self {
        self.settings.codec = codec;
        self
    }

    /// The largest encoded value that is stored, in bytes; larger ones are returned and counted. Default: 1 MiB.
    /// At most 256 MiB.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, ErrorKind};
    ///
    /// let cache = Cache::builder().memory().max_value(1000).build()?;
    /// let error = cache.set("text", 1, &"x".repeat(2000)).await.unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::TooLarge);
    /// let text = cache.get_or_load("text", 2, async || "x".repeat(2000)).await;
    /// assert_eq!((text.len(), cache.stats().total.too_large), (2000, 1));
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_value(mut self, bytes: usize) -> Self {
        self.settings.max_value = bytes;
        self
    }

    /// Compresses encoded values of more than `bytes` bytes with LZ4. Default: never.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::builder().memory().compress_over(512).build()?;
    /// let text = cache.entry::<String>("text", 1);
    /// text.set(&"x".repeat(2000)).await?;
    /// assert!(text.meta().await?.is_some_and(|meta| meta.size < 100), "bytes as stored");
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "lz4")]
    pub fn compress_over(mut self, bytes: usize) -> Self {
        self.settings.compress_over = Some(bytes);
        self
    }

    /// How many bytes the in-memory store may hold; without effect on others. Default: 64 MiB.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::builder().memory().capacity(16 << 10).build()?;
    /// for page in 0..100 {
    ///     cache.set("page", page, &"x".repeat(1000)).await?;
    /// }
    /// assert!(!cache.has::<String>("page", 0).await?, "dropped to make room");
    /// assert!(cache.has::<String>("page", 99).await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// How long decoded values are kept in this process and taken without asking the store, at sites that say nothing else (`local`
    /// of the attribute, [`Policy::local`](crate::Policy#structfield.local)); zero: not at all, which is the default. What an evict elsewhere
    /// removed may be read here until this process is told of it: see
    /// [the guide](https://github.com/cachemacro/cachemacro/blob/main/docs/local.md). A store in memory does so in any case,
    /// and exactly.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::builder().memory().local(Duration::from_secs(10)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn local(mut self, ttl: Duration) -> Self {
        self.settings.local = Some(ttl);
        self
    }

    /// How many bytes [local copies](Self::local) may weigh in this process, and as many the values of sync functions: keys and about 300 bytes of overhead for each included; 64
    /// MiB by default. A value counts with its own size; what it holds elsewhere, as a `Vec` does, is not seen. Where they
    /// weigh more, those that were not used for long go.
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
    /// let cache = Cache::builder().memory().local_capacity(64 << 10).build()?;
    /// cache.scope_sync(|| (0..10_000).for_each(|n| assert_eq!(square(n), n * n)));
    /// assert!(cache.stats().local.bytes <= 64 << 10);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn local_capacity(mut self, bytes: usize) -> Self {
        self.settings.local_capacity = bytes;
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

    /// How long connecting to [`redis`](Self::redis) may take; without effect on other stores. Default: 1 second.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().connect_timeout(Duration::from_millis(300)).build().is_ok());
    /// assert!(redis.connect_timeout(Duration::ZERO).build().is_err(), "above zero, at most an hour");
    /// ```
    #[cfg(feature = "redis")]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.redis.connect_timeout = Some(timeout);
        self
    }

    /// How long [`redis`](Self::redis) may take to answer one command; without effect on other stores. Default: 250 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// let cache = redis.command_timeout(Duration::from_millis(100)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[cfg(feature = "redis")]
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.redis.command_timeout = Some(timeout);
        self
    }

    /// How long a scan of [`redis`](Self::redis) may wait for a pooled connection, and a call for a reconnect; without
    /// effect on other stores. Default: 250 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// let cache = redis.pool_wait(Duration::from_millis(500)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[cfg(feature = "redis")]
    pub fn pool_wait(mut self, timeout: Duration) -> Self {
        self.redis.pool_wait = Some(timeout);
        self
    }

    /// How many pooled connections to [`redis`](Self::redis) serve what needs one to itself, such as scans: 1 to 10,000;
    /// without effect on other stores. Default: 4.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().pool_size(2).build().is_ok());
    /// assert!(redis.pool_size(0).build().is_err());
    /// ```
    #[cfg(feature = "redis")]
    pub fn pool_size(mut self, size: usize) -> Self {
        self.redis.pool_size = Some(size);
        self
    }

    /// When the breaker around [`redis`](Self::redis) opens, and how soon it asks again; without effect on other stores, around
    /// which a [`BreakerStore`] is put by hand. Default: [`BreakerConfig::new`], with slow answers from half of the command
    /// timeout on.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, store::BreakerConfig};
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().breaker(BreakerConfig::new().failures(10)).build().is_ok());
    /// assert!(redis.breaker(BreakerConfig::new().failures(0)).build().is_err());
    /// ```
    #[cfg(feature = "redis")]
    pub fn breaker(mut self, breaker: BreakerConfig) -> Self {
        self.redis.breaker = breaker;
        self
    }

    /// Whether there is a [`breaker`](Self::breaker) around [`redis`](Self::redis). Without one, each call waits for a store
    /// that does not answer until its timeout ends. Default: true.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let redis = cachemacro::Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert_eq!(redis.guarded(false).build()?.stats().breaker, None);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[cfg(feature = "redis")]
    pub fn guarded(mut self, guarded: bool) -> Self {
        self.redis.unguarded = !guarded;
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
        if self.capacity == 0 {
            return Err(wrong("the capacity is 1 byte at least"));
        }
        if settings.local_capacity == 0 {
            return Err(wrong("the local capacity is 1 byte at least; `disabled` turns caching off"));
        }
        #[cfg(feature = "reports")]
        if !self.reports_in_time() {
            return Err(wrong("reports follow each other after 1 ms at least and 15 s at most"));
        }
        #[cfg(feature = "redis")]
        self.redis.breaker.check()?;
        let store = self.open()?;
        #[cfg_attr(not(feature = "redis"), expect(unused_mut, reason = "Redis has a default of its own"))]
        let mut settings = self.settings;
        #[cfg(feature = "redis")]
        if matches!(self.choice, Choice::Auto | Choice::Redis) && store.about().shared {
            let command = self.redis.command_timeout.unwrap_or(COMMAND_TIMEOUT);
            settings.deadline = settings.deadline.or(Some(command));
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
        let RedisSettings { url, url_from, connect_timeout, command_timeout, pool_wait, pool_size, .. } =
            &self.redis;
        let Some(url) = url else {
            return Err(wrong(
                "the store is Redis, but neither CACHEMACRO_REDIS_URL nor REDIS_URL gives its URL",
            ));
        };
        let mut config = RedisConfig::new(url.clone());
        if let (Some(name), Err(error)) = (url_from, config.check_url()) {
            return Err(Error::new(ErrorKind::Config, format!("{name}: {}", error.context())));
        }
        if let Some(timeout) = connect_timeout {
            config = config.connect_timeout(*timeout);
        }
        if let Some(timeout) = command_timeout {
            config = config.command_timeout(*timeout);
        }
        if let Some(timeout) = pool_wait {
            config = config.pool_wait(*timeout);
        }
        if let Some(size) = pool_size {
            config = config.pool_size(*size);
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
