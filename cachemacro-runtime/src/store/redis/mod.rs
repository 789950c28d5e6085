//! The store on one Redis or Valkey server.
//!
//! Ordinary commands share a few connections, so that concurrent tasks pipeline; scans take one of a pool.
//! Connecting is lazy, every wait has a deadline, and what an error or a log line says never contains a key, a
//! value, a password or a URL.

mod commands;
mod config;
mod connect;
mod failure;
mod gate;
mod push;
mod reply;
mod script;
mod time;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;

use self::commands::Commands;
use self::connect::Link;
use self::push::Pushes;
use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::{TagKeys, VersionKey};
use crate::ground::clock::Timestamp;
use crate::ground::error::Result;
use crate::store::{
    Fill, Filled, Head, Increment, IncrementOutcome, Lease, LeaseRequest, Read, Store, StoreHealth,
};

pub use self::config::RedisConfig;
pub(crate) use self::config::{LONGEST, MOST};

/// A [`Store`] on Redis 6.2 or later, or Valkey.
///
/// ```no_run
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Store, redis::{RedisConfig, RedisStore}};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> cachemacro::Result<()> {
/// let store = RedisStore::new(RedisConfig::new("redis://localhost"))?;
/// store.connect().await?; // or let the first operation do it
/// println!("{:?}", store.health().await?);
/// # Ok(())
/// # }
/// ```
pub struct RedisStore {
    config: RedisConfig,
    commands: Commands,
    pushes: Arc<Pushes>,
}

impl RedisStore {
    /// A store for the server that `config` names. Opens no connection.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// assert!(RedisStore::new(RedisConfig::new("redis://localhost")).is_ok(), "connected later");
    /// assert!(RedisStore::new(RedisConfig::new("http://localhost")).is_err());
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) where the URL or a setting is not acceptable.
    pub fn new(config: RedisConfig) -> Result<Self> {
        let info = config.connection_info()?;
        let pushes = Arc::new(Pushes::new(&config, &info));
        let link = Arc::new(Link::new(&config, info)?);
        let commands = Commands { link, command_timeout: config.command_timeout };
        Ok(Self { config, commands, pushes })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("config", &self.config)
            .field("link", &self.commands.link)
            .field("pushes", &self.pushes)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for RedisStore {
    fn kind(&self) -> &'static str {
        "redis"
    }

    fn now(&self) -> Timestamp {
        self.commands.link.time.now()
    }

    async fn time(&self) -> Result<Timestamp> {
        let link = &self.commands.link;
        if !link.time.is_learned() {
            // Whoever connects asks for it.
            link.acquire().await?;
        }
        Ok(link.time.now())
    }

    async fn connect(&self) -> Result<()> {
        self.commands.link.acquire_all().await
    }

    async fn read(&self, key: &str, versions: &[VersionKey]) -> Result<Read> {
        self.commands.read(key, versions).await
    }

    async fn read_many(
        &self,
        keys: &[String],
        versions: &[VersionKey],
    ) -> Result<(Vec<Option<Bytes>>, Vec<Option<Version>>)> {
        self.commands.read_many(keys, versions).await
    }

    async fn read_head(&self, key: &str, length: usize, versions: &[VersionKey]) -> Result<Head> {
        self.commands.read_head(key, length, versions).await
    }

    async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        self.commands.versions(keys).await
    }

    async fn capture(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.commands.capture(keys, life).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease> {
        let mut leases = self.commands.lease_many(std::slice::from_ref(&request)).await?;
        leases.pop().ok_or_else(failure::unexpected)
    }

    async fn lease_many(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        self.commands.lease_many(requests).await
    }

    async fn renew(&self, key: &str, token: Token, live: Duration) -> Result<bool> {
        self.commands.renew(key, token, live).await
    }

    async fn release(&self, key: &str, token: Token) -> Result<bool> {
        self.commands.release(key, token).await
    }

    async fn fill(&self, fill: Fill<'_>) -> Result<Filled> {
        let mut filled = self.commands.fill_many(std::slice::from_ref(&fill)).await?;
        filled.pop().ok_or_else(failure::unexpected)
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>> {
        self.commands.fill_many(fills).await
    }

    async fn set(&self, key: &str, bytes: Bytes, life: Duration) -> Result<()> {
        self.commands.set(key, &bytes, life).await
    }

    async fn compare_and_set(&self, key: &str, seen: FillId, bytes: Bytes, life: Duration) -> Result<bool> {
        self.commands.compare_and_set(key, seen, &bytes, life).await
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        self.commands.increment(&increment).await
    }

    async fn evict(&self, keys: &[String]) -> Result<Vec<bool>> {
        self.commands.evict(keys).await
    }

    async fn evict_tags(&self, tags: &[TagKeys]) -> Result<()> {
        self.commands.evict_tags(tags).await
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        self.commands.evict_prefix(prefix).await
    }

    async fn changed(&self, key: &str, at_most: Duration) {
        self.pushes.changed(&self.commands.link, key, at_most).await;
    }

    fn tells_changes(&self) -> bool {
        self.pushes.are_open()
    }

    async fn health(&self) -> Result<StoreHealth> {
        let began = Instant::now();
        let server = self.commands.server().await?;
        Ok(StoreHealth::new("redis", server, began.elapsed()))
    }

    async fn close(&self) {
        self.commands.link.close();
        self.pushes.close();
    }
}
