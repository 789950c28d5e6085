//! The runtime of [cachemacro](https://docs.rs/cachemacro): everything that happens at run time.
//!
//! Use the `cachemacro` crate, which re-exports this one beside the attributes.

mod clock;
pub mod codec;
mod error;
pub mod header;
pub mod store;

pub use clock::{Clock, Timestamp};
#[cfg(feature = "bincode")]
pub use codec::Bincode;
#[cfg(feature = "json")]
pub use codec::Json;
#[cfg(feature = "msgpack")]
pub use codec::MessagePack;
#[cfg(feature = "postcard")]
pub use codec::Postcard;
pub use codec::{BuiltinCodec, Codec};
pub use error::{Error, ErrorKind, Result};
