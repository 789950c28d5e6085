//! The bytes of the format, checked in: a change that would make old entries unreadable, or read as something else,
//! fails here. Files are hexadecimal, 32 bytes a line.
#![cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]

use std::collections::BTreeMap;
use std::fmt::Write as _;

use cachemacro_runtime::codec::CodecFor;
use cachemacro_runtime::header::{COMPRESSED, Header, NONE, Parts, Stamp, assemble};
use cachemacro_runtime::store::{FillId, Token, Version};
use cachemacro_runtime::{BuiltinCodec, Timestamp};
use serde::{Deserialize, Serialize};

#[derive(Debug, PartialEq, Serialize, Deserialize)]
struct User {
    id: u64,
    name: String,
    score: Option<i32>,
    state: State,
    tags: Vec<String>,
    counts: BTreeMap<String, u16>,
    ratio: f64,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
enum State {
    New,
    Moved { from: i64, to: char },
}

fn user() -> User {
    User {
        id: 1 << 40,
        name: "Åse".into(),
        score: Some(-300),
        state: State::Moved { from: -1, to: 'é' },
        tags: vec!["users".into(), "org:7".into(), String::new()],
        counts: BTreeMap::from([("a".into(), 1), ("b".into(), 65535)]),
        ratio: 0.5,
    }
}

fn header(codec: u8) -> Header {
    let mut header = Header::new()
        .with_codec(codec)
        .with_fill_id(FillId::new(0x0102_0304_0506_0708))
        .with_lease(Token::new(0x1112_1314_1516_1718), Timestamp(1_700_000_003_000))
        .with_key_hash(0x2122_2324_2526_2728)
        .with_schema(0x3132_3334_3536_3738)
        .with_stored_at(Timestamp(1_700_000_000_000))
        .with_fresh_until(Timestamp(1_700_000_300_000))
        .with_gone_at(Timestamp(1_700_000_600_000))
        .with_load_millis(37);
    header.epoch = 0x4142_4344;
    header
}

fn stamps() -> [Stamp; 2] {
    [
        Stamp::new(0x5152_5354_5556_5758, Version::new(0x6162_6364_6566_6768)),
        Stamp::new(0x7172_7374_7576_7778, Version::new(0x8182_8384_8586_8788)),
    ]
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.chunks(32).fold(String::new(), |mut text, line| {
        for byte in line {
            write!(text, "{byte:02x}").expect("strings take all");
        }
        text + "\n"
    })
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let pairs = digits.chunks(2).map(|pair| std::str::from_utf8(pair).expect("ASCII"));
    pairs.map(|pair| u8::from_str_radix(pair, 16).expect("hexadecimal")).collect()
}

#[test]
fn a_header_is_read_and_written_as_it_always_was() {
    let golden = include_str!("golden/header.hex");
    let mut none = header(1);
    none.flags = NONE | COMPRESSED;
    none.sealing_key = 0x0900;
    let bytes = assemble(none, &stamps(), b"");
    assert_eq!(to_hex(&bytes), golden);

    let golden = from_hex(golden);
    let parts = Parts::parse(&golden).expect("intact");
    (none.stamps, none.checksum) = (2, parts.header.checksum);
    assert_eq!(parts.header, none);
    assert_eq!(parts.stamps().collect::<Vec<_>>(), stamps());
    assert!(parts.payload.is_empty());
}

#[test]
fn a_pending_header_is_written_as_it_always_was() {
    let bytes =
        Header::pending(Token::new(0x1112_1314_1516_1718), Timestamp(1_700_000_003_000), true).to_bytes();
    assert_eq!(to_hex(&bytes), include_str!("golden/pending.hex"));
}

fn entry_is_golden(codec: BuiltinCodec, golden: &str) {
    let chosen = CodecFor::<User>::builtin(codec);
    let mut payload = Vec::new();
    chosen.encode(&user(), &mut payload).expect("encodes");
    let bytes = assemble(header(chosen.id()), &stamps(), &payload);
    assert_eq!(to_hex(&bytes), golden, "{codec}");

    let golden = from_hex(golden);
    let parts = Parts::parse(&golden).expect("intact");
    assert_eq!(parts.header.codec, chosen.id());
    assert_eq!(chosen.decode(parts.payload).expect("decodes"), user(), "{codec}");
}

#[cfg(feature = "bincode")]
#[test]
fn a_bincode_entry_is_read_and_written_as_it_always_was() {
    entry_is_golden(BuiltinCodec::Bincode, include_str!("golden/bincode.hex"));
}

#[cfg(feature = "postcard")]
#[test]
fn a_postcard_entry_is_read_and_written_as_it_always_was() {
    entry_is_golden(BuiltinCodec::Postcard, include_str!("golden/postcard.hex"));
}

#[cfg(feature = "msgpack")]
#[test]
fn a_messagepack_entry_is_read_and_written_as_it_always_was() {
    entry_is_golden(BuiltinCodec::MessagePack, include_str!("golden/msgpack.hex"));
}

#[cfg(feature = "json")]
#[test]
fn a_json_entry_is_read_and_written_as_it_always_was() {
    entry_is_golden(BuiltinCodec::Json, include_str!("golden/json.hex"));
}

/// Read only: how well LZ4 compresses may improve.
#[cfg(feature = "lz4")]
#[test]
fn a_compressed_payload_is_read_as_it_always_was() {
    let golden = from_hex(include_str!("golden/lz4.hex"));
    let inflated = cachemacro_runtime::codec::compress::decompress(&golden, 1 << 20).expect("intact");
    assert_eq!(inflated, "the same again and again, ".repeat(40).as_bytes());
}
