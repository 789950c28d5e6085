//! Generations: what was read may be kept only if nothing changed under its names since before the read was sent.
//!
//! Every change that is heard of has a number, higher than all before. A reader notes the highest one before its request is
//! sent, and what the reply brings is kept only where no later one was about its names. Names share a few thousand places, so
//! a change may be taken for one of another name: that costs a copy and never keeps a wrong one. What is kept hangs on a
//! [cell](Unchanged) for each of its names, which falls with the next change.

use std::fmt;
use std::hash::BuildHasher;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::ground::sync::modelled::{AtomicU64, Mutex, MutexGuard, lock};
use crate::store::Unchanged;

/// loom explores few locks and counters, so that a name is always in the same.
const MODELLED: bool = cfg!(all(test, loom));
/// Each behind a lock of its own.
const SHARDS: usize = if MODELLED { 1 } else { 32 };
/// How many places there are for the numbers of changes. With 1,000 changes a second, of 1,000 reads that take a millisecond
/// each about one is taken for changed.
const PLACES: usize = if MODELLED { 1 } else { 1_024 };
/// How many cells a shard may have before those that nothing hangs on are removed for the first time.
const FEW: usize = 64;

/// How many changes had been heard of when a request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Sample(u64);

/// What changed under which names, and the cells of what hangs on them.
pub(crate) struct Cells {
    /// How many changes were heard of.
    heard: AtomicU64,
    /// The number of the last one that was about all names.
    all: AtomicU64,
    /// The number of the last one in each place.
    places: Box<[AtomicU64]>,
    shards: Box<[Mutex<Shard>]>,
    /// Random, so that nobody can choose names that all fall into one place.
    hasher: RandomState,
}

struct Shard {
    cells: HashTable<Cell>,
    /// Once there are so many, those that nothing hangs on are removed; then the limit is twice what is left.
    sweep_at: usize,
}

/// The cell of one name.
struct Cell {
    hash: u64,
    name: Arc<str>,
    unchanged: Arc<Unchanged>,
}

impl Cells {
    pub(crate) fn new() -> Self {
        let shard = || Mutex::new(Shard { cells: HashTable::new(), sweep_at: FEW });
        Self {
            heard: AtomicU64::new(0),
            all: AtomicU64::new(0),
            places: (0..PLACES).map(|_| AtomicU64::new(0)).collect(),
            shards: (0..SHARDS).map(|_| shard()).collect(),
            hasher: RandomState::default(),
        }
    }

    /// What is to be noted before a request is sent.
    pub(crate) fn sample(&self) -> Sample {
        Sample(self.heard.load(Ordering::SeqCst))
    }

    /// What a copy hangs on that a request brought under this name; `None` where something changed since the sample.
    pub(crate) fn cell(&self, name: &Arc<str>, since: Sample) -> Option<Arc<Unchanged>> {
        let hash = self.hash(name.as_bytes());
        let mut shard = self.shard(hash);
        // G3: under the lock that a change takes after it is noted. One that comes later finds the cell.
        let last = self.place(hash).load(Ordering::SeqCst).max(self.all.load(Ordering::SeqCst));
        if last > since.0 {
            return None;
        }
        shard.sweep();
        match shard.cells.entry(hash, |cell| cell.hash == hash, |cell| cell.hash) {
            Entry::Occupied(place) => {
                // Another name of the same hash would be told of the wrong changes.
                let cell = place.into_mut();
                (cell.name == *name).then(|| Arc::clone(&cell.unchanged))
            }
            Entry::Vacant(place) => {
                let unchanged = Unchanged::new();
                place.insert(Cell { hash, name: Arc::clone(name), unchanged: Arc::clone(&unchanged) });
                Some(unchanged)
            }
        }
    }

    /// Something changed under this name. Tells whether copies hung on it.
    pub(crate) fn end(&self, name: &[u8]) -> bool {
        let hash = self.hash(name);
        self.place(hash).fetch_max(self.next(), Ordering::SeqCst);
        let mut shard = self.shard(hash);
        let cell = shard.cells.find_entry(hash, |cell| cell.name.as_bytes() == name);
        cell.is_ok_and(|cell| cell.remove().0.end())
    }

    /// Something may have changed under every name that begins so. What is under way is not kept, whatever its names. Tells
    /// how many names had copies.
    pub(crate) fn end_prefix(&self, prefix: &str) -> usize {
        self.all.fetch_max(self.next(), Ordering::SeqCst);
        let mut ended = 0;
        for shard in &self.shards {
            for cell in lock(shard).cells.extract_if(|cell| cell.name.starts_with(prefix)) {
                ended += usize::from(cell.end());
            }
        }
        ended
    }

    /// How many names have cells.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).cells.len()).sum()
    }

    /// The number of a change that is heard of now.
    fn next(&self) -> u64 {
        self.heard.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn hash(&self, name: &[u8]) -> u64 {
        self.hasher.hash_one(name)
    }

    fn place(&self, hash: u64) -> &AtomicU64 {
        &self.places[usize::try_from(hash % PLACES as u64).unwrap_or(0)]
    }

    fn shard(&self, hash: u64) -> MutexGuard<'_, Shard> {
        // The places use the other end of the hash.
        lock(&self.shards[usize::try_from((hash >> 40) % SHARDS as u64).unwrap_or(0)])
    }
}

impl fmt::Debug for Cells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cells").field("heard", &self.sample().0).finish_non_exhaustive()
    }
}

impl Shard {
    fn sweep(&mut self) {
        if self.cells.len() >= self.sweep_at {
            self.cells.retain(|cell| cell.is_used());
            self.sweep_at = FEW.max(self.cells.len() * 2);
        }
    }
}

impl Cell {
    /// Whether copies hang on it.
    fn is_used(&self) -> bool {
        Arc::strong_count(&self.unchanged) > 1
    }

    /// What hangs on it is taken no more. Tells whether that is anything.
    fn end(&self) -> bool {
        self.unchanged.ends();
        self.is_used()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Arc<str> {
        text.into()
    }

    #[test]
    fn what_changed_after_the_sample_is_not_kept() {
        let cells = Cells::new();
        let (before, user) = (cells.sample(), name("user:7"));
        assert!(!cells.end(b"user:7"), "nothing hung on it");
        assert!(cells.cell(&user, before).is_none());
        let cell = cells.cell(&user, cells.sample()).expect("nothing changed since");
        assert!(cell.holds());
        assert!(cells.end(b"user:7") && !cell.holds());
    }

    #[test]
    fn a_change_of_one_name_leaves_the_others() {
        let cells = Cells::new();
        let since = cells.sample();
        let kept: Vec<_> = (0..100).map(|at| cells.cell(&name(&format!("user:{at}")), since)).collect();
        cells.end(b"user:7");
        let held = kept.iter().flatten().filter(|cell| cell.holds()).count();
        assert_eq!(held, 99);
    }

    #[test]
    fn a_change_of_a_prefix_ends_what_begins_so_and_whatever_is_under_way() {
        let cells = Cells::new();
        let since = cells.sample();
        let cell = |text: &str| cells.cell(&name(text), since).expect("kept");
        let (user, page) = (cell("s:user:7"), cell("s:page:7"));
        assert_eq!(cells.end_prefix("s:user:"), 1);
        assert!(!user.holds() && page.holds());
        assert!(cells.cell(&name("s:other"), since).is_none(), "it was read before");
        assert_eq!(cells.end_prefix(""), 1);
        assert!(!page.holds());
    }

    #[test]
    fn names_that_nothing_hangs_on_are_forgotten() {
        let cells = Cells::new();
        for at in 0..100_000 {
            assert!(cells.cell(&name(&format!("user:{at}")), cells.sample()).is_some());
        }
        assert!(cells.len() <= SHARDS * (FEW + 1), "{} are left", cells.len());
    }
}
