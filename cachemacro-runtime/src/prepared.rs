//! From a returned value to what is to be stored: rules, codec, compression, limits.

use std::collections::BTreeSet;
use std::sync::Mutex;

use crate::codec::{BuiltinCodec, codec_id};
use crate::entry::{Entry, lacks_tag};
use crate::error::{Error, ErrorKind, Result};
use crate::header::{self, MAX_STAMPS};
use crate::key::FAILED_TAG;
use crate::locks::lock;
use crate::lookup::Target;
use crate::options::Ttl;
use crate::outcome::{Outcome, Value};
use crate::rules::Rules;
use crate::site::{Site, SiteId};
use crate::stats::Event;

/// An encoded value and what its rules said.
pub(crate) struct Prepared {
    pub(crate) payload: Vec<u8>,
    pub(crate) flags: u8,
    pub(crate) codec: u8,
    pub(crate) schema: u64,
    pub(crate) ttl: Ttl,
    /// Tags that the value named.
    pub(crate) tags: Vec<String>,
}

impl<T: Value> Entry<T> {
    /// Encodes a value; `None` where it is not to be stored, which is counted.
    fn prepare_value(&self, target: &Target, rules: &impl Rules<T>, value: &T) -> Option<Prepared> {
        counted(target, self.try_prepare(target, rules, value))
    }

    /// Encodes a value; `Ok(None)` where its rules say that it is not stored.
    pub(crate) fn try_prepare(
        &self,
        target: &Target,
        rules: &impl Rules<T>,
        value: &T,
    ) -> Result<Option<Prepared>> {
        let own = self.rules();
        if rules.unless(value) || own.unless(value) {
            return Ok(None);
        }
        let ttl = rules.ttl(value).or_else(|| own.ttl(value));
        let ttl = ttl.unwrap_or_else(|| target.ttl());
        if !ttl.stores() {
            return Ok(None);
        }
        if let Some(unseen) = self.unseen() {
            warn_unseen(target.site.as_ref().map(|(site, _)| *site), unseen);
        }
        let codec = self.codec();
        let mut payload = Vec::new();
        codec.encode(value, &mut payload)?;
        let mut tags = rules.tags(value);
        tags.extend(own.tags(value));
        self.prepared(target, payload, 0, codec.id(), ttl, tags).map(Some)
    }

    /// Encodes what was loaded or written, `None` being that there is none.
    pub(crate) fn prepare(
        &self,
        target: &Target,
        rules: &impl Rules<T>,
        value: Option<&T>,
    ) -> Option<Prepared> {
        match value {
            Some(value) => self.prepare_value(target, rules, value),
            None => self.prepare_none(target),
        }
    }

    /// An entry that says `None`, where the site stores it.
    fn prepare_none(&self, target: &Target) -> Option<Prepared> {
        let ttl = target.policy.none_ttl.unwrap_or_else(|| target.ttl());
        let prepared = if target.policy.cache_none && ttl.stores() {
            self.prepared(target, Vec::new(), header::NONE, self.codec().id(), ttl, Vec::new()).map(Some)
        } else {
            Ok(None)
        };
        counted(target, prepared)
    }

    /// Encodes an `Err` with the cache's own codec, where the site stores it.
    pub(crate) fn prepare_err<R, O: Outcome<R, Value = T>>(
        &self,
        target: &Target,
        outcome: O,
        failure: &R,
    ) -> Option<Prepared> {
        let ttl = target.ttl();
        if !target.policy.cache_err || !ttl.stores() {
            return None;
        }
        let codec: BuiltinCodec = target.cache.core().settings.codec;
        let payload = outcome.encode_err(failure, codec)?;
        let prepared = payload.and_then(|payload| {
            self.prepared(target, payload, header::ERROR, codec_id(codec), ttl, Vec::new()).map(Some)
        });
        counted(target, prepared)
    }

    fn prepared(
        &self,
        target: &Target,
        payload: Vec<u8>,
        flags: u8,
        codec: u8,
        ttl: Ttl,
        tags: Vec<String>,
    ) -> Result<Prepared> {
        if target.lacks_tag || tags.iter().any(|tag| tag == FAILED_TAG) {
            return Err(lacks_tag());
        }
        let settings = &target.cache.core().settings;
        if payload.len() > settings.max_value {
            return Err(Error::new(ErrorKind::TooLarge, "the encoded value is over the size limit"));
        }
        if target.tags.len() + tags.len() > MAX_STAMPS {
            return Err(Error::new(ErrorKind::TooLarge, "the value has more tags than an entry can carry"));
        }
        let (payload, flags) = compressed(settings, payload, flags);
        Ok(Prepared { payload, flags, codec, schema: self.schema_hash(), ttl, tags })
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

/// Counts why a value is not stored.
fn counted(target: &Target, prepared: Result<Option<Prepared>>) -> Option<Prepared> {
    match &prepared {
        Ok(Some(_)) => {}
        Ok(None) => target.record(Event::NotStored),
        Err(error) => {
            let too_large = error.kind() == ErrorKind::TooLarge;
            target.record(if too_large { Event::TooLarge } else { Event::NotStored });
            target.failed(error);
        }
    }
    prepared.ok().flatten()
}

#[cfg(feature = "compression")]
fn compressed(settings: &crate::builder::Settings, payload: Vec<u8>, flags: u8) -> (Vec<u8>, u8) {
    if settings.compress_over.is_some_and(|over| payload.len() > over)
        && let Some(smaller) = crate::codec::compress::compress(&payload)
    {
        return (smaller, flags | header::COMPRESSED);
    }
    (payload, flags)
}

#[cfg(not(feature = "compression"))]
fn compressed(_settings: &crate::builder::Settings, payload: Vec<u8>, flags: u8) -> (Vec<u8>, u8) {
    (payload, flags)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Policy;

    #[test]
    fn each_site_warns_once_of_what_it_does_not_see() {
        let sites = [(7, 5), (9, 5)].map(|place| Site::new("app", "get", place, Policy::DEFAULT));
        for site in &sites {
            assert!(is_news(Some(site.id()), "field"));
            assert!(!is_news(Some(site.id()), "field"));
            assert!(is_news(Some(site.id()), "another field"));
        }
        assert!(is_news(None, "field"));
    }
}
