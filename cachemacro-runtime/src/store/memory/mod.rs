//! The store without a server: the same protocol, fences and expiry as on Redis, in this process's memory.
//!
//! Bounded by bytes; what is used least goes first. Losing a key, whichever, only ever causes a miss. Each
//! method is atomic per key; nothing is locked across an await.

mod due;
mod queues;
mod record;
mod shard;
mod space;
mod streams;
mod watch;

use std::any::Any;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use foldhash::fast::RandomState;

use self::queues::Accepting;
use self::space::{Found, Space};
use self::streams::Kept;
use self::watch::Watch;
use crate::format::header::Header;
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::chunks::MOST_EVICTS;
use crate::ground::clock::{COARSENESS, Clock, Timestamp};
use crate::ground::error::Result;
use crate::pass_on;
use crate::store::by_arguments::{Guarded, Placed, Query};
use crate::store::contract::{Changes, Immediate, Inspect, Store};
use crate::store::decoded::{AnyDecoded, Origin};
use crate::store::messages::about::{About, StoreHealth};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::few::Few;
use crate::store::messages::inspect::{Cursor, Page, Raw};
use crate::store::messages::lease::HeldLease;
use crate::store::messages::read::{Excerpt, Read, ReadRequest};
use crate::store::messages::write::{Guard, Write, Written};
use crate::store::protocol::{self, Backend, Change, Protocol, Slot, Step};
use crate::store::queues::Queues;
use crate::store::streams::Streams;

/// The name that logs and health show.
const NAME: &str = "memory";

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
    protocol: Protocol<Memory>,
    streams: Kept,
    queues: Accepting,
}

/// The keys, and who waits for them.
#[derive(Debug)]
struct Memory {
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
    /// How many bytes the store holds, keys, about 160 bytes of overhead per key and decoded values, each counted as large as its
    /// bytes are without compression, included; 64 MiB by default. What alone is larger than this is not kept.
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
        let (streams, queues) = (Kept::new(self.clock.clone()), Accepting::new(self.clock.clone()));
        let memory = Memory { space: Space::new(self.capacity, self.clock), watch: Watch::default() };
        MemoryStore { protocol: Protocol::new(memory), streams, queues }
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
        self.memory().space.len()
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
        self.memory().space.weight()
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
        self.memory().space.capacity()
    }

    /// Puts any bytes under a key, as a foreign client could.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::memory::MemoryStore;
    /// use std::time::Duration;
    ///
    /// let store = MemoryStore::new();
    /// store.put_raw("user:7", "foreign".into(), Duration::from_secs(60));
    /// assert_eq!(store.len(), 1);
    /// ```
    #[cfg(any(test, feature = "test-util"))]
    pub fn put_raw(&self, key: &str, mut bytes: Bytes, life: Duration) {
        self.memory().change(key, &mut |slot, now| {
            *slot = Some(Slot::new(std::mem::take(&mut bytes), now.plus(life)));
            Change::Entry
        });
    }

    /// How long a key has left; `None` where there is none.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::memory::MemoryStore;
    ///
    /// assert_eq!(MemoryStore::new().life_left("user:7"), None);
    /// ```
    #[cfg(any(test, feature = "test-util"))]
    pub fn life_left(&self, key: &str) -> Option<Duration> {
        self.memory().space.get(key).map(|slot| slot.expires.since(self.memory().now()))
    }

    /// [`Store::read`], at once.
    pub(crate) fn look(&self, request: ReadRequest<'_>) -> Read {
        let space = &self.memory().space;
        let entry = |key: &str| {
            let Some(first) = request.first else { return Some(Excerpt::whole(space.get(key)?.bytes)) };
            let Found { slot: Slot { bytes, .. }, is_whole } = space.first(key, first)?;
            // Where not all bytes are there, their number was right when they were stored.
            let length = Header::parse(&bytes).ok().filter(|_| !is_whole).map(|header| header.total_len());
            let excerpt = Excerpt::first_of(bytes, Some(first));
            Some(Excerpt { length: length.unwrap_or(excerpt.length), ..excerpt })
        };
        let entries = match request.keys {
            [key] => Few::one(entry(key)),
            keys => keys.iter().map(|key| entry(key)).collect(),
        };
        let version = |key: &VersionKey| protocol::version(space.get(&key.text).as_ref());
        Read::new(entries, request.versions.iter().map(version).collect())
    }

    /// A value that was decoded and is still valid, by the arguments of its call; `None` inside where it says that there is none.
    #[inline]
    #[expect(clippy::option_option, reason = "whether there is one, and what it is of")]
    pub(crate) fn decoded<V: Any + Clone>(&self, query: &Query<impl Fn(&[u8]) -> bool>) -> Option<Option<V>> {
        let space = &self.memory().space;
        let now = space.clock().coarse();
        space.decoded().find(query, |decoded| decoded.take(now)).flatten()
    }

    /// What `make` makes of such a value.
    #[inline]
    pub(crate) fn look_decoded<V: Any, R>(
        &self,
        query: &Query<impl Fn(&[u8]) -> bool>,
        make: impl FnOnce(Option<&V>) -> Option<R>,
    ) -> Option<R> {
        let space = &self.memory().space;
        let now = space.clock().coarse();
        space.decoded().find(query, |decoded| decoded.look(now, make)).flatten()
    }

    /// What arguments are hashed with.
    #[inline]
    pub(crate) const fn hasher(&self) -> &RandomState {
        self.memory().space.decoded().hasher()
    }

    /// Keeps `value`, which was decoded from `bytes`, for calls with these arguments: until the bytes change, one of the
    /// versions does, or `until` has come. Where the value encodes to the bytes after the first, those alone stay.
    pub(crate) fn keep_decoded<V: Any + Send + Sync>(
        &self,
        (key, placed): (&str, &Placed),
        (bytes, origin): (&Bytes, Origin<'_>),
        versions: impl Iterator<Item = (VersionKey, Version)>,
        until: Timestamp,
        value: Guarded<V>,
    ) {
        let space = &self.memory().space;
        let (mut watched, mut until) = (Vec::new(), until);
        for (version_key, version) in versions {
            match space.watch(&version_key.text) {
                Some((slot, unchanged)) if protocol::version(Some(&slot)) == Some(version) => {
                    until = until.min(slot.expires);
                    watched.push(unchanged);
                }
                _ => return,
            }
        }
        // The clock that it is looked at with may be behind.
        let until = until.minus(COARSENESS);
        space.attach(key, bytes, placed, &AnyDecoded::new(placed, until, watched, origin, value));
    }

    const fn memory(&self) -> &Memory {
        self.protocol.backend()
    }
}

#[async_trait]
impl Store for MemoryStore {
    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        Ok(self.look(request))
    }

    /// As over any map; but what goes is not asked for first.
    async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        let tags = request.tags.chunks(MOST_EVICTS).map(|tags| EvictRequest::new(&[], tags));
        let keys = request.keys.chunks(MOST_EVICTS).map(|keys| EvictRequest::new(keys, &[]));
        let mut existed = Vec::with_capacity(request.keys.len());
        for (at, part) in tags.chain(keys).enumerate() {
            if at > 1 {
                tokio::task::yield_now().await;
            }
            existed.append(&mut self.memory().evict(part));
        }
        Ok(existed)
    }

    /// As over any map; but what gives way whatever it is need not be there whole, and is not encoded for that.
    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        if !writes.iter().all(|write| matches!(write.guard, Guard::Always)) {
            return self.protocol.write(writes).await;
        }
        let memory = self.memory();
        for write in writes {
            memory.space.replace(write.key, |slot, now| protocol::write(slot, now, write));
            memory.watch.wake(write.key);
        }
        let check = |write: &Write<'_>| self.look(ReadRequest::of_versions(write.check)).versions.to_vec();
        Ok(writes.iter().map(|write| Written::new(true, check(write))).collect())
    }

    fn streams(&self) -> Option<&dyn Streams> {
        Some(&self.streams)
    }

    fn queues(&self) -> Option<&dyn Queues> {
        Some(&self.queues)
    }

    pass_on!(self.protocol: about, now, capture, lease, keep, evict_prefix, health);
    pass_on!(self.protocol: time, connect, close, increment, changes, immediate, inspect);
}

impl Memory {
    /// Takes a step on one key and wakes those whom it concerns.
    fn change(&self, key: &str, step: &mut Step<'_>) {
        if self.space.update(key, step) == Change::Entry {
            self.watch.wake(key);
        }
    }
}

impl Memory {
    /// Removes what is under a key, and tells whether it was a value that may be read now.
    fn remove(&self, key: &str) -> bool {
        let (removed, now) = self.space.remove(key);
        let Some(Found { slot, is_whole }) = removed else { return false };
        self.watch.wake(key);
        if is_whole {
            protocol::is_readable(Some(&slot), now)
        } else {
            // Its length was right when it was stored.
            Header::parse(&slot.bytes).is_ok_and(|header| header.is_readable(now))
        }
    }
}

impl Backend for Memory {
    fn about(&self) -> About {
        About::new(NAME)
    }

    fn now(&self) -> Timestamp {
        self.space.clock().now()
    }

    async fn get(&self, keys: &[&str]) -> Result<Few<Option<Slot>>> {
        Ok(keys.iter().map(|key| self.space.get(key)).collect())
    }

    async fn update(&self, key: &str, step: &mut Step<'_>) -> Result<()> {
        self.change(key, step);
        Ok(())
    }

    async fn remove_prefix(&self, prefix: &str) -> Result<u64> {
        let mut removed = 0;
        for part in 0..self.space.shards() {
            // A key that comes later belongs to a load that began later, or its lease would be among these.
            for keys in self.space.keys(part, prefix).chunks(MOST_EVICTS) {
                for key in self.space.remove_all(part, keys) {
                    self.watch.wake(key);
                    removed += 1;
                }
                tokio::task::yield_now().await;
            }
        }
        Ok(removed)
    }

    async fn health(&self) -> Result<StoreHealth> {
        Ok(StoreHealth::new(NAME, None, Duration::ZERO))
    }

    fn changes(&self) -> Option<&dyn Changes> {
        Some(self)
    }

    fn immediate(&self) -> Option<&dyn Immediate> {
        Some(self)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }
}

impl Immediate for Memory {
    fn evict(&self, request: EvictRequest<'_>) -> Vec<bool> {
        for key in request.tags.iter().flat_map(protocol::versions_to_remove) {
            self.remove(&key.text);
        }
        request.keys.iter().map(|key| self.remove(key)).collect()
    }

    fn release(&self, lease: HeldLease<'_>) -> bool {
        let mut held = false;
        self.change(lease.key, &mut |slot, _| {
            held = protocol::release(slot, lease.token);
            if held { Change::Entry } else { Change::Nothing }
        });
        held
    }
}

#[async_trait]
impl Changes for Memory {
    fn are_told(&self) -> bool {
        // Not those from before the wait began.
        false
    }

    async fn changed(&self, key: &str, at_most: Duration) {
        // Ends by the change or by the time; which of them is the caller's to find out.
        let _ = tokio::time::timeout(at_most, self.watch.changed(key)).await;
    }
}

#[async_trait]
impl Inspect for Memory {
    /// Each step looks at one shard; the cursor is its number in decimal.
    async fn scan(&self, prefix: &str, cursor: &Cursor) -> Result<Page> {
        let at = std::str::from_utf8(&cursor.bytes).ok().and_then(|at| at.parse().ok()).unwrap_or(0);
        let keys = self.space.keys(at, prefix).into_iter().map(|key| Bytes::copy_from_slice(key.as_bytes()));
        let next = (at + 1 < self.space.shards()).then(|| Cursor::new((at + 1).to_string()));
        Ok(Page::new(keys.collect(), next))
    }

    async fn raw(&self, key: &[u8]) -> Result<Option<Raw>> {
        let slot = std::str::from_utf8(key).ok().and_then(|key| self.space.get(key));
        Ok(slot.map(|slot| Raw::new(slot.bytes, Some(slot.expires.since(self.now())))))
    }
}

#[cfg(test)]
mod tests;
