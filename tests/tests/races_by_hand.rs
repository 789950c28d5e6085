//! The races of `races.rs` with the other readers and writers there are: loads by hand, in batches, anew, and of who
//! waits for another process's lease; refreshes and increments as writes.
//!
//! Each schedule stops a load and a write against each other at every await point of both. Once the write is
//! acknowledged no read returns the old value, whichever process asks.

use std::collections::HashMap;
use std::convert::Infallible;
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;
use std::time::Duration;

use cachemacro::__private::{NoRules, Plain, Writes, write};
use cachemacro::store::faults::{Gate, Op};
use cachemacro::{Entry, EntryRules, ErrorKind, Lookup, Mode, Result, mode};
use cachemacro_tests::halt::Point::{self, After, AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, Table, ended, soon};
use cachemacro_tests::{DEADLINE, Process, RedisServer, Rig, namespace, on_both_stores};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::task::JoinHandle;
use tokio::time::timeout;

const OLD: u64 = 1;
const NEW: u64 = 2;

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

fn around(ops: &[Op]) -> Vec<Point> {
    ops.iter().flat_map(|&op| [Before(op), After(op)]).collect()
}

impl Reader {
    fn points(self, late: bool) -> Vec<Point> {
        let (read, body): (&[Op], _) = match self {
            Reader::ByHand => (&[Op::Read, Op::Lease], true),
            Reader::Batch => (&[Op::ReadMany, Op::LeaseMany], true),
            Reader::Refresh => (&[Op::Lease], true),
            Reader::Waiting => (&[Op::Changed], false),
        };
        let mut points = around(read);
        if body {
            points.extend([BeforeQuery, AfterQuery]);
            points.extend(around(if self == Reader::Batch { &[Op::FillMany] } else { &[Op::Fill] }));
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

/// In which order the two start and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    LoadAroundWrite,
    WriteAroundLoad,
    LoadFirst,
    WriteFirst,
}

const ORDERS: [Order; 4] =
    [Order::LoadAroundWrite, Order::WriteAroundLoad, Order::LoadFirst, Order::WriteFirst];

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

/// The key's number, and the version of the row.
type Row = (u64, u64);

struct Scene {
    schedule: Schedule,
    table: Table,
    loading: Process,
    writing: Process,
    /// Whom a waiting reader waits for.
    third: Process,
}

impl Scene {
    fn new(rig: &Rig, schedule: Schedule) -> Self {
        let namespace = namespace();
        let process = || rig.process_with(|builder| builder.namespace(&namespace));
        let loading = process();
        let writing = if schedule.apart { process() } else { loading.clone() };
        Self { schedule, table: Table::default(), loading, writing, third: process() }
    }

    fn entry(&self, process: &Process) -> Entry<Row> {
        let entry = process.cache.entry("row", &7);
        if self.schedule.late {
            entry.with_rules(EntryRules::none().tags(|row: &Row| vec![format!("tag {}", row.0)]))
        } else {
            entry.with_tags(["tag 7"])
        }
    }

    /// A read by a function.
    fn read(&self, process: &Process, stops: Stops) -> JoinHandle<Row> {
        self.table.read_as(&self.entry(process), stops, |version| (7, version))
    }

    /// The read that races.
    fn load(&self, stops: Stops) -> JoinHandle<Row> {
        let (entry, cache, table) =
            (self.entry(&self.loading), self.loading.cache.clone(), self.table.clone());
        let query = async move || {
            stops.before_query().await;
            let version = table.query();
            stops.after_query().await;
            (7, version)
        };
        match self.schedule.reader {
            Reader::Waiting => self.read(&self.loading, Stops::default()),
            Reader::Refresh => {
                tokio::spawn(async move { mode(Mode::Refresh, entry.get_or_load(query)).await })
            }
            Reader::ByHand => tokio::spawn(async move {
                match entry.lookup().await.expect("the store answers") {
                    Lookup::Hit(row) => row,
                    Lookup::Vacant(vacancy) => {
                        let row = query().await;
                        vacancy.fill(&row).await.expect("a small value");
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
        let (cache, entry) = (self.writing.cache.clone(), self.entry(&self.writing));
        let (table, kind) = (self.table.clone(), self.schedule.kind);
        tokio::spawn(async move {
            if kind == Kind::PutFunction {
                let writes = Writes::new(Plain).put(Some(entry.clone()), NoRules, false);
                write(writes, pin!(async { (7, table.write()) }), |_, writes| writes).await;
                return Ok(());
            }
            let written = (7, table.write());
            match kind {
                Kind::Delete => entry.delete().await.map(drop),
                Kind::EvictTag => cache.evict_tags(["tag 7"]).await,
                Kind::Set => entry.set(&written).await,
                Kind::Update => entry.update(|_| written).await.map(drop),
                _ => {
                    mode(Mode::Refresh, entry.get_or_load(async || (7, table.query()))).await;
                    Ok(())
                }
            }
        })
    }

    async fn play(self) {
        let Schedule { reader, load_at, write_at, order, .. } = self.schedule;
        let label = format!("{:?}", self.schedule);
        let other = match reader {
            Reader::Waiting => {
                Some(Halted::start(&self.third, AfterQuery, |stops| self.read(&self.third, stops)).await)
            }
            _ => None,
        };
        let load = || Halted::start(&self.loading, load_at, |stops| self.load(stops));
        let write = || Halted::start(&self.writing, write_at, |_| self.write());
        // Who waits is let wait until the other one has ended.
        let end = async |load: Halted<Row>| {
            let load = tokio::spawn(load.end());
            if let Some(other) = other {
                assert!([OLD, NEW].contains(&other.end().await.1), "{label}");
            }
            ended(load).await
        };
        let loaded;
        let late_reader;
        match order {
            Order::LoadAroundWrite => {
                let load = load().await;
                write().await.end().await.expect("acknowledged");
                late_reader = self.start_late_reader().await;
                loaded = end(load).await;
            }
            Order::WriteAroundLoad => {
                let write = write().await;
                loaded = end(load().await).await;
                write.end().await.expect("acknowledged");
                late_reader = self.start_late_reader().await;
            }
            Order::LoadFirst => {
                let (load, write) = (load().await, write().await);
                loaded = end(load).await;
                write.end().await.expect("acknowledged");
                late_reader = self.start_late_reader().await;
            }
            Order::WriteFirst => {
                let (write, load) = (write().await, load().await);
                write.end().await.expect("acknowledged");
                late_reader = self.start_late_reader().await;
                loaded = end(load).await;
            }
        }
        assert!([OLD, NEW].contains(&loaded.1), "{label}");
        assert_eq!(
            ended(late_reader).await.1,
            NEW,
            "{label}: a reader that started after the acknowledgement"
        );
        for process in [&self.loading, &self.writing, &self.third] {
            let found = self.entry(process).get().await.expect("the store answers");
            assert!(found.is_none_or(|row| row.1 == NEW), "{label}: {found:?} is there");
            let read = ended(self.read(process, Stops::default())).await;
            assert_eq!(read.1, NEW, "{label}: a reader after all was over");
            let stats = process.cache.stats().total;
            assert_eq!((stats.errors(), stats.failed_evicts), (0, 0), "{label}");
        }
    }

    /// A reader of the load's process that would join its flight if it were still open: returns when it has
    /// either ended or found nothing.
    async fn start_late_reader(&self) -> JoinHandle<Row> {
        let cache = &self.loading.cache;
        let before = cache.stats().total.misses();
        let reader = self.read(&self.loading, Stops::default());
        soon("the reader reads", || reader.is_finished() || cache.stats().total.misses() > before).await;
        reader
    }
}

async fn play_all(rig: &Rig, schedules: &[Schedule]) {
    for some in schedules.chunks(100) {
        join_all(some.iter().map(|&schedule| {
            let played = AssertUnwindSafe(Scene::new(rig, schedule).play()).catch_unwind();
            async move {
                if let Err(panic) = played.await {
                    eprintln!("in {schedule:?}");
                    resume_unwind(panic);
                }
            }
        }))
        .await;
    }
}

/// All of them in memory; on a server, where whose write it is and where the tag comes from take turns, each pair of
/// points in each order.
async fn races(reader: Reader, redis: bool) {
    let mut schedules = schedules(reader);
    if redis {
        let all = schedules.into_iter().enumerate();
        schedules = all.filter(|(at, _)| at % 2 == (at / 2 + at / 8) % 2).map(|(_, one)| one).collect();
    }
    assert!(schedules.len() > 200, "{}", schedules.len());
    if redis {
        let server = RedisServer::start();
        play_all(&Rig::at(&server.url()), &schedules).await;
    } else {
        play_all(&Rig::memory(), &schedules).await;
    }
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
    Waiting: no_waiting_caller_brings_an_old_value_back_in_memory, no_waiting_caller_brings_an_old_value_back_on_redis;
}

async fn reached(gate: &Gate) {
    timeout(DEADLINE, gate.reached()).await.expect("the lease is renewed in time");
}

/// A lease that is being renewed when a write comes: neither the renewal nor what it belongs to outlives that.
async fn a_renewal_never_brings_a_lease_back(rig: Rig) {
    for before in [true, false] {
        for (at, how) in ["delete", "set", "put", "tag"].into_iter().enumerate() {
            let lease = Duration::from_millis(600);
            let loading = rig.process_with(|builder| builder.lease(lease));
            let (writing, table) = (rig.process(), Table::default());
            let entry = |process: &Process| {
                process.cache.entry::<u64>("row", &(before, at)).with_tags([format!("tag {before} {at}")])
            };
            let renewal = if before { Some(loading.faults.gate(Op::Renew)) } else { None };
            let renewed = loading.faults.gate_after(Op::Renew);
            let load = Halted::start(&loading, AfterQuery, |stops| table.read(&entry(&loading), stops)).await;
            assert!(load.stands(), "{how}");
            reached(renewal.as_ref().unwrap_or(&renewed)).await;
            let new = table.write();
            match how {
                "delete" => entry(&writing).delete().await.map(drop),
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
async fn no_load_overwrites_an_increment(rig: Rig) {
    const LOADED: i64 = -100;
    let load_points = [around(&[Op::Read, Op::Lease]), vec![BeforeQuery, AfterQuery], around(&[Op::Fill])];
    let orders = load_points.concat().into_iter().flat_map(|point| ORDERS.map(|order| (point, order)));
    let (mut kept, mut refused) = (0, 0);
    for (at, (load_at, order)) in orders.enumerate() {
        for add_at in around(&[Op::Capture, Op::Increment]) {
            let namespace = format!("{}-{at}-{add_at:?}", rig.namespace());
            let process = || rig.process_with(|builder| builder.namespace(&namespace));
            let (loading, adding, table) = (process(), process(), Table::default());
            let entry = |process: &Process| process.cache.entry::<i64>("count", &7).with_tags(["tag"]);
            let load = || {
                Halted::start(&loading, load_at, |stops| table.read_as(&entry(&loading), stops, |_| LOADED))
            };
            let add = || {
                Halted::start(&adding, add_at, |_| {
                    let entry = entry(&adding);
                    tokio::spawn(async move { entry.increment(1).await })
                })
            };
            let (loaded, sum) = match order {
                Order::LoadAroundWrite => {
                    let load = load().await;
                    let sum = add().await.end().await;
                    (load.end().await, sum)
                }
                Order::WriteAroundLoad => {
                    let add = add().await;
                    (load().await.end().await, add.end().await)
                }
                Order::LoadFirst => {
                    let (load, add) = (load().await, add().await);
                    (load.end().await, add.end().await)
                }
                Order::WriteFirst => {
                    let (add, load) = (add().await, load().await);
                    let sum = add.end().await;
                    (load.end().await, sum)
                }
            };
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
