//! A tag that is evicted during a load makes the load's lease worthless: nobody could read what it stores. So it holds nobody up.
//!
//! | without | fails |
//! |---|---|
//! | a pending header carries its holder's versions | `after_a_tags_evict_another_process_loads_at_once` |
//! | a flight knows the versions that its load captured | `after_a_tags_evict_the_process_of_the_outdated_load_loads_at_once` |
//! | only a request that captured again takes over | `an_older_capture_takes_no_lease_over` |
//! | a lease taken over for an any-tag version is marked | `an_evict_of_any_tag_overtakes_a_load_once` |

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachemacro::store::faults::Op;
use cachemacro::store::protocol::{Backend, Change, Protocol, Slot, Step};
use cachemacro::store::{About, Few, StoreHealth};
use cachemacro::{Cache, Clock, Entry, EntryRules, Lookup, Result, Timestamp};
use cachemacro_tests::halt::Point::BeforeQuery;
use cachemacro_tests::halt::{Halted, Table, ended, soon};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores};
use tokio::sync::Notify;
use tokio::time::timeout;

fn row(cache: &Cache) -> Entry<u64> {
    cache.entry("row", 7).with_tags(["tag"])
}

/// A load of an old value that stands still, in a process that is not told of the evict.
async fn outdated_load(process: &Process, table: &Table) -> Halted<u64> {
    let load = Halted::start(process, BeforeQuery, |stops| table.read(&row(&process.cache), stops)).await;
    assert!(load.stands());
    load
}

/// Evicts the tag from a process of its own.
///
/// Upholds G5.
async fn evict(rig: &Rig) {
    rig.process().cache.evict_tags(["tag"]).await.expect("evicted");
}

async fn in_time<T>(call: impl Future<Output = T>) -> T {
    timeout(DEADLINE, call).await.expect("it does not wait for the load that the evict made worthless")
}

/// Upholds G5.
async fn after_a_tags_evict_another_process_loads_at_once(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let outdated = outdated_load(&here, &table).await;
    let version = table.write();
    evict(&rig).await;
    let next = in_time(row(&there.cache).get_or_load(async || table.query())).await;
    assert_eq!((next, there.faults.count(Op::Lease)), (version, 2), "it captured, and captured again");
    assert_eq!(there.faults.count(Op::Changed), 0, "it waited for nothing");
    outdated.end().await;
    let stats = here.cache.stats().total;
    assert_eq!((stats.fills, stats.refused_fills), (0, 1), "what the outdated load brings is not stored");
    assert_eq!(row(&here.cache).get().await.expect("the store answers"), Some(version));
}

/// Upholds G5.
async fn after_a_tags_evict_the_process_of_the_outdated_load_loads_at_once(rig: Rig) {
    for by_itself in [true, false] {
        let (here, table) = (rig.process(), Table::default());
        row(&here.cache).evict().await.expect("evicted");
        let outdated = outdated_load(&here, &table).await;
        let version = table.write();
        if by_itself {
            here.cache.evict_tags(["tag"]).await.expect("evicted");
        } else {
            evict(&rig).await;
        }
        let next = in_time(row(&here.cache).get_or_load(async || table.query())).await;
        assert_eq!(next, version, "by itself: {by_itself}");
        outdated.end().await;
        assert_eq!(here.cache.stats().total.refused_fills, 1, "by itself: {by_itself}");
        assert_eq!(row(&here.cache).get().await.expect("the store answers"), Some(version));
    }
}

/// Upholds G5.
async fn batches_and_lookups_wait_for_no_outdated_load_either(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    for batch in [true, false] {
        let outdated = outdated_load(&here, &table).await;
        let version = table.write();
        evict(&rig).await;
        if batch {
            let load =
                async |ids: Vec<u32>| Ok::<_, ()>(ids.into_iter().map(|id| (id, table.query())).collect());
            let entry = |id: &u32| there.cache.entry("row", id).with_tags(["tag"]);
            let many: HashMap<u32, u64> =
                in_time(there.cache.try_get_or_load_many([7, 8], entry, load)).await.expect("loaded");
            assert_eq!((many[&7], many[&8]), (version, version));
        } else {
            let Ok(Lookup::Vacant(vacancy)) = in_time(row(&there.cache).lookup()).await else {
                panic!("what is there was evicted")
            };
            assert!(vacancy.fill(&table.query()).await.expect("a small value").is_stored());
        }
        outdated.end().await;
        assert_eq!(row(&here.cache).get().await.expect("the store answers"), Some(version));
        evict(&rig).await;
    }
}

/// A batch that loads, and another behind it.
///
/// Upholds G5.
async fn a_batch_whose_tag_was_evicted_holds_no_batch_up(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let entry =
        |cache: &Cache, id: u32| cache.entry::<u64>("row", id).with_tags(["tag".to_owned(), format!("{id}")]);
    let stop = Arc::new(Notify::new());
    let (cache, opened, old) = (here.cache.clone(), stop.clone(), table.clone());
    let outdated = tokio::spawn(async move {
        let of = |id: &u32| entry(&cache, *id);
        let load = async |ids: Vec<u32>| {
            let version = old.query();
            opened.notified().await;
            Ok::<_, ()>(ids.into_iter().map(|id| (id, version)).collect())
        };
        cache.try_get_or_load_many([1, 2, 3], of, load).await.expect("loaded")
    });
    soon("it loads", || table.queries() == 1).await;
    let version = table.write();
    rig.process().cache.evict_tags(["2"]).await.expect("evicted");
    // One of three was evicted, so the others are worth waiting for: the store is asked for this one again, and it is loaded.
    let load = async |ids: Vec<u32>| Ok::<_, ()>(ids.into_iter().map(|id| (id, table.query())).collect());
    let of = |id: &u32| entry(&there.cache, *id);
    let next = in_time(there.cache.try_get_or_load_many([2], of, load)).await.expect("loaded");
    assert_eq!(next[&2], version);
    stop.notify_one();
    ended(outdated).await;
    assert_eq!((here.cache.stats().total.fills, here.cache.stats().total.refused_fills), (2, 1));
}

/// Upholds G5.
async fn a_value_that_an_evict_outdated_does_not_keep_its_loader_in_place(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    row(&here.cache).set(&table.query()).await.expect("set");
    evict(&rig).await;
    // Over the outdated value, under versions from after the first evict; then comes another.
    let outdated = outdated_load(&here, &table).await;
    let version = table.write();
    evict(&rig).await;
    let next = in_time(row(&there.cache).get_or_load(async || table.query())).await;
    assert_eq!(next, version);
    outdated.end().await;
    assert_eq!(row(&here.cache).get().await.expect("the store answers"), Some(version));
}

/// Upholds G5.
async fn an_evict_of_any_tag_overtakes_a_load_once(rig: Rig) {
    let late = EntryRules::none().tags(|_: &u64| vec!["late".to_owned()]);
    let entry = |process: &Process| process.cache.entry::<u64>("row", 7).with_rules(late);
    let (table, processes) = (Table::default(), [rig.process(), rig.process(), rig.process()]);
    let [first, second, third] = &processes;
    let overtaken = Halted::start(first, BeforeQuery, |stops| table.read(&entry(first), stops)).await;
    table.write();
    rig.process().cache.evict_tags(["late"]).await.expect("evicted");
    let taken_over = Halted::start(second, BeforeQuery, |stops| table.read(&entry(second), stops)).await;
    assert!(taken_over.stands(), "it waits for nobody");
    // Of another bucket, perhaps: whose tags the value will name is not known, and each load would be overtaken for ever.
    rig.process().cache.evict_tags(["another"]).await.expect("evicted");
    let waits = table.read(&entry(third), cachemacro_tests::halt::Stops::default());
    soon("the third waits", || third.faults.count(Op::Changed) > 0).await;
    assert_eq!(table.queries(), 0);
    let version = taken_over.end().await;
    assert_eq!(ended(waits).await, version, "it is served by the second");
    overtaken.end().await;
    assert_eq!(entry(first).get().await.expect("the store answers"), Some(version));
}

on_both_stores!(
    after_a_tags_evict_another_process_loads_at_once,
    after_a_tags_evict_the_process_of_the_outdated_load_loads_at_once,
    batches_and_lookups_wait_for_no_outdated_load_either,
    a_batch_whose_tag_was_evicted_holds_no_batch_up,
    a_value_that_an_evict_outdated_does_not_keep_its_loader_in_place,
    an_evict_of_any_tag_overtakes_a_load_once,
);

/// A map on which capturing and taking a lease are two steps, as they are where keys lie on several servers: the next change of
/// the entry stops where a test wants it.
#[derive(Debug, Clone)]
struct Steps(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    clock: Clock,
    slots: Mutex<HashMap<String, Slot>>,
    stops: AtomicU64,
    stopped: AtomicU64,
    go_on: Notify,
}

impl Backend for Steps {
    fn about(&self) -> About {
        About::new("steps").with_shared(true)
    }

    fn now(&self) -> Timestamp {
        self.0.clock.now()
    }

    async fn get(&self, keys: &[&str]) -> Result<Few<Option<Slot>>> {
        let slots = self.0.slots.lock().expect("nobody panics");
        Ok(keys.iter().map(|&key| slots.get(key).cloned()).collect())
    }

    async fn update(&self, key: &str, step: &mut Step<'_>) -> Result<()> {
        let stops = key.contains("row")
            && self
                .0
                .stops
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |stops| stops.checked_sub(1))
                .is_ok();
        if stops {
            self.0.stopped.fetch_add(1, Ordering::SeqCst);
            self.0.go_on.notified().await;
        }
        let mut slots = self.0.slots.lock().expect("nobody panics");
        let mut slot = slots.remove(key);
        assert!(matches!(step(&mut slot, self.now()), Change::Nothing | Change::Quiet | Change::Entry));
        slots.extend(slot.map(|slot| (key.to_owned(), slot)));
        Ok(())
    }

    async fn remove_prefix(&self, _: &str) -> Result<u64> {
        Ok(0)
    }

    async fn health(&self) -> Result<StoreHealth> {
        Ok(StoreHealth::new("steps", None, Duration::ZERO))
    }
}

/// Upholds G5.
#[tokio::test]
async fn an_older_capture_takes_no_lease_over() {
    let map = Steps(Arc::new(Shared {
        clock: Clock::manual(),
        slots: Mutex::default(),
        stops: AtomicU64::new(1),
        stopped: AtomicU64::new(0),
        go_on: Notify::new(),
    }));
    let process = || {
        let store = Arc::new(Protocol::new(map.clone()));
        Cache::builder().store(store).namespace("steps").build().expect("acceptable settings")
    };
    let (older, newer, table) = (process(), process(), Table::default());
    // It has captured, and has not asked for the lease yet.
    let first = table.read(&row(&older), cachemacro_tests::halt::Stops::default());
    soon("it stands", || map.0.stopped.load(Ordering::SeqCst) == 1).await;
    table.write();
    process().evict_tags(["tag"]).await.expect("evicted");
    // Another captures the new versions, takes the lease and loads.
    let (stop, entry, fresh) = (Arc::new(Notify::new()), row(&newer), table.clone());
    let opened = stop.clone();
    let second = tokio::spawn(async move {
        let load = async || {
            let version = fresh.query();
            opened.notified().await;
            version
        };
        entry.get_or_load(load).await
    });
    soon("it loads", || table.queries() == 1).await;
    map.0.go_on.notify_one();
    // The first finds the lease busy under other versions: those of the holder are the newer ones.
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(table.queries(), 1, "it waits");
    stop.notify_one();
    assert_eq!((ended(second).await, ended(first).await), (2, 2));
    assert_eq!(table.queries(), 1, "one load, which was stored");
    assert_eq!((newer.stats().total.fills, newer.stats().total.refused_fills), (1, 0));
}
