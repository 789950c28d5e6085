use std::iter;

use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::*;

const SOON: Duration = Duration::from_secs(5);

const LONG: Duration = Duration::from_secs(60 * 60);

fn within(wait: Duration) -> Patience {
    Patience { wait, longest: LONG }
}

fn value(of: u32) -> Landed {
    Landed::Value(Arc::new(of))
}

fn lead(flights: &Arc<Flights>) -> Lead {
    match flights.join("key", iter::empty(), false, None, None) {
        Seat::Lead(lead) => lead,
        Seat::Follow(_) => panic!("a flight is open"),
    }
}

fn follow(flights: &Arc<Flights>) -> Follow {
    match flights.join("key", iter::empty(), false, None, None) {
        Seat::Follow(follow) => follow,
        Seat::Lead(_) => panic!("no flight is open"),
    }
}

async fn told(follow: Follow) -> Verdict {
    match follow.wait(within(SOON)).await {
        Waited::Told(verdict) => verdict,
        Waited::Over(_) => panic!("the leader told nothing"),
    }
}

async fn shared(follow: Follow) -> Option<u32> {
    match told(follow).await {
        Verdict::Share(Landed::Value(value)) => value.downcast_ref().copied(),
        _ => None,
    }
}

/// Upholds G1.
#[tokio::test]
async fn who_joined_before_the_load_takes_what_was_loaded_and_who_came_later_does_not() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    let early = follow(&flights);
    leader.loading();
    let late = follow(&flights);
    leader.share_load(&value(1));
    leader.hand_on();
    assert_eq!(shared(early).await, Some(1));
    assert!(matches!(told(late).await, Verdict::Lead(_)));
    assert_eq!(flights.len(), 0);
}

/// Upholds G1.
#[tokio::test]
async fn who_joined_before_the_read_takes_what_it_found_and_who_came_later_does_not() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    let early = follow(&flights);
    leader.reading();
    let late = follow(&flights);
    leader.share_read(&value(1), Duration::ZERO);
    leader.hand_on();
    assert_eq!(shared(early).await, Some(1));
    assert!(matches!(told(late).await, Verdict::Lead(_)));
}

/// Upholds G1.
#[tokio::test]
async fn who_joined_before_the_fill_takes_what_was_filled_and_nobody_joins_after() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    leader.loading();
    let late = follow(&flights);
    leader.close();
    let next = lead(&flights);
    leader.share_fill(&value(1));
    leader.hand_on();
    assert_eq!(shared(late).await, Some(1));
    next.hand_on();
}

#[tokio::test]
async fn those_left_over_form_the_next_flight_together() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    leader.loading();
    let mut late: Vec<_> = (0..100).map(|_| follow(&flights)).collect();
    leader.hand_on();
    let Verdict::Lead(mut next) = told(late.remove(0)).await else { panic!("the first one leads") };
    next.loading();
    next.share_load(&value(2));
    next.hand_on();
    for follower in late {
        assert_eq!(shared(follower).await, Some(2));
    }
    assert_eq!(flights.len(), 0);
}

#[tokio::test]
async fn those_left_over_join_a_flight_whose_load_has_not_begun() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    leader.loading();
    let late = follow(&flights);
    leader.close();
    let mut next = lead(&flights);
    leader.hand_on();
    next.loading();
    next.share_load(&value(2));
    next.hand_on();
    assert_eq!(shared(late).await, Some(2));
}

/// Upholds G9.
#[tokio::test]
async fn a_leader_that_is_dropped_hands_on_past_followers_that_left() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let gone = follow(&flights);
    let there = follow(&flights);
    drop(gone);
    drop(leader);
    let Verdict::Lead(promoted) = told(there).await else { panic!("it leads") };
    // Promoted, but dropped before it did anything: the flight is over.
    drop(promoted);
    assert_eq!(flights.len(), 0);
}

#[tokio::test]
async fn a_promotion_that_nobody_takes_is_handed_on() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let promoted = follow(&flights);
    let there = follow(&flights);
    drop(leader);
    drop(promoted);
    assert!(matches!(told(there).await, Verdict::Lead(_)));
}

fn panics(leader: Lead) {
    std::thread::spawn(move || {
        let _leader = leader;
        panic!("as a loader might");
    })
    .join()
    .expect_err("it panicked");
}

/// Upholds G9.
#[tokio::test]
async fn a_leader_that_panics_hands_on_once() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let first = follow(&flights);
    let rest: Vec<_> = (0..3).map(|_| follow(&flights)).collect();
    panics(leader);
    let Verdict::Lead(next) = told(first).await else { panic!("the first one leads") };
    panics(next);
    for follower in rest {
        assert!(matches!(told(follower).await, Verdict::Alone));
    }
    assert_eq!(flights.len(), 0);
}

/// Upholds G1.
#[tokio::test]
async fn nobody_joins_a_flight_that_an_evict_detached() {
    let flights = Flights::new();
    let tagged = |tag| match flights.join(&format!("p:{tag}"), iter::once(tag), false, None, None) {
        Seat::Lead(lead) => Some(lead),
        Seat::Follow(_) => None,
    };
    let held: Vec<_> = (0..3).map(tagged).collect();
    flights.detach("p:0");
    assert!(tagged(0).is_some() && tagged(1).is_none());
    flights.detach_tags(&[1]);
    assert!(tagged(1).is_some() && tagged(2).is_none());
    flights.detach_prefix("p:");
    assert!(tagged(2).is_some());
    drop(held);
}

#[tokio::test]
async fn a_tag_that_comes_from_the_value_may_be_any() {
    let flights = Flights::new();
    let Seat::Lead(_late) = flights.join("key", iter::empty(), true, None, None) else {
        panic!("no flight is open")
    };
    flights.detach_tags(&[7]);
    assert!(matches!(flights.join("key", iter::empty(), true, None, None), Seat::Lead(_)));
}

const SECOND: Duration = Duration::from_secs(1);

/// Waits a second, and then twice as long after each takeover.
async fn take_over(follow: Follow) -> Lead {
    match follow.wait(within(SECOND)).await {
        Waited::Over(lead) => lead,
        Waited::Told(_) => panic!("nobody told"),
    }
}

/// In how many milliseconds this follower takes over.
async fn overdue_in(follow: Follow) -> u128 {
    let began = Instant::now();
    let _lead = take_over(follow).await;
    began.elapsed().as_millis()
}

#[tokio::test(start_paused = true)]
async fn whoever_takes_over_loads_for_all_who_wait() {
    let flights = Flights::new();
    let mut stuck = lead(&flights);
    stuck.loading();
    let (first, second) = (follow(&flights), follow(&flights));
    let mut leader = take_over(first).await;
    leader.loading();
    let late = follow(&flights);
    leader.share_load(&value(3));
    leader.hand_on();
    assert_eq!(shared(second).await, Some(3));
    assert!(matches!(told(late).await, Verdict::Lead(_)), "it came after that load began");
    assert_eq!(flights.len(), 0, "nobody joins the one that is stuck");
    drop(stuck);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_was_too_slow_serves_all_the_same_if_it_lands_first() {
    let flights = Flights::new();
    let mut slow = lead(&flights);
    let early = follow(&flights);
    slow.loading();
    let (first, late) = (follow(&flights), follow(&flights));
    let mut beside = take_over(first).await;
    beside.loading();
    slow.share_load(&value(1));
    slow.close();
    slow.share_fill(&value(1));
    slow.hand_on();
    assert_eq!((shared(early).await, shared(late).await), (Some(1), Some(1)));
    beside.hand_on();
    assert_eq!(flights.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn whom_a_load_under_way_will_serve_is_not_handed_on() {
    let flights = Flights::new();
    let mut slow = lead(&flights);
    slow.loading();
    let (first, covered) = (follow(&flights), follow(&flights));
    let mut beside = take_over(first).await;
    beside.loading();
    let late = follow(&flights);
    // Its fill was refused.
    slow.hand_on();
    assert!(matches!(told(late).await, Verdict::Lead(_)));
    beside.share_load(&value(2));
    beside.hand_on();
    assert_eq!(shared(covered).await, Some(2));
}

#[tokio::test(start_paused = true)]
async fn whom_a_dropped_load_would_have_served_is_handed_on() {
    let flights = Flights::new();
    let mut slow = lead(&flights);
    slow.loading();
    let (first, covered) = (follow(&flights), follow(&flights));
    let mut beside = take_over(first).await;
    beside.loading();
    slow.hand_on();
    drop(beside);
    assert!(matches!(told(covered).await, Verdict::Lead(_)));
    assert_eq!(flights.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn patience_doubles_with_each_takeover_up_to_a_limit() {
    let flights = Flights::new();
    let began = Instant::now();
    let mut leads = vec![lead(&flights)];
    leads[0].loading();
    let mut at = Vec::new();
    for _ in 0..7 {
        let patience = Patience { wait: SECOND, longest: 20 * SECOND };
        let Waited::Over(mut lead) = follow(&flights).wait(patience).await else { panic!("nobody told") };
        lead.loading();
        at.push(began.elapsed().as_secs());
        leads.push(lead);
    }
    assert_eq!(at, [1, 3, 7, 15, 31, 51, 71]);
}

#[tokio::test(start_paused = true)]
async fn of_many_whose_time_is_up_at_once_one_takes_over() {
    let flights = Flights::new();
    let mut slow = lead(&flights);
    slow.loading();
    let takeovers = Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let waiting: Vec<_> = (0..200)
        .map(|_| {
            let (follow, takeovers) = (follow(&flights), takeovers.clone());
            tokio::spawn(async move {
                if let Waited::Over(mut lead) = follow.wait(within(SECOND)).await {
                    takeovers.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    lead.loading();
                    tokio::time::sleep(LONG).await;
                }
            })
        })
        .collect();
    tokio::time::sleep(SECOND * 5 / 2).await;
    assert_eq!(takeovers.load(std::sync::atomic::Ordering::SeqCst), 1);
    slow.share_fill(&value(1));
    slow.hand_on();
    tokio::time::sleep(SECOND).await;
    assert_eq!(waiting.iter().filter(|waits| !waits.is_finished()).count(), 1, "who took over still loads");
}

/// Upholds G9.
#[tokio::test(start_paused = true)]
async fn who_joins_an_overdue_flight_takes_over_at_once() {
    let flights = Flights::new();
    let mut stuck = lead(&flights);
    stuck.loading();
    for _ in 0..3 {
        // Impatient: gone before its time is up.
        let gone = tokio::time::timeout(SECOND / 2, follow(&flights).wait(within(SECOND)));
        if let Ok(waited) = gone.await {
            assert!(matches!(waited, Waited::Over(_)));
            return;
        }
    }
    panic!("each of them began anew");
}

#[tokio::test(start_paused = true)]
async fn a_leader_has_time_to_begin_its_load_after_it_waited_for_others() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    assert_eq!(overdue_in(follow(&flights)).await, 2_000, "its wait, and the time to begin");
    drop(leader);
    leader = lead(&flights);
    let waits = tokio::spawn(overdue_in(follow(&flights)));
    tokio::time::sleep(SECOND * 3 / 2).await;
    leader.loading();
    assert_eq!(waits.await.expect("it does not panic"), 2_500, "from when the load began");
}

#[tokio::test(start_paused = true)]
async fn who_took_over_has_time_to_begin_its_load() {
    let flights = Flights::new();
    let _stuck = lead(&flights);
    let _leader = take_over(follow(&flights)).await;
    assert_eq!(overdue_in(follow(&flights)).await, 2_000);
}

#[tokio::test(start_paused = true)]
async fn the_flight_that_one_was_moved_to_says_when_it_is_overdue() {
    let flights = Flights::new();
    let mut leads = vec![lead(&flights)];
    leads[0].loading();
    for _ in 0..3 {
        let mut lead = take_over(follow(&flights)).await;
        lead.loading();
        leads.push(lead);
    }
    // Overdue eight seconds from now, but not for long.
    let never_polled = follow(&flights);
    let waits = tokio::spawn(overdue_in(follow(&flights)));
    tokio::time::sleep(SECOND * 5 / 2).await;
    leads.into_iter().for_each(Lead::hand_on);
    assert_eq!(waits.await.expect("it does not panic"), 4_500, "two seconds of the new flight's");
    drop(never_polled);
    assert_eq!(flights.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn who_was_handed_on_to_a_leader_that_is_never_polled_takes_over() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let stuck = follow(&flights);
    let waits = tokio::spawn(overdue_in(follow(&flights)));
    tokio::time::sleep(SECOND).await;
    drop(leader);
    assert_eq!(waits.await.expect("it does not panic"), 3_000);
    drop(stuck);
    assert_eq!(flights.len(), 0);
}

#[tokio::test]
async fn those_who_left_do_not_pile_up() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let stays: Vec<_> = (0..20).map(|_| follow(&flights)).collect();
    for _ in 0..10_000 {
        drop(follow(&flights));
    }
    assert!(lock(&leader.flight.state).waiters.len() <= 2 * stays.len());
    leader.scatter();
    for follow in stays {
        assert!(matches!(told(follow).await, Verdict::Alone));
    }
}

#[tokio::test]
async fn what_a_read_found_is_not_for_those_for_whom_it_is_too_old() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    let of_age = |max_age| match flights.join("key", iter::empty(), false, max_age, None) {
        Seat::Follow(follow) => follow,
        Seat::Lead(_) => panic!("a flight is open"),
    };
    let (any, old, young) = (of_age(None), of_age(Some(2 * SECOND)), of_age(Some(SECOND)));
    leader.reading();
    leader.share_read(&value(1), 2 * SECOND);
    leader.hand_on();
    assert_eq!((shared(any).await, shared(old).await), (Some(1), Some(1)));
    assert!(matches!(told(young).await, Verdict::Lead(_)));
}

#[tokio::test]
async fn who_is_left_over_joins_no_flight_under_other_tags() {
    let flights = Flights::new();
    let tagged = || flights.join("key", iter::once(7), false, None, None);
    let Seat::Lead(mut leader) = tagged() else { panic!("no flight is open") };
    leader.loading();
    let Seat::Follow(late) = tagged() else { panic!("a flight is open") };
    flights.detach("key");
    let mut other = lead(&flights);
    leader.hand_on();
    other.reading();
    other.share_read(&value(1), Duration::ZERO);
    assert!(matches!(told(late).await, Verdict::Lead(_)));
    other.hand_on();
}

#[tokio::test]
async fn callers_of_one_key_under_other_tags_fly_together_apart_from_the_rest() {
    let flights = Flights::new();
    let plain = lead(&flights);
    let tagged = |tags: [u64; 2]| flights.join("key", tags.into_iter(), false, None, None);
    let Seat::Lead(mut leader) = tagged([7, 8]) else { panic!("the open flight says nothing of these tags") };
    let Seat::Follow(early) = tagged([8, 7]) else { panic!("a flight under these tags is open") };
    assert_eq!(flights.len(), 2);
    flights.detach_tags(&[8]);
    assert_eq!(flights.len(), 1, "the one without the tag");
    leader.loading();
    leader.share_load(&value(1));
    leader.hand_on();
    assert_eq!(shared(early).await, Some(1));
    let Seat::Lead(next) = tagged([7, 8]) else { panic!("it was detached") };
    flights.detach("key");
    assert_eq!(flights.len(), 0, "whatever tags they are under");
    plain.hand_on();
    next.hand_on();
}

/// A caller that leads, in a history that is played.
struct Player {
    lead: Lead,
    stores: bool,
    read: Option<usize>,
    load: Option<usize>,
    accepted: Option<bool>,
}

/// A history of callers, loads, fills and evicts, played step by step. Values are the times at which they were loaded.
#[derive(Default)]
struct History {
    now: usize,
    evicts: Vec<usize>,
    leads: Vec<Player>,
    follows: Vec<(usize, LocalBoxFuture<'static, Waited>)>,
}

impl History {
    /// Whether what was loaded then is outdated for who asks at a later time.
    fn outdated(&self, loaded: usize, asked: usize) -> bool {
        self.evicts.iter().any(|evict| (loaded..asked).contains(evict))
    }

    fn landed(at: usize) -> Landed {
        Landed::Value(Arc::new(at))
    }

    fn leads(&mut self, lead: Lead, stores: bool) {
        self.leads.push(Player { lead, stores, read: None, load: None, accepted: None });
    }

    fn step(&mut self, flights: &Arc<Flights>, step: u8, which: usize) {
        self.now += 1;
        let now = self.now;
        match step {
            0..4 => match flights.join("key", iter::empty(), false, None, None) {
                Seat::Lead(lead) => self.leads(lead, true),
                Seat::Follow(follow) => self.follows.push((now, Box::pin(follow.wait(within(SECOND))))),
            },
            4 => {
                // Another process's does not detach anything here.
                if which.is_multiple_of(2) {
                    flights.detach("key");
                }
                self.evicts.push(now);
            }
            5 if !self.follows.is_empty() => drop(self.follows.swap_remove(which % self.follows.len())),
            6.. if !self.leads.is_empty() => {
                let mut player = self.leads.swap_remove(which % self.leads.len());
                match (step, player.read, player.load, player.accepted) {
                    (6, ..) => return drop(player),
                    (7, read, None, _) if player.stores && read.is_none() => {
                        player.lead.reading();
                        player.read = Some(now);
                    }
                    (7, Some(read), None, _) => {
                        // The oldest that was right when it was read.
                        let oldest = self.evicts.iter().rev().find(|evict| **evict < read);
                        let oldest = oldest.map_or(0, |evict| evict + 1);
                        player.lead.share_read(&Self::landed(oldest), Duration::ZERO);
                        return player.lead.hand_on();
                    }
                    (_, _, None, _) => {
                        player.lead.loading();
                        player.load = Some(now);
                    }
                    (_, _, Some(load), None) => {
                        player.lead.share_load(&Self::landed(load));
                        player.lead.close();
                        player.accepted = Some(player.stores && !self.outdated(load, now));
                    }
                    (_, _, Some(load), Some(accepted)) => {
                        if accepted && !self.outdated(load, now) {
                            player.lead.share_fill(&Self::landed(load));
                        }
                        return player.lead.hand_on();
                    }
                }
                self.leads.push(player);
            }
            _ => {}
        }
    }

    /// Polls those who wait, until no more of them is told anything.
    fn settle(&mut self) {
        while let Some((at, waited)) = (0..self.follows.len())
            .find_map(|at| self.follows[at].1.as_mut().now_or_never().map(|waited| (at, waited)))
        {
            let (asked, _) = self.follows.swap_remove(at);
            match waited {
                Waited::Told(Verdict::Share(Landed::Value(value))) => {
                    let loaded = *value.downcast_ref().expect("a time");
                    assert!(!self.outdated(loaded, asked), "{loaded} for who asked at {asked}");
                }
                Waited::Told(Verdict::Lead(lead)) => self.leads(lead, true),
                Waited::Told(_) => {}
                Waited::Over(mut lead) => {
                    lead.loading();
                    self.now += 1;
                    let load = Some(self.now);
                    self.leads.push(Player { lead, stores: false, read: None, load, accepted: None });
                }
            }
        }
    }
}

proptest::proptest! {
    /// Upholds G1 and G9.
    #[test]
    fn in_no_history_is_anyone_left_waiting_or_given_what_was_loaded_before_an_evict_that_it_came_after(
        steps in proptest::collection::vec((0..16_u8, proptest::num::usize::ANY), 1..200),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let (flights, mut history) = (Flights::new(), History::default());
            for (step, which) in steps {
                if step >= 13 {
                    tokio::time::advance(SECOND * 3 / 4).await;
                } else {
                    history.step(&flights, step, which);
                }
                history.settle();
            }
            while !history.leads.is_empty() {
                history.leads.clear();
                history.settle();
            }
            assert!(history.follows.is_empty() && flights.len() == 0);
        });
    }
}
