//! What an evict removes, and what it tells.

use crate::store::messages::lease::LeaseKind::Load;

use crate::store::messages::evict::EvictRequest;

use super::env::{Env, LONG, SHORT, assert_taken};

pub(super) async fn an_evict_tells_for_each_key_whether_a_value_was_there(env: &Env) {
    let keys =
        ["value", "missing", "pending", "gone", "foreign", "leased", "value"].map(|name| env.key(name));
    env.set(&keys[0], 1).await;
    env.take(&keys[2], 1).await;
    env.set_bytes(&keys[3], env.value_gone_after(5, SHORT), LONG).await;
    env.put_raw(&keys[4], b"foreign").await;
    env.set(&keys[5], 5).await;
    assert_taken(&env.lease(&keys[5], Load, 1, 5).await);
    env.pass(SHORT).await;
    let existed = env.evict_keys(&keys).await;
    assert_eq!(existed, [true, false, false, false, false, true, false], "the last was evicted before");
    assert!(env.entries(&keys).await.iter().all(Option::is_none), "all are removed in any case");
}

pub(super) async fn evicting_nothing_does_nothing(env: &Env) {
    assert!(env.store.evict(EvictRequest::default()).await.unwrap().is_empty());
    assert_eq!(env.evict_prefix(&env.key("nothing")).await, 0);
}

pub(super) async fn many_keys_are_evicted_at_once(env: &Env) {
    let keys: Vec<_> = (0..1_000).map(|number| env.key(&number.to_string())).collect();
    for key in keys.iter().step_by(2) {
        env.set_bytes(key, env.value(1), LONG).await;
    }
    let existed = env.evict_keys(&keys).await;
    assert!(existed.iter().enumerate().all(|(number, existed)| *existed == (number % 2 == 0)));
}

pub(super) async fn keys_and_tags_are_evicted_in_one_request(env: &Env) {
    let keys = ["value", "missing", "value"].map(|name| env.key(name));
    env.set(&keys[0], 1).await;
    let (one, other) = (env.tag("one"), env.tag("other"));
    let versions = [one.tag.clone(), other.tag.clone(), one.any.clone()];
    env.capture(&versions, LONG).await;
    let named = [&*keys[0], &*keys[1], &*keys[2]];
    let existed = env.store.evict(EvictRequest::new(&named, &[one, other])).await.unwrap();
    assert_eq!(existed, [true, false, false], "of the entries alone");
    assert_eq!(env.entries(&keys).await, [None, None, None]);
    assert_eq!(env.versions(&versions).await, [None, None, None]);
}

pub(super) async fn an_immediate_evict_is_done_when_it_returns(env: &Env) {
    let Some(immediate) = env.store.immediate() else { return };
    let (key, leased) = (env.key("k"), env.key("leased"));
    env.set(&key, 1).await;
    env.take(&leased, 1).await;
    let tag = env.tag("t");
    let keys = [tag.tag.clone(), tag.any.clone()];
    env.capture(&keys, LONG).await;
    assert_eq!(immediate.evict(EvictRequest::new(&[&key, &leased], &[tag])), [true, false]);
    assert_eq!(env.entries(&[key, leased.clone()]).await, [None, None]);
    assert_eq!(env.versions(&keys).await, [None, None]);
    assert!(!env.fill(&leased, 1, 10).await, "and the lease is void");
}

pub(super) async fn a_tags_evict_removes_its_version_and_its_buckets_alone(env: &Env) {
    let (evicted, kept) = (env.tag("evicted"), env.tag("kept"));
    let keys = [evicted.tag.clone(), evicted.any.clone(), kept.tag.clone()];
    let before = env.capture(&keys, LONG).await;
    env.evict_tags(std::slice::from_ref(&evicted)).await;
    assert_eq!(env.versions(&keys).await, [None, None, Some(before[2])]);
    let after = env.capture(&keys, LONG).await;
    assert_ne!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    assert_eq!(after[2], before[2]);
}

pub(super) async fn many_tags_are_evicted_at_once(env: &Env) {
    let tags: Vec<_> = (0..200).map(|number| env.tag(&number.to_string())).collect();
    let keys: Vec<_> = tags.iter().map(|tag| tag.tag.clone()).collect();
    env.capture(&keys, LONG).await;
    env.evict_tags(&tags).await;
    assert!(env.versions(&keys).await.iter().all(Option::is_none));
}

pub(super) async fn a_prefix_takes_every_key_that_begins_with_it_and_counts_them(env: &Env) {
    let prefix = env.key("users:");
    let keys: Vec<_> = (0..2_500).map(|number| format!("{prefix}{number}")).collect();
    for key in &keys {
        env.set_bytes(key, env.value(1), LONG).await;
    }
    env.set(&prefix, 1).await;
    let beside = [env.key("users"), env.key("user:1"), env.key("other")];
    for key in &beside {
        env.set(key, 1).await;
    }
    assert_eq!(env.evict_prefix(&prefix).await, 2_501);
    assert!(env.entries(&keys).await.iter().all(Option::is_none));
    for key in &beside {
        assert!(env.entry(key).await.is_some(), "{key}");
    }
    assert_eq!(env.evict_prefix(&prefix).await, 0);
}

pub(super) async fn a_prefix_with_pattern_characters_means_them_literally(env: &Env) {
    for special in ["*", "?", "[a-z]", "[^a]", "a\\", "\\*", "[", "]", "{a,b}", "%"] {
        let own = env.key(&format!("{special}:1"));
        let others = ["a:1", "xyz:1", "\\:1", "b:1", "[:1x", "a*:1"].map(|name| env.key(name));
        for key in &others {
            env.set(key, 1).await;
        }
        env.set(&own, 1).await;
        let prefix = env.key(&format!("{special}:"));
        let expected = 1 + others.iter().filter(|key| **key != own && key.starts_with(&prefix)).count();
        assert_eq!(env.evict_prefix(&prefix).await, expected as u64, "{special}");
        assert_eq!(env.entry(&own).await, None, "{special}");
        for key in others.iter().filter(|key| !key.starts_with(&prefix)) {
            assert!(env.entry(key).await.is_some(), "{special} took {key}");
        }
    }
}

pub(super) async fn a_prefix_voids_leases_too(env: &Env) {
    let (pending, leased) = (env.key("p:1"), env.key("p:2"));
    env.take(&pending, 1).await;
    env.set(&leased, 5).await;
    assert_taken(&env.lease(&leased, Load, 2, 5).await);
    env.put_raw(&env.key("p:3"), b"foreign").await;
    assert_eq!(env.evict_prefix(&env.key("p:")).await, 3);
    assert!(!env.fill(&pending, 1, 10).await);
    assert!(!env.fill(&leased, 2, 10).await);
    assert_eq!(env.entry(&env.key("p:3")).await, None);
}
