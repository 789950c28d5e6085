//! Connections to Redis: how many, how long they are waited for, and what becomes of them.

use std::time::Duration;

use super::CacheBuilder;
use super::env::{Env, number, parse_duration, parse_percent, parse_switch};
use crate::ground::error::Result;
use crate::store::redis::{LONGEST, MOST, RedisConfig};

impl CacheBuilder {
    /// How long connecting to [`redis`](Self::redis) may take; without effect on other stores. Default: 1 second.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().connect_timeout(Duration::from_millis(300)).build().is_ok());
    /// assert!(redis.connect_timeout(Duration::ZERO).build().is_err(), "above zero, at most an hour");
    /// ```
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.redis.config = self.redis.config.connect_timeout(timeout);
        self
    }

    /// How long [`redis`](Self::redis) may take to answer one command; without effect on other stores. Default: 250 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// let cache = redis.command_timeout(Duration::from_millis(100)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn command_timeout(mut self, timeout: Duration) -> Self {
        self.redis.config = self.redis.config.command_timeout(timeout);
        self
    }

    /// How long a scan of [`redis`](Self::redis) may wait for a pooled connection, and a call for a reconnect; without
    /// effect on other stores. Default: 250 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// let cache = redis.pool_wait(Duration::from_millis(500)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn pool_wait(mut self, timeout: Duration) -> Self {
        self.redis.config = self.redis.config.pool_wait(timeout);
        self
    }

    /// How many pooled connections to [`redis`](Self::redis) serve what needs one to itself, such as scans: 1 to 10,000;
    /// without effect on other stores. Default: 4.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().pool_size(2).build().is_ok());
    /// assert!(redis.pool_size(0).build().is_err());
    /// ```
    pub fn pool_size(mut self, size: usize) -> Self {
        self.redis.config = self.redis.config.pool_size(size);
        self
    }

    /// Over how many connections to [`redis`](Self::redis), shared by all tasks of a runtime, ordinary commands are spread: 1 to 10,000;
    /// without effect on other stores. Default: 1, over which most reads go together.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().handles(2).build().is_ok());
    /// assert!(redis.handles(0).build().is_err());
    /// ```
    pub fn handles(mut self, connections: usize) -> Self {
        self.redis.config = self.redis.config.handles(connections);
        self
    }

    /// How many pooled connections to [`redis`](Self::redis) there are at least, from when something was connected on: 0 to
    /// [`pool_size`](Self::pool_size); without effect on other stores. Default: 0.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().pool_size(8).pool_min(8).build().is_ok());
    /// assert!(redis.pool_size(8).pool_min(9).build().is_err());
    /// ```
    pub fn pool_min(mut self, connections: usize) -> Self {
        self.redis.config = self.redis.config.pool_min(connections);
        self
    }

    /// How long a connection to [`redis`](Self::redis) may be idle before TCP probes whether the peer is there; without effect on other
    /// stores. Default: 15 seconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().keepalive(Duration::from_secs(30)).build().is_ok());
    /// assert!(redis.keepalive(Duration::ZERO).build().is_err());
    /// ```
    pub fn keepalive(mut self, idle: Duration) -> Self {
        self.redis.config = self.redis.config.keepalive(idle);
        self
    }

    /// How long bytes sent to [`redis`](Self::redis) may stay unacknowledged before TCP gives the connection up (Linux and Android); without
    /// effect on other stores. Default: 10 seconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().user_timeout(Duration::from_secs(5)).build().is_ok());
    /// assert!(redis.user_timeout(Duration::ZERO).build().is_err());
    /// ```
    pub fn user_timeout(mut self, timeout: Duration) -> Self {
        self.redis.config = self.redis.config.user_timeout(timeout);
        self
    }

    /// How often connections to [`redis`](Self::redis) are asked whether they are there; `None`: never. Without effect on other stores.
    /// Default: 30 seconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().health_interval(Duration::from_secs(5)).build().is_ok());
    /// assert!(redis.health_interval(None).build().is_ok(), "found out by the next call");
    /// ```
    pub fn health_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.redis.config = self.redis.config.health_interval(interval);
        self
    }

    /// How old a connection to [`redis`](Self::redis) gets before another one takes its place; `None`: as old as it likes, which is the
    /// default. Without effect on other stores.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().max_life(Duration::from_secs(1800)).build().is_ok());
    /// assert!(redis.max_life(Duration::ZERO).build().is_err());
    /// ```
    pub fn max_life(mut self, life: impl Into<Option<Duration>>) -> Self {
        self.redis.config = self.redis.config.max_life(life);
        self
    }

    /// How often one request to [`redis`](Self::redis) is sent again at most, where that is harmless; `None`, the default: a read once for
    /// each connection, an evict as often as there is time. Without effect on other stores.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.retries(2).build().is_ok());
    /// ```
    pub fn retries(mut self, most: impl Into<Option<usize>>) -> Self {
        self.redis.config = self.redis.config.retries(most);
        self
    }

    /// The pause before an evict is sent again to a [`redis`](Self::redis) that cannot do it now; it doubles. Without effect on other stores.
    /// Default: 10 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().retry_delay(Duration::from_millis(50)).build().is_ok());
    /// assert!(redis.retry_delay(Duration::ZERO).build().is_err());
    /// ```
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.redis.config = self.redis.config.retry_delay(delay);
        self
    }

    /// How many percent of all requests to [`redis`](Self::redis) may be sent again, 0 to 100, besides a reserve of 1,000 that fills by 10 a
    /// second; without effect on other stores. Default: 20.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().retry_budget(10).build().is_ok());
    /// assert!(redis.retry_budget(101).build().is_err());
    /// ```
    pub fn retry_budget(mut self, percent: u8) -> Self {
        self.redis.config = self.redis.config.retry_budget(percent);
        self
    }

    /// How many replicas of [`redis`](Self::redis) have to have an evict before it counts as done (`WAIT`), so that a failover to one of
    /// them does not lose it; without effect on other stores. Default: 0.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.evict_replicas(1).build().is_ok());
    /// ```
    pub fn evict_replicas(mut self, replicas: usize) -> Self {
        self.redis.config = self.redis.config.evict_replicas(replicas);
        self
    }

    /// Whether what another server filled is a miss: after a failover, and after a restart from older data, nothing that was revived
    /// serves. The cache is empty then. Each read asks for the server's id as for the version of a tag. Without effect on other stores
    /// than [`redis`](Self::redis). Default: false.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.epoch_check(true).build().is_ok());
    /// ```
    pub fn epoch_check(mut self, check: bool) -> Self {
        self.settings.epoch = check;
        self
    }

    /// Whether each new connection to [`redis`](Self::redis) has the server remember the scripts (`SCRIPT LOAD`), so that the first miss does
    /// not send them; without effect on other stores. A tool whose user may only read has no use for them. Default: true.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.load_scripts(false).build().is_ok());
    /// ```
    pub fn load_scripts(mut self, load: bool) -> Self {
        self.redis.config = self.redis.config.load_scripts(load);
        self
    }

    /// What the environment says of them.
    pub(super) fn connections_from(&mut self, env: &Env<'_>) -> Result<()> {
        let mut config = self.redis.config.clone();
        for (name, setter) in [
            ("CACHEMACRO_CONNECT_TIMEOUT", RedisConfig::connect_timeout as fn(RedisConfig, Duration) -> _),
            ("CACHEMACRO_COMMAND_TIMEOUT", RedisConfig::command_timeout),
            ("CACHEMACRO_POOL_WAIT", RedisConfig::pool_wait),
            ("CACHEMACRO_KEEPALIVE", RedisConfig::keepalive),
            ("CACHEMACRO_USER_TIMEOUT", RedisConfig::user_timeout),
            ("CACHEMACRO_RETRY_DELAY", RedisConfig::retry_delay),
        ] {
            let mut time = None;
            env.some_duration(name, &mut time)?;
            config = time.map_or(config.clone(), |time| setter(config, time));
        }
        for (name, setter) in [
            (
                "CACHEMACRO_HEALTH_INTERVAL",
                RedisConfig::health_interval as fn(RedisConfig, Option<Duration>) -> _,
            ),
            ("CACHEMACRO_MAX_LIFE", RedisConfig::max_life),
        ] {
            let mut time = None;
            let accepted = |time: &Duration| !time.is_zero() && *time <= LONGEST;
            let parse = |text: &str| match text {
                "off" => Some(Some(None)),
                text => parse_duration(text).filter(accepted).map(|time| Some(Some(time))),
            };
            env.parse(
                name,
                "a duration above zero and up to `1h` such as `30s`, or `off`",
                parse,
                &mut time,
            )?;
            config = time.map_or(config.clone(), |time| setter(config, time));
        }
        for (name, least, setter) in [
            ("CACHEMACRO_POOL_SIZE", 1, RedisConfig::pool_size as fn(RedisConfig, usize) -> _),
            ("CACHEMACRO_POOL_MIN", 0, RedisConfig::pool_min),
            ("CACHEMACRO_HANDLES", 1, RedisConfig::handles),
        ] {
            let mut size = None;
            let parse = |text: &str| number(text).filter(|size| (least..=MOST).contains(size)).map(Some);
            env.parse(name, &format!("a number from {least} to 10_000"), parse, &mut size)?;
            config = size.map_or(config.clone(), |size| setter(config, size));
        }
        env.parse("CACHEMACRO_EPOCH_CHECK", "`0` or `1`", parse_switch, &mut self.settings.epoch)?;
        let mut replicas = None;
        env.parse("CACHEMACRO_EVICT_REPLICAS", "a number", |text| number(text).map(Some), &mut replicas)?;
        config = replicas.map_or(config.clone(), |replicas| config.evict_replicas(replicas));
        let (mut retries, mut budget) = (None, None);
        env.parse("CACHEMACRO_RETRIES", "a number", |text| number::<usize>(text).map(Some), &mut retries)?;
        config = retries.map_or(config.clone(), |retries| config.retries(retries));
        let percent = |text: &str| parse_percent(text).map(Some);
        env.parse("CACHEMACRO_RETRY_BUDGET", "a percentage from `0%` to `100%`", percent, &mut budget)?;
        self.redis.config = budget.map_or(config.clone(), |budget| config.retry_budget(budget));
        Ok(())
    }
}
