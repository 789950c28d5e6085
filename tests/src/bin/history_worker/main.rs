//! One of several processes whose readers, writers and evicters share a cache and a database; see
//! `cachemacro_tests::history`.
//!
//! Arguments: the cache's URL, the database's URL, the namespace, a seed, and the plan as JSON. It says `ready` and waits
//! for `play`; from then on it answers `counts`, `used`, `stop`, `load`, `count` and `report`.

mod patience;
mod player;
mod rows;
mod tally;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, Result, bail};
use cachemacro::store::Store;
use cachemacro::{BreakerState, Cache, CacheBuilder, ErrorKind};
use cachemacro_runtime::store::redis::{Credentials, RedisConfig, RedisStore};
use cachemacro_tests::broken::{Broken, Lacks};
use cachemacro_tests::history::{Database, Plan, Used};
use cachemacro_tests::worker::{commands, say};
use cachemacro_tests::{DEADLINE, Dice, LONG, wait_until};

use crate::player::Player;
use crate::rows::Rows;
use crate::tally::Tally;

fn main() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let [url, database, namespace, seed, plan] = args[..] else { bail!("five arguments, please") };
    let plan: Plan = serde_json::from_str(plan)?;
    let tally = Arc::new(Tally::default());
    tally.watch_panics();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let cache = builder(url, &plan)?.namespace(namespace).build()?;
        cache.connect().await?;
        let database = Database::connect(database).await;
        let rows = Rows { cache, database };
        play(rows, tally, &plan, Dice::new(seed.parse()?)).await
    })
}

fn builder(url: &str, plan: &Plan) -> Result<CacheBuilder> {
    if plan.replicas > 0 || plan.epoch {
        return Ok(Cache::builder().redis(url).epoch_check(plan.epoch).evict_replicas(plan.replicas));
    }
    if plan.guarded && plan.lacks.is_none() && !plan.patient {
        let builder = Cache::builder().redis(url);
        return Ok(match plan.password.clone() {
            Some(file) => builder.credentials(move || std::future::ready(read(&file))),
            None => builder,
        });
    }
    let mut config = RedisConfig::new(url);
    if plan.patient {
        config = config.connect_timeout(LONG).command_timeout(LONG).pool_wait(LONG);
    }
    let mut store: Arc<dyn Store> = Arc::new(RedisStore::new(config)?);
    if let Some(lacks) = plan.lacks {
        store = Arc::new(Broken::new(store, lacks));
    }
    Ok(Cache::builder().store(store))
}

/// The user, with the password that is in this file now.
fn read(file: &Path) -> cachemacro::Result<Credentials> {
    let password = std::fs::read_to_string(file);
    let unread = |_| cachemacro::Error::new(ErrorKind::Connect, "the password cannot be read");
    Ok(Credentials::new("shop", password.map_err(unread)?))
}

async fn play(rows: Rows, tally: Arc<Tally>, plan: &Plan, mut dice: Dice) -> Result<()> {
    say("ready");
    if next_command().await? != "play" {
        bail!("there is nothing to tell before the play");
    }
    let over = Arc::new(AtomicBool::new(false));
    let player = Player::new(rows.clone(), tally.clone(), plan);
    let start = |_| tokio::spawn(player.with(dice.split()).play(over.clone()));
    let mut players: Vec<_> = (0..plan.tasks).map(start).collect();
    loop {
        match next_command().await?.as_str() {
            "counts" => {
                let counts = tally.report(&rows.cache).counts;
                say(format_args!("counts {}", serde_json::to_string(&counts)?));
            }
            "stop" => {
                over.store(true, Ordering::SeqCst);
                for player in players.drain(..) {
                    player.await.context("a player panicked")??;
                }
                say("stopped");
            }
            "used" => {
                let used = Used::now(tokio::runtime::Handle::current().metrics().num_alive_tasks());
                say(format_args!("used {}", serde_json::to_string(&used)?));
            }
            "load" => say(format_args!("load {}", serde_json::to_string(&player.load_each().await)?)),
            count @ ("count kept" | "count lost") => {
                // A store that evicts nothing leaves nothing that could be read.
                if plan.lacks != Some(Lacks::Evicts) {
                    // What is kept is sent first, and nobody is told that the breaker is open.
                    let is_well = async || rows.cache.health().await.is_ok() && is_well(&rows);
                    wait_until("it is as it was", DEADLINE, is_well).await;
                    player.check_counters(count == "count kept").await?;
                }
                say("counted");
            }
            "report" => {
                let mut report = tally.report(&rows.cache);
                report.undelivered = rows.cache.shutdown().await.err().map_or(0, |left| left.count());
                say(format_args!("report {}", serde_json::to_string(&report)?));
                return Ok(());
            }
            other => bail!("unknown command: {other}"),
        }
    }
}

/// Whether nothing is left of an outage.
fn is_well(rows: &Rows) -> bool {
    let stats = rows.cache.stats();
    stats.kept_evicts == 0 && stats.breaker.is_none_or(|state| state == BreakerState::Closed)
}

/// Waits for the test's word.
async fn next_command() -> Result<String> {
    tokio::task::spawn_blocking(|| commands().next()).await?.context("the test is over")
}
