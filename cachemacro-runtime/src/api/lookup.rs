//! Cache-aside by hand: a hit, or the right to fill.

use crate::engine::lease;
use crate::engine::lease::Answer;
use crate::engine::lease::Wanted;
use crate::engine::lease::acquire_for_put;
use crate::engine::loading::Loading;
use crate::engine::raw::to_capture;
use crate::engine::read::Looked;
use crate::engine::read::MOST_LOOKS;
use crate::engine::read::Miss;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::mode::Mode;
use std::time::Instant;

use crate::engine::entry::Entry;
use crate::engine::lease::{Background, Held};
use crate::ground::error::Result;
use crate::policy::outcome::Value;
use crate::policy::rules::NoRules;

/// What [`Entry::lookup`] found.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, Lookup};
///
/// match Cache::memory().lookup::<String>("user", 7).await? {
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

/// The right to fill an entry, from [`Entry::lookup`]. It lasts for the entry's `lease_limit`, kept alive by a task of its
/// own. Dropping it gives it back, so that the next caller may load.
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
    /// The value, or the right to store one: for cache-aside by hand. Waits while another caller holds the right,
    /// at most the entry's `wait`; then the vacancy can be filled in name only.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Lookup};
    ///
    /// let entry = Cache::memory().entry::<u32>("square", 12);
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
        let raw = self.raw()?;
        let began = Instant::now();
        let vacancy = |held: Option<Held>, forced| {
            let held = held.map(|held| {
                let background = held.keep_in_background(raw.lease_limit());
                (held, background)
            });
            Lookup::Vacant(Vacancy { entry: self.clone(), held, forced, began })
        };
        if self.core().is_bypassed() {
            return Ok(vacancy(None, false));
        }
        let own = || Loading::contains(raw.core.id, &raw.full);
        if Mode::current() == Mode::Refresh {
            raw.record(Event::Miss(MissReason::TooOld));
            let held = if own() { None } else { acquire_for_put(raw, self.has_late_tags(&NoRules)).await };
            return Ok(vacancy(held, true));
        }
        let mut pause = lease::Pauses::new(raw.wait());
        let mut looks = 0;
        loop {
            let Miss { reason, seen } = match raw.look(self.expected()).await? {
                Looked::Usable(usable) => match self.decode(&usable) {
                    Some(value) => {
                        raw.record(Event::Hit);
                        return Ok(Lookup::Hit(value));
                    }
                    None => Miss { reason: MissReason::Undecodable, seen: usable.header.fill_id },
                },
                Looked::Miss(miss) => miss,
            };
            let vacant = |held| {
                raw.record(Event::Miss(reason));
                vacancy(held, false)
            };
            if own() {
                // This task is loading or putting this very key: it would wait for itself.
                return Ok(vacant(None));
            }
            let capture = to_capture(raw, self.has_late_tags(&NoRules));
            match lease::acquire(raw, Wanted::load(raw, seen, &capture)).await {
                Answer::Held(held) => return Ok(vacant(Some(held))),
                Answer::Found(..) if looks < MOST_LOOKS => looks += 1,
                Answer::Found(..) | Answer::Failed => return Ok(vacant(None)),
                Answer::Busy(remaining) => {
                    if !pause.wait(raw, remaining).await {
                        return Ok(vacant(None));
                    }
                }
            }
        }
    }
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
    /// let Lookup::Vacant(vacancy) = cache.lookup::<u32>("n", 1).await? else { panic!("nothing was stored") };
    /// let loaded = 7; // as it was before somebody
    /// cache.evict_key("n", 1).await?; // changed it
    /// assert!(!vacancy.fill(&loaded).await?, "refused: it would be outdated");
    /// assert_eq!(cache.get::<u32>("n", 1).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// Where the value cannot be encoded or is too large.
    pub async fn fill(self, value: &T) -> Result<bool> {
        let raw = self.entry.raw()?;
        let prepared = self.entry.try_prepare(raw, &NoRules, value);
        let prepared = prepared.inspect_err(|error| raw.failed(error))?;
        let (Some((held, _background)), Some(prepared)) = (self.held, prepared) else { return Ok(false) };
        Ok(prepared.fill(raw, held, self.began.elapsed(), self.forced, false).await.is_stored())
    }
}
