//! Loads that go on behind their callers: refreshes in the background, and loads that are waited for no longer than they may.
//!
//! Which test fails where a mechanism is removed, each of which was removed once:
//!
//! | removed | test |
//! |---|---|
//! | a refresh in the background is waited for by nobody | `a_refresh_in_the_background_is_waited_for_by_nobody` |
//! | after the soft time the old value is returned | `after_the_soft_time_the_old_value_serves_and_the_load_completes` |
//! | after the hard time what the function says is returned | `after_the_hard_time_the_function_says_what_is_returned` |
//! | the load is a task of its own | `whose_caller_goes_away_is_loaded_all_the_same` |
//! | the load has its caller's cache | `a_load_behind_has_its_callers_cache` |

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, Clock, cached};
use cachemacro_tests::halt::ended;
use cachemacro_tests::{Rig, wait_for};
use tokio::sync::Semaphore;

/// A slow source: each query waits for a permit.
struct Source {
    cache: Cache,
    clock: Clock,
    version: AtomicU32,
    queries: AtomicU32,
    permits: Semaphore,
}

impl Source {
    fn new() -> Arc<Self> {
        let clock = Clock::manual();
        let cache = Cache::builder().memory().clock(clock.clone()).build().expect("acceptable settings");
        let (version, queries) = (AtomicU32::new(1), AtomicU32::new(0));
        Arc::new(Self { cache, clock, version, queries, permits: Semaphore::new(1) })
    }

    async fn query(&self) -> u32 {
        self.queries.fetch_add(1, Ordering::SeqCst);
        self.permits.acquire().await.expect("it stays open").forget();
        self.version.load(Ordering::SeqCst)
    }

    /// The value is older by this, and another one by now.
    fn pass(&self, time: Duration) {
        self.clock.advance(time);
        self.version.fetch_add(1, Ordering::SeqCst);
    }

    fn stored(&self) -> u64 {
        self.cache.stats().total.fills
    }
}

const DUE: Duration = Duration::from_secs(50);
const STALE: Duration = Duration::from_secs(100);

#[cached(cache = source.cache, skip(source), ttl = "1m", stale = "1h", refresh = "80%, background")]
async fn background(source: Arc<Source>) -> u32 {
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1m", stale = "1h", soft = "20ms")]
async fn soft(source: Arc<Source>) -> u32 {
    source.query().await
}

#[cached(cache = source.cache, skip(source), ttl = "1m", timeout = "20ms", on_timeout = Err("late".to_owned()))]
async fn hard(source: Arc<Source>) -> Result<u32, String> {
    Ok(source.query().await)
}

#[cached(cache = source.cache, skip(source), ttl = "1m", timeout = "1h", on_timeout = Err("late".to_owned()))]
async fn patient(source: Arc<Source>) -> Result<u32, String> {
    Ok(source.query().await)
}

#[cached(ttl = "1m", tags = ["limited:{result}"], timeout = "1h")]
async fn limited(id: u32) -> u32 {
    id
}

#[cached(cache = source.cache, skip(source), ttl = "1m", stale = "1h", timeout = "20ms")]
async fn hard_or_stale(source: Arc<Source>) -> Result<u32, String> {
    Ok(source.query().await)
}

#[cached(cache = source.cache, skip(source), timeout = "1h")]
async fn panics(source: Arc<Source>) -> u32 {
    panic!("after {} queries", source.queries.load(Ordering::SeqCst))
}

#[cached(ttl = "1h")]
async fn inner(id: u32) -> u32 {
    id
}

#[cached(ttl = "1h", timeout = "1h")]
async fn outer(id: u32) -> u32 {
    inner(id).await
}

#[tokio::test]
async fn a_refresh_in_the_background_is_waited_for_by_nobody() {
    for age in [DUE, STALE] {
        let source = Source::new();
        assert_eq!(background(source.clone()).await, 1);
        source.pass(age);
        for _ in 0..3 {
            assert_eq!(background(source.clone()).await, 1, "nobody waits, though nothing is loaded yet");
        }
        wait_for("one refresh has begun", || source.queries.load(Ordering::SeqCst) == 2).await;
        source.permits.add_permits(1);
        wait_for("it is stored", || source.stored() == 2).await;
        assert_eq!(background(source.clone()).await, 2);
        let stats = source.cache.stats().total;
        assert_eq!((stats.refreshes, stats.loads, stats.misses()), (1, 2, 1));
    }
}

#[tokio::test]
async fn after_the_soft_time_the_old_value_serves_and_the_load_completes() {
    let source = Source::new();
    assert_eq!(soft(source.clone()).await, 1);
    source.pass(STALE);
    assert_eq!(soft(source.clone()).await, 1);
    assert_eq!(source.queries.load(Ordering::SeqCst), 2);
    source.permits.add_permits(1);
    wait_for("it is stored", || source.stored() == 2).await;
    assert_eq!(soft(source.clone()).await, 2);
    // In time, the new value is returned.
    source.pass(STALE);
    source.permits.add_permits(1);
    assert_eq!(soft(source.clone()).await, 3);
}

#[tokio::test]
async fn after_the_hard_time_the_function_says_what_is_returned() {
    let source = Source::new();
    source.permits.acquire().await.expect("it is open").forget();
    let others: Vec<_> = (0..3).map(|_| tokio::spawn(hard(source.clone()))).collect();
    assert_eq!(hard(source.clone()).await, Err("late".to_owned()));
    for other in others {
        assert_eq!(ended(other).await, Err("late".to_owned()));
    }
    source.permits.add_permits(4);
    wait_for("it is stored", || source.stored() == 1).await;
    assert_eq!(hard(source.clone()).await, Ok(1));
    assert_eq!(source.queries.load(Ordering::SeqCst), 1, "nobody's load was given up");
}

/// Upholds G9.
#[tokio::test]
async fn who_only_waits_for_anothers_load_leaves_nothing_behind() {
    let source = Source::new();
    source.permits.acquire().await.expect("it is open").forget();
    for _ in 0..50 {
        assert_eq!(hard(source.clone()).await, Err("late".to_owned()));
    }
    // This test's, and one that loads.
    wait_for("the others are gone", || Arc::strong_count(&source) <= 3).await;
    assert_eq!(source.queries.load(Ordering::SeqCst), 1);
    source.permits.add_permits(1);
    wait_for("it is stored", || source.stored() == 1).await;
}

/// Upholds G9.
#[test]
fn a_caller_outside_of_the_runtime_does_not_wait_for_a_load_that_ended_with_it() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let source = Source::new();
    runtime.block_on(source.permits.acquire()).expect("it is open").forget();
    let (handle, asked) = (runtime.handle().clone(), source.clone());
    let caller = std::thread::spawn(move || handle.block_on(patient(asked)));
    let began = std::time::Instant::now();
    while source.queries.load(Ordering::SeqCst) == 0 {
        assert!(began.elapsed() < cachemacro_tests::DEADLINE, "the load begins");
        std::thread::yield_now();
    }
    runtime.shutdown_background();
    assert_eq!(caller.join().expect("it is given something instead"), Err("late".to_owned()));
}

/// Upholds G6.
#[tokio::test(start_paused = true)]
async fn a_call_with_a_limit_for_its_load_has_its_deadline_at_the_store_too() {
    let process = Rig::memory().process_with(|builder| builder.deadline(Duration::from_millis(150)));
    for op in [Op::Read, Op::Lease, Op::Fill] {
        process.faults.delay(op, Duration::from_millis(100));
    }
    process.faults.set_immediate(false);
    let began = tokio::time::Instant::now();
    process.cache.scope(limited(7)).await;
    let took = began.elapsed();
    assert!(took <= Duration::from_millis(260), "the first request, and what the deadline leaves: {took:?}");
}

#[tokio::test]
async fn after_the_hard_time_an_old_value_serves() {
    let source = Source::new();
    assert_eq!(hard_or_stale(source.clone()).await, Ok(1));
    source.pass(STALE);
    assert_eq!(hard_or_stale(source.clone()).await, Ok(1));
    source.permits.add_permits(1);
    wait_for("it is stored", || source.stored() == 2).await;
}

/// Upholds G9.
#[tokio::test]
async fn whose_caller_goes_away_is_loaded_all_the_same() {
    let source = Source::new();
    source.permits.acquire().await.expect("it is open").forget();
    let caller = tokio::spawn(hard(source.clone()));
    wait_for("the load has begun", || source.queries.load(Ordering::SeqCst) == 1).await;
    caller.abort();
    source.permits.add_permits(1);
    wait_for("it is stored", || source.stored() == 1).await;
    assert_eq!(hard(source.clone()).await, Ok(1));
}

#[tokio::test]
async fn a_panic_in_a_load_behind_is_its_callers() {
    let source = Source::new();
    let panicked = tokio::spawn(panics(source)).await.expect_err("it panics").into_panic();
    assert_eq!(panicked.downcast_ref::<String>().map(String::as_str), Some("after 0 queries"));
}

#[tokio::test]
async fn a_load_behind_has_its_callers_cache() {
    let cache = Cache::memory();
    assert_eq!(Box::pin(cache.scope(outer(7))).await, 7);
    let stats = cache.stats();
    assert_eq!(stats.site("inner").map(|site| site.fills), Some(1));
    assert_eq!(stats.total.fills, 2);
}
