//! What is read is what was stored.

use cachemacro_runtime::header::{FIXED, Header, assemble};
use cachemacro_runtime::store::Version;

use super::{Env, LONG, SHORT};

pub(super) async fn a_missing_key_reads_as_nothing(env: &Env) {
    let read = env.store.read(&env.key("k"), &[]).await.unwrap();
    assert_eq!((read.entry, read.versions.len()), (None, 0));
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
        let header = Header { gone_at: env.store.now().plus(LONG), fill_id: 1, ..Header::default() };
        let value = assemble(header, &[], payload);
        env.store.set(&key, value.clone().into(), LONG).await.unwrap();
        assert!(env.entry(&key).await.is_some_and(|entry| entry == value), "{name:?}");
    }
}

pub(super) async fn read_many_keeps_the_order_of_its_keys(env: &Env) {
    let (one, two) = (env.key("one"), env.key("two"));
    let (first, second) = (env.set(&one, 1).await, env.set(&two, 2).await);
    let version = env.version_key("v");
    let created = env.store.capture(std::slice::from_ref(&version), LONG).await.unwrap();
    let keys = [two.clone(), env.key("missing"), one, two];
    let versions = [env.version_key("missing"), version];
    let (entries, versions) = env.store.read_many(&keys, &versions).await.unwrap();
    assert_eq!(entries, [Some(second.clone()), None, Some(first), Some(second)]);
    assert_eq!(versions, [None, Some(created[0])]);
}

pub(super) async fn read_many_of_nothing_is_nothing(env: &Env) {
    assert_eq!(env.store.read_many(&[], &[]).await.unwrap(), (vec![], vec![]));
    assert_eq!(env.store.versions(&[]).await.unwrap(), []);
    assert!(env.store.capture(&[], LONG).await.unwrap().is_empty());
}

pub(super) async fn a_head_is_the_first_bytes_at_most_all(env: &Env) {
    let key = env.key("k");
    let value = env.set(&key, 1).await;
    let version = env.version_key("v");
    let created = env.store.capture(std::slice::from_ref(&version), LONG).await.unwrap();
    for length in [1, FIXED, FIXED + 16, value.len(), value.len() + 100] {
        let read = env.store.read_head(&key, length, std::slice::from_ref(&version)).await.unwrap();
        assert_eq!(read.start.unwrap(), value[..length.min(value.len())]);
        assert_eq!(read.length, value.len(), "of all of it");
        assert_eq!(read.versions, [Some(created[0])]);
    }
    let missing = env.store.read_head(&env.key("missing"), FIXED, &[]).await.unwrap();
    assert!(missing.start.is_none_or(|bytes| bytes.is_empty()));
    assert_eq!(missing.length, 0);
}

pub(super) async fn versions_are_read_in_the_order_of_their_keys(env: &Env) {
    let keys = ["a", "missing", "b", "short", "long", "a"].map(|name| env.version_key(name));
    let created = env.store.capture(&[keys[0].clone(), keys[2].clone()], LONG).await.unwrap();
    env.put_raw(&keys[3].text, b"1234567").await;
    env.put_raw(&keys[4].text, b"123456789").await;
    let expected: [Option<Version>; 6] =
        [Some(created[0]), None, Some(created[1]), None, None, Some(created[0])];
    assert_eq!(env.store.versions(&keys).await.unwrap(), expected);
    let read = env.store.read(&env.key("none"), &keys).await.unwrap();
    assert_eq!((read.entry, read.versions), (None, expected.to_vec()), "with an entry's read too");
}

pub(super) async fn a_key_is_gone_after_its_life(env: &Env) {
    let key = env.key("k");
    env.store.set(&key, env.value(1), SHORT).await.unwrap();
    assert!(env.entry(&key).await.is_some());
    env.pass(SHORT).await;
    assert_eq!(env.entry(&key).await, None);
    assert_eq!(env.life_left(&key).await, None);
    assert_eq!(env.store.read_many(std::slice::from_ref(&key), &[]).await.unwrap().0, [None]);
    assert!(!env.evict(&key).await);
}

pub(super) async fn a_store_tells_its_kind_time_and_health(env: &Env) {
    env.store.connect().await.unwrap();
    let health = env.store.health().await.unwrap();
    assert_eq!(health.kind, env.store.kind());
    let before = env.store.now();
    env.pass(SHORT).await;
    assert!(env.store.now().since(before) >= SHORT, "its clock goes on");
}
