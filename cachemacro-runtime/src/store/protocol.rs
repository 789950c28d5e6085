//! What one operation does to one key: the decisions that the Redis scripts make, on the same bytes.
//!
//! Every function gets what is under the key and the time, and leaves there what belongs there. None looks
//! past the header's fixed part, but for decimal payloads.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::format::header::{DECIMAL, FIXED, Header, PENDING, PUT, STAMP};
use crate::format::ids::{FillId, Token, Version};
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::{Fill, Increment, IncrementOutcome, LeaseKind, LeaseOutcome, LeaseRequest, OtherStamps};

/// What is under one key.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slot {
    pub(crate) bytes: Bytes,
    /// From this time on the key is gone.
    pub(crate) expires: Timestamp,
}

/// The header of a well-formed entry; anything else counts as missing.
fn header(slot: Option<&Slot>) -> Option<Header> {
    let bytes = &slot?.bytes;
    Header::parse(bytes).ok().filter(|header| header.total_len() == bytes.len())
}

/// The header of a value that may be read now.
fn readable(slot: Option<&Slot>, now: Timestamp) -> Option<Header> {
    header(slot).filter(|header| header.is_readable(now))
}

/// The header of an entry whose lease `token` holds.
fn held(slot: Option<&Slot>, token: Token) -> Option<Header> {
    header(slot).filter(|header| token != 0 && header.token == token)
}

pub(crate) fn is_readable(slot: Option<&Slot>, now: Timestamp) -> bool {
    readable(slot, now).is_some()
}

pub(crate) fn lease(slot: &mut Option<Slot>, now: Timestamp, request: &LeaseRequest<'_>) -> LeaseOutcome {
    let current = header(slot.as_ref());
    let value = current.filter(|header| header.is_readable(now));
    let put = request.kind == LeaseKind::Put;
    if let (Some(value), Some(slot)) = (value, &*slot)
        && value.fill_id != request.seen
        && !put
    {
        return LeaseOutcome::Found(slot.bytes.clone());
    }
    if let Some(holder) = current.filter(|header| header.is_leased(now)) {
        let yields = match request.kind {
            LeaseKind::Put => true,
            LeaseKind::Load => holder.has(PUT),
            LeaseKind::Refresh => false,
        };
        if !yields {
            return LeaseOutcome::Busy(holder.lease_deadline.since(now));
        }
    }
    let deadline = now.plus(request.live);
    if let (Some(value), Some(slot)) = (value, slot.as_mut()) {
        let flags = if put { value.flags | PUT } else { value.flags & !PUT };
        rewrite(slot, &Header { flags, token: request.token, lease_deadline: deadline, ..value });
        slot.expires = slot.expires.max(deadline);
    } else {
        let pending = Header::pending(request.token, deadline, put);
        *slot = Some(Slot { bytes: Bytes::copy_from_slice(&pending.to_bytes()), expires: deadline });
    }
    LeaseOutcome::Taken
}

pub(crate) fn renew(slot: &mut Option<Slot>, now: Timestamp, token: Token, live: Duration) -> bool {
    let (Some(header), Some(slot)) = (held(slot.as_ref(), token), slot.as_mut()) else { return false };
    let deadline = now.plus(live);
    slot.expires = slot.expires.max(deadline);
    rewrite(slot, &Header { lease_deadline: deadline, ..header });
    true
}

pub(crate) fn release(slot: &mut Option<Slot>, token: Token) -> bool {
    let Some(header) = held(slot.as_ref(), token) else { return false };
    match slot {
        Some(value) if !header.has(PENDING) => rewrite(value, &without_lease(header)),
        _ => *slot = None,
    }
    true
}

pub(crate) fn fill(slot: &mut Option<Slot>, now: Timestamp, fill: &Fill<'_>) -> bool {
    let accepted = held(slot.as_ref(), fill.token).is_some();
    if accepted {
        *slot = Some(Slot { bytes: fill.bytes.clone(), expires: now.plus(fill.life) });
    } else if fill.unlink_refused {
        *slot = None;
    }
    accepted
}

pub(crate) fn compare_and_set(
    slot: &mut Option<Slot>,
    now: Timestamp,
    seen: FillId,
    bytes: Bytes,
    life: Duration,
) -> bool {
    let current = readable(slot.as_ref(), now).map_or(0, |header| header.fill_id);
    if current == seen {
        *slot = Some(Slot { bytes, expires: now.plus(life) });
    }
    current == seen
}

pub(crate) fn increment(
    slot: &mut Option<Slot>,
    now: Timestamp,
    increment: &Increment<'_>,
) -> Result<IncrementOutcome> {
    let fresh = Header::parse(&increment.fresh)
        .ok()
        .filter(|fresh| fresh.codec == DECIMAL && fresh.total_len() == increment.fresh.len())
        .ok_or_else(|| Error::new(ErrorKind::Encode, "the header for a new decimal entry is not one"))?;
    let fresh_stamps = &increment.fresh[FIXED..];
    let current = match (readable(slot.as_ref(), now), &*slot) {
        (Some(value), Some(slot)) => {
            let (stamps, payload) = slot.bytes[FIXED..].split_at(usize::from(value.stamps) * STAMP);
            let counts = match increment.others {
                _ if stamps == fresh_stamps => true,
                OtherStamps::Valid(valid) if stamps == valid => true,
                OtherStamps::Outdated(outdated) if stamps == outdated => false,
                _ => return Ok(IncrementOutcome::Found(slot.bytes.clone())),
            };
            counts.then_some((value, stamps, payload, slot.expires))
        }
        _ => None,
    };
    let (header, stamps, sum, expires) = match current {
        Some((value, stamps, payload, expires)) => {
            let sum = decimal(&value, payload)
                .ok_or_else(|| Error::new(ErrorKind::WrongType, "the entry does not hold a decimal number"))?
                .checked_add(increment.by)
                .ok_or_else(|| Error::new(ErrorKind::WrongType, "the sum does not fit into 64 bits"))?;
            (Header { fill_id: fresh.fill_id, ..without_lease(value) }, stamps, sum, expires)
        }
        None => (fresh, fresh_stamps, increment.by, now.plus(increment.life)),
    };
    let text = sum.to_string();
    let header = Header { payload: u32::try_from(text.len()).unwrap_or(u32::MAX), ..header };
    let bytes = [&header.to_bytes()[..], stamps, text.as_bytes()].concat();
    *slot = Some(Slot { bytes: bytes.into(), expires });
    Ok(IncrementOutcome::Added(sum))
}

fn decimal(header: &Header, payload: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(payload).ok().filter(|_| header.codec == DECIMAL)?;
    // Redis refuses what it would not print itself: a plus, leading zeros.
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

/// The version under a version's key.
pub(crate) fn version(slot: Option<&Slot>) -> Option<Version> {
    slot?.bytes.as_ref().try_into().ok().map(Version::from_le_bytes)
}

/// The version under a version's key, created where it is missing, that lives `life` at least and `extended`
/// where it would not.
pub(crate) fn capture(
    slot: &mut Option<Slot>,
    now: Timestamp,
    life: Duration,
    extended: Duration,
) -> Version {
    if let (Some(version), Some(slot)) = (version(slot.as_ref()), slot.as_mut()) {
        if slot.expires < now.plus(life) {
            slot.expires = now.plus(extended);
        }
        return version;
    }
    let version = rand::random_range(1..=Version::MAX);
    *slot = Some(Slot { bytes: Bytes::copy_from_slice(&version.to_le_bytes()), expires: now.plus(extended) });
    version
}

const fn without_lease(header: Header) -> Header {
    Header { flags: header.flags & !PUT, token: 0, lease_deadline: Timestamp(0), ..header }
}

/// Writes the fixed part over the old one: in place where no reader holds the bytes, else into a copy.
fn rewrite(slot: &mut Slot, header: &Header) {
    let bytes = std::mem::take(&mut slot.bytes);
    let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    bytes[..FIXED].copy_from_slice(&header.to_bytes());
    slot.bytes = bytes.freeze();
}
