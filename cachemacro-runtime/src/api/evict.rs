//! Many evicts as one: entries, tags and prefixes, collected first and sent together.

use std::pin::Pin;

use serde::Serialize;

use crate::engine::entry::Entry;
use crate::engine::evict::{Evict, not_built};
use crate::engine::removals::Removals;
use crate::ground::error::Result;
use crate::key::Key;
use crate::key::typed::Tag;
use crate::policy::outcome::Value;

impl Evict {
    /// One entry. It is evicted from this cache, whichever cache the handle came from.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let user = cache.entry::<String>("user", 7);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert_eq!(cache.evict().entry(&user).await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn entry<T: Value>(mut self, entry: &Entry<T>) -> Self {
        self.add_entry(entry);
        self
    }

    /// Many entries.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let users = [7, 8, 9].map(|id| cache.entry::<String>("user", id));
    /// users[0].set(&"Ada".to_owned()).await?;
    /// users[1].set(&"Grace".to_owned()).await?;
    /// assert_eq!(cache.evict().entries(&users).await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn entries<'a, T: Value>(self, entries: impl IntoIterator<Item = &'a Entry<T>>) -> Self {
        entries.into_iter().fold(self, Self::entry)
    }

    /// The entry of `key` under `prefix`; see [`Key::new`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", ("eu", 7), &"Ada".to_owned()).await?;
    /// assert_eq!(cache.evict().key("user", ("eu", 7)).await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn key(mut self, prefix: &str, key: impl Serialize) -> Self {
        self.add_key(Key::new(prefix, key));
        self
    }

    /// All entries that carry one of these tags: constant time, however many there are.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// let user = cache.entry::<String>("user", 7).with_tags(["users"]);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert_eq!(cache.evict().tags(["users", "lists"]).await?, 0, "those of tags are not counted");
    /// assert!(!user.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    pub fn tags<S: Tag>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.add_tags(tags);
        self
    }

    /// All entries under a prefix. Scans the server's keys: costs time in proportion to all of them. Of a prefix over
    /// 165 bytes only the beginning counts, as in keys.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    /// cache.set("user", 8, &"Grace".to_owned()).await?;
    /// assert_eq!(cache.evict().prefix("user").await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn prefix(mut self, prefix: &str) -> Self {
        self.add_prefix(prefix);
        self
    }

    /// What other evicts name, as they were kept as [`Removals`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Removals};
    ///
    /// let cache = Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    /// let kept = Removals::new().key("user", 7)?;
    /// assert_eq!(cache.evict().all_of(&kept).tags(["user-lists"]).await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    pub fn all_of(mut self, removals: &Removals) -> Self {
        self.add_all(removals.clone());
        self
    }

    /// The evicts as plain data, to keep or to send elsewhere.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Removals};
    ///
    /// let evict = Cache::memory().evict().key("user", 7).tags(["user-lists"]);
    /// assert_eq!(*evict.removals()?, Removals::new().key("user", 7)?.tags(["user-lists"]));
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Key`](crate::ErrorKind::Key), where a key or tag could not be built: something would be missing.
    pub fn removals(&self) -> Result<&Removals> {
        if self.has_failed() { Err(not_built()) } else { Ok(self.built()) }
    }

    /// Sends the evicts. Returns how many entries went: with a value, where they were named; with a value or being
    /// loaded, under a prefix. Those of tags are not counted, nor are those that are [collected](crate::Cache::collect)
    /// instead.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    /// let gone = cache.evict().key("user", 7).key("user", 8).run().await?;
    /// assert_eq!(gone, 1, "nothing was under the other key");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store could not be reached or refused; the other evicts have been tried all the same. Else
    /// [`ErrorKind::Key`](crate::ErrorKind::Key), where a key or tag could not be built.
    pub async fn run(self) -> Result<u64> {
        self.send().await
    }
}

impl Evict {
    /// Evicts without a runtime, from sync code. What is in this process is gone when this returns: what sync functions keep, and an
    /// in-memory store. What is on a server is evicted in the background: reads of this process wait for it, others see it soon; where
    /// it fails, that is logged and counted.
    ///
    /// ```
    /// # mod cachemacro {
    /// #     pub use cachemacro_derive::cached;
    /// #     pub use cachemacro_runtime::*;
    /// # }
    /// use cachemacro::{Cache, cached};
    ///
    /// #[cached(tags = ["squares"], crate = cachemacro)]
    /// fn square(n: u64) -> u64 {
    ///     n * n
    /// }
    ///
    /// let cache = Cache::memory();
    /// cache.scope_sync(|| {
    ///     square(7);
    ///     cache.evict().tags(["squares"]).run_sync()?;
    ///     square(7);
    ///     Ok::<(), cachemacro::Error>(())
    /// })?;
    /// assert_eq!(cache.stats().total.loads, 2);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Key`](crate::ErrorKind::Key), where a key or tag could not be built; the others are evicted all the same.
    pub fn run_sync(self) -> Result<()> {
        self.send_now()
    }
}

/// Awaiting the evicts sends them, as [`run`](Evict::run) does.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// let cache = cachemacro::Cache::memory();
/// cache.set("user", 7, &"Ada".to_owned()).await?;
/// assert_eq!(cache.evict().key("user", 7).tags(["user-lists"]).await?, 1);
/// # Ok(())
/// # }
/// ```
impl IntoFuture for Evict {
    type Output = Result<u64>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<u64>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.run())
    }
}
