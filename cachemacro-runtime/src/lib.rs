//! The runtime of [cachemacro](https://docs.rs/cachemacro): everything that happens at run time.
//!
//! Use the `cachemacro` crate, which re-exports this one beside the attributes.
//!
//! A call goes `load` → `entry` → (`flight` → `lease`) → `store` → `header` → `codec` and back. Stores and codecs know
//! nothing of what is above them; flights know no stores, leases no values.

mod builder;
mod cache;
mod chunks;
mod clock;
pub mod codec;
mod entry;
mod error;
mod events;
mod evict;
mod flight;
pub mod header;
mod increment;
mod key;
mod lease;
mod load;
mod locks;
mod lookup;
mod many;
mod mode;
mod options;
mod outcome;
mod pending;
mod prepared;
#[doc(hidden)]
pub mod private;
mod registry;
mod rules;
pub mod schema;
mod site;
mod stats;
pub mod store;
mod storing;
mod tags;
mod update;
mod write;

pub use builder::CacheBuilder;
pub use cache::{Cache, Health};
pub use clock::{Clock, Timestamp};
pub use codec::{BuiltinCodec, Codec};
pub use entry::{Entry, Lookup, Meta, Vacancy};
pub use error::{Error, ErrorKind, Result};
pub use evict::Evict;
pub use key::{Key, escape};
pub use mode::{Mode, mode};
pub use options::{Policy, Ttl};
pub use outcome::Value;
pub use registry::{current, scope, set_global};
pub use rules::EntryRules;
pub use schema::CacheSchema;
pub use stats::{CacheStats, Histogram, MissReason, Stats};
