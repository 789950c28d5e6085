//! Many entries in one call: one read, one load of what is missing, one lease each.

mod shared;

use std::collections::{BTreeSet, HashMap};
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, EntryRules, ErrorKind, MissReason, Mode, Policy, Ttl, cached};
use cachemacro_tests::halt::Point::{AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, ended, reached};
use cachemacro_tests::{Process, Rig, on_both_stores, wait_for};
use tokio::task::JoinHandle;

/// A lease that needs to be renewed during a test.
const BRIEF: Duration = Duration::from_millis(90);

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
                    Ok::<_, Infallible>(loaded)
                }
            };
            let Ok(read) = cache.try_get_or_load_many(ids, |id| entry(&cache, *id), load).await;
            read
        })
    }

    async fn get(&self, process: &Process, ids: impl IntoIterator<Item = u64>) -> HashMap<u64, u64> {
        ended(self.read(process, ids, Stops::default())).await
    }

    /// Reads the rows 1 and 2 through the cache, where the values name the tags.
    async fn get_late(&self, process: &Process) -> HashMap<u64, u64> {
        let rules = EntryRules::none().tags(|row: &u64| vec![format!("row {row}")]);
        let entry = |id: &u64| process.cache.entry::<u64>("late", id).with_rules(rules);
        let load = async |ids: Vec<u64>| Ok::<_, Infallible>(self.query(&ids));
        let Ok(found) = process.cache.try_get_or_load_many([1, 2], entry, load).await;
        found
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
    cache.entry("row", id).with_tags([format!("tag {}", id % 2)])
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
    assert_eq!(faults.count(Op::Read), 1);
    let stats = process.cache.stats().total;
    assert_eq!((stats.hits, stats.misses_for(MissReason::Absent), stats.loads, stats.fills), (1, 2, 1, 2));
    // All is there now, also for those who ask for one.
    assert_eq!(rows.get(&process, 1..=3).await, of([(1, 10), (2, 20), (3, 30)]));
    assert_eq!(ended(rows.read_one(&process, 3, Stops::default())).await, 30);
    assert!(rows.queried().is_empty());
    assert_eq!(rows.get(&process, []).await, of([]));
    assert!(rows.queried().is_empty(), "nothing is not asked for");
}

/// Twice the ids, through the cache.
async fn doubles(
    ids: impl IntoIterator<Item = u64>,
    entry: impl Fn(&u64) -> Entry<u64>,
    process: &Process,
) -> HashMap<u64, u64> {
    let load = async |ids: Vec<u64>| Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id * 2)).collect());
    let Ok(found) = process.cache.try_get_or_load_many(ids, entry, load).await;
    found
}

fn doubled(ids: impl IntoIterator<Item = u64>) -> HashMap<u64, u64> {
    of(ids.into_iter().map(|id| (id, id * 2)))
}

/// How often each was asked for.
fn counts<const N: usize>(process: &Process, ops: [Op; N]) -> [u64; N] {
    ops.map(|op| process.faults.count(op))
}

async fn many_rows_with_tags_of_their_own_need_few_round_trips(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    // More tags than one entry can carry.
    let ids = || 0..1_100_u64;
    let user = |id: &u64| cache.entry("user", id).with_tags([format!("user:{id}"), "users".to_owned()]);
    assert_eq!(doubles(ids(), user, &process).await, doubled(ids()));
    let each = [Op::Read, Op::Lease, Op::Fill];
    assert_eq!(counts(&process, each), [5, 5, 5], "256 at a time");
    assert_eq!(counts(&process, [Op::Capture, Op::Versions]), [0; 2]);
    assert_eq!(cache.stats().total.fills, 1_100);

    // Each carries the versions of its own tags.
    cache.evict_tags(["user:7", "user:1099"]).await.expect("evicted");
    assert_eq!(doubles(ids(), user, &process).await, doubled(ids()));
    assert_eq!(counts(&process, each), [10, 6, 6]);
    let total = cache.stats().total;
    assert_eq!((total.hits, total.misses_for(MissReason::TagEvicted), total.fills), (1_098, 2, 1_102));
    cache.evict_tags(["users"]).await.expect("evicted");
    doubles(ids(), user, &process).await;
    assert_eq!(cache.stats().total.fills, 2_202);

    // The same anew, in as few.
    let before = counts(&process, each);
    Mode::Refresh.scope(doubles(ids(), user, &process)).await;
    assert_eq!(counts(&process, each), [before[0], before[1] + 5, before[2] + 5]);
    assert_eq!(cache.stats().total.fills, 3_302);
}

async fn large_values_are_stored_a_few_at_a_time(rig: Rig) {
    let process = rig.process();
    let load = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, vec![b'x'; 100 << 10])).collect();
    let found: HashMap<u64, Vec<u8>> = process.cache.get_or_load_many("large", 0..40, load).await;
    assert_eq!(found.len(), 40);
    assert_eq!(counts(&process, [Op::Read, Op::Lease, Op::Fill]), [1, 1, 4], "1 MiB at a time");
    assert_eq!(process.cache.stats().total.fills, 40);
}

async fn after_a_request_that_failed_the_store_is_not_asked_again(rig: Rig) {
    let process = rig.process();
    let plain = |id: &u64| process.cache.entry("plain", id);
    let each = [Op::Read, Op::Lease, Op::Fill];
    let mut expected = [0; 3];
    for (at, op) in each.into_iter().enumerate() {
        process.faults.fail(op, ErrorKind::Timeout);
        assert_eq!(doubles(0..600, plain, &process).await, doubled(0..600));
        process.faults.heal();
        for (asked, expected) in expected.iter_mut().enumerate().take(at + 1) {
            *expected += if asked == at { 1 } else { 3 };
        }
        assert_eq!(counts(&process, each), expected, "{op:?}");
    }
    assert_eq!(process.cache.stats().total.misses_for(MissReason::StoreFailed), 600);
    assert_eq!(process.cache.stats().total.fills, 0);
    assert_eq!(doubles(0..600, plain, &rig.process()).await, doubled(0..600), "nobody waits for them");
}

async fn the_leases_of_a_batch_are_renewed_together(rig: Rig) {
    let process = rig.process_with(|builder| builder.lease(BRIEF));
    let rows = Rows::new();
    let stuck = process.faults.gate(Op::Renew);
    let batch = Halted::start(&process, AfterQuery, |stops| rows.read(&process, 1..=9, stops)).await;
    reached(&stuck).await;
    assert_eq!(process.faults.count(Op::Renew), 1, "one request for all");
    stuck.open();
    // Until long after they would have lapsed.
    wait_for("they are renewed on and on", || process.faults.count(Op::Renew) >= 6).await;
    assert_eq!(batch.end().await.len(), 9);
    assert_eq!(process.cache.stats().total.fills, 9);
}

async fn leases_are_renewed_while_others_are_asked_for_and_while_they_wait_to_be_filled(rig: Rig) {
    let process = rig.process_with(|builder| builder.lease(BRIEF));
    let (faults, task) = (&process.faults, process.clone());
    let mut gates = [Op::Lease, Op::Fill].map(|op| [op; 3].map(|op| faults.gate(op))).into_iter();
    let batch = tokio::spawn(async move { doubles(0..600, |id| task.cache.entry("plain", id), &task).await });
    // Those of the first two chunks, 256 in a request, then those of the last.
    for least in [2, 1] {
        let [first, second, third] = gates.next().expect("one for each");
        first.open();
        reached(&second).await;
        let before = faults.count(Op::Renew);
        tokio::time::sleep(BRIEF).await;
        second.open();
        reached(&third).await;
        assert!(faults.count(Op::Renew) - before >= least);
        third.open();
    }
    assert_eq!(ended(batch).await, doubled(0..600));
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
    let none = Policy::new().cache_none(true).none_ttl(Ttl::millis(60_000));
    let rows = Rows::new();
    for _ in 0..3 {
        let load = |ids: Vec<u64>| {
            let loaded = rows.query(&ids);
            async move { Ok::<_, Infallible>(loaded) }
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
        let batch = rows.read(&here, [1, 2, 3], Stops::default());
        let mut queried = Vec::new();
        wait_for("the rest is loaded", || {
            queried.append(&mut rows.queried());
            queried.len() == 2
        })
        .await;
        assert_eq!(queried, [vec![1], vec![2, 3]]);
        assert!(!batch.is_finished());
        assert_eq!(single.end().await, 10);
        assert_eq!(ended(batch).await, of([(1, 10), (2, 20), (3, 30)]));
        assert!(rows.queried().is_empty());
        here.cache.evict_prefix("row").await.expect("evicted");
    }
}

async fn others_wait_for_what_a_batch_loads(rig: Rig) {
    let (here, there, rows) = (rig.process(), rig.process(), Rows::new());
    let batch = Halted::start(&here, AfterQuery, |stops| rows.read(&here, [1, 2, 3], stops)).await;
    let waiting = Halted::start(&there, Before(Op::Changed), |stops| rows.read_one(&there, 2, stops)).await;
    let singles = [tokio::spawn(waiting.end()), rows.follow_one(&here, 1).await];
    let overlapping = Halted::start(&there, BeforeQuery, |stops| rows.read(&there, [3, 4], stops)).await;
    let overlapping = tokio::spawn(overlapping.end());
    assert_eq!(batch.end().await, of([(1, 10), (2, 20), (3, 30)]));
    for (single, row) in singles.into_iter().zip([20, 10]) {
        assert_eq!(ended(single).await, row);
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

/// Upholds G1.
async fn an_evict_during_a_batch_load_refuses_that_fill_and_no_other(rig: Rig) {
    let (here, there, rows) = (rig.process(), rig.process(), Rows::new());
    let batch = Halted::start(&here, AfterQuery, |stops| rows.read(&here, 1..=4, stops)).await;
    rows.write(11);
    entry(&there.cache, 1).evict().await.expect("evicted");
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

/// Upholds G9.
async fn a_batch_load_that_is_dropped_leaves_no_lease(rig: Rig) {
    let (here, rows) = (rig.process(), Rows::new());
    for point in [Before(Op::Lease), BeforeQuery, AfterQuery] {
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

/// Upholds G6.
async fn without_the_store_a_batch_is_one_load(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    process.faults.fail_all(ErrorKind::Connect);
    assert_eq!(rows.get(&process, [1, 2]).await, of([(1, 10), (2, 20)]));
    assert_eq!(rows.queried(), [vec![1, 2]]);
    assert_eq!(process.cache.stats().total.misses_for(MissReason::StoreFailed), 2);
    process.faults.heal();
    process.faults.lose_reply_next(Op::Lease);
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
        async move { Ok::<_, Infallible>(loaded) }
    };
    let batch = || cache.try_get_or_load_many([1, 2], |id| entry(cache, *id), load);
    let Ok(bypassed) = Mode::Bypass.scope(batch()).await;
    assert_eq!(bypassed, of([(1, 11), (2, 22)]));
    assert_eq!(entry(cache, 1).get().await.expect("the store answers"), Some(10), "not stored");
    let Ok(refreshed) = Mode::Refresh.scope(batch()).await;
    assert_eq!(refreshed, of([(1, 11), (2, 22)]));
    assert_eq!(rows.queried(), [vec![1, 2], vec![1, 2]]);
    let Ok(read) = batch().await;
    assert_eq!(read, of([(1, 11), (2, 22)]), "stored");
    assert!(rows.queried().is_empty());
}

async fn tags_that_the_values_name_are_captured_for_a_batch(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    assert_eq!(rows.get_late(&process).await, of([(1, 10), (2, 20)]));
    process.cache.evict_tags(["row 20"]).await.expect("evicted");
    rows.write(11);
    assert_eq!(rows.get_late(&process).await, of([(1, 10), (2, 22)]));
    assert_eq!(rows.queried(), [vec![1, 2], vec![2]]);
}

async fn the_late_tags_of_a_batch_are_captured_and_checked_together(rig: Rig) {
    let (here, there, rows) = (rig.process(), rig.process(), Rows::new());
    let late = |id: &u64| {
        let rules = EntryRules::none().tags(|row: &u64| vec![format!("row {row}"), "rows".to_owned()]);
        here.cache.entry::<u64>("late", id).with_rules(rules)
    };
    let ids: Vec<u64> = (1..=9).collect();
    let load = |evicted: &'static [&str]| {
        let (rows, there) = (rows.clone(), there.cache.clone());
        move |ids: Vec<u64>| {
            let loaded = rows.query(&ids);
            let there = there.clone();
            async move {
                if !evicted.is_empty() {
                    there.evict_tags(evicted).await.expect("evicted");
                }
                Ok::<_, Infallible>(loaded)
            }
        }
    };
    let Ok(found) = here.cache.try_get_or_load_many(ids.clone(), late, load(&[])).await;
    assert_eq!(found, of((1..=9).map(|id| (id, id * 10))));
    assert_eq!(counts(&here, [Op::Lease, Op::Capture, Op::Versions, Op::Fill]), [1; 4]);
    assert_eq!(here.cache.stats().total.fills, 9);

    // Evicted during the load: what it concerns is not stored.
    here.cache.evict_tags(["rows"]).await.expect("evicted");
    let Ok(_) = here.cache.try_get_or_load_many(ids.clone(), late, load(&["row 20"])).await;
    let total = here.cache.stats().total;
    assert_eq!((total.fills, total.refused_fills), (17, 1));
    assert_eq!(late(&2).get().await.expect("the store answers"), None);
    rows.queried();
    let Ok(_) = here.cache.try_get_or_load_many(ids, late, load(&[])).await;
    assert_eq!(rows.queried(), [vec![2]], "the others are there");
}

async fn a_failed_check_is_a_failed_read(rig: Rig) {
    let (process, rows) = (rig.process(), Rows::new());
    let batch = async || {
        let found = rows.get_late(&process).await;
        assert_eq!(found, of([(1, 10), (2, 20)]));
    };
    batch().await;
    rows.queried();
    process.faults.fail_next(Op::Versions, 1, ErrorKind::Timeout);
    batch().await;
    assert_eq!(rows.queried().concat().len(), 1);
    let total = process.cache.stats().total;
    assert_eq!((total.hits, total.misses_for(MissReason::StoreFailed), total.fills), (1, 1, 2));
    assert_eq!(counts(&process, [Op::Lease, Op::Fill]), [1, 1], "not asked again");
    batch().await;
    assert!(rows.queried().is_empty(), "what is there stays");
}

async fn a_refresh_in_a_refresh_of_the_same_key_leaves_the_outer_one_its_lease(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let outer = async {
        let inner = doubles([1, 2], |id| entry(cache, *id), &process).await;
        assert_eq!(inner, doubled([1, 2]));
        11
    };
    assert_eq!(Mode::Refresh.scope(entry(cache, 1).get_or_load(|| outer)).await, 11);
    assert_eq!(entry(cache, 1).get().await.expect("the store answers"), Some(11));
    assert_eq!(entry(cache, 2).get().await.expect("the store answers"), Some(4));
    let stats = cache.stats().total;
    assert_eq!((stats.loads, stats.fills, stats.refused_fills, stats.evicts), (2, 2, 0, 0));
}

async fn a_refresh_that_cannot_store_removes_what_is_there(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let ids = || 0..4_u64;
    let row = |id: &u64| entry(cache, *id);
    for op in [Op::Lease, Op::Fill] {
        doubles(ids(), row, &process).await;
        process.faults.fail_next(op, 1, ErrorKind::Timeout);
        let evicts = process.faults.count(Op::Evict);
        Mode::Refresh.scope(doubles(ids(), row, &process)).await;
        assert_eq!(process.faults.count(Op::Evict), evicts + 1, "{op:?}: all at once");
        for id in ids() {
            assert_eq!(row(&id).get().await.expect("the store answers"), None, "{op:?}");
        }
    }
    // So does one that an evict or another writer came between.
    doubles(ids(), row, &process).await;
    let load = async |ids: Vec<u64>| {
        row(&1).evict().await.expect("evicted");
        row(&3).set(&99).await.expect("set");
        Ok::<_, Infallible>(ids.into_iter().map(|id| (id, id * 3)).collect::<HashMap<_, _>>())
    };
    let Ok(_) = Mode::Refresh.scope(cache.try_get_or_load_many(ids(), row, load)).await;
    for (id, left) in [(0, Some(0)), (1, None), (2, Some(6)), (3, None)] {
        assert_eq!(row(&id).get().await.expect("the store answers"), left, "{id}");
    }
}

#[cached(prefix = "site", key = "{id}", cache = cache, entry = row_of_site)]
async fn site(cache: &Cache, id: u64) -> u64 {
    id
}

#[cached(prefix = "other", key = "{id}", cache = cache, entry = row_of_other)]
async fn other(cache: &Cache, id: u64) -> u64 {
    id
}

async fn a_batch_counts_for_its_sites(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let mixed =
        |id: &u64| if id.is_multiple_of(2) { row_of_site(cache, *id) } else { row_of_other(cache, *id) };
    let failing = async |_: Vec<u64>| Err::<HashMap<u64, u64>, _>("no connection");
    assert!(cache.try_get_or_load_many(1..=2, mixed, failing).await.is_err());
    doubles(1..=5, mixed, &process).await;
    doubles([1, 7], mixed, &process).await;
    let stats = cache.stats();
    // A load for ids of two sites belongs to neither; the last one was for ids of one.
    for (name, loads, misses, fills) in [("site", 0, 3, 2), ("other", 1, 5, 4)] {
        let site = stats.site(name).expect("it was called");
        assert_eq!((site.loads, site.failed_loads, site.misses(), site.fills), (loads, 0, misses, fills));
        assert_eq!(site.load_time.count(), loads, "{name}");
    }
    assert_eq!((stats.total.loads, stats.total.failed_loads, stats.total.load_time.count()), (3, 1, 3));
    assert_eq!((site(cache, 2).await, other(cache, 7).await), (4, 14), "what the batch stored");
}

#[tokio::test]
async fn very_many_ids_need_no_stack() {
    let cache = Cache::builder().memory().disabled(true).build().expect("acceptable settings");
    let same = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id)).collect();
    let found: HashMap<u64, u64> = cache.get_or_load_many("row", 0..200_000, same).await;
    assert_eq!(found.len(), 200_000);
}

on_both_stores!(
    one_read_one_load_of_what_is_missing_and_one_lease_each,
    many_rows_with_tags_of_their_own_need_few_round_trips,
    large_values_are_stored_a_few_at_a_time,
    after_a_request_that_failed_the_store_is_not_asked_again,
    the_leases_of_a_batch_are_renewed_together,
    leases_are_renewed_while_others_are_asked_for_and_while_they_wait_to_be_filled,
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
    the_late_tags_of_a_batch_are_captured_and_checked_together,
    a_failed_check_is_a_failed_read,
    a_refresh_in_a_refresh_of_the_same_key_leaves_the_outer_one_its_lease,
    a_refresh_that_cannot_store_removes_what_is_there,
    a_batch_counts_for_its_sites,
);
