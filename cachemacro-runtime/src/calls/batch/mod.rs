//! Many entries in one call: one read, one load of what is missing, one lease each.

mod missing;
mod steps;

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::{FutureExt as _, join_all};
use futures_util::stream::{self, FuturesUnordered, StreamExt as _};
use tokio::task::unconstrained;

use self::missing::{Missing, Row, State};
use self::steps::{Done, Step, ask_all, step};
use crate::engine::core::Core;
use crate::engine::decoded::Known;
use crate::engine::entry::Entry;
use crate::engine::flight::{AsOf, Follow, Landed, Lead, Seat, Verdict, Waited};
use crate::engine::raw::RawEntry;
use crate::engine::read::Looked;
use crate::engine::spending;
use crate::format::stamps::VersionKey;
use crate::ground::chunks::{MOST_ENTRIES, MOST_TAGS, chunks};
use crate::ground::panics::caught;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::freshness::Age;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;
use crate::store::{Few, ReadRequest};

/// How many requests for the right to refresh a value are under way at a time.
const ELECTIONS_AT_ONCE: usize = 64;

/// Runs `load` for the ids that are missing; see [`Cache::try_get_or_load_many`](crate::Cache::try_get_or_load_many).
pub(crate) async fn load_many<K, T, E, F>(
    core: &Arc<Core>,
    ids: impl IntoIterator<Item = K>,
    entry: impl Fn(&K) -> Entry<T>,
    load: impl FnMut(Vec<K>) -> F,
) -> Result<HashMap<K, T>, E>
where
    K: Eq + Hash + Clone,
    T: Value,
    F: Future<Output = Result<HashMap<K, T>, E>>,
{
    let batch = Batch::new(core, ids, entry).uncounted_if(Mode::current() == Mode::Warm);
    // G6: each request's worth of ids has the time of a call.
    spending::after_first(batch.deadline(), load_in_time(core, batch, load)).await
}

async fn load_in_time<K, T, E, F>(
    core: &Arc<Core>,
    mut batch: Batch<'_, K, T>,
    mut load: impl FnMut(Vec<K>) -> F,
) -> Result<HashMap<K, T>, E>
where
    K: Eq + Hash + Clone,
    T: Value,
    F: Future<Output = Result<HashMap<K, T>, E>>,
{
    Box::pin(batch.read()).await;
    batch.join();
    Box::pin(batch.ask()).await;
    if !batch.aging.is_empty() {
        Box::pin(batch.elect()).await;
    }
    let (mut steps, mut follows) = (FuturesUnordered::new(), FuturesUnordered::new());
    loop {
        follows.extend(batch.follows.drain(..).map(|(missing, follow)| missing.told(follow)));
        let wanted = batch.take(|missing| matches!(missing.state, State::Ask(_)));
        if !wanted.is_empty() {
            steps.push(step(core, Step::Ask(wanted)));
        }
        let busy = batch.take(|missing| matches!(missing.state, State::Busy(..)));
        for group in chunks(busy, MOST_ENTRIES, MOST_TAGS, |_| 0) {
            steps.push(step(core, Step::Wait(group)));
        }
        if !batch.missing.is_empty() {
            // Before `load` is called: it may read at once, and not only when it is awaited.
            let leads = batch.missing.iter_mut().filter_map(|missing| missing.lead.as_mut());
            leads.for_each(Lead::loading);
            let ids = batch.missing.iter().map(|missing| missing.id.clone()).collect();
            steps.push(step(core, Step::Load(std::mem::take(&mut batch.missing), spending::free(load(ids)))));
        }
        tokio::select! {
            Some(done) = steps.next() => batch.done(done?),
            // All that were told together, so that what is left to load is loaded together: a task's budget for
            // being polled must not end in between.
            Some(told) = unconstrained(follows.next()) => {
                let more = || unconstrained(follows.next()).now_or_never().flatten();
                for (missing, waited) in std::iter::once(told).chain(std::iter::from_fn(more)) {
                    batch.told(missing, waited);
                }
            }
            else => return Ok(batch.values),
        }
    }
}

/// Reads many entries without loading what is missing. What cannot be read counts as missing.
pub(crate) async fn get_many<K, T>(
    core: &Arc<Core>,
    ids: impl IntoIterator<Item = K>,
    entry: impl Fn(&K) -> Entry<T>,
) -> HashMap<K, T>
where
    K: Eq + Hash + Clone,
    T: Value,
{
    if Mode::current() == Mode::Refresh {
        return HashMap::new();
    }
    let mut batch = Batch::new(core, ids, entry);
    let deadline = batch.deadline();
    Box::pin(spending::after_first(deadline, batch.read())).await;
    for missing in &batch.aging {
        if let (Some(old), Ok(raw)) = (&missing.old, missing.entry.raw()) {
            raw.hit(old.age);
        }
    }
    batch.values
}

/// The ids of one call on their way to values.
struct Batch<'a, K, T> {
    core: &'a Arc<Core>,
    missing: Vec<Missing<K, T>>,
    /// Ids whose flights other callers in this process lead.
    follows: Vec<(Missing<K, T>, Follow)>,
    values: HashMap<K, T>,
    /// Ids whose values are served and are to be loaded anew.
    aging: Vec<Missing<K, T>>,
    /// Whether reads count as hits and misses, which a warm-up's do not.
    counts: bool,
}

impl<'a, K: Eq + Hash + Clone, T: Value> Batch<'a, K, T> {
    /// How long it may wait for the store in all.
    fn deadline(&self) -> Option<Duration> {
        let requests = self.missing.len().div_ceil(MOST_ENTRIES).max(1);
        let requests = u32::try_from(requests).unwrap_or(u32::MAX);
        self.core.settings.deadline.map(|time| time.saturating_mul(requests))
    }

    fn new(core: &'a Arc<Core>, ids: impl IntoIterator<Item = K>, entry: impl Fn(&K) -> Entry<T>) -> Self {
        let mut entries: HashMap<K, Entry<T>> = HashMap::new();
        for id in ids {
            let made = entry(&id);
            made.depends_on_any();
            entries.entry(id).or_insert(made);
        }
        Self {
            core,
            missing: entries.into_iter().map(|(id, entry)| Missing::new(id, entry)).collect(),
            follows: Vec::new(),
            values: HashMap::new(),
            aging: Vec::new(),
            counts: true,
        }
    }

    fn uncounted_if(self, is_so: bool) -> Self {
        Self { counts: !is_so, ..self }
    }

    fn record_read(&self, missing: &Missing<K, T>, event: Event) {
        if self.counts {
            missing.record(event);
        }
    }

    /// Takes out those for which `which` holds.
    fn take(&mut self, which: impl Fn(&Missing<K, T>) -> bool) -> Vec<Missing<K, T>> {
        let (taken, left) = std::mem::take(&mut self.missing).into_iter().partition(which);
        self.missing = left;
        taken
    }

    /// Under [`Mode::Refresh`] nothing is read; what is stored stays until it is replaced.
    async fn refresh(&mut self) {
        let core = self.core;
        let mut wanted = self.take(|missing| missing.within(core).is_some());
        for missing in &wanted {
            missing.record(Event::Miss(MissReason::TooOld));
        }
        // This task is loading or putting this very key, and storing would come between.
        self.missing.extend(wanted.extract_if(.., |missing| missing.is_own()));
        for missing in &mut wanted {
            missing.state = State::Refresh(None);
        }
        let asked = ask_all(self.core, wanted).await;
        self.done(asked);
    }

    /// Reads all, in one request unless they are very many. What cannot be read is loaded and not stored; after a
    /// request that failed no more are sent.
    async fn read(&mut self) {
        if Mode::current() == Mode::Refresh {
            return self.refresh().await;
        }
        let core = self.core;
        let within = self.take(|missing| missing.within(core).is_some());
        let within = self.without_copies(within);
        let keys: Vec<&str> =
            within.iter().filter_map(|(missing, _)| Some(&*missing.within(core)?.full)).collect();
        let settled = core.settle(&keys).await.inspect_err(|error| core.failed(error));
        let mut answers = settled.is_ok();
        for mut chunk in chunks(within, MOST_ENTRIES, MOST_TAGS, |(missing, _)| missing.tags()) {
            // G3: before the read is sent.
            for (missing, known) in &mut chunk {
                if let (Some(known), Some(raw)) = (known, missing.within(core)) {
                    known.begin(raw);
                }
            }
            let looks = if answers { look(core, &chunk).await } else { None };
            answers = looks.is_some();
            let mut looks = looks.unwrap_or_default().into_iter();
            for (missing, known) in chunk {
                self.looked(missing, looks.next().flatten(), known);
            }
        }
    }

    /// Takes the copies that this process has; gives the others, with what is kept of them.
    fn without_copies(&mut self, all: Vec<Missing<K, T>>) -> Vec<(Missing<K, T>, Option<Known<'a>>)> {
        let core = self.core;
        let mut others = Vec::with_capacity(all.len());
        for missing in all {
            let raw = missing.within(core);
            let known = raw.and_then(|raw| missing.entry.known(core, raw, None));
            let copy = raw.and_then(|raw| known.as_ref()?.copy(raw));
            if let (Some(raw), Some(copy)) = (raw, copy) {
                core.hit_here(raw.counters());
                self.values.extend(copy.map(|row| (missing.id, row)));
            } else {
                others.push((missing, known));
            }
        }
        others
    }

    fn looked(
        &mut self,
        mut missing: Missing<K, T>,
        looked: Option<(Looked, AsOf)>,
        known: Option<Known<'_>>,
    ) {
        match missing.looked(looked, known) {
            Ok((Row(row), age)) => {
                self.values.extend(row.map(|row| (missing.id.clone(), row)));
                if age == Age::Fresh {
                    self.record_read(&missing, Event::Hit);
                } else {
                    self.aging.push(missing);
                }
            }
            Err(reason) => {
                self.record_read(&missing, Event::Miss(reason));
                self.missing.push(missing);
            }
        }
    }

    /// Joins this process's flights.
    fn join(&mut self) {
        for missing in std::mem::take(&mut self.missing) {
            if matches!(missing.state, State::Refresh(_)) {
                self.missing.push(missing);
            } else {
                self.join_one(missing);
            }
        }
    }

    fn join_one(&mut self, mut missing: Missing<K, T>) {
        if let Some(raw) = missing.within(self.core) {
            if missing.is_own() {
                // This task is loading or putting this very key: it would wait for itself.
                missing.state = State::Unstored;
            } else {
                match raw.join(missing.has_late_tags(), missing.read.as_ref()) {
                    Seat::Lead(lead) => missing.lead = Some(lead),
                    Seat::Follow(follow) => {
                        missing.follows();
                        return self.follows.push((missing, follow));
                    }
                }
            }
        }
        self.missing.push(missing);
    }

    /// How the wait for another caller in this process ended.
    fn told(&mut self, mut missing: Missing<K, T>, waited: Waited) {
        match waited {
            Waited::Told(Verdict::Share(Landed::Value(shared))) if shared.is::<T>() => {
                if let Some(row) = shared.downcast_ref().and_then(|row: &T| caught(|| row.clone())) {
                    missing.record(Event::SharedLoad);
                    self.values.insert(missing.id, row);
                    return;
                }
                missing.state = State::Unstored;
            }
            Waited::Told(Verdict::Share(Landed::None)) => {
                missing.record(Event::SharedLoad);
                return;
            }
            // An error is not this call's. Once more together with the others, then alone.
            Waited::Told(Verdict::Share(_)) if !missing.joined_again => {
                missing.joined_again = true;
                return self.join_one(missing);
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

    /// Asks for the right to load each value anew that ages. What is had is loaded with what is missing.
    async fn elect(&mut self) {
        let aging = std::mem::take(&mut self.aging);
        let elected = stream::iter(aging).map(Missing::elect).buffer_unordered(ELECTIONS_AT_ONCE);
        self.missing.extend(elected.filter_map(std::future::ready).collect::<Vec<_>>().await);
    }

    /// Asks for a lease for each id that was read and not found.
    async fn ask(&mut self) {
        let wanted = self.take(|missing| matches!(missing.state, State::Ask(_)));
        let asked = ask_all(self.core, wanted).await;
        self.done(asked);
    }

    fn done(&mut self, done: Done<K, T>) {
        self.missing.extend(done.missing);
        self.values.extend(done.values);
        for id in done.gone {
            self.values.remove(&id);
        }
    }
}

/// One read for all of these; `None` where the store failed, for all or for the stamps of one.
async fn look<K, T: Value>(
    core: &Arc<Core>,
    chunk: &[(Missing<K, T>, Option<Known<'_>>)],
) -> Option<Vec<Option<(Looked, AsOf)>>> {
    let raws: Vec<&RawEntry> = chunk.iter().filter_map(|(missing, _)| missing.entry.raw().ok()).collect();
    let keys: Vec<&str> = raws.iter().map(|raw| &*raw.full).collect();
    let mut tags: Vec<VersionKey> = Vec::new();
    let mut places: HashMap<&VersionKey, usize> = HashMap::new();
    for tag in raws.iter().flat_map(|raw| &raw.tags) {
        places.entry(tag).or_insert_with(|| {
            tags.push(tag.clone());
            tags.len() - 1
        });
    }
    let captures = core.flights.captures();
    let read =
        core.timed("read", core.store.read(ReadRequest::new(&keys).with_versions(&tags))).await.ok()?;
    let (mut entries, versions) = (read.entries.into_iter(), read.versions);
    let looks = chunk.iter().zip(&raws).map(|((missing, _), raw)| {
        let entry = entries.next().flatten().map(|excerpt| excerpt.bytes);
        let version = |tag| places.get(tag).and_then(|at| versions.get(*at).copied().flatten());
        let own: Few<_> = raw.tags.iter().map(version).collect();
        async move {
            let looked = raw.found(entry, &own, missing.entry.expected()).await.ok()?;
            Some((looked, AsOf::new(captures, own)))
        }
    });
    Some(join_all(looks).await)
}
