use std::iter;

use super::*;

const SOON: Duration = Duration::from_secs(5);

fn value(of: u32) -> Landed {
    Landed::Value(Arc::new(of))
}

fn lead(flights: &Arc<Flights>) -> Lead {
    match flights.join("key", iter::empty(), false) {
        Seat::Lead(lead) => lead,
        Seat::Follow(_) => panic!("a flight is open"),
    }
}

fn follow(flights: &Arc<Flights>) -> Follow {
    match flights.join("key", iter::empty(), false) {
        Seat::Follow(follow) => follow,
        Seat::Lead(_) => panic!("no flight is open"),
    }
}

async fn told(follow: Follow) -> Verdict {
    match follow.wait(SOON).await {
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

#[tokio::test]
async fn who_joined_before_the_read_takes_what_it_found_and_who_came_later_does_not() {
    let flights = Flights::new();
    let mut leader = lead(&flights);
    let early = follow(&flights);
    leader.reading();
    let late = follow(&flights);
    leader.share_read(&value(1));
    leader.hand_on();
    assert_eq!(shared(early).await, Some(1));
    assert!(matches!(told(late).await, Verdict::Lead(_)));
}

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

#[tokio::test]
async fn a_leader_that_panics_lets_all_load_side_by_side() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let followers: Vec<_> = (0..3).map(|_| follow(&flights)).collect();
    std::thread::spawn(move || {
        let _leader = leader;
        panic!("as a loader might");
    })
    .join()
    .expect_err("it panicked");
    for follower in followers {
        assert!(matches!(told(follower).await, Verdict::Alone));
    }
    assert_eq!(flights.len(), 0);
}

#[tokio::test]
async fn nobody_joins_a_flight_that_an_evict_detached() {
    let flights = Flights::new();
    let tagged = |tag| match flights.join(&format!("p:{tag}"), iter::once(tag), false) {
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
    let Seat::Lead(_late) = flights.join("key", iter::empty(), true) else { panic!("no flight is open") };
    flights.detach_tags(&[7]);
    assert!(matches!(flights.join("key", iter::empty(), true), Seat::Lead(_)));
}

#[tokio::test(start_paused = true)]
async fn whoever_waited_long_enough_leads_all_who_wait_with_it() {
    let flights = Flights::new();
    let stuck = lead(&flights);
    let (impatient, patient) = (follow(&flights), follow(&flights));
    let Waited::Over(mut leader) = impatient.wait(Duration::from_secs(1)).await else {
        panic!("nobody told")
    };
    leader.loading();
    leader.share_load(&value(3));
    leader.hand_on();
    assert_eq!(shared(patient).await, Some(3));
    drop(stuck);
    assert_eq!(flights.len(), 0);
}

#[tokio::test]
async fn who_was_handed_on_to_a_leader_that_is_never_polled_waits_no_longer_than_others() {
    let flights = Flights::new();
    let leader = lead(&flights);
    let stuck = follow(&flights);
    let waits = tokio::spawn(follow(&flights).wait(Duration::from_millis(20)));
    drop(leader);
    let ended = tokio::time::timeout(SOON, waits).await.expect("it waits for its own time only");
    assert!(matches!(ended.expect("it does not panic"), Waited::Over(_)));
    drop(stuck);
    assert_eq!(flights.len(), 0);
}

#[tokio::test]
async fn who_was_taken_along_by_another_whose_wait_was_over_waits_for_its_own_time_too() {
    let flights = Flights::new();
    let _leader = lead(&flights);
    let first = follow(&flights);
    let second = tokio::spawn(follow(&flights).wait(Duration::from_millis(200)));
    tokio::task::yield_now().await;
    let Waited::Over(_stuck) = first.wait(Duration::from_millis(1)).await else {
        panic!("nobody told it anything")
    };
    let ended = tokio::time::timeout(SOON, second).await.expect("it waits for its own time only");
    assert!(matches!(ended.expect("it does not panic"), Waited::Over(_)));
}

#[tokio::test]
async fn who_is_left_over_joins_no_flight_under_other_tags() {
    let flights = Flights::new();
    let tagged = || flights.join("key", iter::once(7), false);
    let Seat::Lead(mut leader) = tagged() else { panic!("no flight is open") };
    leader.loading();
    let Seat::Follow(late) = tagged() else { panic!("a flight is open") };
    flights.detach("key");
    let mut other = lead(&flights);
    leader.hand_on();
    other.reading();
    other.share_read(&value(1));
    assert!(matches!(told(late).await, Verdict::Lead(_)));
    other.hand_on();
}

#[tokio::test]
async fn callers_of_one_key_under_other_tags_fly_together_apart_from_the_rest() {
    let flights = Flights::new();
    let plain = lead(&flights);
    let tagged = |tags: [u64; 2]| flights.join("key", tags.into_iter(), false);
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
