//! Values in a form in which equal ones are equal, whatever order their maps and sets have: to tell where two of one type differ.

use std::fmt::Display;

use serde::ser::{self, Serialize};

use crate::ground::lists::{list_parts, names_set};
use crate::ground::panics::caught;
use crate::ground::refused::Refused;

/// How many places of two values are told in which they differ.
const MOST_PATHS: usize = 8;

/// A value without its type.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Tree {
    Leaf(String),
    Some(Box<Tree>),
    List(Vec<Tree>),
    Fields(Vec<(&'static str, Tree)>),
    /// Sorted.
    Map(Vec<(Tree, Tree)>),
    Variant(&'static str, Box<Tree>),
}

impl Tree {
    const NONE: Self = Self::List(Vec::new());

    fn leaf(value: impl Display) -> Self {
        Self::Leaf(value.to_string())
    }

    fn of<T: Serialize + ?Sized>(value: &T) -> Result<Self, Refused> {
        let mut out = Self::NONE;
        value.serialize(Writer { out: &mut out, of: std::any::type_name::<T>() })?;
        Ok(out)
    }
}

/// Where two values differ: `.rows[3].name`, `.prices{}` for what a map holds, `value` for the whole; names of the program, nothing of the
/// values. None where they do not. `None`: one of them cannot be told.
pub(crate) fn differences<T: Serialize + ?Sized>(one: &T, other: &T) -> Option<Vec<String>> {
    // G6: a value whose `Serialize` panics is the user's.
    let told = |value: &T| caught(|| Tree::of(value)).and_then(Result::ok);
    let (one, other) = (told(one)?, told(other)?);
    let mut paths = Vec::new();
    differ(&one, &other, "", &mut paths);
    Some(paths)
}

fn differ(one: &Tree, other: &Tree, path: &str, paths: &mut Vec<String>) {
    if one == other {
        return;
    }
    match (one, other) {
        (Tree::Some(one), Tree::Some(other)) => differ(one, other, path, paths),
        (Tree::Variant(name, one), Tree::Variant(also, other)) if name == also => {
            differ(one, other, path, paths);
        }
        (Tree::List(one), Tree::List(other)) if one.len() == other.len() => {
            for (at, (one, other)) in one.iter().zip(other).enumerate() {
                differ(one, other, &format!("{path}[{at}]"), paths);
            }
        }
        (Tree::Fields(one), Tree::Fields(other))
            if one.iter().map(|field| field.0).eq(other.iter().map(|field| field.0)) =>
        {
            for ((name, one), (_, other)) in one.iter().zip(other) {
                differ(one, other, &format!("{path}.{name}"), paths);
            }
        }
        // Keys are values: they are not told.
        (Tree::Map(one), Tree::Map(other))
            if one.iter().map(|entry| &entry.0).eq(other.iter().map(|entry| &entry.0)) =>
        {
            for ((_, one), (_, other)) in one.iter().zip(other) {
                differ(one, other, &format!("{path}{{}}"), paths);
            }
        }
        _ => {
            let path = if path.is_empty() { "value" } else { path };
            if paths.len() < MOST_PATHS && !paths.iter().any(|known| known == path) {
                paths.push(path.to_owned());
            }
        }
    }
}

type Done = Result<(), Refused>;

struct Writer<'a> {
    out: &'a mut Tree,
    /// The name of the value's type.
    of: &'static str,
}

macro_rules! printed {
    ($($method:ident: $ty:ty),*) => {
        $(fn $method(self, value: $ty) -> Done {
            *self.out = Tree::leaf(value);
            Ok(())
        })*
    };
}

impl<'a> ser::Serializer for Writer<'a> {
    type Ok = ();
    type Error = Refused;
    type SerializeSeq = List<'a>;
    type SerializeTuple = List<'a>;
    type SerializeTupleStruct = List<'a>;
    type SerializeTupleVariant = List<'a>;
    type SerializeMap = Map<'a>;
    type SerializeStruct = List<'a>;
    type SerializeStructVariant = List<'a>;

    printed!(serialize_bool: bool, serialize_i8: i8, serialize_i16: i16, serialize_i32: i32, serialize_i64: i64,
        serialize_i128: i128, serialize_u8: u8, serialize_u16: u16, serialize_u32: u32, serialize_u64: u64,
        serialize_u128: u128, serialize_char: char, serialize_str: &str);

    fn serialize_f32(self, value: f32) -> Done {
        // All that are no number are one.
        *self.out = Tree::leaf(if value.is_nan() { f32::NAN } else { value }.to_bits());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Done {
        *self.out = Tree::leaf(if value.is_nan() { f64::NAN } else { value }.to_bits());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        *self.out = Tree::Leaf(format!("{value:?}"));
        Ok(())
    }

    fn serialize_none(self) -> Done {
        *self.out = Tree::NONE;
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        *self.out = Tree::Some(Box::new(Tree::of(value)?));
        Ok(())
    }

    fn serialize_unit(self) -> Done {
        *self.out = Tree::List(Vec::new());
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Done {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Done {
        *self.out = Tree::Variant(variant, Box::new(Tree::NONE));
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Done {
        *self.out = Tree::of(value)?;
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        *self.out = Tree::Variant(variant, Box::new(Tree::of(value)?));
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List<'a>, Refused> {
        let is_set = names_set(self.of);
        Ok(List { is_set, ..List::new(self.out, None) })
    }

    fn serialize_tuple(self, _len: usize) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, None))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, None))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, Some(variant)))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Map<'a>, Refused> {
        Ok(Map { out: self.out, entries: Vec::new(), key: None })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, None))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, Some(variant)))
    }
}

/// Elements, or fields, of which one variant may be made.
struct List<'a> {
    out: &'a mut Tree,
    variant: Option<&'static str>,
    is_set: bool,
    elements: Vec<Tree>,
    fields: Vec<(&'static str, Tree)>,
}

impl<'a> List<'a> {
    const fn new(out: &'a mut Tree, variant: Option<&'static str>) -> Self {
        Self { out, variant, is_set: false, elements: Vec::new(), fields: Vec::new() }
    }

    fn element<T: Serialize + ?Sized>(&mut self, name: Option<&'static str>, value: &T) -> Done {
        let value = Tree::of(value)?;
        match name {
            Some(name) => self.fields.push((name, value)),
            None => self.elements.push(value),
        }
        Ok(())
    }

    fn close(mut self) {
        if self.is_set {
            self.elements.sort_unstable();
        }
        let inner =
            if self.fields.is_empty() { Tree::List(self.elements) } else { Tree::Fields(self.fields) };
        *self.out = match self.variant {
            Some(variant) => Tree::Variant(variant, Box::new(inner)),
            None => inner,
        };
    }
}

list_parts!(List, Refused);

struct Map<'a> {
    out: &'a mut Tree,
    entries: Vec<(Tree, Tree)>,
    key: Option<Tree>,
}

impl ser::SerializeMap for Map<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.key = Some(Tree::of(key)?);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        let key = self.key.take().ok_or(Refused)?;
        self.entries.push((key, Tree::of(value)?));
        Ok(())
    }

    fn end(mut self) -> Done {
        self.entries.sort_unstable();
        *self.out = Tree::Map(self.entries);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, HashMap, HashSet};

    use serde::{Serialize, Serializer};

    use super::*;

    #[derive(Serialize, Clone)]
    struct Row {
        name: String,
        price: Option<f64>,
        kind: Kind,
    }

    #[derive(Serialize, Clone)]
    enum Kind {
        Unit,
        New(u8),
        Pair(u8, u8),
        Named { is: bool },
    }

    fn row() -> Row {
        Row { name: "tea".to_owned(), price: Some(1.5), kind: Kind::Named { is: true } }
    }

    fn paths<T: Serialize>(one: &T, other: &T) -> Vec<String> {
        differences(one, other).expect("told")
    }

    #[test]
    fn equal_values_differ_nowhere_whatever_the_order_of_their_maps_and_sets() {
        assert!(paths(&vec![row()], &vec![row()]).is_empty());
        let numbers = || (0..100_u32).map(|n| (n, n));
        // Each has an order of its own.
        let (one, other): (HashMap<_, _>, HashMap<_, _>) = (numbers().collect(), numbers().collect());
        assert!(paths(&one, &other).is_empty());
        let (one, other): (HashSet<_>, HashSet<_>) = (numbers().collect(), numbers().collect());
        assert!(paths(&(one, 1), &(other, 1)).is_empty());
        assert!(paths(&f64::NAN, &-f64::NAN).is_empty());
    }

    #[test]
    fn differences_are_told_by_their_places_and_nothing_of_the_values() {
        let with = |change: fn(&mut Row)| {
            let mut row = row();
            change(&mut row);
            row
        };
        let of = |change| paths(&vec![row(), row()], &vec![row(), with(change)]);
        assert_eq!(of(|row| row.name.push('!')), ["[1].name"]);
        assert_eq!(of(|row| row.price = None), ["[1].price"]);
        assert_eq!(of(|row| row.price = Some(-0.0)), ["[1].price"]);
        assert_eq!(of(|row| row.kind = Kind::Unit), ["[1].kind"]);
        assert_eq!(of(|row| row.kind = Kind::Named { is: false }), ["[1].kind.is"]);
        assert_eq!(paths(&Kind::Pair(1, 2), &Kind::Pair(1, 3)), ["[1]"]);
        assert_eq!(paths(&Kind::New(1), &Kind::New(2)), ["value"]);
        assert_eq!(paths(&vec![1], &vec![1, 2]), ["value"], "a list of another length");
        assert_eq!(paths(&vec![1, 2], &vec![2, 1]), ["[0]", "[1]"], "an order says something");
        assert_eq!(paths(&Some(None::<u8>), &None), ["value"]);
        let map = |value: u8| BTreeMap::from([("secret", value), ("other", 7)]);
        assert_eq!(paths(&map(1), &map(2)), ["{}"], "keys are not told");
        assert_eq!(paths(&map(1), &BTreeMap::from([("secret", 1)])), ["value"]);
        assert_eq!(paths(&[0; 30], &[1; 30]).len(), MOST_PATHS);
    }

    #[test]
    fn what_cannot_be_told_differs_in_nothing() {
        struct Refuses;
        impl Serialize for Refuses {
            fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
                Err(ser::Error::custom("no"))
            }
        }
        struct Panics;
        impl Serialize for Panics {
            fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
                panic!("on purpose")
            }
        }
        assert_eq!(differences(&Refuses, &Refuses), None);
        assert_eq!(differences(&Panics, &Panics), None);
    }
}
