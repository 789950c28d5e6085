//! Loads that tell what they read: its tags become the entry's.
//!
//! | without | fails |
//! |---|---|
//! | what was read becomes tags | `what_a_load_reads_becomes_its_tags` |
//! | the place remembers what its loads read | `a_recorded_hit_is_one_round_trip_once_the_tags_are_known`, `a_load_is_stored_while_other_tags_are_evicted_once_its_own_are_known` |
//! | the any-tag rule for what is not known | `an_evict_of_what_a_load_reads_refuses_its_fill` |
//! | a tag that nobody captured for is not stored | `what_a_later_load_reads_for_the_first_time_is_not_stored_then` |
//! | a value does without tags that it was not made of | `a_value_goes_with_what_it_was_made_of_alone` |
//! | the record goes to followers | `nested_calls_hand_on_the_tags_of_what_they_return` |
//! | what was recorded must be all, and something | `a_load_that_recorded_nothing_or_not_all_is_not_stored` |
//! | writes without a record evict | `a_write_of_a_recorded_entry_evicts_it` |

use std::collections::HashMap;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, Mode, Policy, cache_put, cached, record, record_unknown, recording};
use cachemacro_tests::halt::Halted;
use cachemacro_tests::halt::Point::AfterQuery;
use cachemacro_tests::{Process, Rig, on_both_stores, wait_for};
use tokio::sync::Notify;

const RECORDED: Policy = Policy::new().recorded(true).cache_none(true);

fn entry(cache: &Cache, id: u64) -> Entry<u64> {
    cache.entry("recorded", id).with_policy(RECORDED)
}

/// A call whose load reads these.
async fn call(entry: &Entry<u64>, reads: &[&str]) -> u64 {
    let load = async || {
        record(reads);
        1
    };
    entry.get_or_load(load).await
}

async fn is_there(process: &Process, id: u64) -> bool {
    process.cache.stored().await;
    entry(&process.cache, id).has().await.expect("the store answers")
}

async fn what_a_load_reads_becomes_its_tags(rig: Rig) {
    let process = rig.process();
    for (evicted, stays) in [("users", false), ("orders", false), ("others", true)] {
        call(&entry(&process.cache, 7), &["users", "orders"]).await;
        assert!(is_there(&process, 7).await);
        process.cache.evict_tags([evicted]).await.expect("evicted");
        assert_eq!(is_there(&process, 7).await, stays, "{evicted}");
    }
}

/// Also where another process stored it.
async fn a_recorded_hit_is_one_round_trip_once_the_tags_are_known(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    call(&entry(&here.cache, 7), &["users", "orders"]).await;
    here.cache.stored().await;
    let trips = async |process: &Process| {
        let count = || process.faults.count(Op::Read) + process.faults.count(Op::Versions);
        let before = count();
        call(&entry(&process.cache, 7), &[]).await;
        count() - before
    };
    assert_eq!(trips(&here).await, 1);
    assert_eq!((trips(&there).await, trips(&there).await), (2, 1), "it learns them from the first hit");
    assert_eq!(here.cache.stats().total.loads + there.cache.stats().total.loads, 1);
}

/// Upholds G1.
async fn an_evict_of_what_a_load_reads_refuses_its_fill(rig: Rig) {
    let process = rig.process();
    // The first load does not know what it is going to read, the second does.
    for known in [false, true] {
        let load = Halted::start(&process, AfterQuery, |stops| {
            let entry = entry(&process.cache, 7);
            tokio::spawn(async move {
                let load = async || {
                    record(["users"]);
                    stops.after_query().await;
                    1
                };
                entry.get_or_load(load).await
            })
        })
        .await;
        assert!(load.stands());
        rig.process().cache.evict_tags(["users"]).await.expect("evicted");
        load.end().await;
        assert!(!is_there(&process, 7).await, "known: {known}");
    }
    call(&entry(&process.cache, 7), &["users"]).await;
    assert!(is_there(&process, 7).await);
}

async fn a_load_is_stored_while_other_tags_are_evicted_once_its_own_are_known(rig: Rig) {
    let process = rig.process();
    call(&entry(&process.cache, 1), &["users"]).await;
    let load = async || {
        record(["users"]);
        // Of every bucket.
        let others = (0..500).map(|other| format!("other:{other}"));
        rig.process().cache.evict_tags(others).await.expect("evicted");
        1
    };
    entry(&process.cache, 7).get_or_load(load).await;
    assert!(is_there(&process, 7).await);
}

async fn what_a_later_load_reads_for_the_first_time_is_not_stored_then(rig: Rig) {
    let process = rig.process();
    call(&entry(&process.cache, 1), &["users"]).await;
    call(&entry(&process.cache, 7), &["users", "orders"]).await;
    assert!(!is_there(&process, 7).await, "nobody can tell whether `orders` was evicted during the load");
    call(&entry(&process.cache, 7), &["users", "orders"]).await;
    assert!(is_there(&process, 7).await);
    // Where that goes on, loads are ready for it.
    for id in 10..14 {
        call(&entry(&process.cache, id), &["users", &format!("user:{id}")]).await;
    }
    call(&entry(&process.cache, 20), &["users", "user:20"]).await;
    assert!(is_there(&process, 20).await);
}

async fn a_value_goes_with_what_it_was_made_of_alone(rig: Rig) {
    let process = rig.process();
    for _ in 0..3 {
        call(&entry(&process.cache, 1), &["users"]).await;
        call(&entry(&process.cache, 2), &["orders"]).await;
        process.cache.stored().await;
    }
    assert!(is_there(&process, 1).await && is_there(&process, 2).await);
    process.cache.evict_tags(["users"]).await.expect("evicted");
    assert_eq!((is_there(&process, 1).await, is_there(&process, 2).await), (false, true));
    let loads = process.cache.stats().total.loads;
    call(&entry(&process.cache, 2), &["orders"]).await;
    assert_eq!(process.cache.stats().total.loads, loads, "it is usable without the tag that others carry");
}

async fn nested_calls_hand_on_the_tags_of_what_they_return(rig: Rig) {
    let process = rig.process();
    let inner = |id| entry(&process.cache, id);
    let outer = |id: u64| process.cache.entry::<u64>("outer", id).with_policy(RECORDED);
    let gone_with = async |id: u64, tag: &str| {
        process.cache.stored().await;
        assert!(outer(id).has().await.expect("an answer"), "{id} was stored");
        process.cache.evict_tags([tag]).await.expect("evicted");
        !outer(id).has().await.expect("an answer")
    };
    // Loaded within it, and found.
    for id in [1, 2] {
        outer(id).get_or_load(async || call(&inner(1), &["users"]).await).await;
        process.cache.stored().await;
    }
    assert!(gone_with(2, "users").await && !outer(1).has().await.expect("an answer"));

    // Shared by another caller's load, which ends once this one has asked for the value and waits.
    let (asked, reads) = (Notify::new(), process.faults.count(Op::Read));
    let slow = async || {
        asked.notified().await;
        record(["users"]);
        1
    };
    let (inside, outside) = (inner(3), outer(3));
    let leads = inside.get_or_load(slow);
    let follows = outside.get_or_load(async || inside.get_or_load(async || 2).await);
    let tells = async {
        wait_for("three have asked", || process.faults.count(Op::Read) >= reads + 3).await;
        tokio::task::yield_now().await;
        asked.notify_one();
    };
    let (led, followed, ()) = tokio::join!(leads, follows, tells);
    assert_eq!((led, followed), (1, 1));
    assert!(gone_with(3, "users").await);

    // In a batch.
    let keyspace = process.cache.keyspace::<u64, u64>("many").tags(|id| [format!("many:{id}")]);
    let load = async |ids: Vec<u64>| -> HashMap<u64, u64> { ids.into_iter().map(|id| (id, id)).collect() };
    let outer_load = async || {
        outer(4).get_or_load(async || keyspace.get_or_load_many([1, 2], load).await.len() as u64).await
    };
    // No load of the place has read these before.
    outer_load().await;
    for _ in 0..2 {
        outer_load().await;
        assert!(gone_with(4, "many:2").await);
    }
}

async fn a_load_that_recorded_nothing_or_not_all_is_not_stored(rig: Rig) {
    let process = rig.process();
    call(&entry(&process.cache, 1), &[]).await;
    assert!(!is_there(&process, 1).await);
    let in_part = async || {
        record(["users"]);
        record_unknown();
        1
    };
    entry(&process.cache, 1).get_or_load(in_part).await;
    assert!(!is_there(&process, 1).await);
    let in_another_task = async |recorded: bool| {
        let load = async || {
            let read = async { record(["users"]) };
            let task = if recorded { tokio::spawn(recording(read)) } else { tokio::spawn(read) };
            task.await.expect("it does not panic");
            1
        };
        entry(&process.cache, 1).get_or_load(load).await;
        is_there(&process, 1).await
    };
    assert!(!in_another_task(false).await && in_another_task(true).await);
}

async fn a_write_of_a_recorded_entry_evicts_it(rig: Rig) {
    let process = rig.process();
    let entry = entry(&process.cache, 1);
    for write in ["set", "refresh"] {
        call(&entry, &["users"]).await;
        assert!(is_there(&process, 1).await);
        if write == "set" {
            entry.set(&2).await.expect("the store answers");
            assert!(!is_there(&process, 1).await, "nobody knows what it was made of");
        } else {
            let load = async || {
                record(["users"]);
                2
            };
            Mode::Refresh.scope(entry.get_or_load(load)).await;
            assert_eq!(entry.get().await.expect("an answer"), Some(2), "a load tells it");
        }
    }
}

#[cached(prefix = "absent", key = "{id}", recorded, cache_none, cache_err, entry = absent_entry)]
async fn absent(id: u64) -> Result<Option<u64>, String> {
    record(["users"]);
    if id == 0 { Err("no such thing".to_owned()) } else { Ok(None) }
}

#[cache_put(entry = absent_entry(id))]
async fn put(id: u64) -> Result<Option<u64>, String> {
    Ok(Some(id))
}

async fn nothing_and_errors_carry_what_was_read_and_puts_evict(rig: Rig) {
    let process = rig.process();
    let loads = || process.cache.stats().total.loads;
    let test = async {
        for id in [0, 1] {
            for _ in 0..2 {
                absent(id).await.ok();
                process.cache.stored().await;
            }
        }
        let before = loads();
        process.cache.evict_tags(["users"]).await.expect("evicted");
        absent(1).await.expect("no error");
        assert_eq!(loads(), before + 1);
        process.cache.stored().await;
        put(1).await.expect("no error");
        absent(1).await.expect("no error");
        assert_eq!(loads(), before + 2, "what a put writes has no record");
    };
    process.cache.scope(test).await;
}

#[cached(prefix = "behind", key = "{id}", timeout = "30s", tags = ["behind"])]
async fn behind(id: u64) -> u64 {
    record(["users"]);
    id
}

async fn loads_that_go_on_behind_their_callers_are_gathered(rig: Rig) {
    let process = rig.process();
    let (_, gathered) = process.cache.scope(process.cache.gather(behind(7))).await;
    assert_eq!((gathered.len(), gathered.is_complete()), (2, true));
}

on_both_stores! {
    what_a_load_reads_becomes_its_tags,
    a_recorded_hit_is_one_round_trip_once_the_tags_are_known,
    an_evict_of_what_a_load_reads_refuses_its_fill,
    a_load_is_stored_while_other_tags_are_evicted_once_its_own_are_known,
    what_a_later_load_reads_for_the_first_time_is_not_stored_then,
    a_value_goes_with_what_it_was_made_of_alone,
    nested_calls_hand_on_the_tags_of_what_they_return,
    a_load_that_recorded_nothing_or_not_all_is_not_stored,
    a_write_of_a_recorded_entry_evicts_it,
    nothing_and_errors_carry_what_was_read_and_puts_evict,
    loads_that_go_on_behind_their_callers_are_gathered,
}
