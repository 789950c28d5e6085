//! Whose turn it is to work for many: one task's at a time, and another's where that one has stood still.
//!
//! A task belongs to the runtime of whoever began it. Where that runtime lives on without being driven, the task neither comes on nor ends, and what it was to do would be
//! nobody's.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// The task that works, if one does.
#[derive(Debug, Default)]
pub(super) struct Turn(Option<Taken>);

#[derive(Debug)]
struct Taken {
    task: u64,
    /// When it last came on.
    since: Instant,
}

impl Turn {
    /// Whether a task works, and came on within this time.
    pub(super) fn is_on(&self, patience: Duration) -> bool {
        self.0.as_ref().is_some_and(|taken| taken.since.elapsed() < patience)
    }

    /// Whether a task has stood still for longer than this.
    pub(super) fn is_overdue(&self, patience: Duration) -> bool {
        self.0.is_some() && !self.is_on(patience)
    }

    /// The number of the task that is to begin; `None` where one is on.
    pub(super) fn begin(&mut self, patience: Duration) -> Option<u64> {
        static TASKS: AtomicU64 = AtomicU64::new(0);
        if self.is_on(patience) {
            return None;
        }
        let task = TASKS.fetch_add(1, Ordering::Relaxed);
        self.0 = Some(Taken { task, since: Instant::now() });
        Some(task)
    }

    /// Whether it is still the turn of this task.
    pub(super) fn is_of(&self, task: u64) -> bool {
        self.0.as_ref().is_some_and(|taken| taken.task == task)
    }

    /// The same, and it comes on.
    pub(super) fn comes_on(&mut self, task: u64) -> bool {
        let Some(taken) = self.0.as_mut().filter(|taken| taken.task == task) else { return false };
        taken.since = Instant::now();
        true
    }

    /// Ends the turn of this task, and says whether it was its turn.
    pub(super) fn end(&mut self, task: u64) -> bool {
        let was = self.is_of(task);
        if was {
            self.0 = None;
        }
        was
    }
}
