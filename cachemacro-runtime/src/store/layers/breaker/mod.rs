//! A circuit breaker: a store around a store that fails too often, which is not asked then.
//!
//! While the breaker is open, whoever asks is told so at once. One trial at a time, made by a task of its own and at no
//! caller's cost, asks whether the store is back. Knows no store but by its trait.

pub(crate) mod config;
mod queues;
pub(crate) mod state;

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use tokio::time::{sleep, timeout};

use self::config::BreakerConfig;
use self::state::{Asked, Breaker, Trial};
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::background::Background;
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::pass_on;
use crate::store::contract::{Changes, Store};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome};
use crate::store::messages::lease::{HeldLease, Keep, Lease, LeaseRequest};
use crate::store::messages::read::{Read, ReadRequest};
use crate::store::messages::write::{Write, Written};
use crate::store::queues::Queues;

/// The most that a request names whose answer has to come in time: larger ones take several round trips.
const SHORT: usize = 16;

const fn is_short(names: usize) -> bool {
    names <= SHORT
}

/// A circuit breaker around a store. The builder puts one around a store on Redis; one of your own gets it by hand.
///
/// Requests that fail ([`Connect`](ErrorKind::Connect), [`Timeout`](ErrorKind::Timeout), [`Io`](ErrorKind::Io)) or whose
/// answers are slow open it. While it is open, requests fail at once with [`Connect`](ErrorKind::Connect) and the store is
/// not asked, but by one trial at a time, which asks for its [`health`](Store::health) in the background; its answer closes
/// the breaker. `health`, `connect` and `inspect` are asked by hand and go through in any state, and so do writes of queues; looks for what is
/// pending in one do not.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{BreakerState, Cache};
/// use cachemacro::store::{BreakerConfig, BreakerStore, memory::MemoryStore};
/// use std::sync::Arc;
///
/// let store = Arc::new(MemoryStore::new()); // one of your own that asks a server
/// let guarded = BreakerStore::new(store, BreakerConfig::new())?;
/// let cache = Cache::builder().store(Arc::new(guarded)).build()?;
/// assert_eq!(cache.stats().breaker, Some(BreakerState::Closed));
/// # Ok::<(), cachemacro::Error>(())
/// ```
pub struct BreakerStore {
    inner: Arc<dyn Store>,
    breaker: Arc<Breaker>,
    background: Background,
}

impl BreakerStore {
    /// A breaker around `inner`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{BreakerConfig, BreakerStore, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let inner = Arc::new(MemoryStore::new());
    /// assert!(BreakerStore::new(inner.clone(), BreakerConfig::new()).is_ok());
    /// assert!(BreakerStore::new(inner, BreakerConfig::new().rate(101)).is_err());
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a setting is not acceptable.
    pub fn new(inner: Arc<dyn Store>, config: BreakerConfig) -> Result<Self> {
        config.check()?;
        Ok(Self { inner, breaker: Arc::new(Breaker::new(config)), background: Background::shared() })
    }

    /// Awaits this request where the store is asked at all.
    async fn guard<T>(&self, timed: bool, request: impl Future<Output = Result<T>>) -> Result<T> {
        let asked = match self.breaker.ask(timed) {
            Ok(asked) => asked,
            Err(error) => {
                if let Some(trial) = self.breaker.lost_trial() {
                    self.try_again(trial);
                }
                return Err(error);
            }
        };
        let mut asking = Asking { store: self, asked: Some(asked) };
        let outcome = request.await;
        if let Some(trial) = asking.asked.take().and_then(|asked| asked.ended(&outcome)) {
            self.try_again(trial);
        }
        outcome
    }

    /// Has a task make trials until one is answered, or the store is closed or gone.
    fn try_again(&self, trial: Trial) {
        let (inner, breaker) = (Arc::downgrade(&self.inner), Arc::downgrade(&self.breaker));
        self.background.spawn(trials(inner, breaker, trial));
    }
}

/// Makes trials, one after the other.
async fn trials(store: Weak<dyn Store>, breaker: Weak<Breaker>, mut trial: Trial) {
    loop {
        sleep(trial.pause).await;
        let (Some(store), Some(breaker)) = (store.upgrade(), breaker.upgrade()) else { return };
        if !breaker.half_open(&trial) {
            return;
        }
        let began = Instant::now();
        let why = match timeout(breaker.longest_trial(), store.health()).await {
            Ok(Ok(_)) => return breaker.close(&trial),
            // It is there, though it does not like the question.
            Ok(Err(error)) if error.kind() == ErrorKind::Refused => return breaker.close(&trial),
            Ok(Err(error)) => error,
            Err(_) => store.unreached(began).unwrap_or_else(|| {
                Error::new(ErrorKind::Timeout, "the store did not answer a trial in time")
            }),
        };
        if !breaker.reopen(&mut trial, why) {
            return;
        }
    }
}

/// A request under way, which may be dropped.
struct Asking<'a> {
    store: &'a BreakerStore,
    asked: Option<Asked<'a>>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let inner = &self.store.inner;
        let why = |since| inner.unreached(since);
        if let Some(trial) = self.asked.as_mut().and_then(|asked| asked.given_up(why)) {
            self.store.try_again(trial);
        }
    }
}

#[async_trait]
impl Store for BreakerStore {
    pass_on!(self.inner: about, now, health, connect, immediate, tracking, inspect, documents, raw_commands, streams, pool, refused, server, unreached);

    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        self.guard(is_short(request.keys.len() + request.versions.len()), self.inner.read(request)).await
    }

    async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.guard(is_short(versions.len()), self.inner.capture(versions, life)).await
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        self.guard(is_short(requests.len()), self.inner.lease(requests)).await
    }

    async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        self.guard(is_short(leases.len()), self.inner.keep(leases, how)).await
    }

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        self.guard(is_short(writes.len()), self.inner.write(writes)).await
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        self.guard(true, self.inner.increment(increment)).await
    }

    async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        self.guard(is_short(request.keys.len() + request.tags.len()), self.inner.evict(request)).await
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        self.guard(false, self.inner.evict_prefix(prefix)).await
    }

    async fn time(&self) -> Result<Timestamp> {
        self.guard(false, self.inner.time()).await
    }

    async fn close(&self) {
        self.breaker.end();
        self.inner.close().await;
    }

    fn changes(&self) -> Option<&dyn Changes> {
        self.inner.changes().is_some().then_some(self)
    }

    fn queues(&self) -> Option<&dyn Queues> {
        self.inner.queues().is_some().then_some(self)
    }

    fn breaker(&self) -> Option<&Breaker> {
        Some(&self.breaker)
    }
}

#[async_trait]
impl Changes for BreakerStore {
    fn are_told(&self) -> bool {
        self.inner.changes().is_some_and(Changes::are_told)
    }

    /// Ends where the breaker opens: whoever waits loads by itself then.
    async fn changed(&self, key: &str, at_most: Duration) {
        if let Some(changes) = self.inner.changes() {
            self.breaker.unless_opened(changes.changed(key, at_most)).await;
        }
    }
}

impl fmt::Debug for BreakerStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BreakerStore")
            .field("breaker", &self.breaker)
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod orders;
#[cfg(all(test, not(loom)))]
mod tests;
