//! Functions that come with a database and run what they are given as text, so that nobody sees what they read and write.

use crate::sql::dialect::Dialect;

/// Of PostgreSQL and the modules that it is shipped with.
const OF_POSTGRES: &[&str] = &[
    "crosstab",
    "cursor_to_xml",
    "database_to_xml",
    "dblink",
    "dblink_exec",
    "dblink_open",
    "dblink_send_query",
    "lo_import",
    "query_to_xml",
    "query_to_xml_and_xmlschema",
    "query_to_xmlschema",
    "schema_to_xml",
    "table_to_xml",
    "table_to_xml_and_xmlschema",
    "ts_rewrite",
    "ts_stat",
];

/// Of SQLite and its shell.
const OF_SQLITE: &[&str] = &["eval", "load_extension"];

/// Whether a function of this name runs a statement that it is given as text.
pub(crate) fn runs_text(dialect: Dialect, name: &str) -> bool {
    match dialect {
        Dialect::Postgres => OF_POSTGRES.binary_search(&name).is_ok(),
        Dialect::Sqlite => OF_SQLITE.contains(&name),
        Dialect::MySql => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_name_is_found() {
        assert!(OF_POSTGRES.iter().all(|name| runs_text(Dialect::Postgres, name)));
        assert!(!runs_text(Dialect::Postgres, "count"));
    }
}
