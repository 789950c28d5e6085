//! One call of a sync function that writes: its body always runs, and what this process keeps follows its success.
//!
//! What it evicts is gone in this process when it returns, in-memory stores included. What lies on a server is evicted in the background,
//! as for a call that was dropped: this process's reads wait for it.

use crate::calls::write::{Effects, Group};
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

/// Evicts when it is dropped, unless it was disarmed: a body that panics may have written before.
struct Guard<'g, 'a, R, O: Outcome<R>> {
    effects: &'g Effects<'a, R, O>,
    puts: &'g [PutHere<'a, O::Value>],
    armed: bool,
}

impl<R, O: Outcome<R>> Drop for Guard<'_, '_, R, O> {
    fn drop(&mut self) {
        if self.armed {
            self.effects.evicts.iter().for_each(evict);
            self.puts.iter().for_each(|put| drop_entry(&put.raw));
        }
    }
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
    let mut guard = Guard { effects: &effects, puts: &puts, armed: true };
    let returned = body();
    guard.armed = false;
    drop(guard);
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
