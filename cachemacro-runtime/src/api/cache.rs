//! The handle that everything goes through.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::timeout;

use crate::api::events::Events;
use crate::engine::core::Core;
use crate::engine::entry::Entry;
use crate::engine::evict::{Attempt, Evict};
use crate::engine::settings::Settings;
use crate::engine::undelivered::{Undelivered, no_namespace};
use crate::ground::error::Result;
use crate::key::Key;
use crate::key::typed::Tag;
use crate::observe::report::Report;
use crate::observe::stats::CacheStats;
use crate::observe::warning::Warning;
use crate::policy::outcome::Value;
use crate::store::AnyStore;

/// How long a shutdown waits for handlers of events.
const HANDLERS: Duration = Duration::from_secs(10);

/// A cache: a store with everything around it. Cheap to clone; clones are the same cache.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::Cache;
///
/// let cache = Cache::memory();
/// let user = cache.entry::<String>("user", 42);
/// assert_eq!(user.get().await?, None);
/// user.set(&"Ada".to_owned()).await?;
/// assert_eq!(user.get().await?.as_deref(), Some("Ada"));
/// assert!(user.evict().await?);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Cache {
    shared: Arc<Shared>,
}

/// What clones of a cache share.
struct Shared {
    core: Arc<Core>,
    events: Events,
}

impl fmt::Debug for Cache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cache")
            .field("store", &self.core().store.about().name)
            .field("namespace", &self.core().settings.namespace)
            .field("disabled", &self.core().settings.disabled)
            .field("flights", &self.core().flights)
            .field("deferred", &self.core().deferred)
            .finish_non_exhaustive()
    }
}

impl Cache {
    pub(crate) fn with_store(store: AnyStore, settings: Settings) -> Self {
        let core = Arc::new(Core::new(store, settings));
        core.watch_breaker();
        if let Some(beside) = &core.settings.beside.0 {
            beside.attached(core.raw_commands());
        }
        #[cfg(feature = "reports")]
        core.start_reporting();
        Self { shared: Arc::new(Shared { core, events: Events::default() }) }
    }

    /// Logs that the cache was made.
    pub(crate) fn announce(&self) {
        let core = self.core();
        if core.lacks_namespace() {
            tracing::warn!("{}", Warning::NoNamespace);
        }
        for unread in &core.settings.unread {
            tracing::warn!("{unread}");
        }
        // Where there is none, that was said.
        if core.settings.unresolved.is_none() {
            tracing::info!(store = core.store.about().name, disabled = core.settings.disabled, "cache made");
        }
        core.watch_server();
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.shared.core
    }

    pub(crate) fn events(&self) -> &Events {
        &self.shared.events
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
        self.core().settings.disabled
    }

    /// Whether both are clones of one cache.
    #[doc(hidden)]
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(self.core(), other.core())
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
    /// let price = cache.entry::<u64>("price", ("CHF", 7)).with_ttl(Duration::from_secs(30));
    /// price.set(&1200).await?;
    /// assert_eq!(cache.get::<u64>("price", ("CHF", 7)).await?, Some(1200), "the same entry");
    /// # Ok(())
    /// # }
    /// ```
    pub fn entry<T: Value>(&self, prefix: &str, key: impl Serialize) -> Entry<T> {
        Entry::new(self.core().clone(), None, Key::new(prefix, key))
    }

    /// Evicts to collect, which are sent together when they are awaited.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    /// assert_eq!(cache.evict().key("user", 7).key("user", 8).await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn evict(&self) -> Evict {
        Evict::new(self.core().clone())
    }

    /// Evicts all entries that carry one of these tags: constant time, however many there are. Tags are taken as they
    /// are; [`escape`](Key::escape) what a template would have encoded.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// for page in 1..=3 {
    ///     cache.entry("page", page).with_tags(["pages"]).set(&page).await?;
    /// }
    /// cache.evict_tags(["pages"]).await?;
    /// assert_eq!(cache.get::<u32>("page", 2).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entries may still be served.
    pub async fn evict_tags<S: Tag>(&self, tags: impl IntoIterator<Item = S>) -> Result<()> {
        self.evict().tags(tags).run().await.map(drop)
    }

    /// Evicts all entries under a prefix and tells how many there were, those that were being loaded included. Scans the server's keys: costs time in
    /// proportion to all of them; a tag costs nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 1, &"Ada".to_owned()).await?;
    /// cache.set("users", 1, &1).await?;
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

    /// Removes everything in this cache's namespace, tag versions included; not [events](Self::declare). Tells how many keys went.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 1, &"Ada".to_owned()).await?;
    /// cache.set("page", 1, &3).await?;
    /// assert_eq!(cache.clear().await?, 2);
    /// assert_eq!(cache.get::<i32>("page", 1).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: some entries may still be there. [`ErrorKind::Config`](crate::ErrorKind::Config) on a server without a
    /// namespace: what else is in it may not be this cache's to remove.
    pub async fn clear(&self) -> Result<u64> {
        let core = self.core();
        let Some(targets) = core.everything() else {
            return Err(no_namespace());
        };
        core.remove(targets.parts(), None, Attempt::Final).await
    }

    /// What is evicted whenever an event of type `E` is [emitted](Self::emit).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// struct UserRenamed { id: u64 }
    ///
    /// let cache = cachemacro::Cache::memory();
    /// cache.on(|event: &UserRenamed, evict| evict.key("user", event.id).tags(["user-lists"]));
    ///
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    /// cache.emit(&UserRenamed { id: 7 }).await?;
    /// assert_eq!(cache.get::<String>("user", 7).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn on<E: Any + Send + Sync>(&self, handler: impl Fn(&E, Evict) -> Evict + Send + Sync + 'static) {
        self.shared.events.on(handler);
    }

    /// Evicts what the handlers of this event's type ask for, together. Returns how many entries went, not counting
    /// those of tags. Then the event goes to [other processes](Self::subscribe), where its type is [declared](Self::declare). An event without handlers does nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// struct StockChanged { product: u64 }
    ///
    /// let cache = cachemacro::Cache::memory();
    /// cache.on(|event: &StockChanged, evict| evict.key("stock", event.product));
    /// cache.set("stock", 7, &12).await?;
    /// assert_eq!(cache.emit(&StockChanged { product: 7 }).await?, 1);
    /// assert_eq!(cache.emit(&"an event that nobody waits for").await?, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entries may still be served, and the event may not have been sent. Where it cannot be encoded.
    pub async fn emit<E: Any + Send + Sync>(&self, event: &E) -> Result<u64> {
        let (evict, settings) = (self.shared.events.collect(event, self.evict()), &self.core().settings);
        match self.shared.events.encode(event, settings.codec, settings.max_value) {
            Ok(told) => evict.telling(told).run().await,
            Err(error) => evict.run().await.and(Err(error)),
        }
    }

    /// What happened so far, in total and for each annotated function that was called.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// for _ in 0..10 {
    ///     cache.get_or_load("answer", (), async || 42).await;
    /// }
    /// let total = cache.stats().total;
    /// assert_eq!((total.loads, total.hits), (1, 9));
    /// assert_eq!(total.hit_rate(), 0.9);
    /// # }
    /// ```
    pub fn stats(&self) -> CacheStats {
        self.core().snapshot()
    }

    /// What is wrong though calls go on: no namespace on a server, caching that is off, evicts that failed, a breaker
    /// that is open, values that are never stored. Told by settings and counters, without asking the store; [`health`](Self::health) has it too.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, ErrorKind, Warning};
    ///
    /// let cache = Cache::builder().memory().max_value(100).build()?;
    /// assert!(cache.warnings().is_empty());
    /// cache.get_or_load("text", 1, async || "x".repeat(200)).await;
    /// assert_eq!(cache.warnings(), [Warning::NotStored { count: 1, why: ErrorKind::TooLarge }]);
    /// # Ok(())
    /// # }
    /// ```
    pub fn warnings(&self) -> Vec<Warning> {
        self.core().warnings()
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
        self.core().store.connect().await
    }

    /// Waits until the store has answered for the values that calls have sent it so far: a load's caller has its value before that.
    /// From then on other processes find them and [`stats`](Self::stats) counts them. For tests; at the end of a process
    /// [`shutdown`](Self::shutdown) does it too.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("answer", (), async || 42).await;
    /// cache.stored().await;
    /// assert_eq!(cache.stats().total.fills, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stored(&self) {
        self.core().answered().await;
    }

    /// What this process tells of the cache: counters by function, settings, connections; no key, tag, value or secret. On a
    /// server with a namespace each process leaves it there for others, every 10 s, as JSON.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("answer", (), async || 42).await;
    /// assert_eq!(cache.report().direct.count("loads"), 1);
    /// # }
    /// ```
    pub fn report(&self) -> Report {
        self.core().report(true)
    }

    /// Ends subscriptions and waits up to 10 s for what they handle, waits for values on their way to the store, finishes what dropped calls left to do, sends evicts that have not reached the
    /// store once more, then closes the store's connections. Cached calls after it run their functions; direct ones may fail.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), cachemacro::Undelivered> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("answer", (), async || 42).await;
    /// cache.shutdown().await?; // last, when no request is served any more
    /// assert_eq!(cache.get_or_load("question", (), async || 6 * 7).await, 42);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The evicts that the store did not acknowledge, of this cache and of others of the process on the same server, database and
    /// namespace. They are logged, too.
    pub async fn shutdown(&self) -> Result<(), Undelivered> {
        let core = self.core();
        // Handlers are the user's code: some never end.
        let stopping = timeout(HANDLERS, self.shared.events.stop());
        let _ = core.background.enter(stopping).await;
        core.answered().await;
        core.drain().await;
        let undelivered = core.deliver_kept().await;
        #[cfg(feature = "reports")]
        core.stop_reporting().await;
        core.store.close().await;
        match undelivered {
            None => Ok(()),
            Some(undelivered) => {
                tracing::warn!(evicts = undelivered.count(), "the cache was shut down: {undelivered}");
                Err(undelivered)
            }
        }
    }

    /// Sends evicts that another process of this namespace could not [when it was shut down](Self::shutdown).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Undelivered};
    ///
    /// async fn start(cache: &Cache, left: Option<Undelivered>) -> cachemacro::Result<()> {
    ///     match left {
    ///         Some(undelivered) => cache.deliver(&undelivered).await, // before anything is read
    ///         None => Ok(()),
    ///     }
    /// }
    /// # start(&Cache::memory(), None).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: they are kept and sent again, as every evict is. [`ErrorKind::Config`](crate::ErrorKind::Config) where they are of another
    /// namespace.
    pub async fn deliver(&self, undelivered: &Undelivered) -> Result<()> {
        self.core().deliver(undelivered).await
    }
}
