//! What the recorded loads of one place read so far: these tags' versions are asked for with the entry, so that a hit is one round trip,
//! and captured by name before the next load, so that only evicts of these refuse its fill.
//!
//! It is a hint. A tag that is not in it is stored under the any-tag rule where the load had captured for that, or not at all (G1); one
//! that is in it and that a value does not carry costs eight bytes of the answer.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use crate::ground::sync::{read, write};
use crate::observe::site::SiteId;

/// So many tags are remembered of a place: each is asked for by every read.
const MOST: usize = 32;

/// After so many loads that read what none had read before, the next ones may, too.
const STRANGERS: u32 = 3;

/// A tag that so many loads in a row did not read is forgotten; and after so many that read nothing new, the next ones will not, either.
const UNREAD: u64 = 64;

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
    known: RwLock<Known>,
    said: AtomicBool,
}

#[derive(Debug, Default)]
struct Known {
    tags: Arc<[u64]>,
    /// In which round each of them was read last.
    read: Vec<u64>,
    /// So many loads there were, and values of other processes with tags that were not known.
    rounds: u64,
    /// How often a load read what none had read before, since the first.
    strangers: u32,
    /// When one did so last.
    strange: u64,
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
        Arc::clone(&read(&self.known).tags)
    }

    /// Whether the next load is to capture for tags that nobody knows yet: it is the first, or they vary.
    pub(crate) fn expects_strangers(&self) -> bool {
        let known = read(&self.known);
        known.tags.is_empty() || known.strangers >= STRANGERS
    }

    /// A load read this, or a value carries it.
    pub(crate) fn learn(&self, hashes: &[u64]) {
        write(&self.known).learn(hashes);
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

impl Known {
    fn learn(&mut self, hashes: &[u64]) {
        self.rounds += 1;
        let (round, was_empty) = (self.rounds, self.tags.is_empty());
        let mut all: Vec<(u64, u64)> = self.tags.iter().copied().zip(self.read.iter().copied()).collect();
        let mut strangers = Vec::new();
        for hash in hashes {
            if let Some((_, read)) = all.iter_mut().find(|(tag, _)| tag == hash) {
                *read = round;
            } else {
                strangers.push(*hash);
            }
        }
        if !strangers.is_empty() && !was_empty {
            self.strangers = self.strangers.saturating_add(1);
            self.strange = round;
        } else if round - self.strange > UNREAD {
            self.strangers = 0;
        }
        all.retain(|(_, read)| round - read < UNREAD);
        for hash in strangers {
            if all.len() < MOST && all.iter().all(|(tag, _)| *tag != hash) {
                all.push((hash, round));
            }
        }
        let (tags, read): (Vec<_>, Vec<_>) = all.into_iter().unzip();
        self.read = read;
        if *self.tags != *tags {
            self.tags = tags.into();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loads_read_no_more_is_forgotten() {
        let recall = Recall::default();
        recall.learn(&(0..1_000).collect::<Vec<_>>());
        for _ in 0..UNREAD - 1 {
            recall.learn(&[7]);
        }
        assert_eq!(recall.tags().len(), MOST, "not yet");
        recall.learn(&[7]);
        assert_eq!(*recall.tags(), [7]);
        recall.learn(&[7, 2_000]);
        assert_eq!(*recall.tags(), [7, 2_000], "there is room for others");
    }

    #[test]
    fn a_place_whose_tags_vary_no_more_expects_no_strangers() {
        let recall = Recall::default();
        (0..=u64::from(STRANGERS)).for_each(|other| recall.learn(&[other]));
        for _ in 0..UNREAD {
            assert!(recall.expects_strangers());
            recall.learn(&[0]);
        }
        recall.learn(&[0]);
        assert!(!recall.expects_strangers());
    }

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
