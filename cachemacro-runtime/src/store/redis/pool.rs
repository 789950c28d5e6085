//! The pool: connections for what needs one to itself. They are opened in the background, so that they outlive the runtime of
//! whoever needed them first.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use deadpool::managed::{self, Object, Pool, RecycleError, RecycleResult};
use deadpool_redis::{Metrics, PoolConfig, Runtime, Status, Timeouts};
use futures_util::future::join_all;
use redis::RedisResult;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::config::RedisConfig;
use super::dial::{ASK_FOR_ROLE, Dialer, is_replica};
use super::endpoint::Opened;
use super::failure;
use super::multiplexed::{Multiplexed, settings};
use super::upkeep::Upkeep;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::spread;
use crate::ground::sync::lock;
use crate::observe::pool as observe;

/// A connection of the pool, which goes back to it when it is dropped.
pub(super) type Pooling = Object<Opener>;

pub(super) struct Pooled {
    pool: Pool<Opener>,
    dialer: Arc<Dialer>,
    /// How long a caller waits in all.
    patience: Duration,
    upkeep: Upkeep,
    /// Ends the task that looks after those that are idle when it is dropped.
    keeper: Mutex<Option<oneshot::Sender<()>>>,
    /// Held by who looks after them: two at once would open more than are to be there.
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl Pooled {
    pub(super) fn new(config: &RedisConfig, dialer: Arc<Dialer>) -> Result<Self> {
        let mut pool = PoolConfig::new(config.pool_size);
        // Opening has its own deadlines.
        pool.timeouts =
            Timeouts { wait: Some(config.pool_wait), create: None, recycle: Some(config.command_timeout) };
        let upkeep = config.upkeep;
        let wrong = || Error::new(ErrorKind::Config, "the connection pool could not be built");
        let checks = deadpool_redis::Manager::new(NOWHERE).map_err(|_| wrong())?;
        let opener = Opener { dialer: Arc::clone(&dialer), pool_wait: config.pool_wait, upkeep, checks };
        let pool =
            Pool::builder(opener).config(pool).runtime(Runtime::Tokio1).build().map_err(|_| wrong())?;
        let patience = config.pool_wait + config.connect_timeout + config.command_timeout;
        Ok(Self { pool, dialer, patience, upkeep, keeper: Mutex::default(), turn: Arc::default() })
    }

    /// Opens as many as are to be there at least, and has a task keep them.
    pub(super) async fn fill(&self) -> Result<()> {
        if self.upkeep.pool_min == 0 {
            return Ok(());
        }
        self.start_keeping();
        self.look_after().await.into_iter().find_map(Result::err).map_or(Ok(()), Err)
    }

    /// Has a task look after those that nobody uses, unless one does.
    pub(super) fn start_keeping(&self) {
        let Some(pause) = self.upkeep.pause() else { return };
        let mut keeper = lock(&self.keeper);
        if keeper.is_some() {
            return;
        }
        let (until_dropped, mut gone) = oneshot::channel();
        *keeper = Some(until_dropped);
        drop(keeper);
        let (pool, dialer, upkeep) = (self.pool.clone(), Arc::clone(&self.dialer), self.upkeep);
        let turn = Arc::clone(&self.turn);
        self.dialer.background.spawn(async move {
            loop {
                let look = async {
                    // While attempts fail, what has to be done comes first.
                    if dialer.is_calm() {
                        look_after(&pool, &turn, upkeep).await;
                    }
                    sleep(spread(pause)).await;
                };
                tokio::select! {
                    () = look => {}
                    _ = &mut gone => return,
                }
            }
        });
    }

    /// Checks those that are idle, and opens what is missing.
    async fn look_after(&self) -> Vec<Result<()>> {
        let (pool, turn, upkeep) = (self.pool.clone(), Arc::clone(&self.turn), self.upkeep);
        let (sender, received) = oneshot::channel();
        self.dialer.background.spawn(async move {
            let _ = sender.send(look_after(&pool, &turn, upkeep).await);
        });
        received.await.unwrap_or_default()
    }

    /// A connection of the pool. While attempts to connect pause, they are waited for until `deadline`.
    pub(super) async fn checkout(&self, deadline: Instant) -> Result<Pooling> {
        self.start_keeping();
        while let Err(closed) = self.dialer.pause() {
            let left = deadline.saturating_duration_since(Instant::now());
            let pause = closed.until.map_or(left, |until| until.saturating_duration_since(Instant::now()));
            if pause >= left {
                return Err(closed.error);
            }
            sleep(pause).await;
        }
        let (pool, (sender, received)) = (self.pool.clone(), oneshot::channel());
        self.dialer.background.spawn(async move {
            // Who gave up does not receive it: it goes back to the pool.
            let _ = sender.send(pool.get().await);
        });
        let Ok(Ok(connection)) = timeout(self.patience, received).await else {
            let late = || Error::new(ErrorKind::Connect, "no pooled connection to redis within its deadline");
            return Err(if self.dialer.is_calm() { late() } else { self.dialer.why() });
        };
        match connection {
            Ok(connection) => {
                if !self.dialer.is_calm() {
                    self.dialer.succeeded();
                }
                Ok(connection)
            }
            Err(error) => Err(failure::no_connection(error)),
        }
    }

    /// Those of the pool as they are now.
    pub(super) fn pool(&self) -> observe::Pool {
        let Status { size, available, waiting, .. } = self.pool.status();
        observe::Pool {
            idle: available as u64,
            in_use: size.saturating_sub(available) as u64,
            waiting: waiting as u64,
            ..observe::Pool::default()
        }
    }

    pub(super) fn close(&self) {
        lock(&self.keeper).take();
        self.pool.close();
    }
}

/// Takes as many out as are idle or are to be there at least, which checks them and opens what is missing; then all go back.
async fn look_after(pool: &Pool<Opener>, turn: &tokio::sync::Mutex<()>, upkeep: Upkeep) -> Vec<Result<()>> {
    let _turn = turn.lock().await;
    let status = pool.status();
    let count = status.available.max(upkeep.pool_min).min(status.max_size);
    let taken = join_all((0..count).map(|_| pool.get())).await;
    taken.into_iter().map(|taken| taken.map(drop).map_err(failure::no_connection)).collect()
}

/// Opens and checks connections, where and while the store may use them.
pub(super) struct Opener {
    dialer: Arc<Dialer>,
    pool_wait: Duration,
    upkeep: Upkeep,
    /// What checks a connection that goes back. It opens none: that is the endpoint's, whose streams may be encrypted and whose
    /// credentials change.
    checks: deadpool_redis::Manager,
}

/// An address that nothing connects to.
const NOWHERE: &str = "redis://localhost";

impl managed::Manager for Opener {
    type Type = Multiplexed;
    type Error = Error;

    async fn create(&self) -> Result<Multiplexed> {
        let _permit = self.dialer.admitted(Instant::now() + self.pool_wait).await?;
        let opened = async {
            let Opened { stream, greeting } = self.dialer.endpoint.open().await?;
            let opened = Multiplexed::open(stream, &greeting, settings(self.dialer.connect_timeout)).await;
            let mut connection = opened.map_err(|error| failure::unreachable(&error))?;
            // What is evicted on a replica is evicted nowhere.
            match leads_to_replica(&mut connection).await {
                Ok(false) => Ok(connection),
                Ok(true) => Err(failure::replica()),
                Err(error) => Err(failure::unreachable(&error)),
            }
        };
        let opened = timeout(self.dialer.connect_timeout, opened).await;
        let opened = opened.unwrap_or_else(|_| Err(Error::new(ErrorKind::Connect, failure::SILENT)));
        if let Err(error) = &opened
            && self.dialer.failed(error)
        {
            tracing::warn!(%error, "could not connect to redis");
        }
        opened
    }

    async fn recycle(&self, connection: &mut Multiplexed, metrics: &Metrics) -> RecycleResult<Error> {
        let is_current = self.dialer.is_current(self.dialer.mark(metrics.created));
        if !is_current || self.upkeep.is_over(metrics.age()) {
            return Err(RecycleError::message("outdated"));
        }
        // An answer to what another one asked for is one of a connection that is out of step.
        self.checks.recycle(connection.inner(), metrics).await.map_err(|error| match error {
            RecycleError::Message(message) => RecycleError::Message(message),
            RecycleError::Backend(error) => RecycleError::Backend(failure::failed(&error)),
        })
    }
}

/// Whether this connection leads to a replica. It may be forbidden to ask.
pub(super) async fn leads_to_replica(connection: &mut Multiplexed) -> RedisResult<bool> {
    let [name, section] = ASK_FOR_ROLE;
    let mut ask = redis::cmd(name);
    ask.arg(section);
    Ok(is_replica(&connection.ask(&ask).await?.into()))
}
