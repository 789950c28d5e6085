#![doc = include_str!("../README.md")]

#[cfg(any(feature = "prometheus", feature = "metrics"))]
mod bounds;
#[cfg(any(feature = "prometheus", feature = "metrics", feature = "opentelemetry"))]
mod families;

#[cfg(feature = "metrics")]
pub mod facade;
#[cfg(feature = "opentelemetry")]
pub mod opentelemetry;
#[cfg(feature = "prometheus")]
pub mod prometheus;

use cachemacro::Cache;

/// The caches whose figures are told, each under a name.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_metrics::Metrics;
///
/// # fn main() -> Result<(), cachemacro_metrics::Error> {
/// let (users, sessions) = (Cache::memory(), Cache::memory());
/// let metrics = Metrics::of("users", &users).and("sessions", &sessions)?;
/// assert_eq!(metrics.names().collect::<Vec<_>>(), ["users", "sessions"]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "figures are told by one of the modules"]
pub struct Metrics {
    caches: Vec<(String, Cache)>,
}

impl Metrics {
    /// The figures of one cache, under this value of the label `cache`.
    ///
    /// ```
    /// let metrics = cachemacro_metrics::Metrics::of("main", &cachemacro::Cache::memory());
    /// assert_eq!(metrics.names().count(), 1);
    /// ```
    pub fn of(name: impl Into<String>, cache: &Cache) -> Self {
        Self { caches: vec![(name.into(), cache.clone())] }
    }

    /// Adds the figures of another cache, under its own value of the label `cache`.
    ///
    /// # Errors
    /// [`Error::NameTaken`] where another of them has that name: their series would be one.
    ///
    /// ```
    /// use cachemacro::Cache;
    /// use cachemacro_metrics::{Error, Metrics};
    ///
    /// let cache = Cache::memory();
    /// let twice = Metrics::of("main", &cache).and("main", &Cache::memory());
    /// assert_eq!(twice.err(), Some(Error::NameTaken("main".to_owned())));
    /// ```
    pub fn and(mut self, name: impl Into<String>, cache: &Cache) -> Result<Self, Error> {
        let name = name.into();
        if self.names().any(|taken| taken == name) {
            return Err(Error::NameTaken(name));
        }
        self.caches.push((name, cache.clone()));
        Ok(self)
    }

    /// The names, in the order in which they were given.
    ///
    /// ```
    /// let metrics = cachemacro_metrics::Metrics::of("main", &cachemacro::Cache::memory());
    /// assert!(metrics.names().eq(["main"]));
    /// ```
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.caches.iter().map(|(name, _)| name.as_str())
    }
}

/// Why figures cannot be told.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_metrics::{Error, Metrics};
///
/// let twice = Metrics::of("main", &Cache::memory()).and("main", &Cache::memory());
/// assert!(matches!(twice, Err(Error::NameTaken(name)) if name == "main"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Two caches would have the same series.
    #[error("the caches' figures have a cache `{0}` already: give this one another name")]
    NameTaken(String),
    /// The registry has figures of caches already.
    #[error("the registry has the figures of caches already: name all caches in one `Metrics`")]
    AlreadyAttached,
    /// The text could not be written.
    #[error("the figures could not be written: {0}")]
    Unwritten(#[from] std::fmt::Error),
}
