//! What is told, the same for every exporter.

use std::collections::BTreeMap;
use std::time::Duration;

use cachemacro::{CacheStats, Histogram, Stats};

use crate::Metrics;

/// In the order in which they are shown.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// The site of what belongs to no annotated function.
const DIRECT: &str = "direct";

/// The bounds of loads: from 256 µs, doubling.
const LOADS: Bounds = Bounds { first: Duration::from_micros(1 << 8), last: Duration::from_micros(1 << 21) };
/// The bounds of the store's round trips: from 32 µs, doubling.
const ROUND_TRIPS: Bounds =
    Bounds { first: Duration::from_micros(1 << 5), last: Duration::from_micros(1 << 18) };

/// Which of the recorded bounds are told.
#[derive(Debug, Clone, Copy)]
struct Bounds {
    first: Duration,
    last: Duration,
}

/// The series of one name.
#[derive(Debug)]
pub(crate) struct Family {
    /// Without unit and suffix.
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) rows: Rows,
}

#[derive(Debug)]
pub(crate) enum Rows {
    Counts(Vec<(Labels, u64)>),
    Times(Vec<(Labels, Times)>),
}

/// How long things took.
#[derive(Debug)]
#[cfg_attr(not(feature = "prometheus"), allow(dead_code, reason = "not every exporter tells all of it"))]
pub(crate) struct Times {
    /// Counts by upper bound, each not among the ones before. The last bound is none.
    pub(crate) buckets: Vec<(Option<Duration>, u64)>,
    pub(crate) sum: Duration,
    pub(crate) count: u64,
}

impl Times {
    fn of(histogram: &Histogram, bounds: Bounds) -> Self {
        let mut buckets = Vec::new();
        let mut below = 0;
        for (bound, count) in histogram.buckets() {
            below += count;
            let told = bound.is_none_or(|bound| bound >= bounds.first && bound <= bounds.last);
            if told {
                buckets.push((bound, std::mem::take(&mut below)));
            }
        }
        Self { buckets, sum: histogram.sum(), count: histogram.count() }
    }
}

impl Metrics {
    /// A snapshot of all series.
    pub(crate) fn families(&self) -> Vec<Family> {
        let caches: Vec<(&str, CacheStats)> =
            self.caches.iter().map(|(name, cache)| (name.as_str(), cache.stats())).collect();
        let mut families = Vec::new();
        families.extend(counts(&caches));
        for (name, help, by, rows) in [
            ("misses", "Reads not answered from the store, by reason.", "reason", reasons as Split),
            ("errors", "Errors of the store, of codecs and of keys, by kind.", "kind", kinds),
            ("unstorable", "Values that would not come back as they are, by reason.", "reason", unstorable),
        ] {
            families.push(Family {
                name: name.to_owned(),
                help: help.to_owned(),
                rows: Rows::Counts(split(&caches, by, rows)),
            });
        }
        let loads = places(&caches).filter(|(.., stats)| stats.load_time.count() > 0);
        let loads =
            loads.map(|(cache, site, stats)| (labels(cache, site), Times::of(&stats.load_time, LOADS)));
        families.push(Family {
            name: "load_time".to_owned(),
            help: "How long the users' functions took.".to_owned(),
            rows: Rows::Times(loads.collect()),
        });
        let stores = caches.iter().map(|(cache, stats)| {
            (vec![("cache", (*cache).to_owned())], Times::of(&stats.total.store_time, ROUND_TRIPS))
        });
        families.push(Family {
            name: "store_time".to_owned(),
            help: "How long the store's round trips took.".to_owned(),
            rows: Rows::Times(stores.collect()),
        });
        families
    }

    /// What is told of each cache besides figures.
    pub(crate) fn infos(&self) -> impl Iterator<Item = Labels> {
        self.names()
            .map(|name| vec![("cache", name.to_owned()), ("version", env!("CARGO_PKG_VERSION").to_owned())])
    }
}

/// Every site of every cache, and what belongs to none.
fn places<'a>(
    caches: &'a [(&'a str, CacheStats)],
) -> impl Iterator<Item = (&'a str, &'a str, &'a Stats)> + Clone {
    caches.iter().flat_map(|(cache, stats)| {
        let sites = stats.sites.iter().map(|(site, stats)| (site.as_str(), stats));
        sites.chain([(DIRECT, &stats.direct)]).map(|(site, stats)| (*cache, site, stats))
    })
}

fn labels(cache: &str, site: &str) -> Labels {
    vec![("cache", cache.to_owned()), ("site", site.to_owned())]
}

/// The counts that are fields.
fn counts(caches: &[(&str, CacheStats)]) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut at = BTreeMap::new();
    for (cache, site, stats) in places(caches) {
        for count in stats.counts() {
            let at = *at.entry(count.name).or_insert_with(|| {
                let (name, help) = (count.name.to_owned(), count.help.to_owned());
                families.push(Family { name, help, rows: Rows::Counts(Vec::new()) });
                families.len() - 1
            });
            if let Rows::Counts(rows) = &mut families[at].rows {
                rows.push((labels(cache, site), count.value));
            }
        }
    }
    families
}

/// What was counted by reason or kind.
type Split = fn(&Stats) -> Vec<(&'static str, u64)>;

fn reasons(stats: &Stats) -> Vec<(&'static str, u64)> {
    stats.misses_by_reason().map(|(reason, count)| (reason.as_str(), count)).collect()
}

fn kinds(stats: &Stats) -> Vec<(&'static str, u64)> {
    stats.errors_by_kind().map(|(kind, count)| (kind.as_str(), count)).collect()
}

fn unstorable(stats: &Stats) -> Vec<(&'static str, u64)> {
    stats.unstorable_by_reason().map(|(why, count)| (why.as_str(), count)).collect()
}

/// The series of what occurred.
fn split(caches: &[(&str, CacheStats)], by: &'static str, rows: Split) -> Vec<(Labels, u64)> {
    places(caches)
        .flat_map(|(cache, site, stats)| {
            let occurred = rows(stats).into_iter().filter(|(_, count)| *count > 0);
            occurred.map(move |(why, count)| {
                let mut labels = labels(cache, site);
                labels.push((by, why.to_owned()));
                (labels, count)
            })
        })
        .collect()
}
