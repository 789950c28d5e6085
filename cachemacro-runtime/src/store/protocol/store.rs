//! A store made of a map: each operation as steps on its keys.

use std::time::Duration;

use async_trait::async_trait;

use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::chunks::MOST_EVICTS;
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::contract::{Changes, Immediate, Inspect, Store};
use crate::store::messages::about::{About, StoreHealth};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome};
use crate::store::messages::lease::{Captures, HeldLease, Keep, Lease, LeaseOutcome, LeaseRequest};
use crate::store::messages::read::{Excerpt, Read, ReadRequest};
use crate::store::messages::write::{Write, Written};
use crate::store::protocol::backend::{Backend, Change};
use crate::store::protocol::steps::{self, Slot};

/// The store over a [`Backend`].
///
/// Keys are changed one after the other. Where each takes a round trip, and batches matter, implement
/// [`Store`] itself, with the functions of this module or with what the server decides.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{ReadRequest, Store, memory::MemoryStore};
///
/// let store = MemoryStore::new(); // is made of it
/// assert_eq!(store.read(ReadRequest::new(&["user:7"])).await?.into_entry(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct Protocol<B>(B);

impl<B: Backend> Protocol<B> {
    /// A store over `backend`; see there for one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Store, protocol::{Backend, Protocol}};
    /// use std::sync::Arc;
    ///
    /// fn store_over(map: impl Backend) -> Arc<dyn Store> {
    ///     Arc::new(Protocol::new(map))
    /// }
    /// ```
    pub const fn new(backend: B) -> Self {
        Self(backend)
    }

    /// The map below.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Store, protocol::{Backend, Protocol}};
    ///
    /// fn is_the_same<B: Backend>(store: &Protocol<B>) -> bool {
    ///     store.about() == store.backend().about()
    /// }
    /// ```
    pub const fn backend(&self) -> &B {
        &self.0
    }

    /// Takes a step on one key.
    async fn step<T: Send>(
        &self,
        key: &str,
        mut step: impl FnMut(&mut Option<Slot>, Timestamp) -> (Change, T) + Send,
    ) -> Result<T> {
        let mut answer = None;
        self.0
            .update(key, &mut |slot, now| {
                let (change, told) = step(slot, now);
                answer = Some(told);
                change
            })
            .await?;
        answer.ok_or_else(|| {
            Error::new(ErrorKind::Refused, "the backend did not take the step that it was given")
        })
    }

    async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<&str> = keys.iter().map(|key| key.text.as_str()).collect();
        Ok(self.0.get(&keys).await?.iter().map(|slot| steps::version(slot.as_ref())).collect())
    }

    async fn capture_all(
        &self,
        keys: impl ExactSizeIterator<Item = (&VersionKey, Duration)> + Send,
    ) -> Result<Vec<Version>> {
        let mut captured = Vec::with_capacity(keys.len());
        for (at, (key, life)) in keys.enumerate() {
            let_others_in(at).await;
            // Kept out here, because the step may be taken twice; drawn where it is needed.
            let mut drawn = None;
            let version = self.step(&key.text, |slot, now| {
                let before = slot.clone();
                let fresh = match steps::version(slot.as_ref()) {
                    Some(there) => there,
                    None => *drawn.get_or_insert_with(Version::random),
                };
                let version = steps::capture(slot, now, life, fresh);
                (if *slot == before { Change::Nothing } else { Change::Quiet }, version)
            });
            captured.push(version.await?);
        }
        Ok(captured)
    }

    async fn lease_many(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        let captures = Captures::of(requests);
        let captured = self.capture_all(captures.with_lives()).await?;
        let mut leases = Vec::with_capacity(requests.len());
        for (request, versions) in requests.iter().zip(captures.hand_out(&captured)) {
            leases.push(self.lease_one(request, versions).await?);
        }
        Ok(leases)
    }

    async fn lease_one(&self, request: &LeaseRequest<'_>, captured: Vec<Version>) -> Result<Lease> {
        let asked = self.step(request.key, |slot, now| {
            let outcome = steps::lease(slot, now, request, &captured);
            let taken = matches!(outcome, LeaseOutcome::Taken);
            (if taken { Change::Quiet } else { Change::Nothing }, outcome)
        });
        let outcome = asked.await?;
        Ok(Lease::new(if outcome == LeaseOutcome::Late { Vec::new() } else { captured }, outcome))
    }

    async fn remove(&self, key: &str) -> Result<bool> {
        self.step(key, |slot, now| {
            let change = Change::of_removal(slot.as_ref());
            (change, steps::evict(slot, now))
        })
        .await
    }
}

/// Before a step of a long operation: lets other tasks run now and then, which a map that answers at once never would.
async fn let_others_in(step: usize) {
    if step > 0 && step.is_multiple_of(2 * MOST_EVICTS) {
        tokio::task::yield_now().await;
    }
}

#[async_trait]
impl<B: Backend> Store for Protocol<B> {
    fn about(&self) -> About {
        self.0.about()
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        let mut keys = request.keys.to_vec();
        keys.extend(request.versions.iter().map(|version| version.text.as_str()));
        let mut found = self.0.get(&keys).await?.into_iter();
        let excerpt = |slot: Slot| Excerpt::first_of(slot.bytes, request.first);
        let entries = found.by_ref().take(request.keys.len()).map(|slot| slot.map(excerpt)).collect();
        Ok(Read::new(entries, found.map(|slot| steps::version(slot.as_ref())).collect()))
    }

    async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.capture_all(versions.iter().map(|key| (key, life))).await
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        // G1: versions first, so that an evict of a tag from here on is seen by what is stored under these leases.
        if let [request] = requests {
            let keys = request.capture.iter().map(|key| (key, request.version_life));
            let versions = self.capture_all(keys).await?;
            return Ok(vec![self.lease_one(request, versions).await?]);
        }
        // On the heap, so that one lease does not pay for its size.
        Box::pin(self.lease_many(requests)).await
    }

    async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        let mut kept = Vec::with_capacity(leases.len());
        for lease in leases {
            let held = self.step(lease.key, |slot, now| {
                let (held, change) = match how {
                    Keep::Renew(live) => (steps::renew(slot, now, lease.token, live), Change::Quiet),
                    Keep::Release => (steps::release(slot, lease.token), Change::Entry),
                };
                (if held { change } else { Change::Nothing }, held)
            });
            kept.push(held.await?);
        }
        Ok(kept)
    }

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let mut written = Vec::with_capacity(writes.len());
        for write in writes {
            let stored = self.step(write.key, |slot, now| {
                let before = slot.is_some();
                let accepted = steps::write(slot, now, write);
                let changed = accepted || before != slot.is_some();
                (if changed { Change::Entry } else { Change::Nothing }, accepted)
            });
            written.push(Written::new(stored.await?, Vec::new()));
        }
        for (write, written) in writes.iter().zip(&mut written) {
            written.versions = self.versions(write.check).await?;
        }
        Ok(written)
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        self.step(increment.key, |slot, now| {
            let outcome = steps::increment(slot, now, &increment);
            let added = matches!(outcome, Ok(IncrementOutcome::Added(_)));
            (if added { Change::Entry } else { Change::Nothing }, outcome)
        })
        .await?
    }

    async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        for (at, key) in request.tags.iter().flat_map(steps::versions_to_remove).enumerate() {
            let_others_in(at).await;
            self.remove(&key.text).await?;
        }
        let mut existed = Vec::with_capacity(request.keys.len());
        for (at, key) in request.keys.iter().enumerate() {
            let_others_in(at).await;
            existed.push(self.remove(key).await?);
        }
        Ok(existed)
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        self.0.remove_prefix(prefix).await
    }

    async fn health(&self) -> Result<StoreHealth> {
        self.0.health().await
    }

    async fn time(&self) -> Result<Timestamp> {
        self.0.time().await
    }

    async fn connect(&self) -> Result<()> {
        self.0.connect().await
    }

    async fn close(&self) {
        self.0.close().await;
    }

    fn changes(&self) -> Option<&dyn Changes> {
        self.0.changes()
    }

    fn immediate(&self) -> Option<&dyn Immediate> {
        self.0.immediate()
    }

    fn inspect(&self) -> Option<&dyn Inspect> {
        self.0.inspect()
    }
}
