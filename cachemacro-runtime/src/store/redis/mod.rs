//! The store on Redis or Valkey: one server, or a cluster.
//!
//! Ordinary commands share a connection, so that concurrent tasks' reads go together; scans take one of a pool.
//! Connecting is lazy, every wait has a deadline, and what an error or a log line says never contains a key, a
//! value, a password or a URL.

mod attempts;
mod budget;
#[cfg(feature = "cluster")]
mod cluster;
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
mod queues;
mod raw_commands;
mod reads;
#[cfg(feature = "cluster")]
mod redirect;
mod refusal;
mod reply;
mod runtimes;
mod scan;
mod script;
mod send;
#[cfg(feature = "sentinel")]
mod sentinel;
mod server;
mod single;
#[cfg(feature = "cluster")]
mod slot;
mod stream;
mod streams;
mod time;
#[cfg(feature = "tls")]
mod tls;
mod tracking;
mod tuning;
mod upkeep;
mod url;
mod waits;
mod wire;

use std::fmt;

#[cfg(feature = "cluster")]
use self::cluster::Cluster;
use self::config::Start;
use self::single::Single;
use crate::ground::error::Result;
use crate::store::contract::Store;

pub use self::config::RedisConfig;
pub(crate) use self::config::{LONGEST, MOST};
pub use self::credentials::Credentials;
#[cfg(feature = "cluster")]
pub(crate) use self::slot::slot as slot_of;
#[cfg(feature = "tls")]
pub use self::tls::TlsConfig;

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
    inner: Box<dyn Store>,
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
        let inner: Box<dyn Store> = match config.start()? {
            Start::One(endpoint) => Box::new(Single::new(config, endpoint)?),
            #[cfg(feature = "cluster")]
            Start::Cluster(base, seeds) => Box::new(Cluster::new(config, base, seeds)),
        };
        Ok(Self { inner })
    }
}

impl fmt::Debug for RedisStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisStore").field("inner", &self.inner).finish()
    }
}

impl Store for RedisStore {
    crate::pass_on!(self.inner: about, now, read, capture, lease, keep, write, evict, evict_prefix, health, time, connect, close);
    crate::pass_on!(self.inner: increment, changes, immediate, tracking, inspect, documents, raw_commands, streams, queues, pool, refused, breaker, server, unreached);
}
