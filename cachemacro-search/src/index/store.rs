//! The index on the server of a cache's store, over its own connections.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use cachemacro::store::{Answer, RawCommands};
use cachemacro::{Error, ErrorKind, Result};

use super::server::{Link, ServerIndex, on_server};

/// An index on the server of a cache's store, over the connections that the store has: with the same TLS, login, Sentinel or cluster. A [`Search`](crate::Search) that
/// is beside a cache on a server makes one by itself.
///
/// ```
/// use async_trait::async_trait;
/// use cachemacro::store::{Answer, RawCommands};
/// use cachemacro_search::StoreIndex;
/// use std::sync::Arc;
///
/// fn index(commands: Arc<dyn RawCommands>) -> StoreIndex {
///     StoreIndex::new(commands)
/// }
/// ```
#[derive(Debug, Clone)]
pub struct StoreIndex {
    index: ServerIndex<Through>,
}

#[derive(Clone)]
struct Through(Arc<dyn RawCommands>);

impl StoreIndex {
    /// An index by these commands, which keeps the last 100,000 changes of each space, and whose requests take a second at most.
    ///
    /// ```
    /// # use cachemacro::store::RawCommands;
    /// # use std::sync::Arc;
    /// # fn example(commands: Arc<dyn RawCommands>) {
    /// let index = cachemacro_search::StoreIndex::new(commands);
    /// # }
    /// ```
    pub fn new(commands: Arc<dyn RawCommands>) -> Self {
        Self { index: ServerIndex::new(Through(commands)) }
    }

    /// Keeps so many changes of each space, and up to a hundred more. Who misses more than that reads all documents.
    ///
    /// ```
    /// # use cachemacro::store::RawCommands;
    /// # use std::sync::Arc;
    /// # fn example(commands: Arc<dyn RawCommands>) {
    /// let index = cachemacro_search::StoreIndex::new(commands).with_changes(10_000);
    /// # }
    /// ```
    #[must_use]
    pub fn with_changes(mut self, most: usize) -> Self {
        self.index.most_changes = most.max(1);
        self
    }

    /// Waits no longer than that for the answer to a request.
    ///
    /// ```
    /// # use cachemacro::store::RawCommands;
    /// # use std::sync::Arc;
    /// # use std::time::Duration;
    /// # fn example(commands: Arc<dyn RawCommands>) {
    /// let index = cachemacro_search::StoreIndex::new(commands).with_deadline(Duration::from_millis(250));
    /// # }
    /// ```
    #[must_use]
    pub fn with_deadline(mut self, deadline: Duration) -> Self {
        self.index.deadline = deadline;
        self
    }
}

#[async_trait]
impl Link for Through {
    async fn send(&self, key: &str, command: Vec<Bytes>, again: bool) -> Result<Answer> {
        let mut answers = self.0.send(key, &[command], again).await?;
        answers.pop().ok_or_else(|| Error::new(ErrorKind::Io, "the server did not answer"))
    }
}

on_server!(impl Index for StoreIndex {});
