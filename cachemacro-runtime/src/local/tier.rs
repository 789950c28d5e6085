//! The copies, and whether they may be taken now.
//!
//! Whoever sends a request whose value is to be kept [begins](Tier::begin) before that. What it brings is refused where something
//! was told of its key or of one of its tags since (G3); where all may have changed, whatever is under way is refused.

use std::any::Any;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::format::stamps::tag_of;
use crate::ground::clock::{COARSENESS, Clock, Timestamp};
use crate::ground::error::Error;
use crate::ground::sync::lock;
use crate::key::digest;
use crate::observe::local::{Cause, LocalStats};
use crate::observe::site::SiteId;
use crate::store::local::{AnyKept, LocalTable, Look, Name, Pending};
use crate::store::{Placed, Query};

/// After this long without a word from the store no copy is taken. Heartbeats keep the word coming, so this bounds how long a change that
/// was not told stays unseen.
const SILENCE: Duration = Duration::from_secs(1);

/// The greatest part of the capacity that one copy may have, where nothing else is set.
const LARGEST: usize = 64;

/// The copies of what is in one namespace of one store.
pub(crate) struct Tier {
    table: LocalTable,
    namespace: String,
    largest: usize,
    clock: Clock,
    /// Until when copies may be taken if the store says nothing more; zero: none may be taken.
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
    /// The store does not tell of changes, for this reason.
    Off(Error),
}

/// A request that is under way, and when it was sent.
#[derive(Debug)]
pub(crate) struct Begun {
    pending: Pending,
    sent: Timestamp,
}

impl Begun {
    /// Waits until the store tells of a change under the key.
    pub(crate) async fn told(&self) {
        self.pending.refused().await;
    }

    /// Whether the answer may still be kept: the store told of no change that the answer may be older than.
    pub(crate) fn is_sound(&self) -> bool {
        self.pending.is_sound()
    }
}

/// How long a copy may be taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Life {
    /// From when the request was sent.
    pub(crate) ttl: Duration,
    /// How long the entry is fresh from now.
    pub(crate) fresh: Duration,
}

/// A value to keep.
#[derive(Debug)]
pub(crate) struct LocalCopy {
    pub(crate) placed: Placed,
    kept: Arc<AnyKept>,
    /// How many bytes it has in the store.
    size: usize,
}

impl LocalCopy {
    /// `weight`: how many bytes it would have there without compression.
    pub(crate) fn new<V: Any + Send + Sync>(
        placed: Placed,
        owner: Option<&'static SiteId>,
        (size, weight): (usize, usize),
        value: V,
    ) -> Self {
        Self { placed, kept: AnyKept::new(owner, Timestamp(0), weight, value), size }
    }
}

impl Tier {
    /// `largest`: how many bytes a value may have in the store, to be kept.
    pub(crate) fn new(namespace: &str, capacity: usize, largest: Option<usize>, clock: Clock) -> Self {
        Self {
            table: LocalTable::new(capacity, clock.clone()),
            namespace: namespace.to_owned(),
            largest: largest.unwrap_or(capacity / LARGEST),
            clock,
            until: AtomicU64::new(0),
            state: Mutex::default(),
        }
    }

    pub(crate) const fn table(&self) -> &LocalTable {
        &self.table
    }

    /// Whether copies may be taken without asking the store.
    pub(crate) fn is_on(&self) -> bool {
        self.on().is_some()
    }

    /// The time by the coarse clock, where copies may be taken without asking the store.
    #[inline]
    pub(crate) fn on(&self) -> Option<Timestamp> {
        let now = self.clock.coarse();
        // G3: of a store that is not heard of nothing is taken, also where nobody had the time to notice.
        (now.0 < self.until.load(Ordering::Acquire)).then_some(now)
    }

    /// What `make` makes of the copy that the query finds, if any, at a time when the tier is [on](Self::on).
    #[inline]
    pub(crate) fn get<V: Any, R>(
        &self,
        query: &Query<impl Fn(&[u8]) -> bool>,
        now: Timestamp,
        make: impl FnOnce(&V) -> Option<R>,
    ) -> Option<R> {
        match self.table.get(query, now, |value, _| make(value)) {
            Look::Found(found) => Some(found),
            _ => None,
        }
    }

    /// What `make` makes of a copy of what is under this key for which `same` holds.
    pub(crate) fn get_named<V: Any, R>(
        &self,
        key: &str,
        same: impl Fn(&AnyKept) -> bool,
        make: impl FnOnce(&V) -> Option<R>,
    ) -> Option<R> {
        match self.table.get_named(name(key), same, None, |value, _| make(value)) {
            Look::Found(found) => Some(found),
            _ => None,
        }
    }

    /// To be called before a request is sent whose value, stored under this key, prefix and tags, is to be kept.
    pub(crate) fn begin(&self, key: &str, prefix: &str, tags: impl IntoIterator<Item = u64>) -> Begun {
        let sent = self.clock.now();
        // The stored entry may carry tags that this call does not name.
        let pending = self.table.begin(name(key), self.prefix(prefix), tags, true, false);
        Begun { pending, sent }
    }

    /// Keeps the value that a request brought, under the tags that it is stored with, unless its key, prefix or a tag changed since.
    pub(crate) fn keep(
        &self,
        begun: Begun,
        unnamed: impl IntoIterator<Item = u64>,
        life: Life,
        copy: LocalCopy,
    ) -> bool {
        let until = self.until(&begun, life);
        let mut pending = begun.pending;
        let LocalCopy { placed, mut kept, size } = copy;
        if size > self.largest || !self.table.add_tags(&mut pending, unnamed) {
            return false;
        }
        let Some(own) = Arc::get_mut(&mut kept) else { return false };
        own.set_until(until);
        self.table.keep(&pending, Some(placed), kept)
    }

    /// Until when a copy of the answer may be taken.
    fn until(&self, begun: &Begun, Life { ttl, fresh }: Life) -> Timestamp {
        // Counted from when the request was sent, so that a later change that is not told is seen after this long.
        begun.sent.plus(ttl).min(self.clock.now().plus(fresh))
    }

    /// Whether a value of so many bytes in the store may be kept.
    pub(crate) const fn may_keep(&self, size: usize) -> bool {
        size <= self.largest
    }

    /// What `make` makes of the copy that the query finds, also where it may not be taken before it was confirmed.
    pub(crate) fn find<V: Any, R>(
        &self,
        query: &Query<impl Fn(&[u8]) -> bool>,
        make: impl FnOnce(&V) -> Option<R>,
    ) -> Option<R> {
        self.table.find(query, make)
    }

    /// Lets a doubtful copy be taken again after the store said that it still has that value, unless its key, prefix or a tag changed since
    /// the store was asked.
    pub(crate) fn confirm<V: Any>(
        &self,
        begun: &Begun,
        query: &Query<impl Fn(&[u8]) -> bool>,
        is: impl FnOnce(&V) -> bool,
        life: Life,
    ) {
        self.table.confirm(&begun.pending, query, is, self.until(begun, life));
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

    /// Whether this reason why the tier is off was not logged yet.
    pub(super) fn is_news(&self, why: &Error) -> bool {
        !matches!(&*lock(&self.state), State::Off(last) if last.kind() == why.kind())
    }

    pub(crate) fn stats(&self) -> LocalStats {
        self.table.stats()
    }
}

/// What the store tells.
impl Tier {
    /// From now on the store tells of every change.
    pub(super) fn begins(&self) {
        // Requests under way were sent before the store began to tell, so their answers are refused.
        self.table.empty(Cause::Untold);
        *lock(&self.state) = State::On;
    }

    pub(super) fn changed(&self, key: &[u8]) {
        match (tag_of(&self.namespace, key), std::str::from_utf8(key)) {
            (Some(tag), _) => self.table.evict_tag(tag),
            // The value may be unchanged: taking a lease, or moving an expiry, changes the key as well.
            (None, Ok(key)) => self.table.doubt(name(key)),
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

    /// It may tell of nothing any more; why is still to come.
    ///
    /// Nothing is taken until it began anew. The copies go when it has ended: a request may wait for this.
    pub(super) fn pauses(&self) {
        self.until.store(0, Ordering::Release);
    }

    /// It tells of nothing any more.
    pub(super) fn ends(&self, why: Error) {
        self.pauses();
        self.table.empty(Cause::Untold);
        *lock(&self.state) = State::Off(why);
    }
}

fn name(key: &str) -> Name {
    Name::new(digest(key))
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
        let tier = Tier::new("shop", 1 << 20, None, clock.clone());
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
        tier.keep(
            begun,
            [OTHER_TAG],
            Life { ttl, fresh: 2 * ttl },
            LocalCopy::new(placed, None, (100, 100), 7_u32),
        );
    }

    /// Whether the copy is taken by who hears of the store just now.
    fn is_taken(tier: &Tier) -> bool {
        let query = Query::new(tier.table.hash(b"7"), |bytes: &[u8]| bytes == b"7");
        tier.on().and_then(|now| tier.get(&query, now, |value: &u32| Some(*value))) == Some(7)
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
        tier.pauses();
        assert!(!is_taken(&tier), "something else may have");
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
                    let life = Life { ttl: MINUTE, fresh: MINUTE };
                    tier.keep(begun, [], life, LocalCopy::new(placed, None, (8, 8), read));
                });
                scope.spawn(|| {
                    row.store(round, Ordering::SeqCst);
                    tier.changed(if round % 2 == 0 { KEY.to_owned() } else { version(TAG) }.as_bytes());
                });
            });
            let query = Query::new(tier.table.hash(b"7"), |bytes: &[u8]| bytes == b"7");
            let kept = tier.on().and_then(|now| tier.get(&query, now, |value: &u64| Some(*value)));
            assert!(kept.is_none_or(|kept| kept == round), "{kept:?} in round {round}");
        }
    }

    fn query(tier: &Tier) -> Query<impl Fn(&[u8]) -> bool> {
        Query::new(tier.table.hash(b"7"), |bytes: &[u8]| bytes == b"7")
    }

    fn confirm(tier: &Tier, begun: &Begun, is: bool) {
        tier.confirm(begun, &query(tier), |_: &u32| is, Life { ttl: MINUTE, fresh: MINUTE });
    }

    /// Upholds G3.
    #[test]
    fn a_copy_whose_key_was_told_of_is_taken_once_the_store_confirms_it() {
        let (tier, clock) = tier();
        keep(&tier, begin(&tier), MINUTE);
        tier.changed(KEY.as_bytes());
        assert!(!is_taken(&tier));
        assert_eq!(tier.find(&query(&tier), |value: &u32| Some(*value)), Some(7), "it is there still");
        // Asked before something was told once more.
        let early = begin(&tier);
        tier.changed(KEY.as_bytes());
        confirm(&tier, &early, true);
        assert!(!is_taken(&tier), "what changed after that is not known");
        let begun = begin(&tier);
        confirm(&tier, &begun, false);
        assert!(!is_taken(&tier), "the store has another value");
        clock.advance(MINUTE / 2);
        let begun = begin(&tier);
        clock.advance(MINUTE / 4);
        confirm(&tier, &begun, true);
        tier.told_until(Instant::now());
        assert!(is_taken(&tier));
        clock.advance(MINUTE / 2);
        tier.told_until(Instant::now());
        assert!(is_taken(&tier), "from when the store was asked");
        clock.advance(MINUTE / 4);
        tier.told_until(Instant::now());
        assert!(!is_taken(&tier));
    }

    /// Upholds G2 and G3.
    #[test]
    fn nothing_confirms_a_copy_that_was_evicted_here_or_whose_tag_was() {
        let evicts: [fn(&Tier); 3] =
            [|tier| tier.forget(KEY), |tier| tier.forget_tag(TAG), |tier| tier.forget_prefix(None)];
        for how in evicts {
            let (tier, _) = tier();
            keep(&tier, begin(&tier), MINUTE);
            tier.changed(KEY.as_bytes());
            how(&tier);
            let begun = begin(&tier);
            confirm(&tier, &begun, true);
            assert!(!is_taken(&tier));
        }
    }

    #[test]
    fn who_waits_for_a_key_is_told_of_a_change_that_came_before_too() {
        use futures_util::FutureExt as _;
        let (tier, _) = tier();
        let begun = begin(&tier);
        assert!(begun.told().now_or_never().is_none());
        tier.changed(version(TAG).as_bytes());
        assert!(begun.told().now_or_never().is_none(), "another key");
        tier.changed(KEY.as_bytes());
        assert!(begun.told().now_or_never().is_some() && !begun.is_sound());
    }

    #[test]
    fn room_is_made_of_copies_that_nobody_may_take_first() {
        let tier = Tier::new("shop", 3_200, Some(3_200), Clock::manual());
        tier.begins();
        tier.told_until(Instant::now());
        keep(&tier, begin(&tier), MINUTE);
        for key in 0..3_u32 {
            let text = key.to_string();
            let placed = Placed { hash: tier.table.hash(text.as_bytes()), bytes: text.into_bytes() };
            let begun = tier.begin(&format!("shop:user:{key}0"), "shop:user:", []);
            if key == 2 {
                tier.changed(KEY.as_bytes());
            }
            assert!(tier.keep(
                begun,
                [],
                Life { ttl: MINUTE, fresh: MINUTE },
                LocalCopy::new(placed, None, (800, 800), key)
            ));
        }
        assert!(tier.find(&query(&tier), |value: &u32| Some(*value)).is_none());
        assert_eq!((tier.stats().evicted, tier.stats().for_room), (1, 0));
    }
}
