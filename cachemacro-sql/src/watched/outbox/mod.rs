//! Changes that no handle sees: triggers note them in a table of the database, the outbox, and what it says is evicted.
//!
//! A row of the outbox is deleted by its id, after what it says was evicted; never all up to an id, since what commits late has an early
//! one. So each is evicted at least once, in any order.

pub(crate) mod draining;
pub(crate) mod install;
pub(crate) mod store;
pub(crate) mod table;
