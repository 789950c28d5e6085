//! The figures as families of series, the same for every exporter.

use std::collections::BTreeMap;

use cachemacro::{BreakerState, CacheStats, Histogram, Pool, QueueStats, Stats};

use crate::Metrics;

/// The counts that are labels of the hits.
const OF_HITS: [&str; 2] = ["local_hits", "stale_hits"];

/// Labels with their values, in the order in which they are shown.
pub(crate) type Labels = Vec<(&'static str, String)>;

/// The family of loads' times, and that of the store's round trips.
const LOADS: &str = "load_time";
const STORES: &str = "store_time";

/// The site to which calls by hand are counted, which belong to no annotated function.
const DIRECT: &str = "direct";

/// The series of one name.
#[derive(Debug)]
pub(crate) struct Family {
    /// The name without unit and suffix, as the field of `Stats` is called.
    pub(crate) name: String,
    pub(crate) help: String,
    pub(crate) rows: Rows,
}

#[derive(Debug)]
pub(crate) enum Rows {
    Counts(Vec<(Labels, u64)>),
    /// States at the time of the snapshot.
    Gauges(Vec<(Labels, u64)>),
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
        families.extend(states(&caches));
        families.extend(queues(&caches));
        let loads = places(&caches).filter(|(.., stats)| stats.load_time.count() > 0);
        let loads = loads.map(|(cache, site, stats)| (labels(cache, site), stats.load_time));
        families.push(Family {
            name: LOADS.to_owned(),
            help: "How long the users' functions took.".to_owned(),
            rows: Rows::Times(loads.collect()),
        });
        let of_cache = |(cache, stats): &(&str, CacheStats)| {
            let labels =
                |operation: &str| vec![("cache", (*cache).to_owned()), ("operation", operation.to_owned())];
            let times = stats.store_times.iter();
            times.map(|(operation, times)| (labels(operation), *times)).collect::<Vec<_>>()
        };
        let stores = caches.iter().flat_map(of_cache);
        families.push(Family {
            name: STORES.to_owned(),
            help: "How long the store's round trips took.".to_owned(),
            rows: Rows::Times(stores.collect()),
        });
        families
    }

    /// The labels of each cache's `cachemacro_info`.
    pub(crate) fn infos(&self) -> impl Iterator<Item = Labels> {
        self.names()
            .map(|name| vec![("cache", name.to_owned()), ("version", env!("CARGO_PKG_VERSION").to_owned())])
    }
}

/// Figures of a cache as a whole, not of its sites: breaker, connections, kept evicts, decoded values.
fn states(caches: &[(&str, CacheStats)]) -> Vec<Family> {
    let of = |by: Option<&'static str>, rows: &dyn Fn(&CacheStats) -> Vec<(&'static str, u64)>| {
        let mut all = Vec::new();
        for (cache, stats) in caches {
            for (which, value) in rows(stats) {
                let mut labels = vec![("cache", (*cache).to_owned())];
                labels.extend(by.map(|by| (by, which.to_owned())));
                all.push((labels, value));
            }
        }
        all
    };
    let family = |name: &str, help: &str, rows| Family { name: name.to_owned(), help: help.to_owned(), rows };
    let breaker = of(Some("state"), &|stats| {
        let now = |state: BreakerState| stats.breaker.map(|is| (state.as_str(), u64::from(is == state)));
        [BreakerState::Closed, BreakerState::Open, BreakerState::HalfOpen]
            .into_iter()
            .filter_map(now)
            .collect()
    });
    let pool = |rows: fn(&Pool) -> Vec<(&'static str, u64)>| {
        move |stats: &CacheStats| stats.pool.as_ref().map(rows).unwrap_or_default()
    };
    let connections =
        pool(|pool| vec![("shared", pool.shared), ("idle", pool.idle), ("in_use", pool.in_use)]);
    let left = of(Some("reason"), &|stats| {
        let local = &stats.local;
        let left = [
            ("evicted", local.evicted),
            ("expired", local.expired),
            ("replaced", local.replaced),
            ("for_room", local.for_room),
            ("untold", local.untold),
        ];
        left.into_iter().filter(|(_, count)| *count > 0).collect()
    });
    vec![
        family("breaker", "1 for the state of the breaker around the store.", Rows::Gauges(breaker)),
        family(
            "breaker_trips",
            "How often the breaker opened.",
            Rows::Counts(of(None, &|stats| {
                stats.breaker.iter().map(|_| ("", stats.breaker_trips)).collect()
            })),
        ),
        family(
            "flights",
            "Loads that are under way, each of one key, however many callers wait for it.",
            Rows::Gauges(of(None, &|stats| vec![("", stats.flights)])),
        ),
        family(
            "kept_evicts",
            "Evicts that have not reached the store yet.",
            Rows::Gauges(of(None, &|stats| vec![("", stats.kept_evicts)])),
        ),
        family("connections", "Connections to the server.", Rows::Gauges(of(Some("state"), &connections))),
        family(
            "connections_waiting",
            "Callers that wait for a pooled connection.",
            Rows::Gauges(of(None, &pool(|pool| vec![("", pool.waiting)]))),
        ),
        family(
            "reconnects",
            "Connections that were lost and replaced.",
            Rows::Counts(of(None, &pool(|pool| vec![("", pool.reconnects)]))),
        ),
        family(
            "local_entries",
            "Decoded values in this process.",
            Rows::Gauges(of(None, &|stats| vec![("", stats.local.entries)])),
        ),
        family(
            "local_bytes",
            "What they weigh.",
            Rows::Gauges(of(None, &|stats| vec![("", stats.local.bytes)])),
        ),
        family("local_left", "Decoded values that left, by reason.", Rows::Counts(left)),
    ]
}

/// Queues of writes, each by its name.
fn queues(caches: &[(&str, CacheStats)]) -> Vec<Family> {
    let all =
        || caches.iter().flat_map(|(cache, stats)| stats.queues.iter().map(move |queue| (*cache, queue)));
    let labels = |cache: &str, queue: &str| vec![("cache", cache.to_owned()), ("queue", queue.to_owned())];
    let family =
        |name: &str, help: &str, rows| Family { name: format!("queue_{name}"), help: help.to_owned(), rows };
    // What a queue holds is not always known.
    let gauge = |name: &str, help: &str, figure: fn(&QueueStats) -> u64| {
        let known = all().filter(|(_, (_, stats))| stats.seen.is_some());
        let rows = known.map(|(cache, (queue, stats))| (labels(cache, queue), figure(stats)));
        family(name, help, Rows::Gauges(rows.collect()))
    };
    let count = |name: &str, help: &str, figure: fn(&QueueStats) -> u64| {
        let rows = all().map(|(cache, (queue, stats))| (labels(cache, queue), figure(stats)));
        family(name, help, Rows::Counts(rows.collect()))
    };
    vec![
        gauge("seen_seconds", "How long ago it was seen what a queue holds.", |queue| {
            queue.seen.unwrap_or_default().as_secs()
        }),
        gauge("depth", "Writes that wait in a queue, whichever process accepted them.", |queue| queue.depth),
        gauge("oldest_seconds", "How long the oldest of them has waited.", |queue| {
            queue.oldest.unwrap_or_default().as_secs()
        }),
        gauge("dead", "Dead letters of a queue.", |queue| queue.dead),
        count("accepted", "Writes that this process's calls were told are accepted.", |queue| queue.accepted),
        count("refused", "Writes that were turned down because the queue was full.", |queue| queue.refused),
        count("applied", "Writes that this process applied.", |queue| queue.applied),
        count("coalesced", "Writes that needed no apply because a newer one of their key had it.", |queue| {
            queue.coalesced
        }),
        count("retried", "Attempts to apply that failed.", |queue| queue.retried),
        count("died", "Writes that this process put among the dead letters.", |queue| queue.died),
    ]
}

/// Every site of every cache, and `direct`.
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

/// The families of the fields of `Stats` that are single counts.
fn counts(caches: &[(&str, CacheStats)]) -> Vec<Family> {
    let mut families: Vec<Family> = Vec::new();
    let mut at = BTreeMap::new();
    for (cache, site, stats) in places(caches) {
        // What of the hits asked no store, and what was stale, are labels of them, so that their sum is right.
        for count in stats.counts().filter(|count| !OF_HITS.contains(&count.name)) {
            let at = *at.entry(count.name).or_insert_with(|| {
                let (name, help) = (count.name.to_owned(), count.help.to_owned());
                families.push(Family { name, help, rows: Rows::Counts(Vec::new()) });
                families.len() - 1
            });
            // The family is there all the same: exporters know families by their order.
            if site != DIRECT && is_left_out(stats, count.name) {
                continue;
            }
            let Rows::Counts(rows) = &mut families[at].rows else { continue };
            if count.name == "hits" {
                rows.extend(hits(stats).map(|(tier, state, hits)| {
                    let mut labels = labels(cache, site);
                    labels.extend([("tier", tier.to_owned()), ("state", state.to_owned())]);
                    (labels, hits)
                }));
            } else {
                rows.push((labels(cache, site), count.value));
            }
        }
    }
    families
}

/// The hits by tier and state: their sum is `hits`. Decoded values in the process are fresh, and what never occurred is left out.
fn hits(stats: &Stats) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
    let fresh = stats.hits.saturating_sub(stats.local_hits).saturating_sub(stats.stale_hits);
    let others = [("store", "stale", stats.stale_hits), ("local", "fresh", stats.local_hits)];
    [("store", "fresh", fresh)].into_iter().chain(others.into_iter().filter(|(.., hits)| *hits > 0))
}

/// Whether a function has no series of this count: what few functions do, and this one never did, as what comes of looks at hits where
/// nobody looks.
fn is_left_out(stats: &Stats, name: &str) -> bool {
    match name {
        "warmed" => stats.warmed == 0,
        "replayed_evicts" => stats.replayed_evicts == 0,
        "consistent" | "overtaken" | "inconsistent" | "inconclusive" => {
            [stats.consistent, stats.overtaken, stats.inconsistent, stats.inconclusive] == [0; 4]
        }
        _ => false,
    }
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

/// The series of the reasons or kinds that occurred; the others are left out.
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
