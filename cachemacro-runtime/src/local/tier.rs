//! The copies, and whether they may be taken now.
//!
//! Whoever sends a request whose value is to be kept [begins](Tier::begin) before that. What it brings is refused where something
//! was told of its key or of one of its tags since (G3); where all may have changed, whatever is under way is refused.

use std::any::Any;
use std::fmt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::format::stamps::tag_of;
use crate::ground::clock::{COARSENESS, Clock, Timestamp};
use crate::ground::error::Error;
use crate::ground::sync::lock;
use crate::key::digest;
use crate::observe::local::{Cause, LocalStats};
use crate::observe::site::SiteId;
use crate::store::local::{AnyKept, LocalTable, Look, Name, Pending, Placed, Query, Times};

/// After so long without a word from the store nothing is taken. Its word is that of a heartbeat, so this is how long a change may go
/// unheard that was not told.
const SILENCE: Duration = Duration::from_secs(1);

/// The greatest part of the capacity that one copy may have.
const LARGEST: usize = 64;

/// The copies of what is in one namespace of one store.
pub(crate) struct Tier {
    table: LocalTable,
    namespace: String,
    largest: usize,
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

/// A request that is under way, and when it was sent.
#[derive(Debug)]
pub(crate) struct Begun {
    pending: Pending,
    sent: Timestamp,
}

/// How a value is kept.
#[derive(Debug)]
pub(crate) struct Keep {
    pub(crate) placed: Placed,
    pub(crate) owner: Option<SiteId>,
    /// How long it may be taken from when the request was sent.
    pub(crate) ttl: Duration,
    /// How long the entry is fresh from now.
    pub(crate) fresh: Duration,
    /// How many bytes it had in the store.
    pub(crate) weight: usize,
}

impl Tier {
    pub(crate) fn new(namespace: &str, capacity: usize, clock: Clock) -> Self {
        Self {
            table: LocalTable::new(capacity, clock.clone()),
            namespace: namespace.to_owned(),
            largest: capacity / LARGEST,
            clock,
            until: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(crate) const fn table(&self) -> &LocalTable {
        &self.table
    }

    /// Whether copies may be taken without asking the store.
    #[inline]
    pub(crate) fn is_on(&self) -> bool {
        // G3: of a store that is not heard of nothing is taken, also where nobody had the time to notice.
        self.clock.coarse().0 < self.until.load(Ordering::Acquire)
    }

    /// What `make` makes of the copy that the query finds, if any.
    #[inline]
    pub(crate) fn get<V: Any, R>(
        &self,
        query: Query<impl Fn(&[u8]) -> bool>,
        make: impl FnOnce(&V) -> Option<R>,
    ) -> Option<R> {
        match self.table.get(query, |value, _| make(value)) {
            Look::Found(found) => Some(found),
            _ => None,
        }
    }

    /// To be called before a request is sent whose value, stored under this key, prefix and tags, is to be kept.
    pub(crate) fn begin(&self, key: &str, prefix: &str, tags: impl IntoIterator<Item = u64>) -> Begun {
        let sent = self.clock.now();
        // What is stored may carry tags that nobody named.
        let pending = self.table.begin(name(key), self.prefix(prefix), tags, true);
        Begun { pending, sent }
    }

    /// Keeps what a request brought that is stored with these tags, unless one of its names changed since.
    pub(crate) fn keep<V: Any + Send + Sync>(
        &self,
        begun: Begun,
        unnamed: impl IntoIterator<Item = u64>,
        keep: Keep,
        value: V,
    ) {
        let Begun { mut pending, sent } = begun;
        if keep.weight > self.largest || !self.table.add_tags(&mut pending, unnamed) {
            return;
        }
        // Counted from when the request was sent: what changes later is told, or this bounds it.
        let until = sent.plus(keep.ttl).min(self.clock.now().plus(keep.fresh));
        let kept = AnyKept::new(keep.owner, Times { since: sent, until }, keep.weight, value);
        self.table.keep(&pending, Some(keep.placed), kept);
    }

    /// This process changed what is stored under this key.
    pub(crate) fn forget(&self, key: &str) {
        self.table.evict(name(key));
    }

    /// This process evicted this tag.
    pub(crate) fn forget_tag(&self, tag: u64) {
        self.table.evict_tag(tag);
    }

    /// This process changed what is stored under this prefix, or under all.
    pub(crate) fn forget_prefix(&self, prefix: Option<&String>) {
        self.table.evict_prefix(prefix.map(|prefix| self.prefix(prefix)));
    }

    fn prefix(&self, text: &str) -> u64 {
        self.table.hash(text.as_bytes())
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

    pub(crate) fn stats(&self) -> LocalStats {
        self.table.stats()
    }
}

/// What the store tells.
impl Tier {
    /// From now on it tells of every change.
    pub(super) fn begins(&self) {
        // What is under way was sent when nobody would have told.
        self.table.empty(Cause::Untold);
        *lock(&self.state) = State::On;
    }

    pub(super) fn changed(&self, key: &[u8]) {
        match (tag_of(&self.namespace, key), std::str::from_utf8(key)) {
            (Some(tag), _) => self.table.evict_tag(tag),
            (None, Ok(key)) => self.forget(key),
            // No entry has such a key.
            (None, Err(_)) => {}
        }
    }

    pub(super) fn all_changed(&self) {
        self.table.empty(Cause::Evicted);
    }

    pub(super) fn told_until(&self, moment: Instant) {
        let now = self.clock.now().minus(moment.elapsed());
        self.until.store(now.plus(SILENCE).minus(COARSENESS).0, Ordering::Release);
    }

    /// It tells of nothing any more.
    pub(super) fn ends(&self, why: Error) {
        self.until.store(0, Ordering::Release);
        self.table.empty(Cause::Untold);
        *lock(&self.state) = State::Off(why);
    }
}

fn name(key: &str) -> Name {
    Name(digest(key))
}

impl fmt::Debug for Tier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tier").field("table", &self.table).finish_non_exhaustive()
    }
}
