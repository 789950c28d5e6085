//! The rules of one route, and the layer that carries them; `service` says what it does with them.

use std::fmt;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use cachemacro::{Gathered, Policy};
use http::{HeaderName, StatusCode, request, response};

use crate::duration::{IntoDuration, millis};
use crate::given::{IntoStatus, field};
use crate::http_cache::HttpCache;
use crate::key::{Query, original_uri};
use crate::stats::{Route, Routes, path_of};
use crate::template::Template;

/// The TTL of a route that names none.
pub(crate) const DEFAULT_TTL: Duration = Duration::from_secs(300);
/// How long a body is recorded.
const RECORDED_FOR: Duration = Duration::from_secs(60);
/// How long a gateway keeps what is stale to ask about it, or to serve it while its origin is gone.
const KEPT_STALE: Duration = Duration::from_secs(24 * 60 * 60);

type OfRequest<T> = Arc<dyn Fn(&request::Parts) -> T + Send + Sync>;
type OfResponse<T> = Arc<dyn Fn(&response::Parts) -> T + Send + Sync>;

/// How long a response stays fresh.
#[derive(Clone)]
pub(crate) enum Fresh {
    For(Duration),
    Of(OfResponse<Duration>),
}

/// What makes a layer a gateway: its origin decides.
#[derive(Debug, Clone)]
pub(crate) struct Origin {
    /// How long past its lifetime a response serves while the origin cannot be reached.
    pub(crate) while_gone: Duration,
}

/// The rules of one route.
#[expect(clippy::struct_excessive_bools, reason = "each is an option of its own")]
#[derive(Clone)]
pub(crate) struct Rule {
    /// `None`: [`DEFAULT_TTL`], and on a gateway what its origin says.
    pub(crate) fresh: Option<Fresh>,
    pub(crate) tags: Vec<Template>,
    pub(crate) tags_of: Option<OfResponse<Vec<String>>>,
    pub(crate) identity: Option<OfRequest<Option<String>>>,
    pub(crate) public: bool,
    pub(crate) vary: Vec<(HeaderName, Vec<String>)>,
    pub(crate) statuses: Vec<StatusCode>,
    pub(crate) negative_ttl: Option<Duration>,
    pub(crate) condition: Option<OfRequest<bool>>,
    pub(crate) unless: Option<OfResponse<bool>>,
    pub(crate) stale: Duration,
    /// How old a response may be that serves.
    pub(crate) max_age: Option<Duration>,
    /// How long a response is kept ready in this process.
    pub(crate) local: Option<Duration>,
    pub(crate) strip: Vec<String>,
    pub(crate) keeps_cookies: bool,
    pub(crate) version: u32,
    pub(crate) query: Query,
    pub(crate) key: Option<OfRequest<String>>,
    pub(crate) strong_tags: bool,
    pub(crate) max_body: Option<usize>,
    /// How long a body is recorded that comes bit by bit.
    pub(crate) lease_limit: Duration,
    /// The tags of responses come with Cache-Groups too.
    pub(crate) reads_groups: bool,
    /// Fields with directives for this cache, before Cache-Control (RFC 9213).
    pub(crate) targets: Vec<HeaderName>,
    /// Responses carry the tags of the cached calls that made them.
    pub(crate) inherits: bool,
    pub(crate) origin: Option<Origin>,
}

impl Rule {
    fn new() -> Self {
        Self {
            fresh: None,
            tags: Vec::new(),
            tags_of: None,
            identity: None,
            public: false,
            vary: Vec::new(),
            statuses: Vec::new(),
            negative_ttl: None,
            condition: None,
            unless: None,
            stale: Duration::ZERO,
            max_age: None,
            local: None,
            strip: Vec::new(),
            keeps_cookies: false,
            version: 0,
            query: Query::Sorted,
            key: None,
            strong_tags: false,
            max_body: None,
            lease_limit: RECORDED_FOR,
            reads_groups: false,
            targets: Vec::new(),
            inherits: true,
            origin: None,
        }
    }
}

/// The rules of one route, and a number that no others have had in this process.
///
/// They are changed by [`change`](Self::change) alone, which gives them another number: what was found under these rules is known by it.
#[derive(Clone)]
pub(crate) struct Ruled {
    rule: Rule,
    id: u64,
}

impl Ruled {
    fn new(rule: Rule) -> Self {
        Self { rule, id: Self::new_id() }
    }

    fn new_id() -> u64 {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        NEXT.fetch_add(1, Ordering::Relaxed)
    }

    /// Tells these rules, in their [`HttpCache`], from all others.
    pub(crate) const fn id(&self) -> u64 {
        self.id
    }

    fn change(&mut self) -> &mut Rule {
        self.id = Self::new_id();
        &mut self.rule
    }
}

impl Deref for Ruled {
    type Target = Rule;

    fn deref(&self) -> &Rule {
        &self.rule
    }
}

impl Rule {
    /// How long the response stays fresh, where the rule says so.
    pub(crate) fn fresh_for(&self, response: &response::Parts) -> Option<Duration> {
        self.fresh.as_ref().map(|fresh| match fresh {
            Fresh::For(ttl) => *ttl,
            Fresh::Of(ttl) => ttl(response),
        })
    }

    /// How old a response may be that serves, in milliseconds.
    pub(crate) fn oldest(&self) -> u64 {
        self.max_age.map_or(u64::MAX, millis)
    }

    /// How long past its lifetime a response stands in for an origin that is gone, without a word of its own; in milliseconds.
    pub(crate) fn while_gone(&self, lifetime: u64) -> u64 {
        let window = self.origin.as_ref().map_or(0, |origin| millis(origin.while_gone));
        window.min(self.oldest().saturating_sub(lifetime))
    }

    /// Whether requests with credentials are kept apart: on a route, unless it says more; a gateway goes by RFC 9111 alone.
    pub(crate) const fn trusts_no_one(&self) -> bool {
        self.origin.is_none()
    }
}

/// Answers a route from the cache, and stores what its handler answers. Made by [`HttpCache::cache`] and [`HttpCache::gateway`].
///
/// What it does unless told otherwise: [`docs/http.md`](https://github.com/cachemacro/cachemacro/blob/main/docs/http.md).
///
/// ```
/// use axum::{Router, routing::get};
/// use cachemacro_http::{CacheLayer, HttpCache};
///
/// let http = HttpCache::new(cachemacro::Cache::memory());
/// let products: CacheLayer = http.cache().ttl("5m").stale("1h").tags(["products"]);
/// let app: Router = Router::new().route("/products", get(async || "tea").layer(products));
/// # drop(app);
/// ```
#[derive(Clone)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct CacheLayer {
    pub(crate) http: HttpCache,
    pub(crate) rule: Ruled,
    name: Option<String>,
    routes: Arc<Routes>,
}

impl fmt::Debug for CacheLayer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CacheLayer")
            .field("http", &self.http)
            .field("tags", &self.rule.tags)
            .field("public", &self.rule.public)
            .field("origin", &self.rule.origin)
            .finish_non_exhaustive()
    }
}

impl CacheLayer {
    pub(crate) fn new(http: HttpCache) -> Self {
        Self { http, rule: Ruled::new(Rule::new()), name: None, routes: Arc::default() }
    }

    pub(crate) fn of_origin(http: HttpCache) -> Self {
        let origin = Origin { while_gone: KEPT_STALE };
        let rule = Rule { inherits: false, origin: Some(origin), ..Rule::new() };
        Self { rule: Ruled::new(rule), ..Self::new(http) }
    }

    /// This layer for a service: clones may have been given other rules, so each service counts its routes anew.
    pub(crate) fn again(&self) -> Self {
        Self { routes: Arc::default(), ..self.clone() }
    }

    /// Runs a handler, and tells what its cached calls depend on, where responses inherit that.
    pub(crate) async fn gathering<F: Future>(&self, call: F) -> (F::Output, Gathered) {
        if self.rule.inherits {
            self.http.cache.gather(call).await
        } else {
            (call.await, Gathered::default())
        }
    }

    /// The most bytes that a stored body has.
    pub(crate) fn most_body(&self) -> usize {
        let most = self.http.cache.max_value();
        self.rule.max_body.map_or(most, |bytes| bytes.min(most))
    }

    /// Whether this process may hold responses of the route ready.
    pub(crate) fn holds_ready(&self) -> bool {
        let policy = Policy::new();
        self.http.cache.keeps_at_hand(&self.rule.local.map_or(policy, |ttl| policy.local(ttl)))
    }

    /// The path of a request, where something is said of paths; else empty.
    pub(crate) fn path_if_ruled(&self, parts: &request::Parts) -> String {
        if self.http.settings.paths.is_empty() {
            String::new()
        } else {
            original_uri(parts).path().to_owned()
        }
    }

    /// Where a request is counted: under the route's own name, else that of the path that the router chose.
    pub(crate) fn route(&self, parts: &request::Parts) -> Arc<Route> {
        let path = path_of(parts).unwrap_or_default();
        self.routes.of(path, || {
            let prefix = &self.http.settings.prefix;
            let name = match &self.name {
                Some(name) => name.clone(),
                None if path.is_empty() => prefix.clone(),
                None => format!("GET {path}"),
            };
            self.http.route(&name, |named| {
                let tags = self.rule.tags.iter().map(ToString::to_string);
                let more = self.rule.tags_of.as_ref().map(|_| "= tags_by(response)".to_owned());
                let named = named.value("Response").tags(tags.chain(more));
                // As keys are written: host and path to be read, and a hash.
                if path.is_empty() {
                    named
                } else {
                    named.key(format!("{{host}}{}:{{hash}}", path.replace("{*", "{")))
                }
            })
        })
    }

    /// # Panics
    /// On a gateway, which would not heed the option. Layers are built when a program starts, so it panics then.
    #[track_caller]
    fn is_of_a_route(&self, option: &str) {
        assert!(
            self.rule.origin.is_none(),
            "a gateway has no `{option}`: its origin says what is stored, and makes the entity tags"
        );
    }

    /// The name of the route where it is counted: in [`HttpCache::stats`], [`Cache::stats`](cachemacro::Cache::stats), metrics and
    /// reports. With axum it has that of its path, `GET /teas/{id}`.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().name("teas");
    /// # drop(layer);
    /// ```
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// How long responses stay fresh. Zero: they are not stored, and answers say `no-cache`, with validators all the same. On a gateway
    /// it counts for 200, 203, 204, 300, 301 and 308 where the origin says neither how long nor until when.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().ttl("1h30m");
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no duration.
    #[track_caller]
    pub fn ttl(mut self, ttl: impl IntoDuration) -> Self {
        self.rule.change().fresh = Some(Fresh::For(ttl.into_duration()));
        self
    }

    /// How long a response stays fresh, going by its status and headers; on a gateway as [`ttl`](Self::ttl).
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// # use std::time::Duration;
    /// let layer = http.cache().ttl_by(|response| {
    ///     Duration::from_secs(if response.headers.contains_key("x-sale") { 10 } else { 600 })
    /// });
    /// # drop(layer);
    /// ```
    pub fn ttl_by(mut self, ttl: impl Fn(&response::Parts) -> Duration + Send + Sync + 'static) -> Self {
        self.rule.change().fresh = Some(Fresh::Of(Arc::new(ttl)));
        self
    }

    /// Tags of the route's responses, with path parameters in braces.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().tags(["products", "product:{id}"]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a brace is not closed.
    #[track_caller]
    pub fn tags<S: cachemacro::Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.rule.change().tags.extend(Template::all(tags));
        self
    }

    /// More tags, from a response's status and headers. Evicts of them count from before the handler ran.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().tags_by(|response| {
    ///     let products = response.headers.get("x-products").and_then(|ids| ids.to_str().ok()).unwrap_or_default();
    ///     products.split(' ').map(|id| format!("product:{id}")).collect()
    /// });
    /// # drop(layer);
    /// ```
    pub fn tags_by(mut self, tags: impl Fn(&response::Parts) -> Vec<String> + Send + Sync + 'static) -> Self {
        self.rule.change().tags_of = Some(Arc::new(tags));
        self
    }

    /// Each user has responses of their own: `identity` says who sent the request, and is hashed into the key. A request without one
    /// goes past the cache.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().ttl("1m").private(|request| request.extensions.get::<u64>().copied());
    /// # drop(layer);
    /// ```
    pub fn private<I: ToString>(
        mut self,
        identity: impl Fn(&request::Parts) -> Option<I> + Send + Sync + 'static,
    ) -> Self {
        self.rule.change().identity =
            Some(Arc::new(move |parts| identity(parts).map(|identity| identity.to_string())));
        self
    }

    /// All users have the same responses: a request with Authorization or with a cookie reads and stores as any other.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().ttl("5m").public();
    /// # drop(layer);
    /// ```
    pub fn public(mut self) -> Self {
        self.rule.change().public = true;
        self
    }

    /// The responses differ by these fields of the request. Those that say so by Vary need no word here; this saves a read on a hit,
    /// and adds the fields to their Vary.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().vary(["x-currency"]).vary([http::header::ACCEPT]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no name of a field.
    #[track_caller]
    pub fn vary<N: TryInto<HeaderName>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        for name in names {
            self.rule.change().vary.push((field(name), Vec::new()));
        }
        self
    }

    /// The responses differ by which of `offered` the field prefers, so that there are no more of them than that.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().vary_among("accept-language", ["en", "de"]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no name of a field.
    #[track_caller]
    pub fn vary_among<N: TryInto<HeaderName>, S: Into<String>>(
        mut self,
        name: N,
        offered: impl IntoIterator<Item = S>,
    ) -> Self {
        self.rule.change().vary.push((field(name), offered.into_iter().map(Into::into).collect()));
        self
    }

    /// Statuses that are stored besides 200, 203, 204, 300, 301 and 308.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().statuses([302]).statuses([http::StatusCode::TEMPORARY_REDIRECT]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a number is no status, and on a gateway.
    #[track_caller]
    pub fn statuses<T: IntoStatus>(mut self, statuses: impl IntoIterator<Item = T>) -> Self {
        self.is_of_a_route("statuses");
        for status in statuses {
            self.rule.change().statuses.push(status.into_status());
        }
        self
    }

    /// Stores 404 and 410 too, for so long.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().ttl("5m").negative_ttl("10s");
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no duration, and on a gateway.
    #[track_caller]
    pub fn negative_ttl(mut self, ttl: impl IntoDuration) -> Self {
        self.is_of_a_route("negative_ttl");
        self.rule.change().negative_ttl = Some(ttl.into_duration());
        self
    }

    /// Requests for which this is false go past the cache.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().condition(|request| !request.headers.contains_key("x-preview"));
    /// # drop(layer);
    /// ```
    pub fn condition(mut self, condition: impl Fn(&request::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.rule.change().condition = Some(Arc::new(condition));
        self
    }

    /// Responses for which this is true are not stored.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().unless(|response| response.headers.contains_key("x-partial-result"));
    /// # drop(layer);
    /// ```
    pub fn unless(mut self, unless: impl Fn(&response::Parts) -> bool + Send + Sync + 'static) -> Self {
        self.rule.change().unless = Some(Arc::new(unless));
        self
    }

    /// How long past its TTL a response serves: at once, while one request of the fleet runs the handler, and where that fails. On a
    /// gateway it counts where the origin says nothing of either.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().ttl("5m").stale("1h");
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no duration.
    #[track_caller]
    pub fn stale(mut self, stale: impl IntoDuration) -> Self {
        self.rule.change().stale = stale.into_duration();
        self
    }

    /// How old a response may be that serves, stale ones included: the absolute end of [`ttl`](Self::ttl) and
    /// [`stale`](Self::stale), and of what handlers and origins say of themselves, and of standing in for an origin that is gone.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().ttl("5m").stale("1h").max_age("30m");
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no duration.
    #[track_caller]
    pub fn max_age(mut self, age: impl IntoDuration) -> Self {
        self.rule.change().max_age = Some(age.into_duration());
        self
    }

    /// Keeps responses ready in this process too, at most this long, where the store is a server: a hit asks nobody. What another process
    /// evicts is gone here once the server has told so, in milliseconds as a rule, and after this long in any case; what this process
    /// evicts is gone at once. In place of the cache's [`local`](cachemacro::CacheBuilder::local); zero: none is kept.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().ttl("5m").local("10s");
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no duration.
    #[track_caller]
    pub fn local(mut self, ttl: impl IntoDuration) -> Self {
        let ttl = ttl.into_duration();
        self.rule.change().local = Some(ttl);
        self
    }

    /// Takes these cookies off responses before they are looked at: what else sets a cookie is not stored.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().strip(["visited"]);
    /// # drop(layer);
    /// ```
    pub fn strip<S: Into<String>>(mut self, cookies: impl IntoIterator<Item = S>) -> Self {
        self.rule.change().strip.extend(cookies.into_iter().map(Into::into));
        self
    }

    /// Raise it where stored responses of before must be misses.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().version(2);
    /// # drop(layer);
    /// ```
    pub fn version(mut self, version: u32) -> Self {
        self.rule.change().version = version;
        self
    }

    /// Whether responses carry the tags of the `#[cached]` calls that their handler makes, hits included, and are stored no longer than
    /// the first of these values stays fresh. They do; calls in tasks that the handler spawns, of other caches, and of a body that is
    /// made while it is sent do not count. A response that would carry more than 64 is not stored. Those of a gateway carry them where it
    /// is told so.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().inherit(false);
    /// # drop(layer);
    /// ```
    pub fn inherit(mut self, inherits: bool) -> Self {
        self.rule.change().inherits = inherits;
        self
    }

    /// Which query parameters belong to the key; see [`Query`].
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().query(cachemacro_http::Query::only(["page", "sort"]));
    /// # drop(layer);
    /// ```
    pub fn query(mut self, query: Query) -> Self {
        self.rule.change().query = query;
        self
    }

    /// More that tells requests apart, besides host, path and query.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().key(|request| format!("{:?}", request.extensions.get::<u32>()));
    /// # drop(layer);
    /// ```
    pub fn key(mut self, key: impl Fn(&request::Parts) -> String + Send + Sync + 'static) -> Self {
        self.rule.change().key = Some(Arc::new(key));
        self
    }

    /// Entity tags of bodies are strong, so that ranges may be resumed by them. Not where a layer outside compresses or changes
    /// bodies: the tag would name bytes that nobody gets.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().strong_tags();
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// On a gateway: it makes no entity tags.
    #[track_caller]
    pub fn strong_tags(mut self) -> Self {
        self.is_of_a_route("strong_tags");
        self.rule.change().strong_tags = true;
        self
    }

    /// Bodies of more bytes are not stored, and neither are those over the cache's `max_value`, which is the limit unless this says less.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().max_body(64 << 10);
    /// # drop(layer);
    /// ```
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.rule.change().max_body = Some(bytes);
        self
    }

    /// How long a response that is still being made may keep other requests from making it: as long its body is recorded and its lease
    /// held. After that its client reads the rest at its own speed, and it is not stored. A run beside a stale response ends then. Default: a
    /// minute.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.cache().lease_limit("10s");
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no duration.
    #[track_caller]
    pub fn lease_limit(mut self, limit: impl IntoDuration) -> Self {
        self.rule.change().lease_limit = limit.into_duration();
        self
    }

    /// Trusts the origin to say what belongs together (RFC 9875): responses carry the groups in their `Cache-Groups` as tags, which
    /// `Cache-Group-Invalidation` in responses to unsafe requests evicts. A group is one of its host alone. A response with over 128
    /// groups is not stored.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.gateway().read_groups();
    /// # drop(layer);
    /// ```
    pub fn read_groups(mut self) -> Self {
        self.rule.change().reads_groups = true;
        self
    }

    /// Responses that set cookies are stored with them, as RFC 9111 lets a shared cache. Everybody gets these cookies.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.gateway().keep_cookies();
    /// # drop(layer);
    /// ```
    pub fn keep_cookies(mut self) -> Self {
        self.rule.change().keeps_cookies = true;
        self
    }

    /// Fields of responses whose directives are meant for this cache, and count in place of Cache-Control (RFC 9213): the first of
    /// them that is there and valid.
    ///
    /// ```
    /// # let http = cachemacro_http::HttpCache::new(cachemacro::Cache::memory());
    /// let layer = http.gateway().targets(["cdn-cache-control"]);
    /// # drop(layer);
    /// ```
    ///
    /// # Panics
    /// Where a text is no name of a field.
    #[track_caller]
    pub fn targets<N: TryInto<HeaderName>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        for name in names {
            self.rule.change().targets.push(field(name));
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The store drops what is older; but a request may have it in hand while its handler runs.
    #[test]
    fn nothing_stands_in_for_an_origin_past_the_oldest_that_may() {
        let http = HttpCache::new(cachemacro::Cache::memory());
        for (layer, window) in [
            (http.gateway(), millis(KEPT_STALE)),
            (http.gateway().max_age("60s"), 50_000),
            (http.gateway().max_age("5s"), 0),
            (http.cache().max_age("60s"), 0),
        ] {
            assert_eq!(layer.rule.while_gone(10_000), window, "{layer:?}");
        }
    }
}
