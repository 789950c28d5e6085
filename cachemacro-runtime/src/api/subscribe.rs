//! Events across processes: declared, emitted, and handled by who subscribes.

use std::any::{TypeId, type_name};
use std::error::Error as StdError;
use std::fmt;
use std::future::{Future, IntoFuture};
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use crate::api::cache::Cache;
use crate::calls::subscribe::{Gap, Handler, Handling, OnGap, Plan, Running};
use crate::engine::emitted::decode;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::key::Key;
use crate::observe::subscription::SubscriptionStats;
use crate::policy::outcome::Value;
use crate::store::Buried;

/// How many events of a kind are kept where nothing else is said.
const KEEP: usize = 10_000;
/// How often one of a group tries to handle an event.
const ATTEMPTS: u32 = 5;

impl Cache {
    /// From now on [`emit`](Self::emit) sends events of type `E` to other processes too, under this name: the one of all that emit it
    /// or [subscribe](Self::subscribe) to it. Of each kind the last 10,000 are kept; see [`declare_kept`](Self::declare_kept).
    ///
    /// An event goes once what the [handlers](Self::on) of its type evict is evicted, and inside [`after_commit`](Self::after_commit) with
    /// its commit. Streams of events have no TTL, and [`clear`](Self::clear) leaves them.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use serde::{Deserialize, Serialize};
    /// use tokio::sync::mpsc;
    ///
    /// #[derive(Clone, Serialize, Deserialize)]
    /// struct Renamed { id: u64 }
    ///
    /// let cache = cachemacro::Cache::memory(); // with others where it is on Redis
    /// cache.declare::<Renamed>("renamed")?;
    /// let (sender, mut ids) = mpsc::unbounded_channel();
    /// let _renamed = cache.subscribe(move |renamed: Renamed| {
    ///     let _ = sender.send(renamed.id);
    ///     async {}
    /// }).await?;
    ///
    /// cache.emit(&Renamed { id: 7 }).await?;
    /// assert_eq!(ids.recv().await, Some(7));
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Config`] where the name is empty, or this cache has another name for the type or another type for the name.
    pub fn declare<E: Value>(&self, name: &str) -> Result<()> {
        self.declare_kept::<E>(name, KEEP)
    }

    /// [`declare`](Self::declare), keeping as many events for those who come late as `keep` says. Who falls further behind is told of the [gap](Subscribe::on_gap).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let cache = cachemacro::Cache::memory();
    /// cache.declare_kept::<String>("renamed", 100)?;
    /// assert!(cache.declare_kept::<String>("moved", 100).is_err(), "it has a name");
    /// assert!(cache.declare_kept::<u64>("renamed", 100).is_err(), "another type has it");
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// As [`declare`](Self::declare) has; also where none is to be kept.
    pub fn declare_kept<E: Value>(&self, name: &str, keep: usize) -> Result<()> {
        let wrong = |what: String| Err(Error::new(ErrorKind::Config, what));
        if name.is_empty() || keep == 0 {
            return wrong(format!(
                "events of type {} need a name, and at least one is kept",
                type_name::<E>()
            ));
        }
        self.events().declare::<E>(&Key::escape(name), keep).or_else(|why| wrong(why.to_owned()))
    }

    /// Has `handler` called with each event of type `E` that any process [emits](Self::emit) from now on: in this process as in every other that
    /// subscribes. With [`one`](Subscribe::one) it is one process of several. For what is to be evicted use [`on`](Self::on), which is done before `emit` returns.
    ///
    /// It begins where it is awaited, and ends where the [`Subscription`] is dropped. The type is [declared](Self::declare) before.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, ErrorKind};
    ///
    /// let cache = Cache::memory();
    /// let subscribing = cache.subscribe(|name: String| async move { println!("{name}") });
    /// assert_eq!(subscribing.await.unwrap_err().kind(), ErrorKind::Config); // not declared
    /// cache.declare::<String>("renamed")?;
    /// let subscription = cache.subscribe(|name: String| async move { println!("{name}") }).await?;
    /// subscription.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub fn subscribe<E, F, R>(&self, handler: F) -> Subscribe<E>
    where
        E: Value,
        F: Fn(E) -> R + Send + Sync + 'static,
        R: Future<Output: Handled> + Send + 'static,
    {
        let handle = move |payload: &[u8]| -> Option<Handling> {
            let event = decode::<E>(payload).ok()?;
            let handling = handler(event);
            Some(Box::pin(async move { handling.await.handled() }))
        };
        Subscribe {
            cache: self.clone(),
            handler: Arc::new(handle),
            group: None,
            attempts: ATTEMPTS,
            backoff: Duration::from_millis(100),
            at_once: 1,
            idle: Duration::from_secs(30),
            on_gap: None,
            event: PhantomData,
        }
    }
}

/// What a handler of events returns: nothing, or a `Result`.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::Handled;
///
/// assert_eq!(().handled(), Ok(()));
/// assert_eq!(Err::<(), _>("no such user").handled(), Err("no such user".to_owned()));
/// ```
pub trait Handled: Send {
    /// Whether it was handled, and why not.
    ///
    /// # Errors
    /// Where it was not.
    fn handled(self) -> Result<(), String>;
}

impl Handled for () {
    fn handled(self) -> Result<(), String> {
        Ok(())
    }
}

impl<X: fmt::Display + Send> Handled for Result<(), X> {
    fn handled(self) -> Result<(), String> {
        self.map_err(|error| error.to_string())
    }
}

/// A subscription to come, from [`Cache::subscribe`]; awaiting it begins it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Subscribe};
///
/// let cache = Cache::memory();
/// cache.declare::<String>("renamed")?;
/// let mails: Subscribe<String> = cache.subscribe(|name: String| async move { println!("{name}") });
/// let subscription = mails.one("mailers").await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a subscription begins when it is awaited"]
pub struct Subscribe<E> {
    cache: Cache,
    handler: Handler,
    group: Option<String>,
    attempts: u32,
    backoff: Duration,
    at_once: usize,
    idle: Duration,
    on_gap: Option<OnGap>,
    event: PhantomData<fn(E)>,
}

impl<E> fmt::Debug for Subscribe<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscribe").field("group", &self.group).finish_non_exhaustive()
    }
}

impl<E: Value> Subscribe<E> {
    /// Each event is handled by one of all processes that subscribe for this group: at least once, also where a process ends while it handles
    /// it. A handler that returns an error, or panics, is called again with growing pauses; after the last [attempt](Self::attempts) the event is put aside,
    /// see [`Subscription::dead`]. The group is there from when its first process subscribes; its events wait where none is there.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn subscribe(cache: &cachemacro::Cache) -> cachemacro::Result<()> {
    /// let mails = cache.subscribe(|id: u64| async move {
    ///     if id == 0 { Err("no such user") } else { Ok(()) }
    /// });
    /// let mailer = mails.one("mailers").attempts(3).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn one(self, group: &str) -> Self {
        Self { group: Some(Key::escape(group)), ..self }
    }

    /// How often an event is tried before it is put aside, 5 times by default; for [`one`](Self::one).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn subscribe(cache: &cachemacro::Cache) {
    /// let mails = cache.subscribe(|id: u64| async move { println!("{id}") });
    /// let mails = mails.one("mailers").attempts(3);
    /// # }
    /// ```
    pub fn attempts(self, attempts: u32) -> Self {
        Self { attempts, ..self }
    }

    /// The pause after the first failed attempt, 100 ms by default. It doubles each time, up to 30 s; for [`one`](Self::one).
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn subscribe(cache: &cachemacro::Cache) {
    /// use std::time::Duration;
    ///
    /// let mails = cache.subscribe(|id: u64| async move { println!("{id}") });
    /// let mails = mails.one("mailers").backoff(Duration::from_secs(1));
    /// # }
    /// ```
    pub fn backoff(self, first: Duration) -> Self {
        Self { backoff: first, ..self }
    }

    /// How many events this process handles at once, one by default; for [`one`](Self::one). Where it is more, or where several processes
    /// subscribe, their order is not kept.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn subscribe(cache: &cachemacro::Cache) {
    /// let mails = cache.subscribe(|id: u64| async move { println!("{id}") });
    /// let mails = mails.one("mailers").at_once(8);
    /// # }
    /// ```
    pub fn at_once(self, count: usize) -> Self {
        Self { at_once: count, ..self }
    }

    /// How long a process of the group may not be heard of before another is given its events, 30 s by default; for [`one`](Self::one). A
    /// process that handles one says so three times as often.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn subscribe(cache: &cachemacro::Cache) {
    /// use std::time::Duration;
    ///
    /// let mails = cache.subscribe(|id: u64| async move { println!("{id}") });
    /// let mails = mails.one("mailers").silence(Duration::from_secs(5));
    /// # }
    /// ```
    pub fn silence(self, longest: Duration) -> Self {
        Self { idle: longest, ..self }
    }

    /// Who is told of events that were not kept until the subscription came to them; they are counted and logged, too.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn subscribe(cache: &cachemacro::Cache) {
    /// let renamed = cache.subscribe(|id: u64| async move { println!("{id}") });
    /// let renamed = renamed.on_gap(|gap| println!("{} or more were missed", gap.at_least));
    /// # }
    /// ```
    pub fn on_gap(self, told: impl Fn(Gap) + Send + Sync + 'static) -> Self {
        Self { on_gap: Some(Arc::new(told)), ..self }
    }

    /// Begins. The same as awaiting it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.declare::<String>("renamed")?;
    /// let subscription = cache.subscribe(|name: String| async move { println!("{name}") }).start().await?;
    /// assert_eq!(subscription.stats().handled, 0);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed, or keeps no streams. [`ErrorKind::Config`] where the type is not declared, a setting is zero, or there is no
    /// tokio runtime.
    pub async fn start(self) -> Result<Subscription<E>> {
        let config = |what: String| Error::new(ErrorKind::Config, what);
        let name = self.cache.events().name(TypeId::of::<E>());
        let name = name.ok_or_else(|| {
            config(format!("events of type {} are not declared, so nobody sends them", type_name::<E>()))
        })?;
        let is_zero = self.attempts == 0 || self.at_once == 0 || self.idle < Duration::from_millis(10);
        if is_zero || self.group.as_deref() == Some("") {
            let what = "a subscription for a group needs its name, an attempt, one event at once, and 10 ms of silence";
            return Err(config(what.to_owned()));
        }
        let plan = Plan {
            name,
            group: self.group,
            attempts: self.attempts.into(),
            backoff: self.backoff,
            at_once: self.at_once,
            idle: self.idle,
            handler: self.handler,
            on_gap: self.on_gap,
        };
        let running = Running::start(Arc::clone(self.cache.core()), plan).await?;
        self.cache.events().began(&running);
        Ok(Subscription { running, event: PhantomData })
    }
}

impl<E: Value> IntoFuture for Subscribe<E> {
    type Output = Result<Subscription<E>>;
    type IntoFuture = Pin<Box<dyn Future<Output = Result<Subscription<E>>> + Send>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.start())
    }
}

/// A subscription that runs. It ends where this is dropped, once what is being handled is, and at [`Cache::shutdown`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Subscription};
///
/// let cache = Cache::memory();
/// cache.declare::<String>("renamed")?;
/// let renamed: Subscription<String> = cache.subscribe(|name: String| async move { println!("{name}") }).await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a subscription ends when it is dropped"]
pub struct Subscription<E> {
    running: Arc<Running>,
    event: PhantomData<fn(E)>,
}

impl<E> fmt::Debug for Subscription<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("stats", &self.running.counts.snapshot()).finish_non_exhaustive()
    }
}

impl<E> Drop for Subscription<E> {
    fn drop(&mut self) {
        self.running.stop();
    }
}

impl<E: Value> Subscription<E> {
    /// What became of its events in this process so far.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # fn log(renamed: &cachemacro::Subscription<String>) {
    /// println!("{} handled, {} put aside", renamed.stats().handled, renamed.stats().dead);
    /// # }
    /// ```
    pub fn stats(&self) -> SubscriptionStats {
        self.running.counts.snapshot()
    }

    /// Ends it, and waits for what is being handled. Of a group, others are given what this process has not finished.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// let cache = cachemacro::Cache::memory();
    /// cache.declare::<String>("renamed")?;
    /// let renamed = cache.subscribe(|name: String| async move { println!("{name}") }).await?;
    /// renamed.stop().await;
    /// # Ok(())
    /// # }
    /// ```
    pub async fn stop(self) {
        self.running.stopped().await;
    }

    /// The events that its [group](Subscribe::one) put aside, in whichever process, at most so many, the oldest first. The last 10,000 are kept.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn repair(mails: &cachemacro::Subscription<u64>) -> cachemacro::Result<()> {
    /// for dead in mails.dead(100).await? {
    ///     println!("{:?}: {}", dead.event(), dead.why());
    ///     match mails.replay(&dead).await {
    ///         Ok(()) => {} // handled now
    ///         Err(_) => drop(mails.discard(&dead).await?),
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn dead(&self, most: usize) -> Result<Vec<DeadEvent<E>>> {
        let buried = self.running.buried(most).await?;
        Ok(buried
            .into_iter()
            .map(|buried| DeadEvent { event: decode(&buried.item.payload).ok(), buried })
            .collect())
    }

    /// Calls the handler with an event that was put aside, once, and forgets the event where that succeeds. See [`dead`](Self::dead) for an example.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn again(mails: &cachemacro::Subscription<u64>, dead: &cachemacro::DeadEvent<u64>) {
    /// if let Err(why) = mails.replay(dead).await {
    ///     println!("still: {why}");
    /// }
    /// # }
    /// ```
    ///
    /// # Errors
    /// What the handler said, or that the store failed after it was handled.
    pub async fn replay(&self, dead: &DeadEvent<E>) -> Result<(), Box<dyn StdError + Send + Sync>> {
        self.running.replay(&dead.buried).await.map_err(Into::into)
    }

    /// Forgets an event that was put aside; tells whether it was there. See [`dead`](Self::dead) for an example.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # async fn forget(mails: &cachemacro::Subscription<u64>, dead: &cachemacro::DeadEvent<u64>) -> cachemacro::Result<bool> {
    /// mails.discard(dead).await
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the store failed.
    pub async fn discard(&self, dead: &DeadEvent<E>) -> Result<bool> {
        self.running.unbury(&dead.buried.id).await
    }
}

/// An event that was put aside after its last attempt, from [`Subscription::dead`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// fn tell(dead: &cachemacro::DeadEvent<u64>) -> String {
///     format!("{:?}: {}", dead.event(), dead.why())
/// }
/// ```
#[derive(Clone)]
pub struct DeadEvent<E> {
    event: Option<E>,
    buried: Buried,
}

// The event may be a secret, and so may what a handler says of it.
impl<E> fmt::Debug for DeadEvent<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DeadEvent").field("place", &self.buried.item.place).finish_non_exhaustive()
    }
}

impl<E> DeadEvent<E> {
    /// The event; `None` where it cannot be decoded by this build.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn is_known(dead: &cachemacro::DeadEvent<u64>) -> bool {
    ///     dead.event().is_some()
    /// }
    /// ```
    pub const fn event(&self) -> Option<&E> {
        self.event.as_ref()
    }

    /// What the handler said at the last attempt.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// fn is_of_missing_users(dead: &cachemacro::DeadEvent<u64>) -> bool {
    ///     dead.why().contains("no such user")
    /// }
    /// ```
    pub fn why(&self) -> &str {
        &self.buried.why
    }
}
