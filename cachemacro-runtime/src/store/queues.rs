//! Queues of writes that are applied later: the partitions of a queue, each with its stream, its pending writes and its owner.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ground::error::Result;

/// A store that keeps queues of writes. From [`Store::queues`](crate::store::Store::queues).
///
/// A partition is a key that arrives complete, in braces. Its writes have numbers that rise, also where the store has lost everything.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Accepted, Settle, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// let (store, minute) = (MemoryStore::new(), Duration::from_secs(60));
/// let queues = store.queues().expect("it keeps them");
/// let partition = "{shop:behind:renames:07}";
///
/// let Accepted::As(number) = queues.accept(partition, "user:7", "Ada".into(), 100).await? else { panic!("it is full") };
/// assert_eq!(queues.pending(partition, "user:7").await?, Some("Ada".into()));
///
/// // One owns it at a time.
/// let fence = queues.own(partition, "one", minute).await?.expect("nobody does");
/// assert_eq!(queues.own(partition, "other", minute).await?, None);
/// let queued = queues.queued(partition, 0, 10).await?;
/// assert_eq!((queued[0].number, &*queued[0].key), (number, "user:7"));
/// assert_eq!(queues.depth(partition).await?.count, 1);
/// assert!(queues.settle(partition, fence, Settle::new(&[number], &[("user:7", number)])).await?);
/// assert_eq!(queues.pending(partition, "user:7").await?, None);
///
/// // What cannot be applied is put aside with the reason.
/// let Accepted::As(number) = queues.accept(partition, "user:8", "".into(), 100).await? else { panic!("it is full") };
/// let queued = queues.queued(partition, 0, 10).await?;
/// let (numbers, keys) = ([number], [("user:8", number)]);
/// let settle = Settle::new(&numbers, &keys).with_dead(&queued[0], "no name");
/// assert!(queues.settle(partition, fence, settle).await?);
/// let dead = queues.dead(partition, 10).await?;
/// assert_eq!(dead[0].why, "no name");
/// assert!(queues.forget(partition, &dead[0].id).await?);
/// queues.disown(partition, "one").await?;
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Queues: Send + Sync {
    /// Accepts a write, in one step, into the stream and the pending writes, where the partition has less than `most`.
    ///
    /// # Errors
    /// Where the store failed or refused: it may have been accepted.
    async fn accept(&self, partition: &str, key: &str, write: Bytes, most: usize) -> Result<Accepted>;

    /// The newest write of a key that was accepted and not settled.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn pending(&self, partition: &str, key: &str) -> Result<Option<Bytes>>;

    /// Takes or keeps the partition's lease; gives the number of the tenure, which rises with each new one, or `None` where another owns it.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn own(&self, partition: &str, owner: &str, lease: Duration) -> Result<Option<u64>>;

    /// Gives the lease back.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn disown(&self, partition: &str, owner: &str) -> Result<()>;

    /// The writes behind this number, at most so many, in the order in which they were accepted.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn queued(&self, partition: &str, after: u64, most: usize) -> Result<Vec<Queued>>;

    /// Removes writes, in one step; false where the tenure is over, and nothing is changed.
    ///
    /// # Errors
    /// Where the store failed or refused: they may have been removed.
    async fn settle(&self, partition: &str, fence: u64, settle: Settle<'_>) -> Result<bool>;

    /// How much there is.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn depth(&self, partition: &str) -> Result<Depth>;

    /// What was put aside, at most so much, the oldest first.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn dead(&self, partition: &str, most: usize) -> Result<Vec<Dead>>;

    /// Forgets what was put aside under this id; tells whether it was there.
    ///
    /// # Errors
    /// Where the store failed or refused.
    async fn forget(&self, partition: &str, id: &str) -> Result<bool>;
}

/// What became of a write, from [`Queues::accept`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Accepted;
///
/// assert_ne!(Accepted::As(7), Accepted::Full);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Accepted {
    /// It was accepted under this number.
    As(u64),
    /// The partition is full.
    Full,
}

/// A write in its partition.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Queued;
///
/// let queued = Queued::new(7, "user:7", "Ada".into());
/// assert!(!format!("{queued:?}").contains("Ada"), "it may be a secret");
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Queued {
    /// Its number.
    pub number: u64,
    /// The key of its entry.
    pub key: String,
    /// What was accepted.
    pub write: Bytes,
}

impl Queued {
    /// This write.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::store::Queued::new(7, "user:7", "Ada".into()).number, 7);
    /// ```
    pub fn new(number: u64, key: impl Into<String>, write: Bytes) -> Self {
        Self { number, key: key.into(), write }
    }
}

impl fmt::Debug for Queued {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queued")
            .field("number", &self.number)
            .field("bytes", &self.write.len())
            .finish_non_exhaustive()
    }
}

/// Writes that are done with, for [`Queues::settle`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Settle;
///
/// assert!(Settle::new(&[7, 8], &[("user:7", 8)]).dead.is_none());
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Settle<'a> {
    /// Their numbers.
    pub numbers: &'a [u64],
    /// Of which keys they are, each with the number up to which they are not pending any more.
    pub keys: &'a [(&'a str, u64)],
    /// What is put aside, and why.
    pub dead: Option<(&'a Queued, &'a str)>,
}

impl<'a> Settle<'a> {
    /// These were applied.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::store::Settle::new(&[7], &[]).numbers, [7]);
    /// ```
    pub const fn new(numbers: &'a [u64], keys: &'a [(&'a str, u64)]) -> Self {
        Self { numbers, keys, dead: None }
    }

    /// This one is put aside.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Queued, Settle};
    ///
    /// let write = Queued::new(7, "user:7", "Ada".into());
    /// assert!(Settle::new(&[7], &[("user:7", 7)]).with_dead(&write, "no name").dead.is_some());
    /// ```
    #[must_use]
    pub const fn with_dead(self, write: &'a Queued, why: &'a str) -> Self {
        Self { dead: Some((write, why)), ..self }
    }
}

/// How much a partition holds, from [`Queues::depth`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Depth;
///
/// assert_eq!(Depth::default().oldest, None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Depth {
    /// How many writes are accepted and not settled.
    pub count: u64,
    /// How long ago the oldest of them was accepted.
    pub oldest: Option<Duration>,
    /// How many were put aside.
    pub dead: u64,
}

impl Depth {
    /// So much.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::store::Depth::new(7, None, 1).dead, 1);
    /// ```
    pub const fn new(count: u64, oldest: Option<Duration>, dead: u64) -> Self {
        Self { count, oldest, dead }
    }
}

/// A write that was put aside, from [`Queues::dead`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Dead, Queued};
///
/// assert_eq!(Dead::new("1-0", Queued::new(7, "user:7", "Ada".into()), "no name").why, "no name");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Dead {
    /// What it is called among those.
    pub id: String,
    /// The write.
    pub write: Queued,
    /// Why.
    pub why: String,
}

impl Dead {
    /// The write, under this id.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Dead, Queued};
    ///
    /// assert_eq!(Dead::new("1-0", Queued::new(7, "user:7", "Ada".into()), "").id, "1-0");
    /// ```
    pub fn new(id: impl Into<String>, write: Queued, why: impl Into<String>) -> Self {
        Self { id: id.into(), write, why: why.into() }
    }
}
