//! The errors of all codecs. They have no source: a codec's own message, or that of a value's `Serialize`, may quote
//! what it saw.

use crate::ground::error::{Error, ErrorKind};

/// The format cannot hold the value.
pub(super) fn unencodable(codec: &str) -> Error {
    Error::new(ErrorKind::Encode, format!("{codec} cannot hold this value"))
}

/// The bytes are not a value of the type.
pub(super) fn broken(codec: &str) -> Error {
    Error::new(ErrorKind::Decode, format!("not {codec} of this type"))
}

/// A value was read, and bytes are left.
pub(super) fn trailing(codec: &str) -> Error {
    Error::new(ErrorKind::Decode, format!("bytes left behind the {codec} value"))
}
