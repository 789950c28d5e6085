//! What is left to do once a statement or a commit has been answered, or nobody waits for its answer any more.

use std::mem;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use cachemacro::Cache;
use futures_core::Stream;
use futures_core::future::BoxFuture;
use futures_core::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use tokio::runtime::Handle;
use tokio::time::timeout;

use crate::watched::outbox::draining::Draining;
use crate::watched::shared::{Evicts, Shared};

/// So long a write waits for what the outbox tells; then all rows count as changed.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Evicts. Where it is dropped before it did, they are queued: what they are about may have been written.
pub(crate) struct After {
    shared: Arc<Shared>,
    cache: Cache,
    evicts: Evicts,
    /// When that was understood.
    epoch: u64,
    /// Nothing is understood until it is over.
    changes_catalogue: bool,
    /// It ends a transaction that was begun by text.
    ends: bool,
    /// It does no more than begin one.
    begins: bool,
}

impl After {
    /// Of what is about to write this, as it was understood in this epoch, and to change the catalogue or not.
    pub(crate) fn new(shared: &Arc<Shared>, evicts: Evicts, epoch: u64, changes_catalogue: bool) -> Self {
        let epoch = if changes_catalogue { shared.knowledge.unsettle(epoch) } else { epoch };
        let (shared, cache) = (Arc::clone(shared), shared.cache());
        Self { shared, cache, evicts, epoch, changes_catalogue, ends: false, begins: false }
    }

    /// The same of one that may commit what others have written before, whatever that was.
    pub(crate) fn ending(mut self) -> Self {
        self.evicts.removals.merge(self.shared.all());
        self.ends = true;
        self
    }

    /// The same of one that does no more than begin a transaction.
    pub(crate) fn beginning(mut self) -> Self {
        self.begins = true;
        self
    }

    /// Its answer is an error: it has begun nothing.
    fn failed(&mut self) {
        if mem::take(&mut self.begins) {
            self.shared.begun.ends(&self.shared.knowledge);
        }
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
        self.over();
        let rows = self.ask().await;
        if self.evicts.is_empty() {
            return;
        }
        match self.cache.apply(&self.evicts.removals).await {
            Ok(_) => {
                // What another cache has is left to the drainer.
                if let Some((outbox, rows)) = rows
                    && outbox.cache.is_same(&self.cache)
                {
                    outbox.evicted_by_writer(&rows);
                }
            }
            // It is kept, and sent again before this process serves what it is about.
            Err(error) => {
                tracing::warn!(database = self.shared.about.name, %error, "evicts after a write have failed so far");
            }
        }
        self.evicts = Evicts::default();
    }

    /// Adds the rows that the outbox tells, all that are in it: where those of this write are there no more, they were evicted.
    async fn ask(&mut self) -> Option<(Arc<Draining>, Vec<String>)> {
        let outbox = self.shared.outbox().filter(|_| self.evicts.asks())?;
        let name = &self.shared.about.name;
        // A connection to ask by may be waited for in vain: the writer may have the only one.
        if let Ok(Some(told)) = timeout(LONGEST_LOOK, outbox.look()).await {
            self.evicts.told(name, told.removals, &told.unseen);
            return Some((outbox, told.ids));
        }
        self.evicts.without_outbox(name);
        None
    }

    /// It has run.
    fn over(&mut self) {
        // A catalogue that has changed meanwhile may make it write something else, too.
        if !self.evicts.is_empty() && self.shared.knowledge.has_moved(self.epoch) {
            self.evicts.removals.merge(self.shared.all());
        }
        if mem::take(&mut self.ends) {
            self.shared.begun.ends(&self.shared.knowledge);
        }
        if mem::take(&mut self.changes_catalogue) {
            self.shared.knowledge.settle();
        }
    }

    /// Evicts from a destructor.
    fn queue(&self) {
        if self.evicts.is_empty() {
            return;
        }
        let mut evicts = self.evicts.clone();
        evicts.without_outbox(&self.shared.about.name);
        let removals = evicts.removals;
        match Handle::try_current() {
            Ok(runtime) if self.cache.is_collecting() => {
                let cache = self.cache.clone();
                runtime.spawn(async move { cache.apply_later(&removals) });
            }
            _ => self.cache.apply_later(&removals),
        }
    }
}

impl Drop for After {
    fn drop(&mut self) {
        self.over();
        self.queue();
    }
}

/// Tells the load that read something where that may have been something else than was understood.
pub(crate) struct Seen {
    shared: Arc<Shared>,
    epoch: u64,
}

impl Seen {
    /// What the current task is about to read, as it was understood in this epoch; `None` where no load wants to know.
    pub(crate) fn new(shared: &Arc<Shared>, epoch: u64) -> Option<Self> {
        cachemacro::is_recording().then(|| Self { shared: Arc::clone(shared), epoch })
    }
}

impl Drop for Seen {
    fn drop(&mut self) {
        if self.shared.knowledge.has_moved(self.epoch) {
            cachemacro::record_unknown();
        }
    }
}

/// The answer of a statement, behind which it is evicted: before the stream ends, or its error is told.
pub(crate) struct Watching<T: Send + 'static, E: Send + 'static> {
    state: State<T, E>,
    after: Option<After>,
    seen: Option<Seen>,
}

type Steps<'e, T, E> = BoxStream<'e, Result<T, E>>;

enum State<T, E> {
    Running(Steps<'static, T, E>),
    /// With what ended the stream.
    Ending(BoxFuture<'static, ()>, Option<Result<T, E>>),
    Over,
}

impl<T: Send + 'static, E: Send + 'static> Watching<T, E> {
    /// Of a statement that runs on a connection of its own.
    pub(crate) fn new(steps: Steps<'static, T, E>, after: Option<After>, seen: Option<Seen>) -> Self {
        Self { state: State::Running(steps), after, seen }
    }
}

/// Has a statement go on to its end that nobody waits for, and evicts then.
fn go_on<T: Send + 'static, E: Send + 'static>(mut steps: Steps<'static, T, E>, mut after: After) {
    let Ok(runtime) = Handle::try_current() else { return };
    runtime.spawn(async move {
        while let Some(step) = steps.next().await {
            if step.is_err() {
                after.failed();
            }
        }
        after.run().await;
    });
}

/// All that a statement in a transaction answers, once it was evicted.
pub(crate) async fn ended<'e, T: Send + 'e, E: Send + 'e>(
    steps: Steps<'e, T, E>,
    after: After,
) -> Steps<'e, T, E> {
    let all: Vec<_> = steps.collect().await;
    after.run().await;
    stream::iter(all).boxed()
}

impl<T: Send + Unpin + 'static, E: Send + Unpin + 'static> Stream for Watching<T, E> {
    type Item = Result<T, E>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match &mut self.state {
                State::Running(steps) => match ready!(steps.poll_next_unpin(context)) {
                    Some(Ok(item)) => return Poll::Ready(Some(Ok(item))),
                    last => {
                        self.seen = None;
                        let Some(mut after) = self.after.take() else {
                            self.state = State::Over;
                            return Poll::Ready(last);
                        };
                        if last.is_some() {
                            after.failed();
                        }
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
            && let State::Running(steps) = mem::replace(&mut self.state, State::Over)
        {
            go_on(steps, after);
        }
    }
}
