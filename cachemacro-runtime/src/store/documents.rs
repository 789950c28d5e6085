//! Documents that processes leave for those who look at the whole fleet.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ground::error::Result;

/// A store that keeps a document of each process. From [`Store::documents`](crate::store::Store::documents).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Store, memory::MemoryStore};
///
/// assert!(MemoryStore::new().documents().is_none(), "no other process could read it");
/// ```
#[async_trait]
pub trait Documents: Send + Sync {
    /// Keeps this document of the process `id` in `namespace` for so long, in place of its last one.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn publish(&self, namespace: &str, id: &str, document: Bytes, life: Duration) -> Result<()>;

    /// Removes the document of this process.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn withdraw(&self, namespace: &str, id: &str) -> Result<()>;

    /// The documents in this namespace that were published within `life`, in no order; at most 1,000.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn published(&self, namespace: &str, life: Duration) -> Result<Vec<Bytes>>;
}
