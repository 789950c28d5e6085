//! The table by name, in parts: what evicts by name or prefix find, and what goes when room is needed.

use std::sync::Arc;

use hashbrown::HashTable;

use crate::ground::clock::Timestamp;
use crate::ground::sync::modelled::{Mutex, lock};
use crate::observe::local::Cause;
use crate::store::local::fetching::Fetching;
use crate::store::local::kept::AnyKept;
use crate::store::local::name::Name;

/// How much capacity a shard must have.
const SHARD_CAPACITY: usize = 1 << 20;
const MAX_SHARDS: usize = 64;
/// By which part of itself the ring grows.
const GROWTH: usize = 8;
/// How many values in use are passed over where one must go.
const SPARED: usize = 32;

/// All parts.
#[derive(Debug)]
pub(super) struct Shards(Box<[Arc<Shard>]>);

impl Shards {
    pub(super) fn new(capacity: usize) -> Self {
        let shards = (capacity / SHARD_CAPACITY).clamp(1, MAX_SHARDS);
        Self((0..shards).map(|_| Arc::default()).collect())
    }

    fn at(&self, name: Name) -> usize {
        usize::try_from(name.high % self.0.len() as u64).unwrap_or(0)
    }

    pub(super) fn of(&self, name: Name) -> &Arc<Shard> {
        &self.0[self.at(name)]
    }

    /// The others, from the next on.
    pub(super) fn after(&self, name: Name) -> impl Iterator<Item = &Arc<Shard>> {
        let own = self.at(name);
        self.0[own + 1..].iter().chain(&self.0[..own])
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Arc<Shard>> {
        self.0.iter()
    }

    pub(super) fn len(&self) -> usize {
        self.iter().map(|shard| lock(&shard.0).ring.len()).sum()
    }
}

/// One part. No code of a user's runs under its lock.
#[derive(Debug, Default)]
pub(super) struct Shard(Mutex<Values>);

#[derive(Debug, Default)]
struct Values {
    ring: Vec<Arc<AnyKept>>,
    /// Where in the ring the values of a name are.
    names: HashTable<u32>,
    fetching: Vec<Arc<Fetching>>,
    /// Who is asked next whether it may go.
    hand: usize,
    /// Who is asked next whether it is of use still.
    sweep: usize,
}

/// What says why a value may go; `None`: it may stay.
type Judge<'a> = &'a dyn Fn(&AnyKept) -> Option<Cause>;
/// Values that have left, each with why.
type Gone = Vec<(Arc<AnyKept>, Cause)>;

/// Half of a hash is one.
const fn hash(name: Name) -> u64 {
    name.low
}

impl Shard {
    /// Takes note of a value that is being fetched. What is put outdates what others fetch under its name; what is loaded
    /// meanwhile may be what the put changes, so neither of the two is kept in the end (G4).
    pub(super) fn begin(&self, fetching: &Arc<Fetching>) {
        let mut values = lock(&self.0);
        let others = values.fetching.iter().filter(|other| other.name == fetching.name);
        others.filter(|other| fetching.is_put || other.is_put).for_each(|other| other.refuse());
        values.fetching.push(Arc::clone(fetching));
    }

    pub(super) fn ends(&self, fetching: &Arc<Fetching>) {
        let mut values = lock(&self.0);
        if let Some(at) = values.fetching.iter().position(|other| Arc::ptr_eq(other, fetching)) {
            values.fetching.swap_remove(at);
        }
    }

    /// The value of this name for which `same` holds.
    pub(super) fn find(&self, name: Name, same: impl Fn(&AnyKept) -> bool) -> Option<Arc<AnyKept>> {
        let values = lock(&self.0);
        values.of(name).map(|at| &values.ring[at]).find(|kept| same(kept)).cloned()
    }

    /// Takes a value in, and what it replaces out, with another that may go; `None` where it is not sound.
    pub(super) fn keep(
        &self,
        is_sound: impl Fn() -> bool,
        kept: &Arc<AnyKept>,
        judge: Judge<'_>,
    ) -> Option<Gone> {
        let mut values = lock(&self.0);
        // G1: an evict after this finds the value.
        if !is_sound() {
            return None;
        }
        let values = &mut *values;
        let old = values.of(kept.name).filter(|at| values.ring[*at].owner() == kept.owner()).collect();
        let because = |old: &AnyKept| judge(old).filter(|why| *why != Cause::Room).unwrap_or(Cause::Replaced);
        let mut gone: Gone = values
            .remove(old)
            .into_iter()
            .map(|old| {
                let why = because(&old);
                (old, why)
            })
            .collect();
        gone.extend(values.swept(judge));
        let Ok(at) = u32::try_from(values.ring.len()) else { return None };
        let Values { ring, names, .. } = values;
        if ring.len() == ring.capacity() {
            ring.reserve_exact((ring.len() / GROWTH).max(GROWTH));
        }
        ring.push(Arc::clone(kept));
        names.insert_unique(hash(kept.name), at, |at| {
            ring.get(*at as usize).map_or(0, |kept| hash(kept.name))
        });
        Some(gone)
    }

    /// Takes the values of this name out, and refuses those that are being fetched.
    pub(super) fn evict(&self, name: Name) -> Vec<Arc<AnyKept>> {
        let mut values = lock(&self.0);
        values
            .fetching
            .iter()
            .filter(|fetching| fetching.name == name)
            .for_each(|fetching| fetching.refuse());
        let found = values.of(name).collect();
        values.remove(found)
    }

    /// Has the values of this name taken by nobody until they are confirmed, and refuses those that are being fetched.
    pub(super) fn doubt(&self, name: Name) {
        let values = lock(&self.0);
        let fetching = values.fetching.iter().filter(|fetching| fetching.name == name);
        fetching.for_each(|fetching| fetching.refuse());
        values.of(name).for_each(|at| values.ring[at].doubt());
    }

    /// Lets this value be taken until then, unless it has ended or something came since that was to refuse it.
    pub(super) fn confirm(&self, is_sound: impl Fn() -> bool, kept: &AnyKept, until: Timestamp) -> bool {
        let _values = lock(&self.0);
        is_sound() && kept.confirm(until)
    }

    /// Takes all values of a prefix out, or all there are, and refuses those that are being fetched.
    pub(super) fn evict_prefix(&self, prefix: Option<u32>) -> Vec<Arc<AnyKept>> {
        let mut values = lock(&self.0);
        let is_meant = |of: u32| prefix.is_none_or(|prefix| prefix == of);
        for fetching in values.fetching.iter().filter(|fetching| is_meant(fetching.prefix)) {
            fetching.refuse();
        }
        let found = (0..values.ring.len()).filter(|at| is_meant(values.ring[*at].prefix)).collect();
        values.remove(found)
    }

    /// Takes out the first value that may go, or that was asked in vain for long, but not one of the `spared` name.
    pub(super) fn victim(&self, spared: Option<Name>, judge: Judge<'_>) -> Option<(Arc<AnyKept>, Cause)> {
        let mut values = lock(&self.0);
        let mut passed = 0;
        for _ in 0..values.ring.len().saturating_add(SPARED) {
            let at = values.next()?;
            let kept = &values.ring[at];
            if Some(kept.name) == spared {
                continue;
            }
            let why = judge(kept);
            if why.is_some() || passed >= SPARED {
                return Some((values.take(at), why.unwrap_or(Cause::Room)));
            }
            passed += 1;
        }
        None
    }
}

impl Values {
    /// Where the values of this name are.
    fn of(&self, name: Name) -> impl Iterator<Item = usize> {
        let places = self.names.iter_hash(hash(name)).map(|at| *at as usize);
        places.filter(move |at| self.ring.get(*at).is_some_and(|kept| kept.name == name))
    }

    /// Moves the hand on.
    fn next(&mut self) -> Option<usize> {
        let at = if self.hand < self.ring.len() { self.hand } else { 0 };
        self.hand = at + 1;
        (!self.ring.is_empty()).then_some(at)
    }

    /// A value among the next few that is of no use any more.
    fn swept(&mut self, judge: Judge<'_>) -> Option<(Arc<AnyKept>, Cause)> {
        let at = if self.sweep < self.ring.len() { self.sweep } else { 0 };
        self.sweep = at + 1;
        let useless = |why: &Cause| matches!(why, Cause::Expired | Cause::Evicted);
        let kept = self.ring.get(at)?;
        // What is doubtful may be confirmed, unless the room is needed.
        let why = judge(kept).filter(useless).filter(|why| *why == Cause::Expired || !kept.is_doubtful())?;
        Some((self.take(at), why))
    }

    fn remove(&mut self, mut places: Vec<usize>) -> Vec<Arc<AnyKept>> {
        // From behind, because the last one moves into the place of one that goes.
        places.sort_unstable_by(|one, other| other.cmp(one));
        places.into_iter().map(|at| self.take(at)).collect()
    }

    /// Takes a value out, which ends with that.
    fn take(&mut self, at: usize) -> Arc<AnyKept> {
        let kept = self.ring.swap_remove(at);
        // G1: under the lock. An evict that comes now does not find it, and leaves nothing that a look by arguments could take.
        kept.end();
        if let Ok(place) = self.names.find_entry(hash(kept.name), |place| *place as usize == at) {
            place.remove();
        }
        let was = self.ring.len();
        if let Some(moved) = self.ring.get(at)
            && let Some(place) = self.names.find_mut(hash(moved.name), |place| *place as usize == was)
        {
            *place = u32::try_from(at).unwrap_or(u32::MAX);
        }
        kept
    }
}
