//! What happened, counted per site and in total.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::ground::error::ErrorKind;
use crate::observe::site::SiteId;

/// Why a read found nothing usable.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, MissReason};
///
/// let cache = Cache::memory();
/// assert_eq!(cache.get::<u32>("n", 1).await?, None);
/// assert_eq!(cache.stats().total.misses_for(MissReason::Absent), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MissReason {
    /// Nothing under the key.
    Absent,
    /// Only a lease: someone is loading.
    Pending,
    /// Past its TTL.
    Expired,
    /// One of its tags was evicted, or the tag's version lost.
    TagEvicted,
    /// It was stored without a tag that the site names by now.
    TagLacking,
    /// Foreign, truncated or damaged bytes.
    Malformed,
    /// Stored under another key.
    OtherKey,
    /// Stored by another codec.
    OtherCodec,
    /// The value's type has changed shape, or `version` was raised.
    OtherSchema,
    /// The codec could not decode it, or a capability it needs is not built in.
    Undecodable,
    /// Older than `Mode::MaxAge` allows, or skipped by `Mode::Refresh`.
    TooOld,
    /// The store did not answer.
    StoreFailed,
}

impl MissReason {
    /// All reasons, in the order of [`Stats::misses_by_reason`].
    pub const ALL: [MissReason; 12] = [
        MissReason::Absent,
        MissReason::Pending,
        MissReason::Expired,
        MissReason::TagEvicted,
        MissReason::TagLacking,
        MissReason::Malformed,
        MissReason::OtherKey,
        MissReason::OtherCodec,
        MissReason::OtherSchema,
        MissReason::Undecodable,
        MissReason::TooOld,
        MissReason::StoreFailed,
    ];

    /// The reason as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::MissReason::TagEvicted.as_str(), "tag_evicted");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            MissReason::Absent => "absent",
            MissReason::Pending => "pending",
            MissReason::Expired => "expired",
            MissReason::TagEvicted => "tag_evicted",
            MissReason::TagLacking => "tag_lacking",
            MissReason::Malformed => "malformed",
            MissReason::OtherKey => "other_key",
            MissReason::OtherCodec => "other_codec",
            MissReason::OtherSchema => "other_schema",
            MissReason::Undecodable => "undecodable",
            MissReason::TooOld => "too_old",
            MissReason::StoreFailed => "store_failed",
        }
    }
}

/// How long something took, as counts in buckets that double: the first is under 1 µs, the last open.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cache = cachemacro::Cache::memory();
/// cache.get_or_load("answer", (), async || 42).await;
/// let loads = cache.stats().total.load_time;
/// println!("{} loads, half of them within {:?}", loads.count(), loads.quantile(0.5));
/// assert_eq!(loads.count(), 1);
/// # }
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Histogram {
    buckets: [u64; Histogram::BUCKETS],
}

impl Histogram {
    const BUCKETS: usize = 32;

    /// How many were recorded.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("n", 1, async || 7).await;
    /// cache.get_or_load("n", 2, async || 8).await;
    /// assert_eq!(cache.stats().total.load_time.count(), 2);
    /// # }
    /// ```
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// The upper bound of the bucket in which the `q` quantile lies (0.5: the median), so at most twice the true
    /// value; zero where nothing was recorded.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::memory();
    /// assert_eq!(cache.stats().total.load_time.quantile(0.99), Duration::ZERO, "nothing was loaded");
    /// cache.get_or_load("n", 1, async || 7).await;
    /// let times = cache.stats().total.load_time;
    /// assert!(times.quantile(0.99) >= Duration::from_micros(1));
    /// # }
    /// ```
    pub fn quantile(&self, q: f64) -> Duration {
        let count = self.count();
        #[expect(
            clippy::cast_precision_loss,
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rank among counts; off by one at 2^53 does not matter"
        )]
        let rank = ((count as f64 * q.clamp(0.0, 1.0)).ceil() as u64).max(1);
        let mut seen = 0;
        for (at, bucket) in self.buckets.iter().enumerate() {
            seen += bucket;
            if seen >= rank {
                return Duration::from_micros(1 << at);
            }
        }
        Duration::ZERO
    }
}

impl fmt::Debug for Histogram {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Histogram")
            .field("count", &self.count())
            .field("p50", &self.quantile(0.5))
            .field("p99", &self.quantile(0.99))
            .finish()
    }
}

#[derive(Debug, Default)]
struct AtomicHistogram([AtomicU64; Histogram::BUCKETS]);

impl AtomicHistogram {
    fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = (u64::BITS - micros.leading_zeros()) as usize;
        self.0[at.min(Histogram::BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    fn snapshot(&self) -> Histogram {
        Histogram { buckets: std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed)) }
    }
}

/// Something that is counted.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Event {
    Hit,
    Miss(MissReason),
    Load,
    LoadFailed,
    SharedLoad,
    Fill,
    RefusedFill,
    NotStored,
    TooLarge,
    Evict(u64),
    TagEvict(u64),
    Put,
    Error(ErrorKind),
    FailedEvict,
    BytesRead(usize),
    BytesWritten(usize),
}

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        /// Counters of one site, or of a whole cache.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $($name: AtomicU64,)*
            misses: [AtomicU64; MissReason::ALL.len()],
            errors: [AtomicU64; ErrorKind::ALL.len()],
            load_time: AtomicHistogram,
            store_time: AtomicHistogram,
        }

        /// What a cache, or one site of it, has done so far. Counts only grow.
        ///
        /// ```
        /// # use cachemacro_runtime as cachemacro;
        /// # #[tokio::main(flavor = "current_thread")] async fn main() {
        /// let cache = cachemacro::Cache::memory();
        /// cache.entry::<u32>("answer", ()).get_or_load(async || 42).await;
        /// cache.entry::<u32>("answer", ()).get_or_load(async || 42).await;
        /// let total = cache.stats().total;
        /// assert_eq!((total.hits, total.misses(), total.loads), (1, 1, 1));
        /// # }
        /// ```
        #[derive(Debug, Clone, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Misses, in the order of [`MissReason::ALL`].
            pub misses_by_reason: [u64; MissReason::ALL.len()],
            /// Errors, in the order of [`ErrorKind::ALL`].
            pub errors_by_kind: [u64; ErrorKind::ALL.len()],
            /// How long the users' functions took.
            pub load_time: Histogram,
            /// How long the store's round trips took.
            pub store_time: Histogram,
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                Stats {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    misses_by_reason: std::array::from_fn(|at| self.misses[at].load(Ordering::Relaxed)),
                    errors_by_kind: std::array::from_fn(|at| self.errors[at].load(Ordering::Relaxed)),
                    load_time: self.load_time.snapshot(),
                    store_time: self.store_time.snapshot(),
                }
            }
        }
    };
}

counters! {
    /// Reads answered from the store.
    hits,
    /// The users' functions run by the cache.
    loads,
    /// Loads that returned `Err`.
    failed_loads,
    /// Calls answered by another caller's load in this process.
    shared_loads,
    /// Values stored under a lease: after a load, or by a put.
    fills,
    /// Values not stored because an evict, a put or another loader came between.
    refused_fills,
    /// Values that were not to be stored: `None`, `unless`, a TTL of zero, an unusable encoding.
    not_stored,
    /// Values returned but not stored because they are over the size limit.
    too_large,
    /// Entries evicted one by one or by prefix.
    evicts,
    /// Tags evicted.
    tag_evicts,
    /// Values written through.
    puts,
    /// Evicts that did not reach the store.
    failed_evicts,
    /// Bytes of entries read.
    bytes_read,
    /// Bytes of entries written.
    bytes_written,
}

impl Stats {
    /// All misses.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get::<u32>("n", 1).await?;
    /// cache.get::<u32>("n", 2).await?;
    /// assert_eq!(cache.stats().total.misses(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn misses(&self) -> u64 {
        self.misses_by_reason.iter().sum()
    }

    /// Misses for one reason.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, MissReason, Mode};
    ///
    /// let cache = Cache::memory();
    /// Mode::Refresh.scope(cache.get::<u32>("n", 1)).await?;
    /// let total = cache.stats().total;
    /// assert_eq!((total.misses_for(MissReason::TooOld), total.misses_for(MissReason::Absent)), (1, 0));
    /// # Ok(())
    /// # }
    /// ```
    pub fn misses_for(&self, reason: MissReason) -> u64 {
        self.misses_by_reason[reason as usize]
    }

    /// All errors of the store, of codecs and of keys.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::builder().memory().max_value(10).build()?;
    /// assert!(cache.set("text", 1, &"x".repeat(20)).await.is_err());
    /// assert_eq!(cache.stats().total.errors(), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn errors(&self) -> u64 {
        self.errors_by_kind.iter().sum()
    }

    /// Errors of one kind.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, ErrorKind, store::{faults::FaultStore, memory::MemoryStore}};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    /// let cache = Cache::builder().store(store.clone()).build()?;
    /// store.fail_all(ErrorKind::Connect);
    /// assert!(cache.get::<u32>("n", 1).await.is_err());
    /// assert_eq!(cache.stats().total.errors_of(ErrorKind::Connect), 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn errors_of(&self, kind: ErrorKind) -> u64 {
        self.errors_by_kind[kind.index()]
    }

    /// Hits among all reads, from 0 to 1; zero where there were none. A call that another caller's load answered
    /// was a miss.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// for _ in 0..4 {
    ///     cache.get_or_load("answer", (), async || 42).await;
    /// }
    /// assert_eq!(cache.stats().total.hit_rate(), 0.75);
    /// # }
    /// ```
    pub fn hit_rate(&self) -> f64 {
        let reads = self.hits + self.misses();
        #[expect(clippy::cast_precision_loss, reason = "a ratio")]
        let rate = if reads == 0 { 0.0 } else { self.hits as f64 / reads as f64 };
        rate
    }
}

impl Counters {
    pub(crate) fn record(&self, event: Event) {
        let (counter, by) = match event {
            Event::Hit => (&self.hits, 1),
            Event::Miss(reason) => (&self.misses[reason as usize], 1),
            Event::Load => (&self.loads, 1),
            Event::LoadFailed => (&self.failed_loads, 1),
            Event::SharedLoad => (&self.shared_loads, 1),
            Event::Fill => (&self.fills, 1),
            Event::RefusedFill => (&self.refused_fills, 1),
            Event::NotStored => (&self.not_stored, 1),
            Event::TooLarge => (&self.too_large, 1),
            Event::Evict(count) => (&self.evicts, count),
            Event::TagEvict(count) => (&self.tag_evicts, count),
            Event::Put => (&self.puts, 1),
            Event::Error(kind) => (&self.errors[kind.index()], 1),
            Event::FailedEvict => (&self.failed_evicts, 1),
            Event::BytesRead(bytes) => (&self.bytes_read, bytes as u64),
            Event::BytesWritten(bytes) => (&self.bytes_written, bytes as u64),
        };
        counter.fetch_add(by, Ordering::Relaxed);
    }

    pub(crate) fn load_took(&self, time: Duration) {
        self.load_time.record(time);
    }

    pub(crate) fn store_took(&self, time: Duration) {
        self.store_time.record(time);
    }
}

/// What a cache has done so far, in total and by site.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cache = cachemacro::Cache::memory();
/// cache.get_or_load("n", 1, async || 7).await;
/// let stats = cache.stats();
/// assert_eq!(stats.total.loads, 1);
/// assert!(stats.sites.is_empty(), "no annotated function was called");
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheStats {
    /// Everything.
    pub total: Stats,
    /// Each annotated function that was called, by module path and function name: `app::users::get`. Where methods of
    /// several types in one module share a name, each has the line of its attribute behind it: `app::users::get:12`.
    /// What an attribute evicts counts for its function, what a put does for the function of the entry.
    pub sites: Vec<(String, Stats)>,
}

impl CacheStats {
    /// The first site of this name, such as `"get_user"`, with as much of the module's path before it as is needed to
    /// tell it from others: `"users::get_user"`. With the line or without, where it has one.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{Cache, cached};
    ///
    /// #[cached(crate = cachemacro)]
    /// async fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let cache = Cache::memory();
    /// cache.scope(square(7)).await;
    /// assert_eq!(cache.stats().site("square").map(|site| site.loads), Some(1));
    /// # }
    /// ```
    pub fn site(&self, name: &str) -> Option<&Stats> {
        let ends = |site: &str| {
            site.strip_suffix(name).is_some_and(|before| before.is_empty() || before.ends_with("::"))
        };
        let named = |site: &str| ends(site) || ends(SiteId::plain(site));
        self.sites.iter().find(|(site, _)| named(site)).map(|(_, stats)| stats)
    }

    pub(crate) const fn new(total: Stats, sites: Vec<(String, Stats)>) -> Self {
        Self { total, sites }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_and_kind_is_counted_under_its_own_index() {
        let counters = Counters::default();
        for reason in MissReason::ALL {
            counters.record(Event::Miss(reason));
            assert_eq!(counters.snapshot().misses_for(reason), 1, "{}", reason.as_str());
        }
        for kind in ErrorKind::ALL {
            counters.record(Event::Error(kind));
            assert_eq!(counters.snapshot().errors_of(kind), 1, "{kind}");
        }
    }

    #[test]
    fn a_site_is_found_by_its_whole_name() {
        let site = |name: &str, hits: u64| {
            let counters = Counters::default();
            (0..hits).for_each(|_| counters.record(Event::Hit));
            (name.to_owned(), counters.snapshot())
        };
        let sites = vec![
            site("app::forget_user", 1),
            site("app::get_user", 2),
            site("app::old::get_user:7", 3),
            site("app::old::get_user:9:1", 4),
        ];
        let stats = CacheStats::new(Counters::default().snapshot(), sites);
        assert_eq!(stats.site("get_user").map(|site| site.hits), Some(2));
        assert_eq!(stats.site("old::get_user").map(|site| site.hits), Some(3));
        assert_eq!(stats.site("get_user:7").map(|site| site.hits), Some(3));
        assert_eq!(stats.site("old::get_user:9:1").map(|site| site.hits), Some(4));
        assert_eq!(stats.site("user"), None);
    }

    #[test]
    fn a_quantile_is_at_most_twice_the_true_value() {
        let histogram = AtomicHistogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), 1000);
        for (q, exact) in [(0.5, 500), (0.99, 990)] {
            let told = snapshot.quantile(q);
            assert!(
                told >= Duration::from_micros(exact) && told <= Duration::from_micros(2 * exact),
                "{told:?}"
            );
        }
    }
}
