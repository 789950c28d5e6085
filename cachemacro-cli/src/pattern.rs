//! Patterns that keys and values are matched with.

use regex_lite::Regex;

use crate::failure::Failure;
use crate::text;

/// A pattern.
#[derive(Debug)]
pub(crate) enum Pattern {
    /// A glob with `*` and `?`, which must fit the whole text.
    Glob(String),
    /// Text that must occur somewhere in the text.
    Text(String),
    /// A regular expression that must fit a part of the text.
    Regex(Regex),
}

impl Pattern {
    /// A glob where it has `*` or `?`, else text.
    pub(crate) fn new(pattern: &str) -> Self {
        let pattern = pattern.to_owned();
        if pattern.contains(['*', '?']) { Self::Glob(pattern) } else { Self::Text(pattern) }
    }

    pub(crate) fn regex(pattern: &str) -> Result<Self, Failure> {
        let wrong = |error| Failure::Usage(format!("`{}`: {error}", text::shown(pattern)));
        Regex::new(pattern).map(Self::Regex).map_err(wrong)
    }

    pub(crate) fn fits(&self, text: &str) -> bool {
        match self {
            Self::Glob(glob) => matches_glob(glob, text),
            Self::Text(part) => text.contains(part.as_str()),
            Self::Regex(regex) => regex.is_match(text),
        }
    }
}

/// Whether all of a text fits a glob.
fn matches_glob(pattern: &str, key: &str) -> bool {
    let (pattern, key): (Vec<char>, Vec<char>) = (pattern.chars().collect(), key.chars().collect());
    let (mut at, mut of, mut star) = (0, 0, None);
    // Where the rest does not fit, the last star is tried again with one character more.
    while at < key.len() {
        match pattern.get(of) {
            Some('*') => {
                star = Some((of, at));
                of += 1;
            }
            Some(c) if *c == '?' || *c == key[at] => (at, of) = (at + 1, of + 1),
            _ => match star {
                Some((back, taken)) => {
                    star = Some((back, taken + 1));
                    (at, of) = (taken + 1, back + 1);
                }
                None => return false,
            },
        }
    }
    pattern[of..].iter().all(|c| *c == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_globs_or_text_that_occurs() {
        for (pattern, key, is) in [
            ("ser:7", "user:7", true),
            ("user", "page:1", false),
            ("user:*", "user:7", true),
            ("user:?", "user:77", false),
            ("*:7", "user:3:7", true),
            ("*:7*", "user:3:71:9", true),
            ("u*r:*7", "user:1:8", false),
            ("*", "", true),
            ("**a**", "bab", true),
        ] {
            assert_eq!(Pattern::new(pattern).fits(key), is, "{pattern} {key}");
        }
        let many = "*a".repeat(40) + "b";
        assert!(
            !Pattern::new(&many).fits(&"a".repeat(2_000)),
            "and it takes no time that grows with the stars"
        );
        assert!(Pattern::regex(r"^user:\d+$").expect("a regex").fits("user:77"));
        assert!(!Pattern::regex(r"^user:\d+$").expect("a regex").fits("user:x"));
        assert!(matches!(Pattern::regex("(\u{1b}"), Err(Failure::Usage(_))));
    }
}
