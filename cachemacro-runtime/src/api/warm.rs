//! Warm-ups: many loads ahead of use, at a pace that the database bears.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::{Interval, MissedTickBehavior, interval};

use crate::api::cache::Cache;
use crate::api::lookup::Vacancy;
use crate::calls::lookup::{Sought, seek};
use crate::calls::warm::{Ahead, fresh};
use crate::engine::core::Core;
use crate::engine::entry::Entry;
use crate::ground::chunks::MOST_ENTRIES;
use crate::ground::error::Result;
use crate::observe::breaker::BreakerState;
use crate::policy::mode::{Came, CameTo, warm};
use crate::policy::outcome::Value;
use crate::policy::ttl::Policy;

/// How long the one process that warms may take.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

type Call<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;
type Progress<'a> = Box<dyn FnMut(&Warmed) + Send + 'a>;

/// An entry, and the call that fills it, for [`Cache::warm`].
///
/// ```
/// # mod cachemacro {
/// #     pub use cachemacro_derive::cached;
/// #     pub use cachemacro_runtime::*;
/// # }
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cachemacro::{Cache, Warming, cached};
///
/// #[cached(prefix = "square", key = "{n}", entry = square_entry, crate = cachemacro)]
/// async fn square(n: u64) -> u64 {
///     n * n
/// }
///
/// let cache = Cache::memory();
/// let warmed = cache.scope(async {
///     // An attributed function fills its entries itself.
///     let ids = (1..=3).map(|n| Warming::by(&square_entry(n), move || square(n)));
///     cache.warm(ids).run().await
/// }).await;
/// assert_eq!(warmed.warmed, 3);
/// # }
/// ```
#[must_use = "it is loaded by `Cache::warm`"]
pub struct Warming<'a> {
    ahead: Option<Ahead>,
    call: Box<dyn FnOnce() -> Call<'a> + Send + 'a>,
}

impl fmt::Debug for Warming<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warming").finish_non_exhaustive()
    }
}

impl<'a> Warming<'a> {
    /// This entry, with what loads its value.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{Cache, Warming};
    ///
    /// let cache = Cache::memory();
    /// let items = (1..=3_u64).map(|n| Warming::of(cache.entry("square", n), async move || n * n));
    /// assert_eq!(cache.warm(items).run().await.warmed, 3);
    /// # }
    /// ```
    pub fn of<T: Value, F>(entry: Entry<T>, load: impl FnOnce() -> F + Send + 'a) -> Self
    where
        F: Future<Output = T> + Send + 'a,
    {
        Self::by(&entry.clone(), move || async move { entry.get_or_load(load).await })
    }

    /// This entry, with a load that can fail. An `Err` counts as failed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{Cache, Warming};
    ///
    /// let cache = Cache::memory();
    /// let item = Warming::try_of(cache.entry("port", "http"), async || "eighty".parse::<u16>());
    /// assert_eq!(cache.warm([item]).run().await.failed, 1);
    /// # }
    /// ```
    pub fn try_of<T: Value, E: Send + 'a, F>(entry: Entry<T>, load: impl FnOnce() -> F + Send + 'a) -> Self
    where
        F: Future<Output = std::result::Result<T, E>> + Send + 'a,
    {
        Self::by(&entry.clone(), move || async move { entry.try_get_or_load(load).await })
    }

    /// This entry, with a call of the attributed function that it belongs to. See [`Warming`] for an example.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Cache, Warming};
    ///
    /// let entry = Cache::memory().entry::<u64>("square", 7);
    /// let item = Warming::by(&entry.clone(), move || async move { entry.get_or_load(async || 49).await });
    /// # drop(item);
    /// ```
    pub fn by<T: Value, R, F>(entry: &Entry<T>, call: impl FnOnce() -> F + Send + 'a) -> Self
    where
        F: Future<Output = R> + Send + 'a,
    {
        let expected = entry.expected();
        let ahead = entry.raw().ok().map(|raw| Ahead { raw: raw.clone(), expected });
        Self { ahead, call: Box::new(move || Box::pin(async move { drop(call().await) })) }
    }
}

/// What a [warm-up](Cache::warm) has done.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cachemacro::{Cache, Warming};
///
/// let cache = Cache::memory();
/// let items = || (1..=3_u64).map(|n| Warming::of(cache.entry("square", n), async move || n * n));
/// let (first, second) = (cache.warm(items()).run().await, cache.warm(items()).run().await);
/// assert_eq!((first.warmed, first.fresh), (3, 0));
/// assert_eq!((second.warmed, second.fresh), (0, 3), "nothing is loaded twice");
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Warmed {
    /// Entries that were loaded.
    pub warmed: u64,
    /// Entries whose values were there: fresh, or loaded by others meanwhile.
    pub fresh: u64,
    /// Entries whose load failed, or the store.
    pub failed: u64,
    /// How many entries there are in all, where the iterator knows.
    pub of: Option<u64>,
    /// Why it ended before all of them.
    pub stopped: Option<Stopped>,
}

impl Warmed {
    /// How many entries were looked at so far.
    ///
    /// ```
    /// assert_eq!(cachemacro_runtime::Warmed::default().done(), 0);
    /// ```
    pub const fn done(&self) -> u64 {
        self.warmed + self.fresh + self.failed
    }
}

/// Why a warm-up ended early.
///
/// ```
/// assert_eq!(cachemacro_runtime::Stopped::Elsewhere.as_str(), "elsewhere");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Stopped {
    /// The breaker around the store is open: nothing could be stored.
    BreakerOpen,
    /// So many loads, or requests to the store, have failed as [may](Warm::errors).
    Errors,
    /// Another process [has done it](Warm::once), or does it.
    Elsewhere,
    /// Caching is off.
    Off,
}

impl Stopped {
    /// The reason as a short lower-case word.
    ///
    /// ```
    /// assert_eq!(cachemacro_runtime::Stopped::BreakerOpen.as_str(), "breaker_open");
    /// ```
    pub const fn as_str(self) -> &'static str {
        match self {
            Stopped::BreakerOpen => "breaker_open",
            Stopped::Errors => "errors",
            Stopped::Elsewhere => "elsewhere",
            Stopped::Off => "off",
        }
    }
}

/// A warm-up that was not begun, from [`Cache::warm`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() {
/// use cachemacro::{Cache, Warming};
/// use std::time::Duration;
///
/// let cache = Cache::memory();
/// let items = (1..=300_u64).map(|n| Warming::of(cache.entry("square", n), async move || n * n));
/// let warmed = cache
///     .warm(items)
///     .concurrency(8)
///     .rate(2_000)
///     .errors(20)
///     .once("squares", Duration::from_secs(3600))
///     .progress(|so_far| println!("{} of {:?}", so_far.done(), so_far.of))
///     .run()
///     .await;
/// assert_eq!((warmed.warmed, warmed.stopped), (300, None));
/// # }
/// ```
#[must_use = "a warm-up does nothing until `run`"]
pub struct Warm<'a, I> {
    cache: Cache,
    items: I,
    concurrency: usize,
    rate: Option<u32>,
    errors: u64,
    once: Option<(String, Duration)>,
    progress: Option<Progress<'a>>,
}

impl<I> fmt::Debug for Warm<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Warm")
            .field("concurrency", &self.concurrency)
            .field("rate", &self.rate)
            .field("errors", &self.errors)
            .finish_non_exhaustive()
    }
}

impl Cache {
    /// Loads these entries ahead of use, so that a service which starts does not send all its first calls to the database. Entries
    /// that are fresh, which are found 256 in a round trip, are left alone; the rest take ordinary leases, so evicts and other callers
    /// win. It counts as `warmed`, neither as hits nor as misses, and so do the cached calls that the loads make.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// use cachemacro::{Cache, Warming};
    ///
    /// let cache = Cache::memory();
    /// let items = (1..=3_u64).map(|n| Warming::of(cache.entry("square", n), async move || n * n));
    /// cache.warm(items).concurrency(8).rate(200).run().await;
    /// let total = cache.stats().total;
    /// assert_eq!((total.warmed, total.misses(), total.hits), (3, 0, 0));
    /// # }
    /// ```
    pub fn warm<'a, I>(&self, items: I) -> Warm<'a, I::IntoIter>
    where
        I: IntoIterator<Item = Warming<'a>>,
    {
        Warm {
            cache: self.clone(),
            items: items.into_iter(),
            concurrency: 8,
            rate: None,
            errors: 10,
            once: None,
            progress: None,
        }
    }
}

impl<'a, I: Iterator<Item = Warming<'a>>> Warm<'a, I> {
    /// How many loads are under way at once, one at least. Default: 8.
    ///
    /// ```
    /// let warm = cachemacro_runtime::Cache::memory().warm([]).concurrency(2);
    /// # drop(warm);
    /// ```
    pub fn concurrency(mut self, loads: usize) -> Self {
        self.concurrency = loads.max(1);
        self
    }

    /// How many loads are begun in a second at most, one at least. Default: as many as come.
    ///
    /// ```
    /// let warm = cachemacro_runtime::Cache::memory().warm([]).rate(200);
    /// # drop(warm);
    /// ```
    pub fn rate(mut self, loads: u32) -> Self {
        self.rate = Some(loads.max(1));
        self
    }

    /// After how many failures it stops: of loads, and of requests to the store. Default: 10.
    ///
    /// ```
    /// let warm = cachemacro_runtime::Cache::memory().warm([]).errors(100);
    /// # drop(warm);
    /// ```
    pub fn errors(mut self, most: u64) -> Self {
        self.errors = most.max(1);
        self
    }

    /// Has one process of the namespace do it: not, where another does it now, or has done it within `every` under this name. Where that one
    /// dies, or stops early, the next that asks does it. See [`Warm`] for an example.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let warm = cachemacro_runtime::Cache::memory().warm([]).once("users", Duration::from_secs(600));
    /// # drop(warm);
    /// ```
    pub fn once(mut self, name: impl Into<String>, every: Duration) -> Self {
        self.once = Some((name.into(), every));
        self
    }

    /// Tells how far it is, after each entry. It runs on the task of the warm-up and must not block.
    ///
    /// ```
    /// let warm = cachemacro_runtime::Cache::memory().warm([]).progress(|so_far| println!("{}", so_far.done()));
    /// # drop(warm);
    /// ```
    pub fn progress(mut self, tell: impl FnMut(&Warmed) + Send + 'a) -> Self {
        self.progress = Some(Box::new(tell));
        self
    }

    /// Runs it. Its loads are part of this future: where that is dropped, they are.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() {
    /// assert_eq!(cachemacro_runtime::Cache::memory().warm([]).run().await.done(), 0);
    /// # }
    /// ```
    pub async fn run(mut self) -> Warmed {
        let core = self.cache.core().clone();
        let stopped = |stopped| Warmed { stopped: Some(stopped), ..Warmed::default() };
        if core.is_bypassed() {
            return stopped(Stopped::Off);
        }
        let right = match self.once.take() {
            None => None,
            Some((name, every)) => match elect(&self.cache, &name, every).await {
                Ok(Some(right)) => Some(right),
                Ok(None) => return stopped(Stopped::Elsewhere),
                Err(_) => return Warmed { failed: 1, ..stopped(Stopped::Errors) },
            },
        };
        let (warmed, whole) = self.run_here(&core).await;
        if let Some(right) = right.filter(|_| whole && warmed.stopped.is_none()) {
            // Where that fails, the next process does it again: it finds most of it fresh.
            let _ = right.fill(&warmed.warmed).await;
        }
        warmed
    }

    /// What was done, and whether all entries were looked at.
    async fn run_here(&mut self, core: &Arc<Core>) -> (Warmed, bool) {
        let mut whole = true;
        let mut so_far = Warmed { of: self.items.size_hint().1.map(|most| most as u64), ..Warmed::default() };
        let mut pace = self.rate.map(pace);
        let (mut found, mut waiting) = (Vec::new().into_iter(), None);
        let (mut looking, mut running) = (None, FuturesUnordered::new());
        loop {
            if so_far.stopped.is_some() {
                (looking, waiting) = (None, None);
            } else if waiting.is_none() {
                waiting = found.next();
                if waiting.is_none() && looking.is_none() {
                    let items: Vec<Warming<'a>> = self.items.by_ref().take(MOST_ENTRIES).collect();
                    looking = (!items.is_empty()).then(|| Box::pin(look(core.clone(), items)));
                }
            }
            if waiting.is_none() && looking.is_none() && running.is_empty() {
                return (so_far, whole);
            }
            tokio::select! {
                Some(came) = running.next(), if !running.is_empty() => match came {
                    CameTo::Loaded => so_far.warmed += 1,
                    CameTo::Failed => so_far.failed += 1,
                    CameTo::Found | CameTo::Nothing => so_far.fresh += 1,
                },
                Some(looked) = next(&mut looking), if looking.is_some() => {
                    looking = None;
                    if let Ok(looked) = looked {
                        let (fresh, rest): (Vec<_>, Vec<_>) = looked.into_iter().partition(|(_, fresh)| *fresh);
                        so_far.fresh += fresh.len() as u64;
                        found = rest.into_iter().map(|(item, _)| item).collect::<Vec<_>>().into_iter();
                    } else {
                        // What cannot be looked for cannot be stored.
                        so_far.failed += 1;
                        whole = false;
                    }
                }
                () = turn(&mut pace), if waiting.is_some() && running.len() < self.concurrency => {
                    if let Some(item) = waiting.take() {
                        running.push(fill(item));
                    }
                    continue;
                }
            }
            let is_open = core.store.breaker().is_some_and(|breaker| breaker.state() != BreakerState::Closed);
            let stopped = if is_open {
                Some(Stopped::BreakerOpen)
            } else {
                (so_far.failed >= self.errors).then_some(Stopped::Errors)
            };
            so_far.stopped = so_far.stopped.or(stopped);
            if let Some(tell) = &mut self.progress {
                tell(&so_far);
            }
        }
    }
}

/// The right to warm under this name; `None`: another process has it, or had it.
async fn elect(cache: &Cache, name: &str, every: Duration) -> Result<Option<Vacancy<u64>>> {
    let policy = Policy::new().wait(Duration::ZERO).lease_limit(LONGEST);
    let entry = cache.entry::<u64>("cachemacro.once", name).with_policy(policy).with_ttl(every);
    let raw = entry.raw()?;
    match seek(&entry, raw, |_, _| true).await? {
        Sought::Vacant(vacant) if vacant.held.is_some() => {
            Ok(Some(Vacancy::new(entry.clone(), vacant, Instant::now())?))
        }
        Sought::Vacant(_) | Sought::Found(_) | Sought::Here(_) => Ok(None),
    }
}

/// Which of these are fresh.
async fn look(core: Arc<Core>, mut items: Vec<Warming<'_>>) -> Result<Vec<(Warming<'_>, bool)>> {
    let ahead: Vec<_> = items.iter_mut().map(|item| item.ahead.take()).collect();
    let fresh = fresh(&core, &ahead).await?;
    Ok(items.into_iter().zip(fresh).collect())
}

async fn fill(item: Warming<'_>) -> CameTo {
    let came = Arc::<Came>::default();
    warm(came.clone(), (item.call)()).await;
    came.to()
}

fn pace(per_second: u32) -> Interval {
    let mut pace = interval((Duration::from_secs(1) / per_second).max(Duration::from_nanos(1)));
    // Behind a pause nothing is made up for.
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    pace
}

async fn next<F: Future + Unpin>(looking: &mut Option<F>) -> Option<F::Output> {
    Some(looking.as_mut()?.await)
}

async fn turn(pace: &mut Option<Interval>) {
    if let Some(pace) = pace {
        pace.tick().await;
    }
}
