//! Records by expiry: a heap of their places, on which each record knows where it is.

use super::record::Record;
use crate::ground::clock::Timestamp;

/// The heap.
#[derive(Debug, Default)]
pub(super) struct Due(Vec<u32>);

impl Due {
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    #[cfg(test)]
    pub(super) fn room(&self) -> usize {
        self.0.capacity()
    }

    /// Gives memory back beyond that for so many.
    pub(super) fn shrink_to(&mut self, room: usize) {
        self.0.shrink_to(room);
    }

    /// The record that is due first, and when.
    pub(super) fn first(&self, records: &[Record]) -> Option<(usize, Timestamp)> {
        let at = *self.0.first()? as usize;
        Some((at, records[at].expires))
    }

    /// Takes in the last record.
    pub(super) fn push(&mut self, records: &mut [Record]) {
        let Some(last) = records.len().checked_sub(1) else { return };
        let place = self.0.len();
        self.0.push(short(last));
        records[last].due = short(place);
        self.up(records, place);
    }

    /// Takes out the record at `at`.
    pub(super) fn remove(&mut self, records: &mut [Record], at: usize) {
        let place = records[at].due as usize;
        self.0.swap_remove(place);
        if let Some(moved) = self.0.get(place) {
            records[*moved as usize].due = short(place);
            self.settle(records, place);
        }
    }

    /// The record that is at `at` now was elsewhere before.
    pub(super) fn moved(&mut self, records: &[Record], at: usize) {
        self.0[records[at].due as usize] = short(at);
    }

    /// The record at `at` expires at another time.
    pub(super) fn changed(&mut self, records: &mut [Record], at: usize) {
        self.settle(records, records[at].due as usize);
    }

    fn settle(&mut self, records: &mut [Record], place: usize) {
        let place = self.up(records, place);
        self.down(records, place);
    }

    fn expires(&self, records: &[Record], place: usize) -> Timestamp {
        records[self.0[place] as usize].expires
    }

    fn up(&mut self, records: &mut [Record], mut place: usize) -> usize {
        while place > 0 {
            let above = (place - 1) / 2;
            if self.expires(records, above) <= self.expires(records, place) {
                break;
            }
            self.swap(records, above, place);
            place = above;
        }
        place
    }

    fn down(&mut self, records: &mut [Record], mut place: usize) {
        loop {
            let below = 2 * place + 1..(2 * place + 3).min(self.0.len());
            let Some(first) = below.min_by_key(|below| self.expires(records, *below)) else { return };
            if self.expires(records, place) <= self.expires(records, first) {
                return;
            }
            self.swap(records, place, first);
            place = first;
        }
    }

    fn swap(&mut self, records: &mut [Record], one: usize, other: usize) {
        self.0.swap(one, other);
        for place in [one, other] {
            records[self.0[place] as usize].due = short(place);
        }
    }
}

/// A place: a shard has no more records than that.
#[expect(clippy::cast_possible_truncation, reason = "a shard has no more records than that")]
pub(super) const fn short(place: usize) -> u32 {
    place as u32
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::store::protocol::Slot;

    /// Asserts that each record is where it says, and none is due before the one above it.
    fn assert_is_heap(due: &Due, records: &[Record]) {
        assert_eq!(due.len(), records.len());
        for (place, at) in due.0.iter().enumerate() {
            assert_eq!(records[*at as usize].due as usize, place);
            assert!(due.expires(records, place.saturating_sub(1) / 2) <= due.expires(records, place));
        }
    }

    #[test]
    fn the_first_that_is_due_comes_first_whatever_was_done() {
        let (mut due, mut records, mut random) = (Due::default(), Vec::new(), 1_u64);
        for round in 0..20_000 {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let (expires, at) = (Timestamp(random >> 50), (random >> 33) as usize % records.len().max(1));
            match round % 7 {
                0..4 => {
                    records.push(Record::new("k", Slot::new(Bytes::new(), expires)));
                    due.push(&mut records);
                }
                4 if round > 5_000 || records.len() > 50 => {
                    due.remove(&mut records, at);
                    records.swap_remove(at);
                    if at < records.len() {
                        due.moved(&records, at);
                    }
                }
                5 => {
                    records[at].expires = expires;
                    due.changed(&mut records, at);
                }
                _ => {
                    let (first, expires) = due.first(&records).expect("there is one");
                    assert_eq!(records[first].expires, expires);
                    assert_eq!(records.iter().map(|record| record.expires).min(), Some(expires));
                }
            }
            if round % 97 == 0 {
                assert_is_heap(&due, &records);
            }
        }
        assert_is_heap(&due, &records);
    }
}
