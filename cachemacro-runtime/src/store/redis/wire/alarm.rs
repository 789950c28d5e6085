//! One timer for all that is under way: it is left as it is while replies come, and looks for what is oldest when it rings.

use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::time::{Instant, Sleep, sleep_until};

pub(super) struct Alarm {
    sleep: Pin<Box<Sleep>>,
    is_set: bool,
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { sleep: Box::pin(sleep_until(Instant::now())), is_set: false }
    }

    /// Ready once `due`, when the oldest has to be done, is over. Where nothing is under way, nothing is waited for.
    pub(super) fn poll(&mut self, due: Option<Instant>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(due) = due else {
            // The next poll with something under way sets it anew, if it rang.
            self.is_set &= !self.sleep.is_elapsed();
            return Poll::Pending;
        };
        // What may take long may have set it late.
        if !self.is_set || due < self.sleep.deadline() {
            self.sleep.as_mut().reset(due);
            self.is_set = true;
        }
        while self.sleep.as_mut().poll(cx).is_ready() {
            if due <= Instant::now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(due);
        }
        Poll::Pending
    }
}
