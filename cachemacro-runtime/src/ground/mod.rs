//! What everything stands on: errors, time, locks, a thread in the background.

pub(crate) mod background;
pub(crate) mod chunks;
pub(crate) mod clock;
pub(crate) mod error;
pub(crate) mod setters;
pub(crate) mod sync;
