//! Asking for leases, renewing them and giving them back.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

use bytes::Bytes;

use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::VersionKey;
use crate::ground::clock::Timestamp;
use crate::ground::setters::setters;

/// Who asks for a lease, which decides what it may displace. A store that does not know a kind answers
/// [`Busy`](LeaseOutcome::Busy).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, Token, memory::MemoryStore};
/// use std::time::Duration;
///
/// let store = MemoryStore::new();
/// let ask = |token, kind| LeaseRequest::new("user:7", Token::new(token), kind, Duration::from_secs(3));
/// store.lease(&[ask(1, LeaseKind::Load)]).await?;
/// let put = store.lease(&[ask(2, LeaseKind::Put)]).await?;
/// assert!(matches!(put[0].outcome, LeaseOutcome::Taken), "by force");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseKind {
    /// A load that found nothing usable: gets a free lease or a put's.
    Load,
    /// A put: takes the lease by force, whoever holds it.
    Put,
}

/// The right to fill one entry, asked for.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{FillId, LeaseKind, LeaseRequest, Token};
/// use std::time::Duration;
///
/// let request = LeaseRequest::new("user:7", Token::random(), LeaseKind::Load, Duration::from_secs(3));
/// assert_eq!((request.seen, request.capture.len()), (FillId::NONE, 0));
/// assert!(!format!("{request:?}").contains("user"), "keys may be secrets");
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct LeaseRequest<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// A fresh random token; it is sent once and never again (G1): of a request whose answer was lost, nobody knows
    /// whether it displaced a value since.
    pub token: Token,
    /// The value that the caller saw and could not use. Any other one is [found](LeaseOutcome::Found) instead of a lease.
    pub seen: FillId,
    /// Who asks.
    pub kind: LeaseKind,
    /// How long the lease lives unless it is renewed.
    pub live: Duration,
    /// Versions to capture before the lease is taken, creating those that are missing.
    pub capture: &'a [VersionKey],
    /// How many of these, the first ones, are versions of tags. The others are any-tag versions, and count as one.
    pub known: usize,
    /// How long the captured versions must live at least.
    pub version_life: Duration,
    /// The store's time after which the request is [refused](LeaseOutcome::Late); zero: none. So one that was given up cannot
    /// be granted later than its caller waits to give back what it may have been granted.
    pub not_after: Timestamp,
    /// Of a caller whose read found nothing under the key: what that read showed of the versions to capture, in their order. Where
    /// there is nothing still, a store may take these for captured: the older they are, the sooner what is stored under them is
    /// outdated.
    pub vacant: Option<&'a [Option<Version>]>,
    /// A holder that an earlier answer called [outdated](LeaseOutcome::Busy::outdated): where it still is, and captured other
    /// versions than are captured for this request, its lease passes to this one.
    pub over: Token,
}

impl<'a> LeaseRequest<'a> {
    /// A request by one who saw no value and captures no versions.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{LeaseKind, LeaseRequest, Token};
    /// use std::time::Duration;
    ///
    /// let request = LeaseRequest::new("user:7", Token::random(), LeaseKind::Load, Duration::from_secs(3));
    /// assert_eq!(request.key, "user:7");
    /// ```
    pub const fn new(key: &'a str, token: Token, kind: LeaseKind, live: Duration) -> Self {
        let seen = FillId::NONE;
        Self {
            key,
            token,
            seen,
            kind,
            live,
            capture: &[],
            known: 0,
            version_life: Duration::ZERO,
            not_after: Timestamp(0),
            vacant: None,
            over: Token::NONE,
        }
    }

    /// Says that the caller's read found nothing under the key, and these versions of those to capture.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{LeaseKind, LeaseRequest, Token};
    /// use std::time::Duration;
    ///
    /// let request = LeaseRequest::new("user:7", Token::random(), LeaseKind::Load, Duration::from_secs(3));
    /// assert_eq!((request.vacant, request.with_vacant(&[]).vacant), (None, Some(&[][..])));
    /// ```
    #[must_use]
    pub const fn with_vacant(mut self, versions: &'a [Option<Version>]) -> Self {
        self.vacant = Some(versions);
        self
    }

    setters! {
        /// Says which value the caller saw and could not use.
        with_seen(seen: FillId);
        /// Refused after this time.
        with_not_after(not_after: Timestamp);
        /// Takes over from this holder, where it captured other versions.
        with_over(over: Token);
    }

    /// Captures these versions, all of tags, each of which is to live so long at least.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{LeaseKind, LeaseRequest, Token, VersionKey};
    /// use std::time::Duration;
    ///
    /// let (tags, minute) = ([VersionKey::new("{tag:07}:users", 7)], Duration::from_secs(60));
    /// let request = LeaseRequest::new("user:7", Token::random(), LeaseKind::Load, minute);
    /// assert_eq!(request.with_capture(&tags, minute).version_life, minute);
    /// ```
    #[must_use]
    pub const fn with_capture(mut self, capture: &'a [VersionKey], life: Duration) -> Self {
        self.capture = capture;
        self.known = capture.len();
        self.version_life = life;
        self
    }

    /// Of the versions to capture only the first `known` are those of tags; the others are any-tag versions.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{LeaseKind, LeaseRequest, Token, VersionKey};
    /// use std::time::Duration;
    ///
    /// let (minute, key) = (Duration::from_secs(60), |text| VersionKey::new(text, 7));
    /// let versions = [key("{tag:07}:users"), key("{tag:07}")];
    /// let request = LeaseRequest::new("user:7", Token::random(), LeaseKind::Load, minute);
    /// assert_eq!(request.with_capture(&versions, minute).with_known(1).known, 1);
    /// ```
    #[must_use]
    pub const fn with_known(mut self, known: usize) -> Self {
        self.known = known;
        self
    }

    /// Whether it is too late for this request.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Timestamp, store::{LeaseKind, LeaseRequest, Token}};
    /// use std::time::Duration;
    ///
    /// let request = LeaseRequest::new("user:7", Token::random(), LeaseKind::Load, Duration::from_secs(3));
    /// assert!(!request.is_late(Timestamp(9_000)));
    /// assert!(request.with_not_after(Timestamp(8_000)).is_late(Timestamp(8_001)));
    /// ```
    pub fn is_late(&self, now: Timestamp) -> bool {
        self.not_after != Timestamp(0) && now > self.not_after
    }
}

/// The versions that some requests capture, each once.
pub(crate) struct Captures<'a> {
    pub(crate) keys: Vec<&'a VersionKey>,
    /// For each of them, the longest of the lives that are asked for.
    pub(crate) lives: Vec<Duration>,
    /// For each request, where its versions are among `keys`.
    places: Vec<Vec<usize>>,
}

impl<'a> Captures<'a> {
    pub(crate) fn of(requests: &[LeaseRequest<'a>]) -> Self {
        let (mut keys, mut lives) = (Vec::new(), Vec::new());
        let mut known = HashMap::new();
        let mut place = |key: &'a VersionKey, life: Duration| {
            let at = *known.entry(key.text.as_str()).or_insert_with(|| {
                keys.push(key);
                lives.push(life);
                keys.len() - 1
            });
            lives[at] = life.max(lives[at]);
            at
        };
        let places = requests
            .iter()
            .map(|request| request.capture.iter().map(|key| place(key, request.version_life)).collect())
            .collect();
        Self { keys, lives, places }
    }

    /// Each key with its life.
    pub(crate) fn with_lives(&self) -> impl ExactSizeIterator<Item = (&'a VersionKey, Duration)> + Clone {
        self.keys.iter().copied().zip(self.lives.iter().copied())
    }

    /// For each request its own of the versions that were captured for `keys`.
    pub(crate) fn hand_out(&self, captured: &[Version]) -> impl Iterator<Item = Vec<Version>> {
        self.places.iter().map(|places| places.iter().map(|&at| captured[at]).collect())
    }
}

/// The answer to a [`LeaseRequest`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, Token, memory::MemoryStore};
/// use std::time::Duration;
///
/// let request = LeaseRequest::new("user:7", Token::random(), LeaseKind::Load, Duration::from_secs(3));
/// let leases = MemoryStore::new().lease(&[request]).await?;
/// assert!(leases[0].versions.is_empty() && matches!(leases[0].outcome, LeaseOutcome::Taken));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Lease {
    /// The captured versions, in the order of the request; none where it came too late.
    pub versions: Vec<Version>,
    /// What became of the request.
    pub outcome: LeaseOutcome,
}

impl Lease {
    /// An answer.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{Lease, LeaseOutcome};
    ///
    /// assert!(Lease::new(Vec::new(), LeaseOutcome::Taken).versions.is_empty());
    /// ```
    pub const fn new(versions: Vec<Version>, outcome: LeaseOutcome) -> Self {
        Self { versions, outcome }
    }
}

/// What became of a [`LeaseRequest`].
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, Token, memory::MemoryStore};
/// use std::time::Duration;
///
/// let (store, live) = (MemoryStore::new(), Duration::from_secs(3));
/// let ask = |token| LeaseRequest::new("user:7", Token::new(token), LeaseKind::Load, live);
/// let leases = store.lease(&[ask(1), ask(2)]).await?;
/// match leases[1].outcome {
///     LeaseOutcome::Busy { left, .. } => assert!(left <= live),
///     _ => panic!("another holds it"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaseOutcome {
    /// The caller holds the lease.
    Taken,
    /// A readable value with another fill id than the one seen is there by now: the whole entry.
    Found(Bytes),
    /// Another holds the lease.
    #[non_exhaustive]
    Busy {
        /// How long the lease has left unless its holder renews it.
        left: Duration,
        /// The holder, where it captured another version of a tag than this request did: nobody could read what it stores, or,
        /// where captures are not one step with taking a lease, this request's versions are the older ones. A request that
        /// captures anew and [names it](LeaseRequest::with_over) takes the lease where the former is the case.
        outdated: Option<Token>,
    },
    /// The request came after [its time](LeaseRequest::not_after): no lease was taken.
    Late,
}

impl LeaseOutcome {
    /// Another holds the lease, which has this long left unless it is renewed.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::LeaseOutcome;
    /// use std::time::Duration;
    ///
    /// assert!(matches!(LeaseOutcome::busy(Duration::from_secs(3)), LeaseOutcome::Busy { .. }));
    /// ```
    pub const fn busy(left: Duration) -> Self {
        Self::Busy { left, outdated: None }
    }

    /// The same, of a holder that captured other versions.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{LeaseOutcome, Token};
    /// use std::time::Duration;
    ///
    /// let busy = LeaseOutcome::outdated(Duration::from_secs(3), Token::new(7));
    /// assert!(matches!(busy, LeaseOutcome::Busy { outdated: Some(_), .. }));
    /// ```
    pub const fn outdated(left: Duration, holder: Token) -> Self {
        Self::Busy { left, outdated: Some(holder) }
    }
}

/// A lease that was taken, by which its holder refers to it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{HeldLease, Token};
///
/// let held = HeldLease::new("user:7", Token::new(1));
/// assert!(!format!("{held:?}").contains("user"), "keys may be secrets");
/// ```
#[derive(Clone, Copy)]
#[non_exhaustive]
pub struct HeldLease<'a> {
    /// The entry's key.
    pub key: &'a str,
    /// The token of the request that was granted.
    pub token: Token,
}

impl<'a> HeldLease<'a> {
    /// The lease of `key` that was granted to `token`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::{HeldLease, Token};
    ///
    /// assert_eq!(HeldLease::new("user:7", Token::new(1)).token, Token::new(1));
    /// ```
    pub const fn new(key: &'a str, token: Token) -> Self {
        Self { key, token }
    }
}

/// What is to become of held leases. A store that does not know it leaves them, and answers `false`.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::store::{HeldLease, Keep, LeaseKind, LeaseRequest, Store, Token, memory::MemoryStore};
/// use std::time::Duration;
///
/// let (store, live) = (MemoryStore::new(), Duration::from_secs(3));
/// store.lease(&[LeaseRequest::new("user:7", Token::new(1), LeaseKind::Load, live)]).await?;
/// let held = [HeldLease::new("user:7", Token::new(1)), HeldLease::new("user:8", Token::new(2))];
/// assert_eq!(store.keep(&held, Keep::Renew(live)).await?, [true, false]);
/// assert_eq!(store.keep(&held, Keep::Release).await?, [true, false]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Keep {
    /// The leases live this long from now.
    Renew(Duration),
    /// The leases are given back without a value: a pending entry goes, a value stays.
    Release,
}

// Keys and values may be secrets: only how many and how long they are is shown.

impl fmt::Debug for LeaseRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LeaseRequest")
            .field("kind", &self.kind)
            .field("seen", &self.seen)
            .field("live", &self.live)
            .field("capture", &self.capture.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for LeaseOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            LeaseOutcome::Taken => f.write_str("Taken"),
            LeaseOutcome::Found(bytes) => write!(f, "Found({} bytes)", bytes.len()),
            LeaseOutcome::Busy { left, outdated } => {
                write!(f, "Busy({left:?}{})", if outdated.is_some() { ", outdated" } else { "" })
            }
            LeaseOutcome::Late => f.write_str("Late"),
        }
    }
}

impl fmt::Debug for HeldLease<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeldLease").finish_non_exhaustive()
    }
}
