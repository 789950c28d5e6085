//! Who may take whose load: the rules for followers, and what keeps loads of different times apart.
//!
//! Each mechanism was removed once, and the test beside it failed:
//!
//! | removed | test |
//! |---|---|
//! | (a) what was loaded is shared with those who came before the load | `who_came_before_the_load_takes_it_whatever_became_of_the_fill` |
//! | … and not with those who came later | `who_came_after_the_load_began_does_not_take_it_where_the_fill_is_refused` |
//! | (b) what a read found is shared with those who came before the read | `who_came_before_the_read_takes_what_it_found` |
//! | … and not with those who came later | `who_came_after_the_read_was_sent_does_not_take_what_it_found` |
//! | … and not with those for whom it is too old | `who_takes_young_values_only_does_not_take_an_old_one_that_the_leader_found` |
//! | (c) what was filled is shared with those who came before the fill | `who_came_before_the_fill_takes_it_where_the_stamps_held` |
//! | … where the stamps held | `who_came_before_the_fill_does_not_take_it_where_a_stamp_did_not_hold` |
//! | … and not with those who came after it was sent | `who_comes_after_the_fill_was_sent_does_not_join` |
//! | an evict detaches the flight | `who_starts_after_an_evict_never_joins_the_flight_from_before_it` |
//! | a flight's leader names every tag of who takes its values | `who_names_a_tag_that_the_leader_does_not_takes_only_a_later_load` |
//! | the lease answers with a value of another fill id | `a_value_that_came_between_the_read_and_the_lease_is_taken` |
//! | the lease is told which fill id was seen | `a_value_that_was_seen_and_is_unusable_is_replaced` |
//! | a lease whose answer was lost is given back | `a_lease_whose_answer_was_lost_is_given_back_and_asked_for_anew` |
//! | a lease request is sent once | `a_lease_request_is_never_sent_twice` |
//! | an entry must carry every tag that its reader names | `an_entry_from_before_its_site_had_a_tag_is_not_used` |
//! | a load whose tags come from its value compares the any-tag versions | `a_tag_that_the_value_names_can_be_evicted_during_the_load` |
//! | evicts that mention the result run after the body | `a_put_keyed_by_its_result_evicts_what_was_loaded_meanwhile` |

use std::collections::HashSet;
use std::pin::pin;
use std::time::Duration;

use cachemacro::__private::{Fallible, NoRules, Plain, When, Writes, write};
use cachemacro::store::faults::Op;
use cachemacro::{Entry, EntryRules, MissReason, Mode, Policy};
use cachemacro_tests::halt::Point::{After, AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, Table, ended, reached, soon};
use cachemacro_tests::monitor::Watched;
use cachemacro_tests::proxy::Loss;
use cachemacro_tests::{FaultProxy, Process, RedisServer, Rig, Single, on_both_stores};
use tokio::task::JoinHandle;

fn entry(process: &Process) -> Entry<u64> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

/// A reader that has found nothing and, were it let, has joined the flight.
async fn follow(process: &Process, table: &Table, entry: &Entry<u64>) -> JoinHandle<u64> {
    let misses = || process.cache.stats().total.misses();
    let before = misses();
    let reader = table.read(entry, Stops::default());
    soon("the follower reads", || misses() > before || reader.is_finished()).await;
    reader
}

async fn who_came_before_the_load_takes_it_whatever_became_of_the_fill(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let leader = Halted::start(&here, Before(Op::Lease), |stops| table.read(&entry(&here), stops)).await;
    let follower = follow(&here, &table, &entry(&here)).await;
    let fill = here.faults.gate(Op::Fill);
    let leader = tokio::spawn(leader.end());
    reached(&fill).await;
    table.write();
    entry(&there).evict().await.expect("evicted");
    fill.open();
    assert_eq!((ended(leader).await, ended(follower).await), (1, 1));
    assert_eq!(table.queries(), 1);
    here.cache.stored().await;
    assert_eq!(here.cache.stats().total.refused_fills, 1);
}

/// Upholds G1.
async fn who_came_after_the_load_began_does_not_take_it_where_the_fill_is_refused(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let leader = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    table.write();
    entry(&there).evict().await.expect("evicted");
    let follower = follow(&here, &table, &entry(&here)).await;
    assert_eq!(leader.end().await, 1);
    assert_eq!(ended(follower).await, 2);
}

async fn who_came_before_the_read_takes_what_it_found(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let other = Halted::start(&there, AfterQuery, |stops| table.read(&entry(&there), stops)).await;
    // The lease is busy; the leader is about to wait and ask again.
    let leader = Halted::start(&here, Before(Op::Changed), |stops| table.read(&entry(&here), stops)).await;
    let followers = [follow(&here, &table, &entry(&here)).await, follow(&here, &table, &entry(&here)).await];
    assert_eq!((other.end().await, leader.end().await), (1, 1));
    for follower in followers {
        assert_eq!(ended(follower).await, 1);
    }
    assert_eq!((table.queries(), here.faults.count(Op::Lease)), (1, 2), "nobody asked beside the leader");
}

/// Upholds G1.
async fn who_came_after_the_read_was_sent_does_not_take_what_it_found(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let gate = here.faults.gate(Op::Lease);
    let answered = here.faults.gate_after(Op::Lease);
    let leader = table.read(&entry(&here), Stops::default());
    reached(&gate).await;
    assert_eq!(ended(table.read(&entry(&there), Stops::default())).await, 1);
    gate.open();
    reached(&answered).await;
    table.write();
    entry(&there).evict().await.expect("evicted");
    let follower = follow(&here, &table, &entry(&here)).await;
    answered.open();
    assert_eq!(ended(leader).await, 1);
    assert_eq!(ended(follower).await, 2);
}

async fn who_came_before_the_fill_takes_it_where_the_stamps_held(rig: Rig) {
    let (here, table) = (rig.process(), Table::default());
    let leader = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    let follower = follow(&here, &table, &entry(&here)).await;
    assert_eq!((leader.end().await, ended(follower).await), (1, 1));
    assert_eq!((table.queries(), here.faults.count(Op::Lease)), (1, 1), "nobody asked beside the leader");
    assert_eq!(here.cache.stats().total.shared_loads, 1);
}

/// Upholds G1.
async fn who_came_before_the_fill_does_not_take_it_where_a_stamp_did_not_hold(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let leader = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    table.write();
    there.cache.evict_tags(["tag"]).await.expect("evicted");
    let follower = follow(&here, &table, &entry(&here)).await;
    assert_eq!(leader.end().await, 1);
    assert_eq!(ended(follower).await, 2);
}

/// Upholds G1.
async fn who_comes_after_the_fill_was_sent_does_not_join(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    // Someone waits, so that the leader looks whether the stamps held.
    let filled = here.faults.gate_after(Op::Fill);
    let leader = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    let waiting = follow(&here, &table, &entry(&here)).await;
    let leader = tokio::spawn(leader.end());
    reached(&filled).await;
    table.write();
    entry(&there).evict().await.expect("evicted");
    let late = follow(&here, &table, &entry(&here)).await;
    filled.open();
    assert_eq!((ended(leader).await, ended(waiting).await), (1, 1));
    assert_eq!(ended(late).await, 2);
}

/// Waits for no other process, so a reader that does not join the flight loads at once.
const IMPATIENT: Policy = Policy::new().wait(Duration::ZERO);

/// Everything that ends what loads from before it may say.
const EVICTS: [&str; 14] = [
    "key",
    "tag",
    "prefix",
    "set",
    "update",
    "function",
    "late tag",
    "clear",
    "increment",
    "emit",
    "put function",
    "on_err",
    "before",
    "refresh",
];

/// The row was changed.
struct Changed;

/// Upholds G1.
async fn who_starts_after_an_evict_never_joins_the_flight_from_before_it(rig: Rig) {
    // What was written may be lost; then whoever reads finds nothing and would join, were it let.
    for (at, (how, lost)) in EVICTS.into_iter().flat_map(|how| [(how, false), (how, true)]).enumerate() {
        let namespace = format!("{}-{at}", rig.namespace());
        let (here, table) = (rig.process_with(|builder| builder.namespace(&namespace)), Table::default());
        let cache = &here.cache;
        let entry = cache.entry::<i64>("row", &at).with_policy(IMPATIENT);
        let entry = match how {
            "late tag" => entry.with_rules(EntryRules::none().tags(|_| vec!["late".to_owned()])),
            _ => entry.with_tags(["tag"]),
        };
        cache.on(move |_: &Changed, evict| evict.key("row", at));
        let read = |stops| table.read_as(&entry, stops, u64::cast_signed);
        let leader = Halted::start(&here, AfterQuery, read).await;
        let misses = || cache.stats().total.misses();
        let before = misses();
        let follower = read(Stops::default());
        soon("the follower reads", || misses() > before || follower.is_finished()).await;
        let new = table.write().cast_signed();
        let evicts = |when| Writes::new(Fallible).evict(Some(cache), when).evict_entry(&entry);
        let failing = pin!(async { Err::<i64, _>("after it wrote") });
        match how {
            "key" => entry.evict().await.map(drop),
            "tag" => cache.evict_tags(["tag"]).await,
            "prefix" => cache.evict_prefix("row").await.map(drop),
            "set" => entry.set(&new).await,
            "update" => entry.update(|_| new).await.map(drop),
            "late tag" => cache.evict_tags(["late"]).await,
            "clear" => cache.clear().await.map(drop),
            "increment" => entry.increment(new).await.map(drop),
            "emit" => cache.emit(&Changed).await.map(drop),
            "put function" => {
                let put = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
                assert_eq!(write(put, pin!(async { new }), |_, writes| writes).await, new);
                Ok(())
            }
            "on_err" => {
                let writes = evicts(When { before: false, on_err: true });
                write(writes, failing, |_, writes| writes).await.expect_err("as asked");
                Ok(())
            }
            "before" => {
                // Who starts while the body runs does not join it either.
                let body = pin!(async {
                    assert_eq!(ended(read(Stops::default())).await, new, "in the body");
                    Err::<i64, _>("after it wrote")
                });
                let writes = evicts(When { before: true, on_err: false });
                write(writes, body, |_, writes| writes).await.expect_err("as asked");
                Ok(())
            }
            "refresh" => {
                assert_eq!(Mode::Refresh.scope(entry.get_or_load(async || new)).await, new);
                Ok(())
            }
            _ => {
                let writes = Writes::new(Plain).evict(Some(cache), When::default()).evict_entry(&entry);
                write(writes, pin!(async {}), |(), writes| writes).await;
                Ok(())
            }
        }
        .expect("evicted");
        if lost {
            rig.store().evict_one(&format!("{namespace}:row:{at}")).await.expect("the store answers");
        }
        assert_eq!(ended(read(Stops::default())).await, 2, "{how}");
        assert!(leader.stands(), "{how}: the reader did not wait for the leader");
        assert_eq!(leader.end().await, 1, "{how}");
        assert!(ended(follower).await <= 2, "{how}");
        assert_eq!(ended(read(Stops::default())).await, 2, "{how}");
    }
}

/// Upholds G1.
async fn who_names_a_tag_that_the_leader_does_not_takes_only_a_later_load(rig: Rig) {
    let (here, table) = (rig.process(), Table::default());
    let more = entry(&here).with_tags(["more"]);
    // Filled by the leader.
    let leader = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    table.write();
    here.cache.evict_tags(["more"]).await.expect("evicted");
    let follower = follow(&here, &table, &more).await;
    assert_eq!(leader.end().await, 1);
    assert_eq!(ended(follower).await, 2);

    // Found by the leader.
    entry(&here).evict().await.expect("evicted");
    let there = rig.process();
    let other = Halted::start(&there, AfterQuery, |stops| table.read(&entry(&there), stops)).await;
    let leader = Halted::start(&here, Before(Op::Changed), |stops| table.read(&entry(&here), stops)).await;
    table.write();
    here.cache.evict_tags(["more"]).await.expect("evicted");
    let follower = follow(&here, &table, &more).await;
    assert_eq!(other.end().await, 2);
    assert!([2, 3].contains(&leader.end().await));
    assert_eq!(ended(follower).await, 3);
}

async fn a_value_that_came_between_the_read_and_the_lease_is_taken(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let reader = Halted::start(&here, Before(Op::Lease), |stops| table.read(&entry(&here), stops)).await;
    assert_eq!(ended(table.read(&entry(&there), Stops::default())).await, 1);
    assert_eq!(reader.end().await, 1);
    assert_eq!(table.queries(), 1);

    // The same where a value was seen and could not be used.
    here.cache.evict_tags(["tag"]).await.expect("evicted");
    let reader = Halted::start(&here, Before(Op::Lease), |stops| table.read(&entry(&here), stops)).await;
    assert_eq!(ended(table.read(&entry(&there), Stops::default())).await, 1);
    assert_eq!(reader.end().await, 1);
    assert_eq!(table.queries(), 2);
}

async fn a_value_that_was_seen_and_is_unusable_is_replaced(rig: Rig) {
    let (here, table) = (rig.process(), Table::default());
    entry(&here).set(&0).await.expect("set");
    here.cache.evict_tags(["tag"]).await.expect("evicted");
    assert_eq!(ended(table.read(&entry(&here), Stops::default())).await, 1);
    here.cache.stored().await;
    assert_eq!((here.faults.count(Op::Lease), here.cache.stats().total.fills), (1, 1));
    assert_eq!(ended(table.read(&entry(&here), Stops::default())).await, 1);
    assert_eq!(table.queries(), 1);
}

async fn a_lease_whose_answer_was_lost_is_given_back_and_asked_for_anew(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    here.faults.lose_reply_next(Op::Lease);
    let leader = Halted::start(&here, After(Op::Lease), |stops| table.read(&entry(&here), stops)).await;
    let follower = follow(&here, &table, &entry(&here)).await;
    assert_eq!((leader.end().await, ended(follower).await), (1, 1));
    let stats = here.cache.stats().total;
    assert_eq!((table.queries(), stats.loads, stats.fills), (1, 1, 0), "not had, so not stored");
    // Otherwise it would be busy for longer than this test may take.
    assert_eq!(ended(table.read(&entry(&there), Stops::default())).await, 1);
    there.cache.stored().await;
    assert_eq!(there.cache.stats().total.fills, 1);
    assert_eq!(ended(table.read(&entry(&here), Stops::default())).await, 1);
    assert_eq!(table.queries(), 2);
}

/// Upholds G1.
#[tokio::test]
async fn a_lease_request_is_never_sent_twice() {
    let server = RedisServer::shared();
    for loss in [Loss::Close, Loss::Silence] {
        let proxy = FaultProxy::start(&server.address());
        let namespace = cachemacro_tests::namespace();
        let cache = cachemacro::Cache::builder()
            .redis(proxy.url())
            .namespace(&namespace)
            .command_timeout(Duration::from_secs(1))
            .build()
            .expect("acceptable settings");
        cache.connect().await.expect("connected");
        let watched = Watched::start(&server.url()).await;
        // When a load's lease lapses, which no other request carries.
        proxy.lose_reply_to(b"\r\nPXAT\r\n", loss);
        for round in 0..2 {
            assert_eq!(cache.get_or_load("row", 7, async || round).await, round, "{loss:?}");
            assert_eq!(proxy.lost(), 1);
        }
        let key = format!("{namespace}:row:7");
        let commands = watched.commands().await;
        let tokens: Vec<_> = commands
            .iter()
            .filter_map(|command| match &command[..] {
                // The header's pending bytes, and the arguments of the script.
                [_, of, header, at, ..] if *of == key && at == "PXAT" => Some(header.clone()),
                [_, _, _, of, token, _, kind, ..] if *of == key && kind == "L" => Some(token.clone()),
                _ => None,
            })
            .collect();
        assert!(tokens.len() >= 2, "{commands:?}");
        assert_eq!(tokens.iter().collect::<HashSet<_>>().len(), tokens.len(), "{loss:?}: one was sent twice");
    }
}

/// Upholds G1.
async fn an_entry_from_before_its_site_had_a_tag_is_not_used(rig: Rig) {
    let (old_deploy, new_deploy, table) = (rig.process(), rig.process(), Table::default());
    assert_eq!(ended(table.read(&entry(&old_deploy), Stops::default())).await, 1);
    table.write();
    new_deploy.cache.evict_tags(["more"]).await.expect("evicted");
    let more = entry(&new_deploy).with_tags(["more"]);
    assert_eq!(more.get().await.expect("the store answers"), None);
    assert!(!more.has().await.expect("the store answers"));
    assert_eq!(ended(table.read(&more, Stops::default())).await, 2);
    assert_eq!(new_deploy.cache.stats().total.misses_for(MissReason::TagLacking), 2);
    // The old deploy reads what the new one stored, and sees its tags evicted.
    assert_eq!(entry(&old_deploy).get().await.expect("the store answers"), Some(2));
    table.write();
    new_deploy.cache.evict_tags(["more"]).await.expect("evicted");
    assert_eq!(ended(table.read(&entry(&old_deploy), Stops::default())).await, 3);
}

/// Upholds G1.
async fn a_tag_that_the_value_names_can_be_evicted_during_the_load(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let rules = EntryRules::none().tags(|_| vec!["late".to_owned()]);
    let entry = |process: &Process| process.cache.entry("row", 7).with_rules(rules);
    for (round, point) in [AfterQuery, Before(Op::Capture), After(Op::Capture)].into_iter().enumerate() {
        let leader = Halted::start(&here, point, |stops| table.read(&entry(&here), stops)).await;
        let old = table.write() - 1;
        there.cache.evict_tags(["late"]).await.expect("evicted");
        let follower = follow(&here, &table, &entry(&here)).await;
        assert_eq!(leader.end().await, old, "{point:?}");
        assert_eq!(ended(follower).await, old + 1, "{point:?}");
        assert_eq!(here.cache.stats().total.refused_fills, round as u64 + 1, "{point:?}");
        assert_eq!(ended(table.read(&entry(&there), Stops::default())).await, old + 1, "{point:?}");
        there.cache.evict_tags(["late"]).await.expect("evicted");
        assert_eq!(entry(&here).get().await.expect("the store answers"), None, "{point:?}");
    }
}

/// Upholds G1.
async fn a_put_keyed_by_its_result_evicts_what_was_loaded_meanwhile(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let leader = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    let body = pin!(async { (7, table.write()) });
    let writes = Writes::new(Plain).evict(Some(&there.cache), When::default());
    let written = write(writes, body, |created: &(u64, u64), writes| {
        writes.select(0).evict_entry(&there.cache.entry::<u64>("row", &created.0))
    })
    .await;
    assert_eq!(written, (7, 2));
    let follower = follow(&here, &table, &entry(&here)).await;
    assert_eq!(leader.end().await, 1);
    assert_eq!(ended(follower).await, 2);
    assert_eq!(here.cache.stats().total.refused_fills, 1);
    assert_eq!(ended(table.read(&entry(&there), Stops::default())).await, 2);
}

/// Upholds G1.
async fn a_put_hands_its_value_to_readers_and_none_of_an_older_load(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let leader = Halted::start(&here, AfterQuery, |stops| table.read(&entry(&here), stops)).await;
    let put = Writes::new(Plain).put(Some(entry(&there)), NoRules, false);
    write(put, pin!(async { table.write() }), |_, writes| writes).await;
    assert_eq!(leader.end().await, 1);
    let queries = table.queries();
    assert_eq!(ended(table.read(&entry(&here), Stops::default())).await, 2);
    assert_eq!(table.queries(), queries, "the put's value was stored");

    // A load that starts during a put takes its lease over; then the put stores nothing.
    entry(&here).evict().await.expect("evicted");
    let put = Halted::start(&there, AfterQuery, |stops| {
        let (table, entry) = (table.clone(), entry(&there));
        tokio::spawn(async move {
            let body = pin!(async {
                stops.before_query().await;
                table.write();
                stops.after_query().await;
                3
            });
            write(Writes::new(Plain).put(Some(entry), NoRules, false), body, |_, writes| writes).await
        })
    })
    .await;
    let leader = Halted::start(&here, BeforeQuery, |stops| table.read(&entry(&here), stops)).await;
    assert_eq!(put.end().await, 3);
    assert_eq!(entry(&here).get().await.expect("the store answers"), None, "it gave way");
    assert_eq!(leader.end().await, 3);
    assert_eq!(ended(table.read(&entry(&here), Stops::default())).await, 3);
}

#[tokio::test]
async fn who_takes_young_values_only_does_not_take_an_old_one_that_the_leader_found() {
    let rig = Rig::memory();
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let other = Halted::start(&there, AfterQuery, |stops| table.read(&entry(&there), stops)).await;
    // The lease is busy; the leader is about to wait and ask again.
    let leader = Halted::start(&here, Before(Op::Changed), |stops| table.read(&entry(&here), stops)).await;
    let mut followers = Vec::new();
    for max_age in [5, 20, 5] {
        let misses = here.cache.stats().total.misses();
        let (entry, table) = (entry(&here), table.clone());
        let read = async move { entry.get_or_load(async || table.query()).await };
        followers.push(tokio::spawn(Mode::MaxAge(Duration::from_secs(max_age)).scope(read)));
        soon("the follower reads", || here.cache.stats().total.misses() > misses).await;
    }
    assert_eq!(other.end().await, 1);
    table.write();
    rig.in_memory().1.advance(Duration::from_secs(10));
    assert_eq!(leader.end().await, 1);
    let mut values = Vec::new();
    for follower in followers {
        values.push(ended(follower).await);
    }
    assert_eq!((values, table.queries()), (vec![2, 1, 2], 2), "those who need a new one share it");
}

on_both_stores!(
    who_came_before_the_load_takes_it_whatever_became_of_the_fill,
    who_came_after_the_load_began_does_not_take_it_where_the_fill_is_refused,
    who_came_before_the_read_takes_what_it_found,
    who_came_after_the_read_was_sent_does_not_take_what_it_found,
    who_came_before_the_fill_takes_it_where_the_stamps_held,
    who_came_before_the_fill_does_not_take_it_where_a_stamp_did_not_hold,
    who_comes_after_the_fill_was_sent_does_not_join,
    who_starts_after_an_evict_never_joins_the_flight_from_before_it,
    who_names_a_tag_that_the_leader_does_not_takes_only_a_later_load,
    a_value_that_came_between_the_read_and_the_lease_is_taken,
    a_value_that_was_seen_and_is_unusable_is_replaced,
    a_lease_whose_answer_was_lost_is_given_back_and_asked_for_anew,
    an_entry_from_before_its_site_had_a_tag_is_not_used,
    a_tag_that_the_value_names_can_be_evicted_during_the_load,
    a_put_keyed_by_its_result_evicts_what_was_loaded_meanwhile,
    a_put_hands_its_value_to_readers_and_none_of_an_older_load,
);
