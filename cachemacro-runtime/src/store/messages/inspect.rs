//! Looking at a store from outside: which keys there are, and what is under them.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// Where a scan is: a store's own bytes. The default is its beginning.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Cursor;
///
/// assert!(Cursor::default().bytes.is_empty());
/// assert_eq!(Cursor::new("17").bytes, "17");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Cursor {
    /// What the store reads its place from; empty: the beginning.
    pub bytes: Bytes,
}

impl Cursor {
    /// A place that the store can find again.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Cursor;
    ///
    /// assert_ne!(Cursor::new("17"), Cursor::default());
    /// ```
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into() }
    }
}

/// What one step of a scan found, from [`Inspect::scan`](crate::store::Inspect::scan).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Page;
///
/// let page = Page::new(vec!["user:7".into()], None);
/// assert!(!format!("{page:?}").contains("user"), "keys may be secrets");
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Page {
    /// Keys as they are stored, in no order. One may come twice in a scan.
    pub keys: Vec<Bytes>,
    /// Where the scan goes on; `None`: that was all.
    pub next: Option<Cursor>,
}

impl Page {
    /// These keys, and more from `next` on.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Cursor, Page};
    ///
    /// assert!(Page::new(Vec::new(), Some(Cursor::new("17"))).next.is_some());
    /// ```
    pub const fn new(keys: Vec<Bytes>, next: Option<Cursor>) -> Self {
        Self { keys, next }
    }
}

/// What is under one key, from [`Inspect::raw`](crate::store::Inspect::raw).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Raw;
///
/// let raw = Raw::new("value".into(), None);
/// assert!(!format!("{raw:?}").contains("value"), "values may be secrets");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Raw {
    /// The bytes, whatever they are.
    pub bytes: Bytes,
    /// How long the key has left; `None`: it does not expire.
    pub left: Option<Duration>,
}

impl Raw {
    /// These bytes, which have `left` to live.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Raw;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Raw::new("value".into(), Some(Duration::from_secs(3))).bytes.len(), 5);
    /// ```
    pub const fn new(bytes: Bytes, left: Option<Duration>) -> Self {
        Self { bytes, left }
    }
}

// Keys and values may be secrets: only how many and how long they are is shown.

impl fmt::Debug for Page {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Page").field("keys", &self.keys.len()).field("next", &self.next).finish()
    }
}

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Raw").field("bytes", &self.bytes.len()).field("left", &self.left).finish()
    }
}
