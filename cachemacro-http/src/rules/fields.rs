//! Lists in header fields: members between commas, across the lines of one name, with quoted strings kept whole. And how large a section of
//! fields is.

use http::{HeaderMap, HeaderName, HeaderValue};

/// Header sections and trailers of more bytes are not stored, and neither are the responses to such requests.
pub(crate) const MOST_SECTION_BYTES: usize = 32 << 10;

/// About how many bytes a line takes.
pub(crate) fn line_bytes(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + 4
}

/// About how many bytes a header section or trailers take.
pub(crate) fn section_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| line_bytes(name, value)).sum()
}

/// The members of a list field, without blanks around them and without empty ones (RFC 9110, 5.6.1). A comma inside a quoted
/// string separates nothing.
pub(crate) fn members<'a>(
    headers: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a [u8]> + use<'a> {
    headers
        .get_all(name)
        .iter()
        .flat_map(|line| split(line.as_bytes(), b','))
        .filter(|member| !member.is_empty())
}

/// The parts between `separator`, trimmed, where it is not inside a quoted string.
pub(crate) fn split(line: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(line);
    std::iter::from_fn(move || {
        let all = rest?;
        let (mut quoted, mut escaped) = (false, false);
        let end = all.iter().position(|&byte| {
            if escaped {
                escaped = false;
            } else if quoted && byte == b'\\' {
                escaped = true;
            } else if byte == b'"' {
                quoted = !quoted;
            } else if byte == separator && !quoted {
                return true;
            }
            false
        });
        rest = end.map(|end| &all[end + 1..]);
        let part = end.map_or(all, |end| &all[..end]);
        Some(part.trim_ascii())
    })
}

/// A member's name and its value, without the quotes of a quoted string.
pub(crate) fn name_and_value(member: &[u8]) -> (&[u8], Option<&[u8]>) {
    match member.iter().position(|&byte| byte == b'=') {
        None => (member, None),
        Some(at) => {
            let value = member[at + 1..].trim_ascii();
            (member[..at].trim_ascii(), Some(unquoted(value).unwrap_or(value)))
        }
    }
}

/// What is between the quotes, if it is a quoted string; escapes stay as they are.
pub(crate) fn unquoted(value: &[u8]) -> Option<&[u8]> {
    value.strip_prefix(b"\"")?.strip_suffix(b"\"")
}

/// All lines of a field joined by `, `; `None` where there is none (RFC 9110, 5.3).
pub(crate) fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<Vec<u8>> {
    let mut lines = headers.get_all(name).iter();
    let mut joined = lines.next()?.as_bytes().to_vec();
    for line in lines {
        joined.extend_from_slice(b", ");
        joined.extend_from_slice(line.as_bytes());
    }
    Some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::VARY;

    #[test]
    fn a_comma_in_a_quoted_string_separates_nothing() {
        let parts = |line: &'static str| split(line.as_bytes(), b',').collect::<Vec<_>>();
        assert_eq!(parts("a, b"), [b"a", b"b"]);
        assert_eq!(parts(r#"a="x, y", b"#), [&br#"a="x, y""#[..], b"b"]);
        assert_eq!(parts(r#"a="x\", y", b"#), [&br#"a="x\", y""#[..], b"b"]);
        assert_eq!(parts(r#"a="open, b"#), [&br#"a="open, b"#[..]]);
    }

    #[test]
    fn lines_of_one_name_are_one_list() {
        let mut headers = HeaderMap::new();
        for line in ["a,, b", "", " c "] {
            headers.append(VARY, line.parse().unwrap());
        }
        assert!(members(&headers, &VARY).eq([b"a", b"b", b"c"]));
        assert_eq!(joined(&headers, &VARY).unwrap(), b"a,, b, ,  c ");
    }
}
