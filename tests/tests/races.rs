//! Evicts and puts racing with a load, stopped against each other at every await point of both.
//!
//! A schedule names a load's point and a write's point and the order in which the two start and end. In each of
//! them, once the write is acknowledged no read returns the old value, whichever process asks, and a load that
//! held its lease when the write came cannot store any more.

use std::panic::{AssertUnwindSafe, resume_unwind};
use std::pin::pin;

use cachemacro::__private::{NoRules, Plain, When, Writes, write};
use cachemacro::store::faults::Op;
use cachemacro::{Entry, EntryRules, Result};
use cachemacro_tests::halt::Point::{self, After, AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, Table, ended, soon};
use cachemacro_tests::{Process, RedisServer, Rig, namespace};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::task::JoinHandle;

const OLD: u64 = 1;
const NEW: u64 = 2;

/// How the racing write tells the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Delete,
    EvictTag,
    EvictPrefix,
    Clear,
    Set,
    Update,
    /// `#[cache_evict]` with the entry.
    EvictFunction,
    /// `#[cache_evict]` with the entry's tag, before and after.
    EvictTagFunction,
    /// `#[cache_put]`.
    PutFunction,
}

const KINDS: [Kind; 9] = [
    Kind::Delete,
    Kind::EvictTag,
    Kind::EvictPrefix,
    Kind::Clear,
    Kind::Set,
    Kind::Update,
    Kind::EvictFunction,
    Kind::EvictTagFunction,
    Kind::PutFunction,
];

impl Kind {
    fn points(self, late: bool) -> Vec<Point> {
        let around = |ops: &[Op]| ops.iter().flat_map(|&op| [Before(op), After(op)]).collect::<Vec<_>>();
        let body = vec![BeforeQuery, AfterQuery];
        match self {
            Kind::Delete => around(&[Op::Evict]),
            Kind::EvictTag => around(&[Op::EvictTags]),
            Kind::EvictPrefix | Kind::Clear => around(&[Op::EvictPrefix]),
            Kind::Set => around(&[Op::Capture, Op::Set]),
            Kind::Update => around(&[Op::Capture, Op::Read, Op::CompareAndSet]),
            Kind::EvictFunction => [body, around(&[Op::Evict])].concat(),
            Kind::EvictTagFunction => [body, around(&[Op::EvictTags])].concat(),
            Kind::PutFunction if late => {
                [around(&[Op::Lease]), body, around(&[Op::Capture, Op::Versions, Op::Fill])].concat()
            }
            Kind::PutFunction => [around(&[Op::Lease]), body, around(&[Op::Fill])].concat(),
        }
    }

    /// Whether a load that holds the lease loses it to such a write.
    fn takes_lease(self) -> bool {
        !matches!(self, Kind::EvictTag | Kind::EvictTagFunction)
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
    load_at: Point,
    kind: Kind,
    write_at: Point,
    order: Order,
    /// The write is another process's.
    apart: bool,
    /// The tag comes from the value.
    late: bool,
    /// A value whose tag was evicted lies under the key.
    outdated: bool,
}

fn load_points(late: bool) -> Vec<Point> {
    let mut points = vec![
        Before(Op::Read),
        After(Op::Read),
        Before(Op::Lease),
        After(Op::Lease),
        BeforeQuery,
        AfterQuery,
        Before(Op::Fill),
        After(Op::Fill),
    ];
    if late {
        points.extend([Before(Op::Capture), After(Op::Capture), Before(Op::Versions), After(Op::Versions)]);
    }
    points
}

/// All schedules of one write against a load.
fn schedules(late: bool) -> Vec<Schedule> {
    let mut all = Vec::new();
    for kind in KINDS {
        for write_at in kind.points(late) {
            for load_at in load_points(late) {
                for order in ORDERS {
                    for (apart, outdated) in [(false, false), (true, false), (false, true), (true, true)] {
                        all.push(Schedule { load_at, kind, write_at, order, apart, late, outdated });
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
}

impl Scene {
    fn new(rig: &Rig, schedule: Schedule) -> Self {
        let namespace = namespace();
        let process = || rig.process_with(|builder| builder.namespace(&namespace));
        let loading = process();
        let writing = if schedule.apart { process() } else { loading.clone() };
        Self { schedule, table: Table::default(), loading, writing }
    }

    fn entry(&self, process: &Process) -> Entry<Row> {
        let entry = process.cache.entry("row", &7);
        if self.schedule.late {
            entry.with_rules(EntryRules::none().tags(|row: &Row| vec![format!("tag {}", row.0)]))
        } else {
            entry.with_tags(["tag 7"])
        }
    }

    /// A read through the cache.
    fn read(&self, process: &Process, stops: Stops) -> JoinHandle<Row> {
        self.table.read_as(&self.entry(process), stops, |version| (7, version))
    }

    /// Writes the row and tells the cache.
    fn write(&self, stops: Stops) -> JoinHandle<Result<()>> {
        let (cache, entry) = (self.writing.cache.clone(), self.entry(&self.writing));
        let (table, kind) = (self.table.clone(), self.schedule.kind);
        tokio::spawn(async move {
            let body = async {
                stops.before_query().await;
                let written = table.write();
                stops.after_query().await;
                (7, written)
            };
            let writes = Writes::new(Plain);
            let writes = match kind {
                Kind::EvictFunction => writes.evict(Some(&cache), When::default()).evict_entry(&entry),
                Kind::EvictTagFunction => {
                    let when = When { before: true, on_err: false };
                    writes.evict(Some(&cache), when).evict_tags(["tag 7"])
                }
                Kind::PutFunction => writes.put(Some(entry.clone()), NoRules, false),
                _ => {
                    let written = body.await;
                    return match kind {
                        Kind::Delete => entry.delete().await.map(drop),
                        Kind::EvictTag => cache.evict_tags(["tag 7"]).await,
                        Kind::EvictPrefix => cache.evict_prefix("row").await.map(drop),
                        Kind::Clear => cache.clear().await.map(drop),
                        Kind::Set => entry.set(&written).await,
                        _ => entry.update(|_| written).await.map(drop),
                    };
                }
            };
            write(writes, pin!(body), |_, writes| writes).await;
            assert_eq!(cache.stats().total.failed_evicts, 0);
            Ok(())
        })
    }

    /// Whether the load's fill must be refused: it held the lease, or its versions, before the write came.
    fn is_overtaken(&self) -> bool {
        let Schedule { load_at, kind, order, late, outdated, .. } = self.schedule;
        let overtaken = match load_at {
            BeforeQuery | AfterQuery | Before(Op::Capture) | After(Op::Lease | Op::Capture) => {
                kind.takes_lease() || late
            }
            // An outdated value with tags of its own has its versions read before the lease.
            Before(Op::Versions) | After(Op::Versions) => kind.takes_lease() && !outdated,
            // Too late for tags: the value is stored with outdated stamps, and nobody may use it.
            Before(Op::Fill) => kind.takes_lease(),
            _ => false,
        };
        overtaken && order == Order::LoadAroundWrite
    }

    async fn play(self) {
        let Schedule { load_at, write_at, order, .. } = self.schedule;
        let label = format!("{:?}", self.schedule);
        if self.schedule.outdated {
            self.entry(&self.loading).set(&(7, 0)).await.expect("set");
            self.loading.cache.evict_tags(["tag 7"]).await.expect("evicted");
        }
        let load = || Halted::start(&self.loading, load_at, |stops| self.read(&self.loading, stops));
        let write = || Halted::start(&self.writing, write_at, |stops| self.write(stops));
        let loaded;
        let late_reader;
        match order {
            Order::LoadAroundWrite => {
                let load = load().await;
                write().await.end().await.expect("acknowledged");
                late_reader = self.start_late_reader().await;
                loaded = load.end().await;
            }
            Order::WriteAroundLoad => {
                let write = write().await;
                loaded = load().await.end().await;
                write.end().await.expect("acknowledged");
                late_reader = self.start_late_reader().await;
            }
            Order::LoadFirst => {
                let (load, write) = (load().await, write().await);
                loaded = load.end().await;
                write.end().await.expect("acknowledged");
                late_reader = self.start_late_reader().await;
            }
            Order::WriteFirst => {
                let (write, load) = (write().await, load().await);
                write.end().await.expect("acknowledged");
                late_reader = self.start_late_reader().await;
                loaded = load.end().await;
            }
        }
        assert!([OLD, NEW].contains(&loaded.1), "{label}: what was evicted long before came back");
        assert_eq!(
            ended(late_reader).await.1,
            NEW,
            "{label}: a reader that started after the acknowledgement"
        );
        for process in [&self.loading, &self.writing] {
            let found = self.entry(process).get().await.expect("the store answers");
            assert!(found.is_none_or(|row| row.1 == NEW), "{label}: {found:?} is there");
            let read = ended(self.read(process, Stops::default())).await;
            assert_eq!(read.1, NEW, "{label}: a reader after all was over");
        }
        if self.is_overtaken() {
            let refused = self.loading.cache.stats().total.refused_fills;
            assert!(refused > 0, "{label}: the late fill was not refused");
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

/// Plays these schedules, many side by side, and has `between` called when none is on.
async fn play_all(rig: Rig, schedules: &[Schedule], between: impl AsyncFn()) {
    for some in schedules.chunks(100) {
        join_all(some.iter().map(|&schedule| {
            let played = AssertUnwindSafe(Scene::new(&rig, schedule).play()).catch_unwind();
            async move {
                if let Err(panic) = played.await {
                    eprintln!("in {schedule:?}");
                    resume_unwind(panic);
                }
            }
        }))
        .await;
        between().await;
    }
}

async fn in_memory(late: bool) {
    let schedules = schedules(late);
    assert!(schedules.len() > 4_000);
    play_all(Rig::memory(), &schedules, async || {}).await;
}

/// On a server, each pair of points in each order; whose write it is and what lay there before takes turns.
async fn on_redis(late: bool) {
    let server = RedisServer::start();
    let schedules = schedules(late).into_iter().enumerate();
    let schedules: Vec<_> = schedules.filter(|(at, _)| at % 4 == (at / 4) % 4).map(|(_, one)| one).collect();
    assert!(schedules.len() > 1_000);
    // A prefix is evicted by a scan of all keys, so those of scenes that are over would slow the others down.
    let forget =
        async || redis::cmd("FLUSHALL").exec_async(&mut server.client().await).await.expect("FLUSHALL");
    play_all(Rig::at(&server.url()), &schedules, forget).await;
}

#[tokio::test]
async fn no_schedule_of_a_load_and_a_write_lets_an_old_value_be_read_in_memory() {
    in_memory(false).await;
}

#[tokio::test]
async fn no_schedule_of_a_load_and_a_write_lets_an_old_value_be_read_on_redis() {
    on_redis(false).await;
}

#[tokio::test]
async fn nor_does_one_where_the_tags_come_from_the_value_in_memory() {
    in_memory(true).await;
}

#[tokio::test]
async fn nor_does_one_where_the_tags_come_from_the_value_on_redis() {
    on_redis(true).await;
}
