//! The ledger of a queue of writes: a row for each partition, written in the transaction that applies a batch, so that each write takes effect once.

mod row;

use std::error::Error as StdError;
use std::fmt;
use std::future::Future;

use cachemacro::{Batch, QueuedWrite};
use sqlx_core::error::Error;
use sqlx_core::query::query;
use sqlx_core::row::Row as _;

use crate::ledger::row::Row;

/// The table; [`migration`] defines it.
const TABLE: &str = "cachemacro_ledger";

/// The statement that defines the ledger, in SQLite and PostgreSQL alike; run again, it changes nothing.
///
/// ```
/// assert!(cachemacro_sql::ledger_migration().starts_with("CREATE TABLE IF NOT EXISTS cachemacro_ledger"));
/// ```
pub fn migration() -> String {
    format!(
        "CREATE TABLE IF NOT EXISTS {TABLE} (queue TEXT NOT NULL, part INTEGER NOT NULL, fence BIGINT NOT NULL, applied BIGINT NOT NULL, \
         aside TEXT NOT NULL, PRIMARY KEY (queue, part))"
    )
}

/// Why a batch is not to be applied.
///
/// ```
/// use cachemacro_sql::LedgerError;
///
/// assert_eq!(LedgerError::Superseded.to_string(), "another process applies the writes of this partition by now");
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum LedgerError {
    /// This process was silent for longer than its lease, and another has taken the partition over.
    Superseded,
    /// The database failed.
    Database(Error),
}

impl fmt::Display for LedgerError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Superseded => f.write_str("another process applies the writes of this partition by now"),
            Self::Database(error) => write!(f, "the ledger could not be written: {error}"),
        }
    }
}

impl StdError for LedgerError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Superseded => None,
            Self::Database(error) => Some(error),
        }
    }
}

impl From<Error> for LedgerError {
    fn from(error: Error) -> Self {
        Self::Database(error)
    }
}

/// A connection to a database that has the ledger. Implemented for those of sqlx on SQLite and PostgreSQL.
///
/// ```
/// use cachemacro::{Batch, QueuedWrite};
/// use cachemacro_sql::{Ledger, LedgerError};
///
/// /// What `apply` does with its transaction first.
/// async fn new_writes(tx: &mut impl Ledger, batch: Batch<String>) -> Result<Vec<QueuedWrite<String>>, LedgerError> {
///     tx.unapplied(batch).await
/// }
/// ```
pub trait Ledger {
    /// Notes in the ledger that this batch is applied, and gives the writes of it that took no effect before: those to apply now, in the transaction in which this
    /// was called. Where that is rolled back, nothing was noted. Batches of one partition wait for each other here.
    ///
    /// ```
    /// use cachemacro::Batch;
    /// use cachemacro_sql::{Ledger as _, LedgerError};
    ///
    /// async fn apply(pool: &sqlx::SqlitePool, batch: Batch<String>) -> Result<(), LedgerError> {
    ///     let mut tx = pool.begin().await?;
    ///     for write in tx.unapplied(batch).await? {
    ///         let name = write.value();
    ///         sqlx::query("UPDATE users SET name = ? WHERE key = ?").bind(name).bind(write.key()).execute(&mut *tx).await?;
    ///     }
    ///     Ok(tx.commit().await?)
    /// }
    /// ```
    ///
    /// # Errors
    /// [`LedgerError::Superseded`] where a process that came to own the partition later has written; where the database failed.
    fn unapplied<T: Send>(
        &mut self,
        batch: Batch<T>,
    ) -> impl Future<Output = Result<Vec<QueuedWrite<T>>, LedgerError>> + Send;
}

macro_rules! ledger {
    ($connection:ty) => {
        impl Ledger for $connection {
            async fn unapplied<T: Send>(&mut self, batch: Batch<T>) -> Result<Vec<QueuedWrite<T>>, LedgerError> {
                let tenure = batch.tenure();
                let (queue, part) = (tenure.queue().to_owned(), i32::from(tenure.partition()));
                // Whoever comes next waits here, as the row is locked until the transaction ends.
                let text = format!(
                    "INSERT INTO {TABLE} (queue, part, fence, applied, aside) VALUES ($1, $2, $3, 0, '') ON CONFLICT (queue, part) DO \
                     UPDATE SET fence = excluded.fence WHERE {TABLE}.fence <= excluded.fence RETURNING applied, aside"
                );
                let noting = query(sqlx_core::sql_str::AssertSqlSafe(text)).bind(&queue).bind(part).bind(signed(tenure.fence()));
                let Some(found) = noting.fetch_optional(&mut *self).await? else {
                    return Err(LedgerError::Superseded);
                };
                let aside: String = found.try_get(1)?;
                let mut row = Row::read(found.try_get(0)?, &aside);
                let new: Vec<bool> = batch.writes().iter().map(|write| row.is_new(write.number())).collect();
                let numbers = batch.writes().iter().map(QueuedWrite::number);
                row.note(tenure.up_to(), tenure.left(), numbers.chain(tenure.gone()));
                let text = format!("UPDATE {TABLE} SET applied = $1, aside = $2 WHERE queue = $3 AND part = $4");
                let noting = query(sqlx_core::sql_str::AssertSqlSafe(text)).bind(signed(row.applied())).bind(row.aside());
                noting.bind(&queue).bind(part).execute(&mut *self).await?;
                let writes = batch.into_writes().into_iter().zip(new);
                Ok(writes.filter_map(|(write, is_new)| is_new.then_some(write)).collect())
            }
        }
    };
}

#[cfg(feature = "sqlx-sqlite")]
ledger!(sqlx_sqlite::SqliteConnection);
#[cfg(feature = "sqlx-postgres")]
ledger!(sqlx_postgres::PgConnection);

/// Numbers are microseconds since 1970, or one more than the last.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
