//! What becomes of values that age, where their sites do not say.

use std::time::Duration;

use super::CacheBuilder;

impl CacheBuilder {
    /// How long past its TTL a value still serves, where a site does not say: at once, while one caller of all processes loads it
    /// anew, and where that load fails. Not at all by default.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Clock};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual();
    /// let builder = Cache::builder().memory().clock(clock.clone()).ttl(Duration::from_secs(60));
    /// let cache = builder.stale(Duration::from_secs(3600)).build()?;
    /// cache.set("price", 7, &1200_u64).await?;
    /// clock.advance(Duration::from_secs(90));
    /// assert_eq!(cache.get::<u64>("price", 7).await?, Some(1200));
    /// # Ok(())
    /// # }
    /// ```
    pub fn stale(mut self, stale: Duration) -> Self {
        self.settings.freshness.stale = stale;
        self
    }

    /// How old a value may get, since it was stored, that serves in place of a load that failed, where a site does not say. It ends
    /// what is stale and what is fresh, too. As long as a value is stale by default.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let hours = |hours: u64| Duration::from_secs(hours * 3600);
    /// let cache = Cache::builder().memory().ttl(hours(1)).stale(hours(2)).max_age(hours(24)).build()?;
    /// assert!(Cache::builder().memory().max_age(Duration::ZERO).build().is_err());
    /// # drop(cache);
    /// # Ok(())
    /// # }
    /// ```
    pub fn max_age(mut self, max_age: Duration) -> Self {
        self.settings.freshness.max_age = Some(max_age);
        self
    }

    /// The part of its TTL, in percent, after which a value that is fresh still is loaded anew by one caller of all processes, where
    /// a site does not say. Not before its end by default.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// assert!(Cache::builder().memory().refresh(80).build().is_ok());
    /// assert!(Cache::builder().memory().refresh(0).build().is_err(), "a percentage from 1 to 100");
    /// ```
    pub fn refresh(mut self, percent: u8) -> Self {
        self.settings.freshness.refresh = Some(percent);
        self
    }

    /// How many `None`s and `Err`s each function may have stored (`cache_none`, `cache_err`), as far as this process stored them: who
    /// asks for ids at random cannot fill the cache. 10,000 by default. What is beyond is returned and not stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    ///
    /// assert!(Cache::builder().memory().negatives(100).build().is_ok());
    /// ```
    pub fn negatives(mut self, most: usize) -> Self {
        self.settings.negatives = most;
        self
    }

    /// How long a value whose load has failed serves before another load is tried: in this process as long as this, in others a
    /// minute at most. One second by default.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// assert!(Cache::builder().memory().retry_after(Duration::from_secs(10)).build().is_ok());
    /// ```
    pub fn retry_after(mut self, time: Duration) -> Self {
        self.settings.retry_after = time;
        self
    }
}
