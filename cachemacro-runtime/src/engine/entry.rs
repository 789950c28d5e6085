//! The type of the typed handle to one cached value, and what reads and encodes with it. Its public verbs are in
//! [`crate::api::entry`].

use std::any::{TypeId, type_name};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::IntoDeserializer;
use serde::de::value::Error as DecimalError;

use crate::engine::alike::Similar;
use crate::engine::core::Core;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Expected, Usable};
use crate::engine::readback::{Doubt, Readback};
use crate::engine::spending;
use crate::format::codec::{CodecFor, codec_id};
use crate::format::header::{self, Header};
use crate::format::lent::lending;
use crate::format::schema::{Fingerprint, Layout, fingerprint_of};
use crate::format::stamps::tag_hash;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::panics::caught;
use crate::key::Key;
use crate::key::failure::KeyFailure;
use crate::key::tag::Tag;
use crate::observe::stats::Counters;
use crate::policy::gather;
use crate::policy::mode::Mode;
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::{EntryRules, NoRules, Rules};
use crate::policy::site::Site;

/// A typed, owned handle to one entry: its key, tags, TTL, codec and cache. Cheap to clone.
///
/// It comes from the `entry` function of an attributed function, or from [`Cache::entry`](crate::Cache::entry).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::Cache;
/// use std::time::Duration;
///
/// let cache = Cache::memory();
/// let price = cache.entry::<u64>("price", ("CHF", 7)).with_ttl(Duration::from_secs(30)).with_tags(["prices"]);
///
/// assert_eq!(price.get_or_load(async || 1200).await, 1200);
/// cache.evict_tags(["prices"]).await?;
/// assert_eq!(price.get().await?, None);
/// # Ok(())
/// # }
/// ```
pub struct Entry<T> {
    pub(crate) raw: std::result::Result<RawEntry, NoKey>,
    core: Arc<Core>,
    pub(crate) codec: Option<CodecFor<T>>,
    pub(crate) schema: fn() -> Fingerprint,
    pub(crate) rules: EntryRules<T>,
    /// Values may bring tags of their own, so loads are guarded against evicts of every tag.
    pub(crate) late_tags: bool,
    /// Bytes within values are shared with what was read.
    pub(crate) lends: bool,
    /// What its caller knows it by.
    pub(crate) known_by: Option<Arc<KnownBy>>,
    /// Its question, where those that mean the same share an answer and somebody finds them.
    pub(crate) similar: Option<Arc<Similar<T>>>,
}

/// What an entry is made of, in its caller's own bytes.
pub(crate) struct KnownBy(pub(crate) Vec<u8>);

/// Why the arguments cannot be a key, and the site that errors count for.
#[derive(Debug, Clone)]
pub(crate) struct NoKey {
    error: Error,
    site: Option<Arc<Counters>>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            raw: self.raw.clone(),
            core: self.core.clone(),
            codec: self.codec,
            schema: self.schema,
            rules: self.rules,
            late_tags: self.late_tags,
            lends: self.lends,
            known_by: self.known_by.clone(),
            similar: self.similar.clone(),
        }
    }
}

impl<T> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("key", &self.raw.as_ref().map(|raw| &raw.key)).finish_non_exhaustive()
    }
}

impl<T: Value> Entry<T> {
    pub(crate) fn new(core: Arc<Core>, site: Option<&'static Site>, key: Result<Key>) -> Self {
        let raw = match key {
            Ok(key) => Ok(RawEntry::new(core.clone(), site, key)),
            Err(error) => Err(NoKey { error, site: site.map(|site| core.site_counters(site)) }),
        };
        Self {
            raw,
            core,
            codec: None,
            schema: fingerprint_of::<T>,
            rules: EntryRules::none(),
            late_tags: false,
            lends: false,
            known_by: None,
            similar: None,
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut RawEntry)) -> Self {
        if let Ok(raw) = &mut self.raw {
            change(raw);
        }
        self
    }

    /// The same entry, counted at this site; its options stay.
    pub(crate) fn at_site(mut self, site: &'static Site, counters: Arc<Counters>) -> Self {
        match &mut self.raw {
            Ok(raw) => raw.site = Some((site, counters)),
            Err(no_key) => no_key.site = Some(counters),
        }
        self
    }

    pub(crate) fn raw(&self) -> Result<&RawEntry> {
        let raw = self.keyed()?;
        match raw.failure() {
            None => Ok(raw),
            Some(failure) => Err(unusable(failure)),
        }
    }

    /// The raw entry, for what needs the key alone and not the tags.
    pub(crate) fn keyed(&self) -> Result<&RawEntry> {
        let raw = self.raw.as_ref().map_err(|no_key| no_key.error.clone())?;
        // G7, G8: it is evicted under another name elsewhere, and this one would tell the server the key.
        if raw.is_unsealed() { Err(unusable(&KeyFailure::Unsealed)) } else { Ok(raw) }
    }

    /// Counts an error of the entry, also where it has no key.
    pub(crate) fn failed(&self, error: &Error) {
        self.core.failed_at(self.counters().as_deref(), error);
    }

    /// Tells whoever gathers what a call depends on whose value may be loaded by anybody.
    pub(crate) fn depends_on_any(&self) {
        if gather::is_on()
            && let Ok(raw) = self.raw()
        {
            if self.has_late_tags(&NoRules) {
                gather::unknown();
            }
            self.depends(raw, &NoRules, None);
        }
    }

    /// Tells whoever gathers what a call depends on whose value was loaded, or shared.
    pub(crate) fn depends(&self, raw: &RawEntry, rules: &impl Rules<T>, value: Option<&T>) {
        if !gather::is_on() {
            return;
        }
        let ruled = |value: &T| {
            let own = &self.rules;
            let tags = [rules.tags(value), Rules::tags(own, value)].into_iter().flatten();
            let hash = |tag: Tag| Some(tag_hash(&tag.into_text().ok()?));
            (
                rules.ttl(value).or_else(|| Rules::ttl(own, value)),
                tags.map(hash).collect::<Option<Vec<u64>>>(),
            )
        };
        // G6: a rule that panics is the user's.
        let (ttl, late) = match value {
            Some(value) => caught(|| ruled(value)).unwrap_or_default(),
            None => (None, Some(Vec::new())),
        };
        let ttl = ttl.unwrap_or_else(|| raw.ttl());
        if late.is_none() {
            gather::unknown();
        }
        // What was recorded was told by the load itself.
        let hashes = raw.named().iter().map(|tag| tag.hash).chain(late.into_iter().flatten());
        let hashes: Vec<u64> = hashes.collect();
        gather::depends(raw.core.id, &hashes.iter().copied(), ttl.life(!hashes.is_empty()));
    }

    /// Ready for a call that may load: where its site records, with the tags that its loads read so far.
    pub(crate) fn recalling(self) -> Self {
        if self.raw.as_ref().is_ok_and(|raw| raw.policy.recorded) {
            self.with(RawEntry::recall)
        } else {
            self
        }
    }

    /// The counters of the annotated function.
    pub(crate) fn counters(&self) -> Option<Arc<Counters>> {
        match &self.raw {
            Ok(raw) => raw.site.as_ref().map(|(_, counters)| counters.clone()),
            Err(no_key) => no_key.site.clone(),
        }
    }

    /// The raw entry, unless caching is off for this call or key or tags could not be built, which is counted.
    pub(crate) fn active(&self) -> Option<&RawEntry> {
        self.active_in(Mode::current())
    }

    /// The same for a task in this mode.
    pub(crate) fn active_in(&self, mode: Mode) -> Option<&RawEntry> {
        if self.is_off_in(mode) { None } else { self.usable() }
    }

    /// Whether caching is off for a task in this mode.
    pub(crate) fn is_off_in(&self, mode: Mode) -> bool {
        mode == Mode::Bypass || self.core.is_off()
    }

    /// Whether it is on, and nothing is to be checked that is served.
    pub(crate) fn is_usual_in(&self, mode: Mode) -> bool {
        mode != Mode::Bypass && !self.core.is_watched() && !self.core.has_written()
    }

    /// The raw entry, unless key or tags could not be built, which is counted.
    pub(crate) fn usable(&self) -> Option<&RawEntry> {
        self.raw().inspect_err(|error| self.failed(error)).ok()
    }

    /// The function's name, for spans.
    pub(crate) fn site_name(&self) -> &'static str {
        self.raw.as_ref().map_or("entry", RawEntry::name)
    }

    /// How long a call of it may wait for the store in all.
    pub(crate) fn deadline(&self) -> Option<Duration> {
        self.core.settings.deadline
    }

    /// Runs a call by hand, which may wait for the store as long as a cached one, beyond its first request.
    pub(crate) fn in_time<F: Future>(&self, call: F) -> impl Future<Output = F::Output> {
        spending::after_first(self.deadline(), call)
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) fn rules(&self) -> &EntryRules<T> {
        &self.rules
    }

    /// Whether values may name tags, by the call's rules or by the entry's.
    pub(crate) fn has_late_tags(&self, rules: &impl Rules<T>) -> bool {
        self.late_tags || rules.has_tags() || self.rules.has_tags()
    }

    pub(crate) fn codec(&self) -> CodecFor<T> {
        self.codec.unwrap_or_else(|| CodecFor::builtin(self.core.settings.codec))
    }

    /// A part of the value's type whose changes the fingerprint cannot see; `None` where there is none, or a `version`
    /// tells deploys apart.
    pub(crate) fn unseen(&self) -> Option<&'static str> {
        let looked_after = self.raw.as_ref().is_ok_and(|raw| raw.policy.version != 0);
        if looked_after { None } else { (self.schema)().unseen() }
    }

    pub(crate) fn schema_hash(&self) -> u64 {
        let version = self.raw.as_ref().map_or(0, |raw| raw.policy.version);
        (self.schema)().mix(version)
    }

    /// What tools read values of this codec by, as JSON, where they need to be told.
    pub(crate) fn layout(&self, codec: u8) -> Option<Arc<str>> {
        let is_compact = codec == self.codec().id() && self.codec().is_compact();
        if is_compact { (self.schema)().layout().and_then(as_json) } else { None }
    }

    pub(crate) fn expected(&self) -> Expected {
        Expected {
            codec: self.codec().id(),
            error_codec: codec_id(self.core.settings.codec),
            schema: self.schema_hash(),
            max_age: Mode::current().max_age(),
            freshness: self.raw.as_ref().map(RawEntry::freshness).unwrap_or_default(),
            spare: false,
            sealed: self.raw.as_ref().is_ok_and(RawEntry::is_sealed),
        }
    }

    /// What is stored, as the function would have returned it; `None` where that cannot be done.
    pub(crate) fn revive<R, O: Outcome<R, Value = T>>(
        &self,
        raw: &RawEntry,
        outcome: O,
        usable: &Usable,
    ) -> Option<R> {
        let settings = &raw.core.settings;
        if usable.header.has(header::NONE) {
            return outcome.none();
        }
        if usable.header.has(header::ERROR) {
            return outcome.decode_err(&usable.payload(settings.max_value)?, settings.codec);
        }
        self.decode(usable).map(|value| outcome.wrap(value))
    }

    /// A value whose header and checksum are right, and that the codec does not bring back: what is stored from now on
    /// is read back before.
    fn undecodable(&self, error: &Error) {
        self.failed(error);
        if let Ok(raw) = &self.raw {
            self.readback(raw).doubt();
        }
    }

    /// Whether values of this entry come back, as far as is known.
    pub(crate) fn readback(&self, raw: &RawEntry) -> Arc<Readback> {
        let codec = self.codec();
        raw.readback(TypeId::of::<T>(), codec.id(), false, || {
            let seen = (self.schema)();
            let doubt = if codec.is_compact() && seen.asks_for_any() {
                Doubt::Each
            } else if seen.unseen().is_some() {
                Doubt::Unseen
            } else {
                Doubt::None
            };
            (type_name::<T>(), codec.name(), doubt)
        })
    }

    pub(crate) fn decode(&self, usable: &Usable) -> Option<T> {
        self.decode_lent(usable).map(|(value, _)| value)
    }

    /// The same, and how many of the entry's bytes the value shares.
    pub(crate) fn decode_lent(&self, usable: &Usable) -> Option<(T, usize)> {
        if !is_value(&usable.header) {
            return None;
        }
        let payload = usable.payload(self.core.settings.max_value)?;
        if usable.header.codec == header::DECIMAL {
            let number: i64 = std::str::from_utf8(&payload).ok()?.parse().ok()?;
            let read = || T::deserialize(IntoDeserializer::<DecimalError>::into_deserializer(number)).ok();
            return caught(read).flatten().map(|value| (value, 0));
        }
        let decode = || self.codec().decode(&payload);
        let (decoded, lent) = if self.lends { lending(usable.whole(), decode) } else { (decode(), 0) };
        decoded.inspect_err(|error| self.undecodable(error)).ok().map(|value| (value, lent))
    }
}

#[cfg(feature = "reports")]
fn as_json(layout: &Layout) -> Option<Arc<str>> {
    serde_json::to_string(layout).ok().map(Arc::from)
}

/// Where nothing is reported, nobody is told.
#[cfg(not(feature = "reports"))]
const fn as_json(_layout: &Layout) -> Option<Arc<str>> {
    None
}

/// The error of an entry that is neither read nor stored.
pub(crate) fn unusable(failure: &KeyFailure) -> Error {
    let what = match failure {
        KeyFailure::Shared => "the entry's key is another function's too",
        KeyFailure::Unsealed => "the entry is to be sealed, and its cache does not seal it",
        _ => "one of the entry's tags could not be built",
    };
    Error::new(ErrorKind::Key, what).with_source(failure.clone())
}

/// Whether a value is stored under this header, neither a `None` nor an `Err`.
pub(crate) fn is_value(header: &Header) -> bool {
    !header.has(header::NONE) && !header.has(header::ERROR)
}
