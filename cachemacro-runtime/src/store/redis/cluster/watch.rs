//! Telling of changes on all nodes of a cluster, for local copies: each node that serves slots tells over a connection of its own.
//!
//! Of a slot that moves away, each key is told as it goes; a node that was demoted does not answer the heartbeat, which asks for a key of
//! a slot that it served. A node that serves nothing, but to which slots are on their way, tells with the others. Where a node does not
//! answer, or another one is asked, all begins anew with the nodes of then.

use std::sync::Arc;

use async_trait::async_trait;
use futures_util::future::{select_all, try_join_all};
use redis::Cmd;

use super::super::slot::slot;
use super::super::tracking::Tracked;
use super::Cluster;
use super::topology::{Layout, Node, Topology};
use super::watches::Watch;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::contract::{Listener, Tracking};

/// How many keys are tried for one in a slot of a node: where it serves a single slot, one in 16,384 is.
const MOST_TRIED: u32 = 1 << 18;

#[async_trait]
impl Tracking for Cluster {
    async fn track(&self, prefixes: &[String], listener: Arc<dyn Listener>) -> Error {
        let telling = tell(&self.topology, prefixes, listener);
        self.topology.background.enter(telling).await.unwrap_or_else(|error| error)
    }
}

/// Tells of changes on all nodes until one of them does no more, or another one is asked; gives why.
async fn tell(topology: &Arc<Topology>, prefixes: &[String], listener: Arc<dyn Listener>) -> Error {
    let layout = match topology.renew(&topology.now()).await {
        Ok(layout) => layout,
        Err(error) => return error,
    };
    let mut nodes: Vec<_> = layout.nodes.iter().filter(|node| layout.serves(node)).cloned().collect();
    if nodes.is_empty() {
        return Error::new(ErrorKind::Connect, "no node of the cluster serves anything");
    }
    nodes.extend(topology.arriving());
    let watched = nodes.iter().map(|node| Arc::clone(&node.watched)).collect();
    let watching = topology.watches.add(watched, listener);
    let told = match tracked(&nodes, &watching.watch, prefixes).await {
        Ok(told) => told,
        Err(error) => {
            // It may be one of those that serve nothing yet, which may be gone for good.
            topology.forget_arriving();
            return error;
        }
    };
    if !watching.watch.begin() {
        return another();
    }
    let prefix = prefixes.first().map_or("", String::as_str);
    let following = nodes.iter().zip(told).map(|(node, (listener, tracked))| {
        let question = question(&layout, node, prefix);
        Box::pin(async move {
            let why = tracked.follow(node.single.link(), &*listener, &question).await;
            // What it refuses now another one answers, or it itself in a moment.
            Error::new(ErrorKind::Io, why.context().to_owned())
        })
    });
    tokio::select! {
        (why, ..) = select_all(following) => {
            topology.forget_arriving();
            why
        }
        () = watching.watch.over.notified() => another(),
    }
}

/// Has each of these nodes tell of changes.
async fn tracked(
    nodes: &[Arc<Node>],
    watch: &Arc<Watch>,
    prefixes: &[String],
) -> Result<Vec<(Arc<dyn Listener>, Tracked)>> {
    let opening = nodes.iter().enumerate().map(|(place, node)| async move {
        let listener = watch.member(place);
        let tracked = Tracked::open(node.single.link(), prefixes, &listener).await?;
        Ok((listener, tracked))
    });
    try_join_all(opening).await
}

/// Asks for a key that nobody but this node serves; where it serves none, whether it is there: one without slots is never replaced.
fn question(layout: &Layout, node: &Arc<Node>, prefix: &str) -> Cmd {
    if !layout.serves(node) {
        return redis::cmd("PING");
    }
    let is_served =
        |key: &String| layout.owner(slot(key.as_bytes())).is_some_and(|owner| Arc::ptr_eq(owner, node));
    match (0..MOST_TRIED).map(|number| format!("{prefix}{{{number}}}")).find(is_served) {
        Some(key) => {
            let mut ask = redis::cmd("STRLEN");
            ask.arg(key);
            ask
        }
        None => redis::cmd("PING"),
    }
}

fn another() -> Error {
    Error::new(ErrorKind::Io, "another node serves slots of the cluster")
}
