//! From the server's replies to the store's types. Nothing here trusts a reply's shape.

use std::time::Duration;

use bytes::Bytes;
use redis::Value;

use super::failure;
use crate::format::ids::{Token, Version};
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

/// What `lease.lua` returned.
pub(super) struct Leased {
    /// The captured versions; none where the request came too late.
    pub(super) versions: Vec<Version>,
    /// `None` where a value was found that is too large for the reply.
    pub(super) outcome: Option<LeaseOutcome>,
}

/// What `lease.lua` returns, having captured so many versions.
pub(super) fn lease(value: Value, captured: usize) -> Result<Leased> {
    let mut parts = match value {
        Value::Array(parts) => parts,
        Value::ServerError(error) => return Err(failure::replied(&error)),
        _ => return Err(failure::unexpected()),
    };
    let outcome = match parts.as_mut_slice() {
        [Value::Int(4), _] => return Ok(Leased { versions: Vec::new(), outcome: Some(LeaseOutcome::Late) }),
        [Value::Int(1), _, _] => Some(LeaseOutcome::Taken),
        [Value::Int(2), _, _] => None,
        [Value::Int(2), _, _, entry] => {
            let entry = std::mem::replace(entry, Value::Nil);
            Some(LeaseOutcome::Found(string(entry)?.ok_or_else(failure::unexpected)?))
        }
        [Value::Int(3), _, _, left] => Some(LeaseOutcome::busy(time_left(left)?)),
        [Value::Int(3), _, _, left, Value::BulkString(holder)] => {
            let holder = holder.as_slice().try_into().map_err(|_| failure::unexpected())?;
            Some(LeaseOutcome::outdated(time_left(left)?, Token::from_bytes(holder)))
        }
        _ => return Err(failure::unexpected()),
    };
    Ok(Leased { versions: versions_in(&parts[2], captured)?, outcome })
}

fn time_left(value: &Value) -> Result<Duration> {
    u64::try_from(integer(value)?).map(Duration::from_millis).map_err(|_| failure::unexpected())
}

/// So many versions in one string, none of them missing.
fn versions_in(value: &Value, length: usize) -> Result<Vec<Version>> {
    let Value::BulkString(bytes) = value else { return Err(failure::unexpected()) };
    let (versions, rest) = bytes.as_chunks();
    if versions.len() != length || !rest.is_empty() {
        return Err(failure::unexpected());
    }
    let versions: Vec<_> = versions.iter().map(|bytes| Version::from_bytes(*bytes)).collect();
    if versions.iter().any(|version| version.is_none()) { Err(failure::unexpected()) } else { Ok(versions) }
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
        let version = |byte| Value::BulkString(vec![byte; 8]);
        let shapes = || {
            [
                Value::Nil,
                Value::Okay,
                Value::Int(-1),
                Value::Array(vec![]),
                Value::Array(vec![Value::Int(1)]),
                Value::Array(vec![Value::Int(2), Value::Int(0), Value::Nil]),
                Value::Array(vec![Value::Int(1), Value::Int(0), Value::BulkString(vec![0; 8])]),
                Value::Array(vec![Value::Int(1), Value::Int(0), Value::BulkString(vec![1; 9])]),
                Value::Array(vec![Value::Int(1), Value::Int(0), Value::BulkString(vec![1; 16])]),
                Value::Array(vec![Value::Int(3), Value::Int(0), version(1), Value::Int(-5)]),
                Value::Array(vec![Value::Int(3), Value::Int(0), version(1), Value::Int(5), Value::Int(7)]),
                Value::Array(vec![
                    Value::Int(3),
                    Value::Int(0),
                    version(1),
                    Value::Int(5),
                    version(1),
                    Value::Nil,
                ]),
                Value::Array(vec![Value::Int(1), Value::Int(0), Value::BulkString(b"9.5".to_vec())]),
                Value::Map(vec![]),
            ]
        };
        for value in shapes() {
            assert!(lease(value.clone(), 1).is_err(), "{value:?}");
            assert!(increment(value.clone()).is_err(), "{value:?}");
            assert!(verdict(value.clone()).is_err(), "{value:?}");
            assert!(captured(value.clone(), 4).is_err(), "{value:?}");
            assert!(evicted(value.clone(), 4).is_err(), "{value:?}");
            assert!(versions(value, 7).is_err());
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
