//! Direct calls and batches wait for the store no longer in all than their deadline says, beyond their first request.

use std::collections::HashMap;
use std::time::Duration;

use cachemacro::{Cache, ErrorKind, Lookup};
use cachemacro_tests::{DEADLINE, FaultProxy, RedisServer, namespace};

/// What each round trip takes at least.
const ROUND_TRIP: Duration = Duration::from_millis(80);

/// A cache over a connection that is slow, connected.
async fn slow(deadline: Duration) -> (RedisServer, FaultProxy, Cache) {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let settings = Cache::builder().redis(proxy.url()).namespace(&namespace()).guarded(false);
    let cache = settings.command_timeout(DEADLINE).deadline(deadline).build().expect("acceptable settings");
    cache.connect().await.expect("the server is there");
    proxy.delay(ROUND_TRIP / 2);
    (server, proxy, cache)
}

async fn load(ids: Vec<u64>) -> HashMap<u64, u64> {
    ids.into_iter().map(|id| (id, id * 2)).collect()
}

/// Upholds G6.
#[tokio::test]
async fn what_takes_several_round_trips_ends_with_its_deadline() {
    let (_server, proxy, cache) = slow(ROUND_TRIP + Duration::from_millis(10)).await;
    let row = cache.entry::<u64>("row", 1).with_tags(["rows"]);
    let error = row.set(&1).await.expect_err("versions, then the value");
    // Where the machine is busy there is no time left to ask a second time.
    assert!(matches!(error.kind(), ErrorKind::Timeout | ErrorKind::Connect), "{error}");
    let Lookup::Vacant(vacancy) = cache.lookup::<u64>("other", 1).await.expect("its read has its own time")
    else {
        panic!("nothing was stored")
    };
    assert!(!vacancy.is_held(), "there was no time to ask for a lease");
    assert_eq!(cache.get_or_load_many("row", 1..=10, load).await.len(), 10, "loaded");
    proxy.pass();
    assert_eq!(cache.get::<u64>("row", 10).await.expect("the server answers"), None, "and not stored");
}

/// Upholds G6.
#[tokio::test]
async fn what_has_the_time_for_it_does_all_of_it() {
    let (_server, proxy, cache) = slow(DEADLINE).await;
    let row = cache.entry::<u64>("row", 1).with_tags(["rows"]);
    row.set(&1).await.expect("in time");
    assert_eq!(row.update(|row| row.unwrap_or(0) + 1).await.expect("in time"), 2);
    assert_eq!(cache.increment("count", 1, 5).await.expect("in time"), 5);
    assert_eq!(cache.get_or_load_many("row", 2..=10, load).await.len(), 9);
    proxy.pass();
    assert_eq!(row.get().await.expect("the server answers"), Some(2));
    assert_eq!(cache.get::<u64>("row", 10).await.expect("the server answers"), Some(20), "stored");
}
