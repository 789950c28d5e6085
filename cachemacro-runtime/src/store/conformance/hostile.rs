//! Bytes that are no entry count as missing, whatever they claim, and are healed by the next writer.

use bytes::Bytes;

use super::env::{Env, LONG, assert_taken};
use crate::format::header::{FIXED, Header, TOLERANCE};
use crate::format::ids::{FillId, Token};
use crate::store::messages::lease::LeaseKind::{Load, Put};

/// The fill id and the token that the hostile entries claim.
const CLAIMED: u64 = 5;

/// Entries that would be readable and leased but for one thing each.
fn hostile(env: &Env) -> Vec<(&'static str, Vec<u8>)> {
    let deadline = env.store.now().plus(LONG);
    let whole = env.value(CLAIMED);
    let header = Header::parse(&whole).unwrap().with_lease(Token::new(CLAIMED), deadline);
    let leased = [&header.to_bytes()[..], &whole[FIXED..]].concat();
    let pending = Header::pending(Token::new(CLAIMED), deadline, false).to_bytes();
    let with = |at: usize, byte: u8| {
        let mut bytes = leased.clone();
        bytes[at] = byte;
        bytes
    };
    vec![
        ("empty", vec![]),
        ("one byte", vec![b'c']),
        ("text", b"hello, world".to_vec()),
        ("as long as a header", vec![0xFF; FIXED]),
        ("other magic", with(0, b'C')),
        ("other magic at its end", with(3, 0)),
        ("future format", with(4, 2)),
        ("no format", with(4, 0)),
        ("reserved byte in use", with(7, 1)),
        ("cut in the header", leased[..FIXED - 1].to_vec()),
        ("cut after the header", leased[..FIXED].to_vec()),
        ("cut by one", leased[..leased.len() - 1].to_vec()),
        ("one too many", [&leased[..], &[0]].concat()),
        ("more stamps than there are", with(54, 2)),
        ("very many stamps", with(55, 0xFF)),
        ("a longer payload than there is", with(84, 0xFF)),
        ("a payload of 4 GiB", with(87, 0xFF)),
        ("pending and cut", pending[..FIXED - 1].to_vec()),
        ("pending and too long", [&pending[..], b"more"].concat()),
    ]
}

pub(super) async fn hostile_bytes_are_read_as_they_are(env: &Env) {
    for (what, bytes) in hostile(env) {
        let key = env.key(what);
        env.put_raw(&key, &bytes).await;
        assert_eq!(env.entry(&key).await, Some(Bytes::from(bytes)), "{what}");
    }
}

/// Upholds G8.
pub(super) async fn hostile_bytes_hold_no_lease_and_no_value(env: &Env) {
    for (what, bytes) in hostile(env) {
        for kind in [Load, Put] {
            let key = env.key(&format!("{what} {kind:?}"));
            env.put_raw(&key, &bytes).await;
            assert_taken(&env.lease(&key, kind, 1, 0).await);
            assert_eq!(env.entry(&key).await.unwrap().len(), FIXED, "{what}");
            assert!(env.fill(&key, 1, 10).await, "{what}");
            assert_eq!(env.header(&key).await.fill_id, FillId::new(10), "{what}: healed");
        }
    }
}

pub(super) async fn hostile_bytes_accept_no_token(env: &Env) {
    for (what, bytes) in hostile(env) {
        let key = env.key(what);
        env.put_raw(&key, &bytes).await;
        assert!(!env.fill(&key, CLAIMED, 10).await, "{what}");
        assert!(!env.renew(&key, CLAIMED, LONG).await, "{what}");
        assert!(!env.release(&key, CLAIMED).await, "{what}");
        assert!(!env.fill(&key, 0, 10).await, "{what}");
    }
}

pub(super) async fn hostile_bytes_compare_as_nothing(env: &Env) {
    for (what, bytes) in hostile(env) {
        let key = env.key(what);
        env.put_raw(&key, &bytes).await;
        assert!(!env.compare_and_set(&key, CLAIMED, 10).await, "{what}");
        assert!(env.compare_and_set(&key, 0, 10).await, "{what}");
        assert_eq!(env.header(&key).await.fill_id, FillId::new(10), "{what}");
    }
}

pub(super) async fn hostile_bytes_are_evicted_as_if_they_were_not_there(env: &Env) {
    for (what, bytes) in hostile(env) {
        let key = env.key(what);
        env.put_raw(&key, &bytes).await;
        assert!(!env.evict(&key).await, "{what}");
        assert_eq!(env.entry(&key).await, None, "{what}");
    }
}

pub(super) async fn hostile_bytes_are_replaced_by_a_set(env: &Env) {
    for (what, bytes) in hostile(env) {
        let key = env.key(what);
        env.put_raw(&key, &bytes).await;
        let value = env.set(&key, 10).await;
        assert_eq!(env.entry(&key).await, Some(value), "{what}");
    }
}

/// The clock was set back since it was stored, or it is damaged: how long it may be read is unknown.
pub(super) async fn a_value_from_the_future_is_none(env: &Env) {
    let stored_in = |time| {
        let whole = env.value(CLAIMED);
        let header = Header::parse(&whole).unwrap().with_stored_at(env.store.now().plus(time));
        [&header.to_bytes()[..], &whole[FIXED..]].concat()
    };
    let key = env.key("future");
    env.put_raw(&key, stored_in(TOLERANCE + LONG)).await;
    assert!(!env.compare_and_set(&key, CLAIMED, 10).await);
    assert_taken(&env.lease(&key, Load, 1, 0).await);
    assert!(env.fill(&key, 1, 10).await);
    env.put_raw(&key, stored_in(TOLERANCE + LONG)).await;
    assert!(!env.evict(&key).await, "as if it were not there");

    let key = env.key("clocks that differ a little");
    env.put_raw(&key, stored_in(TOLERANCE / 2)).await;
    assert!(env.compare_and_set(&key, CLAIMED, 10).await);
}

/// A header may lie where only its reader can know (a wrong checksum, other codec or schema): it stays leasable
/// and fillable like any value.
pub(super) async fn what_only_a_decoder_can_tell_is_the_decoders_to_tell(env: &Env) {
    let key = env.key("k");
    let mut bytes = env.value(CLAIMED).to_vec();
    bytes[90] ^= 1;
    env.put_raw(&key, &bytes).await;
    assert_taken(&env.lease(&key, Load, 1, CLAIMED).await);
    assert!(env.fill(&key, 1, 10).await);
}
