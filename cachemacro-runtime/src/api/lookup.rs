//! Cache-aside by hand: a hit, or the right to fill.

use std::fmt;
use std::ops::Deref;
use std::time::Instant;

use crate::api::entry::Meta;
use crate::calls::lookup::{Sought, Vacant, find, lookup};
use crate::engine::entry::Entry;
use crate::engine::fill::{Check, finish_put};
use crate::engine::lease::{Background, Held};
use crate::engine::prepare::{MOST_INHERITED, Prepared};
use crate::engine::read::Found;
use crate::engine::spending;
use crate::format::header::Header;
use crate::format::stamps::tag_key;
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::typed::Tag;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::gathered::Gathered;
use crate::policy::outcome::Value;
use crate::policy::rules::{NoCallRules, NoRules};
use crate::policy::ttl::Ttl;
use crate::store::OnRefusal;

/// What [`Entry::lookup`] found.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Lookup};
///
/// match Cache::memory().lookup::<String>("user", 7).await? {
///     Lookup::Hit(name) => println!("{}, stored {:?} ago", *name, name.meta().age),
///     Lookup::Vacant(vacancy) => assert!(vacancy.fill(&"Ada".to_owned()).await?.is_stored()),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[expect(clippy::large_enum_variant, reason = "made once a call and taken apart at once")]
pub enum Lookup<T> {
    /// A value.
    Hit(Hit<T>),
    /// No value, and the right to store one.
    Vacant(Vacancy<T>),
}

/// A value that [`Entry::lookup`] found, and what is known of it, from one read. It derefs to the value.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Lookup};
///
/// let cache = Cache::memory();
/// cache.set("user", 7, &"Ada".to_owned()).await?;
/// let Lookup::Hit(name) = cache.lookup::<String>("user", 7).await? else { panic!("it was stored") };
/// assert_eq!(name.len(), 3);
/// assert!(name.meta().age < name.meta().ttl);
/// assert_eq!(name.into_value(), "Ada");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Hit<T> {
    value: T,
    meta: Meta,
}

impl<T> Hit<T> {
    /// As seen at `now` of the server's clock.
    fn new(found: Found<T>, now: Timestamp) -> Self {
        Self { value: found.value, meta: Meta::of(&found.header, now) }
    }

    /// The value.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let cache = Cache::memory();
    /// cache.set("n", 1, &7_u32).await?;
    /// let Lookup::Hit(n) = cache.lookup::<u32>("n", 1).await? else { panic!("it was stored") };
    /// assert_eq!(n.into_value(), 7);
    /// # Ok(())
    /// # }
    /// ```
    pub fn into_value(self) -> T {
        self.value
    }

    /// Age, expiry and size of the value, as of the read.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let page = Cache::memory().entry::<u32>("page", 1).with_tags(["pages"]);
    /// page.set(&7).await?;
    /// let Lookup::Hit(found) = page.lookup().await? else { panic!("it was stored") };
    /// assert_eq!((found.meta().tags, found.meta().ttl > found.meta().age), (1, true));
    /// # Ok(())
    /// # }
    /// ```
    pub const fn meta(&self) -> &Meta {
        &self.meta
    }
}

impl<T> Deref for Hit<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

/// What became of the value that a [`Vacancy`] was filled with.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Filled, Lookup};
///
/// let cache = Cache::memory();
/// let Lookup::Vacant(vacancy) = cache.lookup::<u32>("n", 1).await? else { panic!("nothing was stored") };
/// assert_eq!(vacancy.fill(&7).await?, Filled::Stored);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[must_use = "a value that was refused is not in the cache"]
pub enum Filled {
    /// The value was stored.
    Stored,
    /// The value was not stored: an evict, a put or another load came between, the vacancy held no lease, the entry's TTL or
    /// rules forbid it, the task has written in a [`collect`](crate::Cache::collect), or the store failed. The value is as good as any other to its caller.
    Refused,
}

impl Filled {
    /// Whether the value was stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Filled;
    ///
    /// assert!(Filled::Stored.is_stored() && !Filled::Refused.is_stored());
    /// ```
    pub const fn is_stored(self) -> bool {
        matches!(self, Self::Stored)
    }
}

/// The right to fill an entry, from [`Entry::lookup`]. It lasts for the entry's `lease_limit`, kept alive by a task of its
/// own. Dropping it gives the right back, so that the next caller may load.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Lookup};
///
/// let cache = Cache::memory();
/// let Lookup::Vacant(vacancy) = cache.lookup::<u32>("n", 1).await? else { panic!("nothing was stored") };
/// drop(vacancy); // the load failed, say
/// let Lookup::Vacant(vacancy) = cache.lookup::<u32>("n", 1).await? else { panic!("nothing was stored") };
/// assert!(vacancy.fill(&7).await?.is_stored());
/// # Ok(())
/// # }
/// ```
#[must_use = "a vacancy that is dropped gives the right to fill back"]
pub struct Vacancy<T> {
    entry: Entry<T>,
    held: Option<(Held, Background)>,
    on_refusal: OnRefusal,
    reason: Option<MissReason>,
    old: Option<T>,
    began: Instant,
}

impl<T> fmt::Debug for Vacancy<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Vacancy")
            .field("entry", &self.entry)
            .field("held", &self.held.is_some())
            .field("reason", &self.reason)
            .finish_non_exhaustive()
    }
}

impl<T: Value> Entry<T> {
    /// The value, or the right to store one: for cache-aside by hand. Waits while another caller holds the right,
    /// at most the entry's `wait`; after that it returns a vacancy without a lease: `fill` stores nothing and returns
    /// [`Filled::Refused`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let entry = Cache::memory().entry::<u32>("square", 12);
    /// let square = match entry.lookup().await? {
    ///     Lookup::Hit(square) => square.into_value(),
    ///     Lookup::Vacant(vacancy) => {
    ///         let square = 12 * 12;
    ///         assert!(vacancy.fill(&square).await?.is_stored());
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
        self.sought(|_, _| true).await
    }

    /// [`lookup`](Self::lookup) of a value that `accept` takes, going by the value and what is known of it. What it turns down counts
    /// as a miss for this caller and stays for others; the vacancy brings it along as [`old`](Vacancy::old), and a fill replaces it. A
    /// value that another caller stores meanwhile is offered too; who turns down three has a vacancy without a lease.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let rate = Cache::memory().entry::<(String, u32)>("rate", "EUR");
    /// rate.set(&("2031-01-31".to_owned(), 95)).await?;
    /// let of_today = |rate: &(String, u32)| rate.0 == "2031-02-01";
    /// let Lookup::Vacant(vacancy) = rate.lookup_if(|rate, _| of_today(rate)).await? else { panic!("that is old") };
    /// assert_eq!(vacancy.old().map(|rate| rate.1), Some(95));
    /// assert!(vacancy.fill(&("2031-02-01".to_owned(), 96)).await?.is_stored());
    /// assert_eq!(rate.get().await?.map(|rate| rate.1), Some(96));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the entry could not be read, or the arguments cannot be a key.
    pub async fn lookup_if(&self, accept: impl Fn(&T, &Meta) -> bool) -> Result<Lookup<T>> {
        let store = &self.core().store;
        self.sought(|value, header| accept(value, &Meta::of(header, store.now()))).await
    }

    async fn sought(&self, accept: impl Fn(&T, &Header) -> bool) -> Result<Lookup<T>> {
        let began = Instant::now();
        Ok(match self.in_time(lookup(self, accept)).await? {
            Sought::Found(found) | Sought::Here(found) => {
                Lookup::Hit(Hit::new(found, self.core().store.now()))
            }
            Sought::Vacant(vacant) => Lookup::Vacant(Vacancy::new(self.clone(), vacant, began)?),
        })
    }

    /// The value with what is known of it, from one read; nothing is waited for, and no right to fill comes with a miss.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let user = cachemacro::Cache::memory().entry::<String>("user", 7);
    /// assert!(user.find().await?.is_none());
    /// user.set(&"Ada".to_owned()).await?;
    /// let found = user.find().await?.expect("it was stored");
    /// assert!(*found == "Ada" && found.meta().age < found.meta().ttl);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the entry could not be read, or the arguments cannot be a key.
    pub async fn find(&self) -> Result<Option<Hit<T>>> {
        Ok(find(self).await?.map(|found| Hit::new(found, self.core().store.now())))
    }
}

impl<T: Value> Vacancy<T> {
    pub(crate) fn new(entry: Entry<T>, vacant: Vacant<T>, began: Instant) -> Result<Self> {
        let Vacant { held, on_refusal, reason, old } = vacant;
        let limit = entry.raw()?.lease_limit();
        let held = held.map(|held| {
            let background = held.keep_in_background(limit);
            (held, background)
        });
        Ok(Self { entry, held, on_refusal, reason, old, began })
    }

    /// Whether a lease came with it. Without one `fill` stores nothing: another caller is loading still, the store
    /// does not answer, or caching is off.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup, Policy};
    /// use std::time::Duration;
    ///
    /// let entry = Cache::memory().entry::<u32>("n", 1).with_policy(Policy::new().wait(Duration::ZERO));
    /// let Lookup::Vacant(first) = entry.lookup().await? else { panic!("nothing was stored") };
    /// let Lookup::Vacant(second) = entry.lookup().await? else { panic!("nothing was stored") };
    /// assert!(first.is_held() && !second.is_held());
    /// # Ok(())
    /// # }
    /// ```
    pub const fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// Why there was no value to return; `None` where nothing was looked for, because caching is off for this call.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup, MissReason, Mode};
    ///
    /// let entry = Cache::memory().entry::<u32>("n", 1);
    /// let Lookup::Vacant(vacancy) = entry.lookup().await? else { panic!("nothing was stored") };
    /// assert_eq!(vacancy.reason(), Some(MissReason::Absent));
    /// let Lookup::Vacant(vacancy) = Mode::Bypass.scope(entry.lookup()).await? else { panic!("not asked") };
    /// assert_eq!(vacancy.reason(), None);
    /// # Ok(())
    /// # }
    /// ```
    pub const fn reason(&self) -> Option<MissReason> {
        self.reason
    }

    /// The value that this caller was elected to load anew, because it is [due or stale](crate::Policy::refresh): it may serve where
    /// the load fails. All others are served it meanwhile. After [`lookup_if`](Entry::lookup_if), the value that was turned down.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Clock, Lookup};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual();
    /// let builder = Cache::builder().memory().clock(clock.clone()).ttl(Duration::from_secs(60));
    /// let cache = builder.stale(Duration::from_secs(3600)).build()?;
    /// cache.set("price", 7, &1200_u64).await?;
    /// clock.advance(Duration::from_secs(90));
    /// let Lookup::Vacant(vacancy) = cache.lookup::<u64>("price", 7).await? else { panic!("nobody else loads") };
    /// assert_eq!(vacancy.old(), Some(&1200));
    /// let Lookup::Hit(price) = cache.lookup::<u64>("price", 7).await? else { panic!("somebody loads") };
    /// assert_eq!(*price, 1200);
    /// let _ = vacancy.fill(&1300).await?;
    /// assert_eq!(cache.get::<u64>("price", 7).await?, Some(1300));
    /// # Ok(())
    /// # }
    /// ```
    pub const fn old(&self) -> Option<&T> {
        self.old.as_ref()
    }

    /// Stores the value, unless an evict, a put or another loader came between. Tells whether it was stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Filled, Lookup};
    ///
    /// let cache = Cache::memory();
    /// let Lookup::Vacant(vacancy) = cache.lookup::<u32>("n", 1).await? else { panic!("nothing was stored") };
    /// let loaded = 7; // as it was before somebody
    /// cache.evict_key("n", 1).await?; // changed it
    /// assert_eq!(vacancy.fill(&loaded).await?, Filled::Refused, "it would be outdated");
    /// assert_eq!(cache.get::<u32>("n", 1).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the value cannot be encoded or is too large.
    pub async fn fill(self, value: &T) -> Result<Filled> {
        let prepared = self.entry.try_prepare(self.entry.raw()?, &NoRules, value);
        self.finish_in_time(prepared).await
    }

    /// [`fill`](Self::fill) with a TTL and tags that are known only now, as from the headers of a response. The TTL
    /// replaces the entry's; the tags come on top of the entry's, which must be made
    /// [`with_late_tags`](Entry::with_late_tags) to take any: evicts of a tag count from the lookup on.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup, Ttl};
    ///
    /// let cache = Cache::memory();
    /// let page = cache.entry::<String>("page", "/teas").with_late_tags();
    /// let Lookup::Vacant(vacancy) = page.lookup().await? else { panic!("nothing was stored") };
    /// let (body, max_age, tags) = ("…".to_owned(), 30_000, ["tea:7", "tea:8"]); // a response
    /// assert!(vacancy.fill_with(&body, Ttl::millis(max_age), tags).await?.is_stored());
    ///
    /// cache.evict_tags(["tea:8"]).await?;
    /// assert_eq!(page.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the value cannot be encoded or is too large. [`ErrorKind::Config`] where a tag is neither among the
    /// entry's nor expected.
    pub async fn fill_with<S: Tag>(
        self,
        value: &T,
        ttl: impl Into<Ttl>,
        tags: impl IntoIterator<Item = S>,
    ) -> Result<Filled> {
        self.fill_gathered(value, ttl, tags, &Gathered::default()).await
    }

    /// [`fill_with`](Self::fill_with) for a value that was made of others: it carries their tags too, and is stored no longer than the
    /// first of them stays fresh. Where not all of their tags are known, or there are more than 64, it is not stored.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup, Ttl};
    ///
    /// let cache = Cache::memory();
    /// let user = cache.entry::<String>("user", 7).with_tags(["users"]);
    /// let page = cache.entry::<String>("page", "/users/7").with_late_tags();
    /// let Lookup::Vacant(vacancy) = page.lookup().await? else { panic!("nothing was stored") };
    /// let (name, gathered) = cache.gather(user.get_or_load(async || "Ada".to_owned())).await;
    /// let tags: [&str; 0] = [];
    /// assert!(vacancy.fill_gathered(&format!("<h1>{name}</h1>"), Ttl::Never, tags, &gathered).await?.is_stored());
    ///
    /// cache.evict_tags(["users"]).await?;
    /// assert_eq!(page.get().await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// As [`fill_with`](Self::fill_with); also where a gathered tag is neither among the entry's nor expected.
    pub async fn fill_gathered<S: Tag>(
        self,
        value: &T,
        ttl: impl Into<Ttl>,
        tags: impl IntoIterator<Item = S>,
        gathered: &Gathered,
    ) -> Result<Filled> {
        let raw = self.entry.raw()?;
        let ttl = match (ttl.into(), gathered.ttl()) {
            (Ttl::For(ttl), Some(least)) => Ttl::For(ttl.min(least)),
            (Ttl::Never, Some(least)) => Ttl::For(least),
            (ttl, None) => ttl,
        };
        let inherited: Vec<u64> =
            gathered.hashes().filter(|hash| raw.tags.iter().all(|tag| tag.hash != *hash)).collect();
        if !gathered.is_complete() || inherited.len() > MOST_INHERITED {
            raw.record(Event::NotStored);
            return Ok(Filled::Refused);
        }
        let tags: Vec<String> = tags.into_iter().map(|tag| tag.text().into_owned()).collect();
        let is_known = |tag: &String| raw.tags.contains(&tag_key(raw.core.namespace(), tag));
        let all_known = tags.iter().all(is_known) && inherited.is_empty();
        if !all_known && !self.entry.has_late_tags(&NoRules) {
            // G1: the tag's version was not captured before the load, so an evict since then would go unnoticed.
            let error = Error::new(ErrorKind::Config, "tags that come with the value need `with_late_tags`");
            raw.failed(&error);
            return Err(error);
        }
        let rules = NoCallRules::new().ttl(move |_| ttl).tags(move |_| tags.clone());
        let prepared = self.entry.try_prepare(raw, &rules, value);
        let prepared = prepared.map(|prepared| prepared.map(|prepared| Prepared { inherited, ..prepared }));
        self.finish_in_time(prepared).await
    }

    fn finish_in_time(self, prepared: Result<Option<Prepared>>) -> impl Future<Output = Result<Filled>> {
        let deadline = self.entry.deadline();
        spending::after_first(deadline, self.finish(prepared))
    }

    async fn finish(self, prepared: Result<Option<Prepared>>) -> Result<Filled> {
        let raw = self.entry.raw()?;
        let took = self.began.elapsed();
        let failed = prepared.as_ref().err().cloned();
        if let Some(error) = &failed {
            raw.failed(error);
        }
        let (Some((held, _background)), prepared) = (self.held, prepared.ok().flatten()) else {
            return failed.map_or(Ok(Filled::Refused), Err);
        };
        if raw.core.has_written() {
            // What was loaded may be rolled back.
            return failed.map_or(Ok(Filled::Refused), Err);
        }
        let stored = match (self.on_refusal, prepared) {
            // It replaces whatever is there: what it cannot store goes.
            (OnRefusal::Unlink, prepared) => finish_put(raw, Some(held), prepared, took).await?,
            (OnRefusal::Leave, Some(prepared)) => {
                prepared.fill(raw, held, took, OnRefusal::Leave, Check::Skip).await.is_stored()
            }
            (OnRefusal::Leave, None) => false,
        };
        match failed {
            Some(error) => Err(error),
            None => Ok(if stored { Filled::Stored } else { Filled::Refused }),
        }
    }
}
