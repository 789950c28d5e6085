//! What sync functions keep, read and evicted without a runtime.

use std::any::Any;
use std::time::Duration;

use crate::engine::local::{LocalEntry, Stored};
use crate::ground::error::Result;
use crate::key::Key;
use crate::key::tag::Tag;
use crate::policy::rules::EntryRules;
use crate::policy::ttl::Ttl;

impl<T: Any + Clone + Send + Sync> LocalEntry<T> {
    /// The key, by which [`Cache::evict_key`](crate::Cache::evict_key) and its like evict it too.
    ///
    /// # Errors
    /// [`ErrorKind::Key`](crate::ErrorKind::Key) where the arguments cannot be a key.
    pub fn key(&self) -> Result<&Key> {
        self.raw.key.as_ref().map_err(Clone::clone)
    }

    /// The value, where one is kept; see [`LocalEntry`] for an example.
    pub fn get(&self) -> Option<T> {
        if !self.raw.is_active() {
            return None;
        }
        let value =
            |stored: &Stored<T>| if let Stored::Value(value) = stored { Some(value.clone()) } else { None };
        self.raw.look(None, value).ok()
    }

    /// How long what is kept is kept still; `None` where nothing is.
    pub fn ttl(&self) -> Option<Duration> {
        self.raw.times::<T>().map(|times| times.until.since(self.raw.core.local().now()))
    }

    /// Evicts it, and lets no load store that is under way. Tells whether something was there.
    pub fn evict(&self) -> bool {
        self.raw.key.is_ok() && self.raw.evict()
    }

    /// The same entry with this TTL.
    #[doc(hidden)]
    #[must_use]
    pub fn with_ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.raw.set_ttl(ttl.into());
        self
    }

    /// The same entry with these tags.
    #[doc(hidden)]
    #[must_use]
    pub fn with_tags<S: AsRef<str>>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        tags.into_iter().for_each(|tag| self.raw.tag(tag.as_ref()));
        self
    }

    /// The same entry with tags that templates built.
    #[doc(hidden)]
    #[must_use]
    pub fn with_built_tags(mut self, tags: impl IntoIterator<Item = Tag>) -> Self {
        tags.into_iter().for_each(|tag| self.raw.built_tag(tag));
        self
    }

    /// The same entry with rules about its values.
    #[doc(hidden)]
    #[must_use]
    pub fn with_rules(mut self, rules: EntryRules<T>) -> Self {
        self.rules = rules;
        self
    }
}
