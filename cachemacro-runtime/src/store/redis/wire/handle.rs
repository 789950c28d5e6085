//! The handle of a connection: what its users ask of it.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::answer::{Answer, Waiting};
use super::driver::{Driver, OnPush};
use super::failure::{Broken, Unread};
use super::frame::{Packed, Reply};
use super::queue::Queue;
use super::reads::{Company, Found, MOST_KEYS, Wanted};

/// How many keys one [`Wire::read`] takes.
pub(crate) const MOST_READ: usize = MOST_KEYS;
/// How many keys of one caller are gathered without an allocation.
const FEW: usize = 8;

/// The handle of a connection. Once it is dropped, the connection ends as soon as all was answered.
pub(crate) struct Wire {
    queue: Arc<Queue>,
    patience: Duration,
}

impl Wire {
    /// Drives a stream in a task of the current runtime. A reply that takes longer than `patience` ends the connection.
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

    /// Reads the strings under these keys, together with what others read: at most [`MOST_READ`] of them, in one go.
    ///
    /// # Errors
    /// Where the connection ended or the server refuses.
    pub(crate) async fn read<'a>(
        &self,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Found, Unread> {
        match self.read_in(Company::Any, keys.clone()).await {
            // Maybe only another's keys are forbidden.
            Err(Unread::Refused(line)) if line.starts_with(b"NOPERM") => {
                self.read_in(Company::None, keys).await
            }
            read => read,
        }
    }

    async fn read_in<'a>(
        &self,
        company: Company,
        keys: impl Iterator<Item = &'a [u8]> + Clone,
    ) -> Result<Found, Unread> {
        let ticket = {
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
            poll_fn(|cx| self.queue.poll_join(wanted, company, cx)).await?
        };
        Found::when_answered(ticket).await
    }

    /// Sends commands in one go; gives a reply for each. Dropped before they are sent, they are not sent.
    ///
    /// # Errors
    /// Where the connection ended. What the server refuses is a reply.
    pub(crate) async fn call(&self, commands: Packed) -> Result<Vec<Reply>, Broken> {
        self.call_within(commands, self.patience).await
    }

    /// [`call`](Self::call) for what may take longer than others, or less.
    pub(crate) async fn call_within(
        &self,
        commands: Packed,
        patience: Duration,
    ) -> Result<Vec<Reply>, Broken> {
        let (waiting, answer) = Waiting::new();
        self.send(commands, patience, answer).await?;
        waiting.await
    }

    /// Has commands sent once there is room, whatever becomes of the caller after that.
    ///
    /// # Errors
    /// Where the connection had ended already. What comes after is told to `answer`.
    #[cfg_attr(not(test), expect(dead_code, reason = "every fill is awaited so far"))]
    pub(crate) async fn post(&self, commands: Packed, answer: Arc<dyn Answer>) -> Result<(), Broken> {
        self.send(commands, self.patience, answer).await
    }

    async fn send(
        &self,
        mut commands: Packed,
        patience: Duration,
        answer: Arc<dyn Answer>,
    ) -> Result<(), Broken> {
        let due = Instant::now() + patience;
        poll_fn(|cx| self.queue.poll_post(&mut commands, due, &answer, cx)).await
    }
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
