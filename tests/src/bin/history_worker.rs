//! One of several processes whose readers, writers and evicters share a cache and a database.
//!
//! The database is a second server: a row is a counter, so each of its versions is the one before plus one. An
//! acknowledged write raises the row's floor there; a read notes the floor before it begins, and what it returns
//! is stale where it is lower.
//!
//! Arguments: the cache's URL, the database's URL, the namespace, a seed, how many tasks, how many steps each, and
//! `fenced` or `unfenced`.

use std::collections::HashMap;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachemacro_runtime::__private::{Fallible, NoRules, When, Writes, write};
use cachemacro_runtime::store::Store;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_runtime::{Cache, Entry, EntryRules, Lookup};
use cachemacro_tests::unfenced::Unfenced;
use cachemacro_tests::worker::{commands, say};
use cachemacro_tests::{Dice, LONG};
use redis::aio::MultiplexedConnection;
use tokio::time::{sleep, timeout};

type Failure = Box<dyn Error + Send + Sync>;
type Outcome<T = ()> = Result<T, Failure>;

/// How many rows there are. The tag of an even one is known beforehand, that of an odd one comes from its value.
const ROWS: u64 = 4;

/// A row's number and version.
type Row = (u64, u64);

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [cache, database, namespace, seed, tasks, steps, fence] = args[..] else {
        return Err("seven arguments, please".into());
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let config = RedisConfig::new(cache).connect_timeout(LONG).command_timeout(LONG).pool_wait(LONG);
        let mut store: Arc<dyn Store> = Arc::new(RedisStore::new(config)?);
        if fence == "unfenced" {
            store = Arc::new(Unfenced(store));
        }
        let cache = Cache::builder().store(store).namespace(namespace).wait(LONG).lease(LONG).build()?;
        cache.connect().await?;
        let database = cachemacro_tests::server::connect(database).await;
        let process = Process { cache, database, stale: Arc::default(), reads: Arc::default() };
        say("ready");
        next_command().await?;
        let mut dice = Dice::new(seed.parse()?);
        let tasks: usize = tasks.parse()?;
        let steps: u64 = steps.parse()?;
        let tasks = (0..tasks).map(|_| tokio::spawn(process.clone().play(dice.split(), steps)));
        for played in futures_util::future::join_all(tasks).await {
            played??;
        }
        say("played");
        next_command().await?;
        for row in 0..ROWS {
            process.check(row, async || Ok(Some(process.read(row, Duration::ZERO).await?))).await?;
        }
        let stats = process.cache.stats().total;
        say(format_args!("reads {}", process.reads.load(Ordering::SeqCst)));
        say(format_args!("hits {}", stats.hits));
        say(format_args!("refused {}", stats.refused_fills));
        say(format_args!("stale {}", process.stale.load(Ordering::SeqCst)));
        Ok(())
    })
}

/// Waits for the test's word.
async fn next_command() -> Outcome<String> {
    Ok(tokio::task::spawn_blocking(|| commands().next()).await?.ok_or("the test is over")?)
}

#[derive(Clone)]
struct Process {
    cache: Cache,
    database: MultiplexedConnection,
    stale: Arc<AtomicU64>,
    reads: Arc<AtomicU64>,
}

impl Process {
    fn entry(&self, row: u64) -> Entry<Row> {
        let entry = self.cache.entry("row", row);
        if row.is_multiple_of(2) {
            entry.with_tags([tag(row)])
        } else {
            entry.with_rules(EntryRules::none().tags(|row: &Row| vec![tag(row.0)]))
        }
    }

    /// Reads a row from the database, and takes its time to come back with it.
    async fn query(&self, row: u64, lag: Duration) -> Outcome<Row> {
        let version: Option<u64> =
            redis::cmd("GET").arg(format!("row:{row}")).query_async(&mut self.database.clone()).await?;
        if !lag.is_zero() {
            sleep(lag).await;
        }
        Ok((row, version.unwrap_or(0)))
    }

    /// Writes a row to the database.
    async fn commit(&self, row: u64) -> Outcome<Row> {
        let incr = redis::cmd("INCR").arg(format!("row:{row}")).to_owned();
        Ok((row, incr.query_async(&mut self.database.clone()).await?))
    }

    /// No read that starts from now on may return an older version of the row than this.
    async fn acknowledge(&self, row: u64, version: u64) -> Outcome {
        let raise = "if tonumber(redis.call('GET', KEYS[1]) or 0) < tonumber(ARGV[1]) then redis.call('SET', KEYS[1], ARGV[1]) end";
        let mut eval = redis::cmd("EVAL");
        eval.arg(raise).arg(1).arg(format!("floor:{row}")).arg(version);
        Ok(eval.exec_async(&mut self.database.clone()).await?)
    }

    async fn floor(&self, row: u64) -> Outcome<u64> {
        let floor = redis::cmd("GET").arg(format!("floor:{row}")).to_owned();
        Ok(floor.query_async::<Option<u64>>(&mut self.database.clone()).await?.unwrap_or(0))
    }

    async fn read(&self, row: u64, lag: Duration) -> Outcome<Row> {
        self.entry(row).try_get_or_load(|| self.query(row, lag)).await
    }

    /// Does one read and counts it as stale where it returned less than it must.
    async fn check(&self, row: u64, read: impl AsyncFnOnce() -> Outcome<Option<Row>>) -> Outcome {
        let floor = self.floor(row).await?;
        self.reads.fetch_add(1, Ordering::SeqCst);
        if let Some((of, version)) = read().await?
            && (of != row || version < floor)
        {
            self.stale.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }

    async fn play(self, mut dice: Dice, steps: u64) -> Outcome {
        for _ in 0..steps {
            let row = dice.below(ROWS);
            let lag = Duration::from_millis(dice.below(4));
            match dice.below(20) {
                0..10 => self.check(row, async || Ok(Some(self.read(row, lag).await?))).await?,
                10 | 11 => self.check(row, async || Ok(self.entry(row).get().await?)).await?,
                12 => self.read_many(lag).await?,
                13 => self.read_by_hand(row, lag).await?,
                kind => self.write(row, kind, lag, &mut dice).await?,
            }
        }
        Ok(())
    }

    async fn read_many(&self, lag: Duration) -> Outcome {
        let mut floors = Vec::new();
        for row in 0..ROWS {
            floors.push(self.floor(row).await?);
        }
        self.reads.fetch_add(ROWS, Ordering::SeqCst);
        let load = async |rows: Vec<u64>| {
            let mut loaded = HashMap::new();
            for row in rows {
                loaded.insert(row, self.query(row, lag).await?);
            }
            Ok::<_, Failure>(loaded)
        };
        let found = self.cache.try_get_or_load_many(0..ROWS, |row| self.entry(*row), load).await?;
        for row in 0..ROWS {
            let (of, version) = found[&row];
            let floor = floors[usize::try_from(row)?];
            self.stale.fetch_add(u64::from(of != row || version < floor), Ordering::SeqCst);
        }
        Ok(())
    }

    async fn read_by_hand(&self, row: u64, lag: Duration) -> Outcome {
        let read = async || match self.entry(row).lookup().await? {
            Lookup::Hit(row) => Ok(Some(row.into_value())),
            Lookup::Vacant(vacancy) => {
                let loaded = self.query(row, lag).await?;
                let _ = vacancy.fill(&loaded).await?;
                Ok(Some(loaded))
            }
        };
        self.check(row, read).await
    }

    /// Writes a row and tells the cache in one of the ways there are; some give up in the middle.
    async fn write(&self, row: u64, kind: u64, lag: Duration, dice: &mut Dice) -> Outcome {
        if dice.below(5) == 0 {
            // Like a client that hangs up: nothing is acknowledged.
            let _ = timeout(Duration::from_micros(dice.below(4_000)), self.tell(row, kind, lag)).await;
            return Ok(());
        }
        let (_, version) = self.tell(row, kind, lag).await?;
        self.acknowledge(row, version).await
    }

    async fn tell(&self, row: u64, kind: u64, lag: Duration) -> Outcome<Row> {
        let body = async || {
            let written = self.commit(row).await?;
            sleep(lag / 2).await;
            Ok::<_, Failure>(written)
        };
        let evict = || Writes::new(Fallible).evict(Some(&self.cache), When::default());
        let writes = match kind {
            14 | 15 => Writes::new(Fallible).put(Some(self.entry(row)), NoRules, false),
            16 => evict().evict_entry(&self.entry(row)),
            17 => evict().evict_tags([tag(row)]),
            18 => {
                let written = body().await?;
                self.cache.evict_tags([tag(row)]).await?;
                return Ok(written);
            }
            _ => {
                let written = body().await?;
                if row == 0 {
                    self.cache.evict_prefix("row").await?;
                } else {
                    self.entry(row).evict().await?;
                }
                return Ok(written);
            }
        };
        let written = write(writes, pin!(body()), |_, writes| writes).await?;
        if self.cache.stats().total.failed_evicts > 0 {
            return Err("an evict failed".into());
        }
        Ok(written)
    }
}

fn tag(row: u64) -> String {
    format!("tag {row}")
}
