//! How something is that works for a cache and is no part of it.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use serde::Serialize;

use crate::ground::panics::caught;
use crate::ground::sync::lock;
use crate::observe::status::Status;

/// How something is that works for a cache, such as a task that evicts what a database tells: one of
/// [`Health::parts`](crate::Health::parts).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{PartHealth, Status};
///
/// let health = PartHealth::degraded("the queue does not answer").figure("waiting", 7);
/// assert_eq!((health.status, health.figures["waiting"]), (Status::Degraded, 7));
/// assert_eq!(PartHealth::ok().status, Status::Ok);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct PartHealth {
    /// What it was called by [`Cache::health_part`](crate::Cache::health_part).
    pub name: String,
    /// Whether something is wrong with it.
    pub status: Status,
    /// What that is: a sentence, without secrets.
    pub reason: Option<String>,
    /// What can be counted of it.
    pub figures: BTreeMap<String, u64>,
}

impl PartHealth {
    /// Nothing is wrong.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::PartHealth::ok().reason, None);
    /// ```
    #[must_use]
    pub const fn ok() -> Self {
        Self { name: String::new(), status: Status::Ok, reason: None, figures: BTreeMap::new() }
    }

    /// It works, and this is wrong with it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let health = cachemacro::PartHealth::degraded("the queue does not answer");
    /// assert_eq!(health.status, cachemacro::Status::Degraded);
    /// ```
    #[must_use]
    pub fn degraded(reason: impl Into<String>) -> Self {
        Self { status: Status::Degraded, reason: Some(reason.into()), ..Self::ok() }
    }

    /// Adds what was counted.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::PartHealth::ok().figure("waiting", 7).figures["waiting"], 7);
    /// ```
    #[must_use]
    pub fn figure(mut self, name: impl Into<String>, count: u64) -> Self {
        self.figures.insert(name.into(), count);
        self
    }
}

type How = Box<dyn Fn() -> PartHealth + Send + Sync>;

/// As long as this is there, a cache tells how a part is; see [`Cache::health_part`](crate::Cache::health_part).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// struct Queue {
///     _told: cachemacro::Part,
/// }
/// ```
#[must_use = "it is told as long as this is there"]
pub struct Part {
    _told: Arc<Told>,
}

impl fmt::Debug for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").finish_non_exhaustive()
    }
}

struct Told {
    name: String,
    how: How,
}

/// What tells how the parts of a cache are.
#[derive(Default)]
pub(crate) struct Parts(Mutex<Vec<Weak<Told>>>);

impl Parts {
    /// Has this part asked as long as what is returned is there.
    pub(crate) fn add(&self, name: String, how: How) -> Part {
        let told = Arc::new(Told { name, how });
        let mut parts = lock(&self.0);
        parts.retain(|part| part.strong_count() > 0);
        parts.push(Arc::downgrade(&told));
        Part { _told: told }
    }

    /// How they are, in the order in which they came.
    pub(crate) fn health(&self) -> Vec<PartHealth> {
        // Nobody is asked under the lock.
        let parts: Vec<Arc<Told>> = lock(&self.0).iter().filter_map(Weak::upgrade).collect();
        let told = parts.iter().map(|part| {
            let health = caught(|| (part.how)());
            let health =
                health.unwrap_or_else(|| PartHealth::degraded("it panicked when it was asked how it is"));
            PartHealth { name: part.name.clone(), ..health }
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_are_told_as_long_as_they_are_there() {
        let parts = Parts::default();
        let one = parts.add("one".to_owned(), Box::new(|| PartHealth::ok().figure("waiting", 1)));
        let two = parts.add("two".to_owned(), Box::new(|| panic!("of its own")));
        let told = parts.health();
        assert_eq!((told[0].name.as_str(), told[0].figures["waiting"]), ("one", 1));
        assert_eq!((told[1].name.as_str(), told[1].status), ("two", Status::Degraded));
        drop(one);
        assert_eq!(parts.health().len(), 1);
        drop(two);
        assert!(parts.health().is_empty());
        let _three = parts.add("three".to_owned(), Box::new(PartHealth::ok));
        assert_eq!(lock(&parts.0).len(), 1, "those that are gone are forgotten");
    }
}
