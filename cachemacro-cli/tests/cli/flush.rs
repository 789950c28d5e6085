//! `flush`, and what it asks before.

use cachemacro_tests::RedisServer;
use serde_json::json;

use crate::harness::{Place, user};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_flushed_is_evicted_and_the_rest_stays() {
    let place = Place::on(RedisServer::shared());
    let cache = place.service();
    for id in 0..4 {
        user(&cache, "acme", id).await;
    }
    user(&cache, "other", 1).await;
    cache.set("page", 1, &3).await.unwrap();
    let loads = || cache.stats().total.loads;

    let plan = place.rows(&["flush", "--tag", "org:acme", "--dry-run"]).await;
    assert_eq!((&plan[0]["entries"], &plan[0]["sample"]), (&json!(4), &json!("no")), "{plan:?}");
    let before = loads();
    user(&cache, "acme", 0).await;
    assert_eq!(loads(), before, "nothing went");

    let unasked = place.asked(&["flush", "--tag", "org:acme"]).await;
    assert_eq!(unasked.code, Some(4), "{unasked:?}");
    assert_eq!(place.asked(&["flush", "--tag", "org:acme", "--yes"]).await.code, Some(0));
    user(&cache, "acme", 0).await;
    assert_eq!(loads(), before + 1, "evicted");
    user(&cache, "other", 1).await;
    assert_eq!(loads(), before + 1, "and the rest is there");

    assert_eq!(place.asked(&["flush", "--key", "user:other:1", "--yes"]).await.code, Some(0));
    user(&cache, "other", 1).await;
    assert_eq!(loads(), before + 2);
    assert_eq!(place.asked(&["flush", "--prefix", "page", "--yes"]).await.code, Some(0));
    assert_eq!(cache.get::<i32>("page", 1).await.unwrap(), None);
    assert_eq!(place.asked(&["flush", "--all", "--yes"]).await.code, Some(0));
    user(&cache, "other", 1).await;
    assert_eq!(loads(), before + 3);
}

#[test]
fn nothing_is_flushed_without_a_namespace_or_a_selector() {
    let place = Place::on(RedisServer::shared());
    for args in [
        &["flush", "--yes"][..],
        &["flush", "--all", "--yes", "--no-namespace"],
        &["flush", "--tag", "#12", "--yes"],
    ] {
        let said = place.run(args);
        assert_eq!(said.code, Some(2), "{said:?}");
    }
}
