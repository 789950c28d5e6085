//! Cache-Control: directives of requests and responses, read once.

use http::header::CACHE_CONTROL;
use http::{HeaderMap, HeaderName};

use crate::rules::fields::{members, name_and_value, split};

/// Seconds above this are this many (1.2.2): 68 years.
pub(crate) const MOST_SECONDS: u64 = 1 << 31;

#[expect(clippy::struct_excessive_bools, reason = "directives without a value")]
/// The directives of one message (5.2, and RFC 5861). Unknown ones are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct CacheControl {
    pub(crate) no_store: bool,
    /// Without field names: nothing may be reused without asking.
    pub(crate) no_cache: bool,
    /// `no-cache="set-cookie"`: these fields are not to be reused.
    pub(crate) no_cache_fields: Vec<HeaderName>,
    /// Without field names: not for a shared cache.
    pub(crate) private: bool,
    pub(crate) private_fields: Vec<HeaderName>,
    pub(crate) public: bool,
    pub(crate) must_revalidate: bool,
    pub(crate) proxy_revalidate: bool,
    pub(crate) must_understand: bool,
    pub(crate) only_if_cached: bool,
    pub(crate) max_age: Option<u64>,
    pub(crate) s_maxage: Option<u64>,
    pub(crate) stale_while_revalidate: Option<u64>,
    pub(crate) stale_if_error: Option<u64>,
    pub(crate) min_fresh: Option<u64>,
    /// Without a number: any.
    pub(crate) max_stale: Option<u64>,
}

impl CacheControl {
    /// Reads all lines of Cache-Control.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self::read(members(headers, &CACHE_CONTROL))
    }

    /// Reads directives. Of two of one name with numbers the least counts, so that none keeps a response longer than another says.
    pub(crate) fn read<'a>(directives: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut read = Self::default();
        for directive in directives {
            let (name, value) = name_and_value(directive);
            match name.to_ascii_lowercase().as_slice() {
                b"no-store" => read.no_store = true,
                b"no-cache" => names(value, &mut read.no_cache, &mut read.no_cache_fields),
                b"private" => names(value, &mut read.private, &mut read.private_fields),
                b"public" => read.public = true,
                b"must-revalidate" => read.must_revalidate = true,
                b"proxy-revalidate" => read.proxy_revalidate = true,
                b"must-understand" => read.must_understand = true,
                b"only-if-cached" => read.only_if_cached = true,
                b"max-age" => least(&mut read.max_age, value),
                b"s-maxage" => least(&mut read.s_maxage, value),
                b"stale-while-revalidate" => least(&mut read.stale_while_revalidate, value),
                b"stale-if-error" => least(&mut read.stale_if_error, value),
                b"min-fresh" => {
                    let seconds = value.and_then(seconds).unwrap_or(MOST_SECONDS);
                    read.min_fresh = Some(read.min_fresh.map_or(seconds, |other| other.max(seconds)));
                }
                b"max-stale" if value.is_none() => read.max_stale = Some(MOST_SECONDS),
                b"max-stale" => least(&mut read.max_stale, value),
                _ => {}
            }
        }
        read
    }
}

/// `no-cache` and `private` with field names are about those alone (5.2.2.4, 5.2.2.7). An empty list, or one that names no field,
/// is taken as the whole directive.
fn names(value: Option<&[u8]>, whole: &mut bool, fields: &mut Vec<HeaderName>) {
    let named: Option<Vec<HeaderName>> = value.and_then(|value| {
        split(value, b',')
            .filter(|name| !name.is_empty())
            .map(|name| HeaderName::from_bytes(name).ok())
            .collect()
    });
    match named {
        Some(named) if !named.is_empty() => fields.extend(named),
        _ => *whole = true,
    }
}

/// A number that cannot be read is zero: the response is stale (4.2.1).
fn least(least: &mut Option<u64>, value: Option<&[u8]>) {
    let seconds = value.and_then(seconds).unwrap_or(0);
    *least = Some(least.map_or(seconds, |other| other.min(seconds)));
}

/// Delta-seconds (1.2.2): digits alone, as many as there are.
pub(crate) fn seconds(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = digits
        .iter()
        .fold(0_u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(value.min(MOST_SECONDS))
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(crate) fn read(lines: &[&str]) -> CacheControl {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(CACHE_CONTROL, line.parse().unwrap());
        }
        CacheControl::of(&headers)
    }

    #[test]
    fn directives_are_read_whatever_their_case_and_place() {
        let all = read(&["No-StOrE, foobar, MAX-age=3600", "s-maxage = 60 , private"]);
        assert!(all.no_store && all.private && !all.public);
        assert_eq!((all.max_age, all.s_maxage), (Some(3600), Some(60)));
        assert_eq!(read(&[]), CacheControl::default());
    }

    #[test]
    fn numbers() {
        let max_age = |line| read(&[line]).max_age;
        for (line, seconds) in [
            ("max-age=3600", 3600),     // 5.2.2.1
            ("max-age=\"3600\"", 3600), // 5.2: recipients accept both forms
            ("max-age=003600", 3600),
            ("max-age=99999999999999999999999", MOST_SECONDS), // 1.2.2
            ("max-age=-3600", 0),                              // 4.2.1: invalid is stale
            ("max-age='3600'", 0),
            ("max-age=3600.0", 0),
            ("max-age", 0),
            ("max-age=", 0),
            ("max-age=1800, max-age=1", 1), // 4.2.1: the least of several
            ("max-age=1, extension=\"max-age=3600\"", 1),
            ("extension=\"max-age=3600\", max-age=1", 1),
        ] {
            assert_eq!(max_age(line), Some(seconds), "{line}");
        }
        assert_eq!(max_age("extension=\"max-age=3600\""), None);
    }

    #[test]
    fn field_names_narrow_private_and_no_cache() {
        let some = read(&["private=\"set-cookie, x-user\", no-cache=\"A\""]);
        assert!(!some.private && !some.no_cache);
        assert_eq!(some.private_fields, ["set-cookie", "x-user"]);
        assert_eq!(some.no_cache_fields, ["a"]);
        for whole in ["private", "private=\"\"", "private=\"not a name\"", "private=\"x\", private"] {
            assert!(read(&[whole]).private, "{whole}");
        }
    }

    #[test]
    fn requests_have_directives_of_their_own() {
        let request = read(&["max-stale, min-fresh=5, min-fresh=7, only-if-cached"]);
        assert_eq!((request.max_stale, request.min_fresh), (Some(MOST_SECONDS), Some(7)));
        assert!(request.only_if_cached);
        assert_eq!(read(&["max-stale=10"]).max_stale, Some(10));
        assert_eq!(read(&["min-fresh=x"]).min_fresh, Some(MOST_SECONDS));
    }
}
