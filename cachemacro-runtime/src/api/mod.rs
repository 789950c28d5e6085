//! The public nouns and their verbs; each method is a line or two.

pub(crate) mod beside;
pub(crate) mod builder;
pub(crate) mod cache;
pub(crate) mod direct;
pub(crate) mod entry;
pub(crate) mod entry_options;
pub(crate) mod events;
pub(crate) mod evict;
pub(crate) mod health;
#[cfg(feature = "inspect")]
pub mod inspect;
pub(crate) mod keyspace;
pub(crate) mod local;
pub(crate) mod lookup;
pub(crate) mod many;
pub(crate) mod named;
pub(crate) mod prefetch;
pub(crate) mod recording;
pub(crate) mod registry;
pub(crate) mod removals;
pub(crate) mod similar;
pub(crate) mod subscribe;
pub(crate) mod warm;
#[cfg(feature = "write-behind")]
pub(crate) mod write_behind;
