//! A mirror that follows an index.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};

use cachemacro::{Error, ErrorKind, Result};

use super::contract::{Changes, Index, Laid, Place};
use crate::document::Document;
use crate::mirror::Mirror;

/// So many changes are asked for at once.
const MOST: usize = 1_000;
/// So often at most, each time that it catches up: others may change more than it can read.
const ROUNDS: usize = 1_000;
/// So many pages has a scan at most: a server whose cursor never ends would be read for ever.
const MOST_PAGES: usize = 100_000;
/// So many documents are taken over before searches have their turn.
const AT_ONCE: usize = 64;

/// A mirror of one space of an index: built from all its documents, kept by what changes, and built anew after a gap. It is searched through
/// [`Searcher`]s, also while it catches up.
///
/// ```
/// use cachemacro_search::{Analyzer, Document, Follower, Index, MemoryIndex, Mirror, Query};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (index, words) = (MemoryIndex::new(), Analyzer::new());
/// let mut follower = Follower::new("shop:airport", Mirror::new());
/// let searcher = follower.searcher();
/// follower.catch_up(&index).await?;
///
/// // Meanwhile, in any process.
/// let document = Document::of("EGLL", &["London Heathrow"], &words)?;
/// index.write("shop:airport", &document, Duration::from_secs(60)).await?;
///
/// assert_eq!(follower.catch_up(&index).await?.changed, 1);
/// let found = searcher.search(|mirror| mirror.vector(&Query::of("heathrow", &words)));
/// assert_eq!(&*found[0].key, "EGLL");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Follower {
    space: String,
    /// Up to where the mirror has all changes; none where it was not built, or not to its end.
    place: Option<Place>,
    shared: Arc<Shared>,
}

struct Shared {
    mirror: RwLock<Mirror>,
    /// Keys to be removed as soon as nobody searches.
    forgotten: Mutex<HashSet<String>>,
    is_complete: AtomicBool,
    unread: AtomicU64,
}

/// Not the keys.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Shared");
        shown.field("is_complete", &self.is_complete).field("unread", &self.unread).finish_non_exhaustive()
    }
}

/// What catching up did.
///
/// ```
/// use cachemacro_search::{Follower, MemoryIndex, Mirror};
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let caught = Follower::new("airport", Mirror::new()).catch_up(&MemoryIndex::new()).await?;
/// assert_eq!((caught.changed, caught.is_rebuilt), (0, true));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Caught {
    /// So many documents were read, or found gone.
    pub changed: u64,
    /// Whether all documents were read: the first time, and after a gap.
    pub is_rebuilt: bool,
}

impl Follower {
    /// Fills this mirror with the documents of a space, once it catches up.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// let follower = Follower::new("shop:airport", Mirror::with_limit(10_000)?);
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn new(space: impl Into<String>, mirror: Mirror) -> Self {
        let shared = Shared {
            mirror: RwLock::new(mirror),
            forgotten: Mutex::default(),
            is_complete: AtomicBool::new(false),
            unread: AtomicU64::new(0),
        };
        Self { space: space.into(), place: None, shared: Arc::new(shared) }
    }

    /// Searches the mirror, from any task.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// let searcher = Follower::new("shop:airport", Mirror::new()).searcher();
    /// assert!(searcher.search(Mirror::is_empty));
    /// ```
    pub fn searcher(&self) -> Searcher {
        Searcher { shared: self.shared.clone() }
    }

    /// Reads what changed since the last time; all documents where there was none, and where the index does not know what changed.
    ///
    /// # Errors
    /// Where the index failed, or has no end of documents. What was read until then is in the mirror; the next time goes on from there, or begins anew where it was not built.
    ///
    /// ```
    /// use cachemacro_search::{Follower, MemoryIndex, Mirror};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let mut follower = Follower::new("shop:airport", Mirror::new());
    /// follower.catch_up(&MemoryIndex::new()).await?;
    /// assert!(follower.searcher().is_complete());
    /// # Ok(())
    /// # }
    /// ```
    pub async fn catch_up(&mut self, index: &dyn Index) -> Result<Caught> {
        let mut caught = Caught::default();
        for _ in 0..ROUNDS {
            let Some(place) = &self.place else {
                self.rebuild(index, &mut caught).await?;
                continue;
            };
            match index.changes(&self.space, place, MOST).await? {
                Changes::Lost => {
                    self.follows(None);
                    // What was read is what there was when it began: once is enough for this time.
                    if caught.is_rebuilt {
                        break;
                    }
                }
                Changes::Told { laid, next, is_all } => {
                    caught.changed += laid.len() as u64;
                    self.shared.mirrored(&laid);
                    self.follows(Some(next));
                    if is_all {
                        break;
                    }
                }
            }
        }
        if !self.shared.forgotten().is_empty() {
            self.shared.write(|_| ());
        }
        Ok(caught)
    }

    /// Reads all documents. What changes meanwhile is told from the place on that was asked for before.
    async fn rebuild(&mut self, index: &dyn Index, caught: &mut Caught) -> Result<()> {
        let place = index.place(&self.space).await?;
        let mut from = None;
        self.shared.write(Mirror::begin_anew);
        for _ in 0..MOST_PAGES {
            let page = index.scan(&self.space, from.as_ref()).await?;
            caught.changed += page.laid.len() as u64;
            self.shared.mirrored(&page.laid);
            from = page.next;
            if from.is_none() {
                // Those that were there before, and are not any more.
                self.shared.write(Mirror::keep_new);
                self.follows(Some(place));
                caught.is_rebuilt = true;
                return Ok(());
            }
        }
        Err(Error::new(ErrorKind::TooLarge, "the index has no end of documents"))
    }

    fn follows(&mut self, place: Option<Place>) {
        self.shared.is_complete.store(place.is_some(), Ordering::Release);
        self.place = place;
    }
}

impl Shared {
    fn write<R>(&self, change: impl FnOnce(&mut Mirror) -> R) -> R {
        // A search that panicked changed nothing.
        let mut mirror = self.mirror.write().unwrap_or_else(PoisonError::into_inner);
        // What was forgotten is what was there before this change.
        self.forget_in(&mut mirror);
        let done = change(&mut mirror);
        drop(mirror);
        self.settle();
        done
    }

    fn forgotten(&self) -> MutexGuard<'_, HashSet<String>> {
        self.forgotten.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_in(&self, mirror: &mut Mirror) {
        let forgotten = std::mem::take(&mut *self.forgotten());
        for key in forgotten {
            mirror.remove(&key);
        }
    }

    /// Removes what is to be forgotten, unless the mirror is in use: whoever uses it does this after.
    fn settle(&self) {
        while !self.forgotten().is_empty() {
            match self.mirror.try_write() {
                Ok(mut mirror) => self.forget_in(&mut mirror),
                Err(TryLockError::Poisoned(poisoned)) => self.forget_in(&mut poisoned.into_inner()),
                Err(TryLockError::WouldBlock) => return,
            }
        }
    }

    /// What lies under each key is in the mirror, if it is that key's document.
    fn mirrored(&self, laid: &[Laid]) {
        let read = |laid: &Laid| match Document::from_bytes(laid.bytes.as_deref()?) {
            Ok(document) if document.key() == laid.key => Some(document),
            _ => {
                self.unread.fetch_add(1, Ordering::Relaxed);
                None
            }
        };
        for laid in laid.chunks(AT_ONCE) {
            let documents: Vec<(&str, Option<Document>)> =
                laid.iter().map(|laid| (&*laid.key, read(laid))).collect();
            self.write(|mirror| {
                for (key, document) in documents {
                    match document {
                        Some(document) => mirror.insert(document),
                        None => drop(mirror.remove(key)),
                    }
                }
            });
        }
    }
}

/// Searches the mirror of a [`Follower`], from any task.
///
/// ```
/// use cachemacro_search::{Analyzer, Follower, Mirror, Query};
///
/// let searcher = Follower::new("shop:airport", Mirror::new()).searcher();
/// let found = searcher.search(|mirror| mirror.vector(&Query::of("heathrow", &Analyzer::new())));
/// assert!(found.is_empty() && !searcher.is_complete());
/// ```
#[derive(Debug, Clone)]
pub struct Searcher {
    shared: Arc<Shared>,
}

impl Searcher {
    /// What `search` finds among the documents, as far as they were read. Others search beside it; changes wait for it. So `search` is not to search
    /// once more itself, nor to wait for the follower: a change that waits for it would hold up both.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// assert_eq!(Follower::new("shop:airport", Mirror::new()).searcher().search(Mirror::len), 0);
    /// ```
    pub fn search<R>(&self, search: impl FnOnce(&Mirror) -> R) -> R {
        let mirror = self.shared.mirror.read().unwrap_or_else(PoisonError::into_inner);
        let found = search(&mirror);
        drop(mirror);
        self.shared.settle();
        found
    }

    /// Removes a document whose entry was not there when it was read. It waits for nobody, and may be called within [`search`](Self::search): where the
    /// mirror is in use, the document goes once it is not, at the latest when the follower catches up.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// let searcher = Follower::new("shop:airport", Mirror::new()).searcher();
    /// searcher.forget("EGLL");
    /// assert!(searcher.search(|mirror| !mirror.contains("EGLL")));
    /// ```
    pub fn forget(&self, key: &str) {
        self.shared.forgotten().insert(key.to_owned());
        self.shared.settle();
    }

    /// Whether all documents were read once, and every change since was known. Until then an answer is partial.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// assert!(!Follower::new("shop:airport", Mirror::new()).searcher().is_complete());
    /// ```
    pub fn is_complete(&self) -> bool {
        self.shared.is_complete.load(Ordering::Acquire)
    }

    /// How often what lay under a key was no document, or another key's. It is passed over; the entry's next fill writes it anew.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// assert_eq!(Follower::new("shop:airport", Mirror::new()).searcher().unread(), 0);
    /// ```
    pub fn unread(&self) -> u64 {
        self.shared.unread.load(Ordering::Relaxed)
    }
}
