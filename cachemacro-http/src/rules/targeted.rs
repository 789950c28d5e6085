//! Cache directives for one cache or kind of caches: a dictionary of structured fields (RFC 9213; RFC 9651, 3.2).

use http::{HeaderMap, HeaderName};

use crate::rules::cache_control::CacheControl;
use crate::rules::fields::joined;

/// The directives in a target field; `None` where it is absent, empty or invalid as a whole (RFC 9213, 2.2).
pub(crate) fn directives(headers: &HeaderMap, name: &HeaderName) -> Option<CacheControl> {
    let text = joined(headers, name)?;
    let mut rest = text.trim_ascii();
    if rest.is_empty() {
        return None;
    }
    let mut members: Vec<(Vec<u8>, Item)> = Vec::new();
    loop {
        let name = key(&mut rest)?;
        let item = if take(&mut rest, b'=') { item(&mut rest)? } else { Item::True };
        parameters(&mut rest)?;
        // 4.2.2: of two of one name the last counts.
        members.retain(|(known, _)| *known != name);
        members.push((name, item));
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            break;
        }
        if !take(&mut rest, b',') {
            return None;
        }
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return None;
        }
    }
    let written =
        members.into_iter().map(|(name, item)| item.as_directive(&name)).collect::<Option<Vec<_>>>()?;
    Some(CacheControl::read(written.iter().filter(|directive| !directive.is_empty()).map(Vec::as_slice)))
}

/// A value of a dictionary.
enum Item {
    True,
    False,
    Integer(i64),
    /// Of a type that no directive has.
    Other,
}

impl Item {
    /// As Cache-Control has it. RFC 9213, 2.1: a number that is no integer makes the field invalid; a flag of another type is no
    /// flag, and is left out.
    fn as_directive(&self, name: &[u8]) -> Option<Vec<u8>> {
        let takes_number =
            matches!(name, b"max-age" | b"s-maxage" | b"stale-while-revalidate" | b"stale-if-error");
        match self {
            Self::Integer(number) if takes_number => {
                Some([name, b"=", number.to_string().as_bytes()].concat())
            }
            _ if takes_number => None,
            Self::True => Some(name.to_vec()),
            _ => Some(Vec::new()),
        }
    }
}

fn take(rest: &mut &[u8], byte: u8) -> bool {
    match rest.split_first() {
        Some((first, others)) if *first == byte => {
            *rest = others;
            true
        }
        _ => false,
    }
}

/// The bytes at the beginning for which `is` holds.
fn run<'a>(rest: &mut &'a [u8], is: impl Fn(u8) -> bool) -> &'a [u8] {
    let end = rest.iter().position(|byte| !is(*byte)).unwrap_or(rest.len());
    let (run, others) = rest.split_at(end);
    *rest = others;
    run
}

fn key(rest: &mut &[u8]) -> Option<Vec<u8>> {
    let first = rest.first().copied()?;
    if !first.is_ascii_lowercase() && first != b'*' {
        return None;
    }
    let is = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"_-.*".contains(&byte);
    Some(run(rest, is).to_vec())
}

/// `;name=value`, any number of them.
fn parameters(rest: &mut &[u8]) -> Option<()> {
    while take(rest, b';') {
        *rest = rest.trim_ascii_start();
        key(rest)?;
        if take(rest, b'=') {
            item(rest)?;
        }
    }
    Some(())
}

fn item(rest: &mut &[u8]) -> Option<Item> {
    match rest.first().copied()? {
        b'?' => {
            *rest = &rest[1..];
            match run(rest, |byte| byte.is_ascii_digit()) {
                b"1" => Some(Item::True),
                b"0" => Some(Item::False),
                _ => None,
            }
        }
        b'"' => {
            let mut escaped = false;
            let end = rest.iter().skip(1).position(|&byte| {
                let ends = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                ends
            })?;
            if rest[1..=end].iter().any(|byte| !(32..127).contains(byte)) {
                return None;
            }
            *rest = &rest[end + 2..];
            Some(Item::Other)
        }
        b'-' | b'0'..=b'9' => {
            let negative = take(rest, b'-');
            let digits = run(rest, |byte| byte.is_ascii_digit());
            if digits.is_empty() || digits.len() > 15 {
                return None;
            }
            if take(rest, b'.') {
                let decimals = run(rest, |byte| byte.is_ascii_digit());
                return (!decimals.is_empty() && decimals.len() <= 3).then_some(Item::Other);
            }
            let number: i64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
            Some(Item::Integer(if negative { -number } else { number }))
        }
        b':' => {
            *rest = &rest[1..];
            run(rest, |byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte));
            take(rest, b':').then_some(Item::Other)
        }
        first if first.is_ascii_alphabetic() || first == b'*' => {
            run(rest, |byte| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~:/".contains(&byte));
            Some(Item::Other)
        }
        _ => None,
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
