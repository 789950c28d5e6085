//! Flights under [loom](https://docs.rs/loom), which plays every order in which threads can take the locks: run by
//! `scripts/loom`. That nobody hangs needs no assertion: loom fails where all threads wait.
//!
//! Time stands still, so a follower takes over only where a model gives it no patience. Each mechanism was removed once,
//! and the model beside it failed:
//!
//! | removed | model |
//! |---|---|
//! | a flight is closed before the stamps are read | `nobody_takes_what_was_filled_before_it_asked` |
//! | (a): who joined after the load began takes nothing of it | `nobody_takes_what_was_filled_before_it_asked` |
//! | (b): who joined after the read was sent takes nothing of it | `nobody_takes_what_was_read_before_it_asked` |
//! | an evict detaches the flight | `who_asks_after_an_evict_does_not_wait_for_a_load_from_before_it` |
//! | a flight is closed before its waiters are taken out | `nobody_is_lost_who_joins_while_the_leader_hands_on` |
//! | a promotion that nobody takes ends the flight | `nobody_is_lost_who_joins_while_the_others_leave` |
//! | the tick and the flag of a load are set under one lock | `who_is_left_over_waits_for_one_more_load_and_no_longer` |
//! | who is being told does not take over | `who_takes_over_is_told_nothing_else` |
//! | who joined before a takeover's load is left to it | `who_waits_for_a_takeover_is_left_to_it` |
//! | once no load is under way, nobody is left in the flight | `who_came_late_is_served_by_a_takeover_or_leads` |

use std::iter;

use loom::future::block_on;
use loom::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use loom::thread;
use tokio::sync::oneshot::error::TryRecvError;

use super::*;

/// Plays `model` in every order of its threads' steps that interrupts a thread three times at most.
fn explore(model: impl Fn() + Send + Sync + 'static) {
    // Followers ask tokio for the time; nobody moves it.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a runtime");
    let _entered = runtime.enter();
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// How long a follower waits that takes over at once.
const NONE: Patience = Patience { wait: Duration::ZERO, longest: Duration::ZERO };

/// How long a follower waits that never takes over.
const ENDLESS: Patience = Patience { wait: Duration::MAX, longest: Duration::MAX };

fn landed(value: usize) -> Landed {
    Landed::Value(Arc::new(value))
}

fn value(landed: &Landed) -> usize {
    match landed {
        Landed::Value(value) => *value.downcast_ref().expect("a number"),
        Landed::None | Landed::Err(_) => panic!("a value was shared"),
    }
}

fn join(flights: &Arc<Flights>) -> Seat {
    flights.join("key", iter::empty(), false, None, None)
}

fn lead(flights: &Arc<Flights>) -> Lead {
    match join(flights) {
        Seat::Lead(lead) => lead,
        Seat::Follow(_) => panic!("a flight is open"),
    }
}

fn follow(flights: &Arc<Flights>) -> Follow {
    match join(flights) {
        Seat::Follow(follow) => follow,
        Seat::Lead(_) => panic!("no flight is open"),
    }
}

/// A leader's load that is not stored.
fn load(mut lead: Lead, value: usize) {
    lead.loading();
    lead.share_load(&landed(value));
    lead.hand_on();
}

/// What a follower of endless patience is told: a value, or `None` where it is to lead, which it does.
fn told(follow: Follow) -> Option<usize> {
    match block_on(follow.wait(ENDLESS)) {
        Waited::Told(Verdict::Share(shared)) => Some(value(&shared)),
        Waited::Told(Verdict::Lead(lead)) => {
            load(lead, usize::MAX);
            None
        }
        Waited::Told(Verdict::Alone) => panic!("it was lost: its flight went without telling it"),
        Waited::Over(_) => panic!("time stands still"),
    }
}

/// One call: what it was given, or `None` where it loaded.
fn call(flights: &Arc<Flights>) -> Option<usize> {
    match join(flights) {
        Seat::Follow(follow) => told(follow),
        Seat::Lead(lead) => {
            load(lead, usize::MAX);
            None
        }
    }
}

/// A row of the database, written by another process, whose evict detaches nothing here.
#[derive(Clone)]
struct Row(Arc<AtomicUsize>);

impl Row {
    fn new() -> Self {
        Self(Arc::new(AtomicUsize::new(0)))
    }

    fn query(&self) -> usize {
        self.0.load(SeqCst)
    }

    /// Writes the row and evicts, then calls: what was loaded before is outdated for this caller.
    fn write_and_call(&self, flights: &Arc<Flights>) {
        self.0.store(1, SeqCst);
        assert!([None, Some(1)].contains(&call(flights)), "a value from before the evict");
    }
}

#[test]
fn nobody_takes_what_was_filled_before_it_asked() {
    explore(|| {
        let (flights, row) = (Flights::new(), Row::new());
        let mut leader = lead(&flights);
        let writer = thread::spawn({
            let (flights, row) = (flights.clone(), row.clone());
            move || row.write_and_call(&flights)
        });
        leader.loading();
        let loaded = row.query();
        leader.share_load(&landed(loaded));
        leader.close();
        // The store refuses the fill after an evict, or the stamps tell of it.
        if row.query() == loaded {
            leader.share_fill(&landed(loaded));
        }
        leader.hand_on();
        writer.join().expect("no assertion failed");
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn nobody_takes_what_was_read_before_it_asked() {
    explore(|| {
        let (flights, row) = (Flights::new(), Row::new());
        let mut leader = lead(&flights);
        let writer = thread::spawn({
            let (flights, row) = (flights.clone(), row.clone());
            move || row.write_and_call(&flights)
        });
        leader.reading();
        let found = row.query();
        leader.share_read(&landed(found), Duration::ZERO);
        leader.hand_on();
        writer.join().expect("no assertion failed");
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn who_asks_after_an_evict_does_not_wait_for_a_load_from_before_it() {
    explore(|| {
        let flights = Flights::new();
        let mut leader = lead(&flights);
        leader.loading();
        let early = follow(&flights);
        let caller = thread::spawn({
            let flights = flights.clone();
            move || call(&flights)
        });
        let evicter = thread::spawn({
            let flights = flights.clone();
            move || {
                flights.detach("key");
                call(&flights)
            }
        });
        // The load goes on until the evicter's call has ended.
        evicter.join().expect("no assertion failed");
        leader.share_load(&landed(1));
        leader.hand_on();
        assert_ne!(told(early), Some(1), "it came after that load began");
        caller.join().expect("no assertion failed");
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn nobody_is_lost_who_joins_while_the_leader_hands_on() {
    explore(|| {
        let flights = Flights::new();
        let leader = lead(&flights);
        let callers = [(); 2].map(|()| {
            let flights = flights.clone();
            thread::spawn(move || call(&flights))
        });
        load(leader, 1);
        for caller in callers {
            caller.join().expect("no assertion failed");
        }
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn nobody_is_lost_who_joins_while_the_others_leave() {
    explore(|| {
        let flights = Flights::new();
        let leader = lead(&flights);
        let gone = follow(&flights);
        let leaving = thread::spawn(move || drop(gone));
        let caller = thread::spawn({
            let flights = flights.clone();
            move || call(&flights)
        });
        drop(leader);
        leaving.join().expect("no assertion failed");
        caller.join().expect("no assertion failed");
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn who_is_left_over_waits_for_one_more_load_and_no_longer() {
    explore(|| {
        let flights = Flights::new();
        let mut first = lead(&flights);
        first.loading();
        let mut late = follow(&flights);
        first.close();
        let second = lead(&flights);
        let loading = thread::spawn(move || load(second, 2));
        first.hand_on();
        let told_at_once = late.told.try_recv().ok();
        loading.join().expect("no assertion failed");
        match told_at_once {
            // The second load had begun: it leads the third.
            Some(Verdict::Lead(_)) => {}
            Some(Verdict::Share(shared)) => assert_eq!(value(&shared), 2),
            // It is in the second flight, so it was there before that load began.
            None => assert_eq!(told(late), Some(2)),
            Some(Verdict::Alone) => panic!("nobody failed"),
        }
    });
}

#[test]
fn who_takes_over_is_told_nothing_else() {
    explore(|| {
        let flights = Flights::new();
        let mut leader = lead(&flights);
        let mut hasty = follow(&flights);
        let patient = follow(&flights);
        leader.loading();
        let hasty = thread::spawn(move || match hasty.look(NONE) {
            Sight::Over(lead) => {
                assert_eq!(hasty.told.try_recv().err(), Some(TryRecvError::Closed), "both lead and follow");
                load(lead, 2);
            }
            Sight::Leaving => assert_eq!(told(hasty), Some(1)),
            Sight::Until(_) => panic!("it has no patience"),
        });
        let patient = thread::spawn(move || told(patient));
        leader.share_load(&landed(1));
        leader.hand_on();
        hasty.join().expect("no assertion failed");
        let taken = patient.join().expect("no assertion failed");
        assert!([Some(1), Some(2)].contains(&taken), "both loads began after it had joined: {taken:?}");
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn who_came_late_is_served_by_a_takeover_or_leads() {
    explore(|| {
        let flights = Flights::new();
        let mut leader = lead(&flights);
        let hasty = follow(&flights);
        leader.loading();
        let late = follow(&flights);
        let Sight::Over(second) = hasty.look(NONE) else { panic!("it has no patience") };
        let second = thread::spawn(move || load(second, 2));
        let late = thread::spawn(move || told(late));
        leader.share_load(&landed(1));
        leader.hand_on();
        second.join().expect("no assertion failed");
        let taken = late.join().expect("no assertion failed");
        assert!([None, Some(2)].contains(&taken), "it came after the first load had begun: {taken:?}");
        assert_eq!(flights.len(), 0);
    });
}

#[test]
fn who_waits_for_a_takeover_is_left_to_it() {
    explore(|| {
        let flights = Flights::new();
        let mut leader = lead(&flights);
        let hasty = follow(&flights);
        leader.loading();
        let late = follow(&flights);
        let Sight::Over(mut second) = hasty.look(NONE) else { panic!("it has no patience") };
        second.loading();
        let second = thread::spawn(move || {
            second.share_load(&landed(2));
            second.hand_on();
        });
        let late = thread::spawn(move || told(late));
        leader.share_load(&landed(1));
        leader.hand_on();
        second.join().expect("no assertion failed");
        assert_eq!(late.join().expect("no assertion failed"), Some(2), "it need not load itself");
        assert_eq!(flights.len(), 0);
    });
}
