//! What stands in where no codec feature is on.

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::contract::Codec;
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
