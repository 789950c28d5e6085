//! Values at hand: what lookups by hand found, kept decoded and with its header.
//!
//! They are kept as what functions read is, and end as it does: see [`decoded`](crate::engine::decoded). A caller that has a name of its own
//! for what an entry is made of takes one without making the entry.

use std::any::Any;
use std::hash::{BuildHasher as _, Hasher as _};

use foldhash::fast::RandomState;

use crate::engine::core::Core;
use crate::engine::decoded::{Known, encoded};
use crate::engine::entry::Entry;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Expected, Found, Usable};
use crate::engine::spans;
use crate::engine::suspected::Way;
use crate::format::header::Header;
use crate::ground::error::Result;
use crate::ground::panics::caught;
use crate::policy::freshness::Age;
use crate::policy::outcome::Value;
use crate::policy::site::Site;
use crate::policy::ttl::Policy;
use crate::store::{AnyStore, Guarded, Placed, Query, Rebuild, some_hash};

/// What bytes of a caller's own begin with. No cache has such a number, and neither have keys.
const BY_CALLER: u64 = u64::MAX - 1;

/// A value with the header that it is stored under.
#[derive(Clone)]
pub(crate) struct AtHand<T> {
    header: Header,
    value: T,
}

impl<T> AtHand<T> {
    pub(crate) fn into_found(self) -> Found<T> {
        Found { value: self.value, header: self.header, age: Age::Fresh }
    }

    /// Whether this caller takes it.
    pub(crate) fn is_taken_by(&self, accept: &impl Fn(&T, &Header) -> bool) -> bool {
        accept(&self.value, &self.header)
    }
}

/// What values of this cache are kept under whose callers know them by these bytes: a beginning that no other has, and the bytes.
fn beginning(cache: u64) -> [u8; 16] {
    let mut beginning = [0; 16];
    let (first, rest) = beginning.split_at_mut(8);
    first.copy_from_slice(&BY_CALLER.to_le_bytes());
    rest.copy_from_slice(&cache.to_le_bytes());
    beginning
}

fn hash(hasher: &RandomState, cache: u64, known_by: &[u8]) -> u64 {
    let mut hash = hasher.build_hasher();
    hash.write_u64(cache);
    hash.write(known_by);
    some_hash(hash.finish())
}

/// All bytes of an entry, of which header and stamps are at hand, from what is kept of it.
fn rebuilt<T: Value>(head: &[u8], held: &(dyn Any + Send + Sync)) -> Option<Vec<u8>> {
    encoded(head, &held.downcast_ref::<Guarded<AtHand<T>>>()?.get()?.value)
}

impl Core {
    /// Whether values of entries with this policy may be at hand at all.
    #[inline]
    pub(crate) fn keeps_at_hand(&self, policy: &Policy) -> bool {
        match &self.store {
            AnyStore::Memory(_) => true,
            // Whoever takes a value by its own bytes does not ask the store whether it holds still.
            AnyStore::Other(_) => !policy.validate && self.local_ttl(policy).is_some(),
        }
    }

    /// What `take` makes of the value that is at hand under these bytes of its caller's.
    #[inline]
    pub(crate) fn at_hand<T: Value, R>(
        &self,
        site: &'static Site,
        known_by: &[u8],
        take: impl FnOnce(&T, &Header) -> Option<R>,
    ) -> Option<R> {
        if self.way_to_kept(site) != Way::Short {
            return None;
        }
        let take = |held: Option<&AtHand<T>>| held.and_then(|held| take(&held.value, &held.header));
        let beginning = beginning(self.id);
        let is = |bytes: &[u8]| bytes.strip_prefix(&beginning).is_some_and(|rest| rest == known_by);
        // G6: a closure that panics is the caller's.
        let taken = caught(|| match (&self.store, &self.tier) {
            // G1: an evict of a dropped call may not be done yet.
            (AnyStore::Memory(store), _) if self.deferred.is_idle() => {
                store.look_decoded(&Query::new(hash(store.hasher(), self.id, known_by), is), take)
            }
            (AnyStore::Other(_), Some(tier)) => {
                let hash = hash(tier.table().hasher(), self.id, known_by);
                self.look_copy(tier, &site.policy, &Query::new(hash, is), take)
            }
            _ => None,
        });
        let taken = taken.flatten()?;
        if spans::may_be_heard() {
            spans::hit_here(site.function());
        }
        self.with_counters(site, |counters| self.hit_here(Some(counters)));
        Some(taken)
    }

    /// Bytes of a caller's own, to keep a value under.
    fn placed_by_caller(&self, known_by: &[u8]) -> Option<Placed> {
        let hasher = match (&self.store, &self.tier) {
            (AnyStore::Memory(store), _) => store.hasher(),
            (AnyStore::Other(_), tier) => tier.as_ref()?.table().hasher(),
        };
        let bytes = [&beginning(self.id), known_by].concat();
        Some(Placed { hash: hash(hasher, self.id, known_by), bytes })
    }
}

impl<T: Value> Entry<T> {
    /// What is kept of a lookup, before its read is sent; `None` where nothing.
    pub(crate) fn known_by_hand<'a>(&self, core: &'a Core, raw: &RawEntry) -> Option<Known<'a>> {
        // Whoever takes a value by its own bytes does not ask the store whether it holds still.
        let known_by = self.known_by.as_ref().filter(|_| !raw.policy.validate);
        let placed = known_by.and_then(|known_by| core.placed_by_caller(&known_by.0));
        self.known_as::<AtHand<T>>(core, raw, placed)
    }

    /// The value of an entry that may be used, which is kept.
    ///
    /// # Errors
    /// What was decoded, where `accept` turns it down.
    pub(crate) fn decode_and_keep<'k>(
        &self,
        raw: &RawEntry,
        usable: &Usable,
        accept: impl FnOnce(&T) -> bool,
        known: impl FnOnce() -> Option<Known<'k>>,
    ) -> std::result::Result<T, Option<T>> {
        let (value, lent) = self.decode_lent(usable).ok_or(None)?;
        if !accept(&value) {
            return Err(Some(value));
        }
        if usable.age == Age::Fresh
            && let Some(known) = known()
            // G6: a clone that panics is the user's; the value was read.
            && let Some(value) = caught(|| value.clone())
        {
            let rebuild = (!self.lends).then_some(rebuilt::<T> as Rebuild);
            known.keep_made(raw, usable, Some(AtHand { header: usable.header, value }), (rebuild, lent));
        }
        Ok(value)
    }
}

impl Known<'_> {
    /// The copy of a lookup that may not be taken as it is, where the store says that it has that value still.
    ///
    /// # Errors
    /// Where the store could not be asked.
    pub(crate) async fn held_still<T: Value>(
        &self,
        raw: &RawEntry,
        expected: Expected,
    ) -> Result<Option<AtHand<T>>> {
        // A refresh that changes nothing keeps the name of a value, and not its times.
        let same = |held: Option<&AtHand<T>>, header: &Header| {
            held.is_some_and(|held| {
                let times = |header: &Header| (header.stored_at, header.fresh_until, header.gone_at);
                times(&held.header) == times(header)
            })
        };
        Ok(self.still_stored(raw, expected, same).await?.flatten())
    }
}
