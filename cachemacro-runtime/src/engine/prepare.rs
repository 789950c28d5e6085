//! From a returned value to what is to be stored: rules, codec, compression, limits.

use std::any::{TypeId, type_name};
use std::collections::BTreeSet;
use std::error::Error as _;
use std::sync::Mutex;

use crate::engine::beside::ToTell;
use crate::engine::copying::Copying;
use crate::engine::entry::{Entry, unusable};
use crate::engine::raw::RawEntry;
use crate::engine::read::Usable;
use crate::engine::readback::Doubt;
use crate::format::codec::{BuiltinCodec, codec_id};
use crate::format::header::{self, MAX_STAMPS};
use crate::format::ids::FillId;
use crate::format::payload;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::panics::caught;
use crate::ground::sync::lock;
use crate::ground::unstorable::Unstorable;
use crate::key::tag::Tag;
use crate::observe::event::Event;
use crate::observe::site::SiteId;
use crate::policy::gathered::Gathered;
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::Rules;
use crate::policy::site::Site;
use crate::policy::ttl::Ttl;

/// How much room a value is given before it is known how long it is.
const USUAL: usize = 256;

/// Above so many inherited tags a value is not stored: each is read on a hit.
pub(crate) const MOST_INHERITED: usize = 64;

/// A value's bytes as they are stored, and what its rules said.
pub(crate) struct Prepared {
    pub(crate) payload: Vec<u8>,
    pub(crate) flags: u8,
    pub(crate) codec: u8,
    pub(crate) schema: u64,
    pub(crate) ttl: Ttl,
    /// Tags that the value named.
    pub(crate) tags: Vec<String>,
    /// Hashes of tags that it inherits.
    pub(crate) inherited: Vec<u64>,
    /// Names it in the store, where that is known before it is sent.
    pub(crate) fill_id: Option<FillId>,
    /// Has it kept in this process too. On the heap, as a value is moved about on its way to the store.
    pub(crate) copying: Option<Box<Copying>>,
    /// By what it is found.
    pub(crate) to_tell: Option<Box<ToTell>>,
}

/// What a codec made of a value, and what its rules said.
struct Encoded {
    payload: Vec<u8>,
    flags: u8,
    codec: u8,
    ttl: Ttl,
    tags: Vec<Tag>,
}

impl<T: Value> Entry<T> {
    /// Encodes a value; `None` where it is not to be stored, which is counted.
    fn prepare_value(&self, raw: &RawEntry, rules: &impl Rules<T>, value: &T) -> Option<Prepared> {
        counted(raw, self.try_prepare(raw, rules, value))
    }

    /// Encodes a value; `Ok(None)` where its rules say that it is not stored. Where it would not come back, that is told.
    pub(crate) fn try_prepare(
        &self,
        raw: &RawEntry,
        rules: &impl Rules<T>,
        value: &T,
    ) -> Result<Option<Prepared>> {
        self.encoded(raw, rules, value).inspect_err(|error| {
            if let Some(why) = why_unstorable(error) {
                raw.refuse(&self.readback(raw), why);
            }
        })
    }

    fn encoded(&self, raw: &RawEntry, rules: &impl Rules<T>, value: &T) -> Result<Option<Prepared>> {
        // What it is made of is known of a load alone, and of that only where it was recorded.
        if raw.policy.recorded && raw.recall.is_none() {
            return Ok(None);
        }
        let ruled = caught(|| self.ruled(raw, rules, value));
        let ruled = ruled.ok_or_else(|| unstorable("a rule on the value panicked", Unstorable::Panicked))?;
        let Some((ttl, tags)) = ruled else { return Ok(None) };
        let readback = self.readback(raw);
        if readback.is_given_up() {
            return Err(unreadable());
        }
        let codec = self.codec();
        let mut payload = Vec::with_capacity(USUAL);
        let skipped = codec.encode_audited(value, &mut payload)?;
        if payload.len() <= raw.core.settings.max_value && readback.wants(&skipped) {
            // What is read back is dropped inside, which may panic too.
            if caught(|| codec.decode(&payload).is_ok()) != Some(true) {
                readback.failed();
                return Err(unreadable());
            }
            readback.came_back(skipped);
        }
        // What is not stored needs no such warning.
        if let Some(unseen) = self.unseen() {
            warn_unseen(raw.site.as_ref().map(|(site, _)| *site), unseen);
        }
        let mut prepared = self.prepared(raw, Encoded { payload, flags: 0, codec: codec.id(), ttl, tags })?;
        let texts = rules.search().or_else(|| Rules::search(self.rules()));
        if let Some(texts) = texts {
            self.is_searched(texts);
        }
        prepared.to_tell = ToTell::of(raw, texts, self.similar.as_deref(), value);
        Ok(Some(prepared))
    }

    /// What the rules say of the value: how long it lives and under which tags; `None`: it is not stored.
    fn ruled(&self, raw: &RawEntry, rules: &impl Rules<T>, value: &T) -> Option<(Ttl, Vec<Tag>)> {
        let own = self.rules();
        if rules.unless(value) || own.unless(value) {
            return None;
        }
        let ttl = rules.ttl(value).or_else(|| own.ttl(value)).unwrap_or_else(|| raw.ttl());
        if !ttl.stores() {
            return None;
        }
        let mut tags = rules.tags(value);
        tags.extend(own.tags(value));
        Some((ttl, tags))
    }

    /// Encodes what was loaded or written, `None` being that there is none.
    pub(crate) fn prepare(
        &self,
        raw: &RawEntry,
        rules: &impl Rules<T>,
        value: Option<&T>,
    ) -> Option<Prepared> {
        self.prepare_recorded(raw, rules, value, None)
    }

    /// [`prepare`](Self::prepare) of what was made of what is in this record.
    pub(crate) fn prepare_recorded(
        &self,
        raw: &RawEntry,
        rules: &impl Rules<T>,
        value: Option<&T>,
        record: Option<&Gathered>,
    ) -> Option<Prepared> {
        // What was loaded may be rolled back: the body has written in a transaction.
        if raw.core.has_written() || raw.is_doubtful() || !raw.is_known(record) {
            return None;
        }
        let prepared = match value {
            Some(value) => self.prepare_value(raw, rules, value),
            None => self.prepare_none(raw),
        };
        prepared.and_then(|prepared| prepared.made_of(raw, record))
    }

    /// An entry that says `None`, where the site stores it.
    fn prepare_none(&self, raw: &RawEntry) -> Option<Prepared> {
        let ttl = raw.policy.none_ttl.unwrap_or_else(|| raw.ttl());
        let prepared = if raw.policy.cache_none && ttl.stores() && raw.admits_negative(ttl) {
            let codec = self.codec().id();
            let none = Encoded { payload: Vec::new(), flags: header::NONE, codec, ttl, tags: Vec::new() };
            self.prepared(raw, none).map(Some)
        } else {
            Ok(None)
        };
        counted(raw, prepared)
    }

    /// Encodes an `Err` with the cache's own codec, where the site stores it.
    pub(crate) fn prepare_err<R, O: Outcome<R, Value = T>>(
        &self,
        raw: &RawEntry,
        outcome: O,
        failure: &R,
        record: Option<&Gathered>,
    ) -> Option<Prepared> {
        let ttl = raw.policy.err_ttl.unwrap_or_else(|| raw.ttl());
        let is_sure = !raw.core.has_written() && !raw.is_doubtful();
        if !raw.policy.cache_err || !ttl.stores() || !is_sure || !raw.is_known(record) {
            return None;
        }
        if !raw.admits_negative(ttl) {
            return counted(raw, Ok(None));
        }
        let codec: BuiltinCodec = raw.core.settings.codec;
        let payload = outcome.encode_err(failure, codec)?;
        let id = codec_id(codec);
        let prepared = payload.and_then(|payload| {
            // Errors are few, and each is read back.
            if caught(|| outcome.decode_err(&payload, codec).is_some()) != Some(true) {
                return Err(unreadable());
            }
            let error = Encoded { payload, flags: header::ERROR, codec: id, ttl, tags: Vec::new() };
            self.prepared(raw, error).map(Some)
        });
        if let Some(why) = prepared.as_ref().err().and_then(why_unstorable) {
            let about = || (type_name::<R>(), codec.name(), Doubt::Each);
            raw.refuse(&raw.readback(TypeId::of::<T>(), id, true, about), why);
        }
        counted(raw, prepared).and_then(|prepared| prepared.made_of(raw, record))
    }

    /// Packs an encoded value, unless it or its tags are beyond the limits.
    fn prepared(&self, raw: &RawEntry, encoded: Encoded) -> Result<Prepared> {
        let Encoded { payload, flags, codec, ttl, tags } = encoded;
        if let Some(failure) = raw.failure() {
            return Err(unusable(failure));
        }
        let tags: Vec<String> = tags
            .into_iter()
            .map(|tag| tag.into_text().map_err(|failure| unusable(&failure)))
            .collect::<Result<_>>()?;
        let settings = &raw.core.settings;
        if payload.len() > settings.max_value {
            return Err(Error::new(ErrorKind::TooLarge, "the encoded value is over the size limit"));
        }
        if raw.named().len() + tags.len() > MAX_STAMPS {
            return Err(Error::new(ErrorKind::TooLarge, "the value has more tags than an entry can carry"));
        }
        let packed = payload::pack(payload, settings.compress_over);
        let schema = self.schema_hash();
        if flags & header::ERROR == 0
            && let Some(counters) = raw.counters()
        {
            counters.stores(crate::key::prefix_of(&raw.key), codec, schema, || self.layout(codec));
        }
        let flags = flags | packed.flags;
        Ok(Prepared {
            payload: packed.bytes,
            flags,
            codec,
            schema,
            ttl,
            tags,
            inherited: Vec::new(),
            fill_id: None,
            copying: None,
            to_tell: None,
        })
    }
}

impl Prepared {
    /// Under the tags of this record too, and no longer than what is in it stays fresh; `None`, which is counted, where those are more
    /// than an entry can carry.
    fn made_of(mut self, raw: &RawEntry, record: Option<&Gathered>) -> Option<Self> {
        if let Some(record) = record {
            if raw.named().len() + self.tags.len() + record.len() > MAX_STAMPS {
                raw.record(Event::NotStored);
                return None;
            }
            self.inherited = record.hashes().collect();
            self.ttl = match (self.ttl, record.ttl()) {
                (Ttl::For(ttl), Some(least)) => Ttl::For(ttl.min(least)),
                (Ttl::Never, Some(least)) => Ttl::For(least),
                (ttl, None) => ttl,
            };
        }
        Some(self)
    }

    /// Keeps the name of the value that it refreshes, where it is the same: whoever has a copy of that needs to read its header alone.
    /// Its tags must be the same too: a copy ends by those that it was made with.
    pub(crate) fn refreshes(&mut self, raw: &RawEntry, old: &Usable) {
        let header = &old.header;
        let late = self.late_tags(raw);
        let mut tags: Vec<u64> = raw.named().iter().chain(&late).map(|key| key.hash).collect();
        tags.extend(&self.inherited);
        let mut stamped: Vec<u64> = old.stamps().map(|stamp| stamp.tag).collect();
        tags.sort_unstable();
        tags.dedup();
        stamped.sort_unstable();
        stamped.dedup();
        let is_same = (self.flags, self.codec, self.schema) == (header.flags, header.codec, header.schema)
            && tags == stamped
            && old.stored_payload() == self.payload;
        if is_same && !header.fill_id.is_none() {
            self.fill_id = Some(header.fill_id);
        }
    }
}

impl RawEntry {
    /// Whether it is known what a value was made of, as far as the site asks for that; where it is not, that is counted.
    fn is_known(&self, record: Option<&Gathered>) -> bool {
        let known = match (self.policy.recorded, record) {
            (false, _) => true,
            (true, None) => false,
            (true, Some(record)) => {
                if record.is_empty() && record.is_complete() {
                    self.recall.iter().for_each(|recall| recall.recorded_nothing(self.name()));
                }
                record.is_complete_here() && !record.is_empty() && record.len() <= MOST_INHERITED
            }
        };
        if !known {
            self.record(Event::NotStored);
        }
        known
    }

    /// Whether the site may store one more entry that holds no value, of this TTL.
    fn admits_negative(&self, ttl: Ttl) -> bool {
        let core = &self.core;
        let site = self.site.as_ref().map(|(site, _)| site.id());
        core.negatives.admit(site, core.store.now(), ttl.life(!self.tags.is_empty()), core.settings.negatives)
    }
}

/// Warns, once per site, that a change of the value's type could go unnoticed.
fn warn_unseen(site: Option<&Site>, unseen: &'static str) {
    if is_news(site.map(Site::id), unseen) {
        tracing::warn!(
            site = site.map_or("entry", Site::function),
            unseen,
            "a change of this part of the value's type between deploys would go unnoticed: \
             derive `CacheSchema`, or give the site a `version` and raise it with each change"
        );
    }
}

/// Whether this process has not warned of it yet.
fn is_news(site: Option<SiteId>, unseen: &'static str) -> bool {
    static WARNED: Mutex<BTreeSet<(Option<SiteId>, &str)>> = Mutex::new(BTreeSet::new());
    lock(&WARNED).insert((site, unseen))
}

/// The error of a value that would not come back.
fn unstorable(what: &'static str, why: Unstorable) -> Error {
    Error::new(ErrorKind::Encode, what).with_source(why)
}

fn unreadable() -> Error {
    unstorable("what was encoded could not be decoded", Unstorable::Unreadable)
}

/// Why a value would not come back, where that is what is wrong. A codec's own error says no more than that it cannot hold
/// it.
fn why_unstorable(error: &Error) -> Option<Unstorable> {
    let why = error.source().and_then(|source| source.downcast_ref().copied());
    why.or((error.kind() == ErrorKind::Encode).then_some(Unstorable::Unencodable))
}

/// Counts why a value is not stored.
fn counted(raw: &RawEntry, prepared: Result<Option<Prepared>>) -> Option<Prepared> {
    match &prepared {
        Ok(Some(_)) => {}
        Ok(None) => raw.record(Event::NotStored),
        Err(error) => {
            let too_large = error.kind() == ErrorKind::TooLarge;
            raw.record(if too_large { Event::TooLarge } else { Event::NotStored });
            raw.failed(error);
        }
    }
    prepared.ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::says::Says;
    use crate::policy::ttl::Policy;

    #[test]
    fn each_site_warns_once_of_what_it_does_not_see() {
        let sites = [(7, 5, 0), (9, 5, 0)]
            .map(|place| Site::new("app", "get", place, None, Policy::new(), Says::new("")));
        for site in &sites {
            assert!(is_news(Some(site.id()), "field"));
            assert!(!is_news(Some(site.id()), "field"));
            assert!(is_news(Some(site.id()), "another field"));
        }
        assert!(is_news(None, "field"));
    }
}
