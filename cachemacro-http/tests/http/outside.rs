//! Other layers inside and outside: compression, CORS.

use std::io::Read as _;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_http::compression::CompressionLayer;
use tower_http::cors::CorsLayer;

use crate::support::Rig;

/// Long enough to be compressed.
fn text() -> String {
    "a text that is worth a compression, ".repeat(50)
}

async fn ask(app: &Router, headers: &[(&str, &str)]) -> (StatusCode, HeaderMap, Vec<u8>) {
    let mut request = Request::get("/a");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let response = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
    let (head, body) = response.into_parts();
    (head.status, head.headers, body.collect().await.unwrap().to_bytes().to_vec())
}

/// The text in a body, by its Content-Encoding.
fn shown(headers: &HeaderMap, body: &[u8]) -> String {
    if !headers.contains_key("content-encoding") {
        return String::from_utf8(body.to_vec()).unwrap();
    }
    assert_eq!(headers["content-encoding"], "gzip");
    let mut text = String::new();
    flate2::read::GzDecoder::new(body).read_to_string(&mut text).expect("gzip");
    text
}

#[tokio::test]
async fn compression_inside_and_outside_gives_the_right_bytes_and_tags() {
    for inside in [true, false] {
        let rig = Rig::new();
        let app = Router::new().route("/a", get(async || text()));
        let cache = rig.http.cache().ttl("1m").tags(["texts"]);
        let app = if inside {
            app.layer(CompressionLayer::new()).layer(cache)
        } else {
            app.layer(cache).layer(CompressionLayer::new())
        };
        for word in ["MISS", "HIT"] {
            for coding in ["gzip", ""] {
                let (status, headers, body) = ask(&app, &[("accept-encoding", coding)]).await;
                assert_eq!((status, shown(&headers, &body)), (StatusCode::OK, text()), "{inside} {coding}");
                assert_eq!(headers.contains_key("content-encoding"), coding == "gzip");
                // Outside, one stored response is compressed for each; inside, each coding has one.
                let hit = word == "HIT" || !inside && coding.is_empty();
                assert_eq!(
                    headers["x-cache"],
                    if hit { "HIT" } else { "MISS" },
                    "inside {inside}, {coding:?}"
                );
                // 304 for whoever has it, whichever coding it is.
                let tag = headers["etag"].to_str().unwrap().to_owned();
                assert!(tag.starts_with("W/"), "it names no bytes");
                let (status, ..) = ask(&app, &[("accept-encoding", coding), ("if-none-match", &tag)]).await;
                assert_eq!(status, StatusCode::NOT_MODIFIED, "inside {inside}, {coding:?}");
            }
        }
        rig.cache.evict_tags(["texts"]).await.unwrap();
        assert_eq!(ask(&app, &[("accept-encoding", "gzip")]).await.1["x-cache"], "MISS");
        assert_eq!(
            ask(&app, &[("accept-encoding", "")]).await.1["x-cache"],
            if inside { "MISS" } else { "HIT" }
        );
    }
}

#[tokio::test]
async fn cors_inside_and_outside_lets_each_origin_see_its_own() {
    for inside in [true, false] {
        let rig = Rig::new();
        let origins = ["https://a.example", "https://b.example"].map(|origin| origin.parse().unwrap());
        let cors = CorsLayer::new().allow_origin(origins);
        let app = Router::new().route("/a", get(async || text()));
        let cache = rig.http.cache().ttl("1m");
        let app = if inside { app.layer(cors).layer(cache) } else { app.layer(cache).layer(cors) };
        for round in 0..2 {
            for origin in ["https://a.example", "https://b.example"] {
                let (status, headers, _) = ask(&app, &[("origin", origin)]).await;
                assert_eq!(status, StatusCode::OK);
                assert_eq!(headers["access-control-allow-origin"], origin, "inside {inside}, round {round}");
                assert!(round == 0 || headers["x-cache"] == "HIT");
            }
            let (_, headers, _) = ask(&app, &[("origin", "https://evil.example")]).await;
            assert!(!headers.contains_key("access-control-allow-origin"), "inside {inside}");
        }
    }
}
