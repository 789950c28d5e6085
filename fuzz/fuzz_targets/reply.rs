//! Any bytes as a server's replies, in any pieces: taken apart or refused, and the same however they are cut.
#![no_main]

#[allow(dead_code, unused_imports, unreachable_pub)]
#[path = "../../cachemacro-runtime/src/store/redis/wire/frame.rs"]
mod frame;

use bytes::Bytes;
use frame::{Malformed, Reply, Scan};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (u8, &[u8])| {
    let (piece, bytes) = input;
    assert_eq!(replies(bytes, usize::from(piece).max(1)), replies(bytes, bytes.len().max(1)));
    for keys in 0..4 {
        let mut spans = Vec::new();
        let frame = Bytes::copy_from_slice(bytes);
        if frame::strings(&frame, keys, &mut spans).is_ok() {
            assert!(spans.iter().filter_map(|span| span.range()).all(|range| frame.get(range).is_some()));
        }
    }
});

/// All that is complete.
fn replies(bytes: &[u8], piece: usize) -> Result<Vec<Reply>, Malformed> {
    let (mut replies, mut start, mut come, mut scan) = (Vec::new(), 0, 0, Scan::default());
    while come < bytes.len() {
        come = (come + piece).min(bytes.len());
        while let Some(length) = scan.advance(&bytes[start..come])? {
            replies.push(Reply::parse(&Bytes::copy_from_slice(&bytes[start..start + length]))?);
            start += length;
            scan = Scan::default();
        }
    }
    Ok(replies)
}
