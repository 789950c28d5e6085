//! Sealed entries: the payload encrypted and, with it, header, stamps and the key's name authenticated, by XChaCha20-Poly1305.
//!
//! The sealed payload is a nonce, then the ciphertext, then a tag. A nonce is 24 bytes from the system's source of
//! randomness: there is no number of values after which a key is used up, and a forked process draws others. What a
//! script changes in place, the lease, is not authenticated.

use std::fmt;

use chacha20poly1305::aead::{AeadCore as _, AeadInPlace as _, KeyInit as _, OsRng};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};

use crate::format::header::{FIXED, Header, SEALED, STAMP, Stamp, assembled, covered};

/// How many bytes the nonce has.
const NONCE: usize = 24;
/// How many bytes the tag has.
const TAG: usize = 16;

/// One key, known by a number that entries carry.
#[derive(Clone)]
pub(crate) struct SealingKey {
    pub(crate) id: u16,
    cipher: XChaCha20Poly1305,
}

impl SealingKey {
    pub(crate) fn new(id: u16, key: &[u8; 32]) -> Self {
        Self { id, cipher: XChaCha20Poly1305::new(key.into()) }
    }

    /// A whole entry under this name, its payload sealed.
    ///
    /// # Panics
    /// As [`assemble`](crate::format::header::assemble), and where the system has no randomness.
    pub(crate) fn seal(&self, name: &str, header: Header, stamps: &[Stamp], payload: &[u8]) -> Vec<u8> {
        let header = Header { flags: header.flags | SEALED, sealing_key: self.id, ..header };
        assembled(header, stamps, NONCE + payload.len() + TAG, |header, out| {
            let bound = bound(header, &out[FIXED..], name);
            let nonce = XChaCha20Poly1305::generate_nonce(&mut OsRng);
            out.extend_from_slice(&nonce);
            let start = out.len();
            out.extend_from_slice(payload);
            let tag = self.cipher.encrypt_in_place_detached(&nonce, &bound, &mut out[start..]);
            out.extend_from_slice(&tag.expect("a payload is shorter than what the cipher takes"));
        })
    }

    /// Header and stamps of this entry as they are, then its payload in plain; `None` where it is not one that was sealed by this key
    /// under this name.
    pub(crate) fn open(&self, name: &str, header: &Header, bytes: &[u8]) -> Option<Vec<u8>> {
        let body = FIXED + usize::from(header.stamps) * STAMP;
        let (nonce, sealed) = bytes.get(body..)?.split_at_checked(NONCE)?;
        let (sealed, tag) = sealed.split_at_checked(sealed.len().checked_sub(TAG)?)?;
        let mut plain = Vec::with_capacity(body + sealed.len());
        plain.extend_from_slice(bytes.get(..body)?);
        plain.extend_from_slice(sealed);
        let bound = bound(header, &plain[FIXED..body], name);
        let (nonce, tag) = (XNonce::from_slice(nonce), Tag::from_slice(tag));
        self.cipher.decrypt_in_place_detached(nonce, &bound, &mut plain[body..], tag).ok()?;
        Some(plain)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealingKey").field("id", &self.id).finish_non_exhaustive()
    }
}

/// What a sealed payload is bound to: all of the header but the lease and the checksum, so the type, the times and the flags too;
/// the stamps; and the name, namespace included.
fn bound(header: &Header, stamps: &[u8], name: &str) -> Vec<u8> {
    let fixed = covered(header).to_bytes();
    let mut bound = Vec::with_capacity(fixed.len() + stamps.len() + name.len());
    bound.extend_from_slice(&fixed);
    bound.extend_from_slice(stamps);
    bound.extend_from_slice(name.as_bytes());
    bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::format::header::{DECIMAL, Parts};
    use crate::format::ids::{FillId, Token, Version};
    use crate::ground::clock::Timestamp;

    const NAME: &str = "shop:user:7";

    fn entry(key: &SealingKey) -> Vec<u8> {
        let header = Header::new().with_codec(1).with_schema(5).with_fill_id(FillId::new(9));
        key.seal(NAME, header, &[Stamp::new(1, Version::new(2))], b"hunter2")
    }

    fn opened(key: &SealingKey, name: &str, bytes: &[u8]) -> Option<Vec<u8>> {
        key.open(name, &Parts::parse(bytes).ok()?.header, bytes)
    }

    /// The checksum made to fit again, as who forges would.
    fn with_checksum(bytes: &[u8]) -> Vec<u8> {
        let header = Header::parse(bytes).expect("a header");
        let body = FIXED + usize::from(header.stamps) * STAMP;
        let stamps: Vec<Stamp> = crate::format::header::read_stamps(&bytes[FIXED..body]).collect();
        crate::format::header::assemble(header, &stamps, &bytes[body..])
    }

    #[test]
    fn what_was_sealed_comes_back_under_its_key_and_name_alone() {
        let (key, other) = (SealingKey::new(3, &[7; 32]), SealingKey::new(3, &[8; 32]));
        let sealed = entry(&key);
        let header = Header::parse(&sealed).expect("a header");
        assert!(header.has(SEALED) && header.sealing_key == 3);
        assert!(!sealed.windows(7).any(|window| window == b"hunter2"));
        assert!(opened(&key, NAME, &sealed).is_some_and(|plain| plain.ends_with(b"hunter2")));
        assert_eq!(opened(&other, NAME, &sealed), None);
        assert_eq!(opened(&key, "shop:user:8", &sealed), None);
        assert_eq!(opened(&key, "other:user:7", &sealed), None);
        assert_ne!(entry(&key), sealed, "each has a nonce of its own");
    }

    #[test]
    fn no_byte_can_be_changed_but_those_of_the_lease() {
        let key = SealingKey::new(3, &[7; 32]);
        let sealed = entry(&key);
        for at in 0..sealed.len() {
            let mut forged = sealed.clone();
            forged[at] ^= 1 << (at % 8);
            if Header::parse(&forged).is_ok_and(|header| header.total_len() == forged.len()) {
                forged = with_checksum(&forged);
            }
            let is_lease = (16..32).contains(&at);
            let is_checksum = (88..96).contains(&at);
            assert_eq!(opened(&key, NAME, &forged).is_some(), is_lease || is_checksum, "byte {at}");
        }
        // The codec of decimals, which the server rewrites: nobody seals one.
        let decimal = Header::parse(&sealed).expect("a header").with_codec(DECIMAL);
        let mut forged = sealed.clone();
        forged[..FIXED].copy_from_slice(&decimal.to_bytes());
        assert_eq!(opened(&key, NAME, &forged), None);
        let leased = Header::parse(&sealed).expect("a header").with_lease(Token::new(7), Timestamp(9));
        let mut bytes = sealed.clone();
        bytes[..FIXED].copy_from_slice(&leased.to_bytes());
        assert!(opened(&key, NAME, &bytes).is_some(), "a lease does not unseal");
    }

    #[test]
    fn what_is_too_short_is_refused() {
        let key = SealingKey::new(3, &[7; 32]);
        for length in 0..NONCE + TAG {
            let header = Header::new().with_flags(SEALED).with_sealing_key(3).with_codec(1);
            let bytes = crate::format::header::assemble(header, &[], &vec![0; length]);
            assert_eq!(opened(&key, NAME, &bytes), None, "{length}");
        }
    }

    #[test]
    fn debug_shows_no_key() {
        let shown = format!("{:?}", SealingKey::new(3, &[0x41; 32]));
        assert!(!shown.contains("65") && !shown.contains("41"), "{shown}");
    }
}
