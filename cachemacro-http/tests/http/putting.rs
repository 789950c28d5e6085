//! What a `PUT` leaves: the response that the `GET` of its URL gets, in the form in which requests usually come.

use cachemacro_http::HttpCache;
use tower::{Layer as _, ServiceExt as _};

use crate::support::{Handler, Rig, request, response, send};

#[tokio::test]
async fn after_a_put_no_form_of_its_url_shows_what_was_before() {
    type Usual = fn(HttpCache) -> HttpCache;
    let usual: [(usize, Usual); 4] = [
        (0, |http| http),
        (1, |http| http.usual_fields([("X-Forwarded-Proto", "https")])),
        (2, |http| http.usual_fields([("x-forwarded-proto", "https"), ("x-forwarded-host", "{host}")])),
        (4, |http| http.usual_scheme("https")),
    ];
    let forms: [(&str, &[(&str, &str)]); 9] = [
        ("/a", &[("host", "shop")]),
        ("/a", &[("host", "shop"), ("x-forwarded-proto", "https")]),
        ("/a", &[("host", "shop"), ("x-forwarded-proto", "https"), ("x-forwarded-host", "shop")]),
        ("http://shop/a", &[]),
        ("https://shop/a", &[]),
        ("https://shop/a", &[("host", "other")]),
        ("/a?view=short", &[("host", "shop")]),
        ("/a", &[("host", "shop:443")]),
        ("/a", &[("host", "Shop."), ("x-forwarded-host", "evil")]),
    ];
    let all =
        usual.into_iter().flat_map(|usual| forms.into_iter().enumerate().map(move |form| (usual, form)));
    for ((plain, usual), (at, (uri, headers))) in all {
        let http = usual(Rig::new().http);
        let (read, write) = (http.cache(), http.put());
        for (uri, headers) in forms {
            let before = Handler::new(|_| async { response(200, &[], "before") });
            for word in ["MISS", "HIT"] {
                let got = send(&read, &before, request("GET", uri, headers)).await;
                assert_eq!((got.word(), got.body.as_str()), (word, "before"), "{uri} {headers:?}");
            }
        }
        let after = Handler::new(|_| async { response(200, &[], "after") });
        write.layer(after.clone()).oneshot(request("PUT", uri, headers)).await.unwrap();
        for (other, (uri, headers)) in forms.into_iter().enumerate() {
            let got = send(&read, &after, request("GET", uri, headers)).await;
            assert_eq!(got.body, "after", "{uri} {headers:?}");
            // Its own response is there where it can be told that no other form of the URL has an older one: where it is the usual one.
            let word = if at == plain && other == plain { "HIT" } else { "MISS" };
            assert_eq!(got.word(), word, "{uri} {headers:?}");
        }
    }
}

#[tokio::test]
async fn what_a_put_leaves_is_outdated_with_what_its_handler_called() {
    let rig = Rig::new();
    let user =
        rig.cache.entry::<u64>("user", 7).with_tags(["users"]).with_ttl(std::time::Duration::from_secs(30));
    let handler = Handler::new(move |_| {
        let user = user.clone();
        async move { response(200, &[], &user.get_or_load(async || 7).await.to_string()) }
    });
    let (read, write) = (rig.http.cache().ttl("1h"), rig.http.put().ttl("1h"));
    let put = async || {
        let sent = write.layer(handler.clone()).oneshot(request("PUT", "/page", &[])).await.unwrap();
        assert_eq!(sent.headers()["cache-status"], "cachemacro; fwd=method; stored");
    };
    let get = async || send(&read, &handler, request("GET", "/page", &[])).await;
    put().await;
    let got = get().await;
    assert_eq!((got.word(), got.header("cache-control")), ("HIT", "max-age=30"));
    rig.cache.evict_tags(["users"]).await.unwrap();
    assert_eq!(get().await.word(), "MISS");
    // Nor longer than what it was made of.
    put().await;
    rig.pass(30);
    assert_eq!(get().await.word(), "MISS");

    let apart = rig.http.clone().prefix("apart");
    let read = apart.cache().ttl("1h").inherit(false);
    apart.put().like(&read).layer(handler.clone()).oneshot(request("PUT", "/page", &[])).await.unwrap();
    rig.cache.evict_tags(["users"]).await.unwrap();
    assert_eq!(send(&read, &handler, request("GET", "/page", &[])).await.word(), "HIT");
}

#[tokio::test]
async fn a_put_is_like_the_layer_of_its_get() {
    let rig = Rig::new();
    let maker =
        |parts: &http::response::Parts| vec![format!("maker:{}", parts.headers["x-maker"].to_str().unwrap())];
    let page = rig.http.cache().ttl("1m").version(2).strip(["theme"]).tags(["pages"]).tags_by(maker);
    let page = page.unless(|parts| parts.headers.contains_key("x-draft"));
    let write = rig.http.put().ttl("1h").like(&page);
    let says = |fields: &'static [(&'static str, &'static str)]| {
        Handler::new(move |_| async { response(200, fields, "page") })
    };
    let put = async |handler: &Handler| {
        let sent = write.layer(handler.clone()).oneshot(request("PUT", "/page", &[])).await.unwrap();
        sent.headers()["cache-status"].to_str().unwrap().to_owned()
    };
    let get = async |handler: &Handler| send(&page, handler, request("GET", "/page", &[])).await;
    let made = says(&[("x-maker", "7"), ("set-cookie", "theme=dark")]);
    for tag in ["pages", "maker:7"] {
        assert_eq!(put(&made).await, "cachemacro; fwd=method; stored");
        let got = get(&made).await;
        assert_eq!(
            (got.word(), got.header("cache-control"), got.header("set-cookie")),
            ("HIT", "max-age=60", "")
        );
        rig.cache.evict_tags([tag]).await.unwrap();
        assert_eq!(get(&made).await.word(), "MISS", "{tag}");
    }
    let draft = says(&[("x-maker", "7"), ("x-draft", "1")]);
    assert_eq!(put(&draft).await, "cachemacro; fwd=method; detail=evicted");
    assert_eq!(get(&made).await.word(), "MISS");
}

#[test]
#[should_panic(expected = "a gateway has no rules for the response to a write")]
fn a_put_is_like_no_gateway() {
    let rig = Rig::new();
    let _ = rig.http.put().like(&rig.http.gateway());
}
