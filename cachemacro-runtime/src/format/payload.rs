//! The way of a payload: what a codec wrote is compressed where that pays, and comes back as the codec wrote it. Each
//! step leaves a flag in the header; [`unpack`] undoes them in reverse. Sealing comes after it, over the whole entry (`seal`).

use std::borrow::Cow;

use crate::format::header::{COMPRESSED, Header};

/// A payload as it is stored.
pub(crate) struct Packed {
    pub(crate) bytes: Vec<u8>,
    /// What [`unpack`] has to undo.
    pub(crate) flags: u8,
}

/// Packs what a codec wrote; compresses it where it is longer than `compress_over` and gets shorter by it.
pub(crate) fn pack(encoded: Vec<u8>, compress_over: Option<usize>) -> Packed {
    match compressed(&encoded, compress_over) {
        Some(bytes) => Packed { bytes, flags: COMPRESSED },
        None => Packed { bytes: encoded, flags: 0 },
    }
}

/// What the codec wrote; `None` where that is longer than `limit`, the bytes are damaged, or this build cannot tell.
pub(crate) fn unpack<'a>(stored: &'a [u8], header: &Header, limit: usize) -> Option<Cow<'a, [u8]>> {
    if header.has(COMPRESSED) { inflated(stored, limit).map(Cow::Owned) } else { Some(Cow::Borrowed(stored)) }
}

/// How many bytes the codec wrote, as far as what is stored says so: for what was unpacked before.
pub(crate) fn unpacked_len(stored: &[u8], flags: u8) -> usize {
    if flags & COMPRESSED == 0 { stored.len() } else { claimed(stored).unwrap_or(stored.len()) }
}

#[cfg(feature = "lz4")]
fn claimed(stored: &[u8]) -> Option<usize> {
    crate::format::codec::compress::claimed(stored)
}

#[cfg(not(feature = "lz4"))]
const fn claimed(_stored: &[u8]) -> Option<usize> {
    None
}

#[cfg(feature = "lz4")]
fn compressed(encoded: &[u8], over: Option<usize>) -> Option<Vec<u8>> {
    if encoded.len() > over? { crate::format::codec::compress::compress(encoded) } else { None }
}

#[cfg(feature = "lz4")]
fn inflated(stored: &[u8], limit: usize) -> Option<Vec<u8>> {
    crate::format::codec::compress::decompress(stored, limit).ok()
}

#[cfg(not(feature = "lz4"))]
const fn compressed(_encoded: &[u8], _over: Option<usize>) -> Option<Vec<u8>> {
    None
}

#[cfg(not(feature = "lz4"))]
const fn inflated(_stored: &[u8], _limit: usize) -> Option<Vec<u8>> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_comes_back_whole() {
        for (length, over) in
            [(0, None), (10_000, None), (10_000, Some(20_000)), (10_000, Some(10)), (20, Some(10))]
        {
            let encoded = vec![7; length];
            let Packed { bytes, flags } = pack(encoded.clone(), over);
            let header = Header { flags, ..Header::default() };
            assert_eq!(unpack(&bytes, &header, length).as_deref(), Some(&encoded[..]), "{length} {over:?}");
            assert_eq!(unpacked_len(&bytes, flags), length);
        }
    }

    #[cfg(feature = "lz4")]
    #[test]
    fn only_what_is_long_and_gets_shorter_is_compressed() {
        let packed = pack(vec![7; 10_000], Some(10));
        assert_eq!((packed.flags, packed.bytes.len() < 1_000), (COMPRESSED, true));
        let header = Header { flags: COMPRESSED, ..Header::default() };
        assert!(unpack(&packed.bytes, &header, 9_999).is_none(), "more than the limit");
        assert!(unpack(b"no block", &header, 9_999).is_none());
        assert_eq!(pack(vec![7; 10], Some(10)).flags, 0);
        assert_eq!(pack((0..=255).collect(), Some(10)).flags, 0, "it would not get shorter");
    }
}
