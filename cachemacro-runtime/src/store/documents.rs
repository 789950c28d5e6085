//! Documents that processes leave for those who look at the whole fleet.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};

/// The most names of tags that are kept of a namespace, and read.
#[cfg(any(feature = "redis", feature = "reports"))]
pub(crate) const MOST_NAMES: usize = 100_000;

/// A store that keeps a document of each process. From [`Store::documents`](crate::store::Store::documents).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use async_trait::async_trait;
/// use bytes::Bytes;
/// use cachemacro::{Result, store::Documents};
/// use std::collections::HashMap;
/// use std::sync::Mutex;
/// use std::time::Duration;
///
/// /// Keeps them for ever, for one namespace.
/// #[derive(Default)]
/// struct Kept(Mutex<HashMap<String, Bytes>>);
///
/// #[async_trait]
/// impl Documents for Kept {
///     async fn publish(&self, _: &str, id: &str, document: Bytes, _: Duration) -> Result<()> {
///         self.0.lock().unwrap().insert(id.to_owned(), document);
///         Ok(())
///     }
///
///     async fn withdraw(&self, _: &str, id: &str) -> Result<()> {
///         self.0.lock().unwrap().remove(id);
///         Ok(())
///     }
///
///     async fn published(&self, _: &str, _: Duration) -> Result<Vec<Bytes>> {
///         Ok(self.0.lock().unwrap().values().cloned().collect())
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<()> {
/// let (kept, minute) = (Kept::default(), Duration::from_secs(60));
/// kept.publish("shop", "one", "{}".into(), minute).await?;
/// assert_eq!(kept.published("shop", minute).await?, ["{}"]);
/// kept.withdraw("shop", "one").await?;
/// # Ok(())
/// # }
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

    /// Keeps a description by which tools read values of a type, under the `id` of its schema, for so long.
    ///
    /// # Errors
    /// Where the store failed or refused.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use cachemacro::{Result, store::Documents};
    /// # use std::time::Duration;
    /// # struct Plain;
    /// # #[async_trait::async_trait]
    /// # impl Documents for Plain {
    /// #     async fn publish(&self, _: &str, _: &str, _: bytes::Bytes, _: Duration) -> Result<()> { Ok(()) }
    /// #     async fn withdraw(&self, _: &str, _: &str) -> Result<()> { Ok(()) }
    /// #     async fn published(&self, _: &str, _: Duration) -> Result<Vec<bytes::Bytes>> { Ok(Vec::new()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// // One that does not say how.
    /// Plain.describe("shop", "0123456789abcdef", "{}".into(), Duration::from_secs(60)).await.unwrap();
    /// assert_eq!(Plain.described("shop", "0123456789abcdef").await.unwrap(), None);
    /// # }
    /// ```
    async fn describe(&self, _namespace: &str, _id: &str, _document: Bytes, _life: Duration) -> Result<()> {
        Ok(())
    }

    /// The description under this id, where one is kept. See [`describe`](Self::describe) for an example.
    ///
    /// # Errors
    /// Where the store failed or refused.
    ///
    /// ```
    /// # use cachemacro_runtime::store::Documents;
    /// async fn is_described(documents: &dyn Documents, id: &str) -> bool {
    ///     documents.described("shop", id).await.is_ok_and(|document| document.is_some())
    /// }
    /// ```
    async fn described(&self, _namespace: &str, _id: &str) -> Result<Option<Bytes>> {
        Ok(None)
    }

    /// Keeps these names of tags in this namespace, and of all that are there the last `most`.
    ///
    /// # Errors
    /// Where the store failed or refused.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use cachemacro::{Result, store::Documents};
    /// # use std::time::Duration;
    /// # struct Plain;
    /// # #[async_trait::async_trait]
    /// # impl Documents for Plain {
    /// #     async fn publish(&self, _: &str, _: &str, _: bytes::Bytes, _: Duration) -> Result<()> { Ok(()) }
    /// #     async fn withdraw(&self, _: &str, _: &str) -> Result<()> { Ok(()) }
    /// #     async fn published(&self, _: &str, _: Duration) -> Result<Vec<bytes::Bytes>> { Ok(Vec::new()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// // One that does not say how.
    /// Plain.name_tags("shop", &["users".to_owned()], 100).await.unwrap();
    /// assert!(Plain.tag_names("shop").await.unwrap().is_empty());
    /// # }
    /// ```
    async fn name_tags(&self, _namespace: &str, _names: &[String], _most: usize) -> Result<()> {
        Ok(())
    }

    /// The names of tags that are kept in this namespace, in no order. See [`name_tags`](Self::name_tags) for an example.
    ///
    /// # Errors
    /// Where the store failed or refused.
    ///
    /// ```
    /// # use cachemacro_runtime::store::Documents;
    /// async fn has_names(documents: &dyn Documents) -> bool {
    ///     documents.tag_names("shop").await.is_ok_and(|names| !names.is_empty())
    /// }
    /// ```
    async fn tag_names(&self, _namespace: &str) -> Result<Vec<Bytes>> {
        Ok(Vec::new())
    }

    /// Adds a line to the log of this namespace, which keeps the last `most` of them.
    ///
    /// # Errors
    /// Where the store failed or refused. [`ErrorKind::Config`] where it keeps no log.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use cachemacro::{ErrorKind, Result, store::Documents};
    /// # use std::time::Duration;
    /// # struct Plain;
    /// # #[async_trait::async_trait]
    /// # impl Documents for Plain {
    /// #     async fn publish(&self, _: &str, _: &str, _: bytes::Bytes, _: Duration) -> Result<()> { Ok(()) }
    /// #     async fn withdraw(&self, _: &str, _: &str) -> Result<()> { Ok(()) }
    /// #     async fn published(&self, _: &str, _: Duration) -> Result<Vec<bytes::Bytes>> { Ok(Vec::new()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// // One that does not say how.
    /// let refused = Plain.log("shop", "flushed".into(), 1_000).await.unwrap_err();
    /// assert_eq!(refused.kind(), ErrorKind::Config);
    /// # }
    /// ```
    async fn log(&self, _namespace: &str, _line: Bytes, _most: usize) -> Result<()> {
        Err(Error::new(ErrorKind::Config, "the store keeps no log"))
    }

    /// The last lines of that log, at most so many, the newest first, each with the store's time.
    ///
    /// # Errors
    /// Where the store failed or refused.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use cachemacro::{Result, store::Documents};
    /// # use std::time::Duration;
    /// # struct Plain;
    /// # #[async_trait::async_trait]
    /// # impl Documents for Plain {
    /// #     async fn publish(&self, _: &str, _: &str, _: bytes::Bytes, _: Duration) -> Result<()> { Ok(()) }
    /// #     async fn withdraw(&self, _: &str, _: &str) -> Result<()> { Ok(()) }
    /// #     async fn published(&self, _: &str, _: Duration) -> Result<Vec<bytes::Bytes>> { Ok(Vec::new()) }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// // One that does not say how.
    /// assert!(Plain.logged("shop", 10).await.unwrap().is_empty());
    /// # }
    /// ```
    async fn logged(&self, _namespace: &str, _most: usize) -> Result<Vec<(Timestamp, Bytes)>> {
        Ok(Vec::new())
    }
}
