//! A codec of your own: how values become bytes, for one function.
//!
//! bincode, the default, does not describe its own format, so `#[serde(untagged)]`, `flatten` and
//! `serde_json::Value` need another codec. The crate has JSON, `MessagePack` and postcard behind features; here is one
//! more, for those who look into Redis with their own eyes: JSON with line breaks.

use std::collections::BTreeMap;

use cachemacro::{Cache, Codec, Entry, Error, ErrorKind, MissReason, Result, cached};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// JSON for eyes.
struct Pretty;

impl Codec for Pretty {
    // Stored with every entry: 32 to 254 are for codecs of your own.
    const ID: u8 = 40;
    const NAME: &'static str = "pretty-json";

    fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> Result<()> {
        // The error has no source: messages of codecs can quote values, and logs must not.
        serde_json::to_writer_pretty(out, value).map_err(|_| Error::new(ErrorKind::Encode, Self::NAME))
    }

    fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Result<T> {
        serde_json::from_slice(bytes).map_err(|_| Error::new(ErrorKind::Decode, Self::NAME))
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Product {
    name: String,
    /// Whatever else the catalogue says.
    #[serde(flatten)]
    facts: BTreeMap<String, Fact>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Fact {
    Number(i64),
    Text(String),
}

#[cached(prefix = "product", key = "{id}", ttl = "1h", codec = Pretty, entry = product_entry)]
async fn product(id: u32) -> Product {
    let facts = [("weight", Fact::Number(80)), ("colour", Fact::Text("green".to_owned()))];
    Product { name: format!("lamp {id}"), facts: facts.map(|(name, fact)| (name.to_owned(), fact)).into() }
}

#[tokio::main]
async fn main() -> Result<()> {
    let cache = Cache::memory();
    cache
        .scope(async {
            let loaded = product(7).await;
            let hit = product(7).await;
            println!("what was loaded and what was cached are equal: {}", loaded == hit);

            let mut bytes = Vec::new();
            Pretty::encode(&hit, &mut bytes)?;
            println!("{}", String::from_utf8_lossy(&bytes));

            // A change of codec never misreads old bytes: another codec sees a miss, and its next fill replaces them.
            let other: Entry<String> = cache.entry("product", "7");
            println!("the same key under bincode: {:?}", other.get().await?);
            let total = cache.stats().total;
            println!("misses because of the codec: {}", total.misses_for(MissReason::OtherCodec));
            println!("{} load, {} hit", total.loads, total.hits);
            Ok(())
        })
        .await
}
