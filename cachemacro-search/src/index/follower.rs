//! A mirror that follows an index.

use cachemacro::Result;

use super::contract::{Changes, Index, Laid, Place};
use crate::document::Document;
use crate::mirror::Mirror;

/// So many changes are asked for at once.
const MOST: usize = 1_000;
/// So often at most, each time that it catches up: others may change more than it can read.
const ROUNDS: usize = 1_000;

/// A mirror of one space of an index: built from all its documents, kept by what changes, and built anew after a gap.
///
/// ```
/// use cachemacro_search::{Analyzer, Document, Follower, Index, MemoryIndex, Mirror, Query};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (index, words) = (MemoryIndex::new(), Analyzer::new());
/// let mut follower = Follower::new("shop:airport", Mirror::new());
/// follower.catch_up(&index).await?;
///
/// // Meanwhile, in any process.
/// let document = Document::of("EGLL", &["London Heathrow"], &words)?;
/// index.write("shop:airport", &document, Duration::from_secs(60)).await?;
///
/// assert_eq!(follower.catch_up(&index).await?.changed, 1);
/// assert_eq!(&*follower.mirror().vector(&Query::of("heathrow", &words))[0].key, "EGLL");
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Follower {
    space: String,
    mirror: Mirror,
    /// Up to where the mirror has all changes; none where it was not built, or not to its end.
    place: Option<Place>,
    unread: u64,
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
    /// assert!(!follower.is_complete());
    /// # Ok::<(), cachemacro_search::Error>(())
    /// ```
    pub fn new(space: impl Into<String>, mirror: Mirror) -> Self {
        Self { space: space.into(), mirror, place: None, unread: 0 }
    }

    /// Reads what changed since the last time; all documents where there was none, and where the index does not know what changed.
    ///
    /// # Errors
    /// Where the index failed. What was read until then is in the mirror; the next time goes on from there, or begins anew where it was not built.
    ///
    /// ```
    /// use cachemacro_search::{Follower, MemoryIndex, Mirror};
    ///
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let mut follower = Follower::new("shop:airport", Mirror::new());
    /// follower.catch_up(&MemoryIndex::new()).await?;
    /// assert!(follower.is_complete());
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
                // Each building tells all there is up to where it began: one is enough for this time.
                Changes::Lost if caught.is_rebuilt => {
                    self.place = None;
                    break;
                }
                Changes::Lost => self.place = None,
                Changes::Told { laid, next, is_all } => {
                    caught.changed += laid.len() as u64;
                    for laid in laid {
                        self.mirrored(laid);
                    }
                    self.place = Some(next);
                    if is_all {
                        break;
                    }
                }
            }
        }
        Ok(caught)
    }

    /// Reads all documents. What changes meanwhile is told from the place on that was asked for before.
    async fn rebuild(&mut self, index: &dyn Index, caught: &mut Caught) -> Result<()> {
        self.mirror.clear();
        let place = index.place(&self.space).await?;
        let mut from = None;
        loop {
            let page = index.scan(&self.space, from.as_ref()).await?;
            caught.changed += page.laid.len() as u64;
            page.laid.into_iter().for_each(|laid| self.mirrored(laid));
            match page.next {
                Some(next) => from = Some(next),
                None => break,
            }
        }
        self.place = Some(place);
        caught.is_rebuilt = true;
        Ok(())
    }

    /// What lies under a key is in the mirror, if it is that key's document.
    fn mirrored(&mut self, laid: Laid) {
        let read = laid.bytes.map(|bytes| Document::from_bytes(&bytes));
        match read {
            Some(Ok(document)) if document.key() == laid.key => self.mirror.insert(document),
            Some(_) => {
                self.unread += 1;
                self.mirror.remove(&laid.key);
            }
            None => drop(self.mirror.remove(&laid.key)),
        }
    }

    /// The documents, as far as they were read.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// assert!(Follower::new("shop:airport", Mirror::new()).mirror().is_empty());
    /// ```
    pub const fn mirror(&self) -> &Mirror {
        &self.mirror
    }

    /// Removes a document whose entry was not there when it was read.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// assert!(!Follower::new("shop:airport", Mirror::new()).forget("EGLL"));
    /// ```
    pub fn forget(&mut self, key: &str) -> bool {
        self.mirror.remove(key)
    }

    /// Whether all documents were read once, and every change since was known. Until then an answer is partial.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// assert!(!Follower::new("shop:airport", Mirror::new()).is_complete());
    /// ```
    pub const fn is_complete(&self) -> bool {
        self.place.is_some()
    }

    /// How often what lay under a key was no document, or another key's. It is passed over; the entry's next fill writes it anew.
    ///
    /// ```
    /// use cachemacro_search::{Follower, Mirror};
    ///
    /// assert_eq!(Follower::new("shop:airport", Mirror::new()).unread(), 0);
    /// ```
    pub const fn unread(&self) -> u64 {
        self.unread
    }
}
