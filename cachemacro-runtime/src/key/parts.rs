//! Arguments that are hashed, and compared with what was written of others, without being written themselves.
//!
//! Each part tells its own length or kind; printed text, whose length nobody knows before, ends with
//! a byte that no text contains. So equal bytes of one function are equal parts, and comparing is exact (G8).
//!
//! Parts are a list by type, so that hashing and comparing them are code of their own each, without a branch on which it is.

#![expect(clippy::inline_always, reason = "a hit is one function, in which the parts of its key are known")]

use std::any::type_name;
use std::fmt::{self, Debug, Write as _};
use std::hash::{BuildHasher, Hasher as _};

use foldhash::fast::{FoldHasher, RandomState};

use crate::key::compact::{Sink, feed};
use crate::key::part::{KeyPart, Printed};

/// Ends printed text: no byte of UTF-8.
const END_OF_TEXT: u8 = 0xFF;
/// Printed text is hashed in pieces of so many bytes, whatever pieces it was printed in.
const PIECE: usize = 64;

/// The arguments of one call, one after the other; what generated code makes.
pub trait Parts: Sized {
    /// Writes them; false where one could not be written.
    fn write<S: Sink>(&self, to: &mut S) -> bool;
}

/// What adds a part. Not of the trait, so that generated code need not import it.
macro_rules! more_parts {
    ($([$($generics:tt)*] $parts:ty;)+) => {$(
        impl<$($generics)*> $parts {
            /// With a placeholder printed with `Display`.
            #[inline]
            pub fn display<T: Printed + ?Sized>(self, value: &T) -> With<Self, Shown<'_, T>> {
                With(self, Shown(value))
            }

            /// With a placeholder printed with `Debug`.
            #[inline]
            pub fn debug<T: Debug + ?Sized>(self, value: &T) -> With<Self, Debugged<'_, T>> {
                With(self, Debugged(value))
            }

            /// With an argument, as serde sees it.
            #[inline]
            pub fn arg<T: KeyPart + ?Sized>(self, value: &T) -> With<Self, Argument<'_, T>> {
                With(self, Argument(value))
            }
        }
    )+};
}

more_parts! {
    [] Of;
    [P, L] With<P, L>;
}

/// The parts of a call in one cache of several.
pub(crate) struct Within<'a, P> {
    /// Tells the cache from all others.
    pub(crate) cache: u64,
    pub(crate) parts: &'a P,
}

impl<P: Parts> Parts for Within<'_, P> {
    #[inline(always)]
    fn write<S: Sink>(&self, to: &mut S) -> bool {
        to.word(self.cache);
        self.parts.write(to)
    }
}

/// One part of a call's arguments.
pub trait Part {
    /// Writes it; false where that could not be done.
    fn write<S: Sink>(&self, to: &mut S) -> bool;
}

/// Which function it is: a number that tells it from all others, and the name of a type, whose address stands for it. One address
/// and length never have two names.
#[derive(Debug, Clone, Copy)]
pub struct Of {
    number: u64,
    name: &'static str,
}

/// The beginning of a call's arguments. `_inside` is a closure in the function, whose type names those that the function was
/// instantiated with.
#[inline]
pub(crate) fn of<F>(number: u64, _inside: &F) -> Of {
    Of { number, name: type_name::<F>() }
}

/// Parts, and one more.
#[derive(Debug)]
pub struct With<P, L>(P, L);

/// A placeholder printed with `Display`.
#[derive(Debug)]
pub struct Shown<'a, T: ?Sized>(&'a T);

/// A placeholder printed with `Debug`.
#[derive(Debug)]
pub struct Debugged<'a, T: ?Sized>(&'a T);

/// An argument.
#[derive(Debug)]
pub struct Argument<'a, T: ?Sized>(&'a T);

impl Parts for Of {
    #[inline(always)]
    fn write<S: Sink>(&self, to: &mut S) -> bool {
        to.word(self.number);
        to.word(self.name.as_ptr() as usize as u64);
        to.word(self.name.len() as u64);
        true
    }
}

impl<P: Parts, L: Part> Parts for With<P, L> {
    #[inline(always)]
    fn write<S: Sink>(&self, to: &mut S) -> bool {
        self.0.write(to) & self.1.write(to)
    }
}

impl<T: Printed + ?Sized> Part for Shown<'_, T> {
    #[inline]
    fn write<S: Sink>(&self, to: &mut S) -> bool {
        print(to, format_args!("{}", self.0))
    }
}

impl<T: Debug + ?Sized> Part for Debugged<'_, T> {
    #[inline]
    fn write<S: Sink>(&self, to: &mut S) -> bool {
        print(to, format_args!("{:?}", self.0))
    }
}

impl<T: KeyPart + ?Sized> Part for Argument<'_, T> {
    #[inline(always)]
    fn write<S: Sink>(&self, to: &mut S) -> bool {
        feed(to, self.0).is_ok()
    }
}

/// The hash of parts; `None` where one could not be written.
#[inline(always)]
pub(crate) fn hash(state: &RandomState, parts: &impl Parts) -> Option<u64> {
    let mut hashing = Hashing(state.build_hasher());
    parts.write(&mut hashing).then(|| hashing.0.finish())
}

/// Whether these bytes are those of the parts.
#[inline(always)]
pub(crate) fn equal(bytes: &[u8], parts: &impl Parts) -> bool {
    let mut comparing = Comparing { rest: bytes, equal: true };
    parts.write(&mut comparing) & comparing.equal & comparing.rest.is_empty()
}

/// The bytes of parts; `None` where one could not be written.
pub(crate) fn written(parts: &impl Parts) -> Option<Vec<u8>> {
    let mut writing = Writing(Vec::with_capacity(40));
    parts.write(&mut writing).then_some(writing.0)
}

fn print<S: Sink>(to: &mut S, text: fmt::Arguments<'_>) -> bool {
    let mut pieces = Pieces { to, piece: [0; PIECE], length: 0 };
    let done = pieces.write_fmt(text);
    pieces.flush();
    to.byte(END_OF_TEXT);
    done.is_ok()
}

struct Hashing<'a>(FoldHasher<'a>);

impl Sink for Hashing<'_> {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        self.0.write(bytes);
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.0.write_u8(byte);
    }

    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.0.write_u64(word);
    }
}

/// What is left of other arguments, and whether all before was equal.
struct Comparing<'a> {
    rest: &'a [u8],
    equal: bool,
}

impl Comparing<'_> {
    #[inline(always)]
    fn chunk<const N: usize>(&mut self, chunk: [u8; N]) {
        match self.rest.split_first_chunk::<N>() {
            Some((first, rest)) => {
                self.equal &= *first == chunk;
                self.rest = rest;
            }
            None => self.equal = false,
        }
    }
}

impl Sink for Comparing<'_> {
    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        match self.rest.strip_prefix(bytes) {
            Some(rest) => self.rest = rest,
            None => self.equal = false,
        }
    }

    #[inline(always)]
    fn byte(&mut self, byte: u8) {
        self.chunk([byte]);
    }

    #[inline(always)]
    fn word(&mut self, word: u64) {
        self.chunk(word.to_le_bytes());
    }
}

struct Writing(Vec<u8>);

impl Sink for Writing {
    fn push(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }
}

/// Printed text in pieces that depend on the text alone.
struct Pieces<'a, S> {
    to: &'a mut S,
    piece: [u8; PIECE],
    length: usize,
}

impl<S: Sink> Pieces<'_, S> {
    fn flush(&mut self) {
        self.to.push(&self.piece[..self.length]);
        self.length = 0;
    }
}

impl<S: Sink> fmt::Write for Pieces<'_, S> {
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

    fn begin() -> Of {
        of(7, &|| ())
    }

    fn same(one: &impl Parts, other: &impl Parts) -> bool {
        let state = RandomState::default();
        let bytes = written(one).expect("can be written");
        let equal = equal(&bytes, other);
        if equal {
            assert_eq!(hash(&state, one), hash(&state, other), "what is equal has one hash");
        }
        assert_eq!(written(other).as_deref() == Some(&*bytes), equal);
        equal
    }

    proptest! {
        #[test]
        fn equal_parts_are_equal_arguments(
            a in ".{0,80}", b in ".{0,80}", c in ".{0,80}", d in ".{0,80}", n in 0..3_u64, m in 0..3_i32,
            list in proptest::collection::vec("[a:]{0,2}", 0..3),
        ) {
            let list = (m, list);
            let of = begin();
            let parts = |a: &'static str, n: &'static u64, b: &'static str| of.display(a).arg(n).debug(b).arg(a);
            // Leaked, as the parts of one type have one lifetime.
            let text = |text: String| -> &'static str { text.leak() };
            let (a, b, c, d) = (text(a), text(b), text(c), text(d));
            let (n, next): (&'static u64, &'static u64) = (Box::leak(Box::new(n)), Box::leak(Box::new(n + 1)));
            prop_assert!(same(&parts(a, n, b).arg(&list), &parts(a, n, b).arg(&list)));
            prop_assert_eq!(same(&parts(a, n, b), &parts(c, n, d)), (a, b) == (c, d));
            let other = same(&parts(a, n, b), &parts(a, next, b));
            prop_assert!(!other);
            let moved = format!("{a}{c}");
            prop_assert_eq!(same(&of.display(a).display(c), &of.display(&moved).display("")), c.is_empty());
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
            assert!(same(&begin().display(&text), &begin().display(&InPieces(&text, at))));
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
        assert!(written(&begin().display(&Broken)).is_none());
        assert!(hash(&RandomState::default(), &begin().display(&Broken).arg(&1)).is_none());
        let before = written(&begin().display("")).expect("text can be written");
        assert!(!equal(&before, &begin().display(&Broken)));
    }

    #[test]
    fn instances_of_a_function_differ() {
        fn bytes<T>(value: u64) -> Vec<u8> {
            written(&of(7, &|| size_of::<T>()).arg(&value)).expect("a number can be written")
        }
        assert_eq!(bytes::<u8>(1), bytes::<u8>(1));
        assert_ne!(bytes::<u8>(1), bytes::<u16>(1));
    }
}
