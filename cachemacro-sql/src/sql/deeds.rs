//! What a statement does besides reading: which tables it writes, and whether it changes the catalogue.

use std::collections::BTreeSet;

use sqlparser::ast::{
    Assignment, AssignmentTarget, CascadeOption, ConflictTarget, CopySource, Delete, FromTable, Insert,
    Merge, ObjectName, OnConflictAction, OnInsert, SqliteOnConflict, Statement, TableAlias, TableFactor,
    TableObject, TableWithJoins, Truncate, Update, UpdateTableFromKind,
};

use crate::sql::dialect::Dialect;
use crate::sql::footprint::{Deed, Rows};
use crate::sql::reading::{Reading, split};
use crate::sql::rows::Keyed;

/// Notes what a statement does. What is not in the list may do anything.
pub(crate) fn of(reading: &mut Reading<'_>, statement: &Statement) {
    match statement {
        Statement::Insert(insert) => inserts(reading, insert),
        Statement::Update(update) => updates(reading, update),
        Statement::Delete(delete) => deletes(reading, delete),
        Statement::Merge(merge) => merges(reading, merge),
        Statement::Truncate(truncate) => truncates(reading, truncate),
        Statement::Call(function) => reading.calls_procedure(&function.name),
        Statement::CreateTable(table) => {
            reading.pass(&table.name);
            reading.found.changes_catalogue();
            writes(reading, &table.name, &Deed::Insert, |_| Rows::Unknown);
        }
        Statement::CreateVirtualTable { name, .. } => {
            reading.pass(name);
            reading.found.changes_catalogue();
            writes(reading, name, &Deed::Insert, |_| Rows::Unknown);
        }
        Statement::CreateIndex(index) => reading.pass(&index.table_name),
        // What it shows is what its query reads, as far as the catalogue goes.
        Statement::CreateView(view) => {
            reading.pass(&view.name);
            reading.found.writes_unknown();
            reading.found.changes_catalogue();
        }
        Statement::Copy { source: CopySource::Table { table_name, .. }, to: true, .. } => {
            match split(table_name) {
                Some((schema, name)) => reading.reads(schema, name),
                None => reading.found.reads_unknown(),
            }
        }
        // What they show changes without a write to any table.
        Statement::Pragma { .. }
        | Statement::ShowVariable { .. }
        | Statement::ShowVariables { .. }
        | Statement::ShowStatus { .. }
        | Statement::ShowCreate { .. }
        | Statement::ShowColumns { .. }
        | Statement::ShowTables { .. }
        | Statement::ShowDatabases { .. }
        | Statement::Explain { .. }
        | Statement::ExplainTable { .. } => reading.found.reads_unknown(),
        Statement::Query(_)
        | Statement::StartTransaction { .. }
        | Statement::Savepoint { .. }
        | Statement::ReleaseSavepoint { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. }
        | Statement::Copy { source: CopySource::Query(_), to: true, .. }
        | Statement::Set(_)
        | Statement::Analyze(_)
        | Statement::Vacuum(_)
        | Statement::LISTEN { .. }
        | Statement::UNLISTEN { .. }
        | Statement::NOTIFY { .. }
        | Statement::Deallocate { .. } => {}
        _ => {
            reading.found.reads_unknown();
            reading.found.writes_unknown();
            reading.found.changes_catalogue();
        }
    }
}

/// Notes a write of each table that a name may mean; `rows` is asked where rows of that table have names.
fn writes(reading: &mut Reading<'_>, name: &ObjectName, deed: &Deed, rows: impl Fn(&Keyed<'_>) -> Rows) {
    aliased(reading, name, None, deed, rows);
}

fn aliased(
    reading: &mut Reading<'_>,
    name: &ObjectName,
    alias: Option<&TableAlias>,
    deed: &Deed,
    rows: impl Fn(&Keyed<'_>) -> Rows,
) {
    let catalogue = reading.found.catalogue;
    let dialect = catalogue.dialect();
    let Some((schema, name)) = split(name) else {
        reading.found.writes_unknown();
        return;
    };
    let (schema, name) = (schema.map(|schema| dialect.fold(schema)), dialect.fold(name));
    let called = alias.map_or_else(|| name.clone(), |alias| dialect.fold(&alias.name));
    for table in catalogue.resolve(schema.as_deref(), &name) {
        let rows = match catalogue.key_of(&table) {
            Some(key) => rows(&Keyed { dialect, key, called: &called }),
            None => Rows::Unknown,
        };
        reading.found.writes(&table, deed, rows);
    }
}

fn inserts(reading: &mut Reading<'_>, insert: &Insert) {
    let is_plain = insert.multi_table_into_clauses.is_empty()
        && insert.multi_table_when_clauses.is_empty()
        && insert.multi_table_else_clause.is_none();
    let TableObject::TableName(name) = &insert.table else {
        reading.found.writes_unknown();
        return;
    };
    if !is_plain {
        reading.found.writes_unknown();
    }
    reading.pass(name);
    let replaces = insert.replace_into || matches!(insert.or, Some(SqliteOnConflict::Replace));
    if replaces {
        reading.found.replaces();
        // The rows that stood in the way, by whatever key.
        writes(reading, name, &Deed::Delete, |_| Rows::Unknown);
    }
    if let Some(assignments) = updated_instead(insert) {
        let deed = Deed::Update(columns(reading.found.catalogue.dialect(), assignments));
        writes(reading, name, &deed, |keyed| match &insert.on {
            // It can only be the row of that key, whose value is among those that are inserted.
            Some(OnInsert::OnConflict(on))
                if is_of_key(keyed, on.conflict_target.as_ref()) && !assigns_key(keyed, assignments) =>
            {
                inserted(keyed, insert)
            }
            _ => Rows::Unknown,
        });
    }
    writes(reading, name, &Deed::Insert, |keyed| inserted(keyed, insert));
}

fn inserted(keyed: &Keyed<'_>, insert: &Insert) -> Rows {
    // The database makes the values of columns that it generates.
    if insert.overriding.is_some() {
        return Rows::Unknown;
    }
    let columns = insert.columns.iter().filter_map(split).map(|(_, column)| keyed.dialect.fold(column));
    keyed.inserted(columns, insert.source.as_deref())
}

/// What an `INSERT` sets where a row is there already.
fn updated_instead(insert: &Insert) -> Option<&[Assignment]> {
    match &insert.on {
        Some(OnInsert::DuplicateKeyUpdate(assignments)) => Some(assignments),
        Some(OnInsert::OnConflict(on)) => match &on.action {
            OnConflictAction::DoUpdate(update) => Some(&update.assignments),
            OnConflictAction::DoNothing => None,
        },
        _ => None,
    }
}

fn is_of_key(keyed: &Keyed<'_>, target: Option<&ConflictTarget>) -> bool {
    match target {
        Some(ConflictTarget::Columns { columns, .. }) => match columns.as_slice() {
            [column] => keyed.dialect.fold(column) == keyed.key.name,
            _ => false,
        },
        _ => false,
    }
}

fn updates(reading: &mut Reading<'_>, update: &Update) {
    let deed = Deed::Update(columns(reading.found.catalogue.dialect(), &update.assignments));
    let before = match &update.from {
        Some(UpdateTableFromKind::BeforeSet(tables)) => tables.as_slice(),
        _ => &[],
    };
    let alone = update.table.joins.is_empty() && before.is_empty();
    let replaces = matches!(update.or, Some(SqliteOnConflict::Replace));
    each(reading, std::iter::once(&update.table).chain(before), |reading, name, alias| {
        if replaces {
            reading.found.replaces();
            aliased(reading, name, alias, &Deed::Delete, |_| Rows::Unknown);
        }
        aliased(reading, name, alias, &deed, |keyed| match &update.selection {
            Some(condition) if alone && !assigns_key(keyed, &update.assignments) => keyed.selected(condition),
            _ => Rows::Unknown,
        });
    });
}

fn deletes(reading: &mut Reading<'_>, delete: &Delete) {
    let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
    let using = delete.using.as_deref().unwrap_or_default();
    // MySQL deletes from several tables, which go by their aliases: any of those that are there.
    let several = reading.found.catalogue.dialect() == Dialect::MySql
        && !(using.is_empty() && delete.tables.is_empty());
    let alone = !several && matches!(from.as_slice(), [one] if one.joins.is_empty());
    each(reading, from.iter().chain(if several { using } else { &[] }), |reading, name, alias| {
        aliased(reading, name, alias, &Deed::Delete, |keyed| match &delete.selection {
            Some(condition) if alone => keyed.selected(condition),
            _ => Rows::Unknown,
        });
    });
}

fn merges(reading: &mut Reading<'_>, merge: &Merge) {
    let TableFactor::Table { name, .. } = &merge.table else {
        reading.found.writes_unknown();
        return;
    };
    for deed in [Deed::Insert, Deed::Update(None), Deed::Delete] {
        writes(reading, name, &deed, |_| Rows::Unknown);
    }
}

fn truncates(reading: &mut Reading<'_>, truncate: &Truncate) {
    let cascade = truncate.cascade == Some(CascadeOption::Cascade);
    for target in &truncate.table_names {
        reading.pass(&target.name);
        writes(reading, &target.name, &Deed::Truncate { cascade }, |_| Rows::Unknown);
    }
}

/// Each table of these, with its alias. Those that are made of others are none.
fn each<'t>(
    reading: &mut Reading<'_>,
    tables: impl Iterator<Item = &'t TableWithJoins>,
    mut write: impl FnMut(&mut Reading<'_>, &ObjectName, Option<&TableAlias>),
) {
    let mut left: Vec<&TableWithJoins> = tables.collect();
    while let Some(tables) = left.pop() {
        let joined = tables.joins.iter().map(|join| &join.relation);
        for factor in std::iter::once(&tables.relation).chain(joined) {
            match factor {
                TableFactor::Table { name, alias, args: None, .. } => write(reading, name, alias.as_ref()),
                TableFactor::NestedJoin { table_with_joins, .. } => left.push(table_with_joins),
                TableFactor::Derived { .. } => {}
                _ => reading.found.writes_unknown(),
            }
        }
    }
}

/// The columns that are set; `None` where one of them cannot be told.
fn columns(dialect: Dialect, assignments: &[Assignment]) -> Option<BTreeSet<String>> {
    let mut columns = BTreeSet::new();
    for assignment in assignments {
        let names = match &assignment.target {
            AssignmentTarget::ColumnName(name) => std::slice::from_ref(name),
            AssignmentTarget::Tuple(names) => names,
        };
        for name in names {
            let column = dialect.fold(split(name)?.1);
            // Another name of an integer key.
            if dialect == Dialect::Sqlite && ["rowid", "oid", "_rowid_"].contains(&column.as_str()) {
                return None;
            }
            columns.insert(column);
        }
    }
    Some(columns)
}

/// Whether a row may have another key afterwards.
fn assigns_key(keyed: &Keyed<'_>, assignments: &[Assignment]) -> bool {
    columns(keyed.dialect, assignments).is_none_or(|columns| columns.contains(&keyed.key.name))
}
