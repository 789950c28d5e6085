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

impl Histogram {
    /// With what `other` recorded.
    pub(super) fn add(&mut self, other: &Self) {
        for (bucket, more) in self.buckets.iter_mut().zip(other.buckets) {
            *bucket += more;
        }
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
pub(super) struct AtomicHistogram([AtomicU64; Histogram::BUCKETS]);

impl AtomicHistogram {
    pub(super) fn record(&self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let at = (u64::BITS - micros.leading_zeros()) as usize;
        self.0[at.min(Histogram::BUCKETS - 1)].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn snapshot(&self) -> Histogram {
        Histogram { buckets: std::array::from_fn(|at| self.0[at].load(Ordering::Relaxed)) }
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
        for (q, exact) in [(0.5, 500), (0.99, 990)] {
            let told = snapshot.quantile(q);
            assert!(
                told >= Duration::from_micros(exact) && told <= Duration::from_micros(2 * exact),
                "{told:?}"
            );
        }
    }
}
