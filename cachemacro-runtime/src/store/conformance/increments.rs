//! Adding to a decimal entry, exactly.

use crate::format::header::{DECIMAL, FIXED, Header, NONE, Parts, Stamp, assemble};
use crate::format::ids::{FillId, Token, Version};
use crate::ground::clock::Timestamp;
use crate::ground::error::{ErrorKind, Result};
use crate::store::messages::increment::{Increment, IncrementOutcome, OtherStamps};
use crate::store::messages::lease::LeaseKind;

use super::env::{Env, LONG, SHORT, assert_taken, race};

/// What the additions of these tests stamp a new entry with.
const STAMP: Stamp = Stamp::new(3, Version::new(4));

/// Of another version.
const OTHER: Stamp = Stamp::new(3, Version::new(5));

fn header(env: &Env, fill_id: u64) -> Header {
    let (now, fill_id) = (env.store.now(), FillId::new(fill_id));
    Header { codec: DECIMAL, fill_id, stored_at: now, gone_at: now.plus(LONG), ..Header::default() }
}

async fn add(env: &Env, key: &str, by: i64, fill_id: u64) -> Result<i64> {
    match add_knowing(env, key, by, fill_id, OtherStamps::Unknown).await? {
        IncrementOutcome::Added(sum) => Ok(sum),
        IncrementOutcome::Found(_) => panic!("its stamps are those of a new entry"),
    }
}

async fn add_knowing(
    env: &Env,
    key: &str,
    by: i64,
    fill_id: u64,
    others: OtherStamps<'_>,
) -> Result<IncrementOutcome> {
    let fresh = assemble(header(env, fill_id), &[STAMP], b"").into();
    env.store.increment(Increment::new(key, by, fresh, LONG).with_others(others)).await
}

/// Stores a decimal entry, whose life is twice [`LONG`].
async fn set_decimal(env: &Env, key: &str, fill_id: u64, payload: &[u8]) {
    set_stamped(env, key, Header { schema: 99, ..header(env, fill_id) }, &[STAMP], payload).await;
}

async fn set_stamped(env: &Env, key: &str, header: Header, stamps: &[Stamp], payload: &[u8]) {
    let header = Header { gone_at: env.store.now().plus(2 * LONG), ..header };
    env.set_bytes(key, assemble(header, stamps, payload).into(), 2 * LONG).await;
}

/// The bytes of these stamps.
fn bytes_of(stamps: &[Stamp]) -> Vec<u8> {
    assemble(Header::default(), stamps, b"").split_off(FIXED)
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
    assert_eq!(
        (parts.header.codec, parts.header.fill_id, parts.header.token),
        (DECIMAL, FillId::new(7), Token::NONE)
    );
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
    assert_eq!(parts.header, Header { fill_id: FillId::new(6), payload: 3, ..before });
    assert_eq!(parts.stamps().collect::<Vec<_>>(), [STAMP]);
    assert_eq!(parts.payload, b"993");
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
    let key = env.key("looks like a number");
    set_stamped(env, &key, Header { codec: 4, ..header(env, 5) }, &[STAMP], b"5").await;
    assert_wrong_type(env, &key, 1).await;
    let key = env.key("none");
    set_stamped(env, &key, Header { flags: NONE, ..header(env, 5) }, &[STAMP], b"").await;
    assert_wrong_type(env, &key, 1).await;
    let (key, others) = (env.key("other stamps"), bytes_of(&[OTHER]));
    set_stamped(env, &key, Header { codec: 4, ..header(env, 5) }, &[OTHER], b"5").await;
    let error = add_knowing(env, &key, 1, 6, OtherStamps::Valid(&others)).await.expect_err("no number");
    assert_eq!(error.kind(), ErrorKind::WrongType);
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

pub(super) async fn a_value_with_other_stamps_is_returned_and_left(env: &Env) {
    let others: [&[Stamp]; 4] = [&[], &[OTHER], &[STAMP, OTHER], &[OTHER, STAMP]];
    for (at, stamps) in others.into_iter().enumerate() {
        for codec in [DECIMAL, 4] {
            let key = env.key(&format!("{at} {codec}"));
            set_stamped(env, &key, Header { codec, ..header(env, 5) }, stamps, b"100").await;
            assert_taken(&env.lease(&key, LeaseKind::Load, 1, 5).await);
            let before = env.entry(&key).await.unwrap();
            let third = bytes_of(&[Stamp::new(3, Version::new(6))]);
            for known in [OtherStamps::Unknown, OtherStamps::Valid(&third), OtherStamps::Outdated(&third)] {
                let outcome = add_knowing(env, &key, 1, 6, known).await.unwrap();
                assert_eq!(outcome, IncrementOutcome::Found(before.clone()), "{stamps:?} {known:?}");
                assert_eq!(env.entry(&key).await.unwrap(), before, "with its lease");
            }
        }
    }
}

pub(super) async fn a_value_with_other_stamps_that_hold_is_added_to_and_keeps_them(env: &Env) {
    let key = env.key("k");
    let stamps = [OTHER, STAMP];
    set_stamped(env, &key, header(env, 5), &stamps, b"100").await;
    let others = bytes_of(&stamps);
    for sum in [101, 102] {
        let outcome = add_knowing(env, &key, 1, 6, OtherStamps::Valid(&others)).await.unwrap();
        assert_eq!(outcome, IncrementOutcome::Added(sum));
    }
    let entry = env.entry(&key).await.unwrap();
    assert_eq!(Parts::parse(&entry).unwrap().stamps().collect::<Vec<_>>(), stamps);
    env.assert_life(&key, 2 * LONG).await;
}

/// Upholds G1.
pub(super) async fn a_value_with_other_stamps_that_are_outdated_counts_as_missing(env: &Env) {
    for stamps in [&[][..], &[OTHER], &[OTHER, STAMP]] {
        for codec in [DECIMAL, 4] {
            let key = env.key(&format!("{codec} {}", stamps.len()));
            set_stamped(env, &key, Header { codec, schema: 99, ..header(env, 5) }, stamps, b"100").await;
            let others = bytes_of(stamps);
            for sum in [1, 2] {
                let outcome = add_knowing(env, &key, 1, 6, OtherStamps::Outdated(&others)).await.unwrap();
                assert_eq!(
                    outcome,
                    IncrementOutcome::Added(sum),
                    "a fresh entry, which the next one adds to"
                );
            }
            let entry = env.entry(&key).await.unwrap();
            let parts = Parts::parse(&entry).unwrap();
            assert_eq!((parts.header.schema, parts.stamps().collect::<Vec<_>>()), (0, vec![STAMP]));
            env.assert_life(&key, LONG).await;
        }
    }
}

pub(super) async fn pending_gone_and_foreign_entries_are_replaced(env: &Env) {
    let pending = env.key("pending");
    env.take(&pending, 1).await;
    assert_eq!(add(env, &pending, 2, 6).await.unwrap(), 2);
    assert!(!env.fill(&pending, 1, 10).await, "the lease ended");

    let gone = env.key("gone");
    let value = Header { gone_at: env.store.now().plus(SHORT), ..header(env, 5) };
    env.set_bytes(&gone, assemble(value, &[], b"100").into(), LONG).await;
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
        let seen = env.header(&key).await.fill_id.get();
        assert_taken(&env.lease(&key, kind, 1, seen).await);
        add(env, &key, 1, seen + 1).await.unwrap();
        let header = env.header(&key).await;
        assert_eq!((header.flags, header.token, header.lease_deadline), (0, Token::NONE, Timestamp(0)));
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
