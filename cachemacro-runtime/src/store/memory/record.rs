//! One key, what is under it, and what hangs on that.

use std::sync::Arc;

use bytes::Bytes;

use crate::store::by_arguments::Ends as _;
use crate::store::decoded::{AnyDecoded, Unchanged};
use crate::store::protocol::Slot;

/// What a key costs besides its text and bytes: its record, its places in the table and on the heap, the count of references to the
/// bytes, and what an allocator adds.
pub(super) const OVERHEAD: usize = 160;
/// How many decoded values one key may have: arguments that are written in several ways.
const MOST_DECODED: usize = 4;
/// Fewer bytes than this are not left out.
const LEAST_LEFT_OUT: usize = 64;

/// What is under a key.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: Box<str>,
    pub(super) slot: Slot,
    pub(super) held: Held,
    /// Its place on the heap of those that are due.
    pub(super) due: u32,
    /// Whether it was used since someone last asked.
    used: bool,
    pub(super) form: Form,
}

/// Which of the bytes are in the slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// All.
    Whole,
    /// The first: the others are what the decoded value encodes to.
    Cut,
    /// All, for someone asked for them after they had been left out. They stay while there is room.
    Asked,
}

/// What must go when the bytes change.
#[derive(Debug, Default)]
pub(super) enum Held {
    #[default]
    Nothing,
    One(Arc<AnyDecoded>),
    Several(Vec<Arc<AnyDecoded>>),
    /// Of a version: told by it, values that carry its stamp are out of date.
    Version(Arc<Unchanged>),
}

/// Bytes without those that a value encodes to.
#[derive(Debug)]
pub(super) struct Cut {
    head: Bytes,
    pub(super) decoded: Arc<AnyDecoded>,
}

impl Cut {
    /// All bytes; `None` where the value does not encode to what they were.
    pub(super) fn whole(&self) -> Option<Bytes> {
        self.decoded.rebuilt(&self.head).map(Bytes::from)
    }
}

impl Record {
    pub(super) fn new(key: &str, slot: Slot) -> Self {
        Self { key: key.into(), slot, held: Held::Nothing, due: 0, used: false, form: Form::Whole }
    }

    /// Key, bytes and what was decoded from them.
    pub(super) fn weight(&self) -> usize {
        weigh(&self.key, &self.slot)
            + self.held.decoded().iter().map(|decoded| decoded.weight()).sum::<usize>()
    }

    /// The same with this value, which takes the place of one of the same arguments.
    pub(super) fn weight_with(&self, decoded: &AnyDecoded) -> usize {
        let same = self.held.decoded().iter().filter(|other| other.place() == decoded.place());
        self.weight() + decoded.weight() - same.map(|same| same.weight()).sum::<usize>()
    }

    pub(super) const fn use_it(&mut self) {
        self.used = true;
    }

    /// Whether it, or a value that hangs on it, was used since this was last asked.
    pub(super) fn was_used(&mut self) -> bool {
        let used = std::mem::take(&mut self.used);
        self.held.was_used() || used
    }

    /// What it takes to have all bytes, where fewer than are wanted are there.
    pub(super) fn cut(&self, wanted: usize) -> Option<Cut> {
        match (self.form, &self.held) {
            (Form::Cut, Held::One(decoded)) if wanted > self.slot.bytes.len() => {
                Some(Cut { head: self.slot.bytes.clone(), decoded: Arc::clone(decoded) })
            }
            _ => None,
        }
    }

    /// Leaves out what the one value that was decoded encodes to, unless it is little or was asked for before.
    pub(super) fn leave_out(&mut self) {
        let Held::One(decoded) = &self.held else { return };
        if let (Form::Whole, Some(head)) = (self.form, decoded.head())
            && self.slot.bytes.len() >= head + LEAST_LEFT_OUT
        {
            self.slot.bytes = Bytes::copy_from_slice(&self.slot.bytes[..head]);
            self.form = Form::Cut;
        }
    }

    /// The same for what was asked for.
    pub(super) fn leave_out_again(&mut self) {
        self.form = Form::Whole;
        self.leave_out();
        if self.form == Form::Whole {
            self.form = Form::Asked;
        }
    }
}

impl Held {
    pub(super) const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    pub(super) fn decoded(&self) -> &[Arc<AnyDecoded>] {
        match self {
            Self::Nothing | Self::Version(_) => &[],
            Self::One(decoded) => std::slice::from_ref(decoded),
            Self::Several(decoded) => decoded,
        }
    }

    /// Adds a decoded value, and gives back what has to go for that.
    pub(super) fn add(&mut self, decoded: Arc<AnyDecoded>) -> Vec<Arc<AnyDecoded>> {
        let mut values = match std::mem::take(self) {
            Self::Nothing => Vec::new(),
            Self::One(one) => vec![one],
            Self::Several(several) => several,
            version @ Self::Version(_) => {
                // Nobody decodes a version.
                *self = version;
                return vec![decoded];
            }
        };
        let mut gone: Vec<_> = values.extract_if(.., |other| other.place() == decoded.place()).collect();
        if values.len() >= MOST_DECODED {
            gone.push(values.remove(0));
        }
        *self = if values.is_empty() {
            Self::One(decoded)
        } else {
            values.push(decoded);
            Self::Several(values)
        };
        gone
    }

    /// What tells that a version is what it is; `None` where the bytes are no version.
    pub(super) fn watched(&mut self) -> Option<Arc<Unchanged>> {
        if self.is_nothing() {
            *self = Self::Version(Unchanged::new());
        }
        match self {
            Self::Version(unchanged) => Some(Arc::clone(unchanged)),
            _ => None,
        }
    }

    fn was_used(&self) -> bool {
        match self {
            Self::Version(unchanged) => unchanged.was_used(),
            // All of them, so that none counts as used for ever.
            _ => self.decoded().iter().filter(|decoded| decoded.was_used()).count() > 0,
        }
    }
}

/// What a key weighs with these bytes, in bytes.
pub(super) fn weigh(key: &str, slot: &Slot) -> usize {
    key.len() + slot.bytes.len() + OVERHEAD
}
