//! Streams and their groups, where the store keeps them.

use std::time::Duration;

use super::env::{Env, LONG, SHORT};
use crate::store::streams::{Member, Place, Streams, Taken};

/// So many are kept where that is not what a case is about.
const KEEP: usize = 100;

/// The key of a stream; with all that belongs to it in one slot of a cluster.
fn named(env: &Env, name: &str) -> String {
    format!("{{{}}}", env.key(name))
}

fn payloads(taken: &Taken) -> Vec<&[u8]> {
    taken.items.iter().map(|given| &given.item.payload[..]).collect()
}

async fn append(streams: &dyn Streams, stream: &str, all: &[&'static str]) -> Vec<Place> {
    let mut places = Vec::new();
    for payload in all {
        places.push(streams.append(stream, (*payload).into(), KEEP).await.unwrap());
    }
    places
}

pub(super) async fn items_are_numbered_and_read_in_their_order(env: &Env) {
    let Some(streams) = env.store.streams() else { return };
    let stream = named(env, "s");
    let begin = streams.end(&stream).await.unwrap();
    assert_eq!(begin, Place::default());
    let places = append(streams, &stream, &["a", "b", "c"]).await;
    let first = places[0];
    assert_eq!(places, [0, 1, 2].map(|at| Place::new(first.number, first.number + at)));
    assert_eq!(streams.end(&stream).await.unwrap(), places[2]);
    let all = streams.after(&stream, begin, 10).await.unwrap();
    assert_eq!(all.iter().map(|item| &item.payload[..]).collect::<Vec<_>>(), [b"a", b"b", b"c"]);
    assert_eq!(all.iter().map(|item| item.place).collect::<Vec<_>>(), places);
    let some = streams.after(&stream, places[0], 1).await.unwrap();
    assert_eq!(some.iter().map(|item| item.place).collect::<Vec<_>>(), [places[1]]);
    assert!(streams.after(&stream, places[2], 10).await.unwrap().is_empty());
    assert!(streams.after(&named(env, "other"), begin, 10).await.unwrap().is_empty());
}

pub(super) async fn a_stream_keeps_its_last_items_and_goes_on_counting(env: &Env) {
    let Some(streams) = env.store.streams() else { return };
    let stream = named(env, "s");
    for number in 0..10 {
        streams.append(&stream, vec![number].into(), 3).await.unwrap();
    }
    let kept = streams.after(&stream, Place::default(), 100).await.unwrap();
    assert_eq!(kept.iter().map(|item| item.payload[0]).collect::<Vec<_>>(), [7, 8, 9]);
    assert_eq!(Place::default().missed(kept[0].place), (7, true));
    assert_eq!(kept[0].place.missed(kept[2].place), (1, true));
}

pub(super) async fn who_waits_for_a_stream_hears_of_an_item(env: &Env) {
    let Some(streams) = env.store.streams() else { return };
    let stream = named(env, "s");
    let begin = streams.end(&stream).await.unwrap();
    let reader = async {
        loop {
            let found = streams.after(&stream, begin, 10).await.unwrap();
            if !found.is_empty() {
                return found;
            }
            streams.grown(&stream, begin, LONG).await;
        }
    };
    let (found, _) = tokio::join!(reader, append(streams, &stream, &["a"]));
    assert_eq!(found.len(), 1);
    // What is there already is not waited for.
    streams.grown(&stream, begin, LONG).await;
}

pub(super) async fn of_a_group_each_item_is_given_once(env: &Env) {
    let Some(streams) = env.store.streams() else { return };
    let stream = named(env, "s");
    let [one, other] = ["1", "2"].map(|name| Member::new(&stream, "g", name));
    append(streams, &stream, &["before"]).await;
    streams.join(one).await.unwrap();
    let places = append(streams, &stream, &["a", "b", "c"]).await;
    streams.join(other).await.unwrap();
    let first = streams.take(one, LONG, 2).await.unwrap();
    assert_eq!(payloads(&first), [b"a", b"b"]);
    assert_eq!(first.items.iter().map(|given| given.item.place).collect::<Vec<_>>(), places[..2]);
    assert!(first.items.iter().all(|given| given.tries == 1) && first.missed == 0 && first.exact);
    let second = streams.take(other, LONG, 2).await.unwrap();
    assert_eq!(payloads(&second), [b"c"]);
    assert!(streams.take(one, LONG, 2).await.unwrap().items.is_empty());
    // Another group is given all.
    let third = Member::new(&stream, "h", "1");
    streams.join(third).await.unwrap();
    append(streams, &stream, &["d"]).await;
    assert_eq!(payloads(&streams.take(third, LONG, 9).await.unwrap()), [b"d"]);
    assert_eq!(payloads(&streams.take(other, LONG, 9).await.unwrap()), [b"d"]);
}

pub(super) async fn what_nobody_holds_is_given_to_another_and_what_is_finished_to_nobody(env: &Env) {
    let Some(streams) = env.store.streams() else { return };
    let stream = named(env, "s");
    let [one, other] = ["1", "2"].map(|name| Member::new(&stream, "g", name));
    streams.join(one).await.unwrap();
    let places = append(streams, &stream, &["done", "held", "left"]).await;
    assert_eq!(streams.take(one, LONG, 3).await.unwrap().items.len(), 3);
    streams.finish(one, places[0].number).await.unwrap();
    env.pass(SHORT).await;
    streams.hold(one, &[places[1].number]).await.unwrap();
    let taken = streams.take(other, SHORT, 9).await.unwrap();
    assert_eq!(payloads(&taken), [b"left"]);
    assert_eq!(taken.items[0].tries, 2);
    env.pass(SHORT).await;
    let taken = streams.take(other, SHORT, 9).await.unwrap();
    assert_eq!(payloads(&taken), [b"held", b"left"]);
    assert_eq!(taken.items.iter().map(|given| given.tries).collect::<Vec<_>>(), [2, 3]);
    assert!(taken.missed == 0 && taken.exact);
}

pub(super) async fn what_a_group_missed_is_counted(env: &Env) {
    let Some(streams) = env.store.streams() else { return };
    let stream = named(env, "s");
    let one = Member::new(&stream, "g", "1");
    streams.join(one).await.unwrap();
    for _ in 0..5 {
        streams.append(&stream, "x".into(), 2).await.unwrap();
    }
    let taken = streams.take(one, LONG, 1).await.unwrap();
    assert_eq!((taken.items.len(), taken.missed, taken.exact), (1, 3, true), "those before the last two");
    for _ in 0..4 {
        streams.append(&stream, "x".into(), 2).await.unwrap();
    }
    let taken = streams.take(one, LONG, 9).await.unwrap();
    assert_eq!((taken.items.len(), taken.missed), (2, 3));
    // Given, and not kept until it was given again: with those two, the one of before is gone.
    env.pass(SHORT).await;
    for _ in 0..2 {
        streams.append(&stream, "x".into(), 2).await.unwrap();
    }
    let taken = streams.take(one, SHORT, 9).await.unwrap();
    assert_eq!((taken.items.len(), taken.missed), (2, 3));
}

pub(super) async fn what_was_put_aside_is_listed_until_it_is_forgotten(env: &Env) {
    let Some(streams) = env.store.streams() else { return };
    let stream = named(env, "s");
    let one = Member::new(&stream, "g", "1");
    streams.join(one).await.unwrap();
    append(streams, &stream, &["a", "b", "c"]).await;
    let taken = streams.take(one, LONG, 9).await.unwrap();
    let items: Vec<_> = taken.items.iter().map(|given| &given.item).collect();
    streams.finish(one, items[2].place.number).await.unwrap();
    for (item, why) in items.iter().zip(["no such user", "timed out", "was done before"]) {
        streams.bury(one, item, why).await.unwrap();
    }
    let buried = streams.buried(one, 9).await.unwrap();
    assert_eq!(buried.iter().map(|buried| &buried.item).collect::<Vec<_>>(), items[..2]);
    assert_eq!(buried[0].why, "no such user");
    assert_eq!(streams.buried(one, 1).await.unwrap(), buried[..1]);
    assert!(streams.unbury(one, &buried[0].id).await.unwrap());
    assert!(!streams.unbury(one, &buried[0].id).await.unwrap());
    assert_eq!(streams.buried(one, 9).await.unwrap(), buried[1..]);
    env.pass(SHORT).await;
    assert!(
        streams.take(one, Duration::from_millis(1), 9).await.unwrap().items.is_empty(),
        "nobody is given it"
    );
}

pub(super) async fn who_leaves_takes_nothing_along(env: &Env) {
    let Some(streams) = env.store.streams() else { return };
    let stream = named(env, "s");
    let [one, other] = ["1", "2"].map(|name| Member::new(&stream, "g", name));
    streams.join(one).await.unwrap();
    streams.leave(one).await.unwrap();
    append(streams, &stream, &["a"]).await;
    assert_eq!(streams.take(one, LONG, 9).await.unwrap().items.len(), 1);
    streams.leave(one).await.unwrap();
    env.pass(SHORT).await;
    assert_eq!(payloads(&streams.take(other, SHORT, 9).await.unwrap()), [b"a"]);
}
