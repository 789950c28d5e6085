//! The table, with what is looked up, kept and evicted in it.

use std::any::Any;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use foldhash::fast::RandomState;
use papaya::{Guard as _, HashMap};

use crate::ground::clock::{COARSENESS, Clock, Timestamp};
use crate::observe::local::{Cause, LocalStats};
use crate::store::local::kept::{AnyKept, Times};
use crate::store::local::marks::Marks;
use crate::store::local::name::Name;
use crate::store::local::pending::Pending;
use crate::store::local::query::{Hashed, Place, Placed, Query, Same};
use crate::store::local::shard::Shards;

/// What a value weighs besides itself and its key, in bytes: its places in the tables, reference counts, what an allocator adds.
const OVERHEAD: usize = 160;

/// Memory of a value above this weight is not left to be given back with that of others.
const HEAVY: usize = 64 << 10;

/// The table.
pub(crate) struct LocalTable {
    /// By arguments.
    map: HashMap<Place, (), Hashed>,
    /// By name.
    shards: Shards,
    marks: Marks,
    capacity: usize,
    weight: AtomicUsize,
    clock: Clock,
    /// Raised whenever a mark has ended.
    epoch: AtomicU64,
    ended: [AtomicU64; Cause::ALL.len()],
    hasher: RandomState,
}

impl fmt::Debug for LocalTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalTable")
            .field("capacity", &self.capacity)
            .field("weight", &self.weight.load(Ordering::Relaxed))
            .finish_non_exhaustive()
    }
}

/// What a look found.
#[derive(Debug)]
pub(crate) enum Look<R> {
    /// What was made of the value.
    Found(R),
    /// Nothing, or nothing of this type.
    Absent,
    /// A value past its time.
    Expired,
    /// A value one of whose tags was evicted.
    TagEvicted,
}

impl LocalTable {
    /// A table that holds so many bytes.
    pub(crate) fn new(capacity: usize, clock: Clock) -> Self {
        Self {
            map: HashMap::with_hasher(Hashed),
            shards: Shards::new(capacity),
            marks: Marks::default(),
            capacity,
            weight: AtomicUsize::new(0),
            clock,
            epoch: AtomicU64::new(0),
            ended: std::array::from_fn(|_| AtomicU64::new(0)),
            hasher: RandomState::default(),
        }
    }

    /// What arguments are hashed with. Random, so that nobody can choose arguments that all fall into one place.
    #[inline]
    pub(crate) const fn hasher(&self) -> &RandomState {
        &self.hasher
    }

    /// The hash of what is looked up as a whole. Never zero.
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        self.hasher.hash_one(bytes) | 1
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What `make` makes of the value that the query finds, if it is of this type and still valid. `make` runs under no lock.
    #[inline]
    pub(crate) fn get<V: Any, R>(
        &self,
        query: Query<impl Fn(&[u8]) -> bool>,
        make: impl FnOnce(&V, &Times) -> Option<R>,
    ) -> Look<R> {
        let guard = self.map.guard();
        match self.map.get_key_value(&query, &guard) {
            Some((place, ())) => self.look(place.kept(), make),
            None => Look::Absent,
        }
    }

    #[inline]
    fn look<V: Any, R>(&self, kept: &AnyKept, make: impl FnOnce(&V, &Times) -> Option<R>) -> Look<R> {
        if kept.has_ended() {
            return Look::Absent;
        }
        if self.clock.coarse().plus(COARSENESS) >= kept.times.until && self.clock.now() >= kept.times.until {
            return Look::Expired;
        }
        if !kept.marks_hold(&self.epoch) {
            return Look::TagEvicted;
        }
        kept.use_it();
        match kept.value::<V>().and_then(|value| make(value, &kept.times)) {
            Some(made) => Look::Found(made),
            None => Look::Absent,
        }
    }

    /// The same by name, for arguments that were written in another way. What is found is kept under these arguments from now on,
    /// if it had none.
    pub(crate) fn get_named<V: Any, R>(
        &self,
        name: Name,
        same: impl Fn(&AnyKept) -> bool,
        placed: Option<Placed>,
        make: impl FnOnce(&V, &Times) -> Option<R>,
    ) -> Look<R> {
        let found = self.shards.of(name).find(name, |kept| kept.value::<V>().is_some() && same(kept));
        let Some(kept) = found else { return Look::Absent };
        let looked = self.look(&kept, make);
        if let (Look::Found(_), Some(placed)) = (&looked, placed)
            && kept.claim(placed.hash)
        {
            self.place(placed, &kept);
        }
        looked
    }

    /// Begins to fetch a value of this name, prefix and tags. `late`: its tags are not all known yet.
    pub(crate) fn begin(
        &self,
        name: Name,
        prefix: u64,
        tags: impl IntoIterator<Item = u64>,
        late: bool,
    ) -> Pending {
        let seen = late.then(|| self.marks.seen());
        let marks = tags.into_iter().map(|tag| self.marks.get(tag)).collect();
        Pending::new(self.shards.of(name), name, prefix, marks, seen)
    }

    /// Adds tags to a value that was fetched; false where one of them was evicted since that began.
    pub(crate) fn add_tags(&self, pending: &mut Pending, tags: impl IntoIterator<Item = u64>) -> bool {
        let Pending { late, seen, .. } = pending;
        // `all` asks for every mark before it says no.
        tags.into_iter().all(|tag| {
            late.push(self.marks.get(tag));
            seen.as_ref().is_some_and(|seen| self.marks.is_unmoved(tag, seen))
        })
    }

    /// Keeps a fetched value, in place of what was under its name before; false where that is refused: something was to end it
    /// meanwhile. Without `placed` it is found by name alone.
    pub(crate) fn keep(&self, pending: &Pending, placed: Option<Placed>, mut kept: Arc<AnyKept>) -> bool {
        let Some(own) = Arc::get_mut(&mut kept) else { return false };
        own.weight += OVERHEAD + placed.as_ref().map_or(0, |placed| placed.bytes.len());
        own.name = pending.name();
        own.prefix = pending.prefix();
        own.hash = AtomicU64::new(placed.as_ref().map_or(0, |placed| placed.hash));
        // Before the marks are asked again, by `keep` below.
        own.epoch = AtomicU64::new(self.epoch.load(Ordering::Acquire));
        own.marks = pending.marks();
        let weight = kept.weight;
        if weight > self.capacity {
            // It would push out everything else first.
            self.evict(pending.name());
            return false;
        }
        let now = self.clock.now();
        let Some(gone) = pending.shard.keep(|| pending.is_sound(), &kept, &|kept| self.judge(kept, now))
        else {
            return false;
        };
        self.weight.fetch_add(weight, Ordering::Relaxed);
        for (gone, why) in gone {
            self.gone(&gone, why);
        }
        if let Some(placed) = placed {
            self.place(placed, &kept);
        }
        self.make_room(pending.name());
        true
    }

    /// Why a value may go, if it may.
    fn judge(&self, kept: &AnyKept, now: Timestamp) -> Option<Cause> {
        if now >= kept.times.until {
            Some(Cause::Expired)
        } else if !kept.marks_hold(&self.epoch) {
            Some(Cause::Evicted)
        } else if kept.was_used() {
            None
        } else {
            Some(Cause::Room)
        }
    }

    /// Puts a value into the table by arguments.
    fn place(&self, placed: Placed, kept: &Arc<AnyKept>) {
        let guard = self.map.guard();
        self.map.insert(Place::new(placed, Arc::clone(kept)), (), &guard);
        // Whoever ended it meanwhile did not find it there.
        if kept.has_ended() {
            self.unplace(kept);
        }
    }

    fn unplace(&self, kept: &Arc<AnyKept>) {
        let hash = kept.hash.load(Ordering::Acquire);
        if hash != 0 {
            let guard = self.map.guard();
            self.map.remove(&Same { hash, kept }, &guard);
            if kept.weight > HEAVY {
                guard.flush();
            }
        }
    }

    /// What is done with a value that has left the table by name.
    fn gone(&self, kept: &Arc<AnyKept>, cause: Cause) {
        kept.end();
        self.weight.fetch_sub(kept.weight, Ordering::Relaxed);
        self.ended[cause as usize].fetch_add(1, Ordering::Relaxed);
        self.unplace(kept);
    }

    /// Evicts the values of this name, and refuses what is being fetched; tells whether there was one.
    pub(crate) fn evict(&self, name: Name) -> bool {
        let now = self.clock.now();
        let mut existed = false;
        for kept in self.shards.of(name).evict(name) {
            existed |= self.is_valid(&kept, now);
            self.gone(&kept, Cause::Evicted);
        }
        existed
    }

    fn is_valid(&self, kept: &AnyKept, now: Timestamp) -> bool {
        now < kept.times.until && kept.marks_hold(&self.epoch)
    }

    /// Evicts a tag, and refuses what is being fetched under it. What carries it leaves when it is looked for, or when room is made.
    pub(crate) fn evict_tag(&self, tag: u64) {
        if self.marks.end(tag) {
            self.epoch.fetch_add(1, Ordering::Release);
        }
    }

    /// Evicts everything under a prefix, or all there is, and refuses what is being fetched; tells how many values there were.
    pub(crate) fn evict_prefix(&self, prefix: Option<u64>) -> u64 {
        let now = self.clock.now();
        let mut count = 0;
        for shard in self.shards.iter() {
            for kept in shard.evict_prefix(prefix) {
                count += u64::from(self.is_valid(&kept, now));
                self.gone(&kept, Cause::Evicted);
            }
        }
        count
    }

    /// Lets go of everything, and refuses what is being fetched.
    pub(crate) fn empty(&self, why: Cause) {
        for shard in self.shards.iter() {
            for kept in shard.evict_prefix(None) {
                self.gone(&kept, why);
            }
        }
    }

    /// Lets go of what was not used for long, until the rest fits.
    fn make_room(&self, name: Name) {
        let own = self.shards.of(name);
        for shard in std::iter::once(own).chain(self.shards.after(name)) {
            // What was kept just now is the last to go.
            while self.weight.load(Ordering::Relaxed) > self.capacity {
                let now = self.clock.now();
                let victim = shard.victim(Some(name), &|kept| self.judge(kept, now));
                let Some((kept, why)) = victim else { break };
                self.gone(&kept, why);
            }
        }
    }

    /// What it holds, and what left it by cause.
    pub(crate) fn stats(&self) -> LocalStats {
        let ended = std::array::from_fn(|at| self.ended[at].load(Ordering::Relaxed));
        LocalStats::new(self.shards.len() as u64, self.weight.load(Ordering::Relaxed) as u64, ended)
    }
}
