//! What stands beside a cache: told of what is stored, and asked by searches.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use cachemacro::store::RawCommands;
use cachemacro::{Asked, Beside, Candidate, Judged, Stored};
use tokio::time::Instant;

use super::counts::{Counts, SearchStats};
use super::embedding::Embedding;
use super::judgements::{AlikeStats, Judgements};
use super::lies::{Lies, is_of_questions, scope};
use super::queue::{Job, Question, Queue, beginnings};
use super::space::Space;
use crate::error::Error;
use crate::guard::Guard;
use crate::index::{Index, MemoryIndex, StoreIndex};
use crate::mirror::Mirror;
use crate::text::{Analyzer, MOST_TEXT};

/// How old a mirror may be that is searched.
const WITHIN: Duration = Duration::from_millis(250);
/// How long a search may take.
const DEADLINE: Duration = Duration::from_secs(1);
/// What a search may take longer than its deadline before it is given up by the cache that waits for it.
const BEYOND: Duration = Duration::from_millis(100);
/// So many bytes of questions are kept of a function.
const MOST_QUESTIONS: usize = 64 << 20;

/// Makes the values of a cache findable: put beside it, it keeps a small document of each value that a function with `search` stores, in this process or on the server of the
/// cache's store, and by [`SearchCache::search`](crate::SearchCache::search) they are found.
///
/// The documents are hints. What is found is read as any other entry, and only what that read gives is returned. A process that only stores keeps no
/// mirror of them.
///
/// ```
/// use cachemacro::{Cache, cached};
/// use cachemacro_search::{Search, SearchCache};
/// use std::sync::Arc;
///
/// #[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
/// struct Airport {
///     name: String,
///     city: String,
/// }
///
/// #[cached(prefix = "airport", key = "{icao}", search = [&result.name, &result.city])]
/// async fn airport(icao: &str) -> Option<Airport> {
///     let (name, city) = match icao {
///         "EGLL" => ("London Heathrow", "London"),
///         "EDDB" => ("Berlin Brandenburg", "Berlin"),
///         _ => return None,
///     };
///     Some(Airport { name: name.to_owned(), city: city.to_owned() })
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let search = Arc::new(Search::new());
/// let cache = Cache::builder().memory().beside(search.clone()).build()?;
/// cache
///     .scope(async {
///         airport("EGLL").await;
///         airport("EDDB").await;
///     })
///     .await;
/// search.written().await; // documents follow their values within moments
///
/// let near = cache.search("airport").fuzzy("heatrow london").limit(10).run::<Airport>().await?;
/// assert_eq!(near[0].value.name, "London Heathrow");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Search {
    pub(super) words: Analyzer,
    documents: usize,
    bytes: Option<usize>,
    max_features: Option<usize>,
    pub(super) within: Duration,
    pub(super) deadline: Duration,
    index: OnceLock<Arc<dyn Index>>,
    queue: Arc<Queue>,
    spaces: Mutex<HashMap<String, Arc<Space>>>,
    pub(super) counts: Arc<Counts>,
    pub(super) guard: Option<Guard>,
    pub(super) embedding: Arc<Embedding>,
    pub(super) judgements: Judgements,
}

impl Default for Search {
    fn default() -> Self {
        Self::new()
    }
}

impl Search {
    /// For one cache: its documents lie where that has its entries, in this process or on its server.
    ///
    /// ```
    /// use cachemacro::Cache;
    /// use cachemacro_search::Search;
    /// use std::sync::Arc;
    ///
    /// let cache = Cache::builder().memory().beside(Arc::new(Search::new())).build()?;
    /// assert!(cache.beside::<Search>().is_some());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn new() -> Self {
        let (words, counts) = (Analyzer::new(), Arc::new(Counts::default()));
        let embedding = Arc::new(Embedding::new(DEADLINE));
        Self {
            queue: Arc::new(Queue::new(words.clone(), counts.clone(), embedding.clone())),
            words,
            documents: Mirror::USUAL,
            bytes: None,
            max_features: None,
            within: WITHIN,
            deadline: DEADLINE,
            index: OnceLock::new(),
            spaces: Mutex::default(),
            counts,
            guard: Some(Guard::english()),
            embedding,
            judgements: Judgements::default(),
        }
    }

    /// Its documents lie in this index.
    ///
    /// ```
    /// use cachemacro_search::{MemoryIndex, Search};
    /// use std::sync::Arc;
    ///
    /// let search = Search::new().with_index(Arc::new(MemoryIndex::new()));
    /// ```
    #[must_use]
    pub fn with_index(mut self, index: Arc<dyn Index>) -> Self {
        self.index = OnceLock::from(index);
        self
    }

    /// Takes texts apart so. All processes on one index do it alike.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Language, Search};
    ///
    /// let search = Search::new().with_words(Analyzer::new().stemming(Language::English));
    /// ```
    #[must_use]
    pub fn with_words(mut self, words: Analyzer) -> Self {
        self.words = words;
        self.with_queue()
    }

    /// Once nothing of what it is made of changes any more.
    fn with_queue(mut self) -> Self {
        let (counts, embedding) = (self.counts.clone(), self.embedding.clone());
        self.queue = Arc::new(Queue::new(self.words.clone(), counts, embedding));
        self
    }

    /// Questions share an answer only where this sees no difference between them that a likeness does not see. Default: [`Guard::english`].
    ///
    /// ```
    /// use cachemacro_search::{Guard, Search, WordLists};
    ///
    /// let lists = WordLists::german().opposites(&["einfach"], &["hin", "zurück"]);
    /// let search = Search::new().with_guard(Guard::new(lists));
    /// ```
    #[must_use]
    pub fn with_guard(mut self, guard: Guard) -> Self {
        self.guard = Some(guard);
        self
    }

    /// Questions share an answer whatever differs between them, if they are alike enough: where `confirm` tells them apart, or nothing has to.
    ///
    /// ```
    /// let search = cachemacro_search::Search::new().without_guard();
    /// ```
    #[must_use]
    pub fn without_guard(mut self) -> Self {
        self.guard = None;
        self
    }

    /// Searches the last so many documents of each prefix, up to [`Mirror::MOST`]. Default: 100,000.
    ///
    /// # Errors
    /// [`Error::Limit`] for zero, or for more than that.
    ///
    /// ```
    /// assert!(cachemacro_search::Search::new().with_documents(1_000_000).is_ok());
    /// assert!(cachemacro_search::Search::new().with_documents(0).is_err());
    /// ```
    pub fn with_documents(mut self, most: usize) -> Result<Self, Error> {
        Mirror::with_limit(most)?;
        self.documents = most;
        Ok(self)
    }

    /// Keeps about so many bytes of documents of each prefix that is searched, the newest, and as many of the questions of each function with `similar` that is asked. Default: as
    /// many as there are documents, and 64 MiB of questions, which have dense vectors and texts.
    ///
    /// ```
    /// let search = cachemacro_search::Search::new().with_bytes(64 << 20);
    /// ```
    #[must_use]
    pub const fn with_bytes(mut self, most: usize) -> Self {
        self.bytes = Some(most);
        self
    }

    /// Compares by so many of the most frequent words of a prefix alone. That loses much where words are names: of airports with one typo the
    /// first ten had 20 % by a thousand words, and 62 % by all. Default: all words; questions of `similar` are compared by all in any case.
    ///
    /// ```
    /// let search = cachemacro_search::Search::new().with_max_features(1_000);
    /// ```
    #[must_use]
    pub const fn with_max_features(mut self, words: usize) -> Self {
        self.max_features = Some(words);
        self
    }

    /// Documents that are older than this are found: a search asks the index for changes, if that is longer ago. Default: 250 ms.
    ///
    /// ```
    /// let search = cachemacro_search::Search::new().with_delay(std::time::Duration::ZERO);
    /// ```
    #[must_use]
    pub const fn with_delay(mut self, delay: Duration) -> Self {
        self.within = delay;
        self
    }

    /// A search takes no longer; what it has by then is its answer, and it says that it is partial. Default: 1 s.
    ///
    /// ```
    /// let search = cachemacro_search::Search::new().with_deadline(std::time::Duration::from_millis(200));
    /// ```
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self.embedding = Arc::new(Embedding::new(deadline));
        self.with_queue()
    }

    /// Waits until the documents of all that was stored are written, or were refused.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let search = cachemacro_search::Search::new();
    /// search.written().await;
    /// assert_eq!(search.stats().waiting, 0);
    /// # }
    /// ```
    pub async fn written(&self) {
        self.queue.written(&self.index()).await;
    }

    /// What was counted.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Search::new().stats().searches, 0);
    /// ```
    pub fn stats(&self) -> SearchStats {
        let mut stats = SearchStats { waiting: self.queue.waiting() as u64, ..self.counts.snapshot() };
        // Nobody who searches waits for this to look at a mirror.
        let spaces: Vec<_> =
            self.spaces.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for space in spaces {
            stats.unread += space.searcher.unread();
            let (documents, left) = space.searcher.search(|mirror| (mirror.len(), mirror.left()));
            stats.documents += documents as u64;
            stats.left += left;
        }
        stats
    }

    /// What became of questions that functions with `similar` were asked.
    ///
    /// ```
    /// let stats = cachemacro_search::Search::new().alike_stats();
    /// assert_eq!((stats.asked, stats.answered), (0, 0));
    /// ```
    pub fn alike_stats(&self) -> AlikeStats {
        self.judgements.snapshot()
    }

    pub(super) fn index(&self) -> Arc<dyn Index> {
        self.index.get_or_init(|| Arc::new(MemoryIndex::new())).clone()
    }

    /// How many bytes the mirror of this space may take.
    fn most_bytes(&self, space: &str) -> usize {
        let usual = if is_of_questions(space) { MOST_QUESTIONS } else { usize::MAX };
        self.bytes.unwrap_or(usual)
    }

    /// The mirror of one space, made by the first who searches it.
    pub(super) fn space(&self, name: &str) -> Arc<Space> {
        let mut spaces = self.spaces.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(space) = spaces.get(name) {
            return space.clone();
        }
        let mirror = Mirror::with_limit(self.documents).unwrap_or_default().with_bytes(self.most_bytes(name));
        let mirror = match self.max_features {
            // Two questions that differ in a rare word would be the same.
            Some(words) if !is_of_questions(name) => mirror.with_max_features(words),
            _ => mirror,
        };
        let space = Arc::new(Space::new(name, mirror));
        spaces.insert(name.to_owned(), space.clone());
        space
    }
}

#[async_trait]
impl Beside for Search {
    fn stored(&self, stored: &Stored<'_>) {
        if stored.is_sealed {
            return self.counts.sealed.one();
        }
        // A key that was cut within its prefix is nobody's to find.
        let Some(Lies { texts: space, questions, key }) = Lies::of(stored.namespace, stored.key) else {
            return self.counts.refused.one();
        };
        let (index, life) = (self.index(), stored.life);
        let now = Instant::now();
        if !stored.texts.is_empty() {
            let texts = beginnings(stored.texts);
            self.queue.push(Job { space, key: key.into(), texts, question: None, life, stored: now }, &index);
        }
        // A longer question is found by none.
        if let Some(meaning) = stored.meaning.filter(|meaning| meaning.text.len() <= MOST_TEXT) {
            let scope = scope(&meaning.scope, meaning.embedder.as_ref());
            let question = Some(Question { scope, embedder: meaning.embedder.clone() });
            let texts = vec![meaning.text.to_string()];
            self.queue
                .push(Job { space: questions, key: key.into(), texts, question, life, stored: now }, &index);
        }
    }

    fn attached(&self, commands: Option<Arc<dyn RawCommands>>) {
        self.index.get_or_init(|| match commands {
            Some(commands) => Arc::new(StoreIndex::new(commands)),
            None => Arc::new(MemoryIndex::new()),
        });
    }

    /// It keeps to the deadline of a search by itself.
    fn deadline(&self) -> Duration {
        self.deadline.saturating_add(BEYOND)
    }

    async fn near(&self, asked: &Asked<'_>) -> Vec<Candidate> {
        self.near_to(asked).await
    }

    fn judged(&self, asked: &Asked<'_>, candidate: &Candidate, judged: Judged) {
        self.judgements.judged(candidate.score, judged);
        if judged == Judged::Gone
            && let Some(lies) = Lies::of(asked.namespace, asked.key)
        {
            self.space(&lies.questions).searcher.forget(&candidate.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Lies, MOST_QUESTIONS, Search};

    #[test]
    fn questions_are_bounded_in_bytes_where_nothing_is_said() {
        for namespace in ["", "shop"] {
            let lies = Lies::of(namespace, "faq:7:hours").expect("a key");
            let search = Search::new();
            assert_eq!(search.most_bytes(&lies.questions), MOST_QUESTIONS);
            assert_eq!(search.most_bytes(&lies.texts), usize::MAX);
            let search = search.with_bytes(1 << 30);
            assert_eq!(
                (search.most_bytes(&lies.questions), search.most_bytes(&lies.texts)),
                (1 << 30, 1 << 30)
            );
        }
    }
}
