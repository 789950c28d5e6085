//! A cluster: slots that are elsewhere by now, or on their way, or nobody's; primaries that end and replicas that take over.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | requests are split by slot and put together in order | the conformance suite, `a_function_is_cached_on_all_nodes` |
//! | `MOVED` is followed | `a_slot_that_moved_is_followed` |
//! | `ASK` is followed, and key by key where some are here and some there | `a_slot_that_is_on_its_way_is_served` |
//! | a removal counts only where no slot moved | `nothing_under_a_prefix_is_left_while_slots_move` |
//! | what did not answer is looked up anew | `a_primary_that_is_killed_is_replaced_by_its_replica` |
//! | all of a namespace is cleared, on all nodes, and nothing else | `a_namespace_that_is_cleared_leaves_nothing_on_any_node_and_others_as_they_are` |
//! | what was refused while the cluster is down has failed | `a_cluster_that_is_down_costs_no_call` |
//! | what each node says of itself is told | `a_node_that_does_not_suit_a_cache_is_warned_of_among_others_that_do` |
//! | a request with a token goes once | `a_request_for_a_lease_that_was_not_answered_does_not_go_on_to_who_took_over` |
//!
//! Local copies, ids of nodes, TLS with users, where requests go, and histories have files of their own.

mod costs;
mod epochs;
mod histories;
mod local;
mod routes;
pub(crate) mod secured;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cachemacro::{Cache, Entry, ErrorKind, Warning, cache_evict, cached};
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::store::{EvictRequest, LeaseKind, LeaseRequest, ReadRequest, Store, Token};
use cachemacro_tests::clusters::{PRIMARIES, RedisCluster, slot_of};
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, LONG, Single as _, is_long, namespace, wait_until};
use futures_util::future::join_all;

fn store(url: &str) -> RedisStore {
    let config = RedisConfig::new(url).connect_timeout(DEADLINE);
    RedisStore::new(config.command_timeout(Duration::from_secs(2))).expect("acceptable")
}

fn cache(url: &str, namespace: &str) -> Cache {
    let builder = Cache::builder().redis(url).namespace(namespace).command_timeout(Duration::from_secs(2));
    builder.build().expect("acceptable")
}

/// The same with time for any number of entries, on a machine that is busy.
fn patient(url: &str, namespace: &str) -> Cache {
    Cache::builder().redis(url).namespace(namespace).command_timeout(DEADLINE).build().expect("acceptable")
}

#[cached(prefix = "item", key = "{id}", tags = ["items", "shelf:{id}"], entry = item_entry)]
async fn item(id: u64, loads: &AtomicU64) -> u64 {
    loads.fetch_add(1, Ordering::SeqCst);
    id * 2
}

#[cache_evict(tags = ["items"])]
async fn change_all() -> Result<(), ()> {
    Ok(())
}

/// Upholds G1.
#[tokio::test]
async fn a_function_is_cached_on_all_nodes() {
    let cluster = RedisCluster::shared().await;
    let (ours, theirs) = (namespace(), namespace());
    let (cache, other) = (cache(&cluster.url(), &ours), cache(&cluster.url(), &theirs));
    let loads = AtomicU64::new(0);
    let all = async |cache: &Cache| {
        let calls = async {
            for id in 0..50 {
                assert_eq!(item(id, &loads).await, id * 2);
            }
        };
        cache.scope(calls).await;
        cache.stored().await;
        loads.swap(0, Ordering::SeqCst)
    };
    assert_eq!((all(&cache).await, all(&other).await), (50, 50));
    assert_eq!((all(&cache).await, all(&other).await), (0, 0), "hits");
    cache.scope(change_all()).await.expect("evicted");
    assert_eq!((all(&cache).await, all(&other).await), (50, 0), "one tag on entries of all nodes");
    cache.evict_tags(["shelf:7"]).await.expect("evicted");
    assert!(cache.evict_key("item", 8).await.expect("evicted"));
    assert_eq!(all(&cache).await, 2);
    let many = cache.scope(async {
        let entries: Vec<_> = (0..50).map(item_entry).collect();
        cache.evict().entries(&entries).await
    });
    assert_eq!(many.await.expect("evicted"), 50);
    assert_eq!(all(&cache).await, 50);
    assert_eq!(cache.evict_prefix("item").await.expect("evicted"), 50);
    assert_eq!(all(&cache).await, 50);
    assert_eq!(cache.entry::<i64>("visits", 1).increment(2).await.expect("added"), 2);
    assert_eq!(cache.entry::<i64>("visits", 1).increment(3).await.expect("added"), 5);
    let list = cache.entry::<Vec<u8>>("list", 1);
    assert_eq!(list.update(|list| [list.unwrap_or_default(), vec![1]].concat()).await.expect("updated"), [1]);
    let health = cache.health().await.expect("it answers");
    assert!(health.store.server.is_some());
    cache.clear().await.expect("cleared");
    // The process's report stays.
    for prefix in [format!("{ours}:"), format!("{{{ours}:tag:")] {
        assert_eq!(cluster.keys(&prefix).await, Vec::<String>::new());
    }
    assert_eq!(all(&other).await, 0, "others' are left");
}

#[tokio::test]
async fn one_node_by_itself_is_told_to_be_part_of_a_cluster() {
    let cluster = RedisCluster::shared().await;
    let store = store(&cluster.servers[0].url());
    let mut failed = None;
    for number in 0..20 {
        if let Err(error) = store.set(&format!("k{number}"), "value".into(), LONG).await {
            failed = Some(error);
        }
    }
    let error = failed.expect("some of the slots are elsewhere");
    assert!(error.to_string().contains("redis+cluster://"), "{error}");
}

#[tokio::test]
async fn nodes_that_are_gone_or_replicas_lead_to_the_others() {
    let cluster = RedisCluster::shared().await;
    let replica = cluster.servers[PRIMARIES].address();
    let store = store(&format!("redis+cluster://127.0.0.1:1,{replica}"));
    store.connect().await.expect("one tells of all");
    store.set(&namespace(), "value".into(), LONG).await.expect("stored");
    let error = self::store("redis+cluster://127.0.0.1:1").connect().await.expect_err("nobody is there");
    assert_eq!(error.kind(), ErrorKind::Connect);
}

#[tokio::test]
async fn reads_of_one_slot_are_one_command_and_those_of_others_go_along() {
    let cluster = RedisCluster::start().await;
    let store = store(&cluster.url());
    let tag = format!("{{{}}}", namespace());
    let keys: Vec<String> = (0..4).map(|number| format!("{tag}:{number}")).chain([namespace()]).collect();
    for key in &keys {
        store.set(key, "value".into(), LONG).await.expect("stored");
    }
    let calls = async || {
        let mut calls = 0;
        for server in &cluster.servers[..PRIMARIES] {
            let mut ask = redis::cmd("INFO");
            let told: String =
                ask.arg("commandstats").query_async(&mut server.client().await).await.expect("INFO");
            let line = told.lines().find_map(|line| line.strip_prefix("cmdstat_mget:calls="));
            let count = line.and_then(|line| line.split(',').next()?.parse::<u64>().ok());
            calls += count.unwrap_or(0);
        }
        calls
    };
    // How large values are, decides how many go together; an answer counts for what is asked after the next.
    for _ in 0..2 {
        store.entry(&keys[0]).await.expect("answered");
    }
    let before = calls().await;
    let read = join_all((0..100).map(|number| store.entry(&keys[number % keys.len()])));
    for entry in read.await {
        assert_eq!(entry.expect("answered").as_deref(), Some(&b"value"[..]));
    }
    let sent = calls().await - before;
    assert!((2..=10).contains(&sent), "{sent} commands for 100 reads of 5 keys in 2 slots");
}

/// What is wrong with one of its nodes is said, whichever that is, and without a call for its health.
#[tokio::test]
async fn a_node_that_does_not_suit_a_cache_is_warned_of_among_others_that_do() {
    let cluster = RedisCluster::start().await;
    // Nodes are known in the order of their ports: the first one is as it should be.
    let mut places: Vec<usize> = (0..PRIMARIES).collect();
    places.sort_by_key(|place| cluster.servers[*place].port());
    let mut client = cluster.servers[places[1]].client().await;
    run(&mut client, "CONFIG SET maxmemory-policy allkeys-lru").await;
    let mut theirs = (0..).map(|number| format!("theirs:{number}"));
    let theirs = loop {
        let key = theirs.next().expect("there are more");
        if cluster.owner(slot_of(&cluster.servers[0], &key).await).await == places[1] {
            break key;
        }
    };
    run(&mut client, &format!("SET {theirs} 1")).await;
    run(&mut cluster.servers[places[2]].client().await, "CONFIG SET appendonly yes").await;
    let cache = cache(&cluster.url(), &namespace());
    let found = [Warning::DropsOthers { policy: "allkeys-lru".to_owned(), keys: 1 }, Warning::Persists];
    for id in 0..20_u64 {
        assert_eq!(cache.get_or_load("row", id, async || id).await, id);
    }
    wait_until("it is warned of", DEADLINE, async || cache.warnings() == found).await;
    assert_eq!(cache.health().await.expect("all answer").warnings, found);
    run(&mut client, "CONFIG SET maxmemory-policy noeviction").await;
    assert_eq!(cache.health().await.expect("all answer").warnings, [Warning::Persists]);
}

/// As many entries of all nodes as are to be evicted at once.
async fn many(cache: &Cache) -> Vec<Entry<u64>> {
    let count: u64 = if is_long() { 100_000 } else { 3_000 };
    let entries: Vec<_> = (0..count).map(|id| cache.entry::<u64>("many", id).with_tags(["many"])).collect();
    store_all(&entries).await;
    entries
}

async fn store_all(entries: &[Entry<u64>]) {
    for some in entries.chunks(500) {
        for stored in join_all(some.iter().map(|entry| entry.set(&7))).await {
            stored.expect("stored");
        }
    }
}

/// How many of these are there.
async fn count(entries: &[Entry<u64>]) -> usize {
    let mut count = 0;
    for some in entries.chunks(500) {
        let read = join_all(some.iter().map(Entry::get)).await;
        count += read.into_iter().filter(|value| value.as_ref().expect("answered").is_some()).count();
    }
    count
}

/// Upholds G1.
#[tokio::test]
async fn many_entries_of_all_nodes_are_evicted_completely() {
    let cluster = RedisCluster::shared().await;
    let ns = namespace();
    let cache = patient(&cluster.url(), &ns);
    let entries = many(&cache).await;
    assert_eq!(count(&entries).await, entries.len());
    let began = Instant::now();
    cache.evict_tags(["many"]).await.expect("evicted");
    let by_tag = began.elapsed();
    assert_eq!(count(&entries).await, 0);
    store_all(&entries).await;
    let began = Instant::now();
    cache.evict().entries(&entries).await.expect("evicted");
    let by_key = began.elapsed();
    assert_eq!(cluster.keys(&format!("{ns}:many:")).await, Vec::<String>::new());
    store_all(&entries).await;
    let began = Instant::now();
    assert_eq!(cache.evict_prefix("many").await.expect("evicted"), entries.len() as u64);
    let by_prefix = began.elapsed();
    assert_eq!(cluster.keys(&format!("{ns}:many:")).await, Vec::<String>::new());
    println!(
        "{} entries: by their tag {by_tag:.1?}, by their keys {by_key:.1?}, by their prefix {by_prefix:.1?}",
        entries.len()
    );
}

/// Upholds G1.
#[tokio::test]
async fn a_namespace_that_is_cleared_leaves_nothing_on_any_node_and_others_as_they_are() {
    let cluster = RedisCluster::shared().await;
    let ns = namespace();
    let (ours, theirs) = (patient(&cluster.url(), &ns), patient(&cluster.url(), &format!("{ns}0")));
    let kept: Vec<_> = (0..300).map(|id| theirs.entry::<u64>("many", id).with_tags(["many"])).collect();
    store_all(&kept).await;
    let entries = many(&ours).await;
    let began = Instant::now();
    ours.clear().await.expect("cleared");
    println!("{} entries cleared in {:.1?}", entries.len(), began.elapsed());
    // What this process reports of itself is no entry, and stays.
    let mut left = cluster.keys(&format!("*{ns}[:}}]")).await;
    left.extend(cluster.keys(&format!("*{ns}:tag:")).await);
    left.retain(|key| !key.contains(":report"));
    assert_eq!(left, Vec::<String>::new());
    assert_eq!(count(&entries).await, 0);
    assert_eq!(count(&kept).await, kept.len(), "another's");
}

/// Upholds G1.
#[tokio::test]
async fn a_slot_that_moved_is_followed() {
    let cluster = RedisCluster::start().await;
    let store = store(&cluster.url());
    let key = namespace();
    store.set(&key, "before".into(), LONG).await.expect("stored");
    let slot = slot_of(&cluster.servers[0], &key).await;
    let from = cluster.owner(slot).await;
    for (from, to) in [(from, (from + 1) % PRIMARIES), ((from + 1) % PRIMARIES, (from + 2) % PRIMARIES)] {
        cluster.move_slot(slot, from, to).await;
        assert_eq!(store.entry(&key).await.expect("followed").as_deref(), Some(&b"before"[..]));
        store.evict(EvictRequest::new(&[&key], &[])).await.expect("followed");
        assert_eq!(store.entry(&key).await.expect("answered"), None);
        store.set(&key, "before".into(), LONG).await.expect("stored");
    }
}

/// Upholds G1.
#[tokio::test]
async fn a_slot_that_is_on_its_way_is_served() {
    let cluster = RedisCluster::start().await;
    let store = store(&cluster.url());
    let tag = format!("{{{}}}", namespace());
    let keys: Vec<String> = (0..6).map(|number| format!("{tag}:{number}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    for key in &keys {
        store.set(key, "value".into(), LONG).await.expect("stored");
    }
    let slot = slot_of(&cluster.servers[0], keys[0]).await;
    let from = cluster.owner(slot).await;
    let to = (from + 1) % PRIMARIES;
    cluster.begin_move(slot, from, to, 3).await;
    let read = async || {
        let read = store.read(ReadRequest::new(&keys)).await.expect("answered");
        read.entries.iter().filter(|entry| entry.is_some()).count()
    };
    assert_eq!(read().await, 6, "half of them here and half there");
    let existed = store.evict(EvictRequest::new(&keys[..4], &[])).await.expect("evicted");
    assert_eq!(existed, [true; 4].map(|_| false), "no entries, and gone all the same");
    assert_eq!(read().await, 2);
    store.set(keys[0], "anew".into(), LONG).await.expect("stored where it will be");
    assert_eq!(read().await, 3);
    cluster.finish_move(slot, from, to).await;
    assert_eq!(read().await, 3);
}

/// Upholds G1.
#[tokio::test]
async fn nothing_under_a_prefix_is_left_while_slots_move() {
    let cluster = Arc::new(RedisCluster::start().await);
    let ns = namespace();
    let cache = cache(&cluster.url(), &ns);
    let mut slots = Vec::new();
    for id in 0..200_u64 {
        cache.set("item", id, &id).await.expect("stored");
        slots.push(slot_of(&cluster.servers[0], &format!("{ns}:item:{id}")).await);
    }
    let (moving, done) = (Arc::clone(&cluster), Arc::new(AtomicBool::new(false)));
    let ended = Arc::clone(&done);
    let moves = tokio::spawn(async move {
        // All of one node to the next, so that no two nodes claim slots from each other at once.
        for from in 0..PRIMARIES {
            for slot in slots.iter().copied().take(60) {
                if moving.owner(slot).await == from {
                    moving.move_slot(slot, from, (from + 1) % PRIMARIES).await;
                }
            }
        }
        ended.store(true, Ordering::SeqCst);
    });
    let mut rounds = 0;
    while !done.load(Ordering::SeqCst) {
        // While slots move all the time it may give up, and says so; then it is kept, and made up for.
        if cache.evict_prefix("item").await.is_ok() {
            assert_eq!(cluster.keys(&format!("{ns}:item:")).await, Vec::<String>::new());
            rounds += 1;
        }
        for id in 0..200_u64 {
            cache.set("item", id, &id).await.expect("stored");
        }
    }
    moves.await.expect("all were moved");
    cache.evict_prefix("item").await.expect("nothing moves any more");
    assert_eq!(cluster.keys(&format!("{ns}:item:")).await, Vec::<String>::new());
    println!("{rounds} removals while slots moved");
}

#[tokio::test]
async fn a_replica_that_takes_over_in_order_is_followed() {
    let cluster = RedisCluster::start().await;
    let store = store(&cluster.url());
    let keys: Vec<String> = (0..20).map(|number| format!("{}:{number}", namespace())).collect();
    for key in &keys {
        store.set(key, "value".into(), LONG).await.expect("stored");
    }
    let mut primary = 0;
    for _ in 0..2 {
        let next = cluster.hand_over(primary).await;
        for key in &keys {
            assert!(store.entry(key).await.expect("followed").is_some());
            store.set(key, "again".into(), LONG).await.expect("followed");
        }
        cluster.follows(primary).await;
        primary = next;
    }
}

/// Upholds G6, G7.
#[tokio::test]
async fn a_primary_that_is_killed_is_replaced_by_its_replica() {
    let mut cluster = RedisCluster::start().await;
    let cache = cache(&cluster.url(), &namespace());
    let loads = AtomicU64::new(0);
    let all = async || {
        for id in 0..20 {
            assert_eq!(cache.scope(item(id, &loads)).await, id * 2, "no call fails");
        }
        cache.stored().await;
        loads.swap(0, Ordering::SeqCst)
    };
    all().await;
    assert_eq!(all().await, 0);
    let replica = cluster.replica_of(0).await;
    cluster.servers[0].stop();
    all().await;
    cluster.is_primary(replica).await;
    wait_until("an evict is done", 4 * DEADLINE, async || cache.evict_tags(["items"]).await.is_ok()).await;
    wait_until("all are hits", 4 * DEADLINE, async || all().await == 0).await;
}

/// Upholds G1: of a request that was not answered, nobody knows whether it displaced a value since.
#[tokio::test]
async fn a_request_for_a_lease_that_was_not_answered_does_not_go_on_to_who_took_over() {
    let cluster = RedisCluster::start().await;
    let config = RedisConfig::new(cluster.url()).connect_timeout(DEADLINE / 10);
    let store = RedisStore::new(config.command_timeout(DEADLINE / 2)).expect("acceptable");
    let key = namespace();
    store.set(&key, "value".into(), LONG).await.expect("stored");
    let primary = cluster.owner(slot_of(&cluster.servers[0], &key).await).await;
    let replica = cluster.replica_of(primary).await;
    // A slot of others, which moves while the primary is silent: who asks for it learns who serves what by then.
    let (next, last) = ((primary + 1) % PRIMARIES, (primary + 2) % PRIMARIES);
    let (mut other, mut moved) = (namespace(), 0);
    while cluster.owner(moved).await != next {
        other = namespace();
        moved = slot_of(&cluster.servers[0], &other).await;
    }
    store.set(&other, "value".into(), LONG).await.expect("stored");
    cluster.servers[primary].pause();
    let lease = LeaseRequest::new(&key, Token::random(), LeaseKind::Put, LONG);
    let learns = async {
        cluster.is_primary(replica).await;
        cluster.is_up(next).await;
        cluster.is_up(last).await;
        cluster.move_slot(moved, next, last).await;
        assert!(store.entry(&other).await.expect("followed").is_some());
    };
    let (leased, ()) = tokio::join!(store.lease_one(lease), learns);
    cluster.servers[primary].resume();
    assert_eq!(leased.expect_err("nobody answered").kind(), ErrorKind::Timeout);
}

/// Upholds G6, G7.
#[tokio::test]
async fn a_cluster_that_is_down_costs_no_call() {
    let mut cluster = RedisCluster::start().await;
    let cache = cache(&cluster.url(), &namespace());
    let loads = AtomicU64::new(0);
    for id in 0..20 {
        assert_eq!(cache.scope(item(id, &loads)).await, id * 2);
    }
    let replica = cluster.replica_of(0).await;
    cluster.servers[replica].stop();
    cluster.servers[0].stop();
    let down = async || {
        let mut client = cluster.servers[1].client().await;
        let info: String = redis::cmd("CLUSTER").arg("INFO").query_async(&mut client).await.expect("INFO");
        info.contains("cluster_state:fail")
    };
    wait_until("the cluster is down", 4 * DEADLINE, down).await;
    for id in 0..20 {
        assert_eq!(cache.scope(item(id, &loads)).await, id * 2, "no call fails");
    }
    let error = cache.evict_tags(["items"]).await.expect_err("not done");
    assert!(error.kind() != ErrorKind::Config, "{error}");
    assert!(cache.warnings().iter().any(|warning| matches!(warning, Warning::KeptEvicts { .. })));
}
