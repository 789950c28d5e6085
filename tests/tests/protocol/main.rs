//! The protocol: what the cache promises while loads, writes, evicts and failures meet, on both stores.

mod batches;
mod cancelled;
mod deadlines;
mod failed_evicts;
mod followers;
mod hang;
mod history;
mod lookups;
mod not_stored;
mod panics;
mod policies;
mod puts;
mod queued_evicts;
mod races;
mod races_by_hand;
mod stampede;
mod store_conformance;
mod store_model;
mod tags;
mod updates;
mod version_lives;
mod writes;
