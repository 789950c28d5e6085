//! How a value becomes bytes and comes back. A codec knows no key, no header and no store.
//!
//! Bytes to decode are hostile: whatever they hold, decoding ends with a value or an error of kind
//! [`ErrorKind::Decode`], which callers take as a miss. It never panics, uses memory in proportion to the
//! payload's length, nests at most [`MAX_DEPTH`] levels deep and refuses bytes that nobody asked for.
//!
//! Which codec is the default: bincode, else postcard, `MessagePack`, JSON,
//! whichever feature is on. With none of them
//! the crate still builds, for those who bring a [`Codec`] of their own: `BuiltinCodec::None` then is what sites
//! without a codec use; it stores nothing and says why.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ground::error::{Error, ErrorKind, Result};

#[cfg(feature = "bincode")]
mod bincode;
#[cfg(feature = "lz4")]
pub mod compress;
mod guard;
#[cfg(feature = "json")]
mod json;
#[cfg(feature = "msgpack")]
mod msgpack;
#[cfg(feature = "postcard")]
mod postcard;

#[cfg(feature = "bincode")]
pub use self::bincode::Bincode;
pub use self::guard::{MAX_DEPTH, MAX_EMPTY_ELEMENTS, decode_guarded};
#[cfg(feature = "json")]
pub use self::json::Json;
#[cfg(feature = "msgpack")]
pub use self::msgpack::MessagePack;
#[cfg(feature = "postcard")]
pub use self::postcard::Postcard;

/// A way to turn values into bytes and back.
///
/// Implement it to bring another format; `ID` is stored with every entry, so that a change of codec never misreads
/// old bytes.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Codec, Error, ErrorKind, Result};
/// use serde::{Serialize, de::DeserializeOwned};
///
/// /// JSON with line breaks, for eyes.
/// struct PrettyJson;
///
/// impl Codec for PrettyJson {
///     const ID: u8 = 32;
///     const NAME: &'static str = "pretty-json";
///
///     fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
///         serde_json::to_writer_pretty(out, value)
///             // Without a source: messages must not quote values.
///             .map_err(|_| Error::new(ErrorKind::Encode, "pretty-json"))
///     }
///
///     fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
///         serde_json::from_slice(bytes).map_err(|_| Error::new(ErrorKind::Decode, "pretty-json"))
///     }
/// }
/// ```
pub trait Codec: Send + Sync + 'static {
    /// Identifies the codec in the entry's header: 32 to 254 for codecs of your own. 0 to 31 and 255 are reserved; using one
    /// of them does not compile.
    const ID: u8;
    /// A short lower-case name, for logs.
    const NAME: &'static str;
    #[doc(hidden)]
    const BUILTIN: bool = false;

    /// Appends the bytes of `value` to `out`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::codec::{Bincode, Codec};
    ///
    /// let mut bytes = vec![0];
    /// Bincode::encode("Ada", &mut bytes)?;
    /// assert_eq!(bytes, [0, 3, b'A', b'd', b'a'], "appended: length and text");
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Encode`] where the format cannot hold the value. `out` may then hold a part of it.
    fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()>;

    /// The value that `bytes` hold, all of them.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::codec::{Bincode, Codec};
    ///
    /// assert_eq!(Bincode::decode::<String>(&[3, b'A', b'd', b'a'])?, "Ada");
    /// assert!(Bincode::decode::<String>(&[3, b'A']).is_err());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] where they hold none, or more than one. Messages must not quote the bytes.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T>;
}

/// The codecs that come with the crate, to choose one by name from a setting.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::codec::BuiltinCodec;
///
/// let codec: BuiltinCodec = "bincode".parse()?;
/// assert_eq!(codec, BuiltinCodec::Bincode);
/// assert_eq!(codec.to_string(), "bincode");
/// assert!("xml".parse::<BuiltinCodec>().unwrap_err().to_string().contains("bincode"));
/// # Ok::<(), cachemacro::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BuiltinCodec {
    /// bincode 2, the default.
    #[cfg(feature = "bincode")]
    Bincode,
    /// postcard.
    #[cfg(feature = "postcard")]
    Postcard,
    /// `MessagePack` with named fields.
    #[cfg(feature = "msgpack")]
    MessagePack,
    /// JSON.
    #[cfg(feature = "json")]
    Json,
    /// No codec feature is on: encoding fails and names the features.
    #[cfg(not(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json")))]
    None,
}

impl BuiltinCodec {
    /// The codecs that this build has, the default first.
    pub const ALL: &'static [BuiltinCodec] = &[
        #[cfg(feature = "bincode")]
        BuiltinCodec::Bincode,
        #[cfg(feature = "postcard")]
        BuiltinCodec::Postcard,
        #[cfg(feature = "msgpack")]
        BuiltinCodec::MessagePack,
        #[cfg(feature = "json")]
        BuiltinCodec::Json,
        #[cfg(not(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json")))]
        BuiltinCodec::None,
    ];

    /// The name that settings use.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::BuiltinCodec;
    ///
    /// assert_eq!(BuiltinCodec::default().name(), "bincode");
    /// ```
    pub const fn name(self) -> &'static str {
        CodecFor::<()>::builtin(self).name
    }
}

impl Default for BuiltinCodec {
    fn default() -> Self {
        Self::ALL[0]
    }
}

impl fmt::Display for BuiltinCodec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for BuiltinCodec {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        Self::ALL.iter().copied().find(|codec| codec.name().eq_ignore_ascii_case(name)).ok_or_else(|| {
            let names: Vec<&str> = Self::ALL.iter().map(|codec| codec.name()).collect();
            Error::new(ErrorKind::Config, format!("no such codec; this build accepts: {}", names.join(", ")))
        })
    }
}

/// A codec chosen for one type: what a cache keeps of it, without being generic over it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::codec::{Bincode, CodecFor};
///
/// let codec = CodecFor::<Vec<u16>>::of::<Bincode>();
/// let mut bytes = Vec::new();
/// codec.encode(&vec![1, 2, 3], &mut bytes)?;
/// assert_eq!(codec.decode(&bytes)?, [1, 2, 3]);
/// # Ok::<(), cachemacro::Error>(())
/// ```
pub struct CodecFor<T> {
    id: u8,
    name: &'static str,
    encode: fn(&T, &mut Vec<u8>) -> Result<()>,
    decode: fn(&[u8]) -> Result<T>,
}

impl<T: Serialize + DeserializeOwned> CodecFor<T> {
    /// Codec `C` for `T`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::codec::{Bincode, CodecFor};
    ///
    /// const CODEC: CodecFor<String> = CodecFor::of::<Bincode>();
    /// assert_eq!(CODEC.decode(&[2, b'h', b'i'])?, "hi");
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// One with a reserved id does not compile:
    ///
    /// ```compile_fail,E0080
    /// # use cachemacro_runtime as cachemacro;
    /// # use cachemacro::{Codec, Result, codec::CodecFor};
    /// # use serde::{Serialize, de::DeserializeOwned};
    /// struct Mine;
    /// impl Codec for Mine {
    ///     const ID: u8 = 7;
    ///     const NAME: &'static str = "mine";
    /// #   fn encode<T: Serialize + ?Sized>(_: &T, _: &mut Vec<u8>) -> Result<()> { unimplemented!() }
    /// #   fn decode<T: DeserializeOwned>(_: &[u8]) -> Result<T> { unimplemented!() }
    /// }
    /// let codec = CodecFor::<u8>::of::<Mine>();
    /// ```
    pub const fn of<C: Codec>() -> Self {
        const {
            assert!(
                C::BUILTIN || (C::ID >= 32 && C::ID <= 254),
                "the ID of a codec of your own must be within 32..=254"
            );
        }
        Self { id: C::ID, name: C::NAME, encode: C::encode::<T>, decode: C::decode::<T> }
    }

    /// One of the crate's codecs for `T`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::codec::{BuiltinCodec, CodecFor};
    ///
    /// let codec = CodecFor::<u32>::builtin("bincode".parse()?); // a setting, say
    /// assert_eq!(codec.name(), BuiltinCodec::Bincode.name());
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    pub const fn builtin(codec: BuiltinCodec) -> Self {
        match codec {
            #[cfg(feature = "bincode")]
            BuiltinCodec::Bincode => Self::of::<Bincode>(),
            #[cfg(feature = "postcard")]
            BuiltinCodec::Postcard => Self::of::<Postcard>(),
            #[cfg(feature = "msgpack")]
            BuiltinCodec::MessagePack => Self::of::<MessagePack>(),
            #[cfg(feature = "json")]
            BuiltinCodec::Json => Self::of::<Json>(),
            #[cfg(not(any(
                feature = "bincode",
                feature = "postcard",
                feature = "msgpack",
                feature = "json"
            )))]
            BuiltinCodec::None => Self::of::<missing::Missing>(),
        }
    }
}

impl<T> CodecFor<T> {
    /// The id in the header.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::codec::{Bincode, CodecFor};
    ///
    /// assert_eq!(CodecFor::<u32>::of::<Bincode>().id(), 1);
    /// ```
    pub const fn id(&self) -> u8 {
        self.id
    }

    /// The codec's name.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::codec::{Bincode, CodecFor};
    ///
    /// assert_eq!(CodecFor::<u32>::of::<Bincode>().name(), "bincode");
    /// ```
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// See [`Codec::encode`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::codec::{Bincode, CodecFor};
    ///
    /// let mut bytes = Vec::new();
    /// CodecFor::<bool>::of::<Bincode>().encode(&true, &mut bytes)?;
    /// assert_eq!(bytes, [1]);
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Encode`] where the format cannot hold the value.
    pub fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        (self.encode)(value, out)
    }

    /// See [`Codec::decode`].
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::codec::{Bincode, CodecFor};
    ///
    /// let codec = CodecFor::<bool>::of::<Bincode>();
    /// assert!(codec.decode(&[1])?);
    /// assert!(codec.decode(&[1, 1]).is_err(), "one byte is left");
    /// # Ok::<(), cachemacro::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Decode`] where the bytes are not one value.
    pub fn decode(&self, bytes: &[u8]) -> Result<T> {
        (self.decode)(bytes)
    }
}

impl<T> Clone for CodecFor<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for CodecFor<T> {}

impl<T> fmt::Debug for CodecFor<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodecFor").field("id", &self.id).field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(not(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json")))]
mod missing {
    //! What stands in where no codec feature is on.

    use serde::Serialize;
    use serde::de::DeserializeOwned;

    use super::Codec;
    use crate::ground::error::{Error, ErrorKind, Result};

    pub(super) struct Missing;

    const WHY: &str = "no codec is built in: turn on one of the features `bincode`, `postcard`, `msgpack`, `json`, \
                       or name a codec of your own";

    impl Codec for Missing {
        const ID: u8 = 0;
        const NAME: &'static str = "none";
        const BUILTIN: bool = true;

        fn encode<T: Serialize + ?Sized>(_: &T, _: &mut Vec<u8>) -> Result<()> {
            Err(Error::new(ErrorKind::Encode, WHY))
        }

        fn decode<T: DeserializeOwned>(_: &[u8]) -> Result<T> {
            Err(Error::new(ErrorKind::Decode, WHY))
        }
    }
}

/// No source: a codec's own message, or that of a value's `Serialize`, may quote what it saw.
#[cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]
mod failures {
    use crate::ground::error::{Error, ErrorKind};

    pub(super) fn unencodable(codec: &str) -> Error {
        Error::new(ErrorKind::Encode, format!("{codec} cannot hold this value"))
    }

    pub(super) fn broken(codec: &str) -> Error {
        Error::new(ErrorKind::Decode, format!("not {codec} of this type"))
    }

    pub(super) fn trailing(codec: &str) -> Error {
        Error::new(ErrorKind::Decode, format!("bytes left behind the {codec} value"))
    }
}
#[cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]
use failures::{broken, trailing, unencodable};

/// The id that entries of this codec carry.
pub(crate) const fn codec_id(codec: BuiltinCodec) -> u8 {
    CodecFor::<()>::builtin(codec).id()
}
