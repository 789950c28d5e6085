//! Versions: random, created once, never shortened, never the same again.

use std::collections::HashSet;
use std::time::Duration;

use crate::format::ids::{Token, Version};
use crate::store::messages::lease::{LeaseKind, LeaseRequest};

use super::env::{Env, LONG, SHORT, race};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);
/// How many times longer than asked for a version may live.
const MUCH: u32 = 4;

/// Upholds G1.
pub(super) async fn a_captured_version_stays_until_it_is_evicted(env: &Env) {
    let tag = env.tag("t");
    let keys = [tag.tag.clone()];
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let created = env.capture(&keys, LONG).await;
        assert_eq!(env.capture(&keys, LONG).await, created);
        assert_eq!(env.versions(&keys).await, [Some(created[0])]);
        assert!(!created[0].is_none());
        assert!(seen.insert(created[0]), "never the same again");
        env.evict_tags(std::slice::from_ref(&tag)).await;
        assert_eq!(env.versions(&keys).await, [None]);
    }
}

pub(super) async fn versions_are_captured_in_the_order_of_their_keys(env: &Env) {
    let keys = ["a", "b", "c", "a"].map(|name| env.version_key(name));
    let b = env.capture(&keys[1..2], LONG).await[0];
    let versions = env.capture(&keys, LONG).await;
    assert_eq!((versions[1], versions[3]), (b, versions[0]));
    assert_eq!(versions.iter().collect::<HashSet<_>>().len(), 3, "each its own");
    let read: Vec<_> = env.versions(&keys).await.into_iter().flatten().collect();
    assert_eq!(read, versions);
}

pub(super) async fn racing_captures_create_a_version_once(env: &Env) {
    let keys = ["a", "b", "c"].map(|name| env.version_key(name));
    let captured = race(16, |_| {
        let (env, keys) = (env.clone(), keys.clone());
        async move { env.capture(&keys, LONG).await }
    })
    .await;
    assert!(captured.iter().all(|versions| *versions == captured[0]), "{captured:?}");
}

pub(super) async fn a_version_lives_as_long_as_is_asked_and_not_much_longer(env: &Env) {
    for (name, asked) in [("short", LONG), ("long", DAY), ("very long", YEAR)] {
        let key = env.version_key(name);
        env.capture(std::slice::from_ref(&key), asked).await;
        let left = env.life_left(&key.text).await.unwrap();
        assert!(left > asked && left <= asked * MUCH, "{left:?} for {asked:?}");
    }
}

pub(super) async fn of_many_leases_each_version_has_the_longest_life_that_was_asked_for_it(env: &Env) {
    let [short, shared, long] = ["short", "shared", "long"].map(|name| env.version_key(name));
    let (first, second) = ([short.clone(), shared.clone()], [shared.clone(), long.clone()]);
    let keys = ["a", "b"].map(|name| env.key(name));
    let ask = |at: usize, capture, life| {
        let token = Token::random();
        LeaseRequest::new(&keys[at], token, LeaseKind::Load, LONG).with_capture(capture, life)
    };
    let leases = env.store.lease(&[ask(0, &first, DAY), ask(1, &second, YEAR)]).await.expect("leases");
    assert_eq!(leases[0].versions[1], leases[1].versions[0], "captured once");
    for (key, asked) in [(short, DAY), (shared, YEAR), (long, YEAR)] {
        let left = env.life_left(&key.text).await.unwrap();
        assert!(left > asked && left <= asked * MUCH, "{left:?} for {asked:?}");
    }
}

pub(super) async fn a_capture_never_shortens_a_version(env: &Env) {
    let keys = [env.version_key("v")];
    let created = env.capture(&keys, YEAR).await;
    for shorter in [SHORT, DAY] {
        assert_eq!(env.capture(&keys, shorter).await, created);
        assert!(env.life_left(&keys[0].text).await.unwrap() > YEAR);
    }
}

pub(super) async fn a_version_that_would_die_too_soon_is_prolonged(env: &Env) {
    let keys = [env.version_key("v")];
    env.put_raw(&keys[0].text, Version::new(9).to_bytes()).await;
    let version = env.versions(&keys).await[0].unwrap();
    assert_eq!(env.capture(&keys, SHORT).await, [version]);
    env.assert_life(&keys[0].text, LONG).await;
    for longer in [2 * LONG, DAY, YEAR] {
        assert_eq!(env.capture(&keys, longer).await, [version], "the same, for longer");
        let left = env.life_left(&keys[0].text).await.unwrap();
        assert!(left > longer && left <= longer * MUCH, "{left:?} for {longer:?}");
    }
}

/// Upholds G1.
pub(super) async fn eight_zero_bytes_are_no_version(env: &Env) {
    let keys = [env.version_key("v")];
    env.put_raw(&keys[0].text, Version::NONE.to_bytes()).await;
    assert_eq!(env.versions(&keys).await, [None]);
    let created = env.capture(&keys, LONG).await;
    assert!(!created[0].is_none());
    assert_eq!(env.versions(&keys).await, [Some(created[0])]);
}

pub(super) async fn what_is_no_version_is_replaced_by_a_capture(env: &Env) {
    for foreign in [&b""[..], b"1234567", b"123456789", &[7; 4_000]] {
        let keys = [env.version_key(&foreign.len().to_string())];
        env.put_raw(&keys[0].text, foreign).await;
        assert_eq!(env.versions(&keys).await, [None]);
        let created = env.capture(&keys, LONG).await;
        assert_eq!(env.versions(&keys).await, [Some(created[0])]);
        assert!(env.life_left(&keys[0].text).await.unwrap() > LONG);
    }
}
