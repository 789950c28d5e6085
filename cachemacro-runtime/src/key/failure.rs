//! Why a key or a tag could not be built.

use std::error::Error as StdError;
use std::fmt;

/// Why a key or a tag could not be built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyFailure {
    /// A closure is among the types: two closures in one function print alike.
    Nameless,
    /// Another function makes the same keys for values of its own.
    Shared,
    /// The site is `sealed`, and the cache does not seal entries under its prefix.
    Unsealed,
    /// A part could not be serialized or printed.
    Unserializable(String),
    /// Code of an argument panicked while it was serialized or printed.
    Panicked,
}

impl fmt::Display for KeyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nameless => {
                "a type parameter is a closure or made of one, and closures have no names to be told apart by: pass \
                 a named function, or `skip` the argument where its type does not matter"
            }
            Self::Shared => "another function makes the same keys for values of its own: give one of them another `prefix`",
            Self::Unsealed => {
                "the function says `sealed`, and its cache does not seal what is under this prefix: give the cache keys, \
                 by `CACHEMACRO_SEAL_KEYS` or `CacheBuilder::sealed`"
            }
            Self::Unserializable(why) => why,
            Self::Panicked => "the code that serializes or prints an argument panicked",
        })
    }
}

impl StdError for KeyFailure {}

impl KeyFailure {
    pub(crate) fn unserializable(why: impl fmt::Display) -> Self {
        Self::Unserializable(why.to_string())
    }
}

impl From<fmt::Error> for KeyFailure {
    fn from(_: fmt::Error) -> Self {
        Self::Unserializable("its Display or Debug returned an error".to_owned())
    }
}
