//! The deeds: evicts that the store did not acknowledge are sent again, and what they may be about is not read before.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::kept::Kept;
use super::queue::Evicts;
use crate::engine::core::Core;
use crate::engine::targets::Targets;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::pauses::spread;
use crate::observe::breaker::BreakerState;
use crate::observe::event::Event;

/// The first pause before they are sent again; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);
/// After how long it is looked again whether the breaker has closed.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

impl Core {
    /// The evicts of this namespace that the store did not acknowledge.
    pub(crate) fn unacknowledged(&self) -> &Kept {
        &self.deferred.evicts.kept
    }

    // G7: kept before anybody is told that they failed.
    /// Keeps evicts that the store did not acknowledge, to be sent again.
    pub(crate) fn keep(self: &Arc<Self>, failed: Vec<Targets>) {
        if !failed.is_empty() {
            self.unacknowledged().add(failed);
            self.start_replay();
        }
    }

    // G7: what is read may be what a kept evict was to remove.
    /// Refuses to read one of these keys where a kept evict may be about it. Nobody waits for the store here.
    pub(super) fn unless_kept(self: &Arc<Self>, keys: &[&str]) -> Result<()> {
        if !self.unacknowledged().concerns(keys) {
            return Ok(());
        }
        self.start_replay();
        Err(Error::new(
            ErrorKind::Connect,
            "an evict that may be about the entry has not reached the store yet",
        ))
    }

    /// The store answers again: what is kept is sent now.
    pub(crate) fn replay_now(self: &Arc<Self>) {
        if self.unacknowledged().count() > 0 {
            self.unacknowledged().wake.notify_one();
            self.start_replay();
        }
    }

    /// Sends what is kept once. Tells how many names the store has still not acknowledged.
    pub(crate) async fn replay(&self) -> usize {
        // What fails is counted.
        let _ = self.replay_once().await;
        self.unacknowledged().count()
    }

    /// Sends what is kept once, as the last thing that is done; gives why not all was acknowledged.
    pub(crate) async fn replay_last(&self) -> Option<Error> {
        if self.unacknowledged().count() == 0 {
            return None;
        }
        // The store may be back, and its breaker not know yet.
        let closed = async {
            while !self.may_replay() && self.store.health().await.is_ok() {
                sleep(LOOK_AGAIN).await;
            }
        };
        let _ = timeout(LONGEST_PAUSE, closed).await;
        self.replay_once().await
    }

    async fn replay_once(&self) -> Option<Error> {
        let kept = self.unacknowledged();
        if kept.count() == 0 {
            return None;
        }
        let _turn = kept.turn.lock().await;
        let sent = kept.snapshot();
        let targets = if sent.all { self.everything() } else { Some(sent.targets.clone()) };
        let targets = targets.filter(|targets| !targets.is_empty())?;
        let result = self.send(targets.parts(), None).await;
        let cleared = if sent.all && result.error.is_none() { kept.cleared(sent.latest) } else { 0 };
        let names = result.replayed + cleared as u64;
        if names > 0 {
            self.count_sent(&result, None);
            self.record_at(None, Event::Replay(names));
            tracing::info!(evicts = names, "evicts that had not reached the store were sent again");
        }
        result.error
    }

    /// What `clear` removes; `None` where this namespace is not told from others'.
    pub(crate) fn everything(&self) -> Option<Targets> {
        let namespace = self.namespace();
        let prefixes = match (namespace.is_empty(), self.store.about().shared) {
            (true, true) => return None,
            (true, false) => vec![String::new()],
            (false, _) => vec![format!("{{{namespace}:tag:"), format!("{namespace}:")],
        };
        Some(Targets { prefixes, ..Targets::default() })
    }

    /// Has a task send what is kept until the store has acknowledged it, unless one does.
    fn start_replay(self: &Arc<Self>) {
        let evicts = &self.deferred.evicts;
        // Without a store there is nowhere to send it: `shutdown` returns it.
        if self.settings.unresolved.is_none() && evicts.kept.begins_to_send() {
            let replaying = Replaying(Arc::downgrade(evicts));
            self.go_on(replay(Arc::downgrade(self), replaying));
        }
    }

    fn may_replay(&self) -> bool {
        self.store.breaker().is_none_or(|breaker| breaker.state() == BreakerState::Closed)
    }
}

/// The task that sends what is kept. One that is dropped with its runtime leaves that to the next.
struct Replaying(Weak<Evicts<Core>>);

impl Drop for Replaying {
    fn drop(&mut self) {
        if let Some(evicts) = self.0.upgrade() {
            evicts.kept.stops_sending();
        }
    }
}

/// Sends what is kept again and again, as long as there are the cache and something to send.
async fn replay(core: Weak<Core>, replaying: Replaying) {
    let mut pause = FIRST_PAUSE;
    loop {
        let Some(evicts) = replaying.0.upgrade() else { return };
        // Jittered, so that a fleet does not come back in step. Nothing of the cache is held meanwhile but its queue.
        let jittered = spread(pause);
        let woken = timeout(jittered, evicts.kept.wake.notified()).await.is_ok();
        drop(evicts);
        let Some(core) = core.upgrade() else { return };
        if core.may_replay() && core.replay().await == 0 {
            drop(replaying);
            // One that came meanwhile found that a task was there.
            if core.unacknowledged().count() > 0 {
                core.start_replay();
            }
            return;
        }
        drop(core);
        pause = if woken { FIRST_PAUSE } else { (pause * 2).min(LONGEST_PAUSE) };
    }
}
