//! The cache of responses: the store, and what all its routes share. The layers that it makes are in `layers`.

use std::fmt;
use std::sync::{Arc, LazyLock};

use cachemacro::{Cache, Named};
use http::request::Parts;
use http::{HeaderName, header};

use crate::body::Budget;
use crate::key::Host;
use crate::paths::Paths;
use crate::stats::{Route, RouteStats, Tallies};
use crate::uncacheable::Urls;
use crate::usual::Usual;

/// What all recordings of a process may hold together: 64 MiB.
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
    /// Directives count, with two limits: a response younger than a second serves whatever they demand, and `no-store` only keeps
    /// this request's response from being stored. What is not stored for a request renews nothing, so `HEAD`, and a request with
    /// `no-store`, is answered by whatever is fresh. So a stored URL costs the fleet one run of its handler a second, whatever clients send.
    #[default]
    Guarded,
    /// No directive counts but `only-if-cached`.
    Ignore,
    /// All directives count, as RFC 9111 defines them; a request with `no-store` goes past the cache.
    Full,
}

/// Which directives of this request count.
type ByRequest = Arc<dyn Fn(&Parts) -> Directives + Send + Sync>;

/// What all routes of an [`HttpCache`] share.
#[derive(Clone)]
pub(crate) struct Settings {
    pub(crate) prefix: String,
    /// The cookies that tell users apart; `None`: any cookie does.
    pub(crate) session_cookies: Option<Vec<String>>,
    pub(crate) host: Host,
    /// How requests usually arrive.
    pub(crate) usual: Usual,
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
            .field("usual", &self.usual)
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
    /// URLs whose responses this process found not to be storable: no request waits for another one's answer there.
    pub(crate) uncacheable: Arc<Urls>,
    /// URLs whose responses said that users with credentials may have them: requests with credentials wait for each other there.
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
            usual: Usual::default(),
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

    /// The cookies that tell users apart: a request with one of them counts as a user's. Default: a request with any cookie does.
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

    /// The fields that a proxy in front sets in each request, with their values; `{host}` is the host of the request in lower case, of
    /// which there is none with [`Host::Ignored`]. Without them a request that has such a field has a response of its own beside the plain one, and a
    /// [`put`](Self::put) that comes through the proxy only evicts: with them it stores what the next `GET` through the proxy gets.
    ///
    /// A request that has other ones, or none, has a response of its own still. Every process on one store must be given the same fields: a
    /// [`put`](Self::put) leaves the plain response of one that has others (or another [`prefix`](Self::prefix)) as it was, until its TTL
    /// ends. Where they change, have no put run while old and new processes do, or evict by [`url_tag`](crate::url_tag) what was written.
    ///
    /// ```
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory())
    ///     .usual_fields([("x-forwarded-proto", "https"), ("x-forwarded-host", "{host}")]);
    /// # drop(http);
    /// ```
    ///
    /// # Panics
    /// Where a field is none of `X-Forwarded-Host`, `X-Forwarded-Proto`, `X-Forwarded-Prefix`, `Forwarded`, `X-Original-URL` and
    /// `X-Rewrite-URL`, is given twice, or has a value that no field can have, or one with a brace that is not `{host}`.
    #[must_use]
    #[track_caller]
    pub fn usual_fields<N: AsRef<str>, V: AsRef<str>>(
        mut self,
        fields: impl IntoIterator<Item = (N, V)>,
    ) -> Self {
        for (name, value) in fields {
            self.settings.usual.add_field(name.as_ref(), value.as_ref());
        }
        self
    }

    /// The scheme of most requests' URIs, which is part of the key. HTTP/2 has one in each; HTTP/1.1, where none is given, has none. As for
    /// [`usual_fields`](Self::usual_fields), it is for requests in this form that a [`put`](Self::put) stores, and every process says the same.
    ///
    /// ```
    /// // Served by HTTP/2 and TLS.
    /// let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory()).usual_scheme("https");
    /// # drop(http);
    /// ```
    ///
    /// # Panics
    /// Where it is no scheme.
    #[must_use]
    #[track_caller]
    pub fn usual_scheme(mut self, scheme: &str) -> Self {
        self.settings.usual.set_scheme(scheme);
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

    /// Cache-Control by path, for responses to `GET` and `HEAD` that have none and are no errors. Prefixes end where a segment of the
    /// path does; the longest one that fits counts, and `/` fits every path. The value counts as if the handler had said it, except
    /// that this cache shares nothing by it: its `public` is for caches behind this one, and requests with credentials, and responses
    /// that set a cookie, get `private` instead.
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

    /// Whether a request tells who sent it: by Authorization, or by a cookie.
    pub(crate) fn has_credentials(&self, parts: &Parts) -> bool {
        parts.headers.contains_key(header::AUTHORIZATION) || self.has_session(parts)
    }

    /// Whether a request tells who sent it by a cookie.
    pub(crate) fn has_session(&self, parts: &Parts) -> bool {
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
