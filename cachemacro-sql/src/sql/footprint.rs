//! What a statement does, in the terms of the catalogue: the tables that it reads and writes, and the rows where they are named.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::catalogue::{Catalogue, Effects, Shown};
use crate::sql::control::Control;
use crate::sql::dialect::Dialect;

/// Above so many rows of a table, they are not told one by one.
pub(crate) const MOST_ROWS: usize = 64;

/// The rows of a table that a statement writes.
///
/// ```
/// use cachemacro_sql::{Catalogue, Dialect, Rows, Statements};
///
/// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
/// assert!(statements.footprint("DELETE FROM users").writes().all(|(_, rows)| *rows == Rows::Unknown));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rows {
    /// Any of them.
    Unknown,
    /// Those with these keys, 64 at most.
    Keys(BTreeSet<String>),
}

impl Rows {
    fn add(&mut self, other: Rows) {
        match (&mut *self, other) {
            (Self::Keys(keys), Self::Keys(more)) if keys.len() + more.len() <= MOST_ROWS => keys.extend(more),
            (Self::Keys(keys), Self::Keys(more)) if *keys == more => {}
            _ => *self = Self::Unknown,
        }
    }
}

/// What the statements of one text read and write.
///
/// ```
/// use cachemacro_sql::{Catalogue, Dialect, Statements};
///
/// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
/// let footprint = statements.footprint("INSERT INTO best SELECT * FROM users WHERE points > 10");
/// assert_eq!(footprint.reads().collect::<Vec<_>>(), ["users"]);
/// assert_eq!(footprint.writes().map(|(table, _)| table).collect::<Vec<_>>(), ["best"]);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "what a text does besides does not exclude one another")]
pub struct Footprint {
    reads: BTreeSet<String>,
    reads_unknown: bool,
    writes: BTreeMap<String, Rows>,
    writes_unknown: bool,
    changes_catalogue: bool,
    replaces: bool,
    control: Control,
}

impl Footprint {
    /// Of a text that nobody understands: it may read and write anything.
    pub(crate) fn unknown() -> Self {
        Self { reads_unknown: true, writes_unknown: true, changes_catalogue: true, ..Self::default() }
    }

    /// The same text in a database of which nothing is known.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) fn unknown_besides(self) -> Self {
        Self { reads_unknown: true, writes_unknown: true, ..self }
    }

    /// The same in a database that may have changed since: it may read others, and write others if it does write.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) fn doubtful(&self) -> Self {
        Self { reads_unknown: true, writes_unknown: self.is_write(), ..self.clone() }
    }

    /// The same with what it does to transactions.
    pub(crate) const fn controlling(mut self, control: Control) -> Self {
        self.control = control;
        self
    }

    /// The tables that it reads, in order; see [`reads_anything`](Self::reads_anything).
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Postgres));
    /// let footprint = statements.footprint("WITH new AS (SELECT * FROM users) SELECT * FROM new JOIN orders USING (id)");
    /// assert_eq!(footprint.reads().collect::<Vec<_>>(), ["orders", "users"]);
    /// ```
    pub fn reads(&self) -> impl Iterator<Item = &str> {
        self.reads.iter().map(String::as_str)
    }

    /// Whether it may read tables that are not known.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Postgres));
    /// assert!(statements.footprint("EXECUTE newest(7)").reads_anything());
    /// ```
    pub const fn reads_anything(&self) -> bool {
        self.reads_unknown
    }

    /// The tables that it writes, in order, with the rows where they are known; see [`writes_anything`](Self::writes_anything).
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::MySql));
    /// let footprint = statements.footprint("REPLACE INTO users (id) VALUES (?)");
    /// assert_eq!(footprint.writes().map(|(table, _)| table).collect::<Vec<_>>(), ["users"]);
    /// ```
    pub fn writes(&self) -> impl Iterator<Item = (&str, &Rows)> {
        self.writes.iter().map(|(table, rows)| (table.as_str(), rows))
    }

    /// Whether it may write tables that are not known.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Postgres));
    /// assert!(statements.footprint("DO $$ BEGIN PERFORM 1; END $$").writes_anything());
    /// ```
    pub const fn writes_anything(&self) -> bool {
        self.writes_unknown
    }

    /// Whether it writes at all.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// assert!(!statements.footprint("SELECT 1").is_write() && statements.footprint("DELETE FROM users").is_write());
    /// ```
    pub fn is_write(&self) -> bool {
        self.writes_unknown || !self.writes.is_empty()
    }

    /// Whether rows give way to those that it writes, for which triggers may not be pulled.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) const fn replaces(&self) -> bool {
        self.replaces
    }

    /// Whether the catalogue is to be read anew after it.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// assert!(statements.footprint("CREATE TABLE users (id INTEGER PRIMARY KEY)").changes_catalogue());
    /// ```
    pub const fn changes_catalogue(&self) -> bool {
        self.changes_catalogue
    }

    /// Whether a transaction is open after it that it began.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// let begins = |sql| statements.footprint(sql).begins();
    /// assert!(begins("BEGIN IMMEDIATE") && begins("SAVEPOINT a"));
    /// assert!(!begins("BEGIN; DELETE FROM users; COMMIT"));
    /// ```
    pub const fn begins(&self) -> bool {
        self.control.begins
    }

    /// Whether it does no more than that: where it fails, none is open.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) const fn only_begins(&self) -> bool {
        self.control.begins && self.control.is_one
    }

    /// Whether it may end a transaction that was begun before it, either way, so that what others have written takes effect.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// let ends = |sql| statements.footprint(sql).ends();
    /// assert!(ends("COMMIT") && ends("ROLLBACK") && ends("RELEASE a"));
    /// assert!(!ends("ROLLBACK TO a") && !ends("BEGIN; DELETE FROM users; COMMIT"));
    /// ```
    pub const fn ends(&self) -> bool {
        self.control.ends
    }
}

/// What is done to the rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Insert,
    /// Of these columns; `None`: of any.
    Update(Option<BTreeSet<String>>),
    Delete,
    /// All rows go; with those of the tables that refer to it, whatever their foreign keys say, or with none of them.
    Truncate {
        cascade: bool,
    },
}

/// A footprint in the making.
pub(crate) struct Found<'a> {
    pub(crate) catalogue: &'a Catalogue,
    footprint: Footprint,
    /// What was followed to its end, so that keys and triggers in a circle are.
    followed: BTreeSet<(String, &'static str)>,
}

impl<'a> Found<'a> {
    /// Nothing yet.
    pub(crate) fn new(catalogue: &'a Catalogue) -> Self {
        Self { catalogue, footprint: Footprint::default(), followed: BTreeSet::new() }
    }

    pub(crate) fn finish(self) -> Footprint {
        self.footprint
    }

    pub(crate) fn reads_unknown(&mut self) {
        self.footprint.reads_unknown = true;
    }

    pub(crate) fn writes_unknown(&mut self) {
        self.footprint.writes_unknown = true;
    }

    pub(crate) fn changes_catalogue(&mut self) {
        self.footprint.changes_catalogue = true;
    }

    pub(crate) fn replaces(&mut self) {
        self.footprint.replaces = true;
    }

    /// A table or view is read.
    pub(crate) fn reads(&mut self, table: &str) {
        match self.catalogue.shown(table) {
            Some(Shown::Unknown) => self.reads_unknown(),
            Some(Shown::Tables(tables)) => {
                // One of them may be a view itself.
                if self.followed.insert((table.to_owned(), "read through it")) {
                    for table in tables {
                        self.reads(table);
                    }
                }
            }
            None => {
                self.footprint.reads.extend(self.catalogue.roots_of(table));
                for member in self.catalogue.family(table) {
                    self.besides(&member, false);
                }
            }
        }
    }

    /// What the database does by itself where a table is read or written: its policies, checks and defaults.
    fn besides(&mut self, table: &str, writes: bool) {
        let Some(aside) = self.catalogue.aside_of(table) else { return };
        let how = if writes { "beside a write" } else { "beside a read" };
        if self.followed.insert((table.to_owned(), how)) {
            aside.reads.iter().for_each(|table| self.reads(table));
            let always = aside.routines.iter();
            let on_writes = aside.routines_on_writes.iter().filter(|_| writes);
            always.chain(on_writes).for_each(|routine| self.runs(routine));
        }
    }

    /// A routine is run.
    pub(crate) fn runs(&mut self, routine: &str) {
        if let Some(effects) = self.catalogue.effects_of(routine) {
            self.calls(effects);
        }
    }

    /// What any statement may run without naming it.
    pub(crate) fn runs_hidden(&mut self) {
        self.catalogue.hidden().for_each(|routine| self.runs(routine));
    }

    /// Something is called that the catalogue says this of.
    pub(crate) fn calls(&mut self, effects: &Effects) {
        match &effects.reads {
            Some(tables) => tables.iter().for_each(|table| self.reads(table)),
            None => self.reads_unknown(),
        }
        match &effects.writes {
            Some(tables) => {
                for table in tables {
                    for deed in [Deed::Insert, Deed::Update(None), Deed::Delete] {
                        self.writes(table, &deed, Rows::Unknown);
                    }
                }
            }
            None => self.writes_unknown(),
        }
    }

    /// Rows of a table or view are written, with all that follows from it in the database.
    pub(crate) fn writes(&mut self, table: &str, deed: &Deed, rows: Rows) {
        let catalogue = self.catalogue;
        self.pulls(table, deed);
        match catalogue.shown(table) {
            Some(Shown::Tables(tables)) => {
                // Its columns may have other names than those of the tables.
                let (deed, how) = match deed {
                    Deed::Insert => (&Deed::Insert, "INSERT through it"),
                    Deed::Update(_) => (&Deed::Update(None), "UPDATE through it"),
                    Deed::Delete => (&Deed::Delete, "DELETE through it"),
                    Deed::Truncate { .. } => (deed, "TRUNCATE through it"),
                };
                if self.followed.insert((table.to_owned(), how)) {
                    for table in tables {
                        self.writes(table, deed, Rows::Unknown);
                    }
                }
                return;
            }
            Some(Shown::Unknown) => return self.writes_unknown(),
            None => {}
        }
        let family = catalogue.family(table);
        let is_triggered = family.iter().any(|member| !catalogue.triggers_on(member).is_empty());
        let replaces = matches!(deed, Deed::Insert | Deed::Update(_))
            && family.iter().any(|member| catalogue.replaces(member));
        self.footprint.replaces |= replaces;
        for (root, rows) in catalogue.roots_of(table).into_iter().zip(std::iter::repeat(rows)) {
            // A trigger may change the key of the row that is to be written; a parent may go by another one.
            let is_named = !is_triggered && !replaces && catalogue.key_of(&root) == catalogue.key_of(table);
            self.note(&root, if is_named { rows } else { Rows::Unknown });
        }
        // It may also change what other columns are set to.
        let any = Deed::Update(None);
        let deed = match deed {
            Deed::Update(_) if is_triggered && catalogue.dialect() != Dialect::Sqlite => &any,
            deed => deed,
        };
        for member in &family {
            self.besides(member, true);
            for deed in std::iter::once(deed).chain(replaces.then_some(&Deed::Delete)) {
                self.pulls(member, deed);
                self.follow(member, deed);
            }
        }
    }

    /// The triggers of a table do what they do.
    fn pulls(&mut self, table: &str, deed: &Deed) {
        let on = match deed {
            Deed::Insert => "INSERT",
            Deed::Update(_) => "UPDATE",
            Deed::Delete => "DELETE",
            Deed::Truncate { .. } => "TRUNCATE",
        };
        let triggers = self.catalogue.triggers_on(table);
        if !triggers.is_empty() && self.followed.insert((table.to_owned(), on)) {
            let pulled = triggers.iter().filter(|trigger| trigger.on.is_none_or(|what| what == on));
            pulled.for_each(|trigger| self.calls(&trigger.effects));
        }
    }

    fn note(&mut self, table: &str, rows: Rows) {
        match self.footprint.writes.get_mut(table) {
            Some(noted) => noted.add(rows),
            None => {
                self.footprint.writes.insert(table.to_owned(), rows);
            }
        }
    }

    /// The rows of other tables that follow those of this one.
    fn follow(&mut self, table: &str, deed: &Deed) {
        let catalogue = self.catalogue;
        for key in catalogue.references_to(table) {
            let (follows, how, deeds): (bool, _, &[Deed]) = match deed {
                Deed::Insert => continue,
                Deed::Update(columns) => {
                    (key.follows_update(columns.as_ref()), "update", &[Deed::Update(None)])
                }
                Deed::Delete => (key.follows_deletes(), "delete", &[Deed::Delete, Deed::Update(None)]),
                Deed::Truncate { cascade } => (*cascade, "truncate", &[Deed::Truncate { cascade: true }]),
            };
            if follows && self.followed.insert((key.table().to_owned(), how)) {
                for deed in deeds {
                    self.writes(key.table(), deed, Rows::Unknown);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::catalogue::{Aside, ForeignKey, KeyKind};

    #[test]
    fn views_of_views_are_followed_to_their_tables_and_in_a_circle_once() {
        let catalogue = Catalogue::new(Dialect::Sqlite)
            .view("outer", ["inner"])
            .view("inner", ["users"])
            .view("one", ["other"])
            .view("other", ["one", "orders"]);
        let mut found = Found::new(&catalogue);
        found.reads("outer");
        found.writes("one", &Deed::Delete, Rows::Unknown);
        found.reads("one");
        let footprint = found.finish();
        assert_eq!(footprint.reads().collect::<Vec<_>>(), ["orders", "users"]);
        assert_eq!(footprint.writes().collect::<Vec<_>>(), [("orders", &Rows::Unknown)]);
    }

    #[test]
    fn a_view_may_call_the_columns_of_its_table_as_it_likes() {
        let catalogue = Catalogue::new(Dialect::Sqlite)
            .view("shown", ["airports"])
            .foreign_key(ForeignKey::new("runways", "airports").on_update(["icao"]));
        let mut found = Found::new(&catalogue);
        found.writes("shown", &Deed::Update(Some(["code".to_owned()].into())), Rows::Unknown);
        let footprint = found.finish();
        assert_eq!(footprint.writes().map(|(table, _)| table).collect::<Vec<_>>(), ["airports", "runways"]);
    }

    #[test]
    fn keys_in_a_circle_are_followed_once() {
        let catalogue = Catalogue::new(Dialect::Sqlite)
            .foreign_key(ForeignKey::new("a", "b").on_delete())
            .foreign_key(ForeignKey::new("b", "a").on_delete())
            .foreign_key(ForeignKey::new("a", "a").on_delete())
            .trigger("a", "again", Effects::none().writes(["a", "b"]));
        let mut found = Found::new(&catalogue);
        found.writes("a", &Deed::Delete, Rows::Keys(["1".to_owned()].into()));
        let footprint = found.finish();
        assert_eq!(footprint.writes().collect::<Vec<_>>(), [("a", &Rows::Unknown), ("b", &Rows::Unknown)]);
    }

    fn written(catalogue: &Catalogue, table: &str, deed: &Deed) -> Vec<(String, Rows)> {
        let mut found = Found::new(catalogue);
        found.writes(table, deed, Rows::Keys(["7".to_owned()].into()));
        let footprint = found.finish();
        let mut writes: Vec<_> =
            footprint.writes().map(|(table, rows)| (table.to_owned(), rows.clone())).collect();
        if footprint.writes_anything() {
            writes.push(("*".to_owned(), Rows::Unknown));
        }
        writes
    }

    #[test]
    fn a_table_that_inherits_from_several_goes_by_all_of_them() {
        let catalogue = Catalogue::new(Dialect::Postgres)
            .key("goods", "id", KeyKind::Integer)
            .key("wares", "id", KeyKind::Integer)
            .key("things", "code", KeyKind::Integer)
            .partition("wares", "goods")
            .partition("wares", "things");
        let seven = Rows::Keys(["7".to_owned()].into());
        let both = [("goods".to_owned(), seven.clone()), ("things".to_owned(), Rows::Unknown)];
        assert_eq!(written(&catalogue, "wares", &Deed::Delete), both, "which has other keys");
        assert_eq!(written(&catalogue, "goods", &Deed::Delete), [("goods".to_owned(), seven)]);
        let mut found = Found::new(&catalogue);
        found.reads("wares");
        assert_eq!(found.finish().reads().collect::<Vec<_>>(), ["goods", "things"]);
    }

    #[test]
    fn triggers_and_keys_of_a_part_are_followed_where_the_whole_is_written() {
        let catalogue = Catalogue::new(Dialect::Postgres)
            .partition("events_1", "events")
            .trigger("events_1", "noted", Effects::none().writes(["log"]))
            .foreign_key(ForeignKey::new("seen", "events_1").on_delete());
        let tables: Vec<String> =
            written(&catalogue, "events", &Deed::Delete).into_iter().map(|(table, _)| table).collect();
        assert_eq!(tables, ["events", "log", "seen"]);
    }

    #[test]
    fn a_trigger_before_an_update_may_set_what_foreign_keys_follow() {
        let catalogue = Catalogue::new(Dialect::Postgres)
            .trigger("airports", "upper", Effects::none())
            .foreign_key(ForeignKey::new("runways", "airports").on_update(["icao"]));
        let deed = Deed::Update(Some(["name".to_owned()].into()));
        assert_eq!(written(&catalogue, "airports", &deed).len(), 2);
    }

    #[test]
    fn rows_that_a_table_replaces_are_deleted_by_an_insert() {
        let catalogue = Catalogue::new(Dialect::Sqlite)
            .replacing("users")
            .foreign_key(ForeignKey::new("orders", "users").on_delete());
        let expected = ["orders", "users"].map(|table| (table.to_owned(), Rows::Unknown));
        assert_eq!(written(&catalogue, "users", &Deed::Insert), expected);
    }

    #[test]
    fn what_the_database_runs_by_itself_counts() {
        let aside = Aside {
            reads: ["members".to_owned()].into(),
            routines: ["may_see".to_owned()].into(),
            routines_on_writes: ["next_code".to_owned()].into(),
        };
        let catalogue = Catalogue::new(Dialect::Postgres)
            .aside("papers", aside)
            .routine("may_see", Effects::none().reads(["roles"]))
            .routine("next_code", Effects::none().writes(["codes"]));
        let mut found = Found::new(&catalogue);
        found.reads("papers");
        let footprint = found.finish();
        assert_eq!(footprint.reads().collect::<Vec<_>>(), ["members", "papers", "roles"]);
        assert!(!footprint.is_write());
        let tables: Vec<String> =
            written(&catalogue, "papers", &Deed::Insert).into_iter().map(|(table, _)| table).collect();
        assert_eq!(tables, ["codes", "papers"]);
        let catalogue = catalogue.routine("compare", Effects::unknown()).hidden_routine("compare");
        let mut found = Found::new(&catalogue);
        found.runs_hidden();
        assert!(found.finish().writes_anything());
    }

    #[test]
    fn more_rows_than_are_told_are_any() {
        let mut rows = Rows::Keys((0..40).map(|key| key.to_string()).collect());
        rows.add(Rows::Keys((40..64).map(|key| key.to_string()).collect()));
        assert!(matches!(&rows, Rows::Keys(keys) if keys.len() == MOST_ROWS));
        rows.add(Rows::Keys(["64".to_owned()].into()));
        assert_eq!(rows, Rows::Unknown);
    }
}
