//! Cache-aside by hand searches like a load and like a batch: the same looks, the same requests, the same end.
//!
//! | without | fails |
//! |---|---|
//! | the bytes that come with a refused lease are judged | `a_lookup_takes_the_value_that_came_instead_of_the_lease_without_a_second_read` |
//! | a search ends at the third value that it turns down | `a_key_that_others_keep_storing_unusably_is_given_up_on_by_every_kind_of_call` |

use std::collections::HashMap;

use cachemacro::store::faults::Op;
use cachemacro::{Entry, Lookup};
use cachemacro_tests::halt::Point::Before;
use cachemacro_tests::halt::{Halted, reached};
use cachemacro_tests::{DEADLINE, Process, Rig, on_both_stores};
use tokio::time::timeout;

const VALUE: &str = "a value";

fn entry(process: &Process) -> Entry<String> {
    process.cache.entry("row", 7).with_tags(["tag"])
}

async fn a_lookup_takes_the_value_that_came_instead_of_the_lease_without_a_second_read(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let lookup = Halted::start(&here, Before(Op::Lease), |_| {
        let entry = entry(&here);
        tokio::spawn(async move { entry.lookup().await })
    })
    .await;
    entry(&there).set(&VALUE.to_owned()).await.expect("set");
    let Lookup::Hit(found) = lookup.end().await.expect("the store answers") else { panic!("it was set") };
    assert_eq!(*found, VALUE);
    assert_eq!((here.faults.count(Op::Read), here.faults.count(Op::Lease)), (1, 1));
    let stats = here.cache.stats().total;
    assert_eq!((stats.hits, stats.misses()), (1, 0), "each lookup counts once");
}

async fn a_lookup_that_waited_asks_for_the_lease_again_without_a_second_read(rig: Rig) {
    let (here, there) = (rig.process(), rig.process());
    let Ok(Lookup::Vacant(vacancy)) = entry(&there).lookup().await else { panic!("nothing is there") };
    let lookup = Halted::start(&here, Before(Op::Changed), |_| {
        let entry = entry(&here);
        tokio::spawn(async move { entry.lookup().await })
    })
    .await;
    assert!(vacancy.fill(&VALUE.to_owned()).await.expect("a small value").is_stored());
    let Lookup::Hit(found) = lookup.end().await.expect("the store answers") else { panic!("it was filled") };
    assert_eq!((found.as_str(), here.faults.count(Op::Read), here.faults.count(Op::Lease)), (VALUE, 1, 2));
}

/// What `call` returns, and how often it asks for a lease, while another deploy stores what `call` cannot use before each
/// of its requests.
async fn asked<T>(rig: &Rig, call: impl AsyncFnOnce(&Process) -> T) -> (T, u64) {
    let (here, other) = (rig.process(), rig.process());
    let foreign = other.cache.entry::<Vec<u32>>("row", 7);
    let gates: Vec<_> = (0..9).map(|_| here.faults.gate(Op::Lease)).collect();
    let store = async {
        for gate in gates {
            reached(&gate).await;
            foreign.set(&vec![1, 2, 3]).await.expect("set");
            gate.open();
        }
    };
    let ended = tokio::select! {
        ended = timeout(DEADLINE, call(&here)) => ended.expect("it gives up"),
        () = store => panic!("it never gives up"),
    };
    (ended, here.faults.count(Op::Lease))
}

async fn a_key_that_others_keep_storing_unusably_is_given_up_on_by_every_kind_of_call(rig: Rig) {
    let load = async |here: &Process| entry(here).get_or_load(async || VALUE.to_owned()).await;
    assert_eq!(asked(&rig, load).await, (VALUE.to_owned(), 3));

    let batch = async |here: &Process| {
        let load = async |ids: Vec<u32>| {
            Ok::<_, ()>(ids.into_iter().map(|id| (id, VALUE.to_owned())).collect::<HashMap<_, _>>())
        };
        here.cache.try_get_or_load_many([7_u32], |_| entry(here), load).await
    };
    assert_eq!(asked(&rig, batch).await, (Ok(HashMap::from([(7, VALUE.to_owned())])), 3));

    let lookup = async |here: &Process| entry(here).lookup().await.expect("the store answers");
    let (Lookup::Vacant(vacancy), 3) = asked(&rig, lookup).await else { panic!("three looks") };
    assert!(!vacancy.is_held());
}

on_both_stores!(
    a_lookup_takes_the_value_that_came_instead_of_the_lease_without_a_second_read,
    a_lookup_that_waited_asks_for_the_lease_again_without_a_second_read,
    a_key_that_others_keep_storing_unusably_is_given_up_on_by_every_kind_of_call,
);
