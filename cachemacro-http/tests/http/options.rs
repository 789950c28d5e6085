//! What routes and services choose besides how long and for whom.

use cachemacro_http::HttpCache;
use http::StatusCode;

use crate::support::{Handler, Rig, get, request, response, send};

#[tokio::test]
async fn nothing_serves_that_is_older_than_the_oldest_that_may() {
    let rig = Rig::new();
    let layer = rig.http.cache().ttl("10s").stale("1h").max_age("15s");
    let handler = Handler::counting(&[]);
    get(&layer, &handler, &[]).await;
    rig.pass(14);
    let broken = Handler::new(|_| async { response(503, &[], "") });
    assert_eq!(get(&layer, &broken, &[]).await.word(), "STALE");
    rig.pass(1);
    let got = get(&layer, &broken, &[]).await;
    assert_eq!((got.status.as_u16(), got.word()), (503, "MISS"));

    let short = rig.http.clone().prefix("short").cache().ttl("10m").max_age("1m");
    assert_eq!(get(&short, &handler, &[]).await.header("cache-control"), "max-age=60");
    // What a handler says of stale use ends there, too.
    let own = rig.http.clone().prefix("own").cache().ttl("10s").max_age("15s");
    let says = Handler::counting(&[("cache-control", "stale-while-revalidate=3600")]);
    get(&own, &says, &[]).await;
    rig.pass(20);
    assert_eq!(get(&own, &says, &[]).await.word(), "MISS");
}

#[tokio::test]
async fn what_is_said_of_paths_counts_where_the_handler_says_nothing() {
    let rig = Rig::new();
    let http =
        rig.http.clone().rules([("/api/v1", "public, max-age=60"), ("/api", "no-store"), ("/", "no-cache")]);
    let layer = http.cache().ttl("10m");
    let handler = Handler::new(|request| async move {
        match request.uri().query() {
            Some("own") => response(200, &[("cache-control", "max-age=5")], ""),
            Some("error") => response(500, &[], ""),
            _ => response(200, &[], ""),
        }
    });
    for (uri, says, again) in [
        ("/api/v1/teas", "public, max-age=60", "HIT"),
        ("/api/v1?own", "max-age=5", "HIT"),
        ("/api/v1?error", "", "MISS"),
        ("/api/v10", "no-store", "MISS"),
        ("/other", "no-cache", "MISS"),
    ] {
        let got = send(&layer, &handler, request("GET", uri, &[])).await;
        assert_eq!(got.header("cache-control"), says, "{uri}");
        assert_eq!(send(&layer, &handler, request("GET", uri, &[])).await.word(), again, "{uri}");
    }
    rig.pass(60);
    assert_eq!(
        send(&layer, &handler, request("GET", "/api/v1/teas", &[])).await.word(),
        "MISS",
        "it shortens"
    );

    // It shares nothing: who has credentials gets a response of their own, and nobody else may keep it.
    let user = [("authorization", "a")];
    let got = send(&layer, &handler, request("GET", "/api/v1/teas", &user)).await;
    assert_eq!((got.header("cache-control"), got.word()), ("private, max-age=60", "BYPASS"));
    let own = http
        .clone()
        .prefix("private")
        .cache()
        .private(|request| request.headers.get("authorization")?.to_str().ok().map(str::to_owned));
    for word in ["MISS", "HIT"] {
        let got = send(&own, &handler, request("GET", "/api/v1/teas", &user)).await;
        assert_eq!((got.header("cache-control"), got.word()), ("private, max-age=60", word));
    }
    let post = send(&layer, &handler, request("POST", "/api/v1/teas", &[])).await;
    assert_eq!(post.header("cache-control"), "");
}

#[tokio::test]
async fn what_is_said_of_paths_makes_no_user_s_page_anybody_else_s() {
    let rig = Rig::new();
    let http = rig.http.clone().rules([("/", "public, max-age=300")]);
    let handler = Handler::new(|request| async move {
        let of =
            |name: &str| request.headers().get(name).map_or("", |value| value.to_str().unwrap()).to_owned();
        response(200, &[], &format!("page of {}{}", of("cookie"), of("authorization")))
    });
    for (kind, layer) in
        [("cache", http.clone().prefix("c").cache()), ("gateway", http.clone().prefix("g").gateway())]
    {
        for name in ["cookie", "authorization"] {
            let uri = format!("/{name}");
            let ask = async |user: Option<&str>| {
                let headers: Vec<(&str, &str)> = user.iter().map(|user| (name, *user)).collect();
                send(&layer, &handler, request("GET", &uri, &headers)).await
            };
            for user in ["sid=alice", "sid=bob"] {
                let got = ask(Some(user)).await;
                assert_eq!(got.header("cache-control"), "private, max-age=300", "{kind} {name}");
                assert_eq!(got.body, format!("page of {user}"), "{kind} {name}");
            }
            for word in ["MISS", "HIT"] {
                let got = ask(None).await;
                assert_eq!((got.body.as_str(), got.word()), ("page of ", word), "{kind} {name}");
                assert_eq!(got.header("cache-control"), "public, max-age=300", "{kind} {name}");
            }
            // Nor does one who has a page of their own get that of those who have none, the first of all users included.
            let uri = format!("/{kind}/{name}");
            send(&layer, &handler, request("GET", &uri, &[])).await;
            let got = send(&layer, &handler, request("GET", &uri, &[(name, "sid=alice")])).await;
            assert_eq!(got.body, "page of sid=alice", "{kind} {name}");
            assert_eq!(
                send(&layer, &handler, request("GET", &uri, &[])).await.word(),
                "HIT",
                "{kind} {name}"
            );
        }
    }
    // A response that an origin without a word of its own lets stand keeps what was said of its path, and no more.
    let holds = Handler::new(|request| async move {
        let user = request.headers().contains_key("authorization");
        let known = request.headers().contains_key("if-none-match");
        response(if known { 304 } else { 200 }, &[("etag", "\"a\"")], if user { "user" } else { "anyone" })
    });
    let layer = http.clone().prefix("holds").gateway();
    send(&layer, &holds, request("GET", "/", &[])).await;
    rig.pass(301);
    assert_eq!(send(&layer, &holds, request("GET", "/", &[])).await.body, "anyone");
    assert_eq!(send(&layer, &holds, request("GET", "/", &[])).await.word(), "HIT");
    assert_eq!(send(&layer, &holds, request("GET", "/", &[("authorization", "a")])).await.body, "user");
    // What the origin says itself counts for all, as without a rule.
    let says = Handler::new(|_| async { response(200, &[("cache-control", "max-age=60")], "") });
    let layer = http.clone().prefix("says").gateway();
    for word in ["MISS", "HIT"] {
        assert_eq!(
            send(&layer, &says, request("GET", "/says", &[("cookie", "sid=alice")])).await.word(),
            word
        );
    }
}

#[tokio::test]
async fn what_is_said_of_paths_shares_no_cookie() {
    let rig = Rig::new();
    let http = rig.http.clone().rules([("/", "public, max-age=300")]);
    let handler = Handler::new(|_| async { response(200, &[("set-cookie", "sid=new; Path=/")], "") });
    for (kind, layer, says, again) in [
        ("cache", http.clone().prefix("c").cache(), "private, max-age=300", "MISS"),
        ("gateway", http.clone().prefix("g").gateway(), "private, max-age=300", "MISS"),
        ("public", http.clone().prefix("p").cache().public(), "private, max-age=300", "MISS"),
        ("strip", http.clone().prefix("s").cache().strip(["sid"]), "public, max-age=300", "HIT"),
        ("keep", http.clone().prefix("k").cache().keep_cookies(), "public, max-age=300", "HIT"),
    ] {
        // Clones share what is known of a URL.
        let uri = format!("/{kind}");
        for word in ["MISS", again] {
            let got = send(&layer, &handler, request("GET", &uri, &[])).await;
            assert_eq!((got.header("cache-control"), got.word()), (says, word), "{kind}");
        }
        // One that goes past the cache is answered with its cookies.
        let passes = [("x-http-method-override", "PUT")];
        let got = send(&layer, &handler, request("GET", &uri, &passes)).await;
        let says = if kind == "keep" { says } else { "private, max-age=300" };
        assert_eq!((got.header("cache-control"), got.word()), (says, "BYPASS"), "{kind}");
    }
}

#[tokio::test]
async fn bodies_over_the_limit_of_the_cache_pass() {
    let cache = cachemacro::Cache::builder().memory().max_value(1_000).build().unwrap();
    let http = HttpCache::new(cache);
    let handler = Handler::new(|request| async move {
        let length: usize = request.uri().query().unwrap().parse().unwrap();
        response(200, &[], &"x".repeat(length))
    });
    for (layer, length, again) in [
        (http.cache(), 500, "HIT"),
        (http.cache(), 1_001, "MISS"),
        (http.cache().max_body(400), 401, "MISS"),
        (http.cache().max_body(1 << 20), 1_002, "MISS"),
    ] {
        let uri = format!("/a?{length}");
        assert_eq!(send(&layer, &handler, request("GET", &uri, &[])).await.body.len(), length);
        assert_eq!(send(&layer, &handler, request("GET", &uri, &[])).await.word(), again, "{length}");
    }
    assert!(http.stats()[0].not_stored["size"] >= 3, "{:?}", http.stats());
}

#[test]
fn a_mistake_is_told_at_the_line_that_makes_the_route() {
    let http = HttpCache::new(cachemacro::Cache::memory());
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        noted.lock().unwrap().push(panic.location().unwrap().file().to_owned());
    }));
    let mistakes: [&dyn Fn(); 15] = [
        &|| drop(http.cache().ttl("5 minutos")),
        &|| drop(http.cache().stale("x")),
        &|| drop(http.cache().max_age("x")),
        &|| drop(http.cache().lease_limit("x")),
        &|| drop(http.cache().negative_ttl("x")),
        &|| drop(http.cache().tags(["a:{id"])),
        &|| drop(http.cache().vary(["not a name"])),
        &|| drop(http.cache().statuses([7])),
        &|| drop(http.evict().tags(["}"])),
        &|| drop(http.put().tags(["{}"])),
        &|| drop(http.put().ttl("x")),
        &|| drop(http.clone().rules([("api", "no-store")])),
        // The origin's to say, so a gateway would not heed them.
        &|| drop(http.gateway().statuses([302])),
        &|| drop(http.gateway().negative_ttl("10s")),
        &|| drop(http.gateway().strong_tags()),
    ];
    let panics = |make: &&&dyn Fn()| std::panic::catch_unwind(std::panic::AssertUnwindSafe(make)).is_err();
    let panicked = mistakes.iter().filter(panics).count();
    std::panic::set_hook(before);
    assert_eq!(panicked, mistakes.len());
    let here: Vec<String> =
        seen.lock().unwrap().iter().filter(|file| file.ends_with("options.rs")).cloned().collect();
    assert_eq!(here.len(), mistakes.len(), "{:?}", seen.lock().unwrap());
}

#[tokio::test]
async fn an_evict_that_fails_can_be_the_client_s_to_know() {
    use cachemacro::store::faults::FaultStore;
    use cachemacro::store::memory::MemoryStore;
    use tower::{Layer as _, ServiceExt as _};
    let store = std::sync::Arc::new(FaultStore::new(std::sync::Arc::new(MemoryStore::new())));
    let http = HttpCache::new(cachemacro::Cache::builder().store(store.clone()).build().unwrap());
    store.fail_all(cachemacro::ErrorKind::Timeout);
    let handler = Handler::new(|request| async move {
        response(if request.uri().path() == "/refused" { 409 } else { 200 }, &[("x-own", "1")], "done")
    });
    for (layer, uri, status) in [
        (http.evict().tags(["a"]), "/a", StatusCode::OK),
        (http.evict().tags(["a"]).on_evict_error(503), "/a", StatusCode::SERVICE_UNAVAILABLE),
        (http.evict().tags(["a"]).on_evict_error(503), "/refused", StatusCode::CONFLICT),
    ] {
        let got = layer.layer(handler.clone()).oneshot(request("PUT", uri, &[])).await.unwrap();
        assert_eq!(got.status(), status, "{uri}");
        assert_eq!(got.headers().contains_key("x-own"), status != StatusCode::SERVICE_UNAVAILABLE);
        let says = got.headers()["cache-status"].to_str().unwrap();
        assert_eq!(says.ends_with("detail=evict-failed"), uri == "/a", "{says}");
    }
    let put = http.put().tags(["a"]).on_evict_error(503);
    let got = put.layer(handler).oneshot(request("PUT", "/a", &[])).await.unwrap();
    assert_eq!(got.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert!(http.stats().iter().all(|route| route.passes["evict-failed"] >= 1), "{:?}", http.stats());
}
