//! Queues of a store that fails on command: looks into them do, and what accepts and applies writes goes straight through.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::{FaultStore, Op};
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::queues::{Accepted, Dead, Depth, Queued, Queues, Settle};

impl FaultStore {
    fn inner_queues(&self) -> Result<&dyn Queues> {
        let none = || Error::new(ErrorKind::Config, "the store keeps no queues of writes");
        self.inner.queues().ok_or_else(none)
    }
}

#[async_trait]
impl Queues for FaultStore {
    async fn accept(&self, partition: &str, key: &str, write: Bytes, most: usize) -> Result<Accepted> {
        self.inner_queues()?.accept(partition, key, write, most).await
    }

    async fn pending(&self, partition: &str, key: &str) -> Result<Option<Bytes>> {
        self.run(&[Op::Pending], self.inner_queues()?.pending(partition, key)).await
    }

    async fn own(&self, partition: &str, owner: &str, lease: Duration) -> Result<Option<u64>> {
        self.inner_queues()?.own(partition, owner, lease).await
    }

    async fn disown(&self, partition: &str, owner: &str) -> Result<()> {
        self.inner_queues()?.disown(partition, owner).await
    }

    async fn queued(&self, partition: &str, after: u64, most: usize) -> Result<Vec<Queued>> {
        self.inner_queues()?.queued(partition, after, most).await
    }

    async fn settle(&self, partition: &str, fence: u64, settle: Settle<'_>) -> Result<bool> {
        self.inner_queues()?.settle(partition, fence, settle).await
    }

    async fn depth(&self, partition: &str) -> Result<Depth> {
        self.run(&[Op::Depth], self.inner_queues()?.depth(partition)).await
    }

    async fn dead(&self, partition: &str, most: usize) -> Result<Vec<Dead>> {
        self.inner_queues()?.dead(partition, most).await
    }

    async fn forget(&self, partition: &str, id: &str) -> Result<bool> {
        self.inner_queues()?.forget(partition, id).await
    }
}
