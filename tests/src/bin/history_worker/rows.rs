//! Cached functions over the database: each way in which a row can be read, written and evicted by attribute.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use anyhow::Result;
use cachemacro::{Cache, Entry, cache_config, cache_evict, cache_put, cached};
use cachemacro_tests::history::{Database, Kind, LOCAL, Row, micros};
use tokio::time::sleep;

/// So many rows of each kind are what most calls are about.
pub(crate) const HOT: u64 = 8;

/// What becomes of a query.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Query {
    /// How long it takes.
    pub(crate) takes: Duration,
    /// Whether the database refuses it then.
    pub(crate) is_refused: bool,
}

/// The database refused a query, as it was to do.
#[derive(Debug)]
pub(crate) struct Refused;

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the database refused the query")
    }
}

impl Error for Refused {}

/// The database behind its cache.
#[derive(Debug, Clone)]
pub(crate) struct Rows {
    /// The cache.
    pub(crate) cache: Cache,
    /// The database.
    pub(crate) database: Database,
}

impl Rows {
    /// Reads or writes a row: its stamp is of the beginning, and it takes its time to come back.
    ///
    /// # Errors
    /// [`Refused`] where the database is to refuse it, and where the database fails.
    pub(crate) async fn query(&self, kind: Kind, id: u64, query: Query) -> Result<Row> {
        let at = micros();
        let stamp = self.database.stamp().await?;
        if !query.takes.is_zero() {
            sleep(query.takes).await;
        }
        if query.is_refused {
            return Err(Refused.into());
        }
        Ok(Row { kind, id, stamp, at })
    }

    /// Reads a row through its cached function.
    pub(crate) async fn read(&self, kind: Kind, id: u64, query: Query) -> Result<Row> {
        match kind {
            Kind::Plain => self.plain(id, query).await,
            Kind::Tagged => self.tagged(id, query).await,
            Kind::Late => self.late(id, query).await,
            Kind::Aging => self.aging(id, query).await,
        }
    }

    /// Reads a row through a function that takes local copies.
    pub(crate) async fn read_local(&self, kind: Kind, id: u64, query: Query) -> Result<Row> {
        match kind {
            Kind::Plain => self.plain_local(id, query).await,
            Kind::Tagged => self.tagged_local(id, query).await,
            Kind::Late => self.late_local(id, query).await,
            Kind::Aging => self.aging(id, query).await,
        }
    }

    /// A row's entry.
    pub(crate) fn entry(&self, kind: Kind, id: u64) -> Entry<Row> {
        match kind {
            Kind::Plain => self.plain_entry(id),
            Kind::Tagged => self.tagged_entry(id),
            Kind::Late => self.late_entry(id),
            Kind::Aging => self.aging_entry(id),
        }
    }

    /// Writes a row and evicts it; a failed evict is returned.
    pub(crate) async fn change(&self, kind: Kind, id: u64, query: Query) -> Result<Row> {
        match kind {
            Kind::Plain => self.change_plain(id, query).await,
            Kind::Tagged => self.change_tagged(id, query).await,
            Kind::Late => self.change_late(id, query).await,
            Kind::Aging => self.change_aging(id, query).await,
        }
    }

    /// Writes a row and evicts it, before as well as after; a failed evict is logged and counted.
    pub(crate) async fn change_quietly(&self, kind: Kind, id: u64, query: Query) -> Result<Row> {
        match kind {
            Kind::Plain => self.change_plain_quietly(id, query).await,
            Kind::Tagged => self.change_tagged_quietly(id, query).await,
            Kind::Late => self.change_late_quietly(id, query).await,
            Kind::Aging => self.change_aging_quietly(id, query).await,
        }
    }

    /// Writes a row through; what could be neither stored nor evicted is returned as an error.
    pub(crate) async fn put(&self, kind: Kind, id: u64, query: Query) -> Result<Row> {
        match kind {
            Kind::Plain => self.put_plain(id, query).await,
            Kind::Tagged => self.put_tagged(id, query).await,
            Kind::Late => self.put_late(id, query).await,
            Kind::Aging => self.put_aging(id, query).await,
        }
    }

    /// Writes many rows of a kind and evicts them together: all of them, or the hot ones where they have nothing in
    /// common. A failed evict is returned.
    pub(crate) async fn change_many(&self, kind: Kind) -> Result<u64> {
        match kind {
            Kind::Plain => self.change_all_plain().await,
            Kind::Tagged => self.change_all_tagged().await,
            Kind::Late => self.change_hot_late().await,
            Kind::Aging => self.change_all_aging().await,
        }
    }
}

#[cache_config(cache = self.cache)]
impl Rows {
    #[cached(prefix = "plain", key = "{id}", entry = plain_entry)]
    async fn plain(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Plain, id, query).await
    }

    #[cached(prefix = "tagged", key = "{id}", tags = ["tagged", "tagged:{id}"], entry = tagged_entry)]
    async fn tagged(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Tagged, id, query).await
    }

    #[cached(prefix = "late", key = "{id}", tags = ["late:{result.id}"], entry = late_entry)]
    async fn late(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Late, id, query).await
    }

    #[cache_evict(entry = self.plain_entry(id), on_evict_error = "return")]
    async fn change_plain(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Plain, id, query).await
    }

    #[cache_evict(tags = ["tagged:{id}"], on_evict_error = "return")]
    async fn change_tagged(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Tagged, id, query).await
    }

    #[cache_evict(tags = ["late:{result.id}"], on_evict_error = "return")]
    async fn change_late(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Late, id, query).await
    }

    #[cache_evict(entry = self.plain_entry(id), before)]
    async fn change_plain_quietly(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Plain, id, query).await
    }

    #[cache_evict(entry = self.tagged_entry(id), tags = ["tagged:{id}"], before)]
    async fn change_tagged_quietly(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Tagged, id, query).await
    }

    #[cache_evict(tags = ["late:{id}"], before)]
    async fn change_late_quietly(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Late, id, query).await
    }

    #[cache_put(entry = self.plain_entry(id), on_evict_error = "return")]
    async fn put_plain(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Plain, id, query).await
    }

    #[cache_put(entry = self.tagged_entry(id), on_evict_error = "return")]
    async fn put_tagged(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Tagged, id, query).await
    }

    #[cache_put(entry = self.late_entry(id), on_evict_error = "return")]
    async fn put_late(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Late, id, query).await
    }

    #[cache_evict(prefix = "plain", all, on_evict_error = "return")]
    async fn change_all_plain(&self) -> Result<u64> {
        self.database.stamp().await
    }

    #[cache_evict(tags = ["tagged"], on_evict_error = "return")]
    async fn change_all_tagged(&self) -> Result<u64> {
        self.database.stamp().await
    }

    #[cache_evict(entries = (0..HOT).map(|id| self.late_entry(id)), on_evict_error = "return")]
    async fn change_hot_late(&self) -> Result<u64> {
        self.database.stamp().await
    }
}

/// Rows that age.
#[cache_config(cache = self.cache)]
impl Rows {
    #[cached(
        prefix = "aging",
        key = "{id}",
        ttl = Kind::TTL,
        stale = Kind::STALE,
        refresh = "50%",
        tags = ["aging", "aging:{id}"],
        entry = aging_entry
    )]
    async fn aging(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Aging, id, query).await
    }

    #[cache_evict(tags = ["aging:{id}"], on_evict_error = "return")]
    async fn change_aging(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Aging, id, query).await
    }

    #[cache_evict(entry = self.aging_entry(id), before)]
    async fn change_aging_quietly(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Aging, id, query).await
    }

    #[cache_put(entry = self.aging_entry(id), on_evict_error = "return")]
    async fn put_aging(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Aging, id, query).await
    }

    #[cache_evict(tags = ["aging"], on_evict_error = "return")]
    async fn change_all_aging(&self) -> Result<u64> {
        self.database.stamp().await
    }
}

/// The same rows, as copies in this process.
#[cache_config(cache = self.cache)]
impl Rows {
    #[cached(prefix = "plain", key = "{id}", local = LOCAL)]
    async fn plain_local(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Plain, id, query).await
    }

    #[cached(prefix = "tagged", key = "{id}", tags = ["tagged", "tagged:{id}"], local = LOCAL)]
    async fn tagged_local(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Tagged, id, query).await
    }

    #[cached(prefix = "late", key = "{id}", tags = ["late:{result.id}"], local = LOCAL)]
    async fn late_local(&self, id: u64, query: Query) -> Result<Row> {
        self.query(Kind::Late, id, query).await
    }
}
