//! The catalogue of a SQLite database, read from it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx_core::error::Result;
use sqlx_core::query_as::query_as;
use sqlx_core::sql_str::AssertSqlSafe;
use sqlx_sqlite::{Sqlite, SqliteConnection};

use crate::sql::catalogue::{Catalogue, Effects, ForeignKey, KeyKind};
use crate::sql::dialect::Dialect;
use crate::sql::statements::{footprint_of, trigger_of};
use crate::watched::sqlite::definition::{Content, Definition};

/// Views of views are expanded so many levels deep.
const MOST_LEVELS: usize = 16;

/// A view or trigger: its name, its table, and its definition.
type Defined = (String, String, String);

/// What of a database needs the rest to be known first.
#[derive(Default)]
struct Definitions {
    views: Vec<Defined>,
    triggers: Vec<Defined>,
}

/// Columns of primary keys by table, each with its declared type.
type Keys = BTreeMap<String, Vec<(String, String)>>;

/// Reads what the database knows of itself.
pub(super) async fn read(connection: &mut SqliteConnection) -> Result<Catalogue> {
    let schemas: Vec<(String,)> = query_as("SELECT name FROM pragma_database_list WHERE name <> 'temp'")
        .fetch_all(&mut *connection)
        .await?;
    let (mut catalogue, mut definitions) = (Catalogue::new(Dialect::Sqlite), Definitions::default());
    for (schema,) in schemas {
        catalogue = tables(connection, &schema, catalogue, &mut definitions).await?;
    }
    Ok(triggers(views(catalogue, definitions.views), &definitions.triggers))
}

/// An identifier, quoted.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Adds the tables of one schema, with their keys.
async fn tables(
    connection: &mut SqliteConnection,
    schema: &str,
    mut catalogue: Catalogue,
    definitions: &mut Definitions,
) -> Result<Catalogue> {
    let master = format!("{}.sqlite_master", quoted(schema));
    // The triggers of the outbox note what changes, and change nothing else.
    let sql = format!(
        "SELECT type, name, tbl_name, COALESCE(sql, '') FROM {master} WHERE type <> 'index'
         AND NOT (type = 'trigger' AND name LIKE 'cachemacro\\_%' ESCAPE '\\')"
    );
    let all: Vec<(String, String, String, String)> =
        query_as::<Sqlite, _>(AssertSqlSafe(sql)).fetch_all(&mut *connection).await?;
    let mut collated = BTreeSet::new();
    let mut virtuals = Vec::new();
    for (kind, name, table, sql) in all {
        let (name, table) =
            (catalogue.canonical(Some(schema), &name), catalogue.canonical(Some(schema), &table));
        match kind.as_str() {
            "table" => {
                catalogue = catalogue.table(&name);
                let definition = Definition::of(&sql);
                if definition.replaces {
                    catalogue = catalogue.replacing(&name);
                }
                if definition.collates {
                    collated.insert(name.clone());
                }
                if let Some(content) = definition.is_virtual {
                    virtuals.push((name, content));
                }
            }
            "view" => {
                catalogue = catalogue.table(&name);
                definitions.views.push((name, table, sql));
            }
            _ => definitions.triggers.push((name, table, sql)),
        }
    }
    for (name, content) in virtuals {
        catalogue = match content {
            Content::Own(tables) => virtual_table(catalogue, schema, &name, &tables),
            // Who knows where its rows are from.
            Content::Unknown => catalogue.opaque(&name),
        };
    }
    // Columns, those of primary keys in their order, and whether they are made of others.
    let sql = format!(
        "SELECT m.name, p.name, p.type, p.pk, p.hidden IN (2, 3) FROM {master} AS m, pragma_table_xinfo(m.name, ?1) AS p
         WHERE m.type = 'table' ORDER BY m.name, p.pk"
    );
    let all: Vec<(String, String, String, i64, bool)> =
        query_as::<Sqlite, _>(AssertSqlSafe(sql)).bind(schema).fetch_all(&mut *connection).await?;
    let (mut keys, mut columns) = (Keys::new(), BTreeMap::<String, (Vec<String>, bool)>::new());
    for (table, column, kind, key, is_generated) in all {
        let table = catalogue.canonical(Some(schema), &table);
        let of_table = columns.entry(table.clone()).or_default();
        of_table.0.push(column.clone());
        of_table.1 |= is_generated;
        if key > 0 {
            keys.entry(table).or_default().push((column, kind));
        }
    }
    // Collations of keys that are no rowids.
    let sql = format!(
        "SELECT m.name, x.coll FROM {master} AS m, pragma_index_list(m.name, ?1) AS i, pragma_index_xinfo(i.name, ?1) AS x
         WHERE m.type = 'table' AND i.origin = 'pk' AND x.key = 1 AND x.seqno = 0"
    );
    let collations: Vec<(String, String)> =
        query_as::<Sqlite, _>(AssertSqlSafe(sql)).bind(schema).fetch_all(&mut *connection).await?;
    let binary: BTreeSet<String> = collations
        .into_iter()
        .filter(|(_, collation)| collation == "BINARY")
        .map(|(table, _)| catalogue.canonical(Some(schema), &table))
        .collect();
    for (table, columns) in &keys {
        if let [(column, kind)] = columns.as_slice()
            && let Some(kind) = kind_of(kind)
            && (kind == KeyKind::Integer || binary.contains(table) && !collated.contains(table))
        {
            catalogue = catalogue.key(table, column, kind);
        }
    }
    // A column that is made of others changes with any of them.
    let made = columns.into_iter().filter(|(_, (_, is_made))| *is_made).map(|(table, (all, _))| (table, all));
    foreign_keys(connection, schema, &keys, &made.collect(), catalogue).await
}

/// Adds a virtual table: what it shows lies in tables of its own, whose names begin with its, and in these.
fn virtual_table(catalogue: Catalogue, schema: &str, name: &str, content: &[String]) -> Catalogue {
    let mut shown: BTreeSet<String> =
        content.iter().map(|table| catalogue.canonical(Some(schema), table)).collect();
    shown.extend(catalogue.beginning_with(&format!("{name}_")));
    catalogue.view(name, &shown)
}

/// How values of a column of this declared type compare, by the rules of affinity.
fn kind_of(declared: &str) -> Option<KeyKind> {
    let declared = declared.to_ascii_uppercase();
    if declared.contains("INT") {
        return Some(KeyKind::Integer);
    }
    ["CHAR", "CLOB", "TEXT"].iter().any(|text| declared.contains(text)).then_some(KeyKind::Text)
}

/// Adds the foreign keys of one schema that change rows.
async fn foreign_keys(
    connection: &mut SqliteConnection,
    schema: &str,
    keys: &Keys,
    made: &BTreeMap<String, Vec<String>>,
    mut catalogue: Catalogue,
) -> Result<Catalogue> {
    let master = format!("{}.sqlite_master", quoted(schema));
    let sql = format!(
        "SELECT m.name, f.\"table\", f.\"to\", f.on_update, f.on_delete
         FROM {master} AS m, pragma_foreign_key_list(m.name, ?1) AS f WHERE m.type = 'table'"
    );
    let all: Vec<(String, String, Option<String>, String, String)> =
        query_as::<Sqlite, _>(AssertSqlSafe(sql)).bind(schema).fetch_all(&mut *connection).await?;
    for (table, other, column, on_update, on_delete) in all {
        let (table, other) =
            (catalogue.canonical(Some(schema), &table), catalogue.canonical(Some(schema), &other));
        let acts = |action: &str| !matches!(action, "NO ACTION" | "RESTRICT");
        // Without a column it refers to the primary key.
        let of_key = || keys.get(&other).into_iter().flatten().map(|(column, _)| column.clone()).collect();
        let named = column.map_or_else(of_key, |column| vec![column]);
        let columns = made.get(&other).cloned().unwrap_or(named);
        let mut key = ForeignKey::new(&table, &other);
        if acts(&on_delete) {
            key = key.on_delete();
        }
        if acts(&on_update) {
            key = key.on_update(columns);
        }
        catalogue = catalogue.foreign_key(key);
    }
    Ok(catalogue)
}

/// Adds what views show, as their definitions say: tables, also behind other views.
fn views(mut catalogue: Catalogue, views: Vec<Defined>) -> Catalogue {
    let mut left = views;
    for _ in 0..MOST_LEVELS {
        let names: BTreeSet<String> = left.iter().map(|(name, ..)| name.clone()).collect();
        let mut later = Vec::new();
        for view in std::mem::take(&mut left) {
            let shown = footprint_of(&catalogue, &view.2);
            if shown.reads_anything() {
                // Of a table that only the database knows when it changes.
                catalogue = catalogue.opaque(&view.0);
            } else if shown.reads().any(|table| names.contains(table)) {
                later.push(view);
            } else {
                catalogue = catalogue.view(&view.0, shown.reads());
            }
        }
        left = later;
    }
    left.iter().fold(catalogue, |catalogue, (name, ..)| catalogue.opaque(name))
}

/// Adds triggers with what their bodies do, where that is understood.
fn triggers(catalogue: Catalogue, triggers: &[Defined]) -> Catalogue {
    let done: Vec<(Option<&str>, Effects)> =
        triggers.iter().map(|(.., sql)| trigger_of(&catalogue, sql)).collect();
    triggers.iter().zip(done).fold(catalogue, |catalogue, ((name, table, _), (on, effects))| match on {
        Some(on) => catalogue.trigger_on(on, table, name, effects),
        None => catalogue.trigger(table, name, effects),
    })
}
