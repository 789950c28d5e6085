//! Whether a stored response answers a request without asking the origin (4.2, 5.2.1, RFC 5861).

use http::HeaderMap;
use http::header::{CACHE_CONTROL, PRAGMA};

use crate::rules::cache_control::CacheControl;
use crate::rules::fields::members;

/// What a stored response says about its reuse. Times are in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) lifetime: u64,
    /// Never without asking.
    pub(crate) no_cache: bool,
    /// Never stale.
    pub(crate) strict: bool,
    /// How long past its lifetime it serves while it is loaded anew.
    pub(crate) while_revalidate: u64,
    /// How long past its lifetime it serves where the origin fails.
    pub(crate) if_error: u64,
}

/// What a request asks of a cache (5.2.1). Times are in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Demand {
    pub(crate) no_cache: bool,
    pub(crate) no_store: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<u64>,
    pub(crate) min_fresh: Option<u64>,
    pub(crate) max_stale: Option<u64>,
}

impl Demand {
    /// What the headers of a request ask for.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        if !headers.contains_key(CACHE_CONTROL) {
            // 5.4: Pragma counts where there is no Cache-Control.
            let no_cache = headers.contains_key(PRAGMA)
                && members(headers, &PRAGMA).any(|member| member.eq_ignore_ascii_case(b"no-cache"));
            return Self { no_cache, ..Self::default() };
        }
        let says = CacheControl::of(headers);
        Self {
            no_cache: says.no_cache || !says.no_cache_fields.is_empty(),
            no_store: says.no_store,
            only_if_cached: says.only_if_cached,
            max_age: says.max_age.map(|seconds| seconds * 1000),
            min_fresh: says.min_fresh.map(|seconds| seconds * 1000),
            max_stale: says.max_stale.map(|seconds| seconds * 1000),
        }
    }
}

/// What becomes of a stored response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// It answers.
    Fresh,
    /// It answers though it is stale: the request allows that.
    Stale,
    /// It answers, and is loaded anew meanwhile.
    WhileRevalidate,
    /// It does not answer: the request asks for a newer one.
    Demanded,
    /// It does not answer: it is stale, or wants to be asked about.
    Expired,
}

impl Reuse {
    /// Whether it answers.
    pub(crate) const fn serves(self) -> bool {
        matches!(self, Self::Fresh | Self::Stale | Self::WhileRevalidate)
    }
}

/// What becomes of a response of this age.
pub(crate) fn reuse(terms: &Terms, age: u64, demand: &Demand) -> Reuse {
    if terms.no_cache {
        return Reuse::Expired;
    }
    if demand.no_cache {
        return Reuse::Demanded;
    }
    let fresh = age < terms.lifetime;
    let late = age.saturating_sub(terms.lifetime);
    // 5.2.1.1: nothing older, unless `max-stale` is there too.
    if demand.max_age.is_some_and(|most| age > most) && demand.max_stale.is_none() {
        return Reuse::Demanded;
    }
    if demand.min_fresh.is_some_and(|least| terms.lifetime.saturating_sub(age) < least) {
        return Reuse::Demanded;
    }
    if fresh {
        return Reuse::Fresh;
    }
    if terms.strict {
        return Reuse::Expired;
    }
    if demand.max_stale.is_some_and(|most| late <= most) {
        return Reuse::Stale;
    }
    if late < terms.while_revalidate { Reuse::WhileRevalidate } else { Reuse::Expired }
}

/// Whether a response of this age may stand in for an origin that fails; `window` is what is allowed without the response's own
/// word (4.2.4).
pub(crate) fn stands_in(terms: &Terms, age: u64, window: u64) -> bool {
    !terms.no_cache && !terms.strict && age.saturating_sub(terms.lifetime) < terms.if_error.max(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand(text: &str) -> Demand {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, text.parse().unwrap());
        Demand::of(&headers)
    }

    #[test]
    fn a_table_of_ages_and_demands() {
        use Reuse::{Demanded, Expired, Fresh, Stale, WhileRevalidate};
        let plain = Terms { lifetime: 60_000, ..Terms::default() };
        let strict = Terms { strict: true, ..plain };
        let revalidated = Terms { while_revalidate: 10_000, ..plain };
        for (terms, age, request, expected) in [
            (plain, 0, "", Fresh),
            (plain, 59_999, "", Fresh),
            (plain, 60_000, "", Expired),         // 4.2
            (plain, 5_000, "no-cache", Demanded), // 5.2.1.4
            (plain, 5_000, "max-age=5", Fresh),   // 5.2.1.1
            (plain, 5_001, "max-age=5", Demanded),
            (plain, 5_001, "max-age=5, max-stale=60", Fresh),
            (plain, 50_000, "min-fresh=10", Fresh), // 5.2.1.3
            (plain, 50_001, "min-fresh=10", Demanded),
            (plain, 65_000, "max-stale=5", Stale), // 5.2.1.2
            (plain, 65_001, "max-stale=5", Expired),
            (plain, 9_000_000, "max-stale", Stale),
            (strict, 60_001, "max-stale", Expired),     // 5.2.2.2
            (revalidated, 69_999, "", WhileRevalidate), // RFC 5861, 3
            (revalidated, 70_000, "", Expired),
            (Terms { strict: true, ..revalidated }, 60_001, "", Expired),
            (Terms { no_cache: true, ..plain }, 0, "max-stale", Expired), // 5.2.2.4
        ] {
            assert_eq!(reuse(&terms, age, &demand(request)), expected, "{age} {request:?}");
        }
    }

    #[test]
    fn pragma_counts_alone() {
        let mut headers = HeaderMap::new();
        headers.insert(PRAGMA, "No-Cache".parse().unwrap());
        assert!(Demand::of(&headers).no_cache, "5.4");
        headers.insert(CACHE_CONTROL, "max-age=5".parse().unwrap());
        assert!(!Demand::of(&headers).no_cache);
    }

    #[test]
    fn an_origin_that_fails() {
        let terms = Terms { lifetime: 1_000, if_error: 5_000, ..Terms::default() };
        assert!(stands_in(&terms, 5_999, 0), "RFC 5861, 4");
        assert!(!stands_in(&terms, 6_000, 0));
        assert!(stands_in(&terms, 6_000, 60_000));
        assert!(!stands_in(&Terms { strict: true, ..terms }, 1_001, 60_000), "4.2.4");
        assert!(!stands_in(&Terms { no_cache: true, ..terms }, 0, 60_000));
    }
}
