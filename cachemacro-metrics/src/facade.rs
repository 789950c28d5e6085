//! For the [`metrics`] facade: publishes what the caches counted to the recorder that is installed.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use crate::Metrics;
use crate::bounds;
use crate::families::{Family, Labels, Rows};

/// Publishes the figures of caches to the recorder in place whenever it is told to, or at an interval.
///
/// Counters are published as they stand. Of times only buckets are known, so each new time is published as three quarters of its
/// bucket's bound, the middle of the bucket. A state that is known no more, such as what a queue of writes holds whose server does not
/// answer, is published as not a number, because no recorder can be told to forget it.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_metrics::{Metrics, facade::Publisher};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// let cache = Cache::memory();
/// let publisher = Publisher::new(Metrics::of("main", &cache));
/// let publishing = tokio::spawn(publisher.run(Duration::from_secs(10)));
/// # publishing.abort();
/// # }
/// ```
#[derive(Debug)]
#[must_use = "nothing is published before `publish` or `run`"]
pub struct Publisher {
    metrics: Metrics,
    /// How many times of each bucket were published.
    told: HashMap<(String, Labels), Vec<u64>>,
    /// The gauges that had a value when they were last published.
    gauges: HashSet<(String, Labels)>,
}

impl Publisher {
    /// A publisher of these caches' figures.
    ///
    /// ```
    /// use cachemacro_metrics::{Metrics, facade::Publisher};
    ///
    /// let publisher = Publisher::new(Metrics::of("main", &cachemacro::Cache::memory()));
    /// # drop(publisher);
    /// ```
    pub fn new(metrics: Metrics) -> Self {
        Self { metrics, told: HashMap::new(), gauges: HashSet::new() }
    }

    /// Publishes what is counted by now.
    ///
    /// ```
    /// use cachemacro_metrics::{Metrics, facade::Publisher};
    ///
    /// let mut publisher = Publisher::new(Metrics::of("main", &cachemacro::Cache::memory()));
    /// publisher.publish();
    /// ```
    pub fn publish(&mut self) {
        let mut unknown = std::mem::take(&mut self.gauges);
        for Family { name, help, rows } in self.metrics.families() {
            match rows {
                Rows::Counts(rows) => {
                    let name = format!("cachemacro_{name}_total");
                    metrics::describe_counter!(name.clone(), help);
                    for (labels, count) in rows {
                        metrics::counter!(name.clone(), &labels).absolute(count);
                    }
                }
                Rows::Gauges(rows) => {
                    let name = format!("cachemacro_{name}");
                    metrics::describe_gauge!(name.clone(), help);
                    for (labels, value) in rows {
                        #[expect(clippy::cast_precision_loss, reason = "exact up to 2^53")]
                        metrics::gauge!(name.clone(), &labels).set(value as f64);
                        let gauge = (name.clone(), labels);
                        unknown.remove(&gauge);
                        self.gauges.insert(gauge);
                    }
                }
                Rows::Times(rows) => {
                    let (family, name) = (&name, format!("cachemacro_{name}_seconds"));
                    metrics::describe_histogram!(name.clone(), metrics::Unit::Seconds, help);
                    for (labels, times) in rows {
                        let histogram = metrics::histogram!(name.clone(), &labels);
                        for (seconds, more) in self.more(&name, labels, &bounds::buckets(family, &times)) {
                            histogram.record_many(seconds, more);
                        }
                    }
                }
            }
        }
        for (name, labels) in unknown {
            metrics::gauge!(name, &labels).set(f64::NAN);
        }
        for labels in self.metrics.infos() {
            metrics::gauge!("cachemacro_info", &labels).set(1.0);
        }
    }

    /// Publishes at this interval until it is dropped; the first time at once.
    ///
    /// ```
    /// use cachemacro_metrics::{Metrics, facade::Publisher};
    /// use std::time::Duration;
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let publisher = Publisher::new(Metrics::of("main", &cachemacro::Cache::memory()));
    /// tokio::spawn(publisher.run(Duration::from_secs(10)));
    /// # }
    /// ```
    pub async fn run(mut self, every: Duration) {
        loop {
            self.publish();
            tokio::time::sleep(every).await;
        }
    }

    /// The times that were not published yet: how long, in seconds, and how many.
    fn more(&mut self, name: &str, labels: Labels, buckets: &[(Option<Duration>, u64)]) -> Vec<(f64, usize)> {
        let told = self.told.entry((name.to_owned(), labels)).or_insert_with(|| vec![0; buckets.len()]);
        let mut longest = 0.0;
        let mut more = Vec::new();
        for (told, (bound, count)) in told.iter_mut().zip(buckets) {
            // Times above the last bound are taken to lie below twice that bound.
            longest = bound.map_or(longest * 2.0, |bound| bound.as_secs_f64());
            let new = count.saturating_sub(std::mem::replace(told, *count));
            if let Ok(new) = usize::try_from(new)
                && new > 0
            {
                more.push((longest * 0.75, new));
            }
        }
        more
    }
}
