//! The copies, and whether they may be taken now.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::cells::{Cells, Sample};
use crate::ground::clock::{COARSENESS, Clock, Timestamp};
use crate::ground::error::Error;
use crate::ground::sync::lock;
use crate::store::{DecodedTable, Unchanged};

/// After so long without a word from the store nothing is taken. Its word is that of a heartbeat, so this is how long a change may go
/// unheard that was not pushed.
const SILENCE: Duration = Duration::from_secs(1);

/// The copies of what is in one namespace of one store.
pub(crate) struct Tier {
    cells: Cells,
    copies: DecodedTable,
    clock: Clock,
    /// Until when copies may be taken, unless the store is heard of; zero: not at all.
    until: AtomicU64,
    state: Mutex<State>,
}

/// Whether the store tells of changes.
#[derive(Debug, Default)]
enum State {
    /// Nobody has asked for copies yet, or the store is being asked.
    #[default]
    Unknown,
    On,
    /// It does not, for this reason.
    Off(Error),
}

/// When a request was sent, and what had been heard of by then.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Begun {
    since: Sample,
    at: Timestamp,
}

/// A value to keep, and what it is known by.
pub(crate) struct Keep<'a, V> {
    /// What it is looked up by.
    pub(crate) arguments: &'a [u8],
    /// How long it may be taken from when the request was sent.
    pub(crate) ttl: Duration,
    /// How long the entry is fresh from now.
    pub(crate) fresh: Duration,
    pub(crate) value: V,
}

impl Tier {
    pub(crate) fn new(clock: Clock) -> Self {
        Self {
            cells: Cells::new(),
            copies: DecodedTable::new(),
            clock,
            until: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    /// The copy under `arguments`, where it may be taken.
    #[inline]
    pub(crate) fn get<V: Any + Clone>(&self, arguments: &[u8]) -> Option<V> {
        let now = self.clock.coarse();
        // G3: of a store that is not heard of nothing is taken, also where nobody had the time to notice.
        if now.0 >= self.until.load(Ordering::Acquire) {
            return None;
        }
        self.copies.get(arguments, now)
    }

    /// To be called before a request is sent whose value is to be kept.
    pub(crate) fn begin(&self) -> Begun {
        Begun { since: self.cells.sample(), at: self.clock.now() }
    }

    /// Keeps what a request brought that is stored under these names, those of its tags included; unless one of them changed
    /// since.
    pub(crate) fn keep<V: Any + Send + Sync>(
        &self,
        begun: Begun,
        names: impl Iterator<Item = Arc<str>>,
        keep: Keep<'_, V>,
    ) {
        let Some(cells) = names.map(|name| self.cells.cell(&name, begun.since)).collect::<Option<Vec<_>>>()
        else {
            return;
        };
        // Counted from when the request was sent: what changes later is told, or this bounds it. The clock that it is looked at
        // with may be behind.
        let ends = begun.at.plus(keep.ttl).min(self.clock.now().plus(keep.fresh)).minus(COARSENESS);
        self.insert(keep.arguments, ends, cells, keep.value);
    }

    fn insert<V: Any + Send + Sync>(
        &self,
        arguments: &[u8],
        ends: Timestamp,
        cells: Vec<Arc<Unchanged>>,
        value: V,
    ) {
        // What was there is dropped under no lock.
        drop(self.copies.insert(self.copies.decoded(arguments, ends, cells, value)));
    }

    /// This process changed what is stored under this name, a key's or a tag's.
    pub(crate) fn forget(&self, name: &str) {
        self.cells.end(name.as_bytes());
    }

    /// This process changed what is stored under names that begin so.
    pub(crate) fn forget_prefix(&self, prefix: &str) {
        self.cells.end_prefix(prefix);
    }

    /// Why the store does not tell of changes; `None` where it does, or was not asked.
    pub(crate) fn why_off(&self) -> Option<Error> {
        match &*lock(&self.state) {
            State::Off(why) => Some(why.clone()),
            State::Unknown | State::On => None,
        }
    }

    /// Whether nobody was told yet that the tier is off, or that was for another reason.
    pub(super) fn is_news(&self, why: &Error) -> bool {
        !matches!(&*lock(&self.state), State::Off(last) if last.kind() == why.kind())
    }
}

/// What the store tells.
impl Tier {
    /// From now on it tells of every change.
    pub(super) fn begins(&self) {
        // What is under way was sent when nobody would have told.
        self.empty();
        *lock(&self.state) = State::On;
    }

    pub(super) fn changed(&self, key: &[u8]) {
        self.cells.end(key);
    }

    pub(super) fn all_changed(&self) {
        self.empty();
    }

    pub(super) fn told_until(&self, moment: Instant) {
        let now = self.clock.now().minus(moment.elapsed());
        self.until.store(now.plus(SILENCE).minus(COARSENESS).0, Ordering::Release);
    }

    /// It tells of nothing any more.
    pub(super) fn ends(&self, why: Error) {
        self.until.store(0, Ordering::Release);
        self.empty();
        *lock(&self.state) = State::Off(why);
    }

    /// Lets go of all copies and keeps nothing that is under way.
    fn empty(&self) {
        self.cells.end_prefix("");
        drop(self.copies.clear());
    }
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier")
            .field("cells", &self.cells)
            .field("copies", &self.copies)
            .finish_non_exhaustive()
    }
}
