//! Where bytes live. A store moves bytes atomically under one key at a time and knows no types, no codecs
//! and no policy; of an entry it reads the fixed part of the header ([`crate::header`]) and nothing else.
//!
//! What a store does is [`Store`]. Two are here: in [memory] and on [redis]. For one of your own see
//! [the guide](https://github.com/cachemacro/cachemacro/blob/main/docs/stores.md).

mod any;
mod arguments;
mod by_arguments;
#[cfg(feature = "conformance")]
pub mod conformance;
mod contract;
mod decoded;
mod documents;
mod head;
mod layers;
pub(crate) mod local;
pub mod memory;
mod messages;
pub mod protocol;
mod queues;
mod raw_commands;
#[cfg(feature = "redis")]
pub mod redis;
mod shared;
mod streams;

pub(crate) use self::any::AnyStore;
pub(crate) use self::by_arguments::{Guarded, Placed, Query, some_hash};
pub use self::contract::{Changes, Immediate, Inspect, Listener, Store, Tracking};
pub(crate) use self::decoded::{Origin, Rebuild};
pub use self::documents::Documents;
#[cfg(feature = "reports")]
pub(crate) use self::documents::MOST_NAMES;
#[doc(hidden)]
pub use self::layers::Passed;
pub use self::layers::breaker::BreakerStore;
pub use self::layers::breaker::config::BreakerConfig;
pub use self::layers::breaker::state::Breaker;
#[cfg(any(test, feature = "test-util"))]
pub use self::layers::faults;
pub use self::messages::about::{About, ServerFigures, StoreHealth};
pub use self::messages::evict::EvictRequest;
pub use self::messages::few::Few;
pub use self::messages::increment::{Increment, IncrementOutcome, OtherStamps};
pub use self::messages::inspect::{Cursor, Page, Raw};
pub use self::messages::lease::{HeldLease, Keep, Lease, LeaseKind, LeaseOutcome, LeaseRequest};
pub use self::messages::read::{Excerpt, Read, ReadRequest};
pub use self::messages::server::{Server, ServerFacts};
pub use self::messages::write::{Guard, OnRefusal, Write, Written};
pub use self::queues::{Accepted, Dead, Depth, Queued, Queues, Settle};
pub use self::raw_commands::{Answer, RawCommands};
#[cfg(feature = "write-behind")]
pub(crate) use self::shared::are_one;
pub(crate) use self::shared::shared;
pub use self::streams::{Buried, Given, Item, Member, Place, Streams, Taken};
pub use crate::format::ids::{FillId, Token, Version};
pub use crate::format::stamps::{TagKeys, VersionKey};
pub use crate::pass_on;
