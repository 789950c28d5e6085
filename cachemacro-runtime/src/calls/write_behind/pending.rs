//! A load of a function that looks into a queue first: what is pending of its entry is what it loads.

use std::future::Future;
use std::sync::Arc;
use std::time::Instant;

use super::Queue;
use crate::engine::beforehand::Beforehand;
use crate::engine::core::Core;
use crate::engine::emitted::decode;
use crate::engine::entry::Entry;
use crate::engine::spending;
use crate::ground::error::Result;
use crate::key::Key;
use crate::observe::stats::Counters;
use crate::policy::gather;
use crate::policy::outcome::{Outcome, Value};

/// One look into the pending writes of an entry.
#[derive(Debug)]
pub(crate) struct Look {
    queue: Arc<Queue>,
    core: Arc<Core>,
    counters: Option<Arc<Counters>>,
    key: Key,
    /// The site tells what its loads read.
    recorded: bool,
    beforehand: Arc<Beforehand>,
}

/// What a look found.
pub(crate) enum Pending<V> {
    Nothing,
    Put(V),
    Delete,
    /// It could not be had: what is loaded may be older than an accepted write, and is not stored.
    Unknown,
}

impl Look {
    /// A look for one call of this entry, which stores nothing where it could not be had. `None` where nothing can be pending: the entry has no key, or
    /// is to be sealed, and no such write is accepted.
    pub(crate) fn of<V>(queue: &Arc<Queue>, entry: &mut Entry<V>) -> Option<Self> {
        let raw = entry.raw.as_mut().ok().filter(|raw| !raw.is_sealed() && !raw.policy.sealed)?;
        // Another question's answer would come before the queue.
        entry.similar = None;
        let beforehand = Arc::new(Beforehand::new(raw.core.settings.deadline));
        raw.beforehand = Some(Arc::clone(&beforehand));
        Some(Self {
            queue: Arc::clone(queue),
            core: Arc::clone(&raw.core),
            counters: raw.site.as_ref().map(|(_, counters)| Arc::clone(counters)),
            key: raw.key.clone(),
            recorded: raw.policy.recorded,
            beforehand,
        })
    }

    /// What is pending, as the function would have returned it; else what `load` gives.
    pub(crate) async fn or<R, O, F>(self, outcome: O, load: F) -> R
    where
        O: Outcome<R>,
        O::Value: Value,
        F: Future<Output = R>,
    {
        let found = match self.find::<O::Value>().await {
            Pending::Nothing | Pending::Unknown => return load.await,
            Pending::Put(value) => Some(outcome.wrap(value)),
            Pending::Delete => outcome.none(),
        };
        // What it was made of is not known before it was applied: no record may do without it.
        if self.recorded {
            gather::unknown();
        }
        if let Some(found) = found {
            return found;
        }
        // It is to be removed, and this function cannot say that nothing is there.
        self.doubt();
        load.await
    }

    /// What is pending, unless the call knows already that the store does not answer.
    pub(crate) async fn find<V: Value>(&self) -> Pending<V> {
        // G6: the cache never fails a read, and does not wait for a store again that has just failed it.
        if !self.beforehand.is_doubtful()
            && let Ok(pending) = self.ask().await
        {
            return match pending {
                None => Pending::Nothing,
                Some(None) => Pending::Delete,
                Some(Some(value)) => Pending::Put(value),
            };
        }
        self.doubt();
        Pending::Unknown
    }

    /// In the time that the call has left. Errors were counted.
    async fn ask<V: Value>(&self) -> Result<Option<Option<V>>> {
        let (began, site) = (Instant::now(), self.counters.as_deref());
        let pending = self.queue.pending(&self.core, site, &self.key);
        let pending = spending::within(self.beforehand.left(), pending).await;
        self.beforehand.looked(began.elapsed());
        let value = pending?.map(|value| value.map(|value| decode(&value)).transpose()).transpose();
        value.inspect_err(|error| self.core.failed_at(site, error))
    }

    /// What is loaded now may be what was there before a write, and outlive its apply.
    fn doubt(&self) {
        self.beforehand.doubt();
        gather::unknown();
    }
}
