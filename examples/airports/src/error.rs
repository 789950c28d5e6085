//! What can go wrong, for callers to act upon.

use std::sync::Arc;

/// An error of the service. It is `Clone`, so callers that wait for one another's load share it instead of asking a
/// failing database again one by one.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// No such airport.
    #[error("there is no airport {0}")]
    NotFound(String),
    /// What was asked makes no sense.
    #[error("{0}")]
    Invalid(String),
    /// The database failed.
    #[error("the database failed")]
    Database(#[source] Arc<sqlx::Error>),
}

/// What a fallible call gives.
pub type Result<T> = std::result::Result<T, Error>;

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Error::Database(Arc::new(error))
    }
}
