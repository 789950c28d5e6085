//! The catalogue of a PostgreSQL database, read from it.

use std::collections::{BTreeMap, BTreeSet};

use sqlx_core::error::Result;
use sqlx_core::query_as::query_as;
use sqlx_postgres::{PgConnection, Postgres};

use crate::sql::catalogue::{Aside, Catalogue, Effects, ForeignKey, KeyKind};
use crate::sql::dialect::Dialect;

/// Views of views are expanded so many levels deep.
const MOST_LEVELS: usize = 16;

/// Schema, name and kind of what can be read: tables, partitioned ones, materialized views, views, foreign tables, sequences.
const RELATIONS: &str = "
    SELECT n.nspname::text, c.relname::text, c.relkind::text
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'm', 'v', 'f', 'S') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'";

/// Columns that are a primary key alone, where text tells their values apart and nothing but an assignment changes them.
const KEYS: &str = "
    SELECT n.nspname::text, c.relname::text, a.attname::text, a.atttypid IN (20, 21, 23)
    FROM pg_catalog.pg_index i
    JOIN pg_catalog.pg_class c ON c.oid = i.indrelid
    JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid AND a.attnum = i.indkey[0]
    LEFT JOIN pg_catalog.pg_collation l ON l.oid = a.attcollation
    WHERE i.indisprimary AND i.indnkeyatts = 1 AND a.attgenerated = ''
      AND (a.atttypid IN (20, 21, 23) OR a.atttypid IN (25, 1043) AND l.collisdeterministic)";

/// Foreign keys that change rows: theirs, the other table, whether deletes do, whether updates do, and of which columns: of all, where one
/// that is referred to is made of others.
const FOREIGN_KEYS: &str = "
    SELECT n.nspname::text, c.relname::text, m.nspname::text, o.relname::text,
           f.confdeltype IN ('c', 'n', 'd'), f.confupdtype IN ('c', 'n', 'd'),
           ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
                 WHERE a.attrelid = o.oid AND a.attnum > 0
                   AND (a.attnum = ANY (f.confkey)
                        OR EXISTS (SELECT 1 FROM pg_catalog.pg_attribute g
                                   WHERE g.attrelid = o.oid AND g.attnum = ANY (f.confkey) AND g.attgenerated <> '')))
    FROM pg_catalog.pg_constraint f
    JOIN pg_catalog.pg_class c ON c.oid = f.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_class o ON o.oid = f.confrelid JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace
    WHERE f.contype = 'f'";

/// Partitions and tables that inherit, with the table that has their rows, too.
const PARTS: &str = "
    SELECT n.nspname::text, c.relname::text, m.nspname::text, o.relname::text
    FROM pg_catalog.pg_inherits i
    JOIN pg_catalog.pg_class c ON c.oid = i.inhrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_class o ON o.oid = i.inhparent JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f')";

/// Views, and what each reads: relations, or routines of the database's own (then the name is empty).
const VIEWS: &str = "
    SELECT DISTINCT n.nspname::text, v.relname::text, m.nspname::text, COALESCE(o.relname::text, '')
    FROM pg_catalog.pg_depend d
    JOIN pg_catalog.pg_rewrite w ON w.oid = d.objid
    JOIN pg_catalog.pg_class v ON v.oid = w.ev_class AND v.relkind = 'v'
    JOIN pg_catalog.pg_namespace n ON n.oid = v.relnamespace
    LEFT JOIN pg_catalog.pg_class o ON d.refclassid = 'pg_catalog.pg_class'::regclass AND o.oid = d.refobjid
    LEFT JOIN pg_catalog.pg_proc p ON d.refclassid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.refobjid
    JOIN pg_catalog.pg_namespace m ON m.oid = COALESCE(o.relnamespace, p.pronamespace)
    WHERE d.classid = 'pg_catalog.pg_rewrite'::regclass AND v.oid IS DISTINCT FROM o.oid
      AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'
      AND (o.oid IS NOT NULL OR m.nspname NOT LIKE 'pg\\_%' AND p.provolatile <> 'i')";

/// Triggers and rules that run what nobody sees; partitions have those of the whole, too.
const TRIGGERS: &str = "
    SELECT n.nspname::text, c.relname::text, t.tgname::text
    FROM pg_catalog.pg_trigger t
    JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE NOT t.tgisinternal AND t.tgparentid = 0 AND t.tgname NOT LIKE 'cachemacro\\_%'
    UNION ALL
    SELECT schemaname::text, tablename::text, rulename::text FROM pg_catalog.pg_rules
    WHERE schemaname NOT LIKE 'pg\\_%' AND schemaname <> 'information_schema'";

/// Routines that are neither the system's nor an extension's, and whether they may write. An aggregate does what it is made of.
const ROUTINES: &str = "
    SELECT p.proname::text, bool_or(f.provolatile = 'v')
    FROM pg_catalog.pg_proc p
    JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace
    LEFT JOIN pg_catalog.pg_aggregate g ON g.aggfnoid = p.oid
    CROSS JOIN LATERAL (VALUES (p.oid), (g.aggtransfn::oid), (g.aggfinalfn::oid), (g.aggmtransfn::oid), (g.aggmfinalfn::oid)) AS v (oid)
    JOIN pg_catalog.pg_proc f ON f.oid = v.oid
    WHERE n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema' AND f.provolatile <> 'i'
      AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_proc'::regclass
                      AND d.objid = p.oid AND d.deptype = 'e')
    GROUP BY 1";

/// Routines that statements run without naming them, behind operators, casts and the checks of domains; those among them that matter are
/// [`ROUTINES`], too.
const HIDDEN: &str = "
    SELECT DISTINCT p.proname::text FROM pg_catalog.pg_proc p
    WHERE p.provolatile <> 'i' AND p.pronamespace <> 'pg_catalog'::regnamespace AND p.oid IN (
        SELECT oprcode::oid FROM pg_catalog.pg_operator
        UNION ALL SELECT castfunc FROM pg_catalog.pg_cast
        UNION ALL SELECT d.refobjid FROM pg_catalog.pg_depend d
            JOIN pg_catalog.pg_constraint k ON d.classid = 'pg_catalog.pg_constraint'::regclass AND k.oid = d.objid
            WHERE k.contypid <> 0 AND d.refclassid = 'pg_catalog.pg_proc'::regclass)";

/// What the database reads and runs by itself: with each table, whether also where it is only read, and a relation or a routine. Policies
/// are looked at by reads, too; defaults and checks by writes alone.
const ASIDES: &str = "
    SELECT DISTINCT n.nspname::text, c.relname::text, x.on_reads,
           COALESCE(m.nspname::text, ''), COALESCE(o.relname::text, ''), COALESCE(p.proname::text, '')
    FROM (SELECT 'pg_catalog.pg_attrdef'::regclass::oid AS class, oid, adrelid AS relid, false AS on_reads FROM pg_catalog.pg_attrdef
          UNION ALL SELECT 'pg_catalog.pg_constraint'::regclass::oid, oid, conrelid, false FROM pg_catalog.pg_constraint
              WHERE contype = 'c' AND conrelid <> 0
          UNION ALL SELECT 'pg_catalog.pg_policy'::regclass::oid, oid, polrelid, true FROM pg_catalog.pg_policy) x
    JOIN pg_catalog.pg_class c ON c.oid = x.relid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    JOIN pg_catalog.pg_depend d ON d.classid = x.class AND d.objid = x.oid
    LEFT JOIN pg_catalog.pg_class o ON d.refclassid = 'pg_catalog.pg_class'::regclass AND o.oid = d.refobjid
        AND o.oid <> c.oid AND o.relkind IN ('r', 'p', 'm', 'v', 'f')
    LEFT JOIN pg_catalog.pg_namespace m ON m.oid = o.relnamespace
    LEFT JOIN pg_catalog.pg_proc p ON d.refclassid = 'pg_catalog.pg_proc'::regclass AND p.oid = d.refobjid
    WHERE o.oid IS NOT NULL OR p.oid IS NOT NULL";

/// A table, and a relation or routine beside it.
type Besides = (String, String, bool, String, String, String);

/// Two names with their schemas.
type Pair = (String, String, String, String);

/// Two tables, whether deletes and updates of the second change the first, and of which columns.
type Reference = (String, String, String, String, bool, bool, Vec<String>);

/// Reads what the database knows of itself.
pub(super) async fn read(connection: &mut PgConnection) -> Result<Catalogue> {
    // Tables go by the same names whatever the search path of a process is.
    let mut catalogue = Catalogue::new(Dialect::Postgres);
    let relations: Vec<(String, String, String)> =
        query_as::<Postgres, _>(RELATIONS).fetch_all(&mut *connection).await?;
    let mut views = BTreeMap::new();
    for (schema, name, kind) in relations {
        let name = catalogue.canonical(Some(&schema), &name);
        catalogue = match kind.as_str() {
            // They change elsewhere, or without being written.
            "f" | "S" => catalogue.opaque(&name),
            _ => catalogue.table(&name),
        };
        if kind == "v" {
            views.insert(name, Some(BTreeSet::new()));
        }
    }
    let keys: Vec<(String, String, String, bool)> =
        query_as::<Postgres, _>(KEYS).fetch_all(&mut *connection).await?;
    for (schema, table, column, whole) in keys {
        let kind = if whole { KeyKind::Integer } else { KeyKind::Text };
        let table = catalogue.canonical(Some(&schema), &table);
        catalogue = catalogue.key(&table, &column, kind);
    }
    let parts: Vec<Pair> = query_as::<Postgres, _>(PARTS).fetch_all(&mut *connection).await?;
    for (schema, part, of_schema, of) in parts {
        let (part, of) =
            (catalogue.canonical(Some(&schema), &part), catalogue.canonical(Some(&of_schema), &of));
        catalogue = catalogue.partition(&part, &of);
    }
    catalogue = foreign_keys(connection, catalogue).await?;
    let shown: Vec<Pair> = query_as::<Postgres, _>(VIEWS).fetch_all(&mut *connection).await?;
    for (schema, view, of_schema, of) in shown {
        let (view, known) = (catalogue.canonical(Some(&schema), &view), !of.is_empty());
        // The system's tables change without being written; what a routine reads nobody knows.
        let is_own = of_schema.starts_with("pg_") || of_schema == "information_schema";
        let tables = views.entry(view).or_insert_with(|| Some(BTreeSet::new()));
        match tables {
            Some(tables) if known && !is_own => {
                tables.insert(catalogue.canonical(Some(&of_schema), &of));
            }
            tables => *tables = None,
        }
    }
    catalogue = expanded(catalogue, views);
    let triggers: Vec<(String, String, String)> =
        query_as::<Postgres, _>(TRIGGERS).fetch_all(&mut *connection).await?;
    for (schema, table, trigger) in triggers {
        let table = catalogue.canonical(Some(&schema), &table);
        catalogue = catalogue.trigger(&table, &trigger, Effects::unknown());
    }
    let routines: Vec<(String, bool)> = query_as::<Postgres, _>(ROUTINES).fetch_all(&mut *connection).await?;
    for (routine, writes) in routines {
        let effects = Effects::unknown();
        catalogue = catalogue.routine(&routine, if writes { effects } else { effects.writes([""; 0]) });
    }
    for (routine,) in query_as::<Postgres, (String,)>(HIDDEN).fetch_all(&mut *connection).await? {
        catalogue = catalogue.hidden_routine(&routine);
    }
    asides(connection, catalogue).await
}

async fn asides(connection: &mut PgConnection, mut catalogue: Catalogue) -> Result<Catalogue> {
    let all: Vec<Besides> = query_as::<Postgres, _>(ASIDES).fetch_all(connection).await?;
    for (schema, table, on_reads, other_schema, other, routine) in all {
        let mut aside = Aside::default();
        if !other.is_empty() {
            aside.reads.insert(catalogue.canonical(Some(&other_schema), &other));
        } else if on_reads {
            aside.routines.insert(routine);
        } else {
            aside.routines_on_writes.insert(routine);
        }
        let table = catalogue.canonical(Some(&schema), &table);
        catalogue = catalogue.aside(&table, aside);
    }
    Ok(catalogue)
}

async fn foreign_keys(connection: &mut PgConnection, mut catalogue: Catalogue) -> Result<Catalogue> {
    let all: Vec<Reference> = query_as::<Postgres, _>(FOREIGN_KEYS).fetch_all(connection).await?;
    for (schema, table, other_schema, other, deletes, updates, columns) in all {
        let table = catalogue.canonical(Some(&schema), &table);
        let other = catalogue.canonical(Some(&other_schema), &other);
        let mut key = ForeignKey::new(&table, &other);
        if deletes {
            key = key.on_delete();
        }
        if updates {
            key = key.on_update(columns);
        }
        catalogue = catalogue.foreign_key(key);
    }
    Ok(catalogue)
}

/// Adds views with the tables behind them, also behind other views.
fn expanded(mut catalogue: Catalogue, mut views: BTreeMap<String, Option<BTreeSet<String>>>) -> Catalogue {
    for _ in 0..MOST_LEVELS {
        let known = views.clone();
        for tables in views.values_mut() {
            let Some(own) = tables else { continue };
            let mut flat = Some(BTreeSet::new());
            for table in own.iter() {
                match (known.get(table), &mut flat) {
                    (None, Some(flat)) => {
                        flat.insert(table.clone());
                    }
                    (Some(Some(inner)), Some(flat)) => flat.extend(inner.iter().cloned()),
                    _ => flat = None,
                }
            }
            *tables = flat;
        }
        if views == known {
            break;
        }
    }
    for (view, tables) in views {
        catalogue = match tables {
            Some(tables) => catalogue.view(&view, &tables),
            None => catalogue.opaque(&view),
        };
    }
    catalogue
}
