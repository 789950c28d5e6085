//! Writes that are accepted now and applied later, while owners are killed and stopped, and the server is restarted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachemacro::{Batch, Cache, ErrorKind, WriteBehind};
use cachemacro_sql::{Ledger as _, LedgerError};
use cachemacro_tests::clusters::RedisCluster;
use cachemacro_tests::{DEADLINE, Dice, LONG, RedisServer, Worker, is_long, namespace, wait_until};
use sqlx::SqlitePool;

/// How long an owner may be silent.
const LEASE: Duration = Duration::from_millis(500);

async fn database(folder: &std::path::Path) -> (String, SqlitePool) {
    let file = folder.join("rows.db").to_str().expect("a path of text").to_owned();
    let pool = SqlitePool::connect(&format!("sqlite://{file}?mode=rwc")).await.expect("it is made");
    for statement in [
        "PRAGMA journal_mode = WAL".to_owned(),
        "CREATE TABLE rows (key TEXT PRIMARY KEY, value INTEGER)".to_owned(),
        "CREATE TABLE effects (part TEXT, number INTEGER, times INTEGER, PRIMARY KEY (part, number))"
            .to_owned(),
        "CREATE TABLE disorder (key TEXT)".to_owned(),
        cachemacro_sql::ledger_migration(),
    ] {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&pool).await.expect("it is defined");
    }
    (file, pool)
}

/// What a load finds.
async fn row(pool: &SqlitePool, key: usize) -> Option<u64> {
    let row =
        sqlx::query_scalar::<_, i64>("SELECT value FROM rows WHERE key = $1").bind(format!("row:{key}"));
    row.fetch_optional(pool).await.expect("it answers").map(i64::unsigned_abs)
}

async fn worker(url: &str, space: &str, file: &str) -> Worker {
    let lease = LEASE.as_millis().to_string();
    let mut worker = Worker::spawn(env!("CARGO_BIN_EXE_behind_worker"), &[url, space, file, &lease], &[]);
    worker.expect("ready").await;
    worker
}

/// What was written of a key: the last value that was accepted for all that its writer knows, and the last of all.
struct Told {
    key: usize,
    acknowledged: u64,
    sent: u64,
}

/// Writes one value after the other.
async fn write(cache: &Cache, queue: &WriteBehind<u64>, pool: &SqlitePool, key: usize, values: u64) -> Told {
    let entry = cache.entry::<u64>("row", key);
    let mut told = Told { key, acknowledged: 0, sent: 0 };
    for value in 1..=values {
        told.sent = value;
        if queue.put(&entry, &value).await.is_err() {
            // It may have been accepted.
            tokio::time::sleep(Duration::from_millis(20)).await;
            continue;
        }
        told.acknowledged = value;
        if value % 7 == 0 {
            // Read your writes, unless the server was away meanwhile.
            let failed = cache.stats().total.errors();
            let read = queue.load(&entry, async || row(pool, key).await).await;
            let was_away = cache.stats().total.errors() > failed;
            assert!(read == Some(value) || was_away, "row {key}: {read:?}, not {value}");
        }
    }
    told
}

/// 100,000 writes over 500 keys in a long run. Each key is written by one task, one write after the other: what it was told last that was
/// accepted is what its row must be, or a later one of which it was not told.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_write_is_lost_or_applied_twice_while_owners_and_the_server_fail() {
    let (writes, keys) = if is_long() { (100_000, 500) } else { (4_000, 100) };
    let values = writes / keys as u64;
    let folder = tempfile::tempdir().expect("a folder");
    let (file, pool) = database(folder.path()).await;
    let kept = tempfile::tempdir().expect("a folder");
    let path = kept.path().to_str().expect("a path of text");
    let mut server =
        RedisServer::with_args(&["--dir", path, "--appendonly", "yes", "--appendfsync", "always"]);
    let (url, space) = (server.url(), namespace());
    let cache = Cache::builder().redis(&url).namespace(&space).command_timeout(Duration::from_secs(1));
    let cache = cache.build().expect("acceptable settings");
    let queue =
        WriteBehind::<u64>::named("rows").wait(DEADLINE).connect(&cache).await.expect("it keeps what it has");
    let mut workers = Vec::new();
    for _ in 0..3 {
        workers.push(worker(&url, &space, &file).await);
    }

    let left = Arc::new(AtomicUsize::new(keys));
    let writers: Vec<_> = (0..keys)
        .map(|key| {
            let (cache, queue, pool, left) = (cache.clone(), queue.clone(), pool.clone(), Arc::clone(&left));
            tokio::spawn(async move {
                let told = write(&cache, &queue, &pool, key, values).await;
                left.fetch_sub(1, Ordering::SeqCst);
                told
            })
        })
        .collect();
    let began = Instant::now();
    let (mut dice, mut kills, mut stops, mut restarts) = (Dice::new(7), 0, 0, 0);
    while left.load(Ordering::SeqCst) > 0 {
        let place = usize::try_from(dice.below(3)).expect("it is small");
        match dice.below(10) {
            0..=3 => {
                kills += 1;
                workers.remove(place).kill().await;
                workers.push(worker(&url, &space, &file).await);
            }
            4..=7 => {
                stops += 1;
                workers[place].pause();
                tokio::time::sleep(LEASE * 2).await;
                workers[place].resume();
            }
            _ => {
                restarts += 1;
                server.restart();
            }
        }
        tokio::time::sleep(LEASE / 2).await;
    }
    let mut told = Vec::new();
    for writer in writers {
        told.push(writer.await.expect("it does not panic"));
    }
    wait_until("all is applied", LONG, async || queue.stats().await.is_ok_and(|stats| stats.depth == 0))
        .await;
    for worker in workers {
        worker.finish().await;
    }
    for Told { key, acknowledged, sent } in told {
        let row = row(&pool, key).await.unwrap_or(0);
        assert!(
            (acknowledged..=sent).contains(&row),
            "{key} is {row}, acknowledged {acknowledged}, sent {sent}"
        );
    }
    let twice: i64 =
        sqlx::query_scalar("SELECT count(*) FROM effects WHERE times > 1").fetch_one(&pool).await.unwrap();
    let disorder: i64 = sqlx::query_scalar("SELECT count(*) FROM disorder").fetch_one(&pool).await.unwrap();
    let effects: i64 = sqlx::query_scalar("SELECT count(*) FROM effects").fetch_one(&pool).await.unwrap();
    println!(
        "{writes} writes over {keys} keys in {:?}: {kills} owners killed, {stops} stopped, {restarts} restarts of the server; {effects} writes took \
         effect, {twice} twice, {disorder} out of order",
        began.elapsed()
    );
    assert_eq!((twice, disorder), (0, 0));
    assert!(kills + stops > 0);
}

/// Adds what the ledger does not know, so that a write that takes effect twice shows.
async fn add(pool: &SqlitePool, batch: Batch<u64>) -> Result<(), LedgerError> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    for write in tx.unapplied(batch).await? {
        let value = i64::try_from(write.value().copied().unwrap_or(0)).unwrap_or(i64::MAX);
        let row =
            "INSERT INTO rows VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = value + excluded.value";
        sqlx::query(row).bind(write.key()).bind(value).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}

async fn is_empty(queue: &WriteBehind<u64>) {
    let none = async || queue.stats().await.is_ok_and(|stats| stats.depth == 0);
    wait_until("all is applied", DEADLINE, none).await;
}

/// The commit went well and nobody heard of it.
#[tokio::test]
async fn a_batch_that_is_repeated_takes_effect_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, pool) = database(folder.path()).await;
    let (cache, calls) = (Cache::memory(), Arc::<AtomicUsize>::default());
    let queue = WriteBehind::<u64>::named("rows").volatile(true).every("10ms");
    let (rows, called) = (pool.clone(), Arc::clone(&calls));
    let queue = queue.backoff(Duration::from_millis(1)).start(&cache, move |batch| {
        let (rows, called) = (rows.clone(), Arc::clone(&called));
        async move {
            let added = add(&rows, batch).await.map_err(|error| error.to_string());
            if called.fetch_add(1, Ordering::SeqCst) < 2 {
                Err("the answer was lost".to_owned())
            } else {
                added
            }
        }
    });
    let queue = queue.await.expect("it starts");
    queue.put(&cache.entry("row", 7), &5).await.expect("it is accepted");
    is_empty(&queue).await;
    assert!(calls.load(Ordering::SeqCst) > 2);
    assert_eq!(row(&pool, 7).await, Some(5));
    assert_eq!(queue.stats().await.expect("the store answers").dead, 0);
}

/// What is applied behind a write that fails does not pass for that one.
#[tokio::test]
async fn what_was_set_aside_is_new_to_the_ledger_when_its_time_comes() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, pool) = database(folder.path()).await;
    let (cache, is_poison) = (Cache::memory(), Arc::new(std::sync::atomic::AtomicBool::new(true)));
    let queue = WriteBehind::<u64>::named("rows").volatile(true).every("10ms").attempts(1_000_000);
    let (rows, poison) = (pool.clone(), Arc::clone(&is_poison));
    let queue = queue.backoff(Duration::from_millis(1)).start(&cache, move |batch: Batch<u64>| {
        let (rows, poison) = (rows.clone(), Arc::clone(&poison));
        async move {
            let fails = batch.writes().iter().any(|write| write.key() == "row:0");
            if fails && poison.load(Ordering::SeqCst) {
                return Err("it is poison".to_owned());
            }
            add(&rows, batch).await.map_err(|error| error.to_string())
        }
    });
    let queue = queue.await.expect("it starts");
    for key in 0..100_u64 {
        queue.put(&cache.entry("row", key), &(key + 1)).await.expect("it is accepted");
    }
    let one_is_left = async || queue.stats().await.is_ok_and(|stats| stats.depth == 1);
    wait_until("all others are applied", DEADLINE, one_is_left).await;
    assert_eq!(row(&pool, 0).await, None);
    is_poison.store(false, Ordering::SeqCst);
    is_empty(&queue).await;
    for key in 0..100 {
        assert_eq!(row(&pool, key).await, Some(key as u64 + 1));
    }
}

/// A process that was stopped for longer than its lease, and goes on where it was.
#[tokio::test]
async fn a_former_owners_batch_changes_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let (_, pool) = database(folder.path()).await;
    let server = RedisServer::start();
    let on_server = || {
        let cache = Cache::builder().redis(server.url()).namespace("shop");
        cache.command_timeout(Duration::from_secs(1)).build().expect("acceptable settings")
    };
    let named = || WriteBehind::<u64>::named("rows").volatile(true).every("10ms").lease(LEASE);
    let (batches, mut held) = tokio::sync::mpsc::unbounded_channel();
    let first = on_server();
    let former = named().start(&first, move |batch: Batch<u64>| {
        let _ = batches.send(batch);
        std::future::pending::<Result<(), String>>()
    });
    let former = former.await.expect("it starts");
    let cache = on_server();
    former.put(&cache.entry("row", 7), &5).await.expect("it is accepted");
    let stale = held.recv().await.expect("it is read");
    // Its leases lapse all at once.
    let mut client = server.client().await;
    let owners: Vec<String> =
        redis::cmd("KEYS").arg("*:owner").query_async(&mut client).await.expect("it answers");
    redis::cmd("DEL").arg(&owners).exec_async(&mut client).await.expect("it answers");
    let rows = pool.clone();
    let next = named().start(&cache, move |batch| {
        let rows = rows.clone();
        async move { add(&rows, batch).await }
    });
    let next = next.await.expect("it starts");
    wait_until("another has applied it", DEADLINE, async || row(&pool, 7).await == Some(5)).await;
    let late = add(&pool, stale).await;
    assert!(matches!(late, Err(LedgerError::Superseded)), "{late:?}");
    assert_eq!(row(&pool, 7).await, Some(5));
    is_empty(&next).await;
}

#[tokio::test]
async fn a_server_that_may_lose_what_it_accepted_is_refused() {
    let start = async |args: &[&str]| {
        let server = RedisServer::with_args(args);
        let cache =
            Cache::builder().redis(server.url()).namespace("shop").build().expect("acceptable settings");
        let named = || WriteBehind::<u64>::named("rows");
        let started = named().connect(&cache).await.map(drop).map_err(|error| error.kind());
        assert!(named().volatile(true).connect(&cache).await.is_ok());
        started
    };
    assert_eq!(start(&[]).await, Err(ErrorKind::Config), "nothing is kept");
    let kept = ["--appendonly", "yes"];
    assert_eq!(start(&kept).await, Ok(()));
    assert_eq!(start(&["--save", "60 1"]).await, Ok(()), "snapshots");
    let evicting = ["--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "allkeys-lru"];
    assert_eq!(start(&evicting).await, Err(ErrorKind::Config), "it evicts");
    let with_ttl = ["--appendonly", "yes", "--maxmemory", "100mb", "--maxmemory-policy", "volatile-lru"];
    assert_eq!(start(&with_ttl).await, Ok(()), "what has a TTL");
}

/// While it loads what it kept, a server says that it keeps nothing.
#[tokio::test]
async fn a_server_that_loads_what_it_kept_is_not_refused_for_good() {
    let kept = tempfile::tempdir().expect("a folder");
    let path = kept.path().to_str().expect("a path of text");
    // 100 microseconds a key: two seconds.
    let args = ["--dir", path, "--appendonly", "yes", "--key-load-delay", "100"];
    let mut server = RedisServer::with_args(&args);
    let (url, mut client) = (server.url(), server.client().await);
    let mut pipe = redis::pipe();
    for key in 0..20_000 {
        pipe.set(key, "what is loaded").ignore();
    }
    pipe.exec_async(&mut client).await.expect("the server answers");
    server.stop();
    let restarts = tokio::task::spawn_blocking(move || {
        server.restart();
        server
    });
    let mut refused = 0;
    loop {
        let cache = Cache::builder().redis(&url).namespace("shop").build().expect("acceptable settings");
        match WriteBehind::<u64>::named("rows").connect(&cache).await {
            Ok(_) => break,
            Err(error) => assert!(error.is_transient(), "{error:?}"),
        }
        refused += 1;
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert!(refused > 0, "it was asked while it loaded");
    drop(restarts.await.expect("it does not panic"));
}

#[tokio::test]
async fn writes_go_over_a_cluster() {
    let url = RedisCluster::shared().await.url();
    let build = Cache::builder().redis(url).namespace(&namespace()).command_timeout(Duration::from_secs(1));
    let cache = build.build().expect("acceptable settings");
    let (applied, rows) = (Arc::<std::sync::Mutex<BTreeMap<String, u64>>>::default(), 50);
    let database = Arc::clone(&applied);
    let queue = WriteBehind::<u64>::named("rows").volatile(true).every("10ms");
    let queue = queue.start(&cache, move |batch| {
        let writes =
            batch.writes().iter().map(|write| (write.key().to_owned(), write.value().copied().unwrap_or(0)));
        database.lock().unwrap().extend(writes);
        async { Ok::<(), String>(()) }
    });
    let queue = queue.await.expect("it starts");
    for id in 0..rows {
        let entry = cache.entry::<u64>("row", id);
        queue.put(&entry, &id).await.expect("it is accepted");
        assert_eq!(
            queue.load(&entry, async || applied.lock().unwrap().get(&format!("row:{id}")).copied()).await,
            Some(id)
        );
    }
    wait_until("all is applied", DEADLINE, async || queue.stats().await.is_ok_and(|stats| stats.depth == 0))
        .await;
    assert_eq!(applied.lock().unwrap().len(), 50);
}
