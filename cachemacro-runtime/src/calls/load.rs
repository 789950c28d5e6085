//! One call of a cached function, from the first read to the last fill.
//!
//! ```text
//! look ──hit──▶ the value
//!  │ miss
//!  ▼
//! join ──taken──▶ follow ──told──▶ take what the leader shares: (a), (b) or (c)
//!  │ led            │ handed on: lead
//!  │                │ overdue: lead, without a search ─────┐
//!  ▼                ▼                                      │
//! search ──value──▶ share (b) ─────────────────────┐       │
//!  │ lease, or none                                │       │
//!  ▼                                               │       │
//! run ◀────────────────────────────────────────────┼───────┘
//!  │ └──Err──▶ share (a), or scatter ──────────────┤
//!  │ value or None                                 │
//!  ▼                                               │
//! share (a)                                        │
//!  ▼                                               │
//! fill ──accepted, stamps hold──▶ share (c) ───────┤
//!  └──refused or failed────────────────────────────┤
//!                                                  ▼
//!                                    hand on to who is left over
//! ```
//!
//! Where the look finds a value that is due or stale, the call asks for the right to refresh it. Elected, it leads a flight with that
//! lease, and fills over that value; else it serves the value. Such a value, and one past its stale time, also stands in for a load that fails.
//!
//! Where a function's last looks found nothing, as they do while a cache fills, a call that would lead begins with the search: the request for
//! the lease brings a value that is there all the same ([`unread`](crate::engine::unread)).
//!
//! A fill that no follower waits for is sent, and the call ends: what becomes of it is [`unanswered`](crate::engine::unanswered)'s to
//! handle. The flight that `join` finds is taken where the look does not show its load to be doomed: a tag was evicted since that load
//! captured its versions. Else the call leads the next flight, and its search takes the lease over. What a leader shares is told at [`flight`](crate::engine::flight). Three calls leave the picture: one whose key its
//! own task is loading or putting, and one that was shared twice what it cannot return, run alone and unstored; under
//! [`Mode::Refresh`] a call neither looks nor joins, and stores like a put. Under [`Mode::Warm`] it looks as [`warm`](crate::calls::warm) says.

use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tracing::{Instrument as _, Span};

use crate::calls::{similar, verify};
use crate::engine::asking;
use crate::engine::decoded::Known;
use crate::engine::entry::Entry;
use crate::engine::evict::log_failed;
use crate::engine::fill::finish_put;
use crate::engine::flight::{AsOf, Landed, Lead, Seat, Verdict, Waited};
use crate::engine::lease::{self, Held};
use crate::engine::loading::Loading;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Found, Miss, Usable};
use crate::engine::refresh::Elected;
use crate::engine::search::{End, Search};
use crate::engine::spans;
use crate::engine::spending;
use crate::engine::suspected::Sent;
use crate::format::ids::FillId;
use crate::ground::heap::on_heap;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::freshness::Age;
use crate::policy::gather;
use crate::policy::gathered::Gathered;
use crate::policy::mode::Mode;
use crate::policy::outcome::{Outcome, Split, Value, unsplit};
use crate::policy::rules::Rules;
use crate::store::Placed;

/// Runs `body` through the cache.
///
/// A hit returns what is stored and never polls `body`. Without an `entry`, the site's condition being false, the cache
/// is left alone. Whatever breaks in the cache, `body` runs.
pub fn load<R, O, X, F>(
    entry: Option<Entry<O::Value>>,
    outcome: O,
    rules: X,
    body: Pin<&mut F>,
) -> impl Future<Output = R>
where
    O: Outcome<R>,
    O::Value: Value,
    X: Rules<O::Value>,
    F: Future<Output = R>,
{
    load_known(entry, None, outcome, rules, body)
}

/// Like [`load`], with what the function was sent on with. Not an `async fn`, whose future would hold all of it once
/// more.
pub(crate) fn load_known<R, O, X, F>(
    entry: Option<Entry<O::Value>>,
    sent: Option<Sent>,
    outcome: O,
    rules: X,
    body: Pin<&mut F>,
) -> impl Future<Output = R>
where
    O: Outcome<R>,
    O::Value: Value,
    X: Rules<O::Value>,
    F: Future<Output = R>,
{
    spans::in_call(call_span(entry.as_ref()), load_unseen(entry, sent, outcome, rules, body))
}

/// A span for a call of this entry, where it may be heard.
pub(crate) fn call_span<V: Value>(entry: Option<&Entry<V>>) -> Option<Span> {
    spans::for_call(|| entry.map_or("entry", Entry::site_name))
}

/// Like [`load_known`], in no span of its own.
pub(super) fn load_unseen<R, O, X, F>(
    entry: Option<Entry<O::Value>>,
    sent: Option<Sent>,
    outcome: O,
    rules: X,
    body: Pin<&mut F>,
) -> impl Future<Output = R>
where
    O: Outcome<R>,
    O::Value: Value,
    X: Rules<O::Value>,
    F: Future<Output = R>,
{
    let entry = entry.map(Entry::recalling);
    let deadline = entry.as_ref().and_then(Entry::deadline);
    spending::within(deadline, load_in_time(entry, sent, outcome, rules, body))
}

#[expect(clippy::manual_async_fn, reason = "the future of one holds its arguments twice")]
fn load_in_time<R, O, X, F>(
    entry: Option<Entry<O::Value>>,
    sent: Option<Sent>,
    outcome: O,
    mut rules: X,
    mut body: Pin<&mut F>,
) -> impl Future<Output = R>
where
    O: Outcome<R>,
    O::Value: Value,
    X: Rules<O::Value>,
    F: Future<Output = R>,
{
    async move {
        let Some(entry) = &entry else { return spending::free(body).await };
        let mode = Mode::current();
        let mut is_on = entry.is_usual_in(mode);
        if !is_on {
            is_on = !entry.is_off_in(mode);
            let drawn = entry.raw().is_ok_and(|raw| raw.sent(sent.as_ref()));
            if is_on
                && mode == Mode::Normal
                && let Ok(raw) = entry.raw()
                && let Some(turn) = raw.turn(drawn, false)
            {
                match on_heap(|| verify::inline(entry, raw, turn, outcome, rules, body.as_mut())).await {
                    Ok(hit) => return hit,
                    Err(back) => rules = back,
                }
            }
        }
        let raw = if is_on { entry.usable() } else { None };
        let Some(raw) = raw else { return spending::free(body).await };
        let mut call = Call::new(entry, raw, outcome, entry.has_late_tags(&rules));
        if matches!(mode, Mode::Refresh | Mode::Warm) {
            if mode == Mode::Refresh {
                raw.record(Event::Miss(MissReason::TooOld));
            }
            let (returned, rules) = if mode == Mode::Warm {
                on_heap(|| call.warm(rules, body)).await
            } else if raw.is_own() {
                (on_heap(|| call.run(None, body)).await.returned, rules)
            } else {
                on_heap(|| call.refresh(rules, body)).await
            };
            entry.depends(raw, &rules, outcome.value_of(&returned));
            return returned;
        }
        if mode == Mode::Normal && !call.may_be_alike() {
            call.state.first = First::AsExpected;
        }
        let miss = match call.look(sent.and_then(Sent::placed)).await {
            Ok(hit) => return hit,
            Err(miss) => miss,
        };
        if call.may_be_alike()
            && let Some(value) = on_heap(|| similar::answer(entry, raw, miss)).await
        {
            return outcome.wrap(value);
        }
        // What the search finds decides it otherwise.
        if !matches!(call.state.first, First::Leads(_)) {
            raw.record(Event::Miss(miss.reason));
        }
        // What refreshes too: a hit does not move it about.
        let (returned, rules) = on_heap(|| call.finish(miss, rules, body)).await;
        entry.depends(raw, &rules, outcome.value_of(&returned));
        returned
    }
}

/// One call.
pub(crate) struct Call<'a, O, V> {
    pub(super) entry: &'a Entry<V>,
    pub(super) raw: &'a RawEntry,
    pub(super) outcome: O,
    pub(crate) state: State,
}

/// What a call takes along from step to step.
#[derive(Default)]
pub(crate) struct State {
    /// Whether the value names tags.
    pub(super) late_tags: bool,
    /// What the read showed of the tags.
    pub(super) read: Option<AsOf>,
    /// What the call sends first.
    first: First,
    /// Leads to a value or a lease; `None` where the call is not to store.
    search: Option<Search>,
    /// A value that ages, to be served where its load fails.
    pub(crate) spare: Option<Box<Usable>>,
    /// The right to refresh that value.
    pub(crate) elected: Option<Box<Elected>>,
    /// The lease of this refresh.
    held: Option<Held>,
    /// Set once the call leads a flight or runs its body: others may wait for it then.
    pub(crate) leads: Option<Arc<AtomicBool>>,
    /// What another caller shared could not be taken, so the call has joined a second flight.
    joined_again: bool,
    /// What a copy of what is loaded is kept under, where one is.
    pub(super) placed: Option<Box<Placed>>,
}

/// What a call sends first.
#[derive(Default)]
enum First {
    /// A read.
    #[default]
    Reads,
    /// The request for a lease, where the function's last looks found nothing.
    AsExpected,
    /// That request, with this lead.
    Leads(Box<Lead>),
    /// The same, and what it finds makes the call a hit or a miss.
    Asks,
}

/// What a body returned.
struct Ran<R> {
    returned: R,
    took: Duration,
    /// What it read, where that is recorded.
    record: Option<Gathered>,
}

impl<'a, O, V: Value> Call<'a, O, V> {
    pub(crate) fn new(entry: &'a Entry<V>, raw: &'a RawEntry, outcome: O, late_tags: bool) -> Self {
        let late_tags = late_tags || raw.recall.as_ref().is_some_and(|recall| recall.expects_strangers());
        Self::resume(entry, raw, outcome, State { late_tags, ..State::default() })
    }

    /// A call that has come so far.
    pub(crate) const fn resume(entry: &'a Entry<V>, raw: &'a RawEntry, outcome: O, state: State) -> Self {
        Self { entry, raw, outcome, state }
    }

    /// The read that every call begins with, of a copy in this process or at the store.
    pub(crate) async fn look<R>(&mut self, arguments: Option<Placed>) -> Result<R, Miss>
    where
        O: Outcome<R, Value = V>,
    {
        let (raw, outcome) = (self.raw, self.outcome);
        let as_returned =
            |copy: Option<V>| copy.map_or_else(|| outcome.none(), |value| Some(outcome.wrap(value)));
        let mut known = self.entry.known(&raw.core, raw, arguments);
        if let Some(copy) = known.as_ref().and_then(|known| known.copy(raw))
            && let Some(found) = as_returned(copy)
        {
            raw.core.hit_here(raw.counters());
            return Ok(found);
        }
        // G3: before anything is sent.
        if let Some(known) = &mut known {
            known.begin(raw);
        }
        // G1: the store is asked whether that value is there still, and whether its tags hold.
        let failed = Miss { reason: MissReason::StoreFailed, seen: FillId::NONE };
        if let Some(known) = &known {
            // G6: a store that did not answer is not asked again.
            let still = known.still_stored(raw, self.entry.expected(), |_, _| true).await;
            let Ok(still) = still else { return Err(failed) };
            if let Some(found) = still.and_then(as_returned) {
                raw.record(Event::Hit);
                return Ok(found);
            }
        }
        if matches!(self.state.first, First::AsExpected) && raw.expects_nothing(self.state.late_tags) {
            // On the heap, so that a hit does not pay for its size.
            let Ok(lead) = on_heap(|| raw.lead_unread()).await else { return Err(failed) };
            if let Some(lead) = lead {
                self.state.first = First::Leads(Box::new(lead));
                self.state.placed = known.and_then(Known::into_placed);
                self.state.read = Some(raw.of_no_tags());
                return Err(Miss { reason: MissReason::Absent, seen: FillId::NONE });
            }
        }
        let Ok((looked, read)) = raw.look_as_of(self.entry.expected().or_spare()).await else {
            return Err(failed);
        };
        if let Some(usable) = looked.aging() {
            raw.looked(false);
            (self.state.read, self.state.placed) = (Some(read), known.and_then(Known::into_placed));
            return self.aging(Box::new(usable)).await;
        }
        let looked = looked.decoded(|usable| {
            let confirmed = known.as_ref().and_then(|known| known.confirmed(raw, &usable.header));
            if let Some(found) = confirmed.and_then(as_returned) {
                return Some(found);
            }
            let found = self.entry.revive(raw, outcome, usable)?;
            if let Some(known) = known.take() {
                known.keep(raw, usable, outcome.value_of(&found), self.entry.lends);
            }
            Some(found)
        });
        raw.looked(matches!(&looked, Err(miss) if miss.reason == MissReason::Absent));
        let found = match looked {
            Ok(found) => found,
            Err(miss) => {
                (self.state.read, self.state.placed) = (Some(read), known.and_then(Known::into_placed));
                return Err(miss);
            }
        };
        raw.record(Event::Hit);
        Ok(found.value)
    }

    /// Whether the answer to another question will do: questions share theirs, and this one has none of its own that is to be loaded anew.
    pub(crate) const fn may_be_alike(&self) -> bool {
        self.entry.similar.is_some() && self.state.spare.is_none()
    }

    /// What comes of a call whose read found nothing to return. Gives the rules back: a reference to them could not be held.
    pub(crate) async fn finish<R, X, F>(&mut self, miss: Miss, rules: X, body: Pin<&mut F>) -> (R, X)
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
        F: Future<Output = R>,
    {
        // G6: it is not asked either what is written elsewhere, and what is loaded without that is not stored.
        if miss.reason == MissReason::StoreFailed
            && let Some(beforehand) = &self.raw.beforehand
        {
            beforehand.doubt();
        }
        let lead = match self.seat(miss).await {
            Ok(lead) => lead,
            Err(shared) => return (shared, rules),
        };
        // A body that calls itself is polled within: only what it needs is on the stack then.
        match lead {
            Some(lead) => on_heap(|| self.lead(lead, rules, body)).await,
            None => (on_heap(|| self.run(None, body)).await.returned, rules),
        }
    }

    /// How the call goes on that found nothing to return. `Ok(Some)`: leads; `Ok(None)`: loads alone; `Err`: takes what another
    /// caller shared.
    async fn seat<R>(&mut self, miss: Miss) -> Result<Option<Lead>, R>
    where
        O: Outcome<R, Value = V>,
    {
        let (entry, raw) = (self.entry, self.raw);
        if raw.is_own() {
            return Ok(None);
        }
        let lead = if let Some(elected) = self.state.elected.take() {
            self.state.held = Some(elected.held);
            Some(elected.lead)
        } else {
            // G6: a store that did not answer the read is not asked again: the call loads and shares within the process.
            if miss.reason != MissReason::StoreFailed {
                let late_tags = self.state.late_tags;
                let search = Search::after(miss, raw, entry.expected(), late_tags);
                self.state.search = Some(search.of_nothing(self.state.read.as_ref()));
            }
            if let First::Leads(lead) = mem::take(&mut self.state.first) {
                self.state.first = First::Asks;
                self.state.search.iter_mut().for_each(Search::unread);
                Some(*lead)
            } else {
                self.join().await?
            }
        };
        if let Some(leads) = &self.state.leads {
            leads.store(true, Ordering::SeqCst);
        }
        Ok(lead)
    }

    /// What becomes of a call whose read found a value that ages. `Err`: it loads.
    async fn aging<R>(&mut self, spare: Box<Usable>) -> Result<R, Miss>
    where
        O: Outcome<R, Value = V>,
    {
        let raw = self.raw;
        let (age, seen) = (spare.age, spare.header.fill_id);
        let loads = if age == Age::Spare {
            !raw.core.pacing.rests(seen)
        } else if raw.is_own() {
            false
        } else {
            // On the heap, so that a hit does not pay for its size.
            self.state.elected = Box::pin(raw.elect(&spare, self.state.late_tags)).await;
            self.state.elected.is_some()
        };
        self.state.spare = Some(spare);
        if !loads && let Some(value) = self.serve() {
            return Ok(value);
        }
        let reason = match (age, loads) {
            (_, false) => MissReason::Undecodable,
            (Age::Spare, _) => MissReason::Expired,
            _ => {
                raw.record(Event::Refresh);
                MissReason::Due
            }
        };
        Err(Miss { reason, seen })
    }

    /// The value that ages, as the function would have returned it; a hit.
    pub(crate) fn serve<R>(&self) -> Option<R>
    where
        O: Outcome<R, Value = V>,
    {
        let spare = self.state.spare.as_ref()?;
        let value = self.entry.revive(self.raw, self.outcome, spare)?;
        self.raw.hit(spare.age);
        Some(value)
    }

    /// The value that ages, in place of a load that failed or that is not had.
    pub(super) fn stand_in<R>(&self) -> Option<R>
    where
        O: Outcome<R, Value = V>,
    {
        let spare = self.state.spare.as_ref()?;
        let value = self.entry.revive(self.raw, self.outcome, spare)?;
        self.raw.served(spare.age);
        Some(value)
    }

    /// Takes a seat in this process's flight and, where another caller leads, follows. `Ok(Some)`: leads; `Ok(None)`:
    /// loads alone; `Err`: takes what another caller shared.
    async fn join<R>(&mut self) -> Result<Option<Lead>, R>
    where
        O: Outcome<R, Value = V>,
    {
        loop {
            let follow = match self.raw.join(self.state.late_tags, self.state.read.as_ref()) {
                Seat::Lead(lead) => return Ok(Some(lead)),
                Seat::Follow(follow) => follow,
            };
            if let Some(search) = &mut self.state.search {
                search.captures_anew();
            }
            match self.raw.follow(follow).await {
                Waited::Told(Verdict::Lead(lead)) => return Ok(Some(lead)),
                Waited::Told(Verdict::Alone) => return self.stand_in().map_or(Ok(None), Err),
                Waited::Told(Verdict::Share(landed)) => {
                    // Not a `match`, which would hold what was shared, perhaps not `Send`, over the await.
                    if let Some(shared) = self.take(&landed) {
                        self.raw.record(Event::SharedLoad);
                        return Err(shared);
                    }
                    // A batch found no row, and this function returns no `Option`, or the like: once more, with those
                    // who return the same, then alone.
                    if self.state.joined_again {
                        return Ok(None);
                    }
                    self.state.joined_again = true;
                }
                // G9: the wait has an end. G5: what is loaded beside the leader is not stored.
                Waited::Over(lead) => {
                    if let Some(value) = self.stand_in() {
                        return Err(value);
                    }
                    self.state.search = None;
                    return Ok(Some(lead));
                }
            }
        }
    }

    /// What the leader shares, as this function would have returned it.
    fn take<R>(&self, landed: &Landed) -> Option<R>
    where
        O: Outcome<R, Value = V>,
    {
        // Of a load that failed: its own value, which its own read found valid; never the leader's.
        let stand_in = if matches!(landed, Landed::Err(_)) { self.stand_in() } else { None };
        stand_in.or_else(|| landed.as_returned(self.outcome))
    }

    /// The span of a load, under a lease if there is one.
    fn load_span(&self, held: Option<&Held>) -> Span {
        tracing::debug_span!("cache_load", site = self.raw.name(), stored = held.is_some())
    }

    /// Runs the body, under a lease if there is one. Tells how long it took, and what it read where that is recorded.
    fn run<R, F>(&self, held: Option<&Held>, body: Pin<&mut F>) -> impl Future<Output = Ran<R>>
    where
        O: Outcome<R, Value = V>,
        F: Future<Output = R>,
    {
        self.run_in(self.load_span(held), held, body)
    }

    async fn run_in<R, F>(&self, span: Span, held: Option<&Held>, body: Pin<&mut F>) -> Ran<R>
    where
        O: Outcome<R, Value = V>,
        F: Future<Output = R>,
    {
        let raw = self.raw;
        raw.record(Event::Load);
        let began = Instant::now();
        let loading = Loading::current().with(raw.core.id, raw.full.clone());
        let body = loading.scope(body.instrument(span));
        // On the heap, so that others do not pay for its size.
        let body = async {
            match &raw.recall {
                None => (body.await, None),
                Some(recall) => {
                    let (returned, record) = Box::pin(gather::scope(raw.core.id, body)).await;
                    recall.learn(&record.hashes().collect::<Vec<_>>());
                    (returned, Some(record))
                }
            }
        };
        if let Some(beforehand) = &raw.beforehand {
            beforehand.loads(spending::left());
        }
        let (returned, record) = spending::free(lease::keep(held.as_slice(), raw.lease_limit(), body)).await;
        if let Some(beforehand) = &raw.beforehand {
            spending::spend(beforehand.took());
        }
        let took = began.elapsed();
        raw.load_took(took);
        if self.outcome.is_err(&returned) {
            raw.record(Event::LoadFailed);
        }
        Ran { returned, took, record }
    }

    /// Searches for a value that came meanwhile, or for the lease.
    async fn search<R>(&mut self, lead: &mut Lead) -> End<Found<R>>
    where
        O: Outcome<R, Value = V>,
    {
        let (entry, raw, outcome) = (self.entry, self.raw, self.outcome);
        if let Some(held) = self.state.held.take() {
            return End::Held(held);
        }
        let Some(search) = &mut self.state.search else { return End::Unheld };
        let end = search.find(raw, Some(lead), |usable| entry.revive(raw, outcome, usable)).await;
        if let First::Asks = mem::take(&mut self.state.first) {
            let reason = search.reason();
            raw.looked(matches!(end, End::Held(_)) && reason == MissReason::Absent);
            match &end {
                // What came with the first answer.
                End::Found(found) if reason == MissReason::Absent => raw.hit(found.age),
                End::Found(_) | End::Held(_) | End::Unheld => raw.record(Event::Miss(reason)),
            }
        }
        end
    }

    /// Leads a flight to its end.
    async fn lead<R, X, F>(&mut self, mut lead: Lead, rules: X, body: Pin<&mut F>) -> (R, X)
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
        F: Future<Output = R>,
    {
        let (raw, outcome) = (self.raw, self.outcome);
        // Not in a variable, which would hold the value, perhaps not `Send`, over the awaits below.
        let held = match on_heap(|| self.search(&mut lead)).await {
            End::Found(found) => return (self.land_found(lead, found), rules),
            End::Held(held) => {
                lead.captured(held.captured(&raw.tags));
                Some(held)
            }
            End::Unheld => {
                if let Some(value) = self.waited_in_vain() {
                    lead.hand_on();
                    return (value, rules);
                }
                None
            }
        };
        let span = self.load_span(held.as_ref());
        lead.loads_in(&span);
        lead.loading();
        let Ran { returned, took, record } = self.run_in(span, held.as_ref(), body).await;
        if let Some(record) = &record {
            lead.made_of(record);
        }
        let loaded = match outcome.split(returned) {
            Split::Err(failure) => return (self.land_err(lead, held, took, record.as_ref(), failure), rules),
            Split::Value(value) => Some(value),
            Split::None(_) => None,
        };
        on_heap(|| self.land(lead, held, took, rules, loaded, record)).await
    }

    /// The value that ages, where others load for so long that the wait for them is over.
    fn waited_in_vain<R>(&self) -> Option<R>
    where
        O: Outcome<R, Value = V>,
    {
        self.state.search.as_ref().filter(|search| search.is_over()).and_then(|_| self.stand_in())
    }

    /// Loads whatever is stored, and stores like a put: what others load meanwhile does not count.
    async fn refresh<R, X, F>(&self, rules: X, body: Pin<&mut F>) -> (R, X)
    where
        O: Outcome<R, Value = V>,
        X: Rules<V>,
        F: Future<Output = R>,
    {
        let held = asking::acquire_for_put(self.raw, self.state.late_tags).await;
        let Ran { returned, took, record } = self.run(held.as_ref(), body).await;
        let loaded = match self.outcome.split(returned) {
            // Dropping the lease leaves what is stored as it was.
            Split::Err(failure) => return (failure, rules),
            Split::Value(value) => Some(value),
            Split::None(_) => None,
        };
        let prepared = self.entry.prepare_recorded(self.raw, &rules, loaded.as_ref(), record.as_ref());
        if let Err(error) = finish_put(self.raw, held, prepared, took).await {
            log_failed(self.raw.counters(), &error, 1);
        }
        (unsplit(self.outcome, loaded), rules)
    }
}
