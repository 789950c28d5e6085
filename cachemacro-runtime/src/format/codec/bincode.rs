//! bincode 2: the default. Compact, not self-describing: types with `#[serde(untagged)]`, `#[serde(flatten)]`,
//! `skip_serializing_if` or a `serde_json::Value` inside do not come back and are not stored; use [`MessagePack`] or [`Json`] there.
//!
//! It no longer has maintainers (RUSTSEC-2025-0141), so it has a feature of its own and nothing else needs it.
//! Its size limit is a compile-time constant and would be the same for nine bytes and nine megabytes. Decoding
//! here is limited by the payload itself instead: bytes are only ever borrowed from it, and the guard that all
//! codecs share bounds elements, containers and nesting.
//!
//! [`MessagePack`]: super::MessagePack
//! [`Json`]: super::Json

use std::marker::PhantomData;

use bincode::config::{Configuration, standard};
use bincode::enc::write::Writer;
use bincode::error::EncodeError;
use bincode::serde::{encode_into_writer, seed_decode_from_slice};
use serde::Serialize;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer};

use super::audit::Form;
use super::contract::Codec;
use super::failures::{broken, trailing, unencodable};
use super::guard::decode_guarded;
use crate::ground::error::Result;

/// The bincode 2 codec (standard configuration: little endian, variable-length integers); id 1.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, codec::Bincode};
///
/// let user = Cache::memory().entry("user", 7).with_codec::<Bincode>();
/// user.set(&("Ada".to_owned(), 36_u8)).await?;
/// assert_eq!(user.meta().await?.map(|meta| meta.size), Some(5), "bytes: length, name, age");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Bincode;

const CONFIG: Configuration = standard();

impl Codec for Bincode {
    const ID: u8 = 1;
    const NAME: &'static str = "bincode";
    const BUILTIN: bool = true;
    const FORM: Form = Form::COMPACT;

    fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        encode_into_writer(value, Sink(out), CONFIG).map_err(|_| unencodable(Self::NAME))
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        let seed = Guarded { len: bytes.len(), value: PhantomData };
        let (value, read) = seed_decode_from_slice(seed, bytes, CONFIG).map_err(|_| broken(Self::NAME))?;
        if read == bytes.len() { Ok(value) } else { Err(trailing(Self::NAME)) }
    }
}

struct Sink<'a>(&'a mut Vec<u8>);

impl Writer for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), EncodeError> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// Only when bincode drives a seed itself does it tell how much it read.
struct Guarded<T> {
    len: usize,
    value: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Guarded<T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<T, D::Error> {
        decode_guarded(self.len, deserializer)
    }
}
