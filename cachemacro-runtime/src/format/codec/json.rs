//! JSON: readable with `redis-cli`. Map keys must be text or numbers. NaN, infinities and `Some(None)` have no form of their
//! own in it, so the audit that all codecs share refuses them.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::Form;
use super::contract::Codec;
use super::failures::{broken, trailing, unencodable};
use super::guard::decode_guarded;
use crate::ground::error::Result;

/// The JSON codec; id 4.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, codec::Json};
///
/// let any = Cache::memory().entry("any", 1).with_codec::<Json>();
/// any.set(&serde_json::json!({ "name": "Ada", "tags": ["poet", 1815] })).await?;
/// assert_eq!(any.get().await?.map(|value| value["tags"][1] == 1815), Some(true));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Json;

impl Codec for Json {
    const ID: u8 = 4;
    const NAME: &'static str = "json";
    const BUILTIN: bool = true;
    const FORM: Form = Form::JSON;

    fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        serde_json::to_writer(out, value).map_err(|_| unencodable(Self::NAME))
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value = decode_guarded(bytes.len(), &mut deserializer).map_err(|_| broken(Self::NAME))?;
        deserializer.end().map_err(|_| trailing(Self::NAME))?;
        Ok(value)
    }
}
