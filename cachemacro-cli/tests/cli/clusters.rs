//! On a cluster, by way of sentinels and over TLS: the URL alone says so.

use cachemacro_tests::authority::{Authority, TlsServer};
use cachemacro_tests::clusters::RedisCluster;
use cachemacro_tests::sentinels::Watched;
use cachemacro_tests::{RedisServer, namespace};
use serde_json::json;

use crate::harness::{Place, user};

/// More than one node has some of them.
const USERS: u64 = 40;

/// Every command that looks, and a flush of what is on all nodes.
async fn is_seen_and_flushed(url: String) {
    let place = Place { url, namespace: namespace() };
    let cache = place.service();
    for id in 0..USERS {
        user(&cache, "acme", id).await;
    }
    cache.stored().await;
    place.reported(&[&cache]).await;
    assert_eq!(place.rows(&["list", "user:*"]).await.len() as u64, USERS);
    let tags = place.rows(&["tags"]).await;
    let of = |tag: &str| tags.iter().find(|row| row["tag"] == tag).map(|row| row["entries"].clone());
    assert_eq!((of("users"), of("org:acme")), (Some(json!(USERS)), Some(json!(USERS))));
    assert_eq!(place.rows(&["search", "acme:7"]).await.len(), 1);
    assert_eq!(place.rows(&["top", "--by", "prefix"]).await[0]["entries"], json!(USERS));
    for args in [
        &["stats"][..],
        &["inspect", "user:acme:7"],
        &["explain", "user:acme:7"],
        &["verify"],
        &["doctor"],
        &["map"],
    ] {
        let said = place.asked(args).await;
        assert_eq!(said.code, Some(0), "{args:?}: {said:?}");
    }
    let said = place.asked(&["flush", "--tag", "org:acme", "--yes", "--reason", "a test"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert!(said.out.contains("harness::user") && !said.errors.contains("not in the log"), "{said:?}");
    let before = cache.stats().total.loads;
    for id in 0..USERS {
        user(&cache, "acme", id).await;
    }
    assert_eq!(cache.stats().total.loads, before + USERS, "all were evicted");
    let said = place.asked(&["flush", "--prefix", "user", "--yes"]).await;
    assert_eq!(said.code, Some(0), "{said:?}");
    assert_eq!(place.asked(&["list", "user:*"]).await.code, Some(1), "nothing is left");
    assert_eq!(place.rows(&["log"]).await.len(), 2);
    cache.shutdown().await.expect("nothing is left to deliver");
}

#[tokio::test(flavor = "multi_thread")]
async fn all_nodes_of_a_cluster_are_seen_and_flushed() {
    is_seen_and_flushed(RedisCluster::shared().await.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_primary_that_sentinels_name_is_seen_and_flushed() {
    let watched = Watched::start().await;
    is_seen_and_flushed(watched.url()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_speaks_tls_is_seen_and_flushed() {
    let authority = Authority::new("ours");
    let server = TlsServer::start(&authority, &authority.signs(&["localhost"]), false);
    is_seen_and_flushed(server.url(&authority)).await;
    let stranger = Place { url: server.bare_url(), namespace: namespace() };
    let said = stranger.asked(&["list"]).await;
    assert_eq!(said.code, Some(3), "nobody vouches for it: {said:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sum_of_a_server_without_more_is_the_same() {
    is_seen_and_flushed(RedisServer::shared().url()).await;
}
