//! Keys to bytes behind one lock: a list of records without gaps, a table that finds them, a heap of those that are due, and a hand
//! that goes round and lets go of what was not used since it came by.

use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::due::{Due, short};
use super::record::{Cut, Form, Held, Record};
use crate::ground::clock::Timestamp;
use crate::store::decoded::AnyDecoded;
use crate::store::protocol::Slot;

/// How many records that were used are passed over where one must go.
const SPARED: usize = 16;
/// By which part of itself the list of records grows: it is the largest thing here besides the bytes.
const GROWTH: usize = 8;

/// A key and its hash.
#[derive(Clone, Copy)]
pub(super) struct Named<'a> {
    pub(super) key: &'a str,
    pub(super) hash: u64,
}

impl<'a> Named<'a> {
    pub(super) fn new(key: &'a str, seed: u64) -> Self {
        Self { key, hash: xxh3_64_with_seed(key.as_bytes(), seed) }
    }
}

/// One part.
pub(super) struct Shard {
    records: Vec<Record>,
    /// Where in the list a key is.
    places: HashTable<u32>,
    due: Due,
    /// Who is asked next whether it may go.
    hand: usize,
    pub(super) weight: usize,
    pub(super) operations: usize,
    seed: u64,
    /// What is to be dropped once the lock is; what has ended is to leave the table that calls look into.
    pub(super) gone: Vec<Arc<AnyDecoded>>,
}

impl Shard {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            records: Vec::new(),
            places: HashTable::new(),
            due: Due::default(),
            hand: 0,
            weight: 0,
            operations: 0,
            seed,
            gone: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn records(&self) -> &[Record] {
        &self.records
    }

    fn find(&self, named: Named<'_>) -> Option<usize> {
        let place = self.places.find(named.hash, |at| *self.records[*at as usize].key == *named.key);
        place.map(|at| *at as usize)
    }

    /// The record of this key, if it is alive. That counts as a use of it.
    pub(super) fn used(&mut self, named: Named<'_>, now: Timestamp) -> Option<&mut Record> {
        let at = self.find(named)?;
        let record = &mut self.records[at];
        record.use_it();
        record.slot.is_alive(now).then_some(record)
    }

    /// What it takes to have all bytes under this key, where they are not there.
    pub(super) fn cut(&self, named: Named<'_>) -> Option<Cut> {
        self.records[self.find(named)?].cut()
    }

    /// Puts all bytes under this key again, unless something changed there since they were asked for. What is not had any more is
    /// gone.
    pub(super) fn complete(&mut self, named: Named<'_>, cut: Cut, whole: Option<Bytes>) {
        if let Some(at) = self.find(named)
            && let record = &mut self.records[at]
            && record.form == Form::Cut
            && matches!(&record.held, Held::One(decoded) if Arc::ptr_eq(decoded, &cut.decoded))
        {
            let was = record.weight();
            if let Some(whole) = whole {
                record.slot.bytes = whole;
                record.form = Form::Asked;
                self.weight = self.weight - was + record.weight();
            } else {
                self.remove(at);
            }
        }
        // Perhaps it is the last that holds the value.
        self.gone.push(cut.decoded);
    }

    /// Takes the bytes out, so that they can be changed in place; the key stays, and counts as used. Tells whether something hangs on
    /// them.
    pub(super) fn take(&mut self, named: Named<'_>) -> Option<(Slot, bool)> {
        let at = self.find(named)?;
        let record = &mut self.records[at];
        record.use_it();
        let was = record.weight();
        let slot = Slot::new(std::mem::take(&mut record.slot.bytes), record.slot.expires);
        self.weight = self.weight - was + record.weight();
        Some((slot, !record.held.is_nothing()))
    }

    /// Removes what was decoded from the bytes under a key, and tells who asked that a version fell.
    pub(super) fn release(&mut self, named: Named<'_>) {
        let Some(at) = self.find(named) else { return };
        let record = &mut self.records[at];
        let was = record.weight();
        let held = std::mem::take(&mut record.held);
        record.form = Form::Whole;
        self.weight = self.weight - was + record.weight();
        self.end(held);
    }

    /// G1: in the step that changes the bytes.
    fn end(&mut self, held: Held) {
        match held {
            Held::Nothing => {}
            Held::Version(unchanged) => unchanged.ends(),
            Held::One(decoded) => self.outdate(decoded),
            Held::Several(decoded) => decoded.into_iter().for_each(|decoded| self.outdate(decoded)),
        }
    }

    /// No call takes this value any more.
    fn outdate(&mut self, decoded: Arc<AnyDecoded>) {
        decoded.end();
        self.gone.push(decoded);
    }

    /// Hangs a value on the bytes that it was decoded from, if those are what is under the key still; tells whether they are.
    pub(super) fn attach(
        &mut self,
        named: Named<'_>,
        now: Timestamp,
        is: impl FnOnce(&Bytes) -> bool,
        decoded: &Arc<AnyDecoded>,
    ) -> bool {
        let Some(at) = self.find(named) else { return false };
        let record = &mut self.records[at];
        record.use_it();
        if !record.slot.is_alive(now) || !is(&record.slot.bytes) {
            return false;
        }
        let was = record.weight();
        let gone = record.held.add(Arc::clone(decoded));
        record.leave_out();
        self.weight = self.weight - was + record.weight();
        for gone in gone {
            self.outdate(gone);
        }
        true
    }

    pub(super) fn put(&mut self, named: Named<'_>, slot: Slot) {
        let Some(at) = self.find(named) else { return self.add(named, slot) };
        let record = &mut self.records[at];
        let (was, moves) = (record.weight(), record.slot.expires != slot.expires);
        record.slot = slot;
        self.weight = self.weight - was + record.weight();
        if moves {
            self.due.changed(&mut self.records, at);
        }
    }

    fn add(&mut self, named: Named<'_>, slot: Slot) {
        // Losing a key is a miss; no shard comes near that.
        let Ok(at) = u32::try_from(self.records.len()) else { return };
        let Self { records, places, due, seed, .. } = self;
        if records.len() == records.capacity() {
            records.reserve_exact((records.len() / GROWTH).max(GROWTH));
        }
        let record = Record::new(named.key, slot);
        self.weight += record.weight();
        records.push(record);
        due.push(records);
        let hash =
            |at: &u32| records.get(*at as usize).map_or(0, |record| Named::new(&record.key, *seed).hash);
        places.insert_unique(named.hash, at, hash);
    }

    /// Removes what is under a key, and gives it back.
    pub(super) fn remove_named(&mut self, named: Named<'_>) -> Option<Record> {
        let at = self.find(named)?;
        Some(self.remove(at))
    }

    /// Removes a record; what hung on it is not in it any more.
    fn remove(&mut self, at: usize) -> Record {
        self.due.remove(&mut self.records, at);
        let hash = Named::new(&self.records[at].key, self.seed).hash;
        if let Ok(place) = self.places.find_entry(hash, |place| *place as usize == at) {
            place.remove();
        }
        let mut record = self.records.swap_remove(at);
        let was = self.records.len();
        if let Some(moved) = self.records.get(at) {
            let hash = Named::new(&moved.key, self.seed).hash;
            if let Some(place) = self.places.find_mut(hash, |place| *place as usize == was) {
                *place = short(at);
            }
            self.due.moved(&self.records, at);
        }
        self.weight -= record.weight();
        self.end(std::mem::take(&mut record.held));
        record
    }

    /// Removes the key that is due first, if it is.
    pub(super) fn remove_due(&mut self, now: Timestamp) -> bool {
        match self.due.first(&self.records) {
            Some((at, expires)) if expires <= now => {
                self.remove(at);
                true
            }
            _ => false,
        }
    }

    /// Lets go of a key that was not used for long, but not of the `spared` one; false where there is none.
    pub(super) fn pop(&mut self, spared: Option<&str>) -> bool {
        let mut passed = 0;
        for _ in 0..=2 * self.records.len() {
            let at = if self.hand < self.records.len() { self.hand } else { 0 };
            self.hand = at + 1;
            let Some(record) = self.records.get_mut(at) else { return false };
            if spared == Some(&*record.key) {
                continue;
            }
            if passed < SPARED && record.was_used() {
                passed += 1;
                continue;
            }
            // The last to come moves here, and the hand has just passed.
            self.remove(at);
            return true;
        }
        false
    }

    /// How many keys are on the heap, for tests.
    #[cfg(test)]
    pub(super) fn due(&self) -> usize {
        self.due.len()
    }
}
