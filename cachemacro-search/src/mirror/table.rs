//! Documents in memory, ready to be searched: a bounded number of them, of which the oldest leave first.
//!
//! Documents have numbers in the order in which they came. A removed one leaves its number empty, and its entries in the lists of postings are passed
//! over; once a quarter of the numbers are empty, all lists are made anew. So insertion and removal take the time of one document's terms on
//! average.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, OnceLock};

use foldhash::fast::RandomState;

use super::postings::Postings;
use super::weights::{Weights, logarithmic};
use crate::document::{Document, Scope};
use crate::error::Error;
use crate::limits::MOST_DOCUMENTS;
use crate::query::{Found, Query, first, order};

/// One document that is there.
pub(super) struct Held {
    pub(super) key: Arc<str>,
    pub(super) scope: Scope,
    /// Places of terms, with their counts.
    pub(super) terms: Box<[(u32, u16)]>,
    /// Places of trigrams.
    pub(super) grams: Box<[u32]>,
    pub(super) vector: Option<Box<[f32]>>,
    text: Option<Box<str>>,
    /// The mirror's age when it came.
    age: u32,
}

impl Held {
    /// About how many bytes it takes, in lists too.
    fn bytes(&self) -> usize {
        let vector = self.vector.as_deref().map_or(0, <[f32]>::len);
        ONE + 2 * self.key.len()
            + TERM * self.terms.len()
            + GRAM * self.grams.len()
            + size_of::<f32>() * vector
            + self.text.as_deref().map_or(0, str::len)
    }
}

/// About how many bytes a document takes, with its place among the others, and each of its terms and trigrams, with its place in their lists.
const ONE: usize = 200;
const TERM: usize = 40;
const GRAM: usize = 9;

/// Documents in memory, found by words, by typos forgiven, or by dense vectors.
///
/// ```
/// use cachemacro_search::{Analyzer, Document, Mirror, Query};
///
/// # fn main() -> Result<(), cachemacro_search::Error> {
/// let (words, mut mirror) = (Analyzer::new(), Mirror::new());
/// mirror.insert(Document::of("airport:EGLL", &["London Heathrow", "EGLL"], &words)?);
/// mirror.insert(Document::of("airport:EDDB", &["Berlin Brandenburg", "EDDB"], &words)?);
///
/// assert_eq!(&*mirror.vector(&Query::of("berlin airfields", &words))[0].key, "airport:EDDB");
/// assert_eq!(&*mirror.candidates(&Query::of("heatrow", &words))[0].key, "airport:EGLL");
/// assert!(mirror.remove("airport:EGLL"));
/// assert!(mirror.candidates(&Query::of("heatrow", &words)).is_empty());
/// # Ok(())
/// # }
/// ```
pub struct Mirror {
    limit: usize,
    /// How many bytes the documents may take, and take about.
    most_bytes: usize,
    bytes: usize,
    pub(super) max_features: Option<usize>,
    /// By number; those that left are empty.
    pub(super) held: Vec<Option<Held>>,
    by_key: HashMap<Arc<str>, u32, RandomState>,
    /// The lowest number that may be in use.
    oldest: usize,
    left: u64,
    /// How often all documents were read anew.
    age: u32,
    pub(super) terms: Postings<(u32, f32)>,
    pub(super) grams: Postings<u32>,
    /// What follows from all documents together; none where they changed since.
    pub(super) weights: OnceLock<Weights>,
}

impl fmt::Debug for Mirror {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Mirror");
        shown.field("documents", &self.len()).field("limit", &self.limit).field("left", &self.left);
        shown.finish_non_exhaustive()
    }
}

impl Default for Mirror {
    fn default() -> Self {
        Self::new()
    }
}

impl Mirror {
    /// The most documents that a mirror may be given room for.
    pub const MOST: usize = MOST_DOCUMENTS;
    /// The most documents where nothing else is said.
    pub const USUAL: usize = 100_000;

    /// An empty mirror for 100,000 documents.
    ///
    /// ```
    /// assert!(cachemacro_search::Mirror::new().is_empty());
    /// ```
    pub fn new() -> Self {
        Self {
            limit: Self::USUAL,
            most_bytes: usize::MAX,
            bytes: 0,
            max_features: None,
            held: Vec::new(),
            by_key: HashMap::default(),
            oldest: 0,
            left: 0,
            age: 0,
            terms: Postings::default(),
            grams: Postings::default(),
            weights: OnceLock::new(),
        }
    }

    /// An empty mirror for so many documents, up to 1,000,000. Beyond them the oldest leave.
    ///
    /// # Errors
    /// [`Error::Limit`] for zero, or for more than that.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let mut mirror = Mirror::with_limit(2)?;
    /// for key in ["a", "b", "c"] {
    ///     mirror.insert(Document::of(key, &["text"], &Analyzer::new())?);
    /// }
    /// assert_eq!((mirror.len(), mirror.left(), mirror.contains("a")), (2, 1, false));
    /// # Ok(())
    /// # }
    /// ```
    pub fn with_limit(documents: usize) -> Result<Self, Error> {
        if documents == 0 || documents > Self::MOST {
            return Err(Error::Limit);
        }
        Ok(Self { limit: documents, ..Self::new() })
    }

    /// Takes about so many bytes at most; beyond them the oldest documents leave. The lists of those that are gone, up to a quarter, come on top for a while.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let mut mirror = Mirror::new().with_bytes(10_000);
    /// for key in 0..100 {
    ///     mirror.insert(Document::of(&key.to_string(), &["London Heathrow"], &Analyzer::new())?);
    /// }
    /// assert!(mirror.bytes() <= 10_000 && mirror.left() > 50 && mirror.contains("99"));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn with_bytes(mut self, most: usize) -> Self {
        self.most_bytes = most;
        self.fit();
        self
    }

    /// About how many bytes the documents take.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Mirror::new().bytes(), 0);
    /// ```
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Only so many words count in [`vector`](Self::vector), those that most documents have. Without it all do, which finds more.
    ///
    /// ```
    /// let mirror = cachemacro_search::Mirror::new().with_max_features(1_000);
    /// ```
    #[must_use]
    pub fn with_max_features(mut self, words: usize) -> Self {
        self.max_features = Some(words);
        self.weights = OnceLock::new();
        self
    }

    /// Adds a document, in place of the one with its key. Where there are too many the oldest leaves.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror, Query};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let (words, mut mirror) = (Analyzer::new(), Mirror::new());
    /// mirror.insert(Document::of("airport:EGLL", &["Heathrow"], &words)?);
    /// mirror.insert(Document::of("airport:EGLL", &["London Airport"], &words)?);
    /// assert_eq!(mirror.len(), 1);
    /// assert!(mirror.vector(&Query::of("heathrow", &words)).is_empty());
    /// # Ok(())
    /// # }
    /// ```
    pub fn insert(&mut self, document: Document) {
        self.remove(&document.key);
        if self.len() >= self.limit {
            self.drop_oldest();
        }
        let number = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
        let key: Arc<str> = document.key.into();
        let terms = document.terms.iter();
        let terms = terms
            .map(|(term, count)| (self.terms.add(*term, (number, logarithmic(*count))), *count))
            .collect();
        let grams = document.grams.iter().map(|gram| self.grams.add(*gram, number)).collect();
        self.by_key.insert(key.clone(), number);
        let (scope, vector, text, age) = (document.scope, document.vector, document.text, self.age);
        let held = Held { key, scope, terms, grams, vector, text, age };
        self.bytes += held.bytes();
        self.held.push(Some(held));
        self.fit();
        self.changed();
    }

    /// The oldest leave until there is room.
    fn fit(&mut self) {
        while self.bytes > self.most_bytes && !self.is_empty() {
            self.drop_oldest();
        }
    }

    /// Removes the document with this key, and says whether there was one.
    ///
    /// ```
    /// assert!(!cachemacro_search::Mirror::new().remove("airport:EGLL"));
    /// ```
    pub fn remove(&mut self, key: &str) -> bool {
        let Some(number) = self.by_key.remove(key) else { return false };
        let Some(gone) = self.held[number as usize].take() else { return false };
        self.bytes -= gone.bytes();
        gone.terms.iter().for_each(|(place, _)| self.terms.gone(*place));
        gone.grams.iter().for_each(|place| self.grams.gone(*place));
        self.changed();
        true
    }

    /// Removes all documents. They are not counted as [`left`](Self::left).
    ///
    /// ```
    /// let mut mirror = cachemacro_search::Mirror::new();
    /// mirror.clear();
    /// ```
    pub fn clear(&mut self) {
        let kept = Self {
            limit: self.limit,
            most_bytes: self.most_bytes,
            max_features: self.max_features,
            left: self.left,
            ..Self::new()
        };
        *self = kept;
    }

    /// Keeps only the documents with such keys. The others are not counted as [`left`](Self::left).
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Document, Mirror};
    ///
    /// # fn main() -> Result<(), cachemacro_search::Error> {
    /// let mut mirror = Mirror::new();
    /// for key in ["a", "b"] {
    ///     mirror.insert(Document::of(key, &[], &Analyzer::new())?);
    /// }
    /// mirror.retain(|key| key == "b");
    /// assert!(mirror.len() == 1 && mirror.contains("b"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn retain(&mut self, mut keeps: impl FnMut(&str) -> bool) {
        let gone: Vec<Arc<str>> = self.by_key.keys().filter(|key| !keeps(key)).cloned().collect();
        for key in gone {
            self.remove(&key);
        }
    }

    /// What is there is old from now on; what is inserted is new.
    pub(crate) const fn begin_anew(&mut self) {
        self.age = self.age.wrapping_add(1);
    }

    /// Removes what is old.
    pub(crate) fn keep_new(&mut self) {
        let is_old = |held: &&Held| held.age != self.age;
        let old: Vec<Arc<str>> =
            self.held.iter().flatten().filter(is_old).map(|held| held.key.clone()).collect();
        for key in old {
            self.remove(&key);
        }
    }

    /// How many documents there are.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Mirror::new().len(), 0);
    /// ```
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Whether there is none.
    ///
    /// ```
    /// assert!(cachemacro_search::Mirror::new().is_empty());
    /// ```
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Whether there is a document with this key.
    ///
    /// ```
    /// assert!(!cachemacro_search::Mirror::new().contains("airport:EGLL"));
    /// ```
    pub fn contains(&self, key: &str) -> bool {
        self.by_key.contains_key(key)
    }

    /// The text that the document with this key [holds](Document::with_text).
    pub(crate) fn text(&self, key: &str) -> Option<&str> {
        let number = self.by_key.get(key)?;
        self.held[*number as usize].as_ref()?.text.as_deref()
    }

    /// How many documents left because there were too many.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Mirror::new().left(), 0);
    /// ```
    pub fn left(&self) -> u64 {
        self.left
    }

    fn drop_oldest(&mut self) {
        let first = self.held[self.oldest..].iter().position(Option::is_some);
        let Some(first) = first.map(|first| self.oldest + first) else { return };
        self.oldest = first;
        if let Some(key) = self.held[first].as_ref().map(|held| held.key.clone()) {
            self.remove(&key);
            self.left += 1;
        }
    }

    fn changed(&mut self) {
        self.weights = OnceLock::new();
        let empty = self.held.len() - self.by_key.len();
        if empty > 1_000 && empty > self.held.len() / 4 {
            self.compact();
        }
    }

    /// Makes all lists anew, without what is gone.
    fn compact(&mut self) {
        let (old_terms, old_grams) = (std::mem::take(&mut self.terms), std::mem::take(&mut self.grams));
        let held = std::mem::take(&mut self.held);
        self.held.reserve_exact(self.by_key.len() + self.by_key.len() / 4);
        self.oldest = 0;
        for mut held in held.into_iter().flatten() {
            let number = u32::try_from(self.held.len()).unwrap_or(u32::MAX);
            for (place, count) in &mut held.terms {
                *place = self.terms.add(old_terms.at(*place).number, (number, logarithmic(*count)));
            }
            for place in &mut held.grams {
                *place = self.grams.add(old_grams.at(*place).number, number);
            }
            if let Some(kept) = self.by_key.get_mut(&held.key) {
                *kept = number;
            }
            self.held.push(Some(held));
        }
    }

    /// The document of this number, if it is there and of this scope.
    pub(super) fn in_scope(&self, number: u32, scope: Scope) -> Option<&Held> {
        self.held[number as usize].as_ref().filter(|held| held.scope == scope)
    }

    /// The best of the documents whose numbers and scores these are.
    pub(super) fn best(&self, scored: impl Iterator<Item = (u32, f32)>, query: &Query) -> Vec<Found> {
        let enough = scored.filter(|(_, score)| query.is_enough(*score));
        let mut found: Vec<(f32, &Arc<str>)> = enough
            .filter_map(|(number, score)| Some((score, &self.in_scope(number, query.scope)?.key)))
            .collect();
        first(&mut found, query.limit, |one, other| order((one.0, one.1), (other.0, other.1)));
        found.into_iter().map(|(score, key)| Found::new(key.clone(), score)).collect()
    }
}
