//! A route that reads: what is stored, for how long, and what each kind of request makes of it.

use cachemacro_http::{CacheHandle, Directives, Query, url_tag};
use http::{HeaderName, header};

use crate::support::{Handler, Rig, get, request, response, send};

#[tokio::test]
async fn the_second_request_is_answered_from_the_store_until_the_ttl_is_over() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m"), Handler::counting(&[("x-own", "1")]));
    let miss = get(&layer, &handler, &[]).await;
    assert_eq!(
        (miss.word(), miss.body.as_str(), miss.header("cache-control")),
        ("MISS", "run 1", "max-age=60")
    );
    assert_eq!(miss.header("cache-status"), "cachemacro; fwd=uri-miss; ttl=60; stored");
    rig.pass(20);
    let hit = get(&layer, &handler, &[]).await;
    assert_eq!((hit.word(), hit.body.as_str(), hit.header("age")), ("HIT", "run 1", "20"));
    assert_eq!(hit.header("cache-status"), "cachemacro; hit; ttl=40");
    assert_eq!((hit.header("x-own"), hit.header("content-length")), ("1", "5"));
    assert_eq!((hit.header("etag"), hit.header("date")), (miss.header("etag"), miss.header("date")));
    rig.pass(40);
    assert_eq!(get(&layer, &handler, &[]).await.body, "run 2");
}

#[tokio::test]
async fn an_evict_of_a_tag_drops_the_responses_that_carry_it() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("1m").tags(["products"]).tags_by(|_| vec!["late".to_owned()]);
    let handler = Handler::new(|request| async move {
        request.extensions().get::<CacheHandle>().unwrap().tags(["inside"]);
        response(200, &[], "text")
    });
    for tag in ["products", "late", "inside", &url_tag("", "/a")] {
        get(&layer, &handler, &[]).await;
        assert_eq!(get(&layer, &handler, &[]).await.word(), "HIT");
        rig.cache.evict_tags([tag]).await.unwrap();
        assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS", "{tag}");
    }
}

/// Upholds G1.
#[tokio::test]
async fn what_was_read_before_an_evict_is_not_stored_after_it() {
    let rig = Rig::new();
    for tag in ["products", "inside"] {
        let cache = rig.cache.clone();
        let layer = rig.http.cache().ttl("1m").tags(["products"]);
        let handler = Handler::new(move |request| {
            let cache = cache.clone();
            async move {
                request.extensions().get::<CacheHandle>().unwrap().tags(["inside"]);
                cache.evict_tags([tag]).await.unwrap();
                response(200, &[], "outdated")
            }
        });
        get(&layer, &handler, &[]).await;
        let fresh = Handler::counting(&[]);
        assert_eq!(get(&layer, &fresh, &[]).await.word(), "MISS", "{tag}");
        rig.cache.evict_tags(["products"]).await.unwrap();
    }
}

#[tokio::test]
async fn a_response_inherits_the_tags_and_the_time_of_what_its_handler_called() {
    let rig = Rig::new();
    let user = |id: u64| {
        let tags = ["users".to_owned(), format!("user:{id}")];
        rig.cache.entry::<u64>("user", id).with_tags(tags).with_ttl(std::time::Duration::from_secs(30))
    };
    let (first, second) = (user(1), user(2));
    let handler = Handler::new(move |_| {
        let (first, second) = (first.clone(), second.clone());
        async move {
            let sum = first.get_or_load(async || 1).await + second.get_or_load(async || 2).await;
            response(200, &[], &sum.to_string())
        }
    });
    let layer = rig.http.cache().ttl("1h");
    for tag in ["users", "user:1", "user:2"] {
        rig.cache.evict_tags(["http"]).await.unwrap();
        get(&layer, &handler, &[]).await;
        assert_eq!(get(&layer, &handler, &[]).await.word(), "HIT");
        rig.cache.evict_tags([tag]).await.unwrap();
        // What the handler calls is a hit for one of them, and a load for the other.
        assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS", "{tag}");
    }
    rig.pass(20);
    rig.cache.evict_prefix("http").await.unwrap();
    let got = get(&layer, &handler, &[]).await;
    assert_eq!(got.header("cache-control"), "max-age=10", "what it was made of is 20 seconds old");
    rig.pass(10);
    assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");

    let apart = rig.http.clone().prefix("apart").cache().ttl("1h").inherit(false);
    get(&apart, &handler, &[]).await;
    rig.cache.evict_tags(["users"]).await.unwrap();
    assert_eq!(get(&apart, &handler, &[]).await.word(), "HIT");
}

#[tokio::test]
async fn a_response_that_depends_on_too_much_is_not_stored() {
    let rig = Rig::new();
    let handler = Handler::of_rows(&rig.cache, 65, &[]);
    let layer = rig.http.cache();
    let got = get(&layer, &handler, &[]).await;
    assert!(got.header("cache-status").ends_with("detail=inherited"), "{got:?}");
    assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");
}

#[tokio::test]
async fn a_handler_only_shortens_what_its_route_says() {
    let rig = Rig::new();
    let ttl = |headers: &'static [(&'static str, &'static str)]| {
        let (layer, handler) = (rig.http.cache().ttl("1m"), Handler::counting(headers));
        let cache = rig.cache.clone();
        async move {
            cache.clear().await.unwrap();
            get(&layer, &handler, &[]).await;
            let hit = get(&layer, &handler, &[]).await;
            let ttl = hit.header("cache-status").rsplit("ttl=").next().unwrap_or_default();
            (hit.word().to_owned(), ttl.split(';').next().unwrap_or_default().to_owned())
        }
    };
    assert_eq!(ttl(&[("cache-control", "max-age=10")]).await, ("HIT".to_owned(), "10".to_owned()));
    assert_eq!(ttl(&[("cache-control", "max-age=100")]).await, ("HIT".to_owned(), "60".to_owned()));
    assert_eq!(ttl(&[("cache-control", "max-age=100"), ("age", "95")]).await.1, "5");
    for never in ["no-store", "private", "no-cache", "max-age=0"] {
        let headers: &'static [_] = Box::leak(Box::new([("cache-control", never)]));
        assert_eq!(ttl(headers).await.0, "MISS", "{never}");
    }
}

#[tokio::test]
async fn a_handler_says_from_inside_how_long_and_whether() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("1m");
    let handler = Handler::new(|request| async move {
        let handle = request.extensions().get::<CacheHandle>().unwrap();
        match request.uri().query() {
            Some("short") => handle.ttl("5s"),
            Some("error") => {
                handle.ttl(std::time::Duration::from_secs(5));
                return response(400, &[], "");
            }
            _ => handle.no_store(),
        }
        response(200, &[], "")
    });
    for (uri, expected) in [("/a?short", "HIT"), ("/a?error", "HIT"), ("/a?never", "MISS")] {
        send(&layer, &handler, request("GET", uri, &[])).await;
        assert_eq!(send(&layer, &handler, request("GET", uri, &[])).await.word(), expected, "{uri}");
    }
}

#[tokio::test]
async fn errors_are_stored_only_on_the_handler_s_word() {
    let rig = Rig::new();
    let handler = Handler::new(|request| async move {
        let status = request.uri().path()[1..].parse().unwrap();
        let word: &[_] =
            if request.uri().query().is_some() { &[("cache-control", "max-age=5")] } else { &[] };
        response(status, word, "")
    });
    let layer = rig.http.cache().negative_ttl("10s").statuses([302]);
    for (uri, expected) in [
        ("/200", "HIT"),
        ("/203", "HIT"),
        ("/204", "HIT"),
        ("/300", "HIT"),
        ("/301", "HIT"),
        ("/308", "HIT"),
        ("/302", "HIT"),
        ("/404", "HIT"),
        ("/410", "HIT"),
        ("/400", "MISS"),
        ("/413", "MISS"),
        ("/431", "MISS"),
        ("/500", "MISS"),
        ("/503", "MISS"),
        ("/201", "MISS"),
        ("/206?word", "MISS"),
        ("/400?word", "HIT"),
    ] {
        send(&layer, &handler, request("GET", uri, &[])).await;
        assert_eq!(send(&layer, &handler, request("GET", uri, &[])).await.word(), expected, "{uri}");
    }
    let plain = rig.http.cache();
    send(&plain, &handler, request("GET", "/404?", &[("host", "other")])).await;
    rig.cache.clear().await.unwrap();
    send(&plain, &handler, request("GET", "/404", &[])).await;
    assert_eq!(send(&plain, &handler, request("GET", "/404", &[])).await.word(), "MISS");
}

#[tokio::test]
async fn a_client_that_has_it_is_told_so() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m"), Handler::counting(&[]));
    let tag = get(&layer, &handler, &[]).await.header("etag").to_owned();
    assert!(tag.starts_with("W/\"") && tag.len() == 36, "{tag}");
    let same = get(&layer, &handler, &[("if-none-match", &format!("\"x\", {tag}"))]).await;
    assert_eq!((same.status.as_u16(), same.word(), same.header("etag")), (304, "HIT", tag.as_str()));
    assert!(same.body.is_empty() && same.header("content-type").is_empty());
    let other = get(&layer, &handler, &[("if-none-match", "\"x\"")]).await;
    assert_eq!((other.status.as_u16(), other.body.as_str()), (200, "run 1"));

    let strong = rig.http.cache().strong_tags();
    let got = send(&strong, &handler, request("GET", "/strong", &[])).await;
    assert!(got.header("etag").starts_with('"'));
}

#[tokio::test]
async fn a_ttl_of_zero_stores_nothing_and_answers_304_all_the_same() {
    let rig = Rig::new();
    let handler = Handler::new(|_| async { response(200, &[], "same") });
    let layer = rig.http.cache().ttl("0s");
    let first = get(&layer, &handler, &[]).await;
    assert_eq!((first.word(), first.header("cache-control")), ("MISS", "no-cache"));
    let again = get(&layer, &handler, &[("if-none-match", first.header("etag"))]).await;
    assert_eq!((again.status.as_u16(), handler.runs()), (304, 2));
}

#[tokio::test]
async fn head_is_answered_from_a_stored_get_and_stores_nothing() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m"), Handler::counting(&[]));
    let head = || send(&layer, &handler, request("HEAD", "/a", &[]));
    assert_eq!(head().await.word(), "MISS");
    assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");
    let hit = head().await;
    assert_eq!((hit.word(), hit.header("content-length"), hit.body.as_str()), ("HIT", "5", ""));
    assert_eq!(handler.runs(), 2);
}

#[tokio::test]
async fn ranges_are_cut_from_the_stored_whole() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m").strong_tags(), Handler::counting(&[]));
    let range = async |range: &'static str| get(&layer, &handler, &[("range", range)]).await;
    let miss = range("bytes=0-1").await;
    assert_eq!((miss.word(), miss.status.as_u16()), ("MISS", 200), "it passes as it is");
    let tag = get(&layer, &handler, &[]).await.header("etag").to_owned();
    let part = range("bytes=1-2").await;
    assert_eq!((part.status.as_u16(), part.body.as_str()), (206, "un"));
    assert_eq!((part.header("content-range"), part.header("content-length")), ("bytes 1-2/5", "2"));
    let none = range("bytes=9-").await;
    assert_eq!((none.status.as_u16(), none.header("content-range")), (416, "bytes */5"));
    for (named, status) in [(tag.as_str(), 206), ("\"x\"", 200)] {
        let got = get(&layer, &handler, &[("range", "bytes=1-2"), ("if-range", named)]).await;
        assert_eq!(got.status.as_u16(), status, "{named}");
    }
}

#[tokio::test]
async fn each_kind_of_request_gets_its_own() {
    let rig = Rig::new();
    let handler = Handler::new(|request| async move {
        let language = request.headers().get("accept-language").map_or("-", |value| value.to_str().unwrap());
        response(200, &[("vary", "accept-language")], language)
    });
    let ask = |layer: cachemacro_http::CacheLayer, language: &'static str| {
        let handler = handler.clone();
        async move {
            let got = get(&layer, &handler, &[("accept-language", language)]).await;
            (got.word().to_owned(), got.body)
        }
    };
    let expect = |word: &str, body: &str| (word.to_owned(), body.to_owned());
    let undeclared = rig.http.cache();
    let declared = rig.http.clone().prefix("declared").cache().vary([header::ACCEPT_LANGUAGE]);
    for layer in [undeclared, declared] {
        assert_eq!(ask(layer.clone(), "en").await, expect("MISS", "en"));
        assert_eq!(ask(layer.clone(), "de").await, expect("MISS", "de"));
        assert_eq!(ask(layer.clone(), "fr").await, expect("MISS", "fr"));
        for language in ["en", "de", "fr"] {
            assert_eq!(ask(layer.clone(), language).await, expect("HIT", language));
        }
        assert_eq!(ask(layer, "DE").await, expect("HIT", "de"));
    }
    let offered = rig.http.clone().prefix("offered").cache().vary_among("accept-language", ["en", "de"]);
    assert_eq!(ask(offered.clone(), "de-ch, en;q=0.5").await, expect("MISS", "de-ch, en;q=0.5"));
    assert_eq!(ask(offered.clone(), "de").await, expect("HIT", "de-ch, en;q=0.5"));
    assert_eq!(ask(offered, "en").await.0, "MISS");
}

#[tokio::test]
async fn a_flood_of_variants_stores_no_more_than_its_slots() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1h"), Handler::counting(&[("vary", "user-agent")]));
    for agent in 0..500 {
        get(&layer, &handler, &[("user-agent", &agent.to_string())]).await;
    }
    assert_eq!(rig.cache.evict_prefix("http").await.unwrap(), 64);
}

#[tokio::test]
async fn vary_by_anything_is_never_stored() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), Handler::counting(&[("vary", "accept, *")]));
    for _ in 0..3 {
        assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");
    }
}

#[tokio::test]
async fn requests_ask_for_newer_ones() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1m"), Handler::counting(&[]));
    get(&layer, &handler, &[]).await;
    for directive in ["no-cache", "max-age=0", "min-fresh=100"] {
        let before = handler.runs();
        let ask = async || get(&layer, &handler, &[("cache-control", directive)]).await;
        assert_eq!(ask().await.word(), "HIT", "{directive}: it is younger than a second");
        rig.pass(2);
        let newer = ask().await;
        assert_eq!((newer.word(), handler.runs()), ("MISS", before + 1), "{directive}");
        assert!(newer.header("cache-status").contains("fwd=request"), "{newer:?}");
        assert_eq!(get(&layer, &handler, &[]).await.body, newer.body, "it replaced the other");
    }
    rig.pass(2);
    assert_eq!(get(&layer, &handler, &[("pragma", "no-cache")]).await.word(), "MISS");
    rig.pass(5);
    for kept in ["max-age=10", "no-store", "max-stale=5", "only-if-cached"] {
        assert_eq!(get(&layer, &handler, &[("cache-control", kept)]).await.word(), "HIT", "{kept}");
    }
    let ignoring = rig.http.clone().directives(Directives::Ignore).cache().ttl("1m");
    assert_eq!(get(&ignoring, &handler, &[("cache-control", "no-cache")]).await.word(), "HIT");
    let full = rig.http.clone().directives(Directives::Full).cache().ttl("1m");
    assert_eq!(get(&full, &handler, &[("cache-control", "no-store")]).await.word(), "BYPASS");
}

/// Requests whose responses are not stored, each with what it asks a cache for.
const ODD: [(&str, &[(&str, &str)]); 9] = [
    ("GET", &[("cache-control", "no-cache, no-store")]),
    ("GET", &[("cache-control", "max-age=0, no-store")]),
    ("GET", &[("cache-control", "min-fresh=100, no-store")]),
    ("HEAD", &[("cache-control", "no-cache")]),
    ("HEAD", &[("pragma", "no-cache")]),
    ("HEAD", &[("cache-control", "max-age=0, no-store")]),
    ("GET", &[("cache-control", "no-cache"), ("range", "bytes=1-2")]),
    ("GET", &[("cache-control", "no-cache, no-store"), ("range", "bytes=1-2")]),
    ("HEAD", &[("cache-control", "no-cache"), ("range", "bytes=1-2")]),
];

#[tokio::test]
async fn a_stored_url_costs_one_run_a_second_whatever_clients_send() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().ttl("1h"), Handler::counting(&[]));
    get(&layer, &handler, &[]).await;
    for (method, headers) in ODD {
        rig.pass(2);
        let before = handler.runs();
        // Only a part is made of a whole that takes the place of what is stored.
        let renews = method == "GET" && headers[0].1 == "no-cache";
        let whole = format!("run {}", before + usize::from(renews));
        for (at, word) in [if renews { "MISS" } else { "HIT" }, "HIT", "HIT"].into_iter().enumerate() {
            let got = send(&layer, &handler, request(method, "/a", headers)).await;
            let runs = before + usize::from(renews);
            assert_eq!((got.word(), handler.runs()), (word, runs), "{method} {headers:?} {at}");
            let (status, body, length) = match (method, headers.len()) {
                ("HEAD", _) => (200, String::new(), whole.len()),
                (_, 1) => (200, whole.clone(), whole.len()),
                _ => (206, "un".to_owned(), 2),
            };
            assert_eq!(
                (got.status.as_u16(), got.body.as_str()),
                (status, body.as_str()),
                "{method} {headers:?}"
            );
            assert_eq!(got.header("content-length"), length.to_string(), "{method} {headers:?}");
        }
        let stored = get(&layer, &handler, &[]).await;
        assert_eq!(stored.word(), "HIT", "{method} {headers:?}");
        assert_eq!(stored.body, whole, "{method} {headers:?}");
    }
    // Where nothing is stored, they store nothing.
    rig.cache.clear().await.unwrap();
    for (method, headers) in ODD {
        assert_eq!(send(&layer, &handler, request(method, "/a", headers)).await.word(), "MISS");
        let only = get(&layer, &handler, &[("cache-control", "only-if-cached")]).await;
        assert_eq!(only.status.as_u16(), 504, "{method} {headers:?}");
    }
}

#[tokio::test]
async fn whoever_gets_what_is_stale_it_is_made_anew() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("10s").stale("1m");
    let handler = Handler::counting(&[]);
    get(&layer, &handler, &[]).await;
    let kinds: [(&str, &[(&str, &str)]); 2] =
        [("GET", &[("range", "bytes=1-2")]), ("GET", &[("cache-control", "no-store")])];
    for (method, headers) in kinds {
        rig.pass(15);
        let before = handler.runs();
        let ask = async || send(&layer, &handler, request(method, "/a", headers)).await.word().to_owned();
        assert_eq!(ask().await, "STALE", "{method} {headers:?}");
        let mut tries = 0;
        while ask().await != "HIT" && tries < 1_000 {
            tries += 1;
            tokio::task::yield_now().await;
        }
        assert_eq!((ask().await.as_str(), handler.runs()), ("HIT", before + 1), "{method} {headers:?}");
    }
}

/// In routers the handler of HEAD may be another than that of GET.
#[tokio::test]
async fn head_takes_the_place_of_nothing() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("10s").stale("1m");
    let pages = Handler::counting(&[]);
    let heads = Handler::new(|_| async { response(200, &[], "") });
    get(&layer, &pages, &[]).await;
    for (seconds, word) in [(2, "HIT"), (10, "STALE")] {
        rig.pass(seconds);
        for headers in [&[][..], &[("cache-control", "no-cache")], &[("cache-control", "max-age=0")]] {
            let got = send(&layer, &heads, request("HEAD", "/a", headers)).await;
            assert_eq!((got.word(), got.header("content-length")), (word, "5"), "{headers:?}");
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(heads.runs(), 0);
    }
    assert_eq!(get(&layer, &pages, &[]).await.body, "run 1");
}

#[tokio::test]
async fn no_store_keeps_this_response_from_being_stored_and_no_more() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), Handler::counting(&[]));
    for _ in 0..2 {
        assert_eq!(get(&layer, &handler, &[("cache-control", "no-store")]).await.word(), "MISS");
    }
    let only = get(&layer, &handler, &[("cache-control", "only-if-cached")]).await;
    assert_eq!((only.status.as_u16(), handler.runs()), (504, 2));
}

#[tokio::test]
async fn what_is_stale_serves_while_one_runs_and_where_that_fails() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("10s").stale("1m");
    let handler = Handler::counting(&[]);
    get(&layer, &handler, &[]).await;
    rig.pass(15);
    let stale = get(&layer, &handler, &[]).await;
    assert_eq!((stale.word(), stale.body.as_str()), ("STALE", "run 1"));
    while get(&layer, &handler, &[]).await.body != "run 2" {
        tokio::task::yield_now().await;
    }
    assert_eq!(handler.runs(), 2);
    rig.pass(15);
    let broken = Handler::new(|_| async { response(503, &[], "broken") });
    let stale = get(&layer, &broken, &[]).await;
    assert_eq!((stale.word(), stale.body.as_str()), ("STALE", "run 2"));
    let asked = get(&layer, &broken, &[("cache-control", "no-cache")]).await;
    assert_eq!((asked.word(), asked.body.as_str()), ("STALE", "run 2"), "the run fails");
    rig.pass(60);
    assert_eq!(get(&layer, &broken, &[]).await.status.as_u16(), 503);
}

#[tokio::test]
async fn rules_choose_what_is_one_request() {
    let rig = Rig::new();
    let handler = Handler::counting(&[]);
    let ask = |layer: cachemacro_http::CacheLayer, uri: &'static str| {
        let handler = handler.clone();
        async move { send(&layer, &handler, request("GET", uri, &[])).await.word().to_owned() }
    };
    let plain = rig.http.cache();
    assert_eq!(ask(plain.clone(), "/a?x=1&y=2").await, "MISS");
    assert_eq!(ask(plain.clone(), "/a?y=2&x=1").await, "HIT");
    assert_eq!(ask(plain, "/a?y=2&x=1&utm=3").await, "MISS");
    let without = rig.http.cache().query(Query::without(["utm"]));
    assert_eq!(ask(without, "/a?y=2&x=1&utm=4").await, "HIT");
    let keyed = rig.http.cache().key(|request| request.uri.query().unwrap_or_default().len().to_string());
    assert_eq!(ask(keyed, "/a?y=2&x=1").await, "MISS");
    assert_eq!(ask(rig.http.cache().version(2), "/a?y=2&x=1").await, "MISS");
    assert_eq!(ask(rig.http.cache().condition(|_| false), "/a?y=2&x=1").await, "BYPASS");
    let unless = rig.http.cache().unless(|response| response.status == 200);
    assert_eq!(ask(unless.clone(), "/b").await, "MISS");
    assert_eq!(ask(unless, "/b").await, "MISS");
}

#[tokio::test]
async fn a_response_with_a_large_header_section_passes_unstored() {
    let rig = Rig::new();
    let handler = Handler::new(|request| async move {
        let length = request.uri().query().unwrap().parse().unwrap();
        response(200, &[("x-large", &"x".repeat(length))], "text")
    });
    let layer = rig.http.cache();
    for (length, again) in [(32_000, "HIT"), (33_000, "MISS")] {
        let uri = format!("/a?{length}");
        for word in ["MISS", again] {
            let got = send(&layer, &handler, request("GET", &uri, &[])).await;
            assert_eq!((got.word(), got.header("x-large").len()), (word, length));
        }
    }
    assert_eq!(rig.http.stats()[0].not_stored["rule"], 1);
}

#[tokio::test]
async fn headers_can_be_renamed_and_left_out() {
    let rig = Rig::new();
    let handler = Handler::counting(&[]);
    let named =
        rig.http.clone().cache_status(Some("shop")).x_cache(Some(HeaderName::from_static("x-shop"))).cache();
    let got = get(&named, &handler, &[]).await;
    assert!(got.header("cache-status").starts_with("shop; fwd"));
    assert_eq!((got.header("x-shop"), got.header("x-cache")), ("MISS", ""));
    let silent = rig.http.clone().cache_status(None).x_cache(None).cache();
    let got = get(&silent, &handler, &[]).await;
    assert_eq!((got.header("cache-status"), got.header("x-cache"), got.body.as_str()), ("", "", "run 1"));
}

#[tokio::test]
async fn a_store_that_fails_costs_nothing_but_speed() {
    use cachemacro::store::faults::FaultStore;
    use cachemacro::store::memory::MemoryStore;
    let store = std::sync::Arc::new(FaultStore::new(std::sync::Arc::new(MemoryStore::new())));
    let cache = cachemacro::Cache::builder().store(store.clone()).build().unwrap();
    let layer = cachemacro_http::HttpCache::new(cache).cache();
    let handler = Handler::new(|_| async { response(200, &[("etag", "\"a\"")], "text") });
    store.fail_all(cachemacro::ErrorKind::Timeout);
    let got = get(&layer, &handler, &[]).await;
    assert_eq!((got.word(), got.body.as_str()), ("BYPASS", "text"));
    assert!(got.header("cache-status").contains("detail=store"));
    let got = get(&layer, &handler, &[("if-none-match", "\"a\"")]).await;
    assert_eq!(got.status.as_u16(), 304);
}

/// Each command of a server that is slow ends with its timeout. So few of them are waited for, and the client's response is the handler's.
#[tokio::test(start_paused = true)]
async fn a_store_that_is_slow_is_waited_for_as_long_as_one_command_may_take() {
    use std::time::Duration;

    use cachemacro::store::faults::{FaultStore, Op};
    use cachemacro::store::memory::MemoryStore;
    let store = std::sync::Arc::new(FaultStore::new(std::sync::Arc::new(MemoryStore::new())));
    let timeout = Duration::from_millis(250);
    let cache = cachemacro::Cache::builder().store(store.clone()).deadline(timeout).build().unwrap();
    let layer = cachemacro_http::HttpCache::new(cache).cache();
    let handler = Handler::new(|_| async { response(200, &[("etag", "\"a\"")], "text") });
    get(&layer, &handler, &[]).await;
    assert_eq!(get(&layer, &handler, &[]).await.word(), "HIT");
    for op in [Op::Connect, Op::Read, Op::ReadHead, Op::Versions, Op::Capture, Op::Lease, Op::Renew, Op::Fill]
    {
        store.delay(op, timeout);
        store.fail(op, cachemacro::ErrorKind::Timeout);
    }
    for uri in ["/a", "/b"] {
        let began = tokio::time::Instant::now();
        let got = send(&layer, &handler, request("GET", uri, &[])).await;
        assert_eq!((got.word(), got.body.as_str()), ("BYPASS", "text"));
        assert!(got.header("cache-status").contains("detail=store"), "{got:?}");
        let got = send(&layer, &handler, request("GET", uri, &[("if-none-match", "\"a\"")])).await;
        assert_eq!(got.status.as_u16(), 304);
        assert!(began.elapsed() <= 2 * 2 * timeout, "{:?}", began.elapsed());
    }
    store.heal();
    let runs = handler.runs();
    assert_eq!((get(&layer, &handler, &[]).await.word(), handler.runs()), ("HIT", runs), "it is there again");
}
