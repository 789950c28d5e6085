//! Many entries in one call: one read, one load of what is missing, one lease each.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::time::Instant;

use futures_util::future::join_all;
use serde::Serialize;

use crate::cache::Cache;
use crate::entry::{Entry, Lookup};
use crate::evict::log_failed;
use crate::header;
use crate::lease::{self, Answer, Held, Wanted};
use crate::lookup::{Looked, Target};
use crate::mode::{Loading, Mode};
use crate::outcome::Value;
use crate::rules::{EntryRules, NoRules};
use crate::stats::{Event, MissReason};
use crate::store::{FillId, VersionKey};
use crate::storing::{Prepared, fill_all, finish_put, to_capture};

impl Cache {
    /// The values of many ids under one prefix, in any order; ids that `load` does not know are not in the map.
    ///
    /// `load` is called with the ids that are missing, once; what another process is loading meanwhile is waited
    /// for, and loaded in a second call only if it does not come within the cache's `wait`.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use std::collections::HashMap;
    ///
    /// let cache = cachemacro_runtime::Cache::memory();
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

    /// The store did not answer: nothing can be read or stored.
    fn give_up(&mut self) {
        for missing in &mut self.missing {
            missing.record(Event::Miss(MissReason::StoreFailed));
            missing.state = State::Unstored;
        }
    }

    /// Nothing is read. What is there stays until it is replaced.
    async fn refresh(&mut self, cache: &Cache) {
        let leases = join_all(self.missing.iter().map(|missing| async move {
            let target = missing.within(cache)?;
            missing.record(Event::Miss(MissReason::TooOld));
            Some(lease::acquire_for_put(target, has_late_tags(missing.entry.rules())).await)
        }))
        .await;
        for (missing, lease) in self.missing.iter_mut().zip(leases) {
            missing.state = lease.map_or(State::Unstored, State::Refresh);
        }
    }

    /// One read for all. What cannot be read is loaded and not stored.
    async fn read(&mut self, cache: &Cache) {
        let core = cache.core();
        if Mode::current() == Mode::Refresh {
            return self.refresh(cache).await;
        }
        if cache.settle().await.is_err() {
            return self.give_up();
        }
        let mut tags: Vec<VersionKey> = Vec::new();
        let mut keys = Vec::new();
        for missing in &self.missing {
            if let Some(target) = missing.within(cache) {
                keys.push(target.full.to_string());
                tags.extend(
                    target.tags.iter().filter(|tag| !tags.contains(tag)).cloned().collect::<Vec<_>>(),
                );
            }
        }
        let (entries, versions) = if keys.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            match core.timed(core.store.read_many(&keys, &tags)).await {
                Ok(read) => read,
                Err(_) => return self.give_up(),
            }
        };
        let mut found: HashMap<String, _> = keys.into_iter().zip(entries).collect();
        for mut missing in std::mem::take(&mut self.missing) {
            let Some(target) = missing.within(cache) else {
                missing.state = State::Unstored;
                self.missing.push(missing);
                continue;
            };
            let own: Vec<_> = target
                .tags
                .iter()
                .map(|tag| {
                    tags.iter()
                        .position(|known| known == tag)
                        .and_then(|at| versions.get(at).copied().flatten())
                })
                .collect();
            let looked = match found.remove(&*target.full).flatten() {
                Some(bytes) => target.verify(bytes, &own, missing.entry.expected()).await.ok(),
                None => None,
            };
            match looked {
                Some(Looked::Usable(usable)) => {
                    if let Some(value) = missing.entry.decode(&usable) {
                        target.record(Event::Hit);
                        self.values.insert(missing.id, value);
                        continue;
                    }
                    if usable.header.has(header::NONE) {
                        // It is known that there is no row.
                        target.record(Event::Hit);
                        continue;
                    }
                    target.record(Event::Miss(MissReason::Undecodable));
                    missing.state = State::Seen(usable.header.fill_id);
                }
                Some(Looked::Miss(miss)) => {
                    target.record(Event::Miss(miss.reason));
                    missing.state = State::Seen(miss.seen);
                }
                None => target.record(Event::Miss(MissReason::Absent)),
            }
            self.missing.push(missing);
        }
    }

    /// Asks for one lease each, in one round trip for those that capture the same versions.
    async fn lease(&mut self, cache: &Cache) {
        let mut groups: HashMap<Vec<VersionKey>, Vec<Missing<K, T>>> = HashMap::new();
        for missing in self.take(|missing| matches!(missing.state, State::Seen(_))) {
            match missing.entry.target() {
                // This task is loading or putting this very key: it would wait for itself.
                Ok(target) if Loading::contains(target.cache.core().id, &target.full) => {
                    self.missing.push(Missing { state: State::Unstored, ..missing });
                }
                Ok(target) => {
                    let capture = to_capture(target, has_late_tags(missing.entry.rules()));
                    groups.entry(capture).or_default().push(missing);
                }
                Err(_) => self.missing.push(Missing { state: State::Unstored, ..missing }),
            }
        }
        for (capture, mut group) in groups {
            let wanted: Vec<_> = group.iter().filter_map(|missing| wanted(missing, &capture)).collect();
            let answers = lease::acquire_many(cache, &wanted).await;
            for (missing, answer) in group.iter_mut().zip(answers) {
                missing.state = match answer {
                    Answer::Held(held) => State::Held(held),
                    // What was found a moment ago is waited for: the first look gets it.
                    Answer::Busy(_) | Answer::Found(..) => State::Busy,
                    Answer::Failed => State::Unstored,
                };
            }
            self.missing.append(&mut group);
        }
    }

    /// Loads these together and stores those whose lease is held, in one round trip each for all of them.
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
        let held: Vec<&Held> = wanted
            .iter()
            .filter_map(|missing| match &missing.state {
                State::Held(held) | State::Refresh(Some(held)) => Some(held),
                _ => None,
            })
            .collect();
        let deadline = wanted.iter().find_map(|missing| missing.entry.target().ok()).map(Target::deadline);
        cache.core().stats.record(Event::Load);
        let began = Instant::now();
        let targets = wanted.iter().filter_map(|missing| missing.entry.target().ok());
        let loading = targets.fold(Loading::current(), |loading, target| {
            loading.with(target.cache.core().id, target.full.clone())
        });
        let loaded = lease::keep(&held, deadline.unwrap_or_default(), loading.scope(load(ids))).await;
        drop(held);
        let took = began.elapsed();
        cache.core().stats.load_took(took);
        let mut loaded = loaded.inspect_err(|_| cache.core().stats.record(Event::LoadFailed))?;
        let (mut fills, mut puts) = (Vec::new(), Vec::new());
        for missing in wanted {
            let value = loaded.remove(&missing.id);
            match (missing.state, missing.entry.target()) {
                (State::Held(held), Ok(target)) => {
                    // Without a value to store, dropping the lease gives it back.
                    if let Some(prepared) = prepared(&missing.entry, target, value.as_ref()) {
                        fills.push((target.clone(), held, prepared));
                    }
                }
                (State::Refresh(held), Ok(target)) => {
                    let prepared = prepared(&missing.entry, target, value.as_ref());
                    puts.push((target.clone(), held, prepared));
                }
                _ => {}
            }
            if let Some(value) = value {
                self.values.insert(missing.id, value);
            }
        }
        fill_all(cache, fills, took).await;
        join_all(puts.into_iter().map(|(target, held, prepared)| async move {
            if let Err(error) = finish_put(&target, held, prepared, took).await {
                log_failed(&error);
            }
        }))
        .await;
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
}

/// What is to be stored of a value, or of there being none.
fn prepared<T: Value>(entry: &Entry<T>, target: &Target, value: Option<&T>) -> Option<Prepared> {
    match value {
        Some(value) => entry.prepare_value(target, &NoRules, value),
        None => entry.prepare_none(target),
    }
}

fn has_late_tags<T>(rules: &EntryRules<T>) -> bool {
    use crate::rules::Rules as _;
    rules.has_tags()
}

fn wanted<'a, K, T: Value>(missing: &'a Missing<K, T>, capture: &'a [VersionKey]) -> Option<Wanted<'a>> {
    let target = missing.entry.target().ok()?;
    let State::Seen(seen) = missing.state else { return None };
    Some(Wanted::load(target, seen, capture))
}
