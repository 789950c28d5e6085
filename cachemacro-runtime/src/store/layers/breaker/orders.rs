//! All orders in which requests, their outcomes and trials can follow each other, up to some length, on the breaker itself: there is never
//! more than one trial, never none while it is open, and what was asked before it moved does not count.

use super::config::BreakerConfig;
use super::state::{Asked, Breaker, Trial};
use crate::ground::error::{Error, ErrorKind, Result};
use crate::observe::breaker::BreakerState;

/// How many steps a run has.
const STEPS: usize = 10;
/// How many requests are under way at once at most.
const MOST_ASKED: usize = 3;
/// How many failures in a row open it.
const FAILURES: u32 = 2;

#[derive(Debug, Clone, Copy)]
enum Step {
    Ask,
    Answered(usize),
    Failed(usize),
    Dropped(usize),
    /// The trial's pause is over.
    Tries,
    TrialAnswered,
    TrialFailed,
}

/// A request under way: its place among all, and after how many moves it was asked.
struct Request<'a> {
    asked: Asked<'a>,
    at: usize,
    moves: usize,
}

/// What the breaker is held against.
#[derive(Default)]
struct Expected {
    moves: usize,
    asked: usize,
    /// The place of the latest request that was answered.
    latest: usize,
    /// The places of those that failed since it moved.
    failed: Vec<usize>,
}

fn lost() -> Result<()> {
    Err(Error::new(ErrorKind::Io, "lost"))
}

/// Goes these steps; gives those that can be next.
fn run(steps: &[Step]) -> Vec<Step> {
    let breaker = Breaker::new(BreakerConfig::new().failures(FAILURES));
    let mut requests: Vec<Request<'_>> = Vec::new();
    let mut trials: Vec<Trial> = Vec::new();
    let mut expected = Expected::default();
    for step in steps {
        let before = breaker.state();
        match *step {
            Step::Ask => match breaker.ask(false) {
                Ok(asked) => {
                    assert_eq!(before, BreakerState::Closed, "{steps:?}");
                    expected.asked += 1;
                    requests.push(Request { asked, at: expected.asked, moves: expected.moves });
                }
                Err(error) => {
                    assert_ne!(before, BreakerState::Closed, "{steps:?}");
                    assert_eq!(error.kind(), ErrorKind::Connect);
                }
            },
            Step::Answered(place) => {
                let Request { asked, at, .. } = requests.remove(place);
                assert!(asked.ended(&Ok(())).is_none(), "{steps:?}");
                assert_eq!(breaker.state(), before, "{steps:?}");
                expected.latest = expected.latest.max(at);
            }
            Step::Failed(place) => {
                let Request { asked, at, moves } = requests.remove(place);
                let opened = asked.ended(&lost());
                if moves == expected.moves && before == BreakerState::Closed {
                    expected.failed.push(at);
                    expected.failed.retain(|at| *at > expected.latest);
                }
                let opens = expected.failed.len() >= FAILURES as usize;
                assert_eq!(opened.is_some(), opens, "{steps:?}");
                if opens {
                    expected.moves += 1;
                    expected.failed.clear();
                }
                trials.extend(opened);
            }
            Step::Dropped(place) => {
                assert!(
                    requests.remove(place).asked.given_up(|_| None).is_none(),
                    "it was not late: {steps:?}"
                );
                assert_eq!(breaker.state(), before, "{steps:?}");
            }
            Step::Tries => assert!(breaker.half_open(&trials[0]), "{steps:?}"),
            Step::TrialFailed => {
                let why = Error::new(ErrorKind::Timeout, "silent");
                assert!(breaker.reopen(&mut trials[0], why), "{steps:?}");
                assert_eq!(breaker.state(), BreakerState::Open, "{steps:?}");
            }
            Step::TrialAnswered => {
                breaker.close(&trials.remove(0));
                expected.moves += 1;
                assert_eq!(breaker.state(), BreakerState::Closed, "{steps:?}");
            }
        }
        // One trial while it is open, and none while it is closed.
        let is_closed = breaker.state() == BreakerState::Closed;
        assert_eq!(trials.len(), usize::from(!is_closed), "{steps:?}");
    }
    let mut next = Vec::new();
    if requests.len() < MOST_ASKED {
        next.push(Step::Ask);
    }
    for place in 0..requests.len() {
        next.extend([Step::Answered(place), Step::Failed(place), Step::Dropped(place)]);
    }
    match breaker.state() {
        BreakerState::Closed => {}
        BreakerState::Open => next.push(Step::Tries),
        BreakerState::HalfOpen => next.extend([Step::TrialAnswered, Step::TrialFailed]),
    }
    next
}

fn explore(steps: &mut Vec<Step>, runs: &mut u64) {
    let next = run(steps);
    *runs += 1;
    if steps.len() == STEPS {
        return;
    }
    for step in next {
        steps.push(step);
        explore(steps, runs);
        steps.pop();
    }
}

#[test]
fn in_no_order_are_there_two_trials_or_none_or_does_an_old_outcome_count() {
    let mut runs = 0;
    explore(&mut Vec::new(), &mut runs);
    assert!(runs > 10_000, "{runs} orders");
}
