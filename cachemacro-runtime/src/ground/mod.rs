//! What everything stands on: errors, time, locks.

pub(crate) mod chunks;
pub(crate) mod clock;
pub(crate) mod error;
pub(crate) mod setters;
pub(crate) mod sync;
