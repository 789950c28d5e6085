//! Keys to bytes behind one lock: a list of records without gaps, a table that finds them, a heap of those that are due, and a hand
//! that goes round and lets go of what was not used since it came by.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use hashbrown::HashTable;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use super::due::{Due, short};
use super::record::{Held, Record};
use crate::ground::clock::Timestamp;
use crate::store::decoded::AnyDecoded;
use crate::store::protocol::Slot;

/// How many records that were used are passed over where one must go.
const SPARED: usize = 16;
/// By which part of itself the list of records grows: it is the largest thing here besides the bytes.
const GROWTH: usize = 8;
/// Memory for fewer records than this is kept.
const LEAST_ROOM: usize = 64;
/// How long the list of those asked for gets at least before what is no longer among them is taken out.
const LEAST_ASKED: usize = 16;

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
    /// The hashes of the keys whose bytes are there because someone asked for them, in that order; and of some that are not so any more.
    asked: VecDeque<u64>,
    /// From which length on the latter are taken out.
    most_asked: usize,
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
            asked: VecDeque::new(),
            most_asked: LEAST_ASKED,
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
        record.is_alive(now).then_some(record)
    }

    /// The value that gives all bytes under this key, where fewer than are wanted are there.
    pub(super) fn cut(&self, named: Named<'_>, wanted: usize) -> Option<Arc<AnyDecoded>> {
        self.records[self.find(named)?].cut(wanted)
    }

    /// Puts all bytes under this key again, unless something changed there since they were asked for. What is not had any more is
    /// gone.
    pub(super) fn complete(&mut self, named: Named<'_>, decoded: Arc<AnyDecoded>, whole: Option<Bytes>) {
        if let Some(at) = self.find(named)
            && let record = &mut self.records[at]
            && record.is_cut_for(&decoded)
        {
            let was = record.weight();
            if let Some(whole) = whole {
                record.complete(&decoded, whole);
                self.weight = self.weight - was + record.weight();
                self.was_asked(named.hash);
            } else {
                self.remove(at);
            }
        }
        // Perhaps it is the last that holds the value.
        self.gone.push(decoded);
    }

    /// Takes the bytes out, so that they can be changed in place; the key stays, and counts as used. Tells whether something hangs on
    /// them.
    pub(super) fn take(&mut self, named: Named<'_>) -> Option<(Slot, bool)> {
        let at = self.find(named)?;
        let record = &mut self.records[at];
        record.use_it();
        let was = record.weight();
        let slot = record.take();
        self.weight = self.weight - was + record.weight();
        Some((slot, record.holds()))
    }

    /// Removes what was decoded from the bytes under a key, and tells who asked that a version fell.
    pub(super) fn release(&mut self, named: Named<'_>) {
        let Some(at) = self.find(named) else { return };
        let record = &mut self.records[at];
        let was = record.weight();
        let held = record.release();
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

    /// Hangs a value on the bytes that it was decoded from, if those are what is under the key still, and both together weigh no more than
    /// `most`: bytes that are left out may have to come back. Tells whether it did.
    pub(super) fn attach(
        &mut self,
        named: Named<'_>,
        (now, most): (Timestamp, usize),
        is: impl FnOnce(&Bytes) -> bool,
        decoded: &Arc<AnyDecoded>,
    ) -> bool {
        let Some(at) = self.find(named) else { return false };
        let record = &mut self.records[at];
        record.use_it();
        if !record.is_alive(now) || !record.is(is) {
            return false;
        }
        let was = record.weight();
        if record.weight_with(decoded) > most {
            return false;
        }
        let gone = record.add(Arc::clone(decoded));
        record.leave_out();
        self.weight = self.weight - was + record.weight();
        if record.is_asked() {
            self.was_asked(named.hash);
        }
        for gone in gone {
            self.outdate(gone);
        }
        true
    }

    pub(super) fn put(&mut self, named: Named<'_>, slot: Slot) {
        let Some(at) = self.find(named) else { return self.add(named, slot) };
        let record = &mut self.records[at];
        let (was, moves) = (record.weight(), record.expires != slot.expires);
        record.put(slot);
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
        self.end(record.end());
        self.shrink();
        record
    }

    /// Gives memory back where three quarters of it are not in use.
    fn shrink(&mut self) {
        let Self { records, places, due, seed, .. } = self;
        if records.capacity() > LEAST_ROOM && records.len() <= records.capacity() / 4 {
            // Half of it stays, so that this comes as rarely as many keys go or come.
            let room = (2 * records.len()).max(LEAST_ROOM / 2);
            records.shrink_to(room);
            due.shrink_to(room);
            places.shrink_to(room, |at| Named::new(&records[*at as usize].key, *seed).hash);
        }
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

    /// Makes room: of what is there twice, as bytes and as a value that encodes to them, the bytes go first; then a key that was not used
    /// for long, but not the `spared` one. False where there is nothing.
    pub(super) fn pop(&mut self, spared: &str) -> bool {
        self.cut_asked() || self.evict(spared)
    }

    /// Takes note that the bytes under the key of this hash were asked for, and are there as well as the value.
    fn was_asked(&mut self, hash: u64) {
        if self.asked.len() >= self.most_asked {
            let mut seen = HashSet::new();
            let asked = std::mem::take(&mut self.asked);
            self.asked = asked
                .into_iter()
                .filter(|hash| self.find_asked(*hash).is_some() && seen.insert(*hash))
                .collect();
            self.most_asked = LEAST_ASKED + 2 * self.asked.len();
        }
        self.asked.push_back(hash);
    }

    fn find_asked(&self, hash: u64) -> Option<usize> {
        let place = self.places.find(hash, |at| self.records[*at as usize].is_asked());
        place.map(|at| *at as usize)
    }

    /// Leaves out the bytes that were asked for first; false where there are none.
    fn cut_asked(&mut self) -> bool {
        while let Some(hash) = self.asked.pop_front() {
            let Some(at) = self.find_asked(hash) else { continue };
            let record = &mut self.records[at];
            let was = record.weight();
            let is_left_out = record.leave_out_again();
            self.weight = self.weight - was + record.weight();
            if is_left_out {
                return true;
            }
        }
        false
    }

    fn evict(&mut self, spared: &str) -> bool {
        let mut passed = 0;
        for _ in 0..=2 * self.records.len() {
            let at = if self.hand < self.records.len() { self.hand } else { 0 };
            self.hand = at + 1;
            let Some(record) = self.records.get_mut(at) else { return false };
            if *record.key == *spared {
                continue;
            }
            if passed < SPARED && record.was_used() {
                passed += 1;
                continue;
            }
            // The record that came last takes this place, which the hand has passed: it is asked when all others were.
            self.remove(at);
            return true;
        }
        false
    }

    /// For how many keys the list, the table or the heap has room.
    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.records.capacity().max(self.places.capacity()).max(self.due.room())
    }

    /// How many keys are on the heap, for tests.
    #[cfg(test)]
    pub(super) fn due(&self) -> usize {
        self.due.len()
    }
}
