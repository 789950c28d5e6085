//! Many evicts as one: entries, tags and prefixes, collected first and sent together.

use std::fmt;
use std::sync::Arc;

use crate::cache::{Cache, Core};
use crate::entry::Entry;
use crate::error::{Error, ErrorKind, Result};
use crate::key::{FAILED_TAG, Key, scan_text};
use crate::outcome::Value;
use crate::stats::{Counters, Event};
use crate::store::TagKeys;
use crate::tags::tag_keys;

use serde::Serialize;

/// What to remove from a store.
#[derive(Clone, Default)]
pub(crate) struct Targets {
    pub(crate) keys: Vec<String>,
    pub(crate) tags: Vec<TagKeys>,
    pub(crate) prefixes: Vec<String>,
}

// Keys may be secrets.
impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Targets")
            .field("keys", &self.keys.len())
            .field("tags", &self.tags.len())
            .field("prefixes", &self.prefixes.len())
            .finish()
    }
}

impl Targets {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.tags.is_empty() && self.prefixes.is_empty()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.keys.extend(more.keys);
        self.tags.extend(more.tags);
        self.prefixes.extend(more.prefixes);
    }

    pub(crate) fn key(key: &str) -> Self {
        Self { keys: vec![key.to_owned()], ..Self::default() }
    }
}

/// A collection of evicts, run at once by [`run`](Self::run).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let cache = cachemacro::Cache::memory();
/// let entry = cache.entry::<u32>("user", &7).with_tags(["users"]);
/// entry.set(&1).await?;
/// cache.entry::<u32>("page", &1).set(&2).await?;
///
/// let evicted = cache.evict().entry(&entry).tags(["users"]).prefix("page").run().await?;
/// assert_eq!(evicted, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "evicts are sent by `run`"]
pub struct Evict {
    cache: Cache,
    targets: Targets,
    /// A key or tag could not be built.
    failed: bool,
    /// Where it counts besides the cache.
    site: Option<Arc<Counters>>,
}

impl Evict {
    pub(crate) fn new(cache: Cache) -> Self {
        Self { cache, targets: Targets::default(), failed: false, site: None }
    }

    /// One entry. It is evicted from this cache, whichever cache the handle came from.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let user = cache.entry::<String>("user", &7);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert_eq!(cache.evict().entry(&user).run().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn entry<T: Value>(mut self, entry: &Entry<T>) -> Self {
        self.add_entry(entry);
        self
    }

    /// Many entries.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let users = [7, 8, 9].map(|id| cache.entry::<String>("user", &id));
    /// users[0].set(&"Ada".to_owned()).await?;
    /// users[1].set(&"Grace".to_owned()).await?;
    /// assert_eq!(cache.evict().entries(&users).run().await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn entries<'a, T: Value>(self, entries: impl IntoIterator<Item = &'a Entry<T>>) -> Self {
        entries.into_iter().fold(self, Self::entry)
    }

    /// The entry of `key` under `prefix`; see [`Key::new`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", &("eu", 7), &"Ada".to_owned()).await?;
    /// assert_eq!(cache.evict().key("user", &("eu", 7)).run().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn key<K: Serialize + ?Sized>(mut self, prefix: &str, key: &K) -> Self {
        self.add_key(Key::new(prefix, key));
        self
    }

    /// All entries that carry one of these tags: constant time, however many there are.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let user = cache.entry::<String>("user", &7).with_tags(["users"]);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert_eq!(cache.evict().tags(["users", "lists"]).run().await?, 0, "those of tags are not counted");
    /// assert!(!user.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tags<S: AsRef<str>>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.add_tags(tags);
        self
    }

    /// All entries under a prefix. Scans the server's keys: costs time in proportion to all of them. Of a prefix over
    /// 165 bytes only the beginning counts, as in keys.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", &7, &"Ada".to_owned()).await?;
    /// cache.set("user", &8, &"Grace".to_owned()).await?;
    /// assert_eq!(cache.evict().prefix("user").run().await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.add_prefix(prefix);
        self
    }

    pub(crate) fn add_entry<T: Value>(&mut self, entry: &Entry<T>) {
        match entry.keyed() {
            Ok(target) => self.targets.keys.push(self.cache.full_key(&target.key)),
            Err(_) => self.failed = true,
        }
    }

    pub(crate) fn add_key(&mut self, key: Result<Key>) {
        match key {
            Ok(key) => self.targets.keys.push(self.cache.full_key(&key)),
            Err(_) => self.failed = true,
        }
    }

    pub(crate) fn add_tags<S: AsRef<str>>(&mut self, tags: impl IntoIterator<Item = S>) {
        let namespace = self.cache.namespace();
        for tag in tags {
            match tag.as_ref() {
                FAILED_TAG => self.failed = true,
                tag => self.targets.tags.push(tag_keys(namespace, tag)),
            }
        }
    }

    pub(crate) fn add_prefix(&mut self, prefix: &str) {
        self.targets.prefixes.push(self.cache.full_text(&scan_text(prefix)));
    }

    /// Counts for this site too.
    pub(crate) fn counted(self, site: Option<Arc<Counters>>) -> Self {
        Self { site, ..self }
    }

    pub(crate) fn site(&self) -> Option<&Arc<Counters>> {
        self.site.as_ref()
    }

    /// Whether a key or tag could not be built, which `run` tells.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    pub(crate) fn targets(&self) -> &Targets {
        &self.targets
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    /// Sends the evicts. Returns how many entries went: with a value, where they were named; with a value or being
    /// loaded, under a prefix. Those of tags are not counted.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", &7, &"Ada".to_owned()).await?;
    /// let gone = cache.evict().key("user", &7).key("user", &8).run().await?;
    /// assert_eq!(gone, 1, "nothing was under the other key");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store could not be reached or refused; the other evicts have been tried all the same. Else
    /// [`ErrorKind::Key`](crate::ErrorKind::Key), where a key or tag could not be built.
    pub async fn run(self) -> Result<u64> {
        self.send().await
    }

    pub(crate) async fn send(&self) -> Result<u64> {
        let core = self.cache.core();
        let site = self.site.as_deref();
        let done = core.evict(&self.targets, site).await;
        if !self.failed {
            return done;
        }
        let error = Error::new(ErrorKind::Key, "a key or tag to evict could not be built");
        core.failed_at(site, &error);
        if done.is_ok() {
            core.record_at(site, Event::FailedEvict);
        }
        // The store's error first: that one may pass if the evict is tried again.
        done.and(Err(error))
    }

    /// Sends ahead what [`send`](Self::send) sends in any case: tags and failures count only then.
    pub(crate) async fn send_ahead(&self) {
        if self.targets.is_empty() {
            return;
        }
        if let Err(error) = self.cache.core().remove(&self.targets, self.site.as_deref(), false).await {
            tracing::debug!(kind = %error.kind(), "an evict failed and will be tried again");
        }
    }
}

impl Core {
    /// Removes the targets, counting for a site too, then lets no caller join a flight from before. Tries all, returns the first error.
    pub(crate) async fn evict(&self, targets: &Targets, site: Option<&Counters>) -> Result<u64> {
        self.remove(targets, site, true).await
    }

    /// [`evict`](Self::evict); where it is not the `last` time, tags and failures do not count.
    async fn remove(&self, targets: &Targets, site: Option<&Counters>, last: bool) -> Result<u64> {
        let mut removed = 0;
        let astray = || Error::new(ErrorKind::Config, "the environment does not give a cache to evict from");
        let mut failed = self.settings.astray.then(astray).inspect(|error| self.failed_at(site, error));
        // Tags first: a cancelled call has then evicted what covers most.
        if !targets.tags.is_empty() {
            match self.timed_at(site, self.store.evict_tags(&targets.tags)).await {
                Ok(()) if last => self.record_at(site, Event::TagEvict(targets.tags.len() as u64)),
                Ok(()) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if !targets.keys.is_empty() {
            match self.timed_at(site, self.store.evict(&targets.keys)).await {
                Ok(existed) => removed += how_many(&existed),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        for prefix in &targets.prefixes {
            match self.timed_at(site, self.store.evict_prefix(prefix)).await {
                Ok(count) => removed += count,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.detach(targets);
        self.record_at(site, Event::Evict(removed));
        match failed {
            None => Ok(removed),
            Some(error) => {
                if last {
                    self.record_at(site, Event::FailedEvict);
                }
                Err(error)
            }
        }
    }

    /// Evicts keys and tags without waiting, where the store can; tells whether it did.
    pub(crate) fn evict_now(&self, targets: &Targets, site: Option<&Counters>) -> bool {
        if self.settings.astray {
            return false;
        }
        let Some(existed) = self.store.evict_now(&targets.keys, &targets.tags) else { return false };
        self.record_at(site, Event::TagEvict(targets.tags.len() as u64));
        self.record_at(site, Event::Evict(how_many(&existed)));
        true
    }

    /// Callers from now on join no flight that these evicts concern.
    pub(crate) fn detach(&self, targets: &Targets) {
        for key in &targets.keys {
            self.flights.detach(key);
        }
        if !targets.tags.is_empty() {
            let hashes: Vec<u64> = targets.tags.iter().map(|tag| tag.tag.hash).collect();
            self.flights.detach_tags(&hashes);
        }
        for prefix in &targets.prefixes {
            self.flights.detach_prefix(prefix);
        }
    }
}

fn how_many(existed: &[bool]) -> u64 {
    existed.iter().filter(|existed| **existed).count() as u64
}

/// Logs an evict that nobody else is told about.
pub(crate) fn log_failed(error: &Error) {
    tracing::warn!(kind = %error.kind(), %error, "an evict did not reach the store: stale values may be served until their TTL");
}
