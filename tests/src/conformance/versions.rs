//! Versions: random, created once, never shortened, never the same again.

use std::collections::HashSet;
use std::time::Duration;

use super::{Env, LONG, SHORT, race};

const MANY_DAYS: Duration = Duration::from_hours(24 * 59);
const YEAR: Duration = Duration::from_hours(24 * 365);

pub(super) async fn a_captured_version_stays_until_it_is_evicted(env: &Env) {
    let tag = env.tag("t");
    let keys = [tag.tag.clone()];
    let mut seen = HashSet::new();
    for _ in 0..20 {
        let created = env.store.capture(&keys, LONG).await.unwrap();
        assert_eq!(env.store.capture(&keys, LONG).await.unwrap(), created);
        assert_eq!(env.store.versions(&keys).await.unwrap(), [Some(created[0])]);
        assert_ne!(created[0], 0);
        assert!(seen.insert(created[0]), "never the same again");
        env.store.evict_tags(std::slice::from_ref(&tag)).await.unwrap();
        assert_eq!(env.store.versions(&keys).await.unwrap(), [None]);
    }
}

pub(super) async fn versions_are_captured_in_the_order_of_their_keys(env: &Env) {
    let keys = ["a", "b", "c", "a"].map(|name| env.version_key(name));
    let b = env.store.capture(&keys[1..2], LONG).await.unwrap()[0];
    let versions = env.store.capture(&keys, LONG).await.unwrap();
    assert_eq!((versions[1], versions[3]), (b, versions[0]));
    assert_eq!(versions.iter().collect::<HashSet<_>>().len(), 3, "each its own");
    let read: Vec<_> = env.store.versions(&keys).await.unwrap().into_iter().flatten().collect();
    assert_eq!(read, versions);
}

pub(super) async fn racing_captures_create_a_version_once(env: &Env) {
    let keys = ["a", "b", "c"].map(|name| env.version_key(name));
    let captured = race(16, |_| {
        let (env, keys) = (env.clone(), keys.clone());
        async move { env.store.capture(&keys, LONG).await.unwrap() }
    })
    .await;
    assert!(captured.iter().all(|versions| *versions == captured[0]), "{captured:?}");
}

pub(super) async fn a_version_lives_sixty_days_or_twice_what_is_asked(env: &Env) {
    let keys = ["short", "long"].map(|name| env.version_key(name));
    env.store.capture(&keys[..1], LONG).await.unwrap();
    env.store.capture(&keys[1..], YEAR).await.unwrap();
    assert!(env.life_left(&keys[0].text).await.unwrap() > MANY_DAYS);
    assert!(env.life_left(&keys[1].text).await.unwrap() > YEAR + MANY_DAYS);
}

pub(super) async fn a_capture_never_shortens_a_version(env: &Env) {
    let keys = [env.version_key("v")];
    let created = env.store.capture(&keys, YEAR).await.unwrap();
    assert_eq!(env.store.capture(&keys, SHORT).await.unwrap(), created);
    assert!(env.life_left(&keys[0].text).await.unwrap() > YEAR + MANY_DAYS);
}

pub(super) async fn a_version_that_would_die_too_soon_is_prolonged(env: &Env) {
    let keys = [env.version_key("v")];
    env.put_raw(&keys[0].text, 9_u64.to_le_bytes()).await;
    let version = env.store.versions(&keys).await.unwrap()[0].unwrap();
    assert_eq!(env.store.capture(&keys, SHORT).await.unwrap(), [version]);
    env.assert_life(&keys[0].text, LONG).await;
    assert_eq!(env.store.capture(&keys, 2 * LONG).await.unwrap(), [version], "the same, for longer");
    assert!(env.life_left(&keys[0].text).await.unwrap() > MANY_DAYS);
    assert_eq!(env.store.capture(&keys, YEAR).await.unwrap(), [version]);
    assert!(env.life_left(&keys[0].text).await.unwrap() > YEAR + MANY_DAYS);
}

pub(super) async fn what_is_no_version_is_replaced_by_a_capture(env: &Env) {
    for foreign in [&b""[..], b"1234567", b"123456789", &[7; 4_000]] {
        let keys = [env.version_key(&foreign.len().to_string())];
        env.put_raw(&keys[0].text, foreign).await;
        assert_eq!(env.store.versions(&keys).await.unwrap(), [None]);
        let created = env.store.capture(&keys, LONG).await.unwrap();
        assert_eq!(env.store.versions(&keys).await.unwrap(), [Some(created[0])]);
        assert!(env.life_left(&keys[0].text).await.unwrap() > MANY_DAYS);
    }
}
