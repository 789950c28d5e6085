//! The layer as a shared cache in front of an origin that speaks for itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use cachemacro_http::CacheHandle;
use http::HeaderName;

use crate::support::{Handler, Rig, get, response};

#[tokio::test]
async fn freshness_is_the_origin_s() {
    let rig = Rig::new();
    for (headers, word) in [
        (&[("cache-control", "max-age=60")][..], "HIT"),
        (&[("cache-control", "s-maxage=60, max-age=0")], "HIT"),
        (&[], "MISS"),
        (&[("cache-control", "max-age=60"), ("age", "70")], "MISS"),
        (&[("cdn-cache-control", "max-age=60"), ("cache-control", "no-store")], "HIT"),
        (&[("cdn-cache-control", "max-age=\"60\""), ("cache-control", "no-store")], "MISS"),
        (&[("set-cookie", "a=b"), ("cache-control", "max-age=60")], "MISS"),
    ] {
        rig.cache.clear().await.unwrap();
        let layer = rig.http.clone().gateway().targets([HeaderName::from_static("cdn-cache-control")]);
        let handler = Handler::new(move |_| async move { response(200, headers, "") });
        let fresh = cachemacro_http::HttpCache::new(rig.cache.clone());
        let layer = if word == "MISS" {
            fresh.gateway().targets([HeaderName::from_static("cdn-cache-control")])
        } else {
            layer
        };
        get(&layer, &handler, &[]).await;
        assert_eq!(get(&layer, &handler, &[]).await.word(), word, "{headers:?}");
    }
}

#[tokio::test]
async fn what_is_stale_is_asked_about_and_renewed() {
    let rig = Rig::new();
    let layer = rig.http.gateway();
    let handler = Handler::new(|request| async move {
        let says = [("cache-control", "max-age=10"), ("etag", "\"a\""), ("x-new", "2")];
        match request.headers().get("if-none-match") {
            Some(_) => response(304, &says, ""),
            None => response(200, &[says[0], says[1], ("x-new", "1"), ("x-old", "1")], "text"),
        }
    });
    get(&layer, &handler, &[]).await;
    rig.pass(15);
    let renewed = get(&layer, &handler, &[]).await;
    assert_eq!((renewed.status.as_u16(), renewed.body.as_str(), renewed.word()), (200, "text", "MISS"));
    assert_eq!((renewed.header("x-new"), renewed.header("x-old")), ("2", "1"));
    let hit = get(&layer, &handler, &[]).await;
    assert_eq!((hit.word(), hit.header("x-new"), handler.runs()), ("HIT", "2", 2));
}

#[tokio::test]
async fn an_origin_that_is_gone_is_stood_in_for() {
    let rig = Rig::new();
    for (says, word) in [
        ("max-age=1", "STALE"),
        ("max-age=1, must-revalidate", "MISS"),
        ("s-maxage=1", "MISS"),
        ("max-age=1, proxy-revalidate", "MISS"),
    ] {
        rig.cache.clear().await.unwrap();
        let gone = Arc::new(AtomicBool::new(false));
        let (layer, flag) = (rig.http.gateway(), gone.clone());
        let handler = Handler::new(move |_| {
            let status = if flag.load(Ordering::SeqCst) { 502 } else { 200 };
            async move { response(status, &[("cache-control", says), ("etag", "\"a\"")], "") }
        });
        get(&layer, &handler, &[]).await;
        gone.store(true, Ordering::SeqCst);
        rig.pass(5);
        assert_eq!(get(&layer, &handler, &[]).await.word(), word, "{says}");
    }
}

/// Not an answer that tells of a failure, but none at all.
#[tokio::test]
async fn an_origin_that_does_not_answer_is_stood_in_for() {
    use tower::{Layer as _, ServiceExt as _};
    let rig = Rig::new();
    for (says, word) in [
        ("max-age=1", Some("STALE")),
        ("max-age=1, stale-if-error=60", Some("STALE")),
        ("max-age=1, must-revalidate", None),
        ("s-maxage=1", None),
        ("no-store", None),
    ] {
        rig.cache.clear().await.unwrap();
        let layer = cachemacro_http::HttpCache::new(rig.cache.clone()).gateway();
        let runs = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        let service = tower::service_fn(move |_: http::Request<crate::support::Body>| {
            let is_first = runs.fetch_add(1, Ordering::SeqCst) == 0;
            async move {
                if is_first {
                    Ok(response(200, &[("cache-control", says), ("etag", "\"a\"")], "text"))
                } else {
                    Err("the connection was refused")
                }
            }
        });
        let ask = || layer.layer(service.clone()).oneshot(crate::support::request("GET", "/a", &[]));
        ask().await.unwrap();
        rig.pass(5);
        match (ask().await, word) {
            (Ok(got), Some(word)) => {
                assert_eq!(got.headers()["x-cache"], word, "{says}");
                assert!(got.headers()["cache-status"].to_str().unwrap().ends_with("detail=failed"), "{says}");
                let body = http_body_util::BodyExt::collect(got.into_body()).await.unwrap().to_bytes();
                assert_eq!(body, "text");
            }
            (Err(error), None) => assert_eq!(error, "the connection was refused", "{says}"),
            (got, _) => panic!("{says}: {:?}", got.map(|got| got.into_parts().0)),
        }
    }
}

#[tokio::test]
async fn no_cache_is_stored_and_asked_about() {
    let rig = Rig::new();
    let layer = rig.http.gateway();
    let handler = Handler::new(|request| async move {
        let says = [("cache-control", "no-cache"), ("etag", "\"a\"")];
        response(if request.headers().contains_key("if-none-match") { 304 } else { 200 }, &says, "text")
    });
    get(&layer, &handler, &[]).await;
    rig.pass(1);
    let got = get(&layer, &handler, &[]).await;
    assert_eq!((got.status.as_u16(), handler.runs()), (200, 2));
    let same = get(&layer, &handler, &[("if-none-match", "\"a\"")]).await;
    assert_eq!((same.status.as_u16(), handler.runs()), (304, 3));
}

#[tokio::test]
async fn a_response_to_head_renews_what_is_stored_or_tells_that_it_holds_no_more() {
    let rig = Rig::new();
    for (tag, length, word, new) in [
        ("\"a\"", "4", "HIT", "2"),
        ("\"b\"", "4", "MISS", "1"),  // 4.3.5: another validator
        ("\"a\"", "40", "MISS", "1"), // and another length
    ] {
        rig.cache.clear().await.unwrap();
        let layer = rig.http.gateway();
        let handler = Handler::new(move |request| async move {
            let says = ("cache-control", "max-age=10");
            if request.method() == "HEAD" {
                return response(200, &[says, ("etag", tag), ("content-length", length), ("x-new", "2")], "");
            }
            response(200, &[says, ("etag", "\"a\""), ("x-new", "1")], "text")
        });
        get(&layer, &handler, &[]).await;
        rig.pass(15);
        let head = crate::support::send(&layer, &handler, crate::support::request("HEAD", "/a", &[])).await;
        assert_eq!((head.word(), head.header("x-new")), ("MISS", "2"), "it is the origin's answer");
        let got = get(&layer, &handler, &[]).await;
        assert_eq!(
            (got.word(), got.header("x-new"), got.body.as_str()),
            (word, new, "text"),
            "{tag} {length}"
        );
    }
}

#[tokio::test]
async fn a_response_to_head_without_validators_renews_nothing() {
    let rig = Rig::new();
    for (tag, length) in [(None, None), (None, Some("4")), (Some("\"a\""), None), (Some("\"a\""), Some("4"))]
    {
        rig.cache.clear().await.unwrap();
        let layer = rig.http.gateway();
        let gone = Arc::new(AtomicBool::new(false));
        let flag = gone.clone();
        let handler = Handler::new(move |request| {
            let status = if flag.load(Ordering::SeqCst) { 502 } else { 200 };
            async move {
                let mut headers = vec![("cache-control", "max-age=10")];
                if request.method() == "HEAD" {
                    headers.extend(length.map(|length| ("content-length", length)));
                } else {
                    headers.extend(tag.map(|tag| ("etag", tag)));
                }
                response(status, &headers, if request.method() == "HEAD" { "" } else { "text" })
            }
        });
        get(&layer, &handler, &[]).await;
        rig.pass(15);
        let head = crate::support::request("HEAD", "/a", &[]);
        assert_eq!(crate::support::send(&layer, &handler, head).await.word(), "MISS");
        gone.store(true, Ordering::SeqCst);
        assert_eq!(get(&layer, &handler, &[]).await.word(), "STALE", "{tag:?} {length:?}: 4.3.5");
        gone.store(false, Ordering::SeqCst);
        let runs = handler.runs();
        assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS", "{tag:?} {length:?}");
        assert_eq!(handler.runs(), runs + 1);
    }
}

#[tokio::test]
async fn a_response_to_head_is_about_the_variant_that_it_selects() {
    let rig = Rig::new();
    for (tag, word) in [("\"de\"", "HIT"), ("\"new\"", "MISS")] {
        rig.cache.clear().await.unwrap();
        let layer = rig.http.gateway();
        let handler = Handler::new(move |request| async move {
            let language = request.headers()["accept-language"].to_str().unwrap().to_owned();
            let says = if language == "en" { "max-age=600" } else { "max-age=10" };
            let is_head = request.method() == "HEAD";
            let own = format!("\"{language}\"");
            let tag = if is_head { tag } else { &own };
            let headers = [("cache-control", says), ("vary", "accept-language"), ("etag", tag)];
            response(200, &headers, if is_head { "" } else { &language })
        });
        let (en, de) = ([("accept-language", "en")], [("accept-language", "de")]);
        get(&layer, &handler, &en).await;
        get(&layer, &handler, &de).await;
        rig.pass(15);
        let head = crate::support::request("HEAD", "/a", &de);
        assert_eq!(crate::support::send(&layer, &handler, head).await.word(), "MISS");
        let got = get(&layer, &handler, &en).await;
        assert_eq!((got.word(), got.body.as_str()), ("HIT", "en"), "{tag}");
        let got = get(&layer, &handler, &de).await;
        assert_eq!((got.word(), got.body.as_str()), (word, "de"), "{tag}");
    }
}

#[tokio::test]
async fn nothing_serves_that_is_older_than_the_oldest_that_may() {
    let rig = Rig::new();
    for (says, asks) in [
        ("max-age=10", &[][..]),
        ("max-age=10", &[("cache-control", "max-stale")]),
        ("max-age=2", &[("cache-control", "max-stale")]), // it came stale
        ("max-age=3600", &[]),
        ("max-age=10, stale-while-revalidate=3600", &[]),
        ("max-age=10, stale-if-error=3600", &[]),
    ] {
        rig.cache.clear().await.unwrap();
        let gone = Arc::new(AtomicBool::new(false));
        // What is known of a URL is shared by clones.
        let http = cachemacro_http::HttpCache::new(rig.cache.clone());
        let (layer, flag) = (http.gateway().max_age("60s"), gone.clone());
        let handler = Handler::new(move |_| {
            let is_gone = flag.load(Ordering::SeqCst);
            async move {
                // Seconds in other caches count.
                let headers = [("cache-control", says), ("etag", "\"a\""), ("age", "5")];
                if is_gone { response(502, &[], "") } else { response(200, &headers, "") }
            }
        });
        get(&layer, &handler, &[]).await;
        gone.store(true, Ordering::SeqCst);
        rig.pass(54);
        assert_eq!(get(&layer, &handler, asks).await.status, 200, "{says} {asks:?}");
        rig.pass(2);
        let got = get(&layer, &handler, asks).await;
        assert_eq!((got.status.as_u16(), got.word()), (502, "MISS"), "{says} {asks:?}");
    }
}

#[tokio::test]
async fn a_gateway_stores_what_gets_its_tags_from_the_response_or_from_inside() {
    let rig = Rig::new();
    let tea =
        rig.cache.entry::<u64>("tea", 1).with_tags(["tea"]).with_ttl(std::time::Duration::from_secs(30));
    for (kind, layer) in [
        ("by", rig.http.clone().prefix("by").gateway().tags_by(|_| vec!["tea".to_owned()])),
        ("handle", rig.http.clone().prefix("handle").gateway()),
        ("inherited", rig.http.clone().prefix("inherited").gateway().inherit(true)),
    ] {
        let tea = tea.clone();
        let handler = Handler::new(move |request| {
            let tea = tea.clone();
            async move {
                match kind {
                    "handle" => request.extensions().get::<CacheHandle>().unwrap().tags(["tea"]),
                    "inherited" => drop(tea.get_or_load(async || 1).await),
                    _ => {}
                }
                response(200, &[("cache-control", "max-age=60")], "")
            }
        });
        for word in ["MISS", "HIT"] {
            assert_eq!(get(&layer, &handler, &[]).await.word(), word, "{kind}");
        }
        rig.cache.evict_tags(["tea"]).await.unwrap();
        for word in ["MISS", "HIT"] {
            assert_eq!(get(&layer, &handler, &[]).await.word(), word, "{kind}");
        }
        // No longer than what it is made of stays fresh.
        rig.pass(40);
        let word = if kind == "inherited" { "MISS" } else { "HIT" };
        assert_eq!(get(&layer, &handler, &[]).await.word(), word, "{kind}");
    }
}

#[tokio::test]
async fn what_a_gateway_renews_keeps_tags_that_come_from_inside() {
    let rig = Rig::new();
    let tea =
        rig.cache.entry::<u64>("tea", 1).with_tags(["tea"]).with_ttl(std::time::Duration::from_secs(600));
    for (kind, method) in [("handle", "GET"), ("inherited", "GET"), ("handle", "HEAD"), ("inherited", "HEAD")]
    {
        let layer = rig.http.clone().prefix(format!("{kind}{method}")).gateway().inherit(true);
        let tea = tea.clone();
        let handler = Handler::new(move |request| {
            let tea = tea.clone();
            async move {
                if kind == "handle" {
                    request.extensions().get::<CacheHandle>().unwrap().tags(["tea"]);
                } else {
                    tea.get_or_load(async || 1).await;
                }
                let status = if request.headers().contains_key("if-none-match") { 304 } else { 200 };
                let text = if request.method() == "HEAD" || status == 304 { "" } else { "text" };
                response(status, &[("cache-control", "max-age=10"), ("etag", "\"a\"")], text)
            }
        });
        get(&layer, &handler, &[]).await;
        rig.pass(15);
        crate::support::send(&layer, &handler, crate::support::request(method, "/a", &[])).await;
        let hit = get(&layer, &handler, &[]).await;
        assert_eq!((hit.word(), handler.runs()), ("HIT", 2), "{kind} {method}");
        rig.cache.evict_tags(["tea"]).await.unwrap();
        assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS", "{kind} {method}");
    }
}

#[tokio::test]
async fn a_response_of_a_gateway_that_depends_on_too_much_is_not_stored() {
    let rig = Rig::new();
    let handler = Handler::of_rows(&rig.cache, 65, &[("cache-control", "max-age=60")]);
    let layer = rig.http.gateway().inherit(true);
    let got = get(&layer, &handler, &[]).await;
    assert!(got.header("cache-status").ends_with("detail=inherited"), "{got:?}");
}

#[tokio::test]
async fn a_gateway_that_says_whose_its_responses_are_asks_no_response_about_it() {
    let rig = Rig::new();
    let handler = Handler::new(|request| async move {
        let user =
            request.headers().get("authorization").map_or("", |user| user.to_str().unwrap()).to_owned();
        response(200, &[("cache-control", "max-age=60")], &user)
    });
    let public = rig.http.clone().prefix("public").gateway().public();
    let private = rig
        .http
        .clone()
        .prefix("private")
        .gateway()
        .private(|request| request.headers.get("authorization")?.to_str().ok().map(str::to_owned));
    for (layer, user, word, body) in [
        (&public, "a", "MISS", "a"),
        (&public, "a", "HIT", "a"),
        (&public, "b", "HIT", "a"),
        (&private, "a", "MISS", "a"),
        (&private, "a", "HIT", "a"),
        (&private, "b", "MISS", "b"),
        (&private, "b", "HIT", "b"),
        (&private, "a", "HIT", "a"),
    ] {
        // By what is held ready, and past it.
        for headers in
            [&[("authorization", user)][..], &[("authorization", user), ("cache-control", "max-age=9")]]
        {
            let got = get(layer, &handler, headers).await;
            let word = if headers.len() == 1 { word } else { "HIT" };
            assert_eq!((got.word(), got.body.as_str()), (word, body), "{user}");
        }
    }
}

#[tokio::test]
async fn what_the_origin_leaves_open_is_the_rule_s_to_say() {
    let rig = Rig::new();
    // Clones share what is known of a URL.
    let own = || cachemacro_http::HttpCache::new(rig.cache.clone());
    for (at, (headers, after, word)) in [
        (&[][..], 50, "HIT"),
        (&[], 65, "STALE"),
        (&[], 95, "MISS"),
        (&[("cache-control", "public")], 50, "HIT"),
        (&[("last-modified", "Sun, 06 Nov 1994 08:49:37 GMT")], 65, "STALE"), // no heuristic
        (&[("cache-control", "max-age=10")], 15, "STALE"),
        (&[("cache-control", "max-age=100")], 90, "HIT"),
        (&[("expires", "0")], 50, "MISS"),
        (&[("cache-control", "max-age=10, stale-while-revalidate=0")], 15, "MISS"),
        (&[("cache-control", "must-revalidate")], 65, "MISS"),
        (&[("cache-control", "no-store")], 1, "MISS"),
        (&[("cache-control", "no-cache"), ("etag", "\"a\"")], 1, "MISS"),
        (&[("cache-control", "private")], 1, "MISS"),
    ]
    .into_iter()
    .enumerate()
    {
        for by in [false, true] {
            let layer = own().prefix(format!("{at}{by}")).gateway().stale("30s");
            let minute = std::time::Duration::from_secs(60);
            let layer = if by { layer.ttl_by(move |_| minute) } else { layer.ttl("1m") };
            let handler = Handler::new(move |_| async move { response(200, headers, "") });
            assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");
            rig.pass(after);
            assert_eq!(get(&layer, &handler, &[]).await.word(), word, "{headers:?} after {after} by {by}");
        }
    }
    // What may be kept without a word is not only what is right: an error that a client provokes is none of the rule's.
    let layer = own().prefix("errors").gateway().ttl("1m");
    for status in [404, 405, 410, 414, 501] {
        let handler = Handler::new(move |_| async move { response(status, &[], "") });
        for _ in 0..2 {
            let asked = crate::support::request("GET", &format!("/{status}"), &[]);
            assert_eq!(crate::support::send(&layer, &handler, asked).await.word(), "MISS", "{status}");
        }
    }
    // From inside it is said before the rule.
    let layer = own().prefix("inside").gateway().ttl("1m");
    let handler = Handler::new(|request| async move {
        request.extensions().get::<CacheHandle>().unwrap().ttl("10s");
        response(200, &[], "")
    });
    for (passed, word) in [(0, "MISS"), (5, "HIT"), (6, "MISS")] {
        rig.pass(passed);
        assert_eq!(get(&layer, &handler, &[]).await.word(), word);
    }
}

#[tokio::test]
async fn while_it_is_made_anew_what_is_stale_serves_as_long_as_the_origin_says() {
    let rig = Rig::new();
    let layer = rig.http.gateway();
    let go = Arc::new(tokio::sync::Semaphore::new(1));
    let says = [("cache-control", "max-age=10, stale-while-revalidate=20")];
    let handler = {
        let go = go.clone();
        let run = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        Handler::new(move |_| {
            let go = go.clone();
            let run = run.fetch_add(1, Ordering::SeqCst) + 1;
            async move {
                go.acquire().await.unwrap().forget();
                response(200, &says, &format!("run {run}"))
            }
        })
    };
    get(&layer, &handler, &[]).await;
    rig.pass(15);
    // At once, though the run beside it does not end, and there is one of it.
    for _ in 0..5 {
        let got = get(&layer, &handler, &[]).await;
        assert_eq!((got.word(), got.body.as_str()), ("STALE", "run 1"));
        tokio::task::yield_now().await;
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(handler.runs(), 2);
    go.add_permits(1);
    for tries in 0.. {
        let got = get(&layer, &handler, &[]).await;
        if got.word() == "HIT" {
            assert_eq!(got.body, "run 2");
            break;
        }
        assert!(tries < 1_000);
        tokio::task::yield_now().await;
    }
    assert_eq!(handler.runs(), 2);
    rig.pass(31);
    go.add_permits(1);
    let got = get(&layer, &handler, &[]).await;
    assert_eq!((got.word(), got.body.as_str()), ("MISS", "run 3"), "past what the origin says");
}

/// An origin that fails is stood in for a day in any case; `stale-if-error` counts where it says more.
#[tokio::test]
async fn what_is_stale_serves_where_the_origin_fails_as_long_as_it_says_itself() {
    let rig = Rig::new();
    let day = 24 * 60 * 60;
    for (at, (says, after, word)) in [
        ("max-age=1", day - 10, "STALE"),
        ("max-age=1", day + 10, "MISS"),
        ("max-age=1, stale-if-error=172800", day + 10, "STALE"),
        ("max-age=1, stale-if-error=172800", 2 * day + 10, "MISS"),
        ("max-age=1, stale-if-error=172800, must-revalidate", 10, "MISS"),
    ]
    .into_iter()
    .enumerate()
    {
        let layer = rig.http.clone().prefix(at.to_string()).gateway();
        let gone = Arc::new(AtomicBool::new(false));
        let flag = gone.clone();
        let handler = Handler::new(move |_| {
            let status = if flag.load(Ordering::SeqCst) { 502 } else { 200 };
            async move { response(status, &[("cache-control", says), ("etag", "\"a\"")], "") }
        });
        get(&layer, &handler, &[]).await;
        gone.store(true, Ordering::SeqCst);
        rig.pass(after);
        assert_eq!(get(&layer, &handler, &[]).await.word(), word, "{says} after {after}");
    }
}
