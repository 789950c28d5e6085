//! The breaker around Redis.

use std::time::Duration;

use super::CacheBuilder;
use super::env::{Env, number, parse_percent, parse_switch};
use crate::ground::error::Result;
use crate::store::BreakerConfig;

impl CacheBuilder {
    /// When the breaker around [`redis`](Self::redis) opens, and how soon it asks again; without effect on other stores, around
    /// which a [`BreakerStore`](crate::store::BreakerStore) is put by hand. Default: [`BreakerConfig::new`], with slow answers from half of the command
    /// timeout on.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, store::BreakerConfig};
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().breaker(BreakerConfig::new().failures(10)).build().is_ok());
    /// assert!(redis.breaker(BreakerConfig::new().failures(0)).build().is_err());
    /// ```
    #[cfg(feature = "redis")]
    pub fn breaker(mut self, breaker: BreakerConfig) -> Self {
        self.redis.breaker = breaker;
        self
    }

    /// Whether there is a [`breaker`](Self::breaker) around [`redis`](Self::redis). Without one, each call waits for a store
    /// that does not answer until its timeout ends. Default: true.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let redis = cachemacro::Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert_eq!(redis.guarded(false).build()?.stats().breaker, None);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[cfg(feature = "redis")]
    pub fn guarded(mut self, guarded: bool) -> Self {
        self.redis.unguarded = !guarded;
        self
    }

    /// What the environment says of it.
    pub(super) fn breaker_from(&mut self, env: &Env<'_>) -> Result<()> {
        let mut guarded = !self.redis.unguarded;
        env.parse("CACHEMACRO_BREAKER", "`0` or `1`", parse_switch, &mut guarded)?;
        self.redis.unguarded = !guarded;
        let mut set = self.redis.breaker;
        let (mut failures, mut rate) = (None, None);
        let from_one = |text: &str| number(text).filter(|number| *number > 0).map(Some);
        env.parse("CACHEMACRO_BREAKER_FAILURES", "a number from 1", from_one, &mut failures)?;
        let percent = |text: &str| parse_percent(text).filter(|percent| *percent > 0).map(Some);
        env.parse("CACHEMACRO_BREAKER_RATE", "a percentage from `1%` to `100%`", percent, &mut rate)?;
        set = failures.map_or(set, |failures| set.failures(failures));
        set = rate.map_or(set, |rate| set.rate(rate));
        for (name, setter) in [
            ("CACHEMACRO_BREAKER_WINDOW", BreakerConfig::window as fn(BreakerConfig, Duration) -> _),
            ("CACHEMACRO_BREAKER_SLOW", BreakerConfig::slow),
            ("CACHEMACRO_BREAKER_PAUSE", BreakerConfig::pause),
            ("CACHEMACRO_BREAKER_LONGEST_PAUSE", BreakerConfig::longest_pause),
        ] {
            let mut time = None;
            env.some_duration(name, &mut time)?;
            set = time.map_or(set, |time| setter(set, time));
        }
        self.redis.breaker = set;
        Ok(())
    }
}
