//! Evicts as plain data: what to remove, not from which store. The public verbs are in [`crate::api::removals`].

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::engine::emitted::Emitted;
use crate::key::Key;

/// Evicts as plain data: keys, tags and prefixes, by the names that they have in the application. It holds no cache, no
/// store and no namespace, so it can be kept, serialized, sent to another process, and [applied](crate::Cache::apply)
/// there, for example from an outbox table once a transaction has committed.
///
/// As JSON it is `{"keys": ["user:7"], "tags": ["users"], "prefixes": [], "events": []}`, where each part may be missing. An unknown
/// part is refused: it could be an evict that a later version knows. Events that were [emitted](crate::Cache::emit) where evicts
/// are collected are in it too, and leave for other processes when it is applied.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use cachemacro::{Cache, Removals};
///
/// let cache = Cache::memory();
/// cache.set("user", 7, &"Ada".to_owned()).await?;
///
/// let removals = Removals::new().key("user", 7)?.tags(["user-lists"]);
/// let row = serde_json::to_string(&removals)?; // written with the change it belongs to
///
/// let read: Removals = serde_json::from_str(&row)?; // later, perhaps elsewhere
/// assert_eq!(cache.apply(&read).await?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[must_use = "what is removed nowhere stays cached"]
pub struct Removals {
    pub(crate) keys: BTreeSet<String>,
    pub(crate) tags: BTreeSet<String>,
    pub(crate) prefixes: BTreeSet<String>,
    /// What is to be told other processes once it was evicted, in its order.
    pub(crate) events: Vec<Emitted>,
}

// Keys may be secrets.
impl fmt::Debug for Removals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Removals")
            .field("keys", &self.keys.len())
            .field("tags", &self.tags.len())
            .field("prefixes", &self.prefixes.len())
            .field("events", &self.events.len())
            .finish()
    }
}

impl Removals {
    /// Whether something is to be evicted.
    pub(crate) fn has_any(&self) -> bool {
        !(self.keys.is_empty() && self.tags.is_empty() && self.prefixes.is_empty())
    }

    /// One entry.
    pub(crate) fn of(key: &Key) -> Self {
        let mut removals = Self::default();
        removals.add_key(key);
        removals
    }

    pub(crate) fn add_key(&mut self, key: &Key) {
        self.keys.insert(key.as_str().to_owned());
    }

    pub(crate) fn add_all(&mut self, more: Self) {
        self.keys.extend(more.keys);
        self.tags.extend(more.tags);
        self.prefixes.extend(more.prefixes);
        self.events.extend(more.events);
    }
}
