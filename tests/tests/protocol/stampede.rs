//! Many callers of one key at once cost one load, or as few as can be where nothing is stored.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use cachemacro::__private::{NoRules, Opt, Outcome, Plain, Res, Shareable, load};
use cachemacro::{Lookup, Value};
use cachemacro_tests::{Process, RedisServer, Rig, Worker, namespace, on_both_stores, wait_for};
use futures_util::future::join_all;

const CALLERS: usize = 1_000;

/// What the loads of one burst looked like.
#[derive(Default)]
struct Loads {
    total: AtomicUsize,
    now: AtomicUsize,
    most_at_once: AtomicUsize,
    /// The longest chain of loads that began one after the end of the other, so far.
    longest_chain: AtomicUsize,
}

impl Loads {
    /// One load, which lasts as long as `work`.
    async fn one(&self, work: impl Future<Output = ()>) {
        self.total.fetch_add(1, Ordering::SeqCst);
        let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        let place = self.longest_chain.load(Ordering::SeqCst) + 1;
        work.await;
        self.longest_chain.fetch_max(place, Ordering::SeqCst);
        self.now.fetch_sub(1, Ordering::SeqCst);
    }

    /// The leader loads for itself and for those who came before its load; all others share the next one.
    fn assert_at_most_two(&self) {
        let (total, most_at_once, longest_chain) = self.seen();
        assert!((1..=2).contains(&total) && most_at_once == 1 && longest_chain == total, "{:?}", self.seen());
    }

    fn seen(&self) -> (usize, usize, usize) {
        let get = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (get(&self.total), get(&self.most_at_once), get(&self.longest_chain))
    }
}

/// Calls once from each of [`CALLERS`] tasks; every load lasts until all of them have missed.
async fn burst<R, O>(
    process: &Process,
    outcome: O,
    make: impl Fn() -> R + Copy + Send + Sync + 'static,
) -> (Vec<R>, Arc<Loads>)
where
    R: Send + 'static,
    O: Outcome<R> + 'static,
    O::Value: Value,
{
    let loads = Arc::new(Loads::default());
    let callers = (0..CALLERS).map(|_| {
        let (cache, loads) = (process.cache.clone(), loads.clone());
        tokio::spawn(async move {
            let body = pin!(async {
                let all_missed = || cache.stats().total.misses() == CALLERS as u64;
                loads.one(wait_for("all have missed", all_missed)).await;
                make()
            });
            load(Some(cache.entry("burst", 1)), outcome, NoRules, body).await
        })
    });
    let returned = join_all(callers).await;
    (returned.into_iter().map(|joined| joined.expect("no caller fails")).collect(), loads)
}

async fn one_cold_key(rig: &Rig) {
    let process = rig.process();
    let loads = Arc::new(AtomicUsize::new(0));
    let callers = (0..CALLERS).map(|_| {
        let (entry, loads) = (process.cache.entry::<usize>("cold", 1), loads.clone());
        tokio::spawn(async move {
            entry
                .get_or_load(async || {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    loads.fetch_add(1, Ordering::SeqCst) + 7
                })
                .await
        })
    });
    for value in join_all(callers).await {
        assert_eq!(value.expect("no caller fails"), 7);
    }
    assert_eq!(loads.load(Ordering::SeqCst), 1);
    process.cache.stored().await;
    let stats = process.cache.stats().total;
    assert_eq!((stats.loads, stats.fills, stats.refused_fills), (1, 1, 0));
}

/// Upholds G5.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_one_cold_key_load_once_in_memory() {
    for _ in 0..5 {
        one_cold_key(&Rig::memory()).await;
    }
}

/// Upholds G5.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_thousand_tasks_on_one_cold_key_load_once_on_redis() {
    for _ in 0..5 {
        one_cold_key(&Rig::redis()).await;
    }
}

#[tokio::test]
async fn four_processes_with_250_tasks_each_load_one_cold_key_once() {
    let (url, namespace) = (RedisServer::shared().url(), namespace());
    let spawn =
        || Worker::spawn(env!("CARGO_BIN_EXE_cache_worker"), &["stampede", &url, &namespace, "250"], &[]);
    let mut workers: Vec<_> = (0..4).map(|_| spawn()).collect();
    for worker in &mut workers {
        worker.expect("ready").await;
    }
    for worker in &mut workers {
        worker.send("go").await;
    }
    let mut loads = 0;
    let mut values = Vec::new();
    for mut worker in workers {
        loads += worker.expect("loads").await.parse::<u32>().expect("a number");
        values.push(worker.expect("values").await);
        worker.finish().await;
    }
    values.dedup();
    assert_eq!((loads, values.len()), (1, 1), "{values:?}");
}

/// Upholds G5.
async fn an_absent_row_is_looked_for_twice_at_most(rig: Rig) {
    let process = rig.process();
    let (rows, loads) = burst(&process, Opt, || None::<u32>).await;
    assert_eq!(rows, vec![None; CALLERS]);
    loads.assert_at_most_two();
}

async fn an_error_that_can_be_cloned_is_shared_by_all_who_waited(rig: Rig) {
    let process = rig.process();
    let (results, loads) = burst(&process, Res::<Shareable>::NEW, || Err::<u32, _>("no connection")).await;
    assert_eq!(results, vec![Err("no connection"); CALLERS]);
    loads.assert_at_most_two();
}

async fn a_value_over_the_size_limit_is_shared_by_all_who_waited(rig: Rig) {
    let process = rig.process_with(|builder| builder.max_value(100));
    let (values, loads) = burst(&process, Plain, || "x".repeat(101)).await;
    assert!(values.iter().all(|value| value.len() == 101));
    loads.assert_at_most_two();
    process.cache.stored().await;
    assert_eq!(process.cache.stats().total.too_large, loads.seen().0 as u64);
}

/// Upholds G6.
async fn a_failing_store_costs_a_burst_two_loads(rig: Rig) {
    let process = rig.process();
    process.faults.fail_all(cachemacro::ErrorKind::Timeout);
    let (values, loads) = burst(&process, Plain, || 7_u8).await;
    assert_eq!(values, vec![7; CALLERS]);
    loads.assert_at_most_two();
}

/// Calls once from each of [`WAITERS`] tasks, a tenth of a millisecond apart; every load takes so long. Time passes
/// when all wait. Tells how long each call took, the longest last.
async fn waves<R, O>(process: &Process, outcome: O, takes: Duration, value: R) -> (Arc<Loads>, Vec<Duration>)
where
    R: Clone + Send + Sync + PartialEq + std::fmt::Debug + 'static,
    O: Outcome<R> + 'static,
    O::Value: Value,
{
    let loads = Arc::new(Loads::default());
    let callers = (0..WAITERS).map(|n| {
        let (cache, loads, value) = (process.cache.clone(), loads.clone(), value.clone());
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_micros(100) * n).await;
            let began = tokio::time::Instant::now();
            let body = pin!(async {
                loads.one(tokio::time::sleep(takes)).await;
                value.clone()
            });
            assert_eq!(load(Some(cache.entry("wave", 1)), outcome, NoRules, body).await, value);
            began.elapsed()
        })
    });
    let mut took: Vec<_> =
        join_all(callers).await.into_iter().map(|joined| joined.expect("no caller fails")).collect();
    took.sort_unstable();
    (loads, took)
}

const WAITERS: u32 = 200;
const WAIT: Duration = Duration::from_millis(100);

/// Upholds G5.
#[tokio::test(start_paused = true)]
async fn a_load_longer_than_the_wait_is_shared_all_the_same() {
    for times in [1, 2, 3, 4, 10, 100] {
        // One after the wait, one after twice as long again, and so on until the first one ends.
        let most = 1 + (times + 1_u32).ilog2() as usize;
        let process = Rig::memory().process_with(|builder| builder.wait(WAIT));
        let (loads, took) = waves(&process, Plain, WAIT * times, 7_u32).await;
        assert!(loads.seen().0 <= most, "{times}: {:?}", loads.seen());
        // Who took over waits for its own load. All others take the first one's value when it is there.
        let late = took.iter().filter(|took| **took > WAIT * times).count();
        assert!(late < loads.seen().0, "{times}: {took:?}");
        assert!(took.last() < Some(&(WAIT * times * 2)), "{times}: {took:?}");
        process.cache.stored().await;
        assert_eq!(process.cache.stats().total.fills, 1);

        // The same where there is nothing to store: those whom no load under way will serve share one more.
        let process = Rig::memory().process_with(|builder| builder.wait(WAIT));
        let (loads, took) = waves(&process, Opt, WAIT * times, None::<u32>).await;
        assert!(loads.seen().0 <= 2 * most, "{times}: {:?}", loads.seen());
        assert!(took.last() < Some(&(WAIT * times * 2)), "{times}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_waited_for_another_process_is_not_left_as_it_loads() {
    let rig = Rig::memory();
    let (here, there) = (rig.process_with(|builder| builder.wait(2 * WAIT)), rig.process());
    let Ok(Lookup::Vacant(_busy)) = there.cache.entry::<u32>("wave", 1).lookup().await else {
        panic!("nothing is there")
    };
    let (loads, took) = waves(&here, Plain, WAIT / 2, 7_u32).await;
    assert_eq!(loads.seen(), (1, 1, 1), "all came before that load");
    assert!(took.last() <= Some(&(3 * WAIT)), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn without_waiting_for_other_processes_callers_share_within_theirs() {
    let rig = Rig::memory();
    let (here, there) = (rig.process_with(|builder| builder.wait(Duration::ZERO)), rig.process());
    let (loads, _) = waves(&here, Plain, WAIT, 7_u32).await;
    assert_eq!(loads.seen(), (1, 1, 1));

    here.cache.clear().await.expect("cleared");
    let Ok(Lookup::Vacant(_busy)) = there.cache.entry::<u32>("wave", 1).lookup().await else {
        panic!("nothing is there")
    };
    let (loads, took) = waves(&here, Plain, WAIT, 7_u32).await;
    loads.assert_at_most_two();
    assert!(took.last() <= Some(&(2 * WAIT)), "{took:?}");
}

/// An error that only its owner can have.
#[derive(Debug)]
struct Unique;

async fn an_error_that_cannot_be_cloned_has_all_others_load_side_by_side(rig: Rig) {
    let process = rig.process();
    let loads = Arc::new(Loads::default());
    let callers = (0..CALLERS).map(|_| {
        let (cache, loads) = (process.cache.clone(), loads.clone());
        tokio::spawn(async move {
            cache
                .entry::<u32>("burst", 1)
                .try_get_or_load(async || {
                    let first = loads.total.load(Ordering::SeqCst) == 0;
                    let together = || {
                        if first {
                            cache.stats().total.misses() == CALLERS as u64
                        } else {
                            // Ends only if all the others load at the same time.
                            loads.most_at_once.load(Ordering::SeqCst) == CALLERS - 1
                        }
                    };
                    loads.one(wait_for("the others are there", together)).await;
                    Err(Unique)
                })
                .await
        })
    });
    for result in join_all(callers).await {
        result.expect("no caller panics").expect_err("all loads fail");
    }
    assert_eq!(loads.seen(), (CALLERS, CALLERS - 1, 2));
}

on_both_stores!(
    an_absent_row_is_looked_for_twice_at_most,
    an_error_that_can_be_cloned_is_shared_by_all_who_waited,
    a_value_over_the_size_limit_is_shared_by_all_who_waited,
    a_failing_store_costs_a_burst_two_loads,
    an_error_that_cannot_be_cloned_has_all_others_load_side_by_side,
);
