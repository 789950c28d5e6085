//! What is told of routes: by headers of writes, by `stats`, and to the tools.

use axum::Router;
use axum::body::Body;
use axum::routing::{delete, get, put};
use cachemacro_http::{CacheHandle, HttpCache};
use http::{Request, Response, StatusCode};
use tower::ServiceExt as _;

use crate::support::Rig;

async fn ask(app: &Router, method: &str, uri: &str, headers: &[(&str, &str)]) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap()
}

fn shop(http: &HttpCache) -> Router {
    let tags = ["product:{id}"];
    Router::new().nest(
        "/shop",
        Router::new().route(
            "/products/{id}",
            get(async |cache: CacheHandle, uri: http::Uri| {
                if uri.query() == Some("no") {
                    cache.no_store();
                }
                "tea"
            })
            .layer(http.cache().tags(tags).stale("10s"))
            .merge(put(async || "green tea").layer(http.put().tags(tags)))
            .merge(
                delete(async || StatusCode::NO_CONTENT)
                    .layer(http.evict().tags(["product:{id}", "products"])),
            ),
        ),
    )
}

#[tokio::test]
async fn requests_are_counted_by_route_and_by_how_they_were_answered() {
    let rig = Rig::new();
    let app = shop(&rig.http);
    ask(&app, "GET", "/shop/products/7", &[]).await;
    for _ in 0..2 {
        ask(&app, "GET", "/shop/products/7", &[]).await;
    }
    let tag = ask(&app, "GET", "/shop/products/7", &[]).await.headers()["etag"].to_str().unwrap().to_owned();
    ask(&app, "GET", "/shop/products/7", &[("if-none-match", &tag)]).await;
    ask(&app, "GET", "/shop/products/7", &[("authorization", "a")]).await;
    ask(&app, "GET", "/shop/products/7?no", &[]).await;
    ask(&app, "PUT", "/shop/products/7", &[]).await;
    ask(&app, "DELETE", "/shop/products/7", &[]).await;
    let stats = rig.http.stats();
    let names: Vec<&str> = stats.iter().map(|route| route.route.as_str()).collect();
    let expected = ["DELETE /shop/products/{id}", "GET /shop/products/{id}", "PUT /shop/products/{id}"];
    assert_eq!(names, expected);
    let read = &stats[1];
    assert_eq!((read.hits, read.misses, read.not_modified, read.bytes), (4, 2, 1, 9));
    assert_eq!((read.passes["credentials"], read.not_stored["no-store"]), (1, 1));
    assert_eq!(stats[0].passes["evicted"], 1);

    // The same routes, as the cache counts them: what runs, and what is evicted.
    let stats = rig.cache.stats();
    let site = |name: &str| stats.site(name).unwrap_or_else(|| panic!("{name} in {stats:?}")).clone();
    let read = site("GET /shop/products/{id}");
    assert_eq!((read.loads, read.fills, read.puts), (3, 2, 1), "misses, and one with credentials");
    assert_eq!(read.load_time.count(), 3);
    assert_eq!(site("DELETE /shop/products/{id}").tag_evicts, 3, "two of its own, and that of the URL");
    assert_eq!(stats.direct.hits + stats.direct.misses(), 0);
}

#[tokio::test]
async fn stale_answers_and_those_of_other_runs_are_counted() {
    let rig = Rig::new();
    let app = shop(&rig.http);
    ask(&app, "GET", "/shop/products/7", &[]).await;
    rig.pass(305);
    let stale = ask(&app, "GET", "/shop/products/7", &[]).await;
    assert_eq!(stale.headers()["x-cache"], "STALE");
    let route = &rig.http.stats()[0];
    assert_eq!((route.stale, route.misses), (1, 1), "the run beside it answers nobody");
    assert_eq!(rig.cache.stats().site("GET /shop/products/{id}").unwrap().stale, 1);
    assert_eq!(route.collapsed, 0);

    // Of ten at once one runs, and the others are answered by what it made.
    let gate = std::sync::Arc::new(tokio::sync::Semaphore::new(0));
    let slow = Router::new().route(
        "/slow",
        get({
            let gate = gate.clone();
            async move || drop(gate.acquire().await)
        })
        .layer(rig.http.cache()),
    );
    let mut requests = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let slow = slow.clone();
        requests.spawn(async move { ask(&slow, "GET", "/slow", &[]).await });
    }
    // One thread: after some rounds each has come as far as it can.
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    requests.join_all().await;
    let stats = rig.http.stats();
    let route = stats.iter().find(|route| route.route == "GET /slow").unwrap();
    assert_eq!((route.misses, route.hits, route.collapsed), (1, 9, 9), "{route:?}");
}

#[tokio::test]
async fn a_write_says_what_it_did_to_the_cache() {
    let rig = Rig::new();
    let app = shop(&rig.http);
    let says = |response: &Response<Body>| {
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        (header("x-cache"), header("cache-status"))
    };
    let stored = ask(&app, "PUT", "/shop/products/7", &[]).await;
    assert_eq!(says(&stored), ("BYPASS".to_owned(), "cachemacro; fwd=method; stored".to_owned()));
    let not_for_all = ask(&app, "PUT", "/shop/products/7", &[("authorization", "a")]).await;
    assert_eq!(says(&not_for_all).1, "cachemacro; fwd=method; detail=evicted");
    let gone = ask(&app, "DELETE", "/shop/products/7", &[]).await;
    assert_eq!(says(&gone).1, "cachemacro; fwd=method; detail=evicted");
    let plain = Router::new()
        .route("/a", get(async || "").post(async || StatusCode::CONFLICT))
        .layer(rig.http.cache());
    assert_eq!(says(&ask(&plain, "POST", "/a", &[]).await).1, "cachemacro; fwd=method");
}

#[tokio::test]
async fn tools_are_told_what_routes_carry_and_evict() {
    let rig = Rig::new();
    let app = shop(&rig.http);
    ask(&app, "GET", "/shop/products/7", &[]).await;
    ask(&app, "DELETE", "/shop/products/7", &[]).await;
    ask(&app, "PUT", "/shop/products/7", &[]).await;
    let report = rig.cache.report();
    let site = |name: &str| report.sites.iter().find(|site| site.site == name).unwrap();
    let read = site("GET /shop/products/{id}");
    assert_eq!((read.value.as_str(), &read.tags[..]), ("Response", &["product:{id}".to_owned()][..]));
    assert_eq!(read.key.as_deref(), Some("{host}/shop/products/{id}:{hash}"));
    assert_eq!(read.stored_as[0].prefix, "http");
    let gone = site("DELETE /shop/products/{id}");
    assert_eq!(gone.writes, ["tag product:{id}", "tag products"]);
    assert_eq!(site("PUT /shop/products/{id}").writes, [""; 0], "it carries its tags, and evicts none");
}

#[tokio::test]
async fn a_route_has_the_name_that_it_is_given() {
    let rig = Rig::new();
    let app = Router::new()
        .route("/a/{id}", get(async || "").layer(rig.http.cache().name("teas")))
        .route("/b", get(async || ""))
        .route("/c", get(async || ""))
        .layer(rig.http.cache());
    for uri in ["/a/1", "/b", "/b", "/c"] {
        ask(&app, "GET", uri, &[]).await;
    }
    let stats = rig.http.stats();
    let hits: Vec<(&str, u64)> = stats.iter().map(|route| (route.route.as_str(), route.hits)).collect();
    assert_eq!(hits, [("GET /a/{id}", 0), ("GET /b", 1), ("GET /c", 0), ("teas", 0)]);
}

/// A tag that is evicted while the handler runs that names it: the head says that the response is stored, and the store refuses it.
#[tokio::test]
async fn a_response_that_the_store_refuses_is_counted() {
    let rig = Rig::new();
    let cache = rig.cache.clone();
    let handler = crate::support::Handler::new(move |request| {
        let cache = cache.clone();
        async move {
            request.extensions().get::<CacheHandle>().unwrap().tags(["tea"]);
            cache.evict_tags(["tea"]).await.unwrap();
            crate::support::response(200, &[], "")
        }
    });
    let layer = rig.http.cache();
    for runs in 1..=2 {
        let got = crate::support::get(&layer, &handler, &[]).await;
        assert!(got.header("cache-status").ends_with("stored"), "{got:?}");
        assert_eq!(handler.runs(), runs);
        rig.cache.stored().await;
        assert_eq!(rig.http.stats()[0].not_stored.get("refused"), Some(&u64::try_from(runs).unwrap()));
    }
}
