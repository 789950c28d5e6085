//! Statements on PostgreSQL.

mod catalogue;
mod outbox;

use std::sync::Arc;

use futures_core::future::BoxFuture;
use sqlx_core::error::Result;
use sqlx_core::pool::Pool;
use sqlx_postgres::Postgres;

use crate::sql::catalogue::Catalogue;
use crate::sql::dialect::Dialect;
use crate::watched::driver::executors;
use crate::watched::handle::Watch;
use crate::watched::outbox::store::Store;
use crate::watched::outbox::table::Planned;

executors!(Postgres);

impl Watch for Pool<Postgres> {
    const DIALECT: Dialect = Dialect::Postgres;

    fn catalogue(&self) -> BoxFuture<'_, Result<Catalogue>> {
        Box::pin(async { catalogue::read(&mut *self.acquire().await?).await })
    }

    fn outbox(&self, tables: &[Planned]) -> Result<Arc<dyn Store>> {
        Ok(Arc::new(outbox::Notes::new(self.clone(), tables)))
    }

    fn has_column<'a>(&'a self, table: &'a Planned, column: &'a str) -> BoxFuture<'a, Result<bool>> {
        Box::pin(async move { outbox::has_column(&mut *self.acquire().await?, table, column).await })
    }

    fn migration<'a>(&'a self, tables: &'a [Planned]) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async { outbox::migration(&mut *self.acquire().await?, tables).await })
    }

    fn define<'a>(&'a self, tables: &'a [Planned]) -> BoxFuture<'a, Result<()>> {
        Box::pin(async { outbox::define(&mut *self.acquire().await?, tables).await })
    }

    fn gaps<'a>(&'a self, tables: &'a [Planned]) -> BoxFuture<'a, Result<Vec<String>>> {
        Box::pin(async { outbox::gaps(&mut *self.acquire().await?, tables).await })
    }
}
