//! What is read is what was stored.

use crate::format::header::{FIXED, Header, assemble};
use crate::format::ids::{FillId, Version};
use crate::store::messages::read::{Excerpt, ReadRequest};

use super::env::{Env, LONG, SHORT};

pub(super) async fn a_missing_key_reads_as_nothing(env: &Env) {
    let read = env.store.read(ReadRequest::new(&[&env.key("k")])).await.unwrap();
    assert_eq!((&*read.entries, read.versions.len()), (&[None][..], 0));
}

pub(super) async fn a_value_reads_back_as_it_was_set(env: &Env) {
    let key = env.key("k");
    let value = env.set(&key, 1).await;
    assert_eq!(env.entry(&key).await, Some(value));
    env.assert_life(&key, LONG).await;
    let value = env.set(&key, 2).await;
    assert_eq!(env.entry(&key).await, Some(value), "the second value replaced the first");
}

pub(super) async fn any_bytes_survive_in_keys_and_payloads(env: &Env) {
    let every_byte: Vec<u8> = (0..=255).collect();
    let large = vec![0xA5; 1 << 20];
    for (name, payload) in
        [("", &b""[..]), ("a b\r\n\0c", b"\r\n$-1\r\n"), ("ключ:{x}:%7B", &every_byte), ("large", &large)]
    {
        let key = env.key(name);
        let header = Header::new().with_fill_id(FillId::new(1)).with_gone_at(env.store.now().plus(LONG));
        let value = assemble(header, &[], payload);
        env.set_bytes(&key, value.clone().into(), LONG).await;
        assert!(env.entry(&key).await.is_some_and(|entry| entry == value), "{name:?}");
    }
}

pub(super) async fn many_are_read_in_the_order_of_their_keys(env: &Env) {
    let (one, two) = (env.key("one"), env.key("two"));
    let (first, second) = (env.set(&one, 1).await, env.set(&two, 2).await);
    let version = env.version_key("v");
    let created = env.capture(std::slice::from_ref(&version), LONG).await;
    let missing = env.key("missing");
    let keys = [&*two, &*missing, &*one, &*two];
    let versions = [env.version_key("missing"), version];
    let read = env.store.read(ReadRequest::new(&keys).with_versions(&versions)).await.unwrap();
    let [first, second] = [first, second].map(|value| Some(Excerpt::whole(value)));
    assert_eq!(*read.entries, [second.clone(), None, first, second]);
    assert_eq!(*read.versions, [None, Some(created[0])]);
}

pub(super) async fn reading_nothing_is_nothing(env: &Env) {
    for request in [ReadRequest::default(), ReadRequest::default().with_first(FIXED)] {
        let read = env.store.read(request).await.unwrap();
        assert_eq!((read.entries.len(), read.versions.len()), (0, 0));
    }
    assert!(env.capture(&[], LONG).await.is_empty());
}

pub(super) async fn a_head_is_the_first_bytes_at_most_all(env: &Env) {
    let key = env.key("k");
    let value = env.set(&key, 1).await;
    let version = env.version_key("v");
    let created = env.capture(std::slice::from_ref(&version), LONG).await;
    for length in [1, FIXED, FIXED + 16, value.len(), value.len() + 100] {
        let keys = [&*key];
        let request = ReadRequest::new(&keys).with_versions(std::slice::from_ref(&version));
        let read = env.store.read(request.with_first(length)).await.unwrap();
        let head = read.entries.into_first().flatten().unwrap();
        assert_eq!(head.bytes, value[..length.min(value.len())]);
        assert_eq!(head.length, value.len(), "of all of it");
        assert_eq!(*read.versions, [Some(created[0])]);
    }
    let missing = env.store.read(ReadRequest::new(&[&env.key("missing")]).with_first(FIXED)).await.unwrap();
    assert_eq!(*missing.entries, [None]);
}

pub(super) async fn many_heads_are_read_at_once(env: &Env) {
    let (one, two, missing) = (env.key("one"), env.key("two"), env.key("missing"));
    let (first, second) = (env.set(&one, 1).await, env.set(&two, 2).await);
    let keys = [&*two, &*missing, &*one];
    let read = env.store.read(ReadRequest::new(&keys).with_first(FIXED)).await.unwrap();
    let [first, second] = [first, second].map(|value| Some(Excerpt::first_of(value, Some(FIXED))));
    assert_eq!(*read.entries, [second, None, first]);
}

pub(super) async fn versions_are_read_in_the_order_of_their_keys(env: &Env) {
    let keys = ["a", "missing", "b", "short", "long", "a"].map(|name| env.version_key(name));
    let created = env.capture(&[keys[0].clone(), keys[2].clone()], LONG).await;
    env.put_raw(&keys[3].text, b"1234567").await;
    env.put_raw(&keys[4].text, b"123456789").await;
    let expected: [Option<Version>; 6] =
        [Some(created[0]), None, Some(created[1]), None, None, Some(created[0])];
    assert_eq!(env.versions(&keys).await, expected);
    let none = env.key("none");
    let read = env.store.read(ReadRequest::new(&[&none]).with_versions(&keys)).await.unwrap();
    assert_eq!((&*read.entries, &*read.versions), (&[None][..], &expected[..]), "with an entry's read too");
}

pub(super) async fn a_key_is_gone_after_its_life(env: &Env) {
    let key = env.key("k");
    env.set_bytes(&key, env.value(1), SHORT).await;
    assert!(env.entry(&key).await.is_some());
    env.pass(SHORT).await;
    assert_eq!(env.entry(&key).await, None);
    assert_eq!(env.life_left(&key).await, None);
    assert_eq!(env.entries(&[key.clone(), env.key("other")]).await, [None, None]);
    assert!(!env.evict(&key).await);
}

pub(super) async fn a_store_tells_its_name_time_and_health(env: &Env) {
    env.store.connect().await.unwrap();
    let health = env.store.health().await.unwrap();
    assert_eq!(health.name, env.store.about().name);
    let before = env.store.now();
    env.pass(SHORT).await;
    assert!(env.store.now().since(before) >= SHORT, "its clock goes on");
    assert!(env.store.time().await.unwrap() >= before);
}
