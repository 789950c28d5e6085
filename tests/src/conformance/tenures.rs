//! Renewing a held lease, and giving it back.

use cachemacro_runtime::header::PUT;
use cachemacro_runtime::store::LeaseKind::{Load, Put, Refresh};

use super::{Env, LONG, SHORT, assert_busy, assert_taken};

pub(super) async fn a_renewed_lease_outlives_its_first_deadline(env: &Env) {
    let key = env.key("k");
    assert_taken(&env.lease_for(&key, Load, 1, 0, SHORT).await);
    assert!(env.renew(&key, 1, LONG).await);
    env.assert_life(&key, LONG).await;
    env.pass(SHORT).await;
    assert_busy(&env.lease(&key, Load, 2, 0).await);
    assert!(env.fill(&key, 1, 10).await);
}

pub(super) async fn a_lease_over_a_value_is_renewed_with_the_value_in_place(env: &Env) {
    let key = env.key("k");
    env.store.set(&key, env.value_gone_after(5, LONG), SHORT).await.unwrap();
    assert_taken(&env.lease_for(&key, Put, 1, 0, SHORT).await);
    assert!(env.renew(&key, 1, LONG).await);
    env.pass(SHORT).await;
    let header = env.header(&key).await;
    assert!(header.is_leased(env.store.now()) && header.has(PUT));
    assert_eq!((header.fill_id, header.token), (5, 1), "the key lives as long as the lease");
}

pub(super) async fn renewing_never_shortens_a_values_life(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease(&key, Load, 1, 5).await);
    assert!(env.renew(&key, 1, SHORT).await);
    env.assert_life(&key, LONG).await;
}

pub(super) async fn only_the_holder_renews(env: &Env) {
    let key = env.key("k");
    assert!(!env.renew(&key, 1, LONG).await, "nothing there");
    assert_eq!(env.entry(&key).await, None, "and nothing made");
    assert_taken(&env.lease_for(&key, Load, 1, 0, SHORT).await);
    assert!(!env.renew(&key, 2, LONG).await);
    assert!(!env.renew(&key, 0, LONG).await);
    env.pass(SHORT).await;
    assert_eq!(env.entry(&key).await, None, "a stranger does not prolong it");
    env.set(&key, 5).await;
    assert!(!env.renew(&key, 1, LONG).await);
    assert!(!env.renew(&key, 0, LONG).await, "zero is nobody's token");
    assert_eq!(env.header(&key).await.token, 0);
}

pub(super) async fn an_evicted_lease_is_not_renewed(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    env.evict(&key).await;
    assert!(!env.renew(&key, 1, LONG).await);
    assert_eq!(env.entry(&key).await, None);
}

pub(super) async fn a_released_pending_lease_leaves_nothing(env: &Env) {
    for (kind, name) in [(Load, "load"), (Put, "put"), (Refresh, "refresh")] {
        let key = env.key(name);
        assert_taken(&env.lease(&key, kind, 1, 0).await);
        assert!(env.release(&key, 1).await);
        assert_eq!(env.entry(&key).await, None);
        assert!(!env.release(&key, 1).await, "once");
        env.take(&key, 2).await;
    }
}

pub(super) async fn a_lease_released_over_a_value_leaves_the_value(env: &Env) {
    let key = env.key("k");
    let value = env.set(&key, 5).await;
    assert_taken(&env.lease(&key, Put, 1, 0).await);
    assert!(env.release(&key, 1).await);
    assert_eq!(env.entry(&key).await, Some(value), "as if there had been no lease");
    env.assert_life(&key, LONG).await;
    assert!(!env.fill(&key, 1, 6).await);
    assert_taken(&env.lease(&key, Refresh, 2, 5).await);
}

pub(super) async fn only_the_holder_releases(env: &Env) {
    let key = env.key("k");
    assert!(!env.release(&key, 1).await, "nothing there");
    env.take(&key, 1).await;
    assert!(!env.release(&key, 2).await);
    assert!(!env.release(&key, 0).await);
    assert!(env.fill(&key, 1, 5).await);
    assert!(!env.release(&key, 1).await, "filled is not held");
    assert!(!env.release(&key, 0).await, "zero is nobody's token");
    assert_eq!(env.header(&key).await.fill_id, 5);
}
