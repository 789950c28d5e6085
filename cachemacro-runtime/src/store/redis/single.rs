//! The store on one server.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use super::commands::{Commands, Replicas};
use super::config::RedisConfig;
use super::connect::{Link, Patience};
use super::endpoint::Endpoint;
use super::push::Pushes;
use super::send::{Keys, Sender};
use super::waits::Waits;
#[cfg(feature = "cluster")]
use super::{epoch, failure, send::Resend};
use super::{scan, tracking};
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
use crate::store::queues::Queues;
use crate::store::raw_commands::RawCommands;
use crate::store::streams::Streams;

/// The name that logs and health show.
pub(super) const NAME: &str = "redis";

/// One server, or one node of a cluster.
pub(super) struct Single {
    config: RedisConfig,
    pub(super) commands: Commands,
    pushes: Arc<Pushes>,
    pub(super) waits: Arc<Waits>,
    identity: u64,
}

impl Single {
    pub(super) fn new(config: RedisConfig, endpoint: Endpoint) -> Result<Self> {
        Self::of(config, endpoint, Keys::Any)
    }

    /// A node of a cluster: the keys of one command are in one slot.
    #[cfg(feature = "cluster")]
    pub(super) fn of_cluster(config: RedisConfig, endpoint: Endpoint) -> Result<Self> {
        Self::of(config, endpoint, Keys::OfOneSlot)
    }

    fn of(config: RedisConfig, endpoint: Endpoint, keys: Keys) -> Result<Self> {
        let sender = |link| Sender {
            link: Arc::new(link),
            command_timeout: config.command_timeout,
            upkeep: config.upkeep,
            keys,
        };
        let replicas = match config.evict_replicas {
            0 => None,
            count => {
                let link = Link::new(&config.clone().handles(1).pool_min(0), endpoint.clone())?;
                Some(Replicas { count, sender: sender(link) })
            }
        };
        let pushes = Arc::new(Pushes::new(&config));
        let waits = Waits::new(config.connect_timeout, config.command_timeout);
        let identity = endpoint.identity();
        let commands = Commands::new(sender(Link::new(&config, endpoint)?), replicas);
        Ok(Self { config, commands, pushes, waits, identity })
    }

    pub(super) const fn link(&self) -> &Arc<Link> {
        &self.commands.sender.link
    }
}

#[cfg(feature = "cluster")]
impl Single {
    /// The server's id: another one after each start, and each time that it became a primary.
    pub(super) async fn id(&self) -> Result<Version> {
        if self.config.epoch.is_none() {
            let told = self.commands.sender.many(epoch::ask, Resend::WhereBroken).await?;
            let [server, replication] = &told[..] else { return Err(failure::unexpected()) };
            return epoch::id(server, replication);
        }
        let Link { dialer, .. } = &**self.link();
        if dialer.id().is_none() {
            // Whoever connects asks for it.
            dialer.background.enter(self.link().acquire(Patience::Short)).await??;
        }
        dialer.id().ok_or_else(failure::unexpected)
    }
}

impl fmt::Debug for Single {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Single")
            .field("config", &self.config)
            .field("link", self.link())
            .field("pushes", &self.pushes)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for Single {
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
        self.waits.close();
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

    fn raw_commands(&self) -> Option<&dyn RawCommands> {
        Some(self)
    }

    fn streams(&self) -> Option<&dyn Streams> {
        Some(self)
    }

    fn queues(&self) -> Option<&dyn Queues> {
        Some(self)
    }

    fn pool(&self) -> Option<Pool> {
        Some(self.link().pool())
    }

    fn refused(&self) -> Vec<String> {
        self.link().dialer.lacking()
    }

    fn unreached(&self, since: Instant) -> Option<Error> {
        let elsewhere = self.commands.replicas().map(|replicas| replicas.sender.link.unreached(since));
        if matches!(elsewhere, Some(None)) { None } else { self.link().unreached(since) }
    }
}

#[async_trait]
impl Tracking for Single {
    async fn track(&self, prefixes: &[String], listener: Arc<dyn Listener>) -> Error {
        let tracking = tracking::track(self.link(), prefixes, listener);
        self.link().dialer.background.enter(tracking).await.unwrap_or_else(|error| error)
    }
}

#[async_trait]
impl Changes for Single {
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
impl Inspect for Single {
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

    async fn leaves_use_alone(&self) -> Result<bool> {
        scan::leaves_use_alone(&self.commands.sender).await
    }
}
