//! One key, what is under it, and what hangs on that.

use std::sync::Arc;

use bytes::Bytes;

use crate::ground::clock::Timestamp;
use crate::store::by_arguments::Ends as _;
use crate::store::decoded::{AnyDecoded, Unchanged};
use crate::store::protocol::Slot;

/// What a key costs besides its text and bytes: its record, its places in the table and on the heap, the count of references to the
/// bytes, and what an allocator adds.
pub(super) const OVERHEAD: usize = 160;
/// How many decoded values one key may have: arguments that are written in several ways.
const MOST_DECODED: usize = 4;

/// What is under a key.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) key: Box<str>,
    /// From this time on the key is gone.
    pub(super) expires: Timestamp,
    content: Content,
    /// Its place on the heap of those that are due.
    pub(super) due: u32,
    /// Whether it was used since someone last asked.
    used: bool,
    /// Whether all bytes are there because someone asked for them after they had been left out. They stay while there is room.
    asked: bool,
}

/// What is there of the bytes.
#[derive(Debug)]
enum Content {
    /// All. On the heap, so that the record of a value which was decoded is small.
    Whole(Box<Whole>),
    /// The first of them, in the value that encodes to the others.
    Cut(Arc<AnyDecoded>),
}

/// All bytes, and what hangs on them.
#[derive(Debug, Default)]
struct Whole {
    bytes: Bytes,
    held: Held,
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

impl Record {
    pub(super) fn new(key: &str, slot: Slot) -> Self {
        let content = Whole { bytes: slot.bytes, ..Whole::default() };
        Self {
            key: key.into(),
            expires: slot.expires,
            content: Content::Whole(Box::new(content)),
            due: 0,
            used: false,
            asked: false,
        }
    }

    pub(super) fn is_alive(&self, now: Timestamp) -> bool {
        now < self.expires
    }

    /// The bytes, all or the first of them.
    pub(super) fn slot(&self) -> Slot {
        let bytes = match &self.content {
            Content::Whole(whole) => whole.bytes.clone(),
            Content::Cut(decoded) => decoded.first().into(),
        };
        Slot::new(bytes, self.expires)
    }

    pub(super) const fn is_whole(&self) -> bool {
        matches!(self.content, Content::Whole(_))
    }

    /// How many bytes are there.
    #[cfg(test)]
    pub(super) fn length(&self) -> usize {
        match &self.content {
            Content::Whole(whole) => whole.bytes.len(),
            Content::Cut(decoded) => decoded.head_len(),
        }
    }

    /// Whether these are all bytes, by what `is` says of them.
    pub(super) fn is(&self, is: impl FnOnce(&Bytes) -> bool) -> bool {
        match &self.content {
            Content::Whole(whole) => is(&whole.bytes),
            Content::Cut(_) => false,
        }
    }

    /// Whether something hangs on the bytes.
    pub(super) fn holds(&self) -> bool {
        match &self.content {
            Content::Whole(whole) => !whole.held.is_nothing(),
            Content::Cut(_) => true,
        }
    }

    /// The bytes, all or the first of them. Of all, none stay.
    pub(super) fn take(&mut self) -> Slot {
        match &mut self.content {
            Content::Whole(whole) => Slot::new(std::mem::take(&mut whole.bytes), self.expires),
            Content::Cut(_) => self.slot(),
        }
    }

    /// Puts bytes in place of those that were taken. What hangs on them must hold for these too.
    pub(super) fn put(&mut self, slot: Slot) {
        self.expires = slot.expires;
        if let Content::Whole(whole) = &mut self.content {
            whole.bytes = slot.bytes;
        }
    }

    /// What hangs on the bytes, which does so no more. What was left out of them is not there any more.
    pub(super) fn release(&mut self) -> Held {
        self.asked = false;
        match &mut self.content {
            Content::Whole(whole) => std::mem::take(&mut whole.held),
            cut @ Content::Cut(_) => match std::mem::replace(cut, Content::Whole(Box::default())) {
                Content::Cut(decoded) => Held::One(decoded),
                Content::Whole(_) => Held::Nothing,
            },
        }
    }

    /// What hangs on the bytes of a record that goes.
    pub(super) fn end(&mut self) -> Held {
        match &mut self.content {
            Content::Whole(whole) => std::mem::take(&mut whole.held),
            Content::Cut(decoded) => Held::One(Arc::clone(decoded)),
        }
    }

    fn decoded(&self) -> &[Arc<AnyDecoded>] {
        match &self.content {
            Content::Whole(whole) => whole.held.decoded(),
            Content::Cut(decoded) => std::slice::from_ref(decoded),
        }
    }

    /// Key, bytes and what was decoded from them, which has in it what is left of bytes that were cut.
    pub(super) fn weight(&self) -> usize {
        let bytes = match &self.content {
            Content::Whole(whole) => whole.bytes.len(),
            Content::Cut(_) => 0,
        };
        weigh(&self.key, bytes) + self.decoded().iter().map(|decoded| decoded.weight()).sum::<usize>()
    }

    /// The same with this value, which takes the place of one of the same arguments.
    pub(super) fn weight_with(&self, decoded: &AnyDecoded) -> usize {
        let same = self.decoded().iter().filter(|other| other.place() == decoded.place());
        self.weight() + decoded.weight() - same.map(|same| same.weight()).sum::<usize>()
    }

    pub(super) const fn use_it(&mut self) {
        self.used = true;
    }

    /// Whether it, or a value that hangs on it, was used since this was last asked.
    pub(super) fn was_used(&mut self) -> bool {
        let used = std::mem::take(&mut self.used);
        let hanging = match &self.content {
            Content::Whole(whole) => whole.held.was_used(),
            Content::Cut(decoded) => decoded.was_used(),
        };
        hanging || used
    }

    /// The value that gives all bytes, where fewer than are wanted are there.
    pub(super) fn cut(&self, wanted: usize) -> Option<Arc<AnyDecoded>> {
        match &self.content {
            Content::Cut(decoded) if wanted > decoded.head_len() => Some(Arc::clone(decoded)),
            _ => None,
        }
    }

    /// Puts all bytes there again, of which this value gave those that were left out.
    pub(super) fn complete(&mut self, decoded: &Arc<AnyDecoded>, bytes: Bytes) {
        let held = Held::One(Arc::clone(decoded));
        self.content = Content::Whole(Box::new(Whole { bytes, held }));
        self.asked = true;
    }

    /// Whether bytes are left out for this value.
    pub(super) fn is_cut_for(&self, decoded: &Arc<AnyDecoded>) -> bool {
        matches!(&self.content, Content::Cut(own) if Arc::ptr_eq(own, decoded))
    }

    /// Hangs a decoded value on the bytes, and gives back what has to go for that.
    pub(super) fn add(&mut self, decoded: Arc<AnyDecoded>) -> Vec<Arc<AnyDecoded>> {
        match &mut self.content {
            Content::Whole(whole) => whole.held.add(decoded),
            Content::Cut(_) => vec![decoded],
        }
    }

    /// What tells that a version is what it is; `None` where the bytes are no version.
    pub(super) fn watched(&mut self) -> Option<Arc<Unchanged>> {
        match &mut self.content {
            Content::Whole(whole) => whole.held.watched(),
            Content::Cut(_) => None,
        }
    }

    /// Leaves out what the one value that was decoded encodes to, unless someone asked for it before.
    pub(super) fn leave_out(&mut self) {
        if let Content::Whole(whole) = &self.content
            && let Held::One(decoded) = &whole.held
            && decoded.gives_all()
            && !self.asked
        {
            self.content = Content::Cut(Arc::clone(decoded));
        }
    }

    /// The same where someone did; false where it stays.
    pub(super) fn leave_out_again(&mut self) -> bool {
        let was_asked = std::mem::take(&mut self.asked);
        self.leave_out();
        self.asked = was_asked && self.is_whole();
        !self.is_whole()
    }

    /// Whether all bytes are there because someone asked for them.
    pub(super) const fn is_asked(&self) -> bool {
        self.asked
    }
}

impl Held {
    const fn is_nothing(&self) -> bool {
        matches!(self, Self::Nothing)
    }

    fn decoded(&self) -> &[Arc<AnyDecoded>] {
        match self {
            Self::Nothing | Self::Version(_) => &[],
            Self::One(decoded) => std::slice::from_ref(decoded),
            Self::Several(decoded) => decoded,
        }
    }

    /// Adds a decoded value, and gives back what has to go for that.
    fn add(&mut self, decoded: Arc<AnyDecoded>) -> Vec<Arc<AnyDecoded>> {
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
    fn watched(&mut self) -> Option<Arc<Unchanged>> {
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

/// What a key weighs with so many bytes, in bytes.
pub(super) const fn weigh(key: &str, length: usize) -> usize {
    key.len() + length + OVERHEAD
}
