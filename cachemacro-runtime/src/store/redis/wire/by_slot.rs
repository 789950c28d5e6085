//! Reads of one connection: of one server together, of a node of a cluster in a batch for each slot, because keys of one command
//! lie in one slot there.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::task::Waker;

use super::reads::{Batch, Company, Reads, Sealed, Ticket, Wanted};

/// How many slots may have reads that wait; more callers wait outside.
const MOST_SLOTS: usize = 1_024;
/// How many that were used are kept to be used again.
const SPARE: usize = 64;

/// Reads that were not sent yet.
#[derive(Default)]
pub(super) struct AllReads {
    /// Whichever keys.
    any: Reads,
    /// Those of one slot each, in the order in which the first of each came.
    slots: VecDeque<(u16, Reads)>,
    spare: Vec<Reads>,
}

impl AllReads {
    pub(super) fn is_empty(&self) -> bool {
        self.any.is_empty() && self.slots.is_empty()
    }

    /// Whether one more caller may come now.
    pub(super) fn has_room(&self, slot: Option<u16>) -> bool {
        match slot {
            None => self.any.has_room(),
            Some(slot) => self.of(slot).map_or(self.slots.len() < MOST_SLOTS, Reads::has_room),
        }
    }

    /// Has these keys read, which lie in this slot where that matters. See [`Reads::join`].
    pub(super) fn join(
        &mut self,
        wanted: &[Wanted<'_>],
        slot: Option<u16>,
        company: Company,
        behind: u64,
        waker: &Waker,
    ) -> Ticket {
        let Some(slot) = slot else { return self.any.join(wanted, company, behind, waker) };
        let at = self.slots.iter().position(|(known, _)| *known == slot).unwrap_or_else(|| {
            self.slots.push_back((slot, self.spare.pop().unwrap_or_default()));
            self.slots.len() - 1
        });
        let reads = &mut self.slots[at].1;
        reads.take_as_many_as(&self.any);
        reads.join(wanted, company, behind, waker)
    }

    fn of(&self, slot: u16) -> Option<&Reads> {
        self.slots.iter().find(|(known, _)| *known == slot).map(|(_, reads)| reads)
    }

    /// Behind how many commands the next batch goes, where there is one.
    pub(super) fn behind(&self) -> Option<u64> {
        self.any.behind().or_else(|| self.slots.front().and_then(|(_, reads)| reads.behind()))
    }

    /// Has nobody join the batches that gather, which would have them wait for later commands.
    pub(super) fn keep_place(&mut self) {
        self.any.keep_place();
        self.slots.iter_mut().for_each(|(_, reads)| reads.keep_place());
    }

    /// The next batch to send; from now on nobody joins it.
    pub(super) fn next(&mut self) -> Option<Sealed> {
        if let Some(sealed) = self.any.next() {
            return Some(sealed);
        }
        loop {
            let (_, reads) = self.slots.front_mut()?;
            let sealed = reads.next();
            if reads.is_empty()
                && let Some((_, reads)) = self.slots.pop_front()
                && self.spare.len() < SPARE
            {
                self.spare.push(reads);
            }
            if sealed.is_some() {
                return sealed;
            }
        }
    }

    /// Takes the room of keys that were written.
    pub(super) fn recycle_keys(&mut self, keys: Vec<u8>) {
        match self.slots.front_mut() {
            Some((_, reads)) => reads.recycle_keys(keys),
            None => self.any.recycle_keys(keys),
        }
    }

    /// Takes note of a reply. See [`Reads::answered`].
    pub(super) fn answered(&mut self, batch: Arc<Batch>, keys: usize, bytes: usize) {
        self.any.answered(batch, keys, bytes);
    }

    /// All batches that were not sent, for the last time.
    pub(super) fn drain(&mut self) -> Vec<Arc<Batch>> {
        let mut all = self.any.drain();
        all.extend(self.slots.drain(..).flat_map(|(_, mut reads)| reads.drain()));
        all
    }
}

impl fmt::Debug for AllReads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllReads")
            .field("any", &self.any)
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}
