//! One value, with what ends it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{self, Ordering};

use crate::ground::clock::Timestamp;
use crate::ground::sync::modelled::{AtomicBool, AtomicU8, AtomicU64};
use crate::observe::site::SiteId;
use crate::store::by_arguments::{Ends, Guarded};
use crate::store::local::marks::Marked;
use crate::store::local::name::Name;

/// It may be taken.
const VALID: u8 = 0;
/// The store told of a change under the value's name: it may be taken again once the store says that it still has this value.
const DOUBTFUL: u8 = 1;
/// The value may never be taken again.
const ENDED: u8 = 2;

/// A value that is kept.
pub(crate) struct Kept<V: ?Sized> {
    pub(super) name: Name,
    /// Of the arguments that it is found by; zero where there are none.
    pub(super) hash: AtomicU64,
    /// A time, which moves where the value is confirmed.
    until: atomic::AtomicU64,
    /// Those of its tags, where it has some.
    pub(super) marks: Option<Arc<Marked>>,
    /// The function whose value it is.
    owner: Option<&'static SiteId>,
    pub(super) prefix: u32,
    /// As far as it can be told.
    weight: u32,
    state: AtomicU8,
    /// Whether the value was taken since the hand of the eviction last passed it.
    used: AtomicBool,
    pub(super) value: V,
}

/// A kept value whatever its type.
pub(crate) type AnyKept = Kept<dyn Any + Send + Sync>;

impl<V: ?Sized> fmt::Debug for Kept<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("until", &self.until()).finish_non_exhaustive()
    }
}

impl<V: ?Sized> Kept<V> {
    #[inline]
    pub(super) fn until(&self) -> Timestamp {
        Timestamp(self.until.load(Ordering::Relaxed))
    }

    /// Adds to what it weighs.
    pub(super) fn weighs(&mut self, more: usize) {
        self.weight = u32::try_from(self.weight as usize + more).unwrap_or(u32::MAX);
    }
}

impl Ends for AnyKept {
    #[inline]
    fn has_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    fn place(&self) -> u64 {
        self.hash.load(Ordering::Acquire)
    }

    fn weight(&self) -> usize {
        self.weight as usize
    }
}

impl AnyKept {
    /// A value for [`LocalTable::keep`](super::LocalTable::keep), which weighs so many bytes besides what `V` is itself.
    pub(crate) fn new<V: Any + Send + Sync>(
        owner: Option<&'static SiteId>,
        until: Timestamp,
        weight: usize,
        value: V,
    ) -> Arc<Self> {
        Arc::new(Kept {
            name: Name::new(0),
            hash: AtomicU64::new(0),
            until: atomic::AtomicU64::new(until.0),
            marks: None,
            owner,
            prefix: 0,
            weight: u32::try_from(size_of::<Kept<V>>() + weight).unwrap_or(u32::MAX),
            state: AtomicU8::new(VALID),
            used: AtomicBool::new(false),
            value: Guarded::new(value),
        })
    }

    /// The function whose value it is.
    pub(crate) const fn owner(&self) -> Option<&'static SiteId> {
        self.owner
    }

    /// The value, if it is of this type.
    #[inline]
    pub(super) fn value<V: Any>(&self) -> Option<&V> {
        self.value.downcast_ref::<Guarded<V>>()?.get()
    }

    /// Sets the end of a value that nobody else has yet.
    pub(crate) fn set_until(&mut self, until: Timestamp) {
        *self.until.get_mut() = until.0;
    }

    pub(super) fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    /// Whether it may be taken, as far as its name goes.
    #[inline]
    pub(super) fn is_valid(&self) -> bool {
        self.state.load(Ordering::Acquire) == VALID
    }

    pub(super) fn is_doubtful(&self) -> bool {
        self.state.load(Ordering::Acquire) == DOUBTFUL
    }

    /// Lets nobody take the value until it is [confirmed](Self::confirm). Called under the lock of its shard, of a value that is there and so
    /// has not ended.
    pub(super) fn doubt(&self) {
        self.state.store(DOUBTFUL, Ordering::Release);
    }

    /// Lets the value be taken until `until`, unless it has ended. Called under that lock too.
    pub(super) fn confirm(&self, until: Timestamp) -> bool {
        let confirmed = !self.has_ended();
        if confirmed {
            self.until.store(until.0, Ordering::Relaxed);
            self.state.store(VALID, Ordering::Release);
        }
        confirmed
    }

    /// Whether it has all of these tags.
    pub(crate) fn carries(&self, tags: &[u64]) -> bool {
        tags.iter().all(|tag| self.marks.as_ref().is_some_and(|marks| marks.has(*tag)))
    }

    /// Whether none of its tags was evicted.
    #[inline]
    pub(super) fn marks_hold(&self, epoch: &AtomicU64) -> bool {
        self.marks.as_ref().is_none_or(|marks| marks.hold(epoch))
    }

    #[inline]
    pub(super) fn use_it(&self) {
        if !self.used.load(Ordering::Relaxed) {
            self.used.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was taken since this was last asked.
    pub(super) fn was_used(&self) -> bool {
        self.used.load(Ordering::Relaxed) && self.used.swap(false, Ordering::Relaxed)
    }

    /// Whether it had no arguments to be found by, and has these from now on.
    pub(super) fn claim(&self, hash: u64) -> bool {
        self.hash.compare_exchange(0, hash, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }
}
