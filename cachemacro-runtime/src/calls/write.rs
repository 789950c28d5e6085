//! One call of a function that writes: its body always runs, and the cache follows its success.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::asking;
use crate::engine::collecting::Collecting;
use crate::engine::core::Core;
use crate::engine::entry::Entry;
use crate::engine::evict::{Evict, log_failed};
use crate::engine::fill::finish_put;
use crate::engine::lease::{self, Held};
use crate::engine::loading::Loading;
use crate::engine::local::LocalRaw;
use crate::engine::prepare::Prepared;
use crate::engine::raw::RawEntry;
use crate::engine::removals::Removals;
use crate::engine::spending;
use crate::ground::error::Error;
use crate::observe::event::Event;
use crate::observe::stats::Counters;
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::Rules;
use crate::policy::site::Site;

/// When the evicts of one attribute are sent, besides after success.
#[derive(Debug, Clone, Copy, Default)]
pub struct When {
    /// Before the body too, and after it whatever became of it.
    pub before: bool,
    /// After an `Err` too.
    pub on_err: bool,
}

/// What one function does to the cache.
pub(crate) struct Effects<'a, R, O: Outcome<R>> {
    pub(crate) outcome: O,
    pub(crate) puts: Vec<Put<'a, O::Value>>,
    pub(crate) evicts: Vec<Group>,
    /// Makes the caller's error of a failed evict (`on_evict_error = "return"`).
    pub(crate) on_failed: Option<fn(Error) -> R>,
}

/// Encodes the value that the body returned; `None`: it returned a `None`.
pub(crate) type Prepare<'a, V> = Box<dyn Fn(Option<&V>) -> Option<Prepared> + Send + 'a>;

/// A value to write through.
pub(crate) struct Put<'a, V> {
    pub(crate) raw: RawEntry,
    pub(crate) late_tags: bool,
    pub(crate) on_err: bool,
    pub(crate) prepare: Prepare<'a, V>,
    pub(crate) held: Option<Held>,
}

impl<'a, V: Value> Put<'a, V> {
    /// A put to `entry`; none where its arguments cannot be a key, which is counted. `on_err`: an `Err` evicts.
    pub(crate) fn of(entry: Entry<V>, rules: impl Rules<V> + Send + 'a, on_err: bool) -> Option<Self> {
        let raw = match entry.keyed() {
            Ok(raw) => raw.clone(),
            Err(error) => {
                entry.failed(&error);
                return None;
            }
        };
        let late_tags = entry.has_late_tags(&rules);
        let prepare = {
            let raw = raw.clone();
            move |value: Option<&V>| entry.prepare(&raw, &rules, value)
        };
        Some(Self { raw, late_tags, on_err, prepare: Box::new(prepare), held: None })
    }
}

/// The evicts of one attribute, one for each cache.
pub(crate) struct Group {
    pub(crate) when: When,
    /// In the attribute's own cache.
    pub(crate) own: Evict,
    /// In the caches of entries that belong to others.
    pub(crate) others: Vec<Evict>,
    /// Entries of sync functions.
    pub(crate) here: Vec<LocalRaw>,
}

impl Group {
    pub(crate) fn all(&self) -> impl Iterator<Item = &Evict> {
        std::iter::once(&self.own).chain(&self.others)
    }

    /// The evicts that go to this cache.
    pub(crate) fn within(&mut self, core: &Arc<Core>, site: Option<&'static Site>) -> &mut Evict {
        let same = |evict: &Evict| evict.core().id == core.id;
        if same(&self.own) {
            return &mut self.own;
        }
        let at = self.others.iter().position(same).unwrap_or_else(|| {
            self.others.push(evict_at(site, core.clone()));
            self.others.len() - 1
        });
        &mut self.others[at]
    }
}

/// An empty set of evicts, counted for this site.
pub(crate) fn evict_at(site: Option<&'static Site>, core: Arc<Core>) -> Evict {
    let counters = site.map(|site| core.site_counters(site));
    Evict::new(core).counted(counters)
}

impl<'a, R, O: Outcome<R>> Effects<'a, R, O> {
    /// Puts, and no evicts.
    pub(crate) const fn of_puts(outcome: O, puts: Vec<Put<'a, O::Value>>) -> Self {
        Self { outcome, puts, evicts: Vec::new(), on_failed: None }
    }

    /// How long the call may wait for the store in all: the shortest of its caches' deadlines.
    fn deadline(&self) -> Option<Duration> {
        let puts = self.puts.iter().map(|put| &put.raw.core);
        let evicts = self.evicts.iter().flat_map(Group::all).map(Evict::core);
        puts.chain(evicts).filter_map(|core| core.settings.deadline).min()
    }

    /// What the task reads, loads and stores from now on, in the caches that this touches, may be rolled back: where it collects evicts
    /// for a transaction, the body writes in that.
    pub(super) fn begin_writing(&self) {
        let puts = self.puts.iter().map(|put| put.raw.core.id);
        let evicts = self.evicts.iter().flat_map(Group::all).map(|evict| evict.core().id);
        let here = self.evicts.iter().flat_map(|group| &group.here).map(|raw| raw.core.id);
        puts.chain(evicts).chain(here).for_each(Collecting::begin_writing);
    }

    /// A guard with all that the body may have outdated, in case it wrote before it was dropped or panicked.
    pub(super) fn guard(&self) -> Guard {
        let puts = self.puts.iter().map(|put| {
            let counters = put.raw.site.as_ref().map(|(_, counters)| counters.clone());
            (put.raw.core.clone(), Removals::of(&put.raw.key), counters)
        });
        let evicts = self.evicts.iter().flat_map(Group::all);
        let evicts = evicts.map(|evict| (evict.core().clone(), evict.built().clone(), evict.site().cloned()));
        let here = self.evicts.iter().flat_map(|group| group.here.iter().cloned()).collect();
        Guard(puts.chain(evicts).collect(), here)
    }
}

/// Evicts when it is dropped, unless it was disarmed.
pub(super) struct Guard(Vec<(Arc<Core>, Removals, Option<Arc<Counters>>)>, Vec<LocalRaw>);

impl Guard {
    pub(super) fn disarm(mut self) {
        self.0.clear();
        self.1.clear();
    }

    /// Evicts these entries of sync functions too.
    pub(super) fn and_here(&mut self, entries: impl IntoIterator<Item = LocalRaw>) {
        self.1.extend(entries);
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        for (core, removals, site) in self.0.drain(..) {
            core.evict_later(&removals, site);
        }
        for raw in self.1.drain(..) {
            raw.evict();
        }
    }
}

/// Runs `body`, then puts and evicts. `after` adds what mentions the value inside the result; it is not called
/// where there is none. Not an `async fn`, whose future would hold all of it once more.
pub(crate) fn write<'a, R, O, F, A>(
    effects: Effects<'a, R, O>,
    body: Pin<&mut F>,
    after: A,
) -> impl Future<Output = R>
where
    O: Outcome<R>,
    F: Future<Output = R>,
    A: FnOnce(&O::Value, Effects<'a, R, O>) -> Effects<'a, R, O>,
{
    spending::within(effects.deadline(), write_in_time(effects, body, after))
}

async fn write_in_time<'a, R, O, F, A>(mut effects: Effects<'a, R, O>, body: Pin<&mut F>, after: A) -> R
where
    O: Outcome<R>,
    F: Future<Output = R>,
    A: FnOnce(&O::Value, Effects<'a, R, O>) -> Effects<'a, R, O>,
{
    // G7: a caller that hangs up between the write and the evict does not lose the evict.
    let mut guard = effects.guard();
    for group in effects.evicts.iter().filter(|group| group.when.before) {
        // All of it is sent again after the body, and counts as failed only if it fails then.
        for evict in group.all() {
            evict.send_ahead().await;
        }
        for raw in &group.here {
            raw.evict();
        }
    }
    // G4: by force, and before the body: of two puts the one that took its lease last may store.
    // Outside the cache nothing is stored, but what is there gets outdated all the same.
    for put in effects.puts.iter_mut().filter(|put| !put.raw.core.puts_evict()) {
        put.held = asking::acquire_for_put(&put.raw, put.late_tags).await;
    }
    effects.begin_writing();
    let mut loading = Loading::current();
    for put in &effects.puts {
        loading = loading.with(put.raw.core.id, put.raw.full.clone());
    }
    let held: Vec<&Held> = effects.puts.iter().filter_map(|put| put.held.as_ref()).collect();
    let limit = effects.puts.iter().map(|put| put.raw.lease_limit()).max().unwrap_or_default();
    let began = Instant::now();
    let returned = spending::free(lease::keep(&held, limit, loading.scope(body))).await;
    drop(held);
    let took = began.elapsed();
    let is_err = effects.outcome.is_err(&returned);
    if !is_err && let Some(value) = effects.outcome.value_of(&returned) {
        effects = after(value, effects);
        // What mentions the value, too.
        std::mem::replace(&mut guard, effects.guard()).disarm();
    }
    let mut failed = None;
    for group in effects.evicts.iter().filter(|group| !is_err || group.when.before || group.when.on_err) {
        failed = failed.or(run(group).await);
    }
    for put in std::mem::take(&mut effects.puts) {
        if is_err && !put.on_err {
            // Dropping the lease leaves what is stored as it was.
            continue;
        }
        let prepared = if is_err { None } else { (put.prepare)(effects.outcome.value_of(&returned)) };
        match finish_put(&put.raw, put.held, prepared, took).await {
            Ok(true) => put.raw.record(Event::Put),
            Ok(false) => {}
            Err(error) => {
                log_failed(put.raw.counters(), &error, 1);
                failed = failed.or(Some(error));
            }
        }
    }
    guard.disarm();
    match (failed, effects.on_failed) {
        (Some(error), Some(make)) if !is_err => make(error),
        _ => returned,
    }
}

/// Sends the evicts of one attribute. Tries all, gives the first error.
async fn run(group: &Group) -> Option<Error> {
    let mut failed = None;
    for evict in group.all() {
        if evict.is_idle() {
            continue;
        }
        if let Err(error) = evict.send().await {
            log_failed(evict.site().map(|site| &**site), &error, 1);
            failed = failed.or(Some(error));
        }
    }
    for raw in &group.here {
        raw.evict();
    }
    failed
}
