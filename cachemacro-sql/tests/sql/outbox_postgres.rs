//! What triggers note on PostgreSQL: `psql`, other roles, cascades, partitions, a writer that is killed before its evict.

use std::env;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use cachemacro::Cache;
use cachemacro::store::faults::{FaultStore, Op};
use cachemacro::store::memory::MemoryStore;
use cachemacro_sql::{Outbox, Watched, install, migration, table};
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;

use crate::outbox::left;
use crate::postgres::{Server, programs};

const SCHEMA: &str = "
    CREATE TABLE airports (icao TEXT PRIMARY KEY, name TEXT);
    CREATE TABLE runways (id BIGINT PRIMARY KEY, icao TEXT REFERENCES airports ON DELETE CASCADE ON UPDATE CASCADE);
    CREATE TABLE events (id INT NOT NULL, day INT NOT NULL, PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
    CREATE TABLE numbers (id INT PRIMARY KEY, n INT);
    CREATE ROLE app LOGIN;
    GRANT SELECT, INSERT, UPDATE, DELETE ON airports TO app;
    INSERT INTO airports VALUES ('EGLL', 'Heathrow'), ('EGKK', 'Gatwick'), ('EDDF', 'Frankfurt');
    INSERT INTO runways VALUES (1, 'EGLL'), (2, 'EGLL'), (3, 'EDDF');
    INSERT INTO events VALUES (1, 1), (2, 2);
    INSERT INTO numbers SELECT id, 0 FROM generate_series(1, 200) AS id;
";

/// Where the process that is to be killed finds the database.
const URL: &str = "CACHEMACRO_SQL_KILLED";

const AIRPORTS: [&str; 3] = ["EGLL", "EGKK", "EDDF"];

struct Rig {
    server: Server,
    db: Watched<PgPool>,
    cache: Cache,
    outbox: Outbox,
}

fn tables() -> [cachemacro_sql::Table; 4] {
    [
        table("airports").key("icao"),
        table("runways").key("id"),
        table("events").key("id"),
        table("numbers").key("id"),
    ]
}

impl Rig {
    async fn new() -> Self {
        let server = Server::start();
        let pool = server.pool("postgres").await;
        sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("well-formed");
        let cache = Cache::memory();
        let db = Watched::new(pool).cache(&cache);
        let outbox = install(&db, tables()).await.expect("installed");
        Self { server, db, cache, outbox }
    }

    fn psql(&self, role: &str, sql: &str) {
        let beside_the_server = programs().join("psql");
        let psql = if beside_the_server.exists() { beside_the_server } else { "psql".into() };
        let done = Command::new(psql)
            .args(["-v", "ON_ERROR_STOP=1", "-q", "-c", sql, &self.server.url(role, "postgres")])
            .stdout(Stdio::null())
            .output()
            .expect("psql runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    }

    /// Which of these rows are there; all are afterwards.
    async fn left<'k>(&self, table: &str, keys: &[&'k str]) -> Vec<&'k str> {
        left(&self.cache, table, keys).await
    }

    async fn drained(&self) {
        self.outbox.drain().await.expect("drained");
        assert_eq!(self.outbox.health().await.expect("an answer").waiting, 0);
    }
}

#[tokio::test]
async fn what_others_write_is_evicted_by_row_on_postgres() {
    let rig = Rig::new().await;
    evicted_within_a_second(&rig).await;
    a_writer_that_is_killed_before_its_evict(&rig).await;
    rig.outbox.stop().await;
    by_row(&rig).await;
    many_rows_are_any(&rig).await;
    late_commits_are_not_skipped(&rig).await;
    bound_keys_are_known(&rig).await;
    what_is_not_seen_is_said(&rig).await;
}

async fn by_row(rig: &Rig) {
    rig.left("airports", &AIRPORTS).await;
    rig.left("runways", &["1", "2", "3"]).await;
    rig.left("events", &["1", "2"]).await;
    let merge = "MERGE INTO airports USING (VALUES ('EDDF')) AS v (icao) ON v.icao = airports.icao WHEN MATCHED THEN UPDATE SET name = 'M'";
    for (role, sql, airports, runways, events) in [
        (
            "postgres",
            "UPDATE airports SET name = 'London' WHERE icao LIKE 'EGL%'",
            &["EGKK", "EDDF"][..],
            &["1", "2", "3"][..],
            &["1", "2"][..],
        ),
        (
            "app",
            "UPDATE airports SET name = 'Sussex' WHERE icao = 'EGKK'",
            &["EGLL", "EDDF"],
            &["1", "2", "3"],
            &["1", "2"],
        ),
        (
            "postgres",
            "UPDATE airports SET icao = 'EGGW' WHERE icao = 'EGLL'",
            &["EGKK", "EDDF"],
            &["3"],
            &["1", "2"],
        ),
        (
            "postgres",
            "INSERT INTO airports VALUES ('EGKK', '') ON CONFLICT (icao) DO UPDATE SET name = 'C'",
            &["EGLL", "EDDF"],
            &["1", "2", "3"],
            &["1", "2"],
        ),
        ("postgres", merge, &["EGLL", "EGKK"], &["1", "2", "3"], &["1", "2"]),
        ("postgres", "BEGIN; DELETE FROM airports; ROLLBACK", &AIRPORTS, &["1", "2", "3"], &["1", "2"]),
        ("postgres", "UPDATE airports SET name = '' WHERE false", &AIRPORTS, &["1", "2", "3"], &["1", "2"]),
        ("postgres", "DELETE FROM airports WHERE icao = 'EDDF'", &["EGLL", "EGKK"], &["1", "2"], &["1", "2"]),
        ("postgres", "UPDATE events SET id = 3 WHERE id = 1", &AIRPORTS, &["1", "2", "3"], &["2"]),
        ("postgres", "DELETE FROM events_1 WHERE id = 2", &AIRPORTS, &["1", "2", "3"], &["1"]),
        (
            "postgres",
            "DO $$ BEGIN EXECUTE 'DELETE FROM runways WHERE id = 1'; END $$",
            &AIRPORTS,
            &["2", "3"],
            &["1", "2"],
        ),
        ("postgres", "TRUNCATE runways", &AIRPORTS, &[], &["1", "2"]),
    ] {
        if sql.starts_with("MERGE")
            && rig
                .db
                .unwatched()
                .acquire()
                .await
                .expect("a connection")
                .server_version_num()
                .is_none_or(|version| version < 150_000)
        {
            continue;
        }
        rig.psql(role, sql);
        rig.drained().await;
        assert_eq!(rig.left("airports", &AIRPORTS).await, airports, "{sql}");
        assert_eq!(rig.left("runways", &["1", "2", "3"]).await, runways, "{sql}");
        assert_eq!(rig.left("events", &["1", "2"]).await, events, "{sql}");
    }
}

async fn many_rows_are_any(rig: &Rig) {
    rig.left("numbers", &["200"]).await;
    for (most, stays) in [(64, true), (65, false)] {
        rig.psql("postgres", &format!("UPDATE numbers SET n = n + 1 WHERE id <= {most}"));
        assert_eq!(rig.outbox.health().await.expect("an answer").waiting, 1);
        rig.drained().await;
        assert_eq!(rig.left("numbers", &["200"]).await.is_empty(), !stays, "{most}");
    }
    // Old and new keys.
    rig.psql("postgres", "UPDATE numbers SET id = id + 1000 WHERE id <= 33");
    rig.drained().await;
    assert!(rig.left("numbers", &["200"]).await.is_empty());
}

async fn late_commits_are_not_skipped(rig: &Rig) {
    rig.psql("postgres", "INSERT INTO airports VALUES ('EDDF', '') ON CONFLICT DO NOTHING");
    rig.drained().await;
    rig.left("airports", &AIRPORTS).await;
    let mut late = rig.db.unwatched().begin().await.expect("a connection");
    sqlx::query("UPDATE airports SET name = 'late' WHERE icao = 'EGKK'")
        .execute(&mut *late)
        .await
        .expect("a row");
    rig.psql("postgres", "UPDATE airports SET name = 'early' WHERE icao = 'EDDF'");
    rig.drained().await;
    assert_eq!(rig.left("airports", &["EGKK", "EDDF"]).await, ["EGKK"]);
    late.commit().await.expect("committed");
    assert_eq!(rig.outbox.health().await.expect("an answer").waiting, 1);
    rig.drained().await;
    assert_eq!(rig.left("airports", &["EGKK", "EDDF"]).await, ["EDDF"]);
}

async fn bound_keys_are_known(rig: &Rig) {
    rig.left("airports", &AIRPORTS).await;
    let sql = "UPDATE airports SET name = $1 WHERE icao = $2";
    sqlx::query(sql).bind("a").bind("EGKK").execute(&rig.db).await.expect("a row");
    assert_eq!(rig.left("airports", &AIRPORTS).await, ["EGLL", "EDDF"]);
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query(sql).bind("b").bind("EGKK").execute(&mut tx).await.expect("a row");
    let mut undone = tx.begin().await.expect("a savepoint");
    sqlx::query(sql).bind("b").bind("EDDF").execute(&mut undone).await.expect("a row");
    undone.rollback().await.expect("undone");
    tx.commit().await.expect("committed");
    assert_eq!(rig.left("airports", &AIRPORTS).await, ["EGLL", "EDDF"]);
    rig.drained().await;
    let with = time_of_a_write(rig).await;
    sqlx::raw_sql("ALTER TABLE numbers DISABLE TRIGGER ALL").execute(rig.db.unwatched()).await.expect("ours");
    println!("a write by key: {with:?} with the triggers, {:?} without", time_of_a_write(rig).await);
    let began = Instant::now();
    rig.drained().await;
    println!("200 rows of the outbox are drained in {:?}", began.elapsed());
}

/// Of many by key, each.
async fn time_of_a_write(rig: &Rig) -> Duration {
    let began = Instant::now();
    for n in 0..200 {
        let write = sqlx::query("UPDATE numbers SET n = $1 WHERE id = 100").bind(n);
        write.execute(rig.db.unwatched()).await.expect("a row");
    }
    began.elapsed() / 200
}

async fn what_is_not_seen_is_said(rig: &Rig) {
    assert!(rig.outbox.gaps().iter().any(|gap| gap.contains("session_replication_role")));
    assert!(rig.outbox.gaps().iter().any(|gap| gap.contains("events") && gap.contains("attached later")));
    assert_eq!(migration(&rig.db, tables()).await.expect("an answer"), "", "what is there is left alone");
    let again = install(&rig.db, tables()).await.expect("installed");
    assert!(again.gaps().iter().any(|gap| gap.contains("numbers") && gap.contains("switched off")));
    again.stop().await;
    rig.left("numbers", &["100", "101"]).await;
    rig.left("events", &["1", "7"]).await;
    let bound = |sql: &'static str, key: i32| sqlx::query(sql).bind(key).execute(&rig.db);
    bound("UPDATE numbers SET n = 0 WHERE id = $1", 100).await.expect("a row");
    assert_eq!(rig.left("numbers", &["100", "101"]).await, [""; 0], "its triggers are switched off");
    bound("INSERT INTO events VALUES ($1, 50)", 7).await.expect("a row");
    assert_eq!(rig.left("events", &["1", "7"]).await, ["1"]);
    rig.psql("postgres", "CREATE TABLE events_2 PARTITION OF events FOR VALUES FROM (100) TO (200)");
    let missing = migration(&rig.db, tables()).await.expect("an answer");
    assert!(missing.contains("\"events_2\"") && !missing.contains("\"events_1\""), "{missing}");
    rig.db.reread().await.expect("read");
    rig.left("events", &["1", "7"]).await;
    bound("INSERT INTO events_2 VALUES ($1, 100)", 7).await.expect("a row");
    assert_eq!(rig.left("events", &["1", "7"]).await, [""; 0], "a partition was attached");
}

/// How long an entry stays.
async fn time_until_gone(rig: &Rig, key: &str) -> Duration {
    let began = Instant::now();
    while rig.cache.entry::<u32>("airports", key).has().await.expect("an answer") {
        assert!(began.elapsed() < Duration::from_secs(30), "it stays");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    began.elapsed()
}

async fn evicted_within_a_second(rig: &Rig) {
    let mut longest = Duration::ZERO;
    for _ in 0..3 {
        rig.left("airports", &["EGLL"]).await;
        rig.psql("postgres", "UPDATE airports SET name = name WHERE icao = 'EGLL'");
        longest = longest.max(time_until_gone(rig, "EGLL").await);
    }
    println!("a write by psql is evicted after {longest:?} at most");
}

/// A process, which ends with this.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

async fn a_writer_that_is_killed_before_its_evict(rig: &Rig) {
    rig.left("airports", &["EGKK"]).await;
    let writer = Command::new(env::current_exe().expect("this program"))
        .args(["--exact", "--ignored", "outbox_postgres::a_writer_that_stops_before_its_evict"])
        .env(URL, rig.server.url("postgres", "postgres"))
        .stdout(Stdio::null())
        .spawn();
    let mut writer = Process(writer.expect("it starts"));
    let began = Instant::now();
    loop {
        let name: String = sqlx::query_scalar("SELECT name FROM airports WHERE icao = 'EGKK'")
            .fetch_one(rig.db.unwatched())
            .await
            .expect("a name");
        if name == "killed" {
            break;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "it does not write");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    writer.0.kill().expect("SIGKILL");
    println!("what a killed writer has committed is evicted after {:?}", time_until_gone(rig, "EGKK").await);
}

#[tokio::test]
#[ignore = "a process of its own, which another test kills"]
async fn a_writer_that_stops_before_its_evict() {
    let Ok(url) = env::var(URL) else { return };
    let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    let gate = store.gate(Op::EvictTags);
    let cache = Cache::builder().store(store).build().expect("acceptable");
    let pool = PgPoolOptions::new().connect(&url).await.expect("it is there");
    let db = Watched::new(pool).cache(&cache);
    let write = sqlx::query("UPDATE airports SET name = $1 WHERE icao = 'EGKK'").bind("killed").execute(&db);
    tokio::join!(write, gate.reached()).0.expect("it does not get so far");
}
