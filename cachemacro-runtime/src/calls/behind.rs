//! A call whose load goes on behind it: a refresh that nobody waits for, and a load that its caller waits for no longer than it may.
//!
//! The load is a task of its own. So neither who began it nor who waits for it ends it by going away, and what it loads is stored
//! though all of them have been answered.

use std::future::Future;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::task::{JoinError, JoinHandle};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument as _, Span};

use crate::calls::load::{Call, State, load_unseen};
use crate::calls::{similar, verify};
use crate::engine::entry::Entry;
use crate::engine::loading::Loading;
use crate::engine::raw::RawEntry;
use crate::engine::read::Miss;
use crate::engine::spans;
use crate::engine::spending;
use crate::engine::suspected::Sent;
use crate::ground::clock::NEVER;
use crate::ground::heap::on_heap;
use crate::observe::event::Event;
use crate::policy::gather;
use crate::policy::mode::Mode;
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::Rules;

/// How long a call waits for its load.
#[derive(Debug, Clone, Copy, Default)]
pub struct Behind {
    background: bool,
    soft: Option<Duration>,
    timeout: Option<Duration>,
}

impl Behind {
    /// To the end.
    pub const fn new() -> Self {
        Self { background: false, soft: None, timeout: None }
    }

    /// Not at all, where a value is there that is to be loaded anew.
    #[must_use]
    pub const fn background(self, background: bool) -> Self {
        Self { background, ..self }
    }

    /// As long as this, where an old value is there.
    #[must_use]
    pub const fn soft(self, time: Duration) -> Self {
        Self { soft: Some(time), ..self }
    }

    /// As long as this, where an old value is there, or where the site says what to return instead.
    #[must_use]
    pub const fn timeout(self, time: Duration) -> Self {
        Self { timeout: Some(time), ..self }
    }
}

/// Like [`load_known`](crate::calls::load::load_known), with a body that may run behind a hit, to see whether that is true.
pub(crate) async fn load_verified<R, O, X, F>(
    entry: Option<Entry<O::Value>>,
    sent: Option<Sent>,
    outcome: O,
    rules: X,
    body: F,
) -> R
where
    R: Send + 'static,
    O: Outcome<R> + 'static,
    O::Value: Value,
    X: Rules<O::Value> + Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    match checked(entry.as_ref(), sent, outcome, rules, body).await {
        Ok(hit) => hit,
        Err((sent, rules, body)) => load_unseen(entry, sent, outcome, rules, pin!(body)).await,
    }
}

/// The hit, where this call's is looked at and there is one.
async fn checked<R, O, X, F>(
    entry: Option<&Entry<O::Value>>,
    mut sent: Option<Sent>,
    outcome: O,
    rules: X,
    body: F,
) -> Result<R, (Option<Sent>, X, F)>
where
    R: Send + 'static,
    O: Outcome<R> + 'static,
    O::Value: Value,
    X: Rules<O::Value> + Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let drawn = sent.take_if(|sent| matches!(sent, Sent::Checked)).is_some();
    if let Some(entry) = entry
        && Mode::current() == Mode::Normal
        && !entry.is_off_in(Mode::Normal)
        && let Ok(raw) = entry.raw()
        && let Some(turn) = raw.turn(drawn, true)
    {
        let look =
            || spending::within(entry.deadline(), verify::behind(entry, raw, turn, outcome, rules, body));
        return on_heap(look).await.map_err(|(rules, body)| (sent, rules, body));
    }
    Err((sent, rules, body))
}

/// Like [`load_known`](crate::calls::load::load_known), with a load that goes on behind its caller. `late` gives what is returned in place of a load that takes too
/// long, if anything.
pub(crate) async fn load_behind<R, O, X, F>(
    entry: Option<Entry<O::Value>>,
    mut sent: Option<Sent>,
    outcome: O,
    mut rules: X,
    mut body: F,
    behind: Behind,
    late: impl FnOnce() -> Option<R>,
) -> R
where
    R: Send + 'static,
    O: Outcome<R> + 'static,
    O::Value: Value,
    X: Rules<O::Value> + Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let Some(entry) = entry.map(Entry::recalling) else { return body.await };
    if entry.core().is_watched() {
        match on_heap(|| checked(Some(&entry), sent, outcome, rules, body)).await {
            Ok(hit) => return hit,
            Err(back) => (sent, rules, body) = back,
        }
        if let Ok(raw) = entry.raw() {
            raw.sent(sent.as_ref());
            // It is counted.
            sent.take_if(|sent| matches!(sent, Sent::Counted));
        }
    }
    let is_own = entry.raw().is_ok_and(RawEntry::is_own);
    // What is collected for a transaction is the task's own, so its loads are. In `Mode::Refresh` no old value is wanted, and a warm-up
    // waits for its loads.
    if is_own || entry.core().puts_evict() || matches!(Mode::current(), Mode::Refresh | Mode::Warm) {
        return load_unseen(Some(entry), sent, outcome, rules, pin!(body)).await;
    }
    let Some(raw) = entry.usable() else { return body.await };
    let mut call = Call::new(&entry, raw, outcome, entry.has_late_tags(&rules));
    // G6: the load has what the look leaves of the call's time, and the look for the answer to another question.
    let look = async {
        let mut looked = call.look(sent.and_then(Sent::placed)).await;
        if let Err(miss) = looked
            && call.may_be_alike()
            && let Some(value) = on_heap(|| similar::answer(&entry, raw, miss)).await
        {
            looked = Ok(outcome.wrap(value));
        }
        (looked, spending::left())
    };
    let (looked, left) = spending::within(entry.deadline(), look).await;
    let miss = match looked {
        Ok(hit) => return hit,
        Err(miss) => miss,
    };
    let served = if behind.background && call.state.elected.is_some() { call.serve() } else { None };
    if served.is_none() {
        raw.record(Event::Miss(miss.reason));
    }
    let old = call.state.spare.clone();
    let leads = Arc::<AtomicBool>::default();
    call.state.leads = Some(Arc::clone(&leads));
    let load = spending::within(left, go_on(entry.clone(), outcome, call.state, miss, rules, body));
    // What nobody waits for is no part of its caller's trace.
    let span = if served.is_some() { spans::behind(raw.name()) } else { Span::current() };
    let load = Loading::current().scope(Mode::current().scope(load));
    // Who gathers what this call depends on hears of its load, too.
    let load = gather::carried(load).instrument(span);
    let (began, mut task) = (Instant::now(), tokio::spawn(load));
    if let Some(served) = served {
        return served;
    }
    let stand_in = || {
        let old = old.as_deref()?;
        let value = entry.revive(raw, outcome, old)?;
        raw.served(old.age);
        Some(value)
    };
    // Whoever only waits for another's load is wanted by nobody once its caller has gone on.
    let leave = |task: &JoinHandle<R>| {
        if !leads.load(Ordering::SeqCst) {
            task.abort();
        }
    };
    if let Some(soft) = behind.soft.filter(|_| old.is_some()) {
        if let Ok(done) = timeout_at(began + soft.min(NEVER), &mut task).await {
            return returned(done, || stand_in().or_else(late)).await;
        }
        if let Some(value) = stand_in() {
            leave(&task);
            return value;
        }
    }
    if let Some(time) = behind.timeout {
        if let Ok(done) = timeout_at(began + time.min(NEVER), &mut task).await {
            return returned(done, || stand_in().or_else(late)).await;
        }
        if let Some(value) = stand_in().or_else(late) {
            leave(&task);
            return value;
        }
        return returned(task.await, stand_in).await;
    }
    returned(task.await, || stand_in().or_else(late)).await
}

/// The load, with all that it needs.
async fn go_on<R, O, X, F>(
    entry: Entry<O::Value>,
    outcome: O,
    state: State,
    miss: Miss,
    rules: X,
    body: F,
) -> R
where
    O: Outcome<R>,
    O::Value: Value,
    X: Rules<O::Value>,
    F: Future<Output = R>,
{
    let Ok(raw) = entry.raw() else { return body.await };
    let (returned, rules) = Call::resume(&entry, raw, outcome, state).finish(miss, rules, pin!(body)).await;
    entry.depends(raw, &rules, outcome.value_of(&returned));
    returned
}

/// What the load's task returned; `instead` where its runtime ended first.
///
/// # Panics
/// Where the load did, and where its runtime ended and nothing is there instead.
async fn returned<R>(done: Result<R, JoinError>, instead: impl FnOnce() -> Option<R>) -> R {
    match done.map_err(JoinError::try_into_panic) {
        Ok(value) => value,
        Err(Ok(panic)) => resume_unwind(panic),
        // A caller that is a task of that runtime ends with it.
        Err(Err(_)) if tokio::task::try_id().is_some() => std::future::pending().await,
        // G9: any other does not wait for what never comes.
        Err(Err(_)) => match instead() {
            Some(value) => value,
            None => panic!("the runtime of a load has ended before it"),
        },
    }
}
