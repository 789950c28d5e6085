//! While the breaker is open nobody waits for Redis, and it closes by itself.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use cachemacro::store::BreakerConfig;
use cachemacro::{
    BreakerState, Cache, CacheBuilder, ErrorKind, Event, Observation, Observer, Warning, cache_evict,
    cache_put, cached,
};
use cachemacro_tests::halt::ended;
use cachemacro_tests::{FaultProxy, RedisServer, namespace, wait_for};

/// How long the function of each call takes.
const LOAD: Duration = Duration::from_millis(2);
/// A call that waits for a server that does not answer takes a command timeout longer than its function, 250 ms. This is what it
/// may take on a machine that is busy.
const NO_WAIT: Duration = Duration::from_millis(100);

fn settings(server: &RedisServer) -> CacheBuilder {
    Cache::builder().redis(server.url()).namespace(&namespace())
}

async fn call(cache: &Cache, key: u64) -> Duration {
    let began = Instant::now();
    let load = async || {
        tokio::time::sleep(LOAD).await;
        key
    };
    assert_eq!(cache.get_or_load("row", key, load).await, key);
    began.elapsed()
}

/// Many tasks call for so long; what each call took, in order.
async fn calls_for(cache: &Cache, time: Duration) -> Vec<Duration> {
    let until = Instant::now() + time;
    let tasks = (0..32_u64).map(|task| {
        let cache = cache.clone();
        tokio::spawn(async move {
            let (mut took, mut round) = (Vec::new(), 0);
            while Instant::now() < until {
                round += 1;
                took.push(call(&cache, task * 1_000 + round % 7).await);
            }
            took
        })
    });
    let mut took = Vec::new();
    for task in tasks.collect::<Vec<_>>() {
        took.extend(ended(task).await);
    }
    took.sort_unstable();
    took
}

/// The state of the breaker of a cache.
fn state(cache: &Cache) -> BreakerState {
    cache.stats().breaker.expect("it has one")
}

async fn is_closed(cache: &Cache) {
    wait_for("the breaker closes", || state(cache) == BreakerState::Closed).await;
}

#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<BreakerState>>>);

impl Observer for Told {
    fn event(&self, seen: &Observation<'_>) {
        if let Event::Breaker(state) = seen.event {
            self.0.lock().expect("not poisoned").push(state);
        }
    }
}

/// Upholds G6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_waits_for_a_server_that_fell_silent_once_a_second_has_passed() {
    let server = RedisServer::start();
    let told = Told::default();
    let cache = settings(&server).observer(told.clone()).build().expect("acceptable settings");
    let before = calls_for(&cache, Duration::from_millis(200)).await;
    assert_eq!(state(&cache), BreakerState::Closed);
    server.pause();
    calls_for(&cache, Duration::from_secs(1)).await;
    assert_ne!(state(&cache), BreakerState::Closed);
    assert!(cache.warnings().contains(&Warning::BreakerOpen));
    // Several trials are made meanwhile.
    let took = calls_for(&cache, Duration::from_secs(2)).await;
    let (half, of_100) = (took[took.len() / 2], took[took.len() * 99 / 100]);
    println!(
        "silent: {} calls, half within {half:?}, 99 % within {of_100:?}; before: {:?}",
        took.len(),
        before[before.len() * 99 / 100]
    );
    assert!(of_100 < LOAD + NO_WAIT, "99 % of {} calls took up to {of_100:?}", took.len());
    assert!(took.last().is_some_and(|longest| *longest < LOAD + NO_WAIT * 2), "{:?}", took.last());
    server.resume();
    is_closed(&cache).await;
    let before = cache.stats().total.hits;
    wait_for_hits(&cache, before).await;
    assert!(cache.warnings().is_empty(), "{:?}", cache.warnings());
    assert_eq!(cache.health().await.expect("it answers").breaker, Some(BreakerState::Closed));
    let told = told.0.lock().expect("not poisoned").clone();
    assert_eq!((told.first(), told.last()), (Some(&BreakerState::Open), Some(&BreakerState::Closed)));
    assert!(told.contains(&BreakerState::HalfOpen), "{told:?}");
}

async fn wait_for_hits(cache: &Cache, before: u64) {
    let began = Instant::now();
    while cache.stats().total.hits <= before + 10 {
        assert!(began.elapsed() < Duration::from_secs(30), "the cache does not come back");
        call(cache, 1).await;
    }
}

/// Upholds G6.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_waits_for_a_server_that_is_gone_and_hits_come_back_with_it() {
    let mut server = RedisServer::start();
    let cache = settings(&server).build().expect("acceptable settings");
    calls_for(&cache, Duration::from_millis(100)).await;
    server.stop();
    let took = calls_for(&cache, Duration::from_secs(1)).await;
    let of_100 = took[took.len() * 99 / 100];
    println!("gone: {} calls, 99 % within {of_100:?}", took.len());
    assert!(of_100 < LOAD + NO_WAIT, "99 % of {} calls took up to {of_100:?}", took.len());
    assert_ne!(state(&cache), BreakerState::Closed);
    let began = Instant::now();
    assert_eq!(cache.evict_key("row", 7).await.expect_err("not done").kind(), ErrorKind::Connect);
    assert!(began.elapsed() < NO_WAIT, "an evict took {:?}", began.elapsed());
    server.restart();
    let began = Instant::now();
    is_closed(&cache).await;
    wait_for_hits(&cache, cache.stats().total.hits).await;
    println!("gone: hits {:?} after it was back", began.elapsed());
}

/// Upholds G6.
#[tokio::test]
async fn a_server_that_answers_slowly_is_left_alone() {
    let proxy = FaultProxy::start(&RedisServer::shared().address());
    let breaker = BreakerConfig::new().slow(Duration::from_millis(50));
    let settings = Cache::builder().redis(proxy.url()).namespace(&namespace()).breaker(breaker);
    let cache = settings.command_timeout(Duration::from_secs(10)).build().expect("acceptable settings");
    call(&cache, 1).await;
    proxy.delay(Duration::from_millis(100));
    for key in 0..3 {
        call(&cache, key).await;
    }
    assert_eq!(cache.stats().breaker_trips, 1);
    let took = call(&cache, 1).await;
    assert!(took < Duration::from_millis(100), "{took:?}, and the server's answer takes 200 ms");
    proxy.pass();
    is_closed(&cache).await;
}

/// Upholds G6.
#[tokio::test]
async fn who_waits_for_another_process_does_not_wait_for_a_server_that_fell_silent() {
    let server = RedisServer::start();
    let namespace = namespace();
    let processes: Vec<_> = (0..2)
        .map(|_| Cache::builder().redis(server.url()).namespace(&namespace).wait(Duration::from_mins(1)))
        .map(|settings| settings.build().expect("acceptable settings"))
        .collect();
    let [holder, waiter] = &processes[..] else { unreachable!("two were made") };
    let held = holder.lookup::<u64>("row", 1).await.expect("nothing is there yet");
    let waits = tokio::spawn({
        let waiter = waiter.clone();
        async move { waiter.get_or_load("row", 1, async || 7_u64).await }
    });
    wait_for("it waits", || waiter.stats().total.misses() == 1).await;
    server.pause();
    let began = Instant::now();
    for key in 2..6 {
        call(waiter, key).await;
    }
    assert_ne!(state(waiter), BreakerState::Closed);
    assert_eq!(ended(waits).await, 7);
    println!("a caller that waits goes on after {:?}", began.elapsed());
    assert!(began.elapsed() < Duration::from_secs(20), "it may wait for a minute");
    server.resume();
    drop(held);
}

/// Upholds G7.
#[tokio::test]
async fn what_is_evicted_while_it_is_open_is_evicted_once_the_server_is_back_and_not_served_before() {
    let server = RedisServer::start();
    let namespace = namespace();
    let cache = || {
        let settings = Cache::builder().redis(server.url()).namespace(&namespace);
        settings.build().expect("acceptable settings")
    };
    let (cache, other) = (cache(), cache());
    cache.set("row", 1, &1_u64).await.expect("stored");
    server.pause();
    for key in 2..10 {
        call(&cache, key).await;
    }
    assert_ne!(state(&cache), BreakerState::Closed);
    let began = Instant::now();
    assert!(cache.evict_key("row", 1).await.is_err(), "never reported as done");
    assert!(began.elapsed() < NO_WAIT, "an evict took {:?}", began.elapsed());
    server.resume();
    wait_for("it is sent by itself", || cache.stats().total.replayed_evicts == 1).await;
    assert_eq!(other.get::<u64>("row", 1).await.expect("read"), None);
    assert!(cache.get::<u64>("row", 1).await.is_ok_and(|found| found.is_none()));
}

#[cached(prefix = "row", key = "{id}", entry = row_entry)]
async fn row(id: u64) -> u64 {
    id
}

#[cache_put(entry = row_entry(id))]
async fn put(id: u64) -> u64 {
    id
}

#[cache_evict(entry = row_entry(id), tags = ["rows"])]
async fn evict(id: u64) -> u64 {
    id
}

/// Upholds G6.
#[tokio::test]
async fn whatever_a_call_does_at_a_server_that_fell_silent_has_one_deadline() {
    const DEADLINE: Duration = Duration::from_millis(300);
    let server = RedisServer::start();
    // Each request would wait for a minute.
    let minute = Duration::from_mins(1);
    let settings = settings(&server).guarded(false).command_timeout(minute).deadline(DEADLINE);
    let cache = settings.build().expect("acceptable settings");
    cache.connect().await.expect("connected");
    let calls = async {
        let held = row_entry(1).lookup().await.expect("nothing is there");
        let mut took = Vec::new();
        let began = Instant::now();
        server.pause();
        assert_eq!(put(2).await, 2);
        took.push(("a put", began.elapsed()));
        let began = Instant::now();
        assert_eq!(evict(3).await, 3);
        took.push(("an evict", began.elapsed()));
        server.resume();
        wait_for("what failed is sent", || cache.stats().total.replayed_evicts >= 3).await;
        // The read and the lease are answered, and the fill is not.
        let began = Instant::now();
        let load = async || {
            server.pause();
            7_u64
        };
        assert_eq!(cache.get_or_load("other", 1, load).await, 7);
        took.push(("a fill", began.elapsed()));
        server.resume();
        drop(held);
        took
    };
    for (what, took) in cache.scope(calls).await {
        println!("{what}: {took:?}");
        assert!(took < Duration::from_secs(20), "{what} took {took:?}");
    }
    assert_eq!(cache.scope(row(5)).await, 5);
}
