//! The settings of a breaker.

use std::time::Duration;

use crate::ground::error::{Error, ErrorKind, Result};

/// The longest time that a setting takes.
const LONGEST: Duration = Duration::from_secs(60 * 60);

/// When a [`BreakerStore`](super::BreakerStore) opens, and how soon it asks again.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Cache, store::BreakerConfig};
/// use std::time::Duration;
///
/// let breaker = BreakerConfig::new().failures(10).slow(Duration::from_millis(50));
/// let cache = Cache::builder().redis("redis://localhost").namespace("shop").breaker(breaker).build()?;
/// # Ok::<(), cachemacro::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "settings do nothing by themselves"]
pub struct BreakerConfig {
    pub(super) failures: u32,
    pub(super) rate: u8,
    pub(super) window: Duration,
    pub(super) slow: Option<Duration>,
    pub(super) pause: Duration,
    pub(super) longest_pause: Duration,
}

impl Default for BreakerConfig {
    /// [`BreakerConfig::new`].
    fn default() -> Self {
        Self::new()
    }
}

impl BreakerConfig {
    /// The defaults.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::BreakerConfig;
    ///
    /// assert_eq!(BreakerConfig::new(), BreakerConfig::new().failures(3).rate(50));
    /// ```
    pub const fn new() -> Self {
        Self {
            failures: 3,
            rate: 50,
            window: Duration::from_secs(10),
            slow: None,
            pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(500),
        }
    }

    /// So many failed requests open it where nothing was answered that was asked later than the first of them: 1 at least.
    /// Default: 3.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let breaker = cachemacro::store::BreakerConfig::new().failures(5);
    /// ```
    pub const fn failures(mut self, in_a_row: u32) -> Self {
        self.failures = in_a_row;
        self
    }

    /// It opens too where so many percent of the requests of a [window](Self::window) failed, 20 requests at least: 1 to
    /// 100. Default: 50.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let breaker = cachemacro::store::BreakerConfig::new().rate(25);
    /// ```
    pub const fn rate(mut self, percent: u8) -> Self {
        self.rate = percent;
        self
    }

    /// Over how long the [rate](Self::rate) is taken; a breaker that opens again within that time after it closed pauses for
    /// longer each time. Default: 10 s.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let breaker = cachemacro::store::BreakerConfig::new().window(Duration::from_secs(30));
    /// ```
    pub const fn window(mut self, window: Duration) -> Self {
        self.window = window;
        self
    }

    /// An answer that takes longer counts as a failure. Default: half of the command timeout for a store on Redis, never for
    /// others. What names more than 16 keys, and evicts of prefixes, may take longer.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let breaker = cachemacro::store::BreakerConfig::new().slow(Duration::from_millis(50));
    /// ```
    pub const fn slow(mut self, slow: Duration) -> Self {
        self.slow = Some(slow);
        self
    }

    /// How long after it opened the first trial asks whether the store is back. After each that fails the pause is twice as
    /// long, up to the [longest](Self::longest_pause); pauses are jittered down to half. Default: 100 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let breaker = cachemacro::store::BreakerConfig::new().pause(Duration::from_millis(250));
    /// ```
    pub const fn pause(mut self, first: Duration) -> Self {
        self.pause = first;
        self
    }

    /// The longest pause between two trials, and so about how long a store that is back is not used. Default: 500 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let breaker = cachemacro::store::BreakerConfig::new().longest_pause(Duration::from_secs(2));
    /// ```
    pub const fn longest_pause(mut self, longest: Duration) -> Self {
        self.longest_pause = longest;
        self
    }

    /// The bound for slow answers, where none was set.
    #[cfg(feature = "redis")]
    pub(crate) const fn slow_or(self, slow: Duration) -> Self {
        if self.slow.is_some() { self } else { self.slow(slow) }
    }

    pub(crate) fn check(&self) -> Result<()> {
        let times = [self.window, self.slow.unwrap_or(LONGEST), self.pause, self.longest_pause];
        if self.failures == 0 {
            return Err(wrong("the breaker opens after one failure at least"));
        }
        if !(1..=100).contains(&self.rate) {
            return Err(wrong("the breaker's rate is a percentage from 1 to 100"));
        }
        if times.iter().any(|time| time.is_zero() || *time > LONGEST) {
            return Err(wrong("the breaker's times are above zero and at most an hour"));
        }
        if self.pause > self.longest_pause {
            return Err(wrong("the breaker's pause must not be longer than its longest pause"));
        }
        Ok(())
    }
}

fn wrong(what: &'static str) -> Error {
    Error::new(ErrorKind::Config, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_mean_nothing_are_refused() {
        let new = BreakerConfig::new;
        assert!(new().check().is_ok());
        let (never, ever) = (Duration::ZERO, Duration::MAX);
        for config in [
            new().failures(0),
            new().rate(0),
            new().rate(101),
            new().window(never),
            new().slow(never),
            new().pause(never),
            new().longest_pause(never),
            new().window(ever),
            new().slow(ever),
            new().longest_pause(ever),
            new().pause(Duration::from_secs(1)),
        ] {
            assert_eq!(config.check().expect_err("refused").kind(), ErrorKind::Config, "{config:?}");
        }
    }
}
