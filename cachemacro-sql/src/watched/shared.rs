//! What all handles of one watched database share: its name and cache, what is known of its statements, and what was said already.

use std::collections::BTreeSet;
use std::future::Future;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use cachemacro::{Cache, Removals};

use crate::sql::catalogue::{Catalogue, Effects};
use crate::sql::dialect::Dialect;
use crate::sql::footprint::{Footprint, Rows};
use crate::tags::{NAME, all, changed_tags};
use crate::watched::known::{Begun, Knowledge, Known};
use crate::watched::outbox::draining::Draining;
use crate::watched::outbox::store::Changed;

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

/// What is to be evicted after statements.
#[derive(Debug, Clone, Default)]
pub(crate) struct Evicts {
    pub(crate) removals: Removals,
    /// Of these tables the outbox knows the rows.
    told: BTreeSet<String>,
}

impl Evicts {
    pub(crate) fn merge(&mut self, other: Self) {
        self.removals.merge(other.removals);
        self.told.extend(other.told);
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.removals.is_empty()
    }

    /// Whether the outbox is to be asked.
    pub(crate) fn asks(&self) -> bool {
        !self.told.is_empty()
    }

    /// The outbox has told, except of these tables, whose rows count all as changed.
    pub(crate) fn told(&mut self, name: &str, removals: Removals, except: &BTreeSet<String>) {
        self.told.retain(|table| except.contains(table));
        self.removals.merge(removals);
        self.without_outbox(name);
    }

    /// Counts all rows of the tables as changed of which the outbox would have told.
    pub(crate) fn without_outbox(&mut self, name: &str) {
        let any: Changed = mem::take(&mut self.told).into_iter().map(|table| (table, None)).collect();
        self.removals.merge(Removals::new().tags(changed_tags(name, &any)));
    }
}

/// What handles share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) about: About,
    dialect: Dialect,
    pub(crate) knowledge: Knowledge,
    pub(crate) begun: Begun,
    /// What triggers note.
    installed: RwLock<Option<Arc<Draining>>>,
    said_unread: AtomicBool,
    said_not_understood: AtomicBool,
    said_begun: AtomicBool,
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
            knowledge: Knowledge::new(dialect),
            begun: Begun::default(),
            installed: RwLock::default(),
            said_unread: AtomicBool::new(false),
            said_not_understood: AtomicBool::new(false),
            said_begun: AtomicBool::new(false),
            named: Mutex::default(),
        })
    }

    /// The cache to evict from.
    pub(crate) fn cache(&self) -> Cache {
        self.about.cache.clone().unwrap_or_else(Cache::current)
    }

    /// What statements do that begin now; `read` gives the catalogue where it is not known. Where it cannot be read, none of them is
    /// understood.
    pub(crate) async fn known<E: std::fmt::Display>(
        &self,
        read: impl Future<Output = Result<Catalogue, E>>,
    ) -> Known {
        let read = async { read.await.map(|catalogue| self.declared(catalogue)) };
        let (known, error) = self.knowledge.get(read).await;
        if let Some(error) = error
            && !self.said_unread.swap(true, Ordering::Relaxed)
        {
            tracing::warn!(database = self.about.name, dialect = ?self.dialect, %error, "the database's catalogue could not be read: until it can, writes evict all that is of the database, and recorded loads are not stored");
        }
        known
    }

    /// A catalogue as it was read, with what the user says.
    pub(crate) fn declared(&self, catalogue: Catalogue) -> Catalogue {
        let catalogue = self.about.declare(catalogue);
        self.name_triggers(&catalogue);
        catalogue
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

    /// A text is about to be run that leaves a transaction open on a connection that anybody may get.
    pub(crate) fn begins(&self) {
        self.begun.begins(&self.knowledge);
        if !self.said_begun.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                database = self.about.name,
                "a transaction was begun by text: until one is ended so, no recorded load is stored, and writes evict all that is of the \
                 database; `begin()` or `begin_with(…)` begins one that is followed"
            );
        }
    }

    /// Tells the load that is under way what a statement reads. What it writes, it may have read: a count of rows, or the rows
    /// themselves by `RETURNING`.
    pub(crate) fn record(&self, footprint: &Footprint) {
        if !cachemacro::is_recording() {
            return;
        }
        if let Some(tags) = footprint.read_or_written_tags(&self.about.name) {
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
    pub(crate) fn evicts(&self, footprint: &Footprint) -> Evicts {
        let mut evicts = Evicts::default();
        if footprint.writes_anything() {
            evicts.removals = self.all();
            return evicts;
        }
        // The triggers of an outbox know rows whose keys were bound, and are not asked where rows may go without them. What the text says is
        // evicted whatever they tell.
        let outbox = self.outbox().filter(|_| !footprint.replaces());
        let mut changed = Changed::new();
        for (table, rows) in footprint.writes() {
            let is_told = outbox.as_ref().is_some_and(|outbox| outbox.tables.contains(table));
            let keys = match rows {
                Rows::Keys(keys) => Some(keys.clone()),
                Rows::Unknown if is_told => Some(BTreeSet::new()),
                Rows::Unknown => None,
            };
            changed.insert(table.to_owned(), keys);
            if is_told {
                evicts.told.insert(table.to_owned());
            }
        }
        evicts.removals = Removals::new().tags(changed_tags(&self.about.name, &changed));
        evicts
    }

    /// Triggers note what changes the tables of this outbox, in place of those of another.
    pub(crate) fn install(&self, draining: &Arc<Draining>) {
        *self.installed.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(draining));
    }

    /// The outbox, where there is one.
    pub(crate) fn outbox(&self) -> Option<Arc<Draining>> {
        self.installed.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Evicts all that is of the database.
    pub(crate) async fn evict_all(&self) {
        if let Err(error) = self.cache().apply(&self.all()).await {
            // It is kept, and sent again before this process serves what it is about.
            tracing::warn!(database = self.about.name, %error, "evicts of a whole database have failed so far");
        }
    }

    /// All that is of the database.
    pub(crate) fn all(&self) -> Removals {
        Removals::new().tags([all(&self.about.name)])
    }
}
