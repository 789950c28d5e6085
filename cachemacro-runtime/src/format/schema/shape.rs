//! What is known of a type while it is walked: its parts and the places in them; in the end its hash, and what could not
//! be seen of it.
//!
//! Parts are identified by the type of the visitor that asks for them; its name stays within the process and is not
//! part of the fingerprint.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3;

use super::samples;
use super::words::{write_number, write_word};

pub(super) type SlotId = usize;
pub(super) type PartId = usize;
pub(super) type Names = &'static [&'static str];

/// What a type asks a deserializer for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    /// A primitive, by name.
    Leaf(&'static str),
    UnitStruct(&'static str),
    Newtype(&'static str),
    Option,
    Seq,
    Map,
    Tuple(usize),
    TupleStruct(&'static str, usize),
    Struct(&'static str, Names),
    Enum(&'static str, Names),
}

/// The payload of a variant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Payload {
    Unvisited,
    Unit,
    Newtype,
    Tuple(usize),
    Struct(Names),
}

/// A place for a value: the root, a field, an element.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// What was asked for here, in order of appearance, and which sample is next in turn; nearly always one.
    pub(super) parts: Vec<(PartId, usize)>,
    /// Which of them was asked for last.
    pub(super) last: usize,
    /// No sample makes a value here.
    pub(super) refused: bool,
    /// Another name of a field before it.
    pub(super) alias: bool,
}

#[derive(Debug)]
pub(super) struct Variant {
    pub(super) payload: Payload,
    pub(super) slots: Vec<SlotId>,
}

/// A type, as far as its visitor tells.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent findings, not the states of one machine")]
pub(super) struct Part {
    pub(super) kind: Kind,
    pub(super) slots: Vec<SlotId>,
    pub(super) variants: Vec<Variant>,
    /// The variant that is being explored.
    pub(super) exploring: usize,
    /// A variant that makes a value.
    pub(super) makes: Option<usize>,
    /// The variant to try where the least is wanted and none is known to make a value.
    pub(super) trying: usize,
    /// Nothing new was found inside.
    pub(super) settled: bool,
    /// Refused to be empty.
    pub(super) nonempty: bool,
    /// Takes its fields as a sequence only.
    pub(super) by_seq: bool,
    /// Holds what cannot be seen.
    pub(super) opaque: bool,
}

#[derive(Debug, Default)]
pub(super) struct State {
    pub(super) slots: Vec<Slot>,
    pub(super) parts: Vec<Part>,
    pub(super) known: HashMap<(&'static str, Kind), PartId>,
    /// The parts that the walk is inside of.
    pub(super) inside: Vec<PartId>,
    /// Whether the least is wanted.
    pub(super) least: bool,
    /// Some place holds more than one part, depending on a tag.
    pub(super) tagged: bool,
    pub(super) pass: usize,
    pub(super) progress: usize,
    pub(super) steps: usize,
}

impl State {
    pub(super) fn part(&mut self, slot: SlotId, visitor: &'static str, kind: Kind) -> PartId {
        let new = self.parts.len();
        let part = *self.known.entry((visitor, kind)).or_insert(new);
        if part == new {
            self.parts.push(Part::new(kind));
        }
        let slot = &mut self.slots[slot];
        slot.last = slot.parts.iter().position(|&(known, _)| known == part).unwrap_or(slot.parts.len());
        if slot.last == slot.parts.len() {
            slot.parts.push((part, 0));
            self.tagged |= slot.last > 0;
            self.progress += 1;
        }
        part
    }

    /// How many passes without news mean that there are none.
    pub(super) fn round(&self) -> usize {
        let tags = self.parts.iter().filter(|part| self.tagged && part.is_tag());
        tags.map(|part| part.variants.len()).max().unwrap_or(1)
    }

    pub(super) fn children(&self, part: PartId, variant: Option<usize>) -> &[SlotId] {
        match variant {
            Some(variant) => &self.parts[part].variants[variant].slots,
            None => &self.parts[part].slots,
        }
    }

    /// What was given at `slot` was refused: something else next time, if there is anything.
    pub(super) fn refuse(&mut self, slot: SlotId, least: bool) {
        let slot = &mut self.slots[slot];
        if let Some((part, sample)) = slot.parts.get_mut(slot.last) {
            let part = &mut self.parts[*part];
            if (least || part.settled) && matches!(part.kind, Kind::Seq | Kind::Map) && !part.nonempty {
                part.nonempty = true;
                return;
            }
            if *sample + 1 < part.kind.samples() {
                *sample += 1;
                return;
            }
        }
        slot.refused = true;
    }

    pub(super) fn hash(&self, root: SlotId) -> u64 {
        let mut hasher = Xxh3::new();
        self.write(root, &mut hasher, &mut HashMap::new());
        hasher.digest()
    }

    fn write(&self, slot: SlotId, hasher: &mut Xxh3, written: &mut HashMap<PartId, usize>) {
        let slot = &self.slots[slot];
        write_number(hasher, slot.parts.len());
        for &(part, sample) in &slot.parts {
            if let Kind::Leaf(name) = self.parts[part].kind {
                write_word(hasher, name);
                write_word(hasher, if slot.refused { "refused" } else { samples::meaning(name, sample) });
            } else {
                self.write_part(part, hasher, written);
            }
        }
    }

    fn write_part(&self, id: PartId, hasher: &mut Xxh3, written: &mut HashMap<PartId, usize>) {
        let part = &self.parts[id];
        if let Some(&number) = written.get(&id) {
            write_word(hasher, "again");
            return write_number(hasher, number);
        }
        written.insert(id, written.len());
        let mut write_all = |names: Option<Names>, slots: &[SlotId], hasher: &mut Xxh3| {
            write_number(hasher, slots.len());
            for (index, &slot) in slots.iter().enumerate() {
                if let Some(name) = names.and_then(|names| names.get(index)) {
                    write_word(hasher, name);
                }
                self.write(slot, hasher, written);
            }
        };
        let mut names = None;
        match part.kind {
            Kind::Leaf(_) => {}
            Kind::Option => write_word(hasher, "option"),
            Kind::Seq => write_word(hasher, "seq"),
            Kind::Map => write_word(hasher, "map"),
            Kind::UnitStruct(name) => {
                write_word(hasher, "unit struct");
                write_word(hasher, name);
            }
            Kind::Newtype(name) => {
                write_word(hasher, "newtype");
                write_word(hasher, name);
            }
            Kind::Tuple(len) => {
                write_word(hasher, "tuple");
                write_number(hasher, len);
            }
            Kind::TupleStruct(name, len) => {
                write_word(hasher, "tuple struct");
                write_word(hasher, name);
                write_number(hasher, len);
            }
            Kind::Struct(name, fields) => {
                write_word(hasher, "struct");
                write_word(hasher, name);
                write_number(hasher, fields.len());
                names = Some(fields);
            }
            Kind::Enum(name, variants) => {
                write_word(hasher, "enum");
                write_word(hasher, name);
                write_number(hasher, variants.len());
                for (name, variant) in variants.iter().zip(&part.variants) {
                    write_word(hasher, name);
                    let fields = match variant.payload {
                        Payload::Unvisited | Payload::Unit => None,
                        Payload::Newtype => {
                            write_word(hasher, "newtype");
                            None
                        }
                        Payload::Tuple(len) => {
                            write_word(hasher, "tuple");
                            write_number(hasher, len);
                            None
                        }
                        Payload::Struct(fields) => {
                            write_word(hasher, "struct");
                            write_number(hasher, fields.len());
                            Some(fields)
                        }
                    };
                    write_all(fields, &variant.slots, hasher);
                }
            }
        }
        write_all(names, &part.slots, hasher);
    }

    /// Whether some part asks for any value, as flattened, untagged and internally tagged ones do.
    pub(super) fn asks_for_any(&self) -> bool {
        let any = |kind| matches!(kind, Kind::Leaf("any" | "json" | "json number" | "ignored"));
        self.parts.iter().any(|part| part.opaque || any(part.kind))
    }

    /// The way to the first place that could not be seen.
    pub(super) fn unseen(&self, root: SlotId) -> Option<String> {
        let mut way = Vec::new();
        self.find_unseen(root, &mut way, &mut vec![false; self.parts.len()])
            .then(|| if way.is_empty() { String::from("the value itself") } else { way.join(".") })
    }

    fn find_unseen(&self, slot: SlotId, way: &mut Vec<String>, searched: &mut [bool]) -> bool {
        let slot = &self.slots[slot];
        !slot.alias
            && (slot.parts.is_empty()
                || slot.parts.iter().any(|&(part, _)| self.find_unseen_in(part, way, searched)))
    }

    fn find_unseen_in(&self, id: PartId, way: &mut Vec<String>, searched: &mut [bool]) -> bool {
        if std::mem::replace(&mut searched[id], true) {
            return false;
        }
        let part = &self.parts[id];
        if part.opaque || part.kind == Kind::Leaf("any") {
            return true;
        }
        let mut search = |name: String, slot: SlotId| {
            way.push(name);
            let found = self.find_unseen(slot, way, searched);
            if !found {
                way.pop();
            }
            found
        };
        if let Kind::Enum(_, names) = part.kind {
            if part.variants.iter().all(|variant| variant.payload == Payload::Unvisited) {
                return true;
            }
            return names.iter().zip(&part.variants).any(|(name, variant)| {
                variant.slots.iter().enumerate().any(|(index, &slot)| {
                    let field = match variant.payload {
                        Payload::Struct(fields) => {
                            fields.get(index).map_or_else(String::new, |field| format!(".{field}"))
                        }
                        Payload::Tuple(_) => format!(".{index}"),
                        _ => String::new(),
                    };
                    search(format!("{name}{field}"), slot)
                })
            });
        }
        part.slots.iter().enumerate().any(|(index, &slot)| search(part.kind.child_name(index), slot))
    }
}

impl Slot {
    pub(super) fn sample(&self) -> usize {
        self.parts.get(self.last).map_or(0, |&(_, sample)| sample)
    }
}

impl Part {
    fn new(kind: Kind) -> Self {
        let variants = if let Kind::Enum(_, names) = kind { names.len() } else { 0 };
        Self {
            kind,
            slots: Vec::new(),
            variants: (0..variants)
                .map(|_| Variant { payload: Payload::Unvisited, slots: Vec::new() })
                .collect(),
            exploring: 0,
            makes: None,
            trying: 0,
            settled: false,
            nonempty: false,
            by_seq: false,
            opaque: false,
        }
    }

    /// Whether this may tell what another place holds.
    pub(super) fn is_tag(&self) -> bool {
        !self.variants.is_empty()
            && self
                .variants
                .iter()
                .all(|variant| matches!(variant.payload, Payload::Unit | Payload::Unvisited))
    }
}

impl Kind {
    /// How many samples there are to try.
    fn samples(self) -> usize {
        match self {
            Kind::Leaf(name) => samples::count(name),
            Kind::Seq => samples::LENGTHS.len(),
            Kind::Map => samples::ENTRIES.len(),
            _ => 1,
        }
    }

    fn child_name(self, index: usize) -> String {
        match self {
            Kind::Struct(_, fields) => {
                fields.get(index).map_or_else(|| index.to_string(), ToString::to_string)
            }
            Kind::Tuple(_) | Kind::TupleStruct(..) => index.to_string(),
            Kind::Map => String::from(if index == 0 { "(key)" } else { "(value)" }),
            Kind::Seq => String::from("(element)"),
            _ => String::from("(inside)"),
        }
    }
}
