//! Waiting for an entry to change.

use std::time::{Duration, Instant};

use super::{Env, LONG, SHORT};

pub(super) async fn a_wait_ends_by_its_time_at_the_latest(env: &Env) {
    let (key, start) = (env.key("k"), Instant::now());
    let wait = env.store.changed(&key, Duration::from_millis(50));
    tokio::time::timeout(LONG / 2, wait).await.expect("nothing changed, and the wait ends all the same");
    assert!(start.elapsed() < LONG / 2);
}

pub(super) async fn one_who_waits_for_a_fill_gets_to_see_it(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    let waiter = tokio::spawn({
        let (env, key) = (env.clone(), key.clone());
        async move {
            while env.header(&key).await.fill_id != 10 {
                env.store.changed(&key, SHORT).await;
            }
        }
    });
    tokio::task::yield_now().await;
    assert!(env.fill(&key, 1, 10).await);
    tokio::time::timeout(LONG / 2, waiter).await.expect("the waiter is told").unwrap();
}
