//! A store that fails, stalls and loses replies on command, for tests of what happens then. Behind the feature `test-util`.
//!
//! It wraps any store and knows no types either: faults are planned per operation, and a call without a plan
//! goes straight through.

mod plan;
mod queues;

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;

pub use self::plan::{Gate, Op};
use self::plan::{Plans, stop_at};
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::pass_on;
use crate::store::contract::{Changes, Immediate, Store};
use crate::store::messages::about::{About, StoreHealth};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome};
use crate::store::messages::lease::{HeldLease, Keep, Lease, LeaseRequest};
use crate::store::messages::read::{Read, ReadRequest};
use crate::store::messages::write::{Guard, Write, Written};
use crate::store::queues::Queues;

/// A store that does what its [inner](Self::new) one does, except where a test says otherwise.
///
/// A call goes through its plan in this order: it is counted, delayed, stopped at a [gate](Self::gate), failed,
/// or passed on; then stopped at a [gate after](Self::gate_after), and its reply lost or handed back.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use std::sync::Arc;
/// use cachemacro::ErrorKind;
/// use cachemacro::store::{ReadRequest, Store};
/// use cachemacro::store::faults::{FaultStore, Op};
/// use cachemacro::store::memory::MemoryStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let store = FaultStore::new(Arc::new(MemoryStore::new()));
/// store.fail_next(Op::Read, 1, ErrorKind::Timeout);
/// assert!(store.read(ReadRequest::new(&["key"])).await.is_err());
/// assert!(store.read(ReadRequest::new(&["key"])).await.is_ok());
/// assert_eq!(store.count(Op::Read), 2);
/// # });
/// ```
pub struct FaultStore {
    inner: Arc<dyn Store>,
    plans: Mutex<Plans>,
}

impl FaultStore {
    /// A store that passes everything on to `inner`, for now.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, store::{faults::FaultStore, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new()))); // kept, to plan faults
    /// let cache = Cache::builder().store(store.clone()).build()?;
    /// cache.set("n", 1, &7).await?;
    /// assert_eq!(cache.get::<i32>("n", 1).await?, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    pub fn new(inner: Arc<dyn Store>) -> Self {
        Self { inner, plans: Mutex::new(Plans::new()) }
    }

    /// Fails every call of `op` from now on.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{ErrorKind, store::{ReadRequest, Store, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.fail(Op::Read, ErrorKind::Io);
    /// for _ in 0..3 {
    ///     assert_eq!(store.read(ReadRequest::new(&["key"])).await.unwrap_err().kind(), ErrorKind::Io);
    /// }
    /// # }
    /// ```
    pub fn fail(&self, op: Op, kind: ErrorKind) {
        self.plans().of(op).failing = Some(kind);
    }

    /// Fails the next `n` calls of `op`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{ErrorKind, store::{ReadRequest, Store, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.fail_next(Op::Read, 2, ErrorKind::Timeout);
    /// assert!(store.read(ReadRequest::new(&["key"])).await.is_err());
    /// assert!(store.read(ReadRequest::new(&["key"])).await.is_err());
    /// assert!(store.read(ReadRequest::new(&["key"])).await.is_ok());
    /// # }
    /// ```
    pub fn fail_next(&self, op: Op, n: usize, kind: ErrorKind) {
        self.plans().of(op).failures.extend(std::iter::repeat_n(kind, n));
    }

    /// Fails every call of every operation from now on: the store is down.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, ErrorKind, store::{faults::FaultStore, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    /// let cache = Cache::builder().store(store.clone()).build()?;
    /// store.fail_all(ErrorKind::Connect);
    /// assert!(cache.get::<u32>("n", 1).await.is_err());
    /// assert_eq!(cache.get_or_load("n", 1, async || 7).await, 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail_all(&self, kind: ErrorKind) {
        self.plans().all = Some(kind);
    }

    /// Ends all failures, delays and lost replies. Gates stay, and so do counts.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{ErrorKind, store::{Store, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.fail_all(ErrorKind::Connect);
    /// assert!(store.health().await.is_err());
    /// store.heal();
    /// assert!(store.health().await.is_ok());
    /// # }
    /// ```
    pub fn heal(&self) {
        self.plans().heal();
    }

    /// Carries the next call of `op` out and tells its caller [`Timeout`](ErrorKind::Timeout) all the same.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{ErrorKind, store::{Store, Write, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let inner = Arc::new(MemoryStore::new());
    /// let store = FaultStore::new(inner.clone());
    /// store.lose_reply_next(Op::Set);
    /// let lost = store.write(&[Write::new("key", "value".into(), Duration::from_secs(60))]).await;
    /// assert_eq!(lost.unwrap_err().kind(), ErrorKind::Timeout);
    /// assert_eq!(inner.len(), 1, "stored all the same");
    /// # }
    /// ```
    pub fn lose_reply_next(&self, op: Op) {
        self.plans().of(op).lost_replies += 1;
    }

    /// Delays every call of `op` from now on, before it is carried out.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread", start_paused = true)] async fn main() {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::{sync::Arc, time::Duration};
    /// use tokio::time::Instant;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.delay(Op::Health, Duration::from_secs(3));
    /// let began = Instant::now(); // of a runtime whose time is paused
    /// assert!(store.health().await.is_ok());
    /// assert_eq!(began.elapsed(), Duration::from_secs(3));
    /// # }
    /// ```
    pub fn delay(&self, op: Op, by: Duration) {
        self.plans().of(op).delay = by;
    }

    /// Stops the next call of `op` before it is carried out, until the gate opens. Several gates stop one call
    /// each, in the order in which they were made.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// let (first, second) = (store.gate(Op::Health), store.gate(Op::Health));
    /// let (_, _, ()) = tokio::join!(store.health(), store.health(), async {
    ///     assert!(first.is_reached() && second.is_reached());
    ///     drop((first, second));
    /// });
    /// # }
    /// ```
    pub fn gate(&self, op: Op) -> Gate {
        let (gate, stop) = Gate::new();
        self.plans().of(op).before.push_back(stop);
        gate
    }

    /// Stops the next call of `op` after it was carried out, before its caller hears of it, until the gate opens.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, Write, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let inner = Arc::new(MemoryStore::new());
    /// let store = FaultStore::new(inner.clone());
    /// let gate = store.gate_after(Op::Set);
    /// let write = [Write::new("key", "value".into(), Duration::from_secs(60))];
    /// let (stored, ()) = tokio::join!(store.write(&write), async {
    ///     gate.reached().await;
    ///     assert_eq!(inner.len(), 1, "stored, and its caller does not know");
    ///     gate.open();
    /// });
    /// stored?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn gate_after(&self, op: Op) -> Gate {
        let (gate, stop) = Gate::new();
        self.plans().of(op).after.push_back(stop);
        gate
    }

    /// Whether the store is [immediate](Store::immediate); `false` has callers queue and act later, as they must with a server.
    /// Where anything is planned for evicts or releases, they must in any case.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Store, faults::FaultStore, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// assert!(store.immediate().is_some());
    /// store.set_immediate(false);
    /// assert!(store.immediate().is_none());
    /// ```
    pub fn set_immediate(&self, allowed: bool) {
        self.plans().immediate = allowed;
    }

    /// How often `op` was called, failed and stopped calls included.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{ErrorKind, store::{ReadRequest, Store, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.fail_next(Op::Read, 1, ErrorKind::Timeout);
    /// let _ = (store.read(ReadRequest::new(&["key"])).await, store.read(ReadRequest::new(&["key"])).await);
    /// assert_eq!((store.count(Op::Read), store.count(Op::Set)), (2, 0));
    /// # }
    /// ```
    pub fn count(&self, op: Op) -> u64 {
        self.plans().of(op).calls
    }

    fn plans(&self) -> MutexGuard<'_, Plans> {
        crate::ground::sync::lock(&self.plans)
    }

    async fn run<T>(&self, ops: &[Op], call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        for op in ops {
            self.arrive(*op).await?;
        }
        let answer = call.await;
        for op in ops {
            self.leave(*op).await?;
        }
        answer
    }

    async fn arrive(&self, op: Op) -> Result<()> {
        let (delay, gate) = {
            let mut plans = self.plans();
            let plan = plans.of(op);
            plan.calls += 1;
            (plan.delay, plan.before.pop_front())
        };
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        stop_at(gate).await;
        match self.plans().failure(op) {
            Some(kind) => Err(Error::new(kind, "a test made this call fail")),
            None => Ok(()),
        }
    }

    async fn leave(&self, op: Op) -> Result<()> {
        let gate = self.plans().of(op).after.pop_front();
        stop_at(gate).await;
        let mut plans = self.plans();
        let plan = plans.of(op);
        if plan.lost_replies > 0 {
            plan.lost_replies -= 1;
            return Err(Error::new(ErrorKind::Timeout, "a test lost this call's reply"));
        }
        Ok(())
    }
}

/// What a read is.
fn op_of_read(request: ReadRequest<'_>) -> Op {
    match request {
        ReadRequest { keys: [], .. } => Op::Versions,
        ReadRequest { first: Some(_), .. } => Op::ReadHead,
        ReadRequest { .. } => Op::Read,
    }
}

/// What writes are, each once.
fn ops_of_writes(writes: &[Write<'_>]) -> Vec<Op> {
    let mut ops = Vec::new();
    for write in writes {
        let op = match write.guard {
            Guard::Always => Op::Set,
            Guard::Lease(_) | Guard::Unchanged { .. } => Op::Fill,
            Guard::Seen(_) => Op::CompareAndSet,
        };
        if !ops.contains(&op) {
            ops.push(op);
        }
    }
    ops
}

/// What an evict is.
fn ops_of_evict(request: EvictRequest<'_>) -> Vec<Op> {
    let named = [(Op::EvictTags, !request.tags.is_empty()), (Op::Evict, !request.keys.is_empty())];
    named.into_iter().filter_map(|(op, named)| named.then_some(op)).collect()
}

#[async_trait]
impl Store for FaultStore {
    pass_on!(self.inner: now, time, close, tracking, inspect, documents, raw_commands, streams, pool, refused, breaker, server, unreached);

    fn queues(&self) -> Option<&dyn Queues> {
        self.inner.queues().is_some().then_some(self)
    }

    /// It stands for what another process has: a place of its own to all but those who are given this very store.
    fn about(&self) -> About {
        let mut about = self.inner.about();
        about.identity = None;
        about
    }

    async fn connect(&self) -> Result<()> {
        self.run(&[Op::Connect], self.inner.connect()).await
    }

    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        self.run(&[op_of_read(request)], self.inner.read(request)).await
    }

    async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.run(&[Op::Capture], self.inner.capture(versions, life)).await
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        self.run(&[Op::Lease], self.inner.lease(requests)).await
    }

    async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        let op = match how {
            Keep::Renew(_) => Op::Renew,
            Keep::Release => Op::Release,
        };
        self.run(&[op], self.inner.keep(leases, how)).await
    }

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        self.run(&ops_of_writes(writes), self.inner.write(writes)).await
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        self.run(&[Op::Increment], self.inner.increment(increment)).await
    }

    async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        self.run(&ops_of_evict(request), self.inner.evict(request)).await
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        self.run(&[Op::EvictPrefix], self.inner.evict_prefix(prefix)).await
    }

    async fn health(&self) -> Result<StoreHealth> {
        self.run(&[Op::Health], self.inner.health()).await
    }

    fn changes(&self) -> Option<&dyn Changes> {
        self.inner.changes().is_some().then_some(self)
    }

    fn immediate(&self) -> Option<&dyn Immediate> {
        let can = self.plans().let_act_at_once() && self.inner.immediate().is_some();
        can.then_some(self)
    }
}

#[async_trait]
impl Changes for FaultStore {
    fn are_told(&self) -> bool {
        self.inner.changes().is_some_and(Changes::are_told)
    }

    async fn changed(&self, key: &str, at_most: Duration) {
        if self.arrive(Op::Changed).await.is_err() {
            tokio::time::sleep(at_most).await;
            return;
        }
        if let Some(changes) = self.inner.changes() {
            changes.changed(key, at_most).await;
        }
        // A lost wake-up comes too late: no caller can tell it from a key that never changed.
        let _ = self.leave(Op::Changed).await;
    }
}

impl Immediate for FaultStore {
    fn evict(&self, request: EvictRequest<'_>) -> Vec<bool> {
        for op in ops_of_evict(request) {
            self.plans().of(op).calls += 1;
        }
        self.inner.immediate().map_or_else(Vec::new, |immediate| immediate.evict(request))
    }

    fn release(&self, lease: HeldLease<'_>) -> bool {
        self.plans().of(Op::Release).calls += 1;
        self.inner.immediate().is_some_and(|immediate| immediate.release(lease))
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
