//! What a search gives.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// A value that was found, as it was read when it was found.
///
/// ```
/// # use cachemacro_search::Match;
/// fn line(found: &Match<String>) -> String {
///     format!("{} ({:.2}, {} s old)", found.value, found.score, found.age.as_secs())
/// }
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Match<T> {
    /// The value.
    pub value: T,
    /// How alike it is, from 0 to 1.
    pub score: f32,
    /// The key of its entry, behind the namespace, for [`Cache::entry_of`](cachemacro::Cache::entry_of).
    pub key: Arc<str>,
    /// How long ago it was stored.
    pub age: Duration,
}

/// Neither the value nor its key.
impl<T> fmt::Debug for Match<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Match").field("score", &self.score).field("age", &self.age).finish_non_exhaustive()
    }
}

/// What a search found, the best first.
///
/// ```
/// # use cachemacro::Cache;
/// # use cachemacro_search::{Search, SearchCache};
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().memory().beside(std::sync::Arc::new(Search::new())).build()?;
/// let found = cache.search("airport").vector("london").run::<String>().await?;
/// assert!(found.is_empty() && !found.is_partial());
/// for found in found {
///     println!("{}", found.value);
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq)]
#[must_use]
pub struct Matches<T> {
    pub(super) found: Vec<Match<T>>,
    pub(super) is_partial: bool,
}

impl<T> Matches<T> {
    /// Whether there may be more: the index or an entry was not read to the end in time.
    ///
    /// ```
    /// # use cachemacro_search::Matches;
    /// fn warn(found: &Matches<String>) {
    ///     if found.is_partial() {
    ///         eprintln!("not all documents were searched");
    ///     }
    /// }
    /// ```
    pub const fn is_partial(&self) -> bool {
        self.is_partial
    }
}

impl<T> Deref for Matches<T> {
    type Target = [Match<T>];

    fn deref(&self) -> &Self::Target {
        &self.found
    }
}

impl<T> IntoIterator for Matches<T> {
    type Item = Match<T>;
    type IntoIter = std::vec::IntoIter<Match<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.into_iter()
    }
}

impl<'a, T> IntoIterator for &'a Matches<T> {
    type Item = &'a Match<T>;
    type IntoIter = std::slice::Iter<'a, Match<T>>;

    fn into_iter(self) -> Self::IntoIter {
        self.found.iter()
    }
}
