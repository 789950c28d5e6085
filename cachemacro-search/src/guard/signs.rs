//! What of a text has to be the same in another: its numbers, quoted strings, codes, denials, opposites and directions.

use std::collections::{BTreeMap, BTreeSet};

use super::difference::Difference;
use super::direction::Directions;
use super::lists::WordLists;
use super::tokens::{Kind, quoted, tokens};
use crate::text::{MOST_TEXT, beginning};

/// What a text says that no likeness sees.
#[derive(Debug)]
pub(super) struct Signs {
    numbers: Vec<String>,
    quoted: Vec<String>,
    codes: BTreeSet<String>,
    negations: usize,
    /// The words of each pair of opposites: their sides, in order.
    opposites: BTreeMap<usize, Vec<bool>>,
    directions: Directions,
    words: BTreeSet<String>,
    /// What was not looked at is equal to nothing.
    is_cut: bool,
}

impl Signs {
    pub(super) fn of(text: &str, lists: &WordLists) -> Self {
        let seen = beginning(text, MOST_TEXT);
        let plain = seen.replace(['’', '‘', 'ʼ'], "'");
        let (quoted, rest) = quoted(&plain);
        let tokens = tokens(&rest, lists);
        let mut signs = Self {
            numbers: Vec::new(),
            quoted,
            codes: BTreeSet::new(),
            negations: 0,
            opposites: BTreeMap::new(),
            directions: Directions::of(&tokens, lists),
            words: BTreeSet::new(),
            is_cut: seen.len() < text.len(),
        };
        for token in tokens {
            match &token.kind {
                Kind::Number(number) => signs.numbers.push(number.clone()),
                Kind::Code => drop(signs.codes.insert(token.folded.clone())),
                Kind::Word if lists.negations.contains(&token.folded) || token.is_contracted_not() => {
                    signs.negations += 1;
                }
                Kind::Word => {}
                Kind::End => continue,
            }
            for (pair, side) in lists.opposites.get(&token.folded).into_iter().flatten() {
                signs.opposites.entry(*pair).or_default().push(*side);
            }
            signs.words.insert(token.folded);
        }
        signs.numbers.sort_unstable();
        signs.quoted.sort_unstable();
        // Said twice alike, it is said once.
        signs.opposites.values_mut().for_each(Vec::dedup);
        signs
    }

    pub(super) fn differs_from(&self, other: &Self) -> Option<Difference> {
        let has_all = |one: &Self, other: &Self| one.codes.iter().all(|code| other.words.contains(code));
        let opposed = self.opposites.iter().any(|(pair, sides)| {
            // Where one of them has none, nothing contradicts the other.
            other.opposites.get(pair).is_some_and(|others| others != sides)
        });
        Some(match () {
            () if self.numbers != other.numbers => Difference::Numbers,
            () if self.quoted != other.quoted || self.is_cut || other.is_cut => Difference::Quoted,
            () if !has_all(self, other) || !has_all(other, self) => Difference::Codes,
            () if self.negations != other.negations => Difference::Negations,
            () if opposed => Difference::Opposites,
            () if self.directions.differ(&other.directions, &self.words, &other.words) => {
                Difference::Direction
            }
            () => return None,
        })
    }
}
