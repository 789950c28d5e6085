//! How long a response is fresh, and how old it is (4.2).

use http::header::{AGE, DATE, EXPIRES, LAST_MODIFIED};
use http::{HeaderMap, HeaderName, StatusCode};

use crate::rules::cache_control::{CacheControl, MOST_SECONDS, seconds};
use crate::rules::date;
use crate::rules::fields::split;

/// The share of the time since Last-Modified for which a response without a word of its own is taken to be fresh, and its end.
const HEURISTIC_SHARE: u64 = 10;
const MOST_HEURISTIC: u64 = 24 * 60 * 60;

/// How long a response is fresh, in seconds, counted from when it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lifetime {
    /// As the origin says: 4.2.1.
    Explicit(u64),
    /// As is guessed from when it was last changed: 4.2.2.
    Heuristic(u64),
    /// Nothing is known.
    Unknown,
}

impl Lifetime {
    pub(crate) const fn seconds(self) -> u64 {
        match self {
            Self::Explicit(seconds) | Self::Heuristic(seconds) => seconds,
            Self::Unknown => 0,
        }
    }

    pub(crate) const fn is_explicit(self) -> bool {
        matches!(self, Self::Explicit(_))
    }
}

/// The freshness lifetime of a response that a shared cache received at `received` (seconds since 1970).
pub(crate) fn lifetime(
    status: StatusCode,
    headers: &HeaderMap,
    says: &CacheControl,
    received: u64,
) -> Lifetime {
    // 4.2.1: the first of these that is there.
    if let Some(seconds) = says.s_maxage.or(says.max_age) {
        return Lifetime::Explicit(seconds);
    }
    let made = time(headers, &DATE, received).unwrap_or(received);
    if headers.contains_key(EXPIRES) {
        // 5.3: an invalid date, "0" above all, is a time in the past; so are several.
        let one = headers.get_all(EXPIRES).iter().count() == 1;
        let expires = if one { time(headers, &EXPIRES, received) } else { None };
        return Lifetime::Explicit(
            expires.map_or(0, |expires| expires.saturating_sub(made)).min(MOST_SECONDS),
        );
    }
    // 4.2.2: where the status may be kept without a word, or the response is marked as public.
    match time(headers, &LAST_MODIFIED, received) {
        Some(changed) if is_heuristic(status) || says.public => {
            Lifetime::Heuristic((made.saturating_sub(changed) / HEURISTIC_SHARE).min(MOST_HEURISTIC))
        }
        _ => Lifetime::Unknown,
    }
}

/// How old the response was when it arrived, in seconds (4.2.3).
pub(crate) fn initial_age(headers: &HeaderMap, received: u64, took: u64) -> u64 {
    let apparent = time(headers, &DATE, received).map_or(0, |made| received.saturating_sub(made));
    apparent.max(age(headers).saturating_add(took)).min(MOST_SECONDS)
}

/// The Age field: of several values the first, and none where that is no number (5.1).
pub(crate) fn age(headers: &HeaderMap) -> u64 {
    let first = headers.get(AGE).and_then(|line| split(line.as_bytes(), b',').next());
    first.and_then(seconds).unwrap_or(0)
}

/// The date in a field.
pub(crate) fn time(headers: &HeaderMap, name: &HeaderName, now: u64) -> Option<u64> {
    date::parse(headers.get(name)?.as_bytes().trim_ascii(), now)
}

/// Whether a response with this status may be kept without a word of its origin (RFC 9110, 15.1). 206 is left out: parts are not
/// stored.
pub(crate) fn is_heuristic(status: StatusCode) -> bool {
    matches!(status.as_u16(), 200 | 203 | 204 | 300 | 301 | 308 | 404 | 405 | 410 | 414 | 501)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_750_000_000;

    fn headers(fields: &[(&'static str, String)]) -> HeaderMap {
        fields.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap())).collect()
    }

    fn at(offset: i64) -> String {
        date::format(NOW.checked_add_signed(offset).unwrap())
    }

    fn of(status: u16, fields: &[(&'static str, String)]) -> Lifetime {
        let headers = headers(fields);
        lifetime(StatusCode::from_u16(status).unwrap(), &headers, &CacheControl::of(&headers), NOW)
    }

    #[test]
    fn the_first_that_is_there_counts() {
        let cc = |text: &str| ("cache-control", text.to_owned());
        for (fields, seconds) in [
            (vec![cc("max-age=60")], 60),
            (vec![cc("max-age=60, s-maxage=5")], 5), // 5.2.2.10
            (vec![cc("max-age=0, s-maxage=60"), ("expires", at(-10))], 60),
            (vec![cc("max-age=60"), ("expires", at(-7200)), ("date", at(0))], 60), // 5.3
            (vec![cc("max-age=0"), ("expires", at(3600))], 0),
            (vec![("expires", at(100)), ("date", at(0))], 100),
            (vec![("expires", at(100))], 100), // no Date: when it was received
            (vec![("expires", at(10)), ("date", "foo".to_owned())], 10),
            (vec![("expires", at(300)), ("date", at(400))], 0),
            (vec![("expires", "0".to_owned())], 0),
        ] {
            assert_eq!(of(200, &fields), Lifetime::Explicit(seconds), "{fields:?}");
        }
    }

    #[test]
    fn without_a_word_a_tenth_of_the_time_since_the_last_change() {
        let changed = |ago: i64| vec![("last-modified", at(-ago)), ("date", at(0))];
        assert_eq!(of(200, &changed(86_400)), Lifetime::Heuristic(8_640));
        assert_eq!(of(404, &changed(100)), Lifetime::Heuristic(10));
        assert_eq!(of(200, &changed(86_400 * 365)), Lifetime::Heuristic(MOST_HEURISTIC));
        for status in [201, 202, 302, 403, 500, 502, 503, 504, 599] {
            assert_eq!(of(status, &changed(86_400)), Lifetime::Unknown, "{status}");
        }
        let mut public = changed(86_400);
        public.push(("cache-control", "public".to_owned()));
        assert_eq!(of(599, &public), Lifetime::Heuristic(8_640));
        assert_eq!(of(200, &[]), Lifetime::Unknown);
    }

    #[test]
    fn age_is_the_first_number() {
        for (lines, expected) in [
            (vec!["30"], 30),
            (vec!["7200, 0"], 7200),
            (vec!["0, 7200"], 0),
            (vec!["7200", "0"], 7200),
            (vec!["abc"], 0),
            (vec!["-7200"], 0),
            (vec!["7200.0"], 0),
            (vec!["2147483649"], MOST_SECONDS),
            (vec![], 0),
        ] {
            let mut headers = HeaderMap::new();
            for line in &lines {
                headers.append(AGE, line.parse().unwrap());
            }
            assert_eq!(age(&headers), expected, "{lines:?}");
        }
    }

    #[test]
    fn the_initial_age_is_the_greater_of_what_is_said_and_what_is_seen() {
        let seen = |fields: &[_]| initial_age(&headers(fields), NOW, 2);
        assert_eq!(seen(&[]), 2);
        assert_eq!(seen(&[("age", "30".to_owned())]), 32);
        assert_eq!(seen(&[("age", "30".to_owned()), ("date", at(-100))]), 100);
        assert_eq!(seen(&[("date", at(100))]), 2, "a clock that is ahead");
    }
}
