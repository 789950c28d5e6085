//! Conditional requests: whether what a client has is what is stored (RFC 9110, 13).

use http::header::{DATE, ETAG, IF_MODIFIED_SINCE, IF_NONE_MATCH, IF_RANGE, LAST_MODIFIED};
use http::{HeaderMap, StatusCode};

use crate::rules::fields::members;
use crate::rules::freshness::time;

/// Whether the answer is 304: the client has what is stored (13.1.2, 13.1.3, 13.2.2). `now` is asked in seconds, and only for what has a
/// date.
pub(crate) fn is_not_modified(
    status: StatusCode,
    request: &HeaderMap,
    stored: &HeaderMap,
    now: impl FnOnce() -> u64,
) -> bool {
    if status != StatusCode::OK {
        return false;
    }
    if request.contains_key(IF_NONE_MATCH) {
        // 13.1.3: then If-Modified-Since is ignored.
        let tag = stored.get(ETAG).map(|tag| tag.as_bytes().trim_ascii());
        return members(request, &IF_NONE_MATCH)
            .any(|named| named == b"*" || tag.is_some_and(|tag| weakly_equal(named, tag)));
    }
    if !request.contains_key(IF_MODIFIED_SINCE) {
        return false;
    }
    let now = now();
    let Some(since) = one_time(request, now) else { return false };
    // RFC 9111, 4.3.2: without Last-Modified, when it was made.
    let changed = time(stored, &LAST_MODIFIED, now).or_else(|| time(stored, &DATE, now));
    changed.is_some_and(|changed| changed <= since)
}

/// The time in If-Modified-Since, where that is one date.
fn one_time(request: &HeaderMap, now: u64) -> Option<u64> {
    let mut lines = request.get_all(IF_MODIFIED_SINCE).iter();
    lines.next()?;
    if lines.next().is_some() { None } else { time(request, &IF_MODIFIED_SINCE, now) }
}

/// Whether a range may be cut from what is stored: there is no If-Range, or it names this very representation (13.1.5).
pub(crate) fn is_same_for_range(request: &HeaderMap, stored: &HeaderMap, now: impl FnOnce() -> u64) -> bool {
    let Some(named) = request.get(IF_RANGE) else { return true };
    let named = named.as_bytes().trim_ascii();
    if named.starts_with(b"\"") || named.starts_with(b"W/") {
        let tag = stored.get(ETAG).map(|tag| tag.as_bytes().trim_ascii());
        return named.starts_with(b"\"") && tag == Some(named);
    }
    let now = now();
    let changed = time(stored, &LAST_MODIFIED, now);
    // 8.8.2.2: a date is strong where the response is a minute younger at least.
    let made = time(stored, &DATE, now);
    let strong = changed.zip(made).is_some_and(|(changed, made)| changed + 60 <= made);
    strong && time(request, &IF_RANGE, now) == changed
}

/// The weak comparison (8.8.3.2): equal without `W/`.
fn weakly_equal(one: &[u8], other: &[u8]) -> bool {
    opaque(one) == opaque(other)
}

fn opaque(tag: &[u8]) -> &[u8] {
    tag.strip_prefix(b"W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::date;
    use http::HeaderName;

    const NOW: u64 = 1_750_000_000;

    fn headers(fields: &[(&'static str, String)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn named(name: &'static str, value: &str) -> Vec<(&'static str, String)> {
        vec![(name, value.to_owned())]
    }

    fn at(name: &'static str, ago: u64) -> (&'static str, String) {
        (name, date::format(NOW - ago))
    }

    #[test]
    fn entity_tags() {
        for (stored, request, expected) in [
            ("\"a\"", "\"a\"", true),   // 13.1.2
            ("W/\"a\"", "\"a\"", true), // 8.8.3.2
            ("\"a\"", "W/\"a\"", true),
            ("\"a\"", "\"b\", \"a\"", true),
            ("\"a\"", "*", true),
            ("\"a\"", "\"b\"", false),
            ("\"a\"", "a", false),
            ("\"a,b\"", "\"x\", \"a,b\"", true),
        ] {
            let (stored, request) =
                (headers(&named("etag", stored)), headers(&named("if-none-match", request)));
            assert_eq!(is_not_modified(StatusCode::OK, &request, &stored, || NOW), expected, "{request:?}");
            assert!(!is_not_modified(StatusCode::NOT_FOUND, &request, &stored, || NOW), "13.2.1");
        }
    }

    #[test]
    fn dates_count_where_there_is_no_tag() {
        let modified = |stored: &[_], request: &[_]| {
            is_not_modified(StatusCode::OK, &headers(request), &headers(stored), || NOW)
        };
        assert!(modified(&[at("last-modified", 50)], &[at("if-modified-since", 50)]));
        assert!(modified(&[at("last-modified", 50)], &[at("if-modified-since", 40)]));
        assert!(!modified(&[at("last-modified", 50)], &[at("if-modified-since", 60)]));
        assert!(modified(&[at("date", 50)], &[at("if-modified-since", 40)]), "RFC 9111, 4.3.2");
        let both = [at("if-modified-since", 40), ("if-none-match", "\"b\"".to_owned())];
        assert!(!modified(&[at("last-modified", 50), ("etag", "\"a\"".to_owned())], &both), "13.1.3");
        assert!(!modified(&[], &[at("if-modified-since", 0)]));
    }

    #[test]
    fn a_range_needs_a_strong_validator() {
        let same =
            |stored: &[_], request: &[_]| is_same_for_range(&headers(request), &headers(stored), || NOW);
        assert!(same(&[], &[]));
        assert!(same(&named("etag", "\"a\""), &named("if-range", "\"a\"")));
        assert!(!same(&named("etag", "W/\"a\""), &named("if-range", "W/\"a\"")), "13.1.5");
        assert!(!same(&named("etag", "\"a\""), &named("if-range", "\"b\"")));
        assert!(same(&[at("last-modified", 100), at("date", 0)], &[at("if-range", 100)]));
        assert!(!same(&[at("last-modified", 10), at("date", 0)], &[at("if-range", 10)]), "8.8.2.2");
        assert!(!same(&[at("last-modified", 100), at("date", 0)], &[at("if-range", 90)]));
    }
}
