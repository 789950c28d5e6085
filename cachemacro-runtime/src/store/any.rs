//! The store of a cache: any, with one in memory known by its type.

use std::fmt;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::contract::Store;
use crate::store::memory::MemoryStore;
use crate::store::messages::few::Few;
use crate::store::messages::lease::{Lease, LeaseRequest};
use crate::store::messages::read::{Read, ReadRequest};
use crate::store::messages::write::{Write, Written};

/// A store. One in memory is read without a future on the heap, which was one of the four allocations of a hit.
#[derive(Clone)]
pub(crate) enum AnyStore {
    Memory(Arc<MemoryStore>),
    Other(Arc<dyn Store>),
}

impl AnyStore {
    /// [`Store::read`].
    pub(crate) fn read<'a>(&'a self, request: ReadRequest<'a>) -> Reading<'a> {
        match self {
            AnyStore::Memory(store) => Reading::Memory(store, request),
            AnyStore::Other(store) => Reading::Other(store.read(request)),
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
    Error::new(ErrorKind::Refused, "the store gave fewer answers than it was asked for")
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
