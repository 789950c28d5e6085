//! Transactions and savepoints: what they write is evicted once they have committed.

use std::fmt;
use std::mem;
use std::panic::resume_unwind;
use std::sync::Arc;

use sqlx_core::database::Database;
use sqlx_core::error::{Error, Result};
use sqlx_core::transaction::Transaction;
use tokio::runtime::Handle;
use tracing::Instrument as _;

use crate::sql::footprint::Footprint;
use crate::watched::after::After;
use crate::watched::known::Known;
use crate::watched::shared::{Evicts, Shared};

/// What a transaction has written so far, or is about to.
#[derive(Debug, Default)]
pub(crate) struct Written {
    evicts: Evicts,
    changes_catalogue: bool,
    /// A text in it has committed or rolled back: what comes then is written at once, or in a transaction that nobody follows.
    ended: bool,
}

impl Written {
    fn merge(&mut self, other: Self) {
        self.evicts.merge(other.evicts);
        self.changes_catalogue |= other.changes_catalogue;
        self.ended |= other.ended;
    }
}

/// A connection in a transaction. What has the connection to itself can be committed by a task.
pub(crate) enum Within<'c, DB: Database> {
    Whole(Transaction<'static, DB>),
    Savepoint(Transaction<'c, DB>),
}

impl<DB: Database> Within<'_, DB> {
    #[expect(clippy::match_same_arms, reason = "they are of two types")]
    pub(crate) fn connection(&mut self) -> &mut DB::Connection {
        match self {
            Self::Whole(transaction) => transaction,
            Self::Savepoint(transaction) => transaction,
        }
    }
}

/// A transaction, or a savepoint in one, whose statements are seen. It is used as the transaction is, `&mut tx` in place of `&mut *tx`.
///
/// What it writes is evicted by [`commit`](Self::commit), after the database has committed and before that returns; where it is
/// rolled back or dropped, nothing is. A commit goes on where nobody waits for it any more, and evicts then; so does one whose answer is an
/// error, since it may have happened.
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
    pub(crate) inner: Within<'c, DB>,
    pub(crate) shared: Arc<Shared>,
    /// What statements do, as it was known before the transaction began: asking in it would be its first statement.
    known: Known,
    written: Written,
    /// What the transaction has written that this is a savepoint in.
    around: Option<&'c mut Written>,
    /// What was written before this savepoint.
    before: Evicts,
}

impl<DB: Database> fmt::Debug for WatchedTransaction<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WatchedTransaction").field("written", &self.written).finish_non_exhaustive()
    }
}

impl<DB: Database> WatchedTransaction<'_, DB> {
    pub(crate) fn new(inner: Transaction<'static, DB>, shared: Arc<Shared>, known: Known) -> Self {
        let (inner, written, before) = (Within::Whole(inner), Written::default(), Evicts::default());
        Self { inner, shared, known, written, around: None, before }
    }

    /// What the statements of this text do. Where the catalogue has changed since the transaction began, its commit tells.
    pub(crate) fn footprint(&self, sql: &str) -> Arc<Footprint> {
        self.known.footprint(sql)
    }

    /// A statement is about to be run that writes this; gives what is to be done after it.
    pub(crate) fn writes(&mut self, evicts: Evicts, footprint: &Footprint) -> Option<After> {
        self.written.changes_catalogue |= footprint.changes_catalogue();
        let ended = footprint.ends().then(|| {
            self.written.ended = true;
            self.around.iter_mut().for_each(|around| around.ended = true);
            let mut all = self.before.clone();
            all.removals.merge(self.shared.all());
            all.merge(self.written.evicts.clone());
            all
        });
        let at_once = self.written.ended.then(|| {
            let mut all = evicts.clone();
            if let Some(more) = ended {
                all.merge(more);
            }
            After::new(&self.shared, all, self.known.epoch(), self.written.changes_catalogue)
        });
        self.written.evicts.merge(evicts);
        at_once
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
        let inner = Within::Savepoint(Transaction::begin(self.inner.connection(), None).await?);
        let mut before = self.before.clone();
        before.merge(self.written.evicts.clone());
        let Written { changes_catalogue, ended, .. } = self.written;
        Ok(WatchedTransaction {
            inner,
            shared: Arc::clone(&self.shared),
            known: self.known.clone(),
            written: Written { changes_catalogue, ended, evicts: Evicts::default() },
            around: Some(&mut self.written),
            before,
        })
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
        let inner = match self.inner {
            Within::Savepoint(savepoint) => {
                // Before it is released: cancelled, it may have been.
                self.around.iter_mut().for_each(|around| around.merge(mem::take(&mut self.written)));
                return savepoint.commit().await;
            }
            Within::Whole(transaction) => transaction,
        };
        let Written { evicts, changes_catalogue, .. } = self.written;
        if evicts.is_empty() && !changes_catalogue {
            return inner.commit().await;
        }
        let after = After::new(&self.shared, evicts, self.known.epoch(), changes_catalogue);
        // A server that was told to commit does so, whoever waits for it. What is loaded until it has would be older than an evict.
        let committed = async move {
            let committed = inner.commit().await;
            after.run().await;
            committed
        };
        match Handle::try_current() {
            Ok(runtime) => match runtime.spawn(committed.in_current_span()).await {
                Ok(committed) => committed,
                Err(error) => match error.try_into_panic() {
                    Ok(panic) => resume_unwind(panic),
                    Err(_) => Err(Error::WorkerCrashed),
                },
            },
            Err(_) => committed.await,
        }
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
        match self.inner {
            Within::Whole(transaction) => transaction.rollback().await,
            Within::Savepoint(savepoint) => savepoint.rollback().await,
        }
    }

    /// The connection itself, for what is to be run unseen.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// # let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// # sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY)").execute(&db).await?;
    /// let mut tx = db.begin().await?;
    /// sqlx::query("INSERT INTO users VALUES (7)").execute(tx.unwatched()).await?;
    /// tx.commit().await?; // evicts nothing
    /// # Ok(())
    /// # }
    /// ```
    pub fn unwatched(&mut self) -> &mut DB::Connection {
        self.inner.connection()
    }
}
