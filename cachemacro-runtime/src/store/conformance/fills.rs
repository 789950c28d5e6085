//! What a fill may replace.

use crate::format::header::{Header, assemble};
use crate::format::ids::{FillId, Token};
use crate::store::messages::lease::LeaseKind::{Load, Put};
use crate::store::messages::lease::LeaseRequest;
use crate::store::messages::read::ReadRequest;
use crate::store::messages::write::{OnRefusal, Write};

use super::env::{Env, LONG, SHORT, assert_taken, load_fill, put_fill, refresh_fill};

pub(super) async fn a_fill_under_its_lease_is_stored_for_its_life(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    let value = env.value(10);
    assert!(env.write(load_fill(&key, 1, value.clone())).await);
    assert_eq!(env.entry(&key).await, Some(value));
    env.assert_life(&key, LONG).await;

    let key = env.key("short");
    env.take(&key, 1).await;
    let fill = Write { life: SHORT, ..load_fill(&key, 1, env.value(10)) };
    assert!(env.write(fill).await);
    assert!(env.life_left(&key).await.unwrap() <= SHORT, "the lease's longer life is over");
    env.pass(SHORT).await;
    assert_eq!(env.entry(&key).await, None);
}

pub(super) async fn a_lease_fills_once(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    assert!(env.fill(&key, 1, 10).await);
    assert!(!env.fill(&key, 1, 11).await);
    assert_eq!(env.header(&key).await.fill_id, FillId::new(10));
}

/// Upholds G1.
pub(super) async fn a_fill_without_a_lease_is_refused(env: &Env) {
    let key = env.key("k");
    for token in [0, 1] {
        assert!(!env.fill(&key, token, 10).await);
        assert_eq!(env.entry(&key).await, None);
    }
    env.set(&key, 5).await;
    for token in [0, 1] {
        assert!(!env.fill(&key, token, 10).await, "{token}: zero is nobody's token");
    }
    assert_eq!(env.header(&key).await.fill_id, FillId::new(5));
}

pub(super) async fn a_fill_replaces_the_value_its_lease_was_taken_over(env: &Env) {
    for kind in [Load, Put] {
        let key = env.key(&format!("{kind:?}"));
        env.set(&key, 5).await;
        assert_taken(&env.lease(&key, kind, 1, 5).await);
        let value = env.value(6);
        assert!(env.write(put_fill(&key, 1, value.clone())).await);
        assert_eq!(env.entry(&key).await, Some(value));
    }
}

pub(super) async fn a_refused_load_leaves_what_is_there(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    let value = env.set(&key, 5).await;
    assert!(!env.fill(&key, 1, 10).await, "set ended the lease");
    assert_eq!(env.entry(&key).await, Some(value));
}

/// Upholds G4.
pub(super) async fn a_refused_put_unlinks_what_is_there(env: &Env) {
    let value = env.key("value");
    env.set(&value, 5).await;
    assert!(!env.fill_put(&value, 1, 10).await);
    assert_eq!(env.entry(&value).await, None);

    let pending = env.key("pending");
    env.take(&pending, 1).await;
    assert!(!env.fill_put(&pending, 2, 10).await);
    assert_eq!(env.entry(&pending).await, None);
    assert!(!env.fill(&pending, 1, 11).await, "the other lease went with it");
}

/// Upholds G1.
pub(super) async fn an_evict_voids_the_lease_before_it(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    env.evict(&key).await;
    assert!(!env.fill(&key, 1, 10).await);
    assert_eq!(env.entry(&key).await, None);
    env.take(&key, 2).await;
    assert!(!env.fill(&key, 1, 10).await);
    assert!(env.fill(&key, 2, 20).await);
}

/// Upholds G1.
pub(super) async fn an_evict_voids_the_lease_over_a_value_too(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease(&key, Load, 1, 5).await);
    assert!(env.evict(&key).await, "a value was there");
    assert!(!env.fill(&key, 1, 10).await);
    assert_eq!(env.entry(&key).await, None);
}

/// Upholds G4.
pub(super) async fn of_two_puts_the_one_that_lost_its_lease_removes_the_value(env: &Env) {
    let key = env.key("k");
    assert_taken(&env.lease(&key, Put, 1, 0).await);
    assert_taken(&env.lease(&key, Put, 2, 0).await);
    assert!(env.fill_put(&key, 2, 20).await);
    assert!(!env.fill_put(&key, 1, 10).await);
    assert_eq!(env.entry(&key).await, None, "nobody knows which was the last to write");
}

pub(super) async fn a_refresh_replaces_the_value_that_it_refreshes(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    let value = env.value(6);
    assert!(env.write(refresh_fill(&key, 5, 0, value.clone())).await);
    assert_eq!(env.entry(&key).await, Some(value));
    env.assert_life(&key, LONG).await;
    assert!(!env.write(refresh_fill(&key, 5, 0, env.value(7))).await, "once");
    assert_eq!(env.header(&key).await.fill_id, FillId::new(6));
}

/// Upholds G1.
pub(super) async fn a_refresh_replaces_no_other_value(env: &Env) {
    let key = env.key("k");
    for seen in [0, 5] {
        assert!(!env.write(refresh_fill(&key, seen, 0, env.value(6))).await, "nothing is there");
        assert_eq!(env.entry(&key).await, None);
    }
    // Doubles cannot tell this from its neighbours.
    let fill_id = (1 << 53) + 1;
    env.set(&key, fill_id).await;
    for seen in [0, 5, fill_id - 1, fill_id ^ (1 << 63)] {
        assert!(!env.write(refresh_fill(&key, seen, 0, env.value(6))).await, "{seen}");
    }
    env.evict(&key).await;
    env.take(&key, 1).await;
    for seen in [0, fill_id] {
        assert!(!env.write(refresh_fill(&key, seen, 1, env.value(6))).await, "a load is under way");
    }
    assert!(env.fill(&key, 1, 7).await);
    let refused = refresh_fill(&key, 5, 0, env.value(6)).with_on_refusal(OnRefusal::Unlink);
    assert!(!env.write(refused).await);
    assert_eq!(env.entry(&key).await, None, "it was told to remove what is there");
}

/// Upholds G4.
pub(super) async fn a_refresh_is_stored_under_the_lease_that_it_saw(env: &Env) {
    for kind in [Load, Put] {
        let key = env.key(&format!("{kind:?}"));
        env.set(&key, 5).await;
        assert_taken(&env.lease(&key, kind, 1, 5).await);
        for token in [0, 2] {
            assert!(
                !env.write(refresh_fill(&key, 5, token, env.value(6))).await,
                "{token}: it was taken since"
            );
        }
        assert_eq!(env.header(&key).await.fill_id, FillId::new(5));
        assert!(env.fill(&key, 1, 7).await, "its holder is not disturbed");
    }
    let key = env.key("lapsed");
    env.set(&key, 5).await;
    assert_taken(&env.lease_for(&key, Load, 1, 5, SHORT).await);
    env.pass(SHORT).await;
    assert!(env.write(refresh_fill(&key, 5, 1, env.value(6))).await, "it saw the lapsed one");
    assert!(!env.fill(&key, 1, 7).await, "whose holder is late");
}

pub(super) async fn a_refresh_replaces_a_value_past_its_end(env: &Env) {
    let key = env.key("k");
    let header = Header::new().with_fill_id(FillId::new(5)).with_gone_at(env.store.now());
    env.put_raw(&key, assemble(header, &[], b"old")).await;
    let value = env.value(6);
    assert!(env.write(refresh_fill(&key, 5, 0, value.clone())).await, "its key is there still");
    assert_eq!(env.entry(&key).await, Some(value));
}

pub(super) async fn a_fill_reads_the_versions_it_names(env: &Env) {
    let keys = ["a", "missing", "b"].map(|name| env.version_key(name));
    let created = env.capture(&[keys[0].clone(), keys[2].clone()], LONG).await;
    let expected = [Some(created[0]), None, Some(created[1])];
    let key = env.key("k");
    env.take(&key, 1).await;
    for accepted in [true, false] {
        let fill = load_fill(&key, 1, env.value(10)).with_check(&keys);
        let filled = env.store.write(&[fill]).await.unwrap();
        assert_eq!((filled[0].accepted, &filled[0].versions[..]), (accepted, &expected[..]));
    }
    assert_eq!(env.versions(&keys[1..2]).await, [None], "checking creates nothing");
}

pub(super) async fn many_fills_are_decided_one_by_one(env: &Env) {
    let keys = ["held", "lost", "put lost", "refreshed"].map(|name| env.key(name));
    env.take(&keys[0], 1).await;
    env.take(&keys[1], 2).await;
    env.set(&keys[1], 5).await;
    env.set(&keys[2], 5).await;
    env.set(&keys[3], 5).await;
    assert_taken(&env.lease(&keys[3], Load, 4, 5).await);
    let checks = ["a", "b"].map(|name| env.version_key(name));
    let versions = env.capture(&checks, LONG).await;
    let fills = [
        load_fill(&keys[0], 1, env.value(10)).with_check(&checks),
        load_fill(&keys[1], 2, env.value(11)).with_check(&checks[1..]),
        put_fill(&keys[2], 3, env.value(12)),
        load_fill(&keys[3], 4, env.value(13)).with_check(&checks[..1]),
    ];
    let filled = env.store.write(&fills).await.unwrap();
    let accepted: Vec<_> = filled.iter().map(|filled| filled.accepted).collect();
    assert_eq!(accepted, [true, false, false, true]);
    let read: Vec<_> = filled.into_iter().map(|filled| filled.versions).collect();
    let (a, b) = (Some(versions[0]), Some(versions[1]));
    assert_eq!(read, [vec![a, b], vec![b], vec![], vec![a]]);
    assert_eq!(env.header(&keys[0]).await.fill_id, FillId::new(10));
    assert_eq!(env.header(&keys[1]).await.fill_id, FillId::new(5));
    assert_eq!(env.entry(&keys[2]).await, None);
    assert_eq!(env.header(&keys[3]).await.fill_id, FillId::new(13));
    assert!(env.store.write(&[]).await.unwrap().is_empty());
}

/// Upholds G1.
pub(super) async fn a_tag_evicted_during_the_load_no_longer_equals_its_stamp(env: &Env) {
    let key = env.key("k");
    let tag = env.tag("t");
    let capture = [tag.tag.clone()];
    let request = LeaseRequest::new(&key, Token::new(1), Load, LONG).with_capture(&capture, LONG);
    let stamp = env.store.lease(&[request]).await.unwrap()[0].versions[0];
    env.evict_tags(&[tag]).await;
    assert!(env.fill(&key, 1, 10).await, "the lease is the key's, not the tag's");
    let read = env.store.read(ReadRequest::new(&[&key]).with_versions(&capture)).await.unwrap();
    assert_eq!(*read.versions, [None]);
    let request = LeaseRequest { token: Token::new(2), seen: FillId::new(10), ..request };
    assert_ne!(env.store.lease(&[request]).await.unwrap()[0].versions[0], stamp, "and never comes back");
}
