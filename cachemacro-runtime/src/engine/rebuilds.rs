//! Which values a store in memory keeps with their bytes, because they do not encode to what was stored.

use std::any::TypeId;
use std::collections::HashMap;
use std::sync::RwLock;

use crate::ground::sync::{read, write};
use crate::observe::site::SiteId;

/// How many values of one function and type are encoded in vain, to leave out their bytes, before no more are.
const MOST_VAIN: u32 = 3;

/// How many values of a function, or of none, and of a type did not encode to what was stored: maps without an order do not.
#[derive(Debug, Default)]
pub(crate) struct Rebuilds(RwLock<HashMap<(Option<SiteId>, TypeId), u32>>);

impl Rebuilds {
    pub(crate) fn are_vain(&self, of: (Option<SiteId>, TypeId)) -> bool {
        read(&self.0).get(&of).is_some_and(|failed| *failed >= MOST_VAIN)
    }

    pub(crate) fn failed(&self, of: (Option<SiteId>, TypeId)) {
        *write(&self.0).entry(of).or_default() += 1;
    }
}
