//! What happened, and who is told.

pub(crate) mod site;
pub(crate) mod stats;
