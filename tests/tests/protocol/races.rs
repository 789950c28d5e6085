//! Evicts and puts racing with a load, stopped against each other at every await point of both.
//!
//! A schedule names a load's point and a write's point and the order in which the two start and end. In each of
//! them, once the write is acknowledged no read returns the old value, whichever process asks, and a load that
//! held its lease when the write came cannot store any more.

use std::pin::pin;

use cachemacro::__private::{NoRules, Plain, When, Writes, write};
use cachemacro::Result;
use cachemacro::store::faults::Op;
use cachemacro_tests::halt::Point::{self, After, AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops};
use cachemacro_tests::schedule::{LOAD_POINTS, ORDERS, Order, Pair, around, play_all};
use cachemacro_tests::{RedisServer, Rig, is_long};
use tokio::task::JoinHandle;

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
    let mut points = LOAD_POINTS.to_vec();
    if late {
        points.extend(around(&[Op::Capture, Op::Versions]));
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

struct Scene {
    schedule: Schedule,
    pair: Pair,
}

impl Scene {
    fn new(rig: &Rig, schedule: Schedule) -> Self {
        Self { schedule, pair: Pair::new(rig, schedule.apart, schedule.late) }
    }

    /// Writes the row and tells the cache.
    fn write(&self, stops: Stops) -> JoinHandle<Result<()>> {
        let Pair { table, writing, .. } = &self.pair;
        let (cache, entry) = (writing.cache.clone(), self.pair.entry(writing));
        let (table, kind) = (table.clone(), self.schedule.kind);
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
                        Kind::Delete => entry.evict().await.map(drop),
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
        let Self { schedule, pair } = &self;
        let Pair { loading, writing, .. } = pair;
        if schedule.outdated {
            pair.entry(loading).set(&(7, 0)).await.expect("set");
            loading.cache.evict_tags(["tag 7"]).await.expect("evicted");
        }
        let load = || Halted::start(loading, schedule.load_at, |stops| pair.read(loading, stops));
        let write = || Halted::start(writing, schedule.write_at, |stops| self.write(stops));
        pair.play(schedule.order, load, write, Halted::end).await;
        for process in [loading, writing] {
            pair.assert_new(process).await;
        }
        if self.is_overtaken() {
            assert!(loading.cache.stats().total.refused_fills > 0, "the late fill was not refused");
        }
    }
}

async fn play(server: Option<&RedisServer>, schedules: &[Schedule]) {
    play_all(server, schedules, async |rig, schedule| Scene::new(rig, schedule).play().await).await;
}

async fn in_memory(late: bool) {
    let schedules = schedules(late);
    assert!(schedules.len() > 4_000);
    play(None, &schedules).await;
}

/// On a server, each pair of points in each order; whose write it is and what lay there before takes turns, where the
/// run is not a long one.
async fn on_redis(late: bool) {
    let schedules = schedules(late).into_iter().enumerate();
    let schedules: Vec<_> =
        schedules.filter(|(at, _)| is_long() || at % 4 == (at / 4) % 4).map(|(_, one)| one).collect();
    assert!(schedules.len() > 1_000);
    play(Some(&RedisServer::start()), &schedules).await;
}

/// Upholds G1.
#[tokio::test]
async fn no_schedule_of_a_load_and_a_write_lets_an_old_value_be_read_in_memory() {
    in_memory(false).await;
}

/// Upholds G1.
#[tokio::test]
async fn no_schedule_of_a_load_and_a_write_lets_an_old_value_be_read_on_redis() {
    on_redis(false).await;
}

/// Upholds G1.
#[tokio::test]
async fn nor_does_one_where_the_tags_come_from_the_value_in_memory() {
    in_memory(true).await;
}

/// Upholds G1.
#[tokio::test]
async fn nor_does_one_where_the_tags_come_from_the_value_on_redis() {
    on_redis(true).await;
}
