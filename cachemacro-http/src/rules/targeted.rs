//! Cache directives for one cache or kind of caches: a dictionary of structured fields (RFC 9213; RFC 9651, 3.2).

use http::{HeaderMap, HeaderName};

use crate::rules::cache_control::CacheControl;
use crate::rules::fields::joined;
use crate::rules::structured::{Item, dictionary};

/// The directives in a target field; `None` where it is absent, empty or invalid as a whole (RFC 9213, 2.2).
pub(crate) fn directives(headers: &HeaderMap, name: &HeaderName) -> Option<CacheControl> {
    let members = dictionary(&joined(headers, name)?)?;
    if members.is_empty() {
        return None;
    }
    let written = members.iter().map(|(name, item)| as_directive(name, item)).collect::<Option<Vec<_>>>()?;
    Some(CacheControl::read(written.iter().filter(|directive| !directive.is_empty()).map(Vec::as_slice)))
}

/// As Cache-Control has it. RFC 9213, 2.1: a number that is no integer makes the field invalid; a flag of another type is no
/// flag, and is left out.
fn as_directive(name: &[u8], item: &Item) -> Option<Vec<u8>> {
    let takes_number =
        matches!(name, b"max-age" | b"s-maxage" | b"stale-while-revalidate" | b"stale-if-error");
    match item {
        Item::Integer(number) if takes_number => Some([name, b"=", number.to_string().as_bytes()].concat()),
        _ if takes_number => None,
        Item::True => Some(name.to_vec()),
        _ => Some(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(lines: &[&str]) -> Option<CacheControl> {
        let name = HeaderName::from_static("cdn-cache-control");
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(&name, line.parse().unwrap());
        }
        directives(&headers, &name)
    }

    #[test]
    fn a_dictionary_of_directives() {
        let says = read(&["max-age=60, no-store=?0", "must-revalidate;x=1, foobar"]).unwrap();
        assert_eq!((says.max_age, says.no_store, says.must_revalidate), (Some(60), false, true));
        assert_eq!(read(&["max-age=1, max-age=60"]).unwrap().max_age, Some(60), "RFC 9651, 4.2.2");
        assert!(read(&["private"]).unwrap().private);
        assert_eq!(read(&["max-age=-5"]).unwrap().max_age, Some(0));
        assert!(!read(&["no-store=\"x\""]).unwrap().no_store);
    }

    #[test]
    fn what_is_invalid_counts_as_absent() {
        for lines in [
            &["max-age=10000, &&&&&"][..],
            &["max-age=\"10000\""],
            &["max-age=1.5"],
            &["Max-Age=60"],
            &[""],
            &[],
            &["max-age=60,"],
            &["max-age=60 no-store"],
            &["max-age="],
            &["max-age=\"60"],
            &["no-store=?2"],
            &["max-age=9999999999999999"],
        ] {
            assert_eq!(read(lines), None, "{lines:?}");
        }
    }
}
