//! A load that panics takes nobody with it: the others share the next one, unless that panics too.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cachemacro_tests::halt::soon;
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores};
use futures_util::future::join_all;
use tokio::sync::Barrier;
use tokio::task::{JoinError, JoinHandle};
use tokio::time::timeout;

/// A caller whose load says how many began before it.
fn call<F>(
    process: &Process,
    loads: &Arc<AtomicUsize>,
    load: impl FnOnce(usize) -> F + Send + 'static,
) -> JoinHandle<u32>
where
    F: Future<Output = u32> + Send,
{
    let (entry, loads) = (process.cache.entry::<u32>("row", 7), loads.clone());
    tokio::spawn(async move { entry.get_or_load(|| load(loads.fetch_add(1, Ordering::SeqCst))).await })
}

/// Until so many callers have found nothing, and so lead or wait.
async fn all_wait(process: &Process, callers: u64) {
    soon("all wait", || process.cache.stats().total.misses() >= callers).await;
}

async fn all(calls: Vec<JoinHandle<u32>>) -> Vec<Result<u32, JoinError>> {
    timeout(DEADLINE, join_all(calls)).await.expect("they end in time")
}

async fn after_a_panic_the_others_share_the_next_load(rig: Rig) {
    let process = Arc::new(rig.process());
    let loads = Arc::new(AtomicUsize::new(0));
    let calls = (0..200).map(|_| {
        let waits = process.clone();
        call(&process, &loads, async move |before| {
            all_wait(&waits, 200).await;
            assert!(before > 0, "on purpose");
            1
        })
    });
    let ended = all(calls.collect()).await;
    assert_eq!(ended.iter().filter(|ended| ended.is_err()).count(), 1);
    assert_eq!(loads.load(Ordering::SeqCst), 2);
}

async fn loads_that_always_panic_do_not_wait_for_each_other(rig: Rig) {
    let process = Arc::new(rig.process());
    let loads = Arc::new(AtomicUsize::new(0));
    // All but the first two, which found out.
    let together = Arc::new(Barrier::new(8));
    let calls = (0..10).map(|_| {
        let (waits, together) = (process.clone(), together.clone());
        call(&process, &loads, async move |before| {
            all_wait(&waits, 10).await;
            if before >= 2 {
                together.wait().await;
            }
            panic!("on purpose")
        })
    });
    assert!(all(calls.collect()).await.iter().all(Result::is_err));
    assert_eq!(loads.load(Ordering::SeqCst), 10);
}

on_both_stores!(
    after_a_panic_the_others_share_the_next_load,
    loads_that_always_panic_do_not_wait_for_each_other,
);
