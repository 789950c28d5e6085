//! Responses that this process holds ready: the same answers as the slow way's, and none once the slow way would give none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::get as route_get;
use cachemacro::{Mode, cache_evict};
use cachemacro_http::{CacheLayer, PathParams};
use http::Request;
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};

use crate::support::{Body, Got, Handler, Rig, get, request, response, send};

/// How often the store was asked.
fn trips(rig: &Rig) -> u64 {
    rig.cache.stats().total.store_time.count()
}

/// Asks until the response is at hand: the first request stores it, the second reads it.
async fn warm(rig: &Rig, layer: &CacheLayer, handler: &Handler, request: impl Fn() -> Request<Body>) -> Got {
    send(layer, handler, request()).await;
    let read = send(layer, handler, request()).await;
    let before = trips(rig);
    let at_hand = send(layer, handler, request()).await;
    assert_eq!(trips(rig), before, "the store was asked");
    // Whether a response came after its request is told by the system's clock, which the test does not move.
    let headers = |got: &Got| format!("{:?}", got.headers).replace("; collapsed", "");
    assert_eq!(headers(&at_hand), headers(&read));
    assert_eq!((at_hand.status, &at_hand.body), (read.status, &read.body));
    at_hand
}

#[tokio::test]
async fn the_answer_is_that_of_the_slow_way_and_the_store_is_not_asked() {
    let rig = Rig::new();
    for (layer, says) in [
        (rig.http.cache().ttl("1m"), ""),
        (rig.http.clone().prefix("told").cache().ttl("1m").stale("1m"), "public, max-age=50"),
        (rig.http.clone().prefix("none").cache_status(None).x_cache(None).cache(), ""),
        (rig.http.clone().prefix("gateway").gateway(), "max-age=60, must-revalidate"),
        (rig.http.clone().prefix("user").cache().private(|_| Some(7)), "max-age=60"),
    ] {
        let handler = Handler::new(move |_| async move {
            let says = [("cache-control", says), ("cache-status", "origin; hit"), ("x-a", "1"), ("x-a", "2")];
            response(200, &says[usize::from(says[0].1.is_empty())..], "text")
        });
        let got = warm(&rig, &layer, &handler, || request("GET", "/a", &[])).await;
        assert_eq!((got.body.as_str(), got.header("age"), handler.runs()), ("text", "0", 1));
        for (seconds, age) in [(1, "1"), (1, "2"), (30, "32")] {
            rig.pass(seconds);
            let before = trips(&rig);
            assert_eq!(get(&layer, &handler, &[]).await.header("age"), age);
            assert_eq!(trips(&rig), before);
        }
    }
    let stats = rig.http.stats();
    assert_eq!((stats[0].misses, stats[0].hits, stats[0].bytes), (1, 5, 20), "{stats:?}");
    assert_eq!(rig.cache.stats().site("http").map(|site| site.hits), Some(5));
}

/// Upholds G1.
#[tokio::test]
async fn what_was_evicted_is_not_at_hand() {
    #[cache_evict(tags = ["teas"])]
    async fn rename() {}

    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m").tags(["teas"]), Handler::counting(&[]));
    for way in 0..7 {
        warm(&rig, &layer, &handler, || request("GET", "/a", &[("host", "shop")])).await;
        match way {
            0 => rig.cache.scope(rename()).await,
            1 => rig.cache.evict_tags([cachemacro_http::url_tag("shop", "/a")]).await.unwrap(),
            2 => drop(rig.cache.evict_prefix("http").await.unwrap()),
            3 => rig.cache.clear().await.map(drop).unwrap(),
            4 => {
                // A function that was dropped has evicted as well, in a moment: until then nothing is taken.
                let mut call = std::pin::pin!(rig.cache.scope(async {
                    #[cache_evict(tags = ["teas"])]
                    async fn never() {
                        std::future::pending::<()>().await;
                    }
                    never().await;
                }));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(call.as_mut().poll(&mut context).is_pending());
            }
            5 => {
                // What goes through all keys takes a task, which has not run yet.
                let mut call = std::pin::pin!(rig.cache.scope(async {
                    #[cache_evict(prefix = "http", all)]
                    async fn never() {
                        std::future::pending::<()>().await;
                    }
                    never().await;
                }));
                let mut context = std::task::Context::from_waker(std::task::Waker::noop());
                assert!(call.as_mut().poll(&mut context).is_pending());
            }
            _ => {
                let other = layer.layer(Handler::counting(&[]));
                other.oneshot(request("DELETE", "/a", &[("host", "shop")])).await.map(drop).unwrap();
            }
        }
        let got = send(&layer, &handler, request("GET", "/a", &[("host", "shop")])).await;
        assert_eq!(got.word(), "MISS", "way {way}");
    }
}

#[tokio::test]
async fn what_is_not_fresh_is_not_at_hand() {
    let rig = Rig::new();
    let handler = Handler::counting(&[]);
    for (layer, word) in [
        (rig.http.cache().ttl("10s"), "MISS"),
        (rig.http.clone().prefix("stale").cache().ttl("10s").stale("1m"), "STALE"),
        (rig.http.clone().prefix("old").cache().ttl("10s").stale("1m").max_age("10s"), "MISS"),
    ] {
        warm(&rig, &layer, &handler, || request("GET", "/a", &[])).await;
        rig.clock.advance(Duration::from_millis(9_999));
        assert_eq!(get(&layer, &handler, &[]).await.word(), "HIT");
        rig.clock.advance(Duration::from_millis(1));
        let runs = handler.runs();
        assert_eq!(get(&layer, &handler, &[]).await.word(), word);
        // One that is stale is made anew, be it beside the answer.
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        assert_eq!(handler.runs(), runs + 1);
    }
    // Of a gateway's origin, that it may not serve any more.
    let layer = rig.http.clone().prefix("gateway").gateway();
    let handler = Handler::counting(&[("cache-control", "max-age=10")]);
    warm(&rig, &layer, &handler, || request("GET", "/a", &[])).await;
    rig.pass(10);
    assert_eq!(get(&layer, &handler, &[]).await.body, "run 2");
}

/// The outer layer knows neither the rule nor the tags of the inner one, so it stores nothing of it.
#[tokio::test]
async fn within_another_layer_nothing_is_at_hand() {
    let rig = Rig::new();
    let (inner, handler) = (rig.http.cache().ttl("1m").tags(["teas"]), Handler::counting(&[]));
    let outer = rig.http.clone().prefix("outer").cache().inherit(false);
    warm(&rig, &inner, &handler, || request("GET", "/a", &[])).await;
    let through = async || {
        let service = outer.layer(inner.layer(handler.clone()));
        let response = service.oneshot(request("GET", "/a", &[])).await.unwrap();
        response.into_body().collect().await.unwrap().to_bytes()
    };
    for _ in 0..3 {
        through().await;
    }
    rig.cache.evict_tags(["teas"]).await.unwrap();
    let runs = handler.runs();
    assert_eq!(through().await, format!("run {}", runs + 1));
}

/// Beside host, path, query and what Vary names.
#[tokio::test]
async fn what_a_route_names_tells_requests_apart() {
    let rig = Rig::new();
    let layer = rig.http.cache().key(|request| format!("{:?}", request.headers.get("x-plan")));
    let handler = Handler::new(|request| async move {
        let plan = request.headers().get("x-plan").map_or("", |plan| plan.to_str().unwrap());
        response(200, &[], plan)
    });
    for plan in ["basic", "large", "basic"] {
        let got = warm(&rig, &layer, &handler, || request("GET", "/a", &[("x-plan", plan)])).await;
        assert_eq!(got.body, plan);
    }
}

/// Each of these goes the slow way, whatever is at hand.
#[tokio::test]
async fn what_a_request_demands_is_done_though_a_response_is_at_hand() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m"), Handler::counting(&[]));
    let tag = warm(&rig, &layer, &handler, || request("GET", "/a", &[])).await.header("etag").to_owned();
    rig.pass(2);
    for (headers, status, word) in [
        (vec![("range", "bytes=0-1")], 206, "HIT"),
        (vec![("range", "bytes=90-")], 416, "HIT"),
        (vec![("if-none-match", &*tag)], 304, "HIT"),
        (vec![("authorization", "a")], 200, "BYPASS"),
        (vec![("cookie", "a=b")], 200, "BYPASS"),
        (vec![("upgrade", "websocket")], 200, "BYPASS"),
        (vec![("x-http-method-override", "DELETE")], 200, "BYPASS"),
        (vec![("if-match", "\"a\"")], 200, "BYPASS"),
        (vec![("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT")], 200, "BYPASS"),
        (vec![("x-long", &*"x".repeat(33 << 10))], 200, "BYPASS"),
        (vec![("cache-control", "only-if-cached")], 200, "HIT"),
        (vec![("x-forwarded-host", "evil")], 200, "MISS"),
        (vec![("host", "other")], 200, "MISS"),
        (vec![("cache-control", "no-cache")], 200, "MISS"),
        (vec![("pragma", "no-cache")], 200, "HIT"),
    ] {
        let got = get(&layer, &handler, &headers).await;
        assert_eq!((got.status.as_u16(), got.word()), (status, word), "{headers:?}");
    }
    let head = send(&layer, &handler, request("HEAD", "/a", &[])).await;
    let length = get(&layer, &handler, &[]).await.body.len().to_string();
    assert_eq!((head.word(), head.body.as_str(), head.header("content-length")), ("HIT", "", &*length));
    let full = rig.http.clone().directives(cachemacro_http::Directives::Full).cache();
    assert_eq!(get(&full, &handler, &[("cache-control", "no-store")]).await.word(), "BYPASS");
    let body = Request::get("/a").body(Body::from("text")).unwrap();
    assert_eq!(send(&layer, &handler, body).await.word(), "BYPASS");
}

#[tokio::test]
async fn every_user_and_every_variant_has_its_own_at_hand() {
    let rig = Rig::new();
    let user = |request: &http::request::Parts| {
        request.headers.get("authorization").and_then(|user| user.to_str().ok().map(str::to_owned))
    };
    let handler = Handler::new(|request| async move {
        let text = |name| request.headers().get(name).map_or("", |value| value.to_str().unwrap());
        let shown = format!("{}|{}|{}", request.uri(), text("authorization"), text("accept-language"));
        response(200, &[("vary", "accept-language")], &shown)
    });
    let of_users = rig.http.clone().prefix("users").cache().private(user);
    let layers = [
        rig.http.clone().prefix("undeclared").cache().public(),
        rig.http.clone().prefix("declared").cache().public().vary(["accept-language"]),
        rig.http.clone().prefix("offered").cache().public().vary_among("accept-language", ["en", "de"]),
        of_users.clone(),
        of_users.key(|request| request.uri.query().unwrap_or_default().to_owned()),
    ];
    for (at, layer) in layers.iter().enumerate() {
        let is_of_users = at >= 3;
        for _ in 0..2 {
            for uri in ["/a", "/a?x=1", "/b"] {
                for who in ["ada", "bob"] {
                    let headers = |language| [("authorization", who), ("accept-language", language)];
                    let whose = if is_of_users { who } else { "ada" };
                    for language in ["en", "de", "fr"] {
                        let asked = || request("GET", uri, &headers(language));
                        let got = warm(&rig, layer, &handler, asked).await;
                        assert_eq!(got.body, format!("{uri}|{whose}|{language}"), "layer {at}");
                    }
                    // None takes the place of another.
                    let before = trips(&rig);
                    for language in ["en", "de", "fr"] {
                        let got = send(layer, &handler, request("GET", uri, &headers(language))).await;
                        assert_eq!(got.body, format!("{uri}|{whose}|{language}"), "layer {at}");
                    }
                    assert_eq!(trips(&rig), before, "layer {at} asked the store");
                }
            }
        }
    }
    // As a client without a name goes past the cache of those who have one.
    assert_eq!(get(&layers[3], &handler, &[("accept-language", "en")]).await.word(), "BYPASS");
}

/// A response without one of the tags that a route names is not evicted by it.
#[tokio::test]
async fn layers_with_other_rules_take_nothing_of_each_other() {
    let rig = Rig::new();
    let handler = Handler::counting(&[]);
    let layer = rig.http.cache().ttl("1m").tags(["a"]);
    warm(&rig, &layer, &handler, || request("GET", "/a", &[])).await;
    let more = layer.tags(["b"]);
    assert_eq!(get(&more, &handler, &[]).await.word(), "MISS");
    warm(&rig, &more, &handler, || request("GET", "/a", &[])).await;
    rig.cache.evict_tags(["b"]).await.unwrap();
    assert_eq!(get(&more, &handler, &[]).await.word(), "MISS");
    warm(&rig, &more, &handler, || request("GET", "/a", &[])).await;
    let closed = more.clone().condition(|_| false);
    assert_eq!(get(&closed, &handler, &[]).await.word(), "BYPASS");
    assert_eq!(get(&more.version(7), &handler, &[]).await.word(), "MISS");
}

/// A closure may look a session up, so whichever ways a request goes, each is asked once.
#[tokio::test]
async fn what_a_route_asks_about_a_request_it_asks_once() {
    let rig = Rig::new();
    let asked: [Arc<AtomicUsize>; 3] = Default::default();
    let [condition, identity, key] = asked.clone();
    let count = |of: &Arc<AtomicUsize>| of.fetch_add(1, Ordering::SeqCst);
    let layer = rig.http.cache().condition(move |_| count(&condition) < usize::MAX);
    let layer = layer.key(move |_| format!("{}", count(&key) < usize::MAX));
    let layer = layer.private(move |request| {
        count(&identity);
        request.headers.get("authorization").and_then(|user| user.to_str().ok().map(str::to_owned))
    });
    let handler = Handler::counting(&[]);
    let user = ("authorization", "ada");
    let tag = warm(&rig, &layer, &handler, || request("GET", "/a", &[user])).await.header("etag").to_owned();
    for (method, fields, times) in [
        ("GET", vec![user], [1, 1, 1]),                           // at hand
        ("GET", vec![user, ("if-none-match", &*tag)], [1, 1, 1]), // at hand
        ("GET", vec![user, ("range", "bytes=0-1")], [1, 1, 1]),   // stored
        ("HEAD", vec![user], [1, 1, 1]),                          // stored
        ("GET", vec![user, ("host", "other")], [1, 1, 1]),        // neither
        ("GET", vec![("authorization", "bob")], [1, 1, 1]),       // neither
        ("GET", vec![], [1, 1, 0]),                               // past the cache
        ("GET", vec![user, ("upgrade", "websocket")], [0, 0, 0]), // past the cache, whatever they say
        ("POST", vec![user], [0, 0, 0]),                          // they are not about writes
    ] {
        let before = asked.each_ref().map(|of| of.load(Ordering::SeqCst));
        send(&layer, &handler, request(method, "/a", &fields)).await;
        let after = asked.each_ref().map(|of| of.load(Ordering::SeqCst));
        let ran: Vec<usize> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        assert_eq!(ran, times, "{method} {fields:?}");
    }
    // One that says no is believed, once.
    let (asked, closed) = (Arc::new(AtomicUsize::new(0)), rig.http.cache());
    let closed = closed.condition({
        let asked = asked.clone();
        move |_| asked.fetch_add(1, Ordering::SeqCst) == usize::MAX
    });
    assert_eq!(get(&closed, &handler, &[]).await.word(), "BYPASS");
    assert_eq!(asked.load(Ordering::SeqCst), 1);
}

/// One layer in two routers, whose parameters have other names: the tags are those of the one that is asked.
#[tokio::test]
async fn the_parameters_of_a_path_are_those_of_its_route() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("1m").tags(["tea:{id}"]);
    let router = |path: &str| Router::new().route(path, route_get(async || "tea").layer(layer.clone()));
    let (one, other) = (router("/{id}/{size}"), router("/{size}/{id}"));
    let word = async |app: &Router, evicted: Option<&str>| {
        if let Some(tag) = evicted {
            rig.cache.evict_tags([tag]).await.unwrap();
        }
        let request = Request::get("/7/8").body(axum::body::Body::empty()).unwrap();
        let response = app.clone().oneshot(request).await.unwrap();
        let word = response.headers()["x-cache"].to_str().unwrap().to_owned();
        response.into_body().collect().await.unwrap();
        word
    };
    for _ in 0..3 {
        word(&one, None).await;
    }
    assert_eq!(word(&one, None).await, "HIT");
    assert_eq!(word(&other, None).await, "MISS", "it lacks a tag");
    for _ in 0..3 {
        word(&other, None).await;
    }
    assert_eq!(word(&other, Some("tea:7")).await, "HIT");
    assert_eq!(word(&other, Some("tea:8")).await, "MISS");
    // The same, told by an extension.
    let asked = |id: &str| {
        let mut request = request("GET", "/a", &[]);
        request.extensions_mut().insert(PathParams::from_iter([("id", id)]));
        request
    };
    let handler = Handler::counting(&[]);
    warm(&rig, &layer, &handler, || asked("1")).await;
    assert_eq!(send(&layer, &handler, asked("2")).await.word(), "MISS");
}

#[tokio::test]
async fn tasks_that_go_past_the_cache_or_load_anew_are_not_answered_from_it() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m"), Handler::counting(&[]));
    let runs = async |scope: Option<Mode>| {
        let before = handler.runs();
        match scope {
            Some(mode) => mode.scope(get(&layer, &handler, &[])).await,
            None => get(&layer, &handler, &[]).await,
        };
        handler.runs() - before
    };
    warm(&rig, &layer, &handler, || request("GET", "/a", &[])).await;
    assert_eq!(runs(None).await, 0);
    assert_eq!(runs(Some(Mode::Bypass)).await, 1);
    assert_eq!(runs(Some(Mode::Refresh)).await, 1);
    rig.pass(2);
    warm(&rig, &layer, &handler, || request("GET", "/a", &[])).await;
    rig.pass(2);
    assert_eq!(runs(Some(Mode::MaxAge(Duration::from_secs(1)))).await, 1);
    warm(&rig, &layer, &handler, || request("GET", "/a", &[])).await;
    // What a transaction has written may be rolled back: nobody is told of what it reads, and it reads nothing older.
    let (ran, _removals) = rig
        .cache
        .collect(async {
            rig.cache.evict_tags(["something"]).await.unwrap();
            runs(None).await
        })
        .await;
    assert_eq!(ran, 1);
    assert_eq!(runs(None).await, 0);
}
