//! Answers one request with a stored response.

use bytes::Bytes;
use http::header::{self, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Response, StatusCode, request};

use crate::body::CacheBody;
use crate::http_cache::Settings;
use crate::route::CacheLayer;
use crate::rules::cache_control::CacheControl;
use crate::rules::conditional;
use crate::rules::range::{Part, part};
use crate::rules::status::{Report, left};
use crate::stats::Route;
use crate::stored::{ShownFor, Stored};

/// The stored headers that a 304 carries (RFC 9110, 15.4.5).
const IN_304: [HeaderName; 8] = [
    header::CACHE_CONTROL,
    header::CONTENT_LOCATION,
    header::DATE,
    header::ETAG,
    header::EXPIRES,
    header::LAST_MODIFIED,
    header::VARY,
    header::AGE,
];

/// How a stored response is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner<'a> {
    pub(crate) report: Report,
    /// The route whose counters count the answer.
    pub(crate) route: &'a Route,
    /// The response is for this user alone.
    pub(crate) private: bool,
    /// Whether the answer has an Age field: the response comes from the store.
    pub(crate) aged: bool,
    /// Whether this process holds the response for the next request too.
    pub(crate) stays: bool,
}

/// Answers a request with a stored response; `None` where the stored bytes are no response.
pub(crate) fn answer<B>(
    layer: &CacheLayer,
    request: &request::Parts,
    (stored, age): (&Stored, u64),
    manner: Manner<'_>,
) -> Option<Response<CacheBody<B>>> {
    let (status, head) = stored.head()?;
    let terms = stored.terms();
    let whole_age = stored.initial_age.saturating_add(age);
    let left = left(terms.lifetime, whole_age);
    let report = Report { ttl: Some(left), ..manner.report };
    let show = || {
        let mut headers = head.clone();
        if manner.aged || stored.initial_age > 0 {
            headers.insert(header::AGE, HeaderValue::from(whole_age / 1000));
        }
        if layer.rule.origin.is_none() {
            say_how_long(&mut headers, terms.lifetime, manner.private);
        }
        say(&layer.http.settings, &mut headers, &report);
        if stored.trailers().is_none() {
            set_length(status, &mut headers, stored.body().len());
        }
        headers
    };
    // The next answer of this layer shows the same, within a second.
    let mut headers = if manner.stays && report == (Report { ttl: report.ttl, ..Report::default() }) {
        stored.shown(ShownFor { layer: layer.rule.id(), age: whole_age / 1000, left }, show)
    } else {
        show()
    };
    manner.route.count(&report);
    // Bytes that the handler has just made are not counted as saved.
    let saved = |bytes| report.forward.is_none().then(|| manner.route.answered(bytes));
    let is_get = request.method == Method::GET || request.method == Method::HEAD;
    if is_get && conditional::is_not_modified(status, &request.headers, &headers, now) {
        let all = std::mem::take(&mut headers);
        let settings = &layer.http.settings;
        let ours = settings.cache_status.iter().map(|(name, _)| name).chain(&settings.x_cache);
        for name in IN_304.iter().chain(ours) {
            for value in all.get_all(name) {
                headers.append(name, value.clone());
            }
        }
        manner.route.answered(None);
        return Some(built(StatusCode::NOT_MODIFIED, headers, CacheBody::empty()));
    }
    let body = stored.body().clone();
    if request.method == Method::HEAD {
        set_length(status, &mut headers, body.len());
        return Some(built(status, headers, CacheBody::empty()));
    }
    if status == StatusCode::OK
        && let Some(range) = request.headers.get(header::RANGE)
        && conditional::is_same_for_range(&request.headers, &headers, now)
    {
        let length = body.len();
        match part(range.as_bytes(), length) {
            Part::Whole => {}
            Part::From(start, end) => {
                let place = format!("bytes {start}-{}/{length}", end - 1);
                set_text(&mut headers, header::CONTENT_RANGE, &place);
                set_length(StatusCode::PARTIAL_CONTENT, &mut headers, end - start);
                saved(Some(end - start));
                let body = CacheBody::stored(body.slice(start..end), None);
                return Some(built(StatusCode::PARTIAL_CONTENT, headers, body));
            }
            Part::Unsatisfiable => {
                set_text(&mut headers, header::CONTENT_RANGE, &format!("bytes */{length}"));
                set_length(StatusCode::RANGE_NOT_SATISFIABLE, &mut headers, 0);
                return Some(built(StatusCode::RANGE_NOT_SATISFIABLE, headers, CacheBody::empty()));
            }
        }
    }
    saved(Some(body.len()));
    Some(built(status, headers, CacheBody::stored(body, stored.trailers().cloned())))
}

/// 504, where the client wants a stored response only and there is none (RFC 9111, 5.2.1.7).
pub(crate) fn only_if_cached<B>(
    layer: &CacheLayer,
    route: &Route,
    report: &Report,
) -> Response<CacheBody<B>> {
    let mut headers = HeaderMap::new();
    sign(&layer.http.settings, route, &mut headers, report);
    built(StatusCode::GATEWAY_TIMEOUT, headers, CacheBody::stored(Bytes::new(), None))
}

/// Adds `max-age` where the handler said nothing of it. The lifetime counts from when the response was made, as Age does.
pub(crate) fn say_how_long(headers: &mut HeaderMap, lifetime: u64, private: bool) {
    if headers.contains_key(header::CACHE_CONTROL) {
        let says = CacheControl::of(headers);
        if private && !says.private && !says.no_store {
            headers.append(header::CACHE_CONTROL, HeaderValue::from_static("private"));
        }
        return;
    }
    let whose = if private { "private, " } else { "" };
    let text = match lifetime / 1000 {
        0 => format!("{whose}no-cache"),
        seconds => format!("{whose}max-age={seconds}"),
    };
    set_text(headers, header::CACHE_CONTROL, &text);
}

/// Says what the cache did, and counts it.
pub(crate) fn sign(settings: &Settings, route: &Route, headers: &mut HeaderMap, report: &Report) {
    route.count(report);
    say(settings, headers, report);
}

/// Says what the cache did.
fn say(settings: &Settings, headers: &mut HeaderMap, report: &Report) {
    if let Some((name, cache)) = &settings.cache_status
        && let Ok(value) = HeaderValue::from_str(&report.written(cache))
    {
        headers.append(name, value);
    }
    if let Some(name) = &settings.x_cache {
        headers.insert(name, HeaderValue::from_static(report.word()));
    }
}

fn set_text(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}

fn set_length(status: StatusCode, headers: &mut HeaderMap, length: usize) {
    // RFC 9110, 8.6: not there.
    if status != StatusCode::NO_CONTENT {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
}

fn built<B>(status: StatusCode, headers: HeaderMap, body: CacheBody<B>) -> Response<CacheBody<B>> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}

/// Seconds since 1970.
pub(crate) fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
