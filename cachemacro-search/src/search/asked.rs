//! One search: documents point to entries, and those are read.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use cachemacro::{Cache, Value};
use futures_util::future::join_all;
use tokio::time::timeout_at;

use super::beside::Search;
use super::matches::{Match, Matches};
use super::space::Space;
use crate::error::Error;
use crate::fuzzy::Fuzzy;
use crate::mirror::Mirror;
use crate::query::{Found, Query, first, order};

/// So many entries are read at once.
const AT_ONCE: usize = 64;

/// What a cache can do that has a [`Search`] beside it.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_search::{Search, SearchCache};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().memory().beside(Arc::new(Search::new())).build()?;
/// let like = cache.search("airport").vector("airfield kansas").threshold(0.5).limit(10).run::<String>().await?;
/// assert!(like.is_empty());
/// # Ok(())
/// # }
/// ```
pub trait SearchCache {
    /// Searches the values that functions with `search` stored under this prefix.
    fn search(&self, prefix: &str) -> Searching<'_>;
}

impl SearchCache for Cache {
    fn search(&self, prefix: &str) -> Searching<'_> {
        Searching {
            cache: self,
            prefix: prefix.to_owned(),
            asked: None,
            threshold: 0.0,
            limit: 10,
            deadline: None,
        }
    }
}

/// A search that is put together. From [`SearchCache::search`].
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_search::{Search, SearchCache, Searching};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let cache = Cache::builder().memory().beside(Arc::new(Search::new())).build()?;
/// let near: Searching<'_> = cache.search("airport").fuzzy("heatrow london").limit(10);
/// assert!(near.run::<String>().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is searched before `run`"]
pub struct Searching<'a> {
    cache: &'a Cache,
    prefix: String,
    asked: Option<(Method, String)>,
    threshold: f64,
    limit: usize,
    deadline: Option<Duration>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Method {
    Fuzzy,
    Vector,
    Exact,
}

/// What is asked for is not shown.
impl fmt::Debug for Searching<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Searching");
        shown.field("prefix", &self.prefix).field("method", &self.asked.as_ref().map(|asked| asked.0));
        shown.field("threshold", &self.threshold).field("limit", &self.limit).finish_non_exhaustive()
    }
}

impl Searching<'_> {
    /// Finds what may have been meant by this text: typos are forgiven, beginnings stand for words, an exact code comes first. The texts are taken from the values again,
    /// where this process has called the function that stores them; else likeness is that of trigrams alone.
    ///
    /// ```
    /// # use cachemacro_search::{Match, SearchCache};
    /// # async fn example(cache: cachemacro::Cache) -> Result<(), cachemacro_search::Error> {
    /// let near = cache.search("airport").fuzzy("heatrow london").run::<String>().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn fuzzy(mut self, text: impl Into<String>) -> Self {
        self.asked = Some((Method::Fuzzy, text.into()));
        self
    }

    /// Finds what has words like these, by TF-IDF and cosine.
    ///
    /// ```
    /// # use cachemacro_search::SearchCache;
    /// # async fn example(cache: cachemacro::Cache) -> Result<(), cachemacro_search::Error> {
    /// let like = cache.search("airport").vector("airfield kansas").threshold(0.5).run::<String>().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn vector(mut self, text: impl Into<String>) -> Self {
        self.asked = Some((Method::Vector, text.into()));
        self
    }

    /// Finds what has each of these words.
    ///
    /// ```
    /// # use cachemacro_search::SearchCache;
    /// # async fn example(cache: cachemacro::Cache) -> Result<(), cachemacro_search::Error> {
    /// let there = cache.search("airport").exact("EGLL").run::<String>().await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn exact(mut self, text: impl Into<String>) -> Self {
        self.asked = Some((Method::Exact, text.into()));
        self
    }

    /// Gives only what is so much alike, from 0 to 1; any other number is an error when it is run. Default: 0.
    ///
    /// ```
    /// # use cachemacro_search::SearchCache;
    /// let cache = cachemacro::Cache::memory();
    /// let asked = cache.search("airport").vector("airfield").threshold(0.5);
    /// ```
    pub fn threshold(mut self, threshold: f64) -> Self {
        self.threshold = threshold;
        self
    }

    /// Gives at most so many. Default: 10.
    ///
    /// ```
    /// # use cachemacro_search::SearchCache;
    /// let cache = cachemacro::Cache::memory();
    /// let asked = cache.search("airport").vector("airfield").limit(100);
    /// ```
    pub fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Takes no longer than this, instead of what [`Search::with_deadline`] says.
    ///
    /// ```
    /// # use cachemacro_search::SearchCache;
    /// let cache = cachemacro::Cache::memory();
    /// let asked = cache.search("airport").vector("airfield").deadline(std::time::Duration::from_millis(50));
    /// ```
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Searches, and reads what was found: only what a read gives now is among the matches.
    ///
    /// ```
    /// # use cachemacro_search::{Error, SearchCache};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let cache = cachemacro::Cache::memory();
    /// let refused = cache.search("airport").vector("airfield").run::<String>().await;
    /// assert_eq!(refused.unwrap_err(), Error::NotBeside);
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`Error::NotBeside`], [`Error::NotSearched`] and [`Error::Sealed`] where nothing is searched there; [`Error::Unasked`] without a text; [`Error::Threshold`] where that is no
    /// number from 0 to 1. Where index or store fail, what was found is partial.
    pub async fn run<T: Value>(self) -> Result<Matches<T>, Error> {
        self.run_of(|prefix, value| self.cache.texts_of::<T>(prefix, value)).await
    }

    /// [`run`](Self::run) where this process has not called the function that stores the values: they are found by these texts of theirs.
    ///
    /// ```
    /// # use cachemacro_search::SearchCache;
    /// # async fn example(cache: cachemacro::Cache) -> Result<(), cachemacro_search::Error> {
    /// let near = cache.search("name").fuzzy("heatrow").run_by(|name: &String| vec![name.clone()]).await?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_by<T: Value>(&self, texts: impl Fn(&T) -> Vec<String>) -> Result<Matches<T>, Error> {
        self.run_of(|_, value| Some(texts(value))).await
    }

    async fn run_of<T: Value>(
        &self,
        texts: impl Fn(&str, &T) -> Option<Vec<String>>,
    ) -> Result<Matches<T>, Error> {
        let search = self.cache.beside::<Search>().ok_or(Error::NotBeside)?;
        let under = self.cache.under(&self.prefix);
        if under.is_sealed {
            return Err(Error::Sealed);
        }
        if under.function.is_some() {
            return Err(Error::NotSearched);
        }
        let (method, text) = self.asked.as_ref().ok_or(Error::Unasked)?;
        let query = Query::of(text, &search.words).threshold(self.threshold)?.limit(self.limit);
        search.counts.searches.one();
        let deadline = Instant::now() + self.deadline.unwrap_or(search.deadline).min(LONGEST);
        let space = search.space(&under.begins);
        let caught_up = space.catch_up(search.index(), search.within, deadline).await;
        // Neither a namespace nor a prefix has a colon of its own.
        let prefix = under.begins.rsplit(':').next().unwrap_or_default();
        // What a read of another kind does not give may be there all the same.
        let forgets = self.cache.reads_as::<T>(&self.prefix);
        let reader = Reader { search: &search, cache: self.cache, space: &space, prefix, deadline, forgets };
        let (found, is_whole) = match method {
            Method::Fuzzy => {
                let candidates = query.clone().everything().limit(Fuzzy::candidates(self.limit));
                let candidates = space.look(deadline, move |mirror| mirror.candidates(&candidates)).await;
                let is_searched = candidates.is_ok();
                let (read, is_whole) = reader.read(candidates.unwrap_or_default(), usize::MAX).await;
                (self.as_typed(&query, text, read, texts), is_searched && is_whole)
            }
            Method::Vector => reader.first(&query, Mirror::vector).await,
            Method::Exact => reader.first(&query, Mirror::exact).await,
        };
        let is_partial = caught_up.is_err() || !space.searcher.is_complete() || !is_whole;
        if is_partial {
            search.counts.partial.one();
        }
        Ok(Matches { found, is_partial })
    }

    /// What was read, as near as its texts come to what was typed.
    fn as_typed<T>(
        &self,
        query: &Query,
        text: &str,
        read: Vec<Match<T>>,
        texts: impl Fn(&str, &T) -> Option<Vec<String>>,
    ) -> Vec<Match<T>> {
        let typed = Fuzzy::of(text);
        let scored = read.into_iter().filter_map(|found| {
            let score = typed.rescored(found.score, texts(&self.prefix, &found.value).as_deref())?;
            Some(Match { score, ..found })
        });
        let mut scored: Vec<Match<T>> = scored.filter(|found| query.is_enough(found.score)).collect();
        first(&mut scored, query.limit, |one, other| order((one.score, &one.key), (other.score, &other.key)));
        scored
    }
}

/// The longest that a search may take.
pub(super) const LONGEST: Duration = Duration::from_secs(3_600);

/// Reads what documents point to.
struct Reader<'a> {
    search: &'a Search,
    cache: &'a Cache,
    space: &'a Arc<Space>,
    /// What all keys begin with, up to the colon.
    prefix: &'a str,
    deadline: Instant,
    /// Whether documents go whose entries are not there.
    forgets: bool,
}

impl Reader<'_> {
    /// The best of what a method finds, and whether nothing may be missing. Where some of them are gone, the next ones come.
    async fn first<T: Value>(
        &self,
        query: &Query,
        method: fn(&Mirror, &Query) -> Vec<Found>,
    ) -> (Vec<Match<T>>, bool) {
        let limit = query.limit;
        let (mut most, mut so_far) = (limit, Vec::new());
        loop {
            let wanted = query.clone().limit(most);
            let found = self.space.look(self.deadline, move |mirror| method(mirror, &wanted)).await;
            let Ok(found) = found else { return (so_far, false) };
            let is_all = found.len() < most;
            let (read, is_whole) = self.read(found, limit).await;
            // What was gone has left the mirror: each round finds fewer of those.
            if read.len() >= limit || is_all || !is_whole {
                return (read, is_whole);
            }
            so_far = read;
            most = most.saturating_mul(2).max(AT_ONCE);
        }
    }

    /// The values that are there, up to a limit, and whether all could be read in time. Documents that point nowhere are forgotten.
    async fn read<T: Value>(&self, found: Vec<Found>, limit: usize) -> (Vec<Match<T>>, bool) {
        let (mut matches, mut is_whole) = (Vec::new(), true);
        let mut found = found.into_iter();
        while matches.len() < limit {
            let some: Vec<Found> = found.by_ref().take(AT_ONCE.min(limit - matches.len())).collect();
            if some.is_empty() {
                break;
            }
            let reads = some.iter().map(|found| {
                let entry = self.cache.entry_of::<T>(&format!("{}:{}", self.prefix, found.key));
                // G1: the document is a hint; what this read gives is what is found.
                async move { entry.find().await }
            });
            let Ok(read) = timeout_at(self.deadline.into(), join_all(reads)).await else {
                return (matches, false);
            };
            self.search.counts.read.add(some.len() as u64);
            for (found, read) in some.into_iter().zip(read) {
                match read {
                    Ok(Some(hit)) => {
                        let (age, key) = (hit.meta().age, format!("{}:{}", self.prefix, found.key).into());
                        matches.push(Match { value: hit.into_value(), score: found.score, key, age });
                    }
                    Ok(None) => {
                        self.search.counts.gone.one();
                        if self.forgets {
                            self.space.searcher.forget(&found.key);
                        }
                    }
                    Err(_) => is_whole = false,
                }
            }
        }
        (matches, is_whole)
    }
}
