//! Who gets a lease, from whom, and over what.

use std::time::Duration;

use crate::format::header::{FIXED, Header, LONGEST_LEASE, PENDING, PUT, Parts, Stamp, assemble};
use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::{TagKeys, VersionKey};
use crate::ground::clock::Timestamp;
use crate::store::messages::lease::LeaseKind::{Load, Put};
use crate::store::messages::lease::{Lease, LeaseOutcome, LeaseRequest};

use super::env::{Env, LONG, SHORT, assert_busy, assert_found, assert_taken, race};

pub(super) async fn a_lease_on_nothing_leaves_a_pending_header(env: &Env) {
    for (name, kind, flags) in [("load", Load, PENDING), ("put", Put, PENDING | PUT)] {
        let key = env.key(name);
        assert_taken(&env.lease(&key, kind, 7, 0).await);
        let header = env.header(&key).await;
        assert_eq!((header.flags, header.token, header.fill_id), (flags, Token::new(7), FillId::NONE));
        let left = header.lease_deadline.since(env.store.now());
        assert!(left <= LONG && left > LONG / 2, "{left:?}");
        assert_eq!(env.entry(&key).await.unwrap().len(), header.total_len());
        env.assert_life(&key, LONG).await;
    }
}

pub(super) async fn a_held_lease_is_busy_for_what_is_left_of_it(env: &Env) {
    let key = env.key("k");
    env.take(&key, 1).await;
    match env.lease(&key, Load, 2, 0).await {
        LeaseOutcome::Busy { left, .. } => assert!(left <= LONG && left > LONG / 2, "{left:?}"),
        other => panic!("{other:?}"),
    }
    assert_eq!(env.header(&key).await.token, Token::new(1), "asking changes nothing");
}

pub(super) async fn a_lease_over_a_seen_value_leaves_the_value_readable(env: &Env) {
    for (name, kind) in [("load", Load), ("put", Put)] {
        let key = env.key(name);
        let value = env.set(&key, 5).await;
        assert_taken(&env.lease(&key, kind, 9, 5).await);
        let entry = env.entry(&key).await.unwrap();
        let header = env.header(&key).await;
        assert_eq!((header.token, header.has(PUT), header.has(PENDING)), (Token::new(9), kind == Put, false));
        assert!(header.is_leased(env.store.now()) && header.is_readable(env.store.now()));
        assert_eq!(entry[32..], value[32..], "nothing but the lease's fields changed");
        assert_eq!(entry[..5], value[..5]);
        assert_eq!(entry[6..16], value[6..16]);
    }
}

pub(super) async fn a_lease_held_over_a_value_is_busy_for_those_who_saw_it(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease(&key, Load, 1, 5).await);
    assert_busy(&env.lease(&key, Load, 2, 5).await);
    assert_eq!(env.header(&key).await.token, Token::new(1));
}

/// Upholds G1.
pub(super) async fn another_value_than_the_seen_one_is_found_instead_of_a_lease(env: &Env) {
    let key = env.key("k");
    let value = env.set(&key, 5).await;
    for seen in [0, 4, 6, u64::MAX] {
        assert_found(&env.lease(&key, Load, 1, seen).await, &value);
    }
    assert_eq!(env.header(&key).await.token, Token::NONE, "no lease was taken");
}

pub(super) async fn fill_ids_and_tokens_are_compared_in_all_their_64_bits(env: &Env) {
    let key = env.key("k");
    // Doubles cannot tell these from their neighbours.
    let (fill_id, token) = ((1 << 53) + 1, u64::MAX - 1);
    let value = env.set(&key, fill_id).await;
    assert_found(&env.lease(&key, Load, 1, fill_id - 1).await, &value);
    assert_found(&env.lease(&key, Load, 1, fill_id ^ (1 << 63)).await, &value);
    assert_taken(&env.lease(&key, Load, token, fill_id).await);
    assert!(!env.fill(&key, token + 1, 2).await);
    assert!(!env.fill(&key, token & 0xFFFF_FFFF, 2).await);
    assert!(env.fill(&key, token, 2).await);
}

pub(super) async fn another_value_is_found_even_under_a_held_lease(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease(&key, Load, 1, 5).await);
    let leased = env.entry(&key).await.unwrap();
    assert_found(&env.lease(&key, Load, 2, 4).await, &leased);
    assert!(env.fill(&key, 1, 6).await, "its holder is not disturbed");
}

/// Upholds G4.
pub(super) async fn a_put_takes_the_lease_whatever_is_there(env: &Env) {
    let key = env.key("k");
    assert_taken(&env.lease(&key, Put, 1, 0).await);
    assert_taken(&env.lease(&key, Put, 2, 0).await);
    assert!(env.header(&key).await.has(PENDING | PUT));
    env.evict(&key).await;
    env.take(&key, 3).await;
    assert_taken(&env.lease(&key, Put, 4, 0).await);
    assert!(!env.fill(&key, 3, 30).await, "the load lost its lease");
    env.set(&key, 5).await;
    assert_taken(&env.lease(&key, Put, 6, 0).await);
    assert_taken(&env.lease(&key, Put, 7, 4).await);
    assert_eq!(env.header(&key).await.fill_id, FillId::new(5), "the old value stays readable");
    assert!(env.fill_put(&key, 7, 8).await);
}

pub(super) async fn a_load_takes_over_a_puts_lease(env: &Env) {
    let pending = env.key("pending");
    assert_taken(&env.lease(&pending, Put, 1, 0).await);
    assert_taken(&env.lease(&pending, Load, 2, 0).await);
    let header = env.header(&pending).await;
    assert_eq!((header.token, header.has(PUT)), (Token::new(2), false), "it is a load's now");
    assert_busy(&env.lease(&pending, Load, 3, 0).await);
    assert!(!env.fill_put(&pending, 1, 9).await);

    let value = env.key("value");
    env.set(&value, 5).await;
    assert_taken(&env.lease(&value, Put, 1, 0).await);
    assert_taken(&env.lease(&value, Load, 2, 5).await);
    let header = env.header(&value).await;
    assert_eq!((header.token, header.has(PUT), header.fill_id), (Token::new(2), false, FillId::new(5)));
    assert_busy(&env.lease(&value, Load, 3, 5).await);
}

pub(super) async fn a_lease_lives_a_minute_at_most(env: &Env) {
    let key = env.key("k");
    let at_most = async || {
        let header = env.header(&key).await;
        assert!(header.lease_deadline <= env.store.now().plus(LONGEST_LEASE), "{header:?}");
        assert_busy(&env.lease(&key, Load, 9, 0).await);
    };
    assert_taken(&env.lease_for(&key, Load, 1, 0, Duration::MAX).await);
    at_most().await;
    assert!(env.renew(&key, 1, LONG * 60).await);
    at_most().await;
}

pub(super) async fn a_lease_that_would_lapse_later_than_any_is_held_by_nobody(env: &Env) {
    let (hour, now) = (LONG * 60, env.store.now());
    for deadline in [now.plus(hour), now.plus(Duration::MAX)] {
        let pending = env.key(&format!("pending {deadline:?}"));
        env.put_raw_for(&pending, Header::pending(Token::new(1), deadline, false).to_bytes(), hour).await;
        assert_taken(&env.lease(&pending, Load, 2, 0).await);
        assert_busy(&env.lease(&pending, Load, 3, 0).await);
        assert!(env.fill(&pending, 2, 20).await);

        let over = env.key(&format!("over {deadline:?}"));
        let value = env.value(5);
        let header = Header::parse(&value).unwrap().with_lease(Token::new(1), deadline);
        env.put_raw_for(&over, [&header.to_bytes()[..], &value[FIXED..]].concat(), hour).await;
        assert_taken(&env.lease(&over, Load, 2, 5).await);
        assert_busy(&env.lease(&over, Load, 3, 5).await);
    }
}

pub(super) async fn a_lapsed_puts_lease_is_none_of_a_puts_any_more(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease_for(&key, Put, 1, 0, SHORT).await);
    env.pass(SHORT).await;
    assert_taken(&env.lease(&key, Load, 2, 5).await);
    assert!(!env.header(&key).await.has(PUT));
}

pub(super) async fn a_value_past_its_end_is_missing_though_its_key_lives(env: &Env) {
    let key = env.key("k");
    env.set_bytes(&key, env.value_gone_after(5, SHORT), LONG).await;
    env.pass(SHORT).await;
    assert_taken(&env.lease_for(&key, Load, 1, 0, SHORT).await);
    let header = env.header(&key).await;
    assert_eq!(
        (header.flags, header.token, header.fill_id),
        (PENDING, Token::new(1), FillId::NONE),
        "no way back to the value"
    );
    assert!(env.life_left(&key).await.unwrap() <= SHORT, "the pending header lives as long as its lease");
}

pub(super) async fn a_lease_outlasts_the_value_it_was_taken_over(env: &Env) {
    let key = env.key("k");
    env.set_bytes(&key, env.value_gone_after(5, SHORT), SHORT).await;
    assert_taken(&env.lease(&key, Load, 1, 5).await);
    env.assert_life(&key, LONG).await;
    env.pass(SHORT).await;
    assert_busy(&env.lease(&key, Load, 2, 5).await);
    assert_busy(&env.lease(&key, Load, 2, 0).await);
    assert!(!env.header(&key).await.is_readable(env.store.now()), "but the value does not");
    assert!(env.fill(&key, 1, 6).await);
}

pub(super) async fn a_lease_never_shortens_a_values_life(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease_for(&key, Load, 1, 5, SHORT).await);
    env.assert_life(&key, LONG).await;
    env.pass(SHORT).await;
    assert_eq!(env.header(&key).await.fill_id, FillId::new(5));
}

/// Upholds G9.
pub(super) async fn a_lapsed_pending_lease_vanishes_and_its_holder_cannot_harm_the_next(env: &Env) {
    let key = env.key("k");
    assert_taken(&env.lease_for(&key, Load, 1, 0, SHORT).await);
    env.pass(SHORT).await;
    assert!(!env.fill(&key, 1, 10).await, "late, though nobody took over");
    assert_eq!(env.entry(&key).await, None);
    env.take(&key, 2).await;
    assert!(!env.fill(&key, 1, 10).await, "late");
    assert!(!env.release(&key, 1).await);
    assert!(!env.renew(&key, 1, LONG).await);
    assert_busy(&env.lease(&key, Load, 3, 0).await);
    assert!(env.fill(&key, 2, 20).await, "the successor was not disturbed");
    assert_eq!(env.header(&key).await.fill_id, FillId::new(20));
}

pub(super) async fn a_lapsed_lease_over_a_value_passes_to_another_token(env: &Env) {
    let key = env.key("k");
    env.set(&key, 5).await;
    assert_taken(&env.lease_for(&key, Load, 1, 5, SHORT).await);
    assert_busy(&env.lease(&key, Load, 2, 5).await);
    env.pass(SHORT).await;
    assert_taken(&env.lease(&key, Load, 2, 5).await);
    assert!(!env.fill(&key, 1, 10).await);
    assert!(!env.release(&key, 1).await);
    assert!(env.fill(&key, 2, 20).await);
}

/// Upholds G5.
pub(super) async fn of_sixteen_racers_exactly_one_gets_the_lease(env: &Env) {
    for seen in [0, 5] {
        let key = env.key(&format!("seen {seen}"));
        if seen != 0 {
            env.set(&key, seen).await;
        }
        let outcomes = race(16, |number| {
            let (env, key) = (env.clone(), key.clone());
            async move { env.lease(&key, Load, number + 1, seen).await }
        })
        .await;
        let taken: Vec<_> =
            (1..).zip(&outcomes).filter(|(_, it)| matches!(it, LeaseOutcome::Taken)).collect();
        assert_eq!(taken.len(), 1, "{outcomes:?}");
        assert_eq!(env.header(&key).await.token, Token::new(taken[0].0));
        assert_eq!(outcomes.iter().filter(|it| matches!(it, LeaseOutcome::Busy { .. })).count(), 15);
    }
}

/// A request for a lease that captures the versions of these tags, and those of any tag.
async fn ask(
    env: &Env,
    key: &str,
    token: u64,
    of: &[VersionKey],
    any: &[VersionKey],
    over: u64,
) -> LeaseOutcome {
    let capture = [of, any].concat();
    let request = LeaseRequest::new(key, Token::new(token), Load, LONG)
        .with_capture(&capture, LONG)
        .with_known(of.len())
        .with_over(Token::new(over));
    let beside = env.key("beside");
    let mut requests = vec![request];
    if any.len() > 2 {
        // As one of many, whose versions a store may capture in a step of its own.
        requests.push(LeaseRequest::new(&beside, Token::new(99), Put, LONG).with_capture(&capture, LONG));
    }
    env.store.lease(&requests).await.unwrap().swap_remove(0).outcome
}

#[track_caller]
fn assert_outdated(outcome: &LeaseOutcome, holder: Option<u64>) {
    let LeaseOutcome::Busy { left, outdated } = outcome else {
        panic!("expected a busy lease, got {outcome:?}")
    };
    assert!(*left <= LONG && *left > LONG / 2, "{left:?}");
    assert_eq!(*outdated, holder.map(Token::new));
}

pub(super) async fn a_pending_header_carries_the_versions_that_its_holder_captured(env: &Env) {
    let (tags, any) =
        (["a", "b"].map(|name| env.version_key(name)), ["x", "y"].map(|name| env.version_key(name)));
    let key = env.key("k");
    assert_taken(&ask(env, &key, 1, &tags, &any, 0).await);
    let bytes = env.entry(&key).await.unwrap();
    let parts = Parts::parse(&bytes).unwrap();
    assert!(parts.header.has(PENDING) && parts.payload.is_empty());
    let versions = env.versions(&tags).await;
    let stamps: Vec<_> = parts.stamps().collect();
    let of_tags = tags.iter().zip(versions).map(|(tag, version)| Stamp::new(tag.hash, version.unwrap()));
    assert_eq!(stamps[..2], of_tags.collect::<Vec<_>>());
    let [x, y] = env.versions(&any).await[..] else { panic!("two versions") };
    assert_eq!(
        stamps[2].version.get(),
        x.unwrap().get() ^ y.unwrap().get(),
        "one stamp for all any-tag versions"
    );
    assert_eq!(stamps.len(), 3);
    assert!(env.fill(&key, 1, 10).await, "the lease is like any other");
}

pub(super) async fn a_lease_under_outdated_versions_passes_to_who_captured_again_and_names_its_holder(
    env: &Env,
) {
    let (key, tag) = (env.key("k"), env.tag("tag"));
    let of = std::slice::from_ref(&tag.tag);
    assert_taken(&ask(env, &key, 1, of, &[], 0).await);
    assert_outdated(&ask(env, &key, 2, of, &[], 0).await, None);
    env.evict_tags(std::slice::from_ref(&tag)).await;
    assert_outdated(&ask(env, &key, 2, of, &[], 0).await, Some(1));
    assert_outdated(&ask(env, &key, 2, of, &[], 0).await, Some(1));
    assert_outdated(&ask(env, &key, 2, &[], &[], 1).await, None);
    assert_taken(&ask(env, &key, 3, of, &[], 1).await);
    assert_outdated(&ask(env, &key, 4, of, &[], 0).await, None);
    assert!(!env.fill(&key, 1, 10).await, "what the outdated load brings is not stored");
    assert!(!env.release(&key, 1).await);
    assert!(env.fill(&key, 3, 30).await);
}

pub(super) async fn a_lease_under_the_same_versions_passes_to_nobody(env: &Env) {
    let (key, tags) = (env.key("k"), ["a", "b"].map(|name| env.version_key(name)));
    assert_taken(&ask(env, &key, 1, &tags, &[], 0).await);
    assert_outdated(&ask(env, &key, 2, &tags, &[], 1).await, None);
    assert_outdated(&ask(env, &key, 2, &tags[1..], &[], 1).await, None);
    assert_outdated(&ask(env, &key, 2, &[env.version_key("another")], &[], 1).await, None);
    assert!(env.fill(&key, 1, 10).await);
}

pub(super) async fn a_lease_passes_from_the_holder_that_is_named_and_no_other(env: &Env) {
    let (key, tag) = (env.key("k"), env.tag("tag"));
    let of = std::slice::from_ref(&tag.tag);
    assert_taken(&ask(env, &key, 1, of, &[], 0).await);
    env.evict_tags(std::slice::from_ref(&tag)).await;
    assert_taken(&ask(env, &key, 2, of, &[], 1).await);
    env.evict_tags(std::slice::from_ref(&tag)).await;
    assert_outdated(&ask(env, &key, 3, of, &[], 1).await, Some(2));
    assert_taken(&ask(env, &key, 3, of, &[], 2).await);
    assert!(!env.fill(&key, 2, 20).await && env.fill(&key, 3, 30).await);
}

pub(super) async fn a_lease_under_outdated_any_tag_versions_passes_once(env: &Env) {
    for any in [2, 20] {
        any_tag_versions_count_as_one(env, any).await;
    }
}

async fn any_tag_versions_count_as_one(env: &Env, any: u32) {
    let (key, tag) = (env.key(&format!("k{any}")), env.version_key("tag"));
    let of = std::slice::from_ref(&tag);
    let any: Vec<_> = (0..any).map(|at| env.version_key(&format!("any {at}"))).collect();
    assert_taken(&ask(env, &key, 1, of, &any, 0).await);
    assert_outdated(&ask(env, &key, 2, of, &any, 0).await, None);
    let evict = async |gone: &VersionKey| env.evict_tags(&[TagKeys::new(gone.clone(), gone.clone())]).await;
    evict(&any[1]).await;
    assert_outdated(&ask(env, &key, 2, of, &any, 0).await, Some(1));
    assert_taken(&ask(env, &key, 2, of, &any, 1).await);
    evict(&any[0]).await;
    assert_outdated(&ask(env, &key, 3, of, &any, 2).await, None);
    // A tag that is known before the load is another matter.
    evict(&tag).await;
    assert_outdated(&ask(env, &key, 3, of, &any, 0).await, Some(2));
    assert_taken(&ask(env, &key, 3, of, &any, 2).await);
    assert!(!env.fill(&key, 2, 20).await && env.fill(&key, 3, 30).await);
}

pub(super) async fn a_lease_over_a_value_that_an_evict_outdated_passes_at_once(env: &Env) {
    let (key, tag) = (env.key("k"), VersionKey::new(env.key("version"), 5));
    let stored = env.capture(std::slice::from_ref(&tag), LONG).await[0];
    let value = env.value(7);
    let stamped = assemble(Header::parse(&value).unwrap(), &[Stamp::new(5, stored)], b"value");
    env.set_bytes(&key, stamped.into(), LONG).await;
    let request = |token| LeaseRequest::new(&key, Token::new(token), Load, LONG).with_seen(FillId::new(7));
    let ask = async |token| {
        let request = request(token).with_capture(std::slice::from_ref(&tag), LONG);
        env.store.lease(&[request]).await.unwrap().pop().unwrap().outcome
    };
    assert_taken(&ask(1).await);
    assert_eq!(env.header(&key).await.fill_id, FillId::new(7), "in place: it can be read");
    assert_outdated(&ask(2).await, None);
    env.evict_tags(&[TagKeys::new(tag.clone(), tag.clone())]).await;
    assert_taken(&ask(2).await);
    let header = env.header(&key).await;
    assert!(header.has(PENDING) && header.token == Token::new(2), "nobody can read the value: {header:?}");
    assert_outdated(&ask(3).await, None);
    assert!(!env.fill(&key, 1, 10).await && env.fill(&key, 2, 20).await);
}

pub(super) async fn a_put_takes_no_notice_of_outdated_versions(env: &Env) {
    let (key, tag) = (env.key("k"), env.tag("tag"));
    let of = std::slice::from_ref(&tag.tag);
    assert_taken(&ask(env, &key, 1, of, &[], 0).await);
    env.evict_tags(std::slice::from_ref(&tag)).await;
    let asked = async |kind, token| {
        let request = LeaseRequest::new(&key, Token::new(token), kind, LONG).with_capture(of, LONG);
        env.store.lease(&[request.with_over(Token::new(1))]).await.unwrap().pop().unwrap().outcome
    };
    assert_taken(&asked(Put, 3).await);
    assert_taken(&ask(env, &key, 4, of, &[], 0).await);
}

pub(super) async fn a_request_that_comes_too_late_gets_no_lease(env: &Env) {
    let (key, tag) = (env.key("k"), env.version_key("tag"));
    let now = env.store.time().await.unwrap();
    let asked = async |kind, token, not_after| {
        let request = LeaseRequest::new(&key, Token::new(token), kind, LONG).with_not_after(not_after);
        let requests = [request.with_capture(std::slice::from_ref(&tag), LONG), request];
        env.store.lease(&requests[..]).await.unwrap()
    };
    for kind in [Load, Put] {
        let leases = asked(kind, 1, Timestamp(1)).await;
        assert!(leases.iter().all(|lease| lease.outcome == LeaseOutcome::Late), "{leases:?}");
        assert!(leases.iter().all(|lease| lease.versions.is_empty()), "{leases:?}");
        assert_eq!(env.entry(&key).await, None);
    }
    let leases = asked(Load, 2, now.plus(LONG)).await;
    assert_taken(&leases[0].outcome);
    assert_busy(&leases[1].outcome);
}

pub(super) async fn a_lease_is_had_of_nothing_alone_by_who_saw_nothing(env: &Env) {
    env.store.time().await.unwrap();
    let keys = [env.version_key("tag")];
    let versions = env.capture(&keys, LONG).await;
    let ask = async |key: &str, token| {
        let request = LeaseRequest::new(key, Token::new(token), Load, LONG).with_capture(&keys, LONG);
        let seen: Vec<_> = versions.iter().copied().map(Some).collect();
        env.store.lease(&[request.with_vacant(&seen)]).await.unwrap().pop().unwrap()
    };
    let [free, held, put, filled, foreign] =
        ["free", "held", "put", "filled", "foreign"].map(|name| env.key(name));
    env.take(&held, 100).await;
    assert_taken(&env.lease(&put, Put, 101, 0).await);
    let value = env.set(&filled, 5).await;
    env.put_raw(&foreign, "foreign").await;
    for (token, key) in (1..).zip([&free, &put, &foreign]) {
        let lease = ask(key, token).await;
        assert_taken(&lease.outcome);
        assert_eq!(lease.versions, versions);
        let header = env.header(key).await;
        assert!(header.has(PENDING) && header.token == Token::new(token) && header.stamps == 1);
        assert!(header.is_leased(env.store.now()));
        assert!(env.life_left(key).await <= Some(LONG), "it expires with its lease");
    }
    assert_busy(&ask(&held, 7).await.outcome);
    assert_busy(&ask(&free, 8).await.outcome);
    assert_found(&ask(&filled, 9).await.outcome, &value);
    assert!(env.fill(&free, 1, 10).await && env.fill(&held, 100, 11).await);
}

/// Upholds G1 and G5: of many, some whose callers saw nothing, with versions that were missing when they read.
pub(super) async fn of_many_leases_those_of_nothing_are_had_where_nothing_is(env: &Env) {
    env.store.time().await.unwrap();
    let keys = [env.version_key("old"), env.version_key("new")];
    let old = env.capture(&keys[..1], LONG).await[0];
    let [free, held, put, filled, seen] = ["free", "held", "put", "filled", "seen"].map(|name| env.key(name));
    env.take(&held, 100).await;
    assert_taken(&env.lease(&put, Put, 101, 0).await);
    let value = env.set(&filled, 5).await;
    env.set(&seen, 6).await;
    let showed = [Some(old), None];
    for round in 0..2_u64 {
        let ask = |key, token: u64| {
            let token = Token::new(10 * round + token);
            LeaseRequest::new(key, token, Load, LONG).with_capture(&keys, LONG).with_known(2)
        };
        let requests = [
            ask(&free, 1).with_vacant(&showed),
            ask(&held, 2).with_vacant(&showed),
            ask(&put, 3).with_vacant(&showed),
            ask(&filled, 4).with_vacant(&showed),
            ask(&seen, 5).with_seen(FillId::new(6)),
        ];
        let leases = env.store.lease(&requests).await.unwrap();
        let now: Vec<_> = env.versions(&keys).await.into_iter().flatten().collect();
        assert_eq!(now.len(), 2, "what was missing is made");
        assert_eq!(now[0], old);
        assert!(leases.iter().all(|lease| lease.versions == now), "{leases:?} {now:?}");
        let outcomes: Vec<_> = leases.iter().map(|lease| &lease.outcome).collect();
        assert_busy(outcomes[1]);
        assert_found(outcomes[3], &value);
        if round > 0 {
            // Whoever asks once more finds those of before.
            [outcomes[0], outcomes[2], outcomes[4]].into_iter().for_each(assert_busy);
            continue;
        }
        [outcomes[0], outcomes[2], outcomes[4]].into_iter().for_each(assert_taken);
        let header = env.header(&free).await;
        assert!(header.has(PENDING) && header.token == Token::new(1) && header.stamps == 2);
        assert!(header.is_leased(env.store.now()));
        assert!(env.life_left(&free).await <= Some(LONG), "it expires with its lease");
    }
}

/// Upholds G1.
pub(super) async fn a_lease_of_nothing_is_had_under_the_versions_seen_or_those_of_now(env: &Env) {
    env.store.time().await.unwrap();
    let (key, tag) = (env.key("k"), env.tag("users"));
    let keys = [tag.tag.clone()];
    let before = env.capture(&keys, LONG).await;
    env.evict_tags(&[tag]).await;
    let request = LeaseRequest::new(&key, Token::new(1), Load, LONG).with_capture(&keys, LONG);
    let seen: Vec<_> = before.iter().copied().map(Some).collect();
    let lease = env.store.lease(&[request.with_vacant(&seen)]).await.unwrap().pop().unwrap();
    assert_taken(&lease.outcome);
    let now: Vec<_> = env.versions(&keys).await.into_iter().flatten().collect();
    assert!(
        lease.versions == before || lease.versions == now,
        "it was evicted before the load, and shows so"
    );
    assert_ne!(before, now, "no evict is undone");
}

pub(super) async fn of_racing_puts_the_last_holds_the_lease(env: &Env) {
    let key = env.key("k");
    let outcomes = race(16, |number| {
        let (env, key) = (env.clone(), key.clone());
        async move { env.lease(&key, Put, number + 1, 0).await }
    })
    .await;
    outcomes.iter().for_each(assert_taken);
    let mut accepted = 0;
    for token in 1..=16 {
        accepted += u32::from(env.fill(&key, token, token).await);
    }
    assert_eq!(accepted, 1);
}

pub(super) async fn a_lease_captures_versions_and_creates_those_that_are_missing(env: &Env) {
    let keys = ["old", "new"].map(|name| env.version_key(name));
    let old = env.capture(&keys[..1], LONG).await[0];
    let key = env.key("k");
    let ask = async |token| {
        let request = LeaseRequest::new(&key, Token::new(token), Load, LONG).with_capture(&keys, LONG);
        env.store.lease(&[request]).await.unwrap().pop().unwrap()
    };
    let Lease { versions, outcome } = ask(1).await;
    assert_taken(&outcome);
    assert_eq!(versions[0], old);
    assert_eq!(env.versions(&keys).await, [Some(old), Some(versions[1])]);

    let busy = ask(2).await;
    assert_busy(&busy.outcome);
    assert_eq!(busy.versions, versions, "captured whatever becomes of the lease");

    env.evict(&key).await;
    let value = env.set(&key, 5).await;
    let found = ask(3).await;
    assert_found(&found.outcome, &value);
    assert_eq!(found.versions, versions);
}

pub(super) async fn many_leases_are_decided_one_by_one_with_versions_captured_once(env: &Env) {
    let keys = ["free", "held", "filled", "put"].map(|name| env.key(name));
    env.take(&keys[1], 100).await;
    let value = env.set(&keys[2], 5).await;
    assert_taken(&env.lease(&keys[3], Put, 101, 0).await);
    let capture = ["a", "b"].map(|name| env.version_key(name));
    let requests: Vec<_> = (1..)
        .zip(&keys)
        .map(|(token, key)| {
            LeaseRequest::new(key, Token::new(token), Load, LONG).with_capture(&capture, LONG)
        })
        .collect();
    let leases = env.store.lease(&requests).await.unwrap();
    let [free, held, filled, put] = &leases[..] else { panic!("four answers, not {}", leases.len()) };
    assert_taken(&free.outcome);
    assert_busy(&held.outcome);
    assert_found(&filled.outcome, &value);
    assert_taken(&put.outcome);
    let versions: Vec<_> = env.versions(&capture).await.into_iter().flatten().collect();
    assert!(versions.len() == 2 && leases.iter().all(|lease| lease.versions == versions));
    assert!(env.fill(&keys[0], 1, 10).await && env.fill(&keys[1], 100, 11).await);
    assert!(env.fill(&keys[3], 4, 12).await);
    assert!(env.store.lease(&[]).await.unwrap().is_empty());
}

pub(super) async fn many_leases_capture_each_its_own_versions(env: &Env) {
    let version = |name: &str| env.version_key(name);
    // So many that a store may capture them in steps.
    let many: Vec<_> = (0..1_200).map(|number| version(&format!("v{number}"))).collect();
    env.put_raw_for(&version("shared").text, Version::new(7).to_bytes(), SHORT).await;
    let captures = [
        vec![version("shared"), version("a")],
        vec![],
        many,
        vec![version("b"), version("a"), version("shared")],
    ];
    let keys = ["1", "2", "3", "4"].map(|name| env.key(name));
    env.take(&keys[3], 100).await;
    let lives = [SHORT / 2, LONG, SHORT, LONG];
    let requests: Vec<_> = (1..)
        .zip(keys.iter().zip(&captures).zip(lives))
        .map(|(token, ((key, capture), life))| {
            LeaseRequest::new(key, Token::new(token), Load, LONG).with_capture(capture, life)
        })
        .collect();
    let leases = env.store.lease(&requests).await.unwrap();
    assert_eq!(leases.len(), 4);
    for (lease, capture) in leases.iter().zip(&captures) {
        let stored: Vec<_> = env.versions(capture).await.into_iter().flatten().collect();
        assert_eq!(stored.len(), capture.len(), "all are there");
        assert!(lease.versions == stored, "in the order of the request");
    }
    assert_eq!(leases[0].versions[0], Version::new(7));
    leases[..3].iter().for_each(|lease| assert_taken(&lease.outcome));
    assert_busy(&leases[3].outcome);
    assert!(
        env.life_left(&version("shared").text).await > Some(SHORT),
        "it lives for the longest of the lives"
    );
}
