//! What an answer says beside its body: validators, age, reasons, and what passes untouched.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use cachemacro_http::Directives;
use http::{HeaderMap, StatusCode};
use tower::{Layer as _, ServiceExt as _};

use crate::support::{Handler, Rig, get, request, response, send};

#[tokio::test]
async fn another_body_has_another_validator_whatever_its_length() {
    let rig = Rig::new();
    let handler = Handler::new(|request| async move { response(200, &[], request.uri().query().unwrap()) });
    let layer = rig.http.cache();
    let mut tags = Vec::new();
    for body in ["tea", "ate", "tee"] {
        let got = send(&layer, &handler, request("GET", &format!("/a?{body}"), &[])).await;
        tags.push(got.header("etag").to_owned());
    }
    tags.sort();
    tags.dedup();
    assert_eq!(tags.len(), 3, "{tags:?}");
}

/// RFC 9110, 15.4.5.
#[tokio::test]
async fn a_304_has_the_fields_that_a_200_would_have_had_and_no_others() {
    let rig = Rig::new();
    let own = [
        ("etag", "\"a\""),
        ("vary", "accept"),
        ("content-location", "/a.json"),
        ("last-modified", "Thu, 01 Jan 1970 00:00:00 GMT"),
        ("expires", "Thu, 01 Jan 2170 00:00:00 GMT"),
        ("date", "Thu, 01 Jan 2026 00:00:00 GMT"),
        ("content-type", "text/plain"),
        ("x-own", "1"),
    ];
    let (layer, handler) =
        (rig.http.cache().ttl("1m"), Handler::new(move |_| async move { response(200, &own, "text") }));
    get(&layer, &handler, &[]).await;
    rig.pass(7);
    let whole = get(&layer, &handler, &[]).await;
    let same = get(&layer, &handler, &[("if-none-match", "\"a\"")]).await;
    assert_eq!((whole.status, same.status), (StatusCode::OK, StatusCode::NOT_MODIFIED));
    let mut told: Vec<&str> = same.headers.keys().map(http::HeaderName::as_str).collect();
    told.sort_unstable();
    let kept = [
        "age",
        "cache-control",
        "cache-status",
        "content-location",
        "date",
        "etag",
        "expires",
        "last-modified",
        "vary",
        "x-cache",
    ];
    assert_eq!(told, kept);
    for name in kept {
        assert_eq!(same.header(name), whole.header(name), "{name}");
    }
    assert_eq!((same.header("age"), same.header("cache-control")), ("7", "max-age=60"));
}

#[tokio::test]
async fn the_age_of_what_is_stored_never_falls() {
    for (initial, is_gateway) in [("0", false), ("0", true), ("3", true), ("40", true)] {
        let rig = Rig::new();
        let layer = if is_gateway { rig.http.gateway() } else { rig.http.cache().ttl("1m").stale("1h") };
        let fails = Arc::<AtomicBool>::default();
        let handler = {
            let fails = fails.clone();
            Handler::new(move |_| {
                let status = if fails.load(Ordering::SeqCst) { 503 } else { 200 };
                let says = [("age", initial), ("cache-control", "max-age=60, stale-if-error=3600")];
                async move { response(status, &says[usize::from(!is_gateway) * 2..], "text") }
            })
        };
        get(&layer, &handler, &[]).await;
        // So that what is stored goes on serving.
        fails.store(true, Ordering::SeqCst);
        let (mut last, mut asked) = (initial.parse::<u64>().unwrap(), 0);
        for step in [0, 1, 0, 2, 1, 30, 0, 25, 1, 0, 600, 0, 1] {
            rig.pass(step);
            for method in ["GET", "HEAD", "GET"] {
                let got = send(&layer, &handler, request(method, "/a", &[])).await;
                let age: u64 = got.header("age").parse().unwrap_or_else(|_| panic!("{got:?}"));
                assert!(
                    age >= last + if method == "GET" && asked % 3 == 0 { step } else { 0 },
                    "{age} after {last}"
                );
                (last, asked) = (age, asked + 1);
            }
        }
        assert!(last >= 600);
    }
}

#[tokio::test]
async fn why_it_was_forwarded_is_said() {
    let rig = Rig::new();
    let handler = Handler::counting(&[("vary", "accept-language")]);
    // Where the rule does not name the field, the URL is known and the variant is not.
    let undeclared = rig.http.clone().prefix("undeclared").cache().ttl("10s");
    get(&undeclared, &handler, &[("accept-language", "en")]).await;
    let other = get(&undeclared, &handler, &[("accept-language", "de")]).await;
    assert!(other.header("cache-status").contains("fwd=vary-miss"), "{other:?}");
    // An origin is asked about what is stored of it.
    let gateway = rig.http.clone().prefix("gateway").gateway();
    let origin = Handler::counting(&[("cache-control", "max-age=10"), ("etag", "\"a\"")]);
    get(&gateway, &origin, &[]).await;
    rig.pass(11);
    let stale = get(&gateway, &origin, &[]).await;
    assert!(stale.header("cache-status").contains("fwd=stale"), "{stale:?}");
}

/// RFC 9111, 5.2.1.2: a client that takes old ones gets them, and no other does.
#[tokio::test]
async fn a_client_that_takes_old_ones_is_given_them() {
    let handler = Handler::counting(&[("cache-control", "max-age=10")]);
    for (directive, word) in
        [("max-stale=3", "MISS"), ("max-stale=5", "STALE"), ("max-stale", "STALE"), ("", "MISS")]
    {
        let rig = Rig::new();
        let layer = rig.http.clone().directives(Directives::Full).gateway();
        get(&layer, &handler, &[]).await;
        rig.pass(15);
        assert_eq!(get(&layer, &handler, &[("cache-control", directive)]).await.word(), word, "{directive}");
    }
}

#[tokio::test]
async fn a_range_passes_on_a_miss_and_its_part_is_not_stored() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let handler = Handler::new(|request| async move {
        match request.headers().get("range") {
            Some(range) => response(206, &[("content-range", "bytes 0-1/4")], range.to_str().unwrap()),
            None => response(200, &[], "text"),
        }
    });
    let part = get(&layer, &handler, &[("range", "bytes=0-1")]).await;
    assert_eq!((part.status.as_u16(), part.body.as_str(), part.word()), (206, "bytes=0-1", "MISS"));
    let whole = get(&layer, &handler, &[]).await;
    assert_eq!((whole.status.as_u16(), whole.body.as_str(), whole.word()), (200, "text", "MISS"));
    assert_eq!(get(&layer, &handler, &[("range", "bytes=0-1")]).await.body, "te");
}

#[tokio::test]
async fn what_is_not_there_is_kept_as_long_as_that_is_to_be() {
    let rig = Rig::new();
    let (layer, handler) = (
        rig.http.cache().ttl("1m").negative_ttl("10s"),
        Handler::new(|_| async { response(404, &[], "no") }),
    );
    assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");
    rig.pass(9);
    assert_eq!(get(&layer, &handler, &[]).await.word(), "HIT");
    rig.pass(1);
    assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");
}

/// What a handler leaves in its answer for whoever serves the connection.
#[derive(Debug, Clone, PartialEq)]
struct Upgrade(u8);

#[tokio::test]
async fn an_upgrade_passes_untouched() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let handler = Handler::new(|request| async move {
        assert_eq!(request.extensions().get(), Some(&Upgrade(1)), "the connection");
        let mut response = response(101, &[("upgrade", "websocket"), ("connection", "upgrade")], "");
        response.extensions_mut().insert(Upgrade(2));
        response
    });
    for _ in 0..2 {
        let mut request = request("GET", "/a", &[("upgrade", "websocket"), ("connection", "upgrade")]);
        request.extensions_mut().insert(Upgrade(1));
        let got = layer.layer(handler.clone()).oneshot(request).await.unwrap();
        assert_eq!((got.status().as_u16(), got.extensions().get()), (101, Some(&Upgrade(2))));
        let has = |headers: &HeaderMap, name: &str| headers.get(name).is_some();
        assert!(has(got.headers(), "upgrade") && has(got.headers(), "connection"), "{:?}", got.headers());
    }
    assert_eq!(handler.runs(), 2);
}

#[tokio::test]
async fn closures_say_how_long_and_what_requests_may_demand() {
    let rig = Rig::new();
    let handler = Handler::counting(&[]);
    let long =
        rig.http.cache().ttl_by(|response| Duration::from_secs(if response.status == 200 { 100 } else { 1 }));
    get(&long, &handler, &[]).await;
    assert!(get(&long, &handler, &[]).await.header("cache-status").contains("ttl=100"));
    // Only who has a key may have the cache passed by.
    let trusting = rig.http.clone().prefix("trusting").directives_by(|request| {
        if request.headers.contains_key("x-key") { Directives::Full } else { Directives::Ignore }
    });
    let layer = trusting.cache();
    get(&layer, &handler, &[]).await;
    let ask = async |key: &[(&str, &str)]| {
        let headers: Vec<_> = key.iter().copied().chain([("cache-control", "no-store")]).collect();
        get(&layer, &handler, &headers).await.word().to_owned()
    };
    assert_eq!(ask(&[]).await, "HIT");
    assert_eq!(ask(&[("x-key", "1")]).await, "BYPASS");
}
