//! Connections that tell the cache what goes through them.

pub(crate) mod after;
pub(crate) mod driver;
pub(crate) mod feed;
pub(crate) mod handle;
pub(crate) mod known;
pub(crate) mod noting;
pub(crate) mod outbox;
#[cfg(feature = "sqlx-postgres")]
pub(crate) mod postgres;
pub(crate) mod shared;
#[cfg(feature = "sqlx-sqlite")]
pub(crate) mod sqlite;
pub(crate) mod told;
pub(crate) mod transaction;
