//! Queues of a cluster: a partition with all that belongs to it is in one slot. While that is being moved, it waits.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Cluster;
use super::route::{Again, Names};
use crate::ground::error::Result;
use crate::store::queues::{Accepted, Dead, Depth, Queued, Queues, Settle};
use crate::store::redis::queues;
use crate::store::redis::slot::slot;

/// Asks the node that serves this partition.
macro_rules! at {
    ($cluster:ident, $partition:expr, $again:ident, $ask:ident($($arg:expr),*)) => {
        $cluster
            .topology
            .at((slot($partition.as_bytes()), Names::Several), Again::$again, move |seat| {
                Box::pin(async move { queues::$ask(&seat.commands().sender, $partition, $($arg),*).await })
            })
            .await
    };
}

#[async_trait]
impl Queues for Cluster {
    async fn accept(&self, partition: &str, key: &str, write: Bytes, most: usize) -> Result<Accepted> {
        let write = &write;
        at!(self, partition, Never, accept(key, write, most))
    }

    async fn pending(&self, partition: &str, key: &str) -> Result<Option<Bytes>> {
        at!(self, partition, Elsewhere, pending(key))
    }

    async fn own(&self, partition: &str, owner: &str, lease: Duration) -> Result<Option<u64>> {
        at!(self, partition, Elsewhere, own(owner, lease))
    }

    async fn disown(&self, partition: &str, owner: &str) -> Result<()> {
        at!(self, partition, Elsewhere, disown(owner))
    }

    async fn queued(&self, partition: &str, after: u64, most: usize) -> Result<Vec<Queued>> {
        at!(self, partition, Elsewhere, queued(after, most))
    }

    async fn settle(&self, partition: &str, fence: u64, settle: Settle<'_>) -> Result<bool> {
        at!(self, partition, Never, settle(fence, settle))
    }

    async fn depth(&self, partition: &str) -> Result<Depth> {
        at!(self, partition, Elsewhere, depth())
    }

    async fn dead(&self, partition: &str, most: usize) -> Result<Vec<Dead>> {
        at!(self, partition, Elsewhere, dead(most))
    }

    async fn forget(&self, partition: &str, id: &str) -> Result<bool> {
        at!(self, partition, Never, forget(id))
    }
}
