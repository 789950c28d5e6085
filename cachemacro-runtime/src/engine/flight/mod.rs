//! Callers of one key in this process: one leads, the rest wait for it.
//!
//! A flight counts ticks: one before each read that its leader sends, one before the load begins. A follower
//! remembers the tick at which it joined, and that decides what it may take:
//!
//! * (a) what was loaded, whatever became of the fill, if it joined before the load began;
//! * (b) what a read found, if it joined before that read was sent and what was found is not too old for it;
//! * (c) what was filled, if it joined before the flight closed, the fill was accepted and its stamps held.
//!
//! These rules are what G1 needs of a flight: nobody is given what was loaded before it asked, unless the store vouches for
//! it. Whoever is left over forms the next flight together (G5). Patience is the flight's, not its callers': when it ends, one
//! follower takes over and loads beside the leader, and the others have twice the patience, with both. So the loads at
//! once grow with the logarithm of how long a load takes, and whoever joins an overdue flight takes over at once (G9).
//! A flight also knows which versions of the tags its load captured. A caller whose read was sent later and shows others does
//! not join it: nobody will be able to read what it stores, and no rule would give that caller what it loads. It opens the next
//! one. Knows no store, no lease, no types of values.

use std::collections::HashMap;
use std::fmt;
use std::hash::BuildHasher as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock, Weak};
use std::time::Duration;

use foldhash::fast::RandomState;
use tokio::sync::{Notify, oneshot};
use tokio::time::{Instant, sleep_until};
use tracing::Span;

use crate::format::ids::Version;
use crate::ground::clock::NEVER;
use crate::ground::panics::caught;
use crate::ground::sync::modelled::{Mutex, MutexGuard, lock, step};
use crate::policy::gather;
use crate::policy::gathered::Gathered;
use crate::policy::outcome::{Outcome, Shared};
use crate::store::Few;

/// loom explores the orders in which threads take locks: of one shard, so that a key is always in the same.
const SHARDS: usize = if cfg!(all(test, loom)) { 1 } else { 16 };

/// What a leader that has waited for other processes has left, at most, to begin its load.
const BEGINNING: Duration = Duration::from_secs(1);

/// How long the list of waiters may be before those that were dropped are removed from it for the first time.
const FEW: usize = 16;

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

impl Landed {
    /// What a load that did not fail shares, no `loaded` being that there is no value; `None` where cloning it panics.
    pub(crate) fn of<V: Clone + Send + Sync + 'static>(loaded: Option<&V>) -> Option<Self> {
        match loaded {
            None => Some(Self::None),
            Some(value) => caught(|| Self::Value(Arc::new(value.clone()))),
        }
    }

    /// As a function with this outcome returns it; `None` where it cannot, or where cloning panics.
    pub(crate) fn as_returned<R, O: Outcome<R>>(&self, outcome: O) -> Option<R>
    where
        O::Value: Clone + 'static,
    {
        match self {
            Self::Value(shared) => {
                let value = shared.downcast_ref::<O::Value>()?;
                caught(|| value.clone()).map(|value| outcome.wrap(value))
            }
            Self::None => outcome.none(),
            Self::Err(shared) => outcome.unshare_err(shared),
        }
    }
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
    /// How many leaders have captured versions so far: what came before a read and what after it.
    captures: AtomicU64,
}

/// What a read showed of the versions of an entry's tags, and when it was sent.
#[derive(Debug, Clone)]
pub(crate) struct AsOf {
    /// How many leaders had captured versions before.
    captures: u64,
    /// In the order of the tags.
    versions: Few<Option<Version>>,
}

impl AsOf {
    pub(crate) const fn new(captures: u64, versions: Few<Option<Version>>) -> Self {
        Self { captures, versions }
    }

    /// The versions, in the order of the tags.
    pub(crate) fn versions(&self) -> Few<Option<Version>> {
        self.versions.clone()
    }
}

/// Open flights by key: one for each set of tags that callers name, as a rule one.
#[derive(Default)]
struct Shard(HashMap<Arc<str>, Vec<Arc<Flight>>, RandomState>);

struct Flight {
    key: Arc<str>,
    tags: Vec<u64>,
    late_tags: bool,
    /// Its followers are left over from a leader that panicked, or whose error could not be shared.
    after_failure: bool,
    state: Mutex<State>,
}

struct State {
    tick: u32,
    load_began: bool,
    /// The ticks at which the loads under way began: the leader's and those of who took over.
    loads: Vec<u32>,
    /// When the flight began, was taken over, or the last load began: patience counts from there.
    since: Instant,
    /// How often it was taken over.
    takeovers: u32,
    waiters: Vec<Waiter>,
    /// Once the list is this long, waiters that were dropped are removed from it; then the limit doubles.
    sweep_at: usize,
    captured: Option<Captured>,
}

/// The versions that a load captured.
struct Captured {
    /// Whose number it is among all captures.
    number: u64,
    /// By tag.
    versions: Vec<(u64, Version)>,
}

struct Waiter {
    joined: u32,
    /// Takes no value that was stored longer ago.
    max_age: Option<Duration>,
    tell: oneshot::Sender<Verdict>,
    place: Arc<Place>,
}

/// Where a follower waits. Also what tells it from the others.
struct Place {
    flight: Mutex<Weak<Flight>>,
    /// It waits in another flight now.
    moved: Notify,
    /// The span of the load whose value it is told, where that has one.
    load: OnceLock<Span>,
    /// What that was made of which it is given, where the load was recorded.
    record: OnceLock<Arc<Gathered>>,
}

/// A place in a flight.
pub(crate) enum Seat {
    Lead(Lead),
    Follow(Follow),
}

impl fmt::Debug for Flights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flights").field("open", &self.len()).finish()
    }
}

impl Flights {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            shards: std::array::from_fn(|_| Mutex::default()),
            hasher: RandomState::default(),
            captures: AtomicU64::new(0),
        })
    }

    /// How many flights are open.
    pub(crate) fn len(&self) -> usize {
        self.shards.iter().map(|shard| lock(shard).0.values().map(Vec::len).sum::<usize>()).sum()
    }

    /// How many leaders have captured versions: to be asked before a read is sent.
    pub(crate) fn captures(&self) -> u64 {
        self.captures.load(Ordering::SeqCst)
    }

    fn shard(&self, key: &str) -> MutexGuard<'_, Shard> {
        let at = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or(0);
        lock(&self.shards[at])
    }

    /// Joins the open flight of `key`, or opens one. Who names other tags is in another flight: what is read or filled
    /// under these says nothing of those, and their evicts do not detach it. A follower takes nothing that was stored
    /// longer than `max_age` ago. Nor does it follow a load whose captured versions its own read showed to be outdated.
    pub(crate) fn join(
        self: &Arc<Self>,
        key: &str,
        named: impl Iterator<Item = u64> + Clone,
        late_tags: bool,
        max_age: Option<Duration>,
        read: Option<&AsOf>,
    ) -> Seat {
        let mut tags: Vec<u64> = named.clone().collect();
        tags.sort_unstable();
        let mut shard = self.shard(key);
        if let Some(flight) = shard.find(key, &tags, late_tags)
            && !read.is_some_and(|read| lock(&flight.state).is_outdated(named, read))
        {
            let follow = Flight::enter(flight, self, max_age);
            return Seat::Follow(follow);
        }
        Seat::Lead(self.open(&mut shard, key, tags, late_tags))
    }

    /// The lead of a new flight of `key`, unless one is open: who can do without does not wait for that.
    pub(crate) fn lead_alone(
        self: &Arc<Self>,
        key: &str,
        named: impl Iterator<Item = u64>,
        late_tags: bool,
    ) -> Option<Lead> {
        let mut tags: Vec<u64> = named.collect();
        tags.sort_unstable();
        let mut shard = self.shard(key);
        if shard.find(key, &tags, late_tags).is_some() {
            return None;
        }
        Some(self.open(&mut shard, key, tags, late_tags))
    }

    fn open(self: &Arc<Self>, shard: &mut Shard, key: &str, tags: Vec<u64>, late_tags: bool) -> Lead {
        let state = Mutex::new(State::new());
        let flight = Arc::new(Flight { key: key.into(), tags, late_tags, after_failure: false, state });
        shard.open(&flight);
        Lead::new(self.clone(), flight)
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
    fn reseat(self: &Arc<Self>, from: &Flight, mut waiters: Vec<Waiter>, after_failure: bool) {
        waiters.retain(Waiter::is_there);
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
        let next = from.successor(waiters, after_failure);
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

impl State {
    fn new() -> Self {
        Self {
            tick: 0,
            load_began: false,
            loads: Vec::new(),
            since: Instant::now(),
            takeovers: 0,
            waiters: Vec::new(),
            sweep_at: FEW,
            captured: None,
        }
    }

    /// Whether this read, sent after the load had captured its versions, shows others of these tags.
    fn is_outdated(&self, tags: impl Iterator<Item = u64>, read: &AsOf) -> bool {
        self.captured.as_ref().filter(|captured| captured.number <= read.captures).is_some_and(|captured| {
            let differs =
                |tag, now| captured.versions.iter().any(|&(of, then)| of == tag && now != Some(then));
            tags.zip(&*read.versions).any(|(tag, &now)| differs(tag, now))
        })
    }

    /// When a follower of this patience takes over.
    fn end(&self, patience: Patience) -> Instant {
        let Patience { wait, longest } = patience;
        let time = if self.load_began {
            wait.saturating_mul(2_u32.saturating_pow(self.takeovers)).min(longest.max(wait))
        } else {
            // The leader waits for other processes as long, and is not to be left just as it begins its load.
            wait.saturating_add(wait.min(BEGINNING))
        };
        self.since + time.min(NEVER)
    }
}

impl Waiter {
    fn is_there(&self) -> bool {
        !self.tell.is_closed()
    }
}

impl Flight {
    fn enter(self: &Arc<Self>, flights: &Arc<Flights>, max_age: Option<Duration>) -> Follow {
        let (tell, told) = oneshot::channel();
        let (flight, moved) = (Mutex::new(Arc::downgrade(self)), Notify::new());
        let place = Arc::new(Place { flight, moved, record: OnceLock::new(), load: OnceLock::new() });
        let mut state = lock(&self.state);
        let joined = state.tick;
        if state.waiters.len() >= state.sweep_at {
            state.waiters.retain(Waiter::is_there);
            state.sweep_at = FEW.max(2 * state.waiters.len());
        }
        state.waiters.push(Waiter { joined, max_age, tell, place: place.clone() });
        Follow { told, place, flights: flights.clone() }
    }

    /// Takes in these waiters, who count as having joined at this tick.
    fn seat(self: &Arc<Self>, state: &mut State, waiters: Vec<Waiter>, joined: u32) {
        for waiter in waiters {
            *lock(&waiter.place.flight) = Arc::downgrade(self);
            waiter.place.moved.notify_one();
            state.waiters.push(Waiter { joined, ..waiter });
        }
    }

    /// The next flight of the same key, with these waiters in it from the start.
    fn successor(&self, waiters: Vec<Waiter>, after_failure: bool) -> Arc<Flight> {
        let next = Arc::new(Flight {
            key: self.key.clone(),
            tags: self.tags.clone(),
            late_tags: self.late_tags,
            after_failure,
            state: Mutex::new(State::new()),
        });
        next.seat(&mut lock(&next.state), waiters, 0);
        next
    }
}

/// The one caller that looks, loads and fills for all, or one that took over and loads beside it. Dropped before it
/// landed, it hands on. If two leaders in a row panic or fail with an error that cannot be shared, the followers stop
/// queueing and each loads alone.
pub(crate) struct Lead {
    flights: Arc<Flights>,
    flight: Arc<Flight>,
    read_tick: u32,
    load_tick: u32,
    landed: bool,
    /// The span of its load. It is kept open until those who follow it have been told.
    span: Option<Span>,
    record: Option<Arc<Gathered>>,
}

impl fmt::Debug for Lead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lead").finish_non_exhaustive()
    }
}

impl Lead {
    fn new(flights: Arc<Flights>, flight: Arc<Flight>) -> Self {
        Self { flights, flight, read_tick: 0, load_tick: 0, landed: false, record: None, span: None }
    }

    /// A read is about to be sent: who joined until now may take what it finds.
    pub(crate) fn reading(&mut self) {
        let mut state = lock(&self.flight.state);
        state.tick += 1;
        self.read_tick = state.tick;
    }

    /// The load has captured these versions of tags.
    pub(crate) fn captured(&self, versions: impl Iterator<Item = (u64, Version)>) {
        let versions: Vec<_> = versions.collect();
        if versions.is_empty() {
            return;
        }
        let number = self.flights.captures.fetch_add(1, Ordering::SeqCst) + 1;
        lock(&self.flight.state).captured = Some(Captured { number, versions });
    }

    /// The load is about to begin: who joined until now may take what it returns.
    pub(crate) fn loading(&mut self) {
        // Tick and flag under one lock: a waiter moved here between the two would join after the tick and lose its claim
        // under (a).
        let mut state = lock(&self.flight.state);
        state.tick += 1;
        self.load_tick = state.tick;
        state.load_began = true;
        state.loads.push(self.load_tick);
        state.since = Instant::now();
    }

    /// The load runs in this span: those who are told its value link to it.
    pub(crate) fn loads_in(&mut self, span: &Span) {
        self.span = Some(span.clone()).filter(|span| !span.is_disabled());
    }

    /// What is shared from now on was made of this.
    pub(crate) fn made_of(&mut self, record: &Gathered) {
        self.record = Some(Arc::new(record.clone()));
    }

    /// From now on nobody joins: the fill is about to be sent.
    pub(crate) fn close(&self) {
        self.flights.remove(&self.flight);
    }

    /// Whether anyone waits.
    pub(crate) fn has_followers(&self) -> bool {
        !lock(&self.flight.state).waiters.is_empty()
    }

    /// Gives what a read found, stored so long ago, to those under (b).
    pub(crate) fn share_read(&mut self, found: &Landed, age: Duration) {
        let read = self.read_tick;
        // G1, rule (b).
        self.share(found, |waiter| waiter.joined < read && waiter.max_age.is_none_or(|most| age <= most));
    }

    /// Gives what was loaded to those under (a).
    pub(crate) fn share_load(&mut self, loaded: &Landed) {
        let load = self.load_tick;
        // G1, rule (a).
        self.share(loaded, |waiter| waiter.joined < load);
    }

    /// Gives what was filled, its stamps having held after the flight had closed, to those under (c): all.
    pub(crate) fn share_fill(&mut self, filled: &Landed) {
        self.share(filled, |_| true);
    }

    /// Gives a clone of what was loaded or found to those that `share` says. Where cloning it panics, nobody can be given
    /// it: the flight is over, and each follower loads alone (one after the other would take as long as there are callers).
    pub(crate) fn share_clone<V: Clone + Send + Sync + 'static>(
        mut self,
        loaded: Option<&V>,
        share: impl FnOnce(&mut Self, &Landed),
    ) -> Option<Self> {
        // G9: a value that panics when it is cloned costs its followers their share, and nobody the value.
        let Some(landed) = Landed::of(loaded) else {
            self.scatter();
            return None;
        };
        share(&mut self, &landed);
        Some(self)
    }

    fn share(&mut self, landed: &Landed, may_take: impl Fn(&Waiter) -> bool) {
        let served = {
            let mut state = lock(&self.flight.state);
            let (served, left): (Vec<_>, Vec<_>) =
                std::mem::take(&mut state.waiters).into_iter().partition(may_take);
            state.waiters = left;
            served
        };
        step();
        for waiter in served {
            if let Some(span) = &self.span {
                let _ = waiter.place.load.set(span.clone());
            }
            if let Some(record) = &self.record {
                let _ = waiter.place.record.set(Arc::clone(record));
            }
            // A follower that left meanwhile needs nothing.
            let _ = waiter.tell.send(Verdict::Share(landed.clone()));
        }
    }

    /// The flight is over: who still waits is in the next one.
    pub(crate) fn hand_on(mut self) {
        let waiters = self.end();
        self.flights.reseat(&self.flight, waiters, false);
    }

    /// The load failed with an error that cannot be shared: each follower loads alone.
    pub(crate) fn scatter(mut self) {
        self.end_scattered();
    }

    /// The load failed with an error that is not the followers': they try once more together, and if that fails too, each
    /// alone. One after the other would take as long as there are callers.
    pub(crate) fn fail(mut self) {
        self.end_failed();
    }

    fn end_failed(&mut self) {
        if self.flight.after_failure {
            self.end_scattered();
        } else {
            let waiters = self.end();
            self.flights.reseat(&self.flight, waiters, true);
        }
    }

    fn end_scattered(&mut self) {
        for waiter in self.end() {
            let _ = waiter.tell.send(Verdict::Alone);
        }
    }

    /// Closes the flight and takes out who is left over. Waiters that another running load can still serve stay in the
    /// flight.
    fn end(&mut self) -> Vec<Waiter> {
        self.landed = true;
        self.close();
        let mut state = lock(&self.flight.state);
        state.loads.retain(|load| *load != self.load_tick);
        let last = state.loads.iter().max().copied().unwrap_or(0);
        let (stay, left) =
            std::mem::take(&mut state.waiters).into_iter().partition(|waiter| waiter.joined < last);
        state.waiters = stay;
        left
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
            step();
            match first.tell.send(Verdict::Lead(lead)) {
                Ok(()) => return,
                Err(Verdict::Lead(back)) => lead = back,
                Err(Verdict::Share(_) | Verdict::Alone) => unreachable!("a lead was sent"),
            }
        }
    }
}

impl Drop for Lead {
    // G9: who waits for a leader that was dropped or panicked is handed on.
    fn drop(&mut self) {
        if self.landed {
            return;
        }
        if std::thread::panicking() {
            self.end_failed();
        } else {
            let waiters = self.end();
            self.flights.reseat(&self.flight, waiters, false);
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

/// How long a caller follows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// How long at first.
    pub(crate) wait: Duration,
    /// How long at most, however often the flight was taken over.
    pub(crate) longest: Duration,
}

/// How a follower's wait ended.
pub(crate) enum Waited {
    /// The leader told.
    Told(Verdict),
    /// The flight is overdue: this caller loads for all, beside the leader and without storing.
    Over(Lead),
}

/// What a follower sees when it looks where it waits.
enum Sight {
    /// There is time until then, or longer.
    Until(Instant),
    /// It is being told or moved this very moment.
    Leaving,
    /// It took over.
    Over(Lead),
}

impl Follow {
    /// Waits as [`wait`](Self::wait) does, and tells whoever gathers in this task what that was made of which it is given.
    pub(crate) async fn wait_recorded(self, patience: Patience) -> Waited {
        let place = Arc::clone(&self.place);
        let waited = self.wait(patience).await;
        if matches!(waited, Waited::Told(Verdict::Share(_))) {
            match place.record.get() {
                Some(record) => gather::inherits(record),
                // Found by the leader's read, or loaded by a call that records nothing.
                None => gather::unknown(),
            }
        }
        waited
    }

    /// Waits for the leader, whoever that is by then, until the flight is overdue, whichever that is by then.
    pub(crate) async fn wait(mut self, patience: Patience) -> Waited {
        loop {
            let until = match self.look(patience) {
                Sight::Over(lead) => return Waited::Over(lead),
                Sight::Until(until) => Some(until),
                Sight::Leaving => None,
            };
            let over = async {
                match until {
                    Some(until) => sleep_until(until).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                told = &mut self.told => {
                    if let Some(load) = self.place.load.get() {
                        Span::current().follows_from(load);
                    }
                    return Waited::Told(told.unwrap_or(Verdict::Alone));
                }
                () = self.place.moved.notified() => {}
                () = over => {}
            }
        }
    }

    /// Leaves a flight that takes too long, to load for those who wait in it.
    fn look(&self, patience: Patience) -> Sight {
        let Some(flight) = lock(&self.place.flight).upgrade() else { return Sight::Leaving };
        let now = Instant::now();
        let mut state = lock(&flight.state);
        let end = state.end(patience);
        if now < end {
            // A load that begins meanwhile may bring the end forward, but not before this.
            let first = state.since + patience.wait.min(NEVER);
            return Sight::Until(if now < first { first } else { end });
        }
        let here = |waiter: &Waiter| Arc::ptr_eq(&waiter.place, &self.place);
        let Some(at) = state.waiters.iter().position(here) else { return Sight::Leaving };
        state.waiters.remove(at);
        state.since = now;
        state.takeovers += 1;
        drop(state);
        Sight::Over(Lead::new(self.flights.clone(), flight))
    }
}

#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod tests;
