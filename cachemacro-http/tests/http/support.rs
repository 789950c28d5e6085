//! A service that counts its runs, and what it is asked.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use cachemacro::{Cache, Clock};
use cachemacro_http::{CacheLayer, HttpCache};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full};
use tower::{Layer as _, Service, ServiceExt as _};

pub(crate) type Body = Full<Bytes>;
type Answer = Pin<Box<dyn Future<Output = Response<Body>> + Send>>;

/// A handler and how often it ran.
#[derive(Clone)]
pub(crate) struct Handler {
    runs: Arc<AtomicUsize>,
    answer: Arc<dyn Fn(Request<Body>) -> Answer + Send + Sync>,
}

impl Handler {
    pub(crate) fn new<F>(answer: impl Fn(Request<Body>) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response<Body>> + Send + 'static,
    {
        Self { runs: Arc::default(), answer: Arc::new(move |request| Box::pin(answer(request))) }
    }

    /// One that answers with these headers and the number of its run.
    pub(crate) fn counting(headers: &'static [(&'static str, &'static str)]) -> Self {
        let run = Arc::new(AtomicUsize::new(0));
        Self::new(move |_| {
            let response = response(200, headers, &format!("run {}", run.fetch_add(1, Ordering::SeqCst) + 1));
            async move { response }
        })
    }

    /// One that makes its response of so many cached rows, each with a tag of its own.
    pub(crate) fn of_rows(
        cache: &Cache,
        rows: u64,
        headers: &'static [(&'static str, &'static str)],
    ) -> Self {
        let cache = cache.clone();
        Self::new(move |_| {
            let cache = cache.clone();
            async move {
                for id in 0..rows {
                    let row = cache.entry::<u64>("row", id).with_tags([format!("row:{id}")]);
                    row.get_or_load(async || 1).await;
                }
                response(200, headers, "")
            }
        })
    }

    pub(crate) fn runs(&self) -> usize {
        self.runs.load(Ordering::SeqCst)
    }
}

impl Service<Request<Body>> for Handler {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        self.runs.fetch_add(1, Ordering::SeqCst);
        let answer = (self.answer)(request);
        Box::pin(async move { Ok(answer.await) })
    }
}

pub(crate) fn response(status: u16, headers: &[(&str, &str)], body: &str) -> Response<Body> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    response.body(Full::from(body.to_owned())).unwrap()
}

/// What came back.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: String,
}

impl Got {
    /// HIT, MISS, STALE or BYPASS.
    pub(crate) fn word(&self) -> &str {
        self.header("x-cache")
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }
}

/// A cache with a clock of its own, and layers on it.
pub(crate) struct Rig {
    pub(crate) cache: Cache,
    pub(crate) http: HttpCache,
    pub(crate) clock: Clock,
}

impl Rig {
    pub(crate) fn new() -> Self {
        let clock = Clock::manual();
        let cache = Cache::builder().memory().clock(clock.clone()).build().unwrap();
        Self { http: HttpCache::new(cache.clone()), cache, clock }
    }

    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}

/// Sends a request through a layer.
pub(crate) async fn send(layer: &CacheLayer, handler: &Handler, request: Request<Body>) -> Got {
    let response = layer.layer(handler.clone()).oneshot(request).await.unwrap();
    let (head, body) = response.into_parts();
    let body = body.collect().await.expect("the body is whole").to_bytes();
    Got { status: head.status, headers: head.headers, body: String::from_utf8(body.to_vec()).unwrap() }
}

/// A request without a body.
pub(crate) fn request(method: &str, uri: &str, headers: &[(&str, &str)]) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::default()).unwrap()
}

pub(crate) async fn get(layer: &CacheLayer, handler: &Handler, headers: &[(&str, &str)]) -> Got {
    send(layer, handler, request("GET", "/a", headers)).await
}
