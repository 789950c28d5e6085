//! Events that go to other processes, as bytes.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::format::codec::{BuiltinCodec, CodecFor, codec_id};
use crate::format::schema::fingerprint_of;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::policy::outcome::Value;

/// The form of an event's bytes: this number, the codec's id, eight bytes of the type's fingerprint, the value.
const FORM: u8 = 1;
/// How many bytes come before the value.
const HEAD: usize = 10;

/// An event on its way.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Emitted {
    /// The name of its kind, percent-encoded.
    pub(crate) name: String,
    /// How many of its kind are kept.
    pub(crate) keep: usize,
    #[serde(with = "hex")]
    pub(crate) payload: Vec<u8>,
}

// It may be a secret.
impl fmt::Debug for Emitted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.payload.len();
        f.debug_struct("Emitted").field("name", &self.name).field("bytes", &bytes).finish_non_exhaustive()
    }
}

/// An event as bytes.
pub(crate) fn encode<E: Value>(event: &E, codec: BuiltinCodec, most: usize) -> Result<Vec<u8>> {
    let mut bytes = vec![FORM, codec_id(codec)];
    bytes.extend(fingerprint_of::<E>().hash().to_le_bytes());
    CodecFor::<E>::builtin(codec).encode(event, &mut bytes)?;
    if bytes.len() - HEAD > most {
        return Err(Error::new(ErrorKind::TooLarge, "the encoded event is over the size limit"));
    }
    Ok(bytes)
}

/// The event in these bytes.
///
/// # Errors
/// [`ErrorKind::Decode`] where they are none of this type, as it is in this build.
pub(crate) fn decode<E: Value>(bytes: &[u8]) -> Result<E> {
    let wrong = |what| Error::new(ErrorKind::Decode, what);
    let (head, payload) = bytes.split_at_checked(HEAD).ok_or_else(|| wrong("an event is too short"))?;
    if head[0] != FORM {
        return Err(wrong("an event is of another version of this crate"));
    }
    let codec = BuiltinCodec::ALL.iter().copied().find(|codec| codec_id(*codec) == head[1]);
    let codec = codec.ok_or_else(|| wrong("an event's codec is not part of this build"))?;
    // G8: never as another type's, or as that of another deploy.
    if head[2..] != fingerprint_of::<E>().hash().to_le_bytes() {
        return Err(wrong("an event's type had another shape where it was emitted"));
    }
    CodecFor::<E>::builtin(codec).decode(payload)
}

/// Bytes as text, for formats of which some know text alone.
mod hex {
    use std::fmt::Write as _;

    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        let mut text = String::with_capacity(bytes.len() * 2);
        for byte in bytes {
            let _ = write!(text, "{byte:02x}");
        }
        serializer.serialize_str(&text)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        let (pairs, rest) = text.as_bytes().as_chunks::<2>();
        let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        let byte = |[high, low]: &[u8; 2]| Some(digit(*high)? << 4 | digit(*low)?);
        let bytes: Option<Vec<u8>> = pairs.iter().map(byte).collect();
        bytes.filter(|_| rest.is_empty()).ok_or_else(|| D::Error::custom("an event's payload is not in hex"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_decoded_as_what_it_was_and_as_nothing_else() {
        let bytes = encode(&("Ada".to_owned(), 7_u32), BuiltinCodec::default(), 100).expect("it is short");
        assert_eq!(decode::<(String, u32)>(&bytes).ok(), Some(("Ada".to_owned(), 7)));
        let kind = |bytes: &[u8]| decode::<(String, u32)>(bytes).map_err(|error| error.kind());
        for length in 0..bytes.len() {
            assert_eq!(kind(&bytes[..length]), Err(ErrorKind::Decode), "{length} bytes");
        }
        for at in 0..HEAD {
            let mut other = bytes.clone();
            other[at] ^= 0x40;
            assert_eq!(kind(&other), Err(ErrorKind::Decode), "byte {at}");
        }
        assert!(decode::<(String, i64)>(&bytes).is_err());
        let large = encode(&"x".repeat(101), BuiltinCodec::default(), 100);
        assert_eq!(large.map_err(|error| error.kind()), Err(ErrorKind::TooLarge));
    }

    #[test]
    fn events_are_plain_data_too() {
        let event = Emitted { name: "renamed".to_owned(), keep: 10, payload: vec![0, 7, 255] };
        let text = serde_json::to_string(&event).expect("it has a form");
        assert_eq!(text, r#"{"name":"renamed","keep":10,"payload":"0007ff"}"#);
        assert_eq!(serde_json::from_str::<Emitted>(&text).ok(), Some(event));
        for wrong in ["0", "0g", "é"] {
            let text = text.replace("0007ff", wrong);
            assert!(serde_json::from_str::<Emitted>(&text).is_err(), "{wrong}");
        }
    }
}
