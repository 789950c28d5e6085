//! The protocol: what the cache promises while loads, writes, evicts and failures meet, on both stores.

mod answers;
mod batches;
mod cancelled;
mod clocks;
mod deadlines;
mod doomed;
mod failed_evicts;
mod followers;
mod forks;
mod hang;
mod history;
mod lookups;
mod not_stored;
mod orders;
mod panics;
mod policies;
mod puts;
mod races;
mod races_by_hand;
mod stampede;
mod store_conformance;
mod store_model;
mod tags;
mod updates;
mod writes;
