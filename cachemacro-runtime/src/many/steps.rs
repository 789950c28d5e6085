//! What goes on beside each other in one batch: asking for leases, waiting for other processes, loading.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::missing::{Missing, State};
use crate::cache::Cache;
use crate::chunks::{MOST_TAGS, chunks};
use crate::evict::log_failed;
use crate::flight::{Landed, Lead};
use crate::lease::{self, Answer, Held, Turns, Wanted};
use crate::lookup::Target;
use crate::mode::Loading;
use crate::outcome::Value;
use crate::rules::NoRules;
use crate::stats::{Counters, Event};
use crate::store::LeaseKind;
use crate::storing::{fill_all, finish_puts, to_capture};

/// What goes on beside the other things of one call.
pub(super) enum Step<K, T, F> {
    /// Asks for a lease each.
    Ask(Vec<Missing<K, T>>),
    /// Waits for other processes.
    Wait(Vec<Missing<K, T>>),
    Load(Vec<Missing<K, T>>, F),
}

/// What became of a step: ids that got further, and values.
pub(super) struct Done<K, T> {
    pub(super) missing: Vec<Missing<K, T>>,
    pub(super) values: HashMap<K, T>,
}

impl<K: Eq + Hash, T> Done<K, T> {
    pub(super) fn nothing() -> Self {
        Self { missing: Vec::new(), values: HashMap::new() }
    }
}

/// Takes a step. The larger ones are boxed: their size is not paid for by those who wait.
pub(super) async fn step<K, T, E, F>(cache: &Cache, step: Step<K, T, F>) -> Result<Done<K, T>, E>
where
    K: Eq + Hash,
    T: Value,
    F: Future<Output = Result<HashMap<K, T>, E>>,
{
    match step {
        Step::Ask(wanted) => Ok(Box::pin(ask_all(cache, wanted, LeaseKind::Load)).await),
        Step::Wait(busy) => Ok(Done { missing: wait_for_any(busy).await, ..Done::nothing() }),
        Step::Load(wanted, load) => {
            let values = Box::pin(load_together(cache, wanted, load)).await?;
            Ok(Done { values, ..Done::nothing() })
        }
    }
}

/// Asks for one lease each, in one request unless they are very many; after one that failed no more are sent.
pub(super) async fn ask_all<K: Eq + Hash, T: Value>(
    cache: &Cache,
    mut wanted: Vec<Missing<K, T>>,
    kind: LeaseKind,
) -> Done<K, T> {
    let mut done = Done::nothing();
    wanted.iter_mut().filter_map(|missing| missing.lead.as_mut()).for_each(Lead::reading);
    let mut turns = Turns::new(cache);
    let mut failed = false;
    for chunk in chunks(wanted, MOST_TAGS, Missing::tags) {
        turns.renew(cache, done.missing.iter().filter_map(Missing::held)).await;
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
                    match missing.found(bytes, &versions).await {
                        Ok((id, row)) => done.values.extend(row.map(|row| (id, row))),
                        Err(missing) => done.missing.push(missing),
                    }
                    continue;
                }
                (Answer::Failed, _) => State::Unstored,
            };
            done.missing.push(missing);
        }
    }
    done
}

/// Waits until any of those that other processes are loading may have changed, or the wait for one of them is over. No
/// lease is held meanwhile but for loads under way: two batches that did would never get all.
async fn wait_for_any<K, T: Value>(mut busy: Vec<Missing<K, T>>) -> Vec<Missing<K, T>> {
    let leased: Vec<_> = busy.iter().filter_map(Missing::leased).collect();
    let Some(mut pauses) = busy.first().map(|missing| missing.pauses.clone()) else { return busy };
    if leased.iter().all(|(_, left)| !left.is_zero()) {
        pauses.wait_for_any(&leased).await;
    }
    for missing in &mut busy {
        missing.pauses.follow(&pauses);
        if let State::Busy { seen, .. } = missing.state {
            let is_over = missing.pauses.left().is_zero();
            missing.state = if is_over { State::Unstored } else { State::Seen(seen) };
        }
    }
    busy
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
            wanted.into_iter().filter_map(|missing| missing.lead).for_each(Lead::fail);
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
