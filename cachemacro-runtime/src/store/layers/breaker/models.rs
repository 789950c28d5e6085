//! The breaker under [loom](https://docs.rs/loom), which plays every order of its threads' steps: run by `scripts/loom`. Orders of whole
//! requests are in `orders`. Which mechanism each model is there for:
//!
//! | mechanism | model |
//! |---|---|
//! | who opens it looks under the lock whether it is open | `however_many_fail_at_once_one_makes_a_trial` |
//! | a lost trial is taken under the lock | `a_lost_trial_is_made_anew_by_one` |
//! | a failure of what was asked before it moved does not count | `what_was_asked_before_it_opened_does_not_open_it_again` |
//! | a move is made under the lock, where no other came before | `a_trial_that_was_made_anew_moves_nothing_any_more` |

use std::sync::Arc;

use loom::thread;

use super::config::BreakerConfig;
use super::state::{Breaker, Trial};
use crate::ground::error::{Error, ErrorKind, Result};
use crate::observe::breaker::BreakerState;

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

fn breaker() -> Arc<Breaker> {
    Arc::new(Breaker::new(BreakerConfig::new().failures(1)))
}

fn lost() -> Result<()> {
    Err(Error::new(ErrorKind::Io, "lost"))
}

/// Asks, and fails where it was let through.
fn fail(breaker: &Breaker) -> Option<Trial> {
    breaker.ask(false).ok()?.ended(&lost())
}

#[test]
fn however_many_fail_at_once_one_makes_a_trial() {
    explore(|| {
        let breaker = breaker();
        let other = breaker.clone();
        let other = thread::spawn(move || fail(&other).is_some());
        let own = fail(&breaker).is_some();
        let other = other.join().expect("it ends");
        assert_eq!(u32::from(own) + u32::from(other), 1);
        assert_eq!((breaker.state(), breaker.trips()), (BreakerState::Open, 1));
    });
}

#[test]
fn what_was_asked_before_it_opened_does_not_open_it_again() {
    explore(|| {
        let breaker = breaker();
        let asked = breaker.ask(false).expect("it is closed");
        let trial = fail(&breaker).expect("it opens");
        let closing = breaker.clone();
        let closing = thread::spawn(move || {
            assert!(closing.half_open(&trial));
            closing.close(&trial);
        });
        assert!(asked.ended(&lost()).is_none());
        closing.join().expect("it ends");
        assert_eq!((breaker.state(), breaker.trips()), (BreakerState::Closed, 1));
    });
}

#[test]
fn a_lost_trial_is_made_anew_by_one() {
    explore(|| {
        let breaker = breaker();
        drop(fail(&breaker).expect("it opens"));
        breaker.overdue();
        let other = breaker.clone();
        let other = thread::spawn(move || other.lost_trial().is_some());
        let own = breaker.lost_trial().is_some();
        let other = other.join().expect("it ends");
        assert_eq!(u32::from(own) + u32::from(other), 1);
    });
}

#[test]
fn a_trial_that_was_made_anew_moves_nothing_any_more() {
    explore(|| {
        let breaker = breaker();
        let former = fail(&breaker).expect("it opens");
        breaker.overdue();
        let late = breaker.clone();
        let late = thread::spawn(move || {
            if late.half_open(&former) {
                late.close(&former);
            }
        });
        let anew = breaker.lost_trial();
        late.join().expect("it ends");
        match anew {
            // Either the former one closed it before, or it is the new one's to do.
            None => assert_eq!(breaker.state(), BreakerState::Closed),
            Some(trial) if breaker.state() == BreakerState::Closed => assert!(!breaker.half_open(&trial)),
            Some(trial) => {
                assert!(breaker.half_open(&trial));
                breaker.close(&trial);
                assert_eq!(breaker.state(), BreakerState::Closed);
            }
        }
    });
}
