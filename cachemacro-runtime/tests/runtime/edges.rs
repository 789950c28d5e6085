//! The far ends of the direct API: the longest durations, damaged entries, modes, and what debug output shows.

#![cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro_runtime::__private::{NoRules, Plain, When, Writes, write};
use cachemacro_runtime::store::faults::{FaultStore, Op};
use cachemacro_runtime::store::memory::MemoryStore;
use cachemacro_runtime::store::{
    Cursor, EvictRequest, Excerpt, Few, HeldLease, Increment, IncrementOutcome, Keep, Lease, LeaseKind,
    LeaseOutcome, LeaseRequest, Page, Raw, Read, ReadRequest, Store, TagKeys, Token, VersionKey, Write,
    pass_on,
};
use cachemacro_runtime::{Cache, Clock, Entry, EntryRules, ErrorKind, Lookup, MissReason, Mode, Policy};
use futures_util::FutureExt as _;

const HOUR: Duration = Duration::from_secs(60 * 60);

fn over(store: &Arc<MemoryStore>) -> Cache {
    Cache::builder().store(store.clone()).build().expect("acceptable settings")
}

#[tokio::test]
async fn the_longest_durations_are_as_good_as_any() {
    let cache = Cache::builder().memory().wait(Duration::MAX).lease_limit(Duration::MAX).lease(Duration::MAX);
    let cache = cache.ttl(Duration::MAX).jitter(100).build().expect("acceptable settings");
    let entry = cache.entry::<u32>("n", 1);
    let slow = async || {
        tokio::task::yield_now().await;
        7
    };
    assert_eq!(entry.get_or_load(slow).await, 7);
    assert_eq!(entry.get().await.expect("memory does not fail"), Some(7));
    entry.update(|n| n.unwrap_or_default() + 1).await.expect("it is stored");
    let Lookup::Hit(hit) = entry.lookup().await.expect("memory does not fail") else { panic!("it is there") };
    assert_eq!(*hit, 8);
    let found = cache.get_or_load_many("n", [2], async |ids: Vec<u32>| {
        tokio::task::yield_now().await;
        ids.into_iter().map(|id| (id, id)).collect::<HashMap<_, u32>>()
    });
    assert_eq!(found.await[&2], 2);
}

/// As `#[cache_put]`. Upholds G4 and G7 for puts by hand.
#[tokio::test]
async fn a_put_of_a_future_is_fenced_and_guarded() {
    let cache = Cache::memory();
    let entry = cache.entry::<u32>("n", 1);
    let get = async || entry.get().await.expect("memory does not fail");
    assert_eq!((entry.put_with(async || 1).await, get().await), (1, Some(1)));
    assert_eq!(entry.try_put_with(async || Err("no")).await, Err("no"));
    assert_eq!(get().await, Some(1), "nothing was written");
    assert_eq!(entry.try_put_with(async || Ok::<_, ()>(2)).await, Ok(2));
    assert_eq!(get().await, Some(2));
    // Of two, the one that began first does not store over the other, though it ends last.
    let (first, second) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
    let older = entry.put_with(async || {
        first.notify_one();
        second.notified().await;
        3
    });
    let newer = async {
        first.notified().await;
        entry.put_with(async || 4).await;
        second.notify_one();
    };
    assert_eq!(futures_util::future::join(older, newer).await.0, 3);
    assert!(matches!(get().await, None | Some(4)), "never the older one");
    // A load that began before a put does not bring back what was.
    let load = entry.clone();
    entry.evict().await.expect("memory does not fail");
    let stale = load.get_or_load(async || {
        entry.put_with(async || 6).await;
        5
    });
    stale.await;
    assert_ne!(get().await, Some(5));

    entry.put_with(async || 7).await;
    assert_eq!(entry.put_with(std::future::pending).now_or_never(), None);
    assert_eq!(get().await, None, "it may have written");
    entry.put_with(async || 8).await;
    let panics = entry.clone();
    tokio::spawn(async move { panics.put_with(async || panic!("on purpose")).await })
        .await
        .expect_err("it panics");
    assert_eq!(get().await, None);
    assert_eq!(cache.stats().total.puts, 6, "one came too late");
}

#[tokio::test]
async fn a_spread_of_more_than_everything_is_everything() {
    let policy = Policy::new().jitter(255);
    let mut ttls = Vec::new();
    for id in 0..50 {
        let entry = Cache::memory().entry::<u32>("n", &id).with_policy(policy).with_ttl(HOUR);
        entry.set(&1).await.expect("memory does not fail");
        // None: spread down to nothing, so gone by now.
        ttls.extend(entry.ttl().await.expect("memory does not fail"));
    }
    assert!(ttls.iter().all(|ttl| *ttl <= 2 * HOUR), "{ttls:?}");
    assert!(ttls.iter().any(|ttl| *ttl < HOUR / 2) && ttls.iter().any(|ttl| *ttl > HOUR * 3 / 2), "{ttls:?}");
}

#[tokio::test]
async fn an_update_heals_a_truncated_entry() {
    let store = Arc::new(MemoryStore::new());
    let entry = over(&store).entry::<u32>("n", 1);
    entry.set(&1).await.expect("memory does not fail");
    let read = store.read(ReadRequest::new(&["n:1"])).await.expect("memory does not fail");
    let whole = read.into_entry().expect("it is there");
    store.put_raw("n:1", whole.slice(..whole.len() - 1), HOUR);
    let updated = entry.update(|n| n.unwrap_or(10) + 1).await;
    assert_eq!(updated.expect("nothing usable is there"), 11);
    assert_eq!(entry.get().await.expect("memory does not fail"), Some(11));
}

#[tokio::test]
async fn an_update_replaces_an_expired_entry_that_a_loader_holds_the_lease_of() {
    let clock = Clock::manual();
    let store = Arc::new(MemoryStore::builder().clock(clock.clone()).build());
    let entry = over(&store).entry::<u32>("n", 1).with_ttl(Duration::from_secs(1));
    entry.set(&1).await.expect("memory does not fail");
    let request = LeaseRequest::new("n:1", Token::new(7), LeaseKind::Put, HOUR);
    store.lease(&[request]).await.expect("memory does not fail");
    clock.advance(Duration::from_secs(2));
    let updated = entry.update(|n| n.unwrap_or(10) + 1).await;
    assert_eq!(updated.expect("nothing usable is there"), 11);
}

#[tokio::test]
async fn an_update_stores_nothing_older_than_an_evict_of_a_tag_that_its_value_names() {
    let cache = Cache::memory();
    let rules = EntryRules::none().tags(|_: &u32| vec!["t".to_owned()]);
    let entry = cache.entry::<u32>("n", 1).with_rules(rules);
    entry.set(&1).await.expect("memory does not fail");
    let mut seen = Vec::new();
    let update = entry.update(|n| {
        seen.push(n);
        if n.is_some() {
            cache.evict_tags(["t"]).now_or_never().expect("memory answers at once").expect("it is there");
        }
        n.unwrap_or(10) + 1
    });
    assert_eq!(update.await.expect("the second round is undisturbed"), 11);
    assert_eq!(seen, [Some(1), None]);
}

#[tokio::test]
async fn a_counter_goes_on_whatever_age_a_reader_accepts() {
    let clock = Clock::manual();
    let cache = Cache::builder().memory().clock(clock.clone()).build().expect("acceptable settings");
    let counter = cache.entry::<i64>("n", 1).with_tags(["t"]);
    counter.increment(1).await.expect("memory does not fail");
    clock.advance(Duration::from_secs(2));
    let sum = Mode::MaxAge(Duration::from_secs(1)).scope(counter.increment(1)).await;
    assert_eq!(sum.expect("memory does not fail"), 2);
    cache.evict_tags(["t"]).await.expect("memory does not fail");
    assert_eq!(counter.increment(1).await.expect("memory does not fail"), 1);
}

#[tokio::test]
async fn an_update_loses_nothing_whatever_age_a_reader_accepts() {
    let clock = Clock::manual();
    let cache = Cache::builder().memory().clock(clock.clone()).build().expect("acceptable settings");
    let cart = cache.entry::<Vec<u32>>("cart", 1);
    cart.set(&vec![1, 2]).await.expect("memory does not fail");
    clock.advance(Duration::from_secs(2));
    let add = cart.update(|items| [items.unwrap_or_default(), vec![3]].concat());
    let items = Mode::MaxAge(Duration::from_secs(1)).scope(add).await;
    assert_eq!(items.expect("memory does not fail"), [1, 2, 3]);
}

#[tokio::test]
async fn a_counter_with_more_tags_than_an_entry_carries_is_an_error() {
    let counter = Cache::memory().entry::<i64>("n", 1).with_tags((0..1_025).map(|tag| tag.to_string()));
    assert_eq!(counter.increment(1).await.expect_err("too many tags").kind(), ErrorKind::TooLarge);
}

#[tokio::test]
async fn by_hand_a_refresh_finds_nothing_and_may_fill() {
    let cache = Cache::memory();
    let entry = cache.entry::<u32>("n", 1);
    entry.set(&1).await.expect("memory does not fail");
    let refresh = async |value: u32| {
        Mode::Refresh
            .scope(async {
                assert_eq!(entry.get().await.expect("memory does not fail"), None);
                let Lookup::Vacant(vacancy) = entry.lookup().await.expect("memory does not fail") else {
                    panic!("what is stored is not read")
                };
                vacancy.fill(&value).await.expect("memory does not fail").is_stored()
            })
            .await
    };
    assert!(refresh(2).await);
    assert_eq!(entry.get().await.expect("memory does not fail"), Some(2));
    assert_eq!(cache.stats().total.misses_for(MissReason::TooOld), 2);
    // One that is overtaken leaves nothing rather than the older value.
    let vacancy = Mode::Refresh.scope(entry.lookup()).await.expect("memory does not fail");
    assert!(refresh(3).await);
    let Lookup::Vacant(vacancy) = vacancy else { panic!("what is stored is not read") };
    assert!(!vacancy.fill(&4).await.expect("memory does not fail").is_stored());
    assert_eq!(entry.get().await.expect("memory does not fail"), None);
}

#[tokio::test]
async fn a_batch_in_refresh_mode_loads_anew_and_stores() {
    let cache = Cache::memory();
    let load = |value: u32| {
        move |ids: Vec<u32>| async move { ids.into_iter().map(|id| (id, value)).collect::<HashMap<_, u32>>() }
    };
    assert_eq!(cache.get_or_load_many("n", [1], load(1)).await[&1], 1);
    let refreshed = {
        let cache = cache.clone();
        Mode::Refresh.scope(async move { cache.get_or_load_many("n", [1, 2], load(2)).await })
    };
    assert_eq!(tokio::spawn(refreshed).await.expect("it does not panic")[&1], 2);
    assert_eq!(cache.get_or_load_many("n", [1, 2], load(3)).await, HashMap::from([(1, 2), (2, 2)]));
}

#[tokio::test]
async fn a_batch_takes_a_stored_none_for_an_answer() {
    let cache = Cache::memory();
    let policy = Policy::new().cache_none(true);
    let entry = |id: &u32| cache.entry::<u32>("n", id).with_policy(policy);
    let mut asked = Vec::new();
    for _ in 0..2 {
        let load = |ids: Vec<u32>| {
            asked.extend(ids);
            async { Ok::<_, ()>(HashMap::<u32, u32>::new()) }
        };
        let found = cache.try_get_or_load_many([1], entry, load).await.expect("no load fails");
        assert!(found.is_empty());
    }
    assert_eq!(asked, [1]);
}

#[tokio::test]
async fn has_says_what_get_finds() {
    let cache = Cache::memory();
    let policy = Policy::new().cache_none(true);
    let entry = |id: &u32| cache.entry::<u32>("n", id).with_policy(policy);
    let none = async |_: Vec<u32>| Ok::<_, ()>(HashMap::<u32, u32>::new());
    cache.try_get_or_load_many([1], entry, none).await.expect("no load fails");
    assert_eq!(entry(&1).get().await.expect("memory does not fail"), None);
    assert!(!entry(&1).has().await.expect("memory does not fail"));
    assert!(
        entry(&1).meta().await.expect("memory does not fail").is_some(),
        "what is known of it can be asked"
    );
}

#[tokio::test]
async fn a_set_that_bypasses_the_cache_evicts() {
    let entry: Entry<u32> = Cache::memory().entry("n", 1);
    entry.set(&1).await.expect("memory does not fail");
    Mode::Bypass.scope(entry.set(&2)).await.expect("memory does not fail");
    assert_eq!(entry.get().await.expect("memory does not fail"), None);
}

#[tokio::test]
async fn a_prefix_is_evicted_however_long_it_is() {
    let cache = Cache::memory();
    for length in [150, 164, 165, 166, 167, 190, 199, 200, 300] {
        let prefix = "é".repeat(length / 2) + &"p".repeat(length % 2);
        for key in ["k", &"k".repeat(100)] {
            let entry = cache.entry::<u32>(&prefix, &key);
            entry.set(&1).await.expect("memory does not fail");
            assert_eq!(cache.evict_prefix(&prefix).await.expect("memory does not fail"), 1, "{length}");
            assert_eq!(entry.get().await.expect("memory does not fail"), None, "{length}");
        }
    }
}

#[tokio::test]
async fn debug_output_shows_no_key() {
    let cache = Cache::memory();
    let entry = cache.entry::<u32>("user", "hunter2");
    let vacancy = entry.lookup().await.expect("memory does not fail");
    let evict = cache.evict().entry(&entry).key("user", "hunter2").tags(["hunter2"]);
    let bytes = Bytes::from_static(b"hunter2");
    let key = "hunter2";
    let versions = [VersionKey::new(key, 1)];
    let tags = [TagKeys::new(versions[0].clone(), versions[0].clone())];
    let read = Read::new(Few::from_iter([Some(Excerpt::whole(bytes.clone()))]), Few::default());
    let request = LeaseRequest::new(key, Token::new(1), LeaseKind::Load, HOUR).with_capture(&versions, HOUR);
    let lease = Lease::new(vec![], LeaseOutcome::Found(bytes.clone()));
    let write = Write::new(key, bytes.clone(), HOUR).with_check(&versions);
    let found = IncrementOutcome::Found(bytes.clone());
    let increment = Increment::new(key, 1, bytes.clone(), HOUR);
    for shown in [
        format!("{entry:?}"),
        format!("{vacancy:?}"),
        format!("{evict:?}"),
        format!("{cache:?}"),
        format!("{read:?}"),
        format!("{request:?}"),
        format!("{lease:?}"),
        format!("{write:?}"),
        format!("{:?}", ReadRequest::new(&[key]).with_versions(&versions)),
        format!("{:?}", EvictRequest::new(&[key], &tags)),
        format!("{:?}", HeldLease::new(key, Token::new(1))),
        format!("{:?}", Page::new(vec![bytes.clone()], Some(Cursor::default()))),
        format!("{:?}", Raw::new(bytes.clone(), None)),
        format!("{found:?}"),
        format!("{increment:?}"),
    ] {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
}

#[tokio::test]
async fn an_error_does_not_repeat_what_a_value_says_of_itself() {
    struct Secret;
    impl serde::Serialize for Secret {
        fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
            Err(serde::ser::Error::custom("hunter2 is no id"))
        }
    }
    let error = Cache::memory().entry::<u32>("user", &Secret).get().await.expect_err("it is no key");
    let source = std::error::Error::source(&error).expect("it says why").to_string();
    let shown = format!("{error} {error:?} {source}");
    assert!(!shown.contains("hunter2") && source.contains("Serialize"), "{shown}");
}

#[tokio::test]
async fn a_value_that_its_type_refuses_is_a_miss_and_counted_as_an_error() {
    #[derive(Clone, serde::Serialize)]
    struct Even(u32);
    impl<'de> serde::Deserialize<'de> for Even {
        fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
            let number = u32::deserialize(from)?;
            if number % 2 == 0 { Ok(Self(number)) } else { Err(serde::de::Error::custom("hunter2 is odd")) }
        }
    }
    let cache = Cache::memory();
    // The first value is read back before it is stored.
    cache.set("n", 2, &Even(2)).await.expect("memory does not fail");
    let entry = cache.entry::<Even>("n", 1);
    entry.set(&Even(1)).await.expect("memory does not fail");
    assert_eq!(entry.get_or_load(async || Even(2)).await.0, 2);
    let total = cache.stats().total;
    assert_eq!((total.misses_for(MissReason::Undecodable), total.errors_of(ErrorKind::Decode)), (1, 1));
}

/// Counts the leases that are given back, of which one request may name many.
#[derive(Debug)]
struct GivenBack(Arc<FaultStore>, AtomicU32);

#[async_trait]
impl Store for GivenBack {
    pass_on!(self.0: about, now, read, capture, lease, write, evict, evict_prefix, health);

    async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> cachemacro_runtime::Result<Vec<bool>> {
        if how == Keep::Release {
            self.1.fetch_add(u32::try_from(leases.len()).expect("a few"), Ordering::Relaxed);
        }
        self.0.keep(leases, how).await
    }
}

#[tokio::test]
async fn a_lease_that_may_have_been_granted_is_given_back() {
    let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    store.set_immediate(false);
    let given_back = Arc::new(GivenBack(store.clone(), AtomicU32::new(0)));
    let cache = Cache::builder().store(given_back.clone()).build().expect("acceptable settings");
    // One command of several went wrong, perhaps not the one that takes the lease.
    for kind in [ErrorKind::Refused, ErrorKind::Timeout, ErrorKind::Connect] {
        store.fail_next(Op::Lease, 1, kind);
        assert_eq!(cache.entry::<u32>("n", 1).get_or_load(async || 1).await, 1);
    }
    // It empties the queue first. Where there was no connection, nothing was sent.
    cache.shutdown().await.expect("all is delivered");
    assert_eq!(given_back.1.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_put_counts_where_it_was_stored_and_a_lookup_says_why_it_missed() {
    let cache = Cache::memory();
    let entry = cache.entry::<u32>("n", 1);
    let put = async |evicted: bool| {
        let writes = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
        let body = std::pin::pin!(async {
            if evicted {
                entry.evict().await.expect("memory does not fail");
            }
            1
        });
        write(writes, body, |_, writes| writes).await
    };
    put(false).await;
    assert_eq!(cache.stats().total.puts, 1);
    put(true).await;
    let total = cache.stats().total;
    assert_eq!((total.puts, total.fills, total.refused_fills), (1, 1, 1));

    entry.clone().with_tags(["t"]).set(&1).await.expect("memory does not fail");
    cache.evict_tags(["t"]).await.expect("memory does not fail");
    let Lookup::Vacant(_) = entry.lookup().await.expect("memory does not fail") else {
        panic!("it was evicted")
    };
    assert_eq!(cache.stats().total.misses_for(MissReason::TagEvicted), 1);
}

#[tokio::test]
async fn the_evicts_of_many_cancelled_calls_are_sent_together() {
    let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    store.set_immediate(false);
    let cache = Cache::builder().store(store.clone()).build().expect("acceptable settings");
    let entry = |id: u32| cache.entry::<u32>("n", &id);
    for id in 0..100 {
        entry(id).set(&1).await.expect("memory does not fail");
        let writes = Writes::new(Plain).evict(Some(&cache), When::default()).evict_entry(&entry(id));
        let body = std::pin::pin!(std::future::pending::<()>());
        assert!(write(writes, body, |(), writes| writes).now_or_never().is_none());
    }
    for id in 0..100 {
        assert_eq!(entry(id).get().await.expect("memory does not fail"), None);
    }
    assert_eq!(store.count(Op::Evict), 1);
}

#[tokio::test]
async fn a_batch_stores_nothing_for_entries_of_another_cache() {
    let (own, other) = (Cache::memory(), Cache::memory());
    let entry = |id: &u32| other.entry::<u32>("n", id);
    let load =
        async |ids: Vec<u32>| Ok::<_, ()>(ids.into_iter().map(|id| (id, id)).collect::<HashMap<_, _>>());
    let loaded = own.try_get_or_load_many([1], entry, load).await;
    assert_eq!(loaded, Ok(HashMap::from([(1, 1)])));
    assert_eq!((own.get::<u32>("n", 1).await.ok(), entry(&1).get().await.ok()), (Some(None), Some(None)));
}

#[tokio::test]
async fn batches_at_once_ask_once_for_a_row_that_is_not_there() {
    let cache = Cache::memory();
    let policy = Policy::new().cache_none(true);
    let loads = AtomicU32::new(0);
    let batch = || {
        cache.try_get_or_load_many(
            [1_u32],
            |id| cache.entry::<u32>("n", id).with_policy(policy),
            |_| async {
                loads.fetch_add(1, Ordering::SeqCst);
                tokio::task::yield_now().await;
                Ok::<_, ()>(HashMap::new())
            },
        )
    };
    let all = futures_util::future::join_all((0..20).map(|_| batch())).await;
    assert!(all.iter().all(|found| found == &Ok(HashMap::new())));
    assert_eq!(loads.load(Ordering::SeqCst), 1);
}
