//! What was counted of a route: how its requests were answered.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use cachemacro::{Event, Named};
use http::request::Parts;

use crate::rules::status::{Forward, Report};

/// How the requests of one route were answered so far, in this process. From [`HttpCache::stats`](crate::HttpCache::stats).
///
/// Loads, how long they took, and what the store was asked are in [`Cache::stats`](cachemacro::Cache::stats) under the same name.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use cachemacro::Cache;
/// use cachemacro_http::HttpCache;
///
/// let cache = Cache::memory();
/// let http = HttpCache::new(cache.clone());
/// let app: Router = Router::new().route("/teas/{id}", get(async || "tea").layer(http.cache()));
/// # use tower::ServiceExt as _;
/// # for headers in [None, None, Some("Bearer a")] {
/// #     let mut request = http::Request::get("/teas/7");
/// #     if let Some(value) = headers { request = request.header("authorization", value); }
/// #     app.clone().oneshot(request.body(axum::body::Body::empty())?).await?;
/// # }
/// // Two requests, and one with Authorization.
/// let route = &http.stats()[0];
/// assert_eq!((route.route.as_str(), route.misses, route.hits), ("GET /teas/{id}", 1, 1));
/// assert_eq!(route.passes["credentials"], 1);
/// assert_eq!(cache.stats().site("GET /teas/{id}").map(|site| site.loads), Some(2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RouteStats {
    /// The route's name: what [`CacheLayer::name`](crate::CacheLayer::name) says, else method and path, as `GET /teas/{id}`.
    pub route: String,
    /// Answered with what is stored and fresh; 304, 206 and HEAD included.
    pub hits: u64,
    /// Answered with what is stored and stale.
    pub stale: u64,
    /// Answered by the handler, because nothing stored answers.
    pub misses: u64,
    /// Answered by what another request's run stored meanwhile; each is a hit too.
    pub collapsed: u64,
    /// Answered by 304.
    pub not_modified: u64,
    /// Bytes of bodies that were answered from what is stored.
    pub bytes: u64,
    /// Sent past the cache, by why: the word of `detail` in Cache-Status, else that of `fwd`. `credentials`, `identity`, `store`…
    pub passes: BTreeMap<&'static str, u64>,
    /// Of the misses, those whose responses were not stored, by why: `no-store`, `private`, `set-cookie`, `inherited`, `size`… `refused` is
    /// what was said to be stored and was not, as where an evict came between.
    pub not_stored: BTreeMap<&'static str, u64>,
}

/// The counters of a route.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    hits: AtomicU64,
    stale: AtomicU64,
    misses: AtomicU64,
    collapsed: AtomicU64,
    not_modified: AtomicU64,
    bytes: AtomicU64,
    /// Behind locks: they are counted where a handler ran, and never on a hit.
    passes: Mutex<BTreeMap<&'static str, u64>>,
    not_stored: Mutex<BTreeMap<&'static str, u64>>,
}

fn one_more(of: &Mutex<BTreeMap<&'static str, u64>>, why: &'static str) {
    *of.lock().unwrap_or_else(PoisonError::into_inner).entry(why).or_default() += 1;
}

impl Tally {
    fn stats(&self, route: &str) -> RouteStats {
        let count = |of: &AtomicU64| of.load(Ordering::Relaxed);
        let counts = |of: &Mutex<BTreeMap<_, _>>| {
            of.lock().unwrap_or_else(|poisoned: PoisonError<_>| poisoned.into_inner()).clone()
        };
        RouteStats {
            route: route.to_owned(),
            hits: count(&self.hits),
            stale: count(&self.stale),
            misses: count(&self.misses),
            collapsed: count(&self.collapsed),
            not_modified: count(&self.not_modified),
            bytes: count(&self.bytes),
            passes: counts(&self.passes),
            not_stored: counts(&self.not_stored),
        }
    }
}

/// The counters of all routes of a service, by name.
#[derive(Debug, Default)]
pub(crate) struct Tallies(RwLock<BTreeMap<String, Arc<Tally>>>);

impl Tallies {
    pub(crate) fn stats(&self) -> Vec<RouteStats> {
        let tallies = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let stats = tallies.iter().map(|(name, tally)| tally.stats(name));
        // A route that was not asked yet has a tally where a put stores for it.
        stats
            .filter(|stats| *stats != RouteStats { route: stats.route.clone(), ..RouteStats::default() })
            .collect()
    }

    fn of(&self, name: &str) -> Arc<Tally> {
        let mut tallies = self.0.write().unwrap_or_else(PoisonError::into_inner);
        tallies.entry(name.to_owned()).or_default().clone()
    }
}

/// One route: where the cache counts it, and how its requests are answered.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) named: Named,
    tally: Arc<Tally>,
}

impl Route {
    pub(crate) fn new(tallies: &Tallies, name: &str, named: Named) -> Self {
        Self { named, tally: tallies.of(name) }
    }

    /// This route for a run in the background that answers no request: the cache counts it, and the route's answers do not.
    pub(crate) fn beside(&self) -> Self {
        Self { named: self.named.clone(), tally: Arc::default() }
    }

    /// Counts an answer.
    pub(crate) fn count(&self, report: &Report) {
        let one = |of: &AtomicU64| of.fetch_add(1, Ordering::Relaxed);
        let tally = &self.tally;
        match report.forward {
            None if report.word() == "STALE" => {
                self.named.count(Event::Stale);
                one(&tally.stale)
            }
            None => one(&tally.hits),
            Some(forward @ (Forward::Bypass | Forward::Method)) => {
                return one_more(&tally.passes, report.detail.unwrap_or(forward.as_str()));
            }
            Some(_) => {
                if let Some(why) = report.detail {
                    one_more(&tally.not_stored, why);
                }
                one(&tally.misses)
            }
        };
        if report.collapsed {
            self.named.count(Event::SharedLoad);
            one(&tally.collapsed);
        }
    }

    /// Counts a response that went out as one to be stored, and was not.
    pub(crate) fn refused(&self) {
        one_more(&self.tally.not_stored, "refused");
    }

    /// Counts what a stored response was answered with: so many bytes, or 304.
    pub(crate) fn answered(&self, bytes: Option<usize>) {
        match bytes {
            Some(bytes) => self.tally.bytes.fetch_add(bytes as u64, Ordering::Relaxed),
            None => self.tally.not_modified.fetch_add(1, Ordering::Relaxed),
        };
    }
}

/// The routes that one layer is around.
#[derive(Default)]
pub(crate) struct Routes {
    /// The first route, which is nearly always the only one.
    first: OnceLock<(Box<str>, Arc<Route>)>,
    others: RwLock<HashMap<Box<str>, Arc<Route>>>,
}

impl fmt::Debug for Routes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Routes").finish_non_exhaustive()
    }
}

impl Routes {
    /// The route of this name among those of the layer.
    pub(crate) fn of(&self, name: &str, make: impl Fn() -> Route) -> Arc<Route> {
        let (first, route) = self.first.get_or_init(|| (name.into(), Arc::new(make())));
        if &**first == name {
            return route.clone();
        }
        let known = self.others.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        known.unwrap_or_else(|| {
            let mut others = self.others.write().unwrap_or_else(PoisonError::into_inner);
            others.entry(name.into()).or_insert_with(|| Arc::new(make())).clone()
        })
    }
}

/// The path of the route that axum's router chose, as `/teas/{id}`: a client cannot make up more of them than the router has.
#[cfg_attr(
    not(feature = "axum"),
    expect(clippy::missing_const_for_fn, reason = "with axum it reads an extension")
)]
pub(crate) fn path_of(parts: &Parts) -> Option<&str> {
    #[cfg(feature = "axum")]
    return parts.extensions.get::<axum::extract::MatchedPath>().map(axum::extract::MatchedPath::as_str);
    #[cfg(not(feature = "axum"))]
    {
        let _ = parts;
        None
    }
}

/// A method as part of a route's name: clients can send any.
pub(crate) fn method_of(parts: &Parts) -> &str {
    match parts.method.as_str() {
        known @ ("GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE") => known,
        _ => "OTHER",
    }
}
