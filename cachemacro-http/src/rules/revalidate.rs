//! Asking the origin whether a stored response still holds, and what its answer does to it (4.3, 3.2).

use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, ETAG, IF_MATCH, IF_MODIFIED_SINCE, IF_NONE_MATCH,
    IF_RANGE, IF_UNMODIFIED_SINCE, LAST_MODIFIED, RANGE,
};
use http::{HeaderMap, HeaderName};

use crate::rules::hop::is_of_connection;

/// The fields that make a request conditional, or ask for a part.
const CONDITIONS: [HeaderName; 6] =
    [IF_MATCH, IF_NONE_MATCH, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, IF_RANGE, RANGE];

/// Makes a request ask for the whole, whatever the client has.
pub(crate) fn ask_for_all(request: &mut HeaderMap) {
    for name in &CONDITIONS {
        request.remove(name);
    }
}

/// Makes a request ask whether the stored response still holds; tells whether it can be asked (4.3.1).
pub(crate) fn ask_about(request: &mut HeaderMap, stored: &HeaderMap) -> bool {
    ask_for_all(request);
    let mut asks = false;
    for (from, to) in [(ETAG, IF_NONE_MATCH), (LAST_MODIFIED, IF_MODIFIED_SINCE)] {
        if let Some(validator) = stored.get(from) {
            request.insert(to, validator.clone());
            asks = true;
        }
    }
    asks
}

/// Updates the fields of a stored response with those of a 304 or of a HEAD (3.2): each that is there replaces all of its name,
/// except what tells of the body, which stays.
pub(crate) fn update(stored: &mut HeaderMap, newer: &HeaderMap) {
    let kept = |name: &HeaderName| {
        is_of_connection(name) || [CONTENT_LENGTH, CONTENT_ENCODING, CONTENT_RANGE].contains(name)
    };
    for name in newer.keys().filter(|name| !kept(name)) {
        stored.remove(name);
        for value in newer.get_all(name) {
            stored.append(name.clone(), value.clone());
        }
    }
}

/// Whether a 304 is about what is stored: the validators that it brings are those (4.3.3, 4.3.4).
pub(crate) fn is_about(stored: &HeaderMap, newer: &HeaderMap) -> bool {
    let same = |name: HeaderName| newer.get(&name).is_none_or(|value| stored.get(&name) == Some(value));
    if newer.contains_key(ETAG) { same(ETAG) } else { same(LAST_MODIFIED) }
}

/// Whether a response tells by a validator what it is about.
pub(crate) fn has_validator(newer: &HeaderMap) -> bool {
    newer.contains_key(ETAG) || newer.contains_key(LAST_MODIFIED)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::tests::headers;

    #[test]
    fn a_question_has_the_stored_validators_alone() {
        let mut request =
            headers(&[("if-none-match", "\"client\""), ("range", "bytes=0-1"), ("accept", "*/*")]);
        assert!(ask_about(&mut request, &headers(&[("etag", "\"a\""), ("last-modified", "then")])));
        let asked = headers(&[("accept", "*/*"), ("if-none-match", "\"a\""), ("if-modified-since", "then")]);
        assert_eq!(request, asked, "4.3.1");
        assert!(!ask_about(&mut request, &HeaderMap::new()));
        assert_eq!(request, headers(&[("accept", "*/*")]));
    }

    #[test]
    fn a_304_replaces_what_it_brings() {
        let mut stored = headers(&[("a", "1"), ("a", "2"), ("b", "1"), ("content-length", "36")]);
        update(
            &mut stored,
            &headers(&[("a", "3"), ("content-length", "10"), ("connection", "x"), ("c", "4")]),
        );
        assert_eq!(stored, headers(&[("a", "3"), ("b", "1"), ("content-length", "36"), ("c", "4")]), "3.2");
    }

    #[test]
    fn a_304_about_another_response_updates_nothing() {
        let stored = headers(&[("etag", "\"a\""), ("last-modified", "then")]);
        assert!(is_about(&stored, &headers(&[("etag", "\"a\"")])));
        assert!(is_about(&stored, &HeaderMap::new()));
        assert!(!is_about(&stored, &headers(&[("etag", "\"b\"")])), "4.3.3");
        assert!(!is_about(&stored, &headers(&[("last-modified", "now")])));
    }
}
