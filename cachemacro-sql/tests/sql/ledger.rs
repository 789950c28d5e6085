//! The ledger of a queue of writes, on PostgreSQL. With owners that are killed and stopped, on SQLite, it is in `tests/tests/streams/owners.rs`.
//!
//! | removed | test |
//! |---|---|
//! | what took effect is left out | `a_write_takes_effect_once_however_often_its_batch_is_applied` |
//! | what was rolled back was not noted | the same |
//! | older fences are refused | `who_was_superseded_applies_nothing` |

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cachemacro::{Batch, Cache, WriteBehind};
use cachemacro_sql::{Ledger as _, LedgerError, ledger_migration};
use sqlx::{AssertSqlSafe, PgPool};

use crate::postgres::Server;

/// How an attempt ends.
#[derive(Debug, Clone, Copy)]
enum End {
    Committed,
    /// It is committed, and nobody is told.
    Unanswered,
    RolledBack,
}

/// Counts how often each write took effect.
async fn apply(pool: PgPool, batch: Batch<i64>, end: End) -> Result<(), LedgerError> {
    let lost = || LedgerError::Database(sqlx::Error::WorkerCrashed);
    let mut tx = pool.begin().await?;
    for write in tx.unapplied(batch).await? {
        let sql = "INSERT INTO effects VALUES ($1, $2, 1) ON CONFLICT (part, number) DO UPDATE SET times = effects.times + 1";
        let number = i64::try_from(write.number()).expect("microseconds since 1970");
        sqlx::query(sql).bind(write.key()).bind(number).execute(&mut *tx).await?;
        let sql = "INSERT INTO rows VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        sqlx::query(sql).bind(write.key()).bind(write.value()).execute(&mut *tx).await?;
    }
    match end {
        End::Committed => Ok(tx.commit().await?),
        End::Unanswered => {
            tx.commit().await?;
            Err(lost())
        }
        End::RolledBack => {
            tx.rollback().await?;
            Err(lost())
        }
    }
}

async fn database(server: &Server) -> PgPool {
    let pool = server.pool("postgres").await;
    let schema = "
        CREATE TABLE rows (key TEXT PRIMARY KEY, value BIGINT NOT NULL);
        CREATE TABLE effects (part TEXT, number BIGINT, times BIGINT NOT NULL, PRIMARY KEY (part, number));";
    // Run again, the migration changes nothing.
    let schema = format!("{schema}{}; {}", ledger_migration(), ledger_migration());
    sqlx::raw_sql(AssertSqlSafe(schema)).execute(&pool).await.expect("well-formed");
    pool
}

async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_write_takes_effect_once_however_often_its_batch_is_applied() {
    let server = Server::start();
    let (pool, cache) = (database(&server).await, Cache::memory());
    // Of each batch, by its first write: what is split off begins anew. By chance some batch would fail so often that its pauses are long.
    let attempts = Arc::new(Mutex::new(HashMap::<(String, u64), u32>::new()));
    let queue = WriteBehind::<i64>::named("rows").batch(20).every("10ms").attempts(1_000);
    let queue = queue.backoff(Duration::from_millis(1)).volatile(true);
    let (into, count) = (pool.clone(), Arc::clone(&attempts));
    let applied = move |batch: Batch<i64>| {
        let first = batch.writes().first().expect("a batch is not empty");
        let first = (first.key().to_owned(), first.number());
        let mut attempts = count.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = attempts.entry(first).or_default();
        *attempt += 1;
        let end = match *attempt {
            1 | 3 => End::Unanswered,
            2 => End::RolledBack,
            _ => End::Committed,
        };
        apply(into.clone(), batch, end)
    };
    let queue = queue.start(&cache, applied).await.expect("in memory, which is known");
    for value in 1..=5_i64 {
        for key in 0..60 {
            queue.put(&cache.entry::<i64>("row", key), &value).await.expect("accepted");
        }
    }
    until("all is applied", async || queue.stats().await.is_ok_and(|stats| stats.depth == 0)).await;
    assert!(queue.shutdown(Duration::from_secs(30)).await);
    let (writes, most): (i64, i64) =
        sqlx::query_as("SELECT COUNT(*), MAX(times) FROM effects").fetch_one(&pool).await.expect("counts");
    let attempts: u32 = attempts.lock().unwrap_or_else(PoisonError::into_inner).values().sum();
    assert_eq!(most, 1, "of {writes} writes in {attempts} attempts");
    let newest = "SELECT COUNT(*) FROM rows WHERE value = 5";
    let newest: i64 = sqlx::query_scalar(newest).fetch_one(&pool).await.expect("a count");
    assert_eq!(newest, 60);
    assert!(attempts > 20, "{attempts} attempts");
}

#[tokio::test]
async fn who_was_superseded_applies_nothing() {
    let server = Server::start();
    let (pool, cache) = (database(&server).await, Cache::memory());
    let errors = Arc::new(Mutex::new(Vec::new()));
    let queue = WriteBehind::<i64>::named("rows").every("5ms").attempts(1_000_000);
    let queue = queue.backoff(Duration::from_millis(1)).volatile(true);
    let (into, told) = (pool.clone(), Arc::clone(&errors));
    let applied = move |batch| {
        let (into, told) = (into.clone(), Arc::clone(&told));
        async move {
            let applied = apply(into, batch, End::Committed).await;
            if let Err(error) = &applied {
                told.lock().unwrap_or_else(PoisonError::into_inner).push(error.to_string());
            }
            applied
        }
    };
    let queue = queue.start(&cache, applied).await.expect("in memory, which is known");
    let entry = cache.entry::<i64>("row", 7);
    queue.put(&entry, &1).await.expect("accepted");
    until("it is applied", async || queue.stats().await.is_ok_and(|stats| stats.depth == 0)).await;
    // Another process has taken the partition over.
    let sql = "UPDATE cachemacro_ledger SET fence = fence + 100";
    sqlx::query(sql).execute(&pool).await.expect("a row");
    queue.put(&entry, &2).await.expect("accepted");
    let failed = || errors.lock().unwrap_or_else(PoisonError::into_inner).first().cloned();
    until("it is refused", async || failed().is_some()).await;
    assert_eq!(failed(), Some(LedgerError::Superseded.to_string()));
    let value: i64 = sqlx::query_scalar("SELECT value FROM rows").fetch_one(&pool).await.expect("a row");
    assert_eq!(value, 1);
}
