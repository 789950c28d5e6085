//! Which SQL a connection speaks, as far as the names of tables depend on it.

use sqlparser::ast::Ident;
use sqlparser::dialect::{self, MySqlDialect, PostgreSqlDialect, SQLiteDialect};

/// So many bytes of a name count in PostgreSQL.
const POSTGRES_NAME: usize = 63;

/// The SQL that a database speaks.
///
/// ```
/// use cachemacro_sql::{Catalogue, Dialect, Statements};
///
/// let tables = |dialect, sql| {
///     let footprint = Statements::new(Catalogue::new(dialect)).footprint(sql);
///     footprint.reads().map(str::to_owned).collect::<Vec<_>>()
/// };
/// assert_eq!(tables(Dialect::Postgres, r#"SELECT * FROM "Users""#), ["Users"]);
/// assert_eq!(tables(Dialect::Sqlite, r#"SELECT * FROM "Users""#), ["users"], "case counts nowhere in SQLite");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// Of SQLite.
    Sqlite,
    /// Of PostgreSQL.
    Postgres,
    /// Of MySQL and MariaDB.
    MySql,
}

impl Dialect {
    /// The grammar to parse by.
    pub(crate) fn grammar(self) -> &'static dyn dialect::Dialect {
        match self {
            Self::Sqlite => &SQLiteDialect {},
            Self::Postgres => &PostgreSqlDialect {},
            Self::MySql => &MySqlDialect {},
        }
    }

    /// A name as the database compares it.
    pub(crate) fn fold(self, name: &Ident) -> String {
        match self {
            Self::Postgres if name.quote_style.is_some() => cut(name.value.clone()),
            Self::Postgres => cut(name.value.to_lowercase()),
            Self::Sqlite | Self::MySql => self.fold_stored(&name.value),
        }
    }

    /// A name that the catalogue tells, as [`fold`](Self::fold) gives it. Whether case counts in MySQL depends on its files; names that
    /// differ in nothing else are one here.
    pub(crate) fn fold_stored(self, name: &str) -> String {
        match self {
            Self::Postgres => name.to_owned(),
            Self::Sqlite | Self::MySql => name.to_lowercase(),
        }
    }

    /// The schema whose tables go by their name alone, where the catalogue does not say which.
    pub(crate) const fn home(self) -> &'static str {
        match self {
            Self::Sqlite => "main",
            Self::Postgres => "public",
            Self::MySql => "",
        }
    }

    /// Whether a table of this name is the database's own, so that nothing tells when it changes.
    pub(crate) fn is_own(self, schema: Option<&str>, name: &str) -> bool {
        let schema = schema.unwrap_or_default();
        match self {
            Self::Sqlite => ["sqlite_", "pragma_", "dbstat"].iter().any(|own| name.starts_with(own)),
            Self::Postgres => {
                schema.starts_with("pg_") || schema == "information_schema" || name.starts_with("pg_")
            }
            Self::MySql => ["mysql", "sys", "information_schema", "performance_schema"].contains(&schema),
        }
    }
}

fn cut(mut name: String) -> String {
    if name.len() > POSTGRES_NAME {
        let mut end = POSTGRES_NAME;
        while !name.is_char_boundary(end) {
            end -= 1;
        }
        name.truncate(end);
    }
    name
}
