//! `CacheHandle`, by which a handler says how its response is stored.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::duration::IntoDuration;

/// By this a handler says how its response is stored. It is an extension of the request, and an extractor of axum. Without a cache
/// layer around the handler it has no effect.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use cachemacro::Cache;
/// use cachemacro_http::{CacheHandle, HttpCache};
///
/// async fn show(cache: CacheHandle) -> String {
///     let (product, on_sale) = ("tea", true); // from the database
///     cache.tags([format!("product:{product}")]);
///     if on_sale {
///         cache.ttl("10s");
///     }
///     product.to_owned()
/// }
///
/// let http = HttpCache::new(Cache::memory());
/// let app: Router = Router::new().route("/tea", get(show).layer(http.cache().ttl("5m")));
/// # use tower::ServiceExt as _;
/// # let request = http::Request::get("/tea").body(axum::body::Body::empty())?;
/// # let response = app.oneshot(request).await?;
/// # assert_eq!(response.headers()["cache-control"], "max-age=10");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
pub struct CacheHandle(Arc<Mutex<Said>>);

/// What the handler has said so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    pub(crate) ttl: Option<Duration>,
    pub(crate) tags: Vec<String>,
    pub(crate) no_store: bool,
}

impl CacheHandle {
    fn lock(&self) -> MutexGuard<'_, Said> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long the response stays fresh, in place of the route's TTL. Zero: it is not stored.
    ///
    /// ```
    /// # use cachemacro_http::CacheHandle;
    /// CacheHandle::default().ttl("10s");
    /// ```
    ///
    /// # Panics
    /// Where a text is no duration.
    #[track_caller]
    pub fn ttl(&self, ttl: impl IntoDuration) {
        let ttl = ttl.into_duration();
        self.lock().ttl = Some(ttl);
    }

    /// Tags besides the route's. Evicts of them count from before the handler ran.
    ///
    /// ```
    /// # use cachemacro_http::CacheHandle;
    /// CacheHandle::default().tags(["product:7"]);
    /// ```
    pub fn tags<S: Into<String>>(&self, tags: impl IntoIterator<Item = S>) {
        self.lock().tags.extend(tags.into_iter().map(Into::into));
    }

    /// The response is not stored.
    ///
    /// ```
    /// # use cachemacro_http::CacheHandle;
    /// CacheHandle::default().no_store();
    /// ```
    pub fn no_store(&self) {
        self.lock().no_store = true;
    }

    pub(crate) fn said(&self) -> Said {
        self.lock().clone()
    }
}

#[cfg(feature = "axum")]
impl<S: Sync> axum::extract::FromRequestParts<S> for CacheHandle {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(
        parts: &mut http::request::Parts,
        _state: &S,
    ) -> Result<Self, Self::Rejection> {
        Ok(parts.extensions.get::<Self>().cloned().unwrap_or_default())
    }
}
