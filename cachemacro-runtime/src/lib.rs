//! The runtime of [cachemacro](https://docs.rs/cachemacro): everything that happens at run time.
//!
//! Use the `cachemacro` crate, which re-exports this one beside the attributes.
//!
//! Folders are layers: each may use those below it in the table of `ARCHITECTURE.md`, and none above. A call goes
//! `private` → `calls` → `engine` → (`local`) → `store` → `format` and back.

mod api;
mod calls;
mod engine;
mod format;
mod ground;
mod key;
mod local;
mod observe;
mod policy;
mod private;
pub mod store;

/// What generated code calls: not part of the public interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::private::*;
}

pub use api::beside::Under;
pub use api::builder::CacheBuilder;
pub use api::cache::Cache;
pub use api::entry::Meta;
pub use api::health::Health;
#[cfg(feature = "inspect")]
pub use api::inspect;
pub use api::keyspace::Keyspace;
pub use api::lookup::{Filled, Hit, Lookup, Vacancy};
pub use api::named::Named;
pub use api::recording::{is_recording, record, record_unknown, recording};
pub use api::removals::after_commit;
pub use api::similar::Alike;
pub use api::subscribe::{DeadEvent, Handled, Subscribe, Subscription};
pub use api::warm::{Stopped, Warm, Warmed, Warming};
#[cfg(feature = "write-behind")]
pub use api::write_behind::{
    Accept, Batch, DeadWrite, PendingWrite, QueuedWrite, Tenure, WriteBehind, WriteBehindBuilder,
};
pub use calls::subscribe::Gap;
pub use engine::alike::{Asked, Candidate, Embedder, Judged, Meaning};
pub use engine::entry::Entry;
pub use engine::evict::Evict;
pub use engine::local::LocalEntry;
pub use engine::neighbour::{Beside, Stored};
pub use engine::removals::Removals;
#[cfg(feature = "sealed")]
pub use engine::sealing::Sealing;
#[cfg(feature = "reports")]
pub use engine::settings::Reports;
pub use engine::undelivered::Undelivered;
pub use format::codec::{BuiltinCodec, Codec};
pub use format::lent::LentBytes;
pub use format::schema::CacheSchema;
pub use format::{codec, header, schema};
pub use ground::clock::{Clock, Timestamp};
pub use ground::error::{Error, ErrorKind, Result};
pub use ground::unstorable::Unstorable;
pub use key::Key;
pub use key::typed::Tag;
pub use observe::breaker::BreakerState;
pub use observe::event::{Event, Observation, Observer};
pub use observe::finding::Checked;
pub use observe::histogram::Histogram;
pub use observe::local::LocalStats;
pub use observe::part::{Part, PartHealth};
pub use observe::pool::Pool;
pub use observe::reason::MissReason;
pub use observe::report;
pub use observe::site::SiteId;
pub use observe::stats::{CacheStats, Count, Stats};
pub use observe::status::Status;
pub use observe::subscription::SubscriptionStats;
pub use observe::warning::Warning;
pub use observe::write_behind::QueueStats;
pub use policy::gathered::Gathered;
pub use policy::mode::Mode;
pub use policy::outcome::Value;
pub use policy::rules::EntryRules;
pub use policy::ttl::{Policy, Ttl};
pub use policy::verify::Verify;
