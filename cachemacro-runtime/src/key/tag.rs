//! Tags as generated code builds them from templates: the same encoding as in keys, without a prefix.

use std::fmt::{self, Debug};

use crate::key::KeyBuilder;
use crate::key::failure::KeyFailure;
use crate::key::part::Printed;

/// A tag, or why it could not be built. Then nothing is stored, and an evict has failed: the tag that was meant is not
/// known.
#[derive(Clone)]
pub struct Tag(Result<String, KeyFailure>);

// Tags may be secrets.
impl Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tag").field("built", &self.0.is_ok()).finish_non_exhaustive()
    }
}

impl From<String> for Tag {
    fn from(text: String) -> Self {
        Self(Ok(text))
    }
}

impl Tag {
    /// The tag as text.
    pub(crate) fn into_text(self) -> Result<String, KeyFailure> {
        self.0
    }
}

/// Builds a tag from a template.
#[derive(Clone)]
pub struct TagBuilder(KeyBuilder);

impl Debug for TagBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TagBuilder").finish_non_exhaustive()
    }
}

impl Default for TagBuilder {
    fn default() -> Self {
        Self::new()
    }
}

impl TagBuilder {
    /// An empty tag.
    pub const fn new() -> Self {
        Self(KeyBuilder::empty())
    }

    /// Literal text.
    #[must_use]
    pub fn literal(mut self, text: &str) -> Self {
        self.0.text.push_str(text);
        self
    }

    /// A placeholder printed with `Display`; see [`KeyBuilder::display`].
    #[must_use]
    pub fn display<T: Printed + ?Sized>(self, value: &T, stop: Option<char>) -> Self {
        Self(self.0.display(value, stop))
    }

    /// A placeholder printed with `Debug`; see [`KeyBuilder::debug`].
    #[must_use]
    pub fn debug<T: Debug + ?Sized>(self, value: &T, stop: Option<char>) -> Self {
        Self(self.0.debug(value, stop))
    }

    /// The tag.
    pub fn finish(self) -> Tag {
        Tag(self.0.failed.map_or(Ok(self.0.text), Err))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Unprintable;

    impl fmt::Display for Unprintable {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            Err(fmt::Error)
        }
    }

    #[test]
    fn a_tag_that_cannot_be_printed_is_no_text() {
        let tag = |id: &dyn fmt::Display| TagBuilder::new().literal("n:").display(&id, None).finish();
        assert_eq!(tag(&"a b").into_text(), Ok("n:a%20b".to_owned()));
        assert_eq!(tag(&Unprintable).into_text(), Err(fmt::Error.into()));
    }
}
