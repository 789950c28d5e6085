//! Batches and the other callers of one process share loads; nobody waits longer than for what it asked for.

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::Arc;

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
        Halted::start(&process, Before(Op::LeaseMany), |stops| rows.read(&process, [1, 2, 100], stops)).await;
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

async fn who_came_after_a_batch_load_began_does_not_take_it_where_the_fill_is_refused(rig: Rig) {
    let (here, there, rows) = (rig.process(), rig.process(), Rows::new());
    let leader = Halted::start(&here, AfterQuery, |stops| rows.read(&here, [1, 2], stops)).await;
    rows.write(11);
    entry(&there.cache, 1).delete().await.expect("evicted");
    let (single, batch) = (rows.follow_one(&here, 1).await, rows.follow_many(&here, [1, 2]).await);
    assert_eq!(leader.end().await, of([(1, 10), (2, 20)]));
    assert_eq!((ended(single).await, ended(batch).await), (11, of([(1, 11), (2, 20)])));
}

async fn who_starts_after_an_evict_never_joins_a_batch_from_before_it(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let leader =
        Halted::start(&process, Before(Op::LeaseMany), |stops| rows.read(&process, [1, 2], stops)).await;
    rows.write(11);
    entry(&process.cache, 1).delete().await.expect("evicted");
    process.cache.evict_tags(["tag 0"]).await.expect("evicted");
    let open = || process.cache.stats().total.shared_loads;
    let batch = rows.read(&process, [1, 2], Stops::default());
    assert_eq!(ended(batch).await, of([(1, 11), (2, 22)]));
    assert_eq!(open(), 0);
    assert_eq!(leader.end().await, of([(1, 11), (2, 22)]), "it reads what is there by now");
}

/// Rows that are not there are not stored, so only flights keep them from being looked for one after the other.
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

async fn a_batch_that_fails_lets_those_who_follow_load(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let gate = process.faults.gate(Op::LeaseMany);
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

async fn a_batch_that_is_dropped_hands_on(rig: Rig) {
    // Who waited for the lease or the leader in vain would not be in time.
    let (process, rows) = (rig.process_with(|builder| builder.wait(2 * DEADLINE)), Rows::new());
    for point in [Before(Op::LeaseMany), BeforeQuery, AfterQuery] {
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
    a_batch_that_is_dropped_hands_on,
    two_ids_of_one_entry_are_one_load,
    batches_that_wait_for_the_same_ids_do_not_wait_for_each_other,
    nobody_waits_for_one_id_until_a_batch_has_loaded_others,
    batches_of_many_callers_query_no_row_twice,
);
