//! What is asked: a text, who asks, how alike, how many.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use crate::document::{Document, Scope, numbers};
use crate::error::Error;
use crate::terms::{counted, term};
use crate::text::Analyzer;

/// A question to a [`Mirror`](crate::Mirror): the ten best of any likeness, unless it says otherwise.
///
/// ```
/// use cachemacro_search::{Analyzer, Document, Mirror, Query};
///
/// # fn main() -> Result<(), cachemacro_search::Error> {
/// let (words, mut mirror) = (Analyzer::new(), Mirror::new());
/// for (key, name) in [("EGLL", "London Heathrow"), ("EGKK", "London Gatwick"), ("EDDF", "Frankfurt")] {
///     mirror.insert(Document::of(key, &[name], &words)?);
/// }
/// let query = Query::of("london airfields", &words).threshold(0.2)?.limit(5);
/// let found = mirror.vector(&query);
/// assert!(found.iter().map(|found| &*found.key).eq(["EGKK", "EGLL"]));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "it is asked of a mirror"]
pub struct Query {
    pub(crate) scope: Scope,
    pub(crate) threshold: f32,
    pub(crate) limit: usize,
    /// In order, each once, with how often it is there.
    pub(crate) terms: Vec<(u32, u16)>,
    /// In order, each once.
    pub(crate) grams: Vec<u32>,
    pub(crate) mistyped: Vec<Mistyped>,
}

/// A short word, and what may have been meant by it.
#[derive(Clone)]
pub(crate) struct Mistyped {
    pub(crate) typed: u32,
    /// What it would be, had two neighbours been swapped, or one letter too many been typed. In order, each once.
    pub(crate) meant: Vec<u32>,
    /// Its share of all letters.
    pub(crate) share: f32,
}

/// Its words are not shown.
impl fmt::Debug for Query {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Query");
        shown.field("threshold", &self.threshold).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// Beyond so many letters enough trigrams are left of a word with one mistake.
const LONGEST_MISTYPED: usize = 8;
/// Of shorter words no mistakes are forgiven.
const SHORTEST_MISTYPED: usize = 4;
/// The most words that were mistyped.
const MOST_MISTYPED: usize = 16;

impl Query {
    /// Asks for what is like this text, whose first 8 KiB are looked at. A text without words finds nothing.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Mirror, Query};
    ///
    /// assert!(Mirror::new().vector(&Query::of("?!", &Analyzer::new())).is_empty());
    /// ```
    pub fn of(text: &str, words: &Analyzer) -> Self {
        let (terms, grams) = numbers(&[text], words);
        let grams = counted(grams, Document::MOST_GRAMS).into_iter().map(|(gram, _)| gram).collect();
        let terms = counted(terms, Document::MOST_TERMS);
        Self {
            scope: Scope::default(),
            threshold: 0.0,
            limit: 10,
            terms,
            grams,
            mistyped: mistyped(text, words),
        }
    }

    /// Finds only documents of this scope.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Query, Scope};
    ///
    /// let query = Query::of("opening hours", &Analyzer::new()).scope(Scope::of(["tenant 7"]));
    /// ```
    pub const fn scope(mut self, scope: Scope) -> Self {
        self.scope = scope;
        self
    }

    /// Finds only what is so much alike, from 0 to 1.
    ///
    /// # Errors
    /// [`Error::Threshold`] for any other number.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Query};
    ///
    /// let query = Query::of("opening hours", &Analyzer::new());
    /// assert!(query.clone().threshold(0.92).is_ok());
    /// assert!(query.threshold(92.0).is_err());
    /// ```
    pub fn threshold(mut self, threshold: f64) -> Result<Self, Error> {
        if !(0.0..=1.0).contains(&threshold) {
            return Err(Error::Threshold);
        }
        #[allow(clippy::cast_possible_truncation, reason = "scores are no finer")]
        let threshold = threshold as f32;
        self.threshold = threshold;
        Ok(self)
    }

    /// The same, of any likeness.
    pub(crate) const fn everything(mut self) -> Self {
        self.threshold = 0.0;
        self
    }

    /// Finds at most so many.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Query};
    ///
    /// let none = Query::of("opening hours", &Analyzer::new()).limit(0);
    /// ```
    pub const fn limit(mut self, limit: usize) -> Self {
        self.limit = limit;
        self
    }

    /// Those of what was found that are enough alike, the best first, no more than the limit. Of two with one score the lower key comes first,
    /// so that the order is the same everywhere.
    ///
    /// ```
    /// use cachemacro_search::{Analyzer, Found, Query};
    ///
    /// let query = Query::of("heathrow", &Analyzer::new()).threshold(0.5)?.limit(2);
    /// let found = [("b", 0.7), ("d", 0.2), ("c", 0.9), ("a", 0.7)].map(|(key, score)| Found::new(key, score));
    /// let kept = query.keep(found.into());
    /// assert_eq!(kept.iter().map(|found| &*found.key).collect::<Vec<_>>(), ["c", "a"]);
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn keep(&self, mut found: Vec<Found>) -> Vec<Found> {
        found.retain(|found| self.is_enough(found.score));
        first(&mut found, self.limit, |one, other| order((one.score, &one.key), (other.score, &other.key)));
        found
    }

    /// Whether this score is not below the threshold.
    pub(crate) fn is_enough(&self, score: f32) -> bool {
        score + STEP / 2.0 >= self.threshold
    }
}

/// Scores that differ by less are one, so that the order of additions decides nothing.
const STEP: f32 = 1e-6;

/// The first of these in this order, sorted.
pub(crate) fn first<T>(all: &mut Vec<T>, limit: usize, order: impl Fn(&T, &T) -> Ordering) {
    if limit > 0 && limit < all.len() {
        all.select_nth_unstable_by(limit - 1, &order);
    }
    all.truncate(limit);
    all.sort_unstable_by(order);
}

/// Higher scores come first, then lower keys.
pub(crate) fn order(one: (f32, &str), other: (f32, &str)) -> Ordering {
    steps(other.0).cmp(&steps(one.0)).then_with(|| one.1.cmp(other.1))
}

fn steps(score: f32) -> u32 {
    #[allow(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "from 0 to a million, and casts saturate"
    )]
    let steps = (score / STEP).round() as u32;
    steps
}

/// The short words of a text, with what may have been meant by them.
fn mistyped(text: &str, words: &Analyzer) -> Vec<Mistyped> {
    let (mut found, mut all) = (Vec::new(), 0_u16);
    Analyzer::new().each_word(text, |word| {
        let mut letters: Vec<char> = word.chars().collect();
        let count = u16::try_from(letters.len()).unwrap_or(u16::MAX);
        all = all.saturating_add(count);
        if !(SHORTEST_MISTYPED..=LONGEST_MISTYPED).contains(&letters.len()) || found.len() >= MOST_MISTYPED {
            return;
        }
        let (mut typed, mut meant) = (0, Vec::new());
        words.each_word(word, |word| typed = term(word));
        let mut add = |letters: &[char]| {
            let word: String = letters.iter().collect();
            words.each_word(&word, |word| meant.push(term(word)));
        };
        for at in 1..letters.len() {
            letters.swap(at - 1, at);
            add(&letters);
            letters.swap(at - 1, at);
        }
        for at in 0..letters.len() {
            let extra = letters.remove(at);
            add(&letters);
            letters.insert(at, extra);
        }
        meant.sort_unstable();
        meant.dedup();
        found.push(Mistyped { typed, meant, share: f32::from(count) });
    });
    for word in &mut found {
        word.share /= f32::from(all);
    }
    found
}

/// A key whose entry may be what was looked for, and how alike it is, from 0 to 1.
///
/// It is a hint: the entry is read as any other, and where that finds nothing there is nothing.
///
/// ```
/// let found = cachemacro_search::Found::new("airport:EGLL", 0.93);
/// assert_eq!((&*found.key, found.score), ("airport:EGLL", 0.93));
/// ```
#[derive(Clone, PartialEq)]
#[non_exhaustive]
pub struct Found {
    /// The key of the entry.
    pub key: Arc<str>,
    /// How alike it is, from 0 to 1.
    pub score: f32,
}

/// Not the key: that of a question holds its text.
impl fmt::Debug for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Found").field("score", &self.score).finish_non_exhaustive()
    }
}

impl Found {
    /// This key with this score.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Found::new("airport:EGLL", 1.0).score, 1.0);
    /// ```
    pub fn new(key: impl Into<Arc<str>>, score: f32) -> Self {
        Self { key: key.into(), score }
    }
}

#[cfg(test)]
mod tests {
    use super::{Found, Query};
    use crate::error::Error;
    use crate::text::Analyzer;

    #[test]
    fn thresholds_are_from_zero_to_one() {
        let query = || Query::of("hours", &Analyzer::new());
        for threshold in [0.0, 0.5, 1.0] {
            assert!(query().threshold(threshold).is_ok());
        }
        for threshold in [-0.1, 1.000_001, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(query().threshold(threshold).err(), Some(Error::Threshold), "{threshold}");
        }
    }

    #[test]
    fn the_best_are_kept_in_an_order_that_depends_on_nothing_else() {
        let mut found: Vec<Found> =
            (0..100_u8).map(|n| Found::new(n.to_string(), f32::from(n % 10) / 10.0)).collect();
        let query = |limit| Query::of("", &Analyzer::new()).limit(limit);
        let all = query(1_000_000_000).keep(found.clone());
        assert_eq!(all.len(), 100);
        assert!(all.windows(2).all(|two| (two[1].score, &two[0].key) < (two[0].score, &two[1].key)));
        found.reverse();
        for limit in [0, 1, 15, 99, 100] {
            assert_eq!(query(limit).keep(found.clone()), all[..limit]);
        }
        // What only the order of additions tells apart is one.
        let near = vec![Found::new("b", 0.300_000_04), Found::new("a", 0.3)];
        assert_eq!(&*query(1).keep(near)[0].key, "a");
        assert_eq!(query(10).keep(vec![Found::new("a", f32::NAN)]), []);
    }

    #[test]
    fn nothing_of_the_text_is_shown() {
        let query = Query::of("secret", &Analyzer::new());
        assert_eq!(format!("{query:?}"), "Query { threshold: 0.0, limit: 10, .. }");
    }
}
