//! Waiting for an entry to change, where the store tells of changes.

use std::time::{Duration, Instant};

use crate::format::ids::FillId;

use super::env::{Env, LONG, SHORT};

pub(super) async fn a_wait_ends_by_its_time_at_the_latest(env: &Env) {
    let Some(changes) = env.store.changes() else { return };
    let (key, start) = (env.key("k"), Instant::now());
    let wait = changes.changed(&key, Duration::from_millis(50));
    tokio::time::timeout(LONG / 2, wait).await.expect("nothing changed, and the wait ends all the same");
    assert!(start.elapsed() < LONG / 2);
}

pub(super) async fn one_who_waits_for_a_fill_gets_to_see_it(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    let waiter = tokio::spawn({
        let (env, key) = (env.clone(), key.clone());
        async move {
            let Some(changes) = env.store.changes() else { return };
            while env.header(&key).await.fill_id != FillId::new(10) {
                changes.changed(&key, SHORT).await;
            }
        }
    });
    tokio::task::yield_now().await;
    assert!(env.fill(&key, 1, 10).await);
    tokio::time::timeout(LONG / 2, waiter).await.expect("the waiter is told").unwrap();
}
