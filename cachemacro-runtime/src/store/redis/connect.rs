//! Connections: a few that all tasks share, a pool for what needs one to itself, and the rules for replacing one.
//!
//! The shared ones are none of the pool's: reads and evicts go on, and reconnect, while scans hold all of it.
//! Opening runs in a task of its own, so that a caller who gives up does not abandon the attempt; whoever needs
//! the same connection waits for that one attempt. Attempts are spaced by a jittered backoff after a failure and
//! by a budget always. Knows no command but those that set a connection up.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use deadpool_redis::{Connection, Manager, Pool, PoolConfig, Runtime, Timeouts};
use redis::{AsyncConnectionConfig, ConnectionInfo};
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::timeout;

use super::config::RedisConfig;
use super::gate::Gate;
use super::time::ServerTime;
use super::wire::{self, Packed, Wire};
use super::{failure, reply, script};
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync::lock;

/// The connections of one store.
pub(super) struct Link {
    info: ConnectionInfo,
    pool: Pool,
    slots: Box<[Mutex<Slot>]>,
    next_slot: AtomicUsize,
    next_generation: AtomicU64,
    pub(super) gate: Mutex<Gate>,
    pub(super) time: ServerTime,
    closed: AtomicBool,
    ever_open: AtomicBool,
    connect_timeout: Duration,
    command_timeout: Duration,
    pool_wait: Duration,
}

/// One shared connection.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) wire: Arc<Wire>,
    runtime: runtime::Id,
    slot: usize,
    generation: u64,
}

impl Handle {
    /// Whether the connection is driven by the runtime of the caller.
    pub(super) fn is_near(&self) -> bool {
        runtime::Handle::try_current().is_ok_and(|here| here.id() == self.runtime)
    }
}

enum Slot {
    Empty,
    Opening { generation: u64, since: Instant, done: watch::Receiver<()> },
    Open(Handle),
}

impl Link {
    pub(super) fn new(config: &RedisConfig, info: ConnectionInfo) -> Result<Self> {
        // The driver's own response timeout is off: each command has its deadline around it.
        let connection = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(config.connect_timeout))
            .set_response_timeout(None);
        let manager = Manager::new_with_config(info.clone(), connection)
            .map_err(|error| failure::unreachable(&error))?;
        let mut pool = PoolConfig::new(config.pool_size);
        pool.timeouts = Timeouts {
            wait: Some(config.pool_wait),
            create: Some(config.connect_timeout),
            recycle: Some(config.command_timeout),
        };
        let pool = Pool::builder(manager)
            .config(pool)
            .runtime(Runtime::Tokio1)
            .build()
            .map_err(|_| Error::new(ErrorKind::Config, "the connection pool could not be built"))?;
        Ok(Self {
            info,
            pool,
            slots: (0..config.handles).map(|_| Mutex::new(Slot::Empty)).collect(),
            next_slot: AtomicUsize::new(0),
            next_generation: AtomicU64::new(1),
            gate: Mutex::new(Gate::new(config.handles + 1)),
            time: ServerTime::new(),
            closed: AtomicBool::new(false),
            ever_open: AtomicBool::new(false),
            connect_timeout: config.connect_timeout,
            command_timeout: config.command_timeout,
            pool_wait: config.pool_wait,
        })
    }

    /// How many shared connections there are.
    pub(super) fn width(&self) -> usize {
        self.slots.len()
    }

    /// A shared connection: the next in turn, another where that one is not open, else as soon as it is.
    pub(super) async fn acquire(self: &Arc<Self>) -> Result<Handle> {
        let turn = self.next_slot.fetch_add(1, Ordering::Relaxed) % self.slots.len();
        if let Some(handle) = self.open_handle(turn) {
            return Ok(handle);
        }
        let opening = self.open(turn);
        if let Some(handle) = (0..self.slots.len()).find_map(|slot| self.open_handle(slot)) {
            return Ok(handle);
        }
        // The first connection is waited for in full. Where one was lost, callers wait for `pool_wait` at most, then go on
        // without the cache (G6).
        let first = !self.ever_open.load(Ordering::Relaxed) && lock(&self.gate).is_calm();
        let patience = if first { self.longest_wait() } else { self.pool_wait };
        self.wait_for(turn, opening?, patience).await
    }

    /// Opens every shared connection and waits for them.
    pub(super) async fn acquire_all(self: &Arc<Self>) -> Result<()> {
        let openings: Vec<_> = (0..self.slots.len()).map(|slot| self.open(slot)).collect();
        for (slot, opening) in openings.into_iter().enumerate() {
            self.wait_for(slot, opening?, self.longest_wait()).await?;
        }
        Ok(())
    }

    /// A connection of the pool, for what needs one to itself.
    pub(super) async fn checkout(&self) -> Result<Connection> {
        let patience = self.pool_wait + self.connect_timeout + self.command_timeout;
        match timeout(patience, self.pool.get()).await {
            Ok(connection) => connection.map_err(|error| failure::no_connection(&error)),
            Err(_) => {
                Err(Error::new(ErrorKind::Connect, "no pooled connection to redis within its deadline"))
            }
        }
    }

    /// Takes a connection that broke or went silent out of use. What others await on it goes on.
    pub(super) fn retire(&self, handle: &Handle) {
        let mut slot = self.slot(handle.slot);
        if matches!(&*slot, Slot::Open(open) if open.generation == handle.generation) {
            *slot = Slot::Empty;
            drop(slot);
            tracing::warn!(connection = handle.slot, "a redis connection failed and will be replaced");
        }
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.pool.close();
        for index in 0..self.slots.len() {
            *self.slot(index) = Slot::Empty;
        }
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    fn open_handle(&self, slot: usize) -> Option<Handle> {
        match &*self.slot(slot) {
            Slot::Open(handle) => Some(handle.clone()),
            _ => None,
        }
    }

    /// Joins the attempt to open this connection, or starts one where that is allowed now.
    fn open(self: &Arc<Self>, index: usize) -> Result<watch::Receiver<()>> {
        if self.is_closed() {
            return Err(failure::closed());
        }
        let now = Instant::now();
        let mut slot = self.slot(index);
        match &*slot {
            // An overdue attempt is replaced: the runtime that it was spawned on may have stopped.
            Slot::Opening { since, done, .. } if now.duration_since(*since) < self.longest_wait() => {
                return Ok(done.clone());
            }
            Slot::Open(_) => return Ok(watch::channel(()).1),
            _ => {}
        }
        lock(&self.gate).admit(now)?;
        let (finished, done) = watch::channel(());
        let generation = self.next_generation.fetch_add(1, Ordering::Relaxed);
        *slot = Slot::Opening { generation, since: now, done: done.clone() };
        drop(slot);
        let runtime = runtime::Handle::current();
        let attempt = Attempt {
            link: Arc::clone(self),
            slot: index,
            generation,
            runtime: runtime.id(),
            opened: None,
            _finished: finished,
        };
        runtime.spawn(attempt.run());
        Ok(done)
    }

    async fn wait_for(
        &self,
        slot: usize,
        mut done: watch::Receiver<()>,
        patience: Duration,
    ) -> Result<Handle> {
        // The sender is dropped when the attempt is over, however it ended.
        let in_time = timeout(patience, done.changed()).await.is_ok();
        if let Some(handle) = self.open_handle(slot) {
            return Ok(handle);
        }
        Err(if in_time {
            lock(&self.gate).why()
        } else {
            Error::new(ErrorKind::Connect, "still connecting to redis")
        })
    }

    /// How long to wait for an attempt. It ends before that, unless the runtime that it was spawned on stopped.
    fn longest_wait(&self) -> Duration {
        self.connect_timeout * 2
    }

    /// Opens a connection, loads the scripts and learns the server's time.
    async fn establish(&self) -> Result<Wire> {
        // The server pushes nothing to a connection that asked for nothing.
        let wire = wire::open(&self.info, self.connect_timeout, self.command_timeout, Box::new(drop)).await;
        let wire = wire.map_err(|error| failure::unopened(&error))?;
        let mut setup = Packed::default();
        setup.command(1).part("TIME");
        for script in script::all() {
            script.load(&mut setup);
        }
        let sent = Instant::now();
        let replies = wire
            .call_within(setup, self.connect_timeout)
            .await
            .map_err(|broken| failure::unopened(&broken.into()))?;
        // A server may forbid SCRIPT LOAD; calls then carry their source. Without TIME nothing works.
        let time = replies.into_iter().next().ok_or_else(failure::unexpected)?;
        let millis = reply::time(time)?;
        self.time.observe(sent, Instant::now(), millis);
        Ok(wire)
    }

    fn slot(&self, index: usize) -> MutexGuard<'_, Slot> {
        lock(&self.slots[index])
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let open = (0..self.slots.len()).filter(|slot| self.open_handle(*slot).is_some()).count();
        f.debug_struct("Link")
            .field("handles", &self.slots.len())
            .field("open", &open)
            .finish_non_exhaustive()
    }
}

/// One attempt to open one shared connection. However it ends, even by being dropped, it leaves the slot open or empty
/// before those who wait are told (G9).
struct Attempt {
    link: Arc<Link>,
    slot: usize,
    generation: u64,
    /// Where it runs, and the connection then.
    runtime: runtime::Id,
    opened: Option<Wire>,
    _finished: watch::Sender<()>,
}

impl Attempt {
    async fn run(mut self) {
        let established = timeout(self.link.connect_timeout, self.link.establish())
            .await
            .unwrap_or_else(|_| Err(Error::new(ErrorKind::Connect, "redis did not answer while connecting")));
        let mut gate = lock(&self.link.gate);
        let was_calm = gate.is_calm();
        match &established {
            Ok(_) => gate.succeeded(),
            Err(error) => gate.failed(Instant::now(), error),
        }
        drop(gate);
        match established {
            Ok(connection) => {
                self.link.ever_open.store(true, Ordering::Relaxed);
                self.opened = Some(connection);
                if was_calm {
                    tracing::debug!(connection = self.slot, "connected to redis");
                } else {
                    tracing::info!(connection = self.slot, "redis answers again");
                }
            }
            Err(error) if was_calm => {
                tracing::warn!(connection = self.slot, %error, "could not connect to redis");
            }
            Err(error) => {
                tracing::debug!(connection = self.slot, %error, "still could not connect to redis");
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut slot = self.link.slot(self.slot);
        if !matches!(&*slot, Slot::Opening { generation, .. } if *generation == self.generation) {
            return;
        }
        *slot = match self.opened.take() {
            Some(wire) if !self.link.is_closed() => Slot::Open(Handle {
                wire: Arc::new(wire),
                runtime: self.runtime,
                slot: self.slot,
                generation: self.generation,
            }),
            _ => Slot::Empty,
        };
    }
}
