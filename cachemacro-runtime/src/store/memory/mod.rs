//! The store without a server: the same protocol, fences and expiry as on Redis, in this process's memory.
//!
//! Bounded by bytes; what is used least goes first. Losing a key, whichever, only ever causes a miss. Each
//! method is atomic per key; nothing is locked across an await.

mod space;
mod watch;

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use self::space::Space;
use self::watch::Watch;
use super::{
    Captures, Fill, FillId, Filled, Head, Increment, IncrementOutcome, Lease, LeaseOutcome, LeaseRequest,
    Read, Store, StoreHealth, TagKeys, Token, Version, VersionKey, given_life,
};
use crate::ground::clock::{Clock, Timestamp};
use crate::ground::error::Result;
use crate::store::protocol::{self, Slot};

/// What a store holds unless told otherwise: 64 MiB.
pub const DEFAULT_CAPACITY: usize = 64 << 20;

/// A store in this process's memory.
///
/// Share it (in an `Arc`) to share what it holds; two stores know nothing of each other.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::Clock;
/// use cachemacro::store::memory::MemoryStore;
///
/// let clock = Clock::manual();
/// let store = MemoryStore::builder().capacity(1 << 20).clock(clock).build();
/// assert!(store.is_empty());
/// ```
#[derive(Debug)]
pub struct MemoryStore {
    space: Space,
    watch: Watch,
}

/// Makes a [`MemoryStore`]; from [`MemoryStore::builder`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::memory::MemoryStore;
///
/// let store = MemoryStore::builder().capacity(8 << 20).build();
/// assert_eq!(store.capacity(), 8 * 1024 * 1024);
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until `build`"]
pub struct MemoryStoreBuilder {
    capacity: usize,
    clock: Clock,
}

impl MemoryStoreBuilder {
    /// How many bytes the store holds, keys and about 200 bytes of overhead per key included; 64 MiB by
    /// default. What alone is larger than this is not kept.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, store::memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(MemoryStore::builder().capacity(16 << 10).build());
    /// let cache = Cache::builder().store(store.clone()).build()?;
    /// for page in 0..100 {
    ///     cache.set("page", page, &"x".repeat(1000)).await?;
    /// }
    /// assert!(store.weight() <= 16 << 10);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn capacity(mut self, bytes: usize) -> Self {
        self.capacity = bytes;
        self
    }

    /// The store's clock, the system's by default. Tests move one made by [`Clock::manual`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Clock, store::{Store, memory::MemoryStore}};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual();
    /// let store = MemoryStore::builder().clock(clock.clone()).build();
    /// let before = store.now();
    /// clock.advance(Duration::from_secs(60));
    /// assert_eq!(store.now().since(before).as_secs(), 60);
    /// ```
    pub fn clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// The store, empty.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::memory::MemoryStore;
    ///
    /// assert!(MemoryStore::builder().capacity(1 << 20).build().is_empty());
    /// ```
    pub fn build(self) -> MemoryStore {
        MemoryStore { space: Space::new(self.capacity, self.clock), watch: Watch::default() }
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::builder().build()
    }
}

impl MemoryStore {
    /// An empty store of [`DEFAULT_CAPACITY`] on the system's clock.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::memory::{DEFAULT_CAPACITY, MemoryStore};
    ///
    /// assert_eq!(MemoryStore::new().capacity(), DEFAULT_CAPACITY);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A builder, for another capacity or clock.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::memory::MemoryStore;
    ///
    /// let store = MemoryStore::builder().capacity(1 << 20).build();
    /// assert_eq!(store.capacity(), 1 << 20);
    /// ```
    pub fn builder() -> MemoryStoreBuilder {
        MemoryStoreBuilder { capacity: DEFAULT_CAPACITY, clock: Clock::system() }
    }

    /// How many keys are held: values, pending entries, versions, and what has expired and was not swept yet.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, store::memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(MemoryStore::new());
    /// Cache::builder().store(store.clone()).build()?.set("n", 1, &7).await?;
    /// assert_eq!(store.len(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn len(&self) -> usize {
        self.space.len()
    }

    /// Whether no key is held.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::memory::MemoryStore;
    ///
    /// assert!(MemoryStore::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What the held keys weigh, in bytes; compare with the capacity.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, store::memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(MemoryStore::new());
    /// Cache::builder().store(store.clone()).build()?.set("n", 1, &7).await?;
    /// assert!(store.weight() > 100 && store.weight() < 1_000);
    /// # Ok(())
    /// # }
    /// ```
    pub fn weight(&self) -> usize {
        self.space.weight()
    }

    /// How many bytes the store holds at most.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::memory::MemoryStore;
    ///
    /// assert_eq!(MemoryStore::new().capacity(), 64 * 1024 * 1024);
    /// ```
    pub const fn capacity(&self) -> usize {
        self.space.capacity()
    }

    /// Puts any bytes under a key, as a foreign client could. For tests.
    #[doc(hidden)]
    pub fn put_raw(&self, key: &str, bytes: Bytes, life: Duration) {
        self.space.update(key, |slot, now| *slot = Some(Slot { bytes, expires: now.plus(life) }));
        self.watch.wake(key);
    }

    /// How long a key has left; `None` where there is none. For tests.
    #[doc(hidden)]
    pub fn life_left(&self, key: &str) -> Option<Duration> {
        self.space.get(key).map(|slot| slot.expires.since(self.now()))
    }

    fn get(&self, key: &str) -> Option<Bytes> {
        self.space.get(key).map(|slot| slot.bytes)
    }

    fn version(&self, key: &VersionKey) -> Option<Version> {
        protocol::version(self.space.get(&key.text).as_ref())
    }

    fn versions_of(&self, keys: &[VersionKey]) -> Vec<Option<Version>> {
        keys.iter().map(|key| self.version(key)).collect()
    }

    fn capture_all<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a VersionKey>,
        life: Duration,
    ) -> Vec<Version> {
        let extended = given_life(life);
        keys.into_iter()
            .map(|key| self.space.update(&key.text, |slot, now| protocol::capture(slot, now, life, extended)))
            .collect()
    }

    fn lease_one(&self, request: &LeaseRequest<'_>) -> LeaseOutcome {
        self.space.update(request.key, |slot, now| protocol::lease(slot, now, request))
    }

    fn fill_one(&self, fill: &Fill<'_>) -> Filled {
        let accepted = self.space.update(fill.key, |slot, now| protocol::fill(slot, now, fill));
        if accepted || fill.unlink_refused {
            self.watch.wake(fill.key);
        }
        Filled { accepted, versions: self.versions_of(fill.check) }
    }

    fn release_one(&self, key: &str, token: Token) -> bool {
        let released = self.space.update(key, |slot, _| protocol::release(slot, token));
        if released {
            self.watch.wake(key);
        }
        released
    }

    fn evict_one(&self, key: &str) -> bool {
        let readable = self.space.update(key, |slot, now| protocol::is_readable(slot.take().as_ref(), now));
        self.watch.wake(key);
        readable
    }

    fn evict_tag(&self, tag: &TagKeys) {
        // In this order: a load whose tags come from its value reads the tag's version first and the any-tag
        // version last, so it cannot see the tag's new version beside the old any-tag version.
        self.space.update(&tag.any.text, |slot, _| *slot = None);
        self.space.update(&tag.tag.text, |slot, _| *slot = None);
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn kind(&self) -> &'static str {
        "memory"
    }

    fn now(&self) -> Timestamp {
        self.space.clock().now()
    }

    async fn connect(&self) -> Result<()> {
        Ok(())
    }

    async fn read(&self, key: &str, versions: &[VersionKey]) -> Result<Read> {
        Ok(Read { entry: self.get(key), versions: self.versions_of(versions) })
    }

    async fn read_many(
        &self,
        keys: &[String],
        versions: &[VersionKey],
    ) -> Result<(Vec<Option<Bytes>>, Vec<Option<Version>>)> {
        Ok((keys.iter().map(|key| self.get(key)).collect(), self.versions_of(versions)))
    }

    async fn read_head(&self, key: &str, length: usize, versions: &[VersionKey]) -> Result<Head> {
        let entry = self.get(key);
        Ok(Head {
            length: entry.as_ref().map_or(0, Bytes::len),
            start: entry.map(|bytes| bytes.slice(..length.min(bytes.len()))),
            versions: self.versions_of(versions),
        })
    }

    async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        Ok(self.versions_of(keys))
    }

    async fn capture(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        Ok(self.capture_all(keys, life))
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease> {
        let versions = self.capture_all(request.capture, request.version_life);
        Ok(Lease { versions, outcome: self.lease_one(&request) })
    }

    async fn lease_many(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        let captures = Captures::of(requests);
        let captured = self.capture_all(captures.keys.iter().copied(), captures.life);
        Ok(requests
            .iter()
            .zip(captures.hand_out(&captured))
            .map(|(request, versions)| Lease { versions, outcome: self.lease_one(request) })
            .collect())
    }

    async fn renew(&self, key: &str, token: Token, live: Duration) -> Result<bool> {
        Ok(self.space.update(key, |slot, now| protocol::renew(slot, now, token, live)))
    }

    async fn release(&self, key: &str, token: Token) -> Result<bool> {
        Ok(self.release_one(key, token))
    }

    async fn fill(&self, fill: Fill<'_>) -> Result<Filled> {
        Ok(self.fill_one(&fill))
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>> {
        Ok(fills.iter().map(|fill| self.fill_one(fill)).collect())
    }

    async fn set(&self, key: &str, bytes: Bytes, life: Duration) -> Result<()> {
        self.space.update(key, |slot, now| *slot = Some(Slot { bytes, expires: now.plus(life) }));
        self.watch.wake(key);
        Ok(())
    }

    async fn compare_and_set(&self, key: &str, seen: FillId, bytes: Bytes, life: Duration) -> Result<bool> {
        let stored =
            self.space.update(key, |slot, now| protocol::compare_and_set(slot, now, seen, bytes, life));
        if stored {
            self.watch.wake(key);
        }
        Ok(stored)
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        let outcome =
            self.space.update(increment.key, |slot, now| protocol::increment(slot, now, &increment))?;
        if matches!(outcome, IncrementOutcome::Added(_)) {
            self.watch.wake(increment.key);
        }
        Ok(outcome)
    }

    async fn evict(&self, keys: &[String]) -> Result<Vec<bool>> {
        Ok(keys.iter().map(|key| self.evict_one(key)).collect())
    }

    async fn evict_tags(&self, tags: &[TagKeys]) -> Result<()> {
        for tag in tags {
            self.evict_tag(tag);
        }
        Ok(())
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        let removed = self.space.remove_prefix(prefix);
        for key in &removed {
            self.watch.wake(key);
        }
        Ok(removed.len() as u64)
    }

    fn evict_now(&self, keys: &[String], tags: &[TagKeys]) -> Option<Vec<bool>> {
        for tag in tags {
            self.evict_tag(tag);
        }
        Some(keys.iter().map(|key| self.evict_one(key)).collect())
    }

    fn release_now(&self, key: &str, token: Token) -> bool {
        self.release_one(key, token);
        true
    }

    async fn changed(&self, key: &str, at_most: Duration) {
        // Ends by the change or by the time; which of them is the caller's to find out.
        let _ = tokio::time::timeout(at_most, self.watch.changed(key)).await;
    }

    async fn health(&self) -> Result<StoreHealth> {
        Ok(StoreHealth::new(self.kind(), None, Duration::ZERO))
    }
}

#[cfg(test)]
mod tests;
