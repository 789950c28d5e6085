//! How often in a row something happened.

use std::sync::atomic::{AtomicU8, Ordering};

/// From which number on a streak is long: half of what happens at random begins one once in 256 times.
const LONG: u8 = 8;

/// Of those who count at the same moment, one may not be counted: it is a guess that hangs on it.
#[derive(Debug, Default)]
pub(crate) struct Streak(AtomicU8);

impl Streak {
    #[inline]
    pub(crate) fn is_long(&self) -> bool {
        self.0.load(Ordering::Relaxed) >= LONG
    }

    /// It happened once more.
    #[inline]
    pub(crate) fn goes_on(&self) {
        let so_far = self.0.load(Ordering::Relaxed);
        if so_far < LONG {
            self.0.store(so_far + 1, Ordering::Relaxed);
        }
    }

    /// Something else happened. Threads that see that it was so before share the number unchanged.
    #[inline]
    pub(crate) fn breaks(&self) {
        if self.0.load(Ordering::Relaxed) != 0 {
            self.0.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_streak_is_long_after_a_while_and_over_at_once() {
        let streak = Streak::default();
        for _ in 0..u32::from(LONG) {
            assert!(!streak.is_long());
            streak.goes_on();
        }
        (0..1_000).for_each(|_| streak.goes_on());
        assert!(streak.is_long());
        streak.breaks();
        assert!(!streak.is_long());
        streak.goes_on();
        assert!(!streak.is_long());
    }
}
