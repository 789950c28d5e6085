//! Who may find an entry.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// What has to be the same for an entry to be found: such as tenant, model and language. Compared exactly, by 128 bits of SHA-256.
///
/// ```
/// use cachemacro_search::Scope;
///
/// assert_eq!(Scope::of(["7", "small"]), Scope::of(["7", "small"]));
/// assert_ne!(Scope::of(["7", "small"]), Scope::of(["7s", "mall"]));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Scope([u8; Self::BYTES]);

impl Scope {
    pub(crate) const BYTES: usize = 16;

    /// The scope of these parts in this order. The default is a scope of its own.
    ///
    /// ```
    /// use cachemacro_search::Scope;
    ///
    /// assert_ne!(Scope::of(["en"]), Scope::default());
    /// ```
    pub fn of<T: AsRef<[u8]>>(parts: impl IntoIterator<Item = T>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            let part = part.as_ref();
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        let mut first = [0; Self::BYTES];
        first.copy_from_slice(&hash.finalize()[..Self::BYTES]);
        Self(first)
    }

    pub(crate) const fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Scope({:016x})", u128::from_be_bytes(self.0) >> 64)
    }
}
