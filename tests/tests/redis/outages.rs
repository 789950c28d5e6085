//! Whatever happens to Redis, cached functions run and return, in bounded time, and the cache comes back by itself.

use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cachemacro::__private::{Fallible, NoRules, Plain, When, Writes, write};
use cachemacro::{Cache, CacheBuilder, ErrorKind, MissReason};
use cachemacro_tests::halt::ended;
use cachemacro_tests::server::run;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, rounds, wait_for};
use futures_util::FutureExt as _;
use futures_util::future::join_all;

/// What no call may take, with the default deadlines and a machine that is busy: reading, asking for a lease,
/// storing and giving back each end within the command timeout or that for connecting.
const BOUND: Duration = Duration::from_secs(8);

/// A cache as an application would make it.
fn cache(server: &RedisServer) -> Cache {
    settings(server).build().expect("acceptable settings")
}

fn settings(server: &RedisServer) -> CacheBuilder {
    let settings = Cache::builder().redis(server.url()).namespace(&namespace());
    settings.lease(Duration::from_millis(500)).wait(Duration::from_secs(2))
}

/// Readers and writers that go on until told to stop.
struct Traffic {
    cache: Cache,
    over: Arc<AtomicBool>,
    tasks: Vec<tokio::task::JoinHandle<Duration>>,
}

impl Traffic {
    fn start(cache: &Cache) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let tasks = (0..16_u64)
            .map(|task| {
                let (cache, over) = (cache.clone(), over.clone());
                tokio::spawn(async move {
                    let mut longest = Duration::ZERO;
                    let mut round = 0;
                    while !over.load(Ordering::SeqCst) {
                        round += 1;
                        let began = Instant::now();
                        let number = pick(task, round);
                        if task == 0 {
                            write_once(&cache, round, number).await;
                        } else {
                            read_once(&cache, number).await;
                        }
                        longest = longest.max(began.elapsed());
                    }
                    longest
                })
            })
            .collect();
        Self { cache: cache.clone(), over, tasks }
    }

    /// Waits until reads are answered from the store again and loads are stored.
    async fn flows(&self) {
        let before = self.cache.stats().total;
        let flows = || {
            let stats = self.cache.stats().total;
            stats.hits > before.hits + 200 && stats.fills > before.fills
        };
        wait_for("the cache serves again", flows).await;
    }

    async fn stop(self) {
        self.over.store(true, Ordering::SeqCst);
        for task in self.tasks {
            let longest = ended(task).await;
            assert!(longest < BOUND, "a call took {longest:?}");
        }
    }
}

/// Which number a task takes in a round: the same in every run, and no task in step with another. Readers that went
/// through the numbers in the order in which the writer evicts them would find each one gone.
fn pick(task: u64, round: u64) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((task, round)) % 20
}

async fn read_once(cache: &Cache, number: u64) {
    let entry = cache.entry::<u64>("number", &number).with_tags([format!("tag {}", number % 3)]);
    let load = async || {
        tokio::time::sleep(Duration::from_millis(1)).await;
        Ok::<_, std::convert::Infallible>(number * 3)
    };
    let Ok(value) = entry.try_get_or_load(load).await;
    assert_eq!(value, number * 3);
}

async fn write_once(cache: &Cache, round: u64, number: u64) {
    let written = cache.entry::<u64>("written", round % 3);
    let read = cache.entry::<u64>("number", &number);
    let writes = Writes::new(Fallible).put(Some(written), NoRules, false);
    let writes = writes.evict(Some(cache), When::default()).evict_entry(&read);
    let body = pin!(async { Ok::<_, String>(round) });
    assert_eq!(write(writes, body, |_, writes| writes).await, Ok(round));
    tokio::time::sleep(Duration::from_millis(1)).await;
}

/// Upholds G6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flushes_in_the_middle_of_traffic_cost_nobody_an_error() {
    let server = RedisServer::start();
    // The server answers, however busy the machine is.
    let cache = settings(&server).command_timeout(DEADLINE).build().expect("acceptable settings");
    let traffic = Traffic::start(&cache);
    let mut client = server.client().await;
    traffic.flows().await;
    for command in ["FLUSHALL", "SCRIPT FLUSH", "FLUSHALL ASYNC", "SCRIPT FLUSH ASYNC"] {
        run(&mut client, command).await;
        traffic.flows().await;
    }
    // Many at once, so that loads and fills are hit in the middle.
    for _ in 0..rounds(50) {
        run(&mut client, "FLUSHALL").await;
        run(&mut client, "SCRIPT FLUSH").await;
        tokio::task::yield_now().await;
    }
    traffic.flows().await;
    traffic.stop().await;
    let stats = cache.stats().total;
    assert_eq!((stats.failed_evicts, stats.errors_of(ErrorKind::Refused)), (0, 0));
}

/// Upholds G6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_in_the_middle_of_traffic_costs_nobody_an_error() {
    let mut server = RedisServer::start();
    let cache = cache(&server);
    let traffic = Traffic::start(&cache);
    traffic.flows().await;
    for _ in 0..rounds(1) {
        server.stop();
        let failed = cache.stats().total.misses_for(MissReason::StoreFailed);
        wait_for("functions run without the store", || {
            cache.stats().total.misses_for(MissReason::StoreFailed) > failed + 100
        })
        .await;
        server.restart();
        traffic.flows().await;
    }
    traffic.stop().await;
    assert!(cache.stats().total.errors_of(ErrorKind::Connect) > 0);
}

/// Upholds G6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_falls_silent_in_the_middle_of_traffic_costs_nobody_an_error() {
    let server = RedisServer::start();
    let cache = cache(&server);
    let traffic = Traffic::start(&cache);
    traffic.flows().await;
    server.pause();
    let failed = cache.stats().total.misses_for(MissReason::StoreFailed);
    wait_for("functions run without the store", || {
        cache.stats().total.misses_for(MissReason::StoreFailed) > failed + 100
    })
    .await;
    assert!(cache.stats().total.errors_of(ErrorKind::Timeout) > 0);
    server.resume();
    traffic.flows().await;
    traffic.stop().await;
}

/// Upholds G6.
#[tokio::test]
async fn a_service_starts_while_redis_is_down_and_connects_once_it_is_up() {
    let mut server = RedisServer::start();
    server.stop();
    let cache = cache(&server);
    assert_eq!(cache.connect().await.expect_err("nobody is there").kind(), ErrorKind::Connect);
    assert!(cache.health().await.is_err());
    let began = Instant::now();
    for round in 0..20 {
        assert_eq!(cache.get_or_load("row", 7, async || round).await, round, "nothing can be stored");
    }
    assert!(began.elapsed() < BOUND, "twenty calls took {:?}", began.elapsed());
    let stats = cache.stats().total;
    assert_eq!((stats.loads, stats.hits, stats.fills), (20, 0, 0));
    assert_eq!(stats.misses_for(MissReason::StoreFailed), 20);
    assert!(stats.errors_of(ErrorKind::Connect) >= 20, "{stats:?}");
    assert!(cache.evict_key("row", 7).await.is_err(), "an evict that did not happen is told");
    assert_eq!(cache.stats().total.failed_evicts, 1);
    server.restart();
    let began = Instant::now();
    while cache.stats().total.hits == 0 {
        assert!(began.elapsed() < BOUND, "it never connected");
        assert_eq!(cache.get_or_load("row", 7, async || 99).await, 99);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(cache.health().await.is_ok());
}

/// Upholds G6.
#[tokio::test]
async fn a_burst_on_a_silent_server_is_answered_by_two_loads_in_bounded_time() {
    let server = RedisServer::start();
    let cache = cache(&server);
    cache.connect().await.expect("connected");
    server.pause();
    let loads = AtomicU64::new(0);
    let began = Instant::now();
    let calls = (0..500).map(|_| {
        cache.get_or_load("row", 7, async || {
            loads.fetch_add(1, Ordering::SeqCst);
            let all_missed = || cache.stats().total.misses_for(MissReason::StoreFailed) == 500;
            wait_for("all have found that the server is silent", all_missed).await;
            7
        })
    });
    assert!(join_all(calls).await.iter().all(|value| *value == 7));
    assert!(began.elapsed() < BOUND, "{:?}", began.elapsed());
    assert_eq!(loads.load(Ordering::SeqCst), 2, "the first caller's, and one for all who came during it");
    server.resume();
}

#[tokio::test]
async fn evicts_left_by_dropped_calls_do_not_hold_reads_up_for_long() {
    let server = RedisServer::start();
    let cache = cache(&server);
    cache.connect().await.expect("connected");
    server.pause();
    for number in 0..200_u64 {
        let entry = cache.entry::<u64>("number", &number);
        let evict = Writes::new(Plain).evict(Some(&cache), When::default()).evict_entry(&entry);
        let mut dropped = Box::pin(async {
            write(evict, pin!(std::future::pending::<()>()), |(), writes| writes).await;
        });
        assert!(dropped.as_mut().now_or_never().is_none());
    }
    let began = Instant::now();
    for number in 0..5_u64 {
        assert_eq!(cache.get_or_load("other", &number, async || number).await, number);
    }
    assert!(began.elapsed() < BOUND, "five reads took {:?}", began.elapsed());
    server.resume();
    let began = Instant::now();
    while cache.stats().total.hits == 0 {
        assert!(began.elapsed() < BOUND, "the cache does not come back");
        assert_eq!(cache.get_or_load("other", 0, async || 0_u64).await, 0);
    }
    wait_for("none is queued any more", || format!("{cache:?}").contains("evicts: 0")).await;
}
