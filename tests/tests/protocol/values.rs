//! What a value's own code does to the cache: whatever breaks in it, the function runs and its caller has its value.
//!
//! Each mechanism was removed once, and the test beside it failed:
//!
//! | removed | test |
//! |---|---|
//! | a panic while a value is encoded is caught | `a_serialize_that_panics_costs_the_store_and_not_the_caller` |
//! | a panic while a value is decoded is caught | `a_deserialize_that_panics_is_a_miss_and_is_loaded_again` |
//! | a leader whose value's clone panics scatters | `a_clone_that_panics_leaves_each_caller_its_own_load` |
//! | a panic in a rule is caught | `a_rule_that_panics_costs_the_store_and_not_the_caller` |
//! | a panic while a key is built is caught | `an_argument_that_panics_in_a_key_or_tag_runs_uncached` |

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use cachemacro::__private::{NoRules, Plain, Writes, write};
use cachemacro::{Entry, EntryRules, ErrorKind, MissReason, cached};
use cachemacro_tests::halt::soon;
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_until};
use futures_util::future::join_all;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tokio::time::timeout;

/// A value whose own code panics, where it is told to.
#[derive(Debug, PartialEq)]
struct Bomb(u8);

const CALM: u8 = 0;
const SERIALIZE: u8 = 100;
const DESERIALIZE: u8 = 101;
const CLONE: u8 = 102;

impl Serialize for Bomb {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        assert_ne!(self.0, SERIALIZE, "on purpose");
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Bomb {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bomb = Bomb(u8::deserialize(deserializer)?);
        assert_ne!(bomb.0, DESERIALIZE, "on purpose");
        Ok(bomb)
    }
}

impl Clone for Bomb {
    fn clone(&self) -> Self {
        assert_ne!(self.0, CLONE, "on purpose");
        Bomb(self.0)
    }
}

fn bomb(process: &Process) -> Entry<Bomb> {
    process.cache.entry("bomb", 7)
}

/// Upholds G6.
async fn a_serialize_that_panics_costs_the_store_and_not_the_caller(rig: Rig) {
    let process = rig.process();
    let entry = bomb(&process);
    for round in 1..=2 {
        assert_eq!(entry.get_or_load(async || Bomb(SERIALIZE)).await, Bomb(SERIALIZE));
        let stats = process.cache.stats().total;
        assert_eq!((stats.loads, stats.fills, stats.not_stored), (round, 0, round));
        assert_eq!(stats.errors_of(ErrorKind::Encode), round);
    }
    wait_until("the lease is given back", DEADLINE, async || rig.raw("bomb:7").await.is_none()).await;

    entry.set(&Bomb(CALM)).await.expect("set");
    assert_eq!(entry.set(&Bomb(SERIALIZE)).await.expect_err("panics").kind(), ErrorKind::Encode);
    assert_eq!(entry.get().await.expect("the store answers"), None, "outdated, so evicted");
    entry.set(&Bomb(CALM)).await.expect("set");
    assert_eq!(entry.update(|_| Bomb(SERIALIZE)).await.expect_err("panics").kind(), ErrorKind::Encode);
    let writes = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
    assert_eq!(write(writes, pin!(async { Bomb(SERIALIZE) }), |_, writes| writes).await, Bomb(SERIALIZE));
    assert_eq!(entry.get().await.expect("the store answers"), None, "outdated, so evicted");
    assert_eq!(process.cache.stats().total.failed_evicts, 0);
}

/// Upholds G6.
async fn a_deserialize_that_panics_is_a_miss_and_is_loaded_again(rig: Rig) {
    let process = rig.process();
    let entry = bomb(&process);
    // The first one comes back, so that what is stored afterwards is not read back at once.
    assert_eq!(entry.get_or_load(async || Bomb(CALM)).await, Bomb(CALM));
    entry.evict().await.expect("evicted");
    assert_eq!(entry.get_or_load(async || Bomb(DESERIALIZE)).await, Bomb(DESERIALIZE));
    for loads in 3..6 {
        assert_eq!(entry.get_or_load(async || Bomb(CALM)).await, Bomb(CALM));
        let stats = process.cache.stats().total;
        if loads == 3 {
            assert_eq!((stats.loads, stats.misses_for(MissReason::Undecodable)), (3, 1));
        }
        assert_eq!(stats.loads, 3, "what was loaded again is stored");
    }
    // By hand, and in a batch.
    let many = process.cache.get_or_load_many("many", [1, 2], async |ids: Vec<u8>| {
        ids.into_iter().map(|id| (id, Bomb(CALM))).collect()
    });
    assert_eq!(many.await.len(), 2);
    assert_eq!(entry.get().await.expect("the store answers"), Some(Bomb(CALM)));
}

/// Calls that all have found nothing before the first of them loads.
async fn at_once(process: &Arc<Process>, callers: u64, loads: &Arc<AtomicUsize>) -> Vec<Bomb> {
    let before = process.cache.stats().total.misses();
    let calls = (0..callers).map(|_| {
        let (entry, waits, loads) = (bomb(process), process.clone(), loads.clone());
        tokio::spawn(async move {
            let load = async || {
                soon("all wait", || waits.cache.stats().total.misses() >= before + callers).await;
                loads.fetch_add(1, Ordering::SeqCst);
                Bomb(CLONE)
            };
            entry.get_or_load(load).await
        })
    });
    let ended = timeout(DEADLINE, join_all(calls)).await.expect("they end in time");
    ended.into_iter().map(|ended| ended.expect("no panic reaches a caller")).collect()
}

/// Upholds G6.
async fn a_clone_that_panics_leaves_each_caller_its_own_load(rig: Rig) {
    let process = Arc::new(rig.process());
    let loads = Arc::new(AtomicUsize::new(0));
    let values = at_once(&process, 20, &loads).await;
    assert_eq!(values.iter().filter(|value| **value == Bomb(CLONE)).count(), 20);
    assert_eq!(loads.load(Ordering::SeqCst), 20);
    // What the leader stored is read by all others without a clone.
    assert_eq!(bomb(&process).get().await.expect("the store answers"), Some(Bomb(CLONE)));
    let row = |ids: Vec<u8>| async move { ids.into_iter().map(|id| (id, Bomb(CLONE))).collect() };
    assert_eq!(process.cache.get_or_load_many("many", [1, 2], row).await.len(), 2);
    assert_eq!(process.cache.get_or_load_many("many", [1, 2], row).await.len(), 2);
}

/// Upholds G6.
async fn a_rule_that_panics_costs_the_store_and_not_the_caller(rig: Rig) {
    let process = rig.process();
    let rules: [EntryRules<u32>; 3] = [
        EntryRules::none().unless(|_| panic!("on purpose")),
        EntryRules::none().ttl(|_| panic!("on purpose")),
        EntryRules::none().tags(|_| panic!("on purpose")),
    ];
    for (count, rules) in (1..).zip(rules) {
        let entry = process.cache.entry("row", count).with_rules(rules);
        assert_eq!(entry.get_or_load(async || 1).await, 1);
        assert_eq!(process.cache.stats().total.not_stored, count);
        assert_eq!(entry.set(&1).await.expect_err("panics").kind(), ErrorKind::Encode);
    }
}

/// An argument whose code panics.
#[derive(Debug)]
struct Grenade;

impl Serialize for Grenade {
    fn serialize<S: Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        panic!("on purpose")
    }
}

impl fmt::Display for Grenade {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        panic!("on purpose")
    }
}

#[cached(prefix = "by-serde")]
async fn by_serde(_grenade: Grenade) -> u32 {
    1
}

#[cached(prefix = "by-template", key = "{grenade}")]
async fn by_template(grenade: Grenade) -> u32 {
    1
}

#[cached(prefix = "tagged", tags = ["{grenade}"], skip(grenade))]
async fn tagged(grenade: Grenade) -> u32 {
    1
}

/// Upholds G6.
async fn an_argument_that_panics_in_a_key_or_tag_runs_uncached(rig: Rig) {
    let process = rig.process();
    let calls = async { [by_serde(Grenade).await, by_template(Grenade).await, tagged(Grenade).await] };
    assert_eq!(process.cache.scope(calls).await, [1, 1, 1]);
    let stats = process.cache.stats().total;
    assert_eq!((stats.errors_of(ErrorKind::Key), stats.fills), (3, 0));
    let evicted = process.cache.entry::<u32>("row", Grenade).evict().await;
    assert_eq!(evicted.expect_err("which one?").kind(), ErrorKind::Key);
}

on_both_stores!(
    a_serialize_that_panics_costs_the_store_and_not_the_caller,
    a_deserialize_that_panics_is_a_miss_and_is_loaded_again,
    a_clone_that_panics_leaves_each_caller_its_own_load,
    a_rule_that_panics_costs_the_store_and_not_the_caller,
    an_argument_that_panics_in_a_key_or_tag_runs_uncached,
);
