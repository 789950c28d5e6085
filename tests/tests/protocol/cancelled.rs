//! Evicts and leases that dropped calls left to do: who waits for them, and who does not.

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use cachemacro::__private::{Plain, When, Writes, write};
use cachemacro::store::faults::{Gate, Op};
use cachemacro::{Entry, Lookup, MissReason};
use cachemacro_tests::halt::{reached, soon};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_until};
use futures_util::FutureExt as _;
use tokio::time::timeout;

/// What a dropped call was to evict.
#[derive(Debug, Clone, Copy)]
enum Left {
    Key,
    Tag,
    Prefix,
}

/// Drops a call that would have evicted `row:1`, or everything with its tag or prefix; the evict stops at the gate.
async fn dropped(process: &Process, left: Left) -> Gate {
    let gate = process.faults.gate(match left {
        Left::Key => Op::Evict,
        Left::Tag => Op::EvictTags,
        Left::Prefix => Op::EvictPrefix,
    });
    {
        let body = pin!(std::future::pending::<()>());
        let writes = Writes::new(Plain).evict(Some(&process.cache), When::default());
        let writes = match left {
            Left::Key => writes.evict_entry(&row(process)),
            Left::Tag => writes.evict_tags(["tag"]),
            Left::Prefix => writes.evict_prefix("row"),
        };
        let mut call = pin!(write(writes, body, |(), writes| writes));
        assert!(call.as_mut().now_or_never().is_none());
    }
    reached(&gate).await;
    gate
}

/// The entry that is to go. It carries a tag that its readers do not name.
fn row(process: &Process) -> Entry<u32> {
    process.cache.entry("row", 1)
}

fn other(process: &Process) -> Entry<u32> {
    process.cache.entry("other", 1)
}

/// A process without the means to evict at once, in which both entries are stored.
async fn filled(rig: &Rig) -> Process {
    let process = rig.process();
    process.faults.set_immediate(false);
    row(&process).with_tags(["tag"]).set(&1).await.expect("the store answers");
    other(&process).set(&1).await.expect("the store answers");
    process
}

/// Upholds G7.
async fn a_read_waits_for_evicts_that_may_concern_it_and_no_others(rig: Rig) {
    for left in [Left::Key, Left::Tag, Left::Prefix] {
        let process = filled(&rig).await;
        let gate = dropped(&process, left).await;
        let (row, other) = (row(&process), other(&process));

        let mut concerned = pin!(row.get_or_load(async || 2));
        assert!(concerned.as_mut().now_or_never().is_none());
        if matches!(left, Left::Tag) {
            // It is not known before the read which tags an entry carries.
            let mut read = pin!(other.get());
            assert!(read.as_mut().now_or_never().is_none());
            assert_eq!(process.faults.count(Op::Read), 0, "{left:?}");
        } else {
            assert_eq!(other.get_or_load(async || 2).await, 1, "{left:?}");
            let load = async |ids: Vec<u32>| ids.into_iter().map(|id| (id, 2)).collect();
            let many = process.cache.get_or_load_many::<u32, u32, _>("other", [1], load).await;
            assert_eq!(many[&1], 1, "{left:?}");
            assert_eq!(process.faults.count(Op::Read), 2, "{left:?}: of one, and of many");
        }
        assert!(concerned.as_mut().now_or_never().is_none(), "{left:?}");
        gate.open();
        assert_eq!(timeout(DEADLINE, concerned).await.expect("in time"), 2, "{left:?}");
        let stats = process.cache.stats().total;
        assert_eq!(stats.misses_for(MissReason::StoreFailed), 0, "{left:?}");
    }
}

/// Upholds G7.
async fn many_are_waited_for_where_one_of_them_is_concerned(rig: Rig) {
    let process = filled(&rig).await;
    let gate = dropped(&process, Left::Key).await;
    let cache = &process.cache;
    let load = async |ids: Vec<u32>| ids.into_iter().map(|id| (id, 2)).collect();
    let mut many = Box::pin(cache.get_or_load_many::<u32, u32, _>("row", [1, 2], load));
    assert!(many.as_mut().now_or_never().is_none());
    assert_eq!(process.faults.count(Op::Read), 0);
    gate.open();
    assert_eq!(timeout(DEADLINE, many).await.expect("in time")[&1], 2);
}

async fn an_evict_waits_for_no_scan_and_no_release(rig: Rig) {
    let process = filled(&rig).await;
    let Ok(Lookup::Vacant(vacancy)) = process.cache.entry::<u32>("free", 1).lookup().await else {
        panic!("nothing is there")
    };
    let release = process.faults.gate(Op::Release);
    drop(vacancy);
    reached(&release).await;
    let scan = dropped(&process, Left::Prefix).await;
    // Both stand at their gates, and this one goes through.
    dropped(&process, Left::Key).await.open();
    soon("the evict is done", || process.cache.stats().total.evicts == 1).await;
    drop((release, scan));
}

async fn leases_are_given_back_together(rig: Rig) {
    let process = filled(&rig).await;
    let mut vacancies = Vec::new();
    for id in 0..20 {
        match process.cache.entry::<u32>("free", &id).lookup().await {
            Ok(Lookup::Vacant(vacancy)) => vacancies.push(vacancy),
            _ => panic!("nothing is there"),
        }
    }
    let gate = process.faults.gate(Op::Release);
    vacancies.clear();
    reached(&gate).await;
    gate.open();
    for id in 0..20 {
        let key = format!("free:{id}");
        wait_until("it is free", DEADLINE, async || rig.raw(&key).await.is_none()).await;
    }
    // The first may be on its way before the others are dropped.
    let requests = process.faults.count(Op::Release);
    assert!((1..=2).contains(&requests), "{requests} requests for 20 leases");
}

/// While the store does not keep up, what is dropped must not fill the memory: a lease that is not given back lapses.
async fn no_more_leases_are_queued_than_a_store_will_soon_take_back(rig: Rig) {
    const MANY: u32 = 3_000;
    let process = filled(&rig).await;
    let gate = process.faults.gate(Op::Release);
    let (begun, cache) = (tokio::sync::Semaphore::new(0), &process.cache);
    {
        let load = async |_| {
            begun.add_permits(1);
            std::future::pending().await
        };
        let mut batch = Box::pin(cache.get_or_load_many::<u32, u32, _>("free", 0..MANY, load));
        let begun = async { drop(begun.acquire().await.expect("open")) };
        tokio::select! {
            _ = &mut batch => panic!("it never ends"),
            () = begun => {}
        }
    }
    reached(&gate).await;
    gate.open();
    process.cache.shutdown().await.expect("all is delivered");
    // 64 in each request.
    let released = 64 * process.faults.count(Op::Release);
    assert!((64..=1_024 + 64).contains(&released), "{released} of {MANY}");
}

async fn a_read_waits_for_no_evict_that_came_after_it(rig: Rig) {
    let process = filled(&rig).await;
    let first = dropped(&process, Left::Tag).await;
    let row = row(&process);
    let mut read = pin!(row.get());
    assert!(read.as_mut().now_or_never().is_none());
    let later = process.faults.gate(Op::EvictTags);
    {
        let writes = Writes::new(Plain).evict(Some(&process.cache), When::default()).evict_tags(["other"]);
        let body = pin!(std::future::pending::<()>());
        let mut call = pin!(write(writes, body, |(), writes| writes));
        assert!(call.as_mut().now_or_never().is_none());
    }
    first.open();
    reached(&later).await;
    assert_eq!(
        timeout(DEADLINE, read).await.expect("in time").expect("no evict was waited for in vain"),
        None
    );
    assert!(later.is_reached());
}

/// What a call that was dropped is to evict may be just what is read. The server does not answer.
/// Upholds G9.
#[tokio::test(start_paused = true)]
async fn a_read_waits_a_second_at_most() {
    let process = filled(&Rig::memory()).await;
    let gate = dropped(&process, Left::Key).await;
    let began = tokio::time::Instant::now();
    assert_eq!(row(&process).get_or_load(async || 2).await, 2);
    let many = process.cache.get_or_load_many("row", [1], async |_| HashMap::from([(1, 3)])).await;
    assert_eq!(many[&1], 3);
    assert_eq!(began.elapsed(), Duration::from_secs(2), "a second each");
    assert_eq!(process.cache.stats().total.misses_for(MissReason::StoreFailed), 2);
    gate.open();
}

on_both_stores!(
    a_read_waits_for_evicts_that_may_concern_it_and_no_others,
    many_are_waited_for_where_one_of_them_is_concerned,
    an_evict_waits_for_no_scan_and_no_release,
    leases_are_given_back_together,
    no_more_leases_are_queued_than_a_store_will_soon_take_back,
    a_read_waits_for_no_evict_that_came_after_it,
);
