//! What is logged, by any crate at any level, with the fields of every span and event.

use std::fmt::{self, Debug, Write as _};
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::NoSubscriber;
use tracing::{Dispatch, Event, Level, Metadata, Subscriber};

/// What was logged while a future ran. Clones are the same log.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Vec<Line>>>);

/// One event, or one span with what was recorded in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// Where it comes from, its name or message, and every field: `target message field=value`.
    pub text: String,
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.level, self.text)
    }
}

/// Runs `code` with a subscriber on this thread.
///
/// A second one is made beside it: where there is one alone, `tracing` asks that of the thread which first comes by an event
/// whether anybody listens, for good, and another thread has none.
pub fn under_subscriber<T>(subscriber: impl Subscriber + Send + Sync, code: impl FnOnce() -> T) -> T {
    let _another = Dispatch::new(NoSubscriber::new());
    tracing::subscriber::with_default(subscriber, code)
}

impl Log {
    /// Runs `future` and the tasks it spawns on a thread of their own kind of runtime, and collects what they log.
    ///
    /// Make caches inside it: where code first runs outside, its callsites may be off for good.
    ///
    /// # Panics
    /// Where `future` does.
    pub fn watch<F: Future>(&self, future: F) -> F::Output {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime can be built");
        self.under(|| {
            let output = runtime.block_on(future);
            drop(runtime);
            output
        })
    }

    /// Runs `code` and collects what it logs on this thread.
    pub fn under<T>(&self, code: impl FnOnce() -> T) -> T {
        let collector = Collector { log: self.clone(), spans: AtomicU64::new(0) };
        under_subscriber(collector, code)
    }

    /// What was logged so far.
    pub fn lines(&self) -> Vec<Line> {
        self.lock().clone()
    }

    /// Those of this level whose text contains `part`.
    pub fn found(&self, level: Level, part: &str) -> Vec<Line> {
        self.lock().iter().filter(|line| line.level == level && line.text.contains(part)).cloned().collect()
    }

    /// Those that somebody should look at: warnings and errors.
    pub fn alarms(&self) -> Vec<Line> {
        self.lock().iter().filter(|line| line.level <= Level::WARN).cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, metadata: &Metadata<'_>, fields: &Text) {
        let (level, text) = (*metadata.level(), format!("{}{}", metadata.target(), fields.0));
        self.lock().push(Line { level, text });
    }
}

/// The fields of one line.
#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = match field.name() {
            "message" => write!(self.0, " {value:?}"),
            name => write!(self.0, " {name}={value:?}"),
        };
    }
}

struct Collector {
    log: Log,
    spans: AtomicU64,
}

impl Subscriber for Collector {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut text = Text(format!(" {}", span.metadata().name()));
        span.record(&mut text);
        self.log.add(span.metadata(), &text);
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut text = Text::default();
        values.record(&mut text);
        self.log.lock().push(Line { level: Level::TRACE, text: text.0 });
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.log.add(event.metadata(), &text);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
