//! One cache and many runtimes that come and go, as those of tests do: no connection dies under another's caller, no evict is
//! lost with the runtime that began it, and the end of a runtime is no failure.
//!
//! Which mechanism each test is there for:
//!
//! | mechanism | test |
//! |---|---|
//! | connections by runtime | `fifty_runtimes_in_a_row_lose_no_evict_and_find_what_is_stored` |
//! | only failures are charged | the same, and `evicts_do_not_fail_while_connections_are_killed_all_the_time` |
//! | evicts wait for admission | `an_evict_waits_until_a_server_that_restarts_is_back` |
//! | evicts of dropped calls are drained in the background | `an_evict_of_a_dropped_call_outlives_the_runtime_that_it_was_queued_in` |
//! | leases are given back in the background where their runtime ends | `a_lease_given_up_as_its_runtime_ends_is_given_back` |
//! | a runtime's connections go with it | `connections_of_runtimes_that_ended_are_closed` |
//! | pooled connections are opened in the background | `pooled_connections_and_pushes_outlive_the_runtime_that_needed_them_first` |

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use cachemacro::__private::{Plain, When, Writes, write};
use cachemacro::{Cache, Lookup};
use cachemacro_runtime::store::Store;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_tests::{DEADLINE, FaultProxy, Log, RedisServer, Single as _, namespace, rounds, wait_until};
use futures_util::FutureExt as _;
use tokio::runtime::{Builder, Runtime};
use tracing::Level;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime can be built")
}

fn cache(url: &str) -> Cache {
    Cache::builder().redis(url).namespace(&namespace()).build().expect("acceptable settings")
}

/// What a test does with the cache that it shares with others: one load, one hit, one write, one load again.
async fn use_as_a_test_does(cache: &Cache, id: usize) {
    let entry = cache.entry::<usize>("row", id);
    assert_eq!(entry.get_or_load(async || 1).await, 1);
    assert_eq!(entry.get_or_load(async || panic!("it is stored")).await, 1);
    entry.evict().await.expect("evicted");
    assert_eq!(entry.get_or_load(async || 2).await, 2);
    assert_eq!(entry.get_or_load(async || panic!("it is stored")).await, 2);
}

fn expect_all_done(cache: &Cache, times: u64) {
    let total = cache.stats().total;
    assert_eq!((total.failed_evicts, total.hits, total.loads), (0, 2 * times, 2 * times), "{total:?}");
    assert_eq!(total.errors_by_kind().map(|(_, count)| count).sum::<u64>(), 0, "{total:?}");
}

/// Upholds G7.
#[test]
fn fifty_runtimes_in_a_row_lose_no_evict_and_find_what_is_stored() {
    let cache = cache(&RedisServer::shared().url());
    for id in 0..50 {
        runtime().block_on(use_as_a_test_does(&cache, id));
    }
    expect_all_done(&cache, 50);
}

/// Upholds G7.
#[test]
fn eight_threads_of_runtimes_at_once_lose_no_evict_and_find_what_is_stored() {
    let cache = cache(&RedisServer::shared().url());
    std::thread::scope(|threads| {
        for thread in 0..8 {
            let cache = &cache;
            threads.spawn(move || {
                for id in 0..25 {
                    runtime().block_on(use_as_a_test_does(cache, thread * 1_000 + id));
                }
            });
        }
    });
    expect_all_done(&cache, 8 * 25);
}

/// Upholds G7.
#[test]
fn the_end_of_a_runtime_is_no_failure() {
    let log = Log::default();
    let cache = log.under(|| {
        let cache = cache(&RedisServer::shared().url());
        for id in 0..20 {
            let runtime = runtime();
            runtime.block_on(use_as_a_test_does(&cache, id));
            // Some are ended in the middle of a call, and of an attempt to connect.
            let entry = cache.entry::<usize>("other", id);
            runtime.spawn(async move { entry.get_or_load(async || 1).await });
            let other =
                Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
            let entry = cache.entry::<usize>("another", id);
            other.spawn(async move { entry.get_or_load(async || 1).await });
            other.shutdown_background();
        }
        cache
    });
    assert_eq!(cache.stats().total.failed_evicts, 0);
    assert_eq!(log.alarms(), []);
    assert_eq!(log.found(Level::INFO, "answers again"), []);
}

/// The connections that the server has from this test's proxy.
async fn clients(server: &RedisServer) -> usize {
    let list: String =
        redis::cmd("CLIENT").arg("LIST").query_async(&mut server.client().await).await.expect("CLIENT LIST");
    // Without the one that asks.
    list.lines().count() - 1
}

/// Upholds G7.
#[test]
fn connections_of_runtimes_that_ended_are_closed() {
    let server = RedisServer::start();
    let store = RedisStore::new(RedisConfig::new(server.url()).push(false)).expect("config");
    for _ in 0..30 {
        runtime().block_on(async { store.connect().await.expect("connected") });
    }
    runtime().block_on(async {
        wait_until("no connection is left", DEADLINE, async || clients(&server).await == 0).await;
        store.entry("k").await.expect("read");
    });
    let shown = format!("{store:?}");
    assert!(shown.contains("runtimes: 0"), "{shown}");
}

/// Upholds G7.
#[test]
fn pooled_connections_and_pushes_outlive_the_runtime_that_needed_them_first() {
    let server = RedisServer::start();
    let proxy = FaultProxy::start(&server.address());
    let store =
        RedisStore::new(RedisConfig::new(proxy.url()).handles(1).command_timeout(DEADLINE)).expect("config");
    for _ in 0..3 {
        runtime().block_on(async {
            store.evict_prefix("none such").await.expect("scanned");
            wait_until("waiters are woken by push", DEADLINE, async || {
                store.changed("k", Duration::from_millis(5)).await;
                store.changes().is_some_and(cachemacro_runtime::store::Changes::are_told)
            })
            .await;
        });
    }
    assert_eq!(proxy.accepted(), 2, "one pooled connection, one for pushes");
}

/// Upholds G7.
#[test]
fn an_evict_of_a_dropped_call_outlives_the_runtime_that_it_was_queued_in() {
    let cache = cache(&RedisServer::shared().url());
    for id in 0..20_u64 {
        let entry = cache.entry::<u64>("row", id);
        runtime().block_on(async {
            assert_eq!(entry.get_or_load(async || 1).await, 1);
            cache.stored().await;
            let evict = Writes::new(Plain).evict(Some(&cache), When::default()).evict_entry(&entry);
            let mut dropped = Box::pin(async {
                write(evict, pin!(std::future::pending::<()>()), |(), writes| writes).await;
            });
            assert!(dropped.as_mut().now_or_never().is_none());
        });
    }
    let began = Instant::now();
    while !format!("{cache:?}").contains("evicts: 0") {
        assert!(began.elapsed() < DEADLINE, "nobody drains the queue");
        std::thread::sleep(Duration::from_millis(2));
    }
    let total = cache.stats().total;
    assert_eq!((total.evicts, total.failed_evicts), (20, 0));
}

/// Runs a future on a thread that belongs to no runtime.
/// Upholds G9.
#[test]
fn a_lease_given_up_as_its_runtime_ends_is_given_back() {
    let (server, namespace) = (RedisServer::shared(), namespace());
    // A lease that is not given back lives much longer than this test waits.
    let cache = Cache::builder().redis(server.url()).namespace(&namespace).lease(Duration::from_mins(1));
    let cache = cache.build().expect("acceptable settings");
    for id in 0..20_u64 {
        runtime().block_on(async {
            let vacant = cache.entry::<u64>("free", id).lookup().await.expect("the server answers");
            assert!(matches!(&vacant, Lookup::Vacant(vacancy) if vacancy.is_held()));
        });
    }
    runtime().block_on(async {
        let mut client = server.client().await;
        wait_until("all are given back", DEADLINE, async || {
            let mut keys = redis::cmd("KEYS");
            let left: Vec<String> =
                keys.arg(format!("{namespace}:*")).query_async(&mut client).await.expect("KEYS");
            left.is_empty()
        })
        .await;
    });
}

fn outside<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(std::thread::Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(output) => return output,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// Upholds G7.
#[test]
fn a_caller_outside_any_runtime_is_served() {
    let store = RedisStore::new(RedisConfig::new(RedisServer::shared().url())).expect("config");
    let key = namespace();
    outside(store.connect()).expect("connected");
    outside(store.set(&key, vec![7; 100].into(), DEADLINE)).expect("set");
    assert!(outside(store.entry(&key)).expect("read").is_some());
    outside(store.changed(&key, Duration::from_millis(1)));
    assert_eq!(outside(store.evict_prefix(&key)).expect("evicted"), 1);
    outside(store.health()).expect("healthy");
    outside(store.time()).expect("told");
    outside(store.close());
}

/// Upholds G7.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn evicts_do_not_fail_while_connections_are_killed_all_the_time() {
    let server = RedisServer::start();
    let cache = Cache::builder().redis(server.url()).namespace("killed");
    let cache = cache.command_timeout(Duration::from_secs(2)).build().expect("acceptable settings");
    let over = Arc::new(AtomicBool::new(false));
    let evicting: Vec<_> = (0..4_u64)
        .map(|task| {
            let (cache, over) = (cache.clone(), over.clone());
            tokio::spawn(async move {
                let mut evicts = 0_u64;
                while !over.load(Ordering::SeqCst) {
                    cache.evict_key("row", task).await.expect("evicted");
                    cache.evict_tags(["tag"]).await.expect("evicted");
                    evicts += 2;
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                evicts
            })
        })
        .collect();
    let mut killer = server.client().await;
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3 * rounds(1)) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let mut kill = redis::cmd("CLIENT");
        kill.arg("KILL").arg("TYPE").arg("normal").arg("SKIPME").arg("yes");
        kill.exec_async(&mut killer).await.expect("CLIENT KILL");
    }
    over.store(true, Ordering::SeqCst);
    for task in evicting {
        assert!(task.await.expect("no evict failed") > 20);
    }
}

/// Upholds G7.
#[tokio::test]
async fn an_evict_waits_until_a_server_that_restarts_is_back() {
    let mut server = RedisServer::start();
    let config = RedisConfig::new(server.url()).command_timeout(DEADLINE / 3);
    let store = Arc::new(RedisStore::new(config).expect("config"));
    store.connect().await.expect("connected");
    server.stop();
    // It finds its connections broken, and nobody listening, at least once.
    let began = Instant::now();
    while store.entry("k").await.is_ok() {
        assert!(began.elapsed() < DEADLINE, "the server is gone");
    }
    let evict = tokio::spawn({
        let store = store.clone();
        async move { store.evict_one("k").await }
    });
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!evict.is_finished(), "it waits");
    server.restart();
    evict.await.expect("no panic").expect("evicted");
}
