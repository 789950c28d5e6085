//! Batches and the other callers of one process share loads; nobody waits longer than for what it asked for.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use cachemacro::ErrorKind;
use cachemacro::store::faults::Op;
use cachemacro_tests::halt::Point::{AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, ended, reached, soon};
use cachemacro_tests::wait::DEADLINE;
use cachemacro_tests::{Process, Rig, on_both_stores, wait_for};
use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::{Rows, entry, of};

impl Rows {
    /// A reader that has found something missing and, were it let, has joined the flights of what is.
    async fn follow<T>(&self, process: &Process, read: impl FnOnce() -> JoinHandle<T>) -> JoinHandle<T> {
        let misses = || process.cache.stats().total.misses();
        let before = misses();
        let reader = read();
        soon("the follower reads", || misses() > before || reader.is_finished()).await;
        reader
    }

    /// A batch that joins flights.
    async fn follow_many(
        &self,
        process: &Process,
        ids: impl IntoIterator<Item = u64>,
    ) -> JoinHandle<HashMap<u64, u64>> {
        self.follow(process, || self.read(process, ids, Stops::default())).await
    }

    /// A single caller that joins a flight.
    pub(super) async fn follow_one(&self, process: &Process, id: u64) -> JoinHandle<u64> {
        self.follow(process, || self.read_one(process, id, Stops::default())).await
    }
}

async fn who_came_before_a_batch_load_takes_its_rows(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let leader =
        Halted::start(&process, Before(Op::Lease), |stops| rows.read(&process, [1, 2, 100], stops)).await;
    let single = rows.follow_one(&process, 1).await;
    let overlapping = rows.follow_many(&process, [2, 4, 100]).await;
    soon("it loads what nobody else does", || rows.queries.lock().unwrap().len() == 1).await;
    assert_eq!(leader.end().await, of([(1, 10), (2, 20)]));
    assert_eq!(ended(single).await, 10);
    assert_eq!(ended(overlapping).await, of([(2, 20), (4, 40)]));
    assert_eq!(rows.queried(), [vec![4], vec![1, 2, 100]]);
    let total = process.cache.stats().total;
    assert_eq!((total.loads, total.shared_loads, total.fills), (2, 3, 3), "the row that is not there too");
}

async fn who_came_after_a_batch_load_began_takes_what_was_stored(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let leader = Halted::start(&process, BeforeQuery, |stops| rows.read(&process, [1, 2], stops)).await;
    let followers = [rows.follow_many(&process, [1, 2]).await, rows.follow_many(&process, [2, 1]).await];
    assert_eq!(leader.end().await, of([(1, 10), (2, 20)]));
    for follower in followers {
        assert_eq!(ended(follower).await, of([(1, 10), (2, 20)]));
    }
    assert_eq!(rows.queried(), [vec![1, 2]]);
}

/// Upholds G1.
async fn who_came_after_a_batch_load_began_does_not_take_it_where_the_fill_is_refused(rig: Rig) {
    let (here, there, rows) = (rig.process(), rig.process(), Rows::new());
    let leader = Halted::start(&here, AfterQuery, |stops| rows.read(&here, [1, 2], stops)).await;
    rows.write(11);
    entry(&there.cache, 1).evict().await.expect("evicted");
    let (single, batch) = (rows.follow_one(&here, 1).await, rows.follow_many(&here, [1, 2]).await);
    assert_eq!(leader.end().await, of([(1, 10), (2, 20)]));
    assert_eq!((ended(single).await, ended(batch).await), (11, of([(1, 11), (2, 20)])));
}

/// Upholds G1.
async fn who_starts_after_an_evict_never_joins_a_batch_from_before_it(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let leader = Halted::start(&process, Before(Op::Lease), |stops| rows.read(&process, [1, 2], stops)).await;
    rows.write(11);
    entry(&process.cache, 1).evict().await.expect("evicted");
    process.cache.evict_tags(["tag 0"]).await.expect("evicted");
    let open = || process.cache.stats().total.shared_loads;
    let batch = rows.read(&process, [1, 2], Stops::default());
    assert_eq!(ended(batch).await, of([(1, 11), (2, 22)]));
    assert_eq!(open(), 0);
    assert_eq!(leader.end().await, of([(1, 11), (2, 22)]), "it reads what is there by now");
}

/// Rows that are not there are not stored, so only flights keep them from being looked for one after the other.
/// Upholds G5.
async fn many_batches_of_a_row_that_does_not_exist_are_two_loads(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let leader = Halted::start(&process, BeforeQuery, |stops| rows.read(&process, [100], stops)).await;
    let mut followers = Vec::new();
    for _ in 0..200 {
        followers.push(rows.follow_many(&process, [100]).await);
    }
    assert_eq!(leader.end().await, of([]));
    for follower in followers {
        assert_eq!(ended(follower).await, of([]));
    }
    assert_eq!(rows.queried(), [vec![100], vec![100]], "the leader's, and one for all who came during it");
}

async fn without_the_store_many_batches_are_two_loads(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    process.faults.fail_all(ErrorKind::Connect);
    let leader = Halted::start(&process, BeforeQuery, |stops| rows.read(&process, [1, 2], stops)).await;
    let mut followers = Vec::new();
    for _ in 0..200 {
        followers.push(rows.follow_many(&process, [1, 2]).await);
    }
    assert_eq!(leader.end().await, of([(1, 10), (2, 20)]));
    for follower in followers {
        assert_eq!(ended(follower).await, of([(1, 10), (2, 20)]));
    }
    assert_eq!(rows.queried(), [vec![1, 2], vec![1, 2]]);
}

/// Upholds G9.
async fn a_batch_that_fails_lets_those_who_follow_load(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let gate = process.faults.gate(Op::Lease);
    let cache = process.cache.clone();
    let failing = tokio::spawn(async move {
        let failing = async |_: Vec<u64>| Err::<HashMap<u64, u64>, _>("no connection");
        cache.try_get_or_load_many([1, 2], |id| entry(&cache, *id), failing).await
    });
    reached(&gate).await;
    let (single, batch) = (rows.follow_one(&process, 1).await, rows.follow_many(&process, [1, 2]).await);
    gate.open();
    assert_eq!(ended(failing).await, Err("no connection"));
    assert_eq!((ended(single).await, ended(batch).await), (10, of([(1, 10), (2, 20)])));
}

/// A batch that is about to load this id fails, or finds no row; how often the row is then queried for these callers.
async fn queries_after(rig: &Rig, found: Result<HashMap<u64, u64>, &'static str>, batches: bool) -> usize {
    let (process, rows) = (rig.process(), Rows::new());
    let gate = process.faults.gate(Op::Lease);
    let (cache, expected) = (process.cache.clone(), found.clone());
    let leader = tokio::spawn(async move {
        let load = async |_: Vec<u64>| found.clone();
        cache.try_get_or_load_many([7], |id| entry(&cache, *id), load).await
    });
    reached(&gate).await;
    if batches {
        let mut followers = Vec::new();
        for _ in 0..100 {
            followers.push(rows.follow_many(&process, [7]).await);
        }
        gate.open();
        for follower in followers {
            ended(follower).await;
        }
    } else {
        let mut followers = Vec::new();
        for _ in 0..100 {
            followers.push(rows.follow_one(&process, 7).await);
        }
        gate.open();
        for follower in followers {
            assert_eq!(ended(follower).await, 70);
        }
    }
    assert_eq!(ended(leader).await, expected);
    rows.queried().len()
}

async fn what_a_batch_cannot_share_is_loaded_once_for_all_who_waited(rig: Rig) {
    assert_eq!(queries_after(&rig, Err("no connection"), false).await, 1, "the failure is the batch's own");
    rig.process().cache.evict_prefix("row").await.expect("evicted");
    assert_eq!(queries_after(&rig, Err("no connection"), true).await, 1, "for other batches too");
    rig.process().cache.evict_prefix("row").await.expect("evicted");
    // That there is none cannot be returned where a row must be.
    assert_eq!(queries_after(&rig, Ok(HashMap::new()), false).await, 1);
    rig.process().cache.evict_prefix("row").await.expect("evicted");
    assert_eq!(queries_after(&rig, Ok(HashMap::new()), true).await, 0, "a batch returns it as it is");
}

/// Batches that always fail must not do so one after the other.
async fn batches_that_all_fail_end_together(rig: Rig) {
    let process = rig.process();
    let (queries, gate) = (Arc::new(AtomicU32::new(0)), process.faults.gate(Op::Lease));
    let batches: Vec<_> = (0..50)
        .map(|_| {
            let (cache, queries) = (process.cache.clone(), queries.clone());
            tokio::spawn(async move {
                let load = |_: Vec<u64>| {
                    let queries = queries.clone();
                    async move {
                        queries.fetch_add(1, Ordering::SeqCst);
                        // All who load side by side meet here.
                        wait_for("the others do not wait for this one", || {
                            let begun = queries.load(Ordering::SeqCst);
                            begun < 3 || begun == 50
                        })
                        .await;
                        Err::<HashMap<u64, u64>, _>("no connection")
                    }
                };
                cache.try_get_or_load_many([7], |id| entry(&cache, *id), load).await
            })
        })
        .collect();
    reached(&gate).await;
    wait_for("all have missed", || process.cache.stats().total.misses() == 50).await;
    gate.open();
    for batch in batches {
        assert_eq!(ended(batch).await, Err("no connection"));
    }
}

/// More than a task may be told at once before it yields to others.
async fn what_many_flights_hand_on_is_loaded_together(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let gate = process.faults.gate(Op::Lease);
    let leader = rows.read(&process, 0..1_000, Stops::default());
    reached(&gate).await;
    let follower = rows.follow_many(&process, 0..1_000).await;
    wait_for("it has joined all flights", || process.cache.stats().total.misses() == 2_000).await;
    leader.abort();
    assert!(leader.await.is_err_and(|error| error.is_cancelled()));
    assert_eq!(ended(follower).await.len(), 100, "rows from 100 on do not exist");
    assert_eq!(rows.queried().len(), 1);
}

async fn a_load_goes_on_while_a_batch_asks_for_leases(rig: Rig) {
    let [here, there] = [(); 2].map(|()| rig.process_with(|builder| builder.wait(2 * DEADLINE)));
    let rows = Rows::new();
    let other = Halted::start(&there, AfterQuery, |stops| rows.read_one(&there, 1, stops)).await;
    let first = here.faults.gate(Op::Lease);
    let again = here.faults.gate(Op::Lease);
    let batch = rows.read(&here, [1, 2], Stops::default());
    reached(&first).await;
    let fill = here.faults.gate(Op::Fill);
    first.open();
    // What it holds is loaded, and about to be stored.
    reached(&fill).await;
    other.abort().await;
    reached(&again).await;
    fill.open();
    wait_for("it is stored while the batch asks", || here.cache.stats().total.fills == 1).await;
    assert!(!batch.is_finished());
    again.open();
    assert_eq!(ended(batch).await, of([(1, 10), (2, 20)]));
}

/// Upholds G9.
async fn a_batch_that_is_dropped_hands_on(rig: Rig) {
    // Who waited for the lease or the leader in vain would not be in time.
    let (process, rows) = (rig.process_with(|builder| builder.wait(2 * DEADLINE)), Rows::new());
    for point in [Before(Op::Lease), BeforeQuery, AfterQuery] {
        let batch = Halted::start(&process, point, |stops| rows.read(&process, [1, 2], stops)).await;
        let (single, follower) =
            (rows.follow_one(&process, 1).await, rows.follow_many(&process, [1, 2]).await);
        batch.abort().await;
        assert_eq!((ended(single).await, ended(follower).await), (10, of([(1, 10), (2, 20)])), "{point:?}");
        process.cache.evict_prefix("row").await.expect("evicted");
    }
}

async fn two_ids_of_one_entry_are_one_load(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let load = async |ids: Vec<u64>| Ok::<_, Infallible>(rows.query(&ids));
    let same = |id: &u64| entry(&process.cache, id % 10);
    let Ok(found) = process.cache.try_get_or_load_many([1, 11], same, load).await;
    assert_eq!(found[&1], found[&11]);
    let queried = rows.queried();
    assert!(queried == [[1]] || queried == [[11]], "{queried:?}");
}

/// Each batch gets the lease of some and would keep it, were it to wait for the others first.
async fn batches_that_wait_for_the_same_ids_do_not_wait_for_each_other(rig: Rig) {
    let [first, here, there] = [(); 3].map(|()| rig.process_with(|builder| builder.wait(2 * DEADLINE)));
    let rows = Rows::new();
    for _ in 0..5 {
        let leader = Halted::start(&first, AfterQuery, |stops| rows.read(&first, 1..=16, stops)).await;
        let mut batches = Vec::new();
        for process in [&here, &there] {
            batches.push(
                Halted::start(process, Before(Op::Changed), |stops| rows.read(process, 1..=16, stops)).await,
            );
        }
        rows.queried();
        let batches: Vec<_> = batches.into_iter().map(|batch| tokio::spawn(batch.end())).collect();
        leader.abort().await;
        for batch in batches {
            assert_eq!(ended(batch).await, of((1..=16).map(|id| (id, id * 10))));
        }
        let mut queried: Vec<u64> = rows.queried().into_iter().flatten().collect();
        queried.sort_unstable();
        assert_eq!(queried, (1..=16).collect::<Vec<_>>(), "each by one of them");
        here.cache.evict_prefix("row").await.expect("evicted");
    }
}

async fn nobody_waits_for_one_id_until_a_batch_has_loaded_others(rig: Rig) {
    let [first, here, there] = [(); 3].map(|()| rig.process_with(|builder| builder.wait(2 * DEADLINE)));
    let (rows, slow) = (Rows::new(), Arc::new(Semaphore::new(0)));
    let leader = Halted::start(&first, AfterQuery, |stops| rows.read_one(&first, 1, stops)).await;
    let (cache, task_rows, task_slow) = (here.cache.clone(), rows.clone(), slow.clone());
    let batch = tokio::spawn(async move {
        let load = |ids: Vec<u64>| {
            let (rows, slow) = (task_rows.clone(), task_slow.clone());
            async move {
                let loaded = rows.query(&ids);
                if ids.contains(&2) {
                    slow.acquire().await.expect("never closed").forget();
                }
                Ok::<_, Infallible>(loaded)
            }
        };
        let Ok(found) = cache.try_get_or_load_many([1, 2], |id| entry(&cache, *id), load).await;
        found
    });
    wait_for("the second is being loaded", || rows.queries.lock().unwrap().len() == 2).await;
    leader.abort().await;
    // Whoever of them comes first loads it, and neither is held up by what the batch still loads.
    let singles = [&here, &there].map(|process| rows.read_one(process, 1, Stops::default()));
    for single in singles {
        assert_eq!(ended(single).await, 10);
    }
    assert!(!batch.is_finished());
    slow.add_permits(1);
    assert_eq!(ended(batch).await, of([(1, 10), (2, 20)]));
    let queried: Vec<BTreeSet<u64>> = rows.queries.lock().unwrap().clone();
    assert_eq!(queried.iter().filter(|ids| ids.contains(&2)).count(), 1, "{queried:?}");
}

/// What many callers do at once, each for ids of its own and some of others.
async fn batches_of_many_callers_query_no_row_twice(rig: Rig) {
    let (processes, rows) = ([rig.process(), rig.process()], Rows::new());
    let read = |caller: u64| {
        let ids = (0..12).map(move |id| (caller * 5 + id) % 60);
        rows.read(&processes[usize::from(caller % 2 == 1)], ids, Stops::default())
    };
    let batches: Vec<_> = (0..24).map(read).collect();
    for found in join_all(batches.into_iter().map(ended)).await {
        assert!(found.len() == 12 && found.iter().all(|(id, row)| *row == id * 10), "{found:?}");
    }
    let queried: Vec<u64> = rows.queried().into_iter().flatten().collect();
    assert_eq!(queried.len(), 60, "{queried:?}");
}

on_both_stores!(
    who_came_before_a_batch_load_takes_its_rows,
    who_came_after_a_batch_load_began_takes_what_was_stored,
    who_came_after_a_batch_load_began_does_not_take_it_where_the_fill_is_refused,
    who_starts_after_an_evict_never_joins_a_batch_from_before_it,
    many_batches_of_a_row_that_does_not_exist_are_two_loads,
    without_the_store_many_batches_are_two_loads,
    a_batch_that_fails_lets_those_who_follow_load,
    what_a_batch_cannot_share_is_loaded_once_for_all_who_waited,
    batches_that_all_fail_end_together,
    what_many_flights_hand_on_is_loaded_together,
    a_load_goes_on_while_a_batch_asks_for_leases,
    a_batch_that_is_dropped_hands_on,
    two_ids_of_one_entry_are_one_load,
    batches_that_wait_for_the_same_ids_do_not_wait_for_each_other,
    nobody_waits_for_one_id_until_a_batch_has_loaded_others,
    batches_of_many_callers_query_no_row_twice,
);
