//! Structured fields (RFC 9651), as far as caches read them: dictionaries and lists of bare items with parameters.

/// A bare item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Item {
    True,
    False,
    Integer(i64),
    /// Without its quotes and escapes.
    String(String),
    /// A decimal, a token, bytes.
    Other,
}

/// The members of a dictionary in their order, the last of each name (4.2.2); `None` where it is none.
pub(crate) fn dictionary(text: &[u8]) -> Option<Vec<(Vec<u8>, Item)>> {
    let mut members: Vec<(Vec<u8>, Item)> = Vec::new();
    listed(text, |rest| {
        let name = key(rest)?;
        let item = if take(rest, b'=') { item(rest)? } else { Item::True };
        members.retain(|(known, _)| *known != name);
        members.push((name, item));
        Some(())
    })?;
    Some(members)
}

/// The members of a list of items (4.2.1); `None` where it is none.
pub(crate) fn list(text: &[u8]) -> Option<Vec<Item>> {
    let mut members = Vec::new();
    listed(text, |rest| {
        members.push(item(rest)?);
        Some(())
    })?;
    Some(members)
}

/// Members with commas between them, each with parameters that are passed over.
fn listed(text: &[u8], mut member: impl FnMut(&mut &[u8]) -> Option<()>) -> Option<()> {
    let mut rest = text.trim_ascii();
    if rest.is_empty() {
        return Some(());
    }
    loop {
        member(&mut rest)?;
        parameters(&mut rest)?;
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return Some(());
        }
        if !take(&mut rest, b',') {
            return None;
        }
        rest = rest.trim_ascii_start();
        if rest.is_empty() {
            return None;
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
        b'"' => string(rest),
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

/// A string (4.2.5): printable ASCII, with `\"` and `\\` for what ends it and what escapes.
fn string(rest: &mut &[u8]) -> Option<Item> {
    let mut text = String::new();
    let mut at = 1;
    loop {
        match rest.get(at).copied()? {
            b'"' => break,
            b'\\' => {
                at += 1;
                let escaped = rest.get(at).copied().filter(|byte| matches!(byte, b'"' | b'\\'))?;
                text.push(char::from(escaped));
            }
            byte @ 32..=126 => text.push(char::from(byte)),
            _ => return None,
        }
        at += 1;
    }
    *rest = &rest[at + 1..];
    Some(Item::String(text))
}

/// A list of strings as a field's value (4.1.1, 4.1.6), of those that are printable ASCII; `None` where there are none.
pub(crate) fn list_of_strings<'a>(texts: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let mut list = String::new();
    for text in texts {
        if !text.bytes().all(|byte| (32..127).contains(&byte)) {
            continue;
        }
        list.push_str(if list.is_empty() { "\"" } else { ", \"" });
        list.push_str(&text.replace('\\', "\\\\").replace('"', "\\\""));
        list.push('"');
    }
    (!list.is_empty()).then_some(list)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_of_strings_come_back() {
        let texts = ["a", "b c", "q\"u\\o"];
        let written = list_of_strings(texts).unwrap();
        assert_eq!(written, r#""a", "b c", "q\"u\\o""#);
        let strings: Vec<Item> = texts.iter().map(|text| Item::String((*text).to_owned())).collect();
        assert_eq!(list(written.as_bytes()), Some(strings));
        assert_eq!(list_of_strings(["\u{e9}"]), None, "no string of ASCII");
    }

    #[test]
    fn lists_have_items_and_parameters() {
        let one = |text: &str| Some(vec![Item::String(text.to_owned())]);
        for (text, expected) in [
            (r#""a""#, one("a")), // RFC 9651, 4.2.1
            (r#""a";x=1;y"#, one("a")),
            (r#"  "a"  "#, one("a")),
            ("", Some(vec![])),
            (r#""a", tok"#, Some(vec![Item::String("a".to_owned()), Item::Other])),
            (r#""a","#, None),
            (r#""a" "b""#, None),
            (r#""a"#, None),
            (r#""\a""#, None),
            ("(\"a\")", None), // an inner list
        ] {
            assert_eq!(list(text.as_bytes()), expected, "{text}");
        }
    }
}
