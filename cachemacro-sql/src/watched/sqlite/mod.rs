//! Statements on SQLite.

mod catalogue;
mod definition;
mod outbox;

use sqlx_sqlite::Sqlite;

use crate::sql::dialect::Dialect;
use crate::watched::driver::{executors, watches};

executors!(Sqlite);
watches!(Sqlite, Dialect::Sqlite);
