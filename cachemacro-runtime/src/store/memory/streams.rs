//! Streams in this process's memory. They behave as those on a server do, and are not counted in the store's capacity: each is bounded by what is
//! appended to it.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::ground::clock::{Clock, Timestamp};
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::sync::lock;
use crate::store::streams::{Buried, Given, Item, Member, Place, Streams, Taken};

/// How many of those that were put aside a group keeps.
const MOST_BURIED: usize = 10_000;

/// All streams of a store.
pub(super) struct Kept {
    clock: Clock,
    streams: Mutex<HashMap<String, Stream>>,
    grown: Arc<Notify>,
}

impl fmt::Debug for Kept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Kept").field("streams", &lock(&self.streams).len()).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Stream {
    items: VecDeque<Item>,
    last: Place,
    groups: HashMap<String, Group>,
}

struct Group {
    seen: Place,
    given: BTreeMap<u64, Held>,
    buried: VecDeque<Buried>,
    next: u64,
}

/// An item that a member was given.
struct Held {
    since: Timestamp,
    tries: u64,
}

impl Stream {
    fn group(&mut self, member: Member<'_>) -> &mut Group {
        let seen = self.last;
        let new = || Group { seen, given: BTreeMap::new(), buried: VecDeque::new(), next: 0 };
        self.groups.entry(member.group.to_owned()).or_insert_with(new)
    }

    fn item(&self, number: u64) -> Option<&Item> {
        let at = self.items.binary_search_by_key(&number, |item| item.place.number).ok()?;
        self.items.get(at)
    }

    fn after(&self, place: Place) -> impl Iterator<Item = &Item> {
        let from = self.items.partition_point(|item| item.place.number <= place.number);
        self.items.range(from..)
    }
}

impl Kept {
    pub(super) fn new(clock: Clock) -> Self {
        Self { clock, streams: Mutex::default(), grown: Arc::default() }
    }

    fn all(&self) -> MutexGuard<'_, HashMap<String, Stream>> {
        lock(&self.streams)
    }

    fn with_group<R>(&self, member: Member<'_>, use_: impl FnOnce(&mut Group) -> R) -> R {
        use_(self.all().entry(member.stream.to_owned()).or_default().group(member))
    }

    /// Whether something is behind this place.
    fn has(&self, stream: &str, place: Place) -> bool {
        self.all().get(stream).is_some_and(|stream| stream.last.number > place.number)
    }
}

impl Group {
    fn bury(&mut self, item: &Item, why: &str) {
        if self.given.remove(&item.place.number).is_none() {
            return;
        }
        self.next += 1;
        self.buried.push_back(Buried::new(format!("{}-0", self.next), item.clone(), why));
        if self.buried.len() > MOST_BURIED {
            self.buried.pop_front();
        }
    }
}

#[async_trait]
impl Streams for Kept {
    async fn append(&self, stream: &str, payload: Bytes, keep: usize) -> Result<Place> {
        let began = self.clock.now().millis().saturating_mul(1_000).max(1);
        let mut all = self.all();
        let stream = all.entry(stream.to_owned()).or_default();
        let Place { origin, number } = stream.last;
        let place =
            if number == 0 { Place::new(began, began) } else { Place::new(origin, number.saturating_add(1)) };
        stream.last = place;
        stream.items.push_back(Item::new(place, payload));
        while stream.items.len() > keep.max(1) {
            stream.items.pop_front();
        }
        drop(all);
        self.grown.notify_waiters();
        Ok(place)
    }

    async fn end(&self, stream: &str) -> Result<Place> {
        Ok(self.all().get(stream).map(|stream| stream.last).unwrap_or_default())
    }

    async fn after(&self, stream: &str, place: Place, most: usize) -> Result<Vec<Item>> {
        let all = self.all();
        let Some(stream) = all.get(stream) else { return Ok(Vec::new()) };
        Ok(stream.after(place).take(most).cloned().collect())
    }

    async fn grown(&self, stream: &str, place: Place, at_most: Duration) {
        // It hears of every item from here on.
        let grown = Arc::clone(&self.grown).notified_owned();
        if !self.has(stream, place) {
            // Ends by an item of whichever stream, or by the time; which of them is the caller's to find out.
            let _ = timeout(at_most, grown).await;
        }
    }

    async fn join(&self, member: Member<'_>) -> Result<()> {
        self.with_group(member, |_| ());
        Ok(())
    }

    async fn leave(&self, _member: Member<'_>) -> Result<()> {
        // Nothing is kept of it.
        Ok(())
    }

    async fn take(&self, member: Member<'_>, idle: Duration, most: usize) -> Result<Taken> {
        let now = self.clock.now();
        let mut all = self.all();
        let stream = all.entry(member.stream.to_owned()).or_default();
        let mut group = stream.groups.remove(member.group).ok_or_else(nobody)?;
        let (mut items, mut missed, mut exact) = (Vec::new(), 0, true);
        group.given.retain(|number, held| {
            if items.len() >= most || now.since(held.since) < idle {
                return true;
            }
            let Some(item) = stream.item(*number) else {
                missed += 1;
                return false;
            };
            *held = Held { since: now, tries: held.tries + 1 };
            items.push(Given::new(item.clone(), held.tries));
            true
        });
        for item in stream.after(group.seen).take(most.saturating_sub(items.len())) {
            let (count, is_all) = group.seen.missed(item.place);
            (missed, exact) = (missed + count, exact && is_all);
            group.seen = item.place;
            group.given.insert(item.place.number, Held { since: now, tries: 1 });
            items.push(Given::new(item.clone(), 1));
        }
        stream.groups.insert(member.group.to_owned(), group);
        Ok(Taken::new(items).with_missed(missed, exact))
    }

    async fn hold(&self, member: Member<'_>, numbers: &[u64]) -> Result<()> {
        let now = self.clock.now();
        self.with_group(member, |group| {
            for number in numbers {
                if let Some(held) = group.given.get_mut(number) {
                    held.since = now;
                }
            }
        });
        Ok(())
    }

    async fn finish(&self, member: Member<'_>, number: u64) -> Result<()> {
        self.with_group(member, |group| group.given.remove(&number));
        Ok(())
    }

    async fn bury(&self, member: Member<'_>, item: &Item, why: &str) -> Result<()> {
        self.with_group(member, |group| group.bury(item, why));
        Ok(())
    }

    async fn buried(&self, member: Member<'_>, most: usize) -> Result<Vec<Buried>> {
        Ok(self.with_group(member, |group| group.buried.iter().take(most).cloned().collect()))
    }

    async fn unbury(&self, member: Member<'_>, id: &str) -> Result<bool> {
        Ok(self.with_group(member, |group| {
            let before = group.buried.len();
            group.buried.retain(|buried| buried.id != id);
            group.buried.len() < before
        }))
    }
}

fn nobody() -> Error {
    Error::new(ErrorKind::Refused, "nobody has joined for this group")
}
