//! How long to wait before something is tried again.

use std::time::Duration;

/// The longest pause of [`backoff`].
const LONGEST: Duration = Duration::from_secs(30);
/// So that the factor is a number. Doubled so often, a pause of 29 µs is as long as that.
const MOST_DOUBLINGS: u32 = 20;

/// Between half and all of it, so that a fleet does not come back in step.
pub(crate) fn spread(pause: Duration) -> Duration {
    pause.mul_f64(rand::random_range(0.5..=1.0))
}

/// The pause after a lost round: up to 0.1 ms for each that was lost, so that those who met do not meet again in the next.
pub(crate) fn after_round(round: u32) -> Duration {
    Duration::from_micros(u64::from(round) * 100).mul_f64(rand::random_range(0.0..1.0))
}

/// The pause before another attempt: the first, doubled so often, spread.
pub(crate) fn backoff(first: Duration, doublings: u32) -> Duration {
    spread(first.saturating_mul(1 << doublings.min(MOST_DOUBLINGS)).min(LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_until_they_are_long_and_are_never_less_than_half() {
        let first = Duration::from_millis(10);
        for (doublings, whole) in
            [(0, first), (1, 2 * first), (5, 32 * first), (12, LONGEST), (u32::MAX, LONGEST)]
        {
            for _ in 0..20 {
                let pause = backoff(first, doublings);
                assert!((whole / 2..=whole).contains(&pause), "{doublings}: {pause:?}");
            }
        }
        assert_eq!(backoff(Duration::MAX, 1).max(LONGEST), LONGEST);
    }
}
