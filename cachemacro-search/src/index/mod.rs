//! Where documents live: beside their entries, for all processes, each of which follows what changes.

mod contract;
mod follower;
mod memory;
#[cfg(feature = "redis")]
mod redis;
mod server;
mod store;

#[cfg(all(test, feature = "conformance"))]
mod tests;

pub use self::contract::{Changes, Index, Laid, Page, Place};
pub use self::follower::{Caught, Follower, Searcher};
pub use self::memory::MemoryIndex;
#[cfg(feature = "redis")]
pub use self::redis::RedisIndex;
pub use self::store::StoreIndex;
