//! Where time comes from, so that tests can move it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The time that stands for "never" where one is needed: clocks can add it without overflow.
pub(crate) const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
/// The TTL of a tagged entry that never expires.
pub(crate) const TAGGED_NEVER: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// A point in time of a store's clock: milliseconds since the Unix epoch.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::Timestamp;
/// use std::time::Duration;
///
/// let noon = Timestamp(43_200_000);
/// assert!(noon < noon.plus(Duration::from_millis(1)));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(pub u64);

impl Timestamp {
    /// The time as milliseconds since the Unix epoch.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// assert_eq!(cachemacro::Timestamp(1_500).millis(), 1_500);
    /// ```
    pub const fn millis(self) -> u64 {
        self.0
    }

    /// This time plus `duration`, in whole milliseconds, at most the end of time.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Timestamp;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Timestamp(1_500).plus(Duration::from_secs(2)), Timestamp(3_500));
    /// assert_eq!(Timestamp(1).plus(Duration::MAX), Timestamp(u64::MAX));
    /// ```
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This time less `duration`, in whole milliseconds, at least the epoch.
    #[must_use]
    pub(crate) fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long after `earlier` this is; zero where it is not after it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Timestamp;
    /// use std::time::Duration;
    ///
    /// assert_eq!(Timestamp(3_500).since(Timestamp(1_500)), Duration::from_secs(2));
    /// assert_eq!(Timestamp(1_500).since(Timestamp(3_500)), Duration::ZERO);
    /// ```
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

/// How far [`Clock::coarse`] may be behind: twice the step of the slowest kernel, once for each of two readings.
pub(crate) const COARSENESS: Duration = Duration::from_millis(20);

/// A reading of the system's coarse clock, which goes in steps of a kernel's tick.
#[cfg(target_os = "linux")]
#[derive(Debug, Clone, Copy)]
struct Coarse(rustix::time::Timespec);

#[cfg(target_os = "linux")]
impl Coarse {
    #[inline]
    fn now() -> Self {
        Self(rustix::time::clock_gettime(rustix::time::ClockId::MonotonicCoarse))
    }

    #[inline]
    fn elapsed_millis(self) -> u64 {
        let now = Self::now().0;
        let millis = (now.tv_sec - self.0.tv_sec) * 1_000 + (now.tv_nsec - self.0.tv_nsec) / 1_000_000;
        u64::try_from(millis).unwrap_or(0)
    }
}

/// Elsewhere the clock is not coarse.
#[cfg(not(target_os = "linux"))]
#[derive(Debug, Clone, Copy)]
struct Coarse(Instant);

#[cfg(not(target_os = "linux"))]
impl Coarse {
    fn now() -> Self {
        Self(Instant::now())
    }

    fn elapsed_millis(self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The clock of an in-memory store: the system's, or one that a test moves.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::Clock;
/// use std::time::Duration;
///
/// let clock = Clock::manual();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(before), Duration::from_secs(60));
/// ```
#[derive(Debug, Clone)]
pub struct Clock(Source);

#[derive(Debug, Clone)]
enum Source {
    System { began: Timestamp, at: Instant, coarse: Coarse },
    Manual(Arc<AtomicU64>),
}

impl Default for Clock {
    /// [`Clock::system`].
    fn default() -> Self {
        Self::system()
    }
}

impl Clock {
    /// The system's clock as it is now. From then on it goes on steadily, also where the system's is set to another time:
    /// entries live neither longer nor shorter for that.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Clock, Timestamp};
    ///
    /// assert!(Clock::system().now() > Timestamp(1_700_000_000_000), "it is later than 2023");
    /// ```
    pub fn system() -> Self {
        Self(Source::System { began: Timestamp(system_millis()), at: Instant::now(), coarse: Coarse::now() })
    }

    /// A clock that stands still until [`advance`](Self::advance) moves it. Clones share the time.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::Clock;
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual(); // begins at the system's time
    /// let other = clock.clone();
    /// clock.advance(Duration::from_secs(1));
    /// assert_eq!(other.now(), clock.now());
    /// ```
    pub fn manual() -> Self {
        Self(Source::Manual(Arc::new(AtomicU64::new(system_millis()))))
    }

    /// The time now, to the millisecond.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// let clock = cachemacro::Clock::manual();
    /// assert_eq!(clock.now(), clock.now(), "it stands still");
    /// ```
    pub fn now(&self) -> Timestamp {
        match &self.0 {
            Source::System { began, at, .. } => began.plus(at.elapsed()),
            Source::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// Whether it stands still until it is moved.
    pub(crate) const fn is_manual(&self) -> bool {
        matches!(self.0, Source::Manual(_))
    }

    /// The time now or up to [`COARSENESS`] before, at a tenth of what [`now`](Self::now) costs.
    #[inline]
    pub(crate) fn coarse(&self) -> Timestamp {
        match &self.0 {
            Source::System { began, coarse, .. } => {
                Timestamp(began.0.saturating_add(coarse.elapsed_millis()))
            }
            Source::Manual(millis) => Timestamp(millis.load(Ordering::SeqCst)),
        }
    }

    /// Moves a manual clock forward, by whole milliseconds, at most to the end of time.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
    /// use cachemacro::{Cache, Clock};
    /// use std::time::Duration;
    ///
    /// let clock = Clock::manual();
    /// let cache = Cache::builder().memory().clock(clock.clone()).build()?;
    /// cache.entry("n", 1).with_ttl(Duration::from_secs(5)).set(&7).await?;
    /// clock.advance(Duration::from_secs(6));
    /// assert_eq!(cache.get::<i32>("n", 1).await?, None);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// On the system's clock, which nobody moves.
    pub fn advance(&self, by: Duration) {
        match &self.0 {
            Source::System { .. } => panic!("Clock::advance works on Clock::manual() only"),
            Source::Manual(millis) => {
                let later = |now| Some(Timestamp(now).plus(by).millis());
                // A change that is never declined.
                let _ = millis.fetch_update(Ordering::SeqCst, Ordering::SeqCst, later);
            }
        }
    }
}

fn system_millis() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_moved_never_goes_back() {
        let clock = Clock::manual();
        clock.advance(Duration::MAX);
        assert_eq!(clock.now(), Timestamp(u64::MAX));
        clock.advance(Duration::from_secs(1));
        assert_eq!(clock.now(), Timestamp(u64::MAX));
    }

    #[test]
    fn the_systems_clock_goes_by_what_elapsed_and_not_by_what_the_system_says_later() {
        let at = Instant::now().checked_sub(Duration::from_secs(5)).expect("the machine is up for longer");
        // The system's clock was far behind when this one began.
        let clock = Clock(Source::System { began: Timestamp(1_000), at, coarse: Coarse::now() });
        let now = clock.now();
        assert!((6_000..60_000).contains(&now.millis()), "{now:?}");
        assert!(clock.clone().now() >= now, "clones share the time");
    }
}
