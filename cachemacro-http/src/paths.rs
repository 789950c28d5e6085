//! Cache-Control by prefix of the path.

use http::HeaderValue;

/// Prefixes of paths, and the Cache-Control of what is under each.
#[derive(Debug, Clone, Default)]
pub(crate) struct Paths(Vec<(String, HeaderValue)>);

impl Paths {
    /// Adds a prefix. A slash at its end changes nothing.
    ///
    /// # Panics
    /// Where the prefix does not begin with a slash, or the text cannot be the value of a header field. Services are built when a program
    /// starts, so it panics then.
    #[track_caller]
    pub(crate) fn add(&mut self, prefix: &str, says: &str) {
        assert!(prefix.starts_with('/'), "the path {prefix:?} needs a slash at its beginning");
        let Ok(says) = HeaderValue::from_str(says) else { panic!("{says:?} is no value of Cache-Control") };
        self.0.push((prefix.trim_end_matches('/').to_owned(), says));
        // The longest first.
        self.0.sort_by_key(|(prefix, _)| std::cmp::Reverse(prefix.len()));
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The Cache-Control of the longest prefix of this path that ends where one of its segments does.
    pub(crate) fn of(&self, path: &str) -> Option<&HeaderValue> {
        let is_within = |prefix: &str| {
            path.strip_prefix(prefix).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        self.0.iter().find(|(prefix, _)| is_within(prefix)).map(|(_, says)| says)
    }
}

/// The same Cache-Control with `private`, for a response that is one user's.
pub(crate) fn for_one_user(says: &HeaderValue) -> HeaderValue {
    let text = says.to_str().unwrap_or_default();
    let kept = text.split(',').map(str::trim).filter(|directive| {
        let name = directive.split('=').next().unwrap_or_default().trim().to_ascii_lowercase();
        !name.is_empty() && !["public", "private", "s-maxage"].contains(&name.as_str())
    });
    let text = std::iter::once("private").chain(kept).collect::<Vec<_>>().join(", ");
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("private"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_prefix_counts_that_ends_with_a_segment() {
        let mut paths = Paths::default();
        for (prefix, says) in [("/api", "a"), ("/api/v1/", "b"), ("/api/v1/users", "c")] {
            paths.add(prefix, says);
        }
        let of = |path: &str| paths.of(path).map(|says| says.to_str().unwrap());
        for (path, says) in [
            ("/api", Some("a")),
            ("/api/v2", Some("a")),
            ("/api/v1", Some("b")),
            ("/api/v1/teas", Some("b")),
            ("/api/v1/users/7", Some("c")),
            ("/api/v1/users-of", Some("b")),
            ("/apis", None),
            ("/", None),
        ] {
            assert_eq!(of(path), says, "{path}");
        }
        paths.add("/", "all");
        assert_eq!(paths.of("/apis").unwrap(), "all");
    }

    #[test]
    fn what_one_user_gets_is_nobody_else_s() {
        let says = |text: &'static str| for_one_user(&HeaderValue::from_static(text));
        assert_eq!(says("public, max-age=300"), "private, max-age=300");
        assert_eq!(says("Public, S-MaxAge=60, no-cache"), "private, no-cache");
        assert_eq!(says(""), "private");
    }
}
