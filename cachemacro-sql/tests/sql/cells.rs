//! The guide's table of writes and of who sees them: each cell has its tests, and those that were missing elsewhere are here.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::{Duration, Instant};

use cachemacro::{Cache, cached};
use cachemacro_sql::{Watched, install, row, table};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{AssertSqlSafe, PgPool};

use crate::postgres::Server;

/// How a row of the table begins; the tests of what a handle sees, and of what triggers see.
const CELLS: &[(&str, &[&str], &[&str])] = &[
    (
        "`INSERT`, `UPDATE`, `DELETE`",
        &[
            "a_write_evicts_what_was_loaded_from_its_table_before_it_returns",
            "rows_are_evicted_by_the_key_that_a_write_gives_as_a_literal",
            "a_write_with_a_bound_key_leaves_other_rows_alone",
            "writes_evict",
            "rows_are_evicted_by_their_keys",
            "bound_keys_are_known",
        ],
        &[
            "what_others_write_is_evicted_by_row",
            "many_rows_are_noted_together",
            "by_row",
            "many_rows_are_any",
        ],
    ),
    (
        "`REPLACE`, `OR REPLACE`",
        &["rows_that_replace_removes_are_evicted_though_no_trigger_sees_them"],
        &["a_foreign_replace_hides_rows_that_are_equal_by_another_key"],
    ),
    ("`TRUNCATE`", &["the_catalogue_is_followed"], &["by_row"]),
    (
        "rows that a foreign key",
        &["cascades_views_and_triggers_are_followed", "the_catalogue_is_followed"],
        &["what_others_write_is_evicted_by_row", "by_row"],
    ),
    (
        "what a trigger writes",
        &[
            "cascades_views_and_triggers_are_followed",
            "what_a_trigger_does_that_is_not_understood_can_be_said",
            "triggers_and_routines_count_as_they_are_said",
        ],
        &["what_others_do_by_other_means_is_noted", "what_others_do_on_sqlite_by_other_means_is_noted"],
    ),
    (
        "through a view",
        &["what_is_written_through_a_view_is_of_the_tables_that_it_shows"],
        &["what_others_do_by_other_means_is_noted", "what_others_do_on_sqlite_by_other_means_is_noted"],
    ),
    (
        "a partition, or a table that inherits",
        &["the_catalogue_is_followed", "what_the_database_does_by_itself_counts"],
        &["by_row", "what_is_not_seen_is_said"],
    ),
    (
        "what defaults, checks",
        &["what_the_database_does_by_itself_counts"],
        &["what_others_do_by_other_means_is_noted"],
    ),
    (
        "routines of PostgreSQL",
        &["triggers_and_routines_count_as_they_are_said"],
        &["what_others_do_by_other_means_is_noted"],
    ),
    (
        "`DO`, `COPY … FROM`",
        &["the_catalogue_is_followed"],
        &["by_row", "what_others_do_by_other_means_is_noted"],
    ),
    (
        "`ALTER`, `DROP`",
        &["a_catalogue_that_changes_is_read_anew"],
        &["what_others_define_is_known_once_the_catalogue_was_read_anew"],
    ),
    (
        "in a transaction",
        &["what_a_transaction_writes_is_evicted_by_its_commit", "transactions_evict_with_their_commit"],
        &["what_others_write_is_evicted_by_row", "late_commits_are_not_skipped"],
    ),
    (
        "a commit that nobody waits for",
        &[
            "a_commit_that_nobody_waits_for_goes_on_and_evicts_then",
            "a_transaction_may_be_set_up_before_it_reads",
        ],
        &["late_commits_are_not_skipped"],
    ),
    (
        "a statement that failed",
        &["a_statement_that_failed_half_way_evicts", "a_stream_that_is_dropped_half_way_evicts"],
        &["what_others_write_is_evicted_by_row"],
    ),
    (
        "a process that is killed",
        &["a_writer_that_is_killed_before_its_evict"],
        &["a_writer_that_is_killed_before_its_evict"],
    ),
    (
        "with `session_replication_role",
        &[
            "what_a_replicas_session_writes_is_seen_by_its_handle_alone",
            "what_is_written_without_triggers_is_seen_by_its_handle_alone",
        ],
        &[
            "what_a_replicas_session_writes_is_seen_by_its_handle_alone",
            "what_logical_replication_brings_is_not_noted",
            "what_is_written_without_triggers_is_seen_by_its_handle_alone",
            "what_is_not_seen_is_said",
        ],
    ),
    (
        "a replica that lags behind",
        &["what_a_replica_says_that_lags_behind_is_taken_for_true"],
        &["what_a_replica_says_that_lags_behind_is_taken_for_true"],
    ),
];

#[test]
fn each_cell_of_the_guides_table_has_its_tests() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |path: &Path| std::fs::read_to_string(path).expect("it is there");
    let guide = read(&root.join("../docs/database.md"));
    let table = guide.split("| write | through a watched handle").nth(1).expect("the table");
    let rows: Vec<&str> = table.lines().skip(2).map_while(|line| line.strip_prefix("| ")).collect();
    assert_eq!(rows.len(), CELLS.len(), "{rows:#?}");
    let mut tests = BTreeSet::new();
    for file in std::fs::read_dir(root.join("tests/sql")).expect("this folder").flatten() {
        if file.path().extension().is_some_and(|extension| extension == "rs") {
            let text = read(&file.path());
            let names = text.split("async fn ").skip(1).filter_map(|rest| rest.split('(').next());
            tests.extend(names.map(str::to_owned));
        }
    }
    for (row, (begins, handle, triggers)) in rows.iter().zip(CELLS) {
        assert!(row.starts_with(begins), "{row} and {begins}");
        for test in handle.iter().chain(*triggers) {
            assert!(tests.contains(*test), "{begins}: there is no test {test}");
        }
    }
}

const POSTGRES: &str = "
    CREATE TABLE goods (id INT PRIMARY KEY, name TEXT);
    CREATE TABLE log (id INT);
    CREATE TABLE codes (n INT);
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END $$;
    CREATE TRIGGER noted AFTER INSERT ON goods FOR EACH ROW EXECUTE FUNCTION note();
    CREATE FUNCTION next_code() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO codes VALUES (1) RETURNING n';
    CREATE TABLE coded (id INT DEFAULT next_code());
    CREATE PROCEDURE tidy() LANGUAGE sql AS 'DELETE FROM log';
    CREATE VIEW shown AS SELECT * FROM goods WHERE id < 100;
    INSERT INTO goods VALUES (1, ''), (2, '');
";

struct Foreign<P> {
    cache: Cache,
    db: Watched<P>,
    outbox: cachemacro_sql::Outbox,
}

impl<P: cachemacro_sql::Watch> Foreign<P> {
    async fn new<const N: usize>(pool: P, tables: [cachemacro_sql::Table; N]) -> Self {
        let cache = Cache::memory();
        let db = Watched::new(pool).cache(&cache);
        let outbox = install(&db, tables).await.expect("installed");
        outbox.stop().await;
        Self { cache, db, outbox }
    }

    /// Which of these entries are gone once the outbox is empty; all are there afterwards.
    async fn gone<'t>(&self, tags: &[&'t str]) -> Vec<&'t str> {
        self.outbox.drain().await.expect("drained");
        let mut gone = Vec::new();
        for tag in tags {
            let entry = self.cache.entry::<u32>("tagged", tag).with_tags([*tag, "db"]);
            if !entry.has().await.expect("an answer") {
                gone.push(*tag);
            }
            entry.set(&1).await.expect("set");
        }
        gone
    }
}

#[tokio::test]
async fn what_others_do_by_other_means_is_noted() {
    let server = Server::start();
    let pool = server.pool("postgres").await;
    sqlx::raw_sql(POSTGRES).execute(&pool).await.expect("well-formed");
    let foreign = Foreign::new(pool.clone(), [table("goods").key("id"), table("log"), table("codes")]).await;
    let all = ["db:goods", "db:goods:1", "db:goods:2", "db:log", "db:codes"];
    foreign.gone(&all).await;
    for (sql, gone) in [
        ("INSERT INTO goods VALUES (7, '')", &["db:goods", "db:log"][..]),
        ("UPDATE shown SET name = 'a' WHERE id = 1", &["db:goods", "db:goods:1"]),
        ("INSERT INTO coded VALUES (DEFAULT)", &["db:codes"]),
        ("CALL tidy()", &["db:log"]),
        (
            "PREPARE p AS DELETE FROM goods WHERE id = $1; EXECUTE p(2); DEALLOCATE p",
            &["db:goods", "db:goods:2"],
        ),
        ("COPY log FROM PROGRAM 'echo 7'", &["db:log"]),
    ] {
        sqlx::raw_sql(sql).execute(&pool).await.expect(sql);
        assert_eq!(foreign.gone(&all).await, gone, "{sql}");
    }
}

#[tokio::test]
async fn what_a_replicas_session_writes_is_seen_by_its_handle_alone() {
    let server = Server::start();
    let pool = server.pool("postgres").await;
    sqlx::raw_sql(POSTGRES).execute(&pool).await.expect("well-formed");
    let foreign = Foreign::new(pool.clone(), [table("goods").key("id")]).await;
    let all = ["db:goods", "db:goods:1"];
    foreign.gone(&all).await;
    let sql = "SET session_replication_role = replica; UPDATE goods SET name = '' WHERE id = 1; RESET session_replication_role";
    sqlx::raw_sql(sql).execute(&pool).await.expect("rows");
    assert_eq!(foreign.gone(&all).await, [""; 0]);
    sqlx::raw_sql(sql).execute(&foreign.db).await.expect("rows");
    assert_eq!(foreign.gone(&all).await, all);
}

#[tokio::test]
async fn what_is_written_without_triggers_is_seen_by_its_handle_alone() {
    let server = Server::start();
    let pool = server.pool("postgres").await;
    sqlx::raw_sql(POSTGRES).execute(&pool).await.expect("well-formed");
    let foreign = Foreign::new(pool.clone(), [table("goods").key("id")]).await;
    let all = ["db:goods", "db:goods:*"];
    foreign.gone(&all).await;
    sqlx::raw_sql("ALTER TABLE goods DISABLE TRIGGER USER").execute(&pool).await.expect("they are its own");
    let update = || sqlx::query("UPDATE goods SET name = '' WHERE id = $1").bind(1);
    update().execute(&pool).await.expect("a row");
    assert_eq!(foreign.gone(&all).await, [""; 0]);
    update().execute(&foreign.db).await.expect("a row");
    assert_eq!(foreign.gone(&all).await, all, "the second is on each row");
}

/// Whether this comes true in time.
async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !is_so().await {
        assert!(began.elapsed() < Duration::from_secs(30), "{what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn what_logical_replication_brings_is_not_noted() {
    let server = Server::with(&["wal_level=logical"]);
    let here = server.pool("postgres").await;
    let schema = "
        CREATE TABLE goods (id INT PRIMARY KEY, name TEXT);
        CREATE PUBLICATION all_goods FOR TABLE goods;
        ";
    sqlx::raw_sql(schema).execute(&here).await.expect("well-formed");
    // In a transaction of its own.
    let slot = "SELECT pg_create_logical_replication_slot('goods', 'pgoutput')";
    sqlx::raw_sql(slot).execute(&here).await.expect("a slot");
    sqlx::raw_sql("CREATE DATABASE there").execute(&here).await.expect("created");
    let there = server.pool("there").await;
    sqlx::raw_sql("CREATE TABLE goods (id INT PRIMARY KEY, name TEXT)")
        .execute(&there)
        .await
        .expect("created");
    let foreign = Foreign::new(there.clone(), [table("goods").key("id")]).await;
    let all = ["db:goods", "db:goods:1"];
    foreign.gone(&all).await;
    let subscribe = AssertSqlSafe(format!(
        "CREATE SUBSCRIPTION goods CONNECTION '{}' PUBLICATION all_goods WITH (create_slot = false, copy_data = false)",
        server.url("postgres", "postgres")
    ));
    sqlx::raw_sql(subscribe).execute(&there).await.expect("subscribed");
    sqlx::raw_sql("INSERT INTO goods VALUES (1, '')").execute(&here).await.expect("a row");
    let is_there = async || {
        let there: i64 =
            sqlx::query_scalar("SELECT COUNT(*) FROM goods").fetch_one(&there).await.expect("a count");
        there == 1
    };
    until("the row arrives", is_there).await;
    assert_eq!(foreign.gone(&all).await, [""; 0]);
    let told = foreign.outbox.gaps().iter().any(|gap| gap.contains("logical replication"));
    assert!(told, "{:?}", foreign.outbox.gaps());
}

#[cached(prefix = "name", skip(db), recorded)]
async fn name(db: &Watched<PgPool>) -> sqlx::Result<String> {
    sqlx::query_scalar("SELECT name FROM goods WHERE id = 1").fetch_one(db).await
}

#[tokio::test]
async fn what_a_replica_says_that_lags_behind_is_taken_for_true() {
    let server = Server::start();
    let pool = server.pool("postgres").await;
    sqlx::raw_sql(POSTGRES).execute(&pool).await.expect("well-formed");
    let foreign = Foreign::new(pool.clone(), [table("goods").key("id")]).await;
    let replica = server.replica("1h");
    let lagging = Watched::new(replica.pool("postgres").await).cache(&foreign.cache);
    let read = async || foreign.cache.scope(name(&lagging)).await.expect("a row");
    let sql = "UPDATE goods SET name = 'new' WHERE id = 1";
    let loads = || foreign.cache.stats().total.loads;
    for (write, by_handle) in [("a handle's", true), ("another's", false)] {
        assert_eq!((read().await, read().await, write), (String::new(), String::new(), write));
        let before = loads();
        if by_handle {
            sqlx::query(sql).execute(&foreign.db).await.expect("a row");
        } else {
            sqlx::query(sql).execute(&pool).await.expect("a row");
        }
        foreign.outbox.drain().await.expect("drained");
        // It is evicted, and loaded as it was: from now on nobody tells that it is old.
        assert_eq!((read().await, loads()), (String::new(), before + 1), "{write}");
        assert_eq!((read().await, loads()), (String::new(), before + 1), "{write}");
    }
}

async fn sqlite(schema: &'static str) -> sqlx::SqlitePool {
    let options = SqliteConnectOptions::new().in_memory(true).busy_timeout(Duration::from_secs(30));
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("a database");
    sqlx::raw_sql(schema).execute(&pool).await.expect("well-formed");
    pool
}

const SQLITE: &str = "
    CREATE TABLE goods (id INTEGER PRIMARY KEY, name TEXT, code TEXT UNIQUE);
    CREATE TABLE log (id INTEGER);
    CREATE TRIGGER noted AFTER INSERT ON goods BEGIN INSERT INTO log VALUES (NEW.id); END;
    CREATE VIEW shown AS SELECT * FROM goods WHERE id < 100;
    CREATE TRIGGER renamed INSTEAD OF UPDATE ON shown BEGIN UPDATE goods SET name = NEW.name WHERE id = OLD.id; END;
    INSERT INTO goods VALUES (1, '', 'a'), (2, '', 'b');
";

#[tokio::test]
async fn what_others_do_on_sqlite_by_other_means_is_noted() {
    let pool = sqlite(SQLITE).await;
    let foreign = Foreign::new(pool.clone(), [table("goods").key("id"), table("log")]).await;
    let all = ["db:goods", "db:goods:1", "db:goods:2", "db:log"];
    foreign.gone(&all).await;
    for (sql, gone) in [
        ("INSERT INTO goods VALUES (7, '', '')", &["db:goods", "db:log"][..]),
        ("UPDATE shown SET name = 'a' WHERE id = 1", &["db:goods", "db:goods:1"]),
    ] {
        sqlx::raw_sql(sql).execute(&pool).await.expect(sql);
        assert_eq!(foreign.gone(&all).await, gone, "{sql}");
    }
}

#[tokio::test]
async fn a_foreign_replace_hides_rows_that_are_equal_by_another_key() {
    let pool = sqlite(SQLITE).await;
    let foreign = Foreign::new(pool.clone(), [table("goods").key("id")]).await;
    let all = ["db:goods", "db:goods:1", "db:goods:2"];
    foreign.gone(&all).await;
    let replace = |sql: &'static str| sqlx::raw_sql(sql).execute(&pool);
    replace("REPLACE INTO goods VALUES (1, 'x', 'a')").await.expect("a row");
    assert_eq!(foreign.gone(&all).await, ["db:goods", "db:goods:1"]);
    replace("REPLACE INTO goods VALUES (3, 'x', 'a')").await.expect("a row");
    assert_eq!(foreign.gone(&all).await, ["db:goods"], "the row 1 gave way unseen");
    let told = "PRAGMA recursive_triggers = ON; REPLACE INTO goods VALUES (4, 'x', 'b')";
    replace(told).await.expect("a row");
    assert_eq!(foreign.gone(&all).await, ["db:goods", "db:goods:2"]);
}

#[tokio::test]
async fn what_is_written_through_a_view_is_of_the_tables_that_it_shows() {
    let pool = sqlite(SQLITE).await;
    let cache = Cache::memory();
    let db = Watched::new(pool).cache(&cache);
    let goods =
        cache.entry::<u32>("goods", ()).with_tags(row("goods", 1).into_iter().chain(["db:goods".to_owned()]));
    let others = cache.entry::<u32>("others", ()).with_tags(["db:others", "db"]);
    goods.set(&1).await.expect("set");
    others.set(&1).await.expect("set");
    let sql = AssertSqlSafe("UPDATE shown SET name = 'b' WHERE id = 1");
    sqlx::query(sql).execute(&db).await.expect("a row");
    assert!(!goods.has().await.expect("an answer") && others.has().await.expect("an answer"));
}
