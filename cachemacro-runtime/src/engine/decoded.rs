//! Decoded values that the store holds beside the bytes.

use crate::engine::core::Core;
use crate::engine::raw::RawEntry;
use crate::engine::read::Usable;
use crate::format::header;
use crate::format::stamps::version_key;
use crate::ground::panics::caught;
use crate::key::CompactKey;
use crate::observe::event::Event;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;
use crate::policy::site::Site;
use crate::store::AnyStore;

impl Core {
    /// Whether decoded values may be taken for calls of the current task.
    #[inline]
    pub(crate) fn keeps_decoded(&self) -> bool {
        matches!(self.store, AnyStore::Memory(_)) && Mode::current() == Mode::Normal && !self.is_off()
    }

    /// The decoded value that a call of this site reads, `None` inside where that is a stored `None`.
    ///
    /// # Errors
    /// The arguments, where there is none.
    #[inline]
    pub(crate) fn decoded<V: Value>(
        &self,
        site: &'static Site,
        arguments: &CompactKey,
    ) -> Result<Option<V>, Option<Box<[u8]>>> {
        let (AnyStore::Memory(store), Some(bytes)) = (&self.store, arguments.bytes()) else {
            return Err(None);
        };
        // G1: an evict of a dropped call may not be done yet.
        if self.deferred.is_idle()
            && let Some(value) = store.decoded::<Option<V>>(bytes)
        {
            tracing::trace!(site = site.function(), event = ?Event::Hit, "cache");
            self.with_counters(site, |counters| self.record_at(Some(counters), Event::Hit));
            return Ok(value);
        }
        Err(Some(bytes.into()))
    }
}

impl RawEntry {
    /// Keeps what a hit decoded, so that the next call with these arguments need not. A value is cloned for it.
    pub(crate) fn keep_decoded<V: Value>(&self, usable: &Usable, arguments: &[u8], value: Option<&V>) {
        let AnyStore::Memory(store) = &self.core.store else { return };
        if value.is_none() && !usable.header.has(header::NONE) {
            // An error.
            return;
        }
        // G6: a clone that panics is the user's; the value was read.
        let Some(value) = caught(|| value.cloned()) else { return };
        let namespace = self.core.namespace();
        let versions = usable.stamps().map(|stamp| (version_key(namespace, stamp.tag), stamp.version));
        let due = self.freshness().due_at(&usable.header);
        let until = due.min(usable.header.fresh_until).min(usable.header.gone_at);
        store.keep_decoded(&self.full, usable.bytes(), versions, until, arguments, value);
    }
}
