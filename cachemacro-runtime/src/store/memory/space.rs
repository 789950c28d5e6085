//! Keys to bytes, bounded in size, with expiry. Knows nothing of entries, leases or versions.
//!
//! Keys are spread over shards, each behind a lock that is held for one operation on one key. Together the
//! shards stay within one capacity. An expired key is never seen again, and does not stay for long while the
//! store is in use: every operation removes a few that are due, from its own shard and now and then from
//! another.
//!
//! Of bytes from which a value was decoded only the first stay, where the value encodes to the others: it is the value that calls take.
//! Whoever asks for bytes gets all of them, encoded again and compared by their checksum; they stay while there is room.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use bytes::Bytes;

use super::record::weigh;
use super::shard::{Named, Shard};
use crate::ground::clock::{Clock, Timestamp};
use crate::store::by_arguments::{Ends as _, Placed};
use crate::store::decoded::{AnyDecoded, DecodedTable, Unchanged};
use crate::store::protocol::Slot;

/// How much capacity a shard must have: several times the largest value that is stored by default.
const SHARD_CAPACITY: usize = 4 << 20;
const MAX_SHARDS: usize = 16;
/// How many due keys one operation removes from its shard: more than it can add.
const SWEEP: usize = 4;
/// After so many operations on a shard another is swept as well, which may have no traffic of its own.
const VISIT: usize = 32;
/// How many due keys that removes.
const SWEEP_VISITED: usize = 64;
/// How many keys a shard gives at a time where much room is needed.
const POPS: usize = 8;

/// The keys and what is under them.
pub(super) struct Space {
    shards: Box<[Mutex<Shard>]>,
    capacity: usize,
    weight: AtomicUsize,
    clock: Clock,
    /// What was decoded from the bytes here.
    decoded: DecodedTable,
    /// Random, so that nobody can choose keys that all fall into one place.
    seed: u64,
}

/// What is, or was, under a key.
pub(super) struct Found {
    /// All bytes, or the first of them.
    pub(super) slot: Slot,
    pub(super) is_whole: bool,
}

impl Space {
    pub(super) fn new(capacity: usize, clock: Clock) -> Self {
        let shards = (capacity / SHARD_CAPACITY).clamp(1, MAX_SHARDS);
        let seed = rand::random();
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(seed))).collect(),
            capacity,
            weight: AtomicUsize::new(0),
            clock,
            decoded: DecodedTable::new(),
            seed,
        }
    }

    pub(super) const fn clock(&self) -> &Clock {
        &self.clock
    }

    pub(super) const fn capacity(&self) -> usize {
        self.capacity
    }

    /// How many keys are held, those included that are due and not swept yet.
    pub(super) fn len(&self) -> usize {
        (0..self.shards.len()).map(|at| self.lock(at).len()).sum()
    }

    /// What the held keys weigh together.
    pub(super) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    /// What is under `key`, which counts as a use of it.
    pub(super) fn get(&self, key: &str) -> Option<Slot> {
        self.first(key, usize::MAX).map(|found| found.slot)
    }

    /// The same, of which so many bytes are wanted: more may come, and all where there are fewer.
    pub(super) fn first(&self, key: &str, wanted: usize) -> Option<Found> {
        let named = Named::new(key, self.seed);
        let (at, mut shard, was_completed) = self.lock_with(named, wanted);
        let now = self.clock.now();
        let found =
            shard.used(named, now).map(|record| Found { slot: record.slot(), is_whole: record.is_whole() });
        if was_completed {
            self.make_room(at, shard, now, key);
        } else {
            self.tidy(at, shard, now);
        }
        found
    }

    /// What was decoded from the bytes here.
    #[inline]
    pub(super) const fn decoded(&self) -> &DecodedTable {
        &self.decoded
    }

    /// What is under `key`, and what tells that it is so still.
    pub(super) fn watch(&self, key: &str) -> Option<(Slot, Arc<Unchanged>)> {
        let named = Named::new(key, self.seed);
        let mut shard = self.lock(self.shard_of(named));
        let record = shard.used(named, self.clock.now())?;
        Some((record.slot(), record.watched()?))
    }

    /// Has calls with these arguments find what was decoded from `bytes`, if they are what is under `key` still.
    pub(super) fn attach(&self, key: &str, bytes: &Bytes, placed: &Placed, decoded: &Arc<AnyDecoded>) {
        let named = Named::new(key, self.seed);
        let at = self.shard_of(named);
        let mut shard = self.lock(at);
        let (now, before) = (self.clock.now(), shard.weight);
        // Of one address they are one, as both are held here.
        let is_there = shard.attach(named, (now, self.capacity), |is| is_unchanged(bytes, is), decoded);
        self.account(before, shard.weight);
        self.make_room(at, shard, now, key);
        if is_there {
            // Under no lock: what was there before may be dropped. Whoever changed the bytes since has ended it.
            self.decoded.put(placed, decoded);
        }
    }

    /// Lets `change` replace, remove or create what is under `key`, in one atomic step at the time it is told.
    pub(super) fn update<R>(&self, key: &str, change: impl FnOnce(&mut Option<Slot>, Timestamp) -> R) -> R {
        self.change(key, usize::MAX, change)
    }

    /// The same for a change that leaves nothing of the bytes there, of which only the first may be given to it.
    pub(super) fn replace<R>(&self, key: &str, change: impl FnOnce(&mut Option<Slot>, Timestamp) -> R) -> R {
        self.change(key, 0, change)
    }

    fn change<R>(
        &self,
        key: &str,
        wanted: usize,
        change: impl FnOnce(&mut Option<Slot>, Timestamp) -> R,
    ) -> R {
        let named = Named::new(key, self.seed);
        let (at, mut shard, _) = self.lock_with(named, wanted);
        let now = self.clock.now();
        let before = shard.weight;
        let (slot, is_held) = shard.take(named).unzip();
        let mut slot = slot.filter(|slot| slot.is_alive(now));
        // A second reference to the bytes, so that they are not changed in place.
        let was = is_held.filter(|is_held| *is_held).map(|_| slot.clone());
        let answer = change(&mut slot, now);
        // What exceeds the capacity on its own would first push out everything else.
        match slot.filter(|slot| slot.is_alive(now) && weigh(key, slot.bytes.len()) <= self.capacity) {
            Some(slot) => {
                if was.is_some_and(|was| !was.is_some_and(|was| is_still(&was, &slot))) {
                    shard.release(named);
                }
                shard.put(named, slot);
            }
            None => drop(shard.remove_named(named)),
        }
        self.account(before, shard.weight);
        self.make_room(at, shard, now, key);
        answer
    }

    /// Removes what is under `key`, and gives it back with the time.
    pub(super) fn remove(&self, key: &str) -> (Option<Found>, Timestamp) {
        let named = Named::new(key, self.seed);
        let at = self.shard_of(named);
        let mut shard = self.lock(at);
        let (now, before) = (self.clock.now(), shard.weight);
        let removed = shard.remove_named(named).filter(|record| record.is_alive(now));
        self.account(before, shard.weight);
        self.tidy(at, shard, now);
        let removed = removed.map(|record| Found { is_whole: record.is_whole(), slot: record.slot() });
        (removed, now)
    }

    /// How many parts the keys are in.
    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The keys of one part that begin with `prefix`, or none where there is no such part.
    pub(super) fn keys(&self, part: usize, prefix: &str) -> Vec<Box<str>> {
        if part >= self.shards() {
            return Vec::new();
        }
        let shard = self.lock(part);
        let now = self.clock.now();
        let alive = shard.records().iter();
        let alive = alive.filter(|record| record.key.starts_with(prefix) && record.is_alive(now));
        alive.map(|record| record.key.clone()).collect()
    }

    /// Removes these keys of one part, and tells which of them were there.
    pub(super) fn remove_all<'a>(&self, part: usize, keys: &'a [Box<str>]) -> Vec<&'a str> {
        let mut shard = self.lock(part);
        let (now, before) = (self.clock.now(), shard.weight);
        let mut removed = Vec::with_capacity(keys.len());
        for key in keys {
            let record = shard.remove_named(Named::new(key, self.seed));
            removed.extend(record.filter(|record| record.is_alive(now)).map(|_| &**key));
        }
        self.account(before, shard.weight);
        self.unlock(shard);
        removed
    }

    /// How many bytes of what is under `key` are in its slot.
    #[cfg(test)]
    pub(super) fn in_slot(&self, key: &str) -> Option<usize> {
        let named = Named::new(key, self.seed);
        let shard = self.lock(self.shard_of(named));
        shard.records().iter().find(|record| &*record.key == key).map(Record::length)
    }

    fn shard_of(&self, named: Named<'_>) -> usize {
        // The table uses the other end of the hash.
        usize::try_from((named.hash >> 32) % self.shards.len() as u64).unwrap_or(0)
    }

    fn lock(&self, at: usize) -> MutexGuard<'_, Shard> {
        // A panic while it was locked leaves a consistent shard, at worst with one empty slot.
        crate::ground::sync::lock(&self.shards[at])
    }

    /// The shard of a key, with so many of the bytes under it at least, or all; and whether they were put there for that, so that room is
    /// to be made.
    fn lock_with(&self, named: Named<'_>, wanted: usize) -> (usize, MutexGuard<'_, Shard>, bool) {
        let at = self.shard_of(named);
        let mut shard = self.lock(at);
        let mut was_completed = false;
        while let Some(cut) = shard.cut(named, wanted) {
            // Encoding runs code of the user's: under no lock.
            drop(shard);
            let whole = cut.rebuilt().map(Bytes::from);
            shard = self.lock(at);
            let before = shard.weight;
            shard.complete(named, cut, whole);
            self.account(before, shard.weight);
            was_completed = true;
        }
        (at, shard, was_completed)
    }

    fn is_over(&self) -> bool {
        self.weight() > self.capacity
    }

    fn account(&self, before: usize, after: usize) {
        if after >= before {
            self.weight.fetch_add(after - before, Ordering::Relaxed);
        } else {
            self.weight.fetch_sub(before - after, Ordering::Relaxed);
        }
    }

    /// Makes room in a shard, as long as it is needed and so many times at most, but not of the `spared` key; tells whether there was
    /// any to make.
    fn pop(&self, shard: &mut Shard, spared: &str) -> bool {
        let mut popped = 0;
        while popped < POPS && self.is_over() {
            let before = shard.weight;
            if !shard.pop(spared) {
                break;
            }
            self.account(before, shard.weight);
            popped += 1;
        }
        popped > 0
    }

    /// Ends an operation that may have made a key heavier. What that needs comes from all shards alike, beginning with its own.
    fn make_room(&self, at: usize, mut shard: MutexGuard<'_, Shard>, now: Timestamp, key: &str) {
        let mut popped = self.pop(&mut shard, key);
        self.tidy(at, shard, now);
        let mut round = 1..self.shards.len();
        while self.is_over() {
            match round.next() {
                Some(step) => {
                    let mut shard = self.lock((at + step) % self.shards.len());
                    popped |= self.pop(&mut shard, key);
                    self.unlock(shard);
                }
                None if std::mem::take(&mut popped) => round = 0..self.shards.len(),
                None => return,
            }
        }
    }

    /// Ends an operation on a shard: removes a few keys that are due, there and now and then elsewhere.
    fn tidy(&self, at: usize, mut shard: MutexGuard<'_, Shard>, now: Timestamp) {
        self.sweep(&mut shard, now, SWEEP);
        shard.operations = shard.operations.wrapping_add(1);
        let operations = shard.operations;
        self.unlock(shard);
        if operations.is_multiple_of(VISIT) {
            let visited = (operations / VISIT) % self.shards.len();
            if visited != at {
                match self.shards[visited].try_lock() {
                    Ok(mut shard) => {
                        self.sweep(&mut shard, now, SWEEP_VISITED);
                        self.unlock(shard);
                    }
                    Err(TryLockError::Poisoned(shard)) => {
                        let mut shard = shard.into_inner();
                        self.sweep(&mut shard, now, SWEEP_VISITED);
                        self.unlock(shard);
                    }
                    // In use, so swept by its user.
                    Err(TryLockError::WouldBlock) => {}
                }
            }
        }
    }

    /// Unlocks a shard, then lets go of values that it had: that runs code of the user's.
    fn unlock(&self, mut shard: MutexGuard<'_, Shard>) {
        let gone = std::mem::take(&mut shard.gone);
        drop(shard);
        for decoded in gone.iter().filter(|decoded| decoded.has_ended()) {
            self.decoded.remove(decoded);
        }
    }

    fn sweep(&self, shard: &mut Shard, now: Timestamp, most: usize) {
        let before = shard.weight;
        for _ in 0..most {
            if !shard.remove_due(now) {
                break;
            }
        }
        self.account(before, shard.weight);
    }
}

impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Space")
            .field("shards", &self.shards.len())
            .field("capacity", &self.capacity)
            .field("weight", &self.weight())
            .finish_non_exhaustive()
    }
}

/// Whether what hangs on a slot may stay: its bytes are what they were, for at least as long.
fn is_still(was: &Slot, is: &Slot) -> bool {
    is.expires >= was.expires && is_unchanged(&was.bytes, &is.bytes)
}

/// Whether two references, both held here, are to the same bytes; short ones are compared.
fn is_unchanged(was: &Bytes, is: &Bytes) -> bool {
    was.len() == is.len() && (was.as_ptr() == is.as_ptr() || was.len() <= size_of::<u64>() && was == is)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::store::memory::record::{OVERHEAD, Record};

    const SECOND: Duration = Duration::from_secs(1);
    const HOUR: Duration = Duration::from_secs(60 * 60);

    fn space(capacity: usize) -> (Space, Clock) {
        let clock = Clock::manual();
        (Space::new(capacity, clock.clone()), clock)
    }

    fn put(space: &Space, key: &str, len: usize, life: Duration) {
        let bytes = Bytes::from(vec![1; len]);
        space.update(key, |slot, now| *slot = Some(Slot::new(bytes, now.plus(life))));
    }

    /// Removes what begins with `prefix`, and tells how many went.
    fn remove_prefix(space: &Space, prefix: &str) -> usize {
        let parts = 0..space.shards();
        parts.map(|part| space.remove_all(part, &space.keys(part, prefix)).len()).sum()
    }

    fn has(space: &Space, key: &str) -> bool {
        space.get(key).is_some()
    }

    /// Asserts that weight and expiry index say what is there.
    fn assert_consistent(space: &Space) {
        let mut weight = 0;
        for at in 0..space.shards.len() {
            let shard = space.lock(at);
            let own: usize = shard.records().iter().map(Record::weight).sum();
            assert_eq!(own, shard.weight);
            assert_eq!(shard.due(), shard.len());
            weight += own;
        }
        assert_eq!(weight, space.weight());
        assert!(weight <= space.capacity, "{weight} exceeds {}", space.capacity);
    }

    #[test]
    fn the_weight_never_exceeds_the_capacity() {
        let (space, clock) = space(40_000);
        for round in 0..3_000_usize {
            let key = format!("key {}", round * 7 % 301);
            match round % 11 {
                0 => space.update(&key, |slot, _| *slot = None),
                1 => clock.advance(SECOND),
                _ => put(&space, &key, round * 31 % 3_000, SECOND * u32::try_from(round % 90).unwrap()),
            }
            assert!(space.weight() <= 40_000);
        }
        assert!(space.weight() > 20_000, "what fits is kept");
        assert_consistent(&space);
        remove_prefix(&space, "key 1");
        assert_consistent(&space);
        remove_prefix(&space, "");
        clock.advance(HOUR);
        for _ in 0..space.len() {
            has(&space, "nothing");
        }
        assert_eq!((space.len(), space.weight()), (0, 0), "what had expired is swept");
    }

    #[test]
    fn threads_together_stay_within_the_capacity() {
        let (space, _) = space(4 * SHARD_CAPACITY);
        std::thread::scope(|scope| {
            for thread in 0..4_usize {
                let space = &space;
                scope.spawn(move || {
                    for round in 0..400 {
                        put(space, &format!("{thread}:{round}"), 100_000, HOUR);
                        // Each thread may be in the middle of one insertion.
                        assert!(space.weight() <= space.capacity + 4 * 101_000);
                        has(space, &format!("{}:{round}", (thread + 1) % 4));
                    }
                });
            }
        });
        assert!(space.weight() > 3 * SHARD_CAPACITY);
        assert_consistent(&space);
    }

    #[test]
    fn what_is_used_stays_and_what_is_not_goes() {
        let (space, _) = space(100 * (OVERHEAD + 110));
        put(&space, "hot", 100, HOUR);
        put(&space, "cold", 100, HOUR);
        for number in 0..1_000 {
            put(&space, &format!("{number}"), 100, HOUR);
            assert!(has(&space, "hot"));
        }
        assert!(!has(&space, "cold"));
        assert!(has(&space, "999") && has(&space, "950") && !has(&space, "500"));
    }

    #[test]
    fn what_exceeds_the_capacity_alone_is_not_kept_and_pushes_nothing_out() {
        let (space, _) = space(10_000);
        put(&space, "small", 100, HOUR);
        put(&space, "grows", 100, HOUR);
        put(&space, "grows", 20_000, HOUR);
        assert!(has(&space, "small"));
        assert!(!has(&space, "grows"), "nor is what it replaced");
        put(&space, "grows", 9_000, HOUR);
        assert!(has(&space, "grows"));
        assert_consistent(&space);
    }

    #[test]
    fn a_large_entry_takes_room_from_other_shards() {
        let (space, _) = space(4 * SHARD_CAPACITY);
        for number in 0..400 {
            put(&space, &number.to_string(), SHARD_CAPACITY / 90, HOUR);
        }
        put(&space, "large", 3 * SHARD_CAPACITY, HOUR);
        assert!(has(&space, "large"));
        assert!(space.len() > 20, "no more than needed");
        assert_consistent(&space);
    }

    #[test]
    fn every_shard_gives_its_part_of_the_room_that_a_large_entry_needs() {
        let (space, _) = space(4 * SHARD_CAPACITY);
        for number in 0..4_000 {
            put(&space, &number.to_string(), SHARD_CAPACITY / 1_000, HOUR);
        }
        let each = || (0..4).map(|at| space.lock(at).len()).collect::<Vec<_>>();
        let before = each();
        put(&space, "large", SHARD_CAPACITY, HOUR);
        let after = each();
        assert!(before.iter().zip(&after).all(|(before, after)| after * 2 > *before), "{before:?} {after:?}");
        assert_consistent(&space);
    }

    #[test]
    fn a_shard_that_lost_most_of_its_keys_gives_memory_back() {
        let (space, _) = space(1 << 20);
        for number in 0..2_000 {
            put(&space, &number.to_string(), 10, HOUR);
        }
        for number in 0..1_990 {
            space.remove(&number.to_string());
        }
        assert!(space.lock(0).room() < 200, "{}", space.lock(0).room());
        assert!((1_990..2_000).all(|number| has(&space, &number.to_string())));
        assert_consistent(&space);
    }

    #[test]
    fn a_small_store_uses_one_shard_and_a_large_one_several() {
        assert_eq!(space(0).0.shards.len(), 1);
        assert_eq!(space(2 * SHARD_CAPACITY).0.shards.len(), 2);
        assert_eq!(space(usize::MAX).0.shards.len(), MAX_SHARDS);
    }

    #[test]
    fn a_store_without_capacity_keeps_nothing() {
        let (space, _) = space(0);
        put(&space, "k", 0, HOUR);
        assert_eq!((space.len(), has(&space, "k")), (0, false));
    }

    #[test]
    fn an_expired_key_is_missing_to_changes_too() {
        let (space, clock) = space(1 << 20);
        put(&space, "k", 10, SECOND);
        clock.advance(SECOND);
        space.update("k", |slot, _| assert!(slot.is_none()));
        assert_eq!(space.len(), 0);
    }

    #[test]
    fn expired_keys_are_swept_by_traffic_on_others() {
        let (space, clock) = space(1 << 20);
        for number in 0..1_000 {
            put(&space, &number.to_string(), 10, SECOND);
        }
        put(&space, "stays", 10, HOUR);
        assert_eq!(space.len(), 1_001);
        clock.advance(SECOND);
        assert!(!has(&space, "7"), "at once for readers");
        for _ in 0..1_000 / SWEEP {
            has(&space, "stays");
        }
        assert_eq!(space.len(), 1);
        assert_consistent(&space);
    }

    #[test]
    fn idle_shards_are_swept_by_traffic_on_one_key() {
        let (space, clock) = space(MAX_SHARDS * SHARD_CAPACITY);
        for number in 0..1_000 {
            put(&space, &number.to_string(), 10, SECOND);
        }
        put(&space, "hot", 10, HOUR);
        clock.advance(SECOND);
        for _ in 0..3 * MAX_SHARDS * VISIT {
            has(&space, "hot");
        }
        assert_eq!(space.len(), 1);
        assert_consistent(&space);
    }

    #[test]
    fn replacing_a_key_leaves_one_trace_of_it() {
        let (space, _) = space(1 << 20);
        for number in 1..1_000 {
            put(&space, "k", 10, SECOND * number);
        }
        assert_eq!(space.len(), 1);
        assert_consistent(&space);
    }

    #[test]
    fn a_prefix_removes_its_keys_from_every_shard() {
        let (space, clock) = space(MAX_SHARDS * SHARD_CAPACITY);
        for number in 0..200 {
            put(&space, &format!("a:{number}"), 10, HOUR);
            put(&space, &format!("b:{number}"), 10, HOUR);
        }
        put(&space, "a:dead", 10, SECOND);
        clock.advance(SECOND);
        assert_eq!(remove_prefix(&space, "a:"), 200, "an expired one is no longer there");
        assert!(!has(&space, "a:7") && !has(&space, "a:dead") && has(&space, "b:7"));
        assert_eq!(remove_prefix(&space, "b:"), 200);
        assert_consistent(&space);
    }
}
