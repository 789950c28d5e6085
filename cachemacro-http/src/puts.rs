//! Routes whose response to a write is that of the `GET` of their URL.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use cachemacro::{Event, Gathered, Lookup, Mode, Vacancy};
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
use crate::key::{host, original_uri, rest_tag};
use crate::plan::{self, Times};
use crate::route::CacheLayer;
use crate::rules::revalidate;
use crate::rules::status::{Forward, Report};
use crate::seek::entry;
use crate::service::CacheFuture;
use crate::stats::{Route, Routes, method_of, path_of};
use crate::stored::Stored;
use crate::written::{Written, Wrote};

/// Stores the response of a route that writes, after a 200 or 201, as that of the `GET` of its URL. Made by [`HttpCache::put`].
///
/// Give it the rules of the `GET` route. What cannot be stored is evicted: a response that is not for all, one with a query in its
/// URL, a handler that is dropped or panics; so are all other queries and variants of the URL. Of two that write at once, the one
/// whose handler began last may store.
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
    on_err: bool,
    on_evict_error: Option<StatusCode>,
    routes: Arc<Routes>,
}

impl fmt::Debug for PutLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutLayer")
            .field("layer", &self.layer)
            .field("on_err", &self.on_err)
            .finish_non_exhaustive()
    }
}

impl PutLayer {
    pub(crate) fn new(http: HttpCache) -> Self {
        Self { layer: CacheLayer::new(http), on_err: false, on_evict_error: None, routes: Arc::default() }
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

    /// The tags of the `GET` route, which the response carries; see [`CacheLayer::tags`]. They are not evicted: what else carries
    /// them, as a list, is for `#[cache_evict]` on a function that the handler calls.
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
        self.on_err = true;
        self
    }

    /// Answers with this status where the handler wrote and the store could not be told; see
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
        self.on_evict_error = Some(status.into_status());
        self
    }
}

impl<S> Layer<S> for PutLayer {
    type Service = PutService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        // What is around it may have got other rules since.
        let layer = Self { routes: Arc::default(), ..self.clone() };
        PutService { inner, layer: Arc::new(layer) }
    }
}

/// A service whose responses to writes are stored. Made by a [`PutLayer`].
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
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) {
        return Ok(inner.call(Request::from_parts(parts, body)).await?.map(CacheBody::passed));
    }
    let prefix = &layer.http.settings.prefix;
    let name = format!("{} {}", method_of(&parts), path_of(&parts).unwrap_or(prefix));
    let route = put.routes.of(&name, || layer.http.route(&name, |named| named));
    // What it stores counts for the route whose response that is.
    let read = layer.route(&parts);
    let written = Written::of(&layer.http, &route, &parts);
    let mut shown = as_get(&parts);
    let asked = match admit(layer, &mut shown, false).await {
        Admission::Look(asked) if asked.key.is_plain() => Some(asked),
        _ => None,
    };
    let vacancy = match &asked {
        Some(asked) => by_force(layer, &read, asked).await,
        None => None,
    };
    let handle = CacheHandle::default();
    parts.extensions.insert(handle.clone());
    let called = Instant::now();
    let response = match inner.call(Request::from_parts(parts, body)).await {
        Ok(response) => response,
        Err(error) => {
            written.finish(None).await;
            return Err(error);
        }
    };
    let (mut head, body) = response.into_parts();
    let times = Times { received: answer::now(), took: called.elapsed() };
    let is_stored = matches!(head.status, StatusCode::OK | StatusCode::CREATED);
    let planned = asked.filter(|_| is_stored).and_then(|asked| {
        let mut found = head.clone();
        found.status = StatusCode::OK;
        plan::prepare(layer, &mut found, times.received);
        // A GET would be answered with it.
        let (path, of_user) = (layer.path_if_ruled(&shown), asked.of_user || asked.credentials);
        let by_path = plan::say_by_path(layer, &path, found.status, &mut found.headers, of_user);
        let said = (&handle.said(), Gathered::default());
        let plan = plan::plan(layer, &asked, &shown, &found, said, times).ok()?.shared_unless(by_path);
        let headers = plan::stored_headers(&found.headers, &plan);
        (!plan.keep.is_zero()).then_some((plan, headers))
    });
    let (mut body, filled) = match vacancy.zip(planned) {
        None => (CacheBody::passed(body), false),
        Some((vacancy, (plan, headers))) => {
            match begin(body, layer.most_body(), layer.http.budget.clone()).await {
                Begun::Whole(whole) => {
                    let trailers = Some(whole.trailers.clone()).filter(|trailers| !trailers.is_empty());
                    let body = CacheBody::stored(whole.body.clone(), trailers);
                    let (head, strong) = ((StatusCode::OK, headers), layer.rule.strong_tags);
                    (body, fill(vacancy, &stored(head, whole, &plan, true, strong), &plan).await)
                }
                // A body that comes bit by bit may take longer than the lease holds.
                Begun::Open(open) => (open.unrecorded(), false),
                Begun::Passed(body) => (body, false),
            }
        }
    };
    let wrote = if filled {
        read.named.count(Event::Put);
        // What else is stored of the URL is another view of what was written.
        let rest = rest_tag(&asked_host(layer, &shown), original_uri(&shown).path());
        written.finish_with(&head.headers, rest).await
    } else {
        let status = if put.on_err { StatusCode::OK } else { head.status };
        written.finish(Some((status, &head.headers))).await
    };
    let is_success = head.status.is_success() || head.status.is_redirection();
    if let (Wrote::Failed, Some(status), true) = (&wrote, put.on_evict_error, is_success) {
        head = Response::new(()).into_parts().0;
        head.status = status;
        body = CacheBody::empty();
    }
    let detail = wrote.detail().filter(|detail| !filled || *detail != "evicted");
    let report = Report { forward: Some(Forward::Method), stored: filled, detail, ..Report::default() };
    answer::sign(&layer.http.settings, &route, &mut head.headers, &report);
    Ok(Response::from_parts(head, body))
}

/// The request that this response would answer.
fn as_get(parts: &request::Parts) -> request::Parts {
    let mut shown = parts.clone();
    shown.method = Method::GET;
    revalidate::ask_for_all(&mut shown.headers);
    for name in [CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING, CACHE_CONTROL] {
        shown.headers.remove(name);
    }
    shown
}

/// The right to store, whoever has it. G4: it is taken before the handler runs, so of two puts the one that took it last may store.
async fn by_force(layer: &CacheLayer, route: &Route, asked: &Asked) -> Option<Vacancy<Stored>> {
    match Mode::Refresh.scope(entry(layer, route, asked, None, true).lookup()).await {
        Ok(Lookup::Vacant(vacancy)) if vacancy.is_held() => Some(vacancy),
        _ => None,
    }
}

fn asked_host(layer: &CacheLayer, parts: &request::Parts) -> String {
    layer.http.settings.host.of(parts).unwrap_or_else(|| host(parts))
}
