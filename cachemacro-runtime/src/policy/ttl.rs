//! What an entry's site decides about it, apart from its key and tags.

use std::time::Duration;

use crate::ground::clock::{NEVER, TAGGED_NEVER};

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
pub enum Ttl {
    /// So long. Under one millisecond: the value is not stored.
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
/// let policy = Policy { ttl: Some(Ttl::millis(500)), wait: Some(Duration::from_secs(1)), ..Policy::DEFAULT };
/// let entry = Cache::memory().entry::<u32>("answer", ()).with_policy(policy);
/// entry.set(&42).await?;
/// assert!(entry.ttl().await? <= Some(Duration::from_millis(500)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    /// How long a value stays fresh.
    pub ttl: Option<Ttl>,
    /// Whether `None` is stored.
    pub cache_none: bool,
    /// How long, where it differs from `ttl`.
    pub none_ttl: Option<Ttl>,
    /// Whether `Err` is stored.
    pub cache_err: bool,
    /// By what part of itself a TTL is spread: 10 is ±10 %.
    pub jitter: Option<u8>,
    /// How long to wait for another caller's load before one of those who wait loads for all, without storing. Zero:
    /// other processes' loads are not waited for; those of this process are, for as long as the cache waits.
    pub wait: Option<Duration>,
    /// How long a load may keep its lease, and so keep others from loading. It does not end the load: after it others may
    /// load too, and the late value may not be stored.
    pub lease_limit: Option<Duration>,
    /// Mixed into the schema fingerprint: raise it where values of before must be misses.
    pub version: u32,
}

impl Policy {
    /// All defaults.
    pub const DEFAULT: Policy = Policy {
        ttl: None,
        cache_none: false,
        none_ttl: None,
        cache_err: false,
        jitter: None,
        wait: None,
        lease_limit: None,
        version: 0,
    };
}

impl Default for Policy {
    fn default() -> Self {
        Self::DEFAULT
    }
}
