//! Sending: one request, one deadline, and what is sent a second time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::timeout;

use super::connect::{Handle, Link};
use super::failure;
use super::script::{self, Call};
use super::wire::{Broken, Cause, Found, Packed, Reply, Unread};
use crate::ground::error::Result;

/// Whether a request may be sent a second time after the connection broke under it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Resend {
    /// It carries a token or changes what is there: once and never again (G1).
    Never,
    /// Twice is the same as once.
    WhereBroken,
}

/// One command of several.
pub(super) enum Part<'a> {
    /// A script. It is sent once more, with its source, where the server does not know it: then it did not run.
    Script(Call<'a>),
    /// A command that is sent once.
    Command(Box<dyn Fn(&mut Packed) + Send + Sync + 'a>),
    /// A read of what is there after the commands before it: it is sent once more after scripts that were.
    Read(Box<dyn Fn(&mut Packed) + Send + Sync + 'a>),
}

/// Sends requests over the store's connections.
#[derive(Debug)]
pub(super) struct Sender {
    pub(super) link: Arc<Link>,
    pub(super) command_timeout: Duration,
}

impl Sender {
    /// Reads strings, together with what others read: at most [`MOST_READ`](super::wire::MOST_READ) of them.
    pub(super) async fn read<'a>(&self, keys: impl Iterator<Item = &'a [u8]> + Clone) -> Result<Found> {
        let mut resends = self.link.width();
        loop {
            let handle = self.link.acquire().await?;
            match self.in_reach(&handle, handle.wire.read(keys.clone())).await? {
                Ok(found) => return Ok(found),
                Err(Unread::Refused(line)) => return Err(failure::refused(&line)),
                Err(Unread::Broken(broken)) => {
                    self.broken(&handle, broken, Resend::WhereBroken, &mut resends)?;
                }
            }
        }
    }

    /// Sends commands in one go; gives a reply for each.
    pub(super) async fn many(&self, write: impl Fn(&mut Packed), resend: Resend) -> Result<Vec<Reply>> {
        // What cuts one connection tends to cut all, so each may turn out to be broken before a new one is had.
        let mut resends = self.link.width();
        loop {
            let handle = self.link.acquire().await?;
            let mut commands = Packed::default();
            write(&mut commands);
            match self.in_reach(&handle, handle.wire.call(commands)).await? {
                Ok(replies) => return Ok(replies),
                Err(broken) => self.broken(&handle, broken, resend, &mut resends)?,
            }
        }
    }

    /// Sends one command.
    pub(super) async fn one(&self, write: impl Fn(&mut Packed), resend: Resend) -> Result<Reply> {
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
        let again: Vec<_> = parts
            .iter()
            .enumerate()
            .filter(|(at, part)| part.is_unknown(&replies[*at]) || matches!(part, Part::Read(_)))
            .collect();
        let by_source = |out: &mut Packed| {
            for (_, part) in &again {
                match part {
                    Part::Script(call) => call.by_source(out),
                    Part::Command(write) | Part::Read(write) => write(out),
                }
            }
        };
        let late = self.timed(again.iter().map(|(_, part)| *part), by_source, resend).await?;
        for ((at, _), reply) in again.iter().zip(late) {
            replies[*at] = reply;
        }
        Ok(replies)
    }

    /// Runs one script.
    pub(super) async fn call(&self, call: Call<'_>, resend: Resend) -> Result<Reply> {
        self.run(vec![Part::Script(call)], resend).await?.pop().ok_or_else(failure::unexpected)
    }

    /// Awaits an answer of a pooled connection within the deadline.
    pub(super) async fn in_time<T>(&self, answer: impl Future<Output = redis::RedisResult<T>>) -> Result<T> {
        match timeout(self.command_timeout, answer).await {
            Ok(answer) => answer.map_err(|error| failure::failed(&error)),
            Err(_) => Err(failure::timed_out(self.command_timeout)),
        }
    }

    /// Sends these parts and learns the server's time from the latest reply that tells it.
    async fn timed<'p, 'a: 'p>(
        &self,
        parts: impl DoubleEndedIterator<Item = &'p Part<'a>> + ExactSizeIterator,
        write: impl Fn(&mut Packed),
        resend: Resend,
    ) -> Result<Vec<Reply>> {
        let sent = Instant::now();
        let replies = self.many(write, resend).await?;
        if replies.len() != parts.len() {
            return Err(failure::unexpected());
        }
        if let Some(millis) = parts.zip(&replies).rev().find_map(|(part, reply)| part.time_in(reply)) {
            self.link.time.observe(sent, Instant::now(), millis);
        }
        Ok(replies)
    }

    /// Awaits what a connection's driver does within its deadlines. Where that runs in another runtime, which nobody may
    /// drive just now, the caller watches the time itself.
    async fn in_reach<T>(&self, handle: &Handle, answer: impl Future<Output = T>) -> Result<T> {
        if handle.is_near() {
            return Ok(answer.await);
        }
        let answer = timeout(self.command_timeout, answer).await;
        answer.map_err(|_| {
            self.link.retire(handle);
            failure::timed_out(self.command_timeout)
        })
    }

    /// Takes a connection that ended out of use. `Ok` where the request is to be sent again.
    fn broken(&self, handle: &Handle, broken: Broken, resend: Resend, resends: &mut usize) -> Result<()> {
        self.link.retire(handle);
        let may_resend = !broken.sent || resend == Resend::WhereBroken;
        if broken.cause == Cause::TimedOut || !may_resend || *resends == 0 {
            return Err(failure::broken(broken, self.command_timeout));
        }
        *resends -= 1;
        Ok(())
    }
}

impl<'a> Part<'a> {
    pub(super) fn command(write: impl Fn(&mut Packed) + Send + Sync + 'a) -> Self {
        Self::Command(Box::new(write))
    }

    pub(super) fn read(write: impl Fn(&mut Packed) + Send + Sync + 'a) -> Self {
        Self::Read(Box::new(write))
    }

    fn write(&self, out: &mut Packed) {
        match self {
            Self::Script(call) => call.by_hash(out),
            Self::Command(write) | Self::Read(write) => write(out),
        }
    }

    /// Whether this reply says that the server does not know the script.
    fn is_unknown(&self, reply: &Reply) -> bool {
        matches!(self, Part::Script(_)) && script::is_unknown(reply)
    }

    fn time_in(&self, reply: &Reply) -> Option<i64> {
        match self {
            Part::Script(call) => call.time_in(reply),
            Part::Command(_) | Part::Read(_) => None,
        }
    }
}
