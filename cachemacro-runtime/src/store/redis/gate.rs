//! When a store may attempt to connect: at once while attempts succeed; after a growing jittered pause, and few at a time, once one
//! failed. How many may fail in all is [`Attempts`](super::attempts::Attempts)'s.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use crate::ground::error::{Error, ErrorKind};
use crate::ground::pauses::spread;

/// The pause after the first failure; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause, and so about the longest time without hits after a server came back. Shorter where what has to be
/// done does not wait for so long: it is given a chance within its deadline.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// Attempts at a time while they fail: one more than one, because one may be lost in silence.
const WHILE_FAILING: usize = 2;

#[derive(Debug)]
pub(super) struct Gate {
    /// Which attempts are under way, since when.
    under_way: Vec<(u64, Instant)>,
    next: u64,
    /// Failures since a connection was last of use.
    failures: u32,
    /// Connections that were lost before they were of use, since one was.
    useless: usize,
    connections: usize,
    longest_pause: Duration,
    /// An attempt that takes longer is one of a runtime that stands still, and holds nobody up.
    longest_attempt: Duration,
    not_before: Option<Instant>,
    last: Cow<'static, str>,
}

/// Why no attempt may start.
#[derive(Debug)]
pub(super) struct Closed {
    pub(super) error: Error,
    /// When one may; `None` where others are under way and one of them has to end first.
    pub(super) until: Option<Instant>,
}

impl Closed {
    /// Too many are under way, or failed lately.
    pub(super) fn crowded(until: Option<Instant>) -> Self {
        let error = Error::new(ErrorKind::Connect, "too many connection attempts to redis at a time");
        Self { error, until }
    }
}

impl Gate {
    /// A gate for a store that keeps so many connections for each runtime, with its timeouts.
    pub(super) fn new(connections: usize, connect: Duration, command: Duration) -> Self {
        Self {
            under_way: Vec::new(),
            next: 0,
            failures: 0,
            useless: 0,
            connections,
            longest_pause: (command * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE),
            longest_attempt: connect * 2,
            not_before: None,
            last: Cow::Borrowed(""),
        }
    }

    /// Lets an attempt start now and names it, or says why not. One that started is [`ended`](Self::ended).
    pub(super) fn admit(&mut self, now: Instant) -> Result<u64, Closed> {
        self.pause(now)?;
        let longest = self.longest_attempt;
        self.under_way.retain(|(_, since)| now.saturating_duration_since(*since) < longest);
        if !self.is_calm() && self.under_way.len() >= WHILE_FAILING {
            return Err(Closed::crowded(None));
        }
        self.next += 1;
        self.under_way.push((self.next, now));
        Ok(self.next)
    }

    /// Whether it is closed after a failure, and until when.
    pub(super) fn pause(&self, now: Instant) -> Result<(), Closed> {
        match self.not_before {
            Some(earliest) if now < earliest => Err(Closed { error: self.why(), until: Some(earliest) }),
            _ => Ok(()),
        }
    }

    /// An attempt is over, however it ended.
    pub(super) fn ended(&mut self, attempt: u64) {
        self.under_way.retain(|(other, _)| *other != attempt);
    }

    /// An attempt failed. Tells whether it is the first to.
    pub(super) fn failed(&mut self, now: Instant, error: &Error) -> bool {
        let first = self.is_calm();
        let pause = FIRST_PAUSE.saturating_mul(1 << self.failures.min(8)).min(self.longest_pause);
        self.failures = self.failures.saturating_add(1);
        // Between half and all of the pause, so that a fleet does not come back in step.
        self.not_before = Some(now + spread(pause));
        self.last = Cow::Owned(error.context().to_owned());
        first
    }

    /// A connection gave an answer that was of use. Tells whether it is the first after failures.
    pub(super) fn succeeded(&mut self) -> bool {
        let first = !self.is_calm();
        (self.failures, self.useless, self.not_before) = (0, 0, None);
        first
    }

    /// A connection was lost before it was of use. One after another like that is a failure: opening them goes well and
    /// helps nobody. What cuts one connection tends to cut all, which is none yet. Tells whether it is one.
    pub(super) fn lost_unused(&mut self, now: Instant, error: &Error) -> bool {
        self.useless += 1;
        let is_failure = self.useless > self.connections;
        if is_failure {
            self.failed(now, error);
        }
        is_failure
    }

    /// Whether nothing failed since a connection was of use.
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

    const SECOND: Duration = Duration::from_secs(1);

    fn refused() -> Error {
        Error::new(ErrorKind::Connect, "nobody listens")
    }

    fn gate(connections: usize) -> Gate {
        Gate::new(connections, SECOND, SECOND)
    }

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn while_attempts_fail_few_are_made_at_a_time() {
        let start = Instant::now();
        let mut gate = gate(50);
        gate.failed(start, &refused());
        let later = start + LONGEST_PAUSE;
        assert!((0..WHILE_FAILING).all(|_| gate.admit(later).is_ok()));
        assert_eq!(gate.admit(later).expect_err("too many").until, None);
        gate.succeeded();
        assert!(gate.admit(later).is_ok());
        gate.failed(later, &refused());
        assert!(gate.admit(later + 2 * SECOND).is_ok(), "what never ends holds nobody up for ever");
    }

    #[test]
    fn what_waits_for_three_command_timeouts_sees_an_attempt() {
        let start = Instant::now();
        let mut gate = Gate::new(2, SECOND, millis(250));
        for _ in 0..9 {
            gate.failed(start, &refused());
        }
        assert!(gate.admit(start + millis(500)).is_ok());
    }

    #[test]
    fn a_failure_closes_the_gate_for_a_while_and_tells_why() {
        let start = Instant::now();
        let mut gate = gate(2);
        assert!(gate.failed(start, &refused()), "the first");
        assert!(!gate.failed(start, &refused()));
        let closed = gate.admit(start + millis(49)).expect_err("closed");
        assert_eq!(closed.error.kind(), ErrorKind::Connect);
        assert!(closed.error.to_string().contains("nobody listens"));
        assert!(gate.admit(closed.until.expect("a time")).is_ok());
    }

    #[test]
    fn the_pause_grows_up_to_its_limit_and_success_ends_it() {
        let start = Instant::now();
        let mut gate = gate(2);
        for ms in 0..40 {
            gate.failed(start.checked_sub(millis(5_000 - ms)).expect("a time"), &refused());
        }
        gate.failed(start, &refused());
        assert!(gate.admit(start + LONGEST_PAUSE.mul_f64(0.49)).is_err());
        assert!(gate.admit(start + LONGEST_PAUSE).is_ok());
        gate.failed(start, &refused());
        assert!(gate.succeeded(), "the first");
        assert!(!gate.succeeded());
        assert!(gate.is_calm() && gate.admit(start).is_ok());
    }

    #[test]
    fn connections_that_are_lost_one_after_another_without_being_of_use_are_failures() {
        let now = Instant::now();
        let mut gate = gate(2);
        for _ in 0..2 {
            gate.lost_unused(now, &refused());
            assert!(gate.admit(now).is_ok(), "what cut one may have cut all");
        }
        gate.lost_unused(now, &refused());
        assert!(gate.admit(now).is_err());
        gate.succeeded();
        gate.lost_unused(now, &refused());
        assert!(gate.admit(now).is_ok());
    }
}
