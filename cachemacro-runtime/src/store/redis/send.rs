//! Sending: one request, one deadline, and what is sent a second time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_util::future::{Either, select};
use tokio::time::{sleep, timeout_at};

use super::connect::{Handle, Link, Patience};
use super::failure;
use super::part::Part;
use super::refusal::{Fate, Next, Refusal};
use super::script::Call;
#[cfg(feature = "cluster")]
use super::slot::slot;
use super::upkeep::Upkeep;
use super::wire::{Asked, Broken, Cause, Doubtful, Found, Packed, Reply, Unread, Wire};
use crate::ground::error::{Error, Result};
use crate::ground::pauses::spread;

/// The deadline of what has to be done, in command timeouts: one for a connection that went silent, one for another, and one
/// for opening that and for pauses. `RedisConfig::command_timeout` tells of it.
pub(super) const TIMEOUTS: u32 = 3;

/// What is told where the request has no time left. Its connection may have more patience.
const LATE: Broken = Broken { cause: Cause::Crowded, sent: true };

/// Whether a request may be sent a second time.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Resend {
    /// It carries a token or changes what is there: once and never again (G1).
    Never,
    /// Twice is the same as once, and its caller can do without: only where that costs no time, because a connection broke, or
    /// the server sends us elsewhere.
    WhereBroken,
    /// Twice is the same as once, and it has to be done: also after a silence, a refusal that may pass, and while nothing can be
    /// connected to, until its deadline.
    UntilDone,
}

/// Which keys one command may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keys {
    Any,
    /// The server is a node of a cluster.
    #[cfg(feature = "cluster")]
    OfOneSlot,
    /// It is only about to serve the slot, and is to be asked all the same.
    #[cfg(feature = "cluster")]
    Asking,
}

impl Keys {
    /// Whether they are of a slot that the server is only about to serve.
    pub(super) const fn are_moving(self) -> bool {
        match self {
            #[cfg(feature = "cluster")]
            Self::Asking => true,
            _ => false,
        }
    }

    /// The slot of these, where that matters.
    #[cfg_attr(not(feature = "cluster"), expect(clippy::unused_self, reason = "it matters nowhere"))]
    fn slot<'a>(self, keys: impl Iterator<Item = &'a [u8]>) -> Option<u16> {
        #[cfg(feature = "cluster")]
        if self == Self::OfOneSlot {
            return keys.into_iter().next().map(slot);
        }
        drop(keys);
        None
    }

    /// Whether reads may go together with others'.
    pub(super) const fn are_combined(self) -> bool {
        !self.are_moving()
    }

    /// What commands are written to.
    fn packed(self) -> Packed {
        match self {
            #[cfg(feature = "cluster")]
            Self::Asking => Packed::asking(),
            _ => Packed::default(),
        }
    }

    /// The replies to the commands themselves.
    fn replies(self, replies: Vec<Reply>) -> Vec<Reply> {
        match self {
            #[cfg(feature = "cluster")]
            Self::Asking => replies.into_iter().skip(1).step_by(2).collect(),
            _ => replies,
        }
    }
}

/// What is sent in one go.
trait Request: Sync {
    type Answer: Answer;

    /// Sends it over this connection, within its patience.
    fn send(&self, wire: &Wire) -> impl Future<Output = Asked<Result<Self::Answer, Broken>>> + Send;
}

trait Answer: Send {
    /// What the server refused of it, with the error's line: what is worst for the connection.
    fn refusal(&self) -> Option<(&'static Refusal, &[u8])>;
}

/// Strings to read, together with what others read.
struct Strings<K>(K, Option<u16>);

/// Commands.
struct Commands<W>(W, Keys);

/// Sends requests over the store's connections.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) link: Arc<Link>,
    pub(super) command_timeout: Duration,
    pub(super) upkeep: Upkeep,
    pub(super) keys: Keys,
}

impl Sender {
    /// The same for a slot that the server is only about to serve.
    #[cfg(feature = "cluster")]
    pub(super) fn asking(&self) -> Self {
        let Self { link, command_timeout, upkeep, .. } = self;
        Self {
            link: Arc::clone(link),
            command_timeout: *command_timeout,
            upkeep: *upkeep,
            keys: Keys::Asking,
        }
    }

    /// Reads strings, together with what others read: at most [`MOST_READ`](super::wire::MOST_READ) of them.
    pub(super) async fn read<'a>(
        &self,
        keys: impl Iterator<Item = &'a [u8]> + Clone + Send + Sync,
    ) -> Result<Found> {
        let slot = self.keys.slot(keys.clone());
        let read = self.exchange(&Strings(keys, slot), Resend::WhereBroken).await?;
        read.map_err(|line| failure::refused(&line))
    }

    /// Sends commands in one go; gives a reply for each.
    pub(super) async fn many(
        &self,
        write: impl Fn(&mut Packed) + Send + Sync,
        resend: Resend,
    ) -> Result<Vec<Reply>> {
        self.exchange(&Commands(write, self.keys), resend).await
    }

    /// Sends one command.
    pub(super) async fn one(
        &self,
        write: impl Fn(&mut Packed) + Send + Sync,
        resend: Resend,
    ) -> Result<Reply> {
        self.many(write, resend).await?.pop().ok_or_else(failure::unexpected)
    }

    /// Sends these in one go, scripts by their hash; gives a reply for each.
    pub(super) async fn run(&self, parts: Vec<Part<'_>>, resend: Resend) -> Result<Vec<Reply>> {
        let by_hash = |out: &mut Packed| parts.iter().for_each(|part| part.write(out));
        let mut replies = self.timed(parts.iter(), by_hash, resend).await?;
        let unknown = parts.iter().zip(&replies).filter(|(part, reply)| part.is_unknown(reply)).count();
        if unknown == 0 {
            return Ok(replies);
        }
        tracing::debug!(scripts = unknown, "redis had forgotten scripts");
        let again: Vec<_> =
            parts.iter().enumerate().filter(|(at, part)| part.is_sent_again(&replies[*at])).collect();
        let by_source = |out: &mut Packed| again.iter().for_each(|(_, part)| part.write_again(out));
        let late = self
            .timed(again.iter().map(|(_, part)| *part), by_source, resend)
            .await
            .map_err(failure::in_part)?;
        for ((at, _), reply) in again.iter().zip(late) {
            replies[*at] = reply;
        }
        Ok(replies)
    }

    /// Runs one script.
    pub(super) async fn call(&self, call: Call<'_>, resend: Resend) -> Result<Reply> {
        self.run(vec![Part::Script(call)], resend).await?.pop().ok_or_else(failure::unexpected)
    }

    /// When what has to be done counts as failed.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.command_timeout * TIMEOUTS
    }

    /// Sends these parts and learns the server's time from the latest reply that tells it.
    async fn timed<'p, 'a: 'p>(
        &self,
        parts: impl DoubleEndedIterator<Item = &'p Part<'a>> + ExactSizeIterator,
        write: impl Fn(&mut Packed) + Send + Sync,
        resend: Resend,
    ) -> Result<Vec<Reply>> {
        let sent = Instant::now();
        let replies = self.many(write, resend).await?;
        if replies.len() != parts.len() {
            return Err(failure::unexpected());
        }
        if let Some(millis) = parts.zip(&replies).rev().find_map(|(part, reply)| part.time_in(reply)) {
            self.link.dialer.time.observe(sent, Instant::now(), millis);
        }
        Ok(replies)
    }

    /// Sends and awaits, within the deadline, on a shared connection.
    async fn exchange<R: Request>(&self, request: &R, resend: Resend) -> Result<R::Answer> {
        match self.link.ready() {
            Ok(ready) => self.deliver(request, resend, ready).await,
            // On the heap, as is what opens connections: neither is part of what each call moves about.
            Err(_) => {
                Box::pin(self.link.dialer.background.enter(self.deliver(request, resend, None))).await?
            }
        }
    }

    /// How often something may be sent again.
    fn again(&self, resend: Resend) -> Again {
        let most = self.upkeep.retries;
        match resend {
            // What cuts one connection tends to cut all, so each may turn out to be broken before a new one is had.
            Resend::Never | Resend::WhereBroken => {
                let width = self.link.width();
                Again::Times { unsent: width, left: most.map_or(width, |most| most.min(width)) }
            }
            Resend::UntilDone => Again::Until {
                began: Instant::now(),
                deadline: self.deadline(),
                left: most.unwrap_or(usize::MAX),
            },
        }
    }

    async fn deliver<R: Request>(
        &self,
        request: &R,
        resend: Resend,
        mut ready: Option<Handle>,
    ) -> Result<R::Answer> {
        let mut again = self.again(resend);
        // What became of it, where it was sent: that decides whether it may have been done.
        let mut sent: Option<Error> = None;
        // The last reply that refused it, where it was sent again after that.
        let mut refused: Option<Error> = None;
        // When it counts as failed, where that is before its connection finds so.
        let mut until = None;
        let mut pause = self.upkeep.retry_delay;
        loop {
            let acquired = match ready.take() {
                Some(handle) => Ok(handle),
                None => Box::pin(self.link.acquire(again.patience())).await,
            };
            let handle = match acquired {
                Ok(handle) => handle,
                Err(error) => return Err(failure::in_the_end(error, sent.as_ref(), refused.as_ref())),
            };
            let answer = match by(until, request.send(&handle.wire)).await {
                Asked::Answered(answer) => answer,
                Asked::Doubtful(doubtful) => {
                    let silence = failure::timed_out(self.command_timeout);
                    self.link.retire(&handle, Fate::Replaced, &silence);
                    if resend != Resend::Never && self.may_repeat(&mut again, Duration::ZERO) {
                        let latest = again.deadline().or(until).unwrap_or(doubtful.due.into_std());
                        until = Some(latest);
                        let first = Box::pin(self.answer_or_another(doubtful, again.patience()));
                        match timeout_at(latest.into(), first).await.unwrap_or(Ok(Err(LATE))) {
                            Ok(answer) => answer,
                            Err(another) => {
                                (sent, ready) = (Some(silence), Some(another));
                                continue;
                            }
                        }
                    } else {
                        doubtful.answer.await
                    }
                }
            };
            match answer {
                Ok(answer) => {
                    let Some((refusal, line)) = answer.refusal() else {
                        self.link.served(&handle);
                        return Ok(answer);
                    };
                    self.link.dialer.lacks(Refusal::lacking(line));
                    let told = failure::refused(line);
                    match refusal.connection {
                        Fate::Kept => self.link.served(&handle),
                        fate => self.link.retire(&handle, fate, &told),
                    }
                    let repeats = match refusal.request {
                        Next::Again => resend != Resend::Never && self.may_repeat(&mut again, Duration::ZERO),
                        Next::Later => again.is_patient() && self.may_repeat(&mut again, pause),
                        Next::Never => false,
                    };
                    if !repeats {
                        // Each reply is told where it is read.
                        return Ok(answer);
                    }
                    refused = Some(told);
                    if refusal.request == Next::Later {
                        // Between half and all of it, so that those who were refused together do not come back in step.
                        sleep(spread(pause)).await;
                        pause *= 2;
                    }
                }
                Err(broken) => {
                    let told = failure::broken(broken, again.waited().unwrap_or(self.command_timeout));
                    let repeats = match broken.cause {
                        Cause::Crowded => again.is_patient(),
                        // What was not sent was not done, and is sent for the first time (G1).
                        _ if !broken.sent => true,
                        Cause::TimedOut => again.is_patient(),
                        _ => resend != Resend::Never,
                    };
                    if broken.cause != Cause::Crowded {
                        self.link.retire(&handle, Fate::Replaced, &told);
                    }
                    let repeats = repeats
                        && if broken.sent {
                            self.may_repeat(&mut again, Duration::ZERO)
                        } else {
                            // It goes for the first time.
                            again.elsewhere()
                        };
                    if !repeats {
                        let earlier = sent.filter(|_| !broken.sent);
                        return Err(failure::in_the_end(told, earlier.as_ref(), refused.as_ref()));
                    }
                    if broken.sent {
                        sent = Some(told);
                        until = again.deadline().or(until);
                    }
                }
            }
        }
    }

    /// Takes leave to send something again after this pause, where it may be.
    fn may_repeat(&self, again: &mut Again, pause: Duration) -> bool {
        again.once_more(pause) && self.link.may_repeat()
    }

    /// The answer that may still come, or a connection to send it again on, whichever is there first. Where none is to be had, the
    /// answer is all there is.
    async fn answer_or_another<A>(&self, doubtful: Doubtful<A>, patience: Patience) -> Result<A, Handle> {
        match select(doubtful.answer, Box::pin(self.link.acquire(patience))).await {
            Either::Left((answer, _)) => Ok(answer),
            Either::Right((Ok(another), _)) => Err(another),
            Either::Right((Err(_), answer)) => Ok(answer.await),
        }
    }
}

/// Gives a request up then, where its connection has not done so before.
async fn by<T>(
    until: Option<Instant>,
    asking: impl Future<Output = Asked<Result<T, Broken>>>,
) -> Asked<Result<T, Broken>> {
    let Some(until) = until else { return asking.await };
    timeout_at(until.into(), asking).await.unwrap_or(Asked::Answered(Err(LATE)))
}

impl<'a, K: Iterator<Item = &'a [u8]> + Clone + Send + Sync> Request for Strings<K> {
    type Answer = Result<Found, Bytes>;

    async fn send(&self, wire: &Wire) -> Asked<Result<Self::Answer, Broken>> {
        let answer = |read| match read {
            Ok(found) => Ok(Ok(found)),
            Err(Unread::Refused(line)) => Ok(Err(line)),
            Err(Unread::Broken(broken)) => Err(broken),
        };
        wire.read(self.0.clone(), self.1).await.map(answer)
    }
}

impl<W: Fn(&mut Packed) + Send + Sync> Request for Commands<W> {
    type Answer = Vec<Reply>;

    async fn send(&self, wire: &Wire) -> Asked<Result<Vec<Reply>, Broken>> {
        let keys = self.1;
        let mut commands = keys.packed();
        (self.0)(&mut commands);
        let asked = wire.call(commands).await;
        if keys == Keys::Any { asked } else { asked.map(move |answer| answer.map(|all| keys.replies(all))) }
    }
}

impl Answer for Result<Found, Bytes> {
    fn refusal(&self) -> Option<(&'static Refusal, &[u8])> {
        self.as_ref().err().map(|line| (Refusal::of(line), &line[..]))
    }
}

impl Answer for Vec<Reply> {
    fn refusal(&self) -> Option<(&'static Refusal, &[u8])> {
        Refusal::among(self)
    }
}

/// How often a request may still be sent again.
#[derive(Clone, Copy)]
enum Again {
    Times {
        /// How many connections may turn out to be broken before it was sent.
        unsent: usize,
        left: usize,
    },
    Until {
        began: Instant,
        deadline: Instant,
        left: usize,
    },
}

impl Again {
    const fn is_patient(self) -> bool {
        matches!(self, Self::Until { .. })
    }

    /// Takes one more time, where there is one after such a pause.
    fn once_more(&mut self, pause: Duration) -> bool {
        let (Self::Times { left, .. } | Self::Until { left, .. }) = self;
        if *left == 0 {
            return false;
        }
        *left -= 1;
        match self {
            Self::Times { .. } => true,
            Self::Until { deadline, .. } => Instant::now() + pause < *deadline,
        }
    }

    /// Whether what was not sent may still be, over another connection.
    fn elsewhere(&mut self) -> bool {
        match self {
            Self::Times { unsent: 0, .. } => false,
            Self::Times { unsent, .. } => {
                *unsent -= 1;
                true
            }
            Self::Until { deadline, .. } => Instant::now() < *deadline,
        }
    }

    const fn deadline(self) -> Option<Instant> {
        match self {
            Self::Times { .. } => None,
            Self::Until { deadline, .. } => Some(deadline),
        }
    }

    /// How long it took so far, where that is bounded in all.
    fn waited(self) -> Option<Duration> {
        match self {
            Self::Times { .. } => None,
            Self::Until { began, .. } => Some(began.elapsed()),
        }
    }

    const fn patience(self) -> Patience {
        match self {
            Self::Times { .. } => Patience::Short,
            Self::Until { deadline, .. } => Patience::Until(deadline),
        }
    }
}
