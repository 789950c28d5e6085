//! The races of `races.rs` with the other readers and writers there are: loads by hand, in batches, anew, of who
//! waits for another process's lease, and of who found a stale value; refreshes and increments as writes.
//!
//! Each schedule stops a load and a write against each other at every await point of both. Once the write is
//! acknowledged no read returns the old value, whichever process asks.

use std::collections::HashMap;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;

use cachemacro::__private::{NoRules, Plain, Writes, write};
use cachemacro::store::faults::{Gate, Op};
use cachemacro::{ErrorKind, Lookup, Mode, Result};
use cachemacro_tests::aging::age;
use cachemacro_tests::halt::Point::{self, AfterQuery, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, Table, ended};
use cachemacro_tests::schedule::{LOAD_POINTS, NEW, OLD, ORDERS, Order, Pair, Row, around, play_all};
use cachemacro_tests::{DEADLINE, Process, RedisServer, Rig, is_long, on_both_stores};
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How old a stale value is.
const AGE: Duration = Duration::from_mins(2);

/// How the value is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reader {
    /// `lookup`, then `fill`.
    ByHand,
    /// One of many.
    Batch,
    /// In `Mode::Refresh`.
    Refresh,
    /// By a caller that found another process loading, and waits.
    Waiting,
    /// By a caller that found a stale value and was elected to load it anew.
    Stale,
}

/// How the racing write tells the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Delete,
    EvictTag,
    Set,
    Update,
    /// A load in `Mode::Refresh` after the write.
    Refresh,
    /// `#[cache_put]`.
    PutFunction,
}

const KINDS: [Kind; 6] =
    [Kind::Delete, Kind::EvictTag, Kind::Set, Kind::Update, Kind::Refresh, Kind::PutFunction];

impl Reader {
    fn points(self, late: bool) -> Vec<Point> {
        let (read, body): (&[Op], _) = match self {
            Reader::ByHand | Reader::Batch => (&[Op::Read, Op::Lease], true),
            Reader::Refresh => (&[Op::Lease], true),
            Reader::Waiting => (&[Op::Changed], false),
            Reader::Stale => (&[Op::Read, Op::Lease, Op::ReadHead], true),
        };
        let mut points = around(read);
        if body {
            points.extend([BeforeQuery, AfterQuery]);
            points.extend(around(&[Op::Fill]));
            points.extend(around(if late { &[Op::Capture, Op::Versions] } else { &[] }));
        }
        points
    }
}

impl Kind {
    fn points(self) -> Vec<Point> {
        match self {
            Kind::Delete => around(&[Op::Evict]),
            Kind::EvictTag => around(&[Op::EvictTags]),
            Kind::Set => around(&[Op::Capture, Op::Set]),
            Kind::Update => around(&[Op::Capture, Op::Read, Op::CompareAndSet]),
            Kind::Refresh | Kind::PutFunction => around(&[Op::Lease, Op::Fill]),
        }
    }
}

#[derive(Debug, Clone, Copy)]
struct Schedule {
    reader: Reader,
    load_at: Point,
    kind: Kind,
    write_at: Point,
    order: Order,
    /// The write is another process's.
    apart: bool,
    /// The tag comes from the value.
    late: bool,
}

fn schedules(reader: Reader) -> Vec<Schedule> {
    let mut all = Vec::new();
    for late in [false, true] {
        for kind in KINDS {
            for write_at in kind.points() {
                for load_at in reader.points(late) {
                    for order in ORDERS {
                        for apart in [false, true] {
                            all.push(Schedule { reader, load_at, kind, write_at, order, apart, late });
                        }
                    }
                }
            }
        }
    }
    all
}

struct Scene {
    schedule: Schedule,
    pair: Pair,
    /// Whom a waiting reader waits for.
    third: Process,
}

impl Scene {
    fn new(rig: &Rig, schedule: Schedule) -> Self {
        let pair = match schedule.reader {
            // Whoever reads takes what is stale.
            Reader::Stale => {
                Pair::with(rig, schedule.apart, schedule.late, |builder| builder.stale(2 * AGE).ttl(AGE / 2))
            }
            _ => Pair::new(rig, schedule.apart, schedule.late),
        };
        let third = pair.third(rig);
        Self { schedule, pair, third }
    }

    /// The read that races.
    fn load(&self, stops: Stops) -> JoinHandle<Row> {
        let Pair { table, loading, .. } = &self.pair;
        let (entry, cache, table) = (self.pair.entry(loading), loading.cache.clone(), table.clone());
        let query = async move || {
            stops.before_query().await;
            let version = table.query();
            stops.after_query().await;
            (7, version)
        };
        match self.schedule.reader {
            Reader::Waiting => self.pair.read(loading, Stops::default()),
            Reader::Stale => tokio::spawn(async move { entry.get_or_load(query).await }),
            Reader::Refresh => {
                tokio::spawn(async move { Mode::Refresh.scope(entry.get_or_load(query)).await })
            }
            Reader::ByHand => tokio::spawn(async move {
                match entry.lookup().await.expect("the store answers") {
                    Lookup::Hit(row) => row.into_value(),
                    Lookup::Vacant(vacancy) => {
                        let row = query().await;
                        let _ = vacancy.fill(&row).await.expect("a small value");
                        row
                    }
                }
            }),
            Reader::Batch => tokio::spawn(async move {
                let load = async |ids: Vec<u64>| {
                    let row = query().await;
                    Ok::<_, Infallible>(ids.into_iter().map(|id| (id, row)).collect::<HashMap<_, _>>())
                };
                let Ok(mut found) = cache.try_get_or_load_many([7_u64], |_| entry.clone(), load).await;
                found.remove(&7).expect("the row is there")
            }),
        }
    }

    /// Writes the row and tells the cache.
    fn write(&self) -> JoinHandle<Result<()>> {
        let Pair { table, writing, .. } = &self.pair;
        let (cache, entry) = (writing.cache.clone(), self.pair.entry(writing));
        let (table, kind) = (table.clone(), self.schedule.kind);
        tokio::spawn(async move {
            if kind == Kind::PutFunction {
                let writes = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
                write(writes, pin!(async { (7, table.write()) }), |_, writes| writes).await;
                return Ok(());
            }
            let written = (7, table.write());
            match kind {
                Kind::Delete => entry.evict().await.map(drop),
                Kind::EvictTag => cache.evict_tags(["tag 7"]).await,
                Kind::Set => entry.set(&written).await,
                Kind::Update => entry.update(|_| written).await.map(drop),
                _ => {
                    Mode::Refresh.scope(entry.get_or_load(async || (7, table.query()))).await;
                    Ok(())
                }
            }
        })
    }

    async fn play(self, rig: &Rig) {
        let Self { schedule, pair, third } = &self;
        let Pair { loading, writing, .. } = pair;
        let other = match schedule.reader {
            Reader::Waiting => Some(Halted::start(third, AfterQuery, |stops| pair.read(third, stops)).await),
            _ => None,
        };
        if schedule.reader == Reader::Stale {
            pair.entry(third).set(&(7, OLD)).await.expect("the store answers");
            age(&*rig.store(), &pair.key(), AGE).await;
        }
        let load = || Halted::start(loading, schedule.load_at, |stops| self.load(stops));
        let write = || Halted::start(writing, schedule.write_at, |_| self.write());
        // Who waits is let wait until the other one has ended.
        let end = async |load: Halted<Row>| {
            let load = tokio::spawn(load.end());
            if let Some(other) = other {
                assert!([OLD, NEW].contains(&other.end().await.1), "whom it waited for");
            }
            ended(load).await
        };
        pair.play(schedule.order, load, write, end).await;
        for process in [loading, writing, third] {
            pair.assert_new(process).await;
            let stats = process.cache.stats().total;
            assert_eq!((stats.errors(), stats.failed_evicts), (0, 0));
        }
    }
}

/// All of them in memory, and in a long run; on a server, where whose write it is and where the tag comes from take turns,
/// each pair of points in each order.
async fn races(reader: Reader, redis: bool) {
    let mut schedules = schedules(reader);
    if redis {
        let all = schedules.into_iter().enumerate();
        schedules =
            all.filter(|(at, _)| is_long() || at % 2 == (at / 2 + at / 8) % 2).map(|(_, one)| one).collect();
    }
    assert!(schedules.len() > 200, "{}", schedules.len());
    let server = redis.then(RedisServer::start);
    let play = async |rig: &Rig, schedule| Scene::new(rig, schedule).play(rig).await;
    play_all(server.as_ref(), &schedules, play).await;
}

macro_rules! races {
    ($($reader:ident: $in_memory:ident, $on_redis:ident;)+) => {
        $(#[tokio::test]
        async fn $in_memory() {
            races(Reader::$reader, false).await;
        }

        #[tokio::test]
        async fn $on_redis() {
            races(Reader::$reader, true).await;
        })+
    };
}

races! {
    ByHand: no_load_by_hand_brings_an_old_value_back_in_memory, no_load_by_hand_brings_an_old_value_back_on_redis;
    Batch: no_batch_brings_an_old_value_back_in_memory, no_batch_brings_an_old_value_back_on_redis;
    Refresh: no_refresh_brings_an_old_value_back_in_memory, no_refresh_brings_an_old_value_back_on_redis;
    Stale: no_refresh_of_a_stale_value_brings_it_back_in_memory, no_refresh_of_a_stale_value_brings_it_back_on_redis;
    Waiting: no_waiting_caller_brings_an_old_value_back_in_memory, no_waiting_caller_brings_an_old_value_back_on_redis;
}

async fn reached(gate: &Gate) {
    timeout(DEADLINE, gate.reached()).await.expect("the lease is renewed in time");
}

/// A lease that is being renewed when a write comes: neither the renewal nor what it belongs to outlives that.
/// Upholds G1.
async fn a_renewal_never_brings_a_lease_back(rig: Rig) {
    for before in [true, false] {
        for (at, how) in ["delete", "set", "put", "tag"].into_iter().enumerate() {
            let lease = Duration::from_millis(600);
            let loading = rig.process_with(|builder| builder.lease(lease));
            let (writing, table) = (rig.process(), Table::default());
            let entry = |process: &Process| {
                process.cache.entry::<u64>("row", (before, at)).with_tags([format!("tag {before} {at}")])
            };
            let renewal = if before { Some(loading.faults.gate(Op::Renew)) } else { None };
            let renewed = loading.faults.gate_after(Op::Renew);
            let load = Halted::start(&loading, AfterQuery, |stops| table.read(&entry(&loading), stops)).await;
            assert!(load.stands(), "{how}");
            reached(renewal.as_ref().unwrap_or(&renewed)).await;
            let new = table.write();
            match how {
                "delete" => entry(&writing).evict().await.map(drop),
                "set" => entry(&writing).set(&new).await,
                "tag" => writing.cache.evict_tags([format!("tag {before} {at}")]).await,
                _ => {
                    let put = Writes::new(Plain).put(Some(entry(&writing)), NoRules, false);
                    write(put, pin!(async { new }), |_, writes| writes).await;
                    Ok(())
                }
            }
            .expect("acknowledged");
            // What is sent now comes too late.
            drop(renewal);
            reached(&renewed).await;
            renewed.open();
            assert_eq!(load.end().await, OLD, "{before} {how}");
            let found = entry(&writing).get().await.expect("the store answers");
            assert!(found.is_none_or(|found| found == NEW), "{before} {how}: {found:?}");
            assert_eq!(ended(table.read(&entry(&writing), Stops::default())).await, NEW, "{before} {how}");
            if how != "tag" {
                assert_eq!(loading.cache.stats().total.refused_fills, 1, "{before} {how}");
            }
        }
    }
}

/// An increment is no value that a load may replace: what was counted is kept, or told not to be countable.
/// Upholds G1.
async fn no_load_overwrites_an_increment(rig: Rig) {
    const LOADED: i64 = -100;
    let orders = LOAD_POINTS.into_iter().flat_map(|point| ORDERS.map(|order| (point, order)));
    let (mut kept, mut refused) = (0, 0);
    for (at, (load_at, order)) in orders.enumerate() {
        for add_at in around(&[Op::Capture, Op::Increment]) {
            let namespace = format!("{}-{at}-{add_at:?}", rig.namespace());
            let process = || rig.process_with(|builder| builder.namespace(&namespace));
            let (loading, adding, table) = (process(), process(), Table::default());
            let entry = |process: &Process| process.cache.entry::<i64>("count", 7).with_tags(["tag"]);
            let load = || {
                Halted::start(&loading, load_at, |stops| table.read_as(&entry(&loading), stops, |_| LOADED))
            };
            let add = || {
                Halted::start(&adding, add_at, |_| {
                    let entry = entry(&adding);
                    tokio::spawn(async move { entry.increment(1).await })
                })
            };
            let (loaded, sum) = order.play(load, add, Halted::end, Halted::end).await;
            let label = format!("{load_at:?} {add_at:?} {order:?}");
            assert!([LOADED, 1].contains(&loaded), "{label}: {loaded}");
            let stored = entry(&adding).get().await.expect("the store answers");
            match sum {
                Ok(sum) => {
                    assert_eq!((sum, stored), (1, Some(1)), "{label}");
                    assert_eq!(entry(&adding).increment(2).await.expect("added"), 3, "{label}");
                    kept += 1;
                }
                Err(error) => {
                    assert_eq!((error.kind(), stored), (ErrorKind::WrongType, Some(LOADED)), "{label}");
                    refused += 1;
                }
            }
        }
    }
    assert!(kept > 20 && refused > 20, "both came up: {kept} {refused}");
}

on_both_stores!(a_renewal_never_brings_a_lease_back, no_load_overwrites_an_increment);
