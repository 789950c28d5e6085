//! A watched database: what goes through it evicts by itself.
//!
//! | removed | test |
//! |---|---|
//! | evicts after a write | `a_write_evicts_what_was_loaded_from_its_table_before_it_returns` |
//! | … of a statement that failed | `a_statement_that_failed_half_way_evicts` |
//! | … of a stream that nobody reads to its end | `a_stream_that_is_dropped_half_way_evicts` |
//! | evicts wait for the commit | `what_a_transaction_writes_is_evicted_by_its_commit` |
//! | a commit goes on that nobody waits for | `a_commit_that_nobody_waits_for_goes_on_and_evicts_then` |
//! | … text that ends one | `transactions_that_text_begins_and_ends_are_not_lost`, `a_commit_by_text_in_a_transaction_evicts_what_was_written_so_far_and_what_comes_then` |
//! | … or fails to begin one | `a_text_that_fails_to_begin_a_transaction_has_begun_none` |
//! | savepoints | `a_savepoint_that_is_rolled_back_takes_its_evicts_along` |
//! | loads in a transaction are not stored | `what_is_loaded_in_a_transaction_is_not_stored` |
//! | `after_commit` hears of its writes | `in_a_transaction_that_has_written_cached_calls_neither_read_nor_store` |
//! | what was committed is evicted whatever the scope ends with | `what_was_committed_is_evicted_though_the_scope_around_it_fails` |
//! | the catalogue | `cascades_views_and_triggers_are_followed` |
//! | … read anew | `a_catalogue_that_changes_is_read_anew`, `what_others_define_is_known_once_the_catalogue_was_read_anew` |
//! | … not in transactions | `the_first_statement_of_a_transaction_is_its_users`, `what_a_transaction_sees_of_a_catalogue_that_it_changes_nobody_else_takes_for_true` |
//! | … doubted while it changes | `a_statement_that_is_run_while_the_catalogue_changes_evicts_all`, `a_statement_that_was_understood_before_the_catalogue_changed_evicts_all`, `a_load_that_reads_while_the_catalogue_changes_is_not_stored` |
//! | what a load writes is what it read | `a_row_that_a_load_makes_itself_goes_with_its_table` |

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use cachemacro::{Cache, cache_evict, cached};
use cachemacro_sql::{Effects, Watched};
use futures_util::{FutureExt as _, StreamExt as _};
use sqlx::sqlite::{SqliteConnectOptions, SqlitePoolOptions};
use sqlx::{Row as _, SqlitePool};
use tempfile::TempDir;

use crate::outbox::pool;

type Result<T = ()> = std::result::Result<T, sqlx::Error>;

const SCHEMA: &str = "
    CREATE TABLE airports (icao TEXT PRIMARY KEY, name TEXT NOT NULL, country TEXT NOT NULL);
    CREATE TABLE runways (id INTEGER PRIMARY KEY, icao TEXT NOT NULL REFERENCES airports ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE log (text TEXT);
    CREATE TABLE others (id INTEGER PRIMARY KEY);
    CREATE VIEW british AS SELECT * FROM airports WHERE country = 'GB';
    CREATE VIEW british_too AS SELECT * FROM british;
    CREATE TRIGGER logged AFTER UPDATE ON airports BEGIN
        INSERT INTO log SELECT NEW.name WHERE NEW.name <> OLD.name;
    END;
    INSERT INTO airports VALUES ('EGLL', 'Heathrow', 'GB'), ('EGKK', 'Gatwick', 'GB'), ('EDDF', 'Frankfurt', 'DE');
    INSERT INTO runways VALUES (1, 'EGLL'), (2, 'EGLL'), (3, 'EDDF');
";

/// A database of its own, and a cache.
pub(crate) struct Rig {
    db: Watched<SqlitePool>,
    pub(crate) cache: Cache,
    _folder: TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let pool = pool(&folder).await;
        sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("well-formed");
        let cache = Cache::memory();
        Self { db: Watched::new(pool).cache(&cache), cache, _folder: folder }
    }

    /// What a cached count of this table's rows is, and whether it was loaded.
    pub(crate) async fn count(&self, table: &str) -> (i64, bool) {
        let before = self.cache.stats().total.loads;
        let count = self.cache.scope(count(&self.db, table)).await.expect("a table");
        self.cache.stored().await;
        (count, self.cache.stats().total.loads > before)
    }

    /// Loads these counts, so that they are cached.
    pub(crate) async fn cached(&self, tables: &[&str]) {
        for table in tables {
            // The first load of a table that the function has not read before may not be stored.
            self.count(table).await;
            self.count(table).await;
            assert!(!self.count(table).await.1, "{table} is cached");
        }
    }

    pub(crate) async fn run(&self, sql: &'static str) -> Result {
        self.cache.scope(sqlx::query(sql).execute(&self.db)).await.map(drop)
    }

    /// Which of these counts are cached no more.
    pub(crate) async fn evicted<'t>(&self, tables: &[&'t str]) -> Vec<&'t str> {
        let mut evicted = Vec::new();
        for table in tables {
            if self.count(table).await.1 {
                evicted.push(*table);
            }
        }
        evicted
    }
}

#[cached(prefix = "count", key = "{table}", recorded)]
async fn count(db: &Watched<SqlitePool>, table: &str) -> Result<i64> {
    let sql = sqlx::AssertSqlSafe(format!("SELECT COUNT(*) FROM {table}"));
    sqlx::query_scalar(sql).fetch_one(db).await
}

async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed() < Duration::from_secs(30), "it did not come true that {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_write_evicts_what_was_loaded_from_its_table_before_it_returns() {
    let rig = Rig::new().await;
    rig.cached(&["airports", "others"]).await;
    rig.run("INSERT INTO others VALUES (7)").await.expect("a row");
    assert_eq!(rig.count("others").await, (1, true));
    assert!(!rig.count("airports").await.1);
    // Whatever way it is run.
    for way in 0..5 {
        rig.cached(&["others"]).await;
        let query = sqlx::query("INSERT INTO others DEFAULT VALUES RETURNING id");
        match way {
            0 => drop(query.fetch_one(&rig.db).await.expect("a row")),
            1 => drop(query.fetch_optional(&rig.db).await.expect("a row")),
            2 => drop(query.fetch_all(&rig.db).await.expect("a row")),
            3 => drop(query.fetch(&rig.db).collect::<Vec<_>>().await),
            _ => drop(
                sqlx::raw_sql("INSERT INTO others DEFAULT VALUES").execute(&rig.db).await.expect("a row"),
            ),
        }
        assert_eq!(rig.count("others").await, (i64::from(way) + 2, true), "{way}");
    }
    // The catalogue tells what its text does not.
    let read: Result<Vec<_>> = sqlx::query("SELECT * FROM others")
        .fetch(&rig.db)
        .map(|row| row?.try_get::<i64, _>(0))
        .collect::<Vec<_>>()
        .await
        .into_iter()
        .collect();
    assert_eq!(read.expect("rows").len(), 6);
}

#[tokio::test]
async fn a_statement_that_failed_half_way_evicts() {
    let rig = Rig::new().await;
    rig.cached(&["others"]).await;
    let both = "INSERT INTO others VALUES (7); INSERT INTO others VALUES (7)";
    sqlx::raw_sql(both).execute(&rig.db).await.expect_err("the second");
    assert_eq!(rig.count("others").await, (1, true));
}

#[tokio::test]
async fn a_stream_that_is_dropped_half_way_evicts() {
    let rig = Rig::new().await;
    rig.cached(&["airports"]).await;
    let mut rows = sqlx::query("DELETE FROM airports RETURNING icao").fetch(&rig.db);
    rows.next().await.expect("a row").expect("it is deleted");
    drop(rows);
    until("all are gone", async || rig.count("airports").await.0 == 0).await;
}

#[tokio::test]
async fn what_a_transaction_writes_is_evicted_by_its_commit() {
    let rig = Rig::new().await;
    for commits in [false, true] {
        rig.cached(&["others", "airports"]).await;
        let mut tx = rig.db.begin().await.expect("a connection");
        sqlx::query("INSERT INTO others VALUES (7)").execute(&mut tx).await.expect("a row");
        sqlx::query("INSERT INTO others VALUES (8) RETURNING id").fetch_one(&mut tx).await.expect("a row");
        assert!(rig.evicted(&["others", "airports"]).await.is_empty(), "not yet");
        if commits {
            tx.commit().await.expect("committed");
            assert_eq!(rig.count("others").await, (2, true));
        } else {
            tx.rollback().await.expect("undone");
        }
        assert!(rig.evicted(&["others", "airports"]).await.is_empty());
    }
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query("DELETE FROM others").execute(&mut tx).await.expect("rows");
    drop(tx);
    assert!(rig.evicted(&["others"]).await.is_empty());
}

#[tokio::test]
async fn a_savepoint_that_is_rolled_back_takes_its_evicts_along() {
    let rig = Rig::new().await;
    rig.cached(&["others", "log", "airports"]).await;
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query("INSERT INTO others VALUES (7)").execute(&mut tx).await.expect("a row");
    let mut undone = tx.begin().await.expect("a savepoint");
    sqlx::query("INSERT INTO airports VALUES ('LFPG', '', 'FR')").execute(&mut undone).await.expect("a row");
    undone.rollback().await.expect("undone");
    let mut kept = tx.begin().await.expect("a savepoint");
    sqlx::query("INSERT INTO log VALUES ('')").execute(&mut kept).await.expect("a row");
    kept.commit().await.expect("released");
    assert!(rig.evicted(&["others", "log", "airports"]).await.is_empty());
    tx.commit().await.expect("committed");
    assert_eq!(rig.evicted(&["others", "log", "airports"]).await, ["others", "log"]);
}

#[tokio::test]
async fn what_is_loaded_in_a_transaction_is_not_stored() {
    let rig = Rig::new().await;
    let entry = rig.cache.entry::<i64>("within", ()).with_policy(cachemacro::Policy::new().recorded(true));
    let mut tx = rig.db.begin().await.expect("a connection");
    let load = async || sqlx::query_scalar("SELECT COUNT(*) FROM airports").fetch_one(&mut tx).await;
    assert_eq!(entry.try_get_or_load(load).await.expect("a count"), 3);
    assert!(!entry.has().await.expect("an answer"), "its snapshot may be older than an evict");
}

#[cached(prefix = "name", key = "{icao}", recorded, entry = name_entry)]
async fn name(db: &Watched<SqlitePool>, icao: &str) -> Result<String> {
    sqlx::query_scalar("SELECT name FROM airports WHERE icao = ?").bind(icao).fetch_one(db).await
}

#[cache_evict(tags = ["by hand"])]
async fn by_hand() -> Result {
    Ok(())
}

#[tokio::test]
async fn in_a_transaction_that_has_written_cached_calls_neither_read_nor_store() {
    let rig = Rig::new().await;
    let marked = rig.cache.entry::<u32>("marked", ()).with_tags(["by hand"]);
    for commits in [false, true] {
        rig.cached(&["others"]).await;
        marked.set(&1).await.expect("set");
        rig.cache.scope(name(&rig.db, "EGLL")).await.expect("a name");
        let hits = || rig.cache.stats().total.hits;
        let before = hits();
        let done = rig.cache.after_commit(async {
            let mut tx = rig.db.begin().await?;
            name(&rig.db, "EGLL").await?;
            assert_eq!(hits(), before + 1, "it has not written yet");
            sqlx::query("INSERT INTO others DEFAULT VALUES").execute(&mut tx).await?;
            by_hand().await?;
            name(&rig.db, "EGLL").await?;
            assert_eq!(hits(), before + 1, "what it reads may be rolled back");
            if commits { tx.commit().await } else { Err(sqlx::Error::RowNotFound) }
        });
        let done = rig.cache.scope(done).await;
        assert_eq!((done.is_ok(), marked.has().await.expect("an answer")), (commits, !commits));
        assert_eq!(rig.evicted(&["others"]).await.is_empty(), !commits);
        assert_eq!(rig.count("others").await.0, i64::from(commits));
    }
}

#[tokio::test]
async fn what_was_committed_is_evicted_though_the_scope_around_it_fails() {
    let rig = Rig::new().await;
    rig.cached(&["others", "log", "airports"]).await;
    let fails = rig.cache.after_commit(async {
        let mut tx = rig.db.begin().await?;
        sqlx::query("INSERT INTO others VALUES (7)").execute(&mut tx).await?;
        tx.commit().await?;
        sqlx::query("INSERT INTO log VALUES ('')").execute(&rig.db).await?;
        let mut rows = sqlx::query("DELETE FROM airports RETURNING icao").fetch(&rig.db);
        rows.next().await;
        Err::<(), _>(sqlx::Error::RowNotFound)
    });
    rig.cache.scope(fails).await.expect_err("as told");
    assert_eq!(rig.evicted(&["others", "log"]).await, ["others", "log"]);
    until("the rest is done", async || rig.count("airports").await.0 == 0).await;
}

#[tokio::test]
async fn cascades_views_and_triggers_are_followed() {
    let rig = Rig::new().await;
    let all = ["airports", "runways", "log", "others", "british", "british_too"];
    rig.cached(&all).await;
    rig.run("DELETE FROM airports WHERE icao = 'EDDF'").await.expect("a row");
    assert_eq!(rig.evicted(&all).await, ["airports", "runways", "british", "british_too"]);
    rig.run("UPDATE airports SET name = 'London' WHERE icao = 'EGLL'").await.expect("a row");
    assert_eq!(rig.evicted(&all).await, ["airports", "log", "british", "british_too"]);
    rig.run("UPDATE airports SET icao = 'EGKL' WHERE icao = 'EGKK'").await.expect("a row");
    assert_eq!(rig.evicted(&all).await, ["airports", "runways", "log", "british", "british_too"]);
    rig.run("INSERT INTO log VALUES ('')").await.expect("a row");
    assert_eq!(rig.evicted(&all).await, ["log"]);
}

#[tokio::test]
async fn rows_are_evicted_by_the_key_that_a_write_gives_as_a_literal() {
    let rig = Rig::new().await;
    let row = async |icao: &str| {
        let entry = rig.cache.entry::<u32>("row", icao).with_tags(cachemacro_sql::row("airports", icao));
        let was_there = entry.has().await.expect("an answer");
        entry.set(&1).await.expect("set");
        was_there
    };
    for icao in ["EGLL", "EDDF"] {
        row(icao).await;
    }
    rig.run("UPDATE runways SET icao = 'EDDF' WHERE id = 1").await.expect("a row");
    assert!(row("EGLL").await && row("EDDF").await);
    rig.run("INSERT INTO others VALUES (1)").await.expect("a row");
    assert!(row("EGLL").await && row("EDDF").await);
    // A trigger may change which row it is.
    rig.run("UPDATE airports SET name = '' WHERE icao = 'EGLL'").await.expect("a row");
    assert!(!row("EGLL").await && !row("EDDF").await);
    rig.run("DROP TRIGGER logged").await.expect("it is there");
    assert!(!row("EGLL").await && !row("EDDF").await);
    rig.run("UPDATE airports SET name = 'London' WHERE icao = 'EGLL'").await.expect("a row");
    assert!(!row("EGLL").await && row("EDDF").await);
    sqlx::query("UPDATE airports SET name = 'London' WHERE icao = ?")
        .bind("EGLL")
        .execute(&rig.db)
        .await
        .expect("a row");
    assert!(!row("EGLL").await && !row("EDDF").await);
}

#[tokio::test]
async fn a_catalogue_that_changes_is_read_anew() {
    let rig = Rig::new().await;
    rig.cached(&["others", "log"]).await;
    rig.run("INSERT INTO others VALUES (7)").await.expect("a row");
    assert_eq!(rig.evicted(&["others", "log"]).await, ["others"]);
    let sql = "CREATE TRIGGER more AFTER INSERT ON others BEGIN INSERT INTO log VALUES ('more'); END";
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::raw_sql(sql).execute(&mut tx).await.expect("well-formed");
    tx.commit().await.expect("committed");
    rig.cached(&["others", "log"]).await;
    rig.run("INSERT INTO others VALUES (8)").await.expect("a row");
    assert_eq!(rig.evicted(&["others", "log"]).await, ["others", "log"]);
}

#[tokio::test]
async fn what_a_trigger_does_that_is_not_understood_can_be_said() {
    let rig = Rig::new().await;
    let obscure = "CREATE TRIGGER obscure AFTER INSERT ON others BEGIN
        SELECT eval('DELETE FROM log') WHERE 1 = 2; END";
    rig.run("DROP TABLE others").await.expect("it is there");
    rig.run("CREATE TABLE others (id INTEGER PRIMARY KEY)").await.expect("well-formed");
    let unknown = sqlx::raw_sql(obscure).execute(&rig.db).await;
    if unknown.is_err() {
        // This SQLite looks functions up where a trigger is made.
        return;
    }
    let told = rig.db.clone().trigger("others", "obscure", Effects::none());
    for (db, evicts) in [(rig.db.clone(), true), (told, false)] {
        rig.cached(&["airports"]).await;
        let _ = sqlx::query("INSERT INTO others DEFAULT VALUES").execute(&db).await;
        assert_eq!(rig.count("airports").await.1, evicts);
    }
}

#[tokio::test]
async fn an_evict_that_comes_while_a_load_reads_is_not_lost() {
    let rig = Rig::new().await;
    // The first load, and one of a site that is known.
    for round in 0..2 {
        let entry =
            rig.cache.entry::<i64>("slow", round).with_policy(cachemacro::Policy::new().recorded(true));
        let reads = AtomicUsize::new(0);
        let load = async || {
            let count: i64 = sqlx::query_scalar("SELECT COUNT(*) FROM others").fetch_one(&rig.db).await?;
            if reads.fetch_add(1, Ordering::Relaxed) == 0 {
                rig.run("INSERT INTO others DEFAULT VALUES").await?;
            }
            Ok::<_, sqlx::Error>(count)
        };
        assert_eq!(entry.try_get_or_load(&load).await.expect("a count"), round);
        assert_eq!(entry.try_get_or_load(&load).await.expect("a count"), round + 1, "{round}");
    }
}

#[tokio::test]
async fn databases_with_names_of_their_own_do_not_mix() {
    let (one, other) = (Rig::new().await, Rig::new().await);
    let shop = other.db.clone().named("shop").cache(&one.cache);
    one.cached(&["airports"]).await;
    sqlx::query("DELETE FROM airports").execute(&shop).await.expect("rows");
    assert!(!one.count("airports").await.1);
    sqlx::query("DELETE FROM airports").execute(&other.db.clone().cache(&one.cache)).await.expect("rows");
    assert!(one.count("airports").await.1, "they have one name");
}

#[tokio::test]
async fn what_is_not_understood_evicts_all_that_is_of_the_database_and_makes_loads_unstorable() {
    let rig = Rig::new().await;
    rig.cached(&["airports", "others"]).await;
    rig.run("ALTER TABLE others ADD COLUMN more TEXT").await.expect("well-formed");
    assert_eq!(rig.evicted(&["airports", "others"]).await, ["airports", "others"]);
    let entry = rig.cache.entry::<i64>("pragma", ()).with_policy(cachemacro::Policy::new().recorded(true));
    let load = async || sqlx::query_scalar("PRAGMA user_version").fetch_one(&rig.db).await;
    entry.try_get_or_load(load).await.expect("a number");
    assert!(!entry.has().await.expect("an answer"));
}

#[test]
fn futures_of_statements_and_transactions_can_be_sent() {
    fn is_send<T: Send>(_: impl FnOnce(&'static Watched<SqlitePool>) -> T) {}
    is_send(|db| sqlx::query("SELECT 1").execute(db));
    is_send(|db| async { sqlx::query("SELECT 1").execute(&mut db.begin().await?).await });
}

/// A pool of one connection, whose statements all go one after the other.
pub(crate) async fn alone(schema: &'static str) -> Rig {
    let folder = tempfile::tempdir().expect("a folder");
    let options =
        SqliteConnectOptions::new().filename(folder.path().join("test.sqlite")).create_if_missing(true);
    let pool = SqlitePoolOptions::new().max_connections(1).connect_with(options).await.expect("a new file");
    sqlx::raw_sql(schema).execute(&pool).await.expect("well-formed");
    let cache = Cache::memory();
    Rig { db: Watched::new(pool).cache(&cache), cache, _folder: folder }
}

#[tokio::test]
async fn the_first_statement_of_a_transaction_is_its_users() {
    let rig = Rig::new().await;
    let mut tx = rig.db.begin().await.expect("a connection");
    rig.run("INSERT INTO others VALUES (7)").await.expect("it is not locked");
    // A snapshot begins with the first read.
    let seen: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM others").fetch_one(&mut tx).await.expect("a count");
    assert_eq!(seen, 1);
    tx.rollback().await.expect("undone");
    let mut tx = rig.db.begin_with("BEGIN IMMEDIATE").await.expect("a connection");
    sqlx::query("INSERT INTO others VALUES (8)").execute(&mut tx).await.expect("a row");
    rig.cached(&["log"]).await;
    assert_eq!(rig.count("others").await.0, 1);
    tx.commit().await.expect("committed");
    assert_eq!(rig.evicted(&["others", "log"]).await, ["others"]);
}

#[tokio::test]
async fn a_text_that_fails_to_begin_a_transaction_has_begun_none() {
    let rig = Rig::new().await;
    rig.run("BEGIN NONSENSE").await.expect_err("no such thing");
    rig.run("BEGIN; CREATE TABLE more (id INT); COMMIT").await.expect("a table");
    rig.cached(&["others", "log"]).await;
    rig.run("INSERT INTO others VALUES (7)").await.expect("a row");
    assert_eq!(rig.evicted(&["others", "log"]).await, ["others"]);
}

#[tokio::test]
async fn what_a_transaction_sees_of_a_catalogue_that_it_changes_nobody_else_takes_for_true() {
    let rig = Rig::new().await;
    rig.cached(&["others", "log"]).await;
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query("DROP TRIGGER logged").execute(&mut tx).await.expect("it is there");
    sqlx::query("SELECT 1").execute(&mut tx).await.expect("a row");
    tx.rollback().await.expect("undone");
    rig.cached(&["airports", "log"]).await;
    rig.run("UPDATE airports SET name = 'London' WHERE icao = 'EGLL'").await.expect("a row");
    assert_eq!(rig.evicted(&["airports", "log"]).await, ["airports", "log"]);
}

#[tokio::test]
async fn a_statement_that_is_run_while_the_catalogue_changes_evicts_all() {
    let rig = Rig::new().await;
    rig.cached(&["others", "log", "airports"]).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(rig.db.unwatched().acquire().await.expect("a connection"));
    }
    let sql = "CREATE TRIGGER more AFTER INSERT ON others BEGIN INSERT INTO log VALUES ('more'); END";
    let (first, second) = (rig.db.clone(), rig.db.clone());
    let mut change = Box::pin(sqlx::raw_sql(sql).execute(&first));
    assert!(change.as_mut().now_or_never().is_none());
    let mut insert = Box::pin(sqlx::query("INSERT INTO others VALUES (7)").execute(&second));
    assert!(insert.as_mut().now_or_never().is_none());
    held.pop();
    change.await.expect("well-formed");
    drop(held);
    rig.cached(&["log", "airports"]).await;
    insert.await.expect("a row");
    assert_eq!(rig.evicted(&["log", "airports"]).await, ["log", "airports"]);
}

#[tokio::test]
async fn a_statement_that_was_understood_before_the_catalogue_changed_evicts_all() {
    let rig = Rig::new().await;
    rig.cached(&["others", "log"]).await;
    let mut held = Vec::new();
    for _ in 0..4 {
        held.push(rig.db.unwatched().acquire().await.expect("a connection"));
    }
    let (first, second) = (rig.db.clone(), rig.db.clone());
    let mut insert = Box::pin(sqlx::query("INSERT INTO others VALUES (7)").execute(&first));
    assert!(insert.as_mut().now_or_never().is_none());
    // It evicts nothing of the others itself.
    let mut change = Box::pin(sqlx::raw_sql("CREATE TABLE fresh (id INTEGER)").execute(&second));
    assert!(change.as_mut().now_or_never().is_none());
    drop(held);
    change.await.expect("well-formed");
    rig.cached(&["log"]).await;
    insert.await.expect("a row");
    assert_eq!(rig.evicted(&["others", "log"]).await, ["others", "log"]);
    // In a transaction, too.
    rig.cached(&["log"]).await;
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query("SELECT 1").execute(&mut tx).await.expect("a row");
    sqlx::query("CREATE TABLE another (id INTEGER)").execute(&rig.db).await.expect("well-formed");
    sqlx::query("INSERT INTO others VALUES (8)").execute(&mut tx).await.expect("a row");
    tx.commit().await.expect("committed");
    assert_eq!(rig.evicted(&["log"]).await, ["log"]);
}

#[tokio::test]
async fn a_load_that_reads_while_the_catalogue_changes_is_not_stored() {
    let rig = alone("CREATE TABLE others (id INTEGER); CREATE VIEW shown AS SELECT * FROM others").await;
    rig.cached(&["shown"]).await;
    let is_there = async || rig.cache.has::<i64>("count", "shown").await.expect("an answer");
    assert!(is_there().await);
    rig.cache.evict_tags(["db"]).await.expect("evicted");
    let held = rig.db.unwatched().acquire().await.expect("the connection");
    let mut load = Box::pin(rig.count("shown"));
    assert!(load.as_mut().now_or_never().is_none());
    let other = rig.db.clone();
    let mut change = Box::pin(sqlx::raw_sql("DROP VIEW IF EXISTS none").execute(&other));
    assert!(change.as_mut().now_or_never().is_none());
    drop(held);
    load.await;
    assert!(!is_there().await, "what it read may have been another view's");
    change.await.expect("well-formed");
}

#[tokio::test]
async fn a_commit_that_nobody_waits_for_goes_on_and_evicts_then() {
    let rig = Rig::new().await;
    for round in 0..20_i64 {
        rig.cached(&["others"]).await;
        let mut tx = rig.db.begin().await.expect("a connection");
        sqlx::query("INSERT INTO others VALUES (?)").bind(round).execute(&mut tx).await.expect("a row");
        let mut commit = Box::pin(tx.commit());
        assert!(commit.as_mut().now_or_never().is_none(), "another thread commits");
        drop(commit);
        // However early another load comes, it does not stay.
        rig.count("others").await;
        until("the commit is seen", async || rig.count("others").await.0 == round + 1).await;
    }
}

#[tokio::test]
async fn transactions_that_text_begins_and_ends_are_not_lost() {
    let rig = alone("CREATE TABLE others (id INTEGER); CREATE TABLE log (id INTEGER)").await;
    for (begin, end) in
        [("BEGIN", "COMMIT"), ("SAVEPOINT a", "RELEASE a"), ("BEGIN", "END"), ("BEGIN", "ROLLBACK")]
    {
        rig.cached(&["others", "log"]).await;
        rig.run(begin).await.expect("begun");
        rig.run("INSERT INTO others VALUES (7)").await.expect("a row");
        rig.count("others").await;
        assert!(rig.count("others").await.1, "what may be rolled back is not stored: {begin}");
        rig.run(end).await.expect("ended");
        assert_eq!(rig.evicted(&["others"]).await, ["others"], "{end}");
        rig.cached(&["others", "log"]).await;
    }
    // Within one text it is like a statement.
    sqlx::raw_sql("BEGIN; INSERT INTO others VALUES (7); COMMIT").execute(&rig.db).await.expect("rows");
    assert_eq!(rig.evicted(&["others", "log"]).await, ["others"]);
}

#[tokio::test]
async fn a_commit_by_text_in_a_transaction_evicts_what_was_written_so_far_and_what_comes_then() {
    let rig = Rig::new().await;
    for within in [false, true] {
        rig.cached(&["others", "log"]).await;
        let by_hand = rig.cache.entry::<u32>("by hand", ()).with_tags(["db:others"]);
        by_hand.set(&1).await.expect("set");
        let mut tx = rig.db.begin().await.expect("a connection");
        sqlx::query("INSERT INTO others DEFAULT VALUES").execute(&mut tx).await.expect("a row");
        if within {
            let mut savepoint = tx.begin().await.expect("a savepoint");
            sqlx::query("COMMIT").execute(&mut savepoint).await.expect("committed");
        } else {
            sqlx::query("COMMIT").fetch_optional(&mut tx).await.expect("committed");
        }
        assert_eq!(rig.evicted(&["others"]).await, ["others"]);
        assert!(!by_hand.has().await.expect("an answer"));
        rig.cached(&["log"]).await;
        sqlx::query("INSERT INTO log VALUES ('') RETURNING text").fetch_one(&mut tx).await.expect("a row");
        assert_eq!(rig.evicted(&["log"]).await, ["log"]);
    }
}

#[tokio::test]
async fn a_row_that_a_load_makes_itself_goes_with_its_table() {
    let rig = Rig::new().await;
    let entry = rig.cache.entry::<i64>("made", ()).with_policy(cachemacro::Policy::new().recorded(true));
    let sql = "INSERT INTO others VALUES (7) ON CONFLICT DO UPDATE SET id = 7 RETURNING id";
    let load = async || sqlx::query_scalar(sql).fetch_one(&rig.db).await;
    for _ in 0..3 {
        assert_eq!(entry.try_get_or_load(&load).await.expect("a row"), 7);
    }
    rig.cache.stored().await;
    rig.run("DELETE FROM others").await.expect("a row");
    assert!(!entry.has().await.expect("an answer"));
    // Rows that were counted, too.
    let counted = rig.cache.entry::<u64>("counted", ()).with_policy(cachemacro::Policy::new().recorded(true));
    let load = async || {
        let done =
            sqlx::query("INSERT INTO others VALUES (8) ON CONFLICT DO NOTHING").execute(&rig.db).await?;
        Ok::<_, sqlx::Error>(done.rows_affected())
    };
    for _ in 0..3 {
        counted.try_get_or_load(&load).await.expect("a count");
    }
    rig.run("DELETE FROM others").await.expect("a row");
    assert!(!counted.has().await.expect("an answer"));
}

#[tokio::test]
async fn what_others_define_is_known_once_the_catalogue_was_read_anew() {
    let rig = Rig::new().await;
    rig.cached(&["others", "log"]).await;
    assert!(!rig.db.reread().await.expect("read"));
    assert!(rig.evicted(&["others", "log"]).await.is_empty());
    let sql = "CREATE TRIGGER more AFTER INSERT ON others BEGIN INSERT INTO log VALUES ('more'); END";
    sqlx::raw_sql(sql).execute(rig.db.unwatched()).await.expect("well-formed");
    assert!(rig.db.reread().await.expect("read"));
    assert_eq!(
        rig.evicted(&["others", "log"]).await,
        ["others", "log"],
        "who wrote before that was not understood"
    );
    rig.cached(&["others", "log"]).await;
    rig.run("INSERT INTO others VALUES (8)").await.expect("a row");
    assert_eq!(rig.evicted(&["others", "log"]).await, ["others", "log"]);
}
