//! How connections are kept well, and how often something is sent again: what the settings of a store say of it.

use std::time::Duration;

use super::config::RedisConfig;

impl RedisConfig {
    /// How many pooled connections there are at least, from when something was connected on: 0 to 10,000, and not more than
    /// [`pool_size`](Self::pool_size). Default: 0, so that they are opened when they are needed first.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// let config = RedisConfig::new("redis://localhost").pool_size(8);
    /// assert!(RedisStore::new(config.clone().pool_min(8)).is_ok());
    /// assert!(RedisStore::new(config.pool_min(9)).is_err());
    /// ```
    #[must_use]
    pub fn pool_min(mut self, connections: usize) -> Self {
        self.upkeep.pool_min = connections;
        self
    }

    /// How often connections are asked whether they are there, by a `PING`; one that does not answer is replaced before a call finds
    /// out. `None`: never. Default: every 30 seconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    /// use std::time::Duration;
    ///
    /// let config = RedisConfig::new("redis://localhost");
    /// assert!(RedisStore::new(config.clone().health_interval(Duration::from_secs(5))).is_ok());
    /// assert!(RedisStore::new(config.health_interval(Duration::ZERO)).is_err(), "`None` turns it off");
    /// ```
    #[must_use]
    pub fn health_interval(mut self, interval: impl Into<Option<Duration>>) -> Self {
        self.upkeep.health_interval = interval.into();
        self
    }

    /// How old a connection gets: another one is opened before it ends, and up to a tenth earlier, so that not all end together. For
    /// servers behind an address that moves, and for proxies that cut connections off. `None`: as old as it likes, which is
    /// the default.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    /// use std::time::Duration;
    ///
    /// let config = RedisConfig::new("redis://localhost").max_life(Duration::from_secs(1800));
    /// let store = RedisStore::new(config)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn max_life(mut self, life: impl Into<Option<Duration>>) -> Self {
        self.upkeep.max_life = life.into();
        self
    }

    /// How often one request is sent again at most, where that is harmless: a read whose connection broke, an evict until its deadline.
    /// `None`, the default: a read once for each connection that it could have gone over, an evict as often as there is time.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// let once_and_no_more = RedisConfig::new("redis://localhost").retries(0);
    /// let store = RedisStore::new(once_and_no_more)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn retries(mut self, most: impl Into<Option<usize>>) -> Self {
        self.upkeep.retries = most.into();
        self
    }

    /// The pause before an evict is sent again to a server that cannot do it now (`LOADING`, `BUSY` and their like); it doubles, and is
    /// spread by a half. Default: 10 ms.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    /// use std::time::Duration;
    ///
    /// let config = RedisConfig::new("redis://localhost").retry_delay(Duration::from_millis(50));
    /// let store = RedisStore::new(config)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn retry_delay(mut self, delay: Duration) -> Self {
        self.upkeep.retry_delay = delay;
        self
    }

    /// How many percent of all requests may be sent again, 0 to 100, besides a reserve of 1,000 that fills by 10 a second: a server in
    /// trouble is not asked several times as often. What may not be sent again has failed, and an evict is kept. Default: 20.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// let config = RedisConfig::new("redis://localhost");
    /// assert!(RedisStore::new(config.clone().retry_budget(10)).is_ok());
    /// assert!(RedisStore::new(config.retry_budget(101)).is_err());
    /// ```
    #[must_use]
    pub fn retry_budget(mut self, percent: u8) -> Self {
        self.upkeep.retry_budget = percent;
        self
    }

    /// How many replicas have to have an evict before it counts as done (`WAIT`), so that a failover to one of them does not lose it. An
    /// evict then waits for them, half a command timeout at most, on a connection of its own; where too few have it by then, it has
    /// failed, and is sent again later. Default: 0.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// let config = RedisConfig::new("redis://localhost").evict_replicas(1);
    /// let store = RedisStore::new(config)?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn evict_replicas(mut self, replicas: usize) -> Self {
        self.evict_replicas = replicas;
        self
    }

    /// Whether each new connection has the server remember the scripts (`SCRIPT LOAD`), so that the first miss does not send them. A
    /// tool whose user may only read has no use for them. Default: true.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::redis::{RedisConfig, RedisStore};
    ///
    /// let store = RedisStore::new(RedisConfig::new("redis://localhost").load_scripts(false))?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    #[must_use]
    pub fn load_scripts(mut self, load: bool) -> Self {
        self.load_scripts = load;
        self
    }
}
