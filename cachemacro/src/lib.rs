#![doc = include_str!("../README.md")]
//!
//! # Where to look
//! - On functions: [`macro@cached`], [`macro@cache_put`], [`macro@cache_evict`]; on an `impl`: [`macro@cache_config`].
//! - By hand: [`Cache`] and what its builder, [`CacheBuilder`], sets; one entry as an [`Entry`], all under a prefix as a [`Keyspace`]; cache-aside by
//!   [`Lookup`] and [`Vacancy`]; evicts together by [`Evict`], and as plain data by [`Removals`]; bound to a transaction by [`after_commit`]; loads ahead of use by [`Cache::warm`];
//!   events across processes by [`Subscribe`], and with the feature `write-behind` writes that are applied later, also by the attribute `cache_write_behind`.
//! - For the calls of one task: [`Mode`], and what they depend on, [`Gathered`], with what loads read besides, [`record`] and [`recording`]. For what depends on the value: [`EntryRules`].
//! - What happened: [`CacheStats`], [`Stats`] and its [`Count`]s, [`QueueStats`] of queues of writes, [`MissReason`], [`Unstorable`], whether what is served is true ([`Verify`], [`Checked`]), [`Health`] with its [`Status`], [`PartHealth`] of what works beside it, [`Pool`] and [`Warning`]s, [`BreakerState`], [`mod@report`], [`Observer`], [`Error`] and its
//!   [`ErrorKind`].
//! - What is kept beside entries, such as an index to find them by: [`Beside`], which is told of what is [`Stored`], and by which [`Meaning`]; it is [`Asked`] for a [`Candidate`] where questions share answers ([`Alike`], by an [`Embedder`]), and told how that was [`Judged`]; [`Cache::entry_of`].
//! - What is stored how: [`codec`], [`macro@CacheSchema`], [`store`]. Tags that cannot be misspelt: [`macro@Tag`].

#[cfg(feature = "write-behind")]
pub use cachemacro_derive::cache_write_behind;
pub use cachemacro_derive::{CacheSchema, Tag, cache_config, cache_evict, cache_put, cached};

#[cfg(feature = "reports")]
#[doc(inline)]
pub use cachemacro_runtime::Reports;
#[cfg(feature = "sealed")]
#[doc(inline)]
pub use cachemacro_runtime::Sealing;
#[cfg(feature = "inspect")]
#[doc(inline)]
pub use cachemacro_runtime::inspect;
#[cfg(feature = "write-behind")]
#[doc(inline)]
pub use cachemacro_runtime::{
    Accept, Batch, DeadWrite, PendingWrite, QueuedWrite, Tenure, WriteBehind, WriteBehindBuilder,
};
#[doc(inline)]
pub use cachemacro_runtime::{
    Alike, Asked, Beside, BreakerState, BuiltinCodec, Cache, CacheBuilder, CacheSchema, CacheStats,
    Candidate, Checked, Clock, Codec, Count, DeadEvent, Embedder, Entry, EntryRules, Error, ErrorKind, Event,
    Evict, Filled, Gap, Gathered, Handled, Health, Histogram, Hit, Judged, Key, Keyspace, LentBytes,
    LocalEntry, LocalStats, Lookup, Meaning, Meta, MissReason, Mode, Named, Observation, Observer, Part,
    PartHealth, Policy, Pool, QueueStats, Removals, Result, SiteId, Stats, Status, Stopped, Stored,
    Subscribe, Subscription, SubscriptionStats, Tag, Timestamp, Ttl, Undelivered, Under, Unstorable, Vacancy,
    Value, Verify, Warm, Warmed, Warming, Warning, after_commit, codec, header, is_recording, record,
    record_unknown, recording, report, schema, store,
};

#[doc(hidden)]
pub use cachemacro_runtime::__private;
