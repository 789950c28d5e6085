//! What it costs. Commands and what is stored are counted, and asserted; how long things take is printed, by
//! `cargo test --release -p cachemacro-sql --test sql figures:: -- --ignored --nocapture`, and never asserted.
//!
//! What is compared takes turns, and medians of rounds are told: what else the machine does concerns both.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cachemacro::{Cache, Reports, cached, record};
use cachemacro_sql::{Table, Watched, install, row, table};
use sqlx::{PgPool, SqlitePool};
use tempfile::TempDir;

use crate::history::redis;
use crate::outbox::pool;
use crate::postgres::Server;

/// A thousand airports in a file.
async fn airports() -> (SqlitePool, TempDir) {
    let folder = tempfile::tempdir().expect("a folder");
    let pool = pool(&folder).await;
    let schema = "
        CREATE TABLE airports (id INTEGER PRIMARY KEY, name TEXT NOT NULL);
        WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 1000)
            INSERT INTO airports SELECT id, 'airport ' || id FROM n;";
    sqlx::raw_sql(schema).execute(&pool).await.expect("well-formed");
    (pool, folder)
}

async fn name(pool: impl sqlx::SqliteExecutor<'_>, id: i64) -> sqlx::Result<String> {
    sqlx::query_scalar("SELECT name FROM airports WHERE id = ?").bind(id).fetch_one(pool).await
}

#[cached(prefix = "recorded", key = "{id}", ttl = "1h", recorded)]
async fn recorded(db: &Watched<SqlitePool>, id: i64) -> sqlx::Result<String> {
    name(db, id).await
}

#[cached(prefix = "declared", key = "{id}", ttl = "1h", tags = ["db", "db:airports"])]
async fn declared(db: &Watched<SqlitePool>, id: i64) -> sqlx::Result<String> {
    name(db, id).await
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

/// Medians of what one of each takes, by turns.
async fn turns(
    rounds: usize,
    each: u32,
    mut one: impl AsyncFnMut(u32),
    mut other: impl AsyncFnMut(u32),
) -> (Duration, Duration) {
    let (mut ones, mut others) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        for first in [round % 2 == 0, round % 2 == 1] {
            let began = Instant::now();
            for n in 0..each {
                if first { one(n).await } else { other(n).await }
            }
            let times = if first { &mut ones } else { &mut others };
            times.push(began.elapsed() / each);
        }
    }
    (median(ones), median(others))
}

fn ratio(one: Duration, other: Duration) -> f64 {
    one.as_secs_f64() / other.as_secs_f64()
}

fn on_redis(url: &str) -> Cache {
    // What it leaves at the server each ten seconds would be counted, too.
    let builder = Cache::builder().redis(url).namespace("figures").reports(Reports::Off);
    builder.build().expect("acceptable")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "it measures, and wants the machine for itself"]
async fn figures() {
    let (_store, url, _folder) = redis();
    for (store, cache) in [("memory", Cache::memory()), ("Redis", on_redis(&url))] {
        hits(store, &cache).await;
    }
    queries().await;
    let (stored, evicts) = loads_under_evicts(&on_redis(&url), 400).await;
    println!(
        "of 400 loads of 5 ms under {evicts:.0} evicts of other tags a second, {stored} were stored (goal 99 %)"
    );
    outbox_of_sqlite().await;
    outbox_of_postgres().await;
}

/// Airports, each cached both ways; the first load of each way has told its place what it reads.
async fn cached_both_ways(cache: &Cache) -> (Watched<SqlitePool>, TempDir) {
    let (pool, folder) = airports().await;
    let db = Watched::new(pool).cache(cache);
    for id in 0..20 {
        recorded(&db, 1 + id).await.expect("a row");
        declared(&db, 1 + id).await.expect("a row");
        cache.stored().await;
    }
    (db, folder)
}

/// How often the server was asked for each command that reads or writes entries.
fn commands(url: &str) -> String {
    let address = url.strip_prefix("redis://").expect("plain TCP");
    let mut server = TcpStream::connect(address).expect("it listens");
    server.write_all(b"INFO commandstats\r\nQUIT\r\n").expect("sent");
    let mut told = String::new();
    server.read_to_string(&mut told).expect("an answer, then the end");
    let of_entries = ["get", "mget", "getrange", "set", "eval", "evalsha", "unlink"];
    let counts = told.lines().filter_map(|line| {
        let (command, rest) = line.strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = rest.strip_prefix("calls=")?.split(',').next()?;
        of_entries.contains(&command).then(|| format!("{command} {calls}"))
    });
    counts.collect::<Vec<_>>().join(", ")
}

/// Tags that were recorded are asked for with the entry, as declared ones are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_recorded_hit_is_the_one_command_that_a_declared_one_is() {
    let (_store, url, _folder) = redis();
    let cache = on_redis(&url);
    let (db, _airports) = cache.scope(cached_both_ways(&cache)).await;
    let hits = async |is_recorded: bool| {
        for id in 2..20 {
            let found = if is_recorded { recorded(&db, id).await } else { declared(&db, id).await };
            assert_eq!(found.expect("a row"), format!("airport {id}"));
        }
    };
    let loads = cache.stats().total.loads;
    for is_recorded in [false, true] {
        // The scripts are asked for when a connection opens, and no more.
        let before = commands(&url);
        cache.scope(hits(is_recorded)).await;
        let after = commands(&url);
        let count = |told: &str| -> u64 {
            let found = told.split(", ").find_map(|count| count.strip_prefix("mget "));
            found.map_or(0, |calls| calls.parse().expect("a number"))
        };
        let others = |told: &str| told.replace(&format!("mget {}", count(told)), "mget");
        assert_eq!(count(&after) - count(&before), 18, "recorded: {is_recorded}; {before}; {after}");
        assert_eq!(others(&after), others(&before), "recorded: {is_recorded}");
    }
    assert_eq!(cache.stats().total.loads, loads, "they are hits");
}

/// Once a place knows what it reads, evicts of anything else refuse no fill.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn loads_are_stored_under_evicts_of_other_tags() {
    let (_store, url, _folder) = redis();
    let (stored, _) = loads_under_evicts(&on_redis(&url), 200).await;
    assert!(stored >= 198, "{stored} of 200 loads were stored");
}

async fn hits(store: &str, cache: &Cache) {
    let call = async || {
        let (db, _airports) = cached_both_ways(cache).await;
        let id = |n: u32| 2 + i64::from(n % 18);
        let loads = cache.stats().total.loads;
        let recorded = async |n| drop(recorded(&db, id(n)).await.expect("a row"));
        let declared = async |n| drop(declared(&db, id(n)).await.expect("a row"));
        let each = if store == "memory" { 5_000 } else { 1_000 };
        let (one, other) = turns(21, each, recorded, declared).await;
        assert_eq!(cache.stats().total.loads, loads, "they are hits");
        (one, other)
    };
    let (one, other) = cache.scope(call()).await;
    println!(
        "a recorded hit in {store}: {one:?}; with the same tags declared: {other:?}; {:.2} x (goal 1.10)",
        ratio(one, other)
    );
}

async fn queries() {
    let (pool, _folder) = airports().await;
    let db = Watched::new(pool.clone()).cache(&Cache::memory());
    let watched = async |n: u32| drop(name(&db, 1 + i64::from(n % 1_000)).await.expect("a row"));
    let bare = async |n: u32| drop(name(&pool, 1 + i64::from(n % 1_000)).await.expect("a row"));
    watched(0).await;
    let (one, other) = turns(41, 500, watched, bare).await;
    println!(
        "a watched query by key on SQLite: {one:?}; a bare one: {other:?}; {:.3} x (goal 1.05)",
        ratio(one, other)
    );
}

/// How many of so many loads of 5 ms are stored while other tags are evicted, and how many of these in a second.
async fn loads_under_evicts(cache: &Cache, loads: u64) -> (u64, f64) {
    let load = async |id: u64| {
        let entry = cache.entry::<u64>("slow", id).with_policy(cachemacro::Policy::new().recorded(true));
        let load = async || {
            record(["users"]);
            tokio::time::sleep(Duration::from_millis(5)).await;
            id
        };
        entry.get_or_load(load).await;
        cache.stored().await;
        entry.has().await.expect("an answer")
    };
    load(0).await;
    let over = Arc::new(AtomicBool::new(false));
    let evicts = tokio::spawn({
        let (cache, over) = (cache.clone(), Arc::clone(&over));
        async move {
            let mut pace = tokio::time::interval(Duration::from_millis(5));
            let mut evicted = 0_u32;
            while !over.load(Ordering::Relaxed) {
                pace.tick().await;
                cache.evict_tags([format!("other:{evicted}")]).await.expect("evicted");
                evicted += 1;
            }
            evicted
        }
    });
    let (began, mut stored) = (Instant::now(), 0);
    for id in 1..=loads {
        stored += u64::from(load(id).await);
    }
    let took = began.elapsed();
    over.store(true, Ordering::Relaxed);
    let evicted = evicts.await.expect("it ends");
    assert!(u64::from(evicted) >= loads / 4, "{evicted} evicts beside {loads} loads");
    (stored, f64::from(evicted) / took.as_secs_f64())
}

async fn outbox_of_sqlite() {
    let (pool, _folder) = airports().await;
    let cache = Cache::memory();
    let db = Watched::new(pool.clone()).cache(&cache);
    let update = async |n: u32| {
        let write =
            sqlx::query("UPDATE airports SET name = name WHERE id = ?").bind(1 + i64::from(n % 1_000));
        write.execute(&pool).await.expect("a row");
    };
    let time = async || {
        let mut rounds = Vec::new();
        for _ in 0..9 {
            let began = Instant::now();
            for n in 0..100 {
                update(n).await;
            }
            rounds.push(began.elapsed() / 100);
        }
        median(rounds)
    };
    let watched = async || {
        let began = Instant::now();
        for n in 0..200 {
            let write = sqlx::query("UPDATE airports SET name = name WHERE id = ?").bind(1 + n);
            write.execute(&db).await.expect("a row");
        }
        began.elapsed() / 200
    };
    let (without, by_table) = (time().await, watched().await);
    let outbox = install(&db, [table("airports").key("id")]).await.expect("installed");
    let with = time().await;
    println!(
        "a foreign write on SQLite: {without:?} without triggers, {with:?} with them; a watched one: {by_table:?} and {:?}",
        watched().await
    );
    outbox.stop().await;
    outbox.drain().await.expect("drained");
    // Fewer than the backlog that is one evict of all.
    let sql = "WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < 10000)
               INSERT INTO cachemacro_outbox (tab, key) SELECT 'airports', id FROM n";
    sqlx::raw_sql(sql).execute(&pool).await.expect("rows");
    let began = Instant::now();
    outbox.drain().await.expect("drained");
    let took = began.elapsed();
    assert_eq!(outbox.health().await.expect("an answer").waiting, 0);
    println!("10,000 rows of an outbox on SQLite are drained in {took:?} (goal 2 s)");
}

/// How long one takes, where so many write at once.
async fn writes(pool: &PgPool, writers: i64) -> Duration {
    const EACH: u32 = 150;
    let write = |writer: i64| async move {
        for n in 0..EACH {
            let id = 1 + writer * 100 + i64::from(n % 100);
            let write = sqlx::query("UPDATE airports SET name = name WHERE id = $1").bind(id);
            write.execute(pool).await.expect("a row");
        }
    };
    let mut rounds = Vec::new();
    for _ in 0..7 {
        let began = Instant::now();
        futures_util::future::join_all((0..writers).map(write)).await;
        rounds.push(began.elapsed() / EACH / u32::try_from(writers).expect("few"));
        sqlx::raw_sql("DELETE FROM cachemacro_outbox").execute(pool).await.expect("well-formed");
    }
    median(rounds)
}

async fn outbox_of_postgres() {
    let server = Server::start();
    drop(server.pool("postgres").await);
    let options = sqlx::postgres::PgPoolOptions::new().max_connections(10);
    let pool = options.connect(&server.url("postgres", "postgres")).await.expect("it is there");
    let schema = "
        CREATE TABLE airports (id BIGINT PRIMARY KEY, name TEXT NOT NULL) WITH (fillfactor = 50);
        CREATE TABLE others (id BIGINT PRIMARY KEY);
        INSERT INTO airports SELECT id, 'airport ' || id FROM generate_series(1, 1000) AS id;";
    sqlx::raw_sql(schema).execute(&pool).await.expect("well-formed");
    let cache = Cache::memory();
    let db = Watched::new(pool.clone()).cache(&cache);
    let none: [Table; 1] = [table("others")];
    let ways: [(&str, Option<Table>); 4] = [
        ("without triggers", None),
        ("with triggers of the table", Some(table("airports"))),
        ("by row", Some(table("airports").key("id"))),
        ("by row, and NOTIFY", Some(table("airports").key("id").notify())),
    ];
    let mut first = None;
    for (way, of) in ways {
        let outbox = install(&db, of.map_or_else(|| none.to_vec(), |of| vec![of])).await.expect("installed");
        outbox.stop().await;
        let times = (writes(&pool, 1).await, writes(&pool, 8).await);
        let (one, eight) = *first.get_or_insert(times);
        println!(
            "a foreign write on PostgreSQL {way}: {:?}, with 8 writers {:?}; throughput {:.2} and {:.2}",
            times.0,
            times.1,
            ratio(one, times.0),
            ratio(eight, times.1)
        );
    }
    let outbox = install(&db, [table("airports").key("id")]).await.expect("installed");
    outbox.stop().await;
    let bound = async |on: &Watched<PgPool>| {
        let began = Instant::now();
        for id in 0..300_i64 {
            let write = sqlx::query("UPDATE airports SET name = name WHERE id = $1").bind(id);
            write.execute(on).await.expect("a row");
            if id % 10 == 0 {
                outbox.drain().await.expect("drained");
            }
        }
        began.elapsed() / 300
    };
    let untold = Watched::new(pool.clone()).cache(&cache);
    let (told, untold) = (bound(&db).await, bound(&untold).await);
    println!("a watched write on PostgreSQL that asks the outbox: {told:?}; one that does not: {untold:?}");
    let sql = "INSERT INTO cachemacro_outbox (tab, keys) SELECT 'airports', ARRAY[id::text] FROM generate_series(1, 10000) AS id";
    outbox.drain().await.expect("drained");
    sqlx::raw_sql(sql).execute(&pool).await.expect("rows");
    let entry = cache.entry::<u32>("airport", 7).with_tags(row("airports", 7));
    entry.set(&1).await.expect("set");
    let began = Instant::now();
    outbox.drain().await.expect("drained");
    let took = began.elapsed();
    assert!(!entry.has().await.expect("an answer"));
    println!("10,000 rows of an outbox on PostgreSQL are drained in {took:?} (goal 2 s)");
    assert_eq!(outbox.health().await.expect("an answer").waiting, 0);
}
