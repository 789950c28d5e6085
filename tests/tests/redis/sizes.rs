//! Requests of any size: what users name in one call, and what comes back, goes in as many requests as it needs, each with a
//! deadline of its own, and what others send gets in between.
//!
//! What was removed once, and the test that failed:
//!
//! | removed | test |
//! |---|---|
//! | what is found instead of a lease counts too | `many_large_values_are_found_instead_of_leases` |

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use cachemacro_runtime::store::faults::{FaultStore, Op};
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{
    EvictRequest, HeldLease, Keep, LeaseKind, LeaseOutcome, LeaseRequest, ReadRequest, Store, TagKeys, Token,
    VersionKey, Write,
};
use cachemacro_runtime::{Cache, MissReason};
use cachemacro_tests::halt::reached;
use cachemacro_tests::{DEADLINE, RedisServer, namespace};

const LIFE: Duration = Duration::from_mins(1);
/// Two megabytes, of which no server sends very many within one deadline.
const LARGE: usize = 2 << 20;

/// A few times the usual deadline, for a machine that is busy with other tests.
fn store(server: &RedisServer) -> RedisStore {
    let config = RedisConfig::new(server.url()).command_timeout(Duration::from_secs(1));
    RedisStore::new(config).expect("the URL is well-formed")
}

fn cache(store: Arc<dyn Store>) -> Cache {
    Cache::builder().store(store).namespace(&namespace()).max_value(8 << 20).build().expect("acceptable")
}

/// Reads one small key again and again from elsewhere while `work` runs. The slowest read, and how many there were.
fn beside<T>(server: &RedisServer, work: impl Future<Output = T>) -> (T, Duration, u64) {
    let over = AtomicBool::new(false);
    let url = server.url();
    std::thread::scope(|threads| {
        let reader = threads.spawn(|| {
            let client = redis::Client::open(url).expect("a well-formed URL");
            let mut connection = client.get_connection().expect("the server answers");
            let (mut slowest, mut reads) = (Duration::ZERO, 0);
            while !over.load(Ordering::Relaxed) {
                let began = Instant::now();
                let _: Option<u32> =
                    redis::cmd("GET").arg("small").query(&mut connection).expect("it answers");
                slowest = slowest.max(began.elapsed());
                reads += 1;
                std::thread::sleep(Duration::from_millis(1));
            }
            (slowest, reads)
        });
        let done = tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(work));
        over.store(true, Ordering::Relaxed);
        let (slowest, reads) = reader.join().expect("no panic");
        (done, slowest, reads)
    })
}

/// Upholds G7.
#[tokio::test(flavor = "multi_thread")]
async fn an_evict_of_very_many_keys_is_done_and_holds_nobody_up() {
    const MANY: u32 = 300_000;
    let server = RedisServer::start();
    let faults = Arc::new(FaultStore::new(Arc::new(store(&server))));
    let cache = cache(faults.clone());
    for id in (0..MANY).step_by(100_000) {
        cache.set("row", id, &id).await.expect("set");
        cache.entry::<u32>("tagged", &id).with_tags([format!("tag {id}")]).set(&id).await.expect("set");
    }
    let evict = (0..MANY).fold(cache.evict(), |evict, id| evict.key("row", id));
    let began = Instant::now();
    let (evicted, slowest, reads) = beside(&server, evict.into_future());
    assert_eq!(evicted.expect("evicted"), 3);
    println!("{MANY} keys in {:?}; {reads} reads meanwhile, the slowest {slowest:?}", began.elapsed());
    assert!(faults.count(Op::Evict) > 500, "a few at a time");
    assert!(reads > 20, "others get in between: {reads}");

    let tags = (0..MANY).map(|id| format!("tag {id}"));
    let began = Instant::now();
    let (evicted, slowest, reads) = beside(&server, cache.evict_tags(tags));
    evicted.expect("evicted");
    println!("{MANY} tags in {:?}; {reads} reads meanwhile, the slowest {slowest:?}", began.elapsed());
    assert!(!cache.entry::<u32>("tagged", 0).has().await.expect("the server answers"));
    assert_eq!(cache.stats().total.failed_evicts, 0);
}

/// A value, of which many are too large for one deadline.
fn value(id: u32) -> String {
    format!("{id:04}").repeat(LARGE / 4)
}

async fn load(cache: &Cache, ids: std::ops::Range<u32>, loads: &AtomicU64) -> HashMap<u32, String> {
    let load = async |ids: Vec<u32>| {
        loads.fetch_add(ids.len() as u64, Ordering::Relaxed);
        Ok::<_, Infallible>(ids.into_iter().map(|id| (id, value(id))).collect())
    };
    let Ok(found) = cache.try_get_or_load_many(ids, |id| cache.entry("large", id), load).await;
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn many_large_values_are_read_with_the_usual_deadlines() {
    const MANY: u32 = 160;
    let server = RedisServer::start();
    let cache = cache(Arc::new(store(&server)));
    let loads = AtomicU64::new(0);
    let found = load(&cache, 0..MANY, &loads).await;
    assert_eq!(found.len(), MANY as usize);
    drop(found);
    assert_eq!(loads.swap(0, Ordering::Relaxed), u64::from(MANY));
    cache.stored().await;
    assert_eq!(cache.stats().total.fills, u64::from(MANY));
    let began = Instant::now();
    let (found, slowest, _) = beside(&server, load(&cache, 0..MANY, &loads));
    println!("{MANY} values of 2 MiB in {:?}; the slowest read meanwhile {slowest:?}", began.elapsed());
    assert!((0..MANY).all(|id| found[&id] == value(id)));
    let stats = cache.stats().total;
    assert_eq!((loads.into_inner(), stats.errors()), (0, 0));
    // Small ones among them, missing ones, and small ones alone.
    let get = async |cache: &Cache, ids: Vec<u32>| cache.keyspace::<u32, String>("large").get_many(ids).await;
    for id in 300..340_u32 {
        cache.set("large", id, &"7".repeat(id as usize)).await.expect("set");
    }
    assert_eq!(get(&cache, (150..360).collect()).await.len(), 10 + 40);
    assert_eq!(get(&cache, (300..340).collect()).await.len(), 40);
    assert_eq!(get(&cache, (290..340).collect()).await[&339], "7".repeat(339));
    // Those that were small have grown.
    for id in 300..340_u32 {
        cache.set("large", id, &"8".repeat(LARGE)).await.expect("set");
    }
    assert_eq!(get(&cache, (300..340).collect()).await[&339], "8".repeat(LARGE));
    assert_eq!(cache.stats().total.errors(), 0);
}

#[tokio::test]
async fn many_large_values_are_found_instead_of_leases() {
    const MANY: u32 = 80;
    let server = RedisServer::start();
    let ns = namespace();
    let faults = Arc::new(FaultStore::new(Arc::new(store(&server))));
    let cache = |store: Arc<dyn Store>| {
        Cache::builder().store(store).namespace(&ns).max_value(8 << 20).build().expect("acceptable")
    };
    let (one, other) = (cache(faults.clone()), cache(Arc::new(store(&server))));
    let (loads, gate) = (AtomicU64::new(0), faults.gate(Op::Lease));
    let (found, ()) = tokio::join!(load(&one, 0..MANY, &loads), async {
        reached(&gate).await;
        assert_eq!(load(&other, 0..MANY, &AtomicU64::new(0)).await.len(), MANY as usize);
        gate.open();
    });
    assert!((0..MANY).all(|id| found[&id] == value(id)));
    assert_eq!((loads.into_inner(), one.stats().total.errors()), (0, 0));
    assert_eq!(one.stats().total.misses_for(MissReason::Absent), u64::from(MANY));
}

#[tokio::test]
async fn the_store_takes_requests_of_any_size() {
    const MANY: usize = 60_000;
    let server = RedisServer::start();
    let store = store(&server);
    store.connect().await.expect("connected");
    let texts: Vec<String> = (0..MANY).map(|id| format!("row:{id}")).collect();
    let keys: Vec<&str> = texts.iter().map(String::as_str).collect();
    let versions: Vec<_> =
        (0..MANY).map(|id| VersionKey::new(format!("{{tag:{:02}}}:{id}", id % 64), id as u64)).collect();

    let captured = store.capture(&versions, LIFE).await.expect("captured");
    let read = store.read(ReadRequest::new(&keys).with_versions(&versions)).await.expect("read");
    assert!(read.versions.iter().zip(&captured).all(|(read, captured)| *read == Some(*captured)));
    assert_eq!((read.versions.len(), read.entries.len()), (MANY, MANY));
    assert!(read.entries.iter().all(Option::is_none));

    let leases: Vec<_> = keys
        .iter()
        .zip(&versions)
        .map(|(key, version)| {
            LeaseRequest::new(key, Token::new(7), LeaseKind::Load, LIFE)
                .with_capture(std::slice::from_ref(version), LIFE)
        })
        .collect();
    let leased = store.lease(&leases).await.expect("leased");
    assert!(leased.iter().zip(&captured).all(|(lease, captured)| {
        matches!(lease.outcome, LeaseOutcome::Taken) && lease.versions == [*captured]
    }));
    let held: Vec<_> = keys.iter().map(|key| HeldLease::new(key, Token::new(7))).collect();
    let kept = store.keep(&held, Keep::Renew(LIFE)).await.expect("kept");
    assert!(kept.len() == keys.len() && kept.into_iter().all(|held| held));

    let writes: Vec<_> =
        keys.iter().map(|key| Write::new(key, Bytes::copy_from_slice(key.as_bytes()), LIFE)).collect();
    let written = store.write(&writes).await.expect("written");
    assert!(written.len() == keys.len() && written.iter().all(|written| written.accepted));
    let read = store.read(ReadRequest::new(&keys)).await.expect("read");
    assert!(read.entries.iter().zip(&keys).all(|(entry, key)| {
        entry.as_ref().is_some_and(|entry| entry.bytes == key.as_bytes() && entry.length == key.len())
    }));
    let heads = store.read(ReadRequest::new(&keys).with_first(2)).await.expect("read");
    assert!(heads.entries.iter().flatten().filter(|head| head.bytes.len() == 2).count() == keys.len());

    let tags: Vec<_> =
        versions.iter().map(|version| TagKeys::new(version.clone(), version.clone())).collect();
    let existed = store.evict(EvictRequest::new(&keys, &tags)).await.expect("evicted");
    assert_eq!(existed.len(), keys.len());
    let read = store.read(ReadRequest::new(&keys).with_versions(&versions)).await.expect("read");
    assert!(read.entries.iter().all(Option::is_none) && read.versions.iter().all(Option::is_none));

    // Of bytes too.
    let bytes = Bytes::from(vec![1_u8; 1 << 20]);
    let writes: Vec<_> = keys[..500].iter().map(|key| Write::new(key, bytes.clone(), LIFE)).collect();
    store.write(&writes).await.expect("written");
    let read = tokio::time::timeout(DEADLINE, store.read(ReadRequest::new(&keys[..500]))).await;
    let read = read.expect("in time").expect("read");
    assert!(read.entries.iter().flatten().filter(|entry| entry.bytes == bytes).count() == 500);
}
