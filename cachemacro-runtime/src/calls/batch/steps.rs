//! The steps of a batch, several of which run at a time: asking for leases, waiting for other processes, loading.

use std::collections::HashMap;
use std::future::Future;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;

use super::missing::{Missing, Row, State};
use crate::engine::asking::{Answer, Capture, Wanted, acquire_many};
use crate::engine::core::Core;
use crate::engine::evict::log_failed;
use crate::engine::fill::{Filling, Putting, fill_all, finish_puts};
use crate::engine::flight::Lead;
use crate::engine::lease::{self, Held, Renewals};
use crate::engine::loading::Loading;
use crate::engine::raw::RawEntry;
use crate::engine::search::Search;
use crate::ground::chunks::{MOST_ENTRIES, MOST_TAGS, chunks};
use crate::observe::event::Event;
use crate::observe::stats::Counters;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;
use crate::policy::rules::NoRules;
use crate::store::OnRefusal;

/// A step of some ids, which other ids do not wait for.
pub(super) enum Step<K, T, F> {
    /// Asks for a lease each.
    Ask(Vec<Missing<K, T>>),
    /// Waits for other processes.
    Wait(Vec<Missing<K, T>>),
    Load(Vec<Missing<K, T>>, F),
}

/// What came of a step: ids that have no value yet, and values.
pub(super) struct Done<K, T> {
    pub(super) missing: Vec<Missing<K, T>>,
    pub(super) values: HashMap<K, T>,
    /// Ids whose old value is no more.
    pub(super) gone: Vec<K>,
}

impl<K: Eq + Hash, T> Done<K, T> {
    pub(super) fn nothing() -> Self {
        Self { missing: Vec::new(), values: HashMap::new(), gone: Vec::new() }
    }
}

/// Takes a step. The larger ones are boxed, so that a step that waits stays small.
pub(super) async fn step<K, T, E, F>(core: &Arc<Core>, step: Step<K, T, F>) -> Result<Done<K, T>, E>
where
    K: Eq + Hash,
    T: Value,
    F: Future<Output = Result<HashMap<K, T>, E>>,
{
    match step {
        Step::Ask(wanted) => Ok(Box::pin(ask_all(core, wanted)).await),
        Step::Wait(busy) => Ok(Done { missing: wait_for_any(busy).await, ..Done::nothing() }),
        Step::Load(wanted, load) => Box::pin(load_together(core, wanted, load)).await,
    }
}

/// Asks for one lease each, in one request unless they are very many; after one that failed no more are sent.
pub(super) async fn ask_all<K: Eq + Hash, T: Value>(
    core: &Arc<Core>,
    mut wanted: Vec<Missing<K, T>>,
) -> Done<K, T> {
    let mut done = Done::nothing();
    wanted.iter_mut().filter_map(|missing| missing.lead.as_mut()).for_each(Lead::reading);
    let mut renewals = Renewals::new(core);
    let mut failed = false;
    for mut chunk in chunks(wanted, MOST_ENTRIES, MOST_TAGS, Missing::tags) {
        renewals.renew(core, done.missing.iter().filter_map(Missing::held)).await;
        let answers = if failed { Vec::new() } else { ask(core, &mut chunk).await };
        failed |= answers.iter().any(|answer| matches!(answer, Answer::Failed));
        let mut answers = answers.into_iter();
        for missing in chunk {
            match missing.answered(answers.next().unwrap_or(Answer::Failed)).await {
                Ok((id, Row(row))) => done.values.extend(row.map(|row| (id, row))),
                Err(missing) => done.missing.push(missing),
            }
        }
    }
    done
}

/// Waits until any of those that other processes are loading may have changed, or the wait for one of them is over. No
/// lease is held meanwhile but for loads under way: two batches that did would never get all.
async fn wait_for_any<K, T: Value>(mut busy: Vec<Missing<K, T>>) -> Vec<Missing<K, T>> {
    let mut waiting: Vec<_> = busy.iter_mut().filter_map(Missing::waiting).collect();
    Search::pause_any(&mut waiting).await;
    busy.iter_mut().for_each(Missing::waited);
    busy
}

/// One request for a lease each.
async fn ask<K, T: Value>(core: &Arc<Core>, chunk: &mut [Missing<K, T>]) -> Vec<Answer> {
    let wanted = chunk.iter_mut().filter_map(|missing| {
        let late_tags = missing.has_late_tags();
        let raw = missing.entry.raw().ok()?;
        Some(match &mut missing.state {
            State::Ask(search) => search.wanted(raw, search.capture(raw)),
            _ => Wanted::put(raw, Capture::of(raw, late_tags)),
        })
    });
    acquire_many(core, wanted.collect()).await
}

/// Loads these together, shares them with this process and stores those whose lease is held.
async fn load_together<K: Eq + Hash, T: Value, E>(
    core: &Arc<Core>,
    wanted: Vec<Missing<K, T>>,
    load: impl Future<Output = Result<HashMap<K, T>, E>>,
) -> Result<Done<K, T>, E> {
    let held: Vec<&Held> = wanted.iter().filter_map(Missing::held).collect();
    let raws = || wanted.iter().filter_map(|missing| missing.entry.raw().ok());
    let limit = raws().map(RawEntry::lease_limit).max().unwrap_or_default();
    let keys = raws().map(|raw| (raw.core.id, raw.full.clone())).collect();
    let loading = Loading::current().with_all(keys);
    let site = site_of(core, &wanted);
    core.record_at(site.as_deref(), Event::Load);
    let began = Instant::now();
    let loaded = lease::keep(&held, limit, loading.scope(load)).await;
    drop(held);
    let took = began.elapsed();
    core.loaded(site.as_deref(), took);
    let mut loaded = match loaded {
        Ok(loaded) => loaded,
        Err(failure) => {
            core.record_at(site.as_deref(), Event::LoadFailed);
            let all_serve = wanted.iter().all(|missing| missing.old.is_some());
            for mut missing in wanted {
                if let Some(lead) = missing.lead.take() {
                    lead.fail();
                }
                missing.rest();
            }
            // The old values are served, unless one is missing.
            return if all_serve { Ok(Done::nothing()) } else { Err(failure) };
        }
    };
    let (mut fills, mut puts) = (Vec::new(), Vec::new());
    let (mut leads, mut values) = (Vec::new(), HashMap::new());
    let (mut gone, mut displaced) = (Vec::new(), Vec::new());
    let warms = Mode::current() == Mode::Warm;
    for mut missing in wanted {
        let value = loaded.remove(&missing.id);
        if warms && value.is_some() {
            missing.record(Event::Warmed);
        }
        let mut lead = missing.lead.take();
        if let Some(leading) = lead.take_if(|lead| lead.has_followers() && !core.has_written()) {
            lead = leading.share_clone(value.as_ref(), Lead::share_load);
        }
        if let Some(lead) = lead {
            lead.close();
            leads.push(lead);
        }
        let prepared = missing.prepared(value.as_ref());
        match (missing.state, missing.entry.raw()) {
            (State::Held(held), Ok(raw)) => {
                if let Some(prepared) = prepared {
                    fills.push(Filling { raw: raw.clone(), held, prepared });
                } else if missing.old.is_some() && !core.has_written() {
                    displaced.push((raw.clone(), held));
                }
                // Without a value to store, dropping the lease gives it back.
            }
            (State::Refresh(held), Ok(raw)) => {
                let prepared = missing.entry.prepare(raw, &NoRules, value.as_ref());
                puts.push(Putting { raw: raw.clone(), held, prepared });
            }
            _ => {}
        }
        match value {
            Some(value) => drop(values.insert(missing.id, value)),
            None if missing.old.is_some() => gone.push(missing.id),
            None => {}
        }
    }
    join_all(displaced.into_iter().map(async |(raw, held)| raw.displace(held).await)).await;
    fill_all(core, fills, took, OnRefusal::Leave).await;
    if let Err(error) = finish_puts(core, puts, took, site.as_deref()).await {
        log_failed(site.as_deref(), &error, 1);
    }
    // Who joined during the load looks for what was stored.
    leads.into_iter().for_each(Lead::hand_on);
    Ok(Done { values, gone, ..Done::nothing() })
}

/// The site that a load of many counts for: the one that all ids have, else none.
fn site_of<K, T: Value>(core: &Arc<Core>, loaded: &[Missing<K, T>]) -> Option<Arc<Counters>> {
    let mut sites = loaded.iter().map(|missing| missing.within(core)?.site.as_ref().map(|(_, site)| site));
    let first = sites.next()??;
    sites.all(|site| site.is_some_and(|site| Arc::ptr_eq(site, first))).then(|| first.clone())
}
