//! Values that age: fresh, due, stale, spare, gone; who loads them anew, and what is served meanwhile.
//!
//! Which test is to fail where a mechanism is removed:
//!
//! | removed | test |
//! |---|---|
//! | a refresh's fill is accepted only over its value | `a_refresh_that_an_evict_overtook_stores_nothing`, `races_by_hand.rs` |
//! | … and only under the lease that it saw | `a_refresh_never_takes_over_a_puts_lease` |
//! | a refresh does not begin beside a put | `a_refresh_never_takes_over_a_puts_lease` |
//! | the header is looked at again once the lease is had | `a_value_that_was_refreshed_since_it_was_read_is_not_refreshed_again` |
//! | what was captured is compared with the value's stamps | `a_value_whose_tag_was_evicted_since_it_was_read_is_not_refreshed` |
//! | a refresh's lease is given back after the fill | `a_refresh_leaves_no_lease_behind` |
//! | the lease of one that failed is left to lapse | `while_loads_fail_the_stale_value_serves_and_one_attempt_is_made_for_all` |
//! | … and its process remembers | `while_loads_fail_the_stale_value_serves_and_one_attempt_is_made_for_all` |
//! | who is told of an error is served its own old value | `while_loads_fail_a_follower_is_served_its_own_old_value` |
//! | what a load no longer finds is removed | `a_load_that_finds_no_value_any_more_removes_the_old_one` |
//! | … and left out of a batch | `a_batch_removes_an_old_value_where_no_row_is_found_any_more` |
//! | whose wait is over is served the spare value | `whose_wait_for_a_load_is_over_takes_the_spare_value` |
//! | past its stale time a value serves only where its load fails | `past_its_stale_time_a_value_serves_only_where_its_load_fails` |
//! | `max_age` counts | `past_its_stale_time_a_value_serves_only_where_its_load_fails` |

use std::collections::HashMap;
use std::pin::pin;
use std::time::Duration;

use cachemacro::__private::{NoRules, Opt, Plain, Res, Shareable, Writes, load, write};
use cachemacro::header::Header;
use cachemacro::store::faults::Op;
use cachemacro::{CacheBuilder, Entry, Lookup, MissReason, Mode, Policy, Ttl};
use cachemacro_tests::aging::age;
use cachemacro_tests::halt::Point::{After, AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, Table, ended, reached};
use cachemacro_tests::{LONG, Process, Rig, Single, on_both_stores, wait_for};

const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);

/// Fresh for a minute, due after 48 seconds, stale for an hour, and spare until it is a day old.
const POLICY: Policy =
    Policy::new().ttl(Ttl::For(MINUTE)).refresh(80).stale(HOUR).max_age(Duration::from_hours(24));

const FRESH: Duration = Duration::from_secs(30);
const DUE: Duration = Duration::from_secs(55);
const STALE: Duration = Duration::from_mins(30);
const SPARE: Duration = Duration::from_hours(3);
const GONE: Duration = Duration::from_hours(25);

fn entry(process: &Process) -> Entry<u64> {
    process.cache.entry("row", 7).with_tags(["tag"]).with_policy(POLICY)
}

/// Two processes, and a value in their store that is so old.
async fn aged(rig: &Rig, by: Duration) -> (Process, Process, Table) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    ended(table.read(&entry(&here), Stops::default())).await;
    grow_older(rig, by).await;
    (here, there, table)
}

async fn grow_older(rig: &Rig, by: Duration) {
    age(&*rig.store(), &format!("{}:row:7", rig.namespace()), by).await;
}

async fn read(process: &Process, table: &Table) -> u64 {
    ended(table.read(&entry(process), Stops::default())).await
}

/// What the store has, whatever it may be served for.
async fn stored(process: &Process) -> Option<u64> {
    entry(process).get().await.expect("the store answers")
}

fn no() -> Result<u64, String> {
    Err("no".to_owned())
}

async fn fail(entry: &Entry<u64>) -> Result<u64, String> {
    load(Some(entry.clone()), Res::<Shareable>::NEW, NoRules, pin!(async { no() })).await
}

/// Upholds G5.
async fn a_value_that_ages_serves_while_one_caller_of_all_processes_loads_it_anew(rig: Rig) {
    for by in [DUE, STALE] {
        let (here, there, table) = aged(&rig, by).await;
        table.write();
        let elected = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
        for process in [&here, &there, &rig.process()] {
            for _ in 0..3 {
                assert_eq!(read(process, &table).await, 1, "at once");
            }
        }
        assert_eq!(elected.end().await, 2);
        assert_eq!((read(&here, &table).await, read(&there, &table).await), (2, 2));
        assert_eq!(table.queries(), 2, "one load, and one anew");
        let (own, other) = (here.cache.stats().total, there.cache.stats().total);
        assert_eq!((own.refreshes, other.refreshes), (1, 0));
        assert_eq!((own.misses_for(MissReason::Due), other.misses()), (1, 0));
        let stale = if by == STALE { 3 } else { 0 };
        assert_eq!((own.stale, other.stale), (stale, stale));
        assert_eq!((own.stale_hits, other.stale_hits), (stale, stale));
        entry(&here).evict().await.expect("evicted");
    }
}

/// Upholds G5.
async fn a_value_that_was_refreshed_since_it_was_read_is_not_refreshed_again(rig: Rig) {
    let (here, there, table) = aged(&rig, STALE).await;
    let late = Halted::start(&here, Before(Op::Lease), |stops| table.read(&entry(&here), stops)).await;
    assert_eq!(read(&there, &table).await, 1, "it loads it anew");
    assert_eq!(late.end().await, 1);
    assert_eq!((table.queries(), here.cache.stats().total.refreshes), (2, 0));
}

/// Upholds G5.
async fn a_value_whose_tag_was_evicted_since_it_was_read_is_not_refreshed(rig: Rig) {
    let (here, there, table) = aged(&rig, STALE).await;
    table.write();
    let late = Halted::start(&here, After(Op::Read), |stops| table.read(&entry(&here), stops)).await;
    there.cache.evict_tags(["tag"]).await.expect("evicted");
    assert_eq!(late.end().await, 1, "its own read found it valid");
    assert_eq!(table.queries(), 1, "the next reader loads it");
    assert_eq!(read(&here, &table).await, 2);
}

async fn a_refresh_leaves_no_lease_behind(rig: Rig) {
    let (here, _, table) = aged(&rig, STALE).await;
    let bytes = rig.raw("row:7").await.expect("it is there");
    let id = Header::parse(&bytes).expect("an entry").fill_id.get();
    let lease = format!("{{{}:row:7}}:r:{id:016x}", rig.namespace());
    let elected = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    assert!(rig.store().entry(&lease).await.expect("the store answers").is_some());
    elected.end().await;
    // Less than it would live.
    for _ in 0..1_000 {
        if rig.store().entry(&lease).await.expect("the store answers").is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("it is there still");
}

async fn a_value_that_is_young_is_served_and_not_loaded(rig: Rig) {
    let (here, there, table) = aged(&rig, FRESH).await;
    assert_eq!((read(&here, &table).await, read(&there, &table).await), (1, 1));
    assert_eq!((table.queries(), there.faults.count(Op::Lease)), (1, 0));
}

async fn while_loads_fail_the_stale_value_serves_and_one_attempt_is_made_for_all(rig: Rig) {
    for by in [DUE, STALE] {
        let patient = || rig.process_with(|builder| builder.retry_after(LONG));
        let (here, there, table) = (patient(), patient(), Table::default());
        read(&here, &table).await;
        grow_older(&rig, by).await;
        assert_eq!(fail(&entry(&here)).await, Ok(1), "by whom it fails");
        let rests = || here.faults.count(Op::Renew) > 0;
        wait_for("it is known to all that it failed", rests).await;
        let asked = here.faults.count(Op::Lease);
        for process in [&here, &there, &rig.process()] {
            assert_eq!(fail(&entry(process)).await, Ok(1));
        }
        assert_eq!(here.faults.count(Op::Lease), asked, "it remembers");
        let loads = here.cache.stats().total.loads + there.cache.stats().total.loads;
        assert_eq!(loads, 2, "the first one, and one that failed");
        entry(&here).evict().await.expect("evicted");
    }
}

async fn after_a_while_the_load_is_tried_again(rig: Rig) {
    let soon = |builder: CacheBuilder| builder.retry_after(Duration::from_millis(50));
    let (process, table) = (rig.process_with(soon), Table::default());
    read(&process, &table).await;
    grow_older(&rig, STALE).await;
    assert_eq!(fail(&entry(&process)).await, Ok(1));
    table.write();
    let rests = || process.faults.count(Op::Renew) > 0;
    wait_for("it is known to all that it failed", rests).await;
    if !rig.is_redis() {
        rig.in_memory().1.advance(Duration::from_secs(1));
    }
    wait_for_value(&process, &table, 2).await;
}

async fn wait_for_value(process: &Process, table: &Table, value: u64) {
    let until = tokio::time::Instant::now() + LONG;
    while read(process, table).await != value {
        assert!(tokio::time::Instant::now() < until, "it is never loaded anew");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn past_its_stale_time_a_value_serves_only_where_its_load_fails(rig: Rig) {
    let (here, there, table) = aged(&rig, SPARE).await;
    table.write();
    assert_eq!(fail(&entry(&here)).await, Ok(1));
    assert_eq!(read(&here, &table).await, 1, "another attempt is not made at once");
    assert_eq!(stored(&there).await, None);
    assert_eq!(read(&there, &table).await, 2, "whoever loads waits for it");
    assert_eq!(table.queries(), 2);
}

async fn the_greatest_age_ends_what_serves(rig: Rig) {
    let (here, _, table) = aged(&rig, GONE).await;
    assert_eq!(fail(&entry(&here)).await, no());
    table.write();
    assert_eq!(read(&here, &table).await, 2);
}

/// Upholds G1.
async fn an_evict_removes_the_stale_value_too(rig: Rig) {
    for by in [DUE, STALE, SPARE] {
        for tag in [false, true] {
            let (here, there, table) = aged(&rig, by).await;
            table.write();
            if tag {
                here.cache.evict_tags(["tag"]).await.expect("evicted");
            } else {
                entry(&here).evict().await.expect("evicted");
            }
            assert_eq!(fail(&entry(&there)).await, no());
            assert_eq!(read(&there, &table).await, 2);
        }
    }
}

/// Upholds G1.
async fn a_refresh_that_an_evict_overtook_stores_nothing(rig: Rig) {
    for tag in [false, true] {
        for again in [false, true] {
            let (here, there, table) = aged(&rig, STALE).await;
            let elected = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
            table.write();
            if tag {
                there.cache.evict_tags(["tag"]).await.expect("evicted");
            } else {
                entry(&there).evict().await.expect("evicted");
            }
            let new = if again { Some(read(&there, &table).await) } else { None };
            elected.end().await;
            assert_eq!(stored(&there).await, new, "by tag: {tag}, loaded again: {again}");
            assert_eq!(read(&here, &table).await, 2);
            entry(&here).evict().await.expect("evicted");
        }
    }
}

/// Upholds G4.
async fn a_refresh_never_takes_over_a_puts_lease(rig: Rig) {
    let (here, there, table) = aged(&rig, STALE).await;
    let put = |stops: Stops| {
        let (entry, table) = (entry(&there), table.clone());
        tokio::spawn(async move {
            let writes = Writes::new(Plain).put(Some(entry), NoRules, false);
            let body = pin!(async {
                let written = table.write();
                stops.after_query().await;
                written
            });
            write(writes, body, |_, writes| writes).await
        })
    };
    // A refresh that is under way when the put begins, then one that finds it under way.
    let elected = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    let put = Halted::start(&there, AfterQuery, put).await;
    assert_eq!(elected.end().await, 1);
    assert_eq!(here.cache.stats().total.refused_fills, 1);
    assert_eq!(read(&rig.process(), &table).await, 1, "the old value serves");
    assert_eq!(table.queries(), 2, "nobody loads beside the put");
    assert_eq!(put.end().await, 2);
    assert_eq!(stored(&here).await, Some(2), "what was put is there");
}

/// Takes no value that is older than a second, so it follows whoever loads.
async fn follow(process: &Process, entry: &Entry<u64>) -> tokio::task::JoinHandle<Result<u64, String>> {
    let before = process.cache.stats().total.misses();
    let entry = entry.clone();
    let young = Mode::MaxAge(Duration::from_secs(1));
    let follower = tokio::spawn(young.scope(async move { fail(&entry).await }));
    wait_for("the follower reads", || process.cache.stats().total.misses() > before).await;
    follower
}

async fn followers_of_a_failed_refresh_get_its_error_and_never_its_stale_value(rig: Rig) {
    let (here, _, _) = aged(&rig, STALE).await;
    let lease = here.faults.gate_after(Op::ReadHead);
    let elected = {
        let entry = entry(&here);
        tokio::spawn(async move {
            load(Some(entry), Res::<Shareable>::NEW, NoRules, pin!(async { Err("the leader's".to_owned()) }))
                .await
        })
    };
    reached(&lease).await;
    let follower = follow(&here, &entry(&here)).await;
    lease.open();
    assert_eq!(ended(elected).await, Ok::<u64, _>(1), "its own stale value");
    assert_eq!(ended(follower).await, Err("the leader's".to_owned()));
}

async fn while_loads_fail_a_follower_is_served_its_own_old_value(rig: Rig) {
    let (here, _, _) = aged(&rig, SPARE).await;
    let lease = here.faults.gate(Op::Lease);
    let call = |here: &Process| {
        let entry = entry(here);
        tokio::spawn(async move { fail(&entry).await })
    };
    let leader = call(&here);
    reached(&lease).await;
    let misses = here.cache.stats().total.misses();
    let follower = call(&here);
    wait_for("it follows", || here.cache.stats().total.misses() > misses).await;
    lease.open();
    assert_eq!((ended(leader).await, ended(follower).await), (Ok(1), Ok(1)));
    let stats = here.cache.stats().total;
    assert_eq!((stats.failed_loads, stats.stale), (1, 2));
    assert_eq!((stats.hits, stats.stale_hits), (0, 0), "it stood in for a load");
}

async fn followers_take_the_value_of_a_refresh(rig: Rig) {
    let (here, _, table) = aged(&rig, STALE).await;
    table.write();
    let elected = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    let follower = follow(&here, &entry(&here)).await;
    assert_eq!(elected.end().await, 2);
    assert_eq!(ended(follower).await, Ok(2), "its fill was accepted and its stamps held");
    assert_eq!(here.cache.stats().total.shared_loads, 1);
}

/// Upholds G9.
async fn a_refresh_that_is_dropped_passes_to_the_next_caller(rig: Rig) {
    let (here, there, table) = aged(&rig, STALE).await;
    let elected = Halted::start(&here, BeforeQuery, |stops| table.read(&entry(&here), stops)).await;
    elected.abort().await;
    table.write();
    wait_for_value(&there, &table, 2).await;
    assert_eq!(read(&here, &table).await, 2);
}

/// Upholds G6.
async fn a_store_that_fails_during_the_election_serves_the_stale_value(rig: Rig) {
    for op in [Op::Lease, Op::ReadHead] {
        let (here, _, table) = aged(&rig, STALE).await;
        here.faults.fail(op, cachemacro::ErrorKind::Timeout);
        assert_eq!(read(&here, &table).await, 1);
        assert_eq!(table.queries(), 1, "{op:?}");
        here.faults.heal();
        entry(&here).evict().await.expect("evicted");
    }
}

async fn a_load_that_finds_no_value_any_more_removes_the_old_one(rig: Rig) {
    for by in [DUE, STALE, SPARE] {
        let (here, there, _) = aged(&rig, by).await;
        let none = async || load(Some(entry(&here)), Opt, NoRules, pin!(async { None::<u64> })).await;
        assert_eq!(none().await, None);
        assert_eq!(stored(&there).await, None);
        assert_eq!(fail(&entry(&there)).await, no(), "{by:?}");
    }
}

async fn what_is_asked_of_a_stale_value_by_hand(rig: Rig) {
    let (here, _, _) = aged(&rig, STALE).await;
    let entry = entry(&here);
    assert_eq!(stored(&here).await, Some(1));
    assert!(entry.has().await.expect("the store answers"));
    assert_eq!(entry.ttl().await.expect("the store answers"), Some(Duration::ZERO));
    let meta = entry.meta().await.expect("the store answers").expect("it is there");
    assert!(meta.age >= STALE && meta.age < STALE + MINUTE, "{:?}", meta.age);
    // Another function may take nothing that is stale.
    let strict = entry.clone().with_policy(Policy::new().ttl(Ttl::For(MINUTE)));
    assert_eq!(strict.get().await.expect("the store answers"), None);
    assert!(!strict.has().await.expect("the store answers"));
    assert_eq!(strict.ttl().await.expect("the store answers"), None);
    let young = Mode::MaxAge(MINUTE);
    assert_eq!(young.scope(entry.get()).await.expect("the store answers"), None);
    assert_eq!(entry.update(|value| value.map_or(10, |value| value + 1)).await.expect("updated"), 10);
    assert!(entry.ttl().await.expect("the store answers") > Some(FRESH), "it is fresh");
}

async fn whose_wait_for_a_load_is_over_takes_the_spare_value(rig: Rig) {
    let (here, there, table) = aged(&rig, SPARE).await;
    let other = Halted::start(&there, AfterQuery, |stops| table.read(&entry(&there), stops)).await;
    let impatient = entry(&here).with_policy(POLICY.wait(Duration::from_millis(20)));
    let spare = table.read(&impatient, Stops::default());
    assert_eq!(ended(spare).await, 1);
    assert_eq!(table.queries(), 2, "it does not load beside the other");
    other.end().await;
}

async fn what_a_load_was_to_replace_stays_where_its_fill_does_not_arrive(rig: Rig) {
    let (here, there, table) = aged(&rig, STALE).await;
    table.write();
    let fill = Halted::start(&here, Before(Op::Fill), |stops| table.read(&entry(&here), stops)).await;
    assert_eq!(read(&there, &table).await, 1);
    fill.abort().await;
    wait_for_value(&there, &table, 2).await;
}

async fn jitter_spreads_when_values_are_due(rig: Rig) {
    let process = rig.process_with(|builder| builder.jitter(50));
    let mut due = 0;
    for id in 0..60_u32 {
        let entry = process.cache.entry::<u32>("row", id).with_policy(POLICY);
        entry.set(&1).await.expect("set");
        age(&*rig.store(), &format!("{}:row:{id}", rig.namespace()), Duration::from_secs(48)).await;
        due += entry.get_or_load(async || 2).await - 1;
    }
    assert!((10..50).contains(&due), "{due} of 60 were due after 80 % of the TTL without jitter");
}

/// The rows 1, 2, … of these ages.
async fn rows(rig: &Rig, process: &Process, ages: &[Duration]) {
    for (id, by) in (1..).zip(ages) {
        row(process, id).set(&id).await.expect("set");
        age(&*rig.store(), &format!("{}:row:{id}", rig.namespace()), *by).await;
    }
}

fn row(process: &Process, id: u64) -> Entry<u64> {
    process.cache.entry("row", id).with_tags(["tag"]).with_policy(POLICY)
}

/// Reads the rows up to this one; tells which were loaded, by `load`.
async fn batch(
    process: &Process,
    last: u64,
    load: impl Fn(u64) -> Option<u64>,
) -> (Result<Vec<(u64, u64)>, String>, Vec<u64>) {
    let mut asked = Vec::new();
    let loading = |ids: Vec<u64>| {
        asked.extend(ids.iter().copied());
        let loaded: Option<HashMap<u64, u64>> =
            ids.into_iter().map(|id| load(id).map(|value| (id, value))).collect();
        async move { loaded.ok_or_else(|| "no".to_owned()) }
    };
    let found = process.cache.try_get_or_load_many(1..=last, |id| row(process, *id), loading).await;
    let sorted = found.map(|found| {
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        found
    });
    asked.sort_unstable();
    (sorted, asked)
}

/// Upholds G5.
async fn a_batch_serves_what_ages_and_loads_anew_what_it_was_elected_for(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    rows(&rig, &here, &[FRESH, DUE, STALE]).await;
    let table = Table::default();
    let other = Halted::start(&there, AfterQuery, |stops| table.read(&row(&there, 3), stops)).await;
    let (found, loaded) = batch(&here, 4, |id| Some(10 * id)).await;
    assert_eq!(found, Ok(vec![(1, 1), (2, 20), (3, 3), (4, 40)]));
    assert_eq!(loaded, [2, 4], "another process loads the third one");
    other.end().await;
    let (found, loaded) = batch(&there, 4, |_| None).await;
    assert_eq!((found, loaded), (Ok(vec![(1, 1), (2, 20), (3, 1), (4, 40)]), Vec::new()));
    let stats = here.cache.stats().total;
    assert_eq!((stats.hits, stats.stale, stats.refreshes, stats.misses_for(MissReason::Due)), (2, 1, 1, 1));
    assert_eq!(stats.stale_hits, 1);
}

async fn a_batch_whose_load_fails_gives_the_old_values_unless_one_is_missing(rig: Rig) {
    let process = rig.process();
    rows(&rig, &process, &[FRESH, DUE, STALE]).await;
    let (found, loaded) = batch(&process, 3, |_| None).await;
    assert_eq!((found, loaded), (Ok(vec![(1, 1), (2, 2), (3, 3)]), vec![2, 3]));
    let (found, loaded) = batch(&process, 3, |_| None).await;
    assert_eq!((found, loaded), (Ok(vec![(1, 1), (2, 2), (3, 3)]), Vec::new()), "not again so soon");
    let (found, loaded) = batch(&process, 4, |_| None).await;
    assert_eq!((found, loaded), (Err("no".to_owned()), vec![4]));
}

async fn a_batch_removes_an_old_value_where_no_row_is_found_any_more(rig: Rig) {
    let process = rig.process();
    rows(&rig, &process, &[FRESH, STALE]).await;
    let load = async |_: Vec<u64>| Ok::<_, String>(HashMap::new());
    let found = process.cache.try_get_or_load_many([1, 2], |id| row(&process, *id), load).await;
    assert_eq!(found, Ok(HashMap::from([(1, 1)])));
    assert_eq!(row(&process, 2).get().await.expect("the store answers"), None);
}

async fn many_are_read_stale_and_none_is_loaded(rig: Rig) {
    let process = rig.process_with(|builder| builder.ttl(MINUTE).stale(HOUR));
    rows(&rig, &process, &[FRESH, STALE, SPARE]).await;
    let found = process.cache.keyspace::<u64, u64>("row").get_many([1, 2, 3]).await;
    assert_eq!(found, HashMap::from([(1, 1), (2, 2)]));
    assert_eq!((process.faults.count(Op::Lease), process.cache.stats().total.stale), (0, 1));
}

async fn by_hand_one_caller_gets_the_right_to_refresh_and_the_others_the_old_value(rig: Rig) {
    let (here, there, _) = aged(&rig, STALE).await;
    let Lookup::Vacant(vacancy) = entry(&here).lookup().await.expect("the store answers") else {
        panic!("nobody else loads")
    };
    assert_eq!((vacancy.old(), vacancy.reason(), vacancy.is_held()), (Some(&1), Some(MissReason::Due), true));
    for process in [&here, &there] {
        let Lookup::Hit(hit) = entry(process).lookup().await.expect("the store answers") else {
            panic!("somebody loads")
        };
        assert_eq!((*hit, hit.meta().ttl), (1, Duration::ZERO));
    }
    assert!(vacancy.fill(&2).await.expect("a small value").is_stored());
    assert_eq!((stored(&here).await, stored(&there).await), (Some(2), Some(2)));
    // One that was overtaken by an evict stores nothing.
    grow_older(&rig, STALE).await;
    let Lookup::Vacant(vacancy) = entry(&here).lookup().await.expect("the store answers") else {
        panic!("nobody else loads")
    };
    entry(&there).evict().await.expect("evicted");
    assert!(!vacancy.fill(&2).await.expect("a small value").is_stored());
    assert_eq!(stored(&here).await, None);
}

on_both_stores!(
    a_batch_serves_what_ages_and_loads_anew_what_it_was_elected_for,
    a_batch_whose_load_fails_gives_the_old_values_unless_one_is_missing,
    a_batch_removes_an_old_value_where_no_row_is_found_any_more,
    many_are_read_stale_and_none_is_loaded,
    by_hand_one_caller_gets_the_right_to_refresh_and_the_others_the_old_value,
    a_value_that_ages_serves_while_one_caller_of_all_processes_loads_it_anew,
    a_value_that_was_refreshed_since_it_was_read_is_not_refreshed_again,
    a_value_whose_tag_was_evicted_since_it_was_read_is_not_refreshed,
    a_refresh_leaves_no_lease_behind,
    a_value_that_is_young_is_served_and_not_loaded,
    while_loads_fail_the_stale_value_serves_and_one_attempt_is_made_for_all,
    after_a_while_the_load_is_tried_again,
    past_its_stale_time_a_value_serves_only_where_its_load_fails,
    the_greatest_age_ends_what_serves,
    an_evict_removes_the_stale_value_too,
    a_refresh_that_an_evict_overtook_stores_nothing,
    a_refresh_never_takes_over_a_puts_lease,
    followers_of_a_failed_refresh_get_its_error_and_never_its_stale_value,
    while_loads_fail_a_follower_is_served_its_own_old_value,
    followers_take_the_value_of_a_refresh,
    a_refresh_that_is_dropped_passes_to_the_next_caller,
    a_store_that_fails_during_the_election_serves_the_stale_value,
    a_load_that_finds_no_value_any_more_removes_the_old_one,
    what_is_asked_of_a_stale_value_by_hand,
    whose_wait_for_a_load_is_over_takes_the_spare_value,
    what_a_load_was_to_replace_stays_where_its_fill_does_not_arrive,
    jitter_spreads_when_values_are_due,
);
