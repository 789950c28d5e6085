//! The runtime of [cachemacro](https://docs.rs/cachemacro): everything that happens at run time.
//!
//! Use the `cachemacro` crate, which re-exports this one beside the attributes.

mod clock;
mod error;
pub mod header;
pub mod store;

pub use clock::{Clock, Timestamp};
pub use error::{Error, ErrorKind, Result};
