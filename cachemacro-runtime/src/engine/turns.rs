//! The keys that are being updated in this process, and who waits for which.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use tokio::sync::MutexGuard;

use crate::ground::sync::lock;

/// The queues of the keys that are being updated.
#[derive(Default)]
pub(crate) struct Turns(Mutex<HashMap<Arc<str>, Queue>>);

/// The updates of one key, one of which has the turn.
#[derive(Default)]
struct Queue {
    turn: Arc<tokio::sync::Mutex<()>>,
    length: usize,
}

/// A place in the queue of a key; the last one to leave removes the queue.
pub(crate) struct Queued<'a> {
    turns: &'a Turns,
    key: Arc<str>,
    turn: Arc<tokio::sync::Mutex<()>>,
}

impl fmt::Debug for Turns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Turns").finish_non_exhaustive()
    }
}

impl Turns {
    pub(crate) fn queue(&self, key: &Arc<str>) -> Queued<'_> {
        let mut queues = lock(&self.0);
        let queue = queues.entry(key.clone()).or_default();
        queue.length += 1;
        Queued { turns: self, key: key.clone(), turn: queue.turn.clone() }
    }
}

impl Queued<'_> {
    /// Waits for the turn.
    pub(crate) async fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().await
    }
}

impl Drop for Queued<'_> {
    fn drop(&mut self) {
        let mut queues = lock(&self.turns.0);
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

    fn keys(turns: &Turns) -> usize {
        lock(&turns.0).len()
    }

    #[test]
    fn a_queue_goes_with_the_last_one_to_leave() {
        let (turns, key) = (Turns::default(), Arc::from("key"));
        let (one, other) = (turns.queue(&key), turns.queue(&key));
        assert!(Arc::ptr_eq(&one.turn, &other.turn), "they wait for each other");
        drop(one);
        assert!(Arc::ptr_eq(&turns.queue(&key).turn, &other.turn), "one is left");
        drop(other);
        assert_eq!(keys(&turns), 0);
    }

    #[test]
    fn a_queue_goes_though_one_who_left_has_not_let_go_of_it_yet() {
        let (turns, key) = (Turns::default(), Arc::from("key"));
        let queued = turns.queue(&key);
        // Of two who leave at once, one still holds this while its fields are dropped.
        let _held = queued.turn.clone();
        drop(queued);
        assert_eq!(keys(&turns), 0);
    }
}
