//! What tells alike questions apart that mean different things. Cosine does not: "from Oslo to Rome" and "from Rome to Oslo" have the same words.

mod difference;
mod direction;
mod lists;
mod signs;
mod tokens;

pub use self::difference::Difference;
pub use self::lists::WordLists;
use self::signs::Signs;

/// Refuses two texts that differ in what a likeness of words or meanings does not see. A refusal costs a hit; a missed difference costs a wrong answer, so in
/// doubt it refuses. What it cannot know are names and facts: two texts that differ in one name alone are for a threshold to tell, or for an exact key.
///
/// ```
/// use cachemacro_search::{Difference, Guard};
///
/// let guard = Guard::english();
/// assert_eq!(guard.compare("How do I turn on dark mode?", "How can I turn the dark mode on?"), None);
/// assert_eq!(guard.compare("turn on dark mode", "turn off dark mode"), Some(Difference::Opposites));
/// assert_eq!(guard.compare("trains from Oslo to Rome", "trains from Rome to Oslo"), Some(Difference::Direction));
/// assert_eq!(guard.compare("is it open on 24 May?", "is it open on 25 May?"), Some(Difference::Numbers));
/// ```
#[derive(Debug, Clone)]
#[must_use = "it compares texts"]
pub struct Guard {
    lists: WordLists,
}

impl Guard {
    /// With these lists; where they are empty, numbers in digits, quoted strings and codes still have to be the same.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard, WordLists};
    ///
    /// let guard = Guard::new(WordLists::empty().opposites(&["ein"], &["aus"]));
    /// assert_eq!(guard.compare("Licht ein", "Licht aus"), Some(Difference::Opposites));
    /// ```
    pub const fn new(lists: WordLists) -> Self {
        Self { lists }
    }

    /// For texts in English.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard};
    ///
    /// let found = Guard::english().compare("why was I charged twice?", "why wasn't I charged twice?");
    /// assert_eq!(found, Some(Difference::Negations));
    /// ```
    pub fn english() -> Self {
        Self::new(WordLists::english())
    }

    /// For texts in German.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard};
    ///
    /// let found = Guard::german().compare("Züge von Oslo nach Rom", "Züge von Rom nach Oslo");
    /// assert_eq!(found, Some(Difference::Direction));
    /// ```
    pub fn german() -> Self {
        Self::new(WordLists::german())
    }

    /// The first difference between two texts for which one's answer must not be the other's; it is the same both ways round. The first 8 KiB of each are
    /// looked at, and where one is longer only equal texts are the same.
    ///
    /// ```
    /// use cachemacro_search::{Difference, Guard};
    ///
    /// let guard = Guard::english();
    /// assert_eq!(guard.compare("runways of EGLL", "runways of egll"), None);
    /// assert_eq!(guard.compare("runways of EGLL", "runways of EGKK"), Some(Difference::Codes));
    /// assert_eq!(guard.compare(r#"what is "stale"?"#, r#"what is "fresh"?"#), Some(Difference::Quoted));
    /// ```
    pub fn compare(&self, one: &str, other: &str) -> Option<Difference> {
        if one == other {
            return None;
        }
        Signs::of(one, &self.lists).differs_from(&Signs::of(other, &self.lists))
    }
}

#[cfg(test)]
mod tests;
