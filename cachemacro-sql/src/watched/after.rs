//! What is left to do once a statement or a commit has been answered, or nobody waits for its answer any more.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use cachemacro::{Cache, Removals};
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::StreamExt as _;
use tokio::runtime::Handle;

use crate::watched::shared::Shared;

/// Evicts. Where it is dropped before it did, they are queued: what they are about may have been written.
pub(crate) struct After {
    shared: Arc<Shared>,
    cache: Cache,
    removals: Removals,
    changes_catalogue: bool,
}

impl After {
    /// Of what wrote this, and changed the catalogue or not.
    pub(crate) fn new(shared: &Arc<Shared>, removals: Removals, changes_catalogue: bool) -> Self {
        let (shared, cache) = (Arc::clone(shared), shared.cache());
        Self { shared, cache, removals, changes_catalogue }
    }

    /// Evicts now.
    pub(crate) async fn run(self) {
        if self.cache.is_collecting() {
            // What the task collects may be dropped still. This was committed.
            let _ = tokio::spawn(self.evict()).await;
        } else {
            self.evict().await;
        }
    }

    async fn evict(mut self) {
        if self.changes_catalogue {
            self.shared.forget();
        }
        if !self.removals.is_empty()
            && let Err(error) = self.cache.apply(&self.removals).await
        {
            // It is kept, and sent again before this process serves what it is about.
            tracing::warn!(database = self.shared.about.name, %error, "evicts after a write have failed so far");
        }
        (self.removals, self.changes_catalogue) = (Removals::new(), false);
    }

    /// Evicts from a destructor.
    fn queue(&self) {
        if self.changes_catalogue {
            self.shared.forget();
        }
        if self.removals.is_empty() {
            return;
        }
        match Handle::try_current() {
            Ok(runtime) if self.cache.is_collecting() => {
                let (cache, removals) = (self.cache.clone(), self.removals.clone());
                runtime.spawn(async move { cache.apply_later(&removals) });
            }
            _ => self.cache.apply_later(&self.removals),
        }
    }
}

impl Drop for After {
    fn drop(&mut self) {
        self.queue();
    }
}

/// The answer of a statement, behind which it is evicted: before the stream ends, or its error is told.
pub(crate) struct Watching<T: Send + 'static, E: Send + 'static> {
    state: State<T, E>,
    after: Option<After>,
}

type Steps<T, E> = BoxStream<'static, Result<T, E>>;

enum State<T, E> {
    Running(Steps<T, E>),
    /// With what ended the stream.
    Ending(BoxFuture<'static, ()>, Option<Result<T, E>>),
    Over,
}

impl<T: Send + 'static, E: Send + 'static> Watching<T, E> {
    /// Of a statement that runs on a connection of its own.
    pub(crate) fn new(steps: Steps<T, E>, after: Option<After>) -> Self {
        Self { state: State::Running(steps), after }
    }
}

/// Has a statement go on to its end that nobody waits for, and evicts then.
fn go_on<T: Send + 'static, E: Send + 'static>(mut steps: Steps<T, E>, after: After) {
    let Ok(runtime) = Handle::try_current() else { return };
    // What it writes is there once it was answered; what is loaded between may be older than that.
    after.queue();
    runtime.spawn(async move {
        while steps.next().await.is_some() {}
        after.run().await;
    });
}

impl<T: Send + Unpin + 'static, E: Send + Unpin + 'static> Stream for Watching<T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.state {
                State::Running(steps) => match ready!(steps.poll_next_unpin(context)) {
                    Some(Ok(item)) => return Poll::Ready(Some(Ok(item))),
                    last => {
                        let Some(after) = self.after.take() else {
                            self.state = State::Over;
                            return Poll::Ready(last);
                        };
                        self.state = State::Ending(Box::pin(after.run()), last);
                    }
                },
                State::Ending(evicts, last) => {
                    ready!(evicts.as_mut().poll(context));
                    let last = last.take();
                    self.state = State::Over;
                    return Poll::Ready(last);
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }
}

impl<T: Send + 'static, E: Send + 'static> Drop for Watching<T, E> {
    fn drop(&mut self) {
        if let Some(after) = self.after.take()
            && let State::Running(steps) = std::mem::replace(&mut self.state, State::Over)
        {
            go_on(steps, after);
        }
    }
}
