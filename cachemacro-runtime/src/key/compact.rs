//! Arguments as bytes that are only compared, never read: what looks a decoded value up without writing its key.
//!
//! Each part tells its own length, so equal bytes of one function are equal parts, by what serde or `Display` see of
//! them: wherever these bytes are equal, so is the text of the key. The reverse does not hold (two hash sets of the
//! same elements differ in order), which costs a look in the store.

use serde::ser::{self, Serialize};

use crate::ground::lists::list_parts;
use crate::ground::refused::Refused;

/// What is given the bytes of arguments, one piece after the other.
pub trait Sink {
    /// Bytes whose number the reader of what was before them knows.
    fn push(&mut self, bytes: &[u8]);

    /// One byte.
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.push(&[byte]);
    }

    /// Eight bytes.
    #[inline]
    fn word(&mut self, word: u64) {
        self.push(&word.to_le_bytes());
    }

    /// Text behind its length.
    #[inline]
    fn text(&mut self, text: &str) {
        self.word(text.len() as u64);
        self.push(text.as_bytes());
    }
}

/// Writes a value as serde sees it.
///
/// # Errors
/// Where the value refuses.
#[inline]
pub(super) fn feed<S: Sink, T: Serialize + ?Sized>(sink: &mut S, value: &T) -> Result<(), Refused> {
    value.serialize(Feed(sink))
}

type Done = Result<(), Refused>;

/// Writes what serde sees: a byte for the kind, then what belongs to it.
struct Feed<'a, S>(&'a mut S);

impl<'a, S: Sink> Feed<'a, S> {
    #[inline]
    fn number<N: Number>(self, kind: u8, number: N) {
        self.0.byte(kind);
        number.write(self.0);
    }

    fn begin(self, kind: u8, name: &'static str) -> List<'a, S> {
        self.0.byte(kind);
        self.0.text(name);
        List(self.0)
    }
}

/// A number as it is written.
trait Number {
    fn write<S: Sink>(self, to: &mut S);
}

macro_rules! written {
    ($($type:ty: $number:ident => $word:expr;)*) => {$(
        impl Number for $type {
            #[inline]
            fn write<S: Sink>(self, to: &mut S) {
                let $number = self;
                to.word($word);
            }
        }
    )*};
}

written! {
    u64: number => number;
    i64: number => number.cast_unsigned();
    u32: number => u64::from(number);
}

impl Number for u128 {
    fn write<S: Sink>(self, to: &mut S) {
        to.push(&self.to_le_bytes());
    }
}

impl Number for i128 {
    fn write<S: Sink>(self, to: &mut S) {
        to.push(&self.to_le_bytes());
    }
}

/// Numbers of all widths, as those of one kind are equal.
macro_rules! numbers {
    ($($method:ident: $type:ty => $kind:literal, |$value:ident| $wide:expr;)*) => {$(
        #[inline]
        fn $method(self, $value: $type) -> Done {
            self.number($kind, $wide);
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

impl<'a, S: Sink> ser::Serializer for Feed<'a, S> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = List<'a, S>;
    type SerializeTuple = List<'a, S>;
    type SerializeTupleStruct = List<'a, S>;
    type SerializeTupleVariant = List<'a, S>;
    type SerializeMap = List<'a, S>;
    type SerializeStruct = List<'a, S>;
    type SerializeStructVariant = List<'a, S>;

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
        self.0.byte(STR);
        self.0.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.0.byte(BYTES);
        self.0.word(value.len() as u64);
        self.0.push(value);
        Ok(())
    }

    fn serialize_none(self) -> Done {
        self.0.byte(NONE);
        Ok(())
    }

    #[inline]
    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        self.0.byte(SOME);
        value.serialize(self)
    }

    fn serialize_unit(self) -> Done {
        self.0.byte(UNIT);
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
        self.0.byte(NEWTYPE);
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

    fn serialize_seq(self, _length: Option<usize>) -> Result<List<'a, S>, Refused> {
        self.0.byte(SEQUENCE);
        Ok(List(self.0))
    }

    fn serialize_tuple(self, _length: usize) -> Result<List<'a, S>, Refused> {
        self.0.byte(TUPLE);
        Ok(List(self.0))
    }

    fn serialize_tuple_struct(self, name: &'static str, _length: usize) -> Result<List<'a, S>, Refused> {
        Ok(self.begin(STRUCT, name))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<List<'a, S>, Refused> {
        Ok(self.begin(VARIANT, variant))
    }

    fn serialize_map(self, _length: Option<usize>) -> Result<List<'a, S>, Refused> {
        self.0.byte(MAP);
        Ok(List(self.0))
    }

    fn serialize_struct(self, name: &'static str, _length: usize) -> Result<List<'a, S>, Refused> {
        Ok(self.begin(STRUCT, name))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _length: usize,
    ) -> Result<List<'a, S>, Refused> {
        Ok(self.begin(VARIANT, variant))
    }
}

/// Elements, fields or entries, one after the other.
struct List<'a, S>(&'a mut S);

impl<S: Sink> List<'_, S> {
    fn element<T: Serialize + ?Sized>(&mut self, name: Option<&'static str>, value: &T) -> Done {
        self.0.byte(MORE);
        if let Some(name) = name {
            self.0.text(name);
        }
        feed(self.0, value)
    }

    fn close(self) {
        self.0.byte(END);
    }
}

list_parts!(List<S: Sink>, Refused);

impl<S: Sink> ser::SerializeMap for List<'_, S> {
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

    use crate::key::KeyBuilder;
    use crate::key::parts::{parts, written};

    const INSIDE: fn() = || ();

    /// The bytes of what this code tells of a call of one function.
    macro_rules! compact {
        (|$key:ident| $told:expr) => {
            written(&parts!(7, &INSIDE, |$key| $told))
        };
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
            let one = compact!(|key| { key.arg(&a); key.arg(&b); });
            let other = compact!(|key| { key.arg(&x); key.arg(&y); });
            prop_assert_eq!(one == other, (&a, &b) == (&x, &y));
            prop_assert_eq!(one == other, text(&(&a, &b)) == text(&(&x, &y)));
        }

        #[test]
        fn printed_parts_do_not_run_into_each_other(
            a in ".{0,80}", b in ".{0,80}", c in ".{0,80}", d in ".{0,80}", n: u64,
        ) {
            let print = |one: &str, other: &str| compact!(|key| { key.display(one); key.arg(&n); key.display(other); });
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
        assert!(compact!(|key| key.arg(&Broken)).is_none());
    }

    #[test]
    fn functions_instances_and_numbers_of_other_kinds_differ() {
        fn bytes<T: Serialize>(value: &T) -> Option<Vec<u8>> {
            written(&parts!(7, &|| size_of::<T>(), |key| key.arg(value)))
        }
        assert_ne!(bytes(&1_u64), bytes(&1_i64));
        assert_ne!(bytes(&1_u64), bytes(&1_u32), "another instance of the function");
        assert_eq!(bytes(&1_u64), bytes(&1_u64));
    }
}
