//! What an outbox on PostgreSQL asks of those who write, and what others may do to it.
//!
//! | what holds | its test |
//! |---|---|
//! | functions run with their definer's rights | `whoever_may_write_a_table_needs_no_right_of_the_outbox` |
//! | … and run nobody's casts | `casts_of_others_are_not_run_with_those_rights` |
//! | … no right for all | `nobody_else_may_write_the_outbox_or_use_its_functions` |
//! | checks on what is inserted | `who_may_insert_cannot_make_a_drainer_stumble` |
//! | ids that are no sequence's | `a_session_keeps_its_lastval` |
//! | a key column that is gone is none | `a_key_column_that_has_another_name_makes_no_write_fail` |
//! | 64 rows, and not 64 keys of more rows | `rows_of_one_key_do_not_hide_those_of_another` |
//! | a bound on bytes | `long_keys_are_any` |
//! | another role's outbox is refused | `an_outbox_that_is_another_roles_is_refused` |
//! | triggers that wake | `a_table_that_notifies_is_evicted_at_once` |

use std::time::{Duration, Instant};

use cachemacro::Cache;
use cachemacro_sql::{Outbox, Table, Watched, install, row, table};
use sqlx::postgres::{PgConnectOptions, PgPoolOptions};
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, PgPool};

use crate::outbox::left;
use crate::postgres::Server;

const SCHEMA: &str = "
    CREATE TABLE airports (icao TEXT PRIMARY KEY, name TEXT);
    CREATE TABLE notes (id BIGSERIAL PRIMARY KEY, text TEXT);
    CREATE TABLE events (id INT NOT NULL, day INT NOT NULL, PRIMARY KEY (id, day));
    CREATE TABLE texts (id TEXT);
    INSERT INTO airports VALUES ('EGLL', 'Heathrow'), ('EGKK', 'Gatwick');
";

struct Rig {
    server: Server,
    db: Watched<PgPool>,
    cache: Cache,
    outbox: Outbox,
}

impl Rig {
    async fn new(tables: impl IntoIterator<Item = Table>, more: &'static str) -> Self {
        let server = Server::start();
        let pool = server.pool("postgres").await;
        sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("well-formed");
        sqlx::raw_sql(more).execute(&pool).await.expect("well-formed");
        let cache = Cache::memory();
        let db = Watched::new(pool).cache(&cache);
        let outbox = install(&db, tables).await.expect("installed");
        outbox.stop().await;
        Self { server, db, cache, outbox }
    }

    async fn airports(more: &'static str) -> Self {
        Self::new([table("airports").key("icao")], more).await
    }

    async fn run(&self, sql: &str) {
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(self.db.unwatched()).await.expect("well-formed");
    }

    async fn as_role(&self, role: &str) -> PgConnection {
        PgConnection::connect(&self.server.url(role, "postgres")).await.expect("it may log in")
    }

    /// Which of these rows are there once the outbox is empty; all are afterwards.
    async fn left<'k>(&self, table: &str, keys: &[&'k str]) -> Vec<&'k str> {
        self.outbox.drain().await.expect("drained");
        left(&self.cache, table, keys).await
    }

    async fn waiting(&self) -> u64 {
        self.outbox.health().await.expect("an answer").waiting
    }
}

const ROLE: &str = "
    CREATE ROLE app LOGIN;
    CREATE SCHEMA shop;
    CREATE TABLE shop.goods (id INT PRIMARY KEY, name TEXT);
    INSERT INTO shop.goods VALUES (1, ''), (2, '');
    GRANT USAGE ON SCHEMA shop TO app;
    GRANT SELECT, UPDATE ON shop.goods TO app;
    REVOKE ALL ON SCHEMA public FROM PUBLIC;
";

#[tokio::test]
async fn whoever_may_write_a_table_needs_no_right_of_the_outbox() {
    let rig = Rig::new([table("shop.goods").key("id")], ROLE).await;
    rig.left("shop.goods", &["1", "2"]).await;
    let mut app = rig.as_role("app").await;
    sqlx::raw_sql("SET search_path = shop; UPDATE goods SET name = 'a' WHERE id = 1")
        .execute(&mut app)
        .await
        .expect("it has no right on `public`, and needs none");
    assert_eq!(rig.left("shop.goods", &["1", "2"]).await, ["2"]);
}

#[tokio::test]
async fn nobody_else_may_write_the_outbox_or_use_its_functions() {
    let rig = Rig::airports("CREATE ROLE app LOGIN; GRANT CREATE ON SCHEMA public TO app;").await;
    let mut app = rig.as_role("app").await;
    let forged = "INSERT INTO public.cachemacro_outbox (tab) VALUES ('airports')";
    sqlx::raw_sql(forged).execute(&mut app).await.expect_err("permission denied");
    let all = "DELETE FROM public.cachemacro_outbox";
    sqlx::raw_sql(all).execute(&mut app).await.expect_err("permission denied");
    let function = "SELECT proname::text FROM pg_proc WHERE proname LIKE 'cachemacro\\_note\\_%'";
    let function: String =
        sqlx::query_scalar(function).fetch_one(rig.db.unwatched()).await.expect("a function");
    let own = format!(
        "CREATE TABLE own (icao TEXT);
         CREATE TRIGGER forged AFTER INSERT ON own REFERENCING NEW TABLE AS cachemacro_new
             FOR EACH STATEMENT EXECUTE FUNCTION public.{function}()"
    );
    let error = sqlx::raw_sql(AssertSqlSafe(own)).execute(&mut app).await.expect_err("permission denied");
    assert!(error.to_string().contains("permission denied for function"), "{error}");
}

#[tokio::test]
async fn who_may_insert_cannot_make_a_drainer_stumble() {
    let rig = Rig::airports("").await;
    for forged in [
        "('airports', ARRAY['EGLL', NULL])",
        "('airports', ARRAY[['EGLL'], ['EGKK']])",
        "('airports', '[7:7]={EGLL}')",
        "('airports', (SELECT array_agg(n::text) FROM generate_series(1, 65) n))",
        "('airports', ARRAY[repeat('x', 70000)])",
        "(repeat('x', 2000), NULL)",
        "(NULL, NULL)",
    ] {
        let sql = format!("INSERT INTO public.cachemacro_outbox (tab, keys) VALUES {forged}");
        let error = sqlx::raw_sql(AssertSqlSafe(sql)).execute(rig.db.unwatched()).await.expect_err(forged);
        assert!(error.to_string().contains("constraint"), "{forged}: {error}");
    }
    // What is let in is about this database: not about another, nor a tag that a function says itself.
    let own = rig.cache.entry::<u32>("own", ()).with_tags(["users", "shop:airports", "db:x"]);
    own.set(&1).await.expect("set");
    for tab in ["users", "shop:airports", "../users", "x:", "db", ""] {
        rig.run(&format!("INSERT INTO public.cachemacro_outbox (tab, keys) VALUES ('{tab}', '{{}}')")).await;
        rig.run(&format!("INSERT INTO public.cachemacro_outbox (tab) VALUES ('{tab}')")).await;
    }
    rig.outbox.drain().await.expect("drained");
    assert!(own.has().await.expect("an answer"));
}

#[tokio::test]
async fn casts_of_others_are_not_run_with_those_rights() {
    let rig = Rig::new(
        [table("moods").key("id"), table("codes").key("id"), table("flags").key("id")],
        "CREATE TYPE mood AS ENUM ('glad', 'sad');
         CREATE TABLE ran (as_role TEXT);
         CREATE FUNCTION cast_mood(mood) RETURNS text LANGUAGE sql AS
             'INSERT INTO ran VALUES (current_user::text); SELECT ''cast''';
         CREATE CAST (mood AS text) WITH FUNCTION cast_mood(mood);
         CREATE TABLE moods (id mood PRIMARY KEY, n INT);
         INSERT INTO moods VALUES ('glad', 0), ('sad', 0);
         CREATE DOMAIN code AS char(4);
         CREATE TABLE codes (id code PRIMARY KEY, n INT);
         INSERT INTO codes VALUES ('ab', 0), ('abcd', 0);
         CREATE TABLE flags (id char(4) PRIMARY KEY, n INT);
         INSERT INTO flags VALUES ('ab', 0), ('abcd', 0);",
    )
    .await;
    rig.left("moods", &["glad", "sad"]).await;
    rig.run("UPDATE moods SET n = 1 WHERE id = 'glad'").await;
    assert_eq!(rig.left("moods", &["glad", "sad"]).await, ["sad"]);
    let ran: i64 =
        sqlx::query_scalar("SELECT COUNT(*) FROM ran").fetch_one(rig.db.unwatched()).await.expect("a count");
    assert_eq!(ran, 0, "the cast is another's code");
    rig.left("codes", &["ab", "abcd", "other"]).await;
    rig.run("UPDATE codes SET n = 1 WHERE id = 'abcd'").await;
    assert_eq!(rig.left("codes", &["ab", "abcd", "other"]).await, ["ab", "other"]);
    rig.run("UPDATE codes SET n = 1 WHERE id = 'ab'").await;
    assert_eq!(rig.left("codes", &["ab", "abcd", "other"]).await, [""; 0], "it is printed with blanks");
    rig.left("flags", &["ab", "abcd"]).await;
    rig.run("UPDATE flags SET n = 1 WHERE id = 'ab'").await;
    assert_eq!(rig.left("flags", &["ab", "abcd"]).await, ["abcd"], "its text has none");
}

#[tokio::test]
async fn a_session_keeps_its_lastval() {
    let rig = Rig::new([table("notes").key("id")], "SELECT setval('notes_id_seq', 700)").await;
    let mut own = rig.as_role("postgres").await;
    sqlx::raw_sql("INSERT INTO notes (text) VALUES ('a')").execute(&mut own).await.expect("a row");
    let last: i64 = sqlx::query_scalar("SELECT lastval()").fetch_one(&mut own).await.expect("a number");
    assert_eq!(last, 701);
    assert_eq!(rig.waiting().await, 1, "it was noted");
}

#[tokio::test]
async fn a_key_column_that_has_another_name_makes_no_write_fail() {
    let rig = Rig::airports("").await;
    rig.left("airports", &["EGLL", "EGKK"]).await;
    rig.run("ALTER TABLE airports RENAME COLUMN icao TO code").await;
    for sql in [
        "UPDATE airports SET name = '' WHERE code = 'EGLL'",
        "INSERT INTO airports VALUES ('EDDF', '')",
        "DELETE FROM airports WHERE code = 'EDDF'",
    ] {
        rig.run(sql).await;
        assert_eq!(rig.left("airports", &["EGLL", "EGKK"]).await, [""; 0], "{sql}: it may be any");
    }
    let sql = "UPDATE airports SET name = $1 WHERE code = $2";
    sqlx::query(sql).bind("").bind("EGLL").execute(&rig.db).await.expect("a row");
    assert_eq!(rig.left("airports", &["EGLL", "EGKK"]).await, [""; 0]);
    install(&rig.db, [table("airports").key("icao")]).await.expect_err("there is no such column");
    let outbox = install(&rig.db, [table("airports").key("code")]).await.expect("installed");
    outbox.stop().await;
    rig.run("UPDATE airports SET name = '' WHERE code = 'EGLL'").await;
    outbox.drain().await.expect("drained");
    assert_eq!(rig.left("airports", &["EGLL", "EGKK"]).await, ["EGKK"]);
}

#[tokio::test]
async fn rows_of_one_key_do_not_hide_those_of_another() {
    let rig = Rig::new(
        [table("events").key("id")],
        "INSERT INTO events SELECT 1, day FROM generate_series(1, 100) AS day; INSERT INTO events VALUES (2, 1);",
    )
    .await;
    rig.left("events", &["1", "2", "3"]).await;
    rig.run("UPDATE events SET day = day + 1000").await;
    assert_eq!(rig.left("events", &["1", "2", "3"]).await, [""; 0]);
    rig.run("UPDATE events SET day = day + 1000 WHERE day <= 1032").await;
    assert_eq!(rig.left("events", &["1", "2", "3"]).await, ["3"], "33 rows, of two keys");
}

#[tokio::test]
async fn long_keys_are_any() {
    let rig = Rig::new([table("texts").key("id")], "").await;
    rig.left("texts", &["a"]).await;
    rig.run("INSERT INTO texts VALUES (repeat('x', 1000000))").await;
    assert_eq!(rig.left("texts", &["a"]).await, [""; 0]);
    rig.run("INSERT INTO texts VALUES ('b')").await;
    assert_eq!(rig.left("texts", &["a"]).await, ["a"]);
}

#[tokio::test]
async fn an_outbox_that_is_another_roles_is_refused() {
    let rig = Rig::airports(
        "CREATE ROLE app LOGIN; CREATE SCHEMA shop AUTHORIZATION app; GRANT CREATE ON SCHEMA public TO app;",
    )
    .await;
    let options: PgConnectOptions = rig.server.url("app", "postgres").parse().expect("a URL");
    let pool = PgPoolOptions::new().max_connections(2).connect_with(options).await.expect("it may log in");
    sqlx::raw_sql("CREATE TABLE shop.goods (id INT PRIMARY KEY)").execute(&pool).await.expect("its own");
    let db = Watched::new(pool.clone()).cache(&rig.cache);
    let goods = || [table("shop.goods").key("id")];
    let error = install(&db, goods()).await.expect_err("each write would fail");
    assert!(
        matches!(&error, sqlx::Error::Configuration(_)) && error.to_string().contains("GRANT"),
        "{error}"
    );
    sqlx::raw_sql("INSERT INTO shop.goods VALUES (1)").execute(&pool).await.expect("no trigger was left");
    rig.run("GRANT SELECT, INSERT, DELETE ON public.cachemacro_outbox TO app").await;
    let outbox = install(&db, goods()).await.expect("it may note");
    outbox.stop().await;
    outbox.drain().await.expect("drained");
    sqlx::raw_sql("INSERT INTO shop.goods VALUES (2)").execute(&pool).await.expect("a row");
    assert_eq!(rig.waiting().await, 1);
}

#[tokio::test]
async fn a_table_that_notifies_is_evicted_at_once() {
    let rig = Rig::airports("").await;
    let tables = [table("airports").key("icao").notify(), table("texts").key("id")];
    let outbox = install(&rig.db, tables).await.expect("installed");
    outbox.poll(Duration::from_hours(1));
    let entry = |table: &'static str| rig.cache.entry::<u32>(table, "EGLL").with_tags(row(table, "EGLL"));
    for round in 0..3 {
        entry("airports").set(&1).await.expect("set");
        rig.run(&format!("UPDATE airports SET name = '{round}' WHERE icao = 'EGLL'")).await;
        let began = Instant::now();
        while entry("airports").has().await.expect("an answer") {
            assert!(began.elapsed() < Duration::from_secs(30), "nobody wakes");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        println!("a foreign write is evicted after {:?}", began.elapsed());
    }
    outbox.stop().await;
}
