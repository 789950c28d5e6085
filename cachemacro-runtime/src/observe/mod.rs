//! What happened, and who is told.

pub(crate) mod breaker;
pub(crate) mod event;
pub(crate) mod finding;
pub(crate) mod histogram;
pub(crate) mod hot;
pub(crate) mod local;
pub(crate) mod part;
pub(crate) mod pool;
pub(crate) mod reason;
pub mod report;
pub(crate) mod round_trips;
pub(crate) mod shapes;
pub(crate) mod site;
pub(crate) mod spread;
pub(crate) mod stats;
pub(crate) mod status;
pub(crate) mod streak;
pub(crate) mod subscription;
pub(crate) mod warning;
pub(crate) mod write_behind;
