//! Many entries in one call: one read, one load of what is missing, one lease each.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, EntryRules, ErrorKind, MissReason, Mode, Policy, Ttl, mode};
use cachemacro_tests::halt::Point::{AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, ended};
use cachemacro_tests::{Process, Rig, on_both_stores};
use tokio::task::JoinHandle;

/// A table of ids whose rows are their id times a factor. It notes which ids each query was for.
#[derive(Clone)]
struct Rows {
    factor: Arc<Mutex<u64>>,
    queries: Arc<Mutex<Vec<BTreeSet<u64>>>>,
}

impl Rows {
    fn new() -> Self {
        Self { factor: Arc::new(Mutex::new(10)), queries: Arc::default() }
    }

    fn query(&self, ids: &[u64]) -> HashMap<u64, u64> {
        self.queries.lock().unwrap().push(ids.iter().copied().collect());
        let factor = *self.factor.lock().unwrap();
        // Rows from 100 on do not exist.
        ids.iter().filter(|id| **id < 100).map(|id| (*id, id * factor)).collect()
    }

    /// The ids of each query since the last call.
    fn queried(&self) -> Vec<Vec<u64>> {
        let queries = std::mem::take(&mut *self.queries.lock().unwrap());
        queries.into_iter().map(|ids| ids.into_iter().collect()).collect()
    }

    fn write(&self, factor: u64) {
        *self.factor.lock().unwrap() = factor;
    }

    /// Reads rows through the cache, from a task of its own.
    fn read(
        &self,
        process: &Process,
        ids: impl IntoIterator<Item = u64>,
        stops: Stops,
    ) -> JoinHandle<HashMap<u64, u64>> {
        let (rows, cache, ids) = (self.clone(), process.cache.clone(), ids.into_iter().collect::<Vec<_>>());
        tokio::spawn(async move {
            let load = |ids: Vec<u64>| {
                let (rows, stops) = (rows.clone(), stops.clone());
                async move {
                    stops.before_query().await;
                    let loaded = rows.query(&ids);
                    stops.after_query().await;
                    Ok::<_, std::convert::Infallible>(loaded)
                }
            };
            let Ok(read) = cache.try_get_or_load_many(ids, |id| entry(&cache, *id), load).await;
            read
        })
    }

    async fn get(&self, process: &Process, ids: impl IntoIterator<Item = u64>) -> HashMap<u64, u64> {
        ended(self.read(process, ids, Stops::default())).await
    }

    /// Reads one row through the cache, by itself.
    fn read_one(&self, process: &Process, id: u64, stops: Stops) -> JoinHandle<u64> {
        let (rows, entry) = (self.clone(), entry(&process.cache, id));
        tokio::spawn(async move {
            let load = || async {
                stops.before_query().await;
                let row = rows.query(&[id])[&id];
                stops.after_query().await;
                row
            };
            entry.get_or_load(load).await
        })
    }
}

fn entry(cache: &Cache, id: u64) -> Entry<u64> {
    cache.entry("row", &id).with_tags([format!("tag {}", id % 2)])
}

fn of(pairs: impl IntoIterator<Item = (u64, u64)>) -> HashMap<u64, u64> {
    pairs.into_iter().collect()
}

async fn one_read_one_load_of_what_is_missing_and_one_lease_each(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    entry(&process.cache, 2).set(&20).await.expect("set");
    assert_eq!(rows.get(&process, [1, 2, 3, 3, 1]).await, of([(1, 10), (2, 20), (3, 30)]));
    assert_eq!(rows.queried(), [vec![1, 3]]);
    let faults = &process.faults;
    assert_eq!((faults.count(Op::ReadMany), faults.count(Op::Read)), (1, 0));
    let stats = process.cache.stats().total;
    assert_eq!((stats.hits, stats.misses_for(MissReason::Absent), stats.loads, stats.fills), (1, 2, 1, 2));
    // All is there now, also for those who ask for one.
    assert_eq!(rows.get(&process, 1..=3).await, of([(1, 10), (2, 20), (3, 30)]));
    assert_eq!(ended(rows.read_one(&process, 3, Stops::default())).await, 30);
    assert!(rows.queried().is_empty());
    assert_eq!(rows.get(&process, []).await, of([]));
    assert!(rows.queried().is_empty(), "nothing is not asked for");
}

async fn leases_for_entries_with_the_same_tags_are_asked_for_in_one_round_trip(rig: Rig) {
    let process = rig.process();
    let double = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id * 2)).collect();
    let found = process.cache.get_or_load_many::<u64, u64, _>("plain", 0..500, double).await;
    assert_eq!(found, of((0..500).map(|id| (id, id * 2))));
    assert_eq!(process.faults.count(Op::LeaseMany), 1);
    assert_eq!(process.cache.get::<u64>("plain", &499).await.expect("the store answers"), Some(998));
}

async fn rows_that_do_not_exist_are_not_in_the_map_and_leave_no_lease(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    assert_eq!(rows.get(&process, [1, 100]).await, of([(1, 10)]));
    assert_eq!(rows.get(&process, [1, 100]).await, of([(1, 10)]));
    assert_eq!(rows.queried(), [vec![1, 100], vec![100]]);
    // The lease is free at once: others need not wait for it.
    assert_eq!(rows.get(&rig.process(), [100]).await, of([]));
}

async fn where_none_is_stored_a_row_that_does_not_exist_is_looked_for_once(rig: Rig) {
    let process = rig.process();
    let none = Policy { cache_none: true, none_ttl: Some(Ttl::millis(60_000)), ..Policy::DEFAULT };
    let rows = Rows::new();
    for _ in 0..3 {
        let load = |ids: Vec<u64>| {
            let loaded = rows.query(&ids);
            async move { Ok::<_, std::convert::Infallible>(loaded) }
        };
        let entry = |id: &u64| process.cache.entry::<u64>("maybe", id).with_policy(none);
        let Ok(found) = process.cache.try_get_or_load_many([1, 100], entry, load).await;
        assert_eq!(found, of([(1, 10)]));
    }
    assert_eq!(rows.queried(), [vec![1, 100]]);
    assert_eq!(process.cache.stats().total.hits, 4);
}

async fn a_batch_waits_for_what_others_load_and_loads_the_rest(rig: Rig) {
    let (here, there, rows) = (rig.process(), rig.process(), Rows::new());
    for other in [&here, &there] {
        let single = Halted::start(other, AfterQuery, |stops| rows.read_one(other, 1, stops)).await;
        let batch =
            Halted::start(&here, Before(Op::Changed), |stops| rows.read(&here, [1, 2, 3], stops)).await;
        assert_eq!(rows.queried(), [vec![1], vec![2, 3]]);
        assert_eq!(single.end().await, 10);
        assert_eq!(batch.end().await, of([(1, 10), (2, 20), (3, 30)]));
        assert!(rows.queried().is_empty());
        here.cache.evict_prefix("row").await.expect("evicted");
    }
}

async fn others_wait_for_what_a_batch_loads(rig: Rig) {
    let (here, there, rows) = (rig.process(), rig.process(), Rows::new());
    let batch = Halted::start(&here, AfterQuery, |stops| rows.read(&here, [1, 2, 3], stops)).await;
    let mut singles = Vec::new();
    for (id, other) in [(1, &here), (2, &there)] {
        singles
            .push(Halted::start(other, Before(Op::Changed), |stops| rows.read_one(other, id, stops)).await);
    }
    let overlapping = Halted::start(&there, BeforeQuery, |stops| rows.read(&there, [3, 4], stops)).await;
    let overlapping = tokio::spawn(overlapping.end());
    assert_eq!(batch.end().await, of([(1, 10), (2, 20), (3, 30)]));
    for (single, row) in singles.into_iter().zip([10, 20]) {
        assert_eq!(single.end().await, row);
    }
    assert_eq!(ended(overlapping).await, of([(3, 30), (4, 40)]));
    assert_eq!(rows.queried(), [vec![1, 2, 3], vec![4]]);
}

async fn what_does_not_come_in_time_is_loaded_and_not_stored(rig: Rig) {
    let (here, rows) = (rig.process_with(|builder| builder.wait(Duration::from_millis(50))), Rows::new());
    let there = rig.process();
    let stuck = Halted::start(&there, AfterQuery, |stops| rows.read_one(&there, 1, stops)).await;
    assert_eq!(rows.get(&here, [1, 2]).await, of([(1, 10), (2, 20)]));
    assert_eq!(rows.queried(), [vec![1], vec![2], vec![1]]);
    assert_eq!(stuck.end().await, 10);
    assert_eq!((here.cache.stats().total.fills, there.cache.stats().total.fills), (1, 1));
}

async fn an_evict_during_a_batch_load_refuses_that_fill_and_no_other(rig: Rig) {
    let (here, there, rows) = (rig.process(), rig.process(), Rows::new());
    let batch = Halted::start(&here, AfterQuery, |stops| rows.read(&here, 1..=4, stops)).await;
    rows.write(11);
    entry(&there.cache, 1).delete().await.expect("evicted");
    there.cache.evict_tags(["tag 0"]).await.expect("evicted");
    assert_eq!(batch.end().await, of((1..=4).map(|id| (id, id * 10))));
    assert_eq!(here.cache.stats().total.refused_fills, 1);
    rows.queried();
    // 1 was evicted; 2 and 4 carry the tag; 3 is as it was.
    assert_eq!(rows.get(&there, 1..=4).await, of([(1, 11), (2, 22), (3, 30), (4, 44)]));
    assert_eq!(rows.queried(), [vec![1, 2, 4]]);
}

async fn a_batch_load_that_fails_leaves_no_lease(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let cache = &process.cache;
    let failing = async |_: Vec<u64>| Err::<HashMap<u64, u64>, _>("no connection");
    let failed = cache.try_get_or_load_many([1, 2], |id| entry(cache, *id), failing).await;
    assert_eq!(failed, Err("no connection"));
    assert_eq!(cache.stats().total.failed_loads, 1);
    assert_eq!(rows.get(&rig.process(), [1, 2]).await, of([(1, 10), (2, 20)]), "nobody waits for them");
    // At once, or one after the other as the leases come back.
    let queried: BTreeSet<u64> = rows.queried().into_iter().flatten().collect();
    assert_eq!(queried, BTreeSet::from([1, 2]));
}

async fn a_batch_load_that_is_dropped_leaves_no_lease(rig: Rig) {
    let (here, rows) = (rig.process(), Rows::new());
    for point in [Before(Op::LeaseMany), BeforeQuery, AfterQuery] {
        let batch = Halted::start(&here, point, |stops| rows.read(&here, [1, 3], stops)).await;
        batch.abort().await;
        rows.queried();
        assert_eq!(rows.get(&rig.process(), [1, 3]).await, of([(1, 10), (3, 30)]), "{point:?}");
        // At once, or one after the other as the leases come back.
        let queried: BTreeSet<u64> = rows.queried().into_iter().flatten().collect();
        assert_eq!(queried, BTreeSet::from([1, 3]), "{point:?}");
        here.cache.evict_prefix("row").await.expect("evicted");
    }
}

async fn without_the_store_a_batch_is_one_load(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    process.faults.fail_all(ErrorKind::Connect);
    assert_eq!(rows.get(&process, [1, 2]).await, of([(1, 10), (2, 20)]));
    assert_eq!(rows.queried(), [vec![1, 2]]);
    assert_eq!(process.cache.stats().total.misses_for(MissReason::StoreFailed), 2);
    process.faults.heal();
    process.faults.lose_reply_next(Op::LeaseMany);
    process.faults.lose_reply_next(Op::Lease);
    assert_eq!(rows.get(&process, [1, 3]).await, of([(1, 10), (3, 30)]));
    assert_eq!(rows.queried(), [vec![1, 3]]);
    assert_eq!(rows.get(&rig.process(), [1, 3]).await, of([(1, 10), (3, 30)]), "nobody waits for them");
}

async fn modes_hold_for_batches(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    assert_eq!(rows.get(&process, [1, 2]).await, of([(1, 10), (2, 20)]));
    rows.write(11);
    rows.queried();
    let cache = &process.cache;
    let load = |ids: Vec<u64>| {
        let loaded = rows.query(&ids);
        async move { Ok::<_, std::convert::Infallible>(loaded) }
    };
    let batch = || cache.try_get_or_load_many([1, 2], |id| entry(cache, *id), load);
    let Ok(bypassed) = mode(Mode::Bypass, batch()).await;
    assert_eq!(bypassed, of([(1, 11), (2, 22)]));
    assert_eq!(entry(cache, 1).get().await.expect("the store answers"), Some(10), "not stored");
    let Ok(refreshed) = mode(Mode::Refresh, batch()).await;
    assert_eq!(refreshed, of([(1, 11), (2, 22)]));
    assert_eq!(rows.queried(), [vec![1, 2], vec![1, 2]]);
    let Ok(read) = batch().await;
    assert_eq!(read, of([(1, 11), (2, 22)]), "stored");
    assert!(rows.queried().is_empty());
}

async fn tags_that_the_values_name_are_captured_for_a_batch(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let cache = &process.cache;
    let rules = EntryRules::none().tags(|row: &u64| vec![format!("row {row}")]);
    let batch = async || {
        let load = |ids: Vec<u64>| {
            let loaded = rows.query(&ids);
            async move { Ok::<_, std::convert::Infallible>(loaded) }
        };
        let entry = |id: &u64| cache.entry::<u64>("late", id).with_rules(rules);
        let Ok(found) = cache.try_get_or_load_many([1, 2], entry, load).await;
        found
    };
    assert_eq!(batch().await, of([(1, 10), (2, 20)]));
    cache.evict_tags(["row 20"]).await.expect("evicted");
    rows.write(11);
    assert_eq!(batch().await, of([(1, 10), (2, 22)]));
    assert_eq!(rows.queried(), [vec![1, 2], vec![2]]);
}

on_both_stores!(
    one_read_one_load_of_what_is_missing_and_one_lease_each,
    leases_for_entries_with_the_same_tags_are_asked_for_in_one_round_trip,
    rows_that_do_not_exist_are_not_in_the_map_and_leave_no_lease,
    where_none_is_stored_a_row_that_does_not_exist_is_looked_for_once,
    a_batch_waits_for_what_others_load_and_loads_the_rest,
    others_wait_for_what_a_batch_loads,
    what_does_not_come_in_time_is_loaded_and_not_stored,
    an_evict_during_a_batch_load_refuses_that_fill_and_no_other,
    a_batch_load_that_fails_leaves_no_lease,
    a_batch_load_that_is_dropped_leaves_no_lease,
    without_the_store_a_batch_is_one_load,
    modes_hold_for_batches,
    tags_that_the_values_name_are_captured_for_a_batch,
);
