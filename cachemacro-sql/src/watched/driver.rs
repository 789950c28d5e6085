//! Statements through a watched pool, and in its transactions: the same for each driver, and by a macro, since no trait says for all of
//! them that connections run statements.

use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, future, stream};
use sqlx_core::Either;
use sqlx_core::database::Database;
use sqlx_core::error::{Error, Result};

/// What a statement answers: rows, or how many it has changed.
pub(crate) type Steps<'e, DB> =
    BoxStream<'e, Result<Either<<DB as Database>::QueryResult, <DB as Database>::Row>>>;

/// The answer to something else.
pub(crate) type Future<'e, T> = BoxFuture<'e, Result<T>>;

/// A stream that is this error.
pub(crate) fn refused<T: Send + 'static>(error: Error) -> BoxStream<'static, Result<T>> {
    stream::once(future::ready(Err(error))).boxed()
}

/// The first row of an answer, once all of it is there.
pub(crate) async fn first<DB: Database>(mut steps: Steps<'_, DB>) -> Result<Option<DB::Row>> {
    let mut first = None;
    while let Some(step) = steps.next().await {
        if let Either::Right(row) = step? {
            first.get_or_insert(row);
        }
    }
    Ok(first)
}

/// Runs statements on this database through [`Watched`](crate::Watched) and [`WatchedTransaction`](crate::WatchedTransaction).
macro_rules! executors {
    ($database:ty) => {

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
                    let noted = watched.note(told.text()).await;
                    let steps = (&watched.pool).fetch_many(told);
                    $crate::watched::after::Watching::new(steps, noted.after, noted.seen)
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
                    let noted = watched.note(told.text()).await;
                    if noted.after.is_none() {
                        let row = (&watched.pool).fetch_optional(told).await;
                        drop(noted);
                        return row;
                    }
                    // To its end: a database may commit behind the row. So also where nobody waits for it any more.
                    let steps = (&watched.pool).fetch_many(told);
                    $crate::watched::driver::first::<$database>(
                        $crate::watched::after::Watching::new(steps, noted.after, noted.seen).boxed(),
                    )
                    .await
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
                    let after = $crate::watched::noting::noted_within(self, told.text()).await;
                    let steps = self.inner.connection().fetch_many(told);
                    match after {
                        Some(after) => $crate::watched::after::ended(steps, after).await,
                        None => steps,
                    }
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
                    let after = $crate::watched::noting::noted_within(self, told.text()).await;
                    let Some(after) = after else {
                        return self.inner.connection().fetch_optional(told).await;
                    };
                    let steps = self.inner.connection().fetch_many(told);
                    $crate::watched::driver::first::<$database>($crate::watched::after::ended(steps, after).await).await
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
                self.inner.connection().prepare_with(sql, parameters)
            }

            fn describe<'e>(
                self,
                sql: sqlx_core::sql_str::SqlStr,
            ) -> $crate::watched::driver::Future<'e, sqlx_core::describe::Describe<$database>>
            where
                't: 'e,
            {
                self.inner.connection().describe(sql)
            }
        }
    };
}

/// Watches pools of this database, by the modules `catalogue` and `outbox` beside where it is used.
macro_rules! watches {
    ($database:ty, $dialect:expr) => {
        impl $crate::watched::handle::Watch for sqlx_core::pool::Pool<$database> {
            const DIALECT: $crate::sql::dialect::Dialect = $dialect;

            fn catalogue(&self) -> $crate::watched::driver::Future<'_, $crate::sql::catalogue::Catalogue> {
                Box::pin(async { catalogue::read(&mut *self.acquire().await?).await })
            }

            fn outbox(
                &self,
                tables: &[$crate::watched::outbox::table::Planned],
            ) -> sqlx_core::error::Result<std::sync::Arc<dyn $crate::watched::outbox::store::Store>> {
                Ok(std::sync::Arc::new(outbox::Notes::new(self.clone(), tables)?))
            }

            fn has_column<'a>(
                &'a self,
                table: &'a $crate::watched::outbox::table::Planned,
                column: &'a str,
            ) -> $crate::watched::driver::Future<'a, bool> {
                Box::pin(async move { outbox::has_column(&mut *self.acquire().await?, table, column).await })
            }

            fn migration<'a>(
                &'a self,
                tables: &'a [$crate::watched::outbox::table::Planned],
            ) -> $crate::watched::driver::Future<'a, Vec<String>> {
                Box::pin(async { outbox::migration(&mut *self.acquire().await?, tables).await })
            }

            fn define<'a>(
                &'a self,
                tables: &'a [$crate::watched::outbox::table::Planned],
            ) -> $crate::watched::driver::Future<'a, ()> {
                Box::pin(async { outbox::define(&mut *self.acquire().await?, tables).await })
            }

            fn gaps<'a>(
                &'a self,
                tables: &'a [$crate::watched::outbox::table::Planned],
            ) -> $crate::watched::driver::Future<'a, Vec<String>> {
                Box::pin(async { outbox::gaps(&mut *self.acquire().await?, tables).await })
            }
        }
    };
}

pub(crate) use {executors, watches};
