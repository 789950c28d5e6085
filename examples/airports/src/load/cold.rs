//! A start against an empty cache: what the first seconds cost, with and without a warm-up before them.
//!
//! What is warmed is what was asked for most before, as a service's own figures of yesterday tell.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::extract::Query;
use cachemacro::{Cache, Warmed};

use super::{Failure, Load, Mix, Pace, Request, Run, Server};
use crate::data;
use crate::model::{Airport, Filter};
use crate::repository::Repository;
use crate::service::{Airports, Busiest};

/// How a start is measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Cold {
    /// Callers, skew and seed, and how long requests are sent; the number of requests tells how many were sent before.
    pub load: Load,
    /// How many requests are sent in a second.
    pub per_second: u32,
    /// How much longer each statement takes, as if the database were so far away.
    pub distance: Duration,
    /// How many entries are warmed in a second.
    pub rate: u32,
}

impl Default for Cold {
    fn default() -> Self {
        let load = Load { time: Duration::from_secs(10), ..Load::default() };
        Self { load, per_second: 300, distance: Duration::from_millis(10), rate: 1_000 }
    }
}

/// Both starts.
#[derive(Debug)]
pub struct ColdReport {
    /// What was asked for.
    pub cold: Cold,
    /// Without a warm-up.
    pub without: Run,
    /// After one.
    pub with: Run,
    /// What it did.
    pub warmed: Warmed,
    /// How long it took.
    pub took: Duration,
}

/// Sends the same requests to a service that starts against an empty cache, and to one that warmed it.
///
/// # Errors
/// Where the database, the cache's settings or HTTP fail.
pub async fn cold(
    cold: &Cold,
    cache: impl Fn(bool) -> cachemacro::Result<Cache>,
) -> Result<ColdReport, Failure> {
    super::check(&cold.load)?;
    let Load { requests, time, callers, skew, seed } = cold.load.clone();
    let airports = data::bundled()?;
    let mut mix = Mix::new(&airports, skew, seed);
    let yesterday: Vec<Request> = mix.by_ref().filter(Request::is_read).take(requests as usize).collect();
    let busiest = busiest(&airports, &yesterday);
    let gap = Duration::from_secs(1) / cold.per_second;
    let most = usize::try_from(time.as_nanos() / gap.as_nanos().max(1))?;
    let today: Arc<[Request]> = mix.take(most.max(1)).collect();

    let folder = tempfile::tempdir()?;
    let loaded = folder.path().join("loaded.sqlite");
    let repository = Repository::open(&loaded, &Cache::builder().disabled(true).build()?).await?;
    repository.import(&airports).await?;
    repository.close().await;
    let start = async |name: &str| {
        let file = folder.path().join(name);
        std::fs::copy(&loaded, &file)?;
        let cache = cache(false)?;
        cache.clear().await?;
        let repository = Repository::open(&file, &cache).await?.distant(cold.distance);
        Server::start(Airports::new(repository, cache)).await
    };

    let without = start("without").await?.run(callers, Pace::Even(gap), &today).await?;
    let server = start("with").await?;
    let began = Instant::now();
    let warmed = server.airports.warm(&busiest, cold.rate).await;
    let took = began.elapsed();
    let with = server.run(callers, Pace::Even(gap), &today).await?;
    Ok(ColdReport { cold: cold.clone(), without, with, warmed, took })
}

/// What these requests asked for more than once.
fn busiest(airports: &[Airport], requests: &[Request]) -> Busiest {
    let by_code: HashMap<&str, &Airport> = airports
        .iter()
        .flat_map(|airport| {
            [(airport.icao.as_str(), airport)]
                .into_iter()
                .chain(airport.iata.as_deref().map(|iata| (iata, airport)))
        })
        .collect();
    let (mut codes, mut around, mut countries, mut searches) =
        (HashMap::new(), HashMap::new(), HashMap::new(), HashMap::new());
    for request in requests {
        match request {
            Request::Lookup { code } => *codes.entry(code.clone()).or_default() += 1,
            Request::Near { code, km } => {
                *codes.entry(code.clone()).or_default() += 1;
                if let Some(airport) = by_code.get(code.as_str()) {
                    *around.entry((airport.icao.clone(), *km)).or_default() += 1;
                }
            }
            Request::Statistics { country } => *countries.entry(country.clone()).or_default() += 1,
            Request::Search { query } => *searches.entry(query.clone()).or_default() += 1,
            Request::Rename { .. } | Request::Delete { .. } => {}
        }
    }
    let codes = often(codes);
    let icao = |code: &String| by_code.get(code.as_str()).map(|airport| airport.icao.clone());
    Busiest {
        airports: codes.iter().filter_map(icao).collect(),
        codes: codes.into_iter().filter(|code| code.len() == 3).collect(),
        surroundings: often(around),
        countries: often(countries),
        searches: often(searches).iter().filter_map(|query| filter(query)).collect(),
    }
}

/// What was counted more than once, the most frequent first.
fn often<K: Ord + Hash>(counts: HashMap<K, u32>) -> Vec<K> {
    let mut often: Vec<(K, u32)> = counts.into_iter().filter(|(_, count)| *count > 1).collect();
    often.sort_by(|(one, often), (other, more)| more.cmp(often).then_with(|| one.cmp(other)));
    often.into_iter().map(|(what, _)| what).collect()
}

fn filter(query: &str) -> Option<Filter> {
    let uri = format!("/?{query}").parse().ok()?;
    Some(Query::<Filter>::try_from_uri(&uri).ok()?.0.normalized())
}

impl fmt::Display for ColdReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cold, without, with, warmed, took } = self;
        let Cold { load, per_second, distance, rate } = cold;
        writeln!(
            f,
            "{per_second} requests a second over HTTP on loopback for {} s, against a cache that is empty at the start",
            load.time.as_secs()
        )?;
        writeln!(f, "(in {}), over a database that is {} ms away", with.store, distance.as_millis())?;
        writeln!(
            f,
            "warmed before: {} entries, {rate} a second, in {:.1} s\n",
            warmed.warmed,
            took.as_secs_f64()
        )?;
        let mut row =
            |name: &str, without: String, with: String| writeln!(f, "{name:<20}{without:>16}{with:>16}");
        row("", "without warm-up".to_owned(), "with".to_owned())?;
        row("database queries", without.queries.to_string(), with.queries.to_string())?;
        for percent in [50, 95, 99] {
            let millis = |run: &Run| format!("{:.2} ms", run.quantile(percent).as_secs_f64() * 1_000.0);
            row(&format!("p{percent}"), millis(without), millis(with))?;
        }
        row("hit rate", format!("{:.1} %", without.hit_rate()), format!("{:.1} %", with.hit_rate()))
    }
}
