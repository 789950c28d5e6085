//! What sites ask for, and what their calls take.

use std::sync::Arc;

use cachemacro::store::faults::Op;
use cachemacro::{cache_evict, cache_put, cached};
use cachemacro_tests::attributes::Calls;
use cachemacro_tests::{DEADLINE, RedisServer, namespace, wait_until};

use super::{HOUR, Process, Table, plain};

static CALLS: Calls = Calls::new();

#[cached(prefix = "name", key = "{id}", tags = ["names"], local = "1h", entry = name_entry)]
async fn name(id: u64) -> Arc<String> {
    Arc::new(format!("name {id}, load {}", CALLS.add()))
}

#[cached(prefix = "name", key = "{id}", tags = ["names"], local = "off")]
async fn name_at_the_store(id: u64) -> Arc<String> {
    Arc::new(format!("name {id}, load {}", CALLS.add()))
}

#[cache_evict(entry = name_entry(id))]
async fn rename(id: u64) {
    let _ = id;
}

#[cache_put(entry = name_entry(id))]
async fn put(id: u64) -> Arc<String> {
    Arc::new(format!("name {id}, put"))
}

#[tokio::test]
async fn a_copy_answers_without_a_look_at_the_store_until_an_evict_here() {
    let process = Process::new(RedisServer::shared(), &namespace());
    let cache = process.cache.clone();
    cache
        .scope(async {
            let first = name(1).await;
            wait_until("a copy answers", DEADLINE, async || {
                let before = process.local_hits();
                assert_eq!(name(1).await, first);
                process.local_hits() > before
            })
            .await;
            let (reads, hits) = (process.faults.count(Op::Read), process.local_hits());
            for _ in 0..10 {
                assert!(Arc::ptr_eq(&name(1).await, &name(1).await), "handed out without a clone");
            }
            assert_eq!(process.faults.count(Op::Read), reads);
            assert_eq!(process.local_hits(), hits + 20);
            assert_eq!(name_at_the_store(1).await, first);
            assert_eq!(process.local_hits(), hits + 20, "another site asks for none");
            // G2
            rename(1).await;
            assert_ne!(name(1).await, first);
            assert_eq!(*put(1).await, "name 1, put");
            assert_eq!(*name(1).await, "name 1, put");
            wait_until("a copy answers", DEADLINE, async || {
                let before = process.local_hits();
                assert_eq!(*name(1).await, "name 1, put");
                process.local_hits() > before
            })
            .await;
            process.cache.evict_tags(["names"]).await.expect("evicted");
            assert_ne!(*name(1).await, "name 1, put");
        })
        .await;
}

#[tokio::test]
async fn what_another_process_changes_is_seen_once_it_is_told() {
    let (server, namespace, table) = (RedisServer::shared(), namespace(), Table::default());
    let (one, other) = (Process::new(server, &namespace), Process::new(server, &namespace));
    for (entry, theirs) in [(one.row(), other.row()), (one.tagged(), other.tagged())] {
        one.warm(&entry, &table).await;
        table.write(table.query() + 1);
        theirs.evict().await.expect("evicted");
        one.sees(&entry, &table, table.query()).await;
        one.warm(&entry, &table).await;
        table.write(table.query() + 1);
        theirs.set(&table.query()).await.expect("set");
        one.sees(&entry, &table, table.query()).await;
    }
    let entry = one.tagged();
    one.warm(&entry, &table).await;
    table.write(100);
    other.cache.evict_tags(["rows"]).await.expect("evicted");
    one.sees(&entry, &table, 100).await;
    one.warm(&entry, &table).await;
    table.write(101);
    other.cache.evict_prefix("tagged").await.expect("evicted");
    one.sees(&entry, &table, 101).await;
    one.warm(&entry, &table).await;
    table.write(102);
    other.cache.clear().await.expect("cleared");
    one.sees(&entry, &table, 102).await;
}

#[tokio::test]
async fn a_cache_that_the_builder_makes_takes_copies_and_one_on_a_store_that_tells_nothing_says_so() {
    let cache = cachemacro::Cache::builder().redis(RedisServer::shared().url()).namespace(&namespace());
    let cache = cache.local(HOUR).build().expect("acceptable");
    let entry = cache.entry::<u64>("row", 7);
    wait_until("a copy answers", DEADLINE, async || {
        entry.get_or_load(async || 7).await;
        cache.stats().total.local_hits > 0
    })
    .await;
    let memory = std::sync::Arc::new(cachemacro::store::memory::MemoryStore::new());
    let store = std::sync::Arc::new(cachemacro::store::faults::FaultStore::new(memory));
    let cache = cachemacro::Cache::builder().store(store).local(HOUR).build().expect("acceptable");
    assert_eq!(cache.get_or_load("row", 7, async || 7).await, 7);
    let warning = cache.warnings().first().map(ToString::to_string).unwrap_or_default();
    assert!(warning.contains("no way to tell of changes"), "{warning}");
}

/// Upholds G2.
#[tokio::test]
async fn what_this_process_changes_takes_effect_before_it_returns() {
    let (process, table) = (Process::new(RedisServer::shared(), &namespace()), Table::default());
    // Nothing is told, so that only what is done here counts.
    for (round, how) in ["evict", "set", "update", "tag", "prefix", "clear", "many"].into_iter().enumerate() {
        let entry = process.tagged();
        process.warm(&entry, &table).await;
        let value = round as u64 + 1;
        table.write(value);
        match how {
            "evict" => drop(entry.evict().await.expect("evicted")),
            "set" => entry.set(&value).await.expect("set"),
            "update" => drop(entry.update(|_| value).await.expect("updated")),
            "tag" => process.cache.evict_tags(["rows"]).await.expect("evicted"),
            "prefix" => drop(process.cache.evict_prefix("tagged").await.expect("evicted")),
            "clear" => drop(process.cache.clear().await.expect("cleared")),
            _ => drop(process.cache.evict().key("tagged", 7).key("row", 7).await.expect("evicted")),
        }
        assert_eq!(entry.get_or_load(async || table.query()).await, value, "after {how}");
        assert_eq!(plain(&entry).get_or_load(async || table.query()).await, value, "after {how}");
    }
}

#[tokio::test]
async fn a_copy_ends_with_its_ttl_and_is_read_anew() {
    let clock = cachemacro::Clock::manual();
    let process = Process::with(RedisServer::shared(), &namespace(), |builder| builder.clock(clock.clone()));
    let (entry, table) = (process.row(), Table::default());
    process.warm(&entry, &table).await;
    let reads = process.faults.count(Op::Read);
    clock.advance(HOUR);
    process.warm(&entry, &table).await;
    assert!(process.faults.count(Op::Read) > reads, "the copy ended");
}

/// As many requests of one hot key as come in a second, evicted now and then by another process. A process that hears nothing for a
/// second, as on a machine that is busy, asks for each, so the quietest of some rounds counts.
#[tokio::test]
async fn very_many_requests_of_one_key_ask_the_store_a_few_times() {
    let mut rounds = Vec::new();
    for _ in 0..8 {
        let asked = reads_of_many_requests().await;
        if asked.iter().all(|asked| *asked <= 10) {
            return;
        }
        rounds.push(asked);
    }
    panic!("reads of 50,000 requests in each of two processes: {rounds:?}");
}

/// How many reads of the store two processes made for 50,000 requests each.
async fn reads_of_many_requests() -> [u64; 2] {
    const REQUESTS: u64 = 50_000;
    const EVICTS: u64 = 5;
    let (server, namespace, table) = (RedisServer::shared(), namespace(), Table::default());
    let processes = [(); 2].map(|()| Process::new(server, &namespace));
    let mut asked = [0; 2];
    for evict in 1..=EVICTS {
        table.write(evict);
        if evict % 2 == 0 {
            processes[0].tagged().evict().await.expect("evicted");
        } else {
            processes[0].cache.evict_tags(["rows"]).await.expect("evicted");
        }
        for (process, asked) in processes.iter().zip(&mut asked) {
            let entry = process.tagged();
            // Until what came with the evict was told, calls ask.
            process.sees(&entry, &table, evict).await;
            process.warm(&entry, &table).await;
            let before = process.faults.count(Op::Read);
            for _ in 0..REQUESTS / EVICTS {
                assert_eq!(entry.get_or_load(async || table.query()).await, evict);
            }
            *asked += process.faults.count(Op::Read) - before;
        }
    }
    asked
}
