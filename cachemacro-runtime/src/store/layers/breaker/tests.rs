//! The breaker around a store that fails on command.

use std::time::Instant;

use futures_util::FutureExt as _;

use super::*;
use crate::observe::breaker::BreakerState;
use crate::store::layers::faults::{FaultStore, Op};
use crate::store::memory::MemoryStore;

const LATE: Duration = Duration::from_secs(30);

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// A breaker whose trials are not made before a test is over, unless it says otherwise.
fn config() -> BreakerConfig {
    BreakerConfig::new().pause(LATE).longest_pause(LATE)
}

fn guarded(config: BreakerConfig) -> (Arc<FaultStore>, BreakerStore) {
    let faults = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    let store = BreakerStore::new(faults.clone(), config).expect("acceptable");
    (faults, store)
}

async fn read(store: &BreakerStore) -> Result<Read> {
    store.read(ReadRequest::new(&["key"])).await
}

async fn reads(store: &BreakerStore, times: usize) {
    for _ in 0..times {
        // Its caller would go on without the store.
        let _ = read(store).await;
    }
}

async fn wait_for(what: &str, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < LATE, "{what}");
        sleep(millis(1)).await;
    }
}

/// Upholds G6.
#[tokio::test]
async fn failures_in_a_row_open_it_and_the_store_is_not_asked_then() {
    for kind in [ErrorKind::Connect, ErrorKind::Timeout, ErrorKind::Io] {
        let (faults, store) = guarded(config());
        faults.fail(Op::Read, kind);
        reads(&store, 2).await;
        assert_eq!(store.breaker.state(), BreakerState::Closed);
        reads(&store, 1).await;
        assert_eq!((store.breaker.state(), store.breaker.trips()), (BreakerState::Open, 1));
        let error = read(&store).await.expect_err("not asked");
        assert_eq!(error.kind(), ErrorKind::Connect, "nothing was sent");
        let why = std::error::Error::source(&error).map(ToString::to_string);
        assert!(why.is_some_and(|why| why.starts_with(kind.as_str())));
        assert_eq!(faults.count(Op::Read), 3);
        for op in [Op::Evict, Op::Capture, Op::Lease, Op::Renew, Op::Set, Op::EvictPrefix, Op::Increment] {
            assert_eq!(faults.count(op), 0);
        }
        assert!(store.evict(EvictRequest::new(&["key"], &[])).await.is_err());
        assert!(store.evict_prefix("key").await.is_err());
        assert_eq!(faults.count(Op::Evict) + faults.count(Op::EvictPrefix), 0);
    }
}

#[tokio::test]
async fn a_store_that_refuses_is_there() {
    let (faults, store) = guarded(config());
    faults.fail(Op::Read, ErrorKind::Refused);
    reads(&store, 100).await;
    assert_eq!((store.breaker.state(), faults.count(Op::Read)), (BreakerState::Closed, 100));
}

#[tokio::test]
async fn an_answer_to_what_was_asked_later_ends_the_row() {
    let (faults, store) = guarded(config().rate(100));
    for _ in 0..50 {
        faults.fail_next(Op::Read, 2, ErrorKind::Timeout);
        reads(&store, 3).await;
    }
    assert_eq!(store.breaker.state(), BreakerState::Closed);
    // Many that fall silent at once on one connection, while another one answers.
    let silent: Vec<_> = (0..10).map(|_| store.breaker.ask(true).expect("closed")).collect();
    reads(&store, 1).await;
    for asked in silent {
        let failed = Err::<(), _>(Error::new(ErrorKind::Timeout, "silent"));
        assert!(asked.ended(&failed).is_none());
    }
    assert_eq!(store.breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn too_many_of_the_requests_of_a_window_open_it() {
    for (failing, opens) in [(3, false), (6, true)] {
        let (faults, store) = guarded(config().failures(1_000));
        for round in 0..40 {
            if round % 10 < failing {
                faults.fail_next(Op::Read, 1, ErrorKind::Timeout);
            }
            reads(&store, 1).await;
        }
        assert_eq!(store.breaker.trips(), u64::from(opens), "{failing} of 10");
    }
}

#[tokio::test]
async fn what_failed_before_the_window_does_not_count() {
    let (faults, store) = guarded(config().failures(1_000).window(millis(1)));
    for _ in 0..60 {
        faults.fail_next(Op::Read, 1, ErrorKind::Timeout);
        reads(&store, 1).await;
        sleep(millis(2)).await;
    }
    assert_eq!(store.breaker.state(), BreakerState::Closed);
}

/// Upholds G6.
#[tokio::test]
async fn slow_answers_are_failures() {
    let (faults, store) = guarded(config().slow(millis(5)));
    faults.delay(Op::Read, millis(20));
    faults.delay(Op::EvictPrefix, millis(20));
    for _ in 0..5 {
        store.evict_prefix("key").await.expect("what takes many round trips may take longer");
    }
    assert_eq!(store.breaker.state(), BreakerState::Closed);
    for _ in 0..3 {
        read(&store).await.expect("late, and answered");
    }
    assert_eq!(store.breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn what_nobody_waits_for_any_more_counts_where_it_is_late() {
    let (faults, store) = guarded(config().slow(millis(5)));
    faults.delay(Op::Read, LATE);
    for _ in 0..10 {
        assert!(read(&store).now_or_never().is_none());
    }
    assert_eq!(store.breaker.state(), BreakerState::Closed, "their callers had no patience");
    for _ in 0..3 {
        assert!(timeout(millis(20), read(&store)).await.is_err());
    }
    assert_eq!(store.breaker.state(), BreakerState::Open);
}

#[tokio::test]
async fn outcomes_of_what_was_asked_before_it_moved_do_not_count() {
    let (faults, store) = guarded(config().pause(millis(1)).longest_pause(millis(1)));
    let late: Vec<_> = (0..10).map(|_| store.breaker.ask(true).expect("closed")).collect();
    faults.fail_next(Op::Read, 3, ErrorKind::Timeout);
    reads(&store, 3).await;
    wait_for("a trial closes it", || store.breaker.state() == BreakerState::Closed).await;
    for asked in late {
        assert!(asked.ended(&Err::<(), _>(Error::new(ErrorKind::Timeout, "silent"))).is_none());
    }
    assert_eq!((store.breaker.state(), store.breaker.trips()), (BreakerState::Closed, 1));
}

/// Upholds G6.
#[tokio::test]
async fn one_trial_at_a_time_is_made_until_one_is_answered_and_nobody_waits_for_it() {
    let (faults, store) = guarded(config().pause(millis(1)).longest_pause(millis(2)));
    let (told, tells) = std::sync::mpsc::channel();
    store.breaker.tell(move |state| told.send(state).is_ok());
    faults.fail_all(ErrorKind::Timeout);
    reads(&store, 3).await;
    wait_for("trials are made", || faults.count(Op::Health) > 3).await;
    let gate = faults.gate(Op::Health);
    faults.heal();
    wait_for("a trial is under way", || gate.is_reached()).await;
    assert_eq!(store.breaker.state(), BreakerState::HalfOpen);
    let made = faults.count(Op::Health);
    for _ in 0..1_000 {
        assert!(read(&store).now_or_never().expect("nobody waits").is_err());
    }
    assert_eq!(faults.count(Op::Health), made, "one at a time");
    gate.open();
    wait_for("the answer closes it", || store.breaker.state() == BreakerState::Closed).await;
    read(&store).await.expect("asked again");
    let told: Vec<_> = tells.try_iter().collect();
    let trials = usize::try_from(made).expect("few");
    let mut expected = [BreakerState::Open, BreakerState::HalfOpen].repeat(trials);
    expected.push(BreakerState::Closed);
    assert_eq!(told, expected);
}

#[tokio::test]
async fn a_trial_that_is_not_answered_in_time_has_failed() {
    let (faults, store) = guarded(config().slow(millis(5)).pause(millis(1)).longest_pause(millis(2)));
    faults.fail_next(Op::Read, 3, ErrorKind::Io);
    faults.delay(Op::Health, LATE);
    reads(&store, 3).await;
    wait_for("another one is made", || faults.count(Op::Health) > 2).await;
    assert_ne!(store.breaker.state(), BreakerState::Closed);
    faults.heal();
    wait_for("it closes", || store.breaker.state() == BreakerState::Closed).await;
}

#[tokio::test]
async fn a_store_that_refuses_a_trial_is_there() {
    let (faults, store) = guarded(config().pause(millis(1)));
    faults.fail_next(Op::Read, 3, ErrorKind::Io);
    faults.fail(Op::Health, ErrorKind::Refused);
    reads(&store, 3).await;
    wait_for("it closes", || store.breaker.state() == BreakerState::Closed).await;
}

#[tokio::test]
async fn pauses_grow_with_each_trial_that_fails_and_where_it_opens_again_soon() {
    let config = config().pause(millis(100)).longest_pause(millis(1_000));
    let breaker = Breaker::new(config);
    let trip = || {
        let failed = || breaker.ask(true).expect("closed").ended(&Err::<(), _>(not_there()));
        assert!(failed().is_none() && failed().is_none());
        failed().expect("the third opens it")
    };
    let within = |pause: Duration, of: u64| (millis(of / 2)..=millis(of)).contains(&pause);
    let mut trial = trip();
    for pause in [100, 200, 400, 800, 1_000, 1_000] {
        assert!(within(trial.pause, pause), "{:?} of {pause}", trial.pause);
        assert!(breaker.half_open(&trial) && breaker.reopen(&mut trial, not_there()));
    }
    breaker.close(&trial);
    assert!(within(trip().pause, 1_000), "it was closed for a moment only");
}

fn not_there() -> Error {
    Error::new(ErrorKind::Connect, "nobody listens")
}

#[tokio::test]
async fn a_trial_whose_thread_is_gone_is_made_by_the_next_who_asks() {
    let breaker = Breaker::new(config().pause(millis(1)));
    let failed = || breaker.ask(true).expect("closed").ended(&Err::<(), _>(not_there()));
    assert!(failed().is_none() && failed().is_none());
    let lost = failed().expect("the third opens it");
    assert!(breaker.lost_trial().is_none(), "it is not overdue yet");
    breaker.overdue();
    let anew = breaker.lost_trial().expect("it is overdue");
    assert!(breaker.lost_trial().is_none(), "one makes it");
    assert!(!breaker.half_open(&lost), "the former one is over");
    assert!(breaker.half_open(&anew));
    breaker.close(&anew);
    assert_eq!(breaker.state(), BreakerState::Closed);
}

#[tokio::test]
async fn a_store_that_is_closed_is_not_tried_again() {
    let (faults, store) = guarded(config().pause(millis(1)).longest_pause(millis(1)));
    faults.fail_all(ErrorKind::Connect);
    reads(&store, 3).await;
    store.close().await;
    wait_for("nobody holds the store for a trial", || Arc::strong_count(&store.breaker) == 1).await;
    let trials = faults.count(Op::Health);
    // What would make one has had its turn fifty times.
    sleep(millis(50)).await;
    assert_eq!(faults.count(Op::Health), trials);
}

#[tokio::test]
async fn who_waits_for_a_change_goes_on_when_it_opens() {
    let (faults, store) = guarded(config());
    let changes = store.changes().expect("it tells of them");
    let mut waits = std::pin::pin!(changes.changed("key", LATE));
    assert!(waits.as_mut().now_or_never().is_none());
    faults.fail(Op::Read, ErrorKind::Timeout);
    reads(&store, 3).await;
    waits.await;
    changes.changed("key", LATE).now_or_never().expect("nobody begins to wait");
}
