//! Values in this process, decoded, bounded in bytes, with what evicts them.
//!
//! A value is looked up by its call's arguments, which are compared with those that it was kept under ([`Query`](crate::store::Query)), and no lock is
//! taken. It is evicted by its *name*, the key in the store, by its tags, by its prefix, or for room. Each of these ends it
//! at once, by a flag that every look reads; that it leaves the tables too is for the memory's sake.
//!
//! Whoever fetches a value [begins](LocalTable::begin) before that, and it is kept only if nothing that was to end it came meanwhile
//! (G1).
//!
//! Knows values by type, and nothing of functions, codecs or protocols.

mod fetching;
mod kept;
mod marks;
#[cfg(all(test, loom))]
mod models;
mod name;
mod pending;
mod shard;
mod table;

pub(crate) use self::fetching::Fetching;
pub(crate) use self::kept::AnyKept;
pub(crate) use self::name::Name;
pub(crate) use self::pending::Pending;
pub(crate) use self::table::{LocalTable, Look};
