//! The connections of a store, as health and reports show them.

use serde::{Deserialize, Serialize};

/// The connections of a store to its server, from [`Store::pool`](crate::store::Store::pool).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::Cache;
///
/// let cache = Cache::builder().redis("redis://localhost").namespace("shop").build()?;
/// let pool = cache.report().pool.expect("Redis has connections");
/// assert_eq!((pool.shared, pool.reconnects), (0, 0), "none was opened yet");
/// # Ok::<(), cachemacro::Error>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Pool {
    /// Open connections that all tasks share.
    pub shared: u64,
    /// Pooled connections that nobody uses.
    pub idle: u64,
    /// Pooled connections that are in use.
    pub in_use: u64,
    /// Callers that wait for a pooled connection.
    pub waiting: u64,
    /// How often a shared connection was lost and another one was to take its place.
    pub reconnects: u64,
    /// Why a connection was lost, or could not be opened, last; without names, URLs and passwords.
    pub last_failure: Option<String>,
}
