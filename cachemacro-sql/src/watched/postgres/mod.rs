//! Statements on PostgreSQL.

mod catalogue;

use sqlx_core::pool::Pool;
use sqlx_postgres::Postgres;

use crate::sql::dialect::Dialect;
use crate::watched::driver::executors;
use crate::watched::handle::Watch;

executors!(Postgres, catalogue::read);

impl Watch for Pool<Postgres> {
    const DIALECT: Dialect = Dialect::Postgres;
}
