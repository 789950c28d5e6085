//! The pool: connections for what needs one to itself. They are opened in the background, so that they outlive the runtime of
//! whoever needed them first.

use std::sync::Arc;
use std::time::{Duration, Instant};

use deadpool_redis::{
    Connection, Hook, HookError, Manager, Metrics, Pool, PoolConfig, PoolError, Runtime, Status, TimeoutType,
    Timeouts,
};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ConnectionInfo, RedisResult};
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

use super::config::RedisConfig;
use super::dial::{ASK_FOR_ROLE, Dialer, is_replica};
use super::failure;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::observe::pool as observe;

/// redis-rs' settings for every connection. Its own response timeout is off: each command has its deadline around it.
pub(super) fn settings(connect_timeout: Duration) -> AsyncConnectionConfig {
    AsyncConnectionConfig::new().set_connection_timeout(Some(connect_timeout)).set_response_timeout(None)
}

pub(super) struct Pooled {
    pool: Pool,
    dialer: Arc<Dialer>,
    /// How long a caller waits in all.
    patience: Duration,
}

impl Pooled {
    pub(super) fn new(config: &RedisConfig, info: ConnectionInfo, dialer: Arc<Dialer>) -> Result<Self> {
        let manager = Manager::new_with_config(info, settings(config.connect_timeout))
            .map_err(|error| failure::unreachable(&error))?;
        let mut pool = PoolConfig::new(config.pool_size);
        pool.timeouts = Timeouts {
            wait: Some(config.pool_wait),
            create: Some(config.connect_timeout),
            recycle: Some(config.command_timeout),
        };
        let (checked, lives) = (Arc::clone(&dialer), Arc::clone(&dialer));
        let pool = Pool::builder(manager)
            .config(pool)
            .runtime(Runtime::Tokio1)
            .post_create(Hook::async_fn(move |connection: &mut MultiplexedConnection, _: &Metrics| {
                Box::pin(primary(connection, Arc::clone(&checked)))
            }))
            .pre_recycle(Hook::sync_fn(move |_, metrics| {
                if lives.is_current(lives.mark(metrics.created)) {
                    Ok(())
                } else {
                    Err(HookError::message("outdated"))
                }
            }))
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
                let told = failure::no_connection(&error);
                let nothing_tried =
                    matches!(error, PoolError::Timeout(TimeoutType::Wait) | PoolError::Closed);
                if !nothing_tried && self.dialer.failed(&told) {
                    tracing::warn!(error = %told, "could not connect to redis");
                }
                Err(told)
            }
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
        self.pool.close();
    }
}

/// Refuses a connection that leads to a replica.
async fn primary(connection: &mut MultiplexedConnection, dialer: Arc<Dialer>) -> Result<(), HookError> {
    match timeout(dialer.connect_timeout, leads_to_replica(connection)).await {
        Ok(Ok(true)) => Err(HookError::message(failure::REPLICA)),
        Ok(Ok(false)) => Ok(()),
        Ok(Err(error)) => Err(HookError::Backend(error)),
        Err(_) => Err(HookError::message(failure::SILENT)),
    }
}

/// Whether this connection leads to a replica. It may be forbidden to ask.
pub(super) async fn leads_to_replica(connection: &mut MultiplexedConnection) -> RedisResult<bool> {
    let [name, section] = ASK_FOR_ROLE;
    let mut ask = redis::cmd(name);
    ask.arg(section);
    Ok(is_replica(&connection.send_packed_command(&ask).await?.into()))
}
