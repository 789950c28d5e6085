//! What is the same on PostgreSQL as on SQLite, and what its catalogue tells besides. One server, which the test starts and ends.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs};

use cachemacro::{Cache, Policy, cached};
use cachemacro_sql::{Effects, Watched, row};
use futures_util::FutureExt as _;
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;

const SCHEMA: &str = "
    CREATE TABLE countries (code TEXT PRIMARY KEY);
    CREATE TABLE airports (icao TEXT PRIMARY KEY, name TEXT, country TEXT REFERENCES countries ON UPDATE CASCADE);
    CREATE TABLE runways (id BIGINT PRIMARY KEY, icao TEXT NOT NULL REFERENCES airports ON DELETE CASCADE);
    CREATE TABLE events (day INT NOT NULL) PARTITION BY RANGE (day);
    CREATE TABLE events_1 PARTITION OF events FOR VALUES FROM (0) TO (100);
    CREATE TABLE logged (id INT PRIMARY KEY);
    CREATE TABLE log (id INT);
    CREATE TABLE \"Mixed\" (id INT);
    CREATE SCHEMA archive;
    CREATE TABLE archive.reports (id INT);
    CREATE VIEW british AS SELECT * FROM airports WHERE country = 'GB';
    CREATE VIEW british_too AS SELECT * FROM british;
    CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (NEW.id); RETURN NEW; END $$;
    CREATE TRIGGER noted AFTER INSERT ON logged FOR EACH ROW EXECUTE FUNCTION note();
    CREATE FUNCTION tidy() RETURNS bigint LANGUAGE sql VOLATILE AS 'DELETE FROM log; SELECT 1::bigint';
    CREATE FUNCTION counted() RETURNS bigint LANGUAGE sql STABLE AS 'SELECT COUNT(*) FROM log';
    CREATE TABLE goods (id INT PRIMARY KEY);
    CREATE TABLE things (code INT);
    CREATE TABLE wares () INHERITS (goods, things);
    CREATE TABLE members (name TEXT);
    CREATE TABLE papers (id INT, owner TEXT);
    ALTER TABLE papers ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON papers USING (owner IN (SELECT name FROM members));
    CREATE TABLE codes (n INT);
    CREATE FUNCTION next_code() RETURNS int LANGUAGE sql VOLATILE AS 'INSERT INTO codes VALUES (1) RETURNING n';
    CREATE TABLE coded (id INT DEFAULT next_code());
    CREATE TABLE made (a TEXT, code TEXT GENERATED ALWAYS AS (a || 'x') STORED PRIMARY KEY);
    CREATE TABLE of_made (code TEXT REFERENCES made ON DELETE CASCADE);
    CREATE SEQUENCE numbers;
    CREATE FUNCTION counted_in(bigint, int) RETURNS bigint LANGUAGE sql STABLE AS 'SELECT $1 + COUNT(*) FROM log';
    CREATE AGGREGATE odd_sum(int) (SFUNC = counted_in, STYPE = bigint, INITCOND = '0');
    INSERT INTO made VALUES ('a');
    INSERT INTO countries VALUES ('GB'), ('DE');
    INSERT INTO airports VALUES ('EGLL', 'Heathrow', 'GB'), ('EDDF', 'Frankfurt', 'DE');
    INSERT INTO runways VALUES (1, 'EGLL'), (2, 'EDDF');
";

/// A throw-away server, in a folder of its own and on a free port of this host.
pub(crate) struct Server {
    process: Child,
    port: u16,
    _folder: TempDir,
}

/// Where the server's programs are.
pub(crate) fn programs() -> PathBuf {
    let versions = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> =
        versions.chain(env::split_paths(&path)).filter(|folder| folder.join("initdb").exists()).collect();
    found.sort();
    let found = found.pop().expect("PostgreSQL's server is installed; ./scripts/test does that");
    // Where it is a link, its other programs are where that leads.
    let initdb = fs::canonicalize(found.join("initdb")).expect("it is there");
    initdb.parent().map_or(found, Path::to_path_buf)
}

/// A program of the server, which refuses to run as root.
fn unprivileged(program: &Path) -> Command {
    let root = fs::metadata("/proc/self").is_ok_and(|own| std::os::unix::fs::MetadataExt::uid(&own) == 0);
    if !root {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups"]).arg(program);
    command
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// With these settings.
    pub(crate) fn with(settings: &[&str]) -> Self {
        let made =
            ["--auth=trust", "--username=postgres", "--no-sync", "--encoding=UTF8", "--locale=C", "-D"];
        Self::made("initdb", &made, settings)
    }

    /// A replica of this one that follows it so late.
    pub(crate) fn replica(&self, late: &str) -> Self {
        let port = self.port.to_string();
        let made = ["-h", "127.0.0.1", "-p", &port, "-U", "postgres", "-R", "--no-sync", "-c", "fast", "-D"];
        Self::made("pg_basebackup", &made, &[&format!("recovery_min_apply_delay={late}")])
    }

    /// A server whose folder this program has made.
    fn made(program: &str, args: &[&str], settings: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let data = folder.path().join("data");
        fs::create_dir(&data).expect("a folder within it");
        // A server starts in no folder that others may read.
        let nobody_else = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&data, nobody_else).expect("it is this process's");
        // Its user differs from this one where this is root.
        let everybody = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        fs::set_permissions(folder.path(), everybody).expect("it is this process's");
        let _ = Command::new("chown").arg("postgres").arg(&data).stderr(Stdio::null()).status();
        let programs = programs();
        let made = unprivileged(&programs.join(program))
            .args(args)
            .arg(&data)
            .current_dir("/")
            .stdout(Stdio::null())
            .status();
        assert!(made.expect("it runs").success(), "{program}");
        let port =
            TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
        let process = unprivileged(&programs.join("postgres"))
            .arg("-D")
            .arg(&data)
            .args(["-F", "-h", "127.0.0.1", "-p", &port.to_string(), "-c", "unix_socket_directories="])
            .args(settings.iter().flat_map(|setting| ["-c", setting]))
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the server starts");
        Self { process, port, _folder: folder }
    }

    pub(crate) fn url(&self, role: &str, database: &str) -> String {
        format!("postgres://{role}@127.0.0.1:{}/{database}", self.port)
    }

    pub(crate) async fn pool(&self, database: &str) -> PgPool {
        let url = self.url("postgres", database);
        let began = Instant::now();
        loop {
            match PgPoolOptions::new().max_connections(4).connect(&url).await {
                Ok(pool) => return pool,
                Err(error) => assert!(began.elapsed() < Duration::from_mins(1), "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = Command::new("kill").args(["-QUIT", &self.process.id().to_string()]).status();
        let _ = self.process.wait();
    }
}

/// A database of its own, and a cache.
struct Rig {
    db: Watched<PgPool>,
    cache: Cache,
}

#[cached(prefix = "count", key = "{from}", recorded)]
async fn count(db: &Watched<PgPool>, from: &str) -> Result<i64, sqlx::Error> {
    let sql = AssertSqlSafe(format!("SELECT COUNT(*) FROM {from}"));
    sqlx::query_scalar(sql).fetch_one(db).await
}

impl Rig {
    async fn new(server: &Server, name: &str) -> Self {
        let own = server.pool("postgres").await;
        sqlx::raw_sql(AssertSqlSafe(format!("CREATE DATABASE {name}")))
            .execute(&own)
            .await
            .expect("a new name");
        let pool = server.pool(name).await;
        sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("well-formed");
        let cache = Cache::memory();
        Self { db: Watched::new(pool).cache(&cache), cache }
    }

    async fn count(&self, from: &str) -> (i64, bool) {
        let before = self.cache.stats().total.loads;
        let count = self.cache.scope(count(&self.db, from)).await.expect("a table");
        self.cache.stored().await;
        (count, self.cache.stats().total.loads > before)
    }

    async fn cached(&self, all: &[&str]) {
        for from in all {
            self.count(from).await;
            self.count(from).await;
            assert!(!self.count(from).await.1, "{from} is cached");
        }
    }

    /// Runs a statement, and tells which of these counts it evicted.
    async fn after<'t>(&self, sql: &'static str, all: &[&'t str]) -> Vec<&'t str> {
        sqlx::raw_sql(sql).execute(&self.db).await.expect("well-formed");
        self.evicted(all).await
    }

    async fn evicted<'t>(&self, all: &[&'t str]) -> Vec<&'t str> {
        let mut evicted = Vec::new();
        for from in all {
            if self.count(from).await.1 {
                evicted.push(*from);
            }
        }
        evicted
    }
}

#[tokio::test]
async fn the_same_holds_on_postgres() {
    let server = Server::start();
    writes_evict(&Rig::new(&server, "writes").await).await;
    transactions_evict_with_their_commit(&Rig::new(&server, "transactions").await).await;
    the_catalogue_is_followed(&Rig::new(&server, "catalogues").await).await;
    triggers_and_routines_count_as_they_are_said(&Rig::new(&server, "routines").await).await;
    rows_are_evicted_by_their_keys(&Rig::new(&server, "rows").await).await;
    what_the_database_does_by_itself_counts(&Rig::new(&server, "besides").await).await;
    a_transaction_may_be_set_up_before_it_reads(&Rig::new(&server, "set_up").await).await;
    commits_by_text_evict(&Rig::new(&server, "texts").await).await;
}

async fn what_the_database_does_by_itself_counts(rig: &Rig) {
    let all = ["goods", "things", "wares", "papers", "codes", "log"];
    rig.cached(&all).await;
    assert_eq!(rig.after("INSERT INTO wares VALUES (1, 1)", &all).await, ["goods", "things", "wares"]);
    assert_eq!(rig.after("UPDATE things SET code = 2", &all).await, ["things", "wares"]);
    assert_eq!(rig.after("INSERT INTO members VALUES ('Ada')", &all).await, ["papers"]);
    assert_eq!(
        rig.after("INSERT INTO coded VALUES (DEFAULT)", &all).await,
        all,
        "nobody knows what its default does"
    );
    let told = Rig {
        db: rig.db.clone().routine("next_code", Effects::none().writes(["codes"])),
        cache: rig.cache.clone(),
    };
    assert_eq!(told.after("INSERT INTO coded VALUES (DEFAULT)", &all).await, ["codes"]);

    let made = rig.cache.entry::<u32>("made", ()).with_tags(row("made", "ax"));
    made.set(&1).await.expect("set");
    rig.after("UPDATE made SET a = 'b' WHERE code = 'ax'", &[]).await;
    assert!(!made.has().await.expect("an answer"), "and so does the key that it has now");

    for unknown in ["numbers", "(SELECT odd_sum(id) FROM goods) AS odd"] {
        rig.count(unknown).await;
        rig.count(unknown).await;
        assert!(rig.count(unknown).await.1, "nothing tells when it changes: {unknown}");
    }
    let sql = "CREATE FUNCTION same(int, int) RETURNS boolean LANGUAGE sql STABLE AS 'SELECT EXISTS (SELECT FROM log)';
               CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = same)";
    sqlx::raw_sql(sql).execute(&rig.db).await.expect("well-formed");
    for _ in 0..3 {
        assert!(rig.count("goods").await.1, "any statement may run what the operator does");
    }
    let told = rig.db.clone().routine("same", Effects::none().reads(["log"]));
    let told = Rig { db: told, cache: rig.cache.clone() };
    told.cached(&["goods"]).await;
    assert_eq!(told.after("INSERT INTO log VALUES (1)", &["goods"]).await, ["goods"]);
}

async fn a_transaction_may_be_set_up_before_it_reads(rig: &Rig) {
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE")
        .execute(&mut tx)
        .await
        .expect("nothing was read yet");
    sqlx::query("INSERT INTO log VALUES (1)").execute(&mut tx).await.expect("a row");
    let level: String =
        sqlx::query_scalar("SHOW transaction_isolation").fetch_one(&mut tx).await.expect("a level");
    assert_eq!(level, "serializable");
    rig.cached(&["log"]).await;
    tx.commit().await.expect("committed");
    assert_eq!(rig.evicted(&["log"]).await, ["log"]);
    for round in 0..20 {
        rig.cached(&["log"]).await;
        let mut tx = rig.db.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ").await.expect("a connection");
        sqlx::query("INSERT INTO log VALUES (1)").execute(&mut tx).await.expect("a row");
        let mut commit = Box::pin(tx.commit());
        assert!(commit.as_mut().now_or_never().is_none());
        drop(commit);
        rig.count("log").await;
        let began = Instant::now();
        while rig.count("log").await.0 != round + 2 {
            assert!(began.elapsed() < Duration::from_secs(30), "a commit that nobody waits for goes on");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

async fn commits_by_text_evict(rig: &Rig) {
    rig.cached(&["log", "countries"]).await;
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query("INSERT INTO log VALUES (1)").execute(&mut tx).await.expect("a row");
    sqlx::query("COMMIT").execute(&mut tx).await.expect("committed");
    assert_eq!(rig.evicted(&["log"]).await, ["log"]);
    drop(tx);
    rig.cached(&["log", "countries"]).await;
    sqlx::raw_sql("BEGIN; INSERT INTO log VALUES (1); COMMIT").execute(&rig.db).await.expect("committed");
    assert_eq!(rig.evicted(&["log", "countries"]).await, ["log"]);
}

async fn writes_evict(rig: &Rig) {
    rig.cached(&["log", "countries"]).await;
    for way in 0..5 {
        let query = sqlx::query("INSERT INTO log VALUES (1) RETURNING id");
        match way {
            0 => drop(query.fetch_one(&rig.db).await.expect("a row")),
            1 => drop(query.fetch_optional(&rig.db).await.expect("a row")),
            2 => drop(query.fetch_all(&rig.db).await.expect("a row")),
            3 => drop(query.execute(&rig.db).await.expect("a row")),
            _ => drop(sqlx::raw_sql("INSERT INTO log VALUES (1)").execute(&rig.db).await.expect("a row")),
        }
        assert_eq!(rig.count("log").await, (way + 1, true), "{way}");
    }
    assert!(!rig.count("countries").await.1);
}

async fn transactions_evict_with_their_commit(rig: &Rig) {
    let all = ["log", "\"Mixed\"", "archive.reports"];
    rig.cached(&all).await;
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query("INSERT INTO log VALUES (1) RETURNING id").fetch_one(&mut tx).await.expect("a row");
    let mut undone = tx.begin().await.expect("a savepoint");
    sqlx::query("INSERT INTO \"Mixed\" VALUES (1)").execute(&mut undone).await.expect("a row");
    undone.rollback().await.expect("undone");
    assert!(rig.evicted(&all).await.is_empty());
    tx.commit().await.expect("committed");
    assert_eq!(rig.evicted(&all).await, ["log"]);
    let mut tx = rig.db.begin().await.expect("a connection");
    sqlx::query("DELETE FROM log").execute(&mut tx).await.expect("rows");
    tx.rollback().await.expect("undone");
    assert!(rig.evicted(&all).await.is_empty());
}

async fn the_catalogue_is_followed(rig: &Rig) {
    let all =
        ["countries", "airports", "runways", "british_too", "events", "events_1", "archive.reports", "log"];
    rig.cached(&all).await;
    let deleted = rig.after("DELETE FROM airports WHERE icao = 'EDDF'", &all).await;
    assert_eq!(deleted, ["airports", "runways", "british_too"]);
    let renamed = rig.after("UPDATE airports SET name = '' WHERE icao = 'EGLL'", &all).await;
    assert_eq!(renamed, ["airports", "british_too"]);
    let recoded = rig.after("UPDATE countries SET code = 'UK' WHERE code = 'GB'", &all).await;
    assert_eq!(recoded, ["countries", "airports", "british_too"]);
    assert_eq!(rig.after("INSERT INTO events_1 VALUES (7)", &all).await, ["events", "events_1"]);
    assert_eq!(rig.after("INSERT INTO archive.reports VALUES (7)", &all).await, ["archive.reports"]);
    // By a name that the search path completes.
    let path = rig.after(
        "SET search_path TO archive, public; INSERT INTO reports VALUES (8); SET search_path TO public",
        &all,
    );
    assert_eq!(path.await, ["archive.reports"]);
    assert_eq!(rig.after("TRUNCATE airports CASCADE", &all).await, ["airports", "runways", "british_too"]);
    assert_eq!(rig.after("DO $$ BEGIN DELETE FROM log; END $$", &all).await, all);
}

async fn triggers_and_routines_count_as_they_are_said(rig: &Rig) {
    let all = ["logged", "log", "countries"];
    rig.cached(&all).await;
    assert_eq!(
        rig.after("INSERT INTO logged VALUES (1)", &all).await,
        all,
        "nobody knows what its trigger does"
    );
    assert_eq!(rig.after("SELECT tidy()", &all).await, all);
    let entry = rig.cache.entry::<i64>("counted", ()).with_policy(Policy::new().recorded(true));
    let load = async || sqlx::query_scalar("SELECT counted()").fetch_one(&rig.db).await;
    entry.try_get_or_load(load).await.expect("a count");
    assert!(!entry.has().await.expect("an answer"), "nobody knows what it reads");

    let db = rig.db.clone().trigger("logged", "noted", Effects::none().writes(["log"]));
    let db = db
        .routine("tidy", Effects::none().writes(["log"]))
        .routine("counted", Effects::none().reads(["log"]));
    let told = Rig { db, cache: rig.cache.clone() };
    assert_eq!(told.after("INSERT INTO logged VALUES (2)", &all).await, ["logged", "log"]);
    assert_eq!(told.after("SELECT tidy()", &all).await, ["log"]);
    let load = async || sqlx::query_scalar("SELECT counted()").fetch_one(&told.db).await;
    for _ in 0..2 {
        entry.try_get_or_load(load).await.expect("a count");
    }
    assert!(entry.has().await.expect("an answer"));
}

async fn rows_are_evicted_by_their_keys(rig: &Rig) {
    let stays = async |icao: &str| {
        let entry = rig.cache.entry::<u32>("row", icao).with_tags(row("airports", icao));
        let was_there = entry.has().await.expect("an answer");
        entry.set(&1).await.expect("set");
        was_there
    };
    stays("EGLL").await;
    stays("EDDF").await;
    rig.after("UPDATE airports SET name = '' WHERE icao = 'EGLL'", &[]).await;
    assert!(!stays("EGLL").await && stays("EDDF").await);
    sqlx::query("UPDATE airports SET name = '' WHERE icao = $1")
        .bind("EGLL")
        .execute(&rig.db)
        .await
        .expect("a row");
    assert!(!stays("EGLL").await && !stays("EDDF").await);
}
