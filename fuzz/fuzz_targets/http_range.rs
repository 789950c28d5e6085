//! Any bytes as Range: a part lies within the body.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../cachemacro-http/src/rules/mod.rs"]
mod rules;

use libfuzzer_sys::fuzz_target;
use rules::range::{Part, part};

fuzz_target!(|input: (&[u8], u16)| {
    let (range, length) = (input.0, usize::from(input.1));
    if let Part::From(start, end) = part(range, length) {
        assert!(start < end && end <= length);
    }
});
