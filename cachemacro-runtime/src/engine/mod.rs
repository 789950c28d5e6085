//! One step of a call, on one entry, with the state that all calls of a cache share.

pub(crate) mod asking;
pub(crate) mod claims;
pub(crate) mod collecting;
pub(crate) mod core;
pub(crate) mod decoded;
pub(crate) mod deferred;
pub(crate) mod entry;
pub(crate) mod evict;
pub(crate) mod fill;
pub(crate) mod flight;
pub(crate) mod lease;
pub(crate) mod loading;
pub(crate) mod prepare;
pub(crate) mod raw;
pub(crate) mod read;
pub(crate) mod readback;
pub(crate) mod removals;
pub(crate) mod search;
pub(crate) mod settings;
pub(crate) mod targets;
pub(crate) mod turns;
pub(crate) mod versions;
pub(crate) mod waiting;
