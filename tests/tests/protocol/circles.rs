//! Loads that wait for each other: each ends, and the values are right.
//!
//! | without | fails |
//! |---|---|
//! | who would close a circle does not wait (`engine::waiting`) | `a_circle_within_one_process_is_broken_at_once` |
//! | a call within a load waits a second at most | `a_circle_through_two_processes_ends_within_seconds` |
//! | a follower takes over where `wait` has ended (`engine::flight`) | `a_circle_through_spawned_tasks_ends_with_wait` |

use std::sync::Arc;
use std::time::Duration;

use cachemacro::Entry;
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores};
use futures_util::future::join_all;
use tokio::sync::Barrier;
use tokio::time::{Instant, timeout};

fn entry(process: &Process, id: usize) -> Entry<usize> {
    process.cache.entry("circle", id)
}

/// Loads entry `id`, and in it the next one of as many as there are processes, once all are loading.
fn load(
    processes: &[Process],
    id: usize,
    all: &Arc<Barrier>,
    batch: bool,
) -> impl Future<Output = usize> + use<> {
    let next = (id + 1) % processes.len();
    let (entry_here, process) = (entry(&processes[id], id), processes[id].clone());
    let all = all.clone();
    async move {
        let body = async || {
            all.wait().await;
            if batch {
                let rows = process.cache.get_or_load_many("circle", [next], async |ids: Vec<usize>| {
                    ids.into_iter().map(|id| (id, 10 * id)).collect()
                });
                rows.await[&next]
            } else {
                entry(&process, next).get_or_load(async || 10 * next).await
            }
        };
        entry_here.get_or_load(body).await
    }
}

/// What loads return that wait for each other in a circle, each in a task of its own.
async fn circle(processes: Vec<Process>, batch: bool) -> Vec<usize> {
    let all = Arc::new(Barrier::new(processes.len()));
    let loads = (0..processes.len()).map(|id| tokio::spawn(load(&processes, id, &all, batch)));
    let loaded = timeout(DEADLINE, join_all(loads)).await.expect("a circle ends in time");
    loaded.into_iter().map(|loaded| loaded.expect("no load panics")).collect()
}

/// Whether these are values of the circle: each load gives what the next one gives, and where it did not wait ten times its number.
fn assert_values(loaded: &[usize]) {
    let own: Vec<usize> = (0..loaded.len()).map(|id| 10 * id).collect();
    assert!(loaded.iter().all(|value| own.contains(value)), "{loaded:?}");
}

/// Upholds G9.
#[tokio::test(start_paused = true)]
async fn a_circle_within_one_process_is_broken_at_once() {
    for (length, batch) in [(2, false), (2, true), (3, false), (5, true)] {
        let process = Rig::memory().process();
        let began = Instant::now();
        let loaded = circle(vec![process; length], batch).await;
        assert_values(&loaded);
        // Time stands still, but where all tasks wait for it.
        assert!(began.elapsed() < Duration::from_millis(500), "{length} loads waited {:?}", began.elapsed());
    }
}

/// How long a call may wait where circles are not seen.
const WAIT: Duration = Duration::from_secs(10);

/// Loads entry `id` by a task that the body of the entry before it spawns and awaits, until one runs that needs no other.
fn load_by_spawning(process: Process, id: usize, of: usize, depth: usize) -> tokio::task::JoinHandle<usize> {
    tokio::spawn(async move {
        let next = process.clone();
        let body = async || match depth {
            0 => 10 * id,
            depth => load_by_spawning(next, (id + 1) % of, of, depth - 1).await.expect("no load panics"),
        };
        entry(&process, id).get_or_load(body).await
    })
}

/// Upholds G9. Whose a spawned task is nobody sees.
#[tokio::test(start_paused = true)]
async fn a_circle_through_spawned_tasks_ends_with_wait() {
    for length in [1, 2, 3] {
        let process = Rig::memory().process_with(|builder| builder.wait(WAIT));
        let began = Instant::now();
        let loaded = timeout(10 * DEADLINE, load_by_spawning(process, 0, length, length)).await;
        assert_eq!(loaded.expect("a circle ends").expect("no load panics"), 0, "of the task that closes it");
        // Up to a second more where the load has not begun.
        assert!(
            began.elapsed() <= WAIT + Duration::from_secs(1),
            "{length} loads waited {:?}",
            began.elapsed()
        );
    }
}

/// Upholds G9. What a body awaits without a task of its own is seen.
#[tokio::test(start_paused = true)]
async fn a_body_that_reaches_its_own_key_beside_other_futures_runs_at_once() {
    let process = Rig::memory().process();
    let began = Instant::now();
    let body = async || {
        let own = async { entry(&process, 0).get_or_load(async || 7).await };
        let through = async || entry(&process, 0).get_or_load(async || 8).await;
        let other = async { entry(&process, 1).get_or_load(through).await };
        let (own, other) = tokio::join!(own, other);
        own + other
    };
    assert_eq!(Box::pin(entry(&process, 0).get_or_load(body)).await, 15);
    assert!(began.elapsed() < Duration::from_millis(500), "waited {:?}", began.elapsed());
}

/// Upholds G9.
async fn a_circle_through_two_processes_ends_within_seconds(rig: Rig) {
    for batch in [false, true] {
        let began = Instant::now();
        let loaded = circle(vec![rig.process(), rig.process()], batch).await;
        assert_values(&loaded);
        // Without the bound both wait for `wait`, longer than the deadline.
        assert!(began.elapsed() < Duration::from_secs(8), "waited {:?}", began.elapsed());
        for id in 0..2 {
            entry(&rig.process(), id).evict().await.expect("evicted");
        }
    }
}

/// Upholds G9.
async fn a_load_that_another_only_waits_for_is_no_circle(rig: Rig) {
    let process = rig.process();
    let loading = Arc::new(Barrier::new(2));
    let inner = {
        let (entry, loading) = (entry(&process, 1), loading.clone());
        tokio::spawn(async move {
            let body = async || {
                loading.wait().await;
                loading.wait().await;
                1
            };
            entry.get_or_load(body).await
        })
    };
    loading.wait().await;
    let outer = {
        let (outer, inner) = (entry(&process, 0), entry(&process, 1));
        tokio::spawn(async move { outer.get_or_load(async || inner.get_or_load(async || 2).await).await })
    };
    // The outer load has read and follows, or will find the value.
    while process.cache.stats().total.misses() < 3 {
        tokio::task::yield_now().await;
    }
    loading.wait().await;
    assert_eq!((inner.await.expect("no panic"), outer.await.expect("no panic")), (1, 1));
    assert_eq!(process.cache.stats().total.loads, 2);
}

on_both_stores!(
    a_circle_through_two_processes_ends_within_seconds,
    a_load_that_another_only_waits_for_is_no_circle,
);
