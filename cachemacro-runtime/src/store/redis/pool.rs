//! The pool: connections for what needs one to itself. They are opened in the background, so that they outlive the runtime of
//! whoever needed them first.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use deadpool::Runtime;
use deadpool::managed::{
    Manager, Metrics, Object, Pool, PoolConfig, PoolError, RecycleError, RecycleResult, TimeoutType, Timeouts,
};
use redis::{FromRedisValue as _, RedisResult};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::config::RedisConfig;
use super::dial::{ASK_FOR_ROLE, Dialer, is_replica};
use super::endpoint::Opened;
use super::failure;
use super::multiplexed::{Multiplexed, settings};
use crate::ground::error::{Error, ErrorKind, Result};

/// A connection of the pool.
pub(super) type Connection = Object<Opener>;

pub(super) struct Pooled {
    pool: Pool<Opener>,
    dialer: Arc<Dialer>,
    /// How long a caller waits in all.
    patience: Duration,
}

impl Pooled {
    pub(super) fn new(config: &RedisConfig, dialer: Arc<Dialer>) -> Result<Self> {
        let mut pool = PoolConfig::new(config.pool_size);
        pool.timeouts = Timeouts {
            wait: Some(config.pool_wait),
            create: Some(config.connect_timeout),
            recycle: Some(config.command_timeout),
        };
        let pool = Pool::builder(Opener { dialer: Arc::clone(&dialer), pings: AtomicU64::new(0) })
            .config(pool)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| Error::new(ErrorKind::Config, "the connection pool could not be built"))?;
        let patience = config.pool_wait + config.connect_timeout + config.command_timeout;
        Ok(Self { pool, dialer, patience })
    }

    /// A connection of the pool. While attempts to connect pause, they are waited for until `deadline`.
    pub(super) async fn checkout(&self, deadline: Instant) -> Result<Connection> {
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
            return Err(Error::new(ErrorKind::Connect, "no pooled connection to redis within its deadline"));
        };
        match connection {
            Ok(connection) => {
                if !self.dialer.is_calm() {
                    self.dialer.succeeded();
                }
                Ok(connection)
            }
            Err(error) => {
                let nothing_tried =
                    matches!(error, PoolError::Timeout(TimeoutType::Wait) | PoolError::Closed);
                let told = failure::no_connection(error);
                if !nothing_tried && self.dialer.failed(&told) {
                    tracing::warn!(error = %told, "could not connect to redis");
                }
                Err(told)
            }
        }
    }

    pub(super) fn close(&self) {
        self.pool.close();
    }
}

/// What opens the pool's connections and looks at those that come back.
pub(super) struct Opener {
    dialer: Arc<Dialer>,
    pings: AtomicU64,
}

impl Manager for Opener {
    type Type = Multiplexed;
    type Error = Error;

    async fn create(&self) -> Result<Multiplexed> {
        let Opened { stream, greeting } = self.dialer.endpoint.open().await?;
        let made = Multiplexed::open(stream, &greeting, settings(self.dialer.connect_timeout)).await;
        let mut connection = made.map_err(|error| failure::unreachable(&error))?;
        match timeout(self.dialer.connect_timeout, leads_to_replica(&mut connection)).await {
            Ok(Ok(true)) => Err(failure::replica()),
            Ok(Ok(false)) => Ok(connection),
            Ok(Err(error)) => Err(failure::unreachable(&error)),
            Err(_) => Err(Error::new(ErrorKind::Connect, failure::SILENT)),
        }
    }

    async fn recycle(&self, connection: &mut Multiplexed, metrics: &Metrics) -> RecycleResult<Error> {
        if !self.dialer.is_current(self.dialer.mark(metrics.created)) {
            return Err(RecycleError::message("outdated"));
        }
        // An answer to what another one asked for is one of a connection that is out of step.
        let number = self.pings.fetch_add(1, Ordering::Relaxed);
        let mut ping = redis::cmd("PING");
        ping.arg(number);
        let answer = connection.ask(&ping).await.and_then(|answer| Ok(u64::from_redis_value(answer)?));
        match answer {
            Ok(answer) if answer == number => Ok(()),
            Ok(_) => Err(RecycleError::message("out of step")),
            Err(error) => Err(RecycleError::Backend(failure::failed(&error))),
        }
    }
}

/// Whether this connection leads to a replica. It may be forbidden to ask.
pub(super) async fn leads_to_replica(connection: &mut Multiplexed) -> RedisResult<bool> {
    let [name, section] = ASK_FOR_ROLE;
    let mut ask = redis::cmd(name);
    ask.arg(section);
    Ok(is_replica(&connection.ask(&ask).await?.into()))
}
