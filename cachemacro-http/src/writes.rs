//! Routes that write: what they evict, and what they store in its place.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use cachemacro::Cache;
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri, header, request, response};
use tower_layer::Layer;
use tower_service::Service;

use crate::http_cache::HttpCache;
use crate::key::{host, original_uri, url_tag};
use crate::template::{self, Template};

/// Tags that are evicted in the end, whatever becomes of the handler: it may have written before it was dropped or panicked.
struct Guard {
    cache: Cache,
    tags: Vec<String>,
}

impl Guard {
    /// Evicts now, and says where it fails: then it is evicted later.
    async fn evict(mut self, more: Vec<String>) {
        let mut tags = std::mem::take(&mut self.tags);
        // Dropped while it evicts, it evicts all the same.
        tags.extend(more);
        self.tags.clone_from(&tags);
        if !tags.is_empty()
            && let Err(error) = self.cache.evict_tags(&tags).await
        {
            tracing::warn!(%error, tags = tags.len(), "tags of responses were not evicted yet");
        }
        self.tags.clear();
    }

    fn disarm(mut self) {
        self.tags.clear();
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.tags.is_empty()
            && let Err(error) = self.cache.evict().tags(&self.tags).run_sync()
        {
            tracing::warn!(%error, "tags of responses were not evicted");
        }
    }
}

/// A request by an unsafe method, which outdates what is stored of its URL (RFC 9111, 4.4).
pub(crate) struct Written {
    guard: Guard,
    host: String,
    uri: Uri,
}

impl Written {
    pub(crate) fn of(http: &HttpCache, parts: &request::Parts) -> Self {
        let uri = original_uri(parts).clone();
        let host = host(parts);
        let keyed = http.settings.host.of(parts).unwrap_or_else(|| host.clone());
        let tags = vec![url_tag(&keyed, uri.path())];
        Self { guard: Guard { cache: http.cache.clone(), tags }, host, uri }
    }

    /// Evicts after a 2xx or 3xx, and what Location and Content-Location name of the same host.
    pub(crate) async fn finish(self, response: Option<(StatusCode, &HeaderMap)>) {
        let Some((status, headers)) = response else {
            drop(self.guard);
            return;
        };
        if !status.is_success() && !status.is_redirection() {
            self.guard.disarm();
            return;
        }
        let places = self.places(headers);
        self.guard.evict(places).await;
    }

    /// Evicts these tags in place of the URL's, and what the response names.
    pub(crate) async fn finish_with(mut self, headers: &HeaderMap, tag: String) {
        let places = self.places(headers);
        self.guard.tags = vec![tag];
        self.guard.evict(places).await;
    }

    /// The tags of what Location and Content-Location name besides the URL itself.
    fn places(&self, headers: &HeaderMap) -> Vec<String> {
        let places =
            [header::LOCATION, header::CONTENT_LOCATION].into_iter().filter_map(|name| headers.get(name));
        let places = places.filter_map(|place| resolved(&self.host, &self.uri, place.to_str().ok()?));
        places.filter(|path| path != self.uri.path()).map(|path| url_tag(&self.host, &path)).collect()
    }
}

/// The path that a reference names, where that is on this host.
fn resolved(host: &str, base: &Uri, place: &str) -> Option<String> {
    let place = place.split(['#', '?']).next().unwrap_or_default();
    if place.is_empty() {
        return Some(base.path().to_owned());
    }
    let after_scheme = place.strip_prefix("http://").or_else(|| place.strip_prefix("https://"));
    if let Some(rest) = after_scheme.or_else(|| place.strip_prefix("//")) {
        let (authority, path) = rest
            .split_once('/')
            .map_or((rest, "/".to_owned()), |(authority, path)| (authority, format!("/{path}")));
        return authority.eq_ignore_ascii_case(host).then_some(path);
    }
    let path = if place.starts_with('/') {
        place.to_owned()
    } else {
        let folder = base.path().rsplit_once('/').map_or("", |(folder, _)| folder);
        format!("{folder}/{place}")
    };
    // RFC 3986, 5.2.4.
    let mut segments: Vec<&str> = Vec::new();
    let mut parts = path.split('/').skip(1).peekable();
    while let Some(part) = parts.next() {
        match part {
            "." | ".." => {
                if part == ".." {
                    segments.pop();
                }
                if parts.peek().is_none() {
                    segments.push("");
                }
            }
            part => segments.push(part),
        }
    }
    Some(format!("/{}", segments.join("/")))
}

type TagsOf = Arc<dyn Fn(&response::Parts) -> Vec<String> + Send + Sync>;

/// Evicts after a route has written: after a 2xx or 3xx. Made by [`HttpCache::evict`].
///
/// The route's own URL is evicted too. A handler that is dropped or panics may have written already, so then it is evicted all the
/// same.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::{delete, get}};
/// use cachemacro_http::HttpCache;
///
/// let http = HttpCache::new(cachemacro::Cache::memory());
/// let app: Router = Router::new()
///     .route("/products", get(async || "tea").layer(http.cache().ttl("5m").tags(["products"])))
///     .route("/products/{id}", delete(async || "gone").layer(http.evict().tags(["product:{id}", "products"])));
/// # use tower::ServiceExt as _;
/// # let send = |method: &str, uri: &str| {
/// #     let request = http::Request::builder().method(method).uri(uri).body(axum::body::Body::empty()).unwrap();
/// #     app.clone().oneshot(request)
/// # };
/// # send("GET", "/products").await?;
/// # assert_eq!(send("GET", "/products").await?.headers()["x-cache"], "HIT");
/// # send("DELETE", "/products/7").await?;
/// # assert_eq!(send("GET", "/products").await?.headers()["x-cache"], "MISS");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct EvictLayer {
    http: HttpCache,
    tags: Vec<Template>,
    tags_of: Option<TagsOf>,
    before: bool,
    on_err: bool,
}

impl fmt::Debug for EvictLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictLayer")
            .field("tags", &self.tags)
            .field("before", &self.before)
            .field("on_err", &self.on_err)
            .finish_non_exhaustive()
    }
}

impl EvictLayer {
    pub(crate) fn new(http: HttpCache) -> Self {
        Self { http, tags: Vec::new(), tags_of: None, before: false, on_err: false }
    }

    /// The tags to evict, with path parameters in braces.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.evict().tags(["product:{id}", "products"]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a brace is not closed.
    pub fn tags<S: cachemacro::Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.tags.extend(tags.into_iter().map(|tag| Template::new(&tag.text())));
        self
    }

    /// More tags, from the response's status and headers. They cannot be known where the handler is dropped.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.evict().tags_by(|response| {
    ///     response.headers.get("location").and_then(|place| Some(format!("at:{}", place.to_str().ok()?))).into_iter().collect()
    /// });
    /// # drop(layer);
    /// ```
    pub fn tags_by(mut self, tags: impl Fn(&response::Parts) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.tags_of = Some(Arc::new(tags));
        self
    }

    /// Evicts before the handler too, and after it whatever it answers.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.evict().tags(["products"]).before();
    /// # drop(layer);
    /// ```
    pub const fn before(mut self) -> Self {
        self.before = true;
        self
    }

    /// Evicts after a 4xx, a 5xx or an error of the service too, where a failed write may have happened.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.evict().tags(["products"]).on_err();
    /// # drop(layer);
    /// ```
    pub const fn on_err(mut self) -> Self {
        self.on_err = true;
        self
    }
}

impl<S> Layer<S> for EvictLayer {
    type Service = EvictService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EvictService { inner, layer: Arc::new(self.clone()) }
    }
}

/// A service whose requests evict. Made by an [`EvictLayer`].
#[derive(Debug, Clone)]
pub struct EvictService<S> {
    inner: S,
    layer: Arc<EvictLayer>,
}

impl<S, B, R> Service<Request<B>> for EvictService<S>
where
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    S::Error: Send,
    B: Send + 'static,
    R: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Pin<Box<dyn Future<Output = Result<Response<R>, S::Error>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let next = self.inner.clone();
        let inner = std::mem::replace(&mut self.inner, next);
        Box::pin(evicting(inner, self.layer.clone(), request))
    }
}

async fn evicting<S, B, R>(
    mut inner: S,
    layer: Arc<EvictLayer>,
    request: Request<B>,
) -> Result<Response<R>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    let (mut parts, body) = request.into_parts();
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) {
        return inner.call(Request::from_parts(parts, body)).await;
    }
    let mut written = Written::of(&layer.http, &parts);
    let (tags, missing) = template::tags(&layer.tags, &mut parts).await;
    written.guard.tags.extend(tags);
    for tag in missing {
        tracing::error!(%tag, "a tag is not evicted: {}", template::MISSING);
    }
    if layer.before {
        Guard { cache: layer.http.cache.clone(), tags: written.guard.tags.clone() }.evict(Vec::new()).await;
    }
    let response = inner.call(Request::from_parts(parts, body)).await;
    let whatever = layer.before || layer.on_err;
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            if whatever {
                written.guard.evict(Vec::new()).await;
            } else {
                written.guard.disarm();
            }
            return Err(error);
        }
    };
    let (head, body) = response.into_parts();
    let is_success = head.status.is_success() || head.status.is_redirection();
    if let Some(tags_of) = layer.tags_of.as_ref().filter(|_| is_success) {
        written.guard.tags.extend(tags_of(&head));
    }
    let status = if whatever { StatusCode::OK } else { head.status };
    written.finish(Some((status, &head.headers))).await;
    Ok(Response::from_parts(head, body))
}
