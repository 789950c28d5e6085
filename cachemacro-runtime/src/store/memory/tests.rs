//! What the conformance suite cannot see: who is woken, what is copied, and in which order.

use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt;

use super::*;
use crate::format::header::{DECIMAL, Header, assemble};
use crate::store::{LeaseKind, OtherStamps};

const MINUTE: Duration = Duration::from_secs(60);

fn value(store: &MemoryStore, fill_id: FillId) -> Bytes {
    let header = Header { fill_id, gone_at: store.now().plus(MINUTE), ..Header::default() };
    assemble(header, &[], b"value").into()
}

fn lease(store: &MemoryStore, key: &str, token: Token, seen: FillId) {
    let request = LeaseRequest {
        key,
        token,
        seen,
        kind: LeaseKind::Load,
        live: MINUTE,
        capture: &[],
        version_life: MINUTE,
    };
    assert!(matches!(store.lease_one(&request), LeaseOutcome::Taken));
}

fn fill(store: &MemoryStore, key: &str, token: Token, unlink_refused: bool) -> bool {
    let bytes = value(store, 9);
    store.fill_one(&Fill { key, token, bytes, life: MINUTE, unlink_refused, check: &[] }).accepted
}

/// Asserts whether one who waits for `k` is woken by what `change` does.
async fn assert_wakes(expected: bool, what: &str, change: impl AsyncFnOnce(&MemoryStore)) {
    let store = MemoryStore::new();
    lease(&store, "k", 1, 0);
    let mut waiter = pin!(store.changed("k", MINUTE));
    assert!(waiter.as_mut().now_or_never().is_none());
    change(&store).await;
    assert_eq!(waiter.as_mut().now_or_never().is_some(), expected, "{what}");
}

#[tokio::test]
async fn a_waiter_is_woken_by_every_change_of_its_entry() {
    let keys = ["k".to_owned()];
    assert_wakes(true, "fill", async |store| assert!(fill(store, "k", 1, false))).await;
    assert_wakes(true, "refused put", async |store| assert!(!fill(store, "k", 2, true))).await;
    assert_wakes(true, "release", async |store| assert!(store.release("k", 1).await.unwrap())).await;
    assert_wakes(true, "set", async |store| store.set("k", value(store, 2), MINUTE).await.unwrap()).await;
    assert_wakes(true, "compare and set", async |store| {
        assert!(store.compare_and_set("k", 0, value(store, 2), MINUTE).await.unwrap());
    })
    .await;
    assert_wakes(true, "increment", async |store| {
        let header = Header { codec: DECIMAL, ..Header::default() };
        let fresh = assemble(header, &[], b"").into();
        let increment = Increment { key: "k", by: 1, fresh, life: MINUTE, others: OtherStamps::Unknown };
        assert_eq!(store.increment(increment).await.unwrap(), IncrementOutcome::Added(1));
    })
    .await;
    assert_wakes(true, "evict", async |store| assert_eq!(store.evict(&keys).await.unwrap(), [false])).await;
    assert_wakes(true, "evict now", async |store| assert_eq!(store.evict_now(&keys, &[]), Some(vec![false])))
        .await;
    assert_wakes(true, "prefix", async |store| assert_eq!(store.evict_prefix("k").await.unwrap(), 1)).await;
}

#[tokio::test]
async fn a_waiter_sleeps_through_what_changes_nothing_for_it() {
    assert_wakes(false, "another key", async |store| {
        store.set("other", value(store, 2), MINUTE).await.unwrap();
    })
    .await;
    assert_wakes(false, "refused fill", async |store| assert!(!fill(store, "k", 2, false))).await;
    assert_wakes(false, "refused release", async |store| assert!(!store.release("k", 2).await.unwrap()))
        .await;
    assert_wakes(false, "refused compare and set", async |store| {
        assert!(!store.compare_and_set("k", 3, value(store, 2), MINUTE).await.unwrap());
    })
    .await;
    assert_wakes(false, "busy lease", async |store| {
        assert!(store.renew("k", 1, MINUTE).await.unwrap());
    })
    .await;
}

#[tokio::test]
async fn all_waiters_of_a_key_are_woken_together_and_later_ones_wait_for_the_next_change() {
    let store = MemoryStore::new();
    let (mut one, mut two) = (pin!(store.changed("k", MINUTE)), pin!(store.changed("k", MINUTE)));
    assert!(one.as_mut().now_or_never().is_none() && two.as_mut().now_or_never().is_none());
    store.put_raw("k", Bytes::new(), MINUTE);
    let mut later = pin!(store.changed("k", MINUTE));
    assert!(later.as_mut().now_or_never().is_none());
    assert!(one.as_mut().now_or_never().is_some() && two.as_mut().now_or_never().is_some());
    assert!(later.as_mut().now_or_never().is_none());
    store.put_raw("k", Bytes::new(), MINUTE);
    assert!(later.as_mut().now_or_never().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_by_its_time_and_leaves_nothing_behind() {
    let store = MemoryStore::new();
    let start = tokio::time::Instant::now();
    store.changed("k", MINUTE).await;
    assert_eq!(start.elapsed(), MINUTE);
    assert!(store.watch.is_empty(), "timed out");
    {
        let mut one = Box::pin(store.changed("k", MINUTE));
        let mut two = Box::pin(store.changed("k", MINUTE));
        assert!(one.as_mut().now_or_never().is_none() && two.as_mut().now_or_never().is_none());
        drop(one);
        assert!(!store.watch.is_empty());
        store.put_raw("k", Bytes::new(), MINUTE);
        assert!(two.as_mut().now_or_never().is_some(), "the other's leaving is not a change, and hides none");
    }
    assert!(store.watch.is_empty(), "dropped and woken");
}

#[tokio::test]
async fn what_a_reader_holds_does_not_change_under_it() {
    let store = MemoryStore::new();
    let stored = value(&store, 5);
    let copy = stored.to_vec();
    store.set("k", stored, MINUTE).await.unwrap();
    let held = store.read("k", &[]).await.unwrap().entry.unwrap();
    lease(&store, "k", 1, 5);
    assert_eq!(held, copy);
    let leased = store.read("k", &[]).await.unwrap().entry.unwrap();
    assert_eq!(Header::parse(&leased).unwrap().token, 1);
    assert!(store.release("k", 1).await.unwrap());
    assert_eq!(Header::parse(&leased).unwrap().token, 1);
    assert_eq!(store.read("k", &[]).await.unwrap().entry.unwrap(), copy);
}

#[tokio::test]
async fn a_header_that_nobody_holds_is_rewritten_in_place() {
    let store = MemoryStore::new();
    store.set("k", value(&store, 5), MINUTE).await.unwrap();
    let address = || store.get("k").unwrap().as_ptr();
    let before = address();
    lease(&store, "k", 1, 5);
    assert_eq!(address(), before, "not copied, however large the value");
}

#[test]
fn an_evicted_tags_version_never_outlives_nor_precedes_its_any_tag_version() {
    let store = MemoryStore::new();
    let key = |text: &str| VersionKey { text: text.to_owned(), hash: 0 };
    let tag = TagKeys { tag: key("tag"), any: key("any") };
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..100_000 {
                store.capture_all(&[tag.tag.clone(), tag.any.clone()], MINUTE);
                store.evict_tag(&tag);
            }
            ended.store(true, Ordering::SeqCst);
        });
        while !ended.load(Ordering::SeqCst) {
            let any = store.version(&tag.any);
            if any.is_some() && store.version(&tag.tag).is_none() {
                // The same any-tag version before and after: it was there while the tag's was not.
                assert_ne!(store.version(&tag.any), any, "a late tag would pass with its new version");
            }
        }
    });
}

#[tokio::test]
async fn losing_any_key_is_a_miss() {
    let store = MemoryStore::builder().capacity(0).build();
    lease(&store, "k", 1, 0);
    assert!(!fill(&store, "k", 1, false), "the lease is lost, and so is the fill");
    let key = [VersionKey { text: "v".to_owned(), hash: 0 }];
    let first = store.capture(&key, MINUTE).await.unwrap();
    assert_eq!(store.versions(&key).await.unwrap(), [None]);
    assert_ne!(store.capture(&key, MINUTE).await.unwrap(), first, "a lost version never comes back");
    store.set("k", value(&store, 1), MINUTE).await.unwrap();
    assert_eq!(store.evict(&["k".to_owned()]).await.unwrap(), [false]);
}
