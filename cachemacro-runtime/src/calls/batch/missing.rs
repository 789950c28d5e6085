//! An id of a batch that has no value yet, and how far the search for one has come.

use crate::engine::core::Core;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::engine::entry::Entry;
use crate::engine::flight::{Follow, Landed, Lead, Verdict, Waited};
use crate::engine::lease::{Held, Pauses};
use crate::engine::loading::Loading;
use crate::engine::raw::RawEntry;
use crate::engine::read::Looked;
use crate::engine::read::MOST_LOOKS;
use crate::format::header;
use crate::format::ids::{FillId, Version};
use crate::ground::clock::Timestamp;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::outcome::Value;

/// An id without a value.
pub(super) struct Missing<K, T> {
    pub(super) id: K,
    pub(super) entry: Entry<T>,
    pub(super) state: State,
    /// This call is to find a value for the other callers in this process too. Dropped after the lease.
    pub(super) lead: Option<Lead>,
    /// How often a value was found and could not be used.
    pub(super) looks: u32,
    pub(super) pauses: Pauses,
    /// What another caller shared could not be taken, so it has joined a second flight.
    pub(super) joined_again: bool,
}

pub(super) enum State {
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

impl<K, T: Value> Missing<K, T> {
    /// The raw, unless caching is off or the entry is another cache's, where its evicts go.
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

    /// Whether this task is loading or putting it.
    pub(super) fn is_own(&self) -> bool {
        self.entry.raw().is_ok_and(|raw| Loading::contains(raw.core.id, &raw.full))
    }

    pub(super) fn seen(&self) -> FillId {
        if let State::Seen(seen) = self.state { seen } else { 0 }
    }

    pub(super) fn held(&self) -> Option<&Held> {
        match &self.state {
            State::Held(held) | State::Refresh(Some(held)) => Some(held),
            _ => None,
        }
    }

    /// How long to wait for the process that holds the lease.
    pub(super) fn leased(&self) -> Option<(&RawEntry, Duration)> {
        let State::Busy { remaining, .. } = self.state else { return None };
        Some((self.entry.raw().ok()?, remaining.min(self.pauses.left())))
    }

    /// A value that another process stored meanwhile, or `None` where it says that there is none; `Err` where it cannot be
    /// used.
    pub(super) async fn found(
        mut self,
        bytes: Bytes,
        versions: &[Option<Version>],
    ) -> Result<(K, Option<T>), Self> {
        let looked = match self.entry.raw() {
            Ok(raw) => raw.verify(bytes, versions, self.entry.expected()).await.ok(),
            Err(_) => None,
        };
        self.looks += 1;
        if let Ok((row, stored_at)) = self.judge(looked) {
            if let Some(mut lead) = self.lead {
                let age = self.entry.core().store.now().since(stored_at);
                lead.share_read(&Landed::of(row.as_ref()), age);
                lead.hand_on();
            }
            return Ok((self.id, row));
        }
        if self.looks >= MOST_LOOKS {
            self.state = State::Unstored;
        }
        Err(self)
    }

    /// The value that a look found, or that it is known that there is none, and when it was stored. Where it cannot be
    /// used or nothing could be read, why, and the state says how to go on.
    pub(super) fn judge(&mut self, looked: Option<Looked>) -> Result<(Option<T>, Timestamp), MissReason> {
        let (reason, state) = match looked {
            Some(Looked::Usable(usable)) => {
                let header = &usable.header;
                if header.has(header::NONE) {
                    return Ok((None, header.stored_at));
                }
                if let Some(value) = self.entry.decode(&usable) {
                    return Ok((Some(value), header.stored_at));
                }
                (MissReason::Undecodable, State::Seen(header.fill_id))
            }
            Some(Looked::Miss(miss)) => (miss.reason, State::Seen(miss.seen)),
            None => (MissReason::StoreFailed, State::Unstored),
        };
        self.state = state;
        Err(reason)
    }

    /// Waits for the caller that leads.
    pub(super) async fn told(self, follow: Follow) -> (Self, Waited) {
        let waited = match self.entry.raw() {
            Ok(raw) => follow.wait(raw.patience()).await,
            Err(_) => Waited::Told(Verdict::Alone),
        };
        (self, waited)
    }
}
