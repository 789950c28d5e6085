//! Which question's answer another question is given.

use std::fmt;
use std::time::Duration;

use crate::calls::similar::ask;
use crate::engine::entry::Entry;
use crate::ground::error::Result;
use crate::key::Key;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;

/// The answer that a question is given, and which question it was made for. From [`Entry::similar`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # use cachemacro::Alike;
/// fn line(alike: &Alike<String>) -> String {
///     format!("{} ({:.2}, {} s old)", alike.value, alike.score, alike.age.as_secs())
/// }
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Alike<T> {
    /// The answer.
    pub value: T,
    /// How alike the questions are, from 0 to 1; 1 where it is the same one.
    pub score: f32,
    /// The key of the answer's entry: the question that it was made for is in it.
    pub key: Key,
    /// How long ago it was stored.
    pub age: Duration,
}

/// The answer is not shown.
impl<T> fmt::Debug for Alike<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { score, key, age, .. } = self;
        f.debug_struct("Alike")
            .field("score", score)
            .field("key", key)
            .field("age", age)
            .finish_non_exhaustive()
    }
}

impl<T: Value> Entry<T> {
    /// The answer that a function with `similar` would give this question without running, in the scope of this entry: that under the question's own key, else one to a
    /// question that means the same. It counts as no hit.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let entry = cachemacro::Cache::memory().entry::<String>("faq", "hours?");
    /// let refused = entry.similar("open when?").await.expect_err("it is no function's with `similar`");
    /// assert_eq!(refused.kind(), cachemacro::ErrorKind::Config);
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`](crate::ErrorKind::Config) where the entry is of no function with `similar`, its cache has nothing beside it, it is sealed, or the threshold is none; where the store failed, or
    /// the question cannot be a key.
    pub async fn similar(&self, question: &str) -> Result<Option<Alike<T>>> {
        if self.core().is_bypassed() || Mode::current() == Mode::Refresh {
            return Ok(None);
        }
        let matched = self.in_time(ask(self, question)).await?;
        let now = self.core().store.now();
        Ok(matched.map(|matched| Alike {
            value: matched.found.value,
            score: matched.score,
            key: matched.key,
            age: now.since(matched.found.header.stored_at),
        }))
    }
}
