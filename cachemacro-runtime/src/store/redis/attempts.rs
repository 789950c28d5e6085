//! How many attempts to connect to one address may fail: of all stores of the process together, however many callers and caches
//! there are. Only what fails is charged.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, LazyLock, Mutex, Weak};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::ground::sync::lock;

const SECOND: Duration = Duration::from_secs(1);
/// Attempts that fail at most in any second, those under way included, whatever happens.
pub(super) const PER_SECOND: usize = 10;

/// The attempts at one address.
#[derive(Debug, Default)]
pub(super) struct Attempts {
    tally: Mutex<Tally>,
    /// Woken when one has ended, or when a connection turned out to be of use.
    pub(super) moved: Notify,
}

#[derive(Debug, Default)]
struct Tally {
    /// When the latest failed, oldest first.
    failed: VecDeque<Instant>,
    /// Which are under way, and until when each counts.
    under_way: Vec<(u64, Instant)>,
    next: u64,
}

/// Why none may start now.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Crowded {
    /// When one may; `None` where others are under way and one of them has to end first.
    pub(super) until: Option<Instant>,
}

impl Attempts {
    /// Those at the address with this number, of the whole process.
    pub(super) fn at(address: u64) -> Arc<Self> {
        static ALL: LazyLock<Mutex<HashMap<u64, Weak<Attempts>>>> = LazyLock::new(Mutex::default);
        let mut all = lock(&ALL);
        all.retain(|_, attempts| attempts.strong_count() > 0);
        let known = all.get(&address).and_then(Weak::upgrade);
        known.unwrap_or_else(|| {
            let made = Arc::new(Self::default());
            all.insert(address, Arc::downgrade(&made));
            made
        })
    }

    /// Lets an attempt start now that counts for so long at most: one that takes longer is one of a runtime that stands still, and
    /// holds nobody up. It ends when its place is dropped.
    pub(super) fn admit(self: &Arc<Self>, now: Instant, longest: Duration) -> Result<Place, Crowded> {
        let id = lock(&self.tally).admit(now, longest)?;
        Ok(Place { attempts: Arc::clone(self), id })
    }

    /// One failed.
    pub(super) fn failed(&self, now: Instant) {
        lock(&self.tally).failed.push_back(now);
    }
}

impl Tally {
    fn admit(&mut self, now: Instant, longest: Duration) -> Result<u64, Crowded> {
        self.under_way.retain(|(_, until)| now < *until);
        while self.failed.front().is_some_and(|at| now.saturating_duration_since(*at) >= SECOND) {
            self.failed.pop_front();
        }
        if self.failed.len() + self.under_way.len() >= PER_SECOND {
            let is_idle = self.under_way.is_empty();
            return Err(Crowded { until: self.failed.front().filter(|_| is_idle).map(|at| *at + SECOND) });
        }
        self.next += 1;
        self.under_way.push((self.next, now + longest));
        Ok(self.next)
    }
}

/// The place of one attempt among all, until dropped.
#[derive(Debug)]
pub(super) struct Place {
    attempts: Arc<Attempts>,
    id: u64,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.attempts.tally).under_way.retain(|(other, _)| *other != self.id);
        self.attempts.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn no_more_than_ten_fail_in_any_second_whoever_tries() {
        let start = Instant::now();
        let stores = [Attempts::at(1), Attempts::at(1)];
        let mut failed = Vec::new();
        for ms in 0..3_000 {
            let now = start + millis(ms);
            for store in &stores {
                if let Ok(place) = store.admit(now, SECOND) {
                    store.failed(now);
                    drop(place);
                    failed.push(ms);
                }
            }
        }
        assert_eq!(failed.len(), 3 * PER_SECOND);
        assert!(failed.windows(PER_SECOND + 1).all(|some| some[PER_SECOND] - some[0] >= 1_000));
        let until = Some(start + millis(3_000));
        assert_eq!(stores[0].admit(start + millis(2_999), SECOND).expect_err("closed"), Crowded { until });
    }

    #[test]
    fn another_address_has_attempts_of_its_own() {
        let (one, other) = (Attempts::at(2), Attempts::at(3));
        let now = Instant::now();
        (0..PER_SECOND).for_each(|_| one.failed(now));
        assert!(one.admit(now, SECOND).is_err() && other.admit(now, SECOND).is_ok());
    }

    #[test]
    fn what_succeeds_is_not_charged() {
        let (attempts, now) = (Attempts::at(4), Instant::now());
        assert!((0..1_000).all(|_| attempts.admit(now, SECOND).is_ok()));
    }

    #[test]
    fn those_under_way_may_all_fail() {
        let (attempts, now) = (Attempts::at(5), Instant::now());
        let mut places: Vec<_> =
            (0..PER_SECOND).map(|_| attempts.admit(now, SECOND).expect("below the budget")).collect();
        let crowded = attempts.admit(now, SECOND).expect_err("too many");
        assert_eq!(crowded.until, None, "one of them has to end");
        places.pop();
        let _place = attempts.admit(now, SECOND).expect("one has ended");
        assert!(attempts.admit(now, SECOND).is_err());
        assert!(attempts.admit(now + SECOND, SECOND).is_ok(), "what never ends holds nobody up for ever");
    }
}
