//! What the exporters tell, held against what the caches counted.

#![cfg(all(feature = "prometheus", feature = "metrics", feature = "opentelemetry"))]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use cachemacro::{Batch, Cache, Clock, ErrorKind, Event, MissReason, QueueStats, Stats, WriteBehind, cached};
use cachemacro_metrics::{Error, Metrics, facade::Publisher, opentelemetry::observe, prometheus};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};
use opentelemetry::metrics::MeterProvider as _;
use opentelemetry_sdk::metrics::data::{AggregatedMetrics, MetricData};
use opentelemetry_sdk::metrics::{InMemoryMetricExporter, PeriodicReader, SdkMeterProvider};
use prometheus_client::registry::Registry;

#[cached(ttl = "1m")]
async fn square(n: u64) -> u64 {
    n * n
}

#[cached(ttl = "1m", tags = ["names"])]
async fn name(id: u64) -> Result<String, std::fmt::Error> {
    if id == 0 { Err(std::fmt::Error) } else { Ok(format!("name {id}")) }
}

/// A cache on which a bit of everything was done.
async fn used() -> Cache {
    let cache = Cache::builder().memory().max_value(1_000).build().unwrap();
    let calls = async {
        for n in [1, 1, 2, 1] {
            square(n).await;
        }
        for id in [0, 1, 1] {
            let _ = name(id).await;
        }
    };
    cache.scope(calls).await;
    cache.set("by-hand", 1, &7_u32).await.unwrap();
    assert!(cache.set("by-hand", 2, &"x".repeat(2_000)).await.is_err());
    cache.get_or_load("slow", 1, async || tokio::time::sleep(Duration::from_millis(2)).await).await;
    cache.evict_tags(["names"]).await.unwrap();
    cache
}

/// Each count of a cache by name, with the sums of what is counted by reason or kind.
fn counts(stats: &Stats) -> BTreeMap<String, u64> {
    let mut counts: BTreeMap<String, u64> =
        stats.counts().map(|count| (count.name.to_owned(), count.value)).collect();
    counts.insert("misses".to_owned(), stats.misses());
    counts.insert("errors".to_owned(), stats.errors());
    counts.insert("unstorable".to_owned(), stats.unstorable_by_reason().map(|(_, count)| count).sum());
    // Labels of the hits.
    counts.remove("local_hits");
    counts.remove("stale_hits");
    counts.retain(|_, count| *count > 0);
    counts
}

/// The series of a text: name with labels, and value.
fn series(text: &str) -> impl Iterator<Item = (&str, f64)> {
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap();
        (series, value.parse().unwrap())
    })
}

/// The counters of a text by name, summed over their labels.
fn sums(text: &str) -> BTreeMap<String, u64> {
    let mut sums: BTreeMap<String, u64> = BTreeMap::new();
    for (series, value) in series(text) {
        let name = series.split('{').next().unwrap();
        if let Some(name) = name.strip_prefix("cachemacro_").and_then(|name| name.strip_suffix("_total")) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
            let count = value as u64;
            *sums.entry(name.to_owned()).or_default() += count;
        }
    }
    sums.retain(|_, count| *count > 0);
    sums
}

#[tokio::test]
async fn every_field_of_the_figures_is_told() {
    let cache = used().await;
    let text = prometheus::text(&Metrics::of("main", &cache)).unwrap();
    let told: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE cachemacro_")?.split(' ').next())
        .map(|name| name.trim_end_matches("_seconds"))
        .collect();
    // The derived `Debug` names every field.
    let shown = format!("{:#?}", cache.stats().total);
    let fields = shown.lines().filter_map(|line| line.strip_prefix("    "));
    let fields: BTreeSet<&str> = fields
        .filter(|line| !line.starts_with([' ', ']', '}']))
        .filter_map(|line| line.split(':').next())
        .collect();
    assert!(fields.len() > 15, "{fields:?}");
    let others = BTreeSet::from(["local_hits", "stale_hits", "unstorable"]);
    let untold: BTreeSet<_> = fields.difference(&told).copied().collect();
    assert_eq!(untold, others, "two are labels of the hits, of the other there is none");
}

#[tokio::test]
async fn prometheus_is_told_what_was_counted_once() {
    let (cache, other) = (used().await, Cache::memory());
    let metrics = Metrics::of("main", &cache).and("other", &other).unwrap();
    let text = prometheus::text(&metrics).unwrap();
    let total = cache.stats().total;
    assert_eq!(sums(&text), counts(&total));

    let value = |wanted: &str| series(&text).find(|(series, _)| *series == wanted).map(|(_, value)| value);
    let hits = |tier: &str| {
        value(&format!(
            r#"cachemacro_hits_total{{cache="main",site="exporters::square",tier="{tier}",state="fresh"}}"#
        ))
    };
    let by_tier = (hits("store"), hits("local"));
    let local = cache.stats().site("square").map_or(0, |stats| stats.local_hits);
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let told = (Some(2.0 - local as f64), (local > 0).then_some(local as f64));
    assert_eq!(by_tier, told);
    assert_eq!(value(r#"cachemacro_failed_loads_total{cache="main",site="exporters::name"}"#), Some(1.0));
    assert_eq!(value(r#"cachemacro_puts_total{cache="main",site="direct"}"#), Some(1.0));
    assert_eq!(
        value(r#"cachemacro_misses_total{cache="main",site="exporters::square",reason="absent"}"#),
        Some(2.0)
    );
    let loads = r#"{cache="main",site="exporters::square"}"#;
    assert_eq!(value(&format!("cachemacro_load_time_seconds_count{loads}")), Some(2.0));
    let slow = value(r#"cachemacro_load_time_seconds_sum{cache="main",site="direct"}"#).unwrap();
    assert!((0.002..10.0).contains(&slow), "{slow} seconds");
    let round_trips = |operation: &str| {
        value(&format!(r#"cachemacro_store_time_seconds_count{{cache="main",operation="{operation}"}}"#))
    };
    #[expect(clippy::cast_precision_loss, reason = "few")]
    let all = total.store_time.count() as f64;
    let told: f64 =
        ["read", "versions", "capture", "lease", "keep", "write", "increment", "evict", "pending"]
            .into_iter()
            .filter_map(round_trips)
            .sum();
    assert!((told - all).abs() < 0.5 && round_trips("read") > Some(0.0), "{told} of {all}");
    assert_eq!(
        value(&format!(r#"cachemacro_info{{cache="other",version="{}"}}"#, env!("CARGO_PKG_VERSION"))),
        Some(1.0)
    );
}

#[tokio::test]
async fn hits_are_fresh_or_stale_and_their_sum_is_exact() {
    let clock = Clock::manual();
    let settings = Cache::builder().memory().ttl(Duration::from_mins(1)).stale(Duration::from_hours(1));
    let cache = settings.clock(clock.clone()).build().unwrap();
    let entry = cache.entry::<u32>("rate", 1);
    let load =
        async |fails: bool| entry.try_get_or_load(async || if fails { Err("gone") } else { Ok(95) }).await;
    assert_eq!(load(false).await, Ok(95));
    assert_eq!(load(false).await, Ok(95), "fresh");
    clock.advance(Duration::from_secs(61));
    // The first is elected, and its load fails; for a while nobody tries again.
    for _ in 0..3 {
        assert_eq!(load(true).await, Ok(95), "stale");
    }
    let total = cache.stats().total;
    assert_eq!((total.hits, total.stale_hits, total.stale), (3, 2, 3), "and one stood in for a load");
    let text = prometheus::text(&Metrics::of("main", &cache)).unwrap();
    let hits = |state: &str| {
        let wanted =
            format!(r#"cachemacro_hits_total{{cache="main",site="direct",tier="store",state="{state}"}}"#);
        series(&text).find(|(series, _)| *series == wanted).map(|(_, value)| value)
    };
    assert_eq!((hits("fresh"), hits("stale")), (Some(1.0), Some(2.0)), "{text}");
    assert_eq!(sums(&text), counts(&total));
}

/// The names of the fields of a struct, by its derived `Debug`.
fn fields(shown: &str) -> BTreeSet<String> {
    let fields = shown.lines().filter_map(|line| line.strip_prefix("    "));
    let fields = fields.filter(|line| !line.starts_with([' ', ']', '}', ')']));
    fields.filter_map(|line| Some(line.split_once(':')?.0.to_owned())).collect()
}

/// What is told of a cache as a whole, field by field: one that comes new fails here until an exporter tells it.
#[tokio::test]
async fn every_field_of_a_caches_state_is_told() {
    let redis = Cache::builder().redis("redis://127.0.0.1:1").namespace("shop").build().unwrap();
    let stats = redis.stats();
    let queued = Cache::memory();
    let queue = WriteBehind::<u32>::named("renames").volatile(true).connect(&queued).await.unwrap();
    queue.put(&queued.entry("n", 7), &7).await.unwrap();
    queue.stats().await.unwrap();
    let text = prometheus::text(&Metrics::of("main", &redis).and("queued", &queued).unwrap()).unwrap();
    queue.shutdown(Duration::ZERO).await;
    let told = |name: &str| text.contains(&format!("# TYPE cachemacro_{name} "));
    let told_as = |what: &str, field: &str| match (what, field) {
        // The families of the counts, held against them by the other tests; a text, which `Cache::health` tells; and reasons of
        // `local_left`, left out where they never occurred.
        ("cache", "total" | "direct" | "sites" | "store_times" | "local" | "pool" | "queues")
        | ("pool", "last_failure")
        | ("local", "evicted" | "expired" | "replaced" | "for_room" | "untold") => true,
        ("pool", "shared" | "idle" | "in_use") => {
            text.contains(&format!(r#"cachemacro_connections{{cache="main",state="{field}"}}"#))
        }
        ("pool", "waiting") => told("connections_waiting"),
        ("cache" | "pool", _) => told(field),
        ("local", "entries" | "bytes") => told(&format!("local_{field}")),
        ("queue", "seen" | "oldest") => told(&format!("queue_{field}_seconds")),
        ("queue", _) => told(&format!("queue_{field}")),
        _ => false,
    };
    let pool = stats.pool.clone().expect("there are connections");
    let shown = [
        ("cache", format!("{stats:#?}")),
        ("pool", format!("{pool:#?}")),
        ("local", format!("{:#?}", stats.local)),
        ("queue", format!("{:#?}", QueueStats::default())),
    ];
    for (what, shown) in shown {
        let fields = fields(&shown);
        assert!(fields.len() > 5, "{shown}");
        let untold: Vec<_> = fields.iter().filter(|field| !told_as(what, field)).collect();
        assert!(untold.is_empty(), "of the {what} nobody tells {untold:?}");
    }
}

/// Labels in one order, so that what exporters tell can be compared.
fn sorted(name: &str, labels: impl Iterator<Item = String>) -> String {
    let mut labels: Vec<String> = labels.collect();
    labels.sort();
    format!("{name}{{{}}}", labels.join(","))
}

/// What one exporter tells, the others tell: the same series with the same values, nothing more and nothing twice.
#[tokio::test(flavor = "multi_thread")]
async fn all_exporters_tell_the_same_series() {
    let cache = used().await;
    let redis = Cache::builder().redis("redis://127.0.0.1:1").namespace("shop").build().unwrap();
    let metrics = || Metrics::of("main", &cache).and("shared", &redis).unwrap();

    let text = prometheus::text(&metrics()).unwrap();
    let is_time = |name: &str| name.contains("_seconds");
    let mut by_prometheus = BTreeMap::new();
    for (series, value) in series(&text).filter(|(series, _)| !is_time(series)) {
        let (name, labels) = series.trim_end_matches('}').split_once('{').unwrap();
        let before = by_prometheus.insert(sorted(name, labels.split(',').map(str::to_owned)), value);
        assert_eq!(before, None, "{series} is there twice");
    }

    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    metrics::with_local_recorder(&recorder, || Publisher::new(metrics()).publish());
    let mut by_facade = BTreeMap::new();
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let labels = key.key().labels().map(|label| format!("{}=\"{}\"", label.key(), label.value()));
        let name = sorted(key.key().name(), labels);
        #[expect(clippy::cast_precision_loss, reason = "few")]
        let value = match value {
            DebugValue::Counter(count) => count as f64,
            DebugValue::Gauge(value) => value.into_inner(),
            DebugValue::Histogram(_) => continue,
        };
        assert_eq!(by_facade.insert(name.clone(), value), None, "{name} is there twice");
    }
    assert_eq!(by_facade, by_prometheus);

    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3_600)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    observe(metrics(), &provider.meter("app"));
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();
    let mut by_opentelemetry = BTreeMap::new();
    // The first collection: there is another one when the provider goes.
    let told = exporter.get_finished_metrics().unwrap();
    let told = told[0].scope_metrics().flat_map(opentelemetry_sdk::metrics::data::ScopeMetrics::metrics);
    for metric in told.filter(|metric| metric.name().starts_with("cachemacro.")) {
        let name = metric.name().replace('.', "_");
        let of = |attributes: &mut dyn Iterator<Item = &opentelemetry::KeyValue>, name: &str| {
            sorted(name, attributes.map(|label| format!("{}=\"{}\"", label.key, label.value)))
        };
        let points: Vec<(String, u64)> = match metric.data() {
            AggregatedMetrics::U64(MetricData::Sum(_)) if name.ends_with("_time_count") => continue,
            AggregatedMetrics::U64(MetricData::Sum(sum)) => {
                let name = format!("{name}_total");
                sum.data_points().map(|point| (of(&mut point.attributes(), &name), point.value())).collect()
            }
            AggregatedMetrics::U64(MetricData::Gauge(gauge)) => {
                gauge.data_points().map(|point| (of(&mut point.attributes(), &name), point.value())).collect()
            }
            _ => continue,
        };
        for (name, value) in points {
            #[expect(clippy::cast_precision_loss, reason = "few")]
            let before = by_opentelemetry.insert(name.clone(), value as f64);
            assert_eq!(before, None, "{name} is there twice");
        }
    }
    assert_eq!(by_opentelemetry, by_prometheus);
}

/// 200 functions that each do what a function does: hits of each kind, misses for many reasons, errors, fills, evicts.
#[tokio::test]
async fn of_200_functions_there_are_at_most_9_000_lines() {
    let cache = Cache::memory();
    let reasons = [
        MissReason::Absent,
        MissReason::Pending,
        MissReason::Expired,
        MissReason::TagEvicted,
        MissReason::OtherSchema,
        MissReason::Due,
    ];
    for at in 0..200 {
        let site = cache.named(format!("shop::some_module::of_functions::function_{at}"));
        for event in reasons.map(Event::Miss).into_iter().chain([
            Event::Hit,
            Event::Stale,
            Event::Refresh,
            Event::LoadFailed,
            Event::SharedLoad,
            Event::Fill,
            Event::RefusedFill,
            Event::Evict(1),
            Event::TagEvict(1),
            Event::Put,
            Event::Error(ErrorKind::Timeout),
            Event::Error(ErrorKind::Connect),
        ]) {
            site.count(event);
        }
        for _ in 0..3 {
            site.run(async {}).await;
        }
    }
    let metrics = Metrics::of("main", &cache);
    let lines = prometheus::text(&metrics).unwrap().lines().count();
    let mut times: Vec<Duration> = (0..21)
        .map(|_| {
            let began = std::time::Instant::now();
            let told = prometheus::text(&metrics).unwrap();
            assert_eq!(told.lines().count(), lines);
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    println!("{lines} lines of 200 functions in {:?} (the median of 21)", times[10]);
    // Those of the cache as a whole among them; local hits and stale ones are two more of each.
    assert!(lines > 200 * 30 && lines + 2 * 200 <= 9_000, "{lines} lines");
}

#[tokio::test]
async fn no_key_tag_or_value_is_told_and_a_site_has_few_series() {
    let cache = Cache::memory();
    cache.set("secret-prefix", "secret-key", &"secret-value".to_owned()).await.unwrap();
    cache.evict_tags(["secret-tag"]).await.unwrap();
    cache.scope(square(3)).await;
    let text = prometheus::text(&Metrics::of("main", &cache)).unwrap();
    assert!(!text.contains("secret"), "{text}");
    let of_site = series(&text).filter(|(series, _)| series.contains("exporters::square")).count();
    assert!(of_site <= 45, "{of_site} series of one site");
}

#[tokio::test]
async fn a_registry_is_given_the_figures_once() {
    let cache = Cache::memory();
    let mut registry = Registry::with_prefix("app");
    prometheus::register(Metrics::of("main", &cache), &mut registry).unwrap();
    let again = prometheus::register(Metrics::of("again", &cache), &mut registry);
    assert_eq!(again, Err(Error::AlreadyAttached));
    prometheus::register(Metrics::of("main", &cache), &mut Registry::default()).unwrap();
}

#[tokio::test]
async fn the_facade_is_told_what_was_counted_once() {
    let cache = used().await;
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let mut publisher = Publisher::new(Metrics::of("main", &cache));
    let mut publish = || metrics::with_local_recorder(&recorder, || publisher.publish());
    publish();
    publish();
    let (mut counters, mut times) = (BTreeMap::<String, u64>::new(), 0);
    for (key, _, _, value) in snapshotter.snapshot().into_vec() {
        let name = key.key().name().trim_start_matches("cachemacro_").to_owned();
        match value {
            DebugValue::Counter(count) => {
                *counters.entry(name.trim_end_matches("_total").to_owned()).or_default() += count;
            }
            DebugValue::Histogram(values) if name == "load_time_seconds" => {
                times += values.len() as u64;
            }
            DebugValue::Histogram(_) | DebugValue::Gauge(_) => {}
        }
    }
    counters.retain(|_, count| *count > 0);
    let total = cache.stats().total;
    assert_eq!(counters, counts(&total));
    assert_eq!(times, total.load_time.count(), "each load once, though it was published twice");
}

/// A recorder keeps a gauge that it is not told any more.
#[tokio::test]
async fn what_is_not_known_any_more_is_no_number_to_the_facade() {
    let cache = Cache::memory();
    let queue = WriteBehind::<u32>::named("renames").volatile(true).connect(&cache).await.unwrap();
    queue.put(&cache.entry("n", 7), &7).await.unwrap();
    assert_eq!(queue.stats().await.unwrap().depth, 1);
    let recorder = DebuggingRecorder::new();
    let snapshotter = recorder.snapshotter();
    let mut publisher = Publisher::new(Metrics::of("main", &cache));
    let mut depth = || {
        metrics::with_local_recorder(&recorder, || publisher.publish());
        let all = snapshotter.snapshot().into_vec().into_iter();
        let mut depths = all.filter(|(key, ..)| key.key().name() == "cachemacro_queue_depth");
        depths.find_map(|(.., value)| match value {
            DebugValue::Gauge(depth) => Some(depth.0),
            _ => None,
        })
    };
    assert_eq!(depth(), Some(1.0));
    queue.shutdown(Duration::ZERO).await;
    assert!(depth().is_some_and(f64::is_nan));
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetry_is_told_what_was_counted_once() {
    let cache = used().await;
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3_600)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    observe(Metrics::of("main", &cache), &provider.meter("app"));
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();

    let mut counters = BTreeMap::new();
    let told = exporter.get_finished_metrics().unwrap();
    let metrics = told
        .iter()
        .flat_map(opentelemetry_sdk::metrics::data::ResourceMetrics::scope_metrics)
        .flat_map(opentelemetry_sdk::metrics::data::ScopeMetrics::metrics);
    for metric in metrics {
        if let AggregatedMetrics::U64(MetricData::Sum(sum)) = metric.data() {
            let count: u64 =
                sum.data_points().map(opentelemetry_sdk::metrics::data::SumDataPoint::value).sum();
            counters.insert(metric.name().trim_start_matches("cachemacro.").to_owned(), count);
        }
    }
    let total = cache.stats().total;
    assert_eq!(counters.remove("load_time.count"), Some(total.load_time.count()));
    assert_eq!(counters.remove("store_time.count"), Some(total.store_time.count()));
    counters.retain(|_, count| *count > 0);
    assert_eq!(counters, counts(&total));
}

#[tokio::test(flavor = "multi_thread")]
async fn opentelemetry_is_told_of_connections_by_its_conventions() {
    let redis = Cache::builder().redis("redis://127.0.0.1:1").namespace("shop").build().unwrap();
    let memory = Cache::memory();
    let exporter = InMemoryMetricExporter::default();
    let reader = PeriodicReader::builder(exporter.clone()).with_interval(Duration::from_secs(3_600)).build();
    let provider = SdkMeterProvider::builder().with_reader(reader).build();
    observe(Metrics::of("main", &redis).and("other", &memory).unwrap(), &provider.meter("app"));
    tokio::task::spawn_blocking(move || provider.force_flush()).await.unwrap().unwrap();
    let told = exporter.get_finished_metrics().unwrap();
    let metrics = told
        .iter()
        .flat_map(opentelemetry_sdk::metrics::data::ResourceMetrics::scope_metrics)
        .flat_map(opentelemetry_sdk::metrics::data::ScopeMetrics::metrics);
    let mut series = BTreeSet::new();
    for metric in metrics {
        if let AggregatedMetrics::I64(MetricData::Sum(sum)) = metric.data() {
            for point in sum.data_points() {
                let mut labels: Vec<String> =
                    point.attributes().map(|label| format!("{}={}", label.key, label.value)).collect();
                labels.sort();
                series.insert(format!("{} {}", metric.name(), labels.join(" ")));
            }
        }
    }
    let expected = [
        "db.client.connection.count db.client.connection.pool.name=main db.client.connection.state=idle",
        "db.client.connection.count db.client.connection.pool.name=main db.client.connection.state=used",
        "db.client.connection.pending_requests db.client.connection.pool.name=main",
    ];
    assert_eq!(series, BTreeSet::from(expected.map(str::to_owned)), "and nothing of what is in memory");
}

#[tokio::test]
async fn a_load_that_is_under_way_is_told() {
    let cache = Cache::memory();
    let (begun, hold) = (tokio::sync::Notify::new(), tokio::sync::Notify::new());
    let load = cache.get_or_load("n", 1, async || {
        begun.notify_one();
        hold.notified().await;
        7
    });
    let flights = || {
        let text = prometheus::text(&Metrics::of("main", &cache)).unwrap();
        series(&text)
            .find(|(series, _)| *series == r#"cachemacro_flights{cache="main"}"#)
            .map(|(_, value)| value)
    };
    let look = async {
        begun.notified().await;
        let during = flights();
        hold.notify_one();
        during
    };
    let (_, during) = tokio::join!(load, look);
    assert_eq!((during, flights()), (Some(1.0), Some(0.0)));
}

#[tokio::test]
async fn what_belongs_to_no_site_is_told_of_the_cache() {
    let redis = Cache::builder().redis("redis://127.0.0.1:1").namespace("shop").build().unwrap();
    assert!(redis.set("n", 1, &7).await.is_err(), "nobody listens");
    assert!(redis.evict_tags(["n"]).await.is_err());
    let text = prometheus::text(&Metrics::of("main", &redis)).unwrap();
    let value = |name: &str| series(&text).find(|(series, _)| *series == name).map(|(_, value)| value);
    // The tag, and the key: what could not be set may not be served as it was.
    assert_eq!(value(r#"cachemacro_kept_evicts{cache="main"}"#), Some(2.0), "{text}");
    assert_eq!(value(r#"cachemacro_connections{cache="main",state="shared"}"#), Some(0.0));
    let states = ["closed", "open", "half_open"];
    let is = |state| value(&format!(r#"cachemacro_breaker{{cache="main",state="{state}"}}"#));
    assert_eq!(states.iter().filter_map(is).filter(|is| *is > 0.5).count(), 1, "{text}");
    let memory = prometheus::text(&Metrics::of("main", &Cache::memory())).unwrap();
    assert!(
        !memory.contains("cachemacro_breaker") && memory.contains("cachemacro_local_entries"),
        "{memory}"
    );
}

/// The queue's own figures, under the names of their fields.
#[tokio::test]
async fn every_figure_of_a_queue_is_told() {
    let cache = Cache::memory();
    let queue = WriteBehind::<u32>::named("re names").volatile(true).every("1ms").attempts(1);
    let queue = queue.start(&cache, |batch: Batch<u32>| async move {
        let is_poison = batch.writes().iter().any(|write| write.value() == Some(&13));
        if is_poison { Err("it is poison") } else { Ok(()) }
    });
    let queue = queue.await.unwrap();
    for value in [7, 13] {
        queue.put(&cache.entry("n", value), &value).await.unwrap();
    }
    let stats = loop {
        let stats = queue.stats().await.unwrap();
        if (stats.depth, stats.applied, stats.died) == (0, 1, 1) {
            break stats;
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
    };
    let accepting = WriteBehind::<u32>::named("other").volatile(true).connect(&cache).await.unwrap();
    for value in [1, 2] {
        accepting.put(&cache.entry("m", 1), &value).await.unwrap();
    }
    assert_eq!(accepting.stats().await.unwrap().depth, 2);
    let text = prometheus::text(&Metrics::of("main", &cache)).unwrap();
    let value = |figure: &str, queue: &str| {
        let named = format!(r#"cachemacro_queue_{figure}{{cache="main",queue="{queue}"}}"#);
        series(&text).find(|(series, _)| *series == named).map(|(_, value)| value)
    };
    assert_eq!(value("depth", "other"), Some(2.0), "{text}");
    // The derived `Debug` names every field.
    let shown = format!("{stats:#?}");
    let fields = shown.lines().filter_map(|line| line.strip_prefix("    ")?.split_once(": "));
    let mut count = 0;
    for (field, shown) in fields.filter(|(field, _)| !field.starts_with(' ')) {
        let told = value(field, "re%20names")
            .or_else(|| value(&format!("{field}_total"), "re%20names"))
            .or_else(|| value(&format!("{field}_seconds"), "re%20names"));
        let shown: f64 = shown.trim_end_matches(',').parse().unwrap_or_default();
        assert_eq!(told, Some(shown), "{field}: {text}");
        count += 1;
    }
    assert_eq!((count, stats.accepted, stats.applied, stats.dead), (10, 2, 1, 1));
    drop((queue, accepting));
    // What they hold is not known any more, what became of the writes is.
    let text = prometheus::text(&Metrics::of("main", &cache)).unwrap();
    assert!(!text.contains("cachemacro_queue_depth{") && !text.contains("cachemacro_queue_seen"), "{text}");
    assert!(text.contains(r#"cachemacro_queue_accepted_total{cache="main",queue="other"} 2"#), "{text}");
}
