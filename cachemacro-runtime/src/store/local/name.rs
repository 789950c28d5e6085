//! What values are evicted by.

/// What names a value beyond doubt: 128 bits of a cryptographic hash over its key in the store. Two words, as one would have every
/// value lie at a multiple of 16.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(super) high: u64,
    pub(super) low: u64,
}

impl Name {
    #[expect(clippy::cast_possible_truncation, reason = "half of it")]
    pub(crate) const fn new(hash: u128) -> Self {
        Self { high: (hash >> 64) as u64, low: hash as u64 }
    }
}
