//! Who has left a report of a cache, and whether more are to come.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32};
use std::time::Instant;

use tokio::sync::{Mutex, Notify};

/// What the task and `shutdown` share.
#[derive(Debug, Default)]
pub(crate) struct Reporting {
    /// The process that has left one; zero: none has. A fork has its parent's memory and leaves none.
    pub(crate) published_by: AtomicU32,
    pub(crate) over: AtomicBool,
    pub(crate) ended: Notify,
    /// Held while one is left or taken away. The schemas that were described, and when.
    pub(crate) turn: Mutex<HashMap<u64, Instant>>,
}
