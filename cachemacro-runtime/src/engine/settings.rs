//! What a cache is told when it is built, checked by then.

use std::time::Duration;

use crate::engine::neighbour::Neighbour;
use crate::engine::sealing::Seals;
use crate::format::codec::BuiltinCodec;
use crate::ground::clock::Clock;
use crate::observe::event::Observers;
use crate::observe::warning::Warning;
use crate::policy::freshness::Freshness;
use crate::policy::ttl::Ttl;
use crate::policy::verify::Verify;

/// How long callers wait for another's load where nothing else is said.
pub(crate) const DEFAULT_WAIT: Duration = Duration::from_secs(10);

/// What each process leaves about a cache at its server, for tools that look at all processes; see
/// [`CacheBuilder::reports`](crate::CacheBuilder::reports).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Cache, Reports};
///
/// let redis = Cache::builder().redis("redis://localhost").namespace("shop");
/// let cache = redis.reports(Reports::Off).build()?;
/// # Ok::<(), cachemacro::Error>(())
/// ```
#[cfg(feature = "reports")]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reports {
    /// Nothing.
    Off,
    /// Counters by function, connections and the breaker.
    Counters,
    /// Also what attributes say (templates of keys and tags, types, TTLs), and settings.
    Full,
}

/// What a [`Cache`] is told when it is built.
#[derive(Debug, Clone)]
#[cfg_attr(
    feature = "cluster",
    expect(clippy::struct_excessive_bools, reason = "each is a setting of its own")
)]
pub(crate) struct Settings {
    /// Percent-encoded; empty where there is none.
    pub(crate) namespace: String,
    pub(crate) ttl: Ttl,
    pub(crate) freshness: Freshness,
    /// How long a value whose load failed serves before another load is tried.
    pub(crate) retry_after: Duration,
    /// How many `None`s and `Err`s each site may have stored, as far as this process stored them.
    pub(crate) negatives: usize,
    pub(crate) jitter: u8,
    pub(crate) wait: Duration,
    pub(crate) lease_limit: Duration,
    pub(crate) lease: Duration,
    /// How long one call may wait for the store in all; `None`: as long as its requests may.
    pub(crate) deadline: Option<Duration>,
    pub(crate) codec: BuiltinCodec,
    pub(crate) max_value: usize,
    pub(crate) compress_over: Option<usize>,
    pub(crate) seals: Seals,
    /// How long decoded values are taken without asking the store, where a site says nothing else.
    pub(crate) local: Option<Duration>,
    /// Of how many hits it is seen whether they are true, where a site says nothing else.
    pub(crate) verify: Option<Verify>,
    /// Whether it is sampled which keys are asked for most.
    pub(crate) hot_keys: bool,
    pub(crate) disabled: bool,
    /// Whether entries carry the id of the server that they were filled on, as the version of a tag that all have.
    pub(crate) epoch: bool,
    /// Whether that is the one of a cluster's nodes that serves the entry's slot.
    #[cfg(feature = "cluster")]
    pub(crate) clustered: bool,
    /// How many bytes local copies may weigh, and how many the values of sync functions.
    pub(crate) local_capacity: usize,
    /// How many bytes a value may have in the store of which a local copy is kept; `None`: a sixty-fourth of that capacity.
    pub(crate) local_max_value: Option<usize>,
    /// By which clock they expire.
    pub(crate) clock: Clock,
    /// Who is told of events, besides the counters.
    pub(crate) observers: Observers,
    /// Who is told of values that are found by texts.
    pub(crate) beside: Neighbour,
    #[cfg(feature = "reports")]
    pub(crate) reports: Reports,
    #[cfg(feature = "reports")]
    pub(crate) report_interval: Duration,
    /// How many names of tags are told; zero: none.
    #[cfg(feature = "reports")]
    pub(crate) tag_names: usize,
    /// Why the environment could not be read, where it could not. Caching is off and every evict fails, because other processes may use a
    /// store that this one cannot name.
    pub(crate) unresolved: Option<String>,
    /// Variables of the environment that nobody reads, each as a warning.
    pub(crate) unread: Vec<Warning>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            namespace: String::new(),
            ttl: Ttl::For(Duration::from_secs(5 * 60)),
            freshness: Freshness::default(),
            retry_after: Duration::from_secs(1),
            negatives: 10_000,
            jitter: 0,
            wait: DEFAULT_WAIT,
            lease_limit: Duration::from_secs(60),
            lease: Duration::from_secs(3),
            deadline: None,
            codec: BuiltinCodec::default(),
            max_value: 1 << 20,
            compress_over: None,
            seals: Seals::default(),
            local: None,
            verify: None,
            hot_keys: false,
            disabled: false,
            epoch: false,
            #[cfg(feature = "cluster")]
            clustered: false,
            local_capacity: 64 << 20,
            local_max_value: None,
            clock: Clock::system(),
            observers: Observers::default(),
            beside: Neighbour::default(),
            #[cfg(feature = "reports")]
            reports: Reports::Full,
            #[cfg(feature = "reports")]
            report_interval: Duration::from_secs(10),
            #[cfg(feature = "reports")]
            tag_names: 0,
            unresolved: None,
            unread: Vec::new(),
        }
    }
}
