//! How much there may be of what others decide.

/// The longest key, in bytes.
pub(crate) const MOST_KEY: usize = 1_024;
/// The most dimensions of a vector.
pub(crate) const MOST_DIMENSIONS: usize = 4_096;
/// The most documents that a mirror may be given room for.
pub(crate) const MOST_DOCUMENTS: usize = 1_000_000;
