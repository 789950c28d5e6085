//! What a store is asked, and what it answers: one file per operation.
//!
//! Messages can grow: each is made by a constructor, and what it may say besides is set by name. What a store does not know
//! it refuses, which is a miss and never a stale value.

pub(crate) mod about;
pub(crate) mod evict;
pub(crate) mod few;
pub(crate) mod increment;
pub(crate) mod inspect;
pub(crate) mod lease;
pub(crate) mod read;
pub(crate) mod server;
pub(crate) mod write;
