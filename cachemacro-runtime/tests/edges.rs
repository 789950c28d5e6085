//! The far ends of the direct API: the longest durations, damaged entries, modes, and what debug output shows.

use std::collections::HashMap;
use std::time::Duration;

use cachemacro_runtime::{Cache, Lookup, Policy};

#[tokio::test]
async fn the_longest_durations_are_as_good_as_any() {
    let cache = Cache::builder().memory().wait(Duration::MAX).deadline(Duration::MAX).lease(Duration::MAX);
    let cache = cache.ttl(Duration::MAX).jitter(100).build().expect("acceptable settings");
    let entry = cache.entry::<u32>("n", &1);
    let slow = async || {
        tokio::task::yield_now().await;
        7
    };
    assert_eq!(entry.get_or_load(slow).await, 7);
    assert_eq!(entry.get().await.expect("memory does not fail"), Some(7));
    entry.update(|n| n.unwrap_or_default() + 1).await.expect("it is stored");
    let Lookup::Hit(8) = entry.lookup().await.expect("memory does not fail") else { panic!("it is there") };
    let found = cache.get_or_load_many("n", [2], async |ids: Vec<u32>| {
        tokio::task::yield_now().await;
        ids.into_iter().map(|id| (id, id)).collect::<HashMap<_, u32>>()
    });
    assert_eq!(found.await[&2], 2);
}

#[tokio::test]
async fn a_spread_of_more_than_everything_is_everything() {
    let policy = Policy { jitter: Some(255), ..Policy::DEFAULT };
    for id in 0..50 {
        let entry = Cache::memory().entry::<u32>("n", &id).with_policy(policy);
        entry.set(&1).await.expect("memory does not fail");
    }
}
