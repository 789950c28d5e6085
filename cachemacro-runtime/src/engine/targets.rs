//! What evicts remove, by the keys of one store.

use std::fmt;

use crate::format::stamps::TagKeys;

/// What to remove from a store: [`Removals`](crate::Removals) in the namespace of one cache.
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
