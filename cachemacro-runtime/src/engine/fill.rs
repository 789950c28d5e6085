//! A prepared value into the store: an entry's bytes, under a lease or by force, with stamps that still hold.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;

use crate::engine::beside::ToTell;
use crate::engine::copying::Sent;
use crate::engine::core::Core;
use crate::engine::lease::{Held, Renewals};
use crate::engine::prepare::Prepared;
use crate::engine::raw::RawEntry;
use crate::engine::removals::Removals;
use crate::engine::versions::{Lives, prolong_all};
use crate::format::header::{self, Header, Stamp};
use crate::format::ids::Version;
use crate::format::payload;
use crate::format::stamps::{BUCKETS, VersionKey, all_any_keys, any_key, tag_hash, tag_key, version_key};
use crate::ground::chunks::{MOST_BYTES, MOST_ENTRIES, chunks};
use crate::ground::error::Result;
use crate::key::Key;
use crate::observe::event::Event;
use crate::observe::stats::Counters;
use crate::policy::ttl::Ttl;
use crate::store::{Few, OnRefusal, Write, Written};

/// What became of an attempt to store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stored {
    /// Stored, and the stamps still held after the flight had closed.
    Held,
    /// Stored, but a tag was evicted meanwhile, or nobody looked.
    Unproven,
    /// An evict, a put or another loader came between; the store did as it was told for that case.
    Refused,
    /// A tag may have been evicted since the load began; nothing was sent.
    Moved,
    /// The store failed.
    Failed,
}

/// Whether a fill tells if its stamps held, for followers that joined late.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Check {
    Skip,
    Stamps,
}

impl Stored {
    pub(crate) const fn is_stored(self) -> bool {
        matches!(self, Stored::Held | Stored::Unproven)
    }

    /// Whether the store has answered for the entry, so that a put has nothing left to remove.
    const fn is_settled(self) -> bool {
        matches!(self, Stored::Held | Stored::Unproven | Stored::Refused)
    }
}

impl Prepared {
    /// The entry's bytes and how long it lives.
    pub(crate) fn assemble(
        &self,
        raw: &RawEntry,
        stamps: &[Stamp],
        load_time: Duration,
    ) -> (Bytes, Duration) {
        let core = &raw.core;
        let tagged = !stamps.is_empty();
        let fresh = match self.ttl {
            Ttl::Never => self.ttl,
            // Jitter must not make it longer than tag versions live.
            Ttl::For(ttl) => Ttl::For(core.spread(ttl, raw.policy.jitter)),
        };
        let (fresh, life) = raw.lives(fresh, tagged, is_value(self.flags));
        let now = core.store.now();
        let header = Header {
            flags: self.flags,
            codec: self.codec,
            fill_id: self.fill_id.unwrap_or_else(|| core.store.fill_id()),
            key_hash: Key::header_hash(&raw.full),
            schema: self.schema,
            stored_at: now,
            fresh_until: now.plus(fresh),
            gone_at: now.plus(life),
            load_millis: u32::try_from(load_time.as_millis()).unwrap_or(u32::MAX),
            ..Header::default()
        };
        (core.settings.seals.assemble(&raw.key, &raw.full, header, stamps, &self.payload).into(), life)
    }

    /// The stamps: captured versions of the known tags, and versions read now of those that the value names.
    /// `None` where any tag of their buckets may have been evicted since the capture.
    pub(crate) async fn stamps(&self, raw: &RawEntry, captured: &[Version]) -> Result<Option<Vec<Stamp>>> {
        let mut stamps = self.known_stamps(raw, captured);
        let late = self.late_tags(raw);
        if late.is_empty() {
            return Ok(Some(stamps));
        }
        if captured.len() == raw.tags.len() {
            // G1: nobody can tell whether they were evicted since the load began.
            return Ok(None);
        }
        let core = &raw.core;
        let namespace = raw.core.namespace();
        let known = stamps.len();
        stamps.extend(raw.stamp(&late, self.ttl).await?);
        let mut buckets: Vec<u64> = stamps[known..].iter().map(|stamp| stamp.tag % BUCKETS).collect();
        buckets.sort_unstable();
        buckets.dedup();
        let any: Vec<VersionKey> = buckets.iter().map(|&bucket| any_key(namespace, bucket)).collect();
        let now = raw.timed("versions", core.store.versions(&any)).await?;
        let moved = buckets.iter().zip(now).any(|(&bucket, now)| has_moved(raw, captured, bucket, now));
        Ok((!moved).then_some(stamps))
    }

    /// The stamps of the tags that were known before the load, as far as the value is to carry them.
    fn known_stamps(&self, raw: &RawEntry, captured: &[Version]) -> Vec<Stamp> {
        let stamps = raw.tags.iter().zip(captured);
        let stamps = stamps.map(|(tag, &version)| Stamp { tag: tag.hash, version });
        let named = raw.named().len();
        if named == raw.tags.len() {
            return stamps.collect();
        }
        let mut own: Vec<u64> = self.tags.iter().map(|tag| tag_hash(tag)).collect();
        own.extend(&self.inherited);
        stamps
            .enumerate()
            .filter(|(at, stamp)| *at < named || own.contains(&stamp.tag))
            .map(|(_, stamp)| stamp)
            .collect()
    }

    /// About how many bytes the entry will have.
    pub(crate) fn weight(&self, raw: &RawEntry) -> usize {
        header::FIXED
            + (raw.tags.len() + self.tags.len() + self.inherited.len()) * header::STAMP
            + self.payload.len()
    }

    /// The same where its payload is not compressed: about as large as the value is.
    pub(crate) fn unpacked_len(&self, raw: &RawEntry) -> usize {
        self.weight(raw) - self.payload.len() + payload::unpacked_len(&self.payload, self.flags)
    }

    /// The versions of the tags that the value names and the entry did not.
    pub(crate) fn late_tags(&self, raw: &RawEntry) -> Vec<VersionKey> {
        let namespace = raw.core.namespace();
        let key = |tag: &String| {
            let key = tag_key(namespace, tag);
            raw.core.called(&key, tag);
            key
        };
        let mut keys: Vec<VersionKey> = self.tags.iter().map(key).collect();
        keys.extend(self.inherited.iter().map(|&hash| version_key(namespace, hash)));
        keys.retain(|key| raw.tags.iter().all(|tag| tag.hash != key.hash));
        keys.sort_unstable_by_key(|key| key.hash);
        keys.dedup();
        keys
    }

    /// These stamps and those of the tags that the value names, for a value that counts as loaded right now.
    async fn with_late_tags(&self, raw: &RawEntry, mut stamps: Vec<Stamp>) -> Result<Vec<Stamp>> {
        stamps.extend(raw.stamp(&self.late_tags(raw), self.ttl).await?);
        Ok(stamps)
    }

    /// Stores under a lease.
    pub(crate) async fn fill(
        mut self,
        raw: &RawEntry,
        held: Held,
        load_time: Duration,
        on_refusal: OnRefusal,
        check: Check,
    ) -> Stored {
        let (held, stamps) = match self.ready(raw, held).await {
            Ok(ready) => ready,
            Err(stored) => return stored,
        };
        self.fill_id.get_or_insert(held.fill_id());
        let (bytes, life) = self.assemble(raw, &stamps, load_time);
        let keys: Vec<VersionKey> = match check {
            Check::Skip => Vec::new(),
            Check::Stamps => {
                stamps.iter().map(|stamp| version_key(raw.core.namespace(), stamp.tag)).collect()
            }
        };
        let length = bytes.len();
        let copying = self.copying.take().and_then(|copying| copying.sent(&stamps));
        // G1: the store takes the value only where the entry still carries this token. G4: a put that was overtaken leaves
        // nothing.
        let write = write_under(&raw.full, &held, bytes, life).with_on_refusal(on_refusal).with_check(&keys);
        let filled = raw.timed("write", raw.core.store.write_one(write));
        let ((), filled) = tokio::join!(self.prolong_versions(raw), filled);
        let Ok(filled) = filled else {
            // Dropping the lease gives it back, in case the fill did not happen.
            return Stored::Failed;
        };
        held.filled();
        raw.filled(&filled, length);
        self.is_stored(raw, filled.accepted, life);
        if let Some(copying) = copying.filter(|_| filled.accepted) {
            copying.keep_later();
        }
        let holds = || stamps.iter().zip(&filled.versions).all(|(stamp, now)| *now == Some(stamp.version));
        match filled.accepted {
            true if check == Check::Stamps && holds() => Stored::Held,
            true => Stored::Unproven,
            false => Stored::Refused,
        }
    }

    /// Tells who is beside the cache, where it was stored.
    pub(crate) fn is_stored(&self, raw: &RawEntry, accepted: bool, life: Duration) {
        if let Some(to_tell) = self.to_tell.as_ref().filter(|_| accepted) {
            to_tell.tell(&raw.core, life);
        }
    }

    /// The lease and the stamps to fill with; else what became of the attempt.
    pub(crate) async fn ready(
        &self,
        raw: &RawEntry,
        held: Held,
    ) -> std::result::Result<(Held, Vec<Stamp>), Stored> {
        match self.stamps(raw, &held.versions).await {
            Ok(Some(stamps)) => Ok((held, stamps)),
            Ok(None) => {
                raw.record(Event::RefusedFill);
                held.give_back().await;
                Err(Stored::Moved)
            }
            Err(_) => Err(Stored::Failed),
        }
    }
}

/// A fill: stored only where the lease is still held, and over the value that is refreshed.
fn write_under<'a>(key: &'a str, held: &Held, bytes: Bytes, life: Duration) -> Write<'a> {
    Write::new(key, bytes, life).with_guard(held.guard())
}

/// Whether a value is stored under these flags.
const fn is_value(flags: u8) -> bool {
    flags & (header::NONE | header::ERROR) == 0
}

/// Whether any tag of this bucket may have been evicted since the capture, going by the any-tag version now.
fn has_moved(raw: &RawEntry, captured: &[Version], bucket: u64, now: Option<Version>) -> bool {
    // G1: a tag that the value names may have been evicted since the load began.
    let before = usize::try_from(bucket).ok().and_then(|at| captured.get(raw.tags.len() + at));
    now.is_none() || now.as_ref() != before
}

/// A value to store under its lease.
pub(crate) struct Filling {
    pub(crate) raw: RawEntry,
    pub(crate) held: Held,
    pub(crate) prepared: Prepared,
}

/// A put to finish: a value to store under its lease, or without one of the two nothing that may stay.
pub(crate) struct Putting {
    pub(crate) raw: RawEntry,
    pub(crate) held: Option<Held>,
    pub(crate) prepared: Option<Prepared>,
}

/// A value whose stamps are known: bytes to send, and its place among the values of its request.
struct Ready {
    at: usize,
    raw: RawEntry,
    held: Held,
    bytes: Bytes,
    life: Duration,
    copying: Option<Box<Sent>>,
    to_tell: Option<Box<ToTell>>,
}

/// What became of one of many values.
pub(crate) struct Attempted {
    pub(crate) raw: RawEntry,
    pub(crate) stored: Stored,
}

/// Stores many values that were loaded together, in as few requests as their size allows, and tells what became of
/// each. After one that failed no more are sent. Leases that wait for their turn are renewed.
pub(crate) async fn fill_all(
    core: &Arc<Core>,
    fillings: Vec<Filling>,
    load_time: Duration,
    on_refusal: OnRefusal,
) -> Vec<Attempted> {
    let mut renewals = Renewals::new(core);
    let mut done = Vec::with_capacity(fillings.len());
    let weight = |filling: &Filling| filling.prepared.weight(&filling.raw);
    let mut left = chunks(fillings, MOST_ENTRIES, MOST_BYTES, weight).collect::<Vec<_>>().into_iter();
    while let Some(chunk) = left.next() {
        let waiting = chunk.iter().chain(left.as_slice().iter().flatten());
        renewals.renew(core, waiting.map(|filling| &filling.held)).await;
        let raws: Vec<RawEntry> = chunk.iter().map(|filling| filling.raw.clone()).collect();
        let stored = fill_some(core, chunk, load_time, on_refusal).await;
        let failed = stored.is_err();
        let stored = stored.unwrap_or_else(|_| vec![Stored::Failed; raws.len()]);
        done.extend(raws.into_iter().zip(stored).map(|(raw, stored)| Attempted { raw, stored }));
        if failed {
            break;
        }
    }
    // Dropping their leases gives them back.
    done.extend(left.flatten().map(|filling| Attempted { raw: filling.raw, stored: Stored::Failed }));
    done
}

/// One chunk of them.
async fn fill_some(
    core: &Arc<Core>,
    chunk: Vec<Filling>,
    load_time: Duration,
    on_refusal: OnRefusal,
) -> Result<Vec<Stored>> {
    let stamps = stamps_all(core, &chunk).await?;
    prolong_all(core, chunk.iter().map(|filling| (&filling.raw, &filling.prepared))).await;
    let mut stored = vec![Stored::Moved; chunk.len()];
    let (mut ready, mut moved) = (Vec::with_capacity(chunk.len()), Vec::new());
    for (at, (filling, stamps)) in chunk.into_iter().zip(stamps).enumerate() {
        let Filling { raw, held, mut prepared } = filling;
        let Some(stamps) = stamps else {
            raw.record(Event::RefusedFill);
            moved.push(held.give_back());
            continue;
        };
        prepared.fill_id.get_or_insert(held.fill_id());
        let (bytes, life) = prepared.assemble(&raw, &stamps, load_time);
        let copying = prepared.copying.take().and_then(|copying| copying.sent(&stamps));
        ready.push(Ready { at, raw, held, bytes, life, copying, to_tell: prepared.to_tell });
    }
    join_all(moved).await;
    if ready.is_empty() {
        return Ok(stored);
    }
    let fills: Vec<Write<'_>> = ready
        .iter()
        .map(|Ready { raw, held, bytes, life, .. }| {
            write_under(&raw.full, held, bytes.clone(), *life).with_on_refusal(on_refusal)
        })
        .collect();
    let filled = core.timed("write", core.store.write(&fills)).await?;
    drop(fills);
    for (ready, filled) in ready.into_iter().zip(filled) {
        ready.held.filled();
        ready.raw.filled(&filled, ready.bytes.len());
        if let Some(to_tell) = ready.to_tell.filter(|_| filled.accepted) {
            to_tell.tell(core, ready.life);
        }
        if let Some(copying) = ready.copying.filter(|_| filled.accepted) {
            copying.keep_later();
        }
        stored[ready.at] = if filled.accepted { Stored::Unproven } else { Stored::Refused };
    }
    Ok(stored)
}

/// [`Prepared::stamps`] of many values, with two requests for all of them where they live about equally long.
async fn stamps_all(core: &Arc<Core>, chunk: &[Filling]) -> Result<Vec<Option<Vec<Stamp>>>> {
    let late: Vec<_> = chunk.iter().map(|filling| filling.prepared.late_tags(&filling.raw)).collect();
    let (mut lives, mut versions, mut any) = (Lives::default(), HashMap::new(), Few::default());
    for (filling, keys) in chunk.iter().zip(&late) {
        let life = filling.prepared.version_life(&filling.raw);
        for key in keys {
            lives.add(key.clone(), life);
        }
    }
    if late.iter().any(|keys| !keys.is_empty()) {
        versions = lives.capture(core).await?;
        // After the capture of the tags: see `versions_to_remove` of the protocol.
        any = core.timed("versions", core.store.versions(&all_any_keys(core.namespace()))).await?;
    }
    let stamps = chunk.iter().zip(late).map(|(Filling { raw, held, prepared }, late)| {
        let mut stamps = prepared.known_stamps(raw, &held.versions);
        for tag in late.into_iter().map(|key| key.hash) {
            let bucket = tag % BUCKETS;
            let now = usize::try_from(bucket).ok().and_then(|at| any.get(at).copied().flatten());
            if has_moved(raw, &held.versions, bucket, now) {
                return None;
            }
            stamps.push(Stamp { tag, version: *versions.get(&tag)? });
        }
        Some(stamps)
    });
    Ok(stamps.collect())
}

impl RawEntry {
    /// Removes the value that this lease is held over: what was loaded in its place is not to be stored.
    pub(crate) async fn displace(&self, held: Held) {
        let nothing = Header::default().with_flags(header::PENDING).to_bytes();
        let write = write_under(&self.full, &held, Bytes::copy_from_slice(&nothing), Duration::ZERO);
        if self.timed("write", self.core.store.write_one(write)).await.is_ok() {
            held.filled();
        }
    }

    /// How long what has this TTL is fresh, and how long it is there at all.
    pub(crate) fn lives(&self, ttl: Ttl, tagged: bool, is_value: bool) -> (Duration, Duration) {
        let fresh = ttl.life(tagged);
        if !is_value {
            return (fresh, fresh);
        }
        let (fresh, all) = self.freshness().lives(fresh);
        (fresh, Ttl::For(all).life(tagged))
    }

    /// The TTL of this call, the site or the cache.
    pub(crate) fn ttl(&self) -> Ttl {
        self.ttl.or(self.policy.ttl).unwrap_or(self.core.settings.ttl)
    }

    /// Counts a fill.
    fn filled(&self, filled: &Written, length: usize) {
        if filled.accepted {
            self.record(Event::Fill);
            self.record(Event::BytesWritten(length));
        } else {
            self.record(Event::RefusedFill);
        }
    }
}

/// Stores a put's value under its lease, or removes what is there: where it is not to be stored, the lease was not
/// had, or another writer came between. Then callers join no flight from before. Tells whether it was stored.
///
/// # Errors
/// Where an old value may still be there.
pub(crate) async fn finish_put(
    raw: &RawEntry,
    held: Option<Held>,
    prepared: Option<Prepared>,
    took: Duration,
) -> Result<bool> {
    let (stored, held) = match (held, prepared) {
        (Some(held), Some(prepared)) => {
            (prepared.fill(raw, held, took, OnRefusal::Unlink, Check::Skip).await, None)
        }
        (held, _) => (Stored::Moved, held),
    };
    if stored.is_settled() {
        raw.core.changed(&raw.full);
        return Ok(stored.is_stored());
    }
    // G4: without a fill that the store answered, the entry goes: it may be older than what was written.
    raw.evict().await.map(|_| {
        // The lease went with the entry. Where that failed, it is given back.
        held.into_iter().for_each(Held::spend);
        false
    })
}

/// [`finish_put`] for many values that were loaded together. What is evicted instead counts at this site.
///
/// # Errors
/// Where an old value may still be there.
pub(crate) async fn finish_puts(
    core: &Arc<Core>,
    puts: Vec<Putting>,
    took: Duration,
    site: Option<&Counters>,
) -> Result<()> {
    let (mut fillings, mut evicts) = (Vec::with_capacity(puts.len()), Removals::default());
    let mut evicted = Vec::new();
    for Putting { raw, held, prepared } in puts {
        match (held, prepared) {
            (Some(held), Some(prepared)) => fillings.push(Filling { raw, held, prepared }),
            (held, _) => {
                evicted.extend(held);
                evicts.add_key(&raw.key);
            }
        }
    }
    for Attempted { raw, stored } in fill_all(core, fillings, took, OnRefusal::Unlink).await {
        if stored.is_settled() {
            core.changed(&raw.full);
        } else {
            evicts.add_key(&raw.key);
        }
    }
    if evicts.has_any() {
        core.evict(&evicts, site).await?;
        // The leases went with the entries. Where that failed, they are given back.
        evicted.into_iter().for_each(Held::spend);
    }
    Ok(())
}

/// Stores a value whatever is there, or removes what is there where it is not to be or cannot be stored.
///
/// # Errors
/// Where the value could not be encoded, or the store failed.
pub(crate) async fn finish_set(raw: &RawEntry, prepared: Result<Option<Prepared>>) -> Result<()> {
    let set = match prepared {
        Ok(None) => Ok(false),
        Ok(Some(prepared)) => set(raw, &prepared).await.map(|()| true),
        Err(error) => {
            raw.failed(&error);
            Err(error)
        }
    };
    match set {
        Ok(true) => {
            raw.record(Event::Put);
            raw.core.changed(&raw.full);
            Ok(())
        }
        Ok(false) => raw.evict().await.map(drop),
        Err(error) => {
            // The first error is the one that matters; the evict counts and detaches on its own.
            let _ = raw.evict().await;
            Err(error)
        }
    }
}

async fn set(raw: &RawEntry, prepared: &Prepared) -> Result<()> {
    let core = &raw.core;
    let stamps = prepared.with_late_tags(raw, raw.stamps_now(prepared.ttl).await?).await?;
    let (bytes, life) = prepared.assemble(raw, &stamps, Duration::ZERO);
    let length = bytes.len();
    raw.timed("write", core.store.write_one(Write::new(&raw.full, bytes, life))).await?;
    raw.record(Event::BytesWritten(length));
    prepared.is_stored(raw, true, life);
    Ok(())
}
