//! Operations on all keys of a cluster, node by node.
//!
//! While slots move, a key may go from a node that is still to be looked through to one that was. So a removal counts only where, before it
//! and after it, every slot was served by the same node in the same epoch and none was on its way.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::time::sleep;

use super::super::scan;
use super::super::send::Resend;
use super::super::slot::SLOTS;
use super::super::url::Host;
use super::super::wire::Reply;
use super::super::{failure, reply};
use super::topology::{Node, Topology};
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::spread;
use crate::store::messages::inspect::{Cursor, Page};

/// How often a removal begins again because slots moved.
const MOST_ROUNDS: u32 = 40;
/// The pause before that.
const PAUSE: Duration = Duration::from_millis(50);

/// Removes every key that begins with `prefix`, on all nodes.
pub(super) async fn evict_prefix(topology: &Arc<Topology>, prefix: &str) -> Result<u64> {
    let mut removed = 0;
    for round in 0..MOST_ROUNDS {
        if round > 0 {
            sleep(spread(PAUSE)).await;
        }
        let layout = topology.known().await?;
        let Ok(Some(before)) = owned(&layout.nodes).await else {
            // A node that does not answer may have been replaced.
            drop(topology.renew(&layout).await);
            continue;
        };
        let swept = join_all(layout.nodes.iter().map(|node| {
            let commands = &node.single.commands;
            scan::evict_prefix(&commands.sender, commands.replicas(), prefix)
        }));
        let mut failed = None;
        for count in swept.await {
            match count {
                Ok(count) => removed += count,
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            let found = topology.renew(&layout).await?;
            if found.nodes.iter().all(|node| layout.nodes.iter().any(|known| Arc::ptr_eq(known, node))) {
                return Err(error);
            }
            continue;
        }
        // G1: also what moved meanwhile.
        if owned(&layout.nodes).await?.as_ref() == Some(&before) {
            return Ok(removed);
        }
        drop(topology.renew(&layout).await);
    }
    Err(Error::new(ErrorKind::Refused, "slots of the cluster moved each time that a prefix was evicted"))
}

/// What each of these serves, and in which epoch, as it says itself; `None` where that is not every slot once, or some are on
/// their way.
async fn owned(nodes: &[Arc<Node>]) -> Result<Option<Vec<String>>> {
    let told = join_all(nodes.iter().map(|node| async {
        let ask = |out: &mut super::super::wire::Packed| {
            out.command(2).part("CLUSTER").part("NODES");
        };
        match node.single.commands.sender.one(ask, Resend::WhereBroken).await? {
            Reply::Bytes(text) => Ok(own(&String::from_utf8_lossy(&text))),
            other => reply::done(&other).and(Err(failure::unexpected())),
        }
    }));
    let mut all = Vec::with_capacity(nodes.len());
    let mut slots = 0;
    for own in told.await {
        let Some((own, count)) = own? else { return Ok(None) };
        slots += count;
        all.push(own);
    }
    all.sort();
    Ok((slots == u32::from(SLOTS)).then_some(all))
}

/// Of what `CLUSTER NODES` tells: id, epoch and slots of the node itself, and how many these are. `None` where some are on their way,
/// or it is no primary.
fn own(nodes: &str) -> Option<(String, u32)> {
    let line = nodes.lines().find(|line| {
        line.split(' ').nth(2).is_some_and(|flags| flags.split(',').any(|flag| flag == "myself"))
    })?;
    // <id> <address> <flags> <primary> <ping> <pong> <epoch> <link> <slots…>
    let fields: Vec<&str> = line.split(' ').collect();
    let (id, flags, epoch) = (fields.first()?, fields.get(2)?, fields.get(6)?);
    if !flags.split(',').any(|flag| flag == "master") {
        return None;
    }
    let mut count = 0;
    for slots in &fields[8.min(fields.len())..] {
        let (first, last) = slots.split_once('-').unwrap_or((slots, slots));
        let (first, last): (u32, u32) = (first.parse().ok()?, last.parse().ok()?);
        count += last.checked_sub(first)? + 1;
    }
    Some((format!("{id} {epoch} {}", fields[8.min(fields.len())..].join(" ")), count))
}

/// One step through the keys of all nodes, one after the other. A cursor names its node.
pub(super) async fn scan(topology: &Arc<Topology>, prefix: &str, cursor: &Cursor) -> Result<Page> {
    let layout = topology.known().await?;
    let name = |node: &Node| format!("{}:{}", node.host.name, node.host.port);
    let text = String::from_utf8_lossy(&cursor.bytes).into_owned();
    let (at, cursor) = text.split_once(' ').unwrap_or_default();
    let begins = at
        .rsplit_once(':')
        .and_then(|(name, port)| Some(Host { name: name.to_owned(), port: port.parse().ok()? }));
    // Where the cursor's node is gone, the scan goes on with the next. Keys that it left to nodes before it are not seen.
    let mut nodes = layout.nodes.iter().skip_while(|node| begins.as_ref().is_some_and(|at| node.host < *at));
    let Some(node) = nodes.next() else { return Ok(Page::default()) };
    let is_same = begins.as_ref() == Some(&node.host);
    let cursor = if is_same { Cursor::new(cursor.as_bytes().to_vec()) } else { Cursor::default() };
    let mut page = scan::scan(&node.single.commands.sender, prefix, &cursor).await?;
    page.next = match page.next {
        Some(next) => Some(format!("{} {}", name(node), String::from_utf8_lossy(&next.bytes))),
        None => nodes.next().map(|node| format!("{} ", name(node))),
    }
    .map(|text| Cursor::new(text.into_bytes()));
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_node_serves_is_read_from_its_own_line() {
        let nodes = |slots: &str| {
            format!(
                "07c3 127.0.0.1:30004@31004 slave e7d1 0 1426238317239 4 connected\n\
                 e7d1 127.0.0.1:30001@31001,host myself,master - 0 0 7 connected {slots}\n\
                 67ed 127.0.0.1:30002@31002 master - 0 1426238316232 2 connected 5461-10922\n"
            )
        };
        assert_eq!(own(&nodes("0-5460 7000")), Some(("e7d1 7 0-5460 7000".to_owned(), 5462)));
        assert_eq!(own(&nodes("0-5460 [5461->-67ed]")), None, "one is on its way");
        assert_eq!(own(&nodes("0-5460 [77-<-67ed]")), None, "one is on its way here");
        assert_eq!(own("e7d1 a:1@2 myself,slave 67ed 0 0 7 connected\n"), None);
        assert_eq!(own("e7d1 a:1@2 myself,master - 0 0 7 connected\n"), Some(("e7d1 7 ".to_owned(), 0)));
        assert_eq!(own(""), None);
    }
}
