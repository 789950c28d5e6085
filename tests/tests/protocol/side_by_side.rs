//! Releases and applications side by side on one store: none decodes another's shape, none sees another's keys.

use std::sync::atomic::{AtomicU64, Ordering};

use cachemacro::{Cache, MissReason, cache_evict, cached};
use cachemacro_tests::{Rig, namespace, on_both_stores};

/// The release before.
mod before {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct User {
        pub(super) id: u64,
        pub(super) name: String,
    }

    #[cached(prefix = "user", key = "{id}", tags = ["users"])]
    pub(super) async fn user(id: u64, loads: &AtomicU64) -> User {
        loads.fetch_add(1, Ordering::SeqCst);
        User { id, name: format!("user {id}") }
    }
}

/// The next one, whose users have their fields in another order and one more.
mod after {
    use serde::{Deserialize, Serialize};

    use super::*;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    pub(super) struct User {
        pub(super) name: String,
        pub(super) id: u64,
        pub(super) admin: Option<bool>,
    }

    #[cached(prefix = "user", key = "{id}", tags = ["users"])]
    pub(super) async fn user(id: u64, loads: &AtomicU64) -> User {
        loads.fetch_add(1, Ordering::SeqCst);
        User { name: format!("user {id}"), id, admin: Some(id.is_multiple_of(2)) }
    }
}

#[cache_evict(tags = ["users"])]
async fn change() -> Result<(), ()> {
    Ok(())
}

/// Upholds G1, G8.
async fn two_releases_never_decode_each_others_shape(rig: Rig) {
    let (old, new) = (rig.process().cache, rig.process().cache);
    let loads = AtomicU64::new(0);
    for round in 0..20_u64 {
        for id in 0..10 {
            for _ in 0..2 {
                let expected = before::User { id, name: format!("user {id}") };
                assert_eq!(old.scope(before::user(id, &loads)).await, expected);
                old.stored().await;
            }
            let expected = after::User { name: format!("user {id}"), id, admin: Some(id.is_multiple_of(2)) };
            assert_eq!(new.scope(after::user(id, &loads)).await, expected);
            new.stored().await;
        }
        if round % 5 == 4 {
            // Whoever evicts, evicts for both.
            let cache = if round.is_multiple_of(2) { &old } else { &new };
            cache.scope(change()).await.expect("evicted");
        }
    }
    let (old, new) = (old.stats().total, new.stats().total);
    assert!(old.misses_for(MissReason::OtherSchema) > 0 && new.misses_for(MissReason::OtherSchema) > 0);
    assert_eq!((old.misses_for(MissReason::Undecodable), new.misses_for(MissReason::Undecodable)), (0, 0));
    assert!(old.hits > 0, "between two changes of shape");
}

/// Upholds G8.
async fn two_applications_never_see_each_others_entries(rig: Rig) {
    let store = rig.store();
    let (ours, theirs) = (namespace(), namespace());
    let cache =
        |name: &str| Cache::builder().store(store.clone()).namespace(name).build().expect("acceptable");
    // One name begins with the other's.
    let (shop, shops) = (cache(&ours), cache(&format!("{ours}:2")));
    let other = cache(&theirs);
    let loads = AtomicU64::new(0);
    for cache in [&shop, &shops, &other] {
        cache.scope(before::user(1, &loads)).await;
        cache.stored().await;
    }
    assert_eq!(loads.load(Ordering::SeqCst), 3, "each has its own");
    shop.scope(change()).await.expect("evicted");
    shop.evict_prefix("user").await.expect("evicted");
    shop.clear().await.expect("cleared");
    for cache in [&shops, &other] {
        cache.scope(before::user(1, &loads)).await;
    }
    assert_eq!(loads.load(Ordering::SeqCst), 3, "others' are left");
    shop.scope(before::user(1, &loads)).await;
    assert_eq!(loads.load(Ordering::SeqCst), 4);
}

on_both_stores!(two_releases_never_decode_each_others_shape, two_applications_never_see_each_others_entries,);
