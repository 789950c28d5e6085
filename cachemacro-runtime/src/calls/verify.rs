//! A hit that is held against what the function returns now. The function runs outside of the cache: nothing is filled or shared, and what
//! it calls bypasses the cache too.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use tokio::time::timeout;
use tracing::Instrument as _;

use crate::engine::entry::Entry;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Looked, Usable};
use crate::engine::spending;
use crate::engine::verifying::{Compared, Turn};
use crate::format::canonical::differences;
use crate::format::header;
use crate::ground::panics::caught;
use crate::observe::event::Event;
use crate::policy::freshness::Age;
use crate::policy::mode::apart;
use crate::policy::outcome::{Outcome, Value};
use crate::policy::rules::Rules;

/// How long the function is waited for whose caller has a value already.
const LONGEST: Duration = Duration::from_secs(60);

/// The hit, once the body has been run beside it; the rules back where there is none, and nothing was run.
pub(super) async fn inline<R, O, X, F>(
    entry: &Entry<O::Value>,
    raw: &RawEntry,
    turn: Turn,
    outcome: O,
    rules: X,
    body: Pin<&mut F>,
) -> Result<R, X>
where
    O: Outcome<R>,
    O::Value: Value,
    X: Rules<O::Value>,
    F: Future<Output = R>,
{
    let Some(usable) = hit(entry, raw, outcome).await else { return Err(rules) };
    raw.record(Event::Hit);
    if !turn.may_look() {
        return entry.revive(raw, outcome, &usable).ok_or(rules);
    }
    let fresh = run(raw, body).await;
    let cached = entry.revive(raw, outcome, &usable);
    let compared = cached.as_ref().map(|cached| compare(entry, outcome, &rules, cached, fresh.as_ref()));
    turn.end(raw, entry.expected(), &usable.header, compared.unwrap_or(Compared::Unknown));
    // It was revived a moment ago; where it is not now, what was loaded will do.
    cached.or(fresh).ok_or(rules)
}

/// The hit, with the body run in a task of its own; rules and body back where there is none.
pub(super) async fn behind<R, O, X, F>(
    entry: &Entry<O::Value>,
    raw: &RawEntry,
    turn: Turn,
    outcome: O,
    rules: X,
    body: F,
) -> Result<R, (X, F)>
where
    O: Outcome<R> + 'static,
    O::Value: Value,
    X: Rules<O::Value> + Send + 'static,
    F: Future<Output = R> + Send + 'static,
{
    let usable = hit(entry, raw, outcome).await;
    let Some((usable, value)) = usable.and_then(|usable| {
        let value = entry.revive(raw, outcome, &usable)?;
        Some((usable, value))
    }) else {
        return Err((rules, body));
    };
    raw.record(Event::Hit);
    if !turn.may_look() {
        return Ok(value);
    }
    let (entry, raw) = (entry.clone(), raw.clone());
    let look = async move {
        let fresh = run(&raw, body).await;
        let cached = entry.revive(&raw, outcome, &usable);
        let compared = cached.map(|cached| compare(&entry, outcome, &rules, &cached, fresh.as_ref()));
        turn.end(&raw, entry.expected(), &usable.header, compared.unwrap_or(Compared::Unknown));
    };
    drop(tokio::spawn(look.in_current_span()));
    Ok(value)
}

/// The value that is there, where it is fresh, no error, and can be brought back.
async fn hit<R, O>(entry: &Entry<O::Value>, raw: &RawEntry, outcome: O) -> Option<Usable>
where
    O: Outcome<R>,
    O::Value: Value,
{
    let Looked::Usable(usable) = raw.look(entry.expected()).await.ok()? else { return None };
    let is_right = usable.age == Age::Fresh && !usable.header.has(header::ERROR);
    (is_right && entry.revive(raw, outcome, &usable).is_some()).then_some(usable)
}

/// What the body returns, outside of the cache; `None` where it panics or takes too long: its caller has a value.
async fn run<R>(raw: &RawEntry, body: impl Future<Output = R>) -> Option<R> {
    let span = tracing::debug_span!("cache_check", site = raw.name());
    let mut body = pin!(spending::free(apart(body)).instrument(span));
    let body = poll_fn(|context| match caught(|| body.as_mut().poll(context)) {
        Some(Poll::Pending) => Poll::Pending,
        Some(Poll::Ready(returned)) => Poll::Ready(Some(returned)),
        None => Poll::Ready(None),
    });
    timeout(LONGEST, body).await.ok().flatten()
}

fn compare<R, O, X>(entry: &Entry<O::Value>, outcome: O, rules: &X, cached: &R, fresh: Option<&R>) -> Compared
where
    O: Outcome<R>,
    O::Value: Value,
    X: Rules<O::Value>,
{
    let Some(fresh) = fresh.filter(|fresh| !outcome.is_err(fresh)) else { return Compared::Unknown };
    let (cached, fresh) = match (outcome.value_of(cached), outcome.value_of(fresh)) {
        (None, None) => return Compared::Same,
        (Some(cached), Some(fresh)) => (cached, fresh),
        _ => return Compared::Differs(vec!["value".to_owned()]),
    };
    // G6: a rule that panics is the user's.
    let same = || rules.same(cached, fresh).or_else(|| entry.rules().same(cached, fresh));
    let Some(same) = caught(same) else { return Compared::Unknown };
    if same == Some(true) {
        return Compared::Same;
    }
    match differences(cached, fresh) {
        Some(paths) if !paths.is_empty() => Compared::Differs(paths),
        _ if same == Some(false) => Compared::Differs(vec!["value".to_owned()]),
        Some(_) => Compared::Same,
        None => Compared::Unknown,
    }
}
