//! What can be asked and done. Everything there is about caching is in the attributes below.
//!
//! No write says what it makes outdated: the repository's connections are watched. What a load reads is `recorded`, and evicted with the tables
//! that it read. Only the entry of an airport says that it is made of two rows, so that a write of others leaves it alone.

use cachemacro::{Cache, Warmed, Warming, cache_config, cached};
use cachemacro_sql::row;

use crate::error::{Error, Result};
use crate::model::{Airport, Distance, Filter, Neighbor, Page, Reply, Runway, Statistics, Vicinity};
use crate::questions::{name_the_same, phrases};
use crate::repository::Repository;
use crate::senses::Senses;

/// How far [`Airports::near`] looks at most, in kilometres.
pub const FARTHEST: u32 = 1_000;

/// How many airports [`Airports::near`] lists at most.
pub const LISTED: usize = 100;

/// What is asked for most, to be loaded ahead of use.
#[derive(Debug, Clone, Default)]
pub struct Busiest {
    /// ICAO codes.
    pub airports: Vec<String>,
    /// IATA codes.
    pub codes: Vec<String>,
    /// ICAO codes, and how far.
    pub surroundings: Vec<(String, u32)>,
    /// Two letters.
    pub countries: Vec<String>,
    /// Lists.
    pub searches: Vec<Filter>,
}

/// The service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Airports {
    repository: Repository,
    cache: Cache,
    senses: Senses,
}

impl Airports {
    /// The service over a repository, caching where it is told.
    pub fn new(repository: Repository, cache: Cache) -> Self {
        Self { repository, cache, senses: Senses::default() }
    }

    /// Questions are compared by these.
    #[must_use]
    pub fn with_senses(self, senses: Senses) -> Self {
        Self { senses, ..self }
    }

    /// The cache, for figures.
    pub fn cache(&self) -> &Cache {
        &self.cache
    }

    /// The repository, for figures.
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// The airport with this ICAO or IATA code, in any case.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn lookup(&self, code: &str) -> Result<Airport> {
        let code = code.to_uppercase();
        let icao = if code.len() == 3 { self.icao_of(&code).await? } else { Some(code.clone()) };
        match icao {
            Some(icao) => self.by_icao(&icao).await?,
            None => None,
        }
        .ok_or(Error::NotFound(code))
    }

    /// The airports within `radius` kilometres of this one, nearest first, [`LISTED`] at most.
    ///
    /// Searching is expensive and does not depend on names, so only codes and distances are cached under the question.
    /// The airports come from their own entries, in one read, and what is missing there in one query.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] where the radius is over [`FARTHEST`]; [`Error::Database`].
    pub async fn near(&self, code: &str, radius: u32) -> Result<Vicinity> {
        if radius > FARTHEST {
            return Err(Error::Invalid(format!("the radius goes up to {FARTHEST} km")));
        }
        let center = self.lookup(code).await?;
        let distances = self.distances(&center.icao, radius).await?;
        let codes = distances.iter().map(|near| near.icao.clone());
        let load = async |missing: Vec<String>| self.repository.by_icaos(&missing).await;
        let mut known = self.cache.try_get_or_load_many(codes, |icao| self.airport_entry(icao), load).await?;
        // One that was deleted in between is not there.
        let neighbor = |near: Distance| {
            known.remove(&near.icao).map(|airport| Neighbor { distance: near.kilometres, airport })
        };
        Ok(Vicinity { center, radius, airports: distances.into_iter().filter_map(neighbor).collect() })
    }

    /// Loads what is asked for most, so many entries in a second, unless it is there: at the start of a service whose cache is empty.
    pub async fn warm(&self, busiest: &Busiest, rate: u32) -> Warmed {
        let airports = busiest.airports.iter();
        let airports =
            airports.map(|icao| Warming::by(&self.airport_entry(icao), move || self.by_icao(icao)));
        let codes = busiest.codes.iter();
        let codes = codes.map(|iata| Warming::by(&self.code_entry(iata), move || self.icao_of(iata)));
        let around = busiest.surroundings.iter();
        let around = around.map(|(icao, radius)| {
            Warming::by(&self.distances_entry(icao, *radius), move || self.distances(icao, *radius))
        });
        let countries = busiest.countries.iter();
        let countries = countries
            .map(|country| Warming::by(&self.statistics_entry(country), move || self.statistics(country)));
        let searches = busiest.searches.iter();
        let searches =
            searches.map(|filter| Warming::by(&self.search_entry(filter), move || self.search(filter)));
        // What takes longest comes first.
        let all = countries.chain(around).chain(searches).chain(codes).chain(airports);
        self.cache.warm(all).rate(rate).run().await
    }

    /// Gives an airport another name.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] where the name is empty; [`Error::Database`].
    pub async fn rename(&self, code: &str, name: &str) -> Result<Airport> {
        let name = name.trim();
        if name.is_empty() {
            return Err(Error::Invalid("an airport needs a name".to_owned()));
        }
        let icao = self.lookup(code).await?.icao;
        if !self.repository.rename(&icao, name).await? {
            return Err(Error::NotFound(icao));
        }
        self.lookup(&icao).await
    }

    /// Whether an airport is cached.
    ///
    /// # Errors
    /// Where the store does not answer.
    pub async fn is_cached(&self, icao: &str) -> cachemacro::Result<bool> {
        self.airport_entry(icao).has().await
    }

    /// Removes an airport.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn delete(&self, code: &str) -> Result<()> {
        let icao = self.lookup(code).await?.icao;
        if self.repository.delete(&icao).await? { Ok(()) } else { Err(Error::NotFound(icao)) }
    }

    /// Adds and replaces airports.
    ///
    /// # Errors
    /// [`Error::Database`].
    pub async fn import(&self, airports: &[Airport]) -> Result<()> {
        self.repository.import(airports).await
    }

    /// The runways of an airport.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn runways(&self, code: &str) -> Result<Vec<Runway>> {
        let icao = self.lookup(code).await?.icao;
        self.runways_of(&icao).await
    }

    /// Gives an airport these runways in place of those that it has.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn rebuild(&self, code: &str, runways: &[Runway]) -> Result<()> {
        let icao = self.lookup(code).await?.icao;
        self.repository.rebuild(&icao, runways).await
    }
}

#[cache_config(cache = self.cache, ttl = "10m")]
impl Airports {
    /// That a code is unknown is worth remembering for a moment: crawlers ask for all of them.
    #[cached(
        prefix = "airport",
        key = "{icao}",
        tags = rows(icao),
        cache_none,
        none_ttl = "30s",
        search = result.texts(),
        entry = airport_entry
    )]
    async fn by_icao(&self, icao: &str) -> Result<Option<Airport>> {
        self.repository.by_icao(icao).await
    }

    /// It is gone with any write of airports, but for their names.
    #[cached(prefix = "iata", key = "{iata}", ttl = "1h", recorded, entry = code_entry)]
    async fn icao_of(&self, iata: &str) -> Result<Option<String>> {
        self.repository.icao_of(iata).await
    }

    /// A page of the airports that match. The filter is the key.
    ///
    /// # Errors
    /// [`Error::Database`].
    #[cached(prefix = "search", recorded, entry = search_entry)]
    pub async fn search(&self, filter: &Filter) -> Result<Page<Airport>> {
        self.repository.search(filter).await
    }

    /// How far it is to the airports around another.
    ///
    /// The one in the middle is looked up in here and not handed over: what a load uses must be read by the load, or
    /// it could be older than an evict that came before.
    #[cached(prefix = "near", key = "{icao}:{radius}", ttl = "1h", recorded, entry = distances_entry)]
    async fn distances(&self, icao: &str, radius: u32) -> Result<Vec<Distance>> {
        let Some(center) = self.repository.place(icao).await? else { return Ok(Vec::new()) };
        let mut near = self.repository.within(center, f64::from(radius)).await?;
        near.retain(|near| near.icao != icao);
        near.truncate(LISTED);
        Ok(near)
    }

    /// Figures of one country. Countries without airports are not kept: anybody can think of more of them.
    ///
    /// # Errors
    /// [`Error::Database`].
    #[cached(
        prefix = "statistics",
        key = "{country}",
        recorded,
        unless = result.airports == 0,
        entry = statistics_entry
    )]
    pub async fn statistics(&self, country: &str) -> Result<Statistics> {
        self.repository.statistics(country).await
    }

    /// The airports of the cities that a question names. Questions that mean the same share an answer, if they name the same places: "airports near Berlin" and
    /// "airfields close to Berlin", and not "airports near Bern". What nothing is known of is not kept: anybody can think of more of it.
    ///
    /// # Errors
    /// [`Error::Database`].
    #[cached(
        prefix = "ask",
        similar = question,
        threshold = 0.9,
        embedder = self.senses.embedder(),
        confirm = name_the_same,
        scope = "shared",
        recorded,
        unless = result.airports.is_empty()
    )]
    pub async fn ask(&self, question: &str) -> Result<Reply> {
        let airports = self.repository.of_cities(&phrases(question)).await?;
        let mut cities: Vec<String> = airports.iter().map(|airport| airport.city.clone()).collect();
        cities.sort_unstable();
        cities.dedup();
        Ok(Reply { cities, airports })
    }

    /// Gone with any write of runways, and with an airport, whose runways go with it.
    #[cached(prefix = "runways", key = "{icao}", recorded)]
    async fn runways_of(&self, icao: &str) -> Result<Vec<Runway>> {
        self.repository.runways(icao).await
    }
}

/// The tags of what is made of an airport's own rows alone.
fn rows(icao: &str) -> impl Iterator<Item = String> {
    row("airports", icao).into_iter().chain(row("names", icao))
}
