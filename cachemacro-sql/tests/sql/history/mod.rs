//! Three processes on one PostgreSQL and one Redis: two read and write, are killed and started again, the third writes behind the back of
//! both. No read is older than what was acknowledged before it began.
//!
//! Besides that, no read is of what was never committed. Where a part is done wrongly, each of [`Broken`], the same history finds that out;
//! what else fails without a part is in the tables above `outbox` and `watched`.

mod broken;
mod node;

use std::env;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cachemacro_sql::{Watched, migration};
use sqlx::{AssertSqlSafe, PgPool};
use tempfile::TempDir;

use crate::history::broken::Broken;
use crate::history::node::{Node, noted};
use crate::postgres::Server;

const KEYS: i64 = 6;

/// Stands for a row that is only written behind the back of all, in transactions that commit late.
const LATE_ROW: i64 = KEYS + 1;

/// Stands for a row that is written through handles alone, and read by loads that did not read its table before.
const LOUD_ROW: i64 = KEYS + 2;

/// What is never committed is larger than this.
const NEVER: i64 = 1_000_000;

/// A foreign write, and one of a killed process, may be seen this late: a multiple of the second that is promised, on a machine under load.
const LATE: Duration = Duration::from_secs(5);

const SCHEMA: &str = "
    CREATE TABLE numbers (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);
    CREATE TABLE changes (n BIGINT NOT NULL);
    CREATE FUNCTION count_it() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN UPDATE changes SET n = n + 1; RETURN NULL; END $$;
    CREATE TRIGGER counted AFTER UPDATE ON numbers FOR EACH ROW EXECUTE FUNCTION count_it();
    CREATE TABLE acknowledged (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);
    CREATE TABLE violations (text TEXT NOT NULL);
    CREATE TABLE reads (process TEXT PRIMARY KEY, n BIGINT NOT NULL, hits BIGINT NOT NULL);
    INSERT INTO numbers SELECT id, 0 FROM generate_series(1, 6) AS id;
    CREATE TABLE late (id BIGINT PRIMARY KEY, n BIGINT NOT NULL);
    INSERT INTO late VALUES (1, 0);
    INSERT INTO changes VALUES (0);
    CREATE TABLE quiet (n BIGINT NOT NULL);
    INSERT INTO quiet VALUES (0);
    CREATE TABLE loud (n BIGINT NOT NULL);
    INSERT INTO loud VALUES (0);
    CREATE TABLE newest (at FLOAT8 NOT NULL);
    INSERT INTO newest VALUES (0);
";

/// Where a process finds both servers.
const SERVERS: &str = "CACHEMACRO_SQL_HISTORY";

/// A process, which ends with this.
pub(crate) struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server, and where it is.
pub(crate) fn redis() -> (Process, String, TempDir) {
    let port =
        TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let folder = tempfile::tempdir().expect("a folder");
    let program = env::var("CACHEMACRO_TEST_SERVER").unwrap_or_else(|_| "redis-server".to_owned());
    let process = Command::new(program)
        .args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no"])
        .current_dir(folder.path())
        .stdout(Stdio::null())
        .spawn()
        .expect("it is installed; ./scripts/test does that");
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(began.elapsed() < Duration::from_mins(1), "nobody listens");
        std::thread::sleep(Duration::from_millis(5));
    }
    (Process(process), format!("redis://127.0.0.1:{port}"), folder)
}

/// Where a history is played, and what its processes lack.
struct Place {
    database: String,
    store: String,
    namespace: String,
    lacks: Option<Broken>,
}

/// What became of a history.
#[derive(Debug)]
struct Played {
    /// Reads that were too old.
    violations: Vec<String>,
    reads: i64,
    hits: i64,
    /// So many rows were written.
    rows: i64,
    kills: u64,
}

impl Place {
    /// A process that reads and writes here.
    fn start(&self, number: u64) -> Process {
        let Self { database, store, namespace, lacks } = self;
        let lacks = lacks.map_or_else(|| "nothing".to_owned(), |lacks| format!("{lacks:?}"));
        let process = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "--ignored", "history::a_process_that_reads_and_writes"])
            .env(SERVERS, format!("{database} {store} {namespace} {lacks} {number}"))
            .stdout(Stdio::null())
            .spawn();
        Process(process.expect("it starts"))
    }

    /// Plays for so long; where something is lacking, until that is found.
    async fn play(&self, pool: &PgPool, lasts: Duration) -> Played {
        sqlx::raw_sql(SCHEMA).execute(pool).await.expect("well-formed");
        let triggers = migration(&Watched::new(pool.clone()), noted()).await.expect("they can be made");
        sqlx::raw_sql(AssertSqlSafe(triggers)).execute(pool).await.expect("well-formed");
        let mut processes = [self.start(1), self.start(2)];
        let node = Node::new(self, 7).await;
        let (began, mut round, mut kills) = (Instant::now(), 0_i64, 0_u64);
        let foreign = async {
            while began.elapsed() < lasts {
                round += 1;
                for process in &mut processes {
                    let ended = process.0.try_wait().expect("it can be asked");
                    assert!(ended.is_none(), "a process ended by itself: {ended:?}");
                }
                let sql = "UPDATE numbers SET n = n + 1 WHERE id = $1";
                let written = sqlx::query(sql).bind(1 + round % KEYS).execute(pool).await;
                // Another may be in its way: an own failure is none of the cache's.
                let _ = written;
                if round % 8 == 0 {
                    kills += 1;
                    let at = usize::try_from(kills % 2).expect("0 or 1");
                    processes[at].0.kill().expect("SIGKILL");
                    let _ = processes[at].0.wait();
                    processes[at] = self.start(10 + kills);
                }
                if self.lacks.is_some() && !violations(pool).await.is_empty() {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(150)).await;
            }
        };
        let slow = async {
            loop {
                let mut late = pool.begin().await.expect("a connection");
                let sql = "UPDATE late SET n = n + 1";
                sqlx::query(sql).execute(&mut *late).await.expect("nobody else writes it");
                // Others commit, and are drained.
                tokio::time::sleep(Duration::from_millis(700)).await;
                late.commit().await.expect("committed");
            }
        };
        let late = async {
            loop {
                node.acknowledge_late().await.expect("the database answers");
            }
        };
        tokio::select! {
            () = foreign => {}
            () = slow => {}
            () = late => {}
        }
        node.stop().await;
        let sums = "SELECT COALESCE(SUM(n), 0)::bigint, COALESCE(SUM(hits), 0)::bigint FROM reads";
        let (reads, hits) = sqlx::query_as(sums).fetch_one(pool).await.expect("sums");
        let rows = sqlx::query_scalar("SELECT n FROM changes").fetch_one(pool).await.expect("a count");
        Played { violations: violations(pool).await, reads, hits, rows, kills }
    }
}

async fn violations(pool: &PgPool) -> Vec<String> {
    sqlx::query_scalar("SELECT text FROM violations LIMIT 10").fetch_all(pool).await.expect("rows")
}

#[tokio::test]
async fn no_read_is_older_than_what_was_acknowledged_before_it_began() {
    let server = Server::start();
    let pool = server.pool("postgres").await;
    let (_store, store, _folder) = redis();
    let database = server.url("postgres", "postgres");
    let place = Place { database, store, namespace: "history".to_owned(), lacks: None };
    let long = env::var_os("CACHEMACRO_TEST_LONG").is_some();
    let played = place.play(&pool, Duration::from_secs(if long { 90 } else { 12 })).await;
    let Played { violations, reads, hits, rows, kills } = &played;
    assert!(violations.is_empty(), "reads were too old: {played:#?}");
    println!(
        "{reads} reads, {hits} of them hits, {rows} rows written, {kills} processes killed: no read was too old"
    );
    assert!(*hits > 100 && *rows > 100, "{played:?}");
}

#[tokio::test]
async fn the_history_finds_out_what_is_done_wrongly() {
    let server = Server::start();
    let all = server.pool("postgres").await;
    let (_store, store, _folder) = redis();
    for lacks in Broken::ALL {
        let namespace = format!("{lacks:?}").to_lowercase();
        let create = AssertSqlSafe(format!("CREATE DATABASE {namespace}"));
        sqlx::raw_sql(create).execute(&all).await.expect("created");
        let (pool, database) = (server.pool(&namespace).await, server.url("postgres", &namespace));
        let place = Place { database, store: store.clone(), namespace, lacks: Some(lacks) };
        let began = Instant::now();
        let played = place.play(&pool, Duration::from_mins(1)).await;
        let Some(first) = played.violations.first() else { panic!("{lacks:?} was not found: {played:?}") };
        println!("{lacks:?} was found after {:?}: {first}", began.elapsed());
        pool.close().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of its own, which another test starts and kills"]
async fn a_process_that_reads_and_writes() {
    let Ok(servers) = env::var(SERVERS) else { return };
    let [database, store, namespace, lacks, seed] = servers.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{servers}")
    };
    let [database, store, namespace] = [database, store, namespace].map(str::to_owned);
    let place = Place { database, store, namespace, lacks: Broken::named(lacks) };
    let seed: u64 = seed.parse().expect("a number");
    let mut node = Node::new(&place, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).await;
    for round in 0_u64.. {
        let done = if node.below(8) == 0 { node.write().await } else { node.read().await };
        match done {
            // A serialization failure, or a deadlock.
            Err(sqlx::Error::Database(error)) if error.code().is_some_and(|code| code.starts_with("40")) => {}
            Err(sqlx::Error::Database(_) | sqlx::Error::Io(_)) if round > 0 => return,
            done => done.expect("both servers answer"),
        }
        if round % 50 == 0 && node.count_reads(&seed.to_string()).await.is_err() {
            return;
        }
    }
}
