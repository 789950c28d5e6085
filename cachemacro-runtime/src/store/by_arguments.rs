//! Values by the arguments of calls: what is hashed, what is compared, and the table. A look takes no lock.
//!
//! What leaves the table may be found for as long as whoever looks is at it, and is dropped later, by whoever comes to it. So what may
//! not be found any more [has ended](Ends::has_ended) before.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use foldhash::fast::RandomState;
use papaya::{Equivalent, Guard as _, HashMap, LocalGuard};

use crate::ground::panics::caught;
use crate::store::arguments::Arguments;

/// How much memory of values that left the table, in bytes, is left to be given back with that of others.
const MOST_LEFT: usize = 4 << 10;

/// What is found by arguments.
pub(crate) trait Ends: Send + Sync {
    /// Whether it may never be taken again.
    fn has_ended(&self) -> bool;

    /// The hash of the arguments that it is found by; zero where there are none.
    fn place(&self) -> u64;

    /// In bytes.
    fn weight(&self) -> usize;
}

/// The table.
pub(crate) struct ByArguments<V: ?Sized> {
    map: HashMap<Place, Arc<V>, Hashed>,
    /// Random, so that nobody can choose arguments that all fall into one place.
    hasher: RandomState,
    /// What values that left the table weigh, since somebody last had memory given back.
    left: AtomicUsize,
}

impl<V: ?Sized + Ends> ByArguments<V> {
    pub(crate) fn new() -> Self {
        Self { map: HashMap::with_hasher(Hashed), hasher: RandomState::default(), left: AtomicUsize::new(0) }
    }

    /// What arguments are hashed with.
    #[inline]
    pub(crate) const fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    /// What `look` makes of the value that the query finds. It runs under no lock.
    #[inline]
    pub(crate) fn find<R>(
        &self,
        query: &Query<impl Fn(&[u8]) -> bool>,
        look: impl FnOnce(&V) -> R,
    ) -> Option<R> {
        self.map.pin().get(query).map(|value| look(value))
    }

    /// Has a value found by these arguments, in place of what was before, unless it has ended.
    pub(crate) fn put(&self, placed: &Placed, value: &Arc<V>) {
        if value.has_ended() {
            return;
        }
        let guard = self.map.guard();
        let replaced = self.map.insert(Place::new(placed), Arc::clone(value), &guard);
        self.give_back(replaced.map_or(0, |replaced| replaced.weight()), &guard);
        drop(guard);
        // Whoever ended it meanwhile did not find it there, or this sees that it has ended: of the two fences one comes first.
        fence(Ordering::SeqCst);
        if value.has_ended() {
            self.remove(value);
        }
    }

    /// Takes a value out that has ended.
    pub(crate) fn remove(&self, value: &Arc<V>) {
        let hash = value.place();
        if hash != 0 {
            // After it has ended, as in `put`.
            fence(Ordering::SeqCst);
            let guard = self.map.guard();
            // Two arguments of one hash are next to impossible: then this one stays, ended, until its place is taken.
            let removed = self.map.remove_if(&Hash64(hash), |_, other| Arc::ptr_eq(other, value), &guard);
            self.give_back(removed.ok().flatten().map_or(0, |_| value.weight()), &guard);
        }
    }

    /// Has memory given back of values that left the table, once they weigh enough: it is kept in batches for each thread.
    fn give_back(&self, weight: usize, guard: &LocalGuard<'_>) {
        let left = self.left.load(Ordering::Relaxed);
        if weight > 0 || left >= MOST_LEFT {
            let is_due = left + weight >= MOST_LEFT;
            // Where many are at the table nothing may be given back yet: after a large value the next to come tries again.
            let left =
                if is_due && weight < MOST_LEFT { 0 } else { left.saturating_add(weight).min(MOST_LEFT) };
            self.left.store(left, Ordering::Relaxed);
            if is_due {
                guard.flush();
            }
        }
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }
}

/// A value whose drop is the user's, and may panic: it is dropped wherever the table gets to it, also in a call that has
/// nothing to do with it.
pub(crate) struct Guarded<V>(Option<V>);

impl<V> Guarded<V> {
    pub(crate) const fn new(value: V) -> Self {
        Self(Some(value))
    }

    /// A value, or that there is none.
    pub(crate) const fn of(value: Option<V>) -> Self {
        Self(value)
    }

    #[inline]
    pub(crate) const fn get(&self) -> Option<&V> {
        self.0.as_ref()
    }
}

impl<V> Drop for Guarded<V> {
    fn drop(&mut self) {
        let value = self.0.take();
        // G9.
        caught(|| drop(value));
    }
}

/// A hash that is not zero.
#[inline]
pub(crate) const fn some_hash(hash: u64) -> u64 {
    if hash == 0 { 1 } else { hash }
}

/// Arguments to look for: their hash, and whether written ones are the same.
#[derive(Clone, Copy)]
pub(crate) struct Query<F> {
    hash: u64,
    is: F,
}

impl<F: Fn(&[u8]) -> bool> Query<F> {
    #[inline]
    pub(crate) const fn new(hash: u64, is: F) -> Self {
        Self { hash, is }
    }
}

impl<F> fmt::Debug for Query<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl<F> Hash for Query<F> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<F: Fn(&[u8]) -> bool> Equivalent<Place> for Query<F> {
    #[inline]
    fn equivalent(&self, place: &Place) -> bool {
        (self.is)(place.bytes())
    }
}

/// Arguments to keep a value under. A hash is never zero.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) hash: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Arguments that a value is kept under.
struct Place {
    hash: u64,
    arguments: Arguments,
}

impl Place {
    fn new(Placed { hash, bytes }: &Placed) -> Self {
        Self { hash: *hash, arguments: Arguments::new(bytes) }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        self.arguments.bytes()
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.bytes() == other.bytes()
    }
}

impl Eq for Place {}

/// Whichever arguments have this hash.
struct Hash64(u64);

impl Hash for Hash64 {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Equivalent<Place> for Hash64 {
    fn equivalent(&self, place: &Place) -> bool {
        self.0 == place.hash
    }
}

/// Takes hashes as they are.
#[derive(Debug, Clone, Copy, Default)]
struct Hashed;

impl BuildHasher for Hashed {
    type Hasher = AsItIs;

    #[inline]
    fn build_hasher(&self) -> AsItIs {
        AsItIs(0)
    }
}

#[derive(Debug)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    const VALUES: u64 = 100;

    /// Counts how many there are.
    struct Counted {
        place: u64,
        weight: usize,
        live: Arc<AtomicUsize>,
    }

    impl Ends for Counted {
        fn has_ended(&self) -> bool {
            false
        }

        fn place(&self) -> u64 {
            self.place
        }

        fn weight(&self) -> usize {
            self.weight
        }
    }

    impl Drop for Counted {
        fn drop(&mut self) {
            self.live.fetch_sub(1, Ordering::SeqCst);
        }
    }

    /// What was replaced or removed would stay in memory by a batch, for each thread.
    #[test]
    fn what_left_the_table_does_not_stay_in_memory() {
        for (weight, most) in [(8 << 10, 1), (1 << 10, 4)] {
            let (table, live) = (ByArguments::new(), Arc::new(AtomicUsize::new(0)));
            let counted = || live.load(Ordering::SeqCst);
            let put = |place| {
                live.fetch_add(1, Ordering::SeqCst);
                let value = Arc::new(Counted { place, weight, live: live.clone() });
                table.put(&Placed { hash: place, bytes: place.to_le_bytes().to_vec() }, &value);
                value
            };
            let mut values = Vec::new();
            for round in 1..4 {
                for place in 1..=VALUES {
                    drop(put(place));
                    assert!(round == 1 || counted() <= 100 + most, "{} of {weight}", counted());
                }
            }
            for place in 1..=VALUES {
                values.push(put(place));
            }
            for (at, value) in values.into_iter().enumerate() {
                table.remove(&value);
                drop(value);
                assert!(counted() <= 100 - 1 - at + most, "{} of {weight}", counted());
            }
        }
    }
}
