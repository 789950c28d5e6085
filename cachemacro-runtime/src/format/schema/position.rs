//! The deserializer that types are walked with: one place of the tracer, answering every question with a sample.

use std::any::type_name;

use serde::de::value::{BorrowedStrDeserializer, MapDeserializer, SeqDeserializer, UnitDeserializer};
use serde::de::{
    DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor,
};

use super::samples::{self, Any};
use super::shape::{Kind, Payload, SlotId};
use super::tracer::{Refusal, Tracer, Visit};

/// One place in the type that is walked.
#[derive(Clone, Copy)]
pub(super) struct Position<'t> {
    tracer: &'t Tracer,
    slot: SlotId,
}

impl<'t> Position<'t> {
    /// Walks the place `slot` with a deserializer of it.
    pub(super) fn visit<T>(
        tracer: &'t Tracer,
        slot: SlotId,
        walk: impl FnOnce(Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        tracer.visit(slot, || walk(Self { tracer, slot }))
    }

    fn sample<V, T: Copy>(self, name: &'static str, samples: &[T]) -> T {
        samples[self.tracer.leaf(self.slot, type_name::<V>(), name).min(samples.len() - 1)]
    }

    fn enter<V, T>(self, kind: Kind, walk: impl FnOnce(Visit) -> Result<T, Refusal>) -> Result<T, Refusal> {
        self.tracer.enter(self.slot, type_name::<V>(), kind, walk)
    }

    fn tuple<'de, V: Visitor<'de>>(self, kind: Kind, len: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.enter::<V, _>(kind, |visit| visitor.visit_seq(Elements::new(self.tracer, visit.part, None, len)))
    }
}

macro_rules! integers {
    ($($method:ident $visit:ident $ty:ident)*) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
            let sample = self.sample::<V, _>(stringify!($ty), samples::SMALL);
            visitor.$visit($ty::try_from(sample).map_err(Refusal::custom)?)
        }
    )*};
}

impl<'de> Deserializer<'de> for Position<'_> {
    type Error = Refusal;

    integers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
    }

    fn deserialize_bool<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_bool(self.sample::<V, _>("bool", &[true, false]))
    }

    fn deserialize_f32<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_f32(self.sample::<V, _>("f32", samples::FLOATS))
    }

    fn deserialize_f64<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_f64(self.sample::<V, _>("f64", samples::FLOATS).into())
    }

    fn deserialize_char<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_char(self.sample::<V, _>("char", samples::CHARS))
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_str(self.sample::<V, _>("str", samples::TEXTS))
    }

    fn deserialize_string<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_string(self.sample::<V, _>("str", samples::TEXTS).into())
    }

    fn deserialize_identifier<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_str(self.sample::<V, _>("identifier", samples::TEXTS))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_bytes(self.sample::<V, _>("bytes", samples::BYTES))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_byte_buf(self.sample::<V, _>("bytes", samples::BYTES).into())
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.sample::<V, _>("unit", &[()]);
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.sample::<V, _>("ignored", &[()]);
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        // A unit, and what takes any JSON, have no more to tell.
        if let Some(name) = match type_name::<V::Value>() {
            "()" => return self.deserialize_unit(visitor),
            "serde_json::value::Value" => Some("json"),
            "serde_json::number::Number" => Some("json number"),
            _ => None,
        } {
            return visitor.visit_u64(self.sample::<V, _>(name, &[1]));
        }
        match self.sample::<V, _>("any", samples::ANY) {
            Any::Number => visitor.visit_u64(1),
            Any::Text => visitor.visit_borrowed_str("1"),
            Any::Bool => visitor.visit_bool(true),
            Any::Unit => visitor.visit_unit(),
            Any::Map => visitor.visit_map(MapDeserializer::new(std::iter::empty::<(u8, u8)>())),
            Any::Seq => visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<u8>())),
            Any::Float => visitor.visit_f64(1.0),
            Any::Some => visitor.visit_some(UnitDeserializer::new()),
        }
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.enter::<V, _>(Kind::UnitStruct(name), |_| visitor.visit_unit())
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.enter::<V, _>(Kind::Newtype(name), |visit| {
            let inside = self.tracer.child(visit.part, None, 0);
            Position::visit(self.tracer, inside, |position| visitor.visit_newtype_struct(position))
        })
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.enter::<V, _>(Kind::Option, |visit| {
            let inside = self.tracer.child(visit.part, None, 0);
            if visit.least || !self.tracer.is_open(inside) {
                return visitor.visit_none();
            }
            Position::visit(self.tracer, inside, |position| visitor.visit_some(position))
        })
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.enter::<V, _>(Kind::Seq, |visit| {
            let wanted = samples::LENGTHS[visit.sample.min(samples::LENGTHS.len() - 1)];
            let first = self.tracer.child(visit.part, None, 0);
            let empty = (visit.least && !self.tracer.is_nonempty(visit.part)) || !self.tracer.is_open(first);
            visitor.visit_seq(Elements::new(self.tracer, visit.part, None, if empty { 0 } else { wanted }))
        })
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.tuple(Kind::Tuple(len), len, visitor)
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.tuple(Kind::TupleStruct(name, len), len, visitor)
    }

    fn deserialize_map<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.enter::<V, _>(Kind::Map, |visit| {
            let tracer = self.tracer;
            let value = tracer.child(visit.part, None, 1);
            let key = tracer.child(visit.part, None, 0);
            let wanted = samples::ENTRIES[visit.sample.min(samples::ENTRIES.len() - 1)];
            let empty = (visit.least && !tracer.is_nonempty(visit.part))
                || !tracer.is_open(key)
                || !tracer.is_open(value);
            let visited =
                visitor.visit_map(Entries { tracer, key, value, left: if empty { 0 } else { wanted } });
            if tracer.has_field_names(visit.part) {
                tracer.mark_opaque(visit.part);
            }
            visited
        })
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.enter::<V, _>(Kind::Struct(name, fields), |visit| {
            walk_fields(self.tracer, visit, None, fields, visitor)
        })
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.enter::<V, _>(Kind::Enum(name, variants), |visit| {
            self.tracer.visit_variant(visit, variants.len(), |variant| {
                visitor.visit_enum(Choice { tracer: self.tracer, visit, variant, name: variants[variant] })
            })
        })
    }

    // Compact codecs are where a changed shape reads as garbage, and their forms tell more.
    fn is_human_readable(&self) -> bool {
        false
    }
}

/// Offers the fields of a struct by name, in order, leaving out those that no sample makes: the fields behind them are
/// seen all the same. Visitors that know no names get the fields as a sequence.
fn walk_fields<'de, V: Visitor<'de>>(
    tracer: &Tracer,
    visit: Visit,
    variant: Option<usize>,
    names: &'static [&'static str],
    visitor: V,
) -> Result<V::Value, Refusal> {
    if tracer.is_by_seq(visit.part) {
        return visitor.visit_seq(Elements::new(tracer, visit.part, variant, names.len()));
    }
    let mut fields = Fields { tracer, visit, variant, names, next: 0, handed: None, asked: false };
    fields.all();
    let visited = visitor.visit_map(&mut fields);
    match (&visited, fields.handed) {
        (Err(Refusal::Duplicate), Some(field)) => {
            tracer.mark_alias(tracer.child(visit.part, variant, field));
            Err(Refusal::Again)
        }
        (Err(Refusal::No), _) if !fields.asked => {
            tracer.mark_by_seq(visit.part);
            Err(Refusal::Again)
        }
        _ => visited,
    }
}

struct Fields<'t> {
    tracer: &'t Tracer,
    visit: Visit,
    variant: Option<usize>,
    names: &'static [&'static str],
    next: usize,
    /// The field whose name was handed out and whose value was not asked for yet.
    handed: Option<usize>,
    /// Whether any name was asked for.
    asked: bool,
}

impl Fields<'_> {
    fn slot(&self, field: usize) -> usize {
        self.tracer.child(self.visit.part, self.variant, field)
    }

    /// Makes places for all fields, so that one that is never reached shows.
    fn all(&self) {
        if let Some(last) = self.names.len().checked_sub(1) {
            self.slot(last);
        }
    }
}

impl<'de> MapAccess<'de> for &mut Fields<'_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        self.asked = true;
        while self.next < self.names.len() && !self.tracer.is_open(self.slot(self.next)) {
            self.next += 1;
        }
        let Some(name) = self.names.get(self.next) else {
            self.handed = None;
            return Ok(None);
        };
        self.handed = Some(self.next);
        self.next += 1;
        seed.deserialize(BorrowedStrDeserializer::new(name)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let field = self.handed.take().ok_or(Refusal::No)?;
        Position::visit(self.tracer, self.slot(field), |position| seed.deserialize(position))
    }
}

/// The elements of a sequence, a tuple or a variant, up to the first that no sample makes.
struct Elements<'t> {
    tracer: &'t Tracer,
    part: usize,
    variant: Option<usize>,
    next: usize,
    len: usize,
}

impl<'t> Elements<'t> {
    fn new(tracer: &'t Tracer, part: usize, variant: Option<usize>, len: usize) -> Self {
        if let Some(last) = len.checked_sub(1) {
            tracer.child(part, variant, last);
        }
        Self { tracer, part, variant, next: 0, len }
    }
}

impl<'de> SeqAccess<'de> for Elements<'_> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<Option<T::Value>, Refusal> {
        if self.next == self.len {
            return Ok(None);
        }
        let slot = self.tracer.child(self.part, self.variant, self.next);
        if !self.tracer.is_open(slot) {
            return Ok(None);
        }
        self.next += 1;
        Position::visit(self.tracer, slot, |position| seed.deserialize(position)).map(Some)
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.len - self.next)
    }
}

/// The entries of a map.
struct Entries<'t> {
    tracer: &'t Tracer,
    key: usize,
    value: usize,
    left: usize,
}

impl<'de> MapAccess<'de> for Entries<'_> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, Refusal> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Position::visit(self.tracer, self.key, |position| seed.deserialize(position)).map(Some)
    }

    fn next_value_seed<T: DeserializeSeed<'de>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        Position::visit(self.tracer, self.value, |position| seed.deserialize(position))
    }
}

/// One variant of an enum.
struct Choice<'t> {
    tracer: &'t Tracer,
    visit: Visit,
    variant: usize,
    name: &'static str,
}

impl Choice<'_> {
    fn holds(&self, payload: Payload) {
        self.tracer.set_payload(self.visit.part, self.variant, payload);
    }
}

impl<'de> EnumAccess<'de> for Choice<'_> {
    type Error = Refusal;
    type Variant = Self;

    fn variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<(T::Value, Self), Refusal> {
        let variant = seed.deserialize(BorrowedStrDeserializer::new(self.name))?;
        Ok((variant, self))
    }
}

impl<'de> VariantAccess<'de> for Choice<'_> {
    type Error = Refusal;

    fn unit_variant(self) -> Result<(), Refusal> {
        self.holds(Payload::Unit);
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, Refusal> {
        self.holds(Payload::Newtype);
        let inside = self.tracer.child(self.visit.part, Some(self.variant), 0);
        Position::visit(self.tracer, inside, |position| seed.deserialize(position))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.holds(Payload::Tuple(len));
        visitor.visit_seq(Elements::new(self.tracer, self.visit.part, Some(self.variant), len))
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        self.holds(Payload::Struct(fields));
        walk_fields(self.tracer, self.visit, Some(self.variant), fields, visitor)
    }
}
