//! Adding to a decimal entry, exactly.

use cachemacro_runtime::header::{DECIMAL, FIXED, Header, NONE, Parts, Stamp, assemble};
use cachemacro_runtime::store::{FillId, Increment, LeaseKind};
use cachemacro_runtime::{ErrorKind, Result};

use super::{Env, LONG, SHORT, assert_taken, race};

const STAMP: Stamp = Stamp { tag: 3, version: 4 };

fn header(env: &Env, fill_id: FillId) -> Header {
    let now = env.store.now();
    Header { codec: DECIMAL, fill_id, stored_at: now, gone_at: now.plus(LONG), ..Header::default() }
}

async fn add(env: &Env, key: &str, by: i64, fill_id: FillId) -> Result<i64> {
    add_unless(env, key, by, fill_id, 0).await
}

async fn add_unless(env: &Env, key: &str, by: i64, fill_id: FillId, outdated: FillId) -> Result<i64> {
    let fresh = assemble(header(env, fill_id), &[STAMP], b"").into();
    env.store.increment(Increment { key, by, fresh, life: LONG, outdated }).await
}

/// Stores a decimal entry, whose life is twice [`LONG`] and which has two stamps.
async fn set_decimal(env: &Env, key: &str, fill_id: FillId, payload: &[u8]) {
    let header = Header { schema: 99, gone_at: env.store.now().plus(2 * LONG), ..header(env, fill_id) };
    let bytes = assemble(header, &[STAMP, STAMP], payload);
    env.store.set(key, bytes.into(), 2 * LONG).await.unwrap();
}

async fn payload(env: &Env, key: &str) -> Vec<u8> {
    let entry = env.entry(key).await.expect("an entry is there");
    Parts::parse(&entry).expect("it is whole").payload.to_vec()
}

/// Asserts that adding fails for what is there, and leaves it as it was.
async fn assert_wrong_type(env: &Env, key: &str, by: i64) {
    let before = env.entry(key).await;
    let error = add(env, key, by, 77).await.expect_err("it does not add");
    assert_eq!(error.kind(), ErrorKind::WrongType, "{error}");
    assert_eq!(env.entry(key).await, before);
}

pub(super) async fn the_first_addition_creates_the_entry(env: &Env) {
    let key = env.key("k");
    assert_eq!(add(env, &key, 42, 7).await.unwrap(), 42);
    let entry = env.entry(&key).await.unwrap();
    let parts = Parts::parse(&entry).unwrap();
    assert_eq!((parts.header.codec, parts.header.fill_id, parts.header.token), (DECIMAL, 7, 0));
    assert_eq!(parts.stamps().collect::<Vec<_>>(), [STAMP]);
    assert_eq!(parts.payload, b"42");
    assert!(parts.header.is_readable(env.store.now()));
    env.assert_life(&key, LONG).await;
}

pub(super) async fn an_addition_keeps_expiry_stamps_and_times_and_renames_the_value(env: &Env) {
    let key = env.key("k");
    set_decimal(env, &key, 5, b"-7").await;
    let before = env.header(&key).await;
    assert_eq!(add(env, &key, 1_000, 6).await.unwrap(), 993);
    let entry = env.entry(&key).await.unwrap();
    let parts = Parts::parse(&entry).unwrap();
    assert_eq!(parts.header, Header { fill_id: 6, payload: 3, ..before });
    assert_eq!((parts.stamps().count(), parts.payload), (2, &b"993"[..]));
    env.assert_life(&key, 2 * LONG).await;
}

pub(super) async fn sums_cross_zero_and_change_their_length(env: &Env) {
    let key = env.key("k");
    let mut sum = 0;
    for by in [1, -1, -1, 10, 90, -100, 0, 1, -1_000_000, 1_000_000] {
        sum += by;
        assert_eq!(add(env, &key, by, 1).await.unwrap(), sum);
        assert_eq!(payload(env, &key).await, sum.to_string().into_bytes());
    }
}

pub(super) async fn sums_are_exact_up_to_the_limits_of_64_bits(env: &Env) {
    for (from, by) in [
        (0, i64::MAX),
        (0, i64::MIN),
        (i64::MAX - 1, 1),
        (i64::MIN + 1, -1),
        (i64::MAX, i64::MIN),
        (-1, i64::MIN + 1),
        (9_007_199_254_740_992, 1),
        (-9_007_199_254_740_993, -2),
        (i64::MAX, -1),
        (i64::MIN, i64::MAX),
    ] {
        let key = env.key(&format!("{from} {by}"));
        assert_eq!(add(env, &key, from, 1).await.unwrap(), from);
        assert_eq!(add(env, &key, by, 2).await.unwrap(), from + by);
        assert_eq!(payload(env, &key).await, (from + by).to_string().into_bytes());
    }
}

pub(super) async fn a_sum_that_does_not_fit_is_refused_and_changes_nothing(env: &Env) {
    for (from, by) in [(i64::MAX, 1), (i64::MIN, -1), (1, i64::MAX), (-1, i64::MIN), (i64::MIN, i64::MIN)] {
        let key = env.key(&format!("{from} {by}"));
        add(env, &key, from, 1).await.unwrap();
        assert_wrong_type(env, &key, by).await;
    }
}

pub(super) async fn a_value_of_another_codec_is_refused_and_left(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_wrong_type(env, &key, 1).await;
    let key = env.key("looks like a number");
    let json = Header { codec: 4, ..header(env, 5) };
    env.store.set(&key, assemble(json, &[], b"5").into(), LONG).await.unwrap();
    assert_wrong_type(env, &key, 1).await;
    let key = env.key("none");
    let none = Header { flags: NONE, ..header(env, 5) };
    env.store.set(&key, assemble(none, &[], b"").into(), LONG).await.unwrap();
    assert_wrong_type(env, &key, 1).await;
}

pub(super) async fn a_payload_that_is_no_number_is_refused_and_left(env: &Env) {
    for hostile in [
        &b""[..],
        b"-",
        b"12a",
        b"1.5",
        b"1e3",
        b" 1",
        b"+1",
        b"-0",
        b"007",
        b"9223372036854775808",
        b"\xff\xfe",
        &[b'9'; 400],
    ] {
        let key = env.key(&format!("{hostile:?}"));
        set_decimal(env, &key, 5, hostile).await;
        assert_wrong_type(env, &key, 1).await;
    }
}

pub(super) async fn an_outdated_value_counts_as_missing(env: &Env) {
    let key = env.key("k");
    set_decimal(env, &key, 5, b"100").await;
    assert_eq!(add_unless(env, &key, 1, 6, 4).await.unwrap(), 101, "another is outdated");
    assert_eq!(add_unless(env, &key, 1, 7, 6).await.unwrap(), 1);
    let header = env.header(&key).await;
    assert_eq!((header.stamps, header.schema), (1, 0), "a fresh entry");
    env.assert_life(&key, LONG).await;
    let other = env.key("other codec");
    env.set(&other, 5).await;
    assert_eq!(add_unless(env, &other, 3, 6, 5).await.unwrap(), 3);
}

pub(super) async fn pending_gone_and_foreign_entries_are_replaced(env: &Env) {
    let pending = env.key("pending");
    env.take(&pending, 1).await;
    assert_eq!(add(env, &pending, 2, 6).await.unwrap(), 2);
    assert!(!env.fill(&pending, 1, 10).await, "the lease ended");

    let gone = env.key("gone");
    let value = Header { gone_at: env.store.now().plus(SHORT), ..header(env, 5) };
    env.store.set(&gone, assemble(value, &[], b"100").into(), LONG).await.unwrap();
    env.pass(SHORT).await;
    assert_eq!(add(env, &gone, 2, 6).await.unwrap(), 2);

    let foreign = env.key("foreign");
    env.put_raw(&foreign, b"100").await;
    assert_eq!(add(env, &foreign, 2, 6).await.unwrap(), 2);

    let truncated = env.key("truncated");
    let bytes = assemble(header(env, 5), &[STAMP], b"100");
    env.put_raw(&truncated, &bytes[..bytes.len() - 1]).await;
    assert_eq!(add(env, &truncated, 2, 6).await.unwrap(), 2);
    assert!(env.entry(&truncated).await.unwrap().len() > FIXED);
}

pub(super) async fn an_addition_ends_any_lease(env: &Env) {
    let key = env.key("k");
    set_decimal(env, &key, 5, b"1").await;
    for kind in [LeaseKind::Load, LeaseKind::Put] {
        let seen = env.header(&key).await.fill_id;
        assert_taken(&env.lease(&key, kind, 1, seen).await);
        add(env, &key, 1, seen + 1).await.unwrap();
        let header = env.header(&key).await;
        assert_eq!((header.flags, header.token, header.lease_deadline.millis()), (0, 0, 0));
        assert!(!env.fill(&key, 1, 10).await);
    }
}

pub(super) async fn a_thousand_racing_additions_all_count(env: &Env) {
    let key = env.key("k");
    let sums = race(20, |number| {
        let (env, key) = (env.clone(), key.clone());
        async move {
            let mut sums = Vec::new();
            for step in 1..=50 {
                sums.push(add(&env, &key, 1, number * 50 + step).await.unwrap());
            }
            sums
        }
    })
    .await;
    let mut sums = sums.concat();
    sums.sort_unstable();
    assert_eq!(sums, (1..=1_000).collect::<Vec<_>>(), "and each saw a sum of its own");
    assert_eq!(payload(env, &key).await, b"1000");
}
