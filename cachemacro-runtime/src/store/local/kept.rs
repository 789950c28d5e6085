//! One value, with what ends it.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{self, Ordering};

use crate::ground::clock::Timestamp;
use crate::ground::panics::caught;
use crate::ground::sync::modelled::{AtomicBool, AtomicU8, AtomicU64};
use crate::observe::site::SiteId;
use crate::store::local::marks::Mark;
use crate::store::local::name::Name;

/// When a value was fetched, and when it is looked at no more.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    pub(crate) since: Timestamp,
    pub(crate) until: Timestamp,
}

/// It may be taken.
const VALID: u8 = 0;
/// The store told of a change under the value's name: it may be taken again once the store says that it still has this value.
const DOUBTFUL: u8 = 1;
/// The value may never be taken again.
const ENDED: u8 = 2;

/// A value that is kept.
pub(crate) struct Kept<V: ?Sized> {
    pub(super) name: Name,
    pub(super) prefix: u64,
    /// Of the arguments that it is found by; zero where there are none.
    pub(super) hash: AtomicU64,
    /// When the marks were seen to hold last.
    pub(super) epoch: AtomicU64,
    pub(super) marks: Box<[Arc<Mark>]>,
    pub(super) weight: usize,
    since: Timestamp,
    /// A time, which moves where the value is confirmed.
    until: atomic::AtomicU64,
    /// The function whose value it is.
    owner: Option<&'static SiteId>,
    state: AtomicU8,
    /// Whether the value was taken since the hand of the eviction last passed it.
    used: AtomicBool,
    pub(super) value: V,
}

/// A kept value whatever its type.
pub(crate) type AnyKept = Kept<dyn Any + Send + Sync>;

impl<V: ?Sized> fmt::Debug for Kept<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("times", &self.times()).finish_non_exhaustive()
    }
}

impl<V: ?Sized> Kept<V> {
    #[inline]
    pub(super) fn until(&self) -> Timestamp {
        Timestamp(self.until.load(Ordering::Relaxed))
    }

    #[inline]
    pub(super) fn times(&self) -> Times {
        Times { since: self.since, until: self.until() }
    }
}

/// A value whose drop is the user's, and may panic: it is dropped wherever the table gets to it, also in a call that has
/// nothing to do with it.
struct Guarded<V>(Option<V>);

impl<V> Drop for Guarded<V> {
    fn drop(&mut self) {
        let value = self.0.take();
        // G9.
        caught(|| drop(value));
    }
}

impl AnyKept {
    /// A value for [`LocalTable::keep`](super::LocalTable::keep), which weighs so many bytes besides what `V` is itself.
    pub(crate) fn new<V: Any + Send + Sync>(
        owner: Option<&'static SiteId>,
        times: Times,
        weight: usize,
        value: V,
    ) -> Arc<Self> {
        Arc::new(Kept {
            name: Name(0),
            prefix: 0,
            hash: AtomicU64::new(0),
            epoch: AtomicU64::new(0),
            marks: Box::default(),
            weight: size_of::<Kept<V>>() + weight,
            since: times.since,
            until: atomic::AtomicU64::new(times.until.0),
            owner,
            state: AtomicU8::new(VALID),
            used: AtomicBool::new(false),
            value: Guarded(Some(value)),
        })
    }

    /// The function whose value it is.
    pub(crate) const fn owner(&self) -> Option<&'static SiteId> {
        self.owner
    }

    /// The value, if it is of this type.
    #[inline]
    pub(super) fn value<V: Any>(&self) -> Option<&V> {
        self.value.downcast_ref::<Guarded<V>>()?.0.as_ref()
    }

    /// Sets the times of a value that nobody else has yet.
    pub(crate) fn set_times(&mut self, times: Times) {
        self.since = times.since;
        *self.until.get_mut() = times.until.0;
    }

    pub(super) fn end(&self) {
        self.state.store(ENDED, Ordering::Release);
    }

    pub(super) fn has_ended(&self) -> bool {
        self.state.load(Ordering::Acquire) == ENDED
    }

    /// Whether it may be taken, as far as its name goes.
    #[inline]
    pub(super) fn is_valid(&self) -> bool {
        self.state.load(Ordering::Acquire) == VALID
    }

    pub(super) fn is_doubtful(&self) -> bool {
        self.state.load(Ordering::Acquire) == DOUBTFUL
    }

    /// Lets nobody take the value until it is [confirmed](Self::confirm). Called under the lock of its shard, as are the two below.
    pub(super) fn doubt(&self) {
        if !self.has_ended() {
            self.state.store(DOUBTFUL, Ordering::Release);
        }
    }

    /// Lets the value be taken until `until`, unless it has ended.
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
        tags.iter().all(|tag| self.marks.iter().any(|mark| mark.tag() == *tag))
    }

    /// Whether none of its tags was evicted.
    #[inline]
    pub(super) fn marks_hold(&self, epoch: &AtomicU64) -> bool {
        if self.marks.is_empty() {
            return true;
        }
        // Marks end before the epoch is raised: what holds after this reading held at it.
        let now = epoch.load(Ordering::Acquire);
        if self.epoch.load(Ordering::Relaxed) == now {
            return true;
        }
        let hold = self.marks.iter().all(|mark| mark.holds());
        if hold {
            self.epoch.store(now, Ordering::Relaxed);
        }
        hold
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
