//! Finding entries by what is kept beside them.

use std::any::Any;
use std::sync::Arc;

use crate::api::cache::Cache;
use crate::engine::entry::Entry;
use crate::engine::neighbour::Beside;
use crate::ground::error::{Error, ErrorKind};
use crate::ground::panics::caught;
use crate::key::{Key, prefix_of, scan_text};
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;
use crate::store::RawCommands;

/// What is known of the entries under a prefix. From [`Cache::under`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::Cache;
///
/// let cache = Cache::builder().memory().namespace("shop").build()?;
/// let users = cache.under("user");
/// assert_eq!((&*users.begins, users.is_sealed, users.is_searched), ("shop:user", false, false));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Under {
    /// What their keys begin with at the store, namespace and all, without the colon behind it.
    pub begins: String,
    /// Whether they are sealed.
    pub is_sealed: bool,
    /// Whether a function, or an entry with such [rules](crate::EntryRules::search), stores values there that are found by texts, as far as this process knows.
    pub is_searched: bool,
    /// A function that stores values there without texts, as far as this process has stored some.
    pub function: Option<String>,
}

impl Cache {
    /// Who is [beside](crate::CacheBuilder::beside) the cache, if it is one of these.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use cachemacro::{Beside, Cache, Stored};
    /// # use std::sync::Arc;
    /// struct Nothing;
    ///
    /// impl Beside for Nothing {
    ///     fn stored(&self, _: &Stored<'_>) {}
    /// }
    ///
    /// let cache = Cache::builder().memory().beside(Arc::new(Nothing)).build()?;
    /// assert!(cache.beside::<Nothing>().is_some() && Cache::memory().beside::<Nothing>().is_none());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn beside<B: Beside>(&self) -> Option<Arc<B>> {
        let beside: Arc<dyn Any + Send + Sync> = self.core().settings.beside.0.clone()?;
        beside.downcast().ok()
    }

    /// The entry whose key has this text, as [`Key::as_str`] gave it, read as the function reads it that stores such values, where it has `search` and this
    /// process has called it: with its codec, version and stale time. Else it is one of the cache's own codec, as [`entry`](Self::entry) gives.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", "Ada L", &7).await?;
    /// assert_eq!(cache.entry_of::<i32>("user:Ada%20L").get().await?, Some(7));
    /// assert!(cache.entry_of::<i32>("user:Ada L").check().is_err(), "no key has a blank");
    /// # Ok(())
    /// # }
    /// ```
    pub fn entry_of<T: Value>(&self, key: &str) -> Entry<T> {
        let is_key = !key.is_empty()
            && !key.chars().any(|letter| letter <= ' ' || matches!(letter, '{' | '}' | '\u{7f}'));
        if is_key {
            Entry::under(self.core(), Key::of_text(key.to_owned()))
        } else {
            Entry::new(self.core().clone(), None, Err(Error::new(ErrorKind::Key, "the text is no key's")))
        }
    }

    /// The texts by which this value is found, where a function stores such values under the prefix with `search`, and this process has called it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Cache::memory().texts_of("airport", &7_u32), None);
    /// ```
    pub fn texts_of<T: Value>(&self, prefix: &str, value: &T) -> Option<Vec<String>> {
        let reading = self.core().searched.reading::<T>(&scan_text(prefix))?;
        caught(|| (reading.texts)(value))
    }

    /// Whether what a read of a value of this type under the prefix does not give is not there: a function stores such values with `search`, this process has called it, and the
    /// current task reads as usual.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(!cachemacro::Cache::memory().reads_as::<u32>("airport"));
    /// ```
    pub fn reads_as<T: Value>(&self, prefix: &str) -> bool {
        let reads_as_usual = Mode::current() == Mode::Normal && !self.core().is_bypassed();
        reads_as_usual && self.core().searched.reading::<T>(&scan_text(prefix)).is_some()
    }

    /// Takes commands that are none of the cache's own to its server, over the cache's connections; `None` where its store has no server.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::Cache::memory().raw_commands().is_none());
    /// assert!(cachemacro::Cache::builder().redis("redis://localhost").build()?.raw_commands().is_some());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn raw_commands(&self) -> Option<Arc<dyn RawCommands>> {
        self.core().raw_commands()
    }

    /// What is known of the entries under a prefix.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Cache::memory().under("user").begins, "user");
    /// ```
    pub fn under(&self, prefix: &str) -> Under {
        let core = self.core();
        let key = Key::of_text(scan_text(prefix));
        let begins = core.full_text(key.as_str().strip_suffix(':').unwrap_or(key.as_str()));
        let sites = core.named_sites().into_iter();
        let is_searched = core.searched.knows(prefix_of(&key));
        let function = sites
            .filter(|_| !is_searched)
            .find(|(_, _, counters)| counters.shapes().iter().any(|shape| *shape.prefix == *prefix_of(&key)))
            .map(|(name, ..)| name);
        Under { begins, is_sealed: core.settings.seals.covers(&key), is_searched, function }
    }
}
