//! In what two texts may differ.

use std::fmt;

/// In what two texts differ that a guard refuses.
///
/// ```
/// use cachemacro_search::{Difference, Guard};
///
/// let found = Guard::english().compare("when can I not pay?", "when can I pay?");
/// assert_eq!(found.map(Difference::as_str), Some("negations"));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Difference {
    /// Their numbers, with digits or as words.
    Numbers,
    /// What stands between quotation marks.
    Quoted,
    /// Words with digits in them, in capital letters or with signs: `EGLL`, `A320`, `main.rs`; currencies.
    Codes,
    /// How often something is denied.
    Negations,
    /// One has a word and the other its opposite, or both in another order.
    Opposites,
    /// What stands after `from` and `to`.
    Direction,
}

impl Difference {
    /// All of them.
    pub const ALL: &'static [Self] =
        &[Self::Numbers, Self::Quoted, Self::Codes, Self::Negations, Self::Opposites, Self::Direction];

    /// As one word, for a counter's label.
    ///
    /// ```
    /// use cachemacro_search::Difference;
    ///
    /// let words: Vec<&str> = Difference::ALL.iter().map(|difference| difference.as_str()).collect();
    /// assert_eq!(words, ["numbers", "quoted", "codes", "negations", "opposites", "direction"]);
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Numbers => "numbers",
            Self::Quoted => "quoted",
            Self::Codes => "codes",
            Self::Negations => "negations",
            Self::Opposites => "opposites",
            Self::Direction => "direction",
        }
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
