//! The same where lints are forbidden, which no generated `#[allow]` could lift.

#![forbid(warnings, clippy::all, clippy::pedantic, missing_docs, unused, unsafe_code)]

use cachemacro::{cache_evict, cache_put, cached};

/// Cached.
#[cached(prefix = "forbidden", key = |_, b| b.len(), unless = *result == 0, tags = ["a:{a}"], entry = sum_entry)]
pub async fn sum(a: usize, b: &str) -> usize {
    a + b.len()
}

/// An argument that only the key uses, and a body that begins with an item.
#[cached(entry = unused_entry)]
pub async fn unused(_id: u64) -> u8 {
    const SEVEN: u8 = 7;
    SEVEN
}

/// Put and evicted.
///
/// # Errors
/// Where `a` is zero.
#[cache_put(entry = sum_entry(a, b))]
#[cache_evict(tags = ["b:{result}"], before = false)]
#[cache_evict(tags = ["a:{a}"], before)]
pub async fn write(a: usize, b: String) -> Result<usize, String> {
    if a == 0 { Err(b) } else { Ok(a + b.len()) }
}
