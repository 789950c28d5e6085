//! A scope whose evicts are collected, to be sent once a transaction has committed.

use std::future::Future;
use std::mem::take;
use std::pin::Pin;
use std::sync::Arc;

use crate::engine::collecting::Collecting;
use crate::engine::core::Core;
use crate::engine::emitted::Emitted;
use crate::engine::evict::log_failed;
use crate::engine::removals::Removals;

/// Runs `body` and gives what it would have evicted from this cache.
pub(crate) async fn collect<F: Future>(core: Arc<Core>, body: Pin<Box<F>>) -> (F::Output, Removals) {
    let unsent = Unsent { collecting: Collecting::new(core.id), core };
    let output = unsent.collecting.clone().scope(body).await;
    (output, unsent.collecting.take())
}

/// Runs `body`, then evicts from this cache what it would have, unless it returned an error.
pub(crate) async fn after_commit<T, E, F>(core: Arc<Core>, body: Pin<Box<F>>) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let (output, removals) = collect(Arc::clone(&core), body).await;
    if output.is_ok() && (removals.has_any() || !removals.events.is_empty()) {
        // G7: a caller that hangs up after the commit does not lose the evicts.
        let mut committed = Committed { core, removals: Some(removals) };
        committed.send().await;
        committed.removals = None;
    }
    output
}

/// What was committed and is not evicted yet.
struct Committed {
    core: Arc<Core>,
    removals: Option<Removals>,
}

impl Committed {
    /// Evicts, then sends the events; where the task collects for a transaction around this one, all of it is that one's.
    async fn send(&mut self) {
        let Some(removals) = &mut self.removals else { return };
        if self.core.collects(removals) {
            return;
        }
        let events = take(&mut removals.events);
        let mut unsent = Untold { core: Arc::clone(&self.core), events };
        if removals.has_any()
            && let Err(error) = self.core.evict(removals, None).await
        {
            log_failed(None, &error, 1);
        }
        self.removals = None;
        self.core.send_committed(unsent.events.clone()).await;
        unsent.events.clear();
    }
}

impl Drop for Committed {
    fn drop(&mut self) {
        if let Some(removals) = self.removals.take() {
            self.core.evict_later(&removals, None);
        }
    }
}

/// Events of what was committed.
struct Untold {
    core: Arc<Core>,
    events: Vec<Emitted>,
}

// A caller that hangs up after the commit does not lose them; one may go twice.
impl Drop for Untold {
    fn drop(&mut self) {
        self.core.send_events_later(take(&mut self.events));
    }
}

/// What nobody was given yet.
struct Unsent {
    core: Arc<Core>,
    collecting: Arc<Collecting>,
}

// G7: a body that was dropped or panicked may have committed. Evicting what it did not change is harmless.
impl Drop for Unsent {
    fn drop(&mut self) {
        let removals = self.collecting.take();
        if removals.has_any() {
            self.core.evict_later(&removals, None);
        }
    }
}
