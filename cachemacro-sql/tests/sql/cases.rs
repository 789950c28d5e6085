//! The statements of `statements.txt`, each in the dialects that know it.

use std::collections::BTreeMap;

use cachemacro_sql::{Catalogue, Dialect, Effects, Footprint, ForeignKey, KeyKind, Rows, Statements};

/// The statements, one a line.
const CASES: &str = include_str!("statements.txt");

/// The database that they are about.
pub(crate) fn catalogue(dialect: Dialect) -> Catalogue {
    let tables = ["users", "orders", "airports", "runways", "countries", "events", "log", "secrets"];
    let mut catalogue = Catalogue::new(dialect);
    if dialect == Dialect::MySql {
        catalogue = catalogue.home("shop");
    } else {
        // Text compares without case in MySQL.
        catalogue = catalogue.key("airports", "icao", KeyKind::Text);
    }
    for table in tables {
        catalogue = catalogue.table(table);
    }
    catalogue
        .table("reports")
        .table("archive.reports")
        .key("runways", "id", KeyKind::Integer)
        .key("users", "id", KeyKind::Integer)
        .view("big_airports", ["airports", "countries"])
        .partition("events_2031", "events")
        .foreign_key(ForeignKey::new("runways", "airports").on_delete().on_update(["icao"]))
        .foreign_key(ForeignKey::new("airports", "countries").on_update(["code"]))
        .trigger("users", "log_users", Effects::none().writes(["log"]))
        .trigger("secrets", "nobody_knows", Effects::unknown())
        .routine("total_of", Effects::none().reads(["orders"]))
        .routine("archive_old", Effects::none().reads(["reports"]).writes(["archive.reports"]))
        .routine("tidy", Effects::unknown())
}

pub(crate) const DIALECTS: [(char, Dialect); 3] =
    [('s', Dialect::Sqlite), ('p', Dialect::Postgres), ('m', Dialect::MySql)];

/// Lines of the table: the dialects, the statement and what is expected of it.
pub(crate) fn lines() -> impl Iterator<Item = (&'static str, &'static str, &'static str)> {
    CASES.lines().filter(|line| !line.is_empty() && !line.starts_with("# ")).map(|line| {
        let (dialects, rest) = line.split_once(' ').expect("dialects and a statement");
        let (sql, expected) = rest.rsplit_once("=>").expect("a statement and what is expected");
        (dialects, sql.trim(), expected.trim())
    })
}

/// A footprint as the table gives it.
fn shown(footprint: &Footprint) -> String {
    let anything = |is: bool| is.then(|| "*".to_owned());
    let reads = anything(footprint.reads_anything()).into_iter().chain(footprint.reads().map(str::to_owned));
    let writes = footprint.writes().map(|(table, rows)| match rows {
        Rows::Unknown => table.to_owned(),
        Rows::Keys(keys) => format!("{table}[{}]", keys.iter().cloned().collect::<Vec<_>>().join(",")),
    });
    // What else is written matters no more then.
    let writes: Vec<String> = match anything(footprint.writes_anything()) {
        Some(anything) => vec![anything],
        None => writes.collect(),
    };
    let besides = [
        ("catalogue", footprint.changes_catalogue()),
        ("begins", footprint.begins()),
        ("ends", footprint.ends()),
    ];
    let besides: Vec<&str> = besides.into_iter().filter_map(|(word, is)| is.then_some(word)).collect();
    format!("{}; {}; {}", reads.collect::<Vec<_>>().join(" "), writes.join(" "), besides.join(" "))
}

/// The same of what the table says, where `;` at its end and blanks are left out.
fn normal(expected: &str) -> String {
    let mut parts = expected.split(';').map(|part| part.split_whitespace().collect::<Vec<_>>().join(" "));
    [(); 3].map(|()| parts.next().unwrap_or_default()).join("; ")
}

#[test]
fn each_statement_reads_and_writes_the_tables_that_it_says_in_each_dialect() {
    let mut wrong = Vec::new();
    let mut counts = BTreeMap::new();
    for (letter, dialect) in DIALECTS {
        let statements = Statements::new(catalogue(dialect));
        for (dialects, sql, expected) in lines() {
            if dialects.contains(letter) {
                *counts.entry(letter).or_insert(0) += 1;
                let found = shown(&statements.footprint(sql));
                if found != normal(expected) {
                    wrong.push(format!(
                        "{dialect:?}: {sql}\n   found    {found}\n   expected {}",
                        normal(expected)
                    ));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong\n{}", wrong.len(), wrong.join("\n"));
    assert!(counts.values().all(|count| *count >= 80), "{counts:?}");
}
