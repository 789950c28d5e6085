//! What statements do, by their text alone: no connection, no cache.

pub(crate) mod calls;
pub(crate) mod catalogue;
pub(crate) mod control;
pub(crate) mod deeds;
pub(crate) mod depth;
pub(crate) mod dialect;
pub(crate) mod footprint;
pub(crate) mod reading;
pub(crate) mod rows;
pub(crate) mod statements;
pub(crate) mod walk;
