//! A scope whose evicts are collected, to be sent once a transaction has committed.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use crate::engine::collecting::Collecting;
use crate::engine::core::Core;
use crate::engine::removals::Removals;

/// Runs `body` and gives what it would have evicted from this cache.
pub(crate) async fn collect<F: Future>(core: Arc<Core>, body: Pin<Box<F>>) -> (F::Output, Removals) {
    let unsent = Unsent { collecting: Collecting::new(core.id), core };
    let output = unsent.collecting.clone().scope(body).await;
    (output, unsent.collecting.take())
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
