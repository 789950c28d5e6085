//! What goes through many keys, in steps on a pooled connection; and looking at one key as it is.

use std::time::Duration;

use bytes::Bytes;
use deadpool_redis::Connection;
use redis::aio::ConnectionLike as _;

use super::send::{Resend, Sender};
use super::wire::{Packed, Reply};
use super::{failure, reply};
use crate::ground::error::Result;
use crate::store::messages::inspect::{Cursor, Page, Raw};

/// About how many keys one step of a scan looks at: well below a millisecond of the server's time.
const SCAN_STEP: usize = 1_000;
/// How many keys one UNLINK names.
const UNLINK_CHUNK: usize = 500;
/// Where the server's scans begin and end.
const START: &[u8] = b"0";

/// Removes every key that begins with `prefix`, and tells how many.
pub(super) async fn evict_prefix(sender: &Sender, prefix: &str) -> Result<u64> {
    let mut connection = sender.link.checkout().await?;
    let (mut cursor, mut removed) = (START.to_vec(), 0);
    loop {
        let (keys, next) = step(sender, &mut connection, prefix, &cursor).await?;
        for chunk in keys.chunks(UNLINK_CHUNK) {
            let mut unlink = redis::cmd("UNLINK");
            for key in chunk {
                unlink.arg(key.as_ref());
            }
            let count = sender.in_time(connection.req_packed_command(&unlink)).await?.into();
            removed += u64::try_from(reply::integer(&count)?).unwrap_or(0);
        }
        if next == START {
            return Ok(removed);
        }
        cursor = next;
    }
}

/// One step of a scan.
pub(super) async fn scan(sender: &Sender, prefix: &str, cursor: &Cursor) -> Result<Page> {
    let mut connection = sender.link.checkout().await?;
    let cursor = if cursor.bytes.is_empty() { START } else { &cursor.bytes };
    let (keys, next) = step(sender, &mut connection, prefix, cursor).await?;
    let next = (next != START).then(|| Cursor::new(next));
    Ok(Page::new(keys, next))
}

/// What is under one key.
pub(super) async fn raw(sender: &Sender, key: &[u8]) -> Result<Option<Raw>> {
    let both = |out: &mut Packed| {
        out.command(2).part("GET").part(key);
        out.command(2).part("PTTL").part(key);
    };
    let mut replies = sender.many(both, Resend::WhereBroken).await?;
    let left = reply::integer(&replies.pop().ok_or_else(failure::unexpected)?)?;
    let bytes = reply::string(replies.pop().ok_or_else(failure::unexpected)?)?;
    // Negative where the key does not expire, or went meanwhile.
    let left = u64::try_from(left).ok().map(Duration::from_millis);
    Ok(bytes.map(|bytes| Raw::new(bytes, left)))
}

/// The keys that one SCAN tells, and its cursor.
async fn step(
    sender: &Sender,
    connection: &mut Connection,
    prefix: &str,
    cursor: &[u8],
) -> Result<(Vec<Bytes>, Vec<u8>)> {
    let mut scan = redis::cmd("SCAN");
    scan.arg(cursor).arg("MATCH").arg(pattern(prefix)).arg("COUNT").arg(SCAN_STEP);
    let step = sender.in_time(connection.req_packed_command(&scan)).await?;
    let mut step = reply::array(step.into(), 2)?;
    let (Some(Reply::Array(keys)), Some(Reply::Bytes(next))) = (step.pop(), step.pop()) else {
        return Err(failure::unexpected());
    };
    let key = |value| match value {
        Reply::Bytes(key) => Ok(key),
        _ => Err(failure::unexpected()),
    };
    Ok((keys.into_iter().map(key).collect::<Result<_>>()?, next.into()))
}

/// A glob pattern of what begins with `prefix`, in which everything is taken literally.
fn pattern(prefix: &str) -> String {
    let mut pattern = String::with_capacity(prefix.len() + 1);
    for char in prefix.chars() {
        if matches!(char, '*' | '?' | '[' | ']' | '^' | '-' | '\\') {
            pattern.push('\\');
        }
        pattern.push(char);
    }
    pattern.push('*');
    pattern
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn glob_characters_in_a_prefix_are_literal() {
        assert_eq!(pattern("a*b?[c]\\d-^:é"), "a\\*b\\?\\[c\\]\\\\d\\-\\^:é*");
    }
}
