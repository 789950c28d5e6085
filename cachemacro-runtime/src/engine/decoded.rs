//! Decoded values that a call takes instead of asking the store: those that a store in memory holds beside its bytes, and
//! copies of what is in a store that others change too.

use std::any::TypeId;
use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::entry::Entry;
use crate::engine::raw::RawEntry;
use crate::engine::read::Usable;
use crate::format::header;
use crate::format::stamps::version_key;
use crate::ground::clock::NEVER;
use crate::ground::panics::caught;
use crate::key::CompactKey;
use crate::local::follow::LocalTier;
use crate::local::tier::{Begun, Keep};
use crate::observe::event::Event;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;
use crate::policy::site::Site;
use crate::policy::ttl::Policy;
use crate::store::AnyStore;

/// What arguments that were not written part by part begin with. No cache has such a number.
const BY_KEY: u64 = u64::MAX;

impl Core {
    /// How long copies are kept under this policy, where they are.
    #[inline]
    fn local_ttl(&self, policy: &Policy) -> Option<Duration> {
        let ttl = policy.local.or(self.settings.local);
        let ttl = if policy.validate { Some(ttl.unwrap_or(NEVER)) } else { ttl };
        ttl.filter(|ttl| !ttl.is_zero())
    }

    /// Whether decoded values may be taken for calls of the current task at this site.
    #[inline]
    pub(crate) fn keeps_decoded(&self, site: &Site) -> bool {
        let keeps = match &self.store {
            AnyStore::Memory(_) => true,
            AnyStore::Other(_) => self.local_ttl(&site.policy).is_some(),
        };
        keeps && Mode::current() == Mode::Normal && !self.is_off()
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
        let Some(bytes) = arguments.bytes() else { return Err(None) };
        if let Some(value) = self.decoded_under::<Option<V>>(&site.policy, bytes) {
            tracing::trace!(site = site.function(), event = ?Event::Hit, "cache");
            self.with_counters(site, |counters| self.hit_here(Some(counters)));
            return Ok(value);
        }
        Err(Some(bytes.into()))
    }

    #[inline]
    fn decoded_under<V: Clone + Send + Sync + 'static>(
        &self,
        policy: &Policy,
        arguments: &[u8],
    ) -> Option<V> {
        // G1, G2: an evict of a dropped call may not be done yet.
        if !self.deferred.is_idle() {
            return None;
        }
        match (&self.store, &self.local) {
            (AnyStore::Memory(store), _) => store.decoded(arguments),
            (AnyStore::Other(_), Some(local)) if !policy.validate => local.get(arguments),
            _ => None,
        }
    }
}

/// What a call that may take copies has to do with them.
pub(crate) struct LocalCall<'a> {
    local: &'a LocalTier,
    /// What its copy is known by.
    arguments: Cow<'a, [u8]>,
    ttl: Duration,
    begun: Begun,
}

impl<T: Value> Entry<T> {
    /// What this call has to do with copies, before its read is sent; `None` where nothing. `arguments` are those of its
    /// function, where they are known.
    pub(crate) fn local_call<'a>(
        &self,
        raw: &'a RawEntry,
        arguments: Option<&'a [u8]>,
    ) -> Option<LocalCall<'a>> {
        let local = raw.core.local.as_deref()?;
        let ttl = raw.core.local_ttl(&raw.policy)?;
        if Mode::current() != Mode::Normal {
            return None;
        }
        local.follow(&raw.core.store, raw.core.namespace());
        let arguments = arguments.map_or_else(|| self.by_key(raw).into(), Cow::Borrowed);
        Some(LocalCall { local, arguments, ttl, begun: local.begin() })
    }

    /// The entry's key and all that makes its value another one: what a copy is known by whose arguments are not.
    fn by_key(&self, raw: &RawEntry) -> Vec<u8> {
        let expected = self.expected();
        let mut of_type = DefaultHasher::new();
        TypeId::of::<T>().hash(&mut of_type);
        let codecs = u64::from(expected.codec) << 8 | u64::from(expected.error_codec);
        let numbers = [BY_KEY, raw.core.id, of_type.finish(), codecs, expected.schema, raw.tags.len() as u64];
        let numbers = numbers.into_iter().chain(raw.tags.iter().map(|tag| tag.hash));
        let mut bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        bytes.extend_from_slice(raw.full.as_bytes());
        bytes
    }
}

impl LocalCall<'_> {
    /// The copy, where it may be taken; `None` inside where a `None` is stored.
    #[expect(clippy::option_option, reason = "whether there is a copy, and what it is of")]
    pub(crate) fn take<V: Value>(&self, raw: &RawEntry) -> Option<Option<V>> {
        raw.core.decoded_under(&raw.policy, &self.arguments)
    }

    /// Keeps what was read for this call. A value is cloned for it.
    fn keep<V: Value>(&self, raw: &RawEntry, usable: &Usable, value: Option<V>) {
        let namespace = raw.core.namespace();
        let tags = usable.stamps().map(|stamp| version_key(namespace, stamp.tag).text.into());
        let names = std::iter::once(Arc::clone(&raw.full)).chain(tags);
        let fresh = usable.header.fresh_until.min(usable.header.gone_at).since(raw.core.store.now());
        self.local.keep(self.begun, names, Keep { arguments: &self.arguments, ttl: self.ttl, fresh, value });
    }
}

impl RawEntry {
    /// Keeps what a hit decoded, so that the next call with these arguments need not. A value is cloned for it.
    pub(crate) fn keep_decoded<V: Value>(
        &self,
        usable: &Usable,
        arguments: Option<&[u8]>,
        local: Option<&LocalCall<'_>>,
        value: Option<&V>,
    ) {
        if value.is_none() && !usable.header.has(header::NONE) {
            // An error.
            return;
        }
        match (&self.core.store, arguments, local) {
            (AnyStore::Memory(store), Some(arguments), _) => {
                let Some(value) = cloned(value) else { return };
                let namespace = self.core.namespace();
                let versions =
                    usable.stamps().map(|stamp| (version_key(namespace, stamp.tag), stamp.version));
                let until = usable.header.fresh_until.min(usable.header.gone_at);
                store.keep_decoded(&self.full, usable.bytes(), versions, until, arguments, value);
            }
            (AnyStore::Other(_), _, Some(local)) => {
                if let Some(value) = cloned(value) {
                    local.keep(self, usable, value);
                }
            }
            _ => {}
        }
    }
}

/// G6: a clone that panics is the user's; the value was read.
#[expect(clippy::option_option, reason = "whether it could be cloned, and what it is")]
fn cloned<V: Value>(value: Option<&V>) -> Option<Option<V>> {
    caught(|| value.cloned())
}
