//! What a process tells of its cache: counters by function, settings, connections; no key, tag, value or secret.
//!
//! [`Cache::report`](crate::Cache::report) gives it. On a server with a namespace each process leaves it there as JSON, for tools
//! that look at all processes. What reads reports takes them as hostile: a field that is missing is empty, one that is unknown is
//! passed over.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub use crate::observe::finding::Finding;
use crate::observe::histogram::Histogram;
pub use crate::observe::hot::HotKey;
use crate::observe::local::LocalStats;
use crate::observe::pool::Pool;
use crate::observe::shapes::Shape;
use crate::observe::stats::Stats;

/// How long a report is kept that is not followed by another, in milliseconds.
pub const LIFE_MILLIS: u64 = 30_000;

/// The most bytes that a report has as JSON.
pub const MOST_BYTES: usize = 256 << 10;

/// What one process tells of one cache.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cache = cachemacro::Cache::memory();
/// cache.get_or_load("n", 1, async || 7).await;
/// let report = cache.report();
/// assert_eq!(report.store, "memory");
/// assert_eq!(report.direct.count("loads"), 1);
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Report {
    /// A random number for this cache in this process, in hexadecimal digits.
    pub instance: String,
    /// The process's number on its machine.
    pub process: u32,
    /// The version of this crate.
    pub version: String,
    /// When the cache was made, in milliseconds since the Unix epoch by the process's clock.
    pub started_at: u64,
    /// When this was written, by the same clock.
    pub written_at: u64,
    /// The store's name: `memory`, `redis`.
    pub store: String,
    /// The namespace, percent-encoded.
    pub namespace: String,
    /// Settings by their names in the builder; none that is a secret.
    pub settings: BTreeMap<String, String>,
    /// The state of the breaker around the store.
    pub breaker: Option<String>,
    /// How often it opened.
    pub breaker_trips: u64,
    /// Evicts that are still to be sent again.
    pub kept_evicts: u64,
    /// The connections to the server.
    pub pool: Option<Pool>,
    /// The commands that the server refused, because the user may not run them or because it does not have them.
    pub refused: Vec<String>,
    /// Decoded values in this process.
    pub local: LocalFigures,
    /// What belongs to no annotated function.
    pub direct: Figures,
    /// Each annotated function that was called, busiest first.
    pub sites: Vec<SiteReport>,
    /// How many more functions there are, which did not fit.
    pub left_out: u64,
    /// The last values that were found not to be what their functions return.
    pub findings: Vec<Finding>,
}

/// What a process tells of one annotated function.
///
/// ```
/// # mod cachemacro {
/// #     pub use cachemacro_derive::cached;
/// #     pub use cachemacro_runtime::*;
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cachemacro::{Cache, cached};
///
/// #[cached(prefix = "user", ttl = "1m", tags = ["users", "org:{org}"], crate = cachemacro)]
/// async fn user(org: u32, id: u64) -> Option<String> {
///     Some(format!("user {id} of {org}"))
/// }
///
/// let cache = Cache::memory();
/// cache.scope(user(3, 7)).await;
/// let report = cache.report();
/// let site = &report.sites[0];
/// assert_eq!(site.key.as_deref(), Some("{org}:{id}"));
/// assert_eq!(site.tags, ["users", "org:{org}"]);
/// assert_eq!((site.ttl.as_deref(), site.value.as_str()), (Some("1m"), "Option<String>"));
/// assert_eq!(site.stored_as[0].prefix, "user");
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct SiteReport {
    /// Module path and function name, as in [`CacheStats::sites`](crate::CacheStats).
    pub site: String,
    /// What it returns.
    pub value: String,
    /// The template of its keys behind the prefix; `None` where an expression gives them.
    pub key: Option<String>,
    /// The templates of its tags, `result` among their placeholders; of one that an expression gives `= ` and the expression.
    pub tags: Vec<String>,
    /// The name of the function that `entry` generates.
    pub entry: Option<String>,
    /// What a function that writes puts and evicts, as its attributes say it: `put` or `entry` and the function that gives the entry,
    /// `queued` and that function where a queue writes the entry later, `put_key` or `key` and prefix and template, `tag` and its
    /// template, `prefix`, `entries` and an expression.
    pub writes: Vec<String>,
    /// Whether its values carry what its loads recorded, besides its tags.
    pub recorded: bool,
    /// The expression that gives the queue whose pending writes come before its loads.
    pub queue: Option<String>,
    /// How long its values are fresh, where that is always the same: `5m`, `never`.
    pub ttl: Option<String>,
    /// How long past that a value may serve, in milliseconds; `None`: what the cache's settings say.
    pub stale_millis: Option<u64>,
    /// The part of their TTL, in percent, after which values are loaded anew ahead of time; `None`: what the cache's settings say.
    pub refresh_percent: Option<u8>,
    /// The codec's type; `None`: the cache's.
    pub codec: Option<String>,
    /// What the values are like that this process stored.
    pub stored_as: Vec<StoredAs>,
    /// The keys that are asked for most, where the cache [samples](crate::CacheBuilder::hot_keys) them.
    pub hot: Vec<HotKey>,
    /// What was counted.
    pub figures: Figures,
}

/// What a function's stored values are like.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// let stored = cachemacro::report::StoredAs::default();
/// assert_eq!((stored.prefix.as_str(), stored.codec), ("", 0));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StoredAs {
    /// What their keys begin with, up to the first colon.
    pub prefix: String,
    /// The codec's id in the header.
    pub codec: u8,
    /// The schema's fingerprint in the header, in hexadecimal digits: JSON's numbers are too short for it.
    pub schema: String,
}

/// Counters by name. One that is zero is left out.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let cache = cachemacro::Cache::memory();
/// cache.get::<u32>("n", 1).await?;
/// let direct = cache.report().direct;
/// assert_eq!((direct.misses["absent"], direct.count("hits")), (1, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Figures {
    /// The counts that are fields of [`Stats`].
    pub counts: BTreeMap<String, u64>,
    /// Misses by reason.
    pub misses: BTreeMap<String, u64>,
    /// Errors by kind.
    pub errors: BTreeMap<String, u64>,
    /// Values that would not come back, by reason.
    pub unstorable: BTreeMap<String, u64>,
    /// How long the function took.
    pub load_time: Times,
    /// How long the store's round trips took.
    pub store_time: Times,
}

/// How long something took.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cache = cachemacro::Cache::memory();
/// cache.get_or_load("n", 1, async || 7).await;
/// let loads = cache.report().direct.load_time;
/// assert_eq!(loads.count(), 1);
/// assert_eq!(loads.quantile(0.5), cache.stats().direct.load_time.quantile(0.5));
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct Times {
    /// All together, in nanoseconds.
    pub nanos: u64,
    /// How many took less than 1 µs, 2 µs, 4 µs and so on, and not less than the bound before; zeros at the end are left out.
    pub buckets: Vec<u64>,
}

/// Decoded values in one process.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// assert_eq!(cachemacro::Cache::memory().report().local.entries, 0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct LocalFigures {
    /// How many there are.
    pub entries: u64,
    /// What they weigh, in bytes.
    pub bytes: u64,
    /// How many left, by the names of the fields of [`LocalStats`].
    pub left: BTreeMap<String, u64>,
}

impl Figures {
    pub(crate) fn of(stats: &Stats) -> Self {
        let kept = |counts: &mut dyn Iterator<Item = (&'static str, u64)>| {
            counts.filter(|(_, count)| *count > 0).map(|(name, count)| (name.to_owned(), count)).collect()
        };
        Self {
            counts: kept(&mut stats.counts().map(|count| (count.name, count.value))),
            misses: kept(&mut stats.misses_by_reason().map(|(why, count)| (why.as_str(), count))),
            errors: kept(&mut stats.errors_by_kind().map(|(kind, count)| (kind.as_str(), count))),
            unstorable: kept(&mut stats.unstorable_by_reason().map(|(why, count)| (why.as_str(), count))),
            load_time: Times::of(&stats.load_time),
            store_time: Times::of(&stats.store_time),
        }
    }

    /// One of the counts that are fields of [`Stats`], by the field's name.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Cache::memory().report().direct.count("hits"), 0);
    /// ```
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or_default()
    }

    /// Hits, stale ones too, and misses.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get::<u32>("n", 1).await?;
    /// assert_eq!(cache.report().direct.reads(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn reads(&self) -> u64 {
        self.misses.values().fold(self.count("hits"), |sum, count| sum.saturating_add(*count))
    }

    /// With what others counted.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("n", 1, async || 7).await;
    /// let mut both = cache.report().direct;
    /// both.add(&both.clone());
    /// assert_eq!((both.count("loads"), both.load_time.count()), (2, 2));
    /// # }
    /// ```
    pub fn add(&mut self, other: &Self) {
        for (all, more) in [
            (&mut self.counts, &other.counts),
            (&mut self.misses, &other.misses),
            (&mut self.errors, &other.errors),
            (&mut self.unstorable, &other.unstorable),
        ] {
            for (name, count) in more {
                let all = all.entry(name.clone()).or_default();
                *all = all.saturating_add(*count);
            }
        }
        self.load_time.add(&other.load_time);
        self.store_time.add(&other.store_time);
    }

    /// How long the hits would have taken as loads, less what their reads took: see [`Stats::time_saved`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// assert_eq!(cachemacro::Cache::memory().report().direct.time_saved(), Duration::ZERO);
    /// ```
    pub fn time_saved(&self) -> Duration {
        let (hits, local) = (self.count("hits"), self.count("local_hits"));
        let loads = self.load_time.mean_of(hits);
        let reads = self.store_time.mean_of(hits.saturating_sub(local));
        Duration::from_nanos(u64::try_from(loads.saturating_sub(reads)).unwrap_or(u64::MAX))
    }
}

impl Times {
    fn of(times: &Histogram) -> Self {
        let mut buckets: Vec<u64> = times.buckets().map(|(_, count)| count).collect();
        while buckets.last() == Some(&0) {
            buckets.pop();
        }
        Self { nanos: u64::try_from(times.sum().as_nanos()).unwrap_or(u64::MAX), buckets }
    }

    /// How many were recorded.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::report::Times::default().count(), 0);
    /// ```
    pub fn count(&self) -> u64 {
        self.buckets.iter().fold(0, |sum, count| sum.saturating_add(*count))
    }

    /// The upper bound of the bucket in which the `q` quantile lies, so at most twice the true value; zero where nothing was
    /// recorded.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// assert_eq!(cachemacro::report::Times::default().quantile(0.5), Duration::ZERO);
    /// ```
    pub fn quantile(&self, q: f64) -> Duration {
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among counts; off by one at 2^53 does not matter"
        )]
        let rank = ((self.count() as f64 * q.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0_u64;
        for (at, bucket) in self.buckets.iter().enumerate() {
            seen = seen.saturating_add(*bucket);
            if seen >= rank {
                return Duration::from_micros(1 << at.min(40));
            }
        }
        Duration::ZERO
    }

    fn add(&mut self, other: &Self) {
        let most = self.buckets.len().max(other.buckets.len());
        self.buckets.resize(most, 0);
        for (all, more) in self.buckets.iter_mut().zip(&other.buckets) {
            *all = all.saturating_add(*more);
        }
        self.nanos = self.nanos.saturating_add(other.nanos);
    }

    /// What so many take on average, in nanoseconds.
    fn mean_of(&self, count: u64) -> u128 {
        match self.count() {
            0 => 0,
            all => u128::from(self.nanos) * u128::from(count) / u128::from(all),
        }
    }
}

impl LocalFigures {
    pub(crate) fn of(local: &LocalStats) -> Self {
        let LocalStats { entries, bytes, evicted, expired, replaced, for_room, untold } = *local;
        let left = [
            ("evicted", evicted),
            ("expired", expired),
            ("replaced", replaced),
            ("for_room", for_room),
            ("untold", untold),
        ];
        let left = left.into_iter().filter(|(_, count)| *count > 0);
        Self { entries, bytes, left: left.map(|(why, count)| (why.to_owned(), count)).collect() }
    }
}

impl StoredAs {
    pub(crate) fn of(shape: &Shape) -> Self {
        Self {
            prefix: shape.prefix.trim_end_matches(':').to_owned(),
            codec: shape.codec,
            schema: format!("{:016x}", shape.schema),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_of_hostile_figures_overflow_nothing() {
        let mut most = Figures::default();
        most.counts.insert("hits".to_owned(), u64::MAX);
        most.misses.insert("absent".to_owned(), u64::MAX);
        most.load_time = Times { nanos: u64::MAX, buckets: vec![u64::MAX; 80] };
        most.add(&most.clone());
        assert_eq!((most.reads(), most.load_time.count()), (u64::MAX, u64::MAX));
        assert!(most.load_time.quantile(1.0) > Duration::ZERO);
        assert!(most.time_saved() > Duration::ZERO);
    }
}
