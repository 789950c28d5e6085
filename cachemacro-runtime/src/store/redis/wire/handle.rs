//! The handle of a connection: what its users ask of it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::answer::{Caller, Waiting};
use super::asked::Asked;
use super::driver::{Driver, OnPush};
use super::failure::{Broken, Cause, Unread};
use super::frame::{Packed, Reply};
use super::queue::Queue;
use super::reads::{Company, Found, MOST_KEYS, Wanted};

/// How many keys one [`Wire::read`] takes.
pub(crate) const MOST_READ: usize = MOST_KEYS;
/// What is told where the time for an answer was spent waiting for room.
const CROWDED_SINCE_SENT: Broken = Broken { cause: Cause::Crowded, sent: true };
/// How many keys of one caller are gathered without an allocation.
const FEW: usize = 8;

/// The handle of a connection. Once it is dropped, the connection ends as soon as all was answered.
pub(crate) struct Wire {
    queue: Arc<Queue>,
    patience: Duration,
}

impl Wire {
    /// Drives a stream in a task of the current runtime. Where a reply takes longer than `patience`, nothing more is taken; what is
    /// under way has its own time.
    pub(crate) fn new<S>(stream: S, patience: Duration, on_push: OnPush) -> Self
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let queue = Arc::<Queue>::default();
        tokio::spawn(Driver::new(stream, Arc::clone(&queue), patience, on_push));
        Self { queue, patience }
    }

    /// Whether it takes nothing any more.
    #[cfg(test)]
    pub(crate) fn is_over(&self) -> bool {
        self.queue.is_over()
    }

    /// Reads the strings under these keys, together with what others read: at most [`MOST_READ`] of them, in one go. On a node of a
    /// cluster they lie in one slot, which is named.
    ///
    /// # Errors
    /// Where the connection ended or the server refuses.
    pub(crate) async fn read<'a>(
        &self,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
        slot: Option<u16>,
    ) -> Asked<Result<Found, Unread>> {
        match self.read_in(Company::Any, keys.clone(), slot).await {
            // Maybe only another's keys are forbidden, or on their way to another node.
            Asked::Answered(Err(Unread::Refused(line))) if is_about_keys(&line) => {
                self.read_in(Company::None, keys, slot).await
            }
            read => read,
        }
    }

    async fn read_in<'a>(
        &self,
        company: Company,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
        slot: Option<u16>,
    ) -> Asked<Result<Found, Unread>> {
        let entered = {
            let mut few = [Wanted::default(); FEW];
            let mut count = 0;
            for (place, key) in few.iter_mut().zip(keys.clone()) {
                *place = Wanted::new(key);
                count += 1;
            }
            let many: Vec<_>;
            let wanted = if count == FEW {
                many = keys.map(Wanted::new).collect();
                &many
            } else {
                &few[..count]
            };
            self.enter(|cx| self.queue.poll_join(wanted, slot, company, cx)).await
        };
        match entered {
            Ok((ticket, None)) => Found::told(ticket).await,
            Ok((ticket, Some(due))) => Box::pin(timeout_at(due, Found::told(ticket)))
                .await
                .unwrap_or(Asked::Answered(Err(Unread::Broken(CROWDED_SINCE_SENT)))),
            Err(broken) => Asked::Answered(Err(Unread::Broken(broken))),
        }
    }

    /// Sends commands in one go; gives a reply for each. Dropped before they are sent, they are not sent.
    ///
    /// # Errors
    /// Where the connection ended. What the server refuses is a reply.
    pub(crate) async fn call(&self, commands: Packed) -> Asked<Result<Vec<Reply>, Broken>> {
        self.call_for(commands, self.patience).await
    }

    /// [`call`](Self::call) for what may take longer than others. What is sent behind it is not given up before it.
    ///
    /// # Errors
    /// As of `call`.
    pub(crate) async fn call_within(
        &self,
        commands: Packed,
        patience: Duration,
    ) -> Result<Vec<Reply>, Broken> {
        self.call_for(commands, patience).await.answer().await
    }

    async fn call_for(&self, commands: Packed, patience: Duration) -> Asked<Result<Vec<Reply>, Broken>> {
        if commands.commands() == 0 {
            return Asked::Answered(Ok(Vec::new()));
        }
        let (waiting, answer) = Waiting::new();
        match self.send(commands, patience, answer).await {
            Ok(None) => waiting.told().await,
            Ok(Some(due)) => Box::pin(timeout_at(due, waiting.told()))
                .await
                .unwrap_or(Asked::Answered(Err(CROWDED_SINCE_SENT))),
            Err(broken) => Asked::Answered(Err(broken)),
        }
    }

    async fn send(
        &self,
        mut commands: Packed,
        patience: Duration,
        answer: Arc<Caller>,
    ) -> Result<Option<Instant>, Broken> {
        let entered = self.enter(|cx| self.queue.poll_post(&mut commands, patience, &answer, cx)).await;
        entered.map(|((), due)| due)
    }

    /// Waits for room as long as for an answer. Whoever had to has until then for both: it is told where that was so.
    async fn enter<T>(
        &self,
        mut enter: impl FnMut(&Context<'_>) -> Poll<Result<T, Broken>>,
    ) -> Result<(T, Option<Instant>), Broken> {
        if let Poll::Ready(entered) = poll_fn(|cx| Poll::Ready(enter(cx))).await {
            return Ok((entered?, None));
        }
        let due = Instant::now() + self.patience;
        let entered = Box::pin(timeout_at(due, poll_fn(|cx| enter(cx)))).await;
        let entered = entered.unwrap_or(Err(Broken { cause: Cause::Crowded, sent: false }));
        Ok((entered?, Some(due)))
    }
}

/// Whether an error may be about some of the keys.
fn is_about_keys(line: &[u8]) -> bool {
    [&b"NOPERM"[..], b"ASK ", b"TRYAGAIN"].iter().any(|code| line.starts_with(code))
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.queue.abandon();
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.queue.fmt(f)
    }
}
