//! Loads ahead of use: warm-ups and prefetches.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::store::memory::MemoryStore;
use cachemacro::{Cache, Clock, Entry, ErrorKind, Mode, Policy, Stopped, Ttl, Warming, cached};
use cachemacro_tests::{LONG, Process, Rig, on_both_stores, wait_for};

const HOUR: Duration = Duration::from_hours(1);

fn entry(process: &Process, id: u64) -> Entry<u64> {
    process.cache.entry("row", id).with_tags(["rows".to_owned(), format!("row:{id}")])
}

fn items(process: &Process, ids: std::ops::Range<u64>) -> impl Iterator<Item = Warming<'_>> {
    ids.map(move |id| Warming::of(entry(process, id), async move || id))
}

#[cached(prefix = "cube", key = "{n}", entry = cube_entry, cache = cache)]
async fn cube(cache: &Cache, n: u64) -> Result<u64, String> {
    let _ = cache;
    if n == 13 { Err("unlucky".to_owned()) } else { Ok(n * n * n) }
}

/// Fresh entries are found 256 in a round trip, and what is loaded counts as warmed alone.
async fn what_is_fresh_is_left_alone_and_the_rest_is_loaded(rig: Rig) {
    let process = rig.process();
    for id in 0..300 {
        entry(&process, id).set(&id).await.unwrap();
    }
    process.cache.evict_tags(["row:7", "row:280"]).await.unwrap();
    entry(&process, 8).evict().await.unwrap();
    let before = process.cache.stats().total;
    let heads = || process.faults.count(cachemacro::store::faults::Op::ReadHead);
    let asked = heads();
    let warmed = process.cache.warm(items(&process, 0..310)).run().await;
    assert_eq!((warmed.warmed, warmed.fresh, warmed.failed), (13, 297, 0), "{warmed:?}");
    assert_eq!((warmed.of, warmed.stopped, warmed.done()), (Some(310), None, 310));
    assert_eq!(heads() - asked, 2, "256 entries, then 54");
    let total = process.cache.stats().total;
    assert_eq!((total.warmed, total.loads - before.loads), (13, 13));
    assert_eq!((total.hits, total.misses()), (before.hits, before.misses()), "nobody has read");
    process.cache.stored().await;
    for id in [7, 8, 280, 309] {
        assert_eq!(entry(&process, id).get().await.unwrap(), Some(id));
    }
    let again = process.cache.warm(items(&process, 0..310)).run().await;
    assert_eq!((again.warmed, again.fresh), (0, 310));
}

async fn an_attributed_function_fills_its_entries_and_its_errors_count(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let ids = || (10..15).map(|n| Warming::by(&cube_entry(cache, n), move || cube(cache, n)));
    let warmed = cache.warm(ids()).concurrency(2).run().await;
    assert_eq!((warmed.warmed, warmed.failed, warmed.fresh), (4, 1, 0), "{warmed:?}");
    let site = cache.stats().site("cube").cloned().expect("it was called");
    assert_eq!((site.warmed, site.hits, site.misses(), site.failed_loads), (4, 0, 0, 1));
    cache.stored().await;
    assert_eq!(cube(cache, 12).await, Ok(12 * 12 * 12));
    assert_eq!(cache.stats().site("cube").map(|site| site.hits), Some(1));
}

/// Upholds G1: a warm-up has ordinary leases.
async fn an_evict_during_a_load_wins(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let load = async || {
        cache.evict_tags(["row:1"]).await.unwrap();
        1
    };
    let warmed = cache.warm([Warming::of(entry(&process, 1), load)]).run().await;
    assert_eq!(warmed.warmed, 1);
    cache.stored().await;
    assert_eq!(entry(&process, 1).get().await.unwrap(), None, "it was loaded before the evict");
}

async fn it_stops_after_so_many_failures(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let ran = AtomicU64::new(0);
    let failing = (0..100).map(|id| {
        Warming::try_of(entry(&process, id), async || {
            ran.fetch_add(1, Ordering::Relaxed);
            Err::<u64, _>("no such table")
        })
    });
    let warmed = cache.warm(failing).concurrency(1).errors(3).run().await;
    assert_eq!((warmed.failed, warmed.stopped), (3, Some(Stopped::Errors)), "{warmed:?}");
    assert_eq!(ran.load(Ordering::Relaxed), 3);
    // A store that fails is no better than a load that does.
    process.faults.fail_all(ErrorKind::Connect);
    let warmed = cache.warm(items(&process, 0..1_000)).errors(2).run().await;
    assert_eq!((warmed.failed, warmed.stopped), (2, Some(Stopped::Errors)), "{warmed:?}");
}

/// Of many processes one warms; where it stops early, another does.
async fn one_process_is_elected(rig: Rig) {
    let processes = [rig.process(), rig.process()];
    let [one, other] = &processes;
    let begun = tokio::sync::Notify::new();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let load = async || {
        begun.notify_one();
        let _ = ended.await;
        1
    };
    let first = one.cache.warm([Warming::of(entry(one, 1), load)]).once("rows", HOUR).run();
    let second = async {
        begun.notified().await;
        let elsewhere = other.cache.warm(items(other, 0..3)).once("rows", HOUR).run().await;
        assert_eq!((elsewhere.stopped, elsewhere.done()), (Some(Stopped::Elsewhere), 0));
        let unnamed = other.cache.warm(items(other, 5..8)).once("others", HOUR).run().await;
        assert_eq!((unnamed.stopped, unnamed.warmed), (None, 3), "another name is another warm-up");
        end.send(()).unwrap();
    };
    let (first, ()) = tokio::join!(first, second);
    assert_eq!((first.warmed, first.stopped), (1, None));
    let later = other.cache.warm(items(other, 0..3)).once("rows", HOUR).run().await;
    assert_eq!(later.stopped, Some(Stopped::Elsewhere), "it was done within the hour");

    let fails = |id| Warming::try_of(entry(one, id), async || Err::<u64, _>("down"));
    let failed = one.cache.warm([fails(90)]).errors(1).once("failing", HOUR).run().await;
    assert_eq!(failed.stopped, Some(Stopped::Errors));
    one.cache.stored().await;
    let next = cachemacro_tests::wait_until("another process does it", LONG, async || {
        let next = other.cache.warm(items(other, 90..91)).once("failing", HOUR).run().await;
        next.stopped.is_none()
    });
    next.await;
    // What could not be looked at was not warmed.
    one.faults.fail_next(Op::ReadHead, 1, ErrorKind::Io);
    let missed = one.cache.warm(items(one, 100..103)).once("missed", HOUR).run().await;
    assert_eq!((missed.failed, missed.warmed, missed.stopped), (1, 0, None));
    one.cache.stored().await;
    let again = cachemacro_tests::wait_until("another process does it", LONG, async || {
        let again = other.cache.warm(items(other, 100..103)).once("missed", HOUR).run().await;
        again.stopped.is_none() && again.warmed == 3
    });
    again.await;
    let total = one.cache.stats().total;
    assert_eq!((total.hits, total.misses()), (0, 0), "the election reads nothing that counts");
}

async fn nested_calls_count_as_warmed_and_bypasses_load_nothing(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let outer = cache.entry::<u64>("outer", 1);
    let load = async || cube(cache, 2).await.unwrap_or_default();
    cache.warm([Warming::of(outer, load)]).rate(u32::MAX).run().await;
    let total = cache.stats().total;
    assert_eq!((total.warmed, total.misses(), total.hits), (2, 0, 0));
    let off = Mode::Bypass.scope(cache.warm(items(&process, 0..3)).run()).await;
    assert_eq!((off.stopped, off.done()), (Some(Stopped::Off), 0));
    let load = async |ids: Vec<u64>| Ok::<_, String>(ids.into_iter().map(|id| (id, id)).collect());
    let many = Mode::Warm.scope(cache.try_get_or_load_many([1_u64, 2], |id| entry(&process, *id), load));
    assert_eq!(many.await.map(|many| many.len()), Ok(2));
    let total = cache.stats().total;
    assert_eq!((total.warmed, total.misses(), total.hits), (4, 0, 0));
}

async fn a_prefetch_goes_on_behind_its_caller_and_few_do_at_once(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let (waiting, begun) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::new(AtomicUsize::new(0)));
    let prefetch = |id| {
        let (waiting, begun) = (waiting.clone(), begun.clone());
        entry(&process, id).prefetch(async move || {
            begun.fetch_add(1, Ordering::Relaxed);
            let _ = waiting.acquire().await;
            id
        })
    };
    assert!(!Mode::Bypass.scope(async { prefetch(0) }).await, "the cache is neither read nor written");
    let taken = (0..100).filter(|id| prefetch(*id)).count();
    assert_eq!(taken, 64);
    wait_for("all of them load", || begun.load(Ordering::Relaxed) == 64).await;
    waiting.add_permits(100);
    wait_for("all are loaded", || cache.stats().total.warmed == 64).await;
    assert!(prefetch(70), "there is room again");
    wait_for("it is loaded too", || cache.stats().total.warmed == 65).await;
    cache.stored().await;
    assert_eq!(entry(&process, 63).get().await.unwrap(), Some(63));
    let total = cache.stats().total;
    assert_eq!((total.hits, total.misses()), (1, 0));
}

on_both_stores!(
    what_is_fresh_is_left_alone_and_the_rest_is_loaded,
    an_attributed_function_fills_its_entries_and_its_errors_count,
    an_evict_during_a_load_wins,
    it_stops_after_so_many_failures,
    one_process_is_elected,
    nested_calls_count_as_warmed_and_bypasses_load_nothing,
    a_prefetch_goes_on_behind_its_caller_and_few_do_at_once,
);

/// Nobody listens: each request fails, until none is sent.
#[tokio::test]
async fn it_stops_where_the_breaker_opens() {
    let settings = Cache::builder().redis("redis://127.0.0.1:1").namespace("nobody");
    let cache = settings.build().expect("acceptable settings");
    let ran = AtomicU64::new(0);
    let items = (0..100_000_u64).map(|id| {
        Warming::of(cache.entry("row", id), async || {
            ran.fetch_add(1, Ordering::Relaxed);
            7
        })
    });
    let warmed = cache.warm(items).errors(u64::MAX).run().await;
    assert_eq!(warmed.stopped, Some(Stopped::BreakerOpen), "{warmed:?}");
    assert_eq!(ran.load(Ordering::Relaxed), 0, "nothing could be stored");
}

#[tokio::test(start_paused = true)]
async fn loads_begin_no_faster_than_the_rate_and_as_many_run_at_once_as_may() {
    let rig = Rig::memory();
    let process = rig.process();
    let (now, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let slow = |id| {
        let (now, most) = (&now, &most);
        Warming::of(entry(&process, id), async move || {
            most.fetch_max(now.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
            tokio::time::sleep(Duration::from_millis(100)).await;
            now.fetch_sub(1, Ordering::Relaxed);
            id
        })
    };
    let began = tokio::time::Instant::now();
    let told = std::sync::Mutex::new(Vec::new());
    let tell = |so_far: &cachemacro::Warmed| told.lock().unwrap().push(so_far.done());
    let warm = process.cache.warm((0..20).map(slow)).concurrency(3).rate(10);
    let warmed = warm.progress(tell).run().await;
    assert_eq!(warmed.warmed, 20);
    // The first at once, then one every tenth of a second.
    assert!(began.elapsed() >= Duration::from_millis(1_900), "{:?}", began.elapsed());
    assert!(most.load(Ordering::Relaxed) <= 3);
    let told = told.lock().unwrap().clone();
    assert!(told.is_sorted() && told.last() == Some(&20), "{told:?}");

    let (now_, most_) = (&now, &most);
    most_.store(0, Ordering::Relaxed);
    let fast = (100..130).map(slow);
    process.cache.warm(fast).concurrency(5).run().await;
    assert_eq!((most_.load(Ordering::Relaxed), now_.load(Ordering::Relaxed)), (5, 0));
}

/// A load that hangs does not keep its place among the prefetches for good.
#[tokio::test(start_paused = true)]
async fn a_prefetch_that_takes_longer_than_its_lease_may_is_dropped() {
    let rig = Rig::memory();
    let process = rig.process();
    let policy = Policy::new().lease_limit(Duration::from_mins(1));
    let hangs = |id| entry(&process, id).with_policy(policy).prefetch(std::future::pending::<u64>);
    assert_eq!((0..100).filter(|id| hangs(*id)).count(), 64);
    tokio::time::sleep(Duration::from_secs(59)).await;
    assert!(!hangs(200), "all of them hang");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(hangs(200), "there is room again");
}

/// What ages is found, or loaded anew; it is no hit, and nobody is served it.
#[tokio::test]
async fn what_ages_counts_as_warmed_or_as_nothing() {
    let clock = Clock::manual();
    let store = Arc::new(MemoryStore::builder().clock(clock.clone()).build());
    let cache = || Cache::builder().store(store.clone()).clock(clock.clone()).build().expect("acceptable");
    let (one, other) = (cache(), cache());
    let entry = |cache: &Cache, id: &u64| {
        let stale = Policy::new().ttl(Ttl::millis(60_000)).stale(HOUR);
        cache.entry::<u64>("row", *id).with_policy(stale)
    };
    let many = async |cache: &Cache| {
        let load = async |ids: Vec<u64>| Ok::<_, String>(ids.into_iter().map(|id| (id, id)).collect());
        let load = cache.try_get_or_load_many([1_u64, 2], |id| entry(cache, id), load);
        Mode::Warm.scope(load).await.map(|many| many.len())
    };
    let single = async |cache: &Cache| {
        let ids = [1_u64, 2].map(|id| Warming::of(entry(cache, &id), async move || id));
        cache.warm(ids).run().await
    };
    for id in [1, 2] {
        entry(&one, &id).set(&id).await.unwrap();
    }
    clock.advance(Duration::from_secs(90));
    // While another process loads them anew, they are there.
    let load = async |ids: Vec<u64>| {
        assert_eq!(many(&other).await, Ok(2));
        assert_eq!(single(&other).await.fresh, 2);
        Ok::<_, String>(ids.into_iter().map(|id| (id, id)).collect())
    };
    let loaded = one.try_get_or_load_many([1_u64, 2], |id| entry(&one, id), load).await;
    assert_eq!(loaded.map(|many| many.len()), Ok(2));
    let total = other.stats().total;
    assert_eq!((total.hits, total.misses(), total.stale, total.warmed, total.loads), (0, 0, 0, 0, 0));
    // Else they are loaded, by one that has not just seen another load them.
    let third = cache();
    clock.advance(Duration::from_secs(90));
    assert_eq!(many(&third).await, Ok(2));
    clock.advance(Duration::from_secs(90));
    assert_eq!(single(&third).await.warmed, 2);
    let total = third.stats().total;
    assert_eq!((total.hits, total.misses(), total.stale, total.warmed), (0, 0, 0, 4));
}
