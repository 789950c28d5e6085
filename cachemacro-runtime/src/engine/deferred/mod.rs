//! What a dropped or panicked call left to do at the store: evicts, and leases to give back.
//!
//! A destructor cannot wait, may run outside a runtime, and what it spawns during shutdown never runs. So it
//! queues, and a task drains: its own if there is a runtime, else the next call's. A read waits until no evict is
//! queued that may concern its entry, so this process never reads what a cancelled write was to remove. A call never
//! drains by itself: it might not be polled to the end, and others would wait for it.
//!
//! There are three queues, and none waits for another: evicts of keys and tags, which take one round trip; evicts of
//! prefixes, which scan; and leases, for which no read waits. One task at a time drains each, as long as there is something in
//! it. The evicts are those of all caches of the process on one namespace of one store.
//!
//! Evicts that the store did not acknowledge, whoever sent them, are kept and sent again until it does. What they may be about
//! is not read before that: a read does not wait for them, it has failed.

mod drain;
mod kept;
#[cfg(all(test, loom))]
mod models;
#[cfg(all(test, not(loom)))]
mod orders;
mod queue;
mod replay;

pub(crate) use self::queue::Deferred;
