//! Attributes that turn async functions into correct, fast, observable cache-aside calls.

pub use cachemacro_derive::{CacheSchema, cache_config, cache_evict, cache_put, cached};
pub use cachemacro_runtime::*;

#[doc(hidden)]
pub use cachemacro_runtime::private as __private;
