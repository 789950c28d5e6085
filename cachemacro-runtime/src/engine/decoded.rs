//! Decoded values that a call takes instead of asking the store: those that a store in memory holds beside its bytes, and
//! copies of what is in a store that others change too.

use std::any::{Any, TypeId};
use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::num::NonZeroU32;
use std::time::Duration;

use foldhash::fast::RandomState;

use crate::engine::copying::Copying;
use crate::engine::core::Core;
use crate::engine::entry::Entry;
use crate::engine::prepare::Prepared;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Expected, Usable};
use crate::engine::spans;
use crate::engine::suspected::Way;
use crate::format::codec::{BuiltinCodec, CodecFor, codec_id};
use crate::format::header::{self, Header};
use crate::format::ids::FillId;
use crate::format::stamps::version_key;
use crate::ground::clock::{NEVER, Timestamp};
use crate::ground::error::Result;
use crate::ground::panics::caught;
use crate::key::parts::{self, Parts};
use crate::key::prefix_of;
use crate::local::follow::LocalTier;
use crate::local::tier::{Begun, Life, LocalCopy};
use crate::observe::site::SiteId;
use crate::policy::freshness::Age;
use crate::policy::gathered::Gathered;
use crate::policy::mode;
use crate::policy::outcome::Value;
use crate::policy::rules::Rules;
use crate::policy::site::Site;
use crate::policy::ttl::Policy;
use crate::store::local::AnyKept;
use crate::store::{AnyStore, Guarded, Origin, Placed, Query, Rebuild, some_hash};

/// What arguments that were not written part by part begin with. No cache has such a number.
const BY_KEY: u64 = u64::MAX;
/// Up to so many bytes a value is read whole where a copy of it is to be confirmed: its header would cost as much.
const SMALL: u32 = 1 << 10;

/// A copy of what is stored: `None` inside where that is a stored `None`.
struct Copied<V> {
    /// Names the value in the store.
    fill_id: FillId,
    /// How many bytes it has there, as far as that can be told.
    size: u32,
    /// Tells the codecs and the schema that it was read with from others, as part of a hash. Never zero, so that it takes no room more
    /// whether there is a copy at all.
    likeness: NonZeroU32,
    value: Option<V>,
}

impl<V> Copied<V> {
    fn new(fill_id: FillId, size: usize, likeness: NonZeroU32, value: Option<V>) -> Self {
        Self { fill_id, size: u32::try_from(size).unwrap_or(u32::MAX), likeness, value }
    }
}

impl Core {
    /// How long copies are kept under this policy, where they are.
    #[inline]
    pub(crate) fn local_ttl(&self, policy: &Policy) -> Option<Duration> {
        let ttl = policy.local.or(self.settings.local);
        let ttl = if policy.validate { Some(ttl.unwrap_or(NEVER)) } else { ttl };
        ttl.filter(|ttl| !ttl.is_zero())
    }

    /// Whether decoded values may be taken for calls of the current task at this site.
    #[inline]
    pub(crate) fn way(&self, site: &'static Site) -> Way {
        let keeps = match &self.store {
            AnyStore::Memory(_) => true,
            AnyStore::Other(_) => self.local_ttl(&site.policy).is_some(),
        };
        if keeps { self.way_to_kept(site) } else { Way::Whole }
    }

    /// The same, where there may be some.
    #[inline]
    pub(crate) fn way_to_kept(&self, site: &'static Site) -> Way {
        if !mode::is_plain() {
            return Way::Whole;
        }
        if self.is_watched() {
            return self.way_watched(site);
        }
        if self.has_written() { Way::Whole } else { Way::Short }
    }

    /// The decoded value that a call of this site reads, `None` inside where that is a stored `None`. `parts` tell the
    /// call from all others.
    ///
    /// # Errors
    /// The arguments, where there is none.
    #[inline]
    pub(crate) fn decoded<V: Value>(
        &self,
        site: &'static Site,
        parts: &impl Parts,
    ) -> std::result::Result<Option<V>, Option<Placed>> {
        let found = match (&self.store, &self.tier) {
            (AnyStore::Memory(store), _) => {
                // G6: an argument, or a clone, that panics.
                let found = caught(|| {
                    let hash = some_hash(parts::hash(store.hasher(), parts)?);
                    // G1: an evict of a dropped call may not be done yet.
                    if !self.deferred.is_idle() {
                        return None;
                    }
                    store.decoded::<V>(&Query::new(hash, |bytes: &[u8]| parts::equal(bytes, parts)))
                });
                found.flatten().ok_or_else(|| placed(store.hasher(), parts))
            }
            (AnyStore::Other(_), Some(tier)) => {
                // G6: an argument, or a clone, that panics.
                let found = caught(|| {
                    let hash = some_hash(parts::hash(tier.table().hasher(), parts)?);
                    self.copy(
                        tier,
                        &site.policy,
                        &Query::new(hash, |bytes: &[u8]| parts::equal(bytes, parts)),
                    )
                });
                found.flatten().ok_or_else(|| placed(tier.table().hasher(), parts))
            }
            (AnyStore::Other(_), None) => return Err(None),
        };
        if found.is_ok() {
            if spans::may_be_heard() {
                spans::hit_here(site.function());
            }
            self.with_counters(site, |counters| self.hit_here(Some(counters)));
        }
        found
    }

    /// The time by the coarse clock, where copies may be taken.
    #[inline]
    fn takes_copies(&self, tier: &LocalTier, policy: &Policy) -> Option<Timestamp> {
        let now = tier.on()?;
        // G2: an evict of a dropped call may not be done yet.
        (!policy.validate && self.deferred.is_idle()).then_some(now)
    }

    /// The copy that may be taken without asking the store.
    #[inline]
    #[expect(clippy::option_option, reason = "whether there is a copy, and what it is of")]
    fn copy<V: Copyable>(
        &self,
        tier: &LocalTier,
        policy: &Policy,
        query: &Query<impl Fn(&[u8]) -> bool>,
    ) -> Option<Option<V>> {
        self.look_copy(tier, policy, query, |value: Option<&V>| Some(value.cloned()))
    }

    /// What `make` makes of that copy.
    #[inline]
    pub(crate) fn look_copy<V: Copyable, R>(
        &self,
        tier: &LocalTier,
        policy: &Policy,
        query: &Query<impl Fn(&[u8]) -> bool>,
        make: impl FnOnce(Option<&V>) -> Option<R>,
    ) -> Option<R> {
        let now = self.takes_copies(tier, policy)?;
        tier.get(query, now, |copied: &Copied<V>| make(copied.value.as_ref()))
    }
}

/// What is kept decoded.
pub(crate) trait Copyable: Clone + Send + Sync + 'static {}

impl<V: Clone + Send + Sync + 'static> Copyable for V {}

/// Arguments to keep a copy under.
#[cold]
fn placed(hasher: &RandomState, parts: &impl Parts) -> Option<Placed> {
    let placed = caught(|| {
        let hash = some_hash(parts::hash(hasher, parts)?);
        Some(Placed { hash, bytes: parts::written(parts)? })
    });
    placed.flatten()
}

/// A call whose value is kept decoded.
pub(crate) struct Known<'a> {
    placed: Placed,
    copies: Option<Copies<'a>>,
}

/// Where copies are kept.
struct Copies<'a> {
    tier: &'a LocalTier,
    ttl: Duration,
    likeness: NonZeroU32,
    /// The request that is sent next.
    begun: Option<Begun>,
}

impl<T: Value> Entry<T> {
    /// What is kept of this call, before its read is sent; `None` where nothing. `arguments` are those of its function, where
    /// they are known.
    pub(crate) fn known<'a>(
        &self,
        core: &'a Core,
        raw: &RawEntry,
        arguments: Option<Placed>,
    ) -> Option<Known<'a>> {
        self.known_as::<T>(core, raw, arguments)
    }

    /// The same of what is kept as a `V`.
    pub(crate) fn known_as<'a, V: Copyable>(
        &self,
        core: &'a Core,
        raw: &RawEntry,
        arguments: Option<Placed>,
    ) -> Option<Known<'a>> {
        let Some(tier) = core.tier.as_deref() else {
            // What is sealed lies nowhere in plain.
            if raw.is_sealed() {
                return None;
            }
            return arguments.map(|placed| Known { placed, copies: None });
        };
        let ttl = core.local_ttl(&raw.policy)?;
        if !mode::is_plain() {
            return None;
        }
        tier.follow(&core.store, core.namespace());
        if !tier.is_on() && !raw.policy.validate {
            return None;
        }
        let placed = arguments.unwrap_or_else(|| {
            let bytes = self.by_key::<V>(raw);
            Placed { hash: tier.table().hash(&bytes), bytes }
        });
        let copies = Copies { tier, ttl, likeness: self.likeness(), begun: None };
        Some(Known { placed, copies: Some(copies) })
    }

    /// Tells codecs and schema from others.
    fn likeness(&self) -> NonZeroU32 {
        let expected = self.expected();
        let mut likeness = DefaultHasher::new();
        (expected.codec, expected.error_codec, expected.schema).hash(&mut likeness);
        let [.., a, b, c, d] = likeness.finish().to_le_bytes();
        NonZeroU32::new(u32::from_le_bytes([a, b, c, d])).unwrap_or(NonZeroU32::MIN)
    }

    /// The entry's key and all that makes its value another one: what a copy is known by whose arguments are not.
    fn by_key<V: Copyable>(&self, raw: &RawEntry) -> Vec<u8> {
        let expected = self.expected();
        let mut of_type = DefaultHasher::new();
        TypeId::of::<V>().hash(&mut of_type);
        let codecs = u64::from(expected.codec) << 8 | u64::from(expected.error_codec);
        let numbers =
            [BY_KEY, raw.core.id, of_type.finish(), codecs, expected.schema, raw.named().len() as u64];
        let numbers = numbers.into_iter().chain(raw.named().iter().map(|tag| tag.hash));
        let mut bytes: Vec<u8> = numbers.flat_map(u64::to_le_bytes).collect();
        bytes.extend_from_slice(raw.full.as_bytes());
        bytes
    }

    /// What is to be stored of a load, and kept here, under these arguments; `old`: the value that it refreshes; `record`: what it read.
    pub(crate) fn prepare_copied(
        &self,
        raw: &RawEntry,
        rules: &impl Rules<T>,
        loaded: Option<&T>,
        old: Option<&Usable>,
        placed: Option<Box<Placed>>,
        record: Option<&Gathered>,
    ) -> Option<Prepared> {
        let mut prepared = self.prepare_recorded(raw, rules, loaded, record)?;
        if let Some(old) = old {
            prepared.refreshes(raw, old);
        }
        if let Some(placed) = placed {
            self.copies(raw, *placed, &mut prepared, loaded);
        }
        Some(prepared)
    }

    /// Has what is stored of a load kept here too, under these arguments.
    fn copies(&self, raw: &RawEntry, placed: Placed, prepared: &mut Prepared, value: Option<&T>) {
        let (Some(tier), Some(ttl)) = (raw.core.tier.as_deref(), raw.core.local_ttl(&raw.policy)) else {
            return;
        };
        let (size, unpacked) = (prepared.weight(raw), prepared.unpacked_len(raw));
        if !tier.may_keep(size) || !mode::is_plain() {
            return;
        }
        // G6: a clone that panics is the user's; the value was loaded.
        let Some(value) = caught(|| value.cloned()) else { return };
        let fill_id = *prepared.fill_id.get_or_insert_with(|| raw.core.store.fill_id());
        let copied = Copied::new(fill_id, size, self.likeness(), value);
        let copy = LocalCopy::new(placed, raw.owner(), (size, unpacked), copied);
        let copying = Copying { raw: raw.clone(), expected: self.expected(), ttl, fill_id, copy };
        prepared.copying = Some(Box::new(copying));
    }
}

impl Known<'_> {
    /// To be called before a request is sent whose value is to be kept.
    pub(crate) fn begin(&mut self, raw: &RawEntry) {
        if let Some(copies) = &mut self.copies {
            copies.begun = Some(raw.begin_copy(copies.tier, raw.tags.iter().map(|tag| tag.hash)));
        }
    }

    /// The copy that may be taken without asking the store; `None` inside where a `None` is stored.
    #[expect(clippy::option_option, reason = "whether there is a copy, and what it is of")]
    pub(crate) fn copy<V: Copyable>(&self, raw: &RawEntry) -> Option<Option<V>> {
        let Copies { tier, likeness, .. } = self.copies.as_ref()?;
        // G6: a clone that panics is the user's.
        let by_arguments = caught(|| raw.core.copy(tier, &raw.policy, &self.query())).flatten();
        by_arguments.or_else(|| {
            raw.core.takes_copies(tier, &raw.policy)?;
            // A call that names it in another way has kept it: a function, and the entry that it makes.
            let same = |kept: &AnyKept| {
                kept.owner() == raw.owner() && raw.named().iter().all(|tag| kept.carries(&[tag.hash]))
            };
            let make = |copied: &Copied<V>| (copied.likeness == *likeness).then(|| copied.value.clone());
            caught(|| tier.get_named(&raw.full, same, make)).flatten()
        })
    }

    /// The value in the store that the copy is of, where that may not be taken as it is, and how many bytes it has there.
    pub(crate) fn to_confirm<V: Copyable>(&self) -> Option<(FillId, u32)> {
        let Copies { tier, .. } = self.copies.as_ref()?;
        tier.find(&self.query(), |copied: &Copied<V>| Some((copied.fill_id, copied.size)))
    }

    /// A large copy that may not be taken as it is, where the store says by the entry's header alone that it has that value still, and
    /// `same` holds; `None` where the entry is to be read whole.
    ///
    /// # Errors
    /// Where the store could not be asked.
    pub(crate) async fn still_stored<V: Copyable>(
        &self,
        raw: &RawEntry,
        expected: Expected,
        same: impl Fn(Option<&V>, &Header) -> bool,
    ) -> Result<Option<Option<V>>> {
        let Some((fill_id, size)) = self.to_confirm::<V>() else { return Ok(None) };
        // What is sealed is read whole in any case.
        if size <= SMALL || raw.is_sealed() {
            return Ok(None);
        }
        let Some(header) = Box::pin(raw.peek(expected)).await? else { return Ok(None) };
        if header.fill_id != fill_id || raw.freshness().age(&header, raw.core.store.now()) != Some(Age::Fresh)
        {
            return Ok(None);
        }
        Ok(self.confirmed_if(raw, &header, |value| same(value, &header)))
    }

    /// The copy of this very value, which the store has. It may be taken from now on, unless something changed since the store was
    /// asked.
    #[expect(clippy::option_option, reason = "whether there is a copy, and what it is of")]
    pub(crate) fn confirmed<V: Copyable>(&self, raw: &RawEntry, header: &Header) -> Option<Option<V>> {
        self.confirmed_if(raw, header, |_: Option<&V>| true)
    }

    /// The same of a copy for which `same` holds.
    #[expect(clippy::option_option, reason = "whether there is a copy, and what it is of")]
    pub(crate) fn confirmed_if<V: Copyable>(
        &self,
        raw: &RawEntry,
        header: &Header,
        same: impl Fn(Option<&V>) -> bool,
    ) -> Option<Option<V>> {
        let Copies { tier, ttl, begun, .. } = self.copies.as_ref()?;
        let is = |copied: &Copied<V>| copied.fill_id == header.fill_id && same(copied.value.as_ref());
        let same = |copied: &Copied<V>| is(copied).then(|| copied.value.clone());
        let value = caught(|| tier.find(&self.query(), same)).flatten()?;
        if let Some(begun) = begun {
            tier.confirm(begun, &self.query(), is, raw.life_of_copy(header, *ttl));
        }
        Some(value)
    }

    fn query(&self) -> Query<impl Fn(&[u8]) -> bool> {
        Query::new(self.placed.hash, |bytes| bytes == self.placed.bytes)
    }

    /// What a copy of what is loaded instead is kept under, where one is.
    pub(crate) fn into_placed(self) -> Option<Box<Placed>> {
        self.copies.is_some().then(|| Box::new(self.placed))
    }

    /// Keeps what was read for this call, so that the next one with these arguments need not decode it. A value is cloned for it.
    /// `lends`: it shares bytes with what was read.
    pub(crate) fn keep<V: Value>(self, raw: &RawEntry, usable: &Usable, value: Option<&V>, lends: bool) {
        if value.is_none() && !usable.header.has(header::NONE) {
            // An error.
            return;
        }
        // G6: a clone that panics is the user's; the value was read.
        let Some(value) = caught(|| value.cloned()) else { return };
        // What it lent goes with the value.
        let rebuild = (!lends).then_some(rebuilt::<V> as Rebuild);
        self.keep_made(raw, usable, value, (rebuild, 0));
    }

    /// Keeps what was made of what was read. `rebuild`: what gives those bytes again, where something may; `lent`: how many of them it shares.
    pub(crate) fn keep_made<V: Copyable>(
        self,
        raw: &RawEntry,
        usable: &Usable,
        value: Option<V>,
        (rebuild, lent): (Option<Rebuild>, usize),
    ) {
        let header = &usable.header;
        match (&raw.core.store, self.copies) {
            (AnyStore::Memory(store), _) => {
                let namespace = raw.core.namespace();
                let versions =
                    usable.stamps().map(|stamp| (version_key(namespace, stamp.tag), stamp.version));
                let until = raw.due(header);
                let bytes = usable.bytes();
                let head = bytes.len() - usable.stored_payload().len();
                let value = Guarded::of(value);
                let of = (raw.site.as_ref().map(|(site, _)| site.id()), TypeId::of::<V>());
                let may = value.get().is_some() && !header.has(header::COMPRESSED);
                let may = may && !raw.core.rebuilds.are_vain(of);
                let rebuild = rebuild.filter(|rebuild| {
                    let is_same = may && rebuild(&bytes[..head], &value).as_deref() == Some(bytes);
                    if may && !is_same {
                        raw.core.rebuilds.failed(of);
                    }
                    is_same
                });
                let (named, origin) = (
                    (&*raw.full, &self.placed),
                    // The store counts what is shared once.
                    (
                        bytes,
                        Origin {
                            size: usable.unpacked_len().saturating_sub(lent),
                            head: &bytes[..head],
                            rebuild,
                        },
                    ),
                );
                store.keep_decoded(named, origin, versions, until, value);
            }
            (AnyStore::Other(_), Some(Copies { tier, ttl, likeness, begun: Some(begun) })) => {
                let unnamed = usable.stamps().map(|stamp| stamp.tag);
                let unnamed = unnamed.filter(|hash| raw.tags.iter().all(|tag| tag.hash != *hash));
                let size = usable.bytes().len();
                let copied = Copied::new(header.fill_id, size, likeness, value);
                let copy = LocalCopy::new(self.placed, raw.owner(), (size, usable.unpacked_len()), copied);
                tier.keep(begun, unnamed, raw.life_of_copy(header, ttl), copy);
            }
            (AnyStore::Other(_), _) => {}
        }
    }
}

/// All bytes of an entry, of which header and stamps are at hand, from its value; `None` where it encodes to something else than was
/// stored.
fn rebuilt<V: Value>(head: &[u8], value: &(dyn Any + Send + Sync)) -> Option<Vec<u8>> {
    encoded(head, value.downcast_ref::<Guarded<V>>()?.get()?)
}

/// The same of the value itself.
pub(crate) fn encoded<V: Value>(head: &[u8], value: &V) -> Option<Vec<u8>> {
    let header = Header::parse(head).ok()?;
    let codec = BuiltinCodec::ALL.iter().find(|codec| codec_id(**codec) == header.codec)?;
    if header.has(header::COMPRESSED) || header.has(header::SEALED) {
        return None;
    }
    let mut bytes = Vec::with_capacity(header.total_len());
    bytes.extend_from_slice(head);
    CodecFor::<V>::builtin(*codec).encode(value, &mut bytes).ok()?;
    header::Parts::parse(&bytes).is_ok().then_some(bytes)
}

impl RawEntry {
    /// The function whose value it is.
    fn owner(&self) -> Option<&'static SiteId> {
        self.site.as_ref().map(|(site, _)| site.place())
    }

    /// When this value is to be read or loaded anew.
    fn due(&self, header: &Header) -> Timestamp {
        // Once it is to be loaded anew, a call must see so.
        self.freshness().due_at(header).min(header.fresh_until).min(header.gone_at)
    }

    /// How long a copy of this value may be taken.
    pub(crate) fn life_of_copy(&self, header: &Header, ttl: Duration) -> Life {
        Life { ttl, fresh: self.due(header).since(self.core.store.now()) }
    }

    /// To be called before a request is sent whose value, which has these tags, is to be kept.
    pub(crate) fn begin_copy(&self, tier: &LocalTier, tags: impl IntoIterator<Item = u64>) -> Begun {
        tier.begin(&self.full, &self.core.full_text(prefix_of(&self.key)), tags)
    }
}
