//! Any bytes as a payload: a value or an error, and a value comes back from its own encoding.
#![no_main]

use std::collections::{BTreeMap, HashSet};
use std::fmt::Debug;

use cachemacro_runtime::BuiltinCodec;
use cachemacro_runtime::codec::CodecFor;
use cachemacro_runtime::codec::compress::{compress, decompress};
use libfuzzer_sys::fuzz_target;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Sample {
    id: u64,
    name: String,
    score: Option<i32>,
    state: State,
    tags: Vec<String>,
    counts: BTreeMap<String, u16>,
    empty: Vec<()>,
    next: Option<Box<Sample>>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum State {
    New,
    Held(u8),
    Moved { from: i64, to: char },
    Both(Box<State>, Box<State>),
}

fn decode<T: Serialize + DeserializeOwned + PartialEq + Debug>(bytes: &[u8]) {
    for &codec in BuiltinCodec::ALL {
        let codec = CodecFor::<T>::builtin(codec);
        if let Ok(value) = codec.decode(bytes) {
            let mut again = Vec::new();
            codec.encode(&value, &mut again).expect("came from this codec");
            assert_eq!(codec.decode(&again).expect("just encoded"), value);
        }
    }
}

fuzz_target!(|bytes: &[u8]| {
    decode::<Sample>(bytes);
    decode::<Vec<State>>(bytes);
    decode::<HashSet<()>>(bytes);
    decode::<(String, Vec<[u64; 8]>)>(bytes);
    if let Ok(inflated) = decompress(bytes, 1 << 20) {
        assert!(inflated.len() <= 1 << 20);
    }
    if let Some(small) = compress(bytes) {
        assert_eq!(decompress(&small, bytes.len()).expect("just compressed"), bytes);
    }
});
