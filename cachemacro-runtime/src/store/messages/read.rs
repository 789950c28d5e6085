//! Reading entries and versions.

use std::fmt;

use bytes::Bytes;

use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::setters::setters;
use crate::store::messages::few::Few;

/// What is to be read, in one round trip: entries, versions, or both.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{ReadRequest, VersionKey};
///
/// let versions = [VersionKey::new("{tag:07}:users", 7)];
/// let request = ReadRequest::new(&["user:7"]).with_versions(&versions).with_first(96);
/// assert_eq!((request.keys.len(), request.versions.len(), request.first), (1, 1, Some(96)));
/// assert!(!format!("{request:?}").contains("user"), "keys may be secrets");
/// ```
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct ReadRequest<'a> {
    /// The entries' keys.
    pub keys: &'a [&'a str],
    /// The keys of versions to read besides.
    pub versions: &'a [VersionKey],
    /// How many bytes of each entry are wanted, from its beginning, one at least; `None`: all.
    pub first: Option<usize>,
}

impl<'a> ReadRequest<'a> {
    /// Reads these entries, each of them whole.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{ReadRequest, Store, memory::MemoryStore};
    ///
    /// let read = MemoryStore::new().read(ReadRequest::new(&["user:7", "user:8"])).await?;
    /// assert_eq!(*read.entries, [None, None]);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn new(keys: &'a [&'a str]) -> Self {
        Self { keys, versions: &[], first: None }
    }

    /// Reads these versions and no entries.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{ReadRequest, Store, VersionKey, memory::MemoryStore};
    ///
    /// let keys = [VersionKey::new("{tag:07}:users", 7)];
    /// assert_eq!(*MemoryStore::new().read(ReadRequest::of_versions(&keys)).await?.versions, [None]);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn of_versions(versions: &'a [VersionKey]) -> Self {
        Self::new(&[]).with_versions(versions)
    }

    setters! {
        /// Reads these [`versions`](Self::versions) too.
        with_versions(versions: &'a [VersionKey]);
    }

    /// Only the [first](Self::first) `length` bytes of each entry, one at least: enough for `has`, `ttl` and metadata.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{header::FIXED, store::ReadRequest};
    ///
    /// assert_eq!(ReadRequest::new(&["user:7"]).with_first(FIXED).first, Some(96));
    /// ```
    #[must_use]
    pub const fn with_first(mut self, length: usize) -> Self {
        self.first = Some(length);
        self
    }
}

/// What a [`ReadRequest`] found.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{ReadRequest, Store, memory::MemoryStore};
///
/// let read = MemoryStore::new().read(ReadRequest::new(&["user:7"])).await?;
/// assert!(read.versions.is_empty());
/// assert_eq!(read.into_entry(), None);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Read {
    /// What is stored under each key, whatever it holds, in the order of the request; `None` where there is no string.
    pub entries: Few<Option<Excerpt>>,
    /// Each version, in the order of the request; `None` where it is missing, not 8 bytes long, or zero.
    pub versions: Few<Option<Version>>,
}

impl Read {
    /// What was found.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Excerpt, Few, Read};
    ///
    /// let read = Read::new(Few::from_iter([Some(Excerpt::whole("value".into()))]), Few::default());
    /// assert_eq!(read.into_entry(), Some("value".into()));
    /// ```
    pub fn new(entries: Few<Option<Excerpt>>, versions: Few<Option<Version>>) -> Self {
        Self { entries, versions }
    }

    /// What was found under the only key of the request.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Read;
    ///
    /// assert_eq!(Read::default().into_entry(), None);
    /// ```
    pub fn into_entry(self) -> Option<Bytes> {
        self.into_one().0
    }

    /// What was found under the only key, and the versions.
    pub(crate) fn into_one(self) -> (Option<Bytes>, Few<Option<Version>>) {
        (self.entries.into_first().flatten().map(|excerpt| excerpt.bytes), self.versions)
    }
}

/// What is stored under one key: all of it, or the first bytes.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Excerpt;
///
/// let excerpt = Excerpt::first_of("value".into(), Some(2));
/// assert_eq!((&*excerpt.bytes, excerpt.length), (&b"va"[..], 5));
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Excerpt {
    /// The bytes that were asked for, as far as there are so many.
    pub bytes: Bytes,
    /// How long all of it is, or what was written in its place while it was read.
    pub length: usize,
}

impl Excerpt {
    /// The beginning of what is `length` bytes long.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Excerpt;
    ///
    /// assert_ne!(Excerpt::new("va".into(), 5), Excerpt::whole("va".into()));
    /// ```
    pub const fn new(bytes: Bytes, length: usize) -> Self {
        Self { bytes, length }
    }

    /// All of it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Excerpt;
    ///
    /// assert_eq!(Excerpt::whole("value".into()).length, 5);
    /// ```
    pub fn whole(bytes: Bytes) -> Self {
        Self { length: bytes.len(), bytes }
    }

    /// As much of these bytes as [`ReadRequest::first`] asks for.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Excerpt;
    ///
    /// assert_eq!(Excerpt::first_of("value".into(), None), Excerpt::whole("value".into()));
    /// assert_eq!(Excerpt::first_of("value".into(), Some(9)), Excerpt::whole("value".into()));
    /// ```
    pub fn first_of(mut bytes: Bytes, first: Option<usize>) -> Self {
        let length = bytes.len();
        if let Some(first) = first {
            bytes.truncate(first);
        }
        Self { bytes, length }
    }
}

// Keys and values may be secrets: only how many and how long they are is shown.

impl fmt::Debug for ReadRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadRequest")
            .field("keys", &self.keys.len())
            .field("versions", &self.versions.len())
            .field("first", &self.first)
            .finish()
    }
}

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Read").field("entries", &self.entries).field("versions", &self.versions).finish()
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Excerpt({} of {} bytes)", self.bytes.len(), self.length)
    }
}
