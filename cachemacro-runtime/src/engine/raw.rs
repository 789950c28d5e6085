//! An entry without its type: its keys, tags and options, and the cache it is in.

use std::any::TypeId;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::beforehand::Beforehand;
use crate::engine::core::Core;
use crate::engine::flight::{AsOf, Follow, Lead, Patience, Seat, Verdict, Waited};
use crate::engine::loading::Loading;
use crate::engine::readback::{Doubt, Named, Of, Readback};
use crate::engine::recall::{Place, Recall};
use crate::engine::settings::DEFAULT_WAIT;
use crate::engine::spans;
use crate::engine::waiting::Waiting;
use crate::format::companion::companion;
use crate::format::ids::FillId;
use crate::format::stamps::{VersionKey, all_any_keys, tag_key, version_key};
use crate::ground::error::{Error, Result};
use crate::ground::unstorable::Unstorable;
use crate::key::failure::KeyFailure;
use crate::key::tag::Tag;
use crate::key::{Key, prefix_of};
use crate::observe::event::{Event, Observation};
use crate::observe::stats::Counters;
use crate::policy::freshness::{Age, Freshness};
use crate::policy::gather;
use crate::policy::mode::Mode;
use crate::policy::site::Site;
use crate::policy::ttl::{Policy, Ttl};

/// An entry without its type.
#[derive(Clone)]
pub(crate) struct RawEntry {
    pub(crate) core: Arc<Core>,
    /// The annotated function that the entry comes from, and its counters; `None` for an entry made by hand.
    pub(crate) site: Option<(&'static Site, Arc<Counters>)>,
    pub(crate) key: Key,
    /// The key in the store.
    pub(crate) full: Arc<str>,
    /// Versions of the tags that are known before the load: those that every value carries, then those that loads of the site are known
    /// to read.
    pub(crate) tags: Vec<VersionKey>,
    /// How many of them, at their end, a value may do without.
    recalled: usize,
    /// What the loads of the site read, where they are recorded and this is a call that loads.
    pub(crate) recall: Option<Arc<Recall>>,
    pub(crate) policy: Policy,
    /// The TTL of this call.
    pub(crate) ttl: Option<Ttl>,
    /// Why a tag could not be built, or that the key is another function's too: evicts go through, and nothing is read or stored.
    pub(crate) unusable: Option<KeyFailure>,
    /// Where this call looks elsewhere before it loads.
    pub(crate) beforehand: Option<Arc<Beforehand>>,
}

impl RawEntry {
    pub(crate) fn new(core: Arc<Core>, site: Option<&'static Site>, key: Key) -> Self {
        let full = shared_key(&core, &key);
        let policy = site.map_or(Policy::new(), |site| site.policy);
        let site = site.map(|site| (site, core.site_counters(site)));
        // G1: what was filled on another server is a miss.
        let tags = if core.settings.epoch { vec![core.epoch_of(&full)] } else { Vec::new() };
        Self {
            core,
            site,
            key,
            full,
            tags,
            recalled: 0,
            recall: None,
            policy,
            ttl: None,
            unusable: None,
            beforehand: None,
        }
    }

    /// Adds a tag; naming one twice is naming it once.
    pub(crate) fn tag(&mut self, tag: &str) {
        let key = tag_key(self.core.namespace(), tag);
        self.core.called(&key, tag);
        if !self.tags.contains(&key) {
            self.tags.push(key);
        }
    }

    /// The tags that every value of it carries.
    pub(crate) fn named(&self) -> &[VersionKey] {
        &self.tags[..self.tags.len() - self.recalled]
    }

    /// Has the tags asked for and captured that loads of its site read so far. No tag is added afterwards.
    pub(crate) fn recall(&mut self) {
        if self.recall.is_some() {
            return;
        }
        let place = match &self.site {
            Some((site, _)) => Place::Site(site.id()),
            None => Place::Prefix(prefix_of(&self.key).into()),
        };
        let recall = self.core.recalls.of(place);
        let named = self.tags.len();
        for hash in recall.tags().iter() {
            if self.tags.iter().all(|tag| tag.hash != *hash) {
                self.tags.push(version_key(self.core.namespace(), *hash));
            }
        }
        self.recalled = self.tags.len() - named;
        self.recall = Some(recall);
    }

    /// Adds a tag that may not have been built.
    pub(crate) fn built_tag(&mut self, tag: Tag) {
        match tag.into_text() {
            Ok(tag) => self.tag(&tag),
            Err(failure) => self.unusable = Some(failure),
        }
    }

    /// Whether it is sealed in the store.
    pub(crate) fn is_sealed(&self) -> bool {
        self.core.settings.seals.covers(&self.key)
    }

    /// Why nothing of it is read or stored, where that is so.
    pub(crate) fn failure(&self) -> Option<&KeyFailure> {
        self.unusable.as_ref().or_else(|| self.is_unsealed().then_some(&KeyFailure::Unsealed))
    }

    /// Whether it is to be sealed, and its cache does not: then neither its value nor its key is sent.
    pub(crate) fn is_unsealed(&self) -> bool {
        self.policy.sealed && !self.is_sealed()
    }

    /// Whether what this call loaded may be older than what was written: it is not stored then.
    pub(crate) fn is_doubtful(&self) -> bool {
        self.beforehand.as_ref().is_some_and(|beforehand| beforehand.is_doubtful())
    }

    /// The function's name, for logs.
    pub(crate) fn name(&self) -> &'static str {
        self.site.as_ref().map_or("entry", |(site, _)| site.function())
    }

    pub(crate) fn record(&self, event: Event) {
        self.tell(Observation::of(event));
    }

    fn tell(&self, seen: Observation<'_>) {
        if spans::may_be_heard() {
            spans::heard(self.name(), seen.event);
        }
        self.core.tell(self.counters(), seen);
    }

    /// Counts a read that was answered with a value of this age.
    pub(crate) fn hit(&self, age: Age) {
        let hit = Observation::of(Event::Hit);
        self.tell(if is_stale(age) { hit.stale() } else { hit });
        self.served(age);
    }

    /// Counts a call that was answered with a value of this age, if that is stale.
    pub(crate) fn served(&self, age: Age) {
        if is_stale(age) {
            self.record(Event::Stale);
        }
    }

    /// The counters of the annotated function.
    pub(crate) fn counters(&self) -> Option<&Counters> {
        self.site.as_ref().map(|(_, counters)| &**counters)
    }

    /// What is known of values of this type, or of errors, under this codec at this place. `about` names type and codec.
    pub(crate) fn readback(
        &self,
        value: TypeId,
        codec: u8,
        is_error: bool,
        about: impl FnOnce() -> (&'static str, &'static str, Doubt),
    ) -> Arc<Readback> {
        let site = self.site.as_ref().map(|(site, _)| *site);
        self.core.readbacks.of(Of { site: site.map(Site::id), value, codec, is_error }, || {
            let place = match site {
                Some(site) => format!("{}::{}", site.module(), site.function()),
                // A prefix has no colon of its own.
                None => self.key.as_str().split(':').next().unwrap_or_default().to_owned(),
            };
            let (value, codec, doubt) = about();
            (Named { place, value, codec }, doubt)
        })
    }

    /// Counts a value that is not stored because it would not come back.
    pub(crate) fn refuse(&self, readback: &Readback, why: Unstorable) {
        readback.refuse(why);
        self.record(Event::Unstorable(why));
    }

    /// Counts an error that the caller deals with by going on.
    pub(crate) fn failed(&self, error: &Error) {
        self.core.failed_at(self.counters(), error);
    }

    /// Awaits one operation of the store, called `name`, timing it and counting its error for the site.
    pub(crate) fn timed<T>(
        &self,
        name: &'static str,
        operation: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        self.core.timed_at(self.counters(), name, operation)
    }

    pub(crate) fn load_took(&self, time: Duration) {
        self.core.loaded(self.counters(), time);
    }

    pub(crate) fn wait(&self) -> Duration {
        within_load(self.policy.wait.unwrap_or(self.core.settings.wait))
    }

    pub(crate) fn lease_limit(&self) -> Duration {
        self.policy.lease_limit.unwrap_or(self.core.settings.lease_limit)
    }

    /// Whether the current task is loading or putting this very key: waiting for that would be waiting for itself, and
    /// storing would come between.
    pub(crate) fn is_own(&self) -> bool {
        Loading::contains(self.core.id, &self.full)
    }

    /// A seat in this process's flight of the entry, for a caller whose read showed this.
    pub(crate) fn join(&self, late_tags: bool, read: Option<&AsOf>) -> Seat {
        let tags = self.tags.iter().map(|tag| tag.hash);
        self.core.flights.join(&self.full, tags, late_tags, Mode::current().max_age(), read)
    }

    /// The lead of this process's flight of the entry, unless there is one.
    pub(crate) fn lead_alone(&self, late_tags: bool) -> Option<Lead> {
        self.core.flights.lead_alone(&self.full, self.tags.iter().map(|tag| tag.hash), late_tags)
    }

    /// What becomes of values that age, as the site or the cache says.
    pub(crate) fn freshness(&self) -> Freshness {
        let own = &self.policy;
        let Freshness { stale, max_age, refresh } = self.core.settings.freshness;
        Freshness {
            stale: own.stale.unwrap_or(stale),
            max_age: own.max_age.or(max_age),
            refresh: own.refresh.or(refresh),
        }
    }

    /// How long to follow a load of this process. It is `wait`, or a default where `wait` is zero: that only says not to
    /// wait for other processes.
    pub(crate) fn patience(&self) -> Patience {
        let waits = [self.wait(), self.core.settings.wait];
        let wait = waits.into_iter().find(|wait| !wait.is_zero()).unwrap_or(DEFAULT_WAIT);
        Patience { wait: within_load(wait), longest: self.lease_limit() }
    }

    /// Waits for the leader of this entry's flight, unless that waits for a load of the current task.
    pub(crate) async fn follow(&self, follow: Follow) -> Waited {
        // G9: every wait ends, and one for itself is not begun.
        let Some(_waiting) = Waiting::begin(self.core.id, &self.full) else {
            return Waited::Told(Verdict::Alone);
        };
        if self.policy.recorded && gather::is_on() {
            return Box::pin(follow.wait_recorded(self.patience())).await;
        }
        follow.wait(self.patience()).await
    }

    /// Waits for evicts of dropped calls that may be about the entry.
    pub(crate) async fn settle(&self) -> Result<()> {
        self.core.settle(&[&self.full]).await.inspect_err(|error| self.failed(error))
    }
}

/// The key in the store, to be shared. Each call makes one, so not by way of a `String`.
fn shared_key(core: &Core, key: &Key) -> Arc<str> {
    let (namespace, text) = (core.namespace(), core.settings.seals.name(key.as_str()));
    if namespace.is_empty() {
        return Arc::from(&*text);
    }
    let mut room = [0; 256];
    let joined = room.get_mut(..namespace.len() + 1 + text.len()).and_then(|room| {
        let (first, rest) = room.split_at_mut(namespace.len());
        let (colon, rest) = rest.split_first_mut()?;
        first.copy_from_slice(namespace.as_bytes());
        *colon = b':';
        rest.copy_from_slice(text.as_bytes());
        std::str::from_utf8(room).ok()
    });
    joined.map_or_else(|| core.full_text(&text).into(), Arc::from)
}

/// Whether who is served a value of this age is served a stale one.
const fn is_stale(age: Age) -> bool {
    matches!(age, Age::Stale | Age::Spare)
}

/// How long a call waits that the body of another load makes: it may be waited for itself, in a circle through other processes
/// that nobody sees.
const WAIT_WITHIN_LOAD: Duration = Duration::from_secs(1);

fn within_load(wait: Duration) -> Duration {
    if Loading::is_empty() { wait } else { wait.min(WAIT_WITHIN_LOAD) }
}

/// The versions that a load must capture before it begins: those of the known tags, then, where the value names
/// tags, all any-tag versions.
pub(crate) fn to_capture(raw: &RawEntry, late_tags: bool) -> Vec<VersionKey> {
    let mut capture = raw.tags.clone();
    if late_tags {
        capture.extend(all_any_keys(raw.core.namespace()));
    }
    capture
}

/// The key of the lease under which a value is refreshed, in the same slot of a cluster as the entry.
pub(crate) fn refresh_key(key: &str, value: FillId) -> Arc<str> {
    companion(key, 'r', value.get()).into()
}
