//! What evicts remove, by the keys of one store.

use std::fmt;

use crate::engine::core::Core;
use crate::engine::removals::Removals;
use crate::format::stamps::{TagKeys, tag_keys};
use crate::key::scan_text;

/// What to remove from a store: [`Removals`] in the namespace of one cache.
#[derive(Clone, Default)]
pub(crate) struct Targets {
    pub(crate) keys: Vec<String>,
    pub(crate) tags: Vec<TagKeys>,
    pub(crate) prefixes: Vec<String>,
}

// Keys may be secrets.
impl fmt::Debug for Targets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Targets")
            .field("keys", &self.keys.len())
            .field("tags", &self.tags.len())
            .field("prefixes", &self.prefixes.len())
            .finish()
    }
}

impl Targets {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.tags.is_empty() && self.prefixes.is_empty()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.keys.extend(more.keys);
        self.tags.extend(more.tags);
        self.prefixes.extend(more.prefixes);
    }
}

impl Core {
    /// Where `removals` are in this cache's store.
    pub(crate) fn targets(&self, removals: &Removals) -> Targets {
        let Removals { keys, tags, prefixes } = removals;
        Targets {
            keys: keys.iter().map(|key| self.full_text(key)).collect(),
            tags: tags.iter().map(|tag| tag_keys(self.namespace(), tag)).collect(),
            prefixes: prefixes.iter().map(|prefix| self.full_text(&scan_text(prefix))).collect(),
        }
    }
}
