//! One entry and the version of its tag as a store has them: what changes them is the crate's own protocol, on the same bytes.

use std::time::Duration;

use bytes::Bytes;
use cachemacro::Timestamp;
use cachemacro::header::{Header, Parts, Stamp, assemble};
use cachemacro::store::protocol::{self, Slot};
use cachemacro::store::{
    FillId, Guard, LeaseKind, LeaseOutcome, LeaseRequest, OnRefusal, Token, Version, VersionKey, Write,
};

/// Time stands still: what lapses, lapses by a step of its own.
pub(crate) const NOW: Timestamp = Timestamp(1_000_000);
const LIVE: Duration = Duration::from_secs(3);
const LIFE: Duration = Duration::from_hours(1);
const TAG: u64 = 7;

/// What is under one key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Entry(Option<(Bytes, u64)>);

/// A value, as it is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Value {
    pub(crate) row: u8,
    pub(crate) stamp: u64,
    pub(crate) fill: u64,
    pub(crate) token: u64,
}

/// The version of the tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Versions {
    pub(crate) tag: Option<u64>,
    next: u64,
}

impl Versions {
    /// The first one is there.
    pub(crate) const fn new() -> Self {
        Self { tag: Some(1), next: 2 }
    }

    /// None is there yet.
    pub(crate) const fn missing() -> Self {
        Self { tag: None, next: 2 }
    }

    /// The version, made where it is missing. Versions that are counted anew are not random.
    pub(crate) fn capture(&mut self, counted: bool) -> u64 {
        *self.tag.get_or_insert_with(|| {
            let fresh = if counted { 1 } else { self.next };
            self.next += 1;
            fresh
        })
    }
}

impl Entry {
    /// One with this value.
    pub(crate) fn of(row: u8, stamp: u64, fill: u64) -> Self {
        let mut entry = Self::default();
        entry.write(row, stamp, fill, Guard::Always, OnRefusal::Leave);
        entry
    }

    fn change<R>(&mut self, change: impl FnOnce(&mut Option<Slot>) -> R) -> R {
        let mut slot = self.0.take().map(|(bytes, expires)| Slot::new(bytes, Timestamp(expires)));
        let changed = change(&mut slot);
        self.0 = slot.map(|slot| (slot.bytes, slot.expires.millis()));
        changed
    }

    pub(crate) fn header(&self) -> Option<Header> {
        Header::parse(&self.0.as_ref()?.0).ok()
    }

    /// The value that can be read, whatever its stamp.
    pub(crate) fn value(&self) -> Option<Value> {
        self.0.as_ref().and_then(|(bytes, _)| value(bytes))
    }

    /// Whose lease it carries; zero: nobody's.
    pub(crate) fn token(&self) -> u64 {
        self.header().map_or(0, |header| header.token.get())
    }

    /// The version that the holder of the lease captured, where the header carries it.
    pub(crate) fn captured(&self) -> Option<u64> {
        let (bytes, _) = self.0.as_ref()?;
        Parts::parse(bytes).ok()?.stamps().next().map(|stamp| stamp.version.get())
    }

    pub(crate) fn lease(&mut self, ask: Ask) -> LeaseOutcome {
        let tags = [VersionKey::new("tag", TAG)];
        let request = LeaseRequest::new("row", Token::new(ask.token), ask.kind, LIVE)
            .with_seen(FillId::new(ask.seen))
            .with_over(Token::new(ask.over))
            .with_capture(&tags, LIFE);
        self.change(|slot| protocol::lease(slot, NOW, &request, &[Version::new(ask.version)]))
    }

    /// Stores this row under this stamp.
    pub(crate) fn write(&mut self, row: u8, stamp: u64, fill: u64, guard: Guard, refused: OnRefusal) -> bool {
        let header = Header::new().with_fill_id(FillId::new(fill)).with_gone_at(NOW.plus(LIFE));
        let bytes = assemble(header, &[Stamp::new(TAG, Version::new(stamp))], &[row]);
        let write = Write::new("row", bytes.into(), LIFE).with_guard(guard).with_on_refusal(refused);
        self.change(|slot| protocol::write(slot, NOW, &write))
    }

    pub(crate) fn release(&mut self, token: u64) -> bool {
        self.change(|slot| protocol::release(slot, Token::new(token)))
    }

    pub(crate) fn evict(&mut self) {
        self.change(|slot| protocol::evict(slot, NOW));
    }
}

/// How far a write has come that ends with an evict, and of which row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Evicts {
    Begin,
    Wrote(u8),
    Evicted(u8),
    Done,
}

/// A request for a lease.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ask {
    pub(crate) kind: LeaseKind,
    pub(crate) token: u64,
    pub(crate) seen: u64,
    pub(crate) over: u64,
    pub(crate) version: u64,
}

/// The value in these bytes, where there is one.
pub(crate) fn value(bytes: &[u8]) -> Option<Value> {
    let parts = Parts::parse(bytes).ok()?;
    let (row, stamp) = (*parts.payload.first()?, parts.stamps().next()?.version.get());
    let Header { fill_id, token, .. } = parts.header;
    parts.header.is_readable(NOW).then_some(Value { row, stamp, fill: fill_id.get(), token: token.get() })
}

/// Whether this value may be read where the tag is of this version.
pub(crate) fn is_valid(value: Option<Value>, tag: Option<u64>) -> bool {
    value.is_some_and(|value| Some(value.stamp) == tag)
}
