//! Values that an in-memory store keeps decoded are what a read would give, and never what an evict removed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use cachemacro::store::memory::MemoryStore;
use cachemacro::{Cache, Clock, Event, MissReason, Mode, Observation, Observer, SiteId, cached};
use cachemacro_tests::rounds;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

const HOUR: Duration = Duration::from_hours(1);

/// What the functions load: changed by what the tests call a write.
static ROW: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
static DECODED: AtomicU64 = AtomicU64::new(0);

/// A row's number and version; counts how often it is decoded.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Row {
    id: usize,
    version: u64,
}

impl<'de> Deserialize<'de> for Row {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Plain {
            id: usize,
            version: u64,
        }
        let Plain { id, version } = Plain::deserialize(from)?;
        DECODED.fetch_add(1, Ordering::SeqCst);
        Ok(Self { id, version })
    }
}

fn version(id: usize) -> u64 {
    ROW[id].load(Ordering::SeqCst)
}

#[cached(prefix = "row", key = "{id}", tags = ["rows", "tenth:{id}"], ttl = "1h", cache = cache, entry = row_entry)]
async fn row(cache: &Cache, id: usize) -> Row {
    Row { id, version: version(id) }
}

#[cached(prefix = "shared", ttl = "1h", cache = cache, skip(cache), cache_none)]
async fn shared(cache: &Cache, id: usize) -> Option<Arc<u64>> {
    (id > 0).then(|| Arc::new(version(id)))
}

fn cache() -> (Cache, Clock, Arc<MemoryStore>) {
    let clock = Clock::manual();
    let store = Arc::new(MemoryStore::builder().clock(clock.clone()).capacity(1 << 20).build());
    (Cache::builder().store(store.clone()).build().expect("the settings are right"), clock, store)
}

/// Calls until the value is kept decoded: the first loads it, the second decodes it.
async fn warm(cache: &Cache, id: usize) -> u64 {
    row(cache, id).await;
    row(cache, id).await.version
}

#[tokio::test]
async fn only_the_first_hit_decodes() {
    let (cache, _, _) = cache();
    warm(&cache, 1).await;
    let before = (DECODED.load(Ordering::SeqCst), cache.stats().total.bytes_read);
    for _ in 0..10 {
        assert_eq!(row(&cache, 1).await.id, 1);
    }
    // Other tests decode too, but none reads from this cache.
    assert_eq!(cache.stats().total.bytes_read, before.1);
    assert_eq!(cache.stats().total.hits, 11);
    assert_eq!(cache.stats().site("decoded::row").map(|site| site.hits), Some(11));
}

#[tokio::test]
async fn a_shared_value_is_handed_out_and_a_none_is_one() {
    let (cache, _, _) = cache();
    for _ in 0..2 {
        shared(&cache, 2).await;
        assert_eq!(shared(&cache, 0).await, None);
    }
    let (one, other) = (shared(&cache, 2).await, shared(&cache, 2).await);
    assert!(Arc::ptr_eq(&one.expect("there"), &other.expect("there")));
    assert_eq!(shared(&cache, 0).await, None);
    assert_eq!(cache.stats().total.loads, 2);
}

/// Encoding a value anew, of which calls take the decoded one, may cost as much as it is large.
#[tokio::test]
async fn who_asks_only_about_a_value_has_it_not_encoded() {
    static ENCODED: AtomicU64 = AtomicU64::new(0);
    #[derive(Clone, Deserialize)]
    struct Long(String);
    impl Serialize for Long {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            ENCODED.fetch_add(1, Ordering::SeqCst);
            to.serialize_newtype_struct("Long", &self.0)
        }
    }
    #[cached(prefix = "long", key = "{id}", tags = ["long:{id}"], ttl = "1h", cache = cache, entry = long_entry)]
    async fn long(cache: &Cache, id: usize) -> Long {
        Long("x".repeat(1_000 + id))
    }
    let (cache, ..) = cache();
    long(&cache, 1).await;
    long(&cache, 1).await;
    let before = ENCODED.load(Ordering::SeqCst);
    let entry = || long_entry(&cache, 1_usize);
    assert!(entry().has().await.expect("memory does not fail"));
    assert!(entry().ttl().await.expect("memory does not fail").is_some());
    assert!(entry().meta().await.expect("memory does not fail").is_some());
    assert_eq!(ENCODED.load(Ordering::SeqCst), before);
    assert_eq!(entry().get().await.expect("memory does not fail").map(|long| long.0.len()), Some(1_001));
    assert_eq!(ENCODED.load(Ordering::SeqCst), before + 1);
}

/// Like a map of which each copy has an order of its own.
#[tokio::test]
async fn values_that_never_encode_to_what_was_stored_are_not_encoded_for_that_each_time() {
    static ENCODED: AtomicU64 = AtomicU64::new(0);
    #[derive(Clone, Deserialize)]
    struct Odd(String);
    impl Serialize for Odd {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let order = ENCODED.fetch_add(1, Ordering::SeqCst);
            to.serialize_newtype_struct("Odd", &format!("{order} {}", "x".repeat(1_000)))
        }
    }
    #[cached(prefix = "odd", key = "{id}", ttl = "1h", cache = cache)]
    async fn odd(cache: &Cache, id: usize) -> Odd {
        Odd(id.to_string())
    }
    let (cache, ..) = cache();
    for id in 0..20 {
        for _ in 0..3 {
            assert!(!odd(&cache, id).await.0.is_empty());
        }
    }
    assert_eq!(cache.stats().total.hits, 40);
    assert!(ENCODED.load(Ordering::SeqCst) <= 20 + 4, "{ENCODED:?}");
}

/// Upholds G1 and G2: whatever removes or replaces the entry, the decoded value goes with it.
#[tokio::test]
async fn nothing_that_changes_an_entry_leaves_its_decoded_value() {
    let (cache, clock, store) = cache();
    let entry = || row_entry(&cache, 3_usize);
    for change in 0..10 {
        let old = warm(&cache, 3).await;
        ROW[3].store(old + 1, Ordering::SeqCst);
        assert_eq!(row(&cache, 3).await.version, old, "{change}: still cached");
        match change {
            0 => drop(entry().evict().await.expect("memory does not fail")),
            1 => cache.evict_tags(["rows"]).await.expect("memory does not fail"),
            2 => cache.evict_tags(["tenth:3"]).await.expect("memory does not fail"),
            3 => drop(cache.evict_prefix("row").await.expect("memory does not fail")),
            4 => entry().set(&Row { id: 3, version: old + 1 }).await.expect("memory does not fail"),
            5 => {
                let renewed = entry().update(|_| Row { id: 3, version: old + 1 }).await;
                renewed.expect("memory does not fail");
            }
            6 => drop(cache.clear().await.expect("memory does not fail")),
            7 => clock.advance(HOUR),
            8 => assert_eq!(Mode::Refresh.scope(row(&cache, 3)).await.version, old + 1),
            // The store is short of memory.
            _ => {
                for at in 0..2_000 {
                    cache.set("filler", at, &"x".repeat(1_000)).await.expect("memory does not fail");
                }
                assert!(store.weight() <= store.capacity());
            }
        }
        assert_eq!(row(&cache, 3).await.version, old + 1, "{change}");
    }
}

#[tokio::test]
async fn modes_scopes_and_observers_see_such_hits_as_any_other() {
    #[derive(Default)]
    struct Hits(AtomicU64);
    impl Observer for Hits {
        fn event(&self, seen: &Observation<'_>) {
            if seen.event == Event::Hit {
                assert_eq!(seen.site.map(SiteId::function), Some("row"));
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
    }
    let hits = Arc::new(Hits::default());
    let clock = Clock::manual();
    let store = Arc::new(MemoryStore::builder().clock(clock.clone()).build());
    let cache = Cache::builder().store(store).observer(hits.clone()).build().expect("the settings are right");
    let old = warm(&cache, 4).await;
    ROW[4].store(old + 1, Ordering::SeqCst);
    assert_eq!(hits.0.load(Ordering::SeqCst), 1);
    row(&cache, 4).await;
    assert_eq!(hits.0.load(Ordering::SeqCst), 2);
    clock.advance(Duration::from_secs(10));
    assert_eq!(Mode::Bypass.scope(row(&cache, 4)).await.version, old + 1);
    assert_eq!(Mode::MaxAge(Duration::from_mins(1)).scope(row(&cache, 4)).await.version, old);
    let (seen, removals) = cache
        .collect(async {
            let before = row(&cache, 4).await.version;
            row_entry(&cache, 4_usize).evict().await.expect("collected");
            (before, row(&cache, 4).await.version)
        })
        .await;
    assert_eq!(seen, (old, old + 1), "what a transaction wrote is read past the cache");
    assert_eq!(row(&cache, 4).await.version, old, "and nobody else's business before it is applied");
    cache.apply(&removals).await.expect("memory does not fail");
    assert_eq!(row(&cache, 4).await.version, old + 1);
    assert_eq!(Mode::MaxAge(Duration::from_secs(5)).scope(row(&cache, 4)).await.version, old + 1);
    clock.advance(Duration::from_secs(6));
    let before = cache.stats().total.misses_for(MissReason::TooOld);
    Mode::MaxAge(Duration::from_secs(5)).scope(row(&cache, 4)).await;
    assert_eq!(cache.stats().total.misses_for(MissReason::TooOld), before + 1);
}

#[tokio::test]
async fn caches_namespaces_and_functions_share_no_decoded_value() {
    #[cached(prefix = "row", key = "{id}", tags = ["rows", "tenth:{id}"], cache = cache)]
    async fn same_key(cache: &Cache, id: usize) -> u64 {
        1_000 + id as u64
    }
    let store = Arc::new(MemoryStore::new());
    let named = |name: &str| {
        Cache::builder().store(store.clone()).namespace(name).build().expect("the settings are right")
    };
    let (one, other) = (named("one"), named("other"));
    let old = warm(&one, 5).await;
    ROW[5].store(old + 1, Ordering::SeqCst);
    assert_eq!(warm(&other, 5).await, old + 1);
    assert_eq!(row(&one, 5).await.version, old);
    assert_eq!(same_key(&one, 5).await, 1_005, "a value of another type");
    // Two caches on one store and one namespace: an evict of one is one of the other.
    let twin = named("one");
    ROW[5].store(old + 2, Ordering::SeqCst);
    warm(&one, 5).await;
    warm(&twin, 5).await;
    ROW[5].store(old + 3, Ordering::SeqCst);
    twin.evict_tags(["rows"]).await.expect("memory does not fail");
    assert_eq!(row(&one, 5).await.version, old + 3);
}

/// Upholds G8: whatever makes up the key tells decoded values apart.
#[tokio::test]
async fn a_prefix_that_is_an_argument_tells_decoded_values_apart() {
    #[cached(prefix = which, key = "{id}", cache = cache)]
    async fn under(cache: &Cache, which: &str, id: u64) -> String {
        format!("{which} {id}")
    }
    let (cache, _, _) = cache();
    for _ in 0..3 {
        for which in ["one", "other"] {
            assert_eq!(under(&cache, which, 1).await, format!("{which} 1"));
        }
    }
    assert_eq!(cache.stats().total.loads, 2);
}

/// What is used only through its decoded value is not what the store takes for unused.
#[tokio::test]
async fn what_is_in_use_stays_when_memory_is_short() {
    let (cache, _, _) = cache();
    warm(&cache, 6).await;
    let loads = cache.stats().total.loads;
    for at in 0..5_000 {
        cache.set("filler", at, &"x".repeat(500)).await.expect("memory does not fail");
        row(&cache, 6).await;
    }
    assert_eq!(cache.stats().total.loads, loads);
}

/// Upholds G1: readers on several threads race evicts of every kind; none reads what was loaded before an evict that was
/// acknowledged when it began.
#[test]
fn a_race_of_readers_and_evicts_has_no_stale_read() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(4)
        .enable_time()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let cache = Cache::memory();
        let done = Arc::new(AtomicBool::new(false));
        let reads = Arc::new(AtomicU64::new(0));
        let readers: Vec<_> = (0..3)
            .map(|_| {
                let (cache, done, reads) = (cache.clone(), done.clone(), reads.clone());
                tokio::spawn(async move {
                    while !done.load(Ordering::Relaxed) {
                        for (id, acknowledged) in ACKNOWLEDGED.iter().enumerate().skip(10).take(4) {
                            let at_least = acknowledged.load(Ordering::SeqCst);
                            let seen = row(&cache, id).await;
                            assert!(seen.version >= at_least && seen.id == id, "{seen:?} after {at_least}");
                            reads.fetch_add(1, Ordering::Relaxed);
                        }
                        tokio::task::yield_now().await;
                    }
                })
            })
            .collect();
        for round in 0..rounds(3_000) {
            let id = 10 + usize::try_from(round % 4).expect("small");
            let new = ROW[id].fetch_add(1, Ordering::SeqCst) + 1;
            match round % 3 {
                0 => drop(row_entry(&cache, id).evict().await.expect("memory does not fail")),
                1 => cache.evict_tags([format!("tenth:{id}")]).await.expect("memory does not fail"),
                _ => cache.evict_tags(["rows"]).await.expect("memory does not fail"),
            }
            ACKNOWLEDGED[id].store(new, Ordering::SeqCst);
            // Some rounds find values that were kept decoded, some what is being kept.
            for _ in 0..round % 5 {
                row(&cache, id).await;
            }
            if round % 7 == 0 {
                tokio::task::yield_now().await;
            }
        }
        done.store(true, Ordering::Relaxed);
        for reader in readers {
            reader.await.expect("no stale read");
        }
        assert!(reads.load(Ordering::Relaxed) > 1_000 && cache.stats().total.hits > 1_000);
    });
}

static ACKNOWLEDGED: [AtomicU64; 64] = [const { AtomicU64::new(0) }; 64];
