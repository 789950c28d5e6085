//! Groups of responses that are invalidated together (RFC 9875).

use http::{HeaderMap, HeaderName};

use crate::rules::fields::joined;
use crate::rules::structured::{Item, list};

/// The groups that a response belongs to: 2.
pub(crate) const CACHE_GROUPS: HeaderName = HeaderName::from_static("cache-groups");
/// The groups that the response to an unsafe request invalidates: 3.
pub(crate) const INVALIDATION: HeaderName = HeaderName::from_static("cache-group-invalidation");

/// Groups beyond this number are too many to keep.
pub(crate) const MOST: usize = 128;

/// The groups in a field, each once; none where it is no list of strings (2.1, 3.1).
pub(crate) fn named(headers: &HeaderMap, field: &HeaderName) -> Vec<String> {
    let members = joined(headers, field).and_then(|text| list(&text)).unwrap_or_default();
    let mut groups = Vec::new();
    for member in members {
        match member {
            Item::String(group) if !groups.contains(&group) => groups.push(group),
            Item::String(_) => {}
            _ => return Vec::new(),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::headers;

    #[test]
    fn a_table_of_groups() {
        for (lines, expected) in [
            (vec![("cache-groups", r#""a", "b""#)], vec!["a", "b"]), // 2
            (vec![("cache-groups", r#""a""#), ("cache-groups", r#""b", "a""#)], vec!["a", "b"]), // one list over lines
            (vec![("cache-groups", r#""a";x=1"#)], vec!["a"]), // 2: parameters are ignored
            (vec![("cache-groups", r#""a", b"#)], vec![]),     // 2: members are strings
            (vec![("cache-groups", r#""a" "b""#)], vec![]),
            (vec![("cache-group-invalidation", r#""a""#)], vec![]),
            (vec![], vec![]),
        ] {
            assert_eq!(named(&headers(&lines), &CACHE_GROUPS), expected, "{lines:?}");
        }
        assert_eq!(
            named(&headers(&[("cache-group-invalidation", r#""A""#)]), &INVALIDATION),
            ["A"],
            "3: case counts"
        );
    }
}
