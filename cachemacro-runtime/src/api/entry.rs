//! What can be done with the typed handle to one cached value.

use std::future::Future;
use std::time::Duration;

use crate::calls::write::{Effects, Put, write as write_through};
use crate::engine::entry::{Entry, is_value};
use crate::engine::evict::Evict;
use crate::engine::fill::finish_set;
use crate::engine::read::Looked;
use crate::format::header::Header;
use crate::ground::clock::Timestamp;
use crate::ground::error::Result;
use crate::key::Key;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::freshness::Age;
use crate::policy::mode::Mode;
use crate::policy::outcome::{Fallible, Plain, Value};
use crate::policy::rules::NoRules;

/// What is known of a stored value without decoding it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use std::time::Duration;
///
/// let user = cachemacro::Cache::memory().entry::<String>("user", 7);
/// user.get_or_load(async || "Ada".to_owned()).await;
/// let meta = user.meta().await?.expect("it was stored");
/// assert!(meta.age < meta.ttl && meta.load_time < Duration::from_secs(60));
/// assert!(meta.size < 10, "bytes as stored");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Meta {
    /// How long ago the value was stored.
    pub age: Duration,
    /// How long it stays fresh.
    pub ttl: Duration,
    /// How long its load took, to the millisecond.
    pub load_time: Duration,
    /// How many tags it carries.
    pub tags: usize,
    /// How many bytes its encoded, perhaps compressed form has.
    pub size: usize,
}

impl Meta {
    /// What a header says, seen at `now` of the server's clock.
    pub(crate) fn of(header: &Header, now: Timestamp) -> Self {
        Self {
            age: now.since(header.stored_at),
            ttl: header.fresh_until.since(now),
            load_time: Duration::from_millis(header.load_millis.into()),
            tags: header.stamps.into(),
            size: header.payload as usize,
        }
    }
}

impl<T: Value> Entry<T> {
    /// The entry's key, without the namespace; `None` where the arguments cannot be a key.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let user = cachemacro::Cache::memory().entry::<String>("user", ("eu", 7));
    /// assert_eq!(user.key().map(|key| key.as_str()), Some("user:eu:7"));
    /// ```
    pub fn key(&self) -> Option<&Key> {
        self.raw.as_ref().ok().map(|raw| &raw.key)
    }

    /// Whether the entry's arguments can be a key, and its tags could be built. Functions run where they cannot; a service
    /// that checks at start fails there instead.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, ErrorKind};
    ///
    /// let cache = Cache::memory();
    /// assert!(cache.entry::<String>("user", 7).check().is_ok());
    ///
    /// struct Opaque;
    /// impl serde::Serialize for Opaque {
    ///     fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
    ///         Err(serde::ser::Error::custom("no key"))
    ///     }
    /// }
    /// assert_eq!(cache.entry::<String>("user", Opaque).check().unwrap_err().kind(), ErrorKind::Key);
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Key`](crate::ErrorKind::Key), with why as its source.
    pub fn check(&self) -> Result<()> {
        self.raw().map(drop)
    }

    /// The value, if it is there and fresh; a stored `None` or `Err` is not a value.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", 7);
    /// assert_eq!(user.get().await?, None);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert_eq!(user.get().await?.as_deref(), Some("Ada"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or the arguments cannot be a key.
    pub async fn get(&self) -> Result<Option<T>> {
        let raw = self.raw()?;
        if self.core().is_bypassed() {
            return Ok(None);
        }
        if Mode::current() == Mode::Refresh {
            raw.record(Event::Miss(MissReason::TooOld));
            return Ok(None);
        }
        let mut known = self.known(&raw.core, raw, None);
        if let Some(copy) = known.as_ref().and_then(|known| known.copy(raw)) {
            raw.core.hit_here(raw.counters());
            return Ok(copy);
        }
        // G3: before the read is sent.
        if let Some(known) = &mut known {
            known.begin(raw);
        }
        match self.in_time(raw.look(self.expected())).await? {
            Looked::Usable(usable) => {
                let confirmed = known.as_ref().and_then(|known| known.confirmed(raw, &usable.header));
                let value = confirmed.unwrap_or_else(|| {
                    let value = self.decode(&usable);
                    if let Some(known) = known.filter(|_| usable.age == Age::Fresh) {
                        known.keep(raw, &usable, value.as_ref(), self.lends);
                    }
                    value
                });
                // A stored `None` is a hit: the cache knew that there is no value.
                let known = value.is_some() || !is_value(&usable.header);
                if known {
                    raw.hit(usable.age);
                } else {
                    raw.record(Event::Miss(MissReason::Undecodable));
                }
                Ok(value)
            }
            Looked::Miss(miss) => {
                raw.record(Event::Miss(miss.reason));
                Ok(None)
            }
        }
    }

    /// The value; where there is none, `load` runs once for all callers in the fleet, and its value is stored.
    /// Whatever breaks in the cache, `load` runs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let answer = cachemacro::Cache::memory().entry::<u32>("answer", ());
    /// assert_eq!(answer.get_or_load(async || 42).await, 42);
    /// assert_eq!(answer.get_or_load(async || unreachable!("it is stored")).await, 42);
    /// # }
    /// ```
    pub async fn get_or_load<F: Future<Output = T>>(&self, load: impl FnOnce() -> F) -> T {
        let body = std::pin::pin!(async move { load().await });
        crate::calls::load::load(Some(self.clone()), Plain, NoRules, body).await
    }

    /// [`get_or_load`](Self::get_or_load) with a load that can fail. An `Err` is returned, not stored, and not shared: callers that wait for a
    /// load that fails load side by side.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let port = cachemacro::Cache::memory().entry::<u16>("port", "http");
    /// let failed = port.try_get_or_load(async || "eighty".parse::<u16>()).await;
    /// assert!(failed.is_err());
    /// assert_eq!(port.try_get_or_load(async || "80".parse::<u16>()).await, Ok(80));
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `load` returned; the cache has none of its own.
    pub async fn try_get_or_load<E, F>(&self, load: impl FnOnce() -> F) -> std::result::Result<T, E>
    where
        F: Future<Output = std::result::Result<T, E>>,
    {
        let body = std::pin::pin!(async move { load().await });
        crate::calls::load::load(Some(self.clone()), Fallible, NoRules, body).await
    }

    /// Stores a value, whatever was there; see [`Cache::set`](crate::Cache::set). A value that is not to be stored (TTL of zero, or
    /// the rules say so) removes what was there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", 7);
    /// user.set(&"Ada".to_owned()).await?;
    /// user.set(&"Ada Lovelace".to_owned()).await?;
    /// assert_eq!(user.get().await?.as_deref(), Some("Ada Lovelace"));
    /// user.clone().with_ttl(std::time::Duration::ZERO).set(&"Augusta".to_owned()).await?;
    /// assert_eq!(user.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or the value cannot be encoded or is too large: then what was there is removed.
    pub async fn set(&self, value: &T) -> Result<()> {
        let raw = self.keyed()?;
        // Outside the cache nothing is stored, but what is there gets outdated all the same.
        let prepared =
            if self.core().puts_evict() { Ok(None) } else { self.try_prepare(raw, &NoRules, value) };
        self.in_time(finish_set(raw, prepared)).await
    }

    /// Runs `write`, and stores what it returns in place of what was there, as `#[cache_put]` does. Of two at once only the one that began
    /// last may store; what is not stored, because the store failed say, is evicted; and where this is dropped, or `write` panics, it may have
    /// written already, so the entry is evicted then too. Whatever breaks in the cache, `write` runs, once.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", 7);
    /// let renamed = user.put_with(async || "Ada Lovelace".to_owned()).await;
    /// assert_eq!(user.get().await?, Some(renamed));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn put_with<F: Future<Output = T>>(&self, write: impl FnOnce() -> F) -> T {
        let body = std::pin::pin!(async move { write().await });
        let puts = Put::of(self.clone(), NoRules, false).into_iter().collect();
        write_through(Effects::of_puts(Plain, puts), body, |_, effects| effects).await
    }

    /// [`put_with`](Self::put_with) with a write that can fail: an `Err` is returned, and what is there stays.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let port = cachemacro::Cache::memory().entry::<u16>("port", "http");
    /// assert_eq!(port.try_put_with(async || "80".parse::<u16>()).await, Ok(80));
    /// assert!(port.try_put_with(async || "eighty".parse::<u16>()).await.is_err());
    /// assert_eq!(port.get().await?, Some(80));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// What `write` returned; the cache has none of its own.
    pub async fn try_put_with<E, F>(&self, write: impl FnOnce() -> F) -> std::result::Result<T, E>
    where
        F: Future<Output = std::result::Result<T, E>>,
    {
        let body = std::pin::pin!(async move { write().await });
        let puts = Put::of(self.clone(), NoRules, false).into_iter().collect();
        write_through(Effects::of_puts(Fallible, puts), body, |_, effects| effects).await
    }

    /// Whether a fresh value is there, without decoding it; a stored `None` or `Err` is not a value.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", 7);
    /// assert!(!user.has().await?);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert!(user.has().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or the arguments cannot be a key.
    pub async fn has(&self) -> Result<bool> {
        let raw = self.raw()?;
        if self.core().is_bypassed() {
            return Ok(false);
        }
        Ok(self.in_time(raw.peek(self.expected())).await?.is_some_and(|header| is_value(&header)))
    }

    /// How long what is stored stays fresh, to the millisecond; `None` where there is nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use std::time::Duration;
    ///
    /// let user = cachemacro::Cache::memory().entry::<String>("user", 7);
    /// assert_eq!(user.ttl().await?, None);
    /// user.clone().with_ttl(Duration::from_secs(60)).set(&"Ada".to_owned()).await?;
    /// assert!(user.ttl().await?.is_some_and(|left| left <= Duration::from_secs(60)));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or the arguments cannot be a key.
    pub async fn ttl(&self) -> Result<Option<Duration>> {
        Ok(self.meta().await?.map(|meta| meta.ttl))
    }

    /// Age, expiry and size of what is stored, be it a value, a `None` or an `Err`, without reading it whole unless it is
    /// sealed; `None` where there is nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::memory();
    /// let user = cache.entry::<String>("user", 7).with_ttl(Duration::from_secs(60)).with_tags(["users"]);
    /// assert_eq!(user.meta().await?, None);
    ///
    /// user.set(&"Ada".to_owned()).await?;
    /// let meta = user.meta().await?.expect("it was stored");
    /// assert!(meta.ttl <= Duration::from_secs(60) && meta.tags == 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or the arguments cannot be a key.
    pub async fn meta(&self) -> Result<Option<Meta>> {
        let raw = self.raw()?;
        if self.core().is_bypassed() {
            return Ok(None);
        }
        let header = self.in_time(raw.peek(self.expected())).await?;
        // After the read: a first request teaches the server's time.
        let now = self.core().store.now();
        Ok(header.map(|header| Meta::of(&header, now)))
    }

    /// Evicts the entry. Tells whether a value was there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", 7);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert!(user.evict().await?);
    /// assert!(!user.evict().await?, "it is gone already");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entry may still be there. [`ErrorKind::Key`](crate::ErrorKind::Key) where the arguments cannot be a key,
    /// or the entry is to be sealed and its cache has no keys for that.
    pub async fn evict(&self) -> Result<bool> {
        self.keyed()?;
        Ok(Evict::new(self.core().clone()).counted(self.counters()).entry(self).run().await? > 0)
    }
}
