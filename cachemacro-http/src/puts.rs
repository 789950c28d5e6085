//! Routes whose response to a write is that of the `GET` of their URL.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use cachemacro::{Gathered, Lookup, Mode, Vacancy};
use http::header::{CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE, TRANSFER_ENCODING};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body;
use tower_layer::Layer;
use tower_service::Service;

use crate::admission::{Admission, Asked, admit};
use crate::answer;
use crate::body::{Begun, BoxError, CacheBody, begin};
use crate::duration::IntoDuration;
use crate::handle::CacheHandle;
use crate::http_cache::HttpCache;
use crate::key::{host, original_uri, rest_tag};
use crate::plan::{self, Times};
use crate::route::CacheLayer;
use crate::rules::revalidate;
use crate::seek::entry;
use crate::service::{CacheFuture, MOST_BODY, fill, stored};
use crate::stored::Stored;
use crate::writes::Written;

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
pub struct PutLayer(CacheLayer);

impl fmt::Debug for PutLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("PutLayer").field(&self.0).finish()
    }
}

impl PutLayer {
    pub(crate) fn new(http: HttpCache) -> Self {
        Self(CacheLayer::new(http))
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
    pub fn ttl(self, ttl: impl IntoDuration) -> Self {
        Self(self.0.ttl(ttl))
    }

    /// The tags of the `GET` route; see [`CacheLayer::tags`].
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().tags(["product:{id}"]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a brace is not closed.
    pub fn tags<S: cachemacro::Tag>(self, tags: impl IntoIterator<Item = S>) -> Self {
        Self(self.0.tags(tags))
    }

    /// The response is for all, though the request that wrote had credentials; see [`CacheLayer::public`].
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().public();
    /// # drop(layer);
    /// ```
    pub fn public(self) -> Self {
        Self(self.0.public())
    }

    /// The version of the `GET` route; see [`CacheLayer::version`].
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.put().version(2);
    /// # drop(layer);
    /// ```
    pub fn version(self, version: u32) -> Self {
        Self(self.0.version(version))
    }
}

impl<S> Layer<S> for PutLayer {
    type Service = PutService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PutService { inner, layer: Arc::new(self.0.clone()) }
    }
}

/// A service whose responses to writes are stored. Made by a [`PutLayer`].
#[derive(Debug, Clone)]
pub struct PutService<S> {
    inner: S,
    layer: Arc<CacheLayer>,
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
    layer: Arc<CacheLayer>,
    request: Request<B>,
) -> Result<Response<CacheBody<R>>, S::Error>
where
    S: Service<Request<B>, Response = Response<R>>,
    R: Body + Unpin,
    R::Error: Into<BoxError>,
{
    let (mut parts, body) = request.into_parts();
    if matches!(parts.method, Method::GET | Method::HEAD | Method::OPTIONS | Method::TRACE) {
        return Ok(inner.call(Request::from_parts(parts, body)).await?.map(CacheBody::passed));
    }
    let written = Written::of(&layer.http, &parts);
    let mut shown = as_get(&parts);
    let asked = match admit(&layer, &mut shown, false).await {
        Admission::Look(asked) if asked.key.is_plain() => Some(asked),
        _ => None,
    };
    let vacancy = match &asked {
        Some(asked) => by_force(&layer, asked).await,
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
    let (head, body) = response.into_parts();
    let times = Times { received: answer::now(), took: called.elapsed() };
    let planned =
        asked.filter(|_| matches!(head.status, StatusCode::OK | StatusCode::CREATED)).and_then(|asked| {
            let mut found = head.clone();
            found.status = StatusCode::OK;
            plan::prepare(&layer, &mut found, times.received);
            let plan =
                plan::plan(&layer, &asked, &shown, &found, (&handle.said(), Gathered::default()), times)
                    .ok()?;
            let headers = plan::stored_headers(&found.headers, &plan);
            (!plan.keep.is_zero()).then_some((plan, headers))
        });
    let Some((vacancy, (plan, headers))) = vacancy.zip(planned) else {
        written.finish(Some((head.status, &head.headers))).await;
        return Ok(Response::from_parts(head, CacheBody::passed(body)));
    };
    let limit = layer.rule.max_body.unwrap_or(MOST_BODY);
    let body = match begin(body, limit, layer.http.budget.clone()).await {
        Begun::Whole(whole) => {
            let trailers = Some(whole.trailers.clone()).filter(|trailers| !trailers.is_empty());
            let body = CacheBody::stored(whole.body.clone(), trailers);
            let stored = stored((StatusCode::OK, headers), whole, &plan, true, layer.rule.strong_tags);
            if fill(vacancy, &stored, &plan).await {
                // What else is stored of the URL is another view of what was written.
                written
                    .finish_with(
                        &head.headers,
                        rest_tag(&asked_host(&layer, &shown), original_uri(&shown).path()),
                    )
                    .await;
                return Ok(Response::from_parts(head, body));
            }
            body
        }
        // A body that comes bit by bit may take longer than the lease holds.
        Begun::Open(open) => open.unrecorded(),
        Begun::Passed(body) => body,
    };
    written.finish(Some((head.status, &head.headers))).await;
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
async fn by_force(layer: &CacheLayer, asked: &Asked) -> Option<Vacancy<Stored>> {
    match Mode::Refresh.scope(entry(layer, asked, None).lookup()).await {
        Ok(Lookup::Vacant(vacancy)) if vacancy.is_held() => Some(vacancy),
        _ => None,
    }
}

fn asked_host(layer: &CacheLayer, parts: &request::Parts) -> String {
    layer.http.settings.host.of(parts).unwrap_or_else(|| host(parts))
}
