//! Routes that write: what they evict.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{Request, Response, StatusCode, response};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::answer;
use crate::body::{BoxError, CacheBody};
use crate::given::IntoStatus;
use crate::http_cache::HttpCache;
use crate::plan;
use crate::rules::status::{Forward, Report};
use crate::service::CacheFuture;
use crate::stats::{Routes, method_of, path_of};
use crate::template::{self, Template};
use crate::written::{Failing, Written, Wrote, has_written};

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
    failing: Failing,
    name: Option<String>,
    routes: Arc<Routes>,
}

impl fmt::Debug for EvictLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictLayer")
            .field("tags", &self.tags)
            .field("before", &self.before)
            .field("failing", &self.failing)
            .finish_non_exhaustive()
    }
}

impl EvictLayer {
    pub(crate) fn new(http: HttpCache) -> Self {
        Self {
            http,
            tags: Vec::new(),
            tags_of: None,
            before: false,
            failing: Failing::default(),
            name: None,
            routes: Arc::default(),
        }
    }

    /// The name of the route where its evicts are counted, as in [`CacheLayer::name`](crate::CacheLayer::name). With axum it has that
    /// of its method and path, `DELETE /teas/{id}`.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.evict().tags(["teas"]).name("sell out");
    /// # drop(layer);
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
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
    #[track_caller]
    pub fn tags<S: cachemacro::Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.tags.extend(Template::all(tags));
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
        self.failing.on_err = true;
        self
    }

    /// Answers with this status where the handler wrote and the evict did not reach the store, as `on_evict_error = "return"` of
    /// `#[cache_evict]` does. Without it the handler's response goes out; in any case the evict is logged, counted, kept and sent again.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.evict().tags(["products"]).on_evict_error(503);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a number is no status.
    #[track_caller]
    pub fn on_evict_error(mut self, status: impl IntoStatus) -> Self {
        self.failing.on_evict_error = Some(status.into_status());
        self
    }
}

impl<S> Layer<S> for EvictLayer {
    type Service = EvictService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        // Clones of this layer may have been given other tags, so each service counts its routes anew.
        let layer = Self { routes: Arc::default(), ..self.clone() };
        EvictService { inner, layer: Arc::new(layer) }
    }
}

/// A service whose requests evict. Made by an [`EvictLayer`].
///
/// ```
/// use cachemacro_http::{EvictService, HttpCache};
/// use tower_layer::Layer as _;
///
/// let http = HttpCache::new(cachemacro::Cache::memory());
/// let service: EvictService<axum::Router> = http.evict().tags(["products"]).layer(axum::Router::new());
/// # drop(service);
/// ```
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
    R: Body + Unpin + Send + 'static,
    R::Data: Send,
    R::Error: Into<BoxError>,
{
    type Response = Response<CacheBody<R>>;
    type Error = S::Error;
    type Future = CacheFuture<R, S::Error>;

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
) -> Result<Response<CacheBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
{
    let (mut parts, body) = request.into_parts();
    if parts.method.is_safe() {
        return Ok(inner.call(Request::from_parts(parts, body)).await?.map(CacheBody::passed));
    }
    let name = match &layer.name {
        Some(name) => name.clone(),
        None => format!("{} {}", method_of(&parts), path_of(&parts).unwrap_or(&layer.http.settings.prefix)),
    };
    let route = layer.routes.of(&name, || {
        let tags = layer.tags.iter().map(ToString::to_string);
        let more = layer.tags_of.as_ref().map(|_| "= tags_by(response)".to_owned());
        layer.http.route(&name, |named| named.evicts(tags.chain(more)))
    });
    let mut written = Written::of(&layer.http, &route, &parts);
    let mut tags = template::to_evict(&layer.tags, &mut parts).await;
    written.and(tags.iter().cloned());
    if layer.before {
        written.evict_ahead().await;
    }
    let response = inner.call(Request::from_parts(parts, body)).await;
    let whatever = layer.before || layer.failing.on_err;
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            if whatever {
                written.finish(None).await;
            } else {
                written.nothing();
            }
            return Err(error);
        }
    };
    let (head, body) = response.into_parts();
    if let Some(tags_of) = layer.tags_of.as_ref().filter(|_| whatever || has_written(head.status)) {
        let late = tags_of(&head);
        written.and(late.iter().cloned());
        tags.extend(late);
    }
    let status = if whatever { StatusCode::OK } else { head.status };
    let wrote = written.finish(Some((status, &head.headers))).await;
    let (mut head, body) = layer.failing.answer(&wrote, head, CacheBody::passed(body));
    if !matches!(wrote, Wrote::Nothing) {
        plan::send_invalidation(&layer.http.settings, &tags, &mut head.headers);
    }
    let report = Report { forward: Some(Forward::Method), detail: wrote.detail(), ..Report::default() };
    answer::sign(&layer.http.settings, &route, &mut head.headers, &report);
    Ok(Response::from_parts(head, body))
}
