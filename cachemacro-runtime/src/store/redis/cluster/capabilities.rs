//! What a cluster offers beside the requests of its trait: word of a lease's end, a look at what is stored, and documents.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures_util::future::join_all;

use super::route::{Again, Names};
use super::{Cluster, sweep};
use crate::ground::clock::Timestamp;
use crate::ground::error::Result;
use crate::store::contract::{Changes, Inspect};
use crate::store::documents::Documents;
use crate::store::messages::inspect::{Cursor, Page, Raw};
use crate::store::raw_commands::{Answer, RawCommands};
use crate::store::redis::slot::slot;
use crate::store::redis::{documents, raw_commands, scan};

#[async_trait]
impl Changes for Cluster {
    fn are_told(&self) -> bool {
        let layout = self.topology.now();
        !layout.nodes.is_empty() && layout.nodes.iter().all(|node| node.single.are_told())
    }

    async fn changed(&self, key: &str, at_most: Duration) {
        let layout = self.topology.now();
        // The node may serve the slot no more: then no wait is longer than a moment.
        match layout.owner(slot(key.as_bytes())) {
            Some(node) => node.single.changed(key, at_most).await,
            None => self.topology.rest(at_most.min(Duration::from_millis(20))).await,
        }
    }
}

#[async_trait]
impl Inspect for Cluster {
    async fn scan(&self, prefix: &str, cursor: &Cursor) -> Result<Page> {
        sweep::scan(&self.topology, prefix, cursor).await
    }

    async fn raw(&self, key: &[u8]) -> Result<Option<Raw>> {
        let raw = self.topology.at((slot(key), Names::One), Again::Elsewhere, |seat| {
            Box::pin(async move { scan::raw(&seat.commands().sender, key).await })
        });
        raw.await
    }

    async fn heads(&self, keys: &[&[u8]], first: usize) -> Result<Vec<Option<(Raw, usize)>>> {
        let heads = keys.iter().map(|key| {
            let key = std::slice::from_ref(key);
            let head = self.topology.at((slot(key[0]), Names::One), Again::Elsewhere, move |seat| {
                Box::pin(async move { scan::heads(&seat.commands().sender, key, first).await })
            });
            async { Ok(head.await?.pop().flatten()) }
        });
        join_all(heads).await.into_iter().collect()
    }

    async fn info(&self) -> Result<Option<String>> {
        let layout = self.topology.known().await?;
        let told = join_all(layout.nodes.iter().map(|node| node.single.commands.info())).await;
        let told: Vec<String> = told.into_iter().collect::<Result<_>>()?;
        Ok(Some(told.join("\r\n")))
    }

    async fn leaves_use_alone(&self) -> Result<bool> {
        let layout = self.topology.known().await?;
        let nodes = layout.nodes.iter().map(|node| scan::leaves_use_alone(&node.single.commands.sender));
        let each: Vec<bool> = join_all(nodes).await.into_iter().collect::<Result<_>>()?;
        Ok(each.into_iter().all(|leaves| leaves))
    }
}

/// A namespace's documents are in one slot. While that is being moved, they are not there.
#[async_trait]
impl Documents for Cluster {
    async fn publish(&self, namespace: &str, id: &str, document: Bytes, life: Duration) -> Result<()> {
        let document = &document;
        let published = self.topology.at((documents_slot(namespace), Names::Several), Again::Never, |seat| {
            Box::pin(async move { seat.node.single.publish(namespace, id, document.clone(), life).await })
        });
        published.await
    }

    async fn withdraw(&self, namespace: &str, id: &str) -> Result<()> {
        let withdrawn =
            self.topology.at((documents_slot(namespace), Names::Several), Again::Elsewhere, |seat| {
                Box::pin(async move { seat.node.single.withdraw(namespace, id).await })
            });
        withdrawn.await
    }

    async fn published(&self, namespace: &str, life: Duration) -> Result<Vec<Bytes>> {
        let published =
            self.topology.at((documents_slot(namespace), Names::Several), Again::Elsewhere, |seat| {
                Box::pin(async move { seat.node.single.published(namespace, life).await })
            });
        published.await
    }

    async fn describe(&self, namespace: &str, id: &str, document: Bytes, life: Duration) -> Result<()> {
        let document = &document;
        let kept = self.topology.at((documents_slot(namespace), Names::Several), Again::Elsewhere, |seat| {
            Box::pin(async move { seat.node.single.describe(namespace, id, document.clone(), life).await })
        });
        kept.await
    }

    async fn described(&self, namespace: &str, id: &str) -> Result<Option<Bytes>> {
        let described =
            self.topology.at((documents_slot(namespace), Names::Several), Again::Elsewhere, |seat| {
                Box::pin(async move { seat.node.single.described(namespace, id).await })
            });
        described.await
    }

    async fn name_tags(&self, namespace: &str, names: &[String], most: usize) -> Result<()> {
        let named = self.topology.at((documents_slot(namespace), Names::Several), Again::Elsewhere, |seat| {
            Box::pin(async move { seat.node.single.name_tags(namespace, names, most).await })
        });
        named.await
    }

    async fn tag_names(&self, namespace: &str) -> Result<Vec<Bytes>> {
        let names = self.topology.at((documents_slot(namespace), Names::Several), Again::Elsewhere, |seat| {
            Box::pin(async move { seat.node.single.tag_names(namespace).await })
        });
        names.await
    }

    async fn log(&self, namespace: &str, line: Bytes, most: usize) -> Result<()> {
        let line = &line;
        let logged = self.topology.at(log_slot(namespace), Again::Never, |seat| {
            Box::pin(async move { seat.node.single.log(namespace, line.clone(), most).await })
        });
        logged.await
    }

    async fn logged(&self, namespace: &str, most: usize) -> Result<Vec<(Timestamp, Bytes)>> {
        let logged = self.topology.at(log_slot(namespace), Again::Elsewhere, |seat| {
            Box::pin(async move { seat.node.single.logged(namespace, most).await })
        });
        logged.await
    }
}

/// Keys of one slot; while that is being moved, they are not there.
#[async_trait]
impl RawCommands for Cluster {
    async fn send(&self, key: &str, commands: &[Vec<Bytes>], again: bool) -> Result<Vec<Answer>> {
        let repeats = if again { Again::Elsewhere } else { Again::Never };
        let sent = self.topology.at((slot(key.as_bytes()), Names::Several), repeats, |seat| {
            Box::pin(async move { raw_commands::send(&seat.commands().sender, commands, again).await })
        });
        sent.await
    }
}

fn log_slot(namespace: &str) -> (u16, Names) {
    (slot(documents::log_key(namespace).as_bytes()), Names::Several)
}

fn documents_slot(namespace: &str) -> u16 {
    slot(documents::keys(namespace, "").0.as_bytes())
}
