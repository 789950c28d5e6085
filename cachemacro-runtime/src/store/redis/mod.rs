//! The store on one Redis or Valkey server.
//!
//! Ordinary commands share a connection, so that concurrent tasks' reads go together; scans take one of a pool.
//! Connecting is lazy, every wait has a deadline, and what an error or a log line says never contains a key, a
//! value, a password or a URL.

mod commands;
mod config;
mod connect;
mod dial;
mod failure;
mod families;
mod gate;
mod groups;
mod lives;
mod part;
mod pool;
mod push;
mod reads;
mod refusal;
mod reply;
mod runtimes;
mod scan;
mod script;
mod send;
mod time;
mod tracking;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use redis::ConnectionInfo;

use self::commands::Commands;
use self::connect::{Link, Patience};
use self::push::Pushes;
use self::send::Sender;
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, Result};
use crate::store::contract::{Changes, Inspect, Listener, Store, Tracking};
use crate::store::messages::about::{About, StoreHealth};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome};
use crate::store::messages::inspect::{Cursor, Page, Raw};
use crate::store::messages::lease::{HeldLease, Keep, Lease, LeaseRequest};
use crate::store::messages::read::{Read, ReadRequest};
use crate::store::messages::write::{Write, Written};

pub use self::config::RedisConfig;
pub(crate) use self::config::{COMMAND_TIMEOUT, LONGEST, MOST};

/// The name that logs and health show.
const NAME: &str = "redis";

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
    /// The server, spoken to so that it can push.
    tracked: ConnectionInfo,
    identity: u64,
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
        let identity = config::identity(&info);
        let pushes = Arc::new(Pushes::new(&config, &info));
        let tracked = config::with_resp3(&info);
        let link = Arc::new(Link::new(&config, info)?);
        let commands = Commands::new(Sender { link, command_timeout: config.command_timeout });
        Ok(Self { config, commands, pushes, tracked, identity })
    }

    const fn link(&self) -> &Arc<Link> {
        &self.commands.sender.link
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore")
            .field("config", &self.config)
            .field("link", self.link())
            .field("pushes", &self.pushes)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for RedisStore {
    fn about(&self) -> About {
        // A request waits for a connection, then for its answer.
        let patience = self.config.pool_wait + self.config.command_timeout;
        About::new(NAME).with_shared(true).with_identity(self.identity).with_patience(patience)
    }

    fn now(&self) -> Timestamp {
        self.link().dialer.time.now()
    }

    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        self.commands.read(request).await
    }

    async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.commands.capture(versions, life).await
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        self.commands.lease(requests).await
    }

    async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        self.commands.keep(leases, how).await
    }

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        self.commands.write(writes).await
    }

    async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        self.commands.evict(request).await
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        scan::evict_prefix(&self.commands.sender, prefix).await
    }

    async fn health(&self) -> Result<StoreHealth> {
        let began = Instant::now();
        let server = self.commands.server().await?;
        Ok(StoreHealth::new(NAME, server, began.elapsed()))
    }

    async fn time(&self) -> Result<Timestamp> {
        let Link { dialer, .. } = &**self.link();
        if !dialer.time.is_learned() {
            // Whoever connects asks for it.
            dialer.background.enter(self.link().acquire(Patience::Short)).await??;
        }
        Ok(dialer.time.now())
    }

    async fn connect(&self) -> Result<()> {
        self.link().dialer.background.enter(self.link().acquire_all()).await?
    }

    async fn close(&self) {
        self.link().close();
        self.pushes.close();
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        self.commands.increment(&increment).await
    }

    fn changes(&self) -> Option<&dyn Changes> {
        Some(self)
    }

    fn tracking(&self) -> Option<&dyn Tracking> {
        Some(self)
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        Some(self)
    }
}

#[async_trait]
impl Tracking for RedisStore {
    async fn track(&self, prefixes: &[String], listener: Arc<dyn Listener>) -> Error {
        let tracking = tracking::track(self.link(), self.tracked.clone(), prefixes, listener);
        self.link().dialer.background.enter(tracking).await.unwrap_or_else(|error| error)
    }
}

#[async_trait]
impl Changes for RedisStore {
    fn are_told(&self) -> bool {
        self.pushes.are_open()
    }

    async fn changed(&self, key: &str, at_most: Duration) {
        let changed = self.pushes.changed(self.link(), key, at_most);
        // Without a thread there is nothing to wait with, and the caller looks at once.
        let _ = self.link().dialer.background.enter(changed).await;
    }
}

#[async_trait]
impl Inspect for RedisStore {
    async fn scan(&self, prefix: &str, cursor: &Cursor) -> Result<Page> {
        scan::scan(&self.commands.sender, prefix, cursor).await
    }

    async fn raw(&self, key: &[u8]) -> Result<Option<Raw>> {
        scan::raw(&self.commands.sender, key).await
    }
}
