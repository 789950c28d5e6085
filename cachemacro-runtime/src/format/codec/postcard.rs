//! postcard: as compact as bincode, maintained, with a written-down wire format. Not self-describing either, with the
//! same limits on what comes back.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::audit::Form;
use super::contract::Codec;
use super::failures::{broken, trailing, unencodable};
use super::guard::decode_guarded;
use crate::ground::error::Result;

/// The postcard 1 codec; id 2.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> cachemacro::Result<()> {
/// use cachemacro::{Cache, codec::Postcard};
///
/// let user = Cache::memory().entry("user", 7).with_codec::<Postcard>();
/// user.set(&("Ada".to_owned(), 36_u8)).await?;
/// assert_eq!(user.get().await?, Some(("Ada".to_owned(), 36)));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Postcard;

impl Codec for Postcard {
    const ID: u8 = 2;
    const NAME: &'static str = "postcard";
    const BUILTIN: bool = true;
    const FORM: Form = Form::COMPACT;

    fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        postcard::to_extend(value, Sink(out)).map(drop).map_err(|_| unencodable(Self::NAME))
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        let mut deserializer = postcard::Deserializer::from_bytes(bytes);
        let value = decode_guarded(bytes.len(), &mut deserializer).map_err(|_| broken(Self::NAME))?;
        match deserializer.finalize() {
            Ok([]) => Ok(value),
            Ok(_) | Err(_) => Err(trailing(Self::NAME)),
        }
    }
}

/// A borrowed vector as the `Extend` that postcard wants by value.
struct Sink<'a>(&'a mut Vec<u8>);

impl Extend<u8> for Sink<'_> {
    fn extend<I: IntoIterator<Item = u8>>(&mut self, bytes: I) {
        self.0.extend(bytes);
    }
}
