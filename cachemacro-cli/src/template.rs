//! Templates of keys and tags, as attributes have them: what a key's parts are, and the tags that follow from them.

use std::collections::HashMap;
use std::fmt::Write as _;

/// A piece of a template.
#[derive(Debug, PartialEq)]
enum Piece {
    Text(String),
    /// A placeholder, by what is written in it.
    Hole(String),
}

/// A template in pieces; `None` where the text is none.
fn pieces(template: &str) -> Option<Vec<Piece>> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut chars = template.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '{' | '}' if chars.peek() == Some(&c) => {
                chars.next();
                text.push(c);
            }
            '{' => {
                if !text.is_empty() {
                    pieces.push(Piece::Text(std::mem::take(&mut text)));
                }
                let mut hole = String::new();
                loop {
                    match chars.next()? {
                        '}' => break,
                        c => hole.push(c),
                    }
                }
                pieces.push(Piece::Hole(hole));
            }
            '}' => return None,
            c => text.push(c),
        }
    }
    if !text.is_empty() {
        pieces.push(Piece::Text(text));
    }
    Some(pieces)
}

/// What two functions' tags are compared by: a template without the names of its placeholders, `org:{}`, or the name of an enum's variant,
/// `Of::Org`. `None` where another expression gives the tag.
pub(crate) fn shape(template: &str) -> Option<String> {
    if let Some(expression) = template.strip_prefix("= ") {
        return variant(expression).map(str::to_owned);
    }
    let piece = |piece: Piece| match piece {
        Piece::Text(text) => text,
        Piece::Hole(_) => "{}".to_owned(),
    };
    Some(pieces(template)?.into_iter().map(piece).collect())
}

/// The enum and the variant of an expression that makes one, as `tags::Of::Org(org)` does: `Of::Org`.
fn variant(expression: &str) -> Option<&str> {
    let path = expression.split(['(', '{']).next()?.trim_end();
    let is_name = |part: &str| {
        part.starts_with(char::is_uppercase) && part.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let (before, last) = path.rsplit_once("::")?;
    let of = before.rsplit("::").next()?;
    (is_name(of) && is_name(last)).then(|| &path[path.len() - of.len() - "::".len() - last.len()..])
}

/// Whether a tag's shape is a variant of an enum, whose text is not known here.
pub(crate) fn is_variant(shape: &str) -> bool {
    variant(shape) == Some(shape)
}

/// The values of a template's placeholders in a key, decoded.
pub(crate) type Parts = HashMap<String, String>;

/// The values of the template's placeholders in the key; `None` where the template cannot have given the key. A long key was cut, and ends
/// in a hash: no template gives it.
pub(crate) fn parts(template: &str, key: &str) -> Option<Parts> {
    if key.contains("%~") {
        return None;
    }
    let pieces = pieces(template)?;
    let mut rest = key;
    let mut parts = Parts::new();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => rest = rest.strip_prefix(encoded(text, &[':']).as_str())?,
            Piece::Hole(hole) => {
                // A value has the character encoded that follows it, and colons in any case.
                let end = match pieces.get(at + 1) {
                    Some(Piece::Text(text)) => rest.find(text.chars().next()?)?,
                    Some(Piece::Hole(_)) => return None,
                    None => rest.len(),
                };
                let (value, after) = rest.split_at(end);
                if value.contains(':') {
                    return None;
                }
                rest = after;
                let value = decoded(value)?;
                if parts.insert(hole.clone(), value.clone()).is_some_and(|other| other != value) {
                    return None;
                }
            }
        }
    }
    rest.is_empty().then_some(parts)
}

/// The tag that a template makes of these parts; `None` where it needs others.
pub(crate) fn tag(template: &str, parts: &Parts) -> Option<String> {
    if template.starts_with("= ") {
        return None;
    }
    let pieces = pieces(template)?;
    let mut tag = String::new();
    for (at, piece) in pieces.iter().enumerate() {
        match piece {
            Piece::Text(text) => tag.push_str(text),
            Piece::Hole(hole) => {
                let stop = match pieces.get(at + 1) {
                    Some(Piece::Text(text)) => text.chars().next(),
                    _ => None,
                };
                for c in parts.get(hole)?.chars() {
                    if Some(c) == stop {
                        encode(&mut tag, c);
                    } else {
                        tag.push_str(&encoded(c.encode_utf8(&mut [0; 4]), &[]));
                    }
                }
            }
        }
    }
    Some(tag)
}

fn encode(out: &mut String, c: char) {
    for byte in c.encode_utf8(&mut [0; 4]).bytes() {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Text encoded as in keys, except that the characters in `but` stay as they are.
fn encoded(text: &str, but: &[char]) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        let is_special = matches!(c, '%' | ':' | '{' | '}') || c.is_whitespace() || c.is_control();
        if is_special && !but.contains(&c) {
            encode(&mut out, c);
        } else {
            out.push(c);
        }
    }
    out
}

/// Decoded text of a key; `None` where it holds a mark, such as the one for `None`, or is not encoded well.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(more.get(..2)?).ok()?;
            bytes.push(u8::from_str_radix(digits, 16).ok()?);
            rest = &more[2..];
        } else {
            bytes.push(*first);
            rest = more;
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tags(key_template: &str, key: &str, tag_template: &str) -> Option<String> {
        tag(tag_template, &parts(key_template, key)?)
    }

    #[test]
    fn the_tags_of_a_key_follow_from_its_parts() {
        assert_eq!(tags("{org}:{id}", "3:7", "org:{org}").as_deref(), Some("org:3"));
        assert_eq!(tags("{org}:{id}", "a%3Ab:7", "org:{org}").as_deref(), Some("org:a%3Ab"));
        assert_eq!(
            tags("{a}-{b}", "x%2Dy-z", "{a}").as_deref(),
            Some("x-y"),
            "another stop, another encoding"
        );
        assert_eq!(tags("{a}", "x-y", "{a}-{a}").as_deref(), Some("x%2Dy-x-y"));
        assert_eq!(tags("all users", "all%20users", "users").as_deref(), Some("users"));
        assert_eq!(tags("{user.id}", "7", "user:{user.id}").as_deref(), Some("user:7"));
    }

    #[test]
    fn templates_are_alike_whatever_their_placeholders_are_called() {
        assert_eq!(shape("org:{org}"), shape("org:{user.org}"));
        assert_ne!(shape("org:{org}"), shape("orgs:{org}"));
        assert_eq!(shape("= tags(id)"), None);
        assert_eq!(shape("= tags::Of::Org(org)").as_deref(), Some("Of::Org"));
        assert_eq!(shape("= Of::Shelf { id }").as_deref(), Some("Of::Shelf"));
        assert_eq!(shape("= Of::Users").as_deref(), Some("Of::Users"));
        for other in ["= Some(x)", "= Vec::new()", "= String::from(x)", "= [Of::A, Of::B]", "= ::A", "="] {
            assert_eq!(shape(other).filter(|shape| is_variant(shape)), None, "{other}");
        }
        assert!(is_variant("Of::Org") && !is_variant("org:{}") && !is_variant("a Of::Org"));
    }

    #[test]
    fn what_does_not_fit_is_not_guessed() {
        assert_eq!(tags("{org}:{id}", "3", "org:{org}"), None);
        assert_eq!(tags("{org}:{id}", "3:7:9", "org:{org}"), None);
        assert_eq!(tags("{org}:{id}", "3:7", "org:{other}"), None);
        assert_eq!(tags("{id}", "%N", "{id}"), None, "a mark");
        assert_eq!(tags("{id}", "%~00112233445566778899aabbccddeeff", "{id}"), None, "cut");
        assert_eq!(tags("{id}", "7", "= some_tags(id)"), None);
        for hostile in ["{", "}", "{a", "%", "{a}{b}", "%Z1"] {
            let _ = tags(hostile, hostile, hostile);
            let _ = tags("{a}", hostile, "{a}");
        }
    }
}
