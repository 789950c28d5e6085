//! Decoded values beside the bytes that they were decoded from: a hit that finds one neither reads, checks nor decodes.
//!
//! Whoever holds the bytes removes what was decoded from them in the same step in which it changes or removes them, so a
//! value that is found here is what a read would give (G1). Tags are looked at when a value is taken: each of its
//! stamps has a flag that falls with the version.

use std::any::Any;
use std::fmt;
use std::hash::BuildHasher;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, RwLock};

use foldhash::fast::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use crate::ground::clock::Timestamp;
use crate::ground::panics::caught;
use crate::ground::sync;

/// Each behind a lock of its own, so that two threads seldom meet.
const SHARDS: usize = 64;

/// Whether what is under a key is still what it was when someone asked.
#[derive(Debug)]
pub(crate) struct Unchanged {
    holds: AtomicBool,
    /// Whether a value that hangs on it was taken since someone last asked.
    used: AtomicBool,
}

impl Unchanged {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { holds: AtomicBool::new(true), used: AtomicBool::new(false) })
    }

    pub(crate) fn ends(&self) {
        self.holds.store(false, Ordering::Release);
    }

    /// Whether a value that hangs on it was taken since this was last asked.
    pub(crate) fn was_used(&self) -> bool {
        self.used.swap(false, Ordering::Relaxed)
    }

    #[inline]
    fn holds(&self) -> bool {
        self.holds.load(Ordering::Acquire)
    }
}

/// A value that was decoded.
pub(crate) struct Decoded<V: ?Sized> {
    hash: u64,
    /// What it is looked up by.
    key: Box<[u8]>,
    /// When it is looked at no more.
    until: Timestamp,
    /// The versions of its stamps.
    versions: Box<[Arc<Unchanged>]>,
    /// Cloning it runs no code of a user's, so it may be cloned under a lock.
    plain: bool,
    /// Whether it was taken since someone last asked.
    used: AtomicBool,
    value: V,
}

/// A decoded value whatever its type.
pub(crate) type AnyDecoded = Decoded<dyn Any + Send + Sync>;

impl<V: ?Sized> fmt::Debug for Decoded<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded").field("until", &self.until).finish_non_exhaustive()
    }
}

impl AnyDecoded {
    /// Whether it was taken since this was last asked.
    pub(crate) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) && self.used.swap(false, Ordering::Relaxed)
    }

    /// Whether it is looked up by the same key.
    pub(crate) fn has_key_of(&self, other: &Self) -> bool {
        self.hash == other.hash && self.key == other.key
    }

    /// What it weighs besides the value itself, in bytes.
    pub(crate) fn overhead(&self) -> usize {
        self.key.len() + size_of_val(self) + self.versions.len() * size_of::<Arc<Unchanged>>()
    }

    fn use_it(&self) {
        self.used.store(true, Ordering::Relaxed);
        for version in &self.versions {
            version.used.store(true, Ordering::Relaxed);
        }
    }

    #[inline]
    fn is_valid(&self, now: Timestamp) -> bool {
        now < self.until && self.versions.iter().all(|version| version.holds())
    }
}

/// Decoded values by the arguments of the calls that read them.
pub(crate) struct DecodedTable {
    shards: Box<[RwLock<HashTable<Arc<AnyDecoded>>>]>,
    /// Random, so that nobody can choose arguments that all fall into one place.
    hasher: RandomState,
}

impl fmt::Debug for DecodedTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DecodedTable").field("values", &self.len()).finish_non_exhaustive()
    }
}

impl DecodedTable {
    pub(crate) fn new() -> Self {
        Self {
            shards: (0..SHARDS).map(|_| RwLock::new(HashTable::new())).collect(),
            hasher: RandomState::default(),
        }
    }

    fn len(&self) -> usize {
        self.shards.iter().map(|shard| sync::read(shard).len()).sum()
    }

    /// The value under `key`, where it is of this type and still valid.
    #[inline]
    pub(crate) fn get<V: Any + Clone>(&self, key: &[u8], now: Timestamp) -> Option<V> {
        let hash = self.hasher.hash_one(key);
        let found = {
            let shard = sync::read(self.shard(hash));
            let found = shard.find(hash, |other| *other.key == *key)?;
            if !found.is_valid(now) {
                return None;
            }
            let value = found.value.downcast_ref::<V>()?;
            if !found.used.load(Ordering::Relaxed) {
                found.use_it();
            }
            if found.plain {
                return Some(value.clone());
            }
            Arc::clone(found)
        };
        // G6: a clone that panics is the user's; a read decodes the value anew.
        caught(|| found.value.downcast_ref::<V>().cloned()).flatten()
    }

    /// A value for [`insert`](Self::insert).
    pub(crate) fn decoded<V: Any + Send + Sync>(
        &self,
        key: &[u8],
        until: Timestamp,
        versions: Vec<Arc<Unchanged>>,
        value: V,
    ) -> Arc<AnyDecoded> {
        Arc::new(Decoded {
            hash: self.hasher.hash_one(key),
            key: key.into(),
            until,
            versions: versions.into(),
            plain: is_plain::<V>(),
            used: AtomicBool::new(false),
            value,
        })
    }

    /// Puts a value into the place of what was there under its key, which it gives back.
    pub(crate) fn insert(&self, decoded: Arc<AnyDecoded>) -> Option<Arc<AnyDecoded>> {
        let hash = decoded.hash;
        let mut shard = sync::write(self.shard(hash));
        match shard.entry(hash, |other| other.key == decoded.key, |other| other.hash) {
            Entry::Occupied(mut place) => Some(std::mem::replace(place.get_mut(), decoded)),
            Entry::Vacant(place) => {
                place.insert(decoded);
                None
            }
        }
    }

    /// Removes this value, if it is still there.
    pub(crate) fn remove(&self, decoded: &Arc<AnyDecoded>) {
        let mut shard = sync::write(self.shard(decoded.hash));
        if let Ok(place) = shard.find_entry(decoded.hash, |other| Arc::ptr_eq(other, decoded)) {
            place.remove();
        }
    }

    #[inline]
    fn shard(&self, hash: u64) -> &RwLock<HashTable<Arc<AnyDecoded>>> {
        // The table uses the other end of the hash.
        &self.shards[usize::try_from((hash >> 32) % SHARDS as u64).unwrap_or(0)]
    }
}

/// Whether cloning a value of this type runs no code of a user's: it is a counted reference, text or a number. By name:
/// the type of what an `Arc` holds is not known here.
fn is_plain<V>() -> bool {
    let name = std::any::type_name::<V>();
    name.starts_with("alloc::sync::Arc<")
        || name.starts_with("core::option::Option<alloc::sync::Arc<")
        || matches!(
            name.strip_prefix("core::option::Option<")
                .and_then(|name| name.strip_suffix('>'))
                .unwrap_or(name),
            "bool"
                | "u8"
                | "u16"
                | "u32"
                | "u64"
                | "u128"
                | "i8"
                | "i16"
                | "i32"
                | "i64"
                | "i128"
                | "f32"
                | "f64"
                | "char"
                | "()"
                | "usize"
                | "isize"
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_000);
    const LATER: Timestamp = Timestamp(2_000);

    fn table_with<V: Any + Send + Sync>(key: &[u8], value: V) -> (DecodedTable, Arc<AnyDecoded>) {
        let table = DecodedTable::new();
        let decoded = table.decoded(key, LATER, Vec::new(), value);
        table.insert(Arc::clone(&decoded));
        (table, decoded)
    }

    #[test]
    fn a_value_is_found_by_its_key_and_type_until_its_time() {
        let (table, decoded) = table_with(b"one", Some(7_u32));
        assert_eq!(table.get::<Option<u32>>(b"one", NOW), Some(Some(7)));
        assert!(decoded.was_used() && !decoded.was_used());
        assert_eq!(table.get::<Option<u64>>(b"one", NOW), None, "another type");
        assert_eq!(table.get::<Option<u32>>(b"two", NOW), None);
        assert_eq!(table.get::<Option<u32>>(b"one", LATER), None);
        table.remove(&decoded);
        assert_eq!(table.get::<Option<u32>>(b"one", NOW), None);
    }

    #[test]
    fn a_value_whose_version_fell_is_not_found() {
        let table = DecodedTable::new();
        let versions = [Unchanged::new(), Unchanged::new()];
        table.insert(table.decoded(b"one", LATER, versions.to_vec(), 7_u32));
        assert_eq!(table.get::<u32>(b"one", NOW), Some(7));
        versions[1].ends();
        assert_eq!(table.get::<u32>(b"one", NOW), None);
    }

    #[test]
    fn what_replaced_a_value_outlives_its_removal() {
        let (table, old) = table_with(b"one", 1_u32);
        table.insert(table.decoded(b"one", LATER, Vec::new(), 2_u32));
        table.remove(&old);
        assert_eq!(table.get::<u32>(b"one", NOW), Some(2));
    }

    #[test]
    fn only_what_runs_no_code_of_a_users_is_cloned_under_the_lock() {
        struct Own;
        impl Clone for Own {
            fn clone(&self) -> Self {
                Self
            }
        }
        assert!(is_plain::<Arc<Own>>() && is_plain::<Option<Arc<Own>>>() && is_plain::<Option<u64>>());
        assert!(!is_plain::<Own>() && !is_plain::<Vec<Own>>() && !is_plain::<Option<Own>>());
    }
}
