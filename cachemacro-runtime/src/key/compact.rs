//! Arguments as bytes that are only compared, never read: what looks a decoded value up without writing its key.
//!
//! Each part tells its own length, so equal bytes of one function are equal parts, by what serde or `Display` see of
//! them: wherever these bytes are equal, so is the text of the key. The reverse does not hold (two hash sets of the
//! same elements differ in order), which costs a look in the store.

use std::any::type_name;
use std::fmt::{self, Debug, Display, Write as _};

use serde::ser::{self, Serialize};

use crate::key::lists::list_parts;
use crate::key::part::{KeyPart, Printed};

/// How many bytes need no memory of their own.
const INLINE: usize = 112;

/// Arguments as bytes, part by part; what generated code calls.
#[derive(Clone)]
pub struct CompactKey {
    inline: [u8; INLINE],
    length: usize,
    /// All bytes, once they are more than [`INLINE`].
    spilled: Vec<u8>,
    failed: bool,
}

impl Debug for CompactKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CompactKey").finish_non_exhaustive()
    }
}

impl CompactKey {
    /// A key that begins with numbers which tell one function of one cache from all others.
    #[inline]
    pub(crate) fn new(begin: [u64; 2]) -> Self {
        let mut key = Self { inline: [0; INLINE], length: 0, spilled: Vec::new(), failed: false };
        for number in begin {
            key.push(&number.to_le_bytes());
        }
        key
    }

    /// The names of the types that `_inside`, a closure in the function, was instantiated with. The address of a name stands
    /// for it: one address never has two names.
    #[inline]
    pub(crate) fn types_of<F>(&mut self, _inside: &F) {
        let name = type_name::<F>();
        self.push(&(name.as_ptr() as usize as u64).to_le_bytes());
        self.push(&(name.len() as u64).to_le_bytes());
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
        if value.serialize(Feed(self)).is_err() {
            self.failed = true;
        }
    }

    /// The bytes; `None` where a part could not be written.
    #[inline]
    pub(crate) fn bytes(&self) -> Option<&[u8]> {
        if self.failed {
            None
        } else if self.spilled.is_empty() {
            self.inline.get(..self.length)
        } else {
            Some(&self.spilled)
        }
    }

    #[inline]
    fn push(&mut self, bytes: &[u8]) {
        let end = self.length + bytes.len();
        if self.spilled.is_empty()
            && let Some(room) = self.inline.get_mut(self.length..end)
        {
            room.copy_from_slice(bytes);
            self.length = end;
        } else {
            self.spill(bytes);
        }
    }

    #[cold]
    fn spill(&mut self, bytes: &[u8]) {
        if self.spilled.is_empty() {
            self.spilled.extend_from_slice(&self.inline[..self.length]);
        }
        self.spilled.extend_from_slice(bytes);
    }

    #[inline]
    fn text(&mut self, text: &str) {
        self.push(&(text.len() as u64).to_le_bytes());
        self.push(text.as_bytes());
    }

    /// Printed text. It comes in pieces, so room for its length is left before it.
    fn print(&mut self, text: fmt::Arguments<'_>) {
        let at = if self.spilled.is_empty() { self.length } else { self.spilled.len() };
        self.push(&0_u64.to_le_bytes());
        let mut printed = Printing { key: self, length: 0 };
        let done = printed.write_fmt(text);
        let length = printed.length.to_le_bytes();
        self.failed |= done.is_err();
        let all = if self.spilled.is_empty() { &mut self.inline[..] } else { &mut self.spilled[..] };
        if let Some(room) = all.get_mut(at..at + length.len()) {
            room.copy_from_slice(&length);
        }
    }
}

struct Printing<'a> {
    key: &'a mut CompactKey,
    length: u64,
}

impl fmt::Write for Printing<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.key.push(text.as_bytes());
        self.length += text.len() as u64;
        Ok(())
    }
}

/// The value could not be written.
#[derive(Debug)]
struct Refused;

impl Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value refused to be serialized")
    }
}

impl std::error::Error for Refused {}

impl ser::Error for Refused {
    fn custom<T: Display>(_message: T) -> Self {
        Self
    }
}

type Done = Result<(), Refused>;

/// Writes what serde sees: a byte for the kind, then what belongs to it.
struct Feed<'a>(&'a mut CompactKey);

impl<'a> Feed<'a> {
    #[inline]
    fn number<const N: usize>(self, kind: u8, bytes: [u8; N]) {
        self.0.push(&[kind]);
        self.0.push(&bytes);
    }

    fn begin(self, kind: u8, name: &'static str) -> List<'a> {
        self.0.push(&[kind]);
        self.0.text(name);
        List(self.0)
    }
}

/// Numbers of all widths, as those of one kind are equal.
macro_rules! numbers {
    ($($method:ident: $type:ty => $kind:literal, |$value:ident| $wide:expr;)*) => {$(
        #[inline]
        fn $method(self, $value: $type) -> Done {
            self.number($kind, $wide.to_le_bytes());
            Ok(())
        }
    )*};
}

/// The kinds of what is no number.
const STR: u8 = 20;
const BYTES: u8 = 21;
const NONE: u8 = 22;
const SOME: u8 = 23;
const UNIT: u8 = 24;
const NEWTYPE: u8 = 25;
const SEQUENCE: u8 = 26;
const TUPLE: u8 = 27;
const MAP: u8 = 28;
const STRUCT: u8 = 29;
const VARIANT: u8 = 30;
/// An element or entry follows.
const MORE: u8 = 31;
const END: u8 = 32;

impl<'a> ser::Serializer for Feed<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = List<'a>;
    type SerializeStruct = List<'a>;
    type SerializeStructVariant = List<'a>;

    numbers! {
        serialize_bool: bool => 1, |value| u64::from(value);
        serialize_i8: i8 => 2, |value| i64::from(value);
        serialize_i16: i16 => 2, |value| i64::from(value);
        serialize_i32: i32 => 2, |value| i64::from(value);
        serialize_i64: i64 => 2, |value| value;
        serialize_i128: i128 => 3, |value| value;
        serialize_u8: u8 => 4, |value| u64::from(value);
        serialize_u16: u16 => 4, |value| u64::from(value);
        serialize_u32: u32 => 4, |value| u64::from(value);
        serialize_u64: u64 => 4, |value| value;
        serialize_u128: u128 => 5, |value| value;
        serialize_f32: f32 => 6, |value| value.to_bits();
        serialize_f64: f64 => 7, |value| value.to_bits();
        serialize_char: char => 8, |value| u32::from(value);
    }

    #[inline]
    fn serialize_str(self, value: &str) -> Done {
        self.0.push(&[STR]);
        self.0.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.0.push(&[BYTES]);
        self.0.push(&(value.len() as u64).to_le_bytes());
        self.0.push(value);
        Ok(())
    }

    fn serialize_none(self) -> Done {
        self.0.push(&[NONE]);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.0.push(&[SOME]);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.0.push(&[UNIT]);
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Done {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Done {
        ser::SerializeTupleVariant::end(self.begin(VARIANT, variant))
    }

    #[inline]
    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Done {
        self.0.push(&[NEWTYPE]);
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        let mut list = self.begin(VARIANT, variant);
        list.element(None, value)?;
        ser::SerializeTupleVariant::end(list)
    }

    fn serialize_seq(self, _length: Option<usize>) -> Result<List<'a>, Refused> {
        self.0.push(&[SEQUENCE]);
        Ok(List(self.0))
    }

    fn serialize_tuple(self, _length: usize) -> Result<List<'a>, Refused> {
        self.0.push(&[TUPLE]);
        Ok(List(self.0))
    }

    fn serialize_tuple_struct(self, name: &'static str, _length: usize) -> Result<List<'a>, Refused> {
        Ok(self.begin(STRUCT, name))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<List<'a>, Refused> {
        Ok(self.begin(VARIANT, variant))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<List<'a>, Refused> {
        self.0.push(&[MAP]);
        Ok(List(self.0))
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<List<'a>, Refused> {
        Ok(self.begin(STRUCT, name))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<List<'a>, Refused> {
        Ok(self.begin(VARIANT, variant))
    }
}

/// Elements, fields or entries, one after the other.
struct List<'a>(&'a mut CompactKey);

impl List<'_> {
    fn element<T: Serialize + ?Sized>(&mut self, name: Option<&'static str>, value: &T) -> Done {
        self.0.push(&[MORE]);
        if let Some(name) = name {
            self.0.text(name);
        }
        value.serialize(Feed(self.0))
    }

    fn close(self) {
        self.0.push(&[END]);
    }
}

list_parts!(List, Refused);

impl ser::SerializeMap for List<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.element(None, key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        self.element(None, value)
    }

    fn end(self) -> Done {
        self.close();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde::Serialize;

    use super::*;
    use crate::key::KeyBuilder;

    fn compact(write: impl FnOnce(&mut CompactKey)) -> Vec<u8> {
        let mut key = CompactKey::new([1, 2]);
        write(&mut key);
        key.bytes().expect("can be written").to_vec()
    }

    fn text<T: Serialize>(value: &T) -> String {
        KeyBuilder::new("p").arg(value).finish().expect("can be a key").as_str().to_owned()
    }

    #[derive(Serialize, Clone, Debug, PartialEq)]
    enum Filter {
        All,
        Named(String),
        Between(i64, i64),
        Where { country: Option<String>, words: Vec<String> },
    }

    fn filter() -> impl Strategy<Value = Filter> {
        let word = || "[a:,=()%]{0,3}";
        prop_oneof![
            Just(Filter::All),
            word().prop_map(Filter::Named),
            (0..3_i64, 0..3_i64).prop_map(|(from, to)| Filter::Between(from, to)),
            (proptest::option::of(word()), proptest::collection::vec(word(), 0..3))
                .prop_map(|(country, words)| Filter::Where { country, words }),
        ]
    }

    proptest! {
        #[test]
        fn equal_bytes_are_equal_arguments_and_equal_keys(a in filter(), b in filter(), x in filter(), y in filter()) {
            let one = compact(|key| { key.arg(&a); key.arg(&b); });
            let other = compact(|key| { key.arg(&x); key.arg(&y); });
            prop_assert_eq!(one == other, (&a, &b) == (&x, &y));
            prop_assert_eq!(one == other, text(&(&a, &b)) == text(&(&x, &y)));
        }

        #[test]
        fn printed_parts_do_not_run_into_each_other(
            a in ".{0,80}", b in ".{0,80}", c in ".{0,80}", d in ".{0,80}", n: u64,
        ) {
            let print = |one: &str, other: &str| compact(|key| { key.display(one); key.arg(&n); key.display(other); });
            prop_assert_eq!(print(&a, &b) == print(&c, &d), (&a, &b) == (&c, &d));
            let moved = format!("{a}{b}");
            prop_assert_eq!(print(&moved, "") == print(&a, &b), b.is_empty());
        }
    }

    #[test]
    fn a_part_that_cannot_be_written_is_no_key() {
        struct Broken;
        impl Serialize for Broken {
            fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
                Err(serde::ser::Error::custom("no"))
            }
        }
        impl Display for Broken {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                Err(fmt::Error)
            }
        }
        let mut key = CompactKey::new([0, 0]);
        key.arg(&Broken);
        assert!(key.bytes().is_none());
        let mut key = CompactKey::new([0, 0]);
        key.display(&Broken);
        assert!(key.bytes().is_none());
    }

    #[test]
    fn functions_instances_and_numbers_of_other_kinds_differ() {
        fn of<T>(value: &T) -> Vec<u8>
        where
            T: Serialize,
        {
            compact(|key| {
                key.types_of(&|| size_of::<T>());
                key.arg(value);
            })
        }
        assert_ne!(of(&1_u64), of(&1_i64));
        assert_ne!(of(&1_u64), of(&1_u32), "another instance of the function");
        assert_eq!(of(&1_u64), of(&1_u64));
        assert_ne!(CompactKey::new([1, 2]).bytes(), CompactKey::new([2, 1]).bytes());
    }
}
