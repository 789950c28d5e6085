//! How long values, leases, waits and calls last, where their sites do not say.

use std::time::Duration;

use super::CacheBuilder;
use crate::format::header::LONGEST_LEASE;
use crate::policy::ttl::Ttl;

impl CacheBuilder {
    /// How long values stay fresh where their site does not say. Default: 5 minutes.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Ttl};
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder().memory().ttl(Duration::from_secs(60)).build()?;
    /// cache.set("n", 1, &7).await?;
    /// assert!(cache.ttl::<i32>("n", 1).await?.is_some_and(|left| left <= Duration::from_secs(60)));
    ///
    /// let endless = Cache::builder().memory().ttl(Ttl::Never).build()?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn ttl(mut self, ttl: impl Into<Ttl>) -> Self {
        self.settings.ttl = ttl.into();
        self
    }

    /// By how many percent of themselves TTLs are spread, up and down, 0 to 100. Default: 0.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder().memory().ttl(Duration::from_secs(100)).jitter(10).build()?;
    /// cache.set("n", 1, &7).await?;
    /// let ttl = cache.ttl::<i32>("n", 1).await?.expect("it was stored");
    /// assert!((80..=110).contains(&ttl.as_secs()));
    /// assert!(Cache::builder().memory().jitter(101).build().is_err());
    /// # Ok(())
    /// # }
    /// ```
    pub fn jitter(mut self, percent: u8) -> Self {
        self.settings.jitter = percent;
        self
    }

    /// How long calls wait for another caller's load before one of them loads for all, without storing. A load in this
    /// process that takes longer gets one more beside it then, the next after twice as long, and so on. Zero: other
    /// processes' loads are not waited for; those of this process are, for 10 seconds. Default: 10 seconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder()
    ///     .memory()
    /// #   .clock(cachemacro::Clock::manual())
    ///     .wait(Duration::ZERO)
    ///     .build()?;
    /// let first = cache.lookup::<u32>("n", 1).await?; // holds the right to fill
    /// let Lookup::Vacant(second) = cache.lookup::<u32>("n", 1).await? else { panic!("nothing is there") };
    /// assert!(!second.fill(&7).await?.is_stored(), "not waited, not stored");
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait(mut self, wait: Duration) -> Self {
        self.settings.wait = wait;
        self
    }

    /// How long a load may keep its lease, and so keep others from loading. It does not end the load: after it others may
    /// load too, and the late value may not be stored. Default: 60 seconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// // No load of this application takes longer than five seconds.
    /// let cache = Cache::builder().memory().lease_limit(Duration::from_secs(5)).build()?;
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn lease_limit(mut self, limit: Duration) -> Self {
        self.settings.lease_limit = limit;
        self
    }

    /// How long a lease lives unless it is renewed, which happens three times in that span while the load is
    /// polled. Default: 3 seconds; a minute at most. Shorter: a loader that died is replaced sooner, and more renewals are sent.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let cache = Cache::builder().memory().lease(Duration::from_secs(1)).build()?;
    /// assert!(Cache::builder().memory().lease(Duration::from_millis(29)).build().is_err());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn lease(mut self, lease: Duration) -> Self {
        self.settings.lease = lease.min(LONGEST_LEASE);
        self
    }

    /// How long a cached call may wait for the store in all, beyond the time of its function and [`wait`](Self::wait): one that reads,
    /// asks for a lease and fills, or a put with its evicts. What is not done by then is not done: a value is not stored, and an
    /// evict counts as failed and is sent again later. The first request of a call is bounded by the store's own timeouts. Direct
    /// calls but `get_or_load`, and batches, are not bounded in all. Default: as long as one command to
    /// [`redis`](Self::redis) may take, which is 250 ms; no bound for other stores.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Cache;
    /// use std::time::Duration;
    ///
    /// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
    /// assert!(redis.clone().deadline(Duration::from_millis(100)).build().is_ok());
    /// assert!(redis.deadline(Duration::ZERO).build().is_err());
    /// ```
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.settings.deadline = Some(deadline);
        self
    }
}
