//! A store without the fence: what a late loader brings is stored, whoever holds the lease by then.
//!
//! The control for tests that look for stale reads: on this store they must find some.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro_runtime::store::{
    Fill, FillId, Filled, Head, Increment, IncrementOutcome, Lease, LeaseRequest, Read, Store, StoreHealth,
    TagKeys, Token, Version, VersionKey,
};
use cachemacro_runtime::{Result, Timestamp};

/// A store whose fills ignore their tokens.
#[derive(Debug)]
pub struct Unfenced(pub Arc<dyn Store>);

#[async_trait]
impl Store for Unfenced {
    async fn fill(&self, fill: Fill<'_>) -> Result<Filled> {
        self.0.set(fill.key, fill.bytes, fill.life).await?;
        Ok(Filled { accepted: true, versions: self.0.versions(fill.check).await? })
    }

    async fn fill_many(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>> {
        let mut filled = Vec::with_capacity(fills.len());
        for fill in fills {
            filled.push(self.fill(fill.clone()).await?);
        }
        Ok(filled)
    }

    fn kind(&self) -> &'static str {
        self.0.kind()
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    async fn time(&self) -> Result<Timestamp> {
        self.0.time().await
    }

    async fn connect(&self) -> Result<()> {
        self.0.connect().await
    }

    async fn read(&self, key: &str, versions: &[VersionKey]) -> Result<Read> {
        self.0.read(key, versions).await
    }

    async fn read_many(
        &self,
        keys: &[String],
        versions: &[VersionKey],
    ) -> Result<(Vec<Option<Bytes>>, Vec<Option<Version>>)> {
        self.0.read_many(keys, versions).await
    }

    async fn read_head(&self, key: &str, length: usize, versions: &[VersionKey]) -> Result<Head> {
        self.0.read_head(key, length, versions).await
    }

    async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        self.0.versions(keys).await
    }

    async fn capture(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.0.capture(keys, life).await
    }

    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease> {
        self.0.lease(request).await
    }

    async fn lease_many(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        self.0.lease_many(requests).await
    }

    async fn renew(&self, key: &str, token: Token, live: Duration) -> Result<bool> {
        self.0.renew(key, token, live).await
    }

    async fn release(&self, key: &str, token: Token) -> Result<bool> {
        self.0.release(key, token).await
    }

    async fn set(&self, key: &str, bytes: Bytes, life: Duration) -> Result<()> {
        self.0.set(key, bytes, life).await
    }

    async fn compare_and_set(&self, key: &str, seen: FillId, bytes: Bytes, life: Duration) -> Result<bool> {
        self.0.compare_and_set(key, seen, bytes, life).await
    }

    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        self.0.increment(increment).await
    }

    async fn evict(&self, keys: &[String]) -> Result<Vec<bool>> {
        self.0.evict(keys).await
    }

    async fn evict_tags(&self, tags: &[TagKeys]) -> Result<()> {
        self.0.evict_tags(tags).await
    }

    async fn evict_prefix(&self, prefix: &str) -> Result<u64> {
        self.0.evict_prefix(prefix).await
    }

    async fn changed(&self, key: &str, at_most: Duration) {
        self.0.changed(key, at_most).await;
    }

    fn tells_changes(&self) -> bool {
        self.0.tells_changes()
    }

    async fn health(&self) -> Result<StoreHealth> {
        self.0.health().await
    }
}
