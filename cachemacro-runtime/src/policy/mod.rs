//! What a function decides about its entries: statically, by type, by value, by task.

pub(crate) mod freshness;
pub(crate) mod gather;
pub(crate) mod gathered;
pub(crate) mod mode;
pub(crate) mod outcome;
pub(crate) mod rules;
pub(crate) mod says;
pub(crate) mod site;
pub(crate) mod ttl;
pub(crate) mod verify;
