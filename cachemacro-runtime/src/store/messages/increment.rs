//! Adding to numbers.

use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::ground::setters::setters;

/// An addition to a decimal entry (see [`Store::increment`](crate::store::Store::increment)).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Timestamp, header::{DECIMAL, Header, assemble}};
/// use cachemacro::store::{FillId, Increment, IncrementOutcome, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// let header = Header::new().with_codec(DECIMAL).with_fill_id(FillId::random()).with_gone_at(Timestamp(u64::MAX));
/// let fresh = assemble(header, &[], &[]).into();
/// let increment = Increment::new("visits:home", 2, fresh, Duration::from_secs(60));
/// let store = MemoryStore::new();
/// assert_eq!(store.increment(increment.clone()).await?, IncrementOutcome::Added(2));
/// assert_eq!(store.increment(increment).await?, IncrementOutcome::Added(4));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub struct Increment<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// What to add; may be negative.
    pub by: i64,
    /// Header and stamps for an entry that is not there yet; its payload length is zero, and its fill id is given to the
    /// new value in either case.
    pub fresh: Bytes,
    /// How long a new entry lives; an existing one keeps its expiry.
    pub life: Duration,
    /// What the caller found out about an entry with other stamps than those in `fresh`.
    pub others: OtherStamps<'a>,
}

impl<'a> Increment<'a> {
    /// An addition by one who knows of no other stamps.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Increment, OtherStamps};
    /// use std::time::Duration;
    ///
    /// let increment = Increment::new("visits:home", 2, Default::default(), Duration::from_secs(60));
    /// assert_eq!(increment.others, OtherStamps::Unknown);
    /// ```
    pub const fn new(key: &'a str, by: i64, fresh: Bytes, life: Duration) -> Self {
        Self { key, by, fresh, life, others: OtherStamps::Unknown }
    }

    setters! {
        /// Says what the caller found out about other stamps.
        with_others(others: OtherStamps<'a>);
    }
}

/// What an [`Increment`] makes of an entry with other stamps than a new one would have: bytes as they are in an entry. A store
/// takes what it does not know for [`Unknown`](Self::Unknown).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Timestamp, header::{DECIMAL, FIXED, Header, Stamp, assemble}};
/// use cachemacro::store::{Increment, IncrementOutcome, OtherStamps, Store, Version, Write, memory::MemoryStore};
/// use std::time::Duration;
///
/// let header = Header::new().with_codec(DECIMAL).with_gone_at(Timestamp(u64::MAX));
/// let tagged = assemble(header, &[Stamp::new(1, Version::new(7))], b"40");
/// let (store, life) = (MemoryStore::new(), Duration::from_secs(60));
/// store.write(&[Write::new("visits:home", tagged.clone().into(), life)]).await?;
///
/// let add = Increment::new("visits:home", 2, assemble(header, &[], &[]).into(), life);
/// let stamps = &tagged[FIXED..FIXED + 16];
/// let valid = add.clone().with_others(OtherStamps::Valid(stamps));
/// assert_eq!(store.increment(valid).await?, IncrementOutcome::Added(42));
/// let outdated = add.with_others(OtherStamps::Outdated(stamps));
/// assert_eq!(store.increment(outdated).await?, IncrementOutcome::Added(2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OtherStamps<'a> {
    /// Nothing is known: the entry is left and returned.
    Unknown,
    /// An entry with these stamps counts: they hold.
    Valid(&'a [u8]),
    /// An entry with these stamps counts as missing: a tag was evicted, or the entry lacks one.
    Outdated(&'a [u8]),
}

/// What became of an [`Increment`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Timestamp, header::{DECIMAL, Header, Stamp, assemble}};
/// use cachemacro::store::{Increment, IncrementOutcome, Store, Version, memory::MemoryStore};
/// use std::time::Duration;
///
/// let header = Header::new().with_codec(DECIMAL).with_gone_at(Timestamp(u64::MAX));
/// let add = |stamps: &[Stamp]| {
///     Increment::new("visits:home", 2, assemble(header, stamps, &[]).into(), Duration::from_secs(60))
/// };
/// let store = MemoryStore::new();
/// let tagged = add(&[Stamp::new(1, Version::new(7))]);
/// assert_eq!(store.increment(tagged).await?, IncrementOutcome::Added(2));
/// match store.increment(add(&[])).await? {
///     IncrementOutcome::Found(bytes) => assert_eq!(Header::parse(&bytes).unwrap().stamps, 1),
///     _ => panic!("its tag may have been evicted"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum IncrementOutcome {
    /// The sum.
    Added(i64),
    /// A readable value with [other stamps](OtherStamps) is there: the whole entry, left as it was.
    Found(Bytes),
}

// Keys and values may be secrets: only how long they are is shown.

impl fmt::Debug for Increment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Increment").field("life", &self.life).finish_non_exhaustive()
    }
}

impl fmt::Debug for IncrementOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            IncrementOutcome::Added(_) => f.write_str("Added"),
            IncrementOutcome::Found(bytes) => write!(f, "Found({} bytes)", bytes.len()),
        }
    }
}
