//! Evicts what the outbox says, and deletes it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use cachemacro::{Cache, PartHealth, Removals};
use futures_util::future::{Either, select};
use tokio::sync::Notify;

use crate::tags::{all, changed_tags};
use crate::watched::outbox::store::{BACKLOG, Changed, Looked, Noted, Store, changed};

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
    undeleted: Mutex<BTreeSet<String>>,
    /// The next round is not to wait.
    soon: Notify,
    stopped: AtomicBool,
    evicted: AtomicU64,
    last: Mutex<Last>,
    poll: Mutex<Duration>,
}

/// So long rows of a writer wait for others before they are deleted. A round for each write would be a second write, for which the next one's
/// connection has to wait; and rows that stay for long would be evicted by other processes too, and keep keys from being noted.
const GATHERS: Duration = Duration::from_millis(20);

/// How often the outbox is asked where nobody says otherwise.
const POLL: Duration = Duration::from_millis(250);

/// How the last round ended.
#[derive(Debug, Default)]
struct Last {
    /// Why it did not succeed.
    failing: Option<String>,
    /// So many rows it has left, of those that it read.
    waiting: usize,
    /// Since when the oldest of them has been there, or since when nobody knows whether there are any.
    since: Option<Instant>,
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
    pub(crate) ids: Vec<String>,
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
            last: Mutex::default(),
            poll: Mutex::new(POLL),
        }
    }

    /// What the outbox says now, all that was committed before; `None` where that cannot be told, and it may be anything.
    pub(crate) async fn look(&self) -> Option<Told> {
        let looked = self
            .store
            .look(BACKLOG + 1)
            .await
            .inspect_err(|error| {
                self.fails(error);
            })
            .ok()?;
        Some(self.told(looked))
    }

    fn told(&self, Looked { rows, unseen }: Looked) -> Told {
        let mut changed = self.changed(&rows);
        let ids: Vec<String> = rows.into_iter().map(|row| row.id).collect();
        if ids.len() > BACKLOG {
            return Told { removals: Removals::new().tags([all(&self.name)]), ids, unseen };
        }
        for (table, keys) in &mut changed {
            if unseen.contains(table) {
                *keys = None;
            }
        }
        Told { removals: Removals::new().tags(changed_tags(&self.name, &changed)), ids, unseen }
    }

    /// What those rows say that were not evicted yet.
    fn changed(&self, rows: &[Noted]) -> Changed {
        let undeleted = self.undeleted.lock().unwrap_or_else(PoisonError::into_inner);
        changed(rows.iter().filter(|row| !undeleted.contains(&row.id)))
    }

    /// These rows were evicted; the drainer deletes them.
    fn evicted(&self, ids: &[String]) {
        let mut undeleted = self.undeleted.lock().unwrap_or_else(PoisonError::into_inner);
        let before = undeleted.len();
        if before < MOST_UNDELETED {
            undeleted.extend(ids.iter().cloned());
        }
        self.evicted.fetch_add(undeleted.len().saturating_sub(before) as u64, Ordering::Relaxed);
    }

    /// The same of a writer, which leaves it to the drainer to delete them, soon.
    pub(crate) fn evicted_by_writer(&self, ids: &[String]) {
        if !ids.is_empty() {
            self.evicted(ids);
            self.soon.notify_one();
        }
    }

    /// Evicts what the outbox says and deletes that.
    pub(crate) async fn round(&self) -> Round {
        let looked = match self.store.look(BACKLOG + 1).await {
            Ok(looked) => looked,
            Err(error) => return self.fails(&error),
        };
        if looked.rows.is_empty() {
            self.undeleted.lock().unwrap_or_else(PoisonError::into_inner).clear();
            self.works();
            return Round::Over;
        }
        self.left(&looked.rows);
        let Told { removals, ids, .. } = self.told(looked);
        if !removals.is_empty()
            && let Err(error) = self.cache.apply(&removals).await
        {
            return self.fails(&error);
        }
        self.evicted(&ids);
        if let Err(error) = self.store.delete(ids.clone()).await {
            return self.fails(&error);
        }
        self.deleted(&ids);
        self.works();
        if ids.len() > BACKLOG { Round::Full } else { Round::Over }
    }

    /// These rows are no more.
    fn deleted(&self, ids: &[String]) {
        let mut undeleted = self.undeleted.lock().unwrap_or_else(PoisonError::into_inner);
        for id in ids {
            undeleted.remove(id);
        }
    }

    /// These rows are there.
    fn left(&self, rows: &[Noted]) {
        let oldest = rows.iter().map(|row| row.age).fold(0.0, f64::max);
        let oldest = Duration::try_from_secs_f64(oldest).unwrap_or_default();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.waiting = rows.len();
        last.since = Instant::now().checked_sub(oldest);
    }

    fn fails(&self, error: &(dyn std::error::Error + 'static)) -> Round {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.failing.is_none() {
            tracing::warn!(
                database = self.name,
                error,
                "what others changed in the database could not be evicted so far"
            );
        }
        last.failing = Some(error.to_string());
        last.since.get_or_insert_with(Instant::now);
        Round::Failed
    }

    fn works(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Last::default();
    }

    /// Why the last round did not succeed.
    pub(crate) fn failing(&self) -> Option<String> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner).failing.clone()
    }

    /// How it is, as the last round left it.
    pub(crate) fn health(&self) -> PartHealth {
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let lag = last.since.map(|since| since.elapsed()).unwrap_or_default();
        let lag = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
        let health = match &last.failing {
            None => PartHealth::ok(),
            // What the database or the store says may name hosts.
            Some(_) => PartHealth::degraded("what others change in the database is not evicted so far"),
        };
        let waiting = u64::try_from(last.waiting).unwrap_or(u64::MAX);
        health.figure("waiting", waiting).figure("lag_ms", lag).figure("evicted", self.count())
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

    /// Asks so often from now on.
    pub(crate) fn poll(&self, every: Duration) {
        *self.poll.lock().unwrap_or_else(PoisonError::into_inner) = every;
        self.soon.notify_one();
    }

    /// Waits for the next round.
    pub(crate) async fn pause(&self) {
        let poll = *self.poll.lock().unwrap_or_else(PoisonError::into_inner);
        let soon = pin!(self.soon.notified());
        let woken = select(soon, self.store.woken());
        if let Ok(Either::Left(_)) = tokio::time::timeout(poll, woken).await {
            tokio::time::sleep(GATHERS.min(poll)).await;
        }
    }
}
