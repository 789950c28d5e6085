//! An id of a batch that has no value yet, and how far the search for one has come.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::asking::Answer;
use crate::engine::core::Core;
use crate::engine::decoded::Known;
use crate::engine::entry::Entry;
use crate::engine::flight::{AsOf, Follow, Lead, Verdict, Waited};
use crate::engine::lease::Held;
use crate::engine::prepare::Prepared;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Found, Looked, Usable};
use crate::engine::search::{End, Search, Step};
use crate::format::header;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::freshness::Age;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;
use crate::policy::rules::NoRules;
use crate::store::Placed;

/// An id without a value.
pub(super) struct Missing<K, T> {
    pub(super) id: K,
    pub(super) entry: Entry<T>,
    pub(super) state: State,
    /// This call leads the flight of the entry: it finds a value for the other callers in this process too. Dropped after
    /// the lease.
    pub(super) lead: Option<Lead>,
    /// What the read showed of the tags.
    pub(super) read: Option<AsOf>,
    /// What another caller shared could not be taken, so it has joined a second flight.
    pub(super) joined_again: bool,
    /// The value that ages, which this call is to load anew.
    pub(super) old: Option<Usable>,
    /// What a copy of what is loaded is kept under, where one is.
    pub(super) placed: Option<Box<Placed>>,
}

pub(super) enum State {
    /// This call loads it, and does not store it.
    Unstored,
    /// This call asks for the lease next.
    Ask(Search),
    /// Another process is loading it, and its lease lapses after this time.
    Busy(Search, Duration),
    /// This call loads and stores it.
    Held(Held),
    /// This call loads it whatever is stored, and stores it like a put.
    Refresh(Option<Held>),
}

/// What is stored under an id; `None`: it is known that there is nothing.
pub(super) struct Row<T>(pub(super) Option<T>);

impl<K, T: Value> Missing<K, T> {
    pub(super) fn new(id: K, entry: Entry<T>) -> Self {
        let state = State::Unstored;
        Self { id, entry, state, lead: None, read: None, joined_again: false, old: None, placed: None }
    }

    /// The raw entry, unless caching is off or the entry is another cache's, where its evicts go.
    pub(super) fn within(&self, core: &Arc<Core>) -> Option<&RawEntry> {
        self.entry.active().filter(|raw| raw.core.id == core.id)
    }

    pub(super) fn record(&self, event: Event) {
        if let Some(raw) = self.entry.active() {
            raw.record(event);
        }
    }

    /// How many tags are known before the load.
    pub(super) fn tags(&self) -> usize {
        self.entry.raw().map_or(0, |raw| raw.tags.len())
    }

    pub(super) fn has_late_tags(&self) -> bool {
        self.entry.has_late_tags(&NoRules)
    }

    /// Whether this task is loading or putting it.
    pub(super) fn is_own(&self) -> bool {
        self.entry.raw().is_ok_and(RawEntry::is_own)
    }

    pub(super) fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Held(held) | State::Refresh(Some(held)) => Some(held),
            _ => None,
        }
    }

    /// Where another process holds the lease: the search that waits for it, and when the lease lapses.
    pub(super) fn waiting(&mut self) -> Option<(&RawEntry, &mut Search, Duration)> {
        let State::Busy(search, remaining) = &mut self.state else { return None };
        Some((self.entry.raw().ok()?, search, *remaining))
    }

    /// Follows another caller: by the time it asks itself, its read is long ago.
    pub(super) fn follows(&mut self) {
        if let State::Ask(search) = &mut self.state {
            search.captures_anew();
        }
    }

    /// After a pause: asks again, unless the wait is over.
    pub(super) fn waited(&mut self) {
        if let State::Busy(search, _) = std::mem::replace(&mut self.state, State::Unstored)
            && !search.is_over()
        {
            self.state = State::Ask(search);
        }
    }

    /// What the first read found. Where that cannot be used or nothing could be read, why, and the state says how to go
    /// on.
    pub(super) fn looked(
        &mut self,
        looked: Option<(Looked, AsOf)>,
        mut known: Option<Known<'_>>,
    ) -> Result<(Row<T>, Age), MissReason> {
        let (Some((looked, read)), Ok(raw)) = (looked, self.entry.raw()) else {
            return Err(MissReason::StoreFailed);
        };
        let old = looked.aging();
        let decode = |usable: &Usable| {
            let confirmed = known.as_ref().and_then(|known| known.confirmed(raw, &usable.header));
            if let Some(value) = confirmed {
                return Some(Row(value));
            }
            let row = self.decode(usable)?;
            if let Some(known) = known.take_if(|_| usable.age == Age::Fresh) {
                known.keep(raw, usable, row.0.as_ref(), self.entry.lends);
            }
            Some(row)
        };
        let looked = looked.decoded(decode);
        self.placed = known.and_then(Known::into_placed);
        let miss = match looked {
            Ok(found) => {
                self.old = old;
                return Ok((found.value, found.age));
            }
            Err(miss) => miss,
        };
        let search = Search::after(miss, raw, self.entry.expected(), self.has_late_tags());
        self.state = State::Ask(search.of_nothing(Some(&read)));
        self.read = Some(read);
        Err(miss.reason)
    }

    fn decode(&self, usable: &Usable) -> Option<Row<T>> {
        if usable.header.has(header::NONE) {
            return Some(Row(None));
        }
        self.entry.decode(usable).map(|value| Row(Some(value)))
    }

    /// What is to be stored of a load, and kept here.
    pub(super) fn prepared(&mut self, value: Option<&T>) -> Option<Prepared> {
        let State::Held(held) = &self.state else { return None };
        let raw = self.entry.raw().ok()?;
        let old = self.old.as_ref().filter(|_| held.is_refresh());
        self.entry.prepare_copied(raw, &NoRules, value, old, self.placed.take(), None)
    }

    /// What another process stored meanwhile; else the state says how to go on.
    pub(super) async fn answered(mut self, answer: Answer) -> Result<(K, Row<T>), Self> {
        self.state = match (std::mem::replace(&mut self.state, State::Unstored), answer) {
            (State::Ask(search), answer) => match self.search(search, answer).await {
                Ok(found) => return Ok(self.found(found)),
                Err(state) => state,
            },
            (State::Refresh(_), Answer::Held(held)) => State::Refresh(Some(held)),
            (state, _) => state,
        };
        Err(self)
    }

    /// One step of the search.
    async fn search(&self, mut search: Search, answer: Answer) -> Result<Found<Row<T>>, State> {
        let Ok(raw) = self.entry.raw() else { return Err(State::Unstored) };
        let step = match search.answered(raw, answer).await {
            Step::End(end) => search.decoded(end, |usable| self.decode(usable)),
            Step::Pause(remaining) => Step::Pause(remaining),
            Step::Ask => Step::Ask,
        };
        match step {
            Step::End(End::Found(found)) => Ok(found),
            Step::End(End::Held(held)) => {
                if let Some(lead) = &self.lead {
                    lead.captured(held.captured(&raw.tags));
                }
                Err(State::Held(held))
            }
            Step::End(End::Unheld) => Err(State::Unstored),
            Step::Pause(remaining) => Err(State::Busy(search, remaining)),
            Step::Ask => Err(State::Ask(search)),
        }
    }

    /// Shares what was found with the other callers in this process.
    fn found(self, found: Found<Row<T>>) -> (K, Row<T>) {
        if let Some(lead) = self.lead {
            let age = self.entry.core().store.now().since(found.header.stored_at);
            let lead = lead.share_clone(found.value.0.as_ref(), |lead, landed| lead.share_read(landed, age));
            if let Some(lead) = lead {
                lead.hand_on();
            }
        }
        (self.id, found.value)
    }

    /// Asks for the right to load a value anew that ages, which is served meanwhile. `None`: another does, or nobody.
    pub(super) async fn elect(mut self) -> Option<Self> {
        let (Some(old), Ok(raw)) = (&self.old, self.entry.raw()) else { return None };
        let elected = if raw.is_own() { None } else { raw.elect(old, self.has_late_tags()).await };
        // A warm-up reads nothing that counts.
        let counts = Mode::current() != Mode::Warm;
        let Some(elected) = elected else {
            if counts {
                raw.hit(old.age);
            }
            return None;
        };
        if counts {
            raw.record(Event::Miss(MissReason::Due));
        }
        raw.record(Event::Refresh);
        elected.lead.captured(elected.held.captured(&raw.tags));
        self.lead = Some(elected.lead);
        self.state = State::Held(elected.held);
        Some(self)
    }

    /// The load of the value that ages has failed: for a while nobody tries again.
    pub(super) fn rest(self) {
        let (Some(old), State::Held(held)) = (&self.old, self.state) else { return };
        let core = held.core().clone();
        let time = core.settings.retry_after;
        core.pacing.rest(old.header.fill_id, time);
        core.go_on(async move { held.rest(time).await });
        if let Ok(raw) = self.entry.raw()
            && Mode::current() != Mode::Warm
        {
            raw.served(old.age);
        }
    }

    /// Waits for the caller that leads.
    pub(super) async fn told(self, follow: Follow) -> (Self, Waited) {
        let waited = match self.entry.raw() {
            Ok(raw) => raw.follow(follow).await,
            Err(_) => Waited::Told(Verdict::Alone),
        };
        (self, waited)
    }
}
