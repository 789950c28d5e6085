//! One call of a sync function that writes: its body always runs, and what this process keeps follows its success.
//!
//! What it evicts is gone in this process when it returns, in-memory stores included. What lies on a server is evicted in the background,
//! as for a call that was dropped: this process's reads wait for it.

use crate::calls::write::{Effects, Group};
use crate::engine::collecting::Collecting;
use crate::engine::local::LocalRaw;
use crate::observe::event::Event;
use crate::policy::outcome::Outcome;
use crate::store::local::Pending;

/// Keeps what the body gave, `None` being that there is none; tells whether it did.
pub(crate) type Keep<'a, V> = Box<dyn FnOnce(&mut Pending, Option<&V>) -> bool + Send + 'a>;

/// A value to write through to the entry of a sync function.
pub(crate) struct PutHere<'a, V> {
    pub(crate) raw: LocalRaw,
    /// `None`: nothing is stored, and the entry evicted.
    pub(crate) pending: Option<Pending>,
    pub(crate) keep: Keep<'a, V>,
    pub(crate) on_err: bool,
}

/// Runs `body`, then puts and evicts. `after` adds what mentions the value inside the result; it is not called where there is
/// none.
pub(crate) fn write_here<'a, R, O, A>(
    mut effects: Effects<'a, R, O>,
    puts: Vec<PutHere<'a, O::Value>>,
    body: impl FnOnce() -> R,
    after: A,
) -> R
where
    O: Outcome<R>,
    A: FnOnce(&O::Value, Effects<'a, R, O>) -> Effects<'a, R, O>,
{
    for group in effects.evicts.iter().filter(|group| group.when.before) {
        evict(group);
    }
    // G7: a body, or an expression over its value, that panics may have written before.
    let mut guard = effects.guard();
    guard.and_here(puts.iter().map(|put| put.raw.clone()));
    effects.begin_writing();
    puts.iter().for_each(|put| Collecting::begin_writing(put.raw.core.id));
    let returned = body();
    let is_err = effects.outcome.is_err(&returned);
    if !is_err && let Some(value) = effects.outcome.value_of(&returned) {
        effects = after(value, effects);
    }
    for group in effects.evicts.iter().filter(|group| !is_err || group.when.before || group.when.on_err) {
        evict(group);
    }
    for put in puts.into_iter().filter(|put| !is_err || put.on_err) {
        let PutHere { raw, pending, keep, .. } = put;
        let value = effects.outcome.value_of(&returned);
        if pending.filter(|_| !is_err).is_some_and(|mut pending| keep(&mut pending, value)) {
            raw.record(Event::Put);
        } else {
            drop_entry(&raw);
        }
    }
    guard.disarm();
    returned
}

fn drop_entry(raw: &LocalRaw) {
    raw.evict();
}

/// Evicts what one attribute names.
fn evict(group: &Group) {
    for evict in group.all().filter(|evict| !evict.is_idle()) {
        // What could not be built is told there.
        let _ = evict.send_now();
    }
    group.here.iter().for_each(drop_entry);
}
