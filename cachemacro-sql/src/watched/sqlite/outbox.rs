//! The outbox of a SQLite database.
//!
//! Triggers are pulled by each row. The first 64 of a table are noted by their key, and all others together: a row without a key takes the
//! place of the one before, under a new id, so that a drainer that has read that one does not delete this.

use std::fmt::Write as _;

use futures_core::future::BoxFuture;
use sqlx_core::connection::Connection as _;
use sqlx_core::error::{Error, Result};
use sqlx_core::pool::Pool;
use sqlx_core::query::query;
use sqlx_core::query_as::query_as;
use sqlx_core::raw_sql::raw_sql;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_sqlite::{Sqlite, SqliteConnection};

use crate::sql::footprint::MOST_ROWS;
use crate::watched::outbox::store::{Looked, Store};
use crate::watched::outbox::table::{Planned, digest, literal, quoted};

/// Its ids are random: a table that is made anew gives none that was given before.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS main.cachemacro_outbox (
    id TEXT PRIMARY KEY NOT NULL DEFAULT (lower(hex(randomblob(16)))) CHECK (length(id) = 32 AND id NOT GLOB '*[^0-9a-f]*'),
    tab TEXT NOT NULL,
    key TEXT,
    at REAL NOT NULL DEFAULT (julianday('now'))
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS main.cachemacro_outbox_tab ON cachemacro_outbox (tab, key);
";

/// Keys of more bytes than this are noted as any.
const MOST_BYTES: usize = 1_024;

/// The outbox that a pool reads.
pub(super) struct Notes {
    pool: Pool<Sqlite>,
    /// The statement that looks.
    look: String,
}

impl Notes {
    /// With the triggers on these tables.
    pub(super) fn new(pool: Pool<Sqlite>, tables: &[Planned]) -> Result<Self> {
        let mut wanted = Vec::new();
        for table in tables {
            for trigger in triggers(table)? {
                wanted.extend(
                    table
                        .tags
                        .iter()
                        .map(|(tag, _)| format!("({}, {})", literal(&trigger.name), literal(tag))),
                );
            }
        }
        let mut look = "SELECT id, tab, key, (julianday('now') - at) * 86400.0
            FROM (SELECT * FROM main.cachemacro_outbox LIMIT ?1)"
            .to_owned();
        if !wanted.is_empty() {
            let _ = write!(
                look,
                " UNION ALL SELECT NULL, w.column2, NULL, NULL FROM (VALUES {}) AS w
                 WHERE w.column1 NOT IN (SELECT name FROM main.sqlite_master WHERE type = 'trigger')",
                wanted.join(", ")
            );
        }
        Ok(Self { pool, look })
    }
}

/// A row, and its age; without an id, a table that triggers do not see.
type Row = (Option<String>, String, Option<String>, Option<f64>);

impl Store for Notes {
    fn look(&self, most: usize) -> BoxFuture<'_, Result<Looked>> {
        Box::pin(async move {
            let most = i64::try_from(most).unwrap_or(i64::MAX);
            let look = query_as::<Sqlite, Row>(AssertSqlSafe(self.look.clone())).bind(most);
            let mut looked = Looked::default();
            for (id, table, key, age) in look.fetch_all(&self.pool).await? {
                looked.add(id, table, key.map(|key| vec![key]), age);
            }
            Ok(looked)
        })
    }

    fn delete(&self, ids: Vec<String>) -> BoxFuture<'_, Result<()>> {
        Box::pin(async move {
            // They are hexadecimal digits.
            let list = format!("[\"{}\"]", ids.join("\",\""));
            let sql = "DELETE FROM main.cachemacro_outbox WHERE id IN (SELECT value FROM json_each(?))";
            query::<Sqlite>(sql).bind(list).execute(&self.pool).await.map(drop)
        })
    }

    fn waiting(&self) -> BoxFuture<'_, Result<(i64, f64)>> {
        Box::pin(async move {
            let sql = "SELECT COUNT(*), COALESCE((julianday('now') - MIN(at)) * 86400.0, 0.0) FROM main.cachemacro_outbox";
            query_as::<Sqlite, _>(sql).fetch_one(&self.pool).await
        })
    }

    fn woken(&self) -> BoxFuture<'_, ()> {
        Box::pin(std::future::pending())
    }

    fn is_closed(&self) -> bool {
        self.pool.is_closed()
    }
}

/// A trigger that is to be there.
struct Wanted {
    name: String,
    sql: String,
}

/// The triggers of a table.
fn triggers(table: &Planned) -> Result<Vec<Wanted>> {
    if table.schema.is_some() {
        return Err(Error::Configuration(
            "triggers of an attached database cannot write into another".into(),
        ));
    }
    if table.notifies {
        return Err(Error::Configuration("SQLite has no NOTIFY".into()));
    }
    let on = quoted(&table.name);
    let note = |row: &str| {
        table.tags.iter().fold(String::new(), |mut body, (tag, is_keyed)| {
            let tag = literal(tag);
            let noted = format!(
                "(SELECT COUNT(*) FROM (SELECT 1 FROM cachemacro_outbox WHERE tab = {tag} AND key IS NOT NULL LIMIT {MOST_ROWS}))"
            );
            let key = match &table.key {
                Some(key) if *is_keyed => {
                    let key = format!("{row}.{}", quoted(key));
                    format!(
                        "CASE WHEN {noted} < {MOST_ROWS} AND length(CAST({key} AS BLOB)) <= {MOST_BYTES} THEN CAST({key} AS TEXT) END"
                    )
                }
                _ => "NULL".to_owned(),
            };
            let _ = write!(
                body,
                "DELETE FROM cachemacro_outbox WHERE tab = {tag} AND key IS NULL AND ({key}) IS NULL; \
                 INSERT INTO cachemacro_outbox (tab, key) SELECT {tag}, {key}; "
            );
            body
        })
    };
    let old = note("OLD");
    let new = note("NEW");
    let moved = match &table.key {
        Some(key) => format!("OLD.{0} IS NOT NEW.{0}", quoted(key)),
        None => "0".to_owned(),
    };
    let events = [
        ("insert", "INSERT", String::new(), &new),
        ("update", "UPDATE", String::new(), &new),
        // The row that was there under another key.
        ("move", "UPDATE", format!("WHEN {moved} "), &old),
        ("delete", "DELETE", String::new(), &old),
    ];
    let wanted = |(kind, event, when, body): (&str, &str, String, &String)| {
        let rest = format!("AFTER {event} ON {on} {when}BEGIN {body}END");
        let name = format!("cachemacro_{kind}_{}", digest(&rest));
        Wanted { sql: format!("CREATE TRIGGER {name} {rest}"), name }
    };
    Ok(events.into_iter().map(wanted).collect())
}

/// What is missing, as statements.
pub(super) async fn migration(connection: &mut SqliteConnection, tables: &[Planned]) -> Result<Vec<String>> {
    let mut missing = Vec::new();
    let own = "SELECT name, tbl_name FROM main.sqlite_master WHERE name LIKE 'cachemacro\\_%' ESCAPE '\\'";
    let own: Vec<(String, String)> = query_as::<Sqlite, _>(own).fetch_all(&mut *connection).await?;
    if !own.iter().any(|(name, _)| name == "cachemacro_outbox") {
        missing.push(TABLE.to_owned());
    }
    for table in tables {
        let wanted = triggers(table)?;
        let is_of_table = |of: &String| of.eq_ignore_ascii_case(&table.name);
        for (name, _) in own.iter().filter(|(_, of)| is_of_table(of)) {
            if wanted.iter().all(|wanted| wanted.name != *name) {
                missing.push(format!("DROP TRIGGER IF EXISTS main.{};\n", quoted(name)));
            }
        }
        let is_missing = |wanted: &Wanted| own.iter().all(|(name, _)| *name != wanted.name);
        missing.extend(wanted.into_iter().filter(is_missing).map(|wanted| format!("{};\n", wanted.sql)));
    }
    Ok(missing)
}

/// Whether a table has this column.
pub(super) async fn has_column(
    connection: &mut SqliteConnection,
    table: &Planned,
    column: &str,
) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM pragma_table_xinfo(?1, ?2) WHERE name = ?3 COLLATE NOCASE)";
    let schema = table.schema.as_deref().unwrap_or("main");
    let has = query_as::<Sqlite, (bool,)>(sql).bind(&table.name).bind(schema).bind(column);
    Ok(has.fetch_one(connection).await?.0)
}

/// Defines what is missing.
pub(super) async fn define(connection: &mut SqliteConnection, tables: &[Planned]) -> Result<()> {
    if migration(connection, tables).await?.is_empty() {
        return Ok(());
    }
    // Another process may be about to do the same.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    let missing = migration(&mut transaction, tables).await?;
    raw_sql(AssertSqlSafe(missing.concat())).execute(&mut *transaction).await?;
    transaction.commit().await
}

/// What the triggers do not see.
pub(super) async fn gaps(connection: &mut SqliteConnection, tables: &[Planned]) -> Result<Vec<String>> {
    let mut gaps = Vec::new();
    for Planned { name, .. } in tables {
        let sql = "SELECT COUNT(*) FROM pragma_index_list(?1) WHERE \"unique\" AND origin <> 'pk'";
        let (others,): (i64,) = query_as::<Sqlite, _>(sql).bind(name).fetch_one(&mut *connection).await?;
        if others > 0 {
            gaps.push(format!(
                "{name}: rows that REPLACE removes since they are equal by another unique key, in connections without \
                 `PRAGMA recursive_triggers = ON`"
            ));
        }
    }
    Ok(gaps)
}
