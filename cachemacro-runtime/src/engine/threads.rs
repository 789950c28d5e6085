//! Loads that threads share: one of them runs the function, the others wait for what it gives.
//!
//! A thread that would wait for itself, be it through others, is told so. What happens where a tag or key is evicted meanwhile is not
//! decided here: a load that an evict has overtaken is joined by nobody (G1), and not kept.

use std::any::TypeId;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

use crate::engine::flight::Landed;
use crate::ground::sync::lock;
use crate::observe::site::SiteId;
use crate::store::local::{Fetching, Name, Pending};

/// Which load: of one key, by one function, of one type, under the same tags.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Of {
    pub(crate) name: Name,
    pub(crate) owner: SiteId,
    pub(crate) value: TypeId,
    /// Sorted.
    pub(crate) tags: Vec<u64>,
}

/// The loads that are under way.
#[derive(Default)]
pub(crate) struct Threads(Mutex<HashMap<Of, Arc<Flight>>>);

impl fmt::Debug for Threads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} loads", lock(&self.0).len())
    }
}

/// One load that is under way.
pub(crate) struct Flight {
    leader: ThreadId,
    fetching: Arc<Fetching>,
    state: Mutex<State>,
    told: Condvar,
}

struct State {
    ended: Option<Ended>,
    followers: usize,
    /// How long the next follower waits before it loads beside the others, and from when.
    patience: Option<Duration>,
    since: Instant,
}

/// What became of a load.
#[derive(Clone)]
pub(crate) enum Ended {
    /// Those who waited have this.
    Shared(Landed),
    /// Nothing that can be shared: whoever waited loads for itself.
    Apart,
    /// It panicked.
    Lost,
}

/// What a caller of a function is to do.
pub(crate) enum Seat<'a> {
    Lead(Lead<'a>),
    Follow(Follow),
    /// This thread is loading it already.
    Own,
}

/// The right to load; another caller takes over where it is dropped.
pub(crate) struct Lead<'a> {
    threads: &'a Threads,
    of: Of,
    flight: Arc<Flight>,
    pub(crate) pending: Pending,
    closed: bool,
}

/// A place among those who wait.
pub(crate) struct Follow(Arc<Flight>);

/// How a wait ended.
pub(crate) enum Waited {
    Told(Ended),
    /// The wait was long enough: this caller loads beside the leader, and tells the others if it is first.
    Over,
    /// The leader waits for this thread.
    Circle,
}

/// Which flight each waiting thread waits for.
static WAITING: Mutex<Option<HashMap<ThreadId, Arc<Flight>>>> = Mutex::new(None);

impl Threads {
    /// A seat in the flight of this load; `begin` is called where there is none to join.
    pub(crate) fn join(&self, of: Of, begin: impl FnOnce() -> Pending) -> Seat<'_> {
        let me = std::thread::current().id();
        let mut flights = lock(&self.0);
        if let Some(flight) = flights.get(&of) {
            if flight.leader == me {
                return Seat::Own;
            }
            // G1: what was evicted since it began is not what this caller is to have.
            if flight.fetching.is_sound() {
                lock(&flight.state).followers += 1;
                return Seat::Follow(Follow(Arc::clone(flight)));
            }
        }
        let pending = begin();
        let flight = Arc::new(Flight {
            leader: me,
            fetching: Arc::clone(pending.fetching()),
            state: Mutex::new(State { ended: None, followers: 0, patience: None, since: Instant::now() }),
            told: Condvar::new(),
        });
        flights.insert(of.clone(), Arc::clone(&flight));
        Seat::Lead(Lead { threads: self, of, flight, pending, closed: false })
    }
}

impl Lead<'_> {
    /// Lets nobody join any more; tells whether someone did.
    pub(crate) fn close(&mut self) -> bool {
        self.closed = true;
        let mut flights = lock(&self.threads.0);
        if flights.get(&self.of).is_some_and(|flight| Arc::ptr_eq(flight, &self.flight)) {
            flights.remove(&self.of);
        }
        drop(flights);
        lock(&self.flight.state).followers > 0
    }

    /// Tells the followers what came of it.
    pub(crate) fn land(self, ended: Ended) {
        self.flight.land(ended);
    }
}

impl Drop for Lead<'_> {
    fn drop(&mut self) {
        if !self.closed {
            self.close();
        }
        // G9: nobody waits for a load that has ended.
        self.flight.land(Ended::Lost);
    }
}

impl Flight {
    /// The first to land tells the others.
    fn land(&self, ended: Ended) {
        let mut state = lock(&self.state);
        if state.ended.is_none() {
            state.ended = Some(ended);
            self.told.notify_all();
        }
    }

    /// Whether its leader waits for this thread, be it through others.
    fn waits_for(&self, me: ThreadId, waiting: &HashMap<ThreadId, Arc<Self>>) -> bool {
        let mut leader = self.leader;
        // Circles of others do not arise, as each is refused before it is closed.
        for _ in 0..=waiting.len() {
            if leader == me {
                return true;
            }
            match waiting.get(&leader) {
                Some(flight) => leader = flight.leader,
                None => return false,
            }
        }
        false
    }
}

/// This thread is among those who wait, as long as this lives.
struct Waiting(ThreadId);

impl Waiting {
    /// `None` where the flight's leader waits for this thread.
    fn begin(flight: &Arc<Flight>) -> Option<Self> {
        let me = std::thread::current().id();
        // Both who would close a circle come here: the second one sees the first.
        let mut waiting = lock(&WAITING);
        let waiting = waiting.get_or_insert_default();
        if flight.waits_for(me, waiting) {
            return None;
        }
        waiting.insert(me, Arc::clone(flight));
        Some(Self(me))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(waiting) = lock(&WAITING).as_mut() {
            waiting.remove(&self.0);
        }
    }
}

impl Follow {
    /// Waits until the load has landed, or until it is this caller's turn to load beside it: one does after `patience`, the
    /// next after twice as long, and so on.
    pub(crate) fn wait(&self, patience: Duration) -> Waited {
        let flight = &self.0;
        let Some(_waiting) = Waiting::begin(flight) else { return Waited::Circle };
        let mut state = lock(&flight.state);
        loop {
            if let Some(ended) = &state.ended {
                return Waited::Told(ended.clone());
            }
            let patience = *state.patience.get_or_insert(patience);
            let left = patience.saturating_sub(state.since.elapsed());
            if left.is_zero() {
                state.patience = Some(patience.saturating_mul(2));
                state.since = Instant::now();
                return Waited::Over;
            }
            let woken = flight.told.wait_timeout(state, left);
            state = woken.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Tells the others what this caller loaded, unless someone was first.
    pub(crate) fn land(&self, ended: Ended) {
        self.0.land(ended);
    }
}
