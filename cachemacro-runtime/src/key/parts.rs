//! Arguments that are hashed, and compared with what was written of others, without being written themselves.
//!
//! Each part tells its own length or kind; printed text, whose length nobody knows before, ends with
//! a byte that no text contains. So equal bytes of one function are equal parts, and comparing is exact (G8).

use std::any::type_name;
use std::fmt::{self, Debug, Write as _};
use std::hash::{BuildHasher, Hasher as _};

use foldhash::fast::{FoldHasher, RandomState};

use crate::key::compact::{CompactKey, Sink, feed};
use crate::key::part::{KeyPart, Printed};

/// Ends printed text: no byte of UTF-8.
const END_OF_TEXT: u8 = 0xFF;
/// Printed text is hashed in pieces of so many bytes, whatever pieces it was printed in.
const PIECE: usize = 64;

/// The arguments of one call on their way into a hash, past other arguments, or into bytes; what generated code calls.
pub struct Parts<'a> {
    to: To<'a>,
    failed: bool,
}

enum To<'a> {
    Hash(FoldHasher<'a>),
    /// What is left of the other arguments, as long as all before was equal.
    Compare(Option<&'a [u8]>),
    Write(Vec<u8>),
    Keep(&'a mut CompactKey),
}

impl Debug for Parts<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Parts").finish_non_exhaustive()
    }
}

/// The hash of what `write` writes; `None` where a part could not be written.
#[inline]
pub(crate) fn hash(state: &RandomState, write: impl Fn(&mut Parts<'_>)) -> Option<u64> {
    let mut parts = Parts { to: To::Hash(state.build_hasher()), failed: false };
    write(&mut parts);
    match parts.to {
        To::Hash(hasher) if !parts.failed => Some(hasher.finish()),
        _ => None,
    }
}

/// Whether `write` writes these bytes.
#[inline]
pub(crate) fn equal(bytes: &[u8], write: impl Fn(&mut Parts<'_>)) -> bool {
    let mut parts = Parts { to: To::Compare(Some(bytes)), failed: false };
    write(&mut parts);
    matches!(parts.to, To::Compare(Some([]))) && !parts.failed
}

/// The bytes that `write` writes; `None` where a part could not be written.
pub(crate) fn written(write: impl Fn(&mut Parts<'_>)) -> Option<Vec<u8>> {
    let mut parts = Parts { to: To::Write(Vec::with_capacity(40)), failed: false };
    write(&mut parts);
    match parts.to {
        To::Write(bytes) if !parts.failed => Some(bytes),
        _ => None,
    }
}

/// Adds the bytes that `write` writes to `key`; false where a part could not be written.
#[inline]
pub(crate) fn keep(key: &mut CompactKey, write: impl Fn(&mut Parts<'_>)) -> bool {
    let mut parts = Parts { to: To::Keep(key), failed: false };
    write(&mut parts);
    !parts.failed
}

impl Parts<'_> {
    /// A number that tells a cache from all others.
    #[inline]
    pub(crate) fn cache(&mut self, number: u64) {
        self.word(number);
    }

    /// A number that tells one function from all others, and the names of the types that `_inside`, a closure in it, was
    /// instantiated with. The address of a name stands for it: one address and length never have two names.
    #[inline]
    pub(crate) fn function<F>(&mut self, number: u64, _inside: &F) {
        let name = type_name::<F>();
        self.word(number);
        self.word(name.as_ptr() as usize as u64);
        self.word(name.len() as u64);
    }

    /// A placeholder printed with `Display`.
    #[inline]
    pub fn display<T: Printed + ?Sized>(&mut self, value: &T) {
        self.print(format_args!("{value}"));
    }

    /// A placeholder printed with `Debug`.
    #[inline]
    pub fn debug<T: Debug + ?Sized>(&mut self, value: &T) {
        self.print(format_args!("{value:?}"));
    }

    /// An argument, as serde sees it.
    #[inline]
    pub fn arg<T: KeyPart + ?Sized>(&mut self, value: &T) {
        if feed(self, value).is_err() {
            self.failed = true;
        }
    }

    fn print(&mut self, text: fmt::Arguments<'_>) {
        let mut pieces = Pieces { parts: self, piece: [0; PIECE], length: 0 };
        let done = pieces.write_fmt(text);
        pieces.flush();
        self.failed |= done.is_err();
        self.byte(END_OF_TEXT);
    }
}

impl Sink for Parts<'_> {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        match &mut self.to {
            To::Hash(hasher) => hasher.write(bytes),
            To::Compare(rest) => *rest = rest.and_then(|rest| rest.strip_prefix(bytes)),
            To::Write(all) => all.extend_from_slice(bytes),
            To::Keep(key) => key.push(bytes),
        }
    }

    #[inline]
    fn byte(&mut self, byte: u8) {
        match &mut self.to {
            To::Hash(hasher) => hasher.write_u8(byte),
            To::Compare(rest) => {
                *rest = rest.and_then(|rest| {
                    let (first, rest) = rest.split_first()?;
                    (*first == byte).then_some(rest)
                });
            }
            To::Write(all) => all.push(byte),
            To::Keep(key) => key.byte(byte),
        }
    }

    #[inline]
    fn word(&mut self, word: u64) {
        match &mut self.to {
            To::Hash(hasher) => hasher.write_u64(word),
            To::Compare(rest) => {
                *rest = rest.and_then(|rest| {
                    let (first, rest) = rest.split_first_chunk()?;
                    (u64::from_le_bytes(*first) == word).then_some(rest)
                });
            }
            To::Write(all) => all.extend_from_slice(&word.to_le_bytes()),
            To::Keep(key) => key.word(word),
        }
    }
}

/// Printed text in pieces that depend on the text alone.
struct Pieces<'p, 'a> {
    parts: &'p mut Parts<'a>,
    piece: [u8; PIECE],
    length: usize,
}

impl Pieces<'_, '_> {
    fn flush(&mut self) {
        self.parts.push(&self.piece[..self.length]);
        self.length = 0;
    }
}

impl fmt::Write for Pieces<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut left = text.as_bytes();
        while !left.is_empty() {
            let (now, later) = left.split_at(left.len().min(PIECE - self.length));
            self.piece[self.length..self.length + now.len()].copy_from_slice(now);
            self.length += now.len();
            left = later;
            if self.length == PIECE {
                self.flush();
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Display;

    use proptest::prelude::*;

    use super::*;

    fn same(one: impl Fn(&mut Parts<'_>), other: impl Fn(&mut Parts<'_>)) -> bool {
        let state = RandomState::default();
        let bytes = written(&one).expect("can be written");
        let equal = equal(&bytes, &other);
        if equal {
            assert_eq!(hash(&state, &one), hash(&state, &other), "what is equal has one hash");
            assert_eq!(written(&other).as_deref(), Some(&*bytes));
        }
        equal
    }

    proptest! {
        #[test]
        fn equal_parts_are_equal_arguments(
            a in ".{0,80}", b in ".{0,80}", c in ".{0,80}", d in ".{0,80}", n in 0..3_u64, m in 0..3_i32, list in proptest::collection::vec("[a:]{0,2}", 0..3),
        ) {
            let one = |to: &mut Parts<'_>| { to.display(&a); to.arg(&n); to.debug(&b); to.arg(&(m, &list)); to.arg(&a); };
            prop_assert!(same(one, one));
            prop_assert_eq!(same(one, |to| { to.display(&c); to.arg(&n); to.debug(&d); to.arg(&(m, &list)); to.arg(&a); }), (&a, &b) == (&c, &d));
            let next = same(one, |to| { to.display(&a); to.arg(&(n + 1)); to.debug(&b); to.arg(&(m, &list)); to.arg(&a); });
            prop_assert!(!next);
            let moved = format!("{a}{c}");
            prop_assert_eq!(same(|to| { to.display(&a); to.display(&c); }, |to| { to.display(&moved); to.display(""); }), c.is_empty());
        }
    }

    #[test]
    fn text_is_the_same_in_whatever_pieces_it_is_printed() {
        struct InPieces<'a>(&'a str, usize);
        impl Display for InPieces<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0[..self.1])?;
                f.write_str(&self.0[self.1..])
            }
        }
        let text = "x".repeat(3 * PIECE / 2);
        for at in [0, 1, PIECE - 1, PIECE, PIECE + 1] {
            assert!(same(|to| to.display(&text), |to| to.display(&InPieces(&text, at))));
        }
    }

    #[test]
    fn a_part_that_cannot_be_written_is_no_key() {
        struct Broken;
        impl Display for Broken {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        assert!(written(|to| to.display(&Broken)).is_none());
        assert!(hash(&RandomState::default(), |to| to.display(&Broken)).is_none());
        let before = written(|to| to.display("")).expect("text can be written");
        assert!(!equal(&before, |to| to.display(&Broken)));
    }

    #[test]
    fn instances_of_a_function_differ() {
        fn of<T>(value: u64) -> Vec<u8> {
            written(|to| {
                to.function(7, &|| size_of::<T>());
                to.arg(&value);
            })
            .expect("a number can be written")
        }
        assert_eq!(of::<u8>(1), of::<u8>(1));
        assert_ne!(of::<u8>(1), of::<u16>(1));
    }
}
