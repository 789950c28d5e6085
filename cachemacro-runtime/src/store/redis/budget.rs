//! How many requests are sent again: a part of all, besides a reserve that fills slowly. A server in trouble is not asked several
//! times as often as before.

use std::sync::Mutex;
use std::time::Instant;

use crate::ground::sync::lock;

/// How many the reserve holds, and at the beginning has. What is cut off with one connection is sent again at once.
pub(super) const RESERVE: f64 = 1_000.0;
/// How many come to it in a second, whatever is asked.
const PER_SECOND: f64 = 10.0;

#[derive(Debug)]
pub(super) struct RetryBudget {
    /// Of all requests.
    percent: u8,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    retries: f64,
    /// How many requests there were when it was filled last.
    requests: usize,
    at: Instant,
}

impl RetryBudget {
    pub(super) fn new(percent: u8, now: Instant) -> Self {
        Self { percent, left: Mutex::new(Left { retries: RESERVE, requests: 0, at: now }) }
    }

    /// Takes one more, where there is one, after so many requests in all.
    pub(super) fn take(&self, requests: usize, now: Instant) -> bool {
        let mut left = lock(&self.left);
        let new = requests.saturating_sub(left.requests).min(u32::MAX as usize);
        let of_requests = f64::from(u32::try_from(new).unwrap_or(u32::MAX)) * f64::from(self.percent) / 100.0;
        let of_time = now.saturating_duration_since(left.at).as_secs_f64() * PER_SECOND;
        left.retries = (left.retries + of_requests + of_time).min(RESERVE);
        (left.requests, left.at) = (requests, now);
        let has_one = left.retries >= 1.0;
        if has_one {
            left.retries -= 1.0;
        }
        has_one
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn taken(budget: &RetryBudget, requests: usize, now: Instant) -> usize {
        (0..100_000).take_while(|_| budget.take(requests, now)).count()
    }

    #[test]
    fn a_part_of_all_requests_is_sent_again_besides_a_reserve_that_fills_slowly() {
        let start = Instant::now();
        let budget = RetryBudget::new(20, start);
        assert_eq!(taken(&budget, 0, start), 1_000, "the reserve");
        assert_eq!(taken(&budget, 500, start), 100, "a fifth of what was asked");
        assert_eq!(taken(&budget, 500, start), 0);
        assert_eq!(taken(&budget, 500, start + Duration::from_secs(3)), 30, "ten a second");
        assert_eq!(
            taken(&budget, 1_000_000, start + Duration::from_secs(3)),
            1_000,
            "not more than it holds"
        );
    }

    #[test]
    fn a_runtime_that_ends_takes_its_requests_along_and_nothing_is_counted_twice() {
        let start = Instant::now();
        let budget = RetryBudget::new(50, start);
        assert_eq!(taken(&budget, 100, start), 1_000);
        assert_eq!(taken(&budget, 40, start), 0);
        assert_eq!(taken(&budget, 60, start), 10);
    }
}
