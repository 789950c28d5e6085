//! Where bytes live. A store moves bytes atomically under one key at a time and knows no types, no codecs
//! and no policy; of an entry it reads the fixed part of the header ([`crate::header`]) and nothing else.
//!
//! Every method is one round trip on Redis, and each is atomic for the key it writes. Implementations pass
//! the conformance suite (`tests/tests/protocol/store_conformance.rs`).

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;

use crate::ground::clock::Timestamp;
use crate::ground::error::Result;

mod layers;
pub mod memory;
mod messages;
mod protocol;
#[cfg(feature = "redis")]
pub mod redis;

pub use self::layers::faults;
pub(crate) use self::messages::{Captures, given_life};
pub use self::messages::{
    Fill, Filled, Head, Increment, IncrementOutcome, Lease, LeaseKind, LeaseOutcome, LeaseRequest,
    OtherStamps, Read, StoreHealth,
};
pub use crate::format::ids::{FillId, Token, Version};
pub use crate::format::stamps::{TagKeys, VersionKey};

/// Where bytes live.
///
/// Keys arrive complete, namespace included. A key that holds something else than a well-formed entry (another
/// Redis type, too short, other magic or version, another length than the header says) counts as missing
/// everywhere and is replaced or unlinked by the next writer.
///
/// Whatever gives a [`Result`] fails where the store could not be reached ([`Connect`](crate::ErrorKind::Connect)), did
/// not answer in time ([`Timeout`](crate::ErrorKind::Timeout)) or broke off ([`Io`](crate::ErrorKind::Io)): the last two
/// may have taken effect. [`Refused`](crate::ErrorKind::Refused) says that the store refused.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, store::{Store, memory::MemoryStore}};
/// use std::sync::Arc;
///
/// let store: Arc<dyn Store> = Arc::new(MemoryStore::new()); // or one of your own
/// let (one, other) = (Cache::builder().store(store.clone()), Cache::builder().store(store));
/// one.build()?.set("user", 7, &"Ada".to_owned()).await?;
/// assert!(other.build()?.has::<String>("user", 7).await?, "they share what is stored");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Store: Send + Sync + fmt::Debug + 'static {
    /// Which store this is: `memory`, `redis`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Store, memory::MemoryStore};
    ///
    /// assert_eq!(MemoryStore::new().kind(), "memory");
    /// ```
    fn kind(&self) -> &'static str;

    /// The store's time in milliseconds since the Unix epoch, as far as this client knows it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Clock, store::{Store, memory::MemoryStore}};
    ///
    /// let clock = Clock::manual();
    /// assert_eq!(MemoryStore::builder().clock(clock.clone()).build().now(), clock.now());
    /// ```
    fn now(&self) -> Timestamp;

    /// [`now`](Self::now), never a guess from before the first connection: where this client does not know the store's
    /// time yet, it asks first.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Clock, store::{Store, memory::MemoryStore}};
    ///
    /// let clock = Clock::manual();
    /// assert_eq!(MemoryStore::builder().clock(clock.clone()).build().time().await?, clock.now());
    /// # Ok(())
    /// # }
    /// ```
    async fn time(&self) -> Result<Timestamp> {
        Ok(self.now())
    }

    /// Opens what needs opening and waits for it; every other method does so on its own.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    ///
    /// MemoryStore::new().connect().await?;
    /// # Ok(())
    /// # }
    /// ```
    async fn connect(&self) -> Result<()>;

    /// One entry and some versions, in one round trip.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.set("user:7", entry(b"Ada"), Duration::from_secs(60)).await?;
    /// assert_eq!(store.read("user:7", &[]).await?.entry, Some(entry(b"Ada")));
    /// assert_eq!(store.read("user:8", &[]).await?.entry, None);
    /// # Ok(())
    /// # }
    /// ```
    async fn read(&self, key: &str, versions: &[VersionKey]) -> Result<Read>;

    /// Many entries and some versions, in one round trip; entries in the order of the keys.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.set("user:7", entry(b"Ada"), Duration::from_secs(60)).await?;
    /// let keys = ["user:7".to_owned(), "user:8".to_owned()];
    /// assert_eq!(store.read_many(&keys, &[]).await?.0, [Some(entry(b"Ada")), None]);
    /// # Ok(())
    /// # }
    /// ```
    async fn read_many(
        &self,
        keys: &[String],
        versions: &[VersionKey],
    ) -> Result<(Vec<Option<Bytes>>, Vec<Option<Version>>)>;

    /// The first `length` bytes of an entry, how long it is, and some versions: enough for `has`, `ttl` and metadata.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.set("user:7", entry(b"Ada"), Duration::from_secs(60)).await?;
    /// let head = store.read_head("user:7", 96, &[]).await?;
    /// assert_eq!((head.start.map(|bytes| bytes.len()), head.length), (Some(96), 96 + "Ada".len()));
    /// # Ok(())
    /// # }
    /// ```
    async fn read_head(&self, key: &str, length: usize, versions: &[VersionKey]) -> Result<Head>;

    /// Some versions, in the same order.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::store::VersionKey;
    /// # let key = |name: &str, hash| VersionKey { text: name.to_owned(), hash };
    ///
    /// let store = MemoryStore::new();
    /// let keys = [key("tag:users", 7)];
    /// assert_eq!(store.versions(&keys).await?, [None]);
    /// let captured = store.capture(&keys, Duration::from_secs(60)).await?;
    /// assert_eq!(store.versions(&keys).await?, [Some(captured[0])]);
    /// # Ok(())
    /// # }
    /// ```
    async fn versions(&self, keys: &[VersionKey]) -> Result<Vec<Option<Version>>>;

    /// Some versions, creating those that are missing. Each lives at least `life` from now; no call ever
    /// shortens one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::store::VersionKey;
    /// # let key = |name: &str, hash| VersionKey { text: name.to_owned(), hash };
    ///
    /// let (store, keys) = (MemoryStore::new(), [key("tag:users", 7)]);
    /// let first = store.capture(&keys, Duration::from_secs(60)).await?;
    /// assert_eq!(store.capture(&keys, Duration::from_secs(60)).await?, first, "made once");
    /// assert_ne!(first[0], 0);
    /// # Ok(())
    /// # }
    /// ```
    async fn capture(&self, keys: &[VersionKey], life: Duration) -> Result<Vec<Version>>;

    /// Captures versions, then asks for the lease.
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
    /// assert!(matches!(store.lease(request.clone()).await?.outcome, LeaseOutcome::Taken));
    /// let other = LeaseRequest { token: 2, ..request };
    /// assert!(matches!(store.lease(other).await?.outcome, LeaseOutcome::Busy(_)));
    /// # Ok(())
    /// # }
    /// ```
    async fn lease(&self, request: LeaseRequest<'_>) -> Result<Lease>;

    /// [`lease`](Self::lease) for many keys in one round trip; each request names its own versions. All are captured
    /// before the first lease; one that several requests name is captured once, for the longest of their lives.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # let request = LeaseRequest {
    /// #     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
    /// #     capture: &[], version_life: Duration::from_secs(60),
    /// # };
    ///
    /// let requests = [request.clone(), LeaseRequest { key: "user:8", token: 2, ..request }];
    /// let leases = MemoryStore::new().lease_many(&requests).await?;
    /// assert!(leases.iter().all(|lease| matches!(lease.outcome, LeaseOutcome::Taken)));
    /// # Ok(())
    /// # }
    /// ```
    async fn lease_many(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>>;

    /// Lets a held lease live `live` from now; false where it is no longer held.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{LeaseKind, LeaseRequest, Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # let request = LeaseRequest {
    /// #     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
    /// #     capture: &[], version_life: Duration::from_secs(60),
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.lease(request).await?; // with token 1
    /// assert!(store.renew("user:7", 1, Duration::from_secs(3)).await?);
    /// assert!(!store.renew("user:7", 2, Duration::from_secs(3)).await?, "another token");
    /// # Ok(())
    /// # }
    /// ```
    async fn renew(&self, key: &str, token: Token, live: Duration) -> Result<bool>;

    /// Gives a held lease back without a value: a pending entry goes, a value stays. False where not held.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{LeaseKind, LeaseRequest, Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # let request = LeaseRequest {
    /// #     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
    /// #     capture: &[], version_life: Duration::from_secs(60),
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.lease(request).await?; // with token 1
    /// assert!(store.release("user:7", 1).await?);
    /// assert!(!store.release("user:7", 1).await?, "it is not held any more");
    /// # Ok(())
    /// # }
    /// ```
    async fn release(&self, key: &str, token: Token) -> Result<bool>;

    /// Stores a value where the lease is still held, and reads versions.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Fill, LeaseKind, LeaseRequest, Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # let request = LeaseRequest {
    /// #     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
    /// #     capture: &[], version_life: Duration::from_secs(60),
    /// # };
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.lease(request).await?; // with token 1
    /// let fill = Fill {
    ///     key: "user:7",
    ///     token: 1,
    ///     bytes: entry(b"Ada"),
    ///     life: Duration::from_secs(60),
    ///     unlink_refused: false,
    ///     check: &[],
    /// };
    /// assert!(store.fill(fill.clone()).await?.accepted);
    /// assert!(!store.fill(fill).await?.accepted, "the lease was used up");
    /// # Ok(())
    /// # }
    /// ```
    async fn fill(&self, fill: Fill<'_>) -> Result<Filled>;

    /// [`fill`](Self::fill) for many keys in one round trip; each names its own versions to read.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Fill, LeaseKind, LeaseRequest, Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # let request = LeaseRequest {
    /// #     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
    /// #     capture: &[], version_life: Duration::from_secs(60),
    /// # };
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.lease(request).await?; // of user:7 with token 1
    /// let fill = Fill {
    ///     key: "user:7",
    ///     token: 1,
    ///     bytes: entry(b"Ada"),
    ///     life: Duration::from_secs(60),
    ///     unlink_refused: false,
    ///     check: &[],
    /// };
    /// let filled = store.fill_many(&[fill.clone(), Fill { key: "user:8", ..fill }]).await?;
    /// assert_eq!((filled[0].accepted, filled[1].accepted), (true, false));
    /// # Ok(())
    /// # }
    /// ```
    async fn fill_many(&self, fills: &[Fill<'_>]) -> Result<Vec<Filled>>;

    /// Stores a value whatever is there, clearing any lease.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.set("user:7", entry(b"Ada"), Duration::from_secs(60)).await?;
    /// assert!(store.read("user:7", &[]).await?.entry.is_some());
    /// # Ok(())
    /// # }
    /// ```
    async fn set(&self, key: &str, bytes: Bytes, life: Duration) -> Result<()>;

    /// Stores a value where the fill id is still `seen` (zero: nothing readable there), clearing any lease.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let (store, life) = (MemoryStore::new(), Duration::from_secs(60));
    /// assert!(store.compare_and_set("user:7", 0, entry(b"Ada"), life).await?);
    /// assert!(!store.compare_and_set("user:7", 0, entry(b"Eve"), life).await?, "a value is there");
    /// # Ok(())
    /// # }
    /// ```
    async fn compare_and_set(&self, key: &str, seen: FillId, bytes: Bytes, life: Duration) -> Result<bool>;

    /// Adds to a decimal payload (codec [`crate::format::header::DECIMAL`]), creating the entry with `by` where it is
    /// missing, and clears any lease. Exact for every `i64`. A readable value with other stamps than a new entry's,
    /// whatever its codec, is left and returned, unless the caller [knows](Increment::others) of them.
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
    /// let store = MemoryStore::new();
    /// assert_eq!(store.increment(increment.clone()).await?, IncrementOutcome::Added(2));
    /// assert_eq!(store.increment(increment).await?, IncrementOutcome::Added(4));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`WrongType`](crate::ErrorKind::WrongType) where a readable value of another codec is there or the sum
    /// does not fit; the entry is left as it was.
    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome>;

    /// Removes entries, pending ones too; tells for each whether a readable value was there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.set("user:7", entry(b"Ada"), Duration::from_secs(60)).await?;
    /// assert_eq!(store.evict(&["user:7".to_owned(), "user:8".to_owned()]).await?, [true, false]);
    /// # Ok(())
    /// # }
    /// ```
    async fn evict(&self, keys: &[String]) -> Result<Vec<bool>>;

    /// Removes the versions of tags, each with its bucket's any-tag version in one command.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, TagKeys, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::store::VersionKey;
    /// # let key = |name: &str, hash| VersionKey { text: name.to_owned(), hash };
    ///
    /// let (store, users) = (MemoryStore::new(), TagKeys { tag: key("tag:users", 7), any: key("tag:*", 8) });
    /// store.capture(&[users.tag.clone()], Duration::from_secs(60)).await?;
    /// store.evict_tags(&[users.clone()]).await?;
    /// assert_eq!(store.versions(&[users.tag]).await?, [None]);
    /// # Ok(())
    /// # }
    /// ```
    async fn evict_tags(&self, tags: &[TagKeys]) -> Result<()>;

    /// Removes every key that begins with `prefix`, by a cursor scan in chunks; tells how many.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.set("user:7", entry(b"Ada"), Duration::from_secs(60)).await?;
    /// store.set("page:1", entry(b"..."), Duration::from_secs(60)).await?;
    /// assert_eq!(store.evict_prefix("user:").await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    async fn evict_prefix(&self, prefix: &str) -> Result<u64>;

    /// Evicts without waiting, where the store can (in memory), and tells for each key whether a readable value was
    /// there; `None`: use [`evict`](Self::evict) and [`evict_tags`](Self::evict_tags). Called from destructors.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.set("user:7", entry(b"Ada"), Duration::from_secs(60)).await?;
    /// assert_eq!(store.evict_now(&["user:7".to_owned()], &[]), Some(vec![true]));
    /// assert!(store.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    fn evict_now(&self, keys: &[String], tags: &[TagKeys]) -> Option<Vec<bool>> {
        let _ = (keys, tags);
        None
    }

    /// Gives a lease back without waiting, where the store can; false: use [`release`](Self::release). Called from
    /// destructors.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{LeaseKind, LeaseRequest, Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # let request = LeaseRequest {
    /// #     key: "user:7", token: 1, seen: 0, kind: LeaseKind::Load, live: Duration::from_secs(30),
    /// #     capture: &[], version_life: Duration::from_secs(60),
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// store.lease(request).await?; // with token 1
    /// assert!(store.release_now("user:7", 1));
    /// assert!(store.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    fn release_now(&self, key: &str, token: Token) -> bool {
        let _ = (key, token);
        false
    }

    /// Waits until the entry may have changed, at most `at_most`. Waking early is allowed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Duration;
    /// # use cachemacro::{Timestamp, header::{Header, assemble}};
    /// # let entry = |value: &[u8]| -> bytes::Bytes {
    /// #     let gone_at = Timestamp(u64::MAX);
    /// #     assemble(Header { fill_id: 9, gone_at, ..Header::default() }, &[], value).into()
    /// # };
    ///
    /// let store = MemoryStore::new();
    /// let minute = Duration::from_secs(60);
    /// let (_, stored) = tokio::join!(store.changed("user:7", minute), store.set("user:7", entry(b"Ada"), minute));
    /// stored?; // and the other did not wait for a minute
    /// # Ok(())
    /// # }
    /// ```
    async fn changed(&self, key: &str, at_most: Duration);

    /// Whether [`changed`](Self::changed) is told of changes as they happen, for now. Callers then give it all the time
    /// they have, else short times after which they look for themselves.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Store, redis::{RedisConfig, RedisStore}};
    ///
    /// let store = RedisStore::new(RedisConfig::new("redis://localhost"))?;
    /// assert!(!store.tells_changes(), "nothing is connected yet");
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    fn tells_changes(&self) -> bool {
        false
    }

    /// Asks the store whether it is there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    ///
    /// assert_eq!(MemoryStore::new().health().await?.kind, "memory");
    /// # Ok(())
    /// # }
    /// ```
    async fn health(&self) -> Result<StoreHealth>;

    /// Closes what is open. Calls after it may fail.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::store::{Store, memory::MemoryStore};
    ///
    /// MemoryStore::new().close().await; // nothing is open in memory
    /// # Ok(())
    /// # }
    /// ```
    async fn close(&self) {}
}
