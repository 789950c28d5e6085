//! Transactions and savepoints: what they write is evicted once they have committed.

use std::fmt;
use std::mem;
use std::sync::Arc;

use cachemacro::Removals;
use sqlx_core::database::Database;
use sqlx_core::error::Result;
use sqlx_core::transaction::Transaction;

use crate::sql::footprint::Footprint;
use crate::watched::after::After;
use crate::watched::shared::Shared;

/// What a transaction has written so far, or is about to.
#[derive(Debug, Default)]
pub(crate) struct Written {
    removals: Removals,
    changes_catalogue: bool,
}

impl Written {
    /// A statement is about to be run.
    pub(crate) fn add(&mut self, removals: Removals, footprint: &Footprint) {
        self.removals.merge(removals);
        self.changes_catalogue |= footprint.changes_catalogue();
    }

    fn merge(&mut self, other: Self) {
        self.removals.merge(other.removals);
        self.changes_catalogue |= other.changes_catalogue;
    }
}

/// A transaction, or a savepoint in one, whose statements are seen. It is used as the transaction is, `&mut tx` in place of `&mut *tx`.
///
/// What it writes is evicted by [`commit`](Self::commit), after the database has committed and before that returns; where it is
/// rolled back or dropped, nothing is. A commit that is cancelled, or whose answer is an error, may have happened, and evicts.
/// What a savepoint wrote goes with it where it is rolled back alone. A load that reads in a transaction is not stored: the
/// snapshot that it sees may be older than an evict.
///
/// Inside [`after_commit`](cachemacro::after_commit), cached calls know of it, too: once it has written they neither read nor store, and what
/// attributed functions evict and put waits for the end of that.
///
/// ```
/// use cachemacro_sql::WatchedTransaction;
/// use sqlx::Sqlite;
///
/// async fn add(tx: &mut WatchedTransaction<'_, Sqlite>, id: i64) -> sqlx::Result<()> {
///     sqlx::query("INSERT INTO users VALUES (?)").bind(id).execute(tx).await.map(drop)
/// }
/// ```
pub struct WatchedTransaction<'c, DB: Database> {
    pub(crate) inner: Transaction<'c, DB>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) written: Written,
    /// What the transaction has written that this is a savepoint in.
    around: Option<&'c mut Written>,
}

impl<DB: Database> fmt::Debug for WatchedTransaction<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedTransaction").field("written", &self.written).finish_non_exhaustive()
    }
}

impl<'c, DB: Database> WatchedTransaction<'c, DB> {
    pub(crate) fn new(inner: Transaction<'c, DB>, shared: Arc<Shared>) -> Self {
        Self { inner, shared, written: Written::default(), around: None }
    }

    /// A savepoint.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// # let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// # sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY)").execute(&db).await?;
    /// let mut tx = db.begin().await?;
    /// sqlx::query("INSERT INTO users VALUES (7)").execute(&mut tx).await?;
    /// let mut undone = tx.begin().await?;
    /// sqlx::query("DELETE FROM users").execute(&mut undone).await?;
    /// undone.rollback().await?;
    /// tx.commit().await?; // evicts what the insert changed
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the database refuses it.
    pub async fn begin(&mut self) -> Result<WatchedTransaction<'_, DB>> {
        let inner = Transaction::begin(&mut *self.inner, None).await?;
        let (shared, written) = (Arc::clone(&self.shared), Written::default());
        Ok(WatchedTransaction { inner, shared, written, around: Some(&mut self.written) })
    }

    /// Commits, then evicts what was written. A savepoint hands that to the transaction around it.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// # let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// # sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY)").execute(&db).await?;
    /// let mut tx = db.begin().await?;
    /// sqlx::query("INSERT INTO users VALUES (7)").execute(&mut tx).await?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the database says. What was written is evicted all the same: it may be there.
    pub async fn commit(mut self) -> Result<()> {
        let written = mem::take(&mut self.written);
        if let Some(around) = self.around {
            // Before it is released: cancelled, it may have been.
            around.merge(written);
            return self.inner.commit().await;
        }
        let after = After::new(&self.shared, written.removals, written.changes_catalogue);
        let committed = self.inner.commit().await;
        after.run().await;
        committed
    }

    /// Undoes what was written; nothing is evicted.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// # let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// # sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY)").execute(&db).await?;
    /// let mut tx = db.begin().await?;
    /// sqlx::query("INSERT INTO users VALUES (7)").execute(&mut tx).await?;
    /// tx.rollback().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the database says. The transaction is undone all the same, at the latest with its connection.
    pub async fn rollback(self) -> Result<()> {
        self.inner.rollback().await
    }

    /// The transaction itself, for what is to be run unseen.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// # let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// # sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY)").execute(&db).await?;
    /// let mut tx = db.begin().await?;
    /// sqlx::query("INSERT INTO users VALUES (7)").execute(&mut **tx.unwatched()).await?;
    /// tx.commit().await?; // evicts nothing
    /// # Ok(())
    /// # }
    /// ```
    pub const fn unwatched(&mut self) -> &mut Transaction<'c, DB> {
        &mut self.inner
    }
}
