//! Evicts what the outbox says, and deletes it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cachemacro::{Cache, Removals};
use tokio::sync::Notify;

use crate::tags::{all, changed_tags};
use crate::watched::outbox::store::{BACKLOG, Store, changed};

/// So many evicted rows are remembered that are not deleted yet.
const MOST_UNDELETED: usize = 2 * BACKLOG;

/// What the outbox of one database says is evicted from this cache.
pub(crate) struct Draining {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) cache: Cache,
    pub(crate) name: String,
    /// The tables on which triggers are, as they go in tags.
    pub(crate) tables: BTreeSet<String>,
    /// Rows that were evicted, and wait to be deleted.
    undeleted: Mutex<BTreeSet<i64>>,
    /// Some of them wait for the next round, which is not to wait.
    soon: Notify,
    stopped: AtomicBool,
    evicted: AtomicU64,
    failing: Mutex<Option<String>>,
}

impl std::fmt::Debug for Draining {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Draining").field("tables", &self.tables).finish_non_exhaustive()
    }
}

/// What a round has done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Round {
    /// There may be more rows.
    Full,
    Over,
    /// Rows were left where they are.
    Failed,
}

impl Draining {
    pub(crate) fn new(store: Arc<dyn Store>, cache: Cache, name: String, tables: BTreeSet<String>) -> Self {
        Self {
            store,
            cache,
            name,
            tables,
            undeleted: Mutex::default(),
            soon: Notify::new(),
            stopped: AtomicBool::new(false),
            evicted: AtomicU64::new(0),
            failing: Mutex::default(),
        }
    }

    /// What the outbox says now, all that was committed before, with the rows that say it; `None` where that cannot be told, and it may be
    /// anything.
    pub(crate) async fn look(&self) -> Option<(Removals, Vec<i64>)> {
        let rows = match self.store.read(BACKLOG + 1).await {
            Ok(rows) => rows,
            Err(error) => {
                self.fails(&error);
                return None;
            }
        };
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        if ids.len() > BACKLOG {
            return Some((Removals::new().tags([all(&self.name)]), ids));
        }
        let undeleted = self.undeleted.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = changed(rows.iter().filter(|row| !undeleted.contains(&row.id)));
        Some((Removals::new().tags(changed_tags(&self.name, &changed)), ids))
    }

    /// These rows were evicted; the drainer deletes them.
    pub(crate) fn evicted(&self, ids: &[i64]) {
        let mut undeleted = self.undeleted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = undeleted.len();
        if before < MOST_UNDELETED {
            undeleted.extend(ids);
        }
        self.evicted.fetch_add(undeleted.len().saturating_sub(before) as u64, Ordering::Relaxed);
    }

    /// The same of a writer, which leaves it to the drainer to delete them.
    pub(crate) fn evicted_by_writer(&self, ids: &[i64]) {
        if !ids.is_empty() {
            self.evicted(ids);
            self.soon.notify_one();
        }
    }

    /// Evicts what the outbox says and deletes that.
    pub(crate) async fn round(&self) -> Round {
        let Some((removals, ids)) = self.look().await else { return Round::Failed };
        if ids.is_empty() {
            self.forget(None);
            self.works();
            return Round::Over;
        }
        if !removals.is_empty()
            && let Err(error) = self.cache.apply(&removals).await
        {
            self.fails(&error);
            return Round::Failed;
        }
        self.evicted(&ids);
        let is_full = ids.len() > BACKLOG;
        if let Err(error) = self.store.delete(ids.clone()).await {
            self.fails(&error);
            return Round::Failed;
        }
        self.forget(Some(&ids));
        self.works();
        if is_full { Round::Full } else { Round::Over }
    }

    /// These rows, in order, are no more; `None`: none is.
    fn forget(&self, ids: Option<&[i64]>) {
        let mut undeleted = self.undeleted.lock().unwrap_or_else(PoisonError::into_inner);
        match ids {
            Some(ids) => undeleted.retain(|id| ids.binary_search(id).is_err()),
            None => undeleted.clear(),
        }
    }

    fn fails(&self, error: &(dyn std::error::Error + 'static)) {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        if failing.is_none() {
            tracing::warn!(
                database = self.name,
                error,
                "what others changed in the database could not be evicted so far"
            );
        }
        *failing = Some(error.to_string());
    }

    fn works(&self) {
        *self.failing.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Why the last round did not succeed.
    pub(crate) fn failing(&self) -> Option<String> {
        self.failing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many rows this process has evicted.
    pub(crate) fn count(&self) -> u64 {
        self.evicted.load(Ordering::Relaxed)
    }

    /// There are no more rounds.
    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        self.soon.notify_one();
    }

    pub(crate) fn is_over(&self) -> bool {
        self.stopped.load(Ordering::SeqCst) || self.store.is_closed()
    }

    /// Waits for the next round.
    pub(crate) async fn pause(&self, poll: Duration) {
        let _ = tokio::time::timeout(poll, self.soon.notified()).await;
    }
}
