//! A release never overtakes the request that it gives back: a lease is left to nobody by no call that is cancelled, and by no
//! request that fails.

use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use cachemacro::store::faults::{FaultStore, Op};
use cachemacro::store::{About, Lease, LeaseKind, LeaseRequest, Store, Token, VersionKey, pass_on};
use cachemacro::{Cache, Entry, Error, ErrorKind, Mode, Result, Timestamp};
use cachemacro_tests::halt::reached;
use cachemacro_tests::{DEADLINE, LONG, Rig, on_both_stores, wait_until};
use tokio::task::JoinHandle;

/// A store to which requests for leases go as over a network: what was sent is carried out, whatever becomes of its caller.
struct Wire {
    inner: Arc<dyn Store>,
    /// How long callers wait for an answer; `None`: as long as it takes.
    patience: Option<Duration>,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire").finish_non_exhaustive()
    }
}

/// A request that was sent.
struct Message {
    key: String,
    capture: Vec<VersionKey>,
    token: Token,
    kind: LeaseKind,
    live: Duration,
    not_after: Timestamp,
}

impl Message {
    fn request(&self) -> LeaseRequest<'_> {
        LeaseRequest::new(&self.key, self.token, self.kind, self.live)
            .with_capture(&self.capture, LONG)
            .with_not_after(self.not_after)
    }
}

impl Wire {
    fn send(&self, requests: &[LeaseRequest<'_>]) -> JoinHandle<Result<Vec<Lease>>> {
        let message = |request: &LeaseRequest<'_>| Message {
            key: request.key.to_owned(),
            capture: request.capture.to_vec(),
            token: request.token,
            kind: request.kind,
            live: request.live,
            not_after: request.not_after,
        };
        let messages: Vec<_> = requests.iter().map(message).collect();
        let inner = self.inner.clone();
        tokio::spawn(async move {
            let requests: Vec<_> = messages.iter().map(Message::request).collect();
            inner.lease(&requests).await
        })
    }
}

#[async_trait]
impl Store for Wire {
    pass_on!(self.inner: now, read, capture, keep, write, evict, evict_prefix, health);
    pass_on!(self.inner: time, connect, close, increment, changes);

    fn about(&self) -> About {
        let about = self.inner.about();
        self.patience.map_or(about, |patience| about.with_patience(patience))
    }

    async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        let answer = self.send(requests);
        match self.patience {
            Some(patience) => match tokio::time::timeout(patience, answer).await {
                Ok(answer) => answer.expect("it does not panic"),
                Err(_) => Err(Error::new(ErrorKind::Timeout, "no answer")),
            },
            None => answer.await.expect("it does not panic"),
        }
    }
}

fn process(rig: &Rig, patience: Option<Duration>) -> (Cache, Arc<FaultStore>) {
    let faults = Arc::new(FaultStore::new(rig.store()));
    let store = Arc::new(Wire { inner: faults.clone(), patience });
    let cache = Cache::builder().store(store).namespace(rig.namespace()).lease(LONG).wait(LONG);
    (cache.build().expect("acceptable settings"), faults)
}

/// Every kind of call that asks for a lease.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Call {
    Load,
    Lookup,
    Batch,
    Refresh,
}

const CALLS: [Call; 4] = [Call::Load, Call::Lookup, Call::Batch, Call::Refresh];

fn start(cache: &Cache, call: Call) -> JoinHandle<()> {
    let entry: Entry<u32> = cache.entry("row", 1).with_tags(["tag"]);
    let cache = cache.clone();
    tokio::spawn(async move {
        match call {
            Call::Load => drop(entry.get_or_load(async || 1).await),
            Call::Lookup => drop(entry.lookup().await),
            Call::Batch => {
                let load = async |ids: Vec<u32>| ids.into_iter().map(|id| (id, id)).collect();
                drop(cache.get_or_load_many::<u32, u32, _>("row", [1, 2], load).await);
            }
            Call::Refresh => drop(Mode::Refresh.scope(entry.get_or_load(async || 1)).await),
        }
    })
}

/// Upholds G9.
async fn nothing_is_left(rig: &Rig) {
    wait_until("no lease is left", DEADLINE, async || {
        rig.raw("row:1").await.is_none() && rig.raw("row:2").await.is_none()
    })
    .await;
}

/// Upholds G9.
async fn a_lease_that_a_cancelled_call_was_granted_later_is_given_back(rig: Rig) {
    for call in CALLS {
        let (cache, faults) = process(&rig, None);
        let gate = faults.gate(Op::Lease);
        let cancelled = start(&cache, call);
        reached(&gate).await;
        cancelled.abort();
        assert!(cancelled.await.expect_err("it was cancelled").is_cancelled());
        // What a release that was sent already could have overtaken.
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let granted = faults.gate_after(Op::Lease);
        gate.open();
        reached(&granted).await;
        assert!(rig.raw("row:1").await.is_some(), "{call:?}: it was granted");
        granted.open();
        nothing_is_left(&rig).await;
        let released = if call == Call::Batch { 1..=2 } else { 1..=1 };
        assert!(released.contains(&faults.count(Op::Release)), "{call:?}");
    }
}

/// Where the store's clock goes on, the request is refused by then; where it stands, it is granted, after the first release.
///
/// Upholds G9.
async fn a_lease_that_is_granted_after_its_request_failed_is_given_back(rig: Rig) {
    let patience = Duration::from_millis(300);
    for call in CALLS {
        let (cache, faults) = process(&rig, Some(patience));
        rig.store().time().await.expect("the store answers");
        let gate = faults.gate(Op::Lease);
        let mut failed = pin!(start(&cache, call));
        reached(&gate).await;
        let granted = faults.gate_after(Op::Lease);
        if call == Call::Lookup {
            // It ends with the error of its request, or without a lease: there is nothing that it would store.
            failed.as_mut().await.expect("it does not panic");
        }
        wait_until("a release was sent ahead of it", DEADLINE, async || faults.count(Op::Release) > 0).await;
        gate.open();
        reached(&granted).await;
        granted.open();
        if call != Call::Lookup {
            failed.as_mut().await.expect("it does not panic");
        }
        nothing_is_left(&rig).await;
    }
}

/// A server that stood still carries out what reached it, in whatever order, when it goes on.
///
/// Upholds G9.
#[tokio::test]
async fn a_request_that_comes_after_all_releases_of_its_lease_is_refused() {
    let rig = Rig::redis();
    for call in CALLS {
        let (cache, faults) = process(&rig, Some(Duration::from_millis(300)));
        rig.store().time().await.expect("the store answers");
        let gate = faults.gate(Op::Lease);
        let failed = start(&cache, call);
        reached(&gate).await;
        wait_until("both releases were sent", DEADLINE, async || faults.count(Op::Release) > 1).await;
        let answered = faults.gate_after(Op::Lease);
        gate.open();
        reached(&answered).await;
        assert!(rig.raw("row:1").await.is_none(), "{call:?}");
        answered.open();
        failed.await.expect("it does not panic");
    }
}

on_both_stores!(
    a_lease_that_a_cancelled_call_was_granted_later_is_given_back,
    a_lease_that_is_granted_after_its_request_failed_is_given_back,
);
