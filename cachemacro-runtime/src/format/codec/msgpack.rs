//! `MessagePack` with named fields: self-describing, readable from any language, about half the size of JSON.
//! `Some(None)` has no form of its own, as in JSON, and is refused.

use std::io::ErrorKind::UnexpectedEof;

use rmp_serde::decode::Error as DecodeError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::audit::Form;
use super::contract::Codec;
use super::failures::{broken, trailing, unencodable};
use super::guard::decode_guarded;
use crate::ground::error::Result;

/// The `MessagePack` codec, structures as maps with named fields; id 3.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, codec::MessagePack};
/// use std::collections::BTreeMap;
///
/// let ages = Cache::memory().entry("ages", ()).with_codec::<MessagePack>();
/// ages.set(&BTreeMap::from([("Ada".to_owned(), 36)])).await?;
/// assert_eq!(ages.get().await?.map(|ages| ages["Ada"]), Some(36));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct MessagePack;

impl Codec for MessagePack {
    const ID: u8 = 3;
    const NAME: &'static str = "msgpack";
    const BUILTIN: bool = true;
    const FORM: Form = Form::MESSAGE_PACK;

    fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        let mut serializer = rmp_serde::Serializer::new(out).with_struct_map();
        value.serialize(&mut serializer).map_err(|_| unencodable(Self::NAME))
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        let mut deserializer = rmp_serde::Deserializer::from_read_ref(bytes);
        let value = decode_guarded(bytes.len(), &mut deserializer).map_err(|_| broken(Self::NAME))?;
        // The reader does not say where it stands, so ask it for one more value: there must be none.
        match bool::deserialize(&mut deserializer) {
            Err(DecodeError::InvalidMarkerRead(error)) if error.kind() == UnexpectedEof => Ok(value),
            _ => Err(trailing(Self::NAME)),
        }
    }
}
