//! What of a function's return value is stored, decided by its type.

use std::any::Any;
use std::fmt::Debug;
use std::sync::Arc;

use serde::{Serialize, de::DeserializeOwned};

use crate::format::codec::BuiltinCodec;
use crate::ground::error::Result;

/// What a stored value must be: owned, cloneable, shareable between threads, and serde's. Every such type is one;
/// there is nothing to implement.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// #[derive(Clone, serde::Serialize, serde::Deserialize)]
/// struct User {
///     name: String,
/// }
///
/// fn is_value<T: cachemacro::Value>() {}
/// is_value::<User>();
/// is_value::<std::sync::Arc<User>>();
/// ```
pub trait Value: Clone + Send + Sync + Serialize + DeserializeOwned + 'static {}

impl<T: Clone + Send + Sync + Serialize + DeserializeOwned + 'static> Value for T {}

/// A result that callers of one flight share.
pub type Shared = Arc<dyn Any + Send + Sync>;

/// What a function returned, seen by the cache.
#[derive(Debug)]
pub enum Split<V, R> {
    /// A value.
    Value(V),
    /// `None`, whole as returned.
    None(R),
    /// `Err`, whole as returned.
    Err(R),
}

/// How a return type `R` relates to the value inside: what is in `Result` and `Option`.
pub trait Outcome<R>: Copy + Send + Sync + Debug {
    /// What is inside `Result` and `Option`; what is stored must be a [`Value`].
    type Value;

    /// What was returned.
    fn split(self, returned: R) -> Split<Self::Value, R>;

    /// The value inside, where there is one.
    fn value_of(self, returned: &R) -> Option<&Self::Value>;

    /// A value as the function would have returned it.
    fn wrap(self, value: Self::Value) -> R;

    /// `None` as the function would have returned it; `None` where it cannot.
    fn none(self) -> Option<R> {
        None
    }

    /// Whether this is an `Err` (which leaves the cache as it was in a put or evict).
    fn is_err(self, returned: &R) -> bool {
        let _ = returned;
        false
    }

    /// A copy of an `Err` for the other callers of a flight, where it can be cloned and sent.
    fn share_err(self, returned: &R) -> Option<Shared> {
        let _ = returned;
        None
    }

    /// The copy as the function would have returned it.
    fn unshare_err(self, shared: &Shared) -> Option<R> {
        let _ = shared;
        None
    }

    /// Encodes an `Err` to be stored (`cache_err`), with the cache's own codec; `None` where this outcome stores none.
    fn encode_err(self, returned: &R, codec: BuiltinCodec) -> Option<Result<Vec<u8>>> {
        let _ = (returned, codec);
        None
    }

    /// Decodes a stored `Err`.
    fn decode_err(self, bytes: &[u8], codec: BuiltinCodec) -> Option<R> {
        let _ = (bytes, codec);
        None
    }
}

/// A function that returns the value itself; also what the direct API uses.
#[derive(Debug, Clone, Copy, Default)]
pub struct Plain;

impl<V> Outcome<V> for Plain {
    type Value = V;

    fn split(self, returned: V) -> Split<V, V> {
        Split::Value(returned)
    }

    fn value_of(self, returned: &V) -> Option<&V> {
        Some(returned)
    }

    fn wrap(self, value: V) -> V {
        value
    }
}

/// A load that can fail, in the direct API: an `Err` is not stored and not shared.
#[derive(Debug, Clone, Copy, Default)]
pub struct Fallible;

impl<V, E> Outcome<std::result::Result<V, E>> for Fallible {
    type Value = V;

    fn split(self, returned: std::result::Result<V, E>) -> Split<V, std::result::Result<V, E>> {
        match returned {
            Ok(value) => Split::Value(value),
            Err(_) => Split::Err(returned),
        }
    }

    fn value_of(self, returned: &std::result::Result<V, E>) -> Option<&V> {
        returned.as_ref().ok()
    }

    fn wrap(self, value: V) -> std::result::Result<V, E> {
        Ok(value)
    }

    fn is_err(self, returned: &std::result::Result<V, E>) -> bool {
        returned.is_err()
    }
}
/// The function's return value, put together again from what [`Outcome::split`] took apart.
pub(crate) fn unsplit<V, R, O: Outcome<R, Value = V>>(outcome: O, loaded: Option<V>) -> R {
    match loaded {
        Some(value) => outcome.wrap(value),
        None => outcome
            .none()
            .unwrap_or_else(|| unreachable!("an outcome whose `split` returns `None` must implement `none`")),
    }
}
