//! Reads: an entry's bytes and whether they may be used.
//!
//! Knows headers, stamps and versions; knows no types. What a codec makes of the payload is its caller's.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;

use crate::engine::flight::AsOf;
use crate::engine::raw::RawEntry;
use crate::format::header::{self, Header, Parts, Stamp};
use crate::format::ids::{FillId, Version};
use crate::format::payload;
use crate::format::stamps::{self, Stamped, version_key};
use crate::ground::clock::Timestamp;
use crate::ground::error::Error;
use crate::ground::heap::on_heap;
use crate::key::Key;
use crate::observe::event::Event;
use crate::observe::reason::MissReason;
use crate::policy::freshness::{Age, Freshness};
use crate::policy::gather;
use crate::store::ReadRequest;

/// How many stamps a look at the header alone brings along.
const HEAD_STAMPS: usize = 16;

/// What a value must look like for the reader to use it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Expected {
    pub(crate) codec: u8,
    /// The codec of stored errors.
    pub(crate) error_codec: u8,
    pub(crate) schema: u64,
    /// How long ago the value may have been stored at most.
    pub(crate) max_age: Option<Duration>,
    /// What becomes of values that age.
    pub(crate) freshness: Freshness,
    /// Whether a value is of use that serves only where its load fails.
    pub(crate) spare: bool,
    /// Whether it is sealed in the store.
    pub(crate) sealed: bool,
}

impl Expected {
    /// The same of a reader that has a use for a value which serves only where its load fails.
    pub(crate) const fn or_spare(self) -> Self {
        Self { spare: true, ..self }
    }
}

/// What a read found.
pub(crate) enum Looked {
    Usable(Usable),
    Miss(Miss),
}

/// A value that was decoded, and the header it was stored under.
pub(crate) struct Found<V> {
    pub(crate) value: V,
    pub(crate) header: Header,
    pub(crate) age: Age,
}

/// Why the read is a miss, and the fill id of the value it turned down; none where there was none.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Miss {
    pub(crate) reason: MissReason,
    pub(crate) seen: FillId,
}

/// A value whose header, stamps and checksum are right.
#[derive(Clone)]
pub(crate) struct Usable {
    pub(crate) header: Header,
    pub(crate) age: Age,
    bytes: Bytes,
}

impl Looked {
    /// The value, where it is fresh no more or is to be loaded anew.
    pub(crate) fn aging(&self) -> Option<Usable> {
        match self {
            Looked::Usable(usable) if usable.age != Age::Fresh => Some(usable.clone()),
            _ => None,
        }
    }

    /// What `decode` makes of it. A payload that cannot be decoded is a miss.
    pub(crate) fn decoded<V>(self, decode: impl FnOnce(&Usable) -> Option<V>) -> Result<Found<V>, Miss> {
        match self {
            Looked::Miss(miss) => Err(miss),
            Looked::Usable(usable) => match decode(&usable) {
                Some(value) => Ok(Found { value, header: usable.header, age: usable.age }),
                None => Err(Miss { reason: MissReason::Undecodable, seen: usable.header.fill_id }),
            },
        }
    }
}

impl Usable {
    pub(crate) const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// What the codec wrote; `None` where that is longer than `limit` or cannot be told.
    pub(crate) fn payload(&self, limit: usize) -> Option<Cow<'_, [u8]>> {
        payload::unpack(self.stored_payload(), &self.header, limit)
    }

    /// How many bytes the entry has where its payload is not compressed: about as large as the value is.
    pub(crate) fn unpacked_len(&self) -> usize {
        let stored = self.stored_payload();
        self.bytes.len() - stored.len() + payload::unpacked_len(stored, self.header.flags)
    }

    /// All bytes of the entry.
    pub(crate) const fn whole(&self) -> &Bytes {
        &self.bytes
    }

    /// The payload as it is stored, compressed or not.
    pub(crate) fn stored_payload(&self) -> &[u8] {
        &self.bytes[header::FIXED + usize::from(self.header.stamps) * header::STAMP..]
    }

    pub(crate) fn stamps(&self) -> impl Iterator<Item = Stamp> + Clone + '_ {
        let end = header::FIXED + usize::from(self.header.stamps) * header::STAMP;
        header::read_stamps(&self.bytes[header::FIXED..end])
    }
}

impl RawEntry {
    /// Reads the entry and says whether it may be used.
    pub(crate) async fn look(&self, expected: Expected) -> Result<Looked, Error> {
        Ok(self.look_as_of(expected).await?.0)
    }

    /// [`look`](Self::look) of a call that has asked before: for as long as it may wait for the store yet.
    pub(crate) async fn look_again(&self, expected: Expected) -> Result<Looked, Error> {
        self.settle().await?;
        let keys = [&*self.full];
        let request = ReadRequest::new(&keys).with_versions(&self.tags);
        let read = self.timed("read", self.core.store.read(request)).await?;
        let (entry, versions) = read.into_one();
        self.found(entry, &versions, expected).await
    }

    /// [`look`](Self::look), and what the read showed of the tags.
    pub(crate) async fn look_as_of(&self, expected: Expected) -> Result<(Looked, AsOf), Error> {
        let core = &self.core;
        self.settle().await?;
        let captures = core.flights.captures();
        let keys = [&*self.full];
        let request = ReadRequest::new(&keys).with_versions(&self.tags);
        let read = core.timed_first(self.counters(), "read", core.store.read(request));
        let (entry, versions) = read.await?.into_one();
        let looked = self.found(entry, &versions, expected).await?;
        Ok((looked, AsOf::new(captures, versions)))
    }

    /// Says whether what a read found, if anything, may be used.
    pub(crate) async fn found(
        &self,
        entry: Option<Bytes>,
        versions: &[Option<Version>],
        expected: Expected,
    ) -> Result<Looked, Error> {
        match entry {
            Some(bytes) => self.verify(bytes, versions, expected).await,
            None => Ok(Looked::Miss(Miss { reason: MissReason::Absent, seen: FillId::NONE })),
        }
    }

    /// Reads header and stamps only; `None` where a read would be a miss. Of the payload only the length is checked. What is sealed is
    /// read whole.
    pub(crate) async fn peek(&self, expected: Expected) -> Result<Option<Header>, Error> {
        let core = &self.core;
        // G8: a header is authentic only where its payload opens.
        if expected.sealed {
            return self.header_of_all(expected).await;
        }
        self.settle().await?;
        // What is in memory may have to be encoded anew where more is asked for than header and stamps, and can be asked again.
        let stamps = if core.store.is_memory() { self.tags.len() } else { HEAD_STAMPS };
        let mut length = header::FIXED + stamps * header::STAMP;
        loop {
            let keys = [&*self.full];
            let request = ReadRequest::new(&keys).with_versions(&self.tags).with_first(length);
            let read = self.timed("read", core.store.read(request)).await?;
            let Some(head) = read.entries.into_first().flatten() else { return Ok(None) };
            let header = match headed(&head.bytes, head.length, &self.full, core.store.now(), expected) {
                Ok(Headed::Usable(header, _)) => header,
                Err(_) => return Ok(None),
                Ok(Headed::Torn) => return self.header_of_all(expected).await,
            };
            let end = header::FIXED + usize::from(header.stamps) * header::STAMP;
            if end > length {
                length = end;
                continue;
            }
            let Some(stamps) = head.bytes.get(header::FIXED..end) else { return Ok(None) };
            let outdated = self.stamped(header::read_stamps(stamps), &read.versions).await?;
            return Ok(outdated.is_none().then_some(header));
        }
    }

    /// The header of an entry that is read whole; `None` where that is a miss.
    async fn header_of_all(&self, expected: Expected) -> Result<Option<Header>, Error> {
        Ok(match self.look(expected).await? {
            Looked::Usable(usable) => Some(usable.header),
            Looked::Miss(_) => None,
        })
    }

    /// Says whether these bytes, read together with the versions of the named tags, may be used.
    pub(crate) async fn verify(
        &self,
        bytes: Bytes,
        versions: &[Option<Version>],
        expected: Expected,
    ) -> Result<Looked, Error> {
        self.record(Event::BytesRead(bytes.len()));
        let now = self.core.store.now();
        let (header, age) = match check(&bytes, &self.full, now, expected) {
            Ok(checked) => checked,
            Err(miss) => return Ok(Looked::Miss(miss)),
        };
        // G8: what is not authentic is not decoded.
        let Some(bytes) = self.core.settings.seals.open(&self.full, &header, bytes) else {
            return Ok(Looked::Miss(Miss { reason: MissReason::Unsealed, seen: header.fill_id }));
        };
        let usable = Usable { header, age, bytes };
        // G1: an evicted tag has another version, or none.
        Ok(match self.stamped(usable.stamps(), versions).await? {
            None => {
                if gather::is_on() {
                    let left = usable.header.fresh_until.since(now);
                    gather::depends(self.core.id, &usable.stamps().map(|stamp| stamp.tag), left);
                }
                Looked::Usable(usable)
            }
            Some(reason) => Looked::Miss(Miss { reason, seen: header.fill_id }),
        })
    }

    /// Compares stamps with versions, reading those of tags that were not named.
    pub(crate) async fn stamped(
        &self,
        stamps: impl Iterator<Item = Stamp> + Clone,
        versions: &[Option<Version>],
    ) -> Result<Option<MissReason>, Error> {
        Ok(match stamps::compare(stamps.clone(), &self.tags, self.named().len(), versions) {
            Stamped::Valid => None,
            Stamped::Outdated => Some(MissReason::TagEvicted),
            Stamped::Lacking => Some(MissReason::TagLacking),
            // On the heap, so that other reads do not pay for its size.
            Stamped::Unread(hashes) => on_heap(|| self.stamped_as_of_now(stamps, hashes)).await?,
        })
    }

    /// Compares the stamps of tags that were not named, by these hashes, with the versions of these tags, which are read.
    async fn stamped_as_of_now(
        &self,
        stamps: impl Iterator<Item = Stamp> + Clone,
        hashes: Vec<u64>,
    ) -> Result<Option<MissReason>, Error> {
        let core = &self.core;
        if let Some(recall) = &self.recall {
            // Another process's loads read them.
            recall.learn(&hashes);
        }
        let keys: Vec<_> = hashes.into_iter().map(|hash| version_key(core.namespace(), hash)).collect();
        let versions = self.timed("versions", core.store.versions(&keys)).await?;
        let named = stamps.filter(|stamp| keys.iter().any(|key| key.hash == stamp.tag));
        let held = stamps::compare(named, &keys, keys.len(), &versions) == Stamped::Valid;
        Ok((!held).then_some(MissReason::TagEvicted))
    }
}

/// What the first bytes of an entry say of it, header and length: whether its stamps hold is not known yet.
pub(crate) enum Headed {
    Usable(Header, Age),
    /// The entry is cut off, or was written anew between the replies that brought bytes and length: a full read tells.
    Torn,
}

/// Reads the first bytes of an entry that has `length` of them, or says why a read of it is a miss.
pub(crate) fn headed(
    bytes: &[u8],
    length: usize,
    key: &str,
    now: Timestamp,
    expected: Expected,
) -> Result<Headed, MissReason> {
    let header = Header::parse(bytes).map_err(|_| MissReason::Malformed)?;
    let age = used(&header, key, now, expected)?;
    Ok(if length == header.total_len() { Headed::Usable(header, age) } else { Headed::Torn })
}

/// Everything that an entry's own bytes say.
fn check(bytes: &[u8], key: &str, now: Timestamp, expected: Expected) -> Result<(Header, Age), Miss> {
    let Ok(Parts { header, .. }) = Parts::parse(bytes) else {
        let seen = Header::parse(bytes).map_or(FillId::NONE, |header| header.fill_id);
        return Err(Miss { reason: MissReason::Malformed, seen });
    };
    match used(&header, key, now, expected) {
        Ok(age) => Ok((header, age)),
        // A pending entry holds no value, so none was seen.
        Err(reason @ MissReason::Pending) => Err(Miss { reason, seen: FillId::NONE }),
        Err(reason) => Err(Miss { reason, seen: header.fill_id }),
    }
}

/// What the value under this header is to the reader, or why it may not be used, going by the header alone.
fn used(header: &Header, key: &str, now: Timestamp, expected: Expected) -> Result<Age, MissReason> {
    if header.has(header::PENDING) {
        return Err(MissReason::Pending);
    }
    match expected.freshness.age(header, now) {
        None => Err(MissReason::Expired),
        Some(Age::Spare) if !expected.spare => Err(MissReason::Expired),
        Some(age) => refused(header, key, now, expected).map_or(Ok(age), Err),
    }
}

/// Why the value under this header may not be used, however old it may get.
fn refused(header: &Header, key: &str, now: Timestamp, expected: Expected) -> Option<MissReason> {
    if expected.max_age.is_some_and(|age| now.since(header.stored_at) > age) {
        return Some(MissReason::TooOld);
    }
    // G8: bytes of another key, codec or schema are not decoded.
    if header.key_hash != Key::header_hash(key) {
        return Some(MissReason::OtherKey);
    }
    if header.has(header::SEALED) != expected.sealed {
        return Some(MissReason::Unsealed);
    }
    if header.codec == header::DECIMAL {
        // A number in decimal has no fingerprint, as its shape is always the same.
        return None;
    }
    if header.codec != if header.has(header::ERROR) { expected.error_codec } else { expected.codec } {
        return Some(MissReason::OtherCodec);
    }
    (header.schema != expected.schema).then_some(MissReason::OtherSchema)
}
