//! Looking at entries whose types are not known here: for tools. What a read makes of an entry is decided by what decides it for
//! every other read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::api::cache::Cache;
use crate::engine::core::Core;
use crate::engine::evict::Attempt;
use crate::engine::raw::RawEntry;
use crate::engine::read::{Expected, Headed, Looked, headed};
use crate::engine::targets::Targets;
use crate::format::header::{self, Header, Stamp};
#[cfg(feature = "reports")]
use crate::format::schema::Layout;
use crate::format::stamps::{self, keys_of_hash, version_key};
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::observe::reason::MissReason;
use crate::observe::report::LIFE_MILLIS;
#[cfg(feature = "reports")]
use crate::observe::report::MOST_BYTES;
use crate::policy::freshness::{Age, Freshness};
use crate::store::{Cursor, Documents, Inspect, Page, Raw, Version};

/// How many tags a head brings along at first.
const HEAD_STAMPS: usize = 32;

/// How many lines a log keeps.
const MOST_LOGGED: usize = 1_000;

/// How many versions of tags are read in one round trip.
const VERSIONS_AT_ONCE: usize = 500;

/// Looks into a cache's store, from [`Cache::inspector`]. Reads only, but for what is called evict.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, inspect::Expects};
///
/// let cache = Cache::memory();
/// cache.entry::<u64>("user", 7).with_tags(["users"]).set(&42).await?;
/// let inspector = cache.inspector()?;
/// assert_eq!(inspector.look("user:7", &Expects::new()).await?.reason, None, "a hit");
///
/// cache.evict_tags(["users"]).await?;
/// let look = inspector.look("user:7", &Expects::new()).await?;
/// assert_eq!(look.reason.map(|reason| reason.as_str()), Some("tag_evicted"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Inspector {
    core: Arc<Core>,
}

/// What a reader wants of an entry. What is not said is taken to be as the entry has it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, MissReason, inspect::Expects};
///
/// let cache = Cache::memory();
/// cache.set("user", 7, &42).await?;
/// let other = Expects::new().schema(1);
/// assert_eq!(cache.inspector()?.look("user:7", &other).await?.reason, Some(MissReason::OtherSchema));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Default)]
#[must_use = "it says what a look expects"]
pub struct Expects {
    codec: Option<u8>,
    schema: Option<u64>,
    tags: Vec<String>,
    stale: Duration,
    refresh: Option<u8>,
}

/// What a look at one entry found.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, MissReason, inspect::Expects};
///
/// let look = Cache::memory().inspector()?.look("user:7", &Expects::new()).await?;
/// assert_eq!((look.reason, look.length), (Some(MissReason::Absent), 0));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Look {
    /// Why the next read is a miss; `None`: it is a hit. Whether the value's type can be decoded is not known here.
    pub reason: Option<MissReason>,
    /// Of a hit: `fresh`, `due`, `stale`, or `spare`, which serves where a load fails.
    pub age: Option<&'static str>,
    /// The entry's header, where it has one.
    pub header: Option<Header>,
    /// How long the key has left; `None`: it does not expire.
    pub left: Option<Duration>,
    /// How many bytes are under the key.
    pub length: usize,
    /// The entry's tags. Of a pending one: what the holder of the lease captured.
    pub tags: Vec<Stamped>,
    /// What the codec wrote, where the entry is whole and can be unpacked.
    pub payload: Option<Bytes>,
    /// The store's time at the look.
    pub now: Timestamp,
}

/// What begins an entry, and what a read makes of it. Of the payload only the length is known.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, inspect::Expects};
///
/// let cache = Cache::memory();
/// cache.set("user", 7, &"Ada".to_owned()).await?;
/// let heads = cache.inspector()?.heads(&["user:7".to_owned()], &Expects::new()).await?;
/// assert!(heads[0].as_ref().is_some_and(|head| head.length > 96 && head.age == Some("fresh")));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Head {
    /// Why the next read is a miss; `None`: it is a hit, if the payload is whole.
    pub reason: Option<MissReason>,
    /// Of a hit: `fresh`, `due`, `stale`, or `spare`, which serves where a load fails.
    pub age: Option<&'static str>,
    /// The header, where there is one.
    pub header: Option<Header>,
    /// How long the key has left; `None`: it does not expire.
    pub left: Option<Duration>,
    /// How many bytes are under the key.
    pub length: usize,
    /// The entry's tags. Of a pending one: what the holder of the lease captured.
    pub tags: Vec<Stamped>,
}

/// One tag of an entry.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, inspect::{Expects, tag_hash}};
///
/// let cache = Cache::memory();
/// cache.entry::<u64>("user", 7).with_tags(["users"]).set(&42).await?;
/// let look = cache.inspector()?.look("user:7", &Expects::new()).await?;
/// assert_eq!((look.tags[0].tag, look.tags[0].holds), (tag_hash("users"), true));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamped {
    /// The tag's hash.
    pub tag: u64,
    /// Whether the tag was not evicted since, and its version is still there.
    pub holds: bool,
}

/// The hash by which entries name a tag.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::inspect::tag_hash;
///
/// assert_ne!(tag_hash("users"), tag_hash("orgs"));
/// ```
pub fn tag_hash(tag: &str) -> u64 {
    stamps::tag_hash(tag)
}

impl Expects {
    /// Nothing in particular.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let anything = cachemacro::inspect::Expects::new();
    /// # drop(anything);
    /// ```
    pub fn new() -> Self {
        Self::default()
    }

    /// A value that the codec of this id wrote.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let bincode = cachemacro::inspect::Expects::new().codec(1);
    /// # drop(bincode);
    /// ```
    pub fn codec(mut self, codec: u8) -> Self {
        self.codec = Some(codec);
        self
    }

    /// A value of the type with this fingerprint.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{inspect::Expects, schema::fingerprint_of};
    ///
    /// let text = Expects::new().schema(fingerprint_of::<String>().hash());
    /// # drop(text);
    /// ```
    pub fn schema(mut self, schema: u64) -> Self {
        self.schema = Some(schema);
        self
    }

    /// An entry that carries these tags.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let tagged = cachemacro::inspect::Expects::new().tags(["users"]);
    /// # drop(tagged);
    /// ```
    pub fn tags<S: Into<String>>(mut self, tags: impl IntoIterator<Item = S>) -> Self {
        self.tags = tags.into_iter().map(Into::into).collect();
        self
    }

    /// How long past its TTL a value may serve.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use std::time::Duration;
    ///
    /// let stale = cachemacro::inspect::Expects::new().stale(Duration::from_secs(60));
    /// # drop(stale);
    /// ```
    pub const fn stale(mut self, stale: Duration) -> Self {
        self.stale = stale;
        self
    }

    /// The part of its TTL, in percent, after which a value is loaded anew by one caller though it is fresh.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let due = cachemacro::inspect::Expects::new().refresh(80);
    /// # drop(due);
    /// ```
    pub const fn refresh(mut self, percent: u8) -> Self {
        self.refresh = Some(percent);
        self
    }
}

impl Cache {
    /// Looks into the store, whatever the types of what is in it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn main() -> cachemacro::Result<()> {
    /// let inspector = cachemacro::Cache::memory().inspector()?;
    /// # drop(inspector);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the store cannot be looked into.
    pub fn inspector(&self) -> Result<Inspector> {
        let inspector = Inspector { core: self.core().clone() };
        inspector.store()?;
        Ok(inspector)
    }
}

impl Inspector {
    fn store(&self) -> Result<&dyn Inspect> {
        let unknown = || Error::new(ErrorKind::Config, "the store does not show what is in it");
        self.core.store.inspect().ok_or_else(unknown)
    }

    /// One step through the keys of the namespace that begin with `prefix`, without the namespace. From the
    /// [first](Cursor::default) cursor to where there is no next one, every key is told that was there all the time. On a cluster nodes are gone
    /// through one after the other: a key whose slot moves meanwhile may be told twice, or not at all.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, store::Cursor};
    ///
    /// let cache = Cache::memory();
    /// cache.set("user", 7, &42).await?;
    /// let (inspector, mut found, mut next) = (cache.inspector()?, Vec::new(), Some(Cursor::default()));
    /// while let Some(cursor) = next {
    ///     let page = inspector.keys("user:", &cursor).await?;
    ///     found.extend(page.keys);
    ///     next = page.next;
    /// }
    /// assert_eq!(found, ["user:7"]);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn keys(&self, prefix: &str, cursor: &Cursor) -> Result<Page> {
        let full = self.core.full_text(prefix);
        let mut page = self.store()?.scan(&full, cursor).await?;
        let namespace = full.len() - prefix.len();
        for key in &mut page.keys {
            *key = key.slice(namespace.min(key.len())..);
        }
        // Without a namespace, versions of tags lie beside the entries: those begin with no brace.
        page.keys.retain(|key| !key.starts_with(b"{"));
        Ok(page)
    }

    /// What begins the entries under these keys, as [`Key::as_str`] has them, without their values, and what reads that want this make
    /// of them; `None` where there is nothing. A round trip for all entries and one for their tags, unless there are very many.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, MissReason, inspect::Expects};
    ///
    /// let cache = Cache::memory();
    /// cache.entry::<u64>("user", 7).with_tags(["users"]).set(&42).await?;
    /// cache.evict_tags(["users"]).await?;
    /// let keys = ["user:7".to_owned(), "user:8".to_owned()];
    /// let heads = cache.inspector()?.heads(&keys, &Expects::new()).await?;
    /// assert_eq!(heads[0].as_ref().and_then(|head| head.reason), Some(MissReason::TagEvicted));
    /// assert!(heads[1].is_none());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn heads(&self, keys: &[String], expects: &Expects) -> Result<Vec<Option<Head>>> {
        let full: Vec<String> = keys.iter().map(|key| self.core.full_name(key)).collect();
        let bytes: Vec<&[u8]> = full.iter().map(String::as_bytes).collect();
        let mut found = self.store()?.heads(&bytes, end_of(HEAD_STAMPS)).await?;
        for (key, found) in bytes.iter().zip(&mut found) {
            let stamps = found.as_ref().map_or(0, |(raw, _)| stamps_of(&raw.bytes).1);
            if stamps > HEAD_STAMPS {
                *found = self.store()?.heads(&[key], end_of(stamps)).await?.pop().flatten();
            }
        }
        let mut tags: Vec<u64> = found
            .iter()
            .flatten()
            .flat_map(|(raw, _)| stamps_of(&raw.bytes).0)
            .map(|stamp| stamp.tag)
            .collect();
        tags.extend(expects.tags.iter().map(|tag| tag_hash(tag)));
        let versions = self.versions_of(tags).await?;
        let mut heads = Vec::with_capacity(keys.len());
        for (key, found) in keys.iter().zip(found) {
            heads.push(match found {
                Some((raw, length)) => Some(self.head(key, &raw, length, expects, &versions).await?),
                None => None,
            });
        }
        Ok(heads)
    }

    async fn head(
        &self,
        key: &str,
        raw: &Raw,
        length: usize,
        expects: &Expects,
        versions: &HashMap<u64, Option<Version>>,
    ) -> Result<Head> {
        let entry = self.entry(key, expects);
        let header = Header::parse(&raw.bytes).ok();
        let stamps: Vec<Stamp> = stamps_of(&raw.bytes).0.collect();
        let version = |tag: u64| versions.get(&tag).copied().flatten();
        let stamped =
            |stamp: &Stamp| Stamped { tag: stamp.tag, holds: version(stamp.tag) == Some(stamp.version) };
        let tags = stamps.iter().map(stamped).collect();
        let now = self.core.store.now();
        let (reason, age) = match headed(
            &raw.bytes,
            length,
            &entry.full,
            now,
            expected(header, expects, entry.is_sealed()),
        ) {
            Err(reason) => (Some(reason), None),
            Ok(Headed::Torn) => {
                let look = self.look(key, expects).await?;
                (look.reason, look.age)
            }
            Ok(Headed::Usable(_, age)) => {
                let mut named = entry.tags;
                named.extend(stamps.iter().map(|stamp| version_key(self.core.namespace(), stamp.tag)));
                let held: Vec<_> = named.iter().map(|key| version(key.hash)).collect();
                match stamps::compare(stamps.iter().copied(), &named, named.len(), &held) {
                    stamps::Stamped::Valid => (None, Some(word(age))),
                    stamps::Stamped::Lacking => (Some(MissReason::TagLacking), None),
                    _ => (Some(MissReason::TagEvicted), None),
                }
            }
        };
        Ok(Head { reason, age, header, left: raw.left, length, tags })
    }

    /// The versions of these tags; of each once.
    async fn versions_of(&self, mut tags: Vec<u64>) -> Result<HashMap<u64, Option<Version>>> {
        tags.sort_unstable();
        tags.dedup();
        let mut all = HashMap::with_capacity(tags.len());
        for tags in tags.chunks(VERSIONS_AT_ONCE) {
            let keys: Vec<_> = tags.iter().map(|tag| version_key(self.core.namespace(), *tag)).collect();
            let versions = self.core.store.versions(&keys).await?;
            all.extend(tags.iter().copied().zip(versions.iter().copied()));
        }
        Ok(all)
    }

    /// The entry as a reader has it that wants this.
    fn entry(&self, key: &str, expects: &Expects) -> RawEntry {
        let mut entry = RawEntry::new(self.core.clone(), None, Key::of_text(key.to_owned()));
        for tag in &expects.tags {
            entry.tag(tag);
        }
        entry
    }

    /// What the next read of the entry under `key`, as [`Key::as_str`] has it, finds.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, inspect::Expects};
    ///
    /// let cache = Cache::memory();
    /// cache.set("user", 7, &"Ada".to_owned()).await?;
    /// let look = cache.inspector()?.look("user:7", &Expects::new()).await?;
    /// assert_eq!(look.age, Some("fresh"));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn look(&self, key: &str, expects: &Expects) -> Result<Look> {
        let core = &self.core;
        let full = core.full_name(key);
        let now = core.store.time().await?;
        let raw = self.store()?.raw(full.as_bytes()).await?;
        let (bytes, left) = raw.map(|raw| (raw.bytes, raw.left)).unzip();
        let header = bytes.as_deref().and_then(|bytes| Header::parse(bytes).ok());
        let entry = self.entry(key, expects);
        let expected = expected(header, expects, entry.is_sealed());
        let looked = entry.found(bytes.clone(), &self.versions(&entry).await?, expected).await?;
        let (reason, age, payload) = match &looked {
            Looked::Miss(miss) => (Some(miss.reason), None, None),
            Looked::Usable(usable) => match usable.payload(core.settings.max_value) {
                Some(payload) => (None, Some(word(usable.age)), Some(payload.into_owned().into())),
                None => (Some(MissReason::Undecodable), None, None),
            },
        };
        let tags = match &bytes {
            Some(bytes) => self.stamped(bytes).await?,
            None => Vec::new(),
        };
        let length = bytes.map_or(0, |bytes| bytes.len());
        Ok(Look { reason, age, header, left: left.flatten(), length, tags, payload, now })
    }

    async fn versions(&self, entry: &RawEntry) -> Result<Vec<Option<Version>>> {
        Ok(self.core.store.versions(&entry.tags).await?.iter().copied().collect())
    }

    /// The tags of these bytes, and whether each holds.
    async fn stamped(&self, bytes: &Bytes) -> Result<Vec<Stamped>> {
        let stamps: Vec<Stamp> = stamps_of(bytes).0.collect();
        let keys: Vec<_> = stamps.iter().map(|stamp| version_key(self.core.namespace(), stamp.tag)).collect();
        let versions = self.core.store.versions(&keys).await?;
        let held = stamps.iter().zip(versions.iter());
        Ok(held
            .map(|(stamp, version)| Stamped { tag: stamp.tag, holds: *version == Some(stamp.version) })
            .collect())
    }

    /// Evicts the entries under these keys, as [`Key::as_str`] has them, and what carries a tag of one of these hashes. Tells how
    /// many of the keys there were.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::Cache;
    ///
    /// let cache = Cache::memory();
    /// cache.set("user", 7, &42).await?;
    /// assert_eq!(cache.inspector()?.evict(["user:7"], []).await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed: some of them may still be there.
    pub async fn evict<'a>(
        &self,
        keys: impl IntoIterator<Item = &'a str>,
        tags: impl IntoIterator<Item = u64>,
    ) -> Result<u64> {
        let keys = keys.into_iter().map(|key| self.core.full_name(key)).collect();
        let tags = tags.into_iter().map(|tag| keys_of_hash(self.core.namespace(), tag));
        let targets = Targets { keys, tags: tags.collect(), ..Targets::default() };
        self.core.remove(targets.parts(), None, Attempt::Final).await
    }

    /// The key of this text as the store learns it, without the namespace: hidden where entries under it are sealed. Whatever takes a key here
    /// takes it in either form.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn main() -> cachemacro::Result<()> {
    /// assert_eq!(cachemacro::Cache::memory().inspector()?.name_of("user:7"), "user:7", "nothing is sealed");
    /// # Ok(())
    /// # }
    /// ```
    pub fn name_of(&self, key: &str) -> String {
        self.core.settings.seals.name(key).into_owned()
    }

    /// Whether the cache has keys that entries are sealed with.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn main() -> cachemacro::Result<()> {
    /// assert!(!cachemacro::Cache::memory().inspector()?.has_seals());
    /// # Ok(())
    /// # }
    /// ```
    pub fn has_seals(&self) -> bool {
        self.core.settings.seals.are_any()
    }

    /// What the server says of itself, as text of its own: `INFO` on Redis and Valkey.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// assert_eq!(cachemacro::Cache::memory().inspector()?.info().await?, None, "there is no server");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn info(&self) -> Result<Option<String>> {
        self.store()?.info().await
    }

    /// Whether a look leaves alone what the server knows of when entries were used, by which it makes room. `CLIENT NO-TOUCH` does that, from
    /// Redis 7.2 on, where the user has the right to it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// assert!(!cachemacro::Cache::memory().inspector()?.leaves_use_alone().await?, "it is not known of memory");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn leaves_use_alone(&self) -> Result<bool> {
        self.store()?.leaves_use_alone().await
    }

    /// The store's time, asked now.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// assert!(cachemacro::Cache::memory().inspector()?.time().await?.millis() > 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn time(&self) -> Result<Timestamp> {
        self.core.store.time().await
    }

    /// Adds a line to the log of the namespace, which keeps the last 1,000 of them: who did what by hand.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let inspector = cachemacro::Cache::memory().inspector()?;
    /// assert!(inspector.log("flushed").await.is_err(), "in memory none is kept");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed or refused. [`ErrorKind::Config`] where it keeps no log, or there is no namespace.
    pub async fn log(&self, line: impl Into<Bytes>) -> Result<()> {
        match self.core.store.documents().filter(|_| !self.core.namespace().is_empty()) {
            Some(documents) => documents.log(self.core.namespace(), line.into(), MOST_LOGGED).await,
            None => Err(Error::new(ErrorKind::Config, "no log is kept here")),
        }
    }

    /// The lines of that log, the newest first, each with the store's time.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// assert!(cachemacro::Cache::memory().inspector()?.logged().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed or refused.
    pub async fn logged(&self) -> Result<Vec<(Timestamp, Bytes)>> {
        match self.core.store.documents() {
            Some(documents) => documents.logged(self.core.namespace(), MOST_LOGGED).await,
            None => Ok(Vec::new()),
        }
    }

    /// What values of this [schema](crate::header::Header#structfield.schema) look like in compact codecs, as a process that stored one told.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// assert_eq!(cachemacro::Cache::memory().inspector()?.layout(7).await?, None, "in memory nobody tells");
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    #[cfg(feature = "reports")]
    pub async fn layout(&self, schema: u64) -> Result<Option<Layout>> {
        let Some(documents) = self.core.store.documents() else { return Ok(None) };
        let told = documents.described(self.core.namespace(), &format!("{schema:016x}")).await?;
        // Whoever may write there may write anything.
        let layout = told.filter(|told| told.len() <= MOST_BYTES);
        Ok(layout.and_then(|layout| serde_json::from_slice(&layout).ok()))
    }

    /// Names of tags, where processes [leave them](crate::CacheBuilder::tag_names) there. Whoever may write there may write anything: a name
    /// is a tag's where its [hash](tag_hash) is.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// assert!(cachemacro::Cache::memory().inspector()?.tag_names().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    #[cfg(feature = "reports")]
    pub async fn tag_names(&self) -> Result<Vec<String>> {
        let Some(documents) = self.core.store.documents() else { return Ok(Vec::new()) };
        let names = documents.tag_names(self.core.namespace()).await?;
        Ok(names.into_iter().filter_map(|name| String::from_utf8(name.into()).ok()).collect())
    }

    /// What each process of the namespace left there lately: [reports](crate::report::Report) as JSON.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// assert!(cachemacro::Cache::memory().inspector()?.reports().await?.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn reports(&self) -> Result<Vec<Bytes>> {
        match self.core.store.documents() {
            Some(documents) => published(documents, self.core.namespace()).await,
            None => Ok(Vec::new()),
        }
    }
}

/// Where the stamps of a head end that has so many.
const fn end_of(stamps: usize) -> usize {
    header::FIXED + stamps * header::STAMP
}

/// The stamps among the first bytes of an entry, as far as they came along, and how many the entry has.
fn stamps_of(bytes: &Bytes) -> (impl Iterator<Item = Stamp> + '_, usize) {
    let count = Header::parse(bytes).map_or(0, |header| usize::from(header.stamps));
    let stamps = bytes.get(header::FIXED..end_of(count).min(bytes.len()));
    (header::read_stamps(stamps.unwrap_or_default()), count)
}

async fn published(documents: &dyn Documents, namespace: &str) -> Result<Vec<Bytes>> {
    documents.published(namespace, Duration::from_millis(LIFE_MILLIS)).await
}

const fn word(age: Age) -> &'static str {
    match age {
        Age::Fresh => "fresh",
        Age::Due => "due",
        Age::Stale => "stale",
        Age::Spare => "spare",
    }
}

/// What a reader expects that wants this.
fn expected(header: Option<Header>, expects: &Expects, sealed: bool) -> Expected {
    let codec = header.map_or(0, |header| header.codec);
    Expected {
        codec: expects.codec.unwrap_or(codec),
        // Errors are stored by the codec of the services' caches, which is not known here.
        error_codec: codec,
        schema: expects.schema.or(header.map(|header| header.schema)).unwrap_or_default(),
        max_age: None,
        freshness: Freshness { stale: expects.stale, max_age: None, refresh: expects.refresh },
        spare: false,
        sealed,
    }
}
