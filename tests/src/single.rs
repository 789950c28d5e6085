//! A store's operations on one key each, and by name, for tests that play them one at a time.

use std::time::Duration;

use bytes::Bytes;
use cachemacro_runtime::Result;
use cachemacro_runtime::store::{
    EvictRequest, FillId, Guard, HeldLease, Keep, Lease, LeaseRequest, ReadRequest, Store, TagKeys, Token,
    Version, VersionKey, Write, Written,
};

/// What a test asks of a store in one line. Implemented for every store.
#[allow(async_fn_in_trait, reason = "tests await it where they call it")]
pub trait Single: Store {
    /// One entry.
    async fn entry(&self, key: &str) -> Result<Option<Bytes>> {
        Ok(self.read(ReadRequest::new(&[key])).await?.into_entry())
    }

    /// Versions, in order.
    async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        Ok(self.read(ReadRequest::of_versions(keys)).await?.versions.to_vec())
    }

    /// One lease.
    async fn lease_one(&self, request: LeaseRequest<'_>) -> Result<Lease> {
        Ok(self.lease(&[request]).await?.pop().expect("one answer"))
    }

    /// One write.
    async fn write_one(&self, write: Write<'_>) -> Result<Written> {
        Ok(self.write(&[write]).await?.pop().expect("one answer"))
    }

    /// Stores these bytes whatever is there.
    async fn set(&self, key: &str, bytes: Bytes, life: Duration) -> Result<()> {
        self.write_one(Write::new(key, bytes, life)).await.map(|written| assert!(written.accepted))
    }

    /// Stores these bytes where the value that was seen is still there.
    async fn compare_and_set(&self, key: &str, seen: u64, bytes: Bytes, life: Duration) -> Result<bool> {
        let write = Write::new(key, bytes, life).with_guard(Guard::Seen(FillId::new(seen)));
        Ok(self.write_one(write).await?.accepted)
    }

    /// Renews one lease.
    async fn renew(&self, key: &str, token: u64, live: Duration) -> Result<bool> {
        Ok(self.keep(&[HeldLease::new(key, Token::new(token))], Keep::Renew(live)).await? == [true])
    }

    /// Releases one lease.
    async fn release(&self, key: &str, token: u64) -> Result<bool> {
        Ok(self.keep(&[HeldLease::new(key, Token::new(token))], Keep::Release).await? == [true])
    }

    /// Evicts one entry.
    async fn evict_one(&self, key: &str) -> Result<bool> {
        Ok(self.evict(EvictRequest::new(&[key], &[])).await? == [true])
    }

    /// Waits until one entry may have changed.
    async fn changed(&self, key: &str, at_most: Duration) {
        self.changes().expect("it tells of changes").changed(key, at_most).await;
    }

    /// Evicts tags.
    async fn evict_tags(&self, tags: &[TagKeys]) -> Result<()> {
        self.evict(EvictRequest::new(&[], tags)).await.map(drop)
    }
}

impl<S: Store + ?Sized> Single for S {}
