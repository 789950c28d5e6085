//! What is told, the same for every exporter.

use std::collections::BTreeMap;

use cachemacro::{CacheStats, Histogram, Stats};

use crate::Metrics;

/// In the order in which they are shown.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// The family of loads' times, and that of the store's round trips.
const LOADS: &str = "load_time";
const STORES: &str = "store_time";

/// The site of what belongs to no annotated function.
const DIRECT: &str = "direct";

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
    /// How long things took.
    Times(Vec<(Labels, Histogram)>),
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
        let loads = loads.map(|(cache, site, stats)| (labels(cache, site), stats.load_time));
        families.push(Family {
            name: LOADS.to_owned(),
            help: "How long the users' functions took.".to_owned(),
            rows: Rows::Times(loads.collect()),
        });
        let stores = caches
            .iter()
            .map(|(cache, stats)| (vec![("cache", (*cache).to_owned())], stats.total.store_time));
        families.push(Family {
            name: STORES.to_owned(),
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
