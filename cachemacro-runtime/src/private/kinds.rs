//! How each shape of return type is taken apart and put together.

use std::any::Any;
use std::convert::Infallible;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::bounds::CanStoreErr;
use crate::format::codec::{BuiltinCodec, CodecFor};
use crate::format::schema::fingerprint_of;
use crate::ground::error::Result as CacheResult;
use crate::ground::panics::caught;
use crate::policy::outcome::{Outcome, Shared, Split};

/// What is done with an error of type `E`, besides returning it.
pub trait Errors<E>: Copy + Send + Sync + fmt::Debug {
    /// A copy for the other callers of a flight.
    fn share(error: &E) -> Option<Shared>;
    /// The copy, taken back.
    fn unshare(shared: &Shared) -> Option<E>;
    /// The error as bytes, where it is stored.
    fn encode(error: &E, codec: BuiltinCodec) -> Option<CacheResult<Vec<u8>>>;
    /// The bytes as an error.
    fn decode(bytes: &[u8], codec: BuiltinCodec) -> Option<E>;
}

/// Nothing: it can be neither cloned nor stored.
#[derive(Debug, Clone, Copy)]
pub struct Opaque;

/// It is cloned for everyone who waited for it.
#[derive(Debug, Clone, Copy)]
pub struct Shareable;

/// It is stored too (`cache_err`).
#[derive(Debug, Clone, Copy)]
pub struct Storing<M>(PhantomData<M>);

impl<E> Errors<E> for Opaque {
    fn share(_error: &E) -> Option<Shared> {
        None
    }

    fn unshare(_shared: &Shared) -> Option<E> {
        None
    }

    fn encode(_error: &E, _codec: BuiltinCodec) -> Option<CacheResult<Vec<u8>>> {
        None
    }

    fn decode(_bytes: &[u8], _codec: BuiltinCodec) -> Option<E> {
        None
    }
}

impl<E: Any + Clone + Send + Sync> Errors<E> for Shareable {
    fn share(error: &E) -> Option<Shared> {
        caught(|| Arc::new(error.clone()) as Shared)
    }

    fn unshare(shared: &Shared) -> Option<E> {
        let error = shared.downcast_ref::<E>()?;
        caught(|| error.clone())
    }

    fn encode(_error: &E, _codec: BuiltinCodec) -> Option<CacheResult<Vec<u8>>> {
        None
    }

    fn decode(_bytes: &[u8], _codec: BuiltinCodec) -> Option<E> {
        None
    }
}

impl<E: CanStoreErr, M: Errors<E>> Errors<E> for Storing<M> {
    fn share(error: &E) -> Option<Shared> {
        M::share(error)
    }

    fn unshare(shared: &Shared) -> Option<E> {
        M::unshare(shared)
    }

    fn encode(error: &E, codec: BuiltinCodec) -> Option<CacheResult<Vec<u8>>> {
        let mut bytes = fingerprint::<E>().to_le_bytes().to_vec();
        Some(CodecFor::<E>::builtin(codec).encode(error, &mut bytes).map(|()| bytes))
    }

    fn decode(bytes: &[u8], codec: BuiltinCodec) -> Option<E> {
        let (schema, bytes) = bytes.split_first_chunk()?;
        if u64::from_le_bytes(*schema) != fingerprint::<E>() {
            return None;
        }
        CodecFor::<E>::builtin(codec).decode(bytes).ok()
    }
}

/// The error's own schema: the one in the entry's header is the value's.
fn fingerprint<E: CanStoreErr>() -> u64 {
    fingerprint_of::<E>().mix(0)
}

/// `Option<T>`: `None` is told from a value.
#[derive(Debug, Clone, Copy)]
pub struct Opt;

/// `Result<T, E>`.
#[derive(Debug, Clone, Copy)]
pub struct Res<M>(PhantomData<M>);

/// `Result<Option<T>, E>`.
#[derive(Debug, Clone, Copy)]
pub struct ResOpt<M>(PhantomData<M>);

/// A return type around a `T` that cannot be cached; compiling has failed already.
pub struct Refused<T>(PhantomData<fn() -> T>);

/// The value of [`Refused`]: there is none.
pub struct Never<T>(Infallible, PhantomData<fn() -> T>);

impl<T> Refused<T> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

impl<T> Clone for Refused<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Refused<T> {}

impl<T> fmt::Debug for Refused<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Refused")
    }
}

impl<T> Clone for Never<T> {
    fn clone(&self) -> Self {
        match self.0 {}
    }
}

impl<T> fmt::Debug for Never<T> {
    fn fmt(&self, _f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

impl<T> Serialize for Never<T> {
    fn serialize<S: Serializer>(&self, _serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {}
    }
}

impl<'de, T> Deserialize<'de> for Never<T> {
    fn deserialize<D: Deserializer<'de>>(_deserializer: D) -> Result<Self, D::Error> {
        Err(D::Error::custom("there is no such value"))
    }
}

impl<M> Res<M> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

impl<M> ResOpt<M> {
    /// The only value.
    pub const NEW: Self = Self(PhantomData);
}

impl<V> Outcome<Option<V>> for Opt {
    type Value = V;

    fn split(self, returned: Option<V>) -> Split<V, Option<V>> {
        match returned {
            Some(value) => Split::Value(value),
            None => Split::None(None),
        }
    }

    fn value_of(self, returned: &Option<V>) -> Option<&V> {
        returned.as_ref()
    }

    fn wrap(self, value: V) -> Option<V> {
        Some(value)
    }

    fn none(self) -> Option<Option<V>> {
        Some(None)
    }
}

impl<V, E, M: Errors<E>> Outcome<Result<V, E>> for Res<M> {
    type Value = V;

    fn split(self, returned: Result<V, E>) -> Split<V, Result<V, E>> {
        match returned {
            Ok(value) => Split::Value(value),
            Err(error) => Split::Err(Err(error)),
        }
    }

    fn value_of(self, returned: &Result<V, E>) -> Option<&V> {
        returned.as_ref().ok()
    }

    fn wrap(self, value: V) -> Result<V, E> {
        Ok(value)
    }

    fn is_err(self, returned: &Result<V, E>) -> bool {
        returned.is_err()
    }

    fn share_err(self, returned: &Result<V, E>) -> Option<Shared> {
        M::share(returned.as_ref().err()?)
    }

    fn unshare_err(self, shared: &Shared) -> Option<Result<V, E>> {
        M::unshare(shared).map(Err)
    }

    fn encode_err(self, returned: &Result<V, E>, codec: BuiltinCodec) -> Option<CacheResult<Vec<u8>>> {
        M::encode(returned.as_ref().err()?, codec)
    }

    fn decode_err(self, bytes: &[u8], codec: BuiltinCodec) -> Option<Result<V, E>> {
        M::decode(bytes, codec).map(Err)
    }
}

impl<V, E, M: Errors<E>> Outcome<Result<Option<V>, E>> for ResOpt<M> {
    type Value = V;

    fn split(self, returned: Result<Option<V>, E>) -> Split<V, Result<Option<V>, E>> {
        match returned {
            Ok(Some(value)) => Split::Value(value),
            Ok(None) => Split::None(Ok(None)),
            Err(error) => Split::Err(Err(error)),
        }
    }

    fn value_of(self, returned: &Result<Option<V>, E>) -> Option<&V> {
        returned.as_ref().ok()?.as_ref()
    }

    fn wrap(self, value: V) -> Result<Option<V>, E> {
        Ok(Some(value))
    }

    fn none(self) -> Option<Result<Option<V>, E>> {
        Some(Ok(None))
    }

    fn is_err(self, returned: &Result<Option<V>, E>) -> bool {
        returned.is_err()
    }

    fn share_err(self, returned: &Result<Option<V>, E>) -> Option<Shared> {
        M::share(returned.as_ref().err()?)
    }

    fn unshare_err(self, shared: &Shared) -> Option<Result<Option<V>, E>> {
        M::unshare(shared).map(Err)
    }

    fn encode_err(
        self,
        returned: &Result<Option<V>, E>,
        codec: BuiltinCodec,
    ) -> Option<CacheResult<Vec<u8>>> {
        M::encode(returned.as_ref().err()?, codec)
    }

    fn decode_err(self, bytes: &[u8], codec: BuiltinCodec) -> Option<Result<Option<V>, E>> {
        M::decode(bytes, codec).map(Err)
    }
}

impl<R, T: 'static> Outcome<R> for Refused<T> {
    type Value = Never<T>;

    fn split(self, returned: R) -> Split<Never<T>, R> {
        Split::Err(returned)
    }

    fn value_of(self, _returned: &R) -> Option<&Never<T>> {
        None
    }

    fn wrap(self, value: Never<T>) -> R {
        match value.0 {}
    }

    fn is_err(self, _returned: &R) -> bool {
        true
    }
}
