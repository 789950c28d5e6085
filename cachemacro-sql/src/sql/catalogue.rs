//! What a statement's text does not show and the database knows: which tables there are, their keys, views, partitions, foreign keys,
//! triggers and routines. Plain data; who queries it from a database is no matter here.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::dialect::Dialect;

/// What a database knows of its tables, as far as it matters to who reads and writes them. Tables are named as `table`, or as
/// `schema.table` outside of the schema that is searched first.
///
/// ```
/// use cachemacro_sql::{Catalogue, Dialect, ForeignKey, Statements};
///
/// let catalogue = Catalogue::new(Dialect::Sqlite)
///     .table("airports")
///     .table("runways")
///     .foreign_key(ForeignKey::new("runways", "airports").on_delete());
/// let footprint = Statements::new(catalogue).footprint("DELETE FROM airports WHERE icao = ?");
/// assert_eq!(footprint.writes().map(|(table, _)| table).collect::<Vec<_>>(), ["airports", "runways"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Catalogue {
    dialect: Dialect,
    home: String,
    /// The tables that go by a name, whatever their schema.
    named: BTreeMap<String, BTreeSet<String>>,
    keys: BTreeMap<String, KeyColumn>,
    views: BTreeMap<String, Shown>,
    /// The tables whose rows those of a table are, too.
    wholes: BTreeMap<String, BTreeSet<String>>,
    /// The same from the other end.
    parts: BTreeMap<String, BTreeSet<String>>,
    references: BTreeMap<String, Vec<ForeignKey>>,
    triggers: BTreeMap<String, Vec<Trigger>>,
    routines: BTreeMap<String, Effects>,
    asides: BTreeMap<String, Aside>,
    /// Routines that statements run without naming them.
    hidden: BTreeSet<String>,
    /// Tables whose rows give way to those that are written.
    replacing: BTreeSet<String>,
}

/// What the database does by itself where a table is read or written.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Aside {
    /// It reads these tables.
    pub(crate) reads: BTreeSet<String>,
    /// It runs these routines.
    pub(crate) routines: BTreeSet<String>,
    /// It runs these where the table is written.
    pub(crate) routines_on_writes: BTreeSet<String>,
}

/// The column whose value names a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct KeyColumn {
    pub(crate) name: String,
    pub(crate) kind: KeyKind,
}

/// How the values of a key column compare, as far as their text in SQL tells.
///
/// ```
/// use cachemacro_sql::{Catalogue, Dialect, KeyKind, Rows, Statements};
///
/// let catalogue = Catalogue::new(Dialect::Postgres).table("users").key("users", "id", KeyKind::Integer);
/// let footprint = Statements::new(catalogue).footprint("DELETE FROM users WHERE id = 7");
/// let (table, rows) = footprint.writes().next().expect("it writes one");
/// assert_eq!((table, rows), ("users", &Rows::Keys(["7".to_owned()].into())));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyKind {
    /// Whole numbers.
    Integer,
    /// Text that is equal only where its bytes are: no collation that ignores case, no padding.
    Text,
}

/// A foreign key: what becomes of the rows of `table` where those of another change.
///
/// ```
/// use cachemacro_sql::ForeignKey;
///
/// let of_runways = ForeignKey::new("runways", "airports").on_delete().on_update(["icao"]);
/// assert_eq!(of_runways, ForeignKey::new("runways", "airports").on_update(["icao"]).on_delete());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ForeignKey {
    table: String,
    other: String,
    deletes: bool,
    updates: BTreeSet<String>,
}

impl ForeignKey {
    /// Of `table`, whose rows refer to those of `other`; neither deletes nor updates of these change them.
    ///
    /// ```
    /// # use cachemacro_sql::ForeignKey;
    /// assert_ne!(ForeignKey::new("runways", "airports"), ForeignKey::new("airports", "runways"));
    /// ```
    #[must_use]
    pub fn new(table: &str, other: &str) -> Self {
        Self { table: table.to_owned(), other: other.to_owned(), deletes: false, updates: BTreeSet::new() }
    }

    /// A delete of a row deletes or changes those that refer to it: `CASCADE`, `SET NULL`, `SET DEFAULT`.
    ///
    /// ```
    /// # use cachemacro_sql::ForeignKey;
    /// assert_ne!(ForeignKey::new("runways", "airports").on_delete(), ForeignKey::new("runways", "airports"));
    /// ```
    #[must_use]
    pub fn on_delete(mut self) -> Self {
        self.deletes = true;
        self
    }

    /// An update of these columns changes the rows that refer to them.
    ///
    /// ```
    /// # use cachemacro_sql::ForeignKey;
    /// assert_ne!(ForeignKey::new("a", "b").on_update(["id"]), ForeignKey::new("a", "b"));
    /// ```
    #[must_use]
    pub fn on_update<S: Into<String>>(mut self, columns: impl IntoIterator<Item = S>) -> Self {
        self.updates = columns.into_iter().map(Into::into).collect();
        self
    }

    /// The table whose rows change.
    pub(crate) fn table(&self) -> &str {
        &self.table
    }

    /// Whether deletes of the other's rows change these.
    pub(crate) const fn follows_deletes(&self) -> bool {
        self.deletes
    }

    /// Whether an update of these columns does; `None`: of columns that are not known.
    pub(crate) fn follows_update(&self, columns: Option<&BTreeSet<String>>) -> bool {
        match columns {
            Some(columns) => !self.updates.is_disjoint(columns),
            None => !self.updates.is_empty(),
        }
    }
}

/// What a routine or a trigger reads and writes.
///
/// ```
/// use cachemacro_sql::{Catalogue, Dialect, Effects, Statements};
///
/// let catalogue = Catalogue::new(Dialect::Postgres)
///     .routine("archive", Effects::none().writes(["archived"]))
///     .routine("tidy", Effects::unknown());
/// let statements = Statements::new(catalogue);
/// assert_eq!(statements.footprint("SELECT archive(7)").writes().count(), 1);
/// assert!(statements.footprint("SELECT tidy()").writes_anything());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effects {
    pub(crate) reads: Option<BTreeSet<String>>,
    pub(crate) writes: Option<BTreeSet<String>>,
}

impl Effects {
    /// It may read and write anything.
    ///
    /// ```
    /// # use cachemacro_sql::Effects;
    /// assert_ne!(Effects::unknown(), Effects::none());
    /// ```
    #[must_use]
    pub const fn unknown() -> Self {
        Self { reads: None, writes: None }
    }

    /// It reads and writes no table.
    ///
    /// ```
    /// # use cachemacro_sql::Effects;
    /// assert_eq!(Effects::none(), Effects::unknown().reads([""; 0]).writes([""; 0]));
    /// ```
    #[must_use]
    pub const fn none() -> Self {
        Self { reads: Some(BTreeSet::new()), writes: Some(BTreeSet::new()) }
    }

    /// It reads these tables and no others.
    ///
    /// ```
    /// # use cachemacro_sql::Effects;
    /// assert_ne!(Effects::none().reads(["users"]), Effects::none());
    /// ```
    #[must_use]
    pub fn reads<S: Into<String>>(mut self, tables: impl IntoIterator<Item = S>) -> Self {
        self.reads = Some(tables.into_iter().map(Into::into).collect());
        self
    }

    /// It writes these tables and no others.
    ///
    /// ```
    /// # use cachemacro_sql::Effects;
    /// assert_ne!(Effects::none().writes(["users"]), Effects::none());
    /// ```
    #[must_use]
    pub fn writes<S: Into<String>>(mut self, tables: impl IntoIterator<Item = S>) -> Self {
        self.writes = Some(tables.into_iter().map(Into::into).collect());
        self
    }
}

/// What a view shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Rows of these tables.
    Tables(BTreeSet<String>),
    /// Nobody knows.
    Unknown,
}

/// A trigger, and what it does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Trigger {
    pub(crate) name: String,
    /// What sets it off; `None`: anything.
    pub(crate) on: Option<&'static str>,
    pub(crate) effects: Effects,
}

impl Catalogue {
    /// Of a database without tables. What a statement names that is not here goes by its own name.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// assert_eq!(statements.footprint("SELECT * FROM users").reads().collect::<Vec<_>>(), ["users"]);
    /// ```
    #[must_use]
    pub fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            home: dialect.home().to_owned(),
            named: BTreeMap::new(),
            keys: BTreeMap::new(),
            views: BTreeMap::new(),
            wholes: BTreeMap::new(),
            parts: BTreeMap::new(),
            references: BTreeMap::new(),
            triggers: BTreeMap::new(),
            routines: BTreeMap::new(),
            asides: BTreeMap::new(),
            hidden: BTreeSet::new(),
            replacing: BTreeSet::new(),
        }
    }

    /// The schema whose tables go by their name alone: `main`, `public`, or in MySQL the database that is connected to.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let statements = Statements::new(Catalogue::new(Dialect::Postgres).home("shop").table("users"));
    /// assert_eq!(statements.footprint("SELECT * FROM shop.users").reads().collect::<Vec<_>>(), ["users"]);
    /// ```
    #[must_use]
    pub fn home(mut self, schema: &str) -> Self {
        self.home = self.dialect.fold_stored(schema);
        self
    }

    /// A table or view that there is.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let statements = Statements::new(Catalogue::new(Dialect::Postgres).table("users").table("old.users"));
    /// let reads = |sql| statements.footprint(sql).reads().map(str::to_owned).collect::<Vec<_>>();
    /// assert_eq!(reads("SELECT * FROM users"), ["old.users", "users"], "it depends on the search path");
    /// assert_eq!(reads("SELECT * FROM public.users"), ["users"]);
    /// ```
    #[must_use]
    pub fn table(mut self, name: &str) -> Self {
        let name = self.named(name);
        let bare = name.rsplit('.').next().unwrap_or(&name).to_owned();
        self.named.entry(bare).or_default().insert(name);
        self
    }

    /// The column by which rows of this table are named.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, KeyKind, Rows, Statements};
    ///
    /// let catalogue = Catalogue::new(Dialect::Sqlite).table("airports").key("airports", "icao", KeyKind::Text);
    /// let footprint = Statements::new(catalogue).footprint("UPDATE airports SET name = ? WHERE icao = 'EGLL'");
    /// assert!(footprint.writes().all(|(_, rows)| *rows == Rows::Keys(["EGLL".to_owned()].into())));
    /// ```
    #[must_use]
    pub fn key(mut self, table: &str, column: &str, kind: KeyKind) -> Self {
        let name = self.dialect.fold_stored(column);
        self.keys.insert(self.named(table), KeyColumn { name, kind });
        self
    }

    /// A view, and the tables that it shows.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let catalogue = Catalogue::new(Dialect::Sqlite).table("users").view("admins", ["users"]);
    /// let footprint = Statements::new(catalogue).footprint("SELECT * FROM admins");
    /// assert_eq!(footprint.reads().collect::<Vec<_>>(), ["users"]);
    /// ```
    #[must_use]
    pub fn view<S: AsRef<str>>(mut self, name: &str, tables: impl IntoIterator<Item = S>) -> Self {
        let tables = tables.into_iter().map(|table| self.named(table.as_ref())).collect();
        let view = self.named(name);
        self.views.insert(view, Shown::Tables(tables));
        self.table(name)
    }

    /// A view of which nobody knows what it shows, or a table that changes without being written.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let statements = Statements::new(Catalogue::new(Dialect::Postgres).opaque("remote_users"));
    /// assert!(statements.footprint("SELECT * FROM remote_users").reads_anything());
    /// ```
    #[must_use]
    pub fn opaque(mut self, name: &str) -> Self {
        let view = self.named(name);
        self.views.insert(view, Shown::Unknown);
        self.table(name)
    }

    /// A table whose rows are also those of another: a partition, or one that inherits. Both go by the name of the other; one that inherits
    /// from several goes by all of their names.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let catalogue = Catalogue::new(Dialect::Postgres).table("events").partition("events_2031", "events");
    /// let footprint = Statements::new(catalogue).footprint("DELETE FROM events_2031");
    /// assert_eq!(footprint.writes().map(|(table, _)| table).collect::<Vec<_>>(), ["events"]);
    /// ```
    #[must_use]
    pub fn partition(mut self, name: &str, of: &str) -> Self {
        let (part, whole) = (self.named(name), self.named(of));
        self.wholes.entry(part.clone()).or_default().insert(whole.clone());
        self.parts.entry(whole).or_default().insert(part);
        self.table(name)
    }

    /// A foreign key.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, ForeignKey, Statements};
    ///
    /// let key = ForeignKey::new("runways", "airports").on_update(["icao"]);
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite).foreign_key(key));
    /// let written = |sql| statements.footprint(sql).writes().count();
    /// assert_eq!(written("UPDATE airports SET name = ?"), 1);
    /// assert_eq!(written("UPDATE airports SET icao = ?"), 2);
    /// ```
    #[must_use]
    pub fn foreign_key(mut self, key: ForeignKey) -> Self {
        let ForeignKey { table, other, deletes, updates } = key;
        let (table, other) = (self.named(&table), self.named(&other));
        let updates = updates.iter().map(|column| self.dialect.fold_stored(column)).collect();
        let key = ForeignKey { table, other: other.clone(), deletes, updates };
        self.references.entry(other).or_default().push(key);
        self
    }

    /// A trigger on a table or view. Where its effects are not known, writes of that table may change anything.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Effects, Statements};
    ///
    /// let users = Catalogue::new(Dialect::Sqlite).table("users");
    /// let logged = users.clone().trigger("users", "log_it", Effects::none().writes(["log"]));
    /// let writes = |catalogue| Statements::new(catalogue).footprint("DELETE FROM users");
    /// assert_eq!(writes(logged).writes().map(|(table, _)| table).collect::<Vec<_>>(), ["log", "users"]);
    /// assert!(writes(users.trigger("users", "log_it", Effects::unknown())).writes_anything());
    /// ```
    #[must_use]
    pub fn trigger(mut self, table: &str, name: &str, effects: Effects) -> Self {
        let (table, effects) = (self.named(table), self.effects(effects));
        let triggers = self.triggers.entry(table).or_default();
        match triggers.iter_mut().find(|trigger| trigger.name == name) {
            Some(known) => known.effects = effects,
            None => triggers.push(Trigger { name: name.to_owned(), on: None, effects }),
        }
        self
    }

    /// The same of one that only this sets off.
    #[cfg(feature = "sqlx-sqlite")]
    pub(crate) fn trigger_on(mut self, on: &'static str, table: &str, name: &str, effects: Effects) -> Self {
        let (table, effects) = (self.named(table), self.effects(effects));
        self.triggers.entry(table).or_default().push(Trigger {
            name: name.to_owned(),
            on: Some(on),
            effects,
        });
        self
    }

    /// A routine that the database has of its own. Functions that are not named here read and write nothing.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Effects, Statements};
    ///
    /// let catalogue = Catalogue::new(Dialect::Postgres).routine("total_of", Effects::none().reads(["orders"]));
    /// let footprint = Statements::new(catalogue).footprint("SELECT total_of($1)");
    /// assert_eq!(footprint.reads().collect::<Vec<_>>(), ["orders"]);
    /// ```
    #[must_use]
    pub fn routine(mut self, name: &str, effects: Effects) -> Self {
        let (name, effects) = (self.dialect.fold_stored(name), self.effects(effects));
        self.routines.insert(name, effects);
        self
    }

    fn effects(&self, effects: Effects) -> Effects {
        let named = |tables: BTreeSet<String>| tables.iter().map(|table| self.named(table)).collect();
        Effects { reads: effects.reads.map(named), writes: effects.writes.map(named) }
    }

    /// `table`, or `schema.table` outside of the home schema, of a name in that form.
    pub(crate) fn named(&self, name: &str) -> String {
        match name.split_once('.') {
            Some((schema, table)) => self.canonical(Some(schema), table),
            None => self.canonical(None, name),
        }
    }

    /// The same of a schema and a name as the catalogue has them.
    pub(crate) fn canonical(&self, schema: Option<&str>, name: &str) -> String {
        let name = self.dialect.fold_stored(name).replace('.', "%2E");
        match schema.map(|schema| self.dialect.fold_stored(schema)) {
            Some(schema) if schema != self.home => format!("{}.{name}", schema.replace('.', "%2E")),
            _ => name,
        }
    }

    /// The tables that a name in a statement may mean.
    pub(crate) fn resolve(&self, schema: Option<&str>, name: &str) -> BTreeSet<String> {
        let canonical = self.canonical(schema, name);
        let bare = self.canonical(None, name);
        let known = self.named.get(&bare);
        match (schema, known) {
            // Which of them it is depends on the search path of the connection.
            (None, Some(known)) => known.clone(),
            (Some(_), Some(known)) if known.contains(&canonical) => BTreeSet::from([canonical]),
            // Somebody who does not give the schema may mean the same table.
            _ => BTreeSet::from([canonical, bare]),
        }
    }

    /// Whether there is this table, by its name in here.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) fn has(&self, table: &str) -> bool {
        self.named.values().any(|tables| tables.contains(table))
    }

    /// This table, and those whose rows are its own, too.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) fn parts_of(&self, table: &str) -> BTreeSet<String> {
        reachable(table, &[&self.parts])
    }

    /// Whether there is a table of this name, in whatever schema.
    pub(crate) fn knows(&self, name: &str) -> bool {
        self.named.contains_key(&self.canonical(None, name))
    }

    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// What a view shows; `None` where it is none.
    pub(crate) fn shown(&self, view: &str) -> Option<&Shown> {
        self.views.get(view)
    }

    /// The tables by whose names this one goes: those whose rows its own are too, and that are no part of another; itself where there are none.
    pub(crate) fn roots_of(&self, table: &str) -> BTreeSet<String> {
        let is_root = |table: &String| !self.wholes.contains_key(table);
        reachable(table, &[&self.wholes]).into_iter().filter(is_root).collect()
    }

    /// All that may hold rows of what this table is a part of, and itself.
    pub(crate) fn family(&self, table: &str) -> BTreeSet<String> {
        reachable(table, &[&self.wholes, &self.parts])
    }

    /// What the database does by itself where this table is read or written.
    pub(crate) fn aside_of(&self, table: &str) -> Option<&Aside> {
        self.asides.get(table)
    }

    /// Says so. Its names are those of this catalogue.
    #[cfg(any(test, feature = "sqlx-postgres"))]
    pub(crate) fn aside(mut self, table: &str, aside: Aside) -> Self {
        let known = self.asides.entry(table.to_owned()).or_default();
        known.reads.extend(aside.reads);
        known.routines.extend(aside.routines);
        known.routines_on_writes.extend(aside.routines_on_writes);
        self
    }

    /// A routine that statements may run without naming it, as an operator does.
    #[cfg(any(test, feature = "sqlx-postgres"))]
    pub(crate) fn hidden_routine(mut self, name: &str) -> Self {
        self.hidden.insert(name.to_owned());
        self
    }

    pub(crate) fn hidden(&self) -> impl Iterator<Item = &str> {
        self.hidden.iter().map(String::as_str)
    }

    /// The tables whose names begin so.
    #[cfg(feature = "sqlx-sqlite")]
    pub(crate) fn beginning_with<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = String> + 'a {
        self.named.values().flatten().filter(move |table| table.starts_with(prefix)).cloned()
    }

    /// A table whose rows give way to those that are written, by whatever key.
    #[cfg(any(test, feature = "sqlx-sqlite"))]
    pub(crate) fn replacing(mut self, table: &str) -> Self {
        self.replacing.insert(table.to_owned());
        self
    }

    pub(crate) fn replaces(&self, table: &str) -> bool {
        self.replacing.contains(table)
    }

    pub(crate) fn key_of(&self, table: &str) -> Option<&KeyColumn> {
        self.keys.get(table)
    }

    /// The foreign keys that refer to this table.
    pub(crate) fn references_to(&self, table: &str) -> &[ForeignKey] {
        self.references.get(table).map_or(&[], Vec::as_slice)
    }

    pub(crate) fn triggers_on(&self, table: &str) -> &[Trigger] {
        self.triggers.get(table).map_or(&[], Vec::as_slice)
    }

    /// Triggers that may write anything, with their tables.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) fn unknown_triggers(&self) -> impl Iterator<Item = (&str, &str)> {
        self.triggers.iter().flat_map(|(table, triggers)| {
            let unknown = triggers.iter().filter(|trigger| trigger.effects.writes.is_none());
            unknown.map(|trigger| (table.as_str(), trigger.name.as_str()))
        })
    }

    pub(crate) fn effects_of(&self, routine: &str) -> Option<&Effects> {
        self.routines.get(routine)
    }
}

/// This name, and what it leads to, however far.
fn reachable(from: &str, ways: &[&BTreeMap<String, BTreeSet<String>>]) -> BTreeSet<String> {
    let mut found = BTreeSet::from([from.to_owned()]);
    let mut left = vec![from.to_owned()];
    while let Some(name) = left.pop() {
        for next in ways.iter().filter_map(|way| way.get(&name)).flatten() {
            if found.insert(next.clone()) {
                left.push(next.clone());
            }
        }
    }
    found
}
