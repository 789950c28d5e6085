//! What each codec brings back: every row of the table in `docs/codecs.md` is tried, on a cache in memory, with a load and
//! a read. What does not come back is not stored; nothing is stored that never comes back.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use cachemacro::{BuiltinCodec, Cache, Value};
use serde::{Deserialize, Serialize, Serializer};

const CODECS: [BuiltinCodec; 4] =
    [BuiltinCodec::Bincode, BuiltinCodec::Postcard, BuiltinCodec::MessagePack, BuiltinCodec::Json];

/// What becomes of a value under one codec.
async fn fate<T: Value + Debug>(codec: BuiltinCodec, value: &T) -> String {
    let cache = Cache::builder().memory().codec(codec).build().expect("acceptable settings");
    let entry = cache.entry::<T>("row", 1);
    let debug = format!("{value:?}");
    // Once to store it, once more in case the first was not.
    for _ in 0..2 {
        let returned = entry.get_or_load(async || value.clone()).await;
        let shown = format!("{returned:?}");
        if shown != debug {
            return "comes back as another".to_owned();
        }
    }
    let stats = cache.stats().total;
    if (stats.hits, stats.loads) == (1, 1) {
        return "yes".to_owned();
    }
    let reasons: Vec<_> = stats.unstorable_by_reason().filter(|(_, count)| *count > 0).collect();
    match reasons[..] {
        [(why, 2)] if stats.fills == 0 && cache.warnings().len() == 2 => format!("`{}`", why.as_str()),
        _ => format!("{stats:?}"),
    }
}

/// A row of the table: what becomes of each of these values, which should be the same.
macro_rules! row {
    ($what:literal: $($value:expr),+ $(,)?) => {{
        let mut cells = Vec::new();
        for codec in CODECS {
            let mut fates = vec![$(fate(codec, &$value).await),+];
            fates.dedup();
            cells.push(fates.join(" and "));
        }
        format!("| {} | {} |", $what, cells.join(" | "))
    }};
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Plain {
    id: u64,
    #[serde(rename = "full name")]
    name: String,
    pair: (i8, bool),
    list: Vec<Option<u16>>,
    text: Option<String>,
}

fn plain() -> Plain {
    Plain { id: 7, name: "Ada".into(), pair: (-1, true), list: vec![None, Some(3)], text: None }
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
enum Choice {
    Unit,
    Newtype(u8),
    Tuple(u8, String),
    Struct { a: Option<i64> },
    Empty(Option<()>),
}

fn choices() -> Vec<Choice> {
    vec![
        Choice::Unit,
        Choice::Newtype(1),
        Choice::Tuple(2, "x".into()),
        Choice::Struct { a: None },
        Choice::Struct { a: Some(-1) },
        Choice::Empty(None),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
struct UnitStruct;

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Newtype<T>(T);

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Spare {
    id: u8,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nick: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    tags: Vec<u8>,
    last: u8,
}

fn spare(full: bool) -> Spare {
    let text = |text: &str| full.then(|| text.to_owned());
    Spare { id: 1, name: text("Ada"), nick: text("A"), tags: if full { vec![1] } else { vec![] }, last: 2 }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum SpareVariant {
    Struct {
        #[serde(skip_serializing_if = "Option::is_none")]
        name: Option<String>,
        id: u8,
    },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct NoDefault {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<u8>,
    id: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Flat {
    number: u8,
    #[serde(flatten)]
    rest: Plain,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FlatMap {
    #[serde(flatten)]
    rest: BTreeMap<String, u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct FlatNumbers {
    #[serde(flatten)]
    rest: BTreeMap<u32, u8>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind")]
enum Internal {
    Unit,
    Struct { a: u8 },
    Newtype(Plain),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "content")]
enum Adjacent {
    Unit,
    Newtype(u8),
    Struct { a: u8 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Untagged {
    Number(u64),
    Text(String),
    Struct { a: u8 },
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Ambiguous {
    Small(u8),
    Large(u64),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
enum Wide {
    Number(u128),
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Skips {
    id: u8,
    #[serde(skip)]
    cached: u8,
}

/// Its `Serialize` does not know how many elements there are.
#[derive(Debug, Clone, PartialEq, Deserialize)]
struct Stream(Vec<u8>);

impl Serialize for Stream {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().filter(|_| true))
    }
}

/// Bytes as such, and not as a list of numbers.
#[derive(Debug, Clone, PartialEq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> serde::de::Visitor<'de> for Visitor {
            type Value = Bytes;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("bytes")
            }
            fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> Result<Bytes, A::Error> {
                let mut bytes = Vec::new();
                while let Some(byte) = seq.next_element()? {
                    bytes.push(byte);
                }
                Ok(Bytes(bytes))
            }
        }
        deserializer.deserialize_byte_buf(Visitor)
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Chain(Vec<Chain>);

fn chain(levels: u32) -> Chain {
    (1..levels).fold(Chain(vec![]), |inner, _| Chain(vec![inner]))
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Nested(Option<Box<Nested>>);

fn nested(levels: u32) -> Nested {
    (1..levels).fold(Nested(None), |inner, _| Nested(Some(Box::new(inner))))
}

#[cfg(unix)]
fn odd_path() -> PathBuf {
    use std::os::unix::ffi::OsStringExt as _;
    std::ffi::OsString::from_vec(vec![0xff]).into()
}

async fn rows() -> Vec<String> {
    let text = "é\0\u{1F980}".to_owned();
    vec![
        row!("numbers of any width, `bool`, `char`, text": (u128::MAX, i128::MIN, u64::MAX, i64::MIN), (true, 'é', text.clone()), (f32::MIN_POSITIVE, f64::MAX, 0.1_f32, 0.1_f64)),
        row!("NaN, infinities": f64::INFINITY, f64::NAN, vec![Some(f32::NEG_INFINITY)]),
        row!("bytes, lists, sets, tuples, arrays": Bytes(vec![0, 255]), vec![vec![1_u8], vec![]], [1_u16; 4], ()),
        row!("structs, newtypes, unit structs; `rename`, `alias`, `default`": plain(), Newtype(plain()), UnitStruct, Newtype(())),
        row!("enums": choices()),
        row!("`Option`, and one inside another": None::<u8>, Some(Some(1_u8)), vec![None, Some(plain())]),
        row!("`Some(None)`, `Some(())`": Some(None::<u8>), Some(()), Some(Newtype(None::<u8>)), vec![Some(())]),
        row!("`Some` of a unit struct": Some(UnitStruct)),
        row!("`Duration`, `SystemTime`, `IpAddr`, `Result`": Duration::from_nanos(1), SystemTime::UNIX_EPOCH, IpAddr::from([127, 0, 0, 1]), Ok::<u8, ()>(1), Err::<u8, ()>(())),
        row!("a path that is no text": odd_path()),
        row!("maps whose keys are text, numbers, `bool`, `char` or variants without a payload": HashMap::from([(text.clone(), 1)]), BTreeMap::from([(u64::MAX, 1)]), BTreeMap::from([(true, 1)]), BTreeMap::from([('a', 1)]), BTreeMap::from([(Choice::Unit, 1)])),
        row!("maps with other keys": BTreeMap::from([((1, 2), 3)]), BTreeMap::from([(None::<u8>, 1)]), BTreeMap::from([(Choice::Newtype(1), 1)])),
        row!("a list whose length is not known while it is encoded": Stream(vec![1, 2])),
        row!("`skip_serializing_if` that leaves nothing out": spare(true)),
        row!("`skip_serializing_if` that leaves out an `Option`, or what has a `default`": spare(false), vec![spare(true), spare(false)], SpareVariant::Struct { name: None, id: 1 }),
        row!("`skip_serializing_if` that leaves out what has no `default`": NoDefault { tags: vec![], id: 1 }),
        row!("`flatten`": Flat { number: 1, rest: plain() }, FlatMap { rest: BTreeMap::from([("a".to_owned(), 1)]) }),
        row!("`flatten` of a map whose keys are numbers": FlatNumbers { rest: BTreeMap::from([(1, 1)]) }),
        row!("`tag`": Internal::Unit, Internal::Struct { a: 1 }, Internal::Newtype(plain())),
        row!("`tag` with `content`": Adjacent::Unit, Adjacent::Newtype(1), Adjacent::Struct { a: 1 }),
        row!("`untagged`": Untagged::Number(1), Untagged::Text("x".into()), vec![Untagged::Struct { a: 1 }]),
        row!("`untagged`, where an earlier variant takes it too": Ambiguous::Large(1)),
        row!("128-bit numbers inside `untagged`, `tag` or `flatten`": Wide::Number(u128::MAX)),
        row!("`serde_json::Value`": serde_json::json!({ "a": [1, null, 1.5, "x"] })),
        row!("a field with `skip`": Skips { id: 1, cached: 2 }),
        row!("127 levels of lists": chain(127)),
        row!("128 to 256 levels of lists": chain(128), chain(256)),
        row!("more than 256 levels": chain(257), nested(300)),
    ]
}

/// Upholds G6 and G8.
#[tokio::test]
async fn the_guides_table_says_of_each_codec_what_comes_back() {
    let guide = include_str!("../../../docs/codecs.md");
    let rows = rows().await;
    let missing: Vec<_> = rows.iter().filter(|row| !guide.contains(row.as_str())).collect();
    assert!(missing.is_empty(), "docs/codecs.md lacks these rows:\n{}", rows.join("\n"));
    let table = guide.lines().skip_while(|line| !line.starts_with("| what is stored |"));
    assert_eq!(
        table.take_while(|line| line.starts_with('|')).count(),
        rows.len() + 2,
        "a row that is not tried"
    );
}
