//! What a miss costs: commands that the server runs, and round trips that the caller waits for.

use std::convert::Infallible;

use cachemacro::Cache;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, wait_until};
use redis::aio::MultiplexedConnection;

/// How many misses are counted.
const MISSES: u64 = 100;

/// How many commands the server ran since it was last asked to forget, those within scripts included.
async fn commands(client: &mut MultiplexedConnection) -> u64 {
    ran(client, |name| !name.starts_with("config") && !name.starts_with("info")).await
}

/// How many commands with such a name.
async fn ran(client: &mut MultiplexedConnection, counts: impl Fn(&str) -> bool) -> u64 {
    let stats: String = redis::cmd("INFO").arg("commandstats").query_async(client).await.expect("INFO");
    let lines = stats.lines().filter_map(|line| line.strip_prefix("cmdstat_")?.split_once(":calls="));
    lines
        .filter(|(name, _)| counts(name))
        .map(|(_, rest)| {
            rest.split(',').next().and_then(|calls| calls.parse::<u64>().ok()).expect("a number")
        })
        .sum()
}

async fn forget(client: &mut MultiplexedConnection) {
    redis::cmd("CONFIG").arg("RESETSTAT").exec_async(client).await.expect("CONFIG");
}

async fn miss(cache: &Cache, number: u64, tags: &[&str]) {
    let entry = cache.entry::<u64>("row", number).with_tags(tags);
    assert_eq!(entry.get_or_load(async || number).await, number);
}

/// Waits until the server has all values that were loaded.
async fn stored(cache: &Cache, values: u64) {
    wait_until("the values are stored", DEADLINE, async || cache.stats().total.fills == values).await;
}

#[tokio::test]
async fn a_miss_takes_five_commands_with_tags_too() {
    let server = RedisServer::start();
    let mut client = server.client().await;
    for tags in [&[][..], &["a"], &["a", "b", "c"]] {
        let cache = Cache::builder().redis(server.url()).namespace(&namespace()).build().expect("acceptable");
        // The first makes the versions.
        miss(&cache, 0, tags).await;
        stored(&cache, 1).await;
        forget(&mut client).await;
        for number in 1..=MISSES {
            miss(&cache, number, tags).await;
        }
        stored(&cache, 1 + MISSES).await;
        let ran = commands(&mut client).await;
        // The server tells its time along now and then.
        assert!((5 * MISSES..=5 * MISSES + MISSES / 10).contains(&ran), "{} tags: {ran}", tags.len());
    }
}

#[tokio::test]
async fn the_leases_of_many_take_no_script_each_where_nothing_is_there() {
    let server = RedisServer::start();
    let mut client = server.client().await;
    let cache = Cache::builder().redis(server.url()).namespace(&namespace()).build().expect("acceptable");
    // Whether a batch was there before that had made the versions of its tags, or not.
    for tags in [["a", "b", "c"], ["d", "e", "f"]] {
        for first in [0, MISSES] {
            forget(&mut client).await;
            let ids: Vec<u64> = (first..first + MISSES).collect();
            let entry = |id: &u64| cache.entry::<u64>(tags[0], *id).with_tags(tags);
            let load =
                async |ids: Vec<u64>| Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id)).collect());
            let rows = cache.try_get_or_load_many(ids, entry, load).await.expect("no load fails");
            assert_eq!(rows.len() as u64, MISSES);
            // One for each fill, and one or two for all versions together.
            let scripts = ran(&mut client, |name| name.starts_with("eval")).await;
            assert!((MISSES..=MISSES + 5).contains(&scripts), "{scripts} scripts");
        }
    }
}

/// Upholds G1.
#[tokio::test]
async fn what_is_loaded_under_versions_that_were_read_before_an_evict_is_not_read() {
    let server = RedisServer::shared();
    let namespace = namespace();
    let cache = Cache::builder().redis(server.url()).namespace(&namespace).build().expect("acceptable");
    let other = Cache::builder().redis(server.url()).namespace(&namespace).build().expect("acceptable");
    miss(&cache, 0, &["a"]).await;
    let entry = |cache: &Cache| cache.entry::<u64>("row", 7).with_tags(["a"]);
    let mine = entry(&cache);
    let loaded = mine.get_or_load(async || {
        // The lease is had; the load has begun.
        other.evict_tags(["a"]).await.expect("evicted");
        1
    });
    assert_eq!(loaded.await, 1);
    stored(&cache, 2).await;
    assert_eq!(entry(&other).get().await.expect("read"), None);
    assert_eq!(entry(&cache).get_or_load(async || 2).await, 2);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn what_a_runtime_loaded_last_is_stored_though_it_ends() {
    let cache = Cache::builder().redis(RedisServer::shared().url()).namespace(&namespace());
    let cache = cache.build().expect("acceptable");
    for number in 0..20 {
        let first = runtime();
        first.block_on(miss(&cache, number, &["a"]));
        drop(first);
        let entry = cache.entry::<u64>("row", number).with_tags(["a"]);
        let next = runtime().block_on(entry.get_or_load(async || panic!("it was loaded already")));
        assert_eq!(next, number);
    }
}

#[tokio::test]
async fn a_cache_that_is_shut_down_has_stored_what_it_loaded() {
    let (server, namespace) = (RedisServer::shared(), namespace());
    let cache = || Cache::builder().redis(server.url()).namespace(&namespace).build().expect("acceptable");
    for number in 0..20 {
        let one = cache();
        miss(&one, number, &[]).await;
        one.shutdown().await.expect("nothing is left to deliver");
        assert_eq!(one.stats().total.fills, 1);
        assert_eq!(cache().entry::<u64>("row", number).get().await.expect("read"), Some(number));
    }
}

#[cachemacro::cached(prefix = "maybe", key = "{number}", cache = cache)]
async fn maybe(cache: &Cache, number: u64, value: Option<u64>) -> Option<u64> {
    value
}

/// Upholds G9.
#[tokio::test]
async fn a_load_that_found_nothing_to_store_keeps_nobody_from_loading() {
    let cache = Cache::builder().redis(RedisServer::shared().url()).namespace(&namespace());
    let cache = cache.build().expect("acceptable");
    for number in 0..20 {
        assert_eq!(maybe(&cache, number, None).await, None);
        assert_eq!(maybe(&cache, number, Some(7)).await, Some(7));
    }
}
