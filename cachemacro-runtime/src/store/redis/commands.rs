//! One round trip each: what is sent for every operation of the store.

use std::time::{Duration, Instant};

use super::dial::Look;
use super::families::Families;
use super::lives::Lives;
use super::part::{Part, Plain};
use super::reply::Leased;
use super::script::{self, Call};
use super::send::{Resend, Sender};
use super::wire::{Packed, Reply};
use super::{failure, reply, server};
use crate::format::header::{FIXED, Header, LONGEST_LEASE};
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::chunks::{MOST_BYTES, chunks};
use crate::ground::clock::NEVER;
use crate::ground::error::{Error, ErrorKind, Result};
use crate::store::messages::about::ServerFigures;
use crate::store::messages::evict::EvictRequest;
use crate::store::messages::increment::{Increment, IncrementOutcome, OtherStamps};
use crate::store::messages::lease::{
    Captures, HeldLease, Keep, Lease, LeaseKind, LeaseOutcome, LeaseRequest,
};
use crate::store::messages::write::{Guard, OnRefusal, Write, Written};
use crate::store::protocol::steps::stamps_of;
use crate::store::protocol::version_life;

/// How many keys one script removes.
const EVICT_CHUNK: usize = 500;
/// More than any value has bytes, and exact as a number of Lua.
pub(super) const WHATEVER: u64 = 1 << 52;
/// How many versions one script captures.
const CAPTURE_CHUNK: usize = 500;
/// How many versions each of many leases captures in its own script; where one needs more, as those of any tag, another round trip
/// costs less.
const MOST_CAPTURED: usize = 16;

/// The store's operations over its connections.
#[derive(Debug)]
pub(super) struct Commands {
    pub(super) sender: Sender,
    /// What evicts wait for.
    replicas: Option<Replicas>,
    /// What is known of how large entries are.
    pub(super) families: Families,
    /// What is known of how long versions live.
    lives: Lives,
}

/// How many replicas have to have an evict, and the connection on which that is waited for: nobody else waits behind it.
#[derive(Debug)]
pub(super) struct Replicas {
    pub(super) count: usize,
    pub(super) sender: Sender,
}

impl Replicas {
    /// Sends an evict, and waits for them.
    async fn run(&self, part: Part<'_>) -> Result<Reply> {
        // Less than the answer may take.
        let patience = millis(self.sender.command_timeout / 2);
        // Once more, too, where the script was not known.
        let wait = Part::Read(Plain::wait(self.count, patience));
        let mut replies = self.sender.run(vec![part, wait], Resend::UntilDone).await?;
        let have_it = replies.pop().ok_or_else(failure::unexpected)?;
        self.enough(&have_it)?;
        replies.pop().ok_or_else(failure::unexpected)
    }

    /// Whether as many replicas have it.
    pub(super) fn enough(&self, have_it: &Reply) -> Result<()> {
        let have_it = usize::try_from(reply::integer(have_it)?).unwrap_or(0);
        if have_it >= self.count {
            return Ok(());
        }
        let text = format!("{have_it} replicas have the evict, of {}", self.count);
        Err(Error::new(ErrorKind::Refused, text))
    }

    /// Writes the command by which that is waited for.
    #[cfg(feature = "cluster")]
    pub(super) fn write_wait(&self, out: &mut Packed) {
        out.command(3).part("WAIT").count(self.count).count(millis(self.sender.command_timeout / 2));
    }

    /// The command by which that is waited for.
    pub(super) fn wait(&self) -> redis::Cmd {
        let mut wait = redis::cmd("WAIT");
        wait.arg(self.count).arg(millis(self.sender.command_timeout / 2));
        wait
    }
}

impl Commands {
    pub(super) fn new(sender: Sender, replicas: Option<Replicas>) -> Self {
        Self { sender, replicas, families: Families::default(), lives: Lives::default() }
    }

    /// What evicts wait for.
    pub(super) const fn replicas(&self) -> Option<&Replicas> {
        self.replicas.as_ref()
    }

    pub(super) async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        if versions.is_empty() {
            return Ok(Vec::new());
        }
        let keys = versions.iter().map(|key| (key, life));
        let sent = Instant::now();
        let replies = self.run(capture(keys).collect(), Resend::WhereBroken).await?;
        let captured = captured(&mut replies.into_iter(), versions.len())?;
        self.lives.learn(versions.iter().zip(captured.iter().copied()), sent, life);
        Ok(captured)
    }

    /// The same, each for so long at least.
    #[cfg(feature = "cluster")]
    pub(super) async fn capture_each(&self, keys: &[(VersionKey, Duration)]) -> Result<Vec<Version>> {
        let keys_with_lives = keys.iter().map(|(key, life)| (key, *life));
        let replies = self.run(capture(keys_with_lives).collect(), Resend::WhereBroken).await?;
        captured(&mut replies.into_iter(), keys.len())
    }

    pub(super) async fn lease(&self, requests: &[LeaseRequest<'_>]) -> Result<Vec<Lease>> {
        if requests.is_empty() {
            return Ok(Vec::new());
        }
        let asking = Asking {
            // Before the first answer the server's time is a guess.
            timed: self.sender.link.dialer.time.is_learned(),
            // Of one, the value is told whatever its size: it cannot be split.
            most: if requests.len() == 1 { WHATEVER } else { (MOST_BYTES / requests.len()) as u64 },
        };
        if let [request] = requests
            && request.capture.len() <= CAPTURE_CHUNK
        {
            return Ok(vec![match self.lease_of_nothing(request, &self.lives).await? {
                Some(lease) => lease,
                None => self.lease_captured_now(request, asking).await?,
            }]);
        }
        let captures = Captures::of(requests);
        let leased = if requests.iter().any(|request| request.capture.len() > MOST_CAPTURED) {
            self.lease_captured(requests, &captures, asking).await?
        } else {
            self.lease_many(requests, &captures, asking).await?
        };
        self.told(requests, leased).await
    }

    /// Takes the lease without a script, where the caller's read found nothing, and nothing is there still. What that read showed of the
    /// versions counts as captured: the load begins later. Where it lapses, whoever asks says by the server's clock as it knows
    /// it, so that a request which comes late gets no longer a lease (G9).
    pub(super) async fn lease_of_nothing(
        &self,
        request: &LeaseRequest<'_>,
        lives: &Lives,
    ) -> Result<Option<Lease>> {
        // Before the first answer the server's time is a guess.
        let timed = self.sender.link.dialer.time.is_learned();
        let Some(versions) = request.vacant.filter(|_| timed) else { return Ok(None) };
        let now = self.sender.link.dialer.time.now();
        let captured = || request.capture.iter().zip(versions.iter().copied());
        if request.kind != LeaseKind::Load
            || !(request.seen.is_none() && request.over.is_none())
            || request.is_late(now)
            || versions.len() != request.capture.len()
            || !lives.last(captured(), Instant::now(), request.version_life)
        {
            return Ok(None);
        }
        let deadline = now.plus(request.live.min(LONGEST_LEASE));
        let pending = Header::pending_under(request.token, deadline, false, &stamps_of(request, versions));
        let set = |out: &mut Packed| {
            let until = i64::try_from(deadline.millis()).unwrap_or(i64::MAX);
            out.reserve(6, request.key.len() + pending.len());
            out.command(6).part("SET").part(request.key).part(&pending).part("PXAT").number(until).part("NX");
        };
        // Refused, the token is nobody's, and was not before: it may be sent once more.
        let is_taken = reply::was_vacant(&self.sender.one(set, Resend::Never).await?)?;
        Ok(is_taken.then(|| Lease::new(versions.to_vec(), LeaseOutcome::Taken)))
    }

    /// Asks for the lease of an entry whose versions were captured before; `None` where a value is there that has more than so many bytes.
    #[cfg(feature = "cluster")]
    pub(super) async fn lease_under(
        &self,
        request: &LeaseRequest<'_>,
        captured: &[Version],
        most: u64,
    ) -> Result<Option<LeaseOutcome>> {
        let stamps: Vec<u8> =
            stamps_of(request, captured).iter().flat_map(|stamp| stamp.to_bytes()).collect();
        let asking = Asking { timed: self.sender.link.dialer.time.is_learned(), most };
        Ok(reply::lease(self.sender.call(asking.lease(request, &stamps), Resend::Never).await?, 0)?.outcome)
    }

    /// The same for keys of a slot that the server is only about to serve.
    #[cfg(feature = "cluster")]
    pub(super) fn asking(&self) -> Self {
        let replicas = self.replicas.as_ref();
        let replicas =
            replicas.map(|replicas| Replicas { count: replicas.count, sender: replicas.sender.asking() });
        Self::new(self.sender.asking(), replicas)
    }

    /// Captures versions and asks for the lease, whatever is there.
    async fn lease_captured_now(&self, request: &LeaseRequest<'_>, asking: Asking) -> Result<Lease> {
        let call = capturing(asking.lease(request, &[]), request, request.version_life);
        let sent = Instant::now();
        let Leased { versions, outcome } =
            reply::lease(self.sender.call(call, Resend::Never).await?, request.capture.len())?;
        let captured = request.capture.iter().zip(versions.iter().copied());
        self.lives.learn(captured, sent, request.version_life);
        Ok(Lease::new(versions, outcome.ok_or_else(failure::unexpected)?))
    }

    /// Asks for many leases, each of which captures its versions in its own script.
    async fn lease_many(
        &self,
        requests: &[LeaseRequest<'_>],
        captures: &Captures<'_>,
        asking: Asking,
    ) -> Result<Vec<Leased>> {
        // G1: versions first, so that an evict of a tag from here on is seen by what is stored under these leases. Their lives are
        // looked at once; each lease captures its own again, which is one step with taking it.
        let mut parts: Vec<_> = capture(captures.with_lives()).collect();
        let captured = parts.len();
        let again = |request| Part::Script(capturing(asking.lease(request, &[]), request, Duration::ZERO));
        parts.extend(requests.iter().map(again));
        let mut replies = self.run(parts, Resend::Never).await?.into_iter();
        replies.by_ref().take(captured).try_for_each(|reply| reply::done(&reply))?;
        let answered = requests.iter().zip(replies);
        answered.map(|(request, value)| reply::lease(value, request.capture.len())).collect()
    }

    /// The same in two steps, where each request captures so many versions that they are read once for all.
    async fn lease_captured(
        &self,
        requests: &[LeaseRequest<'_>],
        captures: &Captures<'_>,
        asking: Asking,
    ) -> Result<Vec<Leased>> {
        let replies = self.run(capture(captures.with_lives()).collect(), Resend::WhereBroken).await?;
        let captured = captured(&mut replies.into_iter(), captures.keys.len())?;
        let captured: Vec<_> = captures.hand_out(&captured).collect();
        let parts = requests.iter().zip(&captured).map(|(request, captured)| {
            let stamps: Vec<u8> =
                stamps_of(request, captured).iter().flat_map(|stamp| stamp.to_bytes()).collect();
            Part::Script(asking.lease(request, &stamps))
        });
        let replies = self.run(parts.collect(), Resend::Never).await?;
        let leased = replies.into_iter().zip(captured).map(|(value, captured)| {
            let Leased { outcome, .. } = reply::lease(value, 0)?;
            let versions = if outcome == Some(LeaseOutcome::Late) { Vec::new() } else { captured };
            Ok(Leased { versions, outcome })
        });
        leased.collect()
    }

    /// With the values that were found and too large to be told with the others.
    async fn told(&self, requests: &[LeaseRequest<'_>], leased: Vec<Leased>) -> Result<Vec<Lease>> {
        let large = requests.iter().zip(&leased).filter(|(_, leased)| leased.outcome.is_none());
        let large: Vec<&str> = large.map(|(request, _)| request.key).collect();
        let mut found = self.found(&large).await.map_err(failure::in_part)?;
        let leases = leased.into_iter().map(|Leased { versions, outcome }| {
            let outcome = outcome.or_else(|| found.next()).ok_or_else(failure::unexpected)?;
            Ok(Lease::new(versions, outcome))
        });
        leases.collect()
    }

    pub(super) async fn keep(&self, leases: &[HeldLease<'_>], how: Keep) -> Result<Vec<bool>> {
        if leases.is_empty() {
            return Ok(Vec::new());
        }
        let tell = self.tell();
        let parts = leases.iter().map(|lease| {
            let token = lease.token.to_bytes();
            Part::Script(match how {
                Keep::Renew(live) => script::RENEW.call(lease.key).id(token).number(millis(live)),
                Keep::Release => script::RELEASE.call(lease.key).id(token).number(tell),
            })
        });
        let replies = self.run(parts.collect(), Resend::WhereBroken).await?;
        replies.into_iter().map(reply::verdict).collect()
    }

    pub(super) async fn write(&self, writes: &[Write<'_>]) -> Result<Vec<Written>> {
        if writes.is_empty() {
            return Ok(Vec::new());
        }
        let tell = self.tell();
        let mut parts: Vec<_> = writes.iter().map(|one| write(one, tell)).collect();
        // The versions come after the last write in the pipeline, so they are read after all were stored.
        let checked: usize = writes.iter().map(|write| write.check.len()).sum();
        if checked > 0 {
            let keys = writes.iter().flat_map(|write| write.check).map(|key| key.text.as_str());
            parts.push(Part::Read(Plain::on_keys("MGET", keys)));
        }
        let mut replies = self.run(parts, Resend::Never).await?;
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
                    Guard::Lease(_) | Guard::Seen(_) | Guard::Unchanged { .. } => reply::verdict(value)?,
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
        // Tags first: what is cut off behind them covers least. Not by the script, whose keys may lie in other slots.
        let unlinks = request.tags.chunks(EVICT_CHUNK).map(|tags| {
            let keys = tags.iter().flat_map(|tag| [tag.tag.text.as_str(), tag.any.text.as_str()]);
            Part::Command(Plain::on_keys("UNLINK", keys))
        });
        let mut parts: Vec<_> = unlinks.collect();
        let unlinks = parts.len();
        let chunks = || request.keys.chunks(EVICT_CHUNK);
        parts.extend(chunks().map(|keys| Part::Script(script::EVICT.call_many(keys.iter().copied()))));
        let replies = match &self.replicas {
            None => self.run(parts, Resend::UntilDone).await?,
            Some(replicas) => {
                let mut replies = Vec::with_capacity(parts.len());
                for part in parts {
                    replies.push(replicas.run(part).await?);
                }
                replies
            }
        };
        let mut replies = replies.into_iter();
        for unlinked in replies.by_ref().take(unlinks) {
            reply::done(&unlinked)?;
        }
        let mut existed = Vec::with_capacity(request.keys.len());
        for (value, keys) in replies.zip(chunks()) {
            existed.extend(reply::evicted(value, keys.len())?);
        }
        Ok(existed)
    }

    /// Looks what kind of server it is.
    pub(super) async fn look(&self, look: Look<'_>) -> Result<()> {
        look.found(&self.sender.many(server::ask, Resend::WhereBroken).await?);
        Ok(())
    }

    /// Whether scripts that decide without the server's time are to tell it all the same: 1 or 0.
    fn tell(&self) -> u8 {
        u8::from(self.sender.link.dialer.time.is_to_be_told())
    }

    /// The server's name and version, and its figures, where it may be asked.
    pub(super) async fn server(&self) -> Result<(Option<String>, Option<ServerFigures>)> {
        let all = |out: &mut Packed| {
            out.command(1).part("PING");
            for section in SECTIONS {
                out.command(2).part("INFO").part(section);
            }
        };
        let replies = self.sender.many(all, Resend::WhereBroken).await?;
        reply::done(replies.first().ok_or_else(failure::unexpected)?)?;
        let told: String = replies.iter().skip(1).filter_map(text).collect();
        let figures = (!told.is_empty()).then(|| ServerFigures::from_info(&told));
        Ok((server_name(&told), figures))
    }

    /// All that the server says of itself.
    pub(super) async fn info(&self) -> Result<String> {
        let reply = self
            .sender
            .one(
                |out| {
                    out.command(1).part("INFO");
                },
                Resend::WhereBroken,
            )
            .await?;
        reply::done(&reply)?;
        Ok(text(&reply).unwrap_or_default().to_owned())
    }
}

/// What health asks for. Several in one command need a newer server than the oldest that is supported.
const SECTIONS: [&str; 4] = ["server", "memory", "stats", "replication"];

fn text(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Bytes(bytes) => std::str::from_utf8(bytes).ok(),
        _ => None,
    }
}

pub(super) fn add_keys(out: &mut Packed, versions: &[VersionKey]) {
    for version in versions {
        out.part(&version.text);
    }
}

/// Captures these, each of which is to live so long at least.
fn capture<'a>(keys: impl Iterator<Item = (&'a VersionKey, Duration)>) -> impl Iterator<Item = Part<'a>> {
    chunks(keys, CAPTURE_CHUNK, usize::MAX, |_| 0).map(|keys| {
        let call = script::CAPTURE.call_many(keys.iter().map(|(key, _)| key.text.as_str()));
        let fresh = Version::random_many(keys.len());
        Part::Script(keys.iter().zip(fresh).fold(call, |call, ((_, life), fresh)| {
            let give = version_life(*life);
            call.number(millis(*life)).number(millis(give)).id(fresh.to_bytes())
        }))
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

/// How leases are asked for.
#[derive(Clone, Copy)]
struct Asking {
    /// Whether the server's time is known, by which requests are refused.
    timed: bool,
    /// How many bytes an entry may have that is told instead of a lease.
    most: u64,
}

impl Asking {
    /// A request for a lease, with the stamps of what it captured before.
    fn lease<'a>(self, request: &LeaseRequest<'a>, stamps: &[u8]) -> Call<'a> {
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
            .number(if self.timed { request.not_after.millis() } else { 0 })
            .id(request.over.to_bytes())
            .number(self.most)
            .bytes(stamps.to_vec())
    }
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

fn write<'a>(write: &'a Write<'_>, tell: u8) -> Part<'a> {
    let (call, id) = match write.guard {
        Guard::Always => {
            return Part::Command(Plain::set(write.key, &write.bytes, millis(write.life)));
        }
        Guard::Lease(token) => (script::FILL.call(write.key), token.to_bytes()),
        Guard::Seen(fill_id) => (script::CAS.call(write.key), fill_id.to_bytes()),
        Guard::Unchanged { seen, .. } => (script::REFILL.call(write.key), seen.to_bytes()),
    };
    let unlink = u8::from(write.on_refusal == OnRefusal::Unlink);
    let call = call.id(id).bytes(write.bytes.as_ref()).number(millis(write.life)).number(unlink);
    // The last call of a process leaves its value. A load's, which the guard keeps from doing harm whenever it comes.
    let call = if write.on_refusal == OnRefusal::Leave { call.outliving() } else { call };
    Part::Script(match write.guard {
        Guard::Unchanged { token, .. } => call.number(tell).id(token.to_bytes()),
        Guard::Lease(_) => call.number(tell),
        _ => call,
    })
}

/// A life as the server takes it: at least a millisecond, and at most what does not overflow its clock.
fn millis(life: Duration) -> u64 {
    u64::try_from(life.min(NEVER).as_millis()).unwrap_or(u64::MAX).max(1)
}

fn server_name(text: &str) -> Option<String> {
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
        assert_eq!(server_name("# Server\r\nredis_version:7.0.15\r\n").as_deref(), Some("redis 7.0.15"));
        let valkey = "redis_version:7.2.4\r\nserver_name:valkey\r\nvalkey_version:8.0.1\r\n";
        assert_eq!(server_name(valkey).as_deref(), Some("valkey 8.0.1"));
        assert_eq!(server_name(""), None);
    }
}
