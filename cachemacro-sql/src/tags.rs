//! The tags of databases, tables and rows.

use std::collections::BTreeSet;
use std::fmt::Display;

use cachemacro::Key;

use crate::sql::footprint::{Footprint, Rows};

/// The name of a database that was given none.
pub(crate) const NAME: &str = "db";

/// What the entry of a row is to carry: the tags of the row, of rows that a write does not name, and of all that is in the database.
///
/// A write that names the row evicts the first; one of its table that names no rows the second; one that is not understood the third.
/// The table is named as in a [`Catalogue`](crate::Catalogue). Of a database with a name of its own see [`row_of`].
///
/// ```
/// use cachemacro::{Cache, cached};
/// use cachemacro_sql::row;
///
/// #[cached(prefix = "airport", key = "{icao}", tags = row("airports", icao))]
/// async fn airport(icao: &str) -> Option<String> {
///     Some("London Heathrow".to_owned()) // SELECT … WHERE icao = ?
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// assert_eq!(row("airports", "EGLL"), ["db:airports:EGLL", "db:airports:*", "db"]);
/// airport("EGLL").await;
/// airport("EDDF").await;
/// Cache::current().evict_tags(["db:airports:EGLL"]).await?; // UPDATE airports … WHERE icao = 'EGLL'
/// airport("EGLL").await;
/// airport("EDDF").await;
/// assert_eq!(Cache::current().stats().total.loads, 3);
/// # Ok(())
/// # }
/// ```
pub fn row(table: &str, key: impl Display) -> [String; 3] {
    row_of(NAME, table, key)
}

/// [`row`] in the database of this name.
///
/// ```
/// assert_eq!(cachemacro_sql::row_of("shop", "old.orders", 7), ["shop:old.orders:7", "shop:old.orders:*", "shop"]);
/// ```
pub fn row_of(name: &str, table: &str, key: impl Display) -> [String; 3] {
    [row_tag(name, table, &key.to_string()), any_row(name, table), all(name)]
}

/// The tag of all that is in this database.
pub(crate) fn all(name: &str) -> String {
    Key::escape(name)
}

fn row_tag(name: &str, table: &str, key: &str) -> String {
    format!("{}:{}", table_tag(name, table), Key::escape(key))
}

/// The tag of all that reads this table.
fn table_tag(name: &str, table: &str) -> String {
    format!("{}:{}", Key::escape(name), Key::escape(table))
}

/// The tag of the rows of this table that a write does not name.
fn any_row(name: &str, table: &str) -> String {
    format!("{}:*", table_tag(name, table))
}

/// The tags of tables of which these rows changed, and of the rows.
#[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
pub(crate) fn changed_tags(
    name: &str,
    changed: &std::collections::BTreeMap<String, Option<BTreeSet<String>>>,
) -> Vec<String> {
    written_tags(name, changed.iter().map(|(table, keys)| (table.as_str(), keys.as_ref())))
}

/// The tags of these tables, and of their rows; `None`: it is not known of which.
fn written_tags<'a>(
    name: &str,
    written: impl Iterator<Item = (&'a str, Option<&'a BTreeSet<String>>)>,
) -> Vec<String> {
    let mut tags = Vec::new();
    for (table, keys) in written {
        tags.push(table_tag(name, table));
        match keys {
            None => tags.push(any_row(name, table)),
            Some(keys) => tags.extend(keys.iter().map(|key| row_tag(name, table, key))),
        }
    }
    tags
}

impl Footprint {
    /// The tags of what is made of what these statements read, in the database of this name; `None` where that is not known.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, Statements};
    ///
    /// let statements = Statements::new(Catalogue::new(Dialect::Sqlite));
    /// let tags = |sql| statements.footprint(sql).read_tags("db");
    /// assert_eq!(tags("SELECT * FROM users").unwrap(), ["db", "db:users"]);
    /// assert_eq!(tags("PRAGMA table_info(users)"), None);
    /// ```
    pub fn read_tags(&self, name: &str) -> Option<Vec<String>> {
        let tables = self.reads().map(|table| table_tag(name, table));
        (!self.reads_anything()).then(|| std::iter::once(all(name)).chain(tables).collect())
    }

    /// The same of what is made of what they read or write.
    #[cfg(any(feature = "sqlx-postgres", feature = "sqlx-sqlite"))]
    pub(crate) fn read_or_written_tags(&self, name: &str) -> Option<Vec<String>> {
        let mut tags = self.read_tags(name).filter(|_| !self.writes_anything())?;
        tags.extend(self.writes().map(|(table, _)| table_tag(name, table)));
        Some(tags)
    }

    /// The tags to evict after these statements, in the database of this name.
    ///
    /// ```
    /// use cachemacro_sql::{Catalogue, Dialect, KeyKind, Statements};
    ///
    /// let catalogue = Catalogue::new(Dialect::Sqlite).table("users").key("users", "id", KeyKind::Integer);
    /// let statements = Statements::new(catalogue);
    /// let tags = |sql| statements.footprint(sql).evicted_tags("db");
    /// assert_eq!(tags("DELETE FROM users WHERE id IN (7, 8)"), ["db:users", "db:users:7", "db:users:8"]);
    /// assert_eq!(tags("DELETE FROM users"), ["db:users", "db:users:*"]);
    /// assert_eq!(tags("DROP TABLE users"), ["db"]);
    /// ```
    pub fn evicted_tags(&self, name: &str) -> Vec<String> {
        if self.writes_anything() {
            return vec![all(name)];
        }
        let keys = |rows| match rows {
            &Rows::Unknown => None,
            Rows::Keys(keys) => Some(keys),
        };
        written_tags(name, self.writes().map(|(table, rows)| (table, keys(rows))))
    }
}
