//! Evicts what the outbox says, and deletes it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use cachemacro::{Cache, Removals};
use sqlx_core::error::Result;
use tokio::sync::Notify;

use crate::tags::{all, changed_tags};
use crate::watched::outbox::store::{BACKLOG, Changed, Noted, Store, changed};

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

/// What the outbox says.
pub(crate) struct Told {
    pub(crate) removals: Removals,
    /// The rows that say it.
    pub(crate) ids: Vec<i64>,
    /// Of these tables it does not say all.
    pub(crate) unseen: BTreeSet<String>,
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

    /// What the outbox says now, all that was committed before; `None` where that cannot be told, and it may be anything.
    pub(crate) async fn look(&self) -> Option<Told> {
        let rows = self.known(self.store.read(BACKLOG + 1).await)?;
        self.told(&rows).await
    }

    async fn told(&self, rows: &[Noted]) -> Option<Told> {
        let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
        // At once: what the drainer has deleted it forgets.
        let mut changed = self.changed(rows);
        // Afterwards: what others noted by triggers of theirs, those had replaced ours before.
        let unseen = self.known(self.store.unseen().await)?;
        if ids.len() > BACKLOG {
            return Some(Told { removals: Removals::new().tags([all(&self.name)]), ids, unseen });
        }
        for (table, keys) in &mut changed {
            if unseen.contains(table) {
                *keys = None;
            }
        }
        Some(Told { removals: Removals::new().tags(changed_tags(&self.name, &changed)), ids, unseen })
    }

    /// What those rows say that were not evicted yet.
    fn changed(&self, rows: &[Noted]) -> Changed {
        let undeleted = self.undeleted.lock().unwrap_or_else(PoisonError::into_inner);
        changed(rows.iter().filter(|row| !undeleted.contains(&row.id)))
    }

    /// What the database answers.
    fn known<T>(&self, answer: Result<T>) -> Option<T> {
        answer.inspect_err(|error| self.fails(error)).ok()
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
        let Some(rows) = self.known(self.store.read(BACKLOG + 1).await) else { return Round::Failed };
        if rows.is_empty() {
            self.forget(None);
            self.works();
            return Round::Over;
        }
        let Some(Told { removals, ids, .. }) = self.told(&rows).await else { return Round::Failed };
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
