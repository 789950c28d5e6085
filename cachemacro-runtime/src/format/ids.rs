//! The random numbers that name values, leases and tag versions: three types, so that none is taken for another.
//!
//! They are drawn from the operating system, one by one. A generator in this process's memory is copied by `fork` and by the
//! image of a machine: both copies would draw the same numbers, and a token that two loads share lets the one that began
//! before an evict store after it (G1). Nothing is drawn ahead either, for the same reason. Only for a store that lies in this
//! process's memory, and is copied with the generator, is one in memory good enough: no two copies meet in one store.
//! What is filled under a lease is named by the lease's token, of which two copies of a process can fill one value at most.

use rand::TryRng as _;
use rand::rngs::SysRng;

/// What the three have in common. In the store they are eight bytes, the lowest first.
macro_rules! id {
    ($(#[$doc:meta])+ $name:ident, $none:literal) => {
        $(#[$doc])+
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(u64);

        impl $name {
            #[doc = $none]
            pub const NONE: Self = Self(0);

            /// The one of this number.
            pub const fn new(number: u64) -> Self {
                Self(number)
            }

            /// Its number.
            pub const fn get(self) -> u64 {
                self.0
            }

            /// Whether it is [`NONE`](Self::NONE).
            pub const fn is_none(self) -> bool {
                self.0 == 0
            }

            /// A new one, never [`NONE`](Self::NONE) and, by chance, like no other, whichever process or restored machine
            /// draws it.
            ///
            /// # Panics
            /// Where the operating system gives no random numbers.
            pub fn random() -> Self {
                Self(drawn())
            }

            /// The bytes that stand for it in the store.
            pub const fn to_bytes(self) -> [u8; 8] {
                self.0.to_le_bytes()
            }

            /// The one that these bytes stand for.
            pub const fn from_bytes(bytes: [u8; 8]) -> Self {
                Self(u64::from_le_bytes(bytes))
            }
        }
    };
}

/// A random number that is not zero.
fn drawn() -> u64 {
    loop {
        let mut number = [0; 8];
        draw(&mut number);
        if number != [0; 8] {
            return u64::from_le_bytes(number);
        }
    }
}

fn draw(bytes: &mut [u8]) {
    SysRng.try_fill_bytes(bytes).expect("the operating system gives random numbers");
}

/// A number for a store that lies in this process's memory: of this process's generator, at a thirtieth of the cost.
fn drawn_in_process() -> u64 {
    rand::random_range(1..=u64::MAX)
}

impl Token {
    /// A new one for a store that lies in this process's memory.
    pub(crate) fn in_process() -> Self {
        Self(drawn_in_process())
    }
}

impl FillId {
    /// A new one for a store that lies in this process's memory.
    pub(crate) fn in_process() -> Self {
        Self(drawn_in_process())
    }

    /// That of what is filled under the lease of this token. A token is drawn for each lease, and one fill at most is accepted under it,
    /// so it names the value as well as a number of its own would, which costs a request to the operating system.
    pub(crate) const fn under(token: Token) -> Self {
        // One for each: the factor is odd.
        Self(token.0.wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }
}

#[cfg(feature = "redis")]
impl Version {
    /// So many new ones, with one request to the operating system.
    pub(crate) fn random_many(count: usize) -> impl Iterator<Item = Self> {
        let mut bytes = vec![0; 8 * count];
        draw(&mut bytes);
        let number =
            move |at: usize| bytes[8 * at..].first_chunk().map_or(Self::NONE, |id| Self::from_bytes(*id));
        (0..count).map(number).map(|version| if version.is_none() { Self::random() } else { version })
    }
}

id! {
    /// A tag's version. It is random: a counter that was lost and began anew would revive what was evicted (G1).
    ///
    /// A version that is missing, which reads tell as `None`, equals nothing.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Version;
    ///
    /// let version = Version::random();
    /// assert!(!version.is_none());
    /// assert_eq!(Version::new(version.get()), version);
    /// assert_eq!(Version::new(7).to_bytes(), [7, 0, 0, 0, 0, 0, 0, 0]);
    /// ```
    Version, "No version. A store never tells it as one: eight zero bytes under a version's key are as good as none."
}

id! {
    /// Names one stored value: each value that is stored gets a new one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::FillId;
    ///
    /// assert_ne!(FillId::random(), FillId::NONE);
    /// assert!(FillId::default().is_none());
    /// ```
    FillId, "No value: nothing was seen, or what was seen is pending."
}

id! {
    /// Names one holder of a lease: each request for one brings a new one.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::store::Token;
    ///
    /// assert_eq!(Token::from_bytes(Token::new(7).to_bytes()), Token::new(7));
    /// assert_ne!(Token::random(), Token::NONE);
    /// ```
    Token, "Nobody's: what carries it is not leased, and no write is accepted for it."
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_token_names_a_value_of_its_own() {
        let near = (1..1_000).flat_map(|number: u64| [number, number.rotate_right(10), !number]);
        let tokens: HashSet<_> = near.map(Token::new).collect();
        let named: HashSet<_> = tokens.iter().map(|token| FillId::under(*token)).collect();
        assert_eq!(named.len(), tokens.len());
        assert!(!named.contains(&FillId::NONE));
        assert_eq!(FillId::under(Token::NONE), FillId::NONE);
    }
}
