//! Keeps hostile bytes from costing more than their own size: a wrapper around any serde `Deserializer`.
//!
//! Three things are bounded, for every codec alike: how deep values nest (the stack), how many elements a
//! payload may claim (CPU: an element of size zero takes no byte, so a count alone can ask for billions), and
//! what containers are told about their size (memory: a claimed length is only a claim). Strings and byte
//! strings are asked for borrowed, because some codecs allocate an owned one before looking at what is there.
//!
//! It knows no codec and no type.

use std::cell::Cell;
use std::fmt;

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess,
    Visitor,
};

/// How deep values may nest: each sequence, map, structure, enum and `Some` on the way counts one.
pub const MAX_DEPTH: u32 = 256;

/// How many elements the sequences and maps of a payload may have beyond one for each of its bytes; only elements that
/// take no byte at all (such as `()`) can reach it.
pub const MAX_EMPTY_ELEMENTS: usize = 1 << 16;

/// Decodes a `T` from a deserializer that reads a payload of `len` bytes, within the limits that all codecs of this crate
/// keep. For codecs of your own.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::codec::decode_guarded;
///
/// let bytes = b"[1, 2, 3]";
/// let mut deserializer = serde_json::Deserializer::from_slice(bytes);
/// let list: Vec<u8> = decode_guarded(bytes.len(), &mut deserializer)?;
/// assert_eq!(list, [1, 2, 3]);
/// # Ok::<(), serde_json::Error>(())
/// ```
///
/// # Errors
/// The deserializer's, and where the payload nests deeper than [`MAX_DEPTH`] or claims more elements than it has
/// bytes (and [`MAX_EMPTY_ELEMENTS`] more).
pub fn decode_guarded<'de, T, D>(len: usize, deserializer: D) -> Result<T, D::Error>
where
    T: DeserializeOwned,
    D: Deserializer<'de>,
{
    let limits = Limits {
        depth: Cell::new(MAX_DEPTH),
        elements: Cell::new(len.saturating_add(MAX_EMPTY_ELEMENTS)),
        longest: len,
    };
    T::deserialize(Guarded { inner: deserializer, limits: &limits, counted: false })
}

/// What one payload may still cost.
#[derive(Debug)]
struct Limits {
    depth: Cell<u32>,
    elements: Cell<usize>,
    /// The most elements that the payload's bytes can hold, as far as elements take bytes.
    longest: usize,
}

impl Limits {
    fn element<E: Error>(&self) -> Result<(), E> {
        let left = self.elements.get().checked_sub(1).ok_or_else(|| E::custom("more elements than bytes"))?;
        self.elements.set(left);
        Ok(())
    }

    fn nested<T, E: Error>(&self, visit: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let depth = self.depth.get();
        self.depth.set(depth.checked_sub(1).ok_or_else(|| E::custom("nested too deeply"))?);
        let visited = visit();
        self.depth.set(depth);
        visited
    }

    fn hint(&self, claimed: Option<usize>) -> Option<usize> {
        claimed.map(|claimed| claimed.min(self.longest))
    }
}

/// Any part of a deserializer (itself, a visitor, a seed, an access) that hands the limits on to what is inside.
struct Guarded<'l, I> {
    inner: I,
    limits: &'l Limits,
    /// Whether the number of elements comes from the payload, not from the type. Each of them then has a byte of its own
    /// (the length of what is inside, at least), unless it takes no byte at all.
    counted: bool,
}

impl<'l, I> Guarded<'l, I> {
    fn wrap<J>(&self, inner: J) -> Guarded<'l, J> {
        Guarded { inner, limits: self.limits, counted: false }
    }

    /// The access to the elements of what a visitor visits.
    fn access<J>(&self, inner: J) -> Guarded<'l, J> {
        Guarded { inner, limits: self.limits, counted: self.counted }
    }

    fn count<T, E: Error>(&self, element: Option<T>) -> Result<Option<T>, E> {
        if self.counted && element.is_some() {
            self.limits.element()?;
        }
        Ok(element)
    }
}

/// Numbers hold nothing that could nest, so their visitors go to the codec as they are.
macro_rules! forward_numbers {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.inner.$method(visitor)
        }
    )*};
}

macro_rules! forward {
    ($($method:ident => $inner:ident($($arg:ident: $ty:ty),*);)*) => {$(
        fn $method<V: Visitor<'de>>(self, $($arg: $ty,)* visitor: V) -> Result<V::Value, D::Error> {
            let visitor = self.wrap(visitor);
            self.inner.$inner($($arg,)* visitor)
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Guarded<'_, D> {
    type Error = D::Error;

    forward_numbers! {
        deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64
    }

    forward! {
        deserialize_any => deserialize_any();
        deserialize_ignored_any => deserialize_ignored_any();
        deserialize_identifier => deserialize_identifier();
        deserialize_char => deserialize_char();
        deserialize_str => deserialize_str();
        deserialize_string => deserialize_str();
        deserialize_bytes => deserialize_bytes();
        deserialize_byte_buf => deserialize_bytes();
        deserialize_option => deserialize_option();
        deserialize_unit => deserialize_unit();
        deserialize_unit_struct => deserialize_unit_struct(name: &'static str);
        deserialize_newtype_struct => deserialize_newtype_struct(name: &'static str);
        deserialize_tuple => deserialize_tuple(len: usize);
        deserialize_tuple_struct => deserialize_tuple_struct(name: &'static str, len: usize);
        deserialize_struct => deserialize_struct(name: &'static str, fields: &'static [&'static str]);
        deserialize_enum => deserialize_enum(name: &'static str, variants: &'static [&'static str]);
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_seq(Guarded { inner: visitor, limits: self.limits, counted: true })
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.inner.deserialize_map(Guarded { inner: visitor, limits: self.limits, counted: true })
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

macro_rules! forward_visits {
    ($($method:ident($ty:ty);)*) => {$(
        fn $method<E: Error>(self, value: $ty) -> Result<V::Value, E> {
            self.inner.$method(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Guarded<'_, V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.expecting(f)
    }

    forward_visits! {
        visit_bool(bool);
        visit_i8(i8); visit_i16(i16); visit_i32(i32); visit_i64(i64); visit_i128(i128);
        visit_u8(u8); visit_u16(u16); visit_u32(u32); visit_u64(u64); visit_u128(u128);
        visit_f32(f32); visit_f64(f64);
        visit_char(char);
        visit_str(&str); visit_borrowed_str(&'de str); visit_string(String);
        visit_bytes(&[u8]); visit_borrowed_bytes(&'de [u8]); visit_byte_buf(Vec<u8>);
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.inner.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.limits.nested(|| self.inner.visit_some(deserializer))
    }

    // Not counted: what recurses goes through an option, an enum or a container as well.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.visit_newtype_struct(deserializer)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<V::Value, A::Error> {
        let seq = self.access(seq);
        self.limits.nested(|| self.inner.visit_seq(seq))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<V::Value, A::Error> {
        let map = self.access(map);
        self.limits.nested(|| self.inner.visit_map(map))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, data: A) -> Result<V::Value, A::Error> {
        let data = self.wrap(data);
        self.limits.nested(|| self.inner.visit_enum(data))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Guarded<'_, S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        let deserializer = self.wrap(deserializer);
        self.inner.deserialize(deserializer)
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, A::Error> {
        let seed = self.wrap(seed);
        let element = self.inner.next_element_seed(seed)?;
        self.count(element)
    }

    fn size_hint(&self) -> Option<usize> {
        self.limits.hint(self.inner.size_hint())
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, A::Error> {
        let seed = self.wrap(seed);
        let key = self.inner.next_key_seed(seed)?;
        self.count(key)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.next_value_seed(seed)
    }

    fn size_hint(&self) -> Option<usize> {
        self.limits.hint(self.inner.size_hint())
    }
}

impl<'l, 'de, A: EnumAccess<'de>> EnumAccess<'de> for Guarded<'l, A> {
    type Error = A::Error;
    type Variant = Guarded<'l, A::Variant>;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self::Variant), A::Error> {
        let limits = self.limits;
        let seed = self.wrap(seed);
        let (value, variant) = self.inner.variant_seed(seed)?;
        Ok((value, Guarded { inner: variant, limits, counted: false }))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Guarded<'_, A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.inner.unit_variant()
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, A::Error> {
        let seed = self.wrap(seed);
        self.inner.newtype_variant_seed(seed)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.tuple_variant(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, A::Error> {
        let visitor = self.wrap(visitor);
        self.inner.struct_variant(fields, visitor)
    }
}
