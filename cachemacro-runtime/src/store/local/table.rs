//! The table, with what is looked up, kept and evicted in it.

use std::any::Any;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::Arc;
use std::sync::atomic::{self, AtomicUsize, Ordering};

use foldhash::fast::RandomState;

use crate::ground::clock::{COARSENESS, Clock, Timestamp};
use crate::ground::sync::modelled::AtomicU64;
use crate::observe::local::{Cause, LocalStats};
use crate::store::by_arguments::{ByArguments, Ends as _, Placed, Query, some_hash};
use crate::store::local::kept::AnyKept;
use crate::store::local::marks::Marks;
use crate::store::local::name::Name;
use crate::store::local::pending::Pending;
use crate::store::local::shard::Shards;

/// What a value weighs besides itself and its key, in bytes: its places in the tables, reference counts, what an allocator adds.
const OVERHEAD: usize = 112;

/// The table.
pub(crate) struct LocalTable {
    /// By arguments.
    map: ByArguments<AnyKept>,
    /// By name.
    shards: Shards,
    marks: Marks,
    capacity: usize,
    weight: AtomicUsize,
    clock: Clock,
    /// Raised whenever a mark has ended.
    epoch: AtomicU64,
    /// How many values left the table, by cause.
    ended: [atomic::AtomicU64; Cause::ALL.len()],
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
            map: ByArguments::new(),
            shards: Shards::new(capacity),
            marks: Marks::default(),
            capacity,
            weight: AtomicUsize::new(0),
            clock,
            epoch: AtomicU64::new(0),
            ended: std::array::from_fn(|_| atomic::AtomicU64::new(0)),
        }
    }

    /// What arguments are hashed with.
    #[inline]
    pub(crate) const fn hasher(&self) -> &RandomState {
        self.map.hasher()
    }

    /// The hash of what is looked up as a whole.
    pub(crate) fn hash(&self, bytes: &[u8]) -> u64 {
        some_hash(self.hasher().hash_one(bytes))
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What `make` makes of the value that the query finds, if it is of this type and still valid by the [coarse](Self::coarse) clock;
    /// `make` is told until when that is, and runs under no lock.
    #[inline]
    pub(crate) fn get<V: Any, R>(
        &self,
        query: &Query<impl Fn(&[u8]) -> bool>,
        coarse: Timestamp,
        make: impl FnOnce(&V, Timestamp) -> Option<R>,
    ) -> Look<R> {
        self.map.find(query, |kept| self.look(kept, coarse, make)).unwrap_or(Look::Absent)
    }

    /// The time by the coarse clock.
    #[inline]
    pub(crate) fn coarse(&self) -> Timestamp {
        self.clock.coarse()
    }

    #[inline]
    fn look<V: Any, R>(
        &self,
        kept: &AnyKept,
        coarse: Timestamp,
        make: impl FnOnce(&V, Timestamp) -> Option<R>,
    ) -> Look<R> {
        if !kept.is_valid() {
            return Look::Absent;
        }
        let until = kept.until();
        if coarse.plus(COARSENESS) >= until && self.clock.now() >= until {
            return Look::Expired;
        }
        if !kept.marks_hold(&self.epoch) {
            return Look::TagEvicted;
        }
        kept.use_it();
        match kept.value::<V>().and_then(|value| make(value, until)) {
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
        make: impl FnOnce(&V, Timestamp) -> Option<R>,
    ) -> Look<R> {
        let found = self.shards.of(name).find(name, |kept| kept.value::<V>().is_some() && same(kept));
        let Some(kept) = found else { return Look::Absent };
        let looked = self.look(&kept, self.coarse(), make);
        // Also where it was placed: of two that were kept at once, the one that had ended may have taken the place.
        if let (Look::Found(_), Some(placed)) = (&looked, placed)
            && (kept.claim(placed.hash) || kept.place() == placed.hash)
        {
            self.map.put(&placed, &kept);
        }
        looked
    }

    /// What `make` makes of the value that the query finds, if it is of this type, also where nobody may take it as it is.
    pub(crate) fn find<V: Any, R>(
        &self,
        query: &Query<impl Fn(&[u8]) -> bool>,
        make: impl FnOnce(&V) -> Option<R>,
    ) -> Option<R> {
        let look = |kept: &AnyKept| if kept.has_ended() { None } else { kept.value::<V>().and_then(make) };
        self.map.find(query, look).flatten()
    }

    /// Has the value that the query finds, if it is this one, taken until then: the store has it still. False where that is refused:
    /// something was to end it since the store was asked.
    pub(crate) fn confirm<V: Any>(
        &self,
        pending: &Pending,
        query: &Query<impl Fn(&[u8]) -> bool>,
        is: impl FnOnce(&V) -> bool,
        until: Timestamp,
    ) -> bool {
        // Its own tags refuse it by themselves.
        let confirm = |kept: &AnyKept| {
            kept.name == pending.name()
                && kept.value::<V>().is_some_and(is)
                && pending.shard.confirm(|| pending.is_sound(), kept, until)
        };
        self.map.find(query, confirm).unwrap_or(false)
    }

    /// Begins to fetch a value of this name, prefix and tags. `late`: its tags are not all known yet; `is_put`: what others fetch
    /// under its name is outdated.
    pub(crate) fn begin(
        &self,
        name: Name,
        prefix: u64,
        tags: impl IntoIterator<Item = u64>,
        late: bool,
        is_put: bool,
    ) -> Pending {
        let seen = late.then(|| self.marks.seen());
        let marks = tags.into_iter().map(|tag| self.marks.get(tag)).collect();
        Pending::new(self.shards.of(name), name, half(prefix), marks, seen, is_put)
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
        own.weighs(OVERHEAD + placed.as_ref().map_or(0, |placed| placed.bytes.len()));
        own.name = pending.name();
        own.prefix = pending.prefix();
        own.hash = AtomicU64::new(placed.as_ref().map_or(0, |placed| placed.hash));
        // Before the marks are asked again, by `keep` below.
        let epoch = self.epoch.load(Ordering::Acquire);
        own.marks = self.marks.set(&pending.marks(), epoch);
        let weight = kept.weight();
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
            self.map.put(&placed, &kept);
        }
        self.make_room(pending.name());
        true
    }

    /// Why a value may go, if it may.
    fn judge(&self, kept: &AnyKept, now: Timestamp) -> Option<Cause> {
        if now >= kept.until() {
            Some(Cause::Expired)
        } else if kept.is_doubtful() || !kept.marks_hold(&self.epoch) {
            Some(Cause::Evicted)
        } else if kept.was_used() {
            None
        } else {
            Some(Cause::Room)
        }
    }

    /// What is done with a value that has left the table by name.
    fn gone(&self, kept: &Arc<AnyKept>, cause: Cause) {
        self.weight.fetch_sub(kept.weight(), Ordering::Relaxed);
        self.ended[cause as usize].fetch_add(1, Ordering::Relaxed);
        self.map.remove(kept);
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
        now < kept.until() && kept.marks_hold(&self.epoch)
    }

    /// Has nobody take the values of this name until they are confirmed, and refuses what is being fetched: something changed there,
    /// and perhaps not the value.
    pub(crate) fn doubt(&self, name: Name) {
        self.shards.of(name).doubt(name);
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
            for kept in shard.evict_prefix(prefix.map(half)) {
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

    /// How many places by arguments are taken, and how many tags are remembered.
    #[cfg(test)]
    pub(crate) fn held(&self) -> (usize, usize) {
        (self.map.len(), self.marks.len())
    }

    /// What it holds, and what left it by cause.
    pub(crate) fn stats(&self) -> LocalStats {
        let ended = std::array::from_fn(|at| self.ended[at].load(Ordering::Relaxed));
        LocalStats::new(self.shards.len() as u64, self.weight.load(Ordering::Relaxed) as u64, ended)
    }
}

/// Half of a prefix's hash, which is what a value has of it: two prefixes of one half, and an evict of one takes the other along.
#[expect(clippy::cast_possible_truncation, reason = "half of it")]
const fn half(prefix: u64) -> u32 {
    prefix as u32
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn table(capacity: usize) -> (LocalTable, Clock) {
        let clock = Clock::manual();
        (LocalTable::new(capacity, clock.clone()), clock)
    }

    fn placed(key: u64) -> Placed {
        Placed { hash: key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1, bytes: key.to_le_bytes().to_vec() }
    }

    fn kept<V: Any + Send + Sync>(table: &LocalTable, life: Duration, value: V) -> Arc<AnyKept> {
        AnyKept::new(None, table.now().plus(life), 0, value)
    }

    fn name(key: u64) -> Name {
        Name::new(u128::from(key) << 64 | u128::from(key))
    }

    fn begin(table: &LocalTable, key: u64, tags: &[u64]) -> Pending {
        table.begin(name(key), key % 4, tags.iter().copied(), false, false)
    }

    fn put(table: &LocalTable, key: u64, tags: &[u64], value: u64) -> bool {
        let pending = begin(table, key, tags);
        table.keep(&pending, Some(placed(key)), kept(table, HOUR, value))
    }

    fn get(table: &LocalTable, key: u64) -> Option<u64> {
        let Placed { hash, bytes } = placed(key);
        let query = Query::new(hash, |other: &[u8]| *other == *bytes);
        match table.get(&query, table.coarse(), |value: &u64, _| Some(*value)) {
            Look::Found(value) => Some(value),
            _ => None,
        }
    }

    #[test]
    fn a_value_is_found_by_arguments_and_by_name_until_its_time() {
        let (table, clock) = table(1 << 20);
        assert!(put(&table, 1, &[], 7));
        assert_eq!((get(&table, 1), get(&table, 2)), (Some(7), None));
        let by_name = |placed| table.get_named(name(1), |_| true, placed, |value: &u64, _| Some(*value));
        assert!(matches!(by_name(None), Look::Found(7)));
        let of_another_type = table.get_named(name(1), |_| true, None, |value: &u32, _| Some(*value));
        assert!(matches!(of_another_type, Look::Absent));
        clock.advance(HOUR);
        assert_eq!(get(&table, 1), None);
        assert!(matches!(by_name(None), Look::Expired));
    }

    #[test]
    fn a_value_without_arguments_gets_those_that_it_is_found_by() {
        let (table, _) = table(1 << 20);
        let pending = begin(&table, 1, &[]);
        assert!(table.keep(&pending, None, kept(&table, HOUR, 7_u64)));
        assert_eq!(get(&table, 1), None);
        let found = table.get_named(name(1), |_| true, Some(placed(1)), |value: &u64, _| Some(*value));
        assert!(matches!(found, Look::Found(7)));
        assert_eq!(get(&table, 1), Some(7));
        assert!(table.evict(name(1)));
        assert_eq!((get(&table, 1), table.map.len()), (None, 0));
    }

    /// Upholds G1.
    #[test]
    fn whatever_evicts_it_refuses_what_was_being_fetched() {
        let (table, _) = table(1 << 20);
        let evicts: [&dyn Fn(); 4] = [
            &|| assert!(table.evict(name(1))),
            &|| table.evict_tag(5),
            &|| assert_eq!(table.evict_prefix(Some(1)), 1),
            &|| assert_eq!(table.evict_prefix(None), 1),
        ];
        for evict in evicts {
            assert!(put(&table, 1, &[4, 5], 7));
            let pending = begin(&table, 1, &[4, 5]);
            evict();
            assert_eq!(get(&table, 1), None);
            assert!(!pending.is_sound());
            assert!(!table.keep(&pending, Some(placed(1)), kept(&table, HOUR, 8_u64)));
            assert_eq!(get(&table, 1), None);
        }
        let pending = begin(&table, 1, &[4, 5]);
        table.evict(name(2));
        table.evict_tag(6);
        table.evict_prefix(Some(2));
        assert!(table.keep(&pending, Some(placed(1)), kept(&table, HOUR, 9_u64)));
        assert_eq!(get(&table, 1), Some(9));
    }

    /// Upholds G1.
    #[test]
    fn a_tag_that_comes_with_the_value_refuses_it_if_it_was_evicted_since_the_beginning() {
        let (table, _) = table(1 << 20);
        let late = || table.begin(name(1), 1, [], true, false);
        let mut pending = late();
        table.evict_tag(5);
        assert!(!table.add_tags(&mut pending, [5]));
        let mut pending = late();
        assert!(table.add_tags(&mut pending, [5]));
        assert!(table.keep(&pending, Some(placed(1)), kept(&table, HOUR, 7_u64)));
        table.evict_tag(5);
        assert_eq!(get(&table, 1), None);
        let mut pending = late();
        assert!(table.add_tags(&mut pending, [5]));
        table.evict_tag(5);
        assert!(!table.keep(&pending, Some(placed(1)), kept(&table, HOUR, 7_u64)));
    }

    /// Upholds G4.
    #[test]
    fn a_put_refuses_loads_and_is_refused_by_loads_that_begin_within_it() {
        let (table, _) = table(1 << 20);
        let before = begin(&table, 1, &[]);
        let put = table.begin(name(1), 1, [], false, true);
        assert!(!before.is_sound() && put.is_sound());
        let within = begin(&table, 1, &[]);
        assert!(!put.is_sound() && within.is_sound());
        assert!(begin(&table, 2, &[]).is_sound());
    }

    /// Upholds G1: an evict between the two steps would not find it.
    #[test]
    fn what_leaves_by_name_has_ended_before_it_leaves_by_arguments() {
        let (table, _) = table(1 << 20);
        assert!(put(&table, 1, &[], 7));
        let shard = table.shards.of(name(1));
        let left = shard.victim(None, &|_| Some(Cause::Room)).expect("there is one");
        assert_eq!((get(&table, 1), table.map.len()), (None, 1));
        table.gone(&left.0, left.1);
        assert_eq!(table.map.len(), 0);
    }

    #[test]
    fn tags_that_nobody_carries_are_forgotten() {
        let (table, _) = table(64 << 10);
        for key in 0..50_000 {
            put(&table, key, &[key + 1_000_000], key);
        }
        assert!(table.marks.len() < 5_000, "{}", table.marks.len());
    }

    #[test]
    fn tables_agree_whatever_is_done_and_stay_within_their_capacity() {
        let (table, clock) = table(100_000);
        let mut random = 1_u64;
        for step in 0..100_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let key = random % 500;
            match random % 97 {
                0 => table.evict_tag(key % 9),
                1 => assert!(table.evict_prefix(Some(key % 4)) < 500),
                2 => clock.advance(HOUR / 50),
                3..20 => assert_eq!(get(&table, key).is_some(), table.evict(name(key))),
                20..60 => assert!(put(&table, key, &[key % 9], step)),
                _ => assert!(get(&table, key).is_none_or(|value| value < step)),
            }
        }
        let stats = table.stats();
        assert!(stats.bytes <= 100_000, "{stats:?}");
        assert_eq!(table.map.len() as u64, stats.entries);
        for key in 0..500 {
            table.evict(name(key));
        }
        let stats = table.stats();
        assert_eq!((stats.entries, stats.bytes, table.map.len()), (0, 0, 0));
    }

    #[test]
    fn a_value_that_is_used_stays_and_one_that_is_too_large_pushes_nothing_out() {
        let (table, _) = table(50_000);
        for key in 0..10_000 {
            put(&table, key, &[], key);
            assert_eq!(get(&table, 0), Some(0), "after {key}");
        }
        let entries = table.stats().entries;
        let pending = begin(&table, 20_000, &[]);
        let large = AnyKept::new(None, table.now().plus(HOUR), 60_000, 7_u64);
        assert!(!table.keep(&pending, Some(placed(20_000)), large));
        assert_eq!(table.stats().entries, entries);
    }

    #[test]
    fn a_drop_that_panics_reaches_nobody() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                panic!("on purpose");
            }
        }
        let (table, _) = table(1 << 20);
        for _ in 0..100 {
            let pending = begin(&table, 1, &[]);
            assert!(table.keep(&pending, Some(placed(1)), kept(&table, HOUR, Bomb)));
        }
        drop(table);
    }
}
