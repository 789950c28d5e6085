//! Calls of every sort that are dropped at any of their await points: nothing foreign is read afterwards, no lease is left, and tasks and
//! connections are as many as before.

use std::collections::HashMap;
use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use cachemacro::header::Header;
use cachemacro::{Cache, Mode, Removals, cache_evict, cache_put, cached};
use cachemacro_tests::{DEADLINE, Dice, RedisServer, is_long, namespace, wait_until};
use futures_util::FutureExt as _;
use redis::aio::MultiplexedConnection;
use tokio::runtime::Handle;
use tokio::task::yield_now;

const KEYS: u64 = 40;

#[cached(prefix = "row", key = "{id}", tags = ["rows", "row:{id}"], stale = "1m", entry = row_entry)]
async fn row(id: u64) -> u64 {
    yield_now().await;
    id
}

#[cached(prefix = "late", key = "{id}", tags = ["late:{result}"])]
async fn late(id: u64) -> u64 {
    yield_now().await;
    id
}

#[cache_put(entry = row_entry(id))]
async fn put(id: u64) -> u64 {
    yield_now().await;
    id
}

#[cache_evict(entry = row_entry(id), tags = ["late:{id}"])]
async fn change(id: u64) {
    yield_now().await;
    let _ = id;
}

async fn load(ids: Vec<u64>) -> HashMap<u64, u64> {
    yield_now().await;
    ids.into_iter().map(|id| (id, id)).collect()
}

type Call<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// How many sorts of calls there are.
const SORTS: u64 = 20;

/// A call of this sort. What it returns, where it returns, is of its own key.
fn call(cache: &Cache, sort: u64, id: u64) -> Call<'_> {
    let entry = cache.entry::<u64>("row", id).with_tags(["rows"]);
    let own = move |value: Option<u64>| assert!(value.is_none_or(|value| value == id), "{value:?} of {id}");
    match sort {
        0 => Box::pin(async move { own(entry.get().await.ok().flatten()) }),
        1 => Box::pin(async move { drop(entry.set(&id).await) }),
        2 => Box::pin(async move { drop(entry.has().await) }),
        3 => Box::pin(async move { drop(entry.ttl().await) }),
        4 => Box::pin(async move { drop(entry.lookup().await) }),
        5 => Box::pin(async move { own(Some(entry.get_or_load(async || id).await)) }),
        6 => Box::pin(async move {
            _ = entry.try_get_or_load(async || Err::<u64, _>(())).await;
        }),
        7 => Box::pin(async move { drop(entry.update(|_| id).await) }),
        8 => Box::pin(async move { drop(cache.increment("count", id, 1).await) }),
        9 => Box::pin(async move { drop(entry.evict().await) }),
        10 => Box::pin(async move { drop(cache.evict_tags(["rows"]).await) }),
        11 => Box::pin(async move { drop(cache.evict_prefix("late").await) }),
        12 => Box::pin(async move {
            let many = cache.get_or_load_many("many", id..id + 10, load).await;
            assert!(many.iter().all(|(id, value)| id == value));
        }),
        13 => Box::pin(async move { own(Some(cache.scope(row(id)).await)) }),
        14 => Box::pin(async move { own(Some(cache.scope(late(id)).await)) }),
        15 => Box::pin(async move { own(Some(cache.scope(put(id)).await)) }),
        16 => Box::pin(cache.scope(change(id))),
        17 => Box::pin(async move { own(Some(Mode::Refresh.scope(entry.get_or_load(async || id)).await)) }),
        18 => Box::pin(async move { drop(cache.apply(&Removals::new().tags(["many"])).await) }),
        _ => Box::pin(async move { drop(cache.health().await) }),
    }
}

/// Polls it so often at most, others in between, and drops it.
async fn dropped(call: Call<'_>, polls: u64) {
    let mut call = pin!(call);
    for _ in 0..polls {
        if call.as_mut().now_or_never().is_some() {
            return;
        }
        yield_now().await;
    }
}

async fn connections(server: &mut MultiplexedConnection) -> usize {
    let list: String = redis::cmd("CLIENT").arg("LIST").query_async(server).await.expect("the server tells");
    list.lines().count()
}

/// How many entries carry a lease.
async fn leased(server: &mut MultiplexedConnection) -> usize {
    let keys: Vec<String> = redis::cmd("KEYS").arg("*").query_async(server).await.expect("the server tells");
    let mut count = 0;
    for key in keys {
        let bytes: Vec<u8> = redis::cmd("GET").arg(key).query_async(server).await.unwrap_or_default();
        count += usize::from(Header::parse(&bytes).is_ok_and(|header| !header.token.is_none()));
    }
    count
}

/// Upholds G1, G6 and G9.
#[tokio::test]
async fn calls_that_are_dropped_at_any_point_leave_nothing() {
    let calls: u64 = if is_long() { 100_000 } else { 6_000 };
    let server = RedisServer::start();
    let settings = Cache::builder().redis(server.url()).namespace(&namespace()).command_timeout(DEADLINE);
    // A lease that is not given back is there for longer than the test waits; no connection but those that calls need.
    let settings = settings.deadline(DEADLINE).lease(Duration::from_mins(1)).guarded(false);
    let cache = settings.build().expect("acceptable settings");
    let mut client = server.client().await;
    for sort in 0..SORTS {
        call(&cache, sort, 1).await;
    }
    let settled = async || {
        let debug = format!("{cache:?}");
        debug.contains("evicts: 0") && debug.contains("kept: 0")
    };
    wait_until("nothing is under way", DEADLINE, settled).await;
    wait_until("no lease is left", DEADLINE, async || leased(&mut client).await == 0).await;
    let tasks = || Handle::current().metrics().num_alive_tasks();
    let (tasks_before, connections_before) = (tasks(), connections(&mut client).await);
    let mut dice = Dice::new(7);
    let began = Instant::now();
    for number in 0..calls {
        let (id, polls) = (dice.roll() % KEYS, dice.roll() % 12);
        dropped(call(&cache, number % SORTS, id), polls).await;
    }
    let took = began.elapsed();
    wait_until("no task is left", DEADLINE, async || tasks() <= tasks_before).await;
    wait_until("nothing is under way", DEADLINE, settled).await;
    wait_until("no lease is left", DEADLINE, async || leased(&mut client).await == 0).await;
    println!(
        "{calls} calls dropped in {took:.1?}, settled {:.1?} later",
        began.elapsed().saturating_sub(took)
    );
    // A connection for waiting and pooled ones may have been opened in the course of it.
    let more = connections(&mut client).await.saturating_sub(connections_before);
    assert!(more <= 4 + 1, "{more} connections more than before");
    for id in 0..KEYS {
        for sort in [0, 5, 12, 13, 14] {
            call(&cache, sort, id).await;
        }
    }
}
