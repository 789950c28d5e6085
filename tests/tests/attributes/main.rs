//! What users meet: attributed functions, the direct interface, settings, and what is counted and measured.

mod after_commit;
mod behind;
mod calls;
mod claims;
mod direct;
mod gathered;
mod global;
mod http;
mod keys;
mod keyspaces;
mod lookups;
mod measures;
mod misspelt;
mod observers;
mod recorded;
mod removals;
mod settings;
mod stats;
mod sync;
mod verify;
mod warm;
