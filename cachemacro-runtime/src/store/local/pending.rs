//! Values that are being fetched.

use std::sync::Arc;

use crate::store::local::fetching::Fetching;
use crate::store::local::marks::{Mark, Seen};
use crate::store::local::name::Name;
use crate::store::local::shard::Shard;

/// A value that is being fetched: it is kept only if nothing that was to end it comes before.
#[derive(Debug)]
pub(crate) struct Pending {
    pub(super) shard: Arc<Shard>,
    state: Arc<Fetching>,
    /// What of the tags' evicts was seen before, where not all tags were known.
    pub(super) seen: Option<Seen>,
    /// Tags that came with the value.
    pub(super) late: Vec<Arc<Mark>>,
}

impl Pending {
    pub(super) fn new(
        shard: &Arc<Shard>,
        name: Name,
        prefix: u32,
        marks: Box<[Arc<Mark>]>,
        seen: Option<Seen>,
        is_put: bool,
    ) -> Self {
        let state = Arc::new(Fetching::new(name, prefix, marks, is_put));
        shard.begin(&state);
        Self { shard: Arc::clone(shard), state, seen, late: Vec::new() }
    }

    /// Whether nothing came yet that was to end the value.
    pub(crate) fn is_sound(&self) -> bool {
        self.state.is_sound() && self.late.iter().all(|mark| mark.holds())
    }

    /// What tells others whether nothing came yet.
    pub(crate) const fn fetching(&self) -> &Arc<Fetching> {
        &self.state
    }

    /// Waits until something was told of its name.
    pub(crate) async fn refused(&self) {
        self.state.refused().await;
    }

    pub(super) fn name(&self) -> Name {
        self.state.name
    }

    pub(super) fn prefix(&self) -> u32 {
        self.state.prefix
    }

    /// Those of its tags.
    pub(super) fn marks(&self) -> Vec<&Arc<Mark>> {
        self.state.marks.iter().chain(&self.late).collect()
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.shard.ends(&self.state);
    }
}
