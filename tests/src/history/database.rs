//! The database of a history: rows that are worth their stamp, and floors.

use std::time::Duration;

use anyhow::Result;
use redis::aio::MultiplexedConnection;
use redis::{Cmd, FromRedisValue, cmd};
use serde::{Deserialize, Serialize};

use super::report::micros;

/// Raises a floor, or leaves it where it is as high, and notes when.
const RAISE: &str = "if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end redis.call('ZADD', 'raised:' .. KEYS[1], ARGV[1], ARGV[2])";

/// What is cached: which row it is, and when its load began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// The kind of row.
    pub kind: Kind,
    /// Its number among those of its kind.
    pub id: u64,
    /// The stamp of its load, or of the write that put it.
    pub stamp: u64,
    /// When that began, by [`micros`].
    pub at: u64,
}

/// How rows are cached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Without tags.
    Plain,
    /// With tags that are known before the load: one for each row, and one for all.
    Tagged,
    /// With a tag that comes from the loaded row.
    Late,
    /// Loaded anew before and after the end of a short TTL, and served stale meanwhile; with tags that are known before the load.
    Aging,
}

impl Kind {
    /// Each.
    pub const ALL: [Self; 4] = [Self::Plain, Self::Tagged, Self::Late, Self::Aging];

    /// How long one that ages is fresh.
    pub const TTL: Duration = Duration::from_millis(400);
    /// How long past that it serves at once.
    pub const STALE: Duration = Duration::from_secs(2);
    /// How much later than its load began it may be stored, on a machine that is busy.
    const STORED: Duration = Duration::from_secs(2);

    /// How old a row may be when a read of it begins.
    pub fn oldest(self) -> Option<Duration> {
        (self == Self::Aging).then_some(Self::TTL + Self::STALE + Self::STORED)
    }

    /// The prefix of its entries.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Tagged => "tagged",
            Self::Late => "late",
            Self::Aging => "aging",
        }
    }

    /// A row's name: that of its entry, and its tag where it has one.
    pub fn name(self, id: u64) -> String {
        format!("{}:{id}", self.prefix())
    }
}

/// A connection to the database. Clones share it.
#[derive(Clone)]
pub struct Database(MultiplexedConnection);

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Database").finish_non_exhaustive()
    }
}

impl Database {
    /// Connects to the server at `url`.
    pub async fn connect(url: &str) -> Self {
        Self(crate::server::connect(url).await)
    }

    async fn ask<T: FromRedisValue>(&self, command: &Cmd) -> Result<T> {
        Ok(command.query_async(&mut self.0.clone()).await?)
    }

    /// The stamp of what begins now.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn stamp(&self) -> Result<u64> {
        self.add("clock").await
    }

    /// The newest stamp of all.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn newest(&self) -> Result<u64> {
        self.count("clock").await
    }

    /// No read of this row that starts from now on may return a lower stamp.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn raise(&self, kind: Kind, id: u64, stamp: u64) -> Result<()> {
        self.raise_floor(&kind.name(id), stamp).await
    }

    /// [`raise`](Self::raise) for all rows of a kind.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn raise_all(&self, kind: Kind, stamp: u64) -> Result<()> {
        self.raise_floor(kind.prefix(), stamp).await
    }

    async fn raise_floor(&self, of: &str, stamp: u64) -> Result<()> {
        self.ask(cmd("EVAL").arg(RAISE).arg(1).arg(format!("floor:{of}")).arg(stamp).arg(micros())).await
    }

    /// The lowest stamp that a read of each of these rows may return if it starts now.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn floors(&self, kind: Kind, ids: &[u64]) -> Result<Vec<u64>> {
        let mut get = cmd("MGET");
        get.arg(format!("floor:{}", kind.prefix()));
        for id in ids {
            get.arg(format!("floor:{}", kind.name(*id)));
        }
        let floors: Vec<Option<u64>> = self.ask(&get).await?;
        let all = floors[0].unwrap_or(0);
        Ok(floors[1..].iter().map(|floor| floor.unwrap_or(0).max(all)).collect())
    }

    /// How many microseconds before `moment` the first evict was acknowledged after which this row may not be of this stamp.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn outdated_since(&self, kind: Kind, id: u64, stamp: u64, moment: u64) -> Result<u64> {
        let mut since = 0;
        for of in [kind.prefix().to_owned(), kind.name(id)] {
            let mut higher = cmd("ZRANGEBYSCORE");
            higher.arg(format!("raised:floor:{of}")).arg(format!("({stamp}")).arg("+inf");
            let raised: Vec<u64> = self.ask(&higher).await?;
            let first = raised.into_iter().min().unwrap_or(u64::MAX);
            since = since.max(moment.saturating_sub(first));
        }
        Ok(since)
    }

    /// Adds one to a counter and returns the sum.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn add(&self, counter: &str) -> Result<u64> {
        self.ask(cmd("INCR").arg(counter)).await
    }

    /// A counter's number.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn count(&self, counter: &str) -> Result<u64> {
        Ok(self.ask::<Option<u64>>(cmd("GET").arg(counter)).await?.unwrap_or(0))
    }
}
