//! What becomes of a request before anything is looked up: it passes, it writes, or it asks.

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method};

use crate::handle::CacheHandle;
use crate::http_cache::Directives;
use crate::judged::Judged;
use crate::key::{ResponseKey, original_uri, rest_tag, url_tag};
use crate::route::{CacheLayer, Rule};
use crate::rules::fields::{MOST_SECTION_BYTES, line_bytes};
use crate::rules::reusable::Demand;
use crate::rules::status::Forward;
use crate::rules::storable::Credentials;
use crate::rules::vary;
use crate::template;

/// What becomes of a request.
pub(crate) enum Admission {
    /// The request goes past the cache, for this reason.
    Pass(Forward, Option<&'static str>),
    /// The request may change what is stored.
    Write,
    /// The request may be answered from the cache.
    Look(Box<Asked>),
}

/// A request that may be answered from the cache.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a property of the request, and any may come together"
)]
#[derive(Debug, Clone)]
pub(crate) struct Asked {
    pub(crate) key: ResponseKey,
    /// The request's name in [`Urls`](crate::uncacheable::Urls).
    pub(crate) mark: String,
    /// The rule's tags, the URL's tag, and last the tag of what is stored of the URL besides the response to its plain `GET`.
    pub(crate) tags: Vec<String>,
    pub(crate) demand: Demand,
    /// A response younger than a second answers, whatever the request demands.
    pub(crate) guarded: bool,
    /// The request has credentials, and the route does not say that all users get the same response.
    pub(crate) of_user: bool,
    /// The credentials for which only a response that says it is for users with them may answer the request. On a gateway a cookie is
    /// no credential.
    pub(crate) credentials: Credentials,
    /// The request's user is part of the key.
    pub(crate) identified: bool,
    /// The request may be answered from the cache, but its response is not stored, unless it is a part of a whole that is to be newer.
    pub(crate) reads_only: bool,
    /// Its handler may be another than that of `GET`, of whose responses it makes none.
    pub(crate) is_head: bool,
}

/// What the header section of a request has that decides what becomes of it.
#[expect(clippy::struct_excessive_bools, reason = "each is a field of requests, and any may come together")]
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Seen {
    /// About how many bytes it has.
    pub(crate) bytes: usize,
    pub(crate) upgrade: bool,
    /// It asks for another method.
    pub(crate) overridden: bool,
    /// It changes something only where nobody else did.
    pub(crate) precondition: bool,
    pub(crate) range: bool,
    /// It tells caches something.
    pub(crate) directives: bool,
    pub(crate) authorization: bool,
    pub(crate) cookie: bool,
}

impl Seen {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::each(headers, |_, _| {})
    }

    /// Looks at each field once. `keyed` is told those that belong to the key whatever the rule is, host included.
    pub(crate) fn each(headers: &HeaderMap, mut keyed: impl FnMut(&HeaderName, &[u8])) -> Self {
        let mut seen = Self::default();
        for (name, value) in headers {
            seen.bytes += line_bytes(name, value);
            match name.as_str() {
                "host" | "x-forwarded-host" | "x-forwarded-proto" | "x-forwarded-prefix" | "forwarded"
                | "x-original-url" | "x-rewrite-url" => keyed(name, value.as_bytes()),
                "upgrade" => seen.upgrade = true,
                "x-http-method-override" | "x-http-method" | "x-method-override" => seen.overridden = true,
                "if-match" | "if-unmodified-since" => seen.precondition = true,
                "range" => seen.range = true,
                "cache-control" | "pragma" => seen.directives = true,
                "authorization" => seen.authorization = true,
                "cookie" => seen.cookie = true,
                _ => {}
            }
        }
        seen
    }
}

/// How many cache layers the request has entered.
#[derive(Clone, Copy, Default)]
struct Depth(u8);

/// Counts one more layer that the request has entered; how many there were.
fn enter(parts: &mut Parts) -> u8 {
    let is_within = parts.extensions.get::<CacheHandle>().is_some();
    let depth = parts.extensions.get::<Depth>().filter(|_| is_within).copied().unwrap_or_default();
    parts.extensions.insert(Depth(depth.0.saturating_add(1)));
    depth.0
}

/// Has layers inside of this one use other keys for a request that writes, too: what they store knows nothing of what is between them.
pub(crate) fn write_within(parts: &mut Parts) {
    enter(parts);
    parts.extensions.insert(CacheHandle::default());
}

/// Decides what becomes of a request. `has_body`: there is a body, or may be.
pub(crate) async fn admit(
    layer: &CacheLayer,
    parts: &mut Parts,
    has_body: bool,
    judged: &mut Judged,
) -> Admission {
    let rule = &layer.rule;
    let pass = |detail| Admission::Pass(Forward::Bypass, Some(detail));
    if !matches!(parts.method, Method::GET | Method::HEAD) {
        // RFC 9110, 9.2.1: these methods change nothing.
        return match parts.method {
            Method::OPTIONS | Method::TRACE | Method::CONNECT => Admission::Pass(Forward::Method, None),
            _ => Admission::Write,
        };
    }
    // A cache layer around this one knows neither this rule nor its tags, so it must store nothing. It has a load of the URL under
    // way, so this layer uses another key.
    if let Some(outer) = parts.extensions.get::<CacheHandle>() {
        outer.no_store();
    }
    let depth = enter(parts);
    let seen = Seen::of(&parts.headers);
    if seen.upgrade {
        return pass("upgrade");
    }
    if has_body {
        return pass("body");
    }
    if seen.overridden {
        return pass("method-override");
    }
    if seen.precondition {
        return pass("precondition");
    }
    if seen.bytes > MOST_SECTION_BYTES {
        return pass("header-size");
    }
    if !judged.is_let_in(rule, parts) {
        return pass("condition");
    }
    let identity = judged.identity(rule, parts).map(str::to_owned);
    if rule.identity.is_some() && identity.is_none() {
        return pass("identity");
    }
    let settings = &layer.http.settings;
    let Some(key) = ResponseKey::new(parts, &settings.host, &rule.query, &settings.usual) else {
        return pass("host");
    };
    let directives = layer.http.directives_for(parts);
    let is_head = parts.method == Method::HEAD;
    let demand = if seen.directives { Demand::of(&parts.headers) } else { Demand::default() };
    let demand = counting(demand, directives, is_head);
    if directives == Directives::Full && demand.no_store {
        return pass("no-store");
    }
    let reads_only = is_head || seen.range || demand.no_store;
    let path = original_uri(parts).path();
    // Of each host that it names: a write may name one of them alone. A plain one names one.
    let hosts = settings.host.written(parts);
    let urls = hosts.iter().map(|host| url_tag(host, path));
    let urls: Vec<String> = urls.chain(hosts.iter().map(|host| rest_tag(host, path))).collect();
    let mut key = key.with_identity(identity.as_deref());
    if let Some(more) = judged.key(rule, parts) {
        key = key.with_chosen("key", Some(more.to_owned()));
    }
    if depth > 0 {
        // No header field has a name with a colon, so this cannot be mistaken for one.
        key = key.with_chosen(":within", Some(depth.to_string()));
    }
    let Some(key) = with_preferences(key, rule, &parts.headers) else { return pass("vary") };
    let of_user = !rule.public && identity.is_none() && layer.http.has_credentials(parts);
    let credentials = if of_user && rule.trusts_no_one() {
        if layer.http.has_session(parts) { Credentials::Cookie } else { Credentials::Authorization }
    } else if rule.origin.is_some() && seen.authorization && !rule.public && identity.is_none() {
        Credentials::Authorization
    } else {
        Credentials::None
    };
    // What is found out of a URL for some users says nothing of it for others.
    let whose = match credentials {
        Credentials::Cookie => 'c',
        Credentials::Authorization => 'a',
        Credentials::None if of_user && !layer.path_if_ruled(parts).is_empty() => 'u',
        Credentials::None => '-',
    };
    let mark = format!("{whose}{}", key.to_text());
    let (mut tags, missing) = template::tags(&rule.tags, parts).await;
    if let Some(tag) = missing.first() {
        tracing::warn!(%tag, "a response is not cached: {}", template::MISSING);
        return pass("tag");
    }
    tags.extend(urls);
    Admission::Look(Box::new(Asked {
        key,
        mark,
        tags,
        demand,
        guarded: directives == Directives::Guarded,
        of_user,
        credentials,
        identified: identity.is_some(),
        reads_only,
        is_head,
    }))
}

/// Adds what the request prefers of what is offered; `None` where a field has more members than are understood.
fn with_preferences(mut key: ResponseKey, rule: &Rule, headers: &HeaderMap) -> Option<ResponseKey> {
    for (name, offered) in rule.vary.iter().filter(|(_, offered)| !offered.is_empty()) {
        if vary::names_too_many(headers, name) {
            return None;
        }
        let preferred = vary::preferred(headers, name, offered).map(str::to_owned);
        key = key.with_chosen(name.as_str(), preferred);
    }
    Some(key)
}

/// What counts of what a request demands.
fn counting(demand: Demand, directives: Directives, is_head: bool) -> Demand {
    match directives {
        Directives::Ignore => Demand { only_if_cached: demand.only_if_cached, ..Demand::default() },
        // What would be made for it is not stored, so what is stored would never be young enough, and each such request would be a run.
        Directives::Guarded if is_head || demand.no_store => {
            Demand { no_cache: false, max_age: None, min_fresh: None, ..demand }
        }
        Directives::Guarded | Directives::Full => demand,
    }
}
