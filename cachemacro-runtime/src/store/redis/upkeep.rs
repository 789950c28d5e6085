//! How connections are kept well, and how often something is sent again: data, no deeds.

use std::time::Duration;

/// The shortest pause between two looks after connections.
const SHORTEST_PAUSE: Duration = Duration::from_millis(10);

/// The longest one where there is anything to look after by itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

#[derive(Debug, Clone, Copy)]
pub(super) struct Upkeep {
    /// How many pooled connections are there at least, once something was connected.
    pub(super) pool_min: usize,
    /// How often idle connections are asked whether they are there.
    pub(super) health_interval: Option<Duration>,
    /// How old a connection gets.
    pub(super) max_life: Option<Duration>,
    /// How often one request is sent again at most.
    pub(super) retries: Option<usize>,
    /// The first pause before something is sent again to a server that cannot do it now.
    pub(super) retry_delay: Duration,
    /// How many percent of all requests may be sent again, besides a reserve.
    pub(super) retry_budget: u8,
}

impl Default for Upkeep {
    fn default() -> Self {
        Self {
            pool_min: 0,
            health_interval: Some(LONGEST_PAUSE),
            max_life: None,
            retries: None,
            retry_delay: Duration::from_millis(10),
            retry_budget: 20,
        }
    }
}

impl Upkeep {
    /// How long until connections are looked after again; `None` where there is nothing to look after.
    pub(super) fn pause(&self) -> Option<Duration> {
        let half_a_life = self.max_life.map(|life| life / 2);
        let least = (self.pool_min > 0).then_some(LONGEST_PAUSE);
        let pause = [self.health_interval, half_a_life, least].into_iter().flatten().min()?;
        Some(pause.max(SHORTEST_PAUSE))
    }

    /// Whether a connection of this age is too old.
    pub(super) fn is_over(&self, age: Duration) -> bool {
        self.max_life.is_some_and(|life| age >= life)
    }

    /// A life between nine tenths and all of the longest, so that connections do not end together.
    pub(super) fn life(&self) -> Option<Duration> {
        self.max_life.map(|life| life.mul_f64(rand::random_range(0.9..=1.0)))
    }
}
