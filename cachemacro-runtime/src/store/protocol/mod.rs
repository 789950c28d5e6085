//! The protocol over any map that changes one key atomically: for those who write a store.
//!
//! The functions are the decisions, each a pure one on what is under one key and the time: what the scripts for Redis
//! decide, on the same bytes. [`Backend`] is the map, and [`Protocol`] makes a [`Store`](crate::store::Store) of it.

mod backend;
pub(crate) mod steps;
mod store;

pub use self::backend::{Backend, Change, Step};
pub use self::steps::{
    Slot, capture, evict, increment, is_readable, lease, release, renew, seen, version, version_life,
    versions_to_remove, write,
};
pub use self::store::Protocol;
