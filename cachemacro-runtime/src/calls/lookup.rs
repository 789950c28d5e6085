//! One lookup by hand: look, then search; the load is the caller's.

use std::sync::Mutex;

use crate::engine::asking::acquire_for_put;
use crate::engine::at_hand::AtHand;
use crate::engine::decoded::Known;
use crate::engine::entry::Entry;
use crate::engine::lease::Held;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Found, Usable};
use crate::engine::search::{End, Search};
use crate::format::header::Header;
use crate::ground::error::Result;
use crate::ground::sync::lock;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::mode::Mode;
use crate::policy::outcome::Value;
use crate::policy::rules::NoRules;
use crate::store::OnRefusal;

/// What a lookup ends with.
pub(crate) enum Sought<T> {
    Found(Found<T>),
    /// The same, of this process's own copy.
    Here(Found<T>),
    Vacant(Vacant<T>),
}

/// There is no value to use, or one that this caller is to load anew.
pub(crate) struct Vacant<T> {
    /// The right to store one.
    pub(crate) held: Option<Held>,
    /// What the fill does to the entry where the lease is lost by then. One that was taken by force, as a put's is, may
    /// have displaced a load, whose value must not stay.
    pub(crate) on_refusal: OnRefusal,
    /// Why there is no value; `None` where the cache was not asked.
    pub(crate) reason: Option<MissReason>,
    /// The value that is to be loaded anew, or that the caller turned down.
    pub(crate) old: Option<T>,
}

/// Looks for a value that `accept` takes, and where there is none for the right to store one.
///
/// # Errors
/// Where the entry could not be read, or the arguments cannot be a key.
pub(crate) async fn lookup<T: Value>(
    entry: &Entry<T>,
    accept: impl Fn(&T, &Header) -> bool,
) -> Result<Sought<T>> {
    let raw = entry.raw()?;
    let sought = if raw.core.is_bypassed() {
        Sought::Vacant(Vacant { held: None, on_refusal: OnRefusal::Leave, reason: None, old: None })
    } else if Mode::current() == Mode::Refresh {
        Sought::Vacant(refresh(entry, raw).await)
    } else {
        seek(entry, raw, accept).await?
    };
    match &sought {
        Sought::Found(found) => raw.hit(found.age),
        Sought::Here(_) => raw.core.hit_here(raw.counters()),
        Sought::Vacant(vacant) => {
            if let Some(reason) = vacant.reason {
                raw.record(Event::Miss(reason));
            }
        }
    }
    Ok(sought)
}

/// Under [`Mode::Refresh`]: the right to replace whatever is stored.
async fn refresh<T: Value>(entry: &Entry<T>, raw: &RawEntry) -> Vacant<T> {
    let late_tags = entry.has_late_tags(&NoRules);
    let held = if raw.is_own() { None } else { acquire_for_put(raw, late_tags).await };
    Vacant { held, on_refusal: OnRefusal::Unlink, reason: Some(MissReason::TooOld), old: None }
}

/// Reads, and nothing else: a value with its header.
///
/// # Errors
/// Where the entry could not be read, or the arguments cannot be a key.
pub(crate) async fn find<T: Value>(entry: &Entry<T>) -> Result<Option<Found<T>>> {
    let raw = entry.raw()?;
    if raw.core.is_bypassed() {
        return Ok(None);
    }
    let found = if Mode::current() == Mode::Refresh {
        Err(MissReason::TooOld)
    } else {
        let mut known = match look_here(entry, raw, &|_, _| true).await? {
            Here::Copy(found) => {
                raw.core.hit_here(raw.counters());
                return Ok(Some(found));
            }
            Here::Same(found) => {
                raw.hit(found.age);
                return Ok(Some(found));
            }
            Here::Nothing(known) => known,
        };
        let looked = raw.look(entry.expected()).await?;
        let decode = |usable: &Usable| entry.decode_and_keep(raw, usable, |_| true, || known.take()).ok();
        looked.decoded(decode).map_err(|miss| miss.reason)
    };
    match &found {
        Ok(found) => raw.hit(found.age),
        Err(reason) => raw.record(Event::Miss(*reason)),
    }
    Ok(found.ok())
}

/// What a lookup finds in this process.
enum Here<'a, T> {
    /// A copy that may be taken.
    Copy(Found<T>),
    /// A copy, of which the store says that it has that value still.
    Same(Found<T>),
    /// Nothing to take. What is read now may be kept, if that is to be.
    Nothing(Option<Known<'a>>),
}

/// Looks for a copy that `accept` takes.
///
/// # Errors
/// Where the store was asked and did not answer.
async fn look_here<'a, T: Value>(
    entry: &Entry<T>,
    raw: &'a RawEntry,
    accept: &impl Fn(&T, &Header) -> bool,
) -> Result<Here<'a, T>> {
    let mut known = entry.known_by_hand(&raw.core, raw);
    let Some(asked) = &mut known else { return Ok(Here::Nothing(None)) };
    let copy = asked.copy::<AtHand<T>>(raw).flatten();
    if let Some(copy) = copy.filter(|copy| copy.is_taken_by(accept)) {
        return Ok(Here::Copy(copy.into_found()));
    }
    // G3: before anything is sent.
    asked.begin(raw);
    let still = asked.held_still(raw, entry.expected()).await?;
    Ok(match still.filter(|still| still.is_taken_by(accept)) {
        Some(still) => Here::Same(still.into_found()),
        None => Here::Nothing(known),
    })
}

/// Reads, then searches.
pub(crate) async fn seek<T: Value>(
    entry: &Entry<T>,
    raw: &RawEntry,
    accept: impl Fn(&T, &Header) -> bool,
) -> Result<Sought<T>> {
    let expected = entry.expected();
    let known = match look_here(entry, raw, &accept).await? {
        Here::Copy(found) => return Ok(Sought::Here(found)),
        Here::Same(found) => return Ok(Sought::Found(found)),
        Here::Nothing(known) => Mutex::new(known),
    };
    // What the caller turned down last.
    let refused: Mutex<Option<T>> = Mutex::new(None);
    let decode = |usable: &Usable| {
        let accept = |value: &T| accept(value, &usable.header);
        match entry.decode_and_keep(raw, usable, accept, || lock(&known).take()) {
            Ok(value) => Some(value),
            Err(None) => None,
            Err(turned_down) => {
                *lock(&refused) = turned_down;
                None
            }
        }
    };
    let vacant = |held, reason, old: Option<T>| {
        let turned_down = lock(&refused).take();
        let reason = if turned_down.is_some() { MissReason::Refused } else { reason };
        let old = old.or(turned_down);
        Ok(Sought::Vacant(Vacant { held, on_refusal: OnRefusal::Leave, reason: Some(reason), old }))
    };
    let (looked, read) = raw.look_as_of(expected).await?;
    let aging = looked.aging();
    let miss = match looked.decoded(decode) {
        Ok(found) => {
            if let Some(usable) = aging
                && !raw.is_own()
                && let Some(elected) = raw.elect(&usable, entry.has_late_tags(&NoRules)).await
            {
                raw.record(Event::Refresh);
                // Who waits in this process looks for itself: nobody knows when the caller will load.
                elected.lead.hand_on();
                return vacant(Some(elected.held), MissReason::Due, Some(found.value));
            }
            return Ok(Sought::Found(found));
        }
        Err(miss) => miss,
    };
    if raw.is_own() {
        // G9: this task is loading or putting this very key, and would wait for itself.
        return vacant(None, miss.reason, None);
    }
    let search = Search::after(miss, raw, expected, entry.has_late_tags(&NoRules));
    let mut search = search.of_nothing(Some(&read));
    match search.find(raw, None, decode).await {
        End::Found(found) => Ok(Sought::Found(found)),
        End::Held(held) => vacant(Some(held), search.reason(), None),
        End::Unheld => vacant(None, search.reason(), None),
    }
}
