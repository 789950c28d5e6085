//! Decoded values beside the bytes that they were decoded from, or in place of them: a hit that finds one neither reads, checks nor
//! decodes.
//!
//! Whoever holds the bytes [ends](AnyDecoded::end) what was decoded from them in the same step in which it changes or removes them, so a
//! value that is found here is what a read would give (G1). Tags are looked at when a value is taken: each of its
//! stamps has a flag that falls with the version.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::format::header::FIXED;
use crate::ground::clock::Timestamp;
use crate::store::by_arguments::{ByArguments, Ends, Guarded, Placed};
use crate::store::head::Head;

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

/// Decoded values by the arguments of the calls that read them.
pub(crate) type DecodedTable = ByArguments<AnyDecoded>;

/// A value that was decoded.
pub(crate) struct Decoded<V: ?Sized> {
    /// Of the arguments that it is found by.
    hash: u64,
    /// When it is looked at no more.
    until: Timestamp,
    /// What it has where it has tags.
    tagged: Option<Box<Tagged>>,
    /// What it encodes to, where that is known.
    rebuild: Option<Rebuild>,
    /// As far as it can be told.
    weight: u32,
    /// What the bytes begin with, where it encodes to the others.
    head: Head,
    /// The bytes were changed or removed.
    ended: AtomicBool,
    /// Whether it was taken since someone last asked.
    used: AtomicBool,
    value: V,
}

/// The tags of a value.
struct Tagged {
    /// The versions of its stamps.
    versions: Box<[Arc<Unchanged>]>,
    /// The stamps, where it encodes to what is behind them.
    stamps: Box<[u8]>,
}

/// A decoded value whatever its type.
pub(crate) type AnyDecoded = Decoded<dyn Any + Send + Sync>;

/// Makes all bytes of an entry of the first ones and the value, which is [`Guarded`]; `None` where that does not give what they were.
pub(crate) type Rebuild = fn(&[u8], &(dyn Any + Send + Sync)) -> Option<Vec<u8>>;

/// The bytes that a value was decoded from.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Origin<'a> {
    /// How many, where none are compressed: the value is taken for as large.
    pub(crate) size: usize,
    /// Those before the value's.
    pub(crate) head: &'a [u8],
    /// What gives all of them again.
    pub(crate) rebuild: Option<Rebuild>,
}

impl<V: ?Sized> fmt::Debug for Decoded<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoded").field("until", &self.until).finish_non_exhaustive()
    }
}

impl Ends for AnyDecoded {
    #[inline]
    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    fn place(&self) -> u64 {
        self.hash
    }

    /// Taking it for as large as its bytes.
    fn weight(&self) -> usize {
        self.weight as usize
    }
}

impl AnyDecoded {
    /// A value to be found by these arguments.
    pub(crate) fn new<V: Any + Send + Sync>(
        placed: &Placed,
        until: Timestamp,
        versions: Vec<Arc<Unchanged>>,
        origin: Origin<'_>,
        value: Guarded<V>,
    ) -> Arc<Self> {
        // Only that of an entry of which nothing would be lost.
        let left_out = origin.rebuild.and_then(|rebuild| Some((rebuild, Head::of(origin.head)?)));
        let (rebuild, head, stamps) = match left_out {
            Some((rebuild, (head, stamps))) => (Some(rebuild), head, stamps),
            None => (None, Head::NONE, &[][..]),
        };
        let tagged = (!versions.is_empty() || !stamps.is_empty())
            .then(|| Box::new(Tagged { versions: versions.into(), stamps: stamps.into() }));
        let of_tags = tagged.as_ref().map_or(0, |tagged| {
            size_of::<Tagged>() + size_of_val(&*tagged.versions) + size_of_val(&*tagged.stamps)
        });
        let around = OVERHEAD + size_of::<Decoded<Guarded<V>>>() + placed.bytes.len() + of_tags;
        Arc::new(Decoded {
            hash: placed.hash,
            until,
            tagged,
            rebuild,
            weight: u32::try_from(around + origin.size).unwrap_or(u32::MAX),
            head,
            ended: AtomicBool::new(false),
            used: AtomicBool::new(false),
            value,
        })
    }

    /// Not to be taken any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::Release);
    }

    /// Whether it was taken since this was last asked.
    pub(crate) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) && self.used.swap(false, Ordering::Relaxed)
    }

    /// Whether all bytes can be had of it.
    pub(crate) const fn gives_all(&self) -> bool {
        self.rebuild.is_some()
    }

    /// How many bytes come before those that it encodes to.
    pub(crate) fn head_len(&self) -> usize {
        FIXED + self.stamps().len()
    }

    /// Those bytes, where it [gives all](Self::gives_all).
    pub(crate) fn first(&self) -> Vec<u8> {
        self.head.whole(self.stamps())
    }

    /// All bytes; `None` where it does not encode to what they were.
    pub(crate) fn rebuilt(&self) -> Option<Vec<u8>> {
        self.rebuild.and_then(|rebuild| rebuild(&self.first(), &self.value))
    }

    fn stamps(&self) -> &[u8] {
        self.tagged.as_ref().map_or(&[], |tagged| &tagged.stamps)
    }

    #[inline]
    fn versions(&self) -> &[Arc<Unchanged>] {
        self.tagged.as_ref().map_or(&[], |tagged| &tagged.versions)
    }

    /// A clone of the value, where it is of this type and valid at this time, by a clock that may be behind; `None` inside where it says
    /// that there is none.
    #[inline]
    #[expect(clippy::option_option, reason = "whether there is one, and what it is of")]
    pub(crate) fn take<V: Any + Clone>(&self, now: Timestamp) -> Option<Option<V>> {
        self.look(now, |value: Option<&V>| Some(value.cloned()))
    }

    /// What `make` makes of that value.
    #[inline]
    pub(crate) fn look<V: Any, R>(
        &self,
        now: Timestamp,
        make: impl FnOnce(Option<&V>) -> Option<R>,
    ) -> Option<R> {
        if self.has_ended() || now >= self.until {
            return None;
        }
        let mut is_marked = self.used.load(Ordering::Relaxed);
        for version in self.versions() {
            if !version.holds() {
                return None;
            }
            // Someone else may have asked whether the version was used.
            is_marked &= version.used.load(Ordering::Relaxed);
        }
        let value = self.value.downcast_ref::<Guarded<V>>()?;
        if !is_marked {
            self.use_it();
        }
        make(value.get())
    }

    #[cold]
    fn use_it(&self) {
        self.used.store(true, Ordering::Relaxed);
        for version in self.versions() {
            version.used.store(true, Ordering::Relaxed);
        }
    }
}

/// What a value weighs besides itself, in bytes: its place in the table, reference counts, what an allocator adds.
const OVERHEAD: usize = 112;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::by_arguments::Query;

    const NOW: Timestamp = Timestamp(1_000);
    const LATER: Timestamp = Timestamp(2_000);
    const ORIGIN: Origin<'_> = Origin { size: 4, head: &[], rebuild: None };

    fn placed(hash: u64) -> Placed {
        Placed { hash, bytes: hash.to_le_bytes().to_vec() }
    }

    fn put<V: Any + Send + Sync>(
        table: &DecodedTable,
        hash: u64,
        versions: &[Arc<Unchanged>],
        value: Option<V>,
    ) -> Arc<AnyDecoded> {
        let decoded = AnyDecoded::new(&placed(hash), LATER, versions.to_vec(), ORIGIN, Guarded::of(value));
        table.put(&placed(hash), &decoded);
        decoded
    }

    #[expect(clippy::option_option, reason = "whether there is one, and what it is of")]
    fn get<V: Any + Clone>(table: &DecodedTable, hash: u64, now: Timestamp) -> Option<Option<V>> {
        let query = Query::new(hash, |bytes: &[u8]| *bytes == hash.to_le_bytes());
        table.find(&query, |decoded| decoded.take(now)).flatten()
    }

    fn remove(table: &DecodedTable, decoded: &Arc<AnyDecoded>) {
        decoded.end();
        table.remove(decoded);
    }

    #[test]
    fn a_value_is_found_by_its_arguments_and_type_until_its_time() {
        let table = DecodedTable::new();
        let decoded = put(&table, 1, &[], Some(7_u32));
        put(&table, 3, &[], None::<u32>);
        assert_eq!(get::<u32>(&table, 3, NOW), Some(None));
        assert_eq!(get::<u32>(&table, 1, NOW), Some(Some(7)));
        assert!(decoded.was_used() && !decoded.was_used());
        assert_eq!(get::<u64>(&table, 1, NOW), None, "another type");
        assert_eq!(get::<u32>(&table, 2, NOW), None);
        assert_eq!(get::<u32>(&table, 1, LATER), None);
        remove(&table, &decoded);
        assert_eq!(get::<u32>(&table, 1, NOW), None);
        assert_eq!(table.len(), 1);
    }

    #[test]
    fn a_value_whose_version_fell_is_not_found() {
        let table = DecodedTable::new();
        let versions = [Unchanged::new(), Unchanged::new()];
        put(&table, 1, &versions, Some(7_u32));
        assert_eq!(get::<u32>(&table, 1, NOW), Some(Some(7)));
        versions[1].ends();
        assert_eq!(get::<u32>(&table, 1, NOW), None);
    }

    #[test]
    fn what_replaced_a_value_outlives_its_removal() {
        let table = DecodedTable::new();
        let old = put(&table, 1, &[], Some(1_u32));
        put(&table, 1, &[], Some(2_u32));
        remove(&table, &old);
        assert_eq!(get::<u32>(&table, 1, NOW), Some(Some(2)));
    }

    #[test]
    fn a_version_counts_as_used_whichever_value_that_hangs_on_it_is_taken() {
        let table = DecodedTable::new();
        let versions = [Unchanged::new()];
        let decoded = put(&table, 1, &versions, Some(7_u32));
        for _ in 0..3 {
            assert_eq!(get::<u32>(&table, 1, NOW), Some(Some(7)));
            assert!(
                versions[0].was_used() && !versions[0].was_used(),
                "also where the value was used before"
            );
        }
        assert!(decoded.was_used());
    }

    #[test]
    fn what_has_ended_takes_no_place_from_what_has_not() {
        let table = DecodedTable::new();
        put(&table, 1, &[], Some(2_u32));
        let decoded = AnyDecoded::new(&placed(1), LATER, Vec::new(), ORIGIN, Guarded::new(1_u32));
        decoded.end();
        table.put(&placed(1), &decoded);
        assert_eq!((get::<u32>(&table, 1, NOW), table.len()), (Some(Some(2)), 1));
    }

    /// Upholds G1: an evict before a value is put where calls look does not find it there.
    #[test]
    fn what_ended_before_it_was_put_is_not_found() {
        let table = DecodedTable::new();
        let decoded = AnyDecoded::new(&placed(1), LATER, Vec::new(), ORIGIN, Guarded::new(7_u32));
        remove(&table, &decoded);
        table.put(&placed(1), &decoded);
        assert_eq!((get::<u32>(&table, 1, NOW), table.len()), (None, 0));
    }
}
