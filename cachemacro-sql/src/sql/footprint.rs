//! What a statement does, in the terms of the catalogue: the tables that it reads and writes, and the rows where they are named.

use std::collections::{BTreeMap, BTreeSet};

use crate::sql::catalogue::{Catalogue, Effects, Shown};

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
    begins: bool,
    ends: bool,
    releases: bool,
}

impl Footprint {
    /// Of a text that nobody understands: it may read and write anything.
    pub(crate) fn unknown() -> Self {
        Self {
            reads_unknown: true,
            writes_unknown: true,
            changes_catalogue: true,
            begins: true,
            releases: true,
            ..Self::default()
        }
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

    /// Whether it may begin a transaction.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// assert!(statements.footprint("BEGIN IMMEDIATE").begins() && statements.footprint("SAVEPOINT a").begins());
    /// ```
    pub const fn begins(&self) -> bool {
        self.begins
    }

    /// Whether it ends a transaction, either way.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// assert!(statements.footprint("COMMIT").ends() && statements.footprint("ROLLBACK").ends());
    /// ```
    pub const fn ends(&self) -> bool {
        self.ends
    }

    /// Whether it may release a savepoint, with which a transaction may have begun.
    ///
    /// ```
    /// # use cachemacro_sql::{Catalogue, Dialect, Statements};
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// assert!(statements.footprint("RELEASE a").releases() && !statements.footprint("ROLLBACK TO a").ends());
    /// ```
    pub const fn releases(&self) -> bool {
        self.releases
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

    pub(crate) fn begins(&mut self) {
        self.footprint.begins = true;
    }

    pub(crate) fn ends(&mut self) {
        self.footprint.ends = true;
    }

    pub(crate) fn releases(&mut self) {
        self.footprint.releases = true;
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
                self.footprint.reads.insert(self.catalogue.root(table).to_owned());
            }
        }
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
        let root = catalogue.root(table);
        // A trigger may change the key of the row that is to be written.
        let rows = if catalogue.triggers_on(root).is_empty() { rows } else { Rows::Unknown };
        self.note(root, rows);
        if root != table {
            self.pulls(root, deed);
            self.follow(table, deed);
        }
        self.follow(root, deed);
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
    use crate::sql::catalogue::ForeignKey;
    use crate::sql::dialect::Dialect;

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

    #[test]
    fn more_rows_than_are_told_are_any() {
        let mut rows = Rows::Keys((0..40).map(|key| key.to_string()).collect());
        rows.add(Rows::Keys((40..64).map(|key| key.to_string()).collect()));
        assert!(matches!(&rows, Rows::Keys(keys) if keys.len() == MOST_ROWS));
        rows.add(Rows::Keys(["64".to_owned()].into()));
        assert_eq!(rows, Rows::Unknown);
    }
}
