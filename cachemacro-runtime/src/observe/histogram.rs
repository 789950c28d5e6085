//! How long things took.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

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
    nanos: u64,
}

impl Histogram {
    const BUCKETS: usize = 32;

    /// How many took less than each bound and not less than the one before it, from under 1 µs on; the bounds double. The last
    /// has none: `None`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("answer", (), async || 42).await;
    /// let loads = cache.stats().total.load_time;
    /// for (bound, count) in loads.buckets().filter(|(_, count)| *count > 0) {
    ///     println!("{count} under {bound:?}");
    /// }
    /// assert_eq!(loads.buckets().map(|(_, count)| count).sum::<u64>(), loads.count());
    /// # }
    /// ```
    pub fn buckets(&self) -> impl Iterator<Item = (Option<Duration>, u64)> + '_ {
        let bound = |at: usize| (at < Self::BUCKETS - 1).then(|| Duration::from_micros(1 << at));
        self.buckets.iter().enumerate().map(move |(at, count)| (bound(at), *count))
    }

    /// How long all took together, to the nanosecond.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::memory();
    /// cache.get_or_load("n", 1, async || tokio::time::sleep(Duration::from_millis(2)).await).await;
    /// assert!(cache.stats().total.load_time.sum() >= Duration::from_millis(2));
    /// # }
    /// ```
    pub const fn sum(&self) -> Duration {
        Duration::from_nanos(self.nanos)
    }

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

impl Histogram {
    /// With what `other` recorded.
    pub(super) fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
        self.nanos = self.nanos.wrapping_add(other.nanos);
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
pub(crate) struct AtomicHistogram {
    buckets: [AtomicU64; Histogram::BUCKETS],
    /// Of all together; 584 years of them fit.
    nanos: AtomicU64,
}

impl AtomicHistogram {
    pub(super) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = (u64::BITS - micros.leading_zeros()) as usize;
        self.buckets[at.min(Histogram::BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.nanos.fetch_add(nanos, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Histogram {
        Histogram {
            buckets: std::array::from_fn(|at| self.buckets[at].load(Ordering::Relaxed)),
            nanos: self.nanos.load(Ordering::Relaxed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_at_most_twice_the_true_value() {
        let histogram = AtomicHistogram::default();
        for micros in 1..=1000 {
            histogram.record(Duration::from_micros(micros));
        }
        let snapshot = histogram.snapshot();
        assert_eq!(snapshot.count(), 1000);
        assert_eq!(snapshot.sum(), Duration::from_micros(500_500));
        for (q, exact) in [(0.5, 500), (0.99, 990)] {
            let told = snapshot.quantile(q);
            assert!(
                told >= Duration::from_micros(exact) && told <= Duration::from_micros(2 * exact),
                "{told:?}"
            );
        }
    }

    #[test]
    fn each_time_lies_below_the_bound_of_its_bucket() {
        for micros in [0, 1, 2, 3, 4, 1_000, 1 << 29, (1 << 30) - 1, 1 << 30, u64::MAX] {
            let histogram = AtomicHistogram::default();
            let took = Duration::from_micros(micros);
            histogram.record(took);
            let snapshot = histogram.snapshot();
            let mut below = Duration::ZERO;
            for (bound, count) in snapshot.buckets() {
                let within = took >= below && bound.is_none_or(|bound| took < bound);
                assert_eq!(count, u64::from(within), "{micros} µs under {bound:?}");
                below = bound.unwrap_or(Duration::MAX);
            }
        }
    }
}
