//! The state of a breaker, as stats, events and health show it.

use std::fmt;

use serde::{Serialize, Serializer};

/// The state of the circuit breaker around a store, from [`CacheStats::breaker`](field@crate::CacheStats::breaker).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{BreakerState, Cache};
///
/// assert_eq!(Cache::memory().stats().breaker, None, "a store in memory has none");
/// let redis = Cache::builder().redis("redis://localhost").namespace("shop").build()?;
/// assert_eq!(redis.stats().breaker, Some(BreakerState::Closed));
/// # Ok::<(), cachemacro::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BreakerState {
    /// The store is asked.
    Closed,
    /// The store is not asked: it failed too often.
    Open,
    /// One trial is under way that asks whether the store is back; nothing else is asked.
    HalfOpen,
}

impl BreakerState {
    /// The state as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::BreakerState::HalfOpen.as_str(), "half_open");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "half_open",
        }
    }
}

impl fmt::Display for BreakerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word.
impl Serialize for BreakerState {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
