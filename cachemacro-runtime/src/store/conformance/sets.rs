//! Storing without a lease: always, or where nothing changed since.

use crate::store::messages::lease::LeaseKind::Load;

use crate::format::ids::{FillId, Token};
use crate::store::messages::write::{OnRefusal, Write};

use super::env::{Env, LONG, SHORT, assert_taken, changed_since, load_fill, put_fill, race};

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
    assert!(!env.compare_and_set(&key, 4, 6).await);
    assert!(!env.compare_and_set(&key, 0, 6).await);
    assert_eq!(env.header(&key).await.fill_id, FillId::new(5));
    assert!(env.compare_and_set(&key, 5, 6).await);
    assert_eq!(env.header(&key).await.fill_id, FillId::new(6));
    assert!(!env.compare_and_set(&key, 5, 7).await, "once");
    let value = env.value(7);
    assert!(env.write(Write { life: SHORT, ..changed_since(&key, 6, value.clone()) }).await);
    assert_eq!(env.entry(&key).await, Some(value));
    assert!(env.life_left(&key).await.unwrap() <= SHORT);
}

pub(super) async fn compare_and_set_over_nothing_expects_nothing(env: &Env) {
    let key = env.key("k");
    assert!(!env.compare_and_set(&key, 5, 6).await);
    assert_eq!(env.entry(&key).await, None);
    assert!(env.compare_and_set(&key, 0, 6).await);
    env.assert_life(&key, LONG).await;
    assert!(!env.compare_and_set(&key, 0, 7).await, "something is there now");
}

pub(super) async fn pending_and_gone_entries_compare_as_nothing(env: &Env) {
    let pending = env.key("pending");
    env.take(&pending, 1).await;
    assert!(!env.compare_and_set(&pending, 1, 6).await);
    assert!(env.compare_and_set(&pending, 0, 6).await);
    assert!(!env.fill(&pending, 1, 10).await, "the lease ended");

    let gone = env.key("gone");
    env.set_bytes(&gone, env.value_gone_after(5, SHORT), LONG).await;
    env.pass(SHORT).await;
    assert!(!env.compare_and_set(&gone, 5, 6).await);
    assert!(env.compare_and_set(&gone, 0, 6).await);
    assert_eq!(env.header(&gone).await.fill_id, FillId::new(6));
}

pub(super) async fn compare_and_set_ends_the_lease_over_the_value(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease(&key, Load, 1, 5).await);
    assert!(!env.compare_and_set(&key, 4, 6).await);
    assert_eq!(env.header(&key).await.token, Token::new(1), "a refused one leaves the lease");
    assert!(env.compare_and_set(&key, 5, 6).await);
    assert!(!env.fill(&key, 1, 10).await);
    assert_eq!(env.header(&key).await.fill_id, FillId::new(6));
}

pub(super) async fn a_refused_compare_and_set_may_unlink_what_is_there(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    let write = |seen| changed_since(&key, seen, env.value(6)).with_on_refusal(OnRefusal::Unlink);
    assert!(!env.write(write(4)).await);
    assert_eq!(env.entry(&key).await, None);
    assert!(env.write(write(0)).await);
    assert!(env.write(write(6)).await);
    assert_eq!(env.header(&key).await.fill_id, FillId::new(6), "an accepted one is not unlinked");
}

pub(super) async fn writes_of_all_guards_are_decided_one_by_one(env: &Env) {
    let keys = ["leased", "seen", "free", "lost", "changed"].map(|name| env.key(name));
    env.take(&keys[0], 1).await;
    env.set(&keys[1], 5).await;
    env.set(&keys[4], 5).await;
    let check = [env.version_key("v")];
    let version = env.capture(&check, LONG).await;
    let writes = [
        load_fill(&keys[0], 1, env.value(10)),
        changed_since(&keys[1], 5, env.value(11)).with_check(&check),
        Write::new(&keys[2], env.value(12), LONG).with_check(&check),
        put_fill(&keys[3], 2, env.value(13)),
        changed_since(&keys[4], 4, env.value(14)),
    ];
    let written = env.store.write(&writes).await.unwrap();
    let accepted: Vec<_> = written.iter().map(|written| written.accepted).collect();
    assert_eq!(accepted, [true, true, true, false, false]);
    let version = vec![Some(version[0])];
    assert_eq!(written[1].versions, version);
    assert_eq!(written[2].versions, version);
    assert!([0, 3, 4].iter().all(|at| written[*at].versions.is_empty()));
    for (key, fill_id) in keys.iter().zip([10, 11, 12]) {
        assert_eq!(env.header(key).await.fill_id, FillId::new(fill_id));
    }
    assert_eq!(env.entry(&keys[3]).await, None);
    assert_eq!(env.header(&keys[4]).await.fill_id, FillId::new(5));
}

pub(super) async fn of_racing_compare_and_sets_one_wins(env: &Env) {
    for seen in [0, 5] {
        let key = env.key(&format!("seen {seen}"));
        if seen != 0 {
            env.set(&key, seen).await;
        }
        let stored = race(16, |number| {
            let (env, key) = (env.clone(), key.clone());
            async move { env.compare_and_set(&key, seen, 100 + number).await }
        })
        .await;
        let winners: Vec<_> = (100..).zip(stored).filter(|(_, stored)| *stored).collect();
        assert_eq!(winners.len(), 1);
        assert_eq!(env.header(&key).await.fill_id, FillId::new(winners[0].0));
    }
}
