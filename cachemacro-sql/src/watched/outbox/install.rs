//! Triggers for what handles do not see, and the task that evicts what they note.

use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, Instant};

use cachemacro::{Part, PartHealth};
use sqlx_core::error::{Error, Result};
use tokio::task::JoinHandle;

use crate::watched::handle::{Watch, Watched};
use crate::watched::outbox::draining::{Draining, Round};
use crate::watched::outbox::table::{Planned, Table, plan};
use crate::watched::shared::Shared;

/// The catalogue is read anew each so often: nothing tells of what others define.
const REREAD: Duration = Duration::from_mins(1);

/// Has triggers note what changes these tables, whoever does it: `psql`, `sqlite3`, services in other languages, cascades and other
/// triggers. What they note lies in a table `cachemacro_outbox`, and is evicted by a task of this process, each 250 ms: tables and, where a
/// [key](Table::key) is named, rows, up to 64 a statement. A writer that died between its commit and its evict is covered, too.
///
/// Writes through this handle evict before they return, as before, and now the rows that they changed, also where their keys were bound.
///
/// On SQLite, and PostgreSQL 13 or later. What is there already is left alone, so that it costs nothing where a service starts again, and a
/// role without the right to define may be given what [`migration`] prints. Every process that caches installs, and each drains: into one store
/// and namespace, since a row is deleted once one of them has evicted it.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_sql::{Watched, install, row, table};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
/// let pool = options.connect("sqlite::memory:").await?;
/// sqlx::raw_sql("CREATE TABLE airports (icao TEXT PRIMARY KEY, name TEXT)").execute(&pool).await?;
/// let cache = Cache::memory();
/// let db = Watched::new(pool.clone()).cache(&cache);
/// let outbox = install(&db, [table("airports").key("icao")]).await?;
///
/// let heathrow = cache.entry::<String>("airport", "EGLL").with_tags(row("airports", "EGLL"));
/// heathrow.set(&"Heathrow".to_owned()).await?;
/// sqlx::raw_sql("INSERT INTO airports VALUES ('EGLL', 'London')").execute(&pool).await?; // not through `db`
/// outbox.drain().await?; // or 250 ms later
/// assert!(!heathrow.has().await?);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Where a table or its key column is not there ([`Configuration`](Error::Configuration)), or the database refuses what is to be defined.
pub async fn install<P: Watch>(db: &Watched<P>, tables: impl IntoIterator<Item = Table>) -> Result<Outbox> {
    let tables: Vec<Table> = tables.into_iter().collect();
    let catalogue = db.shared.declared(db.pool.catalogue().await?);
    let planned = plan(&catalogue, &tables)?;
    check_keys(&db.pool, &planned).await?;
    db.pool.define(&planned).await?;
    let gaps = db.pool.gaps(&planned).await?;
    for gap in &gaps {
        tracing::info!(database = db.shared.about.name, gap, "triggers do not see all");
    }
    let told = planned.iter().flat_map(|table| table.tags.iter().map(|(tag, _)| tag.clone())).collect();
    let shared = &db.shared;
    let draining = Draining::new(db.pool.outbox(&planned)?, shared.cache(), shared.about.name.clone(), told);
    let draining = Arc::new(draining);
    shared.install(&draining);
    let reread = {
        let (pool, shared) = (db.pool.clone(), Arc::downgrade(shared));
        move || reread(pool.clone(), shared.clone())
    };
    let part = {
        let draining = Arc::downgrade(&draining);
        let told = move || draining.upgrade().map_or_else(PartHealth::ok, |draining| draining.health());
        shared.cache().health_part(format!("outbox:{}", shared.about.name), told)
    };
    let task = tokio::spawn(drain(Arc::clone(&draining), Arc::downgrade(shared), reread, part));
    Ok(Outbox { draining, gaps, task: Mutex::new(Some(task)) })
}

/// # Errors
/// Where a key is no column of its table.
async fn check_keys<P: Watch>(pool: &P, planned: &[Planned]) -> Result<()> {
    for table in planned {
        if let Some(key) = &table.key
            && !pool.has_column(table, key).await?
        {
            return Err(Error::Configuration(format!("the table {} has no column {key}", table.name).into()));
        }
    }
    Ok(())
}

/// What [`install`] would run, for a migration of one's own: empty where all of it is there.
///
/// ```
/// use cachemacro_sql::{Watched, migration, table};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
/// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
/// # let db = Watched::new(options.connect("sqlite::memory:").await?);
/// sqlx::raw_sql("CREATE TABLE airports (icao TEXT PRIMARY KEY)").execute(&db).await?;
/// let sql = migration(&db, [table("airports").key("icao")]).await?;
/// assert!(sql.contains("CREATE TRIGGER"));
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// Where a table or its key column is not there, or the database does not tell what it has.
pub async fn migration<P: Watch>(db: &Watched<P>, tables: impl IntoIterator<Item = Table>) -> Result<String> {
    let tables: Vec<Table> = tables.into_iter().collect();
    let planned = plan(&db.pool.catalogue().await?, &tables)?;
    check_keys(&db.pool, &planned).await?;
    Ok(db.pool.migration(&planned).await?.concat())
}

/// What triggers note, and the task that evicts it: that goes on where this is dropped, until [`stop`](Self::stop), or as long as a handle of
/// the database is there.
///
/// ```
/// # use cachemacro_sql::{Watched, install, table};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
/// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
/// # let db = Watched::new(options.connect("sqlite::memory:").await?);
/// # sqlx::raw_sql("CREATE TABLE airports (icao TEXT PRIMARY KEY)").execute(&db).await?;
/// let outbox = install(&db, [table("airports")]).await?;
/// assert_eq!(outbox.health().await?.waiting, 0);
/// outbox.stop().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Outbox {
    draining: Arc<Draining>,
    gaps: Vec<String>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// How an [`Outbox`] is.
///
/// ```
/// # fn show(health: cachemacro_sql::OutboxHealth) {
/// println!("{} rows wait, for up to {:?}", health.waiting, health.lag);
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct OutboxHealth {
    /// So many rows wait to be evicted and deleted, by whichever process.
    pub waiting: u64,
    /// For how long the oldest of them has; zero where there is none.
    pub lag: Duration,
    /// So many rows this process has evicted.
    pub evicted: u64,
    /// Why its last round failed; `None` where it did not.
    pub failing: Option<String>,
}

impl Outbox {
    /// What the triggers do not see: a sentence each.
    ///
    /// ```
    /// # use cachemacro_sql::{Watched, install, table};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> sqlx::Result<()> {
    /// # let options = sqlx::sqlite::SqlitePoolOptions::new().max_connections(1);
    /// # let db = Watched::new(options.connect("sqlite::memory:").await?);
    /// sqlx::raw_sql("CREATE TABLE airports (icao TEXT PRIMARY KEY, iata TEXT UNIQUE)").execute(&db).await?;
    /// let outbox = install(&db, [table("airports").key("icao")]).await?;
    /// assert!(outbox.gaps()[0].contains("recursive_triggers"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn gaps(&self) -> &[String] {
        &self.gaps
    }

    /// Evicts now what waits.
    ///
    /// ```
    /// # async fn settled(outbox: cachemacro_sql::Outbox) -> sqlx::Result<()> {
    /// outbox.drain().await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where something is left, since the database or the cache's store does not answer.
    pub async fn drain(&self) -> Result<()> {
        loop {
            match self.draining.round().await {
                Round::Full => {}
                Round::Over => return Ok(()),
                Round::Failed => {
                    let why = self.draining.failing().unwrap_or_default();
                    return Err(Error::Io(std::io::Error::other(why)));
                }
            }
        }
    }

    /// How it is now. As its last round left it, it is told by [`Cache::health`](cachemacro::Cache::health), too.
    ///
    /// ```
    /// # async fn show(outbox: cachemacro_sql::Outbox) -> sqlx::Result<()> {
    /// let health = outbox.health().await?;
    /// assert!(health.failing.is_none() && health.lag.as_secs() < 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn health(&self) -> Result<OutboxHealth> {
        let (waiting, lag) = self.draining.store.waiting().await?;
        Ok(OutboxHealth {
            waiting: u64::try_from(waiting).unwrap_or(0),
            lag: Duration::try_from_secs_f64(lag).unwrap_or_default(),
            evicted: self.draining.count(),
            failing: self.draining.failing(),
        })
    }

    /// Has the task ask so often what was noted, in place of each 250 ms: what others write is evicted so much later at most.
    ///
    /// ```
    /// # use std::time::Duration;
    /// # async fn rarely(outbox: cachemacro_sql::Outbox) {
    /// outbox.poll(Duration::from_secs(5));
    /// # }
    /// ```
    pub fn poll(&self, every: Duration) {
        self.draining.poll(every);
    }

    /// Ends the task, once its round is over. Triggers go on noting, and [`drain`](Self::drain) evicts that still.
    ///
    /// ```
    /// # async fn end(outbox: cachemacro_sql::Outbox) {
    /// outbox.stop().await;
    /// # }
    /// ```
    pub async fn stop(&self) {
        self.draining.stop();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            let _ = task.await;
        }
    }
}

async fn drain<R: Future<Output = ()>>(
    draining: Arc<Draining>,
    shared: Weak<Shared>,
    reread: impl Fn() -> R,
    _part: Part,
) {
    let mut read = Instant::now();
    while !draining.is_over() && shared.strong_count() > 0 {
        if draining.round().await != Round::Full {
            draining.pause().await;
        }
        if read.elapsed() >= REREAD {
            reread().await;
            read = Instant::now();
        }
    }
}

async fn reread<P: Watch>(pool: P, shared: Weak<Shared>) {
    let Some(shared) = shared.upgrade() else { return };
    let _ = Watched { pool, shared }.reread().await;
}
