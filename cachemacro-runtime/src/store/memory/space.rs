//! Keys to bytes, bounded in size, with expiry. Knows nothing of entries, leases or versions.
//!
//! Keys are spread over shards, each behind a lock that is held for one operation on one key. Together the
//! shards stay within one capacity. An expired key is never seen again, and does not stay for long while the
//! store is in use: every operation removes a few that are due, from its own shard and now and then from
//! another.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, TryLockError};

use bytes::Bytes;
use lru::LruCache;
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::ground::clock::{Clock, Timestamp};
use crate::store::decoded::{AnyDecoded, DecodedTable, Unchanged};
use crate::store::protocol::Slot;

/// What a key costs besides its text and bytes: list and map nodes, expiry index, reference counts.
pub(super) const OVERHEAD: usize = 200;
/// How much capacity a shard must have: several times the largest value that is stored by default.
const SHARD_CAPACITY: usize = 4 << 20;
const MAX_SHARDS: usize = 16;
/// How many due keys one operation removes from its shard: more than it can add.
const SWEEP: usize = 4;
/// After so many operations on a shard another is swept as well, which may have no traffic of its own.
const VISIT: usize = 32;
/// How many due keys that removes.
const SWEEP_VISITED: usize = 64;
/// How many decoded values one key may have: arguments that are written in several ways.
const MOST_DECODED: usize = 4;
/// How many keys whose decoded values are in use are passed over where one must go.
const SPARED: usize = 16;

/// The keys and what is under them.
pub(super) struct Space {
    shards: Box<[Mutex<Shard>]>,
    capacity: usize,
    weight: AtomicUsize,
    clock: Clock,
    /// What was decoded from the bytes here.
    decoded: Arc<DecodedTable>,
    /// Random, so that nobody can choose keys that all fall into one shard.
    seed: u64,
}

struct Shard {
    /// Least recently used first to go.
    slots: LruCache<Arc<str>, Record>,
    /// The same keys by expiry.
    due: BTreeSet<(Timestamp, Arc<str>)>,
    weight: usize,
    operations: usize,
    decoded: Arc<DecodedTable>,
    /// What is to be dropped once the lock is.
    gone: Vec<Arc<AnyDecoded>>,
}

/// What is under a key.
struct Record {
    slot: Slot,
    /// What hangs on the bytes being what they are.
    held: Option<Box<Held>>,
}

/// What must go when the bytes change.
#[derive(Default)]
struct Held {
    decoded: Vec<Arc<AnyDecoded>>,
    /// Of a version: told by it, values that carry its stamp are out of date.
    unchanged: Option<Arc<Unchanged>>,
}

impl Held {
    /// Whether a decoded value that hangs on the bytes was taken since this was last asked.
    fn was_used(&self) -> bool {
        let version = self.unchanged.as_ref().is_some_and(|unchanged| unchanged.was_used());
        let decoded = self.decoded.iter().filter(|decoded| decoded.was_used()).count();
        version || decoded > 0
    }

    /// What the decoded values weigh, taking each for as large as the bytes.
    fn weight(&self, bytes: usize) -> usize {
        self.decoded.iter().map(|decoded| decoded.overhead() + bytes).sum()
    }
}

impl Space {
    pub(super) fn new(capacity: usize, clock: Clock) -> Self {
        let shards = (capacity / SHARD_CAPACITY).clamp(1, MAX_SHARDS);
        let decoded = Arc::new(DecodedTable::new());
        Self {
            shards: (0..shards).map(|_| Mutex::new(Shard::new(Arc::clone(&decoded)))).collect(),
            capacity,
            weight: AtomicUsize::new(0),
            clock,
            decoded,
            seed: rand::random(),
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
        (0..self.shards.len()).map(|at| self.lock(at).slots.len()).sum()
    }

    /// What the held keys weigh together.
    pub(super) fn weight(&self) -> usize {
        self.weight.load(Ordering::Relaxed)
    }

    /// What is under `key`, which counts as a use of it.
    pub(super) fn get(&self, key: &str) -> Option<Slot> {
        let at = self.shard_of(key);
        let mut shard = self.lock(at);
        let now = self.clock.now();
        let found =
            shard.slots.get(key).map(|record| &record.slot).filter(|slot| slot.is_alive(now)).cloned();
        self.tidy(at, shard, now);
        found
    }

    /// What was decoded from the bytes here.
    pub(super) fn decoded(&self) -> &DecodedTable {
        &self.decoded
    }

    /// What is under `key`, and what tells that it is so still.
    pub(super) fn watch(&self, key: &str) -> Option<(Slot, Arc<Unchanged>)> {
        let mut shard = self.lock(self.shard_of(key));
        let now = self.clock.now();
        let record = shard.slots.get_mut(key).filter(|record| record.slot.is_alive(now))?;
        let held = record.held.get_or_insert_default();
        let unchanged = held.unchanged.get_or_insert_with(Unchanged::new);
        Some((record.slot.clone(), Arc::clone(unchanged)))
    }

    /// Keeps what was decoded from `bytes`, if they are what is under `key` still.
    pub(super) fn attach(&self, key: &str, bytes: &Bytes, decoded: Arc<AnyDecoded>) {
        let at = self.shard_of(key);
        let mut shard = self.lock(at);
        let now = self.clock.now();
        let before = shard.weight;
        let Some(record) = shard.slots.get_mut(key).filter(|record| record.slot.is_alive(now)) else {
            return;
        };
        // Of one address they are one, as both are held here.
        if !is_unchanged(bytes, &record.slot.bytes) {
            return;
        }
        let was = record.weight();
        let held = record.held.get_or_insert_default();
        let mut gone: Vec<_> = held.decoded.extract_if(.., |other| other.has_key_of(&decoded)).collect();
        if held.decoded.len() >= MOST_DECODED {
            gone.push(held.decoded.remove(0));
        }
        held.decoded.push(Arc::clone(&decoded));
        let is = record.weight();
        shard.weight = shard.weight - was + is;
        self.account(before, shard.weight);
        // Under the lock, so that whoever changes the bytes finds it in the table.
        for gone in &gone {
            self.decoded.remove(gone);
        }
        gone.extend(self.decoded.insert(decoded));
        shard.gone.append(&mut gone);
        self.make_room(at, shard, now);
    }

    /// Lets `change` replace, remove or create what is under `key`, in one atomic step at the time it is told.
    pub(super) fn update<R>(&self, key: &str, change: impl FnOnce(&mut Option<Slot>, Timestamp) -> R) -> R {
        let at = self.shard_of(key);
        let mut shard = self.lock(at);
        let now = self.clock.now();
        let before = shard.weight;
        let mut slot = shard.take(key).filter(|slot| slot.is_alive(now));
        // A second reference to the bytes, so that they are not changed in place.
        let was = shard.is_held(key).then(|| slot.clone());
        let answer = change(&mut slot, now);
        // What exceeds the capacity on its own would first push out everything else.
        match slot.filter(|slot| slot.is_alive(now) && weigh(key, slot) <= self.capacity) {
            Some(slot) => {
                if was.is_some_and(|was| !was.is_some_and(|was| is_still(&was, &slot))) {
                    shard.release(key);
                }
                shard.put(key, slot);
            }
            None => shard.remove(key),
        }
        self.account(before, shard.weight);
        self.make_room(at, shard, now);
        answer
    }

    /// How many parts the keys are in.
    pub(super) fn shards(&self) -> usize {
        self.shards.len()
    }

    /// The keys of one part that begin with `prefix`, or none where there is no such part.
    pub(super) fn keys(&self, part: usize, prefix: &str) -> Vec<Arc<str>> {
        if part >= self.shards() {
            return Vec::new();
        }
        let shard = self.lock(part);
        let now = self.clock.now();
        let alive =
            shard.slots.iter().filter(|(key, record)| key.starts_with(prefix) && record.slot.is_alive(now));
        alive.map(|(key, _)| Arc::clone(key)).collect()
    }

    /// Removes these keys of one part, and tells which of them were there.
    pub(super) fn remove_all<'a>(&self, part: usize, keys: &'a [Arc<str>]) -> Vec<&'a Arc<str>> {
        let mut shard = self.lock(part);
        let (now, before) = (self.clock.now(), shard.weight);
        let mut removed = Vec::with_capacity(keys.len());
        for key in keys {
            let alive = shard.slots.peek(key).is_some_and(|record| record.slot.is_alive(now));
            shard.remove(key);
            removed.extend(alive.then_some(key));
        }
        self.account(before, shard.weight);
        unlock(shard);
        removed
    }

    fn shard_of(&self, key: &str) -> usize {
        let hash = xxh3_64_with_seed(key.as_bytes(), self.seed);
        usize::try_from(hash % self.shards.len() as u64).unwrap_or(0)
    }

    fn lock(&self, at: usize) -> MutexGuard<'_, Shard> {
        // A panic while it was locked leaves a consistent shard, at worst with one empty slot.
        crate::ground::sync::lock(&self.shards[at])
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

    /// Lets go of the shard's least recently used key; false where it has none.
    fn pop(&self, shard: &mut Shard) -> bool {
        let before = shard.weight;
        let popped = shard.pop();
        self.account(before, shard.weight);
        popped
    }

    /// Ends an operation that may have made a shard heavier.
    fn make_room(&self, at: usize, mut shard: MutexGuard<'_, Shard>, now: Timestamp) {
        while self.is_over() && shard.slots.len() > 1 {
            self.pop(&mut shard);
        }
        self.tidy(at, shard, now);
        self.make_room_beside(at);
    }

    /// Takes from the other shards what a large entry needs beyond its own.
    fn make_room_beside(&self, own: usize) {
        for step in 1..self.shards.len() {
            if !self.is_over() {
                return;
            }
            let mut shard = self.lock((own + step) % self.shards.len());
            while self.is_over() && self.pop(&mut shard) {}
            unlock(shard);
        }
    }

    /// Ends an operation on a shard: removes a few keys that are due, there and now and then elsewhere.
    fn tidy(&self, at: usize, mut shard: MutexGuard<'_, Shard>, now: Timestamp) {
        self.sweep(&mut shard, now, SWEEP);
        shard.operations = shard.operations.wrapping_add(1);
        let operations = shard.operations;
        unlock(shard);
        if operations.is_multiple_of(VISIT) {
            let visited = (operations / VISIT) % self.shards.len();
            if visited != at {
                match self.shards[visited].try_lock() {
                    Ok(mut shard) => {
                        self.sweep(&mut shard, now, SWEEP_VISITED);
                        unlock(shard);
                    }
                    Err(TryLockError::Poisoned(shard)) => {
                        let mut shard = shard.into_inner();
                        self.sweep(&mut shard, now, SWEEP_VISITED);
                        unlock(shard);
                    }
                    // In use, so swept by its user.
                    Err(TryLockError::WouldBlock) => {}
                }
            }
        }
    }

    fn sweep(&self, shard: &mut Shard, now: Timestamp, most: usize) {
        let before = shard.weight;
        for _ in 0..most {
            match shard.due.first() {
                Some((expires, key)) if *expires <= now => {
                    let key = Arc::clone(key);
                    shard.remove(&key);
                }
                _ => break,
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

/// Unlocks a shard, then drops what was decoded from bytes that are gone: that runs code of the user's.
fn unlock(mut shard: MutexGuard<'_, Shard>) {
    let gone = std::mem::take(&mut shard.gone);
    drop(shard);
    drop(gone);
}

impl Record {
    /// Bytes and what was decoded from them.
    fn weight(&self) -> usize {
        let bytes = self.slot.bytes.len();
        bytes + self.held.as_ref().map_or(0, |held| held.weight(bytes))
    }
}

impl Shard {
    fn new(decoded: Arc<DecodedTable>) -> Self {
        Self {
            slots: LruCache::unbounded(),
            due: BTreeSet::new(),
            weight: 0,
            operations: 0,
            decoded,
            gone: Vec::new(),
        }
    }

    /// Takes the bytes out, so that they can be changed in place; the key stays, and counts as used.
    fn take(&mut self, key: &str) -> Option<Slot> {
        let record = self.slots.get_mut(key)?;
        let was = record.weight();
        let slot = Slot::new(std::mem::take(&mut record.slot.bytes), record.slot.expires);
        self.weight = self.weight - was + record.weight();
        Some(slot)
    }

    /// Whether something hangs on what is under `key`.
    fn is_held(&self, key: &str) -> bool {
        self.slots.peek(key).is_some_and(|record| record.held.is_some())
    }

    /// Removes what was decoded from the bytes under `key`, and tells who asked that a version fell.
    fn release(&mut self, key: &str) {
        let Some(record) = self.slots.peek_mut(key) else { return };
        let was = record.weight();
        if let Some(held) = record.held.take() {
            self.weight = self.weight - was + record.weight();
            self.end(*held);
        }
    }

    /// G1: in the step that changes the bytes.
    fn end(&mut self, held: Held) {
        if let Some(unchanged) = held.unchanged {
            unchanged.ends();
        }
        for decoded in &held.decoded {
            self.decoded.remove(decoded);
        }
        self.gone.extend(held.decoded);
    }

    fn put(&mut self, key: &str, slot: Slot) {
        if let Some((key, record)) = self.slots.get_key_value_mut(key) {
            let (was, before) = (record.weight(), record.slot.expires);
            if before != slot.expires {
                let mut due = (before, Arc::clone(key));
                self.due.remove(&due);
                due.0 = slot.expires;
                self.due.insert(due);
            }
            record.slot = slot;
            self.weight = self.weight - was + record.weight();
        } else {
            let key: Arc<str> = key.into();
            self.weight += weigh(&key, &slot);
            self.due.insert((slot.expires, Arc::clone(&key)));
            self.slots.put(key, Record { slot, held: None });
        }
    }

    fn remove(&mut self, key: &str) {
        if let Some((key, record)) = self.slots.pop_entry(key) {
            self.forget(key, record);
        }
    }

    /// Lets go of what was used least lately. Uses of decoded values do not move a key to the front: that is made up for
    /// here.
    fn pop(&mut self) -> bool {
        for _ in 0..SPARED {
            let Some((key, record)) = self.slots.peek_lru() else { return false };
            if !record.held.as_ref().is_some_and(|held| held.was_used()) {
                break;
            }
            let key = Arc::clone(key);
            self.slots.promote(&key);
        }
        let popped = self.slots.pop_lru();
        let found = popped.is_some();
        if let Some((key, record)) = popped {
            self.forget(key, record);
        }
        found
    }

    fn forget(&mut self, key: Arc<str>, record: Record) {
        self.weight -= key.len() + OVERHEAD + record.weight();
        self.due.remove(&(record.slot.expires, key));
        if let Some(held) = record.held {
            self.end(*held);
        }
    }
}

fn weigh(key: &str, slot: &Slot) -> usize {
    key.len() + slot.bytes.len() + OVERHEAD
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

    use bytes::Bytes;

    use super::*;

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
            let own: usize =
                shard.slots.iter().map(|(key, record)| key.len() + OVERHEAD + record.weight()).sum();
            assert_eq!(own, shard.weight);
            assert_eq!(shard.due.len(), shard.slots.len());
            for (key, Record { slot, .. }) in &shard.slots {
                assert!(shard.due.contains(&(slot.expires, Arc::clone(key))), "{key} is not due");
            }
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
