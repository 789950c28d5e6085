//! For OpenTelemetry: observable instruments that ask the caches whenever the SDK collects.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

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
    let families = metrics.families();
    let infos: Vec<_> = metrics.infos().collect();
    observe_pools(&metrics, meter);
    let snapshots = Arc::new(Snapshots::new(move || metrics.families()));
    for (at, family) in families.into_iter().enumerate() {
        let Family { name, help, rows } = family;
        match rows {
            Rows::Counts(_) => {
                let snapshots = snapshots.clone();
                meter
                    .u64_observable_counter(format!("cachemacro.{name}"))
                    .with_description(help)
                    .with_callback(move |instrument| {
                        if let Rows::Counts(rows) = &snapshots.of(2 * at)[at].rows {
                            for (labels, count) in rows {
                                instrument.observe(*count, &attributes(labels));
                            }
                        }
                    })
                    .build();
            }
            Rows::Gauges(_) => {
                let snapshots = snapshots.clone();
                meter
                    .u64_observable_gauge(format!("cachemacro.{name}"))
                    .with_description(help)
                    .with_callback(move |instrument| {
                        if let Rows::Gauges(rows) = &snapshots.of(2 * at)[at].rows {
                            for (labels, value) in rows {
                                instrument.observe(*value, &attributes(labels));
                            }
                        }
                    })
                    .build();
            }
            Rows::Times(_) => {
                let (sums, counts) = (snapshots.clone(), snapshots.clone());
                meter
                    .f64_observable_counter(format!("cachemacro.{name}.sum"))
                    .with_unit("s")
                    .with_description(help.clone())
                    .with_callback(move |instrument| {
                        if let Rows::Times(rows) = &sums.of(2 * at)[at].rows {
                            for (labels, times) in rows {
                                instrument.observe(times.sum().as_secs_f64(), &attributes(labels));
                            }
                        }
                    })
                    .build();
                meter
                    .u64_observable_counter(format!("cachemacro.{name}.count"))
                    .with_description(help)
                    .with_callback(move |instrument| {
                        if let Rows::Times(rows) = &counts.of(2 * at + 1)[at].rows {
                            for (labels, times) in rows {
                                instrument.observe(times.count(), &attributes(labels));
                            }
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
            for labels in &infos {
                instrument.observe(1, &attributes(labels));
            }
        })
        .build();
}

/// The connections once more, by OpenTelemetry's conventions for clients of databases.
fn observe_pools(metrics: &Metrics, meter: &Meter) {
    let caches = metrics.caches.clone();
    let pools = move || -> Vec<(String, cachemacro::Pool)> {
        caches.iter().filter_map(|(name, cache)| Some((name.clone(), cache.stats().pool?))).collect()
    };
    let named = |pool: &str| KeyValue::new("db.client.connection.pool.name", pool.to_owned());
    let known = Arc::new(Snapshots::new(pools));
    let snapshots = known.clone();
    meter
        .i64_observable_up_down_counter("db.client.connection.count")
        .with_unit("{connection}")
        .with_description("Connections to the server; those that all calls share are in use.")
        .with_callback(move |instrument| {
            for (name, pool) in snapshots.of(0).iter() {
                for (state, count) in [("idle", pool.idle), ("used", pool.shared + pool.in_use)] {
                    let state = KeyValue::new("db.client.connection.state", state);
                    instrument.observe(i64::try_from(count).unwrap_or(i64::MAX), &[named(name), state]);
                }
            }
        })
        .build();
    meter
        .i64_observable_up_down_counter("db.client.connection.pending_requests")
        .with_unit("{request}")
        .with_description("Callers that wait for a pooled connection.")
        .with_callback(move |instrument| {
            for (name, pool) in known.of(1).iter() {
                instrument.observe(i64::try_from(pool.waiting).unwrap_or(i64::MAX), &[named(name)]);
            }
        })
        .build();
}

/// Snapshots, one for each collection, taken by its first instrument and shared by the others. An instrument asks once in a collection,
/// so one that asks again has begun the next.
struct Snapshots<T> {
    take: Box<dyn Fn() -> T + Send + Sync>,
    last: Mutex<Option<(Arc<T>, HashSet<usize>)>>,
}

impl<T> Snapshots<T> {
    fn new(take: impl Fn() -> T + Send + Sync + 'static) -> Self {
        Self { take: Box::new(take), last: Mutex::new(None) }
    }

    /// The snapshot that the instrument of this number is to tell from.
    fn of(&self, instrument: usize) -> Arc<T> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((snapshot, told)) = &mut *last
            && told.insert(instrument)
        {
            return snapshot.clone();
        }
        let snapshot = Arc::new((self.take)());
        *last = Some((snapshot.clone(), HashSet::from([instrument])));
        snapshot
    }
}

fn attributes(labels: &Labels) -> Vec<KeyValue> {
    labels.iter().map(|(name, value)| KeyValue::new(*name, value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn the_instruments_of_a_collection_share_one_snapshot_and_the_next_has_another() {
        let taken = AtomicUsize::new(0);
        let snapshots = Snapshots::new(move || taken.fetch_add(1, Ordering::Relaxed));
        for collection in 0..3 {
            for instrument in 0..20 {
                assert_eq!(*snapshots.of(instrument), collection);
            }
        }
    }
}
