//! A caller that waits for replies, and who tells it of them.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use tokio::time::Instant;

use super::asked::{Asked, Told};
use super::failure::Broken;
use super::frame::Reply;
use crate::ground::sync::lock;

/// A caller that waits.
#[derive(Default)]
pub(super) struct Caller(Mutex<State>);

#[derive(Default)]
enum State {
    #[default]
    Sent,
    Waits(Waker),
    Doubtful(Instant),
    Answered(Result<Vec<Reply>, Broken>),
    Gone,
}

impl Caller {
    /// Whether the commands are still to be sent.
    pub(super) fn is_wanted(&self) -> bool {
        !matches!(&*lock(&self.0), State::Gone)
    }

    /// The connection went silent with other commands; until then the replies to these may come. Called at most once.
    pub(super) fn doubt(&self, due: Instant) {
        self.tell(State::Doubtful(due));
    }

    /// One reply for each command, or why there are none. Called once.
    pub(super) fn answer(&self, replies: Result<Vec<Reply>, Broken>) {
        self.tell(State::Answered(replies));
    }

    fn tell(&self, news: State) {
        let mut state = lock(&self.0);
        if matches!(&*state, State::Gone) {
            return;
        }
        let before = std::mem::replace(&mut *state, news);
        drop(state);
        if let State::Waits(waker) = before {
            waker.wake();
        }
    }
}

/// The replies to come. Where it is dropped, the commands are not sent unless they were already.
pub(super) struct Waiting(Arc<Caller>);

impl Waiting {
    pub(super) fn new() -> (Self, Arc<Caller>) {
        let caller = Arc::new(Caller::default());
        (Self(Arc::clone(&caller)), caller)
    }

    /// What is told first.
    pub(super) async fn told(mut self) -> Asked<Result<Vec<Reply>, Broken>> {
        match (&mut self).await {
            Told::Answered(replies) => Asked::Answered(replies),
            Told::Doubtful(due) => Asked::doubtful(due, async move {
                loop {
                    if let Told::Answered(replies) = (&mut self).await {
                        return replies;
                    }
                }
            }),
        }
    }
}

impl Future for Waiting {
    type Output = Told<Result<Vec<Reply>, Broken>>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = lock(&self.0.0);
        match std::mem::replace(&mut *state, State::Gone) {
            State::Answered(replies) => Poll::Ready(Told::Answered(replies)),
            State::Doubtful(due) => {
                *state = State::Sent;
                Poll::Ready(Told::Doubtful(due))
            }
            State::Sent | State::Waits(_) | State::Gone => {
                *state = State::Waits(cx.waker().clone());
                Poll::Pending
            }
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        *lock(&self.0.0) = State::Gone;
    }
}
