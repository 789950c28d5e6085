//! The type of the handle to one value of a sync function, and the steps of a call on it. Its public verbs are in
//! [`crate::api::local`].

use std::any::{Any, TypeId};
use std::cell::Cell;
use std::fmt;
use std::hash::BuildHasher as _;
use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{Ordering, fence};
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::removals::Removals;
use crate::engine::settings::DEFAULT_WAIT;
use crate::engine::targets::Targets;
use crate::engine::threads::{Of, Seat};
use crate::format::stamps::tag_hash;
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::panics::caught;
use crate::key::failure::KeyFailure;
use crate::key::parts::{self, Parts};
use crate::key::tag::Tag;
use crate::key::{Key, digest, prefix_of};
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::observe::stats::Counters;
use crate::policy::gather;
use crate::policy::mode::{self, Mode};
use crate::policy::outcome::{Outcome, Shared};
use crate::policy::rules::{EntryRules, Rules};
use crate::policy::site::Site;
use crate::policy::ttl::Ttl;
use crate::store::local::{AnyKept, Look, Name, Pending};
use crate::store::{Placed, Query, some_hash};

/// What is kept of what a function returned.
pub(crate) enum Stored<V> {
    Value(V),
    None,
    Err(Shared),
}

/// The same, and when it was loaded.
struct Loaded<V> {
    since: Timestamp,
    stored: Stored<V>,
}

impl<V: Clone> Stored<V> {
    /// As the function returned it.
    #[inline]
    pub(crate) fn revive<R, O: Outcome<R, Value = V>>(&self, outcome: O) -> Option<R> {
        match self {
            Stored::Value(value) => Some(outcome.wrap(value.clone())),
            Stored::None => outcome.none(),
            Stored::Err(shared) => outcome.unshare_err(shared),
        }
    }
}

/// A handle to what one call of a sync function keeps in this process. Cheap to clone.
///
/// It comes from the `entry` function of an attributed function.
///
/// ```
/// # mod cachemacro {
/// #     pub use cachemacro_derive::cached;
/// #     pub use cachemacro_runtime::*;
/// #     pub use cachemacro_runtime::__private;
/// # }
/// use cachemacro::{Cache, cached};
///
/// #[cached(key = "{n}", entry = square_entry, crate = cachemacro)]
/// fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let cache = Cache::memory();
/// cache.scope_sync(|| {
///     square(7);
///     assert_eq!(square_entry(7).get(), Some(49));
///     assert!(square_entry(7).evict());
///     assert_eq!(square_entry(7).get(), None);
/// });
/// ```
pub struct LocalEntry<T> {
    pub(crate) raw: LocalRaw,
    pub(crate) rules: EntryRules<T>,
    value: PhantomData<fn() -> T>,
}

impl<T> Clone for LocalEntry<T> {
    fn clone(&self) -> Self {
        Self { raw: self.raw.clone(), rules: self.rules, value: PhantomData }
    }
}

impl<T> fmt::Debug for LocalEntry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEntry").field("key", &self.raw.key.as_ref().ok()).finish_non_exhaustive()
    }
}

/// The same without its type.
#[derive(Clone)]
pub(crate) struct LocalRaw {
    pub(crate) core: Arc<Core>,
    pub(crate) site: &'static Site,
    counters: Arc<Counters>,
    pub(crate) key: Result<Key>,
    name: Name,
    prefix: u64,
    tags: Vec<u64>,
    ttl: Option<Ttl>,
    /// A tag could not be built.
    unusable: Option<KeyFailure>,
}

impl<T> LocalEntry<T> {
    pub(crate) fn new(core: Arc<Core>, site: &'static Site, key: Result<Key>) -> Self {
        let counters = core.site_counters(site);
        let (name, prefix) = match &key {
            Ok(key) => (core.name_of(&core.full_key(key)), core.prefix_here(&core.full_text(prefix_of(key)))),
            Err(_) => (Name::new(0), 0),
        };
        let raw =
            LocalRaw { core, site, counters, key, name, prefix, tags: Vec::new(), ttl: None, unusable: None };
        Self { raw, rules: EntryRules::none(), value: PhantomData }
    }
}

impl LocalRaw {
    pub(crate) fn tag(&mut self, tag: &str) {
        let hash = tag_hash(tag);
        if !self.tags.contains(&hash) {
            self.tags.push(hash);
        }
    }

    pub(crate) fn built_tag(&mut self, tag: Tag) {
        match tag.into_text() {
            Ok(tag) => self.tag(&tag),
            Err(failure) => self.unusable = Some(failure),
        }
    }

    pub(crate) fn set_ttl(&mut self, ttl: Ttl) {
        self.ttl = Some(ttl);
    }

    pub(crate) fn record(&self, event: Event) {
        tracing::trace!(site = self.site.function(), ?event, "cache");
        self.core.record_at(Some(&self.counters), event);
    }

    pub(crate) fn load_took(&self, took: Duration) {
        self.core.loaded(Some(&self.counters), took);
    }

    /// Whether calls of this entry are kept: caching is on for the current task, and key and tags could be built, or it is counted
    /// that they could not.
    pub(crate) fn is_active(&self) -> bool {
        if self.core.is_bypassed() {
            return false;
        }
        let failed = match (&self.key, &self.unusable) {
            (Err(error), _) => error.clone(),
            (_, Some(failure)) => unusable(failure),
            _ => return true,
        };
        self.core.failed_at(Some(&self.counters), &failed);
        false
    }

    /// The same for a put, which stores nothing where evicts are collected: its value may be rolled back.
    pub(crate) fn is_active_put(&self) -> bool {
        !self.core.puts_evict() && self.is_active()
    }

    /// How long to wait for another thread's load.
    pub(crate) fn wait(&self) -> Duration {
        let wait = self.site.policy.wait.unwrap_or(self.core.settings.wait);
        if wait.is_zero() && self.site.policy.wait.is_none() { DEFAULT_WAIT } else { wait }
    }

    pub(crate) fn ttl(&self) -> Ttl {
        self.ttl.or(self.site.policy.ttl).unwrap_or(self.core.settings.ttl)
    }

    fn is_own(&self, kept: &AnyKept) -> bool {
        kept.owner() == Some(&self.site.id())
    }

    /// What is kept, as `make` makes it; else why nothing is of use.
    pub(crate) fn look<V: Any, R>(
        &self,
        placed: Option<Placed>,
        make: impl FnOnce(&Stored<V>) -> Option<R>,
    ) -> Result<R, MissReason> {
        let table = self.core.local();
        let (now, max_age) = (table.now(), Mode::current().max_age());
        let (mut too_old, lacking) = (false, Cell::new(false));
        // G1: an evict of a tag that this call names and the value has not would not have removed it.
        let same = |kept: &AnyKept| {
            let carries = kept.carries(&self.tags);
            lacking.set(!carries);
            self.is_own(kept) && carries
        };
        let looked = table.get_named(self.name, same, placed, |loaded: &Loaded<V>, _| {
            too_old = max_age.is_some_and(|age| now.since(loaded.since) > age);
            if too_old { None } else { caught(|| make(&loaded.stored)).flatten() }
        });
        match looked {
            Look::Found(found) => Ok(found),
            Look::Absent if too_old => Err(MissReason::TooOld),
            Look::Absent if lacking.get() => Err(MissReason::TagLacking),
            Look::Absent => Err(MissReason::Absent),
            Look::Expired => Err(MissReason::Expired),
            Look::TagEvicted => Err(MissReason::TagEvicted),
        }
    }

    /// Until when what is kept is.
    pub(crate) fn until<V: Any>(&self) -> Option<Timestamp> {
        let look = |_: &Loaded<V>, until| Some(until);
        let same = |kept: &AnyKept| self.is_own(kept) && kept.carries(&self.tags);
        match self.core.local().get_named(self.name, same, None, look) {
            Look::Found(until) => Some(until),
            _ => None,
        }
    }

    /// Begins a load, or a put, which outdates the loads of others; `late`: the value may name tags.
    pub(crate) fn begin(&self, late: bool, is_put: bool) -> Pending {
        let tags = self.tags.iter().copied();
        let pending = self.core.local().begin(self.name, self.prefix, tags, late, is_put);
        // An evict that does not see it comes before what is loaded.
        fence(Ordering::SeqCst);
        pending
    }

    /// A seat in the load of this entry.
    pub(crate) fn join<V: Any>(&self, late: bool) -> Seat<'_> {
        let mut tags = self.tags.clone();
        tags.sort_unstable();
        let of = Of { name: self.name, owner: self.site.id(), value: TypeId::of::<Stored<V>>(), tags };
        self.core.threads.join(of, || self.begin(late, false))
    }

    /// Evicts it, unless the task collects evicts; tells whether something was there.
    pub(crate) fn evict(&self) -> bool {
        if self.key.as_ref().is_ok_and(|key| self.core.collects(&Removals::of(key))) {
            return false;
        }
        let existed = self.core.local().evict(self.name);
        if existed {
            self.core.record_at(Some(&self.counters), Event::Evict(1));
        }
        existed
    }
}

fn unusable(failure: &KeyFailure) -> Error {
    Error::new(ErrorKind::Key, "one of the entry's tags could not be built").with_source(failure.clone())
}

/// A value with what its rules said.
struct Ruled {
    ttl: Ttl,
    tags: Vec<Tag>,
}

impl<T: Any + Clone + Send + Sync> LocalEntry<T> {
    /// Whether values may name tags.
    pub(crate) fn has_late_tags(&self, rules: &impl Rules<T>) -> bool {
        rules.has_tags() || self.rules.has_tags()
    }

    fn ruled(&self, rules: &impl Rules<T>, value: &T) -> Option<Ruled> {
        let own = &self.rules;
        if rules.unless(value) || own.unless(value) {
            return None;
        }
        let ttl = rules.ttl(value).or_else(|| own.ttl(value)).unwrap_or_else(|| self.raw.ttl());
        let mut tags = rules.tags(value);
        tags.extend(own.tags(value));
        ttl.stores().then_some(Ruled { ttl, tags })
    }

    /// Keeps what was loaded or written, `None` being that there is none; tells whether it is kept. Where it was not to be, that is
    /// counted.
    pub(crate) fn keep(
        &self,
        pending: &mut Pending,
        placed: Option<Placed>,
        rules: &impl Rules<T>,
        value: Option<&T>,
    ) -> bool {
        let raw = &self.raw;
        let policy = &raw.site.policy;
        let ruled = match value {
            Some(value) => {
                // G6: a rule or a clone that panics is the user's; the value was loaded.
                caught(|| Some((self.ruled(rules, value)?, Stored::Value(value.clone())))).flatten()
            }
            None if policy.cache_none => {
                let ttl = policy.none_ttl.unwrap_or_else(|| raw.ttl());
                ttl.stores().then(|| (Ruled { ttl, tags: Vec::new() }, Stored::None))
            }
            None => None,
        };
        let Some((Ruled { ttl, tags }, stored)) = ruled else {
            raw.record(Event::NotStored);
            return false;
        };
        let mut hashes = Vec::with_capacity(tags.len());
        for tag in tags {
            match tag.into_text() {
                Ok(tag) => hashes.push(tag_hash(&tag)),
                Err(failure) => {
                    raw.record(Event::NotStored);
                    raw.core.failed_at(Some(&raw.counters), &unusable(&failure));
                    return false;
                }
            }
        }
        let tagged = !hashes.is_empty() || !raw.tags.is_empty();
        if raw.core.local().add_tags(pending, hashes) {
            self.insert(pending, placed, ttl, tagged, stored)
        } else {
            // G1: a tag of the value was evicted while it was loaded.
            raw.record(Event::RefusedFill);
            false
        }
    }

    /// Keeps an `Err`, where the site does.
    pub(crate) fn keep_err<R, O: Outcome<R, Value = T>>(
        &self,
        pending: &Pending,
        placed: Option<Placed>,
        outcome: O,
        returned: &R,
    ) {
        let policy = &self.raw.site.policy;
        let ttl = policy.err_ttl.unwrap_or_else(|| self.raw.ttl());
        if !policy.cache_err || !ttl.stores() {
            return;
        }
        if let Some(shared) = outcome.share_err(returned) {
            self.insert(pending, placed, ttl, !self.raw.tags.is_empty(), Stored::Err(shared));
        }
    }

    fn insert(
        &self,
        pending: &Pending,
        placed: Option<Placed>,
        ttl: Ttl,
        tagged: bool,
        stored: Stored<T>,
    ) -> bool {
        let raw = &self.raw;
        // What was loaded may be rolled back: the body has written in a transaction.
        if raw.core.has_written() {
            return false;
        }
        let table = raw.core.local();
        let since = table.now();
        let until = since.plus(raw.core.spread(ttl.life(tagged), raw.site.policy.jitter));
        let kept = AnyKept::new(Some(raw.site.place()), until, 0, Loaded { since, stored });
        let kept = table.keep(pending, placed, kept);
        raw.record(if kept { Event::Fill } else { Event::RefusedFill });
        kept
    }
}

impl<T> LocalEntry<T> {
    /// Tells whoever gathers what a call of it depends on.
    pub(crate) fn depends(&self, late_tags: bool) {
        let raw = &self.raw;
        if late_tags {
            gather::unknown();
        }
        // What is kept may be older: its end is not known here, and is no later than one TTL after it was made.
        let ttl = raw.ttl.or(raw.site.policy.ttl).unwrap_or(raw.core.settings.ttl);
        gather::depends(raw.core.id, &raw.tags.iter().copied(), ttl.life(!raw.tags.is_empty()));
    }
}

impl Core {
    /// Whether what is kept may be taken for calls of the current task, whatever its age.
    #[inline]
    fn takes_kept(&self) -> bool {
        mode::is_plain() && !self.is_off()
    }

    /// What is kept for these arguments.
    ///
    /// # Errors
    /// The arguments, to keep a value under.
    #[inline]
    pub(crate) fn kept<V: Any, R>(
        &self,
        site: &'static Site,
        parts: &impl Parts,
        make: impl FnOnce(&Stored<V>) -> Option<R>,
    ) -> Result<R, Option<Placed>> {
        let table = self.local();
        if self.takes_kept() {
            // G6: an argument, or a clone, that panics.
            let found = caught(|| {
                let hash = some_hash(parts::hash(table.hasher(), parts)?);
                let query = Query::new(hash, |bytes: &[u8]| parts::equal(bytes, parts));
                match table.get(&query, table.coarse(), |loaded: &Loaded<V>, _| make(&loaded.stored)) {
                    Look::Found(found) => Some(found),
                    _ => None,
                }
            });
            if let Some(found) = found.flatten() {
                tracing::trace!(site = site.function(), event = ?Event::Hit, "cache");
                self.with_counters(site, |counters| self.hit_sync(counters));
                return Ok(found);
            }
        }
        Err(self.placed(parts))
    }

    #[cold]
    fn placed(&self, parts: &impl Parts) -> Option<Placed> {
        if self.is_bypassed() {
            return None;
        }
        let placed = caught(|| {
            let hash = some_hash(parts::hash(self.local().hasher(), parts)?);
            Some(Placed { hash, bytes: parts::written(parts)? })
        });
        placed.flatten()
    }

    #[expect(clippy::unused_self, reason = "beside its like")]
    fn name_of(&self, full: &str) -> Name {
        Name::new(digest(full))
    }

    /// What tells a prefix, with the namespace, from others in this process.
    fn prefix_here(&self, text: &str) -> u64 {
        self.local().hasher().hash_one(text)
    }

    /// Evicts what sync functions keep.
    pub(crate) fn evict_here(&self, targets: &Targets) {
        let Some(table) = self.local_if_any() else { return };
        for key in &targets.keys {
            table.evict(self.name_of(key));
        }
        for tag in &targets.tags {
            table.evict_tag(tag.tag.hash);
        }
        for prefix in &targets.prefixes {
            let is_all = prefix.is_empty() || *prefix == self.full_text("");
            table.evict_prefix((!is_all).then(|| self.prefix_here(prefix)));
        }
    }
}
