//! The random numbers that name values, leases and tag versions.

/// A tag's version: random, never zero. A missing version equals nothing.
pub type Version = u64;
/// Names one stored value: random, never zero. Zero says "none seen".
pub type FillId = u64;
/// Names one holder of a lease: random, never zero.
pub type Token = u64;

/// A random number that is not zero.
pub(crate) fn draw() -> u64 {
    rand::random_range(1..=u64::MAX)
}
