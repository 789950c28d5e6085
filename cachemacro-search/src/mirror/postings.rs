//! Which documents have a term or trigram.

use std::collections::HashMap;

use foldhash::fast::RandomState;

/// The documents that have one number, with what they know of it.
pub(super) struct List<E> {
    /// The term or trigram.
    pub(super) number: u32,
    /// How many of its documents are there still.
    pub(super) live: u32,
    /// In the order in which the documents came; some may be gone.
    pub(super) entries: Vec<E>,
}

/// Lists by number. Each has a place of its own that stays while nothing is cleared.
pub(super) struct Postings<E> {
    places: HashMap<u32, u32, RandomState>,
    lists: Vec<List<E>>,
}

impl<E> Default for Postings<E> {
    fn default() -> Self {
        Self { places: HashMap::default(), lists: Vec::new() }
    }
}

impl<E> Postings<E> {
    /// Adds an entry to the list of a number, and returns the list's place.
    pub(super) fn add(&mut self, number: u32, entry: E) -> u32 {
        let next = u32::try_from(self.lists.len()).unwrap_or(u32::MAX);
        let place = *self.places.entry(number).or_insert(next);
        if place == next {
            self.lists.push(List { number, live: 0, entries: Vec::with_capacity(1) });
        }
        let list = &mut self.lists[place as usize];
        list.live += 1;
        list.entries.push(entry);
        place
    }

    /// One document of this list is gone.
    pub(super) fn gone(&mut self, place: u32) {
        self.lists[place as usize].live -= 1;
    }

    pub(super) fn find(&self, number: u32) -> Option<(u32, &List<E>)> {
        let place = *self.places.get(&number)?;
        Some((place, &self.lists[place as usize]))
    }

    pub(super) fn at(&self, place: u32) -> &List<E> {
        &self.lists[place as usize]
    }

    pub(super) fn lists(&self) -> &[List<E>] {
        &self.lists
    }
}
