//! What an entry's site decides about it, apart from its key and tags.

use std::time::Duration;

use crate::ground::clock::{NEVER, TAGGED_NEVER};
use crate::policy::verify::Verify;

/// How long a value stays fresh.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::Ttl;
/// use std::time::Duration;
///
/// assert_eq!(Ttl::from(Duration::from_secs(60)), Ttl::For(Duration::from_secs(60)));
/// assert!(!Ttl::from(Duration::ZERO).stores());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ttl {
    /// Fresh for this long. A duration under one millisecond means: do not store.
    For(Duration),
    /// Until it is evicted or the store drops it. A tagged entry lives 30 days at most, because tag versions
    /// must outlive it.
    Never,
}

impl Ttl {
    /// A TTL of so many milliseconds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Ttl;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Ttl::millis(1_500), Ttl::For(Duration::from_millis(1_500)));
    /// ```
    pub const fn millis(millis: u64) -> Self {
        Ttl::For(Duration::from_millis(millis))
    }

    /// Whether a value with this TTL is stored at all.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Ttl;
    ///
    /// assert!(Ttl::millis(1).stores() && Ttl::Never.stores());
    /// assert!(!Ttl::millis(0).stores());
    /// ```
    pub const fn stores(self) -> bool {
        match self {
            Ttl::For(duration) => duration.as_millis() > 0,
            Ttl::Never => true,
        }
    }

    /// The time that an entry lives, tagged or not.
    pub(crate) fn life(self, tagged: bool) -> Duration {
        let longest = if tagged { TAGGED_NEVER } else { NEVER };
        match self {
            Ttl::For(duration) => duration.min(longest),
            Ttl::Never => longest,
        }
    }
}

impl From<Duration> for Ttl {
    fn from(duration: Duration) -> Self {
        Ttl::For(duration)
    }
}

/// The options of a site that have the same value on every call. `None`: the cache's default.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Policy, Ttl};
/// use std::time::Duration;
///
/// let policy = Policy::new().ttl(Ttl::millis(500)).wait(Duration::from_secs(1));
/// let entry = Cache::memory().entry::<u32>("answer", ()).with_policy(policy);
/// entry.set(&42).await?;
/// assert!(entry.ttl().await? <= Some(Duration::from_millis(500)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "options do not depend on each other")]
#[non_exhaustive]
pub struct Policy {
    /// How long a value stays fresh.
    pub ttl: Option<Ttl>,
    /// Whether `None` is stored.
    pub cache_none: bool,
    /// How long a stored `None` stays fresh, where that differs from `ttl`.
    pub none_ttl: Option<Ttl>,
    /// Whether `Err` is stored.
    pub cache_err: bool,
    /// How long a stored `Err` stays fresh, where that differs from `ttl`.
    pub err_ttl: Option<Ttl>,
    /// How long past its TTL a value still serves: at once, while one caller of all processes loads it anew, and where that
    /// load fails. Zero: not at all.
    pub stale: Option<Duration>,
    /// How old a value may get, since it was stored, that serves in place of a load that failed. It ends what is stale and what is
    /// fresh, too.
    pub max_age: Option<Duration>,
    /// The part of its TTL, in percent, after which a value that is fresh still is loaded anew by one caller of all processes.
    /// 100: not before its end.
    pub refresh: Option<u8>,
    /// Jitter in percent: with 10, each TTL is made up to 10 % longer or shorter at random.
    pub jitter: Option<u8>,
    /// How long to wait for another caller's load. After that one of those who wait loads for all of them, and what it
    /// loads is not stored. Zero: loads of other processes are not waited for; those of this process are, for as long as
    /// the cache waits.
    pub wait: Option<Duration>,
    /// How long a load may keep its lease, and so keep others from loading. It does not end the load: after it others may
    /// load too, and the late value may not be stored.
    pub lease_limit: Option<Duration>,
    /// How long a decoded value may be kept in this process and be taken without asking the store, from when its read was sent;
    /// zero: not at all. Reads then are as [G2 and G3](https://github.com/cachemacro/cachemacro/blob/main/docs/consistency.md)
    /// say. A store in memory does so in any case, and exactly.
    pub local: Option<Duration>,
    /// Whether the store is asked for each hit whether the decoded value is still the one that is stored: G1 holds, and a hit
    /// saves transfer and decoding instead of the round trip.
    pub validate: bool,
    /// Whether nothing of it may be stored but sealed: a cache that has no keys for it runs the function uncached.
    pub sealed: bool,
    /// Of how many hits it is seen whether they are what the function returns now; `None`: what the cache says.
    pub verify: Option<Verify>,
    /// Whether its loads tell under which tags they are stored: those of the cached calls that a load makes, and those that are
    /// [recorded](crate::record) in it. A load of which nothing is told, or not all, is not stored; what is written without a load evicts.
    pub recorded: bool,
    /// Mixed into the schema fingerprint: raise it where values of before must be misses.
    pub version: u32,
}

impl Policy {
    /// All defaults, to set options on.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Policy, Ttl};
    ///
    /// const SESSIONS: Policy = Policy::new().ttl(Ttl::millis(60_000)).jitter(10);
    /// assert_eq!((SESSIONS.jitter, SESSIONS.wait), (Some(10), None));
    /// ```
    pub const fn new() -> Self {
        Self {
            ttl: None,
            cache_none: false,
            none_ttl: None,
            cache_err: false,
            err_ttl: None,
            stale: None,
            max_age: None,
            refresh: None,
            jitter: None,
            wait: None,
            lease_limit: None,
            local: None,
            validate: false,
            sealed: false,
            verify: None,
            recorded: false,
            version: 0,
        }
    }

    /// How long a value stays fresh.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Policy, Ttl};
    ///
    /// const POLICY: Policy = Policy::new().ttl(Ttl::millis(500));
    /// assert_eq!(POLICY.ttl, Some(Ttl::millis(500)));
    /// ```
    #[must_use]
    pub const fn ttl(mut self, ttl: Ttl) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Whether `None` is stored. Without this it is not.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::Policy::new().cache_none(true).cache_none);
    /// ```
    #[must_use]
    pub const fn cache_none(mut self, cache_none: bool) -> Self {
        self.cache_none = cache_none;
        self
    }

    /// How long a stored `None` stays fresh, where that differs from [`ttl`](Self::ttl).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Policy, Ttl};
    ///
    /// let policy = Policy::new().cache_none(true).ttl(Ttl::Never).none_ttl(Ttl::millis(1_000));
    /// assert_eq!(policy.none_ttl, Some(Ttl::millis(1_000)));
    /// ```
    #[must_use]
    pub const fn none_ttl(mut self, none_ttl: Ttl) -> Self {
        self.none_ttl = Some(none_ttl);
        self
    }

    /// Whether `Err` is stored. Without this it is not. The direct calls, whose errors need not be serializable, never store one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::Policy::new().cache_err(true).cache_err);
    /// ```
    #[must_use]
    pub const fn cache_err(mut self, cache_err: bool) -> Self {
        self.cache_err = cache_err;
        self
    }

    /// How long a stored `Err` stays fresh, where that differs from [`ttl`](Self::ttl).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Policy, Ttl};
    ///
    /// let policy = Policy::new().cache_err(true).err_ttl(Ttl::millis(1_000));
    /// assert_eq!(policy.err_ttl, Some(Ttl::millis(1_000)));
    /// ```
    #[must_use]
    pub const fn err_ttl(mut self, err_ttl: Ttl) -> Self {
        self.err_ttl = Some(err_ttl);
        self
    }

    /// How long past its TTL a value still serves; see [`Policy::stale`](#structfield.stale).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Clock, Policy, Ttl};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual();
    /// let cache = Cache::builder().memory().clock(clock.clone()).build()?;
    /// let policy = Policy::new().ttl(Ttl::millis(60_000)).stale(Duration::from_secs(3600));
    /// let price = cache.entry::<u64>("price", 7).with_policy(policy);
    /// price.get_or_load(async || 1200).await;
    /// clock.advance(Duration::from_secs(90));
    /// // Past its TTL, the load fails, and the old price serves.
    /// assert_eq!(price.try_get_or_load(async || Err("no connection")).await, Ok(1200));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn stale(mut self, stale: Duration) -> Self {
        self.stale = Some(stale);
        self
    }

    /// How old a value may get that serves in place of a load that failed; see [`Policy::max_age`](#structfield.max_age).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Policy;
    /// use std::time::Duration;
    ///
    /// let day = Duration::from_secs(24 * 60 * 60);
    /// assert_eq!(Policy::new().max_age(day).max_age, Some(day));
    /// ```
    #[must_use]
    pub const fn max_age(mut self, max_age: Duration) -> Self {
        self.max_age = Some(max_age);
        self
    }

    /// The part of its TTL after which a value is loaded anew; see [`Policy::refresh`](#structfield.refresh).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Policy::new().refresh(80).refresh, Some(80));
    /// ```
    #[must_use]
    pub const fn refresh(mut self, percent: u8) -> Self {
        self.refresh = Some(percent);
        self
    }

    /// Jitter in percent: with 10, each TTL is made up to 10 % longer or shorter at random.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Policy::new().jitter(10).jitter, Some(10));
    /// ```
    #[must_use]
    pub const fn jitter(mut self, jitter: u8) -> Self {
        self.jitter = Some(jitter);
        self
    }

    /// How long to wait for another caller's load; see [`Policy::wait`](#structfield.wait).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Policy;
    /// use std::time::Duration;
    ///
    /// let policy = Policy::new().wait(Duration::from_secs(1));
    /// assert_eq!(policy.wait, Some(Duration::from_secs(1)));
    /// ```
    #[must_use]
    pub const fn wait(mut self, wait: Duration) -> Self {
        self.wait = Some(wait);
        self
    }

    /// How long a load may keep its lease; see [`Policy::lease_limit`](#structfield.lease_limit).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Policy;
    /// use std::time::Duration;
    ///
    /// let policy = Policy::new().lease_limit(Duration::from_secs(20));
    /// assert_eq!(policy.lease_limit, Some(Duration::from_secs(20)));
    /// ```
    #[must_use]
    pub const fn lease_limit(mut self, limit: Duration) -> Self {
        self.lease_limit = Some(limit);
        self
    }

    /// How long a decoded value may be taken without asking the store; see [`Policy::local`](#structfield.local).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Policy;
    /// use std::time::Duration;
    ///
    /// let policy = Policy::new().local(Duration::from_secs(10));
    /// assert_eq!(policy.local, Some(Duration::from_secs(10)));
    /// ```
    #[must_use]
    pub const fn local(mut self, ttl: Duration) -> Self {
        self.local = Some(ttl);
        self
    }

    /// Whether the store is asked for each hit; see [`Policy::validate`](#structfield.validate).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::Policy::new().validate(true).validate);
    /// ```
    #[must_use]
    pub const fn validate(mut self, validate: bool) -> Self {
        self.validate = validate;
        self
    }

    /// Whether nothing may be stored but sealed; see [`Policy::sealed`](#structfield.sealed).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert!(cachemacro::Policy::new().sealed(true).sealed);
    /// ```
    #[must_use]
    pub const fn sealed(mut self, sealed: bool) -> Self {
        self.sealed = sealed;
        self
    }

    /// Of how many hits it is seen whether they are what the function returns now; see [`Verify`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Policy, Verify};
    ///
    /// let each = Verify::millionths(1_000_000);
    /// assert_eq!(Policy::new().verify(each).verify, Some(each));
    /// ```
    #[must_use]
    pub const fn verify(mut self, verify: Verify) -> Self {
        self.verify = Some(verify);
        self
    }

    /// Whether loads tell under which tags they are stored; see [`Policy::recorded`](#structfield.recorded).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Policy};
    ///
    /// let cache = Cache::memory();
    /// let count = cache.entry::<u32>("count", ()).with_policy(Policy::new().recorded(true));
    /// let load = async || {
    ///     cachemacro::record(["users"]); // SELECT COUNT(*) FROM users
    ///     7
    /// };
    /// count.get_or_load(load).await;
    /// assert!(count.has().await?);
    /// cache.evict_tags(["users"]).await?;
    /// assert!(!count.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub const fn recorded(mut self, recorded: bool) -> Self {
        self.recorded = recorded;
        self
    }

    /// The number to raise where values of before must be misses.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Policy::new().version(2).version, 2);
    /// ```
    #[must_use]
    pub const fn version(mut self, version: u32) -> Self {
        self.version = version;
        self
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}
