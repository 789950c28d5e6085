//! Who is given what: nobody sees what was made for another.

use std::fmt::Write as _;

use cachemacro_http::{CacheLayer, Host, HttpCache, url_tag};

use crate::support::{Handler, Rig, get, request, response, send};

const USER: [(&str, &str); 1] = [("authorization", "Bearer a")];

#[tokio::test]
async fn a_request_with_credentials_neither_reads_nor_stores() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), Handler::counting(&[]));
    for credentials in [USER, [("cookie", "theme=dark")]] {
        rig.cache.clear().await.unwrap();
        let of_user = get(&layer, &handler, &credentials).await;
        let of_other = get(&layer, &handler, &credentials).await;
        let of_nobody = get(&layer, &handler, &[]).await;
        assert!(of_user.body != of_other.body && of_other.body != of_nobody.body, "{credentials:?}");
        let again = get(&layer, &handler, &credentials).await;
        assert_ne!(again.body, of_nobody.body);
    }
}

#[tokio::test]
async fn of_cookies_only_those_of_sessions_count_where_they_are_named() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.clone().session_cookies(["sid"]).cache(), Handler::counting(&[]));
    get(&layer, &handler, &[]).await;
    for (cookie, word) in
        [("theme=dark", "HIT"), ("xsid=1; theme=sid", "HIT"), ("a=b; sid=1", "BYPASS"), ("sid", "BYPASS")]
    {
        assert_eq!(get(&layer, &handler, &[("cookie", cookie)]).await.word(), word, "{cookie}");
    }
}

#[tokio::test]
async fn a_response_may_say_that_users_share_it() {
    let rig = Rig::new();
    let cookie = [("cookie", "a=b")];
    let both = [USER[0], cookie[0]];
    for (says, by_authorization, by_cookie) in [
        ("public, max-age=60", true, true),
        ("s-maxage=60", true, true),
        // RFC 9111, 3.5 lets it share what Authorization got, and pages of sessions say it too.
        ("max-age=60, must-revalidate", true, false),
        ("max-age=60", false, false),
    ] {
        for (of_user, shared) in
            [(&USER[..], by_authorization), (&cookie[..], by_cookie), (&both[..], by_cookie)]
        {
            for order in [[of_user, &[]], [&[], of_user], [of_user, of_user]] {
                rig.cache.clear().await.unwrap();
                // What is known of a URL is shared by clones.
                let layer = HttpCache::new(rig.cache.clone()).cache();
                let handler =
                    Handler::new(move |_| async move { response(200, &[("cache-control", says)], "") });
                for headers in order {
                    get(&layer, &handler, headers).await;
                }
                assert_eq!(handler.runs(), if shared { 1 } else { 2 }, "{says}: {order:?}");
            }
        }
        // On a gateway a cookie is no credential: what its origin says of Authorization counts.
        rig.cache.clear().await.unwrap();
        let layer = HttpCache::new(rig.cache.clone()).gateway();
        let handler = Handler::new(move |_| async move { response(200, &[("cache-control", says)], "") });
        for headers in [&[][..], &both] {
            get(&layer, &handler, headers).await;
        }
        assert_eq!(handler.runs(), if by_authorization { 1 } else { 2 }, "{says}");
    }
}

/// A cookie's user and one of Authorization do not wait for each other either, where only the latter may be shared.
#[tokio::test]
async fn what_is_known_of_authorization_is_not_taken_for_cookies() {
    let rig = Rig::new();
    let handler = Handler::new(|request| async move {
        if request.headers().contains_key("x-never") {
            std::future::pending::<()>().await;
        }
        response(200, &[("cache-control", "max-age=60, must-revalidate")], "")
    });
    let layer = rig.http.cache();
    get(&layer, &handler, &USER).await;
    assert_eq!(get(&layer, &handler, &USER).await.word(), "HIT");
    rig.cache.clear().await.unwrap();
    let never = {
        let (layer, handler) = (layer.clone(), handler.clone());
        tokio::spawn(async move { get(&layer, &handler, &[USER[0], ("x-never", "1")]).await })
    };
    while handler.runs() < 2 {
        tokio::task::yield_now().await;
    }
    let page = get(&layer, &handler, &[("cookie", "sid=1")]);
    let page =
        tokio::time::timeout(std::time::Duration::from_secs(5), page).await.expect("it waits for nobody");
    assert_eq!(page.word(), "MISS");
    never.abort();
}

/// HTTP/2 has a Host field beside `:authority`, HTTP/1 beside the host of an absolute URI, and nothing compares the two.
#[tokio::test]
async fn a_host_field_that_names_another_host_is_part_of_the_key() {
    let rig = Rig::new();
    let handler = Handler::new(|request| async move {
        let hosts = request.headers().get_all("host");
        let hosts: Vec<&str> = hosts.iter().map(|host| host.to_str().unwrap()).collect();
        response(200, &[], &format!("<a href=//{}>", hosts.last().unwrap_or(&"shop")))
    });
    let ask = |layer: &CacheLayer, hosts: &[&str]| {
        let hosts: Vec<(&str, &str)> = hosts.iter().map(|host| ("host", *host)).collect();
        let request = request("GET", "http://shop/a", &hosts);
        let (layer, handler) = (layer.clone(), handler.clone());
        async move {
            let got = send(&layer, &handler, request).await;
            (got.word().to_owned(), got.body)
        }
    };
    let expect = |word: &str, host: &str| (word.to_owned(), format!("<a href=//{host}>"));
    let layer = rig.http.cache();
    assert_eq!(ask(&layer, &[]).await, expect("MISS", "shop"));
    // Once read, and once at hand.
    for _ in 0..2 {
        assert_eq!(ask(&layer, &[]).await, expect("HIT", "shop"));
        assert_eq!(ask(&layer, &["SHOP"]).await, expect("HIT", "shop"));
    }
    assert_eq!(ask(&layer, &["evil"]).await, expect("MISS", "evil"));
    assert_eq!(ask(&layer, &["shop", "evil"]).await, expect("MISS", "evil"));
    assert_eq!(ask(&layer, &["other"]).await, expect("MISS", "other"));
    for _ in 0..2 {
        assert_eq!(ask(&layer, &["evil"]).await, expect("HIT", "evil"));
        assert_eq!(ask(&layer, &[]).await, expect("HIT", "shop"));
    }
    rig.cache.evict_tags([url_tag("shop", "/a")]).await.unwrap();
    assert_eq!(ask(&layer, &["evil"]).await.0, "MISS", "it is of the same URL");
    let allowed = rig.http.clone().prefix("allowed").host(Host::allow(["shop"])).cache();
    assert_eq!(ask(&allowed, &["evil"]).await.0, "BYPASS");
    assert_eq!(ask(&allowed, &["shop", "evil"]).await.0, "BYPASS");
    assert_eq!(ask(&allowed, &["shop"]).await.0, "MISS");
    let ignored = rig.http.clone().prefix("ignored").host(Host::Ignored).cache();
    assert_eq!(ask(&ignored, &["evil"]).await.0, "MISS");
    assert_eq!(ask(&ignored, &[]).await.0, "HIT", "the handlers do not look at it");
}

#[tokio::test]
async fn hosts_are_keyed_allowed_or_ignored() {
    let rig = Rig::new();
    let handler = Handler::counting(&[]);
    for (host, words) in [
        (Host::Keyed, ["MISS", "HIT", "MISS", "HIT"]),
        (Host::Ignored, ["MISS", "HIT", "HIT", "HIT"]),
        (Host::allow(["Shop.example:8080"]), ["MISS", "HIT", "BYPASS", "BYPASS"]),
    ] {
        let layer = rig.http.clone().prefix(format!("{host:?}")).host(host.clone()).cache();
        for (asked, word) in
            ["shop.example:8080", "SHOP.example:8080", "other", "other"].into_iter().zip(words)
        {
            assert_eq!(get(&layer, &handler, &[("host", asked)]).await.word(), word, "{host:?} {asked}");
        }
    }
}

#[tokio::test]
async fn a_public_route_is_the_same_for_all() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache().public(), Handler::counting(&[]));
    get(&layer, &handler, &USER).await;
    assert_eq!(get(&layer, &handler, &[]).await.word(), "HIT");
}

#[tokio::test]
async fn a_private_route_has_a_response_for_each_user() {
    let rig = Rig::new();
    let layer = rig.http.cache().private(|request| {
        request.headers.get("authorization").map(|value| value.to_str().unwrap().to_owned())
    });
    let handler = Handler::counting(&[("cache-control", "private")]);
    let first = get(&layer, &handler, &USER).await;
    assert_eq!((first.word(), first.header("cache-control")), ("MISS", "private"));
    assert_eq!(get(&layer, &handler, &USER).await.word(), "HIT");
    let other = get(&layer, &handler, &[("authorization", "Bearer b")]).await;
    assert_eq!((other.word(), other.body.as_str()), ("MISS", "run 2"));
    let nobody = get(&layer, &handler, &[]).await;
    assert_eq!((nobody.word(), nobody.body.as_str()), ("BYPASS", "run 3"));
    let plain = Handler::counting(&[]);
    let got = send(&layer, &plain, request("GET", "/b", &USER)).await;
    assert_eq!(got.header("cache-control"), "private, max-age=300");
}

#[tokio::test]
async fn cookies_are_nobody_else_s() {
    let rig = Rig::new();
    let (layer, handler) =
        (rig.http.cache(), Handler::counting(&[("set-cookie", "sid=1"), ("set-cookie", "seen=1")]));
    for _ in 0..2 {
        assert_eq!(get(&layer, &handler, &[]).await.word(), "MISS");
    }
    let some = rig.http.cache().strip(["seen"]);
    let got = send(&some, &handler, request("GET", "/b", &[])).await;
    assert_eq!(
        (got.header("set-cookie"), send(&some, &handler, request("GET", "/b", &[])).await.word()),
        ("sid=1", "MISS")
    );
    let all = rig.http.cache().strip(["seen", "sid"]);
    let got = send(&all, &handler, request("GET", "/c", &[])).await;
    assert_eq!(
        (got.header("set-cookie"), send(&all, &handler, request("GET", "/c", &[])).await.word()),
        ("", "HIT")
    );
}

#[tokio::test]
async fn what_an_attacker_sends_is_shared_with_nobody() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.cache(), Handler::counting(&[]));
    let clean = get(&layer, &handler, &[]).await.body;
    for name in [
        "x-forwarded-host",
        "x-forwarded-proto",
        "x-forwarded-prefix",
        "forwarded",
        "x-original-url",
        "x-rewrite-url",
        "x-http-method-override",
        "x-http-method",
        "x-method-override",
        "host",
    ] {
        let forged = get(&layer, &handler, &[(name, "evil")]).await;
        assert_ne!(forged.body, clean, "{name}");
        assert_eq!(get(&layer, &handler, &[]).await.body, clean, "{name}");
    }
    for uri in ["//a", "/%61", "/a;x", "/a/", "/a%2F", "/a/x.css"] {
        assert_ne!(send(&layer, &handler, request("GET", uri, &[])).await.body, clean, "{uri}");
    }
    let fat = http::Request::get("/a").body(http_body_util::Full::from("body")).unwrap();
    assert_eq!(send(&layer, &handler, fat).await.word(), "BYPASS");
    let large = "x".repeat(40_000);
    assert_eq!(get(&layer, &handler, &[("x-large", &large)]).await.word(), "BYPASS");
    assert_eq!(get(&layer, &handler, &[]).await.body, clean);
}

/// Method, URI and headers.
type Sent<'a> = (&'a str, &'a str, Vec<(&'a str, &'a str)>);

/// What an attacker sends, and what the next client gets: never a response that was made of it.
#[tokio::test]
async fn nothing_that_a_request_can_carry_poisons_another() {
    let rig = Rig::new();
    let large = "x".repeat(40_000);
    let many: Vec<(String, String)> = (0..900).map(|at| (format!("x-{at}"), "x".repeat(40))).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let one = |name: &'static str, value: &'static str| vec![(name, value)];
    // The page shows all that it was asked, so that whatever is shared wrongly is seen.
    let handler = Handler::new(|request| async move {
        let mut shown = format!("{} {}", request.method(), request.uri());
        for (name, value) in request.headers() {
            let loud = [
                "x-forwarded",
                "forwarded",
                "x-original",
                "x-rewrite",
                "x-http",
                "x-method",
                "host",
                "cookie",
                "authorization",
                "x-large",
            ];
            if loud.iter().any(|begin| name.as_str().starts_with(begin)) {
                let _ = write!(shown, " {name}={}", value.len());
            }
        }
        // A header of the connection is nobody else's, whatever it is called.
        let kept = [
            ("connection", "x-secret"),
            ("x-secret", "1"),
            ("keep-alive", "5"),
            ("proxy-authenticate", "Basic"),
        ];
        let status = if request.headers().contains_key("x-provokes") { 400 } else { 200 };
        response(status, &kept, &shown)
    });
    let layer = rig.http.clone().session_cookies(["sid"]).cache();
    let cases: Vec<Sent<'_>> = vec![
        ("GET", "/account", one("x-forwarded-host", "evil.example")),
        ("GET", "/account", one("x-forwarded-proto", "gopher")),
        ("GET", "/account", one("x-forwarded-prefix", "/evil")),
        ("GET", "/account", one("forwarded", "host=evil.example")),
        ("GET", "/account", one("x-original-url", "/admin")),
        ("GET", "/account", one("x-rewrite-url", "/admin")),
        ("GET", "/account", one("x-http-method-override", "DELETE")),
        ("GET", "/account", one("x-http-method", "DELETE")),
        ("GET", "/account", one("x-method-override", "DELETE")),
        ("GET", "/account", one("host", "evil.example")),
        ("GET", "/account", one("cookie", "sid=evil")),
        ("GET", "/account", one("authorization", "\u{e9}")),
        ("GET", "/account", one("x-provokes", "1")),
        ("GET", "/account", one("accept-language", ";;;q=x,,,\"")),
        ("GET", "/account", one("if-none-match", "\"\\\"\"")),
        ("GET", "/account", one("range", "bytes=-0")),
        ("GET", "/account", one("cache-control", "max-age=\"\", no-cache=\"")),
        ("GET", "/account", vec![("x-large", &large)]),
        ("GET", "/account", many),
        ("HEAD", "/account", vec![]),
        ("POST", "/account", vec![]),
        ("GET", "/account/x.css", vec![]),
        ("GET", "/account;x.css", vec![]),
        ("GET", "/account%2Fx.css", vec![]),
        ("GET", "/account%00.css", vec![]),
        ("GET", "//account", vec![]),
        ("GET", "/%61ccount", vec![]),
        ("GET", "/account?", vec![]),
        ("GET", "/account?x.css", vec![]),
        ("GET", "/ACCOUNT", vec![]),
    ];
    let clean = "GET /account".to_owned();
    for (method, uri, headers) in cases {
        rig.cache.clear().await.unwrap();
        let layer =
            rig.http.clone().session_cookies(["sid"]).prefix(format!("{uri}{}", headers.len())).cache();
        for _ in 0..2 {
            send(&layer, &handler, request(method, uri, &headers)).await;
        }
        for word in ["MISS", "HIT"] {
            let got = send(&layer, &handler, request("GET", "/account", &[])).await;
            assert_eq!(
                (got.status.as_u16(), &got.body),
                (200, &clean),
                "{word} after {method} {uri} {headers:.60?}"
            );
            assert!(
                word == "MISS" || got.header("x-secret").is_empty() && got.header("keep-alive").is_empty()
            );
        }
    }
    let fat = http::Request::get("/account").body(http_body_util::Full::from("x=evil")).unwrap();
    send(&layer, &handler, fat).await;
    assert_eq!(send(&layer, &handler, request("GET", "/account", &[])).await.word(), "MISS");
}

/// Vary makes a cookie what tells variants apart, and a store is read by more than one service.
#[tokio::test]
async fn what_tells_variants_apart_is_not_stored_as_it_is() {
    use cachemacro::store::memory::MemoryStore;
    let store = std::sync::Arc::new(MemoryStore::new());
    let cache = cachemacro::Cache::builder().store(store.clone()).build().unwrap();
    let handler = Handler::new(|request| async move {
        let own = request.headers().get("cookie").map_or("", |value| value.to_str().unwrap()).len();
        response(200, &[("vary", "cookie, authorization, x-none")], &own.to_string())
    });
    let layer = HttpCache::new(cache.clone()).cache().public();
    let users = ["sid=of-alice", "sid=of-bob-and-others"];
    for word in ["MISS", "HIT"] {
        for user in users {
            let got = get(&layer, &handler, &[("cookie", user), ("authorization", "Bearer of-alice")]).await;
            assert_eq!((got.word(), &got.body), (word, &user.len().to_string()), "{user}");
        }
    }
    let stored = crate::costs::entries(&cache, &store, "http:").await;
    assert_eq!(stored.len(), 2);
    for (key, bytes) in stored {
        let holds = |secret: &str| bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
        assert!(holds("cookie") && !holds("of-alice") && !holds("of-bob"), "{key}");
    }
}
