//! Evicts as plain data: what is put into them, and how a cache collects and applies them.

use std::future::Future;

use serde::Serialize;

use crate::api::cache::Cache;
use crate::calls::collect::{self, collect};
use crate::engine::collecting::Collecting;
use crate::engine::entry::Entry;
use crate::engine::removals::Removals;
use crate::ground::error::Result;
use crate::key::Key;
use crate::key::typed::Tag;
use crate::policy::gather;
use crate::policy::gathered::Gathered;
use crate::policy::outcome::Value;

impl Removals {
    /// No evicts yet.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::Removals::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the entry of `key` under `prefix`; see [`Key::new`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let removals = cachemacro::Removals::new().key("user", 7)?.key("user", ("eu", 7))?;
    /// assert_eq!(removals.len(), 2);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Key`](crate::ErrorKind::Key) where `key` cannot be a key.
    pub fn key(mut self, prefix: &str, key: impl Serialize) -> Result<Self> {
        self.add_key(&Key::new(prefix, key)?);
        Ok(self)
    }

    /// Adds one entry, of whichever cache the handle is.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Removals};
    ///
    /// let user = Cache::memory().entry::<String>("user", 7);
    /// assert_eq!(Removals::new().entry(&user)?, Removals::new().key("user", 7)?);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Key`](crate::ErrorKind::Key) where the entry's arguments cannot be a key, or it is to be sealed and its cache has no keys for that.
    pub fn entry<T: Value>(mut self, entry: &Entry<T>) -> Result<Self> {
        self.add_key(&entry.keyed()?.key);
        Ok(self)
    }

    /// Adds all entries that carry one of these tags. Tags are taken as they are; [`Key::escape`] what a template would
    /// have encoded.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let removals = cachemacro::Removals::new().tags(["users", "org:3"]).tags(["users"]);
    /// assert_eq!(removals.len(), 2, "the same twice is the same once");
    /// ```
    pub fn tags<S: Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.tags.extend(tags.into_iter().map(|tag| tag.text().into_owned()));
        self
    }

    /// Adds all entries under a prefix; see [`Evict::prefix`](crate::Evict::prefix).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Removals};
    ///
    /// let cache = Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    /// cache.set("user", 8, &"Grace".to_owned()).await?;
    /// assert_eq!(cache.apply(&Removals::new().prefix("user")).await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.prefixes.insert(prefix.to_owned());
        self
    }

    /// Adds what `more` names.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Removals;
    ///
    /// let mut all = Removals::new().tags(["users"]);
    /// all.merge(Removals::new().tags(["users", "pages"]));
    /// assert_eq!(all, Removals::new().tags(["pages", "users"]));
    /// ```
    pub fn merge(&mut self, more: Self) {
        self.add_all(more);
    }

    /// Whether nothing is named.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(!cachemacro::Removals::new().prefix("user").is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        !self.has_any() && self.events.is_empty()
    }

    /// How many keys, tags and prefixes are named, and events.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Removals::new().tags(["users", "pages"]).prefix("user").len(), 3);
    /// ```
    pub fn len(&self) -> usize {
        self.keys.len() + self.tags.len() + self.prefixes.len() + self.events.len()
    }
}

impl Cache {
    /// Runs `future`, and tells what the values depend on that its cached calls gave: hits, loads, and what other callers loaded. Such
    /// calls take no decoded copy, but ask the store.
    ///
    /// Gathered are the tags of calls of this cache, or of a clone of it; calls of others only shorten the time. Not gathered: what tasks
    /// depend on that `future` spawns. Scopes can be nested: an outer one gathers what an inner one does.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// let user = cache.entry::<String>("user", 7).with_tags(["users", "org:3"]);
    /// let (_, gathered) = cache.gather(user.get_or_load(async || "Ada".to_owned())).await;
    /// assert_eq!(gathered.len(), 2);
    /// # }
    /// ```
    pub fn gather<F: Future>(&self, future: F) -> impl Future<Output = (F::Output, Gathered)> + use<F> {
        gather::scope(self.core().id, future)
    }

    /// Evicts what `removals` name, from this cache, in its namespace. Returns how many entries went, as
    /// [`Evict::run`](crate::Evict::run) does.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Removals};
    ///
    /// let cache = Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    /// let removals = Removals::new().key("user", 7)?.tags(["user-lists"]);
    /// assert_eq!(cache.apply(&removals).await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entries may still be served. Applying the same again is harmless.
    pub async fn apply(&self, removals: &Removals) -> Result<u64> {
        self.core().evict(removals, None).await
    }

    /// Whether the current task collects what is evicted from this cache: it is inside [`collect`](Self::collect) or
    /// [`after_commit`](Self::after_commit).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// assert!(!cache.is_collecting());
    /// assert!(cache.collect(async { cache.is_collecting() }).await.0);
    /// # }
    /// ```
    pub fn is_collecting(&self) -> bool {
        Collecting::is_on(self.core().id)
    }

    /// [`apply`](Self::apply) for destructors: queued, and sent by a task. What this process reads from now on respects it, and waits
    /// for it where it must.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Removals};
    ///
    /// /// A write that may have happened though nobody waits for its answer any more.
    /// struct Write(Cache);
    ///
    /// impl Drop for Write {
    ///     fn drop(&mut self) {
    ///         self.0.apply_later(&Removals::new().tags(["users"]));
    ///     }
    /// }
    ///
    /// let cache = Cache::memory();
    /// let user = cache.entry::<String>("user", 7).with_tags(["users"]);
    /// user.set(&"Ada".to_owned()).await?;
    /// drop(Write(cache.clone()));
    /// assert_eq!(user.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    pub fn apply_later(&self, removals: &Removals) {
        self.core().evict_later(removals, None);
        if !self.is_collecting() {
            self.core().send_events_later(removals.events.clone());
        }
    }

    /// Runs `future` and collects what it evicts from this cache instead of evicting it, to be
    /// [applied](Self::apply) once the transaction that `future` wrote in has committed. Where it was rolled back, drop
    /// the removals: nothing has changed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    ///
    /// let (renamed, removals) = cache.collect(async {
    ///     // BEGIN; UPDATE users …; COMMIT
    ///     cache.evict_key("user", 7).await?; // as an attribute on the update would
    ///     Ok::<bool, cachemacro::Error>(true)
    /// }).await;
    /// assert_eq!(cache.get::<String>("user", 7).await?.as_deref(), Some("Ada"), "not evicted yet");
    /// if renamed? {
    ///     cache.apply(&removals).await?;
    /// }
    /// assert_eq!(cache.get::<String>("user", 7).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Collected is what the current task evicts from this cache or a clone of it: by attributes, by
    /// [`evict`](Self::evict), [`evict_tags`](Self::evict_tags) and their like, by an [`Entry`], by [`emit`](Self::emit),
    /// and by calls that are dropped inside; and the events that `emit` would have sent to other processes. What a put, [`set`](Self::set) or `#[cache_put]`, would have stored is not
    /// stored, and its key is collected, since the value may be rolled back. Collected evicts count as done, in
    /// [`stats`](Self::stats) and in what calls return, only when they are applied.
    ///
    /// Not collected: evicts from other caches, in tasks that `future` spawns, and [`clear`](Self::clear). `update` and
    /// `increment` go through too: they work on what is stored, not on what was loaded.
    ///
    /// Until something is collected, cached reads inside work as always. **From then on they neither read nor store**, whatever
    /// their key: what the task sees may be rolled back. Their functions run, as with [`Mode::Bypass`](crate::Mode::Bypass).
    /// Under an isolation level that reads from a snapshot, wrap the whole in that mode: what is loaded may be older
    /// than the load.
    ///
    /// Scopes can be nested; the innermost one for this cache collects, and reads in those around it are held back too. Where the
    /// returned future is dropped, or `future` panics, what it had collected is evicted, since it may have committed; its events are not sent,
    /// since it may not.
    pub fn collect<F: Future>(&self, future: F) -> impl Future<Output = (F::Output, Removals)> + use<F> {
        // Boxed: it would be part of each future around it, several times over.
        collect(self.core().clone(), Box::pin(future))
    }

    /// Runs `future`, in which a transaction commits or is rolled back, and holds its evicts from this cache back until then:
    /// where it returns `Ok` they are sent before its value is returned, where it returns `Err` they are dropped.
    ///
    /// What is held back, and what reads inside do, is as with [`collect`](Self::collect): a put evicts on commit and stores
    /// nothing. Scopes can be nested: what an inner one commits, as a savepoint does, is handed to the one around it, and goes or is
    /// dropped with that. Where the evicts do not reach the store, that is logged and counted, and they are sent again later. Where the
    /// returned future is dropped, or `future` panics, they are sent: it may have committed. [Events](Self::declare) leave after the evicts of
    /// a commit, and with it alone; where the store fails, they are sent again for ten seconds.
    ///
    /// An `Err` counts as rolled back. A commit whose answer was lost is an error that may have happened all the same: where that
    /// matters, evict in both cases, by [`collect`](Self::collect) and [`apply`](Self::apply).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    ///
    /// let rename = |fails: bool| async move {
    ///     let cache = cachemacro::Cache::current();
    ///     // BEGIN; UPDATE users …
    ///     cache.evict_key("user", 7).await.map_err(|error| error.to_string())?; // as an attribute on the update would
    ///     if fails { Err("ROLLBACK".to_owned()) } else { Ok("COMMIT") }
    /// };
    /// cache.scope(cache.after_commit(rename(true))).await.unwrap_err();
    /// assert_eq!(cache.get::<String>("user", 7).await?.as_deref(), Some("Ada"), "nothing has changed");
    /// cache.scope(cache.after_commit(rename(false))).await.unwrap();
    /// assert_eq!(cache.get::<String>("user", 7).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `future` returns.
    pub fn after_commit<T, E, F>(&self, future: F) -> impl Future<Output = Result<T, E>> + use<T, E, F>
    where
        F: Future<Output = Result<T, E>>,
    {
        collect::after_commit(self.core().clone(), Box::pin(future))
    }
}

/// [`Cache::after_commit`] of the cache that attributes use: the scoped one, else the global one.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let cache = cachemacro::Cache::memory();
/// cache.set("n", 1, &7).await?;
/// let transaction = async {
///     cache.evict_key("n", 1).await?;
///     assert!(cache.has::<i32>("n", 1).await.is_ok_and(|there| !there), "not read any more");
///     Ok::<_, cachemacro::Error>(())
/// };
/// cache.scope(cachemacro::after_commit(transaction)).await?;
/// assert_eq!(cache.get::<i32>("n", 1).await?, None);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// What `future` returns.
pub async fn after_commit<T, E, F>(future: F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    Cache::current().after_commit(future).await
}
