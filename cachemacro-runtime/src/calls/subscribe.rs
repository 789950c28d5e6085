//! A subscription at work: items of a stream, handed to a handler one by one.
//!
//! *Each*: this process reads from where the stream ended when it joined, in order. *One*: of a group's members one is given the item, and
//! handles it until it is done, or as often as it may; where the member is gone, another is given it. Nothing here knows the type of an event.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{interval_at, sleep};

use crate::engine::core::Core;
use crate::format::ids::Token;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::panics::{caught, caught_task};
use crate::ground::pauses::{backoff, spread};
use crate::observe::subscription::SubscriptionCounts;
use crate::store::{Buried, Given, Item, Member, Place};

/// How many items are read at once.
const CHUNK: usize = 100;
/// How long one wait for an item is, at most.
const LONGEST_WAIT: Duration = Duration::from_secs(1);
/// The first pause after the store failed, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

/// What a handler makes of an event; `None` where it could not be decoded.
pub(crate) type Handler = Arc<dyn Fn(&[u8]) -> Option<Handling> + Send + Sync>;
pub(crate) type Handling = BoxFuture<'static, Result<(), String>>;
/// Who is told of a gap.
pub(crate) type OnGap = Arc<dyn Fn(Gap) + Send + Sync>;

/// Events that a subscription will never see: they were not kept until it came to them.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Cache, Gap};
/// # fn subscribe(cache: &Cache, reload: impl Fn() + Send + Sync + 'static) {
/// let renamed = cache.subscribe(|name: String| async move { println!("{name}") });
/// let renamed = renamed.on_gap(move |_: Gap| reload());
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Gap {
    /// How many, at least.
    pub at_least: u64,
    /// Whether it was no more than that. It is not known how many a stream had that was lost.
    pub exact: bool,
}

/// What a subscription does.
pub(crate) struct Plan {
    /// What its events are called.
    pub(crate) name: String,
    /// The group; `None`: each process.
    pub(crate) group: Option<String>,
    pub(crate) attempts: u64,
    pub(crate) backoff: Duration,
    pub(crate) at_once: usize,
    /// How long another member may be silent before what it was given is given again.
    pub(crate) idle: Duration,
    pub(crate) handler: Handler,
    pub(crate) on_gap: Option<OnGap>,
}

/// One that runs.
pub(crate) struct Running {
    core: Arc<Core>,
    stream: String,
    /// Tells this member from others.
    member: String,
    plan: Plan,
    pub(crate) counts: SubscriptionCounts,
    stops: watch::Sender<bool>,
    /// Whether its task has ended.
    ended: watch::Sender<bool>,
}

impl Running {
    /// Joins, and has a task of the caller's runtime go on.
    ///
    /// # Errors
    /// Where the store failed, or keeps no streams; where the caller has no runtime.
    pub(crate) async fn start(core: Arc<Core>, plan: Plan) -> Result<Arc<Self>> {
        let runtime = Handle::try_current().map_err(|error| {
            Error::new(ErrorKind::Config, "a subscription needs a tokio runtime for its handlers")
                .with_source(error)
        })?;
        let stream = core.stream_of(&plan.name);
        let member = format!("{:016x}", Token::random().get());
        let (stops, ended) = (watch::Sender::new(false), watch::Sender::new(false));
        let counts = SubscriptionCounts::default();
        let running = Arc::new(Self { core, stream, member, plan, counts, stops, ended });
        let streams = running.core.streams()?;
        if running.plan.group.is_some() {
            streams.join(running.member()).await?;
            runtime.spawn(Arc::clone(&running).take_turns());
        } else {
            let place = streams.end(&running.stream).await?;
            runtime.spawn(Arc::clone(&running).read_all(place));
        }
        Ok(running)
    }

    /// Ends it once what is being handled is.
    pub(crate) fn stop(&self) {
        self.stops.send_replace(true);
    }

    /// The same, and waits for it.
    pub(crate) async fn stopped(&self) {
        self.stop();
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    fn is_stopping(&self) -> bool {
        *self.stops.borrow()
    }

    fn member(&self) -> Member<'_> {
        Member::new(&self.stream, self.plan.group.as_deref().unwrap_or_default(), &self.member)
    }

    /// What its group put aside.
    pub(crate) async fn buried(&self, most: usize) -> Result<Vec<Buried>> {
        match self.plan.group {
            Some(_) => self.core.streams()?.buried(self.member(), most).await,
            None => Ok(Vec::new()),
        }
    }

    /// Forgets what was put aside under this id.
    pub(crate) async fn unbury(&self, id: &str) -> Result<bool> {
        self.core.streams()?.unbury(self.member(), id).await
    }

    /// Handles what was put aside, once; forgets it where that succeeds.
    pub(crate) async fn replay(&self, buried: &Buried) -> Result<(), String> {
        let Some(handling) = self.handling(&buried.item.payload) else {
            return Err("it could not be decoded".to_owned());
        };
        run(handling).await?;
        count(&self.counts.handled, 1);
        self.unbury(&buried.id).await.map(drop).map_err(|error| error.to_string())
    }

    /// What the handler is about to do; `None` where the event could not be decoded.
    fn handling(&self, payload: &[u8]) -> Option<Handling> {
        // What the handler does before its future is polled may panic.
        caught(|| (self.plan.handler)(payload)).unwrap_or_else(|| Some(Box::pin(async { Err(panicked()) })))
    }

    /// Every item behind this place, in order.
    async fn read_all(self: Arc<Self>, mut place: Place) {
        let _ended = Ended(&self.ended);
        let (mut stops, mut trouble) = (self.stops.subscribe(), Trouble::new());
        let mut stopped = std::pin::pin!(stops.wait_for(|stops| *stops));
        loop {
            let next = async {
                let streams = self.core.streams()?;
                let items = streams.after(&self.stream, place, CHUNK).await?;
                if items.is_empty() {
                    streams.grown(&self.stream, place, LONGEST_WAIT).await;
                }
                Ok(items)
            };
            let items = tokio::select! {
                _ = &mut stopped => return,
                items = next => items,
            };
            match items {
                Ok(items) => {
                    trouble.is_over();
                    for item in items {
                        if self.is_stopping() {
                            return;
                        }
                        let (missed, exact) = place.missed(item.place);
                        self.tell_gap(missed, exact);
                        place = item.place;
                        self.handle_once(&item).await;
                    }
                }
                Err(error) => {
                    let pause = trouble.pause(&self.plan.name, &error);
                    tokio::select! {
                        _ = &mut stopped => return,
                        () = sleep(pause) => {}
                    }
                }
            }
        }
    }

    async fn handle_once(&self, item: &Item) {
        let Some(handling) = self.handling(&item.payload) else { return self.undecodable() };
        match run(handling).await {
            Ok(()) => count(&self.counts.handled, 1),
            Err(why) => {
                count(&self.counts.failed, 1);
                tracing::warn!(event = self.plan.name, why, "an event was not handled");
            }
        }
    }

    /// What this member is given, as many at once as may be.
    async fn take_turns(self: Arc<Self>) {
        let _ended = Ended(&self.ended);
        let (mut stops, mut trouble) = (self.stops.subscribe(), Trouble::new());
        let mut stopped = std::pin::pin!(stops.wait_for(|stops| *stops));
        let mut working = JoinSet::new();
        loop {
            let free = self.plan.at_once.saturating_sub(working.len());
            if free == 0 {
                // Each ends soon once it is to stop.
                working.join_next().await;
                if self.is_stopping() {
                    break;
                }
                continue;
            }
            let next = async {
                let streams = self.core.streams()?;
                // Asked for before: what comes in between ends the wait.
                let end = streams.end(&self.stream).await?;
                let taken = streams.take(self.member(), self.plan.idle, free).await?;
                Ok::<_, Error>((end, taken))
            };
            // Not dropped half-way: what was given would lie until others may have it.
            match next.await {
                Ok((end, taken)) => {
                    trouble.is_over();
                    self.tell_gap(taken.missed, taken.exact);
                    let is_idle = taken.items.is_empty();
                    for given in taken.items {
                        working.spawn(Arc::clone(&self).work(given));
                    }
                    if is_idle {
                        let grown = async {
                            if let Ok(streams) = self.core.streams() {
                                let wait = LONGEST_WAIT.min(self.plan.idle);
                                streams.grown(&self.stream, end, wait).await;
                            }
                        };
                        tokio::select! {
                            _ = &mut stopped => break,
                            Some(_) = working.join_next() => {}
                            () = grown => {}
                        }
                    }
                }
                Err(error) => {
                    let pause = trouble.pause(&self.plan.name, &error);
                    tokio::select! {
                        _ = &mut stopped => break,
                        () = sleep(pause) => {}
                    }
                }
            }
            if self.is_stopping() {
                break;
            }
        }
        while working.join_next().await.is_some() {}
        if let Ok(streams) = self.core.streams() {
            // What is left stays for others either way.
            let _ = streams.leave(self.member()).await;
        }
    }

    /// One item, to its end.
    async fn work(self: Arc<Self>, given: Given) {
        let Given { item, mut tries, .. } = given;
        if tries > self.plan.attempts {
            let why = format!("{} processes ended while they handled it", tries - 1);
            return self.bury(&item, &why).await;
        }
        loop {
            let Some(handling) = self.handling(&item.payload) else {
                self.undecodable();
                return self.finish(&item).await;
            };
            let why = match self.holding(&item, run(handling)).await {
                Ok(()) => {
                    count(&self.counts.handled, 1);
                    return self.finish(&item).await;
                }
                Err(why) => why,
            };
            count(&self.counts.failed, 1);
            tracing::warn!(event = self.plan.name, tries, why, "an event was not handled");
            if tries >= self.plan.attempts {
                return self.bury(&item, &why).await;
            }
            let mut stops = self.stops.subscribe();
            let backoff =
                backoff(self.plan.backoff, u32::try_from(tries.saturating_sub(1)).unwrap_or(u32::MAX));
            tokio::select! {
                // Another member is given it.
                _ = stops.wait_for(|stops| *stops) => return,
                () = self.holding(&item, sleep(backoff)) => {}
            }
            tries += 1;
        }
    }

    /// Awaits this while nobody else is given the item.
    async fn holding<T>(&self, item: &Item, working: impl Future<Output = T>) -> T {
        let mut working = std::pin::pin!(working);
        let every = self.plan.idle / 3;
        let mut ticks = interval_at(tokio::time::Instant::now() + every, every);
        loop {
            tokio::select! {
                done = &mut working => return done,
                _ = ticks.tick() => {
                    if let Ok(streams) = self.core.streams() {
                        // Where that fails, another may be given it: each is handled at least once.
                        let _ = streams.hold(self.member(), &[item.place.number]).await;
                    }
                }
            }
        }
    }

    async fn finish(&self, item: &Item) {
        self.until_done(|| async { self.core.streams()?.finish(self.member(), item.place.number).await })
            .await;
    }

    async fn bury(&self, item: &Item, why: &str) {
        count(&self.counts.dead, 1);
        tracing::error!(event = self.plan.name, why, "an event was put aside after its last attempt");
        self.until_done(|| async { self.core.streams()?.bury(self.member(), item, why).await }).await;
    }

    /// Tries again while the store fails, until it is to stop: then another member is given the item.
    async fn until_done<F: Future<Output = Result<()>>>(&self, step: impl Fn() -> F) {
        let (mut stops, mut trouble) = (self.stops.subscribe(), Trouble::new());
        while let Err(error) = step().await {
            let pause = trouble.pause(&self.plan.name, &error);
            tokio::select! {
                _ = stops.wait_for(|stops| *stops) => return,
                () = sleep(pause) => {}
            }
        }
    }

    fn undecodable(&self) {
        if self.counts.undecodable.fetch_add(1, Ordering::Relaxed) == 0 {
            let event = &self.plan.name;
            tracing::warn!(
                event,
                "an event could not be decoded and is skipped, as all such are; they are counted"
            );
        }
    }

    fn tell_gap(&self, missed: u64, exact: bool) {
        if missed == 0 && exact {
            return;
        }
        count(&self.counts.missed, missed);
        tracing::warn!(event = self.plan.name, missed, exact, "events were not kept until they were read");
        if let Some(on_gap) = &self.plan.on_gap {
            caught(|| on_gap(Gap { at_least: missed, exact }));
        }
    }
}

/// Says that a task has ended, however it did.
struct Ended<'a>(&'a watch::Sender<bool>);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.send_replace(true);
    }
}

/// While the store fails.
struct Trouble(Duration);

impl Trouble {
    const fn new() -> Self {
        Self(Duration::ZERO)
    }

    const fn is_over(&mut self) {
        self.0 = Duration::ZERO;
    }

    /// How long to wait; the first time it is logged.
    fn pause(&mut self, event: &str, error: &Error) -> Duration {
        let (first, longest) = PAUSES;
        if self.0.is_zero() {
            tracing::warn!(event, %error, "events cannot be read");
        }
        self.0 = (self.0 * 2).clamp(first, longest);
        spread(self.0)
    }
}

/// Runs a handler to its end, also where it panics.
async fn run(handling: Handling) -> Result<(), String> {
    caught_task(handling).await.unwrap_or_else(|| Err(panicked()))
}

fn panicked() -> String {
    "its handler panicked".to_owned()
}

fn count(counter: &AtomicU64, more: u64) {
    counter.fetch_add(more, Ordering::Relaxed);
}
