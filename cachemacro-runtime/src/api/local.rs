//! What sync functions keep, read and evicted without a runtime.

use std::any::Any;
use std::time::Duration;

use crate::engine::local::{LocalEntry, Stored};
use crate::ground::error::Result;
use crate::key::Key;
use crate::key::tag::Tag;
use crate::key::typed;
use crate::policy::rules::EntryRules;
use crate::policy::ttl::Ttl;

impl<T: Any + Clone + Send + Sync> LocalEntry<T> {
    /// The key, by which [`Cache::evict_key`](crate::Cache::evict_key) and its like evict it too.
    ///
    /// # Errors
    /// [`ErrorKind::Key`](crate::ErrorKind::Key) where the arguments cannot be a key.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// #     pub use cachemacro_runtime::__private;
    /// # }
    /// use cachemacro::{Cache, cached};
    ///
    /// #[cached(crate = cachemacro, key = "{n}", ttl = "1m", entry = square_entry)]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// Cache::memory().scope_sync(|| {
    ///     square(7);
    ///     let key = square_entry(7).key().map(|key| key.as_str().ends_with("square:7"));
    ///     assert_eq!(key.ok(), Some(true));
    /// });
    /// ```
    pub fn key(&self) -> Result<&Key> {
        self.raw.key.as_ref().map_err(Clone::clone)
    }

    /// The value, where one is kept.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// #     pub use cachemacro_runtime::__private;
    /// # }
    /// use cachemacro::{Cache, cached};
    ///
    /// #[cached(crate = cachemacro, key = "{n}", ttl = "1m", entry = square_entry)]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// Cache::memory().scope_sync(|| {
    ///     square(7);
    ///     assert_eq!((square_entry(7).get(), square_entry(8).get()), (Some(49), None));
    /// });
    /// ```
    pub fn get(&self) -> Option<T> {
        if !self.raw.is_active() {
            return None;
        }
        let value =
            |stored: &Stored<T>| if let Stored::Value(value) = stored { Some(value.clone()) } else { None };
        self.raw.look(None, value).ok()
    }

    /// How long what is kept is kept still; `None` where nothing is.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// #     pub use cachemacro_runtime::__private;
    /// # }
    /// use cachemacro::{Cache, cached};
    ///
    /// #[cached(crate = cachemacro, key = "{n}", ttl = "1m", entry = square_entry)]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// Cache::memory().scope_sync(|| {
    ///     square(7);
    ///     let left = square_entry(7).ttl();
    ///     assert!(left.is_some_and(|left| left.as_secs() < 61));
    /// });
    /// ```
    pub fn ttl(&self) -> Option<Duration> {
        self.raw.until::<T>().map(|until| until.since(self.raw.core.local().now()))
    }

    /// Evicts it, and lets no load store that is under way. Tells whether something was there.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// #     pub use cachemacro_runtime::__private;
    /// # }
    /// use cachemacro::{Cache, cached};
    ///
    /// #[cached(crate = cachemacro, key = "{n}", ttl = "1m", entry = square_entry)]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// Cache::memory().scope_sync(|| {
    ///     square(7);
    ///     assert!(square_entry(7).evict() && !square_entry(7).evict(), "once");
    /// });
    /// ```
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
    pub fn with_tags<S: typed::Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.raw.core.misspelt.may_be_any();
        tags.into_iter().for_each(|tag| self.raw.tag(&tag.text()));
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
