//! Whatever becomes of a call, no other waits for ever, and nothing of it is left behind.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use cachemacro::__private::{NoRules, Plain, When, Writes, write};
use cachemacro::store::faults::{FaultStore, Op};
use cachemacro::store::redis::{RedisConfig, RedisStore};
use cachemacro::{Cache, Entry, ErrorKind, Lookup, MissReason};
use cachemacro_tests::halt::Point::{self, After, AfterQuery, Before, BeforeQuery};
use cachemacro_tests::halt::{Halted, Stops, Table, ended, soon};
use cachemacro_tests::schedule::LOAD_POINTS;
use cachemacro_tests::{DEADLINE, LONG, Process, Rig, Single, on_both_stores, wait_for, wait_until};
use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::sync::Barrier;
use tokio::task::JoinHandle;
use tokio::time::timeout;

fn entry(process: &Process) -> Entry<u64> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

async fn in_time<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("it ends in time")
}

/// Waits until no flight is open, no evict is queued, no lease is held on `row:7` and no task is left but so many.
async fn assert_nothing_is_left(rig: &Rig, process: &Process, tasks: usize) {
    let key = format!("{}:row:7", rig.namespace());
    wait_until("nothing is left behind", DEADLINE, async || {
        let lease = rig.store().entry(&key).await.expect("the store answers");
        let leased = lease.is_some_and(|bytes| {
            !cachemacro::header::Header::parse(&bytes).expect("an entry").token.is_none()
        });
        let shown = format!("{:?}", process.cache);
        let waiting = !rig.is_redis() && !format!("{:?}", rig.in_memory().0).contains("waiters: 0");
        !leased && !waiting && shown.contains("open: 0") && shown.contains("evicts: 0") && alive() == tasks
    })
    .await;
}

/// How many tasks there are.
fn alive() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

/// How many tasks there are once the connections are open.
async fn tasks_at_rest(rig: &Rig, process: &Process) -> usize {
    let warm = process.cache.entry::<u8>("warm", 1);
    // Someone waits for a busy lease, which opens what waiting needs.
    let Ok(Lookup::Vacant(vacancy)) = warm.lookup().await else { panic!("nothing is there") };
    let mut waiter = pin!(warm.get_or_load(async || 2));
    assert!(timeout(Duration::from_millis(20), &mut waiter).await.is_err(), "the lease is busy");
    drop(vacancy);
    in_time(waiter).await;
    process.cache.evict_prefix("warm").await.expect("the store answers");
    if !rig.is_redis() {
        // The tasks so far are over, whether or not they have been polled to their end.
        return 0;
    }
    let mut counts = Vec::new();
    wait_until("the connections are open", DEADLINE, async || {
        tokio::time::sleep(Duration::from_millis(20)).await;
        counts.push(alive());
        counts.iter().rev().take_while(|count| **count == alive()).count() >= 4
    })
    .await;
    alive()
}

async fn follow(process: &Process, table: &Table, entry: &Entry<u64>) -> JoinHandle<u64> {
    let before = process.cache.stats().total.misses();
    let reader = table.read(entry, Stops::default());
    soon("the follower reads", || process.cache.stats().total.misses() > before || reader.is_finished())
        .await;
    reader
}

/// Upholds G9.
async fn a_body_that_reaches_its_own_key_runs_it_unstored(rig: Rig) {
    let process = rig.process();
    let (one, two) = (process.cache.entry::<u32>("one", 1), process.cache.entry::<u32>("two", 2));
    let inner = || one.get_or_load(async || 1);
    let outer = one.get_or_load(async || two.get_or_load(async || inner().await + 10).await + 100);
    assert_eq!(Box::pin(in_time(outer)).await, 111);
    assert_eq!(process.cache.stats().total.loads, 3);
    assert_eq!(one.get().await.expect("the store answers"), Some(111), "the outer load is stored");

    // The same in a put.
    let put = Writes::new(Plain).put(Some(one.clone()), NoRules, false);
    one.evict().await.expect("evicted");
    let body = pin!(async { one.get_or_load(async || 2).await + 1 });
    assert_eq!(in_time(write(put, body, |_, writes| writes)).await, 3);
    assert_eq!(one.get().await.expect("the store answers"), Some(3));
}

async fn a_body_that_looks_its_own_key_up_gets_a_vacancy(rig: Rig) {
    let process = rig.process();
    let one = process.cache.entry::<u32>("one", 1);
    let outer = one.get_or_load(async || match one.lookup().await.expect("the store answers") {
        Lookup::Hit(_) => panic!("nothing is there"),
        Lookup::Vacant(vacancy) => {
            assert!(
                !vacancy.fill(&1).await.expect("a small value").is_stored(),
                "the load's own value is stored"
            );
            2
        }
    });
    assert_eq!(in_time(Box::pin(outer)).await, 2);
}

async fn a_body_that_reaches_its_own_key_among_many_runs_it_unstored(rig: Rig) {
    let process = rig.process();
    let cache = &process.cache;
    let calls = AtomicU32::new(0);
    let double = async |ids: Vec<u32>| {
        calls.fetch_add(1, Ordering::SeqCst);
        ids.into_iter().map(|id| (id, id * 2)).collect()
    };
    let outer = cache.get_or_load("many", 1_u32, async || {
        let inner = cache.get_or_load_many::<u32, u32, _>("many", [1, 2], double).await;
        inner[&1] + inner[&2]
    });
    assert_eq!((in_time(outer).await, calls.load(Ordering::SeqCst)), (6, 1));
    assert_eq!(cache.get::<u32>("many", 1_u32).await.expect("the store answers"), Some(6));
    assert_eq!(cache.get::<u32>("many", 2_u32).await.expect("the store answers"), Some(4));

    // The same the other way round.
    cache.clear().await.expect("cleared");
    let outer = cache.get_or_load_many::<u32, u32, _>("many", [1, 2], async |ids| {
        let inner = cache.get_or_load("many", &ids[0], async || 5).await;
        ids.into_iter().map(|id| (id, id + inner)).collect()
    });
    let outer = in_time(Box::pin(outer)).await;
    assert_eq!((outer[&1], outer[&2]), (6, 7));
}

/// Upholds G9.
async fn two_functions_that_call_each_other_end_after_the_wait(rig: Rig) {
    let process = rig.process_with(|builder| builder.wait(Duration::from_millis(50)));
    let entries = [process.cache.entry::<u32>("pair", 0), process.cache.entry::<u32>("pair", 1)];
    let both = Arc::new(Barrier::new(2));
    let calls = [(0, 1), (1, 0)].map(|(mine, other)| {
        let (entries, both) = (entries.clone(), both.clone());
        tokio::spawn(async move {
            let load = async || {
                both.wait().await;
                entries[other].get_or_load(async || 10).await + 1
            };
            entries[mine].get_or_load(load).await
        })
    });
    for call in calls {
        assert!([11, 12].contains(&ended(call).await), "its own, or what it waited for");
    }
}

/// Upholds G9.
async fn a_leader_that_is_never_polled_again_costs_the_others_their_wait(rig: Rig) {
    const WAIT: Duration = Duration::from_millis(300);
    let settings = |builder: cachemacro::CacheBuilder| builder.wait(WAIT).lease(Duration::from_millis(100));
    let (here, there) = (rig.process_with(settings), rig.process_with(settings));
    let loads = AtomicU32::new(0);
    let stuck = here.cache.entry::<u32>("stuck", 1);
    let mut leader = Box::pin(stuck.get_or_load(async || {
        loads.fetch_add(1, Ordering::SeqCst);
        std::future::pending().await
    }));
    wait_until("the load begins", DEADLINE, async || {
        assert!(leader.as_mut().now_or_never().is_none());
        loads.load(Ordering::SeqCst) == 1
    })
    .await;
    // Here: whose wait is over first loads for all, unstored.
    let follow = |n| {
        let loads = &loads;
        stuck.get_or_load(async move || loads.fetch_add(1, Ordering::SeqCst) + n)
    };
    let followers = in_time(join_all((0..20).map(|_| follow(100)))).await;
    assert!(followers.iter().all(|value| *value == followers[0]), "{followers:?}");
    assert_eq!(loads.load(Ordering::SeqCst), 2);
    // In another process: the same, until the lease has lapsed for want of renewal.
    let other = there.cache.entry::<u32>("stuck", 1);
    let mut round = 200;
    wait_until("a load elsewhere is stored", DEADLINE, async || {
        if !rig.is_redis() {
            rig.in_memory().1.advance(Duration::from_millis(40));
        }
        round += 1;
        assert_eq!(in_time(other.get_or_load(async || round)).await, round);
        there.cache.stored().await;
        there.cache.stats().total.fills == 1
    })
    .await;
    assert_eq!(stuck.get().await.expect("the store answers"), Some(round));
    drop(leader);
}

/// Upholds G9.
async fn a_leader_dropped_at_any_point_hands_on_and_leaves_nothing(rig: Rig) {
    let process = rig.process();
    let tasks = tasks_at_rest(&rig, &process).await;
    let table = Table::default();
    for point in LOAD_POINTS {
        for followers in [0, 1, 3] {
            let leader = Halted::start(&process, point, |stops| table.read(&entry(&process), stops)).await;
            let mut waiting = Vec::new();
            for _ in 0..followers {
                waiting.push(follow(&process, &table, &entry(&process)).await);
            }
            assert!(leader.stands(), "{point:?}");
            leader.abort().await;
            for follower in waiting {
                assert_eq!(ended(follower).await, 1, "{point:?}");
            }
            assert_nothing_is_left(&rig, &process, tasks).await;
            entry(&process).evict().await.expect("evicted");
        }
    }
}

async fn followers_that_are_dropped_leave_nothing(rig: Rig) {
    let process = rig.process();
    let tasks = tasks_at_rest(&rig, &process).await;
    let table = Table::default();
    let leader = Halted::start(&process, AfterQuery, |stops| table.read(&entry(&process), stops)).await;
    let gone = follow(&process, &table, &entry(&process)).await;
    let stays = follow(&process, &table, &entry(&process)).await;
    gone.abort();
    leader.abort().await;
    assert_eq!(ended(stays).await, 1, "who was to lead is gone, so the next one does");
    let leader = Halted::start(&process, AfterQuery, |stops| {
        table.read(&process.cache.entry("row", 7).with_tags(["other"]), stops)
    })
    .await;
    assert_eq!(leader.end().await, 1);
    assert_nothing_is_left(&rig, &process, tasks).await;
}

/// Upholds G9.
async fn a_panicking_load_lets_the_others_go_on(rig: Rig) {
    let process = rig.process();
    let tasks = tasks_at_rest(&rig, &process).await;
    let table = Table::default();
    let leader = Halted::start(&process, BeforeQuery, |stops| {
        table.read_as(&entry(&process), stops, |_| panic!("on purpose"))
    })
    .await;
    let mut followers = Vec::new();
    for _ in 0..5 {
        followers.push(follow(&process, &table, &entry(&process)).await);
    }
    let panicked = tokio::spawn(leader.end());
    for follower in followers {
        assert_eq!(ended(follower).await, 1);
    }
    assert!(panicked.await.is_err());
    assert_nothing_is_left(&rig, &process, tasks).await;
    assert_eq!(ended(table.read(&entry(&process), Stops::default())).await, 1);
    assert_eq!(entry(&process).get().await.expect("the store answers"), Some(1), "stored by now");
}

/// Upholds G9.
async fn a_failing_load_lets_the_others_go_on(rig: Rig) {
    let process = rig.process();
    let tasks = tasks_at_rest(&rig, &process).await;
    let failing = entry(&process);
    let calls = (0..5).map(|n| failing.try_get_or_load(async move || Err::<u64, _>(n)));
    let failed = in_time(join_all(calls)).await;
    assert_eq!(failed, (0..5).map(Err).collect::<Vec<_>>(), "each has its own error");
    assert_nothing_is_left(&rig, &process, tasks).await;
    assert_eq!(failing.get().await.expect("the store answers"), None);
}

/// Upholds G9.
async fn a_vacancy_that_is_dropped_leaves_nothing(rig: Rig) {
    let process = rig.process();
    let tasks = tasks_at_rest(&rig, &process).await;
    soon("all is at rest", || alive() == tasks).await;
    let Ok(Lookup::Vacant(vacancy)) = entry(&process).lookup().await else { panic!("nothing is there") };
    assert_eq!(alive(), tasks + 1, "the lease is renewed meanwhile");
    drop(vacancy);
    assert_nothing_is_left(&rig, &process, tasks).await;
}

/// Upholds G9.
async fn many_callers_whose_lease_request_is_lost_are_all_answered(rig: Rig) {
    let process = if rig.is_redis() {
        rig.store().connect().await.expect("the server is there");
        // A task gives the lease back once more when the request would be refused, which must be within the test.
        let second = Duration::from_secs(1);
        let config = RedisConfig::new(rig.url()).pool_wait(second).command_timeout(2 * second);
        let faults = Arc::new(FaultStore::new(Arc::new(RedisStore::new(config).expect("a well-formed URL"))));
        let cache = Cache::builder().store(faults.clone()).namespace(rig.namespace()).lease(LONG).wait(LONG);
        Process { cache: cache.build().expect("acceptable settings"), faults }
    } else {
        rig.process()
    };
    let tasks = tasks_at_rest(&rig, &process).await;
    let table = Table::default();
    process.faults.lose_reply_next(Op::Lease);
    let callers: Vec<_> = (0..100).map(|_| table.read(&entry(&process), Stops::default())).collect();
    for caller in callers {
        assert_eq!(ended(caller).await, 1);
    }
    assert!(table.queries() <= 2);
    assert_nothing_is_left(&rig, &process, tasks).await;
}

/// What an attributed function that writes does to the cache.
#[derive(Debug, Clone, Copy)]
enum Writer {
    Put,
    EvictEntry,
    EvictTag,
    EvictPrefix,
}

const WRITERS: [Writer; 4] = [Writer::Put, Writer::EvictEntry, Writer::EvictTag, Writer::EvictPrefix];

impl Writer {
    /// Writes the row; stops as told, and panics at the end if told.
    fn run(
        self,
        process: &Process,
        table: &Table,
        stops: Stops,
        panics: bool,
    ) -> impl Future<Output = u64> + Send + use<> {
        let (cache, entry, table) = (process.cache.clone(), entry(process), table.clone());
        async move {
            let body = pin!(async {
                stops.before_query().await;
                let version = table.write();
                stops.after_query().await;
                assert!(!panics, "on purpose");
                version
            });
            let writes = Writes::new(Plain);
            let writes = match self {
                Writer::Put => writes.put(Some(entry), NoRules, false),
                Writer::EvictEntry => writes.evict(Some(&cache), When::default()).evict_entry(&entry),
                Writer::EvictTag => writes.evict(Some(&cache), When::default()).evict_tags(["tag"]),
                Writer::EvictPrefix => writes.evict(Some(&cache), When::default()).evict_prefix("row"),
            };
            write(writes, body, |_, writes| writes).await
        }
    }

    fn points(self) -> Vec<Point> {
        let [before, after] = match self {
            Writer::Put => [Before(Op::Fill), After(Op::Fill)],
            Writer::EvictEntry => [Before(Op::Evict), After(Op::Evict)],
            Writer::EvictTag => [Before(Op::EvictTags), After(Op::EvictTags)],
            Writer::EvictPrefix => [Before(Op::EvictPrefix), After(Op::EvictPrefix)],
        };
        vec![AfterQuery, before, after]
    }
}

/// Upholds G7.
async fn a_writer_dropped_after_its_write_evicts_all_the_same(rig: Rig) {
    let (here, there, table) = (rig.process(), rig.process(), Table::default());
    let tasks = tasks_at_rest(&rig, &here).await;
    for at_once in [true, false] {
        here.faults.set_immediate(at_once);
        for writer in WRITERS {
            for point in writer.points() {
                let old = ended(table.read(&entry(&here), Stops::default())).await;
                assert_eq!(entry(&there).get().await.expect("the store answers"), Some(old));
                let halted = Halted::start(&here, point, |stops| {
                    tokio::spawn(writer.run(&here, &table, stops, false))
                })
                .await;
                assert!(halted.stands(), "{writer:?} {point:?}");
                halted.abort().await;
                assert_eq!(
                    ended(table.read(&entry(&here), Stops::default())).await,
                    old + 1,
                    "{writer:?} {point:?}"
                );
                wait_until("other processes see it gone", DEADLINE, async || {
                    entry(&there).get().await.expect("the store answers") == Some(old + 1)
                })
                .await;
                assert_nothing_is_left(&rig, &here, tasks).await;
            }
        }
    }
}

/// Upholds G7.
async fn a_writer_that_panics_after_its_write_evicts_all_the_same(rig: Rig) {
    let (here, table) = (rig.process(), Table::default());
    for at_once in [true, false] {
        here.faults.set_immediate(at_once);
        for writer in WRITERS {
            let old = ended(table.read(&entry(&here), Stops::default())).await;
            let panicked = tokio::spawn(writer.run(&here, &table, Stops::default(), true)).await;
            assert!(panicked.expect_err("it panics").is_panic());
            assert_eq!(ended(table.read(&entry(&here), Stops::default())).await, old + 1, "{writer:?}");
        }
    }
}

/// Upholds G7.
async fn an_evict_that_a_dropped_writer_left_and_that_fails_is_counted(rig: Rig) {
    let (here, table) = (rig.process(), Table::default());
    here.faults.fail(Op::Evict, ErrorKind::Io);
    let halted = Halted::start(&here, AfterQuery, |stops| {
        tokio::spawn(Writer::EvictEntry.run(&here, &table, stops, false))
    })
    .await;
    halted.abort().await;
    wait_until("it is counted", DEADLINE, async || here.cache.stats().total.failed_evicts == 1).await;
    assert_eq!(ended(table.read(&entry(&here), Stops::default())).await, 2, "reads go on");
}

on_both_stores!(
    a_body_that_reaches_its_own_key_runs_it_unstored,
    a_body_that_looks_its_own_key_up_gets_a_vacancy,
    a_body_that_reaches_its_own_key_among_many_runs_it_unstored,
    two_functions_that_call_each_other_end_after_the_wait,
    a_leader_that_is_never_polled_again_costs_the_others_their_wait,
    a_leader_dropped_at_any_point_hands_on_and_leaves_nothing,
    followers_that_are_dropped_leave_nothing,
    a_panicking_load_lets_the_others_go_on,
    a_failing_load_lets_the_others_go_on,
    a_vacancy_that_is_dropped_leaves_nothing,
    many_callers_whose_lease_request_is_lost_are_all_answered,
    a_writer_dropped_after_its_write_evicts_all_the_same,
    a_writer_that_panics_after_its_write_evicts_all_the_same,
    an_evict_that_a_dropped_writer_left_and_that_fails_is_counted,
);

/// A lease so short that the load of a test outlives it.
const SHORT: Duration = Duration::from_millis(90);

/// Upholds G9.
#[tokio::test(start_paused = true)]
async fn a_leader_that_is_never_polled_again_does_not_starve_callers_of_little_patience() {
    const WAIT: Duration = Duration::from_secs(1);
    let rig = Rig::memory();
    let process = rig.process_with(|builder| builder.wait(WAIT).lease(WAIT));
    let stuck = entry(&process);
    let mut leader = Box::pin(stuck.get_or_load(std::future::pending));
    assert!(leader.as_mut().now_or_never().is_none());
    let began = tokio::time::Instant::now();
    let mut answered = Vec::new();
    for caller in 0..30 {
        let load = async || {
            tokio::time::sleep(WAIT / 100).await;
            caller
        };
        let result = timeout(WAIT / 10, stuck.get_or_load(load)).await;
        assert!(result.is_ok() || began.elapsed() <= WAIT + WAIT / 10, "{caller}: {:?}", began.elapsed());
        answered.extend(result);
        rig.in_memory().1.advance(WAIT / 10);
    }
    assert!(answered.len() >= 19, "{answered:?}");
    assert_eq!(process.cache.stats().total.fills, 1, "the lease lapsed, and one was stored");
    drop(leader);
}

#[tokio::test]
async fn a_load_that_outlives_its_lease_keeps_it() {
    let rig = Rig::redis();
    let (here, there) = (rig.process_with(|builder| builder.lease(Duration::from_secs(1))), rig.process());
    let loads = AtomicU32::new(0);
    let load = async || {
        loads.fetch_add(1, Ordering::SeqCst);
        // Renewed three times in its length, it has lapsed by now if it was not. It is long enough for a busy machine.
        wait_for("it was renewed", || here.faults.count(Op::Renew) >= 5).await;
        1
    };
    let begun = async || wait_for("the load begins", || loads.load(Ordering::SeqCst) == 1).await;
    let first = entry(&here);
    let (one, other) = tokio::join!(first.get_or_load(load), async {
        begun().await;
        entry(&there).get_or_load(async || 2).await
    });
    assert_eq!((one, other), (1, 1));

    // The same for one that is loaded by hand.
    first.evict().await.expect("evicted");
    let Ok(Lookup::Vacant(vacancy)) = first.lookup().await else { panic!("nothing is there") };
    wait_for("it was renewed", || here.faults.count(Op::Renew) >= 10).await;
    assert!(vacancy.fill(&3).await.expect("a small value").is_stored());
}

/// Upholds G9.
#[tokio::test]
async fn a_load_past_its_lease_limit_loses_its_lease() {
    let rig = Rig::redis();
    let here = rig.process_with(|builder| builder.lease(SHORT).lease_limit(Duration::from_millis(1)));
    let there = rig.process();
    let (begun, over) = (tokio::sync::Semaphore::new(0), tokio::sync::Semaphore::new(0));
    let first = entry(&here);
    let (one, other) = tokio::join!(
        first.get_or_load(async || {
            begun.add_permits(1);
            over.acquire().await.expect("open").forget();
            1
        }),
        async {
            begun.acquire().await.expect("open").forget();
            let other = entry(&there).get_or_load(async || 2).await;
            over.add_permits(1);
            other
        }
    );
    assert_eq!((one, other), (1, 2));
    here.cache.stored().await;
    there.cache.stored().await;
    assert_eq!((here.cache.stats().total.refused_fills, there.cache.stats().total.fills), (1, 1));
    assert_eq!(first.get().await.expect("the store answers"), Some(2));
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Polls a writer until it stands after its write, and gives it back unfinished.
fn begun(
    runtime: &tokio::runtime::Runtime,
    cache: &Cache,
    table: &Table,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    let (cache, table) = (cache.clone(), table.clone());
    let mut writer: Pin<Box<dyn Future<Output = ()> + Send>> = Box::pin(async move {
        let body = pin!(async {
            table.write();
            std::future::pending::<()>().await;
        });
        let evict = Writes::new(Plain).evict(Some(&cache), When::default()).evict_tags(["tag"]);
        write(evict, body, |(), writes| writes).await;
    });
    runtime.block_on(async { assert!(writer.as_mut().now_or_never().is_none()) });
    writer
}

/// Upholds G7.
#[test]
fn a_writer_dropped_outside_a_runtime_evicts_before_the_next_read() {
    for at_once in [true, false] {
        let (rig, table, runtime) = (Rig::memory(), Table::default(), runtime());
        let here = rig.process();
        here.faults.set_immediate(at_once);
        assert_eq!(runtime.block_on(async { ended(table.read(&entry(&here), Stops::default())).await }), 1);
        drop(begun(&runtime, &here.cache, &table));
        assert_eq!(runtime.block_on(async { ended(table.read(&entry(&here), Stops::default())).await }), 2);
    }
}

/// Upholds G7.
#[test]
fn a_writer_that_ends_with_its_runtime_evicts_before_the_next_read() {
    let (rig, table) = (Rig::memory(), Table::default());
    let here = rig.process();
    here.faults.set_immediate(false);
    let first = runtime();
    assert_eq!(first.block_on(async { ended(table.read(&entry(&here), Stops::default())).await }), 1);
    let writer = begun(&first, &here.cache, &table);
    first.spawn(writer);
    drop(first);
    let second = runtime();
    assert_eq!(second.block_on(async { ended(table.read(&entry(&here), Stops::default())).await }), 2);
}

/// Upholds G7.
#[test]
fn an_evict_under_way_when_its_runtime_ends_is_done_before_the_next_read() {
    let (rig, table) = (Rig::memory(), Table::default());
    let here = rig.process();
    let evict = here.faults.gate(Op::EvictTags);
    let first = runtime();
    assert_eq!(first.block_on(async { ended(table.read(&entry(&here), Stops::default())).await }), 1);
    let writer = begun(&first, &here.cache, &table);
    first.block_on(async {
        drop(writer);
        in_time(evict.reached()).await;
    });
    drop(first);
    let second = runtime();
    assert_eq!(second.block_on(async { ended(table.read(&entry(&here), Stops::default())).await }), 2);
    let stats = here.cache.stats().total;
    assert_eq!((stats.tag_evicts, stats.misses_for(MissReason::StoreFailed)), (1, 0));
}
