//! Values in a form in which equal ones are equal, whatever order their maps and sets have: to tell where two of one type differ.
//!
//! Of a value only hashes are kept, and of the first so many parts of it where they stand: what is beyond is in the hash of what it is
//! part of. So a large value takes little memory, and nothing of it is held.

use std::cell::Cell;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::ser::{self, Serialize};

use crate::ground::lists::{list_parts, names_set};
use crate::ground::panics::caught;
use crate::ground::refused::Refused;

/// How many places of two values are told in which they differ.
const MOST_PATHS: usize = 8;
/// How many parts of a value are told apart.
const MOST_PARTS: usize = 1 << 16;
/// How deep parts may lie in each other: each takes some of the thread's stack.
const DEEPEST: usize = 128;

/// A value, or a part of one, without its type.
#[derive(Debug)]
struct Part {
    /// Equal for equal ones.
    hash: u64,
    of: Of,
}

/// What is told apart inside.
#[derive(Debug)]
enum Of {
    /// Nothing: a number or a text, a set, or there were too many parts before.
    Whole,
    Some(Box<Part>),
    /// The first ones, and how many there are in all.
    List(Vec<Part>, usize),
    Fields(Vec<(&'static str, Part)>),
    /// The first ones, sorted by the hashes of their keys, and how many there are in all.
    Map(Vec<(u64, Part)>, usize),
    Variant(&'static str, Box<Part>),
}

/// What tells kinds of parts apart in their hashes.
#[derive(Hash, Clone, Copy)]
enum Kind {
    Leaf,
    None,
    Some,
    List,
    Set,
    Fields,
    Map,
    Variant,
}

fn hashed(kind: Kind, what: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    (kind, what).hash(&mut hasher);
    hasher.finish()
}

/// Where in a value: how deep, and how many more parts may be told apart.
#[derive(Clone, Copy)]
struct At<'a> {
    left: &'a Cell<usize>,
    depth: usize,
}

impl At<'_> {
    /// Whether one more part may be kept.
    fn keeps(self) -> bool {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        left > 0
    }
}

impl Part {
    const fn whole(hash: u64) -> Self {
        Self { hash, of: Of::Whole }
    }

    fn leaf(value: impl Hash) -> Self {
        Self::whole(hashed(Kind::Leaf, value))
    }

    fn none() -> Self {
        Self::whole(hashed(Kind::None, ()))
    }

    fn variant(name: &'static str, inside: Self) -> Self {
        Self { hash: hashed(Kind::Variant, (name, inside.hash)), of: Of::Variant(name, Box::new(inside)) }
    }

    fn of<T: Serialize + ?Sized>(value: &T, at: At<'_>) -> Result<Self, Refused> {
        let mut out = Self::whole(0);
        let at = At { depth: at.depth + 1, ..at };
        if at.depth > DEEPEST {
            return Err(Refused);
        }
        value.serialize(Writer { out: &mut out, of: std::any::type_name::<T>(), at })?;
        Ok(out)
    }
}

/// Where two values differ: `.rows[3].name`, `.prices{}` for what a map holds, `value` for the whole; names of the program, nothing of the
/// values. None where they do not. `None`: one of them cannot be told.
pub(crate) fn differences<T: Serialize + ?Sized>(one: &T, other: &T) -> Option<Vec<String>> {
    // G6: a value whose `Serialize` panics is the user's.
    let told = |value: &T| {
        let left = Cell::new(MOST_PARTS);
        caught(|| Part::of(value, At { left: &left, depth: 0 })).and_then(Result::ok)
    };
    let (one, other) = (told(one)?, told(other)?);
    let mut paths = Vec::new();
    differ(&one, &other, "", &mut paths);
    Some(paths)
}

/// Notes where they differ; returns whether they do.
fn differ(one: &Part, other: &Part, path: &str, paths: &mut Vec<String>) -> bool {
    if one.hash == other.hash {
        return false;
    }
    let is_inside = match (&one.of, &other.of) {
        (Of::Some(one), Of::Some(other)) => differ(one, other, path, paths),
        (Of::Variant(name, one), Of::Variant(also, other)) if name == also => differ(one, other, path, paths),
        (Of::List(one, all), Of::List(other, also)) if all == also => {
            let places = one.iter().zip(other).enumerate();
            places.fold(false, |is, (at, (one, other))| {
                differ(one, other, &format!("{path}[{at}]"), paths) || is
            })
        }
        (Of::Fields(one), Of::Fields(other))
            if one.iter().map(|field| field.0).eq(other.iter().map(|field| field.0)) =>
        {
            let places = one.iter().zip(other);
            places.fold(false, |is, ((name, one), (_, other))| {
                differ(one, other, &format!("{path}.{name}"), paths) || is
            })
        }
        // Keys are values: they are not told.
        (Of::Map(one, all), Of::Map(other, also))
            if all == also && one.iter().map(|entry| entry.0).eq(other.iter().map(|entry| entry.0)) =>
        {
            let places = one.iter().zip(other);
            places.fold(false, |is, ((_, one), (_, other))| {
                differ(one, other, &format!("{path}{{}}"), paths) || is
            })
        }
        _ => false,
    };
    if !is_inside {
        let path = if path.is_empty() { "value" } else { path };
        if paths.len() < MOST_PATHS && !paths.iter().any(|known| known == path) {
            paths.push(path.to_owned());
        }
    }
    true
}

type Done = Result<(), Refused>;

struct Writer<'a> {
    out: &'a mut Part,
    /// The name of the value's type.
    of: &'static str,
    at: At<'a>,
}

macro_rules! leaves {
    ($($method:ident: $ty:ty => $as:ty),*) => {
        $(fn $method(self, value: $ty) -> Done {
            *self.out = Part::leaf(<$as>::from(value));
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

    // A number is the same in whatever type it is written.
    leaves!(serialize_bool: bool => bool, serialize_i8: i8 => i128, serialize_i16: i16 => i128, serialize_i32: i32 => i128,
        serialize_i64: i64 => i128, serialize_i128: i128 => i128, serialize_u8: u8 => i128, serialize_u16: u16 => i128,
        serialize_u32: u32 => i128, serialize_u64: u64 => i128, serialize_char: char => char);

    fn serialize_u128(self, value: u128) -> Done {
        *self.out = i128::try_from(value).map_or_else(|_| Part::leaf(value), Part::leaf);
        Ok(())
    }

    fn serialize_str(self, value: &str) -> Done {
        *self.out = Part::leaf(value);
        Ok(())
    }

    fn serialize_f32(self, value: f32) -> Done {
        // All that are no number are one.
        *self.out = Part::leaf(if value.is_nan() { f32::NAN } else { value }.to_bits());
        Ok(())
    }

    fn serialize_f64(self, value: f64) -> Done {
        *self.out = Part::leaf(if value.is_nan() { f64::NAN } else { value }.to_bits());
        Ok(())
    }

    fn serialize_bytes(self, value: &[u8]) -> Done {
        *self.out = Part::leaf(value);
        Ok(())
    }

    fn serialize_none(self) -> Done {
        *self.out = Part::none();
        Ok(())
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Done {
        let inside = Part::of(value, self.at)?;
        *self.out = Part { hash: hashed(Kind::Some, inside.hash), of: Of::Some(Box::new(inside)) };
        Ok(())
    }

    fn serialize_unit(self) -> Done {
        *self.out = Part::none();
        Ok(())
    }

    fn serialize_unit_struct(self, _name: &'static str) -> Done {
        self.serialize_unit()
    }

    fn serialize_unit_variant(self, _name: &'static str, _index: u32, variant: &'static str) -> Done {
        *self.out = Part::variant(variant, Part::none());
        Ok(())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _name: &'static str, value: &T) -> Done {
        *self.out = Part::of(value, self.at)?;
        Ok(())
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        value: &T,
    ) -> Done {
        *self.out = Part::variant(variant, Part::of(value, self.at)?);
        Ok(())
    }

    fn serialize_seq(self, _len: Option<usize>) -> Result<List<'a>, Refused> {
        let is_set = names_set(self.of);
        Ok(List { is_set, ..List::new(self.out, self.at, None) })
    }

    fn serialize_tuple(self, _len: usize) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, self.at, None))
    }

    fn serialize_tuple_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, self.at, None))
    }

    fn serialize_tuple_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, self.at, Some(variant)))
    }

    fn serialize_map(self, _len: Option<usize>) -> Result<Map<'a>, Refused> {
        Ok(Map { out: self.out, at: self.at, entries: Vec::new(), count: 0, sum: 0, key: None })
    }

    fn serialize_struct(self, _name: &'static str, _len: usize) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, self.at, None))
    }

    fn serialize_struct_variant(
        self,
        _name: &'static str,
        _index: u32,
        variant: &'static str,
        _len: usize,
    ) -> Result<List<'a>, Refused> {
        Ok(List::new(self.out, self.at, Some(variant)))
    }
}

/// Elements, or fields, of which one variant may be made.
struct List<'a> {
    out: &'a mut Part,
    at: At<'a>,
    variant: Option<&'static str>,
    is_set: bool,
    elements: Vec<Part>,
    count: usize,
    /// Of the elements in their order.
    hash: DefaultHasher,
    /// Of the elements in any order.
    sum: u64,
    fields: Vec<(&'static str, Part)>,
}

impl<'a> List<'a> {
    fn new(out: &'a mut Part, at: At<'a>, variant: Option<&'static str>) -> Self {
        let (elements, fields) = (Vec::new(), Vec::new());
        let hash = DefaultHasher::new();
        Self { out, at, variant, is_set: false, elements, count: 0, hash, sum: 0, fields }
    }

    fn element<T: Serialize + ?Sized>(&mut self, name: Option<&'static str>, value: &T) -> Done {
        let value = Part::of(value, self.at)?;
        self.count += 1;
        if let Some(name) = name {
            (name, value.hash).hash(&mut self.hash);
            let value = if self.at.keeps() { value } else { Part::whole(value.hash) };
            self.fields.push((name, value));
        } else if self.is_set {
            self.sum = self.sum.wrapping_add(hashed(Kind::Set, value.hash));
        } else {
            value.hash.hash(&mut self.hash);
            if self.at.keeps() {
                self.elements.push(value);
            }
        }
        Ok(())
    }

    fn close(self) {
        let (count, hash) = (self.count, self.hash.finish());
        let inner = if self.is_set {
            Part::whole(hashed(Kind::Set, (count, self.sum)))
        } else if self.fields.is_empty() {
            Part { hash: hashed(Kind::List, (count, hash)), of: Of::List(self.elements, count) }
        } else {
            Part { hash: hashed(Kind::Fields, hash), of: Of::Fields(self.fields) }
        };
        *self.out = match self.variant {
            Some(variant) => Part::variant(variant, inner),
            None => inner,
        };
    }
}

list_parts!(List, Refused);

struct Map<'a> {
    out: &'a mut Part,
    at: At<'a>,
    entries: Vec<(u64, Part)>,
    count: usize,
    /// Of all entries, in any order.
    sum: u64,
    key: Option<u64>,
}

impl ser::SerializeMap for Map<'_> {
    type Ok = ();
    type Error = Refused;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Done {
        self.key = Some(Part::of(key, self.at)?.hash);
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Done {
        let key = self.key.take().ok_or(Refused)?;
        let value = Part::of(value, self.at)?;
        self.count += 1;
        self.sum = self.sum.wrapping_add(hashed(Kind::Map, (key, value.hash)));
        if self.at.keeps() {
            self.entries.push((key, value));
        }
        Ok(())
    }

    fn end(mut self) -> Done {
        self.entries.sort_unstable_by_key(|(key, _)| *key);
        let hash = hashed(Kind::Map, (self.count, self.sum));
        *self.out = Part { hash, of: Of::Map(self.entries, self.count) };
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

    #[test]
    fn of_a_large_value_the_first_parts_are_told_apart_and_all_are_compared() {
        let one: Vec<u32> = (0..200_000).collect();
        let mut other = one.clone();
        assert!(paths(&one, &other).is_empty());
        other[7] += 1;
        assert_eq!(paths(&one, &other), ["[7]"]);
        (other[7], other[199_999]) = (7, 0);
        assert_eq!(paths(&one, &other), ["value"], "it is beyond what is told apart");
        let map = |order: &mut dyn Iterator<Item = u32>| order.map(|n| (n, n)).collect::<HashMap<_, _>>();
        let (one, mut other) = (map(&mut (0..200_000)), map(&mut (0..200_000).rev()));
        assert!(paths(&one, &other).is_empty());
        other.insert(199_999, 0);
        assert!(!paths(&one, &other).is_empty());
    }

    #[test]
    fn a_large_value_takes_little_memory_to_compare() {
        let left = Cell::new(MOST_PARTS);
        let part = Part::of(&vec![vec![0_u8; 1_000]; 1_000], At { left: &left, depth: 0 }).expect("told");
        let Of::List(rows, count) = part.of else { panic!("a list") };
        let kept: usize =
            rows.iter().map(|row| if let Of::List(bytes, _) = &row.of { bytes.len() } else { 0 }).sum();
        assert!(count == 1_000 && rows.len() + kept <= MOST_PARTS, "{kept}");
    }

    #[test]
    fn what_lies_too_deep_cannot_be_told_and_ends_nothing() {
        #[derive(Serialize)]
        struct Deep(Option<Box<Deep>>);
        let deep = |levels: usize| (0..levels).fold(Deep(None), |inside, _| Deep(Some(Box::new(inside))));
        assert_eq!(differences(&deep(20), &deep(20)), Some(vec![]));
        assert_eq!(differences(&deep(2_000), &deep(2_000)), None);
    }
}
