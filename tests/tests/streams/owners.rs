//! Writes that are accepted now and applied later, while owners are killed and stopped, and the server is restarted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachemacro::{Cache, ErrorKind, WriteBehind};
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
