//! Events across processes.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cachemacro::store::Member;
use cachemacro::{Cache, ErrorKind, Gap, Removals, Subscribe, Subscription};
use cachemacro_tests::{DEADLINE, LONG, Rig, namespace, wait_until};
use futures_util::FutureExt as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Renamed {
    id: u64,
    name: String,
}

fn renamed(id: u64) -> Renamed {
    Renamed { id, name: "Ada".to_owned() }
}

/// A process that knows the event.
fn process(rig: &Rig) -> Cache {
    let cache = rig.process().cache;
    cache.declare::<Renamed>("renamed").expect("nothing else was declared");
    cache
}

/// What handlers were called with.
#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<u64>>>);

impl Seen {
    fn add(&self, id: u64) {
        self.0.lock().unwrap().push(id);
    }

    fn ids(&self) -> Vec<u64> {
        self.0.lock().unwrap().clone()
    }

    async fn wait_for(&self, count: usize) -> Vec<u64> {
        wait_until("events were handled", DEADLINE, async || self.ids().len() >= count).await;
        self.ids()
    }
}

/// Adds what it is called with.
fn adding(cache: &Cache, seen: &Seen) -> Subscribe<Renamed> {
    let seen = seen.clone();
    cache.subscribe(move |event: Renamed| {
        seen.add(event.id);
        async {}
    })
}

async fn emit(cache: &Cache, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        cache.emit(&renamed(id)).await.expect("it is sent");
    }
}

/// Fails with each event of an odd id.
async fn failing(cache: &Cache, seen: &Seen) -> Subscription<Renamed> {
    let seen = seen.clone();
    let subscribe = cache.subscribe(move |event: Renamed| {
        seen.add(event.id);
        async move { if event.id % 2 == 1 { Err("it is odd") } else { Ok(()) } }
    });
    let subscribe = subscribe.one("mailers").attempts(3).backoff(Duration::from_millis(1));
    subscribe.await.expect("it begins")
}

async fn each_process_handles_each_event_from_when_it_joined_in_order(rig: Rig) {
    let (one, other, late) = (process(&rig), process(&rig), process(&rig));
    let seen: [Seen; 3] = Default::default();
    emit(&one, [1]).await;
    let _one = adding(&one, &seen[0]).await.expect("it begins");
    let _other = adding(&other, &seen[1]).await.expect("it begins");
    emit(&one, [2, 3]).await;
    emit(&other, [4]).await;
    let late = adding(&late, &seen[2]).await.expect("it begins");
    emit(&one, [5, 6]).await;
    assert_eq!(seen[0].wait_for(5).await, [2, 3, 4, 5, 6]);
    assert_eq!(seen[1].wait_for(5).await, [2, 3, 4, 5, 6]);
    assert_eq!(seen[2].wait_for(2).await, [5, 6]);
    wait_until("they are counted", DEADLINE, async || late.stats().handled == 2).await;
    assert_eq!((late.stats().failed, late.stats().missed), (0, 0));
}

async fn who_hears_of_an_event_finds_what_it_was_about_evicted(rig: Rig) {
    let (one, other) = (process(&rig), process(&rig));
    one.on(|event: &Renamed, evict| evict.key("user", event.id));
    other.set("user", 7, &"old".to_owned()).await.expect("it is stored");
    let (seen, reader) = (Seen::default(), other.clone());
    let found = seen.clone();
    let subscription = other.subscribe(move |event: Renamed| {
        let (reader, found) = (reader.clone(), found.clone());
        async move {
            let value = reader.get::<String>("user", event.id).await.expect("the store answers");
            found.add(u64::from(value.is_some()));
        }
    });
    let _subscription = subscription.await.expect("it begins");
    assert_eq!(one.emit(&renamed(7)).await.expect("it is sent"), 1);
    assert_eq!(seen.wait_for(1).await, [0]);
}

async fn one_process_of_a_group_handles_an_event_and_each_group_all(rig: Rig) {
    let (one, other, third) = (process(&rig), process(&rig), process(&rig));
    let (mails, logs) = (Seen::default(), Seen::default());
    let _one = adding(&one, &mails).one("mailers").await.expect("it begins");
    let _other = adding(&other, &mails).one("mailers").await.expect("it begins");
    let _third = adding(&third, &logs).one("loggers").await.expect("it begins");
    emit(&one, 0..50).await;
    let mut handled = mails.wait_for(50).await;
    assert_eq!(logs.wait_for(50).await, (0..50).collect::<Vec<_>>(), "by one of them, in order");
    handled.sort_unstable();
    assert_eq!(handled, (0..50).collect::<Vec<_>>(), "each once");
}

async fn events_of_a_group_wait_while_nobody_of_it_is_there(rig: Rig) {
    let cache = process(&rig);
    let seen = Seen::default();
    let first = adding(&cache, &seen).one("mailers").await.expect("it begins");
    emit(&cache, [1]).await;
    seen.wait_for(1).await;
    first.stop().await;
    emit(&cache, [2, 3]).await;
    assert_eq!(seen.ids(), [1], "it has ended");
    let _second = adding(&process(&rig), &seen).one("mailers").await.expect("it begins");
    assert_eq!(seen.wait_for(3).await, [1, 2, 3]);
}

async fn what_fails_is_tried_again_and_put_aside_at_last(rig: Rig) {
    let (cache, seen) = (process(&rig), Seen::default());
    let subscription = failing(&cache, &seen).await;
    emit(&cache, [1, 2, 3]).await;
    assert_eq!(seen.wait_for(7).await, [1, 1, 1, 2, 3, 3, 3]);
    wait_until("both are put aside", DEADLINE, async || {
        subscription.dead(10).await.expect("the store answers").len() == 2
    })
    .await;
    let stats = subscription.stats();
    assert_eq!((stats.handled, stats.failed, stats.dead), (1, 6, 2));
    let dead = subscription.dead(10).await.expect("the store answers");
    assert_eq!(dead[0].event(), Some(&renamed(1)));
    assert_eq!(dead[0].why(), "it is odd");
    assert_eq!(subscription.dead(1).await.expect("the store answers").len(), 1);
    // Once more: it fails again, and stays.
    assert_eq!(
        subscription.replay(&dead[0]).await.map_err(|why| why.to_string()),
        Err("it is odd".to_owned())
    );
    assert_eq!(subscription.dead(10).await.expect("the store answers").len(), 2);
    assert!(subscription.discard(&dead[0]).await.expect("the store answers"));
    // Another process of the group, whose handler can do it.
    let (other, handled) = (process(&rig), Seen::default());
    let other = adding(&other, &handled).one("mailers").await.expect("it begins");
    let dead = other.dead(10).await.expect("the store answers");
    assert_eq!(dead[0].event(), Some(&renamed(3)));
    other.replay(&dead[0]).await.expect("it is handled");
    assert_eq!(handled.ids(), [3]);
    assert!(other.dead(10).await.expect("the store answers").is_empty());
}

async fn a_handler_that_panics_has_failed_and_goes_on(rig: Rig) {
    let (cache, seen) = (process(&rig), Seen::default());
    let handled = seen.clone();
    let panicking = move |event: Renamed| {
        assert!(event.id != 1, "before there is a future");
        let handled = handled.clone();
        async move {
            assert!(event.id != 2, "within it");
            handled.add(event.id);
        }
    };
    let each = cache.subscribe(panicking.clone()).await.expect("it begins");
    let one = cache.subscribe(panicking).one("mailers").attempts(1).await.expect("it begins");
    emit(&cache, [1, 2, 3]).await;
    assert_eq!(seen.wait_for(2).await, [3, 3]);
    wait_until("all are counted", DEADLINE, async || {
        (each.stats().failed, one.stats().failed, one.stats().dead) == (2, 2, 2)
    })
    .await;
}

async fn what_cannot_be_decoded_is_counted_and_skipped(rig: Rig) {
    /// As another deploy has it.
    #[derive(Clone, Serialize, Deserialize)]
    struct Renamed {
        id: String,
    }
    let (cache, seen) = (process(&rig), Seen::default());
    let each = adding(&cache, &seen).await.expect("it begins");
    let one = adding(&cache, &seen).one("mailers").await.expect("it begins");
    let foreign = rig.process().cache;
    foreign.declare::<Renamed>("renamed").expect("nothing else was declared");
    foreign.emit(&Renamed { id: "7".to_owned() }).await.expect("it is sent");
    emit(&cache, [8]).await;
    assert_eq!(seen.wait_for(2).await, [8, 8]);
    wait_until("they are counted", DEADLINE, async || {
        [each.stats(), one.stats()].iter().all(|stats| (stats.undecodable, stats.handled) == (1, 1))
    })
    .await;
    assert!(one.dead(10).await.expect("the store answers").is_empty());
}

async fn who_falls_behind_what_is_kept_is_told_of_the_gap(rig: Rig) {
    let cache = rig.process().cache;
    cache.declare_kept::<Renamed>("renamed", 3).expect("nothing else was declared");
    for group in [None, Some("mailers")] {
        let (seen, gaps, gate) =
            (Seen::default(), Arc::<Mutex<Vec<Gap>>>::default(), Arc::new(Semaphore::new(0)));
        let (handled, told, turns) = (seen.clone(), Arc::clone(&gaps), Arc::clone(&gate));
        let subscribe = cache.subscribe(move |event: Renamed| {
            let (handled, turns) = (handled.clone(), Arc::clone(&turns));
            async move {
                handled.add(event.id);
                turns.acquire().await.expect("it is open").forget();
            }
        });
        let subscribe = subscribe.on_gap(move |gap| told.lock().unwrap().push(gap));
        let subscribe = match group {
            Some(group) => subscribe.one(group),
            None => subscribe,
        };
        let subscription = subscribe.await.expect("it begins");
        emit(&cache, [0]).await;
        seen.wait_for(1).await;
        emit(&cache, 1..=10).await;
        gate.add_permits(100);
        assert_eq!(seen.wait_for(4).await, [0, 8, 9, 10], "{group:?}");
        let gaps: Vec<_> = gaps.lock().unwrap().iter().map(|gap| (gap.at_least, gap.exact)).collect();
        assert_eq!(gaps, [(7, true)], "{group:?}");
        assert_eq!(subscription.stats().missed, 7);
        subscription.stop().await;
    }
}

async fn what_a_process_left_when_it_ended_is_given_to_another(rig: Rig) {
    let (cache, seen) = (process(&rig), Seen::default());
    let stream = format!("{{{}:event:renamed}}", rig.namespace());
    let (store, gone) = (rig.store(), Member::new(&stream, "mailers", "gone"));
    let streams = store.streams().expect("it keeps them");
    streams.join(gone).await.expect("the store answers");
    emit(&cache, [1, 2]).await;
    let taken = streams.take(gone, LONG, 1).await.expect("the store answers");
    assert_eq!(taken.items.len(), 1, "and that process ends");
    let silence = Duration::from_millis(200);
    let one = adding(&cache, &seen).one("mailers").silence(silence).await.expect("it begins");
    assert_eq!(seen.wait_for(1).await, [2]);
    if !rig.is_redis() {
        rig.in_memory().1.advance(silence);
    }
    assert_eq!(seen.wait_for(2).await, [2, 1]);
    // Poison that ends each process that handles it is not tried for ever.
    emit(&cache, [3]).await;
    seen.wait_for(3).await;
    one.stop().await;
    emit(&cache, [4]).await;
    for _ in 0..2 {
        wait_until("it is given again", DEADLINE, async || {
            if !rig.is_redis() {
                rig.in_memory().1.advance(silence);
            }
            streams.take(gone, silence, 1).await.expect("the store answers").items.len() == 1
        })
        .await;
    }
    if !rig.is_redis() {
        rig.in_memory().1.advance(silence);
    }
    let two = adding(&cache, &seen).one("mailers").silence(silence).attempts(2).await.expect("it begins");
    wait_until("it is put aside", DEADLINE, async || two.stats().dead == 1).await;
    assert_eq!(seen.ids(), [2, 1, 3], "and not tried by this one");
    let dead = two.dead(10).await.expect("the store answers");
    assert_eq!(dead[0].why(), "2 processes ended while they handled it");
}

async fn who_handles_an_event_for_long_keeps_it(rig: Rig) {
    let (one, other) = (process(&rig), process(&rig));
    let (seen, gate) = (Seen::default(), Arc::new(Semaphore::new(0)));
    let silence = Duration::from_millis(150);
    let mut both = Vec::new();
    for cache in [&one, &other] {
        let (handled, turns) = (seen.clone(), Arc::clone(&gate));
        let subscribe = cache.subscribe(move |event: Renamed| {
            handled.add(event.id);
            let turns = Arc::clone(&turns);
            async move { turns.acquire().await.expect("it is open").forget() }
        });
        both.push(subscribe.one("mailers").silence(silence).await.expect("it begins"));
    }
    emit(&one, [1]).await;
    seen.wait_for(1).await;
    // Twenty times as often as it would have been given to the other.
    for _ in 0..60 {
        tokio::time::sleep(silence / 3).await;
        if !rig.is_redis() {
            rig.in_memory().1.advance(silence / 3);
        }
        assert_eq!(seen.ids(), [1]);
    }
    gate.add_permits(10);
    wait_until("it is handled", DEADLINE, async || {
        both.iter().map(|one| one.stats().handled).sum::<u64>() == 1
    })
    .await;
}

async fn an_event_of_a_transaction_leaves_with_its_commit(rig: Rig) {
    let (cache, seen) = (process(&rig), Seen::default());
    let _subscription = adding(&process(&rig), &seen).await.expect("it begins");
    let transaction = |ids: Vec<u64>, commits: bool| {
        let cache = cache.clone();
        async move {
            emit(&cache, ids).await;
            if commits { Ok(()) } else { Err(()) }
        }
    };
    cache.after_commit(transaction(vec![1], false)).await.expect_err("it is rolled back");
    let within = cache.after_commit(async {
        emit(&cache, [2]).await;
        let stream = cache.clone();
        stream.after_commit(transaction(vec![3], false)).await.expect_err("to the savepoint");
        stream.after_commit(transaction(vec![4], true)).await.expect("it goes on");
        emit(&cache, [5]).await;
        assert!(seen.ids().is_empty(), "nothing is committed");
        Ok::<_, ()>(())
    });
    within.await.expect("it commits");
    assert_eq!(seen.wait_for(3).await, [2, 4, 5]);
    // Nobody knows whether it was committed.
    {
        let mut dropped = pin!(cache.after_commit(async {
            emit(&cache, [6]).await;
            std::future::pending::<Result<(), ()>>().await
        }));
        assert!(dropped.as_mut().now_or_never().is_none());
    }
    emit(&cache, [7]).await;
    assert_eq!(seen.wait_for(4).await, [2, 4, 5, 7]);
}

async fn collected_events_are_plain_data_that_another_process_sends(rig: Rig) {
    let (cache, seen) = (process(&rig), Seen::default());
    let _subscription = adding(&process(&rig), &seen).await.expect("it begins");
    cache.on(|event: &Renamed, evict| evict.key("user", event.id));
    let ((), removals) = cache.collect(emit(&cache, [1, 2])).await;
    assert_eq!(removals.len(), 4);
    assert!(!format!("{removals:?}").contains("Ada"));
    let row = serde_json::to_string(&removals).expect("it has a form");
    let read: Removals = serde_json::from_str(&row).expect("it is the same");
    assert_eq!(read, removals);
    assert!(seen.ids().is_empty());
    // One that knows of no event.
    rig.process().cache.apply(&read).await.expect("it is sent");
    assert_eq!(seen.wait_for(2).await, [1, 2]);
}

async fn a_subscription_ends_where_it_is_dropped_and_at_a_shutdown(rig: Rig) {
    let (cache, other) = (process(&rig), process(&rig));
    let seen: [Seen; 3] = Default::default();
    let dropped = adding(&cache, &seen[0]).await.expect("it begins");
    let one = adding(&cache, &seen[1]).one("mailers").await.expect("it begins");
    let each = adding(&cache, &seen[1]).await.expect("it begins");
    let _stays = adding(&other, &seen[2]).await.expect("it begins");
    drop(dropped);
    emit(&other, [1]).await;
    assert_eq!(seen[1].wait_for(2).await, [1, 1]);
    cache.shutdown().await.expect("nothing is left");
    // A server's store is closed with it, also for the other here.
    if !rig.is_redis() {
        emit(&other, [2]).await;
        assert_eq!(seen[2].wait_for(2).await, [1, 2]);
    }
    assert_eq!((seen[0].ids(), seen[1].ids()), (vec![], vec![1, 1]));
    // They have ended.
    one.stop().await;
    each.stop().await;
}

async fn clearing_leaves_events(rig: Rig) {
    let (cache, seen) = (process(&rig), Seen::default());
    let first = adding(&cache, &seen).one("mailers").await.expect("it begins");
    first.stop().await;
    emit(&cache, [1]).await;
    cache.set("n", 1, &7).await.expect("it is stored");
    cache.clear().await.expect("it is cleared");
    let _second = adding(&cache, &seen).one("mailers").await.expect("it begins");
    assert_eq!(seen.wait_for(1).await, [1]);
}

cachemacro_tests::on_both_stores!(
    each_process_handles_each_event_from_when_it_joined_in_order,
    who_hears_of_an_event_finds_what_it_was_about_evicted,
    one_process_of_a_group_handles_an_event_and_each_group_all,
    events_of_a_group_wait_while_nobody_of_it_is_there,
    what_fails_is_tried_again_and_put_aside_at_last,
    a_handler_that_panics_has_failed_and_goes_on,
    what_cannot_be_decoded_is_counted_and_skipped,
    who_falls_behind_what_is_kept_is_told_of_the_gap,
    what_a_process_left_when_it_ended_is_given_to_another,
    who_handles_an_event_for_long_keeps_it,
    an_event_of_a_transaction_leaves_with_its_commit,
    collected_events_are_plain_data_that_another_process_sends,
    a_subscription_ends_where_it_is_dropped_and_at_a_shutdown,
    clearing_leaves_events,
);

#[tokio::test]
async fn what_is_wrong_is_said_before_anything_begins() {
    let cache = Cache::memory();
    let kind = |result: cachemacro::Result<()>| result.map_err(|error| error.kind());
    assert_eq!(kind(cache.declare::<Renamed>("")), Err(ErrorKind::Config));
    assert_eq!(kind(cache.declare_kept::<Renamed>("renamed", 0)), Err(ErrorKind::Config));
    assert_eq!(kind(cache.declare::<Renamed>("renamed")), Ok(()));
    assert_eq!(kind(cache.declare::<Renamed>("renamed")), Ok(()), "the same again is the same");
    assert_eq!(kind(cache.declare::<Renamed>("moved")), Err(ErrorKind::Config));
    assert_eq!(kind(cache.declare::<u64>("renamed")), Err(ErrorKind::Config));
    let seen = Seen::default();
    let wrong = [
        adding(&cache, &seen).one(""),
        adding(&cache, &seen).one("g").attempts(0),
        adding(&cache, &seen).one("g").at_once(0),
        adding(&cache, &seen).one("g").silence(Duration::ZERO),
    ];
    for subscribe in wrong {
        assert_eq!(subscribe.await.map(drop).map_err(|error| error.kind()), Err(ErrorKind::Config));
    }
    // What is not declared is nobody's but the handlers' of this process.
    assert_eq!(cache.emit(&7_u8).await.map_err(|error| error.kind()), Ok(0));
}

#[tokio::test]
async fn an_event_that_cannot_be_sent_is_told_and_its_evicts_are_done() {
    let cache = Cache::builder().memory().max_value(100).namespace(&namespace()).build().expect("acceptable");
    cache.declare::<Renamed>("renamed").expect("nothing else was declared");
    cache.on(|event: &Renamed, evict| evict.key("user", event.id));
    cache.set("user", 7, &1).await.expect("it is stored");
    let large = Renamed { id: 7, name: "x".repeat(200) };
    assert_eq!(cache.emit(&large).await.map_err(|error| error.kind()), Err(ErrorKind::TooLarge));
    assert!(!cache.has::<i32>("user", 7).await.expect("the store answers"));
}
