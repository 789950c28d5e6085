//! Spans around calls, loads and round trips, and the links between them.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use cachemacro::store::faults::FaultStore;
use cachemacro::store::memory::MemoryStore;
use cachemacro::{Cache, Clock, ErrorKind, cached};
use cachemacro_tests::log::under_subscriber;
use tokio::sync::Notify;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Subscriber, debug_span};
use tracing_subscriber::Layer;
use tracing_subscriber::layer::{Context, SubscriberExt as _};
use tracing_subscriber::registry::LookupSpan;

/// A span as it was made and what became of it.
#[derive(Debug, Clone, Default)]
struct Seen {
    name: &'static str,
    parent: Option<usize>,
    fields: Vec<(&'static str, String)>,
    follows: Vec<usize>,
}

impl Seen {
    fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| *field == name).map(|(_, value)| value.as_str())
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.fields.push((field.name(), format!("{value:?}").trim_matches('"').to_owned()));
    }
}

/// All spans of one thread.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Seen>>>);

/// Which of them a span is, kept with it.
#[derive(Clone, Copy)]
struct At(usize);

impl Spans {
    /// Runs this on a runtime of its own, and tells all spans.
    fn of<F: Future>(future: F) -> (F::Output, Vec<Seen>) {
        let spans = Self::default();
        let done = under_subscriber(tracing_subscriber::registry().with(spans.clone()), || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
        });
        let seen = spans.0.lock().unwrap().clone();
        (done, seen)
    }
}

fn at<S: Subscriber + for<'a> LookupSpan<'a>>(id: &Id, context: &Context<'_, S>) -> usize {
    context.span(id).and_then(|span| span.extensions().get::<At>().copied()).expect("it was made").0
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Spans {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let span = context.span(id).expect("it was made");
        let parent = span.parent().map(|parent| at(&parent.id(), &context));
        let mut seen = Seen { name: attributes.metadata().name(), parent, ..Seen::default() };
        attributes.record(&mut seen);
        let mut spans = self.0.lock().unwrap();
        span.extensions_mut().insert(At(spans.len()));
        spans.push(seen);
    }

    fn on_record(&self, span: &Id, values: &Record<'_>, context: Context<'_, S>) {
        values.record(&mut self.0.lock().unwrap()[at(span, &context)]);
    }

    fn on_follows_from(&self, span: &Id, follows: &Id, context: Context<'_, S>) {
        let (span, follows) = (at(span, &context), at(follows, &context));
        self.0.lock().unwrap()[span].follows.push(follows);
    }
}

fn named<'a>(spans: &'a [Seen], name: &str) -> Vec<(usize, &'a Seen)> {
    spans.iter().enumerate().filter(|(_, span)| span.name == name).collect()
}

#[cached(cache = cache, skip(cache), ttl = "1m", stale = "1h", refresh = "80%, background")]
async fn row(cache: Cache, id: u64) -> u64 {
    let _ = cache;
    id
}

#[cached(cache = cache, skip(cache, begun, end))]
async fn slow(cache: &Cache, begun: &Notify, end: &Notify) -> u64 {
    let _ = cache;
    begun.notify_one();
    end.notified().await;
    7
}

#[test]
fn a_call_its_load_and_its_round_trips_have_spans() {
    // A store that is not known to be in memory is asked.
    let store = Arc::new(FaultStore::new(Arc::new(MemoryStore::new())));
    let ((), spans) = Spans::of(async {
        let cache = Cache::builder().store(store.clone()).build().unwrap();
        for _ in 0..2 {
            // A user's span may have fields of such names.
            let own = debug_span!("own", outcome = tracing::field::Empty, reason = tracing::field::Empty);
            let call = tracing::Instrument::instrument(row(cache.clone(), 1), own);
            assert_eq!(call.await, 1);
            cache.stored().await;
        }
        store.fail_all(ErrorKind::Connect);
        assert_eq!(row(cache, 2).await, 2);
    });
    let calls = named(&spans, "cache");
    let told = |span: &Seen| {
        ["site", "outcome", "reason"].map(|field| span.field(field).map(str::to_owned).unwrap_or_default())
    };
    let all: Vec<_> = calls.iter().map(|(_, span)| told(span)).collect();
    assert_eq!(all, [["row", "load", "absent"], ["row", "hit", ""], ["row", "load", "store_failed"]]);
    let own = named(&spans, "own");
    assert!(own.iter().all(|(_, span)| span.fields.is_empty()), "{own:?}");
    assert_eq!(calls[0].1.parent, Some(own[0].0));
    let loads = named(&spans, "cache_load");
    assert_eq!(
        loads.iter().map(|(_, load)| load.parent).collect::<Vec<_>>(),
        [Some(calls[0].0), Some(calls[2].0)]
    );
    assert_eq!([loads[0].1.field("stored"), loads[1].1.field("stored")], [Some("true"), Some("false")]);
    let trips = named(&spans, "cache_store");
    let of = |call: usize| {
        let trips = trips.iter().filter(move |(_, trip)| trip.parent == Some(call));
        trips.map(|(_, trip)| trip.field("db.operation.name").unwrap_or_default()).collect::<Vec<_>>()
    };
    assert_eq!(of(calls[0].0), ["read", "lease", "write"]);
    assert_eq!(of(calls[1].0), ["read"]);
    let failed = trips.iter().find(|(_, trip)| trip.parent == Some(calls[2].0)).unwrap().1;
    let expected =
        [("db.system.name", "memory"), ("otel.kind", "client"), ("error.type", "connect"), ("site", "row")];
    for (field, value) in expected {
        assert_eq!(failed.field(field), Some(value), "{failed:?}");
    }
}

#[test]
fn a_value_that_is_decoded_here_already_has_a_span_of_its_call() {
    let ((), spans) = Spans::of(async {
        let cache = Cache::memory();
        for _ in 0..3 {
            row(cache.clone(), 1).await;
        }
    });
    let outcomes: Vec<_> = named(&spans, "cache").iter().map(|(_, span)| span.field("outcome")).collect();
    assert_eq!(outcomes, [Some("load"), Some("hit"), Some("hit")]);
}

#[test]
fn a_follower_links_to_the_load_that_it_waited_for() {
    let (values, spans) = Spans::of(async {
        let cache = Cache::memory();
        let (begun, end) = (Notify::new(), Notify::new());
        let follow = async {
            begun.notified().await;
            let late = slow(&cache, &begun, &end);
            let go_on = async {
                tokio::task::yield_now().await;
                end.notify_waiters();
                end.notify_one();
            };
            tokio::join!(late, go_on).0
        };
        // Both ask before the load begins.
        tokio::join!(slow(&cache, &begun, &end), slow(&cache, &begun, &end), follow)
    });
    assert_eq!(values, (7, 7, 7));
    let loads = named(&spans, "cache_load");
    let calls = named(&spans, "cache");
    let followers: Vec<_> =
        calls.iter().filter(|(_, call)| call.field("outcome") == Some("shared_load")).collect();
    assert!(!followers.is_empty(), "{spans:#?}");
    for (_, follower) in followers {
        assert!(loads.iter().any(|(load, _)| follower.follows == [*load]), "{follower:?}");
    }
    let leader = calls.iter().find(|(_, call)| call.field("outcome") == Some("load")).unwrap().1;
    assert!(leader.follows.is_empty());
}

#[test]
fn a_refresh_in_the_background_links_to_its_caller() {
    static CLOCK: OnceLock<Clock> = OnceLock::new();
    let clock = CLOCK.get_or_init(Clock::manual);
    let ((), spans) = Spans::of(async {
        let cache = Cache::builder().memory().clock(clock.clone()).build().unwrap();
        row(cache.clone(), 1).await;
        clock.advance(Duration::from_secs(50));
        row(cache.clone(), 1).await;
        while cache.stats().total.fills < 2 {
            tokio::task::yield_now().await;
        }
    });
    let calls = named(&spans, "cache");
    let [_, (caller, served), (refresh, behind)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!((served.field("outcome"), behind.field("outcome")), (Some("hit"), Some("load")));
    assert_eq!((served.field("background"), behind.field("background")), (None, Some("true")));
    assert_eq!((behind.parent, &behind.follows), (None, &vec![*caller]));
    let load = named(&spans, "cache_load").last().unwrap().1.parent;
    assert_eq!(load, Some(*refresh));
}
