//! Operations that stop at a chosen await point until the test lets them go on.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cachemacro_runtime::store::faults::{Gate, Op};
use cachemacro_runtime::{Cache, Entry, Value};
use futures_util::FutureExt as _;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::rig::Process;
use crate::wait::{DEADLINE, wait_for};

/// Where an operation stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Before the store carries the operation out.
    Before(Op),
    /// After it did and before the caller hears of it.
    After(Op),
    /// In the user's function, before it reads or writes the database.
    BeforeQuery,
    /// In the user's function, after it did.
    AfterQuery,
}

/// The stops of one user's function, most of which are not there.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    before: Option<Arc<Stop>>,
    after: Option<Arc<Stop>>,
}

struct Stop {
    reached: Semaphore,
    open: Semaphore,
}

impl fmt::Debug for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stop").finish_non_exhaustive()
    }
}

impl Stops {
    /// For the user's function: before its query.
    pub async fn before_query(&self) {
        pass(self.before.as_deref()).await;
    }

    /// For the user's function: after its query.
    pub async fn after_query(&self) {
        pass(self.after.as_deref()).await;
    }
}

async fn pass(stop: Option<&Stop>) {
    if let Some(stop) = stop {
        stop.reached.add_permits(1);
        // Never closed, and open for good once it is.
        stop.open.acquire().await.expect("a stop opens").forget();
        stop.open.add_permits(1);
    }
}

/// An operation that was started and stands at its point.
#[derive(Debug)]
pub struct Halted<T> {
    task: JoinHandle<T>,
    at: At,
    cache: Cache,
}

#[derive(Debug)]
enum At {
    Gate(Gate),
    Stop(Arc<Stop>),
    /// It ended without coming to its point.
    Nowhere,
}

/// Waits until someone stands at the gate.
///
/// # Panics
/// Where nobody does within the [`DEADLINE`].
pub async fn reached(gate: &Gate) {
    timeout(DEADLINE, gate.reached()).await.expect("someone comes to the gate");
}

impl<T> Halted<T> {
    /// Starts an operation of `process` and waits until it stops, or has ended without coming to `point`.
    pub async fn start(
        process: &Process,
        point: Point,
        operation: impl FnOnce(Stops) -> JoinHandle<T>,
    ) -> Self {
        let mut stops = Stops::default();
        let at = match point {
            Point::Before(op) => At::Gate(process.faults.gate(op)),
            Point::After(op) => At::Gate(process.faults.gate_after(op)),
            Point::BeforeQuery | Point::AfterQuery => {
                let stop = Arc::new(Stop { reached: Semaphore::new(0), open: Semaphore::new(0) });
                let place = if point == Point::BeforeQuery { &mut stops.before } else { &mut stops.after };
                *place = Some(stop.clone());
                At::Stop(stop)
            }
        };
        let task = operation(stops);
        let halted = Self { task, at, cache: process.cache.clone() };
        // What a load stores goes on behind it.
        let is_over = || halted.task.is_finished() && process.cache.stored().now_or_never().is_some();
        soon("the operation stops or ends", || halted.stands() || is_over()).await;
        if halted.stands() {
            return halted;
        }
        // Its gate must not stop another operation of the process.
        Self { at: At::Nowhere, ..halted }
    }

    /// Whether it came to its point.
    pub fn stands(&self) -> bool {
        match &self.at {
            At::Gate(gate) => gate.is_reached(),
            At::Stop(stop) => stop.reached.available_permits() > 0,
            At::Nowhere => false,
        }
    }

    /// Lets it go on and waits for its end.
    ///
    /// # Panics
    /// Where it panics or does not end within the [`DEADLINE`].
    pub async fn end(self) -> T {
        match self.at {
            At::Gate(gate) => gate.open(),
            At::Stop(stop) => stop.open.add_permits(1),
            At::Nowhere => {}
        }
        let returned = ended(self.task).await;
        self.cache.stored().await;
        returned
    }

    /// Drops it where it stands.
    pub async fn abort(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

/// What a task returned.
///
/// # Panics
/// Where it panicked or does not end within the [`DEADLINE`].
pub async fn ended<T>(task: JoinHandle<T>) -> T {
    timeout(DEADLINE, task).await.expect("it ends in time").expect("it does not panic")
}

/// [`wait_for`] without its pauses where a few polls of the other tasks suffice.
///
/// # Panics
/// Where the condition does not hold within the [`DEADLINE`].
pub async fn soon(what: &str, mut condition: impl FnMut() -> bool) {
    for _ in 0..20 {
        if condition() {
            return;
        }
        tokio::task::yield_now().await;
    }
    wait_for(what, condition).await;
}

/// A table with one row, which holds a version number. Clones are the same table.
#[derive(Debug, Clone)]
pub struct Table {
    version: Arc<AtomicU64>,
    queries: Arc<AtomicU64>,
}

impl Default for Table {
    /// Version 1.
    fn default() -> Self {
        Self { version: Arc::new(AtomicU64::new(1)), queries: Arc::default() }
    }
}

impl Table {
    /// Raises the version and returns it.
    pub fn write(&self) -> u64 {
        self.version.fetch_add(1, Ordering::SeqCst) + 1
    }

    /// How often the row was read.
    pub fn queries(&self) -> u64 {
        self.queries.load(Ordering::SeqCst)
    }

    /// Reads the row.
    pub fn query(&self) -> u64 {
        self.queries.fetch_add(1, Ordering::SeqCst);
        self.version.load(Ordering::SeqCst)
    }

    /// Reads the row through the cache, from a task of its own; `make` turns the version into the value.
    pub fn read_as<T: Value>(
        &self,
        entry: &Entry<T>,
        stops: Stops,
        make: impl FnOnce(u64) -> T + Send + 'static,
    ) -> JoinHandle<T> {
        let (table, entry) = (self.clone(), entry.clone());
        tokio::spawn(async move {
            let load = || async {
                stops.before_query().await;
                let version = table.query();
                stops.after_query().await;
                make(version)
            };
            entry.get_or_load(load).await
        })
    }

    /// Reads the version through the cache, from a task of its own.
    pub fn read(&self, entry: &Entry<u64>, stops: Stops) -> JoinHandle<u64> {
        self.read_as(entry, stops, |version| version)
    }
}
