//! Loaders of one key in the whole fleet: one holds the lease, kept alive while its load is polled.
//!
//! Knows no values. A token is drawn for each attempt and sent once.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use futures_util::future::{Either, select_all};

use crate::engine::core::Core;
use crate::engine::raw::RawEntry;
use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::VersionKey;
use crate::ground::chunks::MOST_ENTRIES;
use crate::ground::clock::NEVER;
use crate::store::{Changes, Guard, HeldLease, Keep};

/// The value that is refreshed, as its header says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refreshed {
    pub(crate) seen: FillId,
    /// Of the entry's own lease; as a rule nobody's.
    pub(crate) token: Token,
}

/// A held lease. Dropped before it was spent, it is given back.
pub(crate) struct Held {
    core: Arc<Core>,
    /// Of the entry, or the second key of a refresh.
    key: Arc<str>,
    token: Token,
    refreshed: Option<Refreshed>,
    /// The captured versions, in the order of the request.
    pub(crate) versions: Vec<Version>,
    spent: bool,
}

// Keys may be secrets.
impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("spent", &self.spent).finish_non_exhaustive()
    }
}

impl Held {
    // G1: a token is sent once, so a request whose reply was lost cannot let a later fill through.
    /// A lease under a fresh token. Until the answer is known it counts as held: whatever drops it gives back what the server
    /// may have granted.
    pub(crate) fn attempt(core: &Arc<Core>, key: Arc<str>) -> Self {
        let token = core.store.token();
        Self { core: core.clone(), key, token, refreshed: None, versions: Vec::new(), spent: false }
    }

    /// The lease was granted, with these captured versions.
    pub(crate) fn taken(mut self, versions: Vec<Version>) -> Self {
        self.versions = versions;
        self
    }

    /// It is a refresh's, of this value.
    pub(crate) fn refreshes(mut self, value: Refreshed) -> Self {
        self.refreshed = Some(value);
        self
    }

    pub(crate) const fn is_refresh(&self) -> bool {
        self.refreshed.is_some()
    }

    /// What must hold for what is stored under it.
    pub(crate) fn guard(&self) -> Guard {
        match self.refreshed {
            Some(Refreshed { seen, token }) => Guard::unchanged(seen, token),
            None => Guard::Lease(self.token),
        }
    }

    /// The versions of tags that it captured, by the hashes of these tags.
    pub(crate) fn captured<'a>(
        &'a self,
        tags: &'a [VersionKey],
    ) -> impl Iterator<Item = (u64, Version)> + 'a {
        tags.iter().map(|tag| tag.hash).zip(self.versions.iter().copied())
    }

    /// The same once more, to be given back a second time.
    pub(crate) fn again(&self) -> Self {
        let (core, key) = (self.core.clone(), self.key.clone());
        Self { core, key, token: self.token, refreshed: None, versions: Vec::new(), spent: false }
    }

    pub(crate) const fn core(&self) -> &Arc<Core> {
        &self.core
    }

    pub(crate) const fn token(&self) -> Token {
        self.token
    }

    /// Names what is stored under it.
    pub(crate) const fn fill_id(&self) -> FillId {
        FillId::under(self.token)
    }

    fn as_held(&self) -> HeldLease<'_> {
        HeldLease::new(&self.key, self.token)
    }

    /// Nothing is left to give back: a fill has used the lease up, or the entry goes with it.
    pub(crate) fn spend(mut self) {
        self.spent = true;
    }

    /// A fill was answered. The entry's lease went with it; a second key does not.
    pub(crate) fn filled(self) {
        if !self.is_refresh() {
            self.spend();
        }
    }

    /// A refresh has failed: it is left to lapse after so long, which keeps all others from another attempt.
    pub(crate) async fn rest(self, time: Duration) {
        let core = self.core.clone();
        let resting = core.timed("keep", core.store.keep(&[self.as_held()], Keep::Renew(time))).await;
        if resting.is_ok() {
            self.spend();
        }
    }

    /// Renews the lease from a task of its own, until what is returned is dropped or `limit` has passed.
    pub(crate) fn keep_in_background(&self, limit: Duration) -> Background {
        Background(tokio::spawn(Keeper::of(&[self], limit).renew()).abort_handle())
    }

    /// Gives the lease back without a value.
    pub(crate) async fn give_back(mut self) {
        let core = self.core.clone();
        let released = core.timed("keep", core.store.keep(&[self.as_held()], Keep::Release)).await;
        // Where it failed, the queue goes on with it.
        self.spent = released.is_ok();
    }
}

impl Drop for Held {
    // G9: a load that was dropped or panicked keeps nobody else from loading.
    fn drop(&mut self) {
        if self.spent {
            return;
        }
        match self.core.store.immediate() {
            Some(immediate) => drop(immediate.release(self.as_held())),
            None => self.core.release_later(self.key.to_string(), self.token),
        }
    }
}

/// Polls `body` and renews these leases beside it, until `limit` has passed since the call.
pub(crate) fn keep<F: Future>(
    leases: &[&Held],
    limit: Duration,
    body: F,
) -> impl Future<Output = F::Output> + use<F> {
    if leases.is_empty() { Either::Left(body) } else { Either::Right(Keeper::of(leases, limit).run(body)) }
}

/// A task that renews a lease; dropping this ends it.
#[derive(Debug)]
pub(crate) struct Background(tokio::task::AbortHandle);

impl Drop for Background {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The pauses between requests for a lease that another process holds, until the wait is over.
#[derive(Debug, Clone)]
pub(crate) struct Pauses {
    end: tokio::time::Instant,
    next: Duration,
}

impl Pauses {
    const FIRST: Duration = Duration::from_millis(5);
    const LONGEST: Duration = Duration::from_millis(100);

    pub(crate) fn new(wait: Duration) -> Self {
        Self { end: tokio::time::Instant::now() + wait.min(NEVER), next: Self::FIRST }
    }

    /// How much of the wait is left.
    pub(crate) fn left(&self) -> Duration {
        self.end.saturating_duration_since(tokio::time::Instant::now())
    }

    /// Makes the next pause as long as theirs.
    pub(crate) fn follow(&mut self, others: &Self) {
        self.next = others.next;
    }

    /// Pauses until the entry may have changed; false where the wait is over.
    pub(crate) async fn wait(&mut self, raw: &RawEntry, remaining: Duration) -> bool {
        self.wait_for_any(&[(raw, remaining)]).await
    }

    /// Pauses until one of these entries may have changed, each of whose leases remains so long.
    pub(crate) async fn wait_for_any(&mut self, leased: &[(&RawEntry, Duration)]) -> bool {
        let Some((raw, _)) = leased.first() else { return false };
        let left = self.left();
        if left.is_zero() {
            return false;
        }
        let changes = raw.core.store.changes();
        let pause = if changes.is_some_and(Changes::are_told) {
            left
        } else {
            let jittered = self.next.mul_f64(rand::random_range(0.5..1.5));
            self.next = self.next.mul_f64(1.5).min(Self::LONGEST);
            jittered.min(left)
        };
        let pause_for = |remaining: &Duration| pause.min((*remaining).max(Self::FIRST));
        if let Some(changes) = changes {
            let changed =
                leased.iter().map(|(raw, remaining)| changes.changed(&raw.full, pause_for(remaining)));
            select_all(changed).await;
        } else {
            let shortest = leased.iter().map(|(_, remaining)| pause_for(remaining)).min();
            tokio::time::sleep(shortest.unwrap_or(pause)).await;
        }
        true
    }
}

/// Paces the renewals: one every third of a lease's life.
pub(crate) struct Renewals {
    every: Duration,
    next: tokio::time::Instant,
}

impl Renewals {
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        let every = core.settings.lease / 3;
        Self { every, next: tokio::time::Instant::now() + every }
    }

    /// Renews these if it is time to.
    pub(crate) async fn renew(&mut self, core: &Arc<Core>, leases: impl Iterator<Item = &Held>) {
        if tokio::time::Instant::now() >= self.next {
            self.pass();
            let leases: Vec<_> = leases.map(|held| (&*held.key, held.token)).collect();
            // A lease that was lost is noticed at the fill.
            let _ = renew_all(core, &leases).await;
        }
    }

    async fn wait(&mut self) {
        tokio::time::sleep_until(self.next).await;
        self.pass();
    }

    fn pass(&mut self) {
        self.next = tokio::time::Instant::now() + self.every;
    }
}

/// Renews leases, many at a time; tells of each whether it may still be held. What failed is tried again at the next
/// turn, if the lease lives that long.
async fn renew_all(core: &Arc<Core>, leases: &[(impl AsRef<str>, Token)]) -> Vec<bool> {
    let mut kept = Vec::with_capacity(leases.len());
    for some in leases.chunks(MOST_ENTRIES) {
        let held: Vec<_> = some.iter().map(|(key, token)| HeldLease::new(key.as_ref(), *token)).collect();
        match core.timed("keep", core.store.keep(&held, Keep::Renew(core.settings.lease))).await {
            Ok(renewed) => kept.extend(renewed),
            Err(_) => break,
        }
    }
    kept.resize(leases.len(), true);
    kept
}

/// Renews leases until a limit, or until none is held.
struct Keeper {
    core: Arc<Core>,
    leases: Vec<(Arc<str>, Token)>,
    limit: Duration,
}

impl Keeper {
    fn of(leases: &[&Held], limit: Duration) -> Self {
        let core = leases[0].core.clone();
        let leases = leases.iter().map(|held| (held.key.clone(), held.token)).collect();
        Self { core, leases, limit }
    }

    async fn run<F: Future>(self, body: F) -> F::Output {
        let mut body = std::pin::pin!(body);
        let mut this = Some(self);
        // Made when the body first waits: what is ready at once needs no timer.
        let mut renewing: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
        std::future::poll_fn(|context| {
            if let Poll::Ready(output) = body.as_mut().poll(context) {
                return Poll::Ready(output);
            }
            if let Some(keeper) = this.take() {
                renewing = Some(Box::pin(keeper.renew()));
            }
            if renewing.as_mut().is_some_and(|renewing| renewing.as_mut().poll(context).is_ready()) {
                renewing = None;
            }
            Poll::Pending
        })
        .await
    }

    /// Renews until the limit or until no lease is held any more.
    async fn renew(mut self) {
        let end = tokio::time::Instant::now() + self.limit.min(NEVER);
        let mut renewals = Renewals::new(&self.core);
        while !self.leases.is_empty() {
            renewals.wait().await;
            if tokio::time::Instant::now() >= end {
                return;
            }
            let mut kept = renew_all(&self.core, &self.leases).await.into_iter();
            self.leases.retain(|_| kept.next().unwrap_or(true));
        }
    }
}
