//! The cache of responses: the store, what all its routes share, and the layers that it makes.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cachemacro::{Cache, Named};
use http::request::Parts;
use http::{HeaderName, header};

use crate::body::Budget;
use crate::key::Host;
use crate::paths::Paths;
use crate::puts::PutLayer;
use crate::route::CacheLayer;
use crate::stats::{Route, RouteStats, Tallies};
use crate::uncacheable::Urls;
use crate::writes::EvictLayer;

/// All recordings of a process hold so many bytes together.
static RECORDED: LazyLock<Budget> = LazyLock::new(|| Budget::new(64 << 20));

/// Which of the directives in requests count. Anyone can send them, so not all do.
///
/// ```
/// use cachemacro::Cache;
/// use cachemacro_http::{Directives, HttpCache};
///
/// let http = HttpCache::new(Cache::memory()).directives(Directives::Ignore);
/// # drop(http);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Directives {
    /// They count, but what is younger than a second serves all the same, and `no-store` keeps this response from being stored, no
    /// more: a stored URL costs one run of its handler a second in the fleet, whatever clients send.
    #[default]
    Guarded,
    /// None counts, but for `only-if-cached`.
    Ignore,
    /// All count, as RFC 9111 has them; a request with `no-store` goes past the cache.
    Full,
}

/// Which directives of this request count.
type ByRequest = Arc<dyn Fn(&Parts) -> Directives + Send + Sync>;

/// What all routes of an [`HttpCache`] share.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) prefix: String,
    /// `None`: every cookie is taken for a session.
    pub(crate) session_cookies: Option<Vec<String>>,
    pub(crate) host: Host,
    pub(crate) directives: Directives,
    pub(crate) directives_of: Option<ByRequest>,
    /// The field that says what the cache did, and the cache's name in it.
    pub(crate) cache_status: Option<(HeaderName, String)>,
    pub(crate) x_cache: Option<HeaderName>,
    /// Cache-Control of responses that have none.
    pub(crate) paths: Paths,
    /// Whether clients are told by Cache-Groups what may be evicted together.
    pub(crate) sends_groups: bool,
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("prefix", &self.prefix)
            .field("host", &self.host)
            .field("directives", &self.directives)
            .finish_non_exhaustive()
    }
}

/// Responses in a [`Cache`]: makes the layers for routes.
///
/// Clones share what is stored and what is known of URLs; make one for a service.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use axum::{Router, routing::get};
/// use cachemacro::Cache;
/// use cachemacro_http::HttpCache;
///
/// let cache = Cache::memory();
/// let http = HttpCache::new(cache.clone());
/// let app: Router = Router::new().route("/hi", get(async || "hi").layer(http.cache().ttl("5m").tags(["greetings"])));
/// # use tower::ServiceExt as _;
/// # let get = || http::Request::get("/hi").body(axum::body::Body::empty());
/// # for expected in ["MISS", "HIT"] {
/// #     let response = app.clone().oneshot(get()?).await?;
/// #     assert_eq!(response.headers()["x-cache"], expected);
/// # }
/// cache.evict_tags(["greetings"]).await?; // as a function's attribute would
/// # let response = app.clone().oneshot(get()?).await?;
/// # assert_eq!(response.headers()["x-cache"], "MISS");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct HttpCache {
    pub(crate) cache: Cache,
    pub(crate) settings: Settings,
    /// URLs whose responses may not be stored, as far as this process has seen: nobody waits there for another's answer.
    pub(crate) uncacheable: Arc<Urls>,
    /// URLs whose responses said that users with credentials may have them: there they wait for each other.
    pub(crate) shared: Arc<Urls>,
    pub(crate) budget: Budget,
    pub(crate) tallies: Arc<Tallies>,
}

impl fmt::Debug for HttpCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpCache")
            .field("cache", &self.cache)
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl HttpCache {
    /// Responses in this cache, under the prefix `http`.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// # drop(http);
    /// ```
    pub fn new(cache: Cache) -> Self {
        let settings = Settings {
            prefix: "http".to_owned(),
            session_cookies: None,
            host: Host::Keyed,
            directives: Directives::Guarded,
            directives_of: None,
            cache_status: Some((HeaderName::from_static("cache-status"), "cachemacro".to_owned())),
            x_cache: Some(HeaderName::from_static("x-cache")),
            paths: Paths::default(),
            sends_groups: false,
        };
        Self {
            cache,
            settings,
            uncacheable: Arc::default(),
            shared: Arc::default(),
            budget: RECORDED.clone(),
            tallies: Arc::default(),
        }
    }

    /// The prefix of all keys, by which `Cache::evict_prefix` drops every response.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory()).prefix("pages");
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.settings.prefix = prefix.into();
        self
    }

    /// The cookies that tell users apart. A request with one of them is a user's; without this, a request with any cookie is.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory()).session_cookies(["sid"]);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn session_cookies<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.settings.session_cookies = Some(names.into_iter().map(Into::into).collect());
        self
    }

    /// Whether the host belongs to the key; see [`Host`].
    ///
    /// ```
    /// use cachemacro_http::{Host, HttpCache};
    ///
    /// let http = HttpCache::new(cachemacro::Cache::memory()).host(Host::Ignored);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn host(mut self, host: Host) -> Self {
        self.settings.host = host;
        self
    }

    /// Which directives of requests count; see [`Directives`].
    ///
    /// ```
    /// use cachemacro_http::{Directives, HttpCache};
    ///
    /// let http = HttpCache::new(cachemacro::Cache::memory()).directives(Directives::Full);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn directives(mut self, directives: Directives) -> Self {
        self.settings.directives = directives;
        self.settings.directives_of = None;
        self
    }

    /// Which directives of requests count, for each request.
    ///
    /// ```
    /// use cachemacro_http::{Directives, HttpCache};
    ///
    /// let http = HttpCache::new(cachemacro::Cache::memory()).directives_by(|request| {
    ///     if request.headers.contains_key("x-admin") { Directives::Full } else { Directives::Guarded }
    /// });
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn directives_by(mut self, of: impl Fn(&Parts) -> Directives + Send + Sync + 'static) -> Self {
        self.settings.directives_of = Some(Arc::new(of));
        self
    }

    /// The name of this cache in Cache-Status; `None` leaves the field out.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory()).cache_status(Some("shop"));
    /// # drop(http);
    /// ```
    ///
    /// # Panics
    /// Where the name is not made of letters, digits, `_`, `-` and `.`, or begins with none of the letters.
    #[must_use]
    pub fn cache_status(mut self, name: Option<&str>) -> Self {
        let is_token = |name: &str| {
            name.starts_with(|first: char| first.is_ascii_alphabetic())
                && name.chars().all(|next| next.is_ascii_alphanumeric() || "_-.".contains(next))
        };
        self.settings.cache_status = name.map(|name| {
            assert!(is_token(name), "the name of a cache in Cache-Status is a token: {name:?} is none");
            (HeaderName::from_static("cache-status"), name.to_owned())
        });
        self
    }

    /// The field that says `HIT`, `MISS`, `STALE` or `BYPASS`, `X-Cache` by default; `None` leaves it out.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory()).x_cache(None);
    /// # drop(http);
    /// ```
    #[must_use]
    pub fn x_cache(mut self, name: Option<HeaderName>) -> Self {
        self.settings.x_cache = name;
        self
    }

    /// Cache-Control by path, for responses to `GET` and `HEAD` that have none and are no errors: of the prefixes that end where a
    /// segment of the path does, what the longest says; `/` is for all others. It counts as if the handler had said so, but shares
    /// nothing: `public` is for those behind, and a request with credentials, or a response that sets a cookie, gets `private` in its
    /// place.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory())
    ///     .rules([("/api/v1", "public, max-age=300"), ("/", "no-cache")]);
    /// # drop(http);
    /// ```
    ///
    /// # Panics
    /// Where a prefix does not begin with a slash, or a text is no value of a header.
    #[must_use]
    #[track_caller]
    pub fn rules<P: AsRef<str>, S: AsRef<str>>(mut self, rules: impl IntoIterator<Item = (P, S)>) -> Self {
        for (prefix, says) in rules {
            self.settings.paths.add(prefix.as_ref(), says.as_ref());
        }
        self
    }

    /// Tells clients, such as a cache in front that knows RFC 9875, what belongs together: `Cache-Groups` has the route's tags, and
    /// `Cache-Group-Invalidation` those that a request evicted. Tags that are not ASCII are left out.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory()).send_groups();
    /// # drop(http);
    /// ```
    #[must_use]
    pub const fn send_groups(mut self) -> Self {
        self.settings.sends_groups = true;
        self
    }

    /// How the requests of each route were answered so far, in this process, by the routes' names.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// for route in http.stats() {
    ///     println!("{} hits={} misses={} passes={:?}", route.route, route.hits, route.misses, route.passes);
    /// }
    /// ```
    pub fn stats(&self) -> Vec<RouteStats> {
        self.tallies.stats()
    }

    /// The layer that answers a route from the cache.
    ///
    /// ```
    /// use axum::routing::{MethodRouter, get};
    ///
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let route: MethodRouter = get(async || "tea").layer(http.cache().ttl("5m").tags(["product:{id}"]));
    /// # drop(route);
    /// ```
    pub fn cache(&self) -> CacheLayer {
        CacheLayer::new(self.clone())
    }

    /// The layer of a shared cache in front of any upstream, by the words of its responses.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.gateway();
    /// # drop(layer);
    /// ```
    pub fn gateway(&self) -> CacheLayer {
        CacheLayer::of_origin(self.clone())
    }

    /// The layer that evicts after a route has written.
    ///
    /// ```
    /// use axum::routing::{MethodRouter, delete};
    ///
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let route: MethodRouter = delete(async || "gone").layer(http.evict().tags(["product:{id}", "products"]));
    /// # drop(route);
    /// ```
    pub fn evict(&self) -> EvictLayer {
        EvictLayer::new(self.clone())
    }

    /// The layer that stores the response of a route that writes as that of the `GET` of its URL.
    ///
    /// ```
    /// use axum::routing::{MethodRouter, put};
    ///
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let route: MethodRouter = put(async || "tea").layer(http.put().ttl("5m").tags(["product:{id}"]));
    /// # drop(route);
    /// ```
    pub fn put(&self) -> PutLayer {
        PutLayer::new(self.clone())
    }

    /// Whether a request tells who sent it: by Authorization, or by a cookie.
    pub(crate) fn has_credentials(&self, parts: &Parts) -> bool {
        if parts.headers.contains_key(header::AUTHORIZATION) {
            return true;
        }
        let lines = parts.headers.get_all(header::COOKIE);
        match &self.settings.session_cookies {
            None => lines.iter().next().is_some(),
            Some(names) => lines.iter().any(|line| {
                line.as_bytes().split(|byte| *byte == b';').any(|cookie| {
                    let name = cookie.split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
                    names.iter().any(|session| session.as_bytes() == name)
                })
            }),
        }
    }

    /// A route of this name, with what tools show of it.
    pub(crate) fn route(&self, name: &str, about: impl FnOnce(Named) -> Named) -> Route {
        Route::new(&self.tallies, name, about(self.cache.named(name)))
    }

    pub(crate) fn directives_for(&self, parts: &Parts) -> Directives {
        self.settings.directives_of.as_ref().map_or(self.settings.directives, |of| of(parts))
    }
}
