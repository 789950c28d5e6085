//! For tests: what is told to `tracing` while code runs.

use tracing::span::{Attributes, Id, Record};
use tracing::{Dispatch, Event, Metadata, Subscriber};

/// Hears every event, and no span.
struct Hears<F>(F);

impl<F: Fn(&Event<'_>) + Send + Sync + 'static> Subscriber for Hears<F> {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn event(&self, event: &Event<'_>) {
        (self.0)(event);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

/// Runs code whose events on this thread are told to `hear`.
pub(crate) fn hearing<R>(hear: impl Fn(&Event<'_>) + Send + Sync + 'static, run: impl FnOnce() -> R) -> R {
    // Where there is one subscriber alone, `tracing` asks that of the thread which first comes by an event whether anybody
    // listens, for good: another test's thread has none.
    let _another = Dispatch::new(Hears(|_: &Event<'_>| {}));
    tracing::subscriber::with_default(Hears(hear), run)
}
