//! What a store is asked, and what it answers.

use crate::format::ids::FillId;
use crate::format::ids::Token;
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

/// How long a version lives that is asked to live so long: twice that, so that most captures need not write, and
/// beyond the longest life of a tagged entry.
pub(crate) fn given_life(asked: Duration) -> Duration {
    const LEAST: Duration = Duration::from_secs(60 * 24 * 60 * 60);
    LEAST.max(asked.saturating_mul(2))
}

/// What [`Store::read`](super::Store::read) found.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Read, Store, memory::MemoryStore};
///
/// let Read { entry, versions } = MemoryStore::new().read("user:7", &[]).await?;
/// assert!(entry.is_none() && versions.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Read {
    /// The whole entry as stored, whatever it holds; `None` where there is no string under the key.
    pub entry: Option<Bytes>,
    /// One version for each requested key, in the same order; `None` where missing or not 8 bytes long.
    pub versions: Vec<Option<Version>>,
}

/// What [`Store::read_head`](super::Store::read_head) found.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Head, Store, memory::MemoryStore};
///
/// let Head { start, length, versions } = MemoryStore::new().read_head("user:7", 96, &[]).await?;
/// assert!(start.is_none() && length == 0 && versions.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Head {
    /// The first bytes of the entry as stored; `None` where there is nothing under the key.
    pub start: Option<Bytes>,
    /// How long all of the entry is, or one that was written between.
    pub length: usize,
    /// As in [`Read`].
    pub versions: Vec<Option<Version>>,
}

/// Who asks for a lease, which decides what it may displace.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// let store = MemoryStore::new();
/// let request = LeaseRequest {
///     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
///     capture: &[], version_life: Duration::from_secs(60),
/// };
/// store.lease(request.clone()).await?;
/// let put = LeaseRequest { token: 2, kind: LeaseKind::Put, ..request };
/// assert!(matches!(store.lease(put).await?.outcome, LeaseOutcome::Taken), "by force");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseKind {
    /// A load that found nothing usable: gets a free lease or a put's.
    Load,
    /// A refresh of a value that is still usable: gets a free lease only.
    Refresh,
    /// A put: takes the lease by force, whoever holds it.
    Put,
}

/// The right to fill one entry, asked for.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{LeaseKind, LeaseRequest};
/// use std::time::Duration;
///
/// let request = LeaseRequest {
///     key: "user:7",
///     token: 1, // random
///     seen: 0,
///     kind: LeaseKind::Load,
///     live: Duration::from_secs(30),
///     capture: &[],
///     version_life: Duration::from_secs(60),
/// };
/// assert!(!format!("{request:?}").contains("user"), "keys may be secrets");
/// ```
#[derive(Clone)]
pub struct LeaseRequest<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// A fresh random token; it is sent once and never again.
    pub token: Token,
    /// The fill id that the caller saw and could not use; zero: none.
    pub seen: FillId,
    /// Who asks.
    pub kind: LeaseKind,
    /// How long the lease lives unless it is renewed.
    pub live: Duration,
    /// Versions to capture before the lease is taken, creating those that are missing.
    pub capture: &'a [VersionKey],
    /// How long the captured versions must live at least.
    pub version_life: Duration,
}

/// The versions that some requests capture, each once.
pub(crate) struct Captures<'a> {
    pub(crate) keys: Vec<&'a VersionKey>,
    /// The longest of the lives that are asked for.
    pub(crate) life: Duration,
    /// For each request, where its versions are among `keys`.
    places: Vec<Vec<usize>>,
}

impl<'a> Captures<'a> {
    pub(crate) fn of(requests: &[LeaseRequest<'a>]) -> Self {
        let mut keys = Vec::new();
        let mut known = HashMap::new();
        let mut place = |key: &'a VersionKey| {
            *known.entry(key.text.as_str()).or_insert_with(|| {
                keys.push(key);
                keys.len() - 1
            })
        };
        let places =
            requests.iter().map(|request| request.capture.iter().map(&mut place).collect()).collect();
        let life = requests.iter().map(|request| request.version_life).max().unwrap_or_default();
        Self { keys, life, places }
    }

    /// For each request its own of the versions that were captured for `keys`.
    pub(crate) fn hand_out(&self, captured: &[Version]) -> impl Iterator<Item = Vec<Version>> {
        self.places.iter().map(|places| places.iter().map(|&at| captured[at]).collect())
    }
}

/// The answer to a [`LeaseRequest`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// # let request = LeaseRequest {
/// #     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
/// #     capture: &[], version_life: Duration::from_secs(60),
/// # };
/// let lease = MemoryStore::new().lease(request).await?;
/// assert!(lease.versions.is_empty() && matches!(lease.outcome, LeaseOutcome::Taken));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Lease {
    /// The captured versions, in the order of the request.
    pub versions: Vec<Version>,
    /// What became of the request.
    pub outcome: LeaseOutcome,
}

/// What became of a [`LeaseRequest`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// let store = MemoryStore::new();
/// # let request = LeaseRequest {
/// #     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
/// #     capture: &[], version_life: Duration::from_secs(60),
/// # };
/// let other = LeaseRequest { token: 2, ..request.clone() };
/// store.lease(request).await?;
/// match store.lease(other).await?.outcome {
///     LeaseOutcome::Busy(left) => assert!(left <= Duration::from_secs(30)),
///     LeaseOutcome::Taken | LeaseOutcome::Found(_) => panic!("another holds it"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub enum LeaseOutcome {
    /// The caller holds the lease.
    Taken,
    /// A readable value with another fill id than the one seen is there by now: the whole entry.
    Found(Bytes),
    /// Another holds the lease, for at most so long unless it renews.
    Busy(Duration),
}

/// A value to store under a lease.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Fill, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// # use cachemacro::{Timestamp, header::{Header, assemble}};
/// # let entry = |value: &[u8]| -> bytes::Bytes {
/// #     let gone_at = Timestamp(u64::MAX);
/// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
/// # };
/// let fill = Fill {
///     key: "user:7",
///     token: 1,
///     bytes: entry(b"Ada"),
///     life: Duration::from_secs(60),
///     unlink_refused: false,
///     check: &[],
/// };
/// assert!(!MemoryStore::new().fill(fill).await?.accepted, "without a lease");
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Fill<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// The lease's token; the fill is refused where the entry no longer carries it.
    pub token: Token,
    /// Header, stamps and payload.
    pub bytes: Bytes,
    /// How long the key lives.
    pub life: Duration,
    /// Whether a refused fill unlinks the entry (a put) or leaves it (a load).
    pub unlink_refused: bool,
    /// Versions to read in the same round trip, not before the fill is sent.
    pub check: &'a [VersionKey],
}

/// What became of a [`Fill`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Filled;
///
/// assert_eq!((Filled::default().accepted, Filled::default().versions.len()), (false, 0));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Filled {
    /// Whether the value was stored.
    pub accepted: bool,
    /// The versions named by [`Fill::check`], in the same order.
    pub versions: Vec<Option<Version>>,
}

/// An addition to a decimal entry (see [`Store::increment`](super::Store::increment)).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Timestamp, header::{DECIMAL, Header, assemble}};
/// use cachemacro::store::{Increment, IncrementOutcome, OtherStamps, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// let header = Header { codec: DECIMAL, fill_id: 9, gone_at: Timestamp(u64::MAX), ..Header::default() };
/// let (fresh, life) = (assemble(header, &[], &[]).into(), Duration::from_secs(60));
/// let increment = Increment { key: "visits:home", by: 2, fresh, life, others: OtherStamps::Unknown };
/// assert_eq!(MemoryStore::new().increment(increment).await?, IncrementOutcome::Added(2));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Increment<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// What to add; may be negative.
    pub by: i64,
    /// Header and stamps for an entry that is not there yet; its payload length is zero and its fill id is
    /// given to the new value in either case.
    pub fresh: Bytes,
    /// How long a new entry lives; an existing one keeps its expiry.
    pub life: Duration,
    /// What the caller found out about an entry with other stamps than those in `fresh`.
    pub others: OtherStamps<'a>,
}

/// What an [`Increment`] makes of an entry with other stamps than a new one would have: bytes as they are in an entry.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Timestamp, header::{DECIMAL, FIXED, Header, Stamp, assemble}};
/// use cachemacro::store::{Increment, IncrementOutcome, OtherStamps, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// let header = Header { codec: DECIMAL, fill_id: 9, gone_at: Timestamp(u64::MAX), ..Header::default() };
/// let tagged = assemble(header, &[Stamp { tag: 1, version: 7 }], b"40");
/// let (store, life) = (MemoryStore::new(), Duration::from_secs(60));
/// store.set("visits:home", tagged.clone().into(), life).await?;
///
/// let others = OtherStamps::Valid(&tagged[FIXED..FIXED + 16]);
/// let increment = Increment { key: "visits:home", by: 2, fresh: assemble(header, &[], &[]).into(), life, others };
/// assert_eq!(store.increment(increment.clone()).await?, IncrementOutcome::Added(42));
/// let others = OtherStamps::Outdated(&tagged[FIXED..FIXED + 16]);
/// assert_eq!(store.increment(Increment { others, ..increment }).await?, IncrementOutcome::Added(2));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OtherStamps<'a> {
    /// It is left and returned.
    Unknown,
    /// With these it counts: they hold.
    Valid(&'a [u8]),
    /// With these it counts as missing: a tag was evicted, or the entry lacks one.
    Outdated(&'a [u8]),
}

/// What became of an [`Increment`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Timestamp, header::{DECIMAL, Header, Stamp, assemble}};
/// use cachemacro::store::{Increment, IncrementOutcome, OtherStamps, Store, memory::MemoryStore};
/// use std::time::Duration;
///
/// let header = Header { codec: DECIMAL, fill_id: 9, gone_at: Timestamp(u64::MAX), ..Header::default() };
/// let fresh = assemble(header, &[Stamp { tag: 1, version: 7 }], &[]).into();
/// let (life, others) = (Duration::from_secs(60), OtherStamps::Unknown);
/// let tagged = Increment { key: "visits:home", by: 2, fresh, life, others };
/// let untagged = Increment { fresh: assemble(header, &[], &[]).into(), ..tagged.clone() };
///
/// let store = MemoryStore::new();
/// assert_eq!(store.increment(tagged).await?, IncrementOutcome::Added(2));
/// match store.increment(untagged).await? {
///     IncrementOutcome::Found(bytes) => assert_eq!(Header::parse(&bytes).unwrap().stamps, 1),
///     IncrementOutcome::Added(_) => panic!("its tag may have been evicted"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
pub enum IncrementOutcome {
    /// The sum.
    Added(i64),
    /// A readable value with [other stamps](OtherStamps) is there: the whole entry, left as it was.
    Found(Bytes),
}

// Keys and values may be secrets: only their lengths are shown.

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.entry.as_ref().map(Bytes::len);
        f.debug_struct("Read").field("bytes", &length).field("versions", &self.versions).finish()
    }
}

impl fmt::Debug for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Head")
            .field("length", &self.length)
            .field("versions", &self.versions)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LeaseRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseRequest")
            .field("kind", &self.kind)
            .field("seen", &self.seen)
            .field("live", &self.live)
            .field("capture", &self.capture.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LeaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaseOutcome::Taken => f.write_str("Taken"),
            LeaseOutcome::Found(bytes) => write!(f, "Found({} bytes)", bytes.len()),
            LeaseOutcome::Busy(remaining) => write!(f, "Busy({remaining:?})"),
        }
    }
}

impl fmt::Debug for Fill<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fill")
            .field("bytes", &self.bytes.len())
            .field("life", &self.life)
            .field("unlink_refused", &self.unlink_refused)
            .field("check", &self.check.len())
            .finish_non_exhaustive()
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

impl fmt::Debug for Increment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Increment").field("life", &self.life).finish_non_exhaustive()
    }
}

/// What [`Store::health`](super::Store::health) tells.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Store, memory::MemoryStore};
///
/// let health = MemoryStore::new().health().await?;
/// assert_eq!((health.kind, health.server), ("memory", None));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StoreHealth {
    /// Which store this is: `memory`, `redis`.
    pub kind: &'static str,
    /// The server's own name and version, where there is one.
    pub server: Option<String>,
    /// How long the check took.
    pub latency: Duration,
}

impl StoreHealth {
    /// A report of the store called `kind`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::StoreHealth;
    /// use std::time::Duration;
    ///
    /// let health = StoreHealth::new("disk", Some("ext4".to_owned()), Duration::from_millis(2));
    /// assert_eq!(health.latency.as_millis(), 2);
    /// ```
    pub const fn new(kind: &'static str, server: Option<String>, latency: Duration) -> Self {
        Self { kind, server, latency }
    }
}
