//! Statements through a watched pool, and in its transactions: the same for each driver, and by a macro, since no trait says for all of
//! them that connections run statements.

use std::sync::Arc;

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, future, stream};
use sqlx_core::Either;
use sqlx_core::database::Database;
use sqlx_core::error::{Error, Result};

use crate::sql::footprint::Footprint;
use crate::sql::statements::Statements;
use crate::watched::after::After;
use crate::watched::shared::Shared;
use crate::watched::transaction::Written;

/// What a statement answers: rows, or how many it has changed.
pub(crate) type Steps<'e, DB> =
    BoxStream<'e, Result<Either<<DB as Database>::QueryResult, <DB as Database>::Row>>>;

/// The answer to something else.
pub(crate) type Future<'e, T> = BoxFuture<'e, Result<T>>;

/// What a statement does, as far as the catalogue could be read.
pub(crate) fn footprint(statements: Option<Arc<Statements>>, sql: &str) -> Arc<Footprint> {
    statements.map_or_else(|| Arc::new(Footprint::unknown()), |statements| statements.footprint(sql))
}

/// Notes a statement that is about to be run on a connection of its own; gives what is to be done after it.
pub(crate) fn noted(shared: &Arc<Shared>, footprint: &Footprint) -> Option<After> {
    shared.record(footprint);
    let acts = footprint.is_write() || footprint.changes_catalogue();
    acts.then(|| After::new(shared, shared.removals(footprint), footprint.changes_catalogue()))
}

/// Notes a statement that is about to be run in a transaction.
pub(crate) async fn noted_within(shared: &Shared, written: &mut Written, footprint: &Footprint) {
    // G1: its snapshot may be older than an evict.
    cachemacro::record_unknown();
    let removals = shared.removals(footprint);
    let cache = shared.cache();
    if cache.is_collecting() && !removals.is_empty() {
        // Nothing is sent. From now on the task's cached calls know that it has written.
        let _ = cache.apply(&removals).await;
    }
    written.add(removals, footprint);
}

/// A stream that is this error.
pub(crate) fn refused<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    stream::once(future::ready(Err(error))).boxed()
}

/// Runs statements on this database through [`Watched`](crate::Watched) and [`WatchedTransaction`](crate::WatchedTransaction);
/// `$read` reads the catalogue.
macro_rules! executors {
    ($database:ty, $read:path) => {
        impl $crate::watched::handle::Watched<sqlx_core::pool::Pool<$database>> {
            /// Notes a statement that is about to be run; gives what is to be done after it.
            async fn note(&self, sql: &str) -> Option<$crate::watched::after::After> {
                let read = async { $read(&mut *self.pool.acquire().await?).await };
                let footprint = $crate::watched::driver::footprint(self.shared.statements(read).await, sql);
                $crate::watched::driver::noted(&self.shared, &footprint)
            }
        }

        impl<'p> sqlx_core::executor::Executor<'p>
            for &'p $crate::watched::handle::Watched<sqlx_core::pool::Pool<$database>>
        {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> $crate::watched::driver::Steps<'e, $database>
            where
                'p: 'e,
                E: 'q + sqlx_core::executor::Execute<'q, $database>,
            {
                use futures_util::StreamExt as _;

                let told = match $crate::watched::told::Told::of(query) {
                    Ok(told) => told,
                    Err(error) => return $crate::watched::driver::refused(error),
                };
                let watched = self.clone();
                let begun = async move {
                    let after = watched.note(told.text()).await;
                    $crate::watched::after::Watching::new((&watched.pool).fetch_many(told), after)
                };
                futures_util::stream::once(begun).flatten().boxed()
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> $crate::watched::driver::Future<'e, Option<<$database as sqlx_core::database::Database>::Row>>
            where
                'p: 'e,
                E: 'q + sqlx_core::executor::Execute<'q, $database>,
            {
                use futures_util::StreamExt as _;

                let told = $crate::watched::told::Told::of(query);
                let watched = self.clone();
                Box::pin(async move {
                    let told = told?;
                    let after = watched.note(told.text()).await;
                    if after.is_none() {
                        return (&watched.pool).fetch_optional(told).await;
                    }
                    // To its end: a database may commit behind the row. So also where nobody waits for it any more.
                    let mut steps =
                        $crate::watched::after::Watching::new((&watched.pool).fetch_many(told), after);
                    let mut first = None;
                    while let Some(step) = steps.next().await {
                        if let sqlx_core::Either::Right(row) = step? {
                            first.get_or_insert(row);
                        }
                    }
                    Ok(first)
                })
            }

            fn prepare_with<'e>(
                self,
                sql: sqlx_core::sql_str::SqlStr,
                parameters: &'e [<$database as sqlx_core::database::Database>::TypeInfo],
            ) -> $crate::watched::driver::Future<'e, <$database as sqlx_core::database::Database>::Statement>
            where
                'p: 'e,
            {
                (&self.pool).prepare_with(sql, parameters)
            }

            fn describe<'e>(
                self,
                sql: sqlx_core::sql_str::SqlStr,
            ) -> $crate::watched::driver::Future<'e, sqlx_core::describe::Describe<$database>>
            where
                'p: 'e,
            {
                (&self.pool).describe(sql)
            }
        }

        impl $crate::watched::transaction::WatchedTransaction<'_, $database> {
            /// Notes a statement that is about to be run.
            async fn note(&mut self, sql: &str) {
                let statements = self.shared.statements($read(&mut *self.inner)).await;
                let footprint = $crate::watched::driver::footprint(statements, sql);
                $crate::watched::driver::noted_within(&self.shared, &mut self.written, &footprint).await;
            }
        }

        impl<'t> sqlx_core::executor::Executor<'t>
            for &'t mut $crate::watched::transaction::WatchedTransaction<'_, $database>
        {
            type Database = $database;

            fn fetch_many<'e, 'q: 'e, E>(self, query: E) -> $crate::watched::driver::Steps<'e, $database>
            where
                't: 'e,
                E: 'q + sqlx_core::executor::Execute<'q, $database>,
            {
                use futures_util::StreamExt as _;

                let told = match $crate::watched::told::Told::of(query) {
                    Ok(told) => told,
                    Err(error) => return $crate::watched::driver::refused(error),
                };
                let begun = async move {
                    self.note(told.text()).await;
                    (&mut *self.inner).fetch_many(told)
                };
                futures_util::stream::once(begun).flatten().boxed()
            }

            fn fetch_optional<'e, 'q: 'e, E>(
                self,
                query: E,
            ) -> $crate::watched::driver::Future<'e, Option<<$database as sqlx_core::database::Database>::Row>>
            where
                't: 'e,
                E: 'q + sqlx_core::executor::Execute<'q, $database>,
            {
                let told = $crate::watched::told::Told::of(query);
                Box::pin(async move {
                    let told = told?;
                    self.note(told.text()).await;
                    (&mut *self.inner).fetch_optional(told).await
                })
            }

            fn prepare_with<'e>(
                self,
                sql: sqlx_core::sql_str::SqlStr,
                parameters: &'e [<$database as sqlx_core::database::Database>::TypeInfo],
            ) -> $crate::watched::driver::Future<'e, <$database as sqlx_core::database::Database>::Statement>
            where
                't: 'e,
            {
                (&mut *self.inner).prepare_with(sql, parameters)
            }

            fn describe<'e>(
                self,
                sql: sqlx_core::sql_str::SqlStr,
            ) -> $crate::watched::driver::Future<'e, sqlx_core::describe::Describe<$database>>
            where
                't: 'e,
            {
                (&mut *self.inner).describe(sql)
            }
        }
    };
}

pub(crate) use executors;
