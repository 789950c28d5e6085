//! For Prometheus: a [`Collector`] for a registry, and the text for a route.

use std::fmt;

use cachemacro::Histogram;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder, text};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::exemplar::Exemplar;
use prometheus_client::registry::{Registry, Unit};

use crate::bounds;
use crate::families::{Labels, Rows};
use crate::{Error, Metrics};

/// The content type of [`text`](text()).
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Has a registry ask these caches at every scrape.
///
/// # Errors
/// [`Error::AlreadyAttached`] where it asks caches already: the series would be there twice.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_metrics::{Metrics, prometheus};
/// use prometheus_client::{encoding::text, registry::Registry};
///
/// # fn main() -> Result<(), cachemacro_metrics::Error> {
/// let cache = Cache::memory();
/// let mut registry = Registry::default();
/// prometheus::register(Metrics::of("main", &cache), &mut registry)?;
///
/// let mut told = String::new();
/// text::encode(&mut told, &registry)?;
/// assert!(told.contains("cachemacro_hits_total"));
/// # Ok(())
/// # }
/// ```
pub fn register(metrics: Metrics, registry: &mut Registry) -> Result<(), Error> {
    let mut before = String::new();
    text::encode(&mut before, registry)?;
    if before.contains("cachemacro_info") {
        return Err(Error::AlreadyAttached);
    }
    registry.register_collector(Box::new(metrics));
    Ok(())
}

/// The figures in the text format that Prometheus scrapes, to be sent as [`CONTENT_TYPE`].
///
/// # Errors
/// [`Error::Unwritten`] where they could not be written, which a `String` never brings about.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_metrics::{Metrics, prometheus};
///
/// # fn main() -> Result<(), cachemacro_metrics::Error> {
/// let metrics = Metrics::of("main", &Cache::memory());
/// assert!(prometheus::text(&metrics)?.ends_with("# EOF\n"));
/// # Ok(())
/// # }
/// ```
pub fn text(metrics: &Metrics) -> Result<String, Error> {
    let mut registry = Registry::default();
    let caches = metrics.caches.clone();
    registry.register_collector(Box::new(Metrics { caches }));
    let mut told = String::new();
    text::encode(&mut told, &registry)?;
    Ok(told)
}

impl Collector for Metrics {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), fmt::Error> {
        for family in self.families() {
            let name = format!("cachemacro_{}", family.name);
            // A family without series is left out, name and help included.
            match family.rows {
                Rows::Counts(rows) if rows.is_empty() => {}
                Rows::Gauges(rows) if rows.is_empty() => {}
                Rows::Times(rows) if rows.is_empty() => {}
                Rows::Counts(rows) => {
                    let mut metric =
                        encoder.encode_descriptor(&name, &family.help, None, MetricType::Counter)?;
                    for (labels, count) in &rows {
                        let no_example: Option<&Exemplar<Labels, f64>> = None;
                        metric.encode_family(labels)?.encode_counter(count, no_example)?;
                    }
                }
                Rows::Gauges(rows) => {
                    let mut metric =
                        encoder.encode_descriptor(&name, &family.help, None, MetricType::Gauge)?;
                    for (labels, value) in &rows {
                        metric.encode_family(labels)?.encode_gauge(value)?;
                    }
                }
                Rows::Times(rows) => {
                    let seconds = Some(&Unit::Seconds);
                    let mut metric =
                        encoder.encode_descriptor(&name, &family.help, seconds, MetricType::Histogram)?;
                    for (labels, times) in &rows {
                        encode_times(metric.encode_family(labels)?, &family.name, times)?;
                    }
                }
            }
        }
        let help = "The caches of this process.";
        let mut metric = encoder.encode_descriptor("cachemacro", help, None, MetricType::Info)?;
        for labels in self.infos() {
            metric.encode_info(&labels)?;
        }
        Ok(())
    }
}

fn encode_times(mut metric: MetricEncoder<'_>, family: &str, times: &Histogram) -> Result<(), fmt::Error> {
    let bound = |bound: Option<std::time::Duration>| bound.map_or(f64::INFINITY, |bound| bound.as_secs_f64());
    let buckets = bounds::buckets(family, times);
    let buckets: Vec<_> = buckets.iter().map(|(upper, count)| (bound(*upper), *count)).collect();
    metric.encode_histogram::<Labels>(times.sum().as_secs_f64(), times.count(), &buckets, None)
}
