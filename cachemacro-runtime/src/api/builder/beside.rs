//! Who is beside the cache.

use std::sync::Arc;

use super::CacheBuilder;
use crate::engine::neighbour::{Beside, Neighbour};

impl CacheBuilder {
    /// Puts this beside the cache: it is told of each value that is stored with [texts](crate::EntryRules::search), by functions with `search`.
    /// [`Beside`] has an example. The last one that is given counts.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Beside, Cache, Stored};
    /// use std::sync::Arc;
    ///
    /// struct Nothing;
    ///
    /// impl Beside for Nothing {
    ///     fn stored(&self, _: &Stored<'_>) {}
    /// }
    ///
    /// let cache = Cache::builder().memory().beside(Arc::new(Nothing)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn beside<B: Beside>(mut self, beside: Arc<B>) -> Self {
        self.settings.beside = Neighbour(Some(beside));
        self
    }
}
