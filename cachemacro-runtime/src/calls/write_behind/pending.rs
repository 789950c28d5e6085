//! A load of a function that looks into a queue first: what is pending of its entry is what it loads.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Queue;
use crate::engine::emitted::decode;
use crate::engine::raw::RawEntry;
use crate::ground::error::Result;
use crate::key::Key;
use crate::policy::gather;
use crate::policy::outcome::{Outcome, Value};

/// One look into the pending writes of an entry.
#[derive(Debug)]
pub(crate) struct Look {
    queue: Arc<Queue>,
    key: Key,
    /// The site tells what its loads read.
    recorded: bool,
    /// Set where what is loaded may be older than an accepted write.
    doubt: Arc<AtomicBool>,
}

impl Look {
    /// A look for one call of this entry, which stores nothing where it could not be had.
    pub(crate) fn of(queue: &Arc<Queue>, raw: &mut RawEntry) -> Self {
        let doubt = Arc::<AtomicBool>::default();
        raw.doubt = Some(Arc::clone(&doubt));
        Self { queue: Arc::clone(queue), key: raw.key.clone(), recorded: raw.policy.recorded, doubt }
    }

    /// What is pending, as the function would have returned it; else what `load` gives.
    pub(crate) async fn or<R, O, F>(self, outcome: O, load: F) -> R
    where
        O: Outcome<R>,
        O::Value: Value,
        F: Future<Output = R>,
    {
        match self.pending::<O::Value>().await {
            Ok(None) => {}
            Ok(Some(pending)) => {
                // What it was made of is not known before it was applied: no record may do without it.
                if self.recorded {
                    gather::unknown();
                }
                let found = match pending {
                    Some(value) => Some(outcome.wrap(value)),
                    None => outcome.none(),
                };
                match found {
                    Some(found) => return found,
                    // It is to be removed, and this function cannot say that nothing is there.
                    None => self.doubt(),
                }
            }
            Err(error) => {
                // G6: the cache never fails a read.
                self.queue.core.failed(&error);
                self.doubt();
            }
        }
        load.await
    }

    async fn pending<V: Value>(&self) -> Result<Option<Option<V>>> {
        let pending = self.queue.pending(self.key.as_str()).await?;
        pending.map(|value| value.map(|value| decode(&value)).transpose()).transpose()
    }

    /// What is loaded now may be what was there before a write, and outlive its apply.
    fn doubt(&self) {
        self.doubt.store(true, Ordering::Relaxed);
        gather::unknown();
    }
}
