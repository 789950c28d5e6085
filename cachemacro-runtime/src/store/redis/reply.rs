//! From the server's replies to the store's types. Nothing here trusts a reply's shape.

use std::time::Duration;

use bytes::Bytes;
use redis::Value;

use super::failure;
use crate::format::ids::Version;
use crate::ground::error::Result;
use crate::store::messages::increment::IncrementOutcome;
use crate::store::messages::lease::LeaseOutcome;

/// The elements of an array that must have so many.
pub(super) fn array(value: Value, length: usize) -> Result<Vec<Value>> {
    match value {
        Value::Array(parts) if parts.len() == length => Ok(parts),
        Value::ServerError(error) => Err(failure::replied(&error)),
        _ => Err(failure::unexpected()),
    }
}

/// A reply whose content does not matter, as long as it is no error.
pub(super) fn done(value: &Value) -> Result<()> {
    match value {
        Value::ServerError(error) => Err(failure::replied(error)),
        _ => Ok(()),
    }
}

pub(super) fn integer(value: &Value) -> Result<i64> {
    match value {
        Value::Int(number) => Ok(*number),
        Value::ServerError(error) => Err(failure::replied(error)),
        _ => Err(failure::unexpected()),
    }
}

/// A string, or nothing where the key is missing, or holds another type.
pub(super) fn string(value: Value) -> Result<Option<Bytes>> {
    match value {
        Value::BulkString(bytes) => Ok(Some(Bytes::from(bytes))),
        Value::Nil => Ok(None),
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Ok(None),
        Value::ServerError(error) => Err(failure::replied(&error)),
        _ => Err(failure::unexpected()),
    }
}

/// How long a string is; zero where the key is missing, or holds another type.
pub(super) fn length(value: &Value) -> Result<usize> {
    match value {
        Value::ServerError(error) if error.code() == "WRONGTYPE" => Ok(0),
        value => usize::try_from(integer(value)?).map_err(|_| failure::unexpected()),
    }
}

/// A version: eight bytes that are not all zero.
pub(super) fn version(value: &Value) -> Option<Version> {
    match value {
        Value::BulkString(bytes) => {
            let raw: [u8; 8] = bytes.as_slice().try_into().ok()?;
            Some(Version::from_bytes(raw)).filter(|version| !version.is_none())
        }
        _ => None,
    }
}

pub(super) fn versions(value: Value, length: usize) -> Result<Vec<Option<Version>>> {
    Ok(array(value, length)?.iter().map(version).collect())
}

/// What `capture.lua` returns: the versions, none of them missing.
pub(super) fn captured(value: Value, length: usize) -> Result<Vec<Version>> {
    array(value, length)?.iter().map(|value| version(value).ok_or_else(failure::unexpected)).collect()
}

/// `{1 or 0, now}`.
pub(super) fn verdict(value: Value) -> Result<bool> {
    Ok(integer(&array(value, 2)?[0])? == 1)
}

/// What `evict.lua` returns: for each key whether a value was there.
pub(super) fn evicted(value: Value, length: usize) -> Result<Vec<bool>> {
    let existed = array(value, 2)?.swap_remove(0);
    array(existed, length)?.iter().map(|value| Ok(integer(value)? == 1)).collect()
}

/// What `lease.lua` returns; `None` where a value was found that is too large for the reply.
pub(super) fn lease(value: Value) -> Result<Option<LeaseOutcome>> {
    let mut parts = match value {
        Value::Array(parts) => parts,
        Value::ServerError(error) => return Err(failure::replied(&error)),
        _ => return Err(failure::unexpected()),
    };
    match (parts.first(), parts.len()) {
        (Some(Value::Int(1)), 2) => Ok(Some(LeaseOutcome::Taken)),
        (Some(Value::Int(2)), 2) => Ok(None),
        (Some(Value::Int(2)), 3) => {
            let entry = parts.pop().ok_or_else(failure::unexpected)?;
            Ok(Some(LeaseOutcome::Found(string(entry)?.ok_or_else(failure::unexpected)?)))
        }
        (Some(Value::Int(3)), 3) => {
            let left = u64::try_from(integer(&parts[2])?).map_err(|_| failure::unexpected())?;
            Ok(Some(LeaseOutcome::busy(Duration::from_millis(left))))
        }
        _ => Err(failure::unexpected()),
    }
}

/// What `increment.lua` returns; `None` where it refused.
pub(super) fn increment(value: Value) -> Result<Option<IncrementOutcome>> {
    let mut parts = match value {
        Value::Array(parts) => parts,
        Value::ServerError(error) => return Err(failure::replied(&error)),
        _ => return Err(failure::unexpected()),
    };
    match parts.as_slice() {
        [Value::Int(0), _] => Ok(None),
        [Value::Int(1), _, Value::BulkString(text)] => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .map(|sum| Some(IncrementOutcome::Added(sum)))
            .ok_or_else(failure::unexpected),
        [Value::Int(2), _, Value::BulkString(_)] => {
            let entry = string(parts.swap_remove(2))?.ok_or_else(failure::unexpected)?;
            Ok(Some(IncrementOutcome::Found(entry)))
        }
        _ => Err(failure::unexpected()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn replies_of_another_shape_are_errors_and_never_panics() {
        let shapes = || {
            [
                Value::Nil,
                Value::Okay,
                Value::Int(-1),
                Value::Array(vec![]),
                Value::Array(vec![Value::Int(1)]),
                Value::Array(vec![Value::Int(2), Value::Int(0), Value::Nil]),
                Value::Array(vec![Value::Int(3), Value::Int(0), Value::Int(-5)]),
                Value::Array(vec![Value::Int(1), Value::Int(0), Value::BulkString(b"9.5".to_vec())]),
                Value::Map(vec![]),
            ]
        };
        for value in shapes() {
            assert!(lease(value.clone()).is_err(), "{value:?}");
            assert!(increment(value.clone()).is_err(), "{value:?}");
            assert!(verdict(value.clone()).is_err(), "{value:?}");
            assert!(captured(value.clone(), 4).is_err(), "{value:?}");
            assert!(evicted(value.clone(), 4).is_err(), "{value:?}");
            assert!(versions(value, 4).is_err());
        }
    }

    #[test]
    fn a_version_is_eight_bytes_and_not_zero() {
        assert_eq!(version(&Value::BulkString(7_u64.to_le_bytes().to_vec())), Some(Version::new(7)));
        assert_eq!(version(&Value::BulkString(vec![0; 8])), None);
        assert_eq!(version(&Value::BulkString(vec![1; 7])), None);
        assert_eq!(version(&Value::Nil), None);
    }
}
