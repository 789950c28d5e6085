//! The codecs of this build by name, and one of them, or of a user's, chosen for one type.

use std::fmt;
use std::str::FromStr;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::{Audit, Audited, Form, Skipped};
#[cfg(feature = "bincode")]
use super::bincode::Bincode;
use super::contract::Codec;
#[cfg(feature = "json")]
use super::json::Json;
#[cfg(not(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json")))]
use super::missing::Missing;
#[cfg(feature = "msgpack")]
use super::msgpack::MessagePack;
#[cfg(feature = "postcard")]
use super::postcard::Postcard;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::ground::panics::caught;
use crate::ground::unstorable::Unstorable;

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
    form: Form,
    encode: fn(&Audited<'_, T>, &mut Vec<u8>) -> Result<()>,
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
        Self { id: C::ID, name: C::NAME, form: C::FORM, encode: encode::<C, T>, decode: C::decode::<T> }
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
            BuiltinCodec::None => Self::of::<Missing>(),
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
    /// [`ErrorKind::Encode`] where the format would not bring the value back as it is, or its `Serialize` panics. The
    /// source, where there is one, is an [`Unstorable`](crate::Unstorable) that says why.
    pub fn encode(&self, value: &T, out: &mut Vec<u8>) -> Result<()> {
        self.encode_audited(value, out).map(drop)
    }

    /// [`encode`](Self::encode), and tells which fields were left out.
    pub(crate) fn encode_audited(&self, value: &T, out: &mut Vec<u8>) -> Result<Vec<Skipped>> {
        let audit = Audit::new(self.form);
        let encoded = caught(|| (self.encode)(&audit.of(value), out));
        match (audit.refused(), encoded) {
            // A `Serialize` that goes on after a refusal is refused all the same.
            (Some(why), _) => Err(unstorable(self.name, why)),
            (None, None) => Err(unstorable(self.name, Unstorable::Panicked)),
            (None, Some(encoded)) => encoded.map(|()| audit.into_skipped()),
        }
    }

    /// Whether the format has no names and no types in it, so that only a reader who knows the type can read it.
    pub(crate) const fn is_compact(&self) -> bool {
        self.form.compact
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
    /// [`ErrorKind::Decode`] where the bytes are not one value, or its `Deserialize` panics.
    pub fn decode(&self, bytes: &[u8]) -> Result<T> {
        caught(|| (self.decode)(bytes)).unwrap_or_else(|| {
            Err(Error::new(ErrorKind::Decode, format!("the value's own code panicked under {}", self.name)))
        })
    }
}

/// The format would not bring the value back as it is.
fn unstorable(codec: &str, why: Unstorable) -> Error {
    Error::new(ErrorKind::Encode, format!("{codec} would not bring this value back")).with_source(why)
}

fn encode<C: Codec, T: Serialize>(value: &Audited<'_, T>, out: &mut Vec<u8>) -> Result<()> {
    C::encode(value, out)
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

/// The id that entries of this codec carry.
pub(crate) const fn codec_id(codec: BuiltinCodec) -> u8 {
    CodecFor::<()>::builtin(codec).id()
}
