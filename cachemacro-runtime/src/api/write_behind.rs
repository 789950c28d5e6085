//! Write-behind: values that are accepted now, found by everybody at once, and written to their database later, many together.

use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::api::cache::Cache;
use crate::calls::write_behind::pending::{Look, Pending};
use crate::calls::write_behind::record::value_of;
use crate::calls::write_behind::{Apply, Limits, PARTITIONS, Piece, Queue, queues};
use crate::engine::emitted::{decode, encode};
use crate::engine::entry::Entry;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::key::typed::Tag;
use crate::observe::write_behind::QueueStats;
use crate::policy::outcome::Value;
use crate::store::{Dead, Server};

/// A queue of writes: what is put into it is found by every reader at once, and handed to a function of yours later, many writes together.
///
/// A write is accepted once it is in the queue, at the server, and so outlives this process; how far it outlives the server is the server's to
/// say. See [the guide](https://github.com/cachemacro/cachemacro/blob/main/docs/write-behind.md) for what is promised, and when not to use it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Batch, Cache, WriteBehind};
/// use std::time::Duration;
///
/// let cache = Cache::memory();
/// let queue = WriteBehind::<String>::named("renames").batch(500).every("1s").volatile(true); // it is in memory
/// let renames = queue.start(&cache, |batch: Batch<String>| async move {
///     for write in batch.writes() {
///         println!("UPDATE … {:?} where {}", write.value(), write.key()); // one statement for all is better
///     }
///     Ok::<(), std::io::Error>(())
/// }).await?;
///
/// let user = cache.entry::<String>("user", 7);
/// renames.put(&user, &"Ada".to_owned()).await?;
/// let name = renames.load(&user, async || Some("the old name".to_owned())).await;
/// assert_eq!(name.as_deref(), Some("Ada"));
/// renames.shutdown(Duration::from_secs(5)).await;
/// # Ok(())
/// # }
/// ```
pub struct WriteBehind<T> {
    running: Arc<Running>,
    value: PhantomData<fn() -> T>,
}

/// Ends the queue's tasks with its last handle.
struct Running(Arc<Queue>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl<T> Clone for WriteBehind<T> {
    fn clone(&self) -> Self {
        Self { running: Arc::clone(&self.running), value: PhantomData }
    }
}

impl<T> fmt::Debug for WriteBehind<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehind").field("name", &self.queue().name).finish_non_exhaustive()
    }
}

impl<T> WriteBehind<T> {
    fn queue(&self) -> &Queue {
        &self.running.0
    }

    pub(crate) fn shared(&self) -> &Arc<Queue> {
        &self.running.0
    }
}

/// A queue to come, from [`WriteBehind::named`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{WriteBehind, WriteBehindBuilder};
///
/// let renames: WriteBehindBuilder<String> = WriteBehind::named("renames").batch(100);
/// ```
#[must_use = "a queue does nothing until `start`"]
pub struct WriteBehindBuilder<T> {
    name: String,
    limits: Limits,
    volatile: bool,
    wrong: Option<String>,
    value: PhantomData<fn() -> T>,
}

impl<T> fmt::Debug for WriteBehindBuilder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WriteBehindBuilder")
            .field("name", &self.name)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl<T: Value> WriteBehind<T> {
    /// A queue of this name, the same in all processes that write into it or apply it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames");
    /// ```
    pub fn named(name: &str) -> WriteBehindBuilder<T> {
        let limits = Limits {
            batch: 500,
            every: Duration::from_secs(1),
            capacity: 100_000 / usize::from(PARTITIONS),
            wait: Duration::from_secs(5),
            attempts: 8,
            backoff: Duration::from_millis(100),
            lease: Duration::from_secs(10),
        };
        let wrong = name.is_empty().then(|| "a queue of writes needs a name".to_owned());
        WriteBehindBuilder { name: Key::escape(name), limits, volatile: false, wrong, value: PhantomData }
    }
}

impl<T: Value> WriteBehindBuilder<T> {
    /// How many writes are read at once, 500 by default; what they leave of each key goes to the function together.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames").batch(100);
    /// ```
    pub fn batch(mut self, writes: usize) -> Self {
        self.limits.batch = writes;
        self.check(writes > 0 && writes <= 10_000, "a batch has between 1 and 10,000 writes")
    }

    /// How long writes are gathered, `"1s"` by default: a write is applied about that much later, and earlier where many come.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames").every("250ms");
    /// ```
    pub fn every(mut self, time: &str) -> Self {
        match humantime::parse_duration(time) {
            Ok(every) if every >= Duration::from_millis(1) => {
                self.limits.every = every;
                self
            }
            _ => self.check(false, "writes are gathered for a time such as `1s` or `250ms`"),
        }
    }

    /// How many writes may wait, 100,000 by default; a sixteenth of them in each partition. See [`wait`](Self::wait).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames").capacity(1_000_000);
    /// ```
    pub fn capacity(mut self, writes: usize) -> Self {
        self.limits.capacity = writes.div_ceil(PARTITIONS.into());
        self.check(writes > 0, "a queue has room for a write")
    }

    /// How long a caller waits while the queue is full, 5 s by default, before it gets an error of the kind [`Full`](ErrorKind::Full).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use std::time::Duration;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames").wait(Duration::ZERO);
    /// ```
    pub fn wait(mut self, time: Duration) -> Self {
        self.limits.wait = time;
        self
    }

    /// How often a write that stands alone is tried before it is put among the [dead letters](WriteBehind::dead), 8 times by default.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames").attempts(20);
    /// ```
    pub fn attempts(mut self, attempts: u32) -> Self {
        self.limits.attempts = attempts;
        self.check(attempts > 0, "a write is tried once at least")
    }

    /// The pause after the first failed attempt, 100 ms by default. It doubles each time, up to 30 s.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use std::time::Duration;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames").backoff(Duration::from_secs(1));
    /// ```
    pub fn backoff(mut self, first: Duration) -> Self {
        self.limits.backoff = first;
        self
    }

    /// How long a process that applies may not be heard of before another takes its partitions over, 10 s by default.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use std::time::Duration;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames").lease(Duration::from_secs(30));
    /// ```
    pub fn lease(mut self, time: Duration) -> Self {
        self.limits.lease = time;
        self.check(time >= Duration::from_millis(100), "a lease lives 100 ms at least")
    }

    /// Has the queue start also where what it holds may be lost: in memory, and on servers that may evict it or keep nothing on disk.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let renames = cachemacro::WriteBehind::<String>::named("renames").volatile(true);
    /// ```
    pub fn volatile(mut self, volatile: bool) -> Self {
        self.volatile = volatile;
        self
    }

    fn check(mut self, is_right: bool, what: &str) -> Self {
        if !is_right {
            self.wrong.get_or_insert_with(|| what.to_owned());
        }
        self
    }

    /// Starts: from now on this process accepts writes, and applies those of the partitions that it comes to own, by `apply`, on the runtime of the
    /// caller. Each partition is one process's at a time; several are applied side by side.
    ///
    /// `apply` writes all of a batch, or returns an error, after which it may be called with the same writes again; in a transaction it
    /// is all or nothing. It ends with this process's right to the partition, at an `await`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Batch, Cache, ErrorKind, WriteBehind};
    ///
    /// let apply = |batch: Batch<String>| async move {
    ///     println!("{} writes", batch.writes().len());
    ///     Ok::<(), std::io::Error>(())
    /// };
    /// let refused = WriteBehind::<String>::named("renames").start(&Cache::memory(), apply).await;
    /// assert_eq!(refused.unwrap_err().kind(), ErrorKind::Config); // what is in memory ends with the process
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where a setting is not acceptable, there is no tokio runtime, or the store may lose what it accepted: a store in
    /// memory, a server that evicts keys without a TTL, or that keeps nothing on disk; see [`volatile`](Self::volatile). Where the store cannot be reached.
    pub async fn start<F, R, X>(self, cache: &Cache, apply: F) -> Result<WriteBehind<T>>
    where
        F: Fn(Batch<T>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), X>> + Send + 'static,
        X: fmt::Display + Send + 'static,
    {
        if Handle::try_current().is_err() {
            let what = "a queue of writes needs a tokio runtime to apply them on";
            return Err(Error::new(ErrorKind::Config, what));
        }
        let name: Arc<str> = self.name.as_str().into();
        let begin: Apply = Arc::new(move |piece: Piece| {
            let batch = Batch::decode(Arc::clone(&name), piece)?;
            let applying = apply(batch);
            Ok(Box::pin(async move { applying.await.map_err(|error| error.to_string()) }))
        });
        self.begin(cache, Some(begin)).await
    }

    /// The same for a process that only accepts writes; others, that [`start`](Self::start), apply them.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, WriteBehind};
    ///
    /// let cache = Cache::memory();
    /// let renames = WriteBehind::<String>::named("renames").volatile(true).connect(&cache).await?;
    /// renames.put(&cache.entry("user", 7), &"Ada".to_owned()).await?;
    /// assert_eq!(renames.stats().await?.depth, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`start`](Self::start) has.
    pub async fn connect(self, cache: &Cache) -> Result<WriteBehind<T>> {
        self.begin(cache, None).await
    }

    async fn begin(self, cache: &Cache, apply: Option<Apply>) -> Result<WriteBehind<T>> {
        let config = |what: String| Err(Error::new(ErrorKind::Config, what));
        if let Some(wrong) = self.wrong {
            return config(wrong);
        }
        let core = Arc::clone(cache.core());
        queues(&core)?;
        core.store.health().await?;
        if !self.volatile
            && let Some(why) = loses(core.store.server(), core.store.about().shared)
        {
            return config(format!(
                "{why}: accepted writes would be lost. `volatile(true)` takes that into account"
            ));
        }
        let queue = Queue::start(core, self.name, self.limits, apply);
        Ok(WriteBehind { running: Arc::new(Running(queue)), value: PhantomData })
    }
}

/// Why a store may lose what it accepted.
fn loses(server: Option<&Server>, shared: bool) -> Option<String> {
    let Some(facts) = server.and_then(Server::facts) else {
        return (!shared).then(|| "the store is in this process's memory".to_owned());
    };
    if let Some(policy) = facts.eviction_policy.filter(|policy| policy.starts_with("allkeys")) {
        return Some(format!(
            "the server evicts any key where its memory is full (`maxmemory-policy {policy}`)"
        ));
    }
    (facts.persists == Some(false)).then(|| "the server keeps nothing on disk".to_owned())
}

impl<T: Value> WriteBehind<T> {
    /// Accepts `value` as what `entry` holds from now on; awaiting it sends it. Once it returns, no process is served an older value by a hit, and who
    /// looks into the queue before it loads is given this one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn rename(renames: &cachemacro::WriteBehind<String>, cache: &cachemacro::Cache) -> cachemacro::Result<()> {
    /// let user = cache.entry::<String>("user", 7);
    /// renames.put(&user, &"Ada".to_owned()).tags(["user-lists"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn put<'a>(&'a self, entry: &'a Entry<T>, value: &'a T) -> Accept<'a, T> {
        Accept { queue: self, entry, value: Some(value), tags: Vec::new() }
    }

    /// The same of an entry that holds nothing from now on.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn remove(renames: &cachemacro::WriteBehind<String>, cache: &cachemacro::Cache) -> cachemacro::Result<()> {
    /// renames.delete(&cache.entry("user", 7)).tags(["user-lists"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn delete<'a>(&'a self, entry: &'a Entry<T>) -> Accept<'a, T> {
        Accept { queue: self, entry, value: None, tags: Vec::new() }
    }

    /// The newest write of `entry` that is accepted and not applied yet, if there is one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn look(renames: &cachemacro::WriteBehind<String>, cache: &cachemacro::Cache) -> cachemacro::Result<()> {
    /// use cachemacro::PendingWrite;
    ///
    /// match renames.pending(&cache.entry("user", 7)).await? {
    ///     Some(PendingWrite::Put(name)) => println!("{name}, soon"),
    ///     Some(PendingWrite::Delete) => println!("gone, soon"),
    ///     None => println!("what the database says"),
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the entry is in another namespace or store than the queue; where the store failed, or what is pending cannot be
    /// decoded by this build.
    pub async fn pending(&self, entry: &Entry<T>) -> Result<Option<PendingWrite<T>>> {
        let raw = entry.raw()?;
        Ok(match self.queue().pending(&raw.core, raw.counters(), &raw.key).await? {
            None => None,
            Some(None) => Some(PendingWrite::Delete),
            Some(Some(value)) => Some(PendingWrite::Put(decode(&value)?)),
        })
    }

    /// The entry's value; on a miss what is pending of it, and what `load` gives where nothing is. A hit costs nothing more.
    ///
    /// Where the queue cannot be looked into, `load` runs and nothing is stored: it may give what was there before a write.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn name(renames: &cachemacro::WriteBehind<String>, cache: &cachemacro::Cache) -> Option<String> {
    /// let user = cache.entry::<String>("user", 7);
    /// renames.load(&user, async || Some("what the database says".to_owned())).await
    /// # }
    /// ```
    pub async fn load<R>(&self, entry: &Entry<T>, load: impl FnOnce() -> R + Send) -> Option<T>
    where
        R: Future<Output = Option<T>> + Send,
    {
        let mut entry = entry.clone();
        let look = Look::of(self.shared(), &mut entry);
        let found = entry.try_get_or_load(async || {
            let pending = match &look {
                Some(look) => look.find().await,
                None => Pending::Nothing,
            };
            match pending {
                Pending::Put(value) => Ok(value),
                Pending::Delete => Err(None),
                Pending::Nothing => load().await.ok_or(None),
                Pending::Unknown => Err(load().await),
            }
        });
        found.await.map_or_else(|unstored| unstored, Some)
    }

    /// What all partitions hold, and what became of the writes that this process had to do with.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn log(renames: &cachemacro::WriteBehind<String>) -> cachemacro::Result<()> {
    /// let stats = renames.stats().await?;
    /// println!("{} wait, the oldest for {:?}; {} dead letters", stats.depth, stats.oldest, stats.dead);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn stats(&self) -> Result<QueueStats> {
        self.queue().stats().await
    }

    /// The writes that could not be applied, at most so many; each partition keeps its last 10,000.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn repair(renames: &cachemacro::WriteBehind<String>) -> cachemacro::Result<()> {
    /// for dead in renames.dead(100).await? {
    ///     println!("{}: {}", dead.write().key(), dead.why());
    ///     if dead.why().contains("timed out") {
    ///         renames.replay(&dead).await?;
    ///     } else {
    ///         renames.discard(&dead).await?;
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn dead(&self, most: usize) -> Result<Vec<DeadWrite<T>>> {
        let dead = self.queue().dead(most).await?;
        let letter = |(partition, dead): (u8, Dead)| {
            let (write, is_known) = match QueuedWrite::decode(&dead.write) {
                Some(write) => (write, true),
                None => (
                    QueuedWrite { key: dead.write.key.clone(), value: None, number: dead.write.number },
                    false,
                ),
            };
            DeadWrite { partition, dead, write, is_known }
        };
        Ok(dead.into_iter().map(letter).collect())
    }

    /// Accepts a dead letter once more, as the newest write of its key; tells whether it was there. See [`dead`](Self::dead) for an example.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn again(renames: &cachemacro::WriteBehind<String>, dead: &cachemacro::DeadWrite<String>) -> cachemacro::Result<bool> {
    /// renames.replay(dead).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: it may have been accepted.
    pub async fn replay(&self, dead: &DeadWrite<T>) -> Result<bool> {
        self.queue().replay(dead.partition, &dead.dead).await
    }

    /// Forgets a dead letter; tells whether it was there. See [`dead`](Self::dead) for an example.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn forget(renames: &cachemacro::WriteBehind<String>, dead: &cachemacro::DeadWrite<String>) -> cachemacro::Result<bool> {
    /// renames.discard(dead).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn discard(&self, dead: &DeadWrite<T>) -> Result<bool> {
        self.queue().forget(dead.partition, &dead.dead.id).await
    }

    /// Accepts nothing more, applies what is in the partitions of this process for at most so long, and leaves the rest to other processes, or to the
    /// next start. Tells whether nothing was left but what was set aside. To be called before [`Cache::shutdown`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # use std::time::Duration;
    /// # async fn stop(renames: &cachemacro::WriteBehind<String>) {
    /// let all_applied = renames.shutdown(Duration::from_secs(10)).await;
    /// # }
    /// ```
    pub async fn shutdown(&self, deadline: Duration) -> bool {
        self.queue().shutdown(deadline).await
    }
}

/// A write to come, from [`WriteBehind::put`] and [`WriteBehind::delete`]; awaiting it sends it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # async fn rename(renames: &cachemacro::WriteBehind<String>, cache: &cachemacro::Cache) -> cachemacro::Result<()> {
/// let user = cache.entry("user", 7);
/// renames.put(&user, &"Ada".to_owned()).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a write is accepted when it is awaited"]
pub struct Accept<'a, T> {
    queue: &'a WriteBehind<T>,
    entry: &'a Entry<T>,
    value: Option<&'a T>,
    tags: Vec<String>,
}

impl<T> fmt::Debug for Accept<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accept").field("puts", &self.value.is_some()).finish_non_exhaustive()
    }
}

impl<T: Value> Accept<'_, T> {
    /// Tags that are evicted once it was applied: of what is made of this entry's row and others, such as lists.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn remove(renames: &cachemacro::WriteBehind<String>, cache: &cachemacro::Cache) -> cachemacro::Result<()> {
    /// renames.delete(&cache.entry("user", 7)).tags(["user-lists"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn tags<S: Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.tags.extend(tags.into_iter().map(|tag| tag.text().into_owned()));
        self
    }

    async fn send(self) -> Result<()> {
        let (raw, settings) = (self.entry.raw()?, &self.queue.queue().core.settings);
        let value = self.value.map(|value| encode(value, settings.codec, settings.max_value)).transpose()?;
        self.queue.queue().accept(raw, value.as_deref(), &self.tags).await
    }
}

/// # Errors
/// Of the kind [`Full`](ErrorKind::Full) where the queue stayed full; where the value cannot be encoded, the entry is to be sealed, or it is in another
/// namespace or store than the queue; where the store failed, when it may have been accepted all the same.
impl<'a, T: Value> IntoFuture for Accept<'a, T> {
    type Output = Result<()>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.send())
    }
}

/// What is pending of an entry, from [`WriteBehind::pending`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::PendingWrite;
///
/// assert_ne!(PendingWrite::Put(7), PendingWrite::Delete);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PendingWrite<T> {
    /// It holds this.
    Put(T),
    /// It holds nothing.
    Delete,
}

/// Writes to apply together, the newest of each key.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// async fn apply(batch: cachemacro::Batch<String>) -> Result<(), std::io::Error> {
///     for write in batch.writes() {
///         println!("{}: {:?}", write.key(), write.value());
///     }
///     Ok(())
/// }
/// ```
pub struct Batch<T> {
    queue: Arc<str>,
    piece: Piece,
    writes: Vec<QueuedWrite<T>>,
}

impl<T> fmt::Debug for Batch<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("queue", &self.queue)
            .field("partition", &self.piece.partition)
            .field("writes", &self.writes.len())
            .finish_non_exhaustive()
    }
}

impl<T: Value> Batch<T> {
    /// # Errors
    /// The places of writes that cannot be decoded.
    fn decode(queue: Arc<str>, mut piece: Piece) -> Result<Self, Vec<usize>> {
        let writes = std::mem::take(&mut piece.writes);
        let decoded: Vec<Option<QueuedWrite<T>>> = writes.iter().map(QueuedWrite::decode).collect();
        let wrong: Vec<usize> =
            decoded.iter().enumerate().filter_map(|(at, write)| write.is_none().then_some(at)).collect();
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Self { queue, piece, writes: decoded.into_iter().flatten().collect() })
    }
}

impl<T> Batch<T> {
    /// The writes, one for each key, in the order in which their keys came.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn names(batch: &cachemacro::Batch<String>) -> Vec<&String> {
    ///     batch.writes().iter().filter_map(|write| write.value()).collect()
    /// }
    /// ```
    pub fn writes(&self) -> &[QueuedWrite<T>] {
        &self.writes
    }

    /// The same, to take apart.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn names(batch: cachemacro::Batch<String>) -> Vec<String> {
    ///     batch.into_writes().into_iter().filter_map(|write| write.into_value()).collect()
    /// }
    /// ```
    pub fn into_writes(self) -> Vec<QueuedWrite<T>> {
        self.writes
    }

    /// What a ledger needs to know, so that a batch that was applied before changes nothing, and one of a process whose tenure is over neither.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn row(batch: &cachemacro::Batch<String>) -> (String, u8) {
    ///     (batch.tenure().queue().to_owned(), batch.tenure().partition())
    /// }
    /// ```
    pub fn tenure(&self) -> Tenure<'_> {
        Tenure { queue: &self.queue, piece: &self.piece }
    }
}

/// Whose batch it is, and what comes before it, from [`Batch::tenure`]: what an exact ledger is made of.
///
/// A write of number `n` took effect before if `n` is not above the ledger's number and is not among those that the ledger says were left; the
/// ledger of a higher fence says that this process may write no more.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// fn is_former(batch: &cachemacro::Batch<String>, fence_in_ledger: u64) -> bool {
///     batch.tenure().fence() < fence_in_ledger
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Tenure<'a> {
    queue: &'a str,
    piece: &'a Piece,
}

impl fmt::Debug for Tenure<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tenure")
            .field("queue", &self.queue)
            .field("partition", &self.partition())
            .field("fence", &self.fence())
            .finish_non_exhaustive()
    }
}

impl Tenure<'_> {
    /// The name of the queue.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn f(batch: &cachemacro::Batch<String>) {
    /// println!("{}", batch.tenure().queue());
    /// # }
    /// ```
    pub const fn queue(&self) -> &str {
        self.queue
    }

    /// Which of the queue's 16 partitions.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn f(batch: &cachemacro::Batch<String>) {
    /// assert!(batch.tenure().partition() < 16);
    /// # }
    /// ```
    pub const fn partition(&self) -> u8 {
        self.piece.partition
    }

    /// Rises with each process that comes to own the partition.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn f(batch: &cachemacro::Batch<String>) {
    /// println!("{}", batch.tenure().fence());
    /// # }
    /// ```
    pub const fn fence(&self) -> u64 {
        self.piece.fence
    }

    /// All writes up to this number were read: they are in this batch, were applied before, or are [left](Self::left).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn f(batch: &cachemacro::Batch<String>) {
    /// println!("{}", batch.tenure().up_to());
    /// # }
    /// ```
    pub const fn up_to(&self) -> u64 {
        self.piece.up_to
    }

    /// The numbers, up to there, of writes that are yet to be applied and are not in this batch.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn f(batch: &cachemacro::Batch<String>) {
    /// println!("{} are left", batch.tenure().left().count());
    /// # }
    /// ```
    pub fn left(&self) -> impl Iterator<Item = u64> {
        self.piece.left.iter().copied()
    }

    /// The numbers of writes that will never be applied: dead letters.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn f(batch: &cachemacro::Batch<String>) {
    /// println!("{} are gone", batch.tenure().gone().count());
    /// # }
    /// ```
    pub fn gone(&self) -> impl Iterator<Item = u64> {
        self.piece.gone.iter().copied()
    }
}

/// A write of one entry, from [`Batch::writes`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// fn statement(write: &cachemacro::QueuedWrite<String>) -> &'static str {
///     if write.value().is_some() { "UPDATE" } else { "DELETE" }
/// }
/// ```
#[derive(Clone)]
pub struct QueuedWrite<T> {
    key: String,
    value: Option<T>,
    number: u64,
}

// Key and value may be secrets.
impl<T> fmt::Debug for QueuedWrite<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueuedWrite")
            .field("number", &self.number)
            .field("puts", &self.value.is_some())
            .finish_non_exhaustive()
    }
}

impl<T: Value> QueuedWrite<T> {
    fn decode(write: &crate::store::Queued) -> Option<Self> {
        let value = match value_of(&write.write)? {
            Some(value) => Some(decode(&value).ok()?),
            None => None,
        };
        Some(Self { key: write.key.clone(), value, number: write.number })
    }
}

impl<T> QueuedWrite<T> {
    /// The entry's key, without the namespace: `user:7`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn id(write: &cachemacro::QueuedWrite<String>) -> Option<u64> {
    ///     write.key().strip_prefix("user:")?.parse().ok()
    /// }
    /// ```
    pub fn key(&self) -> &str {
        &self.key
    }

    /// What the entry holds; `None` where it is removed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn is_put(write: &cachemacro::QueuedWrite<String>) -> bool {
    ///     write.value().is_some()
    /// }
    /// ```
    pub const fn value(&self) -> Option<&T> {
        self.value.as_ref()
    }

    /// The same, taken out.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn name(write: cachemacro::QueuedWrite<String>) -> String {
    ///     write.into_value().unwrap_or_default()
    /// }
    /// ```
    pub fn into_value(self) -> Option<T> {
        self.value
    }

    /// Its number: of two writes in one partition the later has the higher one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn f(write: &cachemacro::QueuedWrite<String>) {
    /// println!("{}", write.number());
    /// # }
    /// ```
    pub const fn number(&self) -> u64 {
        self.number
    }
}

/// A write that could not be applied, from [`WriteBehind::dead`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// fn tell(dead: &cachemacro::DeadWrite<String>) -> String {
///     format!("{}: {}", dead.write().key(), dead.why())
/// }
/// ```
#[derive(Clone)]
pub struct DeadWrite<T> {
    partition: u8,
    dead: Dead,
    write: QueuedWrite<T>,
    is_known: bool,
}

// What the function said of it may be a secret.
impl<T> fmt::Debug for DeadWrite<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadWrite").field("write", &self.write).finish_non_exhaustive()
    }
}

impl<T> DeadWrite<T> {
    /// The write. Where this build cannot decode it, it has a key and no value.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn key(dead: &cachemacro::DeadWrite<String>) -> &str {
    ///     dead.write().key()
    /// }
    /// ```
    pub const fn write(&self) -> &QueuedWrite<T> {
        &self.write
    }

    /// Whether this build can decode it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn is_of_another_deploy(dead: &cachemacro::DeadWrite<String>) -> bool {
    ///     !dead.is_known()
    /// }
    /// ```
    pub const fn is_known(&self) -> bool {
        self.is_known
    }

    /// What the function said at the last attempt.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn is_late(dead: &cachemacro::DeadWrite<String>) -> bool {
    ///     dead.why().contains("timed out")
    /// }
    /// ```
    pub fn why(&self) -> &str {
        &self.dead.why
    }
}
