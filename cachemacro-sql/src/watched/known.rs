//! What is known of what statements do, as long as the catalogue holds that it was read from.
//!
//! A statement is understood by a catalogue before it runs. Where that may have changed until it has run, or a transaction is open that was
//! begun by text, so that nobody knows on which connection, what it did counts as not understood.

use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use crate::sql::catalogue::Catalogue;
use crate::sql::dialect::Dialect;
use crate::sql::footprint::Footprint;
use crate::sql::statements::{Statements, unknown};

/// So long the catalogue is not asked for after it could not be read.
const PAUSE: Duration = Duration::from_secs(1);

/// What handles of one database know together.
#[derive(Debug)]
pub(crate) struct Knowledge {
    dialect: Dialect,
    statements: RwLock<Kept>,
    /// Moves where what statements do may change.
    epoch: AtomicU64,
    /// So many changes of the catalogue are under way, and transactions that were begun by text.
    unsettled: AtomicU64,
    /// The catalogue is read by one at a time, for all who wait.
    reading: tokio::sync::Mutex<Option<Instant>>,
    /// So many readings are over.
    readings: AtomicU64,
}

/// What was read last.
#[derive(Debug, Default)]
struct Kept {
    statements: Option<Arc<Statements>>,
    /// Nothing has changed since.
    holds: bool,
}

/// What one statement, or a transaction, is understood by.
#[derive(Debug, Clone)]
pub(crate) struct Known {
    dialect: Dialect,
    epoch: u64,
    /// `None`: no catalogue was ever read, and nothing is understood.
    statements: Option<Arc<Statements>>,
    /// As far as is known, that is what they do. Otherwise they tell no more than whether a statement writes.
    holds: bool,
}

impl Known {
    /// What the statements of this text do.
    pub(crate) fn footprint(&self, sql: &str) -> Arc<Footprint> {
        match &self.statements {
            Some(statements) if self.holds => statements.footprint(sql),
            Some(statements) => Arc::new(statements.footprint(sql).doubtful()),
            None => Arc::new(unknown(self.dialect, sql)),
        }
    }

    /// When it was known.
    pub(crate) const fn epoch(&self) -> u64 {
        self.epoch
    }
}

impl Knowledge {
    /// Of a database that speaks this.
    pub(crate) fn new(dialect: Dialect) -> Self {
        Self {
            dialect,
            statements: RwLock::default(),
            epoch: AtomicU64::new(0),
            unsettled: AtomicU64::new(0),
            reading: tokio::sync::Mutex::default(),
            readings: AtomicU64::new(0),
        }
    }

    /// What a statement that begins now is understood by.
    fn at_hand(&self) -> Known {
        let epoch = self.epoch.load(SeqCst);
        let is_settled = self.unsettled.load(SeqCst) == 0;
        let kept = self.statements.read().unwrap_or_else(PoisonError::into_inner);
        let (dialect, statements) = (self.dialect, kept.statements.clone());
        Known { dialect, epoch, statements, holds: kept.holds && is_settled }
    }

    /// The same where it is of no use to read the catalogue.
    pub(crate) fn without_asking(&self) -> Option<Known> {
        Some(self.at_hand()).filter(|known| !self.lacks(known))
    }

    /// Whether it is of use to read the catalogue.
    fn lacks(&self, known: &Known) -> bool {
        !known.holds && self.unsettled.load(SeqCst) == 0
    }

    /// What a statement that begins now is understood by; `read` gives the catalogue where it is not known. One reads it for all who come
    /// meanwhile: whatever becomes of that is theirs, too. With an error of `read`, nothing is understood.
    pub(crate) async fn get<E>(
        &self,
        read: impl Future<Output = Result<Catalogue, E>>,
    ) -> (Known, Option<E>) {
        let known = self.at_hand();
        if !self.lacks(&known) {
            return (known, None);
        }
        let readings = self.readings.load(SeqCst);
        let mut failed = self.reading.lock().await;
        let known = self.at_hand();
        let others_have = self.readings.load(SeqCst) != readings;
        if !self.lacks(&known) || others_have || failed.is_some_and(|at| at.elapsed() < PAUSE) {
            return (known, None);
        }
        let catalogue = read.await;
        self.readings.fetch_add(1, SeqCst);
        match catalogue {
            Ok(catalogue) => {
                *failed = None;
                let statements = Arc::new(Statements::new(catalogue));
                self.publish(known.epoch, &statements);
                (Known { statements: Some(statements), holds: true, ..known }, None)
            }
            Err(error) => {
                *failed = Some(Instant::now());
                (known, Some(error))
            }
        }
    }

    /// Keeps what was read in this epoch. What was read before a change is of use to who read it alone.
    fn publish(&self, epoch: u64, statements: &Arc<Statements>) {
        let mut kept = self.statements.write().unwrap_or_else(PoisonError::into_inner);
        if self.epoch.load(SeqCst) == epoch && self.unsettled.load(SeqCst) == 0 {
            *kept = Kept { statements: Some(Arc::clone(statements)), holds: true };
        }
    }

    /// Takes a catalogue that was read anew, from this epoch on; tells whether it differs from the one before, so that what was done in
    /// between was not understood.
    pub(crate) fn replace(&self, catalogue: Catalogue, epoch: u64) -> bool {
        let mut kept = self.statements.write().unwrap_or_else(PoisonError::into_inner);
        if self.epoch.load(SeqCst) != epoch || self.unsettled.load(SeqCst) > 0 {
            // It is read anew by the next statement, and what changed it evicts.
            kept.holds = false;
            return kept.statements.as_ref().is_some_and(|known| *known.catalogue() != catalogue);
        }
        let differs = match &kept.statements {
            Some(known) if *known.catalogue() == catalogue => {
                kept.holds = true;
                return false;
            }
            known => known.is_some(),
        };
        self.epoch.fetch_add(1, SeqCst);
        *kept = Kept { statements: Some(Arc::new(Statements::new(catalogue))), holds: true };
        differs
    }

    /// The epoch that it is.
    pub(crate) fn epoch(&self) -> u64 {
        self.epoch.load(SeqCst)
    }

    /// Whether what was understood in this epoch may have been something else.
    pub(crate) fn has_moved(&self, epoch: u64) -> bool {
        self.epoch.load(SeqCst) != epoch
    }

    /// A change begins: until it is over nothing is understood. Gives the epoch of what was understood in this one and knows of the change.
    pub(crate) fn unsettle(&self, epoch: u64) -> u64 {
        self.unsettled.fetch_add(1, SeqCst);
        // Where another change came in between, it stays a past one.
        if self.epoch.fetch_add(1, SeqCst) == epoch { epoch + 1 } else { epoch }
    }

    /// A change is over; the catalogue is read anew by the next statement.
    pub(crate) fn settle(&self) {
        self.statements.write().unwrap_or_else(PoisonError::into_inner).holds = false;
        self.epoch.fetch_add(1, SeqCst);
        self.unsettled.fetch_sub(1, SeqCst);
    }
}

/// What was begun by text, and not ended yet.
#[derive(Debug, Default)]
pub(crate) struct Begun(Mutex<u64>);

impl Begun {
    /// A transaction is about to be begun.
    pub(crate) fn begins(&self, knowledge: &Knowledge) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        knowledge.unsettle(0);
    }

    /// One has been ended.
    pub(crate) fn ends(&self, knowledge: &Knowledge) {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *open > 0 {
            *open -= 1;
            knowledge.settle();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::atomic::AtomicUsize;

    use futures_util::FutureExt as _;
    use futures_util::future::{join_all, pending, ready};

    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::new(Dialect::Sqlite)
    }

    async fn get(knowledge: &Knowledge) -> Known {
        knowledge.get(ready(Ok::<_, Infallible>(catalogue()))).await.0
    }

    #[tokio::test]
    async fn one_reads_the_catalogue_for_all_who_come_meanwhile() {
        for fails in [false, true] {
            let (knowledge, reads) = (Knowledge::new(Dialect::Sqlite), AtomicUsize::new(0));
            let read = || async {
                reads.fetch_add(1, SeqCst);
                tokio::task::yield_now().await;
                if fails { Err("gone") } else { Ok(catalogue()) }
            };
            let all = join_all((0..100).map(|_| knowledge.get(read()))).await;
            assert_eq!(reads.load(SeqCst), 1, "{fails}");
            assert!(all.iter().all(|(known, _)| known.holds != fails));
            knowledge.get(read()).await;
            assert_eq!(reads.load(SeqCst), 1, "nor is it asked for again at once");
        }
    }

    #[tokio::test]
    async fn a_reader_that_goes_leaves_it_to_the_next() {
        let knowledge = Knowledge::new(Dialect::Sqlite);
        let mut gone = Box::pin(knowledge.get(pending::<Result<Catalogue, Infallible>>()));
        assert!(gone.as_mut().now_or_never().is_none());
        drop(gone);
        assert!(get(&knowledge).await.holds);
    }

    #[tokio::test]
    async fn what_is_understood_while_the_catalogue_changes_does_not_count() {
        let knowledge = Knowledge::new(Dialect::Sqlite);
        let before = get(&knowledge).await;
        assert!(before.holds && !knowledge.has_moved(before.epoch()));
        knowledge.unsettle(0);
        assert!(knowledge.has_moved(before.epoch()), "it may have run after the change");
        assert!(!get(&knowledge).await.holds);
        knowledge.settle();
        let after = get(&knowledge).await;
        assert!(after.holds && !knowledge.has_moved(after.epoch()));
    }

    #[tokio::test]
    async fn what_was_read_during_a_change_is_of_use_to_nobody_else() {
        let knowledge = Knowledge::new(Dialect::Sqlite);
        let read = async {
            knowledge.unsettle(0);
            knowledge.settle();
            Ok::<_, Infallible>(catalogue().table("users"))
        };
        let (known, _) = knowledge.get(read).await;
        assert!(knowledge.has_moved(known.epoch()));
        assert!(!knowledge.statements.read().expect("whole").holds);
    }

    #[tokio::test]
    async fn a_catalogue_that_is_the_same_leaves_all_as_it_is() {
        let knowledge = Knowledge::new(Dialect::Sqlite);
        let replace = |catalogue| knowledge.replace(catalogue, knowledge.epoch());
        assert!(!replace(catalogue()), "nothing was understood by another");
        let known = get(&knowledge).await;
        assert!(known.holds && !replace(catalogue()) && !knowledge.has_moved(known.epoch()));
        assert!(replace(catalogue().table("users")) && knowledge.has_moved(known.epoch()));
        let past = knowledge.epoch();
        knowledge.unsettle(past);
        knowledge.settle();
        assert!(
            knowledge.replace(catalogue(), past) && !knowledge.at_hand().holds,
            "it was read before that"
        );
    }

    #[tokio::test]
    async fn nothing_is_understood_while_a_transaction_is_open_that_text_began() {
        let (knowledge, begun) = (Knowledge::new(Dialect::Sqlite), Begun::default());
        begun.ends(&knowledge);
        assert!(get(&knowledge).await.holds, "nothing was begun");
        begun.begins(&knowledge);
        assert!(!get(&knowledge).await.holds);
        begun.ends(&knowledge);
        assert!(get(&knowledge).await.holds);
    }
}
