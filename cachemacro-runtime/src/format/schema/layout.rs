//! What a type's values look like in bytes that do not say what is what, for tools that have no such type.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::shape::{Kind, PartId, Payload, SlotId, State};

/// A type without its code: what compact codecs write of it, place by place. The first place is the value itself.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::{LayoutPart, fingerprint_of};
///
/// #[derive(serde::Deserialize)]
/// struct User {
///     id: u64,
///     name: Option<String>,
/// }
///
/// let layout = fingerprint_of::<User>().layout().expect("all of it is seen");
/// assert_eq!(layout.places[0], LayoutPart::Struct(vec![("id".to_owned(), 1), ("name".to_owned(), 2)]));
/// assert_eq!(layout.places[1], LayoutPart::Leaf("u64".to_owned()));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// What is where. Numbers in it are of other places.
    pub places: Vec<LayoutPart>,
}

/// One place of a [`Layout`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::schema::{LayoutPart, fingerprint_of};
///
/// assert_eq!(fingerprint_of::<Vec<u8>>().layout().map(|layout| &layout.places[0]), Some(&LayoutPart::Seq(1)));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LayoutPart {
    /// A primitive by name: `u64`, `str`, `bytes`, `bool`.
    Leaf(String),
    /// Nothing is written.
    Unit,
    /// What is at that place is written alone.
    Newtype(usize),
    /// Perhaps what is at that place. (A variant `Option` would have compilers write `std::option::Option` in messages about callers' types.)
    Optional(usize),
    /// Any number of that.
    Seq(usize),
    /// Any number of these keys and values.
    Map(usize, usize),
    /// One after the other.
    Tuple(Vec<usize>),
    /// Fields, one after the other.
    Struct(Vec<(String, usize)>),
    /// One of these variants, told by its number; `None`: of one nothing is known.
    Enum(Vec<(String, Option<LayoutPart>)>),
}

impl State {
    /// `None` where some place was not seen, or holds now this, now that.
    pub(super) fn layout(&self, root: SlotId) -> Option<Layout> {
        let mut layout = Layout::default();
        self.place(root, &mut layout, &mut HashMap::new())?;
        Some(layout)
    }

    /// The number of the place, which is added where it is new.
    fn place(&self, slot: SlotId, layout: &mut Layout, known: &mut HashMap<PartId, usize>) -> Option<usize> {
        let slot = &self.slots[slot];
        let [(id, _)] = slot.parts[..] else { return None };
        if let Some(&at) = known.get(&id) {
            return Some(at);
        }
        let part = &self.parts[id];
        if part.opaque {
            return None;
        }
        let at = layout.places.len();
        known.insert(id, at);
        layout.places.push(LayoutPart::Unit);
        let mut inside = |slot: SlotId| self.place(slot, layout, known);
        let place = match part.kind {
            Kind::Leaf("any" | "json" | "json number" | "ignored" | "identifier") => return None,
            Kind::Leaf(name) => LayoutPart::Leaf(name.to_owned()),
            Kind::UnitStruct(_) => LayoutPart::Unit,
            Kind::Newtype(_) => LayoutPart::Newtype(inside(*part.slots.first()?)?),
            Kind::Option => LayoutPart::Optional(inside(*part.slots.first()?)?),
            Kind::Seq => LayoutPart::Seq(inside(*part.slots.first()?)?),
            Kind::Map => LayoutPart::Map(inside(*part.slots.first()?)?, inside(*part.slots.get(1)?)?),
            Kind::Tuple(len) | Kind::TupleStruct(_, len) => self.tuple(&part.slots, len, layout, known)?,
            Kind::Struct(_, names) => self.fields(&part.slots, names, layout, known)?,
            Kind::Enum(_, names) => {
                let mut variants = Vec::with_capacity(names.len());
                for (name, variant) in names.iter().zip(&part.variants) {
                    let place = match variant.payload {
                        Payload::Unvisited => None,
                        Payload::Unit => Some(LayoutPart::Unit),
                        Payload::Newtype => {
                            let first = variant.slots.first();
                            first.and_then(|slot| self.place(*slot, layout, known)).map(LayoutPart::Newtype)
                        }
                        Payload::Tuple(len) => self.tuple(&variant.slots, len, layout, known),
                        Payload::Struct(fields) => self.fields(&variant.slots, fields, layout, known),
                    };
                    variants.push(((*name).to_owned(), place));
                }
                LayoutPart::Enum(variants)
            }
        };
        layout.places[at] = place;
        Some(at)
    }

    fn tuple(
        &self,
        slots: &[SlotId],
        len: usize,
        layout: &mut Layout,
        known: &mut HashMap<PartId, usize>,
    ) -> Option<LayoutPart> {
        let elements: Option<Vec<usize>> =
            slots.iter().take(len).map(|slot| self.place(*slot, layout, known)).collect();
        elements.filter(|elements| elements.len() == len).map(LayoutPart::Tuple)
    }

    fn fields(
        &self,
        slots: &[SlotId],
        names: &[&str],
        layout: &mut Layout,
        known: &mut HashMap<PartId, usize>,
    ) -> Option<LayoutPart> {
        if slots.len() != names.len() {
            return None;
        }
        let own = names.iter().zip(slots).filter(|(_, slot)| !self.slots[**slot].alias);
        let fields = own.map(|(name, slot)| Some(((*name).to_owned(), self.place(*slot, layout, known)?)));
        Some(LayoutPart::Struct(fields.collect::<Option<_>>()?))
    }
}
