//! Many entries in one call: one read, one load of what is missing, one lease each.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use serde::Serialize;

use crate::cache::Cache;
use crate::chunks::{MOST_TAGS, chunks};
use crate::entry::{Entry, Lookup};
use crate::evict::log_failed;
use crate::header;
use crate::lease::{self, Answer, Held, Turns, Wanted};
use crate::lookup::{Looked, Target};
use crate::mode::{Loading, Mode};
use crate::outcome::Value;
use crate::rules::NoRules;
use crate::stats::{Counters, Event, MissReason};
use crate::store::{FillId, LeaseKind, VersionKey};
use crate::storing::{fill_all, finish_puts, to_capture};

impl Cache {
    /// The values of many ids under one prefix, in any order; ids that `load` does not know are not in the map.
    ///
    /// `load` is called with the ids that are missing, once; what another process is loading meanwhile is waited
    /// for, and loaded in a second call only if it does not come within the cache's `wait`.
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
        let mut batch = Batch::new(ids, entry);
        batch.read(self).await;
        batch.lease(self).await;
        let own = batch.take(|wanted| !matches!(wanted.state, State::Busy));
        batch.load(self, own, &mut load).await?;
        batch.wait().await;
        let left = batch.take(|_| true);
        batch.load(self, left, &mut load).await?;
        Ok(batch.values)
    }
}

/// The ids of one call on their way to values.
struct Batch<K, T> {
    missing: Vec<Missing<K, T>>,
    values: HashMap<K, T>,
}

/// An id without a value.
struct Missing<K, T> {
    id: K,
    entry: Entry<T>,
    state: State,
}

enum State {
    /// This value was seen and could not be used; zero: none.
    Seen(FillId),
    /// This call is to load it and store it.
    Held(Held),
    /// This call is to load it whatever is there, and to store it like a put.
    Refresh(Option<Held>),
    /// Another caller is loading it.
    Busy,
    /// This call is to load it, and cannot store it.
    Unstored,
}

impl<K: Eq + Hash + Clone, T: Value> Batch<K, T> {
    fn new(ids: impl IntoIterator<Item = K>, entry: impl Fn(&K) -> Entry<T>) -> Self {
        let mut missing: HashMap<K, Entry<T>> = HashMap::new();
        for id in ids {
            let made = entry(&id);
            missing.entry(id).or_insert(made);
        }
        let missing =
            missing.into_iter().map(|(id, entry)| Missing { id, entry, state: State::Seen(0) }).collect();
        Self { missing, values: HashMap::new() }
    }

    /// Takes out those for which `which` holds.
    fn take(&mut self, which: impl Fn(&Missing<K, T>) -> bool) -> Vec<Missing<K, T>> {
        let (taken, left) = std::mem::take(&mut self.missing).into_iter().partition(which);
        self.missing = left;
        taken
    }

    /// Nothing is read. What is there stays until it is replaced.
    async fn refresh(&mut self, cache: &Cache) {
        let (within, others) =
            self.take(|_| true).into_iter().partition(|missing| missing.within(cache).is_some());
        self.put_back(others, || State::Unstored);
        for missing in &within {
            missing.record(Event::Miss(MissReason::TooOld));
        }
        self.acquire(cache, within, LeaseKind::Put).await;
    }

    /// Reads all, in one request unless they are very many. What cannot be read is loaded and not stored; after a
    /// request that failed no more are sent.
    async fn read(&mut self, cache: &Cache) {
        if Mode::current() == Mode::Refresh {
            return self.refresh(cache).await;
        }
        let (within, others): (Vec<_>, _) =
            self.take(|_| true).into_iter().partition(|missing| missing.within(cache).is_some());
        self.put_back(others, || State::Unstored);
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
        match looked {
            Some(Looked::Usable(usable)) => {
                if let Some(value) = missing.entry.decode(&usable) {
                    missing.record(Event::Hit);
                    self.values.insert(missing.id, value);
                    return;
                }
                if usable.header.has(header::NONE) {
                    // It is known that there is no row.
                    missing.record(Event::Hit);
                    return;
                }
                missing.record(Event::Miss(MissReason::Undecodable));
                missing.state = State::Seen(usable.header.fill_id);
            }
            Some(Looked::Miss(miss)) => {
                missing.record(Event::Miss(miss.reason));
                missing.state = State::Seen(miss.seen);
            }
            None => {
                missing.record(Event::Miss(MissReason::StoreFailed));
                missing.state = State::Unstored;
            }
        }
        self.missing.push(missing);
    }

    /// Asks for one lease each for what was looked for and not found.
    async fn lease(&mut self, cache: &Cache) {
        let wanted = self.take(|missing| matches!(missing.state, State::Seen(_)));
        self.acquire(cache, wanted, LeaseKind::Load).await;
    }

    /// Asks for one lease each, in one request unless they are very many; after one that failed no more are sent.
    async fn acquire(&mut self, cache: &Cache, wanted: Vec<Missing<K, T>>, kind: LeaseKind) {
        // This task is loading or putting this very key: it would wait for itself, or come between.
        let (own, wanted) = wanted.into_iter().partition(Missing::is_own);
        self.put_back(own, || State::Unstored);
        let mut turns = Turns::new(cache);
        let mut failed = false;
        for mut chunk in chunks(wanted, MOST_TAGS, Missing::tags) {
            turns.renew(cache, self.missing.iter().filter_map(Missing::held)).await;
            let answers = if failed { Vec::new() } else { ask(cache, &chunk, kind).await };
            failed |= answers.iter().any(|answer| matches!(answer, Answer::Failed));
            let mut answers = answers.into_iter();
            for missing in &mut chunk {
                missing.state = match (answers.next().unwrap_or(Answer::Failed), kind) {
                    (Answer::Held(held), LeaseKind::Put) => State::Refresh(Some(held)),
                    (_, LeaseKind::Put) => State::Refresh(None),
                    (Answer::Held(held), _) => State::Held(held),
                    // What was found a moment ago is waited for: the first look gets it.
                    (Answer::Busy(_) | Answer::Found(..), _) => State::Busy,
                    (Answer::Failed, _) => State::Unstored,
                };
            }
            self.missing.append(&mut chunk);
        }
    }

    fn put_back(&mut self, missing: Vec<Missing<K, T>>, state: impl Fn() -> State) {
        self.missing.extend(missing.into_iter().map(|missing| Missing { state: state(), ..missing }));
    }

    /// Loads these together and stores those whose lease is held.
    async fn load<E, F>(
        &mut self,
        cache: &Cache,
        wanted: Vec<Missing<K, T>>,
        load: &mut impl FnMut(Vec<K>) -> F,
    ) -> Result<(), E>
    where
        F: Future<Output = Result<HashMap<K, T>, E>>,
    {
        if wanted.is_empty() {
            return Ok(());
        }
        let ids = wanted.iter().map(|missing| missing.id.clone()).collect();
        let held: Vec<&Held> = wanted.iter().filter_map(Missing::held).collect();
        let targets = || wanted.iter().filter_map(|missing| missing.entry.target().ok());
        let deadline = targets().map(Target::deadline).max().unwrap_or_default();
        let keys = targets().map(|target| (target.cache.core().id, target.full.clone())).collect();
        let loading = Loading::current().with_all(keys);
        let counted = Counted::of(cache, &wanted);
        counted.record(Event::Load);
        let began = Instant::now();
        let loaded = lease::keep(&held, deadline, loading.scope(load(ids))).await;
        drop(held);
        let took = began.elapsed();
        counted.load_took(took);
        let mut loaded = loaded.inspect_err(|_| counted.record(Event::LoadFailed))?;
        let (mut fills, mut puts) = (Vec::new(), Vec::new());
        for missing in wanted {
            let value = loaded.remove(&missing.id);
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
            if let Some(value) = value {
                self.values.insert(missing.id, value);
            }
        }
        fill_all(cache, fills, took, false).await;
        if let Err(error) = finish_puts(cache, puts, took).await {
            log_failed(&error);
        }
        Ok(())
    }

    /// Waits for what others are loading; what does not come is this call's to load.
    async fn wait(&mut self) {
        let missing = std::mem::take(&mut self.missing);
        let lookups = join_all(missing.iter().map(|missing| missing.entry.seek(true))).await;
        for (mut missing, lookup) in missing.into_iter().zip(lookups) {
            missing.state = match lookup {
                Ok(Some(Lookup::Hit(value))) => {
                    self.values.insert(missing.id, value);
                    continue;
                }
                // It is known that there is no row.
                Ok(None) => continue,
                Ok(Some(Lookup::Vacant(vacancy))) => vacancy.into_held().map_or(State::Unstored, State::Held),
                Err(_) => State::Unstored,
            };
            self.missing.push(missing);
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

    fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Held(held) | State::Refresh(Some(held)) => Some(held),
            _ => None,
        }
    }
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
        .map(|(target, capture, missing)| {
            let seen = if let State::Seen(seen) = missing.state { seen } else { 0 };
            Wanted { key: &target.full, seen, kind, capture }
        })
        .collect();
    lease::acquire_many(cache, &wanted).await
}
