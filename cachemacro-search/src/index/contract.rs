//! What an index does, whichever server it is on.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro::Result;

use crate::document::Document;

/// A place among the changes or documents of an index, in words that only that index understands.
///
/// ```
/// let place = cachemacro_search::Place::new("1700000000000-0");
/// assert_eq!(place.as_str(), "1700000000000-0");
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Place(Box<str>);

/// Not its text, which may be a key.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").finish_non_exhaustive()
    }
}

impl Place {
    /// The place that an index calls so.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Place::new("7").as_str(), "7");
    /// ```
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// What the index called it.
    ///
    /// ```
    /// assert_eq!(cachemacro_search::Place::new("7").as_str(), "7");
    /// ```
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What lies under a key: bytes that may be a document, or nothing any more.
///
/// ```
/// let gone = cachemacro_search::Laid::new("airport:EGLL", None);
/// assert_eq!(gone.bytes, None);
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Laid {
    /// The key of the entry.
    pub key: String,
    /// What lies there, as it was found.
    pub bytes: Option<Bytes>,
}

/// What lies there is not shown, nor its key: that of a question holds its text.
impl fmt::Debug for Laid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.bytes.as_ref().map(Bytes::len);
        f.debug_struct("Laid").field("length", &length).finish_non_exhaustive()
    }
}

impl Laid {
    /// These bytes under this key.
    ///
    /// ```
    /// let laid = cachemacro_search::Laid::new("airport:EGLL", Some("{}".into()));
    /// assert_eq!(format!("{laid:?}"), "Laid { length: Some(2), .. }");
    /// ```
    pub fn new(key: impl Into<String>, bytes: Option<Bytes>) -> Self {
        Self { key: key.into(), bytes }
    }
}

/// What changed since a place.
///
/// ```
/// use cachemacro_search::{Changes, Place};
///
/// let changes = Changes::Told { laid: Vec::new(), next: Place::new("7"), is_all: true };
/// assert!(!matches!(changes, Changes::Lost));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// These did, each as it is now; what changed after them is asked for from `next` on.
    Told {
        /// What lies under the keys that changed, each once.
        laid: Vec<Laid>,
        /// Where to go on.
        next: Place,
        /// Whether there were no more.
        is_all: bool,
    },
    /// So many did that the index does not know them any more: all documents are to be read.
    Lost,
}

/// Some of all documents.
///
/// ```
/// let last = cachemacro_search::Page::new(Vec::new(), None);
/// assert!(last.next.is_none());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Page {
    /// What lies under their keys.
    pub laid: Vec<Laid>,
    /// Where the others begin; none where these were the last.
    pub next: Option<Place>,
}

impl Page {
    /// These documents, with others from `next` on.
    ///
    /// ```
    /// use cachemacro_search::{Page, Place};
    ///
    /// let first = Page::new(Vec::new(), Some(Place::new("100")));
    /// assert!(first.next.is_some());
    /// ```
    pub const fn new(laid: Vec<Laid>, next: Option<Place>) -> Self {
        Self { laid, next }
    }
}

/// Documents beside entries, in spaces that know nothing of each other: such as a namespace and a prefix each.
///
/// An index is a hint. It may lose documents, tell of more changes than there were, and show what is gone already; what is found by it is read
/// from the cache. What it must do, [`conformance`](crate::conformance) tries.
///
/// ```
/// use cachemacro_search::{Analyzer, Changes, Document, Index, MemoryIndex};
/// use std::time::Duration;
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let index = MemoryIndex::new();
/// let before = index.place("shop:airport").await?;
/// let document = Document::of("EGLL", &["London Heathrow"], &Analyzer::new())?;
/// index.write("shop:airport", &document, Duration::from_secs(60)).await?;
/// let Changes::Told { laid, .. } = index.changes("shop:airport", &before, 100).await? else { panic!("one change is not too many") };
/// assert_eq!(Document::from_bytes(&laid[0].bytes.clone().unwrap())?, document);
/// assert_eq!(index.scan("shop:airport", None).await?.laid, laid);
/// index.remove("shop:airport", "EGLL").await?;
/// assert!(index.scan("shop:airport", None).await?.laid.is_empty());
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Index: Send + Sync + fmt::Debug {
    /// Lays this document beside its entry, for as long as that lives, in place of the one before.
    ///
    /// # Errors
    /// Where the index failed or refused.
    async fn write(&self, space: &str, document: &Document, life: Duration) -> Result<()>;

    /// Removes the document of the entry with this key, if there is one.
    ///
    /// # Errors
    /// Where the index failed or refused.
    async fn remove(&self, space: &str, key: &str) -> Result<()>;

    /// The place after the last change. All that changes later is told from there on.
    ///
    /// # Errors
    /// Where the index failed or refused.
    async fn place(&self, space: &str) -> Result<Place>;

    /// What changed since this place, at most `most` changes and at least one, if there was any. Lives that ended are no changes.
    ///
    /// # Errors
    /// Where the index failed or refused, or where the place is none of its.
    async fn changes(&self, space: &str, since: &Place, most: usize) -> Result<Changes>;

    /// Some of the documents, from the beginning or from where another page said. What is there from the first page to the last is on one of them at least.
    ///
    /// # Errors
    /// Where the index failed or refused, or where the place is none of its.
    async fn scan(&self, space: &str, from: Option<&Place>) -> Result<Page>;
}
