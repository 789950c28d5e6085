//! One call of a cached function: look, take a seat, take the lease, load, fill, share.

use crate::engine::read::MOST_LOOKS;
use std::future::Future;
use std::pin::Pin;
use std::time::{Duration, Instant};

use tracing::Instrument as _;

use crate::engine::entry::Entry;
use crate::engine::evict::log_failed;
use crate::engine::fill::{Stored, finish_put};
use crate::engine::flight::{Landed, Lead, Patience, Seat, Verdict, Waited};
use crate::engine::lease;
use crate::engine::lease::{Answer, Held, Pauses, Wanted};
use crate::engine::loading::Loading;
use crate::engine::raw::RawEntry;
use crate::engine::raw::to_capture;
use crate::engine::read::{Looked, Miss};
use crate::engine::settings::DEFAULT_WAIT;
use crate::format::ids::FillId;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::mode::Mode;
use crate::policy::outcome::{Outcome, Split, Value};
use crate::policy::rules::Rules;

/// Runs `body` through the cache.
///
/// A hit returns what is stored and never polls `body`. Without an `entry`, the site's condition being false, the cache
/// is left alone. Whatever breaks in the cache, `body` runs.
pub async fn load<R, O, X, F>(entry: Option<Entry<O::Value>>, outcome: O, rules: X, body: Pin<&mut F>) -> R
where
    O: Outcome<R>,
    O::Value: Value,
    X: Rules<O::Value>,
    F: Future<Output = R>,
{
    let Some(entry) = &entry else { return body.await };
    let Some(raw) = entry.active() else { return body.await };
    let call = Call { entry, raw, outcome };
    // This task is loading or putting this very key: it would wait for itself, or come between.
    let own = || Loading::contains(raw.core.id, &raw.full);
    if Mode::current() == Mode::Refresh {
        raw.record(Event::Miss(MissReason::TooOld));
        return if own() { call.run(None, body).await.0 } else { call.refresh(rules, body).await };
    }
    let miss = match call.look().await {
        Ok(hit) => return hit,
        Err(miss) => miss,
    };
    raw.record(Event::Miss(miss.reason));
    if own() {
        return call.run(None, body).await.0;
    }
    let began = tokio::time::Instant::now();
    // A store that did not answer the read is not asked again: the call loads and shares within the process.
    let mut may_store = miss.reason != MissReason::StoreFailed;
    let mut joined_again = false;
    let lead = loop {
        let follow = match raw.join(entry.has_late_tags(&rules)) {
            Seat::Lead(lead) => break lead,
            Seat::Follow(follow) => follow,
        };
        match follow.wait(raw.patience()).await {
            Waited::Told(Verdict::Lead(lead)) => break lead,
            Waited::Told(Verdict::Share(landed)) => {
                // Not a `match`, which would hold what was shared, perhaps not `Send`, over the await.
                if let Some(shared) = call.take(&landed) {
                    raw.record(Event::SharedLoad);
                    return shared;
                }
                // A batch found no row, and this function returns no `Option`, or the like: once more, with those who
                // return the same, then alone.
                if joined_again {
                    return call.run(None, body).await.0;
                }
                joined_again = true;
            }
            Waited::Told(Verdict::Alone) => return call.run(None, body).await.0,
            Waited::Over(lead) => {
                may_store = false;
                break lead;
            }
        }
    };
    call.lead(lead, miss.seen, began, may_store, rules, body).await
}

/// What the steps of one call need.
struct Call<'a, O, V> {
    entry: &'a Entry<V>,
    raw: &'a RawEntry,
    outcome: O,
}

impl RawEntry {
    /// A seat in this process's flight of the entry.
    pub(crate) fn join(&self, late_tags: bool) -> Seat {
        let flights = &self.core.flights;
        let tags = self.tags.iter().map(|tag| tag.hash);
        flights.join(&self.full, tags, late_tags, Mode::current().max_age())
    }

    /// How long to wait for a load of this process: also where other processes' loads are not waited for.
    pub(crate) fn patience(&self) -> Patience {
        let waits = [self.wait(), self.core.settings.wait];
        let wait = waits.into_iter().find(|wait| !wait.is_zero()).unwrap_or(DEFAULT_WAIT);
        Patience { wait, longest: self.lease_limit() }
    }
}

/// What [`Outcome::split`] took apart.
fn unsplit<V, R, O: Outcome<R, Value = V>>(outcome: O, loaded: Option<V>) -> R {
    match loaded {
        Some(value) => outcome.wrap(value),
        None => outcome.none().unwrap_or_else(|| unreachable!("what splits off `None` can make it")),
    }
}

/// How the search for a lease ended.
enum Begin<R> {
    /// A value was there by then, stored so long ago.
    Found(R, Duration),
    Load(Option<Held>),
}

impl<O, V: Value> Call<'_, O, V> {
    /// The read that every call begins with.
    async fn look<R>(&self) -> Result<R, Miss>
    where
        O: Outcome<R, Value = V>,
    {
        match self.raw.look(self.entry.expected()).await {
            Ok(Looked::Usable(usable)) => match self.entry.revive(self.raw, self.outcome, &usable) {
                Some(hit) => {
                    self.raw.record(Event::Hit);
                    Ok(hit)
                }
                None => Err(Miss { reason: MissReason::Undecodable, seen: usable.header.fill_id }),
            },
            Ok(Looked::Miss(miss)) => Err(miss),
            Err(_) => Err(Miss { reason: MissReason::StoreFailed, seen: 0 }),
        }
    }

    /// What the leader shares, as this function would have returned it.
    fn take<R>(&self, landed: &Landed) -> Option<R>
    where
        O: Outcome<R, Value = V>,
    {
        match landed {
            Landed::Value(shared) => {
                shared.downcast_ref::<V>().cloned().map(|value| self.outcome.wrap(value))
            }
            Landed::None => self.outcome.none(),
            Landed::Err(shared) => self.outcome.unshare_err(shared),
        }
    }

    /// Runs the body, under a lease if there is one. Tells how long it took.
    async fn run<R, F>(&self, held: Option<&Held>, body: Pin<&mut F>) -> (R, Duration)
    where
        O: Outcome<R, Value = V>,
        F: Future<Output = R>,
    {
        let raw = self.raw;
        raw.record(Event::Load);
        let began = Instant::now();
        let loading = Loading::current().with(raw.core.id, raw.full.clone());
        let span = tracing::debug_span!("cache_load", site = raw.name(), stored = held.is_some());
        let body = loading.scope(body.instrument(span));
        let returned = match held {
            Some(held) => lease::keep(&[held], raw.lease_limit(), body).await,
            None => body.await,
        };
        let took = began.elapsed();
        raw.load_took(took);
        if self.outcome.is_err(&returned) {
            raw.record(Event::LoadFailed);
        }
        (returned, took)
    }

    /// Leads a flight to its end.
    async fn lead<R, X, F>(
        &self,
        mut lead: Lead,
        seen: FillId,
        began: tokio::time::Instant,
        may_store: bool,
        rules: X,
        body: Pin<&mut F>,
    ) -> R
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
        F: Future<Output = R>,
    {
        let held = if may_store {
            let late_tags = self.entry.has_late_tags(&rules);
            match self.begin(&mut lead, seen, began, late_tags).await {
                Begin::Found(found, age) => return self.land_found(lead, found, age),
                Begin::Load(held) => held,
            }
        } else {
            None
        };
        lead.loading();
        let (returned, took) = self.run(held.as_ref(), body).await;
        let loaded = match self.outcome.split(returned) {
            Split::Err(failure) => return self.land_err(lead, held, took, failure),
            Split::Value(value) => Some(value),
            Split::None(_) => None,
        };
        if lead.has_followers() {
            lead.share_load(&Landed::of(loaded.as_ref()));
        }
        let prepared = held.as_ref().and_then(|_| self.entry.prepare(self.raw, &rules, loaded.as_ref()));
        drop(rules);
        let stored = match (held, prepared) {
            (Some(held), Some(prepared)) => {
                lead.close();
                let check = lead.has_followers();
                prepared.fill(self.raw, held, took, false, check).await
            }
            (Some(held), None) => {
                held.give_back().await;
                Stored::Refused
            }
            (None, _) => Stored::Refused,
        };
        if stored == Stored::Held && lead.has_followers() {
            lead.share_fill(&Landed::of(loaded.as_ref()));
        }
        lead.hand_on();
        unsplit(self.outcome, loaded)
    }

    /// A value that another process stored meanwhile.
    fn land_found<R>(&self, mut lead: Lead, found: R, age: Duration) -> R
    where
        O: Outcome<R, Value = V>,
    {
        let landed = match self.outcome.value_of(&found) {
            Some(value) => Some(Landed::of(Some(value))),
            None if self.outcome.is_err(&found) => self.outcome.share_err(&found).map(Landed::Err),
            None => Some(Landed::None),
        };
        if let Some(landed) = landed {
            lead.share_read(&landed, age);
        }
        lead.hand_on();
        found
    }

    /// A load that failed. Awaits nothing, so that the future is `Send` also where the error is not: what is stored is
    /// stored behind the caller's back, and whoever comes meanwhile follows.
    fn land_err<R>(&self, lead: Lead, held: Option<Held>, took: Duration, failure: R) -> R
    where
        O: Outcome<R, Value = V>,
    {
        let filling = held.and_then(|held| {
            let prepared = self.entry.prepare_err(self.raw, self.outcome, &failure)?;
            Some((held, prepared))
        });
        let mut lead = Some(lead);
        if let Some(leading) = lead.take_if(|lead| lead.has_followers()) {
            match self.outcome.share_err(&failure) {
                Some(shared) => lead.insert(leading).share_load(&Landed::Err(shared)),
                None => leading.scatter(),
            }
        }
        if let Some((held, prepared)) = filling {
            let raw = self.raw.clone();
            tokio::spawn(async move {
                prepared.fill(&raw, held, took, false, false).await;
                lead.map(Lead::hand_on)
            });
        } else if let Some(lead) = lead {
            lead.hand_on();
        }
        failure
    }

    /// Loads whatever is stored, and stores like a put: what others load meanwhile does not count.
    async fn refresh<R, X, F>(&self, rules: X, body: Pin<&mut F>) -> R
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
        F: Future<Output = R>,
    {
        let late_tags = self.entry.has_late_tags(&rules);
        let held = lease::acquire_for_put(self.raw, late_tags).await;
        let (returned, took) = self.run(held.as_ref(), body).await;
        let loaded = match self.outcome.split(returned) {
            // Dropping the lease leaves what is stored as it was.
            Split::Err(failure) => return failure,
            Split::Value(value) => Some(value),
            Split::None(_) => None,
        };
        let prepared = self.entry.prepare(self.raw, &rules, loaded.as_ref());
        drop(rules);
        if let Err(error) = finish_put(self.raw, held, prepared, took).await {
            log_failed(&error);
        }
        unsplit(self.outcome, loaded)
    }

    /// Looks for the lease until it is held, a value is found, the wait is over or the store fails.
    async fn begin<R>(
        &self,
        lead: &mut Lead,
        mut seen: FillId,
        began: tokio::time::Instant,
        late_tags: bool,
    ) -> Begin<R>
    where
        O: Outcome<R, Value = V>,
    {
        let raw = self.raw;
        let capture = to_capture(raw, late_tags);
        let mut pauses = Pauses::new(raw.wait().saturating_sub(began.elapsed()));
        let mut looks = 0;
        loop {
            lead.reading();
            match lease::acquire(raw, Wanted::load(raw, seen, &capture)).await {
                Answer::Held(held) => return Begin::Load(Some(held)),
                Answer::Failed => return Begin::Load(None),
                Answer::Found(bytes, versions) => {
                    looks += 1;
                    match raw.verify(bytes, &versions, self.entry.expected()).await {
                        Ok(Looked::Usable(usable)) => {
                            if let Some(found) = self.entry.revive(raw, self.outcome, &usable) {
                                let stored_at = usable.header.stored_at;
                                let age = raw.core.store.now().since(stored_at);
                                return Begin::Found(found, age);
                            }
                            seen = usable.header.fill_id;
                        }
                        Ok(Looked::Miss(miss)) => seen = miss.seen,
                        Err(_) => return Begin::Load(None),
                    }
                    if looks >= MOST_LOOKS {
                        return Begin::Load(None);
                    }
                }
                Answer::Busy(remaining) => {
                    if !pauses.wait(raw, remaining).await {
                        return Begin::Load(None);
                    }
                }
            }
        }
    }
}
