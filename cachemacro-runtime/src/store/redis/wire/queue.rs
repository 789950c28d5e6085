//! What waits to be sent on one connection. One short lock, under which nothing is awaited.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tokio::time::Instant;

use super::answer::Caller;
use super::by_slot::AllReads;
use super::failure::{Broken, Cause};
use super::frame::Packed;
use super::reads::{Company, Sealed, Ticket, Wanted};
use crate::ground::sync::lock;

/// How many bytes of commands may wait to be sent. Who brings more waits until there is room; what is longer goes alone.
const MOST_BYTES: usize = 4 << 20;

/// Commands that go in one go.
pub(super) struct Outgoing {
    pub(super) bytes: Vec<u8>,
    pub(super) commands: usize,
    pub(super) answer: Arc<Caller>,
    /// When their replies are overdue.
    pub(super) due: Instant,
    /// Whether they are written even where the runtime ends before their turn.
    outlive: bool,
}

/// What is sent next.
pub(super) enum Next {
    Call(Outgoing),
    Batch(Sealed),
}

/// What handle and driver of one connection share.
#[derive(Default)]
pub(super) struct Queue {
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    calls: VecDeque<Outgoing>,
    /// How many bytes they have.
    call_bytes: usize,
    /// How many of them there ever were, and how many were taken out.
    came: u64,
    went: u64,
    pub(super) reads: AllReads,
    /// Who waits for room.
    outside: Vec<Waker>,
    /// The driver, where it sleeps until something comes.
    driver: Option<Waker>,
    /// Whether the handle is gone.
    pub(super) is_abandoned: bool,
    /// Why nothing is taken any more.
    over: Option<Cause>,
}

impl Queue {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    #[cfg(test)]
    pub(super) fn is_over(&self) -> bool {
        self.lock().over.is_some()
    }

    /// Has keys read, which lie in this slot where that matters, as soon as there is room.
    pub(super) fn poll_join(
        &self,
        wanted: &[Wanted<'_>],
        slot: Option<u16>,
        company: Company,
        cx: &Context<'_>,
    ) -> Poll<Result<Ticket, Broken>> {
        let mut state = self.lock();
        if let Some(cause) = state.over {
            return Poll::Ready(Err(Broken { cause, sent: false }));
        }
        if !state.reads.has_room(slot) {
            state.wait_outside(cx.waker());
            return Poll::Pending;
        }
        let behind = state.came;
        let ticket = state.reads.join(wanted, slot, company, behind, cx.waker());
        wake_driver(state);
        Poll::Ready(Ok(ticket))
    }

    /// Has commands sent as soon as there is room. They are taken then, and their replies may take so long.
    pub(super) fn poll_post(
        &self,
        commands: &mut Packed,
        patience: Duration,
        answer: &Arc<Caller>,
        cx: &Context<'_>,
    ) -> Poll<Result<(), Broken>> {
        let mut state = self.lock();
        if let Some(cause) = state.over {
            return Poll::Ready(Err(Broken { cause, sent: false }));
        }
        if state.call_bytes > 0 && state.call_bytes + commands.len() > MOST_BYTES {
            state.wait_outside(cx.waker());
            return Poll::Pending;
        }
        let outlive = commands.outlives();
        let (bytes, commands) = std::mem::take(commands).into_parts();
        state.call_bytes += bytes.len();
        state.came += 1;
        let due = Instant::now() + patience;
        state.calls.push_back(Outgoing { bytes, commands, answer: Arc::clone(answer), due, outlive });
        wake_driver(state);
        Poll::Ready(Ok(()))
    }

    /// Lets the driver end once nothing is left to do.
    pub(super) fn abandon(&self) {
        let mut state = self.lock();
        state.is_abandoned = true;
        wake_driver(state);
    }

    /// Takes nothing any more; what is to be written though the runtime ends, in order, whether or not anybody waits for it.
    pub(super) fn outliving(&self) -> Vec<Outgoing> {
        let mut state = self.lock();
        state.over = Some(Cause::Stopped);
        let (outliving, rest) = std::mem::take(&mut state.calls).into_iter().partition(|call| call.outlive);
        state.calls = rest;
        Vec::from(outliving)
    }

    /// Takes nothing any more, and fails what was not sent.
    pub(super) fn end(&self, cause: Cause) {
        let mut state = self.lock();
        state.over = Some(cause);
        let (calls, batches) = (std::mem::take(&mut state.calls), state.reads.drain());
        let outside = std::mem::take(&mut state.outside);
        drop(state);
        let broken = Broken { cause, sent: false };
        for call in calls {
            call.answer.answer(Err(broken));
        }
        for batch in batches {
            batch.fail(broken);
        }
        outside.into_iter().for_each(Waker::wake);
    }
}

impl State {
    pub(super) fn is_empty(&self) -> bool {
        self.calls.is_empty() && self.reads.is_empty()
    }

    /// What is sent next: reads once those commands are sent that came before them, so that neither waits for ever while more of
    /// the other comes.
    pub(super) fn next(&mut self, may_read: bool) -> Option<Next> {
        let turn =
            |state: &mut Self| may_read && state.reads.behind().is_some_and(|calls| calls <= state.went);
        if !turn(self)
            && let Some(call) = self.next_call()
        {
            return Some(Next::Call(call));
        }
        if may_read { self.reads.next().map(Next::Batch) } else { None }
    }

    /// The next commands. Those that nobody wants any more are not sent.
    fn next_call(&mut self) -> Option<Outgoing> {
        loop {
            let call = self.calls.pop_front()?;
            self.went += 1;
            self.call_bytes -= call.bytes.len();
            if call.answer.is_wanted() {
                return Some(call);
            }
        }
    }

    /// Has the driver woken by what comes next.
    pub(super) fn sleep(&mut self, driver: &Waker) {
        match &mut self.driver {
            Some(known) => known.clone_from(driver),
            unknown => *unknown = Some(driver.clone()),
        }
    }

    fn wait_outside(&mut self, waker: &Waker) {
        if self.outside.last().is_none_or(|last| !last.will_wake(waker)) {
            self.outside.push(waker.clone());
        }
    }

    /// Those who wait for room, to be woken without the lock.
    pub(super) fn outside(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.outside)
    }
}

fn wake_driver(mut state: MutexGuard<'_, State>) {
    let driver = state.driver.take();
    drop(state);
    if let Some(driver) = driver {
        driver.wake();
    }
}

impl fmt::Debug for Queue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Queue")
            .field("calls", &state.calls.len())
            .field("reads", &state.reads)
            .field("over", &state.over)
            .finish_non_exhaustive()
    }
}
