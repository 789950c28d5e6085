//! The bytes before the payload: a fixed little-endian part, then one stamp per tag.
//!
//! | offset | bytes | field |
//! |-------:|------:|-------|
//! | 0  | 4 | magic `cmac` |
//! | 4  | 1 | format version |
//! | 5  | 1 | flags |
//! | 6  | 1 | codec id |
//! | 7  | 1 | reserved, zero |
//! | 8  | 8 | fill id |
//! | 16 | 8 | lease token, zero: none |
//! | 24 | 8 | lease deadline, ms |
//! | 32 | 8 | key hash |
//! | 40 | 8 | schema fingerprint |
//! | 48 | 4 | epoch, reserved |
//! | 52 | 2 | sealing key id, zero: not sealed |
//! | 54 | 2 | number of stamps |
//! | 56 | 8 | stored at, ms |
//! | 64 | 8 | fresh until, ms |
//! | 72 | 8 | gone at, ms |
//! | 80 | 4 | load time, ms |
//! | 84 | 4 | payload length |
//! | 88 | 8 | checksum |
//! | 96 | 16 × n | stamps: tag hash, tag version |
//!
//! A pending header's stamps are the versions that the holder of the lease captured, and one stamp for all any-tag versions.
//!
//! Times are the server's, in milliseconds since the Unix epoch. The checksum (XXH3, 64 bit) covers every field
//! but the lease's, which scripts change in place, and itself; then stamps and payload. A decimal entry has none
//! (zero), because scripts rewrite it.
//!
//! Nothing here trusts a length before comparing it with the bytes that are there, nor a time that lies further ahead than
//! its writer could have meant: the clock was set back since, or the bytes were damaged. Of the fields that are compared with
//! the clock:
//!
//! | field | further ahead than | then |
//! |---|---|---|
//! | lease deadline | [`LONGEST_LEASE`] | nobody holds the lease |
//! | stored at | now | no value is there: how old it is, and how long it may be read, is unknown |
//! | fresh until, gone at | | they are as good as `stored at`, and the checksum covers them; the key expires by itself |
//!
//! [`TOLERANCE`] is added to each, for clocks that differ a little.

use std::time::Duration;

use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use crate::format::ids::{FillId, Token, Version};
use crate::ground::clock::Timestamp;
use crate::ground::setters::setters;

/// The first bytes of every entry.
pub const MAGIC: [u8; 4] = *b"cmac";
/// The format that this version reads and writes.
pub const FORMAT: u8 = 1;
/// Length of the fixed part.
pub const FIXED: usize = 96;
/// Length of one stamp.
pub const STAMP: usize = 16;
/// Most stamps that one entry may carry.
pub const MAX_STAMPS: usize = 1024;
/// How long a lease lives at most before it is renewed; one that is asked for longer lives this long.
pub const LONGEST_LEASE: Duration = Duration::from_secs(60);
/// How much the clocks of those who write and read entries may differ.
pub const TOLERANCE: Duration = Duration::from_secs(10);

/// The codec id of decimal entries: the payload is an `i64` in decimal ASCII.
pub const DECIMAL: u8 = 255;

/// No value yet: someone holds the lease.
pub const PENDING: u8 = 1;
/// The lease is a put's.
pub const PUT: u8 = 1 << 1;
/// The value is `None`.
pub const NONE: u8 = 1 << 2;
/// The value is an `Err`.
pub const ERROR: u8 = 1 << 3;
/// The payload is compressed.
pub const COMPRESSED: u8 = 1 << 4;
/// The payload is sealed.
pub const SEALED: u8 = 1 << 5;
/// How many bytes are hashed at once.
const AT_ONCE: usize = 512;
/// Flags that belong to the lease and are not covered by the checksum.
const LEASE_FLAGS: u8 = PUT;

/// The fixed part of an entry.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::header::{self, Header};
///
/// let header = Header::new().with_flags(header::NONE).with_load_millis(12);
/// assert!(header.has(header::NONE));
/// assert_eq!(Header::parse(&header.to_bytes()), Ok(header));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Header {
    /// Bits: [`PENDING`], [`PUT`], [`NONE`], [`ERROR`], [`COMPRESSED`], [`SEALED`].
    pub flags: u8,
    /// The id of the codec that wrote the payload, or [`DECIMAL`].
    pub codec: u8,
    /// Names this value; none while it is pending.
    pub fill_id: FillId,
    /// The lease holder's token, the only one whose fill is accepted; none: nobody holds the lease.
    pub token: Token,
    /// When the lease lapses, by the server's clock.
    pub lease_deadline: Timestamp,
    /// The first 64 bits of a hash of the entry's key: under another key it is no value (G8).
    pub key_hash: u64,
    /// Fingerprint of the value's type.
    pub schema: u64,
    /// Reserved; zero.
    pub epoch: u32,
    /// Which key sealed the payload; zero: none.
    pub sealing_key: u16,
    /// How many stamps follow; [`assemble`] sets it.
    pub stamps: u16,
    /// When the value was stored, by the server's clock.
    pub stored_at: Timestamp,
    /// From this time on the value is stale.
    pub fresh_until: Timestamp,
    /// From this time on the value may not be read at all.
    pub gone_at: Timestamp,
    /// How long its load took, in milliseconds.
    pub load_millis: u32,
    /// How many bytes follow the stamps; [`assemble`] sets it.
    pub payload: u32,
    /// XXH3 of all other fields but the lease's, of stamps and payload; zero for decimal entries. [`assemble`] sets it.
    pub checksum: u64,
}

impl Default for Header {
    /// [`Header::new`].
    fn default() -> Self {
        Self::new()
    }
}

/// Why bytes are not an entry.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::header::{Header, Malformed};
///
/// assert_eq!(Header::parse(b"cmac"), Err(Malformed::Length));
/// assert_eq!(Header::parse(&[0; 96]), Err(Malformed::Magic));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// Shorter than the fixed part, more stamps than an entry carries, or another length than the header says.
    Length,
    /// Foreign bytes.
    Magic,
    /// A future or past format, which may use the reserved byte.
    Format,
    /// The checksum does not fit: a bit flipped.
    Checksum,
}

/// One tag's version at the time of the load.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::header::{Header, Parts, Stamp, assemble};
/// use cachemacro::store::Version;
///
/// let stamp = Stamp::new(1, Version::new(2));
/// let entry = assemble(Header::default(), &[stamp], b"value");
/// assert_eq!(Parts::parse(&entry).unwrap().stamps().next(), Some(stamp));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stamp {
    /// Hash of the tag.
    pub tag: u64,
    /// The tag's version.
    pub version: Version,
}

impl Stamp {
    /// The stamp of the tag with this hash.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{header::Stamp, store::Version};
    ///
    /// let stamp = Stamp::new(1, Version::new(2));
    /// assert_eq!((stamp.tag, stamp.version.get()), (1, 2));
    /// ```
    pub const fn new(tag: u64, version: Version) -> Self {
        Self { tag, version }
    }

    /// The bytes that stand for it in an entry.
    pub(crate) fn to_bytes(self) -> [u8; STAMP] {
        let mut bytes = [0; STAMP];
        bytes[..8].copy_from_slice(&self.tag.to_le_bytes());
        bytes[8..].copy_from_slice(&self.version.to_bytes());
        bytes
    }
}

impl Header {
    /// A header whose fields are all zero: neither pending nor readable, under no lease.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Timestamp, header::Header, store::{FillId, Token}};
    ///
    /// const HEADER: Header = Header::new().with_codec(1).with_fill_id(FillId::new(9));
    /// assert!(HEADER.with_gone_at(Timestamp(1)).is_readable(Timestamp(0)));
    /// assert!(HEADER.with_lease(Token::new(7), Timestamp(1)).is_leased(Timestamp(0)));
    /// ```
    pub const fn new() -> Self {
        Self {
            flags: 0,
            codec: 0,
            fill_id: FillId::NONE,
            token: Token::NONE,
            lease_deadline: Timestamp(0),
            key_hash: 0,
            schema: 0,
            epoch: 0,
            sealing_key: 0,
            stamps: 0,
            stored_at: Timestamp(0),
            fresh_until: Timestamp(0),
            gone_at: Timestamp(0),
            load_millis: 0,
            payload: 0,
            checksum: 0,
        }
    }

    setters! {
        /// With these [`flags`](Self::flags).
        with_flags(flags: u8);
        /// With this [`codec`](Self::codec).
        with_codec(codec: u8);
        /// With this [`fill_id`](Self::fill_id).
        with_fill_id(fill_id: FillId);
        /// With this [`key_hash`](Self::key_hash).
        with_key_hash(key_hash: u64);
        /// With this [`schema`](Self::schema).
        with_schema(schema: u64);
        /// With this [`sealing_key`](Self::sealing_key).
        with_sealing_key(sealing_key: u16);
        /// With this [`stored_at`](Self::stored_at).
        with_stored_at(stored_at: Timestamp);
        /// With this [`fresh_until`](Self::fresh_until).
        with_fresh_until(fresh_until: Timestamp);
        /// With this [`gone_at`](Self::gone_at).
        with_gone_at(gone_at: Timestamp);
        /// With this [`load_millis`](Self::load_millis).
        with_load_millis(load_millis: u32);
    }

    /// Leased to the holder of `token` until `deadline`.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Timestamp, header::Header, store::Token};
    ///
    /// let header = Header::new().with_lease(Token::new(7), Timestamp(3_000));
    /// assert!(header.is_leased(Timestamp(2_999)) && !header.is_leased(Timestamp(3_000)));
    /// ```
    #[must_use]
    pub const fn with_lease(mut self, token: Token, deadline: Timestamp) -> Self {
        self.token = token;
        self.lease_deadline = deadline;
        self
    }

    /// Reads the fixed part. Says nothing about what follows it.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::header::{Header, assemble};
    ///
    /// let entry = assemble(Header::new().with_codec(1), &[], b"value");
    /// let header = Header::parse(&entry).unwrap();
    /// assert_eq!((header.codec, header.payload), (1, 5));
    /// ```
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are too short, foreign or of another format.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let fixed: &[u8; FIXED] = bytes.first_chunk().ok_or(Malformed::Length)?;
        if fixed[0..4] != MAGIC {
            return Err(Malformed::Magic);
        }
        if fixed[4] != FORMAT || fixed[7] != 0 {
            return Err(Malformed::Format);
        }
        if usize::from(u16_at(fixed, 54)) > MAX_STAMPS {
            return Err(Malformed::Length);
        }
        Ok(Self {
            flags: fixed[5],
            codec: fixed[6],
            fill_id: FillId::new(u64_at(fixed, 8)),
            token: Token::new(u64_at(fixed, 16)),
            lease_deadline: Timestamp(u64_at(fixed, 24)),
            key_hash: u64_at(fixed, 32),
            schema: u64_at(fixed, 40),
            epoch: u32_at(fixed, 48),
            sealing_key: u16_at(fixed, 52),
            stamps: u16_at(fixed, 54),
            stored_at: Timestamp(u64_at(fixed, 56)),
            fresh_until: Timestamp(u64_at(fixed, 64)),
            gone_at: Timestamp(u64_at(fixed, 72)),
            load_millis: u32_at(fixed, 80),
            payload: u32_at(fixed, 84),
            checksum: u64_at(fixed, 88),
        })
    }

    /// The fixed part as bytes.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::header::{FIXED, Header, MAGIC};
    ///
    /// let bytes = Header::default().to_bytes();
    /// assert!(bytes.starts_with(&MAGIC) && bytes.len() == FIXED);
    /// ```
    pub fn to_bytes(&self) -> [u8; FIXED] {
        let mut out = [0; FIXED];
        out[0..4].copy_from_slice(&MAGIC);
        out[4] = FORMAT;
        out[5] = self.flags;
        out[6] = self.codec;
        out[8..16].copy_from_slice(&self.fill_id.to_bytes());
        out[16..24].copy_from_slice(&self.token.to_bytes());
        out[24..32].copy_from_slice(&self.lease_deadline.0.to_le_bytes());
        out[32..40].copy_from_slice(&self.key_hash.to_le_bytes());
        out[40..48].copy_from_slice(&self.schema.to_le_bytes());
        out[48..52].copy_from_slice(&self.epoch.to_le_bytes());
        out[52..54].copy_from_slice(&self.sealing_key.to_le_bytes());
        out[54..56].copy_from_slice(&self.stamps.to_le_bytes());
        out[56..64].copy_from_slice(&self.stored_at.0.to_le_bytes());
        out[64..72].copy_from_slice(&self.fresh_until.0.to_le_bytes());
        out[72..80].copy_from_slice(&self.gone_at.0.to_le_bytes());
        out[80..84].copy_from_slice(&self.load_millis.to_le_bytes());
        out[84..88].copy_from_slice(&self.payload.to_le_bytes());
        out[88..96].copy_from_slice(&self.checksum.to_le_bytes());
        out
    }

    /// The pending header of a lease.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Timestamp, header::{Header, PENDING}, store::Token};
    ///
    /// let header = Header::pending(Token::new(7), Timestamp(3_000), false);
    /// assert!(header.has(PENDING) && header.is_leased(Timestamp(2_999)));
    /// assert!(!header.is_leased(Timestamp(3_000)));
    /// ```
    pub const fn pending(token: Token, deadline: Timestamp, put: bool) -> Self {
        let flags = if put { PENDING | PUT } else { PENDING };
        Self::new().with_flags(flags).with_lease(token, deadline)
    }

    /// A pending header with the stamps of what its holder captured, as it is stored.
    pub(crate) fn pending_under(token: Token, deadline: Timestamp, put: bool, stamps: &[Stamp]) -> Vec<u8> {
        let mut pending = Self::pending(token, deadline, put);
        pending.stamps = u16::try_from(stamps.len()).unwrap_or(0);
        let mut bytes = Vec::with_capacity(FIXED + stamps.len() * STAMP);
        bytes.extend_from_slice(&pending.to_bytes());
        for stamp in stamps {
            bytes.extend_from_slice(&stamp.to_bytes());
        }
        bytes
    }

    /// Whether all of `flag` is set.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::header::{COMPRESSED, Header, NONE};
    ///
    /// let header = Header::new().with_flags(COMPRESSED);
    /// assert!(header.has(COMPRESSED) && !header.has(COMPRESSED | NONE));
    /// ```
    pub const fn has(&self, flag: u8) -> bool {
        self.flags & flag == flag
    }

    /// How long the whole entry must be, in bytes.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::header::Header;
    ///
    /// let mut header = Header::new();
    /// (header.stamps, header.payload) = (2, 100);
    /// assert_eq!(header.total_len(), 96 + 2 * 16 + 100);
    /// ```
    pub const fn total_len(&self) -> usize {
        (FIXED + self.stamps as usize * STAMP).saturating_add(self.payload as usize)
    }

    /// Whether a value is there that may still be read at `now`, stale or fresh. One that was stored later than now, by more than
    /// [`TOLERANCE`], is none: its times are those of another clock.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Timestamp, header::Header};
    ///
    /// let header = Header::new().with_gone_at(Timestamp(5_000));
    /// assert!(header.is_readable(Timestamp(4_999)) && !header.is_readable(Timestamp(5_000)));
    /// ```
    pub fn is_readable(&self, now: Timestamp) -> bool {
        !self.has(PENDING) && now < self.gone_at && self.stored_at <= now.plus(TOLERANCE)
    }

    /// Whether someone holds the lease at `now`. Where it would lapse later than any lease does, nobody does.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{Timestamp, header::Header, store::Token};
    ///
    /// let header = Header::new().with_lease(Token::new(7), Timestamp(3_000));
    /// assert!(header.is_leased(Timestamp(0)));
    /// assert!(!Header::default().is_leased(Timestamp(0)), "nobody holds it");
    /// ```
    pub fn is_leased(&self, now: Timestamp) -> bool {
        // G9: a deadline of another clock keeps nobody waiting.
        let latest = now.plus(LONGEST_LEASE + TOLERANCE);
        !self.token.is_none() && now < self.lease_deadline && self.lease_deadline <= latest
    }
}

/// An entry split into its parts, lengths and checksum checked.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::header::{Header, Parts, assemble};
///
/// let entry = assemble(Header::default(), &[], b"value");
/// let parts = Parts::parse(&entry).unwrap();
/// assert_eq!((parts.header.payload, parts.payload), (5, &b"value"[..]));
/// ```
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Parts<'a> {
    /// The fixed part.
    pub header: Header,
    stamps: &'a [u8],
    /// The payload.
    pub payload: &'a [u8],
}

impl<'a> Parts<'a> {
    /// Splits an entry.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::header::{Header, Malformed, Parts, assemble};
    ///
    /// let mut entry = assemble(Header::default(), &[], b"value");
    /// entry[96] ^= 1;
    /// assert_eq!(Parts::parse(&entry).err(), Some(Malformed::Checksum));
    /// ```
    ///
    /// # Errors
    /// [`Malformed`], where the bytes are not a whole, intact entry.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let header = Header::parse(bytes)?;
        if bytes.len() != header.total_len() {
            return Err(Malformed::Length);
        }
        let (stamps, payload) = bytes[FIXED..].split_at(usize::from(header.stamps) * STAMP);
        if header.codec != DECIMAL
            && !header.has(PENDING)
            && header.checksum != checksum(&header, stamps, payload)
        {
            return Err(Malformed::Checksum);
        }
        Ok(Self { header, stamps, payload })
    }

    /// The stamps.
    ///
    /// ```
    /// # use cachemacro_runtime as cachemacro;
    /// use cachemacro::{header::{Header, Parts, Stamp, assemble}, store::Version};
    ///
    /// let entry = assemble(Header::default(), &[Stamp::new(1, Version::new(2))], b"value");
    /// assert_eq!(Parts::parse(&entry).unwrap().stamps().map(|stamp| stamp.tag).sum::<u64>(), 1);
    /// ```
    pub fn stamps(&self) -> impl Iterator<Item = Stamp> + Clone + 'a {
        read_stamps(self.stamps)
    }
}

/// The stamps in the bytes between fixed part and payload; an incomplete one at the end is not told.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::header::{FIXED, Header, STAMP, Stamp, assemble, read_stamps};
/// use cachemacro::store::Version;
///
/// let entry = assemble(Header::default(), &[Stamp::new(1, Version::new(2))], b"value");
/// assert_eq!(read_stamps(&entry[FIXED..FIXED + STAMP]).count(), 1);
/// ```
pub fn read_stamps(bytes: &[u8]) -> impl Iterator<Item = Stamp> + Clone + '_ {
    let (stamps, _) = bytes.as_chunks::<STAMP>();
    stamps.iter().map(|stamp| Stamp::new(u64_at(stamp, 0), Version::new(u64_at(stamp, 8))))
}

/// A whole entry: `header` with its stamp count, payload length and checksum filled in, stamps, payload.
///
/// ```
/// # use cachemacro_runtime as cachemacro;
/// use cachemacro::header::{Header, assemble};
///
/// let entry = assemble(Header::default(), &[], b"value");
/// assert_eq!(entry.len(), 96 + 5);
/// assert!(entry.ends_with(b"value"));
/// ```
///
/// # Panics
/// Where there are more than [`MAX_STAMPS`] stamps or 4 GiB of payload; callers check both before.
pub fn assemble(header: Header, stamps: &[Stamp], payload: &[u8]) -> Vec<u8> {
    assembled(header, stamps, payload.len(), |_, out| out.extend_from_slice(payload))
}

/// The same with a payload of so many bytes that `write` appends, which sees the header but for its checksum.
pub(crate) fn assembled(
    mut header: Header,
    stamps: &[Stamp],
    payload: usize,
    write: impl FnOnce(&Header, &mut Vec<u8>),
) -> Vec<u8> {
    assert!(stamps.len() <= MAX_STAMPS, "callers limit the number of tags");
    header.stamps = u16::try_from(stamps.len()).expect("MAX_STAMPS fits");
    header.payload = u32::try_from(payload).expect("callers limit the payload");
    let mut out = Vec::with_capacity(header.total_len());
    out.extend_from_slice(&[0; FIXED]);
    for stamp in stamps {
        out.extend_from_slice(&stamp.to_bytes());
    }
    let body = out.len();
    write(&header, &mut out);
    header.checksum =
        if header.codec == DECIMAL { 0 } else { checksum(&header, &out[FIXED..body], &out[body..]) };
    out[..FIXED].copy_from_slice(&header.to_bytes());
    out
}

/// The header without what scripts change in place, and without its checksum.
pub(crate) fn covered(header: &Header) -> Header {
    Header {
        flags: header.flags & !LEASE_FLAGS,
        token: Token::NONE,
        lease_deadline: Timestamp(0),
        checksum: 0,
        ..*header
    }
}

fn checksum(header: &Header, stamps: &[u8], payload: &[u8]) -> u64 {
    let parts = [&covered(header).to_bytes()[..], stamps, payload];
    if parts.iter().map(|part| part.len()).sum::<usize>() <= AT_ONCE {
        return hashed_at_once(parts);
    }
    let mut hasher = Xxh3::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.digest()
}

/// The hash of these parts together. Copied into one: that costs less than what hashing in parts keeps beside.
fn hashed_at_once(parts: [&[u8]; 3]) -> u64 {
    let (mut together, mut length) = ([0; AT_ONCE], 0);
    for part in parts {
        together[length..length + part.len()].copy_from_slice(part);
        length += part.len();
    }
    xxh3_64(&together[..length])
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes[at..].first_chunk().map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes[at..].first_chunk().map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes[at..].first_chunk().map_or(0, |chunk| u16::from_le_bytes(*chunk))
}
