//! Arguments that are hashed, and compared with what was written of others, without being written themselves.
//!
//! Each part tells its own length or kind; printed text, whose length nobody knows before, ends with
//! a byte that no text contains. So equal bytes of one function are equal parts, and comparing is exact (G8).
//!
//! Generated code tells the parts three times, once for each use of them, so that each use is code of its own without a branch
//! on which it is.

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

/// Where arguments are told to, part by part; what generated code calls.
pub struct To<S> {
    sink: S,
    failed: bool,
}

/// Where arguments are hashed.
pub type ToHash<'a> = To<Hashing<'a>>;
/// Where arguments are compared with others.
pub type ToCompare<'a> = To<Comparing<'a>>;
/// Where arguments are written.
pub type ToKeep<'a> = To<Keeping<'a>>;

impl<S> Debug for To<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("To").finish_non_exhaustive()
    }
}

impl<S: Sink> To<S> {
    #[inline(always)]
    const fn new(sink: S) -> Self {
        Self { sink, failed: false }
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
    #[inline(always)]
    pub fn arg<T: KeyPart + ?Sized>(&mut self, value: &T) {
        self.failed |= feed(&mut self.sink, value).is_err();
    }

    fn print(&mut self, text: fmt::Arguments<'_>) {
        let mut pieces = Pieces { to: &mut self.sink, piece: [0; PIECE], length: 0 };
        let done = pieces.write_fmt(text);
        pieces.flush();
        self.sink.byte(END_OF_TEXT);
        self.failed |= done.is_err();
    }
}

/// The arguments of one call.
pub trait Parts {
    /// Tells them to be hashed.
    fn hash(&self, to: &mut ToHash<'_>);

    /// Tells them to be compared.
    fn compare(&self, to: &mut ToCompare<'_>);

    /// Tells them to be written.
    fn keep(&self, to: &mut ToKeep<'_>);
}

/// The arguments of a call of one function.
pub struct Call<H, C, K> {
    /// Tells the function from all others.
    function: u64,
    /// Names the types that it was instantiated with. The address of a name stands for it: of two names of one function's instances
    /// neither begins with the other, as the brackets around their types close where the name does, so one address is one name,
    /// however it is laid out.
    types: &'static str,
    hash: H,
    compare: C,
    keep: K,
}

impl<H, C, K> Debug for Call<H, C, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").finish_non_exhaustive()
    }
}

/// The arguments of a call of the function of this number, which each of the three closures tells. `_inside` is a closure in it.
#[inline(always)]
pub(crate) fn of<F, H, C, K>(function: u64, _inside: &F, hash: H, compare: C, keep: K) -> Call<H, C, K>
where
    H: Fn(&mut ToHash<'_>),
    C: Fn(&mut ToCompare<'_>),
    K: Fn(&mut ToKeep<'_>),
{
    Call { function, types: type_name::<F>(), hash, compare, keep }
}

impl<H, C, K> Call<H, C, K> {
    #[inline(always)]
    fn begin<S: Sink>(&self, to: &mut To<S>) {
        to.sink.word(self.function);
        to.sink.word(self.types.as_ptr() as usize as u64);
    }
}

impl<H, C, K> Parts for Call<H, C, K>
where
    H: Fn(&mut ToHash<'_>),
    C: Fn(&mut ToCompare<'_>),
    K: Fn(&mut ToKeep<'_>),
{
    #[inline(always)]
    fn hash(&self, to: &mut ToHash<'_>) {
        self.begin(to);
        (self.hash)(to);
    }

    #[inline(always)]
    fn compare(&self, to: &mut ToCompare<'_>) {
        self.begin(to);
        (self.compare)(to);
    }

    #[inline(always)]
    fn keep(&self, to: &mut ToKeep<'_>) {
        self.begin(to);
        (self.keep)(to);
    }
}

/// The parts of a call in one cache of several.
pub(crate) struct Within<'a, P> {
    /// Tells the cache from all others.
    pub(crate) cache: u64,
    pub(crate) parts: &'a P,
}

impl<P: Parts> Parts for Within<'_, P> {
    #[inline(always)]
    fn hash(&self, to: &mut ToHash<'_>) {
        to.sink.word(self.cache);
        self.parts.hash(to);
    }

    #[inline(always)]
    fn compare(&self, to: &mut ToCompare<'_>) {
        to.sink.word(self.cache);
        self.parts.compare(to);
    }

    #[inline(always)]
    fn keep(&self, to: &mut ToKeep<'_>) {
        to.sink.word(self.cache);
        self.parts.keep(to);
    }
}

/// The hash of parts; `None` where one could not be written.
#[inline(always)]
pub(crate) fn hash(state: &RandomState, parts: &impl Parts) -> Option<u64> {
    let mut to = To::new(Hashing(state.build_hasher()));
    parts.hash(&mut to);
    (!to.failed).then(|| to.sink.0.finish())
}

/// Whether these bytes are those of the parts.
#[inline(always)]
pub(crate) fn equal(bytes: &[u8], parts: &impl Parts) -> bool {
    let mut to = To::new(Comparing { rest: bytes, equal: true });
    parts.compare(&mut to);
    !to.failed & to.sink.equal & to.sink.rest.is_empty()
}

/// The bytes of parts; `None` where one could not be written.
pub(crate) fn written(parts: &impl Parts) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    let mut to = To::new(Keeping(&mut bytes));
    parts.keep(&mut to);
    (!to.failed).then_some(bytes)
}

/// A hash on its way.
pub struct Hashing<'a>(FoldHasher<'a>);

impl Debug for Hashing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hashing").finish_non_exhaustive()
    }
}

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
#[derive(Debug)]
pub struct Comparing<'a> {
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

/// Bytes that are written.
#[derive(Debug)]
pub struct Keeping<'a>(&'a mut Vec<u8>);

impl Sink for Keeping<'_> {
    #[inline]
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

/// For tests: the arguments that one piece of code tells, in each of the three ways.
#[cfg(test)]
macro_rules! parts {
    ($function:expr, $inside:expr, |$to:ident| $told:expr) => {
        crate::key::parts::of(
            $function,
            $inside,
            |$to: &mut crate::key::parts::ToHash<'_>| $told,
            |$to: &mut crate::key::parts::ToCompare<'_>| $told,
            |$to: &mut crate::key::parts::ToKeep<'_>| $told,
        )
    };
}

#[cfg(test)]
pub(crate) use parts;

#[cfg(test)]
mod tests {
    use std::fmt::Display;

    use proptest::prelude::*;

    use super::*;

    /// The parts of one function, told by this code.
    macro_rules! told {
        (|$to:ident| $told:expr) => {
            parts!(7, &INSIDE, |$to| $told)
        };
    }

    const INSIDE: fn() = || ();

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
            let one = told!(|to| { to.display(&a); to.arg(&n); to.debug(&b); to.arg(&list); to.arg(&a); });
            let again = told!(|to| { to.display(&a); to.arg(&n); to.debug(&b); to.arg(&list); to.arg(&a); });
            let text = told!(|to| { to.display(&c); to.arg(&n); to.debug(&d); to.arg(&list); to.arg(&c); });
            let number = told!(|to| { to.display(&a); to.arg(&(n + 1)); to.debug(&b); to.arg(&list); to.arg(&a); });
            prop_assert!(same(&one, &again));
            prop_assert_eq!(same(&one, &text), (&a, &b) == (&c, &d));
            prop_assert!(!same(&one, &number));
            let moved = format!("{a}{c}");
            let (two, joined) = (told!(|to| { to.display(&a); to.display(&c); }), told!(|to| { to.display(&moved); to.display(""); }));
            prop_assert_eq!(same(&two, &joined), c.is_empty());
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
            let pieces = InPieces(&text, at);
            assert!(same(&told!(|to| to.display(&text)), &told!(|to| to.display(&pieces))));
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
        let broken = told!(|to| {
            to.display(&Broken);
            to.arg(&1);
        });
        assert!(written(&broken).is_none());
        assert!(hash(&RandomState::default(), &broken).is_none());
        let before = written(&told!(|to| to.display(""))).expect("text can be written");
        assert!(!equal(&before, &told!(|to| to.display(&Broken))));
    }

    #[test]
    fn instances_of_a_function_and_caches_differ() {
        fn bytes<T>(value: u64) -> Vec<u8> {
            written(&parts!(7, &|| size_of::<T>(), |to| to.arg(&value))).expect("a number can be written")
        }
        assert_eq!(bytes::<u8>(1), bytes::<u8>(1));
        assert_ne!(bytes::<u8>(1), bytes::<u16>(1));
        let parts = told!(|to| to.arg(&1));
        let within = |cache| Within { cache, parts: &parts };
        assert!(same(&within(1), &within(1)) && !same(&within(1), &within(2)));
    }
}
