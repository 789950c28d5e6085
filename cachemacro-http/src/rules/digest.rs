//! Values by which longer ones are compared, and which do not tell them.

use sha2::{Digest as _, Sha256};

/// 128 bits of the SHA-256 of something.
pub(crate) type Digest = [u8; 16];

pub(crate) fn digest(bytes: &[u8]) -> Digest {
    let mut digest = Digest::default();
    digest.copy_from_slice(&Sha256::digest(bytes)[..16]);
    digest
}
