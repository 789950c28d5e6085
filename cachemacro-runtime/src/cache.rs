//! The handle that everything goes through.

use std::any::Any;
use std::collections::HashMap;
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, RwLock};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::builder::{CacheBuilder, Settings};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::events::Events;
use crate::evict::Evict;
use crate::flight::Flights;
use crate::key::Key;
use crate::locks;
use crate::mode::Mode;
use crate::options::NEVER;
use crate::outcome::Value;
use crate::pending::Pending;
use crate::site::{Site, SiteId};
use crate::stats::{CacheStats, Counters, Event};
use crate::store::{Store, StoreHealth};
use crate::update::Updates;

mod direct;

/// A cache: a store with everything around it. Cheap to clone; clones are the same cache.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::Cache;
///
/// let cache = Cache::memory();
/// let user = cache.entry::<String>("user", &42);
/// assert_eq!(user.get().await?, None);
/// user.set(&"Ada".to_owned()).await?;
/// assert_eq!(user.get().await?.as_deref(), Some("Ada"));
/// assert!(user.delete().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    core: Arc<Core>,
}

/// What clones of a cache share.
pub(crate) struct Core {
    /// Tells this cache from others of the process.
    pub(crate) id: u64,
    pub(crate) store: Arc<dyn Store>,
    pub(crate) settings: Settings,
    pub(crate) flights: Arc<Flights>,
    pub(crate) pending: Pending,
    pub(crate) stats: Counters,
    pub(crate) updates: Updates,
    events: Events,
    sites: RwLock<HashMap<SiteId, Arc<Counters>>>,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("store", &self.core.store.kind())
            .field("namespace", &self.core.settings.namespace)
            .field("disabled", &self.core.settings.disabled)
            .field("flights", &self.core.flights)
            .field("pending", &self.core.pending)
            .finish_non_exhaustive()
    }
}

/// How a cache and its store are, from [`Cache::health`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let cache = cachemacro::Cache::builder().memory().namespace("my shop").build()?;
/// let health = cache.health().await?;
/// assert_eq!((health.namespace.as_str(), health.disabled), ("my%20shop", false));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// What the store says of itself.
    pub store: StoreHealth,
    /// The namespace, percent-encoded.
    pub namespace: String,
    /// Whether caching is turned off.
    pub disabled: bool,
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

    /// A cache as the environment describes it (the table in the README): Redis where `CACHEMACRO_REDIS_URL` or
    /// `REDIS_URL` is set, else in memory. Opens no connection yet.
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
    /// one.set("n", &1, &7).await?;
    /// assert_eq!(one.clone().get::<i32>("n", &1).await?, Some(7), "clones are the same cache");
    /// assert_eq!(other.get::<i32>("n", &1).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn memory() -> Self {
        CacheBuilder::default().memory().build().expect("the defaults are acceptable")
    }

    pub(crate) fn with_store(store: Arc<dyn Store>, settings: Settings) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        if store.kind() == "redis" && settings.namespace.is_empty() {
            tracing::warn!(
                "no namespace is set: other applications on the same Redis could share entries with this one"
            );
        }
        tracing::info!(store = store.kind(), disabled = settings.disabled, "cache made");
        Self {
            core: Arc::new(Core {
                id: NEXT.fetch_add(1, Ordering::Relaxed),
                store,
                settings,
                flights: Flights::new(),
                pending: Pending::default(),
                stats: Counters::default(),
                updates: Updates::default(),
                events: Events::default(),
                sites: RwLock::default(),
            }),
        }
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn namespace(&self) -> &str {
        &self.core.settings.namespace
    }

    /// Whether caching is turned off: functions run, nothing is read or stored. Evicts are sent all the same.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// assert!(!Cache::memory().is_disabled());
    /// assert!(Cache::builder().memory().disabled(true).build()?.is_disabled());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn is_disabled(&self) -> bool {
        self.core.settings.disabled
    }

    /// Whether calls of the current task neither read nor store here.
    pub(crate) fn is_bypassed(&self) -> bool {
        self.is_disabled() || Mode::current() == Mode::Bypass
    }

    pub(crate) fn full_key(&self, key: &Key) -> String {
        self.full_text(key.as_str())
    }

    /// The text of a key, or its beginning, behind the namespace.
    pub(crate) fn full_text(&self, text: &str) -> String {
        let namespace = self.namespace();
        let mut full = String::with_capacity(namespace.len() + 1 + text.len());
        if !namespace.is_empty() {
            full.push_str(namespace);
            full.push(':');
        }
        full.push_str(text);
        full
    }

    /// The entry of `key` under `prefix`, for values of type `T`; see [`Key::new`] for what a key can be. The entry
    /// of an attributed function comes from its `entry` function instead.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::memory();
    /// let price = cache.entry::<u64>("price", &("CHF", 7)).with_ttl(Duration::from_secs(30));
    /// price.set(&1200).await?;
    /// assert_eq!(cache.get::<u64>("price", &("CHF", 7)).await?, Some(1200), "the same entry");
    /// # Ok(())
    /// # }
    /// ```
    pub fn entry<T: Value>(&self, prefix: &str, key: &(impl Serialize + ?Sized)) -> Entry<T> {
        Entry::new(self.clone(), None, Key::new(prefix, key))
    }

    /// Collects evicts, to send together by [`run`](Evict::run).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", &7, &"Ada".to_owned()).await?;
    /// assert_eq!(cache.evict().key("user", &7).key("user", &8).run().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn evict(&self) -> Evict {
        Evict::new(self.clone())
    }

    /// Evicts all entries that carry one of these tags: constant time, however many there are. Tags are taken as they
    /// are; [`escape`](crate::escape) what a template would have encoded.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// for page in 1..=3 {
    ///     cache.entry("page", &page).with_tags(["pages"]).set(&page).await?;
    /// }
    /// cache.evict_tags(["pages"]).await?;
    /// assert_eq!(cache.get::<u32>("page", &2).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entries may still be served.
    pub async fn evict_tags<S: AsRef<str>>(&self, tags: impl IntoIterator<Item = S>) -> Result<()> {
        self.evict().tags(tags).run().await.map(drop)
    }

    /// Evicts all entries under a prefix and tells how many there were, those that were being loaded included. Scans the server's keys: costs time in
    /// proportion to all of them; a tag costs nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", &1, &"Ada".to_owned()).await?;
    /// cache.set("users", &1, &1).await?;
    /// assert_eq!(cache.evict_prefix("user").await?, 1); // not what begins with `users`
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: some entries may still be there.
    pub async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        self.evict().prefix(prefix).run().await
    }

    /// Removes everything in this cache's namespace, tag versions included. Tells how many keys went.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", &1, &"Ada".to_owned()).await?;
    /// cache.set("page", &1, &3).await?;
    /// assert_eq!(cache.clear().await?, 2);
    /// assert_eq!(cache.get::<i32>("page", &1).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: some entries may still be there. [`ErrorKind::Config`] on a server without a
    /// namespace: what else is in it may not be this cache's to remove.
    pub async fn clear(&self) -> Result<u64> {
        let core = &self.core;
        let namespace = self.namespace();
        let prefixes = if namespace.is_empty() {
            if core.store.kind() != "memory" {
                return Err(Error::new(ErrorKind::Config, "`clear` needs a namespace on a shared store"));
            }
            vec![String::new()]
        } else {
            vec![format!("{{{namespace}:tag:"), format!("{namespace}:")]
        };
        core.evict(&crate::evict::Targets { prefixes, ..Default::default() }, None).await
    }

    /// What is evicted whenever an event of type `E` is [emitted](Self::emit).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// struct UserRenamed { id: u64 }
    ///
    /// let cache = cachemacro::Cache::memory();
    /// cache.on(|event: &UserRenamed, evict| evict.key("user", &event.id).tags(["user-lists"]));
    ///
    /// cache.set("user", &7, &"Ada".to_owned()).await?;
    /// cache.emit(&UserRenamed { id: 7 }).await?;
    /// assert_eq!(cache.get::<String>("user", &7).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<E: Any + Send + Sync>(&self, handler: impl Fn(&E, Evict) -> Evict + Send + Sync + 'static) {
        self.core.events.on(handler);
    }

    /// Evicts what the handlers of this event's type ask for, together. Returns how many entries went, not counting
    /// those of tags. An event without handlers does nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// struct StockChanged { product: u64 }
    ///
    /// let cache = cachemacro::Cache::memory();
    /// cache.on(|event: &StockChanged, evict| evict.key("stock", &event.product));
    /// cache.set("stock", &7, &12).await?;
    /// assert_eq!(cache.emit(&StockChanged { product: 7 }).await?, 1);
    /// assert_eq!(cache.emit(&"an event that nobody waits for").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entries may still be served.
    pub async fn emit<E: Any + Send + Sync>(&self, event: &E) -> Result<u64> {
        self.core.events.collect(event, self.evict()).run().await
    }

    /// What happened so far, in total and for each annotated function that was called.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// for _ in 0..10 {
    ///     cache.get_or_load("answer", &(), async || 42).await;
    /// }
    /// let total = cache.stats().total;
    /// assert_eq!((total.loads, total.hits), (1, 9));
    /// assert_eq!(total.hit_rate(), 0.9);
    /// # }
    /// ```
    pub fn stats(&self) -> CacheStats {
        let sites = locks::read(&self.core.sites);
        let mut ids: Vec<SiteId> = sites.keys().copied().collect();
        ids.sort_unstable();
        let sites = ids.iter().enumerate().map(|(at, id)| (SiteId::name(at, &ids), sites[id].snapshot()));
        CacheStats::new(self.core.stats.snapshot(), sites.collect())
    }

    /// Asks the store whether it is there. Functions run without it, so this is for dashboards, not for a probe that
    /// would take the service out of rotation.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let health = cachemacro::Cache::memory().health().await?;
    /// assert_eq!((health.store.kind, health.store.server), ("memory", None));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where it does not answer within its timeouts.
    pub async fn health(&self) -> Result<Health> {
        Ok(Health {
            store: self.core.store.health().await?,
            namespace: self.namespace().to_owned(),
            disabled: self.is_disabled(),
        })
    }

    /// Connects, which every other call does on its own when it needs to. Call it at start to fail early, or to have
    /// the first request find a connection.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory(); // on Redis, this opens the connections
    /// cache.connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store cannot be reached within the connect timeout.
    pub async fn connect(&self) -> Result<()> {
        self.core.store.connect().await
    }

    /// Finishes what dropped calls left to do, then closes the store's connections. Cached calls after it run their
    /// functions; direct ones may fail.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("answer", &(), async || 42).await;
    /// cache.shutdown().await; // last, when no request is served any more
    /// assert_eq!(cache.get_or_load("question", &(), async || 6 * 7).await, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn shutdown(&self) {
        self.core.drain().await;
        self.core.store.close().await;
    }

    /// The counters of one site.
    pub(crate) fn site_counters(&self, site: &'static Site) -> Arc<Counters> {
        let sites = &self.core.sites;
        if let Some(counters) = locks::read(sites).get(&site.id()) {
            return counters.clone();
        }
        let mut sites = locks::write(sites);
        sites.entry(site.id()).or_default().clone()
    }
}

impl Core {
    /// Awaits one operation of the store, timing it and counting its error.
    pub(crate) async fn timed<T>(&self, operation: impl Future<Output = Result<T>>) -> Result<T> {
        self.timed_at(None, operation).await
    }

    /// The same for a site too.
    pub(crate) async fn timed_at<T>(
        &self,
        site: Option<&Counters>,
        operation: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let began = Instant::now();
        let result = operation.await;
        let took = began.elapsed();
        self.counters(site).for_each(|counters| counters.store_took(took));
        if let Err(error) = &result {
            self.failed_at(site, error);
        }
        result
    }

    /// Counts an error that the caller deals with by going on.
    pub(crate) fn failed(&self, error: &Error) {
        self.failed_at(None, error);
    }

    /// The same for a site too.
    pub(crate) fn failed_at(&self, site: Option<&Counters>, error: &Error) {
        self.record_at(site, Event::Error(error.kind()));
        tracing::debug!(kind = %error.kind(), "the cache failed");
    }

    /// Counts what happened, for a site too.
    pub(crate) fn record_at(&self, site: Option<&Counters>, event: Event) {
        self.counters(site).for_each(|counters| counters.record(event));
    }

    /// What counts for this site: its own counters and those of the whole cache.
    pub(crate) fn counters<'a>(&'a self, site: Option<&'a Counters>) -> impl Iterator<Item = &'a Counters> {
        std::iter::once(&self.stats).chain(site)
    }

    /// `ttl` spread by jitter.
    pub(crate) fn spread(&self, ttl: Duration, jitter: Option<u8>) -> Duration {
        let percent = u32::from(jitter.unwrap_or(self.settings.jitter)).min(100);
        if percent == 0 {
            return ttl;
        }
        let part = rand::random_range(-1.0..=1.0) * f64::from(percent) / 100.0;
        ttl.min(NEVER).mul_f64(1.0 + part).max(Duration::from_millis(1))
    }
}
