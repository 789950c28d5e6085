//! One process of the history: how it reads and writes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use cachemacro::store::Store;
use cachemacro::store::faults::{FaultStore, Op};
use cachemacro::store::redis::{RedisConfig, RedisStore};
use cachemacro::{Cache, ErrorKind, cached, record};
use cachemacro_sql::{Effects, Outbox, Table, Watched, install, row, table};
use sqlx::postgres::PgPoolOptions;
use sqlx::{AssertSqlSafe, Executor, PgPool, Postgres};

use crate::history::broken::{self, Broken};
use crate::history::{KEYS, LATE, LATE_ROW, LOUD_ROW, NEVER, Place};

/// One process.
pub(super) struct Node {
    db: Watched<PgPool>,
    cache: Cache,
    /// Who reads the outbox by a cursor has installed nothing.
    outbox: Option<Outbox>,
    state: u64,
    lacks: Option<Broken>,
    /// By which its evicts fail.
    faults: Option<Arc<FaultStore>>,
}

#[cached(prefix = "recorded", key = "{id}", recorded)]
pub(super) async fn recorded(db: &Watched<PgPool>, id: i64) -> sqlx::Result<i64> {
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

/// Reads one table by its first load, and two by all others: what the second says.
#[cached(prefix = "grown", key = "{id}", recorded)]
async fn grown(db: &Watched<PgPool>, id: i64, lacks: Option<Broken>) -> sqlx::Result<Option<i64>> {
    static LOADS: AtomicU64 = AtomicU64::new(0);
    let _: i64 = sqlx::query_scalar("SELECT n FROM quiet").fetch_one(db).await?;
    let loud = sqlx::query_scalar("SELECT n FROM loud");
    match lacks {
        _ if LOADS.fetch_add(1, Ordering::Relaxed) == 0 => Ok(None),
        Some(Broken::NewTables) => loud.fetch_optional(db.unwatched()).await,
        _ => loud.fetch_optional(db).await,
    }
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

/// The tables with triggers.
pub(super) fn noted() -> [Table; 3] {
    [table("numbers").key("id"), table("changes"), table("late").key("id")]
}

impl Node {
    /// By hand, through any connection.
    async fn by_hand(&self, on: impl Executor<'_, Database = Postgres>, id: i64) -> sqlx::Result<i64> {
        let entry = self.cache.entry::<i64>("hand", id).with_tags(row("numbers", id));
        let sql = "SELECT n FROM numbers WHERE id = $1";
        entry.try_get_or_load(|| sqlx::query_scalar(sql).bind(id).fetch_one(on)).await
    }

    pub(super) async fn new(place: &Place, seed: u64) -> Self {
        let (database, lacks) = (&place.database, place.lacks);
        let pool =
            PgPoolOptions::new().max_connections(6).connect(database).await.expect("the database is there");
        let fails = lacks.is_none() && seed % 2 == 0;
        let faults = fails.then(|| {
            let store = RedisStore::new(RedisConfig::new(&place.store)).expect("acceptable");
            Arc::new(FaultStore::new(Arc::new(store)))
        });
        let cache = match &faults {
            Some(faults) => {
                let faults: Arc<dyn Store> = faults.clone();
                Cache::builder().store(faults)
            }
            None => broken::cache(&place.store, lacks),
        };
        let cache = cache.namespace(&place.namespace).build().expect("acceptable");
        let db = Watched::new(pool.clone()).cache(&cache);
        let db = db.trigger("numbers", "counted", Effects::none().writes(["changes"]));
        let outbox = if lacks == Some(Broken::Cursor) {
            tokio::spawn(broken::drain_by_cursor(pool, cache.clone()));
            None
        } else {
            Some(install(&db, noted()).await.expect("installed"))
        };
        Self { db, cache, outbox, state: seed, lacks, faults }
    }

    pub(super) async fn stop(&self) {
        if let Some(outbox) = &self.outbox {
            outbox.stop().await;
        }
    }

    /// A fixed sequence, so that what fails once fails again.
    pub(super) fn below(&mut self, most: i64) -> i64 {
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
    pub(super) async fn read(&mut self) -> sqlx::Result<()> {
        let (id, way) = (1 + self.below(KEYS), self.below(8));
        let of = match way {
            3 => 0,
            6 => LATE_ROW,
            7 => LOUD_ROW,
            _ => id,
        };
        let least = self.acknowledged(of).await?;
        let read = async {
            match way {
                0 => recorded(&self.db, id).await,
                1 => by_row(&self.db, id).await,
                2 if self.lacks == Some(Broken::Nested) => broken::outer(&self.db, id).await,
                2 => outer(&self.db, id).await,
                3 => changes(&self.db).await,
                4 => strange(&self.db, id).await,
                5 => self.by_hand(&self.db, id).await,
                6 => late(&self.db).await,
                _ => grown(&self.db, id, self.lacks).await.map(|loud| loud.unwrap_or(least)),
            }
        };
        let seen = self.cache.scope(read).await?;
        if seen < least || seen >= NEVER {
            let ways = ["recorded", "row", "outer", "changes", "strange", "by hand", "late", "grown"];
            let way = ways[usize::try_from(way).expect("one of eight")];
            let text = format!("{way} of {id} is {seen}, and {least} was acknowledged");
            self.violates(text).await?;
        }
        Ok(())
    }

    async fn violates(&self, text: String) -> sqlx::Result<()> {
        let sql = "INSERT INTO violations VALUES ($1)";
        sqlx::query(sql).bind(text).execute(self.db.unwatched()).await.map(drop)
    }

    /// One write, and what of it is acknowledged.
    pub(super) async fn write(&mut self) -> sqlx::Result<()> {
        const SQL: &str = "UPDATE numbers SET n = n + 1 WHERE id = $1 RETURNING n";
        let (id, way) = (1 + self.below(KEYS - 1), self.below(9));
        let bound = |id: i64| sqlx::query_scalar::<Postgres, i64>(SQL).bind(id);
        let mut done = Vec::new();
        match way {
            0 => done.push((id, bound(id).fetch_one(&self.db).await?)),
            1 => {
                let text = AssertSqlSafe(SQL.replace("$1", &id.to_string()));
                done.push((id, sqlx::query_scalar(text).fetch_one(&self.db).await?));
            }
            2 if self.lacks == Some(Broken::EarlyEvicts) => {
                let mut tx = self.db.unwatched().begin().await?;
                done.push((id, bound(id).fetch_one(&mut *tx).await?));
                broken::evict_early(&self.cache, id).await;
                tx.commit().await?;
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
            5 if self.lacks == Some(Broken::DirtyStores) => {
                let mut tx = self.db.unwatched().begin().await?;
                let sql = "UPDATE numbers SET n = n + $2 WHERE id = $1";
                sqlx::query(sql).bind(id).bind(NEVER).execute(&mut *tx).await?;
                self.cache.scope(self.by_hand(&mut *tx, id)).await?;
                tx.rollback().await?;
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
            7 if self.faults.is_some() => {
                self.faults.iter().for_each(|faults| faults.fail_next(Op::Evict, 1, ErrorKind::Timeout));
                let n = bound(id).fetch_one(&self.db).await?;
                // It is not acknowledged: the evict is sent again, and until then this process reads past what it is about.
                let seen = self.cache.scope(by_row(&self.db, id)).await?;
                if seen < n {
                    self.violates(format!("its own row {id} is {seen}, and {n} was written")).await?;
                }
            }
            6 => {
                let sql = "UPDATE loud SET n = n + 1 RETURNING n";
                done.push((LOUD_ROW, sqlx::query_scalar(sql).fetch_one(&self.db).await?));
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
    pub(super) async fn acknowledge_late(&self) -> sqlx::Result<()> {
        let sql =
            "SELECT id, n FROM numbers UNION ALL SELECT 0, n FROM changes UNION ALL SELECT $1, n FROM late";
        let rows: Vec<(i64, i64)> = sqlx::query_as(sql).bind(LATE_ROW).fetch_all(self.db.unwatched()).await?;
        tokio::time::sleep(LATE).await;
        for (id, n) in rows {
            self.acknowledge(id, n).await?;
        }
        Ok(())
    }

    pub(super) async fn count_reads(&self, name: &str) -> sqlx::Result<()> {
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
