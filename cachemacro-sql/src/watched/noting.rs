//! Statements are noted before they are run: what they read by the load that is under way, what they write for when they are over.

use std::sync::Arc;

use sqlx_core::database::Database;

use crate::watched::after::{After, Seen};
use crate::watched::known::Known;
use crate::watched::shared::Shared;
use crate::watched::transaction::WatchedTransaction;

/// What is to be done once a statement has run.
#[derive(Default)]
pub(crate) struct Noted {
    pub(crate) after: Option<After>,
    pub(crate) seen: Option<Seen>,
}

/// Notes a statement that is about to be run on a connection of its own.
pub(crate) fn noted(shared: &Arc<Shared>, known: &Known, sql: &str) -> Noted {
    let footprint = known.footprint(sql);
    shared.record(&footprint);
    let seen = Seen::new(shared, known.epoch());
    let acts =
        footprint.is_write() || footprint.changes_catalogue() || footprint.ends() || footprint.begins();
    let after = acts.then(|| {
        let after =
            After::new(shared, shared.evicts(&footprint), known.epoch(), footprint.changes_catalogue());
        let after = if footprint.only_begins() { after.beginning() } else { after };
        if footprint.ends() { after.ending() } else { after }
    });
    if footprint.begins() {
        shared.begins();
    }
    Noted { after, seen }
}

/// Notes a statement that is about to be run in a transaction.
pub(crate) async fn noted_within<DB: Database>(
    tx: &mut WatchedTransaction<'_, DB>,
    sql: &str,
) -> Option<After> {
    // G1: its snapshot may be older than an evict.
    cachemacro::record_unknown();
    let footprint = tx.footprint(sql);
    let evicts = tx.shared.evicts(&footprint);
    let cache = tx.shared.cache();
    if cache.is_collecting() && !evicts.is_empty() {
        // Nothing is sent. From now on the task's cached calls know that it has written.
        let _ = cache.apply(&evicts.removals).await;
    }
    tx.writes(evicts, &footprint)
}
