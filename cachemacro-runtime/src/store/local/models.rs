//! The table under [loom](https://docs.rs/loom), which plays every order in which threads take its locks and atomics: run by
//! `scripts/loom`. Looks by arguments take no lock: what is done in the map that they look into is one step, of which loom is told.
//!
//! Which model is to fail where a mechanism is removed:
//!
//! | removed | model |
//! |---|---|
//! | what is fetched is refused by an evict of its name | `what_was_evicted_while_it_was_fetched_is_not_found` |
//! | … of its prefix | the same |
//! | … where its key was told of | the same |
//! | it is asked whether it was refused under the lock | the same |
//! | what leaves ends under the lock, before it leaves the table by arguments | the same |
//! | what ended while it was put there is taken out | the same |
//! | its tags are asked again under the lock | `a_value_whose_tag_was_evicted_while_it_was_fetched_is_not_found` |
//! | the epoch of its tags is read before they are asked | the same |
//! | a mark that has ended is known no more | the same |
//! | a late tag's mark is taken before its evicts are counted | `a_tag_that_comes_with_the_value_counts_from_the_beginning` |
//! | late tags are asked again under the lock | the same |
//! | an evict of a tag is counted before its mark is looked for | the same |
//! | a mark ends before the epoch is raised | `who_saw_the_tags_hold_does_not_see_it_for_ever` |
//! | the epoch is read before the marks are asked | the same |
//! | what has ended is not taken | `arguments_that_come_later_bring_nothing_back` |
//! | what was told since the store was asked refuses to confirm a copy | `what_was_told_while_a_copy_was_asked_about_is_not_taken` |
//! | a copy is confirmed under the lock | the same |
//! | what has ended is not confirmed | `what_was_replaced_while_it_was_asked_about_is_not_taken_after_an_evict` |
//! | a put refuses what is loaded when it begins | `neither_a_put_nor_what_was_loaded_within_it_stays` |
//! | a load refuses the puts within which it begins | `what_was_loaded_within_a_put_does_not_outlast_it` |

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU32;
use loom::thread;

use super::kept::AnyKept;
use super::name::Name;
use super::pending::Pending;
use super::table::{LocalTable, Look};
use crate::ground::clock::Clock;
use crate::observe::local::Cause;
use crate::store::{Placed, Query};

const NAME: Name = Name::new(7);
const PREFIX: u64 = 3;
const TAG: u64 = 5;

/// Plays `model` in every order of its threads' steps that interrupts a thread three times at most.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn table() -> Arc<LocalTable> {
    Arc::new(LocalTable::new(1 << 16, Clock::manual()))
}

fn begin(table: &LocalTable, tags: &[u64]) -> Pending {
    table.begin(NAME, PREFIX, tags.iter().copied(), false, false)
}

fn placed() -> Placed {
    Placed { hash: 1, bytes: b"7".to_vec() }
}

/// Keeps this value, found by arguments or by name alone.
fn keep(table: &LocalTable, pending: &Pending, placed: Option<Placed>, value: u32) -> bool {
    let until = table.now().plus(std::time::Duration::from_secs(60));
    table.keep(pending, placed, AnyKept::new(None, until, 0, value))
}

/// What is found by name, which gives it these arguments.
fn by_name(table: &LocalTable, placed: Option<Placed>) -> Option<u32> {
    match table.get_named(NAME, |_| true, placed, |value: &u32, _| Some(*value)) {
        Look::Found(value) => Some(value),
        _ => None,
    }
}

/// What is found by name or arguments.
fn found(table: &LocalTable) -> Option<u32> {
    let query = Query::new(1, |bytes: &[u8]| bytes == b"7");
    match table.get(&query, table.coarse(), |value: &u32, _| Some(*value)) {
        Look::Found(value) => Some(value),
        _ => by_name(table, None),
    }
}

/// Plays two threads at once.
fn both(one: impl FnOnce() + 'static, other: impl FnOnce()) {
    let one = thread::spawn(one);
    other();
    one.join().expect("it does not panic");
}

/// Upholds G1 to G3.
#[test]
fn what_was_evicted_while_it_was_fetched_is_not_found() {
    let evicts: [fn(&LocalTable); 4] = [
        |table| drop(table.evict(NAME)),
        |table| drop(table.evict_prefix(Some(PREFIX))),
        |table| table.empty(Cause::Untold),
        |table| table.doubt(NAME),
    ];
    for evict in evicts {
        explore(move || {
            let table = table();
            let pending = begin(&table, &[]);
            let keeper = Arc::clone(&table);
            both(move || drop(keep(&keeper, &pending, Some(placed()), 1)), || evict(&table));
            assert_eq!(found(&table), None);
            table.evict(NAME);
            assert_eq!(table.held().0, 0, "nothing stays where nobody finds it");
        });
    }
}

/// Upholds G2 and G3.
#[test]
fn what_was_told_while_a_copy_was_asked_about_is_not_taken() {
    let changes: [fn(&LocalTable); 2] = [|table| table.doubt(NAME), |table| drop(table.evict(NAME))];
    for change in changes {
        explore(move || {
            let table = table();
            assert!(keep(&table, &begin(&table, &[]), Some(placed()), 1));
            table.doubt(NAME);
            let pending = begin(&table, &[]);
            let asker = Arc::clone(&table);
            let confirms = move || {
                let query = Query::new(1, |bytes: &[u8]| bytes == b"7");
                let until = asker.now().plus(std::time::Duration::from_secs(60));
                asker.confirm(&pending, &query, |value: &u32| *value == 1, until);
            };
            both(confirms, || change(&table));
            assert_eq!(found(&table), None);
        });
    }
}

/// Upholds G2 and G3: what was replaced is where no evict finds it.
#[test]
fn what_was_replaced_while_it_was_asked_about_is_not_taken_after_an_evict() {
    explore(|| {
        let table = table();
        assert!(keep(&table, &begin(&table, &[]), Some(placed()), 1));
        table.doubt(NAME);
        let (asked, fetched) = (begin(&table, &[]), begin(&table, &[]));
        let keeper = Arc::clone(&table);
        let confirms = || {
            let query = Query::new(1, |bytes: &[u8]| bytes == b"7");
            let until = table.now().plus(std::time::Duration::from_secs(60));
            table.confirm(&asked, &query, |value: &u32| *value == 1, until);
            table.evict(NAME);
            assert_eq!(found(&table), None);
        };
        both(move || drop(keep(&keeper, &fetched, Some(placed()), 2)), confirms);
        assert_eq!(found(&table), None);
    });
}

/// Upholds G1 to G3.
#[test]
fn a_value_whose_tag_was_evicted_while_it_was_fetched_is_not_found() {
    explore(|| {
        let table = table();
        let pending = begin(&table, &[TAG]);
        let keeper = Arc::clone(&table);
        both(move || drop(keep(&keeper, &pending, Some(placed()), 1)), || table.evict_tag(TAG));
        assert_eq!(found(&table), None);
        assert!(keep(&table, &begin(&table, &[TAG]), Some(placed()), 2));
        assert_eq!(found(&table), Some(2), "the tag was evicted before that");
    });
}

/// Upholds G1 to G3.
#[test]
fn a_tag_that_comes_with_the_value_counts_from_the_beginning() {
    explore(|| {
        let table = table();
        let mut pending = table.begin(NAME, PREFIX, [], true, false);
        let keeper = Arc::clone(&table);
        let keeps = move || {
            if keeper.add_tags(&mut pending, [TAG]) {
                keep(&keeper, &pending, Some(placed()), 1);
            }
        };
        both(keeps, || table.evict_tag(TAG));
        assert_eq!(found(&table), None);
    });
}

/// Upholds G1 to G3.
#[test]
fn who_saw_the_tags_hold_does_not_see_it_for_ever() {
    explore(|| {
        let table = table();
        assert!(keep(&table, &begin(&table, &[TAG]), Some(placed()), 1));
        // Another tag's evict has raised the epoch, so that the tags are asked again.
        let _other = begin(&table, &[TAG + 1]);
        table.evict_tag(TAG + 1);
        let reader = Arc::clone(&table);
        both(move || drop(found(&reader)), || table.evict_tag(TAG));
        assert_eq!(found(&table), None);
    });
}

/// Upholds G1 to G3.
#[test]
fn arguments_that_come_later_bring_nothing_back() {
    explore(|| {
        let table = table();
        assert!(keep(&table, &begin(&table, &[]), None, 1));
        let reader = Arc::clone(&table);
        both(move || drop(by_name(&reader, Some(placed()))), || drop(table.evict(NAME)));
        assert_eq!(found(&table), None);
    });
}

/// Upholds G4.
#[test]
fn neither_a_put_nor_what_was_loaded_within_it_stays() {
    explore(|| {
        let table = table();
        let putter = Arc::clone(&table);
        let puts = move || {
            let pending = putter.begin(NAME, PREFIX, [], false, true);
            keep(&putter, &pending, Some(placed()), 2);
        };
        let began_before = begin(&table, &[]);
        both(puts, || drop(keep(&table, &began_before, Some(placed()), 1)));
        // A load that was kept before the put began is replaced; one that is kept after that is refused.
        assert_eq!(found(&table), Some(2));
    });
}

/// Upholds G4: what is loaded within a put may be what was there before it.
#[test]
fn what_was_loaded_within_a_put_does_not_outlast_it() {
    explore(|| {
        let (table, row) = (table(), Arc::new(AtomicU32::new(1)));
        let (putter, written) = (Arc::clone(&table), Arc::clone(&row));
        let puts = move || {
            let pending = putter.begin(NAME, PREFIX, [], false, true);
            written.store(2, Ordering::SeqCst);
            // A put that is refused evicts.
            if !keep(&putter, &pending, Some(placed()), 2) {
                putter.evict(NAME);
            }
        };
        let loads = || {
            let pending = begin(&table, &[]);
            let read = row.load(Ordering::SeqCst);
            keep(&table, &pending, Some(placed()), read);
        };
        both(puts, loads);
        assert_ne!(found(&table), Some(1));
    });
}
