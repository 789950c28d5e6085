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
        query: &Query<impl Fn(&[u8]) -> bool>,
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
        let pending = self.table.begin(name(key), self.prefix(prefix), tags, true, false);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::stamps::version_key;
    use crate::ground::error::ErrorKind;

    const KEY: &str = "shop:user:7";
    const TAG: u64 = 7;
    const OTHER_TAG: u64 = 77;
    const MINUTE: Duration = Duration::from_secs(60);

    /// A tier that is on, and its clock.
    fn tier() -> (Tier, Clock) {
        let clock = Clock::manual();
        let tier = Tier::new("shop", 1 << 20, clock.clone());
        tier.begins();
        tier.told_until(Instant::now());
        (tier, clock)
    }

    fn begin(tier: &Tier) -> Begun {
        tier.begin(KEY, "shop:user:", [TAG])
    }

    /// Keeps a value that carries a tag which nobody named.
    fn keep(tier: &Tier, begun: Begun, ttl: Duration) {
        let placed = Placed { hash: tier.table.hash(b"7"), bytes: b"7".to_vec() };
        let keep = Keep { placed, owner: None, ttl, fresh: 2 * ttl, weight: 100 };
        tier.keep(begun, [OTHER_TAG], keep, 7_u32);
    }

    /// Whether the copy is taken by who hears of the store just now.
    fn is_taken(tier: &Tier) -> bool {
        let query = Query::new(tier.table.hash(b"7"), |bytes: &[u8]| bytes == b"7");
        tier.is_on() && tier.get(&query, |value: &u32| Some(*value)) == Some(7)
    }

    fn version(tag: u64) -> String {
        version_key("shop", tag).text
    }

    /// Upholds G3.
    #[test]
    fn a_copy_lives_from_when_its_request_was_sent() {
        let (tier, clock) = tier();
        let begun = begin(&tier);
        clock.advance(MINUTE / 2);
        keep(&tier, begun, MINUTE);
        tier.told_until(Instant::now());
        assert!(is_taken(&tier));
        clock.advance(MINUTE / 2);
        tier.told_until(Instant::now());
        assert!(!is_taken(&tier), "the reply took half of its life");
    }

    /// Upholds G3.
    #[test]
    fn of_a_store_that_is_not_heard_of_nothing_is_taken() {
        let (tier, clock) = tier();
        keep(&tier, begin(&tier), MINUTE);
        assert!(is_taken(&tier));
        clock.advance(SILENCE);
        assert!(!is_taken(&tier));
        tier.told_until(Instant::now());
        assert!(is_taken(&tier), "nothing had changed");
        tier.ends(Error::new(ErrorKind::Io, "lost"));
        assert!(!is_taken(&tier) && tier.why_off().is_some());
    }

    /// Upholds G2 and G3.
    #[test]
    fn what_was_told_while_a_value_was_on_its_way_refuses_it() {
        type Change = fn(&Tier);
        let changes: [(&str, Change); 10] = [
            ("the key", |tier| tier.changed(KEY.as_bytes())),
            ("its tag", |tier| tier.changed(version(TAG).as_bytes())),
            ("a tag that nobody named", |tier| tier.changed(version(OTHER_TAG).as_bytes())),
            ("all", Tier::all_changed),
            ("that telling begins", Tier::begins),
            ("that telling ends", |tier| tier.ends(Error::new(ErrorKind::Io, "lost"))),
            ("an evict here", |tier| tier.forget(KEY)),
            ("an evict of its tag here", |tier| tier.forget_tag(TAG)),
            ("an evict of its prefix here", |tier| tier.forget_prefix(Some(&"shop:user:".to_owned()))),
            ("an evict of all here", |tier| tier.forget_prefix(None)),
        ];
        for (what, change) in changes {
            for before in [true, false] {
                let (tier, _) = tier();
                let begun = begin(&tier);
                if before {
                    change(&tier);
                    keep(&tier, begun, MINUTE);
                } else {
                    keep(&tier, begun, MINUTE);
                    assert!(is_taken(&tier));
                    change(&tier);
                }
                tier.told_until(Instant::now());
                assert!(!is_taken(&tier), "{what}, {}", if before { "on its way" } else { "kept" });
            }
        }
        let (tier, _) = tier();
        let begun = begin(&tier);
        tier.changed(b"shop:user:8");
        tier.changed(version(8).as_bytes());
        tier.changed(b"other:\xff");
        keep(&tier, begun, MINUTE);
        assert!(is_taken(&tier), "something else changed");
    }

    /// Upholds G3: whoever keeps a value and whoever is told of its change, at the same time.
    #[test]
    fn no_order_of_threads_keeps_what_changed() {
        let (tier, _) = tier();
        let row = AtomicU64::new(0);
        for round in 1..=2_000 {
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    let begun = begin(&tier);
                    let read = row.load(Ordering::SeqCst);
                    let placed = Placed { hash: tier.table.hash(b"7"), bytes: b"7".to_vec() };
                    let keep = Keep { placed, owner: None, ttl: MINUTE, fresh: MINUTE, weight: 8 };
                    tier.keep(begun, [], keep, read);
                });
                scope.spawn(|| {
                    row.store(round, Ordering::SeqCst);
                    tier.changed(if round % 2 == 0 { KEY.to_owned() } else { version(TAG) }.as_bytes());
                });
            });
            let query = Query::new(tier.table.hash(b"7"), |bytes: &[u8]| bytes == b"7");
            let kept = tier.get(&query, |value: &u64| Some(*value));
            assert!(kept.is_none_or(|kept| kept == round), "{kept:?} in round {round}");
        }
    }
}
