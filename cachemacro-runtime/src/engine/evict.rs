//! Evicts on their way: to the store, and to the flights of this process.

use std::sync::Arc;

use crate::engine::collecting::Collecting;
use crate::engine::core::Core;
use crate::engine::emitted::Emitted;
use crate::engine::entry::Entry;
use crate::engine::raw::RawEntry;
use crate::engine::removals::Removals;
use crate::engine::spending;
use crate::engine::targets::{Targets, parts};
use crate::format::stamps::{TagKeys, tag_keys};
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::tag::Tag;
use crate::key::typed;
use crate::key::{Key, scan_text};
use crate::observe::event::Event;
use crate::observe::stats::Counters;
use crate::policy::outcome::Value;
use crate::store::EvictRequest;

/// Evicts of entries, tags and prefixes: collected first, and sent together when they are awaited.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let cache = cachemacro::Cache::memory();
/// let entry = cache.entry::<u32>("user", 7).with_tags(["users"]);
/// entry.set(&1).await?;
/// cache.entry::<u32>("page", 1).set(&2).await?;
///
/// let evicted = cache.evict().entry(&entry).tags(["users"]).prefix("page").await?;
/// assert_eq!(evicted, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[must_use = "evicts are sent when they are awaited"]
pub struct Evict {
    core: Arc<Core>,
    removals: Removals,
    /// A key or tag could not be built.
    failed: bool,
    /// The site that the evicts are counted at; `None`: at no site.
    site: Option<Arc<Counters>>,
}

impl Evict {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self { core, removals: Removals::default(), failed: false, site: None }
    }

    pub(crate) fn add_entry<T: Value>(&mut self, entry: &Entry<T>) {
        match entry.keyed() {
            Ok(raw) => self.removals.add_key(&raw.key),
            Err(_) => self.failed = true,
        }
    }

    pub(crate) fn add_key(&mut self, key: Result<Key>) {
        match key {
            Ok(key) => self.removals.add_key(&key),
            Err(_) => self.failed = true,
        }
    }

    pub(crate) fn add_tags<S: typed::Tag>(&mut self, tags: impl IntoIterator<Item = S>) {
        self.removals.tags.extend(tags.into_iter().map(|tag| tag.text().into_owned()));
    }

    /// Adds tags that may not have been built.
    pub(crate) fn add_built_tags(&mut self, tags: impl IntoIterator<Item = Tag>) {
        for tag in tags {
            match tag.into_text() {
                Ok(tag) => drop(self.removals.tags.insert(tag)),
                Err(_) => self.failed = true,
            }
        }
    }

    pub(crate) fn add_prefix(&mut self, prefix: &str) {
        self.removals.prefixes.insert(prefix.to_owned());
    }

    pub(crate) fn add_all(&mut self, removals: Removals) {
        self.removals.add_all(removals);
    }

    /// Adds an event that is sent once the others were evicted.
    pub(crate) fn telling(mut self, event: Option<Emitted>) -> Self {
        self.removals.events.extend(event);
        self
    }

    /// The same, counted at this site.
    pub(crate) fn counted(self, site: Option<Arc<Counters>>) -> Self {
        Self { site, ..self }
    }

    pub(crate) fn site(&self) -> Option<&Arc<Counters>> {
        self.site.as_ref()
    }

    /// Whether there is nothing to send and nothing to tell.
    pub(crate) fn is_idle(&self) -> bool {
        !self.failed && !self.removals.has_any()
    }

    /// Whether a key or tag could not be built.
    pub(crate) const fn has_failed(&self) -> bool {
        self.failed
    }

    /// What could be built.
    pub(crate) const fn built(&self) -> &Removals {
        &self.removals
    }

    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) async fn send(&self) -> Result<u64> {
        let core = &self.core;
        let site = self.site.as_deref();
        doubt_tags(core, &self.removals, site);
        let done = core.evict(&self.removals, site).await;
        if !self.failed {
            return done;
        }
        let error = not_built();
        core.failed_at(site, &error);
        if done.is_ok() {
            core.record_at(site, Event::FailedEvict(error.kind()));
        }
        // The store's error first: that one may pass if the evict is tried again.
        done.and(Err(error))
    }

    /// Evicts without waiting: at once what is in this process, in the background what is on a server, which reads of this process wait
    /// for.
    ///
    /// # Errors
    /// Where a key or tag could not be built, which is counted and logged.
    pub(crate) fn send_now(&self) -> Result<()> {
        doubt_tags(&self.core, &self.removals, self.site.as_deref());
        self.core.evict_later(&self.removals, self.site.clone());
        if !self.failed {
            return Ok(());
        }
        let (site, error) = (self.site.as_deref(), not_built());
        self.core.failed_at(site, &error);
        self.core.record_at(site, Event::FailedEvict(error.kind()));
        log_failed(site, &error, 1);
        Err(error)
    }

    /// Sends ahead what [`send`](Self::send) sends in any case.
    pub(crate) async fn send_ahead(&self) {
        let removals = &self.removals;
        if !removals.has_any() || self.core.collects(removals) {
            return;
        }
        if let Err(error) = self.core.remove_all(removals, self.site.as_deref(), Attempt::Ahead).await {
            tracing::debug!(kind = %error.kind(), "an evict failed and will be tried again");
        }
    }
}

/// Why not all is evicted that was to be.
pub(crate) fn not_built() -> Error {
    Error::new(ErrorKind::Key, "a key or tag to evict could not be built")
}

/// Which of the times that the same evicts are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// They are sent again in any case: tags and failures do not count.
    Ahead,
    /// This one decides.
    Final,
}

/// What became of evicts that were sent.
#[derive(Default)]
pub(crate) struct Sent {
    /// How many entries went.
    pub(crate) entries: u64,
    /// How many tags.
    pub(crate) tags: u64,
    /// The first error.
    pub(crate) error: Option<Error>,
    /// What the store did not acknowledge.
    pub(crate) failed: Vec<Targets>,
    /// How many names it acknowledged whose evict had failed before.
    pub(crate) replayed: u64,
}

impl RawEntry {
    /// Evicts the entry.
    pub(crate) async fn evict(&self) -> Result<u64> {
        self.core.evict(&Removals::of(&self.key), self.counters()).await
    }
}

impl Core {
    /// Where `removals` are in this cache's store.
    pub(crate) fn targets(&self, removals: &Removals) -> Targets {
        let (tags, keys, prefixes) = self.names(removals);
        Targets { keys: keys.collect(), tags: tags.collect(), prefixes: prefixes.collect() }
    }

    /// The names of tags, keys and prefixes in this cache's store, each made when it is asked for.
    fn names<'a>(
        &'a self,
        removals: &'a Removals,
    ) -> (
        impl Iterator<Item = TagKeys> + Send + 'a,
        impl Iterator<Item = String> + Send + 'a,
        impl Iterator<Item = String> + Send + 'a,
    ) {
        let Removals { keys, tags, prefixes, events: _ } = removals;
        (
            tags.iter().map(|tag| tag_keys(self.namespace(), tag)),
            keys.iter().map(|key| self.full_name(key)),
            prefixes.iter().map(|prefix| self.full_text(&scan_text(prefix))),
        )
    }

    /// Removes what `removals` names, counting at a site, and tells how many entries went, then sends its events; where the task collects
    /// evicts, adds them to those and tells 0. Tries all, returns the first error.
    pub(crate) async fn evict(self: &Arc<Self>, removals: &Removals, site: Option<&Counters>) -> Result<u64> {
        if self.collects(removals) {
            return Ok(0);
        }
        let evicted = self.remove_all(removals, site, Attempt::Final).await;
        if removals.events.is_empty() {
            return evicted;
        }
        // Who hears of it finds what it was about evicted.
        let mut events = removals.events.clone();
        let told = Box::pin(self.send_events(&mut events)).await;
        evicted.and_then(|count| told.map(|()| count))
    }

    /// Takes these evicts where the task collects those of this cache; tells whether it does.
    pub(crate) fn collects(&self, removals: &Removals) -> bool {
        Collecting::collect(self.id, removals)
    }

    /// [`remove`](Self::remove) of what `removals` names.
    async fn remove_all(
        self: &Arc<Self>,
        removals: &Removals,
        site: Option<&Counters>,
        attempt: Attempt,
    ) -> Result<u64> {
        let (tags, keys, prefixes) = self.names(removals);
        self.remove(parts(tags, keys, prefixes), site, attempt).await
    }

    /// Removes these, part by part, then lets no caller join a flight from before. Tries all, returns the first error.
    pub(crate) async fn remove(
        self: &Arc<Self>,
        parts: impl Iterator<Item = Targets> + Send,
        site: Option<&Counters>,
        attempt: Attempt,
    ) -> Result<u64> {
        // On the heap, so that calls which may evict stay small.
        let sent = Box::pin(self.send(parts, site)).await;
        if attempt == Attempt::Final {
            self.count_sent(&sent, site);
        } else {
            self.removed(site, sent.entries);
        }
        match sent.error {
            None => Ok(sent.entries),
            Some(error) => {
                if attempt == Attempt::Final {
                    self.keep(sent.failed);
                    self.record_at(site, Event::FailedEvict(error.kind()));
                }
                Err(error)
            }
        }
    }

    /// Sends evicts part by part, each with a deadline of its own, and lets others in between. Where one was refused the rest
    /// is sent all the same; where one had no answer the others of its sort are not, because they would not have one either.
    pub(crate) async fn send(
        &self,
        parts: impl Iterator<Item = Targets> + Send,
        site: Option<&Counters>,
    ) -> Sent {
        let mut sent = Sent::default();
        if self.settings.unresolved.is_some() {
            // G7: what may be cached elsewhere is not reported as evicted.
            let error = Error::new(ErrorKind::Config, "the environment does not give a cache to evict from");
            self.failed_at(site, &error);
            sent.error = Some(error);
            sent.failed.extend(parts.inspect(|part| self.detach(part)));
            return sent;
        }
        let mut unanswered: [Option<Error>; 2] = [None, None];
        for (at, part) in parts.enumerate() {
            if at > 0 {
                tokio::task::yield_now().await;
            }
            let kept = self.unacknowledged().latest();
            let silence = &mut unanswered[usize::from(!part.prefixes.is_empty())];
            let done = match silence {
                Some(error) => Err(error.clone()),
                None => self.send_part(&part, site).await,
            };
            // G1: also where the store failed, so that no later caller takes what was loaded before.
            self.detach(&part);
            match done {
                Ok(entries) => {
                    sent.replayed += self.unacknowledged().acknowledge(&part, kept) as u64;
                    sent.entries += entries;
                    sent.tags += part.tags.len() as u64;
                }
                Err(error) => {
                    if error.is_unanswered() {
                        *silence = Some(error.clone());
                    }
                    sent.error.get_or_insert(error);
                    sent.failed.push(part);
                }
            }
        }
        sent
    }

    /// Sends one request, and tells how many entries went.
    async fn send_part(&self, part: &Targets, site: Option<&Counters>) -> Result<u64> {
        if let [prefix] = &part.prefixes[..] {
            // Parts of it may have been carried out whether or not the store is reached at the end.
            let evicting = spending::bounded(self.store.evict_prefix(prefix), |_| None);
            return self.timed_first(site, "evict", evicting).await;
        }
        let keys = text_of(&part.keys);
        let existed =
            self.timed_at(site, "evict", self.store.evict(EvictRequest::new(&keys, &part.tags))).await?;
        Ok(how_many(&existed))
    }

    /// Evicts keys and tags without waiting, where they are few and the store can; tells whether it did.
    pub(crate) fn evict_now(&self, targets: &Targets, site: Option<&Counters>) -> bool {
        if self.settings.unresolved.is_some() || !targets.are_few() {
            return false;
        }
        let Some(immediate) = self.store.immediate() else { return false };
        let keys = text_of(&targets.keys);
        let existed = immediate.evict(EvictRequest::new(&keys, &targets.tags));
        if !targets.tags.is_empty() {
            self.record_at(site, Event::TagEvict(targets.tags.len() as u64));
        }
        self.removed(site, how_many(&existed));
        true
    }

    /// Counts the tags and entries that are gone.
    pub(crate) fn count_sent(&self, sent: &Sent, site: Option<&Counters>) {
        if sent.tags > 0 {
            self.record_at(site, Event::TagEvict(sent.tags));
        }
        self.removed(site, sent.entries);
    }

    /// Counts entries that are gone, if any.
    fn removed(&self, site: Option<&Counters>, entries: u64) {
        if entries > 0 {
            self.record_at(site, Event::Evict(entries));
        }
    }

    /// This process changed what is stored under this key: callers from now on join no flight of it (G1) and take no copy (G2).
    pub(crate) fn changed(&self, key: &str) {
        self.flights.detach(key);
        if let Some(tier) = &self.tier {
            tier.forget(key);
        }
    }

    /// Callers from now on join no flight that these evicts concern (G1), and take no copy (G2).
    pub(crate) fn detach(&self, targets: &Targets) {
        self.evict_here(targets);
        for key in &targets.keys {
            self.changed(key);
        }
        if !targets.tags.is_empty() {
            let hashes: Vec<u64> = targets.tags.iter().map(|tag| tag.tag.hash).collect();
            self.flights.detach_tags(&hashes);
        }
        for prefix in &targets.prefixes {
            self.flights.detach_prefix(prefix);
        }
        if let Some(tier) = &self.tier {
            targets.tags.iter().for_each(|tag| tier.forget_tag(tag.tag.hash));
            let all = self.full_text("");
            targets.prefixes.iter().for_each(|prefix| tier.forget_prefix((*prefix != all).then_some(prefix)));
        }
    }
}

fn text_of(keys: &[String]) -> Vec<&str> {
    keys.iter().map(String::as_str).collect()
}

fn how_many(existed: &[bool]) -> u64 {
    existed.iter().filter(|existed| **existed).count() as u64
}

/// Logs evicts of one site of whose failure nobody else is told.
pub(crate) fn log_failed(site: Option<&Counters>, error: &Error, count: u64) {
    let site = site.and_then(Counters::site).map(|site| format!("{}::{}", site.module(), site.function()));
    let what = match error.kind() {
        ErrorKind::Key => {
            "an evict could not be named: it is not sent, and what it was about may be served until its TTL ends"
        }
        ErrorKind::Config => {
            "an evict reached no store, because the environment gives none: other processes may serve stale values, and \
             `shutdown` returns what was to be evicted"
        }
        _ => {
            "an evict did not reach the store: it is kept and sent again, and other processes may serve stale values until then"
        }
    };
    tracing::warn!(site, count, kind = %error.kind(), %error, "{what}");
}

/// In debug builds warns of tags among these that no function which was called makes.
fn doubt_tags(core: &Core, removals: &Removals, site: Option<&Counters>) {
    if core.misspelt.doubts(removals) {
        let mut writes: &[&str] = &[];
        let says = core.sites_say(site, |says| writes = says.writes);
        let templates: Vec<&str> = says.iter().flat_map(|says| says.tags).copied().collect();
        core.misspelt.warn(removals, site, &templates, writes);
    }
}
