//! The store on one Redis or Valkey server.
//!
//! Ordinary commands share a connection, so that concurrent tasks' reads go together; scans take one of a pool.
//! Connecting is lazy, every wait has a deadline, and what an error or a log line says never contains a key, a
//! value, a password or a URL.

mod attempts;
mod budget;
mod commands;
mod config;
mod connect;
mod credentials;
mod dial;
mod documents;
mod endpoint;
mod epoch;
mod failure;
mod families;
mod gate;
mod groups;
mod leases;
mod lives;
mod multiplexed;
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
#[cfg(feature = "sentinel")]
mod sentinel;
mod server;
mod stream;
mod time;
#[cfg(feature = "tls")]
mod tls;
mod tracking;
mod tuning;
mod upkeep;
mod url;
mod wire;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use self::commands::{Commands, Replicas};
use self::connect::{Link, Patience};
use self::push::Pushes;
use self::send::Sender;
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, Result};
use crate::observe::pool::Pool;
use crate::store::contract::{Changes, Inspect, Listener, Store, Tracking};
use crate::store::documents::Documents;
use crate::store::messages::about::{About, StoreHealth};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome};
use crate::store::messages::inspect::{Cursor, Page, Raw};
use crate::store::messages::lease::{HeldLease, Keep, Lease, LeaseRequest};
use crate::store::messages::read::{Read, ReadRequest};
use crate::store::messages::server::Server;
use crate::store::messages::write::{Write, Written};

pub use self::config::RedisConfig;
pub(crate) use self::config::{LONGEST, MOST};
pub use self::credentials::Credentials;
#[cfg(feature = "tls")]
pub use self::tls::TlsConfig;

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
        let endpoint = config.endpoint()?;
        let identity = endpoint.identity();
        let pushes = Arc::new(Pushes::new(&config));
        let replicas = match config.evict_replicas {
            0 => None,
            count => {
                let link = Link::new(&config.clone().handles(1).pool_min(0), config.endpoint()?)?;
                Some(Replicas { count, sender: sender(&config, Arc::new(link)) })
            }
        };
        let link = Arc::new(Link::new(&config, endpoint)?);
        let commands = Commands::new(sender(&config, link), replicas);
        Ok(Self { config, commands, pushes, identity })
    }

    const fn link(&self) -> &Arc<Link> {
        &self.commands.sender.link
    }
}

fn sender(config: &RedisConfig, link: Arc<Link>) -> Sender {
    Sender { link, command_timeout: config.command_timeout, upkeep: config.upkeep }
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
        scan::evict_prefix(&self.commands.sender, self.commands.replicas(), prefix).await
    }

    async fn health(&self) -> Result<StoreHealth> {
        let began = Instant::now();
        let (server, figures) = self.commands.server().await?;
        let health =
            StoreHealth::new(NAME, server, began.elapsed()).with_refused(self.link().dialer.lacking());
        let health = figures.map_or(health.clone(), |figures| health.with_figures(figures));
        // Once: a trial of a breaker asks for no more than it has to.
        if let Some(look) = self.link().dialer.look() {
            self.commands.look(look).await?;
        }
        Ok(health)
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
        let opening = async {
            self.link().acquire_all().await?;
            match self.commands.replicas() {
                Some(replicas) => replicas.sender.link.acquire_all().await,
                None => Ok(()),
            }
        };
        self.link().dialer.background.enter(opening).await?
    }

    async fn close(&self) {
        self.link().close();
        if let Some(replicas) = self.commands.replicas() {
            replicas.sender.link.close();
        }
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

    fn server(&self) -> Option<&Server> {
        Some(&self.link().dialer.server)
    }

    fn documents(&self) -> Option<&dyn Documents> {
        Some(self)
    }

    fn pool(&self) -> Option<Pool> {
        Some(self.link().pool())
    }

    fn unreached(&self, since: Instant) -> Option<Error> {
        let elsewhere = self.commands.replicas().map(|replicas| replicas.sender.link.unreached(since));
        if matches!(elsewhere, Some(None)) { None } else { self.link().unreached(since) }
    }
}

#[async_trait]
impl Tracking for RedisStore {
    async fn track(&self, prefixes: &[String], listener: Arc<dyn Listener>) -> Error {
        let tracking = tracking::track(self.link(), prefixes, listener);
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

    async fn heads(&self, keys: &[&[u8]], first: usize) -> Result<Vec<Option<(Raw, usize)>>> {
        scan::heads(&self.commands.sender, keys, first).await
    }

    async fn info(&self) -> Result<Option<String>> {
        self.commands.info().await.map(Some)
    }
}
