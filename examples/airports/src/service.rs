//! What can be asked and done. Everything there is about caching is in the attributes below.
//!
//! What depends on what is said with two kinds of tags beside the entries' keys:
//!
//! - `airports` is on every entry; an import evicts it, and with it everything.
//! - `country:DE` is on whatever shows an airport of Germany. A change of one airport evicts its country, so lists,
//!   statistics and neighborhoods without airports in it stay.
//!
//! Searches through all countries depend on each of them, and say so with `country:any`, which every change evicts.

use cachemacro::{Cache, cache_config, cache_evict, cache_put, cached};

use crate::error::{Error, Result};
use crate::model::{Airport, Filter, Neighbor, Page, Statistics, Vicinity};
use crate::repository::Repository;

/// How far [`Airports::near`] looks at most, in kilometres.
pub const FARTHEST: u32 = 1_000;

/// How many airports [`Airports::near`] lists at most.
pub const LISTED: usize = 100;

/// The service. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Airports {
    repository: Repository,
    cache: Cache,
}

impl Airports {
    /// The service over a repository, caching where it is told.
    pub fn new(repository: Repository, cache: Cache) -> Self {
        Self { repository, cache }
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
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Invalid`] where the radius is over [`FARTHEST`]; [`Error::Database`].
    pub async fn near(&self, code: &str, radius: u32) -> Result<Vicinity> {
        if radius > FARTHEST {
            return Err(Error::Invalid(format!("the radius goes up to {FARTHEST} km")));
        }
        let center = self.lookup(code).await?;
        let airports = self.around(&center.icao, radius).await?;
        Ok(Vicinity { center, radius, airports })
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
        entry = airport_entry
    )]
    async fn by_icao(&self, icao: &str) -> Result<Option<Airport>> {
        self.repository.by_icao(icao).await
    }

    /// Only an import changes it: the code of a deleted airport leads to one that is not there.
    #[cached(prefix = "iata", key = "{iata}", ttl = "1h", tags = ["airports"])]
    async fn icao_of(&self, iata: &str) -> Result<Option<String>> {
        self.repository.icao_of(iata).await
    }

    /// A page of the airports that match. The filter is the key.
    ///
    /// # Errors
    /// [`Error::Database`].
    #[cached(prefix = "search", tags = ["airports".to_owned(), country_tag(filter.country.as_deref())])]
    pub async fn search(&self, filter: &Filter) -> Result<Page<Airport>> {
        self.repository.search(filter).await
    }

    /// The airports within `radius` kilometres of another. Their countries, hence the tags, are known once they are
    /// found. The one in the middle is looked up here and not handed over: what a load uses must be read inside of it,
    /// or it could be older than an evict that the load does not see.
    #[cached(prefix = "near", key = "{icao}:{radius}", ttl = "1h", tags = |near| countries(near))]
    async fn around(&self, icao: &str, radius: u32) -> Result<Vec<Neighbor>> {
        let center = self.lookup(icao).await?;
        let mut near = self.repository.within(center.point(), f64::from(radius)).await?;
        near.retain(|neighbor| neighbor.icao != icao);
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
        tags = ["airports", "country:{country}"],
        unless = |statistics| statistics.airports == 0
    )]
    pub async fn statistics(&self, country: &str) -> Result<Statistics> {
        self.repository.statistics(country).await
    }

    /// The country comes in with the argument, not out with the result: so the evict is known before the body runs,
    /// and happens even if the client hangs up between the write and the evict.
    #[cache_put(entry = self.airport_entry(&airport.icao))]
    #[cache_evict(tags = ["country:{airport.country}", "country:any"])]
    async fn write_name(&self, airport: &Airport, name: &str) -> Result<Airport> {
        let renamed = self.repository.rename(&airport.icao, name).await?;
        renamed.ok_or_else(|| Error::NotFound(airport.icao.clone()))
    }

    #[cache_evict(
        entry = self.airport_entry(&airport.icao),
        tags = ["country:{airport.country}", "country:any"]
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

/// What is evicted when an airport of this country changes.
fn country_tag(country: Option<&str>) -> String {
    format!("country:{}", country.unwrap_or("any"))
}

fn countries(near: &[Neighbor]) -> Vec<String> {
    let mut countries: Vec<&str> = near.iter().map(|neighbor| neighbor.country.as_str()).collect();
    countries.sort_unstable();
    countries.dedup();
    let tags = countries.into_iter().map(|country| country_tag(Some(country)));
    tags.chain(["airports".to_owned()]).collect()
}
