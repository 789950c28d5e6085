//! The table by arguments: what is hashed, and what is compared.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};

use papaya::Equivalent;

/// How many bytes of arguments need no memory of their own: a number, with what tells its function and cache, has 41.
const INLINE: usize = 46;

/// Arguments to look for: their hash, and whether written ones are the same.
#[derive(Clone, Copy)]
pub(crate) struct Query<F> {
    hash: u64,
    is: F,
}

impl<F: Fn(&[u8]) -> bool> Query<F> {
    #[inline]
    pub(crate) const fn new(hash: u64, is: F) -> Self {
        Self { hash, is }
    }
}

impl<F> fmt::Debug for Query<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query").field("hash", &self.hash).finish_non_exhaustive()
    }
}

impl<F> Hash for Query<F> {
    #[inline]
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl<F: Fn(&[u8]) -> bool> Equivalent<Place> for Query<F> {
    #[inline]
    fn equivalent(&self, place: &Place) -> bool {
        (self.is)(place.bytes())
    }
}

/// Arguments to keep a value under. A hash is never zero.
#[derive(Debug, Clone)]
pub(crate) struct Placed {
    pub(crate) hash: u64,
    pub(crate) bytes: Vec<u8>,
}

/// Arguments that a value is kept under.
pub(super) struct Place {
    hash: u64,
    arguments: Arguments,
}

/// Their bytes.
enum Arguments {
    Few { length: u8, bytes: [u8; INLINE] },
    Many(Box<[u8]>),
}

impl Place {
    pub(super) fn new(Placed { hash, bytes }: Placed) -> Self {
        let mut few = [0; INLINE];
        let arguments = match (few.get_mut(..bytes.len()), u8::try_from(bytes.len())) {
            (Some(room), Ok(length)) => {
                room.copy_from_slice(&bytes);
                Arguments::Few { length, bytes: few }
            }
            _ => Arguments::Many(bytes.into()),
        };
        Self { hash, arguments }
    }

    #[inline]
    fn bytes(&self) -> &[u8] {
        match &self.arguments {
            Arguments::Few { length, bytes } => bytes.get(..usize::from(*length)).unwrap_or_default(),
            Arguments::Many(bytes) => bytes,
        }
    }
}

impl Hash for Place {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.hash);
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.hash == other.hash && self.bytes() == other.bytes()
    }
}

impl Eq for Place {}

/// Whichever arguments have this hash.
pub(super) struct Hash64(pub(super) u64);

impl Hash for Hash64 {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0);
    }
}

impl Equivalent<Place> for Hash64 {
    fn equivalent(&self, place: &Place) -> bool {
        self.0 == place.hash
    }
}

/// Takes hashes as they are.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Hashed;

impl BuildHasher for Hashed {
    type Hasher = AsItIs;

    #[inline]
    fn build_hasher(&self) -> AsItIs {
        AsItIs(0)
    }
}

#[derive(Debug)]
pub(super) struct AsItIs(u64);

impl Hasher for AsItIs {
    #[inline]
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    #[inline]
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}
