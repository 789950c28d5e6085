//! Looking at what is stored, where the store shows it.

use std::collections::HashSet;

use crate::store::messages::inspect::Cursor;

use super::env::{Env, LONG};

pub(super) async fn a_scan_tells_every_key_under_a_prefix(env: &Env) {
    let Some(inspect) = env.store.inspect() else { return };
    let prefix = env.key("[*]:");
    let keys: HashSet<_> = (0..1_500).map(|number| format!("{prefix}{number}")).collect();
    for key in keys.iter().chain([&env.key("*"), &env.key("x:1")]) {
        env.set(key, 1).await;
    }
    let (mut found, mut next) = (HashSet::new(), Some(Cursor::default()));
    while let Some(cursor) = next {
        let page = inspect.scan(&prefix, &cursor).await.unwrap();
        found.extend(page.keys.into_iter().map(|key| String::from_utf8(key.to_vec()).unwrap()));
        next = page.next;
    }
    assert!(found == keys, "all of them and no other");
    let page = inspect.scan(&env.key("nothing"), &Cursor::default()).await.unwrap();
    assert!(page.keys.is_empty());
}

pub(super) async fn what_is_under_a_key_is_shown_with_its_life(env: &Env) {
    let Some(inspect) = env.store.inspect() else { return };
    let key = env.key("k");
    assert_eq!(inspect.raw(key.as_bytes()).await.unwrap(), None);
    env.put_raw(&key, b"foreign").await;
    let raw = inspect.raw(key.as_bytes()).await.unwrap().unwrap();
    assert_eq!(raw.bytes, "foreign");
    assert!(raw.left.is_some_and(|left| left > LONG / 2 && left <= LONG), "{:?}", raw.left);
    assert_eq!(inspect.raw(b"\xFF").await.unwrap(), None, "no text, and no key of ours");
}
