//! LZ4 for large payloads: four little-endian bytes of inflated length, then one LZ4 block.
//!
//! The claimed length is compared with the caller's limit, and with what the block could inflate to at most, before
//! anything is allocated.

use lz4_flex::block;

use crate::ground::error::{Error, ErrorKind, Result};

/// Length of the claim in front of the block.
const CLAIM: usize = 4;
/// An LZ4 block cannot inflate further: every byte of a match length stands for at most 255 bytes.
const MAX_RATIO: usize = 255;

/// `bytes` compressed, or `None` where that does not make them shorter.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::codec::compress::{compress, decompress};
///
/// let text = "the same again and again, ".repeat(100);
/// let small = compress(text.as_bytes()).expect("repetition compresses");
/// assert!(small.len() < text.len() / 10);
/// assert_eq!(decompress(&small, 1 << 20)?, text.as_bytes());
/// assert!(decompress(&small, 100).is_err(), "inflated it is longer than 100 bytes");
/// # Ok::<(), cachemacro::Error>(())
/// ```
pub fn compress(bytes: &[u8]) -> Option<Vec<u8>> {
    u32::try_from(bytes.len()).ok()?;
    let compressed = block::compress_prepend_size(bytes);
    (compressed.len() < bytes.len()).then_some(compressed)
}

/// How long these bytes say that they were before.
pub(crate) fn claimed(bytes: &[u8]) -> Option<usize> {
    usize::try_from(u32::from_le_bytes(*bytes.first_chunk::<CLAIM>()?)).ok()
}

/// What [`compress`] was given, at most `max_inflated` bytes of it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::codec::compress::{compress, decompress};
///
/// let small = compress(&[7; 1000]).expect("repetition compresses");
/// assert_eq!(decompress(&small, 1000)?, [7; 1000]);
/// assert!(decompress(&small, 999).is_err() && decompress(b"no block", 1000).is_err());
/// # Ok::<(), cachemacro::Error>(())
/// ```
///
/// # Errors
/// [`ErrorKind::Decode`] where the bytes are not an intact block, or inflate beyond the limit.
pub fn decompress(bytes: &[u8], max_inflated: usize) -> Result<Vec<u8>> {
    let broken = || Error::new(ErrorKind::Decode, "not an intact lz4 block");
    let claimed = claimed(bytes).ok_or_else(broken)?;
    let compressed = &bytes[CLAIM..];
    if claimed > max_inflated {
        return Err(Error::new(ErrorKind::Decode, "inflated beyond the limit"));
    }
    if claimed > compressed.len().saturating_mul(MAX_RATIO) {
        return Err(broken());
    }
    let inflated = block::decompress(compressed, claimed).map_err(|_| broken())?;
    if inflated.len() == claimed { Ok(inflated) } else { Err(broken()) }
}
