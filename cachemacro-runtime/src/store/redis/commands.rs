//! One round trip each: what is sent for every operation of the store.

use std::time::Duration;

use super::script::{self, Call};
use super::send::{Part, Resend, Sender};
use super::wire::{MOST_READ, Packed, Reply};
use super::{failure, reply};
use crate::format::header::FIXED;
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::clock::NEVER;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome, OtherStamps};
use crate::store::messages::lease::{
    Captures, HeldLease, Keep, Lease, LeaseKind, LeaseOutcome, LeaseRequest,
};
use crate::store::messages::read::{Excerpt, Read, ReadRequest};
use crate::store::messages::write::{Guard, OnRefusal, Write, Written};
use crate::store::protocol::steps::stamps_of;
use crate::store::protocol::version_life;

/// How many keys one script removes.
const EVICT_CHUNK: usize = 500;
/// How many versions one script captures.
const CAPTURE_CHUNK: usize = 500;
/// How many versions each of many leases captures in its own script; where one needs more, as those of any tag, another round trip
/// costs less.
const MOST_CAPTURED: usize = 16;

/// The store's operations over its connections.
#[derive(Debug)]
pub(super) struct Commands {
    pub(super) sender: Sender,
}

impl Commands {
    pub(super) async fn read(&self, request: ReadRequest<'_>) -> Result<Read> {
        let count = request.keys.len() + request.versions.len();
        match request.first {
            _ if count == 0 => Ok(Read::default()),
            Some(first) => self.read_heads(request, first).await,
            None if count > MOST_READ => self.read_many(request).await,
            None => {
                // MGET tells nil for a key of another type.
                let names = Names { keys: request.keys.iter(), versions: request.versions.iter() };
                let found = self.sender.read(names).await?;
                let entries =
                    (0..request.keys.len()).map(|key| found.bytes(key).map(Excerpt::whole)).collect();
                let versions = (request.keys.len()..count).map(|key| reply::version_in(found.slice(key)?));
                Ok(Read::new(entries, versions.collect()))
            }
        }
    }

    /// More than goes together with what others read.
    async fn read_many(&self, request: ReadRequest<'_>) -> Result<Read> {
        let count = request.keys.len() + request.versions.len();
        let mget = |out: &mut Packed| {
            out.command(1 + count).part("MGET");
            for key in request.keys {
                out.part(key);
            }
            add_keys(out, request.versions);
        };
        let found = self.sender.one(mget, Resend::WhereBroken).await?;
        let mut found = reply::array(found, count)?.into_iter();
        let entries = found.by_ref().take(request.keys.len());
        let entries = entries.map(|value| Ok(reply::string(value)?.map(Excerpt::whole)));
        let entries = entries.collect::<Result<_>>()?;
        Ok(Read::new(entries, found.map(|value| reply::version(&value)).collect()))
    }

    /// The first bytes of entries, and versions.
    async fn read_heads(&self, request: ReadRequest<'_>, first: usize) -> Result<Read> {
        let all = |out: &mut Packed| {
            for &key in request.keys {
                out.command(4).part("GETRANGE").part(key).number(0).count(first.saturating_sub(1));
                out.command(2).part("STRLEN").part(key);
            }
            if !request.versions.is_empty() {
                out.command(1 + request.versions.len()).part("MGET");
                add_keys(out, request.versions);
            }
        };
        let mut replies = self.sender.many(all, Resend::WhereBroken).await?.into_iter();
        let mut next = || replies.next().ok_or_else(failure::unexpected);
        let mut head = |_| {
            let (bytes, length) = (reply::string(next()?)?, reply::length(&next()?)?);
            // GETRANGE tells a missing key as an empty string.
            Ok(bytes.filter(|bytes| !bytes.is_empty()).map(|bytes| Excerpt::new(bytes, length)))
        };
        let entries = request.keys.iter().map(&mut head).collect::<Result<_>>()?;
        let versions = match request.versions {
            [] => Vec::new(),
            versions => reply::versions(next()?, versions.len())?,
        };
        Ok(Read::new(entries, versions.into()))
    }

    pub(super) async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let keys: Vec<_> = versions.iter().collect();
        let replies = self.sender.run(capture(&keys, life).collect(), Resend::WhereBroken).await?;
        captured(&mut replies.into_iter(), keys.len())
    }

    pub(super) async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        // Before the first answer the server's time is a guess.
        let timed = self.sender.link.dialer.time.is_learned();
        if let [request] = requests
            && request.capture.len() <= CAPTURE_CHUNK
        {
            let call = capturing(lease(request, timed, &[]), request, request.version_life);
            let reply = self.sender.call(call, Resend::Never).await?;
            return Ok(vec![reply::lease(reply, request.capture.len())?]);
        }
        let captures = Captures::of(requests);
        if requests.iter().any(|request| request.capture.len() > MOST_CAPTURED) {
            return self.lease_captured(requests, &captures, timed).await;
        }
        // G1: versions first, so that an evict of a tag from here on is seen by what is stored under these leases. Their lives are
        // looked at once; each lease captures its own again, which is one step with taking it.
        let mut parts: Vec<_> = capture(&captures.keys, captures.life).collect();
        let captured = parts.len();
        let again = |request| Part::Script(capturing(lease(request, timed, &[]), request, Duration::ZERO));
        parts.extend(requests.iter().map(again));
        let mut replies = self.sender.run(parts, Resend::Never).await?.into_iter();
        replies.by_ref().take(captured).try_for_each(|reply| reply::done(&reply))?;
        let answered = requests.iter().zip(replies);
        answered.map(|(request, value)| reply::lease(value, request.capture.len())).collect()
    }

    /// The same in two round trips, where each request captures so many versions that they are read once for all.
    async fn lease_captured(
        &self,
        requests: &[LeaseRequest<'_>],
        captures: &Captures<'_>,
        timed: bool,
    ) -> Result<Vec<Lease>> {
        let keys = &captures.keys;
        let replies = self.sender.run(capture(keys, captures.life).collect(), Resend::WhereBroken).await?;
        let captured = captured(&mut replies.into_iter(), keys.len())?;
        let captured: Vec<_> = captures.hand_out(&captured).collect();
        let parts = requests.iter().zip(&captured).map(|(request, captured)| {
            let stamps: Vec<u8> =
                stamps_of(request, captured).iter().flat_map(|stamp| stamp.to_bytes()).collect();
            Part::Script(lease(request, timed, &stamps))
        });
        let replies = self.sender.run(parts.collect(), Resend::Never).await?;
        let leases = replies.into_iter().zip(captured).map(|(value, captured)| {
            let Lease { outcome, .. } = reply::lease(value, 0)?;
            Ok(Lease::new(if outcome == LeaseOutcome::Late { Vec::new() } else { captured }, outcome))
        });
        leases.collect()
    }

    pub(super) async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let parts = leases.iter().map(|lease| {
            let token = lease.token.to_bytes();
            Part::Script(match how {
                Keep::Renew(live) => script::RENEW.call(lease.key).id(token).number(millis(live)),
                Keep::Release => script::RELEASE.call(lease.key).id(token),
            })
        });
        let replies = self.sender.run(parts.collect(), Resend::WhereBroken).await?;
        replies.into_iter().map(reply::verdict).collect()
    }

    pub(super) async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let mut parts: Vec<_> = writes.iter().map(write).collect();
        // The versions come after the last write in the pipeline, so they are read after all were stored.
        let checked: usize = writes.iter().map(|write| write.check.len()).sum();
        if checked > 0 {
            parts.push(Part::read(move |out| {
                out.command(1 + checked).part("MGET");
                for write in writes {
                    add_keys(out, write.check);
                }
            }));
        }
        let mut replies = self.sender.run(parts, Resend::Never).await?;
        let mut versions = match checked {
            0 => Vec::new(),
            _ => reply::versions(replies.pop().ok_or_else(failure::unexpected)?, checked)?,
        }
        .into_iter();
        replies
            .into_iter()
            .zip(writes)
            .map(|(value, write)| {
                let accepted = match write.guard {
                    Guard::Always => reply::done(&value).map(|()| true)?,
                    Guard::Lease(_) | Guard::Seen(_) => reply::verdict(value)?,
                };
                Ok(Written::new(accepted, versions.by_ref().take(write.check.len()).collect()))
            })
            .collect()
    }

    pub(super) async fn increment(&self, increment: &Increment<'_>) -> Result<IncrementOutcome> {
        if increment.fresh.len() < FIXED {
            return Err(Error::new(ErrorKind::Encode, "a new decimal entry needs a whole header"));
        }
        let call = script::INCREMENT
            .call(increment.key)
            .number(increment.by)
            .bytes(increment.fresh.as_ref())
            .number(millis(increment.life));
        let call = match increment.others {
            OtherStamps::Unknown => call,
            OtherStamps::Valid(stamps) => call.bytes(&b"V"[..]).bytes(stamps),
            OtherStamps::Outdated(stamps) => call.bytes(&b"O"[..]).bytes(stamps),
        };
        reply::increment(self.sender.call(call, Resend::Never).await?)?.ok_or_else(|| {
            Error::new(ErrorKind::WrongType, "no decimal number, or the sum does not fit an i64")
        })
    }

    pub(super) async fn evict(&self, request: EvictRequest<'_>) -> Result<Vec<bool>> {
        if request.keys.is_empty() && request.tags.is_empty() {
            return Ok(Vec::new());
        }
        let mut parts = Vec::with_capacity(1 + request.keys.len().div_ceil(EVICT_CHUNK));
        // Tags first: what is cut off behind them covers least. Not by the script, whose keys may lie in other slots.
        if !request.tags.is_empty() {
            parts.push(Part::command(move |out| {
                out.command(1 + 2 * request.tags.len()).part("UNLINK");
                for tag in request.tags {
                    out.part(&tag.tag.text).part(&tag.any.text);
                }
            }));
        }
        let chunks = || request.keys.chunks(EVICT_CHUNK);
        parts.extend(chunks().map(|keys| Part::Script(script::EVICT.call_many(keys.iter().copied()))));
        let mut replies = self.sender.run(parts, Resend::UntilDone).await?.into_iter();
        if !request.tags.is_empty() {
            reply::done(&replies.next().ok_or_else(failure::unexpected)?)?;
        }
        let mut existed = Vec::with_capacity(request.keys.len());
        for (value, keys) in replies.zip(chunks()) {
            existed.extend(reply::evicted(value, keys.len())?);
        }
        Ok(existed)
    }

    /// The server's name and version, where it may be asked.
    pub(super) async fn server(&self) -> Result<Option<String>> {
        let both = |out: &mut Packed| {
            out.command(1).part("PING");
            out.command(2).part("INFO").part("server");
        };
        let replies = self.sender.many(both, Resend::WhereBroken).await?;
        reply::done(replies.first().ok_or_else(failure::unexpected)?)?;
        Ok(replies.get(1).and_then(server_name))
    }
}

/// The keys under which entries and versions are, one after the other.
#[derive(Clone)]
struct Names<'a> {
    keys: std::slice::Iter<'a, &'a str>,
    versions: std::slice::Iter<'a, VersionKey>,
}

impl<'a> Iterator for Names<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self.keys.next() {
            Some(key) => Some(key.as_bytes()),
            None => self.versions.next().map(|version| version.text.as_bytes()),
        }
    }
}

fn add_keys(out: &mut Packed, versions: &[VersionKey]) {
    for version in versions {
        out.part(&version.text);
    }
}

fn capture<'a>(keys: &[&'a VersionKey], life: Duration) -> impl Iterator<Item = Part<'a>> {
    let give = version_life(life);
    keys.chunks(CAPTURE_CHUNK).map(move |keys| {
        let call = script::CAPTURE
            .call_many(keys.iter().map(|key| key.text.as_str()))
            .number(millis(life))
            .number(millis(give));
        Part::Script(Version::random_many(keys.len()).fold(call, |call, fresh| call.id(fresh.to_bytes())))
    })
}

/// What [`capture`] captured of so many keys.
fn captured(replies: &mut impl Iterator<Item = Reply>, keys: usize) -> Result<Vec<Version>> {
    let mut captured = Vec::with_capacity(keys);
    while captured.len() < keys {
        let length = CAPTURE_CHUNK.min(keys - captured.len());
        captured.extend(reply::captured(replies.next().ok_or_else(failure::unexpected)?, length)?);
    }
    Ok(captured)
}

/// A request for a lease, with the stamps of what it captured before.
fn lease<'a>(request: &LeaseRequest<'a>, timed: bool, stamps: &[u8]) -> Call<'a> {
    let kind: &[u8] = match request.kind {
        LeaseKind::Load => b"L",
        LeaseKind::Refresh => b"R",
        LeaseKind::Put => b"P",
    };
    script::LEASE
        .call(request.key)
        .id(request.token.to_bytes())
        .id(request.seen.to_bytes())
        .bytes(kind)
        .number(millis(request.live))
        .number(if timed { request.not_after.millis() } else { 0 })
        .id(request.over.to_bytes())
        .bytes(stamps.to_vec())
}

/// Has the script of this request capture its versions, which are to live so long at least; zero: they are known to.
fn capturing<'a>(call: Call<'a>, request: &LeaseRequest<'a>, life: Duration) -> Call<'a> {
    if request.capture.is_empty() {
        return call;
    }
    let known = request.known.min(request.capture.len());
    let hashes: Vec<u8> = request.capture[..known].iter().flat_map(|key| key.hash.to_le_bytes()).collect();
    let fresh: Vec<u8> = Version::random_many(request.capture.len()).flat_map(Version::to_bytes).collect();
    call.keys(request.capture.iter().map(|key| key.text.as_str()))
        .number(if life.is_zero() { 0 } else { millis(life) })
        .number(millis(version_life(request.version_life)))
        .number(known as u64)
        .bytes(hashes)
        .bytes(fresh)
}

fn write<'a>(write: &'a Write<'_>) -> Part<'a> {
    let (call, id) = match write.guard {
        Guard::Always => {
            return Part::command(move |out| {
                out.command(5)
                    .part("SET")
                    .part(write.key)
                    .part(&write.bytes)
                    .part("PX")
                    .count(millis(write.life));
            });
        }
        Guard::Lease(token) => (script::FILL.call(write.key), token.to_bytes()),
        Guard::Seen(fill_id) => (script::CAS.call(write.key), fill_id.to_bytes()),
    };
    let unlink = u8::from(write.on_refusal == OnRefusal::Unlink);
    Part::Script(call.id(id).bytes(write.bytes.as_ref()).number(millis(write.life)).number(unlink))
}

/// A life as the server takes it: at least a millisecond, and at most what does not overflow its clock.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.min(NEVER).as_millis()).unwrap_or(u64::MAX).max(1)
}

fn server_name(info: &Reply) -> Option<String> {
    let text = match info {
        Reply::Bytes(bytes) => std::str::from_utf8(bytes).ok()?,
        _ => return None,
    };
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    match field("valkey_version") {
        Some(version) => Some(format!("valkey {version}")),
        None => field("redis_version").map(|version| format!("redis {version}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_stay_within_what_a_server_takes() {
        assert_eq!(millis(Duration::ZERO), 1);
        assert_eq!(millis(Duration::from_micros(1_999)), 1);
        assert_eq!(millis(Duration::MAX), millis(NEVER));
    }

    #[test]
    fn the_servers_name_is_found_in_its_info() {
        let info = |text: &str| Reply::Bytes(text.as_bytes().to_vec().into());
        assert_eq!(
            server_name(&info("# Server\r\nredis_version:7.0.15\r\n")).as_deref(),
            Some("redis 7.0.15")
        );
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n";
        assert_eq!(server_name(&info(valkey)).as_deref(), Some("valkey 8.0.1"));
        assert_eq!(server_name(&Reply::Nil), None);
    }
}
