//! Versions: random, created once, never shortened, never the same again.

use std::collections::HashSet;
use std::time::Duration;

use crate::format::ids::Version;

use super::env::{Env, LONG, SHORT, race};

/// In seconds.
const DAY: u64 = 24 * 60 * 60;
const MANY_DAYS: Duration = Duration::from_secs(59 * DAY);
const YEAR: Duration = Duration::from_secs(365 * DAY);

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

pub(super) async fn a_version_lives_sixty_days_or_twice_what_is_asked(env: &Env) {
    let keys = ["short", "long"].map(|name| env.version_key(name));
    env.capture(&keys[..1], LONG).await;
    env.capture(&keys[1..], YEAR).await;
    assert!(env.life_left(&keys[0].text).await.unwrap() > MANY_DAYS);
    assert!(env.life_left(&keys[1].text).await.unwrap() > YEAR + MANY_DAYS);
}

pub(super) async fn a_capture_never_shortens_a_version(env: &Env) {
    let keys = [env.version_key("v")];
    let created = env.capture(&keys, YEAR).await;
    assert_eq!(env.capture(&keys, SHORT).await, created);
    assert!(env.life_left(&keys[0].text).await.unwrap() > YEAR + MANY_DAYS);
}

pub(super) async fn a_version_that_would_die_too_soon_is_prolonged(env: &Env) {
    let keys = [env.version_key("v")];
    env.put_raw(&keys[0].text, Version::new(9).to_bytes()).await;
    let version = env.versions(&keys).await[0].unwrap();
    assert_eq!(env.capture(&keys, SHORT).await, [version]);
    env.assert_life(&keys[0].text, LONG).await;
    assert_eq!(env.capture(&keys, 2 * LONG).await, [version], "the same, for longer");
    assert!(env.life_left(&keys[0].text).await.unwrap() > MANY_DAYS);
    assert_eq!(env.capture(&keys, YEAR).await, [version]);
    assert!(env.life_left(&keys[0].text).await.unwrap() > YEAR + MANY_DAYS);
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
        assert!(env.life_left(&keys[0].text).await.unwrap() > MANY_DAYS);
    }
}
