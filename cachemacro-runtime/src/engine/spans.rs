//! Spans of `tracing` around calls and round trips, at debug level: made only where somebody may hear them, so that a call whose are not
//! heard is as large and as fast as one without.
//!
//! | span | around | fields |
//! |---|---|---|
//! | `cache` | a call that loads | `site`, `outcome`, `reason` of its miss, `stale`, `background` |
//! | `cache_load` | the function | `site`, `stored` |
//! | `cache_store` | a round trip to the store | `site`, and the stable ones of OpenTelemetry for clients of databases |
//!
//! They tell no key, tag, value or address.

use std::future::Future;
use std::pin::Pin;

use futures_util::future::Either;
use tracing::field::Empty;
use tracing::instrument::Instrumented;
use tracing::{Instrument as _, Level, Span, debug_span, level_enabled};

use crate::ground::error::Result;
use crate::ground::heap::on_heap;
use crate::observe::event::Event;
use crate::observe::site::SiteId;

/// A future, in a span where one may be heard.
type MaybeIn<F> = Either<Pin<Box<Instrumented<F>>>, F>;

/// Whether any of them may be heard.
#[inline]
pub(crate) fn may_be_heard() -> bool {
    level_enabled!(Level::DEBUG)
}

fn of_call(site: &'static str) -> Span {
    debug_span!("cache", site, outcome = Empty, reason = Empty, stale = Empty, background = Empty)
}

/// A span for a call of this function, where it may be heard.
#[inline]
pub(crate) fn for_call(site: impl FnOnce() -> &'static str) -> Option<Span> {
    may_be_heard().then(|| of_call(site()))
}

/// A call in its span, if it has one.
#[inline]
pub(crate) fn in_call<F: Future>(span: Option<Span>, call: F) -> MaybeIn<F> {
    match span {
        Some(span) => Either::Left(on_heap(|| call.instrument(span))),
        None => Either::Right(call),
    }
}

/// A call that goes on though its caller was answered: a trace of its own, which links to that of its caller.
pub(crate) fn behind(site: &'static str) -> Span {
    let caller = Span::current();
    let span = debug_span!(
        parent: None,
        "cache",
        site,
        outcome = Empty,
        reason = Empty,
        stale = Empty,
        background = true,
    );
    if span.is_disabled() {
        return caller;
    }
    span.follows_from(&caller);
    span
}

/// A call that took a decoded value.
#[cold]
pub(crate) fn hit_here(site: &'static str) {
    let span = of_call(site);
    let _in = span.enter();
    heard(site, Event::Hit);
}

/// Something happened in a call.
#[cold]
pub(crate) fn heard(site: &'static str, event: Event) {
    tracing::trace!(site, ?event, "cache");
    let span = Span::current();
    // A user's span may have such fields too.
    let is_own =
        |meta: &tracing::Metadata<'_>| meta.name() == "cache" && meta.module_path() == Some(module_path!());
    if !span.metadata().is_some_and(is_own) {
        return;
    }
    match event {
        Event::Hit | Event::Load | Event::SharedLoad => span.record("outcome", event.as_str()),
        Event::Miss(reason) => span.record("reason", reason.as_str()),
        Event::Stale => span.record("stale", true),
        _ => &span,
    };
}

/// A round trip to the store called `store`, which does `operation` there.
#[inline]
pub(crate) fn in_round_trip<T, F, S>(
    store: S,
    operation: &'static str,
    site: Option<&SiteId>,
    round_trip: F,
) -> Either<Pin<Box<impl Future<Output = Result<T>> + use<T, F, S>>>, F>
where
    F: Future<Output = Result<T>>,
    S: FnOnce() -> &'static str,
{
    if !may_be_heard() {
        return Either::Right(round_trip);
    }
    let span = debug_span!(
        "cache_store",
        site = site.map(SiteId::function),
        otel.kind = "client",
        db.system.name = store(),
        db.operation.name = operation,
        error.type = Empty,
    );
    let round_trip = async move {
        let done = round_trip.await;
        if let Err(error) = &done {
            Span::current().record("error.type", error.kind().as_str());
        }
        done
    };
    Either::Left(on_heap(|| round_trip.instrument(span)))
}
