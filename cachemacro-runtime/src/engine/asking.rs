//! Requests for leases: what is asked, and what became of it.
//!
//! The answer to a request is always handled. A request whose caller is dropped goes on in a task of its own, and gives back
//! what nobody wants: a release that is sent instead may overtake it, on another connection, and the lease would be nobody's
//! until it lapses. A request that failed may be carried out all the same, or later: it carries the time after which the store
//! refuses it, and what it was granted is given back at once and once more after that time. Knows no values.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use crate::engine::core::Core;
use crate::engine::lease::{Held, Refreshed};
use crate::engine::raw::{RawEntry, refresh_key, to_capture};
use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::VersionKey;
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::observe::stats::Counters;
use crate::store::{Few, Lease, LeaseKind, LeaseOutcome, LeaseRequest};

/// How much later than that the lease of a request is given back that is refused from then on: this client knows the store's
/// time only so well.
const A_LITTLE: Duration = Duration::from_millis(50);

/// A lease to ask for. Owns what it names, because the request may outlive its caller.
#[derive(Clone)]
pub(crate) struct Wanted {
    key: Arc<str>,
    seen: FillId,
    kind: LeaseKind,
    capture: Capture,
    /// The caller's read found nothing, and these versions.
    vacant: Option<Few<Option<Version>>>,
    over: Token,
    /// The caller has sent nothing before.
    is_first: bool,
}

/// The versions that a lease must capture before the load: those of tags, then any-tag versions.
#[derive(Clone)]
pub(crate) struct Capture {
    keys: Arc<[VersionKey]>,
    known: usize,
    /// How long they must live at least.
    life: Duration,
}

impl Capture {
    pub(crate) fn of(raw: &RawEntry, late_tags: bool) -> Self {
        let keys = to_capture(raw, late_tags).into();
        Self { keys, known: raw.tags.len(), life: raw.version_life() }
    }
}

/// What became of the request for a lease.
pub(crate) enum Answer {
    Held(Held),
    /// Another value than the one that was seen: the entry's bytes, and the captured versions as a read would tell them.
    Found(bytes::Bytes, Vec<Option<Version>>),
    /// Another holds the lease for so long, under other versions where it is named.
    Busy(Duration, Option<Token>),
    /// It came too late, and nothing was done.
    Late,
    /// The store failed; counted already.
    Failed,
}

impl Wanted {
    /// A load's lease, also from this holder where it captured other versions.
    pub(crate) fn load(raw: &RawEntry, seen: FillId, capture: Capture, over: Token) -> Self {
        Self {
            key: raw.full.clone(),
            seen,
            kind: LeaseKind::Load,
            capture,
            vacant: None,
            over,
            is_first: false,
        }
    }

    /// The same of a caller whose read found nothing and, of what is to be captured, these versions.
    pub(crate) fn of_nothing(self, versions: Option<Few<Option<Version>>>) -> Self {
        Self { vacant: versions, ..self }
    }

    /// The same of a caller that has sent nothing before: the store's own timeouts bound it, as they do a read.
    pub(crate) fn first(self) -> Self {
        Self { is_first: true, ..self }
    }

    /// A put's lease, whoever holds it.
    pub(crate) fn put(raw: &RawEntry, capture: Capture) -> Self {
        let (seen, over) = (FillId::NONE, Token::NONE);
        Self {
            key: raw.full.clone(),
            seen,
            kind: LeaseKind::Put,
            capture,
            vacant: None,
            over,
            is_first: false,
        }
    }

    /// The lease of a refresh of this value: that of a second key, where there never is a value.
    pub(crate) fn refresh(raw: &RawEntry, value: Refreshed, capture: Capture) -> Self {
        let (kind, key) = (LeaseKind::Load, refresh_key(&raw.full, value.seen));
        let (seen, over) = (FillId::NONE, Token::NONE);
        Self { key, seen, kind, capture, vacant: None, over, is_first: false }
    }

    fn request(&self, token: Token, live: Duration, not_after: Timestamp) -> LeaseRequest<'_> {
        let request = LeaseRequest::new(&self.key, token, self.kind, live)
            .with_seen(self.seen)
            .with_capture(&self.capture.keys, self.capture.life)
            .with_known(self.capture.known)
            .with_not_after(not_after)
            .with_over(self.over);
        match &self.vacant {
            Some(versions) => request.with_vacant(versions),
            None => request,
        }
    }
}

/// Asks for a lease.
pub(crate) async fn acquire(raw: &RawEntry, wanted: Wanted) -> Answer {
    let site = raw.site.as_ref().map(|(_, counters)| counters.clone());
    Asking::new(&raw.core, ask(raw.core.clone(), site, wanted)).await
}

/// Takes a put's lease, whoever holds it; `None` where the store failed.
pub(crate) async fn acquire_for_put(raw: &RawEntry, late_tags: bool) -> Option<Held> {
    let wanted = Wanted::put(raw, Capture::of(raw, late_tags));
    let answer = match acquire(raw, wanted.clone()).await {
        // Its time was reckoned by a clock that was wrong; by now this client knows better.
        Answer::Late => acquire(raw, wanted).await,
        answer => answer,
    };
    match answer {
        Answer::Held(held) => Some(held),
        Answer::Found(..) | Answer::Busy(..) | Answer::Late | Answer::Failed => None,
    }
}

/// Asks for many leases in one round trip.
pub(crate) async fn acquire_many(core: &Arc<Core>, wanted: Vec<Wanted>) -> Vec<Answer> {
    Asking::new(core, ask_many(core.clone(), wanted)).await
}

async fn ask(core: Arc<Core>, site: Option<Arc<Counters>>, wanted: Wanted) -> Answer {
    let held = Held::attempt(&core, wanted.key.clone());
    let not_after = time_of_refusal(&core);
    let request = wanted.request(held.token(), core.settings.lease, not_after);
    let (site, asked) = (site.as_deref(), core.store.lease_one(request));
    let lease = if wanted.is_first {
        core.timed_first(site, "lease", asked).await
    } else {
        core.timed_at(site, "lease", asked).await
    };
    if let Ok(lease) = &lease {
        core.captured(&wanted.capture.keys, &lease.versions);
    }
    answered(held, lease, not_after)
}

async fn ask_many(core: Arc<Core>, wanted: Vec<Wanted>) -> Vec<Answer> {
    let attempts: Vec<Held> = wanted.iter().map(|wanted| Held::attempt(&core, wanted.key.clone())).collect();
    let not_after = time_of_refusal(&core);
    let requests: Vec<_> = wanted
        .iter()
        .zip(&attempts)
        .map(|(wanted, held)| wanted.request(held.token(), core.settings.lease, not_after))
        .collect();
    let leases = match core.timed("lease", core.store.lease(&requests)).await {
        Ok(leases) => {
            for (wanted, lease) in wanted.iter().zip(&leases) {
                core.captured(&wanted.capture.keys, &lease.versions);
            }
            leases.into_iter().map(Ok).collect()
        }
        Err(error) => vec![Err(error); attempts.len()],
    };
    attempts.into_iter().zip(leases).map(|(held, lease)| answered(held, lease, not_after)).collect()
}

/// When the store refuses a request that is sent now; zero: it is not carried out once its future is gone.
fn time_of_refusal(core: &Core) -> Timestamp {
    core.store.about().patience.map_or(Timestamp(0), |patience| core.store.now().plus(patience))
}

/// What the answer means for the lease that was asked for.
fn answered(held: Held, lease: Result<Lease>, not_after: Timestamp) -> Answer {
    let Lease { versions, outcome } = match lease {
        Ok(lease) => lease,
        Err(error) => {
            failed(held, &error, not_after);
            return Answer::Failed;
        }
    };
    match outcome {
        LeaseOutcome::Taken => Answer::Held(held.taken(versions)),
        LeaseOutcome::Found(bytes) => {
            held.spend();
            Answer::Found(bytes, versions.into_iter().map(Some).collect())
        }
        LeaseOutcome::Busy { left, outdated } => {
            held.spend();
            Answer::Busy(left, outdated)
        }
        LeaseOutcome::Late => {
            held.spend();
            Answer::Late
        }
    }
}

/// The request failed. A lease that was granted all the same is given back: now, as most are by then, and once more when none
/// can be granted any more.
fn failed(held: Held, error: &Error, not_after: Timestamp) {
    if error.kind() == ErrorKind::Connect {
        // Nothing was sent.
        return held.spend();
    }
    if not_after != Timestamp(0) {
        let later = held.again();
        held.core().go_on(async move {
            let core = later.core();
            tokio::time::sleep(not_after.since(core.store.now()) + A_LITTLE).await;
            drop(later);
        });
    }
    drop(held);
}

/// A request that goes on in a task of its own where its caller is dropped. On the heap, which keeps callers' futures small.
struct Asking<T: Send + 'static> {
    core: Arc<Core>,
    request: Option<Pin<Box<dyn Future<Output = T> + Send>>>,
}

impl<T: Send + 'static> Asking<T> {
    fn new(core: &Arc<Core>, request: impl Future<Output = T> + Send + 'static) -> Self {
        Self { core: Arc::clone(core), request: Some(Box::pin(request)) }
    }
}

impl<T: Send + 'static> Future for Asking<T> {
    type Output = T;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<T> {
        let request = self.request.as_mut().expect("it is polled until it is ready");
        let answer = ready!(request.as_mut().poll(context));
        self.request = None;
        Poll::Ready(answer)
    }
}

impl<T: Send + 'static> Drop for Asking<T> {
    // G9: a lease that nobody wants any more keeps nobody else from loading. Dropping the answer gives it back.
    fn drop(&mut self) {
        if let Some(request) = self.request.take() {
            self.core.go_on(async move { drop(request.await) });
        }
    }
}
