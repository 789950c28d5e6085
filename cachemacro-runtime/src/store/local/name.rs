//! What values are evicted by.

/// What names a value beyond doubt: 128 bits of a cryptographic hash over its key in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Name(pub(crate) u128);
