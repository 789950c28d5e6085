//! A database that is watched, and what its user says of it.

use std::sync::Arc;

use cachemacro::Cache;
use futures_core::future::BoxFuture;
use sqlx_core::database::Database;
use sqlx_core::error::Result;
use sqlx_core::pool::Pool;
use sqlx_core::sql_str::SqlSafeStr;

use crate::sql::catalogue::{Catalogue, Effects};
use crate::sql::dialect::Dialect;
use crate::watched::known::Known;
use crate::watched::noting::{Noted, noted};
use crate::watched::outbox::store::Store;
use crate::watched::outbox::table::Planned;
use crate::watched::shared::{About, Declared, Shared};
use crate::watched::transaction::WatchedTransaction;

/// A pool of connections whose statements are seen: what a load reads becomes the tags of what it loads, where that is
/// `recorded`, and a write evicts the tags of what it changed before it returns. It is used as the pool is, `&db` in place of `&pool`.
///
/// What the text of a statement hides is read from the catalogue before the first one and after each that changes it: foreign keys with
/// actions, views, triggers, keys. Cheap to clone.
///
/// ```
/// use cachemacro::{Cache, cached};
/// use cachemacro_sql::Watched;
///
/// struct Airports {
///     db: Watched<sqlx::SqlitePool>,
/// }
///
/// impl Airports {
///     #[cached(prefix = "count", recorded)]
///     async fn count(&self, country: &str) -> sqlx::Result<i64> {
///         sqlx::query_scalar("SELECT COUNT(*) FROM airports WHERE country = ?").bind(country).fetch_one(&self.db).await
///     }
///
///     async fn close(&self, icao: &str) -> sqlx::Result<()> {
///         sqlx::query("DELETE FROM airports WHERE icao = ?").bind(icao).execute(&self.db).await.map(drop)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
/// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
/// # let pool = options.connect("sqlite::memory:").await?;
/// # sqlx::raw_sql("CREATE TABLE airports (icao TEXT PRIMARY KEY, country TEXT); INSERT INTO airports VALUES ('EGLL', 'GB'), ('EGKK', 'GB')")
/// #     .execute(&pool).await?;
/// let airports = Airports { db: Watched::new(pool) };
/// assert_eq!(airports.count("GB").await?, 2);
/// assert_eq!(airports.count("GB").await?, 2); // from the cache
/// airports.close("EGKK").await?;
/// assert_eq!(airports.count("GB").await?, 1);
/// assert_eq!(Cache::current().stats().total.loads, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Watched<P> {
    pub(crate) pool: P,
    pub(crate) shared: Arc<Shared>,
}

/// A pool whose statements can be watched: one of sqlx, on a database whose feature is on.
///
/// ```
/// # use cachemacro_sql::{Watch, Watched};
/// fn watched<P: Watch>(pool: P) -> Watched<P> {
///     Watched::new(pool).named("shop")
/// }
/// ```
pub trait Watch: Clone + Send + Sync + 'static {
    /// The SQL that it speaks.
    #[doc(hidden)]
    const DIALECT: Dialect;

    /// Reads what the database knows of itself.
    #[doc(hidden)]
    fn catalogue(&self) -> BoxFuture<'_, Result<Catalogue>>;

    /// The outbox, which is there or not, with the triggers on these tables.
    ///
    /// # Errors
    /// Where there can be none.
    #[doc(hidden)]
    fn outbox(&self, tables: &[Planned]) -> Result<Arc<dyn Store>>;

    /// Whether a table has a column of this name.
    #[doc(hidden)]
    fn has_column<'a>(&'a self, table: &'a Planned, column: &'a str) -> BoxFuture<'a, Result<bool>>;

    /// What is missing of the outbox and the triggers on these tables, as statements.
    #[doc(hidden)]
    fn migration<'a>(&'a self, tables: &'a [Planned]) -> BoxFuture<'a, Result<Vec<String>>>;

    /// Defines what is missing.
    #[doc(hidden)]
    fn define<'a>(&'a self, tables: &'a [Planned]) -> BoxFuture<'a, Result<()>>;

    /// What triggers on these tables do not see.
    #[doc(hidden)]
    fn gaps<'a>(&'a self, tables: &'a [Planned]) -> BoxFuture<'a, Result<Vec<String>>>;
}

impl<P: Watch> Watched<P> {
    /// Watches this pool.
    ///
    /// ```
    /// use cachemacro_sql::Watched;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// let db = Watched::new(sqlx::SqlitePool::connect("sqlite::memory:").await?);
    /// let one: i64 = sqlx::query_scalar("SELECT 1").fetch_one(&db).await?;
    /// assert_eq!(one, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(pool: P) -> Self {
        Self { pool, shared: Shared::new(About::default(), P::DIALECT) }
    }
}

impl<P: Watch> Watched<P> {
    /// Notes a statement that is about to be run; gives what is to be done after it.
    pub(crate) async fn note(&self, sql: &str) -> Noted {
        noted(&self.shared, &self.known().await, sql)
    }

    async fn known(&self) -> Known {
        match self.shared.knowledge.without_asking() {
            Some(known) => known,
            // On the heap: nearly all calls know it.
            None => Box::pin(self.shared.known(self.pool.catalogue())).await,
        }
    }

    /// Reads the catalogue anew: what another process, a migration or `psql` made since, tables, triggers and foreign keys, is known from
    /// then on. Where it differs, all that is of the database is evicted. Tells whether it did.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// sqlx::query("SELECT 1").execute(&db).await?;
    /// assert!(!db.reread().await?);
    /// sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY)").execute(db.unwatched()).await?; // somebody else
    /// assert!(db.reread().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the database does not tell; what was known stays.
    pub async fn reread(&self) -> Result<bool> {
        let epoch = self.shared.knowledge.epoch();
        let catalogue = self.shared.declared(self.pool.catalogue().await?);
        let differs = self.shared.knowledge.replace(catalogue, epoch);
        if differs {
            self.shared.evict_all().await;
        }
        Ok(differs)
    }
}

impl<DB: Database> Watched<Pool<DB>>
where
    Pool<DB>: Watch,
{
    /// Begins a transaction.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY)").execute(&db).await?;
    ///
    /// let mut tx = db.begin().await?;
    /// sqlx::query("INSERT INTO users VALUES (7)").execute(&mut tx).await?;
    /// tx.commit().await?; // evicts what was made of `users`
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where there is no connection, or it is refused.
    pub async fn begin(&self) -> Result<WatchedTransaction<'static, DB>> {
        // Before it begins, so that its first statement is its user's.
        let known = self.known().await;
        Ok(WatchedTransaction::new(self.pool.begin().await?, Arc::clone(&self.shared), known))
    }

    /// Begins a transaction by this statement.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// # let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// # sqlx::raw_sql("CREATE TABLE users (id INTEGER PRIMARY KEY)").execute(&db).await?;
    /// let mut tx = db.begin_with("BEGIN IMMEDIATE").await?; // `BEGIN ISOLATION LEVEL SERIALIZABLE` on PostgreSQL
    /// sqlx::query("INSERT INTO users VALUES (7)").execute(&mut tx).await?;
    /// tx.commit().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where there is no connection, or it is refused.
    pub async fn begin_with(&self, statement: impl SqlSafeStr) -> Result<WatchedTransaction<'static, DB>> {
        let known = self.known().await;
        let inner = self.pool.begin_with(statement).await?;
        Ok(WatchedTransaction::new(inner, Arc::clone(&self.shared), known))
    }
}

impl<P> Watched<P> {
    /// What is said now is known to this handle and its later clones alone.
    fn about(self, say: impl FnOnce(&mut About)) -> Self {
        let mut about = self.shared.about.clone();
        say(&mut about);
        Self { shared: Shared::new(about, self.shared.dialect()), pool: self.pool }
    }

    /// The name of this database in tags, in place of `db`: two databases have two.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// let pool = sqlx::SqlitePool::connect_lazy("sqlite::memory:")?;
    /// let shop = Watched::new(pool).named("shop");
    /// assert_eq!(shop.row("orders", 7), ["shop:orders:7", "shop:orders:*", "shop"]);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn named(self, name: impl Into<String>) -> Self {
        self.about(|about| about.name = name.into())
    }

    /// The cache to evict from, in place of the scoped or the global one.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let cache = cachemacro::Cache::memory();
    /// let db = Watched::new(sqlx::SqlitePool::connect("sqlite::memory:").await?).cache(&cache);
    /// let user = cache.entry::<u32>("user", 7).with_tags(["db:users"]);
    /// user.set(&1).await?;
    /// sqlx::raw_sql("CREATE TABLE users (id INTEGER)").execute(&db).await?;
    /// assert!(!user.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn cache(self, cache: &Cache) -> Self {
        self.about(|about| about.cache = Some(cache.clone()))
    }

    /// What a trigger does that is not understood. Where nobody says it, each write of its table evicts all that is of the database.
    ///
    /// ```
    /// # use cachemacro_sql::{Effects, Watched};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let pool = sqlx::SqlitePool::connect_lazy("sqlite::memory:")?;
    /// let db = Watched::new(pool).trigger("users", "log_users", Effects::none().writes(["log"]));
    /// # let _ = db;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn trigger(self, table: &str, name: &str, effects: Effects) -> Self {
        let declared = Declared::Trigger { table: table.to_owned(), name: name.to_owned(), effects };
        self.about(|about| about.declared.push(declared))
    }

    /// What a function or procedure does.
    ///
    /// ```
    /// # use cachemacro_sql::{Effects, Watched};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let pool = sqlx::SqlitePool::connect_lazy("sqlite::memory:")?;
    /// let db = Watched::new(pool).routine("refresh_totals", Effects::none().reads(["orders"]).writes(["totals"]));
    /// # let _ = db;
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn routine(self, name: &str, effects: Effects) -> Self {
        let declared = Declared::Routine { name: name.to_owned(), effects };
        self.about(|about| about.declared.push(declared))
    }

    /// [`row`](crate::row) in this database.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// let db = Watched::new(sqlx::SqlitePool::connect_lazy("sqlite::memory:")?);
    /// assert_eq!(db.row("airports", "EGLL"), cachemacro_sql::row("airports", "EGLL"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn row(&self, table: &str, key: impl std::fmt::Display) -> [String; 3] {
        crate::tags::row_of(&self.shared.about.name, table, key)
    }

    /// The pool itself, whose statements nobody sees.
    ///
    /// ```
    /// # use cachemacro_sql::Watched;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// let db = Watched::new(sqlx::SqlitePool::connect_lazy("sqlite::memory:")?);
    /// db.unwatched().close().await;
    /// # Ok(())
    /// # }
    /// ```
    pub const fn unwatched(&self) -> &P {
        &self.pool
    }
}
