//! What a store does: the one trait that everything above it knows.

use std::any::Any;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::format::header::Header;
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::after_round;
use crate::observe::pool::Pool;
use crate::store::documents::Documents;
use crate::store::layers::breaker::state::Breaker;
use crate::store::messages::about::{About, StoreHealth};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome};
use crate::store::messages::inspect::{Cursor, Page, Raw};
use crate::store::messages::lease::{HeldLease, Keep, Lease, LeaseRequest};
use crate::store::messages::read::{Read, ReadRequest};
use crate::store::messages::server::Server;
use crate::store::messages::write::{Guard, Write, Written};
use crate::store::protocol::steps::{self, Slot};
use crate::store::queues::Queues;
use crate::store::raw_commands::RawCommands;
use crate::store::streams::Streams;

/// How often an addition that is made of a read and a write is repeated where others write in between.
const MOST_ROUNDS: u32 = 100;

/// Where bytes live.
///
/// Keys arrive complete, namespace included. A key that holds something else than a well-formed entry (another
/// Redis type, too short, other magic or version, another length than the header says) counts as missing
/// everywhere and is replaced or unlinked by the next writer. Each operation is atomic for each key it writes, and takes one
/// round trip for all that it is asked. Dropping a future gives the operation up; it may have taken effect.
///
/// There are three ways to a store: this trait, [`Backend`](crate::store::protocol::Backend) for one over any map that changes a
/// key atomically, and [`pass_on`](crate::store::pass_on) for one around another. Whichever, it passes the
/// [conformance suite](https://github.com/cachemacro/cachemacro/blob/main/docs/stores.md).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::header::{DECIMAL, FIXED, Header, assemble};
/// use cachemacro::store::{
///     EvictRequest, FillId, Guard, HeldLease, Increment, IncrementOutcome, Keep, LeaseKind, LeaseOutcome, LeaseRequest, ReadRequest, Store, TagKeys, Token,
///     VersionKey, Write, memory::MemoryStore,
/// };
/// use std::time::Duration;
///
/// let store = MemoryStore::new();
/// store.connect().await?; // or let the first operation do it
/// let (now, minute) = (store.time().await?, Duration::from_secs(60));
/// assert!(store.now() >= now);
/// assert_eq!(store.about().name, store.health().await?.name);
///
/// // A miss: the lease, and the versions of the entry's tags from before the load.
/// let users = TagKeys::new(VersionKey::new("{tag:07}:users", 7), VersionKey::new("{tag:07}", 7));
/// let (tags, token) = ([users.tag.clone()], Token::random());
/// let request = LeaseRequest::new("user:7", token, LeaseKind::Load, Duration::from_secs(3)).with_capture(&tags, minute);
/// let leases = store.lease(&[request]).await?;
/// assert!(matches!(leases[0].outcome, LeaseOutcome::Taken));
/// assert_eq!(store.capture(&tags, minute).await?, leases[0].versions, "made once");
///
/// // The load goes on for longer; its value is stored under the lease, which that ends.
/// let held = [HeldLease::new("user:7", token)];
/// assert_eq!(store.keep(&held, Keep::Renew(minute)).await?, [true]);
/// let header = Header::new().with_fill_id(FillId::random()).with_gone_at(now.plus(minute));
/// let entry = assemble(header, &[], b"Ada");
/// let fill = Write::new("user:7", entry.clone().into(), minute).with_guard(Guard::Lease(token));
/// assert!(store.write(&[fill]).await?[0].accepted);
/// assert_eq!(store.keep(&held, Keep::Release).await?, [false]);
///
/// // A hit: the entry, all of it or the header alone, and the versions to compare its stamps with.
/// let read = store.read(ReadRequest::new(&["user:7"]).with_versions(&tags)).await?;
/// assert_eq!(*read.versions, [Some(leases[0].versions[0])]);
/// assert_eq!(read.into_entry(), Some(entry.into()));
/// let head = store.read(ReadRequest::new(&["user:7"]).with_first(FIXED)).await?;
/// assert_eq!(head.into_entry().map(|bytes| bytes.len()), Some(FIXED));
///
/// // Evicts.
/// assert_eq!(store.evict(EvictRequest::new(&["user:7"], &[users])).await?, [true]);
/// assert_eq!(*store.read(ReadRequest::of_versions(&tags)).await?.versions, [None]);
/// assert_eq!(store.evict_prefix("user:").await?, 0);
///
/// // A counter.
/// let fresh = assemble(header.with_codec(DECIMAL), &[], &[]);
/// let add = Increment::new("visits", 2, fresh.into(), minute);
/// assert_eq!(store.increment(add).await?, IncrementOutcome::Added(2));
///
/// // What only some stores can do.
/// assert!(store.changes().is_some() && store.immediate().is_some() && store.inspect().is_some() && store.streams().is_some() && store.queues().is_some());
/// assert!(store.tracking().is_none() && store.documents().is_none() && store.raw_commands().is_none() && store.pool().is_none());
/// assert!(store.refused().is_empty());
/// store.close().await;
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// What gives a [`Result`] fails where the store could not be reached ([`Connect`](ErrorKind::Connect)), did
/// not answer in time ([`Timeout`](ErrorKind::Timeout)) or broke off ([`Io`](ErrorKind::Io)): the last two
/// may have taken effect. [`Refused`](ErrorKind::Refused) says that the store refused.
#[async_trait]
pub trait Store: Any + Send + Sync + fmt::Debug {
    /// What this store is. It is asked often: no time may be spent on it.
    fn about(&self) -> About;

    /// The store's time, in milliseconds since the Unix epoch, as far as this client knows it.
    fn now(&self) -> Timestamp;

    /// Reads entries and versions. See [`ReadRequest`].
    ///
    /// # Errors
    /// Where the store failed.
    async fn read(&self, request: ReadRequest<'_>) -> Result<Read>;

    /// Reads versions and creates those that are missing, each [at random](Version::random), in the order of the keys. Each lives
    /// at least `life` from now, and is never shortened; how long a store should let it live,
    /// [`version_life`](crate::store::protocol::version_life) says.
    ///
    /// # Errors
    /// Where the store failed.
    async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>>;

    /// Captures versions, then asks for a lease for each request, in their order. All versions are captured before the first
    /// lease is taken (G1); one that several requests name is captured once, for the longest of their lives. See
    /// [`LeaseRequest`].
    ///
    /// # Errors
    /// Where the store failed: leases may have been taken.
    async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>>;

    /// Renews leases or gives them back. Tells of each whether it was held until now. See [`Keep`].
    ///
    /// # Errors
    /// Where the store failed.
    async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>>;

    /// Stores values, each where its guard holds; then reads the versions that they name. See [`Write`].
    ///
    /// A batch names a key once. Of two writes of one key, a store may carry out either first: one on Redis sends what is under a
    /// guard again, behind the others, where the server had forgotten the script.
    ///
    /// # Errors
    /// Where the store failed.
    async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>>;

    /// Removes the versions of tags, then entries, pending ones too. Tells of each entry whether a readable value was there. See
    /// [`EvictRequest`].
    ///
    /// # Errors
    /// Where the store failed: what was to be evicted may still be there.
    async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>>;

    /// Removes every key that begins with `prefix`, and tells how many. It may take many round trips, and time in
    /// proportion to all keys.
    ///
    /// # Errors
    /// Where the store failed: some of them may be gone.
    async fn evict_prefix(&self, prefix: &str) -> Result<u64>;

    /// Asks the store whether it is there.
    ///
    /// # Errors
    /// Where it is not.
    async fn health(&self) -> Result<StoreHealth>;

    /// [`now`](Self::now), never a guess from before the first connection: where this client does not know the store's
    /// time yet, it asks first.
    ///
    /// # Errors
    /// Where it cannot be asked.
    async fn time(&self) -> Result<Timestamp> {
        Ok(self.now())
    }

    /// Opens what needs opening and waits for it; every other method does so on its own.
    ///
    /// # Errors
    /// Where it cannot be opened.
    async fn connect(&self) -> Result<()> {
        Ok(())
    }

    /// Closes what is open. Calls after it may fail.
    async fn close(&self) {}

    /// Adds to a decimal payload (codec [`DECIMAL`](crate::header::DECIMAL)), creating the entry with `by` where it is
    /// missing, and ends any lease. Exact for every `i64`. A readable value with other stamps than a new entry's,
    /// whatever its codec, is left and returned, unless the caller [knows](Increment::others) of them. See [`Increment`].
    ///
    /// A store that can add by itself overrides this: here it is a read and a guarded write, repeated where others came between.
    ///
    /// # Errors
    /// [`WrongType`](ErrorKind::WrongType) where a readable value of another codec is there or the sum
    /// does not fit: the entry is left as it was. [`Contention`](ErrorKind::Contention) where others were faster each time.
    async fn increment(&self, increment: Increment<'_>) -> Result<IncrementOutcome> {
        for round in 0..MOST_ROUNDS {
            let read = self.read(ReadRequest::new(&[increment.key])).await?;
            let now = self.now();
            let mut slot = read.into_entry().map(|bytes| {
                let gone_at = Header::parse(&bytes).map_or(Timestamp::default(), |header| header.gone_at);
                Slot::new(bytes, gone_at)
            });
            let seen = steps::seen(slot.as_ref(), now);
            let outcome = steps::increment(&mut slot, now, &increment)?;
            let (IncrementOutcome::Added(_), Some(slot)) = (&outcome, slot) else { return Ok(outcome) };
            let life = slot.expires.since(now);
            let write = Write::new(increment.key, slot.bytes, life).with_guard(Guard::Seen(seen));
            if self.write(&[write]).await?.first().is_some_and(|written| written.accepted) {
                return Ok(outcome);
            }
            tokio::time::sleep(after_round(round)).await;
        }
        Err(Error::new(ErrorKind::Contention, "others wrote the entry each time"))
    }

    /// Who tells of changes, where the store can: those who wait for a lease are woken then, and need not look again and again.
    fn changes(&self) -> Option<&dyn Changes> {
        None
    }

    /// Who acts without waiting, where the store can: destructors leave nothing to a task then.
    fn immediate(&self) -> Option<&dyn Immediate> {
        None
    }

    /// Who tells of every change under a prefix, where the store can: decoded values are kept in this process then, for sites with
    /// `local`.
    fn tracking(&self) -> Option<&dyn Tracking> {
        None
    }

    /// Who shows what is stored, where the store can: for tools.
    fn inspect(&self) -> Option<&dyn Inspect> {
        None
    }

    /// Who keeps documents of processes, where the store can: each process reports to the others there, and to tools.
    fn documents(&self) -> Option<&dyn Documents> {
        None
    }

    /// Who sends commands that are none of the cache's own, where the store has a server that takes them.
    fn raw_commands(&self) -> Option<&dyn RawCommands> {
        None
    }

    /// Who keeps streams, where the store can: events go to all processes by them.
    fn streams(&self) -> Option<&dyn Streams> {
        None
    }

    /// Who keeps queues of writes that are applied later, where the store can.
    fn queues(&self) -> Option<&dyn Queues> {
        None
    }

    /// The connections to the server, as they are now, where there are some.
    fn pool(&self) -> Option<Pool> {
        None
    }

    /// The commands that the server refused so far, because the user may not run them or because it does not have them.
    fn refused(&self) -> Vec<String> {
        Vec::new()
    }

    /// The breaker that keeps requests from this store while it fails, where there is one: see
    /// [`BreakerStore`](crate::store::BreakerStore).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{BreakerConfig, BreakerStore, Store, memory::MemoryStore};
    /// use std::sync::Arc;
    ///
    /// let store = Arc::new(MemoryStore::new());
    /// assert!(store.breaker().is_none());
    /// assert!(BreakerStore::new(store, BreakerConfig::new())?.breaker().is_some());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    fn breaker(&self) -> Option<&Breaker> {
        None
    }

    /// What is known of the server behind this store, where there is one: caches warn of what is wrong with it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Store, memory::MemoryStore};
    ///
    /// assert!(MemoryStore::new().server().is_none());
    /// ```
    fn server(&self) -> Option<&Server> {
        None
    }

    /// Why nothing can have been sent of what was asked since this moment, where that is known: no connection was open, and none could be
    /// opened. Who gives a request up tells its caller that, and not that the answer was late. Evicts of prefixes may take other ways.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Store, memory::MemoryStore};
    /// use std::time::Instant;
    ///
    /// assert!(MemoryStore::new().unreached(Instant::now()).is_none());
    /// ```
    fn unreached(&self, since: Instant) -> Option<Error> {
        let _ = since;
        None
    }
}

/// A store that tells of changes. From [`Store::changes`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Store, Write, memory::MemoryStore};
/// use std::time::Duration;
///
/// let (store, minute) = (MemoryStore::new(), Duration::from_secs(60));
/// let changes = store.changes().expect("it tells of them");
/// assert!(!changes.are_told(), "not of those from before the wait");
/// let write = [Write::new("user:7", "Ada".into(), minute)];
/// let ((), written) = tokio::join!(changes.changed("user:7", minute), store.write(&write));
/// written?; // and the other did not wait for a minute
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Changes: Send + Sync {
    /// Whether every change is told, for now, one that came just before the wait included. Who waits then gives
    /// [`changed`](Self::changed) all the time there is, else short times after which it looks for itself.
    fn are_told(&self) -> bool;

    /// Waits until the entry may have changed, at most `at_most`. Waking early is allowed.
    async fn changed(&self, key: &str, at_most: Duration);
}

/// A store that tells of every change, whoever made it. From [`Store::tracking`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Store, memory::MemoryStore};
///
/// assert!(MemoryStore::new().tracking().is_none(), "nobody else changes it");
/// ```
#[async_trait]
pub trait Tracking: Send + Sync {
    /// Tells of all changes of keys that begin with one of these prefixes, until it can no longer; gives why. Once it has
    /// returned it says that nothing changed no more.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use async_trait::async_trait;
    /// use cachemacro::{Error, ErrorKind, store::{Listener, Tracking}};
    /// use std::sync::Arc;
    ///
    /// /// Knows of nothing.
    /// struct Deaf;
    ///
    /// #[async_trait]
    /// impl Tracking for Deaf {
    ///     async fn track(&self, _prefixes: &[String], _listener: Arc<dyn Listener>) -> Error {
    ///         Error::new(ErrorKind::Refused, "nothing is told here")
    ///     }
    /// }
    /// ```
    async fn track(&self, prefixes: &[String], listener: Arc<dyn Listener>) -> Error;
}

/// Who is told of changes. See [`Tracking`]. It may be called from anywhere, and returns at once.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::Listener;
/// use std::time::Instant;
///
/// struct Print;
///
/// impl Listener for Print {
///     fn begins(&self) {}
///     fn changed(&self, key: &[u8]) {
///         println!("{} bytes of a key that changed", key.len());
///     }
///     fn all_changed(&self) {}
///     fn told_until(&self, _: Instant) {}
///     fn ends(&self) {}
/// }
/// ```
pub trait Listener: Send + Sync {
    /// From now on every change is told.
    fn begins(&self);

    /// Something was written, removed or expired under this key.
    fn changed(&self, key: &[u8]);

    /// Any key may have changed.
    fn all_changed(&self);

    /// All that changed before this moment was told. It is to be said several times a second: who is told nothing for a second
    /// takes the store for lost.
    fn told_until(&self, moment: Instant);

    /// From now on changes may go untold, until telling begins again. To be said where a store finds that out before
    /// [`track`](Tracking::track) can return; its return says the same.
    fn ends(&self);
}

/// A store that acts without waiting. From [`Store::immediate`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{EvictRequest, HeldLease, LeaseKind, LeaseRequest, Store, Token, memory::MemoryStore};
/// use std::time::Duration;
///
/// let (store, token) = (MemoryStore::new(), Token::random());
/// store.lease(&[LeaseRequest::new("user:7", token, LeaseKind::Load, Duration::from_secs(3))]).await?;
/// let immediate = store.immediate().expect("in memory nothing needs waiting");
/// assert!(immediate.release(HeldLease::new("user:7", token)));
/// assert_eq!(immediate.evict(EvictRequest::new(&["user:7"], &[])), [false]);
/// # Ok(())
/// # }
/// ```
pub trait Immediate: Send + Sync {
    /// [`Store::evict`], done when it returns.
    fn evict(&self, request: EvictRequest<'_>) -> Vec<bool>;

    /// Gives a lease back, done when it returns. Tells whether it was held until now.
    fn release(&self, lease: HeldLease<'_>) -> bool;
}

/// A store that shows what is in it. From [`Store::inspect`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{Cursor, Store, Write, memory::MemoryStore};
/// use std::time::Duration;
///
/// let store = MemoryStore::new();
/// store.write(&[Write::new("user:7", "Ada".into(), Duration::from_secs(60))]).await?;
/// let inspect = store.inspect().expect("it can be looked into");
/// let (mut found, mut next) = (Vec::new(), Some(Cursor::default()));
/// while let Some(cursor) = next {
///     let page = inspect.scan("user:", &cursor).await?;
///     found.extend(page.keys);
///     next = page.next;
/// }
/// assert_eq!(found, ["user:7"]);
/// assert_eq!(inspect.raw(b"user:7").await?.map(|raw| raw.bytes), Some("Ada".into()));
/// let heads = inspect.heads(&[b"user:7"], 2).await?;
/// assert_eq!(heads[0].as_ref().map(|(raw, length)| (&*raw.bytes, *length)), Some((&b"Ad"[..], 3)));
/// assert_eq!(inspect.info().await?, None, "there is no server");
/// assert!(!inspect.leaves_use_alone().await?, "it is not known to");
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait Inspect: Send + Sync {
    /// One step of a scan for keys that begin with `prefix`. From the [first](Cursor::default) cursor to where there is no next
    /// one, every key is told that was there all the time; a step may tell none.
    ///
    /// # Errors
    /// Where the store failed.
    async fn scan(&self, prefix: &str, cursor: &Cursor) -> Result<Page>;

    /// The bytes under one key and how long they have left; `None` where there are none.
    ///
    /// # Errors
    /// Where the store failed.
    async fn raw(&self, key: &[u8]) -> Result<Option<Raw>>;

    /// The first bytes under each key, at most so many, how long it has left, and how many bytes there are; `None` where there are
    /// none.
    ///
    /// # Errors
    /// Where the store failed.
    async fn heads(&self, keys: &[&[u8]], first: usize) -> Result<Vec<Option<(Raw, usize)>>> {
        let mut heads = Vec::with_capacity(keys.len());
        for key in keys {
            heads.push(self.raw(key).await?.map(|raw| {
                let length = raw.bytes.len();
                (Raw::new(raw.bytes.slice(..length.min(first)), raw.left), length)
            }));
        }
        Ok(heads)
    }

    /// What the server says of itself, as text of its own; `None` where there is none.
    ///
    /// # Errors
    /// Where the store failed, or does not tell.
    async fn info(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// Whether a look leaves alone what the server knows of when entries were used, by which it makes room. False where that is not known.
    ///
    /// # Errors
    /// Where the store failed.
    async fn leaves_use_alone(&self) -> Result<bool> {
        Ok(false)
    }
}
