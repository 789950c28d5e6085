//! When a connection may be attempted: a budget always, a growing jittered pause after failures.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::ground::error::{Error, ErrorKind, Result};

const SECOND: Duration = Duration::from_secs(1);
/// Attempts that one store makes at most in any second, whatever happens.
const PER_SECOND: usize = 10;
/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, and so about the longest time without hits after a server came back.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct Gate {
    /// When the latest attempts began, oldest first.
    attempts: VecDeque<Instant>,
    /// How many of them a second may see.
    budget: usize,
    failures: u32,
    not_before: Option<Instant>,
    last: Cow<'static, str>,
}

impl Gate {
    /// A gate for so many connections, each of which may be opened once without waiting for another second.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            attempts: VecDeque::new(),
            budget: connections.max(PER_SECOND),
            failures: 0,
            not_before: None,
            last: Cow::Borrowed(""),
        }
    }

    /// Lets an attempt start now, or says why not.
    pub(super) fn admit(&mut self, now: Instant) -> Result<()> {
        if self.not_before.is_some_and(|earliest| now < earliest) {
            return Err(self.why());
        }
        while self.attempts.front().is_some_and(|began| now.saturating_duration_since(*began) >= SECOND) {
            self.attempts.pop_front();
        }
        if self.attempts.len() >= self.budget {
            return Err(Error::new(
                ErrorKind::Connect,
                "too many connection attempts to redis within a second",
            ));
        }
        self.attempts.push_back(now);
        Ok(())
    }

    pub(super) fn succeeded(&mut self) {
        self.failures = 0;
        self.not_before = None;
    }

    pub(super) fn failed(&mut self, now: Instant, error: &Error) {
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8)).min(LONGEST_PAUSE);
        self.failures = self.failures.saturating_add(1);
        // Between half and all of the pause, so that a fleet does not come back in step.
        self.not_before = Some(now + pause.mul_f64(rand::random_range(0.5..=1.0)));
        self.last = Cow::Owned(error.context().to_owned());
    }

    /// Whether the last attempt did not fail.
    pub(super) fn is_calm(&self) -> bool {
        self.failures == 0
    }

    /// The error for those who may not try.
    pub(super) fn why(&self) -> Error {
        if self.last.is_empty() {
            Error::new(ErrorKind::Connect, "the connection to redis was lost while it was opened")
        } else {
            Error::new(ErrorKind::Connect, self.last.clone())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused() -> Error {
        Error::new(ErrorKind::Connect, "nobody listens")
    }

    #[test]
    fn no_more_than_the_budget_in_any_second() {
        let start = Instant::now();
        let mut gate = Gate::new(2);
        let admitted: Vec<u64> =
            (0..3_000).filter(|ms| gate.admit(start + Duration::from_millis(*ms)).is_ok()).collect();
        assert_eq!(admitted.len(), 3 * PER_SECOND);
        assert!(admitted.windows(PER_SECOND + 1).all(|some| some[PER_SECOND] - some[0] >= 1_000));
    }

    #[test]
    fn many_connections_may_all_be_opened_at_once() {
        let mut gate = Gate::new(50);
        let now = Instant::now();
        assert!((0..50).all(|_| gate.admit(now).is_ok()));
    }

    #[test]
    fn a_failure_closes_the_gate_for_a_while_and_tells_why() {
        let start = Instant::now();
        let mut gate = Gate::new(2);
        gate.failed(start, &refused());
        let error = gate.admit(start + Duration::from_millis(49)).expect_err("closed");
        assert_eq!(error.kind(), ErrorKind::Connect);
        assert!(error.to_string().contains("nobody listens"));
        assert!(gate.admit(start + FIRST_PAUSE).is_ok());
    }

    #[test]
    fn the_pause_grows_up_to_its_limit_and_success_ends_it() {
        let start = Instant::now();
        let mut gate = Gate::new(2);
        for _ in 0..40 {
            gate.failed(start, &refused());
        }
        assert!(gate.admit(start + LONGEST_PAUSE.mul_f64(0.49)).is_err());
        assert!(gate.admit(start + LONGEST_PAUSE).is_ok());
        gate.failed(start, &refused());
        gate.succeeded();
        assert!(gate.is_calm() && gate.admit(start).is_ok());
    }
}
