//! What one operation does to one key: the decisions that the Redis scripts make, on the same bytes.
//!
//! Every function gets what is under the key and the time, and leaves there what belongs there. None looks
//! past the header's fixed part, but for decimal payloads. What has expired is `None` to them.

use std::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::format::header::{
    DECIMAL, FIXED, Header, LONGEST_LEASE, MAX_STAMPS, PENDING, PUT, STAMP, Stamp, read_stamps,
};
use crate::format::ids::{FillId, Token, Version};
use crate::format::stamps::{ANY_TAG, TagKeys, VersionKey};
use crate::ground::clock::Timestamp;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::messages::increment::{Increment, IncrementOutcome, OtherStamps};
use crate::store::messages::lease::{LeaseKind, LeaseOutcome, LeaseRequest};
use crate::store::messages::write::{Guard, OnRefusal, Write};

/// How long a version should live that is to live `asked` at least: twice that, so that most captures need not write.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::protocol::version_life;
/// use std::time::Duration;
///
/// let day = Duration::from_secs(24 * 60 * 60);
/// assert_eq!(version_life(day), day * 2);
/// ```
pub const fn version_life(asked: Duration) -> Duration {
    asked.saturating_mul(2)
}

/// What is under one key.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Timestamp, store::protocol::Slot};
///
/// let slot = Slot::new("value".into(), Timestamp(5_000));
/// assert!(slot.is_alive(Timestamp(4_999)) && !slot.is_alive(Timestamp(5_000)));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Slot {
    /// An entry, a version, or foreign bytes.
    pub bytes: Bytes,
    /// From this time on the key is gone.
    pub expires: Timestamp,
}

impl Slot {
    /// These bytes, until then.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Timestamp, store::protocol::Slot};
    ///
    /// assert_eq!(Slot::new("value".into(), Timestamp(5_000)).bytes.len(), 5);
    /// ```
    pub const fn new(bytes: Bytes, expires: Timestamp) -> Self {
        Self { bytes, expires }
    }

    /// Whether the key is still there at `now`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Timestamp, store::protocol::Slot};
    ///
    /// assert!(!Slot::default().is_alive(Timestamp(0)));
    /// ```
    pub fn is_alive(&self, now: Timestamp) -> bool {
        now < self.expires
    }
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
    header(slot).filter(|header| !token.is_none() && header.token == token)
}

/// Whether a value is there that may be read now.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Timestamp, header::{Header, assemble}, store::protocol::{Slot, is_readable}};
///
/// let entry = assemble(Header::new().with_gone_at(Timestamp(5)), &[], b"Ada");
/// let slot = Slot::new(entry.into(), Timestamp(9));
/// assert!(is_readable(Some(&slot), Timestamp(4)) && !is_readable(Some(&slot), Timestamp(5)));
/// assert!(!is_readable(Some(&Slot::new("foreign".into(), Timestamp(9))), Timestamp(4)));
/// ```
pub fn is_readable(slot: Option<&Slot>, now: Timestamp) -> bool {
    readable(slot, now).is_some()
}

/// The fill id of the value that may be read now; none where there is no such value.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{FillId, protocol::seen};
///
/// assert_eq!(seen(None, cachemacro::Timestamp(0)), FillId::NONE);
/// ```
pub fn seen(slot: Option<&Slot>, now: Timestamp) -> FillId {
    readable(slot, now).map_or(FillId::NONE, |header| header.fill_id)
}

/// Asks for the lease, for a request whose versions were captured: those of [`LeaseRequest::capture`], in that order.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{LeaseKind, LeaseOutcome, LeaseRequest, Store, Token, Version, VersionKey, protocol::lease};
/// use cachemacro::Timestamp;
/// use std::time::Duration;
///
/// let (mut slot, now, live) = (None, Timestamp(1_000), Duration::from_secs(3));
/// let tags = [VersionKey::new("{tag:07}:users", 7)];
/// let ask = |token| LeaseRequest::new("user:7", Token::new(token), LeaseKind::Load, live).with_capture(&tags, live);
/// let (before, after) = ([Version::new(1)], [Version::new(2)]);
/// assert_eq!(lease(&mut slot, now, &ask(1), &before), LeaseOutcome::Taken);
/// assert_eq!(lease(&mut slot, now, &ask(2), &before), LeaseOutcome::busy(live));
/// // Since then the tag was evicted: nobody could read what the holder stores.
/// assert_eq!(lease(&mut slot, now, &ask(2), &after), LeaseOutcome::outdated(live, Token::new(1)));
/// assert_eq!(lease(&mut slot, now, &ask(3).with_over(Token::new(1)), &after), LeaseOutcome::Taken);
/// ```
pub fn lease(
    slot: &mut Option<Slot>,
    now: Timestamp,
    request: &LeaseRequest<'_>,
    captured: &[Version],
) -> LeaseOutcome {
    if request.is_late(now) {
        // G9: its caller may have given it up, and waits until now to give back what it was granted.
        return LeaseOutcome::Late;
    }
    let current = header(slot.as_ref());
    let value = current.filter(|header| header.is_readable(now));
    // G1: what was stored since the caller looked is newer than what it saw. A request that was under way for long, or whose
    // answer was lost, must not get a lease over it.
    if let (Some(value), Some(slot)) = (value, &*slot)
        && value.fill_id != request.seen
        && request.kind != LeaseKind::Put
    {
        return LeaseOutcome::Found(slot.bytes.clone());
    }
    let stamps = stamps_of(request, captured);
    let outdated = match (request.kind, &*slot, current) {
        (LeaseKind::Load, Some(slot), Some(current)) => {
            Outdated::of(read_stamps(stamps_in(slot, &current)), &stamps)
        }
        _ => Outdated::default(),
    };
    // Captured after it was read, so nobody can use it, nor what who holds its lease may store.
    let unreadable = value.is_some() && outdated.tag;
    let mut taken_over = false;
    if let Some(holder) = current.filter(|header| header.is_leased(now)) {
        // Not by its first capture, which may be older than the holder's.
        taken_over = outdated.is_any() && request.over == holder.token;
        let yields = match request.kind {
            LeaseKind::Put => true,
            LeaseKind::Load => holder.has(PUT) || unreadable || taken_over,
        };
        if !yields {
            // G5: one storable load at a time.
            let left = holder.lease_deadline.since(now);
            return LeaseOutcome::Busy { left, outdated: outdated.is_any().then_some(holder.token) };
        }
    }
    let put = request.kind == LeaseKind::Put;
    let deadline = deadline(now, request.live);
    if let (Some(value), Some(slot)) = (value.filter(|_| !unreadable), slot.as_mut()) {
        let flags = if put { value.flags | PUT } else { value.flags & !PUT };
        rewrite(slot, &Header { flags, token: request.token, lease_deadline: deadline, ..value });
        slot.expires = slot.expires.max(deadline);
    } else {
        // Any tag's evict justifies one takeover: where tags are evicted all the time, each load would be overtaken.
        let marked = taken_over && !outdated.tag;
        let stamps = stamps.iter().filter(|stamp| !(marked && stamp.tag == ANY_TAG));
        let stamps: Vec<Stamp> = stamps.copied().collect();
        let pending = Header::pending_under(request.token, deadline, put, &stamps);
        *slot = Some(Slot::new(pending.into(), deadline));
    }
    LeaseOutcome::Taken
}

/// The stamps of a pending header: the versions that its holder captured, those of any tag as one.
pub(crate) fn stamps_of(request: &LeaseRequest<'_>, captured: &[Version]) -> Vec<Stamp> {
    let known = request.known.min(request.capture.len()).min(captured.len());
    if known >= MAX_STAMPS {
        // More than a header carries: the lease is like that of an entry without tags.
        return Vec::new();
    }
    let (tags, any) = captured.split_at(known);
    let tags = request.capture.iter().zip(tags).map(|(key, &version)| Stamp::new(key.hash, version));
    // Each is random, so their sum without carry changes with every one of them.
    let digest = any.iter().fold(0, |digest, version| digest ^ version.get());
    let digest = (!any.is_empty()).then_some(Stamp::new(ANY_TAG, Version::new(digest)));
    tags.chain(digest).collect()
}

fn stamps_in<'a>(slot: &'a Slot, header: &Header) -> &'a [u8] {
    &slot.bytes[FIXED..FIXED + usize::from(header.stamps) * STAMP]
}

/// Whether stamps carry other versions than were captured since, or before, of a tag or of any tag.
#[derive(Debug, Clone, Copy, Default)]
struct Outdated {
    tag: bool,
    any: bool,
}

impl Outdated {
    fn of(stamps: impl Iterator<Item = Stamp>, captured: &[Stamp]) -> Self {
        let mut outdated = Self::default();
        for stamp in stamps {
            let other = captured.iter().any(|own| own.tag == stamp.tag && own.version != stamp.version);
            outdated.tag |= other && stamp.tag != ANY_TAG;
            outdated.any |= other && stamp.tag == ANY_TAG;
        }
        outdated
    }

    const fn is_any(self) -> bool {
        self.tag || self.any
    }
}

/// When a lease lapses that is to live so long.
fn deadline(now: Timestamp, live: Duration) -> Timestamp {
    now.plus(live.min(LONGEST_LEASE))
}

/// Lets a held lease live `live` from now; false where `token` does not hold it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Timestamp, store::{Token, protocol::renew}};
/// use std::time::Duration;
///
/// assert!(!renew(&mut None, Timestamp(0), Token::new(1), Duration::from_secs(3)), "nothing is held");
/// ```
pub fn renew(slot: &mut Option<Slot>, now: Timestamp, token: Token, live: Duration) -> bool {
    let (Some(header), Some(slot)) = (held(slot.as_ref(), token), slot.as_mut()) else { return false };
    let deadline = deadline(now, live);
    slot.expires = slot.expires.max(deadline);
    rewrite(slot, &Header { lease_deadline: deadline, ..header });
    true
}

/// Gives a held lease back: a pending entry goes, a value stays; false where `token` does not hold it.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{LeaseKind, LeaseRequest, Token, protocol::{lease, release}};
/// use cachemacro::Timestamp;
/// use std::time::Duration;
///
/// let (mut slot, token) = (None, Token::new(1));
/// lease(&mut slot, Timestamp(0), &LeaseRequest::new("user:7", token, LeaseKind::Load, Duration::from_secs(3)), &[]);
/// assert!(release(&mut slot, token));
/// assert_eq!(slot, None);
/// ```
pub fn release(slot: &mut Option<Slot>, token: Token) -> bool {
    let Some(header) = held(slot.as_ref(), token) else { return false };
    match slot {
        Some(value) if !header.has(PENDING) => rewrite(value, &without_lease(header)),
        _ => *slot = None,
    }
    true
}

/// Stores a value where its guard holds, and tells whether it did.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{Guard, Token, Write, protocol::write};
/// use cachemacro::Timestamp;
/// use std::time::Duration;
///
/// let (mut slot, set) = (None, Write::new("user:7", "Ada".into(), Duration::from_secs(60)));
/// assert!(write(&mut slot, Timestamp(0), &set));
/// assert!(!write(&mut slot, Timestamp(0), &set.with_guard(Guard::Lease(Token::new(1)))));
/// assert_eq!(slot.map(|slot| slot.expires), Some(Timestamp(60_000)));
/// ```
pub fn write(slot: &mut Option<Slot>, now: Timestamp, write: &Write<'_>) -> bool {
    let accepted = match write.guard {
        Guard::Always => true,
        // G1, G4: an evict, a put or another loader that came between took the token away.
        Guard::Lease(token) => held(slot.as_ref(), token).is_some(),
        Guard::Seen(fill_id) => seen(slot.as_ref(), now) == fill_id,
        // G1: a refresh was begun for this very value; a load or put that has begun since took the lease.
        Guard::Unchanged { seen, token } => header(slot.as_ref())
            .is_some_and(|now| !seen.is_none() && now.fill_id == seen && now.token == token),
    };
    if accepted {
        *slot = Some(Slot::new(write.bytes.clone(), now.plus(write.life)));
    } else if write.on_refusal == OnRefusal::Unlink {
        // G4: of two puts that raced, nobody knows which was the last to write.
        *slot = None;
    }
    accepted
}

/// Removes the entry, with any lease on it; tells whether a value was there that may be read now.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Timestamp, store::protocol::{Slot, evict}};
///
/// let mut slot = Some(Slot::new("foreign".into(), Timestamp(9)));
/// assert!(!evict(&mut slot, Timestamp(0)));
/// assert_eq!(slot, None);
/// ```
pub fn evict(slot: &mut Option<Slot>, now: Timestamp) -> bool {
    is_readable(slot.take().as_ref(), now)
}

/// The versions whose removal evicts a tag, in the order in which they must go where that is not one step.
///
/// G1: a load whose tags come from its value reads the tag's version first and the any-tag version last, so it cannot see
/// the tag's new version beside the old any-tag version.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::store::{TagKeys, VersionKey, protocol::versions_to_remove};
///
/// let users = TagKeys::new(VersionKey::new("{tag:07}:users", 7), VersionKey::new("{tag:07}", 7));
/// assert_eq!(versions_to_remove(&users), [&users.any, &users.tag]);
/// ```
pub const fn versions_to_remove(tag: &TagKeys) -> [&VersionKey; 2] {
    [&tag.any, &tag.tag]
}

/// Adds to a decimal entry. See [`Store::increment`](crate::store::Store::increment).
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::header::{DECIMAL, Header, assemble};
/// use cachemacro::store::{Increment, IncrementOutcome, protocol::increment};
/// use cachemacro::Timestamp;
/// use std::time::Duration;
///
/// let fresh = assemble(Header::new().with_codec(DECIMAL).with_gone_at(Timestamp(60_000)), &[], &[]);
/// let add = Increment::new("visits", 2, fresh.into(), Duration::from_secs(60));
/// let (mut slot, now) = (None, Timestamp(0));
/// assert_eq!(increment(&mut slot, now, &add)?, IncrementOutcome::Added(2));
/// assert_eq!(increment(&mut slot, now, &add)?, IncrementOutcome::Added(4));
/// # Ok::<(), cachemacro::Error>(())
/// ```
///
/// # Errors
/// [`WrongType`](ErrorKind::WrongType) where the entry is no decimal one, or the sum does not fit; [`Encode`](ErrorKind::Encode)
/// where [`Increment::fresh`] is not the header of one. Then the slot is left as it was.
pub fn increment(
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
    *slot = Some(Slot::new(bytes.into(), expires));
    Ok(IncrementOutcome::Added(sum))
}

fn decimal(header: &Header, payload: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(payload).ok().filter(|_| header.codec == DECIMAL)?;
    // Redis refuses what it would not print itself: a plus, leading zeros.
    text.parse().ok().filter(|number: &i64| number.to_string() == text)
}

/// The version under a version's key; `None` where it is missing, not 8 bytes long, or zero.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Timestamp, store::{Version, protocol::{Slot, version}}};
///
/// let slot = Slot::new(Version::new(7).to_bytes().to_vec().into(), Timestamp(9));
/// assert_eq!(version(Some(&slot)), Some(Version::new(7)));
/// assert_eq!(version(None), None);
/// ```
pub fn version(slot: Option<&Slot>) -> Option<Version> {
    let bytes = slot?.bytes.as_ref().try_into().ok()?;
    Some(Version::from_bytes(bytes)).filter(|version| !version.is_none())
}

/// The version under a version's key, which lives `life` at least from now; `fresh` where there is none. No version is ever
/// shortened.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::{Timestamp, store::{Version, protocol::capture}};
/// use std::time::Duration;
///
/// let (mut slot, now, life) = (None, Timestamp(0), Duration::from_secs(60));
/// let first = capture(&mut slot, now, life, Version::random());
/// assert_eq!(capture(&mut slot, now, life, Version::random()), first);
/// ```
pub fn capture(slot: &mut Option<Slot>, now: Timestamp, life: Duration, fresh: Version) -> Version {
    let expires = now.plus(version_life(life));
    if let (Some(version), Some(slot)) = (version(slot.as_ref()), slot.as_mut()) {
        if slot.expires < now.plus(life) {
            slot.expires = expires;
        }
        return version;
    }
    *slot = Some(Slot::new(Bytes::copy_from_slice(&fresh.to_bytes()), expires));
    fresh
}

const fn without_lease(header: Header) -> Header {
    Header { flags: header.flags & !PUT, token: Token::NONE, lease_deadline: Timestamp(0), ..header }
}

/// Writes the fixed part over the old one: in place where no reader holds the bytes, else into a copy.
fn rewrite(slot: &mut Slot, header: &Header) {
    let bytes = std::mem::take(&mut slot.bytes);
    let mut bytes = bytes.try_into_mut().unwrap_or_else(|shared| BytesMut::from(&shared[..]));
    bytes[..FIXED].copy_from_slice(&header.to_bytes());
    slot.bytes = bytes.freeze();
}
