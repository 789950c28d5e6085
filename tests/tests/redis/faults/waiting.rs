//! Waiting for a key to change, with the server's push and without.

use super::*;

/// A store whose tracking connection is there.
async fn pushed(server: &RedisServer, url: &str) -> RedisStore {
    let store = patient(url);
    let mut client = server.client().await;
    store.lease_one(request("warm", 1)).await.expect("lease");
    wait_until("a connection tracks", DEADLINE, async || {
        store.changed("warm", Duration::from_millis(20)).await;
        let list: String =
            redis::cmd("CLIENT").arg("LIST").query_async(&mut client).await.expect("CLIENT LIST");
        list.contains("flags=t")
    })
    .await;
    store
}

/// How long a waiter waits for what `change` does once it is there.
async fn waits(store: &RedisStore, key: &str, change: impl Future<Output = ()>) -> Duration {
    let wait = async {
        let began = Instant::now();
        store.changed(key, DEADLINE).await;
        began.elapsed()
    };
    let change = async {
        tokio::time::sleep(Duration::from_millis(50)).await;
        change.await;
    };
    tokio::join!(wait, change).0
}

/// Shorter than the shortest time after which a waiter looks for itself.
const SOON: Duration = Duration::from_millis(400);

/// A waiter that nobody wakes is late every time; on a busy machine one that is woken may be, now and then.
async fn is_soon(mut wait: impl AsyncFnMut(u32) -> Duration) {
    let mut late = Vec::new();
    for attempt in 0..5 {
        let waited = wait(attempt).await;
        if waited < SOON {
            return;
        }
        late.push(waited);
    }
    panic!("always late: {late:?}");
}

#[tokio::test]
async fn a_fill_a_release_and_an_evict_wake_those_who_wait() {
    let server = RedisServer::start();
    let sleeper = pushed(&server, &server.url()).await;
    let other = patient(&server.url());
    other.connect().await.expect("connected");
    for what in ["fill", "release", "evict", "flush"] {
        is_soon(async |attempt| {
            let key = &format!("{what} {attempt}");
            other.lease_one(request(key, 7)).await.expect("lease");
            let waited = waits(&sleeper, key, change(&server, &other, what, key)).await;
            let early = waited < Duration::from_millis(40);
            assert!(!early, "{what}: woken before it happened, after {waited:?}");
            waited
        })
        .await;
    }
}

/// One of the ways in which a lease ends.
async fn change(server: &RedisServer, store: &RedisStore, what: &str, key: &str) {
    match what {
        "fill" => {
            let bytes = value(store, 1);
            assert!(store.write_one(fill(key, 7, bytes)).await.expect("fill").accepted);
        }
        "release" => assert!(store.release(key, 7).await.expect("release")),
        "evict" => drop(store.evict_one(key).await.expect("evict")),
        _ => {
            let flush = redis::cmd("FLUSHALL").exec_async(&mut server.client().await).await;
            flush.expect("FLUSHALL");
        }
    }
}

#[tokio::test]
async fn who_is_told_of_changes_seldom_asks_meanwhile() {
    let server = RedisServer::start();
    let waiting = Arc::new(FaultStore::new(Arc::new(pushed(&server, &server.url()).await)));
    let cache = |store: Arc<dyn Store>| {
        let settings = Cache::builder().store(store).namespace("told").lease(LIFE);
        settings.wait(Duration::from_secs(1)).build().expect("acceptable settings")
    };
    let here = cache(waiting.clone()).entry::<u32>("row", 7);
    let there = cache(Arc::new(patient(&server.url()))).entry::<u32>("row", 7);
    let Ok(Lookup::Vacant(vacancy)) = there.lookup().await else { panic!("nothing is there") };
    assert_eq!(here.get_or_load(async || 1).await, 1, "it waited in vain");
    // At first, after half a second at the earliest, and at the end. Who polls asks ten times and more.
    let asked = waiting.count(Op::Lease);
    assert!(asked <= 4, "{asked}");

    let here = here.with_policy(Policy::new().wait(DEADLINE));
    let load = async || panic!("it is filled meanwhile");
    let fill = async {
        wait_until("someone waits", DEADLINE, async || waiting.count(Op::Lease) > asked).await;
        vacancy.fill(&2).await
    };
    let (found, filled) = tokio::join!(here.get_or_load(load), fill);
    assert!(filled.expect("a small value").is_stored());
    assert_eq!(found, 2);
}

#[tokio::test]
async fn what_changed_just_before_is_not_waited_for() {
    let server = RedisServer::start();
    let store = pushed(&server, &server.url()).await;
    store.set("k", value(&store, 1), LIFE).await.expect("set");
    is_soon(async |_| {
        let began = Instant::now();
        store.changed("k", DEADLINE).await;
        store.changed("missing", DEADLINE).await;
        began.elapsed()
    })
    .await;
}

#[tokio::test]
async fn a_wait_ends_with_the_lease_it_is_for() {
    let server = RedisServer::start();
    let store = pushed(&server, &server.url()).await;
    store.set("k", value(&store, 1), LIFE).await.expect("set");
    // Nobody writes when a lease lapses in place.
    is_soon(async |attempt| {
        let token = u64::from(attempt) + 7;
        let mut lease = request("k", token).with_seen(FillId::new(1));
        lease.live = Duration::from_millis(100);
        assert!(matches!(store.lease_one(lease).await.expect("lease").outcome, LeaseOutcome::Taken));
        let began = Instant::now();
        store.changed("k", DEADLINE).await;
        began.elapsed()
    })
    .await;
}

#[tokio::test]
async fn a_lost_connection_wakes_those_who_wait() {
    is_soon(async |_| {
        let server = RedisServer::start();
        let proxy = FaultProxy::start(&server.address());
        let store = pushed(&server, &proxy.url()).await;
        store.lease_one(request("k", 7)).await.expect("lease");
        waits(&store, "k", async { proxy.cut() }).await
    })
    .await;
}

#[tokio::test]
async fn pushes_that_get_lost_delay_a_waiter_but_do_not_strand_it() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let store = pushed(&server, &proxy.url()).await;
    let mut lease = request("k", 7);
    lease.live = LIFE;
    store.lease_one(lease).await.expect("lease");
    let waited = waits(&store, "k", async { proxy.black_hole() }).await;
    assert!(waited < Duration::from_secs(5), "{waited:?}");
}

#[tokio::test]
async fn where_tracking_is_forbidden_waiting_is_polling() {
    let server = RedisServer::start();
    let mut acl = redis::cmd("ACL");
    // All of `CLIENT`: Redis 6.2 cannot forbid a part of a command.
    acl.arg(&["SETUSER", "app", "on", ">pw", "~*", "&*", "+@all", "-client"]);
    acl.exec_async(&mut server.client().await).await.expect("ACL");
    let proxy = FaultProxy::start(&server.address());
    let store = patient(&proxy.bare_url().replace("redis://", "redis://app:pw@"));
    store.connect().await.expect("connected");
    let shared = proxy.accepted();
    store.lease_one(request("k", 7)).await.expect("lease");
    for _ in 0..30 {
        let began = Instant::now();
        store.changed("k", DEADLINE).await;
        assert!(began.elapsed() < DEADLINE / 2, "{:?}", began.elapsed());
    }
    assert_eq!(proxy.accepted() - shared, 1, "it asks for tracking once, and not again at every wait");
}

#[tokio::test]
async fn with_pushes_off_no_connection_is_opened_for_them() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let config = RedisConfig::new(proxy.url()).push(false).handles(1);
    let store = RedisStore::new(config).expect("config");
    store.entry("k").await.expect("read");
    store.changed("k", DEADLINE).await;
    store.changed("k", DEADLINE).await;
    assert_eq!(proxy.accepted(), 1);
}
