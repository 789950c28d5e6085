//! Many entries in one call: one read, one load of what is missing, one lease each.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use serde::Serialize;

use crate::cache::Cache;
use crate::chunks::{MOST_TAGS, chunks};
use crate::entry::Entry;
use crate::evict::log_failed;
use crate::flight::{Follow, Landed, Lead, Seat, Verdict, Waited};
use crate::header;
use crate::lease::{self, Answer, Held, Pauses, Turns, Wanted};
use crate::load::MOST_LOOKS;
use crate::lookup::{Looked, Target, Usable};
use crate::mode::{Loading, Mode};
use crate::outcome::Value;
use crate::rules::NoRules;
use crate::stats::{Counters, Event, MissReason};
use crate::store::{FillId, LeaseKind, Version, VersionKey};
use crate::storing::{fill_all, finish_puts, to_capture};

impl Cache {
    /// The values of many ids under one prefix, in any order; ids that `load` does not know are not in the map.
    ///
    /// `load` is called with the ids that are missing, once. What another caller is loading meanwhile is waited for; what
    /// it does not bring, because its load fails or takes longer than the cache's `wait`, is loaded in a later call,
    /// which may begin before an earlier one has ended. Nobody waits for one id until others are loaded.
    ///
    /// The store is asked about 256 ids in one round trip, and stores 256 values or about 1 MiB in one. After one that
    /// failed it is not asked again, and the rest is loaded and not stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::collections::HashMap;
    ///
    /// let cache = cachemacro::Cache::memory();
    /// let squares = async |ids: Vec<u64>| ids.into_iter().map(|id| (id, id * id)).collect::<HashMap<_, _>>();
    ///
    /// let found = cache.get_or_load_many("square", [2, 3], squares).await;
    /// assert_eq!((found[&2], found[&3]), (4, 9));
    /// assert_eq!(cache.get::<u64>("square", &3).await.ok().flatten(), Some(9));
    /// # }
    /// ```
    pub async fn get_or_load_many<K, T, F>(
        &self,
        prefix: &str,
        ids: impl IntoIterator<Item = K>,
        mut load: impl FnMut(Vec<K>) -> F,
    ) -> HashMap<K, T>
    where
        K: Serialize + Eq + Hash + Clone,
        T: Value,
        F: Future<Output = HashMap<K, T>>,
    {
        let load = |ids| {
            let loaded = load(ids);
            async move { Ok::<_, std::convert::Infallible>(loaded.await) }
        };
        match self.try_get_or_load_many(ids, |id| self.entry(prefix, id), load).await {
            Ok(values) => values,
            Err(never) => match never {},
        }
    }

    /// [`get_or_load_many`](Self::get_or_load_many) with a load that can fail, and entries made by `entry`, such as
    /// the `entry` function of an attributed function. Ids whose entry belongs to another cache are loaded and not
    /// stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), &'static str> {
    /// use std::{collections::HashMap, time::Duration};
    ///
    /// let cache = cachemacro::Cache::memory();
    /// let user = |id: &u64| cache.entry::<String>("user", id).with_ttl(Duration::from_secs(60));
    /// let load = async |ids: Vec<u64>| match &ids[..] {
    ///     [] => Err("the database has no rows"),
    ///     ids => Ok(ids.iter().map(|&id| (id, format!("user {id}"))).collect::<HashMap<_, _>>()),
    /// };
    /// let users = cache.try_get_or_load_many([7, 8], user, load).await?;
    /// assert_eq!(users[&8], "user 8");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `load` returned; the cache has none of its own.
    pub async fn try_get_or_load_many<K, T, E, F>(
        &self,
        ids: impl IntoIterator<Item = K>,
        entry: impl Fn(&K) -> Entry<T>,
        mut load: impl FnMut(Vec<K>) -> F,
    ) -> Result<HashMap<K, T>, E>
    where
        K: Eq + Hash + Clone,
        T: Value,
        F: Future<Output = Result<HashMap<K, T>, E>>,
    {
        let mut batch = Batch::new(self, ids, entry);
        Box::pin(batch.read()).await;
        let follows = batch.join().into_iter().map(|(missing, follow)| missing.told(follow));
        let (mut follows, mut loads) = (follows.collect::<FuturesUnordered<_>>(), FuturesUnordered::new());
        loop {
            Box::pin(batch.lease()).await;
            let mut ready = batch.take(Missing::is_ready);
            if !ready.is_empty() {
                // Before `load` is called: it may read at once, and not only when it is awaited.
                ready.iter_mut().filter_map(|missing| missing.lead.as_mut()).for_each(Lead::loading);
                let ids = ready.iter().map(|missing| missing.id.clone()).collect();
                loads.push(load_together(self, ready, load(ids)));
            }
            tokio::select! {
                Some(loaded) = loads.next() => batch.values.extend(loaded?),
                Some(told) = follows.next() => {
                    let more = std::iter::from_fn(|| follows.next().now_or_never().flatten());
                    for (missing, waited) in std::iter::once(told).chain(more) {
                        batch.told(missing, waited);
                    }
                }
                () = batch.changed(), if batch.is_waiting() => {}
                else => return Ok(batch.values),
            }
        }
    }
}

/// The ids of one call on their way to values.
struct Batch<'a, K, T> {
    cache: &'a Cache,
    missing: Vec<Missing<K, T>>,
    values: HashMap<K, T>,
    began: tokio::time::Instant,
    pauses: Pauses,
}

/// An id without a value.
struct Missing<K, T> {
    id: K,
    entry: Entry<T>,
    state: State,
    /// This call is to find a value for the other callers in this process too. Dropped after the lease.
    lead: Option<Lead>,
    /// How often a value was found and could not be used.
    looks: u32,
}

enum State {
    /// This value was seen and could not be used; zero: none.
    Seen(FillId),
    /// This call is to load it and store it.
    Held(Held),
    /// This call is to load it whatever is there, and to store it like a put.
    Refresh(Option<Held>),
    /// Another process is loading it, whose lease remains so long.
    Busy { seen: FillId, remaining: Duration },
    /// This call is to load it, and cannot store it.
    Unstored,
}

impl<'a, K: Eq + Hash + Clone, T: Value> Batch<'a, K, T> {
    fn new(cache: &'a Cache, ids: impl IntoIterator<Item = K>, entry: impl Fn(&K) -> Entry<T>) -> Self {
        let mut entries: HashMap<K, Entry<T>> = HashMap::new();
        for id in ids {
            let made = entry(&id);
            entries.entry(id).or_insert(made);
        }
        let wait = entries.values().filter_map(|entry| Some(entry.target().ok()?.wait())).max();
        let missing = |(id, entry)| Missing { id, entry, state: State::Seen(0), lead: None, looks: 0 };
        Self {
            cache,
            missing: entries.into_iter().map(missing).collect(),
            values: HashMap::new(),
            began: tokio::time::Instant::now(),
            pauses: Pauses::new(wait.unwrap_or_default()),
        }
    }

    /// Takes out those for which `which` holds.
    fn take(&mut self, which: impl Fn(&Missing<K, T>) -> bool) -> Vec<Missing<K, T>> {
        let (taken, left) = std::mem::take(&mut self.missing).into_iter().partition(which);
        self.missing = left;
        taken
    }

    /// Nothing is read. What is there stays until it is replaced.
    async fn refresh(&mut self) {
        let cache = self.cache;
        let wanted = self.take(|missing| missing.within(cache).is_some());
        for missing in &wanted {
            missing.record(Event::Miss(MissReason::TooOld));
        }
        // This task is loading or putting this very key: it would come between.
        let (own, wanted) = wanted.into_iter().partition(Missing::is_own);
        self.missing.extend(own);
        self.missing.iter_mut().for_each(|missing| missing.state = State::Unstored);
        self.acquire(wanted, LeaseKind::Put).await;
    }

    /// Reads all, in one request unless they are very many. What cannot be read is loaded and not stored; after a
    /// request that failed no more are sent.
    async fn read(&mut self) {
        if Mode::current() == Mode::Refresh {
            return self.refresh().await;
        }
        let cache = self.cache;
        let within = self.take(|missing| missing.within(cache).is_some());
        self.missing.iter_mut().for_each(|missing| missing.state = State::Unstored);
        let keys: Vec<&str> =
            within.iter().filter_map(|missing| Some(&*missing.within(cache)?.full)).collect();
        let settled = cache.settle(&keys).await.inspect_err(|error| cache.core().failed(error));
        let mut answers = settled.is_ok();
        for chunk in chunks(within, MOST_TAGS, Missing::tags) {
            let looks = if answers { look(cache, &chunk).await } else { None };
            answers = looks.is_some();
            let mut looks = looks.unwrap_or_default().into_iter();
            for missing in chunk {
                self.looked(missing, looks.next().flatten());
            }
        }
    }

    fn looked(&mut self, mut missing: Missing<K, T>, looked: Option<Looked>) {
        let (reason, state) = match looked {
            Some(Looked::Usable(usable)) => {
                if let Ok(row) = missing.row(&usable) {
                    missing.record(Event::Hit);
                    self.values.extend(row.map(|row| (missing.id, row)));
                    return;
                }
                (MissReason::Undecodable, State::Seen(usable.header.fill_id))
            }
            Some(Looked::Miss(miss)) => (miss.reason, State::Seen(miss.seen)),
            None => (MissReason::StoreFailed, State::Unstored),
        };
        missing.record(Event::Miss(reason));
        missing.state = state;
        self.missing.push(missing);
    }

    /// Joins this process's flights. Those that others lead are taken out.
    fn join(&mut self) -> Vec<(Missing<K, T>, Follow)> {
        let mut follows = Vec::new();
        for mut missing in std::mem::take(&mut self.missing) {
            if !matches!(missing.state, State::Refresh(_))
                && let Some(target) = missing.within(self.cache)
            {
                if missing.is_own() {
                    // This task is loading or putting this very key: it would wait for itself.
                    missing.state = State::Unstored;
                } else {
                    match target.join(missing.entry.has_late_tags(&NoRules)) {
                        Seat::Lead(lead) => missing.lead = Some(lead),
                        Seat::Follow(follow) => {
                            follows.push((missing, follow));
                            continue;
                        }
                    }
                }
            }
            self.missing.push(missing);
        }
        follows
    }

    /// How the wait for another caller in this process ended.
    fn told(&mut self, mut missing: Missing<K, T>, waited: Waited) {
        match waited {
            Waited::Told(Verdict::Share(Landed::Value(shared))) if shared.is::<T>() => {
                missing.record(Event::SharedLoad);
                self.values.extend(shared.downcast_ref().map(|row: &T| (missing.id, row.clone())));
                return;
            }
            Waited::Told(Verdict::Share(Landed::None)) => {
                missing.record(Event::SharedLoad);
                return;
            }
            Waited::Told(Verdict::Share(_) | Verdict::Alone) => missing.state = State::Unstored,
            Waited::Told(Verdict::Lead(lead)) => missing.lead = Some(lead),
            Waited::Over(lead) => {
                missing.lead = Some(lead);
                missing.state = State::Unstored;
            }
        }
        self.missing.push(missing);
    }

    /// Asks for one lease each for what was looked for and not found.
    async fn lease(&mut self) {
        loop {
            let mut wanted = self.take(|missing| matches!(missing.state, State::Seen(_)));
            if wanted.is_empty() {
                return;
            }
            wanted.iter_mut().filter_map(|missing| missing.lead.as_mut()).for_each(Lead::reading);
            self.acquire(wanted, LeaseKind::Load).await;
        }
    }

    /// Asks for one lease each, in one request unless they are very many; after one that failed no more are sent.
    async fn acquire(&mut self, wanted: Vec<Missing<K, T>>, kind: LeaseKind) {
        let cache = self.cache;
        let mut turns = Turns::new(cache);
        let mut failed = false;
        for chunk in chunks(wanted, MOST_TAGS, Missing::tags) {
            turns.renew(cache, self.missing.iter().filter_map(Missing::held)).await;
            let answers = if failed { Vec::new() } else { ask(cache, &chunk, kind).await };
            failed |= answers.iter().any(|answer| matches!(answer, Answer::Failed));
            let mut answers = answers.into_iter();
            for mut missing in chunk {
                missing.state = match (answers.next().unwrap_or(Answer::Failed), kind) {
                    (Answer::Held(held), LeaseKind::Put) => State::Refresh(Some(held)),
                    (_, LeaseKind::Put) => State::Refresh(None),
                    (Answer::Held(held), _) => State::Held(held),
                    (Answer::Busy(remaining), _) => State::Busy { seen: missing.seen(), remaining },
                    (Answer::Found(bytes, versions), _) => {
                        self.found(missing, bytes, versions).await;
                        continue;
                    }
                    (Answer::Failed, _) => State::Unstored,
                };
                self.missing.push(missing);
            }
        }
    }

    /// A value that another process stored meanwhile.
    async fn found(&mut self, mut missing: Missing<K, T>, bytes: bytes::Bytes, versions: Vec<Version>) {
        let versions: Vec<_> = versions.into_iter().map(Some).collect();
        let looked = match missing.entry.target() {
            Ok(target) => target.verify(bytes, &versions, missing.entry.expected()).await.ok(),
            Err(_) => None,
        };
        missing.looks += 1;
        missing.state = match looked {
            Some(Looked::Usable(usable)) => {
                if let Ok(row) = missing.row(&usable) {
                    if let Some(mut lead) = missing.lead {
                        let age = self.cache.core().store.now().since(usable.header.stored_at);
                        lead.share_read(&Landed::of(row.as_ref()), age);
                        lead.hand_on();
                    }
                    self.values.extend(row.map(|row| (missing.id, row)));
                    return;
                }
                State::Seen(usable.header.fill_id)
            }
            Some(Looked::Miss(miss)) => State::Seen(miss.seen),
            None => State::Unstored,
        };
        if missing.looks >= MOST_LOOKS {
            missing.state = State::Unstored;
        }
        self.missing.push(missing);
    }

    fn is_waiting(&self) -> bool {
        self.missing.iter().any(|missing| missing.leased(self.began).is_some())
    }

    /// Waits until any of those that other processes are loading may have changed, or its wait is over. Holds no lease
    /// meanwhile but for loads under way: two batches that did would never get all.
    async fn changed(&mut self) {
        let leased: Vec<_> = self.missing.iter().filter_map(|missing| missing.leased(self.began)).collect();
        if leased.iter().all(|(_, left)| !left.is_zero()) {
            self.pauses.wait_for_any(&leased).await;
        }
        for missing in &mut self.missing {
            if let State::Busy { seen, .. } = missing.state {
                let is_over = missing.leased(self.began).is_none_or(|(_, left)| left.is_zero());
                missing.state = if is_over { State::Unstored } else { State::Seen(seen) };
            }
        }
    }
}

impl<K, T: Value> Missing<K, T> {
    /// The target, unless caching is off or the entry is another cache's, where its evicts go.
    fn within(&self, cache: &Cache) -> Option<&Target> {
        self.entry.active().filter(|target| target.cache.core().id == cache.core().id)
    }

    fn record(&self, event: Event) {
        if let Some(target) = self.entry.active() {
            target.record(event);
        }
    }

    /// How many tags are known before the load.
    fn tags(&self) -> usize {
        self.entry.target().map_or(0, |target| target.tags.len())
    }

    /// Whether this task is loading or putting it.
    fn is_own(&self) -> bool {
        self.entry.target().is_ok_and(|target| Loading::contains(target.cache.core().id, &target.full))
    }

    /// Whether this call is to load it.
    fn is_ready(&self) -> bool {
        matches!(self.state, State::Held(_) | State::Refresh(_) | State::Unstored)
    }

    fn seen(&self) -> FillId {
        if let State::Seen(seen) = self.state { seen } else { 0 }
    }

    fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Held(held) | State::Refresh(Some(held)) => Some(held),
            _ => None,
        }
    }

    /// How long a call that began then waits for the process that holds the lease.
    fn leased(&self, began: tokio::time::Instant) -> Option<(&Target, Duration)> {
        let State::Busy { remaining, .. } = self.state else { return None };
        let target = self.entry.target().ok()?;
        Some((target, remaining.min(target.wait().saturating_sub(began.elapsed()))))
    }

    /// The value, or that it is known that there is none; `Err` where it cannot be used.
    fn row(&self, usable: &Usable) -> Result<Option<T>, ()> {
        if usable.header.has(header::NONE) {
            return Ok(None);
        }
        self.entry.decode(usable).map(Some).ok_or(())
    }

    /// Waits for the caller that leads.
    async fn told(self, follow: Follow) -> (Self, Waited) {
        let waited = match self.entry.target() {
            Ok(target) => follow.wait(target.patience()).await,
            Err(_) => Waited::Told(Verdict::Alone),
        };
        (self, waited)
    }
}

/// Loads these together, shares them with this process and stores those whose lease is held.
async fn load_together<K: Eq + Hash, T: Value, E>(
    cache: &Cache,
    wanted: Vec<Missing<K, T>>,
    load: impl Future<Output = Result<HashMap<K, T>, E>>,
) -> Result<HashMap<K, T>, E> {
    let held: Vec<&Held> = wanted.iter().filter_map(Missing::held).collect();
    let targets = || wanted.iter().filter_map(|missing| missing.entry.target().ok());
    let deadline = targets().map(Target::deadline).max().unwrap_or_default();
    let keys = targets().map(|target| (target.cache.core().id, target.full.clone())).collect();
    let loading = Loading::current().with_all(keys);
    let counted = Counted::of(cache, &wanted);
    counted.record(Event::Load);
    let began = Instant::now();
    let loaded = lease::keep(&held, deadline, loading.scope(load)).await;
    drop(held);
    let took = began.elapsed();
    counted.load_took(took);
    let mut loaded = match loaded {
        Ok(loaded) => loaded,
        Err(failure) => {
            counted.record(Event::LoadFailed);
            wanted.into_iter().filter_map(|missing| missing.lead).for_each(Lead::scatter);
            return Err(failure);
        }
    };
    let (mut fills, mut puts) = (Vec::new(), Vec::new());
    let (mut leads, mut values) = (Vec::new(), HashMap::new());
    for missing in wanted {
        let value = loaded.remove(&missing.id);
        if let Some(mut lead) = missing.lead {
            if lead.has_followers() {
                lead.share_load(&Landed::of(value.as_ref()));
            }
            lead.close();
            leads.push(lead);
        }
        match (missing.state, missing.entry.target()) {
            (State::Held(held), Ok(target)) => {
                // Without a value to store, dropping the lease gives it back.
                if let Some(prepared) = missing.entry.prepare(target, &NoRules, value.as_ref()) {
                    fills.push((target.clone(), held, prepared));
                }
            }
            (State::Refresh(held), Ok(target)) => {
                let prepared = missing.entry.prepare(target, &NoRules, value.as_ref());
                puts.push((target.clone(), held, prepared));
            }
            _ => {}
        }
        values.extend(value.map(|value| (missing.id, value)));
    }
    fill_all(cache, fills, took, false).await;
    if let Err(error) = finish_puts(cache, puts, took).await {
        log_failed(&error);
    }
    // Who joined during the load looks for what was stored.
    leads.into_iter().for_each(Lead::hand_on);
    Ok(values)
}

/// The cache and the sites for which a load counts, each once.
struct Counted {
    cache: Cache,
    sites: Vec<Arc<Counters>>,
}

impl Counted {
    fn of<K, T: Value>(cache: &Cache, loaded: &[Missing<K, T>]) -> Self {
        let mut sites: Vec<Arc<Counters>> = Vec::new();
        for (_, site) in loaded.iter().filter_map(|missing| missing.within(cache)?.site.as_ref()) {
            if !sites.iter().any(|known| Arc::ptr_eq(known, site)) {
                sites.push(site.clone());
            }
        }
        Self { cache: cache.clone(), sites }
    }

    fn record(&self, event: Event) {
        self.cache.core().stats.record(event);
        self.sites.iter().for_each(|site| site.record(event));
    }

    fn load_took(&self, time: Duration) {
        self.cache.core().stats.load_took(time);
        self.sites.iter().for_each(|site| site.load_took(time));
    }
}

/// One read for all of these; `None` where the store failed, for all or for the stamps of one.
async fn look<K, T: Value>(cache: &Cache, chunk: &[Missing<K, T>]) -> Option<Vec<Option<Looked>>> {
    let core = cache.core();
    let targets: Vec<&Target> = chunk.iter().filter_map(|missing| missing.entry.target().ok()).collect();
    let keys: Vec<String> = targets.iter().map(|target| target.full.to_string()).collect();
    let mut tags: Vec<VersionKey> = Vec::new();
    let mut places: HashMap<&VersionKey, usize> = HashMap::new();
    for tag in targets.iter().flat_map(|target| &target.tags) {
        places.entry(tag).or_insert_with(|| {
            tags.push(tag.clone());
            tags.len() - 1
        });
    }
    let (entries, versions) = core.timed(core.store.read_many(&keys, &tags)).await.ok()?;
    let mut entries = entries.into_iter();
    let looks = chunk.iter().zip(&targets).map(|(missing, target)| {
        let entry = entries.next().flatten();
        let version = |tag| places.get(tag).and_then(|at| versions.get(*at).copied().flatten());
        let own: Vec<_> = target.tags.iter().map(version).collect();
        async move { target.found(entry, &own, missing.entry.expected()).await.ok() }
    });
    Some(join_all(looks).await)
}

/// One request for a lease each.
async fn ask<K, T: Value>(cache: &Cache, chunk: &[Missing<K, T>], kind: LeaseKind) -> Vec<Answer> {
    let captures: Vec<_> = chunk
        .iter()
        .filter_map(|missing| {
            let target = missing.entry.target().ok()?;
            Some((target, to_capture(target, missing.entry.has_late_tags(&NoRules)), missing))
        })
        .collect();
    let wanted: Vec<_> = captures
        .iter()
        .map(|(target, capture, missing)| Wanted { key: &target.full, seen: missing.seen(), kind, capture })
        .collect();
    lease::acquire_many(cache, &wanted).await
}
