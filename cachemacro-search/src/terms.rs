//! Words and trigrams as numbers, so that nothing needs to keep their letters.

use xxhash_rust::xxh3::xxh3_64;

/// Terms are numbers below two to this power. The names, cities and codes of 28,298 airports are 70,000 words, of which a few are one by chance; with 18 bits a
/// quarter would be, and of the ten nearest half a one would be wrong.
pub(crate) const TERM_BITS: u32 = 28;
/// Trigrams are numbers below two to this power.
pub(crate) const GRAM_BITS: u32 = 18;

/// The number of a word.
pub(crate) fn term(word: &str) -> u32 {
    top(xxh3_64(word.as_bytes()), TERM_BITS)
}

/// The numbers of a word's trigrams: `ab` has those of `··a`, `·ab` and `ab·`, so that beginnings count more than ends.
pub(crate) fn each_gram(word: &str, mut found: impl FnMut(u32)) {
    let (mut first, mut second) = (u64::from(' '), u64::from(' '));
    for letter in word.chars().chain([' ']).map(u64::from) {
        // A letter has 21 bits.
        found(top(((first << 42) | (second << 21) | letter).wrapping_mul(0x9e37_79b9_7f4a_7c15), GRAM_BITS));
        (first, second) = (second, letter);
    }
}

fn top(hash: u64, bits: u32) -> u32 {
    u32::try_from(hash >> (u64::BITS - bits)).unwrap_or(0)
}

/// Numbers in order, each once, with how often they were there; no more than `most` of them.
pub(crate) fn counted(mut numbers: Vec<u32>, most: usize) -> Vec<(u32, u16)> {
    numbers.sort_unstable();
    let mut counted: Vec<(u32, u16)> = Vec::new();
    for number in numbers {
        match counted.last_mut() {
            Some((last, count)) if *last == number => *count = count.saturating_add(1),
            _ => counted.push((number, 1)),
        }
    }
    counted.truncate(most);
    counted
}

#[cfg(test)]
mod tests {
    use super::{TERM_BITS, counted, each_gram, term};

    fn grams(word: &str) -> Vec<u32> {
        let mut grams = Vec::new();
        each_gram(word, |gram| grams.push(gram));
        grams
    }

    #[test]
    fn one_edit_leaves_most_trigrams_of_a_word() {
        let shared = |one: &str, other: &str| {
            let other = grams(other);
            grams(one).iter().filter(|gram| other.contains(gram)).count()
        };
        assert_eq!(grams("heathrow").len(), 9);
        assert_eq!(shared("heathrow", "heatrow"), 6);
        assert_eq!(shared("egll", "eglx"), 3);
        assert!(shared("heathrow", "gatwick") == 0);
    }

    #[test]
    fn numbers_are_spread_over_their_range() {
        let words: Vec<u32> = (0..100_000).map(|n| term(&n.to_string())).collect();
        let all = counted(words, usize::MAX);
        assert!(all.iter().all(|(number, _)| *number < 1 << TERM_BITS));
        // Of 100,000 random ones 19 are another's.
        assert!((99_950..100_000).contains(&all.len()), "{}", all.len());
    }

    #[test]
    fn counts_are_by_number_and_end_where_they_must() {
        assert_eq!(counted(vec![3, 1, 3], 9), [(1, 1), (3, 2)]);
        assert_eq!(counted(vec![3, 1, 3], 1), [(1, 1)]);
        assert_eq!(counted(vec![7; 70_000], 9), [(7, u16::MAX)]);
    }
}
