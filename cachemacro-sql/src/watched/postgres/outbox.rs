//! The outbox of a PostgreSQL database, 13 or later.
//!
//! Triggers are pulled once a statement, and see its rows as tables: up to 64 keys are noted, in one row of the outbox. A function for each
//! table, so that its statements are planned once.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use futures_core::future::BoxFuture;
use sqlx_core::connection::Connection as _;
use sqlx_core::error::Result;
use sqlx_core::pool::Pool;
use sqlx_core::query::query;
use sqlx_core::query_as::query_as;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::{PgConnection, Postgres};

use crate::sql::footprint::MOST_ROWS;
use crate::watched::outbox::store::{Noted, Store};
use crate::watched::outbox::table::{Planned, digest, literal, quoted};

/// Whoever may write a table may note that.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS public.cachemacro_outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    tab text NOT NULL,
    keys text[],
    at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
GRANT INSERT ON public.cachemacro_outbox TO PUBLIC;
";

/// The outbox that a pool reads.
pub(super) struct Notes {
    pool: Pool<Postgres>,
    /// What is to be there.
    wanted: Vec<(Planned, Vec<String>)>,
}

impl Notes {
    /// With the triggers on these tables.
    pub(super) fn new(pool: Pool<Postgres>, tables: &[Planned]) -> Self {
        let wanted = tables.iter().map(|table| (table.clone(), triggers(table).names));
        Self { pool, wanted: wanted.collect() }
    }
}

/// Schema and name of tables with our triggers that have a part without.
const PARTS_WITHOUT: &str = "
    SELECT DISTINCT n.nspname::text, c.relname::text
    FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class c ON c.oid = i.inhparent JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = i.inhparent AND t.tgname LIKE 'cachemacro\\_%')
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t WHERE t.tgrelid = i.inhrelid AND t.tgname LIKE 'cachemacro\\_%')
      AND EXISTS (SELECT 1 FROM pg_catalog.pg_class p WHERE p.oid = i.inhrelid AND p.relkind IN ('r', 'p'))";

/// A row of it.
type Row = (i64, String, Option<Vec<String>>);

impl Store for Notes {
    fn read(&self, most: usize) -> BoxFuture<'_, Result<Vec<Noted>>> {
        Box::pin(async move {
            let sql = "SELECT id, tab, keys FROM public.cachemacro_outbox ORDER BY id LIMIT $1";
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let rows: Vec<Row> = query_as::<Postgres, _>(sql).bind(most).fetch_all(&self.pool).await?;
            Ok(rows.into_iter().map(|(id, table, keys)| Noted { id, table, keys }).collect())
        })
    }

    fn unseen(&self) -> BoxFuture<'_, Result<BTreeSet<String>>> {
        Box::pin(async move {
            let own: Vec<Own> = query_as::<Postgres, _>(OWN).fetch_all(&self.pool).await?;
            let without: Vec<(String, String)> =
                query_as::<Postgres, _>(PARTS_WITHOUT).fetch_all(&self.pool).await?;
            let is_unseen = |table: &Planned, names: &[String]| {
                let is_on = |name: &String| {
                    own.iter().any(|own| is_of(table, own) && own.2 == *name && is_switched_on(own))
                };
                let schema = table.schema.as_deref().unwrap_or("public");
                !names.iter().all(is_on)
                    || without.iter().any(|part| part.0 == schema && part.1 == table.name)
            };
            let unseen = self.wanted.iter().filter(|(table, names)| is_unseen(table, names));
            Ok(unseen.flat_map(|(table, _)| table.tags.iter().map(|(tag, _)| tag.clone())).collect())
        })
    }

    fn delete(&self, ids: Vec<i64>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let sql = "DELETE FROM public.cachemacro_outbox WHERE id = ANY ($1)";
            query::<Postgres>(sql).bind(ids).execute(&self.pool).await.map(drop)
        })
    }

    fn waiting(&self) -> BoxFuture<'_, Result<(i64, f64)>> {
        Box::pin(async move {
            let sql = "SELECT COUNT(*), COALESCE(EXTRACT(epoch FROM clock_timestamp() - MIN(at)), 0)::float8
                       FROM public.cachemacro_outbox";
            query_as::<Postgres, _>(sql).fetch_one(&self.pool).await
        })
    }

    fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }
}

/// A trigger that is to be there, with its function.
struct Wanted {
    function: String,
    names: Vec<String>,
    sql: String,
}

/// `schema.table`, quoted.
fn path(table: &Planned) -> String {
    format!("{}.{}", quoted(table.schema.as_deref().unwrap_or("public")), quoted(&table.name))
}

/// Between which a body may stand: it is not in there.
fn delimiter(body: &str) -> String {
    let mut delimiter = "$cachemacro$".to_owned();
    let mut number = 0_u32;
    while body.contains(&delimiter) {
        number += 1;
        delimiter = format!("$cachemacro_{number}$");
    }
    delimiter
}

/// The triggers of a table.
fn triggers(table: &Planned) -> Wanted {
    let tags: Vec<String> = table
        .tags
        .iter()
        .map(|(tag, is_keyed)| format!("({}, {})", literal(tag), if *is_keyed { "changed" } else { "NULL" }))
        .collect();
    let most = MOST_ROWS + 1;
    let keys = |from: &str| match &table.key {
        Some(key) => format!("SELECT r.{}::text FROM {from} r LIMIT {most}", quoted(key)),
        None => format!("SELECT NULL::text FROM {from} r LIMIT 1"),
    };
    let (new, old) = (keys("cachemacro_new"), keys("cachemacro_old"));
    let body = format!(
        "DECLARE changed text[];
BEGIN
    IF TG_OP = 'INSERT' THEN changed := ARRAY({new});
    ELSIF TG_OP = 'DELETE' THEN changed := ARRAY({old});
    ELSIF TG_OP = 'UPDATE' THEN changed := ARRAY(({old}) UNION ({new}));
    END IF;
    IF cardinality(changed) = 0 THEN RETURN NULL; END IF;
    IF cardinality(changed) > {MOST_ROWS} OR array_position(changed, NULL) IS NOT NULL THEN changed := NULL; END IF;
    INSERT INTO public.cachemacro_outbox (tab, keys) VALUES {};
    RETURN NULL;
END",
        tags.join(", ")
    );
    let (on, digest) = (path(table), digest(&format!("{}{body}", path(table))));
    let function = format!("cachemacro_note_{digest}");
    let events = [
        ("insert", "INSERT", "REFERENCING NEW TABLE AS cachemacro_new "),
        ("update", "UPDATE", "REFERENCING OLD TABLE AS cachemacro_old NEW TABLE AS cachemacro_new "),
        ("delete", "DELETE", "REFERENCING OLD TABLE AS cachemacro_old "),
        ("truncate", "TRUNCATE", ""),
    ];
    let quote = delimiter(&body);
    let mut sql = format!(
        "CREATE OR REPLACE FUNCTION public.{function}() RETURNS trigger LANGUAGE plpgsql AS {quote}\n{body}\n{quote};\n"
    );
    let mut names = Vec::new();
    for (kind, event, rows) in events {
        let name = format!("cachemacro_{kind}_{digest}");
        let _ = writeln!(
            sql,
            "CREATE TRIGGER {name} AFTER {event} ON {on} {rows}FOR EACH STATEMENT EXECUTE FUNCTION public.{function}();"
        );
        names.push(name);
    }
    Wanted { function, names, sql }
}

/// Schema, table, name and state of our triggers, with their functions.
const OWN: &str = "
    SELECT n.nspname::text, c.relname::text, t.tgname::text, t.tgenabled::text, p.proname::text
    FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
    WHERE NOT t.tgisinternal AND t.tgname LIKE 'cachemacro\\_%'";

type Own = (String, String, String, String, String);

async fn own(connection: &mut PgConnection) -> Result<Vec<Own>> {
    query_as::<Postgres, _>(OWN).fetch_all(connection).await
}

/// Whether it runs for whoever is no replica.
fn is_switched_on(own: &Own) -> bool {
    ["O", "A"].contains(&own.3.as_str())
}

fn is_of(table: &Planned, own: &Own) -> bool {
    own.0 == table.schema.as_deref().unwrap_or("public") && own.1 == table.name
}

/// What is missing, as statements.
pub(super) async fn migration(connection: &mut PgConnection, tables: &[Planned]) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let is_there = "SELECT to_regclass('public.cachemacro_outbox') IS NOT NULL";
    let (is_there,): (bool,) = query_as::<Postgres, _>(is_there).fetch_one(&mut *connection).await?;
    if !is_there {
        missing.push(TABLE.to_owned());
    }
    let own = own(connection).await?;
    for table in tables {
        let wanted = triggers(table);
        let of_table: Vec<&Own> = own.iter().filter(|own| is_of(table, own)).collect();
        let is_known = |name: &String| of_table.iter().any(|own| own.2 == *name);
        if wanted.names.iter().all(is_known) {
            continue;
        }
        for (.., name, _, function) in of_table {
            missing.push(format!("DROP TRIGGER IF EXISTS {} ON {};\n", quoted(name), path(table)));
            if *function != wanted.function {
                missing.push(format!("DROP FUNCTION IF EXISTS public.{}() CASCADE;\n", quoted(function)));
            }
        }
        missing.push(wanted.sql);
    }
    Ok(missing)
}

/// Whether a table has this column.
pub(super) async fn has_column(connection: &mut PgConnection, table: &Planned, column: &str) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_attribute
               WHERE attrelid = to_regclass($1) AND attname = $2 AND attnum > 0 AND NOT attisdropped)";
    let has = query_as::<Postgres, (bool,)>(sql).bind(path(table)).bind(column);
    Ok(has.fetch_one(connection).await?.0)
}

/// Defines what is missing.
pub(super) async fn define(connection: &mut PgConnection, tables: &[Planned]) -> Result<()> {
    if migration(connection, tables).await?.is_empty() {
        return Ok(());
    }
    let mut transaction = connection.begin().await?;
    // Another process may be about to do the same.
    let lock = "SELECT pg_advisory_xact_lock(hashtext('cachemacro_outbox'))";
    query::<Postgres>(lock).execute(&mut *transaction).await?;
    let missing = migration(&mut transaction, tables).await?;
    raw_sql(AssertSqlSafe(missing.concat())).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// What the triggers do not see.
pub(super) async fn gaps(connection: &mut PgConnection, tables: &[Planned]) -> Result<Vec<String>> {
    let mut gaps = vec![
        "sessions with `session_replication_role = replica`, and what logical replication brings".to_owned(),
    ];
    let own = own(connection).await?;
    for table in tables {
        let off = own.iter().filter(|own| is_of(table, own) && !is_switched_on(own));
        gaps.extend(off.map(|own| format!("{}: its trigger {} is switched off", path(table), own.2)));
        let sql =
            "SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_partitioned_table WHERE partrelid = to_regclass($1))";
        let (is_partitioned,): (bool,) =
            query_as::<Postgres, _>(sql).bind(path(table)).fetch_one(&mut *connection).await?;
        if is_partitioned {
            gaps.push(format!(
                "{}: what is written by the name of a partition that is attached later, until this is installed again",
                path(table)
            ));
        }
    }
    Ok(gaps)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_quoted_by_what_is_not_in_it() {
        let table = Planned {
            schema: None,
            name: "a".to_owned(),
            key: Some("$cachemacro$; $cachemacro_1$".to_owned()),
            tags: vec![("a".to_owned(), true)],
        };
        let sql = triggers(&table).sql;
        assert_eq!(sql.matches("$cachemacro_2$").count(), 2, "{sql}");
        assert_eq!(delimiter("BEGIN END"), "$cachemacro$");
    }
}
