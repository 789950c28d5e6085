//! A store that fails, stalls and loses replies on command, for tests of what happens then.
//!
//! It wraps any store and knows no types either: faults are planned per operation, and a call without a plan
//! goes straight through.

use std::collections::VecDeque;
use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::watch;

use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::{
    Fill, FillId, Filled, Head, Increment, IncrementOutcome, Lease, LeaseRequest, Read, Store, StoreHealth,
    TagKeys, Token, Version, VersionKey,
};

/// An operation of a [`Store`], named like its method.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{ErrorKind, store::{Store, faults::{FaultStore, Op}, memory::MemoryStore}};
/// use std::sync::Arc;
///
/// let store = FaultStore::new(Arc::new(MemoryStore::new()));
/// store.fail(Op::Health, ErrorKind::Io);
/// assert!(store.health().await.is_err());
/// assert!(store.connect().await.is_ok(), "another operation");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Op {
    /// [`Store::connect`]
    Connect,
    /// [`Store::read`]
    Read,
    /// [`Store::read_many`]
    ReadMany,
    /// [`Store::read_head`]
    ReadHead,
    /// [`Store::versions`]
    Versions,
    /// [`Store::capture`]
    Capture,
    /// [`Store::lease`]
    Lease,
    /// [`Store::lease_many`]
    LeaseMany,
    /// [`Store::renew`]
    Renew,
    /// [`Store::release`] and [`Store::release_now`]
    Release,
    /// [`Store::fill`]
    Fill,
    /// [`Store::fill_many`]
    FillMany,
    /// [`Store::set`]
    Set,
    /// [`Store::compare_and_set`]
    CompareAndSet,
    /// [`Store::increment`]
    Increment,
    /// [`Store::evict`], and [`Store::evict_now`] with keys
    Evict,
    /// [`Store::evict_tags`], and [`Store::evict_now`] with tags
    EvictTags,
    /// [`Store::evict_prefix`]
    EvictPrefix,
    /// [`Store::changed`], which has no error: a failing one waits its whole time
    Changed,
    /// [`Store::health`]
    Health,
}

impl Op {
    /// How many there are; `Health` is the last.
    const COUNT: usize = Op::Health as usize + 1;
}

/// A store that does what its [inner](Self::new) one does, except where a test says otherwise.
///
/// A call goes through its plan in this order: it is counted, delayed, stopped at a [gate](Self::gate), failed,
/// or passed on; then stopped at a [gate after](Self::gate_after), and its reply lost or handed back.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use std::sync::Arc;
/// use cachemacro::ErrorKind;
/// use cachemacro::store::Store;
/// use cachemacro::store::faults::{FaultStore, Op};
/// use cachemacro::store::memory::MemoryStore;
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(async {
/// let store = FaultStore::new(Arc::new(MemoryStore::new()));
/// store.fail_next(Op::Read, 1, ErrorKind::Timeout);
/// assert!(store.read("key", &[]).await.is_err());
/// assert!(store.read("key", &[]).await.is_ok());
/// assert_eq!(store.count(Op::Read), 2);
/// # });
/// ```
pub struct FaultStore {
    inner: Arc<dyn Store>,
    plans: Mutex<Plans>,
}

struct Plans {
    by_op: [Plan; Op::COUNT],
    all: Option<ErrorKind>,
    sync_evict: bool,
}

#[derive(Default)]
struct Plan {
    calls: u64,
    delay: Duration,
    before: VecDeque<Arc<watch::Sender<Stage>>>,
    failing: Option<ErrorKind>,
    failures: VecDeque<ErrorKind>,
    after: VecDeque<Arc<watch::Sender<Stage>>>,
    lost_replies: u64,
}

#[derive(Debug, Default, Clone, Copy)]
struct Stage {
    reached: bool,
    open: bool,
}

/// Stops one call until it is opened, or dropped. From [`FaultStore::gate`] and [`FaultStore::gate_after`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
/// use std::sync::Arc;
///
/// let store = FaultStore::new(Arc::new(MemoryStore::new()));
/// let gate = store.gate(Op::Read);
/// let (read, ()) = tokio::join!(store.read("key", &[]), async {
///     gate.reached().await;
///     // What is done here happens while the call is under way.
///     gate.open();
/// });
/// read?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "a dropped gate is open"]
pub struct Gate(Arc<watch::Sender<Stage>>);

impl Gate {
    /// Waits until a call stands at the gate. Without a deadline: wrap it in a timeout where none may come.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// let gate = store.gate(Op::Health);
    /// let (health, ()) = tokio::join!(store.health(), async {
    ///     gate.reached().await;
    ///     gate.open();
    /// });
    /// assert!(health.is_ok());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn reached(&self) {
        // The gate itself keeps the channel open, so this ends by a call only.
        let _ = self.0.subscribe().wait_for(|stage| stage.reached).await;
    }

    /// Whether a call has come to the gate.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// let gate = store.gate(Op::Health);
    /// assert!(!gate.is_reached(), "nobody called yet");
    /// let (_, ()) = tokio::join!(store.health(), async {
    ///     assert!(gate.is_reached());
    ///     drop(gate);
    /// });
    /// # }
    /// ```
    pub fn is_reached(&self) -> bool {
        self.0.borrow().reached
    }

    /// Lets the call pass, also one that is still to come.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.gate(Op::Health).open(); // before the call comes
    /// assert!(store.health().await.is_ok());
    /// # }
    /// ```
    pub fn open(self) {
        drop(self);
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.0.send_modify(|stage| stage.open = true);
    }
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
        let plans = Plans { by_op: std::array::from_fn(|_| Plan::default()), all: None, sync_evict: true };
        Self { inner, plans: Mutex::new(plans) }
    }

    /// Fails every call of `op` from now on.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{ErrorKind, store::{Store, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.fail(Op::Read, ErrorKind::Io);
    /// for _ in 0..3 {
    ///     assert_eq!(store.read("key", &[]).await.unwrap_err().kind(), ErrorKind::Io);
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
    /// use cachemacro::{ErrorKind, store::{Store, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.fail_next(Op::Read, 2, ErrorKind::Timeout);
    /// assert!(store.read("key", &[]).await.is_err());
    /// assert!(store.read("key", &[]).await.is_err());
    /// assert!(store.read("key", &[]).await.is_ok());
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
        let mut plans = self.plans();
        plans.all = None;
        for plan in &mut plans.by_op {
            plan.failing = None;
            plan.failures.clear();
            plan.delay = Duration::ZERO;
            plan.lost_replies = 0;
        }
    }

    /// Carries the next call of `op` out and tells its caller [`Timeout`](ErrorKind::Timeout) all the same.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{ErrorKind, store::{Store, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let inner = Arc::new(MemoryStore::new());
    /// let store = FaultStore::new(inner.clone());
    /// store.lose_reply_next(Op::Set);
    /// let lost = store.set("key", "value".into(), Duration::from_secs(60)).await;
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
        let stage = Arc::new(watch::Sender::default());
        self.plans().of(op).before.push_back(Arc::clone(&stage));
        Gate(stage)
    }

    /// Stops the next call of `op` after it was carried out, before its caller hears of it, until the gate opens.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::{sync::Arc, time::Duration};
    ///
    /// let inner = Arc::new(MemoryStore::new());
    /// let store = FaultStore::new(inner.clone());
    /// let gate = store.gate_after(Op::Set);
    /// let (stored, ()) = tokio::join!(store.set("key", "value".into(), Duration::from_secs(60)), async {
    ///     gate.reached().await;
    ///     assert_eq!(inner.len(), 1, "stored, and its caller does not know");
    ///     gate.open();
    /// });
    /// stored?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn gate_after(&self, op: Op) -> Gate {
        let stage = Arc::new(watch::Sender::default());
        self.plans().of(op).after.push_back(Arc::clone(&stage));
        Gate(stage)
    }

    /// Whether [`Store::evict_now`] and [`Store::release_now`] may act at once; `false` has callers queue and act
    /// later, as they must with a server. Where anything is planned for the operation in question, they must in any
    /// case.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Store, faults::{FaultStore, Op}, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.set_sync_evict(false);
    /// store.evict_now(&["key".to_owned()], &[]);
    /// assert_eq!(store.count(Op::Evict), 0, "as with a server, it is left to `evict`");
    /// ```
    pub fn set_sync_evict(&self, allowed: bool) {
        self.plans().sync_evict = allowed;
    }

    /// How often `op` was called, failed and stopped calls included.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{ErrorKind, store::{Store, faults::{FaultStore, Op}, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = FaultStore::new(Arc::new(MemoryStore::new()));
    /// store.fail_next(Op::Read, 1, ErrorKind::Timeout);
    /// let _ = (store.read("key", &[]).await, store.read("key", &[]).await);
    /// assert_eq!((store.count(Op::Read), store.count(Op::Set)), (2, 0));
    /// # }
    /// ```
    pub fn count(&self, op: Op) -> u64 {
        self.plans().of(op).calls
    }

    fn plans(&self) -> MutexGuard<'_, Plans> {
        crate::ground::sync::lock(&self.plans)
    }

    async fn run<T>(&self, op: Op, call: impl Future<Output = Result<T>> + Send) -> Result<T> {
        self.arrive(op).await?;
        let answer = call.await;
        self.leave(op).await?;
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

impl Plans {
    fn of(&mut self, op: Op) -> &mut Plan {
        &mut self.by_op[op as usize]
    }

    fn failure(&mut self, op: Op) -> Option<ErrorKind> {
        let all = self.all;
        let plan = self.of(op);
        plan.failures.pop_front().or(plan.failing).or(all)
    }

    fn lets_act_now(&mut self, op: Op) -> bool {
        self.sync_evict && self.all.is_none() && self.of(op).is_empty()
    }
}

impl Plan {
    fn is_empty(&self) -> bool {
        self.delay.is_zero()
            && self.before.is_empty()
            && self.failing.is_none()
            && self.failures.is_empty()
            && self.after.is_empty()
            && self.lost_replies == 0
    }
}

async fn stop_at(gate: Option<Arc<watch::Sender<Stage>>>) {
    if let Some(stage) = gate {
        stage.send_modify(|stage| stage.reached = true);
        // Opened by the gate's drop at the latest; this call keeps the channel open until then.
        let _ = stage.subscribe().wait_for(|stage| stage.open).await;
    }
}

impl fmt::Debug for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FaultStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for FaultStore {
    fn kind(&self) -> &'static str {
        self.inner.kind()
    }

    fn now(&self) -> Timestamp {
        self.inner.now()
    }

    async fn time(&self) -> Result<Timestamp> {
        self.inner.time().await
    }

    async fn connect(&self) -> Result<()> {
        self.run(Op::Connect, self.inner.connect()).await
    }

    async fn read(&self, key: &str, versions: &[VersionKey]) -> Result<Read> {
        self.run(Op::Read, self.inner.read(key, versions)).await
    }

    async fn read_many(
        &self,
        keys: &[String],
        versions: &[VersionKey],
    ) -> Result<(Vec<Option<Bytes>>, Vec<Option<Version>>)> {
        self.run(Op::ReadMany, self.inner.read_many(keys, versions)).await
    }

    async fn read_head(&self, key: &str, length: usize, versions: &[VersionKey]) -> Result<Head> {
        self.run(Op::ReadHead, self.inner.read_head(key, length, versions)).await
    }

    async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        self.run(Op::Versions, self.inner.versions(keys)).await
    }

    async fn capture(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.run(Op::Capture, self.inner.capture(keys, life)).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease> {
        self.run(Op::Lease, self.inner.lease(request)).await
    }

    async fn lease_many(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        self.run(Op::LeaseMany, self.inner.lease_many(requests)).await
    }

    async fn renew(&self, key: &str, token: Token, live: Duration) -> Result<bool> {
        self.run(Op::Renew, self.inner.renew(key, token, live)).await
    }

    async fn release(&self, key: &str, token: Token) -> Result<bool> {
        self.run(Op::Release, self.inner.release(key, token)).await
    }

    async fn fill(&self, fill: Fill<'_>) -> Result<Filled> {
        self.run(Op::Fill, self.inner.fill(fill)).await
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>> {
        self.run(Op::FillMany, self.inner.fill_many(fills)).await
    }

    async fn set(&self, key: &str, bytes: Bytes, life: Duration) -> Result<()> {
        self.run(Op::Set, self.inner.set(key, bytes, life)).await
    }

    async fn compare_and_set(&self, key: &str, seen: FillId, bytes: Bytes, life: Duration) -> Result<bool> {
        self.run(Op::CompareAndSet, self.inner.compare_and_set(key, seen, bytes, life)).await
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        self.run(Op::Increment, self.inner.increment(increment)).await
    }

    async fn evict(&self, keys: &[String]) -> Result<Vec<bool>> {
        self.run(Op::Evict, self.inner.evict(keys)).await
    }

    async fn evict_tags(&self, tags: &[TagKeys]) -> Result<()> {
        self.run(Op::EvictTags, self.inner.evict_tags(tags)).await
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        self.run(Op::EvictPrefix, self.inner.evict_prefix(prefix)).await
    }

    fn evict_now(&self, keys: &[String], tags: &[TagKeys]) -> Option<Vec<bool>> {
        let used = [(Op::Evict, !keys.is_empty()), (Op::EvictTags, !tags.is_empty())];
        let used = used.into_iter().filter_map(|(op, used)| used.then_some(op));
        let allowed = {
            let mut plans = self.plans();
            used.clone().all(|op| plans.lets_act_now(op))
        };
        let evicted = allowed.then(|| self.inner.evict_now(keys, tags)).flatten();
        if evicted.is_some() {
            let mut plans = self.plans();
            used.for_each(|op| plans.of(op).calls += 1);
        }
        evicted
    }

    fn release_now(&self, key: &str, token: Token) -> bool {
        let allowed = self.plans().lets_act_now(Op::Release);
        let released = allowed && self.inner.release_now(key, token);
        if released {
            self.plans().of(Op::Release).calls += 1;
        }
        released
    }

    async fn changed(&self, key: &str, at_most: Duration) {
        if self.arrive(Op::Changed).await.is_err() {
            tokio::time::sleep(at_most).await;
            return;
        }
        self.inner.changed(key, at_most).await;
        // A lost wake-up comes too late: no caller can tell it from a key that never changed.
        let _ = self.leave(Op::Changed).await;
    }

    fn tells_changes(&self) -> bool {
        self.inner.tells_changes()
    }

    async fn health(&self) -> Result<StoreHealth> {
        self.run(Op::Health, self.inner.health()).await
    }

    async fn close(&self) {
        self.inner.close().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::memory::MemoryStore;

    const MINUTE: Duration = Duration::from_secs(60);

    fn faulty() -> (Arc<FaultStore>, Arc<MemoryStore>) {
        let inner = Arc::new(MemoryStore::new());
        (Arc::new(FaultStore::new(Arc::clone(&inner) as Arc<dyn Store>)), inner)
    }

    fn keys() -> [String; 1] {
        ["k".to_owned()]
    }

    fn tags() -> [TagKeys; 1] {
        let key = |text: &str| VersionKey { text: text.to_owned(), hash: 0 };
        [TagKeys { tag: key("t"), any: key("a") }]
    }

    #[tokio::test]
    async fn the_next_calls_fail_and_those_after_work() {
        let (store, inner) = faulty();
        store.fail_next(Op::Set, 2, ErrorKind::Io);
        for _ in 0..2 {
            let error = store.set("k", Bytes::new(), MINUTE).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Io);
        }
        assert!(inner.is_empty(), "a failed call is not carried out");
        store.set("k", Bytes::new(), MINUTE).await.unwrap();
        assert_eq!((inner.len(), store.count(Op::Set)), (1, 3));
    }

    #[tokio::test]
    async fn failures_last_until_healed_and_hit_their_operation_only() {
        let (store, _) = faulty();
        store.fail(Op::Read, ErrorKind::Refused);
        assert_eq!(store.read("k", &[]).await.unwrap_err().kind(), ErrorKind::Refused);
        assert_eq!(store.read("k", &[]).await.unwrap_err().kind(), ErrorKind::Refused);
        store.versions(&[]).await.unwrap();
        store.fail_all(ErrorKind::Connect);
        assert_eq!(store.versions(&[]).await.unwrap_err().kind(), ErrorKind::Connect);
        assert_eq!(store.read("k", &[]).await.unwrap_err().kind(), ErrorKind::Refused, "the nearer plan");
        assert_eq!(store.health().await.unwrap_err().kind(), ErrorKind::Connect);
        store.heal();
        store.read("k", &[]).await.unwrap();
        store.versions(&[]).await.unwrap();
    }

    #[tokio::test]
    async fn a_lost_reply_hides_that_the_call_was_carried_out() {
        let (store, inner) = faulty();
        store.lose_reply_next(Op::Set);
        let error = store.set("k", Bytes::new(), MINUTE).await.unwrap_err();
        assert_eq!((error.kind(), inner.len()), (ErrorKind::Timeout, 1));
        store.set("k", Bytes::new(), MINUTE).await.unwrap();
    }

    #[tokio::test]
    async fn gates_stop_one_call_each_before_and_after_it_is_carried_out() {
        let (store, inner) = faulty();
        let (before, after) = (store.gate(Op::Set), store.gate_after(Op::Set));
        assert!(!before.is_reached());
        let setting = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.set("k", Bytes::new(), MINUTE).await }
        });
        before.reached().await;
        assert!(inner.is_empty());
        before.open();
        after.reached().await;
        assert_eq!(inner.len(), 1);
        assert!(!setting.is_finished());
        after.open();
        setting.await.unwrap().unwrap();
        store.set("other", Bytes::new(), MINUTE).await.unwrap();
    }

    #[tokio::test]
    async fn a_dropped_gate_lets_everyone_pass() {
        let (store, _) = faulty();
        drop(store.gate(Op::Read));
        store.read("k", &[]).await.unwrap();
    }

    #[tokio::test]
    async fn a_failure_planned_while_a_call_stands_at_a_gate_hits_it() {
        let (store, _) = faulty();
        let gate = store.gate(Op::Read);
        let reading = tokio::spawn({
            let store = Arc::clone(&store);
            async move { store.read("k", &[]).await }
        });
        gate.reached().await;
        store.fail_all(ErrorKind::Io);
        gate.open();
        assert_eq!(reading.await.unwrap().unwrap_err().kind(), ErrorKind::Io);
    }

    #[tokio::test(start_paused = true)]
    async fn a_delay_holds_calls_up_until_healed() {
        let (store, _) = faulty();
        store.delay(Op::Read, Duration::from_secs(3));
        let start = tokio::time::Instant::now();
        store.read("k", &[]).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(3));
        store.heal();
        store.read("k", &[]).await.unwrap();
        assert_eq!(start.elapsed(), Duration::from_secs(3));
    }

    #[tokio::test(start_paused = true)]
    async fn a_failing_watch_waits_its_whole_time() {
        let (store, _) = faulty();
        store.fail(Op::Changed, ErrorKind::Io);
        let start = tokio::time::Instant::now();
        store.changed("k", Duration::from_secs(2)).await;
        assert_eq!(start.elapsed(), Duration::from_secs(2));
    }

    #[test]
    fn evicting_at_once_is_refused_where_anything_is_planned_for_it() {
        let (store, inner) = faulty();
        inner.put_raw("k", Bytes::new(), MINUTE);
        store.set_sync_evict(false);
        assert_eq!(store.evict_now(&keys(), &[]), None);
        store.set_sync_evict(true);
        for plan in [
            (|store| store.fail_all(ErrorKind::Io)) as fn(&FaultStore),
            |store| store.fail(Op::Evict, ErrorKind::Io),
            |store| store.fail_next(Op::Evict, 1, ErrorKind::Io),
            |store| store.lose_reply_next(Op::Evict),
            |store| store.delay(Op::Evict, MINUTE),
        ] {
            plan(&store);
            assert_eq!(store.evict_now(&keys(), &[]), None);
            store.heal();
        }
        let gate = store.gate(Op::EvictTags);
        assert_eq!(store.evict_now(&keys(), &tags()), None, "tags are gated");
        assert_eq!((inner.len(), store.count(Op::Evict)), (1, 0));
        assert_eq!(store.evict_now(&keys(), &[]), Some(vec![false]), "no tags, no gate");
        assert_eq!((inner.len(), store.count(Op::Evict), store.count(Op::EvictTags)), (0, 1, 0));
        drop(gate);
    }
}
