//! Looks at a value while a codec encodes it, and refuses what the codec would not bring back as it is: a wrapper around
//! any serde `Serializer`, the counterpart of the guard that decodes.
//!
//! Three things can be seen of a value on its way. How deep it nests: deeper than is decoded, its bytes would never be
//! read. Fields that are left out: a codec without names would take the next one's bytes for theirs. And what the codec
//! writes as null, inside a `Some`: it would come back as `None`.
//!
//! Strings and integers pass as they are. It knows no type.

use std::cell::{Cell, RefCell};
use std::fmt::Display;

use serde::Serialize;
use serde::ser::{
    Error, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
    SerializeTupleStruct, SerializeTupleVariant, Serializer,
};

use super::guard::MAX_DEPTH;
use crate::ground::unstorable::Unstorable;

/// What a format does to values, as far as it matters here.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Form {
    /// Fields have no names: one that is left out shifts all others.
    pub(crate) compact: bool,
    /// `None`, `()` and a unit struct are written alike, and `Some` not at all.
    pub(crate) null: Null,
    /// NaN and infinities are written as null.
    pub(crate) finite: bool,
    /// How many lists, maps and payloads of variants may be inside one another, where that is less than [`MAX_DEPTH`].
    pub(crate) containers: u32,
}

/// What a format writes as null.
#[cfg_attr(
    not(all(feature = "msgpack", feature = "json")),
    allow(dead_code, reason = "each is of one codec")
)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Null {
    /// Nothing: a `Some` can always be told from `None`.
    No,
    /// `None` and `()`.
    Unit,
    /// `None`, `()` and unit structs.
    UnitStruct,
}

#[cfg_attr(
    not(all(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json")),
    allow(dead_code, reason = "each is of one codec or two")
)]
impl Form {
    /// A codec of which nothing is known.
    pub(crate) const OWN: Self =
        Self { compact: false, null: Null::No, finite: false, containers: MAX_DEPTH };
    /// bincode and postcard.
    pub(crate) const COMPACT: Self = Self { compact: true, ..Self::OWN };
    /// `MessagePack` writes a unit struct as an empty list.
    pub(crate) const MESSAGE_PACK: Self = Self { null: Null::Unit, ..Self::OWN };
    /// `serde_json` decodes 127 levels.
    pub(crate) const JSON: Self = Self { null: Null::UnitStruct, finite: true, containers: 127, ..Self::OWN };
}

/// A field that was left out: of which struct or variant, and its name.
pub(crate) type Skipped = (&'static str, &'static str);

/// One value on its way.
#[derive(Debug)]
pub(super) struct Audit {
    form: Form,
    refused: Cell<Option<Unstorable>>,
    skipped: RefCell<Vec<Skipped>>,
}

impl Audit {
    pub(super) fn new(form: Form) -> Self {
        Self { form, refused: Cell::new(None), skipped: RefCell::default() }
    }

    /// The value, to be encoded in its place.
    pub(super) fn of<'a, T: ?Sized>(&'a self, value: &'a T) -> Audited<'a, T> {
        Audited { value, audit: self, place: Place { depth: 0, containers: 0, in_some: false } }
    }

    /// Why it was refused, if it was.
    pub(super) fn refused(&self) -> Option<Unstorable> {
        self.refused.get()
    }

    /// The fields that were left out.
    pub(super) fn into_skipped(self) -> Vec<Skipped> {
        self.skipped.into_inner()
    }

    fn refuse<T, E: Error>(&self, why: Unstorable) -> Result<T, E> {
        self.refused.set(Some(why));
        Err(E::custom(why))
    }

    fn skip<E: Error>(&self, of: &'static str, field: &'static str) -> Result<(), E> {
        if self.form.compact {
            return self.refuse(Unstorable::SkippedField);
        }
        let mut skipped = self.skipped.borrow_mut();
        if !skipped.contains(&(of, field)) {
            skipped.push((of, field));
        }
        Ok(())
    }
}

/// Where in the value.
#[derive(Debug, Clone, Copy)]
struct Place {
    /// As the guard counts: each list, map, structure, enum and `Some` on the way.
    depth: u32,
    containers: u32,
    /// Directly inside a `Some`.
    in_some: bool,
}

/// A part of the value.
pub(super) struct Audited<'a, T: ?Sized> {
    value: &'a T,
    audit: &'a Audit,
    place: Place,
}

impl<T: Serialize + ?Sized> Serialize for Audited<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.value.serialize(Auditing { inner: serializer, audit: self.audit, place: self.place })
    }
}

/// The serializer of one part.
struct Auditing<'a, S> {
    inner: S,
    audit: &'a Audit,
    place: Place,
}

impl<'a, S: Serializer> Auditing<'a, S> {
    /// The place so many levels further in, some of them containers.
    fn inside(&self, levels: u32, containers: u32) -> Result<Place, S::Error> {
        let Place { depth, containers: around, .. } = self.place;
        let place = Place { depth: depth + levels, containers: around + containers, in_some: false };
        if place.depth > MAX_DEPTH || place.containers > self.audit.form.containers {
            return self.audit.refuse(Unstorable::TooDeep);
        }
        Ok(place)
    }

    /// Null, which inside a `Some` would come back as `None`.
    fn null(&self, is_null: bool) -> Result<(), S::Error> {
        if self.place.in_some && is_null { self.audit.refuse(Unstorable::EmptySome) } else { Ok(()) }
    }

    fn finite(&self, finite: bool) -> Result<(), S::Error> {
        if finite || !self.audit.form.finite { Ok(()) } else { self.audit.refuse(Unstorable::NotFinite) }
    }

    fn open<C>(
        self,
        levels: u32,
        name: &'static str,
        open: impl FnOnce(S) -> Result<C, S::Error>,
    ) -> Result<Compound<'a, C>, S::Error> {
        // A container's decoder counts each level, and of a variant the payload too.
        let place = self.inside(levels, levels)?;
        Ok(Compound { inner: open(self.inner)?, audit: self.audit, place, name })
    }
}

macro_rules! forward {
    ($($method:ident($ty:ty);)*) => {$(
        fn $method(self, value: $ty) -> Result<S::Ok, S::Error> {
            self.inner.$method(value)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for Auditing<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Compound<'a, S::SerializeSeq>;
    type SerializeTuple = Compound<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Compound<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Compound<'a, S::SerializeTupleVariant>;
    type SerializeMap = Compound<'a, S::SerializeMap>;
    type SerializeStruct = Compound<'a, S::SerializeStruct>;
    type SerializeStructVariant = Compound<'a, S::SerializeStructVariant>;

    forward! {
        serialize_bool(bool);
        serialize_i8(i8); serialize_i16(i16); serialize_i32(i32); serialize_i64(i64); serialize_i128(i128);
        serialize_u8(u8); serialize_u16(u16); serialize_u32(u32); serialize_u64(u64); serialize_u128(u128);
        serialize_char(char); serialize_str(&str); serialize_bytes(&[u8]);
    }

    fn serialize_f32(self, value: f32) -> Result<S::Ok, S::Error> {
        self.finite(value.is_finite())?;
        self.inner.serialize_f32(value)
    }

    fn serialize_f64(self, value: f64) -> Result<S::Ok, S::Error> {
        self.finite(value.is_finite())?;
        self.inner.serialize_f64(value)
    }

    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        self.null(self.audit.form.null != Null::No)?;
        self.inner.serialize_none()
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        self.null(self.audit.form.null != Null::No)?;
        self.inner.serialize_unit()
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        self.null(self.audit.form.null == Null::UnitStruct)?;
        self.inner.serialize_unit_struct(name)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let place = Place { in_some: true, ..self.inside(1, 0)? };
        self.inner.serialize_some(&Audited { value, audit: self.audit, place })
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        // It leaves no trace in any format, so a `Some` around it is one around what is inside.
        self.inner.serialize_newtype_struct(name, &Audited { value, audit: self.audit, place: self.place })
    }

    fn serialize_unit_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
    ) -> Result<S::Ok, S::Error> {
        self.inside(1, 0)?;
        self.inner.serialize_unit_variant(name, index, variant)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let place = self.inside(1, 1)?;
        let value = Audited { value, audit: self.audit, place };
        self.inner.serialize_newtype_variant(name, index, variant, &value)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        self.open(1, "", |inner| inner.serialize_seq(len))
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        self.open(1, "", |inner| inner.serialize_tuple(len))
    }

    fn serialize_tuple_struct(
        self,
        name: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleStruct, S::Error> {
        self.open(1, name, |inner| inner.serialize_tuple_struct(name, len))
    }

    fn serialize_tuple_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeTupleVariant, S::Error> {
        self.open(2, variant, |inner| inner.serialize_tuple_variant(name, index, variant, len))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        self.open(1, "", |inner| inner.serialize_map(len))
    }

    fn serialize_struct(self, name: &'static str, len: usize) -> Result<Self::SerializeStruct, S::Error> {
        self.open(1, name, |inner| inner.serialize_struct(name, len))
    }

    fn serialize_struct_variant(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        len: usize,
    ) -> Result<Self::SerializeStructVariant, S::Error> {
        self.open(2, variant, |inner| inner.serialize_struct_variant(name, index, variant, len))
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// What is inside a list, a map or a structure.
struct Compound<'a, C> {
    inner: C,
    audit: &'a Audit,
    place: Place,
    /// Of the struct or variant.
    name: &'static str,
}

macro_rules! compounds {
    ($($trait:ident { $($method:ident)* })*) => {$(
        impl<C: $trait> $trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            $(fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
                let part = Audited { value, audit: self.audit, place: self.place };
                self.inner.$method(&part)
            })*

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

compounds! {
    SerializeSeq { serialize_element }
    SerializeTuple { serialize_element }
    SerializeTupleStruct { serialize_field }
    SerializeTupleVariant { serialize_field }
}

impl<C: SerializeMap> SerializeMap for Compound<'_, C> {
    type Ok = C::Ok;
    type Error = C::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), C::Error> {
        let key = Audited { value: key, audit: self.audit, place: self.place };
        self.inner.serialize_key(&key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), C::Error> {
        let value = Audited { value, audit: self.audit, place: self.place };
        self.inner.serialize_value(&value)
    }

    fn serialize_entry<K: Serialize + ?Sized, V: Serialize + ?Sized>(
        &mut self,
        key: &K,
        value: &V,
    ) -> Result<(), C::Error> {
        let key = Audited { value: key, audit: self.audit, place: self.place };
        let value = Audited { value, audit: self.audit, place: self.place };
        self.inner.serialize_entry(&key, &value)
    }

    fn end(self) -> Result<C::Ok, C::Error> {
        self.inner.end()
    }
}

macro_rules! structs {
    ($($trait:ident)*) => {$(
        impl<C: $trait> $trait for Compound<'_, C> {
            type Ok = C::Ok;
            type Error = C::Error;

            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), C::Error> {
                let field = Audited { value, audit: self.audit, place: self.place };
                self.inner.serialize_field(name, &field)
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), C::Error> {
                self.audit.skip(self.name, name)?;
                self.inner.skip_field(name)
            }

            fn end(self) -> Result<C::Ok, C::Error> {
                self.inner.end()
            }
        }
    )*};
}

structs! { SerializeStruct SerializeStructVariant }
