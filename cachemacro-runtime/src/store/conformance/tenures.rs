//! Renewing a held lease, and giving it back.

use crate::format::header::PUT;
use crate::format::ids::{FillId, Token};
use crate::store::messages::lease::LeaseKind::{Load, Put};

use crate::store::messages::lease::{HeldLease, Keep};

use super::env::{Env, LONG, SHORT, assert_busy, assert_taken};

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
    env.set_bytes(&key, env.value_gone_after(5, LONG), SHORT).await;
    assert_taken(&env.lease_for(&key, Put, 1, 0, SHORT).await);
    assert!(env.renew(&key, 1, LONG).await);
    env.pass(SHORT).await;
    let header = env.header(&key).await;
    assert!(header.is_leased(env.store.now()) && header.has(PUT));
    assert_eq!(
        (header.fill_id, header.token),
        (FillId::new(5), Token::new(1)),
        "the key lives as long as the lease"
    );
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
    assert_eq!(env.header(&key).await.token, Token::NONE);
}

pub(super) async fn an_evicted_lease_is_not_renewed(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    env.evict(&key).await;
    assert!(!env.renew(&key, 1, LONG).await);
    assert_eq!(env.entry(&key).await, None);
}

pub(super) async fn a_released_pending_lease_leaves_nothing(env: &Env) {
    for (kind, name) in [(Load, "load"), (Put, "put")] {
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
    assert_taken(&env.lease(&key, Load, 2, 5).await);
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
    assert_eq!(env.header(&key).await.fill_id, FillId::new(5));
}

pub(super) async fn many_leases_are_kept_one_by_one(env: &Env) {
    let keys = ["held", "another's", "missing", "over a value"].map(|name| env.key(name));
    env.take(&keys[0], 1).await;
    env.take(&keys[1], 100).await;
    let value = env.set(&keys[3], 5).await;
    assert_taken(&env.lease(&keys[3], Put, 4, 5).await);
    let leases: Vec<_> =
        (1..).zip(&keys).map(|(token, key)| HeldLease::new(key, Token::new(token))).collect();
    for how in [Keep::Renew(LONG), Keep::Release] {
        assert_eq!(env.store.keep(&leases, how).await.unwrap(), [true, false, false, true], "{how:?}");
        assert!(env.store.keep(&[], how).await.unwrap().is_empty());
    }
    assert_eq!(env.entry(&keys[0]).await, None);
    assert_eq!(env.header(&keys[1]).await.token, Token::new(100));
    assert_eq!(env.entry(&keys[3]).await, Some(value));
}

pub(super) async fn an_immediate_release_is_done_when_it_returns(env: &Env) {
    let Some(immediate) = env.store.immediate() else { return };
    let key = env.key("k");
    env.take(&key, 1).await;
    assert!(!immediate.release(HeldLease::new(&key, Token::new(2))), "another's");
    assert!(immediate.release(HeldLease::new(&key, Token::new(1))));
    assert_eq!(env.entry(&key).await, None);
}
