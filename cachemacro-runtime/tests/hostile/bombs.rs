//! A few bytes that ask for much: each is refused for little memory and in little time.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CString;
use std::hint::black_box;
use std::marker::PhantomData;
use std::time::{Duration, Instant};

use cachemacro_runtime::BuiltinCodec;
use cachemacro_runtime::codec::MAX_DEPTH;
use cachemacro_runtime::header::{FIXED, Header, Parts, assemble};
use serde::{Deserialize, Serialize};
use stats_alloc::Region;

use crate::{BASE, COUNTING, Sample, cost};

/// How long one may take at most, of several times: a thousand times what most take without optimization, and far from what a bomb
/// would take that went off.
const LONGEST: Duration = Duration::from_millis(500);
/// What refusing one may allocate: 256 levels of nesting on the way.
const MOST: usize = 16 * BASE;
/// What a byte of it may: some codecs note where they are, or what a number is written as, and what holds that grows.
const PER_BYTE: usize = 5;
/// How deep a bomb nests.
const DEEP: usize = 1 << 20;

/// Nests in lists, and in boxes.
#[derive(Debug, Serialize, Deserialize)]
struct List(Vec<List>);

#[derive(Debug, Serialize, Deserialize)]
struct Boxed(Option<Box<Boxed>>);

#[derive(Debug, Serialize, Deserialize)]
struct Nothing;

/// What refuses it, by whether it was taken and what that allocated.
type Refuses = fn(BuiltinCodec, &[u8]) -> (bool, usize);

struct Bomb {
    what: &'static str,
    /// The codec's name; `None`: all.
    codec: Option<&'static str>,
    bytes: Vec<u8>,
    by: &'static [Refuses],
}

/// Types whose lists claim a length.
const LISTS: &[Refuses] = &[
    cost::<Vec<[u64; 8]>>,
    cost::<String>,
    cost::<CString>,
    cost::<BTreeMap<u64, u64>>,
    cost::<HashMap<u64, [u64; 8]>>,
    cost::<Vec<Vec<Vec<u64>>>>,
    cost::<Vec<Sample>>,
];

/// Lists of what takes no byte.
#[expect(clippy::zero_sized_map_values, reason = "a map is more than its keys to a decoder")]
const EMPTY: &[Refuses] = &[
    cost::<Vec<()>>,
    cost::<Vec<Nothing>>,
    cost::<Vec<[u64; 0]>>,
    cost::<Vec<PhantomData<u64>>>,
    cost::<Vec<((), Nothing)>>,
    cost::<HashMap<(), Nothing>>,
];

const NESTED: &[Refuses] = &[cost::<List>];
const BOXED: &[Refuses] = &[cost::<Boxed>];
const UNKNOWN: &[Refuses] = &[cost::<Sample>];

/// 2^62 elements, or as many as can be said, in each way to write it.
const CLAIMS: [(&str, &[u8]); 6] = [
    ("bincode", b"\xfd\0\0\0\0\0\0\0\x40"),
    ("bincode", b"\xfc\xff\xff\xff\xff"),
    ("postcard", b"\x80\x80\x80\x80\x80\x80\x80\x80\x40"),
    ("msgpack", b"\xdd\xff\xff\xff\xff"),
    ("msgpack", b"\xdf\xff\xff\xff\xff"),
    ("msgpack", b"\xdb\xff\xff\xff\xff"),
];

fn bombs() -> Vec<Bomb> {
    let mut bombs = Vec::new();
    let mut add = |what, codec, bytes, by| bombs.push(Bomb { what, codec, bytes, by });
    for (codec, claim) in CLAIMS {
        add("a length that is not there", Some(codec), claim.to_vec(), LISTS);
        add("elements that take no byte", Some(codec), claim.to_vec(), EMPTY);
        // As one of those of a list, whose others are there.
        let inner = [&[2, 0][..], claim].concat();
        add("a length inside", Some(codec), inner, &[cost::<Vec<Vec<u64>>>, cost::<Vec<String>>]);
        add("no bytes inside", Some(codec), [&[2, 0][..], claim].concat(), &[cost::<Vec<Vec<()>>>]);
    }
    add("nested lists", Some("bincode"), vec![1; DEEP], NESTED);
    add("nested lists", Some("postcard"), vec![1; DEEP], NESTED);
    add("nested lists", Some("msgpack"), vec![0x91; DEEP], NESTED);
    add("nested lists", Some("json"), vec![b'['; DEEP], NESTED);
    add("nested boxes", Some("bincode"), vec![1; DEEP], BOXED);
    add("nested boxes", Some("postcard"), vec![1; DEEP], BOXED);
    let unknown = |before: &[u8], level: u8| [before, &vec![level; DEEP]].concat();
    add("nested where it is not known", Some("json"), unknown(b"{\"unknown\":", b'['), UNKNOWN);
    add("nested where it is not known", Some("msgpack"), unknown(b"\x81\xa7unknown", 0x91), UNKNOWN);
    add(
        "a great number",
        Some("json"),
        [&b"1"[..], &vec![b'0'; DEEP]].concat(),
        &[cost::<u64>, cost::<i128>],
    );
    bombs
}

/// How long the fastest of several takes.
fn fastest(mut run: impl FnMut()) -> Duration {
    let one = |run: &mut dyn FnMut()| {
        let began = Instant::now();
        run();
        began.elapsed()
    };
    (0..3).map(|_| one(&mut run)).min().unwrap_or_default()
}

/// Each is refused.
pub(crate) fn are_refused() {
    assert!(MAX_DEPTH as usize * 64 < MOST, "what is nested fits");
    let mut slowest = (Duration::ZERO, "");
    let mut count = 0;
    for bomb in bombs() {
        let fits = |codec: &&BuiltinCodec| bomb.codec.is_none_or(|name| codec.to_string() == name);
        for codec in BuiltinCodec::ALL.iter().filter(fits) {
            for refuses in bomb.by {
                let (taken, used) = refuses(*codec, &bomb.bytes);
                assert!(!taken, "{codec}: {} is taken", bomb.what);
                assert!(
                    used <= MOST + PER_BYTE * bomb.bytes.len(),
                    "{codec}: {} allocates {used} bytes",
                    bomb.what
                );
                let took = fastest(|| _ = black_box(refuses(*codec, &bomb.bytes)));
                assert!(took < LONGEST, "{codec}: {} takes {took:?}", bomb.what);
                slowest = slowest.max((took, bomb.what));
                count += 1;
            }
        }
    }
    println!("{count} bombs refused; the slowest took {:?}: {}", slowest.0, slowest.1);
    headers_are_refused();
    #[cfg(feature = "lz4")]
    blocks_are_refused();
}

/// A header that says of its entry what is not so.
fn headers_are_refused() {
    let entry = assemble(Header::new(), &[], b"Ada");
    for at in 0..FIXED {
        for byte in [0xff, 0x7f, 0x80] {
            let mut bytes = entry.clone();
            if bytes[at] == byte {
                continue;
            }
            // Lengths among them: of the payload, and how many stamps there are.
            bytes[at] = byte;
            bytes[(at + 1) % FIXED] = byte;
            let region = Region::new(COUNTING);
            if let Ok(parts) = Parts::parse(&bytes) {
                assert!(parts.payload.len() + 16 * parts.stamps().count() <= bytes.len());
            }
            assert_eq!(region.change().bytes_allocated, 0, "byte {at}");
        }
    }
}

/// A block that inflates, or claims to, to more than may be.
#[cfg(feature = "lz4")]
fn blocks_are_refused() {
    use cachemacro_runtime::codec::compress::{compress, decompress};
    const LIMIT: usize = 1 << 20;
    let zeros = compress(&vec![0; 64 * LIMIT]).expect("zeros compress");
    let claiming = |length: u32, block: &[u8]| [&length.to_le_bytes()[..], block].concat();
    let limit = u32::try_from(LIMIT).expect("it is small");
    let whole = compress(&vec![0; LIMIT]).expect("zeros compress");
    assert!(decompress(&whole, LIMIT).is_ok(), "as much as may be");
    for (what, bytes, most) in [
        ("64 MiB of zeros", zeros.clone(), BASE),
        ("4 GiB from nothing", claiming(u32::MAX, b""), BASE),
        ("the limit from nothing", claiming(limit, b"\x10"), BASE),
        ("more than it claims", claiming(limit, &zeros[4..]), 2 * LIMIT),
        ("less than it claims", claiming(limit, &whole[4..whole.len() - 9]), 2 * LIMIT),
        ("a claim alone", claiming(7, b"")[..3].to_vec(), BASE),
    ] {
        let region = Region::new(COUNTING);
        assert!(decompress(&bytes, LIMIT).is_err(), "{what}");
        let used = region.change().bytes_allocated;
        assert!(used <= most, "{what}: {used} bytes");
        let took = fastest(|| drop(black_box(decompress(&bytes, LIMIT))));
        assert!(took < LONGEST, "{what}: {took:?}");
    }
}
