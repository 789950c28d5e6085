//! What all handles of one watched database share: its name and cache, what its statements do, and what was said already.

use std::collections::BTreeSet;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cachemacro::{Cache, Removals};

use crate::sql::catalogue::{Catalogue, Effects};
use crate::sql::dialect::Dialect;
use crate::sql::footprint::Footprint;
use crate::sql::statements::Statements;
use crate::tags::NAME;

/// What its user says of a database.
#[derive(Debug, Clone)]
pub(crate) struct About {
    pub(crate) name: String,
    /// `None`: the one that attributes use where a statement is run.
    pub(crate) cache: Option<Cache>,
    pub(crate) declared: Vec<Declared>,
}

/// What a trigger or a routine does.
#[derive(Debug, Clone)]
pub(crate) enum Declared {
    Trigger { table: String, name: String, effects: Effects },
    Routine { name: String, effects: Effects },
}

impl Default for About {
    fn default() -> Self {
        Self { name: NAME.to_owned(), cache: None, declared: Vec::new() }
    }
}

impl About {
    /// A catalogue to which is said what the user said.
    fn declare(&self, catalogue: Catalogue) -> Catalogue {
        self.declared.iter().fold(catalogue, |catalogue, declared| match declared {
            Declared::Trigger { table, name, effects } => catalogue.trigger(table, name, effects.clone()),
            Declared::Routine { name, effects } => catalogue.routine(name, effects.clone()),
        })
    }
}

/// What handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) about: About,
    dialect: Dialect,
    /// `None` until the catalogue was read, and again once it has changed.
    statements: RwLock<Option<Arc<Statements>>>,
    /// How often the catalogue has changed.
    changes: AtomicU64,
    said_unread: AtomicBool,
    said_not_understood: AtomicBool,
    /// Triggers that were named in a warning.
    named: Mutex<BTreeSet<String>>,
}

impl Shared {
    pub(crate) const fn dialect(&self) -> Dialect {
        self.dialect
    }

    pub(crate) fn new(about: About, dialect: Dialect) -> Arc<Self> {
        Arc::new(Self {
            about,
            dialect,
            statements: RwLock::new(None),
            changes: AtomicU64::new(0),
            said_unread: AtomicBool::new(false),
            said_not_understood: AtomicBool::new(false),
            named: Mutex::default(),
        })
    }

    /// The cache to evict from.
    pub(crate) fn cache(&self) -> Cache {
        self.about.cache.clone().unwrap_or_else(Cache::current)
    }

    /// What statements do; `read` gives the catalogue where it is not known. Where it cannot be read, none of them is understood.
    pub(crate) async fn statements<E: std::fmt::Display>(
        &self,
        read: impl Future<Output = Result<Catalogue, E>>,
    ) -> Option<Arc<Statements>> {
        if let Some(known) = self.statements.read().unwrap_or_else(PoisonError::into_inner).as_ref() {
            return Some(Arc::clone(known));
        }
        let changes = self.changes.load(Ordering::SeqCst);
        // On the heap: nearly all calls know it.
        let catalogue = match Box::pin(read).await {
            Ok(catalogue) => self.about.declare(catalogue),
            Err(error) => {
                if !self.said_unread.swap(true, Ordering::Relaxed) {
                    tracing::warn!(database = self.about.name, dialect = ?self.dialect, %error, "the database's catalogue could not be read: until it can, writes evict all that is of the database, and recorded loads are not stored");
                }
                return None;
            }
        };
        self.name_triggers(&catalogue);
        let statements = Arc::new(Statements::new(catalogue));
        let mut known = self.statements.write().unwrap_or_else(PoisonError::into_inner);
        // What was read before a change is of use to this call alone.
        if self.changes.load(Ordering::SeqCst) == changes {
            *known = Some(Arc::clone(&statements));
        }
        Some(statements)
    }

    /// The catalogue is read anew by the next call.
    pub(crate) fn forget(&self) {
        self.changes.fetch_add(1, Ordering::SeqCst);
        *self.statements.write().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Names triggers whose effects nobody knows: in one warning, and each once.
    fn name_triggers(&self, catalogue: &Catalogue) {
        let mut named = self.named.lock().unwrap_or_else(PoisonError::into_inner);
        let unknown = catalogue.unknown_triggers();
        let lines: Vec<String> = unknown
            .filter(|(table, trigger)| named.insert(format!("{table} {trigger}")))
            .map(|(table, trigger)| {
                format!(".trigger({table:?}, {trigger:?}, Effects::none().writes([\"…\"]))")
            })
            .collect();
        if !lines.is_empty() {
            tracing::warn!(
                database = self.about.name,
                declare = lines.join(" "),
                "what these triggers write is not known, so each write of their tables evicts all that is of the database; say it where the \
                 database is watched"
            );
        }
    }

    /// Tells the load that is under way what a statement reads.
    pub(crate) fn record(&self, footprint: &Footprint) {
        if !cachemacro::is_recording() {
            return;
        }
        if let Some(tags) = footprint.read_tags(&self.about.name) {
            cachemacro::record(tags);
        } else {
            cachemacro::record_unknown();
            if !self.said_not_understood.swap(true, Ordering::Relaxed) {
                tracing::warn!(
                    database = self.about.name,
                    "a statement in a recorded load is not understood, so what is loaded is not stored"
                );
            }
        }
    }

    /// What is to be evicted after a statement.
    pub(crate) fn removals(&self, footprint: &Footprint) -> Removals {
        if footprint.is_write() {
            Removals::new().tags(footprint.evicted_tags(&self.about.name))
        } else {
            Removals::new()
        }
    }
}
