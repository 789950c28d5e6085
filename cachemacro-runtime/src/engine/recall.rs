//! What the recorded loads of one place read so far: these tags' versions are asked for with the entry, so that a hit is one round trip,
//! and captured by name before the next load, so that only evicts of these refuse its fill.
//!
//! It is a hint. A tag that is not in it is stored under the any-tag rule where the load had captured for that, or not at all (G1); one
//! that is in it and that a value does not carry costs eight bytes of the answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, RwLock};

use crate::ground::sync::{read, write};
use crate::observe::site::SiteId;

/// So many tags are remembered of a place: each is asked for by every read.
const MOST: usize = 32;

/// After so many loads that read what none had read before, the next ones may, too.
const STRANGERS: u32 = 3;

/// So many places are remembered. Functions are few; prefixes of entries by hand may not be.
const MOST_PLACES: usize = 4_096;

/// What recorded loads read, by place.
#[derive(Default)]
pub(crate) struct Recalls(RwLock<HashMap<Place, Arc<Recall>>>);

/// Whose loads they are.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    /// An annotated function's.
    Site(SiteId),
    /// Those by hand under a prefix.
    Prefix(Box<str>),
}

/// What the loads of one place read.
#[derive(Debug, Default)]
pub(crate) struct Recall {
    tags: RwLock<Arc<[u64]>>,
    /// How often a load read what none had read before, since the first.
    strangers: AtomicU32,
    said: AtomicBool,
}

impl Recalls {
    /// What is known of this place.
    pub(crate) fn of(&self, place: Place) -> Arc<Recall> {
        if let Some(known) = read(&self.0).get(&place) {
            return Arc::clone(known);
        }
        let mut places = write(&self.0);
        if places.len() >= MOST_PLACES {
            return places.get(&place).cloned().unwrap_or_default();
        }
        Arc::clone(places.entry(place).or_default())
    }
}

impl Recall {
    /// The hashes of the tags.
    pub(crate) fn tags(&self) -> Arc<[u64]> {
        Arc::clone(&read(&self.tags))
    }

    /// Whether the next load is to capture for tags that nobody knows yet: it is the first, or they vary.
    pub(crate) fn expects_strangers(&self) -> bool {
        read(&self.tags).is_empty() || self.strangers.load(Ordering::Relaxed) >= STRANGERS
    }

    /// A load read this, or a value carries it.
    pub(crate) fn learn(&self, hashes: &[u64]) {
        let known = self.tags();
        let is_new = |hash: &&u64| !known.contains(hash);
        if !hashes.iter().any(|hash| is_new(&hash)) {
            return;
        }
        if !known.is_empty() {
            self.strangers.fetch_add(1, Ordering::Relaxed);
        }
        let mut tags = write(&self.tags);
        let mut more: Vec<u64> = tags.to_vec();
        for hash in hashes {
            if more.len() < MOST && !more.contains(hash) {
                more.push(*hash);
            }
        }
        *tags = more.into();
    }

    /// A load of this function, or by hand, recorded nothing. Says so once.
    pub(crate) fn recorded_nothing(&self, name: &str) {
        if !self.said.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                site = name,
                "a recorded load recorded nothing, so nothing would ever evict it: it is not stored. Loads in tasks of their own are \
                 recorded inside `recording(…)`"
            );
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_load_and_those_of_places_whose_tags_vary_expect_strangers() {
        let recall = Recall::default();
        assert!(recall.expects_strangers());
        recall.learn(&[100]);
        assert!(!recall.expects_strangers());
        for other in 0..u64::from(STRANGERS) {
            assert!(!recall.expects_strangers());
            recall.learn(&[100, 200 + other]);
        }
        assert!(recall.expects_strangers());
        recall.learn(&(0..1_000).collect::<Vec<_>>());
        assert_eq!(recall.tags().len(), MOST);
    }

    #[test]
    fn places_are_told_apart_and_bounded() {
        let recalls = Recalls::default();
        let place = |number: usize| Place::Prefix(number.to_string().into());
        recalls.of(place(1)).learn(&[100]);
        assert_eq!(*recalls.of(place(1)).tags(), [100]);
        assert!(recalls.of(place(2)).tags().is_empty());
        (0..2 * MOST_PLACES).for_each(|number| drop(recalls.of(place(number))));
        assert_eq!(read(&recalls.0).len(), MOST_PLACES);
    }
}
