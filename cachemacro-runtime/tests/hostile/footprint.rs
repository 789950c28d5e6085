//! What an entry takes on the heap besides its value: no more than is said here, which is a little more than was counted.
//!
//! The rule: what an entry weighs is no less than what it takes, where a value is no larger on the heap than 300 bytes beside its bytes. So a
//! full store takes no more than its capacity, whatever was done to it. A sync function's value has no bytes to be weighed by.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use cachemacro_derive::cached;
use cachemacro_runtime as cachemacro;
use cachemacro_runtime::store::memory::MemoryStore;
use cachemacro_runtime::store::{Listener, Store, Tracking};
use cachemacro_runtime::{Cache, Error, pass_on};
use stats_alloc::Region;

use super::COUNTING;

/// Three quarters of what tables of a power of two have room for.
const ENTRIES: u64 = 12_288;
/// How many bytes a value has elsewhere: two counts and a `String` in an `Arc`, and the text.
const VALUE: usize = 40 + 260;

type Value = Arc<String>;

fn value(id: u64) -> Value {
    // Of just this capacity.
    Arc::new([id.to_string(), "x".repeat(260)].concat()[..260].to_owned())
}

#[cached(crate = cachemacro, prefix = "plain", ttl = "1h")]
async fn plain(id: u64) -> Value {
    value(id)
}

#[cached(crate = cachemacro, prefix = "tagged", ttl = "1h", tags = ["users", "org:7", "all"])]
async fn tagged(id: u64) -> Value {
    value(id)
}

#[cached(crate = cachemacro, ttl = "1h")]
fn sync(id: u64) -> Value {
    value(id)
}

#[cached(crate = cachemacro, prefix = "packed", ttl = "1h")]
async fn packed() -> String {
    "x".repeat(PACKED)
}

/// How many bytes a text has that is a few hundred where it is compressed.
const PACKED: usize = 200_000;

/// A store in memory like one that others change too: it says that it tells of every change.
#[derive(Debug)]
struct Told(Arc<MemoryStore>);

#[async_trait]
impl Store for Told {
    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }

    pass_on!(self.0: about, now, read, capture, lease, keep, write, evict, evict_prefix, health);
    pass_on!(self.0: time, connect, close, increment, changes, immediate, inspect);
}

#[async_trait]
impl Tracking for Told {
    async fn track(&self, _: &[String], listener: Arc<dyn Listener>) -> Error {
        listener.begins();
        loop {
            listener.told_until(Instant::now());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// Keeps a cache to the end: what of it a thread in the background frees would be counted with what comes next.
fn keep(cache: Cache) {
    std::mem::forget(cache);
}

/// Bytes on the heap for each entry that `run` leaves there.
async fn each(run: impl AsyncFnOnce()) -> usize {
    let before = Region::new(COUNTING);
    run().await;
    let change = before.change();
    (change.bytes_allocated - change.bytes_deallocated) / usize::try_from(ENTRIES).expect("few")
}

/// Calls with every number, several times: the first loads, the next decodes.
async fn all(call: impl AsyncFn(u64) -> Value) {
    for _ in 0..3 {
        for id in 0..ENTRIES {
            assert_eq!(call(id).await.len(), 260);
        }
    }
}

async fn all_of(tags: bool) {
    if tags { all(tagged).await } else { all(plain).await }
}

async fn in_memory() {
    for (most, tags) in [(400, false), (480, true)] {
        let store = Arc::new(MemoryStore::new());
        let cache = Cache::builder().store(store.clone()).build().expect("acceptable");
        let beyond = each(async || {
            cache.scope(all_of(tags)).await;
        });
        let beyond = beyond.await - VALUE;
        println!("in memory, tags {tags}: {beyond} (weighs {})", store.weight() / 12_288);
        assert!(beyond <= most, "{beyond} bytes");
        assert!(beyond + VALUE <= store.weight() / 12_288);
        keep(cache);
    }
}

async fn only_bytes() {
    let store = Arc::new(MemoryStore::new());
    let cache = Cache::builder().store(store.clone()).build().expect("acceptable");
    let beyond = each(async || {
        for id in 0..ENTRIES {
            cache.set("bytes", id, &value(id)).await.expect("stored");
        }
    });
    let beyond = beyond.await - 262;
    println!("in memory, bytes: {beyond} (weighs {})", store.weight() / 12_288);
    assert!(beyond <= 250, "{beyond} bytes");
    assert!(beyond + 262 <= store.weight() / 12_288);
    keep(cache);
}

async fn local() {
    for tags in [false, true] {
        let store: Arc<dyn Store> = Arc::new(Told(Arc::new(MemoryStore::new())));
        let cache = |local: Option<Duration>| {
            let cache = Cache::builder().store(store.clone()).namespace("n");
            local.map_or(cache.clone(), |ttl| cache.local(ttl)).build().expect("acceptable")
        };
        let far = cache(None);
        far.scope(all_of(tags)).await;
        keep(far);
        let near = cache(Some(Duration::from_secs(3_600)));
        while near.stats().total.local_hits == 0 {
            near.scope(async { drop(plain(ENTRIES).await) }).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let beyond = each(async || near.scope(all_of(tags)).await).await - VALUE;
        let bytes = near.stats().local.bytes / ENTRIES;
        println!("local, tags {tags}: {beyond} (weighs {bytes})");
        // Tags that values share take no room of their own.
        assert!(beyond <= 225, "{beyond} bytes");
        assert!(beyond + VALUE <= usize::try_from(bytes).expect("few"));
        keep(near);
    }
}

async fn of_sync_functions() {
    let cache = Cache::memory();
    let calls = || (0..ENTRIES).for_each(|id| assert_eq!(sync(id).len(), 260));
    let beyond = each(async || cache.scope_sync(calls)).await - VALUE;
    println!("sync: {beyond} (weighs {})", cache.stats().local.bytes / ENTRIES);
    assert!(beyond <= 235, "{beyond} bytes");
    keep(cache);
}

/// A full store, of which all values were taken decoded, and then all bytes read.
async fn full() {
    const CAPACITY: usize = 4 << 20;
    let store = Arc::new(MemoryStore::builder().capacity(CAPACITY).build());
    let cache = Cache::builder().store(store.clone()).build().expect("acceptable");
    let before = Region::new(COUNTING);
    let on_heap = || {
        let change = before.change();
        change.bytes_allocated - change.bytes_deallocated
    };
    // Twice each, one after the other: the second call finds what the first loaded, and it is kept decoded.
    let twice = async || {
        for id in (0..ENTRIES).flat_map(|id| [id, id]) {
            assert_eq!(plain(id).await.len(), 260);
        }
    };
    cache.scope(twice()).await;
    println!("full: {} of {CAPACITY} (weighs {})", on_heap(), store.weight());
    assert!(on_heap() <= CAPACITY);
    let mut found = 0;
    for _ in 0..2 {
        for id in 0..ENTRIES {
            found +=
                u64::from(cache.get::<Value>("plain", id).await.expect("memory does not fail").is_some());
            assert!(store.weight() <= CAPACITY);
        }
        println!("full, read: {} of {CAPACITY} (weighs {})", on_heap(), store.weight());
        assert!(on_heap() <= CAPACITY);
    }
    assert!(found > 4_000, "{found} found");
    keep(cache);
}

/// What is compressed in a store is not where a value is kept decoded.
async fn compressed() {
    let call = async || {
        for _ in 0..3 {
            packed().await;
        }
    };
    let store = Arc::new(MemoryStore::new());
    let cache = Cache::builder().compress_over(1_000);
    let near = cache.clone().store(store.clone()).build().expect("acceptable");
    near.scope(call()).await;
    assert!(store.weight() > PACKED, "weighs {}", store.weight());
    keep(near);
    for loaded_here in [true, false] {
        let far: Arc<dyn Store> = Arc::new(Told(Arc::new(MemoryStore::new())));
        let cache = cache.clone().store(far).namespace("n");
        if !loaded_here {
            let other = cache.clone().build().expect("acceptable");
            other.scope(call()).await;
            other.stored().await;
            keep(other);
        }
        let near = cache.local(Duration::from_secs(3_600)).build().expect("acceptable");
        while near.stats().total.local_hits == 0 {
            near.scope(async { drop(packed().await) }).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let bytes = near.stats().local.bytes;
        assert!(bytes > PACKED as u64, "weighs {bytes}");
        keep(near);
    }
}

/// Needs to be alone with the allocator.
pub(super) fn is_bounded() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        only_bytes().await;
        local().await;
        of_sync_functions().await;
        in_memory().await;
        full().await;
        compressed().await;
    });
}
