//! What is known of a type while it is walked, and the passes that make it known.
//!
//! One pass drives `Deserialize` once, with the samples and variants that are next in turn. Each pass must learn
//! something (a new part, a variant explored, a sample refused), or it was the last. Parts are identified by the type
//! of the visitor that asks for them; its name stays within the process and is not part of the fingerprint.
//!
//! Where one place holds now this, now that (the content behind a tag, which is an enum without payloads), such enums go
//! around until a whole round has brought nothing new.
//!
//! Recursion ends because a part that is met inside itself gets the least that it takes: no option, no element, a
//! variant that is known to be made.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use serde::de::{self, DeserializeOwned};
use xxhash_rust::xxh3::Xxh3;

use super::position::Position;
use super::samples;
use super::{write_number, write_word};

/// A trace that takes longer than this many steps ends, and what it did not reach is unseen.
const MAX_STEPS: usize = 1 << 20;
/// Elements of a tuple or an array that are told apart; what lies beyond shares the last one.
const MAX_ELEMENTS: usize = 64;

/// The fingerprint of `T`, and the way to the first place that could not be seen.
pub(super) fn trace<T: DeserializeOwned>() -> (u64, Option<String>) {
    let tracer = Tracer::default();
    let root = tracer.new_slot();
    let mut quiet = 0;
    let failure = loop {
        let before = tracer.progress();
        // A type's `Deserialize` may not be ready for samples. Its bug must not become ours.
        let pass = catch_unwind(AssertUnwindSafe(|| {
            tracer.visit(root, |position| T::deserialize(position).map(drop))
        }));
        if pass.is_err() {
            break Some("panicked at a sample value");
        }
        let mut state = tracer.state.borrow_mut();
        if state.steps > MAX_STEPS {
            break Some("too large to be walked");
        }
        quiet = if state.progress == before { quiet + 1 } else { 0 };
        if quiet >= state.round() {
            break None;
        }
        state.pass += 1;
    };
    let state = tracer.state.into_inner();
    let unseen = failure.map(String::from).or_else(|| state.unseen(root));
    (state.hash(root), unseen)
}

/// Why a walk did not come back with a value.
#[derive(Debug)]
pub(super) enum Refusal {
    /// Something was learned on the way; the next pass goes on.
    Again,
    /// A part lies inside itself, and nothing smaller was found yet.
    Recursive,
    /// A field was given twice: the second name is an alias of the first.
    Duplicate,
    /// The type said no.
    No,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("refused a sample")
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: fmt::Display>(_: T) -> Self {
        Refusal::No
    }

    fn duplicate_field(_: &'static str) -> Self {
        Refusal::Duplicate
    }
}

type SlotId = usize;
type PartId = usize;
type Names = &'static [&'static str];

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
struct Slot {
    /// What was asked for here, in order of appearance, and which sample is next in turn; nearly always one.
    parts: Vec<(PartId, usize)>,
    /// Which of them was asked for last.
    last: usize,
    /// No sample makes a value here.
    refused: bool,
    /// Another name of a field before it.
    alias: bool,
}

#[derive(Debug)]
struct Variant {
    payload: Payload,
    slots: Vec<SlotId>,
}

/// A type, as far as its visitor tells.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "independent findings, not the states of one machine")]
struct Part {
    kind: Kind,
    slots: Vec<SlotId>,
    variants: Vec<Variant>,
    /// The variant that is being explored.
    exploring: usize,
    /// A variant that makes a value.
    makes: Option<usize>,
    /// The variant to try where the least is wanted and none is known to make a value.
    trying: usize,
    /// Nothing new was found inside.
    settled: bool,
    /// Refused to be empty.
    nonempty: bool,
    /// Takes its fields as a sequence only.
    by_seq: bool,
    /// Holds what cannot be seen.
    opaque: bool,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    parts: Vec<Part>,
    known: HashMap<(&'static str, Kind), PartId>,
    /// The parts that the walk is inside of.
    inside: Vec<PartId>,
    /// Whether the least is wanted.
    least: bool,
    /// Some place holds more than one part, depending on a tag.
    tagged: bool,
    pass: usize,
    progress: usize,
    steps: usize,
}

/// The state, shared by all positions of a walk. Never borrowed while foreign code runs.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    state: RefCell<State>,
}

/// What a compound part is walked with.
#[derive(Debug, Clone, Copy)]
pub(super) struct Visit {
    pub(super) part: PartId,
    /// Which sample is next in turn at this place.
    pub(super) sample: usize,
    pub(super) least: bool,
}

impl Tracer {
    fn progress(&self) -> usize {
        self.state.borrow().progress
    }

    /// Notes something learned.
    fn learn(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.borrow_mut();
        change(&mut state);
        state.progress += 1;
    }

    fn new_slot(&self) -> SlotId {
        let mut state = self.state.borrow_mut();
        state.slots.push(Slot::default());
        state.slots.len() - 1
    }

    /// Walks one place, and decides what a refusal means for it.
    pub(super) fn visit<'t, T>(
        &'t self,
        slot: SlotId,
        walk: impl FnOnce(Position<'t>) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = self.progress();
        let least = self.state.borrow().least;
        let refusal = match walk(Position { tracer: self, slot }) {
            Ok(value) => return Ok(value),
            Err(refusal) => refusal,
        };
        if self.progress() != before {
            return Err(Refusal::Again);
        }
        if least && matches!(refusal, Refusal::Recursive) {
            return Err(Refusal::Recursive);
        }
        if self.state.borrow().slots[slot].refused {
            return Err(refusal);
        }
        self.learn(|state| state.refuse(slot, least));
        Err(Refusal::Again)
    }

    /// The part that `slot` holds, entered for the time of `walk`.
    pub(super) fn enter<T>(
        &self,
        slot: SlotId,
        visitor: &'static str,
        kind: Kind,
        walk: impl FnOnce(Visit) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (visit, before, outer) = {
            let mut state = self.state.borrow_mut();
            state.steps += 1;
            let part = state.part(slot, visitor, kind);
            let nested = state.inside.iter().filter(|&&other| other == part).count();
            if nested >= 2 || state.steps > MAX_STEPS {
                return Err(Refusal::Recursive);
            }
            let outer = state.least;
            state.least |= nested > 0 || (state.parts[part].settled && !state.tagged);
            state.inside.push(part);
            (Visit { part, sample: state.slots[slot].sample(), least: state.least }, state.progress, outer)
        };
        let walked = walk(visit);
        let mut state = self.state.borrow_mut();
        state.inside.pop();
        state.least = outer;
        if !visit.least && state.progress == before {
            state.parts[visit.part].settled = true;
        }
        walked
    }

    /// Which sample of a primitive is next in turn at `slot`.
    pub(super) fn leaf(&self, slot: SlotId, visitor: &'static str, name: &'static str) -> usize {
        let mut state = self.state.borrow_mut();
        state.steps += 1;
        state.part(slot, visitor, Kind::Leaf(name));
        state.slots[slot].sample()
    }

    /// The place number `index` inside a part, or inside one of its variants.
    pub(super) fn child(&self, part: PartId, variant: Option<usize>, index: usize) -> SlotId {
        let index = index.min(MAX_ELEMENTS - 1);
        loop {
            if let Some(&slot) = self.state.borrow().children(part, variant).get(index) {
                return slot;
            }
            self.learn(|state| {
                state.slots.push(Slot::default());
                let slot = state.slots.len() - 1;
                match variant {
                    Some(variant) => state.parts[part].variants[variant].slots.push(slot),
                    None => state.parts[part].slots.push(slot),
                }
            });
        }
    }

    /// Whether a value can be made at a place, and the field is not another one's alias.
    pub(super) fn is_open(&self, slot: SlotId) -> bool {
        let state = self.state.borrow();
        !state.slots[slot].refused && !state.slots[slot].alias
    }

    pub(super) fn mark_alias(&self, slot: SlotId) {
        self.learn(|state| state.slots[slot].alias = true);
    }

    pub(super) fn is_nonempty(&self, part: PartId) -> bool {
        self.state.borrow().parts[part].nonempty
    }

    pub(super) fn is_by_seq(&self, part: PartId) -> bool {
        self.state.borrow().parts[part].by_seq
    }

    pub(super) fn mark_by_seq(&self, part: PartId) {
        self.learn(|state| state.parts[part].by_seq = true);
    }

    pub(super) fn mark_opaque(&self, part: PartId) {
        self.state.borrow_mut().parts[part].opaque = true;
    }

    /// Whether the keys of a map turned out to be names of fields: the map is a struct with flattened parts.
    pub(super) fn has_field_names(&self, part: PartId) -> bool {
        let state = self.state.borrow();
        let key = state.parts[part].slots.first().and_then(|&key| state.slots[key].parts.first());
        key.is_some_and(|&(key, _)| state.parts[key].kind == Kind::Leaf("identifier"))
    }

    /// Walks one variant of an enum: the next one, or one that makes a value.
    pub(super) fn visit_variant<T>(
        &self,
        visit: Visit,
        count: usize,
        walk: impl FnOnce(usize) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (variant, explores, tries, before) = {
            let state = self.state.borrow();
            let part = &state.parts[visit.part];
            let explores = !visit.least && part.exploring < count;
            let variant = if explores {
                part.exploring
            } else if state.tagged && part.is_tag() {
                state.pass % count
            } else {
                part.makes.unwrap_or(part.trying)
            };
            (variant, explores, visit.least && part.makes.is_none(), state.progress)
        };
        if variant >= count {
            return Err(Refusal::Recursive);
        }
        let walked = walk(variant);
        let quiet = self.progress() == before;
        if walked.is_ok() {
            self.state.borrow_mut().parts[visit.part].makes.get_or_insert(variant);
        }
        if explores && quiet {
            self.learn(|state| state.parts[visit.part].exploring += 1);
        } else if tries && quiet && walked.is_err() {
            self.learn(|state| state.parts[visit.part].trying += 1);
        }
        walked
    }

    /// Notes what a variant holds.
    pub(super) fn set_payload(&self, part: PartId, variant: usize, payload: Payload) {
        if self.state.borrow().parts[part].variants[variant].payload == Payload::Unvisited {
            self.learn(|state| state.parts[part].variants[variant].payload = payload);
        }
    }
}

impl State {
    fn part(&mut self, slot: SlotId, visitor: &'static str, kind: Kind) -> PartId {
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
    fn round(&self) -> usize {
        let tags = self.parts.iter().filter(|part| self.tagged && part.is_tag());
        tags.map(|part| part.variants.len()).max().unwrap_or(1)
    }

    fn children(&self, part: PartId, variant: Option<usize>) -> &[SlotId] {
        match variant {
            Some(variant) => &self.parts[part].variants[variant].slots,
            None => &self.parts[part].slots,
        }
    }

    /// What was given at `slot` was refused: something else next time, if there is anything.
    fn refuse(&mut self, slot: SlotId, least: bool) {
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

    fn hash(&self, root: SlotId) -> u64 {
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

    /// The way to the first place that could not be seen.
    fn unseen(&self, root: SlotId) -> Option<String> {
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
    fn sample(&self) -> usize {
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
    fn is_tag(&self) -> bool {
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
