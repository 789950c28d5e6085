//! Routes whose response to a write is what the `GET` of their URL would answer: it is stored as that.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use cachemacro::{Event, Lookup, Mode, Vacancy};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::admission::{Admission, Asked, admit};
use crate::answer;
use crate::body::{Begun, BoxError, CacheBody, begin};
use crate::duration::IntoDuration;
use crate::fill::{fill, stored};
use crate::given::IntoStatus;
use crate::handle::CacheHandle;
use crate::http_cache::HttpCache;
use crate::judged::Judged;
use crate::key::{original_uri, rest_tag};
use crate::plan::{self, Times};
use crate::route::CacheLayer;
use crate::rules::revalidate;
use crate::rules::status::{Forward, Report};
use crate::seek::entry;
use crate::service::CacheFuture;
use crate::stats::{Route, Routes, method_of, path_of};
use crate::stored::Stored;
use crate::template::{self, Template};
use crate::written::{Failing, Written, Wrote};

/// Stores the response of a route that writes, after a 200 or 201, as that of the `GET` of its URL. Made by [`HttpCache::put`].
///
/// Give it the rules of the `GET` route: one by one, or all by [`like`](PutLayer::like). The response carries the tags of the cached calls that its handler
/// made, as that of a `GET` does. Where the response cannot be stored, the URL is evicted: a response that is not for all users, a
/// URL with a query, a handler that is dropped or panics; a request by HTTP/2, with a differing Host, or with `Forwarded`, `X-Forwarded-…`
/// and its like, which has a response of its own, of which others are outdated too, unless [`HttpCache::usual_fields`] and
/// [`HttpCache::usual_scheme`] say that requests have them. Other queries and variants of the URL are evicted in any case. Of two requests
/// that write at once, the one whose handler began last may store.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::{get, put}};
/// use cachemacro_http::HttpCache;
///
/// let http = HttpCache::new(cachemacro::Cache::memory());
/// let tags = ["product:{id}"];
/// let show = get(async || "tea").layer(http.cache().ttl("5m").tags(tags));
/// let rename = put(async || "green tea").layer(http.put().ttl("5m").tags(tags));
/// let app: Router = Router::new().route("/products/{id}", show.merge(rename));
/// # use {http_body_util::BodyExt as _, tower::ServiceExt as _};
/// # let send = |method: &str| {
/// #     let request = http::Request::builder().method(method).uri("/products/7").body(axum::body::Body::empty()).unwrap();
/// #     app.clone().oneshot(request)
/// # };
/// # send("PUT").await?;
/// # let response = send("GET").await?;
/// # assert_eq!(response.headers()["x-cache"], "HIT");
/// # assert_eq!(response.into_body().collect().await?.to_bytes(), "green tea");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct PutLayer {
    layer: CacheLayer,
    /// The tags that a success evicts besides.
    evicts: Vec<Template>,
    failing: Failing,
    routes: Arc<Routes>,
}

impl fmt::Debug for PutLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutLayer")
            .field("layer", &self.layer)
            .field("failing", &self.failing)
            .finish_non_exhaustive()
    }
}

impl PutLayer {
    pub(crate) fn new(http: HttpCache) -> Self {
        let layer = CacheLayer::new(http);
        Self { layer, evicts: Vec::new(), failing: Failing::default(), routes: Arc::default() }
    }

    fn with(self, change: impl FnOnce(CacheLayer) -> CacheLayer) -> Self {
        Self { layer: change(self.layer), ..self }
    }

    /// How long the response stays fresh; see [`CacheLayer::ttl`].
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().ttl("5m");
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no duration.
    #[track_caller]
    pub fn ttl(self, ttl: impl IntoDuration) -> Self {
        let ttl = ttl.into_duration();
        self.with(|layer| layer.ttl(ttl))
    }

    /// The tags of the `GET` route, which the response carries; see [`CacheLayer::tags`]. As those of `#[cache_put]` they are not evicted;
    /// what else shows what was written is evicted by tags of its own: see [`evicts`](Self::evicts).
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().tags(["product:{id}"]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a brace is not closed.
    #[track_caller]
    pub fn tags<S: cachemacro::Tag>(self, tags: impl IntoIterator<Item = S>) -> Self {
        // Not in a closure: the panic is to tell the line where the route is made.
        Self { layer: self.layer.tags(tags), ..self }
    }

    /// Tags that are evicted once the handler wrote, with path parameters in braces: those of lists, say, that show what was written. Name
    /// none that the response itself carries, by [`tags`](Self::tags) or by its handler's word: it would be gone with them.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().tags(["product:{id}"]).evicts(["products"]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a brace is not closed.
    #[track_caller]
    pub fn evicts<S: cachemacro::Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.evicts.extend(Template::all(tags));
        self
    }

    /// All rules of the layer of the `GET` route, tags and closures included, in place of those given so far.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// use axum::routing::{MethodRouter, get, put};
    ///
    /// let page = http.cache().ttl("5m").tags(["product:{id}"]).tags_by(|response| {
    ///     response.headers.get("x-maker").and_then(|maker| Some(format!("maker:{}", maker.to_str().ok()?))).into_iter().collect()
    /// });
    /// let write = http.put().like(&page).evicts(["products"]);
    /// let route: MethodRouter = get(async || "tea").layer(page).merge(put(async || "green tea").layer(write));
    /// # drop(route);
    /// ```
    ///
    /// # Panics
    /// Where that layer is a gateway's, which goes by what its origin says of a `GET`.
    #[track_caller]
    pub fn like(mut self, layer: &CacheLayer) -> Self {
        assert!(layer.rule.origin.is_none(), "a gateway has no rules for the response to a write");
        self.layer = layer.again();
        self
    }

    /// The response is for all, though the request that wrote had credentials; see [`CacheLayer::public`].
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().public();
    /// # drop(layer);
    /// ```
    pub fn public(self) -> Self {
        self.with(CacheLayer::public)
    }

    /// The version of the `GET` route; see [`CacheLayer::version`].
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().version(2);
    /// # drop(layer);
    /// ```
    pub fn version(self, version: u32) -> Self {
        self.with(|layer| layer.version(version))
    }

    /// Evicts after a 4xx or a 5xx too, where a failed write may have happened.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().on_err();
    /// # drop(layer);
    /// ```
    pub const fn on_err(mut self) -> Self {
        self.failing.on_err = true;
        self
    }

    /// The status of the answer where the handler wrote and the evict did not reach the store; see
    /// [`EvictLayer::on_evict_error`](crate::EvictLayer::on_evict_error).
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().on_evict_error(503);
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

impl<S> Layer<S> for PutLayer {
    type Service = PutService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        // Clones of this layer may have been given other rules, so each service counts its routes anew.
        let layer = Self { routes: Arc::default(), ..self.clone() };
        PutService { inner, layer: Arc::new(layer) }
    }
}

/// A service whose responses to writes are stored. Made by a [`PutLayer`].
///
/// ```
/// use cachemacro_http::{PutService, HttpCache};
/// use tower_layer::Layer as _;
///
/// let http = HttpCache::new(cachemacro::Cache::memory());
/// let service: PutService<axum::Router> = http.put().ttl("5m").layer(axum::Router::new());
/// # drop(service);
/// ```
#[derive(Debug, Clone)]
pub struct PutService<S> {
    inner: S,
    layer: Arc<PutLayer>,
}

impl<S, B, R> Service<Request<B>> for PutService<S>
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
        Box::pin(putting(inner, self.layer.clone(), request))
    }
}

async fn putting<S, B, R>(
    mut inner: S,
    put: Arc<PutLayer>,
    request: Request<B>,
) -> Result<Response<CacheBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body + Unpin,
    R::Error: Into<BoxError>,
{
    let layer = &put.layer;
    let (mut parts, body) = request.into_parts();
    if parts.method.is_safe() {
        return Ok(inner.call(Request::from_parts(parts, body)).await?.map(CacheBody::passed));
    }
    let prefix = &layer.http.settings.prefix;
    let name = format!("{} {}", method_of(&parts), path_of(&parts).unwrap_or(prefix));
    let route = put.routes.of(&name, || {
        layer.http.route(&name, |named| named.evicts(put.evicts.iter().map(ToString::to_string)))
    });
    // Fills are counted for the `GET` route, whose response is stored.
    let read = layer.route(&parts);
    let mut written = Written::of(&layer.http, &route, &parts);
    let evicted = template::to_evict(&put.evicts, &mut parts).await;
    written.and(evicted.iter().cloned());
    let mut shown = as_get(&parts);
    let asked = match admit(layer, &mut shown, false, &mut Judged::default()).await {
        Admission::Look(asked) if asked.key.is_plain() => Some(asked),
        _ => None,
    };
    // Other queries and variants of the URL show what is written too.
    let rest = asked.as_ref().map(|asked| rest_tag(asked.key.host(), original_uri(&shown).path()));
    let vacancy = match &asked {
        Some(asked) => by_force(layer, &read, asked).await,
        None => None,
    };
    let handle = CacheHandle::default();
    parts.extensions.insert(handle.clone());
    let called = Instant::now();
    let call = inner.call(Request::from_parts(parts, body));
    let (response, gathered) = layer.gathering(call).await;
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            written.finish(None).await;
            return Err(error);
        }
    };
    let (head, body) = response.into_parts();
    let times = Times { received: answer::now(), took: called.elapsed() };
    let is_stored = matches!(head.status, StatusCode::OK | StatusCode::CREATED);
    let planned = asked.filter(|_| is_stored).and_then(|asked| {
        let mut found = head.clone();
        found.status = StatusCode::OK;
        plan::prepare(layer, &mut found, times.received);
        // The rule of the path that a `GET` would get.
        let (path, of_user) = (layer.path_if_ruled(&shown), asked.of_user || asked.credentials.are_there());
        let by_path = plan::say_by_path(layer, &path, found.status, &mut found.headers, of_user);
        let said = (&handle.said(), gathered);
        let plan = plan::plan(layer, &asked, &shown, &found, said, times).ok()?.shared_unless(by_path);
        let headers = plan::stored_headers(&found.headers, &plan);
        (!plan.keep.is_zero()).then_some((plan, headers))
    });
    let (body, filled) = match vacancy.zip(planned) {
        None => (CacheBody::passed(body), false),
        Some((vacancy, (plan, headers))) => {
            match begin(body, layer.most_body(), layer.http.budget.clone()).await {
                Begun::Whole(whole) => {
                    let trailers = Some(whole.trailers.clone()).filter(|trailers| !trailers.is_empty());
                    let body = CacheBody::stored(whole.body.clone(), trailers);
                    let (head, strong) = ((StatusCode::OK, headers), layer.rule.strong_tags);
                    (body, fill(vacancy, &stored(head, whole, &plan, true, strong), &plan).await)
                }
                // A body that is still being made may take longer than the lease lasts, so it is not stored.
                Begun::Open(open) => (open.unrecorded(), false),
                Begun::Passed(body, _) => (body, false),
            }
        }
    };
    let wrote = if filled {
        read.named.count(Event::Put);
        let outdated = rest.into_iter().chain(evicted.iter().cloned()).collect();
        written.finish_with(&head.headers, outdated).await
    } else {
        let status = if put.failing.on_err { StatusCode::OK } else { head.status };
        written.finish(Some((status, &head.headers))).await
    };
    let (mut head, body) = put.failing.answer(&wrote, head, body);
    if !matches!(wrote, Wrote::Nothing) {
        plan::send_invalidation(&layer.http.settings, &evicted, &mut head.headers);
    }
    let detail = wrote.detail().filter(|detail| !filled || *detail != "evicted");
    let report = Report { forward: Some(Forward::Method), stored: filled, detail, ..Report::default() };
    answer::sign(&layer.http.settings, &route, &mut head.headers, &report);
    Ok(Response::from_parts(head, body))
}

/// The `GET` whose response this is stored as.
fn as_get(parts: &request::Parts) -> request::Parts {
    let mut shown = parts.clone();
    shown.method = Method::GET;
    revalidate::ask_for_all(&mut shown.headers);
    for name in [CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, CACHE_CONTROL] {
        shown.headers.remove(name);
    }
    shown
}

/// Takes the right to store, from whoever holds it. G4: before the handler runs, so that of two puts the one that took it last may store.
async fn by_force(layer: &CacheLayer, route: &Route, asked: &Asked) -> Option<Vacancy<Stored>> {
    match Mode::Refresh.scope(entry(layer, route, asked, None, true).lookup()).await {
        Ok(Lookup::Vacant(vacancy)) if vacancy.is_held() => Some(vacancy),
        _ => None,
    }
}
