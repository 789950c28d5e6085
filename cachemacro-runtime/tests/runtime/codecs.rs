//! Every codec: what goes in comes out, and hostile bytes are errors that cost little.
#![cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]

use std::collections::{BTreeMap, HashSet};
use std::time::{Duration, Instant};

use cachemacro_runtime::codec::{CodecFor, MAX_DEPTH};
use cachemacro_runtime::{BuiltinCodec, Codec, ErrorKind};
use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Sample {
    id: u64,
    name: String,
    score: Option<i32>,
    state: State,
    tags: Vec<String>,
    counts: BTreeMap<String, u16>,
    pair: (i8, bool),
    unit: (),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum State {
    New,
    Held(u8),
    Moved { from: i64, to: char },
    Pair(u8, String),
}

/// A list that needs one level of nesting, and next to no bytes, per element.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Chain {
    next: Option<Box<Chain>>,
}

/// The same through a newtype: in some formats, nothing but the option's byte remains.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Bare(Option<Box<Bare>>);

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Tree {
    Leaf,
    Node(Vec<Tree>),
}

impl Chain {
    fn of(len: u32) -> Self {
        (0..len).fold(Self { next: None }, |next, _| Self { next: Some(Box::new(next)) })
    }
}

fn sample() -> impl Strategy<Value = Sample> {
    let state = prop_oneof![
        Just(State::New),
        any::<u8>().prop_map(State::Held),
        (any::<i64>(), any::<char>()).prop_map(|(from, to)| State::Moved { from, to }),
        (any::<u8>(), any::<String>()).prop_map(|(a, b)| State::Pair(a, b)),
    ];
    (any::<(u64, String, Option<i32>, Vec<String>, BTreeMap<String, u16>, (i8, bool))>(), state).prop_map(
        |((id, name, score, tags, counts, pair), state)| Sample {
            id,
            name,
            score,
            state,
            tags,
            counts,
            pair,
            unit: (),
        },
    )
}

fn encode<T: Serialize + DeserializeOwned>(codec: BuiltinCodec, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    CodecFor::<T>::builtin(codec).encode(value, &mut out).expect("encodes");
    out
}

fn decode<T: Serialize + DeserializeOwned>(codec: BuiltinCodec, bytes: &[u8]) -> Result<T, ErrorKind> {
    CodecFor::<T>::builtin(codec).decode(bytes).map_err(|error| error.kind())
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(value in sample()) {
        for &codec in BuiltinCodec::ALL {
            let bytes = encode(codec, &value);
            prop_assert_eq!(decode::<Sample>(codec, &bytes), Ok(value.clone()), "{}", codec);
        }
    }

    /// Upholds G8.
    #[test]
    fn a_finite_number_comes_back_bit_for_bit(single in any::<u32>(), double in any::<u64>()) {
        let (single, double) = (f32::from_bits(single), f64::from_bits(double));
        prop_assume!(single.is_finite() && double.is_finite());
        for &codec in BuiltinCodec::ALL {
            let back = decode::<(f32, f64)>(codec, &encode(codec, &(single, double))).expect("decodes");
            prop_assert_eq!((back.0.to_bits(), back.1.to_bits()), (single.to_bits(), double.to_bits()), "{}", codec);
        }
    }

    #[test]
    fn a_byte_too_many_or_too_few_is_an_error(value in sample(), extra in any::<u8>()) {
        for &codec in BuiltinCodec::ALL {
            let mut bytes = encode(codec, &value);
            prop_assert_eq!(decode::<Sample>(codec, &bytes[..bytes.len() - 1]), Err(ErrorKind::Decode));
            // JSON allows blanks behind the value.
            bytes.push(if codec.name() == "json" { extra | 0x80 } else { extra });
            prop_assert_eq!(decode::<Sample>(codec, &bytes), Err(ErrorKind::Decode), "{}", codec);
        }
    }
}

#[test]
fn encoding_appends_to_what_is_there() {
    for &codec in BuiltinCodec::ALL {
        let mut out = b"before".to_vec();
        CodecFor::<u32>::builtin(codec).encode(&7, &mut out).expect("encodes");
        assert_eq!(decode(codec, out.strip_prefix(b"before").expect("kept")), Ok(7_u32));
    }
}

#[test]
fn ids_are_fixed_and_names_parse() {
    let known: Vec<_> =
        BuiltinCodec::ALL.iter().map(|&codec| (codec.name(), CodecFor::<u8>::builtin(codec).id())).collect();
    for (name, id) in [("bincode", 1), ("postcard", 2), ("msgpack", 3), ("json", 4)] {
        if let Some((_, found)) = known.iter().find(|(known, _)| *known == name) {
            assert_eq!(*found, id, "{name}");
            assert_eq!(name.to_uppercase().parse::<BuiltinCodec>().expect("ignores case").to_string(), name);
        }
    }
    let error = "yaml".parse::<BuiltinCodec>().expect_err("there is no yaml");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(known.iter().all(|(name, _)| error.to_string().contains(name)), "{error}");
}

/// As a codec writes it, whatever a decoder would make of it.
fn encode_unaudited<T: Serialize>(codec: BuiltinCodec, value: &T) -> Vec<u8> {
    let mut out = Vec::new();
    match codec {
        #[cfg(feature = "bincode")]
        BuiltinCodec::Bincode => cachemacro_runtime::codec::Bincode::encode(value, &mut out),
        #[cfg(feature = "postcard")]
        BuiltinCodec::Postcard => cachemacro_runtime::codec::Postcard::encode(value, &mut out),
        #[cfg(feature = "msgpack")]
        BuiltinCodec::MessagePack => cachemacro_runtime::codec::MessagePack::encode(value, &mut out),
        #[cfg(feature = "json")]
        BuiltinCodec::Json => cachemacro_runtime::codec::Json::encode(value, &mut out),
        _ => unreachable!("one of the four"),
    }
    .expect("encodes");
    out
}

#[test]
fn a_list_nests_as_deep_as_the_limit_allows_and_no_deeper() {
    for &codec in BuiltinCodec::ALL {
        let deep = encode_unaudited(codec, &Chain::of(MAX_DEPTH / 2 - 1));
        assert!(decode::<Chain>(codec, &deep).is_ok() || codec.name() == "json", "{codec}");
        let deeper = encode_unaudited(codec, &Chain::of(MAX_DEPTH / 2));
        assert_eq!(decode::<Chain>(codec, &deeper), Err(ErrorKind::Decode), "{codec}");
    }
}

/// Every way to nest.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum Deep {
    End,
    Newtype(Box<Deep>),
    Tuple(Box<Deep>, ()),
    Struct { inner: Box<Deep> },
    Option(Option<Box<Deep>>),
    List(Vec<Deep>),
    Map(BTreeMap<String, Deep>),
    Pair(Box<(Deep, u8)>),
    Named(Box<Named>),
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct Named {
    inner: Deep,
}

impl Deep {
    fn around(self, way: usize) -> Self {
        match way % 8 {
            0 => Deep::Newtype(Box::new(self)),
            1 => Deep::Tuple(Box::new(self), ()),
            2 => Deep::Struct { inner: Box::new(self) },
            3 => Deep::Option(Some(Box::new(self))),
            4 => Deep::List(vec![self]),
            5 => Deep::Map(BTreeMap::from([(String::new(), self)])),
            6 => Deep::Pair(Box::new((self, 1))),
            _ => Deep::Named(Box::new(Named { inner: self })),
        }
    }
}

/// Every value that is encoded is decoded, whatever it is nested in, and the deepest that is decoded is encoded.
#[test]
fn the_depth_at_which_encoding_ends_is_the_one_at_which_decoding_ends() {
    for &codec in BuiltinCodec::ALL {
        for way in 0..9 {
            let mut refused = 0;
            for levels in 0..MAX_DEPTH as usize + 3 {
                let way = |level| if way == 8 { level } else { way };
                let value = (0..levels).fold(Deep::End, |inner, level| inner.around(way(level)));
                let mut bytes = Vec::new();
                let encoded = CodecFor::<Deep>::builtin(codec).encode(&value, &mut bytes).is_ok();
                let decodes = decode::<Deep>(codec, &encode_unaudited(codec, &value)).is_ok();
                assert_eq!(encoded, decodes, "{codec}, {levels} levels of {}", way(0));
                refused += usize::from(!encoded);
                if refused == 3 {
                    break;
                }
            }
            assert_eq!(refused, 3, "{codec}");
        }
    }
}

/// Upholds G8.
#[test]
fn a_megabyte_of_nesting_does_not_overflow_a_small_stack() {
    // What tokio's workers have by default is twice as much.
    std::thread::Builder::new()
        .stack_size(1 << 20)
        .spawn(|| {
            for &codec in BuiltinCodec::ALL {
                for byte in u8::MIN..=u8::MAX {
                    let bytes = vec![byte; 1 << 16];
                    assert!(decode::<Chain>(codec, &bytes).is_err(), "{codec} {byte}");
                    assert!(decode::<Bare>(codec, &bytes).is_err(), "{codec} {byte}");
                    assert!(decode::<Tree>(codec, &bytes).is_err(), "{codec} {byte}");
                }
                for opening in [
                    &br#"{"next":"#[..],
                    b"[",
                    b"\x81\xa4next",
                    b"\x81\xa4Node\x91",
                    b"\x01\x01",
                    br#"{"Node":["#,
                ] {
                    let bytes = opening.repeat((1 << 20) / opening.len());
                    assert!(decode::<Chain>(codec, &bytes).is_err(), "{codec}");
                    assert!(decode::<Tree>(codec, &bytes).is_err(), "{codec}");
                }
            }
        })
        .expect("a thread starts")
        .join()
        .expect("no panic");
}

/// Upholds G8.
#[test]
fn a_claimed_count_of_empty_elements_costs_no_time() {
    let start = Instant::now();
    // Nine bytes that claim 2^62 elements, as bincode, postcard and MessagePack (2^32 there) write lengths.
    let claims: [&[u8]; 3] =
        [b"\xfd\0\0\0\0\0\0\0\x40", b"\x80\x80\x80\x80\x80\x80\x80\x80\x40", b"\xdd\xff\xff\xff\xff"];
    for &codec in BuiltinCodec::ALL {
        for claim in claims {
            assert_eq!(decode::<Vec<()>>(codec, claim), Err(ErrorKind::Decode), "{codec}");
            assert_eq!(decode::<HashSet<()>>(codec, claim), Err(ErrorKind::Decode), "{codec}");
            assert_eq!(decode::<Vec<[u64; 32]>>(codec, claim), Err(ErrorKind::Decode), "{codec}");
            assert_eq!(decode::<String>(codec, claim), Err(ErrorKind::Decode), "{codec}");
        }
    }
    assert!(start.elapsed() < Duration::from_secs(2), "took {:?}", start.elapsed());
}

#[test]
fn small_elements_in_great_number_come_back() {
    for &codec in BuiltinCodec::ALL {
        let empties = vec![(); 10_000];
        assert_eq!(decode(codec, &encode(codec, &empties)), Ok(empties), "{codec}");
        let lists = vec![Vec::<u8>::new(); 300_000];
        assert_eq!(decode(codec, &encode(codec, &lists)), Ok(lists), "{codec}");
        let wrapped = vec![((((1_u8,), ()), ()), [(); 4]); 300_000];
        assert_eq!(decode(codec, &encode(codec, &wrapped)), Ok(wrapped), "{codec}");
    }
}

#[test]
fn no_error_quotes_the_value() {
    #[derive(Debug, Serialize, Deserialize)]
    struct Secret {
        #[serde(serialize_with = "refuse", deserialize_with = "refuse_back")]
        card: String,
    }
    fn refuse<S: serde::Serializer>(card: &str, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom(format!("cannot take {card}")))
    }
    fn refuse_back<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
        Err(serde::de::Error::custom(format!("cannot take {}", String::deserialize(deserializer)?)))
    }
    #[derive(Serialize, Deserialize)]
    struct Open {
        card: String,
    }

    for &codec in BuiltinCodec::ALL {
        let chosen = CodecFor::<Secret>::builtin(codec);
        let error = chosen.encode(&Secret { card: "4111".into() }, &mut Vec::new()).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Encode);
        assert!(!format!("{error} {error:?}").contains("4111"), "{codec}");
        let error = chosen.decode(&encode(codec, &Open { card: "4111".into() })).expect_err("refused");
        assert_eq!(error.kind(), ErrorKind::Decode);
        assert!(!format!("{error} {error:?}").contains("4111"), "{codec}");
    }
}

#[test]
fn a_codec_of_ones_own_takes_part() {
    struct Text;
    impl Codec for Text {
        const ID: u8 = 200;
        const NAME: &'static str = "text";
        fn encode<T: Serialize + ?Sized>(value: &T, out: &mut Vec<u8>) -> cachemacro_runtime::Result<()> {
            out.extend(serde_json::to_vec_pretty(value).expect("a test's value"));
            Ok(())
        }
        fn decode<T: DeserializeOwned>(bytes: &[u8]) -> cachemacro_runtime::Result<T> {
            Ok(serde_json::from_slice(bytes).expect("a test's value"))
        }
    }
    let codec = const { CodecFor::<Vec<u8>>::of::<Text>() };
    let mut out = Vec::new();
    codec.encode(&vec![1, 2], &mut out).expect("encodes");
    assert_eq!((codec.id(), codec.name()), (200, "text"));
    assert_eq!(codec.decode(&out).expect("decodes"), [1, 2]);
}

#[cfg(feature = "lz4")]
mod lz4 {
    use cachemacro_runtime::codec::compress::{compress, decompress};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_compressed_comes_back(byte in any::<u8>(), len in 64_usize..100_000, noise in any::<Vec<u8>>()) {
            let mut bytes = vec![byte; len];
            bytes.extend(noise);
            let small = compress(&bytes).expect("repetition compresses");
            prop_assert!(small.len() < bytes.len());
            prop_assert_eq!(decompress(&small, bytes.len()).expect("inflates"), bytes.clone());
            prop_assert!(decompress(&small, bytes.len() - 1).is_err());
        }

        #[test]
        fn any_bytes_inflate_or_fail(bytes in any::<Vec<u8>>()) {
            if let Ok(inflated) = decompress(&bytes, 1 << 20) {
                prop_assert!(inflated.len() <= bytes.len() * 255);
            }
        }
    }

    #[test]
    fn what_does_not_shrink_stays() {
        assert_eq!(compress(b"abc"), None);
        assert_eq!(compress(b""), None);
    }

    #[test]
    fn a_claim_that_no_block_could_keep_is_refused() {
        let bomb = [0xff, 0xff, 0xff, 0x7f, 0x10, b'a'];
        assert!(decompress(&bomb, usize::MAX).is_err());
    }
}
