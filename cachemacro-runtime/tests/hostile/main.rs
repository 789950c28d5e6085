//! One million mutated or random entries through the header and every codec: no panic, and no more memory than the bytes
//! themselves could ask for; and what an entry takes. Alone in their file, because they count what the process allocates.
#![cfg(any(feature = "bincode", feature = "postcard", feature = "msgpack", feature = "json"))]

mod bombs;
mod footprint;

use std::alloc::System;
use std::collections::{BTreeMap, HashMap};
use std::hint::black_box;
use std::sync::{Mutex, MutexGuard, PoisonError};

use cachemacro_runtime::codec::CodecFor;
use cachemacro_runtime::header::{Header, Parts, Stamp, assemble, read_stamps};
use cachemacro_runtime::store::{FillId, Version};
use cachemacro_runtime::{BuiltinCodec, Timestamp};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const ENTRIES: usize = 1_000_000;
/// What a byte may become: the largest element of the types below takes 64 bytes of memory for at least one byte of
/// payload, and vectors that grow allocate twice as much on the way.
const PER_BYTE: usize = 160;
/// The nodes and tables that small maps begin with, and what error messages take.
const BASE: usize = 4096;

#[derive(Debug, Serialize, Deserialize)]
struct Sample {
    id: u64,
    name: String,
    score: Option<i32>,
    state: State,
    tags: Vec<String>,
    wide: Vec<[u64; 8]>,
    counts: BTreeMap<String, u16>,
    index: HashMap<u16, bool>,
    next: Option<Box<Sample>>,
}

#[derive(Debug, Serialize, Deserialize)]
enum State {
    New,
    Held(u8),
    Moved { from: i64, to: char },
}

/// `SplitMix64`: any cheap source of bits does, as long as a failure can be repeated.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^ (bits >> 31)
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % (bound.max(1) as u64)).expect("less than a usize")
    }

    fn byte(&mut self) -> u8 {
        // Small numbers, markers of long lengths and noise, in equal parts.
        match self.below(3) {
            0 => self.next().to_le_bytes()[0] & 0x0f,
            1 => [0x7f, 0x80, 0xc0, 0xdc, 0xdd, 0xde, 0xdf, 0xfb, 0xfc, 0xfd, 0xfe, 0xff][self.below(12)],
            _ => self.next().to_le_bytes()[0],
        }
    }

    fn sample(&mut self, depth: usize) -> Sample {
        let text = |random: &mut Self| "mutations".chars().cycle().take(random.below(12)).collect::<String>();
        Sample {
            id: self.next() >> self.below(64),
            name: text(self),
            score: (self.below(2) == 0).then_some(-7),
            state: vec![State::New, State::Held(7), State::Moved { from: -1, to: 'é' }]
                .swap_remove(self.below(3)),
            tags: (0..self.below(4)).map(|_| text(self)).collect(),
            wide: (0..self.below(3)).map(|_| [self.next(); 8]).collect(),
            counts: (0..self.below(3)).map(|_| (text(self), 300)).collect(),
            index: (0..self.below(3)).map(|key| (u16::try_from(key).expect("small"), true)).collect(),
            next: (depth > 0 && self.below(3) == 0).then(|| Box::new(self.sample(depth - 1))),
        }
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        for _ in 0..=self.below(3) {
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, self.byte()),
                2 if !bytes.is_empty() => {
                    bytes.remove(at);
                }
                3 => bytes.extend((0..self.below(16)).map(|_| self.byte()).collect::<Vec<_>>()),
                4 => {
                    // A length that nobody could keep, in the place of what was there.
                    let claim = vec![self.byte(); 9];
                    bytes.splice(at..bytes.len().min(at + 9), claim);
                }
                5 => {
                    let piece = bytes[at..].to_vec();
                    bytes.splice(0..0, piece);
                    bytes.truncate(2048);
                }
                _ if !bytes.is_empty() => bytes[at] = self.byte(),
                _ => {}
            }
        }
    }
}

fn header(random: &mut Random, codec: u8) -> Header {
    let flags = random.byte();
    let fill_id = FillId::new(random.next());
    let gone_at = Timestamp(random.next());
    Header::new().with_flags(flags).with_codec(codec).with_fill_id(fill_id).with_gone_at(gone_at)
}

/// Decodes, and says how many bytes that allocated, one after the other.
fn cost<T: Serialize + DeserializeOwned>(codec: BuiltinCodec, payload: &[u8]) -> (bool, usize) {
    let region = Region::new(COUNTING);
    let decoded = CodecFor::<T>::builtin(codec).decode(payload);
    let used = region.change();
    let grown = usize::try_from(used.bytes_reallocated).unwrap_or(0);
    (black_box(decoded).is_ok(), used.bytes_allocated + grown)
}

/// Each test counts what the process allocates.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn an_entry_takes_no_more_memory_than_is_said() {
    let _alone = alone();
    footprint::is_bounded();
}

#[test]
fn a_million_hostile_entries_cost_no_panic_and_no_memory() {
    let _alone = alone();
    let random = &mut Random(1);
    let (mut decoded, mut refused, mut malformed) = (0_usize, 0_usize, 0_usize);
    let per_codec = ENTRIES / BuiltinCodec::ALL.len();
    for &codec in BuiltinCodec::ALL {
        let chosen = CodecFor::<Sample>::builtin(codec);
        let seeds: Vec<Vec<u8>> = (0..64)
            .map(|_| {
                let mut seed = Vec::new();
                chosen.encode(&random.sample(2), &mut seed).expect("encodes");
                seed
            })
            .collect();
        let mut entry = Vec::new();
        for round in 0..per_codec {
            let seed = &seeds[random.below(seeds.len())];
            let stamps = vec![Stamp::new(random.next(), Version::new(random.next())); random.below(3)];
            match round % 4 {
                // Hostile from the first byte.
                0 => {
                    entry.clone_from(seed);
                    random.mutate(&mut entry);
                    if random.below(2) == 0 {
                        entry.fill_with(|| random.byte());
                    }
                }
                // A good entry that was damaged.
                1 => {
                    entry = assemble(header(random, chosen.id()), &stamps, seed);
                    random.mutate(&mut entry);
                }
                // An intact entry that holds nonsense.
                _ => {
                    entry.clone_from(seed);
                    random.mutate(&mut entry);
                    entry = assemble(header(random, chosen.id()), &stamps, &entry);
                }
            }
            black_box(read_stamps(&entry).count());
            let parts = Parts::parse(&entry);
            malformed += usize::from(parts.is_err());
            let payload = parts.map_or(&entry[..], |parts| {
                assert!(parts.stamps().count() <= entry.len() / 16);
                parts.payload
            });
            let (ok, used) = cost::<Sample>(codec, payload);
            assert!(used <= payload.len() * PER_BYTE + BASE, "{codec}: {used} bytes for {payload:02x?}");
            if ok {
                decoded += 1;
            } else {
                refused += 1;
            }
        }
    }
    assert_eq!(decoded + refused, per_codec * BuiltinCodec::ALL.len());
    // Else the mutations would be too wild, or too tame, to show anything.
    assert!(decoded > ENTRIES / 50, "{decoded} decoded");
    assert!(refused > ENTRIES / 4, "{refused} refused");
    assert!(malformed > ENTRIES / 4, "{malformed} malformed");

    bombs::are_refused();
}
