//! What evicts look at of a value that is being fetched.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;

use crate::ground::sync::modelled::AtomicBool;
use crate::store::local::marks::Mark;
use crate::store::local::name::Name;

/// What evicts look at.
#[derive(Debug)]
pub(crate) struct Fetching {
    pub(super) name: Name,
    pub(super) prefix: u32,
    /// It is written, and not loaded.
    pub(super) is_put: bool,
    refused: AtomicBool,
    /// Told once it is refused.
    told: Notify,
    pub(super) marks: Box<[Arc<Mark>]>,
}

impl Fetching {
    pub(super) fn new(name: Name, prefix: u32, marks: Box<[Arc<Mark>]>, is_put: bool) -> Self {
        Self { name, prefix, is_put, refused: AtomicBool::new(false), told: Notify::new(), marks }
    }

    pub(super) fn refuse(&self) {
        self.refused.store(true, Ordering::Release);
        self.told.notify_one();
    }

    /// Waits until something came under its name. One at a time waits.
    pub(crate) async fn refused(&self) {
        self.told.notified().await;
    }

    /// Whether nothing came yet that was to end the value.
    pub(crate) fn is_sound(&self) -> bool {
        !self.refused.load(Ordering::Acquire) && self.marks.iter().all(|mark| mark.holds())
    }
}
