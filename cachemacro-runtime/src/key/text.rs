//! How text stands in a key: encoded so that nothing is ambiguous, and cut so that nothing is too long.

use std::fmt::{self, Write as _};

use sha2::{Digest, Sha256};

/// Longest key, in bytes, without namespace; a longer one keeps its beginning and ends in a hash.
pub(super) const MAX_KEY: usize = 200;
/// What of a longer key is kept.
pub(super) const KEPT: usize = MAX_KEY - 2 - 32;

/// Whether interpolated text may not contain `c` as it is.
fn is_special(c: char) -> bool {
    matches!(c, '%' | ':' | '{' | '}') || c.is_whitespace() || c.is_control()
}

pub(super) fn write_encoded(out: &mut String, c: char) {
    let mut buffer = [0; 4];
    for byte in c.encode_utf8(&mut buffer).bytes() {
        let _ = write!(out, "%{byte:02X}");
    }
}

/// Whether text may contain this byte as it is, looking at nothing else.
const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'%' | b':' | b'{' | b'}')
}

pub(super) fn write_text(out: &mut String, text: &str, stop: Option<char>) {
    write_where(out, text, |byte| Some(char::from(byte)) != stop, |c| !is_special(c) && Some(c) != stop);
}

/// Literal text of a template keeps its colons; what would clash with marks or cluster hash tags is encoded.
pub(super) fn write_literal(out: &mut String, text: &str) {
    write_where(out, text, |_| true, |c| !is_special(c) || c == ':');
}

/// Copies runs of plain bytes that may stay as they are, and looks at what is between them one by one.
fn write_where(out: &mut String, text: &str, stays: impl Fn(u8) -> bool, may_stand: impl Fn(char) -> bool) {
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.bytes().position(|byte| !is_plain(byte) || !stays(byte)).unwrap_or(rest.len());
        let (plain, others) = rest.split_at(run);
        out.push_str(plain);
        let mut others = others.chars();
        if let Some(c) = others.next() {
            if may_stand(c) { out.push(c) } else { write_encoded(out, c) }
        }
        rest = others.as_str();
    }
}

/// What an argument prints, encoded; fails where it does.
pub(super) fn write_formatted(out: &mut String, text: fmt::Arguments<'_>, stop: Option<char>) -> fmt::Result {
    struct Encoder<'a>(&'a mut String, Option<char>);
    impl fmt::Write for Encoder<'_> {
        fn write_str(&mut self, text: &str) -> fmt::Result {
            write_text(self.0, text, self.1);
            Ok(())
        }
    }
    Encoder(out, stop).write_fmt(text)
}

/// Cuts text to so many bytes at most, between characters.
pub(super) fn cut(text: &mut String, most: usize) {
    text.truncate(beginning(text, most).len());
}

/// The beginning of text, of so many bytes at most, up to a whole character.
pub(super) fn beginning(text: &str, most: usize) -> &str {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

/// What stands behind the beginning of a key that was cut, and nowhere else: each other `%` has digits behind it.
pub(super) const CUT: &str = "%~";

pub(super) fn shorten(text: String) -> String {
    if text.len() <= MAX_KEY {
        return text;
    }
    let digest = Sha256::digest(text.as_bytes());
    let mut short = text;
    cut(&mut short, KEPT);
    short.push_str(CUT);
    for byte in &digest[..16] {
        let _ = write!(short, "{byte:02x}");
    }
    short
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    /// Each character by itself.
    fn one_by_one(text: &str, is_encoded: impl Fn(char) -> bool) -> String {
        written(|out| {
            for c in text.chars() {
                if is_encoded(c) { write_encoded(out, c) } else { out.push(c) }
            }
        })
    }

    proptest! {
        #[test]
        fn runs_of_plain_characters_are_written_like_each_of_them(
            text in "[-a:%{} é\u{0}𝄞]{0,20}|\\PC{0,20}",
            stop in prop_oneof![Just(None), Just(Some('-')), Just(Some('é')), Just(Some('a'))],
        ) {
            let encoded = one_by_one(&text, |c| is_special(c) || Some(c) == stop);
            prop_assert_eq!(written(|out| write_text(out, &text, stop)), encoded);
            let encoded = one_by_one(&text, |c| is_special(c) && c != ':');
            prop_assert_eq!(written(|out| write_literal(out, &text)), encoded);
        }
    }
}
