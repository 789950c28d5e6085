//! How the words of a description enter its hash.

use xxhash_rust::xxh3::Xxh3;

/// A text with its length in front, so that no two lists of words look alike.
pub(super) fn write_word(hasher: &mut Xxh3, word: &str) {
    write_number(hasher, word.len());
    hasher.update(word.as_bytes());
}

pub(super) fn write_number(hasher: &mut Xxh3, number: usize) {
    hasher.update(&(number as u64).to_le_bytes());
}
