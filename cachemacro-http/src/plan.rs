//! How a response is stored, or why it is not.

use std::time::Duration;

use cachemacro::Gathered;

use http::header::{self, HeaderName, HeaderValue};
use http::{HeaderMap, StatusCode, request, response};

use crate::admission::Asked;
use crate::duration::millis;
use crate::handle::Said;
use crate::http_cache::Settings;
use crate::key::{digest, group_tag, host};
use crate::paths;
use crate::route::{CacheLayer, DEFAULT_TTL, Rule};
use crate::rules::cache_control::CacheControl;
use crate::rules::freshness::{self, Lifetime};
use crate::rules::reusable::Terms;
use crate::rules::storable::{self, Circumstances, Credentials, Refusal};
use crate::rules::{date, fields, structured};
use crate::rules::{groups, hop};
use crate::seek::selecting;
use crate::stored::{About, Shared};

/// A response that inherits more tags is not stored.
const MOST_INHERITED: usize = 64;

/// How a response is stored.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) about: About,
    /// How long the store keeps the response. Zero: it is not stored, and its client gets it with the same headers as if it were.
    pub(crate) keep: Duration,
    pub(crate) tags: Vec<String>,
    /// What the handler's cached calls depend on.
    pub(crate) gathered: Gathered,
    /// Header fields that are not stored, besides those of the connection.
    pub(crate) left_out: Vec<HeaderName>,
}

impl Plan {
    /// Where `by_path`, Cache-Control comes from a rule of paths: it does not share the response with users who have credentials.
    pub(crate) const fn shared_unless(mut self, by_path: bool) -> Self {
        if by_path {
            self.about.shared = Shared::ByPath;
        }
        self
    }

    /// A response that is not stored.
    pub(crate) fn nothing() -> Self {
        Self {
            about: About::default(),
            keep: Duration::ZERO,
            tags: Vec::new(),
            gathered: Gathered::default(),
            left_out: Vec::new(),
        }
    }
}

/// The time, and how long the handler took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// When the response came, in seconds since 1970.
    pub(crate) received: u64,
    pub(crate) took: Duration,
}

/// Changes a response as the rule says, before anything is decided by it: removes stripped cookies, adds the fields by which the rule
/// tells requests apart to its Vary, and adds a date.
pub(crate) fn prepare(layer: &CacheLayer, response: &mut response::Parts, received: u64) {
    let rule = &layer.rule;
    let headers = &mut response.headers;
    if !rule.strip.is_empty() && headers.contains_key(header::SET_COOKIE) {
        let stays = |cookie: &&HeaderValue| {
            let name = cookie.as_bytes().split(|byte| *byte == b'=').next().unwrap_or_default().trim_ascii();
            rule.strip.iter().all(|stripped| stripped.as_bytes() != name)
        };
        let kept: Vec<HeaderValue> =
            headers.get_all(header::SET_COOKIE).iter().filter(stays).cloned().collect();
        headers.remove(header::SET_COOKIE);
        for cookie in kept {
            headers.append(header::SET_COOKIE, cookie);
        }
    }
    for (name, _) in &rule.vary {
        let named = fields::members(headers, &header::VARY)
            .any(|member| member == b"*" || member.eq_ignore_ascii_case(name.as_str().as_bytes()));
        if !named {
            headers.append(header::VARY, HeaderValue::from_name(name.clone()));
        }
    }
    if !headers.contains_key(header::DATE)
        && let Ok(now) = HeaderValue::from_str(&date::format(received))
    {
        headers.insert(header::DATE, now);
    }
}

/// Gives a response without Cache-Control that of the rule of its path; returns whether there was a rule. `of_user`: the request has
/// credentials. Then, and where the response sets a cookie, which may begin a session, it is marked as private.
pub(crate) fn say_by_path(
    layer: &CacheLayer,
    path: &str,
    status: StatusCode,
    headers: &mut HeaderMap,
    of_user: bool,
) -> bool {
    if path.is_empty() || has_word(headers) || status.is_client_error() || status.is_server_error() {
        return false;
    }
    let Some(says) = layer.http.settings.paths.of(path) else { return false };
    let of_user = of_user && !layer.rule.public;
    let begins_session = headers.contains_key(header::SET_COOKIE) && !layer.rule.keeps_cookies;
    let says = if of_user || begins_session { paths::for_one_user(says) } else { says.clone() };
    headers.insert(header::CACHE_CONTROL, says);
    true
}

/// Whether a response says itself how long it may be kept.
pub(crate) fn has_word(headers: &HeaderMap) -> bool {
    [header::CACHE_CONTROL, header::EXPIRES].iter().any(|name| headers.contains_key(name))
}

/// Decides how the response is stored, or why it is not.
pub(crate) fn plan(
    layer: &CacheLayer,
    asked: &Asked,
    request: &request::Parts,
    response: &response::Parts,
    (said, gathered): (&Said, Gathered),
    times: Times,
) -> Result<Plan, Refusal> {
    let rule = &layer.rule;
    let headers = &response.headers;
    let says = says(layer, headers);
    let here = Circumstances {
        credentials: asked.credentials,
        identified: asked.identified,
        declared_public: rule.public,
        keeps_cookies: rule.keeps_cookies,
    };
    if said.no_store {
        return Err(Refusal::NoStore);
    }
    if rule.unless.as_ref().is_some_and(|unless| unless(response))
        || fields::section_bytes(headers) > fields::MOST_SECTION_BYTES
    {
        return Err(Refusal::Rule);
    }
    let lifetime = freshness::lifetime(response.status, headers, &says, times.received);
    let inherited =
        || (!gathered.is_complete() || gathered.len() > MOST_INHERITED).then_some(Refusal::Inherited);
    let (terms, initial_age, keep) = if rule.origin.is_some() {
        let (lifetime, fresh) = of_origin(rule, response, said, lifetime);
        let refusal = storable::by_origin(response.status, headers, &says, lifetime, here);
        if let Some(refusal) = refusal.or_else(inherited) {
            return Err(refusal);
        }
        by_origin(rule, headers, &says, (fresh, gathered.ttl()), times)?
    } else {
        let refusal = storable::forbidden(response.status, headers, &says, here);
        if let Some(refusal) = refusal.or_else(inherited) {
            return Err(refusal);
        }
        let ttl = ttl(layer, response, said, &says, lifetime)?;
        let ttl = gathered.ttl().map_or(ttl, |least| least.min(ttl));
        by_rule(layer, ttl, &says)
    };
    let selecting = selecting(layer, request, headers).ok_or(Refusal::VariesByAnything)?;
    let mut tags = said.tags.clone();
    tags.extend(rule.tags_of.iter().flat_map(|tags| tags(response)));
    if rule.reads_groups {
        let groups = groups::named(headers, &groups::CACHE_GROUPS);
        if groups.len() > groups::MOST {
            return Err(Refusal::Rule);
        }
        let host = host(request);
        tags.extend(groups.iter().map(|group| group_tag(&host, group)));
    }
    let shared = if storable::is_shared_with(Credentials::Cookie, &says) {
        Shared::Said
    } else if storable::is_shared_with(Credentials::Authorization, &says) {
        Shared::SaidOfAuthorization
    } else {
        Shared::Unsaid
    };
    let mut left_out = says.no_cache_fields;
    if !asked.identified {
        left_out.extend(says.private_fields);
    }
    Ok(Plan { about: About { selecting, terms, initial_age, shared }, keep, tags, gathered, left_out })
}

/// The directives that count for this cache: of the first target field that is there and valid (RFC 9213, 2.2), else Cache-Control.
fn says(layer: &CacheLayer, headers: &HeaderMap) -> CacheControl {
    let targeted =
        layer.rule.targets.iter().find_map(|target| crate::rules::targeted::directives(headers, target));
    targeted.unwrap_or_else(|| CacheControl::of(headers))
}

/// How long a response stays fresh by the rule of its route; the handler's own words only shorten it.
fn ttl(
    layer: &CacheLayer,
    response: &response::Parts,
    said: &Said,
    says: &CacheControl,
    lifetime: Lifetime,
) -> Result<Duration, Refusal> {
    let rule = &layer.rule;
    let status = response.status;
    let word = said.ttl.is_some() || says.max_age.is_some() || says.s_maxage.is_some();
    let negative = matches!(status, StatusCode::NOT_FOUND | StatusCode::GONE);
    let by_rule = || rule.negative_ttl.filter(|_| negative).or_else(|| rule.fresh_for(response));
    let mut ttl = said.ttl.or_else(by_rule).unwrap_or(DEFAULT_TTL);
    let stored = is_stored_by_itself(status)
        || rule.statuses.contains(&status)
        || negative && rule.negative_ttl.is_some();
    if !stored && !word {
        return Err(Refusal::Status);
    }
    if lifetime.is_explicit() {
        let left = lifetime.seconds().saturating_sub(freshness::age(&response.headers));
        ttl = ttl.min(Duration::from_secs(left));
    }
    Ok(if says.no_cache { Duration::ZERO } else { ttl })
}

/// Whether a response with this status is stored without a word of its handler.
fn is_stored_by_itself(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308)
}

/// How long a response of a gateway's origin stays fresh, as it counts for RFC 9111 and in milliseconds. What the origin leaves open is the
/// rule's to say, and before that the handler's, from inside; the latter shortens what the origin says, too.
fn of_origin(rule: &Rule, response: &response::Parts, said: &Said, lifetime: Lifetime) -> (Lifetime, u64) {
    let own = lifetime.seconds() * 1000;
    let within = said.ttl.map(millis);
    if lifetime.is_explicit() {
        return (lifetime, within.map_or(own, |within| within.min(own)));
    }
    let by_rule = || rule.fresh_for(response).filter(|_| is_stored_by_itself(response.status)).map(millis);
    within.or_else(by_rule).map_or((lifetime, own), |ttl| (Lifetime::Explicit(ttl / 1000), ttl))
}

fn by_rule(layer: &CacheLayer, ttl: Duration, says: &CacheControl) -> (Terms, u64, Duration) {
    let oldest = layer.rule.max_age.unwrap_or(Duration::MAX);
    let ttl = ttl.min(oldest);
    let most = millis(oldest.saturating_sub(ttl));
    let stale = millis(layer.rule.stale);
    let seconds = |seconds: Option<u64>| seconds.unwrap_or(0) * 1000;
    let strict = says.must_revalidate || says.proxy_revalidate;
    let terms = Terms {
        lifetime: millis(ttl),
        no_cache: false,
        strict,
        while_revalidate: stale.max(seconds(says.stale_while_revalidate)).min(most),
        if_error: stale.max(seconds(says.stale_if_error)).min(most),
    };
    let late = if strict { 0 } else { terms.while_revalidate.max(terms.if_error) };
    let keep = if ttl.is_zero() { Duration::ZERO } else { ttl.saturating_add(Duration::from_millis(late)) };
    (terms, 0, keep)
}

/// The plan of a gateway, by the origin's words; of stale use the rule says what it does not. The rule's `max_age` limits freshness, stale
/// use, and standing in for an origin that is gone; so does `least`, how long what the response is made of stays fresh.
fn by_origin(
    rule: &Rule,
    headers: &HeaderMap,
    says: &CacheControl,
    (lifetime, least): (u64, Option<Duration>),
    times: Times,
) -> Result<(Terms, u64, Duration), Refusal> {
    let age = freshness::initial_age(headers, times.received, times.took.as_secs()) * 1000;
    let stale = |said: Option<u64>| said.map_or(millis(rule.stale), |seconds| seconds * 1000);
    let oldest = least.map_or(rule.oldest(), |least| rule.oldest().min(age.saturating_add(millis(least))));
    let lifetime = lifetime.min(oldest);
    let most = oldest - lifetime;
    let terms = Terms {
        lifetime,
        no_cache: says.no_cache,
        // 5.2.2.10: `s-maxage` implies `proxy-revalidate`.
        strict: says.must_revalidate || says.proxy_revalidate || says.s_maxage.is_some(),
        while_revalidate: stale(says.stale_while_revalidate).min(most),
        if_error: stale(says.stale_if_error).min(most),
    };
    let asks = headers.contains_key(header::ETAG) || headers.contains_key(header::LAST_MODIFIED);
    let fresh = if terms.no_cache { 0 } else { terms.lifetime.saturating_sub(age) };
    let late = terms.while_revalidate.max(terms.if_error);
    let left = oldest.saturating_sub(age);
    if fresh == 0 && !asks && late == 0 || left == 0 {
        return Err(Refusal::Useless);
    }
    let late = if asks || !terms.strict { late.max(rule.while_gone(lifetime)) } else { 0 };
    Ok((terms, age, Duration::from_millis(fresh.saturating_add(late).min(left))))
}

/// Tells clients what belongs together: the tags that the route and its handler name.
pub(crate) fn send_groups(settings: &Settings, tags: &[String], plan: &Plan, headers: &mut HeaderMap) {
    if settings.sends_groups {
        // The tags that this crate makes, of URLs and of the response's own groups, mean nothing to clients.
        let own = |tag: &&String| !tag.starts_with("http-");
        add_list(&groups::CACHE_GROUPS, tags.iter().chain(&plan.tags).filter(own), headers);
    }
}

/// Tells clients what was evicted.
pub(crate) fn send_invalidation(settings: &Settings, tags: &[String], headers: &mut HeaderMap) {
    if settings.sends_groups {
        add_list(&groups::INVALIDATION, tags, headers);
    }
}

fn add_list<'a>(name: &HeaderName, tags: impl IntoIterator<Item = &'a String>, headers: &mut HeaderMap) {
    let list = structured::list_of_strings(tags.into_iter().map(String::as_str));
    if let Some(value) = list.and_then(|list| HeaderValue::from_str(&list).ok()) {
        headers.append(name, value);
    }
}

/// The headers that are stored of a response.
pub(crate) fn stored_headers(headers: &HeaderMap, plan: &Plan) -> HeaderMap {
    let mut stored = headers.clone();
    hop::strip(&mut stored);
    for name in &plan.left_out {
        stored.remove(name);
    }
    // Both are made anew for each answer: a part has another length, and the age grows.
    stored.remove(header::CONTENT_LENGTH);
    stored.remove(header::AGE);
    stored
}

/// The entity tag of a body, made of its bytes. Weak, unless the rule says that clients get exactly these bytes.
pub(crate) fn entity_tag(body: &[u8], strong: bool) -> HeaderValue {
    let digest = digest(body);
    let tag = if strong { format!("\"{digest}\"") } else { format!("W/\"{digest}\"") };
    HeaderValue::from_str(&tag).unwrap_or_else(|_| HeaderValue::from_static("\"\""))
}
