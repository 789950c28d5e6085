//! The task that owns a connection's socket: it gathers what is asked for, writes it, and hands out the replies in order.
//!
//! Before it writes, it goes once behind the tasks that are ready to run, so that what they ask for goes along. Only where a
//! lone caller is all there is, it writes at once: nothing is under way, the last flush served one caller, and nobody came
//! while that was under way. Without the last condition two callers would go on sending one command each.
//!
//! Where its runtime ends, it writes once more what nobody waits for, if the socket takes it.
//!
//! Where a reply does not come in time, only its caller is told so. The connection takes nothing more, and ends once nobody waits
//! for anything on it: what is under way has its own time, and is told that it may be in vain.

use std::collections::VecDeque;
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};
use tokio::time::Instant;

use super::alarm::Alarm;
use super::answer::Caller;
use super::failure::{Broken, Cause};
use super::frame::{self, Malformed, Reply, Scan, Span};
use super::outbox::Outbox;
use super::queue::{Next, Outgoing, Queue};
use super::reads::{Batch, Sealed};

/// How many batches of reads may be under way.
const MOST_BATCHES: usize = 32;
/// Over how many bytes that the socket did not take, nothing more is gathered.
const MOST_UNWRITTEN: usize = 256 * 1024;
/// How much room a read from the socket is given at least, and at most beyond what has come already.
const LEAST_ROOM: usize = 4 * 1024;
const MOST_ROOM: usize = 64 * 1024;
/// How much room is made at most for replies as long as those before.
const MOST_USUAL: usize = 512 * 1024;

/// Who is told of what the server sends unasked.
pub(crate) type OnPush = Box<dyn Fn(Reply) + Send>;

/// Drives one connection until it breaks, or until nobody wants it any more and all was answered.
#[expect(clippy::struct_excessive_bools, reason = "they change independently of each other")]
pub(super) struct Driver<S: AsyncWrite + Unpin> {
    stream: S,
    queue: Arc<Queue>,
    on_push: OnPush,
    /// How long a reply to reads may take.
    patience: Duration,
    outbox: Outbox,
    inbox: BytesMut,
    scan: Scan,
    /// About how long replies were that came.
    usual: usize,
    /// What replies are to come for, in order.
    expected: VecDeque<Expected>,
    batches: usize,
    /// Whether the last flush served one caller and nobody came while it was under way.
    is_lone: bool,
    /// Whether it went behind the ready tasks for what waits now.
    has_yielded: bool,
    /// Batches that were answered: their keys and the bytes of their reply.
    answered: Vec<(Arc<Batch>, usize, usize)>,
    alarm: Alarm,
    is_abandoned: bool,
    /// Whether a reply did not come in time.
    is_silent: bool,
    /// Whether anything was asked for. Until then nothing is read: what a server that refuses a connection says first, is its
    /// answer to what it is asked first.
    has_asked: bool,
    /// Why it ended, where it did by itself.
    cause: Cause,
}

struct Expected {
    what: What,
    /// When the reply is overdue.
    due: Instant,
    /// Where its commands begin among all bytes of this connection.
    begins: u64,
}

enum What {
    Batch {
        batch: Arc<Batch>,
        keys: usize,
        spans: Vec<Span>,
    },
    Calls {
        answer: Arc<Caller>,
        commands: usize,
        replies: Vec<Reply>,
    },
    /// So many replies that nobody waits for any more.
    Nothing {
        replies: usize,
    },
}

impl What {
    /// Tells who waits that there will be no reply.
    fn fail(self, broken: Broken) {
        match self {
            Self::Batch { batch, .. } => batch.fail(broken),
            Self::Calls { answer, .. } => answer.answer(Err(broken)),
            Self::Nothing { .. } => {}
        }
    }
}

impl Expected {
    fn is_awaited(&self) -> bool {
        !matches!(self.what, What::Nothing { .. })
    }

    fn give_up(&mut self) {
        let replies = match &self.what {
            What::Batch { .. } => 1,
            What::Calls { commands, replies, .. } => commands - replies.len(),
            What::Nothing { replies } => *replies,
        };
        // Also of what was not written: it may still be.
        let broken = Broken { cause: Cause::TimedOut, sent: true };
        std::mem::replace(&mut self.what, What::Nothing { replies }).fail(broken);
    }

    /// Tells who waits that the reply may not come.
    fn doubt(&self) {
        match &self.what {
            What::Batch { batch, .. } => batch.doubt(self.due),
            What::Calls { answer, .. } => answer.doubt(self.due),
            What::Nothing { .. } => {}
        }
    }
}

/// What was left in the queue.
#[derive(PartialEq, Eq)]
enum Gathered {
    /// All that waits for now, or it is being waited for.
    All,
    /// There is more than the socket takes.
    Unwritten,
    /// There are more batches of reads than may be under way.
    Unanswered,
    /// Nobody wants the connection any more, and nothing is under way.
    Over,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Driver<S> {
    pub(super) fn new(stream: S, queue: Arc<Queue>, patience: Duration, on_push: OnPush) -> Self {
        Self {
            stream,
            queue,
            on_push,
            patience,
            outbox: Outbox::default(),
            inbox: BytesMut::new(),
            scan: Scan::default(),
            usual: 0,
            expected: VecDeque::new(),
            batches: 0,
            is_lone: true,
            has_yielded: false,
            answered: Vec::new(),
            alarm: Alarm::new(),
            is_abandoned: false,
            is_silent: false,
            has_asked: false,
            cause: Cause::Stopped,
        }
    }

    /// Does what can be done now; why the connection ended, once it did.
    fn drive(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        loop {
            let gathered = self.gather(cx.waker());
            if gathered == Gathered::Over {
                return Poll::Ready(Cause::Closed);
            }
            let written = self.outbox.poll_write(&mut self.stream, cx);
            // Also where nothing can be written any more: a server says why it refuses a connection, and closes it.
            if self.has_asked
                && let Poll::Ready(cause) = self.receive(cx)
            {
                return Poll::Ready(cause);
            }
            if let Poll::Ready(Err(error)) = written {
                return Poll::Ready(error.into());
            }
            let goes_on = match gathered {
                Gathered::Unwritten => self.outbox.len() <= MOST_UNWRITTEN,
                Gathered::Unanswered => self.batches < MOST_BATCHES,
                Gathered::All | Gathered::Over => self.is_abandoned && self.expected.is_empty(),
            };
            if !goes_on {
                return self.keep_time(cx);
            }
        }
    }

    /// Gives up what is overdue; why the connection ended, once nobody waits any more.
    fn keep_time(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        loop {
            let due = if self.is_silent {
                let awaited = self.expected.iter().filter(|expected| expected.is_awaited());
                match awaited.map(|expected| expected.due).min() {
                    None => return Poll::Ready(Cause::TimedOut),
                    due => due,
                }
            } else {
                // The oldest is the first that is to be answered.
                self.expected.front().map(|oldest| oldest.due)
            };
            ready!(self.alarm.poll(due, cx));
            let now = Instant::now();
            if !self.is_silent {
                self.is_silent = true;
                // What was not sent goes elsewhere, as does what is asked from now on.
                self.queue.end(Cause::TimedOut);
                self.expected.iter().filter(|expected| expected.due > now).for_each(Expected::doubt);
            }
            let overdue = |expected: &&mut Expected| expected.due <= now && expected.is_awaited();
            self.expected.iter_mut().filter(overdue).for_each(Expected::give_up);
        }
    }

    /// Takes from the queue what may be sent now.
    fn gather(&mut self, waker: &Waker) -> Gathered {
        let mut state = self.queue.lock();
        for (batch, keys, bytes) in self.answered.drain(..) {
            state.reads.answered(batch, keys, bytes);
        }
        let is_idle = self.expected.is_empty();
        self.is_abandoned = state.is_abandoned;
        if state.is_empty() {
            if self.is_abandoned && is_idle {
                return Gathered::Over;
            }
            state.sleep(waker);
            return Gathered::All;
        }
        if self.outbox.len() > MOST_UNWRITTEN {
            return Gathered::Unwritten;
        }
        self.is_lone &= is_idle;
        if !self.is_lone && !self.has_yielded {
            self.has_yielded = true;
            drop(state);
            waker.wake_by_ref();
            return Gathered::All;
        }
        self.has_yielded = false;
        self.has_asked = true;
        let mut served = 0;
        while self.outbox.len() <= MOST_UNWRITTEN
            && let Some(next) = state.next(self.batches < MOST_BATCHES)
        {
            let (what, due, begins) = match next {
                Next::Call(Outgoing { bytes, commands, answer, due, .. }) => {
                    served += 1;
                    let what = What::Calls { answer, commands, replies: Vec::with_capacity(commands) };
                    (what, due, self.outbox.append(bytes))
                }
                Next::Batch(sealed) => {
                    served += sealed.callers;
                    self.batches += 1;
                    let begins = self.outbox.append_with(|out| sealed.write(out));
                    let Sealed { batch, keys, count, spans, since, .. } = sealed;
                    state.reads.recycle_keys(keys);
                    (What::Batch { batch, keys: count, spans }, since + self.patience, begins)
                }
            };
            self.expected.push_back(Expected { what, due, begins });
        }
        self.is_lone = is_idle && served == 1;
        let gathered = if state.is_empty() {
            state.sleep(waker);
            Gathered::All
        } else if self.outbox.len() > MOST_UNWRITTEN {
            state.reads.keep_place();
            Gathered::Unwritten
        } else {
            Gathered::Unanswered
        };
        let outside = state.outside();
        drop(state);
        outside.into_iter().for_each(Waker::wake);
        gathered
    }

    /// Reads until there is nothing more for now, and hands out what is complete; why the connection ended, once it did.
    fn receive(&mut self, cx: &mut Context<'_>) -> Poll<Cause> {
        loop {
            match self.hand_out() {
                Ok(()) => {}
                Err(Malformed) => return Poll::Ready(Cause::Malformed),
            }
            // What a reply claims is made room for as it comes, at most twice of what has come.
            let missing = self.scan.wanted().saturating_sub(self.inbox.len());
            let room = missing.clamp(LEAST_ROOM, self.inbox.len().max(MOST_ROOM));
            if self.inbox.capacity() - self.inbox.len() < room {
                let usual = self.usual.saturating_sub(self.inbox.len()).clamp(LEAST_ROOM * 4, MOST_USUAL);
                self.inbox.reserve(room.max(usual));
            }
            match pin!(self.stream.read_buf(&mut self.inbox)).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(0)) => return Poll::Ready(Cause::Eof),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(error.into()),
            }
        }
    }

    /// Hands out the replies that are complete.
    fn hand_out(&mut self) -> Result<(), Malformed> {
        while let Some(length) = self.scan.advance(&self.inbox)? {
            self.scan = Scan::default();
            self.usual = length.max(self.usual - self.usual / 8);
            let frame = self.inbox.split_to(length).freeze();
            if frame::is_push(&frame) {
                (self.on_push)(Reply::parse(&frame)?);
            } else {
                self.answer(frame)?;
            }
        }
        Ok(())
    }

    /// Hands out one reply to those whose turn it is.
    fn answer(&mut self, frame: Bytes) -> Result<(), Malformed> {
        // Nothing was asked for that it could answer.
        let expected = self.expected.front_mut().ok_or(Malformed)?;
        match &mut expected.what {
            What::Batch { batch, keys, spans } => {
                let bytes = frame.len();
                batch.answer(frame, *keys, std::mem::take(spans))?;
                self.answered.push((Arc::clone(batch), *keys, bytes));
                self.batches -= 1;
                self.expected.pop_front();
            }
            What::Calls { answer, commands, replies } => {
                replies.push(Reply::parse(&frame)?);
                if replies.len() == *commands {
                    answer.answer(Ok(std::mem::take(replies)));
                    self.expected.pop_front();
                }
            }
            What::Nothing { replies } => {
                *replies -= 1;
                if *replies == 0 {
                    self.expected.pop_front();
                }
            }
        }
        Ok(())
    }
}

impl<S: AsyncWrite + Unpin> Driver<S> {
    /// Writes what is to be written though the runtime ends, as far as the socket takes it at once.
    fn write_last(&mut self) {
        for Outgoing { bytes, commands, answer, due, .. } in self.queue.outliving() {
            let what = What::Calls { answer, commands, replies: Vec::new() };
            let begins = self.outbox.append(bytes);
            self.expected.push_back(Expected { what, due, begins });
        }
        // Nothing can be done about what is not taken.
        let _ = self.outbox.poll_write(&mut self.stream, &mut Context::from_waker(Waker::noop()));
    }

    /// Tells all who wait that nothing more will come.
    fn end(&mut self, cause: Cause) {
        self.queue.end(cause);
        for Expected { what, begins, .. } in self.expected.drain(..) {
            what.fail(Broken { cause, sent: begins < self.outbox.written() });
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Future for Driver<S> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match self.drive(cx) {
            Poll::Ready(cause) => {
                self.cause = cause;
                // The rest is done as it is dropped, which also happens where its runtime stops.
                Poll::Ready(())
            }
            Poll::Pending => Poll::Pending,
        }
    }
}

impl<S: AsyncWrite + Unpin> Drop for Driver<S> {
    fn drop(&mut self) {
        if self.cause == Cause::Stopped {
            self.write_last();
        }
        self.end(self.cause);
    }
}

impl<S: AsyncWrite + Unpin> fmt::Debug for Driver<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("under_way", &self.expected.len()).finish_non_exhaustive()
    }
}
