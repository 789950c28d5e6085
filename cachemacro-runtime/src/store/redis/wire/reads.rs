//! Reads that wait for the same flush are one `MGET`, with each key once, answered to all who asked.
//!
//! A batch owns its reply and the wakers of those who wait for it; a caller holds the batch, its place among the wakers, and
//! where in the reply its keys are. Nothing is allocated for a caller of few keys, and one that goes away disturbs nobody.
//! Who comes while a batch is under way joins the next, so that each read is sent after its caller began (G1). Where keys
//! have to lie in one slot, each slot has a `Reads` of its own (`by_slot`).

use std::collections::VecDeque;
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::time::Instant;

use super::asked::{Asked, Told};
use super::failure::{Broken, Unread};
use super::frame::{self, Malformed, Span, Strings};
use crate::ground::sync::lock;

/// How many keys one batch takes; more in one go cost the server as much each.
pub(super) const MOST_KEYS: usize = 64;
/// How many bytes of keys one batch takes.
const MOST_BYTES: usize = 16 * 1024;
/// How many bytes of values one batch is to bring, going by what the last ones brought, so that who asked for a small value
/// does not wait for many large ones.
const EXPECTED_BYTES: usize = 256 * 1024;
/// The fewest keys that a batch takes, however large the values are; the most until it is known how large they are.
const FEWEST_KEYS: usize = 4;
/// How many batches may wait to be sent; more callers than fit wait outside.
const MOST_WAITING: usize = 32;
/// Batches that are kept to be used again.
const SPARE: usize = 4;
/// A reply over this is not kept with its batch.
const KEPT: usize = 64 * 1024;
/// How many keys of one caller need no allocation: an entry and its tags.
const FEW: usize = 8;
/// Twice the keys, so that a search ends soon.
const TABLE: usize = 2 * MOST_KEYS;
const FREE: u8 = u8::MAX;

/// One key to read, with a hash of it.
#[derive(Clone, Copy, Default)]
pub(super) struct Wanted<'a> {
    key: &'a [u8],
    hash: u64,
}

impl<'a> Wanted<'a> {
    pub(super) fn new(key: &'a [u8]) -> Self {
        Self { key, hash: xxhash_rust::xxh3::xxh3_64(key) }
    }
}

/// Whether a caller's keys may be read in one command with others'.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Company {
    Any,
    None,
}

/// What is the same for all who wait for one `MGET`.
#[derive(Default)]
pub(super) struct Batch {
    waiting: Mutex<Vec<Option<Waker>>>,
    /// Until when the reply may come, where the connection went silent with what was asked before.
    doubt: OnceLock<Instant>,
    reply: OnceLock<Result<Values, Unread>>,
}

/// Strings of one reply.
#[derive(Default)]
struct Values {
    frame: Bytes,
    spans: Vec<Span>,
}

impl Batch {
    /// Takes a whole reply to so many keys.
    pub(super) fn answer(&self, frame: Bytes, keys: usize, spans: Vec<Span>) -> Result<(), Malformed> {
        let mut values = Values { frame, spans };
        let reply = match frame::strings(&values.frame, keys, &mut values.spans)? {
            Strings::Found => Ok(values),
            Strings::Refused(line) => Err(Unread::Refused(line)),
        };
        self.finish(reply);
        Ok(())
    }

    /// Tells those who wait that there will be no reply.
    pub(super) fn fail(&self, broken: Broken) {
        self.finish(Err(Unread::Broken(broken)));
    }

    /// Tells those who wait that there may be no reply, which is given up then.
    pub(super) fn doubt(&self, due: Instant) {
        if self.doubt.set(due).is_ok() {
            // They keep their places.
            let wakers: Vec<_> = lock(&self.waiting).iter_mut().filter_map(Option::take).collect();
            wakers.into_iter().for_each(Waker::wake);
        }
    }

    fn finish(&self, reply: Result<Values, Unread>) {
        // There is one reply.
        let _ = self.reply.set(reply);
        let mut waiting = std::mem::take(&mut *lock(&self.waiting));
        for waker in waiting.drain(..).flatten() {
            waker.wake();
        }
        // Its room is used again.
        *lock(&self.waiting) = waiting;
    }
}

/// Where keys of one caller are among those of its batch.
#[derive(Debug)]
enum Places {
    Few([u8; FEW]),
    Many(Box<[u8]>),
}

impl Places {
    fn get(&self, at: usize) -> usize {
        usize::from(match self {
            Self::Few(places) => places[at],
            Self::Many(places) => places[at],
        })
    }
}

/// A caller's part of a batch: a future of the reply. May be dropped at any time.
pub(super) struct Ticket {
    batch: Arc<Batch>,
    waker: usize,
    places: Places,
    is_registered: bool,
    /// Whether it told that the reply is doubtful.
    has_doubted: bool,
}

impl Ticket {
    fn news(&mut self) -> Poll<Told<()>> {
        if self.batch.reply.get().is_some() {
            return Poll::Ready(Told::Answered(()));
        }
        match self.batch.doubt.get() {
            Some(due) if !self.has_doubted => {
                // The waker was used.
                (self.has_doubted, self.is_registered) = (true, false);
                Poll::Ready(Told::Doubtful(*due))
            }
            _ => Poll::Pending,
        }
    }
}

impl Future for Ticket {
    type Output = Told<()>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Told<()>> {
        if let Poll::Ready(told) = self.news() {
            return Poll::Ready(told);
        }
        // The first poll is that in which the waker was left.
        if std::mem::take(&mut self.is_registered) {
            return Poll::Pending;
        }
        if let Some(waker) = lock(&self.batch.waiting).get_mut(self.waker) {
            match waker {
                Some(waker) => waker.clone_from(cx.waker()),
                None => *waker = Some(cx.waker().clone()),
            }
        }
        // It may have come before the waker was there.
        self.news()
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if self.batch.reply.get().is_none()
            && let Some(waker) = lock(&self.batch.waiting).get_mut(self.waker)
        {
            // The task may be gone, and its memory need not stay.
            *waker = None;
        }
    }
}

/// What one caller's read found.
pub(crate) struct Found(Ticket);

impl Found {
    /// Waits for the reply.
    pub(super) async fn told(mut ticket: Ticket) -> Asked<Result<Self, Unread>> {
        match (&mut ticket).await {
            Told::Answered(()) => Asked::Answered(Self::of(ticket)),
            Told::Doubtful(due) => Asked::doubtful(due, async move {
                while let Told::Doubtful(_) = (&mut ticket).await {}
                Self::of(ticket)
            }),
        }
    }

    fn of(ticket: Ticket) -> Result<Self, Unread> {
        match ticket.batch.reply.get() {
            Some(Err(unread)) => Err(unread.clone()),
            _ => Ok(Self(ticket)),
        }
    }

    /// What is under the key of this number among those that were asked for; `None` where there is no string.
    pub(crate) fn bytes(&self, key: usize) -> Option<Bytes> {
        let (values, range) = self.range(key)?;
        Some(values.frame.slice(range))
    }

    /// The same, to look at.
    pub(crate) fn slice(&self, key: usize) -> Option<&[u8]> {
        let (values, range) = self.range(key)?;
        values.frame.get(range)
    }

    fn range(&self, key: usize) -> Option<(&Values, std::ops::Range<usize>)> {
        let values = self.0.batch.reply.get()?.as_ref().ok()?;
        let range = values.spans.get(self.0.places.get(key))?.range()?;
        Some((values, range))
    }
}

/// A batch that can be sent: who waits, its keys as they are sent, and how many those are.
pub(super) struct Sealed {
    pub(super) batch: Arc<Batch>,
    pub(super) keys: Vec<u8>,
    pub(super) count: usize,
    /// Room for the places of its strings.
    pub(super) spans: Vec<Span>,
    pub(super) callers: usize,
    /// Behind how many commands it goes.
    behind: u64,
    /// Since when its first caller waits.
    pub(super) since: Instant,
}

impl Sealed {
    /// Writes the command.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        frame::length(out, b'*', self.count + 1);
        out.extend_from_slice(b"$4\r\nMGET\r\n");
        out.extend_from_slice(&self.keys);
    }
}

/// The batch that callers join now.
struct Gathering {
    batch: Arc<Batch>,
    since: Instant,
    callers: usize,
    behind: u64,
}

/// Reads that were not sent yet.
pub(super) struct Reads {
    gathering: Option<Gathering>,
    /// The keys of that batch as they are sent, with their hashes and where each lies, and a table of them by hash.
    keys: Vec<u8>,
    hashes: Vec<u64>,
    ends: Vec<(u32, u32)>,
    table: [u8; TABLE],
    full: VecDeque<Sealed>,
    /// How many keys a batch takes now.
    most_keys: usize,
    /// About how many bytes a value has, once any was seen.
    value_bytes: Option<usize>,
    spare: VecDeque<Arc<Batch>>,
    /// Room of batches that are used again.
    spare_spans: Vec<Vec<Span>>,
}

impl Default for Reads {
    fn default() -> Self {
        Self {
            gathering: None,
            keys: Vec::new(),
            hashes: Vec::with_capacity(MOST_KEYS),
            ends: Vec::with_capacity(MOST_KEYS),
            table: [FREE; TABLE],
            full: VecDeque::new(),
            most_keys: FEWEST_KEYS,
            value_bytes: None,
            spare: VecDeque::with_capacity(SPARE),
            spare_spans: Vec::with_capacity(SPARE),
        }
    }
}

impl Reads {
    /// Takes as many keys into a batch as these do, who know how large values are.
    pub(super) const fn take_as_many_as(&mut self, others: &Self) {
        self.most_keys = others.most_keys;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gathering.is_none() && self.full.is_empty()
    }

    /// Whether one more caller may come now.
    pub(super) fn has_room(&self) -> bool {
        self.full.len() < MOST_WAITING
    }

    /// Has these keys read, at most [`MOST_KEYS`] of them, behind so many other commands. The waker is told of the reply.
    pub(super) fn join(
        &mut self,
        wanted: &[Wanted<'_>],
        company: Company,
        behind: u64,
        waker: &Waker,
    ) -> Ticket {
        debug_assert!(wanted.len() <= MOST_KEYS, "as many as a batch takes");
        let bytes: usize = wanted.iter().map(|wanted| wanted.key.len()).sum();
        // A caller's keys lie in one batch. Those that are there already are counted again here.
        let is_over = self.hashes.len() + wanted.len() > self.most_keys.max(wanted.len())
            || self.keys.len() + bytes > MOST_BYTES.max(bytes);
        if is_over || company == Company::None {
            self.keep_place();
        }
        let places = if wanted.len() <= FEW {
            let mut places = [0; FEW];
            for (place, wanted) in places.iter_mut().zip(wanted) {
                *place = self.place(wanted);
            }
            Places::Few(places)
        } else {
            Places::Many(wanted.iter().map(|wanted| self.place(wanted)).collect())
        };
        if self.gathering.is_none() {
            self.gathering =
                Some(Gathering { batch: self.unused(), since: Instant::now(), callers: 0, behind });
        }
        let gathering = self.gathering.as_mut().expect("made where there was none");
        gathering.callers += 1;
        gathering.behind = behind;
        let mut waiting = lock(&gathering.batch.waiting);
        waiting.push(Some(waker.clone()));
        let waker = waiting.len() - 1;
        drop(waiting);
        let batch = Arc::clone(&gathering.batch);
        if company == Company::None {
            self.keep_place();
        }
        Ticket { batch, waker, places, is_registered: true, has_doubted: false }
    }

    /// The place of a key in the batch that gathers, where it is written once.
    fn place(&mut self, wanted: &Wanted<'_>) -> u8 {
        let mut at = table_place(wanted.hash);
        while self.table[at] != FREE {
            let place = usize::from(self.table[at]);
            let (start, stop) = self.ends[place];
            if self.hashes[place] == wanted.hash && self.keys[start as usize..stop as usize] == *wanted.key {
                return self.table[at];
            }
            at = (at + 1) % TABLE;
        }
        let place = u8::try_from(self.hashes.len()).unwrap_or(FREE);
        self.table[at] = place;
        frame::string(&mut self.keys, wanted.key);
        let stop = self.keys.len() - 2;
        let end = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        self.ends.push((end(stop - wanted.key.len()), end(stop)));
        self.hashes.push(wanted.hash);
        place
    }

    /// Behind how many commands the next batch goes, where there is one.
    pub(super) fn behind(&self) -> Option<u64> {
        let full = self.full.front().map(|sealed| sealed.behind);
        full.or(self.gathering.as_ref().map(|gathering| gathering.behind))
    }

    /// Has nobody join the batch that gathers, which would have it wait for later commands.
    pub(super) fn keep_place(&mut self) {
        if let Some(sealed) = self.seal() {
            self.full.push_back(sealed);
        }
    }

    /// The next batch to send; from now on nobody joins it.
    pub(super) fn next(&mut self) -> Option<Sealed> {
        loop {
            let sealed = self.full.pop_front().or_else(|| self.seal())?;
            // One whose callers all went away is not sent.
            if Arc::strong_count(&sealed.batch) > 1 {
                return Some(sealed);
            }
            self.recycle_keys(sealed.keys);
            self.keep(sealed.batch);
        }
    }

    fn seal(&mut self) -> Option<Sealed> {
        let Gathering { batch, since, callers, behind } = self.gathering.take()?;
        let keys = std::mem::take(&mut self.keys);
        let count = self.hashes.len();
        self.hashes.clear();
        self.ends.clear();
        self.table.fill(FREE);
        let spans = self.spare_spans.pop().unwrap_or_default();
        Some(Sealed { batch, keys, count, spans, callers, behind, since })
    }

    /// Takes the room of keys that were written.
    pub(super) fn recycle_keys(&mut self, mut keys: Vec<u8>) {
        if self.gathering.is_none() && keys.capacity() > self.keys.capacity() {
            keys.clear();
            self.keys = keys;
        }
    }

    /// Takes note of a reply to so many keys, and its batch, to use it again once all its callers left.
    pub(super) fn answered(&mut self, batch: Arc<Batch>, keys: usize, bytes: usize) {
        let value_bytes = bytes / keys.max(1);
        let value_bytes = self.value_bytes.map_or(value_bytes, |before| (before * 7 + value_bytes) / 8);
        self.value_bytes = Some(value_bytes);
        self.most_keys = (EXPECTED_BYTES / value_bytes.max(1)).clamp(FEWEST_KEYS, MOST_KEYS);
        if bytes <= KEPT {
            self.keep(batch);
        }
    }

    fn keep(&mut self, batch: Arc<Batch>) {
        if self.spare.len() == SPARE {
            self.spare.pop_front();
        }
        self.spare.push_back(batch);
    }

    /// A batch that nobody holds.
    fn unused(&mut self) -> Arc<Batch> {
        for _ in 0..self.spare.len() {
            let Some(mut batch) = self.spare.pop_front() else { break };
            if let Some(own) = Arc::get_mut(&mut batch) {
                if let Some(Ok(Values { mut spans, .. })) = own.reply.take()
                    && self.spare_spans.len() < SPARE
                {
                    spans.clear();
                    self.spare_spans.push(spans);
                }
                own.doubt.take();
                own.waiting.get_mut().unwrap_or_else(PoisonError::into_inner).clear();
                return batch;
            }
            self.spare.push_back(batch);
        }
        Arc::default()
    }

    /// All batches that were not sent, for the last time.
    pub(super) fn drain(&mut self) -> Vec<Arc<Batch>> {
        let gathering = self.gathering.take().map(|gathering| gathering.batch);
        self.full.drain(..).map(|sealed| sealed.batch).chain(gathering).collect()
    }
}

fn table_place(hash: u64) -> usize {
    usize::try_from(hash % TABLE as u64).unwrap_or(0)
}

impl fmt::Debug for Reads {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reads")
            .field("keys", &self.hashes.len())
            .field("full", &self.full.len())
            .finish_non_exhaustive()
    }
}
