//! What definitions of SQLite hide from statements.
//!
//! | removed | test |
//! |---|---|
//! | virtual tables | `what_virtual_tables_show_goes_with_the_table_that_has_the_rows` |
//! | what definitions say of rows | `rows_that_a_definition_replaces_and_keys_that_compare_by_a_collation_have_no_names` |

use crate::watched::alone;

#[tokio::test]
async fn what_virtual_tables_show_goes_with_the_table_that_has_the_rows() {
    let rig = alone(
        "CREATE TABLE papers (id INTEGER PRIMARY KEY, title TEXT);
         CREATE TABLE others (id INTEGER);
         CREATE VIRTUAL TABLE found USING fts5(title, content='papers', content_rowid='id');
         CREATE VIRTUAL TABLE own USING fts5(title);
         CREATE VIRTUAL TABLE words USING fts5vocab('own', 'row');
         INSERT INTO papers VALUES (1, 'a')",
    )
    .await;
    let all = ["found", "own", "papers", "others", "found('a')"];
    rig.cached(&all).await;
    rig.run("UPDATE papers SET title = 'b'").await.expect("a row");
    assert_eq!(rig.evicted(&all).await, ["found", "papers", "found('a')"]);
    rig.run("INSERT INTO own VALUES ('c')").await.expect("a row");
    assert_eq!(rig.evicted(&all).await, ["own"]);
    rig.run("INSERT INTO found (rowid, title) VALUES (1, 'b')").await.expect("a row");
    assert_eq!(rig.evicted(&["found", "own", "others", "found('a')"]).await, ["found", "found('a')"]);
    rig.count("words").await;
    rig.count("words").await;
    assert!(rig.count("words").await.1, "nobody knows what it shows");
}

#[tokio::test]
async fn rows_that_a_definition_replaces_and_keys_that_compare_by_a_collation_have_no_names() {
    let rig = alone(
        "CREATE TABLE codes (id INTEGER PRIMARY KEY, code TEXT UNIQUE ON CONFLICT REPLACE);
         CREATE TABLE uses (code INTEGER REFERENCES codes ON DELETE CASCADE);
         CREATE TABLE folded (code TEXT COLLATE NOCASE, name TEXT, PRIMARY KEY (code COLLATE BINARY));
         CREATE TABLE made (id INTEGER PRIMARY KEY, a TEXT, b TEXT AS (a) STORED UNIQUE);
         CREATE TABLE of_made (b TEXT REFERENCES made (b) ON UPDATE CASCADE);
         INSERT INTO codes VALUES (1, 'a');
         INSERT INTO uses VALUES (1);
         INSERT INTO folded VALUES ('A', '')",
    )
    .await;
    let row = async |table: &str, key: &str| {
        let entry = rig.cache.entry::<u32>(table, key).with_tags(cachemacro_sql::row(table, key));
        let was_there = entry.has().await.expect("an answer");
        entry.set(&1).await.expect("set");
        was_there
    };
    row("codes", "1").await;
    row("folded", "A").await;
    rig.cached(&["uses", "of_made"]).await;
    rig.run("INSERT INTO codes (id, code) VALUES (2, 'a')").await.expect("a row");
    assert!(!row("codes", "1").await, "it gave way");
    assert_eq!(rig.evicted(&["uses"]).await, ["uses"]);
    rig.run("UPDATE folded SET name = 'x' WHERE code = 'a'").await.expect("a row");
    assert!(!row("folded", "A").await);
    rig.run("UPDATE made SET a = 'x'").await.expect("no row");
    assert_eq!(rig.evicted(&["of_made"]).await, ["of_made"]);
}
