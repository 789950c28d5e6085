//! How long versions of tags live at least, by the captures that this process sent.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use foldhash::fast::RandomState;

use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
#[cfg(feature = "cluster")]
use crate::format::stamps::slot_of_node;
use crate::ground::sync::lock;
use crate::store::messages::lease::LeaseRequest;

/// How many versions are remembered.
const MOST: usize = 8_192;
/// How much shorter than asked for a remembered life may be and still count. A version that lapses early costs a miss and never a stale
/// read; and lives are asked for a minute longer than entries live.
const SLACK: Duration = Duration::from_secs(30);

/// Until when versions live at least, by a hash of their keys. Versions are random, so one of another key with the same hash is not
/// mistaken for it.
#[derive(Debug, Default)]
pub(super) struct Lives(Mutex<HashMap<u64, (Version, Instant), RandomState>>);

impl Lives {
    /// Notes that these versions were captured, each for its life, by a request sent at `sent`.
    pub(super) fn learn<'a>(
        &self,
        versions: impl Iterator<Item = ((&'a VersionKey, Duration), Version)>,
        sent: Instant,
    ) {
        let mut lives = lock(&self.0);
        for ((key, life), version) in versions {
            let Some(until) = sent.checked_add(life) else { continue };
            if lives.len() >= MOST {
                lives.clear();
            }
            let known = lives.entry(hash(key)).or_insert((version, until));
            let longest = if known.0 == version { known.1.max(until) } else { until };
            *known = (version, longest);
        }
    }

    /// The versions that a read showed, where none was missing and each is known to live for as long as the request asks.
    pub(super) fn lasting(
        &self,
        request: &LeaseRequest<'_>,
        seen: &[Option<Version>],
        now: Instant,
    ) -> Option<Vec<Version>> {
        let versions: Vec<_> = seen.iter().copied().collect::<Option<_>>()?;
        let shown = request.capture.iter().zip(versions.iter().copied());
        self.last(shown, now, request.version_life).then_some(versions)
    }

    /// Whether each of these versions is known to live for about this long from now.
    fn last<'a>(
        &self,
        mut versions: impl Iterator<Item = (&'a VersionKey, Version)>,
        now: Instant,
        life: Duration,
    ) -> bool {
        let Some(wanted) = now.checked_add(life.saturating_sub(SLACK)) else { return false };
        let lives = lock(&self.0);
        versions.all(|(key, version)| {
            // The id of a node is no key that could lapse.
            #[cfg(feature = "cluster")]
            if slot_of_node(key).is_some() {
                return true;
            }
            lives.get(&hash(key)).is_some_and(|(known, until)| *known == version && *until >= wanted)
        })
    }
}

fn hash(key: &VersionKey) -> u64 {
    xxhash_rust::xxh3::xxh3_64(key.text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn a_version_lasts_for_as_long_as_it_was_captured_for_less_a_little() {
        let (lives, key, sent) = (Lives::default(), VersionKey::new("{tag:07}:users", 7), Instant::now());
        let (one, other) = (Version::new(1), Version::new(2));
        let last = |version, after, life| lives.last([(&key, version)].into_iter(), sent + after, life);
        assert!(!last(one, Duration::ZERO, MINUTE), "nothing is known of it");
        lives.learn([((&key, 3 * MINUTE), one)].into_iter(), sent);
        assert!(last(one, Duration::ZERO, 3 * MINUTE) && last(one, SLACK, 3 * MINUTE));
        assert!(!last(one, SLACK + Duration::from_secs(1), 3 * MINUTE));
        assert!(last(one, 2 * MINUTE, MINUTE), "what was to live for less lasts longer");
        assert!(!last(other, Duration::ZERO, MINUTE), "of another version nothing is known");
        lives.learn([((&key, MINUTE), one)].into_iter(), sent);
        assert!(last(one, Duration::ZERO, 3 * MINUTE), "it was not shortened");
        lives.learn([((&key, MINUTE), other)].into_iter(), sent);
        assert!(last(other, Duration::ZERO, MINUTE) && !last(one, Duration::ZERO, MINUTE));
    }

    #[test]
    fn no_more_versions_are_remembered_than_fit() {
        let (lives, now) = (Lives::default(), Instant::now());
        for number in 0..2 * MOST {
            let key = VersionKey::new(number.to_string(), 7);
            lives.learn([((&key, MINUTE), Version::new(1))].into_iter(), now);
            assert!(lives.last([(&key, Version::new(1))].into_iter(), now, MINUTE));
        }
        assert!(lock(&lives.0).len() <= MOST);
    }
}
