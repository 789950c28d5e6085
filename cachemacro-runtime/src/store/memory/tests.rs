//! What the conformance suite cannot see: who is woken, what is copied, and in which order.

use std::any::Any;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures_util::FutureExt;

use super::MemoryStore;
use crate::format::header::{DECIMAL, FIXED, Header, Parts, assemble};
use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::{TagKeys, VersionKey};
use crate::store::contract::Store;
use crate::store::decoded::{Origin, Rebuild};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome};
use crate::store::messages::lease::{HeldLease, Keep, LeaseKind, LeaseOutcome, LeaseRequest};
use crate::store::messages::read::{Excerpt, ReadRequest};
use crate::store::messages::write::{Guard, OnRefusal, Write};
use crate::store::{Guarded, Placed, Query};

const MINUTE: Duration = Duration::from_secs(60);

fn value(store: &MemoryStore, fill_id: u64) -> Bytes {
    let header = Header::new().with_fill_id(FillId::new(fill_id));
    assemble(header.with_gone_at(store.now().plus(MINUTE)), &[], b"value").into()
}

async fn lease(store: &MemoryStore, token: u64, seen: u64) {
    let request = LeaseRequest::new("k", Token::new(token), LeaseKind::Load, MINUTE);
    let leases = store.lease(&[request.with_seen(FillId::new(seen))]).await.unwrap();
    assert_eq!(leases[0].outcome, LeaseOutcome::Taken);
}

async fn keep(store: &MemoryStore, token: u64, how: Keep) -> bool {
    store.keep(&[HeldLease::new("k", Token::new(token))], how).await.unwrap() == [true]
}

async fn write(store: &MemoryStore, write: Write<'_>) -> bool {
    store.write(&[write]).await.unwrap()[0].accepted
}

async fn set(store: &MemoryStore, key: &str, fill_id: u64) -> bool {
    write(store, Write::new(key, value(store, fill_id), MINUTE)).await
}

async fn fill(store: &MemoryStore, token: u64, on_refusal: OnRefusal) -> bool {
    let fill = Write::new("k", value(store, 9), MINUTE).with_guard(Guard::Lease(Token::new(token)));
    write(store, fill.with_on_refusal(on_refusal)).await
}

async fn compare_and_set(store: &MemoryStore, seen: u64) -> bool {
    let guard = Guard::Seen(FillId::new(seen));
    write(store, Write::new("k", value(store, 2), MINUTE).with_guard(guard)).await
}

async fn read(store: &MemoryStore) -> Bytes {
    store.read(ReadRequest::new(&["k"])).await.unwrap().into_entry().unwrap()
}

fn changed(store: &MemoryStore, at_most: Duration) -> impl Future<Output = ()> + Send + '_ {
    store.changes().unwrap().changed("k", at_most)
}

const EVICT: EvictRequest<'_> = EvictRequest::new(&["k"], &[]);

/// Asserts whether one who waits for `k` is woken by what `change` does.
async fn assert_wakes(expected: bool, what: &str, change: impl AsyncFnOnce(&MemoryStore)) {
    let store = MemoryStore::new();
    lease(&store, 1, 0).await;
    let mut waiter = pin!(changed(&store, MINUTE));
    assert!(waiter.as_mut().now_or_never().is_none());
    change(&store).await;
    assert_eq!(waiter.as_mut().now_or_never().is_some(), expected, "{what}");
}

#[tokio::test]
async fn a_waiter_is_woken_by_every_change_of_its_entry() {
    assert_wakes(true, "fill", async |store| assert!(fill(store, 1, OnRefusal::Leave).await)).await;
    assert_wakes(true, "refused put", async |store| assert!(!fill(store, 2, OnRefusal::Unlink).await)).await;
    assert_wakes(true, "release", async |store| assert!(keep(store, 1, Keep::Release).await)).await;
    assert_wakes(true, "release at once", async |store| {
        assert!(store.immediate().unwrap().release(HeldLease::new("k", Token::new(1))));
    })
    .await;
    assert_wakes(true, "set", async |store| assert!(set(store, "k", 2).await)).await;
    assert_wakes(true, "compare and set", async |store| assert!(compare_and_set(store, 0).await)).await;
    assert_wakes(true, "increment", async |store| {
        let fresh = assemble(Header::new().with_codec(DECIMAL), &[], b"").into();
        let increment = Increment::new("k", 1, fresh, MINUTE);
        assert_eq!(store.increment(increment).await.unwrap(), IncrementOutcome::Added(1));
    })
    .await;
    assert_wakes(true, "evict", async |store| {
        assert_eq!(store.evict(EVICT).await.unwrap(), [false]);
    })
    .await;
    assert_wakes(true, "evict at once", async |store| {
        assert_eq!(store.immediate().unwrap().evict(EVICT), [false]);
    })
    .await;
    assert_wakes(true, "prefix", async |store| {
        assert_eq!(store.evict_prefix("k").await.unwrap(), 1);
    })
    .await;
}

#[tokio::test]
async fn a_waiter_sleeps_through_what_changes_nothing_for_it() {
    assert_wakes(false, "another key", async |store| assert!(set(store, "other", 2).await)).await;
    assert_wakes(false, "refused fill", async |store| assert!(!fill(store, 2, OnRefusal::Leave).await)).await;
    assert_wakes(false, "refused release", async |store| assert!(!keep(store, 2, Keep::Release).await)).await;
    assert_wakes(false, "refused compare and set", async |store| assert!(!compare_and_set(store, 3).await))
        .await;
    assert_wakes(false, "busy lease", async |store| assert!(keep(store, 1, Keep::Renew(MINUTE)).await)).await;
}

#[tokio::test]
async fn all_waiters_of_a_key_are_woken_together_and_later_ones_wait_for_the_next_change() {
    let store = MemoryStore::new();
    let (mut one, mut two) = (pin!(changed(&store, MINUTE)), pin!(changed(&store, MINUTE)));
    assert!(one.as_mut().now_or_never().is_none() && two.as_mut().now_or_never().is_none());
    store.put_raw("k", Bytes::new(), MINUTE);
    let mut later = pin!(changed(&store, MINUTE));
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
    changed(&store, MINUTE).await;
    assert_eq!(start.elapsed(), MINUTE);
    assert!(store.memory().watch.is_empty(), "timed out");
    {
        let mut one = Box::pin(changed(&store, MINUTE));
        let mut two = Box::pin(changed(&store, MINUTE));
        assert!(one.as_mut().now_or_never().is_none() && two.as_mut().now_or_never().is_none());
        drop(one);
        assert!(!store.memory().watch.is_empty());
        store.put_raw("k", Bytes::new(), MINUTE);
        assert!(two.as_mut().now_or_never().is_some(), "the other's leaving is not a change, and hides none");
    }
    assert!(store.memory().watch.is_empty(), "dropped and woken");
}

#[tokio::test]
async fn what_a_reader_holds_does_not_change_under_it() {
    let store = MemoryStore::new();
    let stored = value(&store, 5);
    let copy = stored.to_vec();
    assert!(write(&store, Write::new("k", stored, MINUTE)).await);
    let held = read(&store).await;
    lease(&store, 1, 5).await;
    assert_eq!(held, copy);
    let leased = read(&store).await;
    assert_eq!(Header::parse(&leased).unwrap().token, Token::new(1));
    assert!(keep(&store, 1, Keep::Release).await);
    assert_eq!(Header::parse(&leased).unwrap().token, Token::new(1));
    assert_eq!(read(&store).await, copy);
}

#[tokio::test]
async fn a_header_that_nobody_holds_is_rewritten_in_place() {
    let store = MemoryStore::new();
    assert!(set(&store, "k", 5).await);
    let address = || store.memory().space.get("k").unwrap().bytes.as_ptr();
    let before = address();
    lease(&store, 1, 5).await;
    assert_eq!(address(), before, "not copied, however large the value");
}

/// By `Store::evict` and by the immediate one.
#[test]
fn an_evicted_tags_version_never_outlives_nor_precedes_its_any_tag_version() {
    let store = MemoryStore::new();
    let tag = TagKeys::new(VersionKey::new("tag", 0), VersionKey::new("any", 0));
    let evict = EvictRequest::new(&[], std::slice::from_ref(&tag));
    let version =
        |key: &VersionKey| store.look(ReadRequest::of_versions(std::slice::from_ref(key))).versions[0];
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for round in 0..100_000 {
                let captured = store.capture(&[tag.tag.clone(), tag.any.clone()], MINUTE).now_or_never();
                captured.unwrap().unwrap();
                if round % 2 == 0 {
                    store.evict(evict).now_or_never().unwrap().unwrap();
                } else {
                    store.immediate().unwrap().evict(evict);
                }
            }
            ended.store(true, Ordering::SeqCst);
        });
        while !ended.load(Ordering::SeqCst) {
            let any = version(&tag.any);
            if any.is_some() && version(&tag.tag).is_none() {
                // The same any-tag version before and after: it was there while the tag's was not.
                assert_ne!(version(&tag.any), any, "a late tag would pass with its new version");
            }
        }
    });
}

#[tokio::test]
async fn losing_any_key_is_a_miss() {
    let store = MemoryStore::builder().capacity(0).build();
    lease(&store, 1, 0).await;
    assert!(!fill(&store, 1, OnRefusal::Leave).await, "the lease is lost, and so is the fill");
    let key = [VersionKey::new("v", 0)];
    let first = store.capture(&key, MINUTE).await.unwrap();
    let none: [Option<Version>; 1] = [None];
    assert_eq!(*store.read(ReadRequest::of_versions(&key)).await.unwrap().versions, none);
    assert_ne!(store.capture(&key, MINUTE).await.unwrap(), first, "a lost version never comes back");
    assert!(set(&store, "k", 1).await);
    assert_eq!(store.evict(EVICT).await.unwrap(), [false]);
}

/// What a value encodes to that is text, or text that changes.
fn rebuilt(head: &[u8], value: &(dyn Any + Send + Sync)) -> Option<Vec<u8>> {
    let text = value.downcast_ref::<Guarded<Text>>()?.get()?;
    // Encoding a value may come back to the store, here to the same shard.
    text.0.get().map(|store| store.look(ReadRequest::new(&["other"])));
    let bytes = [head, text.1.lock().unwrap().as_bytes()].concat();
    Parts::parse(&bytes).is_ok().then_some(bytes)
}

#[derive(Clone)]
struct Text(Arc<OnceLock<MemoryStore>>, Arc<Mutex<String>>);

const LONG: usize = 1_000;

/// The header of a value that lives for a minute.
fn lasting(store: &MemoryStore) -> Header {
    let until = store.now().plus(MINUTE);
    Header::new().with_fresh_until(until).with_gone_at(until)
}

/// A store with a long value under `k`, which is kept decoded too; and the value.
async fn with_decoded(rebuild: Option<Rebuild>) -> (MemoryStore, Bytes, Text) {
    let store = MemoryStore::builder().capacity(1 << 20).build();
    let text = "x".repeat(LONG);
    let header = lasting(&store).with_fill_id(FillId::new(5));
    let stored = Bytes::from(assemble(header, &[], text.as_bytes()));
    assert!(write(&store, Write::new("k", stored, MINUTE)).await);
    let bytes = read(&store).await;
    let value = Text(Arc::default(), Arc::new(Mutex::new(text)));
    let until = store.now().plus(MINUTE);
    store.keep_decoded(
        ("k", &placed()),
        (&bytes, origin(&bytes, rebuild)),
        [].into_iter(),
        until,
        Guarded::new(value.clone()),
    );
    (store, bytes, value)
}

fn origin(bytes: &[u8], rebuild: Option<Rebuild>) -> Origin<'_> {
    Origin { size: FIXED + LONG, head: &bytes[..FIXED], rebuild }
}

fn placed() -> Placed {
    Placed { hash: 7, bytes: b"arguments".to_vec() }
}

fn is_decoded(store: &MemoryStore) -> bool {
    store.decoded::<Text>(&Query::new(7, |bytes: &[u8]| bytes == b"arguments")).is_some()
}

/// How many bytes are under `k`.
fn length(store: &MemoryStore) -> usize {
    store.memory().space.in_slot("k").expect("it is there")
}

#[tokio::test]
async fn bytes_that_a_value_encodes_to_are_left_out_until_someone_asks_for_them() {
    let (both, _, _) = with_decoded(None).await;
    let (store, bytes, _) = with_decoded(Some(rebuilt)).await;
    assert_eq!(both.weight() - store.weight(), LONG + FIXED);
    for _ in 0..2 {
        assert!(is_decoded(&store));
        assert_eq!(length(&store), FIXED);
    }
    assert_eq!(read(&store).await, bytes);
    assert_eq!((is_decoded(&store), length(&store)), (true, bytes.len()));
    // Kept anew, as by a call whose arguments are written in another way: who asked once may ask again.
    let again = read(&store).await;
    let value = Guarded::new(Text(Arc::default(), Arc::default()));
    store.keep_decoded(
        ("k", &placed()),
        (&again, origin(&again, Some(rebuilt))),
        [].into_iter(),
        store.now().plus(MINUTE),
        value,
    );
    assert_eq!(length(&store), bytes.len());
    assert_eq!(store.evict(EVICT).await.unwrap(), [true]);
    assert_eq!((store.len(), store.weight(), is_decoded(&store)), (0, 0, false));
}

#[tokio::test]
async fn who_asks_for_the_first_bytes_alone_has_the_others_left_out() {
    let (store, bytes, _) = with_decoded(Some(rebuilt)).await;
    let first = |first| store.look(ReadRequest::new(&["k"]).with_first(first)).entries[0].clone();
    for most in [1, FIXED] {
        assert_eq!(first(most), Some(Excerpt::new(bytes.slice(..most), bytes.len())));
        assert_eq!(length(&store), FIXED);
    }
    assert_eq!(first(FIXED + 1), Some(Excerpt::new(bytes.slice(..=FIXED), bytes.len())));
    assert_eq!(first(FIXED), Some(Excerpt::new(bytes.slice(..FIXED), bytes.len())));
    assert_eq!(store.evict(EVICT).await.unwrap(), [true]);
    assert_eq!(first(FIXED), None);
}

/// Upholds G1.
#[tokio::test]
async fn whatever_is_done_to_a_key_whose_bytes_were_left_out_is_done_as_to_any_other() {
    let (store, ..) = with_decoded(Some(rebuilt)).await;
    assert_eq!(store.evict(EVICT).await.unwrap(), [true], "it could be read");
    assert_eq!((store.len(), store.weight(), is_decoded(&store)), (0, 0, false));
    let (store, ..) = with_decoded(Some(rebuilt)).await;
    assert_eq!(store.evict_prefix("k").await.unwrap(), 1);
    assert_eq!((store.weight(), is_decoded(&store)), (0, false));
    let (store, ..) = with_decoded(Some(rebuilt)).await;
    assert!(!compare_and_set(&store, 3).await && compare_and_set(&store, 5).await);
    assert!(!is_decoded(&store));
    let (store, bytes, _) = with_decoded(Some(rebuilt)).await;
    lease(&store, 1, 5).await;
    let leased = read(&store).await;
    assert_eq!(Header::parse(&leased).unwrap().token, Token::new(1));
    assert_eq!(leased[FIXED..], bytes[FIXED..]);
}

#[tokio::test]
async fn what_takes_the_place_of_a_value_has_that_not_encoded() {
    static ENCODED: AtomicBool = AtomicBool::new(false);
    let rebuild: Rebuild = |head, value| {
        ENCODED.store(true, Ordering::SeqCst);
        rebuilt(head, value)
    };
    let (store, ..) = with_decoded(Some(rebuild)).await;
    let mut waiter = pin!(changed(&store, MINUTE));
    assert!(waiter.as_mut().now_or_never().is_none());
    store.put_raw("version", 7_u64.to_le_bytes().to_vec().into(), MINUTE);
    let check = [VersionKey::new("version", 0), VersionKey::new("none", 0)];
    let write = [Write::new("k", value(&store, 9), MINUTE).with_check(&check)];
    let written = store.write(&write).await.unwrap();
    let versions = store.look(ReadRequest::of_versions(&check)).versions.to_vec();
    assert_eq!((written[0].accepted, &written[0].versions), (true, &versions));
    assert!(versions[0].is_some() && versions[1].is_none());
    assert!(waiter.as_mut().now_or_never().is_some());
    assert!(!ENCODED.load(Ordering::SeqCst));
    assert_eq!((read(&store).await, is_decoded(&store)), (value(&store, 9), false));
}

/// G8: a value that changed inside encodes to something else than was stored.
#[tokio::test]
async fn a_value_that_no_longer_encodes_to_what_was_stored_is_a_miss() {
    let (store, _, value) = with_decoded(Some(rebuilt)).await;
    value.1.lock().unwrap().push('y');
    assert!(is_decoded(&store));
    let read = store.read(ReadRequest::new(&["k"])).await.unwrap();
    assert_eq!(read.into_entry(), None);
    assert_eq!((store.len(), store.weight(), is_decoded(&store)), (0, 0, false));
}

#[tokio::test]
async fn a_value_is_encoded_under_no_lock() {
    let (store, bytes, value) = with_decoded(Some(rebuilt)).await;
    value.0.set(store).expect("not set before");
    assert_eq!(read(value.0.get().expect("set")).await, bytes);
}

/// A store of this capacity, full of values that are kept decoded alone, and how many there are.
async fn full_of_decoded(capacity: usize) -> (MemoryStore, u64) {
    let store = MemoryStore::builder().capacity(capacity).build();
    for id in 1.. {
        let (key, text) = (id.to_string(), "x".repeat(LONG));
        let header = lasting(&store).with_fill_id(FillId::new(id));
        let stored = Bytes::from(assemble(header, &[], text.as_bytes()));
        let before = store.len();
        assert!(write(&store, Write::new(&key, stored, MINUTE)).await);
        let bytes = store.read(ReadRequest::new(&[&key])).await.unwrap().into_entry().unwrap();
        let value = Guarded::new(Text(Arc::default(), Arc::new(Mutex::new(text))));
        let until = store.now().plus(MINUTE);
        store.keep_decoded(
            (&key, &numbered(id)),
            (&bytes, origin(&bytes, Some(rebuilt))),
            [].into_iter(),
            until,
            value,
        );
        if store.len() == before {
            return (store, id);
        }
    }
    unreachable!("some capacity")
}

fn numbered(id: u64) -> Placed {
    Placed { hash: id, bytes: id.to_le_bytes().to_vec() }
}

fn is_decoded_at(store: &MemoryStore, id: u64) -> bool {
    store.decoded::<Text>(&Query::new(id, |bytes: &[u8]| *bytes == id.to_le_bytes())).is_some()
}

#[tokio::test]
async fn a_full_store_that_is_read_by_bytes_stays_within_its_capacity_and_loses_nothing() {
    for capacity in [200_000, 9 << 20] {
        let (store, last) = full_of_decoded(capacity).await;
        let (before, hot) = (store.len(), last - 40..last);
        for id in 1..=last {
            let key = id.to_string();
            let read = store.read(ReadRequest::new(&[&key])).await.unwrap();
            let length = read.into_entry().map(|bytes| bytes.len());
            assert!(length.is_none_or(|length| length == FIXED + LONG));
            assert!(store.weight() <= capacity, "{} exceeds {capacity}", store.weight());
            // A step that changes nothing, as that of a lease that is held, reads the bytes too.
            assert!(!keep_of(&store, &key).await);
            assert!(store.weight() <= capacity, "{} exceeds {capacity}", store.weight());
        }
        assert_eq!(store.len(), before, "bytes go before values do");
        assert!(hot.clone().all(|id| is_decoded_at(&store, id)));
        assert!(set(&store, "one more", 1).await);
        assert!(store.len() + 3 > before, "{} of {before}", store.len());
        assert!(hot.filter(|id| is_decoded_at(&store, *id)).count() > 37);
    }
}

async fn keep_of(store: &MemoryStore, key: &str) -> bool {
    store.keep(&[HeldLease::new(key, Token::new(1))], Keep::Release).await.unwrap() == [true]
}

#[tokio::test]
async fn a_value_that_exceeds_the_capacity_with_its_bytes_is_not_kept_decoded_and_pushes_nothing_out() {
    for rebuild in [None, Some(rebuilt as Rebuild)] {
        let store = MemoryStore::builder().capacity(2_000).build();
        assert!(write(&store, Write::new("small", value(&store, 1), MINUTE)).await);
        let header = lasting(&store);
        let stored = Bytes::from(assemble(header, &[], "x".repeat(LONG).as_bytes()));
        assert!(write(&store, Write::new("k", stored.clone(), MINUTE)).await);
        let until = store.now().plus(MINUTE);
        let value = Guarded::new(Text(Arc::default(), Arc::default()));
        let named = ("k", &placed());
        store.keep_decoded(named, (&stored, origin(&stored, rebuild)), [].into_iter(), until, value);
        assert!(store.weight() <= 2_000, "{}", store.weight());
        assert_eq!((store.len(), is_decoded(&store), read(&store).await), (2, false, stored));
    }
}

#[tokio::test]
async fn bytes_that_were_asked_for_stay_while_there_is_room_and_no_longer() {
    let (store, last) = full_of_decoded(200_000).await;
    let in_slot = |key: &str| store.memory().space.in_slot(key);
    let last = last.to_string();
    store.evict(EvictRequest::new(&["1", "2", "3"], &[])).await.unwrap();
    for _ in 0..1_000 {
        // Asked for, and not, and asked for: the list of those asked for stays short.
        assert_eq!(
            store.read(ReadRequest::new(&[&last])).await.unwrap().into_entry().unwrap().len(),
            FIXED + LONG
        );
        assert_eq!(in_slot(&last), Some(FIXED + LONG));
    }
    for id in 0..5 {
        store.put_raw(&format!("raw {id}"), vec![0; LONG].into(), MINUTE);
    }
    assert_eq!(in_slot(&last), Some(FIXED));
    assert!(is_decoded_at(&store, last.parse().unwrap()));
}
