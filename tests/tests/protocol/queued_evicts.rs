//! Evicts that cancelled calls left to do, when they are many, when they fail, and when several caches are on one place.
//!
//! What was removed once, and the test that failed:
//!
//! | removed | test |
//! |---|---|
//! | each evict that failed counts, not each request | `each_queued_evict_that_failed_counts_once_at_its_site` |
//! | those whose names were refused are told from those whose were not | `what_was_refused_is_told_from_what_was_not` |
//! | caches on one place share the queue | `a_cache_knows_what_another_one_on_its_server_left_to_evict` |
//! | what is sent goes through the cache that it was left in | `a_cache_that_was_shut_down_sends_nothing_of_others` |

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use cachemacro::__private::{Plain, When, Writes, write};
use cachemacro::store::faults::{FaultStore, Gate, Op};
use cachemacro::{Cache, Entry, ErrorKind, cache_evict, cached};
use cachemacro_tests::halt::{reached, soon};
use cachemacro_tests::{DEADLINE, FaultProxy, Process, RedisServer, Rig, namespace, on_both_stores};
use futures_util::FutureExt as _;
use tokio::time::timeout;

#[cached(prefix = "row", key = "{id}", entry = row_entry)]
#[expect(dead_code, reason = "its entry is what is evicted")]
async fn row(id: u32) -> u32 {
    id
}

#[cache_evict(entry = row_entry(id))]
async fn change(id: u32) {
    let _ = id;
    std::future::pending::<()>().await;
}

#[cache_evict(entry = row_entry(id), tags = ["rows"])]
async fn change_other(id: u32) {
    let _ = id;
    std::future::pending::<()>().await;
}

/// A process without the means to evict at once.
fn process(rig: &Rig) -> Process {
    let process = rig.process();
    process.faults.set_immediate(false);
    process
}

/// Drops a call of each function for each of these.
async fn cancel(process: &Process, ids: impl IntoIterator<Item = u32>) {
    process
        .cache
        .scope(async {
            for id in ids {
                assert!(pin!(change(id)).now_or_never().is_none());
                assert!(pin!(change_other(id)).now_or_never().is_none());
            }
        })
        .await;
}

/// What is queued from now on is sent together when the gate opens: an evict that was queued before stands at it, done.
async fn held_up(process: &Process) -> Gate {
    let gate = process.faults.gate_after(Op::Evict);
    process.cache.scope(async { assert!(pin!(change(u32::MAX)).now_or_never().is_none()) }).await;
    reached(&gate).await;
    gate
}

/// How many evicts failed at each of the two sites, and in all.
fn failed(process: &Process) -> [u64; 3] {
    let stats = process.cache.stats();
    let at = |name: &str| stats.site(name).map_or(0, |site| site.failed_evicts);
    [at("change"), at("change_other"), stats.total.failed_evicts]
}

/// Upholds G7.
async fn each_queued_evict_that_failed_counts_once_at_its_site(rig: Rig) {
    const MANY: u32 = 20_000;
    let all = [u64::from(MANY), u64::from(MANY), 2 * u64::from(MANY)];
    let mut processes = Vec::new();
    for kind in [ErrorKind::Timeout, ErrorKind::Refused] {
        let process = process(&rig);
        let gate = held_up(&process).await;
        process.faults.fail(Op::Evict, kind);
        cancel(&process, (0..MANY).map(|id| id % 7_000)).await;
        gate.open();
        soon("all have failed", || failed(&process)[2] >= all[2]).await;
        if kind == ErrorKind::Timeout {
            // A store that does not answer is not asked again.
            // But by who sends again what failed, one request at a time.
            assert!((2..20).contains(&process.faults.count(Op::Evict)));
        }
        processes.push(process);
    }
    for process in processes {
        let _ = process.cache.shutdown().await;
        assert_eq!(failed(&process), all);
    }
}

async fn what_was_refused_is_told_from_what_was_not(rig: Rig) {
    let process = process(&rig);
    let gate = held_up(&process).await;
    // The first request is refused, which those who came by then have in common.
    process.faults.fail_next(Op::Evict, 1, ErrorKind::Refused);
    cancel(&process, (0..1_000).chain(0..1_000)).await;
    gate.open();
    process.cache.shutdown().await.expect("sent again");
    let [first, second, all] = failed(&process);
    assert!((512..=1_536).contains(&first), "{first}: of each id two");
    assert_eq!((first % 2, second, all), (0, 0, first));
}

async fn one_task_sends_what_many_cancelled_calls_left(rig: Rig) {
    let process = process(&rig);
    let gate = process.faults.gate(Op::Evict);
    cancel(&process, [0]).await;
    reached(&gate).await;
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    cancel(&process, 0..10_000).await;
    let more = tokio::runtime::Handle::current().metrics().num_alive_tasks() - tasks;
    assert_eq!(more, 0);
    gate.open();
    soon("all are sent", || {
        process.cache.stats().site("change_other").is_some_and(|site| site.tag_evicts > 0)
    })
    .await;
    process.cache.shutdown().await.expect("all is delivered");
    assert_eq!(failed(&process), [0; 3]);
    // Each name once in each request, and as many as one takes.
    assert!(process.faults.count(Op::Evict) < 2 + 2 * 3 * 20, "{}", process.faults.count(Op::Evict));
    assert_eq!(process.cache.stats().total.errors(), 0);
}

/// What is queued in a runtime that ends is sent from the next one.
#[test]
fn what_a_runtime_left_when_it_ended_is_sent_by_the_next() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let rig = Rig::memory();
    let process = process(&rig);
    let entry = process.cache.entry::<u32>("row", 1);
    runtime().block_on(async {
        entry.set(&1).await.expect("set");
        // Nobody polls the task that is to send it.
        cancel(&process, [1]).await;
    });
    assert_eq!(runtime().block_on(entry.get()).expect("the evict was waited for"), None);
    // A runtime that stands still holds nobody up.
    let still = runtime();
    still.block_on(async {
        entry.set(&1).await.expect("set");
        cancel(&process, [1]).await;
    });
    assert_eq!(runtime().block_on(entry.get()).expect("the evict was waited for"), None);
    drop(still);
}

/// Drops a call that would have evicted the entry.
fn drop_evict(entry: &Entry<u32>, cache: &Cache) {
    let body = pin!(std::future::pending::<()>());
    let writes = Writes::new(Plain).evict(Some(cache), When::default()).evict_entry(entry);
    let mut call = pin!(write(writes, body, |(), writes| writes));
    assert!(call.as_mut().now_or_never().is_none());
}

/// Upholds G7.
#[tokio::test]
async fn a_cache_knows_what_another_one_on_its_server_left_to_evict() {
    let server = RedisServer::shared();
    let proxy = FaultProxy::start(&server.address());
    let slow = Duration::from_millis(100);
    let ns = namespace();
    let cache = |url: &str, namespace: &str| {
        let builder = Cache::builder().redis(url).namespace(namespace);
        builder.command_timeout(DEADLINE).connect_timeout(DEADLINE).build().expect("acceptable")
    };
    let (one, other) = (cache(&proxy.url(), &ns), cache(&proxy.url(), &ns));
    let apart = cache(&proxy.url(), &namespace());
    for cache in [&one, &other, &apart] {
        cache.set("row", 1, &1_u32).await.expect("set");
    }
    proxy.delay(slow);
    let entry = one.entry::<u32>("row", 1);
    drop_evict(&entry, &one);
    // Sent at once, the read would be answered by the other connection before the evict.
    assert_eq!(other.get::<u32>("row", 1).await.expect("the server answers"), None);
    assert_eq!(apart.get::<u32>("row", 1).await.expect("the server answers"), Some(1));
    // One that is gone leaves its evicts to the others.
    other.set("row", 1, &1_u32).await.expect("set");
    drop_evict(&entry, &one);
    drop((one, entry));
    assert_eq!(other.get::<u32>("row", 1).await.expect("the server answers"), None);
}

/// Two caches on one place; how each reaches it fails on its own.
#[tokio::test]
async fn a_cache_that_was_shut_down_sends_nothing_of_others() {
    let server = RedisServer::start();
    let ns = namespace();
    let cache = || Cache::builder().redis(server.url()).namespace(&ns).build().expect("acceptable");
    let (one, other) = (cache(), cache());
    one.shutdown().await.expect("nothing was left");
    other.set("row", 1, &1_u32).await.expect("set");
    for _ in 0..20 {
        // Whichever task drains, each evict goes through the cache that it was left in.
        drop_evict(&one.entry("row", 2), &one);
        drop_evict(&other.entry("row", 1), &other);
        assert_eq!(other.get::<u32>("row", 1).await.expect("the server answers"), None);
        other.set("row", 1, &1_u32).await.expect("set");
    }
    assert_eq!(other.stats().total.failed_evicts, 0);
}

#[tokio::test]
async fn caches_on_one_store_by_hand_share_it_and_others_do_not() {
    let rig = Rig::memory();
    let store = Arc::new(FaultStore::new(rig.store()));
    store.set_immediate(false);
    let cache = |store: &Arc<FaultStore>| {
        Cache::builder().store(store.clone()).namespace(rig.namespace()).build().expect("acceptable")
    };
    let (one, other) = (cache(&store), cache(&store));
    let elsewhere = cache(&Arc::new(FaultStore::new(rig.store())));
    one.set("row", 1, &1_u32).await.expect("set");
    let gate = store.gate(Op::Evict);
    drop_evict(&one.entry("row", 1), &one);
    reached(&gate).await;
    let mut read = pin!(other.get::<u32>("row", 1));
    assert!(read.as_mut().now_or_never().is_none(), "it waits for what the other cache left");
    assert_eq!(elsewhere.get::<u32>("row", 1).await.expect("memory"), Some(1));
    gate.open();
    assert_eq!(timeout(DEADLINE, read).await.expect("in time").expect("memory"), None);
}

on_both_stores!(
    each_queued_evict_that_failed_counts_once_at_its_site,
    what_was_refused_is_told_from_what_was_not,
    one_task_sends_what_many_cancelled_calls_left,
);
