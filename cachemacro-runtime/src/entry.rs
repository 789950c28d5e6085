//! The typed handle to one cached value.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::de::IntoDeserializer;
use serde::de::value::Error as DecimalError;

use crate::cache::Cache;
use crate::codec::{CodecFor, codec_id};
use crate::error::{Error, ErrorKind, Result};
use crate::header::{self, Header};
use crate::key::Key;
use crate::lease::{self, Answer, Background, Held, Wanted, acquire_for_put};
use crate::load::MOST_LOOKS;
use crate::lookup::{Expected, Looked, Miss, Target, Usable};
use crate::mode::{Loading, Mode};
use crate::outcome::{Fallible, Outcome, Plain, Value};
use crate::rules::{EntryRules, NoRules, Rules};
use crate::schema::{Fingerprint, fingerprint_of};
use crate::site::Site;
use crate::stats::{Counters, Event, MissReason};
use crate::storing::{finish_set, to_capture};

mod options;

/// A typed, owned handle to one entry: its key, tags, TTL, codec and cache. Cheap to clone.
///
/// It comes from the `entry` function of an attributed function, or from [`Cache::entry`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::Cache;
/// use std::time::Duration;
///
/// let cache = Cache::memory();
/// let price = cache.entry::<u64>("price", &("CHF", 7)).with_ttl(Duration::from_secs(30)).with_tags(["prices"]);
///
/// assert_eq!(price.get_or_load(async || 1200).await, 1200);
/// cache.evict_tags(["prices"]).await?;
/// assert_eq!(price.get().await?, None);
/// # Ok(())
/// # }
/// ```
pub struct Entry<T> {
    target: std::result::Result<Target, NoKey>,
    cache: Cache,
    codec: Option<CodecFor<T>>,
    schema: fn() -> Fingerprint,
    rules: EntryRules<T>,
}

/// The arguments cannot be a key.
#[derive(Debug, Clone)]
struct NoKey {
    why: Arc<str>,
    site: Option<Arc<Counters>>,
}

impl<T> Clone for Entry<T> {
    fn clone(&self) -> Self {
        Self {
            target: self.target.clone(),
            cache: self.cache.clone(),
            codec: self.codec,
            schema: self.schema,
            rules: self.rules,
        }
    }
}

impl<T> fmt::Debug for Entry<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry")
            .field("key", &self.target.as_ref().map(|target| &target.key))
            .finish_non_exhaustive()
    }
}

/// What is known of a stored value without decoding it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use std::time::Duration;
///
/// let user = cachemacro::Cache::memory().entry::<String>("user", &7);
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

/// What [`Entry::lookup`] found.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Lookup};
///
/// match Cache::memory().lookup::<String>("user", &7).await? {
///     Lookup::Hit(name) => println!("{name}"),
///     Lookup::Vacant(vacancy) => assert!(vacancy.fill(&"Ada".to_owned()).await?),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a call and taken apart at once")]
pub enum Lookup<T> {
    /// A value.
    Hit(T),
    /// None, and the right to store one.
    Vacant(Vacancy<T>),
}

/// The right to fill an entry, from [`Entry::lookup`]. It lasts for the entry's `deadline`, kept alive by a task of its
/// own. Dropping it gives it back, so that the next caller may load.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Lookup};
///
/// let cache = Cache::memory();
/// let Lookup::Vacant(vacancy) = cache.lookup::<u32>("n", &1).await? else { panic!("nothing was stored") };
/// drop(vacancy); // the load failed, say
/// let Lookup::Vacant(vacancy) = cache.lookup::<u32>("n", &1).await? else { panic!("nothing was stored") };
/// assert!(vacancy.fill(&7).await?);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Vacancy<T> {
    entry: Entry<T>,
    held: Option<(Held, Background)>,
    /// Taken by force, as a put's: it may have displaced a load, whose value is not to outlive a refused fill.
    forced: bool,
    began: Instant,
}

impl<T: Value> Entry<T> {
    pub(crate) fn new(cache: Cache, site: Option<&'static Site>, key: Result<Key>) -> Self {
        let target = match key {
            Ok(key) => Ok(Target::new(cache.clone(), site, key)),
            Err(error) => {
                let why = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
                Err(NoKey { why: why.into(), site: site.map(|site| cache.site_counters(site)) })
            }
        };
        Self { target, cache, codec: None, schema: fingerprint_of::<T>, rules: EntryRules::none() }
    }

    fn with(mut self, change: impl FnOnce(&mut Target)) -> Self {
        if let Ok(target) = &mut self.target {
            change(target);
        }
        self
    }

    /// The entry's key, without the namespace; `None` where the arguments cannot be a key.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let user = cachemacro::Cache::memory().entry::<String>("user", &("eu", 7));
    /// assert_eq!(user.key().map(|key| key.as_str()), Some("user:eu:7"));
    /// ```
    pub fn key(&self) -> Option<&Key> {
        self.target.as_ref().ok().map(|target| &target.key)
    }

    pub(crate) fn target(&self) -> Result<&Target> {
        let target = self.keyed()?;
        if target.lacks_tag { Err(lacks_tag()) } else { Ok(target) }
    }

    /// The target of what only needs the key.
    pub(crate) fn keyed(&self) -> Result<&Target> {
        self.target.as_ref().map_err(|no_key| {
            Error::new(ErrorKind::Key, "the arguments cannot be a key").with_source(no_key.why.to_string())
        })
    }

    /// Counts that there is no target.
    pub(crate) fn failed(&self, error: &Error) {
        self.cache.core().failed_at(self.counters().as_deref(), error);
    }

    /// The counters of the annotated function.
    fn counters(&self) -> Option<Arc<Counters>> {
        match &self.target {
            Ok(target) => target.site.as_ref().map(|(_, counters)| counters.clone()),
            Err(no_key) => no_key.site.clone(),
        }
    }

    /// The target, unless caching is off for this call.
    pub(crate) fn active(&self) -> Option<&Target> {
        if self.cache.is_bypassed() {
            return None;
        }
        self.target().inspect_err(|error| self.failed(error)).ok()
    }

    pub(crate) fn cache(&self) -> &Cache {
        &self.cache
    }

    pub(crate) fn rules(&self) -> &EntryRules<T> {
        &self.rules
    }

    /// Whether values may name tags, by the call's rules or by the entry's.
    pub(crate) fn has_late_tags(&self, rules: &impl Rules<T>) -> bool {
        rules.has_tags() || self.rules.has_tags()
    }

    pub(crate) fn codec(&self) -> CodecFor<T> {
        self.codec.unwrap_or_else(|| CodecFor::builtin(self.cache.core().settings.codec))
    }

    /// The part of the value's type that no change of shape can be seen in, unless `version` says that its author
    /// looks after it.
    pub(crate) fn unseen(&self) -> Option<&'static str> {
        let looked_after = self.target.as_ref().is_ok_and(|target| target.policy.version != 0);
        if looked_after { None } else { (self.schema)().unseen() }
    }

    pub(crate) fn schema_hash(&self) -> u64 {
        let version = self.target.as_ref().map_or(0, |target| target.policy.version);
        (self.schema)().mix(version)
    }

    pub(crate) fn expected(&self) -> Expected {
        Expected {
            codec: self.codec().id(),
            error_codec: codec_id(self.cache.core().settings.codec),
            schema: self.schema_hash(),
            max_age: Mode::current().max_age(),
        }
    }

    /// What is stored, as the function would have returned it; `None` where that cannot be done.
    pub(crate) fn revive<R, O: Outcome<R, Value = T>>(
        &self,
        target: &Target,
        outcome: O,
        usable: &Usable,
    ) -> Option<R> {
        let settings = &target.cache.core().settings;
        if usable.header.has(header::NONE) {
            return outcome.none();
        }
        if usable.header.has(header::ERROR) {
            return outcome.decode_err(&usable.payload(settings.max_value)?, settings.codec);
        }
        self.decode(usable).map(|value| outcome.wrap(value))
    }

    pub(crate) fn decode(&self, usable: &Usable) -> Option<T> {
        if !is_value(&usable.header) {
            return None;
        }
        let payload = usable.payload(self.cache.core().settings.max_value)?;
        if usable.header.codec == header::DECIMAL {
            let number: i64 = std::str::from_utf8(&payload).ok()?.parse().ok()?;
            return T::deserialize(IntoDeserializer::<DecimalError>::into_deserializer(number)).ok();
        }
        self.codec().decode(&payload).inspect_err(|error| self.failed(error)).ok()
    }

    /// The value, if it is there and fresh; a stored `None` or `Err` is not a value.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", &7);
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
        let target = self.target()?;
        if self.cache.is_bypassed() {
            return Ok(None);
        }
        if Mode::current() == Mode::Refresh {
            target.record(Event::Miss(MissReason::TooOld));
            return Ok(None);
        }
        match target.look(self.expected()).await? {
            Looked::Usable(usable) => {
                let value = self.decode(&usable);
                // That there is none was known.
                let known = value.is_some() || !is_value(&usable.header);
                target.record(if known { Event::Hit } else { Event::Miss(MissReason::Undecodable) });
                Ok(value)
            }
            Looked::Miss(miss) => {
                target.record(Event::Miss(miss.reason));
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
    /// let answer = cachemacro::Cache::memory().entry::<u32>("answer", &());
    /// assert_eq!(answer.get_or_load(async || 42).await, 42);
    /// assert_eq!(answer.get_or_load(async || unreachable!("it is stored")).await, 42);
    /// # }
    /// ```
    pub async fn get_or_load<F: Future<Output = T>>(&self, load: impl FnOnce() -> F) -> T {
        let body = std::pin::pin!(async move { load().await });
        crate::load::load(Some(self.clone()), Plain, NoRules, body).await
    }

    /// The same with a load that can fail. An `Err` is returned, not stored, and not shared: callers that wait for a
    /// load that fails load side by side.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// let port = cachemacro::Cache::memory().entry::<u16>("port", &"http");
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
        crate::load::load(Some(self.clone()), Fallible, NoRules, body).await
    }

    /// The value, or the right to store one: for cache-aside by hand. Waits while another caller holds the right,
    /// at most the entry's `wait`; then the vacancy can be filled in name only.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let entry = Cache::memory().entry::<u32>("square", &12);
    /// let square = match entry.lookup().await? {
    ///     Lookup::Hit(square) => square,
    ///     Lookup::Vacant(vacancy) => {
    ///         let square = 12 * 12;
    ///         assert!(vacancy.fill(&square).await?);
    ///         square
    ///     }
    /// };
    /// assert_eq!(entry.get().await?, Some(square));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the entry could not be read, or the arguments cannot be a key.
    pub async fn lookup(&self) -> Result<Lookup<T>> {
        let target = self.target()?;
        let began = Instant::now();
        let vacancy = |held: Option<Held>, forced| {
            let held = held.map(|held| {
                let background = held.keep_in_background(target.deadline());
                (held, background)
            });
            Lookup::Vacant(Vacancy { entry: self.clone(), held, forced, began })
        };
        if self.cache.is_bypassed() {
            return Ok(vacancy(None, false));
        }
        let own = || Loading::contains(target.cache.core().id, &target.full);
        if Mode::current() == Mode::Refresh {
            target.record(Event::Miss(MissReason::TooOld));
            let held = if own() { None } else { acquire_for_put(target, self.has_late_tags(&NoRules)).await };
            return Ok(vacancy(held, true));
        }
        let mut pause = lease::Pauses::new(target.wait());
        let mut looks = 0;
        loop {
            let Miss { reason, seen } = match target.look(self.expected()).await? {
                Looked::Usable(usable) => match self.decode(&usable) {
                    Some(value) => {
                        target.record(Event::Hit);
                        return Ok(Lookup::Hit(value));
                    }
                    None => Miss { reason: MissReason::Undecodable, seen: usable.header.fill_id },
                },
                Looked::Miss(miss) => miss,
            };
            let vacant = |held| {
                target.record(Event::Miss(reason));
                vacancy(held, false)
            };
            if own() {
                // This task is loading or putting this very key: it would wait for itself.
                return Ok(vacant(None));
            }
            let capture = to_capture(target, self.has_late_tags(&NoRules));
            match lease::acquire(target, Wanted::load(target, seen, &capture)).await {
                Answer::Held(held) => return Ok(vacant(Some(held))),
                Answer::Found(..) if looks < MOST_LOOKS => looks += 1,
                Answer::Found(..) | Answer::Failed => return Ok(vacant(None)),
                Answer::Busy(remaining) => {
                    if !pause.wait(target, remaining).await {
                        return Ok(vacant(None));
                    }
                }
            }
        }
    }

    /// Stores a value, whatever was there; see [`Cache::set`]. A value that is not to be stored (TTL of zero, or
    /// the rules say so) removes what was there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", &7);
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
        let target = self.keyed()?;
        // Outside the cache nothing is stored, but what is there gets outdated all the same.
        let prepared =
            if self.cache.is_bypassed() { Ok(None) } else { self.try_prepare(target, &NoRules, value) };
        finish_set(target, prepared).await
    }

    /// Whether a fresh value is there, without decoding it; a stored `None` or `Err` is not a value.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", &7);
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
        let target = self.target()?;
        if self.cache.is_bypassed() {
            return Ok(false);
        }
        Ok(target.peek(self.expected()).await?.is_some_and(|header| is_value(&header)))
    }

    /// How long what is stored stays fresh, to the millisecond; `None` where there is nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use std::time::Duration;
    ///
    /// let user = cachemacro::Cache::memory().entry::<String>("user", &7);
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

    /// Age, expiry and size of what is stored, be it a value, a `None` or an `Err`, without reading it whole; `None`
    /// where there is nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use std::time::Duration;
    ///
    /// let cache = cachemacro::Cache::memory();
    /// let user = cache.entry::<String>("user", &7).with_ttl(Duration::from_secs(60)).with_tags(["users"]);
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
        let target = self.target()?;
        if self.cache.is_bypassed() {
            return Ok(None);
        }
        let header = target.peek(self.expected()).await?;
        // Now, and by a server's time: a first request teaches it.
        let now = self.cache.core().store.now();
        Ok(header.map(|header| Meta {
            age: now.since(header.stored_at),
            ttl: header.fresh_until.since(now),
            load_time: Duration::from_millis(header.load_millis.into()),
            tags: header.stamps.into(),
            size: header.payload as usize,
        }))
    }

    /// Removes the entry. Tells whether a value was there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", &7);
    /// user.set(&"Ada".to_owned()).await?;
    /// assert!(user.delete().await?);
    /// assert!(!user.delete().await?, "it is gone already");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: the entry may still be there.
    pub async fn delete(&self) -> Result<bool> {
        self.keyed()?;
        Ok(self.cache.evict().counted(self.counters()).entry(self).run().await? > 0)
    }
}

/// Why an entry is not stored under the wrong tag.
pub(crate) fn lacks_tag() -> Error {
    Error::new(ErrorKind::Key, "one of the entry's tags could not be built")
}

/// Whether it says neither `None` nor `Err`.
fn is_value(header: &Header) -> bool {
    !header.has(header::NONE) && !header.has(header::ERROR)
}

impl<T: Value> Vacancy<T> {
    /// Stores the value, unless an evict, a put or another loader came between. Tells whether it was stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let cache = Cache::memory();
    /// let Lookup::Vacant(vacancy) = cache.lookup::<u32>("n", &1).await? else { panic!("nothing was stored") };
    /// let loaded = 7; // as it was before somebody
    /// cache.delete("n", &1).await?; // changed it
    /// assert!(!vacancy.fill(&loaded).await?, "refused: it would be outdated");
    /// assert_eq!(cache.get::<u32>("n", &1).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the value cannot be encoded or is too large.
    pub async fn fill(self, value: &T) -> Result<bool> {
        let target = self.entry.target()?;
        let prepared = self.entry.try_prepare(target, &NoRules, value);
        let prepared = prepared.inspect_err(|error| target.failed(error))?;
        let (Some((held, _background)), Some(prepared)) = (self.held, prepared) else { return Ok(false) };
        Ok(prepared.fill(target, held, self.began.elapsed(), self.forced, false).await.is_stored())
    }
}
