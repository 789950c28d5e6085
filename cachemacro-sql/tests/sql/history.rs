//! Three processes on one PostgreSQL and one Redis: two read and write, are killed and started again, the third writes behind the back of
//! both. No read is older than what was acknowledged before it began.
//!
//! Besides that, no read is of what was never committed. It was not run against builds that lack a part; what fails where a part is removed
//! is in the tables above `outbox` and `watched`.

use std::env;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cachemacro::{Cache, cached, record};
use cachemacro_sql::{Effects, Outbox, Watched, install, row, table};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres};
use tempfile::TempDir;

use crate::postgres::Server;

const KEYS: i64 = 6;

/// Stands for a row that is only written behind the back of all, in transactions that commit late.
const LATE_ROW: i64 = KEYS + 1;

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
    (Process(process), format!("redis://127.0.0.1:{port}"), folder)
}

/// One process.
struct Node {
    db: Watched<PgPool>,
    cache: Cache,
    outbox: Outbox,
    state: u64,
}

#[cached(prefix = "recorded", key = "{id}", recorded)]
async fn recorded(db: &Watched<PgPool>, id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT n FROM numbers WHERE id = $1").bind(id).fetch_one(db).await
}

#[cached(prefix = "row", key = "{id}", tags = row("numbers", id))]
async fn by_row(db: &Watched<PgPool>, id: i64) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT n FROM numbers WHERE id = $1").bind(id).fetch_one(db).await
}

#[cached(prefix = "changes", skip(db), recorded)]
async fn changes(db: &Watched<PgPool>) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT n FROM changes").fetch_one(db).await
}

#[cached(prefix = "late", skip(db), tags = row("late", 1))]
async fn late(db: &Watched<PgPool>) -> sqlx::Result<i64> {
    sqlx::query_scalar("SELECT n FROM late WHERE id = 1").fetch_one(db).await
}

/// What a load reads it hands on.
#[cached(prefix = "outer", key = "{id}", recorded)]
async fn outer(db: &Watched<PgPool>, id: i64) -> sqlx::Result<i64> {
    recorded(db, id).await
}

/// Reads what loads of it have not read before, often more than can be remembered.
#[cached(prefix = "strange", key = "{id}", ttl = "500ms", recorded)]
async fn strange(db: &Watched<PgPool>, id: i64) -> sqlx::Result<i64> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let new = NEXT.fetch_add(40, Ordering::Relaxed);
    record((new..new + 40).map(|tag| format!("strange:{tag}")));
    let n = by_row(db, id).await?;
    // Long enough that somebody writes meanwhile.
    sqlx::query("SELECT pg_sleep(0.003)").execute(db.unwatched()).await?;
    Ok(n)
}

impl Node {
    /// By hand, through any connection.
    async fn by_hand(&self, on: impl Executor<'_, Database = Postgres>, id: i64) -> sqlx::Result<i64> {
        let entry = self.cache.entry::<i64>("hand", id).with_tags(row("numbers", id));
        let sql = "SELECT n FROM numbers WHERE id = $1";
        entry.try_get_or_load(|| sqlx::query_scalar(sql).bind(id).fetch_one(on)).await
    }

    async fn new(database: &str, store: &str, seed: u64) -> Self {
        let pool =
            PgPoolOptions::new().max_connections(6).connect(database).await.expect("the database is there");
        let cache = Cache::builder().redis(store).namespace("history").build().expect("acceptable");
        let db = Watched::new(pool).cache(&cache);
        let db = db.trigger("numbers", "counted", Effects::none().writes(["changes"]));
        let outbox = install(&db, [table("numbers").key("id"), table("changes"), table("late").key("id")])
            .await
            .expect("installed");
        Self { db, cache, outbox, state: seed }
    }

    /// A fixed sequence, so that what fails once fails again.
    fn below(&mut self, most: i64) -> i64 {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        i64::try_from(self.state >> 33).expect("31 bits") % most
    }

    /// Has it that this row, or with 0 the count of changes, is so new.
    async fn acknowledge(&self, id: i64, n: i64) -> sqlx::Result<()> {
        let sql = "INSERT INTO acknowledged VALUES ($1, $2) ON CONFLICT (id) DO UPDATE SET n = GREATEST(acknowledged.n, excluded.n)";
        sqlx::query(sql).bind(id).bind(n).execute(self.db.unwatched()).await.map(drop)
    }

    async fn acknowledged(&self, id: i64) -> sqlx::Result<i64> {
        let sql = "SELECT COALESCE(MAX(n), 0) FROM acknowledged WHERE id = $1";
        sqlx::query_scalar(sql).bind(id).fetch_one(self.db.unwatched()).await
    }

    /// One read, held against what was acknowledged before it.
    async fn read(&mut self) -> sqlx::Result<()> {
        let (id, way) = (1 + self.below(KEYS), self.below(7));
        let of = match way {
            3 => 0,
            6 => LATE_ROW,
            _ => id,
        };
        let least = self.acknowledged(of).await?;
        let read = async {
            match way {
                0 => recorded(&self.db, id).await,
                1 => by_row(&self.db, id).await,
                2 => outer(&self.db, id).await,
                3 => changes(&self.db).await,
                4 => strange(&self.db, id).await,
                5 => self.by_hand(&self.db, id).await,
                _ => late(&self.db).await,
            }
        };
        let seen = self.cache.scope(read).await?;
        if seen < least || seen >= NEVER {
            let ways = ["recorded", "row", "outer", "changes", "strange", "by hand", "late"];
            let way = ways[usize::try_from(way).expect("one of seven")];
            let text = format!("{way} of {id} is {seen}, and {least} was acknowledged");
            sqlx::query("INSERT INTO violations VALUES ($1)").bind(text).execute(self.db.unwatched()).await?;
        }
        Ok(())
    }

    /// One write, and what of it is acknowledged.
    async fn write(&mut self) -> sqlx::Result<()> {
        const SQL: &str = "UPDATE numbers SET n = n + 1 WHERE id = $1 RETURNING n";
        let (id, way) = (1 + self.below(KEYS - 1), self.below(7));
        let bound = |id: i64| sqlx::query_scalar::<Postgres, i64>(SQL).bind(id);
        let mut done = Vec::new();
        match way {
            0 => done.push((id, bound(id).fetch_one(&self.db).await?)),
            1 => {
                let text = AssertSqlSafe(SQL.replace("$1", &id.to_string()));
                done.push((id, sqlx::query_scalar(text).fetch_one(&self.db).await?));
            }
            2 => {
                let mut tx = self.db.begin().await?;
                done.push((id, bound(id).fetch_one(&mut tx).await?));
                done.push((id + 1, bound(id + 1).fetch_one(&mut tx).await?));
                tx.commit().await?;
            }
            3 => {
                let mut tx = self.db.begin().await?;
                bound(id).fetch_one(&mut tx).await?;
                tx.rollback().await?;
            }
            4 => {
                let mut tx = self.db.begin().await?;
                done.push((id, bound(id).fetch_one(&mut tx).await?));
                let mut undone = tx.begin().await?;
                bound(id + 1).fetch_one(&mut undone).await?;
                undone.rollback().await?;
                tx.commit().await?;
            }
            5 => {
                let collected = self.cache.after_commit(async {
                    let mut tx = self.db.begin().await?;
                    let sql = "UPDATE numbers SET n = n + $2 WHERE id = $1";
                    sqlx::query(sql).bind(id).bind(NEVER).execute(&mut tx).await?;
                    self.by_hand(&mut tx, id).await?;
                    tx.rollback().await
                });
                self.cache.scope(collected).await?;
            }
            _ => {
                let mut tx = self.db.begin_with("BEGIN ISOLATION LEVEL SERIALIZABLE").await?;
                let n = bound(id).fetch_one(&mut tx).await?;
                tx.commit().await?;
                done.push((id, n));
            }
        }
        for (id, n) in done {
            self.acknowledge(id, n).await?;
        }
        Ok(())
    }

    /// What is there now is acknowledged a while later, by whomever it was written.
    async fn acknowledge_late(&self) -> sqlx::Result<()> {
        let sql =
            "SELECT id, n FROM numbers UNION ALL SELECT 0, n FROM changes UNION ALL SELECT $1, n FROM late";
        let rows: Vec<(i64, i64)> = sqlx::query_as(sql).bind(LATE_ROW).fetch_all(self.db.unwatched()).await?;
        tokio::time::sleep(LATE).await;
        for (id, n) in rows {
            self.acknowledge(id, n).await?;
        }
        Ok(())
    }

    async fn count_reads(&self, name: &str) -> sqlx::Result<()> {
        let total = self.cache.stats().total;
        let (reads, hits) = (total.hits + total.misses(), total.hits);
        let sql = "INSERT INTO reads VALUES ($1, $2, $3) ON CONFLICT (process) DO UPDATE SET n = excluded.n, hits = excluded.hits";
        let number = |count: u64| i64::try_from(count).unwrap_or(i64::MAX);
        sqlx::query(sql)
            .bind(name)
            .bind(number(reads))
            .bind(number(hits))
            .execute(self.db.unwatched())
            .await
            .map(drop)
    }
}

#[tokio::test]
async fn no_read_is_older_than_what_was_acknowledged_before_it_began() {
    let server = Server::start();
    let pool = server.pool("postgres").await;
    sqlx::raw_sql(SCHEMA).execute(&pool).await.expect("well-formed");
    let (_store, store, _folder) = redis();
    let database = server.url("postgres", "postgres");
    let long = env::var_os("CACHEMACRO_TEST_LONG").is_some();
    let lasts = Duration::from_secs(if long { 90 } else { 12 });
    let start = |number: u64| {
        let process = Command::new(env::current_exe().expect("this program"))
            .args(["--exact", "--ignored", "history::a_process_that_reads_and_writes"])
            .env(SERVERS, format!("{database} {store} {number}"))
            .stdout(Stdio::null())
            .spawn();
        Process(process.expect("it starts"))
    };
    let mut processes = [start(1), start(2)];
    let node = Node::new(&database, &store, 7).await;
    let (began, mut round, mut kills) = (Instant::now(), 0_i64, 0_u64);
    let foreign = async {
        while began.elapsed() < lasts {
            round += 1;
            let sql = "UPDATE numbers SET n = n + 1 WHERE id = $1";
            let written = sqlx::query(sql).bind(1 + round % KEYS).execute(&pool).await;
            // Another may be in its way: an own failure is none of the cache's.
            let _ = written;
            if round % 8 == 0 {
                kills += 1;
                let at = usize::try_from(kills % 2).expect("0 or 1");
                processes[at].0.kill().expect("SIGKILL");
                let _ = processes[at].0.wait();
                processes[at] = start(10 + kills);
            }
            tokio::time::sleep(Duration::from_millis(150)).await;
        }
    };
    let slow = async {
        while began.elapsed() < lasts {
            let mut late = pool.begin().await.expect("a connection");
            let sql = "UPDATE late SET n = n + 1";
            sqlx::query(sql).execute(&mut *late).await.expect("nobody else writes it");
            // Others commit, and are drained.
            tokio::time::sleep(Duration::from_millis(700)).await;
            late.commit().await.expect("committed");
        }
    };
    let late = async {
        while began.elapsed() < lasts {
            node.acknowledge_late().await.expect("the database answers");
        }
    };
    tokio::join!(foreign, slow, late);
    let violations: Vec<(String,)> =
        sqlx::query_as("SELECT text FROM violations").fetch_all(&pool).await.expect("rows");
    assert!(
        violations.is_empty(),
        "{} reads were too old: {:?}",
        violations.len(),
        &violations[..violations.len().min(10)]
    );
    let (reads, hits): (i64, i64) = sqlx::query_as("SELECT SUM(n)::bigint, SUM(hits)::bigint FROM reads")
        .fetch_one(&pool)
        .await
        .expect("sums");
    let (writes,): (i64,) = sqlx::query_as("SELECT n FROM changes").fetch_one(&pool).await.expect("a count");
    println!(
        "{reads} reads, {hits} of them hits, {writes} rows written, {kills} processes killed: no read was too old"
    );
    assert!(hits > 100 && writes > 100, "{hits} hits, {writes} rows");
    node.outbox.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a process of its own, which another test starts and kills"]
async fn a_process_that_reads_and_writes() {
    let Ok(servers) = env::var(SERVERS) else { return };
    let [database, store, seed] = servers.split(' ').collect::<Vec<_>>()[..] else { panic!("{servers}") };
    let seed: u64 = seed.parse().expect("a number");
    let mut node = Node::new(database, store, seed.wrapping_mul(0x9e37_79b9_7f4a_7c15)).await;
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
