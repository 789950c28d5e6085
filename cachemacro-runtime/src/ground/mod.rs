//! What everything stands on: errors, time, pauses, locks, caught panics, a thread in the background.

pub(crate) mod background;
pub(crate) mod chunks;
pub(crate) mod clock;
pub(crate) mod error;
pub(crate) mod heap;
pub(crate) mod lists;
pub(crate) mod panics;
pub(crate) mod pauses;
pub(crate) mod refused;
pub(crate) mod setters;
pub(crate) mod sync;
#[cfg(test)]
pub(crate) mod told;
pub(crate) mod unstorable;
