//! Connections: a few for each runtime, that all its tasks share, and a pool for what needs one to itself.
//!
//! The shared ones are none of the pool's: reads and evicts go on, and reconnect, while scans hold all of it. Opening runs in a task
//! of its own, so that a caller who gives up does not abandon the attempt; whoever needs the same connection waits for that
//! one attempt. What a runtime opened ends with it, which is no failure.

use std::fmt;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};

use super::budget::RetryBudget;
use super::config::RedisConfig;
use super::dial::{Dialer, Mark, Permit};
use super::endpoint::Endpoint;
use super::failure;
use super::gate::Closed;
use super::pool::Pooled;
use super::refusal::Fate;
use super::runtimes::PerRuntime;
use super::upkeep::Upkeep;
use super::wire::{Asked, Packed, Wire};
use crate::ground::error::{Error, Result};
use crate::ground::pauses::spread;
use crate::ground::sync::lock;
use crate::observe::pool::Pool;

/// The connections of one store.
pub(super) struct Link {
    pub(super) dialer: Arc<Dialer>,
    pub(super) pooled: Pooled,
    shared: PerRuntime<Slots>,
    /// How many connections each runtime has.
    width: usize,
    ever_open: AtomicBool,
    pool_wait: Duration,
    upkeep: Upkeep,
    retries: RetryBudget,
}

/// One shared connection, as it is handed out.
#[derive(Clone)]
pub(super) struct Handle {
    pub(super) wire: Arc<Wire>,
    opened: Arc<Opened>,
}

/// The shared connections of one runtime.
struct Slots {
    each: Box<[Mutex<Slot>]>,
    next: AtomicUsize,
    /// Looks after them.
    keeper: Mutex<Option<AbortHandle>>,
}

enum Slot {
    Empty,
    Opening { since: Instant, done: watch::Receiver<()> },
    Open(Arc<Wire>, Arc<Opened>),
}

/// What is known of one connection.
struct Opened {
    slots: Weak<Slots>,
    slot: usize,
    /// When it began to be opened.
    since: Mark,
    /// When another one is to take its place.
    until: Option<Instant>,
    /// Whether it gave an answer that was of use.
    useful: AtomicBool,
}

/// How long a caller waits for a connection.
#[derive(Clone, Copy)]
pub(super) enum Patience {
    /// A reconnect takes a moment; while attempts fail there are better things to do (G6).
    Short,
    /// Until then, whatever fails: it has to be done.
    Until(Instant),
}

impl Patience {
    const fn is_long(self) -> bool {
        matches!(self, Self::Until(_))
    }
}

impl Link {
    pub(super) fn new(config: &RedisConfig, endpoint: Endpoint) -> Result<Self> {
        let dialer = Arc::new(Dialer::new(config, endpoint));
        Ok(Self {
            pooled: Pooled::new(config, Arc::clone(&dialer))?,
            dialer,
            shared: PerRuntime::new(),
            width: config.handles,
            ever_open: AtomicBool::new(false),
            pool_wait: config.pool_wait,
            upkeep: config.upkeep,
            retries: RetryBudget::new(config.upkeep.retry_budget, Instant::now()),
        })
    }

    /// How many shared connections a runtime has.
    pub(super) const fn width(&self) -> usize {
        self.width
    }

    /// A shared connection of this runtime: the next in turn, another where that one is not open, else as soon as it is.
    pub(super) async fn acquire(self: &Arc<Self>, patience: Patience) -> Result<Handle> {
        let slots = self.slots()?;
        // The one that was not ready.
        let turn = slots.next.load(Ordering::Relaxed) % self.width;
        match self.open_handle(&slots, turn) {
            Some(handle) => Ok(handle),
            None => self.acquire_opened(&slots, turn, patience).await,
        }
    }

    /// A shared connection of this runtime, where the next in turn is open: nothing is waited for.
    ///
    /// # Errors
    /// Outside of any runtime.
    pub(super) fn ready(&self) -> Result<Option<Handle>> {
        self.shared.look(|slots| {
            let turn = slots.next.fetch_add(1, Ordering::Relaxed).wrapping_add(1) % self.width;
            self.open_handle(slots, turn)
        })
    }

    /// Opens every shared connection of this runtime and waits for them.
    pub(super) async fn acquire_all(self: &Arc<Self>) -> Result<()> {
        let slots = self.slots()?;
        let openings: Vec<_> = (0..self.width).map(|slot| self.open(&slots, slot)).collect();
        for (slot, opening) in openings.into_iter().enumerate() {
            match opening {
                Ok(opening) => drop(self.wait_for(&slots, slot, opening, self.longest_wait()).await?),
                Err(closed) if closed.until.is_some() => return Err(closed.error),
                Err(_) => {
                    let patience = Patience::Until(Instant::now() + self.longest_wait());
                    drop(self.acquire_opened(&slots, slot, patience).await?);
                }
            }
        }
        self.pooled.fill().await
    }

    /// Whether one more request may be sent again.
    pub(super) fn may_repeat(&self) -> bool {
        // Counted in any case, so that requests pay nothing for the budget.
        let asked = |slots: &Arc<Slots>| slots.next.load(Ordering::Relaxed);
        let requests = self.shared.all().iter().map(asked).fold(0, usize::wrapping_add);
        let may = self.retries.take(requests, Instant::now());
        if !may {
            tracing::debug!("too much was sent to redis again lately: not sent again");
        }
        may
    }

    /// Takes note that a connection gave an answer that was of use.
    pub(super) fn served(&self, handle: &Handle) {
        let useful = &handle.opened.useful;
        if !useful.load(Ordering::Relaxed) && !useful.swap(true, Ordering::Relaxed) {
            self.dialer.succeeded();
        }
    }

    /// Takes a connection out of use that broke, went silent, or leads to where nothing can be done. What others await on
    /// it goes on.
    pub(super) fn retire(&self, handle: &Handle, fate: Fate, error: &Error) {
        let opened = &handle.opened;
        match fate {
            Fate::Kept => return,
            Fate::Replaced => {}
            Fate::AllReplaced => self.dialer.outdate(opened.since),
        }
        let Some(slots) = opened.slots.upgrade() else { return };
        let mut slot = slots.slot(opened.slot);
        if matches!(&*slot, Slot::Open(_, open) if Arc::ptr_eq(open, opened)) {
            // Before nothing is open: who sees that must see that something was.
            self.dialer.lose();
            *slot = Slot::Empty;
            drop(slot);
            self.dialer.note_lost(error);
            if !opened.useful.load(Ordering::Relaxed) {
                self.dialer.lost_unused(error);
            }
            tracing::warn!(connection = opened.slot, %error, "a redis connection failed and will be replaced");
        }
    }

    /// The connections as they are now.
    pub(super) fn pool(&self) -> Pool {
        let all = self.shared.all();
        let open = all.iter().flat_map(|slots| (0..self.width).map(move |slot| (slots, slot)));
        let shared = open.filter(|(slots, slot)| self.open_handle(slots, *slot).is_some()).count();
        let mut pool = self.pooled.pool();
        pool.shared = shared as u64;
        (pool.reconnects, pool.last_failure) = self.dialer.noted();
        pool
    }

    /// Why nothing can have been sent over a shared connection of what was asked since this moment, where none was open.
    pub(super) fn unreached(&self, since: Instant) -> Option<Error> {
        // Looked at first: one that is lost in between was open.
        let any_open = self.shared.all().iter().any(|slots| self.any_open(slots).is_some());
        if any_open { None } else { self.dialer.unreached(since) }
    }

    pub(super) fn close(&self) {
        self.dialer.close();
        self.pooled.close();
        for slots in self.shared.all() {
            for index in 0..self.width {
                *slots.slot(index) = Slot::Empty;
            }
        }
    }

    /// Those of the caller's runtime.
    fn slots(&self) -> Result<Arc<Slots>> {
        self.shared.current(|| Slots {
            each: (0..self.width).map(|_| Mutex::new(Slot::Empty)).collect(),
            next: AtomicUsize::new(0),
            keeper: Mutex::default(),
        })
    }

    fn open_handle(&self, slots: &Slots, slot: usize) -> Option<Handle> {
        match &*slots.slot(slot) {
            Slot::Open(wire, opened) if self.dialer.is_current(opened.since) => {
                Some(Handle { wire: Arc::clone(wire), opened: Arc::clone(opened) })
            }
            _ => None,
        }
    }

    fn any_open(&self, slots: &Slots) -> Option<Handle> {
        (0..self.width).find_map(|slot| self.open_handle(slots, slot))
    }

    async fn acquire_opened(
        self: &Arc<Self>,
        slots: &Arc<Slots>,
        turn: usize,
        patience: Patience,
    ) -> Result<Handle> {
        let now = Instant::now();
        // The first connection is waited for in full. Where one was lost, callers wait for `pool_wait` at most, then go on
        // without the cache (G6).
        let first = !self.ever_open.load(Ordering::Relaxed) && self.dialer.is_calm();
        let short = now + if first { self.longest_wait() } else { self.pool_wait };
        let deadline = match patience {
            Patience::Short => short,
            Patience::Until(deadline) if first => deadline.max(short),
            Patience::Until(deadline) => deadline,
        };
        loop {
            // Enlisted before it is asked whether anything may be tried.
            let mut moved = pin!(self.dialer.attempts.moved.notified());
            moved.as_mut().enable();
            let opening = self.open(slots, turn);
            if let Some(handle) = self.any_open(slots) {
                return Ok(handle);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let (error, may_wait) = match opening {
                Ok(opening) => match self.wait_for(slots, turn, opening, left).await {
                    Ok(handle) => return Ok(handle),
                    Err(error) => {
                        // Where nothing was tried because the runtime ends, it ends here.
                        tokio::task::yield_now().await;
                        (error, false)
                    }
                },
                Err(Closed { error, until }) => {
                    let is_crowd = until.is_none();
                    if !self.dialer.is_closed() && (is_crowd || patience.is_long()) {
                        let pause =
                            until.map_or(left, |until| until.saturating_duration_since(Instant::now()));
                        // Another's success opens the gate before its time.
                        let _ = timeout(pause.min(left), moved).await;
                    }
                    (error, is_crowd)
                }
            };
            if !(may_wait || patience.is_long()) || self.dialer.is_closed() || Instant::now() >= deadline {
                return Err(error);
            }
        }
    }

    /// Joins the attempt to open this connection, or starts one where that is allowed now.
    fn open(self: &Arc<Self>, slots: &Arc<Slots>, index: usize) -> Result<watch::Receiver<()>, Closed> {
        let now = Instant::now();
        let mut slot = slots.slot(index);
        match &*slot {
            // An overdue attempt is replaced: its runtime may have stood still.
            Slot::Opening { since, done }
                if now.duration_since(*since) < self.longest_wait()
                    && self.dialer.is_current(self.dialer.mark(*since)) =>
            {
                return Ok(done.clone());
            }
            Slot::Open(_, opened) if self.dialer.is_current(opened.since) => return Ok(watch::channel(()).1),
            _ => {}
        }
        let permit = self.dialer.admit()?;
        let (finished, done) = watch::channel(());
        *slot = Slot::Opening { since: now, done: done.clone() };
        drop(slot);
        let attempt = Attempt {
            link: Arc::clone(self),
            slots: Arc::clone(slots),
            slot: index,
            since: now,
            opened: None,
            _permit: permit,
            _finished: finished,
        };
        tokio::spawn(attempt.run());
        Ok(done)
    }

    /// Has a task of this runtime look after these connections, unless one does.
    fn start_keeping(self: &Arc<Self>, slots: &Arc<Slots>) {
        let Some(pause) = self.upkeep.pause() else { return };
        let mut keeper = lock(&slots.keeper);
        if keeper.is_none() {
            let (link, slots) = (Arc::downgrade(self), Arc::downgrade(slots));
            *keeper = Some(tokio::spawn(look_after(link, slots, pause)).abort_handle());
        }
    }

    /// Asks this connection whether it is there, and replaces it where it is not, or is too old.
    async fn look_at(self: &Arc<Self>, slots: &Arc<Slots>, index: usize) {
        let Some(handle) = self.open_handle(slots, index) else { return };
        if handle.opened.until.is_some_and(|until| Instant::now() >= until) {
            self.replace(slots, &handle).await;
        } else if self.upkeep.health_interval.is_some() {
            let mut ping = Packed::default();
            ping.command(1).part("PING");
            let error = match handle.wire.call(ping).await {
                Asked::Answered(Ok(_)) => match self.dialer.check_epoch(&handle.wire).await {
                    Ok(()) => return,
                    Err(error) => error,
                },
                Asked::Answered(Err(broken)) => failure::broken(broken, self.dialer.command_timeout),
                Asked::Doubtful(_) => failure::timed_out(self.dialer.command_timeout),
            };
            self.retire(&handle, Fate::Replaced, &error);
            // Nobody waits for it yet.
            drop(self.open(slots, index));
        }
    }

    /// Opens another connection in place of this one, which serves until then.
    async fn replace(&self, slots: &Arc<Slots>, former: &Handle) {
        let Ok(_permit) = self.dialer.admit() else { return };
        let since = Instant::now();
        match self.dialer.dial().await {
            Ok(wire) => {
                let index = former.opened.slot;
                let mut slot = slots.slot(index);
                if matches!(&*slot, Slot::Open(_, open) if Arc::ptr_eq(open, &former.opened)) {
                    *slot = self.opened(slots, index, since, wire);
                }
            }
            Err(error) => {
                self.dialer.failed(&error);
                tracing::debug!(%error, "a redis connection could not be renewed yet");
            }
        }
    }

    fn opened(&self, slots: &Arc<Slots>, slot: usize, since: Instant, wire: Wire) -> Slot {
        let opened = Opened {
            slots: Arc::downgrade(slots),
            slot,
            since: self.dialer.mark(since),
            until: self.upkeep.life().map(|life| since + life),
            useful: AtomicBool::new(false),
        };
        let wire = Arc::new(wire);
        let (dialer, looked) = (Arc::clone(&self.dialer), Arc::downgrade(&wire));
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                if let Some(wire) = looked.upgrade() {
                    dialer.look_over(&wire).await;
                }
            });
        }
        Slot::Open(wire, Arc::new(opened))
    }

    async fn wait_for(
        &self,
        slots: &Slots,
        slot: usize,
        mut done: watch::Receiver<()>,
        patience: Duration,
    ) -> Result<Handle> {
        // The sender is dropped when the attempt is over, however it ended.
        let in_time = timeout(patience, done.changed()).await.is_ok();
        if let Some(handle) = self.open_handle(slots, slot) {
            return Ok(handle);
        }
        Err(if in_time { self.dialer.why() } else { failure::connecting() })
    }

    /// How long to wait for an attempt. It ends before that, unless its runtime stands still.
    fn longest_wait(&self) -> Duration {
        self.dialer.connect_timeout * 2
    }
}

impl Slots {
    fn slot(&self, index: usize) -> MutexGuard<'_, Slot> {
        lock(&self.each[index])
    }
}

impl Drop for Slots {
    fn drop(&mut self) {
        if let Some(keeper) = lock(&self.keeper).take() {
            keeper.abort();
        }
    }
}

/// Looks after connections again and again, as long as they are there.
async fn look_after(link: Weak<Link>, slots: Weak<Slots>, pause: Duration) {
    loop {
        sleep(spread(pause)).await;
        let (Some(link), Some(slots)) = (link.upgrade(), slots.upgrade()) else { return };
        for index in 0..link.width {
            if link.dialer.is_closed() {
                return;
            }
            link.look_at(&slots, index).await;
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.shared.all();
        let open =
            all.iter().map(|slots| (0..self.width).filter(|slot| self.open_handle(slots, *slot).is_some()));
        f.debug_struct("Link")
            .field("handles", &self.width)
            .field("runtimes", &all.len())
            .field("open", &open.flatten().count())
            .finish_non_exhaustive()
    }
}

/// One attempt to open one shared connection. However it ends, even by being dropped with its runtime, it leaves the slot open
/// or empty before those who wait are told (G9).
struct Attempt {
    link: Arc<Link>,
    slots: Arc<Slots>,
    slot: usize,
    since: Instant,
    opened: Option<Wire>,
    _permit: Permit,
    _finished: watch::Sender<()>,
}

impl Attempt {
    async fn run(mut self) {
        match self.link.dialer.dial().await {
            Ok(wire) => {
                self.link.ever_open.store(true, Ordering::Relaxed);
                self.link.start_keeping(&self.slots);
                if self.link.upkeep.pool_min > 0 {
                    self.link.pooled.start_keeping();
                }
                self.opened = Some(wire);
                tracing::debug!(connection = self.slot, "connected to redis");
            }
            Err(error) if self.link.dialer.failed(&error) => {
                tracing::warn!(connection = self.slot, %error, "could not connect to redis");
            }
            Err(error) => {
                tracing::debug!(connection = self.slot, %error, "still could not connect to redis");
            }
        }
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        let mut slot = self.slots.slot(self.slot);
        if !matches!(&*slot, Slot::Opening { since, .. } if *since == self.since) {
            return;
        }
        *slot = match self.opened.take() {
            Some(wire) if !self.link.dialer.is_closed() => {
                self.link.opened(&self.slots, self.slot, self.since, wire)
            }
            _ => Slot::Empty,
        };
    }
}
