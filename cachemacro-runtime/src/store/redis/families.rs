//! How large entries are, as far as reads have shown.

use std::collections::HashMap;
use std::sync::Mutex;

use crate::ground::chunks::MOST_BYTES;
use crate::ground::sync::lock;

/// How many families are remembered.
const MOST_FAMILIES: usize = 1_024;

/// How long the longest entry of a family was when many were last read together. A family are the keys that are the same but for
/// what stands behind the last colon.
#[derive(Debug, Default)]
pub(super) struct Families(Mutex<HashMap<String, usize>>);

impl Families {
    /// Whether one reply can carry so many.
    pub(super) fn are_small(&self, family: &str, many: usize) -> bool {
        lock(&self.0).get(family).is_some_and(|longest| longest.saturating_mul(many) <= MOST_BYTES)
    }

    pub(super) fn learn(&self, family: &str, longest: usize) {
        let mut families = lock(&self.0);
        if let Some(known) = families.get_mut(family) {
            *known = longest;
            return;
        }
        if families.len() >= MOST_FAMILIES {
            families.clear();
        }
        families.insert(family.to_owned(), longest);
    }

    pub(super) fn forget(&self, family: &str) {
        lock(&self.0).remove(family);
    }
}

/// What the first and the last of these keys have in common, up to a colon.
pub(super) fn family<'a>(keys: &[&'a str]) -> &'a str {
    let (Some(first), Some(last)) = (keys.first(), keys.last()) else { return "" };
    let same = first.bytes().zip(last.bytes()).take_while(|(one, other)| one == other).count();
    first.as_bytes()[..same].iter().rposition(|byte| *byte == b':').map_or("", |at| &first[..=at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_is_what_keys_have_in_common_up_to_a_colon() {
        assert_eq!(family(&["shop:user:10", "shop:user:11", "shop:user:19"]), "shop:user:");
        assert_eq!(family(&["shop:user:1", "shop:order:1"]), "shop:");
        assert_eq!(family(&["a", "b"]), "");
        assert_eq!(family(&["é:1", "è:1"]), "");
        assert_eq!(family(&[]), "");
    }

    #[test]
    fn no_more_families_are_remembered_than_fit() {
        let families = Families::default();
        for number in 0..3 * MOST_FAMILIES {
            families.learn(&number.to_string(), 100);
        }
        assert!(lock(&families.0).len() <= MOST_FAMILIES);
        let last = (3 * MOST_FAMILIES - 1).to_string();
        assert!(families.are_small(&last, MOST_BYTES / 100) && !families.are_small(&last, MOST_BYTES / 99));
        families.learn(&last, MOST_BYTES);
        assert!(families.are_small(&last, 1) && !families.are_small(&last, 2));
        families.forget(&last);
        assert!(!families.are_small(&last, 1));
    }
}
