//! Storing without a lease: always, or where nothing changed since.

use cachemacro_runtime::store::LeaseKind::Load;

use super::{Env, LONG, SHORT, assert_taken, race};

async fn compare_and_set(env: &Env, key: &str, seen: u64, fill_id: u64) -> bool {
    env.store.compare_and_set(key, seen, env.value(fill_id), LONG).await.unwrap()
}

pub(super) async fn a_set_ends_any_lease(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    let value = env.set(&key, 5).await;
    assert!(!env.fill(&key, 1, 10).await);
    assert!(!env.renew(&key, 1, LONG).await);
    assert_taken(&env.lease(&key, Load, 2, 5).await);
    env.set(&key, 6).await;
    assert!(!env.fill(&key, 2, 10).await);
    assert_ne!(env.entry(&key).await, Some(value));
}

pub(super) async fn compare_and_set_stores_over_the_value_that_was_seen(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert!(!compare_and_set(env, &key, 4, 6).await);
    assert!(!compare_and_set(env, &key, 0, 6).await);
    assert_eq!(env.header(&key).await.fill_id, 5);
    assert!(compare_and_set(env, &key, 5, 6).await);
    assert_eq!(env.header(&key).await.fill_id, 6);
    assert!(!compare_and_set(env, &key, 5, 7).await, "once");
    let value = env.value(7);
    assert!(env.store.compare_and_set(&key, 6, value.clone(), SHORT).await.unwrap());
    assert_eq!(env.entry(&key).await, Some(value));
    assert!(env.life_left(&key).await.unwrap() <= SHORT);
}

pub(super) async fn compare_and_set_over_nothing_expects_nothing(env: &Env) {
    let key = env.key("k");
    assert!(!compare_and_set(env, &key, 5, 6).await);
    assert_eq!(env.entry(&key).await, None);
    assert!(compare_and_set(env, &key, 0, 6).await);
    env.assert_life(&key, LONG).await;
    assert!(!compare_and_set(env, &key, 0, 7).await, "something is there now");
}

pub(super) async fn pending_and_gone_entries_compare_as_nothing(env: &Env) {
    let pending = env.key("pending");
    env.take(&pending, 1).await;
    assert!(!compare_and_set(env, &pending, 1, 6).await);
    assert!(compare_and_set(env, &pending, 0, 6).await);
    assert!(!env.fill(&pending, 1, 10).await, "the lease ended");

    let gone = env.key("gone");
    env.store.set(&gone, env.value_gone_after(5, SHORT), LONG).await.unwrap();
    env.pass(SHORT).await;
    assert!(!compare_and_set(env, &gone, 5, 6).await);
    assert!(compare_and_set(env, &gone, 0, 6).await);
    assert_eq!(env.header(&gone).await.fill_id, 6);
}

pub(super) async fn compare_and_set_ends_the_lease_over_the_value(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease(&key, Load, 1, 5).await);
    assert!(!compare_and_set(env, &key, 4, 6).await);
    assert_eq!(env.header(&key).await.token, 1, "a refused one leaves the lease");
    assert!(compare_and_set(env, &key, 5, 6).await);
    assert!(!env.fill(&key, 1, 10).await);
    assert_eq!(env.header(&key).await.fill_id, 6);
}

pub(super) async fn of_racing_compare_and_sets_one_wins(env: &Env) {
    for seen in [0, 5] {
        let key = env.key(&format!("seen {seen}"));
        if seen != 0 {
            env.set(&key, seen).await;
        }
        let stored = race(16, |number| {
            let (env, key) = (env.clone(), key.clone());
            async move { compare_and_set(&env, &key, seen, 100 + number).await }
        })
        .await;
        let winners: Vec<_> = (100..).zip(stored).filter(|(_, stored)| *stored).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(env.header(&key).await.fill_id, winners[0].0);
    }
}
