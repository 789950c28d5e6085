//! Queues of writes, where the store keeps them.

use super::env::{Env, LONG, SHORT};
use crate::store::queues::{Accepted, Queues, Settle};

/// So many writes may be queued where that is not what a case is about.
const MOST: usize = 100;

/// The key of a partition; with all that belongs to it in one slot of a cluster.
fn partition(env: &Env) -> String {
    format!("{{{}}}", env.key("p"))
}

async fn accept(queues: &dyn Queues, partition: &str, key: &str, write: &'static str) -> u64 {
    match queues.accept(partition, key, write.into(), MOST).await.unwrap() {
        Accepted::As(number) => number,
        Accepted::Full => panic!("there is room"),
    }
}

pub(super) async fn writes_are_queued_in_the_order_in_which_they_were_accepted(env: &Env) {
    let Some(queues) = env.store.queues() else { return };
    let partition = partition(env);
    assert!(queues.queued(&partition, 0, 9).await.unwrap().is_empty());
    let mut numbers = Vec::new();
    for (key, write) in [("a", "1"), ("b", "2"), ("a", "3")] {
        numbers.push(accept(queues, &partition, key, write).await);
    }
    assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
    let queued = queues.queued(&partition, 0, 9).await.unwrap();
    let told: Vec<_> = queued.iter().map(|queued| (queued.number, &*queued.key, &queued.write[..])).collect();
    assert_eq!(told, [(numbers[0], "a", &b"1"[..]), (numbers[1], "b", b"2"), (numbers[2], "a", b"3")]);
    assert_eq!(queues.queued(&partition, numbers[0], 1).await.unwrap(), queued[1..2]);
    assert_eq!(queues.depth(&partition).await.unwrap().count, 3);
    assert!(queues.depth(&partition).await.unwrap().oldest.is_some());
}

pub(super) async fn a_full_partition_accepts_nothing(env: &Env) {
    let Some(queues) = env.store.queues() else { return };
    let partition = partition(env);
    accept(queues, &partition, "a", "1").await;
    let refused = queues.accept(&partition, "b", "2".into(), 1).await.unwrap();
    assert_eq!(refused, Accepted::Full);
    assert_eq!(queues.pending(&partition, "b").await.unwrap(), None);
    assert_eq!(queues.depth(&partition).await.unwrap().count, 1);
}

pub(super) async fn the_newest_write_of_a_key_is_pending_until_it_is_settled(env: &Env) {
    let Some(queues) = env.store.queues() else { return };
    let partition = partition(env);
    let first = accept(queues, &partition, "a", "1").await;
    assert_eq!(queues.pending(&partition, "a").await.unwrap(), Some("1".into()));
    let fence = queues.own(&partition, "one", LONG).await.unwrap().expect("nobody owns it");
    let second = accept(queues, &partition, "a", "2 with blanks").await;
    assert!(queues.settle(&partition, fence, Settle::new(&[first], &[("a", first)])).await.unwrap());
    assert_eq!(queues.pending(&partition, "a").await.unwrap(), Some("2 with blanks".into()), "newer");
    assert_eq!(queues.queued(&partition, 0, 9).await.unwrap().len(), 1);
    assert!(queues.settle(&partition, fence, Settle::new(&[second], &[("a", second)])).await.unwrap());
    assert_eq!(queues.pending(&partition, "a").await.unwrap(), None);
    let third = accept(queues, &partition, "a", "3").await;
    assert!(third > second, "numbers go on");
    assert!(queues.settle(&partition, fence, Settle::new(&[], &[("a", third)])).await.unwrap());
    assert_eq!(queues.pending(&partition, "a").await.unwrap(), None);
    assert_eq!(queues.queued(&partition, 0, 9).await.unwrap()[0].number, third, "it is queued still");
}

pub(super) async fn one_owns_a_partition_until_its_lease_lapses(env: &Env) {
    let Some(queues) = env.store.queues() else { return };
    let partition = partition(env);
    let number = accept(queues, &partition, "a", "1").await;
    let settle = Settle::new(std::slice::from_ref(&number), &[]);
    assert!(!queues.settle(&partition, 0, settle).await.unwrap(), "nobody owns it");
    let first = queues.own(&partition, "one", SHORT).await.unwrap().expect("nobody owns it");
    assert_eq!(queues.own(&partition, "one", SHORT).await.unwrap(), Some(first), "it is kept");
    assert_eq!(queues.own(&partition, "other", SHORT).await.unwrap(), None);
    env.pass(SHORT).await;
    assert!(!queues.settle(&partition, first, settle).await.unwrap(), "it has lapsed");
    let second = queues.own(&partition, "other", LONG).await.unwrap().expect("it has lapsed");
    assert!(second > first);
    assert!(!queues.settle(&partition, first, settle).await.unwrap(), "it is another's");
    assert_eq!(queues.queued(&partition, 0, 9).await.unwrap().len(), 1);
    queues.disown(&partition, "one").await.unwrap();
    assert_eq!(queues.own(&partition, "one", LONG).await.unwrap(), None, "it was not its own");
    queues.disown(&partition, "other").await.unwrap();
    let third = queues.own(&partition, "one", LONG).await.unwrap().expect("it was given back");
    assert!(third > second);
    assert!(queues.settle(&partition, third, settle).await.unwrap());
    assert!(queues.queued(&partition, 0, 9).await.unwrap().is_empty());
}

pub(super) async fn what_was_put_aside_is_no_longer_queued(env: &Env) {
    let Some(queues) = env.store.queues() else { return };
    let partition = partition(env);
    let number = accept(queues, &partition, "a", "1").await;
    let fence = queues.own(&partition, "one", LONG).await.unwrap().expect("nobody owns it");
    let queued = queues.queued(&partition, 0, 9).await.unwrap();
    let (numbers, keys) = ([number], [("a", number)]);
    let settle = Settle::new(&numbers, &keys).with_dead(&queued[0], "no such user");
    assert!(!queues.settle(&partition, fence + 1, settle).await.unwrap());
    assert!(queues.dead(&partition, 9).await.unwrap().is_empty());
    assert!(queues.settle(&partition, fence, settle).await.unwrap());
    assert!(queues.queued(&partition, 0, 9).await.unwrap().is_empty());
    assert_eq!(queues.pending(&partition, "a").await.unwrap(), None);
    let dead = queues.dead(&partition, 9).await.unwrap();
    assert_eq!((dead.len(), &dead[0].write, &*dead[0].why), (1, &queued[0], "no such user"));
    assert_eq!(queues.depth(&partition).await.unwrap().dead, 1);
    assert!(queues.forget(&partition, &dead[0].id).await.unwrap());
    assert!(!queues.forget(&partition, &dead[0].id).await.unwrap());
    assert!(queues.dead(&partition, 9).await.unwrap().is_empty());
}
