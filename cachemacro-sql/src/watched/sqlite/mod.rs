//! Statements on SQLite.

mod catalogue;

use sqlx_core::pool::Pool;
use sqlx_sqlite::Sqlite;

use crate::sql::dialect::Dialect;
use crate::watched::driver::executors;
use crate::watched::handle::Watch;

executors!(Sqlite, catalogue::read);

impl Watch for Pool<Sqlite> {
    const DIALECT: Dialect = Dialect::Sqlite;
}
