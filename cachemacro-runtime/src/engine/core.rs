//! What the calls of one cache share.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock, RwLock};
use std::time::{Duration, Instant};

use futures_util::FutureExt as _;
use tokio::runtime::Handle;

use crate::engine::claims::{Claim, Claims};
use crate::engine::collecting::Collecting;
use crate::engine::deferred::Deferred;
use crate::engine::flight::Flights;
use crate::engine::misspelt::Misspelt;
use crate::engine::negatives::Negatives;
use crate::engine::neighbour::Searched;
use crate::engine::pacing::Pacing;
use crate::engine::readback::Readbacks;
use crate::engine::rebuilds::Rebuilds;
use crate::engine::recall::Recalls;
#[cfg(feature = "reports")]
use crate::engine::reported::Reporting;
use crate::engine::settings::Settings;
use crate::engine::spans;
use crate::engine::spending;
use crate::engine::suspected::Verifying;
#[cfg(feature = "reports")]
use crate::engine::tag_names::TagNames;
use crate::engine::threads::Threads;
use crate::engine::turns::Turns;
use crate::engine::under_way::UnderWay;
#[cfg(feature = "cluster")]
use crate::format::stamps::node_key;
use crate::format::stamps::{VersionKey, epoch_key};
use crate::ground::background::Background;
use crate::ground::clock::NEVER;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync;
use crate::key::Key;
use crate::local::follow::LocalTier;
use crate::observe::breaker::BreakerState;
use crate::observe::event::{Event, Observation, Observer as _};
use crate::observe::part::Parts;
use crate::observe::reason::MissReason;
use crate::observe::round_trips::RoundTrips;
use crate::observe::site::SiteId;
use crate::observe::stats::{CacheStats, Counters};
use crate::observe::warning::Warning;
#[cfg(feature = "write-behind")]
use crate::observe::write_behind::AllQueues;
use crate::policy::mode::Mode;
use crate::policy::says::Says;
use crate::policy::site::Site;
use crate::policy::ttl::{Policy, Ttl};
use crate::store::local::LocalTable;
#[cfg(feature = "cluster")]
use crate::store::redis::slot_of;
use crate::store::{AnyStore, Server, ServerFacts, shared};

/// The store of a cache with everything around it.
pub(crate) struct Core {
    /// Tells this cache from others of the process.
    pub(crate) id: u64,
    /// Tells it from those of other processes, in reports.
    pub(crate) instance: u64,
    /// When it was made, by the process's clock, in milliseconds since the Unix epoch.
    pub(crate) started_at: u64,
    #[cfg(feature = "reports")]
    pub(crate) reporting: Arc<Reporting>,
    #[cfg(feature = "reports")]
    pub(crate) tag_names: TagNames,
    pub(crate) store: AnyStore,
    pub(crate) settings: Settings,
    pub(crate) flights: Arc<Flights>,
    /// Decoded values of a store that others change too; one in memory holds its own.
    pub(crate) tier: Option<Arc<LocalTier>>,
    /// What dropped calls left to do.
    pub(crate) deferred: Deferred<Self>,
    /// Does it, though the runtime of the call ends.
    pub(crate) background: Background,
    /// What was sent and nobody waits for.
    pub(crate) under_way: Arc<UnderWay>,
    /// Counts what belongs to no site.
    stats: Counters,
    round_trips: RoundTrips,
    /// Evicts that failed and are not known to have been sent again.
    failed_evicts: Mutex<FailedEvicts>,
    /// Whose turn it is to update a key.
    pub(crate) turns: Turns,
    /// How many entries without a value there are.
    pub(crate) negatives: Negatives,
    #[cfg(feature = "write-behind")]
    pub(crate) queues: AllQueues,
    /// Which values nobody tries to load anew for a while.
    pub(crate) pacing: Pacing,
    sites: RwLock<HashMap<SiteId, (&'static Site, Arc<Counters>)>>,
    /// Which values come back from the store.
    pub(crate) readbacks: Readbacks,
    pub(crate) rebuilds: Rebuilds,
    /// What recorded loads read.
    pub(crate) recalls: Recalls,
    /// What works for the cache beside it.
    pub(crate) parts: Parts,
    /// How values are read that are found by texts.
    pub(crate) searched: Searched,
    claims: Claims,
    /// What sync functions keep; made by the first of them.
    local: OnceLock<LocalTable>,
    /// What threads of them are loading.
    pub(crate) threads: Threads,
    /// How many loads ahead of use are under way behind their callers.
    pub(crate) prefetches: Arc<AtomicUsize>,
    /// In debug builds: which tags may be meant.
    pub(crate) misspelt: Misspelt,
    /// Calls have to look whether caching is off, what they serve is to be checked, or their keys are to be counted.
    watched: AtomicBool,
    /// Which hits are held against what their functions return.
    pub(crate) verifying: Verifying,
}

/// Evicts that failed, as warnings tell of them.
#[derive(Default)]
struct FailedEvicts {
    /// How many since all that were kept had been delivered, and how often that had been by then.
    kept: (u64, u64),
    /// How many could not be named, and are not sent.
    unnamed: u64,
    last: Option<ErrorKind>,
}

impl FailedEvicts {
    /// One more, where all were delivered so often before.
    fn add(&mut self, kind: ErrorKind, deliveries: u64) {
        self.last = Some(kind);
        let (count, since) = &mut self.kept;
        if kind == ErrorKind::Key {
            self.unnamed += 1;
        } else if *since == deliveries {
            *count += 1;
        } else {
            (*count, *since) = (1, deliveries);
        }
    }

    fn warning(&self, deliveries: u64) -> Option<Warning> {
        let (count, since) = self.kept;
        let count = self.unnamed + if since == deliveries { count } else { 0 };
        self.last.filter(|_| count > 0).map(|last| Warning::FailedEvicts { count, last })
    }
}

impl fmt::Debug for Core {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Core").field("id", &self.id).field("store", &self.store).finish_non_exhaustive()
    }
}

impl Core {
    pub(crate) fn new(store: AnyStore, settings: Settings) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let watched = AtomicBool::new(settings.disabled || settings.verify.is_some() || settings.hot_keys);
        Self {
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            instance: rand::random(),
            started_at: settings.clock.now().millis(),
            #[cfg(feature = "reports")]
            reporting: Arc::default(),
            #[cfg(feature = "reports")]
            tag_names: TagNames::default(),
            deferred: Deferred::of(&store, &settings.namespace),
            tier: match &store {
                AnyStore::Memory(_) => None,
                AnyStore::Other(_) => Some(shared(&store, &settings.namespace, || {
                    let Settings { namespace, local_capacity, local_max_value, clock, .. } = &settings;
                    LocalTier::new(namespace, *local_capacity, *local_max_value, clock.clone())
                })),
            },
            store,
            settings,
            flights: Flights::new(),
            background: Background::shared(),
            under_way: Arc::default(),
            stats: Counters::default(),
            round_trips: RoundTrips::default(),
            failed_evicts: Mutex::default(),
            turns: Turns::default(),
            negatives: Negatives::default(),
            #[cfg(feature = "write-behind")]
            queues: AllQueues::default(),
            pacing: Pacing::default(),
            sites: RwLock::default(),
            readbacks: Readbacks::default(),
            rebuilds: Rebuilds::default(),
            recalls: Recalls::default(),
            parts: Parts::default(),
            searched: Searched::default(),
            claims: Claims::default(),
            local: OnceLock::new(),
            threads: Threads::default(),
            prefetches: Arc::default(),
            misspelt: Misspelt::default(),
            watched,
            verifying: Verifying::default(),
        }
    }

    /// What sync functions keep here.
    #[inline]
    pub(crate) fn local(&self) -> &LocalTable {
        self.local.get_or_init(|| LocalTable::new(self.settings.local_capacity, self.settings.clock.clone()))
    }

    /// The same, if there is anything.
    pub(crate) fn local_if_any(&self) -> Option<&LocalTable> {
        // A load that was begun before is seen.
        fence(Ordering::SeqCst);
        self.local.get()
    }

    /// The namespace, percent-encoded; empty where there is none.
    pub(crate) fn namespace(&self) -> &str {
        &self.settings.namespace
    }

    /// Whether calls of the current task neither read nor store here.
    pub(crate) fn is_bypassed(&self) -> bool {
        Mode::current() == Mode::Bypass || self.is_off()
    }

    /// Whether calls of the current task neither read nor store here, in whichever mode.
    #[inline]
    pub(crate) fn is_off(&self) -> bool {
        self.settings.disabled || self.has_written()
    }

    /// Whether a call has to look first whether caching is off, what it serves is to be checked, or its key is to be counted.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.watched.load(Ordering::Relaxed)
    }

    /// Calls of some entry may be checked from now on, if this says so.
    pub(crate) fn watch(&self, policy: &Policy) {
        if policy.verify.is_some() {
            self.watched.store(true, Ordering::Relaxed);
        }
    }

    /// Whether what the current task loads may be rolled back: it has collected evicts of this cache.
    #[inline]
    pub(crate) fn has_written(&self) -> bool {
        Collecting::has_written(self.id)
    }

    /// Whether puts of the current task store nothing here and evict instead.
    pub(crate) fn puts_evict(&self) -> bool {
        self.is_bypassed() || Collecting::is_on(self.id)
    }

    /// The version that is the id of the server of an entry.
    pub(crate) fn epoch_of(&self, full: &str) -> VersionKey {
        #[cfg(feature = "cluster")]
        if self.settings.clustered {
            return node_key(self.namespace(), slot_of(full.as_bytes()));
        }
        let _ = full;
        epoch_key(self.namespace())
    }

    /// The key in the store.
    pub(crate) fn full_key(&self, key: &Key) -> String {
        self.full_name(key.as_str())
    }

    /// The key of this text in the store, hidden where entries under it are sealed.
    pub(crate) fn full_name(&self, text: &str) -> String {
        self.full_text(&self.settings.seals.name(text))
    }

    /// The beginning of keys, behind the namespace.
    pub(crate) fn full_text(&self, text: &str) -> String {
        let namespace = self.namespace();
        let mut full = String::with_capacity(namespace.len() + 1 + text.len());
        if !namespace.is_empty() {
            full.push_str(namespace);
            full.push(':');
        }
        full.push_str(text);
        full
    }

    /// The counters of one site.
    pub(crate) fn site_counters(&self, site: &'static Site) -> Arc<Counters> {
        self.with_counters(site, Arc::clone)
    }

    /// Does something with the counters of one site.
    #[inline]
    pub(crate) fn with_counters<R>(&self, site: &'static Site, use_: impl FnOnce(&Arc<Counters>) -> R) -> R {
        match site.counters_of(self.id, || self.registered_counters(site)) {
            Some(counters) => use_(counters),
            None => use_(&self.registered_counters(site)),
        }
    }

    /// Takes note that a function was called of which nothing is counted: reports tell what it writes.
    pub(crate) fn called_at(&self, site: &'static Site) {
        self.with_counters(site, |_| ());
    }

    fn registered_counters(&self, site: &'static Site) -> Arc<Counters> {
        if let Some((_, counters)) = sync::read(&self.sites).get(&site.id()) {
            return counters.clone();
        }
        self.watch(&site.policy);
        if site.policy.recorded {
            self.misspelt.may_be_any();
        }
        let mut sites = sync::write(&self.sites);
        let at = || (site, Arc::new(Counters::at(site.id())));
        sites.entry(site.id()).or_insert_with(at).1.clone()
    }

    /// Whether a site's keys are another's too, so that it runs uncached; where it has type parameters, the keys of the instance whose
    /// keys begin with `instance`. `claim` is asked at its first call.
    pub(crate) fn clashes(
        &self,
        counters: &Counters,
        instance: Option<&str>,
        claim: impl FnOnce() -> Option<Claim>,
    ) -> bool {
        let Some(site) = counters.site() else { return false };
        let known = match instance {
            Some(begin) => self.claims.of_instance(*site, begin),
            None => counters.clashes(),
        };
        if let Some(clashes) = known {
            return clashes;
        }
        if instance.is_some() && self.claims.is_full(*site) {
            return false;
        }
        let other = claim().and_then(|claim| self.claims.claim(*site, claim).err());
        let clashes = other.is_some();
        let is_first = match instance {
            Some(begin) => self.claims.set_instance(*site, begin, clashes),
            None => counters.set_clashes(clashes),
        };
        // Two first calls at once: one of them says so.
        if let Some(other) = other.filter(|_| is_first) {
            tracing::error!(
                function = %site,
                like = %other,
                "two functions make the same keys for values of their own, so calls of this one run uncached: \
                 give one of them another `prefix`"
            );
        }
        clashes
    }

    /// What was counted so far, in total and by site.
    pub(crate) fn snapshot(&self) -> CacheStats {
        let named = self.named_sites().into_iter();
        let sites = named.map(|(name, _, counters)| (name, counters.snapshot()));
        let here = self.local.get().map(LocalTable::stats).unwrap_or_default();
        let local = self.tier.as_ref().map(|tier| tier.stats()).unwrap_or_default().and(here);
        let mut stats = CacheStats::sum(self.stats.snapshot(), sites.collect(), local);
        (stats.pool, stats.kept_evicts) = (self.store.pool(), self.unacknowledged().count() as u64);
        (stats.flights, stats.store_times) = (self.flights.len() as u64, self.round_trips.snapshot());
        #[cfg(feature = "write-behind")]
        {
            stats.queues = self.queues.snapshot();
        }
        if let Some(breaker) = self.store.breaker() {
            (stats.breaker, stats.breaker_trips) = (Some(breaker.state()), breaker.trips());
        }
        stats
    }

    /// Each site under its name, with its counters.
    pub(crate) fn named_sites(&self) -> Vec<(String, &'static Site, Arc<Counters>)> {
        let sites = sync::read(&self.sites);
        let mut ids: Vec<SiteId> = sites.keys().copied().collect();
        ids.sort_unstable();
        let named = ids.iter().enumerate().map(|(at, id)| {
            let (site, counters) = &sites[id];
            (SiteId::name(at, &ids), *site, counters.clone())
        });
        named.collect()
    }

    /// What the attributes say of all sites that were called; of the one with these counters it is told apart.
    pub(crate) fn sites_say(&self, site: Option<&Counters>, mut own: impl FnMut(Says)) -> Vec<Says> {
        let sites = sync::read(&self.sites);
        if let Some((site, _)) = site.and_then(Counters::site).and_then(|id| sites.get(id)) {
            own(site.says);
        }
        sites.values().map(|(site, _)| site.says).collect()
    }

    /// Has observers told of what the store's breaker does, and kept evicts sent when it closes.
    pub(crate) fn watch_breaker(self: &Arc<Self>) {
        let Some(breaker) = self.store.breaker() else { return };
        let core = Arc::downgrade(self);
        breaker.tell(move |state| {
            let Some(core) = core.upgrade() else { return false };
            core.record_at(None, Event::Breaker(state));
            if state == BreakerState::Closed {
                core.replay_now();
            }
            true
        });
    }

    /// Whether entries could be shared with other applications by mistake.
    pub(crate) fn lacks_namespace(&self) -> bool {
        self.store.about().shared && self.namespace().is_empty()
    }

    /// Has what is wrong with the store's server logged, each once.
    pub(crate) fn watch_server(self: &Arc<Self>) {
        let Some(server) = self.store.server() else { return };
        let (core, logged) = (Arc::downgrade(self), Mutex::new(BTreeSet::new()));
        server.tell(move |facts| {
            let Some(core) = core.upgrade() else { return false };
            for warning in core.warnings_of(facts) {
                if sync::lock(&logged).insert(warning.as_str()) {
                    tracing::warn!("{warning}");
                }
            }
            true
        });
    }

    /// What is wrong with a server of which this is known.
    fn warnings_of(&self, facts: &ServerFacts) -> Vec<Warning> {
        let policy = facts.eviction_policy.as_deref().unwrap_or_default();
        let others = facts.keys_without_ttl.unwrap_or(0);
        let drops_others = || Warning::DropsOthers { policy: policy.to_owned(), keys: others };
        let drops_nothing = policy == "noeviction" && self.settings.ttl == Ttl::Never;
        let warnings = [
            facts.plaintext.then_some(Warning::Plaintext),
            facts.replica.then_some(Warning::Replica),
            facts.too_old.clone().map(Warning::ServerTooOld),
            (policy.starts_with("allkeys-") && others > 0).then(drops_others),
            drops_nothing.then_some(Warning::DropsNothing),
            (facts.persists == Some(true) && !self.settings.epoch).then_some(Warning::Persists),
        ];
        warnings.into_iter().flatten().collect()
    }

    /// What is wrong though calls go on, by what was set and what was counted.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        let mut warnings = Vec::new();
        if self.lacks_namespace() {
            warnings.push(Warning::NoNamespace);
        }
        if let Some(facts) = self.store.server().and_then(Server::facts) {
            warnings.extend(self.warnings_of(&facts));
        }
        match &self.settings.unresolved {
            Some(why) => warnings.push(Warning::Unresolved(why.clone())),
            None if self.settings.disabled => warnings.push(Warning::Disabled),
            None => {}
        }
        warnings.extend(self.settings.unread.iter().cloned());
        let total = self.snapshot().total;
        warnings.extend(sync::lock(&self.failed_evicts).warning(self.unacknowledged().deliveries()));
        match self.unacknowledged().count() {
            0 => {}
            count => warnings
                .push(Warning::KeptEvicts { count: count as u64, all: self.unacknowledged().is_all() }),
        }
        if self.store.breaker().is_some_and(|breaker| breaker.state() != BreakerState::Closed) {
            warnings.push(Warning::BreakerOpen);
        }
        for (count, why) in
            [(total.errors_of(ErrorKind::Encode), ErrorKind::Encode), (total.too_large, ErrorKind::TooLarge)]
        {
            if count > 0 {
                warnings.push(Warning::NotStored { count, why });
            }
        }
        warnings.extend(self.claims.clashes().iter().map(|site| Warning::SharedPrefix(site.to_string())));
        let undecodable = total.misses_for(MissReason::Undecodable);
        if undecodable > 0 {
            warnings.push(Warning::Undecodable(undecodable));
        }
        if let Some(why) = self.tier.as_ref().and_then(|tier| tier.why_off()) {
            warnings.push(Warning::LocalOff(why.to_string()));
        }
        warnings.extend(self.readbacks.warnings());
        warnings
    }

    /// Awaits one operation of the store, called `name`, timing it and counting its error.
    pub(crate) fn timed<T>(
        &self,
        name: &'static str,
        operation: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        self.timed_at(None, name, operation)
    }

    /// Like [`timed`](Self::timed), at a site.
    pub(crate) fn timed_at<T>(
        &self,
        site: Option<&Counters>,
        name: &'static str,
        operation: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        // G6: a call waits for the store as long as its deadline allows.
        let bounded = spending::bounded(operation, |since| self.store.unreached(since));
        self.timed_first(site, name, bounded)
    }

    /// Like [`timed_at`](Self::timed_at), for the first request of a call: the store's own timeouts bound it, at no further
    /// timer's cost for a hit. Its time begins with this call. Not an `async fn`, whose future would hold `operation` twice.
    pub(crate) fn timed_first<T>(
        &self,
        site: Option<&Counters>,
        name: &'static str,
        operation: impl Future<Output = Result<T>>,
    ) -> impl Future<Output = Result<T>> {
        let of = site.and_then(Counters::site);
        let began = Instant::now();
        spans::in_round_trip(|| self.store.about().name, name, of, operation).map(move |result| {
            let took = began.elapsed();
            spending::spend(took);
            self.round_trips.record(name, took);
            self.tell(site, Observation::of(Event::StoreCall).took(took));
            if let Err(error) = &result {
                self.failed_at(site, error);
            }
            result
        })
    }

    /// Counts an error that the caller deals with by going on.
    pub(crate) fn failed(&self, error: &Error) {
        self.failed_at(None, error);
    }

    /// Like [`failed`](Self::failed), at a site.
    pub(crate) fn failed_at(&self, site: Option<&Counters>, error: &Error) {
        self.record_at(site, Event::Error(error.kind()));
        tracing::debug!(kind = %error.kind(), "the cache failed");
    }

    /// Has a task finish what its caller does not wait for. What other processes may wait for is not left to a runtime that
    /// may end first; what only this process has is done where the caller is, by the caller's clock.
    pub(crate) fn go_on(&self, task: impl Future<Output = ()> + Send + 'static) {
        match Handle::try_current() {
            Ok(runtime) if !self.store.about().shared => drop(runtime.spawn(task)),
            _ => self.background.spawn(task),
        }
    }

    /// Tells what happened, at this site or at none.
    #[inline]
    pub(crate) fn record_at(&self, site: Option<&Counters>, event: Event) {
        self.tell(site, Observation::of(event));
    }

    /// Tells that a function returned after this time.
    pub(crate) fn loaded(&self, site: Option<&Counters>, took: Duration) {
        self.tell(site, Observation::of(Event::Loaded).took(took));
    }

    /// A hit that asked no store.
    #[inline]
    pub(crate) fn hit_here(&self, site: Option<&Counters>) {
        let counters = site.unwrap_or(&self.stats);
        counters.local_hit();
        self.settings.observers.tell_if_any(|| Observation::of(Event::Hit).here().at(counters.site()));
    }

    /// A hit of a sync function.
    #[inline]
    pub(crate) fn hit_sync(&self, counters: &Counters) {
        counters.hit();
        self.settings.observers.tell_if_any(|| Observation::of(Event::Hit).at(counters.site()));
    }

    /// Each event is counted once: at its site, or at none. Totals are sums.
    #[inline]
    pub(crate) fn tell(&self, site: Option<&Counters>, seen: Observation<'_>) {
        let counters = site.unwrap_or(&self.stats);
        let seen = seen.at(counters.site());
        if let Event::FailedEvict(kind) = seen.event {
            sync::lock(&self.failed_evicts).add(kind, self.unacknowledged().deliveries());
        }
        counters.event(&seen);
        self.settings.observers.tell(&seen);
    }

    /// What [`spread`](Self::spread) makes of `ttl` at most.
    pub(crate) fn longest(&self, ttl: Duration, jitter: Option<u8>) -> Duration {
        ttl.saturating_add(ttl.min(NEVER) * self.jitter(jitter) / 100)
    }

    /// In percent.
    fn jitter(&self, jitter: Option<u8>) -> u32 {
        u32::from(jitter.unwrap_or(self.settings.jitter)).min(100)
    }

    /// `ttl` spread by jitter.
    pub(crate) fn spread(&self, ttl: Duration, jitter: Option<u8>) -> Duration {
        let percent = self.jitter(jitter);
        if percent == 0 {
            return ttl;
        }
        let part = rand::random_range(-1.0..=1.0) * f64::from(percent) / 100.0;
        ttl.min(NEVER).mul_f64(1.0 + part).max(Duration::from_millis(1))
    }
}
