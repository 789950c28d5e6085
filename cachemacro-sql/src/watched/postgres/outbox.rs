//! The outbox of a PostgreSQL database, 13 or later.
//!
//! Triggers are pulled once a statement, and see its rows as tables: up to 64 keys are noted, in one row of the outbox. A function for each
//! table, so that its statements are planned once.

use std::fmt::Write as _;

use futures_core::future::BoxFuture;
use sqlx_core::connection::Connection as _;
use sqlx_core::error::{Error, Result};
use sqlx_core::pool::Pool;
use sqlx_core::query::query;
use sqlx_core::query_as::query_as;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_postgres::{PgConnection, PgListener, Postgres};

use crate::sql::footprint::MOST_ROWS;
use crate::watched::outbox::store::{Looked, Store};
use crate::watched::outbox::table::{Planned, digest, literal, quoted};

/// Its ids come from no sequence: what a session asks of `lastval()` after its own insert stays what it was, and a table that is made anew
/// gives none that was given before. Functions write it with their definer's rights, so that whoever may write a table needs none here. What
/// is in it can be read: nobody who is allowed to insert can make a drainer stumble, or evict what is not of this database.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS public.cachemacro_outbox (
    id uuid PRIMARY KEY DEFAULT pg_catalog.gen_random_uuid(),
    tab text NOT NULL CHECK (octet_length(tab) <= 1024),
    keys text[] CHECK (array_ndims(keys) = 1 AND array_lower(keys, 1) = 1 AND cardinality(keys) <= 64
        AND array_position(keys, NULL) IS NULL AND octet_length(array_to_string(keys, '')) <= 65536),
    at timestamptz NOT NULL DEFAULT clock_timestamp()
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 1000);
REVOKE ALL ON public.cachemacro_outbox FROM PUBLIC;
";

/// So many bytes of keys are noted for a statement; of more, any.
const MOST_BYTES: usize = 65_536;

/// The channel by which triggers wake, where they are asked to.
const CHANNEL: &str = "cachemacro_outbox";

/// The outbox that a pool reads.
pub(super) struct Notes {
    pool: Pool<Postgres>,
    /// What is to be there, side by side: a table, one of its triggers, and a name by which it goes in tags.
    paths: Vec<String>,
    triggers: Vec<String>,
    tags: Vec<String>,
    /// Some of the triggers wake.
    wakes: bool,
    /// By which they do, once it could be had.
    listener: tokio::sync::Mutex<Option<PgListener>>,
}

impl Notes {
    /// With the triggers on these tables.
    #[expect(clippy::unnecessary_wraps, reason = "of other databases there may be none")]
    pub(super) fn new(pool: Pool<Postgres>, tables: &[Planned]) -> Result<Self> {
        let (mut paths, mut names, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        for table in tables {
            for name in triggers(table).names {
                for (tag, _) in &table.tags {
                    paths.push(path(table));
                    names.push(name.clone());
                    tags.push(tag.clone());
                }
            }
        }
        let wakes = tables.iter().any(|table| table.notifies);
        Ok(Self { pool, paths, triggers: names, tags, wakes, listener: tokio::sync::Mutex::default() })
    }
}

/// In one snapshot: the rows, and the tables on which triggers are missing or switched off, or that have a part without.
const LOOK: &str = "
    SELECT o.id::text, o.tab, o.keys, EXTRACT(epoch FROM clock_timestamp() - o.at)::float8
    FROM (SELECT * FROM public.cachemacro_outbox LIMIT $1) o
    UNION ALL
    SELECT NULL, w.tag, NULL, NULL FROM unnest($2::text[], $3::text[], $4::text[]) AS w (path, name, tag)
    WHERE NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t
            WHERE t.tgrelid = to_regclass(w.path) AND t.tgname = w.name AND t.tgenabled IN ('O', 'A'))
        OR EXISTS (SELECT 1 FROM pg_catalog.pg_inherits i JOIN pg_catalog.pg_class p ON p.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(w.path) AND p.relkind IN ('r', 'p')
              AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_trigger t
                  WHERE t.tgrelid = i.inhrelid AND t.tgname LIKE 'cachemacro\\_%'))";

/// A row of it, and its age; without an id, a table.
type Row = (Option<String>, String, Option<Vec<String>>, Option<f64>);

impl Store for Notes {
    fn look(&self, most: usize) -> BoxFuture<'_, Result<Looked>> {
        Box::pin(async move {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let look = query_as::<Postgres, Row>(LOOK).bind(most);
            let look = look.bind(&self.paths).bind(&self.triggers).bind(&self.tags);
            let mut looked = Looked::default();
            for (id, table, keys, age) in look.fetch_all(&self.pool).await? {
                looked.add(id, table, keys, age);
            }
            Ok(looked)
        })
    }

    fn delete(&self, ids: Vec<String>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            let sql = "DELETE FROM public.cachemacro_outbox WHERE id = ANY ($1::text[]::uuid[])";
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

    fn woken(&self) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            if !self.wakes {
                return std::future::pending().await;
            }
            let mut listener = self.listener.lock().await;
            if listener.is_none() {
                // Where it cannot be had, whoever waits asks at its own pace.
                let Ok(mut new) = PgListener::connect_with(&self.pool).await else {
                    return std::future::pending().await;
                };
                if new.listen(CHANNEL).await.is_err() {
                    return std::future::pending().await;
                }
                *listener = Some(new);
                // What was told before.
                return;
            }
            if let Some(told) = listener.as_mut()
                && told.recv().await.is_err()
            {
                *listener = None;
                drop(listener);
                std::future::pending::<()>().await;
            }
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
    // Of types that somebody made, what their casts do is code of that somebody, which is not to run with the definer's rights. What such a
    // type prints may differ from its text by a blank at the end, or where it stands for a truth: then it is any.
    let keys = |from: &str| {
        match &table.key {
        Some(key) => format!(
            "SELECT CASE WHEN pg_typeof(r.{0})::oid < 16384 THEN r.{0}::text
                ELSE (SELECT t FROM format('%s', r.{0}) AS t WHERE t NOT IN ('', 't', 'f') AND t NOT LIKE '% ') END
                FROM {from} r LIMIT {most}",
            quoted(key)
        ),
        None => format!("SELECT NULL::text FROM {from} r LIMIT 1"),
    }
    };
    let (new, old) = (keys("cachemacro_new"), keys("cachemacro_old"));
    let rows = 2 * MOST_ROWS;
    let notify =
        if table.notifies { format!("    PERFORM pg_notify('{CHANNEL}', '');\n") } else { String::new() };
    let body = format!(
        "DECLARE changed text[];
BEGIN
    -- A key column that has another name by now, or a value that cannot be printed, makes no write fail.
    BEGIN
        IF TG_OP = 'INSERT' THEN changed := ARRAY({new});
        ELSIF TG_OP = 'DELETE' THEN changed := ARRAY({old});
        ELSIF TG_OP = 'UPDATE' THEN
            changed := ARRAY(({old}) UNION ALL ({new}));
            IF cardinality(changed) > {rows} THEN changed := NULL;
            ELSE changed := ARRAY(SELECT DISTINCT unnest(changed)); END IF;
        END IF;
    EXCEPTION WHEN OTHERS THEN changed := NULL;
    END;
    IF cardinality(changed) = 0 THEN RETURN NULL; END IF;
    IF cardinality(changed) > {MOST_ROWS} OR array_position(changed, NULL) IS NOT NULL
        OR octet_length(array_to_string(changed, '')) > {MOST_BYTES} THEN changed := NULL; END IF;
    INSERT INTO public.cachemacro_outbox (tab, keys) VALUES {};
{notify}    RETURN NULL;
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
        "CREATE OR REPLACE FUNCTION public.{function}() RETURNS trigger LANGUAGE plpgsql \
         SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS {quote}\n{body}\n{quote};
REVOKE ALL ON FUNCTION public.{function}() FROM PUBLIC;\n"
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
    may_note(&mut transaction).await?;
    raw_sql(AssertSqlSafe(missing.concat())).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// # Errors
/// Where the outbox is another role's, who has not granted that functions of this one write it: each write of a table would fail.
async fn may_note(connection: &mut PgConnection) -> Result<()> {
    let sql = "SELECT to_regclass('public.cachemacro_outbox') IS NULL
               OR COALESCE(has_table_privilege(to_regclass('public.cachemacro_outbox'), 'INSERT'), true)";
    let (may,): (bool,) = query_as::<Postgres, _>(sql).fetch_one(connection).await?;
    if may {
        return Ok(());
    }
    Err(Error::Configuration(
        "the outbox is another role's: `GRANT SELECT, INSERT, DELETE ON public.cachemacro_outbox TO …` is that role's to say".into(),
    ))
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
            notifies: false,
        };
        let sql = triggers(&table).sql;
        assert_eq!(sql.matches("$cachemacro_2$").count(), 2, "{sql}");
        assert_eq!(delimiter("BEGIN END"), "$cachemacro$");
    }
}
