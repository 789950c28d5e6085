//! Arguments as key text, through serde: injective over what serde sees of them.
//!
//! | value | text |
//! |-------|------|
//! | numbers, `bool` | as printed: `42`, `-1.5`, `true` |
//! | text | percent-encoded; with a leading `'` where it could be read as something else |
//! | bytes | `%x` and hexadecimal digits |
//! | `None`, `Some(x)` | `%N`, `x` |
//! | unit, unit struct | `()` |
//! | enum variant | `.Name`, with what it holds in parentheses |
//! | sequence | `[a,b]`; a `HashSet`'s elements sorted |
//! | map | `[k=v,…]`, sorted |
//! | tuple | `(a,b)`; at the top `a:b`, with one element `(a)` |
//! | struct | `(field=a,other=b)` |
//! | newtype struct | what is inside |

use std::fmt::{self, Display, Write as _};

use serde::ser::{self, Serialize};

use super::text::{write_encoded, write_text};
use crate::ground::lists::{list_parts, names_set};

/// Why a value cannot be a key.
#[derive(Debug)]
pub(super) struct Unkeyable(&'static str);

impl Display for Unkeyable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for Unkeyable {}

impl ser::Error for Unkeyable {
    // What a value says of itself may be secret.
    fn custom<T: Display>(_message: T) -> Self {
        Self("its `Serialize` implementation refused")
    }
}

/// One argument among several: a tuple is one part.
pub(super) fn write_arg<T: Serialize + ?Sized>(out: &mut String, value: &T) -> Result<(), Unkeyable> {
    value.serialize(Writer { out, place: Place { of: TypeName::of::<T>(), ..Place::ARGUMENT } })
}

/// A whole key: a tuple is as many parts as it has elements.
pub(super) fn write_key<T: Serialize + ?Sized>(out: &mut String, value: &T) -> Result<(), Unkeyable> {
    value.serialize(Writer { out, place: Place { of: TypeName::of::<T>(), top: true, ..Place::ARGUMENT } })
}

/// The name of a value's type, which tells what serde does not. It is looked at only where that matters.
#[derive(Clone, Copy)]
struct TypeName(&'static str);

impl TypeName {
    /// The type of names that are written by themselves, such as a field's.
    const TEXT: Self = Self("str");

    fn of<T: ?Sized>() -> Self {
        Self(std::any::type_name::<T>())
    }

    /// Whether it is text whatever its value, so that no value of it could be confused with a number.
    fn is_text(self) -> bool {
        names_text(self.0)
    }

    /// Whether its elements come in an order that says nothing: equal sets are equal keys.
    fn is_set(self) -> bool {
        names_set(self.0)
    }
}

// The whole name: `Box<str` also begins the name of a box of what the crate `stripe` defines.
fn names_text(name: &str) -> bool {
    matches!(
        name.trim_start_matches('&'),
        "str"
            | "alloc::string::String"
            | "alloc::boxed::Box<str>"
            | "alloc::sync::Arc<str>"
            | "alloc::rc::Rc<str>"
            | "alloc::borrow::Cow<str>"
            | "alloc::borrow::Cow<'_, str>"
    )
}

/// Where in the key a value stands, which decides how it must be told from its neighbours.
#[derive(Clone, Copy)]
struct Place {
    /// A tuple here is the list of parts.
    top: bool,
    /// Inside brackets, where commas, equals signs and brackets are structure.
    nested: bool,
    /// Right inside `Some`.
    optional: bool,
    of: TypeName,
}

impl Place {
    const ARGUMENT: Place = Place { top: false, nested: false, optional: false, of: TypeName("") };
    const NESTED: Place = Place { nested: true, ..Place::ARGUMENT };
    /// An element of a tuple at the top.
    const PART: Place = Place::ARGUMENT;
}

struct Writer<'a> {
    out: &'a mut String,
    place: Place,
}

type Done = Result<(), Unkeyable>;

impl Writer<'_> {
    fn is_text(&self) -> bool {
        self.place.of.is_text()
    }

    fn print(self, value: impl Display) {
        let _ = write!(self.out, "{value}");
    }

    fn text(self, text: &str) {
        let mut rest = text.chars();
        if !self.is_text() && is_ambiguous(text) || self.place.nested && text.is_empty() {
            self.out.push('\'');
        } else if let Some(first @ ('.' | '\'' | '(' | '[')) = text.chars().next()
            && (!self.is_text() || self.place.nested)
        {
            write_encoded(self.out, first);
            rest.next();
        }
        if self.place.nested {
            for c in rest {
                if matches!(c, ',' | '=' | '(' | ')' | '[' | ']') {
                    write_encoded(self.out, c);
                } else {
                    write_text(self.out, c.encode_utf8(&mut [0; 4]), None);
                }
            }
        } else {
            write_text(self.out, rest.as_str(), None);
        }
    }

    fn variant(&mut self, name: &str) {
        self.out.push('.');
        Writer { out: self.out, place: Place { of: TypeName::TEXT, ..Place::NESTED } }.text(name);
    }
}

/// Whether text that is not text by its type could be read as a number, a truth value or nothing at all.
fn is_ambiguous(text: &str) -> bool {
    text.is_empty()
        || text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+'))
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'+' | b'.'))
            && text.parse::<f64>().is_ok()
        || matches!(text, "true" | "false" | "NaN" | "inf")
}

macro_rules! printed {
    ($($method:ident: $type:ty),*) => {$(
        fn $method(self, value: $type) -> Done {
            self.print(value);
            Ok(())
        }
    )*};
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Unkeyable;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Map<'a>;
    type SerializeStruct = List<'a>;
    type SerializeStructVariant = List<'a>;

    printed!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128);

    // As `1.0`, not `1`, which is an integer.
    fn serialize_f32(self, value: f32) -> Done {
        self.print(format_args!("{value:?}"));
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Done {
        self.print(format_args!("{value:?}"));
        Ok(())
    }

    fn serialize_char(self, value: char) -> Done {
        self.serialize_str(value.encode_utf8(&mut [0; 4]))
    }

    fn serialize_str(self, value: &str) -> Done {
        self.text(value);
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        self.out.push_str("%x");
        for byte in value {
            let _ = write!(self.out, "{byte:02x}");
        }
        Ok(())
    }

    fn serialize_none(self) -> Done {
        self.out.push_str(if self.place.optional { "%S%N" } else { "%N" });
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        if self.place.optional {
            self.out.push_str("%S");
        }
        let place = Place { optional: true, top: false, of: TypeName::of::<T>(), ..self.place };
        value.serialize(Writer { out: self.out, place })
    }

    fn serialize_unit(self) -> Done {
        self.print("()");
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Done {
        self.print("()");
        Ok(())
    }

    fn serialize_unit_variant(mut self, _name: &'static str, _index: u32, variant: &'static str) -> Done {
        self.variant(variant);
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Done {
        value.serialize(Writer { out: self.out, place: Place { of: TypeName::of::<T>(), ..self.place } })
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        self.variant(variant);
        self.out.push('(');
        value
            .serialize(Writer { out: self.out, place: Place { of: TypeName::of::<T>(), ..Place::NESTED } })?;
        self.out.push(')');
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List<'a>, Unkeyable> {
        let sorted = self.place.of.is_set().then(Vec::new);
        Ok(List { sorted, ..List::open(self.out, "[", "]") })
    }

    fn serialize_tuple(self, len: usize) -> Result<List<'a>, Unkeyable> {
        // One element alone would be the same as without the tuple around it.
        Ok(if self.place.top && len > 1 {
            List { out: self.out, separator: ':', close: "", first: true, place: Place::PART, sorted: None }
        } else {
            List::open(self.out, "(", ")")
        })
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Unkeyable> {
        Ok(List::open(self.out, "(", ")"))
    }

    fn serialize_tuple_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Unkeyable> {
        self.variant(variant);
        Ok(List::open(self.out, "(", ")"))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Map<'a>, Unkeyable> {
        Ok(Map { out: self.out, entries: Vec::new(), key: None })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Unkeyable> {
        Ok(List::open(self.out, "(", ")"))
    }

    fn serialize_struct_variant(
        mut self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Unkeyable> {
        self.variant(variant);
        Ok(List::open(self.out, "(", ")"))
    }
}

/// Elements or fields, one after the other.
struct List<'a> {
    out: &'a mut String,
    separator: char,
    close: &'static str,
    first: bool,
    place: Place,
    /// The elements so far, where they are to be sorted.
    sorted: Option<Vec<String>>,
}

impl<'a> List<'a> {
    fn open(out: &'a mut String, open: &str, close: &'static str) -> Self {
        out.push_str(open);
        Self { out, separator: ',', close, first: true, place: Place::NESTED, sorted: None }
    }

    fn element<T: Serialize + ?Sized>(&mut self, name: Option<&'static str>, value: &T) -> Done {
        if let Some(sorted) = &mut self.sorted {
            let mut element = String::new();
            let place = Place { of: TypeName::of::<T>(), ..self.place };
            value.serialize(Writer { out: &mut element, place })?;
            sorted.push(element);
            return Ok(());
        }
        if !std::mem::take(&mut self.first) {
            self.out.push(self.separator);
        }
        if let Some(name) = name {
            Writer { out: self.out, place: Place { of: TypeName::TEXT, ..Place::NESTED } }.text(name);
            self.out.push('=');
        }
        value.serialize(Writer { out: self.out, place: Place { of: TypeName::of::<T>(), ..self.place } })
    }

    fn close(self) {
        if let Some(mut elements) = self.sorted {
            elements.sort_unstable();
            self.out.push_str(&elements.join(","));
        }
        self.out.push_str(self.close);
    }
}

list_parts!(List, Unkeyable);

/// A map, whose entries are sorted by their text so that its own order does not matter.
struct Map<'a> {
    out: &'a mut String,
    entries: Vec<String>,
    key: Option<String>,
}

impl ser::SerializeMap for Map<'_> {
    type Ok = ();
    type Error = Unkeyable;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        let mut text = String::new();
        key.serialize(Writer { out: &mut text, place: Place { of: TypeName::of::<T>(), ..Place::NESTED } })?;
        text.push('=');
        self.key = Some(text);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        let mut entry = self.key.take().ok_or(Unkeyable("a map's value came before its key"))?;
        value.serialize(Writer {
            out: &mut entry,
            place: Place { of: TypeName::of::<T>(), ..Place::NESTED },
        })?;
        self.entries.push(entry);
        Ok(())
    }

    fn end(mut self) -> Done {
        self.entries.sort_unstable();
        self.out.push('[');
        // An empty map and an empty sequence are told apart.
        self.out.push_str(if self.entries.is_empty() { "=" } else { "" });
        self.out.push_str(&self.entries.join(","));
        self.out.push(']');
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::rc::Rc;
    use std::sync::Arc;

    use super::*;

    #[test]
    fn text_in_every_holder_is_the_same_part() {
        fn key<T: Serialize>(value: &T) -> String {
            let mut key = String::new();
            write_key(&mut key, value).expect("text can be a key");
            key
        }
        for text in ["1", "true", "", ".Red", "(a)", "it"] {
            let plain = key(&text);
            assert_eq!(key(&text.to_owned()), plain);
            assert_eq!(key(&Box::<str>::from(text)), plain);
            assert_eq!(key(&&text), plain);
            assert_eq!(key(&Cow::Borrowed(text)), plain);
            assert_eq!(key(&Arc::<str>::from(text)), plain);
            assert_eq!(key(&Rc::<str>::from(text)), plain);
        }
    }

    #[test]
    fn a_name_that_only_begins_like_texts_is_not_texts() {
        for holder in ["alloc::boxed::Box", "alloc::sync::Arc", "alloc::rc::Rc", "alloc::borrow::Cow"] {
            for held in ["stripe::Amount", "structs::Loose", "str::Loose", "strange::Id<str>"] {
                assert!(!names_text(&format!("{holder}<{held}>")), "{held}");
            }
        }
        for name in ["alloc::borrow::Cow<'_, stripe::Amount>", "strange::Id", "alloc::string::Strings"] {
            assert!(!names_text(name), "{name}");
        }
    }
}
