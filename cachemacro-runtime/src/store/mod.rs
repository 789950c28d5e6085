//! Where bytes live. A store moves bytes atomically under one key at a time and knows no types, no codecs
//! and no policy; of an entry it reads the fixed part of the header ([`crate::header`]) and nothing else.
//!
//! Every method is one round trip on Redis, and each is atomic for the key it writes. Implementations pass
//! the conformance suite (`tests/tests/store_conformance.rs`).

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::clock::Timestamp;
use crate::error::Result;

pub mod faults;
pub mod memory;
#[cfg(feature = "redis")]
pub mod redis;

/// A tag's version: random, never zero. A missing version equals nothing.
pub type Version = u64;
/// Names one stored value: random, never zero. Zero says "none seen".
pub type FillId = u64;
/// Names one holder of a lease: random, never zero.
pub type Token = u64;

/// The key of a version: of one tag, or of all tags of one bucket (the any-tag version).
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct VersionKey {
    /// The key in the store. Tags of one bucket and their any-tag version share a cluster slot.
    pub text: String,
    /// The first 64 bits that identify the tag in an entry's stamps.
    pub hash: u64,
}

impl fmt::Debug for VersionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VersionKey")
            .field("hash", &format_args!("{:016x}", self.hash))
            .finish_non_exhaustive()
    }
}

/// How long a version lives that is asked to live so long: twice that, so that most captures need not write, and
/// beyond the longest life of a tagged entry.
pub(crate) fn given_life(asked: Duration) -> Duration {
    const LEAST: Duration = Duration::from_hours(60 * 24);
    LEAST.max(asked.saturating_mul(2))
}

/// A tag to evict: its own version and its bucket's any-tag version, unlinked in one command.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagKeys {
    /// The tag's own version.
    pub tag: VersionKey,
    /// The any-tag version of the tag's bucket.
    pub any: VersionKey,
}

/// What [`Store::read`] found.
#[derive(Clone, Default)]
pub struct Read {
    /// The whole entry as stored, whatever it holds; `None` where there is no string under the key.
    pub entry: Option<Bytes>,
    /// One version for each requested key, in the same order; `None` where missing or not 8 bytes long.
    pub versions: Vec<Option<Version>>,
}

/// Who asks for a lease, which decides what it may displace.
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
#[derive(Debug, Clone)]
pub struct Lease {
    /// The captured versions, in the order of the request.
    pub versions: Vec<Version>,
    /// What became of the request.
    pub outcome: LeaseOutcome,
}

/// What became of a [`LeaseRequest`].
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
#[derive(Debug, Clone, Default)]
pub struct Filled {
    /// Whether the value was stored.
    pub accepted: bool,
    /// The versions named by [`Fill::check`], in the same order.
    pub versions: Vec<Option<Version>>,
}

/// An addition to a decimal entry (see [`Store::increment`]).
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
    /// An entry with this fill id counts as missing (the caller found its stamps outdated); zero: none.
    pub outdated: FillId,
}

// Keys and values may be secrets: only their lengths are shown.

impl fmt::Debug for Read {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.entry.as_ref().map(Bytes::len);
        f.debug_struct("Read").field("bytes", &length).field("versions", &self.versions).finish()
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

impl fmt::Debug for Increment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Increment").field("life", &self.life).finish_non_exhaustive()
    }
}

/// What [`Store::health`] tells.
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
    pub const fn new(kind: &'static str, server: Option<String>, latency: Duration) -> Self {
        Self { kind, server, latency }
    }
}

/// Where bytes live.
///
/// Keys arrive complete, namespace included. A key that holds something else than a well-formed entry (another
/// Redis type, too short, other magic or version, another length than the header says) counts as missing
/// everywhere and is replaced or unlinked by the next writer.
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Which store this is: `memory`, `redis`.
    fn kind(&self) -> &'static str;

    /// The store's time, as far as this client knows it.
    fn now(&self) -> Timestamp;

    /// Opens what needs opening and waits for it; every other method does so on its own.
    async fn connect(&self) -> Result<()>;

    /// One entry and some versions, in one round trip.
    async fn read(&self, key: &str, versions: &[VersionKey]) -> Result<Read>;

    /// Many entries and some versions, in one round trip; entries in the order of the keys.
    async fn read_many(
        &self,
        keys: &[String],
        versions: &[VersionKey],
    ) -> Result<(Vec<Option<Bytes>>, Vec<Option<Version>>)>;

    /// The first `length` bytes of an entry and some versions: enough for `has`, `ttl` and metadata.
    async fn read_head(&self, key: &str, length: usize, versions: &[VersionKey]) -> Result<Read>;

    /// Some versions, in the same order.
    async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>>;

    /// Some versions, creating those that are missing. Each lives at least `life` from now; no call ever
    /// shortens one.
    async fn capture(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>>;

    /// Captures versions, then asks for the lease.
    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease>;

    /// [`lease`](Self::lease) for many keys in one round trip; each request names its own versions. All are captured
    /// before the first lease; one that several requests name is captured once, for the longest of their lives.
    async fn lease_many(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>>;

    /// Lets a held lease live `live` from now; false where it is no longer held.
    async fn renew(&self, key: &str, token: Token, live: Duration) -> Result<bool>;

    /// Gives a held lease back without a value: a pending entry goes, a value stays. False where not held.
    async fn release(&self, key: &str, token: Token) -> Result<bool>;

    /// Stores a value where the lease is still held, and reads versions.
    async fn fill(&self, fill: Fill<'_>) -> Result<Filled>;

    /// [`fill`](Self::fill) for many keys in one round trip; each names its own versions to read.
    async fn fill_many(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>>;

    /// Stores a value whatever is there, clearing any lease.
    async fn set(&self, key: &str, bytes: Bytes, life: Duration) -> Result<()>;

    /// Stores a value where the fill id is still `seen` (zero: nothing readable there), clearing any lease.
    async fn compare_and_set(&self, key: &str, seen: FillId, bytes: Bytes, life: Duration) -> Result<bool>;

    /// Adds to a decimal payload (codec [`crate::header::DECIMAL`]), creating the entry with `by` where it is
    /// missing, and clears any lease. Exact for every `i64`.
    ///
    /// # Errors
    /// [`WrongType`](crate::ErrorKind::WrongType) where a readable value of another codec is there or the sum
    /// does not fit; the entry is left as it was.
    async fn increment(&self, increment: Increment<'_>) -> Result<i64>;

    /// Removes entries, pending ones too; tells for each whether a readable value was there.
    async fn evict(&self, keys: &[String]) -> Result<Vec<bool>>;

    /// Removes the versions of tags, each with its bucket's any-tag version in one command.
    async fn evict_tags(&self, tags: &[TagKeys]) -> Result<()>;

    /// Removes every key that begins with `prefix`, by a cursor scan in chunks; tells how many.
    async fn evict_prefix(&self, prefix: &str) -> Result<u64>;

    /// Evicts without waiting, where the store can (in memory), and tells for each key whether a readable value was
    /// there; `None`: use [`evict`](Self::evict) and [`evict_tags`](Self::evict_tags). Called from destructors.
    fn evict_now(&self, keys: &[String], tags: &[TagKeys]) -> Option<Vec<bool>> {
        let _ = (keys, tags);
        None
    }

    /// Gives a lease back without waiting, where the store can; false: use [`release`](Self::release). Called from
    /// destructors.
    fn release_now(&self, key: &str, token: Token) -> bool {
        let _ = (key, token);
        false
    }

    /// Waits until the entry may have changed, at most `at_most`. Waking early is allowed.
    async fn changed(&self, key: &str, at_most: Duration);

    /// Whether [`changed`](Self::changed) is told of changes as they happen, for now. Callers then give it all the time
    /// they have, else short times after which they look for themselves.
    fn tells_changes(&self) -> bool {
        false
    }

    /// Asks the store whether it is there.
    async fn health(&self) -> Result<StoreHealth>;

    /// Closes what is open. Calls after it may fail.
    async fn close(&self) {}
}
