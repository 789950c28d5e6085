//! Groups that an origin names (RFC 9875), and those that are sent.

use cachemacro_http::CacheLayer;

use crate::support::{Handler, Rig, request, response, send};

fn origin() -> Handler {
    Handler::new(|request| async move {
        let group = request.headers().get("x-group").map_or("", |group| group.to_str().unwrap()).to_owned();
        let name = if request.method() == "POST" { "cache-group-invalidation" } else { "cache-groups" };
        response(200, &[("cache-control", "max-age=60"), (name, &group)], "")
    })
}

async fn word(
    layer: &CacheLayer,
    handler: &Handler,
    method: &str,
    (host, uri): (&str, &str),
    group: &str,
) -> String {
    let got = send(layer, handler, request(method, uri, &[("host", host), ("x-group", group)])).await;
    got.word().to_owned()
}

#[tokio::test]
async fn a_trusted_origin_s_groups_are_evicted_by_its_responses_to_unsafe_requests() {
    let rig = Rig::new();
    for layer in [rig.http.clone().prefix("g").gateway().read_groups(), rig.http.cache().read_groups()] {
        let handler = origin();
        let get = async |at: (&'static str, &'static str), group: &'static str| {
            word(&layer, &handler, "GET", at, group).await
        };
        for (at, group) in
            [(("shop", "/a"), r#""teas", "lists""#), (("shop", "/b"), r#""lists""#), (("shop", "/c"), "")]
        {
            get(at, group).await;
            assert_eq!(get(at, group).await, "HIT");
        }
        get(("other", "/a"), r#""teas""#).await;
        word(&layer, &handler, "POST", ("shop", "/x"), r#""teas""#).await;
        assert_eq!(get(("shop", "/a"), "").await, "MISS", "3");
        assert_eq!(get(("shop", "/b"), "").await, "HIT");
        assert_eq!(get(("other", "/a"), "").await, "HIT", "2.1: groups are those of one origin");
        // 3: a safe method invalidates nothing.
        let safe =
            Handler::new(|_| async { response(200, &[("cache-group-invalidation", "\"lists\"")], "") });
        send(&layer, &safe, request("GET", "/safe", &[("host", "shop")])).await;
        assert_eq!(get(("shop", "/b"), "").await, "HIT");
        rig.cache.clear().await.unwrap();
    }
}

#[tokio::test]
async fn groups_of_others_count_for_nothing_and_too_many_are_not_stored() {
    let rig = Rig::new();
    let (layer, handler) = (rig.http.gateway(), origin());
    word(&layer, &handler, "GET", ("shop", "/a"), r#""teas""#).await;
    word(&layer, &handler, "POST", ("shop", "/x"), r#""teas""#).await;
    assert_eq!(word(&layer, &handler, "GET", ("shop", "/a"), "").await, "HIT");
    let many: Vec<String> = (0..129).map(|at| format!("\"{at}\"")).collect();
    let trusting = rig.http.gateway().read_groups();
    for _ in 0..2 {
        assert_eq!(word(&trusting, &handler, "GET", ("shop", "/b"), &many.join(", ")).await, "MISS");
    }
}

#[tokio::test]
async fn tags_are_sent_as_groups_on_request() {
    use tower::{Layer as _, ServiceExt as _};
    let rig = Rig::new();
    let http = rig.http.clone().send_groups();
    let handler = Handler::new(|request| async move {
        if let Some(handle) = request.extensions().get::<cachemacro_http::CacheHandle>() {
            handle.tags(["tea:7", "t\u{e9}"]);
        }
        response(200, &[], "")
    });
    let layer = http.cache().tags(["teas"]);
    for _ in 0..2 {
        let got = send(&layer, &handler, request("GET", "/a", &[])).await;
        assert_eq!(got.header("cache-groups"), r#""teas", "tea:7""#);
    }
    let evicts = http.evict().tags(["teas"]).layer(Handler::counting(&[]));
    let got = evicts.oneshot(request("DELETE", "/a", &[])).await.unwrap();
    assert_eq!(got.headers()["cache-group-invalidation"], r#""teas""#);
    let puts = http.put().tags(["teas"]).layer(Handler::counting(&[]));
    let got = puts.oneshot(request("PUT", "/a", &[])).await.unwrap();
    assert_eq!(got.headers().get("cache-group-invalidation"), None, "it carries its tags, and evicts none");
    let silent = send(
        &rig.http.clone().prefix("silent").cache().tags(["teas"]),
        &Handler::counting(&[]),
        request("GET", "/a", &[]),
    )
    .await;
    assert_eq!(silent.header("cache-groups"), "");
}
