//! What a codec is.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::Form;
use crate::ground::error::Result;

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
    #[doc(hidden)]
    const FORM: Form = Form::OWN;

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
    /// [`ErrorKind::Encode`](crate::ErrorKind::Encode) where the format cannot hold the value. `out` may then hold a part of it.
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
    /// [`ErrorKind::Decode`](crate::ErrorKind::Decode) where they hold none, or more than one. Messages must not quote the bytes.
    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T>;
}
