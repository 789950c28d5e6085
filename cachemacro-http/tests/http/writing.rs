//! Routes that write: what is gone afterwards, and what is there.

use std::future::Future as _;
use std::pin::pin;
use std::task::{Context, Waker};

use axum::Router;
use axum::body::Body;
use axum::routing::{delete, get, post, put};
use cachemacro_http::{Host, url_tag};
use http::{Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _};

use crate::support::{Handler, Rig, request, response, send};

async fn ask(app: &Router, method: &str, uri: &str) -> (String, String) {
    let request = Request::builder().method(method).uri(uri).body(Body::empty()).unwrap();
    let response = app.clone().oneshot(request).await.unwrap();
    let word = response.headers().get("x-cache").map_or("", |word| word.to_str().unwrap()).to_owned();
    let body = response.into_body().collect().await.unwrap().to_bytes();
    (word, String::from_utf8(body.to_vec()).unwrap())
}

fn shop(rig: &Rig) -> Router {
    let http = &rig.http;
    let tags = ["product:{id}"];
    let products =
        Router::new().route("/", get(async || "list").layer(http.cache().tags(["products"]))).route(
            "/{id}",
            get(async || "tea")
                .layer(http.cache().tags(tags))
                .merge(put(async || "green tea").layer(http.put().tags(tags)))
                .merge(delete(async || "gone").layer(http.evict().tags(["product:{id}", "products"])))
                .merge(post(async || StatusCode::CONFLICT).layer(http.evict().tags(tags))),
        );
    Router::new().nest("/products", products)
}

#[tokio::test]
async fn a_delete_evicts_its_tags_and_its_url() {
    let rig = Rig::new();
    let app = shop(&rig);
    for uri in ["/products", "/products/7", "/products/7?view=short", "/products/8"] {
        ask(&app, "GET", uri).await;
        assert_eq!(ask(&app, "GET", uri).await.0, "HIT", "{uri}");
    }
    ask(&app, "DELETE", "/products/7").await;
    for (uri, word) in [
        ("/products", "MISS"),
        ("/products/7", "MISS"),
        ("/products/7?view=short", "MISS"),
        ("/products/8", "HIT"),
    ] {
        assert_eq!(ask(&app, "GET", uri).await.0, word, "{uri}");
    }
    ask(&app, "POST", "/products/8").await;
    assert_eq!(ask(&app, "GET", "/products/8").await.0, "HIT", "it failed");
}

#[tokio::test]
async fn a_layer_within_another_decides_and_the_outer_one_stores_nothing() {
    let rig = Rig::new();
    let handler = get(async || "special").layer(rig.http.cache().ttl("1h").tags(["special"]));
    let app = Router::new().route("/special", handler).route("/plain", get(async || "plain"));
    let app = app.layer(rig.http.cache().ttl("1m"));
    let app = app.clone().layer(rig.http.cache().ttl("2m"));
    let began = std::time::Instant::now();
    assert_eq!(ask(&app, "GET", "/special").await.1, "special");
    assert_eq!(ask(&app, "GET", "/plain").await.1, "plain");
    assert!(began.elapsed() < std::time::Duration::from_secs(5), "nobody waits for a layer around it");
    ask(&app, "GET", "/special").await;
    ask(&app, "GET", "/plain").await;
    let loads = |app: &Router| {
        let app = app.clone();
        async move {
            let response = app.oneshot(Request::get("/special").body(Body::empty()).unwrap()).await.unwrap();
            response
                .headers()
                .get_all("cache-status")
                .iter()
                .any(|says| says.to_str().unwrap().contains("; hit"))
        }
    };
    assert!(loads(&app).await, "one of them has it");
    rig.cache.evict_tags(["special"]).await.unwrap();
    assert!(!loads(&app).await, "none of them has it any more");
}

#[tokio::test]
async fn an_evict_of_a_tag_that_cannot_be_named_leaves_out_no_other() {
    let rig = Rig::new();
    let http = &rig.http;
    let app = Router::new()
        .route("/list", get(async || "list").layer(http.cache().tags(["products"])))
        .route("/one", delete(async || "gone").layer(http.evict().tags(["product:{id}", "products"])));
    ask(&app, "GET", "/list").await;
    assert_eq!(ask(&app, "GET", "/list").await.0, "HIT");
    ask(&app, "DELETE", "/one").await;
    assert_eq!(ask(&app, "GET", "/list").await.0, "MISS");
}

#[tokio::test]
async fn a_put_leaves_its_response() {
    let rig = Rig::new();
    let app = shop(&rig);
    for uri in ["/products/7", "/products/7?view=short"] {
        ask(&app, "GET", uri).await;
    }
    assert_eq!(ask(&app, "PUT", "/products/7").await.1, "green tea");
    assert_eq!(ask(&app, "GET", "/products/7").await, ("HIT".to_owned(), "green tea".to_owned()));
    assert_eq!(
        ask(&app, "GET", "/products/7?view=short").await.0,
        "MISS",
        "it is another view of what was written"
    );
    rig.cache.evict_tags(["product:7"]).await.unwrap();
    assert_eq!(ask(&app, "GET", "/products/7").await.0, "MISS");
}

/// RFC 9111, 4.4: its own response stays all the same.
#[tokio::test]
async fn a_put_evicts_what_its_response_names() {
    let rig = Rig::new();
    let show = get(async || "tea").layer(rig.http.cache().ttl("5m"));
    let write = put(async || ([("content-location", "/teas")], "green tea")).layer(rig.http.put().ttl("5m"));
    let list = get(async || "teas").layer(rig.http.cache().ttl("5m"));
    let app = Router::new().route("/teas/7", show.merge(write)).route("/teas", list);
    ask(&app, "GET", "/teas").await;
    assert_eq!(ask(&app, "GET", "/teas").await.0, "HIT");
    ask(&app, "PUT", "/teas/7").await;
    assert_eq!(ask(&app, "GET", "/teas/7").await, ("HIT".to_owned(), "green tea".to_owned()));
    assert_eq!(ask(&app, "GET", "/teas").await.0, "MISS");
}

#[tokio::test]
async fn a_put_evicts_no_tag_and_what_its_handler_evicts_goes() {
    #[cachemacro::cache_evict(tags = ["teas"])]
    async fn rename() {}

    let rig = Rig::new();
    let http = &rig.http;
    let write = |evicts: bool| {
        let cache = rig.cache.clone();
        move || {
            let cache = cache.clone();
            async move {
                if evicts {
                    cache.scope(rename()).await;
                }
                "green tea"
            }
        }
    };
    let app = Router::new()
        .route("/teas", get(async || "list").layer(http.cache().tags(["teas"])))
        .route("/teas/7", put(write(false)).layer(http.put().tags(["tea:7"])))
        .route("/teas/8", put(write(true)).layer(http.put().tags(["tea:8"])))
        .route("/teas/9", put(write(false)).layer(http.put().tags(["teas"])));
    for (uri, word) in [("/teas/7", "HIT"), ("/teas/9", "HIT"), ("/teas/8", "MISS")] {
        ask(&app, "GET", "/teas").await;
        assert_eq!(ask(&app, "PUT", uri).await.1, "green tea");
        assert_eq!(ask(&app, "GET", "/teas").await.0, word, "{uri}");
    }
}

#[tokio::test]
async fn a_put_evicts_what_it_is_told_to_and_its_response_stays() {
    let rig = Rig::new();
    let http = rig.http.clone().send_groups();
    let tea = |layer: cachemacro_http::PutLayer| {
        get(async || "tea")
            .layer(http.cache().tags(["tea:{id}"]))
            .merge(put(async || "green tea").layer(layer.tags(["tea:{id}"])))
    };
    let refused = put(async || StatusCode::CONFLICT).layer(http.put().evicts(["teas"]));
    let app = Router::new()
        .route("/teas", get(async || "list").layer(http.cache().tags(["teas"])))
        .route("/shelf/{id}", get(async || "shelf").layer(http.cache().tags(["shelf:{id}"])))
        .route("/teas/{id}", tea(http.put().evicts(["teas", "shelf:{id}"])))
        .route("/lost/{id}", tea(http.put().evicts(["teas", "tea:{id}"])))
        .route("/refused", refused);
    for uri in ["/teas", "/shelf/7", "/shelf/8", "/teas/7"] {
        ask(&app, "GET", uri).await;
        assert_eq!(ask(&app, "GET", uri).await.0, "HIT");
    }
    let call = app.clone().oneshot(Request::put("/teas/7").body(Body::empty()).unwrap());
    let answer = call.await.unwrap();
    assert_eq!(answer.headers()["cache-group-invalidation"], "\"teas\", \"shelf:7\"");
    assert!(answer.headers()["cache-status"].to_str().unwrap().contains("stored"));
    for (uri, word) in [("/teas", "MISS"), ("/shelf/7", "MISS"), ("/shelf/8", "HIT"), ("/teas/7", "HIT")] {
        assert_eq!(ask(&app, "GET", uri).await.0, word, "{uri}");
    }
    assert_eq!(ask(&app, "GET", "/teas/7").await.1, "green tea");
    ask(&app, "PUT", "/refused").await;
    assert_eq!(ask(&app, "GET", "/teas").await.0, "HIT", "it did not write");
    // What carries a tag that is evicted is gone with it.
    ask(&app, "PUT", "/lost/7").await;
    assert_eq!(ask(&app, "GET", "/lost/7").await, ("MISS".to_owned(), "tea".to_owned()));
    // Who hangs up may have written.
    let never = put(async || std::future::pending::<&str>().await).layer(http.put().evicts(["teas"]));
    ask(&app, "GET", "/teas").await;
    {
        let app = Router::new().route("/never", never);
        let mut call = pin!(app.oneshot(Request::put("/never").body(Body::empty()).unwrap()));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(ask(&app, "GET", "/teas").await.0, "MISS");
}

#[tokio::test]
async fn what_is_said_of_a_path_counts_for_what_a_put_leaves() {
    let rig = Rig::new();
    let http = rig.http.clone().rules([("/never", "no-store"), ("/short", "public, max-age=60")]);
    let route = || get(async || "tea").layer(http.cache()).merge(put(async || "green tea").layer(http.put()));
    let app = Router::new().route("/never", route()).route("/short", route()).route("/other", route());
    for (uri, word, says) in [
        ("/never", "MISS", "no-store"),
        ("/short", "HIT", "public, max-age=60"),
        ("/other", "HIT", "max-age=300"),
    ] {
        ask(&app, "PUT", uri).await;
        let response = app.clone().oneshot(Request::get(uri).body(Body::empty()).unwrap()).await.unwrap();
        assert_eq!(response.headers()["x-cache"], word, "{uri}");
        assert_eq!(response.headers()["cache-control"], says, "{uri}");
    }
    let of_user = Request::get("/short").header("authorization", "a").body(Body::empty()).unwrap();
    let response = app.clone().oneshot(of_user).await.unwrap();
    assert_eq!(response.headers()["x-cache"], "BYPASS", "it shares nothing");
    rig.pass(60);
    assert_eq!(ask(&app, "GET", "/short").await.0, "MISS");
}

#[tokio::test]
async fn a_put_that_is_not_for_all_evicts() {
    let rig = Rig::new();
    let app = shop(&rig);
    ask(&app, "GET", "/products/7").await;
    let request = Request::put("/products/7").header("authorization", "a").body(Body::empty()).unwrap();
    app.clone().oneshot(request).await.unwrap();
    assert_eq!(ask(&app, "GET", "/products/7").await, ("MISS".to_owned(), "tea".to_owned()));
}

/// Upholds G4.
#[tokio::test]
async fn of_two_puts_the_older_one_does_not_stay() {
    let rig = Rig::new();
    let layer = rig.http.put();
    let (first, second) = (tokio::sync::oneshot::channel(), tokio::sync::oneshot::channel());
    let receivers = std::sync::Mutex::new(vec![second.1, first.1]);
    let handler = Handler::new(move |request| {
        let receiver = receivers.lock().unwrap().pop().unwrap();
        let body = request.uri().query().map(str::to_owned);
        async move {
            receiver.await.unwrap();
            drop(body);
            response(200, &[], "value")
        }
    });
    let put = || layer.layer(handler.clone()).oneshot(request("PUT", "/a", &[]));
    let (one, two) = (tokio::spawn(put()), tokio::spawn(put()));
    while handler.runs() < 2 {
        tokio::task::yield_now().await;
    }
    second.0.send(()).unwrap();
    two.await.unwrap().unwrap();
    first.0.send(()).unwrap();
    one.await.unwrap().unwrap();
    let read = rig.http.cache();
    assert_eq!(send(&read, &Handler::counting(&[]), request("GET", "/a", &[])).await.word(), "MISS");
}

/// Upholds G7.
#[tokio::test]
async fn a_handler_that_is_dropped_or_panics_has_evicted() {
    let rig = Rig::new();
    let read = rig.http.cache().tags(["a"]);
    let handler = Handler::counting(&[]);
    let word = || async { send(&read, &handler, request("GET", "/a", &[])).await.word().to_owned() };
    let layer = rig.http.evict().tags(["a"]);
    word().await;
    assert_eq!(word().await, "HIT");
    {
        let never = Handler::new(|_| std::future::pending());
        let mut call = pin!(layer.layer(never).oneshot(request("POST", "/x", &[])));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(word().await, "MISS");
    assert_eq!(word().await, "HIT");
    let panics = Handler::new(|_| async { panic!("the handler") });
    assert!(tokio::spawn(layer.layer(panics).oneshot(request("POST", "/x", &[]))).await.is_err());
    assert_eq!(word().await, "MISS");
    let refuses = Handler::new(|_| async { response(409, &[], "") });
    word().await;
    layer.layer(refuses.clone()).oneshot(request("POST", "/x", &[])).await.unwrap();
    assert_eq!(word().await, "HIT");
    layer.clone().on_err().layer(refuses).oneshot(request("POST", "/x", &[])).await.unwrap();
    assert_eq!(word().await, "MISS");
    // A put, too, which would have stored what it answered.
    let put = rig.http.put();
    assert_eq!(word().await, "HIT");
    {
        let never = Handler::new(|_| std::future::pending());
        let mut call = pin!(put.layer(never).oneshot(request("PUT", "/a", &[])));
        assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    }
    assert_eq!(word().await, "MISS");
    assert_eq!(word().await, "HIT");
    let panics = Handler::new(|_| async { panic!("the handler") });
    assert!(tokio::spawn(put.layer(panics).oneshot(request("PUT", "/a", &[]))).await.is_err());
    assert_eq!(word().await, "MISS");
}

#[tokio::test]
async fn an_unsafe_method_through_the_layer_outdates_its_url() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let handler = Handler::new(|request| async move {
        let status = if request.uri().query() == Some("fail") { 500 } else { 200 };
        response(status, &[("location", "/b"), ("content-location", "http://other/c")], "")
    });
    let word = |uri: &'static str| {
        let (layer, handler) = (layer.clone(), handler.clone());
        async move { send(&layer, &handler, request("GET", uri, &[("host", "shop")])).await.word().to_owned() }
    };
    for (method, uri, gone) in [
        ("POST", "/a", vec!["/a", "/a?x=1", "/b"]),
        ("PUT", "/a", vec!["/a"]),
        ("M-SEARCH", "/a", vec!["/a"]),
        ("POST", "/a?fail", vec![]),
        ("OPTIONS", "/a", vec![]),
    ] {
        for uri in ["/a", "/a?x=1", "/b", "/c"] {
            word(uri).await;
            assert_eq!(word(uri).await, "HIT");
        }
        send(&layer, &handler, request(method, uri, &[("host", "shop")])).await;
        for uri in gone {
            assert_eq!(word(uri).await, "MISS", "{method} {uri}");
        }
        assert_eq!(word("/c").await, "HIT", "it is another's");
        let others = send(&layer, &handler, request("GET", "/c", &[("host", "other")])).await;
        assert_eq!(others.word(), if method == "POST" && uri == "/a" { "MISS" } else { "HIT" }, "only once");
    }
    send(&layer, &handler, request("POST", "/a?fail", &[("host", "shop")])).await;
    assert_eq!(word("/a").await, "HIT");
}

#[tokio::test]
async fn what_a_response_names_is_outdated_where_hosts_are_ignored_too() {
    let rig = Rig::new();
    for host in [Host::Keyed, Host::Ignored, Host::allow(["shop"])] {
        let http = rig.http.clone().prefix(format!("{host:?}")).host(host.clone());
        let layer = http.cache();
        let word = async |uri: &str| {
            let handler = Handler::counting(&[]);
            send(&layer, &handler, request("GET", uri, &[("host", "shop")])).await.word().to_owned()
        };
        for (named, gone) in [
            ("/b", "/b"),
            ("b", "/x/b"),
            ("./b?c#d", "/x/b"),
            ("../b", "/b"),
            ("../../b", "/b"),
            (".", "/x/"),
            ("//shop/b", "/b"),
            ("http://shop/b", "/b"),
            ("https://SHOP", "/"),
            ("http://other/b", ""),
            ("//other/b", ""),
        ] {
            for header in ["location", "content-location"] {
                for uri in ["/", "/b", "/x/", "/x/b"] {
                    word(uri).await;
                    assert_eq!(word(uri).await, "HIT", "{host:?} {named} {uri}");
                }
                let handler = Handler::new(move |_| async move { response(303, &[(header, named)], "") });
                send(&layer, &handler, request("POST", "/x/a", &[("host", "shop")])).await;
                for uri in ["/", "/b", "/x/", "/x/b"] {
                    let expected = if uri == gone { "MISS" } else { "HIT" };
                    assert_eq!(word(uri).await, expected, "{host:?} {header}: {named}, {uri}");
                }
            }
        }
        // The tag has the host that keys have.
        word("/b").await;
        let keyed = if host == Host::Ignored { "" } else { "shop" };
        rig.cache.evict_tags([url_tag(keyed, "/b")]).await.unwrap();
        assert_eq!(word("/b").await, "MISS", "{host:?}");
    }
}

#[tokio::test]
async fn before_its_handler_an_evict_evicts_and_after_it_whatever_it_answers() {
    let rig = Rig::new();
    let read = rig.http.cache().tags(["teas"]);
    let shown = Handler::counting(&[]);
    let word = {
        let (read, shown) = (read.clone(), shown.clone());
        move || {
            let (read, shown) = (read.clone(), shown.clone());
            async move { send(&read, &shown, request("GET", "/a", &[])).await.word().to_owned() }
        }
    };
    for (before, status, meanwhile, afterwards) in [
        (false, 204, "HIT", "MISS"),
        (false, 409, "HIT", "HIT"),
        (true, 204, "MISS", "MISS"),
        (true, 409, "MISS", "MISS"),
    ] {
        word().await;
        assert_eq!(word().await, "HIT");
        let asks = word.clone();
        let handler = Handler::new(move |_| {
            let asks = asks.clone();
            async move {
                // Who reads meanwhile may store what is outdated in a moment.
                assert_eq!(asks().await, meanwhile, "{before} {status}");
                assert_eq!(asks().await, "HIT");
                response(status, &[], "")
            }
        });
        let layer = rig.http.evict().tags(["teas"]);
        let layer = if before { layer.before() } else { layer };
        layer.layer(handler).oneshot(request("POST", "/x", &[])).await.unwrap();
        assert_eq!(word().await, afterwards, "{before} {status}");
    }
    // A service that fails may have written too.
    let fails = tower::service_fn(|_: Request<crate::support::Body>| async {
        Err::<http::Response<crate::support::Body>, _>("failed")
    });
    for (layer, afterwards) in [
        (rig.http.evict().tags(["teas"]), "HIT"),
        (rig.http.evict().tags(["teas"]).on_err(), "MISS"),
        (rig.http.evict().tags(["teas"]).before(), "MISS"),
    ] {
        word().await;
        assert_eq!(word().await, "HIT");
        assert!(layer.layer(fails).oneshot(request("POST", "/x", &[])).await.is_err());
        assert_eq!(word().await, afterwards);
    }
}

#[tokio::test]
async fn a_put_that_is_refused_evicts_where_it_may_have_written() {
    let rig = Rig::new();
    let read = rig.http.cache().tags(["tea"]);
    let word =
        async || send(&read, &Handler::counting(&[]), request("GET", "/a", &[])).await.word().to_owned();
    let list = rig.http.cache().tags(["teas"]);
    let listed =
        async || send(&list, &Handler::counting(&[]), request("GET", "/l", &[])).await.word().to_owned();
    for (layer, status, afterwards) in [
        (rig.http.put().tags(["tea"]).evicts(["teas"]), 409, "HIT"),
        (rig.http.put().tags(["tea"]).evicts(["teas"]).on_err(), 409, "MISS"),
        (rig.http.put().tags(["tea"]).evicts(["teas"]).on_err(), 500, "MISS"),
        (rig.http.put().tags(["tea"]).evicts(["teas"]), 303, "MISS"),
    ] {
        word().await;
        listed().await;
        assert_eq!((word().await.as_str(), listed().await.as_str()), ("HIT", "HIT"));
        let handler = Handler::new(move |_| async move { response(status, &[], "") });
        layer.layer(handler).oneshot(request("PUT", "/a", &[])).await.unwrap();
        assert_eq!((word().await.as_str(), listed().await.as_str()), (afterwards, afterwards), "{status}");
    }
}

#[tokio::test]
async fn methods_that_change_nothing_pass_and_outdate_nothing() {
    let rig = Rig::new();
    let layer = rig.http.cache();
    let handler = Handler::counting(&[]);
    send(&layer, &handler, request("GET", "/a", &[])).await;
    for method in ["OPTIONS", "TRACE", "CONNECT"] {
        let uri = if method == "CONNECT" { "shop:443" } else { "/a" };
        let runs = handler.runs();
        let got = send(&layer, &handler, request(method, uri, &[])).await;
        assert_eq!((got.word(), handler.runs()), ("BYPASS", runs + 1), "{method}");
        assert_eq!(got.header("cache-status"), "cachemacro; fwd=method", "{method}");
        assert_eq!(send(&layer, &handler, request("GET", "/a", &[])).await.word(), "HIT", "{method}");
    }
}

/// Through a proxy, and by HTTP/2, a URL is asked for in more forms than one, and each has a response of its own.
/// A response that was made for a request with two hosts is outdated by a write that names either.
#[tokio::test]
async fn a_write_outdates_what_named_its_host_beside_another() {
    for host in ["shop", "other"] {
        let rig = Rig::new();
        let layer = rig.http.cache();
        let handler = Handler::counting(&[]);
        let read = || request("GET", "https://shop/a", &[("host", "other")]);
        send(&layer, &handler, read()).await;
        assert_eq!(send(&layer, &handler, read()).await.word(), "HIT");
        send(&layer, &handler, request("POST", "/a", &[("host", host)])).await;
        assert_eq!(send(&layer, &handler, read()).await.word(), "MISS", "{host}");
    }
}

/// G1 for what a put leaves: it shows what its handler read, as a `GET` would.
/// What is between the two layers, such as a login, has not been asked by who reads at the outer one.
#[tokio::test]
async fn a_put_within_another_layer_stores_nothing() {
    let rig = Rig::new();
    let app = shop(&rig).layer(rig.http.cache().ttl("1m"));
    assert_eq!(ask(&app, "GET", "/products/7").await.1, "tea");
    assert_eq!(ask(&app, "GET", "/products/7").await.1, "tea");
    let write = Request::put("/products/7").body(Body::empty()).unwrap();
    let written = app.clone().oneshot(write).await.unwrap();
    let said: Vec<_> = written.headers().get_all("cache-status").iter().collect();
    assert!(said.iter().all(|said| *said == "cachemacro; fwd=method; detail=evicted"), "{said:?}");
    assert_eq!(ask(&app, "GET", "/products/7").await.1, "tea", "the handler of GET says so");
}

#[tokio::test]
async fn where_a_failure_evicts_it_evicts_by_its_response_too() {
    let rig = Rig::new();
    let read = rig.http.cache().tags(["at:/b"]);
    let tags_by =
        |parts: &http::response::Parts| vec![format!("at:{}", parts.headers["x-place"].to_str().unwrap())];
    let fails = Handler::new(|_| async { response(500, &[("x-place", "/b")], "") });
    let ok = Handler::counting(&[]);
    for (write, word) in [
        (rig.http.evict().tags_by(tags_by), "HIT"),
        (rig.http.evict().tags_by(tags_by).on_err(), "MISS"),
        (rig.http.evict().tags_by(tags_by).before(), "MISS"),
    ] {
        send(&read, &ok, request("GET", "/other", &[])).await;
        write.layer(fails.clone()).oneshot(request("DELETE", "/a", &[])).await.unwrap();
        assert_eq!(send(&read, &ok, request("GET", "/other", &[])).await.word(), word);
    }
}
