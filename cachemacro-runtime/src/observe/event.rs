//! What happens, as it happens, and who is told.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::ground::error::ErrorKind;
use crate::ground::unstorable::Unstorable;
use crate::observe::breaker::BreakerState;
use crate::observe::finding::Checked;
use crate::observe::reason::MissReason;
use crate::observe::site::SiteId;

/// Something that happened in a cache.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Event, MissReason};
///
/// assert_eq!(Event::Miss(MissReason::Expired).as_str(), "miss");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A read was answered from the store, or by a [local](field@Observation::local) copy.
    Hit,
    /// A read was not answered from the store, for this reason.
    Miss(MissReason),
    /// A call was answered with a stale value.
    Stale,
    /// A call was elected to load a value anew that is due or stale.
    Refresh,
    /// The cache begins to run a function.
    Load,
    /// The function has returned; [`took`](field@Observation::took) says after how long.
    Loaded,
    /// The function returned an `Err`.
    LoadFailed,
    /// A load that a warm-up made, ahead of use, has ended well.
    Warmed,
    /// A call was answered by another caller's load in this process.
    SharedLoad,
    /// A value was stored under a lease: after a load, or by a put.
    Fill,
    /// A value was not stored because an evict, a put or another loader came between.
    RefusedFill,
    /// A value was not to be stored: `None`, `unless`, a TTL of zero, an unusable encoding.
    NotStored,
    /// A value was not stored because it would not come back as it is; counted as [`NotStored`](Self::NotStored) too,
    /// unless a direct call returns it as an error.
    Unstorable(Unstorable),
    /// A value is over the size limit, or has too many tags, and was not stored.
    TooLarge,
    /// This many entries were evicted, one by one or by prefix.
    Evict(u64),
    /// This many tags were evicted.
    TagEvict(u64),
    /// An evict did not reach the store, or its key or tag could not be built.
    FailedEvict(ErrorKind),
    /// A value was written through, or updated.
    Put,
    /// The store, a codec or a key failed, and the call went on.
    Error(ErrorKind),
    /// This many bytes of an entry were read.
    BytesRead(usize),
    /// This many bytes of an entry were written.
    BytesWritten(usize),
    /// One request to the store was answered, or failed; [`took`](field@Observation::took) says after how long.
    StoreCall,
    /// This many keys, tags and prefixes whose evict had failed were evicted after all. Told in the background, at no site.
    Replay(u64),
    /// A hit was held against what its function returns now, and this came of it.
    Checked(Checked),
    /// The breaker of the store moved to this state. Told in the background, at no site.
    Breaker(BreakerState),
}

impl Event {
    /// The event as a short lower-case word, for metrics and logs.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Event::TagEvict(2).as_str(), "tag_evict");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Event::Hit => "hit",
            Event::Miss(_) => "miss",
            Event::Stale => "stale",
            Event::Refresh => "refresh",
            Event::Load => "load",
            Event::Loaded => "loaded",
            Event::LoadFailed => "load_failed",
            Event::Warmed => "warmed",
            Event::SharedLoad => "shared_load",
            Event::Fill => "fill",
            Event::RefusedFill => "refused_fill",
            Event::NotStored => "not_stored",
            Event::Unstorable(_) => "unstorable",
            Event::TooLarge => "too_large",
            Event::Evict(_) => "evict",
            Event::TagEvict(_) => "tag_evict",
            Event::FailedEvict(_) => "failed_evict",
            Event::Put => "put",
            Event::Error(_) => "error",
            Event::BytesRead(_) => "bytes_read",
            Event::BytesWritten(_) => "bytes_written",
            Event::StoreCall => "store_call",
            Event::Replay(_) => "replay",
            Event::Checked(_) => "checked",
            Event::Breaker(_) => "breaker",
        }
    }
}

/// An [`Event`] with where it happened and how long it took.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Event, Observation};
///
/// let seen = Observation::of(Event::Hit);
/// assert!(seen.site.is_none() && seen.took.is_none());
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Observation<'a> {
    /// What happened.
    pub event: Event,
    /// The annotated function; `None` for direct calls.
    pub site: Option<&'a SiteId>,
    /// How long it took, for [`Event::Loaded`] and [`Event::StoreCall`].
    pub took: Option<Duration>,
    /// Whether a [hit](Event::Hit) was answered by a decoded value in this process, without a look at the store.
    pub local: bool,
    /// Whether a [hit](Event::Hit) was answered with a stale value.
    pub stale: bool,
}

impl<'a> Observation<'a> {
    /// An event at no site, that took no time.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Event, Observation};
    ///
    /// assert_eq!(Observation::of(Event::Put).event, Event::Put);
    /// ```
    pub const fn of(event: Event) -> Self {
        Self { event, site: None, took: None, local: false, stale: false }
    }

    pub(crate) const fn at(self, site: Option<&'a SiteId>) -> Self {
        Self { site, ..self }
    }

    pub(crate) const fn here(self) -> Self {
        Self { local: true, ..self }
    }

    pub(crate) const fn stale(self) -> Self {
        Self { stale: true, ..self }
    }

    pub(crate) const fn took(self, time: Duration) -> Self {
        Self { took: Some(time), ..self }
    }
}

/// Who is told of each event of a cache as it happens, by [`CacheBuilder::observer`](crate::CacheBuilder::observer). The
/// cache's own counters are one.
///
/// **An observer must not block.** It runs on the task of the call, which goes on once it has returned: about three times for
/// a hit, more for a miss. Count, or hand over to a channel that never waits (`try_send`); what is written, sent or awaited in it
/// slows down every call, hits too, and holds up the runtime's thread.
///
/// It is called under no lock. It may use the cache, whose events it then hears too. A panic in it is caught, and the first one of
/// the process is logged.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Event, Observation, Observer};
/// use std::sync::{Arc, atomic::{AtomicU64, Ordering}};
///
/// #[derive(Default)]
/// struct Misses(AtomicU64);
///
/// impl Observer for Misses {
///     fn event(&self, seen: &Observation<'_>) {
///         if let Event::Miss(reason) = seen.event {
///             println!("{:?} missed: {}", seen.site, reason.as_str());
///             self.0.fetch_add(1, Ordering::Relaxed);
///         }
///     }
/// }
///
/// let misses = Arc::new(Misses::default());
/// let cache = Cache::builder().memory().observer(misses.clone()).build()?;
/// cache.get_or_load("n", 1, async || 7).await;
/// cache.get_or_load("n", 1, async || 7).await;
/// assert_eq!(misses.0.load(Ordering::Relaxed), 1);
/// # Ok(())
/// # }
/// ```
pub trait Observer: Send + Sync + 'static {
    /// Something happened. Returns soon: the call that is observed waits for it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Observation, Observer};
    ///
    /// struct Print;
    ///
    /// impl Observer for Print {
    ///     fn event(&self, seen: &Observation<'_>) {
    ///         println!("{}", seen.event.as_str());
    ///     }
    /// }
    /// ```
    fn event(&self, seen: &Observation<'_>);
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn event(&self, seen: &Observation<'_>) {
        (**self).event(seen);
    }
}

/// The observers that users added.
#[derive(Clone, Default)]
pub(crate) struct Observers(Vec<Arc<dyn Observer>>);

impl fmt::Debug for Observers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} observers", self.0.len())
    }
}

impl Observers {
    pub(crate) fn add(&mut self, observer: impl Observer) {
        self.0.push(Arc::new(observer));
    }

    /// Tells of what is made only where there is anybody.
    #[inline]
    pub(crate) fn tell_if_any<'a>(&self, seen: impl FnOnce() -> Observation<'a>) {
        if !self.0.is_empty() {
            self.tell(&seen());
        }
    }

    /// Tells each of them. None can make the call fail that is observed.
    #[inline]
    pub(crate) fn tell(&self, seen: &Observation<'_>) {
        static PANICKED: AtomicBool = AtomicBool::new(false);
        for observer in &self.0 {
            let told = catch_unwind(AssertUnwindSafe(|| observer.event(seen)));
            if told.is_err() && !PANICKED.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    "an observer of the cache panicked; the call goes on, and no further panic of one is logged"
                );
            }
        }
    }
}
