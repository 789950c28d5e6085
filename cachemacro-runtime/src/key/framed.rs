//! Keys that differ in one argument alone, the question: what all of them have in common.

use super::{Key, KeyBuilder};
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::panics::caught;
use crate::key::failure::KeyFailure;

/// The key of a function's call without its question, and how a question is written into it.
///
/// ```text
/// "{tenant}:{question}" of tenant 7   →   "faq:7:" ▢   →   the key of any question of that tenant, and of no other's
/// ```
#[derive(Debug, Clone)]
pub struct Framed {
    built: KeyBuilder,
    rooms: Vec<Room>,
}

/// Where a question is written, and how. No argument is captured, so that it is the same for all questions.
#[derive(Debug, Clone, Copy)]
struct Room {
    at: usize,
    /// Whether it is the first argument of a default key.
    first: bool,
    write: Write,
}

type Write = fn(&str, KeyBuilder) -> KeyBuilder;

impl Framed {
    /// What begins the key.
    pub const fn new(begin: KeyBuilder) -> Self {
        Self { built: begin, rooms: Vec::new() }
    }

    /// What comes next, the same for all questions.
    #[must_use]
    pub fn then(self, write: impl FnOnce(KeyBuilder) -> KeyBuilder) -> Self {
        Self { built: write(self.built), rooms: self.rooms }
    }

    /// The question comes next.
    #[must_use]
    pub fn question(mut self, write: Write) -> Self {
        let first = std::mem::take(&mut self.built.first);
        self.rooms.push(Room { at: self.built.text.len(), first, write });
        self
    }

    /// The key of this question.
    ///
    /// # Errors
    /// [`ErrorKind::Key`] where a part could not be written.
    pub(crate) fn key(&self, question: &str) -> Result<Key> {
        let (text, mut from) = (&self.built.text, 0);
        let mut key =
            KeyBuilder { text: String::with_capacity(text.len() + question.len()), ..self.built.clone() };
        for room in &self.rooms {
            key.text.push_str(&text[from..room.at]);
            from = room.at;
            key.first = room.first;
            key = caught(move || (room.write)(question, key)).ok_or_else(|| {
                Error::new(ErrorKind::Key, "the question cannot be a key").with_source(KeyFailure::Panicked)
            })?;
        }
        key.text.push_str(&text[from..]);
        key.finish()
    }

    /// All of the key but the question, injective: no encoded text has a zero byte. `None` where it could not be written.
    pub(crate) fn scope(&self) -> Option<String> {
        if self.built.failed.is_some() {
            return None;
        }
        let (text, mut from) = (&self.built.text, 0);
        let mut scope = String::with_capacity(text.len() + self.rooms.len());
        for room in &self.rooms {
            scope.push_str(&text[from..room.at]);
            scope.push('\0');
            from = room.at;
        }
        scope.push_str(&text[from..]);
        Some(scope)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn template(tenant: &str) -> Framed {
        Framed::new(KeyBuilder::new("faq"))
            .then(|key| key.display(tenant, Some(':')).literal(":"))
            .question(|question, key| key.display(&question.to_lowercase(), Some(':')))
            .then(|key| key.literal(":").display(&7, None))
    }

    #[test]
    fn a_framed_key_is_the_one_that_the_function_writes() {
        for (tenant, question) in
            [("a", "What?"), ("a:b", "a:b"), ("", ""), ("\0", "\0"), ("x", &"long ".repeat(90))]
        {
            let own = KeyBuilder::new("faq").display(tenant, Some(':')).literal(":");
            let own =
                own.display(&question.to_lowercase(), Some(':')).literal(":").display(&7, None).finish();
            assert_eq!(template(tenant).key(question).expect("text"), own.expect("text"));
        }
        for (before, after) in [(&[][..], &[][..]), (&["a"], &[]), (&[], &["b"]), (&["a", ""], &["b", "c"])] {
            let add = |key: KeyBuilder, args: &[&str]| args.iter().fold(key, |key, arg| key.arg(*arg));
            let own = add(add(KeyBuilder::new("p"), before).arg("q"), after).finish().expect("text");
            let framed = Framed::new(KeyBuilder::new("p")).then(|key| add(key, before));
            let framed = framed.question(|question, key| key.arg(question)).then(|key| add(key, after));
            assert_eq!(framed.key("q").expect("text"), own);
        }
    }

    #[test]
    fn scopes_differ_where_anything_but_the_question_does() {
        let scope = |tenant| template(tenant).scope().expect("text");
        assert_eq!(scope("a"), scope("a"));
        let around = |before: &'static str, after: &'static str| {
            let framed = Framed::new(KeyBuilder::new("p")).then(|key| key.literal(before));
            framed
                .question(|question, key| key.display(question, None))
                .then(|key| key.literal(after))
                .scope()
        };
        assert_ne!(around("ab", ""), around("a", "b"));
        assert_ne!(scope("a"), scope("b"));
        assert!(!scope("\0").contains("\0:\0"), "a zero byte of an argument is encoded");
    }

    #[test]
    fn a_question_that_cannot_be_written_is_an_error() {
        let framed =
            Framed::new(KeyBuilder::new("p")).question(|question, key| key.display(&question[..9], None));
        assert_eq!(framed.key("short").expect_err("too short").kind(), ErrorKind::Key);
        assert!(framed.key("long enough").is_ok());
    }
}
