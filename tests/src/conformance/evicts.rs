//! What an evict removes, and what it tells.

use cachemacro_runtime::store::LeaseKind::Load;

use super::{Env, LONG, SHORT, assert_taken};

pub(super) async fn an_evict_tells_for_each_key_whether_a_value_was_there(env: &Env) {
    let keys =
        ["value", "missing", "pending", "gone", "foreign", "leased", "value"].map(|name| env.key(name));
    env.set(&keys[0], 1).await;
    env.take(&keys[2], 1).await;
    env.store.set(&keys[3], env.value_gone_after(5, SHORT), LONG).await.unwrap();
    env.put_raw(&keys[4], b"foreign").await;
    env.set(&keys[5], 5).await;
    assert_taken(&env.lease(&keys[5], Load, 1, 5).await);
    env.pass(SHORT).await;
    let existed = env.store.evict(&keys).await.unwrap();
    assert_eq!(existed, [true, false, false, false, false, true, false], "the last was evicted before");
    let (left, _) = env.store.read_many(&keys, &[]).await.unwrap();
    assert!(left.iter().all(Option::is_none), "all are removed in any case");
}

pub(super) async fn evicting_nothing_does_nothing(env: &Env) {
    assert!(env.store.evict(&[]).await.unwrap().is_empty());
    env.store.evict_tags(&[]).await.unwrap();
    assert_eq!(env.store.evict_prefix(&env.key("nothing")).await.unwrap(), 0);
}

pub(super) async fn many_keys_are_evicted_at_once(env: &Env) {
    let keys: Vec<_> = (0..1_000).map(|number| env.key(&number.to_string())).collect();
    for key in keys.iter().step_by(2) {
        env.store.set(key, env.value(1), LONG).await.unwrap();
    }
    let existed = env.store.evict(&keys).await.unwrap();
    assert!(existed.iter().enumerate().all(|(number, existed)| *existed == (number % 2 == 0)));
}

pub(super) async fn an_immediate_evict_is_done_when_it_says_so(env: &Env) {
    let key = env.key("k");
    let value = env.set(&key, 1).await;
    let tag = env.tag("t");
    let keys = [tag.tag.clone(), tag.any.clone()];
    let versions = env.store.capture(&keys, LONG).await.unwrap();
    if let Some(existed) = env.store.evict_now(std::slice::from_ref(&key), &[tag]) {
        assert_eq!(existed, [true]);
        assert_eq!(env.entry(&key).await, None);
        assert_eq!(env.store.versions(&keys).await.unwrap(), [None, None]);
    } else {
        assert_eq!(env.entry(&key).await, Some(value));
        assert_eq!(env.store.versions(&keys).await.unwrap(), [Some(versions[0]), Some(versions[1])]);
    }
}

pub(super) async fn a_tags_evict_removes_its_version_and_its_buckets_alone(env: &Env) {
    let (evicted, kept) = (env.tag("evicted"), env.tag("kept"));
    let keys = [evicted.tag.clone(), evicted.any.clone(), kept.tag.clone()];
    let before = env.store.capture(&keys, LONG).await.unwrap();
    env.store.evict_tags(std::slice::from_ref(&evicted)).await.unwrap();
    assert_eq!(env.store.versions(&keys).await.unwrap(), [None, None, Some(before[2])]);
    let after = env.store.capture(&keys, LONG).await.unwrap();
    assert_ne!(after[0], before[0]);
    assert_ne!(after[1], before[1]);
    assert_eq!(after[2], before[2]);
}

pub(super) async fn many_tags_are_evicted_at_once(env: &Env) {
    let tags: Vec<_> = (0..200).map(|number| env.tag(&number.to_string())).collect();
    let keys: Vec<_> = tags.iter().map(|tag| tag.tag.clone()).collect();
    env.store.capture(&keys, LONG).await.unwrap();
    env.store.evict_tags(&tags).await.unwrap();
    assert!(env.store.versions(&keys).await.unwrap().iter().all(Option::is_none));
}

pub(super) async fn a_prefix_takes_every_key_that_begins_with_it_and_counts_them(env: &Env) {
    let prefix = env.key("users:");
    let keys: Vec<_> = (0..2_500).map(|number| format!("{prefix}{number}")).collect();
    for key in &keys {
        env.store.set(key, env.value(1), LONG).await.unwrap();
    }
    env.set(&prefix, 1).await;
    let beside = [env.key("users"), env.key("user:1"), env.key("other")];
    for key in &beside {
        env.set(key, 1).await;
    }
    assert_eq!(env.store.evict_prefix(&prefix).await.unwrap(), 2_501);
    let (left, _) = env.store.read_many(&keys, &[]).await.unwrap();
    assert!(left.iter().all(Option::is_none));
    for key in &beside {
        assert!(env.entry(key).await.is_some(), "{key}");
    }
    assert_eq!(env.store.evict_prefix(&prefix).await.unwrap(), 0);
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
        assert_eq!(env.store.evict_prefix(&prefix).await.unwrap(), expected as u64, "{special}");
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
    assert_eq!(env.store.evict_prefix(&env.key("p:")).await.unwrap(), 3);
    assert!(!env.fill(&pending, 1, 10).await);
    assert!(!env.fill(&leased, 2, 10).await);
    assert_eq!(env.entry(&env.key("p:3")).await, None);
}
