//! The binary as it is run, on real servers, beside services that use the cache.

mod clusters;
mod entries;
mod find;
mod fleet;
mod flush;
mod golden;
mod harm;
mod harness;
mod processes;
mod sealed;
mod terminal;
mod warm;
mod watch;
