//! An index in this process.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fmt;
use std::ops::Bound;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro::{Clock, Error, ErrorKind, Result, Timestamp};

use super::contract::{Changes, Index, Laid, Page, Place};
use crate::document::Document;

/// The most changes that are kept of a space.
const MOST_CHANGES: usize = 10_000;
/// So many documents are on a page.
const PAGE: usize = 1_000;

/// An index in this process, for caches in memory and for tests.
///
/// ```
/// use cachemacro_search::{Analyzer, Document, Index, MemoryIndex};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let index = MemoryIndex::new();
/// let document = Document::of("EGLL", &["London Heathrow"], &Analyzer::new())?;
/// index.write("airport", &document, Duration::from_secs(60)).await?;
/// assert_eq!(index.scan("airport", None).await?.laid.len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct MemoryIndex {
    clock: Clock,
    most_changes: usize,
    spaces: Mutex<HashMap<String, Space>>,
}

#[derive(Default)]
struct Space {
    /// By key, with the time at which it ends.
    documents: BTreeMap<String, (Bytes, Timestamp)>,
    /// Keys that changed, the oldest first.
    changed: VecDeque<String>,
    /// How many changes there were before these.
    forgotten: u64,
    /// When ended ones were looked for.
    swept: usize,
}

/// Neither documents nor their keys.
impl fmt::Debug for Space {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (documents, changed) = (self.documents.len(), self.changed.len());
        f.debug_struct("Space")
            .field("documents", &documents)
            .field("changed", &changed)
            .finish_non_exhaustive()
    }
}

impl Default for MemoryIndex {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryIndex {
    /// An empty index that keeps the last 10,000 changes of each space.
    ///
    /// ```
    /// let index = cachemacro_search::MemoryIndex::new();
    /// ```
    pub fn new() -> Self {
        Self { clock: Clock::system(), most_changes: MOST_CHANGES, spaces: Mutex::default() }
    }

    /// Lives end by this clock.
    ///
    /// ```
    /// let index = cachemacro_search::MemoryIndex::new().with_clock(cachemacro::Clock::manual());
    /// ```
    #[must_use]
    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    /// Keeps so many changes of each space, at least one.
    ///
    /// ```
    /// let index = cachemacro_search::MemoryIndex::new().with_changes(100);
    /// ```
    #[must_use]
    pub fn with_changes(mut self, most: usize) -> Self {
        self.most_changes = most.max(1);
        self
    }

    fn spaces(&self) -> MutexGuard<'_, HashMap<String, Space>> {
        // What is there is whole at every line: a panic elsewhere spoilt nothing.
        self.spaces.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lays any bytes under a key, as a foreign process might.
    pub(crate) fn lay(&self, space: &str, key: &str, bytes: Bytes, life: Duration) {
        let now = self.clock.now();
        let mut spaces = self.spaces();
        let space = spaces.entry(space.to_owned()).or_default();
        space.sweep(now);
        space.documents.insert(key.to_owned(), (bytes, now.plus(life)));
        space.tell(key, self.most_changes);
    }
}

impl Space {
    fn tell(&mut self, key: &str, most: usize) {
        self.changed.push_back(key.to_owned());
        if self.changed.len() > most {
            self.changed.pop_front();
            self.forgotten += 1;
        }
    }

    /// Lets go of what has ended, once as many were written as there are.
    fn sweep(&mut self, now: Timestamp) {
        self.swept += 1;
        if self.swept > self.documents.len() {
            self.documents.retain(|_, (_, end)| now < *end);
            self.swept = 0;
        }
    }

    fn last(&self) -> u64 {
        self.forgotten + self.changed.len() as u64
    }

    fn laid(&self, key: &str, now: Timestamp) -> Laid {
        let alive = self.documents.get(key).filter(|(_, end)| now < *end);
        Laid::new(key, alive.map(|(bytes, _)| bytes.clone()))
    }
}

#[async_trait]
impl Index for MemoryIndex {
    async fn write(&self, space: &str, document: &Document, life: Duration) -> Result<()> {
        self.lay(space, document.key(), document.to_bytes(), life);
        Ok(())
    }

    async fn remove(&self, space: &str, key: &str) -> Result<()> {
        if let Some(space) = self.spaces().get_mut(space)
            && space.documents.remove(key).is_some()
        {
            space.tell(key, self.most_changes);
        }
        Ok(())
    }

    async fn place(&self, space: &str) -> Result<Place> {
        let last = self.spaces().get(space).map_or(0, Space::last);
        Ok(Place::new(last.to_string()))
    }

    async fn changes(&self, space: &str, since: &Place, most: usize) -> Result<Changes> {
        let most = most.max(1);
        let since: u64 = since.as_str().parse().map_err(|_| unknown())?;
        let (spaces, now) = (self.spaces(), self.clock.now());
        let Some(space) = spaces.get(space) else {
            return Ok(if since == 0 {
                Changes::Told { laid: Vec::new(), next: Place::new("0"), is_all: true }
            } else {
                Changes::Lost
            });
        };
        if since < space.forgotten || since > space.last() {
            return Ok(Changes::Lost);
        }
        let from = usize::try_from(since - space.forgotten).unwrap_or(usize::MAX);
        let mut keys: Vec<&String> = space.changed.iter().skip(from).take(most).collect();
        let next = since + keys.len() as u64;
        keys.sort_unstable();
        keys.dedup();
        let laid = keys.into_iter().map(|key| space.laid(key, now)).collect();
        Ok(Changes::Told { laid, next: Place::new(next.to_string()), is_all: next == space.last() })
    }

    async fn scan(&self, space: &str, from: Option<&Place>) -> Result<Page> {
        let (spaces, now) = (self.spaces(), self.clock.now());
        let Some(space) = spaces.get(space) else { return Ok(Page::new(Vec::new(), None)) };
        let after = from.map_or(Bound::Unbounded, |place| Bound::Excluded(place.as_str()));
        let keys: Vec<&String> = space
            .documents
            .range::<str, _>((after, Bound::Unbounded))
            .map(|(key, _)| key)
            .take(PAGE)
            .collect();
        let next = keys.last().filter(|_| keys.len() == PAGE).map(|key| Place::new(key.as_str()));
        let laid =
            keys.into_iter().map(|key| space.laid(key, now)).filter(|laid| laid.bytes.is_some()).collect();
        Ok(Page::new(laid, next))
    }
}

fn unknown() -> Error {
    Error::new(ErrorKind::Decode, "the place is none of this index")
}
