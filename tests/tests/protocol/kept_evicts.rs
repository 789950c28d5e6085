//! Evicts that the store did not acknowledge: kept, sent again, and what they may be about is not served before.
//!
//! Which test fails where a mechanism is removed, each of which was removed once:
//!
//! | removed | test |
//! |---|---|
//! | what failed is kept | `what_a_failed_evict_was_about_is_not_served_before_it_was_sent_again` |
//! | a read asks what is kept | `what_a_failed_evict_was_about_is_not_served_before_it_was_sent_again` |
//! | what failed of a cancelled call's evicts is kept | `what_a_cancelled_call_could_not_evict_is_sent_again` |
//! | caches on one place share what is kept | `other_caches_on_the_same_place_do_not_serve_it_either` |
//! | `shutdown` sends what is kept | `a_cache_that_is_shut_down_sends_what_it_kept` |
//! | `shutdown` returns what it could not send | `a_cache_that_cannot_send_what_it_kept_hands_it_over_when_it_is_shut_down` |
//! | what is delivered in vain is kept | `what_is_delivered_in_vain_is_kept_like_every_evict` |
//! | too many become the whole namespace | `more_than_can_be_kept_stop_everything_until_the_namespace_is_cleared` |

use std::pin::pin;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, ErrorKind, Undelivered, Warning, cache_evict, cached};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_until};
use futures_util::FutureExt as _;

#[cached(prefix = "row", key = "{id}", entry = row_entry)]
async fn row(id: u32) -> u32 {
    id
}

#[cache_evict(entry = row_entry(id))]
async fn change(id: u32) {
    let _ = id;
    std::future::pending::<()>().await;
}

on_both_stores!(
    what_a_failed_evict_was_about_is_not_served_before_it_was_sent_again,
    what_no_kept_evict_is_about_is_served,
    what_a_cancelled_call_could_not_evict_is_sent_again,
);

const EVICTS: [Op; 3] = [Op::Evict, Op::EvictTags, Op::EvictPrefix];

fn break_evicts(process: &Process, kind: ErrorKind) {
    for op in EVICTS {
        process.faults.fail(op, kind);
    }
}

fn kept(cache: &Cache) -> u64 {
    let of = |warning: &Warning| match warning {
        Warning::KeptEvicts { count, .. } => Some(*count),
        _ => None,
    };
    cache.warnings().iter().find_map(of).unwrap_or_default()
}

/// Waits until no evict of this cache's namespace is kept.
pub(crate) async fn all_are_sent(cache: &Cache) {
    wait_until("all are sent", DEADLINE, async || kept(cache) == 0).await;
}

async fn change_in_vain(cache: &Cache, how: &str) {
    let done = match how {
        "key" => cache.evict_key("row", 1).await.map(drop),
        "tag" => cache.evict_tags(["rows"]).await,
        _ => cache.evict_prefix("row").await.map(drop),
    };
    assert!(done.is_err(), "an evict that did not happen is told");
}

/// Upholds G7.
async fn what_a_failed_evict_was_about_is_not_served_before_it_was_sent_again(rig: Rig) {
    for how in ["key", "tag", "prefix"] {
        for kind in [ErrorKind::Connect, ErrorKind::Timeout, ErrorKind::Io, ErrorKind::Refused] {
            let (process, other) = (rig.process(), rig.process());
            let entry = process.cache.entry::<u32>("row", 1).with_tags(["rows"]);
            entry.set(&1).await.expect("stored");
            break_evicts(&process, kind);
            change_in_vain(&process.cache, how).await;
            change_in_vain(&process.cache, how).await;
            assert_eq!(kept(&process.cache), 1, "each name once");
            // Reads work, and the old value is there: it is not served all the same.
            for _ in 0..3 {
                assert_eq!(entry.get().await.expect_err("not served").kind(), ErrorKind::Connect);
                assert_eq!(entry.get_or_load(async || 2).await, 2, "{how}: the function runs");
            }
            let others = other.cache.entry::<u32>("row", 1).with_tags(["rows"]);
            assert_eq!(others.get().await.expect("read"), Some(1), "{how}: nothing was stored or evicted");
            process.faults.heal();
            all_are_sent(&process.cache).await;
            assert_eq!(others.get().await.expect("read"), None, "{how}: evicted after all");
            assert_eq!(entry.get_or_load(async || 3).await, 3);
            assert_eq!(entry.get().await.expect("read"), Some(3));
            let total = process.cache.stats().total;
            assert_eq!((total.failed_evicts, total.replayed_evicts), (2, 1));
            entry.evict().await.expect("evicted");
        }
    }
}

/// Upholds G7.
async fn what_no_kept_evict_is_about_is_served(rig: Rig) {
    let process = rig.process();
    let other = process.cache.entry::<u32>("row", 2);
    other.set(&2).await.expect("stored");
    break_evicts(&process, ErrorKind::Refused);
    change_in_vain(&process.cache, "key").await;
    assert_eq!(other.get().await.expect("read"), Some(2));
    assert_eq!(kept(&process.cache), 1);
}

/// Upholds G7.
async fn what_a_cancelled_call_could_not_evict_is_sent_again(rig: Rig) {
    let process = rig.process();
    process.faults.set_immediate(false);
    process
        .cache
        .scope(async {
            assert_eq!(row(1).await, 1);
            break_evicts(&process, ErrorKind::Timeout);
            assert!(pin!(change(1)).now_or_never().is_none());
            wait_until("it failed", DEADLINE, async || kept(&process.cache) == 1).await;
            let hits = process.cache.stats().total.hits;
            assert_eq!(row(1).await, 1);
            assert_eq!(process.cache.stats().total.hits, hits, "not served");
            process.faults.heal();
            all_are_sent(&process.cache).await;
            assert_eq!(process.cache.stats().total.replayed_evicts, 1);
        })
        .await;
}

/// Upholds G7.
#[tokio::test]
async fn other_caches_on_the_same_place_do_not_serve_it_either() {
    let rig = Rig::memory();
    let process = rig.process();
    let settings = || Cache::builder().store(process.faults.clone()).namespace("shared");
    let caches = [settings().build().expect("a cache"), settings().build().expect("a cache")];
    let elsewhere =
        Cache::builder().store(process.faults.clone()).namespace("other").build().expect("a cache");
    for cache in [&caches[0], &elsewhere] {
        cache.set("row", 1, &1_u32).await.expect("stored");
    }
    break_evicts(&process, ErrorKind::Io);
    change_in_vain(&caches[0], "key").await;
    assert!(caches[1].get::<u32>("row", 1).await.is_err());
    assert_eq!(elsewhere.get::<u32>("row", 1).await.expect("read"), Some(1));
    process.faults.heal();
    all_are_sent(&caches[1]).await;
    assert_eq!(caches[1].get::<u32>("row", 1).await.expect("read"), None);
}

/// Upholds G7.
#[tokio::test]
async fn a_cache_that_is_shut_down_sends_what_it_kept() {
    let rig = Rig::memory();
    let (process, other) = (rig.process(), rig.process());
    process.cache.set("row", 1, &1_u32).await.expect("stored");
    process.cache.set("row", 2, &2_u32).await.expect("stored");
    process.faults.fail_next(Op::Evict, 1, ErrorKind::Io);
    change_in_vain(&process.cache, "key").await;
    // At once, before a task had the time to.
    process.cache.shutdown().await.expect("all is delivered");
    assert_eq!(kept(&process.cache), 0);
    assert_eq!(other.cache.get::<u32>("row", 1).await.expect("read"), None);
}

/// Upholds G7.
#[tokio::test]
async fn a_cache_that_cannot_send_what_it_kept_hands_it_over_when_it_is_shut_down() {
    let rig = Rig::memory();
    let (process, next) = (rig.process(), rig.process());
    let tagged = || next.cache.entry::<u32>("page", 1).with_tags(["rows"]);
    for id in [1_u32, 2] {
        next.cache.set("row", id, &id).await.expect("stored");
    }
    tagged().set(&3).await.expect("stored");
    break_evicts(&process, ErrorKind::Connect);
    assert!(process.cache.evict().key("row", 1).tags(["rows"]).await.is_err());
    let undelivered = process.cache.shutdown().await.expect_err("nothing is acknowledged");
    assert_eq!((undelivered.count(), undelivered.is_everything()), (2, false));
    assert_eq!(undelivered.why(), Some(ErrorKind::Connect));
    assert_eq!(
        undelivered.to_string(),
        "2 evicted keys, tags and prefixes did not reach the store, for the reason `connect`"
    );
    assert!(!format!("{undelivered:?}").contains("row"), "keys may be secrets");
    // The next process does what this one could not.
    let written = serde_json::to_string(&undelivered).expect("it is plain data");
    let read: Undelivered = serde_json::from_str(&written).expect("as it was written");
    let elsewhere = Cache::builder().memory().namespace("elsewhere").build().expect("acceptable settings");
    assert_eq!(elsewhere.deliver(&read).await.expect_err("not its own").kind(), ErrorKind::Config);
    next.cache.deliver(&read).await.expect("delivered");
    assert_eq!(next.cache.get::<u32>("row", 1).await.expect("read"), None);
    assert_eq!(next.cache.get::<u32>("row", 2).await.expect("read"), Some(2));
    assert_eq!(tagged().get().await.expect("read"), None);
}

/// Upholds G7.
#[tokio::test]
async fn what_is_delivered_in_vain_is_kept_like_every_evict() {
    let rig = Rig::memory();
    let (process, next) = (rig.process(), rig.process());
    break_evicts(&process, ErrorKind::Io);
    let many = (0..10_001_u32).fold(process.cache.evict(), |evict, id| evict.key("row", id));
    assert!(many.await.is_err());
    let undelivered = process.cache.shutdown().await.expect_err("nothing is acknowledged");
    assert!(undelivered.is_everything());
    next.cache.set("other", 1, &1_u32).await.expect("stored");
    break_evicts(&next, ErrorKind::Io);
    next.cache.deliver(&undelivered).await.expect_err("nothing is acknowledged");
    assert!(next.cache.get::<u32>("other", 1).await.is_err(), "it is not served");
    next.faults.heal();
    all_are_sent(&next.cache).await;
    assert_eq!(next.cache.get::<u32>("other", 1).await.expect("read"), None, "the namespace was cleared");
}

/// Upholds G7.
#[tokio::test]
async fn more_than_can_be_kept_stop_everything_until_the_namespace_is_cleared() {
    let rig = Rig::memory();
    let (process, other) = (rig.process(), rig.process());
    process.cache.set("other", 1, &1_u32).await.expect("stored");
    break_evicts(&process, ErrorKind::Timeout);
    let removals = (0..10_001_u32).fold(process.cache.evict(), |evict, id| evict.key("row", id));
    assert!(removals.await.is_err());
    let warnings = process.cache.warnings();
    assert!(warnings.contains(&Warning::KeptEvicts { count: 1, all: true }), "{warnings:?}");
    assert!(process.cache.get::<u32>("other", 1).await.is_err(), "nothing is served");
    assert_eq!(process.cache.get_or_load("other", 1, async || 7_u32).await, 7);
    process.faults.heal();
    all_are_sent(&process.cache).await;
    assert_eq!(other.cache.get::<u32>("other", 1).await.expect("read"), None, "cleared");
    assert_eq!(process.cache.get_or_load("other", 1, async || 8_u32).await, 8);
    assert_eq!(process.cache.get::<u32>("other", 1).await.expect("served again"), Some(8));
}
