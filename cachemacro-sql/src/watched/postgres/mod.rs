//! Statements on PostgreSQL.

mod catalogue;
mod outbox;

use sqlx_postgres::Postgres;

use crate::sql::dialect::Dialect;
use crate::watched::driver::{executors, watches};

executors!(Postgres);
watches!(Postgres, Dialect::Postgres);
