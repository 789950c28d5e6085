//! Callers of one key in this process: one leads, the rest wait for it.
//!
//! A flight counts ticks: one before each read that its leader sends, one before the load begins. A follower
//! remembers the tick at which it joined, and that decides what it may take:
//!
//! * (a) what was loaded, whatever became of the fill, if it joined before the load began;
//! * (b) what a read found, if it joined before that read was sent;
//! * (c) what was filled, if it joined before the flight closed, the fill was accepted and its stamps held.
//!
//! Whoever is left over forms the next flight together. Knows no store, no lease, no types of values.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::oneshot;

use crate::outcome::Shared;

const SHARDS: usize = 16;

/// How long a follower whose wait is over leaves to who is telling it or handing it on at that moment.
const MOVING: Duration = Duration::from_millis(1);

/// What callers of one flight share.
#[derive(Clone)]
pub(crate) enum Landed {
    /// A value, to be downcast.
    Value(Shared),
    /// `None`.
    None,
    /// An error that can be cloned, to be downcast.
    Err(Shared),
}

/// What a follower is told.
pub(crate) enum Verdict {
    /// Take this.
    Share(Landed),
    /// Lead the next flight.
    Lead(Lead),
    /// Load alone, beside the others: the leader's failure cannot be shared.
    Alone,
}

/// All flights of a cache.
pub(crate) struct Flights {
    shards: [Mutex<Shard>; SHARDS],
    hasher: RandomState,
}

/// Open flights by key: one for each set of tags that callers name, as a rule one.
#[derive(Default)]
struct Shard(HashMap<Arc<str>, Vec<Arc<Flight>>>);

struct Flight {
    key: Arc<str>,
    tags: Vec<u64>,
    late_tags: bool,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    tick: u32,
    load_began: bool,
    waiters: Vec<Waiter>,
}

struct Waiter {
    joined: u32,
    tell: oneshot::Sender<Verdict>,
    place: Arc<Place>,
}

/// In which flight a follower waits, which changes where it is handed on. Also what tells it from the others.
struct Place(Mutex<Weak<Flight>>);

/// A place in a flight.
pub(crate) enum Seat {
    Lead(Lead),
    Follow(Follow),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // No user code runs under these locks, so a poisoned one holds a consistent state.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("open", &self.len()).finish()
    }
}

impl Flights {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { shards: std::array::from_fn(|_| Mutex::default()), hasher: RandomState::new() })
    }

    /// How many flights are open.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).0.values().map(Vec::len).sum::<usize>()).sum()
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        lock(&self.shards[at])
    }

    /// Joins the open flight of `key`, or opens one. Who names other tags is in another flight: what is read or filled
    /// under these says nothing of those, and their evicts do not detach it.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &str,
        tags: impl Iterator<Item = u64>,
        late_tags: bool,
    ) -> Seat {
        let mut tags: Vec<u64> = tags.collect();
        tags.sort_unstable();
        let mut shard = self.shard(key);
        if let Some(flight) = shard.find(key, &tags, late_tags) {
            let follow = Flight::enter(flight, self);
            return Seat::Follow(follow);
        }
        let flight = Arc::new(Flight { key: key.into(), tags, late_tags, state: Mutex::default() });
        shard.open(&flight);
        Seat::Lead(Lead::new(self.clone(), flight))
    }

    /// Callers from now on do not join any flight of this key.
    pub(crate) fn detach(&self, key: &str) {
        self.shard(key).0.remove(key);
    }

    /// Callers from now on do not join any flight for which `doomed` holds.
    fn detach_where(&self, doomed: impl Fn(&Flight) -> bool) {
        for shard in &self.shards {
            lock(shard).0.retain(|_, flights| {
                flights.retain(|flight| !doomed(flight));
                !flights.is_empty()
            });
        }
    }

    /// Detaches the flights that carry one of these tags, or may turn out to.
    pub(crate) fn detach_tags(&self, tags: &[u64]) {
        self.detach_where(|flight| flight.late_tags || flight.tags.iter().any(|tag| tags.contains(tag)));
    }

    /// Detaches the flights of keys that begin with `prefix`.
    pub(crate) fn detach_prefix(&self, prefix: &str) {
        self.detach_where(|flight| flight.key.starts_with(prefix));
    }

    fn remove(&self, flight: &Arc<Flight>) {
        let mut shard = self.shard(&flight.key);
        if let Some(flights) = shard.0.get_mut(&flight.key) {
            flights.retain(|open| !Arc::ptr_eq(open, flight));
            if flights.is_empty() {
                shard.0.remove(&flight.key);
            }
        }
    }

    /// Lets those left over form a flight together, or join one whose load has not begun.
    fn reseat(self: &Arc<Self>, from: &Flight, waiters: Vec<Waiter>) {
        if waiters.is_empty() {
            return;
        }
        let mut shard = self.shard(&from.key);
        if let Some(open) = shard.find(&from.key, &from.tags, from.late_tags) {
            let mut state = lock(&open.state);
            if !state.load_began {
                let joined = state.tick;
                open.seat(&mut state, waiters, joined);
                return;
            }
        }
        let next = from.successor(waiters);
        shard.open(&next);
        drop(shard);
        Lead::new(self.clone(), next).promote();
    }
}

impl Shard {
    fn find(&self, key: &str, tags: &[u64], late_tags: bool) -> Option<&Arc<Flight>> {
        self.0.get(key)?.iter().find(|flight| flight.tags == tags && flight.late_tags == late_tags)
    }

    /// Callers from now on join this flight, and no other one under the same tags.
    fn open(&mut self, flight: &Arc<Flight>) {
        let flights = self.0.entry(flight.key.clone()).or_default();
        flights.retain(|open| open.tags != flight.tags || open.late_tags != flight.late_tags);
        flights.push(flight.clone());
    }
}

impl Flight {
    fn enter(self: &Arc<Self>, flights: &Arc<Flights>) -> Follow {
        let (tell, told) = oneshot::channel();
        let place = Arc::new(Place(Mutex::new(Arc::downgrade(self))));
        let mut state = lock(&self.state);
        let joined = state.tick;
        state.waiters.push(Waiter { joined, tell, place: place.clone() });
        Follow { told, place, flights: flights.clone() }
    }

    /// Takes in these waiters, who count as having joined at this tick.
    fn seat(self: &Arc<Self>, state: &mut State, waiters: Vec<Waiter>, joined: u32) {
        for waiter in waiters {
            *lock(&waiter.place.0) = Arc::downgrade(self);
            state.waiters.push(Waiter { joined, ..waiter });
        }
    }

    /// The next flight of the same key, with these waiters in it from the start.
    fn successor(&self, waiters: Vec<Waiter>) -> Arc<Flight> {
        let next = Arc::new(Flight {
            key: self.key.clone(),
            tags: self.tags.clone(),
            late_tags: self.late_tags,
            state: Mutex::default(),
        });
        next.seat(&mut lock(&next.state), waiters, 0);
        next
    }
}

/// The one caller that looks, loads and fills for all. Dropped before it landed, it hands on.
pub(crate) struct Lead {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    read_tick: u32,
    load_tick: u32,
    landed: bool,
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").finish_non_exhaustive()
    }
}

impl Lead {
    fn new(flights: Arc<Flights>, flight: Arc<Flight>) -> Self {
        Self { flights, flight, read_tick: 0, load_tick: 0, landed: false }
    }

    /// A read is about to be sent: who joined until now may take what it finds.
    pub(crate) fn reading(&mut self) {
        self.read_tick = self.tick();
    }

    /// The load is about to begin: who joined until now may take what it returns.
    pub(crate) fn loading(&mut self) {
        self.load_tick = self.tick();
        lock(&self.flight.state).load_began = true;
    }

    fn tick(&self) -> u32 {
        let mut state = lock(&self.flight.state);
        state.tick += 1;
        state.tick
    }

    /// From now on nobody joins: the fill is about to be sent.
    pub(crate) fn close(&self) {
        self.flights.remove(&self.flight);
    }

    /// Whether anyone waits.
    pub(crate) fn has_followers(&self) -> bool {
        !lock(&self.flight.state).waiters.is_empty()
    }

    /// Gives what a read found to those under (b).
    pub(crate) fn share_read(&mut self, found: &Landed) {
        self.share(found, self.read_tick);
    }

    /// Gives what was loaded to those under (a).
    pub(crate) fn share_load(&mut self, loaded: &Landed) {
        self.share(loaded, self.load_tick);
    }

    /// Gives what was filled, its stamps having held after the flight had closed, to those under (c): all.
    pub(crate) fn share_fill(&mut self, filled: &Landed) {
        self.share(filled, u32::MAX);
    }

    fn share(&mut self, landed: &Landed, before: u32) {
        let served = {
            let mut state = lock(&self.flight.state);
            let (served, left): (Vec<_>, Vec<_>) =
                std::mem::take(&mut state.waiters).into_iter().partition(|waiter| waiter.joined < before);
            state.waiters = left;
            served
        };
        for waiter in served {
            // A follower that left meanwhile needs nothing.
            let _ = waiter.tell.send(Verdict::Share(landed.clone()));
        }
    }

    /// The flight is over: who still waits is in the next one.
    pub(crate) fn hand_on(mut self) {
        let waiters = self.end();
        self.flights.reseat(&self.flight, waiters);
    }

    /// A failure that cannot be shared: all load side by side.
    pub(crate) fn scatter(mut self) {
        self.end_scattered();
    }

    fn end_scattered(&mut self) {
        for waiter in self.end() {
            let _ = waiter.tell.send(Verdict::Alone);
        }
    }

    fn end(&mut self) -> Vec<Waiter> {
        self.landed = true;
        self.close();
        std::mem::take(&mut lock(&self.flight.state).waiters)
    }

    /// Makes the first follower that is still there the leader.
    fn promote(self) {
        let mut lead = self;
        loop {
            let first = {
                let mut state = lock(&lead.flight.state);
                if state.waiters.is_empty() { None } else { Some(state.waiters.remove(0)) }
            };
            let Some(first) = first else {
                // Nobody is left. Someone may join until the flight is closed: dropping hands on to them.
                return;
            };
            match first.tell.send(Verdict::Lead(lead)) {
                Ok(()) => return,
                Err(Verdict::Lead(back)) => lead = back,
                Err(Verdict::Share(_) | Verdict::Alone) => unreachable!("a lead was sent"),
            }
        }
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        if std::thread::panicking() {
            // The next one would likely panic too: one after the other would take as long as there are callers.
            self.end_scattered();
        } else {
            let waiters = self.end();
            self.flights.reseat(&self.flight, waiters);
        }
    }
}

/// A caller that waits for the leader.
pub(crate) struct Follow {
    told: oneshot::Receiver<Verdict>,
    place: Arc<Place>,
    flights: Arc<Flights>,
}

impl fmt::Debug for Follow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Follow").finish_non_exhaustive()
    }
}

/// How a follower's wait ended.
pub(crate) enum Waited {
    /// The leader told.
    Told(Verdict),
    /// The wait was over first: this caller leads all that waited with it, and loads without storing.
    Over(Lead),
}

impl Follow {
    /// Waits for the leader, whoever that is by then, at most `wait`.
    pub(crate) async fn wait(mut self, wait: Duration) -> Waited {
        let mut patience = wait;
        loop {
            if let Ok(told) = tokio::time::timeout(patience, &mut self.told).await {
                return Waited::Told(told.unwrap_or(Verdict::Alone));
            }
            if let Some(lead) = self.take_over() {
                return Waited::Over(lead);
            }
            // This very moment the verdict is being sent, or the waiters are on their way to the next flight.
            patience = MOVING;
        }
    }

    /// Leaves a leader that takes too long, together with all who wait for it.
    fn take_over(&self) -> Option<Lead> {
        let flight = lock(&self.place.0).upgrade()?;
        let mut waiters = {
            let mut state = lock(&flight.state);
            state.waiters.iter().position(|waiter| Arc::ptr_eq(&waiter.place, &self.place))?;
            std::mem::take(&mut state.waiters)
        };
        waiters.retain(|waiter| !Arc::ptr_eq(&waiter.place, &self.place));
        let next = flight.successor(waiters);
        let mut shard = self.flights.shard(&flight.key);
        let open = shard.find(&flight.key, &flight.tags, flight.late_tags);
        if open.is_none_or(|open| Arc::ptr_eq(open, &flight)) {
            shard.open(&next);
        }
        drop(shard);
        Some(Lead::new(self.flights.clone(), next))
    }
}

#[cfg(test)]
mod tests;
