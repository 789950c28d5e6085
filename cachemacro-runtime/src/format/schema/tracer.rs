//! What one pass over a type learns at each place, and what a refusal there means.
//!
//! Recursion ends because a part that is met inside itself gets the least that it takes: no option, no element, a
//! variant that is known to be made.

use std::cell::RefCell;
use std::fmt;

use serde::de;

use super::shape::{Kind, PartId, Payload, Slot, SlotId, State};

/// A trace that takes longer than this many steps ends, and what it did not reach is unseen.
pub(super) const MAX_STEPS: usize = 1 << 20;
/// Elements of an array that are told apart; what lies beyond shares the last one. (Tuples are shorter.)
const MAX_ELEMENTS: usize = 64;

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

/// The state, shared by all positions of a walk. Never borrowed while foreign code runs.
#[derive(Debug, Default)]
pub(super) struct Tracer {
    pub(super) state: RefCell<State>,
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
    pub(super) fn progress(&self) -> usize {
        self.state.borrow().progress
    }

    /// Notes something learned.
    fn learn(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.borrow_mut();
        change(&mut state);
        state.progress += 1;
    }

    pub(super) fn new_slot(&self) -> SlotId {
        let mut state = self.state.borrow_mut();
        state.slots.push(Slot::default());
        state.slots.len() - 1
    }

    /// Walks one place, and decides what a refusal means for it.
    pub(super) fn visit<T>(
        &self,
        slot: SlotId,
        walk: impl FnOnce() -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let before = self.progress();
        let least = self.state.borrow().least;
        let refusal = match walk() {
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
        let long = matches!(self.state.borrow().parts[part].kind, Kind::Tuple(_));
        let index = if long { index.min(MAX_ELEMENTS - 1) } else { index };
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
