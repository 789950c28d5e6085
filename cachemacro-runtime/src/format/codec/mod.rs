//! How a value becomes bytes and comes back. A codec knows no key, no header and no store.
//!
//! Bytes to decode are hostile: whatever they hold, decoding ends with a value or an error of kind
//! [`ErrorKind::Decode`](crate::ErrorKind::Decode), which callers take as a miss. It never panics, uses memory in proportion
//! to the payload's length, nests at most [`MAX_DEPTH`] levels deep and refuses a payload with bytes left behind the value.
//!
//! The default is the first of bincode, postcard, `MessagePack` and JSON whose feature is on. With none of these features
//! the crate still builds, for those who bring a [`Codec`] of their own: the cache's codec then is `BuiltinCodec::None`,
//! whose encoding and decoding fail with an error that names the features.

mod audit;
#[cfg(feature = "bincode")]
mod bincode;
mod builtin;
#[cfg(feature = "lz4")]
pub mod compress;
mod contract;
#[cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]
mod failures;
mod guard;
#[cfg(feature = "json")]
mod json;
#[cfg(not(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json")))]
mod missing;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "postcard")]
mod postcard;

#[doc(hidden)]
pub use self::audit::Form;
pub(crate) use self::audit::Skipped;
#[cfg(feature = "bincode")]
pub use self::bincode::Bincode;
pub(crate) use self::builtin::codec_id;
pub use self::builtin::{BuiltinCodec, CodecFor};
pub use self::contract::Codec;
pub use self::guard::{MAX_DEPTH, MAX_EMPTY_ELEMENTS, decode_guarded};
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "msgpack")]
pub use self::msgpack::MessagePack;
#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;
