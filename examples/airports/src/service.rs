//! What can be asked and done. Everything there is about caching is in the attributes below.
//!
//! What depends on what is said with tags, beside the entries' keys:
//!
//! - `airports` is on every entry. An import evicts it, and with it everything.
//! - `names:DE` is on lists that show airports of Germany, by name. Renaming one evicts it, deleting one as well. Lists of
//!   all countries carry `names:any`, which every change evicts.
//! - `places:DE` is on what depends on which airports Germany has and where they are, whatever their names:
//!   statistics, distances. Only deleting one evicts it.
//! - `airport:EDDF` is on the pages about one airport (`routes`), which change with it. Its own entry is put and evicted by its key.

use std::future::{Ready, ready};

use cachemacro::{Cache, Key, Warmed, Warming, cache_config, cache_evict, cache_put, cached};

use crate::error::{Error, Result};
use crate::model::{Airport, Distance, Filter, Neighbor, Page, Reply, Statistics, Vicinity};
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
        let airport = self.lookup(code).await?;
        self.write_name(&airport, name).await
    }

    /// Removes an airport.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Database`].
    pub async fn delete(&self, code: &str) -> Result<()> {
        let airport = self.lookup(code).await?;
        self.remove(&airport).await
    }
}

#[cache_config(cache = self.cache, ttl = "10m")]
impl Airports {
    /// That a code is unknown is worth remembering for a moment: crawlers ask for all of them.
    #[cached(
        prefix = "airport",
        key = "{icao}",
        tags = ["airports"],
        cache_none,
        none_ttl = "30s",
        search = result.texts(),
        entry = airport_entry
    )]
    async fn by_icao(&self, icao: &str) -> Result<Option<Airport>> {
        self.repository.by_icao(icao).await
    }

    /// Only an import changes it: the code of a deleted airport leads to one that is not there.
    #[cached(prefix = "iata", key = "{iata}", ttl = "1h", tags = ["airports"], entry = code_entry)]
    async fn icao_of(&self, iata: &str) -> Result<Option<String>> {
        self.repository.icao_of(iata).await
    }

    /// A page of the airports that match. The filter is the key.
    ///
    /// # Errors
    /// [`Error::Database`].
    #[cached(
        prefix = "search",
        tags = ["airports".to_owned(), names(filter.country.as_deref())],
        entry = search_entry
    )]
    pub async fn search(&self, filter: &Filter) -> Result<Page<Airport>> {
        self.repository.search(filter).await
    }

    /// How far it is to the airports around another. Their countries, hence the tags, are known once they are found.
    ///
    /// The one in the middle is looked up in here and not handed over: what a load uses must be read by the load, or
    /// it could be older than an evict that came before.
    #[cached(prefix = "near", key = "{icao}:{radius}", ttl = "1h", tags = places(result), entry = distances_entry)]
    async fn distances(&self, icao: &str, radius: u32) -> Result<Vec<Distance>> {
        let center = self.lookup(icao).await?;
        let mut near = self.repository.within(center.point(), f64::from(radius)).await?;
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
        tags = ["airports", "places:{country}"],
        unless = result.airports == 0,
        entry = statistics_entry
    )]
    pub async fn statistics(&self, country: &str) -> Result<Statistics> {
        self.repository.statistics(country).await
    }

    /// The airports of the cities that a question names. Questions that mean the same share an answer, if they name the same cities: "airports near Berlin" and
    /// "airfields close to Berlin", and not "airports near Bern". What nothing is known of is not kept: anybody can think of more of it.
    ///
    /// # Errors
    /// [`Error::Database`].
    #[cached(
        prefix = "ask",
        similar = question,
        threshold = 0.9,
        embedder = self.senses.embedder(),
        confirm = names_the_same,
        scope = "shared",
        tags = shown(result),
        unless = result.airports.is_empty()
    )]
    pub async fn ask(&self, question: &str) -> Result<Reply> {
        let airports = self.repository.of_cities(&phrases(question)).await?;
        let mut cities: Vec<String> = airports.iter().map(|airport| airport.city.clone()).collect();
        cities.sort_unstable();
        cities.dedup();
        Ok(Reply { cities, airports })
    }

    /// The country comes in with the argument, not out with the result: so the evict is known before the body runs,
    /// and happens even if the client hangs up between the write and the evict.
    #[cache_put(entry = self.airport_entry(&airport.icao))]
    #[cache_evict(tags = ["airport:{airport.icao}", "names:{airport.country}", "names:any"])]
    async fn write_name(&self, airport: &Airport, name: &str) -> Result<Airport> {
        let renamed = self.repository.rename(&airport.icao, name).await?;
        renamed.ok_or_else(|| Error::NotFound(airport.icao.clone()))
    }

    #[cache_evict(
        entry = self.airport_entry(&airport.icao),
        tags = ["airport:{airport.icao}", "places:{airport.country}", "names:{airport.country}", "names:any"]
    )]
    async fn remove(&self, airport: &Airport) -> Result<()> {
        let deleted = self.repository.delete(&airport.icao).await?;
        if deleted { Ok(()) } else { Err(Error::NotFound(airport.icao.clone())) }
    }

    /// Adds and replaces airports. A commit that failed may have happened all the same: then, too, nothing that was
    /// cached is believed any more.
    ///
    /// # Errors
    /// [`Error::Database`].
    #[cache_evict(tags = ["airports"], on_err = "evict")]
    pub async fn import(&self, airports: &[Airport]) -> Result<()> {
        self.repository.import(airports).await
    }
}

/// The tag of a list of airports of one country, or of all.
fn names(country: Option<&str>) -> String {
    format!("names:{}", Key::escape(country.unwrap_or("any")))
}

/// The tags of a reply: it shows airports of these countries, by name.
fn shown(reply: &Reply) -> Vec<String> {
    let mut countries: Vec<&str> = reply.airports.iter().map(|airport| airport.country.as_str()).collect();
    countries.sort_unstable();
    countries.dedup();
    let tags = countries.into_iter().map(|country| names(Some(country)));
    tags.chain(["airports".to_owned()]).collect()
}

/// Whether a question names all cities of the reply to another one, and no word more than that one that begins with a capital letter.
fn names_the_same(asked: &str, stored: &str, reply: &Reply) -> Ready<bool> {
    let said = phrases(asked);
    let names = |text: &str| {
        let words = text.split(|letter: char| !letter.is_alphanumeric()).skip(1);
        words.filter(|word| word.starts_with(char::is_uppercase)).count()
    };
    ready(
        reply.cities.iter().all(|city| said.contains(&city.to_lowercase())) && names(asked) == names(stored),
    )
}

/// What may be a city's name in a question: up to three words that stand together.
fn phrases(question: &str) -> Vec<String> {
    let question = question.to_lowercase();
    let words: Vec<&str> = question
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .take(64)
        .collect();
    let mut phrases: Vec<String> =
        (1..=3).flat_map(|length| words.windows(length).map(|words| words.join(" "))).collect();
    phrases.sort_unstable();
    phrases.dedup();
    phrases
}

/// The tags of distances: one for each country that they lead to.
fn places(distances: &[Distance]) -> Vec<String> {
    let mut countries: Vec<&str> = distances.iter().map(|near| near.country.as_str()).collect();
    countries.sort_unstable();
    countries.dedup();
    let tags = countries.into_iter().map(|country| format!("places:{}", Key::escape(country)));
    tags.chain(["airports".to_owned()]).collect()
}
