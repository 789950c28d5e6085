//! What evicts remove, by the keys of one store.

use std::fmt;

use crate::format::stamps::TagKeys;
use crate::ground::chunks::{MOST_BYTES, MOST_EVICTS, chunks};

/// What to remove from a store: [`Removals`](crate::Removals) in the namespace of one cache.
#[derive(Clone, Default)]
pub(crate) struct Targets {
    pub(crate) keys: Vec<String>,
    pub(crate) tags: Vec<TagKeys>,
    pub(crate) prefixes: Vec<String>,
}

/// One of them that needs no scan.
enum Name {
    Tag(TagKeys),
    Key(String),
}

impl Name {
    fn weight(&self) -> usize {
        match self {
            Name::Tag(tag) => tag.tag.text.len() + tag.any.text.len(),
            Name::Key(key) => key.len(),
        }
    }
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

    /// Whether one request is enough, and it is no scan.
    pub(crate) fn are_few(&self) -> bool {
        self.keys.len() + self.tags.len() <= MOST_EVICTS && self.prefixes.is_empty()
    }

    pub(crate) fn extend(&mut self, more: Self) {
        self.keys.extend(more.keys);
        self.tags.extend(more.tags);
        self.prefixes.extend(more.prefixes);
    }

    /// Each once.
    pub(crate) fn dedup(&mut self) {
        for names in [&mut self.keys, &mut self.prefixes] {
            names.sort_unstable();
            names.dedup();
        }
        self.tags.sort_unstable_by(|one, other| one.tag.text.cmp(&other.tag.text));
        self.tags.dedup_by(|one, other| one.tag.text == other.tag.text);
    }

    /// What one request after the other removes.
    pub(crate) fn parts(self) -> impl Iterator<Item = Self> + Send {
        parts(self.tags.into_iter(), self.keys.into_iter(), self.prefixes.into_iter())
    }
}

/// What one request after the other removes, each made when it is its turn: tags and keys as many as one may name, then one
/// prefix each.
pub(crate) fn parts(
    tags: impl Iterator<Item = TagKeys> + Send,
    keys: impl Iterator<Item = String> + Send,
    prefixes: impl Iterator<Item = String> + Send,
) -> impl Iterator<Item = Targets> + Send {
    // Tags first: what is cut off behind them covers least.
    let names = tags.map(Name::Tag).chain(keys.map(Name::Key));
    let named = chunks(names, MOST_EVICTS, MOST_BYTES, Name::weight).map(|names| {
        let mut part = Targets::default();
        for name in names {
            match name {
                Name::Tag(tag) => part.tags.push(tag),
                Name::Key(key) => part.keys.push(key),
            }
        }
        part
    });
    named.chain(prefixes.map(|prefix| Targets { prefixes: vec![prefix], ..Targets::default() }))
}
