//! Layers for HTTP around one service.

use std::convert::Infallible;
use std::future::{Future, poll_fn};
use std::sync::Arc;

use axum::body::Body;
use axum::http::{Request, Response, Uri, header};
use bytes::Bytes;
use cachemacro_http::HttpCache;
use futures_util::FutureExt as _;
use hitbox::Config;
use hitbox::policy::PolicyConfig;
use hitbox_http::extractors::Method;
use hitbox_http::extractors::path::PathExtractor as _;
use hitbox_http::predicates::{NeutralRequestPredicate, NeutralResponsePredicate};
use hitbox_moka::MokaBackend;
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service, service_fn};

use super::memory::ROOM;
use super::{LONG, OURS};
use crate::ground::rounds::{Named, Subject};

/// How many paths are asked for.
pub const PATHS: u64 = 64;

/// Around a handler that answers with so many bytes: what is compared with first. Each path is asked for by `GET`, with a `Host` alone.
pub fn layers(bytes: usize) -> Vec<Named> {
    let body = Bytes::from(vec![b'x'; bytes]);
    // What is counted is what runs: axum-response-cache makes the future of its handler for each hit, and drops it.
    let answer = move || {
        let body = body.clone();
        async move {
            super::load_now(0);
            body
        }
    };
    let (whole, buffered) = (answer.clone(), answer.clone());
    let plain = service_fn(move |_: Request<Body>| {
        answer().map(|body| Ok::<_, Infallible>(Response::new(Body::from(body))))
    });
    // Its bodies must be `Sync`.
    let whole = service_fn(move |_: Request<Body>| {
        whole().map(|body| Ok::<_, Infallible>(Response::new(Full::new(body))))
    });
    let buffered = service_fn(move |_: Request<hitbox_http::BufferedBody<Body>>| {
        buffered().map(|body| Ok::<_, Infallible>(Response::new(Body::from(body))))
    });
    let tower_http_cache = tower_http_cache::prelude::CacheLayer::builder(
        tower_http_cache::prelude::InMemoryBackend::new(ROOM as u64),
    )
    .ttl(LONG)
    .build();
    let axum_response_cache = axum_response_cache::CacheLayer::with_lifespan(LONG);
    let config = Config::builder()
        .request_predicate(NeutralRequestPredicate::new())
        .response_predicate(NeutralResponsePredicate::new())
        .extractor(Method::new().path("/{id}"))
        .policy(PolicyConfig::builder().ttl(LONG).build())
        .build();
    let hitbox_tower = hitbox_tower::Cache::builder()
        .backend(MokaBackend::builder().max_entries(ROOM as u64).build())
        .config(config)
        .build();
    let http = HttpCache::new(cachemacro::Cache::current());
    let mut all = vec![
        Named::new("tower-http-cache", Layered::new(tower_http_cache.layer(whole), bytes)),
        Named::new("axum-response-cache", Layered::new(axum_response_cache.layer(plain.clone()), bytes)),
        Named::new(OURS, Layered::new(http.cache().ttl(LONG).layer(plain), bytes)),
    ];
    // It takes 10 ms for a response of 256 KiB.
    if bytes <= 10 << 10 {
        all.push(Named::new("hitbox-tower over moka", Layered::new(hitbox_tower.layer(buffered), bytes)));
    }
    all
}

/// A service, asked for paths.
#[derive(Clone)]
struct Layered<S> {
    service: S,
    paths: Arc<[Uri]>,
    bytes: usize,
}

impl<S> Layered<S> {
    fn new(service: S, bytes: usize) -> Self {
        // Each size has paths of its own, as all of ours have one cache.
        let path = |id| format!("/{bytes}-{id}").parse().expect("a path");
        Self { service, paths: (0..PATHS).map(path).collect(), bytes }
    }
}

impl<S, B> Subject for Layered<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + Sync + 'static,
    S::Future: Send,
    S::Error: std::fmt::Debug,
    B: axum::body::HttpBody<Data = Bytes> + Send,
    B::Error: std::fmt::Debug,
{
    fn go(&self, id: u64) -> impl Future<Output = ()> + Send {
        let request = Request::get(self.paths[id as usize].clone()).header(header::HOST, "localhost");
        let request = request.body(Body::empty()).expect("a request");
        let (mut service, bytes) = (self.service.clone(), self.bytes);
        async move {
            poll_fn(|context| service.poll_ready(context)).await.expect("it is ready");
            let response = service.call(request).await.expect("it answers");
            let body = response.into_body().collect().await.expect("it ends").to_bytes();
            assert_eq!(body.len(), bytes);
        }
    }
}
