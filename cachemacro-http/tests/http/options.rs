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
    let mistakes: [&dyn Fn(); 12] = [
        &|| drop(http.cache().ttl("5 minutos")),
        &|| drop(http.cache().stale("x")),
        &|| drop(http.cache().max_age("x")),
        &|| drop(http.cache().deadline("x")),
        &|| drop(http.cache().negative_ttl("x")),
        &|| drop(http.cache().tags(["a:{id"])),
        &|| drop(http.cache().vary(["not a name"])),
        &|| drop(http.cache().statuses([7])),
        &|| drop(http.evict().tags(["}"])),
        &|| drop(http.put().tags(["{}"])),
        &|| drop(http.put().ttl("x")),
        &|| drop(http.clone().rules([("api", "no-store")])),
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
