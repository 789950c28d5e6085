//! What stands after `from` and `to`.

use std::collections::BTreeSet;

use super::lists::WordLists;
use super::tokens::{Kind, Token};

/// So many words after `from` are compared.
const MOST_WORDS: usize = 3;

/// The words after each `from`, and after each `to` that begins no infinitive.
#[derive(Debug, Default)]
pub(super) struct Directions {
    sources: Vec<Vec<String>>,
    targets: Vec<Vec<String>>,
}

impl Directions {
    pub(super) fn of(tokens: &[Token], lists: &WordLists) -> Self {
        let mut found = Self::default();
        for (at, token) in tokens.iter().enumerate() {
            let (is_source, is_target) =
                (lists.sources.contains(&token.folded), lists.targets.contains(&token.folded));
            if !is_source && !is_target {
                continue;
            }
            let mut place = Vec::new();
            let rest = tokens[at + 1..].iter().take_while(|token| token.kind != Kind::End);
            for next in rest.filter(|token| !lists.fillers.contains(&token.folded)) {
                if place.len() == MOST_WORDS || lists.ends.contains(&next.folded) {
                    break;
                }
                place.push(next.folded.clone());
            }
            let Some(first) = place.first() else { continue };
            let before = at.checked_sub(1).map(|before| &tokens[before].folded);
            let is_infinitive = lists.infinitives.contains(first)
                || before.is_some_and(|word| lists.before_infinitive.contains(word));
            if is_source {
                found.sources.push(place);
            } else if !is_infinitive {
                found.targets.push(place);
            }
        }
        found.sources.sort_unstable();
        found.targets.sort_unstable();
        found
    }

    /// Whether one text leaves or reaches another place than the other. `words` and `others` are all words of the two.
    pub(super) fn differ(&self, other: &Self, words: &BTreeSet<String>, others: &BTreeSet<String>) -> bool {
        are_other(&self.sources, &other.sources)
            || are_other(&self.targets, &other.targets)
            || self.is_turned(other, others)
            || other.is_turned(self, words)
    }

    /// Whether the other text has not the place that this one leaves, or reaches it; or the other way round.
    fn is_turned(&self, other: &Self, words: &BTreeSet<String>) -> bool {
        let turned = |here: &[Vec<String>], there: &[Vec<String>], opposite: &[Vec<String>]| {
            there.is_empty()
                && here.iter().filter_map(|place| place.first()).any(|first| {
                    !words.contains(first) || opposite.iter().any(|place| place.first() == Some(first))
                })
        };
        turned(&self.sources, &other.sources, &other.targets)
            || turned(&self.targets, &other.targets, &other.sources)
    }
}

/// Whether both texts have places after such a word, and not the same ones. One may say more of a place than the other.
fn are_other(these: &[Vec<String>], those: &[Vec<String>]) -> bool {
    if these.is_empty() || those.is_empty() {
        return false;
    }
    let same = |one: &[String], other: &[String]| one.iter().zip(other).all(|(one, other)| one == other);
    these.len() != those.len() || these.iter().zip(those).any(|(one, other)| !same(one, other))
}
