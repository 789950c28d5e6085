//! Values that could not be stored: callers get them all the same, and nothing outdated or half-made stays behind.
//!
//! Each mechanism was removed once, and the test beside it failed:
//!
//! | removed | test |
//! |---|---|
//! | a put without a lease, or whose fill failed, evicts | `a_put_whose_cache_work_fails_leaves_nothing` |
//! | a failed evict of a put is counted and handed to who asked for it | `a_put_that_can_neither_store_nor_evict_says_so` |
//! | a put whose fill is refused evicts | `a_put_that_another_one_overtook_leaves_nothing` |
//! | a fill that failed leaves its lease to be given back | `a_load_whose_fill_failed_is_returned_and_its_lease_given_back` |
//! | only an accepted fill is shared with who joined late | `who_joined_late_is_served_where_the_fill_failed` |
//! | what cannot be encoded is counted, and evicted where it was written | `what_cannot_be_encoded_is_returned_counted_and_evicted` |

use std::collections::BTreeMap;
use std::pin::pin;
use std::time::Duration;

use cachemacro::__private::{Fallible, NoRules, Plain, Writes, write};
use cachemacro::codec::Json;
use cachemacro::store::faults::{FaultStore, Op};
use cachemacro::{Entry, EntryRules, ErrorKind, Lookup, Policy, Result};
use cachemacro_tests::halt::Point::AfterQuery;
use cachemacro_tests::halt::{Halted, Stops, Table, ended, soon};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores, wait_until};
use tokio::task::JoinHandle;

fn entry(process: &Process) -> Entry<u64> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

/// The same entry, with a tag that only the value names.
fn late(process: &Process) -> Entry<u64> {
    entry(process).with_rules(EntryRules::none().tags(|_| vec!["late".to_owned()]))
}

/// Waits for no other process: what is busy is loaded and not stored.
fn impatient<T: cachemacro::Value>(entry: Entry<T>) -> Entry<T> {
    entry.with_policy(Policy::new().wait(Duration::ZERO))
}

/// A fault that has a value not stored; whether it strikes only where the value names tags; what is counted.
type Fault = (&'static str, bool, fn(&FaultStore), ErrorKind);

const OF_FILLS: [Fault; 4] = [
    ("the fill fails", false, |faults| faults.fail_next(Op::Fill, 1, ErrorKind::Io), ErrorKind::Io),
    ("the fill's reply is lost", false, |faults| faults.lose_reply_next(Op::Fill), ErrorKind::Timeout),
    ("the capture fails", true, |faults| faults.fail_next(Op::Capture, 1, ErrorKind::Io), ErrorKind::Io),
    ("the versions fail", true, |faults| faults.fail_next(Op::Versions, 1, ErrorKind::Io), ErrorKind::Io),
];

const OF_LEASES: [Fault; 3] = [
    (
        "the lease fails",
        false,
        |faults| faults.fail_next(Op::Lease, 1, ErrorKind::Refused),
        ErrorKind::Refused,
    ),
    (
        "nobody is there",
        true,
        |faults| faults.fail_next(Op::Lease, 1, ErrorKind::Connect),
        ErrorKind::Connect,
    ),
    ("the lease's reply is lost", false, |faults| faults.lose_reply_next(Op::Lease), ErrorKind::Timeout),
];

/// Writes a value over what is stored, by a function that wants to know of a failed evict.
fn put(entry: &Entry<u64>, stops: Stops, value: u64) -> JoinHandle<Result<u64>> {
    let entry = entry.clone();
    tokio::spawn(async move {
        let body = pin!(async {
            stops.after_query().await;
            Ok(value)
        });
        let writes = Writes::new(Fallible).put(Some(entry), NoRules, false).return_errors(Err);
        write(writes, body, |_, writes| writes).await
    })
}

/// Upholds G4.
async fn a_put_whose_cache_work_fails_leaves_nothing(rig: Rig) {
    for (how, names_tags, fault, kind) in OF_FILLS.into_iter().chain(OF_LEASES) {
        let process = rig.process();
        let entry = if names_tags { late(&process) } else { entry(&process) };
        entry.set(&1).await.expect("set");
        fault(&process.faults);
        assert_eq!(ended(put(&entry, Stops::default(), 2)).await.expect("the evict was done"), 2, "{how}");
        assert_eq!(entry.get().await.expect("the store answers"), None, "{how}");
        let stats = process.cache.stats().total;
        assert_eq!((stats.errors(), stats.errors_of(kind)), (1, 1), "{how}");
        assert_eq!((stats.puts, stats.fills, stats.failed_evicts), (1, 0, 0), "{how}: the first set only");
        // Nothing is in the way of the next.
        let next = impatient(entry);
        assert_eq!(next.get_or_load(async || 3).await, 3, "{how}");
        assert_eq!(next.get().await.expect("the store answers"), Some(3), "{how}");
    }
}

/// Upholds G7.
async fn a_put_that_can_neither_store_nor_evict_says_so(rig: Rig) {
    for (how, names_tags, fault, kind) in OF_FILLS.into_iter().chain(OF_LEASES) {
        let process = rig.process();
        let entry = if names_tags { late(&process) } else { entry(&process) };
        entry.set(&1).await.expect("set");
        fault(&process.faults);
        process.faults.fail_next(Op::Evict, 1, ErrorKind::WrongType);
        let error = ended(put(&entry, Stops::default(), 2)).await.expect_err(how);
        assert_eq!(error.kind(), ErrorKind::WrongType, "{how}: that of the evict");
        let stats = process.cache.stats().total;
        assert_eq!((stats.failed_evicts, stats.puts), (1, 1), "{how}");
        assert_eq!((stats.errors_of(kind), stats.errors_of(ErrorKind::WrongType)), (1, 1), "{how}");
        // Who did not ask to be told gets the value.
        fault(&process.faults);
        process.faults.fail_next(Op::Evict, 1, ErrorKind::WrongType);
        let writes = Writes::new(Plain).put(Some(entry), NoRules, false);
        assert_eq!(write(writes, pin!(async { 4 }), |_, writes| writes).await, 4, "{how}");
        assert_eq!(process.cache.stats().total.failed_evicts, 2, "{how}");
    }
}

/// Upholds G4.
async fn a_put_that_another_one_overtook_leaves_nothing(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    entry(&here).set(&1).await.expect("set");
    let first = Halted::start(&here, AfterQuery, |stops| put(&entry(&here), stops, 2)).await;
    let second = Halted::start(&there, AfterQuery, |stops| put(&entry(&there), stops, 3)).await;
    assert_eq!(entry(&here).get().await.expect("the store answers"), Some(1), "readable meanwhile");
    assert_eq!(first.end().await.expect("evicted"), 2);
    assert_eq!(entry(&here).get().await.expect("the store answers"), None);
    // The second's lease went with the entry.
    assert_eq!(second.end().await.expect("evicted"), 3);
    assert_eq!(entry(&here).get().await.expect("the store answers"), None);
    for process in [here, there] {
        let stats = process.cache.stats().total;
        assert_eq!((stats.refused_fills, stats.fills, stats.failed_evicts), (1, 0, 0));
    }
}

/// Upholds G6.
async fn a_load_whose_fill_failed_is_returned_and_its_lease_given_back(rig: Rig) {
    for (how, names_tags, fault, kind) in OF_FILLS {
        let (here, there, table) = (rig.process(), rig.process(), Table::default());
        let entry = |process| if names_tags { late(process) } else { entry(process) };
        fault(&here.faults);
        assert_eq!(ended(table.read(&entry(&here), Stops::default())).await, 1, "{how}");
        here.cache.stored().await;
        let stats = here.cache.stats().total;
        assert_eq!((stats.loads, stats.fills, stats.refused_fills), (1, 0, 0), "{how}");
        assert_eq!((stats.errors(), stats.errors_of(kind)), (1, 1), "{how}");
        if kind == ErrorKind::Timeout {
            // It was stored all the same.
            assert_eq!(entry(&there).get().await.expect("the store answers"), Some(1), "{how}");
        } else {
            wait_until("the lease is given back", DEADLINE, async || rig.raw("row:7").await.is_none()).await;
        }
        let next = impatient(entry(&there));
        assert_eq!(ended(table.read(&next, Stops::default())).await, 1, "{how}");
        assert_eq!(next.get().await.expect("the store answers"), Some(1), "{how}");
        next.evict().await.expect("evicted");
    }
}

async fn who_joined_late_is_served_where_the_fill_failed(rig: Rig) {
    for (how, names_tags, fault, kind) in OF_FILLS {
        let (here, table) = (rig.process(), Table::default());
        let entry = if names_tags { late(&here) } else { entry(&here) };
        let leader = Halted::start(&here, AfterQuery, |stops| table.read(&entry, stops)).await;
        let mut followers = Vec::new();
        for _ in 0..3 {
            let before = here.cache.stats().total.misses();
            followers.push(table.read(&entry, Stops::default()));
            soon("the follower reads", || here.cache.stats().total.misses() > before).await;
        }
        fault(&here.faults);
        assert_eq!(leader.end().await, 1, "{how}");
        for follower in followers {
            assert_eq!(ended(follower).await, 1, "{how}");
        }
        let stored = kind == ErrorKind::Timeout;
        assert_eq!(table.queries(), if stored { 1 } else { 2 }, "{how}: they went on together");
        assert_eq!(entry.get().await.expect("the store answers"), Some(1), "{how}");
        entry.evict().await.expect("evicted");
    }
}

/// JSON has no keys but strings, so only an empty one can be encoded.
type Grid = BTreeMap<(u8, u8), u32>;

fn grid(process: &Process) -> Entry<Grid> {
    impatient(process.cache.entry("grid", 7).with_codec::<Json>())
}

async fn what_cannot_be_encoded_is_returned_counted_and_evicted(rig: Rig) {
    let process = rig.process();
    let (entry, empty, full) = (grid(&process), Grid::new(), Grid::from([((1, 2), 3)]));
    let counted = || {
        let stats = process.cache.stats().total;
        (stats.not_stored, stats.errors_of(ErrorKind::Encode), stats.failed_evicts)
    };
    assert_eq!(entry.get_or_load(async || full.clone()).await, full);
    assert_eq!((counted(), process.cache.stats().total.fills), ((1, 1, 0), 0));
    assert!(rig.raw("grid:7").await.is_none(), "the lease is given back");
    assert_eq!(entry.get_or_load(async || empty.clone()).await, empty);
    assert_eq!(entry.get().await.expect("the store answers"), Some(empty.clone()), "this one can be");

    assert_eq!(entry.set(&full).await.expect_err("no JSON").kind(), ErrorKind::Encode);
    assert_eq!(entry.get().await.expect("the store answers"), None, "outdated, so evicted");
    assert_eq!(counted(), (1, 2, 0), "a set says so itself");

    entry.set(&empty).await.expect("set");
    let writes = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
    assert_eq!(write(writes, pin!(async { full.clone() }), |_, writes| writes).await, full);
    assert_eq!(entry.get().await.expect("the store answers"), None, "outdated, so evicted");
    assert_eq!(counted(), (2, 3, 0));

    let Ok(Lookup::Vacant(vacancy)) = entry.lookup().await else { panic!("nothing is there") };
    assert_eq!(vacancy.fill(&full).await.expect_err("no JSON").kind(), ErrorKind::Encode);
    wait_until("the lease is given back", DEADLINE, async || rig.raw("grid:7").await.is_none()).await;

    entry.set(&empty).await.expect("set");
    assert_eq!(entry.update(|_| full.clone()).await.expect_err("no JSON").kind(), ErrorKind::Encode);
    assert_eq!(entry.get().await.expect("the store answers"), Some(empty), "nothing changed");
}

on_both_stores!(
    a_put_whose_cache_work_fails_leaves_nothing,
    a_put_that_can_neither_store_nor_evict_says_so,
    a_put_that_another_one_overtook_leaves_nothing,
    a_load_whose_fill_failed_is_returned_and_its_lease_given_back,
    who_joined_late_is_served_where_the_fill_failed,
    what_cannot_be_encoded_is_returned_counted_and_evicted,
);
