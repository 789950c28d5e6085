//! The store of a cache: any, with one in memory known by its type.

use std::any::Any;
use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::VersionKey;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::contract::Store;
use crate::store::memory::MemoryStore;
use crate::store::messages::few::Few;
use crate::store::messages::lease::{HeldLease, Keep, Lease, LeaseRequest};
use crate::store::messages::read::{Read, ReadRequest};
use crate::store::messages::write::{Write, Written};
use crate::store::raw_commands::{Answer, RawCommands};

/// A store, whose answers are as many as the questions: anybody may have written it. One in memory is read without a future on
/// the heap, which was one of the four allocations of a hit.
#[derive(Clone)]
pub(crate) enum AnyStore {
    Memory(Arc<MemoryStore>),
    Other(Arc<dyn Store>),
}

impl AnyStore {
    /// A store that a user made, which may be one in memory all the same.
    pub(crate) fn of(store: Arc<dyn Store>) -> Self {
        let any: Arc<dyn Any + Send + Sync> = Arc::clone(&store) as _;
        any.downcast().map_or(AnyStore::Other(store), AnyStore::Memory)
    }

    /// [`Store::read`].
    pub(crate) fn read<'a>(&'a self, request: ReadRequest<'a>) -> Reading<'a> {
        match self {
            AnyStore::Memory(store) => Reading::Memory(store, request),
            AnyStore::Other(store) => Reading::Other(store.read(request)),
        }
    }

    /// Whether it is one in memory, which answers at once.
    pub(crate) const fn is_memory(&self) -> bool {
        matches!(self, AnyStore::Memory(_))
    }

    /// A token for a lease here.
    pub(crate) fn token(&self) -> Token {
        match self {
            AnyStore::Memory(_) => Token::in_process(),
            AnyStore::Other(_) => Token::random(),
        }
    }

    /// A name for a value that is to be stored here.
    pub(crate) fn fill_id(&self) -> FillId {
        match self {
            AnyStore::Memory(_) => FillId::in_process(),
            AnyStore::Other(_) => FillId::random(),
        }
    }

    /// Where it is in memory: tells it from every other store that is in use.
    pub(crate) fn address(&self) -> usize {
        match self {
            AnyStore::Memory(store) => Arc::as_ptr(store).addr(),
            AnyStore::Other(store) => Arc::as_ptr(store).addr(),
        }
    }

    /// Versions alone.
    pub(crate) async fn versions(&self, keys: &[VersionKey]) -> Result<Few<Option<Version>>> {
        Ok(self.read(ReadRequest::of_versions(keys)).await?.versions)
    }

    /// [`Store::capture`], with a version for each key.
    pub(crate) async fn capture(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        let captured = (**self).capture(keys, life).await?;
        if captured.len() == keys.len() { Ok(captured) } else { Err(unanswered()) }
    }

    /// [`Store::lease`], with an answer for each request.
    pub(crate) async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        let leases = (**self).lease(requests).await?;
        // G1: an entry without one of its stamps would outlive the evict of that tag.
        let captured =
            |(lease, request): (&Lease, &LeaseRequest<'_>)| lease.versions.len() == request.capture.len();
        let whole = leases.len() == requests.len() && leases.iter().zip(requests).all(captured);
        if whole { Ok(leases) } else { Err(unanswered()) }
    }

    /// [`Store::keep`], with an answer for each lease.
    pub(crate) async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        let kept = (**self).keep(leases, how).await?;
        if kept.len() == leases.len() { Ok(kept) } else { Err(unanswered()) }
    }

    /// [`Store::write`], with an answer for each value.
    pub(crate) async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let written = (**self).write(writes).await?;
        // G1: what was not checked has not held.
        let checked = |(written, write): (&Written, &Write<'_>)| written.versions.len() == write.check.len();
        let whole = written.len() == writes.len() && written.iter().zip(writes).all(checked);
        if whole { Ok(written) } else { Err(unanswered()) }
    }

    /// [`Store::lease`] of one entry.
    pub(crate) async fn lease_one(&self, request: LeaseRequest<'_>) -> Result<Lease> {
        self.lease(&[request]).await?.pop().ok_or_else(unanswered)
    }

    /// [`Store::write`] of one value.
    pub(crate) async fn write_one(&self, write: Write<'_>) -> Result<Written> {
        self.write(&[write]).await?.pop().ok_or_else(unanswered)
    }
}

fn unanswered() -> Error {
    Error::new(ErrorKind::Refused, "the store did not give as many answers as it was asked for")
}

/// A read on its way. Written by hand, because it is part of every call's future.
pub(crate) enum Reading<'a> {
    Memory(&'a MemoryStore, ReadRequest<'a>),
    Other(Pin<Box<dyn Future<Output = Result<Read>> + Send + 'a>>),
}

impl Future for Reading<'_> {
    type Output = Result<Read>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Reading::Memory(store, request) => Poll::Ready(Ok(store.look(*request))),
            Reading::Other(reading) => reading.as_mut().poll(context),
        }
    }
}

impl Deref for AnyStore {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        match self {
            AnyStore::Memory(store) => &**store,
            AnyStore::Other(store) => &**store,
        }
    }
}

impl fmt::Debug for AnyStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[async_trait]
impl RawCommands for AnyStore {
    async fn send(&self, key: &str, commands: &[Vec<Bytes>], again: bool) -> Result<Vec<Answer>> {
        match self.raw_commands() {
            Some(raw) => raw.send(key, commands, again).await,
            None => Err(Error::new(ErrorKind::Config, "the store takes no commands of others")),
        }
    }
}
