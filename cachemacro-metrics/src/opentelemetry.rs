//! For OpenTelemetry: observable instruments that ask the caches whenever the SDK collects.

use std::sync::Arc;

use opentelemetry::KeyValue;
use opentelemetry::metrics::Meter;

use crate::Metrics;
use crate::families::{Family, Labels, Rows};

/// Has a meter observe these caches. They are asked until its provider is shut down.
///
/// Counters are named `cachemacro.hits`, `cachemacro.misses` and so on. The SDK takes no ready histogram, so times are told as
/// `cachemacro.load_time.sum` in seconds and `cachemacro.load_time.count`.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_metrics::{Metrics, opentelemetry::observe};
/// use opentelemetry::metrics::MeterProvider;
/// use opentelemetry_sdk::metrics::SdkMeterProvider;
///
/// let cache = Cache::memory();
/// let provider = SdkMeterProvider::builder().build();
/// observe(Metrics::of("main", &cache), &provider.meter("app"));
/// ```
pub fn observe(metrics: Metrics, meter: &Meter) {
    let metrics = Arc::new(metrics);
    for (at, family) in metrics.families().into_iter().enumerate() {
        let Family { name, help, rows } = family;
        match rows {
            Rows::Counts(_) => {
                let metrics = metrics.clone();
                meter
                    .u64_observable_counter(format!("cachemacro.{name}"))
                    .with_description(help)
                    .with_callback(move |instrument| {
                        let Some(Rows::Counts(rows)) = rows_at(&metrics, at) else { return };
                        for (labels, count) in rows {
                            instrument.observe(count, &attributes(labels));
                        }
                    })
                    .build();
            }
            Rows::Times(_) => {
                let (sums, counts) = (metrics.clone(), metrics.clone());
                meter
                    .f64_observable_counter(format!("cachemacro.{name}.sum"))
                    .with_unit("s")
                    .with_description(help.clone())
                    .with_callback(move |instrument| {
                        let Some(Rows::Times(rows)) = rows_at(&sums, at) else { return };
                        for (labels, times) in rows {
                            instrument.observe(times.sum.as_secs_f64(), &attributes(labels));
                        }
                    })
                    .build();
                meter
                    .u64_observable_counter(format!("cachemacro.{name}.count"))
                    .with_description(help)
                    .with_callback(move |instrument| {
                        let Some(Rows::Times(rows)) = rows_at(&counts, at) else { return };
                        for (labels, times) in rows {
                            instrument.observe(times.count, &attributes(labels));
                        }
                    })
                    .build();
            }
        }
    }
    meter
        .u64_observable_gauge("cachemacro.info")
        .with_description("The caches of this process.")
        .with_callback(move |instrument| {
            for labels in metrics.infos() {
                instrument.observe(1, &attributes(labels));
            }
        })
        .build();
}

/// The rows of one family now. Families are always the same, in the same order.
fn rows_at(metrics: &Metrics, at: usize) -> Option<Rows> {
    metrics.families().into_iter().nth(at).map(|family| family.rows)
}

fn attributes(labels: Labels) -> Vec<KeyValue> {
    labels.into_iter().map(|(name, value)| KeyValue::new(name, value)).collect()
}
