//! Captures of versions, and requests for leases.

use std::time::{Duration, Instant};

use super::commands::{Commands, millis};
use super::failure;
use super::part::{Part, Plain};
use super::reply::{self, Leased};
use super::script::{self, Call};
use super::send::Resend;
use super::wire::{Packed, Reply};
use crate::format::header::{Header, LONGEST_LEASE};
use crate::format::ids::Version;
use crate::format::stamps::VersionKey;
use crate::ground::chunks::{MOST_BYTES, chunks};
use crate::ground::clock::Timestamp;
use crate::ground::error::Result;
use crate::store::messages::lease::{Captures, Lease, LeaseKind, LeaseOutcome, LeaseRequest};
use crate::store::protocol::steps::stamps_of;
use crate::store::protocol::version_life;

/// More than any value has bytes, and exact as a number of Lua.
pub(super) const WHATEVER: u64 = 1 << 52;
/// How many versions one script captures.
const CAPTURE_CHUNK: usize = 500;
/// How many versions each of many leases captures in its own script; where one needs more, as those of any tag, another round trip
/// costs less.
const MOST_CAPTURED: usize = 16;

impl Commands {
    pub(super) async fn capture(&self, versions: &[VersionKey], life: Duration) -> Result<Vec<Version>> {
        self.capture_each(versions.iter().map(|key| (key, life))).await
    }

    /// Captures these, each of which is to live so long at least.
    pub(super) async fn capture_each<'k>(
        &self,
        keys: impl ExactSizeIterator<Item = (&'k VersionKey, Duration)> + Clone,
    ) -> Result<Vec<Version>> {
        if keys.len() == 0 {
            return Ok(Vec::new());
        }
        let sent = Instant::now();
        let replies = self.run(capture(keys.clone()).collect(), Resend::WhereBroken).await?;
        let captured = captured(&mut replies.into_iter(), keys.len())?;
        self.lives.learn(keys.zip(captured.iter().copied()), sent);
        Ok(captured)
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
            return Ok(vec![match self.lease_of_nothing(request, asking).await? {
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
    /// versions counts as captured: the load begins later.
    async fn lease_of_nothing(&self, request: &LeaseRequest<'_>, asking: Asking) -> Result<Option<Lease>> {
        let now = self.sender.link.dialer.time.now();
        let seen = asking.seen_by(request, now);
        let Some(versions) = seen.and_then(|seen| self.lives.lasting(request, seen, Instant::now())) else {
            return Ok(None);
        };
        let vacancy = Vacancy::of(request, versions, now);
        // Refused, the token is nobody's, and was not before: it may be sent once more.
        let is_taken = reply::was_vacant(&self.sender.one(|out| vacancy.write(out), Resend::Never).await?)?;
        Ok(is_taken.then(|| Lease::new(vacancy.versions, LeaseOutcome::Taken)))
    }

    /// Takes the lease without a script, where nothing is there, under versions that were captured before; whether it was taken.
    #[cfg(feature = "cluster")]
    pub(super) async fn lease_of_nothing_under(
        &self,
        request: &LeaseRequest<'_>,
        versions: &[Version],
    ) -> Result<bool> {
        let now = self.sender.link.dialer.time.now();
        if request.is_late(now) {
            return Ok(false);
        }
        let vacancy = Vacancy::of(request, versions.to_vec(), now);
        // Refused, the token is nobody's, and was not before: it may be sent once more.
        reply::was_vacant(&self.sender.one(|out| vacancy.write(out), Resend::Never).await?)
    }

    /// Asks for the lease of an entry whose versions were captured before; `None` where a value is there that has more than so many
    /// bytes.
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

    /// Captures versions and asks for the lease, whatever is there.
    async fn lease_captured_now(&self, request: &LeaseRequest<'_>, asking: Asking) -> Result<Lease> {
        let call = capturing(asking.lease(request, &[]), request, request.version_life);
        let sent = Instant::now();
        let Leased { versions, outcome } =
            reply::lease(self.sender.call(call, Resend::Never).await?, request.capture.len())?;
        let captured =
            request.capture.iter().map(|key| (key, request.version_life)).zip(versions.iter().copied());
        self.lives.learn(captured, sent);
        Ok(Lease::new(versions, outcome.ok_or_else(failure::unexpected)?))
    }

    /// Asks for many leases: without a script where a caller's read found nothing, and with one where something is there.
    async fn lease_many(
        &self,
        requests: &[LeaseRequest<'_>],
        captures: &Captures<'_>,
        asking: Asking,
    ) -> Result<Vec<Leased>> {
        let (now, looked) = (self.sender.link.dialer.time.now(), Instant::now());
        let vacant: Vec<_> = requests.iter().map(|request| asking.seen_by(request, now)).collect();
        let lasting =
            |(request, seen): (&LeaseRequest<'_>, &Option<_>)| self.lives.lasting(request, (*seen)?, looked);
        let mut versions: Vec<Option<Vec<Version>>> = requests.iter().zip(&vacant).map(lasting).collect();
        if vacant.iter().zip(&versions).any(|(seen, versions)| seen.is_some() && versions.is_none()) {
            // A round trip for all costs a server less than a script for each.
            let captured = self.capture_each(captures.with_lives()).await?;
            let own = captures.hand_out(&captured).zip(&vacant);
            versions = own.map(|(captured, seen)| seen.is_some().then_some(captured)).collect();
        }
        let mut leased: Vec<Option<Leased>> = requests.iter().map(|_| None).collect();
        let of_nothing: Vec<_> = requests
            .iter()
            .zip(versions)
            .enumerate()
            .filter_map(|(at, (request, versions))| Some((at, Vacancy::of(request, versions?, now))))
            .collect();
        let parts = of_nothing.iter().map(|(_, vacancy)| Part::Command(vacancy.plain())).collect();
        let replies = if of_nothing.is_empty() { Vec::new() } else { self.run(parts, Resend::Never).await? };
        for ((at, vacancy), reply) in of_nothing.into_iter().zip(replies) {
            if reply::was_vacant(&reply)? {
                let versions = vacancy.versions;
                leased[at] = Some(Leased { versions, outcome: Some(LeaseOutcome::Taken) });
            }
        }
        let others: Vec<_> = requests
            .iter()
            .zip(&leased)
            .filter(|(_, leased)| leased.is_none())
            .map(|(request, _)| *request)
            .collect();
        if !others.is_empty() {
            let captures = Captures::of(&others);
            let mut others = self
                .lease_by_scripts(&others, &captures, asking)
                .await
                .map_err(failure::in_part)?
                .into_iter();
            for place in leased.iter_mut().filter(|leased| leased.is_none()) {
                *place = others.next();
            }
        }
        leased.into_iter().map(|leased| leased.ok_or_else(failure::unexpected)).collect()
    }

    /// Asks for many leases, each of which captures its versions in its own script.
    async fn lease_by_scripts(
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
        let captured = self.capture_each(captures.with_lives()).await?;
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
pub(super) struct Asking {
    /// Whether the server's time is known, by which requests are refused.
    timed: bool,
    /// How many bytes an entry may have that is told instead of a lease.
    most: u64,
}

impl Asking {
    /// What the caller's read showed of the versions, where that is all that is to be known.
    #[cfg(feature = "cluster")]
    pub(super) fn seen_in<'a>(request: &LeaseRequest<'a>) -> Option<&'a [Option<Version>]> {
        // Whether it is late, the node says.
        Self { timed: true, most: 0 }.seen_by(request, Timestamp(0))
    }

    /// What the caller's read showed of the versions, where the lease may be taken without looking at what is there but for whether
    /// anything is.
    fn seen_by<'a>(self, request: &LeaseRequest<'a>, now: Timestamp) -> Option<&'a [Option<Version>]> {
        let is_of_nothing = self.timed
            && request.kind == LeaseKind::Load
            && request.seen.is_none()
            && request.over.is_none()
            && !request.is_late(now);
        request.vacant.filter(|seen| is_of_nothing && seen.len() == request.capture.len())
    }

    /// A request for a lease, with the stamps of what it captured before.
    fn lease<'a>(self, request: &LeaseRequest<'a>, stamps: &[u8]) -> Call<'a> {
        let kind: &[u8] = match request.kind {
            LeaseKind::Load => b"L",
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

/// A lease that is taken where there is nothing. When it lapses, whoever asks says by the server's clock as it knows it, so that a
/// request which comes late gets no longer a lease (G9).
struct Vacancy<'a> {
    key: &'a str,
    versions: Vec<Version>,
    pending: Vec<u8>,
    until: u64,
}

impl<'a> Vacancy<'a> {
    fn of(request: &LeaseRequest<'a>, versions: Vec<Version>, now: Timestamp) -> Self {
        let deadline = now.plus(request.live.min(LONGEST_LEASE));
        let pending = Header::pending_under(request.token, deadline, false, &stamps_of(request, &versions));
        Self { key: request.key, versions, pending, until: deadline.millis() }
    }

    fn write(&self, out: &mut Packed) {
        out.reserve(6, self.key.len() + self.pending.len());
        let until = i64::try_from(self.until).unwrap_or(i64::MAX);
        out.command(6).part("SET").part(self.key).part(&self.pending).part("PXAT").number(until).part("NX");
    }

    /// The same as one command of several.
    fn plain(&self) -> Plain<'_> {
        Plain::set_where_nothing_is(self.key, &self.pending, self.until)
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
