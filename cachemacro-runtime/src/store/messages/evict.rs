//! Removing entries and versions.

use std::fmt;

use crate::format::stamps::TagKeys;

/// Entries and tags to evict, in one round trip.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{EvictRequest, Store, TagKeys, VersionKey, memory::MemoryStore};
///
/// let users = TagKeys::new(VersionKey::new("{tag:07}:users", 7), VersionKey::new("{tag:07}", 7));
/// let request = EvictRequest::new(&["user:7", "user:8"], std::slice::from_ref(&users));
/// assert_eq!(MemoryStore::new().evict(request).await?, [false, false]); // nothing was stored
/// assert!(!format!("{request:?}").contains("user"), "keys may be secrets");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Default)]
#[non_exhaustive]
pub struct EvictRequest<'a> {
    /// Keys of entries, each of which is removed with any lease on it.
    pub keys: &'a [&'a str],
    /// Tags, each of whose version is removed with its bucket's any-tag version. Tags go first: an evict that is cut off has
    /// then done what covers most.
    pub tags: &'a [TagKeys],
}

impl<'a> EvictRequest<'a> {
    /// An evict of these entries and tags.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::EvictRequest;
    ///
    /// assert_eq!(EvictRequest::new(&["user:7"], &[]).keys, ["user:7"]);
    /// ```
    pub const fn new(keys: &'a [&'a str], tags: &'a [TagKeys]) -> Self {
        Self { keys, tags }
    }
}

// Keys may be secrets.
impl fmt::Debug for EvictRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvictRequest")
            .field("keys", &self.keys.len())
            .field("tags", &self.tags.len())
            .finish()
    }
}
