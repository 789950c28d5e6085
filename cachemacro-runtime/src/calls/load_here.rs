//! One call of a sync function: its value is kept in this process, and threads that want the same wait for one of them.

use std::any::Any;
use std::time::Instant;

use crate::engine::flight::Landed;
use crate::engine::local::LocalEntry;
use crate::engine::threads::{Ended, Lead, Seat, Waited};
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::gather;
use crate::policy::mode::Mode;
use crate::policy::outcome::Outcome;
use crate::policy::rules::Rules;
use crate::store::Placed;
use crate::store::local::Pending;

/// Runs `body`, or gives what is kept. Without an `entry`, the site's condition being false, nothing is looked for. Whatever breaks
/// in the cache, `body` runs.
pub(crate) fn load_here<R, O, X>(
    entry: Option<LocalEntry<O::Value>>,
    placed: Option<Placed>,
    outcome: O,
    rules: &X,
    body: impl FnOnce() -> R,
) -> R
where
    O: Outcome<R>,
    O::Value: Any + Clone + Send + Sync,
    X: Rules<O::Value>,
{
    let Some(entry) = entry.filter(|entry| entry.raw.is_active()) else { return body() };
    let call = Call { entry: &entry, outcome, rules };
    let raw = &entry.raw;
    let late = entry.has_late_tags(rules);
    if gather::is_on() {
        entry.depends(late);
    }
    if Mode::current() == Mode::Refresh {
        raw.record(Event::Miss(MissReason::TooOld));
        return call.run_kept(raw.begin(late, true), placed, body);
    }
    let mut missed = false;
    loop {
        match raw.look(placed.clone(), |stored| stored.revive(outcome)) {
            Ok(found) => {
                raw.record(if missed { Event::SharedLoad } else { Event::Hit });
                return found;
            }
            Err(reason) if !missed => raw.record(Event::Miss(reason)),
            Err(_) => {}
        }
        missed = true;
        let follow = match raw.join::<O::Value>(late) {
            Seat::Lead(lead) => match raw.look(placed.clone(), |stored| stored.revive(outcome)) {
                // G5: another's load ended between the look and the seat. Those who have joined since find it too, as this ends.
                Ok(found) => {
                    raw.record(Event::SharedLoad);
                    return found;
                }
                Err(_) => return call.lead(lead, placed, body),
            },
            Seat::Own => return call.run(body),
            Seat::Follow(follow) => follow,
        };
        match follow.wait(raw.wait()) {
            Waited::Told(Ended::Lost) => {}
            Waited::Told(Ended::Apart) => return call.run_kept(raw.begin(late, false), placed, body),
            Waited::Told(Ended::Shared(landed)) => {
                let Some(shared) = landed.as_returned(outcome) else { return call.run(body) };
                raw.record(Event::SharedLoad);
                return shared;
            }
            // G9: nobody waits for itself.
            Waited::Circle => return call.run(body),
            // G9: the wait has an end. G5: what is loaded beside the leader is not kept.
            Waited::Over => {
                let returned = call.run(body);
                follow.land(call.ended(&returned));
                return returned;
            }
        }
    }
}

struct Call<'a, O, V, X> {
    entry: &'a LocalEntry<V>,
    outcome: O,
    rules: &'a X,
}

impl<O: Copy, V: Any + Clone + Send + Sync, X: Rules<V>> Call<'_, O, V, X> {
    /// Runs the body.
    fn run<R>(&self, body: impl FnOnce() -> R) -> R
    where
        O: Outcome<R, Value = V>,
    {
        let raw = &self.entry.raw;
        raw.record(Event::Load);
        let began = Instant::now();
        let span = tracing::debug_span!("cache_load", site = raw.site.function());
        let returned = span.in_scope(body);
        raw.load_took(began.elapsed());
        if self.outcome.is_err(&returned) {
            raw.record(Event::LoadFailed);
        }
        returned
    }

    /// Runs the body and keeps what it gives.
    fn run_kept<R>(&self, mut pending: Pending, placed: Option<Placed>, body: impl FnOnce() -> R) -> R
    where
        O: Outcome<R, Value = V>,
    {
        let returned = self.run(body);
        self.keep(&mut pending, placed, &returned);
        returned
    }

    /// Runs the body for all who wait. Where it panics, one of them is next.
    fn lead<R>(&self, mut lead: Lead<'_>, placed: Option<Placed>, body: impl FnOnce() -> R) -> R
    where
        O: Outcome<R, Value = V>,
    {
        let returned = self.run(body);
        self.keep(&mut lead.pending, placed, &returned);
        if lead.close() {
            lead.land(self.ended(&returned));
        }
        returned
    }

    fn keep<R>(&self, pending: &mut Pending, placed: Option<Placed>, returned: &R)
    where
        O: Outcome<R, Value = V>,
    {
        if self.outcome.is_err(returned) {
            self.entry.keep_err(pending, placed, self.outcome, returned);
        } else {
            self.entry.keep(pending, placed, self.rules, self.outcome.value_of(returned));
        }
    }

    /// What those who wait are told.
    fn ended<R>(&self, returned: &R) -> Ended
    where
        O: Outcome<R, Value = V>,
    {
        // What was loaded may be rolled back: the body has written in a transaction.
        if self.entry.raw.core.has_written() {
            return Ended::Apart;
        }
        let landed = if self.outcome.is_err(returned) {
            self.outcome.share_err(returned).map(Landed::Err)
        } else {
            Landed::of(self.outcome.value_of(returned))
        };
        landed.map_or(Ended::Apart, Ended::Shared)
    }
}
