//! How a cache is, in one word.

use std::fmt;

use serde::{Serialize, Serializer};

/// How a cache is, from [`Health::status`](field@crate::Health::status). A cold cache is well.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Status};
///
/// let health = Cache::memory().health().await?;
/// assert_eq!((health.status, health.reasons.len()), (Status::Ok, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Nothing is wrong.
    Ok,
    /// It works, and something is wrong with it.
    Degraded,
    /// It serves nothing: functions run without it.
    Down,
}

impl Status {
    /// The status as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Status::Degraded.as_str(), "degraded");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Status::Ok => "ok",
            Status::Degraded => "degraded",
            Status::Down => "down",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The word.
impl Serialize for Status {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}
