//! What each plan does to a call.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{FaultStore, Op};
use crate::format::stamps::{TagKeys, VersionKey};
use crate::ground::error::{ErrorKind, Result};
use crate::store::contract::Store;
use crate::store::memory::MemoryStore;
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::read::{Read, ReadRequest};
use crate::store::messages::write::{Write, Written};

const MINUTE: Duration = Duration::from_mins(1);

fn faulty() -> (Arc<FaultStore>, Arc<MemoryStore>) {
    let inner = Arc::new(MemoryStore::new());
    (Arc::new(FaultStore::new(Arc::clone(&inner) as Arc<dyn Store>)), inner)
}

async fn set(store: &FaultStore) -> Result<Vec<Written>> {
    store.write(&[Write::new("k", "value".into(), MINUTE)]).await
}

async fn read(store: &FaultStore) -> Result<Read> {
    store.read(ReadRequest::new(&["k"])).await
}

#[tokio::test]
async fn the_next_calls_fail_and_those_after_work() {
    let (store, inner) = faulty();
    store.fail_next(Op::Set, 2, ErrorKind::Io);
    for _ in 0..2 {
        let error = set(&store).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }
    assert!(inner.is_empty(), "a failed call is not carried out");
    set(&store).await.unwrap();
    assert_eq!((inner.len(), store.count(Op::Set)), (1, 3));
}

#[tokio::test]
async fn failures_last_until_healed_and_hit_their_operation_only() {
    let (store, _) = faulty();
    store.fail(Op::Read, ErrorKind::Refused);
    assert_eq!(read(&store).await.unwrap_err().kind(), ErrorKind::Refused);
    assert_eq!(read(&store).await.unwrap_err().kind(), ErrorKind::Refused);
    store.read(ReadRequest::of_versions(&[])).await.unwrap();
    store.fail_all(ErrorKind::Connect);
    assert_eq!(store.read(ReadRequest::of_versions(&[])).await.unwrap_err().kind(), ErrorKind::Connect);
    assert_eq!(read(&store).await.unwrap_err().kind(), ErrorKind::Refused, "the nearer plan");
    assert_eq!(store.health().await.unwrap_err().kind(), ErrorKind::Connect);
    store.heal();
    read(&store).await.unwrap();
    store.read(ReadRequest::of_versions(&[])).await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_hides_that_the_call_was_carried_out() {
    let (store, inner) = faulty();
    store.lose_reply_next(Op::Set);
    let error = set(&store).await.unwrap_err();
    assert_eq!((error.kind(), inner.len()), (ErrorKind::Timeout, 1));
    set(&store).await.unwrap();
}

#[tokio::test]
async fn gates_stop_one_call_each_before_and_after_it_is_carried_out() {
    let (store, inner) = faulty();
    let (before, after) = (store.gate(Op::Set), store.gate_after(Op::Set));
    assert!(!before.is_reached());
    let setting = tokio::spawn({
        let store = Arc::clone(&store);
        async move { set(&store).await }
    });
    before.reached().await;
    assert!(inner.is_empty());
    before.open();
    after.reached().await;
    assert_eq!(inner.len(), 1);
    assert!(!setting.is_finished());
    after.open();
    setting.await.unwrap().unwrap();
    set(&store).await.unwrap();
}

#[tokio::test]
async fn a_dropped_gate_lets_everyone_pass() {
    let (store, _) = faulty();
    drop(store.gate(Op::Read));
    read(&store).await.unwrap();
}

#[tokio::test]
async fn a_failure_planned_while_a_call_stands_at_a_gate_hits_it() {
    let (store, _) = faulty();
    let gate = store.gate(Op::Read);
    let reading = tokio::spawn({
        let store = Arc::clone(&store);
        async move { read(&store).await }
    });
    gate.reached().await;
    store.fail_all(ErrorKind::Io);
    gate.open();
    assert_eq!(reading.await.unwrap().unwrap_err().kind(), ErrorKind::Io);
}

#[tokio::test(start_paused = true)]
async fn a_delay_holds_calls_up_until_healed() {
    let (store, _) = faulty();
    store.delay(Op::Read, Duration::from_secs(3));
    let start = tokio::time::Instant::now();
    read(&store).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
    store.heal();
    read(&store).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn a_failing_watch_waits_its_whole_time() {
    let (store, _) = faulty();
    store.fail(Op::Changed, ErrorKind::Io);
    let start = tokio::time::Instant::now();
    store.changes().unwrap().changed("k", Duration::from_secs(2)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(2));
}

#[test]
fn evicting_at_once_is_refused_where_anything_is_planned_for_it() {
    let (store, inner) = faulty();
    inner.put_raw("k", Bytes::new(), MINUTE);
    let version = |text: &str| VersionKey::new(text, 0);
    let tags = [TagKeys::new(version("t"), version("a"))];
    let evict = |tags| Some(store.immediate()?.evict(EvictRequest::new(&["k"], tags)));
    store.set_immediate(false);
    assert_eq!(evict(&[]), None);
    store.set_immediate(true);
    for plan in [
        (|store| store.fail_all(ErrorKind::Io)) as fn(&FaultStore),
        |store| store.fail(Op::Evict, ErrorKind::Io),
        |store| store.fail_next(Op::Evict, 1, ErrorKind::Io),
        |store| store.lose_reply_next(Op::Evict),
        |store| store.delay(Op::Evict, MINUTE),
        |store| store.fail(Op::Release, ErrorKind::Io),
    ] {
        plan(&store);
        assert_eq!(evict(&[]), None);
        store.heal();
    }
    drop(store.gate(Op::Health));
    assert_eq!((inner.len(), store.count(Op::Evict)), (1, 0));
    assert_eq!(evict(&tags), Some(vec![false]), "what is planned for others does not matter");
    assert_eq!((inner.len(), store.count(Op::Evict), store.count(Op::EvictTags)), (0, 1, 1));
    let _gate = store.gate(Op::EvictTags);
    assert_eq!(evict(&[]), None, "evicts are gated");
}

#[tokio::test]
async fn a_call_that_is_several_operations_goes_through_the_plans_of_all() {
    let (store, inner) = faulty();
    inner.put_raw("k", Bytes::new(), MINUTE);
    let version = |text: &str| VersionKey::new(text, 0);
    let tags = [TagKeys::new(version("t"), version("a"))];
    store.fail_next(Op::EvictTags, 1, ErrorKind::Io);
    assert!(store.evict(EvictRequest::new(&["k"], &tags)).await.is_err());
    assert_eq!(inner.len(), 1, "one request, which failed");
    store.lose_reply_next(Op::Evict);
    assert!(store.evict(EvictRequest::new(&["k"], &tags)).await.is_err());
    assert_eq!((inner.len(), store.count(Op::EvictTags)), (0, 2));
}
