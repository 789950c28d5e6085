//! The direct interface: reads without decoding, cache-aside by hand, many evicts as one, events.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use cachemacro::__private::{Plain, When, Writes, write};
use cachemacro::store::faults::Op;
use cachemacro::{Cache, Entry, EntryRules, ErrorKind, Lookup, MissReason, Mode, Policy};
use cachemacro_tests::halt::Point::{AfterQuery, Before};
use cachemacro_tests::halt::{Halted, Stops, Table, ended};
use cachemacro_tests::{Process, RedisServer, Rig, namespace, on_both_stores};
use futures_util::FutureExt as _;

const MINUTE: Duration = Duration::from_mins(1);

fn entry(process: &Process) -> Entry<u64> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

async fn whether_a_value_is_there_is_told_without_reading_or_decoding_it(rig: Rig) {
    let process = rig.process();
    let entry = process.cache.entry::<Vec<u8>>("large", 7).with_tags(["tag"]).with_ttl(MINUTE);
    assert!(!entry.has().await.expect("the store answers"));
    assert_eq!((entry.ttl().await.expect("the store answers"), entry.meta().await.expect("…")), (None, None));
    entry.set(&vec![7; 100_000]).await.expect("set");
    assert!(entry.has().await.expect("the store answers"));
    let ttl = entry.ttl().await.expect("the store answers").expect("it is there");
    assert!(ttl <= MINUTE && ttl > MINUTE / 2, "{ttl:?}");
    let meta = entry.meta().await.expect("the store answers").expect("it is there");
    assert!(meta.age < MINUTE / 2 && meta.ttl <= ttl && meta.tags == 1 && meta.size > 100_000, "{meta:?}");
    assert_eq!((process.faults.count(Op::Read), process.cache.stats().total.bytes_read), (0, 0));
    // A lease is not a value, and one in place changes nothing.
    let other = process.cache.entry::<u8>("other", 1);
    let vacancy = other.lookup().await.expect("the store answers");
    assert!(!other.has().await.expect("the store answers"));
    drop(vacancy);
    // What a read would not use is not there.
    assert!(!entry.clone().with_tags(["more"]).has().await.expect("the store answers"));
    let versioned = Policy::new().version(1);
    assert!(!entry.clone().with_policy(versioned).has().await.expect("the store answers"));
    assert!(!process.cache.entry::<String>("large", 7).has().await.expect("the store answers"));
    process.cache.evict_tags(["tag"]).await.expect("evicted");
    assert!(!entry.has().await.expect("the store answers"));
    assert_eq!(entry.ttl().await.expect("the store answers"), None);
}

async fn tags_that_the_reader_did_not_name_are_checked_all_the_same(rig: Rig) {
    let (process, table) = (rig.process(), Table::default());
    let rules = EntryRules::none().tags(|value: &u64| (0..40).map(|n| format!("{value} {n}")).collect());
    let written = entry(&process).with_rules(rules);
    let plain = process.cache.entry::<u64>("row", 7);
    assert_eq!(ended(table.read(&written, Stops::default())).await, 1);
    for reader in [&written, &entry(&process), &plain] {
        assert_eq!(reader.get().await.expect("the store answers"), Some(1));
        assert!(reader.has().await.expect("the store answers"));
        assert_eq!(reader.meta().await.expect("…").map(|meta| meta.tags), Some(41));
    }
    process.cache.evict_tags(["1 39"]).await.expect("evicted");
    for reader in [&written, &entry(&process), &plain] {
        assert_eq!(reader.get().await.expect("the store answers"), None);
        assert!(!reader.has().await.expect("the store answers"));
        assert_eq!(reader.ttl().await.expect("the store answers"), None);
    }
    assert_eq!(process.cache.stats().total.misses_for(MissReason::TagEvicted), 3);
    // The second request may fail too.
    assert_eq!(ended(table.read(&written, Stops::default())).await, 1);
    process.faults.fail_next(Op::Versions, 1, ErrorKind::Io);
    assert_eq!(plain.get().await.expect_err("no answer").kind(), ErrorKind::Io);
    process.faults.fail_next(Op::Versions, 1, ErrorKind::Io);
    assert_eq!(plain.get_or_load(async || 5).await, 5, "the function runs");
    assert_eq!(plain.get().await.expect("the store answers"), Some(1));
}

async fn a_lookup_is_a_hit_or_the_right_to_fill(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let Ok(Lookup::Vacant(vacancy)) = entry(&here).lookup().await else { panic!("nothing is there") };
    // Another one waits for it.
    let waiting = Halted::start(&there, Before(Op::Changed), |_| {
        let entry = entry(&there);
        tokio::spawn(async move { entry.lookup().await })
    })
    .await;
    assert!(vacancy.fill(&1).await.expect("a small value").is_stored());
    let Lookup::Hit(hit) = waiting.end().await.expect("the store answers") else { panic!("it was filled") };
    assert_eq!(*hit, 1);
    // An evict takes the right away.
    entry(&here).evict().await.expect("evicted");
    let Ok(Lookup::Vacant(vacancy)) = entry(&here).lookup().await else { panic!("nothing is there") };
    entry(&there).evict().await.expect("evicted");
    assert!(!vacancy.fill(&2).await.expect("a small value").is_stored());
    assert_eq!(entry(&there).get().await.expect("the store answers"), None);
    // So does one of a tag, in effect.
    let Ok(Lookup::Vacant(vacancy)) = entry(&here).lookup().await else { panic!("nothing is there") };
    there.cache.evict_tags(["tag"]).await.expect("evicted");
    assert!(vacancy.fill(&3).await.expect("a small value").is_stored());
    assert_eq!(entry(&there).get().await.expect("the store answers"), None);
}

async fn who_waited_long_enough_gets_a_vacancy_in_name_only(rig: Rig) {
    let (here, there) = (rig.process(), rig.process_with(|builder| builder.wait(Duration::from_millis(30))));
    let Ok(Lookup::Vacant(held)) = entry(&here).lookup().await else { panic!("nothing is there") };
    let Ok(Lookup::Vacant(name_only)) = entry(&there).lookup().await else { panic!("nothing is there") };
    assert!(!name_only.fill(&1).await.expect("a small value").is_stored());
    assert!(held.fill(&2).await.expect("a small value").is_stored());
    assert_eq!(entry(&there).get().await.expect("the store answers"), Some(2));
}

async fn many_evicts_are_sent_together_and_counted(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let entries: Vec<Entry<u64>> = (0..5_u64).map(|id| cache.entry("row", id)).collect();
    for entry in &entries {
        entry.set(&1).await.expect("set");
    }
    let tagged = cache.entry::<u64>("tagged", 1).with_tags(["tag"]);
    tagged.set(&1).await.expect("set");
    for id in 0..3_u64 {
        cache.set("page", &id, &id).await.expect("set");
    }
    cache.set("pages", 1, &1_u64).await.expect("set");
    let evict = cache.evict().entries(&entries[..2]).entry(&entries[2]).key("row", 3).key("row", 99);
    let evicted = evict.tags(["tag", "unknown"]).prefix("page").run().await.expect("evicted");
    assert_eq!(evicted, 4 + 3, "four rows and three pages; what tags remove is not counted");
    assert_eq!((process.faults.count(Op::Evict), process.faults.count(Op::EvictTags)), (1, 1));
    assert_eq!(tagged.get().await.expect("the store answers"), None);
    assert_eq!(entries[4].get().await.expect("the store answers"), Some(1));
    assert_eq!(cache.get::<u64>("pages", 1).await.expect("the store answers"), Some(1), "not the prefix");
    let stats = cache.stats().total;
    assert_eq!((stats.evicts, stats.tag_evicts, stats.failed_evicts), (7, 2, 0));
}

async fn a_prefix_covers_every_key_under_it(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let long = "x".repeat(5_000);
    let entries = [
        cache.entry::<u64>("all", ()),
        cache.entry::<u64>("all", ""),
        cache.entry::<u64>("all", (1, 2)),
        cache.entry::<u64>("all", &Some("a:b*")),
        cache.entry::<u64>("all", &long),
    ];
    let others =
        [cache.entry::<u64>("al", "l"), cache.entry::<u64>("all*", 1), cache.entry::<u64>("call", ())];
    for entry in entries.iter().chain(&others) {
        entry.set(&1).await.expect("set");
    }
    assert_eq!(cache.evict_prefix("all").await.expect("evicted"), 5);
    for entry in &entries {
        assert_eq!(entry.get().await.expect("the store answers"), None, "{:?}", entry.key());
    }
    for entry in &others {
        assert_eq!(entry.get().await.expect("the store answers"), Some(1), "{:?}", entry.key());
    }
    assert_eq!(cache.evict_prefix("all*").await.expect("evicted"), 1);
}

async fn an_evict_that_failed_is_told_and_the_others_are_tried(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    entry(&process).set(&1).await.expect("set");
    let other = cache.entry::<u64>("other", 1);
    other.set(&1).await.expect("set");
    process.faults.fail(Op::EvictTags, ErrorKind::Io);
    let error = cache.evict().tags(["tag"]).prefix("other").run().await.expect_err("no answer");
    assert_eq!(error.kind(), ErrorKind::Io);
    // What this process could not evict it does not serve.
    let elsewhere = rig.process();
    let other = elsewhere.cache.entry::<u64>("other", 1);
    assert_eq!(other.get().await.expect("the store answers"), None, "this one was sent");
    assert_eq!(entry(&elsewhere).get().await.expect("the store answers"), Some(1), "and this was not");
    assert_eq!(cache.stats().total.failed_evicts, 1);
}

async fn deleting_tells_whether_a_value_was_there(rig: Rig) {
    let process = rig.process();
    assert!(!entry(&process).evict().await.expect("the store answers"));
    entry(&process).set(&1).await.expect("set");
    assert!(entry(&process).evict().await.expect("the store answers"));
    let vacancy = entry(&process).lookup().await.expect("the store answers");
    assert!(!entry(&process).evict().await.expect("the store answers"), "a lease is no value");
    drop(vacancy);
}

async fn clearing_removes_what_is_in_the_namespace_and_nothing_else(rig: Rig) {
    let process = rig.process();
    let neighbour = rig.process_with(|builder| builder.namespace(&format!("{}x", rig.namespace())));
    let stranger = rig.process_with(|builder| builder.namespace(&namespace()));
    for process in [&process, &neighbour, &stranger] {
        entry(process).set(&1).await.expect("set");
    }
    let load = Halted::start(&process, AfterQuery, |stops| {
        Table::default().read(&process.cache.entry("loading", 1), stops)
    })
    .await;
    // An entry, a lease and the version of a tag.
    assert_eq!(process.cache.clear().await.expect("cleared"), 3);
    assert_eq!(load.end().await, 1);
    assert_eq!(process.cache.stats().total.refused_fills, 1);
    assert_eq!(entry(&process).get().await.expect("the store answers"), None);
    for process in [&neighbour, &stranger] {
        assert_eq!(entry(process).get().await.expect("the store answers"), Some(1));
    }
}

struct Renamed {
    id: u64,
}

struct Imported;

async fn an_event_evicts_what_its_handlers_say(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    cache.on(|event: &Renamed, evict| evict.key("row", event.id));
    cache.on(|_: &Renamed, evict| evict.tags(["lists"]));
    cache.on(|_: &Imported, evict| evict.prefix("row"));
    let list = cache.entry::<u64>("list", 1).with_tags(["lists"]);
    list.set(&1).await.expect("set");
    for id in 0..3_u64 {
        cache.set("row", &id, &id).await.expect("set");
    }
    // Every clone of the cache has the handlers.
    assert_eq!(cache.clone().emit(&Renamed { id: 1 }).await.expect("evicted"), 1);
    let there = async |id: u64| cache.get::<u64>("row", &id).await.expect("the store answers").is_some();
    assert_eq!((there(0).await, there(1).await, there(2).await), (true, false, true));
    assert_eq!(list.get().await.expect("the store answers"), None);
    assert_eq!(cache.emit(&Imported).await.expect("evicted"), 2);
    assert_eq!(cache.emit(&"nobody listens").await.expect("nothing to do"), 0);
    assert_eq!(
        rig.process().cache.emit(&Imported).await.expect("nothing to do"),
        0,
        "another cache has its own"
    );
    process.faults.fail_next(Op::EvictPrefix, 1, ErrorKind::Io);
    assert_eq!(cache.emit(&Imported).await.expect_err("no answer").kind(), ErrorKind::Io);
}

async fn a_task_has_the_cache_of_its_scope(rig: Rig) {
    let (one, two) = (rig.process_with(|builder| builder.namespace("one")), rig.process());
    let name = async || cachemacro::Cache::current().health().await.expect("the store answers").namespace;
    let (first, second) = tokio::join!(
        one.cache.scope(async {
            tokio::task::yield_now().await;
            (name().await, two.cache.scope(name()).await, name().await)
        }),
        two.cache.scope(name()),
    );
    assert_eq!(first, ("one".to_owned(), rig.namespace().to_owned(), "one".to_owned()));
    assert_eq!(second, rig.namespace());
}

async fn what_is_set_counts_as_loaded_at_the_call(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    // A tag evicted while the set is under way covers it.
    let set = Halted::start(&here, Before(Op::Set), |_| {
        let entry = entry(&here);
        tokio::spawn(async move { entry.set(&1).await })
    })
    .await;
    there.cache.evict_tags(["tag"]).await.expect("evicted");
    set.end().await.expect("set");
    assert_eq!(entry(&there).get().await.expect("the store answers"), None);
    // A set that may have happened is told, and what may be there is removed.
    here.faults.lose_reply_next(Op::Set);
    assert!(entry(&here).set(&2).await.expect_err("no answer").is_ambiguous());
    assert_eq!(entry(&there).get().await.expect("the store answers"), None);
}

async fn older_values_than_a_reader_accepts_are_loaded_anew(rig: Rig) {
    let process = rig.process();
    entry(&process).set(&1).await.expect("set");
    let read = |age| Mode::MaxAge(age).scope(async { entry(&process).get_or_load(async || 2).await });
    assert_eq!(read(MINUTE).await, 1);
    if rig.is_redis() {
        tokio::time::sleep(Duration::from_millis(20)).await;
    } else {
        rig.in_memory().1.advance(Duration::from_millis(20));
    }
    assert_eq!(read(Duration::from_millis(10)).await, 2);
    assert_eq!(entry(&process).get().await.expect("the store answers"), Some(2));
    assert_eq!(process.cache.stats().total.misses_for(MissReason::TooOld), 1);
}

async fn shutting_down_finishes_what_dropped_calls_left(rig: Rig) {
    let here = rig.process();
    // Shutting down closes the connections of the rig's store.
    let there = if rig.is_redis() {
        Rig::redis().process_with(|builder| builder.namespace(rig.namespace()))
    } else {
        rig.process()
    };
    let (row, paged) = (entry(&here), here.cache.entry::<u64>("page", 1));
    row.set(&1).await.expect("set");
    paged.set(&1).await.expect("set");
    let tagged = here.cache.entry::<u64>("tagged", 1).with_tags(["other"]);
    tagged.set(&1).await.expect("set");
    here.faults.set_immediate(false);
    let evict = Writes::new(Plain).evict(Some(&here.cache), When::default());
    let evict = evict.evict_entry(&row).evict_tags(["other"]).evict_prefix("page");
    let mut call = Box::pin(async { write(evict, pin!(pending::<()>()), |(), writes| writes).await });
    assert!(call.as_mut().now_or_never().is_none());
    let gate = here.faults.gate(Op::Evict);
    // Where no runtime is, what is left goes on in the background.
    std::thread::spawn(move || drop(call)).join().expect("dropping does not panic");
    assert_eq!(entry(&there).get().await.expect("the store answers"), Some(1), "queued");
    let shutdown = here.cache.shutdown();
    tokio::pin!(shutdown);
    assert!(shutdown.as_mut().now_or_never().is_none(), "it waits for what is under way");
    gate.open();
    shutdown.await.expect("all is delivered");
    assert_eq!(entry(&there).get().await.expect("the store answers"), None);
    assert_eq!(there.cache.get::<u64>("page", 1).await.expect("the store answers"), None);
    assert_eq!(there.cache.get::<u64>("tagged", 1).await.expect("the store answers"), None);
    assert_eq!(here.cache.stats().total.failed_evicts, 0);
}

on_both_stores!(
    whether_a_value_is_there_is_told_without_reading_or_decoding_it,
    tags_that_the_reader_did_not_name_are_checked_all_the_same,
    a_lookup_is_a_hit_or_the_right_to_fill,
    who_waited_long_enough_gets_a_vacancy_in_name_only,
    many_evicts_are_sent_together_and_counted,
    a_prefix_covers_every_key_under_it,
    an_evict_that_failed_is_told_and_the_others_are_tried,
    deleting_tells_whether_a_value_was_there,
    clearing_removes_what_is_in_the_namespace_and_nothing_else,
    an_event_evicts_what_its_handlers_say,
    a_task_has_the_cache_of_its_scope,
    what_is_set_counts_as_loaded_at_the_call,
    older_values_than_a_reader_accepts_are_loaded_anew,
    shutting_down_finishes_what_dropped_calls_left,
);

#[tokio::test]
async fn clearing_a_server_needs_a_namespace() {
    let cache = Cache::builder().redis(RedisServer::shared().url()).build().expect("acceptable settings");
    let key = namespace();
    cache.set(&key, &1, &1).await.expect("set");
    assert_eq!(cache.clear().await.expect_err("refused").kind(), ErrorKind::Config);
    assert_eq!(cache.get::<i32>(&key, &1).await.expect("the store answers"), Some(1), "nothing went");
}

#[tokio::test]
async fn age_and_ttl_are_as_of_the_answer() {
    let rig = Rig::memory();
    let process = rig.process();
    let entry = process.cache.entry::<u64>("row", 7).with_ttl(MINUTE);
    entry.set(&1).await.expect("set");
    let gate = process.faults.gate(Op::ReadHead);
    let late = async {
        gate.reached().await;
        rig.in_memory().1.advance(Duration::from_secs(20));
        gate.open();
    };
    let (meta, ()) = tokio::join!(entry.meta(), late);
    let meta = meta.expect("the store answers").expect("it is there");
    assert_eq!((meta.age, meta.ttl), (Duration::from_secs(20), Duration::from_secs(40)));
}

#[tokio::test]
async fn a_cache_that_was_shut_down_runs_functions() {
    let rig = Rig::redis();
    let cache = Cache::builder().redis(rig.url()).namespace(rig.namespace()).build().expect("acceptable");
    assert_eq!(cache.get_or_load("row", 7, async || 1).await, 1);
    cache.shutdown().await.expect("all is delivered");
    assert_eq!(cache.get_or_load("row", 7, async || 2).await, 2);
    assert!(cache.evict_key("row", 7).await.is_err());
}
