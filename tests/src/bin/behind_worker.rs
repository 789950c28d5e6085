//! A process that applies writes of a queue to a database on SQLite, with its ledger, until the test ends or kills it.
//!
//! Arguments: the server's URL, the namespace, the database's file, the lease in milliseconds.

use std::error::Error;
use std::time::Duration;

use cachemacro::{Batch, Cache, WriteBehind};
use cachemacro_sql::{Ledger as _, LedgerError};
use cachemacro_tests::worker::{commands, say};
use sqlx::SqlitePool;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

#[tokio::main]
async fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [url, namespace, file, lease] = &args[..] else { return Err("four arguments".into()) };
    let options = SqliteConnectOptions::new().filename(file).busy_timeout(Duration::from_secs(30));
    let options = options.journal_mode(SqliteJournalMode::Wal).synchronous(SqliteSynchronous::Normal);
    let pool = SqlitePoolOptions::new().max_connections(4).connect_with(options).await?;
    let cache =
        Cache::builder().redis(url).namespace(namespace).command_timeout(Duration::from_secs(1)).build()?;
    let lease = Duration::from_millis(lease.parse()?);
    let queue = loop {
        let queue = WriteBehind::<u64>::named("rows").batch(100).every("20ms").attempts(1_000_000);
        let (queue, pool) = (queue.backoff(Duration::from_millis(10)).lease(lease), pool.clone());
        match queue.start(&cache, move |batch| apply(pool.clone(), batch)).await {
            Ok(queue) => break queue,
            // The server is away for a moment.
            Err(error) if error.is_transient() => tokio::time::sleep(Duration::from_millis(50)).await,
            Err(error) => return Err(error.into()),
        }
    };
    say("ready");
    tokio::task::spawn_blocking(|| commands().count()).await?;
    queue.shutdown(Duration::from_secs(30)).await;
    Ok(())
}

/// Each write in one transaction with the ledger; how often each took effect is counted, and whether an older one came after a newer.
async fn apply(pool: SqlitePool, batch: Batch<u64>) -> Result<(), LedgerError> {
    let mut tx = pool.begin_with("BEGIN IMMEDIATE").await?;
    for write in tx.unapplied(batch).await? {
        let value = i64::try_from(write.value().copied().unwrap_or(0)).unwrap_or(i64::MAX);
        let number = i64::try_from(write.number()).unwrap_or(i64::MAX);
        let effect = "INSERT INTO effects VALUES ($1, $2, 1) ON CONFLICT (part, number) DO UPDATE SET times = times + 1";
        let part = write.key().to_owned();
        sqlx::query(effect).bind(part).bind(number).execute(&mut *tx).await?;
        let disorder = "INSERT INTO disorder SELECT key FROM rows WHERE key = $1 AND value > $2";
        sqlx::query(disorder).bind(write.key()).bind(value).execute(&mut *tx).await?;
        let row = "INSERT INTO rows VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value";
        sqlx::query(row).bind(write.key()).bind(value).execute(&mut *tx).await?;
    }
    Ok(tx.commit().await?)
}
