//! Evicts on their way: to the store, and to the flights of this process.

use std::sync::Arc;

use crate::engine::core::Core;
use crate::engine::entry::Entry;
use crate::engine::raw::RawEntry;
use crate::engine::removals::Removals;
use crate::format::stamps::tag_keys;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::{FAILED_TAG, Key, scan_text};
use crate::observe::event::Event;
use crate::observe::stats::Counters;
use crate::policy::outcome::Value;

/// Evicts of entries, tags and prefixes: collected first, and sent together when they are awaited.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let cache = cachemacro::Cache::memory();
/// let entry = cache.entry::<u32>("user", 7).with_tags(["users"]);
/// entry.set(&1).await?;
/// cache.entry::<u32>("page", 1).set(&2).await?;
///
/// let evicted = cache.evict().entry(&entry).tags(["users"]).prefix("page").await?;
/// assert_eq!(evicted, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "evicts are sent when they are awaited"]
pub struct Evict {
    core: Arc<Core>,
    removals: Removals,
    /// A key or tag could not be built.
    failed: bool,
    /// Where it counts besides the cache.
    site: Option<Arc<Counters>>,
}

impl Evict {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, removals: Removals::default(), failed: false, site: None }
    }

    pub(crate) fn add_entry<T: Value>(&mut self, entry: &Entry<T>) {
        match entry.keyed() {
            Ok(raw) => self.removals.keys.push(self.core.full_key(&raw.key)),
            Err(_) => self.failed = true,
        }
    }

    pub(crate) fn add_key(&mut self, key: Result<Key>) {
        match key {
            Ok(key) => self.removals.keys.push(self.core.full_key(&key)),
            Err(_) => self.failed = true,
        }
    }

    pub(crate) fn add_tags<S: AsRef<str>>(&mut self, tags: impl IntoIterator<Item = S>) {
        let namespace = self.core.namespace();
        for tag in tags {
            match tag.as_ref() {
                FAILED_TAG => self.failed = true,
                tag => self.removals.tags.push(tag_keys(namespace, tag)),
            }
        }
    }

    pub(crate) fn add_prefix(&mut self, prefix: &str) {
        self.removals.prefixes.push(self.core.full_text(&scan_text(prefix)));
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

    pub(crate) fn removals(&self) -> &Removals {
        &self.removals
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) async fn send(&self) -> Result<u64> {
        let core = &self.core;
        let site = self.site.as_deref();
        let done = core.evict(&self.removals, site).await;
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
        if self.removals.is_empty() {
            return;
        }
        if let Err(error) = self.core.remove(&self.removals, self.site.as_deref(), false).await {
            tracing::debug!(kind = %error.kind(), "an evict failed and will be tried again");
        }
    }
}

impl RawEntry {
    /// Evicts the entry.
    pub(crate) async fn evict(&self) -> Result<u64> {
        self.core.evict(&Removals::key(&self.full), self.counters()).await
    }
}

impl Core {
    /// Removes what `removals` names, counting for a site too, then lets no caller join a flight from before. Tries all, returns the first error.
    pub(crate) async fn evict(&self, removals: &Removals, site: Option<&Counters>) -> Result<u64> {
        self.remove(removals, site, true).await
    }

    /// [`evict`](Self::evict); where it is not the `last` time, tags and failures do not count.
    async fn remove(&self, removals: &Removals, site: Option<&Counters>, last: bool) -> Result<u64> {
        let mut removed = 0;
        let unresolved =
            || Error::new(ErrorKind::Config, "the environment does not give a cache to evict from");
        let mut failed =
            self.settings.unresolved.then(unresolved).inspect(|error| self.failed_at(site, error));
        // Tags first: a cancelled call has then evicted what covers most.
        if !removals.tags.is_empty() {
            match self.timed_at(site, self.store.evict_tags(&removals.tags)).await {
                Ok(()) if last => self.record_at(site, Event::TagEvict(removals.tags.len() as u64)),
                Ok(()) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        if !removals.keys.is_empty() {
            match self.timed_at(site, self.store.evict(&removals.keys)).await {
                Ok(existed) => removed += how_many(&existed),
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        for prefix in &removals.prefixes {
            match self.timed_at(site, self.store.evict_prefix(prefix)).await {
                Ok(count) => removed += count,
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        self.detach(removals);
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
    pub(crate) fn evict_now(&self, removals: &Removals, site: Option<&Counters>) -> bool {
        if self.settings.unresolved {
            return false;
        }
        let Some(existed) = self.store.evict_now(&removals.keys, &removals.tags) else { return false };
        self.record_at(site, Event::TagEvict(removals.tags.len() as u64));
        self.record_at(site, Event::Evict(how_many(&existed)));
        true
    }

    /// Callers from now on join no flight that these evicts concern.
    pub(crate) fn detach(&self, removals: &Removals) {
        for key in &removals.keys {
            self.flights.detach(key);
        }
        if !removals.tags.is_empty() {
            let hashes: Vec<u64> = removals.tags.iter().map(|tag| tag.tag.hash).collect();
            self.flights.detach_tags(&hashes);
        }
        for prefix in &removals.prefixes {
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
