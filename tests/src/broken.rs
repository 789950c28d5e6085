//! Stores that lack something: the control for checks, which must find that out.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cachemacro_runtime::header::{Parts, assemble};
use cachemacro_runtime::store::{
    EvictRequest, Excerpt, Few, Guard, HeldLease, Keep, Read, ReadRequest, Store, Write, Written, pass_on,
};
use cachemacro_runtime::{Error, ErrorKind, Result};
use serde::{Deserialize, Serialize};

/// What a store lacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Lacks {
    /// Fills need their lease: without it, what a late loader brings is stored, whoever holds the lease by then.
    Fences,
    /// A change is stored only over what it was made of.
    Comparing,
    /// What is under one key is not read under another.
    KeysApart,
    /// Leases are given back.
    Releases,
    /// Evicts reach it.
    Evicts,
    /// Entries of a key go with their evict.
    Removing,
}

/// A store that lacks something.
#[derive(Debug)]
pub struct Broken {
    store: Arc<dyn Store>,
    lacks: Lacks,
}

impl Broken {
    /// This store without that.
    pub fn new(store: Arc<dyn Store>, lacks: Lacks) -> Self {
        Self { store, lacks }
    }
}

#[async_trait]
impl Store for Broken {
    pass_on!(self.store: about, now, capture, lease, evict_prefix, health, time, connect, close, changes);

    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        let ignored = |write: &Write<'_>| match self.lacks {
            Lacks::Fences => matches!(write.guard, Guard::Lease(_)),
            Lacks::Comparing => matches!(write.guard, Guard::Seen(_)),
            _ => false,
        };
        let mut writes = writes.to_vec();
        for write in &mut writes {
            if ignored(write) {
                write.guard = Guard::Always;
                if self.lacks == Lacks::Comparing {
                    // Others' changes come between: left to itself, few do.
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            }
        }
        self.store.write(&writes).await
    }

    async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        let read = self.store.read(request).await?;
        let ([key], Lacks::KeysApart) = (request.keys, self.lacks) else { return Ok(read) };
        let Some(others) = key.strip_suffix('1').map(|begin| format!("{begin}0")) else { return Ok(read) };
        let other = self.store.read(ReadRequest::new(&[&others])).await?.into_entry();
        let versions = read.versions.clone();
        let own = read.into_entry();
        let entry = match (&own, &other) {
            (Some(own), Some(other)) => mixed(own, other).map(Into::into).or_else(|| Some(own.clone())),
            _ => own,
        };
        Ok(Read::new(Few::one(entry.map(Excerpt::whole)), versions))
    }

    async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        match (how, self.lacks) {
            (Keep::Release, Lacks::Releases) => Ok(vec![true; leases.len()]),
            _ => self.store.keep(leases, how).await,
        }
    }

    async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        match self.lacks {
            Lacks::Evicts => {
                tokio::time::sleep(Duration::from_millis(1)).await;
                Err(Error::new(ErrorKind::Refused, "this store evicts nothing"))
            }
            Lacks::Removing => Ok(vec![true; request.keys.len()]),
            _ => self.store.evict(request).await,
        }
    }
}

/// An entry with the value of another one.
fn mixed(own: &[u8], other: &[u8]) -> Option<Vec<u8>> {
    let (own, other) = (Parts::parse(own).ok()?, Parts::parse(other).ok()?);
    let stamps: Vec<_> = own.stamps().collect();
    (!own.payload.is_empty() && !other.payload.is_empty())
        .then(|| assemble(own.header, &stamps, other.payload))
}
