//! Values that nobody in this process tries to load anew for a while: another process does, or a load has just failed.
//!
//! What is forgotten here costs a request or a load, and nothing else.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use crate::format::ids::FillId;
use crate::ground::clock::NEVER;
use crate::ground::sync::lock;

/// How many are known of at most.
const MOST: usize = 4_096;

/// Until when each of them rests.
#[derive(Debug, Default)]
pub(crate) struct Pacing(Mutex<HashMap<FillId, Instant>>);

impl Pacing {
    /// Nobody tries to load this value anew for so long.
    pub(crate) fn rest(&self, value: FillId, time: Duration) {
        let now = Instant::now();
        let mut resting = lock(&self.0);
        if resting.len() >= MOST {
            resting.retain(|_, until| *until > now);
            if resting.len() >= MOST {
                resting.clear();
            }
        }
        resting.insert(value, now + time.min(NEVER));
    }

    /// Whether nobody is to try now.
    pub(crate) fn rests(&self, value: FillId) -> bool {
        let mut resting = lock(&self.0);
        let Some(until) = resting.get(&value) else { return false };
        let rests = Instant::now() < *until;
        if !rests {
            resting.remove(&value);
        }
        rests
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_may_rest_for_ever() {
        let pacing = Pacing::default();
        pacing.rest(FillId::new(1), Duration::MAX);
        assert!(pacing.rests(FillId::new(1)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_value_rests_for_its_time() {
        let pacing = Pacing::default();
        let (one, other) = (FillId::new(1), FillId::new(2));
        pacing.rest(one, Duration::from_secs(1));
        assert!(pacing.rests(one) && !pacing.rests(other));
        tokio::time::advance(Duration::from_millis(999)).await;
        assert!(pacing.rests(one));
        tokio::time::advance(Duration::from_millis(1)).await;
        assert!(!pacing.rests(one));
        assert!(lock(&pacing.0).is_empty(), "it is forgotten");
    }

    #[tokio::test(start_paused = true)]
    async fn not_more_are_known_of_than_some() {
        let pacing = Pacing::default();
        for round in 1..3 {
            for value in 0..MOST as u64 + 10 {
                pacing.rest(FillId::new(round << 32 | value), Duration::from_secs(round));
            }
        }
        assert!(lock(&pacing.0).len() <= MOST);
    }
}
