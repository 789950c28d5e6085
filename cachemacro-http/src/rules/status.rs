//! Cache-Status: what a cache did with a request (RFC 9211).

use std::fmt::Write as _;
use std::time::Duration;

/// Why a request went to the handler: the tokens of 2.2, and the two that a cache adds by `detail`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forward {
    /// The cache was not to handle it.
    Bypass,
    /// Nothing was stored for the URL.
    UriMiss,
    /// Something was stored for the URL, for other requests.
    VaryMiss,
    /// What was stored is stale.
    Stale,
    /// The request asked for a newer one.
    Request,
    /// The method is not one that a cache answers.
    Method,
}

impl Forward {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Bypass => "bypass",
            Self::UriMiss => "uri-miss",
            Self::VaryMiss => "vary-miss",
            Self::Stale => "stale",
            Self::Request => "request",
            Self::Method => "method",
        }
    }
}

/// What a cache did with one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Report {
    /// The time that the response stays fresh, below zero where it is stale; seconds.
    pub(crate) ttl: Option<i64>,
    /// Why the handler ran; `None`: it did not.
    pub(crate) forward: Option<Forward>,
    /// Whether what it answered is stored.
    pub(crate) stored: bool,
    /// Whether another request's run answered this one.
    pub(crate) collapsed: bool,
    /// A word on why.
    pub(crate) detail: Option<&'static str>,
}

impl Report {
    /// The field's value, under the cache's name.
    pub(crate) fn written(&self, name: &str) -> String {
        let mut text = name.to_owned();
        match self.forward {
            None => text.push_str("; hit"),
            Some(forward) => {
                let _ = write!(text, "; fwd={}", forward.as_str());
            }
        }
        if let Some(ttl) = self.ttl {
            let _ = write!(text, "; ttl={ttl}");
        }
        for (is, word) in [(self.stored, "; stored"), (self.collapsed, "; collapsed")] {
            if is {
                text.push_str(word);
            }
        }
        if let Some(detail) = self.detail {
            let _ = write!(text, "; detail={detail}");
        }
        text
    }

    /// The word of X-Cache.
    pub(crate) fn word(&self) -> &'static str {
        match (self.forward, self.ttl) {
            (None, Some(ttl)) if ttl < 0 => "STALE",
            (None, _) => "HIT",
            (Some(Forward::Bypass | Forward::Method), _) => "BYPASS",
            (Some(_), _) => "MISS",
        }
    }
}

/// The whole seconds of a lifetime that are left; below zero once it is over.
pub(crate) fn left(lifetime: u64, age: u64) -> i64 {
    let left = Duration::from_millis(lifetime.abs_diff(age)).as_secs();
    let left = i64::try_from(left).unwrap_or(i64::MAX);
    if age < lifetime { left } else { -left.max(1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written() {
        let hit = Report { ttl: Some(30), ..Report::default() };
        assert_eq!((hit.written("shop"), hit.word()), ("shop; hit; ttl=30".to_owned(), "HIT"));
        let stale = Report { ttl: Some(-1), collapsed: true, ..Report::default() };
        assert_eq!(
            (stale.written("shop"), stale.word()),
            ("shop; hit; ttl=-1; collapsed".to_owned(), "STALE")
        );
        let miss =
            Report { forward: Some(Forward::UriMiss), stored: true, ttl: Some(60), ..Report::default() };
        assert_eq!((miss.written("a"), miss.word()), ("a; fwd=uri-miss; ttl=60; stored".to_owned(), "MISS"));
        let pass = Report { forward: Some(Forward::Bypass), detail: Some("store"), ..Report::default() };
        assert_eq!((pass.written("a"), pass.word()), ("a; fwd=bypass; detail=store".to_owned(), "BYPASS"));
    }

    #[test]
    fn what_is_left() {
        assert_eq!(
            [left(60_000, 0), left(60_000, 59_500), left(60_000, 60_000), left(60_000, 65_000)],
            [60, 0, -1, -5]
        );
    }
}
