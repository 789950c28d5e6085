//! The keys that are being updated in this process, and who waits for which.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::MutexGuard;

use crate::locks::lock;

/// The queues of the keys that are being updated.
#[derive(Default)]
pub(crate) struct Updates(Mutex<HashMap<Arc<str>, Queue>>);

/// Those who update one key, one of whom has the turn.
#[derive(Default)]
struct Queue {
    turn: Arc<tokio::sync::Mutex<()>>,
    length: usize,
}

/// A place in the queue of a key; the last one to leave removes the queue.
pub(super) struct Queued<'a> {
    updates: &'a Updates,
    key: Arc<str>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Updates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Updates").finish_non_exhaustive()
    }
}

impl Updates {
    pub(super) fn queue(&self, key: &Arc<str>) -> Queued<'_> {
        let mut queues = lock(&self.0);
        let queue = queues.entry(key.clone()).or_default();
        queue.length += 1;
        Queued { updates: self, key: key.clone(), turn: queue.turn.clone() }
    }
}

impl Queued<'_> {
    /// Waits for the turn.
    pub(super) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut queues = lock(&self.updates.0);
        if let Some(queue) = queues.get_mut(&self.key) {
            queue.length -= 1;
            if queue.length == 0 {
                queues.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(updates: &Updates) -> usize {
        lock(&updates.0).len()
    }

    #[test]
    fn a_queue_goes_with_the_last_one_to_leave() {
        let (updates, key) = (Updates::default(), Arc::from("key"));
        let (one, other) = (updates.queue(&key), updates.queue(&key));
        assert!(Arc::ptr_eq(&one.turn, &other.turn), "they wait for each other");
        drop(one);
        assert!(Arc::ptr_eq(&updates.queue(&key).turn, &other.turn), "one is left");
        drop(other);
        assert_eq!(keys(&updates), 0);
    }

    #[test]
    fn a_queue_goes_though_one_who_left_has_not_let_go_of_it_yet() {
        let (updates, key) = (Updates::default(), Arc::from("key"));
        let queued = updates.queue(&key);
        // What the other of two who leave at once holds while its fields are dropped.
        let _held = queued.turn.clone();
        drop(queued);
        assert_eq!(keys(&updates), 0);
    }
}
