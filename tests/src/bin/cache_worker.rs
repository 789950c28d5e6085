//! One of several processes that share a cache on one server. Tests drive it line by line.
//!
//! Arguments: what to do, the server's URL, the namespace, then what the task needs.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachemacro::cached;
use cachemacro_runtime::Cache;
use cachemacro_runtime::store::redis::{RedisConfig, RedisStore};
use cachemacro_tests::broken::{Broken, Lacks};
use cachemacro_tests::worker::{commands, say};
use cachemacro_tests::{Dice, LONG};
use futures_util::future::join_all;

type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

fn main() -> Outcome {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    match args[..] {
        ["stampede", url, namespace, tasks] => runtime.block_on(stampede(url, namespace, tasks.parse()?)),
        ["hold", url, namespace, how] => runtime.block_on(hold(url, namespace, how == "fail")),
        ["count", url, namespace, times] => runtime.block_on(count(url, namespace, times.parse()?)),
        ["truth", url, namespace, how] => runtime.block_on(truth(url, namespace, how)),
        _ => Err("unknown task".into()),
    }
}

/// A cache that gives up on nothing in the time of a test.
fn cache(url: &str, namespace: &str) -> Outcome<Cache> {
    let cache = Cache::builder().redis(url).namespace(namespace);
    Ok(cache.connect_timeout(LONG).command_timeout(LONG).wait(LONG).lease(LONG).build()?)
}

/// Waits for the test's word.
async fn next_command() -> Outcome<String> {
    Ok(tokio::task::spawn_blocking(|| commands().next()).await?.ok_or("the test is over")?)
}

/// So many callers of one key at once. Says how often it was loaded here, and the value if all got the same.
async fn stampede(url: &str, namespace: &str, tasks: usize) -> Outcome {
    let cache = cache(url, namespace)?;
    cache.connect().await?;
    say("ready");
    next_command().await?;
    let loads = Arc::new(AtomicU64::new(0));
    let callers = (0..tasks).map(|_| {
        let (cache, loads) = (cache.clone(), loads.clone());
        tokio::spawn(async move {
            cache
                .get_or_load("stampede", 1, async || {
                    loads.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    std::process::id()
                })
                .await
        })
    });
    let mut values = join_all(callers).await.into_iter().collect::<Result<Vec<_>, _>>()?;
    values.dedup();
    say(format_args!("loads {}", loads.load(Ordering::SeqCst)));
    say(format_args!("values {values:?}"));
    Ok(())
}

/// Loads one entry under a lease of a second, and goes on once it is told to: fills what it loaded, or fails and gives its lease back. Says
/// how often it was refused.
async fn hold(url: &str, namespace: &str, fails: bool) -> Outcome {
    let cache = Cache::builder().redis(url).namespace(namespace).command_timeout(LONG).connect_timeout(LONG);
    let cache = cache.lease(Duration::from_secs(1)).build()?;
    cache.connect().await?;
    let load = async || {
        say("loads");
        next_command().await?;
        if fails { Err("as told".into()) } else { Ok("old".to_owned()) }
    };
    let loaded: Outcome<String> = cache.entry("row", 1).try_get_or_load(load).await;
    let told = loaded.unwrap_or_else(|error| error.to_string());
    cache.shutdown().await.map_err(|left| left.to_string())?;
    say(format_args!("told {told}, refused {}", cache.stats().total.refused_fills));
    Ok(())
}

/// So many increments of one entry and updates of another, side by side.
async fn count(url: &str, namespace: &str, times: usize) -> Outcome {
    let cache = cache(url, namespace)?;
    cache.connect().await?;
    say("ready");
    next_command().await?;
    let calls = (0..times).map(|_| {
        let cache = cache.clone();
        tokio::spawn(async move {
            cache.entry::<i64>("incremented", 1).increment(1).await?;
            cache.entry::<u64>("updated", 1).update(|count| count.unwrap_or(0) + 1).await?;
            Ok::<_, cachemacro_runtime::Error>(())
        })
    });
    for called in join_all(calls).await {
        called??;
    }
    say("done");
    Ok(())
}

/// Rows in a database, which is the server too, and a cache in front of them.
struct Rows {
    cache: Cache,
    database: redis::aio::MultiplexedConnection,
    namespace: String,
}

impl Rows {
    const COUNT: u64 = 20;

    /// The row in the database, or what it is once it was written.
    async fn ask(&self, command: &str, id: u64) -> Outcome<Option<u64>> {
        let key = format!("database:{}:{id}", self.namespace);
        Ok(redis::cmd(command).arg(key).query_async(&mut self.database.clone()).await?)
    }
}

#[cached(cache = rows.cache, prefix = "row", key = "{id}", ttl = "1h", verify = "100%", value = u64, entry = row_entry)]
async fn row(rows: Arc<Rows>, id: u64) -> Outcome<u64> {
    let row = rows.ask("GET", id).await?;
    tokio::time::sleep(Duration::from_millis(20)).await;
    Ok(row.unwrap_or_default())
}

async fn read_rows(rows: Arc<Rows>, mut dice: Dice) -> Outcome {
    loop {
        row(rows.clone(), dice.below(Rows::COUNT)).await?;
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn write_rows(rows: Arc<Rows>, mut dice: Dice, evicts: bool, slowest: Arc<AtomicU64>) -> Outcome {
    loop {
        let id = dice.below(Rows::COUNT);
        // The second comes while the first is being loaded.
        for _ in 0..2 {
            let began = std::time::Instant::now();
            rows.ask("INCR", id).await?;
            if evicts {
                row_entry(&rows, id).evict().await?;
            }
            slowest.fetch_max(u64::try_from(began.elapsed().as_millis())?, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_millis(15)).await;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Reads rows and writes them, and has each hit looked at: `well`, `lost` without evicts, or `unfenced` on a store that takes late fills.
/// Told `counts`, it says how many values were found to differ, how many looks there were, and the longest time in milliseconds from a
/// write to the end of its evict.
async fn truth(url: &str, namespace: &str, how: &str) -> Outcome {
    let builder = if how == "unfenced" {
        let store = RedisStore::new(RedisConfig::new(url).command_timeout(LONG))?;
        Cache::builder().store(Arc::new(Broken::new(Arc::new(store), Lacks::Fences)))
    } else {
        Cache::builder().redis(url).command_timeout(LONG)
    };
    let cache = builder.namespace(namespace).build()?;
    // A database of its own would have users of its own: those of the cache may not count there.
    let bare = url.rsplit_once('@').map_or_else(|| url.to_owned(), |(_, host)| format!("redis://{host}"));
    let database = redis::Client::open(bare)?.get_multiplexed_async_connection().await?;
    let rows = Arc::new(Rows { cache: cache.clone(), database, namespace: namespace.to_owned() });
    let slowest = Arc::new(AtomicU64::new(0));
    let mut dice = Dice::new(u64::from(std::process::id()));
    // Who ends is missed: a fleet that does nothing would find nothing.
    for _ in 0..2 {
        let reads = read_rows(rows.clone(), dice.split());
        tokio::spawn(async move { std::process::exit(i32::from(reads.await.is_err())) });
    }
    let writes = write_rows(rows, dice, how != "lost", slowest.clone());
    tokio::spawn(async move { std::process::exit(i32::from(writes.await.is_err())) });
    say("ready");
    while next_command().await.is_ok() {
        let total = cache.stats().total;
        let looks = total.consistent + total.overtaken + total.inconsistent + total.inconclusive;
        say(format_args!("counts {} {looks} {}", total.inconsistent, slowest.load(Ordering::SeqCst)));
    }
    Ok(())
}
