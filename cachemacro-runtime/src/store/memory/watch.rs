//! Who waits for which key to change.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

/// The waiters by key. A change costs one atomic load where nobody waits at all.
#[derive(Default)]
pub(super) struct Watch {
    waiting: Mutex<HashMap<String, Waiters>>,
    count: AtomicUsize,
}

#[derive(Default)]
struct Waiters {
    changed: Arc<Notify>,
    count: usize,
}

/// One waiter, which leaves when dropped.
struct Waiter<'a> {
    watch: &'a Watch,
    key: &'a str,
    changed: Arc<Notify>,
}

impl Watch {
    /// Waits until `key` changes. No change is missed once this was polled.
    pub(super) async fn changed(&self, key: &str) {
        let (_waiter, woken) = self.enter(key);
        woken.await;
    }

    /// Wakes those who wait for `key`; for after its change.
    pub(super) fn wake(&self, key: &str) {
        if self.count.load(Ordering::SeqCst) == 0 {
            return;
        }
        let waiters = self.lock().remove(key);
        if let Some(waiters) = waiters {
            waiters.changed.notify_waiters();
        }
    }

    /// Whether nobody waits and nothing is left of those who did.
    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.lock().is_empty() && self.count.load(Ordering::SeqCst) == 0
    }

    fn enter<'a>(&'a self, key: &'a str) -> (Waiter<'a>, OwnedNotified) {
        self.count.fetch_add(1, Ordering::SeqCst);
        let mut waiting = self.lock();
        let waiters = waiting.entry(key.to_owned()).or_default();
        waiters.count += 1;
        let changed = Arc::clone(&waiters.changed);
        // Made under the lock: it hears of every change from here on.
        let woken = Arc::clone(&changed).notified_owned();
        (Waiter { watch: self, key, changed }, woken)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiters>> {
        crate::ground::sync::lock(&self.waiting)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        let mut waiting = self.watch.lock();
        // Another entry under this key is that of waiters who came after the change.
        if let Some(waiters) = waiting.get_mut(self.key)
            && Arc::ptr_eq(&waiters.changed, &self.changed)
        {
            waiters.count -= 1;
            if waiters.count == 0 {
                waiting.remove(self.key);
            }
        }
        drop(waiting);
        self.watch.count.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("waiters", &self.count.load(Ordering::Relaxed)).finish_non_exhaustive()
    }
}
