//! What requests cost: round trips to the store, and what is not done again.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use cachemacro::store::memory::MemoryStore;
use cachemacro::store::{Cursor, ReadRequest, Store as _};
use cachemacro_http::CacheLayer;
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};

use crate::support::{Handler, Rig, get};

/// Round trips that a request takes.
async fn trips(rig: &Rig, layer: &CacheLayer, handler: &Handler, language: &str) -> (String, u64) {
    let count = || rig.cache.stats().total.store_time.count();
    let before = count();
    let word = get(layer, handler, &[("accept-language", language)]).await.word().to_owned();
    rig.cache.stored().await;
    (word, count() - before)
}

#[tokio::test]
async fn a_hit_is_one_round_trip_and_a_miss_two_before_the_handler_and_a_fill() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m"), Handler::counting(&[]));
    assert_eq!(trips(&rig, &layer, &handler, "en").await, ("MISS".to_owned(), 3));
    assert_eq!(trips(&rig, &layer, &handler, "en").await, ("HIT".to_owned(), 1));
}

#[tokio::test]
async fn a_known_variant_is_one_read_where_the_rule_names_the_field_and_two_where_it_does_not() {
    let rig = Rig::new();
    let handler = Handler::counting(&[("vary", "accept-language")]);
    for (layer, reads) in [
        (rig.http.clone().prefix("declared").cache().vary(["accept-language"]), 1),
        (rig.http.clone().prefix("offered").cache().vary_among("accept-language", ["en", "de"]), 1),
        (rig.http.clone().prefix("undeclared").cache(), 2),
    ] {
        for language in ["en", "de"] {
            trips(&rig, &layer, &handler, language).await;
        }
        assert_eq!(trips(&rig, &layer, &handler, "de").await, ("HIT".to_owned(), reads));
    }
}

#[tokio::test]
async fn bytes_that_are_no_response_are_a_miss_and_are_overwritten() {
    let store = Arc::new(MemoryStore::new());
    let cache = cachemacro::Cache::builder().store(store.clone()).build().unwrap();
    let (layer, handler) =
        (cachemacro_http::HttpCache::new(cache.clone()).cache().ttl("1m"), Handler::counting(&[]));
    for damage in [
        |bytes: &[u8]| bytes[..bytes.len() - 1].to_vec(),
        |bytes: &[u8]| bytes[..70].to_vec(),
        |_: &[u8]| b"foreign".to_vec(),
        |_: &[u8]| Vec::new(),
        |bytes: &[u8]| bytes.iter().map(|byte| byte ^ 1).collect(),
        |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            *bytes.last_mut().unwrap() ^= 1;
            bytes
        },
    ] {
        get(&layer, &handler, &[]).await;
        assert_eq!(get(&layer, &handler, &[]).await.word(), "HIT");
        let (key, bytes) = entries(&cache, &store, "http:").await.remove(0);
        store.put_raw(&key, damage(&bytes).into(), Duration::from_secs(60));
        let got = get(&layer, &handler, &[]).await;
        assert_eq!((got.status.as_u16(), got.word()), (200, "MISS"));
    }
}

/// The entries of a store under this prefix.
pub(crate) async fn entries(
    cache: &cachemacro::Cache,
    store: &MemoryStore,
    prefix: &str,
) -> Vec<(String, Bytes)> {
    let (mut found, mut next) = (Vec::new(), Some(Cursor::default()));
    while let Some(cursor) = next {
        let page = cache.inspector().unwrap().keys(prefix, &cursor).await.unwrap();
        for key in page.keys {
            let key = String::from_utf8(key.to_vec()).unwrap();
            let bytes = store.read(ReadRequest::new(&[&key])).await.unwrap().into_entry().unwrap();
            found.push((key, bytes));
        }
        next = page.next;
    }
    found
}

#[tokio::test]
async fn a_hit_copies_no_body_and_computes_no_tag_anew() {
    let store = Arc::new(MemoryStore::new());
    let cache = cachemacro::Cache::builder().store(store.clone()).build().unwrap();
    let http = cachemacro_http::HttpCache::new(cache.clone());
    let handler = Handler::new(|_| async { crate::support::response(200, &[], &"x".repeat(200_000)) });
    let layer = http.cache().ttl("1m");
    let tag = get(&layer, &handler, &[]).await.header("etag").to_owned();
    let stored = entries(&cache, &store, "http:").await.remove(0).1.as_ptr_range();
    // The first reads the store, the second has it at hand, a part is cut from what the store has.
    for (range, length) in [("", 200_000), ("", 200_000), ("bytes=9-99", 91)] {
        let headers = [("range", range)];
        let request = crate::support::request("GET", "/a", if range.is_empty() { &[] } else { &headers });
        let response = layer.layer(handler.clone()).oneshot(request).await.unwrap();
        assert!(response.headers()["x-cache"] == "HIT" && response.headers()["etag"] == tag);
        let body = response.into_body().frame().await.unwrap().unwrap().into_data().unwrap();
        assert_eq!(body.len(), length);
        assert!(stored.contains(&body.as_ptr()), "it is the store's");
    }
    // It is not computed from the body: whatever it is, it is what was stored with it.
    let own = Handler::new(|_| async { crate::support::response(200, &[("etag", "\"own\"")], "text") });
    let layer = http.prefix("own").cache();
    get(&layer, &own, &[]).await;
    assert_eq!(get(&layer, &own, &[]).await.header("etag"), "\"own\"");
}
