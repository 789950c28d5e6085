//! What goes to other processes by streams: events, and writes that are applied later.

mod events;
mod failing;
mod looks;
mod owners;
mod queueing;
mod write_behind;
