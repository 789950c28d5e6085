//! Evicts as plain data: what to remove, not how.

use std::fmt;

use crate::format::stamps::TagKeys;

/// What to remove from a store.
#[derive(Clone, Default)]
pub(crate) struct Removals {
    pub(crate) keys: Vec<String>,
    pub(crate) tags: Vec<TagKeys>,
    pub(crate) prefixes: Vec<String>,
}

// Keys may be secrets.
impl fmt::Debug for Removals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removals")
            .field("keys", &self.keys.len())
            .field("tags", &self.tags.len())
            .field("prefixes", &self.prefixes.len())
            .finish()
    }
}

impl Removals {
    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.tags.is_empty() && self.prefixes.is_empty()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.keys.extend(more.keys);
        self.tags.extend(more.tags);
        self.prefixes.extend(more.prefixes);
    }

    pub(crate) fn key(key: &str) -> Self {
        Self { keys: vec![key.to_owned()], ..Self::default() }
    }
}
