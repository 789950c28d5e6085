//! What happened, counted per site and in total.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use crate::ground::error::ErrorKind;
use crate::ground::unstorable::Unstorable;
use crate::observe::breaker::BreakerState;
use crate::observe::event::{Event, Observation, Observer};
use crate::observe::finding::Checked;
use crate::observe::histogram::{AtomicHistogram, Histogram};
use crate::observe::hot::{HotKey, HotKeys, ONE_IN};
use crate::observe::local::LocalStats;
use crate::observe::pool::Pool;
use crate::observe::reason::MissReason;
use crate::observe::shapes::{Shape, Shapes};
use crate::observe::site::SiteId;
use crate::observe::spread::SpreadCounter;
use crate::observe::streak::Streak;
use crate::observe::write_behind::QueueStats;

macro_rules! counters {
    ($($(#[doc = $doc:expr])* $name:ident: $counter:ty),* $(,)?) => {
        /// Counters of one site, or of what has none.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            site: Option<SiteId>,
            /// Whether its keys are another site's: 1 for no, 2 for yes, 0 where nobody asked yet.
            clashes: AtomicU8,
            /// Looks at the store that found nothing.
            pub(crate) absent: Streak,
            shapes: Shapes,
            hot: HotKeys,
            $($name: $counter,)*
            misses: [AtomicU64; MissReason::ALL.len()],
            errors: [AtomicU64; ErrorKind::ALL.len()],
            unstorable: [AtomicU64; Unstorable::ALL.len()],
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
            $($(#[doc = $doc])* pub $name: u64,)*
            misses: [u64; MissReason::ALL.len()],
            errors: [u64; ErrorKind::ALL.len()],
            unstorable: [u64; Unstorable::ALL.len()],
            /// How long the users' functions took.
            pub load_time: Histogram,
            /// How long the store's round trips took.
            pub store_time: Histogram,
        }

        impl Counters {
            pub(crate) fn snapshot(&self) -> Stats {
                let mut stats = Stats {
                    $($name: self.$name.load(Ordering::Relaxed),)*
                    misses: std::array::from_fn(|at| self.misses[at].load(Ordering::Relaxed)),
                    errors: std::array::from_fn(|at| self.errors[at].load(Ordering::Relaxed)),
                    unstorable: std::array::from_fn(|at| self.unstorable[at].load(Ordering::Relaxed)),
                    load_time: self.load_time.snapshot(),
                    store_time: self.store_time.snapshot(),
                };
                // Each hit is counted in one place.
                stats.hits += stats.local_hits + stats.stale_hits;
                stats
            }
        }

        impl Stats {
            /// Each count that is a field, in the order of the fields, so that an exporter forgets none. What is counted by
            /// reason or kind, and times, are not among them.
            ///
            /// ```
            /// let cache = cachemacro_runtime::Cache::memory();
            /// for count in cache.stats().total.counts() {
            ///     println!("{} {} # {}", count.name, count.value, count.help);
            /// }
            /// ```
            pub fn counts(&self) -> impl Iterator<Item = Count> + use<> {
                [$(Count {
                    name: stringify!($name),
                    help: concat!($($doc),*).trim_ascii(),
                    value: self.$name,
                },)*]
                .into_iter()
            }

            /// With what `other` counted.
            fn add(&mut self, other: &Self) {
                $(self.$name += other.$name;)*
                for (count, more) in self.misses.iter_mut().zip(other.misses) {
                    *count += more;
                }
                for (count, more) in self.errors.iter_mut().zip(other.errors) {
                    *count += more;
                }
                for (count, more) in self.unstorable.iter_mut().zip(other.unstorable) {
                    *count += more;
                }
                self.load_time.add(&other.load_time);
                self.store_time.add(&other.store_time);
            }
        }
    };
}

counters! {
    /// Reads answered from the store, or by a local copy.
    hits: SpreadCounter,
    /// Reads answered by a decoded value in this process, without a look at the store. They are hits too.
    local_hits: SpreadCounter,
    /// Hits that were answered with a stale value. They are hits, and `stale`, too.
    stale_hits: AtomicU64,
    /// Calls answered with a stale value: hits, and failed loads in whose place one stood.
    stale: AtomicU64,
    /// Calls elected to load a value anew that was due or stale.
    refreshes: AtomicU64,
    /// The users' functions run by the cache.
    loads: AtomicU64,
    /// Loads that returned `Err`.
    failed_loads: AtomicU64,
    /// Loads made ahead of use, by warm-ups and prefetches. They count neither as hits nor as misses.
    warmed: AtomicU64,
    /// Calls answered by another caller's load in this process.
    shared_loads: AtomicU64,
    /// Values stored under a lease: after a load, or by a put.
    fills: AtomicU64,
    /// Values not stored because an evict, a put or another loader came between.
    refused_fills: AtomicU64,
    /// Values that were not to be stored: `None`, `unless`, a TTL of zero, an unusable encoding.
    not_stored: AtomicU64,
    /// Values returned but not stored because they are over the size limit.
    too_large: AtomicU64,
    /// Entries evicted one by one or by prefix.
    evicts: AtomicU64,
    /// Tags evicted.
    tag_evicts: AtomicU64,
    /// Values written through.
    puts: AtomicU64,
    /// Evicts that did not reach the store when they were sent. They are kept and sent again.
    failed_evicts: AtomicU64,
    /// Keys, tags and prefixes whose evict had failed and reached the store after all.
    replayed_evicts: AtomicU64,
    /// Hits that were held against what the function returns, and were that, or may differ.
    consistent: AtomicU64,
    /// Such hits that differed, and were evicted, replaced or about to be by then.
    overtaken: AtomicU64,
    /// Values that differed from what the function returns, and still did when they were looked at again.
    inconsistent: AtomicU64,
    /// Looks that came to nothing: the function failed, or nobody asked again.
    inconclusive: AtomicU64,
    /// Bytes of entries read.
    bytes_read: AtomicU64,
    /// Bytes of entries written.
    bytes_written: AtomicU64,
}

/// One count of [`Stats`], for what shows them all.
///
/// ```
/// let counts: Vec<_> = cachemacro_runtime::Cache::memory().stats().total.counts().collect();
/// assert_eq!((counts[0].name, counts[0].value), ("hits", 0));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Count {
    /// The field's name.
    pub name: &'static str,
    /// What it counts, in a sentence.
    pub help: &'static str,
    /// How many so far.
    pub value: u64,
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
        self.misses.iter().sum()
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
        self.misses[reason as usize]
    }

    /// Misses by reason, those that never happened included.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get::<u32>("n", 1).await?;
    /// for (reason, count) in cache.stats().total.misses_by_reason() {
    ///     assert_eq!(count, u64::from(reason == cachemacro::MissReason::Absent), "{}", reason.as_str());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn misses_by_reason(&self) -> impl Iterator<Item = (MissReason, u64)> + '_ {
        MissReason::ALL.iter().map(|&reason| (reason, self.misses_for(reason)))
    }

    /// Errors by kind, those that never happened included.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("n", 1, async || 7).await;
    /// assert!(cache.stats().total.errors_by_kind().all(|(_, count)| count == 0));
    /// # }
    /// ```
    pub fn errors_by_kind(&self) -> impl Iterator<Item = (ErrorKind, u64)> + '_ {
        ErrorKind::ALL.iter().map(|&kind| (kind, self.errors_of(kind)))
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
        self.errors.iter().sum()
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
        self.errors[kind.index()]
    }

    /// Values that were returned and not stored because they would not come back as they are, for one reason.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{Cache, Unstorable, codec::Json};
    ///
    /// let cache = Cache::memory();
    /// let found = cache.entry::<Option<Option<u8>>>("found", 1).with_codec::<Json>();
    /// assert_eq!(found.get_or_load(async || Some(None)).await, Some(None), "JSON would bring back `None`");
    /// assert_eq!(cache.stats().total.unstorable_for(Unstorable::EmptySome), 1);
    /// # }
    /// ```
    pub fn unstorable_for(&self, why: Unstorable) -> u64 {
        self.unstorable[why.index()]
    }

    /// Values that were returned and not stored because they would not come back as they are, by reason, those that never
    /// happened included.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("n", 1, async || 7).await;
    /// assert!(cache.stats().total.unstorable_by_reason().all(|(_, count)| count == 0));
    /// # }
    /// ```
    pub fn unstorable_by_reason(&self) -> impl Iterator<Item = (Unstorable, u64)> + '_ {
        Unstorable::ALL.iter().map(|&why| (why, self.unstorable_for(why)))
    }

    /// How long the hits would have taken as loads, less what their reads took: both as long as they took on average. Zero where
    /// loads are faster.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::memory();
    /// for _ in 0..3 {
    ///     cache.get_or_load("n", 1, async || tokio::time::sleep(Duration::from_millis(5)).await).await;
    /// }
    /// assert!(cache.stats().total.time_saved() >= Duration::from_millis(5), "two loads");
    /// # }
    /// ```
    pub fn time_saved(&self) -> Duration {
        let all = |times: &Histogram, hits: u64| match times.count() {
            0 => 0,
            count => times.sum().as_nanos() * u128::from(hits) / u128::from(count),
        };
        let loads = all(&self.load_time, self.hits);
        let reads = all(&self.store_time, self.hits.saturating_sub(self.local_hits));
        Duration::from_nanos(u64::try_from(loads.saturating_sub(reads)).unwrap_or(u64::MAX))
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

/// The counters are the first observer: each counts what happened at its site, or at none.
impl Observer for Counters {
    fn event(&self, seen: &Observation<'_>) {
        let (counter, by) = match seen.event {
            Event::Hit if seen.local => return self.local_hits.fetch_add(1, Ordering::Relaxed),
            Event::Hit if seen.stale => (&self.stale_hits, 1),
            Event::Hit => return self.hits.fetch_add(1, Ordering::Relaxed),
            Event::Miss(reason) => (&self.misses[reason as usize], 1),
            Event::Stale => (&self.stale, 1),
            Event::Refresh => (&self.refreshes, 1),
            Event::Load => (&self.loads, 1),
            Event::LoadFailed => (&self.failed_loads, 1),
            Event::Warmed => (&self.warmed, 1),
            Event::SharedLoad => (&self.shared_loads, 1),
            Event::Fill => (&self.fills, 1),
            Event::RefusedFill => (&self.refused_fills, 1),
            Event::NotStored => (&self.not_stored, 1),
            Event::Unstorable(why) => (&self.unstorable[why.index()], 1),
            Event::TooLarge => (&self.too_large, 1),
            Event::Evict(count) => (&self.evicts, count),
            Event::TagEvict(count) => (&self.tag_evicts, count),
            Event::Put => (&self.puts, 1),
            Event::Error(kind) => (&self.errors[kind.index()], 1),
            Event::FailedEvict(_) => (&self.failed_evicts, 1),
            Event::Replay(count) => (&self.replayed_evicts, count),
            Event::Checked(Checked::Consistent) => (&self.consistent, 1),
            Event::Checked(Checked::Overtaken) => (&self.overtaken, 1),
            Event::Checked(Checked::Inconsistent) => (&self.inconsistent, 1),
            Event::Checked(Checked::Inconclusive) => (&self.inconclusive, 1),
            Event::BytesRead(bytes) => (&self.bytes_read, bytes as u64),
            Event::BytesWritten(bytes) => (&self.bytes_written, bytes as u64),
            Event::Loaded => return self.load_time.record(seen.took.unwrap_or_default()),
            Event::StoreCall => return self.store_time.record(seen.took.unwrap_or_default()),
            // The breaker counts for itself: several caches may share its store.
            Event::Breaker(_) => return,
        };
        counter.fetch_add(by, Ordering::Relaxed);
    }
}

impl Counters {
    /// The counters of a site.
    pub(crate) fn at(site: SiteId) -> Self {
        Self { site: Some(site), ..Self::default() }
    }

    /// Counts a [hit](Event::Hit), as [`event`](Observer::event) does; on every hit, so without a look at what happened.
    #[inline]
    pub(crate) fn hit(&self) {
        self.hits.fetch_add(1, Ordering::Relaxed);
    }

    /// The same of one that asked no store.
    #[inline]
    pub(crate) fn local_hit(&self) {
        self.local_hits.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the site's keys are another's; `None` where that was not asked yet.
    pub(crate) fn clashes(&self) -> Option<bool> {
        match self.clashes.load(Ordering::Relaxed) {
            0 => None,
            state => Some(state == 2),
        }
    }

    /// Whether this is the first answer.
    pub(crate) fn set_clashes(&self, clashes: bool) -> bool {
        self.clashes.swap(1 + u8::from(clashes), Ordering::Relaxed) == 0
    }

    /// Takes note of what the site's stored values are like.
    pub(crate) fn stores(
        &self,
        prefix: &str,
        codec: u8,
        schema: u64,
        layout: impl FnOnce() -> Option<Arc<str>>,
    ) {
        self.shapes.note(prefix, codec, schema, layout);
    }

    /// What its stored values are like, as far as this process stored some.
    pub(crate) fn shapes(&self) -> Vec<Shape> {
        self.shapes.noted()
    }

    /// Whether the next hit that this thread counts is one whose key is to be noted.
    pub(crate) fn is_next_sampled(&self) -> bool {
        let hits = self.hits.here().wrapping_add(self.local_hits.here());
        hits % ONE_IN == ONE_IN - 1
    }

    /// Takes note that the key of this hash was asked for.
    pub(crate) fn asked_for(&self, key: u64) {
        self.hot.note(key);
    }

    /// The keys that are asked for most.
    pub(crate) fn hot(&self) -> Vec<HotKey> {
        self.hot.told()
    }

    /// The site that they count for.
    pub(crate) fn site(&self) -> Option<&SiteId> {
        self.site.as_ref()
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
/// assert_eq!(stats.direct, stats.total);
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct CacheStats {
    /// Everything: the sum of `sites` and `direct`.
    pub total: Stats,
    /// What belongs to no annotated function: entries by hand, and work that many calls share.
    pub direct: Stats,
    /// Each annotated function that was called, by module path and function name: `app::users::get`. Where methods of
    /// several types in one module share a name, each has the line of its attribute behind it: `app::users::get:12`.
    /// What an attribute evicts counts for its function, what a put does for the function of the entry.
    pub sites: Vec<(String, Stats)>,
    /// The values that this process holds for sync functions.
    pub local: LocalStats,
    /// The state of the breaker around the store, where there is one.
    pub breaker: Option<BreakerState>,
    /// How often that breaker opened.
    pub breaker_trips: u64,
    /// The connections to the server, where there are some.
    pub pool: Option<Pool>,
    /// Evicted keys, tags and prefixes that have not reached the store yet.
    pub kept_evicts: u64,
    /// How long each operation of the store took, by its name (`read`, `lease`, `write`), of those that were asked for: together
    /// `total.store_time`.
    pub store_times: Vec<(&'static str, Histogram)>,
    /// Loads that are under way in this process, each of one key, however many callers wait for it.
    pub flights: u64,
    /// The queues of writes that this process has or had of this cache (feature `write-behind`), by name. What they hold is what was seen some seconds ago,
    /// where that is known: [`QueueStats::seen`].
    pub queues: Vec<(String, QueueStats)>,
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

    /// The sum of what was counted at no site and at each.
    pub(crate) fn sum(direct: Stats, sites: Vec<(String, Stats)>, local: LocalStats) -> Self {
        let mut total = direct.clone();
        for (_, stats) in &sites {
            total.add(stats);
        }
        Self {
            total,
            direct,
            sites,
            local,
            breaker: None,
            breaker_trips: 0,
            pool: None,
            kept_evicts: 0,
            store_times: Vec::new(),
            flights: 0,
            queues: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_reason_and_kind_is_counted_under_its_own_index() {
        let counters = Counters::default();
        for &reason in MissReason::ALL {
            counters.event(&Observation::of(Event::Miss(reason)));
            assert_eq!(counters.snapshot().misses_for(reason), 1, "{}", reason.as_str());
        }
        for &why in Unstorable::ALL {
            counters.event(&Observation::of(Event::Unstorable(why)));
            assert_eq!(counters.snapshot().unstorable_for(why), 1, "{why}");
        }
        for &kind in ErrorKind::ALL {
            counters.event(&Observation::of(Event::Error(kind)));
            assert_eq!(counters.snapshot().errors_of(kind), 1, "{kind}");
        }
    }

    #[test]
    fn saved_is_what_hits_would_have_taken_as_loads_less_their_reads() {
        let counters = Counters::default();
        let tell = |event, millis| {
            counters.event(&Observation::of(event).took(Duration::from_millis(millis)));
        };
        tell(Event::Loaded, 30);
        tell(Event::Loaded, 50);
        tell(Event::StoreCall, 2);
        tell(Event::StoreCall, 4);
        assert_eq!(counters.snapshot().time_saved(), Duration::ZERO, "nothing was hit");
        (0..3).for_each(|_| counters.event(&Observation::of(Event::Hit)));
        counters.event(&Observation::of(Event::Hit).here());
        // Four loads of 40 ms, three reads of 3 ms: a local hit reads nothing.
        assert_eq!(counters.snapshot().time_saved(), Duration::from_millis(4 * 40 - 3 * 3));
        tell(Event::StoreCall, 60_000);
        assert_eq!(counters.snapshot().time_saved(), Duration::ZERO, "never below");
    }

    #[test]
    fn a_site_is_found_by_its_whole_name() {
        let site = |name: &str, hits: u64| {
            let counters = Counters::default();
            (0..hits).for_each(|_| counters.event(&Observation::of(Event::Hit)));
            (name.to_owned(), counters.snapshot())
        };
        let sites = vec![
            site("app::forget_user", 1),
            site("app::get_user", 2),
            site("app::old::get_user:7", 3),
            site("app::old::get_user:9:1", 4),
        ];
        let stats = CacheStats::sum(Counters::default().snapshot(), sites, LocalStats::default());
        assert_eq!(stats.site("get_user").map(|site| site.hits), Some(2));
        assert_eq!(stats.site("old::get_user").map(|site| site.hits), Some(3));
        assert_eq!(stats.site("get_user:7").map(|site| site.hits), Some(3));
        assert_eq!(stats.site("old::get_user:9:1").map(|site| site.hits), Some(4));
        assert_eq!(stats.site("user"), None);
    }
}
