//! Which keys of a site are asked for most, by a sample of its hits: by their hashes, and as many as fit.

use std::sync::Mutex;

use serde::{Deserialize, Serialize};

use crate::ground::sync::lock;

/// One hit in so many is looked at.
pub(crate) const ONE_IN: u64 = 1_024;
/// How many keys of a site are counted at once. Those that are asked for less often than one in so many hits come and go.
const MOST: usize = 64;
/// How many of them are told.
const TOLD: usize = 16;

/// A key that is asked for often.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// assert_eq!(cachemacro::report::HotKey::default().samples, 0);
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct HotKey {
    /// The hash of its key, in hexadecimal digits, as headers have it.
    pub key: String,
    /// How many samples hit it, each of which stands for 1,024 hits; a few too many for keys that are not among the hottest.
    pub samples: u64,
}

/// The counts of one site's keys.
#[derive(Debug, Default)]
pub(crate) struct HotKeys(Mutex<Vec<(u64, u64)>>);

impl HotKeys {
    /// One more sample of this key. Where there is no room, it takes the place and the count of the one that has least.
    pub(crate) fn note(&self, key: u64) {
        let mut keys = lock(&self.0);
        if let Some((_, count)) = keys.iter_mut().find(|(known, _)| *known == key) {
            *count += 1;
        } else if keys.len() < MOST {
            keys.push((key, 1));
        } else if let Some(least) = keys.iter_mut().min_by_key(|(_, count)| *count) {
            *least = (key, least.1 + 1);
        }
    }

    /// The hottest, most samples first.
    pub(crate) fn told(&self) -> Vec<HotKey> {
        let mut keys = lock(&self.0).clone();
        keys.sort_by_key(|(key, count)| (std::cmp::Reverse(*count), *key));
        keys.truncate(TOLD);
        keys.into_iter().map(|(key, samples)| HotKey { key: format!("{key:016x}"), samples }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hottest_keys_stay_among_any_number_of_others() {
        let keys = HotKeys::default();
        for round in 0..10_000_u64 {
            keys.note(1_000 + round);
            if round % 5 == 0 {
                keys.note(7);
            }
            if round % 10 == 0 {
                keys.note(8);
            }
        }
        let told = keys.told();
        assert_eq!(told.len(), TOLD);
        assert_eq!([&*told[0].key, &*told[1].key], ["0000000000000007", "0000000000000008"]);
        assert!(told[0].samples >= 2_000);
    }
}
