//! Streams of a cluster: a stream with all that belongs to it is in one slot. While that is being moved, what concerns a group waits.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use super::Cluster;
use super::route::{Again, Names};
use crate::ground::error::Result;
use crate::store::redis::slot::slot;
use crate::store::redis::streams;
use crate::store::streams::{Buried, Item, Member, Place, Streams, Taken};

/// Asks the node that serves this stream.
macro_rules! at {
    ($cluster:ident, $stream:expr, $names:ident, $again:ident, $ask:ident($($arg:expr),*)) => {
        $cluster
            .topology
            .at((slot($stream.as_bytes()), Names::$names), Again::$again, move |seat| {
                Box::pin(async move { streams::$ask(&seat.commands().sender, $($arg),*).await })
            })
            .await
    };
}

#[async_trait]
impl Streams for Cluster {
    async fn append(&self, stream: &str, payload: Bytes, keep: usize) -> Result<Place> {
        let payload = &payload;
        at!(self, stream, One, Never, append(stream, payload, keep))
    }

    async fn end(&self, stream: &str) -> Result<Place> {
        at!(self, stream, One, Elsewhere, end(stream))
    }

    async fn after(&self, stream: &str, place: Place, most: usize) -> Result<Vec<Item>> {
        at!(self, stream, One, Elsewhere, after(stream, place, most))
    }

    async fn grown(&self, stream: &str, place: Place, at_most: Duration) {
        match self.topology.now().owner(slot(stream.as_bytes())) {
            Some(node) => node.single.grown(stream, place, at_most).await,
            None => self.topology.rest(at_most.min(Duration::from_millis(20))).await,
        }
    }

    async fn join(&self, member: Member<'_>) -> Result<()> {
        at!(self, member.stream, Several, Elsewhere, join(member))
    }

    async fn leave(&self, member: Member<'_>) -> Result<()> {
        at!(self, member.stream, Several, Elsewhere, leave(member))
    }

    async fn take(&self, member: Member<'_>, idle: Duration, most: usize) -> Result<Taken> {
        at!(self, member.stream, Several, Elsewhere, take(member, idle, most))
    }

    async fn hold(&self, member: Member<'_>, numbers: &[u64]) -> Result<()> {
        at!(self, member.stream, Several, Elsewhere, hold(member, numbers))
    }

    async fn finish(&self, member: Member<'_>, number: u64) -> Result<()> {
        at!(self, member.stream, Several, Elsewhere, finish(member, number))
    }

    async fn bury(&self, member: Member<'_>, item: &Item, why: &str) -> Result<()> {
        at!(self, member.stream, Several, Elsewhere, bury(member, item, why))
    }

    async fn buried(&self, member: Member<'_>, most: usize) -> Result<Vec<Buried>> {
        at!(self, member.stream, Several, Elsewhere, buried(member, most))
    }

    async fn unbury(&self, member: Member<'_>, id: &str) -> Result<bool> {
        at!(self, member.stream, Several, Never, unbury(member, id))
    }
}
