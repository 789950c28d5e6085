//! From the server's replies to the store's types. Nothing here trusts a reply's shape.

use std::time::Duration;

use bytes::Bytes;
use redis::{ServerError, Value};

use super::failure;
use super::wire::Reply;
use crate::format::ids::{Token, Version};
use crate::ground::error::Result;
use crate::store::messages::increment::IncrementOutcome;
use crate::store::messages::lease::LeaseOutcome;

impl From<Value> for Reply {
    /// What came over a connection of the pool.
    fn from(value: Value) -> Self {
        let all = |values: Vec<Value>| Self::Array(values.into_iter().map(Self::from).collect());
        match value {
            Value::Int(number) => Self::Int(number),
            Value::BulkString(bytes) => Self::Bytes(bytes.into()),
            Value::Array(values) | Value::Set(values) => all(values),
            Value::SimpleString(text) => Self::Status(text.into()),
            Value::VerbatimString { text, .. } => Self::Bytes(text.into()),
            Value::Okay => Self::Status(Bytes::from_static(b"OK")),
            Value::Boolean(is) => Self::Int(i64::from(is)),
            Value::ServerError(error) => Self::from(&error),
            // No command here is answered with anything else.
            _ => Self::Nil,
        }
    }
}

impl From<&ServerError> for Reply {
    fn from(error: &ServerError) -> Self {
        let details = error.details().unwrap_or_default();
        Self::Error(format!("{} {details}", error.code()).into())
    }
}

/// The elements of an array that must have so many.
pub(super) fn array(value: Reply, length: usize) -> Result<Vec<Reply>> {
    match value {
        Reply::Array(parts) if parts.len() == length => Ok(parts),
        Reply::Error(line) => Err(failure::refused(&line)),
        _ => Err(failure::unexpected()),
    }
}

/// A reply whose content does not matter, as long as it is no error.
pub(super) fn done(value: &Reply) -> Result<()> {
    match value {
        Reply::Error(line) => Err(failure::refused(line)),
        _ => Ok(()),
    }
}

pub(super) fn integer(value: &Reply) -> Result<i64> {
    match value {
        Reply::Int(number) => Ok(*number),
        Reply::Error(line) => Err(failure::refused(line)),
        _ => Err(failure::unexpected()),
    }
}

/// The milliseconds that `TIME` tells.
pub(super) fn time(value: Reply) -> Result<i64> {
    let number = |part: &Reply| match part {
        Reply::Bytes(text) => std::str::from_utf8(text).ok()?.parse::<i64>().ok(),
        _ => None,
    };
    let parts = array(value, 2)?;
    let millis = number(&parts[0]).zip(number(&parts[1]));
    let millis = millis.and_then(|(seconds, micros)| seconds.checked_mul(1_000)?.checked_add(micros / 1_000));
    millis.ok_or_else(failure::unexpected)
}

/// A string, or nothing where the key is missing, or holds another type.
pub(super) fn string(value: Reply) -> Result<Option<Bytes>> {
    match value {
        Reply::Bytes(bytes) => Ok(Some(bytes)),
        Reply::Nil => Ok(None),
        Reply::Error(line) if line.starts_with(b"WRONGTYPE") => Ok(None),
        Reply::Error(line) => Err(failure::refused(&line)),
        _ => Err(failure::unexpected()),
    }
}

/// How long a string is; zero where the key is missing, or holds another type.
pub(super) fn length(value: &Reply) -> Result<usize> {
    match value {
        Reply::Error(line) if line.starts_with(b"WRONGTYPE") => Ok(0),
        value => usize::try_from(integer(value)?).map_err(|_| failure::unexpected()),
    }
}

/// A version: eight bytes that are not all zero.
pub(super) fn version(value: &Reply) -> Option<Version> {
    match value {
        Reply::Bytes(bytes) => version_in(bytes),
        _ => None,
    }
}

/// The version in these bytes.
pub(super) fn version_in(bytes: &[u8]) -> Option<Version> {
    let raw: [u8; 8] = bytes.try_into().ok()?;
    Some(Version::from_bytes(raw)).filter(|version| !version.is_none())
}

pub(super) fn versions(value: Reply, length: usize) -> Result<Vec<Option<Version>>> {
    Ok(array(value, length)?.iter().map(version).collect())
}

/// What `capture.lua` returns: the versions, none of them missing.
pub(super) fn captured(value: Reply, length: usize) -> Result<Vec<Version>> {
    array(value, length)?.iter().map(|value| version(value).ok_or_else(failure::unexpected)).collect()
}

/// `{1 or 0}`, or `{1 or 0, now}`.
pub(super) fn verdict(value: Reply) -> Result<bool> {
    match value {
        Reply::Array(parts) if (1..=2).contains(&parts.len()) => Ok(integer(&parts[0])? == 1),
        Reply::Error(line) => Err(failure::refused(&line)),
        _ => Err(failure::unexpected()),
    }
}

/// What `SET … NX` returns: whether there was nothing.
pub(super) fn was_vacant(value: &Reply) -> Result<bool> {
    match value {
        Reply::Status(_) => Ok(true),
        Reply::Nil => Ok(false),
        Reply::Error(line) => Err(failure::refused(line)),
        _ => Err(failure::unexpected()),
    }
}

/// What `evict.lua` returns: for each key whether a value was there.
pub(super) fn evicted(value: Reply, length: usize) -> Result<Vec<bool>> {
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
pub(super) fn lease(value: Reply, captured: usize) -> Result<Leased> {
    let mut parts = match value {
        Reply::Array(parts) => parts,
        Reply::Error(line) => return Err(failure::refused(&line)),
        _ => return Err(failure::unexpected()),
    };
    let outcome = match parts.as_mut_slice() {
        [Reply::Int(4), _] => return Ok(Leased { versions: Vec::new(), outcome: Some(LeaseOutcome::Late) }),
        [Reply::Int(1), _, _] => Some(LeaseOutcome::Taken),
        [Reply::Int(2), _, _] => None,
        [Reply::Int(2), _, _, entry] => {
            let entry = std::mem::replace(entry, Reply::Nil);
            Some(LeaseOutcome::Found(string(entry)?.ok_or_else(failure::unexpected)?))
        }
        [Reply::Int(3), _, _, left] => Some(LeaseOutcome::busy(time_left(left)?)),
        [Reply::Int(3), _, _, left, Reply::Bytes(holder)] => {
            let holder = holder[..].try_into().map_err(|_| failure::unexpected())?;
            Some(LeaseOutcome::outdated(time_left(left)?, Token::from_bytes(holder)))
        }
        _ => return Err(failure::unexpected()),
    };
    Ok(Leased { versions: versions_in(&parts[2], captured)?, outcome })
}

fn time_left(value: &Reply) -> Result<Duration> {
    u64::try_from(integer(value)?).map(Duration::from_millis).map_err(|_| failure::unexpected())
}

/// So many versions in one string, none of them missing.
fn versions_in(value: &Reply, length: usize) -> Result<Vec<Version>> {
    let Reply::Bytes(bytes) = value else { return Err(failure::unexpected()) };
    let (versions, rest) = bytes.as_chunks();
    if versions.len() != length || !rest.is_empty() {
        return Err(failure::unexpected());
    }
    let versions: Vec<_> = versions.iter().map(|bytes| Version::from_bytes(*bytes)).collect();
    if versions.iter().any(|version| version.is_none()) { Err(failure::unexpected()) } else { Ok(versions) }
}

/// What `increment.lua` returns; `None` where it refused.
pub(super) fn increment(value: Reply) -> Result<Option<IncrementOutcome>> {
    let mut parts = match value {
        Reply::Array(parts) => parts,
        Reply::Error(line) => return Err(failure::refused(&line)),
        _ => return Err(failure::unexpected()),
    };
    match parts.as_slice() {
        [Reply::Int(0), _] => Ok(None),
        [Reply::Int(1), _, Reply::Bytes(text)] => std::str::from_utf8(text)
            .ok()
            .and_then(|text| text.parse().ok())
            .map(|sum| Some(IncrementOutcome::Added(sum)))
            .ok_or_else(failure::unexpected),
        [Reply::Int(2), _, Reply::Bytes(_)] => {
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
        let version = |byte| Reply::Bytes(vec![byte; 8].into());
        let shapes = || {
            [
                Reply::Nil,
                Reply::Status("OK".into()),
                Reply::Int(-1),
                Reply::Array(vec![]),
                Reply::Array(vec![Reply::Nil]),
                Reply::Array(vec![Reply::Nil, Reply::Int(0)]),
                Reply::Array(vec![Reply::Int(2), Reply::Int(0), Reply::Nil]),
                Reply::Array(vec![Reply::Int(1), Reply::Int(0), Reply::Bytes(vec![0; 8].into())]),
                Reply::Array(vec![Reply::Int(1), Reply::Int(0), Reply::Bytes(vec![1; 9].into())]),
                Reply::Array(vec![Reply::Int(1), Reply::Int(0), Reply::Bytes(vec![1; 16].into())]),
                Reply::Array(vec![Reply::Int(3), Reply::Int(0), version(1), Reply::Int(-5)]),
                Reply::Array(vec![Reply::Int(3), Reply::Int(0), version(1), Reply::Int(5), Reply::Int(7)]),
                Reply::Array(vec![
                    Reply::Int(3),
                    Reply::Int(0),
                    version(1),
                    Reply::Int(5),
                    version(1),
                    Reply::Nil,
                ]),
                Reply::Array(vec![Reply::Int(1), Reply::Int(0), Reply::Bytes(Bytes::from_static(b"9.5"))]),
                Reply::Error("ERR".into()),
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
    fn a_guard_tells_the_time_or_not() {
        let verdict =
            |parts: &[i64]| super::verdict(Reply::Array(parts.iter().copied().map(Reply::Int).collect()));
        assert_eq!((verdict(&[1]).ok(), verdict(&[0, 7]).ok()), (Some(true), Some(false)));
        assert!(verdict(&[1, 7, 7]).is_err());
    }

    #[test]
    fn a_version_is_eight_bytes_and_not_zero() {
        assert_eq!(version(&Reply::Bytes(7_u64.to_le_bytes().to_vec().into())), Some(Version::new(7)));
        assert_eq!(version(&Reply::Bytes(vec![0; 8].into())), None);
        assert_eq!(version(&Reply::Bytes(vec![1; 7].into())), None);
        assert_eq!(version(&Reply::Nil), None);
    }
}
