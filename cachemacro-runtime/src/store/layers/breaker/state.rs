//! When a store is asked: the breaker's states and what moves it from one to the next. Asks no store itself.
//!
//! ```text
//!            failures in a row, or too many in the window
//!   Closed ──────────────────────────────────────────────▶ Open ◀─────┐
//!     ▲                                                      │ pause  │ the trial failed
//!     │                the trial was answered                ▼        │
//!     └─────────────────────────────────────────────────── HalfOpen ──┘
//! ```
//!
//! What was asked before the breaker moved says nothing of how the store is now: its outcome does not count.

use std::collections::VecDeque;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures_util::future::{Either, select};
use tokio::sync::Notify;

use super::config::BreakerConfig;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::spread;
use crate::ground::sync::modelled::{AtomicBool, AtomicU8, AtomicU64, Mutex, lock};
use crate::observe::breaker::BreakerState;

/// The fewest requests of which the share of failures is taken.
const FEWEST: u64 = 20;
/// In how many steps a window moves on.
const STEPS: u32 = 10;
/// How much later than it was due a trial counts as lost with the thread that was to make it.
const LOST: Duration = Duration::from_secs(5);

/// Who is told when a breaker moves; false where nobody is there any more.
type Told = Arc<dyn Fn(BreakerState) -> bool + Send + Sync>;

/// The breaker of a store, from [`Store::breaker`](crate::store::Store::breaker).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::BreakerState;
/// use cachemacro::store::{BreakerConfig, BreakerStore, Store, memory::MemoryStore};
/// use std::sync::Arc;
///
/// let store = BreakerStore::new(Arc::new(MemoryStore::new()), BreakerConfig::new())?;
/// let breaker = store.breaker().expect("it has one");
/// assert_eq!((breaker.state(), breaker.trips()), (BreakerState::Closed, 0));
/// # Ok::<(), cachemacro::Error>(())
/// ```
pub struct Breaker {
    config: BreakerConfig,
    state: AtomicU8,
    /// How often it moved into or out of `Closed`.
    moves: AtomicU64,
    trips: AtomicU64,
    /// Requests that were answered in time.
    answered: AtomicU64,
    /// When the latest of them was asked.
    latest: AtomicU64,
    began: Instant,
    trouble: Mutex<Trouble>,
    told: Mutex<Vec<Told>>,
    moved: Notify,
    /// Whether the store was closed by its owner.
    over: AtomicBool,
}

/// What failed.
#[derive(Default)]
struct Trouble {
    /// When those requests were asked that failed since an answer.
    in_a_row: Vec<u64>,
    steps: VecDeque<Step>,
    pause: Duration,
    /// When it closed last.
    closed: Option<Instant>,
    /// When the next trial ends at the latest.
    due: Option<Instant>,
    why: Option<Error>,
}

/// A part of the window that has failures.
struct Step {
    since: u64,
    /// How many had been answered by then.
    answered: u64,
    failed: u64,
}

/// A request under way.
pub(super) struct Asked<'a> {
    breaker: &'a Breaker,
    at: u64,
    move_: u64,
    /// Whether an answer may come late.
    timed: bool,
    over: bool,
}

/// Leave to make trials, the next one after a pause.
pub(super) struct Trial {
    pub(super) pause: Duration,
    /// The move that it belongs to: another one ends it.
    move_: u64,
}

impl Breaker {
    pub(super) fn new(config: BreakerConfig) -> Self {
        Self {
            config,
            state: AtomicU8::new(0),
            moves: AtomicU64::new(0),
            trips: AtomicU64::new(0),
            answered: AtomicU64::new(0),
            latest: AtomicU64::new(0),
            began: Instant::now(),
            trouble: Mutex::new(Trouble::default()),
            told: Mutex::new(Vec::new()),
            moved: Notify::new(),
            over: AtomicBool::new(false),
        }
    }

    /// Its state now.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use cachemacro::store::{BreakerConfig, BreakerStore, Store, memory::MemoryStore};
    /// # let store = std::sync::Arc::new(MemoryStore::new());
    /// # let store = BreakerStore::new(store, BreakerConfig::new())?;
    /// let state = store.breaker().map(|breaker| breaker.state().as_str());
    /// assert_eq!(state, Some("closed"));
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn state(&self) -> BreakerState {
        match self.state.load(Ordering::SeqCst) {
            0 => BreakerState::Closed,
            1 => BreakerState::Open,
            _ => BreakerState::HalfOpen,
        }
    }

    /// How often it opened so far.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use cachemacro::store::{BreakerConfig, BreakerStore, Store, memory::MemoryStore};
    /// # let store = std::sync::Arc::new(MemoryStore::new());
    /// # let store = BreakerStore::new(store, BreakerConfig::new())?;
    /// assert_eq!(store.breaker().map(|breaker| breaker.trips()), Some(0));
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub fn trips(&self) -> u64 {
        self.trips.load(Ordering::Relaxed)
    }

    /// Has somebody told of each state that it moves to, until that gives false.
    pub(crate) fn tell(&self, told: impl Fn(BreakerState) -> bool + Send + Sync + 'static) {
        lock(&self.told).push(Arc::new(told));
    }

    /// Begins a request where the store is asked. A `timed` one is a failure where its answer comes late.
    pub(super) fn ask(&self, timed: bool) -> Result<Asked<'_>> {
        // Read before the state: a request that is let through by a former state does not count.
        let move_ = self.moves.load(Ordering::SeqCst);
        if self.state.load(Ordering::SeqCst) != 0 {
            return Err(self.refusal());
        }
        Ok(Asked { breaker: self, at: self.nanos(Instant::now()), move_, timed, over: false })
    }

    /// A lost trial is made anew: the one who was to make it may have ended with its runtime, or be in another process
    /// after a fork.
    pub(super) fn lost_trial(&self) -> Option<Trial> {
        let mut trouble = lock(&self.trouble);
        let now = Instant::now();
        if self.state() == BreakerState::Closed || trouble.due.is_none_or(|due| now < due + LOST) {
            return None;
        }
        trouble.due = Some(now);
        let move_ = self.moves.fetch_add(1, Ordering::SeqCst) + 1;
        Some(Trial { pause: Duration::ZERO, move_ })
    }

    /// Waits until it opens, or for this.
    pub(super) async fn unless_opened(&self, wait: impl Future<Output = ()>) {
        let mut moved = pin!(self.moved.notified());
        moved.as_mut().enable();
        if self.state() == BreakerState::Closed {
            match select(moved, pin!(wait)).await {
                Either::Left(_) | Either::Right(_) => {}
            }
        }
    }

    /// The trial begins: nothing else is asked meanwhile. False where it is not to be made any more.
    pub(super) fn half_open(&self, trial: &Trial) -> bool {
        let begun = self.move_by(trial, 2, |trouble| {
            trouble.due = Some(Instant::now() + self.longest_trial());
        });
        if begun {
            self.told(BreakerState::HalfOpen);
        }
        begun
    }

    /// The trial failed: the next one is made after its pause. False where it is not to be made any more.
    pub(super) fn reopen(&self, trial: &mut Trial, why: Error) -> bool {
        let move_ = trial.move_;
        let reopened = self.move_by(&Trial { pause: Duration::ZERO, move_ }, 1, |trouble| {
            trouble.why = Some(why);
            trouble.pause = (trouble.pause * 2).min(self.config.longest_pause);
            trial.pause = trouble.next_pause();
        });
        if reopened {
            self.told(BreakerState::Open);
        }
        reopened
    }

    /// The trial was answered: the store is asked again.
    pub(super) fn close(&self, trial: &Trial) {
        let closed = self.move_by(trial, 0, |trouble| {
            (trouble.closed, trouble.due) = (Some(Instant::now()), None);
            self.moves.fetch_add(1, Ordering::SeqCst);
        });
        if closed {
            tracing::info!("the store answers again: the breaker is closed");
            self.told(BreakerState::Closed);
        }
    }

    /// The store is closed by its owner: no further trial is made.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
    }

    /// Moves on to this state, unless another move ended the trial.
    fn move_by(&self, trial: &Trial, to: u8, how: impl FnOnce(&mut Trouble)) -> bool {
        let mut trouble = lock(&self.trouble);
        if self.over.load(Ordering::SeqCst) || self.moves.load(Ordering::SeqCst) != trial.move_ {
            return false;
        }
        how(&mut trouble);
        self.state.store(to, Ordering::SeqCst);
        true
    }

    /// The trial is overdue for long.
    #[cfg(test)]
    pub(super) fn overdue(&self) {
        lock(&self.trouble).due = Instant::now().checked_sub(LOST * 2);
    }

    /// The longest that a trial may take.
    pub(super) fn longest_trial(&self) -> Duration {
        self.config.slow.unwrap_or(Duration::from_secs(1))
    }

    /// What those are told who may not ask.
    fn refusal(&self) -> Error {
        let error = Error::new(ErrorKind::Connect, "the store is not asked, because its breaker is open");
        match &lock(&self.trouble).why {
            Some(why) => error.with_source(why.clone()),
            None => error,
        }
    }

    /// A request failed. Gives the trial that is to be made where that opened the breaker.
    fn failed(&self, asked: &Asked<'_>, why: &Error) -> Option<Trial> {
        let mut trouble = lock(&self.trouble);
        if self.moves.load(Ordering::SeqCst) != asked.move_ || self.state.load(Ordering::SeqCst) != 0 {
            return None;
        }
        let latest = self.latest.load(Ordering::Relaxed);
        trouble.in_a_row.push(asked.at);
        trouble.in_a_row.retain(|at| *at > latest);
        let now = Instant::now();
        let (nanos, answered) = (self.nanos(now), self.answered.load(Ordering::Relaxed));
        let (failed, of) = trouble.count(nanos, answered, self.config.window);
        let too_many = of >= FEWEST && failed * 100 >= u64::from(self.config.rate) * of;
        if trouble.in_a_row.len() < self.config.failures as usize && !too_many {
            return None;
        }
        let again = trouble.closed.is_some_and(|closed| now.duration_since(closed) < self.config.window);
        trouble.pause =
            if again { (trouble.pause * 2).min(self.config.longest_pause) } else { self.config.pause };
        trouble.in_a_row.clear();
        trouble.steps.clear();
        trouble.why = Some(why.clone());
        let trial =
            Trial { pause: trouble.next_pause(), move_: self.moves.fetch_add(1, Ordering::SeqCst) + 1 };
        self.trips.fetch_add(1, Ordering::Relaxed);
        self.state.store(1, Ordering::SeqCst);
        drop(trouble);
        tracing::warn!(error = %why, "the store failed too often: the breaker is open, and functions run without the cache");
        self.moved.notify_waiters();
        self.told(BreakerState::Open);
        Some(trial)
    }

    /// Called under no lock.
    fn told(&self, state: BreakerState) {
        let all = lock(&self.told).clone();
        let gone: Vec<_> = all.iter().filter(|told| !told(state)).collect();
        if !gone.is_empty() {
            lock(&self.told).retain(|told| !gone.iter().any(|gone| Arc::ptr_eq(gone, told)));
        }
    }

    /// Never zero, which is before everything.
    fn nanos(&self, at: Instant) -> u64 {
        let nanos = at.saturating_duration_since(self.began).as_nanos();
        u64::try_from(nanos).unwrap_or(u64::MAX).saturating_add(1)
    }
}

impl Trouble {
    /// One more failure: how many requests of the window failed, of how many.
    fn count(&mut self, now: u64, answered: u64, window: Duration) -> (u64, u64) {
        let window = u64::try_from(window.as_nanos()).unwrap_or(u64::MAX);
        while self.steps.front().is_some_and(|step| now.saturating_sub(step.since) > window) {
            self.steps.pop_front();
        }
        match self.steps.back_mut() {
            Some(step) if now.saturating_sub(step.since) < window / u64::from(STEPS) => step.failed += 1,
            _ => self.steps.push_back(Step { since: now, answered, failed: 1 }),
        }
        let failed = self.steps.iter().map(|step| step.failed).sum();
        let before = self.steps.front().map_or(answered, |step| step.answered);
        (failed, failed + answered.saturating_sub(before))
    }

    /// Between half and all of the pause, so that a fleet does not come back in step.
    fn next_pause(&mut self) -> Duration {
        let pause = spread(self.pause);
        self.due = Some(Instant::now() + pause);
        pause
    }
}

impl Asked<'_> {
    /// Takes note of what became of it. Gives the trial that is to be made where it opened the breaker.
    pub(super) fn ended<T>(mut self, outcome: &Result<T>) -> Option<Trial> {
        self.over = true;
        match outcome {
            Err(error) if has_failed(error.kind()) => self.breaker.failed(&self, error),
            _ if self.is_late() => self.breaker.failed(&self, &late()),
            _ => {
                self.breaker.answered.fetch_add(1, Ordering::Relaxed);
                self.breaker.latest.fetch_max(self.at, Ordering::Relaxed);
                None
            }
        }
    }

    /// Nobody waits for it any more. Where its answer is late already, it counts as failed: for this reason, where the store was not
    /// reached since it was asked.
    pub(super) fn given_up(&mut self, why: impl FnOnce(Instant) -> Option<Error>) -> Option<Trial> {
        if std::mem::replace(&mut self.over, true) || !self.is_late() {
            return None;
        }
        let asked = self.breaker.began + Duration::from_nanos(self.at - 1);
        self.breaker.failed(self, &why(asked).unwrap_or_else(late))
    }

    fn is_late(&self) -> bool {
        let Some(slow) = self.breaker.config.slow.filter(|_| self.timed) else { return false };
        u128::from(self.breaker.nanos(Instant::now()).saturating_sub(self.at)) > slow.as_nanos()
    }
}

/// Whether an error says that the store cannot be used; one that refuses is there.
const fn has_failed(kind: ErrorKind) -> bool {
    matches!(kind, ErrorKind::Connect | ErrorKind::Timeout | ErrorKind::Io)
}

fn late() -> Error {
    Error::new(ErrorKind::Timeout, "the store's answers are slow")
}

impl fmt::Debug for Breaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Breaker")
            .field("state", &self.state())
            .field("trips", &self.trips())
            .finish_non_exhaustive()
    }
}
