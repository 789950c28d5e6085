//! Versions of tags, which lie in slots of their own, and ids of nodes, which entries carry as versions where the cache asks for that.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::route::{Again, Going, Names, Seat};
use super::{Cluster, or_each, split};
use crate::format::ids::Version;
use crate::format::stamps::{VersionKey, slot_of_node};
use crate::ground::error::Result;
use crate::store::messages::read::ReadRequest;
use crate::store::redis::failure;

impl Cluster {
    /// Versions of one slot.
    async fn versions(&self, slot: u16, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        let read = self.topology.at((slot, Names::these(keys.len())), Again::Elsewhere, |seat| {
            Box::pin(async move {
                Ok(seat.commands().read(ReadRequest::of_versions(keys)).await?.versions.into_iter().collect())
            })
        });
        or_each(read.await, keys, |key| Box::pin(self.versions(slot, key))).await
    }

    /// Versions of any slots; none where it is the id of a node.
    pub(super) async fn stored_versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>> {
        let stored = keys.iter().filter(|key| slot_of_node(key).is_none()).cloned();
        let told =
            split(stored, |key| &key.text, |slot, keys| async move { self.versions(slot, &keys).await });
        let mut told = told.await?.into_iter();
        let each = keys.iter().map(|key| slot_of_node(key).map_or_else(|| told.next().flatten(), |_| None));
        Ok(each.collect())
    }

    /// The same, where ids are those of the nodes that answered for their slots, else of those that serve them.
    pub(super) async fn with_ids(
        &self,
        keys: &[VersionKey],
        mut versions: Vec<Option<Version>>,
        answered: impl Iterator<Item = (u16, Option<Version>)>,
    ) -> Result<Vec<Option<Version>>> {
        if keys.iter().all(|key| slot_of_node(key).is_none()) {
            return Ok(versions);
        }
        let mut ids: HashMap<u16, Option<Version>> = HashMap::new();
        for (slot, id) in answered {
            let known = ids.entry(slot).or_insert(id);
            // Two nodes answered for it: what either said is not used.
            *known = known.filter(|known| Some(*known) == id);
        }
        for (key, version) in keys.iter().zip(&mut versions) {
            if let Some(slot) = slot_of_node(key) {
                *version = match ids.get(&slot) {
                    Some(id) => *id,
                    None => Some(self.id(slot).await?),
                };
            }
        }
        Ok(versions)
    }

    /// The id of the node that serves a slot.
    async fn id(&self, slot: u16) -> Result<Version> {
        let told =
            |seat: Seat| -> Going<'_, Version> { Box::pin(async move { seat.node.single.id().await }) };
        self.topology.at((slot, Names::One), Again::Elsewhere, told).await
    }

    /// Captures versions of one slot, each for so long at least.
    async fn capture_at(&self, slot: u16, keys: &[(VersionKey, Duration)]) -> Result<Vec<Version>> {
        let captured = self.topology.at((slot, Names::these(keys.len())), Again::Elsewhere, |seat| {
            Box::pin(async move {
                seat.commands().capture_each(keys.iter().map(|(key, life)| (key, *life))).await
            })
        });
        or_each(captured.await, keys, |key| Box::pin(self.capture_at(slot, key))).await
    }

    /// Captures versions of any slots.
    pub(super) async fn capture_all(
        &self,
        keys: impl Iterator<Item = (&VersionKey, Duration)> + Clone,
    ) -> Result<Vec<Version>> {
        let sent = Instant::now();
        let stored = keys.clone().filter(|(key, _)| slot_of_node(key).is_none());
        let each = stored.clone().map(|(key, life)| (key.clone(), life));
        let captured =
            split(each, |(key, _)| &key.text, |slot, keys| async move { self.capture_at(slot, &keys).await });
        let captured = captured.await?;
        self.lives.learn(stored.zip(captured.iter().copied()), sent);
        let mut captured = captured.into_iter();
        let mut all = Vec::new();
        for (key, _) in keys {
            all.push(match slot_of_node(key) {
                Some(slot) => self.id(slot).await?,
                None => captured.next().ok_or_else(failure::unexpected)?,
            });
        }
        Ok(all)
    }
}
